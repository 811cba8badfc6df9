/* SPDX-License-Identifier: Apache-2.0 */
/* ConvTranspose against its definition: for every output, every tap and input channel, whether the input that would
   reach it exists. */
#include "ops/case.h"

#include "ops/attrs.h"


typedef struct shape {
    int         rank, batch, channels, filters, group; /* filters: of all groups */
    int         in[3], kernel[3], stride[3], dilation[3], pads[6], padding[3], out[3]; /* out 0: not given */
    const char *auto_pad; /* NULL: NOTSET */
} shape;

static const shape fixed[] = {
    { 2, 1, 3, 8, 1, { 9, 11 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 }, { 0 }, { 0 }, NULL },
    { 2, 2, 5, 7, 1, { 6, 5 }, { 3, 2 }, { 2, 3 }, { 1, 1 }, { 0, 1, 2, 0 }, { 1, 2 }, { 0 }, NULL },
    { 2, 1, 6, 6, 6, { 7, 8 }, { 4, 4 }, { 2, 2 }, { 1, 1 }, { 1, 1, 1, 1 }, { 0 }, { 0 }, NULL },
    { 2, 1, 6, 12, 3, { 5, 6 }, { 3, 3 }, { 2, 2 }, { 2, 2 }, { 2, 2, 2, 2 }, { 1, 1 }, { 0 }, NULL },
    { 2, 2, 16, 20, 1, { 7, 7 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0 }, { 0 }, { 0 }, NULL },
    { 2, 1, 3, 2, 1, { 3, 3 }, { 3, 3 }, { 3, 2 }, { 1, 1 }, { 0 }, { 0 }, { 10, 8 }, NULL }, /* more than is covered */
    { 2, 1, 3, 2, 1, { 4, 3 }, { 5, 4 }, { 3, 2 }, { 1, 1 }, { 0 }, { 0 }, { 11, 5 }, NULL },
    { 2, 1, 3, 2, 1, { 4, 3 }, { 5, 4 }, { 3, 2 }, { 1, 1 }, { 0 }, { 0 }, { 11, 5 }, "SAME_UPPER" },
    { 2, 1, 2, 3, 1, { 4, 3 }, { 4, 3 }, { 2, 2 }, { 1, 1 }, { 0 }, { 0 }, { 0 }, "SAME_UPPER" },
    { 2, 1, 2, 3, 1, { 4, 3 }, { 4, 3 }, { 3, 2 }, { 1, 1 }, { 0 }, { 0 }, { 0 }, "SAME_LOWER" },
    { 2, 1, 2, 3, 1, { 4, 3 }, { 4, 3 }, { 3, 2 }, { 1, 1 }, { 1, 1, 1, 1 }, { 0 }, { 0 }, "VALID" },
    { 2, 1, 2, 3, 1, { 1, 1 }, { 4, 4 }, { 5, 5 }, { 1, 1 }, { 0 }, { 6, 4 }, { 0 }, NULL },
    { 1, 2, 3, 5, 1, { 50 }, { 4 }, { 3 }, { 2 }, { 2, 1 }, { 0 }, { 0 }, NULL },
    { 1, 1, 8, 8, 8, { 400 }, { 3 }, { 2 }, { 1 }, { 1, 1 }, { 1 }, { 0 }, NULL },
    { 3, 1, 4, 6, 2, { 3, 4, 3 }, { 2, 3, 3 }, { 1, 2, 3 }, { 1, 1, 2 }, { 1, 0, 2, 0, 1, 2 }, { 0, 1, 2 }, { 0 },
      NULL },
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
        s.padding[i] = case_between(c, 0, 3);
        s.in[i] = case_between(c, 1, 6);
        const int covered = (s.in[i] - 1) * s.stride[i] + (s.kernel[i] - 1) * s.dilation[i] + 1 + s.padding[i];
        s.pads[i] = case_between(c, 0, covered > 6 ? 3 : 0);
        s.pads[i + s.rank] = case_between(c, 0, covered - s.pads[i] > 3 ? 2 : 0);
    }
    return s;
}

static void list(octet_ints *to, int count, const int *from, bool given)
{
    to->count = given ? count : 0;
    for (int i = 0; i < to->count; i++) to->at[i] = from[i];
}

