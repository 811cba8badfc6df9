/* SPDX-License-Identifier: Apache-2.0 */
/* Scores over a data set, summed in the order of samples. */
#include "measure/evaluate.h"

#include "measure/score.h"
#include "measure/sqnr.h"

#include <math.h>
#include <string.h>

/* What is summed for one of the two networks. */
typedef struct tally {
    size_t labelled, top1, top5, squares, classes;
    double square_sum, psnr_sum;
} tally;

typedef struct evaluation {
    octet_dataset                *data;
    const octet_evaluate_options *options;
    octet_runs                    runs;
    tally                         tallies[2];
    size_t                        scored[2]; /* outputs */
    int                           twins[OCTET_RUN_OUTPUTS]; /* of the model's outputs among the baseline's; -1: none */
    size_t                        agreed, compared;
    octet_sqnr                    sqnr[OCTET_RUN_OUTPUTS]; /* by output of the model */
} evaluation;

/* ---- which outputs ---- */

static int find_output(const octet_graph *graph, const char *name)
{
    for (size_t i = 0; i < octet_graph_output_count(graph); i++)
        if (!strcmp(octet_graph_output(graph, i).name, name)) return (int)i;
    return -1;
}

/* By name, or by place where both networks have as many. */
static octet_status pair_outputs(evaluation *e, octet_error *err)
{
    const octet_graph *const model = e->runs.runners[0].graph, *const baseline = e->runs.runners[1].graph;
    const char *const        name  = e->options->output;
    const size_t             count = octet_graph_output_count(model);
    const int                found = name ? find_output(model, name) : 0;
    if (found < 0) return octet_fail(err, OCTET_ERR_ARGUMENT, "the network has no output '%.80s'", name);
    e->scored[0] = (size_t)found;
    for (size_t i = 0; i < count && i < OCTET_RUN_OUTPUTS && baseline; i++) {
        e->twins[i] = find_output(baseline, octet_graph_output(model, i).name);
        if (e->twins[i] < 0 && count == octet_graph_output_count(baseline)) e->twins[i] = (int)i;
    }
    if (baseline && e->twins[found] < 0)
        return octet_fail(err, OCTET_ERR_SHAPE, "the baseline has no output '%.80s'",
                          octet_graph_output(model, (size_t)found).name);
    e->scored[1] = (size_t)e->twins[found];
    return OCTET_OK;
}

static octet_status check_output(const evaluation *e, int which, octet_error *err)
{
    const octet_runner *const r    = &e->runs.runners[which];
    const octet_tensor *const out  = &r->outputs[e->scored[which]];
    const char *const         name = octet_graph_output(r->graph, e->scored[which]).name;
    if (out->data || !octet_tensor_count(out)) return OCTET_OK;
    if (out->dtype != OCTET_F32)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "output '%.80s' is %s (need f32 to score it)", name,
                          octet_dtype_name(out->dtype));
    return octet_fail(err, OCTET_ERR_SHAPE, "output '%.80s' does not keep a batch of %zu apart", name, r->batch);
}

/* ---- scoring ---- */

static void score_label(tally *t, const octet_tensor *output, int64_t label)
{
    t->classes = octet_class_count(output);
    if (label < 0 || !t->classes) return;
    t->labelled++;
    if ((uint64_t)label >= t->classes) return;
    const size_t rank = octet_label_rank(output->data, t->classes, (size_t)label);
    t->top1 += rank == 0;
    t->top5 += rank < 5;
}

/* Against the reference, or against the input where the two have one shape. */
static octet_status score_squares(evaluation *e, tally *t, const octet_tensor *output, size_t at, octet_error *err)
{
    const octet_tensor        reference = octet_dataset_reference(e->data, e->runs.first + at);
    const octet_tensor *const input     = e->runs.samples[at];
    const float              *truth     = reference.data;
    octet_squares             squares;
    if (truth && octet_tensor_count(&reference) != octet_tensor_count(output)) {
        char got[160], need[160];
        return octet_fail(err, OCTET_ERR_SHAPE, "wrong shape of references (got %s, the network's output is %s)",
                          octet_shape_text(got, sizeof got, reference.dims, reference.rank),
                          octet_shape_text(need, sizeof need, output->dims, output->rank));
    }
    if (!truth) {
        if (input->dtype != OCTET_F32 || input->rank != output->rank ||
            memcmp(input->dims, output->dims, sizeof *input->dims * (size_t)input->rank))
            return OCTET_OK;
        truth = input->data;
    }
    if (!octet_squares_of(&squares, output, truth, e->options->border))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "a border of %d leaves nothing of the output", e->options->border);
    t->squares++;
    t->square_sum += squares.mean;
    t->psnr_sum += squares.unit ? octet_psnr_db(squares.clamped) : NAN;
    return OCTET_OK;
}

