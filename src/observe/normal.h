/* SPDX-License-Identifier: Apache-2.0 */
/* Normal distributions on their way through a network. */
#ifndef OCTET_OBSERVE_NORMAL_H
#define OCTET_OBSERVE_NORMAL_H

typedef struct octet_normal {
    double mean, variance;
} octet_normal;

/* Mean and variance of a normal variable clamped to lo..hi, either of which may be infinite (Nagel et al. 2019,
   appendix C: the clipped normal distribution). */
octet_normal octet_normal_clamp(octet_normal x, double lo, double hi);

#endif
