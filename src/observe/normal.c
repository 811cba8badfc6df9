/* SPDX-License-Identifier: Apache-2.0 */
/* x = m + s z, clamped: lo with probability P(lo), hi with 1 - P(hi), and in between the integrals of x and x^2 over
   the density, which are made of the density and the probability at the two bounds. */
#include "observe/normal.h"

#include "base/math.h"

#include <math.h>

static double density(double z) { return 0.39894228040143267794 * octet_exp(-0.5 * z * z); }
static double probability(double z) { return 0.5 * (1 + octet_erf(z * 0.70710678118654752440)); }

/* What the tail beyond a bound contributes; an infinite bound has none. */
static double tail(double bound, double probability_beyond)
{
    return isinf(bound) ? 0 : bound * probability_beyond;
}

octet_normal octet_normal_clamp(octet_normal x, double lo, double hi)
{
    const double m = x.mean, s = sqrt(x.variance);
    if (!(s > 0)) return (octet_normal){ fmin(fmax(m, lo), hi), 0 };
    const double a = (lo - m) / s, b = (hi - m) / s, below = probability(a), above = probability(-b);
    const double between = 1 - below - above, at_lo = isinf(lo) ? 0 : density(a), at_hi = isinf(hi) ? 0 : density(b);
    const double mean    = tail(lo, below) + tail(hi, above) + m * between + s * (at_lo - at_hi);
    const double from_lo = isinf(lo) ? 0 : (m + lo) * at_lo, from_hi = isinf(hi) ? 0 : (m + hi) * at_hi;
    const double square  = tail(lo, tail(lo, below)) + tail(hi, tail(hi, above)) + (m * m + x.variance) * between +
                          s * (from_lo - from_hi);
    return (octet_normal){ mean, fmax(0, square - mean * mean) };
}
