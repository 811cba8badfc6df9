/* SPDX-License-Identifier: Apache-2.0 */
/* Sums in double, over whole vectors. */
#include "base/channels.h"
#include "measure/lanes.h"
#include "ops/levels.h"

#include <math.h>

static double in_order(const octet_doubles sums[2])
{
    return ((sums[0][0] + sums[0][1]) + sums[1][0]) + sums[1][1];
}

void octet_lanes_take(octet_sqnr *to, const octet_lanes *sum)
{
    const double       signal = in_order(sum->signal), noise = in_order(sum->noise), cross = in_order(sum->cross);
    const octet_lane4 most   = (octet_lane4)sum->most;
    octet_sqnr         all    = { signal, noise, signal + noise - 2 * cross, signal - cross, 0 };
    for (int k = 0; k < OCTET_LANES; k++)
        if ((double)most[k] > all.max_abs) all.max_abs = (double)most[k];
    octet_sqnr_merge(to, &all);
}

void octet_lanes_take_second(octet_sqnr *to, const octet_lanes *sum)
{
    to->signal += in_order(sum->signal);
    to->noise += in_order(sum->second);
}

void octet_sqnr_add(octet_sqnr *sqnr, const float *reference, const float *measured, size_t count)
{
    octet_lanes sum = { 0 };
    for (size_t i = 0; i < count; i += OCTET_LANES) {
        const size_t n = count - i < OCTET_LANES ? count - i : OCTET_LANES;
        octet_lanes_add(&sum, octet_lane4_load(reference + i, n), octet_lane4_load(measured + i, n));
    }
    octet_lanes_take(sqnr, &sum);
}

/* Rows of one channel, as far as they go. */
void octet_sqnr_add_tensor(octet_sqnr *sqnr, const float *reference, const octet_tensor *measured)
{
    enum { ROW = 512 };
    const octet_qparams *const q     = measured->qparams;
    const size_t               count = (size_t)octet_tensor_count(measured);
    const octet_channel_shape  shape = q && q->count > 1 ? octet_channels_of(measured, q->count, q->axis)
                                                         : (octet_channel_shape){ 1, 1, count };
    float                      row[ROW];
    for (size_t at = 0; at < count;) {
        const size_t left = shape.inner - at % shape.inner, n = left < ROW ? left : ROW;
        if (q) octet_levels_real(row, measured, at, n, (int64_t)(at / shape.inner % shape.channels));
        octet_sqnr_add(sqnr, reference + at, q ? row : (const float *)measured->data + at, n);
        at += n;
    }
}

void octet_sqnr_add_two(octet_sqnr *sqnr, octet_sqnr *noise, const float *reference, const float *const measured[2],
                        size_t count)
{
    octet_lanes sum = { 0 };
    for (size_t i = 0; i < count; i += OCTET_LANES) {
        const size_t       n = count - i < OCTET_LANES ? count - i : OCTET_LANES;
        const octet_lane4 r = octet_lane4_load(reference + i, n);
        octet_lanes_add(&sum, r, octet_lane4_load(measured[0] + i, n));
        octet_lanes_add_second(&sum, r, octet_lane4_load(measured[1] + i, n));
    }
    octet_lanes_take(sqnr, &sum);
    octet_lanes_take_second(noise, &sum);
}

void octet_sqnr_merge(octet_sqnr *into, const octet_sqnr *from)
{
    into->signal += from->signal;
    into->noise += from->noise;
    into->other += from->other;
    into->product += from->product;
    if (from->max_abs > into->max_abs) into->max_abs = from->max_abs;
}

double octet_sqnr_db(const octet_sqnr *sqnr)
{
    if (sqnr->noise == 0) return sqnr->signal > 0 ? INFINITY : NAN;
    return 10 * log10(sqnr->signal / sqnr->noise);
}

double octet_sqnr_cosine(const octet_sqnr *sqnr)
{
    const double norm = sqrt(sqnr->signal) * sqrt(sqnr->other);
    return norm > 0 ? sqnr->product / norm : NAN;
}
