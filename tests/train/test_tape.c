/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of whole networks against central differences, in double: batch norm live by both of PyTorch's paths,
   frozen, and absent; shared weights; branches. Running statistics against their definition. And no number of threads
   shows in a float tape. */
#include "support.h"

#include "train/quantized.h"
#include "train/tape.h"

enum { BATCH = 6 };

/* ---- networks ---- */

typedef struct maker {
    octet_graph *graph;
    random_state random;
} maker;

static void constant(maker *m, const char *name, int rank, const int64_t *dims, float lo, float hi)
{
    add_random(m->graph, &m->random, name, dims, rank, between(lo, hi));
}

#define NODE(m, op, out, attributes, ...) add_node((m)->graph, op, out, attributes, INPUTS(__VA_ARGS__))

/* out = conv(in) with weights named w. */
static void conv(maker *m, const char *in, const char *out, const char *w, const int64_t stride[2], int64_t group)
{
    const octet_attribute attributes[] = { { "pads", .ints = (int64_t[]){ 1, 1, 1, 1 }, .count = 4 },
                                           { "strides", .ints = stride, .count = 2 },
                                           { "group", .i = group },
                                           { 0 } };
    NODE(m, "Conv", out, attributes, in, w);
}

static void batch_norm(maker *m, const char *in, const char *out, int64_t channels)
{
    char name[4][32];
    static const char *const part[] = { "gamma", "beta", "mean", "variance" };
    static const float lo[] = { 0.5f, -1, -1, 0.5f }, hi[] = { 1.5f, 1, 1, 2 };
    for (int i = 0; i < 4; i++) {
        snprintf(name[i], sizeof name[i], "%s.%s", out, part[i]);
        constant(m, name[i], 1, &channels, lo[i], hi[i]);
    }
    const octet_attribute attributes[] = { { "epsilon", .f = 1e-3f }, { "momentum", .f = 0.7f }, { 0 } };
    NODE(m, "BatchNormalization", out, attributes, in, name[0], name[1], name[2], name[3]);
}

static const int64_t ONE[] = { 1, 1 }, TWO[] = { 2, 2 };

static const char *plain(maker *m)
{
    constant(m, "w", 4, (int64_t[]){ 4, 3, 3, 3 }, -1, 1);
    conv(m, "x", "y", "w", ONE, 1);
    return "y";
}

static const char *conv_bn(maker *m)
{
    constant(m, "w", 4, (int64_t[]){ 4, 3, 3, 3 }, -1, 1);
    conv(m, "x", "c", "w", TWO, 1);
    batch_norm(m, "c", "y", 4);
    return "y";
}

static const char *grouped_bn_relu(maker *m)
{
    constant(m, "w", 4, (int64_t[]){ 3, 1, 3, 3 }, -1, 1);
    conv(m, "x", "c", "w", ONE, 3);
    batch_norm(m, "c", "b", 3);
    NODE(m, "Relu", "y", NULL, "b");
    return "y";
}

static const char *biased_bn_clip(maker *m)
{
    constant(m, "w", 4, (int64_t[]){ 4, 3, 3, 3 }, -1, 1);
    constant(m, "bias", 1, (int64_t[]){ 4 }, -1, 1);
    NODE(m, "Conv", "c", NULL, "x", "w", "bias");
    batch_norm(m, "c", "b", 4);
    const float six = 1;
    MUST(octet_graph_add_constant(m->graph, "six", &(octet_tensor){ OCTET_F32, 0, { 0 }, (void *)&six, NULL }, &err));
    constant(m, "none", 0, NULL, -1.5f, -1.4f);
    NODE(m, "Clip", "y", NULL, "b", "none", "six");
    return "y";
}

static const char *shared_residual(maker *m)
{
    constant(m, "w", 4, (int64_t[]){ 3, 3, 3, 3 }, -1, 1);
    conv(m, "x", "a", "w", ONE, 1);
    batch_norm(m, "a", "b", 3);
    NODE(m, "Relu", "r", NULL, "b");
    conv(m, "r", "c", "w", ONE, 1);
    NODE(m, "Add", "s", NULL, "c", "r");
    NODE(m, "Relu", "y", NULL, "s");
    return "y";
}

