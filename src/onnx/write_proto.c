/* SPDX-License-Identifier: Apache-2.0 */
/* Messages from parts. protobuf-c's structs take pointers to non-const although packing only reads: unconst() is the
   one place that says so. */
#include "graph/attrs.h"
#include "onnx/onnx.pb-c.h"
#include "onnx/tensor_proto.h"
#include "onnx/write.h"

#include <string.h>

static void *unconst(const void *p) { return (void *)(uintptr_t)p; }

octet_status octet_write_new(void *message, octet_writer *writer, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *made;
    OCTET_TRY(octet_arena_get(&made, writer->arena, 1, type->sizeof_message, writer->err));
    protobuf_c_message_init(type, made);
    memcpy(message, &made, sizeof made);
    return OCTET_OK;
}

octet_status octet_write_name(const char **name, octet_writer *writer, octet_names *names, const char *near)
{
    *name = octet_names_free(names, near);
    return *name && octet_names_add(names, *name, writer) ? OCTET_OK : octet_fail_memory(writer->err);
}

static octet_status list_of(char ***list, octet_writer *writer, const char *const *names, int count)
{
    OCTET_TRY(octet_arena_get(list, writer->arena, (size_t)count, sizeof **list, writer->err));
    for (int i = 0; i < count; i++) (*list)[i] = unconst(names[i] ? names[i] : "");
    return OCTET_OK;
}

octet_status octet_write_node(Onnx__NodeProto **node, octet_writer *writer, const octet_write_spec *spec)
{
    Onnx__NodeProto  *made;
    Onnx__GraphProto *graph = writer->proto;
    const char       *unique;
    OCTET_TRY(octet_write_new(&made, writer, &onnx__node_proto__descriptor));
    OCTET_TRY(octet_write_name(&unique, writer, writer->node_names, spec->name));
    OCTET_TRY(list_of(&made->input, writer, spec->inputs, spec->input_count));
    OCTET_TRY(list_of(&made->output, writer, spec->outputs, spec->output_count));
    made->n_input = (size_t)spec->input_count;
    made->n_output = (size_t)spec->output_count;
    made->op_type = unconst(spec->op);
    made->name = unconst(unique);
    if (!octet_arena_grow(writer->arena, &graph->node, graph->n_node, &writer->node_capacity, sizeof made))
        return octet_fail_memory(writer->err);
    graph->node[graph->n_node++] = made;
    *node = made;
    return OCTET_OK;
}

/* ---- attributes ---- */

/* Attributes of a node are counted first, or come one by one: room for them is made as for any small list. */
static octet_status add_attribute(Onnx__AttributeProto **attribute, octet_writer *writer, Onnx__NodeProto *node,
                                  const char *name, Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto **list;
    OCTET_TRY(octet_write_new(attribute, writer, &onnx__attribute_proto__descriptor));
    OCTET_TRY(octet_arena_get(&list, writer->arena, node->n_attribute + 1, sizeof *list, writer->err));
    if (node->n_attribute) memcpy(list, node->attribute, node->n_attribute * sizeof *list);
    list[node->n_attribute++] = *attribute;
    node->attribute = list;
    (*attribute)->name = unconst(name);
    (*attribute)->has_type = true;
    (*attribute)->type = type;
    return OCTET_OK;
}

octet_status octet_write_int(octet_writer *writer, Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *a;
    OCTET_TRY(add_attribute(&a, writer, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT));
    a->has_i = true;
    a->i = value;
    return OCTET_OK;
}

octet_status octet_write_float(octet_writer *writer, Onnx__NodeProto *node, const char *name, float value)
{
    Onnx__AttributeProto *a;
    OCTET_TRY(add_attribute(&a, writer, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT));
    a->has_f = true;
    a->f = value;
    return OCTET_OK;
}

static octet_status write_string(octet_writer *writer, Onnx__NodeProto *node, const char *name, const char *value)
{
    Onnx__AttributeProto *a;
    OCTET_TRY(add_attribute(&a, writer, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING));
    a->has_s = true;
    a->s.len = strlen(value);
    a->s.data = unconst(value);
    return OCTET_OK;
}

