/* SPDX-License-Identifier: Apache-2.0 */
/* PyTorch's test_quantize_eager_ptq.py, the static half, in meaning: what becomes integers, what is observed. A module
   is a node; a qconfig on a module is a layer rule; an observer is a watch; QuantStub and DeQuantStub are where levels
   begin and end. */
#include "ptq_flow.h"

#include <octet/improve.h>

/* ---- which layers are quantized ---- */

static const octet_layer_rule child_first[] = { { .match = "*", .keep_float = true },
                                                { .match = "sub2.*", .ranges = true, .method = OCTET_METHOD_MINMAX },
                                                { .match = "sub2.fc1", .ranges = true, .percentile = 80,
                                                  .method = OCTET_METHOD_PERCENTILE },
                                                { .match = "fc3" } };
static const octet_layer_rule no_fc3[]      = { { .match = "fc3", .keep_float = true } };

/* test_single_layer, test_two_layers, test_nested1, 2 and 3, test_skip_quant. */
static const struct {
    const char             *test;
    const layer            *layers;
    const octet_layer_rule *rules;
    size_t                  rule_count;
    const char             *integer, *real;
    const char             *observed, *unobserved; /* one of each */
} cases[] = {
    { "single_layer", single, NULL, 0, "fc1", "", "fc1", "fc1.bias" },
    { "two_layers", two, RULES(only_fc2), "fc2", "fc1", "fc1", "x" },
    { "nested1", nested, RULES(first_rules), "sub2.fc1 fc3", "sub1.fc.raw sub2.fc2", "sub2.fc1", "x" },
    { "nested2", nested, RULES(whole_sub2), "sub2.fc1 sub2.fc2 fc3", "sub1.fc.raw", "sub2.fc2", "x" },
    { "nested3", nested, RULES(child_first), "sub2.fc1 sub2.fc2 fc3", "sub1.fc.raw", "sub2.fc1", "x" },
    { "skip_quant", nested, RULES(no_fc3), "sub1.fc.raw sub2.fc1 sub2.fc2", "fc3", "x", "fc3" },
};

static void rules_choose_layers(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float               want[ROOM], got[ROOM];
        octet_graph *const  plain = linear_network(cases[i].layers), *const graph = linear_network(cases[i].layers);
        const octet_qconfig qconfig = torch_default(cases[i].rules, cases[i].rule_count);
        MUST(octet_prepare(graph, &qconfig, &err));
        assert_true(observed(graph, cases[i].observed));
        assert_false(observed(graph, cases[i].unobserved));
        calibrate_and_convert(graph);
        assert_modes(graph, cases[i].integer, cases[i].real);
        const octet_tensor x = input_of(plain, 10);
        const size_t       n = run_graph(plain, &x, want, ROOM, NULL);
        assert_int_equal(run_graph(graph, &x, got, ROOM, &(octet_plan_options){ .profile = "torch-qnnpack" }), n);
        const double db = sqnr_db(want, got, n);
        print_message("%-12s %.1f dB\n", cases[i].test, db);
        assert_true(db > 12 && db < 60);
        octet_graph_free(plain);
        octet_graph_free(graph);
    }
}

/* test_nested3: what the child says counts, in its own range too. */
static void a_child_overrides_its_parent(void **unused)
{
    (void)unused;
    const octet_qconfig wide = torch_default(RULES(whole_sub2)), narrow = torch_default(RULES(child_first));
    octet_graph *const  a = quantized(linear_network(nested), &wide);
    octet_graph *const  b = quantized(linear_network(nested), &narrow);
    const char *const   values[] = { "sub2.fc1", "sub2.fc2" };
    for (int i = 0; i < 2; i++) {
        const float of_a = octet_graph_find_value(a, values[i])->fake_quantize->qparams.scale[0];
        const float of_b = octet_graph_find_value(b, values[i])->fake_quantize->qparams.scale[0];
        assert_true(i ? of_a == of_b : of_b < 0.8f * of_a);
    }
    octet_graph_free(a);
    octet_graph_free(b);
}

