/* SPDX-License-Identifier: Apache-2.0 */
/* Augmentation against what it can only be: for some shift within the crop and some mirroring, every pixel of the
   result is the pixel of the image there, or 0 outside. */
#include "support.h"

#include "train/augment.h"

enum { PLANES = 3, HEIGHT = 5, WIDTH = 4, NUMBERS = PLANES * HEIGHT * WIDTH, CROP = 2 };

static const octet_image_shape channels_first = { PLANES, HEIGHT, WIDTH, 1 };
static const octet_image_shape channels_last  = { 1, HEIGHT, WIDTH, PLANES };

static size_t place(const octet_image_shape *s, size_t plane, int row, int column)
{
    return s->planes > 1 ? (plane * HEIGHT + (size_t)row) * WIDTH + (size_t)column
                         : ((size_t)row * WIDTH + (size_t)column) * PLANES + plane;
}

static bool is(const float *out, const float *x, const octet_image_shape *s, const int *move)
{
    for (size_t p = 0; p < PLANES; p++)
        for (int i = 0; i < HEIGHT; i++)
            for (int j = 0; j < WIDTH; j++) {
                const int   row = i + move[0], column = (move[2] ? WIDTH - 1 - j : j) + move[1];
                const bool  inside = row >= 0 && row < HEIGHT && column >= 0 && column < WIDTH;
                const float want   = inside ? x[place(s, p, row, column)] : 0;
                if (out[place(s, p, i, j)] != want) return false;
            }
    return true;
}

/* How often every move was made over 3000 samples of one epoch. */
static void count_moves(size_t counts[5][5][2], const octet_image_shape *shape, const octet_augment *augment)
{
    random_state r = { 1 };
    for (size_t sample = 0; sample < 3000; sample++) {
        float x[NUMBERS], out[NUMBERS];
        int   found = 0;
        random_fill(&r, x, NUMBERS, 1, 2);
        octet_augment_sample(out, x, shape, augment, 4, sample);
        for (int down = -CROP; down <= CROP; down++)
            for (int right = -CROP; right <= CROP; right++)
                for (int flip = 0; flip < 2; flip++)
                    if (is(out, x, shape, (int[]){ down, right, flip })) {
                        counts[down + CROP][right + CROP][flip]++;
                        found++;
                    }
        assert_int_equal(found, 1);
    }
}

static void test_moves(void **state)
{
    (void)state;
    size_t              first[5][5][2] = { { { 0 } } }, last[5][5][2] = { { { 0 } } };
    const octet_augment augment = { .flip = true, .crop = CROP, .seed = 9 };
    count_moves(first, &channels_first, &augment);
    count_moves(last, &channels_last, &augment);
    assert_memory_equal(first, last, sizeof first);
    for (size_t i = 0; i < 50; i++) assert_in_range(first[i / 10][i / 2 % 5][i % 2], 15, 105); /* 60 +- 6 deviations */
}

static void test_nothing_asked(void **state)
{
    (void)state;
    random_state r = { 2 };
    for (size_t sample = 0; sample < 20; sample++) {
        float x[NUMBERS], out[NUMBERS];
        random_fill(&r, x, NUMBERS, 1, 2);
        octet_augment_sample(out, x, &channels_first, &(octet_augment){ .seed = 9 }, 0, sample);
        assert_memory_equal(out, x, sizeof x);
    }
}

/* Sample and epoch and seed decide; switching the crop on keeps who is mirrored. */
static void test_decided(void **state)
{
    (void)state;
    random_state r = { 3 };
    size_t       other[3] = { 0 };
    float        x[NUMBERS], a[NUMBERS], b[NUMBERS];
    random_fill(&r, x, NUMBERS, 1, 2);
    const octet_augment augment = { .flip = true, .crop = CROP, .seed = 9 }, reseeded = { true, CROP, 10 };
    for (size_t sample = 0; sample < 100; sample++) {
        octet_augment_sample(a, x, &channels_first, &augment, 1, sample);
        octet_augment_sample(b, x, &channels_first, &augment, 1, sample);
        assert_memory_equal(a, b, sizeof a);
        octet_augment_sample(b, x, &channels_first, &augment, 1, sample + 1);
        other[0] += memcmp(a, b, sizeof a) != 0;
        octet_augment_sample(b, x, &channels_first, &augment, 2, sample);
        other[1] += memcmp(a, b, sizeof a) != 0;
        octet_augment_sample(b, x, &channels_first, &reseeded, 1, sample);
        other[2] += memcmp(a, b, sizeof a) != 0;
    }
    for (int i = 0; i < 3; i++) assert_true(other[i] > 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_moves), cmocka_unit_test(test_nothing_asked),
                                        cmocka_unit_test(test_decided) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
