/* SPDX-License-Identifier: Apache-2.0 */
/* Transcendental functions of double, within five units in the last place, equal bit for bit on every machine: the C
   library's differ between processors and versions. Everything that decides a level uses these. */
#ifndef OCTET_BASE_MATH_H
#define OCTET_BASE_MATH_H

#include <stdint.h>

double octet_exp(double x);
double octet_tanh(double x);
double octet_log(double x);

/* 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x. */
double octet_erf(double x);

/* x^n by squaring. */
double octet_power(double x, uint64_t n);

/* cos(pi * t) for t in [0, 1]. */
double octet_cos_pi(double t);

#endif
