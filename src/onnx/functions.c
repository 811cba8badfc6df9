/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that a model brings along (exporters of torch write each module as one): calls are replaced by copies of
   the function's nodes before anything is looked up. Inside a copy, names that are neither inputs nor outputs of the
   function get the call's first result in front, which is unique in the graph. */
#include "onnx/onnx.pb-c.h"
#include "onnx/read.h"

#include "graph/names.h"
#include "onnx/prescan.h"
#include "ops/check.h"

#include <string.h>

enum { MOST_DEPTH = 32, MOST_WORK = 8000000, FUNCTION_DEFAULTS = 11 /* FunctionProto.attribute_proto */ };

typedef struct expansion {
    octet_reader *reader;
    size_t        limit; /* nodes at most */
    octet_error  *err;
} expansion;

/* One call: what names and attributes inside the function mean. In a branch of an If, whatever is not its own means
   what it does around the If. */
typedef struct octet_scope {
    const Onnx__FunctionProto *function; /* NULL: of a branch, or outermost */
    const Onnx__NodeProto     *call;
    octet_names               *names; /* of inputs and outputs, or a branch's own -> names outside */
    const char                *prefix; /* of names of nodes, and of a function's names that have no meaning outside */
    const struct octet_scope  *around; /* of a branch */
    int                        opset, depth;
} scope;

static void *unconst(const void *p) { return (void *)(uintptr_t)p; }

static const char *text_of(const char *text) { return text ? text : ""; }

static const char *function_key(octet_arena *arena, const char *domain, const char *name)
{
    const char *const plain = strcmp(text_of(domain), "ai.onnx") == 0 ? "" : text_of(domain);
    return octet_arena_format(arena, "%s:%s", plain, text_of(name));
}

static octet_status list_functions(expansion *e)
{
    octet_arena *const            arena = e->reader->arena;
    const Onnx__ModelProto *const model = e->reader->model;
    octet_names *const functions = e->reader->functions = octet_names_new(arena);
    if (!functions) return octet_fail_memory(e->err);
    for (size_t i = 0; i < model->n_functions; i++) {
        const char *const key = function_key(arena, model->functions[i]->domain, model->functions[i]->name);
        if (!key) return octet_fail_memory(e->err);
        if (octet_names_find(functions, key))
            return octet_fail_field(e->err, OCTET_ERR_UNSUPPORTED, "functions",
                                    "'%.80s' has several forms (overloads), which is not supported", key);
        if (!octet_names_add(functions, key, model->functions[i])) return octet_fail_memory(e->err);
    }
    return OCTET_OK;
}

/* Small functions that call each other twice would fill any memory. */
static octet_status spend(expansion *e, size_t names)
{
    e->reader->unfolded += names;
    if (e->reader->unfolded <= MOST_WORK) return OCTET_OK;
    return octet_fail(e->err, OCTET_ERR_LIMIT, "the calls of functions unfold to more than %d names", MOST_WORK);
}

/* ---- names ---- */

static octet_status add_name(scope *s, expansion *e, const char *inside, const char *outside)
{
    if (!*text_of(inside) || octet_names_find(s->names, inside)) return OCTET_OK;
    return octet_names_add(s->names, inside, unconst(outside)) ? OCTET_OK : octet_fail_memory(e->err);
}

/* An input that the call leaves out is "" outside, an output that it does not want keeps a name of its own. */
static octet_status open_scope(scope *s, expansion *e)
{
    octet_arena *const arena = e->reader->arena;
    s->names = octet_names_new(arena);
    s->prefix = NULL;
    for (size_t i = 0; i < s->call->n_output && !s->prefix; i++)
        if (*text_of(s->call->output[i])) s->prefix = s->call->output[i];
    if (!s->prefix) return octet_fail(e->err, OCTET_ERR_FORMAT, "a call of a function without any result");
    if (!s->names) return octet_fail_memory(e->err);
    if (s->call->n_input > s->function->n_input || s->call->n_output > s->function->n_output)
        return octet_fail(e->err, OCTET_ERR_FORMAT, "got %zu inputs and %zu outputs, the function has %zu and %zu",
                          s->call->n_input, s->call->n_output, s->function->n_input, s->function->n_output);
    for (size_t i = 0; i < s->function->n_input; i++)
        OCTET_TRY(add_name(s, e, s->function->input[i], i < s->call->n_input ? text_of(s->call->input[i]) : ""));
    for (size_t i = 0; i < s->call->n_output; i++)
        if (*text_of(s->call->output[i])) OCTET_TRY(add_name(s, e, s->function->output[i], s->call->output[i]));
    return OCTET_OK;
}

static const char *name_outside(const scope *s, octet_arena *arena, const char *inside)
{
    if (!*text_of(inside)) return "";
    for (; s->names; s = s->around) {
        const char *const known = octet_names_find(s->names, inside);
        if (known) return known;
        if (!s->around) return octet_arena_format(arena, "%s/%s", s->prefix, inside);
    }
    return inside;
}

