/* SPDX-License-Identifier: Apache-2.0 */
/* AveragePool, MaxPool, GlobalMaxPool: rows, validation, and both forms of each. Values are compared and summed in
   double or int64_t, whatever their type. */
#include "ops/pool_run.h"

#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/levels.h"
#include "ops/rescale.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <math.h>

#define AT(field) offsetof(octet_window_attrs, field)

/* ---- maximum ---- */

/* Takes the larger of each; NaN wins. where, if wanted, gets the position in the input plane. */
static void raise(octet_wide *best, int64_t *where, const octet_wide *x, const octet_pool_stretch *s, bool is_float)
{
    for (size_t i = 0; i < s->n; i++) {
        const bool larger = is_float ? x[i].f > best[i].f || x[i].f != x[i].f : x[i].i > best[i].i;
        if (!larger && where[i] >= 0) continue;
        best[i] = x[i];
        where[i] = s->at + (int64_t)i * s->step;
    }
}

static void max_part(octet_wide *best, int64_t *where, const octet_pool_run *run, size_t plane, octet_pool_part part)
{
    const octet_tensor *const x = run->call->in[0];
    const bool                is_float = octet_dtype_is_float(x->dtype);
    octet_pool_walk           walk;
    octet_pool_stretch        stretch;
    for (size_t i = 0; i < part.count; i++) { /* a dilated window may reach no element at all */
        where[i] = -1;
        best[i] = is_float ? (octet_wide){ .f = -INFINITY } : (octet_wide){ .i = 0 };
    }
    octet_pool_begin(&walk, &run->window, part);
    while (octet_pool_next(&stretch, &walk)) {
        octet_wide row[OCTET_POOL_PART];
        octet_wide_load(row, x->data, x->dtype, (int64_t)(plane * run->in_size) + stretch.at, stretch.n, stretch.step);
        raise(best + stretch.from, where + stretch.from, row, &stretch, is_float);
    }
}

/* Where tap of the window of output `index` (of the plane) reads, with coordinates moved into the input. */
static int64_t nearest_position(const octet_window *window, int64_t index, int64_t tap)
{
    int64_t at = 0, step = 1;
    for (int i = window->rank - 1; i >= 0; i--) {
        const int64_t start = index % window->out[i] * window->stride[i] - window->pad[i];
        int64_t       k = start + tap % window->kernel[i] * window->dilation[i];
        k = k < 0 ? 0 : k < window->in[i] ? k : window->in[i] - 1;
        at += k * step;
        step *= window->in[i];
        index /= window->out[i];
        tap /= window->kernel[i];
    }
    return at;
}

static void max_part_nearest(octet_wide *best, int64_t *where, const octet_pool_run *run, size_t plane,
                             octet_pool_part part)
{
    const octet_tensor *const x = run->call->in[0];
    const int64_t             taps = octet_product(run->window.kernel, run->window.rank);
    for (size_t i = 0; i < part.count; i++) {
        where[i] = -1;
        for (int64_t tap = 0; tap < taps; tap++) {
            const int64_t at = nearest_position(&run->window, octet_pool_position(run, &part) + (int64_t)i, tap);
            const octet_pool_stretch one = { .at = at, .n = 1 };
            octet_wide               value;
            octet_wide_load(&value, x->data, x->dtype, (int64_t)(plane * run->in_size) + at, 1, 1);
            raise(best + i, where + i, &value, &one, false);
        }
    }
}

static bool takes_nearest(const octet_pool_run *run)
{
    const octet_window_attrs *const attrs = run->call->attrs;
    bool                            dilated = false;
    for (int i = 0; i < run->window.rank; i++) dilated = dilated || run->window.dilation[i] > 1;
    return dilated && !run->real && run->call->profile->max_pool_nearest && !attrs->ceil_mode;
}

/* Position p of a row-major plane as a position in column-major order. */
static int64_t column_major(const octet_window *window, int64_t p)
{
    int64_t index[OCTET_SPATIAL_MAX], at = 0;
    for (int i = window->rank - 1; i >= 0; i--) {
        index[i] = p % window->in[i];
        p /= window->in[i];
    }
    for (int i = window->rank - 1; i >= 0; i--) at = at * window->in[i] + index[i];
    return at;
}

