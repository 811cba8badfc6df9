/* SPDX-License-Identifier: Apache-2.0 */
/* Sums in double, by the kernels of the machine: the same bits with all of them. */
#include "base/cpu.h"
#include "kernels/kernels.h"
#include "measure/sqnr.h"
#include "ops/levels.h"

#include <math.h>

static double in_order(const double sums[OCTET_DIFFERENCE_LANES])
{
    double all = sums[0];
    for (int i = 1; i < OCTET_DIFFERENCE_LANES; i++) all += sums[i];
    return all;
}

void octet_sqnr_take(octet_sqnr *to, const octet_difference *sums)
{
    const double     signal = in_order(sums->signal), noise = in_order(sums->noise), cross = in_order(sums->cross);
    const octet_sqnr all = { signal, noise, signal + noise - 2 * cross, signal - cross, (double)sums->most };
    octet_sqnr_merge(to, &all);
}

void octet_sqnr_take_second(octet_sqnr *to, const octet_difference *sums)
{
    to->signal += in_order(sums->signal);
    to->noise += in_order(sums->second);
}

static void add(octet_sqnr *sqnr, const octet_kernels *kernels, const float *reference, const float *measured,
                size_t count)
{
    octet_difference sums = { 0 };
    kernels->difference->reals(&sums, reference, measured, count);
    octet_sqnr_take(sqnr, &sums);
}

void octet_sqnr_add(octet_sqnr *sqnr, const float *reference, const float *measured, size_t count)
{
    add(sqnr, octet_kernels_select(octet_cpu_sets()), reference, measured, count);
}

void octet_sqnr_add_tensor(octet_sqnr *sqnr, const float *reference, const octet_tensor *measured)
{
    enum { ROW = 512 };
    const octet_qparams *const q     = measured->qparams;
    const size_t               count = (size_t)octet_tensor_count(measured);
    const octet_kernels *const kernels = octet_kernels_select(octet_cpu_sets());
    float                      row[ROW];
    for (size_t at = 0, n; at < count; at += n) {
        n = count - at < ROW ? count - at : ROW;
        if (q) octet_levels_real_any(row, measured, at, n);
        add(sqnr, kernels, reference + at, q ? row : (const float *)measured->data + at, n);
    }
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
