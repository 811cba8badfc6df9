/* SPDX-License-Identifier: Apache-2.0 */
/* When every buffer of a workspace is in use, and so where it lies (base/place.h). */
#include "engine/plan.h"

#include "base/checked.h"

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

octet_status octet_plan_place(octet_plan *plan, octet_error *err)
{
    size_t overread = 0;
    find_lives(plan);
    OCTET_TRY(octet_place(&plan->buffer_bytes, plan->buffers, plan->buffer_count, plan->arena, err));
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].overread > overread) overread = plan->steps[i].overread;
    if (!octet_add(&plan->buffer_bytes, plan->buffer_bytes, overread))
        return octet_fail(err, OCTET_ERR_LIMIT, "the plan needs more memory than an address can count");
    return OCTET_OK;
}
