/* SPDX-License-Identifier: Apache-2.0 */
/* Circular functions, like math.c's: additions, multiplications and divisions in one order, the same bits on every
   machine. */
#include "base/math.h"

#include <math.h>

/* pi / 2 in three parts; k times either of the first two is exact for |k| < 2^20. */
static const double HALF_PI_1 = 1.57079632673412561417, HALF_PI_2 = 6.07710050630396597660e-11;
static const double HALF_PI_3 = 2.02226624879595063154e-21, INVERSE_HALF_PI = 0.63661977236758134308;
static const double HALF_PI = 1.57079632679489661923, HALF_PI_LOW = 6.12323399573676603587e-17;

/* x less the nearest multiple of pi / 2: high + low, |high| <= 0.79, in quadrant k mod 4. */
typedef struct reduced {
    double high, low;
    int    quadrant;
} reduced;

static reduced reduce(double x)
{
    const double near = fabs(x) < 0x1p20 ? x : fmod(x, 4.0 * HALF_PI); /* fmod is exact */
    const double k = rint(near * INVERSE_HALF_PI), first = near - k * HALF_PI_1, part = k * HALF_PI_2;
    const double second = first - part, lost = (first - second) - part; /* of first - part */
    const double rest = k * HALF_PI_3 - lost, high = second - rest;
    return (reduced){.high = high, .low = (second - high) - rest, .quadrant = (int)k & 3};
}

/* Their Taylor series. */
static double sine_near_zero(reduced r)
{
    const double q = r.high * r.high;
    double       p = 1.0;
    for (int n = 20; n >= 4; n -= 2) p = 1.0 - p * q / (n * (n + 1));
    return r.high + (r.low - r.high * q * p / 6.0 - 0.5 * q * r.low);
}

static double cosine_near_zero(reduced r)
{
    const double q = r.high * r.high, half = 0.5 * q, near = 1.0 - half;
    double       p = 1.0;
    for (int n = 19; n >= 5; n -= 2) p = 1.0 - p * q / (n * (n + 1));
    return near + (((1.0 - near) - half) + (q * q * p / 24.0 - r.high * r.low));
}

double octet_sin(double x)
{
    if (x == 0 || !isfinite(x)) return x == 0 ? x : NAN;
    const reduced r = reduce(x);
    const double  y = r.quadrant & 1 ? cosine_near_zero(r) : sine_near_zero(r);
    return r.quadrant & 2 ? -y : y;
}

double octet_cos(double x)
{
    if (!isfinite(x)) return NAN;
    const reduced r = reduce(x);
    const double  y = r.quadrant & 1 ? sine_near_zero(r) : cosine_near_zero(r);
    return r.quadrant == 1 || r.quadrant == 2 ? -y : y;
}

double octet_tan(double x)
{
    if (x == 0 || !isfinite(x)) return x == 0 ? x : NAN;
    const reduced r = reduce(x);
    const double  sine = sine_near_zero(r), cosine = cosine_near_zero(r);
    return r.quadrant & 1 ? -cosine / sine : sine / cosine;
}

/* atan a = atan c + atan t, t = (a - c) / (1 + a c), for the c nearest below that leaves |t| <= 7 / 16. */
double octet_atan(double x)
{
    static const struct {
        double below, c, high, low; /* atan c = high + low */
    } steps[] = {
        {0.4375, 0.0, 0.0, 0.0},
        {0.6875, 0.5, 4.63647609000806093515e-01, 2.26987774529616870924e-17},
        {1.1875, 1.0, 7.85398163397448278999e-01, 3.06161699786838301793e-17},
        {2.4375, 1.5, 9.82793723247329054082e-01, 1.39033110312309984516e-17},
    };
    enum { STEPS = sizeof steps / sizeof *steps };
    const double a = fabs(x);
    int          i = 0;
    if (x != x || x == 0) return x;
    while (i < STEPS && a >= steps[i].below) i++;
    const double t = i < STEPS ? (a - steps[i].c) / (1.0 + a * steps[i].c) : -1.0 / a, q = t * t;
    double       p = 1.0 / 49.0;
    for (int n = 47; n >= 3; n -= 2) p = 1.0 / n - p * q;
    const double high = i < STEPS ? steps[i].high : HALF_PI, low = i < STEPS ? steps[i].low : HALF_PI_LOW;
    return copysign(high + (t - (t * q * p - low)), x);
}

double octet_asin(double x)
{
    if (x == 0 || fabs(x) > 1) return x == 0 ? x : NAN;
    return octet_atan(x / sqrt((1.0 - x) * (1.0 + x)));
}

double octet_acos(double x)
{
    return fabs(x) <= 1 ? 2.0 * octet_atan(sqrt((1.0 - x) / (1.0 + x))) : NAN;
}
