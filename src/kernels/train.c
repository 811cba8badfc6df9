/* SPDX-License-Identifier: Apache-2.0 */
/* Training on channels last. */
#include OCTET_SIMD

enum { VECTORS = 4 }; /* whose sums are in registers at once */

/* t of n channels from sums that are whole numbers. */
V_INLINE void finish_sums(float *t, v_float sum, const octet_depthwise_sums *how, size_t first, size_t n)
{
    int32_t whole[V_LANES];
    float   result[V_LANES];
    v_store(whole, v_round(sum));
    for (size_t i = 0; i < V_LANES; i++) whole[i] += how->bias[first + i];
    for (size_t i = 0; i < V_LANES; i++) result[i] = (float)whole[i] * how->multiplier[first + i];
    if (n >= V_LANES) memcpy(t + first, result, sizeof result);
    else memcpy(t + first, result, n * sizeof *t);
}

/* Channels from first on, up to `vectors` vectors of them. Sums of products stay below 2^24, so they are exact. */
V_INLINE void depthwise_block(float *t, const uint8_t *x, const octet_depthwise_sums *how, size_t first,
                              const int vectors)
{
    v_float sum[VECTORS];
    V_UNROLL
    for (int v = 0; v < vectors; v++) sum[v] = v_set(0);
    for (size_t i = 0; i < how->taps; i++) {
        const uint8_t *const at = x + how->tap[i] + first;
        const float *const   w  = how->weights + i * how->channels + first;
        V_UNROLL
        for (int v = 0; v < vectors; v++)
            sum[v] = v_add(sum[v], v_mul(v_to_float(v_load_levels(at + v * V_LANES)), v_load_float(w + v * V_LANES)));
    }
    V_UNROLL
    for (int v = 0; v < vectors; v++) {
        const size_t c = first + (size_t)v * V_LANES;
        finish_sums(t, sum[v], how, c, how->channels - c);
    }
}

static void depthwise(float *t, const uint8_t *x, const octet_depthwise_sums *how)
{
    for (size_t p = 0; p < how->pixels; p++, t += how->channels, x += how->pixel) {
        size_t c = 0;
        for (; c + VECTORS * V_LANES <= how->channels; c += VECTORS * V_LANES) depthwise_block(t, x, how, c, VECTORS);
        for (; c < how->channels; c += V_LANES) depthwise_block(t, x, how, c, 1);
    }
}

/* ---- rows of channels ----
   Few channels would leave vectors and loops half empty, so several rows are taken as one long row, with what belongs
   to a channel repeated; many channels are taken in blocks. Sums are floats over a few long rows, then doubles; their
   order depends on the numbers of rows and channels alone. */

enum {
    LONG  = 256, /* of a long row, at least */
    WIDE  = 512, /* at most */
    FLUSH = 32,  /* long rows whose sum is a float */
};

typedef struct block {
    size_t channels, first;       /* of the block: channels that lie together, from this one on */
    size_t width, step;           /* of a long row; from one to the next */
    size_t count, rest;           /* long rows; elements of one that is not whole */
} block;

/* Block number i; false: there is none. */
static bool next_block(block *b, size_t i, size_t rows, size_t channels)
{
    const size_t together = channels < LONG ? LONG / channels : 1;
    const size_t first    = i * WIDE, left = first < channels ? channels - first : 0;
    if (left == 0) return false;
    *b = (block){ .channels = left < WIDE ? left : WIDE, .first = first, .step = channels, .count = rows };
    b->width = b->channels;
    if (together == 1) return true;
    b->width = b->step = together * channels;
    b->count = rows / together;
    b->rest  = rows % together * channels;
    return true;
}

/* A number per channel as often as a long row needs it. NULL: `otherwise` for all. */
static void repeat(float *to, const float *from, float otherwise, const block *b)
{
    for (size_t i = 0; i < b->width; i++) to[i] = from ? from[b->first + i % b->channels] : otherwise;
}

static void flush(double *to, float *sum, const block *b)
{
    for (size_t i = 0; i < b->width; i++) to[b->first + i % b->channels] += (double)sum[i];
    memset(sum, 0, b->width * sizeof *sum);
}

/* ---- statistics ---- */

static void add_row(float *restrict sum, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++) sum[i] += x[i];
}

static void add_squares(float *restrict sum, const float *restrict x, const float *restrict mean, size_t n)
{
    for (size_t i = 0; i < n; i++) sum[i] += (x[i] - mean[i]) * (x[i] - mean[i]);
}

static void moments(double *to, const float *x, const float *mean, size_t rows, size_t channels)
{
    block b;
    float sum[WIDE] = { 0 }, middle[WIDE];
    for (size_t i = 0; next_block(&b, i, rows, channels); i++) {
        repeat(middle, mean, 0, &b);
        for (size_t r = 0; r <= b.count; r++) {
            const float *const row = x + b.first + r * b.step;
            const size_t       n   = r < b.count ? b.width : b.rest;
            if (mean) add_squares(sum, row, middle, n);
            else add_row(sum, row, n);
            if (r % FLUSH == FLUSH - 1 || r == b.count) flush(to, sum, &b);
        }
    }
}

static void extend(float *restrict lo, float *restrict hi, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++) lo[i] = x[i] < lo[i] ? x[i] : lo[i];
    for (size_t i = 0; i < n; i++) hi[i] = x[i] > hi[i] ? x[i] : hi[i];
}

