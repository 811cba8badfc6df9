/* SPDX-License-Identifier: Apache-2.0 */
/* Shape inference: one walk over the nodes. A node whose inputs are all known is run on the spot, so that shapes which
   a file computes (Shape, Gather, Concat, Reshape) come out as shapes. */
#include "ops/shape.h"

#include "base/checked.h"
#include "ops/check.h"

#include <inttypes.h>
#include <string.h>

static const size_t default_folded = (size_t)64 << 20;
static const size_t most_shape_bytes = 1 << 16;
enum { FOLDED_TOTAL = 4 }; /* results kept in one inference, in units of the limit for one */
static const int64_t max_folded_macs = (int64_t)1 << 30;

typedef struct inference {
    octet_tensor      *tensors;
    const octet_graph *graph;
    octet_arena       *arena;
    size_t             limit, room; /* bytes of one known result, and of all that may still come */
    bool               lenient;     /* what hangs on values known only when planning stays without type and shape */
    bool               shapes_only; /* values serve the shapes of others: large ones never do */
} inference;

/* ---- one node ---- */

static octet_status check_inputs(const octet_call *call, const octet_op *op, octet_error *err)
{
    if (call->in_count < op->min_inputs || call->in_count > op->max_inputs)
        return octet_fail(err, OCTET_ERR_FORMAT, "%s with %d inputs; %s%d are needed", op->name, call->in_count,
                          call->in_count < op->min_inputs ? "at least " : "at most ",
                          call->in_count < op->min_inputs ? op->min_inputs : op->max_inputs);
    const int needed = op->max_inputs == OCTET_ANY ? call->in_count : op->min_inputs;
    for (int i = 0; i < call->in_count; i++) {
        if (!call->in[i] && i < needed)
            return octet_fail(err, OCTET_ERR_FORMAT, "%s needs input %d, which is left out", op->name, i);
        if (call->in[i] && call->in[i]->dtype == OCTET_NONE)
            return octet_fail(err, OCTET_ERR_FORMAT, "the type of input %d is not known", i);
    }
    if (call->in_count > 0 && call->in[0] && !(op->types & OCTET_TYPE(call->in[0]->dtype)))
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "%s does not take input of type %s", op->name,
                          octet_dtype_name(call->in[0]->dtype));
    return OCTET_OK;
}

static octet_status check_and_infer(const octet_call *call, octet_error *err)
{
    const octet_op *const op = call->node->op;
    if (!op->infer) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "%s has no meaning inside a graph", op->name);
    OCTET_TRY(check_inputs(call, op, err));
    if (call->out_count < op->min_outputs || call->out_count > op->max_outputs || call->out_count == 0)
        return octet_fail(err, OCTET_ERR_FORMAT, "%s with %d outputs; %d to %d are needed", op->name, call->out_count,
                          op->min_outputs, op->max_outputs);
    return op->infer(call, err);
}

static octet_status infer_node(const octet_call *call, octet_error *err)
{
    const octet_status status = check_and_infer(call, err);
    if (status != OCTET_OK) octet_error_node(err, call->node->name);
    return status;
}

/* ---- values that are known ---- */

static bool inputs_known(const octet_call *call)
{
    if (call->node->op->flags & OCTET_OP_SHAPE) return true;
    for (int i = 0; i < call->in_count; i++) {
        if (!call->in[i]) continue;
        if (!call->in[i]->data && octet_tensor_count(call->in[i]) != 0) return false;
        if (call->node->inputs[i]->fake_quantize) return false; /* its real numbers are to be rounded first */
    }
    return true;
}

static bool outputs_are_real(const octet_node *node)
{
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] && node->outputs[i]->fake_quantize) return false;
    return true;
}

/* Bytes of all wanted outputs, if they are few enough to be kept. */
static bool output_bytes(size_t *bytes, const octet_call *call)
{
    *bytes = 0;
    for (int i = 0; i < call->out_count; i++) {
        const int64_t own = call->out[i] ? octet_tensor_bytes(call->out[i]) : 0;
        if (own < 0 || !octet_add(bytes, *bytes, (size_t)own)) return false;
    }
    return true;
}

static bool should_evaluate(size_t *bytes, const inference *inf, const octet_call *call)
{
    const octet_op *const op = call->node->op;
    if (!op->forward || !inputs_known(call) || !outputs_are_real(call->node)) return false;
    if (op->macs && op->macs(call) > max_folded_macs) return false;
    return output_bytes(bytes, call) && *bytes <= inf->limit && *bytes <= inf->room;
}

