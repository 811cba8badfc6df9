/* SPDX-License-Identifier: Apache-2.0 */
/* A voice detector: eight noisy bands drive two units that forget slowly and hold each other down; the larger one
   tells. A frame moves their states by less than half a step of any range that holds all of them, so plain static int8
   of the unrolled network stands still; the same detector as one GRU must keep its accuracy in octet's default.
   Features, labels and weights are made here. */
#include "../support.h"

#include "graph/graph.h"
#include "graph/op.h"

#include <math.h>

enum { FRAMES = 600, CLIPS = 4, BANDS = 8, ALL = FRAMES * CLIPS };

#define KEEP 0.998 /* of the state, from frame to frame */

static float features[ALL * BANDS]; /* [CLIPS][FRAMES][BANDS] */
static bool  voiced[ALL];           /* whether there has been voice for most of the near past */

static void make_clips(void)
{
    random_state r = { 17 };
    for (int n = 0; n < CLIPS; n++) {
        bool   voice = n % 2;
        double past = 0;
        for (int t = 0, left = 0; t < FRAMES; t++, left--) {
            if (left <= 0) {
                voice = !voice;
                left = (int)random_int(&r, 120, 260);
            }
            past = KEEP * past + (1 - KEEP) * (voice ? 1 : -1);
            voiced[n * FRAMES + t] = past > 0;
            for (int b = 0; b < BANDS; b++)
                features[(n * FRAMES + t) * BANDS + b] = (voice ? 0.5f : -0.5f) + random_float(&r, -1.5f, 1.5f);
        }
    }
}

static const char *fixed(octet_graph *graph, const char *name, const int64_t *dims, int rank, const float *data)
{
    octet_tensor t = { .dtype = OCTET_F32, .rank = rank, .data = (void *)(uintptr_t)data };
    for (int i = 0; i < rank; i++) t.dims[i] = dims[i];
    MUST(octet_graph_add_constant(graph, name, &t, &err));
    return name;
}

static octet_graph *begin(void)
{
    octet_graph *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, FRAMES, BANDS }, 3, &err));
    return graph;
}

/* The weights of n = tanh(W x + R h + b); z is constant, r is 1. */
static const float held_down[2][2] = { { 0, -0.2f }, { -0.2f, 0 } };

static float drive(int unit) { return unit ? -0.05f : 0.05f; }

/* The whole in one operator. */
static octet_graph *as_gru(void)
{
    const float  keep = (float)log(KEEP / (1 - KEEP));
    float        w[6][BANDS] = { 0 }, r[6][2] = { 0 }, b[12] = { keep, keep, 30, 30, 1, 1 };
    octet_graph *graph = begin();
    for (int u = 0; u < 2; u++)
        for (int i = 0; i < BANDS; i++) w[4 + u][i] = drive(u);
    memcpy(r[4], held_down, sizeof held_down);
    const octet_attribute batch_first[] = { { .name = "layout", .i = 1 },
                                            { .name = "linear_before_reset", .i = 1 }, { 0 } };
    const char *const     inputs[] = { "x", fixed(graph, "w", (const int64_t[]){ 1, 6, BANDS }, 3, w[0]),
                                       fixed(graph, "r", (const int64_t[]){ 1, 6, 2 }, 3, r[0]),
                                       fixed(graph, "b", (const int64_t[]){ 1, 12 }, 2, b), NULL };
    add_node(graph, "GRU", "state", batch_first, inputs);
    MUST(octet_graph_set_output(graph, "state", &err));
    return graph;
}

/* An operator of one frame, whose result is called by letter and frame. */
static const char *frame(octet_graph *graph, const char *op, char letter, int t, const char *const *inputs)
{
    static char name[5][FRAMES][16];
    char *const at = name[letter - 'a'][t];
    snprintf(at, sizeof name[0][0], "%c%d", letter, t);
    const octet_attribute axis[] = { { .name = "axis", .i = 1 }, { 0 } };
    add_node(graph, op, at, strcmp(op, "Gather") ? NULL : axis, inputs);
    return at;
}