static void range(float *lo, float *hi, const float *x, size_t rows, size_t channels)
{
    block b;
    float low[WIDE], high[WIDE];
    for (size_t i = 0; next_block(&b, i, rows, channels); i++) {
        repeat(low, lo, 0, &b);
        repeat(high, hi, 0, &b);
        for (size_t r = 0; r <= b.count; r++)
            extend(low, high, x + b.first + r * b.step, r < b.count ? b.width : b.rest);
        for (size_t k = 0; k < b.width; k++) {
            const size_t c = b.first + k % b.channels;
            lo[c]          = low[k] < lo[c] ? low[k] : lo[c];
            hi[c]          = high[k] > hi[c] ? high[k] : hi[c];
        }
    }
}

/* ---- forward ---- */

/* clamp(rne(t)), lo and hi whole numbers of less than 2^22: t is clamped first, which changes nothing; adding 1.5 * 2^23
   rounds to nearest even, and taking it off again leaves +0 where an integer would be 0. NaN is 0. */
V_INLINE float level_of(float t, float lo, float hi)
{
    const float magic = 12582912.0f, number = t == t ? t : 0.0f, raised = number > lo ? number : lo;
    return ((raised < hi ? raised : hi) + magic) - magic;
}

V_INLINE void finish_row(float *restrict y, const float *restrict z, const float *restrict a, const float *restrict b,
                         const octet_train_finish *how, size_t n, const bool rounds)
{
    const octet_train_finish h = *how;
    for (size_t i = 0; i < n; i++) {
        const float x = z[i] * a[i] + b[i], raised = x < h.lo ? h.lo : x, t = raised > h.hi ? h.hi : raised;
        y[i]          = rounds ? level_of(t / h.scale, h.level_lo, h.level_hi) * h.scale : t;
    }
}

static void finish_rounded(float *y, const float *z, const float *a, const float *b, const octet_train_finish *how,
                           size_t n)
{
    finish_row(y, z, a, b, how, n, true);
}

static void finish_plain(float *y, const float *z, const float *a, const float *b, const octet_train_finish *how,
                         size_t n)
{
    finish_row(y, z, a, b, how, n, false);
}

static void finish_real(float *y, const float *z, const octet_train_finish *how, size_t rows)
{
    block b;
    float scale[WIDE], shift[WIDE];
    for (size_t i = 0; next_block(&b, i, rows, how->channels); i++) {
        repeat(scale, how->factor, 1, &b);
        repeat(shift, how->shift, 0, &b);
        for (size_t r = 0; r <= b.count; r++) {
            const size_t at = b.first + r * b.step;
            (how->rounds ? finish_rounded : finish_plain)(y + at, z + at, scale, shift, how,
                                                          r < b.count ? b.width : b.rest);
        }
    }
}

/* ---- backward ---- */

V_INLINE float passed(float d, float x, const octet_train_gate *g)
{
    const float some = x >= g->lo ? d : 0.0f;
    return x <= g->hi ? some : 0.0f;
}

typedef struct gate_rows {
    float scale[WIDE], shift[WIDE], sum[WIDE], along[WIDE];
} gate_rows;

V_INLINE void gate_row(float *restrict d, const float *restrict z, gate_rows *restrict rows, const octet_train_gate *g,
                       size_t n)
{
    const octet_train_gate h = *g;
    for (size_t i = 0; i < n; i++) {
        const float p = passed(d[i], z[i] * rows->scale[i] + rows->shift[i], &h);
        d[i]          = p;
        rows->sum[i] += p;
        rows->along[i] += p * z[i];
    }
}

static void gate(double *sum, double *along, float *d, const float *z, const octet_train_gate *g, size_t rows)
{
    block     b;
    gate_rows r = { .sum = { 0 }, .along = { 0 } };
    for (size_t i = 0; next_block(&b, i, rows, g->channels); i++) {
        repeat(r.scale, g->factor, 1, &b);
        repeat(r.shift, g->shift, 0, &b);
        for (size_t k = 0; k <= b.count; k++) {
            const size_t at = b.first + k * b.step;
            gate_row(d + at, z + at, &r, g, k < b.count ? b.width : b.rest);
            if (k % FLUSH != FLUSH - 1 && k < b.count) continue;
            flush(sum, r.sum, &b);
            flush(along, r.along, &b);
        }
    }
}

static void combine_row(float *restrict to, const float *restrict d, const float *restrict z,
                        float factors[restrict 3][WIDE], size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = d[i] * factors[0][i] + z[i] * factors[1][i] + factors[2][i];
}

static void combine(float *to, const float *d, const float *z, const float *const factors[3], size_t rows,
                    size_t channels)
{
    block b;
    float f[3][WIDE];
    for (size_t i = 0; next_block(&b, i, rows, channels); i++) {
        for (int k = 0; k < 3; k++) repeat(f[k], factors[k], 0, &b);
        for (size_t r = 0; r <= b.count; r++) {
            const size_t at = b.first + r * b.step;
            combine_row(to + at, d + at, z + at, f, r < b.count ? b.width : b.rest);
        }
    }
}

const octet_train_kernel V_NAME(octet_train) = { depthwise, moments, range, finish_real, gate, combine };
