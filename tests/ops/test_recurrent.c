/* SPDX-License-Identifier: Apache-2.0 */
/* LSTM, GRU and RNN against ONNX's equations, written out here one sequence and one number at a time, in double; and
   what infer must refuse. */
#include "case.h"

#include <math.h>

enum { STEPS = 5, BATCH = 3, WIDTH = 4, HIDDEN = 3 };

typedef struct setup {
    const char *op, *direction;
    int         gates;
    bool        bias, lengths, state, peepholes, batch_first, input_forget, before_reset;
    float       clip;
} setup;

static const setup setups[] = {
    { "LSTM", "forward", 4, .bias = true },
    { "LSTM", "reverse", 4, .bias = true, .lengths = true, .state = true, .peepholes = true },
    { "LSTM", "bidirectional", 4, .bias = true, .lengths = true, .state = true, .peepholes = true, .clip = 0.3f },
    { "LSTM", "bidirectional", 4, .batch_first = true, .input_forget = true, .state = true },
    { "GRU", "forward", 3, .bias = true },
    { "GRU", "reverse", 3, .lengths = true, .batch_first = true },
    { "GRU", "bidirectional", 3, .bias = true, .state = true, .before_reset = true, .lengths = true, .clip = 0.2f },
    { "RNN", "forward", 1 },
    { "RNN", "bidirectional", 1, .bias = true, .state = true, .lengths = true, .batch_first = true },
};

static const int32_t lengths[BATCH] = { 5, 0, 3 };

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static double input(const op_case *c, int slot, int64_t at)
{
    return slot < c->call.in_count && c->inputs[slot] ? (double)((const float *)c->in[slot].data)[at] : 0;
}

static double bound(const setup *s, double x)
{
    const double clip = (double)s->clip;
    return clip > 0 && x > clip ? clip : clip > 0 && x < -clip ? -clip : x;
}

/* Where number k of a state [direction, sample] lies. */
static int64_t state_at(const setup *s, int directions, int d, int n, int k)
{
    return s->batch_first ? (n * directions + d) * HIDDEN + k : (d * BATCH + n) * HIDDEN + k;
}

/* The sums of row = gate * HIDDEN + k: x's part and h's part. */
static double part_x(const op_case *c, const setup *s, int d, int row, const double *x)
{
    const int all = s->gates * HIDDEN;
    double    sum = input(c, 3, d * 2 * all + row);
    for (int i = 0; i < WIDTH; i++) sum += input(c, 1, (d * all + row) * WIDTH + i) * x[i];
    return sum;
}

static double part_h(const op_case *c, const setup *s, int d, int row, const double *h)
{
    const int all = s->gates * HIDDEN;
    double    sum = input(c, 3, d * 2 * all + all + row);
    for (int i = 0; i < HIDDEN; i++) sum += input(c, 2, (d * all + row) * HIDDEN + i) * h[i];
    return sum;
}

static void lstm(const op_case *c, const setup *s, int d, const double *x, double *h, double *cell)
{
    double next_h[HIDDEN], next_c[HIDDEN];
    for (int k = 0; k < HIDDEN; k++) {
        double fed[4];
        for (int g = 0; g < 4; g++) fed[g] = part_x(c, s, d, g * HIDDEN + k, x) + part_h(c, s, d, g * HIDDEN + k, h);
        const int    p = d * 3 * HIDDEN + k;
        const double i = sigmoid(bound(s, fed[0] + input(c, 7, p) * cell[k]));
        const double f = s->input_forget ? 1 - i : sigmoid(bound(s, fed[2] + input(c, 7, p + 2 * HIDDEN) * cell[k]));
        next_c[k] = f * cell[k] + i * tanh(bound(s, fed[3]));
        const double o = sigmoid(bound(s, fed[1] + input(c, 7, p + HIDDEN) * next_c[k]));
        next_h[k] = o * tanh(next_c[k]);
    }
    memcpy(h, next_h, sizeof next_h);
    memcpy(cell, next_c, sizeof next_c);
}

static void gru(const op_case *c, const setup *s, int d, const double *x, double *h)
{
    double r[HIDDEN], z[HIDDEN], rh[HIDDEN], next[HIDDEN];
    for (int k = 0; k < HIDDEN; k++) {
        z[k] = sigmoid(bound(s, part_x(c, s, d, k, x) + part_h(c, s, d, k, h)));
        r[k] = sigmoid(bound(s, part_x(c, s, d, HIDDEN + k, x) + part_h(c, s, d, HIDDEN + k, h)));
        rh[k] = r[k] * h[k];
    }
    for (int k = 0; k < HIDDEN; k++) {
        const double state =
            s->before_reset ? r[k] * part_h(c, s, d, 2 * HIDDEN + k, h) : part_h(c, s, d, 2 * HIDDEN + k, rh);
        next[k] = (1 - z[k]) * tanh(bound(s, part_x(c, s, d, 2 * HIDDEN + k, x) + state)) + z[k] * h[k];
    }
    memcpy(h, next, sizeof next);
}

