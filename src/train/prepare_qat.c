/* SPDX-License-Identifier: Apache-2.0 */
/* FakeQuantize that are trained, where calibration would put observers. Ranges start from a calibration of a copy, from
   the parameters of a network that is quantized already, or from the first batches. */
#include <octet/train.h>

#include "graph/copy.h"
#include "ops/mode.h"
#include "ops/rescale.h"
#include "ops/profile.h"
#include "passes/integerize.h"
#include "passes/pass.h"
#include "quantize/calibration.h"
#include "train/fake_quantize.h"

#include <math.h>

/* settings and, with them, the target's rounding. */
static octet_status new_trained(octet_graph *graph, octet_fake_quantize *fq, octet_trained settings, octet_error *err)
{
    const char *const profile = graph->calibration->target->profile;
    settings.profile          = profile ? octet_profile_find(profile) : NULL;
    return octet_trained_new(&fq->trained, graph->arena, &settings, err);
}

static octet_status new_fake(octet_graph *graph, octet_value *value, const char *method, octet_error *err)
{
    OCTET_TRY(octet_arena_get(&value->fake_quantize, graph->arena, 1, sizeof *value->fake_quantize, err));
    value->fake_quantize->method = method;
    return OCTET_OK;
}

/* Parameters stay what they are. Those of further channels are kept with it, as all state is. */
static void fix(octet_trained *t)
{
    t->quantizer.fake             = OCTET_FAKE_FIXED;
    t->quantizer.fixed_scale      = t->scale[0];
    t->quantizer.fixed_zero_point = octet_trained_zero_point(t, 0);
    t->observing                  = false;
}

/* From now on the parameters are what they are, or learned. */
static void rest(octet_trained *t)
{
    octet_trained_learn(t);
    if (!t->learning) fix(t);
}

/* Learned parameters need no more observing once they have a start. */
static void started(octet_trained *t)
{
    if (t->quantizer.fake == OCTET_FAKE_LEARNED) octet_trained_learn(t);
}

/* ---- weights ---- */

/* Weights that several nodes read stay one only if all of them see them alike: one FakeQuantize must fit all. */
static bool is_tied(const octet_node *node, bool per_channel)
{
    const octet_value *const w = node->inputs[1];
    for (size_t u = 0; u < w->use_count; u++) {
        const octet_node *const other = w->uses[u].node;
        if (other->op->quant != OCTET_QUANT_MAC || w->uses[u].slot != 1 || other->batch_norm) return false;
        if (per_channel && octet_weight_axis(other) != octet_weight_axis(node)) return false;
    }
    return true;
}

static octet_status untie(octet_graph *graph, octet_error *err)
{
    const octet_calibration *const c = graph->calibration;
    for (size_t i = 0; i < c->weighted_count; i++) {
        octet_node *const n = c->weighted[i];
        if (n->inputs[1]->use_count < 2 || is_tied(n, c->qconfig.weight.per_channel)) continue;
        OCTET_TRY(octet_decide(graph, n->name, "weights of its own", err,
                               "'%.80s' is read by others, which see it otherwise", n->inputs[1]->name));
        OCTET_TRY(octet_replace_constant(graph, n, 1, n->inputs[1]->constant, err));
    }
    return OCTET_OK;
}

/* Ranges of weights are those of the weights themselves, unless a moving average is asked for. */
static octet_quantizer weight_quantizer(const octet_qconfig *qconfig)
{
    octet_quantizer quantizer = qconfig->weight;
    if (quantizer.method != OCTET_METHOD_MOVING_AVERAGE && quantizer.averaging == 0) quantizer.averaging = 1;
    return quantizer;
}

static void observe(octet_trained *t, const float *x, const octet_tensor *like)
{
    const octet_channel_shape shape = octet_channels_of(like, t->channels, t->axis);
    octet_trained_observe(t, x, &shape);
}

/* The first range is that of what batch norm makes of the weights. */
static octet_status observe_weight(octet_trained *t, const octet_node *node, octet_arena *arena, octet_error *err)
{
    const octet_tensor *const w = node->inputs[1]->constant;
    float                    *folded;
    if (node->batch_norm) {
        OCTET_TRY(octet_arena_get(&folded, arena, (size_t)octet_tensor_count(w), sizeof *folded, err));
        octet_fold_weight(folded, node);
        observe(t, folded, w);
    } else observe(t, w->data, w);
    started(t);
    return OCTET_OK;
}

static octet_status train_weight(octet_graph *graph, const octet_node *node, octet_arena *arena, octet_error *err)
{
    octet_value *const value    = node->inputs[1];
    octet_trained      settings = { .quantizer = weight_quantizer(&graph->calibration->qconfig), .weight = true,
                                    .channels = 1, .axis = octet_weight_axis(node) };
    if (value->fake_quantize) return OCTET_OK; /* tied */
    if (settings.quantizer.per_channel) settings.channels = value->constant->dims[settings.axis];
    OCTET_TRY(new_fake(graph, value, "trained", err));
    OCTET_TRY(new_trained(graph, value->fake_quantize, settings, err));
    return observe_weight(value->fake_quantize->trained, node, arena, err);
}

