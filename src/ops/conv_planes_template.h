/* SPDX-License-Identifier: Apache-2.0 */
/* The planes that windows read, for one type: X (their elements), NAME(x), and NAME(load), which reads elements of a
   tensor. No guard: it is meant to be included again. */

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
