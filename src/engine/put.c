/* SPDX-License-Identifier: Apache-2.0 */
/* The way back of octet_workspace_value. Forms that are made from the one that hooks see are made later, by steps of
   their own, so that one place is enough. */
#include "engine/put.h"

#include "engine/plan.h"
#include "ops/levels.h"

#include <string.h>

/* Real numbers between dense and blocked order. */
static void convert_blocks(const octet_plan *plan, const octet_form *form, void *blocked, const octet_tensor *dense)
{
    octet_form   from = *form;
    octet_tensor to   = form->stored;
    from.layout       = OCTET_LAYOUT_DENSE;
    to.data           = blocked;
    octet_conversion_run(octet_conversion(&from, form), &to, dense, plan->profile, 1);
}

bool octet_workspace_put(octet_workspace *workspace, const octet_plan *plan, const octet_value *value,
                         const octet_tensor *numbers)
{
    const int               shown = octet_plan_shown_form(plan, value);
    const octet_form *const form  = shown < 0 ? NULL : &plan->forms[shown];
    const octet_tensor      place = octet_workspace_raw(workspace, value);
    const int64_t           bytes = octet_tensor_bytes(numbers);
    if (!form || !place.data || form->logical.dtype != numbers->dtype || bytes != octet_tensor_bytes(&form->logical))
        return false;
    if (octet_layout_has_area(form->layout)) octet_pixels_from_dense(plan, place.data, form, numbers->data);
    else if (form->layout == OCTET_LAYOUT_BLOCKED) convert_blocks(plan, form, place.data, numbers);
    else if (bytes) memcpy(place.data, numbers->data, (size_t)bytes);
    return true;
}

/* ---- as real numbers ---- */

/* Whether elements are real numbers, or levels of one scale. */
static bool has_reals(const octet_tensor *tensor)
{
    return tensor->qparams ? tensor->qparams->count == 1 : tensor->dtype == OCTET_F32;
}

const float *octet_workspace_reals(const octet_workspace *workspace, const octet_value *value, float *room)
{
    const octet_plan *const plan  = octet_workspace_plan(workspace);
    const int               shown = octet_plan_shown_form(plan, value);
    const octet_form *const form  = shown < 0 ? NULL : &plan->forms[shown];
    octet_tensor            lies  = octet_workspace_raw(workspace, value);
    if (!form || !lies.data || !has_reals(&form->logical)) return NULL;
    if (octet_layout_has_area(form->layout)) octet_pixels_to_reals(plan, room, form, lies.data);
    else if (form->layout == OCTET_LAYOUT_BLOCKED) octet_convert_to_dense(room, form, lies.data);
    else if (lies.qparams) octet_levels_real(room, &lies, 0, (size_t)octet_tensor_count(&lies), 0);
    else return lies.data;
    return room;
}

static void round_dense(void *levels, const octet_tensor *like, const float *reals)
{
    enum { ROW = 512 };
    const octet_level_rule rule  = octet_level_rule_of(like->qparams, 0, NULL);
    const size_t           count = (size_t)octet_tensor_count(like);
    int32_t                row[ROW];
    for (size_t i = 0; i < count; i += ROW) {
        const size_t n = count - i < ROW ? count - i : ROW;
        octet_profile_octet.quantize(row, reals + i, n, &rule);
        octet_levels_store(levels, like->dtype, i, row, n);
    }
}

bool octet_workspace_put_reals(octet_workspace *workspace, const octet_value *value, const float *reals)
{
    const octet_plan *const plan  = octet_workspace_plan(workspace);
    const int               shown = octet_plan_shown_form(plan, value);
    const octet_form *const form  = shown < 0 ? NULL : &plan->forms[shown];
    void *const             place = octet_workspace_place(workspace, value);
    if (!form || !place || !has_reals(&form->logical)) return false;
    octet_tensor dense = form->logical;
    dense.data         = (float *)reals;
    if (octet_layout_has_area(form->layout)) octet_pixels_from_reals(plan, place, form, dense.data);
    else if (form->layout == OCTET_LAYOUT_BLOCKED) convert_blocks(plan, form, place, &dense);
    else if (dense.qparams) round_dense(place, &form->logical, reals);
    else memcpy(place, reals, (size_t)octet_tensor_bytes(&dense));
    return true;
}

octet_status octet_workspace_rerun_reals(octet_workspace *to, const octet_workspace *from, const octet_value *changed,
                                         const float *reals, octet_error *err)
{
    if (!octet_workspace_put_reals(to, changed, reals))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "value '%s' cannot be replaced in this plan", changed->name);
    return octet_workspace_rerun(to, from, changed, NULL, err);
}
