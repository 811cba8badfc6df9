/* SPDX-License-Identifier: Apache-2.0 */
/* One decoded image and what is done to it. Pixels equal Pillow's: same decoders, same fixed-point resize. */
#ifndef OCTET_DATA_IMAGE_H
#define OCTET_DATA_IMAGE_H

#include "base/arena.h"

#include <stdbool.h>

typedef struct octet_image {
    int      width, height, channels; /* 1: gray, 3: red, green, blue, interleaved */
    size_t   stride;                  /* bytes from row to row */
    uint8_t *pixels;
} octet_image;

enum {
    OCTET_IMAGE_SCANS = 100,
    OCTET_IMAGE_CHUNK = 8 << 20,
    OCTET_IMAGE_MAX_SIDE = 65535,
};

/* Room for an image of width x height x channels in arena. */
octet_status octet_image_new(octet_image *image, octet_arena *arena, int width, int height, int channels,
                             octet_error *err);

bool octet_is_png(const uint8_t *bytes, size_t size);
bool octet_is_jpeg(const uint8_t *bytes, size_t size);

/* Decodes a JPEG or PNG of at most max_pixels (0: 64 million). Warnings of the decoders are errors. */
octet_status octet_image_decode(octet_image *image, octet_arena *arena, const uint8_t *bytes, size_t size,
                                size_t max_pixels, octet_error *err);

/* The two decoders behind it. */
octet_status octet_png_decode(octet_image *image, octet_arena *arena, const uint8_t *bytes, size_t size,
                              size_t max_pixels, octet_error *err);
octet_status octet_jpeg_decode(octet_image *image, octet_arena *arena, const uint8_t *bytes, size_t size,
                               size_t max_pixels, octet_error *err);
octet_status octet_image_check_size(unsigned long width, unsigned long height, size_t max_pixels, octet_error *err);

/* Three channels to gray (Pillow's weights), or gray to three equal channels. */
octet_status octet_image_to_gray(octet_image *image, octet_arena *arena, octet_error *err);
octet_status octet_image_to_color(octet_image *image, octet_arena *arena, octet_error *err);

/* Image.resize of Pillow: filter "bilinear", "bicubic" (both antialiased) or "nearest". */
octet_status octet_image_resize(octet_image *image, octet_arena *arena, const int size[2], const char *filter,
                                octet_error *err);

#endif
