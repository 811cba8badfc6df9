/* SPDX-License-Identifier: Apache-2.0 */
/* What write_dynamic.c writes, and other tools with it: an integer product of what DynamicQuantizeLinear makes, cast
   and scaled, is one node whose input becomes levels when it runs. What differs in any respect stays as it is. */
#include "graph/attrs.h"
#include "onnx/dynamic.h"
#include "onnx/qdq.h"
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/wide.h"

#include <math.h>
#include <string.h>

/* The nodes that one layer was written as. */
typedef struct pattern {
    octet_node        *quantize, *product, *transpose, *cast, *unit, *scaled, *add; /* transpose, add: NULL for none */
    octet_value       *levels, *bias;
    const octet_value *scale, *zero_point; /* of the weights; zero_point NULL: 0 */
    bool               is_conv;
    int64_t            channels;
} pattern;

static bool is_op(const octet_node *node, const char *op) { return node && !strcmp(node->op->name, op); }

static octet_value *other_input(const octet_node *node, const octet_value *value)
{
    return node->inputs[node->inputs[0] == value];
}

/* Constant weights of s8, or the Transpose of some. */
static bool find_levels(pattern *p)
{
    octet_value *at = p->product->inputs[1];
    if (!p->is_conv && is_op(at->producer, "Transpose") && at->rank == 2) {
        const octet_ints *const perm = octet_attr_get(at->producer->attrs, octet_attr_find(at->producer->op, "perm"));
        p->transpose = at->producer;
        if (perm->count && perm->at[0] != 1) return false;
        at = p->transpose->inputs[0];
    }
    p->levels = at;
    if (!at->constant || at->constant->dtype != OCTET_I8 || at->constant->qparams) return false;
    const octet_tensor *const w = at->constant;
    if (p->is_conv ? w->rank < 3 : w->rank != 2) return false;
    p->channels = w->dims[p->is_conv || p->transpose ? 0 : 1];
    return p->channels > 0 && octet_tensor_count(w) / p->channels <= 65536; /* no sum of u8 * s8 leaves int32 */
}

/* The Mul of both scales, of which one is the input's. */
static bool find_unit(pattern *p, const octet_value *unit)
{
    p->unit = unit->producer;
    if (!is_op(p->unit, "Mul")) return false;
    octet_value *const scale = p->quantize->outputs[1];
    if (p->unit->inputs[0] != scale && p->unit->inputs[1] != scale) return false;
    p->scale = other_input(p->unit, scale);
    return p->scale->constant && p->scale->constant->dtype == OCTET_F32;
}

/* Whether t has one entry, or one for each channel where Add and Mul stretch it along them. */
static bool runs_along_channels(const pattern *p, const octet_tensor *t)
{
    const int64_t count = octet_tensor_count(t);
    if (count == 1) return t->rank <= 1;
    if (count != p->channels) return false;
    return p->is_conv ? t->rank == p->levels->rank - 1 && t->dims[0] == count : t->rank == 1;
}

static bool scales_fit(const pattern *p)
{
    const octet_tensor *const s = p->scale->constant, *const z = p->zero_point ? p->zero_point->constant : NULL;
    if (!runs_along_channels(p, s) || (p->zero_point && (!z || z->dtype != OCTET_I8))) return false;
    for (int64_t i = 0; i < octet_tensor_count(s); i++)
        if (!isnormal(((const float *)s->data)[i]) || ((const float *)s->data)[i] <= 0) return false;
    return !z || octet_tensor_count(z) == octet_tensor_count(s) || octet_tensor_count(z) == 1;
}

/* A bias that Gemm or Conv takes. MatMul's Add is left to the pass that makes Gemm of both. */
static void find_bias(pattern *p)
{
    octet_value *const product = p->scaled->outputs[0];
    octet_node *const  add = octet_value_only_reader(product);
    if ((!p->is_conv && (!p->transpose || product->rank != 2)) || !is_op(add, "Add")) return;
    octet_value *const bias = other_input(add, product);
    if (!bias->constant || bias->constant->dtype != OCTET_F32 || bias->constant->qparams ||
        octet_tensor_count(bias->constant) != p->channels || !runs_along_channels(p, bias->constant) ||
        (p->is_conv && bias->constant->rank != p->levels->rank - 1))
        return;
    p->add = add;
    p->bias = bias;
}