static octet_status evaluate(inference *inf, octet_call *call, octet_error *err)
{
    size_t bytes = 0;
    if (!should_evaluate(&bytes, inf, call)) return OCTET_OK;
    const octet_op *const op = call->node->op;
    const size_t          scratch = op->scratch_size ? op->scratch_size(call, false) : 0;
    if (scratch > inf->limit) return OCTET_OK;
    inf->room -= bytes;
    octet_arena *const temporary = octet_arena_new();
    if (!temporary) return octet_fail_memory(err);
    octet_status status = octet_arena_get(&call->scratch, temporary, scratch, 1, err);
    for (int i = 0; i < call->out_count && status == OCTET_OK; i++)
        if (call->out[i])
            status = octet_arena_get(&call->out[i]->data, inf->arena, (size_t)octet_tensor_bytes(call->out[i]), 1, err);
    if (status == OCTET_OK) status = op->forward(call, err);
    octet_arena_free(temporary);
    if (status != OCTET_OK) octet_error_node(err, call->node->name);
    return status;
}

/* ---- the walk ---- */

static octet_tensor *tensor_of(const inference *inf, const octet_value *value)
{
    return value ? &inf->tensors[value->index] : NULL;
}

/* Whether an earlier node was left without type and shape. */
static bool is_pending(const octet_call *call)
{
    for (int i = 0; i < call->in_count; i++)
        if (call->in[i] && call->in[i]->dtype == OCTET_NONE) return true;
    return false;
}

static octet_status visit_call(inference *inf, octet_call *call, octet_error *err)
{
    octet_error own = { 0 };
    bool        needs_value = false;
    if (inf->lenient && is_pending(call)) return OCTET_OK;
    call->needs_value = &needs_value;
    const octet_status status = infer_node(call, &own);
    if (status == OCTET_OK) return evaluate(inf, call, err);
    for (int i = 0; i < call->out_count; i++)
        if (call->out[i]) *call->out[i] = (octet_tensor){ 0 };
    if (inf->lenient && needs_value) return OCTET_OK;
    if (err && err->status == OCTET_OK) *err = own;
    return status;
}

static octet_status visit(inference *inf, const octet_node *node, octet_error *err)
{
    const octet_tensor **in = NULL;
    octet_tensor       **out = NULL;
    OCTET_TRY(octet_arena_get(&in, inf->arena, (size_t)node->input_count, sizeof *in, err));
    OCTET_TRY(octet_arena_get(&out, inf->arena, (size_t)node->output_count, sizeof *out, err));
    for (int i = 0; i < node->input_count; i++) in[i] = tensor_of(inf, node->inputs[i]);
    for (int i = 0; i < node->output_count; i++) out[i] = tensor_of(inf, node->outputs[i]);
    octet_call call = { .node = node,
                        .attrs = node->attrs,
                        .in = in,
                        .out = out,
                        .in_count = node->input_count,
                        .out_count = node->output_count,
                        .arena = inf->arena,
                        .threads = 1 };
    return visit_call(inf, &call, err);
}

/* A constant's shape; its data too where it is plain numbers. */
static octet_tensor constant_tensor(const octet_value *value)
{
    octet_tensor tensor = *value->constant;
    if (tensor.qparams) tensor.data = NULL;
    tensor.qparams = NULL;
    tensor.dtype = value->dtype;
    return tensor;
}

static octet_status infer_all(inference inf, const octet_tensor *inputs, octet_error *err)
{
    const octet_graph *const graph = inf.graph;
    octet_tensor *const      tensors = inf.tensors;
    const size_t             limit = graph->limits.max_folded ? graph->limits.max_folded : default_folded;
    inf.limit = inf.shapes_only && limit > most_shape_bytes ? most_shape_bytes : limit;
    if (!octet_mul(&inf.room, limit, FOLDED_TOTAL)) inf.room = SIZE_MAX;
    for (const octet_value *v = graph->values; v; v = v->next)
        tensors[v->index] = v->constant ? constant_tensor(v) : (octet_tensor){ 0 };
    for (size_t i = 0; i < graph->input_count; i++) {
        octet_tensor *const tensor = &tensors[graph->inputs[i]->index];
        if (graph->inputs[i]->constant) continue; /* an initializer that old files list as an input too */
        *tensor = inputs[i];
        tensor->dtype = graph->inputs[i]->dtype;
        if (octet_tensor_count(tensor) < 0) {
            octet_fail(err, OCTET_ERR_SHAPE, "the input's shape is too large or not known");
            octet_error_node(err, graph->inputs[i]->name);
            return OCTET_ERR_SHAPE;
        }
    }
    for (const octet_node *node = graph->first; node; node = node->next) OCTET_TRY(visit(&inf, node, err));
    return OCTET_OK;
}

octet_status octet_infer_shapes(octet_tensor *tensors, const octet_graph *graph, const octet_tensor *inputs,
                                octet_arena *arena, octet_error *err)
{
    return infer_all((inference){ .tensors = tensors, .graph = graph, .arena = arena }, inputs, err);
}

/* ---- free dimensions ---- */

const octet_free_sizes octet_free_sizes_tried[OCTET_FREE_SIZES] = { { 1, 1 }, { 2, 2 }, { 1, 64 }, { 1, 256 } };

