/* SPDX-License-Identifier: Apache-2.0 */
/* BatchNormalization: an affine function per channel, with the given mean and variance, or (training_mode) with those
   of the batch. Passes fold the former away wherever they can. */
#include "base/parallel.h"
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/levels.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char *const parameters[] = { "X", "scale", "B", "input_mean", "input_var" };

/* Files of other tools hold scale and B as levels, too. */
static double element(const octet_tensor *tensor, int64_t i)
{
    octet_wide value;
    if (tensor->qparams) {
        float real;
        octet_levels_real_any(&real, tensor, (size_t)i, 1);
        return real;
    }
    octet_wide_load(&value, tensor->data, tensor->dtype, i, 1, 1);
    return value.f;
}

/* The variances, where they are known. */
static octet_status check_variance(const octet_call *call, octet_error *err)
{
    const octet_tensor *const variance = call->in[4];
    const double              epsilon = (double)((const octet_batch_norm_attrs *)call->attrs)->epsilon;
    if (!variance->data) return OCTET_OK;
    for (int64_t c = 0; c < variance->dims[0]; c++) {
        const double v = element(variance, c);
        if (!(v >= 0) || !isfinite(v) || v + epsilon <= 0)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "input_var",
                                    "the variance of channel %" PRId64 " is %g, with epsilon %g: it must be positive",
                                    c, v, epsilon);
    }
    return OCTET_OK;
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    const octet_batch_norm_attrs *const attrs = call->attrs;
    const octet_tensor *const           x = call->in[0];
    for (int i = 1; i < call->out_count; i++)
        if (call->out[i] && (!attrs->training_mode || i > 2))
            return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "training_mode", "output %d exists in training only",
                                    i);
    if (!isfinite(attrs->epsilon) || attrs->epsilon < 0)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "epsilon", "is %g; it must be finite and not negative",
                                (double)attrs->epsilon);
    if (x->rank < 1) return octet_fail(err, OCTET_ERR_SHAPE, "the input is a scalar");
    const int64_t channels = x->rank > 1 ? x->dims[1] : 1;
    for (int i = 1; i < 5; i++) {
        char text[160];
        OCTET_TRY(octet_check_same_type(call, i, parameters[i], err));
        if (call->in[i]->rank != 1 || call->in[i]->dims[0] != channels)
            return octet_fail_field(err, OCTET_ERR_SHAPE, parameters[i],
                                    "has shape %s; the input has %" PRId64 " channels",
                                    octet_shape_text(text, sizeof text, call->in[i]->dims, call->in[i]->rank),
                                    channels);
    }
    if (!attrs->training_mode) OCTET_TRY(check_variance(call, err));
    for (int i = 1; i < call->out_count; i++)
        if (call->out[i]) OCTET_TRY(octet_set_output(call->out[i], x->dtype, &channels, 1, err));
    return octet_set_output(call->out[0], x->dtype, x->dims, x->rank, err);
}

static int64_t plane_size(const octet_tensor *x)
{
    int64_t size = 1;
    for (int i = 2; i < x->rank; i++) size *= x->dims[i];
    return size;
}

/* ---- training: mean and variance of the batch, in scratch as C doubles each ---- */

static size_t scratch_size(const octet_call *call, bool integer)
{
    const octet_batch_norm_attrs *const attrs = call->attrs;
    (void)integer;
    return attrs->training_mode ? 2 * (size_t)call->in[1]->dims[0] * sizeof(double) : 0;
}

static void measure_channel(void *context, size_t c)
{
    const octet_call *const   call = context;
    const octet_tensor *const x = call->in[0];
    const int64_t             channels = call->in[1]->dims[0], size = plane_size(x), count = x->dims[0] * size;
    double *const             mean = (double *)call->scratch + c, *const variance = mean + channels;
    for (int64_t i = 0; i < count; i++) *mean += element(x, (i / size * channels + (int64_t)c) * size + i % size);
    *mean /= (double)count;
    for (int64_t i = 0; i < count; i++) {
        const double d = element(x, (i / size * channels + (int64_t)c) * size + i % size) - *mean;
        *variance += d * d;
    }
    *variance /= (double)count;
}

/* Output which (1: mean, 2: variance) = input * momentum + the batch's * (1 - momentum). */
static void update_running(const octet_call *call, int which)
{
    const octet_batch_norm_attrs *const attrs = call->attrs;
    const int64_t                       channels = call->in[1]->dims[0];
    const double *const                 batch = (const double *)call->scratch + (which - 1) * channels;
    const double                        momentum = (double)attrs->momentum;
    if (!octet_has_output(call, which)) return;
    for (int64_t c = 0; c < channels; c++) {
        const octet_wide value = {.f = element(call->in[2 + which], c) * momentum + batch[c] * (1 - momentum)};
        octet_wide_store(call->out[which]->data, call->out[which]->dtype, c, &value, 1);
    }
}

