/* SPDX-License-Identifier: Apache-2.0 */
/* Depth is counted in layers (nodes of kind MAC). A layer belongs to the segment of its depth, any other node to the
   segment after its deepest input. Values that are no float32 (shapes, indices) are never kept: whoever needs one
   computes it again. */
#include "quantize/segments.h"

#include "graph/copy.h"
#include "ops/attrs.h"
#include "ops/mode.h"
#include "passes/integerize.h"
#include "passes/pass.h"

#include <string.h>

typedef struct finding {
    const octet_graph *graph;
    int               *depth; /* by value->index */
    int               *stage; /* by node->index: its segment, from 1 on */
    bool              *needed; /* by node->index: a layer depends on it */
    int               *last;   /* by value->index */
    int                deepest;
} finding;

/* ---- depth ---- */

static int max_int(int a, int b) { return a > b ? a : b; }

static int deepest_input(const finding *f, const octet_node *node)
{
    int depth = 0;
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i]) depth = max_int(depth, f->depth[node->inputs[i]->index]);
    return depth;
}

static void set_depth(finding *f, const octet_node *node, int stage, int depth)
{
    f->stage[node->index] = stage;
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i]) f->depth[node->outputs[i]->index] = depth;
}

/* The layer summed in this Add; NULL: none. */
static const octet_node *summed_in(const octet_graph *graph, const octet_node *add)
{
    for (int i = 0; i < add->input_count; i++) {
        const octet_node *const producer = add->inputs[i] ? add->inputs[i]->producer : NULL;
        if (producer && octet_node_fused_add(graph, producer) == add) return producer;
    }
    return NULL;
}

/* A layer that is summed in an Add waits for the Add's other input: both are one layer. */
static void find_depths(finding *f)
{
    for (const octet_node *n = f->graph->first; n; n = n->next) {
        const octet_node *const summed = summed_in(f->graph, n);
        if (summed) set_depth(f, summed, 0, 0);
        const int  below = summed ? max_int(deepest_input(f, n), deepest_input(f, summed)) : deepest_input(f, n);
        const bool layer = summed || n->op->quant == OCTET_QUANT_MAC;
        set_depth(f, n, below + 1, layer ? below + 1 : below);
        if (summed) f->stage[summed->index] = below + 1;
        f->deepest = max_int(f->deepest, below + 1);
    }
}

/* ---- what is kept ---- */

static bool can_be_kept(const octet_value *value)
{
    return value->dtype == OCTET_F32 && value->has_shape && !value->constant;
}

/* Layers, and all before them. Last nodes first. */
static void find_needed(finding *f)
{
    for (const octet_node *n = f->graph->last; n; n = n->prev) {
        bool *const needed = &f->needed[n->index];
        if (n->op->quant == OCTET_QUANT_MAC || summed_in(f->graph, n)) *needed = true;
        for (int i = 0; *needed && i < n->input_count; i++)
            if (n->inputs[i] && n->inputs[i]->producer) f->needed[n->inputs[i]->producer->index] = true;
    }
}

/* The last segment that reads value, be it through values that cannot be kept. Readers come later in the order, so
   values are gone through from the last node's back. */
static void find_last(finding *f, const octet_value *value)
{
    int last = -1;
    for (size_t u = 0; u < value->use_count; u++) {
        const octet_node *const reader = value->uses[u].node;
        if (!f->needed[reader->index]) continue;
        last = max_int(last, f->stage[reader->index]);
        for (int o = 0; o < reader->output_count; o++) {
            const octet_value *const out = reader->outputs[o];
            if (out && !can_be_kept(out)) last = max_int(last, f->last[out->index]);
        }
    }
    f->last[value->index] = last;
}

static void find_lasts(finding *f)
{
    for (const octet_node *n = f->graph->last; n; n = n->prev)
        for (int o = 0; o < n->output_count; o++)
            if (n->outputs[o]) find_last(f, n->outputs[o]);
    for (size_t i = 0; i < f->graph->input_count; i++) find_last(f, f->graph->inputs[i]);
}

/* The segment from whose end on a value exists; 0: from the beginning. */
static int made_in(const finding *f, const octet_value *value)
{
    return value->producer ? f->stage[value->producer->index] : 0;
}

/* ---- layers ---- */

/* Entries of a bias that node has or can be given; 0: it cannot be corrected. */
static int64_t bias_channels(const octet_node *node)
{
    if (!octet_sums_integers(node) || !octet_node_takes_bias(node) || !node->inputs[1]->constant) return 0;
    const octet_gemm_attrs *const gemm = octet_node_is(node, "Gemm") ? node->attrs : NULL;
    if (gemm && gemm->beta != 1.0f) return 0;
    const int64_t            channels = octet_output_channels(node);
    const octet_value *const bias     = node->input_count > 2 ? node->inputs[2] : NULL;
    if (!bias) return channels;
    const int64_t count = bias->constant ? octet_tensor_count(bias->constant) : 0;
    return count == channels || count == 1 ? channels : 0;
}

static octet_site site_of(const octet_graph *graph, octet_node *node)
{
    const octet_node *const  add   = octet_node_fused_add(graph, node);
    const octet_value *const value = (add ? add : node)->outputs[0];
    return (octet_site){ .node = node, .value = value, .axis = octet_channel_axis(node, value->rank),
                         .channels = value->has_shape ? bias_channels(node) : 0 };
}

