/* SPDX-License-Identifier: Apache-2.0 */
/* Bare operators, forward and backward, by their own definitions. Backward cuts the batch into slices where it can;
   weights get their gradient from the slices in order. */
#include "train/steps.h"

#include "base/parallel.h"

#include <string.h>

octet_status octet_tape_apply(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    octet_turn_inputs(tape, step);
    if (step->fast) return octet_fast_apply(tape, step, err);
    step->call.scratch = tape->scratch;
    if (step->elements) return octet_elements_forward(tape, &step->call, step->bare.op->forward, err);
    return step->bare.op->forward(&step->call, err);
}

typedef struct backward_work {
    octet_tape         *tape;
    octet_tape_step    *step;
    const octet_tensor *dz;
    size_t              slices;
    octet_status        status[OCTET_TAPE_SLICES];
    octet_error         errors[OCTET_TAPE_SLICES];
} backward_work;

/* The gradient of the weights that a slice adds to. */
static octet_tensor weight_part(const backward_work *w, size_t slice)
{
    const octet_tape_linear *const linear = w->step->linear;
    octet_tensor                   part   = *w->step->in_tensors[1];
    part.data = (char *)linear->gradient + slice * linear->weight->count * w->tape->element;
    memset(part.data, 0, linear->weight->count * w->tape->element);
    return part;
}

/* One slice of a step whose first input and output alone have samples. */
static void backward_slice(void *context, size_t slice)
{
    backward_work *const   w     = context;
    octet_tape_step *const step  = w->step;
    const int64_t          batch = step->z.dims[0];
    const int64_t first = (int64_t)(w->slices > 1 ? octet_slice_begin((size_t)batch, slice) : 0);
    const int64_t last  = w->slices > 1 ? (int64_t)octet_slice_begin((size_t)batch, slice + 1) : batch;
    const octet_tensor *in[OCTET_TAPE_INPUTS];
    octet_tensor       *din[OCTET_TAPE_INPUTS] = { NULL };
    octet_tensor        x = octet_tape_samples(step->in_tensors[0], first, last);
    octet_tensor        z = octet_tape_samples(&step->z, first, last);
    octet_tensor        dz = octet_tape_samples(w->dz, first, last), dw;
    octet_tensor        dx = octet_tape_samples(octet_tape_input_gradient(step, 0), first, last);
    for (int i = 0; i < step->call.in_count; i++) in[i] = step->in_tensors[i];
    in[0] = &x;
    if (dx.data) din[0] = &dx;
    if (step->linear) {
        dw     = weight_part(w, slice);
        din[1] = &dw;
    }
    if (first == last) return;
    octet_tensor *const       out[1]  = { &z };
    const octet_tensor *const dout[1] = { &dz };
    octet_call                call    = step->call;
    call.in = in, call.out = out, call.out_count = 1, call.threads = 1;
    const octet_backward_call backward = { .forward = &call, .dout = dout, .din = din,
                                           .scratch = (char *)w->tape->scratch + slice * w->tape->scratch_bytes };
    w->status[slice] = step->bare.op->backward(&backward, &w->errors[slice]);
}

static void add_weight_slices(octet_tape *tape, octet_tape_linear *linear)
{
    const size_t count = linear->weight->count;
    for (size_t s = 1; s < OCTET_TAPE_SLICES; s++) {
        if (tape->dtype == OCTET_F64) {
            double *const to = linear->gradient;
            for (size_t i = 0; i < count; i++) to[i] += to[s * count + i];
        } else {
            float *const to = linear->gradient;
            for (size_t i = 0; i < count; i++) to[i] += to[s * count + i];
        }
    }
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

static octet_status backward_slices(octet_tape *tape, octet_tape_step *step, const octet_tensor *dz, octet_error *err)
{
    backward_work work = { .tape = tape, .step = step, .dz = dz, .slices = OCTET_TAPE_SLICES };
    octet_parallel(work.slices, tape->options.threads, backward_slice, &work);
    for (size_t s = 0; s < work.slices; s++) {
        if (work.status[s] == OCTET_OK) continue;
        if (err) *err = work.errors[s];
        return work.status[s];
    }
    if (step->linear) add_weight_slices(tape, step->linear);
    return OCTET_OK;
}

/* It writes what nobody has added to yet. */
static bool clears_itself(const octet_tape_step *step) { return step->fast || step->elements; }

octet_status octet_tape_apply_backward(octet_tape *tape, octet_tape_step *step, const octet_tensor *dz,
                                       octet_error *err)
{
    octet_turn_inputs(tape, step);
    octet_turn_gradients_begin(step);
    for (int i = 0; i < step->call.in_count; i++)
        if (step->in[i] && !(step->bare.op->fixed_inputs >> i & 1) && (step->turn[i].on || !clears_itself(step)))
            touch(step->in[i]);
    OCTET_TRY((step->fast       ? octet_fast_apply_backward
               : step->elements ? octet_elements_backward
               : step->samples  ? backward_slices
                                : backward_whole)(tape, step, dz, err));
    octet_turn_gradients_end(tape, step);
    return OCTET_OK;
}
