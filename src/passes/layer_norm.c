/* SPDX-License-Identifier: Apache-2.0 */
/* What exporters write below opset 17 becomes LayerNormalization: d = x - ReduceMean(x), v = ReduceMean(d squared),
   d / Sqrt(v + epsilon), times a constant gain, plus a constant shift; and without the first mean and the shift
   RMSNormalization. Precondition: constants folded, shapes known; both means go over the same last axes and keep them;
   gain and shift have the shape of those axes; nothing between is quantized. */
#include "passes/pattern.h"

#include "ops/attrs.h"
#include "ops/check.h"

typedef struct found {
    octet_value *x, *gain, *shift; /* shift NULL: none */
    octet_node  *last;
    double       epsilon;
    int          axis;
    const char  *op;
} found;

/* The first of the axes that a ReduceMean goes over, where these are all from there on; -1: not so. */
static int mean_axis(const octet_node *mean)
{
    const octet_reduce_attrs *const attrs = mean->attrs;
    const octet_tensor *const       axes = mean->input_count > 1 && mean->inputs[1] ? mean->inputs[1]->constant : NULL;
    const int                       rank = mean->inputs[0]->rank;
    bool                            reduced[OCTET_MAX_RANK] = { false };
    if (!axes || axes->dtype != OCTET_I64 || !attrs->keepdims || !mean->inputs[0]->has_shape) return -1;
    const int64_t count = octet_tensor_count(axes);
    for (int64_t i = 0; i < count; i++) {
        const int64_t axis = octet_int_at(axes, i) < 0 ? octet_int_at(axes, i) + rank : octet_int_at(axes, i);
        if (axis < 0 || axis >= rank) return -1;
        reduced[axis] = true;
    }
    int first = rank;
    while (first > 0 && reduced[first - 1]) first--;
    return count > 0 && first == rank - (int)count ? first : -1;
}

/* x where d is x less its mean over the axes from axis on; else NULL. */
static octet_value *centred(const octet_value *d, int axis)
{
    const octet_node *const sub = octet_made_by(d, "Sub");
    const octet_node *const mean = sub ? octet_made_by(sub->inputs[1], "ReduceMean") : NULL;
    return mean && mean->inputs[0] == sub->inputs[0] && mean_axis(mean) == axis ? mean->inputs[0] : NULL;
}

/* d, or what is computed as d is: some exporters write the difference twice. */
static bool same_difference(const octet_value *a, const octet_value *d, int axis)
{
    return a == d || (centred(a, axis) && centred(a, axis) == centred(d, axis));
}

/* The node that divides d by root, in one step or by way of 1 / root. */
static octet_node *division(const octet_value *root, const octet_value *d, int axis)
{
    octet_node *const div = octet_read_once(root, "Div"), *const inverse = octet_read_once(root, "Reciprocal");
    if (div && div->inputs[1] == root && same_difference(div->inputs[0], d, axis)) return div;
    const bool               by_one = div && div->inputs[1] == root && octet_is_number(div->inputs[0], 1);
    const octet_value *const r = inverse ? inverse->outputs[0] : by_one ? div->outputs[0] : NULL;
    octet_node *const        mul = r ? octet_read_once(r, "Mul") : NULL;
    return mul && same_difference(octet_beside(mul, r), d, axis) ? mul : NULL;
}

/* The constant beside value in its only reader, an op, where it has the shape of x's dimensions from axis on. */
static octet_node *with_row(octet_value **row, const octet_value *value, const char *op, const octet_value *x, int axis)
{
    octet_node *const  node = octet_read_once(value, op);
    octet_value *const other = node ? octet_beside(node, value) : NULL;
    if (!octet_constant_floats(other) || other->fake_quantize) return NULL;
    const octet_tensor *const t = other->constant;
    if (t->rank != x->rank - axis) return NULL;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != x->dims[axis + i]) return NULL;
    *row = other;
    return node;
}

static bool match(found *f, const octet_node *root)
{
    const octet_node *const add = octet_made_by(root->inputs[0], "Add");
    for (int i = 0; add && i < 2; i++) {
        const octet_node *const mean = octet_made_by(add->inputs[1 - i], "ReduceMean");
        octet_value *const      d = mean ? octet_squared(mean->inputs[0]) : NULL;
        if (!d || !octet_one_number(&f->epsilon, add->inputs[i]) || f->epsilon < 0) continue;
        f->axis = mean_axis(mean);
        if (f->axis < 0) return false;
        octet_value *const      from = centred(d, f->axis);
        const octet_node *const normal = division(root->outputs[0], d, f->axis);
        f->x  = from ? from : d;
        f->op = from ? "LayerNormalization" : "RMSNormalization";
        if (!normal || f->x->dtype != OCTET_F32) return false;
        f->last = with_row(&f->gain, normal->outputs[0], "Mul", f->x, f->axis);
        octet_node *const shifted =
            from && f->last ? with_row(&f->shift, f->last->outputs[0], "Add", f->x, f->axis) : NULL;
        if (shifted) f->last = shifted;
        return f->last != NULL;
    }
    return false;
}

octet_status octet_pass_layer_norm(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first, *next; n; n = next) {
        found f = { 0 };
        next = n->next;
        if (!octet_node_is(n, "Sqrt") || !match(&f, n)) continue;
        octet_node        *fused;
        octet_value *const inputs[] = { f.x, f.gain, f.shift };
        OCTET_TRY(octet_replace_pattern(&fused, graph, f.last, octet_op_find(f.op, NULL), inputs, err));
        octet_set_float(fused, "epsilon", (float)f.epsilon);
        octet_set_int(fused, "axis", f.axis - f.x->rank);
    }
    return OCTET_OK;
}
