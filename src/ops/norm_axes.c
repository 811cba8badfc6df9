/* SPDX-License-Identifier: Apache-2.0 */
/* MeanVarianceNormalization subtracts the mean over its axes, which need not be neighbours, and divides by the
   deviation plus 1e-9. Elements that differ only in those axes form a group, which has two sums in scratch. */
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <math.h>
#include <string.h>

typedef struct axes_attrs {
    octet_ints axes; /* none: 0, 2, 3 */
} axes_attrs;

typedef struct group_walk {
    const octet_tensor *x;
    int64_t             step[OCTET_MAX_RANK]; /* of a group's number along each dimension; 0: normalized */
    int64_t             groups, each;
    double             *sums, *squares; /* one per group */
} group_walk;

static octet_status normalized_axes(bool normal[OCTET_MAX_RANK], const octet_call *call, octet_error *err)
{
    octet_ints list = ((const axes_attrs *)call->attrs)->axes;
    int        axis[OCTET_INTS_MAX];
    if (!list.count) list = (octet_ints){ 3, { 0, 2, 3 } };
    OCTET_TRY(octet_check_axes(axis, &list, call->in[0]->rank, "axes", err));
    memset(normal, 0, OCTET_MAX_RANK * sizeof *normal);
    for (int i = 0; i < list.count; i++) normal[axis[i]] = true;
    return OCTET_OK;
}

static void make_walk(group_walk *w, const octet_call *call)
{
    bool normal[OCTET_MAX_RANK];
    normalized_axes(normal, call, NULL);
    *w = (group_walk){ .x = call->in[0], .groups = 1, .each = 1 };
    for (int i = w->x->rank - 1; i >= 0; i--) {
        w->step[i] = normal[i] ? 0 : w->groups;
        *(normal[i] ? &w->each : &w->groups) *= w->x->dims[i];
    }
    w->sums = call->scratch;
    w->squares = w->sums ? w->sums + w->groups : NULL;
}

static size_t scratch_size(const octet_call *call, bool integer)
{
    group_walk w;
    octet_call local = *call;
    (void)integer;
    local.scratch = NULL;
    make_walk(&w, &local);
    return 2 * (size_t)w.groups * sizeof(double);
}

static int64_t group_of(const group_walk *w, int64_t at)
{
    int64_t group = 0;
    for (int i = w->x->rank - 1; i >= 0; i--) {
        group += at % w->x->dims[i] * w->step[i];
        at /= w->x->dims[i];
    }
    return group;
}

static double element(const octet_tensor *x, int64_t at)
{
    octet_wide value;
    octet_wide_load(&value, x->data, x->dtype, at, 1, 1);
    return value.f;
}

static void store(const octet_call *call, int64_t at, double value)
{
    octet_wide_store(call->out[0]->data, call->out[0]->dtype, at, &(octet_wide){ .f = value }, 1);
}

static octet_status infer_mean_variance(const octet_call *call, octet_error *err)
{
    bool                      normal[OCTET_MAX_RANK];
    const octet_tensor *const x = call->in[0];
    OCTET_TRY(normalized_axes(normal, call, err));
    for (int i = 0; i < x->rank; i++)
        if (normal[i] && x->dims[i] < 1)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "axes", "axis %d is empty: it has no mean", i);
    return octet_infer_same(call, err);
}

static octet_status forward_mean_variance(const octet_call *call, octet_error *err)
{
    group_walk w;
    (void)err;
    make_walk(&w, call);
    const int64_t count = octet_tensor_count(w.x);
    for (int64_t g = 0; g < 2 * w.groups; g++) w.sums[g] = 0;
    for (int64_t at = 0; at < count; at++) w.sums[group_of(&w, at)] += element(w.x, at);
    for (int64_t at = 0; at < count; at++) {
        const int64_t g = group_of(&w, at);
        const double  d = element(w.x, at) - w.sums[g] / (double)w.each;
        w.squares[g] += d * d;
    }
    for (int64_t at = 0; at < count; at++) {
        const int64_t g = group_of(&w, at);
        const double  d = element(w.x, at) - w.sums[g] / (double)w.each;
        store(call, at, d / (sqrt(w.squares[g] / (double)w.each) + 1e-9));
    }
    return OCTET_OK;
}

#define AT(field) offsetof(axes_attrs, field)

static const octet_attr mean_variance_attrs[] = {
    { "axes", OCTET_ATTR_INTS, AT(axes) },
    { 0 },
};

const octet_op octet_op_mean_variance_normalization = {
    .name = "MeanVarianceNormalization", .since = 9, OCTET_ONE_TO_ONE, .types = OCTET_TYPES_FLOAT,
    .attrs = mean_variance_attrs, .attrs_size = sizeof(axes_attrs), .infer = infer_mean_variance,
    .forward = forward_mean_variance, .scratch_size = scratch_size,
};
