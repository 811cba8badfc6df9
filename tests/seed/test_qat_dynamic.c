/* SPDX-License-Identifier: Apache-2.0 */
/* PyTorch's test_dynamic_qat_linear, in meaning and with numbers: an observer with a memory is refused; layers train as
   they will run, inputs as levels of the range they have just then; conversion makes dynamic layers of them. */
#include "../train/training.h"

#include "graph/graph.h"
#include "graph/op.h"
#include "train/fake_quantize.h"

static void a_memory_is_refused(void **unused)
{
    (void)unused;
    octet_qconfig qconfig      = *octet_qconfig_find("default_qat");
    octet_graph  *graph        = make(&(shape_of_net){ .seed = 3 });
    qconfig.activation.dynamic = OCTET_DYNAMIC_TENSOR;
    octet_error why = { 0 };
    assert_int_equal(octet_prepare_qat(graph, &qconfig, NULL, NULL, &why), OCTET_ERR_ARGUMENT);
    assert_non_null(strstr(why.text, "memoryless"));
    octet_graph_free(graph);
    graph                        = make(&(shape_of_net){ .seed = 3 });
    qconfig.activation.averaging = 1;
    MUST(octet_prepare_qat(graph, &qconfig, NULL, NULL, &err));
    octet_graph_free(graph);
}

/* Weights have FakeQuantize, inputs have none: they become levels when the layer runs. Returns how many layers. */
static int prepared_layers(const octet_graph *graph)
{
    int layers = 0;
    for (const octet_node *n = graph->first; n; n = n->next) {
        if (n->op->quant != OCTET_QUANT_MAC) continue;
        assert_int_equal(n->dynamic, OCTET_DYNAMIC_TENSOR);
        assert_non_null(n->inputs[1]->fake_quantize);
        assert_non_null(n->inputs[1]->fake_quantize->trained);
        assert_null(n->inputs[0]->fake_quantize);
        layers++;
    }
    return layers;
}

static int dynamic_layers(const octet_graph *graph)
{
    int layers = 0;
    for (const octet_node *n = graph->first; n; n = n->next)
        layers += octet_node_compute_mode(graph, n) == OCTET_MODE_DYNAMIC;
    return layers;
}

/* What the trainer computes now is what ships, bit for bit; returns dB from the real network of the same weights. */
static double compare_with_shipped(octet_trainer *trainer, const data *d)
{
    float         trained[BATCH * CLASSES], shipped[BATCH * CLASSES], real[BATCH * CLASSES];
    octet_tensor  output;
    octet_graph  *quantized;
    MUST(octet_trainer_forward(trainer, &d->input, &output, &err));
    memcpy(trained, output.data, sizeof trained);
    MUST(octet_trainer_quantized(&quantized, trainer, &err));
    assert_int_equal(dynamic_layers(quantized), 3);
    run_graph(quantized, &d->input, shipped, BATCH * CLASSES, NULL);
    assert_memory_equal(trained, shipped, sizeof trained);
    octet_trainer_fake_quantize(trainer, false);
    MUST(octet_trainer_forward(trainer, &d->input, &output, &err));
    memcpy(real, output.data, sizeof real);
    octet_trainer_fake_quantize(trainer, true);
    octet_graph_free(quantized);
    return sqnr_db(real, trained, BATCH * CLASSES);
}

static void layers_train_as_they_will_run(void **unused)
{
    (void)unused;
    static data        d;
    octet_trainer     *trainer;
    octet_train_result first = { 0 }, last = { 0 };
    octet_qconfig      qconfig = *octet_qconfig_find("default_dynamic_qat_qconfig");
    octet_graph *const graph = make(&(shape_of_net){ .seed = 3 });
    qconfig.weight.averaging = 1; /* PyTorch's, of 0.01, lags behind so few steps */
    MUST(octet_prepare_qat(graph, &qconfig, NULL, NULL, &err));
    assert_int_equal(prepared_layers(graph), 3);
    const octet_train_options options = { .batch = BATCH, .optimizer = OCTET_OPTIMIZER_ADAM, .learning_rate = 1e-2 };
    MUST(octet_trainer_create(&trainer, graph, &options, &err));
    for (uint64_t i = 0; i < 60; i++) {
        draw(&d, i);
        octet_trainer_freeze_observers(trainer, i >= 50); /* of the weights: there are no others */
        MUST(octet_trainer_step(trainer, &d.batch, i ? &last : &first, &err));
        assert_true(last.integer == (i >= 50));
    }
    const double db = compare_with_shipped(trainer, &d);
    print_message("loss %.3f to %.3f; %.1f dB from real weights and inputs\n", first.loss, last.loss, db);
    assert_true(last.loss < 0.5 * first.loss);
    assert_true(db > 25 && db < 70);
    assert_int_equal(prepared_layers(graph), 3); /* the trained network is as it was */
    octet_trainer_free(trainer);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_memory_is_refused),
        cmocka_unit_test(layers_train_as_they_will_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
