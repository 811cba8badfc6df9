/* SPDX-License-Identifier: Apache-2.0 */
/* Resize: X, roi, scales, sizes. Nearest copies elements; linear and cubic go over the axes one by one, the last axis
   first, each result being ((w0*x0 + w1*x1) + w2*x2) + w3*x3 in that order. Levels do the same in float32 on
   level - zero_point and are rescaled once at the end (docs/arithmetic.md). */
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/move.h"
#include "ops/rescale.h"
#include "ops/resize_axis.h"
#include "ops/rows.h"
#include "ops/wide.h"
#include "ops/window.h"

#include <math.h>
#include <string.h>

static const octet_attr rows[] = {
    {.name = "antialias", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_resize_attrs, antialias), .max = 1},
    {.name = "axes", .kind = OCTET_ATTR_INTS, .offset = offsetof(octet_resize_attrs, axes)},
    {.name = "coordinate_transformation_mode",
     .kind = OCTET_ATTR_STRING,
     .offset = offsetof(octet_resize_attrs, coordinate_transformation_mode),
     .default_s = "half_pixel"},
    {.name = "cubic_coeff_a",
     .kind = OCTET_ATTR_FLOAT,
     .offset = offsetof(octet_resize_attrs, cubic_coeff_a),
     .default_f = -0.75f},
    {.name = "exclude_outside",
     .kind = OCTET_ATTR_INT,
     .offset = offsetof(octet_resize_attrs, exclude_outside),
     .max = 1},
    {.name = "extrapolation_value",
     .kind = OCTET_ATTR_FLOAT,
     .offset = offsetof(octet_resize_attrs, extrapolation_value)},
    {.name = "keep_aspect_ratio_policy",
     .kind = OCTET_ATTR_STRING,
     .offset = offsetof(octet_resize_attrs, keep_aspect_ratio_policy),
     .default_s = "stretch"},
    {.name = "mode", .kind = OCTET_ATTR_STRING, .offset = offsetof(octet_resize_attrs, mode), .default_s = "nearest"},
    {.name = "nearest_mode",
     .kind = OCTET_ATTR_STRING,
     .offset = offsetof(octet_resize_attrs, nearest_mode),
     .default_s = "round_prefer_floor"},
    {.kind = OCTET_ATTR_END},
};

static octet_status infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const       in = call->in[0];
    const octet_resize_attrs *const attrs = call->attrs;
    const char *const               unknown = octet_resize_unknown(attrs);
    octet_resize_axis               axes[OCTET_MAX_RANK];
    int64_t                         dims[OCTET_MAX_RANK];
    if (unknown) return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, unknown, "the mode is not one of ONNX");
    if (!isfinite(attrs->cubic_coeff_a))
        return octet_fail_field(err, OCTET_ERR_FORMAT, "cubic_coeff_a", "a finite number is needed");
    OCTET_TRY(octet_resize_axes(axes, call, err));
    for (int i = 0; i < in->rank; i++) dims[i] = axes[i].to;
    return octet_set_output(call->out[0], in->dtype, dims, in->rank, err);
}

/* ---- scratch: a table per axis, then two buffers ---- */

/* One place of an axis: the result's row of inner elements, and the original's n rows that it looks at. */
typedef void place_function(void *result, void *original, const octet_resize_table *place, int64_t inner);

typedef struct layout {
    octet_resize_table tables[OCTET_MAX_RANK];
    void              *buffer[2];
    size_t             element; /* bytes of a number in the buffers, 0 for none */
    place_function    *place;
    size_t             bytes;
} layout;

/* The largest result between two axes, in elements; the last axis goes first. */
static size_t largest_stage(const octet_tensor *in, const octet_tensor *out)
{
    size_t largest = 0;
    for (int done = 0; done <= in->rank; done++) {
        size_t count = 1;
        for (int i = 0; i < in->rank; i++) count *= (size_t)(i >= in->rank - done ? out->dims[i] : in->dims[i]);
        largest = count > largest ? count : largest;
    }
    return largest;
}