static bool find(pattern *p, octet_node *product)
{
    *p = (pattern){ .product = product, .is_conv = is_op(product, "ConvInteger") };
    if (!p->is_conv && !is_op(product, "MatMulInteger")) return false;
    octet_node *const d = p->quantize = product->inputs[0]->producer;
    if (!is_op(d, "DynamicQuantizeLinear") || product->input_count < 3 || product->inputs[0] != d->outputs[0] ||
        product->inputs[2] != d->outputs[2] || d->inputs[0]->rank < 1)
        return false;
    p->zero_point = product->input_count > 3 ? product->inputs[3] : NULL;
    p->cast = octet_value_only_reader(product->outputs[0]);
    if (!is_op(p->cast, "Cast") || p->cast->outputs[0]->dtype != OCTET_F32) return false;
    p->scaled = octet_value_only_reader(p->cast->outputs[0]);
    if (!is_op(p->scaled, "Mul") || !find_levels(p)) return false;
    if (p->transpose && d->inputs[0]->rank != 2) return false;
    if (!find_unit(p, other_input(p->scaled, p->cast->outputs[0])) || !scales_fit(p)) return false;
    find_bias(p);
    return true;
}

/* ---- the node instead ---- */

static octet_status make_weight(octet_value **weight, octet_reader *reader, const pattern *p, octet_error *err)
{
    octet_tensor  tensor = *p->levels->constant;
    octet_qparams q = { .scale = p->scale->constant->data, .count = octet_tensor_count(p->scale->constant),
                        .axis = p->is_conv || p->transpose ? 0 : 1, .dtype = OCTET_I8, .qmin = INT8_MIN,
                        .qmax = INT8_MAX };
    const octet_tensor *const z = p->zero_point ? p->zero_point->constant : NULL;
    const char *const         bare = octet_qdq_bare_name(reader, p->levels->name);
    int32_t                  *points;
    OCTET_TRY(octet_arena_get(&points, reader->graph->arena, (size_t)q.count, sizeof *points, err));
    for (int64_t i = 0; z && i < q.count; i++)
        points[i] = ((const int8_t *)z->data)[octet_tensor_count(z) > 1 ? i : 0];
    q.zero_point = points;
    if (q.count == 1) q.axis = 0;
    tensor.qparams = &q;
    OCTET_TRY(octet_value_new_near(weight, reader->graph, bare ? bare : p->levels->name, err));
    return octet_value_set_constant(reader->graph, *weight, &tensor, err);
}

/* Conv's bias has one dimension. */
static octet_status flatten_bias(octet_reader *reader, const pattern *p, octet_error *err)
{
    octet_tensor flat = *p->bias->constant;
    if (!p->is_conv || flat.rank == 1) return OCTET_OK;
    flat.rank = 1;
    return octet_value_set_constant(reader->graph, p->bias, &flat, err);
}

static void remove_unread(octet_graph *graph, octet_node *node)
{
    bool read = !node;
    for (int i = 0; !read && i < node->output_count; i++)
        read = node->outputs[i] && (node->outputs[i]->use_count || node->outputs[i]->is_output);
    if (!read) octet_node_remove(graph, node);
}

