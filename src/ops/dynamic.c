/* SPDX-License-Identifier: Apache-2.0 */
/* Conv, Gemm and MatMul of an input that becomes levels when they run: the integer rule on the levels, one part of the
   input after the other, then bias and activation in real numbers. */
#include "ops/dynamic.h"

#include "base/checked.h"
#include "ops/check.h"
#include "ops/levels.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 256 };

int32_t octet_dynamic_highest(const octet_call *call)
{
    return call->node->dynamic == OCTET_DYNAMIC_REDUCED && !call->profile->dynamic_is_full ? 127 : 255;
}

octet_affine octet_dynamic_affine(const octet_call *call, octet_range range)
{
    return call->profile->dynamic(range, octet_dynamic_highest(call));
}

void octet_dynamic_levels(uint8_t *levels, const float *x, size_t n, octet_affine affine, const octet_call *call)
{
    const octet_level_rule to = { affine.scale, affine.zero_point, 0, octet_dynamic_highest(call) };
    int32_t                level[CHUNK];
    for (size_t done = 0; done < n; done += CHUNK) {
        const size_t count = n - done < CHUNK ? n - done : CHUNK;
        call->profile->dynamic_levels(level, x + done, count, &to);
        octet_levels_store(levels, OCTET_U8, done, level, count);
    }
}

/* The parts of a call that have a range of their own. */
typedef struct parts {
    octet_call          call; /* of one part, on levels */
    octet_node          node; /* without activation */
    octet_tensor        in, out;
    const octet_tensor *inputs[2];
    octet_tensor       *outputs[1];
    size_t              count; /* of parts */
} parts;

static bool is_conv(const octet_call *call) { return call->in[1]->rank > 2; }

/* Elements of the result that share an output channel: those behind a Conv's dimension 1, else one. */
static int64_t channel_inner(const octet_call *call)
{
    const octet_tensor *const y = call->out[0];
    int64_t                   inner = 1;
    for (int i = 2; is_conv(call) && i < y->rank; i++) inner *= y->dims[i];
    return inner;
}

/* Cuts in and out to one of count equal parts. */
static void cut(parts *p, const octet_call *call)
{
    const octet_tensor *const x = call->in[0], *const y = call->out[0];
    p->in = *x;
    p->out = *y;
    p->count = 1;
    if (call->node->dynamic != OCTET_DYNAMIC_ROW) return;
    if (is_conv(call)) {
        p->count = (size_t)x->dims[0];
        p->in.dims[0] = p->out.dims[0] = 1;
        return;
    }
    const int64_t depth = x->dims[x->rank - 1];
    p->count = (size_t)(octet_tensor_count(x) / depth);
    p->in.rank = p->out.rank = 2;
    p->in.dims[0] = p->out.dims[0] = 1;
    p->in.dims[1] = depth;
    p->out.dims[1] = p->count ? octet_tensor_count(y) / (int64_t)p->count : 0;
}

/* The call of one part; its input is levels of parameters that are not set yet. */
static void make_parts(parts *p, const octet_call *call, octet_qparams *levels)
{
    cut(p, call);
    p->node = *call->node;
    p->node.activation.on = false;
    p->node.batch_norm = NULL;
    p->in.dtype = OCTET_U8;
    p->in.data = NULL;
    p->in.qparams = levels;
    p->out.qparams = NULL;
    p->inputs[0] = &p->in;
    p->inputs[1] = call->in[1];
    p->outputs[0] = &p->out;
    p->call = *call;
    p->call.node = &p->node;
    p->call.in = p->inputs;
    p->call.out = p->outputs;
    p->call.in_count = 2;
    p->call.out_count = 1;
    p->call.real_unit = 0;
}

static size_t levels_size(const octet_call *call)
{
    return octet_aligned((size_t)octet_tensor_count(call->in[0]) + 1);
}

size_t octet_dynamic_mac_scratch(const octet_call *call)
{
    parts         p;
    octet_qparams levels = { .count = 1, .dtype = OCTET_U8, .qmax = 255 };
    size_t        bytes = 0;
    make_parts(&p, call, &levels);
    const octet_op *const op = call->node->op;
    return octet_add(&bytes, levels_size(call), op->scratch_size ? op->scratch_size(&p.call, true) : 0) ? bytes
                                                                                                         : SIZE_MAX;
}

/* The input is so small that its products with the weights have no normal unit: all its levels are zero. */
static bool vanishes(octet_affine affine, const octet_qparams *w)
{
    for (int64_t i = 0; i < w->count; i++)
        if (!isnormal((float)((double)affine.scale * (double)w->scale[i]))) return affine.scale < 1.0f;
    return false;
}

octet_affine octet_dynamic_input(const octet_call *call, octet_range range)
{
    const octet_affine affine = octet_dynamic_affine(call, range);
    return vanishes(affine, call->in[1]->qparams) ? (octet_affine){ 1.0f, 0 } : affine;
}

static void finish(const octet_call *call)
{
    const octet_tensor *const y = call->out[0], *const bias = call->in_count > 2 ? call->in[2] : NULL;
    const int64_t             inner = channel_inner(call), channels = bias ? octet_tensor_count(bias) : 1;
    float *const              out = y->data;
    const int64_t             count = octet_tensor_count(y);
    for (int64_t at = 0; bias && at < count; at += inner) {
        const float b = ((const float *)bias->data)[at / inner % channels];
        for (int64_t i = 0; i < inner; i++) out[at + i] += b;
    }
    octet_activation_apply(out, (size_t)count, &call->node->activation);
}

octet_status octet_dynamic_mac(const octet_call *call, octet_error *err)
{
    parts         p;
    octet_affine  affine;
    octet_qparams levels = { &affine.scale, &affine.zero_point, 1, 0, OCTET_U8, 0, 255 };
    make_parts(&p, call, &levels);
    const size_t in = (size_t)octet_tensor_count(&p.in), out = (size_t)octet_tensor_count(&p.out);
    p.in.data = call->scratch;
    p.call.scratch = (char *)call->scratch + levels_size(call);
    for (size_t i = 0; in && out && i < p.count; i++) {
        const float *const x = (const float *)call->in[0]->data + i * in;
        octet_range        range = { 0 };
        octet_range_observe(&range, x, in);
        affine = octet_dynamic_input(call, range);
        octet_dynamic_levels(call->scratch, x, in, affine, call);
        p.out.data = (float *)call->out[0]->data + i * out;
        OCTET_TRY(call->node->op->forward_integer(&p.call, err));
    }
    finish(call);
    return OCTET_OK;
}
