/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of conv.h for one pair of types; conv_run.c includes this once per pair with X (prepared elements), SUM
   (sums) and NAME(x) defined. No guard: it is meant to be included again. */
#include "ops/conv_planes_template.h"
#include "ops/conv_rows_template.h"

static void NAME(prepare)(void *context, size_t i)
{
    const conv_run *const run = context;
    const size_t          channels = (size_t)(run->plan.group * run->plan.in_channels);
    const size_t          image_elements = (size_t)octet_product(run->plan.window.in, run->plan.window.rank);
    NAME(prepare_channel)
    ((X *)run->planes + i * run->plan.channel_size, &run->plan, run->call->in[0],
     (run->first_image * channels + i) * image_elements);
}

/* One image and one block of output channels: positions in tiles, so that the input's tile stays near. */
static void NAME(compute)(void *context, size_t i)
{
    const conv_run *const        run = context;
    const octet_conv_plan *const plan = &run->plan;
    const size_t                 image = i / run->blocks, block = i % run->blocks;
    const size_t channels = (size_t)(plan->group * plan->out_channels), from = block * CHANNEL_BLOCK;
    const size_t to = from + CHANNEL_BLOCK < channels ? from + CHANNEL_BLOCK : channels;
    for (size_t p = 0; p < plan->length; p += TILE) {
        const size_t n = plan->length - p < TILE ? plan->length - p : TILE;
        for (size_t c = from; c < to; c++) {
            const size_t   group = c / (size_t)plan->out_channels;
            const X *const x = (const X *)run->planes + image * plan->image_size +
                               group * (size_t)plan->in_channels * plan->channel_size + p;
            SUM sum[TILE];
            memset(sum, 0, n * sizeof *sum);
            const X *const weights = (const X *)run->weights + c * (size_t)plan->sums;
            const size_t   plane = ((run->first_image + image) * channels + c) * (size_t)plan->out_size;
            NAME(add_rows)(sum, n, x, weights, run->offset, (size_t)plan->sums);
            tile_rows rows = { .position = p, .n = n };
            while (next_row(&rows, run)) NAME(octet_conv_store)
            (run->call, run->rules, c, sum + rows.begin, plane + rows.out, rows.count);
        }
    }
}

static void NAME(run)(conv_run *run)
{
    const octet_conv_plan *const plan = &run->plan;
    const size_t                 channels = (size_t)(plan->group * plan->in_channels);
    for (run->first_image = 0; run->first_image < (size_t)plan->batch; run->first_image += plan->images) {
        const size_t left = (size_t)plan->batch - run->first_image, images = left < plan->images ? left : plan->images;
        octet_parallel(images * channels, run->call->threads, NAME(prepare), run);
        octet_parallel(images * run->blocks, run->call->threads, NAME(compute), run);
    }
}
