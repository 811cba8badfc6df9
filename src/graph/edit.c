/* SPDX-License-Identifier: Apache-2.0 */
/* The only code that changes what is connected to what: producers, uses and names stay right because of it. */
#include "graph/graph.h"
#include "graph/attrs.h"
#include "graph/names.h"
#include "graph/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

octet_status octet_graph_new(octet_graph **graph, octet_error *err)
{
    *graph                   = NULL;
    octet_arena *const arena = octet_arena_new_streamed();
    octet_graph *const g     = arena ? octet_arena_alloc(arena, 1, sizeof *g) : NULL;
    if (g) {
        g->arena       = arena;
        g->value_names = octet_names_new(arena);
        g->node_names  = octet_names_new(arena);
        g->name        = "octet";
        g->opset       = 17;
    }
    if (!g || !g->value_names || !g->node_names) {
        octet_arena_free(arena);
        return octet_fail_memory(err);
    }
    *graph = g;
    return OCTET_OK;
}

void octet_graph_free(octet_graph *graph)
{
    if (graph) octet_arena_free(graph->arena);
}

octet_value *octet_graph_find_value(const octet_graph *graph, const char *name)
{
    return octet_names_find(graph->value_names, name);
}

octet_node *octet_graph_find_node(const octet_graph *graph, const char *name)
{
    return octet_names_find(graph->node_names, name);
}

/* ---- values ---- */

static octet_status value_link(octet_value **value, octet_graph *graph, const char *name, octet_error *err)
{
    octet_value *const v = octet_arena_alloc(graph->arena, 1, sizeof *v);
    if (!v || !name) return octet_fail_memory(err);
    v->name  = name;
    v->index = graph->value_count++;
    if (graph->values_last) graph->values_last->next = v;
    else graph->values = v;
    graph->values_last = v;
    if (!octet_names_add(graph->value_names, name, v)) return octet_fail_memory(err);
    *value = v;
    return OCTET_OK;
}

octet_status octet_value_new(octet_value **value, octet_graph *graph, const char *name, octet_error *err)
{
    if (!name || !*name) return octet_fail(err, OCTET_ERR_FORMAT, "a value without a name");
    if (octet_graph_find_value(graph, name)) {
        octet_fail(err, OCTET_ERR_FORMAT, "name '%.80s' is already defined", name);
        octet_error_node(err, name);
        return OCTET_ERR_FORMAT;
    }
    return value_link(value, graph, octet_arena_copy(graph->arena, name), err);
}

octet_status octet_value_new_near(octet_value **value, octet_graph *graph, const char *name, octet_error *err)
{
    return value_link(value, graph, octet_names_free(graph->value_names, name), err);
}

static octet_status copy_qparams(const octet_qparams **copy, octet_arena *arena, const octet_qparams *from,
                                 octet_error *err)
{
    const size_t         count = (size_t)from->count;
    octet_qparams *const to    = octet_arena_copy_bytes(arena, from, sizeof *from);
    if (!to) return octet_fail_memory(err);
    to->scale      = octet_arena_copy_bytes(arena, from->scale, count * sizeof *from->scale);
    to->zero_point = octet_arena_copy_bytes(arena, from->zero_point, count * sizeof *from->zero_point);
    *copy          = to;
    if (!to->scale || !to->zero_point) return octet_fail_memory(err);
    if (!from->real_zero_point) return OCTET_OK;
    to->real_zero_point = octet_arena_copy_bytes(arena, from->real_zero_point, count * sizeof *from->real_zero_point);
    return to->real_zero_point ? OCTET_OK : octet_fail_memory(err);
}

