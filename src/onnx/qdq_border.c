/* SPDX-License-Identifier: Apache-2.0 */
/* Levels that enter or leave the graph, as networks for small machines and other runtimes' "uint8 in, uint8 out" have
   them. The value is a real number that is kept as levels, like any other; that these cross the border is a property of
   it (as_levels), so every pass and engine meets what it knows. */
#include "onnx/qdq.h"

static octet_status at_node(octet_status status, const octet_node *node, octet_error *err)
{
    if (status != OCTET_OK) octet_error_node(err, node->name);
    return status;
}

/* Whether every reader of levels is a DequantizeLinear of the same parameters per tensor: those of *qparams where it
   has some, else of the first, which *qparams becomes. */
static octet_status all_dequantize(bool *yes, octet_qparams *qparams, octet_reader *reader, const octet_value *levels,
                                   octet_error *err)
{
    *yes = true;
    for (size_t i = 0; *yes && i < levels->use_count; i++) {
        const octet_node *const node = levels->uses[i].node;
        octet_qparams           other;
        bool                    known;
        *yes = octet_is_dequantize(node) && levels->uses[i].slot == 0;
        if (!*yes) break;
        OCTET_TRY(at_node(octet_qdq_qparams(&other, &known, reader, node, err), node, err));
        *yes = known && other.count == 1 && octet_dtype_size(other.dtype) <= 2 &&
               node->outputs[0]->dtype == OCTET_F32 && (!qparams->count || octet_qdq_same(qparams, &other));
        if (*yes && !qparams->count) *qparams = other;
    }
    return OCTET_OK;
}

/* Readers of what DequantizeLinear makes of value's levels read value. */
static octet_status read_value(octet_reader *reader, octet_value *value, octet_error *err)
{
    octet_graph *const graph = reader->graph;
    for (size_t i = 0; i < value->use_count;) {
        octet_node *const node = value->uses[i].node;
        i += !octet_is_dequantize(node); /* who read a result that is replaced by now */
        if (!octet_is_dequantize(node)) continue;
        octet_value *const result = node->outputs[0];
        octet_node *const  next   = node->next;
        octet_node_remove(graph, node); /* another takes its place in the list */
        OCTET_TRY(result->is_output ? octet_qdq_identity(reader, next, value, result, err)
                                    : octet_value_replace(graph, result, value, err));
    }
    return OCTET_OK;
}

static octet_status make_border(octet_reader *reader, octet_value *value, const octet_qparams *qparams,
                                octet_error *err)
{
    value->dtype     = OCTET_F32;
    value->as_levels = true;
    return octet_qdq_attach(reader, value, qparams, err);
}

static octet_status read_input(octet_reader *reader, octet_value *input, bool *changed, octet_error *err)
{
    octet_qparams qparams = { 0 };
    bool          all;
    if (input->is_output || !input->use_count || !octet_is_dequantize(input->uses[0].node)) return OCTET_OK;
    OCTET_TRY(all_dequantize(&all, &qparams, reader, input, err));
    if (!all) return OCTET_OK;
    *changed = true;
    OCTET_TRY(make_border(reader, input, &qparams, err));
    return read_value(reader, input, err);
}

static octet_status read_output(octet_reader *reader, octet_value *levels, bool *changed, octet_error *err)
{
    octet_node *const quantize = levels->producer;
    octet_qparams     qparams;
    bool              known, all;
    if (!octet_is_quantize(quantize) || quantize->inputs[0]->constant) return OCTET_OK;
    octet_value *const real = quantize->inputs[0];
    OCTET_TRY(at_node(octet_qdq_qparams(&qparams, &known, reader, quantize, err), quantize, err));
    if (!known || qparams.count != 1 || octet_dtype_size(qparams.dtype) > 2 || real->dtype != OCTET_F32 ||
        octet_read_bits(reader, quantize->input_count > 2 ? quantize->inputs[2] : NULL))
        return OCTET_OK;
    OCTET_TRY(all_dequantize(&all, &qparams, reader, levels, err));
    if (!all) return OCTET_OK;
    *changed = true;
    const bool  own    = real->producer && !real->is_output && !real->fake_quantize && real->use_count == 1;
    octet_node *before = quantize->next;
    octet_node_remove(reader->graph, quantize);
    OCTET_TRY(make_border(reader, levels, &qparams, err));
    OCTET_TRY(own ? octet_qdq_take_place(reader->graph, real, levels, err)
                  : octet_qdq_identity(reader, before, real, levels, err));
    return read_value(reader, levels, err);
}

octet_status octet_read_border_levels(octet_reader *reader, bool *changed, octet_error *err)
{
    const octet_graph *const graph = reader->graph;
    for (size_t i = 0; i < graph->input_count; i++) OCTET_TRY(read_input(reader, graph->inputs[i], changed, err));
    for (size_t i = 0; i < graph->output_count; i++) OCTET_TRY(read_output(reader, graph->outputs[i], changed, err));
    return OCTET_OK;
}
