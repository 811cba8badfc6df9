/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizations of consecutive elements: LayerNormalization, RMSNormalization, InstanceNormalization and
   GroupNormalization. Each cuts its input into rows, subtracts a row's mean (not RMS), divides by the root of its
   variance plus epsilon, and applies a scale and a shift. They differ in what a row is, and in which entry of scale
   and shift an element reads. On levels: docs/arithmetic.md, all in double, quantized once. */
#include "base/parallel.h"
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/levels.h"
#include "ops/rows.h"
#include "ops/wide.h"
#include "ops/window.h"

#include <inttypes.h>
#include <math.h>

/* Element at reads entry at / inner % entries of scale and shift. */
typedef struct norm_layout {
    int64_t rows, length, inner;
    bool    centred; /* the mean is subtracted */
} norm_layout;

typedef struct norm_run {
    const octet_call *call;
    norm_layout       at;
    double            epsilon;
    octet_level_rule  to; /* levels */
} norm_run;

static int64_t count_from(const octet_tensor *x, int first, int last)
{
    return octet_product(x->dims + first, last - first);
}

/* ---- what a row is; tensors and attributes have been checked by infer ---- */

static int first_axis(const octet_call *call)
{
    int axis = 0;
    octet_check_axis(&axis, ((const octet_norm_attrs *)call->attrs)->axis, call->in[0]->rank, "axis", NULL);
    return axis;
}

static norm_layout layer_layout(const octet_call *call)
{
    const octet_tensor *const x = call->in[0];
    const int                 axis = first_axis(call);
    return (norm_layout){ count_from(x, 0, axis), count_from(x, axis, x->rank), 1, true };
}

static norm_layout rms_layout(const octet_call *call)
{
    norm_layout at = layer_layout(call);
    at.centred = false;
    return at;
}

static norm_layout instance_layout(const octet_call *call)
{
    const octet_tensor *const x = call->in[0];
    const int64_t             inner = count_from(x, 2, x->rank);
    return (norm_layout){ count_from(x, 0, 2), inner, inner, true };
}

static norm_layout group_layout(const octet_call *call)
{
    const octet_tensor *const x = call->in[0];
    const int64_t             groups = ((const octet_norm_attrs *)call->attrs)->num_groups;
    const int64_t             inner = count_from(x, 2, x->rank);
    return (norm_layout){ x->dims[0] * groups, x->dims[1] / groups * inner, inner, true };
}

/* ---- checking files ---- */

static octet_status check_epsilon(const octet_call *call, octet_error *err)
{
    const float epsilon = ((const octet_norm_attrs *)call->attrs)->epsilon;
    if (isfinite(epsilon) && epsilon >= 0) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_FORMAT, "epsilon", "is %g; it must be finite and not negative",
                            (double)epsilon);
}

/* Scale or shift has the shape of x's last dimensions from some axis >= first on (leading ones do not count), or is one
   number: what stretches to a row. */
static octet_status check_row_parameter(const octet_call *call, int slot, const char *name, int first, octet_error *err)
{
    const octet_tensor *const x = call->in[0], *const p = call->in[slot];
    char                      text[128];
    int                       skip = 0;
    OCTET_TRY(octet_check_same_type(call, slot, name, err));
    while (skip < p->rank && p->dims[skip] == 1) skip++;
    bool fits = p->rank - skip <= x->rank - first;
    for (int i = skip; fits && i < p->rank; i++) fits = p->dims[i] == x->dims[x->rank - p->rank + i];
    if (fits) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_SHAPE, name, "has shape %s; the last dimensions of the input are needed",
                            octet_shape_text(text, sizeof text, p->dims, p->rank));
}