static octet_status find_sites(const finding *f, octet_segment *segment, int stage, octet_arena *arena,
                               octet_error *err)
{
    OCTET_TRY(octet_arena_get(&segment->sites, arena, (size_t)f->graph->node_count, sizeof *segment->sites, err));
    for (octet_node *n = f->graph->first; n; n = n->next) {
        if (f->stage[n->index] != stage || n->op->quant != OCTET_QUANT_MAC) continue;
        const octet_site site = site_of(f->graph, n);
        if (site.channels) segment->sites[segment->site_count++] = site;
    }
    return OCTET_OK;
}

static bool is_site_value(const octet_segment *segment, const octet_value *value)
{
    for (size_t i = 0; i < segment->site_count; i++)
        if (segment->sites[i].value == value) return true;
    return false;
}

/* ---- segments ---- */

static octet_status fill(const finding *f, octet_segment *segment, int stage, octet_arena *arena, octet_error *err)
{
    const size_t values = (size_t)f->graph->value_count;
    OCTET_TRY(find_sites(f, segment, stage, arena, err));
    OCTET_TRY(octet_arena_get(&segment->inputs, arena, values, sizeof *segment->inputs, err));
    OCTET_TRY(octet_arena_get(&segment->outputs, arena, values, sizeof *segment->outputs, err));
    for (const octet_value *v = f->graph->values; v; v = v->next) {
        if (!can_be_kept(v)) continue;
        const int made = made_in(f, v);
        if (made < stage && f->last[v->index] >= stage) segment->inputs[segment->input_count++] = v;
        if (made == stage && (f->last[v->index] > stage || is_site_value(segment, v)))
            segment->outputs[segment->output_count++] = v;
    }
    for (const octet_node *n = f->graph->first; n; n = n->next)
        segment->nodes += f->stage[n->index] == stage && f->needed[n->index];
    return OCTET_OK;
}

octet_status octet_segments_find(octet_segments *segments, const octet_graph *graph, octet_arena *arena,
                                 octet_error *err)
{
    finding      f     = { .graph = graph };
    const size_t nodes = (size_t)graph->node_count, values = (size_t)graph->value_count;
    *segments          = (octet_segments){ 0 };
    OCTET_TRY(octet_arena_get(&f.depth, arena, values, sizeof *f.depth, err));
    OCTET_TRY(octet_arena_get(&f.last, arena, values, sizeof *f.last, err));
    OCTET_TRY(octet_arena_get(&f.stage, arena, nodes, sizeof *f.stage, err));
    OCTET_TRY(octet_arena_get(&f.needed, arena, nodes, sizeof *f.needed, err));
    find_depths(&f);
    find_needed(&f);
    find_lasts(&f);
    OCTET_TRY(octet_arena_get(&segments->at, arena, (size_t)f.deepest, sizeof *segments->at, err));
    for (int stage = 1; stage <= f.deepest; stage++) {
        octet_segment *const segment = &segments->at[segments->count];
        OCTET_TRY(fill(&f, segment, stage, arena, err));
        segments->count += segment->output_count > 0; /* behind the last layer: nothing */
    }
    segments->last = f.last; /* in stages: segment i is stage i + 1 */
    for (size_t i = 0; i < values; i++) segments->last[i]--;
    return OCTET_OK;
}

/* ---- cutting ---- */

static octet_status make_border(octet_graph *graph, octet_value ***border, const octet_value *const *values,
                                size_t count, octet_error *err)
{
    OCTET_TRY(octet_arena_get(border, graph->arena, count, sizeof **border, err));
    for (size_t i = 0; i < count; i++) {
        (*border)[i] = octet_graph_find_value(graph, values[i]->name);
        if (!(*border)[i])
            return octet_fail(err, OCTET_ERR_ARGUMENT, "the networks differ: '%.80s' is in one only", values[i]->name);
    }
    return OCTET_OK;
}

/* Kept values are computed no more. */
static void end_producer(octet_value *value)
{
    octet_node *const n = value->producer;
    for (int o = 0; n && o < n->output_count; o++)
        if (n->outputs[o] == value) octet_node_set_output(n, o, NULL);
    value->is_input = true;
}

static octet_status cut_copy(octet_graph *g, const octet_segment *segment, octet_error *err)
{
    for (octet_value *v = g->values; v; v = v->next) v->is_input = v->is_output = false;
    OCTET_TRY(make_border(g, &g->inputs, segment->inputs, segment->input_count, err));
    OCTET_TRY(make_border(g, &g->outputs, segment->outputs, segment->output_count, err));
    g->input_count  = segment->input_count;
    g->output_count = segment->output_count;
    for (size_t i = 0; i < g->output_count; i++) g->outputs[i]->is_output = true;
    for (size_t i = 0; i < g->input_count; i++) end_producer(g->inputs[i]);
    OCTET_TRY(octet_pass_remove_dead(g, err));
    octet_graph_sweep(g);
    return octet_graph_check(g, err);
}

static void lay_bare(octet_graph *g, const octet_segment *segment)
{
    for (size_t i = 0; i < segment->site_count; i++) {
        octet_value *const v    = octet_graph_find_value(g, segment->sites[i].value->name);
        v->fake_quantize        = NULL;
        v->producer->activation = (octet_activation){ 0 };
    }
}

octet_status octet_segment_cut(octet_graph **cut, const octet_graph *graph, const octet_segment *segment, bool bare,
                               octet_error *err)
{
    OCTET_TRY(octet_graph_copy(cut, graph, err));
    const octet_status status = cut_copy(*cut, segment, err);
    if (status == OCTET_OK && bare) lay_bare(*cut, segment);
    if (status == OCTET_OK) return OCTET_OK;
    octet_graph_free(*cut);
    *cut = NULL;
    return status;
}
