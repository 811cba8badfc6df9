/* SPDX-License-Identifier: Apache-2.0 */
/* Every opset is read into one canonical form, so that nobody but this file and its table knows that opsets differ. */
#include "onnx/onnx.pb-c.h"
#include "onnx/upgrade.h"

#include "graph/names.h"
#include "ops/check.h"

#include <string.h>

static bool default_domain(const char *domain) { return !domain || !*domain || strcmp(domain, "ai.onnx") == 0; }

octet_status octet_upgrade(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    const bool quantizing = strncmp(raw->op, "QLinear", 7) == 0 || strcmp(raw->op, "QGemm") == 0 ||
                            strcmp(raw->op, "QuantizeLinear") == 0 || strcmp(raw->op, "DequantizeLinear") == 0;
    if (!default_domain(raw->domain)) {
        if (strcmp(raw->domain, "com.microsoft") != 0) return OCTET_OK;
        if (!quantizing) return octet_upgrade_microsoft(reader, raw, err);
    }
    for (const octet_upgrade_row *row = octet_upgrade_rows; row->op; row++)
        if (reader->opset < row->below && strcmp(row->op, raw->op) == 0) OCTET_TRY(row->apply(reader, raw, err));
    return octet_half_attributes(reader, raw, err);
}

octet_status octet_raw_take(const Onnx__AttributeProto **attribute, octet_raw_node *raw, const char *name, int type,
                            octet_error *err)
{
    *attribute = NULL;
    for (size_t i = 0; i < raw->attribute_count; i++) {
        const Onnx__AttributeProto *at = raw->attributes[i];
        if (!at->name || strcmp(at->name, name) != 0) continue;
        int found;
        OCTET_TRY(octet_attribute_type(&found, at, err));
        if (found != type)
            return octet_fail_field(err, OCTET_ERR_FORMAT, name, "attribute is of type %d, need %d", found, type);
        raw->attributes[i] = raw->attributes[--raw->attribute_count];
        *attribute = at;
        return OCTET_OK;
    }
    return OCTET_OK;
}

static octet_status give(Onnx__AttributeProto **attribute, octet_reader *reader, octet_raw_node *raw, const char *name,
                         octet_error *err)
{
    Onnx__AttributeProto *fresh;
    OCTET_TRY(octet_arena_get(&fresh, reader->arena, 1, sizeof *fresh, err));
    onnx__attribute_proto__init(fresh);
    OCTET_TRY(octet_arena_get(&fresh->name, reader->arena, strlen(name) + 1, 1, err));
    strcpy(fresh->name, name);
    fresh->has_type = true;
    raw->attributes[raw->attribute_count++] = fresh;
    *attribute = fresh;
    return OCTET_OK;
}

octet_status octet_raw_give_int(octet_reader *reader, octet_raw_node *raw, const char *name, int64_t value,
                                octet_error *err)
{
    Onnx__AttributeProto *fresh;
    OCTET_TRY(give(&fresh, reader, raw, name, err));
    fresh->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    fresh->has_i = true;
    fresh->i = value;
    return OCTET_OK;
}

octet_status octet_raw_give_float(octet_reader *reader, octet_raw_node *raw, const char *name, float value,
                                  octet_error *err)
{
    Onnx__AttributeProto *fresh;
    OCTET_TRY(give(&fresh, reader, raw, name, err));
    fresh->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
    fresh->has_f = true;
    fresh->f = value;
    return OCTET_OK;
}

octet_status octet_raw_give_string(octet_reader *reader, octet_raw_node *raw, const char *name, const char *value,
                                   octet_error *err)
{
    Onnx__AttributeProto *fresh;
    OCTET_TRY(give(&fresh, reader, raw, name, err));
    fresh->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
    fresh->has_s = true;
    fresh->s.len = strlen(value);
    OCTET_TRY(octet_arena_get(&fresh->s.data, reader->arena, fresh->s.len + 1, 1, err));
    memcpy(fresh->s.data, value, fresh->s.len);
    return OCTET_OK;
}

