/* SPDX-License-Identifier: Apache-2.0 */
/* Running a tape forward and backward, and looking at it. build.c makes it. */
#include "ops/check.h"
#include "train/pixels.h"
#include "train/steps.h"

#include <string.h>

void octet_tape_free(octet_tape *tape)
{
    if (!tape) return;
    octet_fast_free(tape);
    octet_arena_free(tape->arena);
}

size_t octet_tape_memory(const octet_tape *tape) { return octet_arena_bytes(tape->arena); }

octet_parameter *octet_tape_parameters(octet_tape *tape, size_t *count)
{
    *count = tape->parameter_count;
    return tape->parameters;
}

octet_parameter *octet_tape_statistics(octet_tape *tape, size_t *count)
{
    *count = tape->statistic_count;
    return tape->statistics;
}

void octet_tape_freeze_batch_norm(octet_tape *tape, bool frozen) { tape->batch_norm_frozen = frozen; }

/* In the graph's order. data NULL where there is no memory for a copy. */
static octet_tensor show(const octet_tape *tape, octet_tape_slot *v, const octet_tensor *tensor, int which)
{
    octet_tensor shown = *tensor;
    if (!v->pixels || !tensor->data) return shown;
    const size_t bytes = (size_t)octet_tensor_bytes(tensor);
    if (!v->shown[which]) v->shown[which] = octet_arena_alloc(tape->arena, bytes, 1);
    shown.data = v->shown[which];
    if (shown.data) octet_turn(shown.data, tensor->data, tensor, OCTET_TO_PLANES, tape->options.threads);
    return shown;
}

octet_tensor octet_tape_value(const octet_tape *tape, const octet_value *value)
{
    octet_tape_slot *const v = &tape->values[value->index];
    return show(tape, v, &v->real, 0);
}

octet_tensor octet_tape_gradient(const octet_tape *tape, const octet_value *value)
{
    octet_tape_slot *const v        = &tape->values[value->index];
    octet_tensor           gradient = v->gradient;
    if (!v->touched) gradient.data = NULL;
    return show(tape, v, &gradient, 1);
}

octet_tensor octet_tape_levels(const octet_tape *tape, const octet_value *value)
{
    octet_tape_slot *const v      = &tape->values[value->index];
    octet_tensor           levels = v->levels;
    if (!tape->quantized || !levels.qparams) levels.data = NULL;
    return show(tape, v, &levels, 2);
}

/* ---- forward ---- */

static octet_status forward_step(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    if (tape->quantized) return octet_integer_forward(tape, step, err);
    if (step->linear) OCTET_TRY(octet_linear_begin(tape, step, err));
    OCTET_TRY(octet_tape_apply(tape, step, err));
    if (step->linear) octet_linear_normalize(tape, step);
    if (step->has_epilogue) octet_epilogue_forward(tape, step);
    return OCTET_OK;
}

static octet_status put_input(octet_tape *tape, octet_tape_slot *value, const octet_tensor *input, octet_error *err)
{
    const size_t count = (size_t)octet_tensor_count(&value->real);
    bool fits = input->dtype == OCTET_F32 ? value->real.dtype == tape->dtype : input->dtype == value->real.dtype;
    fits = fits && input->data && octet_same_dims(input, &value->real);
    if (!fits) {
        char got[96], need[96];
        return octet_fail(err, OCTET_ERR_ARGUMENT, "input '%s' is %s, the trainer wants %s", value->value->name,
                          octet_shape_text(got, sizeof got, input->dims, input->rank),
                          octet_shape_text(need, sizeof need, value->real.dims, value->real.rank));
    }
    if (tape->dtype == OCTET_F64 && input->dtype == OCTET_F32)
        for (size_t i = 0; i < count; i++) ((double *)value->real.data)[i] = (double)((const float *)input->data)[i];
    else if (value->pixels) octet_turn(value->real.data, input->data, input, OCTET_TO_PIXELS, tape->options.threads);
    else memcpy(value->real.data, input->data, (size_t)octet_tensor_bytes(&value->real));
    return OCTET_OK;
}

static octet_status put_inputs(octet_tape *tape, const octet_tensor *inputs, octet_error *err)
{
    for (size_t i = 0; i < tape->graph->input_count; i++) {
        octet_tape_slot *const value = &tape->values[tape->graph->inputs[i]->index];
        if (value->known) continue;
        OCTET_TRY(put_input(tape, value, &inputs[i], err));
        if (tape->quantized) {
            octet_integer_input(tape, value);
        } else if (value->trained) {
            const octet_channel_shape shape = { 1, 1, (size_t)octet_tensor_count(&value->real) };
            octet_fake_quantize_tensor(tape, value->trained, value->real.data, &shape);
        }
    }
    return OCTET_OK;
}

octet_status octet_tape_forward(octet_tape *tape, const octet_tensor *inputs, bool training, octet_error *err)
{
    tape->training = training;
    OCTET_TRY(put_inputs(tape, inputs, err));
    octet_tables_forward(tape);
    for (size_t i = 0; i < tape->step_count; i++) {
        const octet_status status = forward_step(tape, &tape->steps[i], err);
        if (status == OCTET_OK) continue;
        octet_error_node(err, tape->steps[i].node->name);
        return status;
    }
    return OCTET_OK;
}

