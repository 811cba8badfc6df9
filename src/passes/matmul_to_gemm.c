/* SPDX-License-Identifier: Apache-2.0 */
/* MatMul with constant weights [K, N], read only by an Add of a constant with N entries: of a matrix it becomes Gemm,
   of anything else a MatMul that adds the row itself (the writer makes the Add again). Precondition: shapes known. */
#include "passes/pass.h"

#include "ops/attrs.h"

/* A constant of real numbers, or a bias of levels as a quantized file has it. */
static bool is_bias(const octet_value *value)
{
    const octet_tensor *const t = value->constant;
    if (!t || value->fake_quantize) return false;
    return t->qparams ? t->dtype == OCTET_I32 : t->dtype == OCTET_F32;
}

/* The Add's constant, if it is a row of as many entries as weights has columns. */
static octet_value *row_of(const octet_node *add, const octet_value *product, int64_t columns)
{
    octet_value *const other = add->inputs[add->inputs[0] == product];
    if (!is_bias(other)) return NULL;
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

/* A bias is a list: a row of two dimensions becomes one of its own. */
static octet_status as_list(octet_value **list, octet_graph *graph, octet_value *row, octet_error *err)
{
    octet_tensor tensor = *row->constant;
    *list               = row;
    if (tensor.rank == 1) return OCTET_OK;
    tensor.rank    = 1;
    tensor.dims[0] = octet_tensor_count(row->constant);
    if (tensor.qparams && tensor.qparams->count > 1) {
        octet_qparams *const q = octet_arena_copy_bytes(graph->arena, tensor.qparams, sizeof *q);
        if (!q) return octet_fail_memory(err);
        q->axis        = 0;
        tensor.qparams = q;
    }
    OCTET_TRY(octet_value_new_near(list, graph, row->name, err));
    return octet_value_set_constant(graph, *list, &tensor, err);
}

static octet_status take_row(octet_graph *graph, octet_node *matmul, octet_node *add, octet_value *row,
                             octet_error *err)
{
    octet_value *list, *const out = add->outputs[0];
    OCTET_TRY(as_list(&list, graph, row, err));
    OCTET_TRY(octet_node_merge_name(graph, matmul, add->name, err));
    octet_node_remove(graph, add);
    octet_node_set_output(matmul, 0, out);
    OCTET_TRY(octet_add_bias_slot(graph, matmul, err));
    return octet_node_set_input(graph, matmul, 2, list, err);
}

octet_status octet_pass_matmul_to_gemm(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first, *next; n; n = next) {
        next = n->next;
        if (!octet_node_is(n, "MatMul") || !n->inputs[1]->constant || n->inputs[1]->rank != 2) continue;
        octet_value *const product = n->outputs[0];
        octet_node *const  add     = octet_value_only_reader(product);
        if (!n->inputs[0]->has_shape || n->input_count > 2 || product->fake_quantize) continue;
        if (!add || !octet_node_is(add, "Add") || product->dtype != OCTET_F32) continue;
        octet_value *const row = row_of(add, product, n->inputs[1]->dims[1]);
        if (!row) continue;
        if (next == add) next = add->next;
        const bool matrix = n->inputs[0]->rank == 2;
        OCTET_TRY((matrix ? rewrite : take_row)(graph, n, add, row, err));
    }
    return OCTET_OK;
}
