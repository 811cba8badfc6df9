/* SPDX-License-Identifier: Apache-2.0 */
/* STFT as a Conv, whose weights are the window times cosines and sines: a frame step is a stride, and every rule and
   engine of Conv is there. Step, window and length must be known. SwiGLU as Swish and Mul. */
#include "base/math.h"
#include "graph/attrs.h"
#include "onnx/expand.h"
#include "ops/check.h"
#include "ops/shape.h"
#include "ops/wide.h"

#include <string.h>

/* Numbers of the weights at most: a frame of some 8000. */
enum { MOST_WEIGHTS = 1 << 27 };

typedef struct transform {
    octet_expansion *e;
    octet_tensor     window; /* data NULL: none */
    octet_dtype      dtype;
    int64_t          parts, frame, kept, step;
} transform;

/* The tensor of an input with its value. */
static octet_tensor known_input(octet_expansion *e, int slot)
{
    octet_tensor known = { 0 };
    if (e->status == OCTET_OK)
        e->status = octet_graph_known(&known, e->graph, e->node->inputs[slot], e->arena, e->err);
    if (!known.data) octet_expand_fail(e, "frame_step, window and frame_length must be known");
    return known;
}

static bool has_input(const octet_expansion *e, int slot)
{
    return slot < e->node->input_count && e->node->inputs[slot];
}

static int64_t known_number(octet_expansion *e, int slot)
{
    const octet_tensor t = known_input(e, slot);
    return t.data ? octet_int_at(&t, 0) : 1;
}

static void read(transform *t)
{
    octet_expansion *const   e = t->e;
    const octet_value *const x = e->node->inputs[0];
    t->dtype = x->dtype;
    t->parts = x->dims[2];
    t->step = known_number(e, 1);
    if (has_input(e, 2)) t->window = known_input(e, 2);
    t->frame = has_input(e, 3) ? known_number(e, 3) : has_input(e, 2) ? t->window.dims[0] : x->dims[1];
    int64_t onesided;
    memcpy(&onesided, octet_attr_get(e->node->attrs, octet_attr_find(e->node->op, "onesided")), sizeof onesided);
    t->kept = onesided ? t->frame / 2 + 1 : t->frame;
    if (t->frame < 1 || t->parts < 1) octet_expand_fail(e, "the length of a frame must be known");
    if (t->frame > MOST_WEIGHTS || 2 * t->kept * t->parts > MOST_WEIGHTS / (t->frame > 0 ? t->frame : 1))
        octet_expand_fail(e, "frames are too long");
}

/* Entry i of the frame, its part from, in part to of frequency k. */
static double weight_at(const transform *t, int64_t k, int64_t to, int64_t from, int64_t i)
{
    const double turn = 2.0 * 3.14159265358979323846 * (double)(i * k % t->frame) / (double)t->frame;
    octet_wide   window = {.f = 1};
    if (t->window.data) octet_wide_load(&window, t->window.data, t->window.dtype, i, 1, 1);
    return window.f * (to == from ? octet_cos(turn) : to == 0 ? octet_sin(turn) : -octet_sin(turn));
}

/* [2 kept, parts, frame] */
static octet_value *weights_of(transform *t)
{
    octet_expansion *const e = t->e;
    octet_tensor           w = {.dtype = t->dtype, .rank = 3, .dims = {2 * t->kept, t->parts, t->frame}};
    const size_t count = (size_t)octet_tensor_count(&w);
    if (e->status == OCTET_OK)
        e->status = octet_arena_get(&w.data, e->arena, count, octet_dtype_size(w.dtype), e->err);
    for (int64_t at = 0; e->status == OCTET_OK && at < (int64_t)count; at++) {
        const int64_t    row = at / t->frame / t->parts, from = at / t->frame % t->parts;
        const octet_wide value = {.f = weight_at(t, row / 2, row % 2, from, at % t->frame)};
        octet_wide_store(w.data, w.dtype, at, &value, 1);
    }
    return octet_expand_constant(e, &w);
}

void octet_expand_stft(octet_expansion *e)
{
    transform t = {.e = e};
    read(&t);
    octet_value *const weights = weights_of(&t);
    octet_value *const signal = octet_expand_transpose(e, e->node->inputs[0], 3, (int64_t[]){0, 2, 1});
    octet_value *const sums = OCTET_EXPAND(e, "Conv", signal, weights);
    octet_expand_ints(e, "strides", 1, &t.step);
    octet_value *const turned = octet_expand_transpose(e, sums, 3, (int64_t[]){0, 2, 1});
    octet_expand_result(e, 0, octet_expand_reshape(e, turned, 4, (int64_t[]){0, 0, t.kept, 2}));
}

void octet_expand_swi_glu(octet_expansion *e)
{
    octet_value *const gate = OCTET_EXPAND(e, "Swish", e->node->inputs[0]);
    float              alpha;
    memcpy(&alpha, octet_attr_get(e->node->attrs, octet_attr_find(e->node->op, "alpha")), sizeof alpha);
    octet_expand_float(e, "alpha", alpha);
    octet_value *const y = OCTET_EXPAND(e, "Mul", gate, e->node->inputs[1]);
    octet_expand_result(e, 0, y);
}
