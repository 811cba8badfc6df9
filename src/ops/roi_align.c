/* SPDX-License-Identifier: Apache-2.0 */
/* RoiAlign: X [N, C, H, W], rois [number, (x1, y1, x2, y2)], batch_indices [number]. Each output pools a grid of points
   of its region, each interpolated linearly from four pixels, all in double. Mode max takes the largest of the four
   weighted pixels of all points, as ONNX's own implementations do. */
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define AT(field) offsetof(octet_roi_align_attrs, field)

static const octet_attr attrs[] = {
    { "coordinate_transformation_mode", OCTET_ATTR_STRING, AT(coordinate_transformation_mode),
      .default_s = "half_pixel" },
    { "mode", OCTET_ATTR_STRING, AT(mode), .default_s = "avg" },
    { "output_height", OCTET_ATTR_INT, AT(output_height), .default_i = 1, .min = 1, .max = 0xffff },
    { "output_width", OCTET_ATTR_INT, AT(output_width), .default_i = 1, .min = 1, .max = 0xffff },
    { "sampling_ratio", OCTET_ATTR_INT, AT(sampling_ratio), .min = 0, .max = 0xffff },
    { "spatial_scale", OCTET_ATTR_FLOAT, AT(spatial_scale), .default_f = 1 },
    { 0 },
};

static bool one_of(const char *text, const char *a, const char *b) { return !strcmp(text, a) || !strcmp(text, b); }

static octet_status infer(const octet_call *call, octet_error *err)
{
    const octet_roi_align_attrs *const a = call->attrs;
    const octet_tensor *const          x = call->in[0], *const rois = call->in[1], *const batch = call->in[2];
    if (!one_of(a->mode, "avg", "max"))
        return octet_fail_field(err, OCTET_ERR_FORMAT, "mode", "'%.20s' is neither avg nor max", a->mode);
    if (!one_of(a->coordinate_transformation_mode, "half_pixel", "output_half_pixel"))
        return octet_fail_field(err, OCTET_ERR_FORMAT, "coordinate_transformation_mode",
                                "'%.20s' is neither half_pixel nor output_half_pixel",
                                a->coordinate_transformation_mode);
    if (!isfinite(a->spatial_scale))
        return octet_fail_field(err, OCTET_ERR_FORMAT, "spatial_scale", "a finite number is needed");
    if (x->rank != 4 || x->dims[2] < 1 || x->dims[3] < 1)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "X", "an image of 4 dimensions, none empty, is needed");
    OCTET_TRY(octet_check_same_type(call, 1, "rois", err));
    if (rois->rank != 2 || rois->dims[1] != 4)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "rois", "a list of 4 coordinates each is needed");
    if (batch->rank != 1 || batch->dims[0] != rois->dims[0] || batch->dtype != OCTET_I64)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "batch_indices", "%" PRId64 " int64 numbers are needed",
                                rois->dims[0]);
    const int64_t dims[] = { rois->dims[0], x->dims[1], a->output_height, a->output_width };
    return octet_set_output(call->out[0], x->dtype, dims, 4, err);
}

/* A region, and how its outputs are sampled: rows in [0], columns in [1]. */
typedef struct region {
    double  start[2], bin[2];
    int64_t points[2];
} region;

enum { MOST_POINTS = 1 << 12 }; /* along a side of one output: regions come from the network's input */

static region region_of(const octet_call *call, int64_t roi)
{
    const octet_roi_align_attrs *const a = call->attrs;
    const bool          half = !strcmp(a->coordinate_transformation_mode, "half_pixel");
    const int64_t       outputs[2] = { a->output_height, a->output_width };
    octet_wide          corner[4];
    region              r;
    octet_wide_load(corner, call->in[1]->data, call->in[1]->dtype, roi * 4, 4, 1);
    for (int i = 0; i < 2; i++) {
        const double scale = (double)a->spatial_scale, shift = half ? 0.5 : 0;
        const double start = corner[1 - i].f * scale - shift, end = corner[3 - i].f * scale - shift;
        const double size = half ? end - start : fmax(end - start, 1);
        r.start[i] = start;
        r.bin[i] = size / (double)outputs[i];
        const double points = ceil(size / (double)outputs[i]);
        r.points[i] = a->sampling_ratio > 0          ? a->sampling_ratio
                      : points > (double)MOST_POINTS ? MOST_POINTS
                      : points >= 1                  ? (int64_t)points
                                                     : 0;
    }
    return r;
}