/* borrow: the data itself stays where it is. */
static octet_status constant_attach(octet_graph *graph, octet_value *value, const octet_tensor *tensor, bool borrow,
                                    octet_error *err)
{
    const int64_t bytes = octet_tensor_bytes(tensor);
    if (bytes < 0) return octet_fail(err, OCTET_ERR_SHAPE, "constant '%.80s' has an impossible shape", value->name);
    octet_tensor *const copy = octet_arena_copy_bytes(graph->arena, tensor, sizeof *tensor);
    if (!copy) return octet_fail_memory(err);
    if (!borrow) copy->data = octet_arena_copy_bytes(graph->arena, tensor->data, (size_t)bytes);
    if (!copy->data) return octet_fail_memory(err);
    if (tensor->qparams) OCTET_TRY(copy_qparams(&copy->qparams, graph->arena, tensor->qparams, err));
    value->constant  = copy;
    value->borrowed  = false;
    value->dtype     = tensor->qparams ? OCTET_F32 : tensor->dtype;
    value->has_shape = true;
    value->rank      = tensor->rank;
    memcpy(value->dims, tensor->dims, sizeof value->dims);
    return OCTET_OK;
}

octet_status octet_value_set_constant(octet_graph *graph, octet_value *value, const octet_tensor *tensor,
                                      octet_error *err)
{
    return constant_attach(graph, value, tensor, false, err);
}

octet_status octet_value_new_constant(octet_value **value, octet_graph *graph, const char *name,
                                      const octet_tensor *tensor, bool borrow, octet_error *err)
{
    OCTET_TRY(octet_value_new(value, graph, name, err));
    return constant_attach(graph, *value, tensor, borrow, err);
}

/* ---- uses ---- */

static octet_status use_add(octet_graph *graph, octet_value *value, octet_use use, octet_error *err)
{
    if (!octet_arena_grow(graph->arena, &value->uses, value->use_count, &value->use_capacity, sizeof use))
        return octet_fail_memory(err);
    value->uses[value->use_count++] = use;
    return OCTET_OK;
}

static void use_remove(octet_value *value, const octet_node *node, int slot)
{
    for (size_t i = 0; i < value->use_count; i++)
        if (value->uses[i].node == node && value->uses[i].slot == slot) {
            memmove(&value->uses[i], &value->uses[i + 1], (value->use_count - i - 1) * sizeof *value->uses);
            value->use_count--;
            return;
        }
}

octet_status octet_node_set_input(octet_graph *graph, octet_node *node, int slot, octet_value *value, octet_error *err)
{
    if (node->inputs[slot]) use_remove(node->inputs[slot], node, slot);
    node->inputs[slot] = value;
    return value ? use_add(graph, value, (octet_use){ node, slot }, err) : OCTET_OK;
}

void octet_node_set_output(octet_node *node, int slot, octet_value *value)
{
    if (node->outputs[slot] && node->outputs[slot]->producer == node) node->outputs[slot]->producer = NULL;
    node->outputs[slot] = value;
    if (value) value->producer = node;
}

octet_status octet_value_replace(octet_graph *graph, octet_value *from, octet_value *to, octet_error *err)
{
    for (size_t i = 0; i < from->use_count; i++) {
        from->uses[i].node->inputs[from->uses[i].slot] = to;
        OCTET_TRY(use_add(graph, to, from->uses[i], err));
    }
    from->use_count = 0;
    for (size_t i = 0; i < graph->output_count; i++)
        if (graph->outputs[i] == from) {
            graph->outputs[i] = to;
            from->is_output   = false;
            to->is_output     = true;
        }
    return OCTET_OK;
}

octet_node *octet_value_only_reader(const octet_value *value)
{
    return value->use_count == 1 && !value->is_output ? value->uses[0].node : NULL;
}

octet_tensor octet_value_tensor(const octet_value *value, int64_t batch)
{
    if (value->constant) return *value->constant;
    octet_tensor tensor = { .dtype = value->dtype, .rank = value->rank };
    for (int i = 0; i < value->rank; i++) tensor.dims[i] = value->dims[i] < 0 ? batch : value->dims[i];
    return tensor;
}

