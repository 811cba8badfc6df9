/* SPDX-License-Identifier: Apache-2.0 */
/* Building what takes an operator's place (expand.h), and which operators are replaced. */
#include "onnx/expand.h"

#include "graph/attrs.h"
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/wide.h"

#include <assert.h>
#include <string.h>

static bool goes_on(const octet_expansion *e) { return e->status == OCTET_OK; }

void octet_expand_fail(octet_expansion *e, const char *why)
{
    if (goes_on(e)) e->status = octet_fail(e->err, OCTET_ERR_UNSUPPORTED, "%s: %s", e->node->op->name, why);
}

/* ---- nodes ---- */

static octet_status make(octet_value **value, octet_expansion *e, const octet_op *op, octet_value *const *inputs,
                         size_t count)
{
    const char *const near = octet_arena_format(e->arena, "%s/%s", e->node->name, op->name);
    if (!near) return octet_fail_memory(e->err);
    const octet_new_node as = { .op = op, .name = near, .inputs = (int)count, .outputs = 1, .before = e->node };
    OCTET_TRY(octet_node_new(&e->last, e->graph, &as, e->err));
    for (size_t i = 0; i < count; i++)
        if (inputs[i]) OCTET_TRY(octet_node_set_input(e->graph, e->last, (int)i, inputs[i], e->err));
    OCTET_TRY(octet_value_new_near(value, e->graph, near, e->err));
    octet_node_set_output(e->last, 0, *value);
    return OCTET_OK;
}

octet_value *octet_expand(octet_expansion *e, const char *op, octet_value *const *inputs, size_t count)
{
    octet_value          *value = NULL;
    const octet_op *const row = octet_op_find(op, NULL);
    assert(row);
    if (goes_on(e)) e->status = make(&value, e, row, inputs, count);
    return goes_on(e) ? value : NULL;
}

static void *attribute(const octet_expansion *e, const char *name)
{
    return octet_attr_at(e->last->attrs, octet_attr_find(e->last->op, name));
}

void octet_expand_int(octet_expansion *e, const char *name, int64_t value)
{
    if (goes_on(e)) memcpy(attribute(e, name), &value, sizeof value);
}

void octet_expand_float(octet_expansion *e, const char *name, float value)
{
    if (goes_on(e)) memcpy(attribute(e, name), &value, sizeof value);
}

void octet_expand_ints(octet_expansion *e, const char *name, int count, const int64_t *values)
{
    octet_ints list = { .count = count };
    for (int i = 0; i < count; i++) list.at[i] = values[i];
    if (goes_on(e)) memcpy(attribute(e, name), &list, sizeof list);
}

/* ---- constants ---- */

octet_value *octet_expand_constant(octet_expansion *e, const octet_tensor *tensor)
{
    octet_value *value = NULL;
    if (!goes_on(e)) return NULL;
    e->status = octet_value_new_near(&value, e->graph, e->node->name, e->err);
    if (goes_on(e)) e->status = octet_value_set_constant(e->graph, value, tensor, e->err);
    return value;
}

octet_value *octet_expand_list(octet_expansion *e, int64_t count, const int64_t *values)
{
    int64_t copy[OCTET_INTS_MAX];
    memcpy(copy, values, (size_t)count * sizeof *copy);
    return octet_expand_constant(e, &(octet_tensor){ .dtype = OCTET_I64, .rank = 1, .dims = { count }, .data = copy });
}

octet_value *octet_expand_number(octet_expansion *e, octet_dtype dtype, double number)
{
    int64_t    bytes = 0;
    octet_wide wide = { .f = number };
    if (!octet_dtype_is_float(dtype)) wide = (octet_wide){ .i = (int64_t)number };
    octet_wide_store(&bytes, dtype, 0, &wide, 1);
    return octet_expand_constant(e, &(octet_tensor){ .dtype = dtype, .data = &bytes });
}

/* ---- what is used often ---- */

octet_value *octet_expand_reshape(octet_expansion *e, octet_value *x, int count, const int64_t *dims)
{
    octet_value *const target = octet_expand_list(e, count, dims);
    return OCTET_EXPAND(e, "Reshape", x, target);
}

octet_value *octet_expand_transpose(octet_expansion *e, octet_value *x, int count, const int64_t *perm)
{
    octet_value *const turned = OCTET_EXPAND(e, "Transpose", x);
    octet_expand_ints(e, "perm", count, perm);
    return turned;
}

octet_value *octet_expand_cast(octet_expansion *e, octet_value *x, octet_dtype dtype)
{
    octet_value *const cast = OCTET_EXPAND(e, "Cast", x);
    octet_expand_int(e, "to", octet_dtype_to_onnx(dtype));
    return cast;
}

void octet_expand_result(octet_expansion *e, int slot, octet_value *value)
{
    octet_value *const old = slot < e->node->output_count ? e->node->outputs[slot] : NULL;
    if (!old || !goes_on(e)) return;
    if (value->use_count || !value->producer || value->producer->outputs[0] != value || value->is_output)
        value = OCTET_EXPAND(e, "Identity", value);
    if (!goes_on(e)) return;
    octet_node *const producer = value->producer;
    octet_node_set_output(e->node, slot, NULL);
    octet_node_set_output(producer, 0, NULL);
    octet_node_set_output(producer, 0, old);
}

/* ---- which ---- */

static const struct {
    const char *op;
    void (*expand)(octet_expansion *e);
} rows[] = {
    {"Attention", octet_expand_attention},
    {"RotaryEmbedding", octet_expand_rotary},
    {"STFT", octet_expand_stft},
    {"SwiGLU", octet_expand_swi_glu},
};

static octet_status replace(octet_reader *reader, octet_node *node, void (*expand)(octet_expansion *e),
                            octet_error *err)
{
    octet_expansion e = { .graph = reader->graph, .arena = reader->arena, .node = node, .err = err };
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] && !node->inputs[i]->has_shape)
            octet_expand_fail(&e, "of a shape known only when running is not supported");
    if (goes_on(&e)) expand(&e);
    if (goes_on(&e)) octet_node_remove(reader->graph, node);
    else octet_error_node(err, node->name);
    return e.status;
}

octet_status octet_read_expand(octet_reader *reader, bool *changed, octet_error *err)
{
    for (octet_node *n = reader->graph->first, *next; n; n = next) {
        next = n->next;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            if (strcmp(rows[i].op, n->op->name) != 0) continue;
            *changed = true;
            OCTET_TRY(replace(reader, n, rows[i].expand, err));
            break;
        }
    }
    return OCTET_OK;
}
