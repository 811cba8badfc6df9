/* SPDX-License-Identifier: Apache-2.0 */
/* Training with quantization in the loop. octet_prepare_qat puts FakeQuantize into a network, a trainer moves its
   weights, and octet_trainer_quantized gives what would ship now: the very function that was trained. */
#ifndef OCTET_TRAIN_H
#define OCTET_TRAIN_H

#include <octet/quantize.h>
#include <octet/report.h>

typedef struct octet_trainer octet_trainer;

typedef enum octet_loss {
    OCTET_LOSS_CROSS_ENTROPY = 0, /* of the outputs' softmax against labels; a Softmax at the end is looked through */
    OCTET_LOSS_MSE,               /* against target tensors */
    OCTET_LOSS_DISTILL,           /* Kullback-Leibler from the teacher's softmax: no labels needed */
    OCTET_LOSS_COUNT
} octet_loss;

typedef enum octet_optimizer {
    OCTET_OPTIMIZER_SGD = 0, /* momentum, weight decay added to the gradient: torch.optim.SGD */
    OCTET_OPTIMIZER_ADAM,    /* torch.optim.Adam */
    OCTET_OPTIMIZER_ADAMW,   /* weight decay beside the gradient: torch.optim.AdamW */
    OCTET_OPTIMIZER_COUNT
} octet_optimizer;

typedef enum octet_schedule {
    OCTET_SCHEDULE_COSINE = 0, /* from learning_rate to 0 over all steps */
    OCTET_SCHEDULE_CONSTANT,
    OCTET_SCHEDULE_STEP, /* times step_factor every step_epochs epochs */
    OCTET_SCHEDULE_COUNT
} octet_schedule;

OCTET_API const char *octet_loss_name(octet_loss loss);
OCTET_API const char *octet_optimizer_name(octet_optimizer optimizer);
OCTET_API const char *octet_schedule_name(octet_schedule schedule);

/* Where a phase begins, in place of an epoch's number: 0 stands for the default. */
enum { OCTET_EPOCH_NEVER = -1, OCTET_EPOCH_FIRST = -2 };

/* Zero is a valid default for every member. */
typedef struct octet_train_options {
    /* the loss */
    octet_loss         loss;
    double             label_smoothing; /* in [0, 1) */
    const octet_graph *teacher;         /* of OCTET_LOSS_DISTILL: a float network with the same inputs and outputs */
    double             temperature;     /* of OCTET_LOSS_DISTILL; 0: 1 */
    /* the optimizer */
    octet_optimizer optimizer;
    double          learning_rate; /* 0: 1e-3 */
    double          scale_rate;    /* times learning_rate: of learned scales and zero points; 0: 0.1 */
    double          momentum;      /* SGD; 0: none */
    bool            nesterov;
    double          weight_decay;        /* of weights; biases, batch norms and scales have none unless decay_all */
    bool            decay_all;
    double          beta1, beta2, epsilon; /* Adam; 0: 0.9, 0.999, 1e-8 */
    /* the schedule */
    octet_schedule schedule;
    double         warmup_epochs;
    double         step_epochs, step_factor; /* 0: a third of all epochs; 0: 0.1 */
    size_t         epochs;                   /* 0: 1 */
    /* batches */
    size_t   batch; /* 0: 32, or all samples where there are fewer */
    uint64_t seed;  /* of order and augmentation */
    bool     flip;  /* half of the images mirrored, left to right */
    int      crop;  /* images padded by so many pixels of 0 and cut back at random */
    /* phases, in epochs from 0 on; the default is in brackets */
    int freeze_observers;  /* ranges rest from this epoch on [0: from half of the epochs on] */
    int freeze_batch_norm; /* statistics rest from this epoch on, and the forward pass is the integer arithmetic that
                              ships [0: from three quarters of the epochs on; a network that has none: always] */
    bool slow_batch_norm;  /* PyTorch's slow, numerically stable path while statistics move */
    int  threads;          /* 0: all; results do not depend on it */
    octet_limits limits;
} octet_train_options;

/* Puts FakeQuantize where qconfig (NULL: "octet") and its target ask for them, for training: batch norms stay alive.
   A quantized network becomes trainable again, its levels the start, its ranges resting. With data (may be NULL) a
   calibration first finds every range, and ranges of activations rest there unless qconfig's method is a moving
   average; otherwise the first batches find them. */
OCTET_API octet_status octet_prepare_qat(octet_graph *graph, const octet_qconfig *qconfig, octet_dataset *data,
                                         const octet_calibrate_options *options, octet_error *err);

/* The graph must outlive the trainer and is changed by it only in octet_trainer_store. options may be NULL. */
OCTET_API octet_status octet_trainer_create(octet_trainer **trainer, octet_graph *graph,
                                            const octet_train_options *options, octet_error *err);
OCTET_API void octet_trainer_free(octet_trainer *trainer);

/* Bytes the trainer holds. */
OCTET_API size_t octet_trainer_memory(const octet_trainer *trainer);

