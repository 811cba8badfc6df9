/* SPDX-License-Identifier: Apache-2.0 */
/* Order statistics: they say what a quiet machine does, whatever a busy one adds to some of the runs. */
#include "measure/timing.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double sorted_median(const double *sorted, size_t count)
{
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

octet_timing octet_timing_of(double *seconds, size_t count)
{
    octet_timing t = { .runs = count };
    if (!count) return t;
    qsort(seconds, count, sizeof *seconds, by_value);
    t.min    = seconds[0];
    t.median = sorted_median(seconds, count);
    t.p99    = seconds[(99 * count + 99) / 100 - 1];
    for (size_t i = 0; i < count; i++) {
        t.outliers += seconds[i] > 2 * t.median;
        seconds[i] = fabs(seconds[i] - t.median);
    }
    qsort(seconds, count, sizeof *seconds, by_value);
    t.mad = sorted_median(seconds, count);
    return t;
}