static layout lay_out(const octet_call *call, size_t element)
{
    const octet_resize_attrs *const attrs = call->attrs;
    const octet_tensor *const       out = call->out[0];
    char *const                     base = call->scratch;
    layout                          plan = {.element = element};
    for (int i = 0; i < out->rank; i++) {
        const size_t        places = (size_t)out->dims[i];
        const size_t        taps = (size_t)octet_resize_most_taps(attrs, call->in[0]->dims[i], out->dims[i]);
        octet_resize_table *table = &plan.tables[i];
        if (base) {
            table->index = (int64_t *)(void *)(base + plan.bytes);
            table->weight = (double *)(void *)(base + plan.bytes + octet_aligned(places * taps * sizeof(int64_t)));
            table->outside = (uint8_t *)base + plan.bytes + 2 * octet_aligned(places * taps * sizeof(int64_t));
        }
        plan.bytes += 2 * octet_aligned(places * taps * sizeof(int64_t)) + octet_aligned(places);
    }
    for (int k = 0; element > 0 && k < 2; k++) {
        if (base) plan.buffer[k] = base + plan.bytes;
        plan.bytes += octet_aligned(largest_stage(call->in[0], out) * element);
    }
    return plan;
}

static size_t element_size(const octet_call *call, bool integer)
{
    const octet_resize_attrs *const attrs = call->attrs;
    if (octet_resize_taps(attrs->mode) == 1) return 0;
    return integer || call->in[0]->dtype == OCTET_F32 ? sizeof(float) : sizeof(double);
}

static size_t scratch_size(const octet_call *call, bool integer)
{
    octet_call sizing = *call;
    sizing.scratch = NULL;
    return lay_out(&sizing, element_size(call, integer)).bytes + octet_levels_scratch(call, integer);
}

static octet_status prepare(layout *plan, const octet_call *call, size_t element, octet_error *err)
{
    octet_resize_axis axes[OCTET_MAX_RANK];
    int64_t           dims[OCTET_MAX_RANK];
    OCTET_TRY(octet_resize_axes(axes, call, err));
    for (int i = 0; i < call->in[0]->rank; i++) dims[i] = axes[i].to;
    OCTET_TRY(octet_check_planned(call->out[0], dims, call->in[0]->rank, err));
    *plan = lay_out(call, element);
    for (int i = 0; i < call->in[0]->rank; i++) {
        axes[i].single = call->in[0]->qparams && call->profile->resize_single;
        octet_resize_fill(&plan->tables[i], &axes[i], call->attrs);
    }
    return OCTET_OK;
}

/* ---- nearest ---- */

static octet_walk rows_of(const octet_tensor *out)
{
    octet_walk walk = {.rank = out->rank};
    for (int i = 0; i < out->rank; i++) walk.dims[i] = out->dims[i];
    octet_dense_steps(walk.step[0], out->dims, out->rank);
    return walk;
}

static inline __attribute__((always_inline)) void pick(char *to, const char *from, const int64_t *index, int64_t n,
                                                       size_t size)
{
    for (int64_t i = 0; i < n; i++) memcpy(to + (size_t)i * size, from + (size_t)index[i] * size, size);
}

static void pick_nearest(const octet_call *call, const layout *plan)
{
    const octet_tensor *const in = call->in[0], *const out = call->out[0];
    const size_t size = octet_dtype_size(in->dtype);
    octet_walk   walk = rows_of(out);
    int64_t      steps[OCTET_MAX_RANK];
    const int    last = out->rank - 1;
    octet_dense_steps(steps, in->dims, in->rank);
    do {
        int64_t from = 0;
        for (int i = 0; i < last; i++) from += plan->tables[i].index[walk.index[i]] * steps[i];
        char *const          to_row = (char *)out->data + (size_t)walk.offset[0] * size;
        const char *const    row = (const char *)in->data + (size_t)from * size;
        const int64_t *const index = plan->tables[last].index;
        if (size == 1)
            pick(to_row, row, index, out->dims[last], 1);
        else if (size == 4)
            pick(to_row, row, index, out->dims[last], 4);
        else
            pick(to_row, row, index, out->dims[last], size);
    } while (octet_walk_next(&walk));
}

