/* SPDX-License-Identifier: Apache-2.0 */
/* FakeQuantize's forward and gradient against the definitions: octet's profile bit for bit, sums in double; every
   layout of channels, in place, and where x is what floats are hardest at. */
#include "support.h"

#include "train/fake_quantize.h"

#include <float.h>

enum { MOST = 4096 };

static float x[MOST], dy[MOST], y[MOST], dx[MOST];

/* ---- making cases ---- */

static octet_trained *make(octet_arena *arena, const octet_quantizer *quantizer, int64_t channels)
{
    octet_trained      *trained;
    const octet_trained settings = { .quantizer = *quantizer, .channels = channels };
    MUST(octet_trained_new(&trained, arena, &settings, &err));
    return trained;
}

/* The numbers at which rounding by scale turns: ties and the ends of levels -300..300, and their neighbours. */
static size_t hard_numbers(float *to, float scale)
{
    static const float special[] = { 0, -0.0f, INFINITY, -INFINITY, NAN, -NAN, FLT_MIN, -FLT_MIN, FLT_MAX, -FLT_MAX,
                                     1e-45f, -1e-45f, 1e-40f, -1e-40f, 3e9f, -3e9f, 1e30f, -1e30f, 8388608.5f, 0.5f };
    size_t count = sizeof special / sizeof *special;
    memcpy(to, special, sizeof special);
    for (int half = -600; half <= 600; half += half > -40 && half < 40 ? 1 : 7) {
        const float at = (float)half * 0.5f * scale;
        to[count++]    = at;
        to[count++]    = nextafterf(at, INFINITY);
        to[count++]    = nextafterf(at, -INFINITY);
    }
    assert_true(count <= MOST);
    return count;
}

static const struct {
    octet_dtype dtype;
    int32_t     qmin, qmax, zero_point;
} ranges[] = {
    { OCTET_U8, 0, 255, 0 },       { OCTET_U8, 0, 255, 255 },    { OCTET_U8, 0, 255, 131 },
    { OCTET_I8, -128, 127, 0 },    { OCTET_I8, -127, 127, 0 },   { OCTET_I8, -128, 127, -128 },
    { OCTET_I8, -8, 7, -3 },       { OCTET_U8, 0, 15, 7 },       { OCTET_I8, -2, 1, 0 },
    { OCTET_U16, 0, 65535, 31000 }, { OCTET_I16, -32768, 32767, 0 },
};
static const float scales[] = { 0.1f, 1, 0x1p-7f, 0.0123f, FLT_MIN, 1e-37f, 3.3e-5f, 7e5f, 2e36f };
enum { RANGES = sizeof ranges / sizeof *ranges, SCALES = sizeof scales / sizeof *scales };

static octet_trained *range_of(octet_arena *arena, size_t i, int64_t channels)
{
    const octet_quantizer quantizer = { .dtype = ranges[i].dtype, .qmin = ranges[i].qmin, .qmax = ranges[i].qmax,
                                        .fake = OCTET_FAKE_LEARNED };
    octet_trained *const  trained   = make(arena, &quantizer, channels);
    for (int64_t c = 0; c < channels; c++) trained->zero_point[c] = (float)ranges[i].zero_point;
    return trained;
}

/* ---- definitions ---- */

static float real_of(int32_t level, const octet_level_rule *rule)
{
    return (float)(level - rule->zero_point) * rule->scale;
}

/* Whether x passes its gradient on. */
static bool passes(float value, const octet_level_rule *rule)
{
    const double level = rint((double)(value / rule->scale)) + rule->zero_point;
    return level >= rule->qmin && level <= rule->qmax;
}

static octet_level_rule rule_of(const octet_trained *t, size_t channel)
{
    return (octet_level_rule){ .scale = t->scale[channel], .zero_point = octet_trained_zero_point(t, (int64_t)channel),
                               .qmin = t->qmin, .qmax = t->qmax };
}

/* Both directions of one tensor, in place and not, against profile->quantize and passes(). */
static void check(const octet_trained *t, const octet_channel_shape *shape)
{
    static int32_t       levels[MOST];
    static float         same[MOST], straight[MOST];
    const size_t         count   = shape->outer * shape->channels * shape->inner;
    const octet_profile *profile = t->profile ? t->profile : &octet_profile_octet;
    octet_trained_forward(y, levels, x, t, shape);
    octet_trained_backward(dx, NULL, dy, x, t, shape);
    memcpy(same, x, count * sizeof *same);
    memcpy(straight, dy, count * sizeof *straight);
    octet_trained_forward(same, NULL, same, t, shape);
    octet_trained_backward(straight, NULL, straight, x, t, shape);
    assert_memory_equal(same, y, count * sizeof *y);
    assert_memory_equal(straight, dx, count * sizeof *dx);
    for (size_t i = 0; i < count; i++) {
        const octet_level_rule rule = rule_of(t, i / shape->inner % shape->channels);
        int32_t                level;
        profile->quantize(&level, &x[i], 1, &rule);
        const float real = real_of(level, &rule), through = passes(x[i], &rule) ? dy[i] : 0;
        if (level != levels[i] || memcmp(&real, &y[i], sizeof real))
            fail_msg("x %.9g scale %.9g: level %d, want %d", (double)x[i], (double)rule.scale, levels[i], level);
        if (!t->profile && memcmp(&through, &dx[i], sizeof through))
            fail_msg("x %.9g scale %.9g zero point %d: gradient %g, want %g", (double)x[i], (double)rule.scale,
                     rule.zero_point, (double)dx[i], (double)through);
    }
}

