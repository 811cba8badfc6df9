/* SPDX-License-Identifier: Apache-2.0 */
/* A graph as a model: nodes in their order, each with the nodes it absorbed behind it and its Q/DQ around it. */
#include "onnx/dynamic.h"
#include "onnx/onnx.pb-c.h"
#include "onnx/write.h"
#include "ops/mode.h"

#include "graph/attrs.h"

#include <math.h>
#include <string.h>

enum { OPSET_LOW = 13 };

static void *unconst(const void *p) { return (void *)(uintptr_t)p; }

/* ---- one node ---- */

/* The name that a node gives to value: its own, unless that is needed for a graph output's dequantized numbers. */
static octet_status result_name(const char **name, octet_writer *writer, const octet_value *value)
{
    *name = value->name;
    if (!value->is_output || !octet_write_qparams(writer, value)) return OCTET_OK;
    const char *near = octet_arena_format(writer->arena, "%s_real", value->name);
    if (!near) return octet_fail_memory(writer->err);
    OCTET_TRY(octet_write_name(&writer->written[value->index].result, writer, writer->value_names, near));
    *name = writer->written[value->index].result;
    return OCTET_OK;
}

/* A value between a node and what it absorbed. */
static octet_status inner_name(const char **name, octet_writer *writer, const char *near, const octet_value *like)
{
    OCTET_TRY(octet_write_name(name, writer, writer->value_names, near));
    return octet_write_info(writer, *name, like->dtype, like);
}

static octet_status write_batch_norm(octet_writer *writer, const octet_batch_norm *bn, const char *from, const char *to)
{
    const struct {
        const char  *ending;
        const float *data;
    } parts[4] = {{"scale", bn->gamma}, {"bias", bn->beta}, {"mean", bn->mean}, {"var", bn->variance}};
    const char *inputs[5] = {from};
    for (int i = 0; i < 4; i++) {
        const octet_tensor tensor = {
            .dtype = OCTET_F32, .rank = 1, .dims = {bn->channels}, .data = unconst(parts[i].data)};
        const char *near = octet_arena_format(writer->arena, "%s_%s", bn->name, parts[i].ending);
        if (!near) return octet_fail_memory(writer->err);
        OCTET_TRY(octet_write_name(&inputs[1 + i], writer, writer->value_names, near));
        OCTET_TRY(octet_write_initializer(writer, inputs[1 + i], &tensor));
    }
    Onnx__NodeProto *node;
    OCTET_TRY(octet_write_node(&node, writer, &(octet_write_spec){"BatchNormalization", bn->name, inputs, 5, &to, 1}));
    if (bn->epsilon != 1e-5f) OCTET_TRY(octet_write_float(writer, node, "epsilon", bn->epsilon));
    return bn->momentum != 0.9f ? octet_write_float(writer, node, "momentum", bn->momentum) : OCTET_OK;
}

static octet_status write_activation(octet_writer *writer, const octet_activation *act, const char *from,
                                     const char *to)
{
    const float bounds[2] = {act->lo, act->hi};
    const char *inputs[3] = {from};
    const bool  clip = strcmp(act->op, "Clip") == 0;
    int         count = 1;
    for (int i = 0; clip && i < 2; i++) {
        if (isinf(bounds[i])) continue;
        const char        *near = octet_arena_format(writer->arena, "%s_%s", act->name, i ? "max" : "min");
        float             *bound = octet_arena_copy_bytes(writer->arena, &bounds[i], sizeof bounds[i]);
        const octet_tensor tensor = {.dtype = OCTET_F32, .data = bound};
        if (!near || !bound) return octet_fail_memory(writer->err);
        OCTET_TRY(octet_write_name(&inputs[1 + i], writer, writer->value_names, near));
        OCTET_TRY(octet_write_initializer(writer, inputs[1 + i], &tensor));
        count = 2 + i;
    }
    Onnx__NodeProto *node;
    return octet_write_node(&node, writer, &(octet_write_spec){act->op, act->name, inputs, count, &to, 1});
}

static bool has_row(const octet_node *node)
{
    return strcmp(node->op->name, "MatMul") == 0 && node->input_count > 2 && node->inputs[2];
}

