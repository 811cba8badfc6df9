/* SPDX-License-Identifier: Apache-2.0 */
/* Options that mend what causes the errors of the worst layers, verified. */
#ifndef OCTET_MEASURE_REMEDY_H
#define OCTET_MEASURE_REMEDY_H

#include "measure/compare.h"

typedef struct octet_remedies {
    const octet_pairing          *pairing;
    const octet_compared         *sums;
    octet_comparing              *worker; /* to run the float network with */
    octet_dataset                *data;
    const size_t                 *samples; /* that effects were measured on */
    size_t                        sample_count;
    const octet_evaluate_options *options;
    octet_layer_error            *layers; /* in the order of pairing; remedy and remedy_db are set */
    octet_arena                  *arena;  /* of what is set */
} octet_remedies;

octet_status octet_find_remedies(const octet_remedies *given, octet_error *err);

#endif
