/* SPDX-License-Identifier: Apache-2.0 */
/* Resize's coordinate transformations, roundings and weights (resize_axis.h), each a row of a table. All in double. */
#include "ops/resize_axis.h"

#include <math.h>
#include <string.h>

/* ---- coordinates: from a place of the result to one of the original ---- */

static double half_pixel(const octet_resize_axis *axis, double x) { return (x + 0.5) / axis->scale - 0.5; }

static double pytorch_half_pixel(const octet_resize_axis *axis, double x)
{
    return axis->length > 1.0 ? half_pixel(axis, x) : 0.0;
}

static double align_corners(const octet_resize_axis *axis, double x)
{
    return axis->length > 1.0 ? x * (double)(axis->from - 1) / (axis->length - 1.0) : 0.0;
}

/* torch's two, with align_corners or without. */
static double in_single(const octet_resize_axis *axis, double x, bool aligned)
{
    const float ends = (float)(axis->from - 1) / (float)(axis->to > 1 ? axis->to - 1 : 1);
    const float step = (float)axis->from / (float)axis->to, centre = (float)(x + 0.5);
    if (aligned) return (double)(axis->to > 1 ? ends * (float)x : 0.0f);
    const float at = step * centre, origin = at - 0.5f;
    return (double)(origin > 0.0f ? origin : 0.0f);
}

/* half_pixel about the middle of the axis, whatever is cut off at its end. */
static double half_pixel_symmetric(const octet_resize_axis *axis, double x)
{
    const double middle = (double)axis->from / 2.0;
    return middle * (1.0 - (double)axis->to / axis->length) + half_pixel(axis, x);
}

static double asymmetric(const octet_resize_axis *axis, double x) { return x / axis->scale; }

static double tf_half_pixel_for_nn(const octet_resize_axis *axis, double x) { return (x + 0.5) / axis->scale; }

static double tf_crop_and_resize(const octet_resize_axis *axis, double x)
{
    const double last = (double)(axis->from - 1), size = axis->end - axis->start;
    if (axis->to <= 1) return 0.5 * (axis->start + axis->end) * last;
    return axis->start * last + x * size * last / (double)(axis->to - 1);
}

static const struct {
    const char *name;
    double (*origin)(const octet_resize_axis *axis, double x);
} transformations[] = {{"half_pixel", half_pixel},
                       {"half_pixel_symmetric", half_pixel_symmetric},
                       {"pytorch_half_pixel", pytorch_half_pixel},
                       {"align_corners", align_corners},
                       {"asymmetric", asymmetric},
                       {"tf_half_pixel_for_nn", tf_half_pixel_for_nn},
                       {"tf_crop_and_resize", tf_crop_and_resize}};

/* ---- nearest ---- */

static double prefer_floor(double x) { return ceil(x - 0.5); }
static double prefer_ceil(double x) { return floor(x + 0.5); }

static const struct {
    const char *name;
    double (*round)(double x);
} roundings[] = {
    {"round_prefer_floor", prefer_floor}, {"round_prefer_ceil", prefer_ceil}, {"floor", floor}, {"ceil", ceil}};

/* ---- modes: weights of the places around x; they begin at floor(x) + first, ratio is x - floor(x) ---- */

static void linear_weights(double *weight, double ratio, double a)
{
    (void)a;
    weight[0] = 1.0 - ratio;
    weight[1] = ratio;
}

static void cubic_weights(double *weight, double ratio, double a)
{
    const double near[2] = {ratio, 1.0 - ratio}, far[2] = {ratio + 1.0, 2.0 - ratio};
    for (int side = 0; side < 2; side++) {
        const double x = near[side], y = far[side];
        weight[side ? 2 : 1] = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
        weight[side ? 3 : 0] = ((a * y - 5.0 * a) * y + 8.0 * a) * y - 4.0 * a;
    }
}

/* The same as functions of the distance, for filters that are stretched where a result is smaller (antialias). */
static double linear_at(double distance, double a)
{
    (void)a;
    return distance < 1.0 ? 1.0 - distance : 0.0;
}

