/* SPDX-License-Identifier: Apache-2.0 */
/* What comparing a layer is made of, without putting its values in logical order first: the float network keeps them in
   blocks of channels, the quantized one in pixels, and within a block both go the same way. One pass compares both
   results with the float network's and puts that one, rounded, in the place of the second. A sum's order is that of
   memory, the same for any number of threads. */
#include "measure/compare.h"

#include "engine/plan.h"
#include "measure/lanes.h"

typedef int32_t levels4 __attribute__((vector_size(16)));

/* Both sides of one value. */
typedef struct blocks {
    const float      *real; /* [image][block of channels][pixel][channel] */
    const uint8_t    *whole;
    uint8_t          *fed; /* read, then written */
    const octet_area *area;
    size_t            block;
    float             scale, lo, hi; /* bounds of level less zero point */
    int32_t           zero;
} blocks;

static const octet_form *shown(const octet_plan *plan, const octet_value *value)
{
    const int form = octet_plan_shown_form(plan, value);
    return form < 0 ? NULL : &plan->forms[form];
}

enum { GROUP = 16 }; /* channels at a time */

/* Bytes are made integers by their place in memory. */
static bool is_little_endian(void)
{
    const uint16_t one = 1;
    uint8_t        first;
    memcpy(&first, &one, 1);
    return first == 1;
}

static bool find_blocks(blocks *b, const octet_comparing *c, const octet_layer *layer)
{
    const octet_form *const real = shown(c->pairing->real_plan, layer->reference);
    const octet_form *const q    = shown(c->pairing->quantized_plan, layer->value);
    if (!real || !q || real->layout != OCTET_LAYOUT_BLOCKED || q->layout != OCTET_LAYOUT_PIXELS || q->area.fold.unit ||
        real->logical.rank != 4)
        return false;
    const octet_qparams *const p = q->logical.qparams;
    *b = (blocks){ .real = octet_workspace_raw(c->real, layer->reference).data,
                   .whole = octet_workspace_raw(c->quantized, layer->value).data,
                   .fed = octet_workspace_place(c->fed, layer->value), .area = &q->area,
                   .block = (size_t)real->stored.dims[4], .scale = p->scale[0],
                   .lo = (float)(p->qmin - p->zero_point[0]), .hi = (float)(p->qmax - p->zero_point[0]),
                   .zero = q->area.zero };
    return b->real && b->whole && b->fed && b->block % GROUP == 0 && is_little_endian();
}

/* Four levels, less the zero point, as real numbers. */
static inline octet_lane4 reals_of(const blocks *b, levels4 bytes)
{
    return __builtin_convertvector(bytes - b->zero, octet_lane4) * b->scale;
}

/* Octet's rounding: the quotient, cut, to the nearest even integer (1.5 * 2^23 has them in its last bits). */
static inline levels4 round_to_bytes(const blocks *b, octet_lane4 x)
{
    const octet_lane4 zero = { 0 }, lo = zero + b->lo, hi = zero + b->hi;
    const octet_lane4 t = x / b->scale, number = octet_lane4_choose(t == t, t, zero);
    const octet_lane4 above = octet_lane4_choose(number > lo, number, lo);
    const octet_lane4 sum   = octet_lane4_choose(above < hi, above, hi) + 12582912.0f;
    return (levels4)sum - 0x4b400000 + b->zero;
}

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef int16_t words8 __attribute__((vector_size(16)));

/* Bytes as four times four integers: their bits and zeros, taken by turns. */
static inline void widen(levels4 to[4], const uint8_t *from)
{
    const bytes16 none = { 0 };
    bytes16       bytes;
    memcpy(&bytes, from, sizeof bytes);
    const words8 zeros = (words8)none;
    const words8 lo = (words8)__builtin_shufflevector(bytes, none, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7,
                                                      23);
    const words8 hi = (words8)__builtin_shufflevector(bytes, none, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30,
                                                      15, 31);
    to[0] = (levels4)__builtin_shufflevector(lo, zeros, 0, 8, 1, 9, 2, 10, 3, 11);
    to[1] = (levels4)__builtin_shufflevector(lo, zeros, 4, 12, 5, 13, 6, 14, 7, 15);
    to[2] = (levels4)__builtin_shufflevector(hi, zeros, 0, 8, 1, 9, 2, 10, 3, 11);
    to[3] = (levels4)__builtin_shufflevector(hi, zeros, 4, 12, 5, 13, 6, 14, 7, 15);
}

