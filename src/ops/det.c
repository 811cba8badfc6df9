/* SPDX-License-Identifier: Apache-2.0 */
/* Det: the determinant of square matrices, by elimination with the largest pivot, in double. */
#include "ops/check.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <math.h>

static octet_status infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    if (x->rank < 2 || x->dims[x->rank - 1] != x->dims[x->rank - 2])
        return octet_fail(err, OCTET_ERR_SHAPE, "square matrices are needed");
    return octet_set_output(call->out[0], x->dtype, x->dims, x->rank - 2, err);
}

static size_t scratch_size(const octet_call *call, bool integer)
{
    const size_t n = (size_t)call->in[0]->dims[call->in[0]->rank - 1];
    return integer ? 0 : n * n * sizeof(octet_wide);
}

/* Row k and the one with the largest entry in column k change places; false where all are 0. */
static bool take_pivot(octet_wide *m, int64_t n, int64_t k, double *sign)
{
    int64_t most = k;
    for (int64_t i = k + 1; i < n; i++)
        if (fabs(m[i * n + k].f) > fabs(m[most * n + k].f)) most = i;
    if (most != k) *sign = -*sign;
    for (int64_t j = 0; j < n && most != k; j++) {
        const octet_wide held = m[k * n + j];
        m[k * n + j] = m[most * n + j];
        m[most * n + j] = held;
    }
    return m[k * n + k].f != 0;
}

static double determinant(octet_wide *m, int64_t n)
{
    double product = 1;
    for (int64_t k = 0; k < n; k++) {
        if (!take_pivot(m, n, k, &product)) return 0;
        product *= m[k * n + k].f;
        for (int64_t i = k + 1; i < n; i++) {
            const double factor = m[i * n + k].f / m[k * n + k].f;
            for (int64_t j = k + 1; j < n; j++) m[i * n + j].f -= factor * m[k * n + j].f;
        }
    }
    return product;
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    const int64_t             n = x->dims[x->rank - 1], count = octet_tensor_count(call->out[0]);
    (void)err;
    for (int64_t i = 0; i < count; i++) {
        octet_wide *const m = call->scratch;
        octet_wide_load(m, x->data, x->dtype, i * n * n, (size_t)(n * n), 1);
        const octet_wide value = {.f = determinant(m, n)};
        octet_wide_store(call->out[0]->data, x->dtype, i, &value, 1);
    }
    return OCTET_OK;
}

const octet_op octet_op_det = {
    .name = "Det", .since = 11, OCTET_ONE_TO_ONE, .types = OCTET_TYPES_FLOAT, .infer = infer, .forward = forward,
    .scratch_size = scratch_size,
};
