/* SPDX-License-Identifier: Apache-2.0 */
/* Requantization of sums: reads the parameters of a call's tensors into one rule per output channel, and applies it
   to rows. */
#include "ops/mac.h"

#include "ops/check.h"
#include "ops/levels.h"

#include <inttypes.h>
#include <math.h>

bool octet_mac_is_wide(const octet_call *call)
{
    return octet_dtype_size(call->in[0]->dtype) > 1 || octet_dtype_size(call->in[1]->dtype) > 1;
}

static octet_status check_weights(const octet_call *call, int64_t channels, int weight_axis, octet_error *err)
{
    const octet_qparams *const x = call->in[0]->qparams, *const w = call->in[1]->qparams;
    if (!x || !w) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "both inputs must be quantized");
    if (x->count != 1) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "input 0 is quantized per channel");
    if (w->count != 1 && (w->axis != weight_axis || w->count != channels))
        return octet_fail(err, OCTET_ERR_UNSUPPORTED,
                          "the weights have %" PRId64 " scales along axis %d; %" PRId64 " along axis %d are needed",
                          w->count, w->axis, channels, weight_axis);
    return OCTET_OK;
}

/* An integer bias in units of the sums is added exactly; any other bias is a real number. */
static void set_bias(octet_mac_rule *rule, const octet_mac_terms *terms, int64_t channel)
{
    const octet_tensor *const tensor = terms->bias;
    const size_t              at = octet_tensor_count(tensor) > 1 ? (size_t)channel : 0;
    if (tensor->dtype == OCTET_F32) {
        rule->bias = ((const float *)tensor->data)[at] * terms->bias_factor;
        return;
    }
    int32_t level = 0;
    octet_levels_load(&level, tensor->data, tensor->dtype, at, 1, 0);
    const octet_qparams *const qparams = tensor->qparams;
    const double               unit = (double)rule->input_scale * rule->weight_scale;
    const int64_t              entry = qparams ? octet_qparams_index(qparams, channel) : 0;
    const double               scale = qparams ? (double)qparams->scale[entry] * terms->bias_factor : unit;
    const int32_t              zero_point = qparams ? qparams->zero_point[entry] : 0;
    if (fabs(scale - unit) <= 1e-6 * unit)
        rule->bias_level = (int32_t)((uint32_t)level - (uint32_t)zero_point);
    else
        rule->bias = (float)(((double)level - zero_point) * scale);
}

static octet_status check_bias(const octet_tensor *bias, int64_t channels, octet_error *err)
{
    if (!bias) return OCTET_OK;
    const int64_t count = octet_tensor_count(bias);
    if (count != channels && count != 1)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the bias has %" PRId64 " entries; one per channel is needed",
                          count);
    if (bias->dtype != OCTET_F32 && bias->dtype != OCTET_I32 && !bias->qparams)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "a bias of type %s cannot be added to levels",
                          octet_dtype_name(bias->dtype));
    return OCTET_OK;
}

static bool zero_points(const octet_qparams *qparams)
{
    bool any = false;
    for (int64_t i = 0; i < qparams->count; i++) any = any || qparams->zero_point[i];
    return any;
}

octet_status octet_mac_rules(octet_mac_rule *rules, int64_t channels, const octet_call *call,
                             const octet_mac_terms *terms, octet_error *err)
{
    OCTET_TRY(check_weights(call, terms->groups ? channels / terms->groups : channels, terms->weight_axis, err));
    OCTET_TRY(check_bias(terms->bias, channels, err));
    const octet_qparams *const x = call->in[0]->qparams, *const w = call->in[1]->qparams;
    const octet_qparams *const y = call->out[0]->qparams;
    const bool convolves = terms->convolution_groups > 0 && terms->convolution_groups <= 100 && !zero_points(w);
    for (int64_t c = 0; c < channels; c++) {
        octet_mac_rule *const rule = &rules[c];
        *rule = (octet_mac_rule){ .input_scale = x->scale[0],
                                  .weight_scale = w->scale[c % w->count] * terms->factor,
                                  .per_channel = w->count > 1,
                                  .convolves = convolves,
                                  .real = !y };
        if (y)
            rule->to = octet_level_rule_of(y, 0, &call->node->activation);
        else
            rule->to.scale = call->real_unit > 0 ? call->real_unit : 1.0f;
        if (terms->bias) set_bias(rule, terms, c);
        if (!call->profile->mac_prepare(rule))
            return octet_fail(err, OCTET_ERR_UNSUPPORTED,
                              "channel %" PRId64 ": scales %g and %g to %g, bias %g: the multiplier is not a normal "
                              "number or the bias does not fit int32",
                              c, (double)rule->input_scale, (double)rule->weight_scale, (double)rule->to.scale,
                              (double)rule->bias);
    }
    return OCTET_OK;
}

enum { CHUNK = 256 };

static void store_real(const octet_call *call, const octet_mac_rule *rule, float *real, size_t n)
{
    if (rule->to.scale == 1.0f) octet_activation_apply(real, n, &call->node->activation);
}

static void scatter(float *to, size_t step, const float *real, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i * step] = real[i];
}

void octet_mac_store(const octet_call *call, const octet_mac_rule *rule, const int32_t *sum, size_t first, size_t step,
                     size_t n)
{
    octet_tensor *const out = call->out[0];
    for (size_t done = 0; done < n; done += CHUNK) {
        const size_t count = n - done < CHUNK ? n - done : CHUNK, at = first + done * step;
        if (rule->real) {
            float real[CHUNK];
            call->profile->mac_real(real, sum + done, count, rule);
            store_real(call, rule, real, count);
            scatter((float *)out->data + at, step, real, count);
        } else {
            int32_t level[CHUNK];
            call->profile->mac_levels(level, sum + done, count, rule);
            if (step == 1)
                octet_levels_store(out->data, out->dtype, at, level, count);
            else
                octet_levels_store_strided(out->data, out->dtype, at, step, level, count);
        }
    }
}

void octet_mac_store_wide(const octet_call *call, const octet_mac_rule *rule, const int64_t *sum, size_t first,
                          size_t step, size_t n)
{
    octet_tensor *const out = call->out[0];
    for (size_t i = 0; i < n; i++) {
        float t = (float)(sum[i] + rule->bias_level) * rule->multiplier;
        if (rule->real) {
            store_real(call, rule, &t, 1);
            ((float *)out->data)[first + i * step] = t;
        } else {
            const int32_t level = octet_level_round(t, &rule->to);
            octet_levels_store(out->data, out->dtype, first + i * step, &level, 1);
        }
    }
}
