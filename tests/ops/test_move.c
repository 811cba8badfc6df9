/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that move elements, for element sizes 1 to 8, against index formulas written out here; and what they do
   to levels whose output has other parameters. */
#include "case.h"

static const octet_dtype types[] = { OCTET_U8, OCTET_I16, OCTET_F32, OCTET_F64, OCTET_BOOL };
enum { TYPES = sizeof types / sizeof *types };

static octet_tensor *random_input(op_case *c, octet_dtype dtype, const int64_t *dims)
{
    octet_tensor  *t = case_input(c, dtype, dims);
    unsigned char *bytes = t->data;
    for (int64_t i = 0; i < octet_tensor_bytes(t); i++) bytes[i] = (unsigned char)case_random(c);
    return t;
}

static void same_element(const octet_tensor *out, int64_t at, const octet_tensor *in, int64_t from)
{
    const size_t size = octet_dtype_size(in->dtype);
    if (memcmp((char *)out->data + (size_t)at * size, (char *)in->data + (size_t)from * size, size) != 0)
        fail_msg("element %lld is not element %lld of the input", (long long)at, (long long)from);
}

static void transpose_reverses_any_type(void **state)
{
    (void)state;
    for (int k = 0; k < TYPES; k++) {
        op_case c;
        case_begin(&c, "Transpose", 1);
        const octet_tensor *in = random_input(&c, types[k], DIMS(3, 4, 5));
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        assert_int_equal(c.out[0].dims[0], 5);
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 4; j++)
                for (int l = 0; l < 5; l++) same_element(&c.out[0], (l * 4 + j) * 3 + i, in, (i * 4 + j) * 5 + l);
        case_end(&c);
    }
}

static void depth_to_space_in_both_orders(void **state)
{
    (void)state;
    for (int crd = 0; crd < 2; crd++) {
        op_case c;
        case_begin(&c, "DepthToSpace", 2);
        const octet_tensor *in = random_input(&c, OCTET_F32, DIMS(2, 12, 3, 5));
        case_set_int(&c, "blocksize", 2);
        case_set_string(&c, "mode", crd ? "CRD" : "DCR");
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        for (int n = 0; n < 2; n++)
            for (int ch = 0; ch < 3; ch++)
                for (int y = 0; y < 6; y++)
                    for (int x = 0; x < 10; x++) {
                        const int block = y % 2 * 2 + x % 2, depth = crd ? ch * 4 + block : block * 3 + ch;
                        same_element(&c.out[0], ((n * 3 + ch) * 6 + y) * 10 + x, in,
                                     ((n * 12 + depth) * 3 + y / 2) * 5 + x / 2);
                    }
        case_end(&c);
    }
}

static void slice_walks_backwards_and_clamps(void **state)
{
    (void)state;
    for (int k = 0; k < TYPES; k++) {
        op_case c;
        case_begin(&c, "Slice", 3);
        const octet_tensor *in = random_input(&c, types[k], DIMS(4, 6, 7));
        INTS(&c, -1, 1);
        INTS(&c, INT64_MIN, 1000);
        INTS(&c, 1, -1);
        INTS(&c, -2, 3);
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        assert_int_equal(c.out[0].dims[1], 3); /* 5, 3, 1 */
        assert_int_equal(c.out[0].dims[2], 2); /* 1, 4 */
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 3; j++)
                for (int l = 0; l < 2; l++)
                    same_element(&c.out[0], (i * 3 + j) * 2 + l, in, (i * 6 + 5 - 2 * j) * 7 + 1 + 3 * l);
        case_end(&c);
    }
}

static void slice_survives_extreme_steps(void **state)
{
    (void)state;
    const int64_t steps[] = { INT64_MIN, INT64_MAX, -1 };
    for (int k = 0; k < 3; k++) {
        op_case c;
        case_begin(&c, "Slice", 4);
        random_input(&c, OCTET_F32, DIMS(3, 4));
        INTS(&c, k == 1 ? INT64_MIN : INT64_MAX);
        INTS(&c, k == 1 ? INT64_MAX : INT64_MIN);
        INTS(&c, 1);
        case_ints(&c, 1, &steps[k]);
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        assert_int_equal(c.out[0].dims[1], k == 2 ? 4 : 1);
        case_end(&c);
    }
}