static void store_indices(const octet_pool_run *run, size_t plane, const octet_pool_part *part, const int64_t *where)
{
    const octet_window_attrs *const attrs = run->call->attrs;
    int64_t *const to = (int64_t *)run->call->out[1]->data + plane * run->out_size + octet_pool_position(run, part);
    for (size_t i = 0; i < part->count; i++) {
        const int64_t first = where[i] < 0 ? 0 : where[i];
        const int64_t own = attrs->storage_order ? column_major(&run->window, first) : first;
        to[i] = (int64_t)(plane * run->in_size) + own;
    }
}

/* Levels keep their parameters; where the output has others, they are rescaled. */
static void store_levels(const octet_pool_run *run, size_t at, const octet_wide *values, size_t n)
{
    const octet_tensor *const x = run->call->in[0], *const y = run->call->out[0];
    const bool                same = octet_qparams_equal(x->qparams, y->qparams);
    int32_t                   level[OCTET_POOL_PART];
    for (size_t i = 0; i < n; i++) level[i] = (int32_t)values[i].i - (same ? 0 : x->qparams->zero_point[0]);
    if (!same) run->call->profile->rescale(level, level, x->qparams->scale[0], n, &run->to);
    for (size_t i = 0; i < n; i++) {
        if (level[i] < run->to.qmin) level[i] = run->to.qmin;
        if (level[i] > run->to.qmax) level[i] = run->to.qmax;
    }
    octet_levels_store(y->data, y->dtype, at, level, n);
}

static void max_plane(void *context, size_t plane)
{
    const octet_pool_run *const     run = context;
    const octet_tensor *const y = run->call->out[0];
    const bool                nearest = takes_nearest(run);
    octet_pool_part           part = { 0 };
    while (octet_pool_next_part(&part, run)) {
        octet_wide   best[OCTET_POOL_PART];
        int64_t      where[OCTET_POOL_PART];
        const size_t at = plane * run->out_size + (size_t)octet_pool_position(run, &part);
        if (nearest) max_part_nearest(best, where, run, plane, part);
        else max_part(best, where, run, plane, part);
        if (run->real) {
            octet_wide_clamp(best, part.count, y->dtype, &run->call->node->activation);
            octet_wide_store(y->data, y->dtype, (int64_t)at, best, part.count);
        } else {
            store_levels(run, at, best, part.count);
        }
        if (octet_has_output(run->call, 1)) store_indices(run, plane, &part, where);
    }
}

static octet_status max_forward(const octet_call *call, octet_error *err)
{
    (void)err;
    octet_pool_planes(call, false, max_plane);
    return OCTET_OK;
}

static octet_status max_forward_integer(const octet_call *call, octet_error *err)
{
    if (!call->out[0]->qparams) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the output has no levels");
    octet_pool_planes(call, true, max_plane);
    return OCTET_OK;
}

/* ---- average ---- */

/* Window positions of output `index` of dimension i that count: inside the input, or inside the padded input. */
static int64_t counted(const octet_window *window, int i, int64_t index, bool padding)
{
    const int64_t start = index * window->stride[i] - window->pad[i], step = window->dilation[i];
    const int64_t lowest = padding ? -window->pad[i] : 0;
    const int64_t limit = window->in[i] + (padding ? window->pad_end[i] : 0);
    const int64_t from = start < lowest ? (lowest - start + step - 1) / step : 0;
    const int64_t to = start < limit ? (limit - 1 - start) / step + 1 : 0;
    const int64_t end = to < window->kernel[i] ? to : window->kernel[i];
    return end > from ? end - from : 0;
}

static void count_part(int32_t *divisor, const octet_pool_run *run, const octet_pool_part *part)
{
    const octet_window_attrs *const attrs = run->call->attrs;
    const octet_window *const       window = &run->window;
    const bool full = !run->real && run->call->profile->average_full_window && !attrs->ceil_mode;
    int64_t    outer = 1;
    size_t     row = part->row;
    for (int i = window->rank - 2; i >= 0; i--) {
        outer *= counted(window, i, (int64_t)(row % (size_t)window->out[i]), attrs->count_include_pad != 0);
        row /= (size_t)window->out[i];
    }
    for (size_t i = 0; i < part->count; i++) {
        divisor[i] = (int32_t)(full ? octet_product(window->kernel, window->rank)
                                    : outer * counted(window, window->rank - 1, (int64_t)(part->first + i),
                                                      attrs->count_include_pad != 0));
        if (divisor[i] == 0) divisor[i] = 1; /* a dilated window may reach no element: its mean is 0 */
    }
}