static void set_attrs(op_case *c, const shape *s)
{
    octet_window_attrs *a = c->node.attrs;
    a->group = s->group;
    list(&a->strides, s->rank, s->stride, true);
    list(&a->dilations, s->rank, s->dilation, true);
    list(&a->pads, 2 * s->rank, s->pads, true);
    list(&a->output_padding, s->rank, s->padding, true);
    list(&a->output_shape, s->rank, s->out, s->out[0] > 0);
    if (s->auto_pad) a->auto_pad = s->auto_pad;
}

/* The shape as three dimensions, the missing ones 1, in front; out[] and pads[] as ONNX computes them. */
static shape resolved(const shape *s)
{
    shape      t = *s;
    const int  shift = 3 - s->rank;
    const bool upper = s->auto_pad && !strcmp(s->auto_pad, "SAME_UPPER");
    const bool lower = s->auto_pad && !strcmp(s->auto_pad, "SAME_LOWER");
    for (int i = 0; i < 3; i++) {
        const int old = i - shift;
        t.in[i] = old < 0 ? 1 : s->in[old];
        t.kernel[i] = old < 0 ? 1 : s->kernel[old];
        t.stride[i] = old < 0 ? 1 : s->stride[old];
        t.dilation[i] = old < 0 ? 1 : s->dilation[old];
        t.pads[i] = old < 0 ? 0 : s->pads[old];
        t.pads[3 + i] = old < 0 ? 0 : s->pads[s->rank + old];
        const int covered = t.stride[i] * (t.in[i] - 1) + (old < 0 ? 0 : s->padding[old]) +
                            (t.kernel[i] - 1) * t.dilation[i] + 1;
        if (s->auto_pad && !strcmp(s->auto_pad, "VALID")) t.pads[i] = t.pads[3 + i] = 0;
        t.out[i] = covered - t.pads[i] - t.pads[3 + i];
        if (old < 0 || !(upper || lower || s->out[0])) continue;
        t.out[i] = s->out[0] ? s->out[old] : t.in[i] * t.stride[i];
        const int total = covered > t.out[i] ? covered - t.out[i] : 0;
        t.pads[i] = upper ? total / 2 : total - total / 2;
    }
    return t;
}

static void make_dims(const shape *s, int64_t x[9], int64_t w[9])
{
    x[0] = s->batch;
    x[1] = w[0] = s->channels;
    w[1] = s->filters / s->group;
    for (int i = 0; i < s->rank; i++) {
        x[2 + i] = s->in[i];
        w[2 + i] = s->kernel[i];
    }
    x[2 + s->rank] = w[2 + s->rank] = -1;
}

typedef struct sums {
    const op_case *c;
    int64_t        levels;
    double         real, magnitude;
    int32_t        zx, zw;
} sums;

static void see(sums *s, int64_t x, int64_t w)
{
    const octet_tensor *const in = s->c->in;
    if (in[0].qparams) {
        s->levels += (int64_t)(case_level(&in[0], x) - s->zx) * (case_level(&in[1], w) - s->zw);
        return;
    }
    const bool   wide = in[0].dtype == OCTET_F64;
    const double a = wide ? ((const double *)in[0].data)[x] : (double)((const float *)in[0].data)[x];
    const double b = wide ? ((const double *)in[1].data)[w] : (double)((const float *)in[1].data)[w];
    s->real += a * b;
    s->magnitude += fabs(a * b);
}

/* The input coordinate that tap k of output o reads; -1: none. */
static int64_t source(const shape *s, int i, int64_t o, int64_t k)
{
    const int64_t at = o + s->pads[i] - k * s->dilation[i];
    return at < 0 || at % s->stride[i] || at / s->stride[i] >= s->in[i] ? -1 : at / s->stride[i];
}

/* Sums output (n, f, o). */
static void sum(sums *to, const shape *s, int64_t n, int64_t f, const int64_t o[3])
{
    const int64_t outputs = s->filters / s->group, inputs = s->channels / s->group, group = f / outputs;
    for (int64_t a = 0; a < s->kernel[0]; a++)
        for (int64_t b = 0; b < s->kernel[1]; b++)
            for (int64_t d = 0; d < s->kernel[2]; d++)
                for (int64_t i = group * inputs; i < (group + 1) * inputs; i++) {
                    const int64_t z = source(s, 0, o[0], a), y = source(s, 1, o[1], b), x = source(s, 2, o[2], d);
                    if (z < 0 || y < 0 || x < 0) continue;
                    see(to, (((n * s->channels + i) * s->in[0] + z) * s->in[1] + y) * s->in[2] + x,
                        (((i * outputs + f % outputs) * s->kernel[0] + a) * s->kernel[1] + b) * s->kernel[2] + d);
                }
}

