/* SPDX-License-Identifier: Apache-2.0 */
/* Resize: linear real tensors against the sum over all corners, levels against the rule of docs/arithmetic.md, nearest
   as a copy. ONNX's own cases cover the modes one by one. */
#include "case.h"

/* Half-pixel place x of n original entries, at twice or 1.5 times the size. */
static double origin(int x, double scale) { return (x + 0.5) / scale - 0.5; }
static int    clamped(int x, int n) { return x < 0 ? 0 : x >= n ? n - 1 : x; }

static void begin(op_case *c, const char *mode, uint64_t seed)
{
    case_begin(c, "Resize", seed);
    case_set_string(c, "mode", mode);
}

static void add_scales(op_case *c, int count, const float *scales)
{
    case_absent(c);
    memcpy(case_input(c, OCTET_F32, DIMS(count))->data, scales, (size_t)count * sizeof *scales);
}

/* One place of a [3, 4, 5] block, trilinear. */
static double trilinear(const float *x, double a, double b, double d)
{
    const double at[3] = { a, b, d };
    const int    n[3] = { 3, 4, 5 };
    double       sum = 0;
    for (int corner = 0; corner < 8; corner++) {
        double weight = 1;
        int    place = 0;
        for (int i = 0; i < 3; i++) {
            const int below = (int)floor(at[i]), up = corner >> i & 1;
            weight *= up ? at[i] - below : 1 - (at[i] - below);
            place = place * n[i] + clamped(below + up, n[i]);
        }
        sum += weight * (double)x[place];
    }
    return sum;
}

static void linear_over_three_axes(void **state)
{
    (void)state;
    op_case c;
    begin(&c, "linear", 1);
    const float *x = case_random_f32(&c, DIMS(2, 3, 4, 5))->data;
    add_scales(&c, 4, (float[]){ 1.0f, 2.0f, 1.5f, 0.8f });
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    const int64_t want[] = { 2, 6, 6, 4 };
    for (int i = 0; i < 4; i++) assert_int_equal(c.out[0].dims[i], want[i]);
    for (int i = 0; i < 2 * 6 * 6 * 4; i++) {
        const double v = trilinear(x + i / 144 * 60, origin(i / 24 % 6, 2.0), origin(i / 4 % 6, 1.5),
                                   origin(i % 4, (double)0.8f));
        if (fabs((double)((float *)c.out[0].data)[i] - v) > 1e-6) fail_msg("element %d", i); /* x is below 1.6 */
    }
    case_end(&c);
}

/* The rule: in float32, the last axis first, w0*x0 + w1*x1; then one rescaling. */
static void bilinear_levels_follow_the_rule(void **state)
{
    (void)state;
    op_case c;
    begin(&c, "linear", 2);
    const octet_tensor  *in = case_random_levels(&c, OCTET_U8, DIMS(1, 2, 5, 7), 1, 0);
    const octet_qparams *to = case_qparams(&c, OCTET_I8, -120, 127, 1, 0);
    add_scales(&c, 4, (float[]){ 1.0f, 1.0f, 2.0f, 2.0f });
    case_prepare(&c, 1, to, true);
    case_run(&c, true);
    const float m = (float)((double)in->qparams->scale[0] / to->scale[0]);
    for (int i = 0; i < 2 * 10 * 14; i++) {
        const double y = origin(i / 14 % 10, 2.0), x = origin(i % 14, 2.0);
        float        row[2];
        for (int r = 0; r < 2; r++) {
            const int base = i / 140 * 35 + clamped((int)floor(y) + r, 5) * 7;
            const int left = clamped((int)floor(x), 7), right = clamped((int)floor(x) + 1, 7);
            const float a = (float)(case_level(in, base + left) - in->qparams->zero_point[0]);
            const float b = (float)(case_level(in, base + right) - in->qparams->zero_point[0]);
            row[r] = (float)(1 - (x - floor(x))) * a + (float)(x - floor(x)) * b;
        }
        const float sum = (float)(1 - (y - floor(y))) * row[0] + (float)(y - floor(y)) * row[1];
        assert_int_equal(case_level(&c.out[0], i), case_round(sum * m, to));
    }
    case_end(&c);
}

