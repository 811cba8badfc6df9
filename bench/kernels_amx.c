/* SPDX-License-Identifier: Apache-2.0 */
/* Times a convolution kernel on the layers of ResNet-50 and MobileNetV2: microseconds per layer, weights cold as in a
   network (a ring of copies larger than the second-level cache), best and median of the rounds. */
#include "base/clock.h"
#include "base/cpu.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct layer {
    const char *network;
    size_t      rows, columns, taps, depth;
    int         count; /* in the network */
    bool        residual;
} layer;

/* Rows are wanted pixels only; a network's padded rows add to them. */
static const layer layers[] = {
    { "resnet50", 12544, 64, 1, 196, 1, false },  { "resnet50", 3136, 64, 1, 64, 1, false },
    { "resnet50", 3136, 64, 9, 64, 3, false },    { "resnet50", 3136, 256, 1, 64, 1, false },
    { "resnet50", 3136, 256, 1, 64, 3, true },    { "resnet50", 3136, 64, 1, 256, 2, false },
    { "resnet50", 3136, 128, 1, 256, 1, false },  { "resnet50", 784, 128, 9, 128, 4, false },
    { "resnet50", 784, 512, 1, 256, 1, false },   { "resnet50", 784, 512, 1, 128, 4, true },
    { "resnet50", 784, 128, 1, 512, 3, false },   { "resnet50", 784, 256, 1, 512, 1, false },
    { "resnet50", 196, 256, 9, 256, 6, false },   { "resnet50", 196, 1024, 1, 512, 1, false },
    { "resnet50", 196, 1024, 1, 256, 6, true },   { "resnet50", 196, 256, 1, 1024, 5, false },
    { "resnet50", 196, 512, 1, 1024, 1, false },  { "resnet50", 49, 512, 9, 512, 3, false },
    { "resnet50", 49, 2048, 1, 1024, 1, false },  { "resnet50", 49, 2048, 1, 512, 3, true },
    { "resnet50", 49, 512, 1, 2048, 2, false },   { "resnet50", 1, 1000, 1, 2048, 1, false },
    { "mobilenet", 12544, 32, 1, 36, 1, false },  { "mobilenet", 12544, 16, 1, 32, 1, false },
    { "mobilenet", 12544, 96, 1, 16, 1, false },  { "mobilenet", 3136, 24, 1, 96, 1, false },
    { "mobilenet", 3136, 144, 1, 24, 2, false },  { "mobilenet", 3136, 24, 1, 144, 1, true },
    { "mobilenet", 784, 32, 1, 144, 1, false },   { "mobilenet", 784, 192, 1, 32, 3, false },
    { "mobilenet", 784, 32, 1, 192, 2, true },    { "mobilenet", 196, 64, 1, 192, 1, false },
    { "mobilenet", 196, 384, 1, 64, 4, false },   { "mobilenet", 196, 64, 1, 384, 3, true },
    { "mobilenet", 196, 96, 1, 384, 1, false },   { "mobilenet", 196, 576, 1, 96, 3, false },
    { "mobilenet", 196, 96, 1, 576, 2, true },    { "mobilenet", 49, 160, 1, 576, 1, false },
    { "mobilenet", 49, 960, 1, 160, 3, false },   { "mobilenet", 49, 160, 1, 960, 2, true },
    { "mobilenet", 49, 320, 1, 960, 1, false },   { "mobilenet", 49, 1280, 1, 320, 1, false },
    { "mobilenet", 1, 1000, 1, 1280, 1, false },
};

enum { COPIES_BYTES = 24 << 20, ROUNDS = 30 };

