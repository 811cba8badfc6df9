/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of quantized networks: what the planner adds between levels and real numbers, computed here once more as
   docs/arithmetic.md says. */
#include "network.h"

#include "graph/graph.h"

enum { SIDE = 4, CHANNELS = 3, COUNT = CHANNELS * SIDE * SIDE };

typedef struct levels_case {
    octet_graph        *graph;
    octet_fake_quantize fq[4];
    float               scale[4];
    int32_t             zero[4];
    float               data[COUNT];
    octet_tensor        input;
} levels_case;

static void begin(levels_case *c, uint64_t seed)
{
    const int64_t dims[] = { 1, CHANNELS, SIDE, SIDE };
    random_state  r      = { seed };
    *c                   = (levels_case){ 0 };
    c->input             = (octet_tensor){ .dtype = OCTET_F32, .rank = 4, .data = c->data };
    memcpy(c->input.dims, dims, sizeof dims);
    random_fill(&r, c->data, COUNT, -3, 3);
    c->data[5] = NAN;
    c->data[6] = INFINITY;
    MUST(octet_graph_new(&c->graph, &err));
    MUST(octet_graph_add_input(c->graph, "x", OCTET_F32, dims, 4, &err));
}

/* Gives a value u8 levels. */
static void set_levels(levels_case *c, int slot, const char *name, float scale, int32_t zero, int32_t qmax)
{
    c->scale[slot] = scale;
    c->zero[slot]  = zero;
    c->fq[slot] = (octet_fake_quantize){.qparams = {.scale = &c->scale[slot],
                                                    .zero_point = &c->zero[slot],
                                                    .count = 1,
                                                    .dtype = OCTET_U8,
                                                    .qmin = 0,
                                                    .qmax = qmax}};
    octet_graph_find_value(c->graph, name)->fake_quantize = &c->fq[slot];
}

static int32_t clamp_level(double level, const octet_qparams *q)
{
    return level < q->qmin ? q->qmin : level > q->qmax ? q->qmax : (int32_t)level;
}

/* quantize: clamp(rne(f32(x / scale)) + zp); NaN gives zp. */
static int32_t level_of(float x, const octet_qparams *q)
{
    const float t = x / q->scale[0];
    return isnan(t) ? q->zero_point[0] : clamp_level(nearbyint(t) + q->zero_point[0], q);
}

static float real_of(int32_t level, const octet_qparams *q)
{
    return (float)(level - q->zero_point[0]) * q->scale[0];
}

typedef struct seen_levels {
    uint8_t x[COUNT];
    int     times;
} seen_levels;

static octet_status look(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    seen_levels *const seen = context;
    (void)err;
    if (strcmp(name, "x") != 0) return OCTET_OK;
    assert_int_equal(tensor->dtype, OCTET_U8);
    assert_non_null(tensor->qparams);
    memcpy(seen->x, tensor->data, COUNT);
    seen->times++;
    return OCTET_OK;
}

