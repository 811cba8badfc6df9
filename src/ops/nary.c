/* SPDX-License-Identifier: Apache-2.0 */
/* Sum, Mean, Min, Max: any number of tensors stretched to one shape, folded from left to right. */
#include "ops/binary.h"
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/levels.h"
#include "ops/rows.h"

#include <string.h>

enum { ROW = OCTET_WIDE_ROW };

static octet_status infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const first = call->in[0];
    octet_tensor              all = *first;
    for (int i = 0; i < call->in_count; i++) {
        if (!call->in[i]) return octet_fail(err, OCTET_ERR_FORMAT, "input %d is missing", i);
        if (call->in[i]->dtype != first->dtype)
            return octet_fail(err, OCTET_ERR_SHAPE, "inputs of types %s and %s, they must be equal",
                              octet_dtype_name(first->dtype), octet_dtype_name(call->in[i]->dtype));
        int64_t dims[OCTET_MAX_RANK];
        int     rank;
        OCTET_TRY(octet_broadcast(dims, &rank, &all, call->in[i], err));
        OCTET_TRY(octet_set_output(&all, first->dtype, dims, rank, err));
    }
    return octet_set_output(call->out[0], first->dtype, all.dims, all.rank, err);
}

/* ---- real numbers and integers ---- */

/* out = what(a, b), out being call's. */
static octet_status apply(const octet_call *call, const octet_tensor *a, const octet_tensor *b, octet_binary what)
{
    const octet_tensor *const pair[2] = {a, b};
    octet_call                two = {.in = pair, .in_count = 2, .out = call->out, .out_count = 1};
    return octet_binary_real(&two, what);
}

static octet_status fold(const octet_call *call, octet_binary what)
{
    const octet_tensor *const out = call->out[0], *const first = call->in[0];
    const size_t              size = (size_t)octet_tensor_bytes(out);
    if (call->in_count == 1 && size) memcpy(out->data, first->data, size); /* nothing has no address */
    for (int i = 1; i < call->in_count; i++) OCTET_TRY(apply(call, i == 1 ? first : out, call->in[i], what));
    return OCTET_OK;
}

static octet_status mean_forward(const octet_call *call, octet_error *err)
{
    const octet_wide   count = {.f = call->in_count};
    double             bytes;
    const octet_tensor divisor = {.dtype = call->out[0]->dtype, .data = &bytes};
    (void)err;
    octet_wide_store(&bytes, divisor.dtype, 0, &count, 1);
    OCTET_TRY(fold(call, OCTET_BINARY_ADD));
    return apply(call, call->out[0], &divisor, OCTET_BINARY_DIV);
}

#define FOLD(name, what)                                                                                               \
    static octet_status name##_forward(const octet_call *call, octet_error *err)                                       \
    {                                                                                                                  \
        (void)err;                                                                                                     \
        return fold(call, what);                                                                                       \
    }

FOLD(sum, OCTET_BINARY_ADD)
FOLD(min, OCTET_BINARY_MIN)
FOLD(max, OCTET_BINARY_MAX)

/* ---- gradients ---- */

static octet_status backward_share(const octet_backward_call *call, double share)
{
    for (int i = 0; i < call->forward->in_count; i++)
        if (octet_gradient_wanted(call, i)) octet_gradient_stretched(call->din[i], call->dout[0], share);
    return OCTET_OK;
}

static octet_status sum_backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    return backward_share(call, 1.0);
}

static octet_status mean_backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    return backward_share(call, 1.0 / call->forward->in_count);
}

/* Two tensors of the result's shape: the extreme, and among how many inputs its gradient is shared. */
static size_t extreme_bytes(const octet_call *call)
{
    const octet_tensor *const out = call->out[0];
    return octet_aligned((size_t)octet_tensor_count(out) * octet_dtype_size(out->dtype));
}

static size_t extreme_scratch(const octet_call *call) { return 3 * extreme_bytes(call); }

