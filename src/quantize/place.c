/* SPDX-License-Identifier: Apache-2.0 */
/* Which values become integers, and which of them share parameters: one text for calibration and for training. Decided
   backwards: a value is wanted as levels if a reader sums or rescales integers, or passes levels on to such a reader.
   Squashing functions at the end of a network are fed real numbers. */
#include "quantize/calibration.h"

#include "base/text.h"
#include "ops/attrs.h"
#include "ops/mode.h"
#include "passes/pass.h"

#include <string.h>

typedef struct placing {
    octet_graph        *graph;
    octet_calibration  *calibration;
    const octet_target *target;
    octet_arena        *arena; /* for the time of prepare */
    bool               *integer; /* by node->index: runs on levels */
    bool               *masked;  /* by node->index: octet_find_masked */
    bool               *wanted;  /* by value->index: a reader wants levels */
    int                *parent;  /* by value->index: sharing, union-find */
} placing;

/* ---- which nodes can be integers ---- */

const octet_layer_rule *octet_layer_rule_find(const octet_qconfig *qconfig, const octet_node *node)
{
    const octet_layer_rule *last = NULL;
    for (size_t i = 0; i < qconfig->layer_count; i++)
        if (octet_glob_match(qconfig->layers[i].match, node->name)) last = &qconfig->layers[i];
    return last;
}

static octet_status check_rules(const octet_qconfig *qconfig, const octet_graph *graph, octet_error *err)
{
    for (size_t i = 0; i < qconfig->layer_count; i++) {
        bool found = false;
        for (const octet_node *n = graph->first; n && !found; n = n->next)
            found = octet_glob_match(qconfig->layers[i].match, n->name);
        if (!found)
            return octet_fail(err, OCTET_ERR_ARGUMENT, "layer pattern '%.80s' matches no node",
                              qconfig->layers[i].match);
        octet_quantizer ignored = { 0 };
        if (*qconfig->layers[i].weights)
            OCTET_TRY(octet_weight_type(&ignored, qconfig, qconfig->layers[i].weights, err));
    }
    return OCTET_OK;
}

/* NULL: node can run on levels; otherwise why not. */
static const char *refusal(const octet_node *node, const octet_qconfig *qconfig)
{
    const octet_layer_rule *const rule = octet_layer_rule_find(qconfig, node);
    if (rule && rule->keep_float) return "kept float by a layer rule";
    if (octet_node_refusal(node)) return octet_node_refusal(node);
    if (!node->outputs[0] || node->outputs[0]->dtype != OCTET_F32) return "result is not float32";
    for (int i = 0; i < octet_node_data_inputs(node); i++)
        if (!node->inputs[i] || node->inputs[i]->dtype != OCTET_F32) return "input is not float32";
    if (node->op->quant == OCTET_QUANT_SAME && node->inputs[0]->constant) return "it picks from a constant table";
    if (node->op->quant != OCTET_QUANT_MAC) return NULL;
    if (node->input_count > 2 && node->inputs[2] && !octet_constant_floats(node->inputs[2])) return "bias is computed";
    if (!octet_node_is(node, "Gemm")) return NULL;
    const octet_gemm_attrs *const a = node->attrs;
    return a->alpha != 1.0f || a->beta != 1.0f || a->trans_a ? "Gemm with alpha, beta or transA" : NULL;
}

/* Shape arithmetic and the like, of which nobody expects integers. */
static bool is_plumbing(const octet_node *node) { return !node->outputs[0] || node->outputs[0]->dtype != OCTET_F32; }

/* ---- what is wanted ---- */

static bool outputs_wanted(const placing *p, const octet_node *node)
{
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] && p->wanted[node->outputs[i]->index]) return true;
    return false;
}

