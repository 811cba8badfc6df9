/* SPDX-License-Identifier: Apache-2.0 */
/* A tensor as the quantization of its channels sees it. */
#ifndef OCTET_BASE_CHANNELS_H
#define OCTET_BASE_CHANNELS_H

#include <octet/tensor.h>

#include <stddef.h>

/* Element [o][c][i] has channel c. */
typedef struct octet_channel_shape {
    size_t outer, channels, inner;
} octet_channel_shape;

/* One channel for every coordinate along axis. */
static inline octet_channel_shape octet_channels_along(const octet_tensor *tensor, int axis)
{
    octet_channel_shape shape = { 1, (size_t)tensor->dims[axis], 1 };
    for (int i = 0; i < axis; i++) shape.outer *= (size_t)tensor->dims[i];
    for (int i = axis + 1; i < tensor->rank; i++) shape.inner *= (size_t)tensor->dims[i];
    return shape;
}

/* That of parameters for so many channels: where it is 1, all of the tensor is one. */
static inline octet_channel_shape octet_channels_of(const octet_tensor *tensor, int64_t channels, int axis)
{
    if (channels == 1) return (octet_channel_shape){ 1, 1, (size_t)octet_tensor_count(tensor) };
    octet_channel_shape shape = octet_channels_along(tensor, axis);
    shape.channels            = (size_t)channels;
    return shape;
}

static inline size_t octet_channels_count(const octet_channel_shape *shape)
{
    return shape->outer * shape->channels * shape->inner;
}

#endif
