/* SPDX-License-Identifier: Apache-2.0 */
/* Gemm and MatMul: rows, validation, and the parts of Gemm around the product. */
#include "base/parallel.h"
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/dynamic.h"
#include "ops/gradient.h"
#include "ops/product.h"
#include "ops/rows.h"
#include "ops/wide.h"
#include "ops/window.h"

#include <inttypes.h>
#include <math.h>

enum { MATRIX_TYPES = OCTET_TYPES_FLOAT | 1u << OCTET_I32 | 1u << OCTET_U32 | 1u << OCTET_I64 | 1u << OCTET_U64 };

/* ---- after the product: alpha, C, batch normalization, activation ---- */

typedef struct finish {
    const octet_call   *call;
    const octet_tensor *c; /* NULL: none */
    double              alpha, beta;
    int64_t             c_row, c_column; /* steps: 0 where stretched */
} finish;

static bool has_work(const finish *f)
{
    const octet_node *const node = f->call->node;
    return f->c || f->alpha != 1.0 || node->batch_norm || node->activation.on;
}

static void finish_floats(const finish *f, octet_wide *y, const octet_wide *c, size_t column, size_t n)
{
    const octet_batch_norm *const norm = f->call->node->batch_norm;
    for (size_t i = 0; i < n; i++) {
        double v = y[i].f * f->alpha + (f->c ? c[i].f * f->beta : 0.0);
        if (norm) {
            const size_t at = column + i;
            const double spread = sqrt((double)norm->variance[at] + (double)norm->epsilon);
            v = (v - (double)norm->mean[at]) / spread * (double)norm->gamma[at] + (double)norm->beta[at];
        }
        y[i].f = v;
    }
}

static void finish_integers(const finish *f, octet_wide *y, const octet_wide *c, size_t n)
{
    const uint64_t alpha = (uint64_t)(int64_t)f->alpha, beta = (uint64_t)(int64_t)f->beta;
    for (size_t i = 0; i < n; i++)
        y[i].i = (int64_t)((uint64_t)y[i].i * alpha + (f->c ? (uint64_t)c[i].i * beta : 0));
}

static void finish_row(void *context, size_t index)
{
    const finish *const       f = context;
    const octet_tensor *const out = f->call->out[0];
    const int64_t             row = (int64_t)index, columns = out->rank ? out->dims[out->rank - 1] : 1;
    for (int64_t at = 0; at < columns; at += OCTET_WIDE_ROW) {
        const size_t n = (size_t)(columns - at < OCTET_WIDE_ROW ? columns - at : OCTET_WIDE_ROW);
        octet_wide   y[OCTET_WIDE_ROW], c[OCTET_WIDE_ROW];
        octet_wide_load(y, out->data, out->dtype, row * columns + at, n, 1);
        if (f->c) octet_wide_load(c, f->c->data, f->c->dtype, row * f->c_row + at * f->c_column, n, f->c_column);
        if (octet_dtype_is_float(out->dtype))
            finish_floats(f, y, c, (size_t)at, n);
        else
            finish_integers(f, y, c, n);
        octet_wide_clamp(y, n, out->dtype, &f->call->node->activation);
        octet_wide_store(out->data, out->dtype, row * columns + at, y, n);
    }
}

static void finish_rows(finish *f)
{
    const octet_tensor *const out = f->call->out[0];
    const int64_t             columns = out->rank ? out->dims[out->rank - 1] : 1;
    if (!has_work(f) || columns == 0) return;
    octet_parallel((size_t)(octet_tensor_count(out) / columns), f->call->threads, finish_row, f);
}

/* ---- Gemm ---- */

#define AT(field) offsetof(octet_gemm_attrs, field)

static const octet_attr gemm_attrs[] = {
    { "alpha", OCTET_ATTR_FLOAT, AT(alpha), .default_f = 1.0f },
    { "beta", OCTET_ATTR_FLOAT, AT(beta), .default_f = 1.0f },
    { "transA", OCTET_ATTR_INT, AT(trans_a) },
    { "transB", OCTET_ATTR_INT, AT(trans_b) },
    { 0 },
};

