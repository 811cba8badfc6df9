/* SPDX-License-Identifier: Apache-2.0 */
/* Sums in double, element by element. */
#include "measure/sqnr.h"

#include <math.h>

void octet_sqnr_add(octet_sqnr *sqnr, const float *reference, const float *measured, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double r = reference[i], m = measured[i], d = r - m;
        sqnr->signal += r * r;
        sqnr->noise += d * d;
        sqnr->other += m * m;
        sqnr->product += r * m;
        if (fabs(d) > sqnr->max_abs) sqnr->max_abs = fabs(d);
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
