/* SPDX-License-Identifier: Apache-2.0 */
/* Losses against their definitions in long double, gradients against central differences, and what is refused. */
#include "support.h"

#include "train/loss.h"

enum { BATCH = 3, CLASSES = 5, INNER = 2, NUMBERS = BATCH * CLASSES * INNER };

typedef struct fixture {
    double          x[NUMBERS], target[NUMBERS], gradient[NUMBERS];
    int64_t         labels[BATCH * INNER];
    octet_tensor    tensors[3]; /* x, target, gradient */
    octet_loss_call call;
} fixture;

static void make(fixture *f, octet_loss loss)
{
    random_state r = { 17 };
    for (size_t i = 0; i < NUMBERS; i++) {
        f->x[i]      = (double)random_float(&r, -3, 3);
        f->target[i] = (double)random_float(&r, -3, 3);
    }
    for (size_t i = 0; i < BATCH * INNER; i++) f->labels[i] = random_int(&r, 0, CLASSES - 1);
    for (int i = 0; i < 3; i++)
        f->tensors[i] = (octet_tensor){ .dtype = OCTET_F64, .rank = 3, .dims = { BATCH, CLASSES, INNER },
                                        .data = i == 0 ? f->x : i == 1 ? f->target : f->gradient };
    f->call = (octet_loss_call){ .loss = loss, .temperature = 1, .logits = &f->tensors[0], .target = &f->tensors[1],
                                 .labels = f->labels, .gradient = &f->tensors[2] };
}

static size_t at(size_t sample, size_t class, size_t place) { return (sample * CLASSES + class) * INNER + place; }

static long double probability(const double *x, size_t sample, size_t class, size_t place, double temperature)
{
    long double sum = 0;
    for (size_t k = 0; k < CLASSES; k++) sum += expl((long double)x[at(sample, k, place)] / temperature);
    return expl((long double)x[at(sample, class, place)] / temperature) / sum;
}

/* The mean over samples and places. */
static double defined(const fixture *f)
{
    long double  sum = 0;
    const double smooth = f->call.label_smoothing, t = f->call.temperature;
    for (size_t n = 0; n < BATCH; n++)
        for (size_t i = 0; i < INNER; i++)
            for (size_t k = 0; k < CLASSES; k++) {
                const long double p = probability(f->x, n, k, i, t), q = probability(f->target, n, k, i, t);
                const long double d = (long double)f->x[at(n, k, i)] - f->target[at(n, k, i)];
                const bool        label = f->labels[n * INNER + i] == (int64_t)k;
                if (f->call.loss == OCTET_LOSS_CROSS_ENTROPY)
                    sum -= (smooth / CLASSES + (1 - smooth) * label) * logl(p);
                if (f->call.loss == OCTET_LOSS_MSE) sum += d * d / CLASSES;
                if (f->call.loss == OCTET_LOSS_DISTILL) sum += t * t * q * logl(q / p);
            }
    return (double)(sum / (BATCH * INNER));
}

static double loss_of(const fixture *f)
{
    octet_loss_result result;
    MUST(octet_loss_compute(&result, &f->call, &err));
    return result.loss;
}

static void check(fixture *f)
{
    double gradient[NUMBERS];
    assert_true(fabs(loss_of(f) - defined(f)) < 1e-14);
    memcpy(gradient, f->gradient, sizeof gradient);
    for (size_t i = 0; i < NUMBERS; i++) {
        const double kept = f->x[i];
        f->x[i]           = kept + 1e-5;
        const double up   = loss_of(f);
        f->x[i]           = kept - 1e-5;
        const double down = loss_of(f);
        f->x[i]           = kept;
        assert_true(fabs((up - down) / 2e-5 - gradient[i]) < 1e-9);
    }
}

static void test_definitions(void **state)
{
    (void)state;
    fixture f;
    for (int loss = 0; loss < OCTET_LOSS_COUNT; loss++) {
        make(&f, (octet_loss)loss);
        check(&f);
        f.call.label_smoothing = 0.1;
        if (loss != OCTET_LOSS_DISTILL) f.call.temperature = 1;
        else f.call.temperature = 4;
        check(&f);
    }
}