/* ---- one line, out of place ---- */

static size_t constant_bytes(const octet_graph *graph, unsigned char *bytes, size_t room)
{
    size_t n = 0;
    for (const octet_value *v = graph->values; v; v = v->next) {
        if (!v->constant) continue;
        const size_t size = (size_t)octet_tensor_bytes(v->constant);
        assert_true(n + size + strlen(v->name) <= room);
        memcpy(bytes + n, v->constant->data, size);
        memcpy(bytes + n + size, v->name, strlen(v->name));
        n += size + strlen(v->name);
    }
    return n;
}

/* test_single_layer, test_manual: quantize() does the same as the steps, and leaves the float model as it was. */
static void one_line_does_the_same_and_leaves_the_model(void **unused)
{
    (void)unused;
    static unsigned char before[ROOM], after[ROOM];
    float                one[ROOM], steps[ROOM];
    octet_graph         *line = NULL, *const plain = linear_network(two);
    const octet_qconfig  qconfig = torch_default(NULL, 0);
    octet_graph *const   graph = quantized(linear_network(two), &qconfig);
    octet_dataset *const data  = data_for(plain);
    const octet_quantize_options options = { .qconfig = &qconfig, .calibrate = { .threads = 1 } };
    MUST(octet_fuse(plain, &err));
    const size_t size = constant_bytes(plain, before, sizeof before);
    MUST(octet_quantize(&line, plain, data, &options, NULL, &err));
    assert_int_equal(constant_bytes(plain, after, sizeof after), size);
    assert_memory_equal(before, after, size);
    assert_int_equal(octet_graph_stage(plain), OCTET_STAGE_FUSED);
    const octet_tensor x = input_of(plain, 10);
    const size_t       n = run_graph(graph, &x, steps, ROOM, NULL);
    assert_int_equal(run_graph(line, &x, one, ROOM, NULL), n);
    assert_memory_equal(one, steps, n * sizeof *one);
    octet_dataset_free(data);
    octet_graph_free(line);
    octet_graph_free(graph);
    octet_graph_free(plain);
}

/* ---- modules ---- */

static octet_graph *begin(const int64_t *dims, int rank)
{
    octet_graph *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, rank, &err));
    return graph;
}

