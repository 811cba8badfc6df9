/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over every operator of the table: its row makes sense, and where it has an integer form, that form stays within
   half a step of the float form on the same (dequantized) numbers. A new operator is tested by being listed; one with
   an integer form needs a line in `setups` that says how to call it. */
#include "ops/case.h"

#include "ops/attrs.h"

static void test_sorted(void **state)
{
    (void)state;
    size_t count = 0;
    for (; octet_op_at(count); count++) {
        const octet_op *op = octet_op_at(count);
        assert_ptr_equal(octet_op_find(op->name, NULL), op);
        assert_ptr_equal(octet_op_find(op->name, ""), op);
        assert_ptr_equal(octet_op_find(op->name, "ai.onnx"), op);
        assert_null(octet_op_find(op->name, "com.example"));
        if (count > 0) assert_true(strcmp(octet_op_at(count - 1)->name, op->name) < 0);
    }
    assert_true(count >= 40);
    assert_null(octet_op_at(count + 5));
    assert_null(octet_op_find("Reluu", NULL));
    assert_null(octet_op_find("", NULL));
}

static size_t attr_bytes(octet_attr_kind kind)
{
    switch (kind) {
    case OCTET_ATTR_INT: return sizeof(int64_t);
    case OCTET_ATTR_FLOAT: return sizeof(float);
    case OCTET_ATTR_INTS: return sizeof(octet_ints);
    case OCTET_ATTR_FLOATS: return sizeof(octet_floats);
    case OCTET_ATTR_STRINGS: return sizeof(octet_strings);
    default: return sizeof(void *);
    }
}

static void check_attrs(const octet_op *op)
{
    for (const octet_attr *a = op->attrs; a && a->kind != OCTET_ATTR_END; a++) {
        assert_non_null(a->name);
        assert_true(a->kind <= OCTET_ATTR_TENSOR);
        assert_true(a->offset + attr_bytes(a->kind) <= op->attrs_size);
        assert_true(a->min <= a->max);
        for (const octet_attr *b = op->attrs; b != a; b++) {
            assert_string_not_equal(a->name, b->name);
            assert_true(a->offset >= b->offset + attr_bytes(b->kind) || b->offset >= a->offset + attr_bytes(a->kind));
        }
    }
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; octet_op_at(i); i++) {
        const octet_op *op = octet_op_at(i);
        assert_non_null(op->infer);
        assert_in_range(op->since, 1, 28);
        assert_true(op->min_inputs <= op->max_inputs && op->min_outputs <= op->max_outputs && op->min_outputs > 0);
        assert_true(op->types != 0 || op->max_inputs == 0);
        if (op->forward_integer && op->quant == OCTET_QUANT_NONE) fail_msg("%s: integer form of no kind", op->name);
        check_attrs(op);
    }
}

/* ---- integer against float ---- */

typedef struct setup {
    const char *op;
    int         data; /* inputs that hold levels */
    int64_t     dims[2][5]; /* ended by 0 */
    void (*more)(op_case *c); /* attributes and further inputs */
    float lo, hi; /* where input 0 lies; both 0: anywhere */
} setup;

