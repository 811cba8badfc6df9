/* SPDX-License-Identifier: Apache-2.0 */
/* Values by their dense index and nodes by their names find their twins. */
#include "graph/copy.h"

#include "graph/attrs.h"
#include "graph/names.h"
#include "graph/op.h"

#include <stdlib.h>
#include <string.h>

typedef struct copying {
    const octet_graph *from;
    octet_graph       *to;
    octet_arena       *arena;  /* of the copy */
    octet_value      **twins;  /* by value->index of from */
    octet_error       *err;
} copying;

/* ---- parts ---- */

static octet_status copy_text(const char **text, const copying *c)
{
    if (*text && !(*text = octet_arena_copy(c->arena, *text))) return octet_fail_memory(c->err);
    return OCTET_OK;
}

/* *array (NULL stays NULL) becomes a copy of itself. array is the address of a pointer of any type. */
static octet_status copy_array(void *array, size_t count, size_t size, const copying *c)
{
    void *from, *to = NULL;
    memcpy(&from, array, sizeof from);
    if (from && !(to = octet_arena_copy_bytes(c->arena, from, count * size))) return octet_fail_memory(c->err);
    memcpy(array, &to, sizeof to);
    return OCTET_OK;
}

static octet_status copy_qparams(octet_qparams *q, const copying *c)
{
    OCTET_TRY(copy_array(&q->scale, (size_t)q->count, sizeof *q->scale, c));
    OCTET_TRY(copy_array(&q->real_zero_point, (size_t)q->count, sizeof *q->real_zero_point, c));
    return copy_array(&q->zero_point, (size_t)q->count, sizeof *q->zero_point, c);
}

/* A tensor whose data stays where it is. */
static octet_status copy_tensor(const octet_tensor **tensor, const copying *c)
{
    octet_tensor  *copy = NULL;
    octet_qparams *q;
    if (!*tensor) return OCTET_OK;
    OCTET_TRY(octet_arena_get(&copy, c->arena, 1, sizeof *copy, c->err));
    *copy   = **tensor;
    *tensor = copy;
    if (!copy->qparams) return OCTET_OK;
    OCTET_TRY(octet_arena_get(&q, c->arena, 1, sizeof *q, c->err));
    *q            = *copy->qparams;
    copy->qparams = q;
    return copy_qparams(q, c);
}

static octet_status own_data(octet_tensor *tensor, octet_arena *arena, octet_error *err)
{
    tensor->data = octet_arena_copy_bytes(arena, tensor->data, (size_t)octet_tensor_bytes(tensor));
    return tensor->data ? OCTET_OK : octet_fail_memory(err);
}

/* ---- values ---- */

static octet_status copy_value(const octet_value *from, copying *c)
{
    octet_value *v;
    OCTET_TRY(octet_arena_get(&v, c->arena, 1, sizeof *v, c->err));
    *v              = *from;
    v->producer     = NULL;
    v->uses         = NULL;
    v->use_count    = v->use_capacity = 0;
    v->borrowed     = from->constant != NULL;
    v->next         = NULL;
    v->fake_quantize = NULL;
    OCTET_TRY(copy_text(&v->name, c));
    OCTET_TRY(copy_tensor(&v->constant, c));
    c->twins[from->index] = v;
    if (c->to->values_last) c->to->values_last->next = v;
    else c->to->values = v;
    c->to->values_last = v;
    return octet_names_add(c->to->value_names, v->name, v) ? OCTET_OK : octet_fail_memory(c->err);
}

static octet_status copy_values(copying *c)
{
    for (const octet_value *v = c->from->values; v; v = v->next) OCTET_TRY(copy_value(v, c));
    return OCTET_OK;
}

/* ---- FakeQuantize ---- */

static octet_status copy_fake(octet_fake_quantize **to, const octet_fake_quantize *from, const copying *c)
{
    OCTET_TRY(octet_arena_get(to, c->arena, 1, sizeof **to, c->err));
    **to            = *from;
    (*to)->observer = NULL;
    OCTET_TRY(copy_text(&(*to)->method, c));
    return copy_qparams(&(*to)->qparams, c);
}

static int by_fake(const void *a, const void *b)
{
    const octet_value *const *const x = a, *const *const y = b;
    const uintptr_t at = (uintptr_t)(*x)->fake_quantize, other = (uintptr_t)(*y)->fake_quantize;
    return (at > other) - (at < other);
}

