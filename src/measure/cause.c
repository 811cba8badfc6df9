/* SPDX-License-Identifier: Apache-2.0 */
/* The largest origin of a layer's own error names the cause; figures of the value or the weights that it is about say
   which of several. */
#include "measure/compare.h"

#include "base/channels.h"
#include "measure/weights.h"
#include "ops/mode.h"

#include <math.h>
#include <stdlib.h>

/* From where on a figure is the cause. An outlier that is r times the median costs the others log2(r) bits: three of a
   value, two of weights, which have most of their numbers near zero anyhow. Levels that are never taken: one bit, less
   a little as ranges are never exact. */
static const double VALUE_OUTLIER = 8, WEIGHT_OUTLIER = 4, USED_LEVELS = 0.6, SHIFTED = 0.5;

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double median(float *x, size_t count)
{
    qsort(x, count, sizeof *x, ascending);
    return count % 2 ? (double)x[count / 2] : 0.5 * ((double)x[count / 2 - 1] + (double)x[count / 2]);
}

/* The largest of widths over their median, dead channels apart. 1: too few to tell. */
static double outlier_ratio(float *widths, size_t count)
{
    size_t alive = 0;
    for (size_t k = 0; k < count; k++)
        if (widths[k] > 0) widths[alive++] = widths[k];
    if (alive < 3) return 1;
    const double middle = median(widths, alive);
    return (double)widths[alive - 1] / middle;
}

static double value_outlier(const octet_origins *o, octet_arena *arena)
{
    float *const widths = octet_arena_alloc(arena, o->channels, sizeof *widths);
    for (size_t k = 0; widths && k < o->channels; k++) widths[k] = fmaxf(fabsf(o->lo[k]), fabsf(o->hi[k]));
    return widths ? outlier_ratio(widths, o->channels) : 1;
}

/* Of weights with one scale for all channels; 1 where each has its own. */
static double weight_outlier(const octet_pairing *p, size_t layer, octet_arena *arena)
{
    const octet_node *const    node = p->layers[layer].node;
    const octet_qparams *const q    = octet_value_levels(p->quantized, node->inputs[1]);
    const octet_tensor        *w[2];
    if (!q || q->count > 1 || !octet_layer_weights(w, p, layer, 1)) return 1;
    const octet_channel_shape s      = octet_channels_along(w[0], octet_weight_axis(p->layers[layer].unrounded));
    float *const              widths = octet_arena_alloc(arena, s.channels, sizeof *widths);
    const float              *x      = w[0]->data;
    for (size_t n = 0; widths && n < s.outer; n++)
        for (size_t c = 0; c < s.channels; c++)
            for (size_t i = 0; i < s.inner; i++) widths[c] = fmaxf(widths[c], fabsf(*x++));
    return widths ? outlier_ratio(widths, s.channels) : 1;
}

/* How many of the levels lie in the range that values take. */
static double used_levels(const octet_origins *o, const octet_qparams *q)
{
    float lo = o->lo[0], hi = o->hi[0];
    for (size_t k = 1; k < o->channels; k++) lo = fminf(lo, o->lo[k]), hi = fmaxf(hi, o->hi[k]);
    const double ends[2] = { (double)octet_level_real(q, q->qmin), (double)octet_level_real(q, q->qmax) };
    const double low = fmax((double)lo, ends[0]), high = fmin((double)hi, ends[1]);
    return high > low ? (high - low) / (ends[1] - ends[0]) : 0;
}

/* The share of the own error that is a constant per channel, less what chance would make of independent errors. */
static double shifted_share(const octet_origins *o)
{
    const double n    = o->channels ? (double)o->count / (double)o->channels : 0;
    double       kept = 0, all = 0;
    if (n < 2) return 0;
    for (size_t k = 0; k < o->channels; k++) {
        const double mean = o->shift[k] / n, scatter = o->squares[k] - n * mean * mean;
        kept += n * mean * mean - scatter / (n - 1);
        all += o->squares[k];
    }
    return all > 0 ? kept / all : 0;
}