static void more_softmax(op_case *c) { case_set_int(c, "axis", 1); }
static void more_pad(op_case *c) { INTS(c, 0, 0, 1, 2, 0, 0, 0, 1); }
static void more_pool(op_case *c)
{
    case_set_ints(c, "kernel_shape", 2, (int64_t[]){ 3, 2 });
    case_set_ints(c, "pads", 4, (int64_t[]){ 1, 1, 0, 1 });
}
static void more_reshape(op_case *c) { INTS(c, 0, -1); }
static void more_squeeze(op_case *c) { INTS(c, 0); }
static void more_unsqueeze(op_case *c) { INTS(c, 1, 3); }
static void more_gather(op_case *c)
{
    case_set_int(c, "axis", 1);
    INTS(c, 2, 0, 0);
}
static void more_slice(op_case *c)
{
    INTS(c, 3, 1);
    INTS(c, 0, 6);
    INTS(c, 0, 1);
    INTS(c, -1, 2);
}
static void more_transpose(op_case *c) { case_set_ints(c, "perm", 4, (int64_t[]){ 0, 2, 3, 1 }); }
static void more_depth(op_case *c) { case_set_int(c, "blocksize", 2); }
static void more_concat(op_case *c) { case_set_int(c, "axis", 1); }
static void more_mean(op_case *c) { INTS(c, 2, -1); }
static void more_resize(op_case *c)
{
    case_absent(c);
    float *scales = case_input(c, OCTET_F32, DIMS(4))->data;
    scales[0] = scales[1] = 1;
    scales[2] = scales[3] = 2;
    case_set_string(c, "mode", "linear");
}
static void more_norm(op_case *c)
{
    for (int i = 0; i < 4; i++) {
        float *const at = case_random_f32(c, DIMS(4))->data;
        for (int k = 0; i == 3 && k < 4; k++) at[k] = 0.5f + fabsf(at[k]);
    }
}
static void more_clip(op_case *c)
{
    *(float *)case_input(c, OCTET_F32, DIMS(-1))->data = -0.4f;
    *(float *)case_input(c, OCTET_F32, DIMS(-1))->data = 0.3f;
}
static void more_layer(op_case *c)
{
    case_random_f32(c, DIMS(6));
    case_random_f32(c, DIMS(6));
}
static void more_rms(op_case *c)
{
    case_set_int(c, "axis", 2);
    case_random_f32(c, DIMS(5, 6));
}
static void more_instance(op_case *c)
{
    case_random_f32(c, DIMS(4));
    case_random_f32(c, DIMS(4));
}
static void more_group(op_case *c)
{
    case_set_int(c, "num_groups", 2);
    more_instance(c);
}
static void more_compress(op_case *c)
{
    case_set_int(c, "axis", 1);
    memcpy(case_input(c, OCTET_BOOL, DIMS(5))->data, (uint8_t[]){ 1, 0, 0, 1, 1 }, 5);
}
static void more_expand(op_case *c) { INTS(c, 2, 1, 5, 1); }
static void more_gather_elements(op_case *c) { INTS(c, 3, -1, 0, 3); }
static void more_gather_nd(op_case *c) { INTS(c, 2, -1); }
static void more_reverse(op_case *c) { INTS(c, 3, 1, 0, 2); }
static void more_tile(op_case *c) { INTS(c, 2, 3); }
static void none(op_case *c) { (void)c; }
static void more_pow(op_case *c) { *(float *)case_input(c, OCTET_F32, DIMS(-1))->data = 1.7f; }
static void more_pow_whole(op_case *c) { INTS(c, 3); }
static void more_gelu(op_case *c) { case_set_string(c, "approximate", "tanh"); }

