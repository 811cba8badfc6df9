/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic of two tensors, functions of one number, clipping and casts: real types against the C operators, levels
   against the formulas of docs/arithmetic.md written out here. */
#include "case.h"

static const char *const names[] = { "Add", "Sub", "Mul", "Div", "Min" };

static void real_arithmetic_broadcasts(void **state)
{
    (void)state;
    for (int op = 0; op < 5; op++) {
        op_case c;
        case_begin(&c, names[op], 1);
        const float *a = case_random_f32(&c, DIMS(2, 1, 300))->data, *b = case_random_f32(&c, DIMS(3, 1))->data;
        const bool absorbs = c.node.op->flags & OCTET_OP_LINEAR_CLAMP;
        c.node.activation = (octet_activation){ .on = absorbs, .lo = -0.5f, .hi = INFINITY };
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        assert_int_equal(octet_tensor_count(&c.out[0]), 1800);
        for (int i = 0; i < 1800; i++) {
            const float x = a[i / 900 * 300 + i % 300], y = b[i / 300 % 3];
            const float t = op == 0 ? x + y : op == 1 ? x - y : op == 2 ? x * y : op == 3 ? x / y : x < y ? x : y;
            if (((float *)c.out[0].data)[i] != (absorbs && t < -0.5f ? -0.5f : t))
                fail_msg("%s at %d", names[op], i);
        }
        case_end(&c);
    }
}

static void integer_arithmetic_wraps_and_never_traps(void **state)
{
    (void)state;
    const int32_t a[] = { INT32_MIN, INT32_MAX, -7, 7, 5, 0 }, b[] = { -1, 1, 2, -2, 0, 0 };
    const int32_t want[5][6] = { { INT32_MAX, INT32_MIN, -5, 5, 5, 0 },
                                 { INT32_MIN + 1, INT32_MAX - 1, -9, 9, 5, 0 },
                                 { INT32_MIN, INT32_MAX, -14, -14, 0, 0 },
                                 { INT32_MIN, INT32_MAX, -3, -3, 0, 0 },
                                 { INT32_MIN, 1, -7, -2, 0, 0 } };
    for (int op = 0; op < 5; op++) {
        op_case c;
        case_begin(&c, names[op], 2);
        memcpy(case_input(&c, OCTET_I32, DIMS(6))->data, a, sizeof a);
        memcpy(case_input(&c, OCTET_I32, DIMS(6))->data, b, sizeof b);
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        for (int i = 0; i < 6; i++) assert_int_equal(((int32_t *)c.out[0].data)[i], want[op][i]);
        case_end(&c);
    }
}

static void unsigned_division_of_large_numbers(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "Div", 3);
    *(uint64_t *)case_input(&c, OCTET_U64, DIMS(1))->data = UINT64_MAX;
    *(uint64_t *)case_input(&c, OCTET_U64, DIMS(1))->data = 2;
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    assert_true(*(uint64_t *)c.out[0].data == UINT64_MAX / 2);
    case_end(&c);
}

static void least_of_unordered_numbers(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "Min", 4);
    memcpy(case_input(&c, OCTET_F32, DIMS(4))->data, (const float[]){ NAN, 1, -INFINITY, 2 }, 16);
    memcpy(case_input(&c, OCTET_F32, DIMS(4))->data, (const float[]){ 1, NAN, 3, INFINITY }, 16);
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    const float *const y = c.out[0].data;
    assert_true(isnan(y[0]) && isnan(y[1]) && y[2] == -INFINITY && y[3] == 2);
    case_end(&c);
    case_begin(&c, "Min", 5);
    *(uint64_t *)case_input(&c, OCTET_U64, DIMS(1))->data = UINT64_MAX;
    *(uint64_t *)case_input(&c, OCTET_U64, DIMS(1))->data = 2;
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    assert_true(*(uint64_t *)c.out[0].data == 2);
    case_end(&c);
}

static int32_t arithmetic_level(int op, const octet_tensor *a, int i, const octet_tensor *b, int j,
                                const octet_qparams *to)
{
    const int   x = case_level(a, i) - a->qparams->zero_point[0], y = case_level(b, j) - b->qparams->zero_point[0];
    const double sa = a->qparams->scale[0], sb = b->qparams->scale[0], sy = to->scale[0];
    if (op == 2) return case_round((float)(x * y) * (float)(sa * sb / sy), to);
    const float left = (float)x * (float)(sa / sy), right = (float)y * (float)(sb / sy);
    return case_round(op == 0 ? left + right : left - right, to);
}

