/* SPDX-License-Identifier: Apache-2.0 */
/* Networks written as text, to be equalized: statements "op out in [in] [from to]", of channels 8 unless told. Weights
   differ by a factor of 1000 between channels, so that there is something to do. */
#ifndef OCTET_TESTS_QUANTIZE_EQUALIZE_CASE_H
#define OCTET_TESTS_QUANTIZE_EQUALIZE_CASE_H

#include "support.h"

#include "graph/graph.h"
#include "passes/pass.h"

enum { EQ_SIDE = 8, EQ_INPUT = 3 * EQ_SIDE * EQ_SIDE, EQ_ROOM = 1 << 15 };

/* dims[0] rows, each with a size of its own. */
UNUSED static void add_uneven(octet_graph *graph, random_state *r, const char *name, const int64_t *dims, int rank)
{
    static float data[MOST_WEIGHTS];
    octet_tensor tensor = { .dtype = OCTET_F32, .rank = rank, .data = data };
    for (int i = 0; i < rank; i++) tensor.dims[i] = dims[i];
    const int64_t count = octet_tensor_count(&tensor), row = count / dims[0];
    for (int64_t o = 0; o < dims[0]; o++)
        random_fill(r, data + o * row, (size_t)row, -1, 1);
    for (int64_t o = 0; o < dims[0]; o++) {
        const float size = powf(10, random_float(r, -1.5f, 1.5f));
        for (int64_t i = 0; i < row; i++) data[o * row + i] *= size / (float)row;
    }
    MUST(octet_graph_add_constant(graph, name, &tensor, &err));
}

typedef struct statement {
    char op[24], out[16], in[2][16];
    int  from, to; /* channels */
} statement;

static inline void add_product(octet_graph *graph, random_state *r, const statement *s)
{
    char          names[2][40];
    const bool    depthwise = !strcmp(s->op, "dw"), grouped = !strcmp(s->op, "grouped"), gemm = !strcmp(s->op, "gemm");
    const bool    shared = !strcmp(s->op, "again"), no_bias = !strcmp(s->op, "bare");
    const int64_t group = depthwise ? s->to : grouped ? 2 : 1;
    const int64_t dims[] = { gemm ? s->from : s->to, gemm ? s->to : s->from / group, 3, 3 }, outputs[] = { s->to };
    const octet_attribute conv[] = { { .name = "pads", .ints = (const int64_t[]){ 1, 1, 1, 1 }, .count = 4 },
                                     { .name = "group", .i = group }, { 0 } };
    snprintf(names[0], sizeof names[0], "w_%s", shared ? s->in[1] : s->out);
    snprintf(names[1], sizeof names[1], "b_%s", s->out);
    if (!shared) add_uneven(graph, r, names[0], dims, gemm ? 2 : 4);
    if (!no_bias) add_random(graph, r, names[1], outputs, 1, between(-0.005f, 0.02f));
    add_node(graph, gemm ? "Gemm" : "Conv", s->out, gemm ? NULL : conv,
             INPUTS(s->in[0], names[0], no_bias ? NULL : names[1]));
}

static inline void add_clip(octet_graph *graph, const statement *s, float lo, float hi)
{
    char         names[2][40];
    octet_tensor bound = { .dtype = OCTET_F32, .data = &lo };
    snprintf(names[0], sizeof names[0], "lo_%s", s->out);
    snprintf(names[1], sizeof names[1], "hi_%s", s->out);
    MUST(octet_graph_add_constant(graph, names[0], &bound, &err));
    bound.data = &hi;
    MUST(octet_graph_add_constant(graph, names[1], &bound, &err));
    add_node(graph, "Clip", s->out, NULL, INPUTS(s->in[0], names[0], names[1]));
}

static inline void add_ints_node(octet_graph *graph, const statement *s, const char *op, const int64_t *ints, int64_t n)
{
    char name[40];
    snprintf(name, sizeof name, "i_%s", s->out);
    add_ints(graph, name, ints, n);
    add_node(graph, op, s->out, NULL, INPUTS(s->in[0], name));
}

/* x + noise, x * noise. */
static inline void add_constant(octet_graph *graph, random_state *r, const statement *s, const char *op)
{
    char name[40];
    snprintf(name, sizeof name, "c_%s", s->out);
    add_random(graph, r, name, (const int64_t[]){ 8, EQ_SIDE, EQ_SIDE }, 3, between(0.5f, 2)); /* what folds is gone */
    add_node(graph, op, s->out, NULL, INPUTS(s->in[0], name));
}

static inline void add_pad(octet_graph *graph, const statement *s, float value)
{
    char               names[2][40];
    const octet_tensor filling = { .dtype = OCTET_F32, .data = &value };
    snprintf(names[0], sizeof names[0], "p_%s", s->out);
    snprintf(names[1], sizeof names[1], "v_%s", s->out);
    add_ints(graph, names[0], (const int64_t[]){ 0, 0, 1, 0, 0, 0, 0, 2 }, 8);
    MUST(octet_graph_add_constant(graph, names[1], &filling, &err));
    add_node(graph, "Pad", s->out, NULL, INPUTS(s->in[0], names[0], names[1]));
}

