/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution: every set that this machine can run against the naive definition, bit for bit, in every shape around
   the tiles; nothing outside the results may change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cpu.h"
#include "conv_case.h"

static void check_case(const octet_conv_shape *shape, conv_options options)
{
    static const int parts[] = { 1, 2, 3, 8 };
    conv_case        c;
    conv_case_make(&c, shape, options);
    conv_expect(&c);
    for (const octet_kernels *const *set = octet_kernel_sets; *set; set++) {
        if ((*set)->needs & ~octet_cpu_sets()) continue;
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
            octet_conv_tiling tiling;
            if (conv_case_check(&c, (*set)->conv, parts[p], &tiling)) continue;
            fail_msg("%s: %zux%zux%zux%zux%zu, fill %d%s%s%s%s%s%s, %d parts, %s", (*set)->name, shape->groups,
                     shape->rows, shape->columns, shape->taps, shape->depth, options.fill, options.real ? " real" : "",
                     options.residual ? " residual" : "", options.wild ? " wild" : "", options.holes ? " holes" : "",
                     options.narrow ? " narrow" : "",
                     options.sums ? " sums" : "", parts[p], tiling.text);
        }
    }
    conv_case_free(&c);
}

/* Every kind of call with this fill. */
static void check_kinds(const octet_conv_shape *shape, conv_fill fill)
{
    for (int kind = 0; kind < 32; kind++) {
        const conv_options options = { fill, kind & 1, kind & 2, kind & 4, kind & 8, kind & 16 };
        check_case(shape, options);
    }
    check_case(shape, (conv_options){ .fill = fill, .sums = true });
    check_case(shape, (conv_options){ .fill = fill, .sums = true, .holes = true });
}

static octet_conv_shape shape_of(size_t rows, size_t columns, size_t taps, size_t depth)
{
    return (octet_conv_shape){
        .groups = 1, .rows = rows, .columns = columns, .taps = taps, .depth = depth, .pixel = depth
    };
}

/* Around the tiles: every count of rows up to two tiles, and of columns around the vectors and panels of every set. */
static void test_tiles(void **state)
{
    (void)state;
    for (size_t rows = 1; rows <= 27; rows++)
        for (size_t columns = 1; columns <= 140; columns += columns % 16 == 1 ? 14 : 1) {
            const octet_conv_shape shape = shape_of(rows, columns, 1, 4 + (rows + columns) % 9);
            const conv_options     options = { FILL_RANDOM,      columns % 3 == 1, rows % 2,
                                               columns % 5 == 0, rows % 3 == 0,    rows % 4 == 0,
                                              columns % 7 == 2 };
            check_case(&shape, options);
        }
}

static void test_kinds(void **state)
{
    (void)state;
    static const octet_conv_shape shapes[] = {
        { 1, 49, 70, 1, 20, 20 },
        { 3, 17, 24, 9, 5, 8 },
        { 2, 31, 10, 3, 64, 64 },
        { 5, 7, 33, 2, 1, 3 },
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (conv_fill fill = FILL_RANDOM; fill < FILLS; fill++) check_kinds(&shapes[i], fill);
}

/* Depths that are no multiple of a step, and the largest sums: 255 x -128 everywhere. */
static void test_depths(void **state)
{
    (void)state;
    for (size_t depth = 1; depth <= 70; depth++) {
        const octet_conv_shape shape = shape_of(13, 40, 1 + depth % 3, depth);
        for (conv_fill fill = FILL_RANDOM; fill < FILLS; fill++)
            check_case(&shape, (conv_options){ .fill = fill, .residual = depth % 2 });
    }
    const octet_conv_shape deep = shape_of(7, 72, 9, 512);
    for (conv_fill fill = FILL_RANDOM; fill < FILLS; fill++) check_case(&deep, (conv_options){ .fill = fill });
}

/* Shapes that reach both loop orders, both splits and more than one strip of rows. */
static void test_orders(void **state)
{
    (void)state;
    const octet_conv_shape shapes[] = {
        shape_of(1, 1000, 1, 256), shape_of(700, 16, 1, 32),    shape_of(530, 200, 1, 160),
        shape_of(260, 65, 9, 64),  { 9, 49, 256, 1, 128, 128 },
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int kind = 0; kind < 4; kind++)
            check_case(&shapes[i], (conv_options){ .holes = kind & 1, .real = kind & 2, .residual = kind == 1,
                                                   .sums = kind == 3 });
}

static void test_select(void **state)
{
    (void)state;
    const octet_kernels *last = NULL;
    for (const octet_kernels *const *set = octet_kernel_sets; *set; set++) {
        last = *set;
        assert_ptr_equal(octet_kernels_select((*set)->needs)->conv, (*set)->conv);
    }
    assert_string_equal(last->name, "scalar");
    assert_int_equal(last->needs, 0);
    assert_ptr_equal(octet_kernels_select(0), last);
}

int main(void)
{
    unsetenv("OCTET_CPU"); /* every set is tested whatever the environment asks for */
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_tiles), cmocka_unit_test(test_kinds),
                                        cmocka_unit_test(test_depths), cmocka_unit_test(test_orders),
                                        cmocka_unit_test(test_select) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
