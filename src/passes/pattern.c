/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for patterns (pattern.h). */
#include "passes/pattern.h"

#include "graph/attrs.h"

#include <assert.h>
#include <math.h>

bool octet_one_number(double *number, const octet_value *value)
{
    const float *const at = octet_constant_floats(value);
    if (!at || value->fake_quantize || octet_tensor_count(value->constant) != 1) return false;
    *number = (double)*at;
    return true;
}

bool octet_is_number(const octet_value *value, double number)
{
    double found;
    return octet_one_number(&found, value) && fabs(found - number) <= fabs(number) * 1e-6;
}

octet_node *octet_made_by(const octet_value *value, const char *op)
{
    octet_node *const n = value && !value->fake_quantize ? value->producer : NULL;
    return n && octet_node_is(n, op) && n->outputs[0] == value && !n->activation.on ? n : NULL;
}

octet_node *octet_read_once(const octet_value *value, const char *op)
{
    octet_node *const n = value && !value->fake_quantize ? octet_value_only_reader(value) : NULL;
    return n && octet_node_is(n, op) ? n : NULL;
}

octet_value *octet_scaled(const octet_value *value, double number)
{
    const octet_node *const mul = octet_made_by(value, "Mul"), *const div = octet_made_by(value, "Div");
    if (div) return octet_is_number(div->inputs[1], 1 / number) ? div->inputs[0] : NULL;
    for (int i = 0; mul && i < 2; i++)
        if (octet_is_number(mul->inputs[i], number)) return mul->inputs[1 - i];
    return NULL;
}

octet_value *octet_squared(const octet_value *value)
{
    const octet_node *const pow = octet_made_by(value, "Pow"), *const mul = octet_made_by(value, "Mul");
    if (pow && octet_is_number(pow->inputs[1], 2)) return pow->inputs[0];
    return mul && mul->inputs[0] == mul->inputs[1] ? mul->inputs[0] : NULL;
}

octet_node *octet_gated(octet_value *gate, const octet_value *x, double number)
{
    bool               by_x = false, by_number = number == 1;
    const octet_value *at = gate;
    octet_node        *last = NULL;
    while (!by_x || !by_number) {
        octet_node *const         mul = octet_read_once(at, "Mul"), *const div = octet_read_once(at, "Div");
        const octet_value *const other = mul ? octet_beside(mul, at) : NULL;
        if (other == x && !by_x && mul) by_x = true;
        else if (mul && !by_number && octet_is_number(other, number)) by_number = true;
        else if (div && !by_number && div->inputs[0] == at && octet_is_number(div->inputs[1], 1 / number))
            by_number = true;
        else if (mul && !by_x && !by_number && octet_scaled(other, number) == x) by_x = by_number = true;
        else return NULL;
        last = mul ? mul : div;
        at   = last->outputs[0];
    }
    return last;
}

octet_status octet_replace_pattern(octet_node **node, octet_graph *graph, octet_node *last, const octet_op *op,
                                   octet_value *const *inputs, octet_error *err)
{
    octet_value *const out  = last->outputs[0];
    const char *const  name = last->name;
    octet_node *const  next = last->next;
    int                count = 0;
    while (count < op->max_inputs && inputs[count]) count++;
    octet_node_remove(graph, last);
    const octet_new_node as = { .op = op, .name = name, .inputs = count, .outputs = 1, .before = next };
    OCTET_TRY(octet_node_new(node, graph, &as, err));
    for (int i = 0; i < count; i++) OCTET_TRY(octet_node_set_input(graph, *node, i, inputs[i], err));
    octet_node_set_output(*node, 0, out);
    return OCTET_OK;
}

static void *attribute(octet_node *node, const char *name, octet_attr_kind kind)
{
    const octet_attr *const attr = octet_attr_find(node->op, name);
    assert(attr && attr->kind == kind);
    (void)kind;
    return octet_attr_at(node->attrs, attr);
}

void octet_set_float(octet_node *node, const char *name, float value)
{
    *(float *)attribute(node, name, OCTET_ATTR_FLOAT) = value;
}

void octet_set_int(octet_node *node, const char *name, int64_t value)
{
    *(int64_t *)attribute(node, name, OCTET_ATTR_INT) = value;
}

void octet_set_text(octet_node *node, const char *name, const char *text)
{
    *(const char **)attribute(node, name, OCTET_ATTR_STRING) = text;
}