static octet_status names_outside(char ***to, const scope *s, expansion *e, char *const *from, size_t count)
{
    octet_arena *const arena = e->reader->arena;
    OCTET_TRY(octet_arena_get(to, arena, count, sizeof **to, e->err));
    for (size_t i = 0; i < count; i++) {
        (*to)[i] = unconst(name_outside(s, arena, from[i]));
        if (!(*to)[i]) return octet_fail_memory(e->err);
    }
    return OCTET_OK;
}

/* ---- attributes ---- */

static void *arena_alloc(void *arena, size_t size) { return octet_arena_alloc(arena, size, 1); }
static void  arena_keep(void *arena, void *memory) { (void)arena, (void)memory; }

/* Newer files give attributes defaults, in a field that the installed schema may not know: length, then message. */
static octet_status unpack_default(Onnx__AttributeProto **found, expansion *e,
                                   const ProtobufCMessageUnknownField *field)
{
    size_t skip = 0;
    *found = NULL;
    if (field->tag != FUNCTION_DEFAULTS || field->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) return OCTET_OK;
    while (skip < field->len && field->data[skip] >= 0x80) skip++;
    if (++skip >= field->len) return OCTET_OK;
    ProtobufCAllocator allocator = {arena_alloc, arena_keep, e->reader->arena};
    OCTET_TRY(octet_prescan(field->data + skip, field->len - skip, &onnx__attribute_proto__descriptor,
                            &e->reader->graph->limits, e->err));
    *found = onnx__attribute_proto__unpack(&allocator, field->len - skip, field->data + skip);
    return *found ? OCTET_OK : octet_fail_memory(e->err);
}

/* What an attribute of the function is in this call: the call's, else the function's default, else NULL. */
static octet_status value_of(const Onnx__AttributeProto **found, const scope *s, expansion *e, const char *name)
{
    *found = NULL;
    while (!s->function && s->around) s = s->around;
    if (!s->function) return OCTET_OK;
    for (size_t i = 0; i < s->call->n_attribute; i++)
        if (strcmp(text_of(s->call->attribute[i]->name), name) == 0) {
            *found = s->call->attribute[i];
            return OCTET_OK;
        }
    const ProtobufCMessage *const base = &s->function->base;
    for (unsigned i = 0; i < base->n_unknown_fields; i++) {
        Onnx__AttributeProto *a;
        OCTET_TRY(unpack_default(&a, e, &base->unknown_fields[i]));
        if (a && strcmp(text_of(a->name), name) == 0) *found = a;
    }
    return OCTET_OK;
}

static octet_status attributes_outside(Onnx__NodeProto *copy, const scope *s, expansion *e, const Onnx__NodeProto *from)
{
    octet_arena *const arena = e->reader->arena;
    OCTET_TRY(octet_arena_get(&copy->attribute, arena, from->n_attribute, sizeof *copy->attribute, e->err));
    copy->n_attribute = 0;
    for (size_t i = 0; i < from->n_attribute; i++) {
        const Onnx__AttributeProto *const inside = from->attribute[i], *outside = inside;
        if (*text_of(inside->ref_attr_name)) {
            Onnx__AttributeProto *renamed;
            OCTET_TRY(value_of(&outside, s, e, inside->ref_attr_name));
            if (!outside) continue; /* given neither by the call nor as a default: the operator's own default holds */
            renamed = octet_arena_copy_bytes(arena, outside, sizeof *outside);
            if (!renamed) return octet_fail_memory(e->err);
            renamed->name = inside->name;
            outside = renamed;
        }
        copy->attribute[copy->n_attribute++] = unconst(outside);
    }
    return OCTET_OK;
}

/* ---- nodes ---- */

static octet_status copy_outside(Onnx__NodeProto **to, const scope *s, expansion *e, const Onnx__NodeProto *from)
{
    Onnx__NodeProto *const copy = octet_arena_copy_bytes(e->reader->arena, from, sizeof *from);
    if (!copy) return octet_fail_memory(e->err);
    *to = copy;
    OCTET_TRY(spend(e, from->n_input + from->n_output + from->n_attribute + 1));
    OCTET_TRY(names_outside(&copy->input, s, e, from->input, from->n_input));
    OCTET_TRY(names_outside(&copy->output, s, e, from->output, from->n_output));
    if (*text_of(from->name) || s->around) { /* a branch's own names alone would not lead to its If */
        copy->name = unconst(octet_arena_format(e->reader->arena, "%s/%s", s->prefix, octet_read_label(from)));
        if (!copy->name) return octet_fail_memory(e->err);
    }
    return attributes_outside(copy, s, e, from);
}

static octet_status append(expansion *e, const Onnx__NodeProto *node, const scope *within)
{
    octet_reader *const reader = e->reader;
    if (reader->node_count == e->limit)
        return octet_fail(e->err, OCTET_ERR_LIMIT, "more than %zu nodes (--max-nodes)", e->limit);
    if (!octet_arena_grow(reader->arena, &reader->nodes, reader->node_count, &reader->node_capacity,
                          sizeof *reader->nodes))
        return octet_fail_memory(e->err);
    reader->nodes[reader->node_count++] = (octet_proto_node){node, within->opset, within};
    return OCTET_OK;
}

