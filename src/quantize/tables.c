/* SPDX-License-Identifier: Apache-2.0 */
/* Constants that become levels beside real activations: tables of embeddings, and weights where nothing else does. */
#include "quantize/calibration.h"

#include "ops/attrs.h"
#include "passes/pass.h"

enum { TABLE = 0 };

/* A matrix, or more, of whose rows some are picked. */
static bool is_table(const octet_node *node)
{
    const octet_value *const table = node->op->flags & OCTET_OP_PICKS ? node->inputs[TABLE] : NULL;
    if (!octet_constant_floats(table) || table->constant->rank < 2) return false;
    const int64_t axis = ((const octet_axis_attrs *)node->attrs)->axis;
    return axis == 0 || axis == -table->constant->rank;
}

octet_status octet_place_table(bool *taken, octet_graph *graph, octet_node *node, const octet_layer_rule *rule,
                               octet_error *err)
{
    octet_calibration *const     c   = graph->calibration;
    const octet_quantizer *const how = octet_table_quantizer(&c->qconfig);
    *taken                           = how && is_table(node) && !(rule && rule->keep_float);
    if (!*taken) return OCTET_OK;
    if (!c->tables)
        OCTET_TRY(octet_arena_get(&c->tables, graph->arena, (size_t)graph->node_count, sizeof *c->tables, err));
    c->tables[c->table_count++] = node;
    return octet_decide(graph, node->name, "table", err, "rows are levels, those picked become real numbers");
}

octet_status octet_prepare_table(octet_graph *graph, octet_node *node, octet_error *err)
{
    const int rank = node->inputs[TABLE]->constant->rank;
    return octet_prepare_constant(graph, &(octet_weight_slot){ node, TABLE, 0, rank - 1 }, err);
}

bool octet_weights_alone(const octet_calibration *calibration, const octet_node *node)
{
    const octet_qconfig *const    q    = &calibration->qconfig;
    const octet_layer_rule *const rule = octet_layer_rule_find(q, node);
    if (q->weight.off || !q->activation.off || q->activation.dynamic || (rule && rule->keep_float)) return false;
    if (node->op->quant != OCTET_QUANT_MAC || q->weight.formula == OCTET_FORMULA_TORCH_FLOAT) return false;
    return node->input_count > 1 && octet_constant_floats(node->inputs[1]) && node->inputs[1]->constant->rank > 1;
}
