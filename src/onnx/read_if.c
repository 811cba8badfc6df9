/* SPDX-License-Identifier: Apache-2.0 */
/* An If whose condition is known when the file is read (exporters ask for shapes): the branch that it takes stands in
   its place. Conditions that hang on data, or on dimensions that are free, are refused. */
#include "graph/names.h"
#include "onnx/onnx.pb-c.h"
#include "onnx/read.h"
#include "ops/check.h"
#include "ops/shape.h"

#include <string.h>

/* Finding one out takes a walk through everything before it. */
enum { MOST_COMPUTED = 64 };

static const char *text_of(const char *text) { return text ? text : ""; }

/* ---- the condition ---- */

static octet_status evaluate(octet_tensor *known, octet_reader *reader, const octet_value *value, octet_error *err)
{
    if (value->constant) {
        *known = *value->constant;
        return OCTET_OK;
    }
    if (++reader->computed_conditions > MOST_COMPUTED)
        return octet_fail(err, OCTET_ERR_LIMIT, "more than %d conditions are computed", MOST_COMPUTED);
    return octet_graph_known(known, reader->graph, value, reader->arena, err);
}

static octet_status condition(bool *taken, octet_reader *reader, const Onnx__NodeProto *node, octet_error *err)
{
    octet_tensor       known;
    octet_value *const value = node->n_input == 1 ? octet_graph_find_value(reader->graph, node->input[0]) : NULL;
    if (!value) return octet_fail(err, OCTET_ERR_FORMAT, "If: the condition does not exist");
    OCTET_TRY(evaluate(&known, reader, value, err));
    if (!known.data)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "cond",
                                "If: the condition is known only when running, or not the same for every batch");
    if (known.dtype != OCTET_BOOL || octet_tensor_count(&known) != 1)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "cond", "If: one bool is needed");
    *taken = *(const uint8_t *)known.data != 0;
    return OCTET_OK;
}

/* ---- the branch ---- */

static octet_status find_branch(const Onnx__GraphProto **branch, const Onnx__NodeProto *node, const char *name,
                                octet_error *err)
{
    int type;
    *branch = NULL;
    for (size_t i = 0; i < node->n_attribute; i++) {
        if (strcmp(text_of(node->attribute[i]->name), name) != 0) continue;
        OCTET_TRY(octet_attribute_type(&type, node->attribute[i], err));
        if (type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH) *branch = node->attribute[i]->g;
    }
    if (!*branch) return octet_fail_field(err, OCTET_ERR_FORMAT, name, "If: the branch is missing");
    if ((*branch)->n_input || (*branch)->n_sparse_initializer)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, name, "If: a branch with inputs or sparse initializers");
    if ((*branch)->n_output != node->n_output)
        return octet_fail_field(err, OCTET_ERR_FORMAT, name, "If: %zu results, the node has %zu", (*branch)->n_output,
                                node->n_output);
    return OCTET_OK;
}

/* A name of the branch's own gets the node's first result in front, which is unique. */
static octet_status own_name(octet_names *names, octet_reader *reader, const Onnx__NodeProto *node, const char *inside,
                             octet_error *err)
{
    const char *prefix = octet_read_label(node);
    for (size_t i = node->n_output; i-- > 0;)
        if (*text_of(node->output[i])) prefix = node->output[i];
    if (!*text_of(inside)) return OCTET_OK;
    if (octet_names_find(names, inside))
        return octet_fail(err, OCTET_ERR_FORMAT, "'%.80s' is made twice in a branch", inside);
    const char *const outside = octet_arena_format(reader->arena, "%s/%s", prefix, inside);
    return outside && octet_names_add(names, inside, (void *)(uintptr_t)outside) ? OCTET_OK : octet_fail_memory(err);
}

static octet_status own_names(octet_names *names, octet_reader *reader, const Onnx__NodeProto *node,
                              const Onnx__GraphProto *branch, octet_error *err)
{
    for (size_t i = 0; i < branch->n_initializer; i++)
        OCTET_TRY(own_name(names, reader, node, branch->initializer[i]->name, err));
    for (size_t i = 0; i < branch->n_node; i++)
        for (size_t k = 0; k < branch->node[i]->n_output; k++)
            OCTET_TRY(own_name(names, reader, node, branch->node[i]->output[k], err));
    return OCTET_OK;
}

static octet_status read_constants(octet_reader *reader, const octet_names *names, const Onnx__GraphProto *branch,
                                   octet_error *err)
{
    for (size_t i = 0; i < branch->n_initializer; i++) {
        Onnx__TensorProto *const copy =
            octet_arena_copy_bytes(reader->arena, branch->initializer[i], sizeof *copy);
        if (!copy) return octet_fail_memory(err);
        copy->name = octet_names_find(names, text_of(copy->name));
        if (!copy->name) return octet_fail(err, OCTET_ERR_FORMAT, "initializer %zu of a branch has no name", i);
        OCTET_TRY(octet_read_initializer(reader, copy, err));
    }
    return OCTET_OK;
}

octet_status octet_read_if(const char ***results, octet_reader *reader, const octet_proto_node *node, octet_error *err)
{
    const Onnx__GraphProto *branch;
    octet_names *const      names = octet_names_new(reader->arena);
    bool                    taken = false;
    if (!names) return octet_fail_memory(err);
    OCTET_TRY(condition(&taken, reader, node->proto, err));
    OCTET_TRY(find_branch(&branch, node->proto, taken ? "then_branch" : "else_branch", err));
    OCTET_TRY(own_names(names, reader, node->proto, branch, err));
    OCTET_TRY(read_constants(reader, names, branch, err));
    OCTET_TRY(octet_arena_get(results, reader->arena, branch->n_output, sizeof **results, err));
    for (size_t i = 0; i < branch->n_output; i++) {
        const char *const inside = text_of(branch->output[i]->name), *const own = octet_names_find(names, inside);
        (*results)[i] = own ? own : octet_read_outside(reader, node, inside);
        if (!(*results)[i]) return octet_fail_memory(err);
    }
    return octet_read_branch(reader, node, branch, names, err);
}
