/* SPDX-License-Identifier: Apache-2.0 */
/* Q/DQ pairs of files become what octet has instead: a FakeQuantize on the value, or a constant of levels. What has no
   such form (levels that enter or leave the graph, parameters computed at run time) stays as the nodes it is. */
#include "onnx/qdq.h"

#include "graph/names.h"
#include "ops/check.h"
#include "ops/levels.h"

#include <math.h>
#include <string.h>

static octet_status at_node(octet_status status, const octet_node *node, octet_error *err)
{
    if (status != OCTET_OK) octet_error_node(err, node->name);
    return status;
}

/* ---- constants ---- */

/* QuantizeLinear of a float constant is computed now: its result becomes an integer constant. */
static octet_status quantize_constant(octet_reader *reader, octet_node *node, bool *changed, octet_error *err)
{
    const octet_tensor *from = node->inputs[0]->constant;
    octet_qparams       qparams;
    bool                known;
    OCTET_TRY(octet_qdq_qparams(&qparams, &known, reader, node, err));
    if (!known || from->dtype != OCTET_F32 || from->qparams || node->outputs[0]->is_output) return OCTET_OK;
    octet_tensor *levels;
    OCTET_TRY(octet_arena_get(&levels, reader->graph->arena, 1, sizeof *levels, err));
    *levels = *from;
    levels->dtype = qparams.dtype;
    const int64_t n = octet_tensor_count(from);
    OCTET_TRY(octet_arena_get(&levels->data, reader->graph->arena, (size_t)n, octet_dtype_size(qparams.dtype), err));
    int64_t inner = 1;
    for (int d = qparams.axis + 1; d < from->rank; d++) inner *= from->dims[d];
    for (int64_t i = 0; i < n; i++) {
        const int64_t          channel = qparams.count > 1 ? i / inner % qparams.count : 0;
        const octet_level_rule rule = octet_level_rule_of(&qparams, channel, NULL);
        int32_t                level;
        octet_profile_octet.quantize(&level, (const float *)from->data + i, 1, &rule);
        octet_levels_store(levels->data, qparams.dtype, (size_t)i, &level, 1);
    }
    octet_value *result = node->outputs[0];
    octet_node_remove(reader->graph, node);
    result->constant = levels;
    *changed = true;
    return OCTET_OK;
}

const char *octet_qdq_bare_name(octet_reader *reader, const char *name)
{
    static const char *const endings[] = {"_q", "_quantized"};
    const size_t             length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t cut = strlen(endings[i]);
        if (length <= cut || strcmp(name + length - cut, endings[i]) != 0) continue;
        const char *bare = octet_arena_format(reader->arena, "%.*s", (int)(length - cut), name);
        return bare && !octet_graph_find_value(reader->graph, bare) ? bare : NULL;
    }
    return NULL;
}

octet_status octet_qdq_make(octet_value **constant, octet_reader *reader, const octet_value *levels,
                            octet_value *result, const octet_qparams *qparams, octet_error *err)
{
    octet_tensor tensor = *levels->constant;
    tensor.qparams = qparams;
    const char *bare = octet_qdq_bare_name(reader, levels->name);
    if (bare) {
        OCTET_TRY(octet_value_new_constant(constant, reader->graph, bare, &tensor, true, err));
        return octet_value_replace(reader->graph, result, *constant, err);
    }
    octet_tensor  *copy = octet_arena_copy_bytes(reader->graph->arena, &tensor, sizeof tensor);
    octet_qparams *copied_q = octet_arena_copy_bytes(reader->graph->arena, qparams, sizeof *qparams);
    if (!copy || !copied_q) return octet_fail_memory(err);
    copy->qparams = copied_q;
    result->constant = copy;
    *constant = result;
    return OCTET_OK;
}

/* DequantizeLinear of an integer constant: its readers read one constant of levels. made[index of the integer
   constant] is the one made before, for files that have one DequantizeLinear for each reader. */
