/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OCTET_BASE_CLOCK_H
#define OCTET_BASE_CLOCK_H

/* Seconds of a clock that only goes forward. */
double octet_clock(void);

#endif
