/* SPDX-License-Identifier: Apache-2.0 */
/* Values that 8 bits do not do justice to: an outlier stretches their range until all else rounds to nothing. */
#ifndef OCTET_QUANTIZE_GUILTY_H
#define OCTET_QUANTIZE_GUILTY_H

#include "quantize/calibration.h"

/* Gives group's values 16 bits, over all that was seen of them. */
octet_status octet_widen_group(octet_graph *graph, octet_group *group, octet_error *err);

/* Where the groups' loss (of the output, each rounded alone) says that the whole network's output would come below
   OCTET_GUILTY_DB, those that lose most get 16 bits, until what is left promises OCTET_SPARED_DB. Each is a decision.
   signal: sum of the output's squares over the same samples. */
octet_status octet_spare_guilty(octet_graph *graph, double signal, octet_error *err);

#define OCTET_GUILTY_DB 15.0
#define OCTET_SPARED_DB 25.0

#endif