static octet_status write_ints(octet_writer *writer, Onnx__NodeProto *node, const char *name, const octet_ints *value)
{
    Onnx__AttributeProto *a;
    OCTET_TRY(add_attribute(&a, writer, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS));
    a->n_ints = (size_t)value->count;
    a->ints = unconst(value->at);
    return OCTET_OK;
}

static octet_status write_floats(octet_writer *writer, Onnx__NodeProto *node, const char *name,
                                 const octet_floats *value)
{
    Onnx__AttributeProto *a;
    OCTET_TRY(add_attribute(&a, writer, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS));
    a->n_floats = value->count;
    a->floats = unconst(value->at);
    return OCTET_OK;
}

static octet_status write_strings(octet_writer *writer, Onnx__NodeProto *node, const char *name,
                                  const octet_strings *value)
{
    Onnx__AttributeProto *a;
    OCTET_TRY(add_attribute(&a, writer, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS));
    OCTET_TRY(octet_arena_get(&a->strings, writer->arena, value->count, sizeof *a->strings, writer->err));
    a->n_strings = value->count;
    for (size_t i = 0; i < value->count; i++)
        a->strings[i] = (ProtobufCBinaryData){ strlen(value->at[i]), unconst(value->at[i]) };
    return OCTET_OK;
}

static octet_status write_tensor(octet_writer *writer, Onnx__NodeProto *node, const char *name,
                                 const octet_tensor *value)
{
    Onnx__AttributeProto *a;
    OCTET_TRY(add_attribute(&a, writer, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR));
    return octet_write_tensor(&a->t, writer, "", value);
}

static octet_status write_attribute(octet_writer *writer, Onnx__NodeProto *node, const octet_node *from,
                                    const octet_attr *row)
{
    const void *at = octet_attr_get(from->attrs, row);
    if (row->counts_outputs && writer->opset >= row->since && from->input_count < 2)
        return octet_write_int(writer, node, row->name, from->output_count);
    const bool number = row->kind == OCTET_ATTR_INT || row->kind == OCTET_ATTR_FLOAT;
    if (octet_attr_is_default(from->attrs, row) && !(row->required && number)) return OCTET_OK;
    switch (row->kind) {
    case OCTET_ATTR_INT:
        return octet_write_int(writer, node, row->name, *(const int64_t *)at);
    case OCTET_ATTR_FLOAT:
        return octet_write_float(writer, node, row->name, *(const float *)at);
    case OCTET_ATTR_STRING:
        return write_string(writer, node, row->name, *(const char *const *)at);
    case OCTET_ATTR_INTS:
        return write_ints(writer, node, row->name, at);
    case OCTET_ATTR_FLOATS:
        return write_floats(writer, node, row->name, at);
    case OCTET_ATTR_STRINGS:
        return write_strings(writer, node, row->name, at);
    case OCTET_ATTR_TENSOR:
        return write_tensor(writer, node, row->name, *(const octet_tensor *const *)at);
    case OCTET_ATTR_END:
        break;
    }
    return OCTET_OK;
}

octet_status octet_write_attributes(octet_writer *writer, Onnx__NodeProto *node, const octet_node *from)
{
    for (const octet_attr *row = from->op->attrs; row && row->kind != OCTET_ATTR_END; row++)
        OCTET_TRY(write_attribute(writer, node, from, row));
    return OCTET_OK;
}

/* ---- tensors ---- */

octet_status octet_write_tensor(Onnx__TensorProto **proto, octet_writer *writer, const char *name,
                                const octet_tensor *tensor)
{
    OCTET_TRY(octet_write_new(proto, writer, &onnx__tensor_proto__descriptor));
    Onnx__TensorProto *made = *proto;
    OCTET_TRY(octet_arena_get(&made->dims, writer->arena, (size_t)tensor->rank, sizeof *made->dims, writer->err));
    for (int i = 0; i < tensor->rank; i++) made->dims[i] = tensor->dims[i];
    made->n_dims = (size_t)tensor->rank;
    made->name = *name ? unconst(name) : NULL;
    made->has_data_type = true;
    made->data_type = octet_dtype_to_onnx(tensor->dtype);
    made->has_raw_data = true;
    made->raw_data.len = (size_t)octet_tensor_bytes(tensor);
    made->raw_data.data = tensor->data;
    return OCTET_OK;
}

