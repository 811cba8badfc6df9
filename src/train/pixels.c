/* SPDX-License-Identifier: Apache-2.0 */
/* Planes and pixels: every image is a matrix that is transposed, tile by tile. */
#include "train/pixels.h"

#include "base/parallel.h"

enum { TILE = 16 };

typedef struct turn_work {
    char       *to;
    const char *from;
    size_t      rows, columns, bytes; /* of from; of an image */
    void (*tile)(char *to, const char *from, const struct turn_work *w, size_t row, size_t column);
} turn_work;

bool octet_turns(const octet_tensor *shape)
{
    if (shape->rank < 3 || shape->dims[1] <= 1) return false;
    for (int i = 2; i < shape->rank; i++)
        if (shape->dims[i] != 1) return true;
    return false;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

#define TILE_OF(name, type, op)                                                                         \
    static void name(char *to, const char *from, const turn_work *w, size_t row, size_t column)         \
    {                                                                                                   \
        type *const       y = (type *)(void *)to;                                                       \
        const type *const x = (const type *)(const void *)from;                                         \
        const size_t      rows = least(row + TILE, w->rows), columns = least(column + TILE, w->columns); \
        for (size_t c = column; c < columns; c++)                                                       \
            for (size_t r = row; r < rows; r++) y[c * w->rows + r] op x[r * w->columns + c];            \
    }

TILE_OF(tile_1, uint8_t, =)
TILE_OF(tile_2, uint16_t, =)
TILE_OF(tile_4, uint32_t, =)
TILE_OF(tile_8, uint64_t, =)
TILE_OF(tile_add, float, +=)

static void turn_image(void *context, size_t image)
{
    const turn_work *const w = context;
    for (size_t row = 0; row < w->rows; row += TILE)
        for (size_t column = 0; column < w->columns; column += TILE)
            w->tile(w->to + image * w->bytes, w->from + image * w->bytes, w, row, column);
}

static void run(turn_work *w, const octet_tensor *shape, octet_turn_to how, int threads)
{
    const size_t images = (size_t)shape->dims[0], channels = (size_t)shape->dims[1];
    const size_t pixels = (size_t)octet_tensor_count(shape) / images / channels;
    w->rows    = how == OCTET_TO_PLANES ? pixels : channels;
    w->columns = how == OCTET_TO_PLANES ? channels : pixels;
    w->bytes   = (size_t)octet_tensor_bytes(shape) / images;
    octet_parallel(images, threads, turn_image, w);
}

void octet_turn(void *to, const void *from, const octet_tensor *shape, octet_turn_to how, int threads)
{
    const size_t element = octet_dtype_size(shape->dtype);
    turn_work    w       = { .to = to, .from = from,
                             .tile = element == 1 ? tile_1 : element == 2 ? tile_2 : element == 4 ? tile_4 : tile_8 };
    run(&w, shape, how, threads);
}

void octet_turn_add(float *to, const float *from, const octet_tensor *shape, octet_turn_to how, int threads)
{
    turn_work w = { .to = (char *)to, .from = (const char *)from, .tile = tile_add };
    run(&w, shape, how, threads);
}
