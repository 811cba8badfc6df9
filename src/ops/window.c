/* SPDX-License-Identifier: Apache-2.0 */
/* Window geometry from untrusted attributes. Every refusal names the attribute. */
#include "ops/window.h"

#include "base/checked.h"
#include "ops/check.h"

#include <inttypes.h>
#include <string.h>

static const int64_t max_step = 0x7fffffff; /* of strides, dilations and kernels */
static const int64_t max_pad = 0xffff;

int64_t octet_product(const int64_t *dims, int n)
{
    int64_t product = 1;
    for (int i = 0; i < n; i++)
        if (!octet_mul64(&product, product, dims[i])) return INT64_MAX;
    return product;
}

/* One entry per spatial dimension from list, or fallback where it is not given. */
static octet_status read_steps(int64_t *to, const octet_ints *list, int rank, const char *field, octet_error *err)
{
    if (list->count != 0 && list->count != rank)
        return octet_fail_field(err, OCTET_ERR_SHAPE, field, "has %d entries; the input has %d spatial dimensions",
                                list->count, rank);
    for (int i = 0; i < rank; i++) {
        to[i] = list->count ? list->at[i] : 1;
        if (to[i] < 1 || to[i] > max_step)
            return octet_fail_field(err, OCTET_ERR_SHAPE, field, "entry %d is %" PRId64 "; it must be at least 1", i,
                                    to[i]);
    }
    return OCTET_OK;
}

static octet_status read_kernel(octet_window *window, const octet_ints *list, const int64_t *weights, octet_error *err)
{
    if (!weights && list->count == 0)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "kernel_shape", "is missing");
    if (weights && list->count == 0) {
        memcpy(window->kernel, weights, (size_t)window->rank * sizeof *weights);
        return OCTET_OK;
    }
    OCTET_TRY(read_steps(window->kernel, list, window->rank, "kernel_shape", err));
    for (int i = 0; weights && i < window->rank; i++)
        if (weights[i] != window->kernel[i])
            return octet_fail_field(err, OCTET_ERR_SHAPE, "kernel_shape",
                                    "entry %d is %" PRId64 " but the weights have %" PRId64, i, window->kernel[i],
                                    weights[i]);
    return OCTET_OK;
}

static octet_status read_pads(octet_window *window, const octet_ints *pads, octet_error *err)
{
    if (pads->count != 0 && pads->count != 2 * window->rank)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "pads", "has %d entries; %d are needed", pads->count,
                                2 * window->rank);
    for (int i = 0; i < pads->count; i++)
        if (pads->at[i] < 0 || pads->at[i] > max_pad)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "pads",
                                    "entry %d is %" PRId64 "; 0 to %" PRId64 " are supported", i, pads->at[i], max_pad);
    for (int i = 0; i < window->rank; i++) {
        window->pad[i] = pads->count ? pads->at[i] : 0;
        window->pad_end[i] = pads->count ? pads->at[i + window->rank] : 0;
    }
    return OCTET_OK;
}

/* SAME: as many outputs as inputs per stride, the odd element of padding after (UPPER) or before (LOWER). */
static void pad_same(octet_window *window, int i, int64_t extent, bool lower)
{
    const int64_t stride = window->stride[i], in = window->in[i];
    const int64_t out = in / stride + (in % stride != 0);
    const int64_t wanted = (out - 1) * stride + extent - in, total = wanted > 0 ? wanted : 0;
    window->pad[i] = (total + (lower ? 1 : 0)) / 2;
    window->pad_end[i] = total - window->pad[i];
}

static octet_status too_large(const octet_window *window, int i, int64_t extent, octet_error *err)
{
    const char *const field = window->dilation[i] > 1 ? "dilations" : "kernel_shape";
    return octet_fail_field(err, OCTET_ERR_SHAPE, field,
                            "the window covers %" PRId64 " elements in dimension %d, the padded input has %" PRId64,
                            extent, i + 2, window->in[i] + window->pad[i] + window->pad_end[i]);
}

