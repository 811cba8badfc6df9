/* SPDX-License-Identifier: Apache-2.0 */
/* The named rows against what PyTorch's classes document: levels, halved where reduce_range says so, and forms. */
#include "support.h"

#include "quantize/calibration.h"

typedef struct side {
    octet_dtype dtype;
    int32_t     qmin, qmax;
    bool        symmetric;
    octet_fake  fake;
    float       eps;
    bool        off;
    octet_method method; /* 0: not looked at */
    octet_observing observing;
    int         dynamic; /* octet_dynamic */
    bool        real;    /* zero points */
} side;

#define PLAIN                 OCTET_FAKE_OBSERVED
#define FUSED                 OCTET_FAKE_FUSED
#define LEARNED               OCTET_FAKE_LEARNED
#define OFF                   { .off = true }
#define UNSEEN                { .off = true, .observing = OCTET_OBSERVE_NOTHING }
#define HALF(live)            { .dtype = OCTET_F16, .qmax = 255, .observing = OCTET_OBSERVE_NOTHING, .dynamic = live }
#define HIST(low, high, e)    { low ? OCTET_I8 : OCTET_U8, low, high, .eps = e, .method = OCTET_METHOD_HISTOGRAM }
#define LIVE                  { OCTET_U8, 0, 255, .observing = OCTET_OBSERVE_NOTHING, .dynamic = true }
#define EMBEDDING(high)       { OCTET_U8, 0, high, .real = true }
#define U8(low, high, how)    { OCTET_U8, low, high, false, how, 0, false }
#define S8(low, high, how, e) { OCTET_I8, low, high, false, how, e, false }
#define WEIGHT(how)           { OCTET_I8, -128, 127, true, how, 0, false }
#define NARROW(how, e)        { OCTET_I8, -127, 127, true, how, e, false }

static const struct {
    const char *name;
    side        activation, weight;
    bool        per_channel, torch;
} rows[] = {
    { "octet", U8(0, 255, PLAIN), NARROW(PLAIN, 0), true, false },
    { "octet_qat", U8(0, 255, PLAIN), NARROW(PLAIN, 0), true, false },
    { "octet_lsq", U8(0, 255, LEARNED), NARROW(LEARNED, 0), true, false },
    { "default", U8(0, 127, PLAIN), WEIGHT(PLAIN), false, true },
    { "per_channel", U8(0, 127, PLAIN), WEIGHT(PLAIN), true, true },
    { "octet_dynamic", { OCTET_U8, 0, 255, .dynamic = true }, NARROW(PLAIN, 0), true, false },
    { "octet_per_token", { OCTET_U8, 0, 255, .dynamic = 2 }, NARROW(PLAIN, 0), true, false },
    { "octet_weight_only", OFF, WEIGHT(PLAIN), true, false },
    { "fbgemm", HIST(0, 127, 0), WEIGHT(PLAIN), true, true },
    { "x86", HIST(0, 127, 0), WEIGHT(PLAIN), true, true },
    { "qnnpack", HIST(0, 255, 0), WEIGHT(PLAIN), false, true },
    { "onednn", HIST(0, 255, 0), WEIGHT(PLAIN), true, true },
    { "symmetric_qnnpack", HIST(-128, 127, 0x1p-12f), NARROW(PLAIN, 0x1p-12f), false, true },
    { "per_channel_symmetric_qnnpack", HIST(-128, 127, 0x1p-12f), NARROW(PLAIN, 0x1p-12f), true, true },
    { "default_debug", { OCTET_U8, 0, 127, .observing = OCTET_OBSERVE_RECORD }, WEIGHT(PLAIN), false, true },
    { "default_reuse_input", { OCTET_U8, 0, 255, .observing = OCTET_OBSERVE_INPUT }, UNSEEN, false, false },
    { "default_dynamic", LIVE, WEIGHT(PLAIN), false, true },
    { "per_channel_dynamic", LIVE, WEIGHT(PLAIN), true, true },
    { "float16_dynamic", HALF(true), HALF(false), false, false },
    { "float16_static", HALF(false), HALF(false), false, false },
    { "float_qparams_weight_only", UNSEEN, EMBEDDING(255), true, false },
    { "float_qparams_weight_only_4bit", UNSEEN, EMBEDDING(15), true, false },
    { "default_dynamic_qat", { OCTET_U8, 0, 255, .dynamic = true }, WEIGHT(PLAIN), false, true },
    { "default_embedding_qat", UNSEEN, EMBEDDING(255), true, false },
    { "default_embedding_qat_4bit", UNSEEN, EMBEDDING(15), true, false },
    { "default_qat", U8(0, 127, PLAIN), WEIGHT(PLAIN), false, true },
    { "default_qat_v2", U8(0, 255, FUSED), WEIGHT(FUSED), false, true },
    { "default_weight_only", OFF, WEIGHT(PLAIN), false, true },
    { "default_activation_only", U8(0, 127, PLAIN), OFF, false, true },
    { "symmetric_qnnpack_qat", S8(-128, 127, FUSED, 0x1p-12f), NARROW(FUSED, 0x1p-12f), false, true },
    { "per_channel_symmetric_qnnpack_qat", S8(-128, 127, FUSED, 0x1p-12f), NARROW(FUSED, 0x1p-12f), true, true },
    { "fbgemm_qat", U8(0, 127, PLAIN), WEIGHT(PLAIN), true, true },
    { "fbgemm_qat_v1", U8(0, 127, FUSED), WEIGHT(FUSED), true, true },
    { "x86_qat", U8(0, 127, PLAIN), WEIGHT(PLAIN), true, true },
    { "x86_qat_v1", U8(0, 127, FUSED), WEIGHT(FUSED), true, true },
    { "qnnpack_qat", U8(0, 255, PLAIN), WEIGHT(PLAIN), false, true },
    { "qnnpack_qat_v1", U8(0, 255, FUSED), WEIGHT(FUSED), false, true },
    { "onednn_qat", U8(0, 255, PLAIN), WEIGHT(PLAIN), true, true },
    { "onednn_qat_v1", U8(0, 255, FUSED), WEIGHT(FUSED), true, true },
};
enum { ROWS = sizeof rows / sizeof *rows };

