/* SPDX-License-Identifier: Apache-2.0 */
/* NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: one number per place, -weight * logarithm of the probability
   of its class; then none, the sum, or the mean by weights. Training has losses of its own (train/loss.c). */
#include "base/math.h"
#include "ops/check.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <string.h>

typedef struct loss_attrs {
    const char *reduction;    /* "none", "sum", "mean" */
    int64_t     ignore_index; /* NOT_GIVEN: none */
} loss_attrs;

#define NOT_GIVEN INT64_MIN

typedef struct loss_run {
    const octet_call *call;
    int64_t           classes, places; /* places of one sample */
    bool              softmax;
} loss_run;

/* ---- shapes ---- */

static octet_status check_labels(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0], *const labels = call->in[1];
    bool                      fits = labels->rank == x->rank - 1 && labels->dims[0] == x->dims[0];
    for (int i = 2; fits && i < x->rank; i++) fits = labels->dims[i - 1] == x->dims[i];
    if (labels->dtype != OCTET_I32 && labels->dtype != OCTET_I64)
        return octet_fail(err, OCTET_ERR_SHAPE, "labels of type %s, int32 or int64 are needed",
                          octet_dtype_name(labels->dtype));
    return fits ? OCTET_OK : octet_fail(err, OCTET_ERR_SHAPE, "labels need the scores' shape without its classes");
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    const char *const         reduction = ((const loss_attrs *)call->attrs)->reduction;
    const bool                none = strcmp(reduction, "none") == 0;
    if (!none && strcmp(reduction, "sum") != 0 && strcmp(reduction, "mean") != 0)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "reduction", "'none', 'sum' or 'mean' is needed");
    if (x->rank < 2 || x->dims[1] < 1)
        return octet_fail(err, OCTET_ERR_SHAPE, "scores need a dimension 1, of at least one class");
    OCTET_TRY(check_labels(call, err));
    if (octet_has_input(call, 2)) {
        OCTET_TRY(octet_check_same_type(call, 2, "weight", err));
        if (call->in[2]->rank != 1 || call->in[2]->dims[0] != x->dims[1])
            return octet_fail(err, OCTET_ERR_SHAPE, "one weight per class is needed");
    }
    if (octet_has_output(call, 1)) OCTET_TRY(octet_set_output(call->out[1], x->dtype, x->dims, x->rank, err));
    return octet_set_output(call->out[0], x->dtype, call->in[1]->dims, none ? call->in[1]->rank : 0, err);
}

/* ---- places ---- */

static double real_at(const octet_tensor *t, int64_t at)
{
    octet_wide value;
    octet_wide_load(&value, t->data, t->dtype, at, 1, 0);
    return value.f;
}

static void put(const octet_tensor *t, int64_t at, double x)
{
    const octet_wide value = {.f = x};
    octet_wide_store(t->data, t->dtype, at, &value, 1);
}

/* Where class 0 of a place lies; the next class is places further on. */
static int64_t start_of(const loss_run *run, int64_t place)
{
    return place / run->places * run->places * run->classes + place % run->places;
}

/* What is taken from a score to make it the logarithm of a probability. */
static double log_sum_exp(const loss_run *run, int64_t start)
{
    const octet_tensor *const x = run->call->in[0];
    double                    most = real_at(x, start), sum = 0;
    for (int64_t c = 1; c < run->classes; c++) {
        const double v = real_at(x, start + c * run->places);
        if (v > most || v != v) most = v;
    }
    for (int64_t c = 0; c < run->classes; c++) sum += octet_exp(real_at(x, start + c * run->places) - most);
    return most + octet_log(sum);
}

/* The loss of a place and its weight, both 0 where its class is ignored. */
static octet_status judge(double *loss, double *weight, const loss_run *run, int64_t place, octet_error *err)
{
    const octet_call *const call = run->call;
    const int64_t           start = start_of(run, place), label = octet_int_at(call->in[1], place);
    const double            less = run->softmax ? log_sum_exp(run, start) : 0;
    for (int64_t c = 0; c < run->classes && octet_has_output(call, 1); c++)
        put(call->out[1], start + c * run->places, real_at(call->in[0], start + c * run->places) - less);
    *loss = *weight = 0;
    if (label == ((const loss_attrs *)call->attrs)->ignore_index && label != NOT_GIVEN) return OCTET_OK;
    if (label < 0 || label >= run->classes)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "label %lld of %lld classes", (long long)label,
                          (long long)run->classes);
    *weight = octet_has_input(call, 2) ? real_at(call->in[2], label) : 1;
    *loss = -*weight * (real_at(call->in[0], start + label * run->places) - less);
    return OCTET_OK;
}

static octet_status forward(const octet_call *call, bool softmax, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    const char *const         reduction = ((const loss_attrs *)call->attrs)->reduction;
    loss_run                  run = {.call = call, .classes = x->dims[1], .places = 1, .softmax = softmax};
    const int64_t             count = octet_tensor_count(call->in[1]);
    double                    sum = 0, weights = 0;
    for (int i = 2; i < x->rank; i++) run.places *= x->dims[i];
    for (int64_t place = 0; place < count; place++) {
        double loss, weight;
        OCTET_TRY(judge(&loss, &weight, &run, place, err));
        if (*reduction == 'n') put(call->out[0], place, loss);
        sum += loss;
        weights += weight;
    }
    if (*reduction != 'n') put(call->out[0], 0, *reduction == 's' ? sum : sum / weights);
    return OCTET_OK;
}

static octet_status likelihood_forward(const octet_call *call, octet_error *err) { return forward(call, false, err); }
static octet_status entropy_forward(const octet_call *call, octet_error *err) { return forward(call, true, err); }

/* ---- rows ---- */

static const octet_attr rows[] = {
    {.name = "reduction", .kind = OCTET_ATTR_STRING, .offset = offsetof(loss_attrs, reduction), .default_s = "mean"},
    {.name = "ignore_index", .kind = OCTET_ATTR_INT, .offset = offsetof(loss_attrs, ignore_index),
     .default_i = NOT_GIVEN},
    {.kind = OCTET_ATTR_END},
};

#define LOSS                                                                                                           \
    .min_inputs = 2, .max_inputs = 3, .min_outputs = 1, .types = OCTET_TYPES_FLOAT, .attrs = rows,                     \
    .attrs_size = sizeof(loss_attrs), .infer = infer

const octet_op octet_op_negative_log_likelihood_loss = {
    .name = "NegativeLogLikelihoodLoss", .since = 12, LOSS, .max_outputs = 1, .forward = likelihood_forward,
};
const octet_op octet_op_softmax_cross_entropy_loss = {
    .name = "SoftmaxCrossEntropyLoss", .since = 12, LOSS, .max_outputs = 2, .forward = entropy_forward,
};
