/* SPDX-License-Identifier: Apache-2.0 */
/* Rounding by second moments: layers against the definition of their error, and what conversion makes of the result. */
#include "../models.h"
#include "../residual.h"

#include "base/arena.h"
#include "base/channels.h"
#include "graph/copy.h"
#include "graph/graph.h"
#include "ops/mode.h"
#include "passes/integerize.h"
#include "quantize/moments.h"
#include "quantize/samples.h"

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

/* ---- weights of several nodes ---- */

/* Two convolutions of one weight, of which the second sees twice the channels in `groups` groups; then a MatMul. */
static octet_graph *sharing_network(int64_t groups)
{
    random_state          r = { 8 };
    octet_graph          *graph;
    const octet_attribute many[] = { { .name = "group", .i = groups }, { 0 } };
    MUST(octet_graph_new(&graph, &err));
    const int64_t x[] = { OCTET_DIM_FREE, CHANNELS, SIZE, SIZE };
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, x, 4, &err));
    add_random(graph, &r, "first", (const int64_t[]){ 4, CHANNELS, 1, 1 }, 4, between(-1, 1));
    add_random(graph, &r, "w", (const int64_t[]){ 4 * groups, 4, 3, 3 }, 4, between(-1, 1));
    add_random(graph, &r, "m", (const int64_t[]){ 4, 7 }, 2, between(-1, 1));
    add_node(graph, "Conv", "a", NULL, INPUTS("x", "first"));
    add_node(graph, "Conv", "b", NULL, INPUTS("a", "w"));
    add_node(graph, "Conv", "c", many, INPUTS("b", "w"));
    add_node(graph, "MatMul", "d", NULL, INPUTS("c", "m"));
    MUST(octet_graph_set_output(graph, "d", &err));
    return graph;
}

static void shared_weights_are_rounded_once(void **state)
{
    (void)state;
    for (int64_t groups = 1; groups <= 2; groups++) {
        prepared      p       = { .graph = sharing_network(groups) };
        octet_qconfig qconfig = *octet_qconfig_find("octet");
        MUST(octet_qconfig_bits(&qconfig, "s4", NULL, &err));
        qconfig.activation.method = OCTET_METHOD_MSE;
        MUST(octet_fuse(p.graph, &err));
        MUST(octet_dataset_open(&p.data, data_path, &(octet_dataset_options){ .graph = p.graph }, &err));
        MUST(octet_prepare(p.graph, &qconfig, &err));
        MUST(octet_calibrate(p.graph, p.data, NULL, &err));
        const octet_node *const   b      = octet_graph_find_node(p.graph, "b");
        const octet_node *const   c      = octet_graph_find_node(p.graph, "c");
        const octet_tensor *const before = b->inputs[1]->constant;
        MUST(octet_round_weights(p.graph, p.data, NULL, &err));
        assert_ptr_equal(b->inputs[1], c->inputs[1]);
        /* groups 2: the channels of one node are not those of the other, so the weights stay as they were */
        const size_t bytes = (size_t)octet_tensor_bytes(before);
        assert_int_equal(memcmp(before->data, b->inputs[1]->constant->data, bytes) != 0, groups == 1);
        MUST(octet_convert(p.graph, &err));
        release(&p);
    }
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
        cmocka_unit_test(conversion_keeps_the_levels),
        cmocka_unit_test(networks_lose_less),
        cmocka_unit_test(threads_do_not_show),
        cmocka_unit_test(shared_weights_are_rounded_once),
        cmocka_unit_test(rounding_tells_and_can_be_stopped),
        cmocka_unit_test(only_calibrated_networks_are_rounded),
        cmocka_unit_test(real_layers_are_never_worse_than_nearest),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
