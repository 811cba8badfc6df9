/* SPDX-License-Identifier: Apache-2.0 */
/* The numerics of PyTorch's test_quantize_eager_qat.py (TestConvBNQATModule) and of test_fuse_eager.py's training half:
   Conv and ConvTranspose in 1 to 3 dimensions and Linear with batch norm, on a tape of doubles, against the plain text
   of plain_norm.h. Shapes and settings are drawn by seed over upstream's ranges. */
#include "plain_norm.h"

#include "graph/graph.h"
#include "train/optimizer.h"
#include "train/options.h"
#include "train/tape.h"

static double x[PLAIN_VALUES], dy[PLAIN_VALUES];

/* ---- a case: the same layer as a tape and plainly ---- */

typedef struct pair {
    plain_net          plain;
    octet_graph       *graph;
    octet_tape        *tape;
    octet_trained     *fake;
    const octet_value *y;
    octet_tensor       input;
} pair;

static void draw(double *to, random_state *r, int count)
{
    for (int i = 0; i < count; i++) to[i] = (double)random_float(r, -1, 1);
}

/* A kind of layer: the input's rank, and whether it is transposed. */
typedef struct kind {
    const char *name;
    int         rank;
    bool        turned;
} kind;

static const kind kinds[] = {
    { "Linear", 2, false }, { "Conv1d", 3, false }, { "Conv2d", 4, false }, { "Conv3d", 5, false },
    { "ConvTranspose1d", 3, true }, { "ConvTranspose2d", 4, true }, { "ConvTranspose3d", 5, true },
};
enum { KINDS = sizeof kinds / sizeof *kinds };
static const kind *const conv2d = &kinds[2];

/* As hypothesis draws them upstream; three dimensions are smaller. */
static plain_layer draw_layer(random_state *r, const kind *k)
{
    const int rank = k->rank, deep = rank == 5;
    static const float epsilons[] = { 1e-5f, 1e-4f, 1e-3f }, momenta[] = { 0.1f, 0.2f, 0.3f };
    plain_layer l = { .rank = rank, .turned = k->turned, .batch = (int)random_int(r, 2, 4),
                      .in = (int)random_int(r, 2, 4),
                      .groups = rank > 2 ? (int)random_int(r, 1, 3) : 1, .out = (int)random_int(r, 2, 3),
                      .bias = random_int(r, 0, 1), .relu = random_int(r, 0, 1), .frozen = random_int(r, 0, 1),
                      .slow = random_int(r, 0, 1), .zero_gamma = random_int(r, 0, 3) == 0,
                      .epsilon = epsilons[random_int(r, 0, 2)], .momentum = momenta[random_int(r, 0, 2)] };
    for (int i = 0; i < 3; i++) {
        const bool spatial = i >= 5 - rank;
        l.size[i]     = spatial ? (int)random_int(r, deep ? 3 : 5, deep ? 4 : 10) : 1;
        l.kernel[i]   = spatial ? (int)random_int(r, 1, deep ? 2 : 3) : 1;
        l.stride[i]   = spatial ? (int)random_int(r, 1, 2) : 1;
        l.pad[i]      = spatial ? (int)random_int(r, 0, deep ? 1 : 2) : 0;
        l.dilation[i] = spatial ? (int)random_int(r, 1, 2) : 1;
    }
    return l;
}

/* The last spatial axes. */
static octet_attribute ints_of(const char *name, int64_t *to, const int *from, const plain_layer *l)
{
    const int spatial = l->rank - 2;
    for (int i = 0; i < spatial; i++) to[i] = to[spatial + i] = from[3 - spatial + i];
    return (octet_attribute){ .name = name, .ints = to, .count = (size_t)spatial };
}