/* The shape of C must be stretched to [rows, columns], never the reverse. */
static octet_status check_c(const octet_call *call, int64_t rows, int64_t columns, octet_error *err)
{
    if (!octet_has_input(call, 2)) return OCTET_OK;
    const octet_tensor *const c = call->in[2];
    OCTET_TRY(octet_check_same_type(call, 2, "C", err));
    const int64_t wide = c->rank > 0 ? c->dims[c->rank - 1] : 1, high = c->rank > 1 ? c->dims[c->rank - 2] : 1;
    if (c->rank <= 2 && (wide == 1 || wide == columns) && (high == 1 || high == rows)) return OCTET_OK;
    char text[160];
    return octet_fail_field(err, OCTET_ERR_SHAPE, "C",
                            "shape %s cannot be stretched to [%" PRId64 ", %" PRId64 "]",
                            octet_shape_text(text, sizeof text, c->dims, c->rank), rows, columns);
}

static octet_status gemm_infer(const octet_call *call, octet_error *err)
{
    const octet_gemm_attrs *const attrs = call->attrs;
    const octet_tensor *const     a = call->in[0], *const b = call->in[1];
    OCTET_TRY(octet_check_same_type(call, 1, "B", err));
    if (a->rank != 2 || b->rank != 2)
        return octet_fail(err, OCTET_ERR_SHAPE, "A has rank %d and B has rank %d; both must be matrices", a->rank,
                          b->rank);
    if (!isfinite(attrs->alpha)) return octet_fail_field(err, OCTET_ERR_FORMAT, "alpha", "is not a finite number");
    if (!isfinite(attrs->beta)) return octet_fail_field(err, OCTET_ERR_FORMAT, "beta", "is not a finite number");
    const int     at = attrs->trans_a != 0, bt = attrs->trans_b != 0;
    const int64_t depth = a->dims[1 - at], dims[2] = { a->dims[at], b->dims[1 - bt] };
    if (depth != b->dims[bt])
        return octet_fail(err, OCTET_ERR_SHAPE, "A has %" PRId64 " columns but B has %" PRId64 " rows%s", depth,
                          b->dims[bt], at || bt ? " (after transposing)" : "");
    if (depth < 1) return octet_fail(err, OCTET_ERR_SHAPE, "A and B have an inner dimension of 0");
    OCTET_TRY(check_c(call, dims[0], dims[1], err));
    return octet_set_output(call->out[0], a->dtype, dims, 2, err);
}

static octet_product_shape gemm_shape(const octet_call *call)
{
    const octet_gemm_attrs *const attrs = call->attrs;
    const octet_tensor *const     a = call->in[0], *const b = call->in[1];
    const int                     at = attrs->trans_a != 0, bt = attrs->trans_b != 0;
    octet_product_shape           shape = { .batch = 1 };
    shape.rows = (size_t)a->dims[at];
    shape.depth = (size_t)a->dims[1 - at];
    shape.columns = (size_t)b->dims[1 - bt];
    shape.a_row = at ? 1 : shape.depth;
    shape.a_depth = at ? shape.rows : 1;
    shape.b_depth = bt ? 1 : shape.columns;
    shape.b_column = bt ? shape.depth : 1;
    return shape;
}

static octet_status gemm_forward(const octet_call *call, octet_error *err)
{
    (void)err;
    const octet_gemm_attrs *const attrs = call->attrs;
    const octet_product_shape     shape = gemm_shape(call);
    finish f = { .call = call, .alpha = (double)attrs->alpha, .beta = (double)attrs->beta };
    if (octet_has_input(call, 2) && attrs->beta != 0) {
        f.c = call->in[2];
        f.c_column = f.c->rank > 0 && f.c->dims[f.c->rank - 1] > 1;
        f.c_row = f.c->rank > 1 && f.c->dims[0] > 1 ? f.c->dims[1] : 0;
    }
    octet_product_real(call, &shape);
    finish_rows(&f);
    return OCTET_OK;
}

static octet_status gemm_backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    const octet_gemm_attrs *const attrs = call->forward->attrs;
    const octet_product_shape     shape = gemm_shape(call->forward);
    octet_product_backward(call, &shape, (double)attrs->alpha);
    if (octet_gradient_wanted(call, 2) && attrs->beta != 0)
        octet_gradient_stretched(call->din[2], call->dout[0], (double)attrs->beta);
    return OCTET_OK;
}

static size_t gemm_backward_scratch(const octet_call *call)
{
    const octet_product_shape shape = gemm_shape(call);
    return octet_product_backward_scratch(call, &shape);
}

