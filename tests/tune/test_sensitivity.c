/* SPDX-License-Identifier: Apache-2.0 */
/* Sensitivity of chains whose depth grows: what it costs, and that the estimate says what running says. */
#include "models.h"
#include "residual.h"

static octet_graph *chain(int depth)
{
    random_state          r      = { 21 };
    const int64_t         ones[] = { 1, 1, 1, 1 }, dims[] = { OCTET_DIM_FREE, CHANNELS, SIZE, SIZE };
    const octet_attribute same[] = { { .name = "pads", .ints = ones, .count = 4 }, { 0 } };
    char                  names[4][16], last[16] = "x";
    octet_graph          *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 4, &err));
    for (int i = 0; i < depth; i++) {
        snprintf(names[0], 16, "w%d", i), snprintf(names[1], 16, "b%d", i);
        snprintf(names[2], 16, "c%d", i), snprintf(names[3], 16, "r%d", i);
        add_random(graph, &r, names[0], (const int64_t[]){ 6, i ? 6 : CHANNELS, 3, 3 }, 4, between(-0.32f, 0.33f));
        add_random(graph, &r, names[1], (const int64_t[]){ 6 }, 1, between(-0.2f, 0.2f));
        add_node(graph, "Conv", names[2], same, INPUTS(last, names[0], names[1]));
        add_node(graph, i % 2 ? "Relu" : "HardSwish", names[3], NULL, INPUTS(names[2]));
        snprintf(last, sizeof last, "%s", names[3]);
    }
    add_node(graph, "GlobalAveragePool", "pool", NULL, INPUTS(last));
    MUST(octet_graph_set_output(graph, "pool", &err));
    MUST(octet_graph_verify(graph, &err));
    MUST(octet_fuse(graph, &err));
    return graph;
}

static setup make_chain(int depth)
{
    setup         s       = { chain(depth), chain(depth), NULL };
    octet_qconfig qconfig = *octet_qconfig_find("octet");
    qconfig.activation.method = OCTET_METHOD_MINMAX;
    MUST(octet_dataset_open(&s.data, data_path, &(octet_dataset_options){ .graph = s.real }, &err));
    MUST(quantize(s.quantized, &qconfig, 1, &err));
    return s;
}

static octet_sensitivity *measure(const setup *s, const octet_sensitivity_options *options)
{
    octet_sensitivity *found;
    MUST(octet_sensitivity_measure(&found, s->real, s->quantized, s->data, options, &err));
    return found;
}

/* A naive search runs depth networks of depth nodes. The estimate grows with the depth: with the root of that. */
static void cost_grows_with_the_root(void **state)
{
    double first = 0;
    (void)state;
    for (int depth = 8; depth <= 64; depth *= 2) {
        setup s = make_chain(depth);
        const octet_sensitivity_options options = { .measure = OCTET_SENSITIVITY_ALL, .samples = 4, .probes = 2 };
        octet_sensitivity *const        found = measure(&s, &options);
        const double n = (double)found->samples;
        const double root = (double)found->estimate.run / n / sqrt((double)found->estimate.naive / n);
        print_message("depth %2d: estimate runs %5.0f nodes a sample, exact %6.0f; naive %6.0f and %6.0f; estimate "
                      "over root of naive %.2f\n", depth, (double)found->estimate.run / n, (double)found->exact.run / n,
                      (double)found->estimate.naive / n, (double)found->exact.naive / n, root);
        if (depth == 8) first = root;
        assert_true(root < 1.05 * first);
        assert_true((double)found->exact.run < 0.7 * (double)found->exact.naive || depth < 32);
        octet_sensitivity_free(found);
        drop(&s);
    }
}

/* ---- whether it is right ---- */

static double rank_of(const double *x, size_t count, size_t at)
{
    double rank = 0;
    for (size_t i = 0; i < count; i++) rank += x[i] < x[at] ? 1 : x[i] == x[at] && i != at ? 0.5 : 0;
    return rank;
}

