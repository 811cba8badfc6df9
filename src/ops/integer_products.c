/* SPDX-License-Identifier: Apache-2.0 */
/* DynamicQuantizeLinear, MatMulInteger and ConvInteger as operators on tensors, for graphs in which the reader leaves
   them. The products are those of MatMul in int32 and of Conv in float64, which is exact here. */
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/levels.h"
#include "ops/rows.h"
#include "ops/scratch.h"
#include "ops/wide.h"

#include <math.h>
#include <string.h>

/* ---- DynamicQuantizeLinear ---- */

static octet_status quantize_infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    if (octet_has_output(call, 0)) OCTET_TRY(octet_set_output(call->out[0], OCTET_U8, x->dims, x->rank, err));
    if (octet_has_output(call, 1)) OCTET_TRY(octet_set_output(call->out[1], OCTET_F32, NULL, 0, err));
    return octet_has_output(call, 2) ? octet_set_output(call->out[2], OCTET_U8, NULL, 0, err) : OCTET_OK;
}

/* ONNX's own arithmetic, all in float32. */
static octet_status quantize_forward(const octet_call *call, octet_error *err)
{
    (void)err;
    const float *const x = call->in[0]->data;
    const int64_t      count = octet_tensor_count(call->in[0]);
    float              lo = 0, hi = 0;
    for (int64_t i = 0; i < count; i++) {
        lo = fminf(lo, x[i]);
        hi = fmaxf(hi, x[i]);
    }
    const float scale = (hi - lo) / 255.0f, unit = scale > 0 ? scale : 1.0f;
    const float zero = rintf(fminf(fmaxf(0.0f - lo / unit, 0.0f), 255.0f));
    for (int64_t i = 0; octet_has_output(call, 0) && i < count; i++) {
        const float level = rintf(x[i] / unit) + zero;
        ((uint8_t *)call->out[0]->data)[i] = (uint8_t)(level > 0 ? level < 255 ? level : 255 : 0);
    }
    if (octet_has_output(call, 1)) *(float *)call->out[1]->data = scale;
    if (octet_has_output(call, 2)) *(uint8_t *)call->out[2]->data = (uint8_t)zero;
    return OCTET_OK;
}

const octet_op octet_op_dynamic_quantize_linear = {
    .name = "DynamicQuantizeLinear", .since = 11, .min_inputs = 1, .max_inputs = 1, .min_outputs = 3, .max_outputs = 3,
    .types = OCTET_TYPE(OCTET_F32), .infer = quantize_infer, .forward = quantize_forward,
};

/* ---- products of levels ---- */

enum { A, B, A_ZERO, B_ZERO };

static bool is_byte(const octet_tensor *t) { return t->dtype == OCTET_U8 || t->dtype == OCTET_I8; }

/* A zero point: one, or where along >= 0 one for each entry of that axis. */
static octet_status check_zero(const octet_call *call, int slot, int along, const char *name, octet_error *err)
{
    if (!octet_has_input(call, slot)) return OCTET_OK;
    const octet_tensor *const zero = call->in[slot], *const x = call->in[slot - A_ZERO];
    const int64_t             count = octet_tensor_count(zero);
    if (zero->dtype != x->dtype)
        return octet_fail_field(err, OCTET_ERR_SHAPE, name, "type is %s, the levels are %s",
                                octet_dtype_name(zero->dtype), octet_dtype_name(x->dtype));
    if (count == 1 || (zero->rank == 1 && along >= 0 && along < x->rank && count == x->dims[along])) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, name, "%lld entries, need 1 or one for each of an axis",
                            (long long)count);
}

/* The axis of zero points of input slot: rows of A and columns of B; input channels' batch never, output channels of
   W. */
typedef struct product {
    const octet_op *op; /* that computes the same of real numbers */
    octet_dtype     type;
    bool            is_conv;
} product;

static product product_of(const octet_call *call)
{
    const bool is_conv = !strcmp(call->node->op->name, "ConvInteger");
    return (product){ is_conv ? &octet_op_conv : &octet_op_mat_mul, is_conv ? OCTET_F64 : OCTET_I32, is_conv };
}

static int zero_axis(const octet_call *call, int slot)
{
    const octet_tensor *const x = call->in[slot];
    if (product_of(call).is_conv) return slot == B ? 0 : -1;
    return slot == B ? x->rank - 1 : x->rank - 2;
}

/* The same call on real numbers: its tensors, without data. */
typedef struct plain_call {
    octet_call          call;
    octet_tensor        in[2], out;
    const octet_tensor *inputs[2];
    octet_tensor       *outputs[1];
    octet_node          node;
} plain_call;