/* ---- tests ---- */

static void is_the_profile_at_every_hard_number(void **unused)
{
    (void)unused;
    octet_arena *const arena = octet_arena_new();
    random_state       r     = { 3 };
    random_fill(&r, dy, MOST, -1, 1);
    for (size_t i = 0; i < RANGES; i++)
        for (size_t s = 0; s < SCALES; s++) {
            octet_trained *const t = range_of(arena, i, 1);
            t->scale[0]            = scales[s];
            check(t, &(octet_channel_shape){ 1, 1, hard_numbers(x, scales[s]) });
        }
    octet_arena_free(arena);
}

/* Each channel with a scale and zero point of its own. */
static void any_layout_of_channels(void **unused)
{
    (void)unused;
    static const octet_channel_shape shapes[] = { { 3, 5, 7 }, { 7, 3, 1 }, { 1, 64, 1 }, { 5, 65, 1 }, { 2, 130, 1 },
                                                  { 1, 9, 9 }, { 2, 3, 150 }, { 4, 1, 33 }, { 9, 1, 1 }, { 1, 1, 1 },
                                                  { 0, 4, 1 }, { 1, 4, 0 } };
    static const octet_profile *const profiles[] = { NULL, &octet_profile_octet, &octet_profile_torch_qnnpack };
    octet_arena *const                arena      = octet_arena_new();
    random_state                      r          = { 5 };
    for (size_t n = 0; n < 3 * sizeof shapes / sizeof *shapes; n++) {
        const octet_channel_shape *const shape = &shapes[n / 3];
        octet_trained *const             t     = range_of(arena, n % RANGES, (int64_t)shape->channels);
        t->profile                             = profiles[n % 3];
        for (size_t c = 0; c < shape->channels; c++) {
            t->scale[c]      = random_float(&r, 0.01f, 0.1f);
            t->zero_point[c] = (float)random_int(&r, t->qmin, t->qmax) + 0.25f;
        }
        random_fill(&r, x, MOST, -15, 15);
        random_fill(&r, dy, MOST, -1, 1);
        check(t, shape);
    }
    octet_arena_free(arena);
}

/* Section 5 in double: the sums, and those of their terms' magnitudes. */
static void define_sums(octet_trained_sums sums[2], const octet_trained *t, const octet_channel_shape *shape)
{
    const size_t count = shape->outer * shape->channels * shape->inner;
    for (size_t i = 0; i < count; i++) {
        const size_t           c    = i / shape->inner % shape->channels;
        const octet_level_rule rule = rule_of(t, c);
        const bool             inside = passes(x[i], &rule);
        const double           offset = (double)rint((double)(x[i] / rule.scale));
        const double           bound  = offset < 0 ? rule.qmin - rule.zero_point : rule.qmax - rule.zero_point;
        const double           slope  = inside ? offset - (double)(x[i] / rule.scale) : bound;
        sums[0].scale[c] += dy[i] * slope;
        sums[1].scale[c] += fabs(dy[i] * slope);
        sums[0].zero_point[c] -= inside ? 0 : (double)dy[i] * rule.scale;
        sums[1].zero_point[c] += inside ? 0 : fabs((double)dy[i]) * rule.scale;
    }
}

static void assert_near(const double *got, const double *want, const double *magnitude, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs(got[i] - want[i]) <= 1e-6 * magnitude[i]))
            fail_msg("channel %zu: %.9g, want %.9g (terms %.9g)", i, got[i], want[i], magnitude[i]);
}