static octet_status check_channel_parameter(const octet_call *call, int slot, const char *name, octet_error *err)
{
    char                      text[128];
    const octet_tensor *const x = call->in[0], *const p = call->in[slot];
    OCTET_TRY(octet_check_same_type(call, slot, name, err));
    if (p->rank == 1 && p->dims[0] == x->dims[1]) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_SHAPE, name, "has shape %s; the input has %" PRId64 " channels",
                            octet_shape_text(text, sizeof text, p->dims, p->rank), x->dims[1]);
}

static octet_status check_axis(int *axis, const octet_call *call, octet_error *err)
{
    const octet_norm_attrs *const attrs = call->attrs;
    const octet_tensor *const     x = call->in[0];
    OCTET_TRY(check_epsilon(call, err));
    if (attrs->stash_type != 1)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "stash_type", "only 1 (float) is supported, not %" PRId64,
                                attrs->stash_type);
    OCTET_TRY(octet_check_axis(axis, attrs->axis, x->rank, "axis", err));
    if (count_from(x, *axis, x->rank) < 1)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "axis", "a row has no elements: it has no mean");
    return check_row_parameter(call, 1, "Scale", *axis, err);
}

static octet_status infer_rms(const octet_call *call, octet_error *err)
{
    int axis = 0;
    OCTET_TRY(check_axis(&axis, call, err));
    return octet_infer_same(call, err);
}

static octet_status infer_layer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    int                       axis = 0;
    OCTET_TRY(check_axis(&axis, call, err));
    if (octet_has_input(call, 2)) OCTET_TRY(check_row_parameter(call, 2, "B", axis, err));
    int64_t dims[OCTET_MAX_RANK];
    for (int i = 0; i < x->rank; i++) dims[i] = i < axis ? x->dims[i] : 1;
    for (int i = 1; i < call->out_count; i++)
        if (call->out[i]) OCTET_TRY(octet_set_output(call->out[i], OCTET_F32, dims, x->rank, err));
    return octet_set_output(call->out[0], x->dtype, x->dims, x->rank, err);
}

static octet_status infer_channels(const octet_call *call, int64_t groups, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    OCTET_TRY(check_epsilon(call, err));
    if (x->rank < 3)
        return octet_fail(err, OCTET_ERR_SHAPE, "the input has rank %d; at least 3 is needed (batch, channels, space)",
                          x->rank);
    if (groups && (groups < 0 || x->dims[1] % groups))
        return octet_fail_field(err, OCTET_ERR_SHAPE, "num_groups", "%" PRId64 " groups of %" PRId64 " channels",
                                groups, x->dims[1]);
    if (count_from(x, 1, x->rank) < 1) return octet_fail(err, OCTET_ERR_SHAPE, "channels are empty: they have no mean");
    OCTET_TRY(check_channel_parameter(call, 1, "scale", err));
    OCTET_TRY(check_channel_parameter(call, 2, "B", err));
    return octet_infer_same(call, err);
}

static octet_status infer_instance(const octet_call *call, octet_error *err) { return infer_channels(call, 0, err); }

static octet_status infer_group(const octet_call *call, octet_error *err)
{
    const octet_norm_attrs *const attrs = call->attrs;
    if (attrs->stash_type != 1)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "stash_type", "only 1 (float) is supported, not %" PRId64,
                                attrs->stash_type);
    if (attrs->num_groups < 1)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "num_groups", "is %" PRId64 "; at least 1 is needed",
                                attrs->num_groups);
    return infer_channels(call, attrs->num_groups, err);
}

/* ---- one row ---- */

typedef struct row_statistics {
    double mean, r; /* what is subtracted, what is multiplied by */
} row_statistics;

static double parameter(const norm_run *run, int slot, int64_t at, double missing)
{
    if (!octet_has_input(run->call, slot)) return missing;
    const octet_tensor *const p = run->call->in[slot];
    const int64_t             entry = at / run->at.inner % octet_tensor_count(p);
    return p->dtype == OCTET_F64 ? ((const double *)p->data)[entry] : (double)((const float *)p->data)[entry];
}

