/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of durations, as octet/bench.h defines them. */
#ifndef OCTET_MEASURE_TIMING_H
#define OCTET_MEASURE_TIMING_H

#include <octet/bench.h>

/* Uses seconds as room: it holds other numbers afterwards. */
octet_timing octet_timing_of(double *seconds, size_t count);

#endif
