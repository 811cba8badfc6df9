/* SPDX-License-Identifier: Apache-2.0 */
/* A small attention as exporters write it, with places for what scales and masks the scores. */
#ifndef OCTET_TESTS_ATTENTION_H
#define OCTET_TESTS_ATTENTION_H

#include "support.h"

enum { WORDS = 6, WIDE = 16, PARTS = 2 };

/* op of value with number behind it, called out: "Mul", "Div"; NULL: value itself. */
static inline const char *attention_step(octet_graph *graph, const char *op, const char *value, const char *number,
                                         const char *out)
{
    if (op) add_node(graph, op, out, NULL, INPUTS(value, number));
    return op ? out : value;
}

static inline void attention_number(octet_graph *graph, const char *name, double value)
{
    float              copy = (float)value;
    const octet_tensor tensor = { .dtype = OCTET_F32, .data = &copy };
    MUST(octet_graph_add_constant(graph, name, &tensor, &err));
}

/* side of x [batch, WORDS, WIDE] as [batch, PARTS, WORDS, WIDE / PARTS], turned by perm. */
static inline void attention_side(octet_graph *graph, random_state *r, const char *side, const int64_t perm[4])
{
    char              names[5][16];
    const char *const endings[] = { "w", "b", "p", "s", "r" };
    const octet_attribute turn[] = { { .name = "perm", .ints = perm, .count = 4 }, { 0 } };
    for (int i = 0; i < 5; i++) snprintf(names[i], sizeof names[i], "%s_%s", side, endings[i]);
    add_random(graph, r, names[0], (const int64_t[]){ WIDE, WIDE }, 2, between(-0.6f, 0.6f));
    add_random(graph, r, names[1], (const int64_t[]){ WIDE }, 1, between(-0.3f, 0.3f));
    add_node(graph, "MatMul", names[2], NULL, INPUTS("x", names[0]));
    add_node(graph, "Add", names[3], NULL, INPUTS(names[2], names[1]));
    add_node(graph, "Reshape", names[4], NULL, INPUTS(names[3], "heads"));
    add_node(graph, "Transpose", side, turn, INPUTS(names[4]));
}

/* What stands where; NULL: nothing. */
typedef struct attention_form {
    const char *of_q, *of_k, *of_scores; /* "Mul" or "Div" by 1.7 or 1 / 1.7 */
    const float *mask; /* of WORDS * WORDS, added */
    bool         chosen; /* what is below 0 in the mask is chosen away by Where instead, at negative infinity */
} attention_form;

static inline octet_graph *attention_graph(random_state *r, const attention_form *form)
{
    octet_graph   *graph;
    const int64_t  turn[] = { 0, 2, 1, 3 }, across[] = { 0, 2, 3, 1 };
    const octet_tensor mask = { .dtype = OCTET_F32, .rank = 2, .dims = { WORDS, WORDS },
                                .data = (void *)(uintptr_t)form->mask };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, WORDS, WIDE }, 3, &err));
    add_ints(graph, "heads", (const int64_t[]){ 0, WORDS, PARTS, WIDE / PARTS }, 4);
    add_ints(graph, "joined", (const int64_t[]){ 0, WORDS, WIDE }, 3);
    attention_number(graph, "Mul_by", 0.6);
    attention_number(graph, "Div_by", 1.7);
    attention_number(graph, "lowest", (double)-INFINITY);
    attention_side(graph, r, "q", turn);
    attention_side(graph, r, "k", across);
    attention_side(graph, r, "v", turn);
    const char *const by[] = { "Mul_by", "Div_by" };
    const char *const q = attention_step(graph, form->of_q, "q", by[form->of_q && *form->of_q == 'D'], "q1");
    const char *const k = attention_step(graph, form->of_k, "k", by[form->of_k && *form->of_k == 'D'], "k1");
    add_node(graph, "MatMul", "scores", NULL, INPUTS(q, k));
    const char *at = attention_step(graph, form->of_scores, "scores",
                                    by[form->of_scores && *form->of_scores == 'D'], "scaled");
    if (form->mask) MUST(octet_graph_add_constant(graph, "mask", &mask, &err));
    if (form->mask && form->chosen) {
        attention_number(graph, "zero", 0);
        add_node(graph, "Less", "forbidden", NULL, INPUTS("mask", "zero"));
        add_node(graph, "Where", "masked", NULL, INPUTS("forbidden", "lowest", at));
    } else if (form->mask) add_node(graph, "Add", "masked", NULL, INPUTS(at, "mask"));
    add_node(graph, "Softmax", "weights", NULL, INPUTS(form->mask ? "masked" : at));
    add_node(graph, "MatMul", "mixed", NULL, INPUTS("weights", "v"));
    add_node(graph, "Transpose", "turned", (const octet_attribute[]){ { .name = "perm", .ints = turn, .count = 4 },
                                                                     { 0 } }, INPUTS("mixed"));
    add_node(graph, "Reshape", "together", NULL, INPUTS("turned", "joined"));
    add_random(graph, r, "last", (const int64_t[]){ WIDE, WIDE }, 2, between(-0.6f, 0.6f));
    add_node(graph, "MatMul", "y", NULL, INPUTS("together", "last"));
    return graph;
}

#endif
