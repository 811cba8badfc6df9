/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding and resizing against pixels that Pillow made (tools/make_resize_golden.py), bit for bit; and what the
   decoders refuse. */
#include "data_case.h"

#include "data/image.h"

#include <jpeglib.h>
#include <png.h>

static const char *golden(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/resize/%s", OCTET_SOURCE_DIR, name);
    return path;
}

/* Bytes of raw from *at on are the image's; *at moves past them. */
static void expect_pixels(const octet_image *image, const char *name, const octet_file *raw, size_t *at)
{
    const size_t size = image->stride * (size_t)image->height;
    assert_true(size <= raw->size - *at);
    for (size_t i = 0; i < size; i++)
        if (raw->data[*at + i] != image->pixels[i])
            fail_msg("%s: byte %zu is %d, Pillow's is %d", name, i, image->pixels[i], raw->data[*at + i]);
    *at += size;
}

static octet_file read_golden(const char *name)
{
    octet_file  file;
    octet_error err = {0};
    assert_int_equal(octet_file_read(&file, golden(name), 0, &err), OCTET_OK);
    return file;
}

/* The inputs of the golden cases: see the script. */
static void fill(octet_image *image, bool extreme)
{
    uint32_t     state = (uint32_t)image->width * 65536 + (uint32_t)image->height;
    const size_t count = image->stride * (size_t)image->height;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        const uint8_t byte = (uint8_t)(state >> 24);
        image->pixels[i] = extreme ? (byte > 127 ? 255 : 0) : byte;
    }
}

static void test_resize(void **state)
{
    char        name[128], filter[16], kind[16];
    int         w, h, c, size[2], cases = 0;
    size_t      at = 0;
    octet_file  raw = read_golden("resize.raw");
    FILE *const index = fopen(golden("resize.tsv"), "r");
    (void)state;
    assert_non_null(index);
    while (fscanf(index, "%127s %15s %d %d %d %15s %d %d", name, filter, &w, &h, &c, kind, &size[0], &size[1]) == 8) {
        octet_arena *const arena = octet_arena_new();
        octet_error        err = {0};
        octet_image        image;
        assert_int_equal(octet_image_new(&image, arena, w, h, c, &err), OCTET_OK);
        fill(&image, !strcmp(kind, "extreme"));
        assert_int_equal(octet_image_resize(&image, arena, size, filter, &err), OCTET_OK);
        expect_pixels(&image, name, &raw, &at);
        octet_arena_free(arena);
        cases++;
    }
    fclose(index);
    assert_int_equal(cases, 42);
    assert_int_equal(at, raw.size);
    octet_file_close(&raw);
}

static void test_decode(void **state)
{
    char        name[128];
    int         w, h, c, cases = 0;
    size_t      at = 0;
    octet_file  raw = read_golden("decode.raw");
    FILE *const index = fopen(golden("decode.tsv"), "r");
    (void)state;
    assert_non_null(index);
    while (fscanf(index, "%127s %d %d %d", name, &w, &h, &c) == 4) {
        octet_arena *const arena = octet_arena_new();
        octet_error        err = {0};
        octet_image        image;
        octet_file         file = read_golden(name);
        assert_int_equal(octet_image_decode(&image, arena, file.data, file.size, 0, &err), OCTET_OK);
        assert_int_equal(image.width, w);
        assert_int_equal(image.height, h);
        assert_int_equal(image.channels, c);
        expect_pixels(&image, name, &raw, &at);
        octet_file_close(&file);
        octet_arena_free(arena);
        cases++;
    }
    fclose(index);
    assert_int_equal(cases, 12);
    assert_int_equal(at, raw.size);
    octet_file_close(&raw);
}

/* Every prefix of a file is refused, and none is read past its end (run under a sanitizer). */
static void refuse_prefixes(const char *name)
{
    octet_file file = read_golden(name);
    for (size_t size = 0; size + 2 < file.size; size++) { /* the last two bytes are only the end's marker */
        octet_arena *const arena = octet_arena_new();
        uint8_t *const     part = malloc(size + 1);
        octet_error        why = {0};
        octet_image        image;
        memcpy(part, file.data, size);
        assert_int_not_equal(octet_image_decode(&image, arena, part, size, 0, &why), OCTET_OK);
        assert_true(why.text[0] != '\0');
        free(part);
        octet_arena_free(arena);
    }
    octet_file_close(&file);
}

static void test_truncated(void **state)
{
    (void)state;
    refuse_prefixes("rgb.png");
    refuse_prefixes("gray.jpg");
    refuse_prefixes("progressive.jpg");
}

/* Flipped bytes never crash; whether they are noticed depends on where they are. */
static void test_mutated(void **state)
{
    static const char *const names[] = {"rgb420.jpg", "progressive.jpg", "palette.png", "rgba.png"};
    uint32_t                 random = 1;
    (void)state;
    for (size_t n = 0; n < 4; n++) {
        octet_file     file = read_golden(names[n]);
        uint8_t *const copy = malloc(file.size);
        for (int round = 0; round < 400; round++) {
            octet_arena *const arena = octet_arena_new();
            octet_image        image;
            octet_error        why = {0};
            memcpy(copy, file.data, file.size);
            for (int flip = 0; flip < 3; flip++) {
                random = random * 1664525u + 1013904223u;
                copy[(random >> 8) % file.size] ^= (uint8_t)(random >> 3 | 1);
            }
            octet_image_decode(&image, arena, copy, file.size, 100000, &why);
            octet_arena_free(arena);
        }
        free(copy);
        octet_file_close(&file);
    }
}

