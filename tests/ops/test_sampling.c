/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that look at computed places of an image: GridSample against PyTorch's description of it, written out;
   RoiAlign, Col2Im and MaxUnpool against theirs. */
#include "ops/case.h"

#include "ops/attrs.h"

/* ---- GridSample ---- */

enum { H = 4, W = 5, IMAGES = 2, MAPS = 3, POINTS = 24 };

static double fold(double x, double lo, double hi)
{
    while (x < lo || x > hi) x = x < lo ? 2 * lo - x : 2 * hi - x;
    return x;
}

/* A pixel, where an index outside means what padding says. */
static double pixel(const float *plane, int y, int x, const char *padding, bool aligned)
{
    const bool outside = y < 0 || x < 0 || y >= H || x >= W;
    if (outside && !strcmp(padding, "zeros")) return 0;
    if (!strcmp(padding, "reflection")) {
        const double edge = aligned ? 0 : 0.5;
        y = (int)fmin(fmax(fold(y, -edge, H - 1 + edge), 0), H - 1);
        x = (int)fmin(fmax(fold(x, -edge, W - 1 + edge), 0), W - 1);
    }
    y = y < 0 ? 0 : y >= H ? H - 1 : y;
    x = x < 0 ? 0 : x >= W ? W - 1 : x;
    return (double)plane[y * W + x];
}

static double cubic(double t)
{
    const double a = -0.75, x = fabs(t);
    if (x <= 1) return (a + 2) * x * x * x - (a + 3) * x * x + 1;
    return x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a : 0;
}

static double place(double u, int n, const char *mode, const char *padding, bool aligned)
{
    const double at = aligned ? (u + 1) / 2 * (n - 1) : ((u + 1) * n - 1) / 2;
    if (!strcmp(mode, "bicubic")) return at;
    if (!strcmp(padding, "border")) return fmin(fmax(at, 0), n - 1);
    if (!strcmp(padding, "reflection")) return fold(at, aligned ? 0 : -0.5, aligned ? n - 1 : n - 0.5);
    return at;
}

static double sampled(const float *plane, double u, double v, const char *mode, const char *padding, bool aligned)
{
    const double x = place(u, W, mode, padding, aligned), y = place(v, H, mode, padding, aligned);
    double       sum = 0;
    if (!strcmp(mode, "nearest")) return pixel(plane, (int)nearbyint(y), (int)nearbyint(x), padding, aligned);
    for (int i = (int)floor(y) - 1; i <= (int)floor(y) + 2; i++)
        for (int j = (int)floor(x) - 1; j <= (int)floor(x) + 2; j++) {
            const double dy = y - i, dx = x - j;
            const double weight = !strcmp(mode, "bicubic")
                                      ? cubic(dy) * cubic(dx)
                                      : fmax(0, 1 - fabs(dy)) * fmax(0, 1 - fabs(dx));
            if (weight != 0) sum += weight * pixel(plane, i, j, padding, aligned);
        }
    return sum;
}

static void run_grid(const char *mode, const char *padding, bool aligned)
{
    op_case c;
    case_begin(&c, "GridSample", 5);
    case_set_string(&c, "mode", mode);
    case_set_string(&c, "padding_mode", padding);
    case_set_int(&c, "align_corners", aligned);
    const float *const x = case_random_f32(&c, DIMS(IMAGES, MAPS, H, W))->data;
    const float *const grid = case_random_f32(&c, DIMS(IMAGES, 4, POINTS / 4, 2))->data; /* -1.6 .. 1.6 */
    c.call.threads = 2;
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    for (int i = 0; i < IMAGES * MAPS * POINTS; i++) {
        const float *const at = grid + (i / MAPS / POINTS * POINTS + i % POINTS) * 2;
        const double want = sampled(x + i / POINTS * H * W, (double)at[0], (double)at[1], mode, padding, aligned);
        const double got = (double)((const float *)c.out[0].data)[i];
        if (fabs(got - want) > 1e-6) fail_msg("%s %s %d, point %d: %g, not %g", mode, padding, aligned, i, got, want);
    }
    case_end(&c);
}

static void grid_sample(void **state)
{
    (void)state;
    static const char *const modes[] = { "bilinear", "nearest", "bicubic" };
    static const char *const paddings[] = { "zeros", "border", "reflection" };
    for (int i = 0; i < 18; i++) run_grid(modes[i % 3], paddings[i / 3 % 3], i / 9);
}

/* Three dimensions: at the pixels' own places the pixels, half way between two their mean. */
static void grid_sample_in_space(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "GridSample", 6);
    case_set_string(&c, "mode", "linear");
    case_set_int(&c, "align_corners", 1);
    const float *const x = case_random_f32(&c, DIMS(1, 1, 2, 3, 5))->data;
    float *const       grid = case_input(&c, OCTET_F32, DIMS(1, 1, 1, 31, 3))->data;
    for (int i = 0; i < 30; i++) {
        grid[3 * i] = (float)(i % 5) / 2 - 1;
        grid[3 * i + 1] = (float)(i / 5 % 3) - 1;
        grid[3 * i + 2] = (float)(i / 15) * 2 - 1;
    }
    grid[90] = -1, grid[91] = -0.5f, grid[92] = 1; /* between (1, 0, 0) and (1, 1, 0) */
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    for (int i = 0; i < 30; i++) assert_true(((const float *)c.out[0].data)[i] == x[i]);
    assert_true(fabsf(((const float *)c.out[0].data)[30] - (x[15] + x[20]) / 2) < 1e-6f);
    case_end(&c);
}

