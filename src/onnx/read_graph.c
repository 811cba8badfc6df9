/* SPDX-License-Identifier: Apache-2.0 */
/* The file's tensors and nodes into the graph. Names first (initializers, inputs, what nodes produce), then nodes, so
   that nodes may stand in any order. */
#include "base/checked.h"
#include "graph/names.h"
#include "onnx/onnx.pb-c.h"
#include "onnx/read.h"
#include "ops/check.h"

#include <string.h>

static octet_status at_node(octet_status status, const char *name, octet_error *err)
{
    if (status != OCTET_OK) octet_error_node(err, name);
    return status;
}

static bool given(const char *text) { return text && *text; }

const char *octet_read_label(const Onnx__NodeProto *node)
{
    if (given(node->name)) return node->name;
    for (size_t i = 0; i < node->n_output; i++)
        if (given(node->output[i])) return node->output[i];
    return given(node->op_type) ? node->op_type : "?";
}

/* ---- tensors ---- */

static octet_status note_bits(octet_reader *reader, const char *name, const Onnx__TensorProto *proto, octet_error *err)
{
    if (!octet_narrow_bits(proto)) return OCTET_OK;
    if (!reader->narrow) reader->narrow = octet_names_new(reader->arena);
    void *const object = (void *)(uintptr_t)proto;
    return reader->narrow && octet_names_add(reader->narrow, name, object) ? OCTET_OK : octet_fail_memory(err);
}

int octet_read_bits(const octet_reader *reader, const octet_value *value)
{
    const bool                     any = reader->narrow && value;
    const Onnx__TensorProto *const proto = any ? octet_names_find(reader->narrow, value->name) : NULL;
    return proto ? octet_narrow_bits(proto) : 0;
}

octet_status octet_read_initializer(octet_reader *reader, const Onnx__TensorProto *proto, octet_error *err)
{
    octet_tensor tensor;
    octet_value *value;
    OCTET_TRY(octet_read_tensor(&tensor, reader, proto, err));
    OCTET_TRY(octet_value_new_constant(&value, reader->graph, proto->name, &tensor, true, err));
    return note_bits(reader, value->name, proto, err);
}

static octet_status read_initializers(octet_reader *reader, octet_error *err)
{
    const Onnx__GraphProto *graph = reader->proto;
    if (graph->n_sparse_initializer) {
        const Onnx__TensorProto *values = graph->sparse_initializer[0]->values;
        return at_node(octet_fail(err, OCTET_ERR_UNSUPPORTED, "sparse initializers are not supported"),
                       values ? values->name : NULL, err);
    }
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const Onnx__TensorProto *proto = graph->initializer[i];
        if (!given(proto->name)) return octet_fail(err, OCTET_ERR_FORMAT, "initializer %zu has no name", i);
        OCTET_TRY(at_node(octet_read_initializer(reader, proto, err), proto->name, err));
    }
    return OCTET_OK;
}

static octet_status read_dim(int64_t *dim, const Onnx__TensorShapeProto__Dimension *proto, int index, octet_error *err)
{
    *dim = OCTET_DIM_FREE;
    if (proto->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE) return OCTET_OK;
    *dim = proto->dim_value;
    if (*dim >= 0 && *dim <= INT32_MAX) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_FORMAT, "shape", "dimension %d is %lld, need 0 to %d", index,
                            (long long)*dim, INT32_MAX);
}

/* Type and shape of an input or output. has_shape false: the file leaves it open. */
static octet_status read_type(octet_port *port, bool *has_shape, const Onnx__ValueInfoProto *info, octet_error *err)
{
    const Onnx__TypeProto *type = info->type;
    *has_shape = false;
    if (!type || type->value_case == ONNX__TYPE_PROTO__VALUE__NOT_SET || !type->tensor_type)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "type", "not given");
    if (type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "type",
                                "sequences, maps, optionals and sparse tensors are not supported, need a tensor");
    const octet_status status = octet_dtype_from_onnx(&port->dtype, type->tensor_type->elem_type, err);
    if (status != OCTET_OK) {
        octet_error_field(err, "elem_type");
        return status;
    }
    const Onnx__TensorShapeProto *shape = type->tensor_type->shape;
    if (!shape) return OCTET_OK;
    if (shape->n_dim > OCTET_MAX_RANK)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "shape", "rank %zu, need at most %d", shape->n_dim,
                                OCTET_MAX_RANK);
    port->rank = (int)shape->n_dim;
    *has_shape = true;
    int64_t count = 1;
    for (int i = 0; i < port->rank; i++) {
        OCTET_TRY(read_dim(&port->dims[i], shape->dim[i], i, err));
        if (port->dims[i] > 0 && (!octet_mul64(&count, count, port->dims[i]) || count > (int64_t)1 << 40))
            return octet_fail_field(err, OCTET_ERR_LIMIT, "shape", "too large: its elements overflow (limit 2^40)");
    }
    return OCTET_OK;
}

