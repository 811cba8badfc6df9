/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a tape: shapes, then a step for every node. */
#include "train/steps.h"

#include "base/checked.h"
#include "ops/attrs.h"
#include "ops/mode.h"
#include "ops/profile.h"
#include "ops/shape.h"
#include "passes/pass.h"

#include <math.h>
#include <string.h>

/* ---- values ---- */

static bool is_real(const octet_tape *tape, const octet_tensor *tensor) { return tensor->dtype == tape->dtype; }

/* Constants keep their place in the graph; a tape of doubles widens them. */
static octet_status widen(octet_tape *tape, octet_tensor *tensor, octet_error *err)
{
    if (tensor->dtype != OCTET_F32 || tape->dtype != OCTET_F64) return OCTET_OK;
    const float *const from  = tensor->data;
    const size_t       count = (size_t)octet_tensor_count(tensor);
    double            *to    = NULL;
    tensor->dtype            = OCTET_F64;
    if (!from) return OCTET_OK;
    OCTET_TRY(octet_arena_get(&to, tape->arena, count, sizeof *to, err));
    for (size_t i = 0; i < count; i++) to[i] = (double)from[i];
    tensor->data = to;
    return OCTET_OK;
}

/* A constant operand that has a FakeQuantize is quantized once. */
static octet_status quantize_constant(octet_tape *tape, octet_tape_slot *v, octet_error *err)
{
    octet_trained *const trained = v->value->fake_quantize ? v->value->fake_quantize->trained : NULL;
    if (!v->value->constant || !trained || v->real.dtype != OCTET_F32) return OCTET_OK;
    const octet_channel_shape shape = { 1, 1, (size_t)octet_tensor_count(&v->real) };
    if (trained->channels != 1) return OCTET_OK; /* weights */
    void *const copy = octet_arena_copy_bytes(tape->arena, v->real.data, shape.inner * sizeof(float));
    if (!copy) return octet_fail_memory(err);
    octet_trained_forward(copy, NULL, v->real.data, trained, &shape);
    v->real.data = copy;
    return OCTET_OK;
}

/* Values whose levels come from all of the producer's data, which has the same FakeQuantize, are not rounded again. */
static bool passes_on(const octet_value *value)
{
    const octet_node *const n = value->producer;
    if (!n) return false;
    const int  inputs = octet_node_data_inputs(n);
    const bool moves  = n->op->quant == OCTET_QUANT_SAME || n->op->quant == OCTET_QUANT_CONCAT ||
                       (n->op->quant == OCTET_QUANT_RESCALE && inputs == 1);
    for (int i = 0; moves && i < inputs; i++)
        if (!n->inputs[i] || n->inputs[i]->fake_quantize != value->fake_quantize) return false;
    return moves;
}

static octet_status make_value(octet_tape *tape, const octet_value *value, const octet_tensor *shape, octet_error *err)
{
    octet_tape_slot *const v = &tape->values[value->index];
    v->value                  = value;
    v->real                   = *shape;
    v->known                  = shape->data != NULL;
    OCTET_TRY(widen(tape, &v->real, err));
    if (v->known) return quantize_constant(tape, v, err);
    if (value->fake_quantize && !passes_on(value)) v->trained = value->fake_quantize->trained;
    return OCTET_OK;
}

static octet_status make_values(octet_tape *tape, octet_error *err)
{
    const octet_graph *const graph = tape->graph;
    const size_t             count = (size_t)graph->value_count;
    octet_tensor            *shapes, *inputs;
    OCTET_TRY(octet_arena_get(&shapes, tape->arena, count, sizeof *shapes, err));
    OCTET_TRY(octet_arena_get(&inputs, tape->arena, graph->input_count, sizeof *inputs, err));
    OCTET_TRY(octet_arena_get(&tape->values, tape->arena, count, sizeof *tape->values, err));
    for (size_t i = 0; i < graph->input_count; i++) {
        const octet_value *const in = graph->inputs[i];
        inputs[i]                   = octet_value_tensor(in, tape->options.batch);
        if (octet_tensor_count(&inputs[i]) < 0)
            return octet_fail(err, OCTET_ERR_UNSUPPORTED, "input '%s' leaves more open than the batch", in->name);
    }
    OCTET_TRY(octet_infer_shapes(shapes, graph, inputs, tape->arena, err));
    for (const octet_value *v = graph->values; v; v = v->next) OCTET_TRY(make_value(tape, v, &shapes[v->index], err));
    return OCTET_OK;
}

