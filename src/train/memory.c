/* SPDX-License-Identifier: Apache-2.0 */
/* Where a tape keeps its numbers. Values live from forward to backward; gradients share memory. */
#include "train/steps.h"

#include "base/place.h"

/* ---- gradients ---- */

/* Indices and truth values do not change with a small step. */
static bool makes_real(const octet_tape *tape, const octet_tape_step *step)
{
    for (int k = 0; k < step->call.out_count; k++)
        if (step->out[k] && step->out[k]->real.dtype == tape->dtype) return true;
    return false;
}

/* Marks values with a gradient in gradient.dtype. */
static octet_status want_gradients(octet_tape *tape, octet_error *err)
{
    for (size_t i = 0; tape->options.keep_gradients && i < tape->graph->input_count; i++) {
        octet_tape_slot *const in = &tape->values[tape->graph->inputs[i]->index];
        if (in->real.dtype == tape->dtype) in->gradient = in->real;
    }
    for (size_t i = 0; i < tape->table_count; i++) tape->tables[i].slot->gradient = tape->tables[i].slot->real;
    for (size_t i = 0; i < tape->step_count; i++) {
        octet_tape_step *const step = &tape->steps[i];
        bool                   any  = step->linear != NULL || (step->out[0] && step->out[0]->trained &&
                                             step->out[0]->trained->quantizer.fake == OCTET_FAKE_LEARNED);
        bool                   from = step->linear != NULL;
        for (int k = 0; k < step->call.in_count; k++)
            if (step->in[k] && step->in[k]->gradient.dtype && !(step->node->op->fixed_inputs >> k & 1)) from = true;
        from = from && makes_real(tape, step);
        if (from && !step->node->op->backward) {
            octet_fail(err, OCTET_ERR_UNSUPPORTED, "%s has no gradient: what comes before it cannot be trained",
                       step->node->op->name);
            octet_error_node(err, step->node->name);
            return OCTET_ERR_UNSUPPORTED;
        }
        step->wanted = any || from;
        for (int k = 0; step->wanted && k < step->call.out_count; k++)
            if (step->out[k] && step->out[k]->real.dtype == tape->dtype) step->out[k]->gradient = step->out[k]->real;
    }
    return OCTET_OK;
}

/* Backward runs over the steps from the last one on: a gradient lives from its last reader to its producer. */
static octet_status place_gradients(octet_tape *tape, octet_error *err)
{
    const int     count = tape->graph->value_count, end = (int)tape->step_count;
    octet_buffer *buffers;
    size_t        bytes;
    char         *memory;
    OCTET_TRY(octet_arena_get(&buffers, tape->arena, (size_t)count, sizeof *buffers, err));
    for (int i = 0; i < count; i++) {
        const bool wanted = tape->values[i].gradient.dtype != OCTET_NONE && !tape->values[i].parameter;
        buffers[i] = (octet_buffer){ .first = wanted ? 0 : -1, .last = wanted ? end : -1 };
        if (wanted) buffers[i].bytes = (size_t)octet_tensor_bytes(&tape->values[i].real);
    }
    for (int s = 0; !tape->options.keep_gradients && s < end; s++) {
        const octet_tape_step *const step = &tape->steps[s];
        for (int k = 0; k < step->call.out_count; k++)
            if (step->out[k]) buffers[step->out[k] - tape->values].last = end - s;
        for (int k = 0; k < step->call.in_count; k++) /* the last reader is met last */
            if (step->in[k] && buffers[step->in[k] - tape->values].first >= 0)
                buffers[step->in[k] - tape->values].first = end - s;
    }
    for (size_t i = 0; i < tape->graph->output_count; i++) {
        octet_buffer *const b = &buffers[tape->graph->outputs[i]->index];
        if (b->first >= 0) b->first = 0;
    }
    OCTET_TRY(octet_place(&bytes, buffers, (size_t)count, tape->arena, err));
    OCTET_TRY(octet_arena_get(&memory, tape->arena, bytes, 1, err));
    for (int i = 0; i < count; i++)
        if (buffers[i].first >= 0) tape->values[i].gradient.data = memory + buffers[i].offset;
    return OCTET_OK;
}