static void check_side(const char *name, const octet_quantizer *got, const side *want, bool weight)
{
    const octet_levels_range levels = octet_quantizer_levels(got, weight);
    const bool same = levels.dtype == want->dtype && levels.qmin == want->qmin && levels.qmax == want->qmax;
    if (got->off != want->off) fail_msg("%s: %s is off, or not", name, weight ? "weight" : "activation");
    if (want->off) return;
    if (!same || got->symmetric != want->symmetric || got->fake != want->fake || got->eps != want->eps)
        fail_msg("%s: %s has levels %d..%d, form %d, eps %g", name, weight ? "weight" : "activation", levels.qmin,
                 levels.qmax, (int)got->fake, (double)got->eps);
    if (want->method) assert_int_equal(got->method, want->method);
    if (want->observing) assert_int_equal(got->observing, want->observing);
    assert_int_equal(got->dynamic, want->dynamic);
    assert_int_equal(got->formula == OCTET_FORMULA_TORCH_FLOAT, want->real);
}

static void rows_are_the_classes_they_name(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ROWS; i++) {
        const octet_qconfig *const row = octet_qconfig_find(rows[i].name);
        if (!row) fail_msg("%s: no such row", rows[i].name);
        check_side(rows[i].name, &row->activation, &rows[i].activation, false);
        check_side(rows[i].name, &row->weight, &rows[i].weight, true);
        assert_int_equal(row->weight.per_channel, rows[i].per_channel);
        assert_false(row->activation.per_channel);
        assert_int_equal(row->activation.formula == OCTET_FORMULA_TORCH, rows[i].torch && !row->activation.off);
        assert_int_equal(row->weight.formula == OCTET_FORMULA_TORCH, rows[i].torch && !row->weight.off);
    }
}

static void every_row_is_listed_once(void **unused)
{
    (void)unused;
    size_t count = 0;
    for (const char *name; (name = octet_qconfig_name(count)); count++) {
        size_t known = 0;
        for (size_t i = 0; i < ROWS; i++) known += !strcmp(rows[i].name, name);
        if (known != 1) fail_msg("%s is in this table %zu times", name, known);
        assert_string_equal(octet_qconfig_find(name)->name, name);
    }
    assert_int_equal(count, ROWS);
    assert_null(octet_qconfig_find("default_"));
    assert_null(octet_qconfig_find(""));
}

/* PyTorch's own names. */
static void full_names_are_known(void **unused)
{
    (void)unused;
    static const char *const names[][2] = {
        { "default_qconfig", "default" },
        { "default_per_channel_qconfig", "per_channel" },
        { "default_debug_qconfig", "default_debug" },
        { "default_dynamic_qconfig", "default_dynamic" },
        { "per_channel_dynamic_qconfig", "per_channel_dynamic" },
        { "float16_dynamic_qconfig", "float16_dynamic" },
        { "float16_static_qconfig", "float16_static" },
        { "float_qparams_weight_only_qconfig", "float_qparams_weight_only" },
        { "float_qparams_weight_only_qconfig_4bit", "float_qparams_weight_only_4bit" },
        { "default_symmetric_qnnpack_qconfig", "symmetric_qnnpack" },
        { "default_per_channel_symmetric_qnnpack_qconfig", "per_channel_symmetric_qnnpack" },
        { "default_symmetric_qnnpack_qat_qconfig", "symmetric_qnnpack_qat" },
        { "default_per_channel_symmetric_qnnpack_qat_qconfig", "per_channel_symmetric_qnnpack_qat" },
        { "default_qat_qconfig", "default_qat" },
        { "default_qat_qconfig_v2", "default_qat_v2" },
        { "default_dynamic_qat_qconfig", "default_dynamic_qat" },
        { "default_weight_only_qconfig", "default_weight_only" },
        { "default_activation_only_qconfig", "default_activation_only" },
        { "default_embedding_qat_qconfig", "default_embedding_qat" },
        { "default_embedding_qat_qconfig_4bit", "default_embedding_qat_4bit" },
        { "default_reuse_input_qconfig", "default_reuse_input" },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const octet_qconfig *const row = octet_qconfig_find(names[i][0]);
        if (!row || strcmp(row->name, names[i][1]) != 0) fail_msg("%s: %s", names[i][0], row ? row->name : "none");
    }
    assert_null(octet_qconfig_find("no_such_qconfig"));
    assert_null(octet_qconfig_find("a_name_that_is_longer_than_any_qconfig_of_any_library_that_has_any"));
}