/* The pixel before x, the one behind it, and the latter's weight; false: x lies outside. */
static bool neighbours(int64_t at[2], double *weight, double x, int64_t n)
{
    if (!(x >= -1.0 && x <= (double)n)) return false;
    const double inside = x > 0 ? x : 0;
    at[0] = (int64_t)inside;
    *weight = inside - (double)at[0];
    if (at[0] >= n - 1) {
        at[0] = n - 1;
        *weight = 0;
    }
    at[1] = at[0] + 1 < n ? at[0] + 1 : at[0];
    return true;
}

typedef struct pooled {
    double sum, largest;
    bool   any;
} pooled;

static void add_point(pooled *to, const octet_tensor *x, int64_t plane, const double point[2])
{
    int64_t    row[2], column[2];
    double     down, right, share[4];
    octet_wide pixel;
    double     sum = 0, largest = -INFINITY;
    if (neighbours(row, &down, point[0], x->dims[2]) && neighbours(column, &right, point[1], x->dims[3])) {
        for (int i = 0; i < 4; i++) {
            octet_wide_load(&pixel, x->data, x->dtype, plane + row[i / 2] * x->dims[3] + column[i % 2], 1, 1);
            share[i] = pixel.f * (i / 2 ? down : 1 - down) * (i % 2 ? right : 1 - right);
            sum += share[i];
            largest = fmax(largest, share[i]);
        }
    } else {
        largest = 0;
    }
    to->sum += sum;
    to->largest = to->any ? fmax(to->largest, largest) : largest;
    to->any = true;
}

static double pool(const octet_call *call, const region *r, int64_t plane, int64_t output)
{
    const octet_roi_align_attrs *const a = call->attrs;
    const int64_t                      index[2] = { output / a->output_width, output % a->output_width };
    pooled                             p = { 0 };
    for (int64_t i = 0; i < r->points[0]; i++)
        for (int64_t k = 0; k < r->points[1]; k++) {
            const int64_t at[2] = { i, k };
            double        point[2];
            for (int d = 0; d < 2; d++)
                point[d] = r->start[d] + ((double)index[d] + ((double)at[d] + 0.5) / (double)r->points[d]) * r->bin[d];
            add_point(&p, call->in[0], plane, point);
        }
    const int64_t count = r->points[0] * r->points[1];
    return !strcmp(a->mode, "max") ? p.largest : p.sum / (double)(count > 0 ? count : 1);
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0], *const y = call->out[0];
    const int64_t             channels = x->dims[1], size = x->dims[2] * x->dims[3], outputs = y->dims[2] * y->dims[3];
    for (int64_t i = 0; i < y->dims[0]; i++) {
        const int64_t image = ((const int64_t *)call->in[2]->data)[i];
        const region  r = region_of(call, i);
        if (image < 0 || image >= x->dims[0])
            return octet_fail_field(err, OCTET_ERR_SHAPE, "batch_indices", "there is no image %" PRId64, image);
        for (int64_t c = 0; c < channels; c++)
            for (int64_t o = 0; o < outputs; o++) {
                const octet_wide value = { .f = pool(call, &r, (image * channels + c) * size, o) };
                octet_wide_store(y->data, y->dtype, (i * channels + c) * outputs + o, &value, 1);
            }
    }
    return OCTET_OK;
}

const octet_op octet_op_roi_align = {
    .name = "RoiAlign",
    .since = 16,
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_FLOAT | 1u << OCTET_F16,
    .attrs = attrs,
    .attrs_size = sizeof(octet_roi_align_attrs),
    .infer = infer,
    .forward = forward,
};