/* ONNX's MatMul has no bias: an Add behind it. */
static octet_status write_row(const char **own, octet_writer *writer, const octet_node *node, const char *bias,
                              const char *to)
{
    Onnx__NodeProto *add;
    const char      *name = octet_arena_format(writer->arena, "%s_bias", node->name);
    const char      *near = octet_arena_format(writer->arena, "%s_product", to);
    if (!name || !near) return octet_fail_memory(writer->err);
    OCTET_TRY(inner_name(own, writer, near, node->outputs[0]));
    const char *const inputs[2] = {*own, bias};
    return octet_write_node(&add, writer, &(octet_write_spec){"Add", name, inputs, 2, &to, 1});
}

/* What a node absorbed stands behind it again: result is the name of the last value, *own that of the node itself. */
static octet_status write_absorbed(octet_writer *writer, const octet_node *node, const char *result, const char *bias,
                                   Onnx__NodeProto *proto)
{
    const octet_value *value = node->outputs[0];
    const char        *own, *before_activation = result;
    if (node->activation.on) OCTET_TRY(inner_name(&before_activation, writer, node->activation.inner, value));
    own = before_activation;
    if (node->batch_norm) {
        const char *near = octet_arena_format(writer->arena, "%s_in", node->batch_norm->name);
        if (!near) return octet_fail_memory(writer->err);
        OCTET_TRY(inner_name(&own, writer, near, value));
        OCTET_TRY(write_batch_norm(writer, node->batch_norm, own, before_activation));
    }
    if (bias) OCTET_TRY(write_row(&own, writer, node, bias, own));
    proto->output[0] = unconst(own);
    return node->activation.on ? write_activation(writer, &node->activation, before_activation, result) : OCTET_OK;
}

/* Whether input slot of node is a bias of levels that is to be written as real numbers. */
static bool is_real_bias(const octet_writer *writer, const octet_node *node, int slot)
{
    if (!writer->real_biases || slot != 2 || node->op->quant != OCTET_QUANT_MAC) return false;
    const octet_tensor *bias = node->inputs[2]->constant;
    return bias && bias->dtype == OCTET_I32 && bias->qparams && octet_write_qparams(writer, node->inputs[0]) &&
           octet_write_qparams(writer, node->inputs[1]);
}

static octet_status input_names(const char **names, octet_writer *writer, const octet_node *node)
{
    for (int i = 0; i < node->input_count; i++) {
        names[i] = "";
        int same = 0;
        while (same < i && node->inputs[same] != node->inputs[i]) same++;
        if (node->inputs[i] && same < i && i < 8)
            names[i] = names[same];
        else if (node->inputs[i] && is_real_bias(writer, node, i))
            OCTET_TRY(octet_write_real_bias(&names[i], writer, node));
        else if (node->inputs[i])
            OCTET_TRY(octet_write_dequantize(&names[i], writer, node->inputs[i], NULL));
    }
    return OCTET_OK;
}

/* The node itself; *last is what its first result comes from. */
static octet_status write_operator(Onnx__NodeProto **last, octet_writer *writer, const octet_node *node,
                                   const char **inputs, const char *const *outputs)
{
    if (octet_write_is_dynamic(writer, node)) return octet_write_dynamic(last, writer, node, outputs[0]);
    const int written = has_row(node) ? 2 : node->input_count;
    OCTET_TRY(input_names(inputs, writer, node));
    OCTET_TRY(octet_write_node(
        last, writer,
        &(octet_write_spec){node->op->name, node->name, inputs, written, outputs, node->output_count}));
    return octet_write_attributes(writer, *last, node);
}