static octet_status dequantize_constant(octet_reader *reader, octet_node *node, octet_value **made, bool *changed,
                                        octet_error *err)
{
    octet_value  *levels = node->inputs[0], *result = node->outputs[0];
    octet_qparams qparams;
    bool          known;
    OCTET_TRY(octet_qdq_qparams(&qparams, &known, reader, node, err));
    if (!known || result->is_output) return OCTET_OK;
    *changed = true;
    octet_node_remove(reader->graph, node);
    octet_value *before = made[levels->index];
    if (before && octet_qdq_same(before->constant->qparams, &qparams))
        return octet_value_replace(reader->graph, result, before, err);
    return octet_qdq_make(&made[levels->index], reader, levels, result, &qparams, err);
}

static bool is_levels(const octet_value *value)
{
    return value->constant && !value->constant->qparams && value->dtype != OCTET_F32;
}

static octet_status read_constants(octet_reader *reader, bool *changed, octet_error *err)
{
    octet_graph *graph = reader->graph;
    bool         any = false;
    for (octet_node *n = graph->first, *next; n; n = next) {
        next = n->next;
        if (octet_is_quantize(n) && n->inputs[0]->constant)
            OCTET_TRY(at_node(quantize_constant(reader, n, &any, err), n, err));
    }
    if (any) octet_graph_sweep(graph);
    octet_value **made;
    OCTET_TRY(octet_arena_get(&made, reader->arena, (size_t)graph->value_count, sizeof *made, err));
    for (octet_node *n = graph->first, *next; n; n = next) {
        next = n->next;
        if (octet_is_dequantize(n) && is_levels(n->inputs[0]))
            OCTET_TRY(at_node(dequantize_constant(reader, n, made, &any, err), n, err));
    }
    *changed |= any;
    return OCTET_OK;
}

/* ---- pairs ---- */

/* PyTorch's exporter writes levels narrower than their type (reduce_range) as a Clip behind QuantizeLinear. */
static octet_node *clip_behind(octet_qparams *qparams, const octet_node *quantize)
{
    octet_node   *clip = octet_value_only_reader(quantize->outputs[0]);
    const int32_t zero = qparams->count ? qparams->zero_point[0] : 0;
    int32_t       bounds[2] = {qparams->qmin, qparams->qmax};
    if (!clip || strcmp(clip->op->name, "Clip") != 0 || clip->inputs[0] != quantize->outputs[0]) return NULL;
    for (int i = 0; i < 2; i++) {
        if (clip->input_count <= 1 + i || !clip->inputs[1 + i]) continue;
        const octet_tensor *bound = clip->inputs[1 + i]->constant;
        if (!bound || bound->dtype != qparams->dtype || octet_tensor_count(bound) != 1) return NULL;
        octet_levels_load(&bounds[i], bound->data, bound->dtype, 0, 1, 0);
    }
    if (bounds[0] > zero || bounds[1] < zero) return NULL;
    qparams->qmin = bounds[0];
    qparams->qmax = bounds[1];
    return clip;
}

/* Whether node is a QuantizeLinear that a FakeQuantize can stand for: per tensor, read by DequantizeLinear nodes of the
   same parameters only. */
static octet_status is_pair(bool *yes, octet_qparams *qparams, octet_reader *reader, const octet_node *node,
                            octet_error *err)
{
    bool known;
    *yes = false;
    OCTET_TRY(octet_qdq_qparams(qparams, &known, reader, node, err));
    const octet_node  *clip = clip_behind(qparams, node);
    const octet_value *levels = clip ? clip->outputs[0] : node->outputs[0];
    bool all = known && qparams->count == 1 && levels->use_count > 0 && !levels->is_output &&
               node->inputs[0]->dtype == OCTET_F32;
    for (size_t i = 0; i < levels->use_count; i++) {
        const octet_node *reader_node = levels->uses[i].node;
        octet_qparams     other;
        if (!octet_is_dequantize(reader_node) || levels->uses[i].slot != 0) {
            all = false;
            continue;
        }
        OCTET_TRY(at_node(octet_qdq_qparams(&other, &known, reader, reader_node, err), reader_node, err));
        all = all && known && octet_qdq_same(qparams, &other);
    }
    *yes = all;
    return OCTET_OK;
}

enum { MANY_READERS = 256 }; /* looking at all readers for each of them must not become quadratic */