static void same_row(octet_wide *a, const octet_wide *b, size_t n, const octet_call *call, int what)
{
    (void)call, (void)what;
    for (size_t i = 0; i < n; i++) a[i].f = a[i].f == b[i].f ? 1.0 : 0.0;
}

/* to[i] = 1 where the extreme is that of input. */
static void mark(octet_tensor *to, const octet_tensor *extreme, const octet_tensor *input)
{
    const octet_tensor *const pair[2] = {extreme, input};
    const octet_call          two = {.in = pair, .in_count = 2, .out = &to, .out_count = 1};
    octet_binary_wide(&two, same_row, 0);
}

/* Inputs that attain the extreme share its gradient evenly. */
static octet_status backward_extreme(const octet_backward_call *call, octet_binary what)
{
    const octet_call *const forward = call->forward;
    octet_tensor            extreme = *forward->out[0], share = extreme, attains = extreme;
    octet_tensor           *out = &extreme;
    if (!call->dout[0] || octet_tensor_count(&extreme) == 0) return OCTET_OK;
    extreme.data = call->scratch;
    share.data = (char *)call->scratch + extreme_bytes(forward);
    attains.data = (char *)share.data + extreme_bytes(forward);
    octet_call again = *forward;
    again.out = &out;
    OCTET_TRY(fold(&again, what));
    again.out = (octet_tensor *[]){&share};
    for (int i = 0; i < forward->in_count; i++) {
        mark(&attains, &extreme, forward->in[i]);
        if (i == 0) memcpy(share.data, attains.data, (size_t)octet_tensor_bytes(&share));
        if (i > 0) OCTET_TRY(apply(&again, &share, &attains, OCTET_BINARY_ADD));
    }
    OCTET_TRY(apply(&again, call->dout[0], &share, OCTET_BINARY_DIV));
    again.out = (octet_tensor *[]){&attains};
    for (int i = 0; i < forward->in_count; i++) {
        if (!octet_gradient_wanted(call, i)) continue;
        mark(&attains, &extreme, forward->in[i]);
        OCTET_TRY(apply(&again, &attains, &share, OCTET_BINARY_MUL));
        octet_gradient_stretched(call->din[i], &attains, 1.0);
    }
    return OCTET_OK;
}

static octet_status min_backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    return backward_extreme(call, OCTET_BINARY_MIN);
}

static octet_status max_backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    return backward_extreme(call, OCTET_BINARY_MAX);
}

/* ---- levels: one input after the other joins what is there, row by row ---- */

typedef struct joining {
    const octet_call *call;
    octet_level_rule  to;
    octet_binary      what;
    float            *sums; /* Sum, Mean: of the whole result, in units of its scale */
} joining;

/* Sum, Mean: t = f32(t + f32((q - z) * m)). */
static void join_sums(const joining *j, int input, int32_t *level, size_t at, size_t n)
{
    const double shares = j->what == OCTET_BINARY_DIV ? j->call->in_count : 1;
    const float  m = (float)((double)j->call->in[input]->qparams->scale[0] / (shares * (double)j->to.scale));
    for (size_t i = 0; i < n; i++) {
        const float t = (float)level[i] * m;
        j->sums[at + i] = input == 0 ? t : j->sums[at + i] + t;
    }
}

/* Min, Max: levels in the result's parameters are compared. */
static void join_extremes(const joining *j, int input, int32_t *level, size_t at, size_t n)
{
    const octet_tensor *const out = j->call->out[0];
    int32_t                   before[ROW];
    j->call->profile->rescale(level, level, j->call->in[input]->qparams->scale[0], n, &j->to);
    if (input > 0) octet_levels_load(before, out->data, out->dtype, at, n, 0);
    for (size_t i = 0; input > 0 && i < n; i++) {
        const bool replace = j->what == OCTET_BINARY_MIN ? before[i] < level[i] : before[i] > level[i];
        if (replace) level[i] = before[i];
    }
    octet_levels_store(out->data, out->dtype, at, level, n);
}

