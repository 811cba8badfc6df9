/* SPDX-License-Identifier: Apache-2.0 */
/* A recurrent voice detector, trained here: eight noisy bands, and for every frame the question whether there has been
   voice for most of the near past, which one answer in twelve gets wrong. A GRU learns to forget slowly; a frame then
   moves its states by less than half a step of 8 bits, so that written frame by frame, as exports of loops are, it
   hardly moves in static int8. */
#ifndef OCTET_TESTS_QUANTIZE_VOICE_H
#define OCTET_TESTS_QUANTIZE_VOICE_H

#include "support.h"

#include "graph/graph.h"

#include <math.h>

enum { VOICE_FRAMES = 480, VOICE_BANDS = 8, VOICE_UNITS = 4, VOICE_BATCH = 8 };
enum { VOICE_SIZE = VOICE_FRAMES * VOICE_BANDS };

#define VOICE_KEEP 0.999 /* of the past, from frame to frame */

/* ---- data ---- */

/* clips of VOICE_FRAMES: features [clips][frames][bands], voiced [clips][frames]. */
static void voice_draw(random_state *r, float *features, int64_t *voiced, int clips)
{
    for (int n = 0; n < clips; n++) {
        bool   voice = random_int(r, 0, 1);
        double past  = 0;
        for (int t = 0, left = (int)random_int(r, 60, 280); t < VOICE_FRAMES; t++, left--) {
            if (left <= 0) {
                voice = !voice;
                left  = (int)random_int(r, 120, 280);
            }
            past = VOICE_KEEP * past + (1 - VOICE_KEEP) * (voice ? 1 : -1);
            voiced[n * VOICE_FRAMES + t] = (past > 0) != !random_int(r, 0, 11);
            for (int b = 0; b < VOICE_BANDS; b++)
                *features++ = (voice ? 0.2f : -0.2f) + random_float(r, -0.3f, 0.3f);
        }
    }
}

/* ---- the network ---- */

static void voice_constant(octet_graph *graph, const char *name, const float *data, const int64_t *dims, int rank)
{
    octet_tensor t = { .dtype = OCTET_F32, .rank = rank, .data = (void *)(uintptr_t)data };
    for (int i = 0; i < rank; i++) t.dims[i] = dims[i];
    MUST(octet_graph_add_constant(graph, name, &t, &err));
}

static octet_graph *voice_begin(void)
{
    octet_graph  *graph;
    const int64_t dims[] = { OCTET_DIM_FREE, VOICE_FRAMES, VOICE_BANDS };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 3, &err));
    return graph;
}

