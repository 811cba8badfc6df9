/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that pick, scatter, order and count, against loops written out here; and runs whose values give another
   shape than was planned. */
#include "case.h"

/* A call that has been made ready, with floats of few values so that many are equal. */
static octet_tensor *few_values(op_case *c, const int64_t *dims)
{
    octet_tensor *t = case_input(c, OCTET_F32, dims);
    for (int64_t i = 0; i < octet_tensor_count(t); i++) ((float *)t->data)[i] = (float)case_between(c, -3, 3);
    return t;
}

static void run(op_case *c, int outputs)
{
    case_prepare(c, outputs, NULL, false);
    case_run(c, false);
}

static const int64_t *ints_of(const octet_tensor *t)
{
    assert_int_equal(t->dtype, OCTET_I64);
    return t->data;
}

/* ---- TopK: no entry left out is better than one taken, and of equals the earlier comes first ---- */

static bool comes_first(float a, int64_t i, float b, int64_t j, bool largest)
{
    return a == b ? i < j : largest ? a > b : a < b;
}

static void test_top(void **state)
{
    (void)state;
    for (int k = 0; k <= 7; k++)
        for (int largest = 0; largest < 2; largest++) {
            op_case c;
            case_begin(&c, "TopK", (uint64_t)k + 1);
            const float *x = few_values(&c, DIMS(3, 7, 2))->data;
            INTS(&c, k);
            case_set_int(&c, "axis", 1);
            case_set_int(&c, "largest", largest);
            run(&c, 2);
            assert_int_equal(c.out[0].dims[1], k);
            for (int line = 0; line < 6; line++) {
                bool taken[7] = { false };
                const float *const row = x + line / 2 * 14 + line % 2;
                for (int i = 0; i < k; i++) {
                    const int     at = (line / 2 * k + i) * 2 + line % 2;
                    const int64_t index = ints_of(&c.out[1])[at];
                    assert_in_range(index, 0, 6);
                    assert_false(taken[index]);
                    taken[index] = true;
                    assert_true(((float *)c.out[0].data)[at] == row[2 * index]);
                    for (int other = 0; other < 7; other++)
                        if (!taken[other])
                            assert_true(comes_first(row[2 * index], index, row[2 * other], other, largest));
                }
            }
            case_end(&c);
        }
}

/* ---- ArgMax, ArgMin, Hardmax: a NaN is above everything ---- */

static void test_extremes(void **state)
{
    (void)state;
    const float x[] = { 2, 5, 5, 1, 1, NAN, 7, NAN };
    const struct {
        const char *op;
        int64_t     last, want[2];
    } rows[] = { { "ArgMax", 0, { 1, 1 } }, { "ArgMax", 1, { 2, 3 } }, { "ArgMin", 0, { 3, 0 } },
                 { "ArgMin", 1, { 3, 0 } } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        op_case c;
        case_begin(&c, rows[i].op, 1);
        memcpy(case_input(&c, OCTET_F32, DIMS(2, 4))->data, x, sizeof x);
        case_set_int(&c, "axis", 1);
        case_set_int(&c, "keepdims", 0);
        case_set_int(&c, "select_last_index", rows[i].last);
        run(&c, 1);
        assert_int_equal(c.out[0].rank, 1);
        assert_memory_equal(ints_of(&c.out[0]), rows[i].want, sizeof rows[i].want);
        case_end(&c);
    }
}

/* ---- Gather..., Scatter...: every element by its index formula ---- */

static void test_elements(void **state)
{
    (void)state;
    for (int scatter = 0; scatter < 2; scatter++)
        for (int axis = 0; axis < 3; axis++) {
            op_case       c;
            const int64_t size[3] = { 4, 5, 3 }, part[3] = { axis == 0 ? 6 : 2, axis == 1 ? 1 : 4, 3 };
            case_begin(&c, scatter ? "ScatterElements" : "GatherElements", (uint64_t)axis + 1);
            const float *x = case_random_f32(&c, DIMS(4, 5, 3))->data;
            int64_t     *index = case_input(&c, OCTET_I64, DIMS(part[0], part[1], part[2]))->data;
            const int    n = (int)(part[0] * part[1] * part[2]);
            for (int i = 0; i < n; i++) index[i] = case_between(&c, (int)-size[axis], (int)size[axis] - 1);
            const float *updates = scatter ? case_random_f32(&c, DIMS(part[0], part[1], part[2]))->data : NULL;
            case_set_int(&c, "axis", axis - 3 * (axis % 2));
            run(&c, 1);
            float want[60];
            memcpy(want, x, sizeof want);
            for (int i = 0; i < n; i++) {
                int64_t at[3] = { i / (part[1] * part[2]), i / part[2] % part[1], i % part[2] };
                at[axis] = index[i] < 0 ? index[i] + size[axis] : index[i];
                const int64_t place = (at[0] * 5 + at[1]) * 3 + at[2];
                if (scatter) want[place] = updates[i];
                else assert_true(((float *)c.out[0].data)[i] == x[place]);
            }
            if (scatter) assert_memory_equal(c.out[0].data, want, sizeof want);
            case_end(&c);
        }
}

