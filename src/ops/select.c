/* SPDX-License-Identifier: Apache-2.0 */
/* Where: condition, x, y, stretched to one shape. */
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/move.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <string.h>

static octet_status infer(const octet_call *call, octet_error *err)
{
    octet_tensor both = {0};
    int64_t      dims[OCTET_MAX_RANK];
    int          rank;
    if (call->in[1]->dtype != call->in[2]->dtype)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "Y", "input 'Y' has type %s, 'X' has %s",
                                octet_dtype_name(call->in[2]->dtype), octet_dtype_name(call->in[1]->dtype));
    OCTET_TRY(octet_broadcast(both.dims, &both.rank, call->in[1], call->in[2], err));
    OCTET_TRY(octet_broadcast(dims, &rank, call->in[0], &both, err));
    return octet_set_output(call->out[0], call->in[1]->dtype, dims, rank, err);
}

/* Operand 0 is the result, 1 to 3 are the inputs. */
static octet_walk rows_of(const octet_call *call)
{
    const octet_tensor *const out = call->out[0];
    octet_walk                walk = {.rank = out->rank};
    for (int i = 0; i < out->rank; i++) walk.dims[i] = out->dims[i];
    octet_dense_steps(walk.step[0], out->dims, out->rank);
    for (int k = 0; k < 3; k++) octet_stretched_steps(walk.step[1 + k], call->in[k], out->rank);
    octet_walk_simplify(&walk);
    return walk;
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    (void)err;
    octet_walk   walk = rows_of(call);
    const int    inner = walk.rank - 1;
    const size_t size = octet_dtype_size(call->out[0]->dtype);
    if (octet_tensor_count(call->out[0]) == 0) return OCTET_OK;
    do {
        const uint8_t *const condition = (const uint8_t *)call->in[0]->data + walk.offset[1];
        char                *to = (char *)call->out[0]->data + (size_t)walk.offset[0] * size;
        for (int64_t i = 0; i < walk.dims[inner]; i++, to += size) {
            const int     k = condition[i * walk.step[1][inner]] ? 1 : 2;
            const int64_t at = walk.offset[1 + k] + i * walk.step[1 + k][inner];
            memcpy(to, (const char *)call->in[k]->data + (size_t)at * size, size);
        }
    } while (octet_walk_next(&walk));
    return OCTET_OK;
}

/* The gradient of input k, 1 or 2: that of the result where k was chosen. */
static void add_chosen(const octet_backward_call *call, int k)
{
    const octet_call *const   of = call->forward;
    const octet_tensor *const dy = call->dout[0], *const dx = call->din[k];
    octet_walk                walk = rows_of(of);
    const int                 inner = walk.rank - 1;
    const int64_t             step = walk.step[1 + k][inner];
    do {
        const uint8_t *const condition = (const uint8_t *)of->in[0]->data + walk.offset[1];
        for (int64_t i = 0; i < walk.dims[inner]; i++) {
            octet_wide value;
            if ((condition[i * walk.step[1][inner]] != 0) != (k == 1)) continue;
            octet_wide_load(&value, dy->data, dy->dtype, walk.offset[0] + i, 1, 1);
            octet_wide_add(dx->data, dx->dtype, walk.offset[1 + k] + i * step, &value, 1, 0);
        }
    } while (octet_walk_next(&walk));
}

static octet_status backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    for (int k = 1; k < 3; k++)
        if (octet_gradient_wanted(call, k) && octet_tensor_count(call->dout[0]) > 0) add_chosen(call, k);
    return OCTET_OK;
}

const octet_op octet_op_where = {
    .name = "Where",
    .since = 9,
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPE(OCTET_BOOL),
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .fixed_inputs = 1 << 0,
};
