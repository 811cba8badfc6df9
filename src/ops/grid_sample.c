/* SPDX-License-Identifier: Apache-2.0 */
/* GridSample: X [N, C, space...], grid [N, out..., axes] of coordinates in -1..1, the last axis first. Each result is a
   sum over the places around its point, all in double, as ONNX's reference has it: one table of places and weights per
   axis, as Resize's. */
#include "base/parallel.h"
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/rows.h"
#include "ops/wide.h"
#include "ops/window.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define AT(field) offsetof(octet_grid_sample_attrs, field)

static const octet_attr attrs[] = {
    { "align_corners", OCTET_ATTR_INT, AT(align_corners), .max = 1 },
    { "mode", OCTET_ATTR_STRING, AT(mode), .default_s = "bilinear" },
    { "padding_mode", OCTET_ATTR_STRING, AT(padding_mode), .default_s = "zeros" },
    { 0 },
};

enum { TAPS = 4 };

/* The places around x of an axis of n entries, and their weights. */
typedef struct places {
    int     count;
    int64_t at[TAPS];
    double  weight[TAPS];
} places;

/* ---- modes ---- */

static places nearest(double x) { return (places){ .count = 1, .at = { (int64_t)rint(x) }, .weight = { 1 } }; }

static places linear(double x)
{
    const double below = floor(x);
    return (places){ .count = 2, .at = { (int64_t)below, (int64_t)below + 1 }, .weight = { below + 1 - x, x - below } };
}

static double cubic_near(double x, double a) { return ((a + 2) * x - (a + 3)) * x * x + 1; }
static double cubic_far(double x, double a) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; }

static places cubic(double x)
{
    const double a = -0.75, below = floor(x), r = x - below;
    places       p = { .count = 4, .weight = { cubic_far(r + 1, a), cubic_near(r, a), cubic_near(1 - r, a),
                                               cubic_far(2 - r, a) } };
    for (int i = 0; i < 4; i++) p.at[i] = (int64_t)below - 1 + i;
    return p;
}

static const struct {
    const char *name;
    places (*around)(double x);
} modes[] = { { "nearest", nearest }, { "bilinear", linear }, { "bicubic", cubic }, { "linear", linear },
              { "cubic", cubic } }; /* opset 20 renamed them */

/* ---- what lies outside ---- */

static double clamp(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }

static double stay(double x, double lo, double hi)
{
    (void)lo, (void)hi;
    return x;
}

/* Back and forth between lo and hi. */
static double reflect(double x, double lo, double hi)
{
    const double range = hi - lo;
    if (range <= 0) return lo;
    const double away = x < lo ? lo - x : x > hi ? x - hi : 0;
    const double turns = floor(away / range), rest = away - turns * range;
    const bool   even = fmod(turns, 2) == 0;
    if (x < lo) return even ? lo + rest : hi - rest;
    if (x > hi) return even ? hi - rest : lo + rest;
    return x;
}

static const struct {
    const char *name;
    double (*bring)(double x, double lo, double hi);
} paddings[] = { { "zeros", stay }, { "border", clamp }, { "reflection", reflect } };

enum { MODES = sizeof modes / sizeof *modes, PADDINGS = sizeof paddings / sizeof *paddings };

static int find_mode(const char *name)
{
    int i = 0;
    while (i < MODES && strcmp(modes[i].name, name) != 0) i++;
    return i;
}

static int find_padding(const char *name)
{
    int i = 0;
    while (i < PADDINGS && strcmp(paddings[i].name, name) != 0) i++;
    return i;
}

/* ---- validation ---- */

static octet_status infer(const octet_call *call, octet_error *err)
{
    const octet_grid_sample_attrs *const a = call->attrs;
    const octet_tensor *const            x = call->in[0], *const grid = call->in[1];
    const int                            space = x->rank - 2;
    if (find_mode(a->mode) == MODES)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "mode", "'%.20s' is none of bilinear, nearest, bicubic",
                                a->mode);
    if (find_padding(a->padding_mode) == PADDINGS)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "padding_mode", "'%.20s' is none of zeros, border, reflection",
                                a->padding_mode);
    if (space < 1 || grid->rank != x->rank || grid->dims[grid->rank - 1] != space)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "grid",
                                "a grid of rank %d does not have %d coordinates for each point of an input of rank %d",
                                grid->rank, space, x->rank);
    if (grid->dims[0] != x->dims[0])
        return octet_fail_field(err, OCTET_ERR_SHAPE, "grid", "has %" PRId64 " samples, the input %" PRId64,
                                grid->dims[0], x->dims[0]);
    if (!octet_dtype_is_float(grid->dtype))
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "grid", "floats are needed");
    for (int i = 2; i < x->rank; i++)
        if (x->dims[i] < 1) return octet_fail(err, OCTET_ERR_SHAPE, "dimension %d of the input is empty", i);
    int64_t dims[OCTET_MAX_RANK] = { x->dims[0], x->dims[1] };
    memcpy(dims + 2, grid->dims + 1, (size_t)space * sizeof *dims);
    return octet_set_output(call->out[0], x->dtype, dims, x->rank, err);
}