/* The reverse, of numbers of a byte each. */
static inline void narrow(uint8_t *to, const levels4 from[4])
{
    const bytes16 lo = __builtin_shufflevector((bytes16)from[0], (bytes16)from[1], 0, 4, 8, 12, 16, 20, 24, 28, 0, 0,
                                               0, 0, 0, 0, 0, 0);
    const bytes16 hi = __builtin_shufflevector((bytes16)from[2], (bytes16)from[3], 0, 4, 8, 12, 16, 20, 24, 28, 0, 0,
                                               0, 0, 0, 0, 0, 0);
    const bytes16 bytes = __builtin_shufflevector(lo, hi, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
    memcpy(to, &bytes, sizeof bytes);
}

static inline void add_group(octet_lanes *sum, const blocks *b, const uint8_t *whole, uint8_t *fed, const float *real)
{
    levels4 a[4], f[4], rounded[4];
    widen(a, whole);
    widen(f, fed);
    for (int k = 0; k < 4; k++) {
        const octet_lane4 x = octet_lane4_load(real + OCTET_LANES * k, OCTET_LANES);
        octet_lanes_add(sum, x, reals_of(b, a[k]));
        octet_lanes_add_second(sum, x, reals_of(b, f[k]));
        rounded[k] = round_to_bytes(b, x);
    }
    narrow(fed, rounded);
}

/* A group that is not full: the rest differs in nothing. */
static void add_part(octet_lanes *sum, const blocks *b, size_t at, const float *real, size_t channels)
{
    uint8_t whole[GROUP], fed[GROUP];
    float   x[GROUP] = { 0 };
    memset(whole, b->zero, sizeof whole);
    memset(fed, b->zero, sizeof fed);
    memcpy(whole, b->whole + at, channels);
    memcpy(fed, b->fed + at, channels);
    memcpy(x, real, channels * sizeof *x);
    add_group(sum, b, whole, fed, x);
    memcpy(b->fed + at, fed, channels);
}

/* A row of one block of channels. */
static void add_row(octet_lanes *sum, const blocks *from, size_t at, const float *real, size_t channels)
{
    const blocks b     = *from;
    octet_lanes  local = *sum;
    for (size_t x = 0; x < b.area->width; x++, at += b.area->steps.pixel, real += b.block)
        for (size_t k = 0; k < channels; k += GROUP) {
            if (channels - k >= GROUP) add_group(&local, &b, b.whole + at + k, b.fed + at + k, real + k);
            else add_part(&local, &b, at + k, real + k, channels - k);
        }
    *sum = local;
}

bool octet_compare_blocks(octet_comparing *c, const octet_layer *layer)
{
    octet_layer_sums *const sums = &c->sums.layers[layer - c->pairing->layers];
    octet_lanes             sum  = { 0 };
    blocks                  b;
    if (!find_blocks(&b, c, layer)) return false;
    const octet_area *const a = b.area;
    for (size_t n = 0; n < a->images; n++)
        for (size_t first = 0; first < a->channels; first += b.block) {
            const size_t channels = a->channels - first < b.block ? a->channels - first : b.block;
            for (size_t y = 0; y < a->height; y++, b.real += a->width * b.block)
                add_row(&sum, &b, a->offset + n * a->steps.image + y * a->steps.row + first, b.real, channels);
        }
    octet_area_fill_border(a, b.fed);
    octet_lanes_take(&sums->accumulated, &sum);
    octet_lanes_take_second(&sums->local, &sum);
    return true;
}