static void add_product(octet_graph *graph, const plain_layer *l)
{
    int64_t kernel[6], stride[6], pad[6], dilation[6];
    octet_attribute conv[] = { ints_of("kernel_shape", kernel, l->kernel, l),
                               ints_of("strides", stride, l->stride, l), ints_of("pads", pad, l->pad, l),
                               ints_of("dilations", dilation, l->dilation, l), { .name = "group", .i = l->groups },
                               { 0 } };
    const octet_attribute gemm[] = { { .name = "transB", .i = 1 }, { 0 } };
    conv[2].count *= 2;
    add_node(graph, l->turned ? "ConvTranspose" : l->rank > 2 ? "Conv" : "Gemm", "product", l->rank > 2 ? conv : gemm,
             INPUTS("x", "weight", l->bias ? "bias" : NULL));
}

/* Constants are float32: the plain side starts from the same ones. */
static void add_numbers(pair *p, random_state *r)
{
    const plain_layer *const l = &p->plain.layer;
    const int64_t channels = plain_channels(l);
    int64_t dims[5] = { l->turned ? l->groups * l->in : channels, l->turned ? l->out : l->in };
    for (int i = 2; i < l->rank; i++) dims[i] = l->kernel[i + 3 - l->rank];
    static const char *const names[] = { "weight", "bias", "gamma", "beta", "mean", "variance" };
    static const float lo[] = { -1, -1, 0.5f, -1, -1, 0.5f };
    plain_net *const n = &p->plain;
    double *const to[] = { n->value.weight, n->value.bias, n->value.gamma, n->value.beta, n->mean, n->variance };
    for (int i = 0; i < 6; i++) {
        float values[PLAIN_WEIGHTS];
        octet_tensor tensor = { .dtype = OCTET_F32, .rank = i ? 1 : l->rank, .dims = { channels }, .data = values };
        if (i == 0) memcpy(tensor.dims, dims, sizeof dims);
        if (i == 1 && !l->bias) continue;
        const size_t count = (size_t)octet_tensor_count(&tensor);
        random_fill(r, values, count, lo[i], lo[i] + 2);
        if (i == 2 && l->zero_gamma) values[0] = 0;
        for (size_t k = 0; k < count; k++) to[i][k] = (double)values[k];
        MUST(octet_graph_add_constant(p->graph, names[i], &tensor, &err));
    }
}

static void attach_fake(pair *p, const octet_quantizer *quantizer)
{
    const plain_layer *const l = &p->plain.layer;
    const octet_trained settings = { .quantizer = *quantizer, .weight = true,
                                     .channels = !quantizer->per_channel ? 1 : l->turned ? l->out : plain_channels(l),
                                     .axis = l->turned };
    octet_fake_quantize *fake;
    MUST(octet_arena_get(&fake, p->graph->arena, 1, sizeof *fake, &err));
    MUST(octet_trained_new(&fake->trained, p->graph->arena, &settings, &err));
    p->fake = fake->trained;
    p->graph->first->inputs[1]->fake_quantize = fake;
}

static void begin(pair *p, const plain_layer *layer, random_state *r, const octet_quantizer *quantizer)
{
    const plain_layer *const l = &p->plain.layer;
    *p = (pair){ .plain.layer = *layer };
    p->input = (octet_tensor){ .dtype = OCTET_F64, .rank = l->rank, .dims = { l->batch, l->groups * l->in },
                               .data = x };
    for (int i = 2; i < l->rank; i++) p->input.dims[i] = l->size[i + 3 - l->rank];
    MUST(octet_graph_new(&p->graph, &err));
    MUST(octet_graph_add_input(p->graph, "x", OCTET_F32, p->input.dims, l->rank, &err));
    add_numbers(p, r);
    add_product(p->graph, l);
    const octet_attribute norm[] = { { .name = "epsilon", .f = l->epsilon },
                                     { .name = "momentum", .f = 1 - l->momentum }, { 0 } };
    add_node(p->graph, "BatchNormalization", "normal", norm, INPUTS("product", "gamma", "beta", "mean", "variance"));
    if (l->relu) add_node(p->graph, "Relu", "positive", NULL, INPUTS("normal"));
    MUST(octet_graph_set_output(p->graph, l->relu ? "positive" : "normal", &err));
    MUST(octet_fuse(p->graph, &err));
    assert_ptr_equal(p->graph->first, p->graph->last);
    p->y = p->graph->first->outputs[0];
    attach_fake(p, quantizer);
    const octet_tape_options options = { .dtype = OCTET_F64, .batch = l->batch, .threads = 1,
                                         .slow_batch_norm = l->slow, .keep_gradients = true };
    MUST(octet_tape_create(&p->tape, p->graph, &options, &err));
    octet_tape_freeze_batch_norm(p->tape, l->frozen);
}