static void test_reductions(void **state)
{
    (void)state;
    const struct {
        const char *name;
        float       want[3]; /* of 2, 3, 4 and then 5, -1 at 0, 10 at 2 */
    } rows[] = { { "add", { 6, 3, 14 } }, { "mul", { -10, 3, 40 } }, { "max", { 5, 3, 10 } }, { "min", { -1, 3, 4 } } };
    for (int i = 0; i < 4; i++)
        for (int integer = 0; integer < 2; integer++) {
            op_case c;
            case_begin(&c, "ScatterND", 1);
            octet_tensor *x = case_input(&c, integer ? OCTET_I32 : OCTET_F32, DIMS(3));
            memcpy(case_input(&c, OCTET_I64, DIMS(3, 1))->data, (int64_t[]){ 0, 2, -3 }, 24);
            octet_tensor *u = case_input(&c, x->dtype, DIMS(3));
            for (int k = 0; k < 3; k++) {
                const float given = (float[]){ 5, 10, -1 }[k];
                if (integer) ((int32_t *)x->data)[k] = 2 + k, ((int32_t *)u->data)[k] = (int32_t)given;
                else ((float *)x->data)[k] = (float)(2 + k), ((float *)u->data)[k] = given;
            }
            case_set_string(&c, "reduction", rows[i].name);
            run(&c, 1);
            for (int k = 0; k < 3; k++)
                assert_true((integer ? (float)((int32_t *)c.out[0].data)[k] : ((float *)c.out[0].data)[k]) ==
                            rows[i].want[k]);
            case_end(&c);
        }
}

static void test_batched_tuples(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "GatherND", 1);
    const float *x = case_random_f32(&c, DIMS(2, 3, 4, 5))->data;
    const int64_t index[] = { 2, 3, 0, -4, -1, 0, 1, 1 };
    memcpy(case_input(&c, OCTET_I64, DIMS(2, 2, 2))->data, index, sizeof index);
    case_set_int(&c, "batch_dims", 1);
    run(&c, 1);
    assert_int_equal(c.out[0].rank, 3);
    for (int b = 0; b < 2; b++)
        for (int i = 0; i < 2; i++) {
            const int64_t p = index[b * 4 + i * 2], q = index[b * 4 + i * 2 + 1];
            const int64_t at = ((b * 3 + (p + 3) % 3) * 4 + (q + 4) % 4) * 5;
            assert_memory_equal((float *)c.out[0].data + (b * 2 + i) * 5, x + at, 5 * sizeof *x);
        }
    case_end(&c);
}

/* ---- Unique ---- */

static void test_unique(void **state)
{
    (void)state;
    for (int sorted = 0; sorted < 2; sorted++)
        for (uint64_t seed = 1; seed < 6; seed++) {
            op_case c;
            case_begin(&c, "Unique", seed);
            const float *x = few_values(&c, DIMS(5, 4))->data;
            case_set_int(&c, "sorted", sorted);
            run(&c, 4);
            const int64_t *first = ints_of(&c.out[1]), *inverse = ints_of(&c.out[2]), *count = ints_of(&c.out[3]);
            const float   *y = c.out[0].data;
            int64_t        sum = 0;
            for (int64_t i = 0; i < c.out[0].dims[0]; i++) {
                assert_true(x[first[i]] == y[i]);
                for (int64_t k = 0; k < first[i]; k++) assert_true(x[k] != y[i]);
                if (i > 0) assert_true(sorted ? y[i - 1] < y[i] : first[i - 1] < first[i]);
                sum += count[i];
            }
            assert_int_equal(sum, 20);
            for (int i = 0; i < 20; i++) {
                assert_true(y[inverse[i]] == x[i]);
                count = ints_of(&c.out[3]);
            }
            case_end(&c);
        }
}

/* ---- NonMaxSuppression ---- */

static void test_boxes(void **state)
{
    (void)state;
    /* The second lies on half of the first, the third apart, the fourth is the first turned around. */
    const float boxes[] = { 0, 0, 2, 2, 0, 1, 2, 3, 5, 5, 6, 6, 2, 2, 0, 0 }, scores[] = { 0.9f, 0.8f, 0.1f, 0.95f };
    const struct {
        float   overlap, least;
        int64_t most;
        int     count, box[4];
    } rows[] = { { 0.5f, 0.0f, 9, 3, { 3, 1, 2 } }, { 0.3f, 0.0f, 9, 2, { 3, 2 } }, { 0.5f, 0.1f, 9, 2, { 3, 1 } },
                 { 1.0f, 0.0f, 9, 4, { 3, 0, 1, 2 } }, { 0.5f, 0.0f, 1, 1, { 3 } }, { 0.5f, 0.0f, 0, 0, { 0 } } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        op_case c;
        case_begin(&c, "NonMaxSuppression", 1);
        memcpy(case_input(&c, OCTET_F32, DIMS(1, 4, 4))->data, boxes, sizeof boxes);
        memcpy(case_input(&c, OCTET_F32, DIMS(1, 1, 4))->data, scores, sizeof scores);
        INTS(&c, rows[i].most);
        *(float *)case_input(&c, OCTET_F32, DIMS(1))->data = rows[i].overlap;
        *(float *)case_input(&c, OCTET_F32, DIMS(1))->data = rows[i].least;
        run(&c, 1);
        assert_int_equal(c.out[0].dims[0], rows[i].count);
        for (int k = 0; k < rows[i].count; k++) assert_int_equal(ints_of(&c.out[0])[3 * k + 2], rows[i].box[k]);
        case_end(&c);
    }
}

