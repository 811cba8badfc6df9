/* SPDX-License-Identifier: Apache-2.0 */
/* What Resize's inputs ask for: roi, and either scales or sizes. */
#include "ops/check.h"
#include "ops/resize_axis.h"
#include "ops/wide.h"

#include <math.h>
#include <string.h>

/* An empty tensor is as good as none. */
static bool given(const octet_call *call, int slot)
{
    return octet_has_input(call, slot) && octet_tensor_count(call->in[slot]) != 0;
}

/* A list of count finite floats that is known by now. */
static octet_status known_floats(double *list, const octet_call *call, int slot, int count, const char *name,
                                 octet_error *err)
{
    OCTET_TRY(octet_check_known(call, slot, name, err));
    const octet_tensor *const in = call->in[slot];
    if (!octet_dtype_is_float(in->dtype) || in->rank != 1 || in->dims[0] != count)
        return octet_fail_field(err, OCTET_ERR_SHAPE, name, "input '%s' must be a list of %d floats", name, count);
    octet_wide value[2 * OCTET_MAX_RANK];
    octet_wide_load(value, in->data, in->dtype, 0, (size_t)count, 1);
    for (int i = 0; i < count; i++) {
        list[i] = value[i].f;
        if (!isfinite(list[i]))
            return octet_fail_field(err, OCTET_ERR_SHAPE, name, "entry %d of '%s' is %g", i, name, list[i]);
    }
    return OCTET_OK;
}

/* The axes that roi, scales and sizes speak of: axis[i] of entry i. */
typedef struct named_axes {
    int count, axis[OCTET_INTS_MAX];
} named_axes;

static octet_status read_axes(named_axes *named, const octet_call *call, octet_error *err)
{
    const octet_resize_attrs *const attrs = call->attrs;
    const int                       rank = call->in[0]->rank;
    named->count = attrs->axes.count ? attrs->axes.count : rank;
    for (int i = 0; i < rank; i++) named->axis[i] = i;
    return attrs->axes.count ? octet_check_axes(named->axis, &attrs->axes, rank, "axes", err) : OCTET_OK;
}

static octet_status read_roi(octet_resize_axis *axes, const octet_call *call, const named_axes *named, octet_error *err)
{
    const octet_resize_attrs *const attrs = call->attrs;
    double                          roi[2 * OCTET_MAX_RANK];
    if (strcmp(attrs->coordinate_transformation_mode, "tf_crop_and_resize") != 0) return OCTET_OK;
    OCTET_TRY(known_floats(roi, call, 1, 2 * named->count, "roi", err));
    for (int i = 0; i < named->count; i++) {
        axes[named->axis[i]].start = roi[i];
        axes[named->axis[i]].end = roi[i + named->count];
    }
    return OCTET_OK;
}

static octet_status set_size(octet_resize_axis *axis, int64_t size, octet_error *err)
{
    if (size < 0 || (axis->from == 0 && size > 0))
        return octet_fail_field(err, OCTET_ERR_SHAPE, "sizes", "an axis of %lld entries cannot become %lld long",
                                (long long)axis->from, (long long)size);
    axis->to = size;
    axis->length = (double)axis->to;
    axis->scale = axis->from > 0 ? (double)axis->to / (double)axis->from : 1.0;
    return OCTET_OK;
}

/* One scale for all the axes: the least ("not_larger") or the largest of those that the sizes ask for. */
static octet_status keep_ratio(octet_resize_axis *axes, const named_axes *named, bool least, octet_error *err)
{
    double scale = axes[named->axis[0]].scale;
    for (int i = 1; i < named->count; i++) {
        const double other = axes[named->axis[i]].scale;
        if (least ? other < scale : other > scale) scale = other;
    }
    for (int i = 0; i < named->count; i++) {
        octet_resize_axis *const axis = &axes[named->axis[i]];
        const double             to = floor((double)axis->from * scale + 0.5);
        if (!(to >= 0.0 && to < 0x1p62))
            return octet_fail_field(err, OCTET_ERR_SHAPE, "sizes", "the result would be too large");
        axis->to = (int64_t)to;
        axis->length = (double)axis->from * scale;
        axis->scale = scale;
    }
    return OCTET_OK;
}

static octet_status read_sizes(octet_resize_axis *axes, const octet_call *call, const named_axes *named,
                               octet_error *err)
{
    const char *const policy = ((const octet_resize_attrs *)call->attrs)->keep_aspect_ratio_policy;
    const bool        least = !strcmp(policy, "not_larger"), most = !strcmp(policy, "not_smaller");
    octet_ints        sizes;
    OCTET_TRY(octet_known_ints(&sizes, call, 3, "sizes", err));
    if (sizes.count != named->count)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "sizes", "%d sizes for %d dimensions", sizes.count, named->count);
    if (!least && !most && strcmp(policy, "stretch") != 0)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "keep_aspect_ratio_policy",
                                "'%.20s' is none of stretch, not_larger, not_smaller", policy);
    for (int i = 0; i < sizes.count; i++) OCTET_TRY(set_size(&axes[named->axis[i]], sizes.at[i], err));
    return (least || most) && named->count ? keep_ratio(axes, named, least, err) : OCTET_OK;
}

static octet_status read_scales(octet_resize_axis *axes, const octet_call *call, const named_axes *named,
                                octet_error *err)
{
    double scales[2 * OCTET_MAX_RANK];
    OCTET_TRY(known_floats(scales, call, 2, named->count, "scales", err));
    for (int i = 0; i < named->count; i++) {
        octet_resize_axis *const axis = &axes[named->axis[i]];
        const double             part = axis->end - axis->start; /* 1 but for tf_crop_and_resize */
        /* in float32, as ONNX's shape inference does: 0.7f * 10 is 7 */
        const double to = floor((double)((float)axis->from * (float)scales[i] * (float)part));
        if (scales[i] <= 0.0 || !(to >= 0.0 && to < 0x1p62))
            return octet_fail_field(err, OCTET_ERR_SHAPE, "scales", "a scale of %g for an axis of %lld entries",
                                    scales[i], (long long)axis->from);
        axis->to = (int64_t)to;
        axis->length = (double)axis->from * scales[i];
        axis->scale = scales[i];
    }
    return OCTET_OK;
}

octet_status octet_resize_axes(octet_resize_axis *axes, const octet_call *call, octet_error *err)
{
    const bool scales = given(call, 2), sizes = given(call, 3);
    named_axes named;
    for (int i = 0; i < call->in[0]->rank; i++) {
        const int64_t from = call->in[0]->dims[i];
        axes[i] = (octet_resize_axis){.from = from, .to = from, .scale = 1.0, .length = (double)from, .end = 1.0};
    }
    if (scales == sizes)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "scales", "%s of 'scales' and 'sizes' is given, one is needed",
                                scales ? "each" : "none");
    OCTET_TRY(read_axes(&named, call, err));
    OCTET_TRY(read_roi(axes, call, &named, err));
    return sizes ? read_sizes(axes, call, &named, err) : read_scales(axes, call, &named, err);
}
