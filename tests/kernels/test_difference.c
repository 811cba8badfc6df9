/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of differences of every set against plain loops over lanes, bit for bit, with ties, NaN and infinities among the
   numbers, and nothing read or written beyond. */
#include "fence.h"

#include <math.h>

static float any_number(random_state *r, float scale)
{
    static const float rare[] = { NAN, INFINITY, -INFINITY, -0.0f, 1e-42f, 3e38f };
    const uint32_t     kind   = (uint32_t)random_int(r, 0, 63);
    if (kind < sizeof rare / sizeof *rare) return rare[kind];
    return kind < 20 ? (float)random_int(r, -600, 600) * 0.5f * scale : random_float(r, -300, 300) * scale;
}

static void add(octet_difference *to, size_t i, float r, float measured)
{
    const size_t lane = i % OCTET_DIFFERENCE_LANES;
    const float  d    = r - measured;
    to->signal[lane] += (double)r * (double)r;
    to->noise[lane] += (double)d * (double)d;
    to->cross[lane] += (double)r * (double)d;
    if (fabsf(d) > to->most) to->most = fabsf(d);
}

/* NaN has many forms. */
static void same_sums(const double *found, const double *expected, const char *set, const char *what)
{
    for (int i = 0; i < OCTET_DIFFERENCE_LANES; i++)
        if (memcmp(&found[i], &expected[i], sizeof *found) != 0 && !(isnan(found[i]) && isnan(expected[i])))
            fail_msg("%s, %s, lane %d: %.17g, should be %.17g", set, what, i, found[i], expected[i]);
}

static void same(const octet_difference *found, const octet_difference *expected, const char *set)
{
    same_sums(found->signal, expected->signal, set, "signal");
    same_sums(found->noise, expected->noise, set, "noise");
    same_sums(found->cross, expected->cross, set, "cross");
    same_sums(found->second, expected->second, set, "second");
    assert_memory_equal(&found->most, &expected->most, sizeof found->most);
}

static void test_reals(void **state)
{
    (void)state;
    random_state r = { 1 };
    for (size_t n = 0; n < 70; n++) {
        fenced               a = fenced_make(n * sizeof(float)), b = fenced_make(n * sizeof(float));
        float *const         x = (float *)(void *)a.bytes, *const y = (float *)(void *)b.bytes;
        octet_difference     expected = { .most = n % 3 ? 0 : 7.5f };
        const octet_kernels *set;
        expected.cross[3] = -2.25;
        const octet_difference before = expected;
        for (size_t i = 0; i < n; i++) {
            x[i] = any_number(&r, n % 2 ? 1 : 0.01f);
            y[i] = any_number(&r, 1);
            add(&expected, i, x[i], y[i]);
        }
        for (size_t at = 0; (set = next_set(&at));) {
            octet_difference found = before;
            set->difference->reals(&found, x, y, n);
            same(&found, &expected, set->name);
        }
        fenced_free(&a);
        fenced_free(&b);
    }
}

/* One random case: numbers up to fences, and what they should become. */
typedef struct levels_case {
    octet_compared_levels how;
    fenced                real, whole, fed;
    uint8_t              *before, *after; /* of fed */
    octet_difference      expected;
} levels_case;

static void define(levels_case *c, random_state *r)
{
    const octet_compared_levels *const h = &c->how;
    for (size_t p = 0; p < h->pixels; p++)
        for (size_t k = 0; k < h->channels; k++) {
            const size_t at = p * h->pixel + k;
            const float  x  = any_number(r, h->scale), t = x / h->scale;
            const float  second = x - (float)(c->before[at] - h->to.zero_point) * h->scale;
            ((float *)(void *)c->real.bytes)[p * h->block + k] = x;
            add(&c->expected, k, x, (float)(c->whole.bytes[at] - h->to.zero_point) * h->scale);
            c->expected.second[k % OCTET_DIFFERENCE_LANES] += (double)second * (double)second;
            c->after[at] = level_of(isnan(t) ? 0 : t, &h->to);
        }
}

static levels_case make_case(random_state *r, size_t channels)
{
    levels_case c = { .how = { .pixels = (size_t)random_int(r, 1, 5), .channels = channels,
                               .pixel = channels + (size_t)random_int(r, 0, 9), .scale = random_float(r, 0.001f, 3),
                               .to = random_target(r) } };
    c.how.block        = channels + (size_t)random_int(r, 0, 3);
    const size_t bytes = (c.how.pixels - 1) * c.how.pixel + channels;
    c.real   = fenced_make(((c.how.pixels - 1) * c.how.block + channels) * sizeof(float));
    c.whole  = fenced_make(bytes);
    c.fed    = fenced_make(bytes);
    c.before = malloc(bytes);
    c.after  = malloc(bytes);
    assert_true(c.before && c.after);
    fill_bytes(r, c.whole.bytes, bytes, FILL_RANDOM, 0);
    fill_bytes(r, c.before, bytes, FILL_RANDOM, 0);
    memcpy(c.after, c.before, bytes);
    define(&c, r);
    return c;
}

static void test_levels(void **state)
{
    (void)state;
    random_state r = { 2 };
    for (size_t channels = 1; channels <= 80; channels++) {
        levels_case          c = make_case(&r, channels);
        const octet_kernels *set;
        for (size_t at = 0; (set = next_set(&at));) {
            octet_difference found = { 0 };
            memcpy(c.fed.bytes, c.before, c.fed.size);
            set->difference->levels(&found, &c.how, (const float *)(void *)c.real.bytes, c.whole.bytes, c.fed.bytes);
            same(&found, &c.expected, set->name);
            same_bytes(c.fed.bytes, c.after, c.fed.size, set->name);
        }
        fenced_free(&c.real);
        fenced_free(&c.whole);
        fenced_free(&c.fed);
        free(c.before);
        free(c.after);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reals),
        cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
