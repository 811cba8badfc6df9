/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of shifted rows for one pair of types: X (elements of planes), SUM (sums) and NAME(x). No guard: it is meant to
   be included again. */
/* sum[i] += weight[k] * x[offset[k] + i] for every k, in the order of k. Runs of fixed length read their weights again
   (volatile): clang multiplies in 16 bits only where it sees beside the product that the factors have no more. */
static void NAME(add_rows)(SUM *restrict sum, size_t n, const X *restrict x, const X *restrict weight,
                           const size_t *offset, size_t count)
{
    size_t k = 0;
    for (; k + 4 <= count; k += 4) {
        const X *const a = x + offset[k], *const b = x + offset[k + 1];
        const X *const c = x + offset[k + 2], *const d = x + offset[k + 3];
        const volatile X *const w = weight + k;
        size_t i = 0;
        for (; i + RUN <= n; i += RUN) {
            const X wa = w[0], wb = w[1], wc = w[2], wd = w[3];
            for (size_t j = i; j < i + RUN; j++)
                sum[j] = sum[j] + (SUM)wa * (SUM)a[j] + (SUM)wb * (SUM)b[j] + (SUM)wc * (SUM)c[j] + (SUM)wd * (SUM)d[j];
        }
        const X wa = w[0], wb = w[1], wc = w[2], wd = w[3];
        for (; i < n; i++)
            sum[i] = sum[i] + (SUM)wa * (SUM)a[i] + (SUM)wb * (SUM)b[i] + (SUM)wc * (SUM)c[i] + (SUM)wd * (SUM)d[i];
    }
    for (; k < count; k++) {
        const X *const a = x + offset[k];
        const X        wa = weight[k];
        for (size_t i = 0; i < n; i++) sum[i] += (SUM)wa * (SUM)a[i];
    }
}