static void qconfigs_of_backends(void **unused)
{
    (void)unused;
    static const char *const backends[] = { "fbgemm", "x86", "qnnpack", "onednn" };
    for (int i = 0; i < 4; i++) assert_string_equal(octet_default_qconfig_find(backends[i], 0)->name, backends[i]);
    assert_string_equal(octet_default_qconfig_find(NULL, 0)->name, "fbgemm");
    assert_string_equal(octet_default_qconfig_find("octet", 0)->name, "default");
    assert_null(octet_default_qconfig_find("fbgemm", 1));
}

static void qat_qconfigs_of_backends(void **unused)
{
    (void)unused;
    static const struct {
        const char *backend;
        int         version;
        const char *name;
    } cases[] = {
        { NULL, 1, "fbgemm_qat_v1" },     { "fbgemm", 0, "fbgemm_qat" },   { "x86", 0, "x86_qat" },
        { "x86", 1, "x86_qat_v1" },       { "qnnpack", 0, "qnnpack_qat" }, { "qnnpack", 1, "qnnpack_qat_v1" },
        { "onednn", 1, "onednn_qat_v1" }, { "octet", 0, "default_qat" },   { "", 1, "default_qat_v2" },
        { "fbgemm", 2, NULL },            { "fbgemm", -1, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const octet_qconfig *const row = octet_qat_qconfig_find(cases[i].backend, cases[i].version);
        if (cases[i].name) assert_string_equal(row->name, cases[i].name);
        else assert_null(row);
    }
}

/* Levels that a quantizer does not give are the type's; octet's symmetric ones have a negative for each. */
static void levels_by_default(void **unused)
{
    (void)unused;
    static const struct {
        octet_quantizer quantizer;
        bool            weight;
        int32_t         qmin, qmax;
    } cases[] = {
        { { .symmetric = true }, true, -127, 127 },
        { { .symmetric = true, .formula = OCTET_FORMULA_TORCH }, true, -128, 127 },
        { { .reduce_range = true }, true, -64, 63 },
        { { .reduce_range = true }, false, 0, 127 },
        { { .reduce_range = true, .qmin = -127, .qmax = 127 }, true, -64, 63 },
        { { .dtype = OCTET_I16 }, false, -32768, 32767 },
        { { .dtype = OCTET_U16 }, false, 0, 65535 },
        { { .qmax = 15 }, false, 0, 15 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const octet_levels_range levels = octet_quantizer_levels(&cases[i].quantizer, cases[i].weight);
        assert_int_equal(levels.qmin, cases[i].qmin);
        assert_int_equal(levels.qmax, cases[i].qmax);
    }
}

static void formulas_by_quantizer(void **unused)
{
    (void)unused;
    static const struct {
        octet_quantizer quantizer;
        float           scale;
        int32_t         zero_point;
    } cases[] = { /* of the range -1..0.5 */
        { { 0 }, (float)(1.5 / 255), 170 },
        { { .symmetric = true, .formula = OCTET_FORMULA_TORCH }, 1 / 127.5f, 128 },
        { { .symmetric = true, .formula = OCTET_FORMULA_TORCH, .qmax = 255 }, 1 / 127.5f, 127 },
        { { .symmetric = true, .formula = OCTET_FORMULA_TORCH, .dtype = OCTET_I8 }, 1 / 127.5f, 0 },
        { { .formula = OCTET_FORMULA_TORCH, .reduce_range = true }, 1.5f / 127, 85 },
        { { .formula = OCTET_FORMULA_TORCH, .eps = 0.5f }, 0.5f, 2 },
        { { .fake = OCTET_FAKE_FIXED, .fixed_scale = 0x1p-8f, .fixed_zero_point = 3 }, 0x1p-8f, 3 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const octet_affine got = octet_quantizer_affine(&cases[i].quantizer, false, (octet_range){ true, -1, 0.5f });
        if (got.scale != cases[i].scale || got.zero_point != cases[i].zero_point)
            fail_msg("case %zu: scale %.9g zero point %d", i, (double)got.scale, got.zero_point);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_the_classes_they_name), cmocka_unit_test(every_row_is_listed_once),
        cmocka_unit_test(full_names_are_known),           cmocka_unit_test(qconfigs_of_backends),
        cmocka_unit_test(qat_qconfigs_of_backends),       cmocka_unit_test(levels_by_default),
        cmocka_unit_test(formulas_by_quantizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
