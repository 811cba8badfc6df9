/* SPDX-License-Identifier: Apache-2.0 */
/* What each stage promises, checked. A failure here is a bug in a pass or a graph built wrongly, never a surprise
   later. */
#include "base/entries.h"
#include "graph/graph.h"
#include "graph/op.h"

#include <math.h>

static octet_status wrong(octet_error *err, const char *where, const char *what)
{
    octet_fail(err, OCTET_ERR_FORMAT, "%s", what);
    octet_error_node(err, where);
    return OCTET_ERR_FORMAT;
}

static bool uses_node(const octet_value *value, const octet_node *node, int slot)
{
    for (size_t i = 0; i < value->use_count; i++)
        if (value->uses[i].node == node && value->uses[i].slot == slot) return true;
    return false;
}

enum { MANY_READERS = 64 }; /* above that the check would be quadratic in the file's size */

static octet_status check_links(const octet_node *node, octet_error *err)
{
    for (int i = 0; i < node->input_count; i++) {
        const octet_value *const v = node->inputs[i];
        if (!v && i < node->op->min_inputs) return wrong(err, node->name, "a required input is missing");
        if (!v) continue;
        if (v->use_count <= MANY_READERS && !uses_node(v, node, i))
            return wrong(err, node->name, "an input does not know its reader");
        if (v->producer ? v->producer->index >= node->index : !v->is_input && !v->constant)
            return wrong(err, node->name, "an input is not computed before it is read");
    }
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] && node->outputs[i]->producer != node)
            return wrong(err, node->name, "an output has another producer");
    return OCTET_OK;
}

static octet_status check_qparams(const octet_value *value, const octet_qparams *q, octet_error *err)
{
    for (int64_t i = 0; i < q->count; i++) {
        if (!isnormal(q->scale[i]) || q->scale[i] <= 0)
            return wrong(err, value->name, "scale is not finite, normal and positive");
        if (q->zero_point[i] < q->qmin || q->zero_point[i] > q->qmax)
            return wrong(err, value->name, "zero point lies outside the level range");
        if (q->real_zero_point && !isfinite(q->real_zero_point[i]))
            return wrong(err, value->name, "zero point is not finite");
    }
    if (!q->block) return OCTET_OK;
    const bool fits = value->constant && q->axis < value->constant->rank && q->block > 0;
    if (!fits) return wrong(err, value->name, "blocks of scales that are not those of a constant's axis");
    const octet_entries entries = octet_entries_of(value->constant, q);
    return octet_entries_total(&entries) == (size_t)q->count ? OCTET_OK
                                                              : wrong(err, value->name, "not one scale for each block");
}

static octet_status check_value(const octet_graph *graph, const octet_value *value, octet_error *err)
{
    const octet_fake_quantize *const fq = value->fake_quantize;
    if (fq && graph->training && !fq->trained)
        return wrong(err, value->name, "training graph with a FakeQuantize that is not trained");
    if (fq && graph->stage >= OCTET_STAGE_CALIBRATED && fq->qparams.count == 0)
        return wrong(err, value->name, "calibrated graph with a value that has no quantization parameters");
    if (fq && graph->stage >= OCTET_STAGE_QUANTIZED && (fq->observer || fq->trained))
        return wrong(err, value->name, "quantized graph with a value that still observes or is trained");
    if (fq && fq->qparams.count) OCTET_TRY(check_qparams(value, &fq->qparams, err));
    if (value->constant && value->constant->qparams) return check_qparams(value, value->constant->qparams, err);
    return OCTET_OK;
}

octet_status octet_graph_check(const octet_graph *graph, octet_error *err)
{
    if (graph->output_count == 0) return octet_fail(err, OCTET_ERR_FORMAT, "graph has no output");
    for (const octet_node *n = graph->first; n; n = n->next) {
        OCTET_TRY(check_links(n, err));
        if (n->batch_norm && graph->stage >= OCTET_STAGE_PREPARED && !graph->training)
            return wrong(err, n->name, "batch normalization is still attached in a prepared graph");
    }
    for (const octet_value *v = graph->values; v; v = v->next) OCTET_TRY(check_value(graph, v, err));
    for (size_t i = 0; i < graph->output_count; i++)
        if (!graph->outputs[i]->producer && !graph->outputs[i]->is_input && !graph->outputs[i]->constant)
            return wrong(err, graph->outputs[i]->name, "graph output is never computed");
    return OCTET_OK;
}
