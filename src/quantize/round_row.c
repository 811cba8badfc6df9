/* SPDX-License-Identifier: Apache-2.0 */
/* GPTQ's error feedback (Frantar et al. 2023) is Babai's nearest plane on H = L L^T: term k, when all later ones are
   rounded, is rounded to where row k of L^T e becomes least. All loops add a multiple of one row to another, so vectors
   of any width give the same bits. */
#include "quantize/round_row.h"

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

/* ---- one row ---- */

static void error_of(double *e, const octet_row *row, size_t n)
{
    for (size_t k = 0; k < n; k++) e[k] = row->target[k] - row->level[k];
}

/* g = H e; returns e H e. */
static double gradient_of(double *g, const double *e, const octet_quadratic *h)
{
    const size_t n   = h->terms;
    double       sum = 0;
    memset(g, 0, n * sizeof *g);
    for (size_t k = 0; k < n; k++) {
        const double *const row = h->products + k * n;
        if (e[k] == 0) continue;
        for (size_t i = 0; i < n; i++) g[i] += e[k] * row[i];
    }
    for (size_t k = 0; k < n; k++) sum += e[k] * g[k];
    return sum;
}

double octet_row_error(const octet_row *row, const octet_quadratic *h)
{
    error_of(row->room, row, h->terms);
    return gradient_of(row->room + h->terms, row->room, h);
}

static int32_t clamp_level(double level, const octet_row *row)
{
    return level > row->lo ? level < row->hi ? (int32_t)level : row->hi : row->lo;
}

static void feed_back(const octet_row *row, double *carry, const octet_quadratic *h)
{
    const size_t n = h->terms;
    memset(carry, 0, n * sizeof *carry);
    for (size_t k = n; k-- > 0;) {
        const double *const l = h->factor + k * n;
        row->level[k]         = clamp_level(rint(row->target[k] + carry[k] / l[k]), row);
        const double e        = row->target[k] - row->level[k];
        for (size_t i = 0; i < k; i++) carry[i] += e * l[i];
    }
}

/* Single levels move to where the error is least, until none does. */
static double descend(const octet_row *row, double *e, double *g, const octet_quadratic *h)
{
    const size_t n     = h->terms;
    double       error = gradient_of(g, e, h);
    bool         moved = true;
    for (int sweep = 0; moved && sweep < SWEEPS; sweep++) {
        moved = false;
        for (size_t k = 0; k < n; k++) {
            const double *const hk   = h->products + k * n;
            const int32_t       to   = clamp_level(rint(row->level[k] + g[k] / hk[k]), row);
            const double        by   = to - row->level[k], gain = by * (2 * g[k] - by * hk[k]);
            if (by == 0 || !(gain > 1e-9 * error)) continue;
            row->level[k] = to;
            e[k] -= by;
            error -= gain;
            for (size_t i = 0; i < n; i++) g[i] -= by * hk[i];
            moved = true;
        }
    }
    return error;
}

double octet_round_row(const octet_row *row, const octet_quadratic *h)
{
    const size_t  n = h->terms;
    double *const e = row->room, *const g = e + n, *const kept = g + n;
    const double  nearest = octet_row_error(row, h);
    for (size_t k = 0; k < n; k++) kept[k] = row->level[k];
    feed_back(row, g, h);
    error_of(e, row, n);
    const double error = descend(row, e, g, h);
    if (error <= nearest) return error;
    for (size_t k = 0; k < n; k++) row->level[k] = (int32_t)kept[k];
    error_of(e, row, n);
    return descend(row, e, g, h);
}