/* ---- both ---- */

/* Mean (which 1) or variance (2) that channel c is normalized with. */
static double statistic(const octet_call *call, int which, int64_t c)
{
    const octet_batch_norm_attrs *const attrs = call->attrs;
    if (!attrs->training_mode) return element(call->in[2 + which], c);
    return ((const double *)call->scratch)[(which - 1) * call->in[1]->dims[0] + c];
}

/* One image and channel. */
static void normalize_plane(void *context, size_t plane)
{
    const octet_call *const             call = context;
    const octet_batch_norm_attrs *const attrs = call->attrs;
    const octet_tensor *const           x = call->in[0], *const y = call->out[0];
    const int64_t                       channels = call->in[1]->dims[0], c = (int64_t)plane % channels;
    const int64_t                       size = plane_size(x);
    const double k = element(call->in[1], c) / sqrt(statistic(call, 2, c) + (double)attrs->epsilon);
    const double mean = statistic(call, 1, c), shift = element(call->in[2], c);
    octet_wide   row[OCTET_WIDE_ROW];
    for (int64_t i = 0; i < size; i += OCTET_WIDE_ROW) {
        const size_t  n = (size_t)(size - i < OCTET_WIDE_ROW ? size - i : OCTET_WIDE_ROW);
        const int64_t at = (int64_t)plane * size + i;
        octet_wide_load(row, x->data, x->dtype, at, n, 1);
        for (size_t j = 0; j < n; j++) row[j].f = (row[j].f - mean) * k + shift;
        octet_wide_clamp(row, n, y->dtype, &call->node->activation);
        octet_wide_store(y->data, y->dtype, at, row, n);
    }
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    (void)err;
    const octet_tensor *const x = call->in[0];
    octet_call                local = *call;
    const size_t              channels = (size_t)call->in[1]->dims[0];
    if (((const octet_batch_norm_attrs *)call->attrs)->training_mode) {
        memset(call->scratch, 0, scratch_size(call, false));
        octet_parallel(channels, call->threads, measure_channel, &local);
        update_running(call, 1);
        update_running(call, 2);
    }
    octet_parallel((size_t)x->dims[0] * channels, call->threads, normalize_plane, &local);
    return OCTET_OK;
}

/* ---- levels ---- */

static octet_norm_rule rule_of(const octet_call *call, int64_t c)
{
    const octet_qparams *const x = call->in[0]->qparams;
    return (octet_norm_rule){ .scale = x->scale[0], .gamma = (float)element(call->in[1], c),
                              .beta = (float)element(call->in[2], c), .mean = (float)element(call->in[3], c),
                              .variance = (float)element(call->in[4], c),
                              .epsilon = ((const octet_batch_norm_attrs *)call->attrs)->epsilon,
                              .to = octet_level_rule_of(call->out[0]->qparams, 0, &call->node->activation) };
}

static void norm_levels(void *context, size_t plane)
{
    const octet_call *const   call = context;
    const octet_tensor *const x = call->in[0], *const y = call->out[0];
    const size_t              size = (size_t)plane_size(x), channels = (size_t)call->in[1]->dims[0];
    const octet_norm_rule     rule = rule_of(call, (int64_t)(plane % channels));
    float                     affine[2];
    call->profile->norm(affine, &rule);
    for (size_t i = 0; i < size; i += OCTET_WIDE_ROW) {
        const size_t n = size - i < OCTET_WIDE_ROW ? size - i : OCTET_WIDE_ROW, at = plane * size + i;
        int32_t      level[OCTET_WIDE_ROW];
        octet_levels_load(level, x->data, x->dtype, at, n, x->qparams->zero_point[0]);
        for (size_t k = 0; k < n; k++) {
            const float scaled = (float)level[k] * affine[0];
            level[k] = octet_level_round(scaled + affine[1], &rule.to);
        }
        octet_levels_store(y->data, y->dtype, at, level, n);
    }
}

static octet_status forward_integer(const octet_call *call, octet_error *err)
{
    octet_call   local = *call;
    const size_t channels = (size_t)call->in[1]->dims[0];
    if (!call->out[0]->qparams) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the output has no levels");
    for (size_t c = 0; c < channels; c++) {
        const octet_norm_rule rule = rule_of(call, (int64_t)c);
        float                 affine[2];
        call->profile->norm(affine, &rule);
        if (!isfinite(affine[0]) || !isfinite(affine[1]))
            return octet_fail(err, OCTET_ERR_UNSUPPORTED, "channel %zu: the multiplier is not a finite number", c);
    }
    octet_parallel((size_t)call->in[0]->dims[0] * channels, call->threads, norm_levels, &local);
    return OCTET_OK;
}

