/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and borders of channels-last values (area.h). */
#include "engine/area.h"

#include "base/checked.h"

#include <string.h>

/* Whole dwords for few channels (image input), whole vectors for many. */
static size_t pixel_bytes(size_t channels, bool tight)
{
    enum { VECTOR = 16 };
    if (tight || channels <= 2) return channels;
    const size_t unit = channels <= VECTOR ? 4 : VECTOR;
    return (channels + unit - 1) / unit * unit;
}

bool octet_area_possible(const octet_tensor *tensor)
{
    const octet_qparams *const q = tensor->qparams;
    return q && q->count == 1 && (q->dtype == OCTET_U8 || q->dtype == OCTET_I8) && tensor->rank >= 2 &&
           octet_tensor_count(tensor) > 0;
}

static void take_shape(octet_area *area, const octet_tensor *tensor)
{
    const int64_t *const d     = tensor->dims;
    const int            space = tensor->rank > 3 ? 2 : tensor->rank - 2;
    *area = (octet_area){ .images = (size_t)d[0], .height = 1, .width = 1, .channels = 1 };
    if (space > 1) area->height = (size_t)d[tensor->rank - 2];
    if (space > 0) area->width = (size_t)d[tensor->rank - 1];
    for (int i = 1; i < tensor->rank - space; i++) area->channels *= (size_t)d[i];
}

void octet_area_make(octet_area *area, const octet_tensor *tensor, const octet_border *border, bool tight)
{
    take_shape(area, tensor);
    area->border      = *border;
    area->steps.pixel = pixel_bytes(area->channels, tight);
    const size_t side = border->left > border->right ? border->left : border->right, row = area->width + side;
    size_t       pixels, bytes = 0;
    area->flip = tensor->qparams->dtype == OCTET_I8 ? 0x80 : 0;
    area->zero = (uint8_t)((uint8_t)tensor->qparams->zero_point[0] ^ area->flip);
    area->steps.row = row * area->steps.pixel;
    area->offset    = (border->top * row + border->left) * area->steps.pixel;
    if (!octet_mul(&pixels, border->top + area->height + border->bottom, row) ||
        !octet_mul(&bytes, pixels + border->left + border->right, area->steps.pixel) ||
        !octet_mul(&area->bytes, bytes, area->images))
        area->bytes = 0;
    area->steps.image = bytes;
}

void octet_area_make_rows(octet_area *area, const octet_tensor *tensor)
{
    octet_tensor rows = *tensor;
    rows.rank    = 2;
    rows.dims[1] = tensor->dims[tensor->rank - 1];
    rows.dims[0] = octet_tensor_count(tensor) / rows.dims[1];
    octet_area_make(area, &rows, &(octet_border){ 0 }, true);
}

void octet_area_fold(octet_area *area, const octet_fold *fold, size_t height, size_t width)
{
    area->fold        = *fold;
    area->height      = height;
    area->width       = width;
    area->channels    = 4 * fold->unit;
    area->border      = (octet_border){ 0 };
    area->offset      = 0;
    area->steps.pixel = area->channels;
    area->steps.row   = width * area->steps.pixel;
    area->steps.image = height * area->steps.row;
    if (!octet_mul(&area->bytes, area->images, area->steps.image)) area->bytes = 0;
}

size_t octet_area_flat(const octet_area *area)
{
    const bool dense = area->steps.row == area->width * area->steps.pixel &&
                       (area->images == 1 || area->steps.image == area->height * area->steps.row);
    return dense ? area->images * area->height * area->width : 0;
}

/* Pixels from `at` on: all their bytes at once, or this value's channels alone where others lie between. */
static void fill(const octet_area *area, uint8_t *at, size_t pixels)
{
    const size_t step = area->steps.pixel, rest = step - area->channels;
    if (rest < 16) {
        memset(at, area->zero, pixels * step - rest);
        return;
    }
    for (size_t i = 0; i < pixels; i++, at += step) memset(at, area->zero, area->channels);
}

void octet_area_fill_border(const octet_area *area, uint8_t *at)
{
    const octet_border *const b = &area->border;
    const size_t              row = area->steps.row / area->steps.pixel, side = row - area->width;
    if (!(b->top | b->left | b->bottom | b->right)) return;
    at += area->offset;
    for (size_t n = 0; n < area->images; n++, at += area->steps.image) {
        const size_t before = b->top * row + b->left, after = b->bottom * row + b->right;
        if (before) fill(area, at - before * area->steps.pixel, before);
        uint8_t *gap = at + area->width * area->steps.pixel;
        for (size_t y = 1; side && y < area->height; y++, gap += area->steps.row) fill(area, gap, side);
        if (after) fill(area, at + (area->height - 1) * area->steps.row + area->width * area->steps.pixel, after);
    }
}
