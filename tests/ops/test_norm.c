/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizations against their formulas, written out over coordinates: real numbers, levels, and what infer refuses. */
#include "ops/case.h"

#include "ops/attrs.h"

enum { N = 2, C = 4, H = 3, W = 5, COUNT = N * C * H * W };
static const int64_t shape[] = { N, C, H, W, -1 };

/* One operator: whether elements a and b are normalized together, and which entry of its parameters a reads. */
typedef struct norm_case {
    const char *op;
    int64_t     axis, groups, entries[3]; /* of a parameter, ended by -1 */
    int         parameters;
    bool        centred;
} norm_case;

static const norm_case norms[] = {
    { "LayerNormalization", -1, 0, { W, -1 }, 2, true },      { "LayerNormalization", 2, 0, { H, W, -1 }, 1, true },
    { "LayerNormalization", 0, 0, { W, -1 }, 2, true },       { "RMSNormalization", 3, 0, { W, -1 }, 1, false },
    { "RMSNormalization", -2, 0, { H, W, -1 }, 1, false },    { "InstanceNormalization", 0, 0, { C, -1 }, 2, true },
    { "GroupNormalization", 0, 2, { C, -1 }, 2, true },       { "GroupNormalization", 0, 1, { C, -1 }, 2, true },
};
enum { NORMS = sizeof norms / sizeof *norms };

static bool by_channel(const norm_case *n) { return n->entries[0] == C; }

/* The number of the row that element i belongs to. */
static int64_t row_of(const norm_case *n, int64_t i)
{
    const int64_t image = i / (C * H * W), channel = i / (H * W) % C;
    if (n->groups) return image * n->groups + channel / (C / n->groups);
    if (by_channel(n)) return image * C + channel;
    const int64_t axis = n->axis < 0 ? n->axis + 4 : n->axis;
    return axis == 0 ? 0 : axis == 2 ? i / (H * W) : i / W;
}

static double parameter_at(const norm_case *n, const octet_tensor *p, int64_t i)
{
    const int64_t column = i % W, line = i / W % H, channel = i / (H * W) % C;
    const int64_t at = by_channel(n) ? channel : n->entries[1] == W ? line * W + column : column;
    return (double)((const float *)p->data)[at];
}

static double statistic(const norm_case *n, const double *x, int64_t i, bool variance)
{
    double sum = 0, count = 0;
    double mean = variance && n->centred ? statistic(n, x, i, false) : 0;
    for (int64_t k = 0; k < COUNT; k++) {
        if (row_of(n, k) != row_of(n, i)) continue;
        sum += variance ? (x[k] - mean) * (x[k] - mean) : x[k];
        count++;
    }
    return sum / count;
}

static double expected(const norm_case *n, const op_case *c, const double *x, int64_t i)
{
    const double mean = n->centred ? statistic(n, x, i, false) : 0;
    const double y = (x[i] - mean) / sqrt(statistic(n, x, i, true) + (double)1e-3f) * parameter_at(n, &c->in[1], i);
    return y + (n->parameters > 1 ? parameter_at(n, &c->in[2], i) : 0);
}

static void begin(op_case *c, const norm_case *n, bool levels)
{
    case_begin(c, n->op, 77);
    octet_norm_attrs *const a = c->node.attrs;
    a->axis = n->axis;
    a->num_groups = n->groups;
    a->epsilon = 1e-3f;
    if (levels)
        case_random_levels(c, OCTET_U8, shape, 1, 0);
    else
        case_random_f32(c, shape);
    for (int k = 0; k < n->parameters; k++) case_random_f32(c, n->entries);
}

static void test_real(void **state)
{
    (void)state;
    for (int k = 0; k < NORMS; k++) {
        op_case c;
        double  x[COUNT];
        begin(&c, &norms[k], false);
        for (int i = 0; i < COUNT; i++) x[i] = (double)((float *)c.in[0].data)[i];
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        for (int i = 0; i < COUNT; i++)
            assert_true(fabs((double)((float *)c.out[0].data)[i] - expected(&norms[k], &c, x, i)) < 1e-5);
        case_end(&c);
    }
}

/* Exact sums of levels, so the formula on dequantized numbers gives the level but for rounding of the last bit of a
   double: no case here lies that near to a tie. */
