/* SPDX-License-Identifier: Apache-2.0 */
/* STFT is read as a Conv that gives what its definition, written out here in double, gives. */
#include "proto.h"

#include "graph/graph.h"
#include "graph/op.h"

enum { BATCH = 2, LENGTH = 23, FRAME = 6, STEP = 3, FRAMES = (LENGTH - FRAME) / STEP + 1 };

typedef struct setup {
    bool complex, twosided, window, computed, open; /* computed: the window is made by HannWindow */
} setup;

static double window_at(const setup *s, const float *window, int i)
{
    if (s->computed) return 0.5 - 0.5 * cos(2 * 3.14159265358979323846 * i / FRAME);
    return s->window ? (double)window[i] : 1;
}

static void check(const float *y, const float *x, const float *window, const setup *s)
{
    const int parts = 1 + s->complex, kept = s->twosided ? FRAME : FRAME / 2 + 1;
    for (int at = 0; at < BATCH * FRAMES * kept; at++) {
        const int b = at / kept / FRAMES, f = at / kept % FRAMES, k = at % kept;
        double    re = 0, im = 0;
        for (int i = 0; i < FRAME; i++) {
            const float *const from = x + (b * LENGTH + f * STEP + i) * parts;
            const double       turn = -2 * 3.14159265358979323846 * k * i / FRAME, w = window_at(s, window, i);
            const double       a = w * (double)from[0], c = s->complex ? w * (double)from[1] : 0;
            re += a * cos(turn) - c * sin(turn);
            im += a * sin(turn) + c * cos(turn);
        }
        if (fabs((double)y[2 * at] - re) > 1e-5 || fabs((double)y[2 * at + 1] - im) > 1e-5)
            fail_msg("frame %d, frequency %d: %g + %g i, not %g + %g i", f, k, (double)y[2 * at],
                     (double)y[2 * at + 1], re, im);
    }
}

static proto_model *make(const setup *s, const float *window)
{
    proto_model *const p = proto_new(17);
    proto_input(p, "x", 1, (const int64_t[]){ s->open ? -1 : BATCH, LENGTH, 1 + s->complex }, 3);
    proto_tensor(p, "step", 7, &(int64_t){ STEP }, NULL, 0);
    proto_tensor(p, "frame", 7, &(int64_t){ FRAME }, NULL, 0);
    if (s->window) proto_tensor(p, "window", 1, window, (const int64_t[]){ FRAME }, 1);
    if (s->computed) proto_node(p, "HannWindow", "frame", "window");
    Onnx__NodeProto *const n = proto_node(p, "STFT", s->window || s->computed ? "x step window" : "x step  frame", "y");
    if (s->twosided) proto_int(p, n, "onesided", 0);
    proto_output(p, "y");
    return p;
}

static void test_definition(void **state)
{
    (void)state;
    static const setup setups[] = { { 0 }, { .window = true }, { .computed = true, .open = true },
                                    { .complex = true, .twosided = true, .window = true }, { .twosided = true } };
    for (size_t k = 0; k < sizeof setups / sizeof *setups; k++) {
        const setup *const s = &setups[k];
        random_state       r = { k + 1 };
        float              x[BATCH * LENGTH * 2], window[FRAME], y[BATCH * FRAMES * FRAME * 2];
        random_fill(&r, x, BATCH * LENGTH * 2, -1, 1);
        random_fill(&r, window, FRAME, 0, 1);
        octet_graph *graph = proto_load_good(make(s, window));
        bool         conv = false;
        for (const octet_node *n = graph->first; n; n = n->next) conv = conv || strcmp(n->op->name, "Conv") == 0;
        assert_true(conv);
        const octet_tensor in = { .dtype = OCTET_F32, .rank = 3, .dims = { BATCH, LENGTH, 1 + s->complex }, .data = x };
        const size_t       kept = s->twosided ? FRAME : FRAME / 2 + 1;
        assert_int_equal(run_graph(graph, &in, y, sizeof y / sizeof *y, NULL), BATCH * FRAMES * kept * 2);
        check(y, x, window, s);
        octet_graph_free(graph);
    }
}

/* gate Sigmoid(alpha gate) value */
static void test_swi_glu(void **state)
{
    (void)state;
    proto_model *const p = proto_new(28);
    float              x[] = { -2, -0.5f, 0, 3 }, y[4];
    proto_input(p, "x", 1, (const int64_t[]){ 1, 4 }, 2);
    proto_tensor(p, "b", 1, (const float[]){ 1, 2, 3, -4 }, (const int64_t[]){ 1, 4 }, 2);
    proto_float(p, proto_node(p, "SwiGLU", "x b", "y"), "alpha", 0.5f);
    proto_output(p, "y");
    octet_graph       *graph = proto_load_good(p);
    const octet_tensor in = { .dtype = OCTET_F32, .rank = 2, .dims = { 1, 4 }, .data = x };
    const double       b[] = { 1, 2, 3, -4 };
    assert_int_equal(run_graph(graph, &in, y, 4, NULL), 4);
    for (int i = 0; i < 4; i++) {
        const double want = (double)x[i] / (1 + exp(-0.5 * (double)x[i])) * b[i];
        assert_true(fabs((double)y[i] - want) < 1e-6);
    }
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_definition), cmocka_unit_test(test_swi_glu) };
    return cmocka_run_group_tests(tests, NULL, proto_teardown);
}
