/* SPDX-License-Identifier: Apache-2.0 */
/* Rounding by second moments: rows against all the levels there are, layers against the definition of their error, and
   what conversion makes of the result. */
#include "../models.h"
#include "../residual.h"

#include "base/arena.h"
#include "base/channels.h"
#include "graph/copy.h"
#include "graph/graph.h"
#include "ops/mode.h"
#include "passes/integerize.h"
#include "quantize/moments.h"
#include "quantize/round_rows.h"
#include "quantize/samples.h"

/* ---- rows ---- */

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

/* ---- networks ---- */

typedef struct prepared {
    octet_graph   *graph;
    octet_dataset *data;
} prepared;

static prepared calibrated(const char *weights, const char *target, int threads)
{
    prepared      p       = { .graph = residual_network(1, false) };
    octet_qconfig qconfig = *octet_qconfig_find("octet");
    MUST(octet_qconfig_bits(&qconfig, weights, NULL, &err));
    qconfig.activation.method = OCTET_METHOD_MSE;
    qconfig.target            = target;
    MUST(octet_fuse(p.graph, &err));
    MUST(octet_dataset_open(&p.data, data_path, &(octet_dataset_options){ .graph = p.graph }, &err));
    MUST(octet_prepare(p.graph, &qconfig, &err));
    MUST(octet_calibrate(p.graph, p.data, &(octet_calibrate_options){ .threads = threads }, &err));
    return p;
}

static void release(prepared *p)
{
    octet_dataset_free(p->data);
    octet_graph_free(p->graph);
}

static double output_db(const octet_graph *graph)
{
    static float       expected[ROOM], got[ROOM];
    octet_graph *const plain = residual_network(1, false);
    const octet_tensor x     = all_samples();
    const size_t       n     = run_graph(plain, &x, expected, ROOM, NULL);
    assert_int_equal(run_graph(graph, &x, got, ROOM, NULL), n);
    octet_graph_free(plain);
    return sqnr_db(expected, got, n);
}

/* Every rounded weight is a level times its scale, and conversion makes just these levels of them. */
static void conversion_keeps_the_levels(void **state)
{
    static const char *const bits[] = { "s8", "s4", "s2" };
    (void)state;
    for (size_t b = 0; b < 3; b++) {
        prepared     p = calibrated(bits[b], NULL, 2);
        octet_graph *rounded;
        size_t       weights = 0;
        MUST(octet_round_weights(p.graph, p.data, NULL, &err));
        assert_true(p.graph->biases_corrected);
        MUST(octet_graph_copy(&rounded, p.graph, &err));
        MUST(octet_convert(p.graph, &err));
        const octet_node *now = p.graph->first;
        for (const octet_node *n = rounded->first; n; n = n->next, now = now->next) {
            if (n->op->quant != OCTET_QUANT_MAC) continue;
            const octet_tensor *const  w = n->inputs[1]->constant, *const levels = now->inputs[1]->constant;
            const octet_qparams *const q = levels->qparams;
            const octet_channel_shape  shape = octet_channels_of(w, q->count, q->axis);
            for (int64_t i = 0; i < octet_tensor_count(w); i++, weights++) {
                const int32_t level = ((const int8_t *)levels->data)[i];
                assert_true(level >= q->qmin && level <= q->qmax);
                const float scale = q->scale[(size_t)i / shape.inner % shape.channels];
                assert_true(((const float *)w->data)[i] == (float)level * scale);
            }
        }
        assert_true(weights > 1000);
        octet_graph_free(rounded);
        release(&p);
    }
}

static void networks_lose_less(void **state)
{
    static const struct {
        const char *bits, *target;
        double      gain; /* dB at least */
    } cases[] = { { "s8", NULL, 0 }, { "s8", "portable", 0 }, { "s4", NULL, 2 }, { "s4", "portable", 2 },
                  { "s3", NULL, 2 } };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        double db[2];
        for (int rounds = 0; rounds < 2; rounds++) {
            prepared p = calibrated(cases[c].bits, cases[c].target, 2);
            if (rounds) MUST(octet_round_weights(p.graph, p.data, NULL, &err));
            MUST(octet_convert(p.graph, &err));
            db[rounds] = output_db(p.graph);
            release(&p);
        }
        print_message("%s, %s: %.2f dB, rounded by feedback %.2f\n", cases[c].bits,
                      cases[c].target ? cases[c].target : "native", db[0], db[1]);
        assert_true(db[1] > db[0] + cases[c].gain);
    }
}

static char *read_all(const char *path, size_t *size)
{
    FILE *const file = fopen(path, "rb");
    char *const data = malloc(1 << 20);
    assert_non_null(file);
    *size = fread(data, 1, 1 << 20, file);
    assert_true(*size > 1000 && *size < 1 << 20);
    fclose(file);
    return data;
}