void octet_raw_set_input(octet_raw_node *raw, int slot, octet_value *value)
{
    raw->inputs[slot] = value; /* the array starts zeroed: those between are NULL */
    if (slot >= raw->input_count) raw->input_count = slot + 1;
}

octet_status octet_raw_give_tensor(octet_reader *reader, octet_raw_node *raw, int slot, const char *name,
                                   const octet_tensor *tensor, octet_error *err)
{
    const char *owner = raw->output_count && raw->outputs[0] ? raw->outputs[0]->name : raw->name;
    const char *near = octet_arena_format(reader->arena, "%s_%s", owner, name);
    const char *free = near ? octet_names_free(reader->graph->value_names, near) : NULL;
    if (!free) return octet_fail_memory(err);
    octet_value *value;
    OCTET_TRY(octet_value_new_constant(&value, reader->graph, free, tensor, false, err));
    octet_raw_set_input(raw, slot, value);
    return OCTET_OK;
}

octet_status octet_raw_new(octet_raw_node *fresh, octet_reader *reader, const octet_raw_node *raw, const char *op,
                           octet_error *err)
{
    *fresh = (octet_raw_node){.op = op, .named = true};
    fresh->name = octet_arena_format(reader->arena, "%s_%s", raw->name, op);
    if (!fresh->name) return octet_fail_memory(err);
    OCTET_TRY(octet_arena_get(&fresh->inputs, reader->arena, OCTET_RAW_ROOM, sizeof *fresh->inputs, err));
    OCTET_TRY(octet_arena_get(&fresh->outputs, reader->arena, OCTET_RAW_ROOM, sizeof *fresh->outputs, err));
    return octet_arena_get(&fresh->attributes, reader->arena, OCTET_RAW_ROOM, sizeof *fresh->attributes, err);
}

octet_status octet_raw_in_front(octet_value **result, octet_reader *reader, const octet_raw_node *raw, const char *op,
                                octet_value *const inputs[3], octet_error *err)
{
    octet_raw_node node;
    OCTET_TRY(octet_raw_new(&node, reader, raw, op, err));
    for (int i = 0; i < 3; i++)
        if (inputs[i]) octet_raw_set_input(&node, i, inputs[i]);
    OCTET_TRY(octet_value_new_near(&node.outputs[0], reader->graph, node.name, err));
    node.output_count = 1;
    *result = node.outputs[0];
    return octet_read_emit(NULL, reader, &node, err);
}

octet_status octet_raw_behind(octet_raw_node *node, octet_reader *reader, octet_raw_node *raw, const char *op,
                              octet_error *err)
{
    octet_value *inner;
    if (raw->output_count < 1 || !raw->outputs[0]) return octet_fail(err, OCTET_ERR_FORMAT, "has no output");
    OCTET_TRY(octet_raw_new(node, reader, raw, op, err));
    const char *name = octet_arena_format(reader->arena, "%s_%s", raw->outputs[0]->name, raw->op);
    if (!name) return octet_fail_memory(err);
    OCTET_TRY(octet_value_new_near(&inner, reader->graph, name, err));
    octet_raw_set_input(node, 0, inner);
    node->outputs[0] = raw->outputs[0];
    node->output_count = 1;
    raw->outputs[0] = inner;
    return OCTET_OK;
}

octet_value *octet_raw_input(const octet_raw_node *raw, int slot)
{
    return slot < raw->input_count ? raw->inputs[slot] : NULL;
}

octet_status octet_raw_need(const octet_raw_node *raw, int count, octet_error *err)
{
    for (int i = 0; i < count; i++)
        if (!octet_raw_input(raw, i)) return octet_fail(err, OCTET_ERR_FORMAT, "%s: input %d is required", raw->op, i);
    return OCTET_OK;
}
