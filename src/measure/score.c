/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions of the scores, and what a metric names. */
#include "measure/score.h"

#include <octet/report.h>

#include <math.h>

size_t octet_argmax(const float *values, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (values[i] > values[best]) best = i;
    return best;
}

size_t octet_label_rank(const float *values, size_t count, size_t label)
{
    size_t before = 0;
    for (size_t i = 0; i < count; i++) before += values[i] > values[label] || (values[i] == values[label] && i < label);
    return before;
}

size_t octet_class_count(const octet_tensor *output)
{
    size_t count = 1;
    for (int i = 0; i < output->rank; i++) {
        if (output->dims[i] != 1 && count != 1) return 0;
        count *= (size_t)output->dims[i];
    }
    return count > 1 ? count : 0;
}

bool octet_squares_of(octet_squares *squares, const octet_tensor *output, const float *reference, int border)
{
    const float *const x = output->data;
    const int          rank = output->rank;
    const int64_t      count = octet_tensor_count(output);
    const int64_t      width = rank >= 1 ? output->dims[rank - 1] : 1;
    const int64_t      height = rank >= 2 ? output->dims[rank - 2] : 1, top = rank >= 2 ? border : 0;
    double             sum = 0, clamped = 0;
    int64_t            n = 0;
    squares->unit = true;
    for (int64_t i = 0; i < count; i++) {
        const int64_t column = i % width, row = i / width % height;
        if (column < border || column >= width - border || row < top || row >= height - top) continue;
        const double truth = reference[i], d = x[i] - truth, c = fmin(fmax(x[i], 0), 1) - truth;
        sum += d * d;
        clamped += c * c;
        if (truth < 0 || truth > 1) squares->unit = false;
        n++;
    }
    squares->mean = n ? sum / (double)n : NAN;
    squares->clamped = n ? clamped / (double)n : NAN;
    return n > 0;
}

double octet_psnr_db(double mean_square) { return mean_square > 0 ? -10 * log10(mean_square) : INFINITY; }

/* ---- metrics ---- */

static const char *const names[OCTET_METRIC_COUNT] = {
    [OCTET_METRIC_TOP1] = "top1", [OCTET_METRIC_TOP5] = "top5", [OCTET_METRIC_MSE] = "mse",
    [OCTET_METRIC_PSNR] = "psnr", [OCTET_METRIC_SQNR] = "sqnr",
    [OCTET_METRIC_AGREEMENT] = "agreement",
};

const char *octet_metric_name(octet_metric metric)
{
    return (unsigned)metric < OCTET_METRIC_COUNT ? names[metric] : "?";
}

bool octet_metric_is_share(octet_metric metric)
{
    return metric == OCTET_METRIC_TOP1 || metric == OCTET_METRIC_TOP5 || metric == OCTET_METRIC_AGREEMENT;
}

bool octet_metric_compares(octet_metric metric)
{
    return metric == OCTET_METRIC_SQNR || metric == OCTET_METRIC_AGREEMENT;
}

double octet_score(const octet_scores *scores, octet_metric metric)
{
    switch (metric) {
    case OCTET_METRIC_TOP1:
        return scores->top1;
    case OCTET_METRIC_TOP5:
        return scores->top5;
    case OCTET_METRIC_MSE:
        return scores->mse;
    case OCTET_METRIC_PSNR:
        return scores->psnr_db;
    case OCTET_METRIC_SQNR:
        return scores->sqnr_db;
    case OCTET_METRIC_AGREEMENT:
        return scores->agreement;
    default:
        return NAN;
    }
}

double octet_score_drop(const octet_scores scores[2], octet_metric metric)
{
    const double model = octet_score(&scores[0], metric), baseline = octet_score(&scores[1], metric);
    if (metric == OCTET_METRIC_MSE) return model - baseline;
    if (metric == OCTET_METRIC_AGREEMENT) return 100 * (1 - model);
    return octet_metric_is_share(metric) ? 100 * (baseline - model) : baseline - model;
}
