/* SPDX-License-Identifier: Apache-2.0 */
/* Where every buffer of a workspace lies. Largest first, each at the lowest place that no buffer alive at the same
   time occupies. Networks of very many buffers are placed in the order of their lives instead, and where very many
   live at once, on top of all others: the time stays near linear. */
#include "engine/plan.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, SEARCH = 4096 };

static void extend(octet_buffer *buffer, int step)
{
    if (buffer->first < 0 || step < buffer->first) buffer->first = step;
    if (step > buffer->last) buffer->last = step;
}

static void extend_forms(octet_plan *plan, const int *forms, int count, int step)
{
    for (int i = 0; i < count; i++)
        if (forms[i] >= 0 && plan->forms[forms[i]].buffer >= 0)
            extend(&plan->buffers[plan->forms[forms[i]].buffer], step);
}

/* Inputs are filled before the first step and outputs read after the last. A kept value lives throughout. */
static void find_lives(octet_plan *plan)
{
    const int end = (int)plan->step_count;
    for (size_t i = 0; i < plan->buffer_count; i++) {
        plan->buffers[i].first = plan->keep_values ? 0 : -1;
        plan->buffers[i].last  = plan->keep_values ? end : -1;
    }
    extend_forms(plan, plan->input_forms, (int)plan->graph->input_count, 0);
    extend_forms(plan, plan->output_forms, (int)plan->graph->output_count, end);
    for (int i = 0; i < end; i++) {
        const octet_step *const step = &plan->steps[i];
        extend_forms(plan, step->in, step->in_count, i);
        extend_forms(plan, step->out, step->out_count, i);
        if (step->scratch >= 0) plan->buffers[step->scratch].first = plan->buffers[step->scratch].last = i;
    }
}

static int by_size(const void *a, const void *b)
{
    const octet_buffer *const x = *(octet_buffer *const *)a, *const y = *(octet_buffer *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : 1;
}

static int by_birth(const void *a, const void *b)
{
    const octet_buffer *const x = *(octet_buffer *const *)a, *const y = *(octet_buffer *const *)b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x < y ? -1 : 1;
}

/* Buffers that have their place, by offset. */
typedef struct placed_list {
    octet_buffer **at;
    size_t         count;
} placed_list;

static void forget_dead(placed_list *placed, int step)
{
    size_t kept = 0;
    for (size_t i = 0; i < placed->count; i++)
        if (placed->at[i]->last >= step) placed->at[kept++] = placed->at[i];
    placed->count = kept;
}

/* The lowest place that is free throughout the buffer's life. */
static size_t lowest_place(const octet_buffer *buffer, const placed_list *placed)
{
    size_t end = 0;
    for (size_t i = 0; i < placed->count; i++) {
        const octet_buffer *const other = placed->at[i];
        if (other->last < buffer->first || other->first > buffer->last) continue;
        if (other->offset >= end && other->offset - end >= buffer->bytes) break;
        if (other->offset + other->bytes > end) end = other->offset + other->bytes;
    }
    return end;
}

static bool place(octet_buffer *buffer, placed_list *placed, size_t *top)
{
    size_t after;
    buffer->offset = placed->count > SEARCH ? *top : lowest_place(buffer, placed);
    if (!octet_add(&after, buffer->offset, buffer->bytes)) return false;
    size_t slot = placed->count++;
    for (; slot > 0 && placed->at[slot - 1]->offset > buffer->offset; slot--) placed->at[slot] = placed->at[slot - 1];
    placed->at[slot] = buffer;
    if (after > *top) *top = after;
    return true;
}

static octet_status fail_size(octet_error *err)
{
    return octet_fail(err, OCTET_ERR_LIMIT, "the plan needs more memory than an address can count");
}

octet_status octet_plan_place(octet_plan *plan, octet_error *err)
{
    const size_t   count  = plan->buffer_count;
    const bool     search = count <= SEARCH;
    octet_buffer **order;
    placed_list    placed = { 0 };
    OCTET_TRY(octet_arena_get(&order, plan->arena, count, sizeof(octet_buffer *), err));
    OCTET_TRY(octet_arena_get(&placed.at, plan->arena, count, sizeof(octet_buffer *), err));
    find_lives(plan);
    for (size_t i = 0; i < count; i++) {
        order[i] = &plan->buffers[i];
        if (!octet_add(&order[i]->bytes, order[i]->bytes, ALIGNMENT - 1)) return fail_size(err);
        order[i]->bytes -= order[i]->bytes % ALIGNMENT;
    }
    if (count) qsort(order, count, sizeof *order, search ? by_size : by_birth);
    size_t full = SEARCH;
    for (size_t i = 0; i < count; i++) {
        if (order[i]->first < 0) continue; /* a form that nobody reads or writes any more */
        if (!search && placed.count > full) {
            forget_dead(&placed, order[i]->first);
            full = SEARCH + 2 * placed.count;
        }
        if (!place(order[i], &placed, &plan->buffer_bytes)) return fail_size(err);
    }
    size_t overread = 0;
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].overread > overread) overread = plan->steps[i].overread;
    if (!octet_add(&plan->buffer_bytes, plan->buffer_bytes, overread)) return fail_size(err);
    return OCTET_OK;
}