/* [1, 2, 3] against class 0: log(e + e^2 + e^3) - 1 = 2.40760596, as torch prints it. */
static void test_known(void **state)
{
    (void)state;
    float             x[3] = { 1, 2, 3 }, g[3];
    const int64_t     label = 0;
    octet_loss_result result;
    octet_tensor      logits = { .dtype = OCTET_F32, .rank = 2, .dims = { 1, 3 }, .data = x }, gradient = logits;
    gradient.data            = g;
    octet_loss_call call     = { .logits = &logits, .labels = &label, .gradient = &gradient };
    MUST(octet_loss_compute(&result, &call, &err));
    assert_true(fabs(result.loss - 2.4076059644443806) < 1e-15 && result.top1 == 0);
    assert_true(fabsf(g[0] + 0.90996945f) < 1e-7f && fabsf(g[1] - 0.24472848f) < 1e-7f);
    call.label_smoothing = 0.1;
    MUST(octet_loss_compute(&result, &call, &err));
    assert_true(fabs(result.loss - 2.3076059644443805) < 1e-15);
}

/* Large logits do not overflow; a teacher's probabilities say what its logits do; of equal logits the first wins. */
static void test_corners(void **state)
{
    (void)state;
    fixture f;
    make(&f, OCTET_LOSS_DISTILL);
    f.call.temperature   = 3;
    const double logits  = loss_of(&f);
    double       soft[NUMBERS];
    for (size_t n = 0; n < BATCH; n++)
        for (size_t k = 0; k < CLASSES; k++)
            for (size_t i = 0; i < INNER; i++) soft[at(n, k, i)] = (double)probability(f.target, n, k, i, 1);
    f.tensors[1].data    = soft;
    f.call.probabilities = true;
    assert_true(fabs(loss_of(&f) - logits) < 1e-13);
    for (size_t k = 0; k < CLASSES; k++) soft[at(0, k, 0)] = k == 1; /* the logarithm of 0 has no weight */
    assert_true(isfinite(loss_of(&f)));

    make(&f, OCTET_LOSS_CROSS_ENTROPY);
    for (size_t i = 0; i < NUMBERS; i++) f.x[i] *= 1e4;
    assert_true(isfinite(loss_of(&f)));
    f.x[7] = NAN;
    assert_true(isnan(loss_of(&f)));

    octet_loss_result result;
    for (size_t i = 0; i < NUMBERS; i++) f.x[i] = 1;
    for (size_t i = 0; i < BATCH * INNER; i++) f.labels[i] = i == 2 ? 0 : 3;
    MUST(octet_loss_compute(&result, &f.call, &err));
    assert_true(result.top1 == 1.0 / 6);
}

static void refused(const fixture *f, octet_status status, const char *part)
{
    octet_error       err = { 0 };
    octet_loss_result result;
    assert_int_equal(octet_loss_compute(&result, &f->call, &err), status);
    if (!strstr(err.text, part)) fail_msg("'%s' lacks '%s'", err.text, part);
}

static void test_refusals(void **state)
{
    (void)state;
    fixture f;
    make(&f, OCTET_LOSS_CROSS_ENTROPY);
    f.labels[3] = CLASSES;
    refused(&f, OCTET_ERR_ARGUMENT, "sample 1 of the batch has label 5 (need 0 to 4)");
    f.labels[3] = -1;
    refused(&f, OCTET_ERR_ARGUMENT, "label -1");
    f.call.labels = NULL;
    refused(&f, OCTET_ERR_ARGUMENT, "needs labels");
    make(&f, OCTET_LOSS_MSE);
    f.tensors[1].dims[1] = 4;
    refused(&f, OCTET_ERR_SHAPE, "target is f64 [3, 4, 2] (need [3, 5, 2] of real numbers)");
    f.call.target = NULL;
    refused(&f, OCTET_ERR_ARGUMENT, "mse needs targets");
    f.tensors[0].rank = 1;
    refused(&f, OCTET_ERR_SHAPE, "[batch, classes, ...]");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_definitions), cmocka_unit_test(test_known),
                                        cmocka_unit_test(test_corners), cmocka_unit_test(test_refusals) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