octet_tensor octet_free_input(const octet_value *value, octet_free_sizes sizes)
{
    octet_tensor tensor = { .dtype = value->dtype, .rank = value->rank };
    for (int d = 0; d < value->rank; d++)
        tensor.dims[d] = value->dims[d] != OCTET_DIM_FREE ? value->dims[d] : d ? sizes.size : sizes.batch;
    return tensor;
}

static octet_status infer_bound(octet_tensor **tensors, const octet_graph *graph, octet_free_sizes to,
                                octet_arena *arena, octet_error *err)
{
    octet_tensor *inputs = NULL;
    OCTET_TRY(octet_arena_get(tensors, arena, (size_t)graph->value_count, sizeof **tensors, err));
    OCTET_TRY(octet_arena_get(&inputs, arena, graph->input_count, sizeof *inputs, err));
    for (size_t i = 0; i < graph->input_count; i++) inputs[i] = octet_free_input(graph->inputs[i], to);
    return infer_all((inference){ .tensors = *tensors, .graph = graph, .arena = arena, .lenient = true,
                                  .shapes_only = true }, inputs, err);
}

static bool has_free_input(const octet_graph *graph)
{
    for (size_t i = 0; i < graph->input_count; i++)
        for (int d = 0; d < graph->inputs[i]->rank; d++)
            if (graph->inputs[i]->dims[d] == OCTET_DIM_FREE) return true;
    return false;
}

/* Shapes from one, dimensions that differ in other (NULL: none) free. */
static void write_shapes(octet_graph *graph, const octet_tensor *one, const octet_tensor *other)
{
    for (octet_value *v = graph->values; v; v = v->next) {
        const octet_tensor *const a = &one[v->index], *const b = other ? &other[v->index] : a;
        if (a->dtype == OCTET_NONE) continue; /* neither an input nor computed: a pass left it unused */
        v->dtype = a->dtype;
        v->has_shape = true;
        v->rank = a->rank;
        for (int d = 0; d < a->rank; d++)
            v->dims[d] = b->rank == a->rank && a->dims[d] == b->dims[d] ? a->dims[d] : OCTET_DIM_FREE;
    }
}

/* Shapes of one binding; what differs in one of twice the size is free. */
static octet_status infer_free(octet_graph *graph, octet_free_sizes to, octet_arena *arena, octet_error *err)
{
    octet_tensor *once = NULL, *twice = NULL;
    OCTET_TRY(infer_bound(&once, graph, to, arena, err));
    const bool works = infer_bound(&twice, graph, octet_free_sizes_doubled(to), arena, NULL) == OCTET_OK;
    write_shapes(graph, once, works ? twice : NULL);
    return OCTET_OK;
}

static octet_status graph_infer(octet_graph *graph, octet_arena *arena, octet_error *err)
{
    if (!has_free_input(graph)) {
        octet_tensor *only = NULL;
        OCTET_TRY(infer_bound(&only, graph, octet_free_sizes_tried[0], arena, err));
        write_shapes(graph, only, NULL);
        return OCTET_OK;
    }
    const octet_status status = infer_free(graph, octet_free_sizes_tried[0], arena, err);
    for (size_t i = 1; status != OCTET_OK && i < OCTET_FREE_SIZES; i++) {
        if (infer_free(graph, octet_free_sizes_tried[i], arena, NULL) != OCTET_OK) continue;
        if (err) *err = (octet_error){ 0 };
        return OCTET_OK;
    }
    return status;
}

octet_status octet_graph_infer(octet_graph *graph, octet_error *err)
{
    octet_arena *const arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    const octet_status status = graph_infer(graph, arena, err);
    octet_arena_free(arena);
    return status;
}

static bool same_value(const octet_tensor *a, const octet_tensor *b)
{
    return a->data && b->data && a->dtype == b->dtype && octet_same_dims(a, b) &&
           memcmp(a->data, b->data, (size_t)octet_tensor_bytes(a)) == 0;
}

octet_status octet_graph_known(octet_tensor *known, const octet_graph *graph, const octet_value *value,
                               octet_arena *arena, octet_error *err)
{
    octet_tensor *tensors = NULL;
    bool          any = false;
    *known = (octet_tensor){ 0 };
    for (int64_t batch = 1; batch <= (has_free_input(graph) ? 3 : 1); batch++) {
        const bool last = !any && (batch == 3 || !has_free_input(graph));
        octet_status status = infer_bound(&tensors, graph, (octet_free_sizes){ batch, 64 * batch }, arena, NULL);
        if (status != OCTET_OK)
            status = infer_bound(&tensors, graph, (octet_free_sizes){ batch, batch }, arena, last ? err : NULL);
        if (status != OCTET_OK && last) return status;
        if (status != OCTET_OK) continue; /* some networks take one batch only */
        const octet_tensor now = tensors[value->index];
        if (any && !same_value(known, &now)) {
            known->data = NULL;
            return OCTET_OK;
        }
        *known = now;
        any = true;
    }
    return OCTET_OK;
}