static octet_status train_weights(octet_graph *graph, octet_error *err)
{
    const octet_calibration *const c = graph->calibration;
    OCTET_TRY(untie(graph, err));
    octet_arena *const arena  = octet_arena_new();
    octet_status       status = arena ? OCTET_OK : octet_fail_memory(err);
    for (size_t i = 0; i < c->weighted_count && status == OCTET_OK; i++)
        status = train_weight(graph, c->weighted[i], arena, err);
    octet_arena_free(arena);
    return status;
}

/* Rows of a table, which the network's Gathers pick from. */
static octet_status train_table(octet_graph *graph, const octet_node *node, octet_error *err)
{
    octet_value *const value    = node->inputs[0];
    octet_trained      settings = { .quantizer = *octet_table_quantizer(&graph->calibration->qconfig), .weight = true,
                                    .channels = value->constant->dims[0] };
    if (value->fake_quantize) return OCTET_OK; /* another Gather's, or somebody's weights */
    if (settings.quantizer.group)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "tables of embeddings in groups are not trained");
    if (settings.quantizer.method != OCTET_METHOD_MOVING_AVERAGE) settings.quantizer.averaging = 1;
    OCTET_TRY(new_fake(graph, value, "trained", err));
    OCTET_TRY(new_trained(graph, value->fake_quantize, settings, err));
    observe(value->fake_quantize->trained, value->constant->data, value->constant);
    return OCTET_OK;
}

/* Constants that Add, Mul, ... read do not change, nor do their parameters. */
static octet_status train_operand(octet_graph *graph, octet_value *value, octet_error *err)
{
    if (value->fake_quantize) return OCTET_OK; /* somebody's weights, too */
    OCTET_TRY(new_fake(graph, value, "constant", err));
    const octet_trained settings = { .quantizer = graph->calibration->qconfig.activation };
    OCTET_TRY(new_trained(graph, value->fake_quantize, settings, err));
    octet_trained *const t = value->fake_quantize->trained;
    observe(t, value->constant->data, value->constant);
    fix(t);
    return OCTET_OK;
}

/* ---- activations ---- */

static octet_status train_group(octet_graph *graph, const octet_group *group, octet_error *err)
{
    octet_trained settings       = { .quantizer = octet_group_quantizer(graph->calibration, group) };
    group->fake_quantize->method = "trained";
    return new_trained(graph, group->fake_quantize, settings, err);
}

static octet_range range_of(const octet_qparams *q, octet_levels_range levels, int64_t c)
{
    const float zero = (float)q->zero_point[c], scale = q->scale[c];
    return (octet_range){ true, ((float)levels.qmin - zero) * scale, ((float)levels.qmax - zero) * scale };
}

/* Starts from the parameters q of these levels: exactly where training has the same levels, else from their range. */
static void start_from(octet_trained *t, const octet_qparams *q, octet_levels_range levels)
{
    const octet_range range = range_of(q, levels, 0);
    octet_trained_move(t, &range);
    if (t->dtype == levels.dtype && t->qmin == levels.qmin && t->qmax == levels.qmax) {
        t->scale[0]      = q->scale[0];
        t->zero_point[0] = (float)q->zero_point[0];
    }
    started(t);
    if (t->quantizer.method != OCTET_METHOD_MOVING_AVERAGE) t->observing = false; /* a method found it, and it stays */
}

/* Every group starts from the range that a calibration of calibrated, a copy of graph, has found for it. */
static void start_from_calibration(octet_graph *graph, const octet_graph *calibrated)
{
    const octet_quantizer *const quantizer = &graph->calibration->qconfig.activation;
    const octet_calibration *const c       = graph->calibration;
    for (size_t i = 0; i < c->group_count; i++) {
        octet_trained *const     t    = c->groups[i].fake_quantize->trained;
        const octet_value *const twin = octet_graph_find_value(calibrated, c->groups[i].representative->name);
        if (t->quantizer.fake == OCTET_FAKE_FIXED || !twin || !twin->fake_quantize) continue;
        start_from(t, &twin->fake_quantize->qparams, octet_quantizer_levels(quantizer, false));
    }
}

static octet_status calibrate_copy(octet_graph *graph, octet_graph *copy, octet_dataset *data,
                                   const octet_calibrate_options *options, octet_error *err)
{
    OCTET_TRY(octet_prepare(copy, &graph->calibration->qconfig, err));
    OCTET_TRY(octet_calibrate(copy, data, options, err));
    start_from_calibration(graph, copy);
    return OCTET_OK;
}