/* ---- which it is ---- */

enum { WEIGHTS, INPUTS_CUT, INPUTS_ROUNDED, CLIPPED, ROUNDED, ORIGINS };

/* The origins of a value: those of what was rounded, where nodes only show it in another shape. */
static size_t origin_of(const octet_pairing *p, const octet_value **value)
{
    while ((*value)->producer && (*value)->producer->op->flags & OCTET_OP_VIEW) *value = (*value)->producer->inputs[0];
    const octet_layer *const layer = p->by_value[(*value)->index];
    return layer ? (size_t)(layer - p->layers) : p->layer_count + octet_compared_input(p->quantized, *value);
}

/* The input of most error of its own. */
static void find_input(octet_finding *f, const octet_pairing *p, const octet_compared *sums, size_t layer, bool cut)
{
    const octet_node *const node  = p->layers[layer].node;
    double                  worst = -1;
    for (int i = 0; i < node->input_count; i++) {
        const octet_value *in = node->inputs[i];
        if (!in || in->constant || !octet_value_levels(p->quantized, in)) continue;
        const size_t origin  = origin_of(p, &in);
        const double squares = cut ? sums->origins[origin].clipped : sums->origins[origin].rounded;
        if (!sums->origins[origin].seen || squares <= worst) continue;
        worst     = squares;
        f->value  = in;
        f->origin = origin;
    }
}

static void judge_weights(octet_finding *f, const octet_pairing *p, size_t layer, octet_arena *arena)
{
    f->weights = true;
    f->figure  = weight_outlier(p, layer, arena);
    f->cause   = f->figure >= WEIGHT_OUTLIER ? OCTET_CAUSE_OUTLIER_CHANNEL : OCTET_CAUSE_RESOLUTION;
}

static void judge_value(octet_finding *f, const octet_pairing *p, const octet_compared *sums, octet_arena *arena)
{
    const octet_origins *const o = &sums->origins[f->origin];
    const octet_qparams *const q = octet_value_levels(p->quantized, f->value);
    const double outlier = value_outlier(o, arena), used = q ? used_levels(o, q) : 1;
    f->cause  = OCTET_CAUSE_RESOLUTION;
    f->figure = q ? (double)q->scale[0] : 0;
    if (used < USED_LEVELS) f->cause = OCTET_CAUSE_ZERO_POINT, f->figure = used;
    if (outlier >= VALUE_OUTLIER) f->cause = OCTET_CAUSE_OUTLIER_CHANNEL, f->figure = outlier;
}

static void judge(octet_finding *f, const octet_pairing *p, const octet_compared *sums, size_t layer,
                  octet_arena *arena)
{
    const octet_origins *const o = &sums->origins[layer];
    const double parts[ORIGINS] = { o->weights, o->cut, fmax(o->inputs - o->cut, 0), o->clipped, o->rounded };
    int          largest = 0;
    for (int i = 1; i < ORIGINS; i++)
        if (parts[i] > parts[largest]) largest = i;
    if (!(parts[largest] > 0)) return;
    f->share  = fmin(parts[largest] / o->total, 1);
    f->value  = p->layers[layer].value;
    f->origin = layer;
    if (largest == WEIGHTS) {
        judge_weights(f, p, layer, arena);
        return;
    }
    if (largest <= INPUTS_ROUNDED) find_input(f, p, sums, layer, largest == INPUTS_CUT);
    if (largest == INPUTS_ROUNDED || largest == ROUNDED) {
        judge_value(f, p, sums, arena);
        return;
    }
    const octet_origins *const origin = &sums->origins[f->origin];
    f->cause  = OCTET_CAUSE_CLIPPING;
    f->figure = origin->count ? (double)origin->beyond / (double)origin->count : 0;
}