static void learned_gradients_are_the_definition(void **unused)
{
    (void)unused;
    static const octet_channel_shape shapes[] = { { 1, 1, 4000 }, { 40, 70, 1 }, { 3, 5, 200 }, { 1, 30, 9 } };
    octet_arena *const               arena    = octet_arena_new();
    random_state                     r        = { 8 };
    for (size_t i = 0; i < 4 * RANGES; i++) {
        const octet_channel_shape *const shape = &shapes[i % 4];
        const size_t                     n     = shape->channels, bytes = n * sizeof(double);
        octet_trained *const             t     = range_of(arena, i / 4, (int64_t)n);
        double got[2][70] = { { 0 } }, want[4][70] = { { 0 } };
        for (size_t c = 0; c < n; c++) t->scale[c] = random_float(&r, 0.5f, 1.5f) * 10 / (float)(t->qmax - t->qmin);
        random_fill(&r, x, MOST, -8, 8);
        random_fill(&r, dy, MOST, -1, 1);
        define_sums((octet_trained_sums[2]){ { want[0], want[1] }, { want[2], want[3] } }, t, shape);
        octet_trained_backward(y, NULL, dy, x, t, shape);
        octet_trained_backward(dx, &(octet_trained_sums){ got[0], got[1] }, dy, x, t, shape);
        assert_memory_equal(dx, y, shape->outer * n * shape->inner * sizeof *dx);
        assert_near(got[0], want[0], want[2], n);
        assert_near(got[1], want[1], want[3], n);
        double again[2][70] = { { 0 } };
        octet_trained_backward(dy, &(octet_trained_sums){ again[0], again[1] }, dy, x, t, shape);
        assert_memory_equal(again[0], got[0], bytes);
        assert_memory_equal(dy, dx, shape->outer * n * shape->inner * sizeof *dx);
    }
    octet_arena_free(arena);
}

static void not_a_number_teaches_nothing(void **unused)
{
    (void)unused;
    octet_arena *const        arena = octet_arena_new();
    octet_trained *const      t     = range_of(arena, 2, 1);
    const octet_channel_shape shape = { 1, 1, 3 };
    double                    scale = 0, zero_point = 0;
    x[0] = NAN, x[1] = INFINITY, x[2] = -INFINITY;
    dy[0] = 5, dy[1] = 1, dy[2] = 2;
    t->scale[0] = 0.5f;
    octet_trained_backward(dx, &(octet_trained_sums){ &scale, &zero_point }, dy, x, t, &shape);
    assert_true(dx[0] == 0 && dx[1] == 0 && dx[2] == 0);
    assert_true(scale == 124 - 2 * 131 && zero_point == -1.5);
    octet_arena_free(arena);
}

/* By hand. x / scale + zero point rounds to 3 or 4: within or one above, by whose zero point it is. PyTorch's forward
   takes rne(-3.75) = -4, its backward trunc(-3.75 + 0.5) = -3; with more than one channel -4. */
static void torch_rounds_learned_zero_points_in_two_ways(void **unused)
{
    (void)unused;
    octet_arena *const    arena     = octet_arena_new();
    const octet_quantizer quantizer = { .dtype = OCTET_I8, .qmin = -4, .qmax = 3, .formula = OCTET_FORMULA_TORCH,
                                        .fake = OCTET_FAKE_LEARNED };
    for (int64_t channels = 1; channels < 3; channels++) {
        octet_trained *const      t     = make(arena, &quantizer, channels);
        const octet_channel_shape shape = { 1, (size_t)channels, 1 };
        double                    scale[2] = { 0 }, zero_point[2] = { 0 };
        t->profile = &octet_profile_torch_qnnpack;
        for (int64_t c = 0; c < channels; c++) {
            t->scale[c] = 0.5f, t->zero_point[c] = -3.75f;
            x[c] = 3.5f, dy[c] = 1; /* 7 steps */
        }
        octet_trained_forward(y, NULL, x, t, &shape);
        octet_trained_backward(dx, &(octet_trained_sums){ scale, zero_point }, dy, x, t, &shape);
        assert_true(y[0] == 3.5f);
        if (channels == 1) assert_true(dx[0] == 0 && scale[0] == 6 && zero_point[0] == -0.5);
        else assert_true(dx[1] == 1 && scale[1] == 0 && zero_point[1] == 0);
    }
    octet_arena_free(arena);
}

static void what_is_not_enabled_is_passed_through(void **unused)
{
    (void)unused;
    octet_arena *const        arena = octet_arena_new();
    octet_trained *const      t     = range_of(arena, 0, 1);
    const octet_channel_shape shape = { 1, 1, 100 };
    double                    scale = 0, zero_point = 0;
    random_state              r     = { 2 };
    random_fill(&r, x, 100, -9, 9);
    random_fill(&r, dy, 100, -9, 9);
    t->enabled = false;
    octet_trained_forward(y, NULL, x, t, &shape);
    octet_trained_backward(dx, &(octet_trained_sums){ &scale, &zero_point }, dy, x, t, &shape);
    assert_memory_equal(y, x, 100 * sizeof *y);
    assert_memory_equal(dx, dy, 100 * sizeof *dx);
    assert_true(scale == 0 && zero_point == 0);
    octet_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_the_profile_at_every_hard_number),
        cmocka_unit_test(any_layout_of_channels),
        cmocka_unit_test(learned_gradients_are_the_definition),
        cmocka_unit_test(not_a_number_teaches_nothing),
        cmocka_unit_test(torch_rounds_learned_zero_points_in_two_ways),
        cmocka_unit_test(what_is_not_enabled_is_passed_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
