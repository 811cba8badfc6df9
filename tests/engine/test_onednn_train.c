/* SPDX-License-Identifier: Apache-2.0 */
/* oneDNN's training products against their definition, and against the operator's own forward pass; the same slices on
   one thread and on several. */
#include "../ops/product_case.h"

#include "base/parallel.h"
#include "engine/onednn/train.h"

#include <stdlib.h>

enum { SLICES = 5, THREADS = 3 };

static const product_shape shapes[] = {
    { "Conv", 4, 3, 16, 1, { 12, 12 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
    { "Conv", 2, 16, 32, 1, { 11, 9 }, { 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1, 1, 1 } },
    { "Conv", 3, 24, 40, 1, { 6, 7 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 } },
    { "Conv", 1, 16, 24, 1, { 8, 8 }, { 1, 1 }, { 2, 2 }, { 1, 1 }, { 0, 0, 0, 0 } },
    { "Conv", 2, 48, 48, 48, { 9, 9 }, { 3, 3 }, { 2, 1 }, { 1, 1 }, { 1, 0, 1, 2 } },
    { "Conv", 2, 7, 7, 7, { 9, 9 }, { 5, 5 }, { 1, 1 }, { 1, 1 }, { 2, 2, 2, 2 } },
    { "Conv", 2, 32, 64, 2, { 7, 7 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
    { "Conv", 2, 6, 12, 3, { 7, 7 }, { 3, 3 }, { 1, 1 }, { 2, 2 }, { 2, 2, 2, 2 } },
    { "Conv", 2, 5, 7, 1, { 10, 9 }, { 3, 2 }, { 2, 3 }, { 1, 2 }, { 0, 1, 2, 0 } },
    { "Conv", 3, 8, 10, 1, { 31 }, { 4 }, { 3 }, { 2 }, { 2, 1 } },
    { "Conv", 2, 12, 12, 12, { 20 }, { 3 }, { 1 }, { 1 }, { 1, 1 } },
    { "Gemm", 4, 64, 10, 1, { 1, 1 }, MATRIX },
    { "Gemm", 3, 20, 33, 2, { 1, 1 }, MATRIX },
    { "MatMul", 2, 20, 17, 1, { 1, 6 }, MATRIX },
};

/* ---- the node ---- */

/* Inputs of `images` images, at random. */
static void make_case(op_case *c, const product_shape *s, int images)
{
    int64_t x[6] = { -1 }, w[6] = { -1 };
    case_begin(c, s->op, (uint64_t)(s - shapes) + 1);
    product_attrs(c, s, x, w);
    x[0] = images;
    case_random_f32(c, x);
    case_random_f32(c, w);
}

static void to_pixels(float *to, const octet_tensor *from, const product_shape *s)
{
    for (size_t i = 0; i < (size_t)octet_tensor_count(from); i++)
        to[product_place(from, s, i)] = ((const float *)from->data)[i];
}

/* ---- the definition ---- */

typedef struct sums {
    double *z, *dx, *dw, *size_z, *size_dx, *size_dw; /* size: the sum of all terms' magnitudes */
} sums;

static size_t weight_at(const octet_bare *b, size_t o, size_t i, size_t tap)
{
    const size_t taps = (size_t)(b->y.kernel * b->x.kernel), in = b->in_channels / b->groups;
    return b->turned ? i * b->out_channels + o : (o * in + i) * taps + tap;
}

/* Everything that output pixel (n, oy, ox) and one tap give. */
static void add_tap(sums *s, const octet_bare *b, const float *const data[3], const size_t at[3], const int64_t tap[2])
{
    const int64_t y = (int64_t)at[1] * b->y.stride + tap[0] * b->y.dilation - b->y.pad;
    const int64_t x = (int64_t)at[2] * b->x.stride + tap[1] * b->x.dilation - b->x.pad;
    const size_t  in = b->in_channels / b->groups, out = b->out_channels / b->groups;
    if (y < 0 || y >= b->y.in || x < 0 || x >= b->x.in) return;
    const size_t from = ((at[0] * (size_t)b->y.in + (size_t)y) * (size_t)b->x.in + (size_t)x) * b->in_channels;
    const size_t to   = ((at[0] * (size_t)b->y.out + at[1]) * (size_t)b->x.out + at[2]) * b->out_channels;
    for (size_t o = 0; o < b->out_channels; o++)
        for (size_t i = 0; i < in; i++) {
            const size_t xi = from + o / out * in + i, zi = to + o,
                         wi = weight_at(b, o, i, (size_t)(tap[0] * b->x.kernel + tap[1]));
            const double px = data[0][xi], pw = data[1][wi], pz = data[2][zi];
            s->z[zi] += px * pw;
            s->dx[xi] += pz * pw;
            s->dw[wi] += px * pz;
            s->size_z[zi] += fabs(px * pw);
            s->size_dx[xi] += fabs(pz * pw);
            s->size_dw[wi] += fabs(px * pz);
        }
}

static void define(sums *s, const octet_bare *b, const float *x, const float *w, const float *dz)
{
    const float *const data[3] = { x, w, dz };
    const size_t       height = (size_t)b->y.out, width = (size_t)b->x.out;
    *s = (sums){ calloc(octet_bare_out(b), 8),     calloc(octet_bare_in(b), 8),  calloc(octet_bare_weights(b), 8),
                 calloc(octet_bare_out(b), 8),     calloc(octet_bare_in(b), 8),  calloc(octet_bare_weights(b), 8) };
    for (size_t p = 0; p < b->images * height * width; p++)
        for (int64_t t = 0; t < b->y.kernel * b->x.kernel; t++)
            add_tap(s, b, data, (const size_t[3]){ p / width / height, p / width % height, p % width },
                    (const int64_t[2]){ t / b->x.kernel, t % b->x.kernel });
}

static void free_sums(sums *s)
{
    double *const all[] = { s->z, s->dx, s->dw, s->size_z, s->size_dx, s->size_dw };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void check(const char *what, const float *got, const double *want, const double *size, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs(got[i] - want[i]) <= 3e-6 * size[i] + 1e-30))
            fail_msg("%s: element %zu is %.9g, not %.9g", what, i, (double)got[i], want[i]);
}

/* ---- slices ---- */

typedef struct work {
    octet_dnnl_product *product;
    octet_bare          bare;
    float              *x, *dz, *z, *dx, *gradient, *scratch; /* of all slices; scratch: of all lanes */
    size_t              scratch_floats;
} work;

static void run_slice(work *w, int lane, size_t slice)
{
    const size_t           in = octet_bare_in(&w->bare), out = octet_bare_out(&w->bare);
    const octet_dnnl_slice to = { .lane = lane, .x = w->x + slice * in, .z = w->z + slice * out,
                                  .scratch = w->scratch + (size_t)lane * w->scratch_floats };
    octet_dnnl_slice       from = to;
    octet_error            err;
    if (octet_dnnl_product_has(w->product, OCTET_DNNL_FORWARD))
        assert_int_equal(octet_dnnl_product_run(w->product, OCTET_DNNL_FORWARD, &to, &err), OCTET_OK);
    from.z        = w->dz + slice * out;
    from.gradient = w->gradient + slice * octet_dnnl_product_gradient(w->product);
    if (octet_dnnl_product_has(w->product, OCTET_DNNL_BACKWARD_WEIGHTS))
        assert_int_equal(octet_dnnl_product_run(w->product, OCTET_DNNL_BACKWARD_WEIGHTS, &from, &err), OCTET_OK);
    from.x = w->dx + slice * in;
    if (octet_dnnl_product_has(w->product, OCTET_DNNL_BACKWARD_DATA))
        assert_int_equal(octet_dnnl_product_run(w->product, OCTET_DNNL_BACKWARD_DATA, &from, &err), OCTET_OK);
}

static void take_slices(void *context, octet_member *member)
{
    int slice;
    while (octet_member_take(&slice, member, SLICES)) run_slice(context, member->index, (size_t)slice);
}

/* Results: z, dx, then all slices' gradients. */
static float *run_all(work *w, int threads)
{
    const size_t in = SLICES * octet_bare_in(&w->bare), out = SLICES * octet_bare_out(&w->bare),
                 gradients = SLICES * octet_dnnl_product_gradient(w->product);
    float *const results = calloc(in + out + gradients, sizeof *results);
    w->z                 = results;
    w->dx                = results + out;
    w->gradient          = results + out + in;
    octet_team_run(threads, take_slices, w);
    return results;
}

static void check_results(work *w, const float *weights, const char *what)
{
    octet_bare   all = w->bare;
    octet_error  err;
    sums         s;
    const size_t floats = octet_dnnl_product_gradient(w->product), count = octet_bare_weights(&w->bare);
    float *const dw = calloc(count, sizeof *dw);
    all.images *= SLICES;
    define(&s, &all, w->x, weights, w->dz);
    for (size_t i = floats; i < SLICES * floats; i++) w->gradient[i % floats] += w->gradient[i];
    if (octet_dnnl_product_has(w->product, OCTET_DNNL_FORWARD))
        check(what, w->z, s.z, s.size_z, octet_bare_out(&all));
    if (octet_dnnl_product_has(w->product, OCTET_DNNL_BACKWARD_DATA))
        check(what, w->dx, s.dx, s.size_dx, octet_bare_in(&all));
    if (octet_dnnl_product_has(w->product, OCTET_DNNL_BACKWARD_WEIGHTS)) {
        assert_int_equal(octet_dnnl_product_unpack(w->product, dw, w->gradient, &err), OCTET_OK);
        check(what, dw, s.dw, s.size_dw, count);
    }
    free(dw);
    free_sums(&s);
}

/* z as the operator's forward pass has it. */
static void check_forward(op_case *c, const work *w, const product_shape *s)
{
    const size_t count = (size_t)octet_tensor_count(&c->out[0]);
    float *const want  = calloc(count, sizeof *want);
    case_run(c, false);
    to_pixels(want, &c->out[0], s);
    assert_int_equal(count, SLICES * octet_bare_out(&w->bare));
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(w->z[i] - want[i]) <= 1e-4f))
            fail_msg("%s: %zu: %g, not %g", s->op, i, (double)w->z[i], (double)want[i]);
    free(want);
}

static int check_shape(const product_shape *s)
{
    op_case     c;
    work        w = { .product = NULL };
    octet_error err;
    make_case(&c, s, s->images * SLICES);
    case_prepare(&c, 1, NULL, false);
    octet_tensor slice = c.in[0];
    slice.dims[0]      = s->images;
    assert_true(octet_bare_make(&w.bare, &c.node, &slice, &c.in[1]));
    assert_int_equal(octet_dnnl_product_create(&w.product, &w.bare, THREADS, NULL, &err), OCTET_OK);
    w.scratch_floats = (octet_dnnl_product_scratch(w.product) + 63) / 64 * 16;
    w.scratch        = octet_arena_alloc(c.arena, w.scratch_floats * THREADS, sizeof(float));
    w.x              = octet_arena_alloc(c.arena, SLICES * octet_bare_in(&w.bare), sizeof(float));
    w.dz             = octet_arena_alloc(c.arena, SLICES * octet_bare_out(&w.bare), sizeof(float));
    to_pixels(w.x, &c.in[0], s);
    for (size_t i = 0; i < SLICES * octet_bare_out(&w.bare); i++) w.dz[i] = case_real(&c);
    for (octet_dnnl_way way = OCTET_DNNL_FORWARD; way < OCTET_DNNL_BACKWARD_WEIGHTS; way++)
        if (octet_dnnl_product_has(w.product, way))
            assert_int_equal(octet_dnnl_product_weights(w.product, way, c.in[1].data, &err), OCTET_OK);
    float *const one = run_all(&w, 1), *const many = run_all(&w, THREADS);
    assert_memory_equal(one, many, sizeof(float) * SLICES * (octet_bare_in(&w.bare) + octet_bare_out(&w.bare) +
                                                            octet_dnnl_product_gradient(w.product)));
    if (octet_dnnl_product_has(w.product, OCTET_DNNL_FORWARD)) check_forward(&c, &w, s);
    check_results(&w, c.in[1].data, s->op);
    int fast = 0;
    for (int i = 0; i < OCTET_DNNL_WAYS; i++) fast += octet_dnnl_product_has(w.product, (octet_dnnl_way)i);
    octet_dnnl_product_free(w.product);
    free(one);
    free(many);
    case_end(&c);
    return fast;
}

static void test_products(void **state)
{
    (void)state;
    const int count = sizeof shapes / sizeof *shapes;
    int       fast  = 0;
    for (int i = 0; i < count; i++) {
        const int ways = check_shape(&shapes[i]);
        if (ways < 3) print_message("shape %d: %d fast ways\n", i, ways);
        fast += ways;
    }
    assert_true(fast > count * 3 / 2);
}

static void test_what_is_none(void **state)
{
    (void)state;
    op_case    c;
    octet_bare bare;
    case_begin(&c, "Conv", 1);
    case_random_f32(&c, DIMS(1, 2, 4, 4, 4));
    case_random_f32(&c, DIMS(1, 2, 1, 1, 1));
    assert_false(octet_bare_make(&bare, &c.node, &c.in[0], &c.in[1]));
    case_end(&c);
    case_begin(&c, "Gemm", 1);
    case_set_int(&c, "transA", 1);
    case_random_f32(&c, DIMS(4, 4));
    case_random_f32(&c, DIMS(4, 4));
    assert_false(octet_bare_make(&bare, &c.node, &c.in[0], &c.in[1]));
    case_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_products), cmocka_unit_test(test_what_is_none) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
