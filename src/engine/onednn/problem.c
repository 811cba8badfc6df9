/* SPDX-License-Identifier: Apache-2.0 */
/* The operators that oneDNN runs, each described in its terms. */
#include "engine/onednn/problem.h"

#include "ops/attrs.h"
#include "ops/window.h"

#include <math.h>
#include <string.h>

bool octet_dnnl_decline(octet_reason *why, const char *text)
{
    strncpy(why->text, text, sizeof why->text - 1);
    return false;
}

bool octet_dnnl_has_bias(const octet_dnnl_problem *problem) { return problem->bias || problem->node->batch_norm; }

/* ---- attached batch normalization: folded into what is packed ---- */

static float norm_scale(const octet_batch_norm *norm, size_t channel)
{
    return norm ? norm->gamma[channel] * (1.0f / sqrtf(norm->variance[channel] + norm->epsilon)) : 1.0f;
}

static float norm_bias(const octet_batch_norm *norm, size_t channel, float bias)
{
    return norm ? (bias - norm->mean[channel]) * norm_scale(norm, channel) + norm->beta[channel] : bias;
}

/* ---- memory descriptions ---- */

static int64_t whole_blocks(int64_t channels, const octet_dnnl_problem *problem)
{
    return (channels + problem->plan->block - 1) / problem->plan->block * problem->plan->block;
}

/* Channels as oneDNN is told. */
static int64_t channels_of(const octet_tensor *tensor, octet_layout layout, const octet_dnnl_problem *problem)
{
    return layout == OCTET_LAYOUT_BLOCKED ? whole_blocks(tensor->dims[1], problem) : tensor->dims[1];
}

static bool memory_of(dnnl_memory_desc_t *desc, const octet_tensor *tensor, octet_layout layout,
                      const octet_dnnl_problem *problem)
{
    static const dnnl_format_tag_t blocked[2][3] = { { dnnl_aBc8b, dnnl_aBcd8b, dnnl_aBcde8b },
                                                     { dnnl_aBc16b, dnnl_aBcd16b, dnnl_aBcde16b } };
    dnnl_dims_t dims;
    for (int i = 0; i < tensor->rank; i++) dims[i] = tensor->dims[i];
    if (layout == OCTET_LAYOUT_DENSE)
        return dnnl_memory_desc_init_by_strides(desc, tensor->rank, dims, dnnl_f32, NULL) == dnnl_success;
    dims[1]         = channels_of(tensor, layout, problem);
    const bool wide = problem->plan->block == 16;
    return dnnl_memory_desc_init_by_tag(desc, tensor->rank, dims, dnnl_f32, blocked[wide][tensor->rank - 3]) ==
           dnnl_success;
}

/* The window in oneDNN's terms: dilation counts from 0, and the end padding is what the output needs. */
typedef struct window_dims {
    dnnl_dims_t kernel, stride, dilation, pad, pad_end;
    bool        overhangs; /* the last window reaches past the declared padding */
} window_dims;

static bool is_transposed(const octet_dnnl_problem *problem)
{
    return strcmp(problem->node->op->name, "ConvTranspose") == 0;
}

static bool window_of(window_dims *to, const octet_dnnl_problem *problem, const int64_t *kernel)
{
    octet_window        window;
    const octet_tensor *in[]  = { problem->x, problem->weights, problem->bias };
    octet_tensor        y     = *problem->y;
    octet_tensor       *out[] = { &y };
    const octet_call    call  = { .node = problem->node, .attrs = problem->node->attrs, .in = in, .out = out,
                                  .in_count = problem->bias ? 3 : problem->weights ? 2 : 1, .out_count = 1 };
    const octet_status made = is_transposed(problem) ? octet_window_make_transposed(&window, &call, kernel, NULL)
                                                     : octet_window_make(&window, &call, kernel, NULL);
    if (made != OCTET_OK) return false;
    to->overhangs = false;
    for (int i = 0; i < window.rank; i++) {
        const int64_t range = (window.kernel[i] - 1) * window.dilation[i] + 1;
        to->kernel[i]       = window.kernel[i];
        to->stride[i]       = window.stride[i];
        to->dilation[i]     = window.dilation[i] - 1;
        to->pad[i]          = window.pad[i];
        to->pad_end[i]      = (window.out[i] - 1) * window.stride[i] + range - window.in[i] - window.pad[i];
        if (to->pad_end[i] > window.pad_end[i]) to->overhangs = true;
    }
    return true;
}