/* One batch, of the planned size. */
typedef struct octet_train_batch {
    const octet_tensor *inputs;  /* one per graph input, [batch, ...] */
    const int64_t      *labels;  /* of OCTET_LOSS_CROSS_ENTROPY: one a sample; of an output [batch, classes, ...] one
                                    for each place of a sample */
    const octet_tensor *targets; /* one per graph output, of OCTET_LOSS_MSE; of OCTET_LOSS_DISTILL where no teacher is
                                    given: the teacher's outputs */
} octet_train_batch;

typedef struct octet_train_result {
    size_t step;    /* number of steps taken, this one included */
    double epoch;   /* passed, where the trainer knows a data set; else 0 */
    double loss;    /* mean over the batch */
    double top1;    /* share of the batch, NAN without labels */
    double learning_rate;
    bool   integer; /* the forward pass was the integer arithmetic that ships */
} octet_train_result;

/* One step of the loop that the caller owns: forward, loss, backward, update. A loss that is not finite changes
   nothing and is an error that names the step and the first value that was not finite. */
OCTET_API octet_status octet_trainer_step(octet_trainer *trainer, const octet_train_batch *batch,
                                          octet_train_result *result, octet_error *err);

/* What the caller's own loop may set between steps. */
OCTET_API void octet_trainer_set_learning_rate(octet_trainer *trainer, double learning_rate);
OCTET_API void octet_trainer_freeze_observers(octet_trainer *trainer, bool frozen);
OCTET_API void octet_trainer_freeze_batch_norm(octet_trainer *trainer, bool frozen);
OCTET_API void octet_trainer_fake_quantize(octet_trainer *trainer, bool enabled);

/* Runs the network forward only, as training sees it. outputs[i] is a view, valid until the next call. */
OCTET_API octet_status octet_trainer_forward(octet_trainer *trainer, const octet_tensor *inputs, octet_tensor *outputs,
                                             octet_error *err);

/* The quantized network as it would ship now: a graph of its own, which the caller frees. */
OCTET_API octet_status octet_trainer_quantized(octet_graph **quantized, const octet_trainer *trainer, octet_error *err);

/* Writes trained weights and parameters back into the graph; octet_convert then makes it what octet_trainer_quantized
   gives. */
OCTET_API octet_status octet_trainer_store(octet_trainer *trainer, octet_error *err);

/* Everything that the next steps depend on, in one file (versioned, hashed, written atomically). Loading refuses a file
   of another network or of other options. */
OCTET_API octet_status octet_trainer_save(const octet_trainer *trainer, const char *path, octet_error *err);
OCTET_API octet_status octet_trainer_load(octet_trainer *trainer, const char *path, octet_error *err);

/* ---- the whole loop ---- */

typedef enum octet_fit_event {
    OCTET_FIT_START = 0, /* before the first step: the plan, and what a checkpoint has already done */
    OCTET_FIT_STEP,
    OCTET_FIT_VALIDATE, /* now and then while an epoch's state is validated */
    OCTET_FIT_EPOCH,    /* epoch 0: the start has been validated */
} octet_fit_event;

typedef struct octet_fit_progress {
    octet_fit_event    event;
    octet_train_result last;
    size_t             steps; /* of the whole plan */
    size_t             batch, epoch, epochs; /* samples a step; epochs ended; of the whole plan */
    double             mean_loss, mean_top1; /* over the epoch so far; NAN before its first step */
    double             seconds, remaining;   /* of this run so far; to go, NAN where it cannot be told */
    size_t             validated, to_validate; /* samples, at OCTET_FIT_VALIDATE */
    const octet_scores *scores;              /* NULL, but at OCTET_FIT_EPOCH with validation: of what would ship */
    bool               best;                 /* scores are the best so far */
    size_t             resumed; /* steps that a checkpoint had already taken */
} octet_fit_progress;

/* A value other than 0 ends the work with OCTET_ERR_ARGUMENT "interrupted", after a checkpoint. */
typedef int (*octet_fit_function)(void *context, const octet_fit_progress *progress);

typedef struct octet_fit_options {
    octet_dataset     *validation; /* NULL: the last state is the result */
    octet_graph       *baseline;   /* what metrics that compare are measured against, in validation; else may be NULL */
    octet_metric       metric;     /* by which the best state is chosen */
    size_t             patience;   /* stop after so many epochs without a better score; 0: never */
    const char        *checkpoint; /* file; NULL: none. Read where it exists. Left behind at the end: it is to be
                                      removed once the result is safe, and until then gives it again at once */
    bool               restart;    /* an existing checkpoint is not read */
    size_t             checkpoint_steps; /* between checkpoints; 0: 100, and one at the end of every epoch */
    octet_fit_function progress;
    void              *progress_context;
} octet_fit_options;

/* Trains for all epochs of the trainer's options; *quantized is the best state by validation (of the start and the
   ends of epochs), or the last one; the trainer has it then, too. scores (may be NULL): of that state, in the engine;
   count 0 without validation. Samples that fill no whole batch at the end of an epoch's order are left out of that
   epoch. A label that the network has no class for is refused before the first step. The caller frees *quantized. */
OCTET_API octet_status octet_fit(octet_graph **quantized, octet_scores *scores, octet_trainer *trainer,
                                 octet_dataset *data, const octet_fit_options *options, octet_error *err);

#endif
