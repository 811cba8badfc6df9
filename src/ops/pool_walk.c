/* SPDX-License-Identifier: Apache-2.0 */
/* The walk of pool.h. */
#include "ops/pool.h"

void octet_pool_begin(octet_pool_walk *walk, const octet_window *window, octet_pool_part part)
{
    *walk = (octet_pool_walk){ .window = window, .part = part, .taps = octet_product(window->kernel, window->rank) };
    size_t row = part.row;
    for (int i = window->rank - 2; i >= 0; i--) {
        walk->origin[i] = (int64_t)(row % (size_t)window->out[i]) * window->stride[i] - window->pad[i];
        row /= (size_t)window->out[i];
    }
}

/* The outputs of the part whose tap lies inside the input's row; offset: where output 0's tap lies. */
static bool clip(octet_pool_stretch *stretch, const octet_pool_walk *walk, int64_t offset)
{
    const octet_window *const window = walk->window;
    const int                 last = window->rank - 1;
    const int64_t             stride = window->stride[last], in = window->in[last];
    const int64_t             first = (int64_t)walk->part.first, end = first + (int64_t)walk->part.count;
    int64_t                   from = offset < 0 ? (-offset + stride - 1) / stride : 0;
    int64_t                   to = offset < in ? (in - 1 - offset) / stride + 1 : 0;
    if (from < first) from = first;
    if (to > end) to = end;
    if (from >= to) return false;
    stretch->from = (size_t)(from - first);
    stretch->n = (size_t)(to - from);
    stretch->step = stride;
    stretch->at = offset + from * stride;
    return true;
}

/* Where the input row lies that a row of the window's taps reads; false: in the padding. */
static bool row_of(int64_t *row, const octet_pool_walk *walk, int64_t taps)
{
    const octet_window *const window = walk->window;
    int64_t                   step   = 1;
    *row = 0;
    for (int i = window->rank - 2; i >= 0; i--) {
        const int64_t at = walk->origin[i] + taps % window->kernel[i] * window->dilation[i];
        if (at < 0 || at >= window->in[i]) return false;
        taps /= window->kernel[i];
        *row += at * step;
        step *= window->in[i];
    }
    return true;
}

bool octet_pool_next(octet_pool_stretch *stretch, octet_pool_walk *walk)
{
    const octet_window *const window = walk->window;
    const int                 last   = window->rank - 1;
    const int64_t             width  = window->kernel[last];
    while (walk->tap < walk->taps) {
        const int64_t tap = walk->tap;
        int64_t       row;
        if (!row_of(&row, walk, tap / width)) {
            walk->tap = (tap / width + 1) * width;
            continue;
        }
        walk->tap++;
        if (!clip(stretch, walk, tap % width * window->dilation[last] - window->pad[last])) continue;
        stretch->at += row * window->in[last];
        return true;
    }
    return false;
}
