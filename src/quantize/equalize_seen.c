/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of channels on data. Samples run one after the other, each on all threads: means are taken in one order. */
#include "quantize/equalize.h"

#include "ops/mode.h"
#include "quantize/samples.h"

#include <math.h>
#include <string.h>

typedef struct watching {
    const octet_ties *ties;
    octet_seen_channels       *seen;
    octet_seen_channels      **by_value; /* by value->index; NULL: not watched */
    octet_range      *sample;   /* of channels of one value in one sample */
    size_t            count;
} watching;

static bool can_be_scaled(const octet_ties *ties, const octet_labels *labels)
{
    for (int64_t c = 0; labels->at && c < labels->channels; c++)
        if (octet_ties_root(ties, labels->at[c])) return true;
    return false;
}

/* What is summed in the accumulator of an Add is never rounded. */
static bool is_levels(const octet_value *value)
{
    return !value->constant && value->producer && !octet_node_candidate_add(value->producer);
}

static octet_status list_values(watching *w, octet_error *err)
{
    const size_t values = (size_t)w->ties->graph->value_count;
    octet_arena *arena  = w->ties->arena;
    size_t       most   = 0;
    OCTET_TRY(octet_arena_get(&w->seen, arena, values, sizeof *w->seen, err));
    OCTET_TRY(octet_arena_get(&w->by_value, arena, values, sizeof *w->by_value, err));
    for (const octet_value *v = w->ties->graph->values; v; v = v->next) {
        const octet_labels *const labels = &w->ties->values[v->index];
        if (!is_levels(v) || !can_be_scaled(w->ties, labels)) continue;
        octet_seen_channels *const seen     = w->by_value[v->index] = &w->seen[w->count++];
        const size_t      channels = (size_t)labels->channels;
        *seen                      = (octet_seen_channels){ .value = v, .labels = *labels };
        OCTET_TRY(octet_arena_get(&seen->ranges, arena, channels, sizeof *seen->ranges, err));
        OCTET_TRY(octet_arena_get(&seen->ends, arena, channels, sizeof *seen->ends, err));
        if (channels > most) most = channels;
    }
    return octet_arena_get(&w->sample, arena, most, sizeof *w->sample, err);
}

static octet_status see(void *context, const octet_seen *of, octet_error *err)
{
    const watching *const      w      = context;
    const octet_tensor *const  tensor = of->tensor;
    octet_seen_channels *const seen   = w->by_value[of->value->index];
    (void)err;
    if (!seen || tensor->dtype != OCTET_F32) return OCTET_OK;
    const size_t channels = (size_t)seen->labels.channels, inner = (size_t)seen->labels.inner;
    memset(w->sample, 0, channels * sizeof *w->sample);
    octet_range_observe_channels(w->sample, tensor->data, (size_t)octet_tensor_count(tensor) / channels / inner,
                                 channels, inner);
    const double share = 1.0 / (double)++seen->samples;
    for (size_t c = 0; c < channels; c++) {
        const octet_range *const range = &w->sample[c];
        seen->ranges[c]                = octet_range_union(seen->ranges[c], *range);
        seen->ends[c].lo += ((range->seen ? fmin(range->min, 0) : 0) - seen->ends[c].lo) * share;
        seen->ends[c].hi += ((range->seen ? fmax(range->max, 0) : 0) - seen->ends[c].hi) * share;
    }
    return OCTET_OK;
}

octet_status octet_ties_see(octet_seen_channels **seen, size_t *count, const octet_ties *ties, octet_dataset *data,
                            const octet_calibrate_options *options, octet_error *err)
{
    const octet_samples_options how = { .calibrate = options, .phase = "equalize", .in_order = true };
    watching                    w   = { .ties = ties };
    octet_samples               samples;
    OCTET_TRY(list_values(&w, err));
    *seen  = w.seen;
    *count = w.count;
    if (!data || !w.count) return OCTET_OK;
    octet_status status = octet_samples_open(&samples, ties->graph, data, &how, err);
    if (status == OCTET_OK) status = octet_samples_run(&samples, see, &w, err);
    octet_samples_free(&samples);
    return status;
}
