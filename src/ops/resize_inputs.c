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

static octet_status read_roi(octet_resize_axis *axes, const octet_call *call, octet_error *err)
{
    const octet_resize_attrs *const attrs = call->attrs;
    const int                       rank = call->in[0]->rank;
    double                          roi[2 * OCTET_MAX_RANK];
    if (strcmp(attrs->coordinate_transformation_mode, "tf_crop_and_resize") != 0) return OCTET_OK;
    OCTET_TRY(known_floats(roi, call, 1, 2 * rank, "roi", err));
    for (int i = 0; i < rank; i++) {
        axes[i].start = roi[i];
        axes[i].end = roi[i + rank];
    }
    return OCTET_OK;
}

static octet_status read_sizes(octet_resize_axis *axes, const octet_call *call, octet_error *err)
{
    octet_ints sizes;
    OCTET_TRY(octet_known_ints(&sizes, call, 3, "sizes", err));
    if (sizes.count != call->in[0]->rank)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "sizes", "%d sizes for %d dimensions", sizes.count,
                                call->in[0]->rank);
    for (int i = 0; i < sizes.count; i++) {
        if (sizes.at[i] < 0 || (axes[i].from == 0 && sizes.at[i] > 0))
            return octet_fail_field(err, OCTET_ERR_SHAPE, "sizes", "an axis of %lld entries cannot become %lld long",
                                    (long long)axes[i].from, (long long)sizes.at[i]);
        axes[i].to = sizes.at[i];
        axes[i].length = (double)axes[i].to;
        axes[i].scale = axes[i].from > 0 ? (double)axes[i].to / (double)axes[i].from : 1.0;
    }
    return OCTET_OK;
}

static octet_status read_scales(octet_resize_axis *axes, const octet_call *call, octet_error *err)
{
    double scales[2 * OCTET_MAX_RANK];
    OCTET_TRY(known_floats(scales, call, 2, call->in[0]->rank, "scales", err));
    for (int i = 0; i < call->in[0]->rank; i++) {
        const double part = axes[i].end - axes[i].start; /* 1 but for tf_crop_and_resize */
        /* in float32, as ONNX's shape inference does: 0.7f * 10 is 7 */
        const double to = floor((double)((float)axes[i].from * (float)scales[i] * (float)part));
        if (scales[i] <= 0.0 || !(to >= 0.0 && to < 0x1p62))
            return octet_fail_field(err, OCTET_ERR_SHAPE, "scales", "a scale of %g for an axis of %lld entries",
                                    scales[i], (long long)axes[i].from);
        axes[i].to = (int64_t)to;
        axes[i].length = (double)axes[i].from * scales[i];
        axes[i].scale = scales[i];
    }
    return OCTET_OK;
}

octet_status octet_resize_axes(octet_resize_axis *axes, const octet_call *call, octet_error *err)
{
    const bool scales = given(call, 2), sizes = given(call, 3);
    for (int i = 0; i < call->in[0]->rank; i++) axes[i] = (octet_resize_axis){.from = call->in[0]->dims[i], .end = 1.0};
    if (scales == sizes)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "scales", "%s of 'scales' and 'sizes' is given, one is needed",
                                scales ? "each" : "none");
    OCTET_TRY(read_roi(axes, call, err));
    return sizes ? read_sizes(axes, call, err) : read_scales(axes, call, err);
}
