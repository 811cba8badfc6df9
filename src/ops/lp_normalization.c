/* SPDX-License-Identifier: Apache-2.0 */
/* LpNormalization: every row along an axis divided by its norm; a row of zeros stays. */
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <math.h>

typedef struct lp_attrs {
    int64_t axis, p;
} lp_attrs;

typedef struct lp_run {
    int64_t length, step, count; /* of a row along the axis; rows */
    bool    squares;             /* p is 2, else 1 */
} lp_run;

static octet_status make_run(lp_run *run, const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    const lp_attrs *const     attrs = call->attrs;
    int                       axis = 0;
    OCTET_TRY(octet_check_axis(&axis, attrs->axis, x->rank, "axis", err));
    *run = (lp_run){.length = x->dims[axis], .step = 1, .squares = attrs->p == 2};
    for (int i = axis + 1; i < x->rank; i++) run->step *= x->dims[i];
    run->count = run->length ? octet_tensor_count(x) / run->length : 0;
    return OCTET_OK;
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    lp_run run;
    OCTET_TRY(make_run(&run, call, err));
    return octet_infer_same(call, err);
}

static double at(const octet_tensor *t, const lp_run *run, int64_t row, int64_t i)
{
    octet_wide value;
    octet_wide_load(&value, t->data, t->dtype,
                    row / run->step * run->step * run->length + row % run->step + i * run->step, 1, 0);
    return value.f;
}

static double norm_of(const octet_tensor *x, const lp_run *run, int64_t row)
{
    double sum = 0;
    for (int64_t i = 0; i < run->length; i++) {
        const double v = at(x, run, row, i);
        sum += run->squares ? v * v : fabs(v);
    }
    return run->squares ? sqrt(sum) : sum;
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0], *const y = call->out[0];
    lp_run                    run;
    OCTET_TRY(make_run(&run, call, err));
    for (int64_t row = 0; row < run.count; row++) {
        const double  norm = norm_of(x, &run, row);
        const int64_t first = row / run.step * run.step * run.length + row % run.step;
        for (int64_t i = 0; i < run.length; i++) {
            const octet_wide value = {.f = norm == 0 ? 0 : at(x, &run, row, i) / norm};
            octet_wide_store(y->data, y->dtype, first + i * run.step, &value, 1);
        }
    }
    return OCTET_OK;
}

/* dx = (dy - slope * sum of dy * y) / norm, slope being y where squares are summed, else the sign of x. */
static octet_status backward(const octet_backward_call *call, octet_error *err)
{
    const octet_tensor *const x = call->forward->in[0], *const dy = call->dout[0];
    lp_run                    run;
    if (!octet_gradient_wanted(call, 0)) return OCTET_OK;
    OCTET_TRY(make_run(&run, call->forward, err));
    for (int64_t row = 0; row < run.count; row++) {
        const double  norm = norm_of(x, &run, row);
        const int64_t first = row / run.step * run.step * run.length + row % run.step;
        double        dot = 0;
        for (int64_t i = 0; i < run.length && norm != 0; i++) dot += at(dy, &run, row, i) * at(x, &run, row, i) / norm;
        for (int64_t i = 0; i < run.length && norm != 0; i++) {
            const double     v = at(x, &run, row, i), slope = run.squares ? v / norm : (double)((v > 0) - (v < 0));
            const octet_wide value = {.f = (at(dy, &run, row, i) - slope * dot) / norm};
            octet_wide_add(call->din[0]->data, call->din[0]->dtype, first + i * run.step, &value, 1, 0);
        }
    }
    return OCTET_OK;
}

static const octet_attr rows[] = {
    {.name = "axis", .kind = OCTET_ATTR_INT, .offset = offsetof(lp_attrs, axis), .default_i = -1},
    {.name = "p", .kind = OCTET_ATTR_INT, .offset = offsetof(lp_attrs, p), .default_i = 2, .min = 1, .max = 2},
    {.kind = OCTET_ATTR_END},
};

const octet_op octet_op_lp_normalization = {
    .name = "LpNormalization", .since = 1, OCTET_ONE_TO_ONE, .types = OCTET_TYPES_FLOAT, .attrs = rows,
    .attrs_size = sizeof(lp_attrs), .infer = infer, .forward = forward, .backward = backward,
};