static const setup setups[] = {
    { "Abs", 1, { { 300 } }, none },
    { "Acos", 1, { { 300 } }, none, -1, 1 },
    { "Acosh", 1, { { 300 } }, none, 1, 9 },
    { "Add", 2, { { 2, 4, 5, 6 }, { 4, 1, 6 } }, none },
    { "Asin", 1, { { 300 } }, none, -1, 1 },
    { "Asinh", 1, { { 300 } }, none },
    { "Atan", 1, { { 300 } }, none },
    { "Atanh", 1, { { 300 } }, none, -0.99f, 0.98f },
    { "AveragePool", 1, { { 2, 4, 5, 6 } }, more_pool },
    { "BatchNormalization", 1, { { 2, 4, 5, 6 } }, more_norm },
    { "Ceil", 1, { { 300 } }, none, -9, 9 },
    { "Celu", 1, { { 300 } }, none },
    { "Clip", 1, { { 2, 4, 5, 6 } }, more_clip },
    { "Compress", 1, { { 4, 6 } }, more_compress },
    { "Concat", 2, { { 2, 4, 5, 6 }, { 2, 3, 5, 6 } }, more_concat },
    { "Conv", 2, { { 2, 4, 5, 6 }, { 7, 4, 3, 2 } }, none },
    { "ConvTranspose", 2, { { 2, 4, 5, 6 }, { 4, 7, 3, 2 } }, none },
    { "Cos", 1, { { 300 } }, none, -9, 9 },
    { "Cosh", 1, { { 300 } }, none },
    { "DepthToSpace", 1, { { 2, 4, 5, 6 } }, more_depth },
    { "Elu", 1, { { 300 } }, none },
    { "Erf", 1, { { 300 } }, none },
    { "Exp", 1, { { 300 } }, none },
    { "Flatten", 1, { { 2, 4, 5, 6 } }, none },
    { "Floor", 1, { { 300 } }, none, -9, 9 },
    { "Gather", 1, { { 2, 4, 5, 6 } }, more_gather },
    { "Gelu", 1, { { 300 } }, none },
    { "Gelu", 1, { { 300 } }, more_gelu, -4, 4 },
    { "Gemm", 2, { { 5, 40 }, { 40, 7 } }, none },
    { "GlobalAveragePool", 1, { { 2, 4, 5, 6 } }, none },
    { "GlobalMaxPool", 1, { { 2, 4, 5, 6 } }, none },
    { "GroupNormalization", 1, { { 2, 4, 5, 6 } }, more_group },
    { "HardSigmoid", 1, { { 300 } }, none },
    { "HardSwish", 1, { { 300 } }, none },
    { "Identity", 1, { { 300 } }, none },
    { "InstanceNormalization", 1, { { 2, 4, 5, 6 } }, more_instance },
    { "LayerNormalization", 1, { { 2, 4, 5, 6 } }, more_layer },
    { "LeakyRelu", 1, { { 300 } }, none },
    { "Log", 1, { { 300 } }, none, 0.1f, 9 },
    { "Expand", 1, { { 4, 1, 6 } }, more_expand },
    { "GatherElements", 1, { { 6 } }, more_gather_elements },
    { "GatherND", 1, { { 4, 6, 5 } }, more_gather_nd },
    { "ReverseSequence", 1, { { 3, 4, 5 } }, more_reverse },
    { "SpaceToDepth", 1, { { 2, 3, 4, 6 } }, more_depth },
    { "Tile", 1, { { 3, 4 } }, more_tile },
    { "LogSoftmax", 1, { { 2, 4, 5, 6 } }, more_softmax },
    { "MatMul", 2, { { 3, 5, 40 }, { 40, 7 } }, none },
    { "Max", 2, { { 2, 4, 5, 6 }, { 4, 1, 6 } }, none },
    { "MaxPool", 1, { { 2, 4, 5, 6 } }, more_pool },
    { "Mean", 2, { { 2, 4, 5, 6 }, { 4, 1, 6 } }, none },
    { "Min", 2, { { 2, 4, 1, 6 }, { 4, 5, 6 } }, none },
    { "Mish", 1, { { 300 } }, none, -6, 4 },
    { "Mul", 2, { { 2, 4, 5, 6 }, { 4, 1, 1 } }, none },
    { "Neg", 1, { { 300 } }, none },
    { "PRelu", 2, { { 2, 4, 5, 6 }, { 4, 1, 1 } }, none },
    { "Pad", 1, { { 2, 4, 5, 6 } }, more_pad },
    { "Pow", 1, { { 300 } }, more_pow, 0, 4 },
    { "Pow", 1, { { 300 } }, more_pow_whole, -2, 3 },
    { "Reciprocal", 1, { { 300 } }, none, -4, -0.2f },
    { "RMSNormalization", 1, { { 2, 4, 5, 6 } }, more_rms },
    { "ReduceMax", 1, { { 2, 4, 5, 6 } }, more_mean },
    { "ReduceMean", 1, { { 2, 4, 5, 6 } }, more_mean },
    { "ReduceMin", 1, { { 2, 4, 5, 6 } }, more_mean },
    { "ReduceSum", 1, { { 2, 4, 5, 6 } }, more_mean },
    { "Relu", 1, { { 300 } }, none },
    { "Reshape", 1, { { 2, 4, 5, 6 } }, more_reshape },
    { "Resize", 1, { { 2, 4, 5, 6 } }, more_resize },
    { "Round", 1, { { 300 } }, none, -9, 9 },
    { "Selu", 1, { { 300 } }, none },
    { "Shrink", 1, { { 300 } }, none, -9, 9 },
    { "Sigmoid", 1, { { 300 } }, none },
    { "Sign", 1, { { 300 } }, none, -9, 9 },
    { "Sin", 1, { { 300 } }, none, -9, 9 },
    { "Sinh", 1, { { 300 } }, none },
    { "Slice", 1, { { 5, 6 } }, more_slice },
    { "Softmax", 1, { { 2, 4, 5, 6 } }, more_softmax },
    { "Softplus", 1, { { 300 } }, none, -6, 4 },
    { "Softsign", 1, { { 300 } }, none },
    { "Split", 1, { { 4, 6 } }, none },
    { "Sqrt", 1, { { 300 } }, none, 0, 5 },
    { "Squeeze", 1, { { 1, 6 } }, more_squeeze },
    { "Sub", 2, { { 4, 1, 6 }, { 2, 4, 5, 6 } }, none },
    { "Sum", 2, { { 1, 6 }, { 2, 4, 5, 6 } }, none },
    { "Sum", 1, { { 300 } }, none },
    { "Swish", 1, { { 300 } }, none, -6, 4 },
    { "Tan", 1, { { 300 } }, none, -1, 1 },
    { "Tanh", 1, { { 300 } }, none },
    { "ThresholdedRelu", 1, { { 300 } }, none, -3, 3 },
    { "Transpose", 1, { { 2, 4, 5, 6 } }, more_transpose },
    { "Unsqueeze", 1, { { 2, 4, 5, 6 } }, more_unsqueeze },
};

enum { SETUPS = sizeof setups / sizeof *setups };