static octet_graph *end(octet_graph *graph, const char *output)
{
    MUST(octet_graph_set_output(graph, output, &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

/* test_relu, test_leaky_relu, test_activations: LeakyRelu, HardSwish and Elu have their own observers, a Relu none. */
static void functions_are_observed_and_relu_is_not(void **unused)
{
    (void)unused;
    static const struct { const char *op; bool own; } functions[] = { { "Relu", false },
                                                                      { "LeakyRelu", true },
                                                                      { "HardSwish", true },
                                                                      { "Elu", true } };
    const int64_t         dims[] = { OCTET_DIM_FREE, 3, 4, 4 };
    const int64_t         two_by_two[] = { 2, 2 };
    const octet_attribute pool[] = { { .name = "kernel_shape", .ints = two_by_two, .count = 2 }, { 0 } };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        const octet_qconfig qconfig = torch_default(NULL, 0);
        octet_graph *const  graph   = begin(dims, 4);
        add_node(graph, "MaxPool", "pool", pool, INPUTS("x"));
        add_node(graph, functions[i].op, "y", NULL, INPUTS("pool"));
        end(graph, "y");
        MUST(octet_prepare(graph, &qconfig, &err));
        assert_true(observed(graph, "x"));
        assert_false(observed(graph, "pool"));
        assert_int_equal(observed(graph, "y"), functions[i].own);
        calibrate_and_convert(graph);
        assert_modes(graph, "pool y", "");
        const octet_fake_quantize *const before = octet_graph_find_value(graph, "pool")->fake_quantize;
        assert_int_equal(octet_graph_find_value(graph, "y")->fake_quantize != before, functions[i].own);
        octet_graph_free(graph);
    }
}

/* test_normalization: all of them become integers, each with an observer of its own. */
static void normalizations_are_observed(void **unused)
{
    (void)unused;
    static const char *const ops[] = { "LayerNormalization", "GroupNormalization", "InstanceNormalization" };
    const int64_t         dims[] = { OCTET_DIM_FREE, 4, 3, 4 }, four[] = { 4 };
    const octet_attribute groups[] = { { .name = "num_groups", .i = 2 }, { 0 } };
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        float               want[ROOM], got[ROOM];
        octet_graph        *graphs[2];
        const octet_qconfig qconfig = torch_default(NULL, 0);
        for (int k = 0; k < 2; k++) {
            random_state r = { 9 };
            graphs[k]      = begin(dims, 4);
            add_random(graphs[k], &r, "scale", four, 1, between(0.5f, 2));
            add_random(graphs[k], &r, "bias", four, 1, between(-1, 1));
            add_node(graphs[k], ops[i], "y", i == 1 ? groups : NULL, INPUTS("x", "scale", "bias"));
            end(graphs[k], "y");
        }
        MUST(octet_prepare(graphs[1], &qconfig, &err));
        assert_true(observed(graphs[1], "x") && observed(graphs[1], "y"));
        calibrate_and_convert(graphs[1]);
        assert_modes(graphs[1], "y", "");
        const octet_tensor x = input_of(graphs[0], 10);
        const size_t       n = run_graph(graphs[0], &x, want, ROOM, NULL);
        assert_int_equal(run_graph(graphs[1], &x, got, ROOM, NULL), n);
        assert_true(sqnr_db(want, got, n) > 30);
        for (int k = 0; k < 2; k++) octet_graph_free(graphs[k]);
    }
}

/* test_convtranspose_per_channel_fails_early, test_convtranspose_per_channel_qconfig_none: what PyTorch refuses works
   here, one scale per output channel, which is axis 1 of the weights; and a layer kept float has none. */
static void conv_transpose_has_a_scale_per_channel(void **unused)
{
    (void)unused;
    static const octet_layer_rule rules[] = { { .match = "up", .keep_float = true } };
    const int64_t dims[] = { OCTET_DIM_FREE, 4, 5, 5 }, kernel[] = { 4, 3, 3, 3 };
    for (int kept = 0; kept < 2; kept++) {
        float         want[ROOM], got[ROOM];
        octet_graph  *graphs[2];
        octet_qconfig qconfig      = torch_default(rules, (size_t)kept);
        qconfig.weight.per_channel = true;
        for (int k = 0; k < 2; k++) {
            random_state r = { 21 };
            graphs[k]      = begin(dims, 4);
            add_random(graphs[k], &r, "w", kernel, 4, between(-0.4f, 0.4f));
            add_node(graphs[k], "ConvTranspose", "up", NULL, INPUTS("x", "w"));
            end(graphs[k], "up");
        }
        quantized(graphs[1], &qconfig);
        assert_modes(graphs[1], kept ? "" : "up", kept ? "up" : "");
        const octet_qparams *const w = octet_value_levels(graphs[1], octet_graph_find_node(graphs[1], "up")->inputs[1]);
        assert_int_equal(w ? w->count : 0, kept ? 0 : 3);
        if (w) assert_int_equal(w->axis, 1);
        const octet_tensor x = input_of(graphs[0], 4);
        const size_t       n = run_graph(graphs[0], &x, want, ROOM, NULL);
        assert_int_equal(run_graph(graphs[1], &x, got, ROOM, NULL), n);
        const double db = sqnr_db(want, got, n);
        print_message("ConvTranspose %s: %.1f dB\n", kept ? "kept float" : "per channel", db);
        assert_true(db > (kept ? 100 : 30));
        for (int k = 0; k < 2; k++) octet_graph_free(graphs[k]);
    }
}

/* test_functional_module, test_resnet_base: add, cat and add_relu are observed, pooling keeps its input's parameters,
   batch norm is gone, Relu is part of the convolution before it. */
static void a_block_of_a_resnet(void **unused)
{
    (void)unused;
    random_state          r       = { 5 };
    const int64_t         dims[]  = { OCTET_DIM_FREE, 3, 6, 6 }, kernel[] = { 3, 3, 1, 1 }, three[] = { 3 };
    const int64_t         fc[]    = { 6, 4 };
    const octet_attribute axis[]  = { { .name = "axis", .i = 1 }, { 0 } };
    const octet_qconfig   qconfig = torch_default(NULL, 0);
    octet_graph *const    graph   = begin(dims, 4);
    add_random(graph, &r, "conv1.weight", kernel, 4, between(-1, 1));
    add_random(graph, &r, "gamma", three, 1, between(0.5f, 2));
    add_random(graph, &r, "beta", three, 1, between(-1, 1));
    add_random(graph, &r, "var", three, 1, between(0.5f, 2));
    add_random(graph, &r, "fc.weight", fc, 2, between(-1, 1));
    add_node(graph, "Conv", "conv1", NULL, INPUTS("x", "conv1.weight"));
    add_node(graph, "BatchNormalization", "bn1", NULL, INPUTS("conv1", "gamma", "beta", "beta", "var"));
    add_node(graph, "Relu", "relu1", NULL, INPUTS("bn1"));
    add_node(graph, "Add", "add", NULL, INPUTS("relu1", "x"));
    add_node(graph, "Relu", "relu2", NULL, INPUTS("add"));
    add_node(graph, "Concat", "cat", axis, INPUTS("relu2", "x"));
    add_node(graph, "GlobalAveragePool", "avgpool", NULL, INPUTS("cat"));
    add_node(graph, "Flatten", "flat", NULL, INPUTS("avgpool"));
    add_node(graph, "MatMul", "fc", NULL, INPUTS("flat", "fc.weight"));
    end(graph, "fc");
    MUST(octet_prepare(graph, &qconfig, &err));
    const char *const watched[] = { "x", "relu1", "add", "cat", "fc" };
    const char *const others[]  = { "avgpool", "flat", "relu2" };
    for (size_t i = 0; i < 5; i++) assert_true(observed(graph, watched[i]));
    for (size_t i = 0; i < 3; i++) assert_false(observed(graph, others[i]));
    assert_null(octet_graph_find_node(graph, "bn1"));
    calibrate_and_convert(graph);
    assert_modes(graph, "conv1 add cat avgpool fc", "");
    assert_ptr_equal(octet_graph_find_value(graph, "cat")->fake_quantize,
                     octet_graph_find_value(graph, "avgpool")->fake_quantize);
    octet_graph_free(graph);
}

/* test_dequant_stub: what leaves the network is real; without the stub at the end the last sum is real by itself. */
static void outputs_are_real(void **unused)
{
    (void)unused;
    octet_qconfig      qconfig = torch_default(NULL, 0);
    octet_graph *const levels  = quantized(linear_network(two), &qconfig);
    assert_int_equal(mode_of(levels, "fc2"), OCTET_MODE_INTEGER);
    qconfig.target             = NULL;
    octet_graph *const sums    = quantized(linear_network(two), &qconfig);
    assert_int_equal(mode_of(sums, "fc2"), OCTET_MODE_INTEGER_REAL);
    octet_graph_free(levels);
    octet_graph_free(sums);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_choose_layers),
        cmocka_unit_test(a_child_overrides_its_parent),
        cmocka_unit_test(one_line_does_the_same_and_leaves_the_model),
        cmocka_unit_test(functions_are_observed_and_relu_is_not),
        cmocka_unit_test(normalizations_are_observed),
        cmocka_unit_test(conv_transpose_has_a_scale_per_channel),
        cmocka_unit_test(a_block_of_a_resnet),
        cmocka_unit_test(outputs_are_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