static void *allocate(size_t size)
{
    void *const memory = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    if (!memory) exit(1);
    memset(memory, 1, (size + 4095) / 4096 * 4096);
    return memory;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct timing {
    double best, median;
    char   text[40];
} timing;

typedef struct buffers {
    void    *packed;
    size_t   copy;
    uint8_t *input, *output, *residual;
    int32_t *place;
    size_t  *tap;
} buffers;

static buffers prepare(const layer *l, const octet_conv_kernel *kernel, const octet_conv_shape *shape,
                       octet_conv_tiling *tiling)
{
    buffers      b = { .input = allocate((l->rows + 512) * l->depth) };
    const size_t weights = l->columns * l->taps * l->depth;
    kernel->choose(tiling, shape, 1);
    b.copy = (kernel->packed_size(shape, tiling) + 63) / 64 * 64;
    b.packed = allocate(COPIES_BYTES + b.copy);
    float *const multiplier = allocate(l->columns * sizeof *multiplier);
    for (size_t i = 0; i < l->columns; i++) multiplier[i] = 1e-3f;
    const octet_conv_weights from = { .at = allocate(weights), .column = l->taps * l->depth, .tap = l->depth, .depth = 1,
                                      .bias = allocate(l->columns * 4), .multiplier = multiplier, .input_zero = 3 };
    memset(b.packed, 0, COPIES_BYTES + b.copy);
    for (size_t at = 0; at + b.copy <= COPIES_BYTES; at += b.copy)
        kernel->pack((char *)b.packed + at, shape, tiling, &from);
    b.output = allocate(l->rows * l->columns);
    b.residual = allocate(l->rows * l->columns);
    b.place = allocate(l->rows * sizeof *b.place);
    for (size_t i = 0; i < l->rows; i++) b.place[i] = (int32_t)(i * l->columns);
    b.tap = allocate(l->taps * sizeof *b.tap);
    size_t width = 1;
    while (width * width < l->rows) width++;
    for (size_t t = 0; t < l->taps; t++) b.tap[t] = (t / 3 * width + t % 3) * l->depth;
    return b;
}

static timing measure(const layer *l, const octet_conv_kernel *kernel, int zero_point)
{
    static double          times[ROUNDS];
    const octet_conv_shape shape = { 1, l->rows, l->columns, l->taps, l->depth, l->depth };
    octet_conv_tiling      tiling;
    const buffers          b = prepare(l, kernel, &shape, &tiling);
    octet_conv_call        call = { .shape = &shape, .tiling = &tiling, .tap = b.tap, .input = b.input, .output = b.output,
                                    .place = b.place, .residual = l->residual ? b.residual : NULL,
                                    .residual_place = b.place, .residual_multiplier = 0.5f, .residual_zero = 9,
                                    .to = { zero_point, 0, 255 }, .tame = true };
    const size_t copies = COPIES_BYTES / b.copy;
    size_t       copy = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const size_t calls = 1 + (size_t)20000000 / (l->rows * l->columns * l->taps * l->depth + 100000);
        const double begin = octet_clock();
        for (size_t i = 0; i < calls; i++, copy = (copy + 1) % copies) {
            call.weights = (const char *)b.packed + copy * b.copy;
            kernel->run(&call, 0, 1);
        }
        times[round] = (octet_clock() - begin) / (double)calls;
    }
    qsort(times, ROUNDS, sizeof *times, ascending);
    timing t = { .best = times[0] * 1e6, .median = times[ROUNDS / 2] * 1e6 };
    memcpy(t.text, tiling.text, sizeof t.text);
    return t;
}

int main(int argc, char **argv)
{
    const octet_conv_kernel *const kernel = octet_kernels_select(octet_cpu_sets())->conv;
    const char *const network = argc > 1 ? argv[1] : NULL;
    double            best = 0, median = 0, products = 0;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        const layer *const l = &layers[i];
        if (network && strcmp(network, l->network) != 0) continue;
        const timing t = measure(l, kernel, argc > 2 ? atoi(argv[2]) : 0);
        const double steps = (double)(l->taps * ((l->depth + 63) / 64) * ((l->columns + 15) / 16) * l->rows);
        printf("%-9s %5zux%zux%zux%zu%s x%d: %7.1f us, median %7.1f, products %6.1f (%s)\n", l->network, l->rows,
               l->columns, l->taps, l->depth, l->residual ? "+r" : "", l->count, t.best, t.median, steps / 3.09e3,
               t.text);
        best += l->count * t.best;
        median += l->count * t.median;
        products += l->count * steps / 3.09e3;
    }
    printf("all: %.0f us, median %.0f, products %.0f\n", best, median, products);
    return 0;
}