static void join(const joining *j, int input)
{
    const octet_tensor *const pair[2] = {j->call->in[input], j->call->in[input]};
    const octet_call          one = {.in = pair, .out = j->call->out};
    octet_walk                walk = octet_binary_rows(&one);
    const int                 inner = walk.rank - 1;
    int32_t                   level[ROW];
    do
        for (int64_t i = 0; i < walk.dims[inner]; i += ROW) {
            const size_t  n = walk.dims[inner] - i < ROW ? (size_t)(walk.dims[inner] - i) : ROW;
            const int64_t step = walk.step[1][inner];
            octet_binary_offsets(level, pair[0], walk.offset[1] + i * step, n, step);
            (j->sums ? join_sums : join_extremes)(j, input, level, (size_t)(walk.offset[0] + i), n);
        }
    while (octet_walk_next(&walk));
}

/* to.scale of the last rounding is 1: the sums are in units of the output. */
static void store_sums(const joining *j, size_t count)
{
    octet_level_rule to = j->to;
    int32_t          level[ROW];
    to.scale = 1.0f;
    for (size_t at = 0; at < count; at += ROW) {
        const size_t n = count - at < ROW ? count - at : ROW;
        octet_profile_octet.quantize(level, j->sums + at, n, &to);
        octet_levels_store(j->call->out[0]->data, j->call->out[0]->dtype, at, level, n);
    }
}

static octet_status forward_levels(const octet_call *call, octet_binary what, octet_error *err)
{
    const bool   sums = what != OCTET_BINARY_MIN && what != OCTET_BINARY_MAX;
    const size_t count = (size_t)octet_tensor_count(call->out[0]);
    if (!call->out[0]->qparams) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the output has no levels");
    if (sums && call->profile != &octet_profile_octet)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "profile %s has no rule for it", call->profile->name);
    const joining j = {.call = call, .to = octet_level_rule_of(call->out[0]->qparams, 0, NULL), .what = what,
                       .sums = sums ? call->scratch : NULL};
    if (count == 0) return OCTET_OK;
    for (int i = 0; i < call->in_count; i++) join(&j, i);
    if (sums) store_sums(&j, count);
    return OCTET_OK;
}

#define LEVELS(name, what)                                                                                             \
    static octet_status name##_levels(const octet_call *call, octet_error *err)                                        \
    {                                                                                                                  \
        return forward_levels(call, what, err);                                                                        \
    }

LEVELS(sum, OCTET_BINARY_ADD)
LEVELS(mean, OCTET_BINARY_DIV)
LEVELS(min, OCTET_BINARY_MIN)
LEVELS(max, OCTET_BINARY_MAX)

static size_t sums_scratch(const octet_call *call, bool integer)
{
    return integer ? (size_t)octet_tensor_count(call->out[0]) * sizeof(float) : 0;
}

/* ---- rows ---- */

#define ROW_OF(id, onnx)                                                                                               \
    .name = onnx, .since = 8, .min_inputs = 1, .max_inputs = OCTET_ANY, .min_outputs = 1, .max_outputs = 1,            \
    .quant = OCTET_QUANT_RESCALE, .flags = OCTET_OP_ELEMENTWISE, .infer = infer, .forward = id##_forward,              \
    .forward_integer = id##_levels, .backward = id##_backward
#define NUMBERS .types = OCTET_TYPES_FLOAT | OCTET_TYPES_INT | OCTET_TYPE(OCTET_F16)

const octet_op octet_op_max = { ROW_OF(max, "Max"), NUMBERS, .backward_scratch = extreme_scratch };
const octet_op octet_op_mean = { ROW_OF(mean, "Mean"), .types = OCTET_TYPES_FLOAT, .scratch_size = sums_scratch };
const octet_op octet_op_min = { ROW_OF(min, "Min"), NUMBERS, .backward_scratch = extreme_scratch };
const octet_op octet_op_sum = { ROW_OF(sum, "Sum"), .types = OCTET_TYPES_FLOAT, .scratch_size = sums_scratch };
