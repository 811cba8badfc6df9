/* SPDX-License-Identifier: Apache-2.0 */
/* Execution order: Kahn's algorithm. Among nodes that are ready, the one that came first in the present order goes
   first, so an ordered graph stays as it is. */
#include "graph/graph.h"

#include <string.h>

/* A binary heap of node positions: the smallest is on top. */
typedef struct heap {
    int   *at;
    size_t count;
} heap;

static void heap_push(heap *h, int x)
{
    size_t i = h->count++;
    while (i > 0 && h->at[(i - 1) / 2] > x) {
        h->at[i] = h->at[(i - 1) / 2];
        i        = (i - 1) / 2;
    }
    h->at[i] = x;
}

static int heap_pop(heap *h)
{
    const int top = h->at[0], x = h->at[--h->count];
    size_t    i = 0;
    for (size_t child; (child = 2 * i + 1) < h->count; i = child) {
        if (child + 1 < h->count && h->at[child + 1] < h->at[child]) child++;
        if (h->at[child] >= x) break;
        h->at[i] = h->at[child];
    }
    h->at[i] = x;
    return top;
}

/* Inputs of node that wait for other nodes. */
static int waiting_inputs(const octet_node *node)
{
    int count = 0;
    for (int i = 0; i < node->input_count; i++) count += node->inputs[i] && node->inputs[i]->producer;
    return count;
}

static void node_done(heap *ready, int *waiting, const octet_node *node)
{
    for (int o = 0; o < node->output_count; o++) {
        const octet_value *const v = node->outputs[o];
        for (size_t u = 0; v && u < v->use_count; u++)
            if (--waiting[v->uses[u].node->index] == 0) heap_push(ready, v->uses[u].node->index);
    }
}

static octet_status sort_into(octet_node **sorted, octet_graph *graph, octet_arena *arena, octet_error *err)
{
    const size_t count = (size_t)graph->node_count;
    octet_node **nodes;
    int         *waiting;
    heap         ready = { 0 };
    OCTET_TRY(octet_arena_get(&nodes, arena, count, sizeof *nodes, err));
    OCTET_TRY(octet_arena_get(&waiting, arena, count, sizeof *waiting, err));
    OCTET_TRY(octet_arena_get(&ready.at, arena, count, sizeof *ready.at, err));
    int index = 0;
    for (octet_node *n = graph->first; n; n = n->next) {
        n->index      = index;
        nodes[index++] = n;
    }
    for (int i = 0; i < index; i++)
        if ((waiting[i] = waiting_inputs(nodes[i])) == 0) heap_push(&ready, i);
    size_t done = 0;
    while (ready.count > 0) {
        octet_node *const n = nodes[heap_pop(&ready)];
        sorted[done++]      = n;
        node_done(&ready, waiting, n);
    }
    for (size_t i = 0; done < count && i < count; i++)
        if (waiting[i] > 0) {
            octet_fail(err, OCTET_ERR_FORMAT, "lies on or behind a cycle: it waits for its own result");
            octet_error_node(err, nodes[i]->name);
            return OCTET_ERR_FORMAT;
        }
    return OCTET_OK;
}

octet_status octet_graph_sort(octet_graph *graph, octet_error *err)
{
    octet_arena *const arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    const size_t count = (size_t)graph->node_count;
    octet_node **sorted;
    octet_status status = octet_arena_get(&sorted, arena, count, sizeof *sorted, err);
    if (status == OCTET_OK) status = sort_into(sorted, graph, arena, err);
    for (size_t i = 0; status == OCTET_OK && i < count; i++) {
        sorted[i]->index = (int)i;
        sorted[i]->prev  = i ? sorted[i - 1] : NULL;
        sorted[i]->next  = i + 1 < count ? sorted[i + 1] : NULL;
    }
    if (status == OCTET_OK && count) {
        graph->first = sorted[0];
        graph->last  = sorted[count - 1];
    }
    octet_arena_free(arena);
    return status;
}