static bool runs_integer(const placing *p, const octet_node *node)
{
    if (octet_node_moves(node)) return outputs_wanted(p, node);
    switch (node->op->quant) {
    case OCTET_QUANT_MAC:
    case OCTET_QUANT_CONCAT: return true;
    case OCTET_QUANT_RESCALE: return !(node->op->flags & OCTET_OP_FUNCTION) || outputs_wanted(p, node);
    case OCTET_QUANT_SAME:
    case OCTET_QUANT_TABLE: return outputs_wanted(p, node);
    case OCTET_QUANT_NONE: break;
    }
    return false;
}

/* Why a node that could compute on levels does not, as one of its sides stays real; NULL: it does. */
static const char *side_off(const octet_node *node, const octet_qconfig *qconfig)
{
    if (qconfig->activation.off) return "activations stay real";
    return qconfig->weight.off && node->op->quant == OCTET_QUANT_MAC ? "weights stay real" : NULL;
}

/* A node whose sums stay real, or become levels when it runs. */
static octet_status decide_off(placing *p, octet_node *node, const char *off, octet_error *err)
{
    const octet_dynamic dynamic = p->calibration->qconfig.activation.dynamic;
    if (!dynamic || node->op->quant != OCTET_QUANT_MAC || octet_dynamic_refusal(node))
        return octet_decide(p->graph, node->name, "float", err, "%s", off);
    return octet_make_dynamic(p->graph, node, dynamic, err);
}

/* Inputs and outputs that are to cross the border as levels, whoever makes or reads them. */
static void want_border(placing *p)
{
    const octet_qconfig *const q = &p->calibration->qconfig;
    for (size_t i = 0; q->input && i < p->graph->input_count; i++) p->wanted[p->graph->inputs[i]->index] = true;
    for (size_t i = 0; q->output && i < p->graph->output_count; i++) p->wanted[p->graph->outputs[i]->index] = true;
}

static octet_status decide_nodes(placing *p, octet_error *err)
{
    for (size_t i = 0; p->target->quantize_outputs && i < p->graph->output_count; i++) {
        const octet_node *const producer = p->graph->outputs[i]->producer; /* a layer kept float ends in real numbers */
        p->wanted[p->graph->outputs[i]->index] = producer && !refusal(producer, &p->calibration->qconfig);
    }
    want_border(p);
    for (octet_node *n = p->graph->last; n; n = n->prev) {
        const octet_layer_rule *const rule = octet_layer_rule_find(&p->calibration->qconfig, n);
        if (octet_is_recurrent(n)) {
            OCTET_TRY(octet_place_recurrent(p->graph, n, rule && rule->keep_float, err));
            continue;
        }
        bool table;
        OCTET_TRY(octet_place_table(&table, p->graph, n, rule, err));
        if (table) continue;
        const char *why = refusal(n, &p->calibration->qconfig);
        if (!why && p->masked[n->index]) why = "a mask is as good as infinite";
        p->integer[n->index]  = !why && runs_integer(p, n);
        const char *const off = p->integer[n->index] ? side_off(n, &p->calibration->qconfig) : NULL;
        if (off) OCTET_TRY(decide_off(p, n, off, err));
        if (p->integer[n->index])
            for (int i = 0; i < octet_node_data_inputs(n); i++) p->wanted[n->inputs[i]->index] = true;
        else if (!is_plumbing(n))
            OCTET_TRY(octet_decide(p->graph, n->name, "float", err, "%s",
                                   why ? why : "result stays real up to the network's output"));
    }
    return OCTET_OK;
}

/* ---- graph outputs that are read as levels too ---- */

static bool may_stay_real(const octet_node *producer)
{
    return producer && (producer->op->quant == OCTET_QUANT_MAC || producer->op->quant == OCTET_QUANT_CONCAT);
}