static size_t part_of(const norm_run *run, int64_t i)
{
    return (size_t)(run->at.length - i < OCTET_WIDE_ROW ? run->at.length - i : OCTET_WIDE_ROW);
}

static row_statistics measure_real(const norm_run *run, int64_t first)
{
    const octet_tensor *const x = run->call->in[0];
    octet_wide                part[OCTET_WIDE_ROW];
    double                    sum = 0, squares = 0;
    for (int64_t i = 0; run->at.centred && i < run->at.length; i += OCTET_WIDE_ROW) {
        octet_wide_load(part, x->data, x->dtype, first + i, part_of(run, i), 1);
        for (size_t k = 0; k < part_of(run, i); k++) sum += part[k].f;
    }
    const double mean = sum / (double)run->at.length;
    for (int64_t i = 0; i < run->at.length; i += OCTET_WIDE_ROW) {
        octet_wide_load(part, x->data, x->dtype, first + i, part_of(run, i), 1);
        for (size_t k = 0; k < part_of(run, i); k++) squares += (part[k].f - mean) * (part[k].f - mean);
    }
    return (row_statistics){ mean, 1.0 / sqrt(squares / (double)run->at.length + run->epsilon) };
}

/* LayerNormalization's optional results. */
static void store_statistics(const norm_run *run, size_t row, const row_statistics *of)
{
    const double values[2] = { of->mean, of->r };
    for (int i = 0; i < 2; i++)
        if (octet_has_output(run->call, i + 1))
            octet_wide_store(run->call->out[i + 1]->data, run->call->out[i + 1]->dtype, (int64_t)row,
                             &(octet_wide){ .f = values[i] }, 1);
}

static void real_row(void *context, size_t row)
{
    const norm_run *const     run = context;
    const octet_tensor *const x = run->call->in[0], *const y = run->call->out[0];
    const int64_t             first = (int64_t)row * run->at.length;
    const row_statistics      of = measure_real(run, first);
    octet_wide                part[OCTET_WIDE_ROW];
    store_statistics(run, row, &of);
    for (int64_t i = 0; i < run->at.length; i += OCTET_WIDE_ROW) {
        const size_t n = part_of(run, i);
        octet_wide_load(part, x->data, x->dtype, first + i, n, 1);
        for (size_t k = 0; k < n; k++) {
            const int64_t at = first + i + (int64_t)k;
            part[k].f = (part[k].f - of.mean) * of.r * parameter(run, 1, at, 1) + parameter(run, 2, at, 0);
        }
        octet_wide_clamp(part, n, y->dtype, &run->call->node->activation);
        octet_wide_store(y->data, y->dtype, first + i, part, n);
    }
}

/* ---- levels ---- */

static row_statistics measure_levels(const norm_run *run, int64_t first)
{
    const octet_tensor *const x = run->call->in[0];
    const double              scale = (double)x->qparams->scale[0], n = (double)run->at.length;
    int32_t                   part[OCTET_WIDE_ROW];
    int64_t                   sum = 0, squares = 0;
    for (int64_t i = 0; i < run->at.length; i += OCTET_WIDE_ROW) {
        octet_levels_load(part, x->data, x->dtype, (size_t)(first + i), part_of(run, i), x->qparams->zero_point[0]);
        for (size_t k = 0; k < part_of(run, i); k++) {
            sum += part[k];
            squares += (int64_t)part[k] * part[k];
        }
    }
    const double mean = run->at.centred ? (double)sum / n : 0;
    const double variance = ((double)squares / n - mean * mean) * (scale * scale);
    return (row_statistics){ mean * scale, 1.0 / sqrt((variance > 0 ? variance : 0) + run->epsilon) };
}