static void rnn(const op_case *c, const setup *s, int d, const double *x, double *h)
{
    double next[HIDDEN];
    for (int k = 0; k < HIDDEN; k++)
        next[k] = tanh(bound(s, part_x(c, s, d, k, x) + part_h(c, s, d, k, h)));
    memcpy(h, next, sizeof next);
}

static void expect(const op_case *c, int output, int64_t at, double value)
{
    const double got = (double)((const float *)c->out[output].data)[at];
    if (!(fabs(got - value) < 2e-6)) fail_msg("%s output %d [%d]: %.9g, not %.9g", c->node.op->name, output, (int)at,
                                              got, value);
}

static void check_sequence(const op_case *c, const setup *s, int directions, int d, int n)
{
    const bool reversed = d == 1 || !strcmp(s->direction, "reverse");
    const int  length = s->lengths ? lengths[n] : STEPS;
    double     h[HIDDEN], cell[HIDDEN], x[WIDTH];
    for (int k = 0; k < HIDDEN; k++) h[k] = input(c, 5, state_at(s, directions, d, n, k));
    for (int k = 0; k < HIDDEN; k++) cell[k] = input(c, 6, state_at(s, directions, d, n, k));
    for (int i = 0; i < STEPS; i++) {
        const int t = i < length && reversed ? length - 1 - i : i;
        for (int k = 0; k < WIDTH; k++)
            x[k] = input(c, 0, s->batch_first ? (n * STEPS + t) * WIDTH + k : (t * BATCH + n) * WIDTH + k);
        if (i < length && s->gates == 4) lstm(c, s, d, x, h, cell);
        if (i < length && s->gates == 3) gru(c, s, d, x, h);
        if (i < length && s->gates == 1) rnn(c, s, d, x, h);
        for (int k = 0; k < HIDDEN; k++)
            expect(c, 0, s->batch_first ? ((n * STEPS + t) * directions + d) * HIDDEN + k
                                        : ((t * directions + d) * BATCH + n) * HIDDEN + k, i < length ? h[k] : 0);
    }
    for (int k = 0; k < HIDDEN; k++) {
        expect(c, 1, state_at(s, directions, d, n, k), h[k]);
        if (s->gates == 4) expect(c, 2, state_at(s, directions, d, n, k), cell[k]);
    }
}

static void build(op_case *c, const setup *s, int directions)
{
    const int all = s->gates * HIDDEN;
    case_begin(c, s->op, 77);
    case_set_string(c, "direction", s->direction);
    case_set_int(c, "hidden_size", HIDDEN);
    case_set_int(c, "layout", s->batch_first);
    *(float *)case_attr(c, "clip") = s->clip;
    if (s->gates == 4) case_set_int(c, "input_forget", s->input_forget);
    if (s->gates == 3) case_set_int(c, "linear_before_reset", s->before_reset);
    case_random_f32(c, s->batch_first ? DIMS(BATCH, STEPS, WIDTH) : DIMS(STEPS, BATCH, WIDTH));
    case_random_f32(c, DIMS(directions, all, WIDTH));
    case_random_f32(c, DIMS(directions, all, HIDDEN));
    s->bias ? (void)case_random_f32(c, DIMS(directions, 2 * all)) : case_absent(c);
    if (s->lengths)
        memcpy(case_input(c, OCTET_I32, DIMS(BATCH))->data, lengths, sizeof lengths);
    else
        case_absent(c);
    for (int i = 0; i < (s->gates == 4 ? 2 : 1); i++)
        if (s->state)
            case_random_f32(c, s->batch_first ? DIMS(BATCH, directions, HIDDEN) : DIMS(directions, BATCH, HIDDEN));
        else
            case_absent(c);
    if (s->peepholes) case_random_f32(c, DIMS(directions, 3 * HIDDEN));
}

static void test_equations(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof setups / sizeof *setups; i++) {
        const setup *const s = &setups[i];
        const int          directions = strcmp(s->direction, "bidirectional") ? 1 : 2;
        op_case            c;
        build(&c, s, directions);
        c.call.threads = 2;
        case_prepare(&c, s->gates == 4 ? 3 : 2, NULL, false);
        case_run(&c, false);
        for (int d = 0; d < directions; d++)
            for (int n = 0; n < BATCH; n++) check_sequence(&c, s, directions, d, n);
        case_end(&c);
    }
}

/* ---- activations ---- */

/* One step, one unit, weights 1 and no state: the output is the function of x. */
static float apply(const char *name, float x, const float *alpha, const float *beta)
{
    op_case c;
    case_begin(&c, "RNN", 1);
    case_set_strings(&c, "activations", name);
    if (alpha) *(octet_floats *)case_attr(&c, "activation_alpha") = (octet_floats){ 1, alpha };
    if (beta) *(octet_floats *)case_attr(&c, "activation_beta") = (octet_floats){ 1, beta };
    *(float *)case_input(&c, OCTET_F32, DIMS(1, 1, 1))->data = x;
    *(float *)case_input(&c, OCTET_F32, DIMS(1, 1, 1))->data = 1;
    *(float *)case_input(&c, OCTET_F32, DIMS(1, 1, 1))->data = 1;
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    const float y = *(const float *)c.out[0].data;
    case_end(&c);
    return y;
}

