/* SPDX-License-Identifier: Apache-2.0 */
/* Crop, then flip, as recipes for small images have it. All three draws are made whatever is asked for, so that
   switching one on does not change the other. */
#include "train/augment.h"

#include "base/random.h"

#include <string.h>

/* What one row of out is: columns first .. end of it lie within x; they come from column + shift, or mirrored. */
typedef struct row_rule {
    size_t    width, pixel;
    ptrdiff_t shift;
    bool      flip;
} row_rule;

static void make_row(float *out, const float *x, const row_rule *rule)
{
    const ptrdiff_t width = (ptrdiff_t)rule->width;
    for (ptrdiff_t i = 0; i < width; i++) {
        const ptrdiff_t from = (rule->flip ? width - 1 - i : i) + rule->shift;
        float *const    to   = out + (size_t)i * rule->pixel;
        if (from < 0 || from >= width) memset(to, 0, rule->pixel * sizeof *to);
        else memcpy(to, x + (size_t)from * rule->pixel, rule->pixel * sizeof *to);
    }
}

/* In -crop .. crop. */
static ptrdiff_t draw_shift(uint64_t *state, int crop)
{
    return (ptrdiff_t)octet_random_below(state, 2 * (uint64_t)crop + 1) - crop;
}

void octet_augment_sample(float *out, const float *x, const octet_image_shape *shape, const octet_augment *augment,
                          size_t epoch, size_t sample)
{
    uint64_t        state = octet_random_stream(octet_random_stream(augment->seed, epoch), sample);
    const bool      flip  = octet_random_bits(&state) >> 63;
    const ptrdiff_t down  = draw_shift(&state, augment->crop), height = (ptrdiff_t)shape->height;
    const row_rule  rule  = { shape->width, shape->pixel, draw_shift(&state, augment->crop), flip && augment->flip };
    const size_t    row   = shape->width * shape->pixel;
    for (size_t p = 0; p < shape->planes; p++)
        for (ptrdiff_t i = 0; i < height; i++, out += row) {
            const ptrdiff_t from = i + down;
            if (from < 0 || from >= height) memset(out, 0, row * sizeof *out);
            else make_row(out, x + (p * shape->height + (size_t)from) * row, &rule);
        }
}