/* Sums of a part: reals as they are, levels less their zero point. */
static void sum_part(octet_wide *sum, const octet_pool_run *run, size_t plane, octet_pool_part part)
{
    const octet_tensor *const x = run->call->in[0];
    const int32_t             zero_point = run->real ? 0 : x->qparams->zero_point[0];
    octet_pool_walk           walk;
    octet_pool_stretch        s;
    for (size_t i = 0; i < part.count; i++) {
        if (run->real)
            sum[i].f = 0;
        else
            sum[i].i = 0;
    }
    octet_pool_begin(&walk, &run->window, part);
    while (octet_pool_next(&s, &walk)) {
        octet_wide row[OCTET_POOL_PART];
        octet_wide_load(row, x->data, x->dtype, (int64_t)(plane * run->in_size) + s.at, s.n, s.step);
        if (run->real)
            for (size_t i = 0; i < s.n; i++) sum[s.from + i].f += row[i].f;
        else
            for (size_t i = 0; i < s.n; i++) sum[s.from + i].i += row[i].i - zero_point;
    }
}

static void average_plane(void *context, size_t plane)
{
    const octet_pool_run *const     run = context;
    const octet_tensor *const y = run->call->out[0];
    octet_pool_part           part = { 0 };
    while (octet_pool_next_part(&part, run)) {
        octet_wide   sum[OCTET_POOL_PART];
        int32_t      divisor[OCTET_POOL_PART], levels[OCTET_POOL_PART], sums[OCTET_POOL_PART];
        const size_t at = plane * run->out_size + (size_t)octet_pool_position(run, &part), n = part.count;
        sum_part(sum, run, plane, part);
        count_part(divisor, run, &part);
        if (run->real) {
            for (size_t i = 0; i < n; i++) sum[i].f /= divisor[i];
            octet_wide_clamp(sum, n, y->dtype, &run->call->node->activation);
            octet_wide_store(y->data, y->dtype, (int64_t)at, sum, n);
        } else {
            for (size_t i = 0; i < n; i++) sums[i] = (int32_t)sum[i].i;
            run->call->profile->average(levels, sums, divisor, n, &run->average);
            octet_levels_store(y->data, y->dtype, at, levels, n);
        }
    }
}

static octet_status average_forward(const octet_call *call, octet_error *err)
{
    (void)err;
    octet_pool_planes(call, false, average_plane);
    return OCTET_OK;
}

static octet_status average_forward_integer(const octet_call *call, octet_error *err)
{
    octet_window window;
    if (!call->out[0]->qparams) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the output has no levels");
    OCTET_TRY(octet_pool_window(&window, call, err));
    const octet_qparams *const x = call->in[0]->qparams;
    if (octet_product(window.kernel, window.rank) > INT32_MAX / ((int64_t)x->qmax - x->qmin))
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "kernel_shape", "sums of so large a window leave int32");
    octet_pool_planes(call, true, average_plane);
    return OCTET_OK;
}

/* ---- gradients ---- */

/* One part of a plane: n gradients of its outputs, to where they belong in the plane of dx. */
typedef void part_gradient(const octet_tensor *dx, const octet_wide *dy, const octet_pool_run *run, size_t plane,
                           octet_pool_part part);

/* To the first largest element, as the forward function compares. */
static void max_gradient(const octet_tensor *dx, const octet_wide *dy, const octet_pool_run *run, size_t plane,
                         octet_pool_part part)
{
    octet_wide best[OCTET_POOL_PART];
    int64_t    where[OCTET_POOL_PART];
    max_part(best, where, run, plane, part);
    for (size_t i = 0; i < part.count; i++)
        if (where[i] >= 0)
            octet_wide_add(dx->data, dx->dtype, (int64_t)(plane * run->in_size) + where[i], dy + i, 1, 0);
}

static void average_gradient(const octet_tensor *dx, const octet_wide *dy, const octet_pool_run *run, size_t plane,
                             octet_pool_part part)
{
    octet_wide         share[OCTET_POOL_PART];
    int32_t            divisor[OCTET_POOL_PART];
    octet_pool_walk    walk;
    octet_pool_stretch s;
    count_part(divisor, run, &part);
    for (size_t i = 0; i < part.count; i++) share[i].f = dy[i].f / divisor[i];
    octet_pool_begin(&walk, &run->window, part);
    while (octet_pool_next(&s, &walk))
        octet_wide_add(dx->data, dx->dtype, (int64_t)(plane * run->in_size) + s.at, share + s.from, s.n, s.step);
}