/* Values of one FakeQuantize are neighbours once sorted by it: their twins share one, too. */
static octet_status copy_fakes(const copying *c, octet_arena *arena)
{
    const octet_value  **sorted;
    octet_fake_quantize *last  = NULL;
    size_t               count = 0;
    OCTET_TRY(octet_arena_get(&sorted, arena, (size_t)c->from->value_count, sizeof *sorted, c->err));
    for (const octet_value *v = c->from->values; v; v = v->next)
        if (v->fake_quantize) sorted[count++] = v;
    qsort(sorted, count, sizeof *sorted, by_fake);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || sorted[i]->fake_quantize != sorted[i - 1]->fake_quantize)
            OCTET_TRY(copy_fake(&last, sorted[i]->fake_quantize, c));
        c->twins[sorted[i]->index]->fake_quantize = last;
    }
    return OCTET_OK;
}

/* ---- nodes ---- */

static octet_status copy_strings(octet_strings *strings, const copying *c)
{
    OCTET_TRY(copy_array(&strings->at, strings->count, sizeof *strings->at, c));
    for (size_t i = 0; i < strings->count; i++) OCTET_TRY(copy_text((const char **)(uintptr_t)&strings->at[i], c));
    return OCTET_OK;
}

static octet_status copy_attributes(octet_node *node, const copying *c)
{
    OCTET_TRY(copy_array(&node->attrs, 1, node->op->attrs_size + 1, c));
    for (const octet_attr *a = node->op->attrs; a && a->kind != OCTET_ATTR_END; a++) {
        void *const         at     = octet_attr_at(node->attrs, a);
        octet_floats *const floats = at;
        const octet_tensor *tensor;
        if (a->kind == OCTET_ATTR_STRING) OCTET_TRY(copy_text(at, c));
        if (a->kind == OCTET_ATTR_STRINGS) OCTET_TRY(copy_strings(at, c));
        if (a->kind == OCTET_ATTR_FLOATS) OCTET_TRY(copy_array(&floats->at, floats->count, sizeof(float), c));
        if (a->kind != OCTET_ATTR_TENSOR) continue;
        memcpy(&tensor, at, sizeof tensor);
        if (!tensor) continue;
        OCTET_TRY(copy_tensor(&tensor, c));
        OCTET_TRY(own_data((octet_tensor *)(uintptr_t)tensor, c->arena, c->err));
        memcpy(at, &tensor, sizeof tensor);
    }
    return OCTET_OK;
}

static octet_status copy_batch_norm(const octet_batch_norm **norm, const copying *c)
{
    octet_batch_norm *bn;
    if (!*norm) return OCTET_OK;
    OCTET_TRY(octet_arena_get(&bn, c->arena, 1, sizeof *bn, c->err));
    *bn   = **norm;
    *norm = bn;
    const float **const parts[] = { &bn->gamma, &bn->beta, &bn->mean, &bn->variance };
    for (int i = 0; i < 4; i++) OCTET_TRY(copy_array(parts[i], (size_t)bn->channels, sizeof(float), c));
    return copy_text(&bn->name, c);
}

static octet_status copy_texts(octet_node *node, const copying *c)
{
    const char **const texts[] = { &node->name, &node->activation.name, &node->activation.op,
                                   &node->activation.inner, &node->merged };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) OCTET_TRY(copy_text(texts[i], c));
    return OCTET_OK;
}

static octet_value *twin(const copying *c, const octet_value *value) { return value ? c->twins[value->index] : NULL; }

static octet_status copy_links(octet_node *node, const copying *c)
{
    OCTET_TRY(copy_array(&node->inputs, (size_t)node->input_count, sizeof *node->inputs, c));
    OCTET_TRY(copy_array(&node->outputs, (size_t)node->output_count, sizeof *node->outputs, c));
    for (int i = 0; i < node->input_count; i++) node->inputs[i] = twin(c, node->inputs[i]);
    for (int i = 0; i < node->output_count; i++) {
        node->outputs[i] = twin(c, node->outputs[i]);
        if (node->outputs[i]) node->outputs[i]->producer = node;
    }
    return OCTET_OK;
}

static octet_status copy_node(const octet_node *from, const copying *c)
{
    octet_node *n;
    OCTET_TRY(octet_arena_get(&n, c->arena, 1, sizeof *n, c->err));
    *n      = *from;
    n->prev = c->to->last;
    n->next = NULL;
    OCTET_TRY(copy_texts(n, c));
    OCTET_TRY(copy_attributes(n, c));
    OCTET_TRY(copy_batch_norm(&n->batch_norm, c));
    OCTET_TRY(copy_batch_norm(&n->folded, c));
    OCTET_TRY(copy_links(n, c));
    if (n->prev) n->prev->next = n;
    else c->to->first = n;
    c->to->last = n;
    return octet_names_add(c->to->node_names, n->name, n) ? OCTET_OK : octet_fail_memory(c->err);
}

