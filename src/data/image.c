/* SPDX-License-Identifier: Apache-2.0 */
/* Images: which decoder, limits, gray and colour. */
#include "data/image.h"

#include "base/checked.h"

#include <string.h>

bool octet_is_png(const uint8_t *bytes, size_t size) { return size >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0; }

bool octet_is_jpeg(const uint8_t *bytes, size_t size) { return size >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0; }

octet_status octet_image_check_size(unsigned long width, unsigned long height, size_t max_pixels, octet_error *err)
{
    static const size_t default_pixels = 64000000;
    if (max_pixels == 0) max_pixels = default_pixels;
    if (width == 0 || height == 0) return octet_fail(err, OCTET_ERR_FORMAT, "image of %lux%lu pixels", width, height);
    if (width <= OCTET_IMAGE_MAX_SIDE && height <= OCTET_IMAGE_MAX_SIDE && width * height <= max_pixels)
        return OCTET_OK;
    octet_fail(err, OCTET_ERR_LIMIT, "image too large (got %lux%lu, limit %zu pixels, %d a side)", width, height,
               max_pixels, OCTET_IMAGE_MAX_SIDE);
    octet_error_field(err, "max-pixels");
    return OCTET_ERR_LIMIT;
}

octet_status octet_image_new(octet_image *image, octet_arena *arena, int width, int height, int channels,
                             octet_error *err)
{
    *image = (octet_image){.width = width, .height = height, .channels = channels};
    image->stride = (size_t)width * (size_t)channels;
    return octet_arena_get(&image->pixels, arena, (size_t)height, image->stride, err);
}

octet_status octet_image_decode(octet_image *image, octet_arena *arena, const uint8_t *bytes, size_t size,
                                size_t max_pixels, octet_error *err)
{
    if (octet_is_png(bytes, size)) return octet_png_decode(image, arena, bytes, size, max_pixels, err);
    if (octet_is_jpeg(bytes, size)) return octet_jpeg_decode(image, arena, bytes, size, max_pixels, err);
    if (size == 0) return octet_fail(err, OCTET_ERR_FORMAT, "image file is empty");
    return octet_fail(err, OCTET_ERR_FORMAT, "unknown image format (need PNG or JPEG)");
}

octet_status octet_image_to_gray(octet_image *image, octet_arena *arena, octet_error *err)
{
    if (image->channels == 1) return OCTET_OK;
    octet_image gray;
    OCTET_TRY(octet_image_new(&gray, arena, image->width, image->height, 1, err));
    for (int y = 0; y < image->height; y++) {
        const uint8_t *from = image->pixels + (size_t)y * image->stride;
        uint8_t *const to = gray.pixels + (size_t)y * gray.stride;
        for (int x = 0; x < image->width; x++, from += 3) /* ITU-R 601 in 16-bit fixed point */
            to[x] = (uint8_t)((19595u * from[0] + 38470u * from[1] + 7471u * from[2] + 0x8000u) >> 16);
    }
    *image = gray;
    return OCTET_OK;
}

octet_status octet_image_to_color(octet_image *image, octet_arena *arena, octet_error *err)
{
    if (image->channels == 3) return OCTET_OK;
    octet_image color;
    OCTET_TRY(octet_image_new(&color, arena, image->width, image->height, 3, err));
    for (int y = 0; y < image->height; y++) {
        const uint8_t *const from = image->pixels + (size_t)y * image->stride;
        uint8_t             *to = color.pixels + (size_t)y * color.stride;
        for (int x = 0; x < image->width; x++, to += 3) memset(to, from[x], 3);
    }
    *image = color;
    return OCTET_OK;
}
