/* SPDX-License-Identifier: Apache-2.0 */
/* What compare says of a layer, against the same measured another way: every value replaced in a whole run, and the
   network really quantized with that layer in float. */
#include "models.h"
#include "residual.h"

#include "engine/put.h"
#include "graph/op.h"

/* The residual network, its quantized form and the samples. */
static octet_graph *quantize_for(const char *target, octet_dataset *data, const octet_layer_rule *rule)
{
    octet_graph *const graph   = residual_network(0.2f, false);
    octet_qconfig      qconfig = *octet_qconfig_find("octet");
    qconfig.target            = target;
    qconfig.activation.method = OCTET_METHOD_MINMAX;
    qconfig.layers            = rule;
    qconfig.layer_count       = rule ? 1 : 0;
    MUST(octet_fuse(graph, &err));
    MUST(octet_prepare(graph, &qconfig, &err));
    MUST(octet_calibrate(graph, data, NULL, &err));
    MUST(octet_convert(graph, &err));
    return graph;
}

static octet_graph *quantize_with(octet_dataset *data, const octet_layer_rule *rule)
{
    return quantize_for(NULL, data, rule);
}

static setup make_setup(void)
{
    setup s = { .real = residual_network(0.2f, false) };
    MUST(octet_fuse(s.real, &err));
    MUST(octet_dataset_open(&s.data, data_path, &(octet_dataset_options){ .graph = s.real }, &err));
    s.quantized = quantize_with(s.data, NULL);
    return s;
}

static octet_comparison *compare(const setup *s, const octet_evaluate_options *options)
{
    octet_comparison *c;
    MUST(octet_compare(&c, s->real, s->quantized, s->data, options, &err));
    return c;
}

static const octet_layer_error *layer_of(const octet_comparison *c, const char *name)
{
    for (size_t i = 0; i < c->layer_count; i++)
        if (!strcmp(c->layers[i].name, name)) return &c->layers[i];
    fail_msg("no layer '%s'", name);
    return NULL;
}

/* ---- replaced in a whole run ---- */

typedef struct kept {
    octet_plan      *plan;
    octet_workspace *workspace;
    octet_graph     *graph;
    const char      *put; /* the value to replace; NULL: all by the other's */
    struct kept     *other;
    double           signal, noise; /* of `put` when it was made */
} kept;

static void begin(kept *k, octet_graph *graph)
{
    k->graph = graph;
    MUST(octet_plan_create(&k->plan, graph, &(octet_plan_options){ .keep_values = true, .threads = 1 }, &err));
    MUST(octet_workspace_create(&k->workspace, k->plan, &err));
}

static void end(kept *k)
{
    octet_workspace_free(k->workspace);
    octet_plan_free(k->plan);
}

static void run(kept *k, size_t sample, float *out)
{
    octet_tensor input = all_samples(), outputs[1];
    input.dims[0]      = 1;
    input.data         = samples + sample * PIXELS;
    MUST(octet_run(k->workspace, &input, outputs, &err));
    if (out) memcpy(out, outputs[0].data, CLASSES * sizeof *out);
}

static double real_at(const octet_tensor *t, int64_t i)
{
    if (!t->qparams) return ((const float *)t->data)[i];
    const int level = t->dtype == OCTET_U8 ? ((const uint8_t *)t->data)[i] : ((const int8_t *)t->data)[i];
    return (double)((float)(level - t->qparams->zero_point[0]) * t->qparams->scale[0]);
}

/* Puts the float run's value, rounded, behind every node of the quantized one, and remembers how far `put` was. */
static octet_status feed(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    static int8_t      levels[1 << 12];
    kept *const        k = context;
    const octet_value *value = octet_graph_find_value(k->graph, name);
    const octet_tensor real = octet_workspace_value(k->other->workspace, octet_graph_find_value(k->other->graph, name));
    octet_tensor       numbers = *tensor;
    (void)err;
    if (!strcmp(name, k->put))
        for (int64_t i = 0; i < octet_tensor_count(tensor); i++) {
            const double r = ((const float *)real.data)[i], d = r - real_at(tensor, i);
            k->signal += r * r;
            k->noise += d * d;
        }
    if (value->is_input) return OCTET_OK;
    numbers.data = tensor->qparams ? (void *)levels : real.data;
    for (int64_t i = 0; tensor->qparams && i < octet_tensor_count(tensor); i++) {
        const octet_qparams *const q = tensor->qparams;
        const double level = rint(((float *)real.data)[i] / q->scale[0]) + q->zero_point[0];
        levels[i]          = (int8_t)(uint8_t)fmin(fmax(level, q->qmin), q->qmax);
    }
    assert_true(octet_workspace_put(k->workspace, k->plan, value, &numbers));
    return OCTET_OK;
}

