/* SPDX-License-Identifier: Apache-2.0 */
/* Transcendental functions made of additions and multiplications only, in one order: the same bits on every
   machine. Each reduces its argument to a short interval and sums a Taylor series there. */
#include "base/math.h"

#include <math.h>
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

static uint64_t to_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
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

/* log(1 + f) = f - f^2/2 + s (f^2/2 + R), s = f / (2 + f), R = 2 s^2/3 + 2 s^4/5 + ...: the large terms are exact or
   nearly so. */
double octet_log(double x)
{
    if (x != x || x == INFINITY) return x;
    if (x < 0) return NAN;
    if (x == 0) return -INFINITY;
    int k = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        k = -54;
    }
    const uint64_t bits = to_bits(x);
    k += (int)(bits >> 52) - 1023;
    double m = from_bits((bits & 0xfffffffffffffu) | 0x3ff0000000000000u);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        k++;
    }
    const double f = m - 1.0, s = f / (2.0 + f), z = s * s, half = 0.5 * f * f;
    double       r = 0;
    for (int i = 25; i >= 3; i -= 2) r = r * z + 2.0 / i;
    r *= z;
    return k * LN2_HIGH - ((half - (s * (half + r) + k * LN2_LOW)) - f);
}

/* erf(c) and 2 / sqrt(pi) exp(-c^2) at c = i / 8. */
static const double erf_table[][2] = {
    { 0.0, 1.1283791670955126 },
    { 0.1403162048013338, 1.1108852695966625 },
    { 0.27632639016823696, 1.0600141293761143 },
    { 0.4041169094348223, 0.9803528095459079 },
    { 0.5204998778130465, 0.8787825789354448 },
    { 0.623240882188418, 0.7634995357606049 },
    { 0.7111556336535151, 0.6429310691952074 },
    { 0.7840750610598597, 0.5247450452901482 },
    { 0.8427007929497149, 0.4151074974205947 },
    { 0.8883882317017078, 0.3182739585007693 },
    { 0.9229001282564583, 0.2365211224472908 },
    { 0.9481700727820903, 0.1703597736875156 },
    { 0.9661051464753108, 0.11893028922362937 },
    { 0.9784437332399837, 0.08047225902251116 },
    { 0.9866716712191824, 0.05277499593015037 },
    { 0.9919900576701199, 0.03354582842421607 },
    { 0.9953222650189527, 0.020666985354092053 },
    { 0.9973459706405177, 0.012340820614333696 },
    { 0.9985372834133188, 0.007142319022017983 },
    { 0.9992170617821089, 0.004006477861670219 },
    { 0.999593047982555, 0.0021782842303527095 },
    { 0.9997946242638588, 0.001147875125882675 },
    { 0.9998993780778803, 0.0005862772470937923 },
    { 0.9999521451602562, 0.00029022828286249803 },
    { 0.9999779095030014, 0.00013925305194674786 },
    { 0.9999901032653747, 6.475868323471298e-05 },
    { 0.9999956972205363, 2.9189025383581702e-05 },
    { 0.9999981847185726, 1.2751740799765088e-05 },
    { 0.9999992569016276, 5.399426777384783e-06 },
    { 0.9999997048598075, 2.2159202846331124e-06 },
    { 0.9999998862727434, 8.814321912318039e-07 },
    { 0.999999957486056, 3.398223817809154e-07 },
    { 0.9999999845827421, 1.2698234671866558e-07 },
    { 0.9999999945765992, 4.598995828846052e-08 },
    { 0.9999999981494259, 1.6143993719507412e-08 },
    { 0.9999999993875167, 5.492717228853464e-09 },
    { 0.9999999998033839, 1.81130589590869e-09 },
    { 0.9999999999387839, 5.789281366587474e-10 },
    { 0.9999999999815149, 1.7934357034341337e-10 },
    { 0.9999999999945866, 5.384870492099458e-11 },
    { 0.9999999999984626, 1.5670866531017336e-11 },
    { 0.9999999999995766, 4.4201708693385726e-12 },
    { 0.9999999999998869, 1.2084074716006755e-12 },
    { 0.9999999999999707, 3.2019610382476225e-13 },
    { 0.9999999999999927, 8.223316045262922e-14 },
    { 0.9999999999999982, 2.046945208423793e-14 },
    { 0.9999999999999996, 4.938485140964219e-15 },
    { 0.9999999999999999, 1.154807464350253e-15 },
    { 1.0, 2.617301239249265e-16 },
};

double octet_erf(double x)
{
    if (x != x) return x;
    const double a = x < 0 ? -x : x;
    if (a >= 5.95) return x < 0 ? -1.0 : 1.0;
    const double  c = a < 0.25 ? 0.0 : nearest(a * 8.0) * 0.125, h = a - c;
    const double *row = erf_table[(int)(c * 8.0)];
    /* exp(-(c + h)^2) / exp(-c^2) = sum b[n] h^n, with (n + 1) b[n+1] = -2 c b[n] - 2 b[n-1]; integrated by h. */
    double before = 0, b = 1, power = h, sum = 0;
    for (int n = 0; n < 24; n++) {
        sum += b * power / (n + 1);
        const double next = (-2.0 * c * b - 2.0 * before) / (n + 1);
        before = b;
        b = next;
        power *= h;
    }
    const double y = row[0] + row[1] * sum;
    return x < 0 ? -y : (a == 0 ? x : y);
}