static const char *classifier(maker *m)
{
    constant(m, "w", 4, (int64_t[]){ 4, 3, 3, 3 }, -1, 1);
    constant(m, "fc", 2, (int64_t[]){ 5, 4 }, -1, 1);
    constant(m, "fc_bias", 1, (int64_t[]){ 5 }, -1, 1);
    conv(m, "x", "c", "w", ONE, 1);
    batch_norm(m, "c", "b", 4);
    NODE(m, "Sigmoid", "g", NULL, "b");
    NODE(m, "Mul", "p", NULL, "g", "b");
    NODE(m, "GlobalAveragePool", "q", NULL, "p");
    NODE(m, "Flatten", "f", NULL, "q");
    const octet_attribute trans[] = { { "transB", .i = 1 }, { 0 } };
    NODE(m, "Gemm", "l", trans, "f", "fc", "fc_bias");
    NODE(m, "Softmax", "y", NULL, "l");
    return "y";
}

static const char *linear_bn(maker *m)
{
    constant(m, "fc", 2, (int64_t[]){ 75, 4 }, -0.3f, 0.3f);
    constant(m, "fc_bias", 1, (int64_t[]){ 4 }, -1, 1);
    NODE(m, "Flatten", "f", NULL, "x");
    NODE(m, "Gemm", "l", NULL, "f", "fc", "fc_bias");
    batch_norm(m, "l", "y", 4);
    return "y";
}

static const char *split_pool_concat(maker *m)
{
    const octet_attribute window[] = { { "kernel_shape", .ints = TWO, .count = 2 }, { 0 } };
    const octet_attribute axis[]   = { { "axis", .i = 1 }, { 0 } };
    constant(m, "w", 4, (int64_t[]){ 4, 3, 3, 3 }, -1, 1);
    conv(m, "x", "c", "w", ONE, 1);
    NODE(m, "MaxPool", "a", window, "c");
    NODE(m, "AveragePool", "b", window, "c");
    NODE(m, "Concat", "y", axis, "a", "b", "a");
    return "y";
}

/* GRU, a norm with gain and shift, PRelu: constants that no product has. The last dimension is a frame of 15. */
static const char *recurrent(maker *m)
{
    const octet_attribute how[] = { { "layout", .i = 1 }, { "linear_before_reset", .i = 1 }, { 0 } };
    const octet_tensor    frames = { .dtype = OCTET_I64, .rank = 1, .dims = { 3 }, .data = (int64_t[]){ 0, 5, 15 } };
    const octet_tensor    states = { .dtype = OCTET_I64, .rank = 1, .dims = { 3 }, .data = (int64_t[]){ 0, 5, 4 } };
    MUST(octet_graph_add_constant(m->graph, "frames", &frames, &err));
    MUST(octet_graph_add_constant(m->graph, "states", &states, &err));
    constant(m, "w", 3, (int64_t[]){ 1, 12, 15 }, -0.4f, 0.4f);
    constant(m, "r", 3, (int64_t[]){ 1, 12, 4 }, -0.4f, 0.4f);
    constant(m, "b", 2, (int64_t[]){ 1, 24 }, -1, 1);
    constant(m, "gain", 1, (int64_t[]){ 4 }, 0.5f, 1.5f);
    constant(m, "shift", 1, (int64_t[]){ 4 }, -1, 1);
    constant(m, "slope", 1, (int64_t[]){ 4 }, 0.1f, 0.3f);
    NODE(m, "Reshape", "a", NULL, "x", "frames");
    NODE(m, "GRU", "g", how, "a", "w", "r", "b");
    NODE(m, "Reshape", "h", NULL, "g", "states");
    NODE(m, "LayerNormalization", "n", NULL, "h", "gain", "shift");
    NODE(m, "PRelu", "y", NULL, "n", "slope");
    return "y";
}

