/* SPDX-License-Identifier: Apache-2.0 */
/* One operator on levels: a graph of one node is built, and its row's integer rule is called as an engine would. */
#include "golden.h"

#include "graph/op.h"
#include "ops/levels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { INPUTS = 5 };

static octet_status build(octet_graph **graph, const golden_node *node, octet_error *err)
{
    static const char *const names[INPUTS] = { "a", "b", "c", "d", "e" };
    const char *inputs[INPUTS];
    const char *const output = "y";
    OCTET_TRY(octet_graph_new(graph, err));
    for (int i = 0; i < node->input_count; i++) {
        const octet_tensor *const in = node->inputs[i];
        inputs[i] = in ? names[i] : "";
        if (in) OCTET_TRY(octet_graph_add_input(*graph, names[i], OCTET_F32, in->dims, in->rank, err));
    }
    const octet_node_spec spec = { .op = node->op, .inputs = inputs, .input_count = node->input_count,
                                   .outputs = &output, .output_count = 1, .attributes = node->attributes };
    OCTET_TRY(octet_graph_add(*graph, &spec, err));
    return octet_graph_set_output(*graph, output, err);
}

/* Shapes and types as the operator sees them while planning: everything real, levels not known. */
static octet_status infer(octet_call *call, octet_tensor *out, octet_arena *arena, octet_error *err)
{
    octet_tensor shapes[INPUTS];
    const octet_tensor *in[INPUTS] = { 0 };
    for (int i = 0; i < call->in_count; i++) {
        if (!call->in[i]) continue;
        shapes[i] = *call->in[i];
        in[i] = &shapes[i];
        if (!shapes[i].qparams) continue; /* a setting, such as axes */
        shapes[i].dtype = OCTET_F32;
        shapes[i].data = NULL;
        shapes[i].qparams = NULL;
    }
    octet_tensor *outputs[1] = { out };
    octet_call inferring = *call;
    inferring.in = in;
    inferring.out = outputs;
    inferring.arena = arena;
    return call->node->op->infer(&inferring, err);
}

static octet_status run(octet_tensor *out, golden_case *c, const golden_node *node, octet_node *made, octet_error *err)
{
    const octet_op *const op = made->op;
    octet_tensor shape = { 0 };
    octet_tensor *outputs[1] = { out };
    octet_call call = { .node = made, .attrs = made->attrs, .in = node->inputs, .out = outputs,
                        .in_count = node->input_count, .out_count = 1, .threads = 1, .profile = node->profile };
    OCTET_TRY(infer(&call, &shape, c->arena, err));
    const octet_qparams *const first = node->inputs[0]->qparams;
    const float scale = node->scale > 0 ? node->scale : first->scale[0];
    const int32_t zero = node->scale > 0 ? node->zero_point : first->zero_point[0];
    *out = golden_tensor_make(c, node->scale > 0 ? OCTET_U8 : first->dtype, shape.dims, shape.rank, scale, zero);
    call.scratch = golden_memory(c, op->scratch_size ? op->scratch_size(&call, true) : 0, 1);
    return op->forward_integer(&call, err);
}

bool golden_node_run(octet_tensor *out, golden_case *c, const golden_node *node)
{
    char line[512];
    octet_error error = { 0 };
    octet_graph *graph = NULL;
    const octet_op *const op = octet_op_find(node->op, NULL);
    if (!op || !op->forward_integer) {
        snprintf(line, sizeof line, "operator %s", node->op);
        golden_skip(c, line);
        return false;
    }
    octet_status status = build(&graph, node, &error);
    if (status == OCTET_OK) {
        octet_node *const made = graph->last;
        const octet_activation relu = { .on = true, .hi = INFINITY, .name = "relu", .op = "Relu" };
        if (node->relu) made->activation = relu;
        status = run(out, c, node, made, &error);
    }
    octet_graph_free(graph);
    if (status == OCTET_OK) return true;
    octet_error_line(line, sizeof line, &error);
    return golden_fail(c, "%s", line);
}

/* Copies [y0, y1) x [x0, x1) of every plane. in is [N, C, H, W]. */
static octet_tensor window(golden_case *c, const octet_tensor *in, const int64_t from[2], const int64_t to[2])
{
    const int64_t dims[4] = { in->dims[0], in->dims[1], to[0] - from[0], to[1] - from[1] };
    const int64_t width = in->dims[3], plane = in->dims[2] * width;
    octet_tensor part = golden_tensor_make(c, in->dtype, dims, 4, in->qparams->scale[0], in->qparams->zero_point[0]);
    uint8_t *at = part.data;
    for (int64_t p = 0; p < dims[0] * dims[1]; p++)
        for (int64_t y = from[0]; y < to[0]; y++, at += dims[3])
            memcpy(at, (const uint8_t *)in->data + p * plane + y * width + from[1], (size_t)dims[3]);
    return part;
}

octet_status golden_constant(octet_graph *graph, const char *name, const golden_array *array, octet_error *err)
{
    octet_tensor tensor = { .dtype = OCTET_F32, .rank = array->rank, .data = array->real };
    memcpy(tensor.dims, array->dims, sizeof tensor.dims);
    return octet_graph_add_constant(graph, name, &tensor, err);
}

bool golden_adaptive_pool(octet_tensor *out, golden_case *c, const octet_tensor *in, const int64_t size[2],
                          const octet_profile *profile)
{
    const int64_t planes = in->dims[0] * in->dims[1], dims[4] = { in->dims[0], in->dims[1], size[0], size[1] };
    *out = golden_tensor_make(c, in->dtype, dims, 4, in->qparams->scale[0], in->qparams->zero_point[0]);
    for (int64_t i = 0; i < size[0] * size[1]; i++) {
        const int64_t at[2] = { i / size[1], i % size[1] };
        int64_t from[2], to[2];
        for (int k = 0; k < 2; k++) {
            from[k] = at[k] * in->dims[2 + k] / size[k];
            to[k] = ((at[k] + 1) * in->dims[2 + k] + size[k] - 1) / size[k];
        }
        const octet_tensor part = window(c, in, from, to);
        octet_tensor mean;
        const golden_node node = { .op = "GlobalAveragePool", .inputs = { &part }, .input_count = 1,
                                   .profile = profile };
        if (!golden_node_run(&mean, c, &node)) return false;
        for (int64_t p = 0; p < planes; p++)
            ((uint8_t *)out->data)[p * size[0] * size[1] + i] = ((const uint8_t *)mean.data)[p];
    }
    return true;
}
