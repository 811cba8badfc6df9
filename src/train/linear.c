/* SPDX-License-Identifier: Apache-2.0 */
/* Weights and batch norm of a Conv, Gemm or MatMul (docs/arithmetic.md section 5; PyTorch's nn/intrinsic/qat/modules/
   conv_fused.py). With w the weights, u the plain result with bias, r = 1 / sqrt(variance + epsilon):

     live, approximate  k = gamma * r of the running variance; z = product(x, fq(w * k)); u = z / k + b, normalized with
                        the batch's mean and variance. A channel with gamma = 0 takes k = 1.
     live, slow         statistics of product(x, w) move the running ones first; then k = gamma * r,
                        z = product(x, fq(w * k)), y = z * (batch's r / running r) + (beta - gamma * mean * batch's r)
     frozen             folded: z = product(x, fq(w * k)), y = z + ((b - mean) * r) * gamma + beta */
#include "train/steps.h"

#include "base/parallel.h"

#include <math.h>
#include <string.h>

static double at_or(const octet_parameter *p, size_t c, double otherwise)
{
    return p ? octet_parameter_at(p, c) : otherwise;
}

static size_t channels_of(const octet_tape_step *step) { return step->shape.channels; }
static double count_of(const octet_tape_step *step) { return (double)(step->shape.outer * step->shape.inner); }

/* ---- sums over the batch, in slices ---- */

typedef struct sums_work {
    const octet_tape *tape;
    octet_tape_step  *step;
    const void       *x, *z;
    const double     *mean;
} sums_work;

/* Slice s owns sums[s][0..3][channel]. */
static double *slice_sums(const octet_tape *tape, size_t channels, size_t slice)
{
    return tape->sums + slice * 4 * channels;
}

static void moments_slice(void *context, size_t slice)
{
    const sums_work *const w        = context;
    const size_t           channels = channels_of(w->step), outer = w->step->shape.outer;
    double *const          sum      = slice_sums(w->tape, channels, slice);
    memset(sum, 0, channels * sizeof *sum);
    octet_tape_numbers_of(w->tape)->moments(sum, w->x, w->mean, &w->step->shape, octet_slice_begin(outer, slice),
                                            octet_slice_begin(outer, slice + 1));
}

static void gradient_slice(void *context, size_t slice)
{
    const sums_work *const w        = context;
    const size_t           channels = channels_of(w->step), outer = w->step->shape.outer;
    double *const          sum      = slice_sums(w->tape, channels, slice);
    memset(sum, 0, 2 * channels * sizeof *sum);
    octet_tape_numbers_of(w->tape)->gradient_moments(sum, w->x, w->z, &w->step->shape,
                                                     octet_slice_begin(outer, slice),
                                                     octet_slice_begin(outer, slice + 1));
}

/* Adds the slices in order into slice 0's first `count` numbers. */
static const double *add_slices(const octet_tape *tape, size_t channels, size_t count)
{
    double *const total = tape->sums;
    for (size_t s = 1; s < OCTET_TAPE_SLICES; s++)
        for (size_t i = 0; i < count; i++) total[i] += slice_sums(tape, channels, s)[i];
    return total;
}

/* Mean and biased variance of x's channels. mean: holds what the means should be near. */
static void moments_of(const octet_tape *tape, octet_tape_step *step, const void *x, double *mean, double *variance)
{
    const size_t channels = channels_of(step);
    sums_work    work     = { .tape = tape, .step = step, .x = x };
    if (step->rows) {
        octet_rows_moments(tape, step, x, mean, variance);
        return;
    }
    octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, moments_slice, &work);
    const double *const sum = add_slices(tape, channels, channels);
    for (size_t c = 0; c < channels; c++) mean[c] = sum[c] / count_of(step);
    work.mean = mean;
    octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, moments_slice, &work);
    add_slices(tape, channels, channels);
    for (size_t c = 0; c < channels; c++) variance[c] = tape->sums[c] / count_of(step);
}