/* The other's value, as it is, in place of `put`. */
static octet_status replace(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    static float      numbers[1 << 12];
    const kept *const k = context;
    (void)err;
    if (strcmp(name, k->put) != 0) return OCTET_OK;
    octet_tensor       as = *tensor;
    const octet_value *const twin  = octet_graph_find_value(k->other->graph, name);
    const octet_tensor       other = octet_workspace_value(k->other->workspace, twin);
    for (int64_t i = 0; i < octet_tensor_count(tensor); i++) numbers[i] = (float)real_at(&other, i);
    as.data = numbers;
    assert_true(octet_workspace_put(k->workspace, k->plan, octet_graph_find_value(k->graph, name), &as));
    return OCTET_OK;
}

/* Runs fed's graph and stops short of replacing the value: what the layer makes when fed the float network's. */
static octet_status feed_but_last(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    const kept *const k = context;
    return strcmp(name, k->put) ? feed(context, name, tensor, err) : OCTET_OK;
}

static void check_only(const setup *s, const octet_layer_error *layer)
{
    const octet_value *const out = octet_graph_find_node(s->quantized, layer->name)->outputs[0];
    kept   real = { .other = NULL }, fed = { .other = &real, .put = out->name };
    kept   again = { .other = &fed, .put = out->name };
    float  outputs[2][CLASSES];
    double signal = 0, noise = 0;
    begin(&real, s->real), begin(&fed, s->quantized), begin(&again, s->real);
    for (size_t i = 0; i < SAMPLES; i++) {
        run(&real, i, outputs[0]);
        octet_workspace_set_hook(fed.workspace, feed, &fed);
        run(&fed, i, NULL);
        octet_workspace_set_hook(fed.workspace, feed_but_last, &fed);
        run(&fed, i, NULL);
        octet_workspace_set_hook(again.workspace, replace, &again);
        run(&again, i, outputs[1]);
        for (int k = 0; k < CLASSES; k++) {
            signal += (double)outputs[0][k] * outputs[0][k];
            noise += pow((double)outputs[0][k] - outputs[1][k], 2);
        }
    }
    assert_true(fabs(layer->local_db - 10 * log10(fed.signal / fed.noise)) < 1e-3);
    assert_true(fabs(layer->output_db - 10 * log10(signal / noise)) < 1e-3);
    end(&real), end(&fed), end(&again);
}

static void alone_as_in_a_whole_run(void **state)
{
    static const char *const names[] = { "conv1", "sum", "conv3", "fc" };
    (void)state;
    setup                   s = make_setup();
    octet_comparison *const c = compare(&s, &(octet_evaluate_options){ .effects = SAMPLES });
    assert_int_equal(c->effect_samples, SAMPLES);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) check_only(&s, layer_of(c, names[i]));
    assert_true(isnan(layer_of(c, "flat")->output_db)); /* a view rounds nothing */
    octet_comparison_free(c);
    drop(&s);
}

/* ---- really in float ---- */

static double output_db(const setup *s, octet_graph *quantized)
{
    octet_scores scores[2];
    MUST(octet_evaluate(scores, quantized, s->real, s->data, NULL, &err));
    return scores[0].sqnr_db;
}