static void end(pair *p)
{
    octet_tape_free(p->tape);
    octet_graph_free(p->graph);
}

/* ---- comparing ---- */

static double apart(const double *a, const double *b, int count)
{
    double worst = 0;
    for (int i = 0; i < count; i++) worst = fmax(worst, fabs(a[i] - b[i]));
    return worst;
}

/* Largest difference of everything that one step makes. */
static double compare(pair *p)
{
    const plain_net *const   n = &p->plain;
    const plain_layer *const l = &n->layer;
    size_t count;
    double worst = apart(octet_tape_value(p->tape, p->y).data, n->y, plain_outputs(l));
    worst = fmax(worst, apart(octet_tape_gradient(p->tape, p->graph->inputs[0]).data, n->dx, plain_inputs(l)));
    const octet_parameter *const g = octet_tape_parameters(p->tape, &count);
    assert_int_equal(count, l->bias ? 4 : 3);
    for (size_t i = 0; i < count; i++) {
        const double *const want[] = { n->gradient.weight, n->gradient.bias, n->gradient.gamma, n->gradient.beta };
        worst = fmax(worst, apart(g[i].gradient, want[g[i].kind], (int)g[i].count));
    }
    const octet_parameter *const s = octet_tape_statistics(p->tape, &count);
    assert_int_equal(count, 2);
    worst = fmax(worst, apart(s[0].value, n->mean, plain_channels(l)));
    return fmax(worst, apart(s[1].value, n->variance, plain_channels(l)));
}

/* Forward and backward of both on new data. */
static void step(pair *p, random_state *r)
{
    draw(x, r, plain_inputs(&p->plain.layer));
    draw(dy, r, plain_outputs(&p->plain.layer));
    MUST(octet_tape_forward(p->tape, &p->input, true, &err));
    MUST(octet_tape_backward(p->tape, p->y, dy, &err));
    plain_forward(&p->plain, x);
    plain_backward(&p->plain, x, dy);
}

static const octet_quantizer *default_weights(void) { return &octet_qconfig_find("octet_qat")->weight; }

/* ---- test_conv_bn_relu, test_linear_bn_numerics: fused without FakeQuantize = unfused, over two steps ---- */

enum { CASES = 120 };

static double fused_against_unfused(uint64_t seed, const kind *k)
{
    static pair p;
    random_state r = { seed };
    double worst = 0;
    const plain_layer layer = draw_layer(&r, k);
    begin(&p, &layer, &r, default_weights());
    p.fake->enabled = false;
    for (int i = 0; i < 2; i++) {
        step(&p, &r);
        worst = fmax(worst, compare(&p));
    }
    end(&p);
    return worst;
}

static void conv_bn_relu(void **unused)
{
    (void)unused;
    for (const kind *k = kinds; k < kinds + KINDS; k++) {
        double worst = 0;
        for (uint64_t seed = 0; seed < CASES; seed++) {
            const double w = fused_against_unfused(seed, k);
            if (w > 1e-10) print_message("%s, seed %d: %g\n", k->name, (int)seed, w);
            worst = fmax(worst, w);
        }
        print_message("%-15s %d cases, fused against unfused: %.1e\n", k->name, CASES, worst);
        assert_true(worst <= 1e-10);
    }
}

/* ---- test_conv_bn_folded_vs_unfolded: FakeQuantize in the middle, SGD, freezing on the way ---- */

static void update(plain_net *n, double rate)
{
    double *const value = n->value.weight;
    const double *const gradient = n->gradient.weight;
    for (size_t i = 0; i < sizeof n->value / sizeof *value; i++) value[i] -= rate * gradient[i];
}

