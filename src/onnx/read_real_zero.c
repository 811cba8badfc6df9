/* SPDX-License-Identifier: Apache-2.0 */
/* Levels with real zero points, in the form that octet writes: Mul(Sub(Cast(levels), zero points), scales). */
#include "graph/attrs.h"
#include "onnx/qdq.h"
#include "ops/levels.h"

#include <math.h>
#include <string.h>

/* The node called op that makes node's input 0 for nobody else; NULL: another one does. */
static octet_node *maker(const octet_node *node, const char *op)
{
    const octet_value *const in = node->inputs[0];
    octet_node *const        producer = in ? in->producer : NULL;
    return producer && !strcmp(producer->op->name, op) && in->use_count == 1 && !in->is_output ? producer : NULL;
}

/* Input 1: one real number for each row of levels, or one for all. */
static const octet_tensor *rows_of(const octet_node *node, const octet_tensor *levels)
{
    const octet_tensor *const t = node->inputs[1] ? node->inputs[1]->constant : NULL;
    if (!t || t->dtype != OCTET_F32 || t->qparams || (t->rank && t->rank != levels->rank)) return NULL;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != (i ? 1 : levels->dims[0])) return NULL;
    return t;
}

static const octet_value *levels_of(const octet_node *cast)
{
    const octet_value *const in = cast->inputs[0];
    const bool bytes = in->constant && !in->constant->qparams && in->constant->rank > 0 &&
                       (in->constant->dtype == OCTET_U8 || in->constant->dtype == OCTET_I8);
    return bytes && cast->outputs[0]->dtype == OCTET_F32 ? in : NULL;
}

/* Whether all scales are normal and above 0, and all zero points finite. */
static bool are_parameters(const octet_tensor *scale, const octet_tensor *zero)
{
    const int64_t count = octet_tensor_count(scale);
    for (int64_t i = 0; i < count; i++) {
        const float s = ((const float *)scale->data)[i], z = ((const float *)zero->data)[i];
        if (!isnormal(s) || s <= 0 || !isfinite(z)) return false;
    }
    return count > 0;
}

static octet_status read_one(octet_reader *reader, octet_node *mul, bool *changed, octet_error *err)
{
    octet_node *const        sub = maker(mul, "Sub"), *const cast = sub ? maker(sub, "Cast") : NULL;
    const octet_value *const levels = cast ? levels_of(cast) : NULL;
    if (!levels || mul->outputs[0]->is_output) return OCTET_OK;
    const octet_tensor *const zero = rows_of(sub, levels->constant), *const scale = rows_of(mul, levels->constant);
    if (!zero || !scale || zero->rank != scale->rank || !are_parameters(scale, zero)) return OCTET_OK;
    const int     bits = octet_read_bits(reader, levels);
    octet_qparams q = {.scale = scale->data, .count = octet_tensor_count(scale), .dtype = levels->constant->dtype,
                       .real_zero_point = zero->data};
    int32_t      *none;
    octet_value  *result = mul->outputs[0], *made;
    OCTET_TRY(octet_arena_get(&none, reader->graph->arena, (size_t)q.count, sizeof *none, err));
    octet_levels_bounds(&q.qmin, &q.qmax, q.dtype);
    if (bits) q.qmin /= 1 << (8 - bits), q.qmax = q.qmin + (1 << bits) - 1;
    q.zero_point = none;
    *changed = true;
    octet_node_remove(reader->graph, mul);
    octet_node_remove(reader->graph, sub);
    octet_node_remove(reader->graph, cast);
    return octet_qdq_make(&made, reader, levels, result, &q, err);
}

octet_status octet_read_real_zeros(octet_reader *reader, bool *changed, octet_error *err)
{
    if (!octet_graph_metadata(reader->graph, "octet.version")) return OCTET_OK;
    for (octet_node *n = reader->graph->first, *next; n; n = next) {
        next = n->next;
        if (!strcmp(n->op->name, "Mul")) OCTET_TRY(read_one(reader, n, changed, err));
    }
    return OCTET_OK;
}
