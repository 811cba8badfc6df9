/* SPDX-License-Identifier: Apache-2.0 */
/* Which channels of a network can be scaled by factors of their own, and which only together.

   Scaling the channels of a value by k > 0 changes no output if every producer makes k times as much and every reader
   divides by k. A Conv or Gemm does either in its weights, for each of its channels alone. A positively homogeneous
   operator, f(k x) = k f(x) - Relu, LeakyRelu, the pools, a resize, zeros around an image - passes k on as it is; an
   Add or Sub wants one k for both operands and its result; a Transpose, Slice or Concat takes every element's k along.
   So elements carry labels, and operators join labels; whatever an operator outside this list reads or makes has label
   0, which keeps its scale, as have the network's inputs and outputs. */
#include "quantize/equalize.h"

#include "base/channels.h"
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/mode.h"
#include "passes/pass.h"

#include <math.h>
#include <string.h>

/* ---- joining ---- */

int octet_ties_root(const octet_ties *ties, int label)
{
    while (ties->parent[label] != label) label = ties->parent[label];
    return label;
}

static int find(octet_ties *t, int label)
{
    while (t->parent[label] != label) label = t->parent[label] = t->parent[t->parent[label]];
    return label;
}

static void join(octet_ties *t, int a, int b)
{
    const int x = find(t, a), y = find(t, b);
    t->parent[x > y ? x : y] = x > y ? y : x;
}

static int label_of(const octet_labels *labels, int64_t element)
{
    return labels->at[element / labels->inner % labels->channels];
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        const int64_t rest = a % b;
        a                  = b;
        b                  = rest;
    }
    return a;
}

static void keep_labels(octet_ties *t, const octet_labels *labels)
{
    for (int64_t c = 0; c < labels->channels; c++) join(t, labels->at[c], 0);
}

/* Elements of equal number get one label. */
static void join_elements(octet_ties *t, const octet_labels *a, const octet_labels *b)
{
    const int64_t each = a->channels * a->inner, other = b->channels * b->inner, all = each > other ? each : other;
    if (all % each || all % other) { /* no period of both: they cannot be told apart by channel */
        keep_labels(t, a);
        keep_labels(t, b);
        return;
    }
    const int64_t step = common_divisor(a->inner, b->inner);
    for (int64_t e = 0; e < all; e += step) join(t, label_of(a, e), label_of(b, e));
}

/* ---- labels of values ---- */

static octet_labels *labels_at(const octet_ties *t, const octet_value *value) { return &t->values[value->index]; }

static bool is_labelled(const octet_value *value)
{
    if (!value || value->dtype != OCTET_F32 || value->constant || !value->has_shape) return false;
    for (int i = 0; i < value->rank; i++)
        if (value->dims[i] == 0) return false;
    return true;
}

static octet_status new_labels(int **labels, octet_ties *t, int64_t count, octet_error *err)
{
    OCTET_TRY(octet_arena_get(labels, t->arena, (size_t)count, sizeof **labels, err));
    for (int64_t c = 0; c < count; c++) {
        if (!octet_arena_grow(t->arena, &t->parent, t->label_count, &t->label_capacity, sizeof *t->parent))
            return octet_fail_memory(err);
        t->parent[t->label_count] = (int)t->label_count;
        (*labels)[c]              = (int)t->label_count++;
    }
    return OCTET_OK;
}

/* All of a value's elements keep their scale. */
static void keep(octet_ties *t, const octet_value *value)
{
    octet_labels *const labels = is_labelled(value) ? labels_at(t, value) : NULL;
    if (!labels) return;
    if (labels->at) keep_labels(t, labels);
    else *labels = (octet_labels){ 1, 1, t->kept };
}

static void keep_all(octet_ties *t, const octet_node *node)
{
    if (node->op->flags & OCTET_OP_SHAPE) return; /* reads no element */
    for (int i = 0; i < node->input_count; i++) keep(t, node->inputs[i]);
    for (int i = 0; i < node->output_count; i++) keep(t, node->outputs[i]);
}

