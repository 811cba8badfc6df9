/* SPDX-License-Identifier: Apache-2.0 */
/* The table of one instruction set: compiled once per set, like the kernels it names. */
#include OCTET_SIMD

/* octet_<name> of each set comes from <name>.c. */
#define KERNELS(K) K(conv) K(depthwise) K(element) K(planes) K(lines) K(rows) K(train) K(difference)

#define DECLARE(name) extern const octet_##name##_kernel V_NAME(octet_##name);
KERNELS(DECLARE)

extern const octet_kernels V_NAME(octet_kernels);

#define FIELD(kernel) .kernel = &V_NAME(octet_##kernel),
const octet_kernels V_NAME(octet_kernels) = { .name = V_TEXT(V_ISA), .needs = V_NEEDS, KERNELS(FIELD) };