/* Writes value over every element that some axis puts outside. */
static void extrapolate(const octet_tensor *out, const layout *plan, const void *value, size_t size)
{
    octet_walk walk = rows_of(out);
    const int  last = out->rank - 1;
    bool       any = false;
    for (int i = 0; i < out->rank; i++) any = any || plan->tables[i].any_outside;
    if (!any) return;
    do {
        bool row_outside = false;
        for (int i = 0; i < last; i++) row_outside = row_outside || plan->tables[i].outside[walk.index[i]];
        for (int64_t i = 0; i < out->dims[last]; i++)
            if (row_outside || plan->tables[last].outside[i])
                memcpy((char *)out->data + (size_t)(walk.offset[0] + i) * size, value, size);
    } while (octet_walk_next(&walk));
}

/* ---- linear and cubic ---- */

#define PLACE(name, type)                                                                                              \
    static void name(void *result, void *original, const octet_resize_table *place, int64_t inner)                     \
    {                                                                                                                  \
        type *const       to = result;                                                                                 \
        const type *const from = original;                                                                             \
        const int64_t     first = place->index[0];                                                                     \
        const type        weight = (type)place->weight[0];                                                             \
        for (int64_t i = 0; i < inner; i++) to[i] = weight * from[first * inner + i];                                  \
        for (int k = 1; k < place->taps; k++) {                                                                        \
            const type *const row = from + place->index[k] * inner;                                                    \
            const type        w = (type)place->weight[k];                                                              \
            for (int64_t i = 0; i < inner; i++) to[i] = to[i] + w * row[i];                                            \
        }                                                                                                              \
    }
PLACE(place_f32, float)
PLACE(place_f64, double)

/* Runs every place of one axis of what is resized from [outer, n, inner] to [outer, m, inner]. */
static void run_axis(char *result, char *original, const octet_call *call, const layout *plan, int axis)
{
    const octet_tensor *const in = call->in[0], *const out = call->out[0];
    const int64_t             n = in->dims[axis], m = out->dims[axis];
    const int64_t             outer = octet_product(in->dims, axis);
    const int64_t             inner = octet_product(out->dims + axis + 1, out->rank - axis - 1);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < m; i++) {
            octet_resize_table place = plan->tables[axis];
            place.index += i * place.taps;
            place.weight += i * place.taps;
            plan->place(result + (size_t)((o * m + i) * inner) * plan->element,
                        original + (size_t)(o * n * inner) * plan->element, &place, inner);
        }
}

/* All axes, from buffer 0 on. Returns the buffer that holds the result. */
static void *resize_all(const octet_call *call, layout *plan)
{
    int current = 0;
    plan->place = plan->element == sizeof(float) ? place_f32 : place_f64;
    for (int axis = call->in[0]->rank - 1; axis >= 0; axis--) {
        if (plan->tables[axis].identity) continue;
        run_axis(plan->buffer[!current], plan->buffer[current], call, plan, axis);
        current = !current;
    }
    return plan->buffer[current];
}

static void interpolate_wide(const octet_call *call, layout *plan)
{
    const octet_tensor *const in = call->in[0], *const out = call->out[0];
    octet_wide *const from = plan->buffer[0];
    octet_wide_load(from, in->data, in->dtype, 0, (size_t)octet_tensor_count(in), 1);
    octet_wide_convert(from, (size_t)octet_tensor_count(in), in->dtype, OCTET_F64);
    octet_wide *const result = resize_all(call, plan);
    octet_wide_convert(result, (size_t)octet_tensor_count(out), OCTET_F64, out->dtype);
    octet_wide_store(out->data, out->dtype, 0, result, (size_t)octet_tensor_count(out));
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0], *const out = call->out[0];
    const octet_resize_attrs *const attrs = call->attrs;
    layout                          plan;
    OCTET_TRY(prepare(&plan, call, element_size(call, false), err));
    if (octet_tensor_count(out) == 0) return OCTET_OK;
    if (octet_resize_taps(attrs->mode) == 1)
        pick_nearest(call, &plan);
    else if (in->dtype == OCTET_F32) {
        memcpy(plan.buffer[0], in->data, (size_t)octet_tensor_bytes(in));
        memcpy(out->data, resize_all(call, &plan), (size_t)octet_tensor_bytes(out));
    } else
        interpolate_wide(call, &plan);
    octet_wide value = {.f = (double)attrs->extrapolation_value};
    uint8_t    stored[8];
    octet_wide_convert(&value, 1, OCTET_F64, out->dtype);
    octet_wide_store(stored, out->dtype, 0, &value, 1);
    extrapolate(out, &plan, stored, octet_dtype_size(out->dtype));
    return OCTET_OK;
}

