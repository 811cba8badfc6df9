/* SPDX-License-Identifier: Apache-2.0 */
/* Elements are taken in short rows, so that no tensor is copied as a whole. */
#include "measure/differ.h"

#include "ops/levels.h"

#include <math.h>
#include <stdlib.h>

enum { ROW = 256 };

static void add_distance(octet_differ *d, int64_t distance)
{
    const int class = distance < 3 ? (int)distance : distance < 5 ? 3 : 4;
    d->level.classes[class]++;
    d->differing += distance != 0;
    if (distance > d->level.max) d->level.max = distance;
}

static void add_levels(octet_differ *d, const octet_tensor *a, const octet_tensor *b, size_t first, size_t n)
{
    int32_t x[ROW], y[ROW];
    octet_levels_load(x, a->data, a->dtype, first, n, 0);
    octet_levels_load(y, b->data, b->dtype, first, n, 0);
    const int64_t shift = (int64_t)a->qparams->zero_point[0] - b->qparams->zero_point[0];
    for (size_t i = 0; i < n; i++) add_distance(d, llabs((int64_t)x[i] - y[i] - shift));
}

static const float *real_row(float row[ROW], const octet_tensor *tensor, size_t first, size_t n)
{
    if (!tensor->qparams) return (const float *)tensor->data + first;
    octet_levels_real(row, tensor, first, n, 0);
    return row;
}

static void add_reals(octet_differ *d, const octet_tensor *a, const octet_tensor *b, size_t first, size_t n)
{
    float              rows[2][ROW];
    const float *const x = real_row(rows[0], a, first, n), *const y = real_row(rows[1], b, first, n);
    octet_sqnr_add(&d->real, y, x, n);
    for (size_t i = 0; i < n; i++) d->differing += x[i] != y[i];
}

/* Levels of one scale for the whole tensor, or real numbers. */
static bool is_plain(const octet_tensor *tensor)
{
    return tensor->qparams ? tensor->qparams->count == 1 : tensor->dtype == OCTET_F32;
}

void octet_differ_add(octet_differ *differ, const octet_tensor *measured, const octet_tensor *reference)
{
    const int64_t count = octet_tensor_count(measured);
    if (!measured->data || !reference->data || count != octet_tensor_count(reference)) return;
    if (!is_plain(measured) || !is_plain(reference)) return;
    const bool levels =
        measured->qparams && reference->qparams && measured->qparams->scale[0] == reference->qparams->scale[0];
    for (size_t first = 0; first < (size_t)count; first += ROW) {
        const size_t left = (size_t)count - first, n = left < ROW ? left : ROW;
        (levels ? add_levels : add_reals)(differ, measured, reference, first, n);
    }
    differ->count += (uint64_t)count;
    if (levels) differ->levels = true;
    else differ->reals = true;
}

void octet_level_counts_merge(octet_level_counts *into, const octet_level_counts *from)
{
    for (int i = 0; i < OCTET_DIFF_CLASSES; i++) into->classes[i] += from->classes[i];
    if (from->max > into->max) into->max = from->max;
}

octet_tensor_diff octet_differ_result(const octet_differ *differ)
{
    return (octet_tensor_diff){ .count = differ->count, .differing = differ->differing, .levels = differ->levels,
                                .level = differ->level, .max_abs = differ->real.max_abs,
                                .sqnr_db = differ->reals ? octet_sqnr_db(&differ->real) : NAN };
}
