/* SPDX-License-Identifier: Apache-2.0 */
/* How gradients become updates: torch.optim's SGD, Adam and AdamW, in the order of operations of its loops over single
   tensors. */
#ifndef OCTET_TRAIN_OPTIMIZER_H
#define OCTET_TRAIN_OPTIMIZER_H

#include <octet/train.h>

#include "base/arena.h"
#include "train/parameter.h"

/* What a parameter remembers: all of it belongs into a checkpoint. */
typedef struct octet_moments {
    void    *first, *second; /* of the parameter's type and count: momentum, or Adam's means; NULL where not needed */
    uint64_t steps;          /* updates so far */
} octet_moments;

typedef struct octet_mover {
    const octet_train_options *options; /* as octet_train_resolve leaves them */
    octet_parameter           *parameters;
    size_t                     count;
    octet_moments             *moments; /* one per parameter */
} octet_mover;

/* All in the arena. options and parameters must live as long; nothing has moved yet. */
octet_status octet_mover_new(octet_mover **mover, octet_arena *arena, const octet_train_options *options,
                             octet_parameter *parameters, size_t count, octet_error *err);

/* Moves every parameter that has a gradient (NULL: it rests) at this rate; scales and zero points at theirs. */
void octet_mover_step(octet_mover *mover, double learning_rate);

#endif
