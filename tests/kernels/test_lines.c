/* SPDX-License-Identifier: Apache-2.0 */
/* Lines: every set that this machine can run against the definitions, bit for bit, and nothing beyond a line's end is
   written. */
#include "support.h"

#include "base/cpu.h"
#include "kernels/kernels.h"

#include <math.h>

enum { MOST = 1100, GUARD = 0xa5 };

typedef struct line_case {
    size_t          n;
    uint8_t         x[MOST];
    int32_t         sums[MOST];
    float           multiplier[MOST], reals[MOST + 1];
    double          gain[MOST], shift[MOST];
    uint8_t         levels[MOST + 1];
    octet_to_levels to;
    random_state    r;
} line_case;

enum { RANDOM = 0, LOWEST, HIGHEST, EXTREMES, FILLS };

static uint8_t byte_of(random_state *r, int fill)
{
    const uint64_t bits = random_bits(r);
    const uint8_t  pick[FILLS] = { (uint8_t)bits, 0, 255, bits & 256 ? 255 : 0 };
    return pick[fill];
}

static void make(line_case *c, size_t n, int fill, uint64_t seed)
{
    static const octet_to_levels targets[] = { { 0, 0, 255 }, { 128, 0, 255 }, { 37, 37, 200 }, { 255, 10, 255 } };
    *c = (line_case){ .n = n, .r = { seed }, .to = targets[seed % (sizeof targets / sizeof *targets)] };
    for (size_t i = 0; i < n; i++) {
        c->x[i] = byte_of(&c->r, fill);
        c->sums[i] = fill == RANDOM ? (int32_t)random_int(&c->r, -200000, 200000)
                                    : byte_of(&c->r, fill) ? INT32_MAX : INT32_MIN;
        c->multiplier[i] = random_float(&c->r, 1e-5f, 2e-3f) * (seed % 5 == 4 ? 1e33f : 1.0f);
        c->gain[i] = (double)random_float(&c->r, -2, 2);
        c->shift[i] = (double)random_float(&c->r, -1, 1);
    }
}

/* Sums that lie between two levels as well. */
static int32_t round_to(double t, const octet_to_levels *to)
{
    const double level = rint(t) + to->zero_point;
    return !(level > to->lo) ? to->lo : level < to->hi ? (int32_t)level : to->hi;
}

static void check_levels(const line_case *c, const float *t, const char *set, const char *what)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->levels[i] != round_to((double)t[i], &c->to))
            fail_msg("%s, %s of %zu: number %zu is %u, not %d", set, what, c->n, i, c->levels[i],
                     round_to((double)t[i], &c->to));
    if (c->levels[c->n] != GUARD) fail_msg("%s, %s of %zu writes past its end", set, what, c->n);
}

static void check_finish(line_case *c, const octet_kernels *set)
{
    const octet_sums_rule rule = { .term = (int32_t)random_int(&c->r, -70000, 70000), .multiplier = c->multiplier,
                                   .to = c->to, .real_lo = -3, .real_hi = INFINITY };
    float t[MOST];
    for (size_t i = 0; i < c->n; i++)
        t[i] = (float)(int32_t)((uint32_t)c->sums[i] + (uint32_t)rule.term) * c->multiplier[i];
    c->levels[c->n] = GUARD;
    set->lines->finish(c->levels, c->sums, c->n, &rule);
    check_levels(c, t, set->name, "finish");
    c->reals[c->n] = 42;
    set->lines->finish_real(c->reals, c->sums, c->n, &rule);
    for (size_t i = 0; i < c->n; i++) assert_true(c->reals[i] == (t[i] > -3 ? t[i] : -3));
    assert_true(c->reals[c->n] == 42);
}

static void check_sum(const line_case *c, const octet_kernels *set)
{
    int64_t sum = 0;
    for (size_t i = 0; i < c->n; i++) sum += c->x[i];
    assert_int_equal(set->lines->sum(c->x, c->n), sum);
}

