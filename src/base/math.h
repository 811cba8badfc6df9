/* SPDX-License-Identifier: Apache-2.0 */
/* Transcendental functions of double, within five units in the last place, equal bit for bit on every machine: the C
   library's differ between processors and versions. Everything that decides a level uses these. */
#ifndef OCTET_BASE_MATH_H
#define OCTET_BASE_MATH_H

double octet_exp(double x);
double octet_tanh(double x);

#endif
