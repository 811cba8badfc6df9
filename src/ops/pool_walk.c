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

/* The stretch of one tap; false where it lies in the padding for the whole part. */
static bool stretch_of(octet_pool_stretch *stretch, const octet_pool_walk *walk, int64_t tap)
{
    const octet_window *const window = walk->window;
    const int                 last = window->rank - 1;
    const int64_t             column = tap % window->kernel[last] * window->dilation[last] - window->pad[last];
    tap /= window->kernel[last];
    int64_t row = 0, step = 1;
    for (int i = last - 1; i >= 0; i--) {
        const int64_t at = walk->origin[i] + tap % window->kernel[i] * window->dilation[i];
        if (at < 0 || at >= window->in[i]) return false;
        tap /= window->kernel[i];
        row += at * step;
        step *= window->in[i];
    }
    if (!clip(stretch, walk, column)) return false;
    stretch->at += row * window->in[last];
    return true;
}

bool octet_pool_next(octet_pool_stretch *stretch, octet_pool_walk *walk)
{
    while (walk->tap < walk->taps)
        if (stretch_of(stretch, walk, walk->tap++)) return true;
    return false;
}