static void gain_is_that_of_the_layer_in_float(void **state)
{
    (void)state;
    setup                   s = make_setup();
    octet_comparison *const c = compare(&s, &(octet_evaluate_options){ .effects = SAMPLES });
    const double            base = output_db(&s, s.quantized);
    for (size_t i = 0; i < c->layer_count; i++) {
        const octet_layer_rule rule = { c->layers[i].name, true };
        octet_graph *const     other = quantize_with(s.data, &rule);
        const double           really = output_db(&s, other) - base;
        octet_graph_free(other);
        print_message("%-6s said %.3f, really %.3f dB\n", rule.match, c->layers[i].gain_db, really);
        if (!strcmp(rule.match, "flat")) continue;
        /* conv2 alone then has a range of its own, which nobody but calibration knows. */
        assert_true(fabs(c->layers[i].gain_db - really) < (strcmp(rule.match, "conv2") ? 1e-3 : 0.1));
    }
    assert_true(layer_of(c, "fc")->gain_db > 4);
    octet_comparison_free(c);
    drop(&s);
}

/* ---- ways that must agree ---- */

static void assert_near(double a, double b, double within)
{
    if (isnan(a) && isnan(b)) return;
    if (isinf(a) && isinf(b)) return;
    assert_true(fabs(a - b) <= within);
}

/* Values in blocks and pixels are compared where they lie (the best engines), all others in logical order (the
   reference engine's). Its float results differ in the last bits. */
static void layouts_do_not_show(void **state)
{
    static const char *const names[] = { "kws_dscnn", "resnet20_cifar10" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const shared_model *model = shared_models;
        char                name[100], path[1024];
        setup               s;
        octet_comparison   *c[2];
        while (strcmp(model->name, names[i]) != 0) model++;
        s.quantized = quantize_shared(model, &s.data, NULL, OCTET_METHOD_MINMAX);
        if (!s.quantized) skip();
        snprintf(name, sizeof name, "models/%s.onnx", model->name);
        assert_true(shared_path(path, sizeof path, name));
        MUST(octet_graph_load(&s.real, path, &err));
        for (int k = 0; k < 2; k++)
            c[k] = compare(&s, &(octet_evaluate_options){ .no_effects = true,
                                                          .baseline_plan.engines = k ? "reference" : NULL });
        for (size_t k = 0; k < c[0]->layer_count; k++) {
            const octet_layer_error *const a = &c[0]->layers[k], *const b = layer_of(c[1], a->name);
            assert_near(a->local_db, b->local_db, 0.01);
            assert_near(a->accumulated_db, b->accumulated_db, 0.01);
            assert_near(a->cosine, b->cosine, 1e-6);
            assert_near(a->max_abs, b->max_abs, 1e-3 * b->max_abs);
        }
        for (int k = 0; k < 2; k++) octet_comparison_free(c[k]);
        drop(&s);
    }
}

/* The same where samples are looked at more closely, which happens in logical order; here with 8 channels, half a
   block. */
static void looking_closer_changes_nothing(void **state)
{
    (void)state;
    setup             s = make_setup();
    octet_comparison *c[2];
    for (int i = 0; i < 2; i++)
        c[i] = compare(&s, &(octet_evaluate_options){ .no_effects = i == 0, .effects = SAMPLES });
    for (size_t i = 0; i < c[0]->layer_count; i++) {
        const octet_layer_error *const a = &c[0]->layers[i], *const b = layer_of(c[1], a->name);
        assert_near(a->local_db, b->local_db, 1e-9);
        assert_near(a->accumulated_db, b->accumulated_db, 1e-9);
        assert_near(a->max_abs, b->max_abs, 0);
    }
    for (int i = 0; i < 2; i++) octet_comparison_free(c[i]);
    drop(&s);
}

static void threads_do_not_show(void **state)
{
    (void)state;
    setup             s = make_setup();
    octet_comparison *c[2];
    for (int i = 0; i < 2; i++)
        c[i] = compare(&s, &(octet_evaluate_options){ .effects = 5, .plan.threads = i ? 3 : 1 });
    for (size_t i = 0; i < c[0]->layer_count; i++) {
        const octet_layer_error *const a = &c[0]->layers[i], *const b = &c[1]->layers[i];
        assert_string_equal(a->name, b->name);
        const double x[] = { a->local_db, a->accumulated_db, a->cosine, a->max_abs,
                             a->output_db, a->gain_db, a->remedy_db };
        const double y[] = { b->local_db, b->accumulated_db, b->cosine, b->max_abs,
                             b->output_db, b->gain_db, b->remedy_db };
        for (size_t k = 0; k < sizeof x / sizeof *x; k++)
            assert_true((isnan(x[k]) && isnan(y[k])) || memcmp(&x[k], &y[k], sizeof *x) == 0);
        assert_string_equal(a->why, b->why);
        assert_string_equal(a->remedy, b->remedy);
    }
    for (int i = 0; i < 2; i++) octet_comparison_free(c[i]);
    drop(&s);
}

