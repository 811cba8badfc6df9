/* SPDX-License-Identifier: Apache-2.0 */
/* Numerics section 4 for training: the frozen forward pass of a tape = reference = native, byte for byte on the levels
   of every value, on every shared convolutional network; before any step, and after steps have moved the weights. */
#include "frozen.h"
#include "models.h"

#include "train/quantized.h"

typedef struct frozen {
    octet_graph  *graph, *quantized;
    octet_tape   *tape;
    octet_tensor  input;
    octet_dataset *data;
} frozen;

static bool begin(frozen *f, const shared_model *model, const char *target)
{
    char name[200], path[1024], recorded[1300];
    octet_qconfig qconfig = *octet_qconfig_find("octet");
    qconfig.target = target;
    qconfig.activation.method = OCTET_METHOD_MSE;
    snprintf(name, sizeof name, "models/%s.onnx", model->name);
    if (!shared_path(path, sizeof path, name)) return false;
    snprintf(recorded, sizeof recorded, "%.*s/vectors/%s.npy", (int)(strrchr(path, '/') - path), path, model->vectors);
    if (access(recorded, R_OK) != 0) strcat(recorded, ".gz");
    MUST(octet_graph_load(&f->graph, path, &err));
    MUST(octet_fuse(f->graph, &err));
    MUST(octet_dataset_open(&f->data, recorded, &(octet_dataset_options){ .graph = f->graph, .limit = 3 }, &err));
    MUST(octet_prepare_qat(f->graph, &qconfig, f->data, NULL, &err));
    const octet_tape_options options = { .batch = 1, .threads = 2 };
    MUST(octet_tape_create(&f->tape, f->graph, &options, &err));
    octet_tape_freeze_batch_norm(f->tape, true);
    f->input = first_sample(f->data);
    return true;
}

static void requantize(frozen *f)
{
    octet_tape_store(f->tape, f->graph, NULL);
    octet_graph_free(f->quantized);
    MUST(octet_train_quantized(&f->quantized, f->graph, &err));
    MUST(octet_tape_use_integers(f->tape, f->quantized, &err));
}

static void end(frozen *f)
{
    octet_tape_free(f->tape);
    octet_graph_free(f->quantized);
    octet_graph_free(f->graph);
    octet_dataset_free(f->data);
    free(f->input.data);
}

/* Values compared; the test fails on the first that differs. */
static int compare(const frozen *f, const char *engines)
{
    const frozen_count count = frozen_compare(&(frozen_pass){ f->graph, f->quantized, f->tape, &f->input, engines, 2 });
    if (count.differing) fail_msg("%s: '%s' differs", engines, count.first);
    return (int)(count.values - f->graph->output_count);
}

static void step(frozen *f)
{
    size_t count;
    const octet_value *const y = f->graph->outputs[0];
    const octet_tensor value = octet_tape_value(f->tape, y);
    const size_t outputs = (size_t)octet_tensor_count(&value);
    float *const d = calloc(outputs, sizeof *d);
    random_state r = { 3 };
    random_fill(&r, d, outputs, -1, 1);
    MUST(octet_tape_backward(f->tape, y, d, &err));
    octet_parameter *const p = octet_tape_parameters(f->tape, &count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < p[i].count; k++) ((float *)p[i].value)[k] -= 1e-3f * ((float *)p[i].gradient)[k];
    free(d);
}

static void check_model(const shared_model *model, const char *target)
{
    frozen f = { 0 };
    int compared = 0;
    if (!begin(&f, model, target)) return;
    for (int round = 0; round < 2; round++) {
        requantize(&f);
        MUST(octet_tape_forward(f.tape, &f.input, true, &err));
        compared = compare(&f, "reference") + compare(&f, "native");
        if (round == 0) step(&f);
    }
    print_message("%-8s %3d values equal: %s\n", target, compared / 2, model->name);
    assert_true(compared > 4);
    end(&f);
}

static void the_frozen_forward_is_what_ships(void **unused)
{
    (void)unused;
    const size_t step = getenv("OCTET_TEST_QUICK") ? 3 : 1;
    for (size_t i = 0; i < SHARED_MODELS; i += step) {
        check_model(&shared_models[i], "native");
        check_model(&shared_models[i], "portable");
    }
}

/* From a network that is quantized already: its own bytes first, and a step can be taken. */
static void a_quantized_network_trains_on(void **unused)
{
    (void)unused;
    octet_dataset *data;
    octet_trainer *trainer;
    octet_tensor   output;
    float          want[64];
    octet_graph *const graph = quantize_shared(&shared_models[2], &data, "native", OCTET_METHOD_MSE);
    if (!graph) return;
    octet_tensor input = first_sample(data);
    const size_t count = run_graph(graph, &input, want, 64, NULL);
    MUST(octet_prepare_qat(graph, NULL, NULL, NULL, &err));
    const octet_train_options options = { .loss = OCTET_LOSS_MSE, .batch = 1, .learning_rate = 1e-3 };
    MUST(octet_trainer_create(&trainer, graph, &options, &err));
    MUST(octet_trainer_forward(trainer, &input, &output, &err));
    assert_int_equal(octet_tensor_count(&output), count);
    assert_memory_equal(output.data, want, count * sizeof *want);
    octet_train_result result;
    float              zeros[64] = { 0 };
    octet_tensor       target = output;
    target.data = zeros;
    MUST(octet_trainer_step(trainer, &(octet_train_batch){ .inputs = &input, .targets = &target }, &result, &err));
    assert_true(result.integer && result.loss > 0);
    octet_trainer_free(trainer);
    octet_graph_free(graph);
    octet_dataset_free(data);
    free(input.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_frozen_forward_is_what_ships),
        cmocka_unit_test(a_quantized_network_trains_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