/* Levels in, an operator that only knows real numbers, levels out, another shape, real numbers out. */
static void test_between_levels_and_real_numbers(void **state)
{
    (void)state;
    levels_case   c;
    session       s;
    seen_levels   seen   = { .times = 0 };
    float         three  = 3.0f;
    const int64_t flat[] = { 1, COUNT };
    const octet_tensor divisor = { .dtype = OCTET_F32, .data = &three };
    begin(&c, 1);
    MUST(octet_graph_add_constant(c.graph, "three", &divisor, &err));
    add_ints(c.graph, "shape", flat, 2);
    add_node(c.graph, "Div", "third", NULL, INPUTS("x", "three"));
    add_node(c.graph, "Reshape", "y", NULL, INPUTS("third", "shape"));
    MUST(octet_graph_set_output(c.graph, "y", &err));
    MUST(octet_graph_verify(c.graph, &err));
    set_levels(&c, 0, "x", 0.02f, 120, 255);
    set_levels(&c, 1, "third", 0.011f, 60, 127);
    octet_graph_find_value(c.graph, "y")->fake_quantize = &c.fq[1];
    c.graph->stage                                      = OCTET_STAGE_QUANTIZED;
    for (int keep = 0; keep < 2; keep++) {
        session_begin(&s, c.graph, &(octet_plan_options){ .keep_values = keep });
        octet_workspace_set_hook(s.workspace, look, &seen);
        session_run(&s, &c.input);
        assert_int_equal(seen.times, keep + 1);
        assert_int_equal(s.outputs[0].rank, 2);
        assert_int_equal(s.outputs[0].dtype, OCTET_F32);
        assert_null(s.outputs[0].qparams);
        for (int i = 0; i < COUNT; i++) {
            const int32_t x = level_of(c.data[i], &c.fq[0].qparams);
            const float   third = real_of(x, &c.fq[0].qparams) / three;
            assert_int_equal(seen.x[i], x);
            assert_true(((const float *)s.outputs[0].data)[i] ==
                        real_of(level_of(third, &c.fq[1].qparams), &c.fq[1].qparams));
        }
        session_end(&s);
    }
    octet_graph_free(c.graph);
}

/* A convolution of 1 x 1 summed into the Add behind it:
   t = f32(f32(f32(acc) * m) + f32(f32(r - zr) * mr)), y = clamp(rne(t) + zy). */
static void test_sums_in_the_accumulator(void **state)
{
    (void)state;
    static const float weight_scale = 0.013f;
    static const int32_t none       = 0;
    levels_case        c;
    session            s;
    int8_t             w[CHANNELS * CHANNELS];
    random_state       r = { 9 };
    const octet_qparams by_weight = { .scale = &weight_scale, .zero_point = &none, .count = 1, .dtype = OCTET_I8,
                                      .qmin = -127, .qmax = 127 };
    const octet_tensor  weights   = { .dtype = OCTET_I8, .rank = 4, .dims = { CHANNELS, CHANNELS, 1, 1 }, .data = w,
                                      .qparams = &by_weight };
    for (size_t i = 0; i < sizeof w; i++) w[i] = (int8_t)random_int(&r, -127, 127);
    begin(&c, 2);
    MUST(octet_graph_add_constant(c.graph, "w", &weights, &err));
    add_node(c.graph, "Conv", "sum", NULL, INPUTS("x", "w"));
    add_node(c.graph, "Add", "y", NULL, INPUTS("sum", "x"));
    MUST(octet_graph_set_output(c.graph, "y", &err));
    MUST(octet_graph_verify(c.graph, &err));
    set_levels(&c, 0, "x", 0.021f, 130, 255);
    set_levels(&c, 1, "y", 0.05f, 110, 200);
    c.graph->stage = OCTET_STAGE_QUANTIZED;
    session_begin(&s, c.graph, NULL);
    session_run(&s, &c.input);
    const octet_qparams *const xq = &c.fq[0].qparams, *const yq = &c.fq[1].qparams;
    const float m  = (float)((double)xq->scale[0] * weight_scale / yq->scale[0]);
    const float mr = (float)((double)xq->scale[0] / yq->scale[0]);
    for (int i = 0; i < COUNT; i++) {
        const int pixel = i % (SIDE * SIDE), channel = i / (SIDE * SIDE);
        int32_t   acc   = 0;
        for (int k = 0; k < CHANNELS; k++)
            acc += (level_of(c.data[k * SIDE * SIDE + pixel], xq) - xq->zero_point[0]) * w[channel * CHANNELS + k];
        const float product = (float)acc * m, residual = (float)(level_of(c.data[i], xq) - xq->zero_point[0]) * mr;
        const float t = product + residual;
        const int32_t y = clamp_level(nearbyint(t) + yq->zero_point[0], yq);
        assert_true(((const float *)s.outputs[0].data)[i] == real_of(y, yq));
    }
    session_end(&s);
    octet_graph_free(c.graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_between_levels_and_real_numbers),
        cmocka_unit_test(test_sums_in_the_accumulator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