static void arithmetic_of_levels(void **state)
{
    (void)state;
    for (int op = 0; op < 3; op++)
        for (int stretched = 0; stretched < 3; stretched++) {
            op_case c;
            case_begin(&c, names[op], 40 + (uint64_t)(3 * op + stretched));
            const octet_tensor *a = case_random_levels(&c, OCTET_U8, stretched == 1 ? DIMS(1) : DIMS(3, 300), 1, 0);
            const octet_tensor *b = case_random_levels(&c, OCTET_I8, stretched == 2 ? DIMS(3, 1) : DIMS(3, 300), 1, 0);
            const octet_qparams *to = case_qparams(&c, OCTET_U8, 10, 240, 1, 0);
            c.node.activation = (octet_activation){ .on = true, .lo = 0.0f, .hi = INFINITY };
            case_prepare(&c, 1, to, true);
            case_run(&c, true);
            for (int i = 0; i < 900; i++) {
                const int32_t t = arithmetic_level(op, a, stretched == 1 ? 0 : i, b, stretched == 2 ? i / 300 : i, to);
                assert_int_equal(case_level(&c.out[0], i), t < to->zero_point[0] ? to->zero_point[0] : t);
            }
            case_end(&c);
        }
}

static void add_to_the_sums_of_a_convolution(void **state)
{
    (void)state;
    for (int swapped = 0; swapped < 2; swapped++) {
        op_case             c;
        const octet_tensor *sums, *rest;
        case_begin(&c, "Add", 50);
        if (swapped) {
            rest = case_random_levels(&c, OCTET_I8, DIMS(5, 77), 1, 0);
            sums = case_random_f32(&c, DIMS(5, 77));
        } else {
            sums = case_random_f32(&c, DIMS(5, 77));
            rest = case_random_levels(&c, OCTET_I8, DIMS(5, 77), 1, 0);
        }
        const octet_qparams *to = case_qparams(&c, OCTET_I8, -128, 127, 1, 0);
        case_prepare(&c, 1, to, true);
        for (int i = 0; i < 385; i++) ((float *)sums->data)[i] *= 50.0f;
        case_run(&c, true);
        for (int i = 0; i < 385; i++) {
            const float mr = (float)((double)rest->qparams->scale[0] / to->scale[0]);
            const float r = (float)(case_level(rest, i) - rest->qparams->zero_point[0]) * mr;
            assert_int_equal(case_level(&c.out[0], i), case_round(((float *)sums->data)[i] + r, to));
        }
        case_end(&c);
    }
}

/* ---- functions of one number ---- */

