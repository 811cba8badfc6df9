/* SPDX-License-Identifier: Apache-2.0 */
/* A loss judges one place of one sample: a row of numbers along the axis of classes. Rows are read in double wherever
   they lie, more than once rather than copied: classes are few beside what it took to compute them. */
#include "train/loss.h"

#include "base/math.h"

#include <math.h>

/* Entry i is tensor[at + i * step], its logarithm if asked for, times scale. */
typedef struct row {
    const octet_tensor *tensor;
    size_t              at, step, count;
    bool                logarithm;
    double              scale;
} row;

typedef struct judged {
    const octet_loss_call *call;
    row                    x, target;
    int64_t                label;
    double                 share; /* of this place in the mean */
} judged;

/* Returns the loss of the place; writes its gradient, times share. */
typedef double (*judge)(const judged *j);

static double read_at(const row *r, size_t i)
{
    const size_t at = r->at + i * r->step;
    const double x  = r->tensor->dtype == OCTET_F64 ? ((const double *)r->tensor->data)[at]
                                                    : (double)((const float *)r->tensor->data)[at];
    return r->scale * (r->logarithm ? octet_log(x) : x);
}

static void write_gradient(const judged *j, size_t i, double gradient)
{
    octet_tensor *const to = j->call->gradient;
    const size_t        at = j->x.at + i * j->x.step;
    if (to->dtype == OCTET_F64) ((double *)to->data)[at] = j->share * gradient;
    else ((float *)to->data)[at] = (float)(j->share * gradient);
}

/* log(sum(exp(x))), so that x[i] less this is the logarithm of softmax(x)[i]. */
static double log_sum(const row *x)
{
    double most = read_at(x, 0), sum = 0;
    for (size_t i = 1; i < x->count; i++) most = fmax(most, read_at(x, i));
    for (size_t i = 0; i < x->count; i++) sum += octet_exp(read_at(x, i) - most);
    return most + octet_log(sum);
}

static double cross_entropy(const judged *j)
{
    const double smooth = j->call->label_smoothing, even = smooth / (double)j->x.count, all = log_sum(&j->x);
    double       loss = 0;
    for (size_t i = 0; i < j->x.count; i++) {
        const double wanted = even + ((int64_t)i == j->label ? 1 - smooth : 0), p = read_at(&j->x, i) - all;
        if (wanted > 0) loss -= wanted * p;
        write_gradient(j, i, octet_exp(p) - wanted);
    }
    return loss;
}

static double mean_square(const judged *j)
{
    double loss = 0;
    for (size_t i = 0; i < j->x.count; i++) {
        const double d = read_at(&j->x, i) - read_at(&j->target, i);
        loss += d * d;
        write_gradient(j, i, 2 * d / (double)j->x.count);
    }
    return loss / (double)j->x.count;
}

static double distill(const judged *j)
{
    const double temperature = j->call->temperature, all = log_sum(&j->x), wanted_all = log_sum(&j->target);
    double       loss = 0;
    for (size_t i = 0; i < j->x.count; i++) {
        const double p = read_at(&j->x, i) - all, wanted = read_at(&j->target, i) - wanted_all, q = octet_exp(wanted);
        if (q != 0) loss += q * (wanted - p);
        write_gradient(j, i, temperature * (octet_exp(p) - q));
    }
    return temperature * temperature * loss;
}

static const judge judges[OCTET_LOSS_COUNT] = {
    [OCTET_LOSS_CROSS_ENTROPY] = cross_entropy,
    [OCTET_LOSS_MSE]           = mean_square,
    [OCTET_LOSS_DISTILL]       = distill,
};

static bool is_largest(const row *x, int64_t label)
{
    const double most = read_at(x, (size_t)label);
    for (size_t i = 0; i < x->count; i++)
        if ((int64_t)i < label ? !(read_at(x, i) < most) : !(read_at(x, i) <= most)) return false;
    return true;
}

static octet_status check_labels(const octet_loss_call *call, size_t places, size_t inner, octet_error *err)
{
    const int64_t classes = call->logits->dims[octet_loss_axis(call->logits)];
    if (!call->labels) return octet_fail(err, OCTET_ERR_ARGUMENT, "cross entropy needs labels (got none)");
    for (size_t i = 0; i < places; i++)
        if (call->labels[i] < 0 || call->labels[i] >= classes)
            return octet_fail(err, OCTET_ERR_ARGUMENT, "sample %zu of the batch has label %lld (need 0 to %lld)",
                              i / inner, (long long)call->labels[i], (long long)classes - 1);
    return OCTET_OK;
}

static octet_status check_target(const octet_loss_call *call, octet_error *err)
{
    const octet_tensor *const x = call->logits, *const t = call->target;
    char                      got[128], need[128];
    if (!t || !t->data)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "%s needs targets (got none)", octet_loss_name(call->loss));
    bool same = t->rank == x->rank && (t->dtype == OCTET_F32 || t->dtype == OCTET_F64) && !t->qparams;
    for (int i = 0; same && i < x->rank; i++) same = t->dims[i] == x->dims[i];
    if (same) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_SHAPE, "target is %s %s (need %s of real numbers)", octet_dtype_name(t->dtype),
                      octet_shape_text(got, sizeof got, t->dims, t->rank),
                      octet_shape_text(need, sizeof need, x->dims, x->rank));
}

int octet_loss_axis(const octet_tensor *logits)
{
    int axis = 1;
    while (axis + 1 < logits->rank && logits->dims[axis] == 1) axis++;
    return axis;
}

octet_status octet_loss_compute(octet_loss_result *result, const octet_loss_call *call, octet_error *err)
{
    const octet_tensor *const x = call->logits;
    const int                 axis = octet_loss_axis(x);
    if (axis >= x->rank || octet_tensor_count(x) <= 0)
        return octet_fail(err, OCTET_ERR_SHAPE, "a loss needs an output [batch, classes, ...] (got rank %d)", x->rank);
    const bool   labelled = call->loss == OCTET_LOSS_CROSS_ENTROPY;
    const size_t classes  = (size_t)x->dims[axis], places = (size_t)octet_tensor_count(x) / classes;
    size_t       inner = 1, right = 0;
    for (int i = axis + 1; i < x->rank; i++) inner *= (size_t)x->dims[i];
    OCTET_TRY(labelled ? check_labels(call, places, places / (size_t)x->dims[0], err) : check_target(call, err));

    double       sum   = 0;
    const double scale = call->loss == OCTET_LOSS_DISTILL ? 1 / call->temperature : 1;
    judged       j     = { .call = call, .share = 1 / (double)places,
                           .x = { .tensor = x, .step = inner, .count = classes, .scale = scale } };
    j.target           = j.x;
    j.target.tensor    = call->target;
    j.target.logarithm = call->loss == OCTET_LOSS_DISTILL && call->probabilities;
    for (size_t i = 0; i < places; i++) {
        j.x.at = j.target.at = i / inner * classes * inner + i % inner;
        if (labelled) {
            j.label = call->labels[i];
            right += is_largest(&j.x, j.label);
        }
        sum += judges[call->loss](&j);
    }
    result->loss = sum / (double)places;
    result->top1 = labelled ? (double)right / (double)places : NAN;
    return OCTET_OK;
}