static void threads_do_not_show(void **state)
{
    char  *first = NULL, path[300];
    size_t first_size = 0;
    (void)state;
    snprintf(path, sizeof path, "%s/threads.onnx", folder);
    for (int threads = 1; threads <= 3; threads++) {
        prepared p = calibrated("s4", NULL, threads);
        MUST(octet_round_weights(p.graph, p.data, &(octet_calibrate_options){ .threads = threads }, &err));
        MUST(octet_convert(p.graph, &err));
        MUST(octet_graph_save(p.graph, path, &err));
        size_t      size;
        char *const now = read_all(path, &size);
        if (first) {
            assert_int_equal(size, first_size);
            assert_memory_equal(now, first, size);
            free(now);
        } else {
            first      = now;
            first_size = size;
        }
        release(&p);
    }
    free(first);
    unlink(path);
}

/* ---- progress and refusals ---- */

typedef struct watcher {
    const char *stop; /* phase that is interrupted */
    int         moments, rounding;
} watcher;

static int watch(void *context, const octet_progress *progress)
{
    watcher *const w = context;
    assert_true(progress->done <= progress->total);
    w->moments += !strcmp(progress->phase, "second moments");
    w->rounding += !strcmp(progress->phase, "round weights");
    return w->stop && !strcmp(progress->phase, w->stop);
}

static void rounding_tells_and_can_be_stopped(void **state)
{
    static const char *const stops[] = { NULL, "second moments", "round weights" };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        prepared                      p       = calibrated("s8", NULL, 1);
        watcher                       w       = { .stop = stops[i] };
        octet_error                   failure = { 0 };
        const octet_calibrate_options options = { .threads = 1, .progress = watch, .progress_context = &w };
        const octet_status status = octet_round_weights(p.graph, p.data, &options, &failure);
        assert_int_equal(status, stops[i] ? OCTET_ERR_ARGUMENT : OCTET_OK);
        if (stops[i]) assert_string_equal(failure.text, "interrupted");
        assert_int_equal(w.moments, i == 1 ? 1 : SAMPLES);
        assert_int_equal(w.rounding, i == 0 ? 4 : i == 1 ? 0 : 1);
        release(&p);
    }
}

static void only_calibrated_networks_are_rounded(void **state)
{
    prepared p = calibrated("s8", NULL, 1);
    (void)state;
    assert_int_equal(octet_round_weights(p.graph, NULL, NULL, NULL), OCTET_ERR_ARGUMENT);
    MUST(octet_convert(p.graph, &err));
    assert_int_equal(octet_round_weights(p.graph, p.data, NULL, NULL), OCTET_ERR_ARGUMENT);
    release(&p);
}

/* ---- real layers ---- */

/* The error about its mean of every output channel of a layer: e H e, with e = before - after. */
typedef struct layer_error {
    const octet_node *before, *after;
    octet_moments     moments;
} layer_error;

typedef struct measuring {
    layer_error       layers[64];
    size_t            count;
    octet_moment_room room;
} measuring;

static octet_status see(void *context, const octet_seen *seen, octet_error *err)
{
    measuring *const m = context;
    (void)err;
    for (size_t i = 0; i < m->count; i++) {
        octet_moments *const moments = &m->layers[i].moments;
        if (moments->node->inputs[0] != seen->value || !octet_moments_want(moments, seen->sample)) continue;
        const octet_tensor x = octet_moment_levels(&m->room, seen->tensor, octet_future_levels(seen->value));
        octet_moments_add(moments, &m->room, &x, seen->sample);
    }
    return OCTET_OK;
}

/* e H e / count - (e . mean)^2 of channel c, as doubles add it up. */
static double channel_error(const octet_moment *part, size_t c, const float *before, const float *after)
{
    const size_t n    = part->terms;
    double       sum  = 0, mean = 0;
    for (size_t i = 0; i < n; i++) {
        const double e = (double)before[c * n + i] - after[c * n + i];
        mean += e * part->sums[i];
        for (size_t j = 0; j < n; j++)
            sum += e * ((double)before[c * n + j] - after[c * n + j]) * part->products[i * n + j];
    }
    return sum - mean * mean / part->count;
}

/* The Convs of a calibrated network, and of its twin whose weights are rounded. */
static void list_layers(measuring *m, const octet_graph *before, const octet_graph *after, size_t count,
                        octet_arena *arena)
{
    octet_moments     all[64];
    const octet_node *twin = after->first;
    m->count               = 0;
    for (const octet_node *n = before->first; n; n = n->next, twin = twin->next) {
        if (!octet_sums_integers(n) || strcmp(n->op->name, "Conv") || m->count == 64) continue;
        const octet_tensor x = octet_value_tensor(n->inputs[0], 1);
        layer_error *const l = &m->layers[m->count];
        *l                   = (layer_error){ n, twin, { .node = n } };
        MUST(octet_moments_plan(&l->moments, &x, count, arena, &err));
        MUST(octet_moments_begin(&l->moments, arena, &err));
        all[m->count++] = l->moments;
    }
    MUST(octet_moment_room_make(&m->room, all, m->count, arena, &err));
}