/* ---- linear steps ---- */

/* Constant weights that no attribute changes, and a bias of one number per channel. */
static bool is_linear(const octet_tape *tape, const octet_node *node, int64_t channels)
{
    if (node->op->quant != OCTET_QUANT_MAC || !node->op->backward || !octet_constant_floats(node->inputs[1]))
        return false;
    const octet_value *const bias = node->input_count > 2 ? node->inputs[2] : NULL;
    if (bias && (!octet_constant_floats(bias) || octet_tensor_count(bias->constant) != channels)) return false;
    const octet_tensor *const x = &tape->values[node->inputs[0]->index].real;
    if (!is_real(tape, x) || x->rank < 2) return false;
    if (!strcmp(node->op->name, "MatMul")) return node->inputs[1]->constant->rank == 2;
    if (strcmp(node->op->name, "Gemm") != 0) return true;
    const octet_gemm_attrs *const a = node->attrs;
    return a->alpha == 1.0f && a->beta == 1.0f && !a->trans_a;
}

static octet_status linear_memory(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    octet_tape_linear *const linear   = step->linear;
    const size_t             channels = step->shape.channels, count = linear->weight->count;
    OCTET_TRY(octet_arena_get(&linear->scaled, tape->arena, count, tape->element, err));
    OCTET_TRY(octet_arena_get(&linear->used, tape->arena, count, tape->element, err));
    double **const numbers[] = { &linear->k, &linear->batch_mean, &linear->batch_rstd, &step->scale, &step->shift };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        OCTET_TRY(octet_arena_get(numbers[i], tape->arena, channels, sizeof(double), err));
    OCTET_TRY(octet_arena_get(&linear->factors, tape->arena, 3 * channels, sizeof(double), err));
    for (size_t c = 0; c < channels; c++) linear->k[c] = 1;
    if (tape->options.slow_batch_norm && linear->gamma)
        OCTET_TRY(octet_arena_get(&linear->plain, tape->arena, (size_t)octet_tensor_count(&step->z), tape->element,
                                  err));
    return OCTET_OK;
}

static octet_status make_linear(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    const octet_node *const  node = step->node;
    octet_tape_linear       *linear;
    octet_tensor            *used;
    OCTET_TRY(octet_arena_get(&linear, tape->arena, 1, sizeof *linear, err));
    OCTET_TRY(octet_arena_get(&used, tape->arena, 1, sizeof *used, err));
    step->linear         = linear;
    linear->weight_axis  = octet_weight_axis(node);
    linear->weight_shape = octet_channels_along(node->inputs[1]->constant, linear->weight_axis);
    linear->weight_groups = (size_t)octet_weight_groups(node);
    if (node->inputs[1]->fake_quantize) linear->trained = node->inputs[1]->fake_quantize->trained;
    OCTET_TRY(octet_constant_parameter(&linear->weight, tape, node->inputs[1], OCTET_PARAMETER_WEIGHT, err));
    if (node->input_count > 2 && node->inputs[2])
        OCTET_TRY(octet_constant_parameter(&linear->bias, tape, node->inputs[2], OCTET_PARAMETER_BIAS, err));
    if (node->batch_norm) OCTET_TRY(octet_batch_norm_parameters(tape, linear, node->batch_norm, err));
    if (linear->trained) OCTET_TRY(octet_learned_parameters(tape, linear->weight->name, linear->trained, err));
    OCTET_TRY(linear_memory(tape, step, err));
    *used               = *step->in_tensors[1];
    used->data          = linear->used;
    step->in_tensors[1] = used;
    step->in[1]         = NULL;
    if (step->call.in_count > 2) step->in_tensors[2] = NULL, step->in[2] = NULL;
    return OCTET_OK;
}

/* ---- other parameters ---- */

