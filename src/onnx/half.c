/* SPDX-License-Identifier: Apache-2.0 */
/* float16 and bfloat16: numbers are stored in them and computed in float32. Constants are widened as they are read and
   a Cast to one of them is a Cast to float32, so that such a type is met at the graph's borders only: behind an input
   and before an output of it stands a Cast. */
#include "onnx/onnx.pb-c.h"
#include "onnx/upgrade.h"

#include "graph/attrs.h"
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/wide.h"

#include <string.h>

static const int onnx_float = 1; /* TensorProto.DataType */

static bool is_half(octet_dtype dtype) { return dtype == OCTET_F16 || dtype == OCTET_BF16; }

octet_dtype octet_read_border(const octet_reader *reader, octet_dtype dtype)
{
    return reader->graph->limits.widen && is_half(dtype) ? OCTET_F32 : dtype;
}

octet_status octet_read_tensor(octet_tensor *tensor, octet_reader *reader, const Onnx__TensorProto *proto,
                               octet_error *err)
{
    octet_arena *const arena = reader->graph->arena;
    OCTET_TRY(octet_tensor_from_proto(tensor, proto, &reader->external, arena, err));
    if (!is_half(tensor->dtype)) return OCTET_OK;
    const size_t       count = (size_t)octet_tensor_count(tensor);
    const octet_tensor half = *tensor;
    octet_wide         row[OCTET_WIDE_ROW];
    tensor->dtype = OCTET_F32;
    OCTET_TRY(octet_arena_get(&tensor->data, arena, count, sizeof(float), err));
    for (size_t at = 0; at < count; at += OCTET_WIDE_ROW) {
        const size_t n = count - at < OCTET_WIDE_ROW ? count - at : OCTET_WIDE_ROW;
        octet_wide_load(row, half.data, half.dtype, (int64_t)at, n, 1);
        octet_wide_store(tensor->data, OCTET_F32, (int64_t)at, row, n);
    }
    return OCTET_OK;
}

octet_status octet_half_attributes(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    static const char *const    names[] = {"to", "dtype"};
    const Onnx__AttributeProto *taken;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t k = 0; k < raw->attribute_count; k++) {
            const Onnx__AttributeProto *const a = raw->attributes[k];
            if (!a->name || strcmp(a->name, names[i]) != 0 || !a->has_i) continue;
            if (a->i != octet_dtype_to_onnx(OCTET_F16) && a->i != octet_dtype_to_onnx(OCTET_BF16)) continue;
            OCTET_TRY(octet_raw_take(&taken, raw, names[i], ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT, err));
            OCTET_TRY(octet_raw_give_int(reader, raw, names[i], onnx_float, err));
            break;
        }
    return OCTET_OK;
}

/* A Cast of from to dtype. Its result is to, or a new value where to is NULL. */
static octet_status insert_cast(octet_value **to, octet_reader *reader, octet_value *from, octet_dtype dtype,
                                octet_error *err)
{
    octet_graph *const   graph = reader->graph;
    octet_node          *cast;
    const octet_new_node as = { .op = octet_op_find("Cast", NULL), .name = from->name, .inputs = 1, .outputs = 1 };
    OCTET_TRY(octet_node_new(&cast, graph, &as, err));
    if (!*to) OCTET_TRY(octet_value_new_near(to, graph, from->name, err));
    OCTET_TRY(octet_node_set_input(graph, cast, 0, from, err));
    octet_node_set_output(cast, 0, *to);
    ((octet_cast_attrs *)cast->attrs)->to = octet_dtype_to_onnx(dtype);
    return OCTET_OK;
}

static bool is_cast(const octet_node *node) { return node && strcmp(node->op->name, "Cast") == 0; }

/* Readers of from read to instead, except for those that take any type. */
static octet_status redirect(octet_graph *graph, octet_value *from, octet_value *to, bool casts_too, octet_error *err)
{
    for (size_t i = from->use_count; i-- > 0;) {
        const octet_use use = from->uses[i];
        if (use.node == to->producer || (!casts_too && is_cast(use.node))) continue;
        OCTET_TRY(octet_node_set_input(graph, use.node, use.slot, to, err));
    }
    return OCTET_OK;
}

octet_status octet_read_half_inputs(octet_reader *reader, octet_error *err)
{
    for (size_t i = 0; i < reader->graph->input_count; i++) {
        octet_value *const input = reader->graph->inputs[i];
        octet_value       *wide = NULL;
        bool               any = false;
        for (size_t u = 0; u < input->use_count; u++) any = any || !is_cast(input->uses[u].node);
        if (!is_half(input->dtype) || !any) continue;
        OCTET_TRY(insert_cast(&wide, reader, input, OCTET_F32, err));
        OCTET_TRY(redirect(reader->graph, input, wide, false, err));
    }
    return OCTET_OK;
}

/* The type that the file states for an output; OCTET_NONE: none. */
static octet_dtype declared_type(const octet_reader *reader, const char *output)
{
    const Onnx__ValueInfoProto *const info = octet_read_declared(reader, output);
    const Onnx__TypeProto *const      type = info ? info->type : NULL;
    octet_dtype                       dtype = OCTET_NONE;
    if (type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE && type->tensor_type)
        octet_dtype_from_onnx(&dtype, type->tensor_type->elem_type, NULL);
    return octet_read_border(reader, dtype);
}

octet_status octet_read_half_outputs(octet_reader *reader, bool *changed, octet_error *err)
{
    octet_graph *const graph = reader->graph;
    for (size_t i = 0; i < graph->output_count; i++) {
        octet_value *const output = graph->outputs[i];
        octet_node *const  producer = output->producer;
        octet_value       *wide = NULL;
        const octet_dtype  declared = declared_type(reader, output->name);
        /* What hangs on values has no type yet; the file says that it is one that is computed in float32. */
        const bool wide_now = !output->has_shape || output->dtype == OCTET_F32;
        if (!is_half(declared) || !wide_now || !producer) continue;
        *changed = true;
        if (is_cast(producer) && output->use_count == 0) {
            ((octet_cast_attrs *)producer->attrs)->to = octet_dtype_to_onnx(declared);
            continue;
        }
        OCTET_TRY(octet_value_new_near(&wide, graph, output->name, err));
        for (int slot = 0; slot < producer->output_count; slot++)
            if (producer->outputs[slot] == output) octet_node_set_output(producer, slot, wide);
        OCTET_TRY(redirect(graph, output, wide, true, err));
        octet_value *narrow = output;
        OCTET_TRY(insert_cast(&narrow, reader, wide, declared, err));
    }
    return OCTET_OK;
}
