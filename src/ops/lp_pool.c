/* SPDX-License-Identifier: Apache-2.0 */
/* LpPool and GlobalLpPool: the p-th root of the sum of p-th powers, in double. */
#include "ops/check.h"
#include "ops/pool_run.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <math.h>

#define AT(field) offsetof(octet_window_attrs, field)

static octet_status infer(const octet_call *call, octet_error *err)
{
    const int64_t p = ((const octet_window_attrs *)call->attrs)->p;
    if (p < 1) return octet_fail_field(err, OCTET_ERR_FORMAT, "p", "is %lld; it must be at least 1", (long long)p);
    return octet_pool_infer(call, err);
}

static double power(double x, double p) { return p == 1 ? fabs(x) : p == 2 ? x * x : pow(fabs(x), p); }
static double root(double x, double p) { return p == 1 ? x : p == 2 ? sqrt(x) : pow(x, 1 / p); }

static void norm_plane(void *context, size_t plane)
{
    const octet_pool_run *const run = context;
    const octet_tensor *const   x = run->call->in[0], *const y = run->call->out[0];
    const double                p = (double)((const octet_window_attrs *)run->call->attrs)->p;
    octet_pool_part             part = { 0 };
    while (octet_pool_next_part(&part, run)) {
        octet_wide         sum[OCTET_POOL_PART], row[OCTET_POOL_PART];
        octet_pool_walk    walk;
        octet_pool_stretch s;
        for (size_t i = 0; i < part.count; i++) sum[i].f = 0;
        octet_pool_begin(&walk, &run->window, part);
        while (octet_pool_next(&s, &walk)) {
            octet_wide_load(row, x->data, x->dtype, (int64_t)(plane * run->in_size) + s.at, s.n, s.step);
            for (size_t i = 0; i < s.n; i++) sum[s.from + i].f += power(row[i].f, p);
        }
        for (size_t i = 0; i < part.count; i++) sum[i].f = root(sum[i].f, p);
        octet_wide_clamp(sum, part.count, y->dtype, &run->call->node->activation);
        octet_wide_store(y->data, y->dtype, (int64_t)(plane * run->out_size) + octet_pool_position(run, &part), sum,
                         part.count);
    }
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    (void)err;
    octet_pool_planes(call, false, norm_plane);
    return OCTET_OK;
}

static const octet_attr window_attrs[] = {
    { "auto_pad", OCTET_ATTR_STRING, AT(auto_pad), .default_s = "NOTSET" },
    { "ceil_mode", OCTET_ATTR_INT, AT(ceil_mode) },
    { "dilations", OCTET_ATTR_INTS, AT(dilations), .min = 1, .max = INT32_MAX },
    { "kernel_shape", OCTET_ATTR_INTS, AT(kernel_shape), .min = 1, .max = INT32_MAX, .required = true },
    { "p", OCTET_ATTR_INT, AT(p), .default_i = 2, .min = 1, .max = INT32_MAX },
    { "pads", OCTET_ATTR_INTS, AT(pads), .min = 0, .max = 0xffff },
    { "strides", OCTET_ATTR_INTS, AT(strides), .min = 1, .max = INT32_MAX },
    { 0 },
};

static const octet_attr global_attrs[] = {
    { "p", OCTET_ATTR_INT, AT(p), .default_i = 2, .min = 1, .max = INT32_MAX },
    { 0 },
};

#define POOL(row, op, from, attributes)                                                                                \
    const octet_op octet_op_##row = {                                                                                  \
        .name = op,                                                                                                    \
        .since = from,                                                                                                 \
        OCTET_ONE_TO_ONE,                                                                                              \
        .types = OCTET_TYPES_FLOAT,                                                                                    \
        .attrs = attributes,                                                                                           \
        .attrs_size = sizeof(octet_window_attrs),                                                                      \
        .flags = OCTET_OP_LINEAR_CLAMP | OCTET_OP_SAMPLES,                                                             \
        .infer = infer,                                                                                                \
        .forward = forward,                                                                                            \
    }

POOL(global_lp_pool, "GlobalLpPool", 2, global_attrs);
POOL(lp_pool, "LpPool", 2, window_attrs);
