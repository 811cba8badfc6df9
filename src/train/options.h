/* SPDX-License-Identifier: Apache-2.0 */
/* Options of training with their defaults in place. */
#ifndef OCTET_TRAIN_OPTIONS_H
#define OCTET_TRAIN_OPTIONS_H

#include <octet/train.h>

#include "base/arena.h"

/* The options in force (given may be NULL); values outside their range are an error that names option, value and need.
   What needs to know the data (batch, freeze_batch_norm of a network without) stays as given. */
octet_status octet_train_resolve(octet_train_options *options, const octet_train_options *given, octet_error *err);

/* One line "name value" for every option that decides what is learned. NULL when memory is out. */
const char *octet_train_describe(octet_arena *arena, const octet_train_options *options);

#endif