static void make_plain(plain_call *plain, const octet_call *call)
{
    const product p = product_of(call);
    plain->node = *call->node;
    plain->node.op = p.op;
    plain->call = *call;
    plain->call.node = &plain->node;
    for (int i = 0; i < 2; i++) {
        plain->in[i] = *call->in[i];
        plain->in[i].dtype = p.type;
        plain->in[i].data = NULL;
        plain->inputs[i] = &plain->in[i];
    }
    plain->out = *call->out[0];
    plain->out.dtype = p.type;
    plain->outputs[0] = &plain->out;
    plain->call.in = plain->inputs;
    plain->call.out = plain->outputs;
    plain->call.in_count = 2;
    plain->call.out_count = 1;
}

static octet_status product_infer(const octet_call *call, octet_error *err)
{
    plain_call plain;
    for (int i = 0; i < 2; i++)
        if (!is_byte(call->in[i]))
            return octet_fail_field(err, OCTET_ERR_SHAPE, i ? "B" : "A", "type is %s, need u8 or s8",
                                    octet_dtype_name(call->in[i]->dtype));
    OCTET_TRY(check_zero(call, A_ZERO, zero_axis(call, A), "a_zero_point", err));
    OCTET_TRY(check_zero(call, B_ZERO, zero_axis(call, B), "b_zero_point", err));
    make_plain(&plain, call);
    OCTET_TRY(plain.node.op->infer(&plain.call, err));
    return octet_set_output(call->out[0], OCTET_I32, plain.out.dims, plain.out.rank, err);
}

/* Lays out the plain call's data; bytes of all in all, SIZE_MAX where too many. */
static size_t lay_out(plain_call *plain, const octet_call *call)
{
    const product p = product_of(call);
    octet_scratch scratch = { .data = call->scratch };
    make_plain(plain, call);
    for (int i = 0; i < 2; i++)
        plain->in[i].data =
            octet_scratch_take(&scratch, (size_t)octet_tensor_count(&plain->in[i]), octet_dtype_size(p.type));
    plain->out.data = octet_scratch_take(&scratch, (size_t)octet_tensor_count(&plain->out), octet_dtype_size(p.type));
    const size_t more = p.op->scratch_size ? p.op->scratch_size(&plain->call, false) : 0;
    plain->call.scratch = octet_scratch_take(&scratch, more, 1);
    return scratch.too_large || more == SIZE_MAX ? SIZE_MAX : scratch.bytes;
}

static size_t product_scratch(const octet_call *call, bool integer)
{
    plain_call plain;
    octet_call counting = *call;
    (void)integer;
    counting.scratch = NULL;
    return lay_out(&plain, &counting);
}

/* to = levels less their zero points. */
static void load(octet_tensor *to, const octet_call *call, int slot)
{
    const octet_tensor *const x = call->in[slot];
    const octet_tensor *const zero = octet_has_input(call, slot + A_ZERO) ? call->in[slot + A_ZERO] : NULL;
    const int64_t             count = octet_tensor_count(x), zeros = zero ? octet_tensor_count(zero) : 1;
    int64_t                   inner = 1;
    for (int i = zero_axis(call, slot) + 1; zeros > 1 && i < x->rank; i++) inner *= x->dims[i];
    for (int64_t i = 0; i < count; i++) {
        int32_t level[2] = { 0 };
        octet_levels_load(&level[0], x->data, x->dtype, (size_t)i, 1, 0);
        if (zero) octet_levels_load(&level[1], zero->data, zero->dtype, (size_t)(i / inner % zeros), 1, 0);
        if (to->dtype == OCTET_I32)
            ((int32_t *)to->data)[i] = level[0] - level[1];
        else
            ((double *)to->data)[i] = level[0] - level[1];
    }
}

static octet_status product_forward(const octet_call *call, octet_error *err)
{
    plain_call plain;
    lay_out(&plain, call);
    for (int slot = 0; slot < 2; slot++) load(&plain.in[slot], call, slot);
    OCTET_TRY(plain.node.op->forward(&plain.call, err));
    const int64_t count = octet_tensor_count(call->out[0]);
    if (plain.out.dtype == OCTET_I32) memcpy(call->out[0]->data, plain.out.data, (size_t)count * sizeof(int32_t));
    for (int64_t i = 0; plain.out.dtype == OCTET_F64 && i < count; i++)
        ((int32_t *)call->out[0]->data)[i] = (int32_t)(uint32_t)(int64_t)((const double *)plain.out.data)[i];
    return OCTET_OK;
}

static int64_t product_macs(const octet_call *call)
{
    plain_call plain;
    make_plain(&plain, call);
    return plain.node.op->macs(&plain.call);
}

#define PRODUCT                                                                                             \
    .since = 10, .min_inputs = 2, .max_inputs = 4, .min_outputs = 1, .max_outputs = 1,                      \
    .types = OCTET_TYPE(OCTET_U8) | OCTET_TYPE(OCTET_I8), .infer = product_infer, .forward = product_forward, \
    .scratch_size = product_scratch, .macs = product_macs

const octet_op octet_op_mat_mul_integer = { .name = "MatMulInteger", PRODUCT };
const octet_op octet_op_conv_integer = { .name = "ConvInteger", .attrs = octet_conv_attrs,
                                         .attrs_size = sizeof(octet_window_attrs), PRODUCT };
