/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and means over any axes: ReduceSum, ReduceMean and GlobalAveragePool. */
#include "base/parallel.h"
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/levels.h"
#include "ops/reduction.h"
#include "ops/rows.h"

#include <math.h>
#include <string.h>

typedef struct mean_run {
    octet_reduction    over;
    int64_t            divisor; /* 1: a sum */
    bool               real;
    octet_average_rule rule;
} mean_run;

enum { PART = OCTET_REDUCTION_PART };

static octet_status infer_sum(const octet_call *call, octet_error *err)
{
    return octet_infer_reduction(call, true, err);
}

static octet_status infer_mean(const octet_call *call, octet_error *err)
{
    return octet_infer_reduction(call, false, err);
}

static void add_part(octet_wide *sum, const mean_run *run, int64_t first, size_t n)
{
    const octet_tensor *const x = run->over.call->in[0];
    const bool                is_float = octet_dtype_is_float(x->dtype);
    const int64_t             zero_point = run->real ? 0 : x->qparams->zero_point[0];
    for (int64_t r = 0; r < run->over.count; r++) {
        octet_wide row[PART];
        octet_wide_load(row, x->data, x->dtype, first + octet_reduction_place(&run->over, r), n,
                        run->over.width_step);
        if (is_float)
            for (size_t i = 0; i < n; i++) sum[i].f += row[i].f;
        else
            for (size_t i = 0; i < n; i++) sum[i].i = (int64_t)((uint64_t)sum[i].i + (uint64_t)(row[i].i - zero_point));
    }
}

static void store_real(const mean_run *run, octet_wide *sum, int64_t at, size_t n)
{
    const octet_tensor *const y = run->over.call->out[0];
    for (size_t i = 0; i < n; i++) {
        if (!octet_dtype_is_float(y->dtype)) {
            sum[i].i = y->dtype == OCTET_U64 ? (int64_t)((uint64_t)sum[i].i / (uint64_t)run->divisor)
                                             : sum[i].i / run->divisor;
            continue;
        }
        sum[i].f /= (double)run->divisor;
    }
    octet_wide_clamp(sum, n, y->dtype, &run->over.call->node->activation);
    octet_wide_store(y->data, y->dtype, at, sum, n);
}

static void store_levels(const mean_run *run, const octet_wide *sum, int64_t at, size_t n)
{
    const octet_tensor *const y = run->over.call->out[0];
    int32_t                   level[PART], sums[PART], divisor[PART];
    for (size_t i = 0; i < n; i++) {
        sums[i] = (int32_t)sum[i].i;
        divisor[i] = (int32_t)run->divisor;
    }
    run->over.call->profile->average(level, sums, divisor, n, &run->rule);
    octet_levels_store(y->data, y->dtype, (size_t)at, level, n);
}

static void compute_part(void *context, size_t index)
{
    const mean_run *const      run = context;
    const octet_reduction_part part = octet_reduction_part_at(&run->over, index);
    octet_wide                 sum[PART];
    const bool                 is_float = octet_dtype_is_float(run->over.call->in[0]->dtype);
    for (size_t i = 0; i < part.n; i++) sum[i] = is_float ? (octet_wide){ .f = 0 } : (octet_wide){ .i = 0 };
    add_part(sum, run, part.from, part.n);
    if (run->real)
        store_real(run, sum, part.to, part.n);
    else
        store_levels(run, sum, part.to, part.n);
}

static octet_status make_run(mean_run *run, const octet_call *call, octet_error *err)
{
    *run = (mean_run){ .divisor = 1 };
    OCTET_TRY(octet_reduction_make(&run->over, call, err));
    if (call->node->op->infer == infer_mean) run->divisor = run->over.count;
    return OCTET_OK;
}

static void compute(mean_run *run)
{
    octet_parallel(octet_reduction_parts(&run->over), run->over.call->threads, compute_part, run);
}

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
    if (run.over.count > INT32_MAX / ((int64_t)x->qmax - x->qmin))
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the sum of so many levels leaves int32");
    run.rule = (octet_average_rule){ .scale = x->scale[0],
                                     .to = octet_level_rule_of(y, 0, &call->node->activation) };
    const octet_tensor *const in = call->in[0];
    const bool mean = run.divisor == run.over.count;
    run.rule.divides = mean;
    const bool plane = mean && in->rank == 4 && run.over.count == in->dims[2] * in->dims[3] &&
                       run.over.reduced.rank == 1 && run.over.reduced.step[0] == 1;
    if (plane) {
        run.rule.height = (int32_t)in->dims[2];
        run.rule.width = (int32_t)in->dims[3];
    }
    compute(&run);
    return OCTET_OK;
}

/* Every element of a mean gets the same part of its gradient. */
static void backward_part(const octet_backward_call *call, const mean_run *run, octet_reduction_part part)
{
    const octet_tensor *const dx = call->din[0], *const dy = call->dout[0];
    octet_wide                row[PART];
    octet_wide_load(row, dy->data, dy->dtype, part.to, part.n, 1);
    for (size_t i = 0; i < part.n; i++) row[i].f /= (double)run->divisor;
    for (int64_t r = 0; r < run->over.count; r++)
        octet_wide_add(dx->data, dx->dtype, part.from + octet_reduction_place(&run->over, r), row, part.n,
                       run->over.width_step);
}

static octet_status backward(const octet_backward_call *call, octet_error *err)
{
    mean_run run;
    if (!octet_gradient_wanted(call, 0)) return OCTET_OK;
    OCTET_TRY(make_run(&run, call->forward, err));
    for (size_t i = 0; i < octet_reduction_parts(&run.over); i++)
        backward_part(call, &run, octet_reduction_part_at(&run.over, i));
    return OCTET_OK;
}

#define REDUCED_TYPES                                                                                                  \
    .types = OCTET_TYPES_FLOAT | 1u << OCTET_I32 | 1u << OCTET_U32 | 1u << OCTET_I64 | 1u << OCTET_U64
#define MEAN                                                                                                           \
    .quant = OCTET_QUANT_RESCALE, .forward = forward, .forward_integer = forward_integer, .backward = backward

const octet_op octet_op_reduce_mean = {
    .name = "ReduceMean", .since = 18, OCTET_REDUCE, REDUCED_TYPES, MEAN,
    .flags = OCTET_OP_LINEAR_CLAMP | OCTET_OP_AVERAGES, .infer = infer_mean,
};

const octet_op octet_op_reduce_sum = {
    .name = "ReduceSum", .since = 13, OCTET_REDUCE, REDUCED_TYPES, MEAN, .flags = OCTET_OP_LINEAR_CLAMP,
    .infer = infer_sum,
};

const octet_op octet_op_global_average_pool = {
    .name = "GlobalAveragePool", .since = 1, OCTET_ONE_TO_ONE, .types = OCTET_TYPES_FLOAT, MEAN,
    .flags = OCTET_OP_LINEAR_CLAMP | OCTET_OP_SAMPLES | OCTET_OP_AVERAGES, .infer = infer_mean,
};
