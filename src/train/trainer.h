/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a trainer, for its own files and for fit.c. */
#ifndef OCTET_TRAIN_TRAINER_H
#define OCTET_TRAIN_TRAINER_H

#include <octet/train.h>

#include "graph/graph.h"
#include "train/checkpoint.h"
#include "train/optimizer.h"
#include "train/tape.h"
#include "train/trained_state.h"

/* Runs the teacher beside the network. */
typedef struct octet_teacher {
    octet_plan      *plan;
    octet_workspace *workspace;
    octet_tensor    *outputs;
    bool             probabilities; /* it ends in a Softmax */
} octet_teacher;

/* The part of the state that is no array of somebody else's. */
typedef struct octet_trainer_scalars {
    uint64_t step;
    double   learning_rate;
    uint64_t batch_norm_frozen; /* 0 or 1 */
} octet_trainer_scalars;

/* Everything that is sized by the batch or lies on the tape: made anew when the batch changes. */
typedef struct octet_trainer_layout {
    octet_arena     *arena;
    octet_tape      *tape;
    octet_parameter *parameters; /* the tape's; without a gradient where they rest */
    octet_trained  **learned;    /* whose scale or zero point a parameter is; NULL: nobody's */
    octet_parameter *statistics; /* the tape's */
    size_t           parameter_count, statistic_count;
    octet_mover     *mover;
    octet_teacher    teacher;
    octet_tensor     gradient; /* of the loss */
    char            *before;   /* what a forward pass moves, as it was before */
} octet_trainer_layout;

struct octet_trainer {
    octet_arena          *arena;
    octet_graph          *graph;     /* the caller's */
    octet_graph          *work;      /* a copy of it, which the tape lies on */
    octet_graph          *quantized; /* whose integers the tape uses; NULL: none */
    octet_train_options   options;   /* in force */
    const char           *identity;  /* of networks and options, for checkpoints */
    const octet_value    *output;    /* what the loss is of: the first output, or what lies before its Softmax */
    bool                  probabilities; /* the first output is the Softmax of it */
    bool                  has_batch_norm;
    octet_trained       **trained; /* of work */
    size_t                trained_count;
    octet_trainer_layout  layout;
    octet_trainer_scalars scalars;
    bool                  stale; /* parameters have moved since the integers were made */
    size_t                given_batch;
    size_t                epoch_steps; /* of a plan; 0: the loop is the caller's */
};

/* ---- for fit.c ---- */

/* The trainer knows its data now: it settles the batch, where none was given, and from here on sets learning rate and
   phases by itself before every step. Comes before the first step. */
octet_status octet_trainer_plan(octet_trainer *trainer, size_t samples, octet_error *err);

/* Steps taken; the options in force; the network. */
size_t                     octet_trainer_steps(const octet_trainer *trainer);
const octet_train_options *octet_trainer_settings(const octet_trainer *trainer);
const octet_graph         *octet_trainer_graph(const octet_trainer *trainer);

/* octet_trainer_save and _load with size bytes of the caller's own in the same file. */
octet_status octet_trainer_save_with(const octet_trainer *trainer, const char *path, const void *own, size_t size,
                                     octet_error *err);
octet_status octet_trainer_load_with(octet_trainer *trainer, const char *path, void *own, size_t size,
                                     octet_error *err);

/* What decides the network that would ship, flat: to go back to the best one. */
size_t octet_trainer_state_size(const octet_trainer *trainer);
void   octet_trainer_state_get(void *to, const octet_trainer *trainer);
void   octet_trainer_state_set(octet_trainer *trainer, const void *from);

/* The part of it that a forward pass in training moves: statistics and FakeQuantize. */
size_t octet_trainer_moving_size(const octet_trainer *trainer);
void   octet_trainer_moving_get(void *to, const octet_trainer *trainer);
void   octet_trainer_moving_set(octet_trainer *trainer, const void *from);

/* ---- between the trainer's files ---- */

/* Brings learning rate and phases to where the plan wants them. */
void octet_trainer_follow_plan(octet_trainer *trainer);

/* Whether the forward pass is the integer arithmetic that ships. */
bool octet_trainer_is_integer(const octet_trainer *trainer);

/* Learned parameters begin to learn where a range has been found. */
void octet_trainer_learn(octet_trainer *trainer);

/* ---- the teacher ---- */

octet_status octet_teacher_open(octet_teacher *teacher, const octet_trainer *trainer, size_t batch, octet_error *err);
void         octet_teacher_close(octet_teacher *teacher);

/* The teacher's first output for a batch, a view until the next call. */
octet_status octet_teacher_run(octet_tensor *output, const octet_teacher *teacher, const octet_tensor *inputs,
                               octet_error *err);

/* Where a network's loss is taken: its first output, or (where allowed) what a Softmax over the classes made it of. */
const octet_value *octet_loss_value(const octet_graph *graph, size_t batch, bool through_softmax);

#endif
