/* SPDX-License-Identifier: Apache-2.0 */
/* Transcendental functions of double, within five units in the last place, equal bit for bit on every machine: the C
   library's differ between processors and versions. Everything that decides a level uses these. */
#ifndef OCTET_BASE_MATH_H
#define OCTET_BASE_MATH_H

#include <stdint.h>

double octet_exp(double x);
double octet_log(double x);

/* exp(x) - 1 and log(1 + x), accurate near 0. */
double octet_expm1(double x);
double octet_log1p(double x);

double octet_sinh(double x);
double octet_cosh(double x);
double octet_tanh(double x);
double octet_asinh(double x);
double octet_acosh(double x);
double octet_atanh(double x);

/* In radians. Beyond |x| = 2^20 the first three are those of x less a multiple of the double nearest to pi / 2. */
double octet_sin(double x);
double octet_cos(double x);
double octet_tan(double x);
double octet_asin(double x);
double octet_acos(double x);
double octet_atan(double x);

/* x^y: repeated squaring for whole y up to 2^31, sqrt for 1/2, else exp(y log x), whose error grows with |y log x|. */
double octet_pow(double x, double y);

/* 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x. */
double octet_erf(double x);

/* x^n by squaring. */
double octet_power(double x, uint64_t n);

/* cos(pi * t) for t in [0, 1]. */
double octet_cos_pi(double t);

#endif