/* Checks every channel; returns what the layer gains over nearest, in dB. */
static double check_channels(const layer_error *l, const octet_tensor *levels)
{
    const float *const w      = l->before->inputs[1]->constant->data;
    const int64_t      count  = octet_tensor_count(levels), inner = count / levels->dims[0];
    float *const       plain  = malloc((size_t)count * sizeof *plain);
    double             sum[2] = { 0, 0 };
    for (int64_t k = 0; k < count; k++)
        plain[k] = (float)((const int8_t *)levels->data)[k] * levels->qparams->scale[k / inner];
    for (size_t p = 0; p < l->moments.part_count; p++) {
        const octet_moment *const part = &l->moments.parts[p];
        for (size_t c = part->first_channel; c < part->first_channel + part->channels; c++) {
            const double old = channel_error(part, c, w, plain);
            const double now = channel_error(part, c, w, l->after->inputs[1]->constant->data);
            assert_true(now <= old * (1 + 1e-6) + 1e-12);
            sum[0] += old;
            sum[1] += now;
        }
    }
    free(plain);
    return 10 * log10(sum[0] / sum[1]);
}

/* nearest: converted, with every weight rounded by itself. */
static void compare_layers(const octet_graph *before, const octet_graph *after, const octet_graph *nearest,
                           octet_dataset *data)
{
    static measuring            m;
    octet_samples               run;
    octet_arena *const          arena  = octet_arena_new();
    const octet_samples_options how    = { .calibrate = &(octet_calibrate_options){ .threads = 1 }, .phase = "" };
    double                      gained = 0;
    MUST(octet_samples_open(&run, before, data, &how, &err));
    list_layers(&m, before, after, run.total, arena);
    MUST(octet_samples_run(&run, see, &m, &err));
    for (size_t i = 0; i < m.count; i++) {
        octet_moments_end(&m.layers[i].moments);
        const octet_node *const node = octet_graph_find_node(nearest, m.layers[i].before->name);
        gained += check_channels(&m.layers[i], node->inputs[1]->constant) / (double)m.count;
    }
    print_message("%zu layers: %.1f dB less error than nearest on average\n", m.count, gained);
    assert_true(m.count > 5 && gained > 1);
    octet_samples_free(&run);
    octet_arena_free(arena);
}

static void real_layers_are_never_worse_than_nearest(void **state)
{
    static const char *const names[] = { "resnet8_cifar10", "kws_dscnn" };
    (void)state;
    for (size_t i = 0; i < SHARED_MODELS; i++) {
        if (strcmp(shared_models[i].name, names[0]) && strcmp(shared_models[i].name, names[1])) continue;
        char           name[200], path[1024], recorded[1300];
        octet_graph   *graph, *before, *nearest;
        octet_dataset *data;
        octet_qconfig  qconfig = *octet_qconfig_find("octet");
        snprintf(name, sizeof name, "models/%s.onnx", shared_models[i].name);
        if (!shared_path(path, sizeof path, name)) return;
        qconfig.activation.method = OCTET_METHOD_MSE;
        MUST(octet_graph_load(&graph, path, &err));
        snprintf(recorded, sizeof recorded, "%.*s/vectors/%s.npy", (int)(strrchr(path, '/') - path), path,
                 shared_models[i].vectors);
        if (access(recorded, R_OK) != 0) strcat(recorded, ".gz");
        MUST(octet_fuse(graph, &err));
        MUST(octet_dataset_open(&data, recorded, &(octet_dataset_options){ .graph = graph, .limit = 8 }, &err));
        MUST(octet_prepare(graph, &qconfig, &err));
        MUST(octet_calibrate(graph, data, NULL, &err));
        MUST(octet_graph_copy(&before, graph, &err));
        MUST(octet_graph_copy(&nearest, graph, &err));
        MUST(octet_convert(nearest, &err));
        MUST(octet_round_weights(graph, data, NULL, &err));
        compare_layers(before, graph, nearest, data);
        octet_graph_free(nearest);
        octet_graph_free(before);
        octet_graph_free(graph);
        octet_dataset_free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_multiply_to_the_moments),
        cmocka_unit_test(few_weights_mostly_find_the_best_of_all_levels),
        cmocka_unit_test(rows_beat_nearest_and_no_single_level_helps),
        cmocka_unit_test(conversion_keeps_the_levels),
        cmocka_unit_test(networks_lose_less),
        cmocka_unit_test(threads_do_not_show),
        cmocka_unit_test(rounding_tells_and_can_be_stopped),
        cmocka_unit_test(only_calibrated_networks_are_rounded),
        cmocka_unit_test(real_layers_are_never_worse_than_nearest),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