static octet_status replace(octet_reader *reader, pattern *p, octet_error *err)
{
    octet_graph *const   graph = reader->graph;
    octet_value *const   x = p->quantize->inputs[0], *const y = (p->add ? p->add : p->scaled)->outputs[0];
    const char *const    op = p->is_conv ? "Conv" : p->transpose ? "Gemm" : "MatMul", *const name = p->product->name;
    const void *const    attrs = p->product->attrs;
    octet_node *const    before = (p->add ? p->add : p->scaled)->next;
    octet_value         *weight;
    octet_node          *node;
    OCTET_TRY(make_weight(&weight, reader, p, err));
    if (p->add) octet_node_remove(graph, p->add);
    octet_node_remove(graph, p->scaled);
    octet_node_remove(graph, p->cast);
    octet_node_remove(graph, p->product);
    remove_unread(graph, p->unit);
    remove_unread(graph, p->transpose);
    remove_unread(graph, p->quantize);
    const octet_new_node as = { .op = octet_op_find(op, NULL), .name = name, .inputs = p->add ? 3 : 2, .outputs = 1,
                                .before = before };
    OCTET_TRY(octet_node_new(&node, graph, &as, err));
    OCTET_TRY(octet_node_set_input(graph, node, 0, x, err));
    OCTET_TRY(octet_node_set_input(graph, node, 1, weight, err));
    if (p->add) OCTET_TRY(flatten_bias(reader, p, err));
    if (p->add) OCTET_TRY(octet_node_set_input(graph, node, 2, p->bias, err));
    octet_node_set_output(node, 0, y);
    if (p->is_conv) memcpy(node->attrs, attrs, node->op->attrs_size);
    if (p->transpose) ((octet_gemm_attrs *)node->attrs)->trans_b = 1;
    node->dynamic = OCTET_DYNAMIC_TENSOR;
    return OCTET_OK;
}

/* ---- halves ---- */

/* What write_qdq.c writes of halves, widened by the reader: a Cast of the constant NAME_f16 to NAME. */
static octet_status read_half(octet_reader *reader, octet_node *cast, octet_error *err)
{
    octet_value *const  value = cast->outputs[0];
    const octet_tensor *floats = cast->inputs[0]->constant;
    octet_node_remove(reader->graph, cast);
    value->half = true;
    return octet_value_set_constant(reader->graph, value, floats, err);
}

static bool is_half(const octet_node *n)
{
    const octet_value *const x = is_op(n, "Cast") ? n->inputs[0] : NULL, *const y = x ? n->outputs[0] : NULL;
    if (!x || !x->constant || x->constant->dtype != OCTET_F32 || x->constant->qparams || y->is_output) return false;
    const size_t length = strlen(y->name);
    if (strncmp(x->name, y->name, length) != 0 || strcmp(x->name + length, "_f16") != 0) return false;
    for (int64_t i = 0; i < octet_tensor_count(x->constant); i++) {
        const double real = (double)((const float *)x->constant->data)[i];
        if (octet_half_to_double(octet_half_from_double(real)) != real) return false;
    }
    return y->dtype == OCTET_F32;
}

/* ---- metadata ---- */

static void read_metadata(octet_graph *graph)
{
    const size_t prefix = strlen(OCTET_DYNAMIC_METADATA);
    for (size_t i = 0; i < graph->metadata_count; i++) {
        const octet_metadata *const m = &graph->metadata[i];
        if (strncmp(m->key, OCTET_DYNAMIC_METADATA, prefix) != 0) continue;
        octet_node *const node = octet_graph_find_node(graph, m->key + prefix);
        for (int d = 1; node && d < OCTET_DYNAMIC_COUNT; d++)
            if (!strcmp(octet_dynamic_name((octet_dynamic)d), m->value)) node->dynamic = (octet_dynamic)d;
    }
}

octet_status octet_read_dynamic(octet_reader *reader, bool *changed, octet_error *err)
{
    pattern p;
    for (octet_node *n = reader->graph->first, *next; n; n = next) {
        next = n->next;
        if (!is_half(n)) continue;
        OCTET_TRY(read_half(reader, n, err));
        *changed = true;
    }
    for (octet_node *n = reader->graph->first, *next; n; n = next) {
        next = n->next;
        if (!find(&p, n)) continue;
        while (next && (next == p.cast || next == p.unit || next == p.scaled || next == p.add || next == p.transpose ||
                        next == p.quantize))
            next = next->next;
        OCTET_TRY(replace(reader, &p, err));
        *changed = true;
    }
    read_metadata(reader->graph);
    return OCTET_OK;
}