static octet_status write_node(octet_writer *writer, const octet_node *node)
{
    const char **inputs, **outputs;
    octet_error *err = writer->err;
    OCTET_TRY(octet_arena_get(&inputs, writer->arena, (size_t)node->input_count, sizeof *inputs, err));
    OCTET_TRY(octet_arena_get(&outputs, writer->arena, (size_t)node->output_count, sizeof *outputs, err));
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i]) OCTET_TRY(result_name(&outputs[i], writer, node->outputs[i]));
    Onnx__NodeProto *proto;
    const bool       row = has_row(node) && !octet_write_is_dynamic(writer, node);
    OCTET_TRY(write_operator(&proto, writer, node, inputs, outputs));
    if (node->activation.on || node->batch_norm || row)
        OCTET_TRY(write_absorbed(writer, node, outputs[0], row ? inputs[2] : NULL, proto));
    for (int i = 0; i < node->output_count; i++) {
        const octet_value *value = node->outputs[i];
        if (!value) continue;
        const bool graph_output = value->is_output && outputs[i] == value->name;
        if (!graph_output) OCTET_TRY(octet_write_info(writer, outputs[i], value->dtype, value));
        OCTET_TRY(octet_write_quantize(writer, value, outputs[i]));
    }
    return OCTET_OK;
}

/* ---- the graph ---- */

static octet_dtype border_type(const octet_writer *writer, const octet_value *value)
{
    const octet_qparams *const levels = octet_write_border(writer, value);
    return levels ? levels->dtype : value->dtype;
}

static octet_status write_inputs(octet_writer *writer)
{
    const octet_graph *graph = writer->graph;
    OCTET_TRY(octet_arena_get(&writer->proto->input, writer->arena, graph->input_count, sizeof *writer->proto->input,
                              writer->err));
    for (size_t i = 0; i < graph->input_count; i++) {
        const octet_value *value = graph->inputs[i];
        OCTET_TRY(octet_write_value_info(&writer->proto->input[i], writer, value->name, border_type(writer, value),
                                         value));
        writer->proto->n_input++;
        OCTET_TRY(octet_write_quantize(writer, value, value->name));
    }
    return OCTET_OK;
}

static octet_status write_outputs(octet_writer *writer)
{
    const octet_graph *graph = writer->graph;
    OCTET_TRY(octet_arena_get(&writer->proto->output, writer->arena, graph->output_count, sizeof *writer->proto->output,
                              writer->err));
    for (size_t i = 0; i < graph->output_count; i++) {
        const octet_value *value = graph->outputs[i];
        const char        *ignored;
        OCTET_TRY(octet_write_value_info(&writer->proto->output[i], writer, value->name, border_type(writer, value),
                                         value));
        writer->proto->n_output++;
        /* An input handed out as it came stays as it came. */
        if (!value->is_input && !octet_write_border(writer, value))
            OCTET_TRY(octet_write_dequantize(&ignored, writer, value, value->name));
    }
    return OCTET_OK;
}

static octet_status reserve_names(octet_writer *writer)
{
    bool room = true;
    writer->value_names = octet_names_new(writer->arena);
    writer->node_names = octet_names_new(writer->arena);
    room = writer->value_names && writer->node_names;
    for (const octet_value *v = writer->graph->values; room && v; v = v->next)
        room = octet_names_add(writer->value_names, v->name, writer);
    return room ? OCTET_OK : octet_fail_memory(writer->err);
}

static octet_status add_metadata(octet_writer *writer, Onnx__ModelProto *model, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *entry;
    OCTET_TRY(octet_write_new(&entry, writer, &onnx__string_string_entry_proto__descriptor));
    entry->key = unconst(key);
    entry->value = unconst(value);
    model->metadata_props[model->n_metadata_props++] = entry;
    return OCTET_OK;
}

/* How a dynamic node is meant, where its operators do not say it. */
static octet_status add_dynamic(octet_writer *writer, Onnx__ModelProto *model, const octet_node *node)
{
    if (!octet_node_is_dynamic(writer->graph, node) || octet_write_is_dynamic(writer, node)) return OCTET_OK;
    const char *const key = octet_arena_format(writer->arena, "%s%s", OCTET_DYNAMIC_METADATA, node->name);
    return key ? add_metadata(writer, model, key, octet_dynamic_name(node->dynamic)) : octet_fail_memory(writer->err);
}

