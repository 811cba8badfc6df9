/* SPDX-License-Identifier: Apache-2.0 */
/* A small decoder-only transformer with the outliers of large ones, trained on a synthetic next-token task: embeddings
   by Gather, one of whose channels is a thousand times the others, RMS normalisation whose gains undo that, rotary
   positions, a causal mask of -10000. The next token is a fixed permutation of the token two back, but for one in five,
   which is random: attention must find a position, the rest of the network a permutation. */
#ifndef OCTET_TESTS_QUANTIZE_DECODER_H
#define OCTET_TESTS_QUANTIZE_DECODER_H

#include "support.h"

enum { TOKENS = 24, LENGTH = 8, MODEL = 32, HEADS = 2, HEAD = MODEL / HEADS, HIDDEN = 64, BATCH = 64, STEPS = 400 };
enum { OUTLIER = 5 };

static const float outlier = 1000.0f;

static void add_values(octet_graph *graph, const char *name, float *values, const int64_t *dims, int rank)
{
    octet_tensor tensor = { .dtype = OCTET_F32, .rank = rank, .data = values };
    for (int i = 0; i < rank; i++) tensor.dims[i] = dims[i];
    MUST(octet_graph_add_constant(graph, name, &tensor, &err));
}

static void add_weights(octet_graph *graph, random_state *r, const char *name, int64_t depth, int64_t columns)
{
    const float reach = sqrtf(3.0f / (float)depth);
    add_random(graph, r, name, (const int64_t[]){ depth, columns }, 2, between(-reach, reach));
}

static void add_embeddings(octet_graph *graph, random_state *r)
{
    float table[TOKENS * MODEL];
    random_fill(r, table, TOKENS * MODEL, -1, 1);
    for (int t = 0; t < TOKENS; t++) table[t * MODEL + OUTLIER] = outlier;
    add_values(graph, "table", table, (const int64_t[]){ TOKENS, MODEL }, 2);
    add_node(graph, "Cast", "ids", (const octet_attribute[]){ { .name = "to", .i = 7 }, { 0 } }, INPUTS("tokens"));
    add_node(graph, "Gather", "x0", NULL, INPUTS("table", "ids"));
}

/* Gains that bring the outlier and the rest to one size. */
static void add_norm(octet_graph *graph, const char *out, const char *in)
{
    float       gain[MODEL];
    char        name[32];
    const float root = outlier / sqrtf(MODEL);
    for (int c = 0; c < MODEL; c++) gain[c] = c == OUTLIER ? root / outlier : root;
    snprintf(name, sizeof name, "%s_gain", out);
    add_values(graph, name, gain, (const int64_t[]){ MODEL }, 1);
    add_node(graph, "RMSNormalization", out, NULL, INPUTS(in, name));
}

static void add_rotary_tables(octet_graph *graph)
{
    float cosine[LENGTH * HEAD], sine[LENGTH * HEAD], mask[LENGTH * LENGTH], scale = 1.0f / sqrtf(HEAD);
    for (int t = 0; t < LENGTH; t++)
        for (int c = 0; c < HEAD; c++) {
            const double angle = t * pow(100.0, -2.0 * (c % (HEAD / 2)) / HEAD);
            cosine[t * HEAD + c] = (float)cos(angle);
            sine[t * HEAD + c] = (float)sin(angle);
        }
    for (int t = 0; t < LENGTH; t++)
        for (int s = 0; s < LENGTH; s++) mask[t * LENGTH + s] = s > t ? -10000.0f : 0.0f;
    add_values(graph, "cosine", cosine, (const int64_t[]){ LENGTH, HEAD }, 2);
    add_values(graph, "sine", sine, (const int64_t[]){ LENGTH, HEAD }, 2);
    add_values(graph, "mask", mask, (const int64_t[]){ LENGTH, LENGTH }, 2);
    add_values(graph, "scale", &scale, NULL, 0);
    add_ints(graph, "heads", (const int64_t[]){ 0, LENGTH, HEADS, HEAD }, 4);
    add_ints(graph, "joined", (const int64_t[]){ 0, LENGTH, MODEL }, 3);
    add_ints(graph, "zero", (const int64_t[]){ 0 }, 1);
    add_ints(graph, "half", (const int64_t[]){ HEAD / 2 }, 1);
    add_ints(graph, "whole", (const int64_t[]){ HEAD }, 1);
    add_ints(graph, "last_axis", (const int64_t[]){ 3 }, 1);
}

/* name: of a value [batch, LENGTH, MODEL]; gives name_h, [batch, HEADS, LENGTH, HEAD]. */
static void split_heads(octet_graph *graph, const char *name, char out[32])
{
    const int64_t perm[] = { 0, 2, 1, 3 };
    char          shaped[32];
    snprintf(shaped, sizeof shaped, "%s_s", name);
    snprintf(out, 32, "%s_h", name);
    add_node(graph, "Reshape", shaped, NULL, INPUTS(name, "heads"));
    add_node(graph, "Transpose", out, (const octet_attribute[]){ { .name = "perm", .ints = perm, .count = 4 }, { 0 } },
             INPUTS(shaped));
}

/* x cos + (-second half, first half) sin */
static void add_rotary(octet_graph *graph, const char *name, char out[32])
{
    char h[32], n[6][32];
    split_heads(graph, name, h);
    for (int i = 0; i < 6; i++) snprintf(n[i], sizeof n[i], "%s_r%d", name, i);
    snprintf(out, 32, "%s_r", name);
    add_node(graph, "Slice", n[0], NULL, INPUTS(h, "zero", "half", "last_axis"));
    add_node(graph, "Slice", n[1], NULL, INPUTS(h, "half", "whole", "last_axis"));
    add_node(graph, "Neg", n[2], NULL, INPUTS(n[1]));
    add_node(graph, "Concat", n[3], (const octet_attribute[]){ { .name = "axis", .i = 3 }, { 0 } },
             INPUTS(n[2], n[0]));
    add_node(graph, "Mul", n[4], NULL, INPUTS(h, "cosine"));
    add_node(graph, "Mul", n[5], NULL, INPUTS(n[3], "sine"));
    add_node(graph, "Add", out, NULL, INPUTS(n[4], n[5]));
}