/* ---- caches ---- */

static void scatter_input(op_case *c, bool circular, const int64_t begin[2])
{
    case_random_f32(c, DIMS(2, 3, 5, 2));
    case_random_f32(c, DIMS(2, 3, 3, 2));
    case_ints(c, 2, begin);
    if (circular) case_set_string(c, "mode", "circular");
}

/* The cache but for what the update lies over. */
static void test_caches(void **state)
{
    (void)state;
    const int64_t begins[2][2] = { { 2, 0 }, { 4, 13 } };
    for (int circular = 0; circular < 2; circular++) {
        op_case c;
        case_begin(&c, "TensorScatter", 5);
        scatter_input(&c, circular, begins[circular]);
        run(&c, 1);
        const float *const past = c.in[0].data, *const update = c.in[1].data, *const y = c.out[0].data;
        for (int at = 0; at < 60; at++) {
            const int line = at / 10, place = at / 2 % 5;
            float     want = past[at];
            for (int i = 0; i < 3; i++)
                if ((begins[circular][line / 3] + i) % 5 == place) want = update[(line * 3 + i) * 2 + at % 2];
            assert_true(y[at] == want);
        }
        case_end(&c);
    }
    for (int k = 0; k < 2; k++) { /* beyond the end, and before the beginning */
        op_case c;
        case_begin(&c, "TensorScatter", 5);
        scatter_input(&c, k, k ? (const int64_t[]){ 0, -1 } : (const int64_t[]){ 0, 3 });
        case_prepare(&c, 1, NULL, false);
        assert_int_equal(c.node.op->forward(&c.call, &c.err), OCTET_ERR_ARGUMENT);
        assert_string_equal(c.err.field, "write_indices");
        case_end(&c);
    }
}

static void test_products(void **state)
{
    (void)state;
    static const float want[4][3] = { { 2, 6, 24 }, { 1, 2, 6 }, { 24, 12, 4 }, { 12, 4, 1 } };
    for (int k = 0; k < 4; k++) {
        op_case c;
        case_begin(&c, "CumProd", 1);
        memcpy(case_input(&c, OCTET_F32, DIMS(3))->data, (const float[]){ 2, 3, 4 }, 3 * sizeof(float));
        INTS(&c, 0);
        case_set_int(&c, "exclusive", k & 1);
        case_set_int(&c, "reverse", k >> 1);
        run(&c, 1);
        assert_memory_equal(c.out[0].data, want[k], sizeof want[k]);
        case_end(&c);
    }
}

/* ---- values that turn out different than planned ---- */

static void first_input(op_case *c) { case_random_f32(c, DIMS(2, 3)); }

static void test_other_values(void **state)
{
    (void)state;
    const struct {
        const char *op;
        int64_t     planned[2], then[2];
        int         count;
    } rows[] = { { "Expand", { 2, 3 }, { 4, 3 }, 1 }, { "Tile", { 1, 2 }, { 2, 1 }, 2 },
                 { "TopK", { 1, 0 }, { 3, 0 }, 1 },   { "Gather", { 1, 0 }, { 2, 0 }, 1 },
                 { "CumSum", { 1, 0 }, { 2, 0 }, 1 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        op_case c;
        case_begin(&c, rows[i].op, i + 1);
        if (!strcmp(rows[i].op, "Expand")) case_random_f32(&c, DIMS(1, 1));
        else first_input(&c);
        const int           n = !strcmp(rows[i].op, "Expand") ? 2 : rows[i].count;
        octet_tensor *const list = case_ints(&c, n, rows[i].planned);
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        memcpy(list->data, rows[i].then, (size_t)n * sizeof(int64_t));
        if (c.node.op->forward(&c.call, &c.err) == OCTET_OK) fail_msg("%s ran", rows[i].op);
        assert_true(c.err.text[0] != '\0');
        case_end(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_top),           cmocka_unit_test(test_extremes), cmocka_unit_test(test_elements),
        cmocka_unit_test(test_reductions),    cmocka_unit_test(test_unique),   cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_batched_tuples), cmocka_unit_test(test_other_values),
        cmocka_unit_test(test_caches),        cmocka_unit_test(test_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
