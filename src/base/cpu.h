/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine offers: instruction sets (capped by OCTET_CPU) and memory. */
#ifndef OCTET_BASE_CPU_H
#define OCTET_BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>

enum { /* bits of octet_cpu_sets */
    OCTET_CPU_AVX2       = 1,
    OCTET_CPU_AVXVNNI    = 2,
    OCTET_CPU_AVX512VNNI = 4, /* with F, BW, DQ and VL */
    OCTET_CPU_AMX        = 8, /* with its int8 products, and the system has allowed the process to use tiles */
    OCTET_CPU_NEON       = 16, /* with its dot product of bytes */
};

/* Instruction sets that both CPU and operating system support. OCTET_CPU=scalar|avx2|avxvnni|avx512vnni|amx|neon
   leaves out every set after the named one; any other value leaves out none. */
unsigned octet_cpu_sets(void);

/* Whether OCTET_CPU names one of them. */
bool octet_cpu_capped(void);

/* Asks the system to let this process use tiles (AMX). Some kernels and emulators refuse, though the CPU has them. */
bool octet_cpu_allow_tiles(void);

/* Bytes that could be allocated now without swapping; 0 when the system does not say. */
size_t octet_memory_available(void);

/* What work may use: limit, or where that is 0 three quarters of what is available. Never 0. */
size_t octet_memory_allowed(size_t limit);

#endif