/* ---- weights by output channel ---- */

/* A group of the weights: its shape, and where it begins among the weights and the output channels. */
typedef struct weight_group {
    octet_channel_shape shape;
    size_t              at, channel;
} weight_group;

static weight_group group_of(const octet_tape_linear *linear, size_t g)
{
    weight_group group = { .shape = linear->weight_shape, .channel = g * linear->weight_shape.channels };
    group.shape.outer /= linear->weight_groups;
    group.at = g * octet_channels_count(&group.shape);
    return group;
}

/* scaled = weights * k */
static void scale_weights(const octet_tape *tape, octet_tape_linear *linear)
{
    for (size_t g = 0; g < linear->weight_groups; g++) {
        const weight_group of = group_of(linear, g);
        octet_tape_numbers_of(tape)->scale((char *)linear->scaled + of.at * tape->element,
                                           (const char *)linear->weight->value + of.at * tape->element,
                                           linear->k + of.channel, &of.shape);
    }
}

/* The weights' gradient += that of the used ones * k, which has a number for each output channel. */
static void add_weight_gradient(const octet_tape *tape, octet_tape_linear *linear, const double *k)
{
    for (size_t g = 0; g < linear->weight_groups; g++) {
        const weight_group of = group_of(linear, g);
        octet_tape_numbers_of(tape)->add_scaled((char *)linear->weight->gradient + of.at * tape->element,
                                                (const char *)linear->gradient + of.at * tape->element,
                                                k + of.channel, &of.shape);
    }
}

/* dk += gradient of the used weights . weights */
static void add_scale_gradient(const octet_tape *tape, const octet_tape_linear *linear, double *dk)
{
    for (size_t g = 0; g < linear->weight_groups; g++) {
        const weight_group of = group_of(linear, g);
        octet_tape_numbers_of(tape)->dot(dk + of.channel, (const char *)linear->gradient + of.at * tape->element,
                                         (const char *)linear->weight->value + of.at * tape->element, &of.shape);
    }
}

/* ---- forward ---- */

static bool is_live(const octet_tape *tape, const octet_tape_linear *linear)
{
    return linear->gamma && tape->training && !tape->batch_norm_frozen && !tape->quantized;
}

static void move_statistics(octet_tape_linear *linear, size_t c, double mean, double variance, double n)
{
    const double m      = (double)linear->momentum; /* ONNX: running * momentum + batch * (1 - momentum) */
    const double unbiased = n > 1 ? variance * n / (n - 1) : variance;
    octet_parameter_set(linear->mean, c, octet_parameter_at(linear->mean, c) * m + mean * (1 - m));
    octet_parameter_set(linear->variance, c, octet_parameter_at(linear->variance, c) * m + unbiased * (1 - m));
}

static double running_rstd(const octet_tape_linear *linear, size_t c)
{
    return 1 / sqrt(octet_parameter_at(linear->variance, c) + (double)linear->epsilon);
}

/* Where the batch's means of the product should be, as the running ones have it. */
static void expect_means(octet_tape_step *step, bool scaled)
{
    octet_tape_linear *const linear = step->linear;
    for (size_t c = 0; c < channels_of(step); c++)
        linear->batch_mean[c] = (octet_parameter_at(linear->mean, c) - at_or(linear->bias, c, 0)) *
                                (scaled ? linear->k[c] : 1);
}

/* The slow path's first product, and its statistics. */
static octet_status begin_slow(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    octet_tape_linear *const linear = step->linear;
    octet_tensor             weight = *step->in_tensors[1], z = step->z;
    const octet_tensor *const used  = step->in_tensors[1];
    weight.data         = linear->weight->value;
    z.data              = linear->plain;
    step->in_tensors[1] = &weight;
    step->out_tensors[0] = &z;
    const octet_status status = octet_tape_apply(tape, step, err);
    step->in_tensors[1]  = used;
    step->out_tensors[0] = &step->z;
    OCTET_TRY(status);
    expect_means(step, false);
    moments_of(tape, step, linear->plain, linear->batch_mean, linear->batch_rstd);
    for (size_t c = 0; c < channels_of(step); c++) {
        const double variance = linear->batch_rstd[c];
        move_statistics(linear, c, linear->batch_mean[c] + at_or(linear->bias, c, 0), variance, count_of(step));
        linear->batch_rstd[c] = 1 / sqrt(variance + (double)linear->epsilon);
    }
    return OCTET_OK;
}