static void level_row(void *context, size_t row)
{
    const norm_run *const     run = context;
    const octet_tensor *const x = run->call->in[0], *const y = run->call->out[0];
    const int64_t             first = (int64_t)row * run->at.length;
    const double              scale = (double)x->qparams->scale[0];
    const row_statistics      of = measure_levels(run, first);
    int32_t                   part[OCTET_WIDE_ROW];
    for (int64_t i = 0; i < run->at.length; i += OCTET_WIDE_ROW) {
        const size_t n = part_of(run, i);
        octet_levels_load(part, x->data, x->dtype, (size_t)(first + i), n, x->qparams->zero_point[0]);
        for (size_t k = 0; k < n; k++) {
            const int64_t at = first + i + (int64_t)k;
            const double  value = (part[k] * scale - of.mean) * of.r * parameter(run, 1, at, 1) +
                                 parameter(run, 2, at, 0);
            part[k] = octet_level_round((float)value / run->to.scale, &run->to);
        }
        octet_levels_store(y->data, y->dtype, (size_t)(first + i), part, n);
    }
}

/* ---- gradient: xhat = (x - mean) * r; dx = r * (g - mean(g) - xhat * mean(g * xhat)), g = dy * scale ---- */

static double gradient_at(const octet_tensor *dout, int64_t at)
{
    octet_wide value = { .f = 0 };
    if (dout) octet_wide_load(&value, dout->data, dout->dtype, at, 1, 1);
    return value.f;
}

static void add_gradient(const octet_tensor *din, int64_t at, double value)
{
    if (din) octet_wide_add(din->data, din->dtype, at, &(octet_wide){ .f = value }, 1, 1);
}

static void add_parameter_gradient(const octet_backward_call *call, const norm_run *run, int slot, int64_t at,
                                   double value)
{
    if (!octet_has_input(run->call, slot) || !call->din[slot]) return;
    add_gradient(call->din[slot], at / run->at.inner % octet_tensor_count(call->din[slot]), value);
}

static void backward_row(const octet_backward_call *call, const norm_run *run, int64_t row)
{
    const octet_tensor *const x = run->call->in[0];
    const int64_t             first = row * run->at.length, last = first + run->at.length;
    const row_statistics      of = measure_real(run, first);
    const double              n = (double)run->at.length;
    double                    sum = 0, dot = 0;
    for (int64_t at = first; at < last; at++) {
        const double dy = gradient_at(call->dout[0], at), xhat = (gradient_at(x, at) - of.mean) * of.r;
        sum += dy * parameter(run, 1, at, 1);
        dot += dy * parameter(run, 1, at, 1) * xhat;
        add_parameter_gradient(call, run, 1, at, dy * xhat);
        add_parameter_gradient(call, run, 2, at, dy);
    }
    for (int64_t at = first; at < last; at++) {
        const double g = gradient_at(call->dout[0], at) * parameter(run, 1, at, 1);
        const double xhat = (gradient_at(x, at) - of.mean) * of.r;
        add_gradient(call->din[0], at, of.r * (g - (run->at.centred ? sum / n : 0) - xhat * (dot / n)));
    }
}

/* ---- all of them ---- */

static norm_run make_run(const octet_call *call, norm_layout at)
{
    return (norm_run){ .call = call, .at = at, .epsilon = (double)((const octet_norm_attrs *)call->attrs)->epsilon };
}

static octet_status forward(const octet_call *call, norm_layout at)
{
    norm_run run = make_run(call, at);
    octet_parallel((size_t)at.rows, call->threads, real_row, &run);
    return OCTET_OK;
}

static octet_status forward_levels(const octet_call *call, norm_layout at, octet_error *err)
{
    norm_run run = make_run(call, at);
    if (!call->out[0]->qparams) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the output has no levels");
    run.to = octet_level_rule_of(call->out[0]->qparams, 0, &call->node->activation);
    octet_parallel((size_t)at.rows, call->threads, level_row, &run);
    return OCTET_OK;
}

