/* SPDX-License-Identifier: Apache-2.0 */
/* The native engine's table of operators, and what all its families share. */
#include "engine/native/native.h"

#include "ops/levels.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const octet_native_row rows[] = {
    { "Add", octet_native_accepts_binary, octet_native_prepare_binary },
    { "AveragePool", octet_native_accepts_pool, octet_native_prepare_pool },
    { "Concat", octet_native_accepts_concat, octet_native_prepare_concat },
    { "Conv", octet_native_accepts_conv, octet_native_prepare_conv },
    { "ConvTranspose", octet_native_accepts_taps, octet_native_prepare_taps },
    { "Gemm", octet_native_accepts_gemm, octet_native_prepare_gemm },
    { "GlobalAveragePool", octet_native_accepts_pool, octet_native_prepare_pool },
    { "GlobalMaxPool", octet_native_accepts_pool, octet_native_prepare_pool },
    { "LayerNormalization", octet_native_accepts_normal, octet_native_prepare_normal },
    { "MatMul", octet_native_accepts_matmul, octet_native_prepare_matmul },
    { "MaxPool", octet_native_accepts_pool, octet_native_prepare_pool },
    { "Mul", octet_native_accepts_binary, octet_native_prepare_binary },
    { "RMSNormalization", octet_native_accepts_normal, octet_native_prepare_normal },
    { "ReduceMean", octet_native_accepts_pool, octet_native_prepare_pool },
    { "Softmax", octet_native_accepts_softmax, octet_native_prepare_softmax },
    { "Sub", octet_native_accepts_binary, octet_native_prepare_binary },
};

/* Whose input becomes levels when they run. */
static const octet_native_row dynamic_rows[] = {
    { "GRU", octet_native_accepts_gates, octet_native_prepare_gates },
    { "Gemm", octet_native_accepts_dense, octet_native_prepare_dense },
    { "LSTM", octet_native_accepts_gates, octet_native_prepare_gates },
    { "MatMul", octet_native_accepts_dense, octet_native_prepare_dense },
    { "RNN", octet_native_accepts_gates, octet_native_prepare_gates },
};

/* In float. Flatten and its like are the same memory. */
static const octet_native_row real_rows[] = {
    { "DepthToSpace", octet_native_accepts_real, octet_native_prepare_depth },
    { "Flatten", octet_native_accepts_real, octet_native_prepare_definition },
    { "Reshape", octet_native_accepts_real, octet_native_prepare_definition },
    { "Softmax", octet_native_accepts_real, octet_native_prepare_definition },
};

/* Any other function of one input is a table of 256 bytes. */
static const octet_native_row table_row = { "", octet_native_accepts_table, octet_native_prepare_table };

static const octet_native_row *find_row(const octet_native_row *table, size_t count, const octet_node *node)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].op, node->op->name) == 0) return &table[i];
    return NULL;
}

static const octet_native_row *row_of(const octet_step *step)
{
    const octet_node *const node = step->node;
    if (step->mode == OCTET_MODE_DYNAMIC)
        return find_row(dynamic_rows, sizeof dynamic_rows / sizeof *dynamic_rows, node);
    if (step->mode == OCTET_MODE_REAL) return find_row(real_rows, sizeof real_rows / sizeof *real_rows, node);
    const octet_native_row *const row = find_row(rows, sizeof rows / sizeof *rows, node);
    if (row) return row;
    return node->op->quant == OCTET_QUANT_TABLE || node->op->quant == OCTET_QUANT_SAME ? &table_row : NULL;
}

/* ---- shared by the families ---- */

bool octet_native_decline(octet_reason *why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return false;
}

bool octet_native_pixels(const octet_plan *plan, const octet_value *value)
{
    if (!value || octet_plan_known(plan, value) || value->constant) return false;
    octet_tensor tensor = plan->shapes[value->index];
    tensor.qparams      = octet_value_levels(plan->graph, value);
    return octet_area_possible(&tensor);
}

bool octet_native_take(const octet_plan *plan, octet_step *step, int inputs, octet_reason *why)
{
    enum { MOST = 1 << 27 }; /* elements: bytes of places, with borders and floats, must fit 32 bits */
    const octet_node *const last = step->add ? step->add : step->node;
    if (octet_tensor_count(&plan->shapes[last->outputs[0]->index]) > MOST)
        return octet_native_decline(why, "output has more than 2^27 elements");
    for (int i = 0; i < inputs; i++) {
        if (!octet_native_pixels(plan, step->node->inputs[i]))
            return octet_native_decline(why, "input %d is not computed as bytes of one scale", i);
        step->in_layout[i] = OCTET_LAYOUT_PIXELS;
    }
    if (!octet_value_levels(plan->graph, last->outputs[0])) {
        if (step->real_unit != 0) return octet_native_decline(why, "its sum's Add is computed elsewhere");
        return plan->shapes[last->outputs[0]->index].dtype == OCTET_F32 ||
               octet_native_decline(why, "output is not float32");
    }
    if (!octet_native_pixels(plan, last->outputs[0]))
        return octet_native_decline(why, "output cannot be bytes of one scale");
    step->out_layout = OCTET_LAYOUT_PIXELS;
    return true;
}

