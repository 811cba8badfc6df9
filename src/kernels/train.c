/* SPDX-License-Identifier: Apache-2.0 */
/* Training on channels last. */
#include OCTET_SIMD

enum { VECTORS = 4 }; /* whose sums are in registers at once */

/* t of n channels from sums that are whole numbers. */
V_INLINE void finish_sums(float *t, v_float sum, const octet_depthwise_sums *how, size_t first, size_t n)
{
    int32_t whole[V_LANES];
    float   result[V_LANES];
    v_store(whole, v_round(sum));
    for (size_t i = 0; i < V_LANES; i++) whole[i] += how->bias[first + i];
    for (size_t i = 0; i < V_LANES; i++) result[i] = (float)whole[i] * how->multiplier[first + i];
    if (n >= V_LANES) memcpy(t + first, result, sizeof result);
    else memcpy(t + first, result, n * sizeof *t);
}

/* Channels from first on, up to `vectors` vectors of them. Sums of products stay below 2^24, so they are exact. */
V_INLINE void depthwise_block(float *t, const uint8_t *x, const octet_depthwise_sums *how, size_t first,
                              const int vectors)
{
    v_float sum[VECTORS];
    V_UNROLL
    for (int v = 0; v < vectors; v++) sum[v] = v_set(0);
    for (size_t i = 0; i < how->taps; i++) {
        const uint8_t *const at = x + how->tap[i] + first;
        const float *const   w  = how->weights + i * how->channels + first;
        V_UNROLL
        for (int v = 0; v < vectors; v++)
            sum[v] = v_add(sum[v], v_mul(v_to_float(v_load_levels(at + v * V_LANES)), v_load_float(w + v * V_LANES)));
    }
    V_UNROLL
    for (int v = 0; v < vectors; v++) {
        const size_t c = first + (size_t)v * V_LANES;
        finish_sums(t, sum[v], how, c, how->channels - c);
    }
}

static void depthwise(float *t, const uint8_t *x, const octet_depthwise_sums *how)
{
    for (size_t p = 0; p < how->pixels; p++, t += how->channels, x += how->pixel) {
        size_t c = 0;
        for (; c + VECTORS * V_LANES <= how->channels; c += VECTORS * V_LANES) depthwise_block(t, x, how, c, VECTORS);
        for (; c < how->channels; c += V_LANES) depthwise_block(t, x, how, c, 1);
    }
}

const octet_train_kernel V_NAME(octet_train) = { depthwise };