/* ---- levels ---- */

static int32_t extrapolation_level(const octet_call *call, const octet_qparams *qparams)
{
    const octet_resize_attrs *const attrs = call->attrs;
    const octet_level_rule          rule = octet_level_rule_of(qparams, 0, NULL);
    int32_t                         level;
    call->profile->quantize(&level, &attrs->extrapolation_value, 1, &rule);
    return level;
}

/* Copies levels in input 0's parameters. */
static octet_status nearest_levels(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0], *const out = call->out[0];
    const int32_t level = extrapolation_level(call, in->qparams);
    uint8_t       stored[8];
    layout        plan;
    OCTET_TRY(prepare(&plan, call, 0, err));
    if (octet_tensor_count(out) == 0) return OCTET_OK;
    pick_nearest(call, &plan);
    octet_levels_store(stored, in->dtype, 0, &level, 1);
    extrapolate(out, &plan, stored, octet_dtype_size(in->dtype));
    return OCTET_OK;
}

/* t = f32(sum * f32(sx / sy)), then rounded. */
static void store_levels(const octet_call *call, const float *sum)
{
    const octet_tensor *const out = call->out[0];
    const size_t              count = (size_t)octet_tensor_count(out);
    octet_level_rule          to = octet_level_rule_of(out->qparams, 0, NULL);
    const float               multiplier = (float)((double)call->in[0]->qparams->scale[0] / to.scale);
    const float offset = call->profile->resize_single ? (float)call->in[0]->qparams->zero_point[0] : 0.0f;
    to.scale = 1.0f; /* t is in units of the output already */
    for (size_t at = 0; at < count; at += OCTET_WIDE_ROW) {
        const size_t n = count - at < OCTET_WIDE_ROW ? count - at : OCTET_WIDE_ROW;
        float        t[OCTET_WIDE_ROW];
        int32_t      level[OCTET_WIDE_ROW];
        for (size_t i = 0; i < n; i++) t[i] = (sum[at + i] - offset) * multiplier;
        octet_profile_octet.quantize(level, t, n, &to);
        octet_levels_store(out->data, out->dtype, at, level, n);
    }
}

static void load_offsets(float *to, const octet_tensor *in, const octet_profile *profile)
{
    const int32_t zero_point = profile->resize_single ? 0 : in->qparams->zero_point[0];
    const size_t count = (size_t)octet_tensor_count(in);
    for (size_t at = 0; at < count; at += OCTET_WIDE_ROW) {
        const size_t n = count - at < OCTET_WIDE_ROW ? count - at : OCTET_WIDE_ROW;
        int32_t      level[OCTET_WIDE_ROW];
        octet_levels_load(level, in->data, in->dtype, at, n, zero_point);
        for (size_t i = 0; i < n; i++) to[at + i] = (float)level[i];
    }
}

