/* SPDX-License-Identifier: Apache-2.0 */
/* Masks: constants that hide numbers from a Softmax by adding or putting in their place one so low that its exponential
   is nothing, -inf or -3.4e38. No range of levels holds these and the numbers that count, so what is masked stays real
   up to the function that reads it. */
#include "quantize/calibration.h"

#include "ops/mode.h"
#include "passes/pass.h"

#include <string.h>

/* Below what 16 bits hold in steps of 1. Masks of -10000 and the like become levels as other numbers do. */
#define LOWEST (-32768.0f)

static bool hides(const octet_value *value)
{
    if (!octet_constant_floats(value)) return false;
    const float *const data = value->constant->data;
    const int64_t      count = octet_tensor_count(value->constant);
    for (int64_t i = 0; i < count; i++)
        if (data[i] < LOWEST) return true;
    return false;
}

/* Operators by which a mask is put on. */
static bool puts_on(const octet_node *node)
{
    static const char *const names[] = { "Add", "Mul", "Where" };
    bool                     found = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) found |= !strcmp(node->op->name, names[i]);
    return found;
}

/* Whether such numbers leave a node that reads them as they came. */
static bool passes(const octet_node *node)
{
    const octet_quant_kind kind = node->op->quant;
    if (puts_on(node) || octet_node_moves(node) || kind == OCTET_QUANT_CONCAT) return true;
    return kind == OCTET_QUANT_RESCALE && !(node->op->flags & OCTET_OP_FUNCTION);
}

octet_status octet_find_masked(bool **masked, const octet_graph *graph, octet_arena *arena, octet_error *err)
{
    bool *low; /* by value->index */
    OCTET_TRY(octet_arena_get(masked, arena, (size_t)graph->node_count, sizeof **masked, err));
    OCTET_TRY(octet_arena_get(&low, arena, (size_t)graph->value_count, sizeof *low, err));
    for (const octet_node *n = graph->first; n; n = n->next) {
        bool *const here = &(*masked)[n->index];
        for (int i = 0; i < n->input_count && n->op->quant != OCTET_QUANT_MAC; i++)
            if (n->inputs[i]) *here |= low[n->inputs[i]->index] || (puts_on(n) && hides(n->inputs[i]));
        for (int i = 0; i < n->output_count; i++)
            if (n->outputs[i]) low[n->outputs[i]->index] = *here && passes(n);
    }
    return OCTET_OK;
}
