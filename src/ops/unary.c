/* SPDX-License-Identifier: Apache-2.0 */
/* What all functions of one number share: running them on real tensors, on levels, and backwards (unary.h). */
#include "ops/unary.h"

#include "ops/gradient.h"
#include "ops/levels.h"

octet_status octet_infer_alpha(const octet_call *call, octet_error *err)
{
    const octet_unary_attrs *const attrs = call->attrs;
    if (!isfinite(attrs->alpha)) return octet_fail_field(err, OCTET_ERR_FORMAT, "alpha", "a finite number is needed");
    return octet_infer_same(call, err);
}

octet_status octet_infer_alpha_beta(const octet_call *call, octet_error *err)
{
    const octet_unary_attrs *const attrs = call->attrs;
    if (!isfinite(attrs->beta)) return octet_fail_field(err, OCTET_ERR_FORMAT, "beta", "a finite number is needed");
    return octet_infer_alpha(call, err);
}

/* ---- real numbers and integers ---- */

octet_status octet_unary_rows(const octet_call *call, octet_unary_change *change, const void *with)
{
    const octet_tensor *const in = call->in[0], *const out = call->out[0];
    const int64_t             count = octet_tensor_count(in);
    octet_wide                row[OCTET_WIDE_ROW];
    for (int64_t at = 0; at < count; at += OCTET_WIDE_ROW) {
        const size_t n = count - at < OCTET_WIDE_ROW ? (size_t)(count - at) : OCTET_WIDE_ROW;
        octet_wide_load(row, in->data, in->dtype, at, n, 1);
        change(row, n, call, with);
        octet_wide_store(out->data, out->dtype, at, row, n);
    }
    return OCTET_OK;
}

static void apply_value(octet_wide *row, size_t n, const octet_call *call, const void *with)
{
    const octet_unary *const function = with;
    for (size_t i = 0; i < n; i++) row[i].f = function->value(row[i].f, call->attrs);
}

octet_status octet_unary_forward(const octet_call *call, const octet_unary *function)
{
    const octet_tensor *const in = call->in[0];
    if (in->dtype != OCTET_F32) return octet_unary_rows(call, apply_value, function);
    function->row(call->out[0]->data, in->data, (size_t)octet_tensor_count(in), call->attrs);
    return OCTET_OK;
}

/* ---- gradients ---- */

octet_status octet_unary_backward(const octet_backward_call *call, const octet_unary *function)
{
    const octet_tensor *const x = call->forward->in[0];
    if (!octet_gradient_wanted(call, 0)) return OCTET_OK;
    octet_slope_row *const slope = x->dtype == OCTET_F32 ? function->slope_f32 : function->slope_f64;
    slope(call->din[0]->data, call->dout[0]->data, x->data, (size_t)octet_tensor_count(x), call->forward->attrs);
    return OCTET_OK;
}

/* ---- levels ---- */

static octet_table_rule table_rule(const octet_call *call, const octet_unary *function, bool tail)
{
    return (octet_table_rule){ .op = call->node->op->name, .value = function->value, .attrs = call->attrs,
                               .from = octet_level_rule_of(call->in[0]->qparams, 0, NULL),
                               .to = octet_level_rule_of(call->out[0]->qparams, 0, NULL), .tail = tail };
}

/* The elements from at to last: bytes through a table, wider levels one by one. */
static void table_part(const octet_call *call, const octet_unary *function, size_t at, size_t last, bool tail)
{
    const octet_tensor *const in = call->in[0];
    octet_table_rule          rule = table_rule(call, function, tail);
    const int32_t             lowest = in->dtype == OCTET_I8 ? -128 : 0;
    const bool                bytes = octet_dtype_size(in->dtype) == 1;
    int32_t                   table[256], row[OCTET_WIDE_ROW];
    rule.first = lowest;
    if (bytes && at < last) call->profile->table(table, 256, &rule);
    for (; at < last; at += OCTET_WIDE_ROW) {
        const size_t n = last - at < OCTET_WIDE_ROW ? last - at : OCTET_WIDE_ROW;
        octet_levels_load(row, in->data, in->dtype, at, n, bytes ? lowest : 0);
        for (size_t i = 0; i < n; i++)
            if (bytes)
                row[i] = table[row[i]];
            else {
                rule.first = row[i];
                call->profile->table(&row[i], 1, &rule);
            }
        octet_levels_store(call->out[0]->data, call->out[0]->dtype, at, row, n);
    }
}

octet_status octet_unary_levels(const octet_call *call, const octet_unary *function)
{
    const size_t count = (size_t)octet_tensor_count(call->in[0]), block = call->profile->table_block;
    const size_t body = block ? count / block * block : count;
    table_part(call, function, 0, body, false);
    table_part(call, function, body, count, true);
    return OCTET_OK;
}
