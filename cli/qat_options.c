/* SPDX-License-Identifier: Apache-2.0 */
/* What can be typed after octet qat, beyond what verbs share. */
#include "qat.h"

#include <string.h>

#define WORDS_OF(noun, NOUN)                                                          \
    static const char *noun##_word(size_t index)                                      \
    {                                                                                 \
        return index < OCTET_##NOUN##_COUNT ? octet_##noun##_name((octet_##noun)index) : NULL; \
    }
WORDS_OF(loss, LOSS)
WORDS_OF(optimizer, OPTIMIZER)
WORDS_OF(schedule, SCHEDULE)

/* "never", or an epoch from 0 on. */
static octet_status epoch_of(int *epoch, const char *text, const char *label, octet_error *err)
{
    int64_t number = 0;
    if (!text) return OCTET_OK;
    if (!strcmp(text, "never")) *epoch = OCTET_EPOCH_NEVER;
    else if (octet_parse_int(&number, text) && number >= 0 && number <= 1000000)
        *epoch = number ? (int)number : OCTET_EPOCH_FIRST;
    else {
        octet_error_field(err, label);
        return octet_fail(err, OCTET_ERR_ARGUMENT, "not an epoch (got '%.40s', need a whole number or never)", text);
    }
    return OCTET_OK;
}

octet_status qat_options(octet_train_options *train, const cli_args *args, octet_error *err)
{
    if (args->distill && args->loss && strcmp(args->loss, octet_loss_name(OCTET_LOSS_DISTILL)) != 0)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "'--distill' and '--loss %s' contradict each other", args->loss);
    *train           = args->train;
    train->loss      = args->distill ? OCTET_LOSS_DISTILL : (octet_loss)cli_word_index(args->loss, loss_word);
    train->optimizer = (octet_optimizer)cli_word_index(args->optimizer, optimizer_word);
    train->schedule  = (octet_schedule)cli_word_index(args->schedule, schedule_word);
    train->seed      = args->data.seed;
    train->batch     = args->batch;
    train->threads   = args->threads;
    train->limits    = args->limits;
    OCTET_TRY(epoch_of(&train->freeze_observers, args->freeze_observers, "--freeze-observers", err));
    return epoch_of(&train->freeze_batch_norm, args->freeze_batch_norm, "--freeze-batch-norm", err);
}

#define AT(member) offsetof(cli_args, member)
const cli_option qat_data_options[] = {
    CLI_OTHER_DATA("val", validation,
                   "data that chooses the best state, once an epoch; without it the last state is saved"),
    CLI_OTHER_DATA("test", test, "data that is read once, at the end"),
    { NULL },
};

const cli_option qat_learn_options[] = {
    { "lsq", 0, CLI_FLAG, NULL, AT(lsq), NULL, "learn scales and zero points, too", .section = "train" },
    { NULL },
};

const cli_option qat_train_options[] = {
    { "epochs", 0, CLI_COUNT, "N", AT(train.epochs), "1", "how often the data is gone through", "train", 1, 1e6 },
    { "batch", 0, CLI_COUNT, "N", AT(batch), "32", "samples of one step", "train", 1, 65536 },
    { "lr", 0, CLI_NUMBER, "X", AT(train.learning_rate), "0.001", "learning rate", "train", 1e-12, 1e5 },
    { "scale-rate", 0, CLI_NUMBER, "X", AT(train.scale_rate), "0.1", "times --lr: of learned scales", "train", 1e-12,
      1e6 },
    { "optimizer", 0, CLI_WORD, "NAME", AT(optimizer), "sgd", "what moves the weights", "train",
      .word = optimizer_word },
    { "momentum", 0, CLI_NUMBER, "X", AT(train.momentum), "0", "of sgd", "train", 0, 1 },
    { "nesterov", 0, CLI_FLAG, NULL, AT(train.nesterov), NULL, "look ahead by the momentum", "train" },
    { "weight-decay", 0, CLI_NUMBER, "X", AT(train.weight_decay), "0", "pull of weights to 0", "train", 0, 1 },
    { "schedule", 0, CLI_WORD, "NAME", AT(schedule), "cosine", "how the learning rate falls", "train",
      .word = schedule_word },
    { "warmup", 0, CLI_NUMBER, "EPOCHS", AT(train.warmup_epochs), "0", "in which the learning rate rises", "train", 0,
      1e6 },
    { "step-epochs", 0, CLI_NUMBER, "EPOCHS", AT(train.step_epochs), "a third of all", "of --schedule step", "train",
      1e-6, 1e6 },
    { "step-factor", 0, CLI_NUMBER, "X", AT(train.step_factor), "0.1", "of --schedule step", "train", 1e-9, 1 },
    { "loss", 0, CLI_WORD, "NAME", AT(loss), "cross_entropy", "what is made small", "train", .word = loss_word },
    { "label-smoothing", 0, CLI_NUMBER, "X", AT(train.label_smoothing), "0", "of cross entropy", "train", 0, 0.999 },
    { "reference", 0, CLI_TEXT, "FILE.npy", AT(data.reference), "the input", "true outputs of --data, for --loss mse" },
    { "distill", 0, CLI_FLAG, NULL, AT(distill), NULL,
      "--loss distill: learn the float network's answers; no labels are needed", "train" },
    { "baseline", 0, CLI_TEXT, "MODEL", AT(baseline), "MODEL, where it is float", "the float network of --distill" },
    { "temperature", 0, CLI_NUMBER, "X", AT(train.temperature), "1", "of --distill", "train", 0.001, 1000 },
    { "flip", 0, CLI_FLAG, NULL, AT(train.flip), NULL, "mirror half of the images", "train" },
    { "random-crop", 0, CLI_INTEGER, "N", AT(train.crop), "0", "pad images by N pixels of 0, cut back at random",
      "train", 0, 4096 },
    { "freeze-observers", 0, CLI_TEXT, "EPOCH", AT(freeze_observers), "half of the epochs",
      "from when on ranges rest, or never", "train" },
    { "freeze-batch-norm", 0, CLI_TEXT, "EPOCH", AT(freeze_batch_norm), "three quarters of the epochs",
      "from when on batch norms rest and the forward pass is the integer arithmetic that ships, or never", "train" },
    { "slow-batch-norm", 0, CLI_FLAG, NULL, AT(train.slow_batch_norm), NULL,
      "PyTorch's slow, stable way while batch norms move", "train" },
    { "init-calibrate", 0, CLI_COUNT, "N", AT(init_calibrate), "512", "samples that find the first ranges", "train", 1,
      1e9 },
    { NULL },
};

const cli_option qat_run_options[] = {
    { "output", 'o', CLI_TEXT, "FILE", AT(output), NULL, "where the result goes; FILE.ckpt is kept until then" },
    { "metric", 0, CLI_WORD, "NAME", AT(metric), "what the data allows", "which score counts",
      .word = cli_metric_word },
    { "patience", 0, CLI_COUNT, "EPOCHS", AT(patience), "none", "stop after so many epochs without a better score",
      NULL, 1, 1e6 },
    { "restart", 0, CLI_FLAG, NULL, AT(restart), NULL, "ignore FILE.ckpt and begin anew" },
    { "checkpoint-steps", 0, CLI_COUNT, "N", AT(checkpoint_steps),
      "100, and one every epoch", "between checkpoints", NULL, 1, 1e9 },
    { "log", 0, CLI_TEXT, "FILE", AT(log), NULL, "append JSON lines: start, steps, epochs, end" },
    { "log-steps", 0, CLI_COUNT, "N", AT(log_steps), "1", "log every N-th step only", NULL, 1, 1e9 },
    { NULL },
};
