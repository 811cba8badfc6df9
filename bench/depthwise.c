/* SPDX-License-Identifier: Apache-2.0 */
/* Speed of depthwise kernels: for each problem "height x width x channels x kernel x stride" (from the command line,
   else the layers of MobileNetV2 and a keyword spotter) the fastest of many runs of each set. Sets alternate, so that a
   busy machine is unfair to nobody. OCTET_CPU leaves sets out.
   Usage: depthwise_bench [heightxwidthxchannelsxkernelxstride...] */
#include "base/cpu.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const usual[] = {
    "112x112x32x3x1", "56x56x96x3x2", "56x56x144x3x1", "28x28x144x3x2", "28x28x192x3x1", "14x14x192x3x2",
    "14x14x384x3x1",  "14x14x576x3x1", "7x7x576x3x2",  "7x7x960x3x1",   "25x5x64x3x1",   "14x14x480x5x1",
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Zeroed or patterned memory; a benchmark may end without freeing it. */
static void *memory(size_t size, bool pattern)
{
    uint8_t *const bytes = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!bytes) exit(1);
    for (size_t i = 0; i < size; i++) bytes[i] = pattern ? (uint8_t)(i * 2654435761u >> 13) : 0;
    return bytes;
}

static void *pack(const octet_depthwise_kernel *kernel, const octet_depthwise_shape *shape)
{
    const size_t             taps = (size_t)(shape->kernel_height * shape->kernel_width);
    float *const             multiplier = memory(shape->channels * sizeof(float), false);
    const octet_conv_weights weights = { .at = memory(shape->channels * taps, true), .column = taps, .tap = 1,
                                         .bias = memory(shape->channels * sizeof(int32_t), false),
                                         .multiplier = multiplier, .input_zero = 3 };
    void *const              packed = memory(kernel->packed_size(shape), false);
    for (size_t i = 0; i < shape->channels; i++) multiplier[i] = 0.001f;
    kernel->pack(packed, shape, &weights);
    return packed;
}

static void measure(const octet_depthwise_shape *shape, const char *name)
{
    enum { MOST_SETS = 8 };
    const size_t height = (shape->height - 1) * (size_t)shape->stride_height + (size_t)shape->kernel_height;
    const size_t width = (shape->width - 1) * (size_t)shape->stride_width + (size_t)shape->kernel_width;
    octet_depthwise_call call = { .shape = shape, .tame = true, .to = { 0, 0, 255 } };
    double               best[MOST_SETS] = { 0 };
    void                *packed[MOST_SETS] = { 0 };
    call.input_steps = (octet_steps){ height * width * shape->channels, width * shape->channels, shape->channels };
    call.output_steps = (octet_steps){ 0, shape->width * shape->channels, shape->channels };
    call.input = memory(call.input_steps.image, true);
    call.output = memory(shape->height * call.output_steps.row, false);
    for (double began = now(); now() - began < 0.5;)
        for (int i = 0; octet_kernel_sets[i] && i < MOST_SETS; i++) {
            const octet_kernels *const set = octet_kernel_sets[i];
            if (set->needs & ~octet_cpu_sets()) continue;
            if (!packed[i]) packed[i] = pack(set->depthwise, shape);
            call.weights = packed[i];
            const double start = now();
            set->depthwise->run(&call, 0, 1);
            const double took = now() - start;
            if (best[i] == 0 || took < best[i]) best[i] = took;
        }
    printf("%-16s", name);
    for (int i = 0; octet_kernel_sets[i] && i < MOST_SETS; i++)
        if (packed[i]) printf("  %s %.2f us", octet_kernel_sets[i]->name, best[i] * 1e6);
    printf("\n");
}

int main(int argc, char **argv)
{
    const int count = argc > 1 ? argc - 1 : (int)(sizeof usual / sizeof *usual);
    for (int i = 0; i < count; i++) {
        const char *const     name = argc > 1 ? argv[i + 1] : usual[i];
        octet_depthwise_shape s = { .images = 1, .dilation_height = 1, .dilation_width = 1 };
        if (sscanf(name, "%zux%zux%zux%dx%d", &s.height, &s.width, &s.channels, &s.kernel_height, &s.stride_height) != 5) {
            fprintf(stderr, "%s: want heightxwidthxchannelsxkernelxstride\n", name);
            return 2;
        }
        s.kernel_width = s.kernel_height;
        s.stride_width = s.stride_height;
        measure(&s, name);
    }
    return 0;
}