static double cubic_at(double x, double a)
{
    if (x <= 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    return x < 2.0 ? ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a : 0.0;
}

static const struct {
    const char *name;
    int         taps, first;
    void (*weights)(double *weight, double ratio, double a);
    double (*at)(double distance, double a);
} modes[] = {{"nearest", 1, 0, NULL, NULL},
             {"linear", 2, 0, linear_weights, linear_at},
             {"cubic", 4, -1, cubic_weights, cubic_at}};

enum {
    TRANSFORMATIONS = sizeof transformations / sizeof *transformations,
    ROUNDINGS = sizeof roundings / sizeof *roundings,
    MODES = sizeof modes / sizeof *modes
};

/* Index of the row called name; count where there is none. Each row begins with its name. */
static int find_row(const void *rows, int count, size_t size, const char *name)
{
    int i = 0;
    while (i < count && strcmp(*(const char *const *)(const void *)((const char *)rows + (size_t)i * size), name) != 0)
        i++;
    return i;
}

static int find_transformation(const char *name)
{
    return find_row(transformations, TRANSFORMATIONS, sizeof *transformations, name);
}

static int find_rounding(const char *name) { return find_row(roundings, ROUNDINGS, sizeof *roundings, name); }

static int find_mode(const char *name) { return find_row(modes, MODES, sizeof *modes, name); }

int octet_resize_taps(const char *mode)
{
    const int found = find_mode(mode);
    return found < MODES ? modes[found].taps : 0;
}

const char *octet_resize_unknown(const octet_resize_attrs *attrs)
{
    if (find_mode(attrs->mode) == MODES) return "mode";
    if (find_transformation(attrs->coordinate_transformation_mode) == TRANSFORMATIONS)
        return "coordinate_transformation_mode";
    return find_rounding(attrs->nearest_mode) == ROUNDINGS ? "nearest_mode" : NULL;
}

/* ---- filters that are stretched ---- */

int64_t octet_resize_most_taps(const octet_resize_attrs *attrs, int64_t from, int64_t to)
{
    const int taps = octet_resize_taps(attrs->mode);
    if (!attrs->antialias || taps < 2 || to < 1 || to >= from) return taps;
    return taps * (from / to + 2);
}

/* Weights of the places from floor(x) + *first on that a filter stretched by 1 / scale reaches; they sum up to 1. */
static void stretched_weights(double *weight, int64_t *first, const octet_resize_table *table, double x,
                              const octet_resize_attrs *attrs, double scale)
{
    const int    mode = find_mode(attrs->mode);
    const double below = floor(x), ratio = x - below;
    double       sum = 0.0;
    *first = (int64_t)below - (table->taps / 2 - 1);
    for (int k = 0; k < table->taps; k++) {
        const double distance = fabs((double)(k - (table->taps / 2 - 1)) - ratio) * scale;
        weight[k] = modes[mode].at(distance, (double)attrs->cubic_coeff_a);
        sum += weight[k];
    }
    for (int k = 0; k < table->taps; k++) weight[k] /= sum;
}

/* ---- tables ---- */

/* Far beyond any axis, and exact as int64_t. */
static double bounded(double x) { return x < -0x1p50 ? -0x1p50 : x > 0x1p50 ? 0x1p50 : x; }

static bool inside(int64_t at, int64_t n) { return at >= 0 && at < n; }

/* Weights of places outside become 0, the others sum up to 1 again. */
static void exclude_outside(double *weight, int64_t first, int taps, int64_t n)
{
    double sum = 0.0;
    for (int k = 0; k < taps; k++)
        if (inside(first + k, n)) sum += weight[k];
    if (sum == 0.0) return;
    for (int k = 0; k < taps; k++) weight[k] = inside(first + k, n) ? weight[k] / sum : 0.0;
}

static void fill_place(const octet_resize_table *table, int64_t place, double x, const octet_resize_axis *axis,
                       const octet_resize_attrs *attrs)
{
    const int     mode = find_mode(attrs->mode);
    const int64_t n = axis->from;
    int64_t  *index = table->index + place * table->taps;
    double   *weight = table->weight + place * table->taps;
    int64_t   first;
    if (modes[mode].weights) {
        const double below = floor(x);
        first = (int64_t)below + modes[mode].first;
        if (table->taps > modes[mode].taps)
            stretched_weights(weight, &first, table, x, attrs, axis->scale);
        else
            modes[mode].weights(weight, x - below, (double)attrs->cubic_coeff_a);
        if (attrs->exclude_outside) exclude_outside(weight, first, table->taps, n);
    } else {
        first = (int64_t)roundings[find_rounding(attrs->nearest_mode)].round(x);
        weight[0] = 1.0;
    }
    for (int k = 0; k < table->taps; k++) {
        const int64_t at = first + k;
        index[k] = at < 0 ? 0 : at >= n ? n - 1 : at;
    }
}

static bool stays(const octet_resize_table *table, int64_t place)
{
    bool same = true;
    for (int k = 0; k < table->taps; k++) {
        const int64_t at = place * table->taps + k;
        same = same && (table->weight[at] == 0.0 || (table->weight[at] == 1.0 && table->index[at] == place));
    }
    return same;
}

void octet_resize_fill(octet_resize_table *table, const octet_resize_axis *axis, const octet_resize_attrs *attrs)
{
    const int  transformation = find_transformation(attrs->coordinate_transformation_mode);
    double (*const origin)(const octet_resize_axis *axis, double x) = transformations[transformation].origin;
    const bool crops = origin == tf_crop_and_resize, weighed = modes[find_mode(attrs->mode)].weights != NULL;
    const bool halves = origin == half_pixel || origin == pytorch_half_pixel;
    const bool single = axis->single && weighed && (halves || origin == align_corners);
    table->taps = (int)octet_resize_most_taps(attrs, axis->from, axis->to);
    table->identity = axis->from == axis->to;
    table->any_outside = false;
    for (int64_t i = 0; i < axis->to; i++) {
        const double x = bounded(single ? in_single(axis, (double)i, origin == align_corners)
                                        : origin(axis, (double)i));
        fill_place(table, i, x, axis, attrs);
        table->outside[i] = crops && (x < 0.0 || x > (double)(axis->from - 1));
        table->any_outside = table->any_outside || table->outside[i];
        table->identity = table->identity && stays(table, i);
    }
}
