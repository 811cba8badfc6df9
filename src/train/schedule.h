/* SPDX-License-Identifier: Apache-2.0 */
/* The learning rate of a step: a function of the step alone, so that it needs no state. */
#ifndef OCTET_TRAIN_SCHEDULE_H
#define OCTET_TRAIN_SCHEDULE_H

#include <octet/train.h>

/* Of step (from 0 on) of options->epochs epochs of epoch_steps steps each; options as octet_train_resolve leaves them.
   During warm-up the rate rises linearly to what it is at its end; a cosine falls from there on. */
double octet_schedule_rate(const octet_train_options *options, size_t step, size_t epoch_steps);

#endif
