/* SPDX-License-Identifier: Apache-2.0 */
/* A call cut along dimension 0 runs on all threads, whatever the operator itself does: of steps that work on each
   element alone (an Add of a residual) every tensor is cut, of others whose samples are apart the first input. */
#include "train/steps.h"

#include "base/parallel.h"
#include "ops/check.h"

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
        if (!in || in->known || in->real.dtype != tape->dtype || !octet_same_dims(&in->real, &step->z)) return false;
    }
    return true;
}

octet_status octet_slices_verdict(const octet_slices *slices, octet_error *err)
{
    for (size_t s = 0; s < OCTET_TAPE_SLICES; s++) {
        if (slices->status[s] == OCTET_OK) continue;
        if (err) *err = slices->errors[s];
        return slices->status[s];
    }
    return OCTET_OK;
}

/* ---- a call of some samples ---- */

/* Samples first to last of a tensor, along dimension 0. */
static octet_tensor samples_of(const octet_tensor *whole, int64_t first, int64_t last)
{
    octet_tensor part = *whole;
    if (!whole->data || !whole->rank || !whole->dims[0]) return part;
    const size_t bytes = (size_t)octet_tensor_bytes(whole) / (size_t)whole->dims[0];
    part.dims[0]       = last - first;
    part.data          = (char *)whole->data + bytes * (size_t)first;
    return part;
}

typedef struct part {
    int64_t             first, last;
    octet_tensor        tensors[OCTET_TAPE_INPUTS], z;
    const octet_tensor *in[OCTET_TAPE_INPUTS];
    octet_tensor       *out[1];
    octet_call          call;
} part;

/* The first `cut` inputs and the output are cut. False: no samples. */
static bool make_part(part *p, const octet_call *call, int cut, size_t slice)
{
    const size_t batch = (size_t)call->out[0]->dims[0];
    p->first           = (int64_t)octet_slice_begin(batch, slice);
    p->last            = (int64_t)octet_slice_begin(batch, slice + 1);
    p->call            = *call;
    for (int i = 0; i < call->in_count; i++) p->in[i] = call->in[i];
    for (int i = 0; i < cut; i++) {
        p->tensors[i] = samples_of(call->in[i], p->first, p->last);
        p->in[i]      = &p->tensors[i];
    }
    p->z       = samples_of(call->out[0], p->first, p->last);
    p->out[0]  = &p->z;
    p->call.in = p->in, p->call.out = p->out, p->call.out_count = 1, p->call.threads = 1;
    return p->last > p->first;
}

/* ---- forward ---- */

typedef struct forward_work {
    const octet_call *call;
    octet_forward     forward;
    octet_slices      slices;
} forward_work;

static void forward_slice(void *context, size_t slice)
{
    forward_work *const w = context;
    part                p;
    if (make_part(&p, w->call, w->call->in_count, slice))
        w->slices.status[slice] = w->forward(&p.call, &w->slices.errors[slice]);
}

octet_status octet_elements_forward(const octet_tape *tape, const octet_call *call, octet_forward forward,
                                    octet_error *err)
{
    forward_work work = { .call = call, .forward = forward };
    octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, forward_slice, &work);
    return octet_slices_verdict(&work.slices, err);
}

/* ---- backward ---- */

typedef struct backward_work {
    octet_tape         *tape;
    octet_tape_step    *step;
    const octet_tensor *dz;
    int                 cut;                      /* inputs, from the first on */
    octet_tensor       *din[OCTET_TAPE_INPUTS];   /* of those; NULL: not wanted */
    bool                fresh[OCTET_TAPE_INPUTS]; /* nothing is in it yet */
    octet_slices        slices;
} backward_work;

/* The gradient of the weights that a slice adds to. */
static octet_tensor weight_part(const backward_work *w, size_t slice)
{
    const octet_tape_linear *const linear = w->step->linear;
    octet_tensor                   own    = *w->step->in_tensors[1];
    own.data = (char *)linear->gradient + slice * linear->weight->count * w->tape->element;
    memset(own.data, 0, linear->weight->count * w->tape->element);
    return own;
}

static void backward_slice(void *context, size_t slice)
{
    backward_work *const   w    = context;
    octet_tape_step *const step = w->step;
    part                   p;
    octet_tensor           gradients[OCTET_TAPE_INPUTS], *din[OCTET_TAPE_INPUTS] = { NULL }, weights;
    if (step->linear) {
        weights = weight_part(w, slice);
        din[1]  = &weights;
    }
    if (!make_part(&p, &step->call, w->cut, slice)) return;
    for (int i = 0; i < w->cut; i++) {
        if (!w->din[i]) continue;
        gradients[i] = samples_of(w->din[i], p.first, p.last);
        din[i]       = &gradients[i];
        if (w->fresh[i]) memset(gradients[i].data, 0, (size_t)octet_tensor_bytes(&gradients[i]));
    }
    const octet_tensor        dz      = samples_of(w->dz, p.first, p.last);
    const octet_tensor *const dout[1] = { &dz };
    const octet_backward_call call    = { .forward = &p.call, .dout = dout, .din = din,
                                          .scratch = (char *)w->tape->scratch + slice * w->tape->scratch_bytes };
    w->slices.status[slice] = step->bare.op->backward(&call, &w->slices.errors[slice]);
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

octet_status octet_slices_backward(octet_tape *tape, octet_tape_step *step, const octet_tensor *dz, octet_error *err)
{
    backward_work work = { .tape = tape, .step = step, .dz = dz, .cut = step->elements ? step->call.in_count : 1 };
    for (int i = 0; i < work.cut; i++) {
        octet_tensor *const    gradient = octet_tape_input_gradient(step, i);
        octet_tape_slot *const in       = step->in[i];
        if (!gradient->data || step->bare.op->fixed_inputs >> i & 1) continue;
        work.din[i]   = gradient;
        work.fresh[i] = !step->turn[i].on && !in->touched;
        in->touched   = true; /* and of two inputs that are one value, the first clears it */
    }
    octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, backward_slice, &work);
    OCTET_TRY(octet_slices_verdict(&work.slices, err));
    if (step->linear) add_weight_slices(tape, step->linear);
    return OCTET_OK;
}
