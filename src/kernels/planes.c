/* SPDX-License-Identifier: Apache-2.0 */
/* Between planes (channels first) and pixels (channels last), with real numbers and levels on either side. Four
   channels of a pixel are one 32-bit word: planes turn into words and back in loops that compilers make vectors of,
   and only whole words, not bytes, are scattered over pixels or gathered from them. */
#include OCTET_SIMD

enum { RUN = 256 }; /* pixels of which words are held: many, since a run begins with constants and ends with a test */

/* Word shifts of channel c of a word, whose first byte in memory is channel 0. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
enum { FIRST_SHIFT = 24, NEXT_SHIFT = -8 };
#else
enum { FIRST_SHIFT = 0, NEXT_SHIFT = 8 };
#endif

static unsigned shift_of(size_t channel) { return (unsigned)(FIRST_SHIFT + NEXT_SHIFT * (int)channel); }

/* One pixel is a row of planes, where these are dense: then its channels are like pixels of one channel. */
static octet_planes shape_of(const octet_planes *size)
{
    if (size->pixels != 1 || size->plane != 1) return *size;
    return (octet_planes){ .pixels = size->channels, .channels = 1, .plane = size->channels, .pixel = 1 };
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* ---- words and pixels ---- */

/* Channels of a pixel's word: all 4 bytes may be written where nothing but padding follows. */
static void scatter(uint8_t *levels, size_t pixel, const uint32_t *words, size_t n, size_t channels)
{
    if (pixel == 4) { /* not one memcpy: for a length that it does not know gcc takes its slowest */
        for (size_t p = 0; p < n; p++) memcpy(levels + 4 * p, words + p, 4);
    } else if (pixel == 1) {
        for (size_t p = 0; p < n; p++) levels[p] = (uint8_t)(words[p] >> FIRST_SHIFT);
    } else if (channels == 4) {
        for (size_t p = 0; p < n; p++) memcpy(levels + p * pixel, words + p, 4);
    } else {
        for (size_t p = 0; p < n; p++) memcpy(levels + p * pixel, words + p, channels);
    }
}

static void gather(uint32_t *words, const uint8_t *levels, size_t pixel, size_t n, size_t channels)
{
    if (pixel == 4 && channels == 4) {
        memcpy(words, levels, 4 * n);
    } else if (pixel == 1) {
        for (size_t p = 0; p < n; p++) words[p] = (uint32_t)levels[p] << FIRST_SHIFT;
    } else if (channels == 4) {
        for (size_t p = 0; p < n; p++) memcpy(words + p, levels + p * pixel, 4);
    } else {
        memset(words, 0, n * sizeof *words);
        for (size_t p = 0; p < n; p++) memcpy(words + p, levels + p * pixel, channels);
    }
}

/* ---- quantizing ---- */

/* The quotient decides, but a product with the reciprocal is within 2^-13 of it as long as both are below 256: three
   roundings of 2^-24 each (the reciprocal of a scale above 2^126 has fewer bits, but then quotients are below 4). So
   wherever the product is farther than that from a tie, it rounds to the same level. */
typedef struct divide {
    float    scale, reciprocal, lo, hi;
    int32_t  zero_point;
    uint32_t near; /* bits of the distance to the level from which on the quotient is asked */
} divide;

static divide divide_of(const octet_real_levels *rule)
{
    divide      d = { .scale = rule->scale, .reciprocal = 1.0f / rule->scale, .zero_point = rule->to.zero_point };
    const float near = 0.5f - 0x1p-13f;
    d.lo = (float)(rule->to.lo - d.zero_point);
    d.hi = (float)(rule->to.hi - d.zero_point);
    memcpy(&d.near, &near, sizeof near);
    return d;
}

/* 1.5 * 2^23: a float this large has its integers, rounded to nearest even, in the last bits. */
#define RAISED 12582912.0f

/* Adds levels to words. Returns false where some are too near to a tie, or NaN. */
static bool try_words(uint32_t *restrict words, const float *restrict x, size_t n, const divide *rule, unsigned shift)
{
    const float reciprocal = rule->reciprocal, lo = rule->lo, hi = rule->hi, raised = RAISED + (float)rule->zero_point;
    uint32_t    farthest = 0;
    for (size_t i = 0; i < n; i++) {
        const float product = x[i] * reciprocal;
        const float above = lo > product ? lo : product, t = hi < above ? hi : above; /* NaN stays */
        const float sum = t + raised, distance = t - (sum - raised);
        uint32_t    level, far;
        memcpy(&level, &sum, sizeof level);
        memcpy(&far, &distance, sizeof far);
        far &= 0x7fffffff;
        farthest = far > farthest ? far : farthest;
        words[i] |= (level & 0xff) << shift;
    }
    return farthest < rule->near;
}

/* The definition, in place of whatever words have at `shift`. */
static void divide_words(uint32_t *restrict words, const float *restrict x, size_t n, const divide *rule,
                         unsigned shift)
{
    const float   scale = rule->scale, lo = rule->lo, hi = rule->hi;
    const int32_t zero_point = rule->zero_point;
    for (size_t i = 0; i < n; i++) {
        const float quotient = x[i] / scale, number = quotient == quotient ? quotient : 0.0f;
        const float above = number > lo ? number : lo, sum = (above < hi ? above : hi) + RAISED;
        uint32_t    level;
        memcpy(&level, &sum, sizeof level);
        words[i] = (words[i] & ~(0xffu << shift)) | ((level + (uint32_t)zero_point) & 0xff) << shift;
    }
}

static void quantize(uint8_t *levels, const float *planes, const octet_planes *size, const octet_real_levels *rule)
{
    const octet_planes s = shape_of(size);
    const divide       how = divide_of(rule);
    for (size_t p = 0; p < s.pixels; p += RUN)
        for (size_t c = 0; c < s.channels; c += 4) {
            const size_t n = least(s.pixels - p, RUN), channels = least(s.channels - c, 4);
            uint32_t     words[RUN] = { 0 };
            for (size_t k = 0; k < channels; k++) {
                const float *const x = planes + (c + k) * s.plane + p;
                if (!try_words(words, x, n, &how, shift_of(k))) divide_words(words, x, n, &how, shift_of(k));
            }
            scatter(levels + p * s.pixel + c, s.pixel, words, n, channels);
        }
}

/* ---- back to numbers, and bytes as they are ---- */

static void dequantize(float *planes, const uint8_t *levels, const octet_planes *size, const octet_real_levels *rule)
{
    const octet_planes s = shape_of(size);
    const float        scale = rule->scale;
    const int32_t      zero_point = rule->to.zero_point;
    for (size_t p = 0; p < s.pixels; p += RUN)
        for (size_t c = 0; c < s.channels; c += 4) {
            const size_t n = least(s.pixels - p, RUN), channels = least(s.channels - c, 4);
            uint32_t     words[RUN];
            gather(words, levels + p * s.pixel + c, s.pixel, n, channels);
            for (size_t k = 0; k < channels; k++) {
                float *const   x = planes + (c + k) * s.plane + p;
                const unsigned shift = shift_of(k);
                for (size_t i = 0; i < n; i++) x[i] = (float)((int32_t)(words[i] >> shift & 0xff) - zero_point) * scale;
            }
        }
}

static void to_pixels(uint8_t *levels, const uint8_t *planes, const octet_planes *size, uint8_t flip)
{
    const octet_planes s = shape_of(size);
    for (size_t p = 0; p < s.pixels; p += RUN)
        for (size_t c = 0; c < s.channels; c += 4) {
            const size_t n = least(s.pixels - p, RUN), channels = least(s.channels - c, 4);
            uint32_t     words[RUN] = { 0 };
            for (size_t k = 0; k < channels; k++) {
                const uint8_t *const from = planes + (c + k) * s.plane + p;
                const unsigned       shift = shift_of(k);
                for (size_t i = 0; i < n; i++) words[i] |= (uint32_t)(from[i] ^ flip) << shift;
            }
            scatter(levels + p * s.pixel + c, s.pixel, words, n, channels);
        }
}

static void to_planes(uint8_t *planes, const uint8_t *levels, const octet_planes *size, uint8_t flip)
{
    const octet_planes s = shape_of(size);
    for (size_t p = 0; p < s.pixels; p += RUN)
        for (size_t c = 0; c < s.channels; c += 4) {
            const size_t n = least(s.pixels - p, RUN), channels = least(s.channels - c, 4);
            uint32_t     words[RUN];
            gather(words, levels + p * s.pixel + c, s.pixel, n, channels);
            for (size_t k = 0; k < channels; k++) {
                uint8_t *const to = planes + (c + k) * s.plane + p;
                const unsigned shift = shift_of(k);
                for (size_t i = 0; i < n; i++) to[i] = (uint8_t)(words[i] >> shift) ^ flip;
            }
        }
}

/* Blocks small enough to stay in first-level cache, whichever way they are walked. */
static void real_to_planes(float *planes, const float *pixels, const octet_planes *size)
{
    enum { SIDE = 16 };
    const octet_planes s = shape_of(size);
    if (s.channels == 1 && s.pixel == 1) {
        memcpy(planes, pixels, s.pixels * sizeof *planes);
        return;
    }
    for (size_t p = 0; p < s.pixels; p += SIDE)
        for (size_t c = 0; c < s.channels; c += SIDE) {
            const size_t n = least(s.pixels - p, SIDE), channels = least(s.channels - c, SIDE);
            for (size_t k = 0; k < channels; k++)
                for (size_t i = 0; i < n; i++)
                    planes[(c + k) * s.plane + p + i] = pixels[(p + i) * s.pixel + c + k];
        }
}

extern const octet_planes_kernel V_NAME(octet_planes);
const octet_planes_kernel        V_NAME(octet_planes) = {
    .quantize = quantize,
    .dequantize = dequantize,
    .to_pixels = to_pixels,
    .to_planes = to_planes,
    .real_to_planes = real_to_planes,
};