static octet_status forward_levels(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0], *const out = call->out[0];
    const octet_resize_attrs *const attrs = call->attrs;
    layout                          plan;
    if (octet_resize_taps(attrs->mode) == 1) return octet_forward_levels(call, nearest_levels, err);
    OCTET_TRY(prepare(&plan, call, sizeof(float), err));
    if (octet_tensor_count(out) == 0) return OCTET_OK;
    load_offsets(plan.buffer[0], in, call->profile);
    store_levels(call, resize_all(call, &plan));
    const int32_t level = extrapolation_level(call, out->qparams);
    uint8_t       stored[8];
    octet_levels_store(stored, out->dtype, 0, &level, 1);
    extrapolate(out, &plan, stored, octet_dtype_size(out->dtype));
    return OCTET_OK;
}

/* ---- gradients: the axes in the other order, each place's gradient to where it looked; nearest has one weight ---- */

#define PLACE_BACK(name, type)                                                                                         \
    static void name(void *result, void *original, const octet_resize_table *place, int64_t inner)                     \
    {                                                                                                                  \
        const type *const from = result;                                                                               \
        for (int k = 0; k < place->taps; k++) {                                                                        \
            type *const row = (type *)original + place->index[k] * inner;                                              \
            const type  w = (type)place->weight[k];                                                                    \
            for (int64_t i = 0; i < inner; i++) row[i] += w * from[i];                                                 \
        }                                                                                                              \
    }
PLACE_BACK(place_back_f32, float)
PLACE_BACK(place_back_f64, double)

/* From buffer 0, in the shape of the output, to that of the input. Returns the buffer that holds the result. */
static void *resize_all_back(const octet_call *call, layout *plan)
{
    int current = 0;
    plan->place = plan->element == sizeof(float) ? place_back_f32 : place_back_f64;
    for (int axis = 0; axis < call->in[0]->rank; axis++) {
        if (plan->tables[axis].identity) continue;
        memset(plan->buffer[!current], 0, largest_stage(call->in[0], call->out[0]) * plan->element);
        run_axis(plan->buffer[current], plan->buffer[!current], call, plan, axis);
        current = !current;
    }
    return plan->buffer[current];
}

static size_t backward_scratch(const octet_call *call)
{
    octet_call sizing = *call;
    sizing.scratch = NULL;
    return lay_out(&sizing, octet_dtype_size(call->in[0]->dtype)).bytes;
}

static octet_status backward(const octet_backward_call *call, octet_error *err)
{
    static const uint8_t zero[8];
    octet_call           forward_call = *call->forward;
    octet_tensor         dout, result;
    layout               plan;
    if (!octet_gradient_wanted(call, 0) || octet_tensor_count(call->dout[0]) == 0) return OCTET_OK;
    const size_t size = octet_dtype_size(call->din[0]->dtype);
    forward_call.scratch = call->scratch;
    OCTET_TRY(prepare(&plan, &forward_call, size, err));
    dout = *call->dout[0];
    dout.data = memcpy(plan.buffer[0], dout.data, (size_t)octet_tensor_bytes(&dout));
    extrapolate(&dout, &plan, zero, size);
    result = *call->din[0];
    result.data = resize_all_back(&forward_call, &plan);
    octet_gradient_add(call->din[0], 0, &result, 0, (size_t)octet_tensor_count(&result));
    return OCTET_OK;
}

/* Nearest copies; what tf_crop_and_resize puts outside of the image need not lie in its range. */
static bool moves_levels(const octet_node *node)
{
    const octet_resize_attrs *const attrs = node->attrs;
    return octet_resize_taps(attrs->mode) == 1 &&
           strcmp(attrs->coordinate_transformation_mode, "tf_crop_and_resize") != 0;
}

const octet_op octet_op_resize = {
    .name = "Resize",
    .since = 11,
    .min_inputs = 1,
    .max_inputs = 4,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_ALL,
    .attrs = rows,
    .attrs_size = sizeof(octet_resize_attrs),
    .quant = OCTET_QUANT_RESCALE,
    .flags = OCTET_OP_AVERAGES,
    .moves_levels = moves_levels,
    .infer = infer,
    .forward = forward,
    .forward_integer = forward_levels,
    .scratch_size = scratch_size,
    .backward = backward,
    .backward_scratch = backward_scratch,
    .fixed_inputs = 1 << 1 | 1 << 2 | 1 << 3,
};
