/* SPDX-License-Identifier: Apache-2.0 */
/* MatMul of a matrix with constant weights [K, N], read only by an Add of a constant with N entries, becomes Gemm.
   Precondition: shapes known. */
#include "passes/pass.h"

#include "ops/attrs.h"

/* The Add's constant, if it is a row of as many entries as weights has columns. */
static octet_value *row_of(const octet_node *add, const octet_value *product, int64_t columns)
{
    octet_value *const other = add->inputs[add->inputs[0] == product];
    if (!octet_constant_floats(other) || other->fake_quantize) return NULL;
    const octet_tensor *const t = other->constant;
    const bool is_row = t->rank >= 1 && t->rank <= 2 && t->dims[t->rank - 1] == columns;
    return is_row && octet_tensor_count(t) == columns ? other : NULL;
}

static octet_status rewrite(octet_graph *graph, octet_node *matmul, octet_node *add, octet_value *row, octet_error *err)
{
    octet_node        *gemm;
    octet_value *const x = matmul->inputs[0], *const w = matmul->inputs[1], *const out = add->outputs[0];
    const char *const  merged = octet_arena_format(graph->arena, "%s + %s", matmul->name, add->name);
    if (!merged) return octet_fail_memory(err);
    const octet_new_node as = { .op = octet_op_find("Gemm", NULL), .name = matmul->name, .inputs = 3, .outputs = 1,
                                .before = add->next };
    octet_node_remove(graph, add);
    octet_node_remove(graph, matmul); /* whose name is free now */
    OCTET_TRY(octet_node_new(&gemm, graph, &as, err));
    gemm->merged = merged;
    gemm->dynamic = matmul->dynamic;
    OCTET_TRY(octet_node_set_input(graph, gemm, 0, x, err));
    OCTET_TRY(octet_node_set_input(graph, gemm, 1, w, err));
    OCTET_TRY(octet_node_set_input(graph, gemm, 2, row, err));
    octet_node_set_output(gemm, 0, out);
    return OCTET_OK;
}

octet_status octet_pass_matmul_to_gemm(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first, *next; n; n = next) {
        next = n->next;
        if (!octet_node_is(n, "MatMul") || !n->inputs[1]->constant || n->inputs[1]->rank != 2) continue;
        octet_value *const product = n->outputs[0];
        octet_node *const  add     = octet_value_only_reader(product);
        if (!n->inputs[0]->has_shape || n->inputs[0]->rank != 2 || product->fake_quantize) continue;
        if (!add || !octet_node_is(add, "Add") || product->dtype != OCTET_F32) continue;
        octet_value *const row = row_of(add, product, n->inputs[1]->dims[1]);
        if (!row) continue;
        if (next == add) next = add->next;
        OCTET_TRY(rewrite(graph, n, add, row, err));
    }
    return OCTET_OK;
}
