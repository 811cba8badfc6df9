/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that work element by element, and over windows, of every set against the definitions of docs/arithmetic.md:
   lengths around the widths of vectors, fills that reach the extremes, nothing read or written beyond. */
#include "fence.h"

enum { GUARD = 0xa5 };

static const size_t lengths[] = { 1,   2,   3,   5,   7,   8,   15,  16,  17,  31,  32,  33,  48, 63,
                                  64,  65,  100, 127, 128, 129, 255, 256, 257, 300, 511, 513, 1000 };

enum { LENGTHS = sizeof lengths / sizeof *lengths };

/* Two inputs and an output, each up to a fence. */
typedef struct element_case {
    fenced a, b, y, expected;
    size_t n;
} element_case;

static element_case make_case(random_state *r, size_t n, fill how)
{
    element_case c = { fenced_make(n), fenced_make(n), fenced_make(n), fenced_make(n), n };
    fill_bytes(r, c.a.bytes, n, how, 0);
    fill_bytes(r, c.b.bytes, n, how, 0);
    return c;
}

static void free_case(element_case *c)
{
    fenced_free(&c->a);
    fenced_free(&c->b);
    fenced_free(&c->y);
    fenced_free(&c->expected);
}

static void verify_case(const element_case *c, const octet_kernels *set, const char *what)
{
    char text[120];
    snprintf(text, sizeof text, "%s, %s, n %zu", set->name, what, c->n);
    same_bytes(c->y.bytes, c->expected.bytes, c->n, text);
    memset(c->y.bytes, GUARD, c->n);
}

/* Mostly ordinary scales, sometimes such that every result saturates. */
static float random_multiplier(random_state *r)
{
    return random_float(r, 0.01f, 2.0f) * (random_bits(r) % 8 == 0 ? 1e30f : 1.0f);
}

static void check_add(element_case *c, random_state *r)
{
    const octet_add_levels rule = {
        .a_zero = (int32_t)random_int(r, 0, 255), .b_zero = (int32_t)random_int(r, 0, 255),
        .a_multiplier = random_multiplier(r),
        .b_multiplier = random_multiplier(r) * (random_bits(r) & 1 ? -1.0f : 1.0f),
        .to = random_target(r),
    };
    for (size_t i = 0; i < c->n; i++) {
        const float a = (float)(c->a.bytes[i] - rule.a_zero) * rule.a_multiplier;
        const float b = (float)(c->b.bytes[i] - rule.b_zero) * rule.b_multiplier;
        c->expected.bytes[i] = level_of(a + b, &rule.to);
    }
    const octet_kernels *set;
    for (size_t at = 0; (set = next_set(&at));) {
        set->element->add(c->y.bytes, c->a.bytes, c->b.bytes, c->n, &rule);
        verify_case(c, set, "add");
    }
}

static void check_mul(element_case *c, random_state *r)
{
    const octet_mul_levels rule = { .a_zero = (int32_t)random_int(r, 0, 255), .b_zero = (int32_t)random_int(r, 0, 255),
                                    .multiplier = random_multiplier(r) * 0.01f, .to = random_target(r) };
    for (size_t i = 0; i < c->n; i++) {
        const int32_t product = (c->a.bytes[i] - rule.a_zero) * (c->b.bytes[i] - rule.b_zero);
        c->expected.bytes[i] = level_of((float)product * rule.multiplier, &rule.to);
    }
    const octet_kernels *set;
    for (size_t at = 0; (set = next_set(&at));) {
        set->element->mul(c->y.bytes, c->a.bytes, c->b.bytes, c->n, &rule);
        verify_case(c, set, "mul");
    }
}

static void check_rescale(element_case *c, random_state *r)
{
    const octet_rescale_levels rule = { .zero = (int32_t)random_int(r, 0, 255), .multiplier = random_multiplier(r),
                                        .to = random_target(r) };
    for (size_t i = 0; i < c->n; i++)
        c->expected.bytes[i] = level_of((float)(c->a.bytes[i] - rule.zero) * rule.multiplier, &rule.to);
    const octet_kernels *set;
    for (size_t at = 0; (set = next_set(&at));) {
        set->element->rescale(c->y.bytes, c->a.bytes, c->n, &rule);
        verify_case(c, set, "rescale");
    }
}