/* The output keeps its real value; its readers get a copy that may become levels. */
static octet_status split_output(octet_graph *graph, octet_value *out, octet_error *err)
{
    octet_value *copy;
    octet_node  *identity;
    OCTET_TRY(octet_value_new_near(&copy, graph, out->name, err));
    copy->dtype = out->dtype, copy->has_shape = out->has_shape, copy->rank = out->rank;
    memcpy(copy->dims, out->dims, sizeof copy->dims);
    while (out->use_count > 0)
        OCTET_TRY(octet_node_set_input(graph, out->uses[0].node, out->uses[0].slot, copy, err));
    const octet_new_node as = { .op = octet_op_find("Identity", NULL), .inputs = 1, .outputs = 1,
                                .before = out->producer->next };
    OCTET_TRY(octet_node_new(&identity, graph, &as, err));
    OCTET_TRY(octet_node_set_input(graph, identity, 0, out, err));
    octet_node_set_output(identity, 0, copy);
    return OCTET_OK;
}

static bool read_by_sums(const octet_value *value, const octet_qconfig *qconfig)
{
    for (size_t i = 0; i < value->use_count; i++)
        if (!refusal(value->uses[i].node, qconfig) && !octet_node_moves(value->uses[i].node)) return true;
    return false;
}

static octet_status split_outputs(octet_graph *graph, const octet_qconfig *qconfig, octet_error *err)
{
    for (size_t i = 0; i < graph->output_count; i++) {
        octet_value *const out = graph->outputs[i];
        if (may_stay_real(out->producer) && read_by_sums(out, qconfig)) OCTET_TRY(split_output(graph, out, err));
    }
    octet_graph_sweep(graph);
    return OCTET_OK;
}

/* ---- sharing ---- */

static int find(placing *p, int i)
{
    while (p->parent[i] != i) i = p->parent[i] = p->parent[p->parent[i]];
    return i;
}

static void join(placing *p, const octet_value *a, const octet_value *b)
{
    const int x = find(p, a->index), y = find(p, b->index);
    p->parent[x > y ? x : y] = x > y ? y : x;
}

/* Whether node passes its first input's parameters on to its outputs. */
static bool passes_on(const placing *p, const octet_node *node)
{
    return octet_node_moves(node) || (p->target->pools_share && node->op->flags & OCTET_OP_AVERAGES);
}

static void share_through(placing *p, const octet_node *node)
{
    for (int i = 0; passes_on(p, node) && i < node->output_count; i++)
        if (node->outputs[i] && node->outputs[i]->dtype == OCTET_F32) join(p, node->inputs[0], node->outputs[i]);
}

/* Nodes of one weight, as PyTorch's module that is called twice. */
static void share_module(placing *p, const octet_node *node)
{
    const octet_value *const w = node->inputs[1];
    for (size_t u = 0; u < w->use_count; u++) {
        const octet_node *const twin = w->uses[u].node;
        if (w->uses[u].slot == 1 && twin->outputs[0]) join(p, node->outputs[0], twin->outputs[0]);
    }
}

/* Who reads a group of values, by its root, besides the nodes that pass its levels on. */
typedef struct group_readers {
    bool others;  /* somebody who would have to live with a wider range */
    int  concats;
} group_readers;

static void count_readers(placing *p, group_readers *readers)
{
    for (const octet_value *v = p->graph->values; v; v = v->next) {
        group_readers *const r = &readers[find(p, v->index)];
        if (v->is_output) r->others = true;
        for (size_t u = 0; u < v->use_count; u++) {
            const octet_node *const n = v->uses[u].node;
            if (!p->integer[n->index]) r->others = true;
            else if (n->op->quant == OCTET_QUANT_CONCAT) r->concats++;
            else if (!passes_on(p, n)) r->others = true;
        }
    }
}

/* Pieces of one value, which nobody else reads. */
static bool are_pieces(placing *p, const octet_node *node)
{
    for (int i = 0; i < node->input_count; i++)
        if (find(p, node->inputs[i]->index) != find(p, node->inputs[0]->index) ||
            !octet_value_only_reader(node->inputs[i]))
            return false;
    return true;
}

