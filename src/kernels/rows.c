/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of floats while training, a vector of channels at a time. A channel's numbers are summed in the order of pixels
   whatever the width of a vector is, so all sets give the same sums. Compilers know these vectors: no intrinsics. */
#include OCTET_SIMD

enum { LANES = V_LANES > 4 ? V_LANES : 4, TILE = 64 }; /* pixels that are summed in float before a double takes them */

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef uint8_t bytes __attribute__((vector_size(LANES)));
typedef int32_t masks __attribute__((vector_size(LANES * sizeof(int32_t))));

V_INLINE lanes all(float x) { return (lanes){ 0 } + x; }

V_INLINE lanes choose(masks which, lanes a, lanes b) { return (lanes)((which & (masks)a) | (~which & (masks)b)); }

V_INLINE lanes load(const float *from, size_t n)
{
    lanes x = { 0 };
    if (n >= LANES) memcpy(&x, from, sizeof x);
    else memcpy(&x, from, n * sizeof *from);
    return x;
}

V_INLINE void store(float *to, lanes x, size_t n)
{
    if (n >= LANES) memcpy(to, &x, sizeof x);
    else memcpy(to, &x, n * sizeof *to);
}

/* Nearest, ties to even, for |t| <= 2^22. */
V_INLINE lanes nearest(lanes t)
{
    const lanes large = all(0x1.8p23f);
    return (t + large) - large;
}

static void add_doubles(double *to, lanes x, size_t n)
{
    for (size_t l = 0; l < n && l < LANES; l++) to[l] += (double)x[l];
}

/* Calls body for blocks of channels c of n <= LANES, over tiles of pixels first..last. */
#define FOR_BLOCKS(rows)                                                                                              \
    for (size_t first = 0; first < (rows)->pixels; first += TILE)                                                     \
        for (size_t c = 0, last = first + TILE < (rows)->pixels ? first + TILE : (rows)->pixels;                      \
             c < (rows)->channels; c += LANES)

#define LANES_FROM(c, rows) ((rows)->channels - (c) < LANES ? (rows)->channels - (c) : LANES)

/* ---- forward ---- */

V_INLINE void moments_block(const octet_row_sums *to, const float *z, const octet_rows *rows, size_t pixels, size_t n)
{
    const lanes pivot = load(to->pivot, n);
    lanes       sum = { 0 }, square = { 0 }, least = load(to->least, n), most = load(to->most, n);
    for (size_t p = 0; p < pixels; p++, z += rows->channels) {
        const lanes x = load(z, n), away = x - pivot;
        sum += away;
        square += away * away;
        least = choose(x < least, x, least);
        most  = choose(x > most, x, most);
    }
    add_doubles(to->sum, sum, n);
    add_doubles(to->square, square, n);
    store(to->least, least, n);
    store(to->most, most, n);
}

static void moments(const octet_row_sums *to, const float *z, const octet_rows *rows)
{
    FOR_BLOCKS(rows) {
        const size_t         n    = LANES_FROM(c, rows);
        const octet_row_sums part = { to->pivot + c, to->sum + c, to->square + c, to->least + c, to->most + c };
        const float *const   from = z + first * rows->channels + c;
        if (n == LANES) moments_block(&part, from, rows, last - first, LANES);
        else moments_block(&part, from, rows, last - first, n);
    }
}

V_INLINE lanes clamped(lanes x, const octet_row_finish *how)
{
    const lanes raised = choose(x < all(how->lo), all(how->lo), x);
    return choose(raised > all(how->hi), all(how->hi), raised);
}

/* Levels less the zero point, before they are clamped to where they may go. NaN is 0. */
V_INLINE lanes units_of(lanes x, const octet_row_finish *how)
{
    const lanes t = x / all(how->step);
    return choose(t == t, t, (lanes){ 0 });
}

V_INLINE lanes rounded(lanes x, const octet_row_finish *how)
{
    const lanes t = units_of(x, how), raised = choose(t < all(how->lowest), all(how->lowest), t);
    return nearest(choose(raised > all(how->highest), all(how->highest), raised));
}

V_INLINE void store_bytes(uint8_t *to, lanes units, const octet_row_finish *how, size_t n)
{
    const masks levels = __builtin_convertvector(units, masks) + how->zero_point;
    const bytes b      = __builtin_convertvector(levels, bytes);
    memcpy(to, &b, n < LANES ? n : LANES);
}

