/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of shifted rows, and the planes they read, for one pair of types: X (elements of planes), SUM (sums), NAME(x),
   and NAME(load), which reads elements of a tensor. No guard: it is meant to be included again. */

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
    const size_t stride = (size_t)plan->stride[plan->window.rank - 1];
    for (size_t phase = 0; phase < stride; phase++) {
        const octet_conv_piece piece = octet_conv_row_piece(plan, u, n, phase);
        X *const               to = plane + piece.at;
        if (stride == 1)
            memcpy(to, row + piece.first, piece.count * sizeof *row);
        else
            for (size_t i = 0; i < piece.count; i++) to[i] = row[piece.first + i * stride];
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
        if (!octet_conv_row_target(&to, plan, r)) continue;
        for (size_t i = 0; i < width; i += CHUNK) {
            X            row[CHUNK];
            const size_t n = width - i < CHUNK ? width - i : CHUNK;
            NAME(load)(row, x, first + r * width + i, n);
            NAME(place_row)(plane + to, plan, row, window->pad[last] + (int64_t)i, n);
        }
    }
}
