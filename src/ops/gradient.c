/* SPDX-License-Identifier: Apache-2.0 */
/* Adding gradients (gradient.h). Every sum has one order: rows in the order of the output, each row in eight lanes. */
#include "ops/gradient.h"

#include "ops/move.h"
#include "ops/wide.h"

void octet_gradient_add(const octet_tensor *din, int64_t at, const octet_tensor *dout, int64_t from, size_t n)
{
    const octet_move move = {.rank = 1, .dims = {(int64_t)n}, .to_step = {1}, .from_step = {1}};
    octet_wide       row[OCTET_WIDE_ROW];
    if (din->dtype == dout->dtype) {
        const int64_t size = (int64_t)octet_dtype_size(din->dtype);
        octet_move_back((char *)din->data + at * size, (const char *)dout->data + from * size, &move, din->dtype);
        return;
    }
    for (size_t done = 0; done < n; done += OCTET_WIDE_ROW) {
        const size_t count = n - done < OCTET_WIDE_ROW ? n - done : OCTET_WIDE_ROW;
        octet_wide_load(row, dout->data, dout->dtype, from + (int64_t)done, count, 1);
        octet_wide_add(din->data, din->dtype, at + (int64_t)done, row, count, 1);
    }
}

octet_status octet_gradient_same(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    if (octet_gradient_wanted(call, 0))
        octet_gradient_add(call->din[0], 0, call->dout[0], 0, (size_t)octet_tensor_count(call->din[0]));
    return OCTET_OK;
}

/* One row of dout: its sum to one element where the tensor stays there, element by element where it goes along. */
#define ADD_ROW(name, type)                                                                                            \
    static void name(type *to, const type *from, int64_t n, int64_t step, double factor)                               \
    {                                                                                                                  \
        double lane[8] = {0};                                                                                          \
        if (step == 0) {                                                                                               \
            int64_t i = 0;                                                                                             \
            for (; i + 8 <= n; i += 8)                                                                                 \
                for (int64_t k = 0; k < 8; k++) lane[k] += (double)from[i + k];                                        \
            for (; i < n; i++) lane[i % 8] += (double)from[i];                                                         \
            const double sum =                                                                                         \
                ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));             \
            *to = (type)((double)*to + factor * sum);                                                                  \
        } else {                                                                                                       \
            for (int64_t i = 0; i < n; i++) to[i * step] += (type)factor * from[i];                                    \
        }                                                                                                              \
    }
ADD_ROW(add_row_f32, float)
ADD_ROW(add_row_f64, double)

void octet_gradient_stretched(const octet_tensor *din, const octet_tensor *dout, double factor)
{
    octet_walk walk = {.rank = dout->rank};
    for (int i = 0; i < dout->rank; i++) walk.dims[i] = dout->dims[i];
    octet_dense_steps(walk.step[0], dout->dims, dout->rank);
    octet_stretched_steps(walk.step[1], din, dout->rank);
    octet_stretched_steps(walk.step[2], din, dout->rank);
    octet_walk_simplify(&walk);
    const int     inner = walk.rank - 1;
    const int64_t n = walk.dims[inner], step = walk.step[1][inner];
    if (octet_walk_rows(&walk) == 0) return;
    do
        if (din->dtype == OCTET_F32)
            add_row_f32((float *)din->data + walk.offset[1], (const float *)dout->data + walk.offset[0], n, step,
                        factor);
        else
            add_row_f64((double *)din->data + walk.offset[1], (const double *)dout->data + walk.offset[0], n, step,
                        factor);
    while (octet_walk_next(&walk));
}