static void test_levels(void **state)
{
    (void)state;
    for (int k = 0; k < NORMS; k++) {
        op_case c;
        double  x[COUNT];
        begin(&c, &norms[k], true);
        const octet_qparams *const from = c.in[0].qparams, *const to = case_qparams(&c, OCTET_I8, -128, 127, 1, 0);
        for (int i = 0; i < COUNT; i++)
            x[i] = (case_level(&c.in[0], i) - from->zero_point[0]) * (double)from->scale[0];
        case_prepare(&c, 1, to, true);
        case_run(&c, true);
        for (int i = 0; i < COUNT; i++) {
            double level = case_rne((double)((float)expected(&norms[k], &c, x, i) / to->scale[0])) + to->zero_point[0];
            assert_true(case_level(&c.out[0], i) == (int64_t)fmin(fmax(level, -128), 127));
        }
        case_end(&c);
    }
}

static void test_statistics(void **state)
{
    (void)state;
    op_case c;
    double  x[COUNT];
    begin(&c, &norms[1], false);
    for (int i = 0; i < COUNT; i++) x[i] = (double)((float *)c.in[0].data)[i];
    case_prepare(&c, 3, NULL, false);
    case_run(&c, false);
    assert_int_equal(octet_tensor_count(&c.out[1]), N * C);
    assert_int_equal(c.out[2].rank, 4);
    for (int row = 0; row < N * C; row++) {
        const int64_t first = row * H * W;
        const double  variance = statistic(&norms[1], x, first, true);
        assert_true(fabs((double)((float *)c.out[1].data)[row] - statistic(&norms[1], x, first, false)) < 1e-6);
        assert_true(fabs((double)((float *)c.out[2].data)[row] - 1 / sqrt(variance + (double)1e-3f)) < 1e-5);
    }
    case_end(&c);
}

static void refuse(const norm_case *n, const char *field, void (*spoil)(op_case *c))
{
    op_case c;
    begin(&c, n, false);
    spoil(&c);
    assert_int_not_equal(case_infer(&c, 1), OCTET_OK);
    assert_string_equal(c.err.field, field);
    case_end(&c);
}

static octet_norm_attrs *attrs_of(op_case *c) { return c->node.attrs; }
static void spoil_epsilon(op_case *c) { attrs_of(c)->epsilon = -1; }
static void spoil_infinite(op_case *c) { attrs_of(c)->epsilon = INFINITY; }
static void spoil_axis(op_case *c) { attrs_of(c)->axis = INT64_MIN; }
static void spoil_stash(op_case *c) { attrs_of(c)->stash_type = 10; }
static void spoil_groups(op_case *c) { attrs_of(c)->num_groups = 3; }
static void spoil_no_groups(op_case *c) { attrs_of(c)->num_groups = INT64_MIN; }
static void spoil_scale(op_case *c) { c->in[1].dims[0]++; }
static void spoil_shift(op_case *c) { c->in[2].dims[0]--; }
static void spoil_rank(op_case *c)
{
    c->in[1] = (octet_tensor){ .dtype = OCTET_F32, .rank = 5, .dims = { 2, 1, 1, 1, W } };
}
static void spoil_type(op_case *c) { c->in[1].dtype = OCTET_F64; }
static void spoil_empty(op_case *c) { c->in[0].dims[3] = 0; }

static void test_refusals(void **state)
{
    (void)state;
    for (int k = 0; k < NORMS; k++) {
        const char *const scale = by_channel(&norms[k]) ? "scale" : "Scale";
        refuse(&norms[k], "epsilon", spoil_epsilon);
        refuse(&norms[k], "epsilon", spoil_infinite);
        refuse(&norms[k], scale, spoil_scale);
        refuse(&norms[k], scale, spoil_rank);
        refuse(&norms[k], scale, spoil_type);
        if (norms[k].parameters > 1) refuse(&norms[k], "B", spoil_shift);
        if (norms[k].groups || !by_channel(&norms[k])) refuse(&norms[k], "stash_type", spoil_stash);
        if (!by_channel(&norms[k])) refuse(&norms[k], "axis", spoil_axis);
        refuse(&norms[k], by_channel(&norms[k]) ? "" : "axis", spoil_empty);
        if (!norms[k].groups) continue;
        refuse(&norms[k], "num_groups", spoil_groups);
        refuse(&norms[k], "num_groups", spoil_no_groups);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_real), cmocka_unit_test(test_levels),
                                        cmocka_unit_test(test_statistics), cmocka_unit_test(test_refusals) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
