/* SPDX-License-Identifier: Apache-2.0 */
/* Free dimensions that change from sample to sample: a plan for each set of shapes, the least recently used of which
   makes room. */
#include "engine/plan.h"

#include <string.h>

enum { KEPT = 8 };

typedef struct bound {
    octet_plan      *plan; /* NULL: not in use */
    octet_workspace *workspace;
    octet_tensor    *inputs;
    size_t           used; /* when, in calls */
} bound;

struct octet_binding {
    octet_arena       *arena;
    const octet_graph *graph;
    octet_plan_options options;
    size_t             calls;
    bound              bounds[KEPT];
};

octet_status octet_binding_create(octet_binding **binding, const octet_graph *graph,
                                  const octet_plan_options *options, octet_error *err)
{
    octet_arena *const arena = octet_arena_new();
    *binding                 = arena ? octet_arena_alloc(arena, 1, sizeof **binding) : NULL;
    octet_status status      = *binding ? OCTET_OK : octet_fail_memory(err);
    for (size_t i = 0; status == OCTET_OK && i < KEPT; i++)
        status = octet_arena_get(&(*binding)->bounds[i].inputs, arena, graph->input_count, sizeof(octet_tensor), err);
    if (status != OCTET_OK) {
        octet_arena_free(arena);
        *binding = NULL;
        return status;
    }
    (*binding)->arena   = arena;
    (*binding)->graph   = graph;
    (*binding)->options = options ? *options : (octet_plan_options){ 0 };
    return OCTET_OK;
}

static void release(bound *b)
{
    octet_workspace_free(b->workspace);
    octet_plan_free(b->plan);
    b->workspace = NULL;
    b->plan      = NULL;
    b->used      = 0;
}

void octet_binding_free(octet_binding *binding)
{
    if (!binding) return;
    for (size_t i = 0; i < KEPT; i++) release(&binding->bounds[i]);
    octet_arena_free(binding->arena);
}

static bool same(const bound *b, const octet_tensor *inputs, size_t count)
{
    bool alike = b->plan != NULL;
    for (size_t i = 0; alike && i < count; i++)
        alike = b->inputs[i].dtype == inputs[i].dtype && b->inputs[i].rank == inputs[i].rank &&
                !memcmp(b->inputs[i].dims, inputs[i].dims, sizeof *inputs[i].dims * (size_t)inputs[i].rank);
    return alike;
}

static octet_status make(bound *b, const octet_binding *binding, const octet_tensor *inputs, octet_error *err)
{
    octet_plan_options how = binding->options;
    for (size_t i = 0; i < binding->graph->input_count; i++) {
        b->inputs[i]      = inputs[i];
        b->inputs[i].data = NULL;
    }
    how.inputs = b->inputs;
    octet_status status = octet_plan_create(&b->plan, binding->graph, &how, err);
    if (status == OCTET_OK) status = octet_workspace_create(&b->workspace, b->plan, err);
    if (status != OCTET_OK) release(b);
    return status;
}

octet_status octet_binding_take(octet_workspace **workspace, octet_binding *binding, const octet_tensor *inputs,
                                octet_error *err)
{
    bound *oldest = &binding->bounds[0], *found = NULL;
    for (size_t i = 0; i < KEPT && !found; i++) {
        bound *const b = &binding->bounds[i];
        if (same(b, inputs, binding->graph->input_count)) found = b;
        if (b->used < oldest->used) oldest = b;
    }
    if (!found) {
        release(oldest);
        OCTET_TRY(make(oldest, binding, inputs, err));
        found = oldest;
    }
    found->used = ++binding->calls;
    *workspace  = found->workspace;
    return OCTET_OK;
}