static void test_activations(void **state)
{
    (void)state;
    const float a = 0.25f, b = 3;
    const struct { const char *name; float x, y; bool alpha, beta; } rows[] = {
        { "Affine", 2, 3.5f, true, true }, { "affine", 2, 2, false, false }, { "Elu", -1, -0.63212056f, false, false },
        { "Elu", -1, -0.15803014f, true, false }, { "HardSigmoid", 1, 0.7f, false, false },
        { "HardSigmoid", -10, 0.5f, true, true }, { "HardSigmoid", 9, 1, false, false },
        { "LeakyRelu", -2, -0.02f, false, false }, { "LeakyRelu", -2, -0.5f, true, false }, { "Relu", -1, 0 },
        { "RELU", 3, 3 }, { "ScaledTanh", 0.5f, 0.22628707f, true, true }, { "Sigmoid", 1, 0.73105858f },
        { "Softplus", 1, 1.31326169f }, { "Softplus", 100, 100 }, { "Softplus", -100, 3.8e-44f },
        { "Softsign", -3, -0.75f }, { "Tanh", 1, 0.76159416f }, { "ThresholdedRelu", 0.5f, 0 },
        { "ThresholdedRelu", 0.5f, 0.5f, true, false }, { "ThresholdedRelu", 2, 2 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const float y = apply(rows[i].name, rows[i].x, rows[i].alpha ? &a : NULL, rows[i].beta ? &b : NULL);
        if (!(fabsf(y - rows[i].y) <= 1e-6f * fabsf(rows[i].y) + 1e-30f))
            fail_msg("%s(%g) = %.9g, not %.9g", rows[i].name, (double)rows[i].x, (double)y, (double)rows[i].y);
    }
}

/* ---- refusals ---- */

typedef struct refusal {
    const char *field;
    void (*spoil)(op_case *c);
} refusal;

static void direction(op_case *c) { case_set_string(c, "direction", "sideways"); }
static void hidden(op_case *c) { case_set_int(c, "hidden_size", 4); }
static void clip(op_case *c) { *(float *)case_attr(c, "clip") = -1; }
static void unknown_function(op_case *c) { case_set_strings(c, "activations", "Sigmoid,Tanh,Sine"); }
static void too_few(op_case *c) { case_set_strings(c, "activations", "Sigmoid,Tanh"); }
static void flat_x(op_case *c) { c->in[0].rank = 2; }
static void short_w(op_case *c) { c->in[1].dims[1]--; }
static void wide_w(op_case *c) { c->in[1].dims[2]++; }
static void two_directions(op_case *c) { c->in[2].dims[0] = 2; }
static void flat_r(op_case *c) { c->in[2].rank = 1; }
static void huge_r(op_case *c) { c->in[2].dims[2] = INT64_MAX / 8; case_set_int(c, "hidden_size", 0); }
static void double_w(op_case *c) { c->in[1].dtype = OCTET_F64; }
static void short_b(op_case *c) { c->in[3].dims[1]--; }
static void length_type(op_case *c) { c->in[4].dtype = OCTET_I64; }
static void length_long(op_case *c) { ((int32_t *)c->in[4].data)[1] = STEPS + 1; }
static void length_negative(op_case *c) { ((int32_t *)c->in[4].data)[2] = -1; }
static void length_count(op_case *c) { c->in[4].dims[0] = BATCH - 1; }
static void state_shape(op_case *c) { c->in[5].dims[1]++; }
static void cell_shape(op_case *c) { c->in[6].dims[2]--; }
static void peephole_shape(op_case *c) { c->in[7].dims[1] = 2 * HIDDEN; }

static void test_refusals(void **state)
{
    (void)state;
    static const refusal rows[] = {
        { "direction", direction }, { "hidden_size", hidden }, { "clip", clip }, { "activations", unknown_function },
        { "activations", too_few }, { "X", flat_x }, { "W", short_w }, { "W", wide_w }, { "R", two_directions },
        { "R", flat_r }, { "R", huge_r }, { "W", double_w }, { "B", short_b }, { "sequence_lens", length_type },
        { "sequence_lens", length_long }, { "sequence_lens", length_negative }, { "sequence_lens", length_count },
        { "initial_h", state_shape }, { "initial_c", cell_shape }, { "P", peephole_shape },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        op_case c;
        build(&c, &setups[1], 1);
        for (int k = 0; k < 3; k++) c.outputs[k] = &c.out[k];
        c.call.out_count = 3;
        assert_int_equal(c.node.op->infer(&c.call, &c.err), OCTET_OK);
        rows[i].spoil(&c);
        assert_true(c.node.op->infer(&c.call, &c.err) != OCTET_OK);
        assert_string_equal(c.err.field, rows[i].field);
        case_end(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equations),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
