/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of many samples, safe against the end of the process: samples run in blocks, and after a block all that
   was seen so far replaces what the partial file held. Blocks are as long as makes writing cost a twentieth. */
#include "quantize/statistics.h"

#include "base/clock.h"
#include "base/file.h"
#include "measure/inputs.h"

#include <string.h>

enum { WRITING_SHARE = 20 };

typedef struct gathering {
    octet_graph                *graph;
    octet_dataset              *data;
    const octet_gather_options *options;
    octet_statistics           *known; /* what the partial file held; NULL: nothing */
    octet_arena                *arena;
    octet_samples               samples;
    uint64_t                   *identities; /* by sample */
    size_t                     *todo, todo_count, done;
} gathering;

/* ---- who has run already ---- */

static octet_status read_partial(gathering *g, const octet_statistics *empty, octet_error *err)
{
    const octet_gather_options *const o = g->options;
    if (!o->partial || o->restart || !octet_file_same(o->partial, o->partial)) return OCTET_OK;
    OCTET_TRY(octet_statistics_read(&g->known, o->partial, err));
    const octet_status status = octet_statistics_check(empty, g->known, err);
    if (status != OCTET_OK) octet_error_file(err, o->partial);
    return status;
}

/* Takes identity out of the sorted ones that are not taken yet. */
static bool take_known(const octet_statistics *known, bool *taken, uint64_t identity)
{
    size_t low = 0, high = known->sample_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (known->samples[middle] < identity) low = middle + 1;
        else high = middle;
    }
    while (low < known->sample_count && known->samples[low] == identity && taken[low]) low++;
    if (low == known->sample_count || known->samples[low] != identity) return false;
    taken[low] = true;
    return true;
}

/* Samples are known by what the network is fed: each is read for that, which is little beside running it. */
static octet_status list_samples(gathering *g, octet_error *err)
{
    const size_t       count = octet_dataset_count(g->data);
    const octet_inputs from  = { .graph = g->graph, .data = g->data, .batch = 1, .port_count = g->graph->input_count };
    octet_tensor      *inputs;
    bool              *taken = NULL;
    OCTET_TRY(octet_arena_get(&g->identities, g->arena, count, sizeof *g->identities, err));
    OCTET_TRY(octet_arena_get(&g->todo, g->arena, count, sizeof *g->todo, err));
    OCTET_TRY(octet_inputs_make(&inputs, &from, g->arena, err));
    if (g->known) OCTET_TRY(octet_arena_get(&taken, g->arena, g->known->sample_count, sizeof *taken, err));
    for (size_t i = 0; i < count; i++) {
        if (g->known) {
            OCTET_TRY(octet_inputs_read(inputs, &from, 0, i, err));
            if (take_known(g->known, taken, octet_sample_identity(inputs, from.port_count, 0))) continue;
        }
        g->todo[g->todo_count++] = i;
    }
    for (size_t i = 0; g->known && i < g->known->sample_count; i++)
        if (!taken[i]) {
            octet_error_file(err, g->options->partial);
            return octet_fail(err, OCTET_ERR_ARGUMENT, "statistics of other data: a sample of them is not among these");
        }
    return OCTET_OK;
}

/* ---- running ---- */

/* Everything that is known by now. */
static octet_status snapshot(octet_statistics **statistics, const gathering *g, octet_error *err)
{
    const octet_recipe recipe = octet_dataset_recipe(g->data);
    octet_statistics  *s;
    OCTET_TRY(octet_calibration_check_finite(g->graph->calibration, err));
    OCTET_TRY(octet_statistics_new(&s, g->graph, &recipe, err));
    octet_status status = octet_statistics_take(s, g->graph, &g->samples, err);
    if (status == OCTET_OK) status = octet_arena_get(&s->samples, s->arena, g->done, sizeof *s->samples, err);
    if (status == OCTET_OK) {
        for (size_t i = 0; i < g->done; i++) s->samples[i] = g->identities[g->todo[i]];
        s->sample_count = g->done;
        octet_sort_identities(s->samples, s->sample_count);
        if (g->known) status = octet_statistics_merge(s, NULL, g->known, err);
    }
    if (status == OCTET_OK) *statistics = s;
    else octet_statistics_free(s);
    return status;
}

static octet_status keep(const gathering *g, size_t from, octet_error *err)
{
    const octet_gather_options *const o = g->options;
    octet_statistics                 *s;
    if (o->partial) {
        OCTET_TRY(snapshot(&s, g, err));
        const octet_status status = octet_statistics_write(s, o->partial, true, err);
        octet_statistics_free(s);
        OCTET_TRY(status);
    }
    for (size_t i = from; o->sample && i < g->done; i++)
        o->sample(o->sample_context, octet_dataset_name(g->data, g->todo[i]), g->identities[g->todo[i]]);
    return OCTET_OK;
}

static octet_status run_blocks(gathering *g, octet_error *err)
{
    size_t block = (size_t)g->samples.workers;
    octet_samples_rewind(&g->samples, octet_calibration_see, g->graph);
    while (g->done < g->todo_count) {
        const size_t from  = g->done;
        const double began = octet_clock();
        OCTET_TRY(octet_samples_run_some(&g->samples, block, err));
        g->done          = g->samples.next;
        const double ran = octet_clock() - began;
        OCTET_TRY(keep(g, from, err));
        const double wrote = octet_clock() - began - ran;
        if (ran < WRITING_SHARE * wrote) block *= 2;
        else if (ran > 2 * WRITING_SHARE * wrote && block > (size_t)g->samples.workers) block /= 2;
    }
    return OCTET_OK;
}

static octet_status gather(octet_statistics **statistics, gathering *g, octet_error *err)
{
    const octet_recipe recipe = octet_dataset_recipe(g->data);
    octet_statistics  *empty;
    OCTET_TRY(octet_statistics_new(&empty, g->graph, &recipe, err));
    const octet_status status = read_partial(g, empty, err);
    octet_statistics_free(empty);
    OCTET_TRY(status);
    OCTET_TRY(list_samples(g, err));
    const octet_samples_options how = { .calibrate = &g->options->calibrate, .phase = "calibrate", .raw = true,
                                        .list = g->todo, .listed = g->todo_count, .identities = g->identities };
    OCTET_TRY(octet_samples_open(&g->samples, g->graph, g->data, &how, err));
    OCTET_TRY(run_blocks(g, err));
    return snapshot(statistics, g, err);
}

octet_status octet_statistics_gather(octet_statistics **statistics, size_t *resumed, octet_graph *graph,
                                     octet_dataset *data, const octet_gather_options *options, octet_error *err)
{
    const octet_gather_options defaults = { 0 };
    gathering g = { .graph = graph, .data = data, .options = options ? options : &defaults };
    *statistics = NULL;
    if (graph->stage != OCTET_STAGE_PREPARED || graph->training || !graph->calibration)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "only a network prepared for it can be calibrated");
    if (graph->calibration->group_count == 0)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "nothing of the network is observed");
    g.arena = octet_arena_new();
    if (!g.arena) return octet_fail_memory(err);
    const octet_status status = gather(statistics, &g, err);
    if (resumed) *resumed = g.known ? g.known->sample_count : 0;
    octet_samples_free(&g.samples);
    octet_statistics_free(g.known);
    octet_arena_free(g.arena);
    return status;
}