/* Channels of a value along an axis, one label each: elements of one channel are joined. */
static octet_status channels_along(octet_labels *channels, octet_ties *t, const octet_value *value, int axis,
                                   octet_error *err)
{
    const octet_tensor        tensor = octet_value_tensor(value, 1);
    const octet_channel_shape shape  = octet_channels_along(&tensor, axis);
    const octet_labels *const labels = labels_at(t, value);
    *channels                        = (octet_labels){ (int64_t)shape.channels, (int64_t)shape.inner, NULL };
    OCTET_TRY(octet_arena_get(&channels->at, t->arena, shape.channels, sizeof *channels->at, err));
    for (int64_t c = 0; c < channels->channels; c++) channels->at[c] = label_of(labels, c * channels->inner);
    join_elements(t, labels, channels);
    return OCTET_OK;
}

/* ---- operators ---- */

/* Every output element is a function of the input's element of the same number. */
static octet_status pass(octet_ties *t, const octet_node *node, octet_error *err)
{
    (void)err;
    *labels_at(t, node->outputs[0]) = *labels_at(t, node->inputs[0]);
    return OCTET_OK;
}

/* Every channel is worked on alone, along other axes than 0 and 1. */
static octet_status each_channel(octet_ties *t, const octet_node *node, octet_error *err)
{
    octet_labels *const out    = labels_at(t, node->outputs[0]);
    const octet_tensor  tensor = octet_value_tensor(node->outputs[0], 1);
    OCTET_TRY(channels_along(out, t, node->inputs[0], 1, err));
    out->inner = octet_tensor_count(&tensor) / tensor.dims[0] / out->channels;
    return OCTET_OK;
}

static bool same_dims(const octet_value *a, const octet_value *b, int count)
{
    return a->rank >= count && b->rank >= count && !memcmp(a->dims, b->dims, (size_t)count * sizeof *a->dims);
}

static octet_status mean(octet_ties *t, const octet_node *node, octet_error *err)
{
    octet_ints axes = { 0 };
    const bool listed = node->input_count > 1 && node->inputs[1] && node->inputs[1]->constant;
    bool       spatial = listed && octet_list_of(&axes, node->inputs[1]->constant) && axes.count > 0;
    for (int i = 0; i < axes.count; i++)
        spatial = spatial && (axes.at[i] < 0 ? axes.at[i] + node->inputs[0]->rank : axes.at[i]) > 1;
    if (spatial) return each_channel(t, node, err);
    keep_all(t, node);
    return OCTET_OK;
}

/* Linear in its input as long as nothing comes from outside the image. */
static octet_status resize(octet_ties *t, const octet_node *node, octet_error *err)
{
    const octet_resize_attrs *const a = node->attrs;
    if (same_dims(node->inputs[0], node->outputs[0], 2) && a->extrapolation_value == 0)
        return each_channel(t, node, err);
    keep_all(t, node);
    return OCTET_OK;
}

static octet_status pad(octet_ties *t, const octet_node *node, octet_error *err)
{
    const octet_value *const  pads  = node->input_count > 1 ? node->inputs[1] : NULL;
    const octet_value *const  value = node->input_count > 2 ? node->inputs[2] : NULL;
    const float *const        zero  = octet_constant_floats(value);
    const int                 rank  = node->inputs[0]->rank;
    bool                      plain = rank > 1 && (!value || (zero && *zero == 0)) && node->input_count < 4;
    const int64_t *const      at    = plain && octet_value_is_constant(pads) && pads->constant->dtype == OCTET_I64
                                          ? pads->constant->data
                                          : NULL;
    plain = at && octet_tensor_count(pads->constant) == 2 * (int64_t)rank;
    for (int i = 0; i < 2; i++) plain = plain && at[i] == 0 && at[rank + i] == 0;
    if (plain) return each_channel(t, node, err);
    keep_all(t, node);
    return OCTET_OK;
}