typedef void (*check)(const op_case *c, const sums *t, int64_t at, int64_t channel);

static void for_each_output(op_case *c, const shape *given, check see_output)
{
    const shape   s = resolved(given);
    const int64_t size = (int64_t)s.out[0] * s.out[1] * s.out[2], count = octet_tensor_count(&c->out[0]);
    assert_int_equal(count, s.batch * s.filters * size);
    for (int i = 0; i < s.rank; i++) assert_int_equal(c->out[0].dims[2 + i], s.out[3 - s.rank + i]);
    for (int64_t at = 0; at < count; at++) {
        const int64_t f = at / size % s.filters, p = at % size;
        const int64_t o[3] = { p / s.out[2] / s.out[1], p / s.out[2] % s.out[1], p % s.out[2] };
        sums          t = { .c = c };
        if (c->in[0].qparams) {
            const octet_qparams *const w = c->in[1].qparams;
            t.zx = c->in[0].qparams->zero_point[0];
            t.zw = w->zero_point[f % w->count];
        }
        sum(&t, &s, at / size / s.filters, f, o);
        see_output(c, &t, at, f);
    }
}

static void check_float(const op_case *c, const sums *t, int64_t at, int64_t channel)
{
    const float *const            b = c->in[2].data;
    const octet_batch_norm *const bn = c->node.batch_norm;
    double                        want = t->real + (double)b[channel];
    if (bn)
        want = (want - (double)bn->mean[channel]) / sqrt((double)(bn->variance[channel] + bn->epsilon)) *
                   (double)bn->gamma[channel] + (double)bn->beta[channel];
    if (c->node.activation.on) want = fmin(fmax(want, (double)c->node.activation.lo), (double)c->node.activation.hi);
    const double got = (double)((const float *)c->out[0].data)[at];
    if (fabs(got - want) > 1e-5 * (1 + t->magnitude)) fail_msg("output %ld: %.9g, not %.9g", (long)at, got, want);
}

static void check_double(const op_case *c, const sums *t, int64_t at, int64_t channel)
{
    (void)channel;
    const double got = ((const double *)c->out[0].data)[at];
    if (fabs(got - t->real) > 1e-13 * (1 + t->magnitude))
        fail_msg("output %ld: %.17g, not %.17g", (long)at, got, t->real);
}

static void check_levels(const op_case *c, const sums *t, int64_t at, int64_t channel)
{
    const octet_qparams *const x = c->in[0].qparams, *const w = c->in[1].qparams, *const y = c->out[0].qparams;
    const int64_t              acc = t->levels + ((const int32_t *)c->in[2].data)[channel];
    const double               scale = (double)w->scale[channel % w->count];
    if (!y) {
        const float want = (float)acc * (float)((double)x->scale[0] * scale);
        if (((const float *)c->out[0].data)[at] != want) fail_msg("output %ld: not %g", (long)at, (double)want);
        return;
    }
    const int32_t want = case_requantize(acc, (double)x->scale[0], scale, y);
    if (case_level(&c->out[0], at) != want)
        fail_msg("output %ld: level %d, not %d", (long)at, case_level(&c->out[0], at), want);
}

static void begin(op_case *c, const shape *s, uint64_t seed, int64_t x[9], int64_t w[9])
{
    case_begin(c, "ConvTranspose", seed);
    set_attrs(c, s);
    make_dims(s, x, w);
}

static void run_float(const shape *s, bool norm, bool clamp, int threads, uint64_t seed)
{
    op_case c;
    int64_t x[9], w[9];
    begin(&c, s, seed, x, w);
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
    begin(&c, s, seed, x, w);
    case_input(&c, OCTET_F64, x);
    case_input(&c, OCTET_F64, w);
    for (int t = 0; t < 2; t++)
        for (int64_t i = 0; i < octet_tensor_count(&c.in[t]); i++) ((double *)c.in[t].data)[i] = (double)case_real(&c);
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    for_each_output(&c, s, check_double);
    case_end(&c);
}

typedef struct flavour {
    octet_dtype x, w, y; /* y NONE: real */
    bool        per_channel;
} flavour;