static octet_status read_input(octet_reader *reader, const Onnx__ValueInfoProto *info, octet_error *err)
{
    octet_port port = {0};
    bool       has_shape;
    OCTET_TRY(read_type(&port, &has_shape, info, err));
    if (!has_shape) return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "shape", "an input without shape");
    port.dtype = octet_read_border(reader, port.dtype);
    return octet_graph_add_input(reader->graph, info->name, port.dtype, port.dims, port.rank, err);
}

/* Inputs that are initializers too (as all were before IR version 4) are constants. */
static octet_status read_inputs(octet_reader *reader, octet_error *err)
{
    for (size_t i = 0; i < reader->proto->n_input; i++) {
        const Onnx__ValueInfoProto *info = reader->proto->input[i];
        if (!given(info->name)) return octet_fail(err, OCTET_ERR_FORMAT, "input %zu has no name", i);
        const octet_value *known = octet_graph_find_value(reader->graph, info->name);
        if (known && known->constant) continue;
        OCTET_TRY(at_node(read_input(reader, info, err), info->name, err));
    }
    return OCTET_OK;
}

/* What the file says of an output does not contradict what was found, and stands where nothing was found. */
static octet_status check_output(const octet_reader *reader, octet_value *value, const Onnx__ValueInfoProto *info,
                                 octet_error *err)
{
    octet_port port = {0};
    bool       has_shape;
    if (!info || !info->type) return OCTET_OK;
    OCTET_TRY(read_type(&port, &has_shape, info, err));
    port.dtype = octet_read_border(reader, port.dtype);
    if (!value->has_shape) {
        value->has_shape = has_shape;
        value->dtype = port.dtype;
        value->rank = port.rank;
        memcpy(value->dims, port.dims, sizeof value->dims);
        return OCTET_OK;
    }
    const octet_qparams *const levels = octet_border_levels(value);
    const octet_dtype          found_type = levels ? levels->dtype : value->dtype;
    if (port.dtype != found_type)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "elem_type", "declared %s, but it is %s",
                                octet_dtype_name(port.dtype), octet_dtype_name(found_type));
    bool same = !has_shape || port.rank == value->rank;
    for (int i = 0; same && has_shape && i < port.rank; i++)
        same = port.dims[i] < 0 || value->dims[i] < 0 || port.dims[i] == value->dims[i];
    if (same) return OCTET_OK;
    char declared[128], found[128];
    return octet_fail_field(err, OCTET_ERR_SHAPE, "shape", "declared %s, but it is %s",
                            octet_shape_text(declared, sizeof declared, port.dims, port.rank),
                            octet_shape_text(found, sizeof found, value->dims, value->rank));
}

octet_status octet_read_check_outputs(const octet_reader *reader, octet_error *err)
{
    for (size_t i = 0; i < reader->graph->output_count; i++) {
        octet_value *value = reader->graph->outputs[i];
        const Onnx__ValueInfoProto *const declared = octet_read_declared(reader, value->name);
        OCTET_TRY(at_node(check_output(reader, value, declared, err), value->name, err));
    }
    return OCTET_OK;
}

static octet_status read_ends(octet_reader *reader, octet_error *err)
{
    for (size_t i = 0; i < reader->end_count; i++) {
        const octet_value *const value = octet_graph_find_value(reader->graph, reader->ends[i]);
        if (value && value->is_output)
            return octet_fail(err, OCTET_ERR_ARGUMENT, "'%.80s' is named twice as an end", reader->ends[i]);
        OCTET_TRY(octet_graph_set_output(reader->graph, reader->ends[i], err));
    }
    return OCTET_OK;
}

