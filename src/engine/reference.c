/* SPDX-License-Identifier: Apache-2.0 */
/* The engine that accepts everything: it runs the operators' own definitions. What looks at each element alone also
   runs on values in channel blocks, seen as tensors of one dimension more. */
#include "engine/plan.h"

#include "graph/attrs.h"

#include <string.h>

static bool is_integer(const octet_step *step) { return step->mode != OCTET_MODE_REAL; }

static octet_forward forward_of(const octet_step *step)
{
    const octet_op *const op = step->node->op;
    if (step->mode == OCTET_MODE_DYNAMIC) return op->forward_dynamic;
    return is_integer(step) ? op->forward_integer : op->forward;
}

/* ---- layouts ---- */

static bool same_shape(const octet_tensor *a, const octet_tensor *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

/* Every input lies in blocks and has out's shape, or is a single constant. */
static bool can_map_blocks(const octet_plan *plan, const octet_node *node)
{
    bool blocked = false;
    if (!(node->op->flags & OCTET_OP_ELEMENTWISE) || node->output_count != 1 || !node->outputs[0]) return false;
    const octet_tensor *const out = &plan->shapes[node->outputs[0]->index];
    if (out->dtype != OCTET_F32) return false;
    for (int i = 0; i < node->input_count; i++) {
        const octet_value *const in = node->inputs[i];
        if (!in || (octet_plan_known(plan, in) && octet_tensor_count(&plan->shapes[in->index]) == 1)) continue;
        if (octet_plan_form(plan, in, OCTET_FORM_REAL, OCTET_LAYOUT_BLOCKED) < 0) return false;
        if (!same_shape(&plan->shapes[in->index], out)) return false;
        blocked = true;
    }
    return blocked;
}

/* Whole blocks of channels follow each other. */
static bool can_concat_blocks(const octet_plan *plan, const octet_node *node)
{
    const octet_attr *const axis = octet_attr_find(node->op, "axis");
    if (node->op->quant != OCTET_QUANT_CONCAT || !axis || axis->kind != OCTET_ATTR_INT ||
        *(const int64_t *)octet_attr_get(node->attrs, axis) != 1)
        return false;
    for (int i = 0; i < node->input_count; i++)
        if (octet_plan_form(plan, node->inputs[i], OCTET_FORM_REAL, OCTET_LAYOUT_BLOCKED) < 0 ||
            plan->shapes[node->inputs[i]->index].dims[1] % plan->block != 0)
            return false;
    return true;
}

static bool accepts(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    (void)why;
    const octet_node *const node = step->node;
    if (is_integer(step) || !plan->block) return true;
    if (!can_map_blocks(plan, node) && !can_concat_blocks(plan, node)) return true;
    step->out_layout = OCTET_LAYOUT_BLOCKED;
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] && octet_plan_form(plan, node->inputs[i], OCTET_FORM_REAL, OCTET_LAYOUT_BLOCKED) >= 0)
            step->in_layout[i] = OCTET_LAYOUT_BLOCKED;
    return true;
}

/* ---- running ---- */

/* Channels of the last block that are no channels. */
static int filling(const octet_form *form)
{
    if (form->layout != OCTET_LAYOUT_BLOCKED) return 0;
    const int64_t block = form->stored.dims[form->stored.rank - 1];
    return (int)(form->stored.dims[1] * block - form->logical.dims[1]);
}

static octet_status prepare(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    const octet_op *const op      = step->node->op;
    const bool            integer = is_integer(step);
    octet_call            call;
    if (!forward_of(step))
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "%s cannot run in %s", op->name,
                          integer ? "integer levels" : "real numbers");
    if (step->out_count == 1 && step->out[0] >= 0) step->filling = filling(&plan->forms[step->out[0]]);
    if (!op->scratch_size && step->mode != OCTET_MODE_DYNAMIC) return OCTET_OK;
    OCTET_TRY(octet_plan_call(&call, plan, step, arena, err));
    step->scratch_bytes =
        step->mode == OCTET_MODE_DYNAMIC ? op->dynamic_scratch(&call) : op->scratch_size(&call, integer);
    return OCTET_OK;
}

/* Filling stays finite whatever the operator makes of it. */
static void clear_filling(const octet_tensor *out, int lanes)
{
    const int64_t *const dims  = out->dims;
    const size_t         block = (size_t)dims[out->rank - 1], sample = (size_t)(octet_tensor_count(out) / dims[0]);
    size_t               pixels = 1;
    for (int i = 2; i < out->rank - 1; i++) pixels *= (size_t)dims[i];
    for (size_t n = 0; n < (size_t)dims[0]; n++) {
        float *at = (float *)out->data + (n + 1) * sample - pixels * block;
        for (size_t p = 0; p < pixels; p++, at += block)
            memset(at + block - (size_t)lanes, 0, (size_t)lanes * sizeof *at);
    }
}

static octet_status run(const octet_step *step, const octet_call *call, void *bound, octet_error *err)
{
    (void)bound;
    OCTET_TRY(forward_of(step)(call, err));
    if (step->filling) clear_filling(call->out[0], step->filling);
    return OCTET_OK;
}

static const char *version(void) { return octet_version(); }

const octet_engine octet_engine_reference = {
    .name = "reference", .version = version, .accepts = accepts, .prepare = prepare, .run = run
};

const octet_engine *const octet_engines[] = {
    &octet_engine_native,
#ifdef OCTET_HAVE_ONEDNN
    &octet_engine_onednn,
#endif
#ifdef OCTET_HAVE_XNNPACK
    &octet_engine_xnnpack,
#endif
    &octet_engine_reference,
    NULL,
};
