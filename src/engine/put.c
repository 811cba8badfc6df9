/* SPDX-License-Identifier: Apache-2.0 */
/* The way back of octet_workspace_value. Forms that are made from the one that hooks see are made later, by steps of
   their own, so that one place is enough. */
#include "engine/put.h"

#include "engine/plan.h"

#include <string.h>

static const octet_form *shown_form(const octet_plan *plan, const octet_value *value)
{
    for (int layout = 0; layout < OCTET_LAYOUTS; layout++) {
        const int form = octet_plan_form(plan, value, octet_plan_kind(plan, value), (octet_layout)layout);
        if (form >= 0 && plan->forms[form].shown) return &plan->forms[form];
    }
    return NULL;
}

/* Plain loops: only comparisons come here. The border stays as it is. */
static void put_pixels(const octet_area *area, uint8_t *pixels, const uint8_t *dense)
{
    const size_t plane = area->height * area->width, all = area->images * area->channels * plane;
    for (size_t i = 0; i < all; i++) {
        const size_t n = i / plane / area->channels, c = i / plane % area->channels;
        const size_t y = i % plane / area->width, x = i % area->width;
        pixels[area->offset + n * area->steps.image + y * area->steps.row + x * area->steps.pixel + c] =
            dense[i] ^ area->flip;
    }
}

bool octet_workspace_put(octet_workspace *workspace, const octet_plan *plan, const octet_value *value,
                         const octet_tensor *numbers)
{
    const octet_form *const form  = shown_form(plan, value);
    const octet_tensor      place = octet_workspace_raw(workspace, value);
    const int64_t           bytes = octet_tensor_bytes(numbers);
    if (!form || !place.data || form->logical.dtype != numbers->dtype || bytes != octet_tensor_bytes(&form->logical))
        return false;
    if (form->layout == OCTET_LAYOUT_DENSE) {
        if (bytes) memcpy(place.data, numbers->data, (size_t)bytes);
        return true;
    }
    if (form->layout == OCTET_LAYOUT_PIXELS) {
        put_pixels(&form->area, place.data, numbers->data);
        return true;
    }
    if (form->layout != OCTET_LAYOUT_BLOCKED) return false;
    octet_form from = *form;
    from.layout     = OCTET_LAYOUT_DENSE;
    octet_conversion_run(octet_conversion(&from, form), &place, numbers, plan->profile, 1);
    return true;
}
