/* SPDX-License-Identifier: Apache-2.0 */
/* Optimizers against torch's recorded first step, and over many steps against the formulas of its documentation in long
   double. */
#include "support.h"

#include "train/optimizer.h"
#include "train/options.h"

enum { COUNT = 5, STEPS = 40 };

/* ---- recorded: fc.bias of golden/qat/train_* before step 1, its gradient, and what torch 1.13 made of it ---- */

static const uint32_t before[COUNT] = { 0xbd343940, 0x3e544122, 0xbe66871a, 0x3c128580, 0xbdbaaf54 };
static const uint32_t gradient[COUNT] = { 0x3d8b7b1b, 0xbd14ce3e, 0x3d490ac5, 0xbc81f8cc, 0xbd851b2d };

static const struct {
    const char         *name;
    octet_train_options options;
    uint32_t            after[COUNT];
} recorded[] = {
    { "train_sgd",
      { .optimizer = OCTET_OPTIMIZER_SGD, .learning_rate = 0.05, .momentum = 0.9, .weight_decay = 1e-4 },
      { 0xbd422bbb, 0x3e561d0a, 0xbe690a24, 0x3c1f8498, 0xbdb40755 } },
    { "train_sgd_nesterov_recipe",
      { .optimizer = OCTET_OPTIMIZER_SGD, .learning_rate = 0.05, .momentum = 0.9, .weight_decay = 1e-4,
        .nesterov = true },
      { 0xbd4eb929, 0x3e57c95b, 0xbe6b4ce0, 0x3c2b36fa, 0xbdae09bc } },
    { "train_adam",
      { .optimizer = OCTET_OPTIMIZER_ADAM, .learning_rate = 0.002, .weight_decay = 1e-4 },
      { 0xbd3c6a67, 0x3e564d6c, 0xbe689364, 0x3c334a1a, 0xbdb696c1 } },
    { "train_adamw_recipe",
      { .optimizer = OCTET_OPTIMIZER_ADAMW, .learning_rate = 0.002, .weight_decay = 0.01 },
      { 0xbd3c697a, 0x3e564c55, 0xbe689235, 0x3c33495a, 0xbdb695cc } },
};

/* torch's vectors fuse a multiplication with an addition where this processor can; so one unit is allowed. */
static void test_recorded(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof recorded / sizeof *recorded; c++) {
        float               value[COUNT], g[COUNT];
        octet_train_options options = recorded[c].options;
        octet_mover        *mover;
        octet_arena *const  arena = octet_arena_new();
        octet_parameter     p = { "fc.bias", OCTET_PARAMETER_BIAS, OCTET_F32, value, g, COUNT };
        memcpy(value, before, sizeof value);
        memcpy(g, gradient, sizeof g);
        options.decay_all = true; /* as torch does by default */
        MUST(octet_train_resolve(&options, &options, &err));
        MUST(octet_mover_new(&mover, arena, &options, &p, 1, &err));
        octet_mover_step(mover, options.learning_rate);
        for (size_t i = 0; i < COUNT; i++) {
            uint32_t bits;
            memcpy(&bits, &value[i], sizeof bits);
            if (abs((int32_t)(bits - recorded[c].after[i])) > 1)
                fail_msg("%s[%zu]: %08x (need %08x)", recorded[c].name, i, bits, recorded[c].after[i]);
        }
        octet_arena_free(arena);
    }
}

/* ---- defined ---- */

typedef struct reference {
    long double w, velocity, mean, square;
} reference;

/* https://pytorch.org/docs/1.13/generated/torch.optim.SGD.html, Adam.html, AdamW.html; t from 1 on. */
static void define(reference *r, const octet_train_options *o, long double g, long double rate, long double decay,
                   int t)
{
    if (o->optimizer == OCTET_OPTIMIZER_SGD) {
        g += decay * r->w;
        r->velocity = t == 1 ? g : o->momentum * r->velocity + g;
        if (o->momentum != 0) g = o->nesterov ? g + o->momentum * r->velocity : r->velocity;
        r->w -= rate * g;
        return;
    }
    if (o->optimizer == OCTET_OPTIMIZER_ADAMW) r->w -= rate * decay * r->w;
    else g += decay * r->w;
    r->mean   = o->beta1 * r->mean + (1 - (long double)o->beta1) * g;
    r->square = o->beta2 * r->square + (1 - (long double)o->beta2) * g * g;
    const long double mean = r->mean / (1 - powl(o->beta1, t)), square = r->square / (1 - powl(o->beta2, t));
    r->w -= rate * mean / (sqrtl(square) + o->epsilon);
}

