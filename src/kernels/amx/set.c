/* SPDX-License-Identifier: Apache-2.0 */
/* The set of CPUs with AMX: convolution by tiles, everything else as with AVX-512 VNNI. */
#include "base/cpu.h"
#include "kernels/kernels.h"

extern const octet_conv_kernel       octet_conv_amx;
extern const octet_depthwise_kernel  octet_depthwise_avx512vnni;
extern const octet_difference_kernel octet_difference_avx512vnni;
extern const octet_element_kernel    octet_element_avx512vnni;
extern const octet_lines_kernel      octet_lines_avx512vnni;
extern const octet_planes_kernel     octet_planes_avx512vnni;
extern const octet_rows_kernel       octet_rows_avx512vnni;
extern const octet_train_kernel      octet_train_avx512vnni;
extern const octet_kernels           octet_kernels_amx;

const octet_kernels octet_kernels_amx = {
    .name = "amx", .needs = OCTET_CPU_AMX, .conv = &octet_conv_amx, .depthwise = &octet_depthwise_avx512vnni,
    .element = &octet_element_avx512vnni, .planes = &octet_planes_avx512vnni, .lines = &octet_lines_avx512vnni,
    .rows = &octet_rows_avx512vnni, .train = &octet_train_avx512vnni, .difference = &octet_difference_avx512vnni,
};