/* Levels are rescaled by a positive factor, and a bias is one number per column. */
static const char *gemm_refuses_levels(const octet_node *node)
{
    const octet_gemm_attrs *const attrs = node->attrs;
    const octet_value *const      c     = node->input_count > 2 && attrs->beta != 0 ? node->inputs[2] : NULL;
    if (!(attrs->alpha > 0)) return "Gemm's alpha is not positive";
    return c && c->has_shape && c->rank == 2 && c->dims[0] != 1 ? "Gemm's C differs by row" : NULL;
}

static octet_status gemm_forward_integer(const octet_call *call, octet_error *err)
{
    const octet_gemm_attrs *const attrs = call->attrs;
    const octet_product_shape     shape = gemm_shape(call);
    const octet_tensor *const     c = octet_has_input(call, 2) && attrs->beta != 0 ? call->in[2] : NULL;
    const octet_mac_terms         terms = { attrs->trans_b ? 0 : 1, attrs->alpha, c, attrs->beta };
    if (!(attrs->alpha > 0))
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "alpha", "%g cannot be computed on levels",
                                (double)attrs->alpha);
    if (c && c->rank == 2 && c->dims[0] > 1)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "C", "differs by row and cannot be added to levels");
    return octet_product_integer(call, &shape, &terms, err);
}

static size_t gemm_scratch(const octet_call *call, bool integer)
{
    const octet_product_shape shape = gemm_shape(call);
    return integer ? octet_product_scratch(call, &shape) : 0;
}

static int64_t gemm_macs(const octet_call *call)
{
    return octet_product((const int64_t[]){ octet_tensor_count(call->out[0]), (int64_t)gemm_shape(call).depth }, 2);
}

const octet_op octet_op_gemm = {
    .name = "Gemm",
    .since = 11,
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = MATRIX_TYPES,
    .attrs = gemm_attrs,
    .attrs_size = sizeof(octet_gemm_attrs),
    .quant = OCTET_QUANT_MAC,
    .flags = OCTET_OP_LINEAR_CLAMP,
    .infer = gemm_infer,
    .forward = gemm_forward,
    .forward_integer = gemm_forward_integer,
    .refuses_levels = gemm_refuses_levels,
    .scratch_size = gemm_scratch,
    .backward = gemm_backward,
    .backward_scratch = gemm_backward_scratch,
    .forward_dynamic = octet_dynamic_mac,
    .dynamic_scratch = octet_dynamic_mac_scratch,
    .dynamic_weights = 1u << 1,
    .macs = gemm_macs,
};

/* ---- MatMul ---- */

/* Dimension i of rank batch dimensions, from the right; 1 in front of the tensor's own. */
static int64_t batch_dim(const octet_tensor *tensor, int i, int rank)
{
    const int at = i - (rank - (tensor->rank - 2));
    return at < 0 ? 1 : tensor->dims[at];
}

static int batch_rank(const octet_call *call)
{
    const int a = call->in[0]->rank - 2, b = call->in[1]->rank - 2, most = a > b ? a : b;
    return most > 0 ? most : 0;
}

/* What octet adds to ONNX's MatMul: input 2, one number per column of a matrix B. It stands for the Add behind. */
static octet_status check_row(const octet_call *call, octet_error *err)
{
    const octet_tensor *const b = call->in[1], *const row = call->in[2];
    OCTET_TRY(octet_check_same_type(call, 2, "bias", err));
    if (b->rank == 2 && row->rank == 1 && row->dims[0] == b->dims[1]) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_SHAPE, "bias", "one number per column of a matrix is needed");
}

static octet_status matmul_infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const a = call->in[0], *const b = call->in[1];
    OCTET_TRY(octet_check_same_type(call, 1, "B", err));
    if (a->rank < 1 || b->rank < 1)
        return octet_fail(err, OCTET_ERR_SHAPE, "a scalar cannot be multiplied as a matrix");
    const int64_t depth = a->dims[a->rank - 1], b_depth = b->dims[b->rank > 1 ? b->rank - 2 : 0];
    if (depth != b_depth)
        return octet_fail(err, OCTET_ERR_SHAPE, "A has %" PRId64 " columns but B has %" PRId64 " rows", depth, b_depth);
    if (depth < 1) return octet_fail(err, OCTET_ERR_SHAPE, "A and B have an inner dimension of 0");
    if (octet_has_input(call, 2)) OCTET_TRY(check_row(call, err));
    int64_t   dims[OCTET_MAX_RANK + 2];
    int       rank = 0;
    const int batches = batch_rank(call);
    for (int i = 0; i < batches; i++) {
        const int64_t m = batch_dim(a, i, batches), n = batch_dim(b, i, batches);
        if (m != n && m != 1 && n != 1)
            return octet_fail(err, OCTET_ERR_SHAPE, "batch dimensions %" PRId64 " and %" PRId64 " do not broadcast", m,
                              n);
        dims[rank++] = m == 1 ? n : m;
    }
    if (a->rank > 1) dims[rank++] = a->dims[a->rank - 2];
    if (b->rank > 1) dims[rank++] = b->dims[b->rank - 1];
    return octet_set_output(call->out[0], a->dtype, dims, rank, err);
}