V_INLINE void finish_block(const octet_row_target *to, const float *z, const octet_row_finish *how,
                           const octet_rows *rows, const size_t spans[2])
{
    const size_t n     = spans[1];
    const lanes  scale = load(how->scale, n), shift = load(how->shift, n);
    for (size_t p = 0, at = 0; p < spans[0]; p++, at += rows->channels) {
        const lanes x = clamped(load(z + at, n) * scale + shift, how);
        if (how->step == 0) {
            store(to->reals + at, x, n);
            continue;
        }
        const lanes units = rounded(x, how);
        store(to->reals + at, units * all(how->unit), n);
        if (to->levels) store_bytes(to->levels + at, units, how, n);
    }
}

static void finish(const octet_row_target *to, const float *z, const octet_row_finish *how, const octet_rows *rows)
{
    FOR_BLOCKS(rows) {
        const size_t           n    = LANES_FROM(c, rows), at = first * rows->channels + c;
        const octet_row_target here = { to->reals + at, to->levels ? to->levels + at : NULL };
        octet_row_finish       part = *how;
        part.scale += c;
        part.shift += c;
        if (n == LANES) finish_block(&here, z + at, &part, rows, (size_t[]){ last - first, LANES });
        else finish_block(&here, z + at, &part, rows, (size_t[]){ last - first, n });
    }
}

/* ---- backward ---- */

V_INLINE void reduce_block(const octet_row_gradients *to, float *d, const float *z, const octet_rows *rows,
                           const size_t spans[2])
{
    const octet_row_finish *const how = to->how;
    const size_t                  n   = spans[1];
    const lanes scale = load(how->scale, n), shift = load(how->shift, n), pivot = load(to->pivot, n);
    lanes       sum = { 0 }, product = { 0 }, of_step = { 0 }, of_zero = { 0 };
    for (size_t p = 0; p < spans[0]; p++, z += rows->channels, d += rows->channels) {
        const lanes from = load(z, n), x = from * scale + shift;
        lanes       g    = load(d, n);
        if (how->step > 0) {
            const lanes t = units_of(clamped(x, how), how), q = nearest(clamped(t, &to->wide));
            const masks under = q < all(how->lowest), over = q > all(how->highest);
            if (to->learns) {
                const lanes bound = choose(under, all(how->lowest), all(how->highest));
                of_step += g * choose(under | over, bound, q - t);
                of_zero -= choose(under | over, g * all(how->step), (lanes){ 0 });
            }
            g = choose(under | over, (lanes){ 0 }, g);
        }
        if (how->bounded) g = choose((x > all(how->lo)) & (x < all(how->hi)), g, (lanes){ 0 });
        sum += g;
        product += g * (from - pivot);
        store(d, g, n);
    }
    add_doubles(to->sum, sum, n);
    add_doubles(to->product, product, n);
    if (!to->learns) return;
    for (size_t l = 0; l < n; l++) *to->step += (double)of_step[l], *to->zero_point += (double)of_zero[l];
}

static void reduce(const octet_row_gradients *to, float *d, const float *z, const octet_rows *rows)
{
    FOR_BLOCKS(rows) {
        const size_t        n = LANES_FROM(c, rows), at = first * rows->channels + c;
        octet_row_finish    how = *to->how;
        octet_row_gradients part = *to;
        how.scale += c;
        how.shift += c;
        part.how = &how;
        part.pivot += c;
        part.sum += c;
        part.product += c;
        if (n == LANES) reduce_block(&part, d + at, z + at, rows, (size_t[]){ last - first, LANES });
        else reduce_block(&part, d + at, z + at, rows, (size_t[]){ last - first, n });
    }
}

V_INLINE void combine_block(float *d, const float *z, const float *const factors[3], const octet_rows *rows,
                            size_t pixels, size_t n)
{
    const lanes a = load(factors[0], n), b = load(factors[1], n), e = load(factors[2], n);
    for (size_t p = 0; p < pixels; p++, z += rows->channels, d += rows->channels)
        store(d, load(d, n) * a + load(z, n) * b + e, n);
}

static void combine(float *d, const float *z, const float *const factors[3], const octet_rows *rows)
{
    FOR_BLOCKS(rows) {
        const size_t       n = LANES_FROM(c, rows), at = first * rows->channels + c;
        const float *const part[3] = { factors[0] + c, factors[1] + c, factors[2] + c };
        if (n == LANES) combine_block(d + at, z + at, part, rows, last - first, LANES);
        else combine_block(d + at, z + at, part, rows, last - first, n);
    }
}

const octet_rows_kernel V_NAME(octet_rows) = { .moments = moments, .finish = finish, .reduce = reduce,
                                               .combine = combine };
