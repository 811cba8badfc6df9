/* SPDX-License-Identifier: Apache-2.0 */
/* How a value of levels lies in pixels: channels last, one byte each (kernels/kernels.h), with room around every image
   for what its readers' windows touch outside. The room to the right of a row is the room to the left of the next:

     image  ->  before_y rows
                [ row 0: width pixels ][ side ]          row = width + side pixels, side = max(left, right)
                [ row 1: width pixels ][ side ]
                after_y rows, right pixels

   So pixel (y, x) is number y * row + x, for every y and x that a window reaches, and a convolution with stride 1 is a
   matrix product over consecutive pixels. */
#ifndef OCTET_ENGINE_AREA_H
#define OCTET_ENGINE_AREA_H

#include <octet/tensor.h>

#include "kernels/kernels.h"

/* Pixels that windows reach outside an image. */
typedef struct octet_border {
    size_t top, left, bottom, right;
} octet_border;

/* Whether a border is as wide as is needed on every side. */
static inline bool octet_border_holds(const octet_border *has, const octet_border *needs)
{
    return has->top >= needs->top && has->left >= needs->left && has->bottom >= needs->bottom &&
           has->right >= needs->right;
}

/* An image whose only reader is a convolution of stride 2, laid out for it: a pixel holds 2 x 2 source pixels of `unit`
   bytes each, so that the convolution has stride 1 and 4 times the channels. The first source pixel lies
   `top` rows above and `left` pixels before the image. */
typedef struct octet_fold {
    size_t unit; /* 0: not folded */
    size_t height, width, channels, top, left;
} octet_fold;

typedef struct octet_area {
    size_t       images, height, width, channels;
    octet_border border;
    octet_steps  steps;  /* bytes from an image, row, pixel to the next */
    size_t       offset; /* bytes from the buffer's begin to pixel (0, 0, 0), channel 0 */
    size_t       bytes;  /* of the buffer; 0: too many to count */
    uint8_t      zero;   /* byte of the zero point, which fills the border */
    uint8_t      flip;   /* 0x80 where the levels are s8, else 0 */
    bool         shared; /* other values' channels lie in the same pixels: a part of a Concat */
    octet_fold   fold;
} octet_area;

/* Images, extents and channels of a shape: [N, C], [N, C, L], [N, C, H, W]; of a longer one the last two dimensions are
   space and those between are channels. Sets bytes; tight: pixels are as long as their channels. */
void octet_area_make(octet_area *area, const octet_tensor *tensor, const octet_border *border, bool tight);

/* The same values row-major, without any room: the last dimension is channels and all others are images. */
void octet_area_make_rows(octet_area *area, const octet_tensor *tensor);

/* Makes of an area one of height x width folded pixels. */
void octet_area_fold(octet_area *area, const octet_fold *fold, size_t height, size_t width);

/* Whether values of this type and rank can lie in pixels: u8 or s8, one scale, two dimensions at least. */
bool octet_area_possible(const octet_tensor *tensor);

/* Number of pixels that lie one after the other without a gap, if the area has no border and all images do; else 0. */
size_t octet_area_flat(const octet_area *area);

/* Writes the zero point around every image. at: the buffer. */
void octet_area_fill_border(const octet_area *area, uint8_t *at);

#endif