/* ---- Conv, ConvTranspose ---- */

/* How the weights are grouped. */
typedef struct conv_groups {
    int64_t count, in, out; /* groups; channels of one, as oneDNN is told */
    bool    depthwise;
} conv_groups;

static bool conv_groups_of(conv_groups *groups, const octet_dnnl_problem *problem, octet_reason *why)
{
    const octet_window_attrs *const attrs = problem->node->attrs;
    const int64_t in = channels_of(problem->x, problem->layouts.in, problem);
    const int64_t out = channels_of(problem->y, problem->layouts.out, problem);
    const bool    blocked = problem->layouts.out == OCTET_LAYOUT_BLOCKED;
    groups->count         = attrs->group;
    groups->depthwise = attrs->group > 1 && attrs->group == problem->x->dims[1] && attrs->group == problem->y->dims[1];
    if (groups->depthwise) groups->count = out;
    const int64_t step = problem->plan->block * attrs->group;
    if (attrs->group > 1 && !groups->depthwise && blocked && (problem->x->dims[1] % step || problem->y->dims[1] % step))
        return octet_dnnl_decline(why, "groups are no whole blocks of channels");
    groups->in  = in / groups->count;
    groups->out = out / groups->count;
    return true;
}

/* Weights [groups,] [out, in, kernel...] as they are packed (a ConvTranspose's lie [groups,] [in, out, kernel...]), or
   as oneDNN chooses. */
static bool weights_desc(dnnl_memory_desc_t *desc, const octet_dnnl_problem *problem, const conv_groups *groups,
                         bool any)
{
    const octet_tensor *const weights = problem->weights;
    dnnl_dims_t               dims, strides;
    int                       rank = 0;
    if (groups->count > 1) dims[rank++] = groups->count;
    const int out = rank++, in = rank++;
    dims[out] = groups->out;
    dims[in]  = groups->in;
    for (int i = 2; i < weights->rank; i++) dims[rank++] = weights->dims[i];
    dnnl_dim_t step = 1;
    for (int i = rank - 1; i >= 0; step *= dims[i--]) strides[i] = step;
    if (is_transposed(problem)) {
        strides[out] = strides[in];
        strides[in]  = strides[out] * dims[out];
    }
    return (any ? dnnl_memory_desc_init_by_tag(desc, rank, dims, dnnl_f32, dnnl_format_tag_any)
                : dnnl_memory_desc_init_by_strides(desc, rank, dims, dnnl_f32, strides)) == dnnl_success;
}

static bool bias_desc(dnnl_memory_desc_t *desc, const octet_dnnl_problem *problem)
{
    const dnnl_dims_t dims = { problem->bias_length };
    return dnnl_memory_desc_init_by_tag(desc, 1, dims, dnnl_f32, dnnl_a) == dnnl_success;
}