octet_layout octet_native_layout(const octet_plan *plan, const octet_value *value)
{
    if (plan->shapes[value->index].rank < 3 ||
        octet_plan_form(plan, value, OCTET_FORM_LEVELS, OCTET_LAYOUT_PIXELS) >= 0)
        return OCTET_LAYOUT_PIXELS;
    const bool is_dense = octet_plan_form(plan, value, OCTET_FORM_LEVELS, OCTET_LAYOUT_ROWS) >= 0 ||
                          octet_plan_form(plan, value, OCTET_FORM_LEVELS, OCTET_LAYOUT_DENSE) >= 0;
    return is_dense || octet_plan_moves_rows(plan, value) ? OCTET_LAYOUT_ROWS : OCTET_LAYOUT_PIXELS;
}

void octet_native_use_rows(octet_step *step)
{
    for (int i = 0; i < step->in_count; i++)
        if (step->in_layout[i] == OCTET_LAYOUT_PIXELS) step->in_layout[i] = OCTET_LAYOUT_ROWS;
    if (step->out_layout == OCTET_LAYOUT_PIXELS) step->out_layout = OCTET_LAYOUT_ROWS;
}

const octet_area *octet_native_in(const octet_plan *plan, const octet_step *step, int slot)
{
    return &plan->forms[step->in[slot]].area;
}

const octet_area *octet_native_out(const octet_plan *plan, const octet_step *step)
{
    return &plan->forms[step->out[0]].area;
}

/* The shape as a value of bytes. */
static octet_tensor bytes_of(const octet_tensor *shape)
{
    static const int32_t       zero   = 0;
    static const octet_qparams bytes  = { .zero_point = &zero, .count = 1, .dtype = OCTET_U8, .qmax = 255 };
    octet_tensor               levels = *shape;
    levels.qparams = &bytes;
    return levels;
}

octet_area octet_native_dense_area(const octet_tensor *shape)
{
    const octet_tensor levels = bytes_of(shape);
    octet_area         area;
    octet_area_make(&area, &levels, &(octet_border){ 0 }, true);
    return area;
}

octet_area octet_native_dense_rows(const octet_tensor *shape)
{
    const octet_tensor levels = bytes_of(shape);
    octet_area         area;
    octet_area_make_rows(&area, &levels);
    return area;
}

octet_to_levels octet_native_to(const octet_qparams *qparams, const octet_activation *activation)
{
    const octet_level_rule rule  = octet_level_rule_of(qparams, 0, activation);
    const int32_t          shift = qparams->dtype == OCTET_I8 ? 128 : 0;
    return (octet_to_levels){ .zero_point = rule.zero_point + shift, .lo = rule.qmin + shift, .hi = rule.qmax + shift };
}

int octet_native_parts(const octet_plan *plan, double microseconds)
{
    enum { WORTH = 8, SHARES = 2 }; /* microseconds of a part; parts of a thread, for threads are not equally quick */
    const double most = plan->threads > 1 ? (double)plan->threads * SHARES : 1, parts = microseconds / WORTH;
    return parts < 2 ? 1 : (int)(parts < most ? parts : most);
}

octet_share octet_native_share(size_t rows_in_all, int part, int parts)
{
    return (octet_share){rows_in_all * (size_t)part / (size_t)parts, rows_in_all * ((size_t)part + 1) / (size_t)parts};
}

/* ---- the engine ---- */

const octet_node *octet_native_add(const octet_plan *plan, const octet_node *node)
{
    const octet_node *const add = octet_node_fused_add(plan->graph, node);
    if (!add) return NULL;
    const octet_value *const other = add->inputs[add->inputs[0] == node->outputs[0]];
    return octet_native_pixels(plan, other) && octet_native_pixels(plan, add->outputs[0]) ? add : NULL;
}

static bool accepts(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    const octet_native_row *const row = row_of(step);
    if (!row && step->mode == OCTET_MODE_DYNAMIC)
        return octet_native_decline(why, "its input becomes levels when it runs");
    if (!row && step->mode == OCTET_MODE_REAL) return octet_native_decline(why, "real numbers");
    if (!row) return octet_native_decline(why, "no int8 kernel for this operator");
    step->add = octet_native_add(plan, step->node);
    if (row->accepts(plan, step, why)) return true;
    for (int i = 0; i < step->in_count; i++) step->in_layout[i] = OCTET_LAYOUT_DENSE;
    step->out_layout = OCTET_LAYOUT_DENSE;
    step->add        = NULL;
    return false;
}

static octet_status prepare(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    return row_of(step)->prepare(plan, step, arena, err);
}

void octet_native_run_part(const octet_step *step, const octet_call *call, int phase, int part)
{
    ((const octet_native_state *)step->state)->run(step, call, phase, part);
}

static const char *version(void) { return octet_version(); }

const octet_engine octet_engine_native = {
    .name = "native", .version = version, .accepts = accepts, .prepare = prepare, .run_part = octet_native_run_part
};
