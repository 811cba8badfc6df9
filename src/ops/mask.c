/* SPDX-License-Identifier: Apache-2.0 */
/* Recognising masks (mask.h). */
#include "ops/mask.h"

#include <string.h>

enum { MOST_DEPTH = 8, MOST_INPUTS = 3 };

static const float LOWEST_SCORE = -1000.0f; /* exp of a thousand below the rest is 0 in every type */

static bool is(const octet_node *node, const char *op) { return strcmp(node->op->name, op) == 0; }

/* Whether value is a constant that holds such a number. */
static bool is_low(const octet_value *value)
{
    const octet_tensor *const t = value ? value->constant : NULL;
    if (!t || t->dtype != OCTET_F32 || t->qparams) return false;
    for (int64_t i = 0, count = octet_tensor_count(t); i < count; i++)
        if (((const float *)t->data)[i] <= LOWEST_SCORE) return true;
    return false;
}

/* What exporters make masks with from an input that tells padding from words. */
static bool makes_masks(const octet_node *node)
{
    static const char *const ops[] = { "Cast",  "Concat", "Expand",    "Identity", "Mul",
                                       "Reshape", "Slice", "Unsqueeze", "Where" };
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (is(node, ops[i])) return true;
    return false;
}

static bool is_mask(const octet_value *value, int depth)
{
    if (!value || value->fake_quantize) return false;
    if (is_low(value)) return true;
    const octet_node *const node = value->producer;
    if (!node || depth == MOST_DEPTH || !makes_masks(node)) return false;
    for (int i = 0; i < node->input_count && i < MOST_INPUTS; i++)
        if (is_mask(node->inputs[i], depth + 1)) return true;
    return false;
}

static bool adds_mask(const octet_node *node)
{
    return is(node, "Add") && !node->outputs[0]->fake_quantize &&
           (is_mask(node->inputs[0], 0) || is_mask(node->inputs[1], 0));
}

const char *octet_refuses_mask(const octet_node *add)
{
    const octet_node *const reader = octet_value_only_reader(add->outputs[0]);
    if (!reader || !is(reader, "Softmax") || !adds_mask(add)) return NULL;
    return "adds a mask: what it forbids would stretch the range of the rest";
}

const char *octet_refuses_masked(const octet_node *softmax)
{
    const octet_value *const x = softmax->inputs[0];
    const octet_node *const  p = x->fake_quantize ? NULL : x->producer;
    const bool               chosen = p && is(p, "Where") && (is_low(p->inputs[1]) || is_low(p->inputs[2]));
    if (!chosen && !(p && adds_mask(p))) return NULL;
    return "reads masked numbers: what is forbidden has no level";
}
