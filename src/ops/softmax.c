/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and LogSoftmax along one axis. On levels, exp of a difference is an entry of a table: how far a level lies
   below the largest is all that matters. */
#include "base/math.h"
#include "base/parallel.h"
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/levels.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <math.h>

typedef struct softmax_run {
    const octet_call *call;
    int64_t           length, step; /* of a row along the axis */
    bool              logarithm;    /* LogSoftmax */
    const int64_t    *table;        /* levels: rne(exp(-d * scale) * 2^23) */
    octet_level_rule  to;
} softmax_run;

static octet_status infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    int                       axis = 0;
    OCTET_TRY(octet_check_axis(&axis, ((const octet_softmax_attrs *)call->attrs)->axis, x->rank, "axis", err));
    if (x->dims[axis] < 1) return octet_fail_field(err, OCTET_ERR_SHAPE, "axis", "dimension %d is empty", axis);
    return octet_set_output(call->out[0], x->dtype, x->dims, x->rank, err);
}

/* Returns the number of rows. */
static size_t make_run(softmax_run *run, const octet_call *call)
{
    const octet_tensor *const x = call->in[0];
    int                       axis = 0;
    octet_check_axis(&axis, ((const octet_softmax_attrs *)call->attrs)->axis, x->rank, "axis", NULL);
    *run = (softmax_run){ .call = call, .length = x->dims[axis], .step = 1,
                          .logarithm = call->node->op == &octet_op_log_softmax };
    for (int i = axis + 1; i < x->rank; i++) run->step *= x->dims[i];
    return (size_t)(octet_tensor_count(x) / run->length);
}

static int64_t row_start(const softmax_run *run, size_t row)
{
    return (int64_t)row / run->step * run->step * run->length + (int64_t)row % run->step;
}

/* ---- real numbers ---- */

static double real_at(const octet_tensor *x, int64_t at)
{
    return x->dtype == OCTET_F64 ? ((const double *)x->data)[at] : (double)((const float *)x->data)[at];
}

static double largest(const softmax_run *run, int64_t start)
{
    const octet_tensor *const x = run->call->in[0];
    double                    most = real_at(x, start);
    for (int64_t i = 1; i < run->length; i++) {
        const double v = real_at(x, start + i * run->step);
        if (v > most || v != v) most = v;
    }
    return most;
}

static void real_row(void *context, size_t row)
{
    const softmax_run *const  run = context;
    const octet_tensor *const x = run->call->in[0], *const y = run->call->out[0];
    const int64_t             start = row_start(run, row);
    const double              most = largest(run, start);
    double                    sum = 0;
    for (int64_t i = 0; i < run->length; i++) sum += octet_exp(real_at(x, start + i * run->step) - most);
    const double lost = run->logarithm ? octet_log(sum) : 0;
    for (int64_t i = 0; i < run->length; i++) {
        const int64_t at = start + i * run->step;
        const double  away = real_at(x, at) - most, value = run->logarithm ? away - lost : octet_exp(away) / sum;
        if (y->dtype == OCTET_F64)
            ((double *)y->data)[at] = value;
        else
            ((float *)y->data)[at] = (float)value;
    }
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    (void)err;
    softmax_run  run;
    const size_t rows = make_run(&run, call);
    octet_parallel(rows, call->threads, real_row, &run);
    return OCTET_OK;
}

/* With p = Softmax: dx = p * (dy - sum of dy * p); of LogSoftmax dx = dy - p * sum of dy. */
static void backward_row(const octet_backward_call *call, const softmax_run *run, size_t row)
{
    const octet_tensor *const x = run->call->in[0], *const dy = call->dout[0], *const dx = call->din[0];
    const int64_t             start = row_start(run, row);
    const double              most = largest(run, start);
    double                    sum = 0, dot = 0;
    for (int64_t i = 0; i < run->length; i++) {
        const int64_t at = start + i * run->step;
        const double  power = octet_exp(real_at(x, at) - most);
        sum += power;
        dot += (run->logarithm ? 1 : power) * real_at(dy, at);
    }
    for (int64_t i = 0; i < run->length; i++) {
        const int64_t    at = start + i * run->step;
        const double     p = octet_exp(real_at(x, at) - most) / sum, given = real_at(dy, at);
        const octet_wide value = { .f = run->logarithm ? given - p * dot : p * (given - dot / sum) };
        octet_wide_add(dx->data, dx->dtype, at, &value, 1, 0);
    }
}