static octet_status backward(const octet_backward_call *call, norm_layout at, octet_error *err)
{
    for (int i = 1; i < call->forward->out_count; i++)
        if (call->dout[i])
            return octet_fail(err, OCTET_ERR_UNSUPPORTED, "there is no gradient of a row's mean or deviation");
    if (!call->dout[0]) return OCTET_OK;
    const norm_run run = make_run(call->forward, at);
    for (int64_t row = 0; row < at.rows; row++) backward_row(call, &run, row);
    return OCTET_OK;
}

/* Statistics that somebody reads are real numbers of real numbers. */
static const char *refuses_levels(const octet_node *node)
{
    for (int i = 1; i < node->output_count; i++)
        if (node->outputs[i]) return "its mean or deviation is read, too";
    return NULL;
}

#define NORM(name)                                                                      \
    static octet_status name##_forward(const octet_call *call, octet_error *err)        \
    {                                                                                   \
        (void)err;                                                                      \
        return forward(call, name##_layout(call));                                      \
    }                                                                                   \
    static octet_status name##_levels(const octet_call *call, octet_error *err)         \
    {                                                                                   \
        return forward_levels(call, name##_layout(call), err);                          \
    }                                                                                   \
    static octet_status name##_backward(const octet_backward_call *call, octet_error *err) \
    {                                                                                   \
        return backward(call, name##_layout(call->forward), err);                       \
    }

NORM(layer)
NORM(rms)
NORM(instance)
NORM(group)

#define AT(field) offsetof(octet_norm_attrs, field)
#define EPSILON { "epsilon", OCTET_ATTR_FLOAT, AT(epsilon), .default_f = 1e-5f }
#define STASH_TYPE { "stash_type", OCTET_ATTR_INT, AT(stash_type), .default_i = 1 }

static const octet_attr row_attrs[] = {
    { "axis", OCTET_ATTR_INT, AT(axis), .default_i = -1 },
    EPSILON,
    STASH_TYPE,
    { 0 },
};

static const octet_attr instance_attrs[] = {
    EPSILON,
    { 0 },
};

static const octet_attr group_attrs[] = {
    EPSILON,
    { "num_groups", OCTET_ATTR_INT, AT(num_groups), .required = true },
    STASH_TYPE,
    { 0 },
};

#define SHARED(name)                                                                              \
    .types = OCTET_TYPES_FLOAT, .attrs_size = sizeof(octet_norm_attrs), .quant = OCTET_QUANT_RESCALE, \
    .forward = name##_forward, .forward_integer = name##_levels, .backward = name##_backward,     \
    .refuses_levels = refuses_levels, .parameters = 1u << 1 | 1u << 2

const octet_op octet_op_layer_normalization = {
    .name = "LayerNormalization", .since = 17, .min_inputs = 2, .max_inputs = 3, .min_outputs = 1, .max_outputs = 3,
    .attrs = row_attrs, .flags = OCTET_OP_LINEAR_CLAMP, .infer = infer_layer, SHARED(layer),
};

const octet_op octet_op_rms_normalization = {
    .name = "RMSNormalization", .since = 23, .min_inputs = 2, .max_inputs = 2, .min_outputs = 1, .max_outputs = 1,
    .attrs = row_attrs, .flags = OCTET_OP_LINEAR_CLAMP | OCTET_OP_ONE_DATA, .infer = infer_rms, SHARED(rms),
};

const octet_op octet_op_instance_normalization = {
    .name = "InstanceNormalization", .since = 6, .min_inputs = 3, .max_inputs = 3, .min_outputs = 1, .max_outputs = 1,
    .attrs = instance_attrs, .flags = OCTET_OP_LINEAR_CLAMP | OCTET_OP_SAMPLES, .infer = infer_instance,
    SHARED(instance),
};

const octet_op octet_op_group_normalization = {
    .name = "GroupNormalization", .since = 21, .min_inputs = 3, .max_inputs = 3, .min_outputs = 1, .max_outputs = 1,
    .attrs = group_attrs, .flags = OCTET_OP_LINEAR_CLAMP | OCTET_OP_SAMPLES, .infer = infer_group, SHARED(group),
};
