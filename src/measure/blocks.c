/* SPDX-License-Identifier: Apache-2.0 */
/* What comparing a layer is made of, without putting its values in logical order first: the float network keeps them in
   blocks of channels, the quantized one in pixels, and within a block both go the same way. One pass compares both
   results with the float network's and puts that one, rounded, in the place of the second. A sum's order is that of
   memory, the same for any number of threads. */
#include "measure/compare.h"

#include "engine/plan.h"

/* Both sides of one value. */
typedef struct blocks {
    const float          *real; /* [image][block of channels][pixel][channel] */
    const uint8_t        *whole;
    uint8_t              *fed; /* read, then written */
    const octet_area     *area;
    octet_compared_levels how; /* one row of one block of channels */
} blocks;

static const octet_form *shown(const octet_plan *plan, const octet_value *value)
{
    const int form = octet_plan_shown_form(plan, value);
    return form < 0 ? NULL : &plan->forms[form];
}

static bool find_blocks(blocks *b, const octet_comparing *c, const octet_layer *layer)
{
    const octet_form *const real = shown(c->pairing->real_plan, layer->reference);
    const octet_form *const q    = shown(c->pairing->quantized_plan, layer->value);
    if (!real || !q || real->layout != OCTET_LAYOUT_BLOCKED || q->layout != OCTET_LAYOUT_PIXELS || q->area.fold.unit ||
        real->logical.rank != 4)
        return false;
    const octet_qparams *const p    = q->logical.qparams;
    const int32_t              flip = q->area.zero - p->zero_point[0]; /* from levels to bytes */
    *b = (blocks){ .real = octet_workspace_raw(c->real, layer->reference).data,
                   .whole = octet_workspace_raw(c->quantized, layer->value).data,
                   .fed = octet_workspace_place(c->fed, layer->value), .area = &q->area,
                   .how = { .pixels = q->area.width, .pixel = q->area.steps.pixel,
                            .block = (size_t)real->stored.dims[4], .scale = p->scale[0],
                            .to = { q->area.zero, p->qmin + flip, p->qmax + flip } } };
    return b->real && b->whole && b->fed;
}

bool octet_compare_blocks(octet_comparing *c, const octet_layer *layer)
{
    octet_layer_sums *const sums = &c->sums.layers[layer - c->pairing->layers];
    octet_difference        sum  = { 0 };
    blocks                  b;
    if (!find_blocks(&b, c, layer)) return false;
    const octet_difference_kernel *const kernel = c->pairing->quantized_plan->kernels->difference;
    const octet_area *const              a      = b.area;
    for (size_t n = 0; n < a->images; n++)
        for (size_t first = 0; first < a->channels; first += b.how.block) {
            b.how.channels = a->channels - first < b.how.block ? a->channels - first : b.how.block;
            for (size_t y = 0; y < a->height; y++, b.real += a->width * b.how.block) {
                const size_t at = a->offset + n * a->steps.image + y * a->steps.row + first;
                kernel->levels(&sum, &b.how, b.real, b.whole + at, b.fed + at);
            }
        }
    octet_area_fill_border(a, b.fed);
    octet_sqnr_take(&sums->accumulated, &sum);
    octet_sqnr_take_second(&sums->local, &sum);
    return true;
}