static octet_status backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    softmax_run run;
    if (!octet_gradient_wanted(call, 0)) return OCTET_OK;
    const size_t rows = make_run(&run, call->forward);
    for (size_t row = 0; row < rows; row++) backward_row(call, &run, row);
    return OCTET_OK;
}

/* ---- levels ---- */

static int32_t level_at(const softmax_run *run, int64_t at)
{
    int32_t level;
    octet_levels_load(&level, run->call->in[0]->data, run->call->in[0]->dtype, (size_t)at, 1, 0);
    return level;
}

/* octet's own: t = f32(f32(e) * f32(1 / (sum * scale))); of the logarithm f32((-d * sx - log(sum / 2^23)) / scale). */
static int32_t octet_level(const softmax_run *run, int32_t away, int64_t sum)
{
    const double scale = (double)run->to.scale, from = (double)run->call->in[0]->qparams->scale[0];
    const double real = -(double)away * from - (run->logarithm ? octet_log((double)sum / 8388608.0) : 0);
    const float  t = (float)run->table[away] * (float)(1.0 / ((double)sum * scale));
    return octet_level_round(run->logarithm ? (float)(real / scale) : t, &run->to);
}

/* Another profile's: the function of real numbers, quantized as it does. */
static int32_t real_level(const softmax_run *run, int32_t away, double sum)
{
    const double from = (double)run->call->in[0]->qparams->scale[0], x = -(double)away * from;
    const float  y = (float)(run->logarithm ? x - octet_log(sum) : octet_exp(x) / sum);
    int32_t      level;
    run->call->profile->quantize(&level, &y, 1, &run->to);
    return level;
}

static void level_row(void *context, size_t row)
{
    const softmax_run *const  run = context;
    const octet_tensor *const y = run->call->out[0];
    const bool                own = run->call->profile == &octet_profile_octet;
    const double              scale = (double)run->call->in[0]->qparams->scale[0];
    const int64_t             start = row_start(run, row);
    int32_t                   most = level_at(run, start);
    int64_t                   sum = 0;
    double                    real_sum = 0;
    for (int64_t i = 1; i < run->length; i++) {
        const int32_t level = level_at(run, start + i * run->step);
        if (level > most) most = level;
    }
    for (int64_t i = 0; i < run->length; i++) {
        const int32_t away = most - level_at(run, start + i * run->step);
        sum += run->table[away];
        if (!own) real_sum += octet_exp(-(double)away * scale);
    }
    for (int64_t i = 0; i < run->length; i++) {
        const int64_t at = start + i * run->step;
        const int32_t away = most - level_at(run, at);
        const int32_t level = own ? octet_level(run, away, sum) : real_level(run, away, real_sum);
        octet_levels_store(y->data, y->dtype, (size_t)at, &level, 1);
    }
}

static size_t table_entries(const octet_call *call)
{
    return octet_dtype_size(call->in[0]->dtype) == 1 ? 256 : 65536;
}

static size_t scratch_size(const octet_call *call, bool integer)
{
    return integer ? table_entries(call) * sizeof(int64_t) : 0;
}

static octet_status forward_integer(const octet_call *call, octet_error *err)
{
    softmax_run                run;
    const size_t               rows = make_run(&run, call);
    const octet_qparams *const x = call->in[0]->qparams;
    int64_t *const             table = call->scratch;
    if (!call->out[0]->qparams) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the output has no levels");
    for (size_t d = 0; d < table_entries(call); d++)
        table[d] = (int64_t)rint(octet_exp(-(double)d * (double)x->scale[0]) * 8388608.0);
    run.table = table;
    run.to = octet_level_rule_of(call->out[0]->qparams, 0, NULL);
    octet_parallel(rows, call->threads, level_row, &run);
    return OCTET_OK;
}

static const octet_attr attrs[] = {
    { "axis", OCTET_ATTR_INT, offsetof(octet_softmax_attrs, axis), .default_i = -1 },
    { 0 },
};

#define SOFTMAX                                                                                                        \
    .since = 13, OCTET_ONE_TO_ONE, .types = OCTET_TYPES_FLOAT, .attrs = attrs,                                         \
    .attrs_size = sizeof(octet_softmax_attrs), .quant = OCTET_QUANT_RESCALE, .flags = OCTET_OP_FUNCTION,               \
    .infer = infer, .forward = forward, .forward_integer = forward_integer, .scratch_size = scratch_size,              \
    .backward = backward

const octet_op octet_op_log_softmax = { .name = "LogSoftmax", SOFTMAX };
const octet_op octet_op_softmax = { .name = "Softmax", SOFTMAX };