/* A Conv that is summed into an Add gives numbers in the Add's unit where the two are steps of their own. */
static void engines_show_alike(void **state)
{
    (void)state;
    static const char *const engines[] = { NULL, "reference" };
    setup                    s         = make_setup();
    octet_comparison        *c[2];
    for (int i = 0; i < 2; i++)
        c[i] = compare(&s, &(octet_evaluate_options){ .no_effects = true, .plan.engines = engines[i] });
    for (size_t i = 0; i < c[0]->layer_count; i++) {
        const octet_layer_error *const a = &c[0]->layers[i], *const b = layer_of(c[1], a->name);
        if (isfinite(a->local_db) && fabs(a->local_db - b->local_db) > 0.5)
            fail_msg("%s: %.2f dB of its own, by the reference %.2f", a->name, a->local_db, b->local_db);
    }
    assert_true(isfinite(layer_of(c[0], "sum")->local_db));
    for (int i = 0; i < 2; i++) octet_comparison_free(c[i]);
    drop(&s);
}

/* ---- node by node ---- */

/* Every node as a step of its own, on what the nodes before it made: a whole run. */
static size_t differing_values(const octet_graph *graph, const octet_tensor *input)
{
    octet_plan      *plan;
    octet_workspace *whole, *parts;
    octet_tensor     outputs[16];
    size_t           differing = 0;
    MUST(octet_plan_create(&plan, graph, &(octet_plan_options){ .keep_values = true, .threads = 1 }, &err));
    MUST(octet_workspace_create(&whole, plan, &err));
    MUST(octet_workspace_create(&parts, plan, &err));
    MUST(octet_run(whole, input, outputs, &err));
    assert_true(octet_workspace_put_reals(parts, graph->inputs[0], input->data));
    for (const octet_node *n = graph->first; n; n = n->next) {
        if (octet_node_fused_add(graph, n) || octet_plan_shape(plan, n->outputs[0]).data) continue;
        MUST(octet_workspace_run_node(parts, n, &err));
        octet_tensor a = octet_workspace_value(whole, n->outputs[0]), b = octet_workspace_value(parts, n->outputs[0]);
        assert_true(a.data && b.data);
        differing += memcmp(a.data, b.data, (size_t)octet_tensor_bytes(&a)) != 0;
    }
    octet_workspace_free(parts);
    octet_workspace_free(whole);
    octet_plan_free(plan);
    return differing;
}

/* PyTorch's target rounds a sum before its activation, which the float network has taken up: both are one layer. */
static void a_sum_apart_from_its_activation_is_compared(void **state)
{
    (void)state;
    setup s = make_setup();
    octet_graph_free(s.quantized);
    s.quantized = quantize_for("torch-1.13", s.data, NULL);
    size_t apart = 0;
    for (const octet_node *n = s.quantized->first; n; n = n->next)
        apart += !octet_graph_find_value(s.real, n->outputs[0]->name);
    assert_true(apart > 0);
    octet_comparison *const        c   = compare(&s, NULL);
    const octet_layer_error *const sum = layer_of(c, "relu2");
    assert_true(sum->local_db > 20 && sum->local_db < 60);
    assert_true(sum->accumulated_db > 15 && sum->accumulated_db <= sum->local_db + 1);
    assert_true(c->output_sqnr_db > 15);
    octet_comparison_free(c);
    drop(&s);
}