static octet_status backward(const octet_backward_call *call, part_gradient *gradient)
{
    octet_pool_run run;
    if (!octet_gradient_wanted(call, 0)) return OCTET_OK;
    octet_pool_make(&run, call->forward, false);
    for (size_t plane = 0; plane < octet_pool_count(call->forward); plane++) {
        octet_pool_part part = { 0 };
        while (octet_pool_next_part(&part, &run)) {
            octet_wide    dy[OCTET_POOL_PART];
            const int64_t at = (int64_t)(plane * run.out_size) + octet_pool_position(&run, &part);
            octet_wide_load(dy, call->dout[0]->data, call->dout[0]->dtype, at, part.count, 1);
            gradient(call->din[0], dy, &run, plane, part);
        }
    }
    return OCTET_OK;
}

static octet_status max_backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    return backward(call, max_gradient);
}

static octet_status average_backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    return backward(call, average_gradient);
}

/* ---- rows ---- */

static const octet_attr average_attrs[] = {
    { "auto_pad", OCTET_ATTR_STRING, AT(auto_pad), .default_s = "NOTSET" },
    { "ceil_mode", OCTET_ATTR_INT, AT(ceil_mode) },
    { "count_include_pad", OCTET_ATTR_INT, AT(count_include_pad) },
    { "dilations", OCTET_ATTR_INTS, AT(dilations), .min = 1, .max = INT32_MAX },
    { "kernel_shape", OCTET_ATTR_INTS, AT(kernel_shape), .min = 1, .max = INT32_MAX, .required = true },
    { "pads", OCTET_ATTR_INTS, AT(pads), .min = 0, .max = 0xffff },
    { "strides", OCTET_ATTR_INTS, AT(strides), .min = 1, .max = INT32_MAX },
    { 0 },
};

static const octet_attr max_attrs[] = {
    { "auto_pad", OCTET_ATTR_STRING, AT(auto_pad), .default_s = "NOTSET" },
    { "ceil_mode", OCTET_ATTR_INT, AT(ceil_mode) },
    { "dilations", OCTET_ATTR_INTS, AT(dilations), .min = 1, .max = INT32_MAX },
    { "kernel_shape", OCTET_ATTR_INTS, AT(kernel_shape), .min = 1, .max = INT32_MAX, .required = true },
    { "pads", OCTET_ATTR_INTS, AT(pads), .min = 0, .max = 0xffff },
    { "storage_order", OCTET_ATTR_INT, AT(storage_order) },
    { "strides", OCTET_ATTR_INTS, AT(strides), .min = 1, .max = INT32_MAX },
    { 0 },
};

const octet_op octet_op_average_pool = {
    .name = "AveragePool",
    .since = 10,
    OCTET_ONE_TO_ONE,
    .types = OCTET_TYPES_FLOAT,
    .attrs = average_attrs,
    .attrs_size = sizeof(octet_window_attrs),
    .quant = OCTET_QUANT_RESCALE,
    .flags = OCTET_OP_LINEAR_CLAMP | OCTET_OP_SAMPLES | OCTET_OP_AVERAGES,
    .infer = octet_pool_infer,
    .forward = average_forward,
    .forward_integer = average_forward_integer,
    .backward = average_backward,
};

const octet_op octet_op_max_pool = {
    .name = "MaxPool",
    .since = 10,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 2,
    .types = OCTET_TYPES_FLOAT | 1u << OCTET_I8 | 1u << OCTET_U8,
    .attrs = max_attrs,
    .attrs_size = sizeof(octet_window_attrs),
    .quant = OCTET_QUANT_SAME,
    .flags = OCTET_OP_LINEAR_CLAMP | OCTET_OP_SAMPLES,
    .infer = octet_pool_infer,
    .forward = max_forward,
    .forward_integer = max_forward_integer,
    .backward = max_backward,
};

const octet_op octet_op_global_max_pool = {
    .name = "GlobalMaxPool",
    .since = 1,
    OCTET_ONE_TO_ONE,
    .types = OCTET_TYPES_FLOAT,
    .quant = OCTET_QUANT_SAME,
    .flags = OCTET_OP_LINEAR_CLAMP | OCTET_OP_SAMPLES,
    .infer = octet_pool_infer,
    .forward = max_forward,
    .forward_integer = max_forward_integer,
    .backward = max_backward,
};
