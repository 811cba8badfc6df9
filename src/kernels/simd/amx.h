/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles and vectors of amx/conv.c on a CPU with AMX and AVX-512; simd/amx_model.h says the same in plain C.

   The tiles are named by their part in the block: sums (m, n), inputs m and weights n, m and n in 0..1. Their
   instructions take the tile's number as a constant, so every function here is called with constant m and n. They are
   volatile, thus stay in order among each other; only a store of sums touches memory that others write or read, so only
   it names memory. */
#ifndef OCTET_KERNELS_SIMD_AMX_H
#define OCTET_KERNELS_SIMD_AMX_H

#include <immintrin.h>
#include <stdint.h>

#define V_INLINE static inline __attribute__((always_inline))

/* ---- tiles ---- */

enum { T_LANES = 16 };

/* The CPU holds them; the model needs a place. */
typedef struct t_tiles {
    char none;
} t_tiles;

typedef struct t_block_sums {
    _Alignas(64) int32_t at[2 * T_LANES][2 * T_LANES];
} t_block_sums;

/* Sets the sizes: inputs of `rows` rows of `depth` bytes (a multiple of 4). */
V_INLINE void t_begin(t_tiles *tiles, int rows, int depth)
{
    (void)tiles;
    struct {
        uint8_t  palette, start, zero[14];
        uint16_t bytes[16];
        uint8_t  rows[16];
    } sizes = { .palette = 1 };
    for (int i = 0; i < 8; i++) {
        sizes.bytes[i] = (uint16_t)(i == 4 || i == 5 ? depth : 64);
        sizes.rows[i] = (uint8_t)(i < 6 ? rows : depth / 4);
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(sizes));
}

V_INLINE void t_end(t_tiles *tiles)
{
    (void)tiles;
    __asm__ volatile("tilerelease");
}

/* One instruction for each constant number. */
#define T_LOAD(tile) __asm__ volatile("tileloadd (%0,%1,1), %%tmm" tile : : "r"(at), "r"(pitch))

V_INLINE void t_load_inputs(t_tiles *tiles, int m, const uint8_t *at, size_t pitch)
{
    (void)tiles;
    if (m == 0)
        T_LOAD("4");
    else
        T_LOAD("5");
}

V_INLINE void t_load_weights(t_tiles *tiles, int n, const int8_t *at)
{
    (void)tiles;
    const size_t pitch = 64;
    if (n == 0)
        T_LOAD("6");
    else
        T_LOAD("7");
}

V_INLINE void t_zero(t_tiles *tiles, int m, int n)
{
    (void)tiles;
    if (m == 0 && n == 0)
        __asm__ volatile("tilezero %%tmm0" : :);
    else if (m == 0)
        __asm__ volatile("tilezero %%tmm1" : :);
    else if (n == 0)
        __asm__ volatile("tilezero %%tmm2" : :);
    else
        __asm__ volatile("tilezero %%tmm3" : :);
}

/* sums (m, n) += inputs m * weights n */
V_INLINE void t_multiply(t_tiles *tiles, int m, int n)
{
    (void)tiles;
    if (m == 0 && n == 0)
        __asm__ volatile("tdpbusd %%tmm6, %%tmm4, %%tmm0" : :);
    else if (m == 0)
        __asm__ volatile("tdpbusd %%tmm7, %%tmm4, %%tmm1" : :);
    else if (n == 0)
        __asm__ volatile("tdpbusd %%tmm6, %%tmm5, %%tmm2" : :);
    else
        __asm__ volatile("tdpbusd %%tmm7, %%tmm5, %%tmm3" : :);
}

#define T_STORE(tile) \
    __asm__ volatile("tilestored %%tmm" tile ", (%1,%2,1)" : "=m"(*to) : "r"(at), "r"(sizeof to->at[0]) : "memory")

/* Sums (m, n) go to row `row` on, columns 16 * n on. */
V_INLINE void t_store(const t_tiles *tiles, int m, int n, t_block_sums *to, int row)
{
    (void)tiles;
    int32_t *const at = &to->at[row][T_LANES * n];
    if (m == 0 && n == 0)
        T_STORE("0");
    else if (m == 0)
        T_STORE("1");
    else if (n == 0)
        T_STORE("2");
    else
        T_STORE("3");
}

