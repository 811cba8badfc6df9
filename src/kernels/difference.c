/* SPDX-License-Identifier: Apache-2.0 */
/* How far numbers are from others. Number i of a call goes to lane i % 8 of every sum, in double, whatever the width of
   a vector is, and a product of two floats is exact there: all sets give the same sums. */
#include OCTET_SIMD

enum { GROUP = 16, VECTORS = GROUP / V_LANES }; /* numbers at a time */

/* Sums in registers. */
typedef struct sums {
    v_sums  signal, noise, cross, second;
    v_float most;
} sums;

V_INLINE sums load_sums(const octet_difference *from)
{
    return (sums){ v_load_sums(from->signal), v_load_sums(from->noise), v_load_sums(from->cross),
                   v_load_sums(from->second), v_set(from->most) };
}

V_INLINE void store_sums(octet_difference *to, const sums *s)
{
    float most[V_LANES];
    v_store_float(most, s->most);
    for (int i = 0; i < V_LANES; i++) to->most = most[i] > to->most ? most[i] : to->most;
    v_store_sums(to->signal, &s->signal);
    v_store_sums(to->noise, &s->noise);
    v_store_sums(to->cross, &s->cross);
    v_store_sums(to->second, &s->second);
}

V_INLINE void add(sums *s, int vector, v_float r, v_float measured)
{
    const v_float d = v_sub(r, measured);
    v_add_products(&s->signal, vector, r, r);
    v_add_products(&s->noise, vector, d, d);
    v_add_products(&s->cross, vector, r, d);
    s->most = v_most(s->most, d);
}

/* ---- real numbers ---- */

V_INLINE void add_group(sums *s, const float *reference, const float *measured)
{
    V_UNROLL
    for (int v = 0; v < VECTORS; v++)
        add(s, v, v_load_float(reference + v * V_LANES), v_load_float(measured + v * V_LANES));
}

static void reals(octet_difference *to, const float *reference, const float *measured, size_t n)
{
    sums   s = load_sums(to);
    size_t i = 0;
    for (; i + GROUP <= n; i += GROUP) add_group(&s, reference + i, measured + i);
    if (i < n) {
        float r[GROUP] = { 0 }, m[GROUP] = { 0 };
        memcpy(r, reference + i, (n - i) * sizeof *r);
        memcpy(m, measured + i, (n - i) * sizeof *m);
        add_group(&s, r, m);
    }
    store_sums(to, &s);
}

/* ---- levels ---- */

V_INLINE v_float reals_of(const octet_compared_levels *how, const uint8_t *levels)
{
    return v_mul(v_add(v_to_float(v_load_levels(levels)), v_set(-(float)how->to.zero_point)), v_set(how->scale));
}

V_INLINE void add_levels(sums *s, const octet_compared_levels *how, const float *real, const uint8_t *whole,
                         uint8_t *fed)
{
    const float lo = (float)(how->to.lo - how->to.zero_point), hi = (float)(how->to.hi - how->to.zero_point);
    v_int       rounded[4];
    V_UNROLL
    for (int v = 0; v < VECTORS; v++) {
        const v_float r = v_load_float(real + v * V_LANES), d = v_sub(r, reals_of(how, fed + v * V_LANES));
        add(s, v, r, reals_of(how, whole + v * V_LANES));
        v_add_products(&s->second, v, d, d);
        rounded[v] = v_round(v_clamp(v_number(v_div(r, v_set(how->scale))), lo, hi));
    }
    V_UNROLL
    for (int v = VECTORS; v < 4; v++) rounded[v] = rounded[0];
    v_store_levels(fed, v_narrow(rounded, &how->to), 0, VECTORS);
}

/* A group that is not full: the rest differs in nothing. */
V_INLINE void add_part(sums *s, const octet_compared_levels *how, const float *real, const uint8_t *whole, uint8_t *fed,
                       size_t n)
{
    uint8_t a[GROUP], b[GROUP];
    float   r[GROUP] = { 0 };
    memset(a, how->to.zero_point, sizeof a);
    memset(b, how->to.zero_point, sizeof b);
    memcpy(a, whole, n);
    memcpy(b, fed, n);
    memcpy(r, real, n * sizeof *r);
    add_levels(s, how, r, a, b);
    memcpy(fed, b, n);
}

static void levels(octet_difference *to, const octet_compared_levels *rule, const float *real, const uint8_t *whole,
                   uint8_t *fed)
{
    const octet_compared_levels how = *rule;
    sums                        s   = load_sums(to);
    for (size_t p = 0; p < how.pixels; p++, whole += how.pixel, fed += how.pixel, real += how.block)
        for (size_t c = 0; c < how.channels; c += GROUP) {
            const size_t n = how.channels - c;
            if (n >= GROUP) add_levels(&s, &how, real + c, whole + c, fed + c);
            else add_part(&s, &how, real + c, whole + c, fed + c, n);
        }
    store_sums(to, &s);
}

const octet_difference_kernel V_NAME(octet_difference) = { reals, levels };
