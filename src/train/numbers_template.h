/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of a tape for one type; numbers.c includes this once per type with T, SQRT and NAME(x) defined. No guard:
   it is meant to be included again. */

static void NAME(scale)(void *y, const void *x, const double *k, const octet_channel_shape *shape)
{
    const T *from = x;
    T       *to   = y;
    for (size_t o = 0; o < shape->outer; o++)
        for (size_t c = 0; c < shape->channels; c++, from += shape->inner, to += shape->inner) {
            const T factor = (T)k[c];
            for (size_t i = 0; i < shape->inner; i++) to[i] = from[i] * factor;
        }
}

static void NAME(norm_scale)(double *k, const octet_tape_linear *linear, bool by_reciprocal)
{
    const T *const gamma = linear->gamma->value, *const variance = linear->variance->value;
    for (size_t c = 0; c < linear->gamma->count; c++) {
        const T deviation = SQRT(variance[c] + (T)linear->epsilon);
        k[c] = (double)(by_reciprocal ? gamma[c] * ((T)1 / deviation) : gamma[c] / deviation);
    }
}

static void NAME(affine)(void *y, const octet_tape_step *step, size_t first, size_t last)
{
    const octet_channel_shape    *shape = &step->shape;
    const octet_activation *const act   = &step->node->activation;
    const size_t                  row   = shape->channels * shape->inner;
    const T                       lo = act->on ? (T)act->lo : (T)-INFINITY, hi = act->on ? (T)act->hi : (T)INFINITY;
    const T                      *z  = (const T *)step->z.data + first * row;
    T                            *to = (T *)y + first * row;
    for (size_t o = first; o < last; o++)
        for (size_t c = 0; c < shape->channels; c++, z += shape->inner, to += shape->inner) {
            const T a = step->scale ? (T)step->scale[c] : (T)1, b = step->scale ? (T)step->shift[c] : (T)0;
            for (size_t i = 0; i < shape->inner; i++) {
                const T x = z[i] * a + b, raised = x < lo ? lo : x;
                to[i]     = raised > hi ? hi : raised;
            }
        }
}

static void NAME(clamp_gradient)(void *d, const octet_tape_step *step, size_t first, size_t last)
{
    const octet_channel_shape    *shape = &step->shape;
    const octet_activation *const act   = &step->node->activation;
    const size_t                  row   = shape->channels * shape->inner;
    const T                       lo = (T)act->lo, hi = (T)act->hi;
    const T                      *z  = (const T *)step->z.data + first * row;
    T                            *to = (T *)d + first * row;
    for (size_t o = first; o < last; o++)
        for (size_t c = 0; c < shape->channels; c++, z += shape->inner, to += shape->inner) {
            const T a = step->scale ? (T)step->scale[c] : (T)1, b = step->scale ? (T)step->shift[c] : (T)0;
            for (size_t i = 0; i < shape->inner; i++) {
                const T x = z[i] * a + b;
                to[i]     = x > lo && x < hi ? to[i] : (T)0;
            }
        }
}

static void NAME(moments)(double *sum, const void *x, const double *mean, const octet_channel_shape *shape,
                          size_t first, size_t last)
{
    const T *from = (const T *)x + first * shape->channels * shape->inner;
    for (size_t o = first; o < last; o++)
        for (size_t c = 0; c < shape->channels; c++, from += shape->inner) {
            const double middle = mean ? mean[c] : 0;
            double       total  = 0;
            for (size_t i = 0; i < shape->inner; i++) {
                const double away = (double)from[i] - middle;
                total += mean ? away * away : away;
            }
            sum[c] += total;
        }
}

static void NAME(gradient_moments)(double *sum, const void *d, const void *z, const octet_channel_shape *shape,
                                   size_t first, size_t last)
{
    const size_t row = shape->channels * shape->inner;
    const T     *g = (const T *)d + first * row, *x = (const T *)z + first * row;
    for (size_t o = first; o < last; o++)
        for (size_t c = 0; c < shape->channels; c++, g += shape->inner, x += shape->inner) {
            double s = 0, p = 0;
            for (size_t i = 0; i < shape->inner; i++) {
                s += (double)g[i];
                p += (double)g[i] * (double)x[i];
            }
            sum[c] += s;
            sum[shape->channels + c] += p;
        }
}

static void NAME(combine)(void *d, const void *z, const double *const factors[3], const octet_channel_shape *shape,
                          size_t first, size_t last)
{
    const size_t row = shape->channels * shape->inner;
    T           *g = (T *)d + first * row;
    const T     *x = (const T *)z + first * row;
    for (size_t o = first; o < last; o++)
        for (size_t c = 0; c < shape->channels; c++, g += shape->inner, x += shape->inner) {
            const T a = (T)factors[0][c], b = (T)factors[1][c], e = (T)factors[2][c];
            for (size_t i = 0; i < shape->inner; i++) g[i] = g[i] * a + x[i] * b + e;
        }
}

static void NAME(dot)(double *sum, const void *a, const void *b, const octet_channel_shape *shape)
{
    const T *x = a, *y = b;
    for (size_t o = 0; o < shape->outer; o++)
        for (size_t c = 0; c < shape->channels; c++, x += shape->inner, y += shape->inner)
            for (size_t i = 0; i < shape->inner; i++) sum[c] += (double)x[i] * (double)y[i];
}

static void NAME(add_scaled)(void *into, const void *from, const double *k, const octet_channel_shape *shape)
{
    const T *x  = from;
    T       *to = into;
    for (size_t o = 0; o < shape->outer; o++)
        for (size_t c = 0; c < shape->channels; c++, x += shape->inner, to += shape->inner)
            for (size_t i = 0; i < shape->inner; i++) to[i] += x[i] * (T)k[c];
}
