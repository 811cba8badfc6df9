/* SPDX-License-Identifier: Apache-2.0 */
/* What an instruction set offers to the kernels: each header of this folder defines all of the names below, and a
   kernel's text, compiled once per set with -DOCTET_SIMD='"kernels/simd/<set>.h"', uses nothing else of the CPU.

   V_ISA, V_NEEDS          the set's name; the OCTET_CPU_... bits it needs
   V_LANES                 int32 or float numbers of a vector
   V_TILES(T)              T(rows, vectors) for every size of tile whose sums fit the registers
   v_int, v_float          V_LANES numbers; v_bytes: 4 * V_LANES bytes
   v_input                 four input bytes, the same for every lane, in the form that v_dot4 takes
   v_weight, V_WEIGHT_SHIFT  an element of packed weights; what v_spread takes off every input byte (0 or 128)
   v_weight_index(lane, k) where in a vector's 4 * V_LANES packed weights the one for input byte k of a lane lies
   v_spread(x)             reads x[0..3]
   v_dot4(sum, x, w)       sum + x[0]*w[0] + .. + x[3]*w[3] in each lane, exact products, sums modulo 2^32
   v_load, v_store         V_LANES int32 at any address; v_load_float, v_store_float likewise
   v_store_floats(to, t, n)  the first n <= V_LANES floats and nothing beyond
   v_load_levels(q)        V_LANES bytes, each as an int32; v_load_some_levels(q, n) reads only n of them
   v_to_float(i)           f32(i); v_round(t): rne(t), |t| < 2^31
   v_set, v_mul, v_add, v_sub, v_div  one IEEE operation per lane
   v_clamp(t, lo, hi)      t > lo ? t : lo, then that < hi ? it : hi
   v_number(t)             t, or 0 where it is NaN; v_most(most, t): |t| > most ? |t| : most
   v_sums                  8 doubles; v_load_sums, v_store_sums at any address
   v_add_products(s, vector, a, b)  s[(vector * V_LANES + lane) % 8] += a * b in double, lanes in order
   v_narrow(q, to)         clamp(q + zero_point, lo, hi) of 4 vectors (any int32) as bytes in order
   v_store_levels(to, b, first, vectors)  the bytes of vectors first..: 4 or 3 from 0, 2 from 0 or 2, or 1
   v_store_some_levels(to, b, n)  the first n bytes and nothing beyond */
#ifndef OCTET_KERNELS_SIMD_SIMD_H
#define OCTET_KERNELS_SIMD_SIMD_H

#include "base/cpu.h"
#include "kernels/kernels.h"

#include <string.h>

#define V_PASTE_(a, b) a##_##b
#define V_PASTE(a, b)  V_PASTE_(a, b)
#define V_NAME(name)   V_PASTE(name, V_ISA)
#define V_TEXT_(name)  #name
#define V_TEXT(name)   V_TEXT_(name)

/* Tiles live in registers only if their loops vanish, so neither is left to the compiler's judgement. */
#define V_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define V_UNROLL _Pragma("clang loop unroll(full)")
#else
#define V_UNROLL _Pragma("GCC unroll 16")
#endif

#endif
