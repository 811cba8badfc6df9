/* SPDX-License-Identifier: Apache-2.0 */
/* Training on channels last: plain loops over channels, which every compiler turns into vectors of the set. */
#include OCTET_SIMD

enum { BLOCK = 64 }; /* channels whose sums stay in registers or nearest cache */

/* Products of a byte and an s8 weight fit int16. */
V_INLINE void depthwise_block(float *t, const uint8_t *x, const octet_depthwise_sums *how, size_t first, size_t n)
{
    int32_t sum[BLOCK];
    for (size_t c = 0; c < n; c++) sum[c] = how->bias[first + c];
    for (size_t i = 0; i < how->taps; i++) {
        const uint8_t *const at = x + how->tap[i] + first;
        const int16_t *const w  = how->weights + i * how->channels + first;
        for (size_t c = 0; c < n; c++) sum[c] += (int16_t)(at[c] * w[c]);
    }
    for (size_t c = 0; c < n; c++) t[first + c] = (float)sum[c] * how->multiplier[first + c];
}

static void depthwise(float *t, const uint8_t *x, const octet_depthwise_sums *how)
{
    for (size_t p = 0; p < how->pixels; p++, t += how->channels, x += how->pixel) {
        size_t c = 0;
        for (; c + BLOCK <= how->channels; c += BLOCK) depthwise_block(t, x, how, c, BLOCK);
        if (c < how->channels) depthwise_block(t, x, how, c, how->channels - c);
    }
}

const octet_train_kernel V_NAME(octet_train) = { depthwise };