static octet_status read_outputs(octet_reader *reader, octet_error *err)
{
    if (reader->end_count) return read_ends(reader, err);
    if (reader->proto->n_output == 0) return octet_fail(err, OCTET_ERR_FORMAT, "the graph has no outputs");
    for (size_t i = 0; i < reader->proto->n_output; i++) {
        const char *name = reader->proto->output[i]->name;
        if (!given(name)) return octet_fail(err, OCTET_ERR_FORMAT, "output %zu has no name", i);
        const octet_value *value = octet_graph_find_value(reader->graph, name);
        if (value && value->is_output)
            return at_node(octet_fail(err, OCTET_ERR_FORMAT, "graph output is listed twice"), name, err);
        if (!value) return at_node(octet_fail(err, OCTET_ERR_FORMAT, "graph output that nothing produces"), name, err);
        OCTET_TRY(octet_graph_set_output(reader->graph, name, err));
    }
    return OCTET_OK;
}

/* ---- Constant nodes ---- */

static octet_status constant_tensor(octet_tensor *tensor, octet_reader *reader, const Onnx__AttributeProto *a,
                                    octet_error *err)
{
    static const struct {
        const char *name;
        int         type;
    } forms[] = {{"value", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR},
                 {"value_float", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT},
                 {"value_floats", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS},
                 {"value_int", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT},
                 {"value_ints", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS}};
    int type, form = -1;
    OCTET_TRY(octet_attribute_type(&type, a, err));
    for (int i = 0; i < 5; i++)
        if (given(a->name) && strcmp(a->name, forms[i].name) == 0) form = i;
    if (form < 0) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "this kind of Constant is not supported");
    if (type != forms[form].type) return octet_fail(err, OCTET_ERR_FORMAT, "attribute has the wrong type");
    octet_arena *arena = reader->graph->arena;
    if (form == 0) {
        if (!a->t) return octet_fail(err, OCTET_ERR_FORMAT, "holds no tensor");
        return octet_read_tensor(tensor, reader, a->t, err);
    }
    const bool  floats = form <= 2, list = form == 2 || form == 4;
    const void *from = form == 1   ? (const void *)&a->f
                       : form == 2 ? a->floats
                       : form == 3 ? (const void *)&a->i
                                   : a->ints;
    *tensor = (octet_tensor){.dtype = floats ? OCTET_F32 : OCTET_I64, .rank = list};
    tensor->dims[0] = (int64_t)(floats ? a->n_floats : a->n_ints);
    tensor->data = octet_arena_copy_bytes(arena, from, (size_t)octet_tensor_bytes(tensor));
    return tensor->data ? OCTET_OK : octet_fail_memory(err);
}

static octet_status read_constant(octet_reader *reader, const Onnx__NodeProto *node, octet_error *err)
{
    if (node->n_attribute != 1)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "value", "got %zu values, need exactly 1", node->n_attribute);
    if (node->n_input) return octet_fail(err, OCTET_ERR_FORMAT, "got %zu inputs, need 0", node->n_input);
    if (node->n_output != 1 || !given(node->output[0]))
        return octet_fail(err, OCTET_ERR_FORMAT, "a Constant needs exactly 1 output");
    octet_tensor       tensor;
    octet_value       *value;
    const octet_status status = constant_tensor(&tensor, reader, node->attribute[0], err);
    if (status != OCTET_OK) {
        octet_error_field(err, node->attribute[0]->name);
        return status;
    }
    OCTET_TRY(octet_value_new_constant(&value, reader->graph, node->output[0], &tensor, true, err));
    return node->attribute[0]->t ? note_bits(reader, value->name, node->attribute[0]->t, err) : OCTET_OK;
}

/* ---- nodes ---- */

bool octet_read_is_default(const char *domain) { return !given(domain) || strcmp(domain, "ai.onnx") == 0; }

static bool is_constant(const Onnx__NodeProto *node)
{
    return octet_read_is_default(node->domain) && strcmp(node->op_type, "Constant") == 0;
}

static octet_status name_results(octet_reader *reader, const Onnx__NodeProto *node, octet_error *err)
{
    if (!given(node->op_type)) return octet_fail_field(err, OCTET_ERR_FORMAT, "op_type", "not given");
    bool imported = octet_read_is_default(node->domain);
    for (size_t i = 0; !imported && i < reader->model->n_opset_import; i++)
        imported =
            reader->model->opset_import[i]->domain && strcmp(reader->model->opset_import[i]->domain, node->domain) == 0;
    if (!imported)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "domain", "'%.60s' is not in the model's opset_import",
                                node->domain);
    if (is_constant(node)) return read_constant(reader, node, err);
    for (size_t i = 0; i < node->n_output; i++) {
        octet_value *value;
        if (given(node->output[i])) OCTET_TRY(octet_value_new(&value, reader->graph, node->output[i], err));
    }
    return OCTET_OK;
}