static void nearest_copies_levels(void **state)
{
    (void)state;
    for (int equal = 0; equal < 2; equal++) {
        op_case c;
        begin(&c, "nearest", 3);
        const octet_tensor  *in = case_random_levels(&c, OCTET_I8, DIMS(1, 3, 4, 4), 1, 0);
        const octet_qparams *to = equal ? in->qparams : case_qparams(&c, OCTET_I16, -2000, 2000, 1, 0);
        case_set_string(&c, "coordinate_transformation_mode", "asymmetric");
        case_set_string(&c, "nearest_mode", "floor");
        add_scales(&c, 4, (float[]){ 1.0f, 1.0f, 3.0f, 2.0f });
        case_prepare(&c, 1, to, true);
        case_run(&c, true);
        for (int i = 0; i < 3 * 12 * 8; i++) {
            const int32_t q = case_level(in, i / 96 * 16 + i / 8 % 12 / 3 * 4 + i % 8 / 2);
            const float   m = (float)((double)in->qparams->scale[0] / to->scale[0]);
            assert_int_equal(case_level(&c.out[0], i),
                             equal ? q : case_round((float)(q - in->qparams->zero_point[0]) * m, to));
        }
        case_end(&c);
    }
}

/* Types other than float32 are interpolated in double. */
static void linear_of_other_types(void **state)
{
    (void)state;
    const octet_dtype types[] = { OCTET_F64, OCTET_I32, OCTET_U8 };
    for (int k = 0; k < 3; k++) {
        op_case c;
        begin(&c, "linear", 4);
        octet_tensor *in = case_input(&c, types[k], DIMS(2));
        if (k == 0) memcpy(in->data, (double[]){ 0.0, 100.0 }, 16);
        else if (k == 1) memcpy(in->data, (int32_t[]){ 0, 100 }, 8);
        else memcpy(in->data, (uint8_t[]){ 0, 100 }, 2);
        add_scales(&c, 1, (float[]){ 2.0f });
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        const int want[] = { 0, 25, 75, 100 };
        for (int i = 0; i < 4; i++)
            assert_int_equal(k == 0   ? (int)((double *)c.out[0].data)[i]
                             : k == 1 ? ((int32_t *)c.out[0].data)[i]
                                      : ((uint8_t *)c.out[0].data)[i],
                             want[i]);
        case_end(&c);
    }
}

/* 0.7f * 10 is 7 in float32, as ONNX's shape inference finds, and 6.99... in double. */
static void lengths_are_found_in_float(void **state)
{
    (void)state;
    op_case c;
    begin(&c, "nearest", 5);
    case_random_f32(&c, DIMS(10));
    add_scales(&c, 1, (float[]){ 0.7f });
    case_prepare(&c, 1, NULL, false);
    assert_int_equal(c.out[0].dims[0], 7);
    case_end(&c);
}

/* ---- what opsets 18 and 19 added; the numbers are those of ONNX's documentation ---- */

static void check_numbers(op_case *c, const float *want, const int64_t *dims)
{
    int64_t count = 1;
    case_prepare(c, 1, NULL, false);
    case_run(c, false);
    for (int i = 0; dims[i] >= 0; i++) {
        assert_int_equal(c->out[0].dims[i], dims[i]);
        count *= dims[i];
    }
    for (int64_t i = 0; i < count; i++) {
        const float got = ((const float *)c->out[0].data)[i];
        if (fabsf(got - want[i]) > 2e-6f * fabsf(want[i])) fail_msg("element %d: %.9g", (int)i, (double)got);
    }
    case_end(c);
}