static const int64_t *dims_of(const int64_t dims[5], int64_t out[6])
{
    int n = 0;
    for (; n < 5 && dims[n]; n++) out[n] = dims[n];
    out[n] = -1;
    return out;
}

/* Parameters of input 0 and levels that mean numbers in lo..hi. */
static void put_between(op_case *c, octet_tensor *t, float lo, float hi)
{
    const octet_qparams *q = t->qparams;
    const float          scale = (fmaxf(hi, 0) - fminf(lo, 0)) / 255;
    const int            zero = (int)nearbyintf(-fminf(lo, 0) / scale);
    ((float *)q->scale)[0] = scale;
    ((int32_t *)q->zero_point)[0] = zero;
    for (int64_t i = 0; i < octet_tensor_count(t); i++)
        case_set_level(t, i, case_between(c, zero + (int)ceilf(lo / scale), zero + (int)floorf(hi / scale)));
}

/* Makes the call twice from the same seed: on levels, and on what those levels mean. */
static void begin(op_case *c, const setup *s, bool integer, uint64_t seed)
{
    case_begin(c, s->op, seed);
    for (int i = 0; i < s->data; i++) {
        int64_t             d[6];
        octet_tensor *t = case_random_levels(c, i ? OCTET_I8 : OCTET_U8, dims_of(s->dims[i], d), 1, 0);
        ((float *)t->qparams->scale)[0] *= 0.2f;
        if (i == 0 && s->hi > s->lo) put_between(c, t, s->lo, s->hi);
        if (integer) continue;
        float *real = octet_arena_alloc(c->arena, (size_t)octet_tensor_count(t), sizeof *real);
        for (int64_t j = 0; j < octet_tensor_count(t); j++)
            real[j] = (float)(case_level(t, j) - t->qparams->zero_point[0]) * t->qparams->scale[0];
        c->in[i].dtype = OCTET_F32;
        c->in[i].data = real;
        c->in[i].qparams = NULL;
    }
    s->more(c);
    c->call.threads = 2;
}

/* Parameters that hold what the float form gave; those of input 0 where the operator shares them. */
static const octet_qparams *fit(op_case *c, const float *y, int64_t n)
{
    if (c->node.op->quant == OCTET_QUANT_SAME) return c->in[0].qparams;
    octet_qparams *q = (octet_qparams *)case_qparams(c, OCTET_U8, 0, 255, 1, 0);
    float          lo = 0, hi = 0;
    for (int64_t i = 0; i < n; i++) {
        lo = fminf(lo, y[i]);
        hi = fmaxf(hi, y[i]);
    }
    ((float *)q->scale)[0] = (hi - lo) / 255;
    ((int32_t *)q->zero_point)[0] = (int32_t)nearbyint((double)(-lo / q->scale[0]));
    return q;
}

static void compare(const setup *s, uint64_t seed)
{
    op_case real, levels;
    begin(&real, s, false, seed);
    case_prepare(&real, 1, NULL, false);
    case_run(&real, false);
    const float  *y = real.out[0].data;
    const int64_t n = octet_tensor_count(&real.out[0]);
    begin(&levels, s, true, seed);
    const octet_qparams *q = fit(&levels, y, n);
    case_prepare(&levels, 1, q, true);
    case_run(&levels, true);
    assert_int_equal(octet_tensor_count(&levels.out[0]), n);
    for (int64_t i = 0; i < n; i++) {
        const double got = (case_level(&levels.out[0], i) - q->zero_point[0]) * (double)q->scale[0];
        const double off = fabs(got - (double)y[i]) / (double)q->scale[0];
        /* one step at the ends: the zero point was rounded, so the range may miss them by a fraction */
        const bool end = case_level(&levels.out[0], i) == q->qmin || case_level(&levels.out[0], i) == q->qmax;
        if (!(off <= (end ? 1.01 : 0.501)))
            fail_msg("%s[%ld]: %g, not %g: %g steps", s->op, (long)i, got, (double)y[i], off);
    }
    case_end(&real);
    case_end(&levels);
}

static void test_integer_forms(void **state)
{
    (void)state;
    for (size_t i = 0; octet_op_at(i); i++) {
        const octet_op *op = octet_op_at(i);
        if (!op->forward_integer) continue;
        int found = 0;
        for (int k = 0; k < SETUPS; k++) {
            if (strcmp(setups[k].op, op->name) != 0) continue;
            found++;
            for (uint64_t seed = 1; seed < 6; seed++) compare(&setups[k], seed);
        }
        if (!found) fail_msg("%s has an integer form but no line in setups", op->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_sorted), cmocka_unit_test(test_rows),
                                        cmocka_unit_test(test_integer_forms) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