/* Towards the second-level cache; never faults. */
V_INLINE void t_fetch(const void *at) { __asm__ volatile("prefetcht1 (%0)" : : "r"(at)); }
V_INLINE void t_fetch_near(const void *at) { __asm__ volatile("prefetcht0 (%0)" : : "r"(at)); } /* the first-level */

/* ---- vectors of 16 ---- */

typedef __m512i v_int;
typedef __m512  v_real;

V_INLINE v_int  v_load(const int32_t *at) { return _mm512_loadu_si512(at); }
V_INLINE v_real v_load_real(const float *at) { return _mm512_loadu_ps(at); }
V_INLINE v_real v_spread(float x) { return _mm512_set1_ps(x); }
V_INLINE v_int  v_spread_int(int32_t x) { return _mm512_set1_epi32(x); }
V_INLINE v_int  v_add(v_int a, v_int b) { return _mm512_add_epi32(a, b); }
V_INLINE v_int  v_subtract(v_int a, v_int b) { return _mm512_sub_epi32(a, b); }
V_INLINE v_real v_convert(v_int a) { return _mm512_cvtepi32_ps(a); }
V_INLINE v_int  v_round(v_real a) { return _mm512_cvtps_epi32(a); } /* to nearest, ties to even */
V_INLINE v_real v_add_real(v_real a, v_real b) { return _mm512_add_ps(a, b); }
V_INLINE v_real v_multiply(v_real a, v_real b) { return _mm512_mul_ps(a, b); }
V_INLINE v_real v_raise(v_real a, v_real lo) { return _mm512_max_ps(a, lo); } /* a > lo ? a : lo */
V_INLINE v_real v_lower(v_real a, v_real hi) { return _mm512_min_ps(a, hi); } /* a < hi ? a : hi */

/* Whether a mask is known to the compiler to have all its bits: instructions without one are cheaper. */
#define T_ALL(mask, bits) (__builtin_constant_p(mask) && ((mask) & (bits)) == (bits))

/* Elements whose bit of the mask is 0 are neither read (0 instead) nor written. */
V_INLINE v_int v_load_bytes(const uint8_t *at, uint32_t mask)
{
    if (T_ALL(mask, 0xffff)) return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)at));
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8((__mmask16)mask, at));
}

V_INLINE void v_store_real(float *at, uint32_t mask, v_real a) { _mm512_mask_storeu_ps(at, (__mmask16)mask, a); }
V_INLINE void v_store_int(int32_t *at, uint32_t mask, v_int a) { _mm512_mask_storeu_epi32(at, (__mmask16)mask, a); }

/* ---- two rows of 32 levels ---- */

typedef __m512i v_levels;

/* Saturates to 16 bits. */
V_INLINE v_levels v_narrow(v_int left, v_int right) { return _mm512_packs_epi32(left, right); }

/* Saturating. */
V_INLINE v_levels v_shift(v_levels a, int32_t by) { return _mm512_adds_epi16(a, _mm512_set1_epi16((short)by)); }

/* Two narrowed rows to bytes, saturating, in the order of their columns. */
V_INLINE v_levels v_pair(v_levels first, v_levels second)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_permutexvar_epi32(order, _mm512_packus_epi16(first, second));
}

V_INLINE v_levels v_bound(v_levels a, int32_t lo, int32_t hi)
{
    return _mm512_min_epu8(_mm512_max_epu8(a, _mm512_set1_epi8((char)lo)), _mm512_set1_epi8((char)hi));
}

V_INLINE void v_store_first(uint8_t *at, uint32_t mask, v_levels a)
{
    const __m256i levels = _mm512_castsi512_si256(a);
    if (T_ALL(mask, ~0u)) _mm256_storeu_si256((__m256i *)(void *)at, levels);
    else _mm256_mask_storeu_epi8(at, mask, levels);
}

V_INLINE void v_store_second(uint8_t *at, uint32_t mask, v_levels a)
{
    const __m256i levels = _mm512_extracti64x4_epi64(a, 1);
    if (T_ALL(mask, ~0u)) _mm256_storeu_si256((__m256i *)(void *)at, levels);
    else _mm256_mask_storeu_epi8(at, mask, levels);
}

#endif
