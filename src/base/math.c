/* SPDX-License-Identifier: Apache-2.0 */
/* Transcendental functions made of additions and multiplications only, in one order: the same bits on every
   machine. Each reduces its argument to a short interval and sums a Taylor series there. */
#include "base/math.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* ln 2 in two parts; k * LN2_HIGH is exact for every exponent k. */
static const double LN2_HIGH = 0.6931467056274414, LN2_LOW = 4.7493250390316726e-07, INVERSE_LN2 = 1.4426950408889634;

static double from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 2^k for a normal result. */
static double power_of_two(int k) { return from_bits((uint64_t)(k + 1023) << 52); }

/* Nearest integer of |x| < 2^51, ties to even. */
static double nearest(double x) { return (x + 0x1.8p52) - 0x1.8p52; }

/* exp(r) - 1 for r = high - low, |r| <= 0.35. */
static double exp_minus_one_near_zero(double high, double low)
{
    const double r = high - low;
    double       p = 1.0 / 87178291200.0;
    p = p * r + 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    const double lost = (high - r) - low; /* of high - low */
    return r + (p * r * r + lost);
}

double octet_exp(double x)
{
    if (x != x) return x;
    if (x > 709.782712893384) return INFINITY;
    if (x < -745.2) return 0.0;
    const double k = nearest(x * INVERSE_LN2);
    const double y = 1.0 + exp_minus_one_near_zero(x - k * LN2_HIGH, k * LN2_LOW);
    const int    n = (int)k;
    if (n > 1000) return y * power_of_two(n - 1000) * power_of_two(1000);
    if (n < -1000) return y * power_of_two(n + 1000) * power_of_two(-1000);
    return y * power_of_two(n);
}

/* exp(x) - 1 for |x| < 700. */
static double exp_minus_one(double x)
{
    const double k = nearest(x * INVERSE_LN2);
    const double p = exp_minus_one_near_zero(x - k * LN2_HIGH, k * LN2_LOW);
    const double two = power_of_two((int)k);
    return (two - 1.0) + two * p;
}

double octet_expm1(double x)
{
    if (x != x || x == 0) return x;
    return x < -40.0 ? -1.0 : x < 700.0 ? exp_minus_one(x) : octet_exp(x);
}

double octet_sinh(double x)
{
    const double a = fabs(x), e = octet_expm1(a), half = octet_exp(0.5 * a);
    if (x != x || x == 0) return x;
    return copysign(a < 700.0 ? 0.5 * (e + e / (e + 1.0)) : 0.5 * half * half, x);
}

double octet_cosh(double x)
{
    const double a = fabs(x), e = octet_exp(a), half = octet_exp(0.5 * a);
    return a < 700.0 ? 0.5 * (e + 1.0 / e) : 0.5 * half * half;
}

double octet_tanh(double x)
{
    if (x != x) return x;
    const double a = x < 0 ? -x : x;
    double       y = 1.0;
    if (a < 20.0) {
        const double e = exp_minus_one(2.0 * a);
        y = e / (e + 2.0);
    }
    return x < 0 ? -y : (a == 0 ? x : y);
}

/* x = 2^e * m with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh(s), s = (m - 1) / (m + 1). */
double octet_log(double x)
{
    if (x != x || x == INFINITY) return x;
    if (x <= 0) return x == 0 ? -INFINITY : NAN;
    int    e = 0;
    double m = frexp(x, &e), p = 1.0 / 21.0; /* frexp is exact */
    if (m < 0.70710678118654752) {
        m *= 2;
        e--;
    }
    const double s = (m - 1.0) / (m + 1.0), q = s * s;
    for (int n = 19; n >= 3; n -= 2) p = p * q + 1.0 / n;
    return e * LN2_HIGH + (2.0 * s + (2.0 * s * q * p + e * LN2_LOW));
}

/* Where 1 + x is rounded, its logarithm is off in the proportion in which x is. */
double octet_log1p(double x)
{
    const double u = 1.0 + x;
    if (u == 1.0 || u == INFINITY) return x;
    return u <= 0 ? octet_log(u) : octet_log(u) * (x / (u - 1.0));
}

double octet_asinh(double x)
{
    const double a = fabs(x), q = a * a;
    if (x != x || x == 0) return x;
    if (a > 0x1p28) return copysign(octet_log(a) + (LN2_HIGH + LN2_LOW), x);
    return copysign(octet_log1p(a + q / (1.0 + sqrt(1.0 + q))), x);
}

double octet_acosh(double x)
{
    const double t = x - 1.0;
    if (!(t >= 0)) return NAN;
    return x > 0x1p28 ? octet_log(x) + (LN2_HIGH + LN2_LOW) : octet_log1p(t + sqrt(2.0 * t + t * t));
}

double octet_atanh(double x)
{
    const double a = fabs(x);
    if (x == 0) return x;
    return copysign(0.5 * octet_log1p(2.0 * a / (1.0 - a)), x);
}

double octet_pow(double x, double y)
{
    if (x == 1 || y == 0 || (x == -1 && isinf(y))) return 1;
    if (y == 0.5 && x >= 0) return sqrt(x);
    if (fabs(y) <= 0x1p31 && rint(y) == y) {
        const double power = octet_power(x, (uint64_t)fabs(y));
        return y < 0 ? 1 / power : power;
    }
    if (x > 0 || x != x) return octet_exp(y * octet_log(x));
    const bool whole = rint(y) == y, odd = whole && fabs(fmod(y, 2.0)) == 1;
    if (x < 0 && !whole && x != -INFINITY) return NAN;
    const double size = x == 0 ? (y < 0 ? (double)INFINITY : y == y ? 0 : y) : octet_exp(y * octet_log(-x));
    return odd ? copysign(size, x) : size;
}

/* erf x = 2 / sqrt(pi) * exp(-x^2) * (x + 2 x^3 / 3 + 4 x^5 / 15 + ...), all of one sign; from 2 on 1 less
   exp(-x^2) / sqrt(pi) / (x + (1/2) / (x + 1 / (x + (3/2) / (x + ...)))). */
double octet_erf(double x)
{
    const double inverse_root_pi = 0.56418958354775628695, a = fabs(x), e = octet_exp(-a * a);
    double       y = 1;
    if (x != x) return x;
    if (a < 2) {
        double p = 1;
        for (int n = 40; n >= 1; n--) p = 1 + p * (2 * a * a) / (2 * n + 1);
        y = 2 * inverse_root_pi * e * a * p;
    } else if (a < 6) {
        double q = a;
        for (int n = 80; n >= 1; n--) q = a + 0.5 * n / q;
        y = 1 - inverse_root_pi * e / q;
    }
    return copysign(y, x);
}

double octet_power(double x, uint64_t n)
{
    double y = 1.0;
    for (; n > 0; n >>= 1, x *= x)
        if (n & 1) y *= x;
    return y;
}

/* By its Taylor series on the first eighth of a turn, by that of the sine on the second. */
double octet_cos_pi(double t)
{
    if (t > 0.5) return -octet_cos_pi(1.0 - t);
    const bool   near = t < 0.25;
    const double x = 3.14159265358979323846 * (near ? t : 0.5 - t), q = x * x;
    double       p = 1.0;
    for (int n = near ? 17 : 18; n >= 1; n -= 2) p = 1.0 - p * q / (n * (n + 1));
    return near ? p : x * p;
}
