/* SPDX-License-Identifier: Apache-2.0 */
/* The forward pass in the integer arithmetic that ships: every node of the quantized graph runs its integer rule, and
   backward reads the dequantized values. A sum of products stays real first, in units of its output's scale, so that
   what its rounding did is known: t = f32(f32(acc) * m), level = clamp(rne(t) + zero point), as one step would. */
#include "train/steps.h"

#include "base/parallel.h"
#include "ops/levels.h"
#include "ops/mode.h"

#include <string.h>

/* ---- values as levels ---- */

static octet_status room_for_levels(octet_tape *tape, octet_tape_slot *v, const octet_qparams *q, octet_error *err)
{
    if (!q) {
        v->levels.qparams = NULL;
        return OCTET_OK;
    }
    if (v->levels.data && v->levels.dtype == q->dtype) {
        v->levels.qparams = q;
        return OCTET_OK;
    }
    v->levels         = v->real;
    v->levels.dtype   = q->dtype;
    v->levels.qparams = q;
    return octet_arena_get(&v->levels.data, tape->arena, (size_t)octet_tensor_count(&v->real),
                           octet_dtype_size(q->dtype), err);
}

typedef struct level_work {
    octet_tape_slot *value;
    const float      *x;    /* real numbers to round, or NULL: levels to dequantize only */
    octet_level_rule  rule; /* scale 0: x is in units of the scale */
} level_work;

enum { ROW = 512 };

static void level_slice(void *context, size_t slice)
{
    const level_work *const w     = context;
    octet_tensor *const     to    = &w->value->levels;
    const size_t            count = (size_t)octet_tensor_count(to), last = octet_slice_begin(count, slice + 1);
    for (size_t at = octet_slice_begin(count, slice); at < last; at += ROW) {
        const size_t n = last - at < ROW ? last - at : ROW;
        int32_t      level[ROW];
        if (w->x && w->rule.scale > 0) octet_profile_octet.quantize(level, w->x + at, n, &w->rule);
        for (size_t i = 0; w->x && w->rule.scale == 0 && i < n; i++)
            level[i] = octet_level_round(w->x[at + i], &w->rule);
        if (w->x) octet_levels_store(to->data, to->dtype, at, level, n);
        octet_levels_real((float *)w->value->real.data + at, to, at, n, 0);
    }
}

static void to_levels(octet_tape *tape, octet_tape_slot *value, const float *x, const octet_level_rule *rule)
{
    level_work work = { .value = value, .x = x };
    if (rule) work.rule = *rule;
    octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, level_slice, &work);
}

void octet_integer_input(octet_tape *tape, octet_tape_slot *value)
{
    if (!value->levels.qparams) return;
    const octet_level_rule rule = octet_level_rule_of(value->levels.qparams, 0, NULL);
    to_levels(tape, value, value->real.data, &rule);
}

/* ---- what changes with the quantized graph ---- */

static void real_weights(octet_tape_linear *linear, const octet_tensor *w)
{
    const octet_channel_shape *const s    = &linear->weight_shape;
    float                           *used = linear->used;
    for (size_t o = 0; o < s->outer; o++)
        for (size_t c = 0; c < s->channels; c++) {
            const size_t at = (o * s->channels + c) * s->inner;
            if (w->qparams) octet_levels_real(used + at, w, at, s->inner, (int64_t)c);
            else memcpy(used + at, (const float *)w->data + at, s->inner * sizeof *used);
        }
}

static double real_bias(const octet_node *node, size_t c)
{
    const octet_value *const bias = node->input_count > 2 ? node->inputs[2] : NULL;
    if (!bias) return 0;
    const octet_tensor *const t = bias->constant;
    if (!t->qparams) return (double)((const float *)t->data)[c];
    float x;
    octet_levels_real(&x, t, c, 1, (int64_t)c);
    return (double)x;
}

static float unit_of(const octet_graph *graph, const octet_node *node)
{
    const octet_node *const    add    = octet_node_fused_add(graph, node);
    const octet_qparams *const levels = octet_value_levels(graph, add ? add->outputs[0] : node->outputs[0]);
    return levels ? levels->scale[0] : 0.0f;
}

static octet_status use_node(octet_tape *tape, octet_tape_step *step, const octet_node *node, octet_error *err)
{
    step->quantized          = node;
    step->mode               = octet_node_compute_mode(tape->quantized, node);
    step->integer            = *node;
    step->integer.activation = (octet_activation){ 0 };
    step->unit               = step->linear && step->mode == OCTET_MODE_INTEGER ? unit_of(tape->quantized, node) : 0;
    if (step->out[0]) step->out[0]->sums = step->unit > 0 ? &step->z : NULL;
    for (int i = 0; i < step->call.out_count; i++)
        if (step->out[i])
            OCTET_TRY(room_for_levels(tape, step->out[i], octet_value_levels(tape->quantized, node->outputs[i]), err));
    if (!step->linear) return OCTET_OK;
    step->linear->live = step->linear->slow = false;
    real_weights(step->linear, node->inputs[1]->constant);
    octet_linear_fold(tape, step); /* backward asks which weights were clipped */
    for (size_t c = 0; c < step->shape.channels; c++) {
        const bool sums = step->mode != OCTET_MODE_REAL;
        step->scale[c]  = step->unit > 0 ? (double)step->unit : 1;
        step->shift[c]  = sums ? 0 : real_bias(node, c);
    }
    return step->fast ? octet_fast_use(tape, step, err) : OCTET_OK;
}

