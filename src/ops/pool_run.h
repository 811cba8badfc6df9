/* SPDX-License-Identifier: Apache-2.0 */
/* What all pools share: their window, a loop over planes (image and channel) and over parts of a plane's output. */
#ifndef OCTET_OPS_POOL_RUN_H
#define OCTET_OPS_POOL_RUN_H

#include "ops/pool.h"
#include "ops/profile.h"

typedef struct octet_pool_run {
    const octet_call  *call;
    octet_window       window;
    size_t             in_size, out_size; /* of a plane */
    bool               real;
    octet_average_rule average;
    octet_level_rule   to; /* levels: where they go */
} octet_pool_run;

/* Infer of pools: outputs 0, and 1 of int64, have the windows' shape. */
octet_status octet_pool_infer(const octet_call *call, octet_error *err);

/* The window of a pool; one whose row has no auto_pad takes the whole space as one window. */
octet_status octet_pool_window(octet_window *window, const octet_call *call, octet_error *err);

void octet_pool_make(octet_pool_run *run, const octet_call *call, bool integer);

/* Images and channels. */
size_t octet_pool_count(const octet_call *call);

/* Runs body for every plane; context is an octet_pool_run. */
void octet_pool_planes(const octet_call *call, bool integer, void (*body)(void *context, size_t plane));

/* Cuts the output plane into parts; part->count is 0 before the first. */
bool octet_pool_next_part(octet_pool_part *part, const octet_pool_run *run);

/* Where a part begins in the output plane. */
int64_t octet_pool_position(const octet_pool_run *run, const octet_pool_part *part);

#endif