/* Whether every reader of value is a QuantizeLinear of these parameters, so that the value itself may carry them. */
static octet_status all_quantize(bool *yes, octet_reader *reader, const octet_value *value,
                                 const octet_qparams *qparams, octet_error *err)
{
    *yes = !value->is_output && value->use_count <= MANY_READERS;
    for (size_t i = 0; *yes && i < value->use_count; i++) {
        const octet_node *node = value->uses[i].node;
        octet_qparams     other;
        bool              pair = false;
        if (octet_is_quantize(node) && value->uses[i].slot == 0)
            OCTET_TRY(at_node(is_pair(&pair, &other, reader, node, err), node, err));
        *yes = pair && octet_qdq_same(qparams, &other);
    }
    return OCTET_OK;
}

static bool ends_with(const char *text, const char *ending)
{
    const size_t a = strlen(text), b = strlen(ending);
    return a >= b && strcmp(text + a - b, ending) == 0;
}

static bool bound_at(float *bound, const octet_node *node, int slot)
{
    if (node->input_count <= slot || !node->inputs[slot]) return false;
    const octet_tensor *tensor = node->inputs[slot]->constant;
    if (!tensor || tensor->dtype != OCTET_F32 || octet_tensor_count(tensor) != 1) return false;
    *bound = *(const float *)tensor->data;
    return true;
}

/* Octet writes a range narrower than its type as a Clip before QuantizeLinear: that range again, and the Clip gone. */
static octet_status read_range(octet_reader *reader, octet_node *quantize, octet_qparams *qparams, octet_error *err)
{
    octet_value *clipped = quantize->inputs[0];
    octet_node  *clip = clipped->producer;
    float        low, high;
    if (!octet_graph_metadata(reader->graph, "octet.version") || !clip || strcmp(clip->op->name, "Clip") != 0)
        return OCTET_OK;
    if (!ends_with(clip->name, "_clip") || clip->inputs[0]->is_output || clip->inputs[0]->use_count != 1)
        return OCTET_OK;
    if (!bound_at(&low, clip, 1) || !bound_at(&high, clip, 2)) return OCTET_OK;
    const double scale = (double)qparams->scale[0], zero = qparams->zero_point[0];
    const double qmin = rint((double)low / scale) + zero, qmax = rint((double)high / scale) + zero;
    if (!(qmin >= qparams->qmin && qmin <= zero && zero <= qmax && qmax <= qparams->qmax)) return OCTET_OK;
    qparams->qmin = (int32_t)qmin;
    qparams->qmax = (int32_t)qmax;
    octet_value *plain = clip->inputs[0];
    octet_node_remove(reader->graph, clip);
    return octet_value_replace(reader->graph, clipped, plain, err);
}

octet_status octet_qdq_attach(octet_reader *reader, octet_value *value, const octet_qparams *qparams, octet_error *err)
{
    octet_fake_quantize *fake;
    OCTET_TRY(octet_arena_get(&fake, reader->graph->arena, 1, sizeof *fake, err));
    fake->qparams = *qparams;
    fake->method = "given";
    value->fake_quantize = fake;
    return OCTET_OK;
}

octet_status octet_qdq_identity(octet_reader *reader, octet_node *before, octet_value *from, octet_value *to,
                             octet_error *err)
{
    octet_node     *node;
    const octet_op *op = octet_op_find("Identity", NULL);
    if (!op) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "operator Identity is not supported");
    const octet_new_node as = { .op = op, .name = to->name, .inputs = 1, .outputs = 1, .before = before };
    OCTET_TRY(octet_node_new(&node, reader->graph, &as, err));
    OCTET_TRY(octet_node_set_input(reader->graph, node, 0, from, err));
    octet_node_set_output(node, 0, to);
    return OCTET_OK;
}

/* The DequantizeLinear of levels whose result keeps its name: a graph output's if there is one. */
static octet_node *heir(const octet_value *levels)
{
    for (size_t i = 0; i < levels->use_count; i++)
        if (levels->uses[i].node->outputs[0]->is_output) return levels->uses[i].node;
    return levels->uses[0].node;
}