static octet_status look_up(octet_raw_node *raw, octet_reader *reader, const Onnx__NodeProto *node, octet_error *err)
{
    *raw = (octet_raw_node){.op = node->op_type,
                            .domain = node->domain,
                            .name = octet_read_label(node),
                            .named = given(node->name),
                            .input_count = (int)node->n_input,
                            .output_count = (int)node->n_output,
                            .attribute_count = node->n_attribute};
    octet_arena *arena = reader->arena;
    OCTET_TRY(octet_arena_get(&raw->inputs, arena, node->n_input + OCTET_RAW_ROOM, sizeof *raw->inputs, err));
    OCTET_TRY(octet_arena_get(&raw->outputs, arena, node->n_output + OCTET_RAW_ROOM, sizeof *raw->outputs, err));
    OCTET_TRY(
        octet_arena_get(&raw->attributes, arena, node->n_attribute + OCTET_RAW_ROOM, sizeof *raw->attributes, err));
    for (size_t i = 0; i < node->n_input; i++) {
        if (!given(node->input[i])) continue;
        raw->inputs[i] = octet_graph_find_value(reader->graph, node->input[i]);
        if (!raw->inputs[i]) return octet_fail(err, OCTET_ERR_FORMAT, "input '%.80s' does not exist", node->input[i]);
    }
    for (size_t i = 0; i < node->n_output; i++)
        if (given(node->output[i])) raw->outputs[i] = octet_graph_find_value(reader->graph, node->output[i]);
    for (size_t i = 0; i < node->n_attribute; i++) raw->attributes[i] = node->attribute[i];
    return OCTET_OK;
}

static octet_status check_counts(octet_raw_node *raw, const octet_op *op, octet_error *err)
{
    while (raw->input_count > op->min_inputs && !raw->inputs[raw->input_count - 1]) raw->input_count--;
    while (raw->output_count > op->min_outputs && !raw->outputs[raw->output_count - 1]) raw->output_count--;
    if (raw->input_count < op->min_inputs || raw->input_count > op->max_inputs)
        return octet_fail(err, OCTET_ERR_FORMAT, "%s: got %d inputs, need %d%s", op->name, raw->input_count,
                          raw->input_count < op->min_inputs ? op->min_inputs : op->max_inputs,
                          op->min_inputs == op->max_inputs    ? ""
                          : raw->input_count < op->min_inputs ? " or more"
                                                              : " or fewer");
    if (raw->output_count < op->min_outputs || raw->output_count > op->max_outputs)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "%s: got %d outputs, need %d to %d", op->name, raw->output_count,
                          op->min_outputs, op->max_outputs);
    for (int i = 0; i < op->min_inputs; i++)
        if (!raw->inputs[i]) return octet_fail(err, OCTET_ERR_FORMAT, "%s: input %d is required", op->name, i);
    return OCTET_OK;
}

octet_status octet_read_emit(octet_node **node, octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    const octet_op *op = octet_op_find(raw->op, raw->domain);
    octet_node     *made;
    if (!op)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "operator %s%s%.60s is not supported",
                          octet_read_is_default(raw->domain) ? "" : raw->domain,
                          octet_read_is_default(raw->domain) ? "" : ":", raw->op);
    OCTET_TRY(check_counts(raw, op, err));
    const octet_new_node as = { .op = op, .name = raw->named ? raw->name : NULL, .inputs = raw->input_count,
                                .outputs = raw->output_count };
    OCTET_TRY(octet_node_new(&made, reader->graph, &as, err));
    for (int i = 0; i < raw->input_count; i++)
        if (raw->inputs[i]) OCTET_TRY(octet_node_set_input(reader->graph, made, i, raw->inputs[i], err));
    for (int i = 0; i < raw->output_count; i++) octet_node_set_output(made, i, raw->outputs[i]);
    if (node) *node = made;
    return octet_attributes_read(reader, made, raw, err);
}

