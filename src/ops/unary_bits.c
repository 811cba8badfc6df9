/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of one number that tell or turn bits: Not, BitwiseNot, IsNaN, IsInf. */
#include "ops/unary.h"

static void not_rows(octet_wide *row, size_t n, const octet_call *call, const void *with)
{
    (void)call, (void)with;
    for (size_t i = 0; i < n; i++) row[i].i = row[i].i == 0;
}

static void bitwise_not_rows(octet_wide *row, size_t n, const octet_call *call, const void *with)
{
    (void)call, (void)with;
    for (size_t i = 0; i < n; i++) row[i].i = ~row[i].i;
}

static void is_nan_rows(octet_wide *row, size_t n, const octet_call *call, const void *with)
{
    (void)call, (void)with;
    for (size_t i = 0; i < n; i++) row[i].i = isnan(row[i].f) != 0;
}

static void is_inf_rows(octet_wide *row, size_t n, const octet_call *call, const void *with)
{
    const octet_unary_attrs *const attrs = call->attrs;
    (void)with;
    for (size_t i = 0; i < n; i++)
        row[i].i = isinf(row[i].f) && (row[i].f < 0 ? attrs->negative : attrs->positive) != 0;
}

#define BITS_FORWARD(name)                                                                                             \
    static octet_status name##_forward(const octet_call *call, octet_error *err)                                       \
    {                                                                                                                  \
        (void)err;                                                                                                     \
        return octet_unary_rows(call, name##_rows, NULL);                                                              \
    }

BITS_FORWARD(not)
BITS_FORWARD(bitwise_not)
BITS_FORWARD(is_nan)
BITS_FORWARD(is_inf)

static octet_status infer_bool(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    return octet_set_output(call->out[0], OCTET_BOOL, in->dims, in->rank, err);
}

static const octet_attr is_inf_attrs[] = {
    {.name = "detect_negative", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_unary_attrs, negative),
     .default_i = 1, .max = 1},
    {.name = "detect_positive", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_unary_attrs, positive),
     .default_i = 1, .max = 1},
    {.kind = OCTET_ATTR_END},
};

const octet_op octet_op_bitwise_not = {
    .name = "BitwiseNot", .since = 18, UNARY_ONE_TO_ONE, .types = OCTET_TYPES_INT, .infer = octet_infer_same,
    .forward = bitwise_not_forward,
};
const octet_op octet_op_is_inf = {
    .name = "IsInf", .since = 10, UNARY_ONE_TO_ONE, .types = OCTET_TYPES_FLOAT | OCTET_TYPE(OCTET_F16),
    .infer = infer_bool, .forward = is_inf_forward, UNARY_ATTRS(is_inf_attrs),
};
const octet_op octet_op_is_nan = {
    .name = "IsNaN", .since = 9, UNARY_ONE_TO_ONE, .types = OCTET_TYPES_FLOAT | OCTET_TYPE(OCTET_F16),
    .infer = infer_bool, .forward = is_nan_forward,
};
const octet_op octet_op_not = {
    .name = "Not", .since = 1, UNARY_ONE_TO_ONE, .types = OCTET_TYPE(OCTET_BOOL), .infer = octet_infer_same,
    .forward = not_forward,
};
