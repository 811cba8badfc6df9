/* SPDX-License-Identifier: Apache-2.0 */
/* PNG through libpng, in three guarded steps. libpng leaves by longjmp, so everything that outlives a step is in one
   struct and the steps themselves own nothing. Chunks that do not change pixels are skipped unseen: no bombs in
   texts, no warnings about colour profiles. */
#include "data/image.h"

#include <png.h>
#include <string.h>

typedef struct decoder {
    png_structp    png;
    png_infop      info;
    const uint8_t *bytes;
    size_t         size, at, max_pixels;
    octet_arena   *arena;
    octet_image   *image;
    png_bytep     *rows;
    octet_status   status; /* of our own checks */
    octet_error   *err;
} decoder;

static void on_error(png_structp png, png_const_charp message)
{
    decoder *const d = png_get_error_ptr(png);
    d->status = octet_fail(d->err, OCTET_ERR_FORMAT, "PNG: %s", message);
    png_longjmp(png, 1);
}

static void on_read(png_structp png, png_bytep out, size_t size)
{
    decoder *const d = png_get_io_ptr(png);
    if (size > d->size - d->at) png_error(png, "data truncated");
    memcpy(out, d->bytes + d->at, size);
    d->at += size;
}

static void read_header(decoder *d)
{
    static const png_byte skipped[] = "bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0"
                                      "sRGB\0sTER\0tEXt\0tIME\0zTXt";
    png_set_keep_unknown_chunks(d->png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
    png_set_keep_unknown_chunks(d->png, PNG_HANDLE_CHUNK_NEVER, skipped, (int)sizeof skipped / 5);
    png_set_user_limits(d->png, OCTET_IMAGE_MAX_SIDE, OCTET_IMAGE_MAX_SIDE);
    png_set_chunk_malloc_max(d->png, OCTET_IMAGE_CHUNK);
    png_set_read_fn(d->png, d, on_read);
    png_read_info(d->png, d->info);
}

/* To 8 bits of gray or of red, green, blue, as Pillow: the high byte of 16, palettes looked up, alpha dropped. */
static void choose_output(decoder *d)
{
    const int type = png_get_color_type(d->png, d->info);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(d->png);
    if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(d->png);
    png_set_strip_16(d->png);
    png_set_strip_alpha(d->png);
    png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->info);
}

static void read_pixels(decoder *d)
{
    png_read_image(d->png, d->rows);
    png_read_end(d->png, NULL);
}

/* Runs a step; false when it left through on_error. */
static bool guarded(decoder *d, void (*step)(decoder *d))
{
    if (setjmp(png_jmpbuf(d->png))) return false;
    step(d);
    return true;
}

static octet_status make_rows(decoder *d)
{
    const int width = (int)png_get_image_width(d->png, d->info), height = (int)png_get_image_height(d->png, d->info);
    const int channels = png_get_channels(d->png, d->info);
    if ((channels != 1 && channels != 3) || png_get_rowbytes(d->png, d->info) != (size_t)width * (size_t)channels)
        return octet_fail(d->err, OCTET_ERR_UNSUPPORTED, "PNG: colour type %d is not supported",
                          png_get_color_type(d->png, d->info));
    OCTET_TRY(octet_image_new(d->image, d->arena, width, height, channels, d->err));
    OCTET_TRY(octet_arena_get(&d->rows, d->arena, (size_t)height, sizeof *d->rows, d->err));
    for (int y = 0; y < height; y++) d->rows[y] = d->image->pixels + (size_t)y * d->image->stride;
    return OCTET_OK;
}

static octet_status decode(decoder *d)
{
    if (!guarded(d, read_header)) return d->status;
    OCTET_TRY(octet_image_check_size(png_get_image_width(d->png, d->info), png_get_image_height(d->png, d->info),
                                     d->max_pixels, d->err));
    if (!guarded(d, choose_output)) return d->status;
    OCTET_TRY(make_rows(d));
    return guarded(d, read_pixels) ? OCTET_OK : d->status;
}

octet_status octet_png_decode(octet_image *image, octet_arena *arena, const uint8_t *bytes, size_t size,
                              size_t max_pixels, octet_error *err)
{
    decoder d = {.bytes = bytes, .size = size, .max_pixels = max_pixels, .arena = arena, .image = image, .err = err};
    d.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &d, on_error, on_error);
    if (!d.png) return octet_fail_memory(err);
    d.info = png_create_info_struct(d.png);
    const octet_status status = d.info ? decode(&d) : octet_fail_memory(err);
    png_destroy_read_struct(&d.png, &d.info, NULL);
    return status;
}