/* Scale and shift of the affine where no batch decides them. */
static void fixed_affine(octet_tape_step *step)
{
    const octet_tape_linear *const linear = step->linear;
    for (size_t c = 0; c < channels_of(step); c++) {
        const double bias = at_or(linear->bias, c, 0);
        step->scale[c]    = 1;
        step->shift[c]    = bias;
        if (!linear->gamma) continue;
        const double away = (bias - octet_parameter_at(linear->mean, c)) * running_rstd(linear, c);
        step->shift[c]    = away * octet_parameter_at(linear->gamma, c) + octet_parameter_at(linear->beta, c);
    }
}

void octet_linear_fold(octet_tape *tape, octet_tape_step *step)
{
    octet_tape_linear *const        linear  = step->linear;
    const octet_tape_numbers *const numbers = octet_tape_numbers_of(tape);
    if (!linear->gamma) {
        memcpy(linear->scaled, linear->weight->value, linear->weight->count * tape->element);
        return;
    }
    numbers->norm_scale(linear->k, linear, !tape->options.profile);
    for (size_t c = 0; linear->live && !linear->slow && c < channels_of(step); c++)
        if (octet_parameter_at(linear->gamma, c) == 0) linear->k[c] = 1;
    scale_weights(tape, linear);
}

octet_status octet_linear_begin(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    octet_tape_linear *const linear = step->linear;
    linear->live = is_live(tape, linear);
    linear->slow = linear->live && tape->options.slow_batch_norm;
    if (linear->slow) OCTET_TRY(begin_slow(tape, step, err));
    octet_linear_fold(tape, step);
    memcpy(linear->used, linear->scaled, linear->weight->count * tape->element);
    if (linear->trained) octet_fake_quantize_tensor(tape, linear->trained, linear->used, &linear->weight_shape);
    if (!linear->live) fixed_affine(step);
    return OCTET_OK;
}

static void normalize_slow(octet_tape_step *step)
{
    const octet_tape_linear *const linear = step->linear;
    for (size_t c = 0; c < channels_of(step); c++) {
        const double rstd = linear->batch_rstd[c], gamma = octet_parameter_at(linear->gamma, c);
        step->scale[c]    = rstd / running_rstd(linear, c);
        step->shift[c]    = octet_parameter_at(linear->beta, c) - gamma * linear->batch_mean[c] * rstd;
    }
}

void octet_linear_normalize(octet_tape *tape, octet_tape_step *step)
{
    octet_tape_linear *const linear = step->linear;
    if (!linear->live) return;
    if (linear->slow) {
        normalize_slow(step);
        return;
    }
    expect_means(step, true);
    moments_of(tape, step, step->z.data, linear->batch_mean, linear->batch_rstd);
    for (size_t c = 0; c < channels_of(step); c++) {
        const double k = linear->k[c], mean = linear->batch_mean[c], variance = linear->batch_rstd[c] / (k * k);
        const double rstd = 1 / sqrt(variance + (double)linear->epsilon);
        move_statistics(linear, c, mean / k + at_or(linear->bias, c, 0), variance, count_of(step));
        linear->batch_rstd[c] = rstd;
        step->scale[c]        = octet_parameter_at(linear->gamma, c) * rstd / k;
        step->shift[c]        = octet_parameter_at(linear->beta, c) - mean * step->scale[c];
    }
}

/* ---- backward ---- */

