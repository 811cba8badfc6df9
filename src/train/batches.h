/* SPDX-License-Identifier: Apache-2.0 */
/* A data set cut into batches: the order of every epoch follows from seed and epoch alone, a sample's augmentation from
   seed, epoch and sample. So batch number n is the same whoever asks for it, and whenever. */
#ifndef OCTET_TRAIN_BATCHES_H
#define OCTET_TRAIN_BATCHES_H

#include <octet/train.h>

#include "base/arena.h"

typedef struct octet_batches octet_batches;

/* Batches of options->batch samples (which is set) for graph. Refuses what options->loss cannot learn from: labels that
   are missing or that the network has no class for, targets of another size. data and options outlive the result, which
   lives in arena. */
octet_status octet_batches_new(octet_batches **batches, octet_arena *arena, const octet_dataset *data,
                               const octet_train_options *options, const octet_graph *graph, octet_error *err);

/* Whole batches in an epoch; samples that are left over take no part in it. */
size_t octet_batches_per_epoch(const octet_batches *batches);

/* A number that another data set, or other labels, would hardly have. */
uint64_t octet_batches_hash(const octet_batches *batches);

/* Batch number step, counted from 0 over all epochs; valid until the next call. */
octet_status octet_batches_read(octet_train_batch *batch, octet_batches *batches, size_t step, octet_error *err);

#endif
