/* SPDX-License-Identifier: Apache-2.0 */
/* Integer products of training against the operators' own integer rule with a real result, bit for bit, by every set of
   kernels that this machine can run, in one go and in pieces. */
#include "../kernels/fence.h"
#include "../ops/product_case.h"

#include "train/sums.h"

static const product_shape shapes[] = {
    { "Conv", 3, 3, 16, 1, { 12, 12 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
    { "Conv", 5, 16, 16, 1, { 32, 32 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
    { "Conv", 2, 16, 32, 1, { 11, 9 }, { 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1, 1, 1 } },
    { "Conv", 7, 64, 64, 1, { 8, 8 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
    { "Conv", 3, 24, 40, 1, { 16, 17 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 } },
    { "Conv", 40, 5, 9, 1, { 16, 17 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 } },
    { "Conv", 2, 16, 24, 1, { 9, 8 }, { 1, 1 }, { 2, 2 }, { 1, 1 }, { 0, 0, 0, 0 } },
    { "Conv", 2, 16, 24, 1, { 9, 8 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 1, 0, 0, 2 } },
    { "Conv", 2, 48, 48, 48, { 9, 9 }, { 3, 3 }, { 2, 1 }, { 1, 1 }, { 1, 0, 1, 2 } },
    { "Conv", 3, 135, 135, 135, { 7, 7 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
    { "Conv", 2, 7, 7, 7, { 9, 9 }, { 5, 5 }, { 1, 1 }, { 1, 2 }, { 2, 4, 2, 4 } },
    { "Conv", 2, 7, 14, 7, { 9, 9 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
    { "Conv", 2, 32, 64, 2, { 7, 7 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
    { "Conv", 2, 32, 64, 4, { 7, 7 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 } },
    { "Conv", 2, 6, 12, 3, { 7, 7 }, { 3, 3 }, { 2, 1 }, { 2, 2 }, { 2, 2, 2, 2 } },
    { "Conv", 2, 5, 7, 1, { 10, 9 }, { 3, 2 }, { 2, 3 }, { 1, 2 }, { 0, 1, 2, 0 } },
    { "Conv", 2, 5, 7, 1, { 10, 9 }, { 3, 3 }, { 1, 1 }, { 3, 3 }, { 3, 3, 3, 3 } },
    { "Conv", 1, 2, 3, 1, { 33, 40 }, { 7, 7 }, { 2, 2 }, { 1, 1 }, { 3, 3, 3, 3 } },
    { "Conv", 2, 2, 3, 1, { 3, 3 }, { 1, 1 }, { 5, 5 }, { 1, 1 }, { 4, 0, 9, 1 } },
    { "Conv", 1, 4, 4, 1, { 5, 5 }, { 5, 5 }, { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 } },
    { "Conv", 2, 6, 6, 1, { 9, 9 }, { 2, 2 }, { 4, 4 }, { 1, 1 }, { 0, 0, 0, 0 } },
    { "Conv", 3, 8, 10, 1, { 31 }, { 4 }, { 3 }, { 2 }, { 2, 1 } },
    { "Conv", 2, 12, 12, 12, { 20 }, { 3 }, { 1 }, { 1 }, { 1, 1 } },
    { "Gemm", 9, 64, 10, 1, { 1, 1 }, MATRIX },
    { "Gemm", 3, 20, 33, 2, { 1, 1 }, MATRIX },
    { "Gemm", 200, 70, 70, 2, { 1, 1 }, MATRIX },
    { "MatMul", 2, 20, 17, 1, { 1, 6 }, MATRIX },
    { "MatMul", 3, 9, 5, 1, { 1, 2001 }, MATRIX },
};

/* ---- the node ---- */

static void add_levels(op_case *c, const octet_qparams *q, const int64_t *dims)
{
    octet_tensor *const t = case_input(c, q->dtype, dims);
    for (int64_t i = 0; i < octet_tensor_count(t); i++) case_set_level(t, i, case_between(c, q->qmin, q->qmax));
    t->qparams = q;
}

/* Weights' levels, one scale per output channel or one for all. */
static const octet_qparams *weight_qparams(op_case *c, const product_shape *s, int axis, bool each)
{
    octet_qparams *const q = (void *)(uintptr_t)case_qparams(c, OCTET_I8, -128, 127, each ? s->filters : 1, axis);
    q->zero_point          = octet_arena_alloc(c->arena, (size_t)s->filters, sizeof(int32_t));
    return q;
}

typedef struct variant {
    octet_dtype dtype;
    bool        each, bias;
    float       unit;
} variant;

static void make_case(op_case *c, const product_shape *s, const variant *v)
{
    int64_t x[6] = { -1 }, w[6] = { -1 };
    case_begin(c, s->op, (uint64_t)(s - shapes) + 1);
    product_attrs(c, s, x, w);
    add_levels(c, v->dtype == OCTET_U8 ? case_qparams(c, OCTET_U8, 0, 255, 1, 0)
                                       : case_qparams(c, OCTET_I8, -128, 127, 1, 0), x);
    add_levels(c, weight_qparams(c, s, product_turned(s), v->each), w);
    if (v->bias && strcmp(s->op, "MatMul") != 0) case_bias(c, s->filters, 1 << 20);
    c->call.real_unit = v->unit;
    case_prepare(c, 1, NULL, true);
    case_run(c, true);
}

/* ---- both ---- */

typedef struct product {
    octet_bare     bare;
    fenced         x; /* nothing may be read past it */
    float         *multiplier, *want;
    const int8_t  *weights;
    const int32_t *bias;
    int32_t        zero;
} product;

static void describe(product *p, op_case *c, const product_shape *s, const variant *v)
{
    const octet_tensor *const x = &c->in[0], *const w = &c->in[1];
    const int32_t             flip = v->dtype == OCTET_U8 ? 0 : 128;
    assert_true(octet_bare_make(&p->bare, &c->node, x, w));
    p->x          = fenced_make(octet_bare_in(&p->bare));
    p->want       = malloc(octet_bare_out(&p->bare) * sizeof(float));
    p->multiplier = malloc((size_t)s->filters * sizeof(float));
    assert_int_equal(octet_tensor_count(x), octet_bare_in(&p->bare));
    assert_int_equal(octet_tensor_count(&c->out[0]), octet_bare_out(&p->bare));
    for (int64_t i = 0; i < octet_tensor_count(x); i++)
        p->x.bytes[product_place(x, s, (size_t)i)] = (uint8_t)(case_level(x, i) + flip);
    for (int64_t i = 0; i < octet_tensor_count(&c->out[0]); i++)
        p->want[product_place(&c->out[0], s, (size_t)i)] = ((const float *)c->out[0].data)[i];
    for (int o = 0; o < s->filters; o++)
        p->multiplier[o] = (float)((double)x->qparams->scale[0] * (double)w->qparams->scale[v->each ? o : 0] /
                                   (v->unit == 0 ? 1.0 : (double)v->unit));
    p->weights = w->data;
    p->bias    = c->call.in_count > 2 ? c->in[2].data : NULL;
    p->zero    = x->qparams->zero_point[0] + flip;
}

static void check_set(const product *p, const octet_kernels *set, size_t pieces, const char *op)
{
    const octet_sums_weights weights = { p->weights, p->bias, p->multiplier, p->zero };
    octet_arena *const       arena = octet_arena_new();
    octet_sums              *sums;
    octet_error              err;
    const size_t             count = octet_bare_out(&p->bare);
    float *const             t = malloc(count * sizeof *t);
    memset(t, 0x55, count * sizeof *t);
    assert_int_equal(octet_sums_new(&sums, arena, &p->bare, set, &err), OCTET_OK);
    assert_non_null(sums);
    void *const scratch = aligned_alloc(64, (octet_sums_scratch(sums) + 63) / 64 * 64);
    const octet_sums_weights other = { p->weights, NULL, p->multiplier, 3 };
    octet_sums_set(sums, &other); /* what a step before this one left */
    octet_sums_set(sums, &weights);
    for (size_t i = 0; i < pieces; i++)
        octet_sums_run(sums, t, p->x.bytes, p->bare.images * i / pieces, p->bare.images * (i + 1) / pieces, scratch);
    for (size_t i = 0; i < count; i++)
        if (memcmp(&t[i], &p->want[i], sizeof *t) != 0)
            fail_msg("%s by %s, %zu pieces: element %zu is %.9g, not %.9g", op, set->name, pieces, i, (double)t[i],
                     (double)p->want[i]);
    free(scratch);
    free(t);
    octet_arena_free(arena);
}

static void check_shape(const product_shape *s, const variant *v)
{
    op_case c;
    product p;
    make_case(&c, s, v);
    describe(&p, &c, s, v);
    const octet_kernels *set;
    for (size_t at = 0; (set = next_set(&at));) {
        check_set(&p, set, 1, s->op);
        check_set(&p, set, 3, s->op);
    }
    fenced_free(&p.x);
    free(p.want);
    free(p.multiplier);
    case_end(&c);
}

static void test_shapes(void **state)
{
    (void)state;
    static const variant variants[] = { { OCTET_U8, true, true, 0 },
                                        { OCTET_I8, false, false, 0 },
                                        { OCTET_U8, false, true, 0.037f } };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t v = 0; v < 3; v++) check_shape(&shapes[i], &variants[v]);
}

/* Windows that reach far outside are left to others. */
static void test_far(void **state)
{
    (void)state;
    const octet_axis_window far = { .in = 4, .out = 5000, .kernel = 3, .stride = 1, .dilation = 1, .pad = 2500 };
    const octet_bare        bare = { .images = 1, .in_channels = 8, .out_channels = 8, .groups = 1, .y = far,
                                     .x = far };
    octet_arena *const      arena = octet_arena_new();
    octet_sums             *sums;
    octet_error             err;
    assert_int_equal(octet_sums_new(&sums, arena, &bare, octet_kernels_select(0), &err), OCTET_OK);
    assert_null(sums);
    octet_arena_free(arena);
}

int main(void)
{
    unsetenv("OCTET_CPU"); /* every set is tested whatever the environment asks for */
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_shapes), cmocka_unit_test(test_far) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