static void check_bytes(element_case *c, random_state *r)
{
    const octet_to_levels to = random_target(r);
    uint8_t               table[256];
    const octet_kernels  *set;
    fill_bytes(r, table, sizeof table, FILL_RANDOM, 0);
    for (size_t i = 0; i < c->n; i++) c->expected.bytes[i] = table[c->a.bytes[i]];
    for (size_t at = 0; (set = next_set(&at));) {
        set->element->look_up(c->y.bytes, c->a.bytes, c->n, table);
        verify_case(c, set, "look_up");
    }
    for (size_t i = 0; i < c->n; i++) {
        const int q = c->a.bytes[i];
        c->expected.bytes[i] = (uint8_t)(q < to.lo ? to.lo : q > to.hi ? to.hi : q);
    }
    for (size_t at = 0; (set = next_set(&at));) {
        set->element->clamp(c->y.bytes, c->a.bytes, c->n, (uint8_t)to.lo, (uint8_t)to.hi);
        verify_case(c, set, "clamp");
    }
}

static void test_elements(void **state)
{
    (void)state;
    random_state r = { 3 };
    for (size_t i = 0; i < LENGTHS; i++)
        for (int round = 0; round < 4 * FILLS; round++) {
            element_case c = make_case(&r, lengths[i], (fill)(round % FILLS));
            check_add(&c, &r);
            check_mul(&c, &r);
            check_rescale(&c, &r);
            check_bytes(&c, &r);
            free_case(&c);
        }
}

/* Every level of one input, so that no rounding tie is missed: t lies on k / 2. */
static void test_ties(void **state)
{
    (void)state;
    const octet_rescale_levels rule = { .zero = 100, .multiplier = 0.5f, .to = { 90, 0, 255 } };
    uint8_t                    q[256], y[256], expected[256];
    for (int i = 0; i < 256; i++) {
        q[i] = (uint8_t)i;
        expected[i] = level_of((float)(i - 100) * 0.5f, &rule.to);
    }
    const octet_kernels *set;
    for (size_t at = 0; (set = next_set(&at));) {
        set->element->rescale(y, q, sizeof q, &rule);
        same_bytes(y, expected, sizeof q, set->name);
    }
}

/* ---- choosing channels ---- */

typedef enum pattern { COPY, SHUFFLE2, SHUFFLE3, EVERY_SECOND, EVERY_THIRD, REVERSED, ANY, SAME, PATTERNS } pattern;

/* Fills from with n channels; returns how many channels the input needs. */
static size_t fill_pattern(int32_t *from, size_t n, pattern which, random_state *r)
{
    const size_t first = (size_t)random_int(r, 0, 3), third = (n + 2) / 3;
    const size_t half = (n + 1) / 2 + (size_t)random_int(r, 0, 2);
    int32_t      most = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t choices[PATTERNS] = {
            first + i,     first + i % 2 * half + i / 2, first + i % 3 * third + i / 3,
            first + 2 * i, first + 3 * i,                n - 1 - i,
            (size_t)random_int(r, 0, 2 * (int64_t)n), first,
        };
        from[i] = (int32_t)choices[which];
        most = from[i] > most ? from[i] : most;
    }
    return (size_t)most + 1;
}