static void check(const octet_train_options *given, octet_dtype dtype, octet_parameter_kind kind)
{
    octet_train_options o;
    octet_mover        *mover;
    octet_arena *const  arena = octet_arena_new();
    random_state        r = { 5 };
    reference           want[COUNT] = { { 0 } };
    double              value[COUNT], g[COUNT]; /* room for floats too */
    octet_parameter     p = { "p", kind, dtype, value, g, COUNT };
    const bool          real = dtype == OCTET_F64, learned = kind >= OCTET_PARAMETER_SCALE;
    MUST(octet_train_resolve(&o, given, &err));
    MUST(octet_mover_new(&mover, arena, &o, &p, 1, &err));
    for (size_t i = 0; i < COUNT; i++) {
        const float x = random_float(&r, -1, 1);
        want[i].w     = x;
        if (real) value[i] = (double)x;
        else ((float *)value)[i] = x;
    }
    for (int t = 1; t <= STEPS; t++) {
        const double rate = o.learning_rate / t;
        for (size_t i = 0; i < COUNT; i++) {
            const float x = random_float(&r, -1, 1);
            if (real) g[i] = (double)x;
            else ((float *)g)[i] = x;
            define(&want[i], &o, x, learned ? rate * o.scale_rate : rate,
                   kind == OCTET_PARAMETER_WEIGHT || o.decay_all ? o.weight_decay : 0, t);
        }
        octet_mover_step(mover, rate);
    }
    for (size_t i = 0; i < COUNT; i++) {
        const long double got = real ? (long double)value[i] : (long double)((float *)value)[i];
        assert_true(fabsl(got - want[i].w) < (real ? 1e-13L : 2e-6L));
    }
    octet_arena_free(arena);
}

static void test_defined(void **state)
{
    (void)state;
    static const octet_train_options cases[] = {
        { .optimizer = OCTET_OPTIMIZER_SGD, .learning_rate = 0.1 },
        { .optimizer = OCTET_OPTIMIZER_SGD, .learning_rate = 0.1, .momentum = 0.9, .weight_decay = 0.1 },
        { .learning_rate = 0.1, .momentum = 0.8, .nesterov = true, .scale_rate = 0.1 },
        { .optimizer = OCTET_OPTIMIZER_ADAM, .learning_rate = 0.1, .weight_decay = 0.1, .scale_rate = 0.01 },
        { .optimizer = OCTET_OPTIMIZER_ADAM, .learning_rate = 0.1, .beta1 = 0.5, .beta2 = 0.7, .epsilon = 0.1 },
        { .optimizer = OCTET_OPTIMIZER_ADAMW, .learning_rate = 0.1, .weight_decay = 0.2, .decay_all = true },
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (int kind = OCTET_PARAMETER_WEIGHT; kind <= OCTET_PARAMETER_ZERO_POINT; kind++) {
            check(&cases[c], OCTET_F64, (octet_parameter_kind)kind);
            check(&cases[c], OCTET_F32, (octet_parameter_kind)kind);
        }
}

/* A parameter without a gradient rests, and its own first step is its first. */
static void test_resting(void **state)
{
    (void)state;
    octet_train_options o;
    octet_mover        *mover;
    octet_arena *const  arena = octet_arena_new();
    double              value[2] = { 1, 1 }, g = 0.5;
    octet_parameter     p[2] = { { "a", OCTET_PARAMETER_WEIGHT, OCTET_F64, &value[0], &g, 1 },
                                 { "b", OCTET_PARAMETER_SCALE, OCTET_F64, &value[1], NULL, 1 } };
    MUST(octet_train_resolve(&o, &(octet_train_options){ .optimizer = OCTET_OPTIMIZER_ADAM, .scale_rate = 1 }, &err));
    MUST(octet_mover_new(&mover, arena, &o, p, 2, &err));
    octet_mover_step(mover, 0.1);
    const double first = value[0];
    assert_true(first < 1 && value[1] == 1 && mover->moments[1].steps == 0);
    p[1].gradient = &g;
    octet_mover_step(mover, 0.1);
    assert_true(value[1] == first && mover->moments[0].steps == 2);
    octet_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_recorded), cmocka_unit_test(test_defined),
                                        cmocka_unit_test(test_resting) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