/* The same, frame by frame. */
static octet_graph *unrolled(void)
{
    const char        *states[FRAMES + 1] = { NULL }, *state = NULL;
    float              w[BANDS][2];
    const float        keep = (float)KEEP, learn = (float)(1 - KEEP), one = 1;
    octet_graph *const graph = begin();
    for (int i = 0; i < BANDS; i++)
        for (int u = 0; u < 2; u++) w[i][u] = drive(u);
    fixed(graph, "w", (const int64_t[]){ BANDS, 2 }, 2, w[0]);
    fixed(graph, "r", (const int64_t[]){ 2, 2 }, 2, held_down[0]);
    fixed(graph, "keep", NULL, 0, &keep);
    fixed(graph, "learn", NULL, 0, &learn);
    fixed(graph, "one", NULL, 0, &one);
    add_node(graph, "MatMul", "products", NULL, INPUTS("x", "w"));
    add_node(graph, "Add", "sums", NULL, INPUTS("products", "one"));
    for (int t = 0; t < FRAMES; t++) {
        char               name[16];
        const int64_t      number = t;
        const octet_tensor at = { .dtype = OCTET_I64, .rank = 1, .dims = { 1 }, .data = (void *)(uintptr_t)&number };
        snprintf(name, sizeof name, "at%d", t);
        MUST(octet_graph_add_constant(graph, name, &at, &err));
        const char *fed = frame(graph, "Gather", 'a', t, INPUTS("sums", name));
        if (state) {
            snprintf(name, sizeof name, "p%d", t);
            add_node(graph, "MatMul", name, NULL, INPUTS(state, "r"));
            fed = frame(graph, "Add", 'b', t, INPUTS(fed, name));
        }
        snprintf(name, sizeof name, "n%d", t);
        add_node(graph, "Tanh", name, NULL, INPUTS(fed));
        const char *const step = frame(graph, "Mul", 'c', t, INPUTS(name, "learn"));
        const char *const kept = state ? frame(graph, "Mul", 'd', t, INPUTS(state, "keep")) : NULL;
        states[t] = state = kept ? frame(graph, "Add", 'e', t, INPUTS(kept, step)) : step;
    }
    add_node(graph, "Concat", "state", (const octet_attribute[]){ { .name = "axis", .i = 1 }, { 0 } }, states);
    MUST(octet_graph_set_output(graph, "state", &err));
    return graph;
}

/* Percent of frames told right. */
static double accuracy(const octet_graph *graph)
{
    static float       state[ALL][2];
    int                right = 0;
    const octet_tensor x = { .dtype = OCTET_F32, .rank = 3, .dims = { CLIPS, FRAMES, BANDS }, .data = features };
    assert_int_equal(run_graph(graph, &x, state[0], 2 * ALL, NULL), 2 * ALL);
    for (int i = 0; i < ALL; i++) right += (state[i][0] > state[i][1]) == voiced[i];
    return 100.0 * right / ALL;
}

static void quantize(octet_graph *graph, const octet_qconfig *qconfig, const char *data_path)
{
    octet_dataset *data;
    MUST(octet_fuse(graph, &err));
    MUST(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = graph }, &err));
    MUST(octet_prepare(graph, qconfig, &err));
    MUST(octet_calibrate(graph, data, NULL, &err));
    MUST(octet_convert(graph, &err));
    octet_dataset_free(data);
}

static void keeps_its_accuracy(void **state)
{
    (void)state;
    char               folder[256], path[300];
    octet_qconfig      plain = *octet_qconfig_find("octet");
    const octet_tensor x = { .dtype = OCTET_F32, .rank = 3, .dims = { CLIPS, FRAMES, BANDS }, .data = features };
    make_clips();
    make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/x.npy", folder);
    write_npy(path, &x);
    octet_graph *const gru = as_gru(), *const flat = unrolled();
    const double       real = accuracy(gru), real_flat = accuracy(flat);
    plain.activation.method = OCTET_METHOD_MINMAX;
    quantize(flat, &plain, path);
    quantize(gru, NULL, path);
    const double still = accuracy(flat), kept = accuracy(gru);
    print_message("float %.1f %% (unrolled %.1f), plain static int8 unrolled %.1f, octet's default %.1f\n", real,
                  real_flat, still, kept);
    bool told = false;
    for (size_t i = 0; i < gru->decision_count; i++) told |= !strcmp(gru->decisions[i].what, "dynamic");
    assert_true(told);
    assert_true(real > 85 && fabs(real - real_flat) < 0.5);
    assert_true(still < real - 20);
    assert_true(kept > real - 2);
    octet_graph_free(gru);
    octet_graph_free(flat);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(keeps_its_accuracy) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
