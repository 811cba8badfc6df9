/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG through libjpeg-turbo with its default arithmetic (the slow, exact DCT and smooth upsampling: Pillow's too).
   libjpeg leaves by longjmp, so everything that outlives a step is in one struct. A warning would mean invented
   pixels, so it is an error. */
#include "data/image.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

typedef struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr         errors;
    struct jpeg_progress_mgr      progress;
    jmp_buf                       leave;
    const uint8_t                *bytes;
    size_t                        size;
    octet_image                  *image;
    octet_status                  status;
    octet_error                  *err;
} decoder;

static decoder *decoder_of(j_common_ptr jpeg) { return jpeg->client_data; }

static void on_error(j_common_ptr jpeg)
{
    decoder *const d = decoder_of(jpeg);
    char           message[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, message);
    d->status = octet_fail(d->err, OCTET_ERR_FORMAT, "JPEG: %s", message);
    longjmp(d->leave, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    if (level < 0) on_error(jpeg);
}

static void on_progress(j_common_ptr jpeg)
{
    decoder *const d = decoder_of(jpeg);
    if (d->jpeg.input_scan_number <= OCTET_IMAGE_SCANS) return;
    d->status = octet_fail(d->err, OCTET_ERR_LIMIT, "JPEG: more than %d scans", OCTET_IMAGE_SCANS);
    longjmp(d->leave, 1);
}

static void read_header(decoder *d)
{
    jpeg_create_decompress(&d->jpeg);
    d->jpeg.client_data = d;
    d->jpeg.progress = &d->progress;
    jpeg_mem_src(&d->jpeg, d->bytes, (unsigned long)d->size);
    jpeg_read_header(&d->jpeg, TRUE);
}

static void read_pixels(decoder *d)
{
    d->jpeg.out_color_space = d->image->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&d->jpeg);
    while (d->jpeg.output_scanline < d->jpeg.output_height) {
        JSAMPROW row = d->image->pixels + (size_t)d->jpeg.output_scanline * d->image->stride;
        jpeg_read_scanlines(&d->jpeg, &row, 1);
    }
    jpeg_finish_decompress(&d->jpeg);
}

/* Runs a step; false when it left through one of the callbacks. */
static bool guarded(decoder *d, void (*step)(decoder *d))
{
    if (setjmp(d->leave)) return false;
    step(d);
    return true;
}

static octet_status check_color(const decoder *d)
{
    switch ((int)d->jpeg.jpeg_color_space) {
    case JCS_GRAYSCALE:
    case JCS_YCbCr:
    case JCS_RGB:
        return OCTET_OK;
    case JCS_CMYK:
    case JCS_YCCK:
        return octet_fail(d->err, OCTET_ERR_UNSUPPORTED, "JPEG: colour space CMYK is not supported (need gray or RGB)");
    default:
        return octet_fail(d->err, OCTET_ERR_UNSUPPORTED,
                          "JPEG: %d colour components of unknown meaning (need gray or RGB)", d->jpeg.num_components);
    }
}

static octet_status decode(decoder *d, octet_arena *arena, size_t max_pixels)
{
    if (!guarded(d, read_header)) return d->status;
    OCTET_TRY(octet_image_check_size(d->jpeg.image_width, d->jpeg.image_height, max_pixels, d->err));
    OCTET_TRY(check_color(d));
    const int channels = d->jpeg.jpeg_color_space == JCS_GRAYSCALE ? 1 : 3;
    OCTET_TRY(octet_image_new(d->image, arena, (int)d->jpeg.image_width, (int)d->jpeg.image_height, channels, d->err));
    return guarded(d, read_pixels) ? OCTET_OK : d->status;
}

octet_status octet_jpeg_decode(octet_image *image, octet_arena *arena, const uint8_t *bytes, size_t size,
                               size_t max_pixels, octet_error *err)
{
    decoder *d; /* not on the stack: it must be the same after longjmp */
    OCTET_TRY(octet_arena_get(&d, arena, 1, sizeof *d, err));
    *d = (decoder){.bytes = bytes, .size = size, .image = image, .err = err};
    d->jpeg.err = jpeg_std_error(&d->errors);
    d->jpeg.client_data = d;
    d->errors.error_exit = on_error;
    d->errors.emit_message = on_message;
    d->progress.progress_monitor = on_progress;
    const octet_status status = decode(d, arena, max_pixels);
    jpeg_destroy_decompress(&d->jpeg);
    return status;
}