typedef struct combine_work {
    const octet_tape *tape;
    octet_tape_step  *step;
    void             *d;
    const void       *z;
    const double     *factors[3];
} combine_work;

static void combine_slice(void *context, size_t slice)
{
    const combine_work *const w     = context;
    const size_t              outer = w->step->shape.outer;
    octet_tape_numbers_of(w->tape)->combine(w->d, w->z, w->factors, &w->step->shape, octet_slice_begin(outer, slice),
                                            octet_slice_begin(outer, slice + 1));
}

/* d = d * a + z * b + e, per channel; the factors stand in tape->sums behind the first two. */
static void combine(const octet_tape *tape, octet_tape_step *step, void *d, const void *z, const double *factors)
{
    const size_t channels = channels_of(step);
    combine_work work     = { tape, step, d, z, { factors, factors + channels, factors + 2 * channels } };
    if (step->rows) {
        octet_rows_combine(tape, step, d, z, work.factors);
        return;
    }
    octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, combine_slice, &work);
}

/* Where the gradient of gamma through k goes: k = gamma * r. */
static void gamma_through_scale(octet_tape_step *step, size_t c, double dk)
{
    const octet_tape_linear *const linear = step->linear;
    const double                   gamma  = octet_parameter_at(linear->gamma, c);
    if (gamma != 0) octet_parameter_add_gradient(linear->gamma, c, dk * linear->k[c] / gamma);
    else if (!linear->live || linear->slow)
        octet_parameter_add_gradient(linear->gamma, c, dk * running_rstd(linear, c));
}

/* sums: of d and of d * z. Sets factors of z's gradient, and all that batch statistics pass on. */
static void live_channel(octet_tape_step *step, size_t c, const double sums[2], double factors[3])
{
    const octet_tape_linear *const linear = step->linear;
    const double n = count_of(step), k = linear->k[c], mean = linear->batch_mean[c], rstd = linear->batch_rstd[c];
    const double gamma = octet_parameter_at(linear->gamma, c);
    const double p = rstd / k, q = -mean * p; /* normalized = z * p + q */
    const double along    = sums[1] * p + sums[0] * q;
    const double variance = (1 / (rstd * rstd) - (double)linear->epsilon) * k * k;
    factors[0]            = gamma * rstd / k;
    factors[1]            = -factors[0] * p * along / n;
    factors[2]            = -factors[0] * (sums[0] / n + q * along / n);
    octet_parameter_add_gradient(linear->gamma, c, along);
    octet_parameter_add_gradient(linear->beta, c, sums[0]);
    const double squares = n * (variance + mean * mean);
    if (gamma != 0)
        gamma_through_scale(step, c, -(factors[0] * sums[1] + factors[1] * squares + factors[2] * n * mean) / k);
}

static void slow_channel(octet_tape_step *step, size_t c, const double sums[2], double factors[3])
{
    const octet_tape_linear *const linear = step->linear;
    const double n = count_of(step), mean = linear->batch_mean[c], rstd = linear->batch_rstd[c];
    const double gamma = octet_parameter_at(linear->gamma, c), deviation = 1 / running_rstd(linear, c);
    const double along_rstd     = sums[1] * deviation - gamma * mean * sums[0];
    const double along_variance = along_rstd * -0.5 * rstd * rstd * rstd;
    octet_parameter_add_gradient(linear->gamma, c, -mean * rstd * sums[0]);
    octet_parameter_add_gradient(linear->beta, c, sums[0]);
    factors[0] = 0; /* of the plain product's gradient */
    factors[1] = 2 * along_variance / n;
    factors[2] = -gamma * rstd * sums[0] / n - factors[1] * mean;
}

