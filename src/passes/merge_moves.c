/* SPDX-License-Identifier: Apache-2.0 */
/* Two Transposes in a row become one, or none where they undo each other; of Reshapes in a row the last is enough.
   Precondition: shapes known; the second is the first's only reader, nothing between is quantized; a Reshape's target
   is constant and repeats no dimension of what it read (0). */
#include "passes/pattern.h"

#include "ops/attrs.h"

static int64_t source(const octet_node *transpose, int rank, int64_t i)
{
    const octet_ints *const perm = &((const octet_transpose_attrs *)transpose->attrs)->perm;
    return perm->count ? perm->at[i] : rank - 1 - i;
}

static octet_status merge_transposes(octet_graph *graph, octet_node *first, octet_node *second, octet_error *err)
{
    octet_value *const x = first->inputs[0], *const out = second->outputs[0];
    octet_ints         perm = { .count = x->rank };
    bool               same = true;
    for (int i = 0; i < x->rank; i++) {
        perm.at[i] = source(first, x->rank, source(second, x->rank, i));
        same = same && perm.at[i] == i;
    }
    if (same && !out->is_output && !out->fake_quantize) {
        OCTET_TRY(octet_value_replace(graph, out, x, err));
        octet_node_remove(graph, second);
        octet_node_remove(graph, first);
        return OCTET_OK;
    }
    ((octet_transpose_attrs *)second->attrs)->perm = perm;
    OCTET_TRY(octet_node_set_input(graph, second, 0, x, err));
    octet_node_remove(graph, first);
    return OCTET_OK;
}

static bool repeats_nothing(const octet_node *reshape)
{
    const octet_tensor *const target = reshape->inputs[1]->constant;
    if (!target || target->dtype != OCTET_I64) return false;
    for (int64_t i = 0, count = octet_tensor_count(target); i < count; i++)
        if (((const int64_t *)target->data)[i] == 0) return false;
    return true;
}

octet_status octet_pass_merge_moves(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->last, *prev; n; n = prev) { /* from behind: of many in a row each meets the next */
        prev = n->prev;
        const bool         turns = octet_node_is(n, "Transpose"), shapes = octet_node_is(n, "Reshape");
        octet_node *const  second = turns || shapes ? octet_read_once(n->outputs[0], n->op->name) : NULL;
        if (!second || second->inputs[0] != n->outputs[0] || !n->inputs[0]->has_shape) continue;
        if (turns) OCTET_TRY(merge_transposes(graph, n, second, err));
        else if (repeats_nothing(second)) {
            OCTET_TRY(octet_node_set_input(graph, second, 0, n->inputs[0], err));
            octet_node_remove(graph, n);
        }
    }
    return OCTET_OK;
}