/* ---- RoiAlign ---- */

/* A region that lies on pixels, one point in each output: the pixels themselves, or the mean of four. */
static void roi_align(void **state)
{
    (void)state;
    for (int ratio = 1; ratio <= 2; ratio++) {
        op_case c;
        case_begin(&c, "RoiAlign", 7);
        case_set_int(&c, "output_height", 2);
        case_set_int(&c, "output_width", 3);
        case_set_int(&c, "sampling_ratio", ratio);
        const float *const x = case_random_f32(&c, DIMS(2, 2, 7, 8))->data;
        const float        region[] = { 2, 1, 2 + 3 * (float)ratio, 1 + 2 * (float)ratio };
        memcpy(case_input(&c, OCTET_F32, DIMS(1, 4))->data, region, sizeof region);
        INTS(&c, 1);
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        for (int i = 0; i < 12; i++) {
            const float *const from = x + (2 + i / 6) * 56 + (1 + i / 3 % 2 * ratio) * 8 + 2 + i % 3 * ratio;
            double             want = 0;
            for (int k = 0; k < ratio * ratio; k++) want += (double)from[k / ratio * 8 + k % ratio] / (ratio * ratio);
            assert_true(fabs((double)((const float *)c.out[0].data)[i] - want) < 1e-6);
        }
        case_end(&c);
    }
}

static void roi_align_refuses_an_image_that_is_not_there(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "RoiAlign", 8);
    case_random_f32(&c, DIMS(2, 2, 7, 8));
    case_random_f32(&c, DIMS(1, 4));
    INTS(&c, 2);
    case_prepare(&c, 1, NULL, false);
    assert_int_equal(c.node.op->forward(&c.call, &c.err), OCTET_ERR_SHAPE);
    assert_string_equal(c.err.field, "batch_indices");
    case_end(&c);
}

/* ---- Col2Im, MaxUnpool ---- */

/* Every pixel gets the sum of all columns' entries that lie on it. */
static void col2im(void **state)
{
    (void)state;
    enum { HIGH = 5, WIDE = 6, DOWN = 2, ACROSS = 3, ROWS = 3, COLUMNS = 4 };
    op_case c;
    case_begin(&c, "Col2Im", 9);
    case_set_ints(&c, "strides", 2, (const int64_t[]){ 2, 1 });
    case_set_ints(&c, "pads", 4, (const int64_t[]){ 1, 1, 1, 1 });
    case_set_ints(&c, "dilations", 2, (const int64_t[]){ 2, 2 });
    const float *const x = case_random_f32(&c, DIMS(2, 3 * DOWN * ACROSS, ROWS * COLUMNS))->data;
    INTS(&c, HIGH, WIDE);
    INTS(&c, DOWN, ACROSS);
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    double want[2 * 3 * HIGH * WIDE] = { 0 };
    for (int i = 0; i < 2 * 3 * DOWN * ACROSS * ROWS * COLUMNS; i++) {
        const int column = i % (ROWS * COLUMNS), tap = i / (ROWS * COLUMNS) % (DOWN * ACROSS);
        const int y = column / COLUMNS * 2 - 1 + tap / ACROSS * 2, z = column % COLUMNS - 1 + tap % ACROSS * 2;
        if (y < 0 || z < 0 || y >= HIGH || z >= WIDE) continue;
        want[i / (ROWS * COLUMNS * DOWN * ACROSS) * HIGH * WIDE + y * WIDE + z] += (double)x[i];
    }
    for (int i = 0; i < 2 * 3 * HIGH * WIDE; i++)
        assert_true(fabs((double)((const float *)c.out[0].data)[i] - want[i]) < 1e-5);
    case_end(&c);
}

/* Back to where MaxPool found them; a larger output has zeros around. */
static void max_unpool(void **state)
{
    (void)state;
    for (int larger = 0; larger < 2; larger++) {
        op_case c;
        case_begin(&c, "MaxUnpool", 10);
        case_set_ints(&c, "kernel_shape", 2, (const int64_t[]){ 2, 2 });
        case_set_ints(&c, "strides", 2, (const int64_t[]){ 2, 2 });
        const float *const x = case_random_f32(&c, DIMS(1, 2, 2, 2))->data;
        const int64_t      index[] = { 5, 3, 8, 14, 16, 22, 28, 31 };
        memcpy(case_input(&c, OCTET_I64, DIMS(1, 2, 2, 2))->data, index, sizeof index);
        if (larger) INTS(&c, 1, 2, 5, 6);
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        float     want[2 * 5 * 6] = { 0 };
        const int w = larger ? 6 : 4, h = larger ? 5 : 4;
        for (int i = 0; i < 8; i++) want[(index[i] / 16 * h + index[i] / 4 % 4) * w + index[i] % 4] = x[i];
        assert_int_equal(octet_tensor_count(&c.out[0]), 2 * h * w);
        assert_memory_equal(c.out[0].data, want, (size_t)(2 * h * w) * sizeof *want);
        ((int64_t *)c.in[1].data)[3] = 32;
        assert_int_equal(c.node.op->forward(&c.call, &c.err), OCTET_ERR_SHAPE);
        case_end(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grid_sample),
        cmocka_unit_test(grid_sample_in_space),
        cmocka_unit_test(roi_align),
        cmocka_unit_test(roi_align_refuses_an_image_that_is_not_there),
        cmocka_unit_test(col2im),
        cmocka_unit_test(max_unpool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