octet_status octet_tape_use_integers(octet_tape *tape, const octet_graph *quantized, octet_error *err)
{
    tape->quantized = quantized;
    for (size_t i = 0; quantized && i < tape->graph->input_count; i++) {
        const octet_value *const in = tape->graph->inputs[i], *const q = octet_graph_find_value(quantized, in->name);
        OCTET_TRY(room_for_levels(tape, &tape->values[in->index], octet_value_levels(quantized, q), err));
    }
    for (size_t i = 0; quantized && i < tape->step_count; i++) {
        octet_tape_step *const  step = &tape->steps[i];
        const octet_node *const node = octet_graph_find_node(quantized, step->node->name);
        if (!node || node->op != step->node->op)
            return octet_fail(err, OCTET_ERR_ARGUMENT, "the quantized network has no node '%s'", step->node->name);
        OCTET_TRY(use_node(tape, step, node, err));
    }
    return OCTET_OK;
}

/* ---- running ---- */

/* The tensor that an integer rule reads: levels, constants of the quantized graph, or sums in units of the reader. */
static const octet_tensor *integer_input(octet_tape *tape, octet_tape_step *step, int slot)
{
    const octet_value *const q = step->quantized->inputs[slot];
    if (!q) return NULL;
    if (q->constant) return q->constant;
    octet_tape_slot *const v = &tape->values[step->node->inputs[slot]->index];
    if (v->levels.qparams) return octet_turn_input(tape, step, slot, &v->levels);
    return octet_turn_input(tape, step, slot, v->sums ? v->sums : &v->real);
}

static bool is_dynamic(const octet_tape_step *step) { return step->mode == OCTET_MODE_DYNAMIC; }

static size_t scratch_of(const octet_tape_step *step, const octet_call *call)
{
    const octet_op *const op = call->node->op;
    if (is_dynamic(step)) return op->dynamic_scratch ? op->dynamic_scratch(call) : 0;
    return op->scratch_size ? op->scratch_size(call, true) : 0;
}

static octet_status run_rule(octet_tape *tape, octet_tape_step *step, const octet_node *node, octet_error *err)
{
    const octet_tensor **in   = step->integer_in;
    octet_tensor       **out  = step->integer_out;
    octet_call           call = step->call;
    for (int i = 0; i < step->quantized->input_count; i++) in[i] = integer_input(tape, step, i);
    if (octet_fast_takes(step) && !is_dynamic(step)) return octet_fast_rule(tape, step, in[0], err);
    for (int i = 0; i < call.out_count; i++) {
        octet_tape_slot *const v = step->out[i];
        out[i] = !v ? NULL : v->levels.qparams ? &v->levels : &v->real;
    }
    if (step->linear) out[0] = &step->z;
    if (step->fast) OCTET_TRY(octet_fast_planes(tape, step, err));
    call.node = node, call.attrs = node->attrs, call.in = in, call.out = out, call.in_count = node->input_count;
    call.real_unit = step->unit;
    const size_t        scratch = scratch_of(step, &call);
    const octet_forward rule = is_dynamic(step) ? node->op->forward_dynamic : node->op->forward_integer;
    if (scratch > tape->integer_scratch_bytes) {
        OCTET_TRY(octet_arena_get(&tape->integer_scratch, tape->arena, scratch, 1, err));
        tape->integer_scratch_bytes = scratch;
    }
    call.scratch = tape->integer_scratch;
    OCTET_TRY(step->elements ? octet_elements_forward(tape, &call, rule, err) : rule(&call, err));
    if (step->fast) octet_fast_pixels(tape, step);
    return OCTET_OK;
}

/* A product's sums to its value. */
static void finish_sums(octet_tape *tape, octet_tape_step *step)
{
    octet_tape_slot *const out = step->out[0];
    if (!out->levels.qparams) {
        octet_epilogue_affine(tape, step, out->real.data);
        return;
    }
    if (octet_rows_round(tape, step)) return;
    octet_level_rule rule = octet_level_rule_of(out->levels.qparams, 0, &step->quantized->activation);
    rule.scale            = 0;
    to_levels(tape, out, step->z.data, &rule);
}

static octet_status forward_real(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    octet_tape_slot *const out = step->out[0];
    OCTET_TRY(octet_tape_apply(tape, step, err));
    if (step->has_epilogue) octet_epilogue_affine(tape, step, out->real.data);
    for (int i = 0; i < step->call.out_count; i++) {
        octet_tape_slot *const v = step->out[i];
        if (!v || !v->levels.qparams) continue;
        const octet_level_rule rule = octet_level_rule_of(v->levels.qparams, 0, NULL);
        to_levels(tape, v, v->real.data, &rule);
    }
    return OCTET_OK;
}

octet_status octet_integer_forward(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    if (step->mode == OCTET_MODE_REAL) return forward_real(tape, step, err);
    if (step->linear) {
        OCTET_TRY(run_rule(tape, step, &step->integer, err));
        finish_sums(tape, step);
        return OCTET_OK;
    }
    OCTET_TRY(run_rule(tape, step, step->quantized, err));
    for (int i = 0; i < step->call.out_count; i++)
        if (step->out[i] && step->out[i]->levels.qparams) to_levels(tape, step->out[i], NULL, NULL);
    if (!tape->training || !step->has_epilogue) return OCTET_OK;
    return octet_tape_apply(tape, step, err); /* z, of which backward asks what was clipped */
}
