/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of conv.h for one pair of types; conv_run.c includes this once per pair with X (prepared elements), SUM
   (sums) and NAME(x) defined. No guard: it is meant to be included again. */

/* sum[i] += weight[k] * x[offset[k] + i] for every k, in the order of k. Runs of fixed length read their weights again
   (volatile): clang multiplies in 16 bits only where it sees beside the product that the factors have no more. */
static void NAME(add_rows)(SUM *restrict sum, size_t n, const X *restrict x, const X *restrict weight,
                           const size_t *offset, size_t count)
{
    size_t k = 0;
    for (; k + 4 <= count; k += 4) {
        const X *const a = x + offset[k], *const b = x + offset[k + 1];
        const X *const c = x + offset[k + 2], *const d = x + offset[k + 3];
        const volatile X *const w = weight + k;
        size_t i = 0;
        for (; i + RUN <= n; i += RUN) {
            const X wa = w[0], wb = w[1], wc = w[2], wd = w[3];
            for (size_t j = i; j < i + RUN; j++)
                sum[j] = sum[j] + (SUM)wa * (SUM)a[j] + (SUM)wb * (SUM)b[j] + (SUM)wc * (SUM)c[j] + (SUM)wd * (SUM)d[j];
        }
        const X wa = w[0], wb = w[1], wc = w[2], wd = w[3];
        for (; i < n; i++)
            sum[i] = sum[i] + (SUM)wa * (SUM)a[i] + (SUM)wb * (SUM)b[i] + (SUM)wc * (SUM)c[i] + (SUM)wd * (SUM)d[i];
    }
    for (; k < count; k++) {
        const X *const a = x + offset[k];
        const X        wa = weight[k];
        for (size_t i = 0; i < n; i++) sum[i] += (SUM)wa * (SUM)a[i];
    }
}

/* Spreads n elements of an input row, from coordinate u of the padded row on, over the phases of the last dimension. */
static void NAME(place_row)(X *plane, const octet_conv_plan *plan, const X *row, int64_t u, size_t n)
{
    const int     last = plan->window.rank - 1;
    const int64_t stride = plan->stride[last], limit = plan->plane[last];
    if (stride == 1) {
        for (size_t i = 0; i < n && u + (int64_t)i < limit; i++) plane[u + (int64_t)i] = row[i];
        return;
    }
    int64_t phase = u % stride, position = u / stride;
    for (size_t i = 0; i < n && position < limit; i++) {
        plane[(size_t)phase * plan->phase_size + (size_t)position] = row[i];
        if (++phase == stride) {
            phase = 0;
            position++;
        }
    }
}

/* Copies channel `channel` of an image, whose planes begin at plane, padded and split. */
static void NAME(prepare_channel)(X *plane, const octet_conv_plan *plan, const octet_tensor *x, size_t first)
{
    enum { CHUNK = 256 };
    const octet_window *const window = &plan->window;
    const int                 last = window->rank - 1;
    const size_t              width = (size_t)window->in[last];
    const size_t              rows = (size_t)octet_product(window->in, last);
    memset(plane, 0, plan->channel_size * sizeof *plane);
    for (size_t r = 0; r < rows; r++) {
        size_t to = 0;
        if (!row_target(&to, plan, r)) continue;
        for (size_t i = 0; i < width; i += CHUNK) {
            X            row[CHUNK];
            const size_t n = width - i < CHUNK ? width - i : CHUNK;
            NAME(load)(row, x, first + r * width + i, n);
            NAME(place_row)(plane + to, plan, row, window->pad[last] + (int64_t)i, n);
        }
    }
}

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
            while (next_row(&rows, run)) NAME(store)(run, c, sum + rows.begin, plane + rows.out, rows.count);
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
