/* SPDX-License-Identifier: Apache-2.0 */
/* Means over any axes: ReduceMean and GlobalAveragePool. The axes are cut into kept and reduced ones; a part of one
   kept row at a time collects its sums. */
#include "base/parallel.h"
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/levels.h"
#include "ops/rows.h"
#include "ops/wide.h"
#include "ops/window.h"

#include <math.h>
#include <string.h>

typedef struct box {
    int     rank;
    int64_t dims[OCTET_MAX_RANK], step[OCTET_MAX_RANK]; /* in the input */
} box;

typedef struct mean_run {
    const octet_call  *call;
    box                kept, reduced;
    int64_t            width, width_step, parts; /* of a kept row; parts in a row */
    int64_t            count; /* elements of one mean */
    bool               real;
    octet_average_rule rule;
} mean_run;

enum { PART = OCTET_WIDE_ROW };

/* reduced[i]: whether axis i is averaged over. */
static octet_status reduced_axes(bool reduced[OCTET_MAX_RANK], const octet_call *call, octet_error *err)
{
    const octet_tensor *const       x = call->in[0];
    const octet_reduce_attrs *const attrs = call->node->op->attrs ? call->attrs : NULL;
    octet_ints                      axes = { 0 };
    int                             axis[OCTET_INTS_MAX];
    if (attrs && octet_has_input(call, 1)) OCTET_TRY(octet_known_ints(&axes, call, 1, "axes", err));
    const bool all = attrs && axes.count == 0 && !attrs->noop_with_empty_axes;
    for (int i = 0; i < x->rank; i++) reduced[i] = attrs ? all : i >= 2;
    OCTET_TRY(octet_check_axes(axis, &axes, x->rank, "axes", err));
    for (int i = 0; i < axes.count; i++) reduced[axis[i]] = true;
    return OCTET_OK;
}

/* The mean's type and shape, and the axes that are averaged over. */
static octet_status mean_shape(octet_tensor *out, bool reduced[OCTET_MAX_RANK], const octet_call *call,
                               octet_error *err)
{
    const octet_tensor *const       x = call->in[0];
    const octet_reduce_attrs *const attrs = call->node->op->attrs ? call->attrs : NULL;
    if (!attrs && x->rank < 3)
        return octet_fail(err, OCTET_ERR_SHAPE, "the input has rank %d; at least 3 is needed (batch, channels, space)",
                          x->rank);
    OCTET_TRY(reduced_axes(reduced, call, err));
    int64_t dims[OCTET_MAX_RANK];
    int     rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if (reduced[i] && x->dims[i] < 1)
            return octet_fail_field(err, OCTET_ERR_SHAPE, attrs ? "axes" : "", "axis %d is empty: it has no mean", i);
        if (!reduced[i])
            dims[rank++] = x->dims[i];
        else if (!attrs || attrs->keepdims)
            dims[rank++] = 1;
    }
    return octet_set_output(out, x->dtype, dims, rank, err);
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    bool reduced[OCTET_MAX_RANK];
    return mean_shape(call->out[0], reduced, call, err);
}

/* Cuts the axes into the two boxes; neighbours of one kind are merged. */
static void make_boxes(mean_run *run, const octet_tensor *x, const bool reduced[OCTET_MAX_RANK])
{
    int64_t step = 1;
    box     boxes[2] = { { 0 }, { 0 } }; /* innermost first, turned around below */
    for (int i = x->rank - 1; i >= 0; step *= x->dims[i--]) {
        box *const b = &boxes[reduced[i]];
        if (i + 1 < x->rank && reduced[i] == reduced[i + 1]) {
            b->dims[b->rank - 1] *= x->dims[i];
            continue;
        }
        b->dims[b->rank] = x->dims[i];
        b->step[b->rank++] = step;
    }
    box *const to[2] = { &run->kept, &run->reduced };
    for (int k = 0; k < 2; k++) {
        to[k]->rank = boxes[k].rank;
        for (int i = 0; i < boxes[k].rank; i++) {
            to[k]->dims[i] = boxes[k].dims[boxes[k].rank - 1 - i];
            to[k]->step[i] = boxes[k].step[boxes[k].rank - 1 - i];
        }
    }
}