static octet_status sum(octet_ties *t, const octet_node *node, octet_error *err)
{
    const octet_value *const a = node->inputs[0], *const b = node->inputs[1];
    if (!is_labelled(a) || !is_labelled(b) || a->rank != b->rank || !same_dims(a, b, a->rank)) {
        keep_all(t, node);
        return OCTET_OK;
    }
    join_elements(t, labels_at(t, a), labels_at(t, b));
    return pass(t, node, err);
}

/* x * constant, x / constant. */
static octet_status by_constant(octet_ties *t, const octet_node *node, octet_error *err)
{
    const octet_value *const a = node->inputs[0], *const b = node->inputs[1], *const out = node->outputs[0];
    const bool first = is_labelled(a) && octet_constant_floats(b) && a->rank == out->rank && same_dims(a, out, a->rank);
    if (first) return pass(t, node, err);
    keep_all(t, node);
    return OCTET_OK;
}

/* ---- what only moves elements: its own definition moves their labels ---- */

static octet_status label_tensor(octet_tensor *tensor, octet_ties *t, const octet_value *value, octet_error *err)
{
    *tensor = octet_value_tensor(value, 1);
    if (value->dtype != OCTET_F32) return OCTET_OK; /* a setting */
    const int64_t count = octet_tensor_count(tensor);
    int32_t      *labels;
    OCTET_TRY(octet_arena_get(&labels, t->arena, (size_t)count, sizeof *labels, err));
    for (int64_t e = 0; e < count && !value->constant; e++) labels[e] = label_of(labels_at(t, value), e);
    tensor->dtype = OCTET_I32;
    tensor->data  = labels;
    return OCTET_OK;
}

/* The shortest form with runs of equal labels: a period that is a product of the last dimensions. */
static octet_labels labels_from(const octet_tensor *tensor)
{
    const int32_t *const at     = tensor->data;
    const int64_t        count  = octet_tensor_count(tensor);
    int64_t              period = 1, inner = 0;
    for (int axis = tensor->rank - 1; axis >= 0; axis--) {
        int64_t e = period;
        while (e < count && at[e] == at[e - period]) e++;
        if (e >= count) break;
        period *= tensor->dims[axis];
    }
    for (int64_t e = 1; e < period; e++)
        if (at[e] != at[e - 1]) inner = common_divisor(e, inner);
    inner = common_divisor(period, inner);
    return (octet_labels){ period / inner, inner, NULL };
}

static octet_status set_labels(octet_ties *t, const octet_value *value, const octet_tensor *tensor, octet_error *err)
{
    const int32_t *const at     = tensor->data;
    octet_labels *const  labels = labels_at(t, value);
    *labels                     = labels_from(tensor);
    OCTET_TRY(octet_arena_get(&labels->at, t->arena, (size_t)labels->channels, sizeof *labels->at, err));
    for (int64_t c = 0; c < labels->channels; c++) labels->at[c] = at[c * labels->inner];
    return OCTET_OK;
}

static bool settings_known(const octet_node *node)
{
    for (int i = 0; i < node->input_count; i++) {
        const octet_value *const in = node->inputs[i];
        if (in && !in->constant && !is_labelled(in)) return false;
    }
    return true;
}

