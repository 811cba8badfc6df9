/* SPDX-License-Identifier: Apache-2.0 */
/* x times a function of x becomes one function of x:
     Gelu       0.5 x (1 + Erf(x / sqrt 2)), or 0.5 x (1 + Tanh(sqrt(2/pi) (x + 0.044715 x^3)))
     Swish      x Sigmoid(x), x Sigmoid(alpha x)
     HardSwish  x HardSigmoid(x) of alpha 1/6 and beta 1/2, or x Clip(x + 3, 0, 6) / 6
     Mish       x Tanh(Softplus(x))
   Precondition: constants folded, activations not absorbed yet; nobody else reads what lies between, and nothing there
   is quantized. Each row finds x behind the gate's node, and may fill in attributes of what takes its place. */
#include "passes/pattern.h"

#include "graph/attrs.h"

#include <math.h>

typedef struct gate {
    octet_value *x, *gate; /* what is multiplied with it */
    double       number;   /* and with what, once */
    float        alpha;    /* Swish */
    const char  *approximate; /* Gelu */
} gate;

typedef struct gate_row {
    const char *root; /* the operator at which the pattern is found */
    const char *op;   /* what takes its place */
    bool (*match)(gate *g, const octet_node *root);
} gate_row;

/* g->gate = 1 + root's result. */
static bool one_more(gate *g, const octet_node *root)
{
    const octet_node *const add = octet_read_once(root->outputs[0], "Add");
    if (!add || !octet_is_number(octet_beside(add, root->outputs[0]), 1)) return false;
    g->gate   = add->outputs[0];
    g->number = 0.5;
    return true;
}

static bool match_erf(gate *g, const octet_node *root)
{
    g->x = octet_scaled(root->inputs[0], sqrt(0.5));
    return g->x && one_more(g, root);
}

/* x where value is x^3: Pow(x, 3), or x times its square. */
static octet_value *cubed(const octet_value *value)
{
    const octet_node *const pow = octet_made_by(value, "Pow"), *const mul = octet_made_by(value, "Mul");
    if (pow && octet_is_number(pow->inputs[1], 3)) return pow->inputs[0];
    for (int i = 0; mul && i < 2; i++)
        if (octet_squared(mul->inputs[i]) && octet_squared(mul->inputs[i]) == mul->inputs[1 - i])
            return mul->inputs[1 - i];
    return NULL;
}

static bool match_tanh(gate *g, const octet_node *root)
{
    const octet_value *const inner = octet_scaled(root->inputs[0], sqrt(2 / 3.14159265358979323846));
    const octet_node *const  add = inner ? octet_made_by(inner, "Add") : NULL;
    for (int i = 0; add && i < 2; i++) {
        const octet_value *const cube = octet_scaled(add->inputs[i], 0.044715);
        if (!cube || cubed(cube) != add->inputs[1 - i]) continue;
        g->x           = add->inputs[1 - i];
        g->approximate = "tanh";
        return one_more(g, root);
    }
    return false;
}

static bool match_sigmoid(gate *g, const octet_node *root)
{
    octet_value *const      in = root->inputs[0];
    const octet_node *const mul = octet_made_by(in, "Mul");
    double                  alpha;
    g->gate = root->outputs[0];
    g->x    = in;
    if (octet_gated(g->gate, in, 1)) return true;
    for (int i = 0; mul && i < 2; i++) {
        if (!octet_one_number(&alpha, mul->inputs[i])) continue;
        g->x     = mul->inputs[1 - i];
        g->alpha = (float)alpha;
        return true;
    }
    return false;
}

static bool match_hard_sigmoid(gate *g, const octet_node *root)
{
    const float alpha = *(const float *)octet_attr_get(root->attrs, octet_attr_find(root->op, "alpha"));
    const float beta = *(const float *)octet_attr_get(root->attrs, octet_attr_find(root->op, "beta"));
    g->x    = root->inputs[0];
    g->gate = root->outputs[0];
    return fabsf(alpha - 1.0f / 6.0f) < 1e-7f && beta == 0.5f;
}

static bool match_clip(gate *g, const octet_node *root)
{
    const octet_node *const add = octet_made_by(root->inputs[0], "Add");
    octet_activation        bounds;
    if (!add || !octet_activation_bounds(&bounds, root) || bounds.lo != 0.0f || bounds.hi != 6.0f) return false;
    g->gate   = root->outputs[0];
    g->number = 1.0 / 6.0;
    for (int i = 0; i < 2; i++)
        if (octet_is_number(add->inputs[i], 3)) g->x = add->inputs[1 - i];
    return g->x != NULL;
}

static bool match_softplus(gate *g, const octet_node *root)
{
    const octet_node *const softplus = octet_made_by(root->inputs[0], "Softplus");
    g->gate = root->outputs[0];
    g->x    = softplus ? softplus->inputs[0] : NULL;
    return softplus;
}

static const gate_row rows[] = {
    { "Erf", "Gelu", match_erf },           { "Tanh", "Gelu", match_tanh },
    { "Sigmoid", "Swish", match_sigmoid },  { "HardSigmoid", "HardSwish", match_hard_sigmoid },
    { "Clip", "HardSwish", match_clip },    { "Tanh", "Mish", match_softplus },
};

static octet_status rewrite(octet_graph *graph, const gate_row *row, const gate *g, octet_node *last, octet_error *err)
{
    octet_value *const inputs[] = { g->x, NULL };
    octet_node        *fused;
    OCTET_TRY(octet_replace_pattern(&fused, graph, last, octet_op_find(row->op, NULL), inputs, err));
    if (g->approximate) octet_set_text(fused, "approximate", g->approximate);
    if (g->alpha != 1.0f) octet_set_float(fused, "alpha", g->alpha);
    return OCTET_OK;
}

octet_status octet_pass_gates(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first; n; n = n->next) /* what takes a pattern's place lies behind its root */
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            gate g = { .number = 1, .alpha = 1 };
            if (!octet_node_is(n, rows[i].root) || n->outputs[0]->dtype != OCTET_F32 || !rows[i].match(&g, n)) continue;
            octet_node *const last = octet_gated(g.gate, g.x, g.number);
            if (!last || last->activation.on) continue;
            OCTET_TRY(rewrite(graph, &rows[i], &g, last, err));
            break;
        }
    return OCTET_OK;
}