/* ---- a real network ---- */

static octet_status begin_training(octet_graph *graph, octet_error *err)
{
    graph->calibration->qconfig.no_bias_correction = true; /* training has seen to that */
    graph->stage                                   = OCTET_STAGE_PREPARED;
    graph->training                                = true;
    return octet_graph_check(graph, err);
}

static octet_status train_all(octet_graph *graph, const octet_qconfig *qconfig, octet_error *err)
{
    OCTET_TRY(octet_pass_merge_bounds(graph, err));
    OCTET_TRY(octet_place_fake_quantize(graph, qconfig, err));
    const octet_calibration *const c = graph->calibration;
    OCTET_TRY(train_weights(graph, err));
    for (size_t i = 0; i < c->table_count; i++) OCTET_TRY(train_table(graph, c->tables[i], err));
    for (size_t i = 0; i < c->operand_count; i++) OCTET_TRY(train_operand(graph, c->operands[i], err));
    for (size_t i = 0; i < c->group_count; i++) OCTET_TRY(train_group(graph, &c->groups[i], err));
    return OCTET_OK;
}

static octet_status from_real(octet_graph *graph, const octet_qconfig *qconfig, octet_dataset *data,
                              const octet_calibrate_options *options, octet_error *err)
{
    octet_graph *copy = NULL;
    if (data) OCTET_TRY(octet_graph_copy(&copy, graph, err));
    octet_status status = train_all(graph, qconfig, err);
    if (status == OCTET_OK && data) status = calibrate_copy(graph, copy, data, options, err);
    octet_graph_free(copy);
    return status == OCTET_OK ? begin_training(graph, err) : status;
}

/* ---- a quantized network ---- */

/* Files give every value parameters of its own: values between which levels only move share again. */
static void share_again(octet_graph *graph)
{
    for (octet_node *n = graph->first; n; n = n->next) {
        octet_fake_quantize *const from = n->input_count && n->inputs[0] ? n->inputs[0]->fake_quantize : NULL;
        for (int i = 0; octet_node_moves(n) && from && i < n->output_count; i++) {
            octet_fake_quantize *const to = n->outputs[i] ? n->outputs[i]->fake_quantize : NULL;
            if (to && octet_qparams_equal(&to->qparams, &from->qparams)) n->outputs[i]->fake_quantize = from;
        }
    }
}

/* Whether the levels that value, a real constant now, had, lie in range. */
static octet_status levels_fit(bool *fit, const octet_value *value, octet_levels_range range, octet_arena *arena,
                               octet_error *err)
{
    const octet_qparams *const q     = &value->fake_quantize->qparams;
    const octet_channel_shape  shape = octet_channels_of(value->constant, q->count, q->axis);
    octet_range               *seen;
    OCTET_TRY(octet_arena_get(&seen, arena, shape.channels, sizeof *seen, err));
    octet_range_observe_channels(seen, value->constant->data, shape.outer, shape.channels, shape.inner);
    *fit = q->dtype == range.dtype;
    for (int64_t c = 0; c < q->count && *fit; c++) {
        const double zero = q->zero_point[c], scale = (double)q->scale[c];
        *fit = zero >= range.qmin && zero <= range.qmax && rint((double)seen[c].min / scale) + zero >= range.qmin &&
               rint((double)seen[c].max / scale) + zero <= range.qmax;
    }
    return OCTET_OK;
}

/* The levels that a file's weights were made for, where octet wrote it. */
static void recall_bits(octet_quantizer *quantizer, const octet_graph *graph)
{
    octet_qconfig     recalled = graph->calibration->qconfig;
    const char *const bits     = octet_graph_metadata(graph, OCTET_WEIGHT_BITS);
    if (!bits || octet_qconfig_bits(&recalled, bits, NULL, NULL) != OCTET_OK || recalled.weight.off) return;
    quantizer->dtype = recalled.weight.dtype;
    quantizer->qmin  = recalled.weight.qmin;
    quantizer->qmax  = recalled.weight.qmax;
}

/* Quantizer of a value that had parameters; they stay unless other levels were asked for. */
static octet_status restart_quantizer(octet_quantizer *quantizer, bool *keep, const octet_graph *graph,
                                      const octet_value *value, octet_arena *arena, octet_error *err)
{
    const octet_qconfig *const qconfig = &graph->calibration->qconfig;
    const octet_qparams *const q       = &value->fake_quantize->qparams;
    const bool                 weight  = octet_value_is_weight(value);
    const octet_levels_range   had     = { q->dtype, q->qmin, q->qmax };
    *quantizer                         = weight ? weight_quantizer(qconfig) : qconfig->activation;
    quantizer->reduce_range            = false; /* torch has forgotten it */
    const bool asked                   = quantizer->qmin || quantizer->qmax || quantizer->dtype != OCTET_NONE;
    if (weight && !asked) recall_bits(quantizer, graph);
    octet_levels_range range = octet_quantizer_levels(quantizer, weight);
    *keep                    = range.dtype == had.dtype && range.qmin == had.qmin && range.qmax == had.qmax;
    if (value->constant) OCTET_TRY(levels_fit(keep, value, range, arena, err));
    if (!*keep && !asked) {
        *keep = true;
        range = had;
    }
    quantizer->dtype = range.dtype, quantizer->qmin = range.qmin, quantizer->qmax = range.qmax;
    for (int64_t c = 0; *keep && c < q->count; c++)
        if (q->zero_point[c] != octet_quantizer_affine(quantizer, weight, (octet_range){ 0 }).zero_point)
            quantizer->symmetric = false;
    return OCTET_OK;
}

