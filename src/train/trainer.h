/* SPDX-License-Identifier: Apache-2.0 */
/* What the loop over a data set asks of the trainer, beyond <octet/train.h>. */
#ifndef OCTET_TRAIN_TRAINER_H
#define OCTET_TRAIN_TRAINER_H

#include <octet/train.h>

/* The options in force, defaults filled in. */
const octet_train_options *octet_trainer_settings(const octet_trainer *trainer);

/* From here on the trainer knows a data set of so many samples: batch is settled (and the tape made, where it was not),
   schedule and phases go by epoch. Refuses fewer samples than a batch has. */
octet_status octet_trainer_plan(octet_trainer *trainer, size_t samples, octet_error *err);

/* The network in training. */
const octet_graph *octet_trainer_graph(const octet_trainer *trainer);

/* Steps taken; a loaded checkpoint's included. */
size_t octet_trainer_steps(const octet_trainer *trainer);

/* Everything that octet_trainer_quantized and octet_trainer_store depend on (parameters, statistics, ranges; no moments
   of the optimizer): its size, out to memory, back from there. */
size_t octet_trainer_state_size(const octet_trainer *trainer);
void   octet_trainer_state_get(void *state, const octet_trainer *trainer);
void   octet_trainer_state_set(octet_trainer *trainer, const void *state);

/* octet_trainer_save and _load with bytes of the caller's own in the same file. Loading refuses a file whose own bytes
   have another size. */
octet_status octet_trainer_save_with(const octet_trainer *trainer, const char *path, const void *own, size_t size,
                                     octet_error *err);
octet_status octet_trainer_load_with(octet_trainer *trainer, const char *path, void *own, size_t size,
                                     octet_error *err);

#endif