static double between(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }
static double leaky_relu(double x) { return x < 0 ? x * (double)0.01f : x; }
static double hard_sigmoid(double x) { return between((double)0.2f * x + 0.5, 0, 1); }
static double hard_swish(double x) { return x * between(x / 6 + 0.5, 0, 1); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static const struct {
    const char *name;
    double (*value)(double x);
} functions[] = { { "LeakyRelu", leaky_relu }, { "HardSigmoid", hard_sigmoid }, { "HardSwish", hard_swish },
                  { "Sigmoid", sigmoid }, { "Tanh", tanh } };
enum { FUNCTIONS = sizeof functions / sizeof *functions };

static void functions_of_real_numbers(void **state)
{
    (void)state;
    for (int k = 0; k < FUNCTIONS; k++)
        for (int wide = 0; wide < 2; wide++) {
            op_case c;
            case_begin(&c, functions[k].name, 60);
            octet_tensor *in = case_input(&c, wide ? OCTET_F64 : OCTET_F32, DIMS(700));
            for (int i = 0; i < 700; i++) {
                const float x = (float)(i - 350) / 40.0f;
                if (wide) ((double *)in->data)[i] = x;
                else ((float *)in->data)[i] = x;
            }
            case_prepare(&c, 1, NULL, false);
            case_run(&c, false);
            for (int i = 0; i < 700; i++) {
                const float  x = (float)(i - 350) / 40.0f;
                const double want = functions[k].value(x);
                const double got = wide ? ((double *)c.out[0].data)[i] : (double)((float *)c.out[0].data)[i];
                /* float: a few roundings of 6e-8 of x or of the result; double: the C library is right to 1e-15 */
                if (fabs(got - want) > (wide ? 1e-14 : 4e-7) * (fabs(want) + 0.1 + 0.1 * fabs(x)))
                    fail_msg("%s(%g): %.17g, want %.17g", functions[k].name, x, got, want);
            }
            case_end(&c);
        }
}

static void functions_of_levels_are_tables(void **state)
{
    (void)state;
    const octet_dtype types[] = { OCTET_U8, OCTET_I8, OCTET_I16 };
    for (int k = 0; k < FUNCTIONS; k++)
        for (int t = 0; t < 3; t++) {
            op_case c;
            case_begin(&c, functions[k].name, 70 + (uint64_t)t);
            const octet_tensor  *in = case_random_levels(&c, types[t], DIMS(1000), 1, 0);
            const octet_qparams *to = case_qparams(&c, OCTET_U8, 3, 250, 1, 0);
            case_prepare(&c, 1, to, true);
            case_run(&c, true);
            for (int i = 0; i < 1000; i++) {
                const float x = (float)(case_level(in, i) - in->qparams->zero_point[0]) * in->qparams->scale[0];
                const float y = (float)functions[k].value(x);
                assert_int_equal(case_level(&c.out[0], i), case_round(y / to->scale[0], to));
            }
            case_end(&c);
        }
}

static void clip_of_levels_compares(void **state)
{
    (void)state;
    for (int equal = 0; equal < 2; equal++) {
        op_case c;
        case_begin(&c, "Clip", 80);
        const octet_tensor *in = case_random_levels(&c, OCTET_U8, DIMS(600), 1, 0);
        *(float *)case_input(&c, OCTET_F32, DIMS(-1))->data = -0.3f;
        *(float *)case_input(&c, OCTET_F32, DIMS(-1))->data = 0.9f;
        const octet_qparams *from = in->qparams, *to = equal ? from : case_qparams(&c, OCTET_U8, 0, 255, 1, 0);
        case_prepare(&c, 1, to, true);
        case_run(&c, true);
        const int32_t lo = case_round(-0.3f / to->scale[0], to), hi = case_round(0.9f / to->scale[0], to);
        for (int i = 0; i < 600; i++) {
            const float   q = (float)(case_level(in, i) - from->zero_point[0]);
            const int32_t t = equal ? case_level(in, i)
                                    : case_round(q * (float)((double)from->scale[0] / to->scale[0]), to);
            assert_int_equal(case_level(&c.out[0], i), t < lo ? lo : t > hi ? hi : t);
        }
        case_end(&c);
    }
}

static void clip_of_unsigned_integers(void **state)
{
    (void)state;
    op_case        c;
    const uint64_t x[] = { 0, 5, UINT64_MAX, (uint64_t)1 << 63 };
    case_begin(&c, "Clip", 81);
    memcpy(case_input(&c, OCTET_U64, DIMS(4))->data, x, sizeof x);
    *(uint64_t *)case_input(&c, OCTET_U64, DIMS(-1))->data = 3;
    *(uint64_t *)case_input(&c, OCTET_U64, DIMS(-1))->data = UINT64_MAX - 1;
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    const uint64_t want[] = { 3, 5, UINT64_MAX - 1, (uint64_t)1 << 63 };
    assert_memory_equal(c.out[0].data, want, sizeof want);
    case_end(&c);
}

/* ---- Cast ---- */

static void cast_saturates_without_undefined_behaviour(void **state)
{
    (void)state;
    const float   x[] = { 1.9f, -1.9f, 300.0f, -1e30f, 1e30f, NAN, INFINITY };
    const int64_t want[][7] = { { 1, 0, 255, 0, 255, 0, 255 },
                                { 1, -1, 127, -128, 127, 0, 127 },
                                { 1, -1, 300, INT64_MIN, INT64_MAX, 0, INT64_MAX },
                                { 1, 1, 1, 1, 1, 1, 1 } };
    const int         onnx[] = { 2, 3, 7, 9 };
    for (int k = 0; k < 4; k++) {
        op_case c;
        case_begin(&c, "Cast", 90);
        memcpy(case_input(&c, OCTET_F32, DIMS(7))->data, x, sizeof x);
        case_set_int(&c, "to", onnx[k]);
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        for (int i = 0; i < 7; i++) {
            const int64_t got = onnx[k] == 7   ? ((int64_t *)c.out[0].data)[i]
                                : onnx[k] == 3 ? ((int8_t *)c.out[0].data)[i]
                                               : ((uint8_t *)c.out[0].data)[i];
            assert_int_equal(got, want[k][i]);
        }
        case_end(&c);
    }
}

/* Every half goes to float and back unchanged; between two halves the nearer one wins, ties go to even. */
static void cast_half_both_ways(void **state)
{
    (void)state;
    op_case c, back;
    case_begin(&c, "Cast", 91);
    octet_tensor *halves = case_input(&c, OCTET_F16, DIMS(0x7c01));
    for (int i = 0; i <= 0x7c00; i++) ((uint16_t *)halves->data)[i] = (uint16_t)i;
    case_set_int(&c, "to", 1);
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    const float *const real = c.out[0].data;
    assert_true(real[1] == 0x1p-24f && real[0x3c00] == 1.0f && real[0x7bff] == 65504.0f && isinf(real[0x7c00]));
    case_begin(&back, "Cast", 92);
    octet_tensor *between_two = case_input(&back, OCTET_F32, DIMS(3, 0x7bff));
    for (int i = 0; i < 0x7bff; i++) {
        const float middle = (real[i] + real[i + 1]) / 2.0f;
        ((float *)between_two->data)[i] = real[i];
        ((float *)between_two->data)[0x7bff + i] = -middle;
        ((float *)between_two->data)[2 * 0x7bff + i] = nextafterf(middle, INFINITY);
    }
    case_set_int(&back, "to", 10);
    case_prepare(&back, 1, NULL, false);
    case_run(&back, false);
    const uint16_t *const half = back.out[0].data;
    for (int i = 0; i < 0x7bff; i++) {
        assert_int_equal(half[i], i);
        assert_int_equal(half[0x7bff + i], 0x8000 | (i + (i & 1)));
        assert_int_equal(half[2 * 0x7bff + i], i + 1);
    }
    case_end(&back);
    case_end(&c);
}

/* ---- QuantizeLinear, DequantizeLinear ---- */

static void quantize_per_axis_saturates(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "QuantizeLinear", 95);
    const octet_tensor *x = case_random_f32(&c, DIMS(2, 3, 50));
    octet_tensor       *scale = case_input(&c, OCTET_F32, DIMS(3)), *zero = case_input(&c, OCTET_I8, DIMS(3));
    for (int i = 0; i < 3; i++) {
        ((float *)scale->data)[i] = 0.004f * (float)(i + 1);
        ((int8_t *)zero->data)[i] = (int8_t)(20 * i - 30);
    }
    ((float *)x->data)[7] = NAN;
    ((float *)x->data)[8] = -INFINITY;
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    for (int i = 0; i < 300; i++) {
        const int   ch = i / 50 % 3;
        const float value = ((float *)x->data)[i];
        double      want = nearbyint(value / ((float *)scale->data)[ch]) + 20 * ch - 30;
        want = isnan(value) ? 20 * ch - 30 : between(want, -128, 127);
        assert_int_equal(((int8_t *)c.out[0].data)[i], (int)want);
    }
    case_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_arithmetic_broadcasts),
        cmocka_unit_test(integer_arithmetic_wraps_and_never_traps),
        cmocka_unit_test(unsigned_division_of_large_numbers),
        cmocka_unit_test(least_of_unordered_numbers),
        cmocka_unit_test(arithmetic_of_levels),
        cmocka_unit_test(add_to_the_sums_of_a_convolution),
        cmocka_unit_test(functions_of_real_numbers),
        cmocka_unit_test(functions_of_levels_are_tables),
        cmocka_unit_test(clip_of_levels_compares),
        cmocka_unit_test(clip_of_unsigned_integers),
        cmocka_unit_test(cast_saturates_without_undefined_behaviour),
        cmocka_unit_test(cast_half_both_ways),
        cmocka_unit_test(quantize_per_axis_saturates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
