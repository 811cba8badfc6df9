/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of up to four sources side by side in a lane: "quads", which the dot products of all sets take as they are.
   Each quads_<isa>.h of this folder defines all of the names below, beside those of simd.h.

   Interleaving works within 128 bits, so lane l of vector v holds byte l / 4 * 16 + v * 4 + l % 4 of its sources.
   Whatever meets quads is kept in this order, and narrowing undoes it, for free.

   V_QUAD_PIXELS              so many times 4 vectors of sums fit the registers
   v_part, v_part_of(n)       1..4 * V_LANES bytes; v_part_load reads, v_part_store writes exactly these
   v_interleave(to, a, b, c, d)  4 vectors of quads
   v_quads, v_quads_of(v)     quads in the form that v_quad_dot takes
   v_quad_put(w, lane, k, x)  the weight of a lane for byte k of its quads
   v_quad_dot(sum, x, w)      sum + the four exact products of each lane; bytes lose V_WEIGHT_SHIFT
   v_bounds, v_bounds_of(to)  zero point and bounds, spread over vectors
   v_quad_narrow(q, bounds)   clamp(q + zero_point, lo, hi) of 4 vectors (any int32), as bytes
   v_larger(a, b)             the larger of each byte
   v_table, v_look_up         a table of 256 bytes, prepared by v_table_of; table[q] of each byte q */
#ifndef OCTET_KERNELS_SIMD_QUADS_H
#define OCTET_KERNELS_SIMD_QUADS_H

#include OCTET_SIMD

#define V_QUADS_(isa) V_TEXT_(kernels/simd/quads_##isa.h)
#define V_QUADS(isa)  V_QUADS_(isa)
#include V_QUADS(V_ISA)

#endif
