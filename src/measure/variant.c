/* SPDX-License-Identifier: Apache-2.0 */
/* Weights and biases become real numbers, parameters change, and everything is made integers by what conversion
   uses. */
#include "measure/variant.h"

#include "base/channels.h"
#include "graph/copy.h"
#include "observe/qparams.h"
#include "ops/mode.h"
#include "passes/integerize.h"
#include "passes/pass.h"

octet_status octet_variant_begin(octet_graph **variant, const octet_pairing *pairing, octet_error *err)
{
    return octet_graph_changed_copy(variant, pairing->quantized, octet_real_constants, err);
}

octet_status octet_variant_end(octet_graph *variant, octet_error *err)
{
    OCTET_TRY(octet_integerize(variant, err));
    return octet_graph_check(variant, err);
}

/* Scale is middle of 2 for levels -a to a, and of u8's 128. */
bool octet_is_symmetric(const octet_qparams *q)
{
    const int64_t twice = 2 * (int64_t)q->zero_point[0] - q->qmin - q->qmax;
    return twice >= -1 && twice <= 1;
}

/* ---- values ---- */

octet_status octet_variant_range(octet_graph *variant, const octet_value *value, octet_range range, bool affine,
                                 octet_error *err)
{
    octet_value *const twin = octet_graph_find_value(variant, value->name);
    octet_affine       parameters;
    float             *scale;
    int32_t           *zero;
    if (!twin || !twin->fake_quantize) return octet_fail(err, OCTET_ERR_ARGUMENT, "'%s' has no levels", value->name);
    octet_qparams *const q = &twin->fake_quantize->qparams;
    const bool symmetric   = !affine && octet_is_symmetric(q);
    octet_qparams_from_range(&parameters, range, q->qmin, q->qmax, symmetric);
    OCTET_TRY(octet_arena_get(&scale, variant->arena, 1, sizeof *scale, err));
    OCTET_TRY(octet_arena_get(&zero, variant->arena, 1, sizeof *zero, err));
    *scale        = parameters.scale;
    *zero         = parameters.zero_point;
    q->scale      = scale;
    q->zero_point = zero;
    return OCTET_OK;
}

/* ---- weights ---- */

/* The float network's weights and bias of the node that makes a value of that name. */
static const octet_node *folded_twin(const octet_pairing *p, const octet_node *node)
{
    const octet_value *const v = octet_graph_find_value(p->folded, node->outputs[0]->name);
    return v ? v->producer : NULL;
}

static octet_status quantize_weight(octet_graph *variant, octet_node *node, bool per_channel, int32_t most,
                                    octet_error *err)
{
    octet_value *const        value    = node->inputs[1];
    const octet_tensor *const w        = value->constant;
    octet_qparams *const      q        = &value->fake_quantize->qparams;
    const int                 axis     = octet_weight_axis(node);
    const int64_t             channels = per_channel || q->count > 1 ? w->dims[axis] : 1;
    const octet_channel_shape shape    = octet_channels_of(w, channels, axis);
    octet_range              *ranges;
    float                    *scale;
    int32_t                  *zero;
    OCTET_TRY(octet_arena_get(&ranges, variant->arena, shape.channels, sizeof *ranges, err));
    OCTET_TRY(octet_arena_get(&scale, variant->arena, shape.channels, sizeof *scale, err));
    OCTET_TRY(octet_arena_get(&zero, variant->arena, shape.channels, sizeof *zero, err));
    octet_range_observe_channels(ranges, w->data, shape.outer, shape.channels, shape.inner);
    for (size_t c = 0; c < shape.channels; c++) {
        octet_affine a;
        octet_qparams_from_range(&a, ranges[c], -most, most, true);
        scale[c] = a.scale;
    }
    *q = (octet_qparams){ .scale = scale, .zero_point = zero, .count = channels, .axis = channels > 1 ? axis : 0,
                          .dtype = OCTET_I8, .qmin = -most, .qmax = most };
    return OCTET_OK;
}

octet_status octet_variant_weights(octet_graph *variant, const octet_pairing *pairing, bool per_channel, int32_t most,
                                   octet_error *err)
{
    for (octet_node *n = variant->first; n; n = n->next) {
        if (!octet_sums_integers(n) || !n->inputs[1]->constant || !n->inputs[1]->fake_quantize) continue;
        const octet_node *const twin = folded_twin(pairing, n);
        if (!twin || !octet_constant_floats(twin->inputs[1])) continue;
        OCTET_TRY(octet_value_set_constant(variant, n->inputs[1], twin->inputs[1]->constant, err));
        const bool biased = n->input_count > 2 && n->inputs[2] && twin->input_count > 2 && twin->inputs[2];
        if (biased && octet_constant_floats(twin->inputs[2]))
            OCTET_TRY(octet_value_set_constant(variant, n->inputs[2], twin->inputs[2]->constant, err));
        OCTET_TRY(quantize_weight(variant, n, per_channel, most, err));
    }
    return OCTET_OK;
}

bool octet_variant_shift(octet_graph *variant, const octet_layer *layer, const double *by, double divisor,
                         size_t channels)
{
    const octet_node *const node = octet_graph_find_node(variant, layer->node->name);
    const octet_value *const bias = node && node->input_count > 2 ? node->inputs[2] : NULL;
    const float *const       old  = octet_constant_floats(bias);
    if (!old || (size_t)octet_tensor_count(bias->constant) != channels) return false;
    float *const b = (float *)bias->constant->data; /* the variant's own: it was just made from levels */
    for (size_t c = 0; c < channels; c++) b[c] = (float)((double)old[c] - by[c] / divisor);
    return true;
}
