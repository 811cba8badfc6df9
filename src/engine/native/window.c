/* SPDX-License-Identifier: Apache-2.0 */
/* Window geometry for the native engine (window.h). */
#include "engine/native/window.h"

#include "ops/window.h"

#include <string.h>

/* How far the last window reaches past the end. */
static size_t reach_after(const octet_axis_window *w)
{
    const int64_t past = octet_axis_overhang(w);
    return past > 0 ? (size_t)past : 0;
}

static octet_axis_window axis_of(const octet_window *window, int i)
{
    return (octet_axis_window){ .in = window->in[i], .out = window->out[i], .kernel = window->kernel[i],
                                .stride = window->stride[i], .dilation = window->dilation[i], .pad = window->pad[i],
                                .pad_end = window->pad_end[i] };
}

bool octet_window2_make(octet_window2 *window, const octet_node *node, const octet_tensor *x, const octet_tensor *w)
{
    static const octet_window_attrs plain = { .auto_pad = "NOTSET" };
    const bool                      conv  = node->op->quant == OCTET_QUANT_MAC;
    const bool global = node->op->attrs_size != sizeof(octet_window_attrs); /* GlobalAveragePool and its like */
    octet_window found;
    if (x->rank < 3 || x->rank > 4) return false;
    const octet_call call = { .node = node, .attrs = global ? &plain : node->attrs, .in = &x, .in_count = 1 };
    if (octet_window_make(&found, &call, conv ? w->dims + 2 : global ? x->dims + 2 : NULL, NULL) != OCTET_OK)
        return false;
    window->y = (octet_axis_window){ 1, 1, 1, 1, 1, 0, 0 };
    if (found.rank == 2) window->y = axis_of(&found, 0);
    window->x     = axis_of(&found, found.rank - 1);
    window->reach = (octet_border){ .top = (size_t)window->y.pad, .left = (size_t)window->x.pad,
                                    .bottom = reach_after(&window->y), .right = reach_after(&window->x) };
    return true;
}

bool octet_window2_of(octet_window2 *window, const octet_plan *plan, const octet_node *node)
{
    return octet_window2_make(window, node, &plan->shapes[node->inputs[0]->index],
                              node->input_count > 1 ? &plan->shapes[node->inputs[1]->index] : NULL);
}

bool octet_window2_is_far(const octet_window2 *window)
{
    enum { FAR = 8 };
    const octet_border *const reach = &window->reach;
    return reach->top > FAR || reach->left > FAR || reach->bottom > FAR || reach->right > FAR;
}

/* Few channels of a wide image leave products of many channels half empty; four times as many do less. */
static bool is_worth_folding(const octet_plan *plan, const octet_tensor *x, const octet_window2 *w)
{
    enum { WIDE = 28, FAR = 7, MOST_WIDTH = 2000 };
    const int64_t channels = x->dims[1];
    return plan->kernels->conv->step > 4 && x->rank == 4 && (channels == 1 || channels == 3 || channels == 4) &&
           w->y.stride == 2 && w->x.stride == 2 && w->y.dilation == 1 && w->x.dilation == 1 && w->x.out >= WIDE &&
           w->x.kernel > 1 && w->x.kernel <= FAR && w->y.kernel <= FAR && w->x.in <= MOST_WIDTH &&
           !octet_window2_is_far(w); /* a row with its border fits fold_row's (pixels.c) */
}

bool octet_window2_folds(octet_fold *fold, size_t extent[2], const octet_plan *plan, const octet_value *value)
{
    const octet_node *const reader = value->use_count == 1 ? value->uses[0].node : NULL;
    octet_window2           w;
    if (plan->keep_values || plan->tight || !value->is_input || value->is_output || !reader ||
        strcmp(reader->op->name, "Conv") != 0 || value->uses[0].slot != 0 ||
        octet_node_compute_mode(plan->graph, reader) == OCTET_MODE_REAL || !octet_window2_of(&w, plan, reader))
        return false;
    const octet_tensor *const x = &plan->shapes[value->index], *const weights = &plan->shapes[reader->inputs[1]->index];
    if (!is_worth_folding(plan, x, &w) || weights->dims[1] != x->dims[1]) return false;
    *fold = (octet_fold){ .unit = x->dims[1] == 1 ? 1 : 4, .height = (size_t)w.y.in, .width = (size_t)w.x.in,
                          .channels = (size_t)x->dims[1], .top = (size_t)w.y.pad, .left = (size_t)w.x.pad };
    extent[0] = (size_t)(w.y.out + (w.y.kernel + 1) / 2 - 1);
    extent[1] = (size_t)(w.x.out + (w.x.kernel + 1) / 2 - 1);
    return true;
}

octet_conv_way octet_conv_way_of(const octet_plan *plan, const octet_node *node, const octet_window2 *window)
{
    enum { WIDE = 28 };
    const octet_tensor *const x = &plan->shapes[node->inputs[0]->index], *const w =
                                                                             &plan->shapes[node->inputs[1]->index];
    if (octet_window2_is_far(window)) return OCTET_CONV_PACKED;
    if (w->dims[1] == 1 && x->dims[1] > 1 && w->dims[0] == x->dims[1]) return OCTET_CONV_DEPTHWISE;
    if (window->y.stride == 1 && window->x.stride == 1) return OCTET_CONV_DIRECT;
    return window->x.out >= WIDE ? OCTET_CONV_BY_ROW : OCTET_CONV_PACKED;
}