/* Spearman's. */
static double rank_correlation(const double *x, const double *y, size_t count)
{
    double sum = 0, xx = 0, yy = 0, mean = 0.5 * (double)(count - 1);
    for (size_t i = 0; i < count; i++) {
        const double a = rank_of(x, count, i) - mean, b = rank_of(y, count, i) - mean;
        sum += a * b, xx += a * a, yy += b * b;
    }
    return sum / sqrt(xx * yy);
}

static double correlation(const octet_sensitivity *found, double *worst)
{
    static double exact[512], estimate[512];
    size_t        count = 0;
    *worst = 0;
    for (size_t i = 0; i < found->layer_count; i++) {
        const octet_layer_sensitivity *const l = &found->layers[i];
        if (isnan(l->alone_db) || isinf(l->alone_db)) continue;
        exact[count]      = l->alone_db;
        estimate[count++] = l->estimate_db;
        *worst            = fmax(*worst, fabs(l->alone_db - l->estimate_db));
    }
    assert_true(count > 3);
    return rank_correlation(exact, estimate, count);
}

static void estimate_says_what_running_says(void **state)
{
    double worst;
    (void)state;
    setup                           s       = make_chain(12);
    const octet_sensitivity_options options = { .measure = OCTET_SENSITIVITY_ALL, .probes = 16 };
    octet_sensitivity *const        found   = measure(&s, &options);
    const double                    rank    = correlation(found, &worst);
    print_message("chain of 12: rank correlation %.3f, at most %.2f dB off\n", rank, worst);
    assert_true(rank > 0.9 && worst < 1.5);
    octet_sensitivity_free(found);
    drop(&s);
}

static void on_real_networks(void **state)
{
    static const char *const names[] = { "kws_dscnn", "resnet8_cifar10", "resnet20_cifar10" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const shared_model *model = shared_models;
        char                name[200], path[1024];
        double              worst;
        setup               s;
        while (strcmp(model->name, names[i]) != 0) model++;
        s.quantized = quantize_shared(model, &s.data, NULL, OCTET_METHOD_MINMAX);
        if (!s.quantized) skip();
        snprintf(name, sizeof name, "models/%s.onnx", model->name);
        assert_true(shared_path(path, sizeof path, name));
        MUST(octet_graph_load(&s.real, path, &err));
        const octet_sensitivity_options options = { .measure = OCTET_SENSITIVITY_ALL, .probes = 16 };
        octet_sensitivity *const        found   = measure(&s, &options);
        const double                    rank    = correlation(found, &worst);
        print_message("%s: rank correlation %.3f, at most %.2f dB off\n", names[i], rank, worst);
        assert_true(rank > 0.8);
        octet_sensitivity_free(found);
        drop(&s);
    }
}

static void threads_do_not_show(void **state)
{
    (void)state;
    setup s = make_chain(5);
    octet_sensitivity *found[2];
    for (int i = 0; i < 2; i++)
        found[i] = measure(&s, &(octet_sensitivity_options){ .measure = OCTET_SENSITIVITY_ALL, .samples = 7,
                                                             .plan.threads = i ? 3 : 1 });
    for (size_t i = 0; i < found[0]->layer_count; i++) {
        const octet_layer_sensitivity *const a = &found[0]->layers[i], *const b = &found[1]->layers[i];
        assert_memory_equal(&a->alone_db, &b->alone_db, sizeof a->alone_db);
        assert_memory_equal(&a->gain_db, &b->gain_db, sizeof a->gain_db);
        assert_memory_equal(&a->estimate_db, &b->estimate_db, sizeof a->estimate_db);
    }
    for (int i = 0; i < 2; i++) octet_sensitivity_free(found[i]);
    drop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cost_grows_with_the_root),
        cmocka_unit_test(estimate_says_what_running_says),
        cmocka_unit_test(on_real_networks),
        cmocka_unit_test(threads_do_not_show),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