/* 1, 2, 3, ... in two last axes of n entries. */
static void begin_square(op_case *c, const char *mode, int64_t height, int64_t width)
{
    begin(c, mode, 1);
    float *const x = case_input(c, OCTET_F32, DIMS(1, 1, height, width))->data;
    for (int64_t i = 0; i < height * width; i++) x[i] = (float)(i + 1);
}

static void antialias(void **state)
{
    (void)state;
    op_case c;
    begin_square(&c, "linear", 4, 4);
    case_set_int(&c, "antialias", 1);
    add_scales(&c, 4, (float[]){ 1, 1, 0.6f, 0.6f });
    check_numbers(&c, (float[]){ 2.875f, 4.5f, 9.375f, 11.0f }, DIMS(1, 1, 2, 2));
    begin_square(&c, "cubic", 4, 4);
    case_set_int(&c, "antialias", 1);
    add_scales(&c, 4, (float[]){ 1, 1, 0.6f, 0.6f });
    check_numbers(&c, (float[]){ 2.5180721f, 4.2858863f, 9.589329f, 11.357142f }, DIMS(1, 1, 2, 2));
}

static void half_pixel_symmetric(void **state)
{
    (void)state;
    op_case c;
    begin_square(&c, "linear", 1, 4);
    case_set_string(&c, "coordinate_transformation_mode", "half_pixel_symmetric");
    add_scales(&c, 4, (float[]){ 1, 1, 1, 0.6f });
    check_numbers(&c, (float[]){ 1.6666667f, 3.3333333f }, DIMS(1, 1, 1, 2));
}

static void aspect_ratio(void **state)
{
    (void)state;
    static const char *const policies[] = { "not_larger", "not_smaller", "stretch" };
    static const int64_t     want[][2] = { { 7, 7 }, { 8, 8 }, { 7, 8 } };
    for (int i = 0; i < 3; i++) {
        op_case c;
        begin_square(&c, "nearest", 2, 2);
        case_set_string(&c, "keep_aspect_ratio_policy", policies[i]);
        case_set_ints(&c, "axes", 2, (const int64_t[]){ 2, -1 });
        case_absent(&c);
        case_absent(&c);
        INTS(&c, 7, 8);
        assert_int_equal(case_infer(&c, 1), OCTET_OK);
        assert_int_equal(c.out[0].dims[1], 1);
        for (int k = 0; k < 2; k++) assert_int_equal(c.out[0].dims[2 + k], want[i][k]);
        case_end(&c);
    }
}

static void axes_are_named_once(void **state)
{
    (void)state;
    op_case c;
    begin_square(&c, "linear", 2, 3); /* the last axis first: 3 becomes 6, 2 stays */
    case_set_ints(&c, "axes", 1, (const int64_t[]){ 3 });
    add_scales(&c, 1, (float[]){ 2 });
    check_numbers(&c, (float[]){ 1, 1.25f, 1.75f, 2.25f, 2.75f, 3, 4, 4.25f, 4.75f, 5.25f, 5.75f, 6 },
                  DIMS(1, 1, 2, 6));
    begin_square(&c, "linear", 2, 3);
    case_set_ints(&c, "axes", 2, (const int64_t[]){ 3, -1 });
    add_scales(&c, 2, (float[]){ 2, 2 });
    assert_int_not_equal(case_infer(&c, 1), OCTET_OK);
    assert_string_equal(c.err.field, "axes");
    case_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_over_three_axes),
        cmocka_unit_test(bilinear_levels_follow_the_rule),
        cmocka_unit_test(nearest_copies_levels),
        cmocka_unit_test(linear_of_other_types),
        cmocka_unit_test(lengths_are_found_in_float),
        cmocka_unit_test(antialias),
        cmocka_unit_test(half_pixel_symmetric),
        cmocka_unit_test(aspect_ratio),
        cmocka_unit_test(axes_are_named_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