/* One matrix is embedding and last product, as in language models. */
static const char *tied(maker *m)
{
    const octet_attribute axis[] = { { "axis", .i = 1 }, { "keepdims", .i = 0 }, { 0 } };
    constant(m, "table", 2, (int64_t[]){ 3, 3 }, -1, 1);
    NODE(m, "ArgMax", "i", axis, "x");
    NODE(m, "Gather", "e", NULL, "table", "i");
    NODE(m, "MatMul", "y", NULL, "e", "table");
    return "y";
}

static const struct {
    const char *name;
    const char *(*make)(maker *m);
} networks[] = {
    { "conv", plain },
    { "conv + batch norm", conv_bn },
    { "grouped conv + batch norm + relu", grouped_bn_relu },
    { "conv with bias + batch norm + clip", biased_bn_clip },
    { "weights shared, residual", shared_residual },
    { "classifier", classifier },
    { "linear + batch norm", linear_bn },
    { "pools and concat", split_pool_concat },
    { "GRU, norm, PRelu", recurrent },
    { "embedding, tied", tied },
};
enum { NETWORKS = sizeof networks / sizeof *networks };

static octet_graph *make(int which, const octet_value **y)
{
    maker m = { .random = { 100 + (uint64_t)which } };
    MUST(octet_graph_new(&m.graph, &err));
    MUST(octet_graph_add_input(m.graph, "x", OCTET_F32, (int64_t[]){ OCTET_DIM_FREE, 3, 5, 5 }, 4, &err));
    const char *const out = networks[which].make(&m);
    MUST(octet_graph_set_output(m.graph, out, &err));
    MUST(octet_fuse(m.graph, &err));
    *y = octet_graph_find_value(m.graph, out);
    assert_non_null(*y);
    return m.graph;
}

/* ---- central differences ---- */

typedef struct run {
    octet_tape        *tape;
    const octet_value *y;
    octet_tensor       input;
    double            *statistics, *weights; /* of the running statistics at first; of the loss */
    size_t             outputs;
    bool               training;
} run;

static void each_statistic(run *r, bool store)
{
    size_t count, at = 0;
    octet_parameter *const s = octet_tape_statistics(r->tape, &count);
    for (size_t i = 0; i < count; at += s[i++].count)
        memcpy(store ? r->statistics + at : s[i].value, store ? s[i].value : r->statistics + at,
               s[i].count * sizeof(double));
}

static double loss(run *r)
{
    each_statistic(r, false);
    MUST(octet_tape_forward(r->tape, &r->input, r->training, &err));
    const double *const y = octet_tape_value(r->tape, r->y).data;
    double sum = 0;
    for (size_t i = 0; i < r->outputs; i++) sum += y[i] * r->weights[i];
    return sum;
}

/* The largest difference, relative to the largest gradient. */
static double differences(run *r, double *x, const double *gradient, size_t count)
{
    double worst = 0, largest = 1e-3;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs(gradient[i]));
    for (size_t i = 0; i < count; i++) {
        const double before = x[i], h = 1e-6;
        x[i] = before + h;
        const double up = loss(r);
        x[i] = before - h;
        const double down = loss(r);
        x[i] = before;
        worst = fmax(worst, fabs((up - down) / (2 * h) - gradient[i]) / largest);
    }
    return worst;
}

static void fill_doubles(double *x, size_t count, uint64_t seed)
{
    random_state random = { seed };
    for (size_t i = 0; i < count; i++) x[i] = (double)random_float(&random, -1, 1);
}