/* From the states [clips, frames, units] to logits [clips, 2, frames]. */
static octet_graph *voice_end(octet_graph *graph, const float *out, const float *bias)
{
    const int64_t         turn[] = { 0, 2, 1 };
    const octet_attribute perm[] = { { .name = "perm", .ints = turn, .count = 3 }, { 0 } };
    voice_constant(graph, "out", out, (const int64_t[]){ VOICE_UNITS, 2 }, 2);
    voice_constant(graph, "out_bias", bias, (const int64_t[]){ 2 }, 1);
    add_node(graph, "MatMul", "scores", NULL, INPUTS("states", "out"));
    add_node(graph, "Add", "sums", NULL, INPUTS("scores", "out_bias"));
    add_node(graph, "Transpose", "logits", perm, INPUTS("sums"));
    MUST(octet_graph_set_output(graph, "logits", &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

/* In ONNX's order of gates: z (keep), r (reset), h (new). */
typedef struct voice_weights {
    float w[3][VOICE_UNITS][VOICE_BANDS], r[3][VOICE_UNITS][VOICE_UNITS], b[6][VOICE_UNITS];
    float out[VOICE_UNITS][2], out_bias[2];
} voice_weights;

/* Every unit begins with a memory of its own, of two and a half to five clips. */
static void voice_start(voice_weights *v, random_state *r)
{
    const float reach = 1 / sqrtf(VOICE_UNITS);
    *v = (voice_weights){ .out_bias = { 0 } };
    random_fill(r, v->w[0][0], sizeof v->w / sizeof(float), -reach, reach);
    random_fill(r, v->r[0][0], sizeof v->r / sizeof(float), -reach, reach);
    random_fill(r, v->out[0], sizeof v->out / sizeof(float), -8, 8); /* states are small */
    for (int u = 0; u < VOICE_UNITS; u++)
        v->b[0][u] = logf(VOICE_FRAMES * (2.5f + 2.5f * (float)u / (VOICE_UNITS - 1)) - 1);
}

static octet_graph *voice_gru(const voice_weights *v)
{
    const octet_attribute how[] = { { .name = "layout", .i = 1 }, { .name = "linear_before_reset", .i = 1 }, { 0 } };
    octet_graph *const    graph = voice_begin();
    voice_constant(graph, "w", v->w[0][0], (const int64_t[]){ 1, 3 * VOICE_UNITS, VOICE_BANDS }, 3);
    voice_constant(graph, "r", v->r[0][0], (const int64_t[]){ 1, 3 * VOICE_UNITS, VOICE_UNITS }, 3);
    voice_constant(graph, "b", v->b[0], (const int64_t[]){ 1, 6 * VOICE_UNITS }, 2);
    add_ints(graph, "flat", (const int64_t[]){ 0, VOICE_FRAMES, VOICE_UNITS }, 3);
    add_node(graph, "GRU", "gru", how, INPUTS("x", "w", "r", "b"));
    add_node(graph, "Reshape", "states", NULL, INPUTS("gru", "flat"));
    return voice_end(graph, v->out[0], v->out_bias);
}

static void voice_read(float *to, const octet_graph *graph, const char *name, size_t count)
{
    memcpy(to, octet_graph_find_value(graph, name)->constant->data, count * sizeof *to);
}

/* ---- the same, frame by frame ---- */

/* A node of frame t, called "op.t"; names live as long as the graph is made. */
static const char *voice_frame(octet_graph *graph, const char *op, const char *what, int t, const char *const *inputs)
{
    static char           names[16][VOICE_FRAMES][16];
    static int            next;
    char *const           name   = names[next++ % 16][t];
    const octet_attribute axis[] = { { .name = "axis", .i = 1 }, { 0 } };
    snprintf(name, sizeof names[0][0], "%s.%d", what, t);
    add_node(graph, op, name, strcmp(op, "Gather") ? NULL : axis, inputs);
    return name;
}

/* x's part of gate g at frame t, and what state times r adds to it. state NULL: nothing. */
static const char *voice_gate(octet_graph *graph, int g, int t, const char *state, const char *reset)
{
    static const char *const part[] = { "xz", "xr", "xh" }, *const product[] = { "hz", "hr", "hh" };
    static const char *const sum[] = { "z", "r", "h" }, *const matrix[] = { "rz", "rr", "rh" };
    char                     at[16];
    snprintf(at, sizeof at, "at.%d", t);
    const char *const own  = voice_frame(graph, "Gather", part[g], t, INPUTS(part[g], at));
    const char       *back = state ? voice_frame(graph, "MatMul", product[g], t, INPUTS(state, matrix[g])) : NULL;
    if (g == 2) back = back ? voice_frame(graph, "Add", "hb", t, INPUTS(back, "bias_h")) : "bias_h";
    if (reset) back = voice_frame(graph, "Mul", "rh", t, INPUTS(reset, back));
    return back ? voice_frame(graph, "Add", sum[g], t, INPUTS(own, back)) : own;
}

static const char *voice_step(octet_graph *graph, int t, const char *state)
{
    const int64_t      number = t;
    char               name[16];
    const octet_tensor at = { .dtype = OCTET_I64, .rank = 0, .data = (void *)(uintptr_t)&number };
    snprintf(name, sizeof name, "at.%d", t);
    MUST(octet_graph_add_constant(graph, name, &at, &err));
    const char *const keep  = voice_frame(graph, "Sigmoid", "keep", t, INPUTS(voice_gate(graph, 0, t, state, NULL)));
    const char *const reset = voice_frame(graph, "Sigmoid", "reset", t, INPUTS(voice_gate(graph, 1, t, state, NULL)));
    const char *const new   = voice_frame(graph, "Tanh", "new", t, INPUTS(voice_gate(graph, 2, t, state, reset)));
    const char *const share = voice_frame(graph, "Sub", "share", t, INPUTS("one", keep));
    const char *const taken = voice_frame(graph, "Mul", "taken", t, INPUTS(share, new));
    if (!state) return taken;
    const char *const kept = voice_frame(graph, "Mul", "kept", t, INPUTS(keep, state));
    return voice_frame(graph, "Add", "state", t, INPUTS(kept, taken));
}

/* The matrix of a gate, turned for MatMul. */
static void voice_matrix(octet_graph *graph, const char *name, const float *rows, int columns)
{
    float turned[VOICE_BANDS * VOICE_UNITS];
    for (int u = 0; u < VOICE_UNITS; u++)
        for (int i = 0; i < columns; i++) turned[i * VOICE_UNITS + u] = rows[u * columns + i];
    voice_constant(graph, name, turned, (const int64_t[]){ columns, VOICE_UNITS }, 2);
}

static octet_graph *voice_unrolled(const voice_weights *v)
{
    static const char *const w[] = { "wz", "wr", "wh" }, *const r[] = { "rz", "rr", "rh" };
    static const char *const x[] = { "xz", "xr", "xh" }, *const product[] = { "pz", "pr", "ph" };
    static const char *const bias[] = { "bz", "br", "bh" };
    static char              names[VOICE_FRAMES][16];
    const char              *wide[VOICE_FRAMES + 1] = { NULL }, *state = NULL;
    const float              one = 1;
    const octet_attribute    axis[] = { { .name = "axis", .i = 1 }, { 0 } };
    octet_graph *const       graph = voice_begin();
    for (int g = 0; g < 3; g++) {
        float sum[VOICE_UNITS];
        for (int u = 0; u < VOICE_UNITS; u++) sum[u] = v->b[g][u] + (g < 2 ? v->b[3 + g][u] : 0);
        voice_matrix(graph, w[g], v->w[g][0], VOICE_BANDS);
        voice_matrix(graph, r[g], v->r[g][0], VOICE_UNITS);
        voice_constant(graph, bias[g], sum, (const int64_t[]){ VOICE_UNITS }, 1);
        add_node(graph, "MatMul", product[g], NULL, INPUTS("x", w[g]));
        add_node(graph, "Add", x[g], NULL, INPUTS(product[g], bias[g]));
    }
    voice_constant(graph, "bias_h", v->b[5], (const int64_t[]){ VOICE_UNITS }, 1);
    voice_constant(graph, "one", &one, NULL, 0);
    add_ints(graph, "time", (const int64_t[]){ 1 }, 1);
    for (int t = 0; t < VOICE_FRAMES; t++) {
        state = voice_step(graph, t, state);
        snprintf(names[t], sizeof names[t], "wide.%d", t);
        add_node(graph, "Unsqueeze", names[t], NULL, INPUTS(state, "time"));
        wide[t] = names[t];
    }
    add_node(graph, "Concat", "states", axis, wide);
    return voice_end(graph, v->out[0], v->out_bias);
}

/* ---- training ---- */

/* steps batches of new clips; v: from the start to the result. Prints how it goes. */
static void voice_train(voice_weights *v, random_state *r, int steps)
{
    static float              features[VOICE_BATCH * VOICE_SIZE];
    static int64_t            voiced[VOICE_BATCH * VOICE_FRAMES];
    octet_trainer            *trainer;
    octet_graph *const        graph   = voice_gru(v);
    const octet_train_options options = { .optimizer = OCTET_OPTIMIZER_ADAM, .batch = VOICE_BATCH };
    const octet_tensor        x = { .dtype = OCTET_F32, .rank = 3, .dims = { VOICE_BATCH, VOICE_FRAMES, VOICE_BANDS },
                                    .data = features };
    const octet_train_batch   batch = { .inputs = &x, .labels = voiced };
    MUST(octet_fuse(graph, &err));
    MUST(octet_trainer_create(&trainer, graph, &options, &err));
    for (int step = 0; step < steps; step++) {
        octet_train_result result;
        voice_draw(r, features, voiced, VOICE_BATCH);
        octet_trainer_set_learning_rate(trainer, 1e-2 * (1.0 - (double)step / steps));
        MUST(octet_trainer_step(trainer, &batch, &result, &err));
        if (step % 50 == 49) print_message("step %d: loss %.3f, frames %.3f\n", step + 1, result.loss, result.top1);
    }
    MUST(octet_trainer_store(trainer, &err));
    octet_trainer_free(trainer);
    voice_read(v->w[0][0], graph, "w", sizeof v->w / sizeof(float));
    voice_read(v->r[0][0], graph, "r", sizeof v->r / sizeof(float));
    voice_read(v->b[0], graph, "b", sizeof v->b / sizeof(float));
    voice_read(v->out[0], graph, "out", sizeof v->out / sizeof(float));
    voice_read(v->out_bias, graph, "out_bias", 2);
    octet_graph_free(graph);
}

/* ---- judging ---- */

/* Percent of frames told right. */
static double voice_accuracy(const octet_graph *graph, const float *features, const int64_t *voiced, int clips)
{
    const size_t       frames = (size_t)clips * VOICE_FRAMES;
    float *const       logits = malloc(2 * frames * sizeof *logits);
    size_t             right = 0;
    const octet_tensor x = { .dtype = OCTET_F32, .rank = 3, .dims = { clips, VOICE_FRAMES, VOICE_BANDS },
                             .data = (void *)(uintptr_t)features };
    assert_non_null(logits);
    assert_int_equal(run_graph(graph, &x, logits, 2 * frames, NULL), 2 * frames);
    for (size_t i = 0; i < frames; i++) {
        const float *const at = logits + i / VOICE_FRAMES * 2 * VOICE_FRAMES + i % VOICE_FRAMES;
        right += (at[VOICE_FRAMES] > at[0]) == (voiced[i] != 0);
    }
    free(logits);
    return 100.0 * (double)right / (double)frames;
}

#endif
