/* SPDX-License-Identifier: Apache-2.0 */
/* A step of oneDNN's, and what steps of real numbers (onednn.c) and of levels (int8.c) share. */
#ifndef OCTET_ENGINE_ONEDNN_STEP_H
#define OCTET_ENGINE_ONEDNN_STEP_H

#include "engine/plan.h"

#include <dnnl.h>

/* What a step keeps in the plan. */
typedef struct octet_dnnl_step {
    dnnl_engine_t      engine;
    dnnl_primitive_t   primitive;
    dnnl_memory_t      weights, bias; /* NULL: none */
    dnnl_memory_desc_t x, y, scratch;
    bool               alone; /* one thread */
    bool               clamps_after; /* octet_dnnl_row's */
    /* Of steps on levels only. */
    size_t                     residual;  /* bytes of the last input that the output starts from */
    const octet_planes_kernel *planes;    /* NULL: y is the output; else y are pixels of floats in the scratch memory */
    octet_planes               size;      /* of one image */
    size_t                     images, pixels_at;
} octet_dnnl_step;

/* ---- onednn.c ---- */

octet_status octet_dnnl_fail(octet_error *err, dnnl_status_t status, const char *what);

/* OCTET_CPU caps oneDNN, too: to be called before anything else of it. */
void octet_dnnl_cap(void);

/* oneDNN asks OpenMP how many threads there are, both when it prepares and when it runs. Returns what it was. */
int octet_dnnl_threads(int threads);

/* A memory object with room of its own, zeroed. */
octet_status octet_dnnl_memory(dnnl_memory_t *memory, const dnnl_memory_desc_t *desc, dnnl_engine_t engine,
                               octet_arena *arena, octet_error *err);

/* Copies into another order, on one thread. */
octet_status octet_dnnl_reorder(dnnl_memory_t to, dnnl_memory_t from, dnnl_engine_t engine, octet_error *err);

/* ---- int8.c: octet_engine.accepts and .prepare of nodes over levels ---- */

bool         octet_dnnl_accepts_levels(const octet_plan *plan, octet_step *step, octet_reason *why);
octet_status octet_dnnl_prepare_levels(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err);

#endif