static void nodes_one_by_one_are_a_run(void **state)
{
    static const char *const names[] = { "fastestdet_coco", "kws_dscnn", "resnet8_cifar10_nhwc",
                                         "mobilenetv2_1.0_224" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const shared_model *model = shared_models;
        octet_dataset      *data;
        while (strcmp(model->name, names[i]) != 0) model++;
        octet_graph *const graph = quantize_shared(model, &data, NULL, OCTET_METHOD_MINMAX);
        if (!graph) skip();
        octet_tensor input = first_sample(data);
        assert_int_equal(differing_values(graph, &input), 0);
        free(input.data);
        octet_dataset_free(data);
        octet_graph_free(graph);
    }
}

/* ---- a network that reads integers ---- */

enum { WORDS = 20, LENGTH = 5, WIDE = 8, TEXTS = 16 };

/* ids [N, LENGTH] -> rows of a table -> MatMul -> Relu -> MatMul. */
static octet_graph *words(void)
{
    random_state  r = { 9 };
    octet_graph  *graph;
    const int64_t dims[] = { OCTET_DIM_FREE, LENGTH };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "ids", OCTET_I64, dims, 2, &err));
    add_random(graph, &r, "table", (const int64_t[]){ WORDS, WIDE }, 2, between(-1, 1));
    add_random(graph, &r, "w1", (const int64_t[]){ WIDE, WIDE }, 2, between(-0.5f, 0.5f));
    add_random(graph, &r, "w2", (const int64_t[]){ WIDE, 4 }, 2, between(-0.5f, 0.5f));
    add_node(graph, "Gather", "rows", NULL, INPUTS("table", "ids"));
    add_node(graph, "MatMul", "first", NULL, INPUTS("rows", "w1"));
    add_node(graph, "Relu", "relu", NULL, INPUTS("first"));
    add_node(graph, "MatMul", "second", NULL, INPUTS("relu", "w2"));
    MUST(octet_graph_set_output(graph, "second", &err));
    MUST(octet_fuse(graph, &err));
    return graph;
}

/* Both layers are all that rounds: each in float alone must gain, and neither loses tens of decibels, as it does where
   the layer is run alone on rows that other indices chose. */
static void integers_reach_every_layer(void **state)
{
    (void)state;
    char               path[300];
    float              ids[TEXTS * LENGTH]; /* whole numbers, which the data set makes integers of */
    const octet_tensor tensor = { .dtype = OCTET_F32, .rank = 2, .dims = { TEXTS, LENGTH }, .data = ids };
    octet_dataset     *data;
    octet_comparison  *c;
    octet_graph       *real = words(), *quantized = words();
    for (int i = 0; i < TEXTS * LENGTH; i++) ids[i] = (float)(1 + i * 7 % (WORDS - 1));
    snprintf(path, sizeof path, "%s/ids.npy", folder);
    write_npy(path, &tensor);
    MUST(octet_dataset_open(&data, path, &(octet_dataset_options){ .graph = real, .any_inputs = true }, &err));
    MUST(octet_prepare(quantized, octet_qconfig_find("octet"), &err));
    MUST(octet_calibrate(quantized, data, NULL, &err));
    MUST(octet_convert(quantized, &err));
    MUST(octet_compare(&c, real, quantized, data, NULL, &err));
    int gains = 0;
    for (size_t i = 0; i < c->layer_count; i++) {
        if (isnan(c->layers[i].gain_db)) continue;
        assert_true(c->layers[i].gain_db > -1 && c->layers[i].local_db > 20);
        gains++;
    }
    assert_int_equal(gains, 2);
    assert_true(c->output_sqnr_db > 25);
    octet_comparison_free(c);
    octet_dataset_free(data);
    octet_graph_free(quantized);
    octet_graph_free(real);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_as_in_a_whole_run),
        cmocka_unit_test(layouts_do_not_show),
        cmocka_unit_test(looking_closer_changes_nothing),
        cmocka_unit_test(threads_do_not_show),
        cmocka_unit_test(engines_show_alike),
        cmocka_unit_test(a_sum_apart_from_its_activation_is_compared),
        cmocka_unit_test(nodes_one_by_one_are_a_run),
        cmocka_unit_test(gain_is_that_of_the_layer_in_float),
        cmocka_unit_test(integers_reach_every_layer),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