static const char *refuses_levels(const octet_node *node)
{
    return ((const octet_batch_norm_attrs *)node->attrs)->training_mode ? "statistics of the batch" : NULL;
}

/* ---- gradients, with statistics that are given ---- */

typedef struct channel_sums {
    double dy, dy_x; /* of dy, and of dy * (x - mean) */
} channel_sums;

/* One row: adds to the sums, and dy * k to dx where it is wanted. */
static void add_row(channel_sums *sums, const octet_backward_call *call, const double mean_k[2], int64_t at, size_t n)
{
    const octet_tensor *const x = call->forward->in[0];
    octet_wide                value[OCTET_WIDE_ROW], dy[OCTET_WIDE_ROW];
    octet_wide_load(value, x->data, x->dtype, at, n, 1);
    octet_wide_load(dy, call->dout[0]->data, x->dtype, at, n, 1);
    for (size_t i = 0; i < n; i++) {
        sums->dy += dy[i].f;
        sums->dy_x += dy[i].f * (value[i].f - mean_k[0]);
        dy[i].f *= mean_k[1];
    }
    if (call->din[0]) octet_wide_add(call->din[0]->data, x->dtype, at, dy, n, 1);
}

static void add_parameter(const octet_backward_call *call, int input, int64_t c, double gradient)
{
    const octet_wide value = {.f = gradient};
    if (call->din[input]) octet_wide_add(call->din[input]->data, call->din[input]->dtype, c, &value, 1, 0);
}

static void backward_channel(const octet_backward_call *call, int64_t c)
{
    const octet_batch_norm_attrs *const attrs = call->forward->attrs;
    const octet_tensor *const           x = call->forward->in[0];
    const int64_t                       channels = call->forward->in[1]->dims[0], size = plane_size(x);
    const double scale = element(call->forward->in[1], c), mean = statistic(call->forward, 1, c);
    const double r = 1.0 / sqrt(statistic(call->forward, 2, c) + (double)attrs->epsilon);
    channel_sums sums = { 0 };
    for (int64_t image = 0; image < x->dims[0]; image++)
        for (int64_t i = 0; i < size; i += OCTET_WIDE_ROW)
            add_row(&sums, call, (const double[]){ mean, scale * r }, (image * channels + c) * size + i,
                    (size_t)(size - i < OCTET_WIDE_ROW ? size - i : OCTET_WIDE_ROW));
    add_parameter(call, 1, c, sums.dy_x * r);
    add_parameter(call, 2, c, sums.dy);
    add_parameter(call, 3, c, -sums.dy * scale * r);
    add_parameter(call, 4, c, -0.5 * sums.dy_x * scale * r * r * r);
}

static octet_status backward(const octet_backward_call *call, octet_error *err)
{
    const octet_batch_norm_attrs *const attrs = call->forward->attrs;
    if (attrs->training_mode)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "training_mode",
                                "there is no gradient of statistics that the operator takes from its own batch");
    for (int64_t c = 0; call->dout[0] && c < call->forward->in[1]->dims[0]; c++) backward_channel(call, c);
    return OCTET_OK;
}

#define AT(field) offsetof(octet_batch_norm_attrs, field)

static const octet_attr attrs[] = {
    { "epsilon", OCTET_ATTR_FLOAT, AT(epsilon), .default_f = 1e-5f },
    { "momentum", OCTET_ATTR_FLOAT, AT(momentum), .default_f = 0.9f },
    { "training_mode", OCTET_ATTR_INT, AT(training_mode) },
    { 0 },
};

const octet_op octet_op_batch_normalization = {
    .name = "BatchNormalization",
    .since = 9,
    .min_inputs = 5,
    .max_inputs = 5,
    .min_outputs = 1,
    .max_outputs = 5,
    .types = OCTET_TYPES_FLOAT,
    .attrs = attrs,
    .attrs_size = sizeof(octet_batch_norm_attrs),
    .quant = OCTET_QUANT_RESCALE,
    .flags = OCTET_OP_LINEAR_CLAMP | OCTET_OP_SAMPLES,
    .infer = infer,
    .forward = forward,
    .forward_integer = forward_integer,
    .refuses_levels = refuses_levels,
    .scratch_size = scratch_size,
    .backward = backward,
};
