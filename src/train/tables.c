/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of embeddings that are trained: parameters behind a FakeQuantize, as weights are, but read by Gather. */
#include "train/steps.h"

#include <string.h>

octet_status octet_table_make(octet_tape *tape, const octet_tape_step *step, octet_error *err)
{
    octet_tape_slot *const   slot  = step->node->op->flags & OCTET_OP_PICKS ? step->in[0] : NULL;
    const octet_value *const value = slot ? slot->value : NULL;
    octet_trained *const     t     = value && value->fake_quantize ? value->fake_quantize->trained : NULL;
    if (!t || !value->constant || slot->real.dtype != tape->dtype || t->channels != value->dims[0]) return OCTET_OK;
    for (size_t i = 0; i < tape->table_count; i++)
        if (tape->tables[i].slot == slot) return OCTET_OK;
    if (!tape->tables)
        OCTET_TRY(octet_arena_get(&tape->tables, tape->arena, (size_t)tape->graph->node_count, sizeof *tape->tables,
                                  err));
    octet_tape_table *const table = &tape->tables[tape->table_count++];
    *table = (octet_tape_table){ .slot = slot, .trained = t, .shape = octet_channels_along(value->constant, 0) };
    OCTET_TRY(octet_constant_parameter(&table->parameter, tape, value, OCTET_PARAMETER_WEIGHT, err));
    return octet_arena_get(&slot->real.data, tape->arena, table->parameter->count, tape->element, err);
}

void octet_tables_forward(octet_tape *tape)
{
    for (size_t i = 0; !tape->quantized && i < tape->table_count; i++) {
        const octet_tape_table *const t = &tape->tables[i];
        memcpy(t->slot->real.data, t->parameter->value, t->parameter->count * tape->element);
        octet_fake_quantize_tensor(tape, t->trained, t->slot->real.data, &t->shape);
    }
}

void octet_tables_backward(octet_tape *tape)
{
    for (size_t i = 0; i < tape->table_count; i++) {
        const octet_tape_table *const t = &tape->tables[i];
        if (!t->slot->touched) continue;
        octet_fake_quantize_gradient(tape, t->trained, t->slot->gradient.data, t->parameter->value, &t->shape);
        for (size_t k = 0; k < t->parameter->count; k++)
            octet_parameter_add_gradient(t->parameter, k, tape->dtype == OCTET_F64
                                                              ? ((const double *)t->slot->gradient.data)[k]
                                                              : (double)((const float *)t->slot->gradient.data)[k]);
    }
}
