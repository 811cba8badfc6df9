/* SPDX-License-Identifier: Apache-2.0 */
/* Along an axis, one after the other: CumSum, CumProd, ReverseSequence. */
#include "ops/check.h"
#include "ops/order.h"
#include "ops/rescale.h"
#include "ops/rows.h"

#include <string.h>

/* ---- CumSum, CumProd: x, axis ---- */

typedef struct sum_attrs {
    int64_t exclusive, reverse;
} sum_attrs;

static const octet_attr sum_rows[] = {
    {.name = "exclusive", .kind = OCTET_ATTR_INT, .offset = offsetof(sum_attrs, exclusive), .max = 1},
    {.name = "reverse", .kind = OCTET_ATTR_INT, .offset = offsetof(sum_attrs, reverse), .max = 1},
    {.kind = OCTET_ATTR_END},
};

static octet_status sum_axis(int *axis, const octet_call *call, octet_error *err)
{
    octet_ints list;
    OCTET_TRY(octet_known_ints(&list, call, 1, "axis", err));
    if (list.count != 1) return octet_fail_field(err, OCTET_ERR_SHAPE, "axis", "%d numbers, need 1", list.count);
    return octet_check_axis(axis, list.at[0], call->in[0]->rank, "axis", err);
}

static octet_status sum_infer(const octet_call *call, octet_error *err)
{
    int axis;
    if (call->in[1]->data) OCTET_TRY(sum_axis(&axis, call, err));
    return octet_infer_same(call, err);
}

static void join(octet_wide *sum, const octet_wide *next, bool is_float, bool multiplies)
{
    const uint64_t a = (uint64_t)sum->i, b = (uint64_t)next->i;
    if (is_float) sum->f = multiplies ? sum->f * next->f : sum->f + next->f;
    else sum->i = (int64_t)(multiplies ? a * b : a + b);
}

static octet_status run_along(const octet_call *call, bool multiplies, octet_error *err)
{
    const sum_attrs *const    attrs = call->attrs;
    const octet_tensor *const x = call->in[0], *const y = call->out[0];
    const bool                is_float = octet_dtype_is_float(x->dtype);
    int                       axis;
    OCTET_TRY(sum_axis(&axis, call, err));
    const octet_lines lines = octet_lines_along(x, axis);
    for (int64_t l = 0; lines.length > 0 && l < lines.count; l++) {
        octet_wide    sum = {.i = multiplies}, next;
        const int64_t start = octet_line_start(&lines, l);
        if (is_float) sum.f = multiplies;
        for (int64_t i = 0; i < lines.length; i++) {
            const int64_t at = start + (attrs->reverse ? lines.length - 1 - i : i) * lines.step;
            octet_wide_load(&next, x->data, x->dtype, at, 1, 1);
            if (attrs->exclusive) octet_wide_store(y->data, y->dtype, at, &sum, 1);
            join(&sum, &next, is_float, multiplies);
            if (!attrs->exclusive) octet_wide_store(y->data, y->dtype, at, &sum, 1);
        }
    }
    return OCTET_OK;
}

static octet_status sum_forward(const octet_call *call, octet_error *err) { return run_along(call, false, err); }
static octet_status product_forward(const octet_call *call, octet_error *err) { return run_along(call, true, err); }

#define CUMULATIVE                                                                                                     \
    .min_inputs = 2, .max_inputs = 2, .min_outputs = 1, .max_outputs = 1,                                              \
    .types = OCTET_TYPES_FLOAT | OCTET_TYPES_INT, .attrs = sum_rows, .attrs_size = sizeof(sum_attrs), .infer = sum_infer

const octet_op octet_op_cum_prod = {.name = "CumProd", .since = 26, CUMULATIVE, .forward = product_forward};
const octet_op octet_op_cum_sum = {.name = "CumSum", .since = 11, CUMULATIVE, .forward = sum_forward};

/* ---- ReverseSequence: x, sequence_lens. The first entries of each sample in reverse, the others as they are ---- */

typedef struct reverse_attrs {
    int64_t batch_axis, time_axis;
} reverse_attrs;

static const octet_attr reverse_rows[] = {
    {.name = "batch_axis",
     .kind = OCTET_ATTR_INT,
     .offset = offsetof(reverse_attrs, batch_axis),
     .default_i = 1,
     .max = 1},
    {.name = "time_axis", .kind = OCTET_ATTR_INT, .offset = offsetof(reverse_attrs, time_axis), .max = 1},
    {.kind = OCTET_ATTR_END},
};

static octet_status check_lengths(const octet_tensor *lengths, int64_t most, octet_error *err)
{
    for (int64_t i = 0; i < lengths->dims[0]; i++)
        if (octet_int_at(lengths, i) < 0 || octet_int_at(lengths, i) > most)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "sequence_lens", "%lld, need 0 to %lld",
                                    (long long)octet_int_at(lengths, i), (long long)most);
    return OCTET_OK;
}

static octet_status reverse_infer(const octet_call *call, octet_error *err)
{
    const reverse_attrs *const attrs = call->attrs;
    const octet_tensor *const  x = call->in[0], *const lengths = call->in[1];
    if (x->rank < 2) return octet_fail(err, OCTET_ERR_SHAPE, "input has %d dimensions, 2 are needed", x->rank);
    if (attrs->batch_axis == attrs->time_axis)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "time_axis", "is the axis of the batch");
    if (lengths->dtype != OCTET_I64 || lengths->rank != 1 || lengths->dims[0] != x->dims[attrs->batch_axis])
        return octet_fail_field(err, OCTET_ERR_SHAPE, "sequence_lens", "must be int64, one for each of %lld samples",
                                (long long)x->dims[attrs->batch_axis]);
    if (lengths->data) OCTET_TRY(check_lengths(lengths, x->dims[attrs->time_axis], err));
    return octet_infer_same(call, err);
}

static octet_status reverse_forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0], *const lengths = call->in[1];
    const bool                batch_first = ((const reverse_attrs *)call->attrs)->batch_axis == 0;
    const int64_t             times = x->dims[batch_first], samples = x->dims[!batch_first];
    OCTET_TRY(check_lengths(lengths, times, err));
    if (octet_tensor_count(x) == 0) return OCTET_OK;
    const size_t bytes = (size_t)(octet_tensor_bytes(x) / times / samples);
    for (int64_t b = 0; b < samples; b++)
        for (int64_t t = 0; t < times; t++) {
            const int64_t n = octet_int_at(lengths, b), from = t < n ? n - 1 - t : t;
            const int64_t to_at = batch_first ? b * times + t : t * samples + b;
            const int64_t from_at = batch_first ? b * times + from : from * samples + b;
            memcpy((char *)call->out[0]->data + (size_t)to_at * bytes,
                   (const char *)x->data + (size_t)from_at * bytes, bytes);
        }
    return OCTET_OK;
}

const octet_op octet_op_reverse_sequence = {
    .name = "ReverseSequence",
    .since = 10,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_ALL,
    .attrs = reverse_rows,
    .attrs_size = sizeof(reverse_attrs),
    .quant = OCTET_QUANT_SAME,
    .infer = reverse_infer,
    .forward = reverse_forward,
    .forward_integer = octet_move_levels,
    .scratch_size = octet_levels_scratch,
};