/* Where element `index` of a box (its first rank dimensions) lies. */
static int64_t position(const box *b, int rank, int64_t index)
{
    int64_t at = 0;
    for (int i = rank - 1; i >= 0; i--) {
        at += index % b->dims[i] * b->step[i];
        index /= b->dims[i];
    }
    return at;
}

static void add_part(octet_wide *sum, const mean_run *run, int64_t first, size_t n)
{
    const octet_tensor *const x = run->call->in[0];
    const bool                is_float = octet_dtype_is_float(x->dtype);
    const int64_t             zero_point = run->real ? 0 : x->qparams->zero_point[0];
    for (int64_t r = 0; r < run->count; r++) {
        octet_wide row[PART];
        octet_wide_load(row, x->data, x->dtype, first + position(&run->reduced, run->reduced.rank, r), n,
                        run->width_step);
        if (is_float)
            for (size_t i = 0; i < n; i++) sum[i].f += row[i].f;
        else
            for (size_t i = 0; i < n; i++) sum[i].i = (int64_t)((uint64_t)sum[i].i + (uint64_t)(row[i].i - zero_point));
    }
}

static void store_real(const mean_run *run, octet_wide *sum, int64_t at, size_t n)
{
    const octet_tensor *const y = run->call->out[0];
    for (size_t i = 0; i < n; i++) {
        if (!octet_dtype_is_float(y->dtype)) {
            sum[i].i = y->dtype == OCTET_U64 ? (int64_t)((uint64_t)sum[i].i / (uint64_t)run->count)
                                             : sum[i].i / run->count;
            continue;
        }
        sum[i].f /= (double)run->count;
    }
    octet_wide_clamp(sum, n, y->dtype, &run->call->node->activation);
    octet_wide_store(y->data, y->dtype, at, sum, n);
}

static void store_levels(const mean_run *run, const octet_wide *sum, int64_t at, size_t n)
{
    const octet_tensor *const y = run->call->out[0];
    int32_t                   level[PART], sums[PART], divisor[PART];
    for (size_t i = 0; i < n; i++) {
        sums[i] = (int32_t)sum[i].i;
        divisor[i] = (int32_t)run->count;
    }
    run->call->profile->average(level, sums, divisor, n, &run->rule);
    octet_levels_store(y->data, y->dtype, (size_t)at, level, n);
}

/* Part index of the kept rows: n means from place `to` of the output on, the first elements from `from` on. */
typedef struct mean_part {
    int64_t from, to;
    size_t  n;
} mean_part;

static mean_part part_at(const mean_run *run, size_t index)
{
    const int64_t row = (int64_t)index / run->parts, at = (int64_t)index % run->parts * PART;
    const int64_t first = run->kept.rank ? position(&run->kept, run->kept.rank - 1, row) : 0;
    return (mean_part){ .from = first + at * run->width_step,
                   .to = row * run->width + at,
                   .n = (size_t)(run->width - at < PART ? run->width - at : PART) };
}

static void compute_part(void *context, size_t index)
{
    const mean_run *const run = context;
    const mean_part       part = part_at(run, index);
    octet_wide            sum[PART];
    const bool            is_float = octet_dtype_is_float(run->call->in[0]->dtype);
    for (size_t i = 0; i < part.n; i++) sum[i] = is_float ? (octet_wide){ .f = 0 } : (octet_wide){ .i = 0 };
    add_part(sum, run, part.from, part.n);
    if (run->real)
        store_real(run, sum, part.to, part.n);
    else
        store_levels(run, sum, part.to, part.n);
}

static octet_status make_run(mean_run *run, const octet_call *call, octet_error *err)
{
    bool         reduced[OCTET_MAX_RANK];
    octet_tensor result = { 0 };
    OCTET_TRY(mean_shape(&result, reduced, call, err));
    OCTET_TRY(octet_check_planned(call->out[0], result.dims, result.rank, err));
    *run = (mean_run){ .call = call };
    make_boxes(run, call->in[0], reduced);
    run->count = octet_product(run->reduced.dims, run->reduced.rank);
    run->width = run->kept.rank ? run->kept.dims[run->kept.rank - 1] : 1;
    run->width_step = run->kept.rank ? run->kept.step[run->kept.rank - 1] : 1;
    run->parts = (run->width + PART - 1) / PART;
    return OCTET_OK;
}

