/* SPDX-License-Identifier: Apache-2.0 */
/* What the templates of convolutions read tensors with, by type. load_channel: n elements from first on as prepared
   elements; levels have the zero point of their channel taken off. load, of inputs: they have one. */
#ifndef OCTET_OPS_CONV_LOAD_H
#define OCTET_OPS_CONV_LOAD_H

#include "ops/levels.h"
#include "ops/mac.h"

#include <string.h>

static inline void load_channel_f32(float *to, const octet_tensor *x, size_t first, size_t n, int64_t channel)
{
    (void)channel;
    memcpy(to, (const float *)x->data + first, n * sizeof *to);
}

static inline void load_channel_f64(double *to, const octet_tensor *x, size_t first, size_t n, int64_t channel)
{
    (void)channel;
    memcpy(to, (const double *)x->data + first, n * sizeof *to);
}

static inline void load_channel_wide(int32_t *to, const octet_tensor *x, size_t first, size_t n, int64_t channel)
{
    octet_levels_load(to, x->data, x->dtype, first, n, octet_zero_point(x, channel));
}

static inline void load_channel_narrow(int16_t *to, const octet_tensor *x, size_t first, size_t n, int64_t channel)
{
    int32_t level[256];
    for (size_t done = 0; done < n; done += 256) {
        const size_t count = n - done < 256 ? n - done : 256;
        load_channel_wide(level, x, first + done, count, channel);
        for (size_t i = 0; i < count; i++) to[done + i] = (int16_t)level[i];
    }
}

#define LOAD(name, type)                                                                                               \
    static inline void load_##name(type *to, const octet_tensor *x, size_t first, size_t n)                            \
    {                                                                                                                  \
        load_channel_##name(to, x, first, n, 0);                                                                       \
    }
LOAD(f32, float)
LOAD(f64, double)
LOAD(wide, int32_t)
LOAD(narrow, int16_t)
#undef LOAD

#endif
