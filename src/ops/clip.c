/* SPDX-License-Identifier: Apache-2.0 */
/* Clip: data, min, max; for every numeric type. Levels are compared with the bounds' levels. */
#include "ops/check.h"
#include "ops/clamp.h"
#include "ops/gradient.h"
#include "ops/rescale.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <math.h>

static octet_status infer(const octet_call *call, octet_error *err)
{
    OCTET_TRY(octet_check_scalar(call, 1, "min", err));
    OCTET_TRY(octet_check_scalar(call, 2, "max", err));
    return octet_infer_same(call, err);
}

static octet_wide bound(const octet_call *call, int slot, octet_wide absent)
{
    octet_wide value = absent;
    if (octet_has_input(call, slot)) octet_wide_load(&value, call->in[slot]->data, call->in[slot]->dtype, 0, 1, 0);
    return value;
}

static octet_activation bounds_of(const octet_call *call)
{
    return (octet_activation){.on = true,
                              .lo = (float)bound(call, 1, (octet_wide){.f = -(double)INFINITY}).f,
                              .hi = (float)bound(call, 2, (octet_wide){.f = (double)INFINITY}).f};
}

static void clamp_doubles(const octet_call *call)
{
    const double        lo = bound(call, 1, (octet_wide){.f = -(double)INFINITY}).f;
    const double        hi = bound(call, 2, (octet_wide){.f = (double)INFINITY}).f;
    const double *const in = call->in[0]->data;
    double *const       out = call->out[0]->data;
    const int64_t       count = octet_tensor_count(call->in[0]);
    for (int64_t i = 0; i < count; i++) {
        const double raised = in[i] < lo ? lo : in[i];
        out[i] = raised > hi ? hi : raised;
    }
}

static void clamp_floats(const octet_call *call)
{
    const octet_activation bounds = bounds_of(call);
    const float *const     in = call->in[0]->data;
    float *const           out = call->out[0]->data;
    const size_t           count = (size_t)octet_tensor_count(call->in[0]);
    for (size_t i = 0; i < count; i++) {
        const float raised = in[i] < bounds.lo ? bounds.lo : in[i];
        out[i] = raised > bounds.hi ? bounds.hi : raised;
    }
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    (void)err;
    const octet_dtype dtype = call->in[0]->dtype;
    const bool        is_u64 = dtype == OCTET_U64;
    if (dtype == OCTET_F32)
        clamp_floats(call);
    else if (dtype == OCTET_F64)
        clamp_doubles(call);
    else
        octet_clamp_integers(call->out[0], call->in[0], bound(call, 1, (octet_wide){.i = is_u64 ? 0 : INT64_MIN}).i,
                             bound(call, 2, (octet_wide){.i = is_u64 ? -1 : INT64_MAX}).i);
    return OCTET_OK;
}

static octet_status forward_levels(const octet_call *call, octet_error *err)
{
    (void)err;
    const octet_activation bounds = bounds_of(call);
    octet_clamp_levels(call, &bounds);
    return OCTET_OK;
}

/* As PyTorch's clamp: the bounds themselves still pass. */
static octet_status backward(const octet_backward_call *call, octet_error *err)
{
    const octet_tensor *const x = call->forward->in[0];
    const double              lo = bound(call->forward, 1, (octet_wide){.f = -(double)INFINITY}).f;
    const double              hi = bound(call->forward, 2, (octet_wide){.f = (double)INFINITY}).f;
    const int64_t             count = octet_tensor_count(x);
    octet_wide                value[OCTET_WIDE_ROW], row[OCTET_WIDE_ROW];
    (void)err;
    if (!octet_gradient_wanted(call, 0)) return OCTET_OK;
    for (int64_t at = 0; at < count; at += OCTET_WIDE_ROW) {
        const size_t n = count - at < OCTET_WIDE_ROW ? (size_t)(count - at) : OCTET_WIDE_ROW;
        octet_wide_load(value, x->data, x->dtype, at, n, 1);
        octet_wide_load(row, call->dout[0]->data, x->dtype, at, n, 1);
        for (size_t i = 0; i < n; i++) row[i].f = value[i].f >= lo && value[i].f <= hi ? row[i].f : 0.0;
        octet_wide_add(call->din[0]->data, x->dtype, at, row, n, 1);
    }
    return OCTET_OK;
}

const octet_op octet_op_clip = {
    .name = "Clip",
    .since = 11,
    .min_inputs = 1,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_FLOAT | OCTET_TYPES_INT,
    .quant = OCTET_QUANT_SAME,
    .infer = infer,
    .forward = forward,
    .flags = OCTET_OP_ELEMENTWISE | OCTET_OP_SAMPLES,
    .forward_integer = forward_levels,
    .backward = backward,
    .fixed_inputs = 1 << 1 | 1 << 2,
};

/* ---- clamp.h ---- */

/* uint64 compares like int64 once the top bit is flipped. */
void octet_clamp_integers(const octet_tensor *out, const octet_tensor *in, int64_t lo, int64_t hi)
{
    const uint64_t flip = in->dtype == OCTET_U64 ? (uint64_t)1 << 63 : 0;
    const int64_t  low = (int64_t)((uint64_t)lo ^ flip), high = (int64_t)((uint64_t)hi ^ flip);
    const int64_t  count = octet_tensor_count(in);
    octet_wide     row[OCTET_WIDE_ROW];
    for (int64_t at = 0; at < count; at += OCTET_WIDE_ROW) {
        const size_t n = count - at < OCTET_WIDE_ROW ? (size_t)(count - at) : OCTET_WIDE_ROW;
        octet_wide_load(row, in->data, in->dtype, at, n, 1);
        for (size_t i = 0; i < n; i++) {
            const int64_t x = (int64_t)((uint64_t)row[i].i ^ flip), raised = x < low ? low : x;
            row[i].i = (int64_t)((uint64_t)(raised > high ? high : raised) ^ flip);
        }
        octet_wide_store(out->data, out->dtype, at, row, n);
    }
}

void octet_clamp_levels(const octet_call *call, const octet_activation *bounds)
{
    const octet_tensor *const in = call->in[0];
    octet_tensor *const       out = call->out[0];
    const size_t              count = (size_t)octet_tensor_count(in);
    const bool                equal = octet_qparams_equal(in->qparams, out->qparams);
    if (!out->qparams) {
        octet_levels_real(out->data, in, 0, count, 0);
        octet_activation_apply(out->data, count, bounds);
        return;
    }
    const octet_level_rule to = octet_level_rule_of(out->qparams, 0, bounds);
    int32_t                row[OCTET_WIDE_ROW];
    for (size_t at = 0; at < count; at += OCTET_WIDE_ROW) {
        const size_t n = count - at < OCTET_WIDE_ROW ? count - at : OCTET_WIDE_ROW;
        if (equal)
            octet_levels_load(row, in->data, in->dtype, at, n, 0);
        else
            octet_rescale_row(row, in, at, n, &to, call->profile);
        for (size_t i = 0; equal && i < n; i++)
            row[i] = row[i] < to.qmin ? to.qmin : row[i] > to.qmax ? to.qmax : row[i];
        octet_levels_store(out->data, out->dtype, at, row, n);
    }
}