/* ---- backward ---- */

static bool has_gradient(const octet_tape_step *step)
{
    for (int i = 0; i < step->call.out_count; i++)
        if (step->out[i] && step->out[i]->touched) return true;
    return false;
}

static octet_status backward_step(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    if (step->has_epilogue && step->out[0]->touched) octet_epilogue_backward(tape, step);
    if (step->linear) return octet_linear_backward(tape, step, err);
    return octet_tape_apply_backward(tape, step, &step->out[0]->gradient, err);
}

static void clear_gradients(octet_tape *tape)
{
    for (int i = 0; i < tape->graph->value_count; i++) tape->values[i].touched = tape->values[i].parameter != NULL;
    for (size_t i = 0; i < tape->parameter_count; i++)
        memset(tape->parameters[i].gradient, 0,
               tape->parameters[i].count * octet_dtype_size(tape->parameters[i].dtype));
}

octet_status octet_tape_backward(octet_tape *tape, const octet_value *value, const void *dvalue, octet_error *err)
{
    octet_tape_slot *const end = &tape->values[value->index];
    if (!end->gradient.data)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "'%s' depends on nothing that can be trained", value->name);
    clear_gradients(tape);
    if (end->pixels) octet_turn(end->gradient.data, dvalue, &end->gradient, OCTET_TO_PIXELS, tape->options.threads);
    else memcpy(end->gradient.data, dvalue, (size_t)octet_tensor_bytes(&end->gradient));
    end->touched = true;
    for (size_t i = tape->step_count; i-- > 0;) {
        octet_tape_step *const step = &tape->steps[i];
        if (!step->wanted || !has_gradient(step)) continue;
        const octet_status status = backward_step(tape, step, err);
        if (status == OCTET_OK) continue;
        octet_error_node(err, step->node->name);
        return status;
    }
    octet_tables_backward(tape);
    return OCTET_OK;
}

/* ---- back into a graph ---- */

static void store_parameter(void *to, const octet_parameter *from)
{
    for (size_t i = 0; from && i < from->count; i++) ((float *)to)[i] = (float)octet_parameter_at(from, i);
}

static octet_status store_batch_norm(octet_node *node, const octet_tape_linear *linear, octet_graph *graph,
                                     octet_error *err)
{
    const octet_parameter *const parts[]  = { linear->gamma, linear->beta, linear->mean, linear->variance };
    octet_batch_norm *const      norm     = octet_arena_copy_bytes(graph->arena, node->batch_norm, sizeof *norm);
    const float **const          places[] = { &norm->gamma, &norm->beta, &norm->mean, &norm->variance };
    if (!norm) return octet_fail_memory(err);
    for (int i = 0; i < 4; i++) {
        float *to;
        OCTET_TRY(octet_arena_get(&to, graph->arena, parts[i]->count, sizeof *to, err));
        store_parameter(to, parts[i]);
        *places[i] = to;
    }
    node->batch_norm = norm;
    return OCTET_OK;
}

static octet_status store_constant(octet_graph *graph, octet_value *value, const octet_parameter *from,
                                   octet_error *err)
{
    octet_tensor tensor = *value->constant;
    if (from->dtype == OCTET_F32) {
        tensor.data = from->value;
        return octet_value_set_constant(graph, value, &tensor, err);
    }
    OCTET_TRY(octet_arena_get(&tensor.data, graph->arena, from->count, sizeof(float), err));
    store_parameter(tensor.data, from);
    return octet_value_set_constant(graph, value, &tensor, err);
}

octet_status octet_tape_store(const octet_tape *tape, octet_graph *graph, octet_error *err)
{
    size_t i = 0;
    for (int v = 0; v < tape->graph->value_count; v++)
        if (tape->values[v].parameter)
            OCTET_TRY(store_constant(graph, octet_graph_find_value(graph, tape->values[v].value->name),
                                     tape->values[v].parameter, err));
    for (size_t t = 0; t < tape->table_count; t++) {
        octet_value *const value = octet_graph_find_value(graph, tape->tables[t].slot->value->name);
        if (value && value->constant) OCTET_TRY(store_constant(graph, value, tape->tables[t].parameter, err));
    }
    for (octet_node *node = graph->first; node; node = node->next) {
        while (i < tape->step_count && tape->steps[i].node->index < node->index) i++;
        if (i == tape->step_count || tape->steps[i].node->index != node->index) continue;
        const octet_tape_linear *const linear = tape->steps[i].linear;
        if (!linear) continue;
        OCTET_TRY(store_constant(graph, node->inputs[1], linear->weight, err));
        if (linear->bias) OCTET_TRY(store_constant(graph, node->inputs[2], linear->bias, err));
        if (linear->gamma) OCTET_TRY(store_batch_norm(node, linear, graph, err));
    }
    return OCTET_OK;
}
