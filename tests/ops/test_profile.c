/* SPDX-License-Identifier: Apache-2.0 */
/* octet's rounding on worked numbers, and on random ones against the formulas of docs/arithmetic.md, each step rounded
   to float32 by a store. */
#include "ops/case.h"

#include "ops/levels.h"

static const octet_level_rule plain = { .scale = 0.5f, .zero_point = 10, .qmin = 0, .qmax = 255 };

static void test_quantize_worked(void **state)
{
    (void)state;
    const float   x[] = { 0,     0.25f,  0.75f, 1.25f,  -0.25f, -0.75f,   -5,
                          -5.3f, 122.5f, 1e30f, -1e30f, NAN,    INFINITY, -INFINITY };
    const int32_t want[] = { 10, 10, 12, 12, 10, 8, 0, 0, 255, 255, 0, 10, 255, 0 };
    int32_t       got[14];
    octet_profile_octet.quantize(got, x, 14, &plain);
    assert_memory_equal(got, want, sizeof want);
}

/* 32-bit levels take the other branch. */
static void test_quantize_wide(void **state)
{
    (void)state;
    const octet_level_rule to = { .scale = 0x1p-10f, .qmin = INT32_MIN, .qmax = INT32_MAX };
    const float            x[] = { 1, -3, 1e20f, -1e20f, NAN, 0x1p-11f, 0x1.8p-10f, 70000.0f };
    const int32_t          want[] = { 1024, -3072, INT32_MAX, INT32_MIN, 0, 0, 2, 71680000 };
    int32_t                got[8];
    octet_profile_octet.quantize(got, x, 8, &to);
    assert_memory_equal(got, want, sizeof want);
}

static int32_t rounded(volatile float t, const octet_level_rule *to)
{
    double level = nearbyint((double)t) + to->zero_point;
    if (level < to->qmin) level = to->qmin;
    if (level > to->qmax) level = to->qmax;
    return (int32_t)level;
}

static octet_level_rule random_rule(op_case *c)
{
    octet_level_rule r = { .scale = 1e-4f + (float)case_between(c, 1, 1000) * 1e-4f, .qmin = case_between(c, -128, 0) };
    r.qmax = r.qmin + case_between(c, 0, 255);
    r.zero_point = case_between(c, r.qmin, r.qmax);
    return r;
}

enum { N = 1000 };

static void test_random_rows(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "Relu", 6);
    for (int round = 0; round < 50; round++) {
        const octet_level_rule to = random_rule(&c);
        const float            sa = case_qparams(&c, OCTET_U8, 0, 255, 1, 0)->scale[0], sb = sa * 0.37f;
        int32_t                a[N], b[N], got[N], n[N];
        float                  x[N];
        for (int i = 0; i < N; i++) {
            a[i] = case_between(&c, -255, 255);
            b[i] = case_between(&c, -255, 255);
            n[i] = case_between(&c, 1, 49);
            x[i] = case_real(&c);
        }
        octet_profile_octet.quantize(got, x, N, &to);
        for (int i = 0; i < N; i++) assert_int_equal(got[i], rounded(x[i] / to.scale, &to));
        const int            sign = round % 2 ? 1 : -1;
        const octet_add_rule add = { .a_scale = sa, .b_scale = sb, .sign = sign, .to = to };
        assert_true(octet_profile_octet.add(got, a, b, N, &add));
        for (int i = 0; i < N; i++) {
            const volatile float ma = (float)((double)sa / (double)to.scale);
            const volatile float mb = (float)((double)sb / (double)to.scale);
            const volatile float p = (float)a[i] * ma, q = (float)b[i] * mb, t = sign > 0 ? p + q : p - q;
            assert_int_equal(got[i], rounded(t, &to));
        }
        const octet_average_rule average = { .scale = sa, .to = to };
        octet_profile_octet.average(got, a, n, N, &average);
        for (int i = 0; i < N; i++) {
            const volatile float m = (float)((double)sa / (n[i] * (double)to.scale)), t = (float)a[i] * m;
            assert_int_equal(got[i], rounded(t, &to));
        }
        octet_profile_octet.rescale(got, a, sa, N, &to);
        for (int i = 0; i < N; i++) {
            const volatile float m = (float)((double)sa / (double)to.scale), t = (float)a[i] * m;
            assert_int_equal(got[i], rounded(t, &to));
        }
    }
    case_end(&c);
}