static bool conv_describe(octet_dnnl_problem *problem, octet_reason *why)
{
    conv_groups        groups;
    window_dims        window;
    dnnl_memory_desc_t x, y, weights, bias;
    if (problem->x->rank > 5) return octet_dnnl_decline(why, "more than 3 spatial dimensions");
    if (!problem->weights || (problem->node->input_count > 2 && problem->node->inputs[2] && !problem->bias))
        return octet_dnnl_decline(why, "weights or bias are not constant");
    if (!conv_groups_of(&groups, problem, why)) return false;
    if (problem->layouts.in != problem->layouts.out &&
        (groups.count > 1 || problem->x->dims[1] >= problem->plan->block))
        return octet_dnnl_decline(why, "not a first layer");
    problem->bias_length = channels_of(problem->y, problem->layouts.out, problem);
    if (!window_of(&window, problem, problem->weights->dims + 2) ||
        !memory_of(&x, problem->x, problem->layouts.in, problem) ||
        !memory_of(&y, problem->y, problem->layouts.out, problem) ||
        !weights_desc(&weights, problem, &groups, true) ||
        !weights_desc(&problem->plain_weights, problem, &groups, false) || !bias_desc(&bias, problem))
        return octet_dnnl_decline(why, "shapes are outside oneDNN's limits");
    const dnnl_memory_desc_t *const added = octet_dnnl_has_bias(problem) ? &bias : NULL;
    if (is_transposed(problem))
        return dnnl_dilated_deconvolution_forward_desc_init(
                   &problem->operation.deconvolution, dnnl_forward_inference, dnnl_deconvolution_direct, &x, &weights,
                   added, &y, window.stride, window.dilation, window.pad, window.pad_end) == dnnl_success ||
               octet_dnnl_decline(why, "oneDNN refuses the deconvolution");
    return dnnl_dilated_convolution_forward_desc_init(&problem->operation.convolution, dnnl_forward_inference,
                                                      dnnl_convolution_direct, &x, &weights, added, &y,
                                                      window.stride, window.dilation, window.pad,
                                                      window.pad_end) == dnnl_success ||
           octet_dnnl_decline(why, "oneDNN refuses the convolution");
}

static void conv_pack_weights(float *to, const octet_dnnl_problem *problem)
{
    const octet_tensor *const w     = problem->weights;
    const dnnl_dim_t *const   dims  = problem->plain_weights.dims;
    const bool                plain = problem->plain_weights.ndims == w->rank; /* no groups: [out, in, ...] */
    size_t                    taps  = 1;
    for (int i = 2; i < w->rank; i++) taps *= (size_t)w->dims[i];
    const size_t row = (size_t)w->dims[1] * taps, to_row = plain ? (size_t)dims[1] * taps : row;
    for (size_t o = 0; o < (size_t)w->dims[0]; o++) {
        const float scale = norm_scale(problem->node->batch_norm, o);
        for (size_t i = 0; i < row; i++) to[o * to_row + i] = ((const float *)w->data)[o * row + i] * scale;
    }
}

/* Row i of an input holds all outputs of its group; blocks have room for more of both. */
static void transpose_pack_weights(float *to, const octet_dnnl_problem *problem)
{
    const octet_tensor *const w     = problem->weights;
    const dnnl_dim_t *const   dims  = problem->plain_weights.dims;
    const bool                plain = problem->plain_weights.ndims == w->rank; /* no groups */
    const size_t              rows  = (size_t)w->dims[0], outputs = (size_t)w->dims[1];
    const size_t              per_group = rows / (size_t)((const octet_window_attrs *)problem->node->attrs)->group;
    size_t                    taps      = 1;
    for (int i = 2; i < w->rank; i++) taps *= (size_t)w->dims[i];
    const size_t to_row = plain ? (size_t)dims[0] * taps : outputs * taps;
    for (size_t i = 0; i < rows; i++)
        for (size_t o = 0; o < outputs; o++) {
            const float        scale = norm_scale(problem->node->batch_norm, i / per_group * outputs + o);
            const float *const from  = (const float *)w->data + (i * outputs + o) * taps;
            for (size_t t = 0; t < taps; t++) to[i * to_row + o * taps + t] = from[t] * scale;
        }
}

static void conv_pack_bias(float *to, const octet_dnnl_problem *problem)
{
    const float *const bias = problem->bias ? problem->bias->data : NULL;
    for (size_t o = 0; o < (size_t)problem->y->dims[1]; o++)
        to[o] = norm_bias(problem->node->batch_norm, o, bias ? bias[o] : 0);
}

/* ---- Gemm, MatMul with constant weights: an inner product ---- */

/* Both as one: y = alpha * x * weights + beta * bias. */
typedef struct product {
    int64_t m, n, k;
    float   alpha, beta;
    bool    transposed; /* weights are [n, k] */
} product;