static void check_normalize(line_case *c, const octet_kernels *set)
{
    const octet_normal_rule rule = { .zero = byte_of(&c->r, RANDOM), .scale = (double)0.021f, .epsilon = 1e-5,
                                     .centred = c->n % 3 != 0, .gain = c->gain, .shift = c->shift, .unit = 0.023f,
                                     .to = c->to };
    int64_t sum = 0, squares = 0;
    float   t[MOST];
    for (size_t i = 0; i < c->n; i++) {
        sum += c->x[i] - rule.zero;
        squares += (int64_t)(c->x[i] - rule.zero) * (c->x[i] - rule.zero);
    }
    const double n = (double)c->n, mean = rule.centred ? (double)sum / n : 0;
    const double variance = ((double)squares / n - mean * mean) * (rule.scale * rule.scale);
    const double r = 1.0 / sqrt((variance > 0 ? variance : 0) + rule.epsilon);
    for (size_t i = 0; i < c->n; i++) {
        const double value = ((c->x[i] - rule.zero) * rule.scale - mean * rule.scale) * r * c->gain[i] + c->shift[i];
        t[i] = (float)value / rule.unit;
    }
    c->levels[c->n] = GUARD;
    set->lines->normalize(c->levels, c->x, c->n, &rule);
    check_levels(c, t, set->name, "normalize");
}

static void check_soften(line_case *c, const octet_kernels *set)
{
    int32_t table[256];
    float   t[MOST];
    uint8_t most = 0;
    int64_t sum = 0;
    for (int d = 0; d < 256; d++) table[d] = (int32_t)rint(exp(-d * 0.02) * 8388608.0);
    const octet_softmax_rule rule = { .table = table, .unit = (double)(c->n < 30 ? 0.004f : 0.0007f), .to = c->to };
    for (size_t i = 0; i < c->n; i++) most = c->x[i] > most ? c->x[i] : most;
    for (size_t i = 0; i < c->n; i++) sum += table[most - c->x[i]];
    for (size_t i = 0; i < c->n; i++) t[i] = (float)table[most - c->x[i]] * (float)(1.0 / ((double)sum * rule.unit));
    c->levels[c->n] = GUARD;
    set->lines->soften(c->levels, c->x, c->n, &rule);
    check_levels(c, t, set->name, "soften");
}

static void check_lines(void (*check)(line_case *c, const octet_kernels *set))
{
    static line_case c;
    for (const octet_kernels *const *set = octet_kernel_sets; *set; set++)
        for (size_t n = 1; n < MOST && !((*set)->needs & ~octet_cpu_sets()); n += n < 140 ? 1 : 61)
            for (int fill = 0; fill < FILLS; fill++) {
                make(&c, n, fill, n * FILLS + (uint64_t)fill);
                check(&c, *set);
            }
}

static void test_finish(void **state)
{
    (void)state;
    check_lines(check_finish);
}

static void check_both(line_case *c, const octet_kernels *set)
{
    check_sum(c, set);
    check_normalize(c, set);
}

static void test_normalize(void **state)
{
    (void)state;
    check_lines(check_both);
}

static void test_soften(void **state)
{
    (void)state;
    check_lines(check_soften);
}

/* More than any block of partial sums: the exact results are known. */
static void test_long_lines(void **state)
{
    (void)state;
    const size_t   n = ((size_t)1 << 22) + 77;
    uint8_t *const x = malloc(n);
    memset(x, 255, n);
    for (const octet_kernels *const *set = octet_kernel_sets; *set; set++)
        if (!((*set)->needs & ~octet_cpu_sets()))
            assert_int_equal((*set)->lines->sum(x, n), (int64_t)n * 255);
    free(x);
}

int main(void)
{
    unsetenv("OCTET_CPU"); /* every set is tested whatever the environment asks for */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_soften),
        cmocka_unit_test(test_long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