static void check_network(int which, bool training, bool slow)
{
    run r = { .training = training };
    octet_graph *const graph = make(which, &r.y);
    const octet_tape_options options = { .dtype = OCTET_F64, .batch = BATCH, .threads = 2, .slow_batch_norm = slow,
                                         .keep_gradients = true };
    MUST(octet_tape_create(&r.tape, graph, &options, &err));
    r.input = (octet_tensor){ .dtype = OCTET_F64, .rank = 4, .dims = { BATCH, 3, 5, 5 } };
    const size_t inputs = (size_t)octet_tensor_count(&r.input);
    double *const x = calloc(inputs, sizeof *x), *const dx = calloc(inputs, sizeof *x);
    fill_doubles(x, inputs, 7);
    r.input.data = x;
    MUST(octet_tape_forward(r.tape, &r.input, false, &err));
    const octet_tensor y = octet_tape_value(r.tape, r.y);
    r.outputs = (size_t)octet_tensor_count(&y);
    r.weights = calloc(r.outputs, sizeof(double));
    r.statistics = calloc(1000, sizeof(double));
    fill_doubles(r.weights, r.outputs, 8);
    each_statistic(&r, true);
    loss(&r);
    MUST(octet_tape_backward(r.tape, r.y, r.weights, &err));
    size_t count;
    octet_parameter *const p = octet_tape_parameters(r.tape, &count);
    const double *const given = octet_tape_gradient(r.tape, graph->inputs[0]).data; /* none: zero */
    if (given) memcpy(dx, given, inputs * sizeof *dx);
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        double *const gradient = malloc(p[i].count * sizeof(double));
        memcpy(gradient, p[i].gradient, p[i].count * sizeof(double));
        const double w = differences(&r, p[i].value, gradient, p[i].count);
        if (w > 1e-6) print_message("%s: %s off by %g\n", networks[which].name, p[i].name, w);
        worst = fmax(worst, w);
        free(gradient);
    }
    worst = fmax(worst, differences(&r, x, dx, inputs));
    print_message("%-36s %s%s: %.1e\n", networks[which].name, training ? "training" : "inference", slow ? ", slow" : "",
                  worst);
    assert_true(worst < 1e-6);
    octet_tape_free(r.tape);
    octet_graph_free(graph);
    free(x);
    free(dx);
    free(r.weights);
    free(r.statistics);
}

static void gradients_are_differences(void **unused)
{
    (void)unused;
    for (int i = 0; i < NETWORKS; i++) {
        check_network(i, true, false);
        check_network(i, true, true);
        check_network(i, false, false);
    }
}

/* ---- threads ---- */

static void run_float(int which, int threads, float **out, size_t *count)
{
    const octet_value *y;
    octet_tape *tape;
    octet_graph *const graph = make(which, &y);
    const octet_tape_options options = { .batch = BATCH, .threads = threads };
    static float x[BATCH * 75], d[4096];
    random_state random = { 5 };
    random_fill(&random, x, BATCH * 75, -1, 1);
    random_fill(&random, d, 4096, -1, 1);
    MUST(octet_tape_create(&tape, graph, &options, &err));
    const octet_tensor input = { .dtype = OCTET_F32, .rank = 4, .dims = { BATCH, 3, 5, 5 }, .data = x };
    MUST(octet_tape_forward(tape, &input, true, &err));
    MUST(octet_tape_backward(tape, y, d, &err));
    size_t parameters, at = 0;
    const octet_parameter *const p = octet_tape_parameters(tape, &parameters);
    *out = calloc(8192, sizeof(float));
    for (size_t i = 0; i < parameters; at += p[i++].count) memcpy(*out + at, p[i].gradient, p[i].count * sizeof(float));
    *count = at;
    octet_tape_free(tape);
    octet_graph_free(graph);
}

static void threads_change_no_gradient(void **unused)
{
    (void)unused;
    for (int i = 0; i < NETWORKS; i++) {
        float *one, *many;
        size_t count, again;
        run_float(i, 1, &one, &count);
        for (int threads = 2; threads < 5; threads++) {
            run_float(i, threads, &many, &again);
            assert_int_equal(count, again);
            assert_memory_equal(one, many, count * sizeof *one);
            free(many);
        }
        free(one);
    }
}

/* ---- the fast way ---- */

/* How a tape runs: batch norm live by two paths, or frozen; then in integers. */
typedef enum way { LIVE, SLOW, FROZEN, INTEGERS, WAYS } way;