static product product_of(const octet_dnnl_problem *problem)
{
    const octet_tensor *const x = problem->x, *const w = problem->weights;
    const bool    is_gemm = strcmp(problem->node->op->name, "Gemm") == 0;
    product       p       = { .k = x->dims[x->rank - 1], .alpha = 1, .beta = 1 };
    const int64_t count   = octet_tensor_count(x);
    if (is_gemm) {
        const octet_gemm_attrs *const attrs = problem->node->attrs;
        p.alpha                             = attrs->alpha;
        p.beta                              = attrs->beta;
        p.transposed                        = attrs->trans_b != 0;
    }
    p.m = count / p.k;
    p.n = w->dims[p.transposed ? 0 : 1];
    return p;
}

static bool product_fits(const octet_dnnl_problem *problem, octet_reason *why)
{
    const octet_tensor *const w = problem->weights, *const b = problem->bias;
    const octet_node *const   node = problem->node;
    if (!w || (node->input_count > 2 && node->inputs[2] && !b))
        return octet_dnnl_decline(why, "weights or bias are not constant");
    if (w->rank != 2 || problem->x->rank < 1) return octet_dnnl_decline(why, "weights are no matrix");
    if (strcmp(node->op->name, "Gemm") == 0 && ((const octet_gemm_attrs *)node->attrs)->trans_a)
        return octet_dnnl_decline(why, "input is transposed");
    const int64_t n = product_of(problem).n, length = b ? octet_tensor_count(b) : 1;
    if (length != 1 && (length != n || b->dims[b->rank - 1] != n))
        return octet_dnnl_decline(why, "bias is no row");
    return true;
}

static bool product_describe(octet_dnnl_problem *problem, octet_reason *why)
{
    dnnl_memory_desc_t x, y, weights, bias;
    if (!product_fits(problem, why)) return false;
    const product     p      = product_of(problem);
    const dnnl_dims_t x_dims = { p.m, p.k }, y_dims = { p.m, p.n }, w_dims = { p.n, p.k };
    problem->bias_length = p.n;
    if (dnnl_memory_desc_init_by_tag(&x, 2, x_dims, dnnl_f32, dnnl_ab) != dnnl_success ||
        dnnl_memory_desc_init_by_tag(&y, 2, y_dims, dnnl_f32, dnnl_ab) != dnnl_success ||
        dnnl_memory_desc_init_by_tag(&weights, 2, w_dims, dnnl_f32, dnnl_format_tag_any) != dnnl_success ||
        dnnl_memory_desc_init_by_tag(&problem->plain_weights, 2, w_dims, dnnl_f32, p.transposed ? dnnl_ab : dnnl_ba) !=
            dnnl_success ||
        !bias_desc(&bias, problem))
        return octet_dnnl_decline(why, "shapes are outside oneDNN's limits");
    return dnnl_inner_product_forward_desc_init(&problem->operation.inner_product, dnnl_forward_inference, &x, &weights,
                                                octet_dnnl_has_bias(problem) ? &bias : NULL, &y) == dnnl_success ||
           octet_dnnl_decline(why, "oneDNN refuses the product");
}

static void product_pack_weights(float *to, const octet_dnnl_problem *problem)
{
    const product      p    = product_of(problem);
    const float *const from = problem->weights->data;
    const size_t       rows = (size_t)(p.transposed ? p.n : p.k), row = (size_t)(p.transposed ? p.k : p.n);
    for (size_t i = 0; i < rows * row; i++) {
        const size_t output = p.transposed ? i / row : i % row;
        to[i]               = from[i] * p.alpha * norm_scale(problem->node->batch_norm, output);
    }
}

static void product_pack_bias(float *to, const octet_dnnl_problem *problem)
{
    const product      p    = product_of(problem);
    const float *const from = problem->bias ? problem->bias->data : NULL;
    const size_t       step = from && octet_tensor_count(problem->bias) > 1;
    for (size_t i = 0; i < (size_t)p.n; i++)
        to[i] = norm_bias(problem->node->batch_norm, i, from ? from[i * step] * p.beta : 0);
}