/* ---- sampling ---- */

/* Far beyond any axis, and exact as int64_t; NaN is taken for the beginning. */
static double bounded(double x) { return x >= -0x1p50 && x <= 0x1p50 ? x : x > 0 ? 0x1p50 : -0x1p50; }

/* Places of one coordinate; those outside are -1. */
static places places_of(const octet_grid_sample_attrs *a, double coordinate, int64_t n)
{
    const double last = (double)(n - 1), lo = a->align_corners ? 0 : -0.5, hi = a->align_corners ? last : last + 0.5;
    const double point = bounded(a->align_corners ? (coordinate + 1) / 2 * last
                                                  : ((coordinate + 1) * (double)n - 1) / 2);
    const int    padding = find_padding(a->padding_mode);
    const int    mode = find_mode(a->mode);
    const bool   cubic_mode = modes[mode].around == cubic, zeros = paddings[padding].bring == stay;
    double       x = point;
    if (!cubic_mode && (x < lo || x > hi || paddings[padding].bring == clamp))
        x = paddings[padding].bring == clamp ? clamp(x, 0, last) : paddings[padding].bring(x, lo, hi);
    places p = modes[mode].around(x);
    for (int i = 0; i < p.count; i++) {
        const bool inside = p.at[i] >= 0 && p.at[i] < n;
        if (inside) continue;
        const double back = paddings[padding].bring == clamp ? clamp((double)p.at[i], 0, last)
                                                             : paddings[padding].bring((double)p.at[i], lo, hi);
        p.at[i] = zeros ? -1 : (int64_t)clamp(back, 0, last);
    }
    return p;
}

/* The sum over all combinations of places of the axes. */
static double sample(const octet_tensor *x, int64_t plane, const places *axis)
{
    const int space = x->rank - 2;
    int       index[OCTET_SPATIAL_MAX] = { 0 };
    double    sum = 0;
    for (int i = 0; i >= 0;) {
        int64_t at = 0;
        double  weight = 1;
        bool    inside = true;
        for (i = 0; i < space; i++) {
            inside = inside && axis[i].at[index[i]] >= 0;
            at = at * x->dims[2 + i] + axis[i].at[index[i]];
            weight *= axis[i].weight[index[i]];
        }
        octet_wide value;
        if (inside) octet_wide_load(&value, x->data, x->dtype, plane + at, 1, 1);
        if (inside) sum += weight * value.f;
        for (i = space - 1; i >= 0 && ++index[i] == axis[i].count; i--) index[i] = 0;
    }
    return sum;
}

/* All points of one sample and channel. */
static void sample_plane(void *context, size_t plane)
{
    const octet_call *const   call = context;
    const octet_tensor *const x = call->in[0], *const grid = call->in[1], *const y = call->out[0];
    const int                 space = x->rank - 2;
    const int64_t             size = octet_product(x->dims + 2, space), points = octet_product(y->dims + 2, space);
    const int64_t             first = (int64_t)plane / x->dims[1] * points;
    for (int64_t i = 0; i < points; i++) {
        octet_wide coordinate[OCTET_SPATIAL_MAX], value;
        places     axis[OCTET_SPATIAL_MAX];
        octet_wide_load(coordinate, grid->data, grid->dtype, (first + i) * space, (size_t)space, 1);
        for (int k = 0; k < space; k++) axis[k] = places_of(call->attrs, coordinate[space - 1 - k].f, x->dims[2 + k]);
        value.f = sample(x, (int64_t)plane * size, axis);
        octet_wide_store(y->data, y->dtype, (int64_t)plane * points + i, &value, 1);
    }
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    (void)err;
    octet_call local = *call;
    octet_parallel((size_t)(call->in[0]->dims[0] * call->in[0]->dims[1]), call->threads, sample_plane, &local);
    return OCTET_OK;
}

const octet_op octet_op_grid_sample = {
    .name = "GridSample",
    .since = 16,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_FLOAT | 1u << OCTET_F16,
    .attrs = attrs,
    .attrs_size = sizeof(octet_grid_sample_attrs),
    .infer = infer,
    .forward = forward,
};
