/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of channels on data. Samples run one after the other, each on all threads: means are taken in one order. */
#include "quantize/equalize.h"

#include "engine/run.h"
#include "ops/mode.h"

#include <math.h>
#include <string.h>

typedef struct watching {
    const octet_ties *ties;
    octet_seen       *seen;
    octet_seen      **by_value; /* by value->index; NULL: not watched */
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
        octet_seen *const seen     = w->by_value[v->index] = &w->seen[w->count++];
        const size_t      channels = (size_t)labels->channels;
        *seen                      = (octet_seen){ .value = v, .labels = *labels };
        OCTET_TRY(octet_arena_get(&seen->ranges, arena, channels, sizeof *seen->ranges, err));
        OCTET_TRY(octet_arena_get(&seen->ends, arena, channels, sizeof *seen->ends, err));
        if (channels > most) most = channels;
    }
    return octet_arena_get(&w->sample, arena, most, sizeof *w->sample, err);
}

static octet_status see(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    const watching *const    w     = context;
    const octet_value *const value = octet_graph_find_value(w->ties->graph, name);
    octet_seen *const        seen  = value ? w->by_value[value->index] : NULL;
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

static octet_status run_samples(octet_workspace *workspace, octet_dataset *data, octet_arena *arena,
                                const octet_calibrate_options *options, octet_error *err)
{
    const octet_port port  = octet_dataset_port(data);
    const size_t     count = octet_dataset_count(data);
    octet_tensor     input = { .dtype = OCTET_F32, .rank = port.rank }, outputs[64];
    memcpy(input.dims, port.dims, sizeof input.dims);
    OCTET_TRY(octet_arena_get(&input.data, arena, (size_t)octet_tensor_count(&input), sizeof(float), err));
    for (size_t i = 0; i < count; i++) {
        OCTET_TRY(octet_dataset_read(data, i, input.data, NULL, err));
        OCTET_TRY(octet_run(workspace, &input, outputs, err));
        const octet_progress progress = { "equalize", i + 1, count };
        if (options && options->progress && options->progress(options->progress_context, &progress))
            return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
    }
    return OCTET_OK;
}

octet_status octet_ties_see(octet_seen **seen, size_t *count, const octet_ties *ties, octet_dataset *data,
                            const octet_calibrate_options *options, octet_error *err)
{
    watching                 w         = { .ties = ties };
    octet_plan              *plan      = NULL;
    octet_workspace         *workspace = NULL;
    const octet_plan_options how       = { .threads = options ? options->threads : 0, .batch = 1,
                                           .limits = options ? options->limits : (octet_limits){ 0 } };
    OCTET_TRY(list_values(&w, err));
    *seen  = w.seen;
    *count = w.count;
    if (!data || !w.count) return OCTET_OK;
    if (ties->graph->input_count != 1 || ties->graph->output_count > 64)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "networks with %zu inputs and %zu outputs cannot be equalized",
                          ties->graph->input_count, ties->graph->output_count);
    octet_status status = octet_plan_create(&plan, ties->graph, &how, err);
    if (status == OCTET_OK) status = octet_workspace_create(&workspace, plan, err);
    if (status == OCTET_OK) {
        octet_workspace_set_hook(workspace, see, &w);
        status = run_samples(workspace, data, ties->arena, options, err);
    }
    octet_workspace_free(workspace);
    octet_plan_free(plan);
    return status;
}
