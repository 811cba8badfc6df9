/* SPDX-License-Identifier: Apache-2.0 */
/* Windows by the planes of ops/conv.h, as Conv itself finds them; the rows of a matrix are windows as they are. */
#include "quantize/windows.h"

#include "base/channels.h"
#include "ops/mode.h"
#include "passes/pass.h"

#include <string.h>

static void load_i16(int16_t *to, const octet_tensor *x, size_t first, size_t n)
{
    memcpy(to, (const int16_t *)x->data + first, n * sizeof *to);
}

#define X int16_t
#define NAME(x) x##_i16
#include "ops/conv_planes_template.h"
#undef NAME
#undef X

octet_layer_weights octet_layer_weights_of(const octet_node *node)
{
    const octet_channel_shape shape = octet_channels_along(node->inputs[1]->constant, octet_weight_axis(node));
    return (octet_layer_weights){ shape.channels, shape.outer * shape.inner, shape.inner };
}

static octet_status make_sliding(octet_windows *windows, const octet_node *node, const octet_tensor *x,
                                 octet_arena *arena, octet_error *err)
{
    const octet_tensor *const in[]  = { x, node->inputs[1]->constant };
    const octet_call          call  = { .node = node, .attrs = node->attrs, .in = in, .in_count = 2 };
    octet_conv_plan *const    plan  = &windows->plan;
    if (!octet_conv_plan_make(plan, &call, sizeof(int16_t)))
        return octet_fail(err, OCTET_ERR_LIMIT, "'%.80s': the padded input is too large", node->name);
    windows->groups = (size_t)plan->group;
    windows->terms  = (size_t)plan->sums;
    windows->row    = (size_t)plan->row;
    windows->rows   = (size_t)plan->rows;
    windows->room   = plan->image_size;
    windows->slides = true;
    OCTET_TRY(octet_arena_get(&windows->offset, arena, windows->terms, sizeof *windows->offset, err));
    OCTET_TRY(octet_arena_get(&windows->start, arena, windows->rows, sizeof *windows->start, err));
    octet_conv_offsets(windows->offset, plan);
    octet_conv_row_starts(windows->start, plan);
    return OCTET_OK;
}

octet_status octet_windows_make(octet_windows *windows, const octet_node *node, const octet_tensor *x,
                                octet_arena *arena, octet_error *err)
{
    *windows = (octet_windows){ .groups = 1 };
    if (octet_node_is(node, "Conv")) OCTET_TRY(make_sliding(windows, node, x, arena, err));
    else {
        windows->terms = octet_layer_weights_of(node).terms;
        windows->rows  = 1;
        windows->room  = (size_t)octet_tensor_count(x);
        windows->row   = windows->room / windows->terms;
    }
    windows->pieces = windows->rows * ((windows->row + OCTET_WINDOW_PIECE - 1) / OCTET_WINDOW_PIECE);
    return OCTET_OK;
}

void octet_windows_fill(int16_t *spread, const octet_windows *windows, const octet_tensor *x)
{
    if (!windows->slides) {
        memcpy(spread, x->data, windows->room * sizeof *spread);
        return;
    }
    const size_t channels = (size_t)x->dims[1], size = (size_t)octet_tensor_count(x) / channels;
    for (size_t c = 0; c < channels; c++)
        prepare_channel_i16(spread + c * windows->plan.channel_size, &windows->plan, x, c * size);
}

size_t octet_windows_cut(int16_t *to, size_t step, const octet_windows *windows, const int16_t *spread,
                         const octet_window_cut *cut)
{
    const size_t per_row = windows->pieces / windows->rows, from = cut->piece % per_row * OCTET_WINDOW_PIECE;
    const size_t left = windows->row - from, count = left < OCTET_WINDOW_PIECE ? left : OCTET_WINDOW_PIECE;
    if (windows->slides) {
        const int16_t *const at = spread + cut->group * (size_t)windows->plan.in_channels * windows->plan.channel_size +
                                  windows->start[cut->piece / per_row] + from;
        for (size_t i = 0; i < cut->terms; i++)
            memcpy(to + i * step, at + windows->offset[cut->first + i], count * sizeof *to);
        return count;
    }
    for (size_t w = 0; w < count; w++)
        for (size_t i = 0; i < cut->terms; i++)
            to[i * step + w] = spread[(from + w) * windows->terms + cut->first + i];
    return count;
}