octet_status octet_qdq_take_place(octet_graph *graph, octet_value *from, octet_value *to, octet_error *err)
{
    octet_node *producer = from->producer;
    for (int slot = 0; slot < producer->output_count; slot++)
        if (producer->outputs[slot] == from) octet_node_set_output(producer, slot, to);
    return octet_value_replace(graph, from, to, err);
}

/* The value that will stand for the pair, carrying its parameters. It is one of: the quantized value itself, the result
   of a DequantizeLinear in its place, that result as an Identity of it. */
static octet_status choose(octet_value **chosen, octet_reader *reader, octet_node *quantize,
                           const octet_qparams *qparams, octet_error *err)
{
    octet_value *input = quantize->inputs[0];
    *chosen = input;
    if (input->fake_quantize && octet_qdq_same(&input->fake_quantize->qparams, qparams)) return OCTET_OK;
    bool own = false;
    if (!input->fake_quantize) OCTET_TRY(all_quantize(&own, reader, input, qparams, err));
    octet_node  *dequantize = heir(quantize->outputs[0]);
    octet_value *result = dequantize->outputs[0];
    if (own && (!input->producer || !result->is_output)) return octet_qdq_attach(reader, input, qparams, err);
    octet_node_remove(reader->graph, dequantize);
    *chosen = result;
    OCTET_TRY(own ? octet_qdq_take_place(reader->graph, input, result, err)
                  : octet_qdq_identity(reader, quantize, input, result, err));
    return octet_qdq_attach(reader, result, qparams, err);
}

static octet_status collapse(octet_reader *reader, octet_node *quantize, bool *changed, octet_error *err)
{
    octet_graph  *graph = reader->graph;
    octet_value  *levels = quantize->outputs[0], *chosen;
    octet_qparams qparams;
    bool          pair;
    OCTET_TRY(is_pair(&pair, &qparams, reader, quantize, err));
    if (!pair) return OCTET_OK;
    *changed = true;
    octet_node *clip = clip_behind(&qparams, quantize);
    if (clip) {
        octet_value *clipped = clip->outputs[0];
        octet_node_remove(graph, clip);
        OCTET_TRY(octet_value_replace(graph, clipped, levels, err));
    }
    OCTET_TRY(read_range(reader, quantize, &qparams, err));
    OCTET_TRY(choose(&chosen, reader, quantize, &qparams, err));
    while (levels->use_count) {
        octet_node  *dequantize = levels->uses[0].node;
        octet_value *result = dequantize->outputs[0];
        octet_node_remove(graph, dequantize);
        OCTET_TRY(result->is_output ? octet_qdq_identity(reader, quantize, chosen, result, err)
                                    : octet_value_replace(graph, result, chosen, err));
    }
    octet_node_remove(graph, quantize);
    return OCTET_OK;
}

octet_status octet_read_qdq(octet_reader *reader, bool *changed, octet_error *err)
{
    OCTET_TRY(read_constants(reader, changed, err));
    OCTET_TRY(octet_read_real_zeros(reader, changed, err));
    OCTET_TRY(octet_read_border_levels(reader, changed, err));
    octet_node **list;
    size_t       count = 0;
    OCTET_TRY(octet_arena_get(&list, reader->arena, (size_t)reader->graph->node_count, sizeof *list, err));
    for (octet_node *n = reader->graph->first; n; n = n->next)
        if (octet_is_quantize(n) && !n->inputs[0]->constant) list[count++] = n;
    for (size_t i = 0; i < count; i++) OCTET_TRY(at_node(collapse(reader, list[i], changed, err), list[i], err));
    for (octet_node *n = reader->graph->first; n; n = n->next) { /* those that stay must be valid too */
        octet_qparams ignored;
        bool          known;
        if (octet_is_dequantize(n)) OCTET_TRY(at_node(octet_qdq_qparams(&ignored, &known, reader, n, err), n, err));
        if (octet_is_quantize(n) && n->input_count > 2 && octet_read_bits(reader, n->inputs[2]))
            return at_node(octet_fail(err, OCTET_ERR_UNSUPPORTED, "levels of %d bits that leave the graph as such",
                                      octet_read_bits(reader, n->inputs[2])), n, err);
    }
    return OCTET_OK;
}
