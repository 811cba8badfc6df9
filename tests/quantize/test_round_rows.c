/* SPDX-License-Identifier: Apache-2.0 */
/* Rows rounded by second moments, against all the levels there are. */
#include "../support.h"

#include "quantize/round_rows.h"

enum { MOST_TERMS = 96 };

typedef struct row_problem {
    double             products[MOST_TERMS * MOST_TERMS], factor[MOST_TERMS * MOST_TERMS];
    double             target[OCTET_ROWS * MOST_TERMS], e[OCTET_ROWS * MOST_TERMS], g[OCTET_ROWS * MOST_TERMS];
    int32_t            level[OCTET_ROWS * MOST_TERMS];
    octet_quadratic    h;
    octet_rounded_rows rows;
} row_problem;

/* Moments of `windows` inputs that go together; targets reach past the levels. */
static void make_problem(row_problem *p, random_state *r, size_t terms, size_t windows, int32_t most)
{
    p->h    = (octet_quadratic){ terms, p->products, p->factor };
    p->rows = (octet_rounded_rows){ OCTET_ROWS, p->target, p->level, -most, most, p->e, p->g };
    memset(p->products, 0, sizeof p->products);
    for (size_t w = 0; w < windows; w++) {
        double       x[MOST_TERMS];
        const double common = random_float(r, 0, 2);
        for (size_t i = 0; i < terms; i++) x[i] = common + random_float(r, -1, 1) * (double)(1 + i % 3);
        for (size_t i = 0; i < terms * terms; i++) p->products[i] += x[i / terms] * x[i % terms];
    }
    for (size_t i = 0; i < OCTET_ROWS * terms; i++) {
        p->target[i] = random_float(r, -1, 1) * ((float)most + 0.6f);
        p->level[i]  = (int32_t)fmin(fmax(rint(p->target[i]), -most), most);
    }
    octet_quadratic_factor(&p->h, 2);
}

static double error_of(const row_problem *p, size_t row, const int32_t *level)
{
    const size_t n   = p->h.terms;
    double       sum = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            sum += (p->target[row * n + i] - level[i]) * p->products[i * n + j] * (p->target[row * n + j] - level[j]);
    return sum;
}

static void factors_multiply_to_the_moments(void **state)
{
    static row_problem p;
    random_state       r = { 2 };
    (void)state;
    for (size_t n = 1; n <= MOST_TERMS; n += n < 20 ? 1 : 19) {
        make_problem(&p, &r, n, n / 2 + 1, 127); /* fewer windows than terms: positive only by what was added */
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j <= i; j++) {
                double sum = 0;
                for (size_t k = 0; k <= j; k++) sum += p.factor[i * n + k] * p.factor[j * n + k];
                assert_true(fabs(sum - p.products[i * n + j]) <= 1e-9 * p.products[i * n + i]);
            }
    }
}

/* The least error of all levels within REACH of the target. */
static double best_of_all(const row_problem *p, size_t row)
{
    enum { REACH = 6, CHOICES = 2 * REACH + 1 };
    const size_t n    = p->h.terms;
    double       best = INFINITY;
    size_t       all  = 1;
    for (size_t k = 0; k < n; k++) all *= CHOICES;
    for (size_t code = 0; code < all; code++) {
        int32_t level[4];
        size_t  at = code;
        for (size_t k = 0; k < n; k++, at /= CHOICES) {
            const double middle = fmin(fmax(rint(p->target[row * n + k]), p->rows.lo), p->rows.hi);
            level[k] = (int32_t)fmin(fmax(middle + (double)(at % CHOICES) - REACH, p->rows.lo), p->rows.hi);
        }
        best = fmin(best, error_of(p, row, level));
    }
    return best;
}

static void few_weights_mostly_find_the_best_of_all_levels(void **state)
{
    static row_problem p;
    random_state       r = { 4 };
    int                hits = 0, rows = 0;
    (void)state;
    for (size_t n = 2; n <= 4; n++)
        for (int round = 0; round < 10; round++) {
            double error[OCTET_ROWS], nearest[OCTET_ROWS];
            make_problem(&p, &r, n, 40, round % 2 ? 7 : 127);
            octet_rows_error(nearest, &p.rows, &p.h);
            octet_round_rows(error, &p.rows, &p.h);
            for (size_t i = 0; i < OCTET_ROWS; i++, rows++) {
                const double best = best_of_all(&p, i);
                assert_true(error[i] >= best - 1e-9 * nearest[i]);
                hits += error[i] <= best + 1e-9 * nearest[i];
            }
        }
    print_message("%d of %d rows are the best there are\n", hits, rows);
    assert_true(hits * 100 >= rows * 90); /* single levels at a time get stuck now and then */
}

static void rows_beat_nearest_and_no_single_level_helps(void **state)
{
    static row_problem p;
    random_state       r = { 6 };
    (void)state;
    for (int round = 0; round < 24; round++) {
        const size_t n = (size_t)random_int(&r, 1, MOST_TERMS);
        double       nearest[OCTET_ROWS], error[OCTET_ROWS], gained = 0;
        make_problem(&p, &r, n, round % 3 ? 300 : n / 3 + 1, round % 2 ? 3 : 127);
        octet_rows_error(nearest, &p.rows, &p.h);
        octet_round_rows(error, &p.rows, &p.h);
        for (size_t i = 0; i < OCTET_ROWS; i++) {
            int32_t *const level = p.level + i * n;
            assert_true(error[i] <= nearest[i]);
            assert_true(fabs(error[i] - error_of(&p, i, level)) <= 1e-6 * nearest[i]);
            for (size_t k = 0; k < n; k++)
                for (int32_t by = -1; by <= 1; by += 2) {
                    assert_in_range(level[k] + 128, p.rows.lo + 128, p.rows.hi + 128);
                    if (level[k] + by < p.rows.lo || level[k] + by > p.rows.hi) continue;
                    level[k] += by;
                    assert_true(error_of(&p, i, level) >= error[i] - 1e-8 * nearest[i]);
                    level[k] -= by;
                }
            gained += error[i] / nearest[i] / OCTET_ROWS;
        }
        assert_true(n < 12 || gained < 0.8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_multiply_to_the_moments),
        cmocka_unit_test(few_weights_mostly_find_the_best_of_all_levels),
        cmocka_unit_test(rows_beat_nearest_and_no_single_level_helps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
