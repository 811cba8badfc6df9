/* SPDX-License-Identifier: Apache-2.0 */
/* Conv against its definition: for every output, every tap, with the border asked at each one. */
#include "ops/case.h"

#include "ops/attrs.h"

#include <stdlib.h>
#include <time.h>

typedef struct shape {
    int rank; /* spatial */
    int batch, channels, filters, group;
    int in[3], kernel[3], stride[3], dilation[3], pads[6];
} shape;

static const shape fixed[] = {
    { 2, 1, 3, 8, 1, { 9, 11 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
    { 2, 2, 5, 7, 1, { 17, 13 }, { 3, 2 }, { 2, 3 }, { 1, 1 }, { 0, 1, 2, 0 } },
    { 2, 1, 6, 6, 6, { 14, 15 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
    { 2, 1, 6, 12, 3, { 12, 12 }, { 3, 3 }, { 2, 2 }, { 2, 2 }, { 2, 2, 2, 2 } },
    { 2, 3, 16, 20, 1, { 7, 7 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 } },
    { 2, 1, 16, 9, 1, { 7, 8 }, { 1, 1 }, { 2, 2 }, { 1, 1 }, { 0, 0, 0, 0 } },
    { 2, 1, 4, 4, 1, { 5, 5 }, { 5, 5 }, { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 } },
    { 2, 1, 2, 3, 1, { 33, 40 }, { 7, 7 }, { 2, 2 }, { 1, 1 }, { 3, 3, 3, 3 } },
    { 2, 1, 2, 3, 1, { 3, 3 }, { 1, 1 }, { 5, 5 }, { 1, 1 }, { 4, 0, 9, 1 } },
    { 1, 2, 3, 5, 1, { 50 }, { 4 }, { 3 }, { 2 }, { 2, 1 } },
    { 1, 1, 8, 8, 8, { 1030 }, { 3 }, { 1 }, { 1 }, { 1, 1 } },
    { 3, 1, 2, 4, 2, { 5, 6, 7 }, { 2, 3, 3 }, { 1, 2, 1 }, { 1, 1, 2 }, { 1, 0, 2, 0, 1, 2 } },
    { 2, 1, 1, 1, 1, { 700, 2 }, { 1, 1 }, { 3, 1 }, { 1, 1 }, { 0, 0, 0, 0 } },
};

static shape random_shape(op_case *c)
{
    shape s = { .rank = case_between(c, 1, 3), .batch = case_between(c, 1, 2), .group = case_between(c, 1, 3) };
    s.channels = s.group * case_between(c, 1, 3);
    s.filters = s.group * case_between(c, 1, 4);
    for (int i = 0; i < s.rank; i++) {
        s.kernel[i] = case_between(c, 1, 4);
        s.stride[i] = case_between(c, 1, 4);
        s.dilation[i] = case_between(c, 1, 3);
        s.pads[i] = case_between(c, 0, 3);
        s.pads[i + s.rank] = case_between(c, 0, 3);
        s.in[i] = (s.kernel[i] - 1) * s.dilation[i] + 1 + case_between(c, 0, 9);
    }
    return s;
}

static void set_attrs(op_case *c, const shape *s)
{
    octet_window_attrs *a = c->node.attrs;
    a->group = s->group;
    a->strides.count = a->dilations.count = s->rank;
    a->pads.count = 2 * s->rank;
    for (int i = 0; i < s->rank; i++) {
        a->strides.at[i] = s->stride[i];
        a->dilations.at[i] = s->dilation[i];
        a->pads.at[i] = s->pads[i];
        a->pads.at[i + s->rank] = s->pads[i + s->rank];
    }
}

static void make_dims(const shape *s, int64_t x[9], int64_t w[9])
{
    x[0] = s->batch;
    x[1] = s->channels;
    w[0] = s->filters;
    w[1] = s->channels / s->group;
    for (int i = 0; i < s->rank; i++) {
        x[2 + i] = s->in[i];
        w[2 + i] = s->kernel[i];
    }
    x[2 + s->rank] = w[2 + s->rank] = -1;
}

/* The shape as three dimensions, the missing ones 1, in front. */
static shape in_three(const shape *s)
{
    shape     t = *s;
    const int shift = 3 - s->rank;
    for (int i = 0; i < 3; i++) {
        const bool old = i >= shift;
        t.in[i] = old ? s->in[i - shift] : 1;
        t.kernel[i] = old ? s->kernel[i - shift] : 1;
        t.stride[i] = old ? s->stride[i - shift] : 1;
        t.dilation[i] = old ? s->dilation[i - shift] : 1;
        t.pads[i] = old ? s->pads[i - shift] : 0;
        t.pads[3 + i] = old ? s->pads[s->rank + i - shift] : 0;
    }
    return t;
}

typedef void (*visit)(void *context, int64_t x, int64_t w);

/* Calls see for every pair of elements that output (n, f, o) multiplies. */
static void pairs(const shape *s, int64_t n, int64_t f, const int64_t o[3], visit see, void *context)
{
    const int64_t per_group = s->channels / s->group, first = f / (s->filters / s->group) * per_group;
    for (int64_t a = 0; a < s->kernel[0]; a++)
        for (int64_t b = 0; b < s->kernel[1]; b++)
            for (int64_t d = 0; d < s->kernel[2]; d++)
                for (int64_t ch = 0; ch < per_group; ch++) {
                    const int64_t z = o[0] * s->stride[0] + a * s->dilation[0] - s->pads[0];
                    const int64_t y = o[1] * s->stride[1] + b * s->dilation[1] - s->pads[1];
                    const int64_t x = o[2] * s->stride[2] + d * s->dilation[2] - s->pads[2];
                    if (z < 0 || y < 0 || x < 0 || z >= s->in[0] || y >= s->in[1] || x >= s->in[2]) continue;
                    see(context, (((n * s->channels + first + ch) * s->in[0] + z) * s->in[1] + y) * s->in[2] + x,
                        (((f * per_group + ch) * s->kernel[0] + a) * s->kernel[1] + b) * s->kernel[2] + d);
                }
}

typedef struct sums {
    const op_case *c;
    int64_t        levels;
    double         real, magnitude;
    int32_t        zx, zw;
} sums;

static void see_float(void *context, int64_t x, int64_t w)
{
    sums        *s = context;
    const double p = (double)((const float *)s->c->in[0].data)[x] * (double)((const float *)s->c->in[1].data)[w];
    s->real += p;
    s->magnitude += fabs(p);
}

static void see_double(void *context, int64_t x, int64_t w)
{
    sums *s = context;
    s->real += ((const double *)s->c->in[0].data)[x] * ((const double *)s->c->in[1].data)[w];
}

static void see_levels(void *context, int64_t x, int64_t w)
{
    sums *s = context;
    s->levels += (int64_t)(case_level(&s->c->in[0], x) - s->zx) * (case_level(&s->c->in[1], w) - s->zw);
}

static int64_t out_extent(const shape *s, int i)
{
    return (s->in[i] + s->pads[i] + s->pads[i + 3] - (s->kernel[i] - 1) * s->dilation[i] - 1) / s->stride[i] + 1;
}

typedef void (*check)(const op_case *c, const shape *s, int64_t n, int64_t f, const int64_t o[3], int64_t at);

static void for_each_output(const op_case *c, const shape *given, check look)
{
    const shape s = in_three(given);
    int64_t     at = 0;
    for (int64_t n = 0; n < s.batch; n++)
        for (int64_t f = 0; f < s.filters; f++)
            for (int64_t z = 0; z < out_extent(&s, 0); z++)
                for (int64_t y = 0; y < out_extent(&s, 1); y++)
                    for (int64_t x = 0; x < out_extent(&s, 2); x++)
                        look(c, &s, n, f, (const int64_t[]){ z, y, x }, at++);
    assert_int_equal(at, octet_tensor_count(&c->out[0]));
}

static void check_float(const op_case *c, const shape *s, int64_t n, int64_t f, const int64_t o[3], int64_t at)
{
    sums t = { .c = c };
    pairs(s, n, f, o, see_float, &t);
    t.real += (double)((const float *)c->in[2].data)[f];
    const octet_batch_norm *bn = c->node.batch_norm;
    if (bn)
        t.real = (t.real - (double)bn->mean[f]) / sqrt((double)bn->variance[f] + (double)bn->epsilon) *
                     (double)bn->gamma[f] +
                 (double)bn->beta[f];
    const octet_activation *clamp = &c->node.activation;
    if (clamp->on) t.real = fmin(fmax(t.real, (double)clamp->lo), (double)clamp->hi);
    const double got = (double)((const float *)c->out[0].data)[at];
    if (!(fabs(got - t.real) <= 1e-5 * (1 + t.magnitude))) fail_msg("output %ld: %g, not %g", (long)at, got, t.real);
}

static void check_double(const op_case *c, const shape *s, int64_t n, int64_t f, const int64_t o[3], int64_t at)
{
    sums t = { .c = c };
    pairs(s, n, f, o, see_double, &t);
    assert_true(fabs(((const double *)c->out[0].data)[at] - t.real) < 1e-10);
}

static void check_levels(const op_case *c, const shape *s, int64_t n, int64_t f, const int64_t o[3], int64_t at)
{
    const octet_qparams *const w = c->in[1].qparams, *const x = c->in[0].qparams;
    const int64_t              channel = w->count > 1 ? f : 0;
    const double               unit = (double)x->scale[0] * (double)w->scale[channel];
    sums                       t = { .c = c, .zx = x->zero_point[0], .zw = w->zero_point[channel] };
    pairs(s, n, f, o, see_levels, &t);
    if (c->call.in_count > 2 && c->in[2].dtype == OCTET_F32)
        t.levels += (int64_t)nearbyint((double)((const float *)c->in[2].data)[f] / unit);
    else if (c->call.in_count > 2)
        t.levels += case_level(&c->in[2], f);
    if (!c->out[0].qparams) {
        const float want = (float)t.levels * (float)(unit / (c->call.real_unit > 0 ? (double)c->call.real_unit : 1.0));
        assert_true(((const float *)c->out[0].data)[at] == want);
        return;
    }
    octet_qparams to = *c->out[0].qparams;
    if (c->node.activation.on) { /* relu6-like: bounds as levels */
        const double lo = nearbyint((double)(c->node.activation.lo / to.scale[0])) + to.zero_point[0];
        const double hi = nearbyint((double)(c->node.activation.hi / to.scale[0])) + to.zero_point[0];
        to.qmin = (int32_t)fmin(fmax(to.qmin, lo), to.qmax);
        to.qmax = (int32_t)fmax(fmin(to.qmax, hi), to.qmin);
    }
    const int32_t want = case_requantize(t.levels, (double)x->scale[0], (double)w->scale[channel], &to);
    if (case_level(&c->out[0], at) != want)
        fail_msg("output %ld: level %d, not %d", (long)at, case_level(&c->out[0], at), want);
}

static void run_float(const shape *s, bool norm, bool clamp, int threads, uint64_t seed)
{
    op_case c;
    int64_t x[9], w[9];
    case_begin(&c, "Conv", seed);
    set_attrs(&c, s);
    make_dims(s, x, w);
    case_random_f32(&c, x);
    case_random_f32(&c, w);
    const octet_tensor *b = case_random_f32(&c, DIMS(s->filters));
    octet_batch_norm    bn = { .channels = s->filters, .gamma = b->data, .beta = b->data, .mean = b->data,
                               .epsilon = 0.25f };
    float              *variance = octet_arena_alloc(c.arena, (size_t)s->filters, sizeof *variance);
    for (int i = 0; i < s->filters; i++) variance[i] = 0.5f + fabsf(case_real(&c));
    bn.variance = variance;
    if (norm) c.node.batch_norm = &bn;
    if (clamp) c.node.activation = (octet_activation){ .on = true, .lo = 0, .hi = 0.75f };
    c.call.threads = threads;
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    for_each_output(&c, s, check_float);
    case_end(&c);
}

static void run_double(const shape *s, uint64_t seed)
{
    op_case c;
    int64_t x[9], w[9];
    case_begin(&c, "Conv", seed);
    set_attrs(&c, s);
    make_dims(s, x, w);
    case_input(&c, OCTET_F64, x);
    case_input(&c, OCTET_F64, w);
    for (int t = 0; t < 2; t++)
        for (int64_t i = 0; i < octet_tensor_count(&c.in[t]); i++) ((double *)c.in[t].data)[i] = (double)case_real(&c);
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    for_each_output(&c, s, check_double);
    case_end(&c);
}

enum { BIAS_NONE, BIAS_LEVELS, BIAS_REAL };

typedef struct flavour {
    octet_dtype x, w, y; /* y NONE: real */
    bool        per_channel, clamp;
    int         bias;
    float       unit;
} flavour;

static const flavour flavours[] = {
    { OCTET_U8, OCTET_I8, OCTET_U8, true, false, BIAS_LEVELS, 0 },
    { OCTET_I8, OCTET_I8, OCTET_I8, false, true, BIAS_REAL, 0 },
    { OCTET_U8, OCTET_U8, OCTET_U8, false, true, BIAS_NONE, 0 },
    { OCTET_U8, OCTET_I8, OCTET_NONE, true, false, BIAS_REAL, 0 },
    { OCTET_I8, OCTET_I8, OCTET_NONE, true, false, BIAS_LEVELS, 0.37f },
    { OCTET_I16, OCTET_I8, OCTET_I16, true, false, BIAS_LEVELS, 0 },
    { OCTET_U16, OCTET_I8, OCTET_NONE, false, false, BIAS_NONE, 0 },
};

static void run_levels(const shape *s, const flavour *f, int threads, uint64_t seed)
{
    op_case c;
    int64_t x[9], w[9];
    case_begin(&c, "Conv", seed);
    set_attrs(&c, s);
    make_dims(s, x, w);
    case_random_levels(&c, f->x, x, 1, 0);
    case_random_levels(&c, f->w, w, f->per_channel ? s->filters : 1, 0);
    if (f->bias == BIAS_REAL) case_random_f32(&c, DIMS(s->filters));
    if (f->bias == BIAS_LEVELS) case_bias(&c, s->filters, 5000);
    if (f->clamp) c.node.activation = (octet_activation){ .on = true, .lo = 0, .hi = 0.5f };
    c.call.threads = threads;
    c.call.real_unit = f->unit;
    const octet_qparams *to = NULL;
    if (f->y == OCTET_U8) to = case_qparams(&c, OCTET_U8, 0, 255, 1, 0);
    if (f->y == OCTET_I8) to = case_qparams(&c, OCTET_I8, -127, 100, 1, 0);
    if (f->y == OCTET_I16) to = case_qparams(&c, OCTET_I16, -32768, 32767, 1, 0);
    if (to) ((float *)to->scale)[0] *= 20;
    case_prepare(&c, 1, to, true);
    case_run(&c, true);
    for_each_output(&c, s, check_levels);
    case_end(&c);
}

static void test_float(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        run_float(&fixed[i], i % 2, i % 3 == 0, 1 + (int)(i % 3), i);
        run_double(&fixed[i], i);
    }
}

static void test_levels(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        for (size_t f = 0; f < sizeof flavours / sizeof *flavours; f++)
            run_levels(&fixed[i], &flavours[f], 1 + (int)(f % 2), i * 17 + f);
}

static void test_random_shapes(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "Conv", 99);
    for (uint64_t i = 0; i < 120; i++) {
        const shape s = random_shape(&c);
        run_float(&s, i % 2, i % 3 == 0, 2, i);
        run_levels(&s, &flavours[i % (sizeof flavours / sizeof *flavours)], 2, i);
    }
    case_end(&c);
}

/* auto_pad of ONNX's own test conv_with_autopad_same: 5x5, 3x3, stride 2 gives 3x3. */
static void test_auto_pad(void **state)
{
    (void)state;
    static const struct {
        const char *mode;
        float       first;
        int64_t     out;
    } rows[] = { { "SAME_LOWER", 12, 3 }, { "SAME_UPPER", 12, 3 }, { "VALID", 54, 2 } };
    for (int i = 0; i < 3; i++) {
        op_case c;
        case_begin(&c, "Conv", 1);
        octet_window_attrs *a = c.node.attrs;
        a->auto_pad = rows[i].mode;
        a->strides = (octet_ints){ 2, { 2, 2 } };
        float *x = case_input(&c, OCTET_F32, DIMS(1, 1, 5, 5))->data;
        float *w = case_input(&c, OCTET_F32, DIMS(1, 1, 3, 3))->data;
        for (int k = 0; k < 25; k++) x[k] = (float)k;
        for (int k = 0; k < 9; k++) w[k] = 1;
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        assert_int_equal(c.out[0].dims[2], rows[i].out);
        assert_true(((float *)c.out[0].data)[0] == rows[i].first);
        case_end(&c);
    }
}

/* An even window shows which side gets the odd element: 1x1x4, kernel 2. */
static void test_auto_pad_side(void **state)
{
    (void)state;
    for (int lower = 0; lower < 2; lower++) {
        op_case c;
        case_begin(&c, "Conv", 1);
        ((octet_window_attrs *)c.node.attrs)->auto_pad = lower ? "SAME_LOWER" : "SAME_UPPER";
        float *x = case_input(&c, OCTET_F32, DIMS(1, 1, 4))->data;
        float *w = case_input(&c, OCTET_F32, DIMS(1, 1, 2))->data;
        for (int k = 0; k < 4; k++) x[k] = (float)(k + 1);
        w[0] = 10;
        w[1] = 1;
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        const float *y = c.out[0].data, want[2][4] = { { 12, 23, 34, 40 }, { 1, 12, 23, 34 } };
        assert_memory_equal(y, want[lower], sizeof want[lower]);
        case_end(&c);
    }
}

static void expect_refused(const char *field, const int64_t *x, const int64_t *w, const int64_t *b,
                           const octet_window_attrs *attrs)
{
    op_case c;
    case_begin(&c, "Conv", 1);
    octet_window_attrs *a = c.node.attrs;
    const char *const   pad = a->auto_pad;
    *a = *attrs;
    if (!a->auto_pad) a->auto_pad = pad;
    const int64_t *const dims[] = { x, w, b };
    for (int i = 0; i < 3 && dims[i]; i++) {
        octet_tensor *t = &c.in[i];
        t->dtype = OCTET_F32;
        for (t->rank = 0; dims[i][t->rank] != -1; t->rank++) t->dims[t->rank] = dims[i][t->rank];
        c.inputs[i] = t;
        c.call.in_count++;
    }
    if (case_infer(&c, 1) == OCTET_OK) fail_msg("accepted, %s should have been refused", field);
    assert_string_equal(c.err.field, field);
    assert_true(c.err.text[0] != 0);
    case_end(&c);
}

static void test_refusals(void **state)
{
    (void)state;
    const int64_t *x = DIMS(1, 3, 8, 8), *w = DIMS(4, 3, 3, 3);
#define TRY(field, ...) expect_refused(field, x, w, NULL, &(octet_window_attrs){ .group = 1, __VA_ARGS__ })
    TRY("strides", .strides = { 2, { 0, 0 } });
    TRY("strides", .strides = { 2, { -1, 1 } });
    TRY("strides", .strides = { 1, { 1 } });
    TRY("strides", .strides = { 3, { 1, 1, 1 } });
    TRY("dilations", .dilations = { 2, { 0, 0 } });
    TRY("dilations", .dilations = { 2, { 1, 9 } });
    TRY("pads", .pads = { 4, { INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX } });
    TRY("pads", .pads = { 4, { 100000, 100000, 100000, 100000 } });
    TRY("pads", .pads = { 4, { -1, 0, 0, 0 } });
    TRY("pads", .pads = { 2, { 1, 1 } });
    TRY("kernel_shape", .kernel_shape = { 2, { 0, 0 } });
    TRY("kernel_shape", .kernel_shape = { 2, { -3, 3 } });
    TRY("kernel_shape", .kernel_shape = { 2, { 5, 5 } });
    TRY("auto_pad", .auto_pad = "SAME");
    expect_refused("group", x, w, NULL, &(octet_window_attrs){ .group = -1 });
    expect_refused("group", x, w, NULL, &(octet_window_attrs){ .group = 0 });
    expect_refused("group", x, w, NULL, &(octet_window_attrs){ .group = 2 });
#undef TRY
    const octet_window_attrs plain = { .group = 1 };
    expect_refused("W", x, DIMS(4, 5, 3, 3), NULL, &plain);
    expect_refused("W", x, DIMS(4, 3, 3), NULL, &plain);
    expect_refused("W", x, DIMS(0, 3, 3, 3), NULL, &plain);
    expect_refused("W", DIMS(1, 0, 8, 8), w, NULL, &plain);
    expect_refused("B", x, w, DIMS(5), &plain);
    expect_refused("B", x, w, DIMS(4, 1), &plain);
    expect_refused("kernel_shape", DIMS(1, 3, 2, 2), w, NULL, &plain);
    expect_refused("", DIMS(1, 3), w, NULL, &plain);
    expect_refused("", DIMS(1, 3, 0, 8), w, NULL, &plain);
}

/* Not a test of correctness: what a convolution of MobileNetV2's size costs, with --bench. */
static void bench(void)
{
    static const shape shapes[] = {
        { 2, 1, 96, 24, 1, { 56, 56 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0 } },
        { 2, 1, 64, 64, 1, { 56, 56 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
        { 2, 1, 960, 160, 1, { 7, 7 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0 } },
        { 2, 1, 384, 384, 384, { 14, 14 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
        { 2, 1, 96, 96, 96, { 112, 112 }, { 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1, 1, 1 } },
        { 2, 1, 3, 32, 1, { 224, 224 }, { 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1, 1, 1 } },
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int integer = 0; integer < 2; integer++) {
            op_case c;
            int64_t x[9], w[9];
            case_begin(&c, "Conv", 5);
            set_attrs(&c, &shapes[i]);
            make_dims(&shapes[i], x, w);
            if (integer) {
                case_random_levels(&c, OCTET_U8, x, 1, 0);
                case_random_levels(&c, OCTET_I8, w, shapes[i].filters, 0);
            } else {
                case_random_f32(&c, x);
                case_random_f32(&c, w);
            }
            case_prepare(&c, 1, integer ? case_qparams(&c, OCTET_U8, 0, 255, 1, 0) : NULL, integer);
            struct timespec t0, t1;
            case_run(&c, integer);
            clock_gettime(CLOCK_MONOTONIC, &t0);
            for (int r = 0; r < 5; r++) case_run(&c, integer);
            clock_gettime(CLOCK_MONOTONIC, &t1);
            const double ms = ((double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) * 1e-6) / 5;
            const double macs = (double)c.node.op->macs(&c.call);
            print_message("case %zu %s %.2f ms, %.2f GMAC/s\n", i, integer ? "levels" : "float", ms, macs / ms * 1e-6);
            case_end(&c);
        }
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
        bench();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float),         cmocka_unit_test(test_levels), cmocka_unit_test(test_random_shapes),
        cmocka_unit_test(test_auto_pad),      cmocka_unit_test(test_auto_pad_side),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
