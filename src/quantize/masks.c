/* SPDX-License-Identifier: Apache-2.0 */
/* Masks: constants that hide numbers from a Softmax by adding or putting in their place one so low that its exponential
   is nothing, -inf or -3.4e38. No range of levels holds these and the numbers that count, so what is masked stays real
   up to the function that reads it. */
#include "quantize/calibration.h"

#include "ops/mode.h"
#include "passes/pass.h"

#include <string.h>

/* exp of a thousand below the rest is nothing. Where no Softmax follows, what 16 bits do not hold in steps of 1. */
#define LOWEST_SCORE (-1000.0f)
#define LOWEST       (-32768.0f)

/* Whether a constant holds such a number. */
static bool hides(const octet_value *value, float lowest)
{
    if (!octet_constant_floats(value)) return false;
    const float *const data = value->constant->data;
    const int64_t      count = octet_tensor_count(value->constant);
    for (int64_t i = 0; i < count; i++)
        if (data[i] < lowest) return true;
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

/* Whether a Softmax reads what node makes, or will. scored is known of later nodes. */
static bool is_scored(const bool *scored, const octet_node *node)
{
    if (!passes(node)) return octet_node_is(node, "Softmax");
    for (int i = 0; i < node->output_count; i++)
        for (size_t k = 0; node->outputs[i] && k < node->outputs[i]->use_count; k++)
            if (scored[node->outputs[i]->uses[k].node->index]) return true;
    return false;
}

octet_status octet_find_masked(bool **masked, const octet_graph *graph, octet_arena *arena, octet_error *err)
{
    bool *scored; /* by node->index */
    bool *low;    /* by value->index */
    OCTET_TRY(octet_arena_get(masked, arena, (size_t)graph->node_count, sizeof **masked, err));
    OCTET_TRY(octet_arena_get(&scored, arena, (size_t)graph->node_count, sizeof *scored, err));
    OCTET_TRY(octet_arena_get(&low, arena, (size_t)graph->value_count, sizeof *low, err));
    for (const octet_node *n = graph->last; n; n = n->prev) scored[n->index] = is_scored(scored, n);
    for (const octet_node *n = graph->first; n; n = n->next) {
        bool *const here   = &(*masked)[n->index];
        const float lowest = scored[n->index] ? LOWEST_SCORE : LOWEST;
        for (int i = 0; i < n->input_count && n->op->quant != OCTET_QUANT_MAC; i++)
            if (n->inputs[i]) *here |= low[n->inputs[i]->index] || (puts_on(n) && hides(n->inputs[i], lowest));
        for (int i = 0; i < n->output_count; i++)
            if (n->outputs[i]) low[n->outputs[i]->index] = *here && passes(n);
    }
    return OCTET_OK;
}