/* Outputs of one dimension. With ceil_mode a last, partial window counts if it starts inside the input or its leading
   padding. */
static octet_status count_outputs(octet_window *window, int i, int64_t extent, bool ceil_mode, octet_error *err)
{
    const int64_t room = window->in[i] + window->pad[i] + window->pad_end[i] - extent;
    if (window->in[i] < 1)
        return octet_fail(err, OCTET_ERR_SHAPE, "dimension %d of the input is empty", i + 2);
    if (room < 0) return too_large(window, i, extent, err);
    const int64_t stride = window->stride[i];
    window->out[i] = room / stride + 1;
    if (ceil_mode && room % stride != 0 && window->out[i] * stride < window->in[i] + window->pad[i]) window->out[i]++;
    return OCTET_OK;
}

static octet_status place(octet_window *window, int i, const octet_window_attrs *attrs, octet_error *err)
{
    int64_t extent = 0;
    if (!octet_mul64(&extent, window->kernel[i] - 1, window->dilation[i]) || extent > (int64_t)1 << 40)
        return octet_fail_field(err, OCTET_ERR_SHAPE, window->dilation[i] > 1 ? "dilations" : "kernel_shape",
                                "the window is too large");
    extent++;
    const bool lower = strcmp(attrs->auto_pad, "SAME_LOWER") == 0;
    if (lower || strcmp(attrs->auto_pad, "SAME_UPPER") == 0)
        pad_same(window, i, extent, lower);
    else if (strcmp(attrs->auto_pad, "VALID") == 0)
        window->pad[i] = window->pad_end[i] = 0;
    if (window->pad[i] > max_pad || window->pad_end[i] > max_pad)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "kernel_shape", "the window needs too much padding");
    return count_outputs(window, i, extent, attrs->ceil_mode != 0, err);
}

static octet_status check_auto_pad(const octet_window_attrs *attrs, octet_error *err)
{
    static const char *const pads[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID" };
    for (size_t i = 0; i < sizeof pads / sizeof *pads; i++)
        if (strcmp(pads[i], attrs->auto_pad) == 0) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_FORMAT, "auto_pad", "'%s' is none of NOTSET, SAME_UPPER, SAME_LOWER, VALID",
                            attrs->auto_pad);
}

/* What the attributes say alone. */
static octet_status read_attrs(octet_window *window, const octet_call *call, const int64_t *kernel, octet_error *err)
{
    const octet_window_attrs *const attrs = call->attrs;
    const octet_tensor *const       x = call->in[0];
    if (x->rank < 3)
        return octet_fail(err, OCTET_ERR_SHAPE, "the input has rank %d; at least 3 is needed (batch, channels, space)",
                          x->rank);
    *window = (octet_window){ .rank = x->rank - 2 };
    OCTET_TRY(check_auto_pad(attrs, err));
    OCTET_TRY(read_kernel(window, &attrs->kernel_shape, kernel, err));
    OCTET_TRY(read_steps(window->stride, &attrs->strides, window->rank, "strides", err));
    OCTET_TRY(read_steps(window->dilation, &attrs->dilations, window->rank, "dilations", err));
    return read_pads(window, &attrs->pads, err);
}

octet_status octet_window_make(octet_window *window, const octet_call *call, const int64_t *kernel, octet_error *err)
{
    OCTET_TRY(read_attrs(window, call, kernel, err));
    memcpy(window->in, call->in[0]->dims + 2, (size_t)window->rank * sizeof *window->in);
    for (int i = 0; i < window->rank; i++) OCTET_TRY(place(window, i, call->attrs, err));
    return OCTET_OK;
}

/* ---- transposed ---- */

static const int64_t max_extent = (int64_t)1 << 40;

