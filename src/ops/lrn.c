/* SPDX-License-Identifier: Apache-2.0 */
/* LRN: x / (bias + alpha / size * sum of squares of size neighbouring channels) ^ beta. */
#include "ops/check.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <inttypes.h>
#include <math.h>

typedef struct lrn_attrs {
    float   alpha, beta, bias;
    int64_t size;
} lrn_attrs;

static octet_status infer(const octet_call *call, octet_error *err)
{
    const lrn_attrs *const attrs = call->attrs;
    if (attrs->size < 1)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "size", "is %" PRId64 "; at least 1 is needed", attrs->size);
    if (!isfinite(attrs->alpha)) return octet_fail_field(err, OCTET_ERR_FORMAT, "alpha", "is not a finite number");
    if (!isfinite(attrs->beta)) return octet_fail_field(err, OCTET_ERR_FORMAT, "beta", "is not a finite number");
    if (!isfinite(attrs->bias)) return octet_fail_field(err, OCTET_ERR_FORMAT, "bias", "is not a finite number");
    if (call->in[0]->rank < 2)
        return octet_fail(err, OCTET_ERR_SHAPE, "the input has rank %d; a batch of channels is needed",
                          call->in[0]->rank);
    return octet_infer_same(call, err);
}

/* One element of every channel, channels step apart from first on. */
static void normalize(const octet_call *call, int64_t first, int64_t step)
{
    const lrn_attrs *const    attrs = call->attrs;
    const octet_tensor *const x = call->in[0], *const y = call->out[0];
    const int64_t             channels = x->dims[1];
    const int64_t             below = (attrs->size - 1) / 2, above = attrs->size - 1 - below;
    for (int64_t c = 0; c < channels; c++) {
        /* size may be anything: nothing is added to it */
        const int64_t from = c > below ? c - below : 0, last = channels - 1 - c > above ? c + above : channels - 1;
        octet_wide    value;
        double        sum = 0;
        for (int64_t k = from; k <= last; k++) {
            octet_wide_load(&value, x->data, x->dtype, first + k * step, 1, 1);
            sum += value.f * value.f;
        }
        octet_wide_load(&value, x->data, x->dtype, first + c * step, 1, 1);
        value.f /= pow((double)attrs->bias + (double)attrs->alpha / (double)attrs->size * sum, (double)attrs->beta);
        octet_wide_store(y->data, y->dtype, first + c * step, &value, 1);
    }
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    int64_t                   inner = 1;
    (void)err;
    for (int i = 2; i < x->rank; i++) inner *= x->dims[i];
    for (int64_t n = 0; n < x->dims[0]; n++)
        for (int64_t i = 0; i < inner; i++) normalize(call, n * x->dims[1] * inner + i, inner);
    return OCTET_OK;
}

#define AT(field) offsetof(lrn_attrs, field)

static const octet_attr attrs[] = {
    { "alpha", OCTET_ATTR_FLOAT, AT(alpha), .default_f = 1e-4f },
    { "beta", OCTET_ATTR_FLOAT, AT(beta), .default_f = 0.75f },
    { "bias", OCTET_ATTR_FLOAT, AT(bias), .default_f = 1.0f },
    { "size", OCTET_ATTR_INT, AT(size), .required = true },
    { 0 },
};

const octet_op octet_op_lrn = {
    .name = "LRN", .since = 1, OCTET_ONE_TO_ONE, .types = OCTET_TYPES_FLOAT, .attrs = attrs,
    .attrs_size = sizeof(lrn_attrs), .flags = OCTET_OP_SAMPLES, .infer = infer, .forward = forward,
};