octet_product_shape octet_matmul_shape(const octet_call *call)
{
    const octet_tensor *const a = call->in[0], *const b = call->in[1];
    octet_product_shape       shape = { .a_depth = 1, .batch = 1, .batch_rank = batch_rank(call) };
    shape.depth = (size_t)a->dims[a->rank - 1];
    shape.rows = a->rank > 1 ? (size_t)a->dims[a->rank - 2] : 1;
    shape.columns = b->rank > 1 ? (size_t)b->dims[b->rank - 1] : 1;
    shape.a_row = shape.depth;
    shape.b_depth = shape.columns;
    shape.b_column = 1;
    int64_t a_step = (int64_t)(shape.rows * shape.depth), b_step = (int64_t)(shape.depth * shape.columns);
    for (int i = shape.batch_rank - 1; i >= 0; i--) {
        const int64_t m = batch_dim(a, i, shape.batch_rank), n = batch_dim(b, i, shape.batch_rank);
        shape.batch_dims[i] = m == 1 ? n : m;
        shape.a_step[i] = m == 1 ? 0 : a_step;
        shape.b_step[i] = n == 1 ? 0 : b_step;
        a_step *= m;
        b_step *= n;
        shape.batch *= (size_t)shape.batch_dims[i];
    }
    return shape;
}

static octet_status matmul_forward(const octet_call *call, octet_error *err)
{
    (void)err;
    const octet_product_shape shape = octet_matmul_shape(call);
    finish                    f = { .call = call, .alpha = 1.0, .beta = 1.0 };
    if (octet_has_input(call, 2)) {
        f.c = call->in[2];
        f.c_column = 1;
    }
    octet_product_real(call, &shape);
    finish_rows(&f);
    return OCTET_OK;
}

static octet_status matmul_backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    const octet_product_shape shape = octet_matmul_shape(call->forward);
    octet_product_backward(call, &shape, 1.0);
    if (octet_gradient_wanted(call, 2)) octet_gradient_stretched(call->din[2], call->dout[0], 1.0);
    return OCTET_OK;
}

static size_t matmul_backward_scratch(const octet_call *call)
{
    const octet_product_shape shape = octet_matmul_shape(call);
    return octet_product_backward_scratch(call, &shape);
}

static octet_status matmul_forward_integer(const octet_call *call, octet_error *err)
{
    const octet_product_shape shape = octet_matmul_shape(call);
    const octet_mac_terms     terms = { call->in[1]->rank - 1, 1.0f, octet_has_input(call, 2) ? call->in[2] : NULL,
                                            1.0f };
    return octet_product_integer(call, &shape, &terms, err);
}

static size_t matmul_scratch(const octet_call *call, bool integer)
{
    const octet_product_shape shape = octet_matmul_shape(call);
    return integer ? octet_product_scratch(call, &shape) : 0;
}

static int64_t matmul_macs(const octet_call *call)
{
    const octet_tensor *const a = call->in[0];
    return octet_product((const int64_t[]){ octet_tensor_count(call->out[0]), a->dims[a->rank - 1] }, 2);
}

const octet_op octet_op_mat_mul = {
    .name = "MatMul",
    .since = 9,
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = MATRIX_TYPES,
    .quant = OCTET_QUANT_MAC,
    .flags = OCTET_OP_LINEAR_CLAMP,
    .infer = matmul_infer,
    .forward = matmul_forward,
    .forward_integer = matmul_forward_integer,
    .scratch_size = matmul_scratch,
    .backward = matmul_backward,
    .backward_scratch = matmul_backward_scratch,
    .forward_dynamic = octet_dynamic_mac,
    .dynamic_scratch = octet_dynamic_mac_scratch,
    .dynamic_weights = 1u << 1,
    .macs = matmul_macs,
};
