/* SPDX-License-Identifier: Apache-2.0 */
/* A value that is known, and the same for two batch sizes, becomes a constant. A Reshape whose target differs between
   the two only where it repeats its input's dimension gets 0 there ("as the input has it"), so that exporters' chains
   of Shape, Gather and Concat disappear. Precondition: graph sorted. */
#include "passes/pass.h"

#include "ops/shape.h"

#include <string.h>

typedef struct view {
    octet_tensor *tensors; /* by value->index */
} view;

static octet_status infer_with(view *out, const octet_graph *graph, octet_free_sizes sizes, octet_arena *arena,
                               octet_error *err)
{
    octet_tensor *inputs;
    OCTET_TRY(octet_arena_get(&out->tensors, arena, (size_t)graph->value_count, sizeof *out->tensors, err));
    OCTET_TRY(octet_arena_get(&inputs, arena, graph->input_count, sizeof *inputs, err));
    for (size_t i = 0; i < graph->input_count; i++) inputs[i] = octet_free_input(graph->inputs[i], sizes);
    return octet_infer_shapes(out->tensors, graph, inputs, arena, err);
}

static bool known_equal(const octet_tensor *a, const octet_tensor *b)
{
    return a->data && b->data && a->dtype == b->dtype && a->rank == b->rank &&
           !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) &&
           !memcmp(a->data, b->data, (size_t)octet_tensor_bytes(a));
}

/* Reshape's target with 0 where both runs repeat the input's dimension; false: it differs elsewhere. */
static bool reshape_target(octet_tensor *target, const octet_node *node, const view runs[2])
{
    const octet_tensor *const a = &runs[0].tensors[node->inputs[1]->index];
    const octet_tensor *const b = &runs[1].tensors[node->inputs[1]->index];
    const octet_tensor *const x = &runs[0].tensors[node->inputs[0]->index];
    const octet_tensor *const y = &runs[1].tensors[node->inputs[0]->index];
    if (!a->data || !b->data || a->dtype != OCTET_I64 || a->rank != 1 || a->dims[0] != b->dims[0]) return false;
    const int64_t *const first = a->data, *const second = b->data;
    int64_t *const       out = target->data;
    if (a->dims[0] > OCTET_MAX_RANK) return false;
    for (int64_t i = 0; i < a->dims[0]; i++) {
        if (first[i] == second[i]) out[i] = first[i];
        else if (i < x->rank && first[i] == x->dims[i] && second[i] == y->dims[i]) out[i] = 0;
        else return false;
    }
    target->dims[0] = a->dims[0];
    return true;
}

static octet_status fold_reshape(octet_graph *graph, octet_node *node, const view runs[2], octet_error *err)
{
    int64_t      dims[OCTET_MAX_RANK];
    octet_tensor target = { .dtype = OCTET_I64, .rank = 1, .data = dims };
    if (!octet_node_is(node, "Reshape") || node->inputs[1]->constant || !reshape_target(&target, node, runs))
        return OCTET_OK;
    return octet_replace_constant(graph, node, 1, &target, err);
}

static bool node_is_known(const octet_node *node, const view runs[2])
{
    for (int i = 0; i < node->output_count; i++) {
        const octet_value *const v = node->outputs[i];
        if (!v) continue;
        if (v->is_output || v->fake_quantize) return false;
        if (!known_equal(&runs[0].tensors[v->index], &runs[1].tensors[v->index])) return false;
    }
    return true;
}

static octet_status fold_node(octet_graph *graph, octet_node *node, const view *run, octet_error *err)
{
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i])
            OCTET_TRY(octet_value_set_constant(graph, node->outputs[i], &run->tensors[node->outputs[i]->index], err));
    octet_node_remove(graph, node);
    return OCTET_OK;
}

static octet_status fold_all(octet_graph *graph, const view runs[2], octet_error *err)
{
    const int values = graph->value_count; /* values made here have no entry in runs */
    for (octet_node *n = graph->first, *next; n; n = next) {
        next = n->next;
        if (n->input_count > 1 && n->inputs[1] && n->inputs[1]->index < values)
            OCTET_TRY(fold_reshape(graph, n, runs, err));
        if (node_is_known(n, runs)) OCTET_TRY(fold_node(graph, n, &runs[0], err));
    }
    return OCTET_OK;
}

/* Two sizes; networks that put samples together take even batches only, those with windows images of some size, others
   just one. */
static octet_status infer_twice(view runs[2], const octet_graph *graph, octet_arena *arena, octet_error *err)
{
    static const octet_free_sizes sizes[][2] = {
        { { 2, 2 }, { 3, 3 } }, { { 2, 2 }, { 4, 4 } }, { { 2, 64 }, { 3, 128 } }, { { 2, 256 }, { 3, 512 } },
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (infer_with(&runs[0], graph, sizes[i][0], arena, NULL) == OCTET_OK &&
            infer_with(&runs[1], graph, sizes[i][1], arena, NULL) == OCTET_OK)
            return OCTET_OK;
    OCTET_TRY(infer_with(&runs[0], graph, octet_free_sizes_tried[0], arena, err));
    runs[1] = runs[0];
    return OCTET_OK;
}

octet_status octet_pass_fold_constants(octet_graph *graph, octet_error *err)
{
    octet_arena *const arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    view         runs[2];
    octet_status status = infer_twice(runs, graph, arena, err);
    if (status == OCTET_OK) status = fold_all(graph, runs, err);
    octet_arena_free(arena);
    return status;
}