static octet_status compare_outputs(evaluation *e, size_t at, octet_error *err)
{
    for (size_t o = 0; o < octet_graph_output_count(e->runs.runners[0].graph); o++) {
        if (e->twins[o] < 0) continue;
        const octet_tensor a = octet_runs_output(&e->runs, 0, o, at);
        const octet_tensor b = octet_runs_output(&e->runs, 1, (size_t)e->twins[o], at);
        if (!a.data || !b.data) continue;
        const size_t count = (size_t)octet_tensor_count(&a);
        if (count == (size_t)octet_tensor_count(&b)) {
            octet_sqnr_add(&e->sqnr[o], b.data, a.data, count);
            if (o != e->scored[0] || !e->tallies[0].classes) continue;
            e->compared++;
            e->agreed += octet_argmax(a.data, count) == octet_argmax(b.data, count);
        } else if (o == e->scored[0]) {
            return octet_fail(err, OCTET_ERR_SHAPE, "the scored outputs differ in size (got %zu, the baseline has %zu)",
                              count, (size_t)octet_tensor_count(&b));
        }
    }
    return OCTET_OK;
}

static octet_status score_sample(evaluation *e, size_t at, octet_error *err)
{
    for (int i = 0; i < e->runs.count; i++) {
        const octet_tensor output = octet_runs_output(&e->runs, i, e->scored[i], at);
        score_label(&e->tallies[i], &output, e->runs.labels[at]);
        OCTET_TRY(score_squares(e, &e->tallies[i], &output, at, err));
    }
    return e->runs.count > 1 ? compare_outputs(e, at, err) : OCTET_OK;
}

/* ---- the whole ---- */

static double share(size_t part, size_t whole) { return whole ? (double)part / (double)whole : NAN; }

static octet_scores sum_up(const evaluation *e, int which)
{
    const tally *const t       = &e->tallies[which];
    const bool         both    = e->runs.count == 2 && which == 0;
    double             seconds = 0;
    for (int i = 0; i < e->runs.workers; i++) seconds += e->runs.runners[which].spent[i] / e->runs.workers;
    return (octet_scores){
        .count = octet_dataset_count(e->data),
        .top1 = share(t->top1, t->labelled),
        .top5 = t->classes >= 5 ? share(t->top5, t->labelled) : NAN,
        .mse = t->squares ? t->square_sum / (double)t->squares : NAN,
        .psnr_db = t->squares ? t->psnr_sum / (double)t->squares : NAN,
        .agreement = both ? share(e->agreed, e->compared) : NAN,
        .sqnr_db = both ? octet_sqnr_db(&e->sqnr[e->scored[0]]) : NAN,
        .seconds = seconds,
    };
}

static octet_status run_chunk(evaluation *e, size_t first, size_t count, octet_error *err)
{
    OCTET_TRY(octet_runs_chunk(&e->runs, first, count, err));
    for (int i = 0; i < e->runs.count; i++) OCTET_TRY(check_output(e, i, err));
    for (size_t at = 0; at < count; at++) OCTET_TRY(score_sample(e, at, err));
    const octet_progress progress = { "evaluate", first + count, octet_dataset_count(e->data) };
    if (e->options->progress && e->options->progress(e->options->progress_context, &progress))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
    return OCTET_OK;
}

static octet_status evaluate(evaluation *e, octet_error *err)
{
    const size_t total = octet_dataset_count(e->data);
    OCTET_TRY(pair_outputs(e, err));
    OCTET_TRY(octet_runs_make(&e->runs, e->options, err));
    for (size_t first = 0; first < total; first += e->runs.chunk)
        OCTET_TRY(run_chunk(e, first, total - first < e->runs.chunk ? total - first : e->runs.chunk, err));
    return OCTET_OK;
}

static void tell_outputs(const evaluation *e)
{
    const size_t count = octet_graph_output_count(e->runs.runners[0].graph);
    for (size_t o = 0; e->options->outputs_db && o < count; o++) {
        const bool compared       = e->runs.count > 1 && e->twins[o] >= 0 && e->runs.runners[0].outputs[o].data;
        e->options->outputs_db[o] = compared ? octet_sqnr_db(&e->sqnr[o]) : NAN;
    }
}

octet_status octet_evaluate(octet_scores scores[2], octet_graph *model, octet_graph *baseline, octet_dataset *data,
                            const octet_evaluate_options *options, octet_error *err)
{
    const octet_evaluate_options defaults  = { 0 };
    octet_graph *const           graphs[2] = { model, baseline };
    if (options && options->border < 0)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "a border of %d (need 0 or more)", options->border);
    for (int i = 0; i < 2; i++)
        if (graphs[i]) OCTET_TRY(octet_fuse(graphs[i], err));
    evaluation e = { .data = data, .options = options ? options : &defaults };
    e.runs       = (octet_runs){ .source = { .graph = model, .data = data }, .arena = octet_arena_new(),
                                 .runners = { { .graph = model }, { .graph = baseline } }, .count = baseline ? 2 : 1 };
    const octet_status status = e.runs.arena ? evaluate(&e, err) : octet_fail_memory(err);
    for (int i = 0; status == OCTET_OK && i < 2; i++) scores[i] = sum_up(&e, i);
    if (status == OCTET_OK) tell_outputs(&e);
    octet_runs_release(&e.runs);
    octet_arena_free(e.runs.arena);
    return status;
}