/* Inputs that nobody else reads, themselves or passed on, take the parameters of the Concat's result: it becomes a
   copy. (Joining what others read as well tied whole stages of a shuffle network to their widest range.) */
static void share_concat(placing *p, group_readers *readers, const octet_node *node)
{
    const bool all = p->target->concat_joins && are_pieces(p, node);
    if (!p->wanted[node->outputs[0]->index]) return;
    for (int i = 0; i < node->input_count; i++) {
        const octet_value *const in   = node->inputs[i];
        const int                from = find(p, in->index), to = find(p, node->outputs[0]->index);
        const bool               own = !readers[from].others && readers[from].concats == 1;
        if (from == to || in->constant || !(p->target->concat_joins ? all : own)) continue;
        const group_readers kept = readers[to];
        join(p, in, node->outputs[0]);
        readers[find(p, in->index)] = kept;
    }
}

static octet_status share(placing *p, octet_error *err)
{
    group_readers *readers;
    OCTET_TRY(octet_arena_get(&readers, p->arena, (size_t)p->graph->value_count, sizeof *readers, err));
    for (int i = 0; i < p->graph->value_count; i++) p->parent[i] = i;
    for (const octet_node *n = p->graph->first; n; n = n->next) {
        if (!p->integer[n->index]) continue;
        share_through(p, n);
        if (p->target->share_by_weight && n->op->quant == OCTET_QUANT_MAC) share_module(p, n);
    }
    count_readers(p, readers);
    for (const octet_node *n = p->graph->first; n; n = n->next)
        if (p->integer[n->index] && n->op->quant == OCTET_QUANT_CONCAT) share_concat(p, readers, n);
    return OCTET_OK;
}

/* ---- FakeQuantize ---- */

static bool becomes_levels(const placing *p, const octet_value *v)
{
    const octet_node *const producer = v->producer;
    if (v->constant || v->dtype != OCTET_F32) return false;
    const bool              integer = producer && p->integer[producer->index];
    const bool              sums    = integer && !side_off(producer, &p->calibration->qconfig);
    const bool              fusing  = sums && !p->target->quantize_every_value;
    const octet_node *const add     = fusing ? octet_node_candidate_add(producer) : NULL;
    if (add && p->integer[add->index]) return false;
    const bool real   = may_stay_real(producer) && !p->target->quantize_sums;
    const bool levels = integer && (!real || (p->target->convs_give_levels && octet_node_is(producer, "Conv")));
    return p->wanted[v->index] || levels;
}

/* A member of a group whose distribution is not another member's. */
static bool is_source(placing *p, const octet_value *v)
{
    const octet_node *const n = v->producer;
    if (!n || !p->integer[n->index]) return true;
    if (passes_on(p, n)) return false;
    if (n->op->quant != OCTET_QUANT_CONCAT) return true;
    for (int i = 0; i < n->input_count; i++)
        if (find(p, n->inputs[i]->index) != find(p, v->index)) return true;
    return false;
}

static octet_status new_group(placing *p, octet_group **group, octet_error *err)
{
    octet_calibration *const c = p->calibration;
    *group                     = &c->groups[c->group_count++];
    return octet_arena_get(&(*group)->fake_quantize, p->graph->arena, 1, sizeof *(*group)->fake_quantize, err);
}

/* A Concat's joint result stands best for all that flow into it; else the group's first source does. */
static void represent(octet_group *group, octet_value *value, bool source)
{
    const bool concat = value->producer && value->producer->op->quant == OCTET_QUANT_CONCAT;
    if (concat || (source && !group->representative)) group->representative = value;
}

