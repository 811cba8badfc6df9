/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of conv_transpose_run.c for one pair of types: X (prepared elements), SUM (sums) and NAME(x). No guard: it
   is meant to be included again. */
#include "ops/conv_rows_template.h"

/* Lays an input channel where the planes have the positions it belongs to. */
static void NAME(spread)(void *context, size_t i)
{
    const transpose_run *const   run = context;
    const octet_conv_plan *const plan = &run->plan;
    const size_t                 channels = (size_t)(plan->group * plan->out_channels), row = (size_t)plan->row;
    const size_t                 first = (run->first_image * channels + i) * (size_t)plan->out_size;
    X *const                     to = (X *)run->spread + i * plan->length;
    memset(to, 0, plan->length * sizeof *to);
    for (size_t r = 0; r < (size_t)plan->rows; r++)
        NAME(load)(to + run->row_start[r], run->call->in[0], first + r * row, row);
}

/* The weights of output channel c: for each tap, those of all the inputs. */
static void NAME(turn)(void *context, size_t c)
{
    enum { CHUNK = 64 };
    const transpose_run *const   run = context;
    const octet_conv_plan *const plan = &run->plan;
    const size_t outputs = (size_t)plan->in_channels, inputs = (size_t)plan->out_channels, taps = (size_t)plan->taps;
    const size_t group = c / outputs, own = c % outputs;
    X *const     to = (X *)run->weights + c * taps * inputs;
    for (size_t i = 0; i < inputs; i++)
        for (size_t t = 0; t < taps; t += CHUNK) {
            X            row[CHUNK];
            const size_t n = taps - t < CHUNK ? taps - t : CHUNK;
            NAME(load_channel)
            (row, run->call->in[1], ((group * inputs + i) * outputs + own) * taps + t, n, (int64_t)own);
            for (size_t k = 0; k < n; k++) to[(t + k) * inputs + i] = row[k];
        }
}

/* Sums of n elements of output row r of a plane, from `from` on. */
static void NAME(gather)(SUM *sum, const octet_conv_plan *plan, const SUM *plane, size_t r, size_t from, size_t n)
{
    const int    last = plan->window.rank - 1;
    const size_t stride = (size_t)plan->stride[last];
    size_t       at = 0;
    memset(sum, 0, n * sizeof *sum);
    if (!octet_conv_row_target(&at, plan, r)) return;
    for (size_t phase = 0; phase < stride; phase++) {
        const octet_conv_piece piece = octet_conv_row_piece(plan, plan->window.pad[last] + (int64_t)from, n, phase);
        for (size_t i = 0; i < piece.count; i++) sum[piece.first + i * stride] = plane[at + piece.at + i];
    }
}

/* One output channel of one image. */
static void NAME(compute)(void *context, size_t i)
{
    const transpose_run *const   run = context;
    const octet_conv_plan *const plan = &run->plan;
    const size_t outputs = (size_t)plan->in_channels, inputs = (size_t)plan->out_channels, taps = (size_t)plan->taps;
    const size_t channels = (size_t)plan->group * outputs, image = i / channels, c = i % channels;
    const X *const x = (const X *)run->spread + (image * (size_t)plan->group + c / outputs) * inputs * plan->length;
    const X *const weights = (const X *)run->weights + c * taps * inputs;
    SUM *const     plane = (SUM *)run->planes + i * plan->channel_size;
    memset(plane, 0, plan->channel_size * sizeof *plane);
    for (size_t p = 0; p < plan->length; p += TILE) {
        const size_t n = plan->length - p < TILE ? plan->length - p : TILE;
        for (size_t t = 0; t < taps; t++)
            NAME(add_rows)(plane + run->offset[t] + p, n, x + p, weights + t * inputs, run->channel, inputs);
    }
    const octet_window *const window = &plan->window;
    const size_t              width = (size_t)window->in[window->rank - 1];
    const size_t              rows = (size_t)octet_product(window->in, window->rank - 1);
    for (size_t r = 0; r < rows; r++)
        for (size_t from = 0; from < width; from += TILE) {
            const size_t n = width - from < TILE ? width - from : TILE;
            SUM          sum[TILE];
            NAME(gather)(sum, plan, plane, r, from, n);
            NAME(octet_conv_store)
            (run->call, run->rules, c, sum, ((run->first_image * channels + i) * rows + r) * width + from, n);
        }
}

static void NAME(run)(transpose_run *run)
{
    const octet_conv_plan *const plan = &run->plan;
    const size_t inputs = (size_t)(plan->group * plan->out_channels), batch = (size_t)plan->batch;
    const size_t outputs = (size_t)(plan->group * plan->in_channels);
    octet_parallel(outputs, run->call->threads, NAME(turn), run);
    for (run->first_image = 0; run->first_image < batch; run->first_image += plan->images) {
        const size_t left = batch - run->first_image, images = left < plan->images ? left : plan->images;
        octet_parallel(images * inputs, run->call->threads, NAME(spread), run);
        octet_parallel(images * outputs, run->call->threads, NAME(compute), run);
    }
}