static octet_status copy_nodes(const copying *c)
{
    for (const octet_node *n = c->from->first; n; n = n->next) OCTET_TRY(copy_node(n, c));
    for (const octet_value *v = c->from->values; v; v = v->next) {
        octet_value *const to = c->twins[v->index];
        OCTET_TRY(octet_arena_get(&to->uses, c->arena, v->use_count, sizeof *to->uses, c->err));
        to->use_count = to->use_capacity = v->use_count;
        for (size_t i = 0; i < v->use_count; i++)
            to->uses[i] = (octet_use){ octet_graph_find_node(c->to, v->uses[i].node->name), v->uses[i].slot };
    }
    return OCTET_OK;
}

/* ---- the graph itself ---- */

static octet_status copy_border(octet_value ***list, size_t count, size_t *capacity, const copying *c)
{
    OCTET_TRY(copy_array(list, count, sizeof **list, c));
    for (size_t i = 0; i < count; i++) (*list)[i] = twin(c, (*list)[i]);
    *capacity = count;
    return OCTET_OK;
}

static octet_status copy_notes(octet_graph *to, const copying *c)
{
    OCTET_TRY(copy_array(&to->decisions, to->decision_count, sizeof *to->decisions, c));
    OCTET_TRY(copy_array(&to->metadata, to->metadata_count, sizeof *to->metadata, c));
    to->decision_capacity = to->decision_count;
    to->metadata_capacity = to->metadata_count;
    for (size_t i = 0; i < to->decision_count; i++) {
        OCTET_TRY(copy_text(&to->decisions[i].node, c));
        OCTET_TRY(copy_text(&to->decisions[i].what, c));
        OCTET_TRY(copy_text(&to->decisions[i].why, c));
    }
    for (size_t i = 0; i < to->metadata_count; i++) {
        OCTET_TRY(copy_text(&to->metadata[i].key, c));
        OCTET_TRY(copy_text(&to->metadata[i].value, c));
    }
    OCTET_TRY(copy_text(&to->name, c));
    OCTET_TRY(copy_text(&to->path, c));
    return copy_text(&to->target, c);
}

/* All that lies in the graph's own struct, lists still empty. */
static octet_status copy_head(const copying *c)
{
    octet_graph *const g = c->to;
    *g                   = *c->from;
    g->arena             = c->arena;
    g->first = g->last = NULL;
    g->values = g->values_last = NULL;
    if (!g->training && g->stage != OCTET_STAGE_CALIBRATED) g->calibration = NULL;
    g->value_names = octet_names_copy(c->from->value_names, c->arena);
    g->node_names  = octet_names_copy(c->from->node_names, c->arena);
    return g->value_names && g->node_names ? OCTET_OK : octet_fail_memory(c->err);
}

static octet_status copy_all(copying *c, octet_arena *arena)
{
    octet_graph *const g = c->to;
    OCTET_TRY(copy_head(c));
    OCTET_TRY(octet_arena_get(&c->twins, arena, (size_t)g->value_count, sizeof *c->twins, c->err));
    OCTET_TRY(copy_values(c));
    OCTET_TRY(copy_fakes(c, arena));
    OCTET_TRY(copy_nodes(c));
    OCTET_TRY(copy_border(&g->inputs, g->input_count, &g->input_capacity, c));
    OCTET_TRY(copy_border(&g->outputs, g->output_count, &g->output_capacity, c));
    return copy_notes(g, c);
}

octet_status octet_graph_copy(octet_graph **copy, const octet_graph *graph, octet_error *err)
{
    octet_arena *const arena = octet_arena_new();
    copying            c     = { .from = graph, .err = err };
    *copy                    = NULL;
    octet_status status      = arena ? octet_graph_new(&c.to, err) : octet_fail_memory(err);
    if (status == OCTET_OK) {
        c.arena = c.to->arena;
        status  = copy_all(&c, arena);
    }
    octet_arena_free(arena);
    if (status == OCTET_OK) *copy = c.to;
    else octet_graph_free(c.to);
    return status;
}

octet_status octet_graph_changed_copy(octet_graph **copy, const octet_graph *graph,
                                      octet_status (*change)(octet_graph *copy, octet_error *err), octet_error *err)
{
    OCTET_TRY(octet_graph_copy(copy, graph, err));
    const octet_status status = change(*copy, err);
    if (status == OCTET_OK) return OCTET_OK;
    octet_graph_free(*copy);
    *copy = NULL;
    return status;
}

octet_status octet_graph_own(octet_graph *copy, octet_error *err)
{
    for (octet_value *v = copy->values; v; v = v->next) {
        if (!v->borrowed) continue;
        OCTET_TRY(own_data((octet_tensor *)(uintptr_t)v->constant, copy->arena, err));
        v->borrowed = false;
    }
    return OCTET_OK;
}