static octet_status place_values(placing *p, octet_error *err)
{
    octet_graph *const       graph = p->graph;
    octet_calibration *const c     = p->calibration;
    octet_group            **groups;
    const size_t             count = (size_t)graph->value_count;
    OCTET_TRY(octet_arena_get(&groups, p->arena, count, sizeof *groups, err));
    OCTET_TRY(octet_arena_get(&c->groups, graph->arena, count, sizeof *c->groups, err));
    OCTET_TRY(octet_arena_get(&c->watches, graph->arena, count, sizeof *c->watches, err));
    for (octet_value *v = graph->values; v && !c->qconfig.activation.off; v = v->next) {
        if (!becomes_levels(p, v)) continue;
        octet_group **const group = &groups[find(p, v->index)];
        if (!*group) OCTET_TRY(new_group(p, group, err));
        v->fake_quantize  = (*group)->fake_quantize;
        const bool source = is_source(p, v);
        represent(*group, v, source);
        const octet_layer_rule *rule = NULL;
        if (source && v->producer) rule = octet_layer_rule_find(&c->qconfig, v->producer);
        if (rule && rule->ranges) (*group)->rule = rule;
        if (source) c->watches[v->index].group = *group;
    }
    return OCTET_OK;
}

/* ---- constants ---- */

static octet_status list_constants(placing *p, octet_error *err)
{
    octet_calibration *const c     = p->calibration;
    const size_t             count = (size_t)p->graph->node_count;
    OCTET_TRY(octet_arena_get(&c->weighted, p->graph->arena, count, sizeof *c->weighted, err));
    OCTET_TRY(octet_arena_get(&c->operands, p->graph->arena, (size_t)p->graph->value_count, sizeof *c->operands, err));
    bool *listed;
    OCTET_TRY(octet_arena_get(&listed, p->arena, (size_t)p->graph->value_count, sizeof *listed, err));
    for (octet_node *n = p->graph->first; n; n = n->next) {
        if (octet_weights_alone(c, n)) c->weighted[c->weighted_count++] = n;
        if (!p->integer[n->index] || (c->weighted_count && c->weighted[c->weighted_count - 1] == n)) continue;
        const bool weights = n->op->quant == OCTET_QUANT_MAC && octet_constant_floats(n->inputs[1]);
        const bool whole = c->qconfig.weight.formula != OCTET_FORMULA_TORCH_FLOAT; /* else for embeddings only */
        if (weights && whole && !c->qconfig.weight.off) c->weighted[c->weighted_count++] = n;
        for (int i = 0; i < octet_node_data_inputs(n) && !c->qconfig.activation.off; i++) {
            octet_value *const in = n->inputs[i];
            if (!octet_constant_floats(in) || (weights && i == 1) || listed[in->index]) continue;
            listed[in->index]                 = true;
            c->operands[c->operand_count++] = in;
        }
    }
    return OCTET_OK;
}

/* ---- the whole ---- */

/* Levels need a whole zero point on both sides, or on one. */
static octet_status check_static(const octet_qconfig *qconfig, octet_error *err)
{
    const octet_quantizer *const sides[] = { &qconfig->activation, &qconfig->weight };
    const char *why = NULL;
    for (int i = 0; i < 2 && !why; i++) {
        if (sides[i]->off || (i && sides[i]->dtype == OCTET_F16)) continue;
        const bool real = qconfig->activation.off && !qconfig->activation.dynamic;
        if (sides[i]->dtype == OCTET_F16) why = "float16 is not quantized to levels";
        else if (!i && sides[i]->formula == OCTET_FORMULA_TORCH_FLOAT) why = "its zero points are real numbers";
        else if (i && !real && sides[i]->formula == OCTET_FORMULA_TORCH_FLOAT) why = "its zero points are real numbers";
        else if (i && !real && sides[i]->group) why = "groups of weights need real activations";
        else if (sides[i]->observing == OCTET_OBSERVE_INPUT) why = "it takes its input's parameters";
        else if (sides[i]->observing == OCTET_OBSERVE_NOTHING) why = "it observes nothing";
    }
    if (!why) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_UNSUPPORTED, "qconfig %.40s is not one of static quantization: %s",
                      qconfig->name ? qconfig->name : "", why);
}

