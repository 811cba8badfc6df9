/* SPDX-License-Identifier: Apache-2.0 */
/* Every set of this build against the naive definition, without a test library: for machines that only an emulator
   offers (tools/test_neon). */
#include "conv_case.h"

static int check_conv(const octet_kernels *set, const octet_conv_shape *shape, conv_options options)
{
    octet_conv_tiling tiling;
    conv_case         c;
    conv_case_make(&c, shape, options);
    conv_expect(&c);
    const bool right = conv_case_check(&c, set->conv, 2, &tiling);
    if (!right)
        printf("%s: %zux%zux%zux%zu is wrong, fill %d, %s\n", set->name, shape->rows, shape->columns, shape->taps,
               shape->depth, options.fill, tiling.text);
    conv_case_free(&c);
    return !right;
}

static int check_convs(const octet_kernels *set)
{
    static const octet_conv_shape shapes[] = {
        { 1, 49, 70, 1, 20, 20 }, { 3, 17, 24, 9, 5, 8 },     { 2, 31, 10, 3, 64, 64 },
        { 5, 7, 33, 2, 1, 3 },    { 1, 1, 100, 1, 300, 300 }, { 1, 20, 16, 9, 16, 16 },
    };
    int wrong = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (conv_fill fill = FILL_RANDOM; fill < FILLS; fill++)
            for (int kind = 0; kind < 32; kind++)
                wrong += check_conv(set, &shapes[i],
                                    (conv_options){ .fill = fill, .real = kind & 1, .residual = kind & 2,
                                                    .wild = kind & 4, .holes = kind & 8, .narrow = kind & 16 });
    for (size_t rows = 1; rows <= 19; rows++)
        for (size_t columns = 1; columns <= 40; columns++) {
            const octet_conv_shape shape = { 1, rows, columns, 1, 3 + columns % 7, 12 };
            wrong += check_conv(set, &shape, (conv_options){ .residual = rows % 2, .real = columns % 5 == 0 });
            wrong += check_conv(set, &shape, (conv_options){ .sums = true });
        }
    return wrong;
}

int main(void)
{
    int wrong = 0;
    for (const octet_kernels *const *set = octet_kernel_sets; *set; set++) {
        const int here = check_convs(*set);
        printf("%s: %d wrong\n", (*set)->name, here);
        wrong += here;
    }
    return wrong != 0;
}
