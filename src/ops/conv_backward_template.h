/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of conv_backward.c for one type: X and SUM are the same, as conv_planes_template.h wants them. No guard: it
   is meant to be included again. */
#include "ops/conv_planes_template.h"
#include "ops/conv_rows_template.h"

/* Lays the gradients of an image's outputs where the planes have the positions they belong to. */
static void NAME(spread)(const conv_gradient *g, size_t image)
{
    const octet_conv_plan *const plan = &g->plan;
    const size_t                 channels = (size_t)(plan->group * plan->out_channels), row = (size_t)plan->row;
    const X *from = (const X *)g->call->dout[0]->data + image * channels * (size_t)plan->out_size;
    memset(g->dy, 0, channels * plan->length * sizeof(X));
    for (size_t c = 0; c < channels; c++)
        for (size_t r = 0; r < (size_t)plan->rows; r++, from += row)
            memcpy((X *)g->dy + c * plan->length + g->row_start[r], from, row * sizeof(X));
}

/* ---- weights ---- */

/* Eight sums side by side: written as a vector, as no compiler makes one of four such loops. */
typedef X NAME(lanes) __attribute__((vector_size(8 * sizeof(X)), aligned(sizeof(X)), may_alias));

static X NAME(total)(const NAME(lanes) *s)
{
    return (((*s)[0] + (*s)[4]) + ((*s)[2] + (*s)[6])) + (((*s)[1] + (*s)[5]) + ((*s)[3] + (*s)[7]));
}

/* sum[k] += the product of dy with each of four rows. */
static void NAME(dots)(X sum[TAPS], const X *dy, const X *const x[TAPS], size_t n)
{
    const X *const a = x[0], *const b = x[1], *const c = x[2], *const d = x[3];
    NAME(lanes) s = { 0 }, t = { 0 }, u = { 0 }, v = { 0 };
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const NAME(lanes) g = *(const NAME(lanes) *)(dy + i);
        s += g * *(const NAME(lanes) *)(a + i);
        t += g * *(const NAME(lanes) *)(b + i);
        u += g * *(const NAME(lanes) *)(c + i);
        v += g * *(const NAME(lanes) *)(d + i);
    }
    for (; i < n; i++)
        for (size_t k = 0; k < TAPS; k++) sum[k] += dy[i] * x[k][i];
    sum[0] += NAME(total)(&s);
    sum[1] += NAME(total)(&t);
    sum[2] += NAME(total)(&u);
    sum[3] += NAME(total)(&v);
}

/* Positions [p, p + n) of output channel c. */
static void NAME(add_weights)(const conv_gradient *g, size_t c, size_t p, size_t n)
{
    const octet_conv_plan *const plan = &g->plan;
    const size_t                 group = c / (size_t)plan->out_channels, sums = (size_t)plan->sums;
    const X *const               dy = (const X *)g->dy + c * plan->length + p;
    const X *const x = (const X *)g->planes + group * (size_t)plan->in_channels * plan->channel_size + p;
    X *const       dw = (X *)g->call->din[1]->data + c * sums;
    for (size_t k = 0; k < sums; k += TAPS) {
        const size_t count = sums - k < TAPS ? sums - k : TAPS;
        const X     *rows[TAPS];
        X            sum[TAPS];
        for (size_t j = 0; j < TAPS; j++) {
            rows[j] = x + g->offset[j < count ? k + j : k];
            sum[j] = j < count ? dw[k + j] : 0;
        }
        NAME(dots)(sum, dy, rows, n);
        for (size_t j = 0; j < count; j++) dw[k + j] = sum[j];
    }
}

static void NAME(weight_gradient)(const conv_gradient *g, size_t image)
{
    const octet_conv_plan *const plan = &g->plan;
    const size_t                 channels = (size_t)(plan->group * plan->in_channels);
    const size_t                 size = (size_t)octet_product(plan->window.in, plan->window.rank);
    for (size_t c = 0; c < channels; c++)
        NAME(prepare_channel)
        ((X *)g->planes + c * plan->channel_size, plan, g->call->forward->in[0], (image * channels + c) * size);
    for (size_t p = 0; p < plan->length; p += TILE) {
        const size_t n = plan->length - p < TILE ? plan->length - p : TILE;
        for (size_t c = 0; c < (size_t)(plan->group * plan->out_channels); c++) NAME(add_weights)(g, c, p, n);
    }
}

/* ---- input ---- */

static void NAME(turn_weights)(const conv_gradient *g)
{
    const size_t   sums = (size_t)g->plan.sums, channels = (size_t)g->plan.out_channels;
    const X *const w = g->call->forward->in[1]->data;
    for (size_t group = 0; group < (size_t)g->plan.group; group++)
        for (size_t k = 0; k < sums; k++)
            for (size_t c = 0; c < channels; c++)
                ((X *)g->weights)[(group * sums + k) * channels + c] = w[(group * channels + c) * sums + k];
}

/* Adds a channel's planes to the input's gradient they were cut from. */
static void NAME(collect_channel)(X *to, const octet_conv_plan *plan, const X *plane)
{
    const octet_window *const window = &plan->window;
    const int                 last = window->rank - 1;
    const size_t              width = (size_t)window->in[last], stride = (size_t)plan->stride[last];
    const size_t              rows = (size_t)octet_product(window->in, last);
    for (size_t r = 0; r < rows; r++, to += width) {
        size_t at = 0;
        if (!octet_conv_row_target(&at, plan, r)) continue;
        for (size_t phase = 0; phase < stride; phase++) {
            const octet_conv_piece piece = octet_conv_row_piece(plan, window->pad[last], width, phase);
            for (size_t i = 0; i < piece.count; i++) to[piece.first + i * stride] += plane[at + piece.at + i];
        }
    }
}

static void NAME(input_gradient)(const conv_gradient *g, size_t image)
{
    const octet_conv_plan *const plan = &g->plan;
    const size_t sums = (size_t)plan->sums, outputs = (size_t)plan->out_channels, inputs = (size_t)plan->in_channels;
    const size_t size = (size_t)octet_product(plan->window.in, plan->window.rank);
    memset(g->planes, 0, plan->image_size * sizeof(X));
    for (size_t group = 0; group < (size_t)plan->group; group++)
        for (size_t p = 0; p < plan->length; p += TILE) {
            const size_t   n = plan->length - p < TILE ? plan->length - p : TILE;
            X *const       planes = (X *)g->planes + group * inputs * plan->channel_size + p;
            const X *const dy = (const X *)g->dy + group * outputs * plan->length + p;
            for (size_t k = 0; k < sums; k++)
                NAME(add_rows)
                (planes + g->offset[k], n, dy, (const X *)g->weights + (group * sums + k) * outputs, g->channel,
                 outputs);
        }
    const size_t channels = (size_t)plan->group * inputs;
    for (size_t c = 0; c < channels; c++)
        NAME(collect_channel)
        ((X *)g->call->din[0]->data + (image * channels + c) * size, plan,
         (const X *)g->planes + c * plan->channel_size);
}

static void NAME(backward)(const conv_gradient *g)
{
    const bool input = octet_gradient_wanted(g->call, 0), weights = octet_gradient_wanted(g->call, 1);
    if (input) NAME(turn_weights)(g);
    for (size_t image = 0; (input || weights) && image < (size_t)g->plan.batch; image++) {
        NAME(spread)(g, image);
        if (weights) NAME(weight_gradient)(g, image);
        if (input) NAME(input_gradient)(g, image);
    }
}