/* A constant with levels of its own (FakeQuantize) rests. Matrices decay as weights do, gains and biases do not. */
static octet_status make_parameters(octet_tape *tape, const octet_node *node, octet_error *err)
{
    for (int i = 0; i < node->input_count; i++) {
        const octet_value *const in = node->inputs[i];
        if (!(node->op->parameters >> i & 1) || !octet_constant_floats(in) || in->fake_quantize) continue;
        octet_tape_slot *const slot   = &tape->values[in->index];
        const bool             weight = i == 0 || node->op->dynamic_weights >> i & 1;
        OCTET_TRY(octet_constant_parameter(&slot->parameter, tape, in,
                                           weight ? OCTET_PARAMETER_WEIGHT : OCTET_PARAMETER_BIAS, err));
        slot->real.data     = slot->parameter->value;
        slot->gradient      = slot->real;
        slot->gradient.data = slot->parameter->gradient;
    }
    return OCTET_OK;
}

/* ---- steps ---- */

static octet_channel_shape shape_of_output(const octet_tape_step *step)
{
    const octet_tensor *const z = &step->z;
    if (step->node->op->quant == OCTET_QUANT_MAC && z->rank > 0)
        return octet_channels_along(z, octet_channel_axis(step->node, z->rank));
    return (octet_channel_shape){ z->rank ? (size_t)z->dims[0] : 1, 1,
                                  (size_t)octet_tensor_count(z) / (size_t)(z->rank && z->dims[0] ? z->dims[0] : 1) };
}

static octet_status step_lists(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    const octet_node *const node = step->node;
    const size_t            ins = (size_t)node->input_count, outs = (size_t)node->output_count;
    OCTET_TRY(octet_arena_get(&step->in, tape->arena, ins, sizeof *step->in, err));
    OCTET_TRY(octet_arena_get(&step->out, tape->arena, outs, sizeof *step->out, err));
    OCTET_TRY(octet_arena_get(&step->in_tensors, tape->arena, ins, sizeof *step->in_tensors, err));
    OCTET_TRY(octet_arena_get(&step->out_tensors, tape->arena, outs, sizeof *step->out_tensors, err));
    OCTET_TRY(octet_arena_get(&step->din, tape->arena, ins, sizeof *step->din, err));
    OCTET_TRY(octet_arena_get(&step->integer_in, tape->arena, ins + 1, sizeof *step->integer_in, err));
    OCTET_TRY(octet_arena_get(&step->integer_out, tape->arena, outs, sizeof *step->integer_out, err));
    OCTET_TRY(octet_arena_get(&step->dout, tape->arena, outs, sizeof *step->dout, err));
    for (size_t i = 0; i < ins; i++) {
        step->in[i]         = node->inputs[i] ? &tape->values[node->inputs[i]->index] : NULL;
        step->in_tensors[i] = step->in[i] ? &step->in[i]->real : NULL;
    }
    for (size_t i = 0; i < outs; i++) {
        step->out[i]         = node->outputs[i] ? &tape->values[node->outputs[i]->index] : NULL;
        step->out_tensors[i] = step->out[i] ? &step->out[i]->real : NULL;
    }
    step->out_tensors[0] = &step->z;
    step->call = (octet_call){ .node = &step->bare, .attrs = node->attrs, .in = step->in_tensors,
                               .out = step->out_tensors, .in_count = node->input_count,
                               .out_count = node->output_count, .threads = tape->options.threads,
                               .profile = &octet_profile_octet };
    return OCTET_OK;
}

/* Sample n of everything depends on sample n of the first input. */
static bool has_samples(const octet_tape *tape, const octet_tape_step *step)
{
    if (step->linear) return true;
    const octet_tensor *const x = step->in_tensors[0];
    if (!(step->node->op->flags & OCTET_OP_SAMPLES) || step->node->output_count != 1) return false;
    if (step->node->input_count > OCTET_TAPE_INPUTS || !x || x->rank < 1 || step->z.rank < 1) return false;
    for (int i = 1; i < step->node->input_count; i++)
        if (step->in[i] && (!step->in[i]->known || step->in[i]->parameter)) return false;
    return x->dims[0] == tape->options.batch && step->z.dims[0] == tape->options.batch;
}

