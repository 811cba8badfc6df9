/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting axes into kept and reduced ones (reduction.h). */
#include "ops/reduction.h"

#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/window.h"

enum { PART = OCTET_REDUCTION_PART };

static bool given_axes(const octet_call *call) { return call->node->op->max_inputs > 1; }

/* reduced[i]: whether axis i is reduced. */
static octet_status reduced_axes(bool reduced[OCTET_MAX_RANK], const octet_call *call, octet_error *err)
{
    const octet_tensor *const       x = call->in[0];
    const octet_reduce_attrs *const attrs = given_axes(call) ? call->attrs : NULL;
    octet_ints                      axes = { 0 };
    int                             axis[OCTET_INTS_MAX];
    if (attrs && octet_has_input(call, 1)) OCTET_TRY(octet_known_ints(&axes, call, 1, "axes", err));
    const bool all = attrs && axes.count == 0 && !attrs->noop_with_empty_axes;
    for (int i = 0; i < x->rank; i++) reduced[i] = attrs ? all : i >= 2;
    OCTET_TRY(octet_check_axes(axis, &axes, x->rank, "axes", err));
    for (int i = 0; i < axes.count; i++) reduced[axis[i]] = true;
    return OCTET_OK;
}

/* The result's type and shape, and the axes that are reduced. */
static octet_status result_shape(octet_tensor *out, bool reduced[OCTET_MAX_RANK], const octet_call *call,
                                 octet_error *err)
{
    const octet_tensor *const       x = call->in[0];
    const octet_reduce_attrs *const attrs = given_axes(call) ? call->attrs : NULL;
    if (!attrs && x->rank < 3)
        return octet_fail(err, OCTET_ERR_SHAPE, "the input has rank %d; at least 3 is needed (batch, channels, space)",
                          x->rank);
    OCTET_TRY(reduced_axes(reduced, call, err));
    int64_t dims[OCTET_MAX_RANK];
    int     rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if (!reduced[i])
            dims[rank++] = x->dims[i];
        else if (!attrs || attrs->keepdims)
            dims[rank++] = 1;
    }
    return octet_set_output(out, x->dtype, dims, rank, err);
}

octet_status octet_infer_reduction(const octet_call *call, bool may_be_empty, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    bool                      reduced[OCTET_MAX_RANK];
    OCTET_TRY(result_shape(call->out[0], reduced, call, err));
    for (int i = 0; i < x->rank && !may_be_empty; i++)
        if (reduced[i] && x->dims[i] < 1)
            return octet_fail_field(err, OCTET_ERR_SHAPE, given_axes(call) ? "axes" : "",
                                    "axis %d is empty: %s of nothing is not defined", i, call->node->op->name);
    return OCTET_OK;
}

/* Cuts the axes into the two boxes; neighbours of one kind are merged. */
static void make_boxes(octet_reduction *run, const octet_tensor *x, const bool reduced[OCTET_MAX_RANK])
{
    int64_t step = 1;
    octet_box boxes[2] = { { 0 }, { 0 } }; /* innermost first, turned around below */
    for (int i = x->rank - 1; i >= 0; step *= x->dims[i--]) {
        octet_box *const b = &boxes[reduced[i]];
        if (i + 1 < x->rank && reduced[i] == reduced[i + 1]) {
            b->dims[b->rank - 1] *= x->dims[i];
            continue;
        }
        b->dims[b->rank] = x->dims[i];
        b->step[b->rank++] = step;
    }
    octet_box *const to[2] = { &run->kept, &run->reduced };
    for (int k = 0; k < 2; k++) {
        to[k]->rank = boxes[k].rank;
        for (int i = 0; i < boxes[k].rank; i++) {
            to[k]->dims[i] = boxes[k].dims[boxes[k].rank - 1 - i];
            to[k]->step[i] = boxes[k].step[boxes[k].rank - 1 - i];
        }
    }
}

/* Where element `index` of a box (its first rank dimensions) lies. */
static int64_t position(const octet_box *b, int rank, int64_t index)
{
    int64_t at = 0;
    for (int i = rank - 1; i >= 0; i--) {
        at += index % b->dims[i] * b->step[i];
        index /= b->dims[i];
    }
    return at;
}

octet_status octet_reduction_make(octet_reduction *run, const octet_call *call, octet_error *err)
{
    bool         reduced[OCTET_MAX_RANK];
    octet_tensor result = { 0 };
    OCTET_TRY(result_shape(&result, reduced, call, err));
    OCTET_TRY(octet_check_planned(call->out[0], result.dims, result.rank, err));
    *run = (octet_reduction){ .call = call };
    make_boxes(run, call->in[0], reduced);
    run->count = octet_product(run->reduced.dims, run->reduced.rank);
    run->width = run->kept.rank ? run->kept.dims[run->kept.rank - 1] : 1;
    run->width_step = run->kept.rank ? run->kept.step[run->kept.rank - 1] : 1;
    run->parts = (run->width + PART - 1) / PART;
    return OCTET_OK;
}

size_t octet_reduction_parts(const octet_reduction *run)
{
    const int64_t rows = run->kept.rank ? octet_product(run->kept.dims, run->kept.rank - 1) : 1;
    return (size_t)(rows * run->parts);
}

octet_reduction_part octet_reduction_part_at(const octet_reduction *run, size_t index)
{
    const int64_t row = (int64_t)index / run->parts, at = (int64_t)index % run->parts * PART;
    const int64_t first = run->kept.rank ? position(&run->kept, run->kept.rank - 1, row) : 0;
    return (octet_reduction_part){ .from = first + at * run->width_step,
                                   .to = row * run->width + at,
                                   .n = (size_t)(run->width - at < PART ? run->width - at : PART) };
}

int64_t octet_reduction_place(const octet_reduction *run, int64_t r)
{
    return position(&run->reduced, run->reduced.rank, r);
}

#define AT(field) offsetof(octet_reduce_attrs, field)

const octet_attr octet_reduce_rows[] = {
    { "keepdims", OCTET_ATTR_INT, AT(keepdims), .default_i = 1 },
    { "noop_with_empty_axes", OCTET_ATTR_INT, AT(noop_with_empty_axes) },
    { 0 },
};
