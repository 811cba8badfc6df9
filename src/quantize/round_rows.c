/* SPDX-License-Identifier: Apache-2.0 */
/* GPTQ's error feedback (Frantar et al. 2023) is Babai's nearest plane on H = L L^T: term k, when all later ones are
   rounded, is rounded to where row k of L^T e becomes least. All loops add a multiple of one row to another, so vectors
   of any width give the same bits. */
#include "quantize/round_rows.h"

#include "base/parallel.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { PANEL = 16, SWEEPS = 30 };

/* ---- the factor ---- */

typedef struct trailing {
    double *a;
    size_t  n, first, last, slices; /* columns of the panel */
} trailing;

/* Takes the panel's columns out of every slices-th row behind it. */
static void update_rows(void *context, size_t slice)
{
    const trailing *const t = context;
    for (size_t i = t->last + slice; i < t->n; i += t->slices) {
        double *const row = t->a + i * t->n;
        for (size_t p = t->first; p < t->last; p++) {
            const double        by     = row[p];
            const double *const column = t->a + p * t->n; /* its upper half: the column, put there by make_panel */
            for (size_t j = t->last; j <= i; j++) row[j] -= by * column[j];
        }
    }
}

/* Factors columns first..last, and copies them into the upper half, where they lie together. */
static void make_panel(double *a, size_t n, size_t first, size_t last)
{
    for (size_t p = first; p < last; p++) {
        const double pivot = sqrt(a[p * n + p]);
        a[p * n + p]       = pivot;
        for (size_t i = p + 1; i < n; i++) a[p * n + i] = a[i * n + p] /= pivot;
        for (size_t i = p + 1; i < n; i++) {
            const double by  = a[i * n + p];
            const size_t end = i < last - 1 ? i : last - 1;
            for (size_t j = p + 1; j <= end; j++) a[i * n + j] -= by * a[p * n + j];
        }
    }
}

static void factor_lower(double *a, size_t n, int threads)
{
    for (size_t first = 0; first < n; first += PANEL) {
        const size_t last = first + PANEL < n ? first + PANEL : n;
        make_panel(a, n, first, last);
        trailing t = { a, n, first, last, n - last > 128 ? 4 * (size_t)threads : 1 };
        octet_parallel(t.slices, threads, update_rows, &t);
    }
}

void octet_quadratic_factor(octet_quadratic *h, int threads)
{
    const double damping = 0.01; /* of the mean diagonal, as GPTQ has it */
    const size_t n       = h->terms;
    double       mean    = 0;
    for (size_t i = 0; i < n; i++) mean += h->products[i * n + i] / (double)n;
    for (size_t i = 0; i < n; i++) h->products[i * n + i] += (mean > 0 ? mean : 1) * damping;
    memcpy(h->factor, h->products, n * n * sizeof *h->factor);
    factor_lower(h->factor, n, threads);
}

/* ---- rows ---- */

/* to += by[0..count) times as many rows of h, n apart; of each row the first `length`. */
static void add_rows(double *to, const double *by, size_t count, const double *h, size_t n, size_t length)
{
    size_t k = 0;
    for (; k + 4 <= count; k += 4, h += 4 * n) {
        const double a = by[k], b = by[k + 1], c = by[k + 2], d = by[k + 3];
        for (size_t i = 0; i < length; i++)
            to[i] = to[i] + a * h[i] + b * h[n + i] + c * h[2 * n + i] + d * h[3 * n + i];
    }
    for (; k < count; k++, h += n)
        for (size_t i = 0; i < length; i++) to[i] += by[k] * h[i];
}