octet_finding octet_finding_of(const octet_pairing *p, const octet_compared *sums, size_t layer)
{
    const octet_origins *const o     = &sums->origins[layer];
    octet_finding              f     = { 0 };
    octet_arena *const         arena = octet_arena_new();
    if (!arena || !o->seen || !(o->total > 0)) {
        octet_arena_free(arena);
        return f;
    }
    const double shifted = shifted_share(o);
    const octet_node_mode mode = octet_node_compute_mode(p->quantized, p->layers[layer].node);
    if (mode == OCTET_MODE_REAL || mode == OCTET_MODE_DYNAMIC)
        f = (octet_finding){ .cause = OCTET_CAUSE_FLOAT, .share = 1 };
    else if (shifted > SHIFTED) f = (octet_finding){ .cause = OCTET_CAUSE_BIAS, .share = shifted };
    else judge(&f, p, sums, layer, arena);
    octet_arena_free(arena);
    return f;
}

/* ---- in words ---- */

/* How many levels weights can take, as bits. */
static double weight_bits(const octet_pairing *p, size_t layer)
{
    const octet_qparams *const q = octet_value_levels(p->quantized, p->layers[layer].node->inputs[1]);
    return q ? log2((double)q->qmax - q->qmin + 1) : 0;
}

static const char *in_words(const octet_finding *f, const octet_pairing *p, size_t layer, octet_arena *arena)
{
    const octet_node *const    node  = p->layers[layer].node;
    const octet_qparams *const q     = f->value ? octet_value_levels(p->quantized, f->value) : NULL;
    const double               share = 100 * f->share;
    const char *const          name  = f->value ? f->value->name : "";
    const char *const          whose = f->weights ? "its weights" : "'";
    switch (f->cause) {
    case OCTET_CAUSE_NONE: break;
    case OCTET_CAUSE_CLIPPING:
        return octet_arena_format(arena, "%.3g %% of the values of '%s' lie beyond its range, %g to %g, and make %.0f "
                                         "%% of the layer's own error", 100 * f->figure, name,
                                  q ? (double)octet_level_real(q, q->qmin) : NAN,
                                  q ? (double)octet_level_real(q, q->qmax) : NAN, share);
    case OCTET_CAUSE_RESOLUTION:
        if (f->weights)
            return octet_arena_format(arena, "rounding its weights to %.1f bits makes %.0f %% of the layer's own "
                                             "error", weight_bits(p, layer), share);
        return octet_arena_format(arena, "the step of '%s', %g, makes %.0f %% of the layer's own error", name,
                                  f->figure, share);
    case OCTET_CAUSE_OUTLIER_CHANNEL:
        return octet_arena_format(arena, "one channel of %s%s%s reaches %.1f times as far as the median one, and all "
                                         "share one scale: %.0f %% of the layer's own error", whose,
                                  f->weights ? "" : name, f->weights ? "" : "'", f->figure, share);
    case OCTET_CAUSE_BIAS:
        return octet_arena_format(arena, "%.0f %% of the layer's own error is the same in all of a channel: its mean "
                                         "has moved", share);
    case OCTET_CAUSE_ZERO_POINT:
        return octet_arena_format(arena, "the values of '%s' take %.0f %% of its levels (zero is level %d of %d to "
                                         "%d): %.0f %% of the layer's own error", name, 100 * f->figure,
                                  q ? q->zero_point[0] : 0, q ? q->qmin : 0, q ? q->qmax : 0, share);
    case OCTET_CAUSE_FLOAT:
        return octet_arena_format(arena, "it reads levels and computes in float: %s",
                                  octet_node_refusal(node) ? octet_node_refusal(node) : "nobody wants its levels, or a "
                                                                                        "rule keeps it so");
    }
    return "";
}

octet_status octet_find_cause(octet_layer_error *error, const octet_pairing *pairing, const octet_compared *sums,
                              size_t layer, octet_arena *arena, octet_error *err)
{
    const octet_finding f = octet_finding_of(pairing, sums, layer);
    error->cause          = f.cause;
    error->why            = in_words(&f, pairing, layer, arena);
    return error->why ? OCTET_OK : octet_fail_memory(err);
}