/* Trained from the very parameters that value has. */
static octet_status keep_parameters(octet_graph *graph, octet_value *value, const octet_quantizer *quantizer,
                                    octet_error *err)
{
    octet_fake_quantize *const fq = value->fake_quantize;
    const octet_qparams *const q  = &fq->qparams;
    const octet_trained settings  = { .quantizer = *quantizer, .weight = octet_value_is_weight(value),
                                      .channels = q->count, .axis = q->axis };
    OCTET_TRY(new_trained(graph, fq, settings, err));
    octet_trained *const t = fq->trained;
    for (int64_t c = 0; c < q->count; c++) {
        t->range[c]      = range_of(q, (octet_levels_range){ t->dtype, t->qmin, t->qmax }, c);
        t->scale[c]      = q->scale[c];
        t->zero_point[c] = (float)q->zero_point[c];
    }
    rest(t);
    return OCTET_OK;
}

static octet_status restart(octet_graph *graph, octet_value *value, octet_arena *arena, octet_error *err)
{
    const octet_qconfig *const qconfig = &graph->calibration->qconfig;
    const bool                 weight  = octet_value_is_weight(value);
    octet_fake_quantize *const fq      = value->fake_quantize;
    const octet_levels_range   had     = { fq->qparams.dtype, fq->qparams.qmin, fq->qparams.qmax };
    octet_quantizer            quantizer;
    bool                       keep;
    if (weight ? qconfig->weight.off : qconfig->activation.off) {
        value->fake_quantize = NULL;
        return OCTET_OK;
    }
    if (fq->trained) return OCTET_OK;
    OCTET_TRY(restart_quantizer(&quantizer, &keep, graph, value, arena, err));
    if (keep) return keep_parameters(graph, value, &quantizer, err);
    if (value->constant) {
        value->fake_quantize = NULL;
        return weight ? train_weight(graph, value->uses[0].node, arena, err) : train_operand(graph, value, err);
    }
    OCTET_TRY(new_trained(graph, fq, (octet_trained){ .quantizer = quantizer }, err));
    start_from(fq->trained, &fq->qparams, had);
    return OCTET_OK;
}

static octet_status from_levels(octet_graph *graph, const octet_qconfig *qconfig, octet_error *err)
{
    octet_calibration *calibration;
    OCTET_TRY(octet_calibration_new(&calibration, graph, qconfig, err));
    if (calibration->qconfig.layer_count)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "rules for layers do not apply to a quantized network");
    OCTET_TRY(octet_real_constants(graph, err));
    share_again(graph);
    octet_arena *const arena  = octet_arena_new();
    octet_status       status = arena ? OCTET_OK : octet_fail_memory(err);
    for (octet_value *v = graph->values; v && status == OCTET_OK; v = v->next)
        if (v->fake_quantize) status = restart(graph, v, arena, err);
    octet_arena_free(arena);
    return status == OCTET_OK ? begin_training(graph, err) : status;
}

/* A range that remembers would not be the one that a dynamic layer has when it runs. */
static octet_status check_memory(const octet_qconfig *qconfig, octet_error *err)
{
    const octet_quantizer *const a = qconfig ? &qconfig->activation : NULL;
    if (!a || !a->dynamic || a->method != OCTET_METHOD_MOVING_AVERAGE || a->averaging == 1) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_ARGUMENT, "dynamic training requires a memoryless observer (averaging 1, got %g)",
                      (double)a->averaging);
}

octet_status octet_prepare_qat(octet_graph *graph, const octet_qconfig *qconfig, octet_dataset *data,
                               const octet_calibrate_options *options, octet_error *err)
{
    OCTET_TRY(check_memory(qconfig, err));
    OCTET_TRY(octet_fuse(graph, err));
    if (graph->stage == OCTET_STAGE_QUANTIZED) return from_levels(graph, qconfig, err);
    if (graph->stage > OCTET_STAGE_FUSED)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the network is prepared for %s already",
                          graph->training ? "training" : "calibration");
    return from_real(graph, qconfig, data, options, err);
}