/* e of all rows, and g = H e; error[r] = e H e. */
void octet_rows_error(double *error, const octet_rounded_rows *rows, const octet_quadratic *h)
{
    const size_t n = h->terms, all = rows->count * n;
    for (size_t i = 0; i < all; i++) rows->e[i] = rows->target[i] - rows->level[i];
    memset(rows->g, 0, all * sizeof *rows->g);
    for (size_t k = 0; k < n; k += PANEL)
        for (size_t r = 0; r < rows->count; r++)
            add_rows(rows->g + r * n, rows->e + r * n + k, n - k < PANEL ? n - k : PANEL, h->products + k * n, n, n);
    for (size_t r = 0; r < rows->count; r++) {
        error[r] = 0;
        for (size_t k = 0; k < n; k++) error[r] += rows->e[r * n + k] * rows->g[r * n + k];
    }
}

static int32_t clamp_level(double level, const octet_rounded_rows *rows)
{
    return level > rows->lo ? level < rows->hi ? (int32_t)level : rows->hi : rows->lo;
}

/* Terms first..last of row r, the last one first. carry: what later terms have left, row by row of L^T e. */
static void feed_back_panel(const octet_rounded_rows *rows, const octet_quadratic *h, size_t r, size_t first,
                            size_t last)
{
    const size_t  n     = h->terms;
    double *const carry = rows->g + r * n, *const e = rows->e + r * n;
    for (size_t k = last; k-- > first;) {
        const double *const l      = h->factor + k * n;
        const double        target = rows->target[r * n + k];
        const int32_t       level  = clamp_level(rint(target + carry[k] / l[k]), rows);
        rows->level[r * n + k]     = level;
        e[k]                       = target - level;
        for (size_t i = first; i < k; i++) carry[i] += e[k] * l[i];
    }
    add_rows(carry, e + first, last - first, h->factor + first * n, n, first);
}

static void feed_back(const octet_rounded_rows *rows, const octet_quadratic *h)
{
    memset(rows->g, 0, rows->count * h->terms * sizeof *rows->g);
    for (size_t last = h->terms; last > 0;) {
        const size_t first = (last - 1) / PANEL * PANEL;
        for (size_t r = 0; r < rows->count; r++) feed_back_panel(rows, h, r, first, last);
        last = first;
    }
}

/* Single levels of row r move to where the error is least, until none does. Returns what is left of error. */
static double descend(double error, const octet_rounded_rows *rows, const octet_quadratic *h, size_t r)
{
    const size_t   n     = h->terms;
    double *const  g     = rows->g + r * n;
    int32_t *const level = rows->level + r * n;
    bool           moved = true;
    for (int sweep = 0; moved && sweep < SWEEPS; sweep++) {
        moved = false;
        for (size_t k = 0; k < n; k++) {
            const double *const hk = h->products + k * n;
            const double        by = clamp_level(rint(level[k] + g[k] / hk[k]), rows) - level[k];
            const double        gain = by * (2 * g[k] - by * hk[k]), back = -by;
            if (by == 0 || !(gain > 1e-9 * error)) continue;
            level[k] += (int32_t)by;
            error -= gain;
            add_rows(g, &back, 1, hk, n, n);
            moved = true;
        }
    }
    return error;
}

/* A row that ended worse than nearest begins there instead. */
static void begin_at_nearest(double *error, const octet_rounded_rows *rows, const octet_quadratic *h, size_t r)
{
    const size_t             n   = h->terms;
    const octet_rounded_rows row = { 1, rows->target + r * n, rows->level + r * n, rows->lo, rows->hi, rows->e + r * n,
                                     rows->g + r * n };
    for (size_t k = 0; k < n; k++) row.level[k] = clamp_level(rint(row.target[k]), rows);
    octet_rows_error(error, &row, h);
    *error = descend(*error, &row, h, 0);
}

void octet_round_rows(double *error, const octet_rounded_rows *rows, const octet_quadratic *h)
{
    double nearest[OCTET_ROWS];
    octet_rows_error(nearest, rows, h);
    feed_back(rows, h);
    octet_rows_error(error, rows, h);
    for (size_t r = 0; r < rows->count; r++) {
        error[r] = descend(error[r], rows, h, r);
        if (!(error[r] <= nearest[r])) begin_at_nearest(&error[r], rows, h, r);
    }
}