static void check_select(random_state *r, size_t n, pattern which)
{
    int32_t      from[1000];
    const size_t channels = fill_pattern(from, n, which, r), pixels = (size_t)random_int(r, 1, 5);
    const size_t q_pixel = channels + (size_t)random_int(r, 0, 3), y_pixel = n + (size_t)random_int(r, 0, 3);
    fenced       q = fenced_make((pixels - 1) * q_pixel + channels), y = fenced_make((pixels - 1) * y_pixel + n);
    fenced       expected = fenced_make(y.size);
    fill_bytes(r, q.bytes, q.size, FILL_RANDOM, 0);
    memset(expected.bytes, GUARD, y.size);
    for (size_t p = 0; p < pixels; p++)
        for (size_t i = 0; i < n; i++)
            expected.bytes[p * y_pixel + i] = q.bytes[p * q_pixel + (size_t)from[i]];
    const octet_kernels *set;
    for (size_t at = 0; (set = next_set(&at));) {
        char what[80];
        snprintf(what, sizeof what, "%s, select, pattern %d, n %zu", set->name, (int)which, n);
        memset(y.bytes, GUARD, y.size);
        const octet_select how = { .pixels = pixels, .y_pixel = y_pixel, .q_pixel = q_pixel, .n = n, .from = from };
        set->element->select(y.bytes, q.bytes, &how);
        same_bytes(y.bytes, expected.bytes, y.size, what);
    }
    fenced_free(&q);
    fenced_free(&y);
    fenced_free(&expected);
}

static void test_select(void **state)
{
    (void)state;
    random_state r = { 4 };
    for (size_t i = 0; i < LENGTHS; i++)
        for (int which = 0; which < PATTERNS; which++)
            for (int round = 0; round < 3; round++) check_select(&r, lengths[i], (pattern)which);
}

/* ---- windows ---- */

typedef struct window_case {
    fenced            input, y, largest, average;
    octet_window_view view;
    size_t            n;
} window_case;

static void define_window(window_case *c, const octet_rescale_levels *rule)
{
    for (size_t i = 0; i < c->n; i++) {
        int32_t sum = 0;
        uint8_t largest = 0;
        for (size_t row = 0; row < c->view.rows; row++)
            for (size_t column = 0; column < c->view.columns; column++) {
                const uint8_t q = c->view.first[row * c->view.row + column * c->view.column + i];
                sum += q - rule->zero;
                largest = q > largest ? q : largest;
            }
        c->largest.bytes[i] = largest;
        c->average.bytes[i] = level_of((float)sum * rule->multiplier, &rule->to);
    }
}

static void check_window(random_state *r, size_t n, size_t rows, size_t columns, fill how)
{
    window_case c = { .n = n };
    c.view = (octet_window_view){ .rows = rows, .columns = columns, .column = n + (size_t)random_int(r, 0, 3) };
    c.view.row = c.view.column * (columns + (size_t)random_int(r, 0, 2));
    c.input = fenced_make((rows - 1) * c.view.row + (columns - 1) * c.view.column + n);
    c.view.first = c.input.bytes;
    c.y = fenced_make(n);
    c.largest = fenced_make(n);
    c.average = fenced_make(n);
    fill_bytes(r, c.input.bytes, c.input.size, how, 0);
    const octet_rescale_levels rule = { .zero = (int32_t)random_int(r, 0, 255),
                                        .multiplier = random_multiplier(r) / (float)(rows * columns),
                                        .to = random_target(r) };
    define_window(&c, &rule);
    const octet_kernels *set;
    for (size_t at = 0; (set = next_set(&at));) {
        char what[80];
        snprintf(what, sizeof what, "%s, window %zu x %zu, n %zu", set->name, rows, columns, n);
        set->element->max(c.y.bytes, &c.view, n);
        same_bytes(c.y.bytes, c.largest.bytes, n, what);
        set->element->mean(c.y.bytes, &c.view, n, &rule);
        same_bytes(c.y.bytes, c.average.bytes, n, what);
    }
    fenced_free(&c.input);
    fenced_free(&c.y);
    fenced_free(&c.largest);
    fenced_free(&c.average);
}

static void test_windows(void **state)
{
    (void)state;
    static const size_t sizes[][2] = { { 1, 1 }, { 2, 2 }, { 3, 3 }, { 1, 5 }, { 7, 7 }, { 13, 1 }, { 17, 16 } };
    random_state        r = { 5 };
    for (size_t i = 0; i < LENGTHS; i++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int how = 0; how < FILLS; how++) check_window(&r, lengths[i], sizes[s][0], sizes[s][1], (fill)how);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
