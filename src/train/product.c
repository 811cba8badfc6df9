/* SPDX-License-Identifier: Apache-2.0 */
/* Bare operators, forward and backward, by their own definitions or by what is faster. */
#include "train/steps.h"

#include <string.h>

octet_status octet_tape_apply(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    octet_turn_inputs(tape, step);
    if (step->fast) return octet_fast_apply(tape, step, err);
    step->call.scratch = tape->scratch;
    if (step->elements) return octet_elements_forward(tape, &step->call, step->bare.op->forward, err);
    return step->bare.op->forward(&step->call, err);
}

static void touch(octet_tape_slot *value)
{
    if (value->touched || !value->gradient.data) return;
    memset(value->gradient.data, 0, (size_t)octet_tensor_bytes(&value->gradient));
    value->touched = true;
}

static octet_status backward_whole(octet_tape *tape, octet_tape_step *step, const octet_tensor *dz, octet_error *err)
{
    const octet_tensor **dout = step->dout;
    octet_tensor       **din  = step->din;
    for (int i = 0; i < step->call.in_count; i++) {
        const bool wanted = step->in[i] && step->in[i]->gradient.data && !(step->bare.op->fixed_inputs >> i & 1);
        din[i] = wanted ? octet_tape_input_gradient(step, i) : NULL;
    }
    for (int i = 0; i < step->call.out_count; i++) {
        octet_tape_slot *const out = step->out[i];
        dout[i] = i == 0 ? dz : out && out->touched ? &out->gradient : NULL;
    }
    if (!step->out[0] || !step->out[0]->touched) dout[0] = NULL;
    const octet_backward_call backward = { .forward = &step->call, .dout = dout, .din = din,
                                           .scratch = tape->scratch };
    return step->bare.op->backward(&backward, err);
}

octet_status octet_tape_apply_backward(octet_tape *tape, octet_tape_step *step, const octet_tensor *dz,
                                       octet_error *err)
{
    const bool sliced = step->elements || step->samples;
    octet_turn_inputs(tape, step);
    octet_turn_gradients_begin(step);
    for (int i = 0; i < step->call.in_count; i++) /* the other ways write what nobody has added to yet */
        if (step->in[i] && !(step->bare.op->fixed_inputs >> i & 1) && (step->turn[i].on || !(step->fast || sliced)))
            touch(step->in[i]);
    OCTET_TRY((step->fast ? octet_fast_apply_backward
               : sliced   ? octet_slices_backward
                          : backward_whole)(tape, step, dz, err));
    octet_turn_gradients_end(tape, step);
    return OCTET_OK;
}
