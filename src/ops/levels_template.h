/* SPDX-License-Identifier: Apache-2.0 */
/* The text that OCTET_TEMPLATE names, for levels less their zero point: X is the type, SUM that of sums of products,
   NAME(x) the name of x for them. Included once for each template. */
#define X   int16_t
#define SUM int32_t
#define NAME(x) x##_narrow
#include OCTET_TEMPLATE
#undef X
#undef SUM
#undef NAME

#define X   int32_t
#define SUM int64_t
#define NAME(x) x##_wide
#include OCTET_TEMPLATE
#undef X
#undef SUM
#undef NAME