static double folded_against_reference(uint64_t seed, const kind *k, const octet_quantizer *quantizer, bool enabled)
{
    static pair p;
    random_state r = { seed };
    octet_train_options options;
    octet_mover *mover;
    size_t count;
    double worst = 0;
    plain_layer layer = draw_layer(&r, k);
    layer.frozen = layer.slow = layer.zero_gamma = false;
    begin(&p, &layer, &r, quantizer);
    p.plain.folded = true;
    p.plain.fake = enabled ? p.fake : NULL;
    p.fake->enabled = enabled;
    octet_parameter *const parameters = octet_tape_parameters(p.tape, &count);
    MUST(octet_train_resolve(&options, &(octet_train_options){ .learning_rate = 0.01 }, &err));
    MUST(octet_mover_new(&mover, p.graph->arena, &options, parameters, count, &err));
    for (int i = 0; i < 5; i++) {
        p.plain.layer.frozen = i > 2;
        octet_tape_freeze_batch_norm(p.tape, i > 2);
        p.fake->observing = i <= 3;
        step(&p, &r);
        worst = fmax(worst, compare(&p));
        octet_mover_step(mover, 0.01);
        update(&p.plain, 0.01);
    }
    end(&p);
    return worst;
}

static void conv_bn_folded_vs_unfolded(void **unused)
{
    (void)unused;
    octet_quantizer quantizers[] = { *default_weights(), *default_weights(), *default_weights() };
    quantizers[1].per_channel = false;
    quantizers[2].qmin = -7, quantizers[2].qmax = 7, quantizers[2].averaging = 0.3f; /* some are clipped */
    double worst[2] = { 0 };
    for (int enabled = 0; enabled < 2; enabled++)
        for (uint64_t seed = 0; seed < 60; seed++)
            for (const kind *k = kinds; k < kinds + KINDS; k++)
                worst[enabled] = fmax(worst[enabled], folded_against_reference(1000 + seed, k, &quantizers[seed % 3],
                                                                               enabled));
    print_message("folded against unfolded, 5 steps: %.1e, with FakeQuantize %.1e\n", worst[0], worst[1]);
    assert_true(worst[0] <= 1e-5 && worst[1] <= 1e-5);
}

/* ---- test_fusion_conv_with_bias: the same output and statistics, in training and then in evaluation ---- */

static void fusion_conv_with_bias(void **unused)
{
    (void)unused;
    static pair p;
    for (uint64_t seed = 0; seed < 20; seed++) {
        random_state r = { 2000 + seed };
        plain_layer layer = draw_layer(&r, conv2d);
        layer.bias = true;
        layer.frozen = false;
        begin(&p, &layer, &r, default_weights());
        p.fake->enabled = false;
        for (int i = 0; i < 3; i++) {
            step(&p, &r);
            assert_true(compare(&p) <= 1e-10);
        }
        p.plain.layer.frozen = true;
        plain_forward(&p.plain, x);
        MUST(octet_tape_forward(p.tape, &p.input, false, &err)); /* evaluation moves nothing */
        assert_true(apart(octet_tape_value(p.tape, p.y).data, p.plain.y, plain_outputs(&layer)) <= 1e-10);
        size_t count;
        assert_true(apart(octet_tape_statistics(p.tape, &count)[0].value, p.plain.mean, plain_channels(&layer)) <=
                    1e-12);
        end(&p);
    }
}

/* ---- that the comparison sees ---- */

static void a_wrong_statistic_is_seen(void **unused)
{
    (void)unused;
    static pair p;
    random_state r = { 7 };
    plain_layer layer = draw_layer(&r, conv2d);
    layer.frozen = layer.zero_gamma = false;
    begin(&p, &layer, &r, default_weights());
    p.fake->enabled = false;
    p.plain.layer.momentum = 0.11f;
    step(&p, &r);
    assert_true(compare(&p) > 1e-6);
    end(&p);
    begin(&p, &layer, &r, default_weights()); /* quantized against not quantized */
    step(&p, &r);
    assert_true(compare(&p) > 1e-6);
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_bn_relu),
        cmocka_unit_test(conv_bn_folded_vs_unfolded),
        cmocka_unit_test(fusion_conv_with_bias),
        cmocka_unit_test(a_wrong_statistic_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