static void test_sums(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "Relu", 8);
    for (int round = 0; round < 50; round++) {
        octet_mac_rule rule = { .input_scale = 0.01f + fabsf(case_real(&c)), .weight_scale = 0.003f,
                                .to = random_rule(&c), .bias_level = case_between(&c, -1000, 1000),
                                .bias = round % 2 ? case_real(&c) : 0 };
        const double   unit = (double)rule.input_scale * (double)rule.weight_scale;
        const int32_t  bias = rule.bias_level + (int32_t)nearbyint((double)rule.bias / unit);
        assert_true(octet_profile_octet.mac_prepare(&rule));
        int32_t sum[N], got[N];
        float   real[N];
        for (int i = 0; i < N; i++) sum[i] = case_between(&c, -(1 << 26), 1 << 26) >> case_between(&c, 0, 20);
        octet_profile_octet.mac_levels(got, sum, N, &rule);
        octet_profile_octet.mac_real(real, sum, N, &rule);
        const volatile float m = (float)(unit / (double)rule.to.scale);
        for (int i = 0; i < N; i++) {
            const volatile float t = (float)(sum[i] + bias) * m;
            assert_int_equal(got[i], rounded(t, &rule.to));
            assert_true(real[i] == t);
        }
    }
    case_end(&c);
}

static void test_sums_refused(void **state)
{
    (void)state;
    octet_mac_rule tiny = { .input_scale = 1e-30f, .weight_scale = 1e-30f, .to = { .scale = 1 } };
    assert_false(octet_profile_octet.mac_prepare(&tiny));
    octet_mac_rule huge = { .input_scale = 1e30f, .weight_scale = 1e30f, .to = { .scale = 1 } };
    assert_false(octet_profile_octet.mac_prepare(&huge));
    octet_mac_rule bias = { .input_scale = 1e-6f, .weight_scale = 1e-6f, .to = { .scale = 1e-6f }, .bias = 1 };
    assert_false(octet_profile_octet.mac_prepare(&bias));
}

/* Relu6 on scale 0.05, zero point 20: levels 20..140. Outside the tensor's own range the bounds stop at it. */
static void test_narrowing(void **state)
{
    (void)state;
    const float            scale = 0.05f;
    const int32_t          zero = 20;
    const octet_qparams    q = { .scale = &scale, .zero_point = &zero, .count = 1, .dtype = OCTET_U8, .qmax = 255 };
    const octet_activation relu6 = { .on = true, .lo = 0, .hi = 6 }, relu = { .on = true, .lo = 0, .hi = INFINITY };
    const octet_activation above = { .on = true, .lo = 100, .hi = 200 }, off = { .lo = 0, .hi = 1 };
    octet_level_rule       rule = octet_level_rule_of(&q, 0, &relu6);
    assert_int_equal(rule.qmin, 20);
    assert_int_equal(rule.qmax, 140);
    rule = octet_level_rule_of(&q, 0, &relu);
    assert_int_equal(rule.qmin, 20);
    assert_int_equal(rule.qmax, 255);
    rule = octet_level_rule_of(&q, 0, &above);
    assert_int_equal(rule.qmin, 255);
    assert_int_equal(rule.qmax, 255);
    rule = octet_level_rule_of(&q, 0, &off);
    assert_int_equal(rule.qmin, 0);
    rule = octet_level_rule_of(&q, 0, NULL);
    assert_int_equal(rule.qmax, 255);
}

static void test_levels_types(void **state)
{
    (void)state;
    static const octet_dtype types[] = { OCTET_U8, OCTET_I8, OCTET_U16, OCTET_I16, OCTET_I32 };
    for (size_t t = 0; t < 5; t++) {
        const int32_t in[] = { 0, 1, 100, types[t] == OCTET_U8 || types[t] == OCTET_U16 ? 200 : -100 };
        uint64_t      memory[8] = { 0 };
        int32_t       out[4];
        octet_levels_store(memory, types[t], 2, in, 4);
        octet_levels_load(out, memory, types[t], 2, 4, 7);
        for (int i = 0; i < 4; i++) assert_int_equal(out[i], in[i] - 7);
        octet_levels_store_strided(memory, types[t], 1, 3, in, 2);
        octet_levels_load(out, memory, types[t], 4, 1, 0);
        assert_int_equal(out[0], 1);
    }
}

static void test_find(void **state)
{
    (void)state;
    assert_ptr_equal(octet_profile_find(NULL), &octet_profile_octet);
    assert_ptr_equal(octet_profile_find("octet"), &octet_profile_octet);
    assert_string_equal(octet_profile_find("torch-onednn")->name, "torch-onednn");
    assert_null(octet_profile_find("torch"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantize_worked), cmocka_unit_test(test_quantize_wide),
        cmocka_unit_test(test_random_rows),     cmocka_unit_test(test_sums),
        cmocka_unit_test(test_sums_refused),    cmocka_unit_test(test_narrowing),
        cmocka_unit_test(test_levels_types),    cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