static size_t count_parts(const mean_run *run)
{
    const int64_t rows = run->kept.rank ? octet_product(run->kept.dims, run->kept.rank - 1) : 1;
    return (size_t)(rows * run->parts);
}

static void compute(mean_run *run) { octet_parallel(count_parts(run), run->call->threads, compute_part, run); }

static octet_status forward(const octet_call *call, octet_error *err)
{
    mean_run run;
    OCTET_TRY(make_run(&run, call, err));
    run.real = true;
    compute(&run);
    return OCTET_OK;
}

static octet_status forward_integer(const octet_call *call, octet_error *err)
{
    mean_run                   run;
    const octet_qparams *const x = call->in[0]->qparams, *const y = call->out[0]->qparams;
    OCTET_TRY(make_run(&run, call, err));
    if (!y) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the output has no levels");
    if (run.count > INT32_MAX / ((int64_t)x->qmax - x->qmin))
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the sum of so many levels leaves int32");
    run.rule = (octet_average_rule){ .scale = x->scale[0],
                                     .to = octet_level_rule_of(y, 0, &call->node->activation) };
    const octet_tensor *const in = call->in[0];
    run.rule.divides = !strcmp(call->node->op->name, "ReduceMean");
    const bool plane = in->rank == 4 && run.count == in->dims[2] * in->dims[3] && run.reduced.rank == 1 &&
                       run.reduced.step[0] == 1;
    if (plane) {
        run.rule.height = (int32_t)in->dims[2];
        run.rule.width = (int32_t)in->dims[3];
    }
    compute(&run);
    return OCTET_OK;
}

/* Every element of a mean gets the same part of its gradient. */
static void backward_part(const octet_backward_call *call, const mean_run *run, mean_part part)
{
    const octet_tensor *const dx = call->din[0], *const dy = call->dout[0];
    octet_wide                row[PART];
    octet_wide_load(row, dy->data, dy->dtype, part.to, part.n, 1);
    for (size_t i = 0; i < part.n; i++) row[i].f /= (double)run->count;
    for (int64_t r = 0; r < run->count; r++)
        octet_wide_add(dx->data, dx->dtype, part.from + position(&run->reduced, run->reduced.rank, r), row, part.n,
                       run->width_step);
}

static octet_status backward(const octet_backward_call *call, octet_error *err)
{
    mean_run run;
    if (!octet_gradient_wanted(call, 0)) return OCTET_OK;
    OCTET_TRY(make_run(&run, call->forward, err));
    for (size_t i = 0; i < count_parts(&run); i++) backward_part(call, &run, part_at(&run, i));
    return OCTET_OK;
}

#define AT(field) offsetof(octet_reduce_attrs, field)

static const octet_attr reduce_attrs[] = {
    { "keepdims", OCTET_ATTR_INT, AT(keepdims), .default_i = 1 },
    { "noop_with_empty_axes", OCTET_ATTR_INT, AT(noop_with_empty_axes) },
    { 0 },
};

const octet_op octet_op_reduce_mean = {
    .name = "ReduceMean",
    .since = 18,
    .min_inputs = 1,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .fixed_inputs = 1 << 1,
    .types = OCTET_TYPES_FLOAT | 1u << OCTET_I32 | 1u << OCTET_U32 | 1u << OCTET_I64 | 1u << OCTET_U64,
    .attrs = reduce_attrs,
    .attrs_size = sizeof(octet_reduce_attrs),
    .quant = OCTET_QUANT_RESCALE,
    .flags = OCTET_OP_LINEAR_CLAMP,
    .infer = infer,
    .forward = forward,
    .forward_integer = forward_integer,
    .backward = backward,
};

const octet_op octet_op_global_average_pool = {
    .name = "GlobalAveragePool",
    .since = 1,
    OCTET_ONE_TO_ONE,
    .types = OCTET_TYPES_FLOAT,
    .quant = OCTET_QUANT_RESCALE,
    .flags = OCTET_OP_LINEAR_CLAMP | OCTET_OP_SAMPLES,
    .infer = infer,
    .forward = forward,
    .forward_integer = forward_integer,
    .backward = backward,
};
