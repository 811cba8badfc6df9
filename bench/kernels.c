/* SPDX-License-Identifier: Apache-2.0 */
/* Speed of convolution kernels: for each problem "rows x columns x taps x depth" (from the command line, else the
   layers of ResNet-50, MobileNetV2, ResNet-20 and a keyword spotter) the fastest of many runs of each set, in Gop/s.
   Sets alternate, so that a busy machine is unfair to nobody. OCTET_CPU leaves sets out.
   Usage: kernels_bench [rowsxcolumnsxtapsxdepth...] */
#include "../tests/kernels/conv_case.h"
#include "base/cpu.h"

#include <time.h>

static const char *const usual[] = {
    "12544x64x1x196", "3136x64x1x64",  "3136x64x9x64",  "3136x256x1x64",  "3136x64x1x256",  "784x128x9x128",
    "784x512x1x128",  "784x128x1x512", "196x256x9x256", "196x1024x1x256", "196x256x1x1024", "49x512x9x512",
    "49x2048x1x512",  "49x512x1x2048", "1x1000x1x2048", "12544x32x1x36",  "12544x16x1x32",  "12544x96x1x16",
    "3136x24x1x96",   "3136x144x1x24", "784x32x1x144",  "784x192x1x32",   "196x64x1x192",   "196x384x1x64",
    "196x96x1x384",   "196x576x1x96",  "49x160x1x576",  "49x960x1x160",   "49x320x1x960",   "49x1280x1x320",
    "1x1000x1x1280",  "1024x16x9x16",  "256x32x9x32",   "64x64x9x64",     "125x64x1x64",    "1x12x1x64",
};

enum { MOST_SETS = 8 };

typedef struct runner {
    const octet_kernels *set;
    octet_conv_tiling    tiling;
    void                *packed;
    double               best;
} runner;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void time_once(runner *r, conv_case *c, int repeats)
{
    c->call.tiling = &r->tiling;
    c->call.weights = r->packed;
    const double began = now();
    for (int i = 0; i < repeats; i++) r->set->conv->run(&c->call, 0, 1);
    const double took = (now() - began) / repeats;
    if (r->best == 0 || took < r->best) r->best = took;
}

static int start(runner *runners, conv_case *c)
{
    int count = 0;
    for (const octet_kernels *const *set = octet_kernel_sets; *set && count < MOST_SETS; set++) {
        if ((*set)->needs & ~octet_cpu_sets()) continue;
        runner *const r = &runners[count++];
        *r = (runner){ .set = *set };
        if (!conv_case_check(c, (*set)->conv, 1, &r->tiling)) printf("%s is wrong: ", (*set)->name);
        r->packed = conv_zeroed((*set)->conv->packed_size(&c->shape, &r->tiling));
        (*set)->conv->pack(r->packed, &c->shape, &r->tiling, &c->weights);
    }
    return count;
}

static void measure(const octet_conv_shape *shape, const char *name)
{
    conv_case c;
    runner    runners[MOST_SETS];
    conv_case_make(&c, shape, (conv_options){ .fill = FILL_RANDOM });
    conv_expect(&c);
    const int    count = start(runners, &c);
    const double operations = 2.0 * (double)(shape->rows * shape->columns) * (double)(shape->taps * shape->depth);
    const int    repeats = operations < 2e6 ? 100 : operations < 2e7 ? 10 : 1;
    for (int i = 0; i < count; i++) time_once(&runners[i], &c, 1);
    for (double began = now(); now() - began < 0.1 * count;)
        for (int i = 0; i < count; i++) time_once(&runners[i], &c, repeats);
    printf("%-16s", name);
    for (int i = 0; i < count; i++) {
        printf(" %8.2f us %6.1f", runners[i].best * 1e6, operations / runners[i].best * 1e-9);
        free(runners[i].packed);
    }
    printf("  %s\n", count ? runners[0].tiling.text : "");
    fflush(stdout);
    conv_case_free(&c);
}

int main(int argc, char **argv)
{
    printf("%-16s", "");
    for (const octet_kernels *const *set = octet_kernel_sets; *set; set++)
        if (!((*set)->needs & ~octet_cpu_sets())) printf(" %18s", (*set)->name);
    printf("   us and Gop/s\n");
    const int count = argc > 1 ? argc - 1 : (int)(sizeof usual / sizeof *usual);
    for (int i = 0; i < count; i++) {
        const char *const name = argc > 1 ? argv[i + 1] : usual[i];
        octet_conv_shape  shape = { .groups = 1 };
        if (sscanf(name, "%zux%zux%zux%zu", &shape.rows, &shape.columns, &shape.taps, &shape.depth) != 4) {
            fprintf(stderr, "%s: want rowsxcolumnsxtapsxdepth\n", name);
            return 2;
        }
        shape.pixel = shape.depth;
        measure(&shape, name);
    }
    return 0;
}