static const flavour flavours[] = {
    { OCTET_U8, OCTET_I8, OCTET_U8, true },    { OCTET_I8, OCTET_I8, OCTET_I8, false },
    { OCTET_U8, OCTET_U8, OCTET_U8, true },    { OCTET_U8, OCTET_I8, OCTET_NONE, true },
    { OCTET_I16, OCTET_I8, OCTET_I16, true },
};

static void run_levels(const shape *s, const flavour *f, int threads, uint64_t seed)
{
    op_case c;
    int64_t x[9], w[9];
    begin(&c, s, seed, x, w);
    case_random_levels(&c, f->x, x, 1, 0);
    case_random_levels(&c, f->w, w, f->per_channel ? s->filters / s->group : 1, 1);
    case_input(&c, OCTET_I32, DIMS(s->filters)); /* in units of the sums */
    for (int i = 0; i < s->filters; i++) ((int32_t *)c.in[2].data)[i] = case_between(&c, -5000, 5000);
    c.call.threads = threads;
    const octet_qparams *to = NULL;
    if (f->y == OCTET_U8) to = case_qparams(&c, OCTET_U8, 0, 255, 1, 0);
    if (f->y == OCTET_I8) to = case_qparams(&c, OCTET_I8, -127, 100, 1, 0);
    if (f->y == OCTET_I16) to = case_qparams(&c, OCTET_I16, -32768, 32767, 1, 0);
    if (to) ((float *)to->scale)[0] *= 20;
    c.in[2].dtype = OCTET_F32; /* as infer sees it */
    const octet_tensor bias = c.in[2];
    case_prepare(&c, 1, to, true);
    c.in[2] = bias;
    c.in[2].dtype = OCTET_I32;
    case_run(&c, true);
    for_each_output(&c, s, check_levels);
    case_end(&c);
}

enum { FIXED = sizeof fixed / sizeof *fixed, FLAVOURS = sizeof flavours / sizeof *flavours };

static void real_numbers(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "ConvTranspose", 3);
    for (size_t i = 0; i < FIXED; i++) {
        run_float(&fixed[i], i % 2, i % 3 == 0, 1 + (int)(i % 3), i);
        run_double(&fixed[i], i);
    }
    for (uint64_t i = 0; i < 60; i++) {
        const shape s = random_shape(&c);
        run_float(&s, i % 3 == 0, i % 2, 1 + (int)(i % 3), i);
    }
    case_end(&c);
}

static void levels(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "ConvTranspose", 4);
    for (size_t i = 0; i < FIXED; i++)
        for (size_t f = 0; f < FLAVOURS; f++) run_levels(&fixed[i], &flavours[f], 1 + (int)(f % 3), i * 16 + f);
    for (uint64_t i = 0; i < 60; i++) {
        const shape s = random_shape(&c);
        run_levels(&s, &flavours[i % FLAVOURS], 1 + (int)(i % 3), i);
    }
    case_end(&c);
}

static void refuse(const shape *s, const int64_t *x, const int64_t *w, const char *field)
{
    op_case c;
    case_begin(&c, "ConvTranspose", 1);
    set_attrs(&c, s);
    case_input(&c, OCTET_F32, x);
    case_input(&c, OCTET_F32, w);
    assert_int_equal(case_infer(&c, 1), OCTET_ERR_SHAPE);
    assert_string_equal(c.err.field, field);
    case_end(&c);
}

static void refusals(void **state)
{
    (void)state;
    shape s = { .rank = 2, .group = 1, .stride = { 1, 1 }, .dilation = { 1, 1 } };
    refuse(&s, DIMS(1, 3, 4, 4), DIMS(2, 2, 3, 3), "W");
    refuse(&s, DIMS(1, 3, 4, 4), DIMS(3, 2, 3), "W");
    s.group = 2;
    refuse(&s, DIMS(1, 3, 4, 4), DIMS(3, 2, 3, 3), "group");
    s.group = 1;
    s.pads[0] = 6;
    refuse(&s, DIMS(1, 3, 4, 4), DIMS(3, 2, 3, 3), "pads");
    s.pads[0] = 0;
    s.stride[1] = INT32_MAX;
    refuse(&s, DIMS(1, 3, 4, 1024), DIMS(3, 2, 3, 3), "strides");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(real_numbers), cmocka_unit_test(levels),
                                        cmocka_unit_test(refusals) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