static inline void add_statement(octet_graph *graph, random_state *r, const statement *s)
{
    static const char *const products[] = { "conv", "dw", "grouped", "gemm", "again", "bare" };
    const int64_t         two[] = { 2, 2 }, order[] = { 0, 2, 1, 3, 4 };
    const octet_attribute window[] = { { .name = "kernel_shape", .ints = two, .count = 2 }, { 0 } }, none[] = { { 0 } };
    const octet_attribute axis[] = { { .name = "axis", .i = 1 }, { 0 } };
    const octet_attribute swap[] = { { .name = "perm", .ints = order, .count = 5 }, { 0 } };
    const bool            pools = !strcmp(s->op, "MaxPool") || !strcmp(s->op, "AveragePool");
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        if (!strcmp(s->op, products[i])) {
            add_product(graph, r, s);
            return;
        }
    if (!strcmp(s->op, "relu6")) add_clip(graph, s, 0, 6);
    else if (!strcmp(s->op, "clip")) add_clip(graph, s, -1, 1);
    else if (!strcmp(s->op, "plus")) add_constant(graph, r, s, "Add");
    else if (!strcmp(s->op, "times")) add_constant(graph, r, s, "Mul");
    else if (!strcmp(s->op, "pad0")) add_pad(graph, s, 0);
    else if (!strcmp(s->op, "pad1")) add_pad(graph, s, 1);
    else if (!strcmp(s->op, "groups")) add_ints_node(graph, s, "Reshape", (const int64_t[]){ -1, 2, 4, 8, 8 }, 5);
    else if (!strcmp(s->op, "ungroup")) add_ints_node(graph, s, "Reshape", (const int64_t[]){ -1, 8, 8, 8 }, 4);
    else if (!strcmp(s->op, "swap")) add_node(graph, "Transpose", s->out, swap, INPUTS(s->in[0]));
    else
        add_node(graph, s->op, s->out, pools ? window : !strcmp(s->op, "Concat") ? axis : none,
                 s->in[1][0] ? INPUTS(s->in[0], s->in[1]) : INPUTS(s->in[0]));
}

/* Input x [N, 3, 8, 8]; the last statement's result is the output, and so is value `tap` where it is not NULL. */
UNUSED static octet_graph *build_text(const char *text, const char *tap)
{
    octet_graph  *graph;
    random_state  r = { 5 };
    statement     s = { 0 };
    const int64_t dims[] = { OCTET_DIM_FREE, 3, EQ_SIDE, EQ_SIDE };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 4, &err));
    for (; *text; text += strcspn(text, ";"), text += *text == ';') {
        char one[96];
        s = (statement){ .from = 8, .to = 8 };
        snprintf(one, sizeof one, "%.*s", (int)strcspn(text, ";"), text);
        if (sscanf(one, "%23s %15s %15s %d %d", s.op, s.out, s.in[0], &s.from, &s.to) < 5)
            assert_true(sscanf(one, "%23s %15s %15s %15s", s.op, s.out, s.in[0], s.in[1]) >= 3);
        add_statement(graph, &r, &s);
    }
    MUST(octet_graph_set_output(graph, s.out, &err));
    if (tap) MUST(octet_graph_set_output(graph, tap, &err));
    MUST(octet_fuse(graph, &err));
    return graph;
}

/* Fails unless both graphs compute the same on inputs within +-reach, relative to the largest output. */
UNUSED static void assert_same_function(const octet_graph *a, const octet_graph *b, float reach, const char *what)
{
    static float       x[4 * EQ_INPUT], y[2][EQ_ROOM];
    const octet_tensor input = { .dtype = OCTET_F32, .rank = 4, .dims = { 4, 3, EQ_SIDE, EQ_SIDE }, .data = x };
    random_state       r     = { 77 };
    float              most  = 0, off = 0;
    random_fill(&r, x, 4 * EQ_INPUT, -reach, reach);
    const size_t count = run_graph(a, &input, y[0], EQ_ROOM, NULL);
    assert_int_equal(run_graph(b, &input, y[1], EQ_ROOM, NULL), count);
    for (size_t i = 0; i < count; i++) {
        most = fmaxf(most, fabsf(y[0][i]));
        off  = fmaxf(off, fabsf(y[0][i] - y[1][i]));
    }
    if (!(off <= 1e-5f * most)) fail_msg("%s: off by %g of %g on inputs up to %g", what, off, most, reach);
}

UNUSED static const float *weights_of(const octet_graph *graph, const char *node, int slot)
{
    return octet_constant_floats(octet_graph_find_node(graph, node)->inputs[slot]);
}

#endif