/* An output of the function that is one of its inputs: nothing inside produces it. */
static octet_status pass_inputs_on(const scope *s, expansion *e)
{
    for (size_t i = 0; i < s->call->n_output; i++) {
        const char *const inside = text_of(s->function->output[i]), *const outside = text_of(s->call->output[i]);
        const char *const meant = name_outside(s, e->reader->arena, inside);
        Onnx__NodeProto  *node;
        if (!*outside || !meant || strcmp(meant, outside) == 0) continue;
        OCTET_TRY(octet_arena_get(&node, e->reader->arena, 1, sizeof *node, e->err));
        onnx__node_proto__init(node);
        OCTET_TRY(octet_arena_get(&node->input, e->reader->arena, 2, sizeof *node->input, e->err));
        node->output = node->input + 1;
        node->n_input = node->n_output = 1;
        node->input[0] = unconst(meant);
        node->output[0] = unconst(outside);
        node->op_type = unconst("Identity");
        OCTET_TRY(append(e, node, s));
    }
    return OCTET_OK;
}

static int opset_of(const Onnx__FunctionProto *function, int otherwise)
{
    for (size_t i = 0; i < function->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *const id = function->opset_import[i];
        const bool plain = !*text_of(id->domain) || strcmp(id->domain, "ai.onnx") == 0;
        if (plain && id->has_version && id->version > 0 && id->version <= OCTET_OPSET_HIGH) return (int)id->version;
    }
    return otherwise;
}

static octet_status expand(expansion *e, const Onnx__NodeProto *node, const scope *within);

static octet_status expand_call(expansion *e, const Onnx__FunctionProto *function, const Onnx__NodeProto *call,
                                const scope *within)
{
    scope *s;
    OCTET_TRY(octet_arena_get(&s, e->reader->arena, 1, sizeof *s, e->err));
    *s = (scope){.function = function, .call = call, .opset = opset_of(function, within->opset),
                 .depth = within->depth + 1};
    if (s->depth == MOST_DEPTH)
        return octet_fail(e->err, OCTET_ERR_LIMIT, "functions call each other more than %d deep", MOST_DEPTH);
    OCTET_TRY(spend(e, function->n_input + function->n_output + 1));
    OCTET_TRY(open_scope(s, e));
    for (size_t i = 0; i < function->n_node; i++) OCTET_TRY(expand(e, function->node[i], s));
    return pass_inputs_on(s, e);
}

static octet_status expand(expansion *e, const Onnx__NodeProto *node, const scope *within)
{
    Onnx__NodeProto *copy = unconst(node);
    if (within->names) OCTET_TRY(copy_outside(&copy, within, e, node));
    if (e->reader->model->n_functions == 0) return append(e, copy, within);
    const char *const key = function_key(e->reader->arena, node->domain, node->op_type);
    if (!key) return octet_fail_memory(e->err);
    const Onnx__FunctionProto *const function = octet_names_find(e->reader->functions, key);
    if (!function) return append(e, copy, within);
    const octet_status status = expand_call(e, function, copy, within);
    if (status != OCTET_OK) octet_error_node(e->err, octet_read_label(copy));
    return status;
}

static expansion start(octet_reader *reader, octet_error *err)
{
    const size_t limit = reader->graph->limits.max_nodes ? reader->graph->limits.max_nodes : 1000000;
    return (expansion){.reader = reader, .limit = limit, .err = err};
}

octet_status octet_read_nodes(octet_reader *reader, octet_error *err)
{
    const Onnx__GraphProto *const graph = reader->proto;
    expansion                     e = start(reader, err);
    scope                        *outermost;
    if (graph->n_node > e.limit)
        return octet_fail(err, OCTET_ERR_LIMIT, "%zu nodes, limit %zu (--max-nodes)", graph->n_node, e.limit);
    OCTET_TRY(list_functions(&e));
    OCTET_TRY(octet_arena_get(&outermost, reader->arena, 1, sizeof *outermost, err));
    outermost->opset = reader->opset;
    for (size_t i = 0; i < graph->n_node; i++) OCTET_TRY(expand(&e, graph->node[i], outermost));
    return OCTET_OK;
}

octet_status octet_read_branch(octet_reader *reader, const octet_proto_node *node, const Onnx__GraphProto *branch,
                               octet_names *names, octet_error *err)
{
    expansion e = start(reader, err);
    scope    *s;
    OCTET_TRY(octet_arena_get(&s, reader->arena, 1, sizeof *s, err));
    *s = (scope){.names = names, .prefix = octet_read_label(node->proto), .around = node->scope, .opset = node->opset,
                 .depth = node->scope->depth + 1};
    if (s->depth == MOST_DEPTH)
        return octet_fail(err, OCTET_ERR_LIMIT, "branches and functions are more than %d deep", MOST_DEPTH);
    OCTET_TRY(spend(&e, 1));
    for (size_t i = 0; i < branch->n_node; i++) OCTET_TRY(expand(&e, branch->node[i], s));
    return OCTET_OK;
}

const char *octet_read_outside(octet_reader *reader, const octet_proto_node *node, const char *name)
{
    return name_outside(node->scope, reader->arena, name);
}
