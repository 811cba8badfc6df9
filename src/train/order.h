/* SPDX-License-Identifier: Apache-2.0 */
/* In which order an epoch takes the samples. */
#ifndef OCTET_TRAIN_ORDER_H
#define OCTET_TRAIN_ORDER_H

#include <stddef.h>
#include <stdint.h>

/* Writes the samples 0 .. count - 1 in the order of an epoch; seed, epoch and count alone decide it. */
void octet_train_order(size_t *order, size_t count, uint64_t seed, size_t epoch);

#endif