octet_status octet_calibration_new(octet_calibration **calibration, octet_graph *graph, const octet_qconfig *qconfig,
                                   octet_error *err)
{
    const octet_qconfig *const from = qconfig ? qconfig : octet_qconfig_find("octet");
    octet_calibration         *c;
    OCTET_TRY(octet_arena_get(&c, graph->arena, 1, sizeof *c, err));
    c->qconfig                     = *from;
    octet_layer_rule *const layers = octet_arena_copy_bytes(graph->arena, from->layers,
                                                            from->layer_count * sizeof *layers);
    if (!layers) return octet_fail_memory(err);
    for (size_t i = 0; i < from->layer_count; i++)
        if (!(layers[i].match = octet_arena_copy(graph->arena, layers[i].match))) return octet_fail_memory(err);
    c->qconfig.layers = layers;
    OCTET_TRY(octet_tensor_rules_copy(&c->qconfig, graph->arena, err));
    c->target         = octet_target_find(from->target);
    if (!c->target) return octet_fail(err, OCTET_ERR_ARGUMENT, "target '%.40s' is unknown", from->target);
    OCTET_TRY(octet_target_apply(&c->qconfig, c->target, err));
    if (c->target->truncating_histogram && from->activation.method == OCTET_METHOD_HISTOGRAM)
        c->qconfig.activation.method = OCTET_METHOD_HISTOGRAM_1_13;
    const bool halves = c->qconfig.weight.dtype == OCTET_F16 && c->qconfig.activation.dynamic;
    if (c->qconfig.activation.dynamic) c->qconfig.activation.off = true; /* nothing of them is calibrated */
    if (halves) c->qconfig.activation.dynamic = OCTET_DYNAMIC_OFF;
    OCTET_TRY(check_static(&c->qconfig, err));
    if ((from->input || from->output) && c->qconfig.activation.off)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "inputs and outputs cannot be levels where activations stay real");
    if (from->weight.off && from->activation.off)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "neither weights nor activations are to be quantized");
    graph->target = c->target->name;
    *calibration  = graph->calibration = c;
    return OCTET_OK;
}

static octet_status split_activations(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first; n; n = n->next)
        if (n->activation.on && n->op->quant != OCTET_QUANT_MAC) OCTET_TRY(octet_split_activation(graph, n, err));
    return OCTET_OK;
}

static octet_status place_all(placing *p, octet_error *err)
{
    octet_graph *const graph = p->graph;
    if (p->target->observe_before_activation) OCTET_TRY(split_activations(graph, err));
    if (!p->target->quantize_outputs && !p->calibration->qconfig.output)
        OCTET_TRY(split_outputs(graph, &p->calibration->qconfig, err));
    OCTET_TRY(check_rules(&p->calibration->qconfig, graph, err));
    OCTET_TRY(octet_arena_get(&p->integer, p->arena, (size_t)graph->node_count, sizeof *p->integer, err));
    OCTET_TRY(octet_find_masked(&p->masked, graph, p->arena, err));
    OCTET_TRY(octet_arena_get(&p->wanted, p->arena, (size_t)graph->value_count, sizeof *p->wanted, err));
    OCTET_TRY(octet_arena_get(&p->parent, p->arena, (size_t)graph->value_count, sizeof *p->parent, err));
    OCTET_TRY(decide_nodes(p, err));
    OCTET_TRY(share(p, err));
    OCTET_TRY(place_values(p, err));
    OCTET_TRY(list_constants(p, err));
    return octet_tensor_rules_place(graph, err);
}

octet_status octet_place_fake_quantize(octet_graph *graph, const octet_qconfig *qconfig, octet_error *err)
{
    placing p = { .graph = graph };
    OCTET_TRY(octet_calibration_new(&p.calibration, graph, qconfig, err));
    p.target = p.calibration->target;
    p.arena  = octet_arena_new();
    if (!p.arena) return octet_fail_memory(err);
    const octet_status status = place_all(&p, err);
    octet_arena_free(p.arena);
    return status;
}