/* ---- memory ---- */

/* A fast step adds its slices up elsewhere. */
static octet_status weight_gradient(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    const size_t slices = step->fast ? 1 : OCTET_TAPE_SLICES;
    return octet_arena_get(&step->linear->gradient, tape->arena, step->linear->weight->count * slices, tape->element,
                           err);
}

static octet_status step_memory(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    if (step->linear) OCTET_TRY(weight_gradient(tape, step, err));
    for (int i = 0; i < step->call.out_count; i++) {
        octet_tape_slot *const out = step->out[i];
        if (out)
            OCTET_TRY(octet_arena_get(&out->real.data, tape->arena, (size_t)octet_tensor_bytes(&out->real), 1, err));
    }
    step->z.data = step->out[0]->real.data;
    if (!step->has_epilogue) return OCTET_OK;
    return octet_arena_get(&step->z.data, tape->arena, (size_t)octet_tensor_bytes(&step->z), 1, err);
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Scratch of the operators, and room that FakeQuantize and sums need. */
static octet_status shared_memory(octet_tape *tape, octet_error *err)
{
    size_t forward = 0, channels = 1, most = 0, before = 0;
    for (size_t i = 0; i < tape->step_count; i++) {
        const octet_tape_step *const step  = &tape->steps[i];
        const octet_op *const        op    = step->node->op;
        const size_t                 count = (size_t)octet_tensor_count(&step->z);
        if (op->scratch_size && !step->fast) forward = larger(forward, op->scratch_size(&step->call, false));
        if (op->backward_scratch && step->wanted && !step->fast)
            tape->scratch_bytes = larger(tape->scratch_bytes, op->backward_scratch(&step->call));
        channels = larger(channels, step->shape.channels);
        if (step->linear) most = larger(most, step->linear->weight->count);
        if (step->out[0]->trained) before = larger(before, count);
    }
    for (size_t i = 0; i < tape->graph->input_count; i++)
        most = larger(most, (size_t)octet_tensor_count(&tape->values[tape->graph->inputs[i]->index].real));
    for (size_t i = 0; i < tape->table_count; i++) {
        channels = larger(channels, tape->tables[i].shape.channels);
        most     = larger(most, tape->tables[i].parameter->count);
    }
    tape->scratch_bytes = octet_aligned(tape->scratch_bytes);
    OCTET_TRY(octet_arena_get(&tape->scratch, tape->arena, larger(forward, tape->scratch_bytes * OCTET_TAPE_SLICES), 1,
                              err));
    OCTET_TRY(octet_arena_get(&tape->before, tape->arena, before, tape->element, err));
    OCTET_TRY(octet_arena_get(&tape->sums, tape->arena, 4 * OCTET_TAPE_SLICES * channels, sizeof(double), err));
    for (int i = 0; tape->dtype == OCTET_F64 && i < 2; i++)
        OCTET_TRY(octet_arena_get(&tape->narrow[i], tape->arena, larger(most, before), sizeof(float), err));
    return OCTET_OK;
}

octet_status octet_tape_place(octet_tape *tape, octet_error *err)
{
    OCTET_TRY(want_gradients(tape, err));
    OCTET_TRY(place_gradients(tape, err));
    for (size_t i = 0; i < tape->graph->input_count; i++) {
        octet_tape_slot *const in = &tape->values[tape->graph->inputs[i]->index];
        if (!in->known)
            OCTET_TRY(octet_arena_get(&in->real.data, tape->arena, (size_t)octet_tensor_bytes(&in->real), 1, err));
    }
    for (size_t i = 0; i < tape->step_count; i++) OCTET_TRY(step_memory(tape, &tape->steps[i], err));
    OCTET_TRY(octet_layout_place(tape, err));
    return shared_memory(tape, err);
}
