/* SPDX-License-Identifier: Apache-2.0 */
/* The dot product of two dense rows for one type T, named NAME(dot). No guard: it is meant to be included again. */

/* Eight sums side by side, then added in a fixed tree: both sides run along k. */
static T NAME(dot)(const T *restrict a, const T *restrict b, size_t depth)
{
    T      lane[8] = { 0 };
    size_t k = 0;
    for (; k + 8 <= depth; k += 8)
        for (size_t i = 0; i < 8; i++) lane[i] += a[k + i] * b[k + i];
    for (; k < depth; k++) lane[k % 8] += a[k] * b[k];
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}