static octet_status move_labels(octet_ties *t, const octet_node *node, octet_error *err)
{
    octet_tensor        *tensors;
    const octet_tensor **in;
    octet_tensor       **out;
    const size_t         count = (size_t)(node->input_count + node->output_count);
    OCTET_TRY(octet_arena_get(&tensors, t->arena, count, sizeof *tensors, err));
    OCTET_TRY(octet_arena_get(&in, t->arena, count, sizeof *in, err));
    OCTET_TRY(octet_arena_get(&out, t->arena, count, sizeof *out, err));
    for (int i = 0; i < node->input_count; i++) {
        if (!node->inputs[i]) continue;
        OCTET_TRY(label_tensor(&tensors[i], t, node->inputs[i], err));
        in[i] = &tensors[i];
    }
    for (int i = 0; i < node->output_count; i++) {
        if (!node->outputs[i]) continue;
        out[i]  = &tensors[node->input_count + i];
        *out[i] = octet_value_tensor(node->outputs[i], 1);
        out[i]->dtype = OCTET_I32;
        OCTET_TRY(octet_arena_get(&out[i]->data, t->arena, (size_t)octet_tensor_count(out[i]), sizeof(int32_t), err));
    }
    octet_call call = { .node = node, .attrs = node->attrs, .in = in, .out = out, .in_count = node->input_count,
                        .out_count = node->output_count, .arena = t->arena, .threads = 1 };
    const size_t scratch = node->op->scratch_size ? node->op->scratch_size(&call, false) : 0;
    OCTET_TRY(octet_arena_get(&call.scratch, t->arena, scratch, 1, err));
    OCTET_TRY(node->op->forward(&call, err));
    for (int i = 0; i < node->output_count; i++)
        if (out[i]) OCTET_TRY(set_labels(t, node->outputs[i], out[i], err));
    return OCTET_OK;
}

static octet_status move(octet_ties *t, const octet_node *node, octet_error *err)
{
    if (settings_known(node)) return move_labels(t, node, err);
    keep_all(t, node);
    return OCTET_OK;
}

/* ---- layers ---- */

static octet_status layer(octet_ties *t, const octet_node *node, octet_error *err)
{
    octet_layer *const l  = &t->layers[t->layer_count];
    octet_labels       in = { 0 };
    const int          axis = octet_channel_axis(node, node->inputs[0]->rank);
    if (!is_labelled(node->inputs[0]) || !octet_layer_of(l, (octet_node *)(uintptr_t)node)) {
        keep_all(t, node);
        return OCTET_OK;
    }
    octet_labels *const out    = labels_at(t, node->outputs[0]);
    const octet_tensor  result = octet_value_tensor(node->outputs[0], 1);
    OCTET_TRY(channels_along(&in, t, node->inputs[0], axis, err));
    out->channels = l->outputs;
    out->inner    = (int64_t)octet_channels_along(&result, axis).inner;
    OCTET_TRY(new_labels(&out->at, t, l->outputs, err));
    t->inputs[t->layer_count]    = in.at;
    t->outputs[t->layer_count++] = out->at;
    return OCTET_OK;
}

/* Layers of one weight go on sharing it: their channels are scaled alike. */
static void join_twins(octet_ties *t)
{
    for (size_t a = 0; a < t->layer_count; a++)
        for (size_t b = 0; b < a; b++) {
            const octet_layer *const x = &t->layers[a], *const y = &t->layers[b];
            if (x->node->inputs[1] != y->node->inputs[1]) continue;
            const bool alike = x->outputs == y->outputs && x->group == y->group && x->inputs_first == y->inputs_first;
            for (int64_t o = 0; o < x->outputs; o++) join(t, t->outputs[a][o], alike ? t->outputs[b][o] : 0);
            for (int64_t c = 0; c < x->inputs; c++) join(t, t->inputs[a][c], alike ? t->inputs[b][c] : 0);
            if (alike) continue;
            for (int64_t o = 0; o < y->outputs; o++) join(t, t->outputs[b][o], 0);
            for (int64_t c = 0; c < y->inputs; c++) join(t, t->inputs[b][c], 0);
        }
}

/* ---- clamps ---- */

/* Whether one coordinate of the value, alone, tells the label: bounds are written as a constant along that axis. */
int octet_labels_axis(const octet_labels *labels, const octet_value *value)
{
    int64_t inner = 1;
    for (int axis = value->rank - 1; axis >= 0; inner *= value->dims[axis--])
        if (inner == labels->inner && value->dims[axis] == labels->channels) return axis;
    return -1;
}