static octet_status add_initializer(octet_writer *writer, Onnx__TensorProto *proto)
{
    Onnx__GraphProto *graph = writer->proto;
    if (!octet_arena_grow(writer->arena, &graph->initializer, graph->n_initializer, &writer->initializer_capacity,
                          sizeof proto))
        return octet_fail_memory(writer->err);
    graph->initializer[graph->n_initializer++] = proto;
    return OCTET_OK;
}

octet_status octet_write_initializer(octet_writer *writer, const char *name, const octet_tensor *tensor)
{
    Onnx__TensorProto *proto;
    OCTET_TRY(octet_write_tensor(&proto, writer, name, tensor));
    return add_initializer(writer, proto);
}

octet_status octet_write_packed(octet_writer *writer, const char *name, const octet_tensor *tensor)
{
    Onnx__TensorProto   *proto;
    uint8_t             *packed;
    const uint8_t *const levels = tensor->data;
    const size_t         count  = (size_t)octet_tensor_count(tensor);
    OCTET_TRY(octet_write_tensor(&proto, writer, name, tensor));
    OCTET_TRY(octet_arena_get(&packed, writer->arena, (count + 1) / 2, 1, writer->err));
    for (size_t i = 0; i < count; i++) packed[i / 2] |= (uint8_t)((levels[i] & 15) << (i % 2 * 4));
    proto->data_type     = octet_dtype_to_onnx_packed(tensor->dtype);
    proto->raw_data.len  = (count + 1) / 2;
    proto->raw_data.data = packed;
    return add_initializer(writer, proto);
}

octet_status octet_write_value_info(Onnx__ValueInfoProto **info, octet_writer *writer, const char *name,
                                    octet_dtype dtype, const octet_value *like)
{
    Onnx__TypeProto         *type;
    Onnx__TypeProto__Tensor *tensor;
    Onnx__TensorShapeProto  *shape;
    OCTET_TRY(octet_write_new(info, writer, &onnx__value_info_proto__descriptor));
    OCTET_TRY(octet_write_new(&type, writer, &onnx__type_proto__descriptor));
    OCTET_TRY(octet_write_new(&tensor, writer, &onnx__type_proto__tensor__descriptor));
    (*info)->name = unconst(name);
    (*info)->type = type;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    tensor->has_elem_type = true;
    tensor->elem_type = octet_dtype_to_onnx(dtype);
    if (!like->has_shape) return OCTET_OK;
    OCTET_TRY(octet_write_new(&shape, writer, &onnx__tensor_shape_proto__descriptor));
    OCTET_TRY(octet_arena_get(&shape->dim, writer->arena, (size_t)like->rank, sizeof *shape->dim, writer->err));
    tensor->shape = shape;
    for (int i = 0; i < like->rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim;
        OCTET_TRY(octet_write_new(&dim, writer, &onnx__tensor_shape_proto__dimension__descriptor));
        shape->dim[shape->n_dim++] = dim;
        dim->value_case = like->dims[i] < 0 ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM
                                            : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        if (like->dims[i] < 0)
            dim->dim_param = unconst("N");
        else
            dim->dim_value = like->dims[i];
    }
    return OCTET_OK;
}

octet_status octet_write_info(octet_writer *writer, const char *name, octet_dtype dtype, const octet_value *like)
{
    Onnx__ValueInfoProto *info;
    Onnx__GraphProto     *graph = writer->proto;
    if (!like->has_shape || dtype == OCTET_NONE) return OCTET_OK;
    OCTET_TRY(octet_write_value_info(&info, writer, name, dtype, like));
    if (!octet_arena_grow(writer->arena, &graph->value_info, graph->n_value_info, &writer->info_capacity, sizeof info))
        return octet_fail_memory(writer->err);
    graph->value_info[graph->n_value_info++] = info;
    return OCTET_OK;
}
