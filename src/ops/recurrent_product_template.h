/* SPDX-License-Identifier: Apache-2.0 */
/* A matrix times a vector for one type; recurrent_run.c includes this once per type. No guard: it is meant to be
   included again. */
#include "ops/dot_template.h"

static void NAME(multiply)(T *to, const T *weights, const T *x, const T *bias, int64_t count, int64_t depth)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = NAME(dot)(weights + i * depth, x, (size_t)depth) + (bias ? bias[i] : 0);
}