/* A clamp at 0 or nowhere from below; from above, its bound is scaled as the channel is. */
static octet_status clamp(octet_ties *t, const octet_node *node, float lo, float hi)
{
    const octet_value *const out = node->outputs[0];
    if (!is_labelled(out)) return OCTET_OK; /* what it reads keeps its scale already */
    const bool apart = octet_labels_axis(labels_at(t, out), out) >= 0;
    if ((lo != 0 && lo != -INFINITY) || !(hi > 0) || (hi < INFINITY && !apart)) keep(t, out);
    else if (hi < INFINITY) t->bounds[t->bound_count++] = (octet_bound){ (octet_node *)(uintptr_t)node, hi };
    return OCTET_OK;
}

static octet_status clip(octet_ties *t, const octet_node *node, octet_error *err)
{
    float bounds[2] = { -INFINITY, INFINITY };
    for (int i = 1; i < node->input_count && i < 3; i++) {
        if (!node->inputs[i]) continue;
        const float *const bound = octet_constant_floats(node->inputs[i]);
        if (!bound) {
            keep_all(t, node);
            return OCTET_OK;
        }
        bounds[i - 1] = *bound;
    }
    OCTET_TRY(pass(t, node, err));
    return clamp(t, node, bounds[0], bounds[1]);
}

/* ---- the whole ---- */

static const struct rule {
    const char *op;
    octet_status (*tie)(octet_ties *t, const octet_node *node, octet_error *err);
} rules[] = {
    { "Add", sum },
    { "AveragePool", each_channel },
    { "Clip", clip },
    { "Concat", move },
    { "Conv", layer },
    { "DepthToSpace", move },
    { "Div", by_constant },
    { "Gather", move },
    { "Gemm", layer },
    { "GlobalAveragePool", each_channel },
    { "GlobalMaxPool", each_channel },
    { "LeakyRelu", pass },
    { "MaxPool", each_channel },
    { "Mul", by_constant },
    { "Pad", pad },
    { "ReduceMean", mean },
    { "Relu", pass },
    { "Resize", resize },
    { "Slice", move },
    { "Split", move },
    { "Sub", sum },
    { "Transpose", move },
};

static octet_status visit(octet_ties *t, const octet_node *node, octet_error *err)
{
    const struct rule *rule = NULL;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (octet_node_is(node, rules[i].op)) rule = &rules[i];
    const bool known = node->input_count > 0 && is_labelled(node->inputs[0]) && node->output_count > 0 &&
                       is_labelled(node->outputs[0]) && !node->batch_norm;
    if (known && rule) OCTET_TRY(rule->tie(t, node, err));
    else if (known && node->op->flags & OCTET_OP_VIEW) OCTET_TRY(pass(t, node, err));
    else keep_all(t, node);
    return node->activation.on ? clamp(t, node, node->activation.lo, node->activation.hi) : OCTET_OK;
}

octet_status octet_ties_find(octet_ties *ties, octet_graph *graph, octet_arena *arena, octet_error *err)
{
    const size_t nodes = (size_t)graph->node_count;
    *ties              = (octet_ties){ .graph = graph, .arena = arena };
    OCTET_TRY(octet_arena_get(&ties->values, arena, (size_t)graph->value_count, sizeof *ties->values, err));
    OCTET_TRY(octet_arena_get(&ties->layers, arena, nodes, sizeof *ties->layers, err));
    OCTET_TRY(octet_arena_get(&ties->inputs, arena, nodes, sizeof *ties->inputs, err));
    OCTET_TRY(octet_arena_get(&ties->outputs, arena, nodes, sizeof *ties->outputs, err));
    OCTET_TRY(octet_arena_get(&ties->bounds, arena, nodes, sizeof *ties->bounds, err));
    OCTET_TRY(new_labels(&ties->kept, ties, 1, err));
    for (size_t i = 0; i < graph->input_count; i++) keep(ties, graph->inputs[i]);
    for (const octet_node *n = graph->first; n; n = n->next) OCTET_TRY(visit(ties, n, err));
    for (size_t i = 0; i < graph->output_count; i++) keep(ties, graph->outputs[i]);
    join_twins(ties);
    return OCTET_OK;
}