static void split_in_parts_and_evenly(void **state)
{
    (void)state;
    for (int listed = 0; listed < 2; listed++) {
        const int sizes[2][3] = { { 2, 2, 2 }, { 3, 1, 2 } };
        op_case   c;
        case_begin(&c, "Split", 5);
        const octet_tensor *in = random_input(&c, OCTET_I16, DIMS(2, 6, 3));
        if (listed) INTS(&c, 3, 1, 2);
        case_set_int(&c, "axis", -2);
        case_prepare(&c, 3, NULL, false);
        case_run(&c, false);
        for (int p = 0, start = 0; p < 3; start += sizes[listed][p++]) {
            assert_int_equal(c.out[p].dims[1], sizes[listed][p]);
            for (int i = 0; i < 2; i++)
                for (int j = 0; j < sizes[listed][p]; j++)
                    for (int l = 0; l < 3; l++)
                        same_element(&c.out[p], (i * sizes[listed][p] + j) * 3 + l, in, (i * 6 + start + j) * 3 + l);
        }
        case_end(&c);
    }
}

/* Where a padded place looks, one step at a time; -1: nowhere. */
static int looks_at(int at, int n, const char *mode)
{
    if (mode[0] == 'c') return at < 0 || at >= n ? -1 : at;
    if (mode[0] == 'e') return at < 0 ? 0 : at >= n ? n - 1 : at;
    while (at < 0 || at >= n) at = at < 0 ? -at : 2 * (n - 1) - at;
    return at;
}

static void pad_in_every_mode(void **state)
{
    (void)state;
    const char *const modes[] = { "constant", "edge", "reflect" };
    for (int k = 0; k < 3; k++) {
        op_case c;
        case_begin(&c, "Pad", 6);
        const octet_tensor *in = case_random_f32(&c, DIMS(2, 3, 4));
        INTS(&c, 0, 2, 5, 1, -1, 1); /* the middle axis loses its last entry */
        ((float *)case_input(&c, OCTET_F32, DIMS(-1))->data)[0] = 7.5f;
        case_set_string(&c, "mode", modes[k]);
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        const float *const x = in->data, *const y = c.out[0].data;
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 4; j++)
                for (int l = 0; l < 10; l++) {
                    const int a = looks_at(i, 2, modes[k]), b = looks_at(j - 2, 2, modes[k]),
                              d = looks_at(l - 5, 4, modes[k]);
                    const float want = a < 0 || b < 0 || d < 0 ? 7.5f : x[(a * 3 + b) * 4 + d];
                    if (y[(i * 4 + j) * 10 + l] != want) fail_msg("%s at %d %d %d", modes[k], i, j, l);
                }
        case_end(&c);
    }
}

static void gather_with_negative_indices(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "Gather", 7);
    const octet_tensor *in = random_input(&c, OCTET_F32, DIMS(2, 5, 3));
    const int64_t       picks[] = { 4, -5, -1, 0 };
    INTS(&c, 4, -5, -1, 0);
    case_set_int(&c, "axis", 1);
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 4; j++)
            for (int l = 0; l < 3; l++)
                same_element(&c.out[0], (i * 4 + j) * 3 + l, in, (i * 5 + (picks[j] + 5) % 5) * 3 + l);
    ((int64_t *)c.in[1].data)[2] = 5; /* what infer accepted may have changed by the time of the run */
    assert_int_equal(c.node.op->forward(&c.call, &c.err), OCTET_ERR_SHAPE);
    assert_string_equal(c.err.field, "indices");
    case_end(&c);
}

static void moved_levels_take_the_outputs_parameters(void **state)
{
    (void)state;
    const octet_dtype to_types[] = { OCTET_U8, OCTET_I8, OCTET_I16 };
    for (int k = 0; k < 4; k++) {
        op_case c;
        case_begin(&c, "Transpose", 8 + (uint64_t)k);
        const octet_tensor  *in = case_random_levels(&c, OCTET_U8, DIMS(4, 6), 1, 0);
        const octet_qparams *from = in->qparams;
        const octet_qparams *to = k == 3 ? NULL : case_qparams(&c, to_types[k], k == 0 ? 0 : -100, 127, 1, 0);
        case_prepare(&c, 1, to, true);
        case_run(&c, true);
        for (int i = 0; i < 24; i++) {
            const int   q = case_level(in, i % 4 * 6 + i / 4) - from->zero_point[0];
            const float m = to ? (float)((double)from->scale[0] / to->scale[0]) : from->scale[0];
            if (to)
                assert_int_equal(case_level(&c.out[0], i), case_round((float)q * m, to));
            else
                assert_true(((float *)c.out[0].data)[i] == (float)q * m);
        }
        case_end(&c);
    }
}