/* ---- nodes ---- */

static void node_link(octet_graph *graph, octet_node *node, octet_node *before)
{
    node->next = before;
    node->prev = before ? before->prev : graph->last;
    if (node->prev) node->prev->next = node;
    else graph->first = node;
    if (before) before->prev = node;
    else graph->last = node;
}

static void node_unlink(octet_graph *graph, octet_node *node)
{
    if (node->prev) node->prev->next = node->next;
    else graph->first = node->next;
    if (node->next) node->next->prev = node->prev;
    else graph->last = node->prev;
}

octet_status octet_node_new(octet_node **node, octet_graph *graph, const octet_new_node *as, octet_error *err)
{
    octet_node *const n = octet_arena_alloc(graph->arena, 1, sizeof *n);
    if (!n) return octet_fail_memory(err);
    n->op           = as->op;
    n->input_count  = as->inputs;
    n->output_count = as->outputs;
    n->name         = octet_names_free(graph->node_names, as->name && *as->name ? as->name : as->op->name);
    n->index        = graph->node_count++;
    OCTET_TRY(octet_arena_get(&n->inputs, graph->arena, (size_t)as->inputs, sizeof *n->inputs, err));
    OCTET_TRY(octet_arena_get(&n->outputs, graph->arena, (size_t)as->outputs, sizeof *n->outputs, err));
    OCTET_TRY(octet_arena_get(&n->attrs, graph->arena, 1, as->op->attrs_size + 1, err));
    octet_attrs_init(n->attrs, as->op);
    if (!n->name || !octet_names_add(graph->node_names, n->name, n)) return octet_fail_memory(err);
    node_link(graph, n, as->before);
    *node = n;
    return OCTET_OK;
}

void octet_node_remove(octet_graph *graph, octet_node *node)
{
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i]) use_remove(node->inputs[i], node, i);
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] && node->outputs[i]->producer == node) node->outputs[i]->producer = NULL;
    octet_names_remove(graph->node_names, node->name);
    node_unlink(graph, node);
    graph->node_count--;
}

void octet_graph_sweep(octet_graph *graph)
{
    int           index = 0;
    octet_value **link  = &graph->values;
    graph->values_last  = NULL;
    for (octet_value *v = graph->values; v; v = v->next) {
        const bool kept = v->producer || v->use_count > 0 || v->is_input || v->is_output;
        if (!kept) {
            octet_names_remove(graph->value_names, v->name);
            continue;
        }
        v->index           = index++;
        *link              = v;
        link               = &v->next;
        graph->values_last = v;
    }
    *link              = NULL;
    graph->value_count = index;
    index              = 0;
    for (octet_node *n = graph->first; n; n = n->next) n->index = index++;
    graph->node_count = index;
}

/* ---- notes ---- */

octet_status octet_decide(octet_graph *graph, const char *node, const char *what, octet_error *err, const char *why,
                          ...)
{
    if (!octet_arena_grow(graph->arena, &graph->decisions, graph->decision_count, &graph->decision_capacity,
                          sizeof *graph->decisions))
        return octet_fail_memory(err);
    char    text[512];
    va_list args;
    va_start(args, why);
    vsnprintf(text, sizeof text, why, args);
    va_end(args);
    octet_decision *const d = &graph->decisions[graph->decision_count];
    *d = (octet_decision){ octet_arena_copy(graph->arena, node), octet_arena_copy(graph->arena, what),
                           octet_arena_copy(graph->arena, text) };
    if (!d->node || !d->what || !d->why) return octet_fail_memory(err);
    graph->decision_count++;
    return OCTET_OK;
}

octet_status octet_node_merge_name(octet_graph *graph, octet_node *node, const char *name, octet_error *err)
{
    node->merged = octet_arena_format(graph->arena, "%s + %s", node->merged ? node->merged : node->name, name);
    return node->merged ? OCTET_OK : octet_fail_memory(err);
}