static octet_status write_metadata(octet_writer *writer, Onnx__ModelProto *model)
{
    const octet_graph *graph = writer->graph;
    const size_t       most = graph->metadata_count + 1 + (size_t)graph->node_count;
    OCTET_TRY(octet_arena_get(&model->metadata_props, writer->arena, most, sizeof *model->metadata_props, writer->err));
    for (size_t i = 0; i < graph->metadata_count; i++)
        if (strncmp(graph->metadata[i].key, OCTET_DYNAMIC_METADATA, strlen(OCTET_DYNAMIC_METADATA)) != 0)
            OCTET_TRY(add_metadata(writer, model, graph->metadata[i].key, graph->metadata[i].value));
    if (writer->quantized && !octet_graph_metadata(graph, "octet.version"))
        OCTET_TRY(add_metadata(writer, model, "octet.version", OCTET_VERSION));
    for (const octet_node *n = graph->first; n; n = n->next) OCTET_TRY(add_dynamic(writer, model, n));
    return OCTET_OK;
}

enum { OPSET_16_BITS = 21 }; /* the first in which levels may have 16 bits, or 4, or scales belong to blocks */

/* The lowest opset that has all that the graph needs, no lower than that of the file it came from. */
static int needed_opset(const octet_writer *writer)
{
    const octet_graph *graph = writer->graph;
    int                opset = graph->path && graph->opset > OPSET_LOW ? graph->opset : OPSET_LOW;
    for (const octet_node *n = graph->first; n; n = n->next) {
        if (n->op->since > opset) opset = n->op->since;
        for (const octet_attr *row = n->op->attrs; row && row->kind != OCTET_ATTR_END; row++)
            if (row->since > opset && !octet_attr_is_default(n->attrs, row)) opset = row->since;
    }
    for (const octet_value *v = graph->values; v; v = v->next) {
        const octet_qparams *q = octet_write_qparams(writer, v);
        const bool           newer = q && (octet_dtype_size(q->dtype) == 2 || q->block);
        if ((newer || octet_value_is_packed(graph, v)) && opset < OPSET_16_BITS) opset = OPSET_16_BITS;
    }
    return opset;
}

/* The version of the container in which ONNX's releases brought an opset. */
static int ir_version(int opset)
{
    static const int first_opset[] = {[8] = 0, [9] = 19, [10] = 21, [11] = 23, [12] = 24, [13] = 25};
    int              version = 8;
    for (int i = 9; i < (int)(sizeof first_opset / sizeof *first_opset); i++)
        if (opset >= first_opset[i]) version = i;
    return version;
}

octet_status octet_write_graph(Onnx__ModelProto **model, octet_writer *writer)
{
    const octet_graph *graph = writer->graph;
    const char        *biases = octet_graph_metadata(graph, OCTET_WRITE_BIASES);
    writer->real_biases = biases && strcmp(biases, "f32") == 0;
    writer->opset = needed_opset(writer);
    OCTET_TRY(octet_write_new(&writer->proto, writer, &onnx__graph_proto__descriptor));
    writer->proto->name = unconst(graph->name);
    int highest = 0;
    for (const octet_value *v = graph->values; v; v = v->next)
        if (v->index > highest) highest = v->index;
    OCTET_TRY(
        octet_arena_get(&writer->written, writer->arena, (size_t)highest + 1, sizeof *writer->written, writer->err));
    OCTET_TRY(reserve_names(writer));
    OCTET_TRY(write_inputs(writer));
    for (const octet_node *n = graph->first; n; n = n->next) OCTET_TRY(write_node(writer, n));
    OCTET_TRY(write_outputs(writer));
    OCTET_TRY(octet_write_new(model, writer, &onnx__model_proto__descriptor));
    Onnx__ModelProto         *m = *model;
    Onnx__OperatorSetIdProto *opset;
    OCTET_TRY(octet_write_new(&opset, writer, &onnx__operator_set_id_proto__descriptor));
    OCTET_TRY(octet_arena_get(&m->opset_import, writer->arena, 1, sizeof *m->opset_import, writer->err));
    opset->domain = unconst("");
    opset->has_version = true;
    opset->version = writer->opset;
    m->opset_import[0] = opset;
    m->n_opset_import = 1;
    m->has_ir_version = true;
    m->ir_version = ir_version(writer->opset);
    m->producer_name = unconst("octet");
    m->producer_version = unconst(OCTET_VERSION);
    m->graph = writer->proto;
    return write_metadata(writer, m);
}