static void add_attention(octet_graph *graph, random_state *r, const char *in, const char *out)
{
    static const char *const sides[] = { "q", "k", "v" };
    const int64_t            turn[] = { 0, 1, 3, 2 }, join[] = { 0, 2, 1, 3 };
    char                     q[32], k[32], v[32];
    for (int i = 0; i < 3; i++) {
        char weight[16];
        snprintf(weight, sizeof weight, "w%s", sides[i]);
        add_weights(graph, r, weight, MODEL, MODEL);
        add_node(graph, "MatMul", sides[i], NULL, INPUTS(in, weight));
    }
    add_rotary(graph, "q", q);
    add_rotary(graph, "k", k);
    split_heads(graph, "v", v);
    add_node(graph, "Transpose", "kt", (const octet_attribute[]){ { .name = "perm", .ints = turn, .count = 4 }, { 0 } },
             INPUTS(k));
    add_node(graph, "MatMul", "scores", NULL, INPUTS(q, "kt"));
    add_node(graph, "Mul", "scaled", NULL, INPUTS("scores", "scale"));
    add_node(graph, "Add", "masked", NULL, INPUTS("scaled", "mask"));
    add_node(graph, "Softmax", "shares", NULL, INPUTS("masked"));
    add_node(graph, "MatMul", "mixed", NULL, INPUTS("shares", v));
    add_node(graph, "Transpose", "turned",
             (const octet_attribute[]){ { .name = "perm", .ints = join, .count = 4 }, { 0 } }, INPUTS("mixed"));
    add_node(graph, "Reshape", "back", NULL, INPUTS("turned", "joined"));
    add_weights(graph, r, "wo", MODEL, MODEL);
    add_node(graph, "MatMul", out, NULL, INPUTS("back", "wo"));
}

static octet_graph *decoder_network(random_state *r)
{
    octet_graph *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "tokens", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, LENGTH }, 2, &err));
    add_embeddings(graph, r);
    add_rotary_tables(graph);
    add_norm(graph, "n0", "x0");
    add_attention(graph, r, "n0", "a");
    add_node(graph, "Add", "x1", NULL, INPUTS("x0", "a"));
    add_norm(graph, "n1", "x1");
    add_weights(graph, r, "w1", MODEL, HIDDEN);
    add_weights(graph, r, "w2", HIDDEN, MODEL);
    add_node(graph, "MatMul", "f1", NULL, INPUTS("n1", "w1"));
    add_node(graph, "Swish", "f2", NULL, INPUTS("f1"));
    add_node(graph, "MatMul", "f3", NULL, INPUTS("f2", "w2"));
    add_node(graph, "Add", "x2", NULL, INPUTS("x1", "f3"));
    add_norm(graph, "n2", "x2");
    add_ints(graph, "last", (const int64_t[]){ LENGTH - 1 }, 1);
    add_ints(graph, "end", (const int64_t[]){ LENGTH }, 1);
    add_ints(graph, "time", (const int64_t[]){ 1 }, 1);
    add_ints(graph, "flat", (const int64_t[]){ 0, MODEL }, 2);
    add_node(graph, "Slice", "newest", NULL, INPUTS("n2", "last", "end", "time"));
    add_node(graph, "Reshape", "row", NULL, INPUTS("newest", "flat"));
    add_weights(graph, r, "head", MODEL, TOKENS);
    add_node(graph, "MatMul", "logits", NULL, INPUTS("row", "head"));
    MUST(octet_graph_set_output(graph, "logits", &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

/* One sequence and what comes next. */
static int64_t draw(random_state *r, float tokens[LENGTH])
{
    for (int t = 0; t < LENGTH; t++) tokens[t] = (float)random_int(r, 0, TOKENS - 1);
    const int64_t rule = ((int64_t)tokens[LENGTH - 2] * 7 + 3) % TOKENS;
    return random_int(r, 0, 4) ? rule : random_int(r, 0, TOKENS - 1);
}

static void train(octet_graph *graph, random_state *r)
{
    octet_trainer            *trainer;
    float                     tokens[BATCH * LENGTH];
    int64_t                   labels[BATCH];
    const octet_train_options options = { .optimizer = OCTET_OPTIMIZER_ADAM, .learning_rate = 4e-3, .batch = BATCH };
    const octet_tensor        input = { .dtype = OCTET_F32, .rank = 2, .dims = { BATCH, LENGTH }, .data = tokens };
    MUST(octet_prepare_qat(graph, octet_qconfig_find("octet_qat"), NULL, NULL, &err));
    MUST(octet_trainer_create(&trainer, graph, &options, &err));
    octet_trainer_fake_quantize(trainer, false);
    for (int step = 0; step < STEPS; step++) {
        octet_train_result result;
        for (int b = 0; b < BATCH; b++) labels[b] = draw(r, tokens + b * LENGTH);
        octet_trainer_set_learning_rate(trainer, 4e-3 * (1.0 - (double)step / STEPS));
        const octet_train_batch batch = { .inputs = &input, .labels = labels };
        MUST(octet_trainer_step(trainer, &batch, &result, &err));
        if (step % 100 == 99) print_message("step %d: loss %.3f, top-1 %.3f\n", step + 1, result.loss, result.top1);
    }
    MUST(octet_trainer_store(trainer, &err));
    octet_trainer_free(trainer);
}

#endif