/* One entry per spatial dimension, from 0 on, of a list that may be missing. */
static octet_status read_sizes(int64_t *to, const octet_ints *list, int rank, int64_t least, const char *field,
                               octet_error *err)
{
    if (list->count != 0 && list->count != rank)
        return octet_fail_field(err, OCTET_ERR_SHAPE, field, "has %d entries; the input has %d spatial dimensions",
                                list->count, rank);
    for (int i = 0; i < rank; i++) {
        to[i] = list->count ? list->at[i] : 0;
        if (list->count && (to[i] < least || to[i] > max_step))
            return octet_fail_field(err, OCTET_ERR_SHAPE, field,
                                    "entry %d is %" PRId64 "; it must be at least %" PRId64, i, to[i], least);
    }
    return OCTET_OK;
}

/* Pads that give the wanted extent of what the windows cover; the odd one goes behind where auto_pad says UPPER. */
static void pad_to(octet_window *window, int i, int64_t covered, int64_t wanted, bool upper)
{
    const int64_t total = covered > wanted ? covered - wanted : 0;
    window->pad[i] = upper ? total / 2 : total - total / 2;
    window->pad_end[i] = total - window->pad[i];
    window->in[i] = wanted;
}

/* sizes: the output's additional padding, and its given extent. */
static octet_status place_transposed(octet_window *window, int i, const octet_window_attrs *attrs,
                                     const int64_t sizes[2], octet_error *err)
{
    const bool upper = strcmp(attrs->auto_pad, "SAME_UPPER") == 0;
    const bool same = upper || strcmp(attrs->auto_pad, "SAME_LOWER") == 0;
    int64_t    extent = 0, steps = 0;
    if (window->out[i] < 1) return octet_fail(err, OCTET_ERR_SHAPE, "dimension %d of the input is empty", i + 2);
    if (!octet_mul64(&extent, window->kernel[i] - 1, window->dilation[i]) || extent > max_extent ||
        !octet_mul64(&steps, window->out[i], window->stride[i]) || steps > max_extent)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "strides", "the output would be too large");
    const int64_t covered = steps - window->stride[i] + extent + 1 + sizes[0];
    if (strcmp(attrs->auto_pad, "VALID") == 0) window->pad[i] = window->pad_end[i] = 0;
    if (same || attrs->output_shape.count)
        pad_to(window, i, covered, attrs->output_shape.count ? sizes[1] : steps, upper);
    else
        window->in[i] = covered - window->pad[i] - window->pad_end[i];
    if (window->in[i] < 1)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "pads", "nothing is left of dimension %d of the output", i + 2);
    return OCTET_OK;
}

octet_status octet_window_make_transposed(octet_window *window, const octet_call *call, const int64_t *kernel,
                                          octet_error *err)
{
    const octet_window_attrs *const attrs = call->attrs;
    int64_t                         padding[OCTET_SPATIAL_MAX], shape[OCTET_SPATIAL_MAX];
    OCTET_TRY(read_attrs(window, call, kernel, err));
    memcpy(window->out, call->in[0]->dims + 2, (size_t)window->rank * sizeof *window->out);
    OCTET_TRY(read_sizes(padding, &attrs->output_padding, window->rank, 0, "output_padding", err));
    OCTET_TRY(read_sizes(shape, &attrs->output_shape, window->rank, 1, "output_shape", err));
    for (int i = 0; i < window->rank; i++)
        OCTET_TRY(place_transposed(window, i, attrs, (const int64_t[]){ padding[i], shape[i] }, err));
    return OCTET_OK;
}

octet_status octet_window_output(const octet_call *call, int index, octet_dtype dtype, int64_t channels,
                                 const octet_window *window, octet_error *err)
{
    if (!octet_has_output(call, index)) return OCTET_OK;
    int64_t dims[OCTET_MAX_RANK] = { call->in[0]->dims[0], channels };
    memcpy(dims + 2, window->out, (size_t)window->rank * sizeof *dims);
    return octet_set_output(call->out[index], dtype, dims, window->rank + 2, err);
}
