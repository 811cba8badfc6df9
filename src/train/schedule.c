/* SPDX-License-Identifier: Apache-2.0 */
/* Made of additions, multiplications and octet's own cosine: the same rate on every machine. */
#include "train/schedule.h"

#include "base/math.h"

#include <math.h>

/* All in steps. */
typedef struct moment {
    double at, warmup, epoch, all;
} moment;

/* Each gives the share of the learning rate at a moment after warm-up. */
typedef double (*share)(const octet_train_options *options, const moment *m);

static double cosine(const octet_train_options *options, const moment *m)
{
    (void)options;
    const double left = m->all - m->warmup;
    return 0.5 * (1 + octet_cos_pi(left > 0 ? fmin((m->at - m->warmup) / left, 1) : 1));
}

static double constant(const octet_train_options *options, const moment *m)
{
    (void)options, (void)m;
    return 1;
}

static double stairs(const octet_train_options *options, const moment *m)
{
    const double stair = options->step_epochs * m->epoch;
    double       n     = floor(m->at / stair);
    if ((n + 1) * stair <= m->at) n++; /* the quotient was rounded */
    return octet_power(options->step_factor, (uint64_t)fmin(n, 0x1p53));
}

static const share shares[OCTET_SCHEDULE_COUNT] = {
    [OCTET_SCHEDULE_COSINE]   = cosine,
    [OCTET_SCHEDULE_CONSTANT] = constant,
    [OCTET_SCHEDULE_STEP]     = stairs,
};

double octet_schedule_rate(const octet_train_options *options, size_t step, size_t epoch_steps)
{
    moment       m      = { .at = (double)step, .epoch = (double)epoch_steps };
    const double rising = m.at + 1;
    m.warmup            = options->warmup_epochs * m.epoch;
    m.all               = (double)options->epochs * m.epoch;
    if (rising >= m.warmup) return options->learning_rate * shares[options->schedule](options, &m);
    m.at = m.warmup;
    return options->learning_rate * shares[options->schedule](options, &m) * (rising / m.warmup);
}
