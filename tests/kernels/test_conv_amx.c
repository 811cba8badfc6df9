/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution by tiles against its definition: the model of the tiles, and the tiles where the CPU has
   them. */
#include "conv_amx_case.h"

#include "base/cpu.h"

#define OCTET_AMX_MODEL
#include "kernels/amx/conv.c"

static const octet_conv_shape shapes[] = {
    /* groups, rows, columns, taps, depth, pixel */
    { 1, 1, 1, 1, 1, 1 },     { 1, 1, 40, 1, 256, 256 },   { 1, 16, 32, 1, 64, 64 },   { 1, 17, 33, 1, 65, 65 },
    { 1, 33, 31, 1, 24, 24 }, { 1, 32, 64, 1, 16, 16 },    { 1, 49, 96, 1, 160, 160 }, { 1, 64, 17, 9, 16, 16 },
    { 1, 65, 48, 9, 64, 64 }, { 3, 49, 16, 1, 96, 96 },    { 2, 5, 80, 3, 48, 60 },    { 1, 196, 24, 1, 32, 32 },
    { 2, 63, 100, 4, 3, 9 },  { 1, 100, 208, 2, 128, 130 },
};

static const octet_to_levels targets[] = { { 0, 0, 255 }, { 128, 0, 255 }, { 37, 37, 200 }, { 0, 0, 90 } };

static void check_case(const conv_case *c, uint64_t seed)
{
    static const int parts[] = { 1, 2, 3, 8 };
    conv_data        data = conv_make(c, seed);
    conv_define(&data, c);
    const octet_kernels *const best = octet_kernels_select(octet_cpu_sets());
    const bool                 tiles = best->needs & OCTET_CPU_AMX;
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        if (!conv_agrees(&data, c, &octet_conv_amx_model, parts[p])) fail_msg("the model is wrong");
        if (tiles && !conv_agrees(&data, c, best->conv, parts[p])) fail_msg("the tiles are wrong");
    }
    conv_free(&data);
}

static void test_shapes_and_fills(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int fill = 0; fill < FILL_COUNT; fill++)
            for (int form = 0; form < 9; form++) {
                const conv_case c = { .shape = shapes[s], .fill = (conv_fill)fill, .residual = form & 1,
                                      .real = form & 2, .tame = form & 4, .sums = form == 8, .holes = (form + fill) & 1,
                                      .to = targets[(s + (size_t)fill) % (sizeof targets / sizeof *targets)] };
                check_case(&c, s * 64 + (uint64_t)fill * 8 + (uint64_t)form);
            }
}

static void test_every_target(void **state)
{
    (void)state;
    const octet_conv_shape shape = { 1, 40, 40, 1, 32, 32 };
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        for (int form = 0; form < 4; form++) {
            const conv_case c = { .shape = shape, .residual = form & 1, .tame = form & 2, .to = targets[i] };
            check_case(&c, 1000 + i * 4 + (uint64_t)form);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes_and_fills),
        cmocka_unit_test(test_every_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
