/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes as bare products (bare.h). */
#include "engine/bare.h"

#include "ops/attrs.h"

#include <string.h>

static const octet_axis_window one = { 1, 1, 1, 1, 1, 0, 0 };

static bool conv_make(octet_bare *bare, const octet_node *node, const octet_tensor *x, const octet_tensor *w)
{
    octet_window2 window;
    if (!octet_window2_make(&window, node, x, w)) return false;
    *bare = (octet_bare){ .images = (size_t)x->dims[0], .in_channels = (size_t)x->dims[1],
                          .out_channels = (size_t)w->dims[0], .groups = (size_t)(x->dims[1] / w->dims[1]),
                          .y = window.y, .x = window.x };
    return true;
}

/* Rows of one sample are an image of one row. */
static bool matrix_make(octet_bare *bare, const octet_tensor *x, const octet_tensor *w, bool turned)
{
    if (w->rank != 2 || x->rank < 2) return false;
    *bare = (octet_bare){ .images = (size_t)x->dims[0], .in_channels = (size_t)x->dims[x->rank - 1],
                          .out_channels = (size_t)w->dims[turned], .groups = 1, .y = one, .x = one, .turned = turned };
    for (int i = 1; i < x->rank - 1; i++) bare->x.in *= x->dims[i];
    bare->x.out = bare->x.in;
    return true;
}

bool octet_bare_make(octet_bare *bare, const octet_node *node, const octet_tensor *x, const octet_tensor *weights)
{
    if (octet_tensor_count(x) <= 0 || octet_tensor_count(weights) <= 0) return false;
    if (strcmp(node->op->name, "Conv") == 0) return conv_make(bare, node, x, weights);
    if (strcmp(node->op->name, "MatMul") == 0) return matrix_make(bare, x, weights, true);
    if (strcmp(node->op->name, "Gemm") != 0) return false;
    const octet_gemm_attrs *const attrs = node->attrs;
    return !attrs->trans_a && matrix_make(bare, x, weights, !attrs->trans_b);
}

size_t octet_bare_in(const octet_bare *bare)
{
    return bare->images * (size_t)(bare->y.in * bare->x.in) * bare->in_channels;
}

size_t octet_bare_out(const octet_bare *bare)
{
    return bare->images * (size_t)(bare->y.out * bare->x.out) * bare->out_channels;
}

size_t octet_bare_weights(const octet_bare *bare)
{
    return bare->out_channels * (bare->in_channels / bare->groups) * (size_t)(bare->y.kernel * bare->x.kernel);
}

static bool is_point(const octet_axis_window *w)
{
    return w->kernel == 1 && w->stride == 1 && w->pad == 0 && w->in == w->out;
}

bool octet_bare_is_matrix(const octet_bare *bare) { return is_point(&bare->y) && is_point(&bare->x); }
