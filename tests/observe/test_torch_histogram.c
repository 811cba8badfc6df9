/* SPDX-License-Identifier: Apache-2.0 */
/* HistogramObserver against PyTorch's own text, which spreads the old counts over an array of fine bins (the recorded
   vectors of 1.13 are the golden runner's), and what tells its two versions apart. */
#include "observe/torch_histogram.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SIZE = 500, BINS = 64, UP = OCTET_TORCH_UPSAMPLE };

static float uniform(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) * 0x1p-24f;
}

/* ---- PyTorch's text, one step after another ---- */

typedef struct slow {
    bool  seen, truncates;
    float min, max, counts[BINS];
} slow;

static void slow_histc(float *counts, const float *x, float lo, float hi)
{
    float least = x[0], most = x[0];
    for (int i = 1; i < SIZE; i++) least = fminf(least, x[i]), most = fmaxf(most, x[i]);
    if (lo == hi) lo = least, hi = most;
    if (lo == hi) lo -= 1, hi += 1;
    memset(counts, 0, BINS * sizeof *counts);
    for (int i = 0; i < SIZE; i++) {
        if (x[i] < lo || x[i] > hi) continue;
        int64_t at = (int64_t)((x[i] - lo) * BINS / (hi - lo));
        counts[at == BINS ? BINS - 1 : at] += 1;
    }
}

static float edge(const slow *s, float x) { return s->truncates ? (float)(int)x : x; }

static void slow_observe(slow *s, const float *x)
{
    float least = x[0], most = x[0], fresh[BINS];
    for (int i = 1; i < SIZE; i++) least = fminf(least, x[i]), most = fmaxf(most, x[i]);
    if (!s->seen || s->min == s->max) {
        s->seen = true, s->min = least, s->max = most;
        slow_histc(s->counts, x, edge(s, least), edge(s, most));
        return;
    }
    const float low = fminf(least, s->min), width = (s->max - s->min) / (float)(BINS * UP), all = BINS * width;
    float       high = fmaxf(most, s->max);
    const int   down = (int)ceilf((high - low) / all), start = (int)rintf((s->min - low) / width);
    high += (float)down * all - (high - low);
    slow_histc(fresh, x, edge(s, low), edge(s, high));
    if (low == s->min && high == s->max) {
        for (int i = 0; i < BINS; i++) s->counts[i] += fresh[i];
        return;
    }
    float *const fine = calloc((size_t)BINS * (size_t)down + UP, sizeof *fine);
    assert_non_null(fine);
    for (int i = 0; i < BINS * UP && start + i < BINS * down; i++) fine[start + i] = s->counts[i / UP];
    double sum = 0, before = 0;
    for (int i = 0, at = 0; i < BINS; i++) {
        for (int k = 0; k < down; k++) sum += (double)fine[at++];
        fresh[i] += (float)((sum - before) / UP);
        before = (double)(float)sum;
    }
    free(fine);
    memcpy(s->counts, fresh, sizeof fresh);
    s->min = low, s->max = high;
}

/* ---- streams ---- */

enum stream { STEADY, GROWING, OUTLIER, SMALL, CONSTANT, STREAMS };

static void fill(float *x, enum stream stream, int batch, uint32_t *state)
{
    const float width = stream == GROWING ? 1 + 0.7f * (float)batch : stream == SMALL ? 0.3f : 3.3f;
    for (int i = 0; i < SIZE; i++) x[i] = stream == CONSTANT && batch < 2 ? 4 : (uniform(state) * 2 - 0.9f) * width;
    if (stream == OUTLIER && batch == 2) x[17] = 4000;
}

static void batches_give_what_torchs_text_gives(void **unused)
{
    (void)unused;
    static octet_torch_histogram h;
    for (int k = 0; k < 2 * STREAMS; k++) {
        uint32_t state = 5;
        slow     s     = { .truncates = k % 2 };
        memset(&h, 0, sizeof h);
        h.bins      = BINS;
        h.truncates = s.truncates;
        for (int batch = 0; batch < 5; batch++) {
            float x[SIZE];
            fill(x, (enum stream)(k / 2), batch, &state);
            slow_observe(&s, x);
            octet_torch_histogram_observe(&h, x, SIZE);
            assert_true(h.range.min == s.min && h.range.max == s.max);
            for (int i = 0; i < BINS; i++)
                if (h.counts[i] != s.counts[i])
                    fail_msg("stream %d, batch %d, bin %d: %g, want %g", k / 2, batch, i, (double)h.counts[i],
                             (double)s.counts[i]);
        }
    }
}

/* Pull request 90355: 1.13 counts between -1 and 1 what lies between -1.45 and 1.45. */
static void truncation_drops_values(void **unused)
{
    (void)unused;
    static octet_torch_histogram versions[2];
    float    x[10000], total[2] = { 0, 0 };
    uint32_t state = 3;
    for (int i = 0; i < 10000; i++) x[i] = (uniform(&state) * 2 - 1) * 1.45f;
    versions[1].truncates = true;
    for (int k = 0; k < 2; k++) {
        octet_torch_histogram_observe(&versions[k], x, 10000);
        for (int i = 0; i < OCTET_TORCH_BINS; i++) total[k] += versions[k].counts[i];
        assert_true(fabsf(versions[k].range.max - 1.45f) < 1e-3f);
    }
    assert_true(total[0] == 10000);
    assert_true(total[1] > 6700 && total[1] < 7100);
}

/* The ends of a normal distribution are cut, those of an even one are not; nothing seen stays so. */
static void the_search_cuts_what_is_rare(void **unused)
{
    (void)unused;
    static octet_torch_histogram even, rare, empty;
    float    x[20000];
    uint32_t state = 9;
    for (int i = 0; i < 20000; i++) x[i] = uniform(&state) * 2 - 1;
    octet_torch_histogram_observe(&even, x, 20000);
    for (int i = 0; i < 20000; i++) {
        x[i] = 0;
        for (int k = 0; k < 12; k++) x[i] += uniform(&state) - 0.5f;
    }
    octet_torch_histogram_observe(&rare, x, 20000);
    const octet_range whole = octet_torch_histogram_search(&even), cut = octet_torch_histogram_search(&rare);
    assert_true(whole.min < -0.98f && whole.max > 0.98f);
    assert_true(cut.max > 2 && cut.min < -2);
    assert_true(cut.max - cut.min < 0.999f * (rare.range.max - rare.range.min));
    octet_torch_histogram_observe(&empty, x, 0);
    assert_false(octet_torch_histogram_search(&empty).seen);
}

/* Neither outliers nor ranges that float32 hardly holds lead out of the bins. */
static void absurd_ranges_are_survived(void **unused)
{
    (void)unused;
    static const float values[] = { 1e-44f, 2e-44f, 1, -3e38f, 3e38f, NAN, INFINITY, 0 };
    static octet_torch_histogram h;
    for (int i = 0; i < 64; i++) {
        const float x[] = { values[i % 8], values[i / 8] };
        memset(&h, 0, sizeof h);
        octet_torch_histogram_observe(&h, x, 2);
        octet_torch_histogram_observe(&h, x + 1, 1);
        octet_torch_histogram_observe(&h, values, 5);
        (void)octet_torch_histogram_search(&h);
        assert_true(h.range.seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_give_what_torchs_text_gives),
        cmocka_unit_test(truncation_drops_values),
        cmocka_unit_test(the_search_cuts_what_is_rare),
        cmocka_unit_test(absurd_ranges_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
