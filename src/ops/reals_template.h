/* SPDX-License-Identifier: Apache-2.0 */
/* The text that OCTET_TEMPLATE names, for each type of real numbers: T (and X, and SUM of sums) is the type, NAME(x)
   the name of x for it. Included once for each template. */
#define T   float
#define X   T
#define SUM T
#define NAME(x) x##_f32
#include OCTET_TEMPLATE
#undef T
#undef NAME

#define T double
#define NAME(x) x##_f64
#include OCTET_TEMPLATE
#undef T
#undef X
#undef SUM
#undef NAME
