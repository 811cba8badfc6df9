/* SPDX-License-Identifier: Apache-2.0 */
/* Rescaling (rescale.h): docs/arithmetic.md's rule of Concat, for everything that passes levels on. */
#include "ops/rescale.h"

#include <string.h>

enum { ROW = 256 };

bool octet_qparams_equal(const octet_qparams *a, const octet_qparams *b)
{
    if (a == b) return true;
    if (!a || !b || a->count != 1 || b->count != 1 || a->dtype != b->dtype) return false;
    return a->scale[0] == b->scale[0] && a->zero_point[0] == b->zero_point[0] && a->qmin == b->qmin &&
           a->qmax == b->qmax;
}

void octet_rescale_row(int32_t *levels, const octet_tensor *in, size_t first, size_t n, const octet_level_rule *to,
                       const octet_profile *profile)
{
    octet_levels_load(levels, in->data, in->dtype, first, n, in->qparams->zero_point[0]);
    profile->rescale(levels, levels, in->qparams->scale[0], n, to);
}

/* Rewrites all elements of in, which holds levels, for out: rescaled where out has parameters, as real numbers
   (float32) where it has none. in and out may share memory if their elements have one size. */
static void rescale(const octet_tensor *out, const octet_tensor *in, const octet_profile *profile)
{
    const size_t           count = (size_t)octet_tensor_count(in);
    const octet_level_rule to = out->qparams ? octet_level_rule_of(out->qparams, 0, NULL) : (octet_level_rule){0};
    for (size_t first = 0; first < count; first += ROW) {
        const size_t n = count - first < ROW ? count - first : ROW;
        if (out->qparams) {
            int32_t levels[ROW];
            octet_rescale_row(levels, in, first, n, &to, profile);
            octet_levels_store(out->data, out->dtype, first, levels, n);
        } else
            octet_levels_real((float *)out->data + first, in, first, n, 0);
    }
}

/* Whether an output is first moved to scratch: its elements have another size than the levels moved. */
static bool needs_scratch(const octet_call *call, const octet_tensor *out)
{
    const octet_tensor *const in = call->in[0];
    return !octet_qparams_equal(in->qparams, out->qparams) &&
           octet_dtype_size(in->dtype) != octet_dtype_size(out->dtype);
}

static size_t padded_bytes(const octet_call *call, const octet_tensor *out)
{
    return octet_aligned((size_t)octet_tensor_count(out) * octet_dtype_size(call->in[0]->dtype));
}

size_t octet_levels_scratch(const octet_call *call, bool integer)
{
    size_t bytes = 0;
    for (int i = 0; integer && i < call->out_count; i++)
        if (call->out[i] && needs_scratch(call, call->out[i])) bytes += padded_bytes(call, call->out[i]);
    return bytes;
}

octet_status octet_forward_levels(const octet_call *call, octet_forward move, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    char                     *spare = call->scratch;
    enum { OUTPUTS = 64 };
    octet_tensor  moved[OUTPUTS];
    octet_tensor *outs[OUTPUTS];
    if (call->out_count > OUTPUTS)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "%d quantized outputs, at most %d are supported", call->out_count,
                          OUTPUTS);
    for (int i = 0; i < call->out_count; i++) {
        outs[i] = call->out[i] ? &moved[i] : NULL;
        if (!outs[i]) continue;
        moved[i] = *call->out[i];
        moved[i].dtype = in->dtype;
        if (!needs_scratch(call, call->out[i])) continue;
        moved[i].data = spare;
        spare += padded_bytes(call, call->out[i]);
    }
    octet_call moving = *call;
    moving.out = outs;
    moving.scratch = spare;
    OCTET_TRY(move(&moving, err));
    for (int i = 0; i < call->out_count; i++) {
        if (!outs[i] || octet_qparams_equal(in->qparams, call->out[i]->qparams)) continue;
        moved[i].qparams = in->qparams;
        rescale(call->out[i], &moved[i], call->profile);
    }
    return OCTET_OK;
}

octet_status octet_move_levels(const octet_call *call, octet_error *err)
{
    return octet_forward_levels(call, call->node->op->forward, err);
}