static void test_limit(void **state)
{
    octet_arena *const arena = octet_arena_new();
    octet_error        err = {0};
    octet_file         file = read_golden("rgb.png");
    octet_image        image;
    (void)state;
    assert_int_equal(octet_image_decode(&image, arena, file.data, file.size, 37 * 29 - 1, &err), OCTET_ERR_LIMIT);
    assert_string_equal(err.field, "max-pixels");
    assert_int_equal(octet_image_decode(&image, arena, file.data, file.size, 37 * 29, NULL), OCTET_OK);
    octet_file_close(&file);
    octet_arena_free(arena);
}

/* A 16-bit PNG gives its high bytes; written by libpng here because Pillow clips gray ones instead. */
static void test_sixteen_bits(void **state)
{
    const char *const path = in_scratch("deep.png");
    FILE *const       out = fopen(path, "wb");
    png_structp       png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop         info = png_create_info_struct(png);
    png_byte          row[6] = {0x00, 0xff, 0x7f, 0x80, 0xfe, 0x01};
    (void)state;
    png_init_io(png, out);
    png_set_IHDR(png, info, 3, 1, 16, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    png_write_row(png, row);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    fclose(out);
    octet_arena *const arena = octet_arena_new();
    octet_error        err = {0};
    octet_file         file;
    octet_image        image;
    assert_int_equal(octet_file_read(&file, path, 0, &err), OCTET_OK);
    assert_int_equal(octet_image_decode(&image, arena, file.data, file.size, 0, &err), OCTET_OK);
    assert_int_equal(image.channels, 1);
    assert_memory_equal(image.pixels, ((const uint8_t[]){0x00, 0x7f, 0xfe}), 3);
    octet_file_close(&file);
    octet_arena_free(arena);
}

/* A JPEG of three components, each in a scan of its own. Returns its size; bytes is malloc's. */
static size_t make_scans(unsigned char **bytes)
{
    static const jpeg_scan_info scans[] = {{1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr       errors;
    unsigned long               size = 0;
    JSAMPLE                     pixels[3 * 8] = {200, 100, 50};
    JSAMPROW                    row = pixels;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    *bytes = NULL;
    jpeg_mem_dest(&jpeg, bytes, &size);
    jpeg.image_width = jpeg.image_height = 8;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg.scan_info = scans;
    jpeg.num_scans = 3;
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < 8; y++) jpeg_write_scanlines(&jpeg, &row, 1);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return size;
}

/* The last scan repeated: 100 scans are decoded, 101 are not. */
static void test_scan_limit(void **state)
{
    unsigned char *bytes;
    const size_t   size = make_scans(&bytes);
    size_t         last = size - 2;
    (void)state;
    while (bytes[last] != 0xff || bytes[last + 1] != 0xda) last--;
    const size_t scan = size - 2 - last;
    for (size_t copies = 97; copies <= 98; copies++) {
        octet_arena *const arena = octet_arena_new();
        octet_error        err = {0};
        octet_image        image;
        uint8_t *const     bomb = malloc(size + copies * scan);
        memcpy(bomb, bytes, size - 2);
        for (size_t i = 0; i < copies; i++) memcpy(bomb + size - 2 + i * scan, bytes + last, scan);
        memcpy(bomb + size - 2 + copies * scan, "\xff\xd9", 2);
        const octet_status status = octet_image_decode(&image, arena, bomb, size + copies * scan, 0, &err);
        assert_int_equal(status, copies == 97 ? OCTET_OK : OCTET_ERR_LIMIT);
        if (status != OCTET_OK) assert_non_null(strstr(err.text, "more than 100 scans"));
        free(bomb);
        octet_arena_free(arena);
    }
    free(bytes);
}

/* ITU-R 601 weights in 16-bit fixed point: 0.299, 0.587, 0.114. */
static void test_gray(void **state)
{
    octet_arena *const arena = octet_arena_new();
    octet_error        err = {0};
    octet_image        image;
    (void)state;
    assert_int_equal(octet_image_new(&image, arena, 4, 1, 3, &err), OCTET_OK);
    memcpy(image.pixels, (const uint8_t[]){255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255}, 12);
    assert_int_equal(octet_image_to_gray(&image, arena, &err), OCTET_OK);
    assert_memory_equal(image.pixels, ((const uint8_t[]){76, 150, 29, 255}), 4);
    assert_int_equal(octet_image_to_color(&image, arena, &err), OCTET_OK);
    assert_memory_equal(image.pixels + 3, ((const uint8_t[]){150, 150, 150}), 3);
    octet_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize),     cmocka_unit_test(test_decode),       cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_mutated),    cmocka_unit_test(test_sixteen_bits), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_scan_limit), cmocka_unit_test(test_gray),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