/* Outputs and all gradients of one pass, from a graph prepared for training, or as it is. */
static size_t run_way(float *out, octet_graph *graph, const octet_value *y, way how, bool reference)
{
    octet_tape  *tape;
    octet_graph *quantized = NULL;
    static float x[BATCH * 75], d[4096];
    size_t       count, at = 0;
    random_state random = { 5 };
    const octet_tape_options options = { .batch = BATCH, .threads = 2, .reference = reference,
                                         .slow_batch_norm = how == SLOW, .keep_gradients = true };
    const octet_tensor input = { .dtype = OCTET_F32, .rank = 4, .dims = { BATCH, 3, 5, 5 }, .data = x };
    random_fill(&random, x, BATCH * 75, -1, 1);
    random_fill(&random, d, 4096, -1, 1);
    MUST(octet_tape_create(&tape, graph, &options, &err));
    octet_tape_freeze_batch_norm(tape, how >= FROZEN);
    if (how == INTEGERS) {
        MUST(octet_train_quantized(&quantized, graph, &err));
        MUST(octet_tape_use_integers(tape, quantized, &err));
    }
    MUST(octet_tape_forward(tape, &input, true, &err));
    MUST(octet_tape_backward(tape, y, d, &err));
    const octet_tensor value = octet_tape_value(tape, y), dx = octet_tape_gradient(tape, graph->inputs[0]);
    memcpy(out, value.data, (size_t)octet_tensor_bytes(&value));
    at += (size_t)octet_tensor_count(&value);
    if (dx.data) memcpy(out + at, dx.data, (size_t)octet_tensor_bytes(&dx));
    at += dx.data ? (size_t)octet_tensor_count(&dx) : 0;
    octet_parameter *const p = octet_tape_parameters(tape, &count);
    for (size_t i = 0; i < count; at += p[i++].count) memcpy(out + at, p[i].gradient, p[i].count * sizeof(float));
    octet_parameter *const s = octet_tape_statistics(tape, &count);
    for (size_t i = 0; i < count; at += s[i++].count) memcpy(out + at, s[i].value, s[i].count * sizeof(float));
    octet_tape_free(tape);
    octet_graph_free(quantized);
    return at;
}

/* A network with FakeQuantize whose ranges rest: both ways round the same numbers. */
static octet_graph *prepared(int which, const octet_value **y, const char *qconfig)
{
    octet_graph *const graph = make(which, y);
    const char *const  name  = (*y)->name;
    float             *x     = calloc(64 * 75, sizeof *x);
    random_state       random = { 11 };
    octet_tape        *tape;
    random_fill(&random, x, 64 * 75, -1, 1);
    MUST(octet_prepare_qat(graph, octet_qconfig_find(qconfig), NULL, NULL, &err));
    const octet_tape_options options = { .batch = 64, .threads = 2, .reference = true };
    const octet_tensor input = { .dtype = OCTET_F32, .rank = 4, .dims = { 64, 3, 5, 5 }, .data = x };
    MUST(octet_tape_create(&tape, graph, &options, &err));
    octet_tape_freeze_batch_norm(tape, true);
    MUST(octet_tape_forward(tape, &input, true, &err));
    octet_tape_free(tape);
    for (octet_value *v = graph->values; v; v = v->next) {
        octet_trained *const t = v->fake_quantize ? v->fake_quantize->trained : NULL;
        if (!t) continue;
        t->observing = false;
        octet_trained_learn(t);
    }
    *y = octet_graph_find_value(graph, name);
    free(x);
    return graph;
}

static void compare_ways(int which, const char *qconfig, way how)
{
    static float one[8192], other[8192];
    const octet_value *y;
    octet_graph *const graph = qconfig ? prepared(which, &y, qconfig) : make(which, &y);
    const size_t count = run_way(one, graph, y, how, true);
    assert_int_equal(run_way(other, graph, y, how, false), count);
    const double db = sqnr_db(one, other, count);
    if (db < 80) print_message("%s, %s, way %d: %.1f dB\n", networks[which].name, qconfig ? qconfig : "float", how, db);
    assert_true(db > 80);
    octet_graph_free(graph);
}

static void fast_is_what_the_definition_says(void **unused)
{
    (void)unused;
    for (int i = 0; i < NETWORKS; i++)
        for (int how = 0; how < WAYS; how++) {
            if (how != INTEGERS) compare_ways(i, NULL, (way)how);
            compare_ways(i, "octet_qat", (way)how);
            compare_ways(i, "octet_lsq", (way)how);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_differences),
        cmocka_unit_test(threads_change_no_gradient),
        cmocka_unit_test(fast_is_what_the_definition_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