/* Softmax and its like flattened their input before opset 13: read_late.c looks at them once ranks are known. */
static octet_status remember_flattening(octet_reader *reader, octet_node *node, octet_error *err)
{
    static const char *const names[] = {"Hardmax", "LogSoftmax", "Softmax"};
    bool                     flattens = false;
    for (int i = 0; i < 3; i++) flattens |= strcmp(node->op->name, names[i]) == 0;
    if (!flattens || reader->opset >= 13) return OCTET_OK;
    if (!octet_arena_grow(reader->arena, &reader->flattening, reader->flattening_count, &reader->flattening_capacity,
                          sizeof *reader->flattening))
        return octet_fail_memory(err);
    reader->flattening[reader->flattening_count++] = node;
    return OCTET_OK;
}

static octet_status read_node(octet_reader *reader, const octet_proto_node *from, octet_error *err)
{
    octet_raw_node raw;
    octet_node    *node;
    reader->opset = from->opset;
    OCTET_TRY(look_up(&raw, reader, from->proto, err));
    OCTET_TRY(octet_upgrade(reader, &raw, err));
    OCTET_TRY(octet_read_emit(&node, reader, &raw, err));
    return remember_flattening(reader, node, err);
}

static octet_status read_nodes(octet_reader *reader, size_t from, octet_error *err);

/* What the branch calls its result is result number i of the If. */
static octet_status pass_on(octet_reader *reader, const Onnx__NodeProto *node, size_t i, const char *from,
                            octet_error *err)
{
    octet_raw_node raw = {.op = "Identity", .name = node->output[i], .named = true, .input_count = 1,
                          .output_count = 1};
    if (!given(node->output[i])) return OCTET_OK;
    OCTET_TRY(octet_arena_get(&raw.inputs, reader->arena, OCTET_RAW_ROOM, sizeof *raw.inputs, err));
    OCTET_TRY(octet_arena_get(&raw.outputs, reader->arena, OCTET_RAW_ROOM, sizeof *raw.outputs, err));
    raw.inputs[0] = octet_graph_find_value(reader->graph, from);
    raw.outputs[0] = octet_graph_find_value(reader->graph, node->output[i]);
    if (!raw.inputs[0]) return octet_fail(err, OCTET_ERR_FORMAT, "the branch's result '%.80s' does not exist", from);
    return octet_read_emit(NULL, reader, &raw, err);
}

/* The nodes of the branch that is taken stand behind all others, and are read here and now. */
static octet_status read_branch(octet_reader *reader, const octet_proto_node *node, octet_error *err)
{
    const size_t from = reader->node_count;
    const char **results;
    OCTET_TRY(octet_read_if(&results, reader, node, err));
    OCTET_TRY(read_nodes(reader, from, err));
    for (size_t i = 0; i < node->proto->n_output; i++)
        OCTET_TRY(pass_on(reader, node->proto, i, results[i], err));
    return OCTET_OK;
}

static octet_status read_nodes(octet_reader *reader, size_t from, octet_error *err)
{
    const size_t to = reader->node_count;
    for (size_t i = from; i < to; i++) {
        const Onnx__NodeProto *const node = reader->nodes[i].proto;
        OCTET_TRY(at_node(name_results(reader, node, err), octet_read_label(node), err));
    }
    for (size_t i = from; i < to; i++) {
        const octet_proto_node node = reader->nodes[i]; /* a copy: branches move the list */
        const bool branches = octet_read_is_default(node.proto->domain) && !strcmp(node.proto->op_type, "If");
        if (is_constant(node.proto)) continue;
        OCTET_TRY(at_node((branches ? read_branch : read_node)(reader, &node, err), octet_read_label(node.proto), err));
    }
    return OCTET_OK;
}

octet_status octet_read_graph(octet_reader *reader, octet_error *err)
{
    const int opset = reader->opset;
    OCTET_TRY(read_initializers(reader, err));
    OCTET_TRY(read_inputs(reader, err));
    OCTET_TRY(octet_read_nodes(reader, err));
    OCTET_TRY(octet_read_cut(reader, err));
    OCTET_TRY(read_nodes(reader, 0, err));
    reader->opset = opset;
    OCTET_TRY(octet_read_half_inputs(reader, err));
    OCTET_TRY(read_outputs(reader, err));
    return octet_graph_sort(reader->graph, err);
}
