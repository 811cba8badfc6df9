/* SPDX-License-Identifier: Apache-2.0 */
/* The sets of this build; the build names them in OCTET_KERNEL_SETS, best first. */
#include "kernels/kernels.h"

#define DECLARE(isa) extern const octet_kernels octet_kernels_##isa;
OCTET_KERNEL_SETS(DECLARE)

#define ROW(isa) &octet_kernels_##isa,
const octet_kernels *const octet_kernel_sets[] = { OCTET_KERNEL_SETS(ROW) NULL };

const octet_kernels *octet_kernels_select(unsigned cpu)
{
    size_t i = 0;
    while (octet_kernel_sets[i]->needs & ~cpu) i++; /* scalar needs nothing and ends the search */
    return octet_kernel_sets[i];
}
