/* SPDX-License-Identifier: Apache-2.0 */
/* The way back of octet_workspace_value. Forms that are made from the one that hooks see are made later, by steps of
   their own, so that one place is enough. */
#include "engine/put.h"

#include "engine/plan.h"

#include <string.h>

bool octet_workspace_put(octet_workspace *workspace, const octet_plan *plan, const octet_value *value,
                         const octet_tensor *numbers)
{
    const int               shown = octet_plan_shown_form(plan, value);
    const octet_form *const form  = shown < 0 ? NULL : &plan->forms[shown];
    const octet_tensor      place = octet_workspace_raw(workspace, value);
    const int64_t           bytes = octet_tensor_bytes(numbers);
    if (!form || !place.data || form->logical.dtype != numbers->dtype || bytes != octet_tensor_bytes(&form->logical))
        return false;
    if (form->layout == OCTET_LAYOUT_DENSE) {
        if (bytes) memcpy(place.data, numbers->data, (size_t)bytes);
        return true;
    }
    if (form->layout == OCTET_LAYOUT_PIXELS) {
        octet_pixels_from_dense(plan, place.data, form, numbers->data);
        return true;
    }
    octet_form from = *form;
    from.layout     = OCTET_LAYOUT_DENSE;
    octet_conversion_run(octet_conversion(&from, form), &place, numbers, plan->profile, 1);
    return true;
}
