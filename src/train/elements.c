/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that work on each element alone, all of one shape (an Add of a residual): cut along dimension 0 they run on all
   threads, whatever the operator itself does. */
#include "train/steps.h"

#include "base/parallel.h"

#include <string.h>

bool octet_tape_is_elements(const octet_tape *tape, const octet_tape_step *step)
{
    const octet_call *const call = &step->call;
    if (!(step->node->op->flags & OCTET_OP_ELEMENTWISE) || step->linear || call->out_count != 1 ||
        step->node->op->scratch_size)
        return false;
    if (call->in_count > OCTET_TAPE_INPUTS || step->z.dtype != tape->dtype || step->z.rank < 1) return false;
    for (int i = 0; i < call->in_count; i++) {
        const octet_tape_slot *const in = step->in[i];
        if (!in || in->known || in->real.dtype != tape->dtype || in->real.rank != step->z.rank) return false;
        if (memcmp(in->real.dims, step->z.dims, (size_t)step->z.rank * sizeof *step->z.dims) != 0) return false;
    }
    return true;
}

octet_tensor octet_tape_samples(const octet_tensor *whole, int64_t first, int64_t last)
{
    octet_tensor part = *whole;
    if (!whole->data || !whole->rank || !whole->dims[0]) return part;
    const size_t bytes = (size_t)octet_tensor_bytes(whole) / (size_t)whole->dims[0];
    part.dims[0]       = last - first;
    part.data          = (char *)whole->data + bytes * (size_t)first;
    return part;
}

/* A call with every tensor cut. */
typedef struct part {
    octet_tensor        tensors[OCTET_TAPE_INPUTS], z;
    const octet_tensor *in[OCTET_TAPE_INPUTS];
    octet_tensor       *out[1];
    octet_call          call;
} part;

typedef struct elements_work {
    octet_tape         *tape;
    octet_tape_step    *step;
    const octet_call   *call;
    octet_forward       forward;
    const octet_tensor *dz; /* backward */
    octet_tensor       *din[OCTET_TAPE_INPUTS];
    bool                fresh[OCTET_TAPE_INPUTS]; /* nothing is in it yet */
    octet_status        status[OCTET_TAPE_SLICES];
    octet_error         errors[OCTET_TAPE_SLICES];
} elements_work;

static bool cut(part *p, const octet_call *call, size_t slice)
{
    const size_t  batch = (size_t)call->out[0]->dims[0];
    const int64_t first = (int64_t)octet_slice_begin(batch, slice), last = (int64_t)octet_slice_begin(batch, slice + 1);
    p->call = *call;
    for (int i = 0; i < call->in_count; i++) {
        p->tensors[i] = octet_tape_samples(call->in[i], first, last);
        p->in[i]      = &p->tensors[i];
    }
    p->z       = octet_tape_samples(call->out[0], first, last);
    p->out[0]  = &p->z;
    p->call.in = p->in, p->call.out = p->out, p->call.threads = 1;
    return last > first;
}

static octet_status verdict(const elements_work *w, octet_error *err)
{
    for (size_t s = 0; s < OCTET_TAPE_SLICES; s++) {
        if (w->status[s] == OCTET_OK) continue;
        if (err) *err = w->errors[s];
        return w->status[s];
    }
    return OCTET_OK;
}

static void forward_slice(void *context, size_t slice)
{
    elements_work *const w = context;
    part                 p;
    if (cut(&p, w->call, slice)) w->status[slice] = w->forward(&p.call, &w->errors[slice]);
}

octet_status octet_elements_forward(const octet_tape *tape, const octet_call *call, octet_forward forward,
                                    octet_error *err)
{
    elements_work work = { .call = call, .forward = forward };
    octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, forward_slice, &work);
    return verdict(&work, err);
}

static void backward_slice(void *context, size_t slice)
{
    elements_work *const w = context;
    part                 p;
    octet_tensor         gradients[OCTET_TAPE_INPUTS], *din[OCTET_TAPE_INPUTS] = { NULL };
    const size_t         batch = (size_t)w->step->z.dims[0];
    const int64_t first = (int64_t)octet_slice_begin(batch, slice), last = (int64_t)octet_slice_begin(batch, slice + 1);
    const octet_tensor        dz      = octet_tape_samples(w->dz, first, last);
    const octet_tensor *const dout[1] = { &dz };
    if (!cut(&p, &w->step->call, slice)) return;
    for (int i = 0; i < p.call.in_count; i++) {
        if (!w->din[i]) continue;
        gradients[i] = octet_tape_samples(w->din[i], first, last);
        din[i]       = &gradients[i];
        if (w->fresh[i]) memset(gradients[i].data, 0, (size_t)octet_tensor_bytes(&gradients[i]));
    }
    const octet_backward_call call = { .forward = &p.call, .dout = dout, .din = din,
                                       .scratch = (char *)w->tape->scratch + slice * w->tape->scratch_bytes };
    w->status[slice] = w->step->bare.op->backward(&call, &w->errors[slice]);
}

octet_status octet_elements_backward(octet_tape *tape, octet_tape_step *step, const octet_tensor *dz, octet_error *err)
{
    elements_work work = { .tape = tape, .step = step, .dz = dz };
    for (int i = 0; i < step->call.in_count; i++) {
        octet_tensor *const gradient = octet_tape_input_gradient(step, i);
        octet_tape_slot *const in    = step->in[i];
        if (!gradient->data || step->bare.op->fixed_inputs >> i & 1) continue;
        work.din[i]   = gradient;
        work.fresh[i] = !step->turn[i].on && !in->touched;
        in->touched   = true; /* and of two inputs that are one value, the first clears it */
    }
    octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, backward_slice, &work);
    return verdict(&work, err);
}