/* ---- pooling ---- */

static bool pool_describe(octet_dnnl_problem *problem, dnnl_alg_kind_t kind, const window_dims *window,
                          octet_reason *why)
{
    dnnl_memory_desc_t x, y;
    if (problem->x->rank > 5) return octet_dnnl_decline(why, "more than 3 spatial dimensions");
    if (problem->node->output_count > 1 && problem->node->outputs[1])
        return octet_dnnl_decline(why, "indices are wanted");
    if (!memory_of(&x, problem->x, problem->layouts.in, problem) ||
        !memory_of(&y, problem->y, problem->layouts.out, problem))
        return octet_dnnl_decline(why, "shapes are outside oneDNN's limits");
    return dnnl_pooling_v2_forward_desc_init(&problem->operation.pooling, dnnl_forward_inference, kind, &x, &y,
                                             window->stride, window->kernel, window->dilation, window->pad,
                                             window->pad_end) == dnnl_success ||
           octet_dnnl_decline(why, "oneDNN refuses the window");
}

static bool window_describe(octet_dnnl_problem *problem, octet_reason *why)
{
    const octet_window_attrs *const attrs = problem->node->attrs;
    const bool                      max   = strcmp(problem->node->op->name, "MaxPool") == 0;
    window_dims                     window;
    if (!window_of(&window, problem, NULL)) return octet_dnnl_decline(why, "shapes are outside oneDNN's limits");
    for (int i = 0; !max && i < attrs->dilations.count; i++)
        if (attrs->dilations.at[i] > 1) return octet_dnnl_decline(why, "an average with gaps");
    if (!max && attrs->count_include_pad && window.overhangs)
        return octet_dnnl_decline(why, "counts padding, and the last window reaches past it");
    return pool_describe(problem,
                         max                        ? dnnl_pooling_max
                         : attrs->count_include_pad ? dnnl_pooling_avg_include_padding
                                                    : dnnl_pooling_avg_exclude_padding,
                         &window, why);
}

static bool global_describe(octet_dnnl_problem *problem, octet_reason *why)
{
    window_dims window = { .overhangs = false };
    for (int i = 2; i < problem->x->rank; i++) {
        window.kernel[i - 2] = problem->x->dims[i];
        window.stride[i - 2] = 1;
    }
    return pool_describe(problem, dnnl_pooling_avg_exclude_padding, &window, why);
}

/* ---- the table ---- */

static const octet_dnnl_layouts conv_layouts[] = { { OCTET_LAYOUT_DENSE, OCTET_LAYOUT_BLOCKED },
                                                   { OCTET_LAYOUT_BLOCKED, OCTET_LAYOUT_BLOCKED },
                                                   { OCTET_LAYOUT_DENSE, OCTET_LAYOUT_DENSE } };
static const octet_dnnl_layouts dense[] = { { OCTET_LAYOUT_DENSE, OCTET_LAYOUT_DENSE } };
static const octet_dnnl_layouts blocks[] = { { OCTET_LAYOUT_BLOCKED, OCTET_LAYOUT_BLOCKED } };

static const octet_dnnl_row rows[] = {
    { "AveragePool", blocks, 1, window_describe, NULL, NULL },
    { "Conv", conv_layouts, 3, conv_describe, conv_pack_weights, conv_pack_bias },
    { "ConvTranspose", conv_layouts, 3, conv_describe, transpose_pack_weights, conv_pack_bias },
    { "Gemm", dense, 1, product_describe, product_pack_weights, product_pack_bias },
    { "GlobalAveragePool", blocks, 1, global_describe, NULL, NULL },
    { "MatMul", dense, 1, product_describe, product_pack_weights, product_pack_bias },
    { "MaxPool", blocks, 1, window_describe, NULL, NULL },
};

const octet_dnnl_row *octet_dnnl_row_find(const char *op)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].op, op) == 0) return &rows[i];
    return NULL;
}