static void frozen_channel(octet_tape_step *step, size_t c, double sum)
{
    const octet_tape_linear *const linear = step->linear;
    double                         bias   = sum;
    if (linear->gamma) {
        const double rstd = running_rstd(linear, c), gamma = octet_parameter_at(linear->gamma, c);
        const double away = at_or(linear->bias, c, 0) - octet_parameter_at(linear->mean, c);
        octet_parameter_add_gradient(linear->beta, c, sum);
        octet_parameter_add_gradient(linear->gamma, c, sum * away * rstd);
        bias = sum * rstd * gamma;
    }
    octet_parameter_add_gradient(linear->bias, c, bias);
}

/* Gradients of the weights behind FakeQuantize and scale. */
static void weight_gradient(octet_tape *tape, octet_tape_step *step)
{
    octet_tape_linear *const linear   = step->linear;
    const size_t             channels = channels_of(step);
    double *const            dk       = tape->sums;
    if (linear->trained)
        octet_fake_quantize_gradient(tape, linear->trained, linear->gradient, linear->scaled, &linear->weight_shape);
    add_weight_gradient(tape, linear, linear->k);
    if (!linear->gamma) return;
    memset(dk, 0, channels * sizeof *dk);
    add_scale_gradient(tape, linear, dk);
    for (size_t c = 0; c < channels; c++) gamma_through_scale(step, c, dk[c]);
}

/* The slow path's plain product has gradients of its own: linear->plain becomes its gradient. */
static octet_status plain_backward(octet_tape *tape, octet_tape_step *step, const double *factors, octet_error *err)
{
    octet_tape_linear *const  linear = step->linear;
    octet_tensor              weight = *step->in_tensors[1], d = step->z;
    const octet_tensor *const used   = step->in_tensors[1];
    combine(tape, step, linear->plain, linear->plain, factors);
    weight.data         = linear->weight->value;
    d.data              = linear->plain;
    step->in_tensors[1] = &weight;
    const octet_status status = octet_tape_apply_backward(tape, step, &d, err);
    step->in_tensors[1] = used;
    OCTET_TRY(status);
    for (size_t c = 0; c < channels_of(step); c++) tape->sums[c] = 1;
    add_weight_gradient(tape, linear, tape->sums);
    return OCTET_OK;
}

static void through_statistics(octet_tape *tape, octet_tape_step *step, void *d, double *factors)
{
    const size_t        channels = channels_of(step);
    const double *const sums     = tape->sums;
    for (size_t c = 0; c < channels; c++) {
        const double of[2]     = { sums[c], sums[channels + c] };
        double       factor[3] = { 0 };
        if (!step->linear->live) frozen_channel(step, c, of[0]);
        else if (step->linear->slow) slow_channel(step, c, of, factor);
        else live_channel(step, c, of, factor);
        for (size_t i = 0; i < 3; i++) factors[i * channels + c] = factor[i];
    }
    if (step->linear->live && !step->linear->slow) combine(tape, step, d, step->z.data, factors);
}

/* dz = d * scale, in the slow path. */
static void scale_slow(const octet_tape *tape, octet_tape_step *step, void *d)
{
    const size_t  channels = channels_of(step);
    double *const factors  = tape->sums;
    for (size_t c = 0; c < channels; c++) {
        factors[c]                = step->scale[c];
        factors[channels + c]     = 0;
        factors[2 * channels + c] = 0;
    }
    combine(tape, step, d, step->z.data, factors);
}

octet_status octet_linear_backward(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    octet_tape_linear *const  linear = step->linear;
    const octet_tensor *const d      = &step->out[0]->gradient;
    sums_work                 work   = { .tape = tape, .step = step, .x = d->data, .z = step->z.data };
    if (!step->rows) { /* else the epilogue has made them */
        octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, gradient_slice, &work);
        add_slices(tape, channels_of(step), 2 * channels_of(step));
    }
    through_statistics(tape, step, d->data, linear->factors);
    if (linear->slow) OCTET_TRY(plain_backward(tape, step, linear->factors, err));
    if (linear->slow) scale_slow(tape, step, d->data);
    OCTET_TRY(octet_tape_apply_backward(tape, step, d, err));
    weight_gradient(tape, step);
    return OCTET_OK;
}