static octet_status make_step(octet_tape *tape, octet_tape_step *step, const octet_node *node, octet_error *err)
{
    step->node            = node;
    step->bare            = *node;
    step->bare.batch_norm = NULL;
    step->bare.activation = (octet_activation){ 0 };
    OCTET_TRY(step_lists(tape, step, err));
    if (!node->op->forward) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "%s cannot be trained", node->op->name);
    step->z     = step->out[0]->real;
    step->shape = shape_of_output(step);
    if (is_linear(tape, node, (int64_t)step->shape.channels)) OCTET_TRY(make_linear(tape, step, err));
    else OCTET_TRY(octet_table_make(tape, step, err));
    if (!step->linear && node->batch_norm)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "batch norm on weights that are computed cannot be trained");
    step->elements     = octet_tape_is_elements(tape, step);
    step->samples      = has_samples(tape, step);
    step->has_epilogue = step->linear || node->activation.on || step->out[0]->trained;
    for (int i = 0; i < node->output_count; i++)
        if (step->out[i] && step->out[i]->trained)
            OCTET_TRY(octet_learned_parameters(tape, step->out[i]->value->name, step->out[i]->trained, err));
    return OCTET_OK;
}

static bool is_known(const octet_tape *tape, const octet_node *node)
{
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] && !tape->values[node->outputs[i]->index].known) return false;
    return true;
}

static octet_status make_steps(octet_tape *tape, octet_error *err)
{
    const octet_graph *const graph = tape->graph;
    const size_t             nodes = (size_t)graph->node_count, values = (size_t)graph->value_count;
    OCTET_TRY(octet_arena_get(&tape->steps, tape->arena, nodes, sizeof *tape->steps, err));
    OCTET_TRY(octet_arena_get(&tape->parameters, tape->arena, 4 * nodes + 4 * values, sizeof *tape->parameters, err));
    OCTET_TRY(octet_arena_get(&tape->statistics, tape->arena, 2 * nodes, sizeof *tape->statistics, err));
    for (size_t i = 0; i < graph->input_count; i++) {
        octet_tape_slot *const in = &tape->values[graph->inputs[i]->index];
        if (in->trained) OCTET_TRY(octet_learned_parameters(tape, in->value->name, in->trained, err));
    }
    for (const octet_node *node = graph->first; node; node = node->next)
        if (!is_known(tape, node)) OCTET_TRY(make_parameters(tape, node, err));
    for (const octet_node *node = graph->first; node; node = node->next) {
        if (is_known(tape, node)) continue;
        const octet_status status = make_step(tape, &tape->steps[tape->step_count++], node, err);
        if (status == OCTET_OK) continue;
        octet_error_node(err, node->name);
        return status;
    }
    return OCTET_OK;
}

/* Roughly what the values need, before any of it is asked for. */
static octet_status check_memory(const octet_tape *tape, octet_error *err)
{
    size_t need = 0;
    for (int i = 0; i < tape->graph->value_count; i++) {
        const int64_t bytes = octet_tensor_bytes(&tape->values[i].real);
        if (tape->values[i].known) continue;
        if (bytes < 0 || !octet_add(&need, need, 2 * (size_t)bytes))
            return octet_fail(err, OCTET_ERR_LIMIT, "a batch needs more memory than an address can count");
    }
    if (!tape->options.max_memory || need <= tape->options.max_memory) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_LIMIT, "a batch of %lld needs %zu bytes, limit %zu (--max-memory, --batch)",
                      (long long)tape->options.batch, need, tape->options.max_memory);
}

static octet_status build(octet_tape *tape, octet_error *err)
{
    OCTET_TRY(make_values(tape, err));
    OCTET_TRY(check_memory(tape, err));
    OCTET_TRY(make_steps(tape, err));
    OCTET_TRY(octet_layout_plan(tape, err));
    OCTET_TRY(octet_rows_plan(tape, err));
    return octet_tape_place(tape, err);
}

octet_status octet_tape_create(octet_tape **tape, const octet_graph *graph, const octet_tape_options *options,
                               octet_error *err)
{
    *tape                    = NULL;
    octet_arena *const arena = octet_arena_new();
    octet_tape *const  new   = arena ? octet_arena_alloc(arena, 1, sizeof *new) : NULL;
    if (!new) {
        octet_arena_free(arena);
        return octet_fail_memory(err);
    }
    new->arena   = arena;
    new->graph   = graph;
    new->options = *options;
    new->dtype   = options->dtype == OCTET_F64 ? OCTET_F64 : OCTET_F32;
    new->element = octet_dtype_size(new->dtype);
    const octet_status status = build(new, err);
    if (status == OCTET_OK) *tape = new;
    else octet_tape_free(new);
    return status;
}