static void concat_copies_and_rescales(void **state)
{
    (void)state;
    for (int real = 0; real < 2; real++) {
        op_case c;
        case_begin(&c, "Concat", 20);
        const octet_tensor  *a = case_random_levels(&c, OCTET_U8, DIMS(2, 3, 300), 1, 0);
        const octet_tensor  *b = case_random_levels(&c, OCTET_I8, DIMS(2, 1, 300), 1, 0);
        const octet_qparams *to = real ? NULL : a->qparams;
        case_set_int(&c, "axis", 1);
        case_prepare(&c, 1, to, true);
        case_run(&c, true);
        for (int i = 0; i < 2 * 4 * 300; i++) {
            const int            row = i / 300, n = row / 4, k = row % 4;
            const octet_tensor  *in = k < 3 ? a : b;
            const int            at = k < 3 ? (n * 3 + k) * 300 + i % 300 : n * 300 + i % 300;
            const octet_qparams *from = in->qparams;
            const int            q = case_level(in, at) - from->zero_point[0];
            if (real)
                assert_true(((float *)c.out[0].data)[i] == (float)q * from->scale[0]);
            else if (k < 3)
                assert_int_equal(case_level(&c.out[0], i), case_level(a, at));
            else
                assert_int_equal(case_level(&c.out[0], i),
                                 case_round((float)q * (float)((double)from->scale[0] / to->scale[0]), to));
        }
        case_end(&c);
    }
}

static void pads_of_levels_are_the_zero_point(void **state)
{
    (void)state;
    for (int given = 0; given < 2; given++) {
        op_case c;
        case_begin(&c, "Pad", 30);
        const octet_tensor *in = case_random_levels(&c, OCTET_U8, DIMS(3), 1, 0);
        INTS(&c, 1, 1);
        if (given) case_random_f32(&c, DIMS(-1));
        case_prepare(&c, 1, in->qparams, true);
        case_run(&c, true);
        const float value = given ? *(float *)c.in[2].data : 0.0f;
        assert_int_equal(case_level(&c.out[0], 0), case_round(value / in->qparams->scale[0], in->qparams));
        assert_int_equal(case_level(&c.out[0], 3), case_level(in, 2));
        assert_int_equal(case_level(&c.out[0], 4), case_level(&c.out[0], 0));
        case_end(&c);
    }
}

static void reshape_finds_the_open_dimension(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "Reshape", 31);
    const octet_tensor *in = random_input(&c, OCTET_F64, DIMS(2, 3, 4));
    INTS(&c, 0, -1, 2, 1);
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    const int64_t want[] = { 2, 6, 2, 1 };
    for (int i = 0; i < 4; i++) assert_int_equal(c.out[0].dims[i], want[i]);
    assert_memory_equal(c.out[0].data, in->data, 24 * sizeof(double));
    ((int64_t *)c.in[1].data)[2] = 4; /* another shape than planned */
    assert_int_equal(c.node.op->forward(&c.call, &c.err), OCTET_ERR_ARGUMENT);
    case_end(&c);
}

/* In mode CRD, a channel's blocks follow each other. */
static void test_space_by_channels(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "SpaceToDepth", 3);
    const float *const x = case_random_f32(&c, DIMS(2, 3, 4, 6))->data;
    case_set_int(&c, "blocksize", 2);
    case_set_string(&c, "mode", "CRD");
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    for (int at = 0; at < 2 * 3 * 4 * 6; at++) { /* the input's element */
        const int n = at / 72, channel = at / 24 % 3, row = at / 6 % 4, column = at % 6;
        const int block = channel * 4 + row % 2 * 2 + column % 2;
        assert_true(((float *)c.out[0].data)[((n * 12 + block) * 2 + row / 2) * 3 + column / 2] == x[at]);
    }
    case_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_space_by_channels),
        cmocka_unit_test(transpose_reverses_any_type),
        cmocka_unit_test(depth_to_space_in_both_orders),
        cmocka_unit_test(slice_walks_backwards_and_clamps),
        cmocka_unit_test(slice_survives_extreme_steps),
        cmocka_unit_test(split_in_parts_and_evenly),
        cmocka_unit_test(pad_in_every_mode),
        cmocka_unit_test(gather_with_negative_indices),
        cmocka_unit_test(moved_levels_take_the_outputs_parameters),
        cmocka_unit_test(concat_copies_and_rescales),
        cmocka_unit_test(pads_of_levels_are_the_zero_point),
        cmocka_unit_test(reshape_finds_the_open_dimension),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
