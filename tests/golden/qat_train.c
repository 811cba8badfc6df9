/* SPDX-License-Identifier: Apache-2.0 */
/* Twenty steps of training with torch's profile and octet's own loss, optimizers, tape and FakeQuantize. */
#include "flow.h"

#include "graph/graph.h"
#include "train/loss.h"
#include "train/optimizer.h"
#include "train/options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct training {
    golden_flow         flow;
    octet_tape         *tape;
    octet_mover        *mover;
    octet_parameter    *parameters, *statistics;
    const octet_trained **learned; /* whose parameters[i] is; NULL: nobody's */
    size_t              count, statistic_count;
    octet_train_options options;
    golden_array        x, labels;
    octet_tensor        gradient;
    bool                learns; /* scales and zero points, too */
} training;

/* ---- settings ---- */

static double argument(const golden_case *c, const char *name)
{
    return json_number_value(json_object_get(json_object_get(c->manifest, "optimizer_args"), name));
}

static bool read_options(training *t)
{
    static const char *const names[] = { "sgd", "adam", "adamw" };
    octet_error err = { 0 };
    const golden_case *const c = t->flow.c;
    const char *const name = json_string_value(json_object_get(c->manifest, "optimizer"));
    const json_t *const arguments = json_object_get(c->manifest, "optimizer_args");
    octet_train_options      given = {.scale_rate = 1,
                                      .learning_rate = argument(c, "lr"),
                                      .momentum = argument(c, "momentum"),
                                      .weight_decay = argument(c, "weight_decay"),
                                      .decay_all = true,
                                      .nesterov = json_is_true(json_object_get(arguments, "nesterov"))};
    for (int i = 0; i < 3; i++)
        if (name && !strcmp(name, names[i])) given.optimizer = (octet_optimizer)i;
    return golden_ok(t->flow.c, octet_train_resolve(&t->options, &given, &err), &err);
}

/* The network's qconfig, by what its FakeQuantize were recorded to be. */
static octet_qconfig read_qconfig(const golden_case *c)
{
    const json_t *const observers = json_object_get(c->manifest, "observers");
    const char *const fake = json_string_value(json_object_get(json_object_get(observers, "quant"), "fake_quantizer"));
    const char *const scheme = json_string_value(json_object_get(json_object_get(observers, "conv1.weight"),
                                                                 "qscheme"));
    octet_qconfig qconfig = *octet_qconfig_find("default_qat");
    qconfig.weight.per_channel = scheme && !strncmp(scheme, "per_channel", 11);
    if (fake && !strcmp(fake, "_LearnableFakeQuantize")) {
        qconfig.activation.reduce_range = false;
        qconfig.activation.fake = qconfig.weight.fake = OCTET_FAKE_LEARNED;
    }
    return qconfig;
}

static const octet_trained *owner_of(const octet_graph *graph, const void *parameter)
{
    for (const octet_value *v = graph->values; v; v = v->next) {
        const octet_trained *const trained = v->fake_quantize ? v->fake_quantize->trained : NULL;
        if (trained && (trained->scale == parameter || trained->zero_point == parameter)) return trained;
    }
    return NULL;
}

static octet_status open_tape(training *t, octet_error *err)
{
    octet_arena *const arena = t->flow.c->arena;
    const octet_tape_options options = { .batch = t->x.dims[1], .threads = 1,
                                         .profile = &octet_profile_torch_qnnpack };
    OCTET_TRY(octet_tape_create(&t->tape, t->flow.graph, &options, err));
    const octet_parameter *const p = octet_tape_parameters(t->tape, &t->count);
    t->statistics = octet_tape_statistics(t->tape, &t->statistic_count);
    OCTET_TRY(octet_arena_get(&t->parameters, arena, t->count, sizeof *t->parameters, err));
    OCTET_TRY(octet_arena_get(&t->learned, arena, t->count, sizeof *t->learned, err));
    for (size_t i = 0; i < t->count; i++) {
        t->parameters[i] = p[i];
        t->learned[i] = owner_of(t->flow.graph, p[i].value);
    }
    t->gradient = octet_tape_value(t->tape, t->flow.graph->outputs[0]);
    OCTET_TRY(octet_arena_get(&t->gradient.data, arena, (size_t)octet_tensor_bytes(&t->gradient), 1, err));
    return octet_mover_new(&t->mover, arena, &t->options, t->parameters, t->count, err);
}

static bool open_training(training *t)
{
    octet_error err = { 0 };
    golden_case *const c = t->flow.c;
    const octet_qconfig qconfig = read_qconfig(c);
    if (!golden_array_read(&t->x, c, json_object_get(c->manifest, "x"))) return false;
    if (!golden_array_read(&t->labels, c, json_object_get(c->manifest, "target"))) return false;
    t->learns = qconfig.weight.fake == OCTET_FAKE_LEARNED;
    if (!read_options(t) || !golden_flow_open(&t->flow, c, "model.onnx", &qconfig)) return false;
    golden_flow_switch(&t->flow, true, true);
    return golden_ok(c, open_tape(t, &err), &err);
}

/* ---- comparing ---- */

/* What a FakeQuantize remembers, per channel. */
static float *fake_state(const training *t, const char *name, const char *member)
{
    const octet_trained *const trained = golden_flow_trained(&t->flow, name);
    if (!trained) return NULL;
    if (!strcmp(member, "scale")) return trained->scale;
    if (!strcmp(member, "zero_point")) return trained->zero_point;
    float *const ends = golden_memory(t->flow.c, (size_t)trained->channels, sizeof *ends);
    const bool least = strstr(member, "min_val") != NULL;
    for (int64_t i = 0; i < trained->channels; i++) ends[i] = least ? trained->range[i].min : trained->range[i].max;
    return ends;
}

static float *norm_state(const training *t, const octet_batch_norm *norm, const char *member, bool gradient)
{
    static const char *const suffix[] = { ".gamma", ".beta" };
    char name[128];
    const bool second = !strcmp(member, "bias") || !strcmp(member, "running_var");
    snprintf(name, sizeof name, "%s%s", norm->name, suffix[second]);
    for (size_t i = 0; i < t->count && strncmp(member, "running", 7); i++)
        if (!strcmp(t->parameters[i].name, name)) return gradient ? t->parameters[i].gradient : t->parameters[i].value;
    for (size_t i = 0; i < t->statistic_count; i++)
        if (!strcmp(t->statistics[i].name, norm->name)) return t->statistics[i + second].value;
    return NULL;
}

/* "conv1.bn.weight": the parameter, the statistic, or the number of a FakeQuantize. NULL: not found. */
static float *find_state(const training *t, const char *name, bool gradient)
{
    static const char of_weight[] = "weight_fake_quant.", of_output[] = "activation_post_process.", of_norm[] = "bn.";
    char part[128];
    const char *const rest = name + strcspn(name, ".") + 1;
    snprintf(part, sizeof part, "%.*s", (int)strcspn(name, "."), name);
    if (!strncmp(rest, of_output, strlen(of_output))) return fake_state(t, part, rest + strlen(of_output));
    if (!strncmp(rest, of_norm, strlen(of_norm))) {
        const octet_value *const value = golden_flow_value(&t->flow, part, 0);
        return value ? norm_state(t, value->producer->batch_norm, rest + strlen(of_norm), gradient) : NULL;
    }
    for (size_t i = 0; i < t->count; i++)
        if (!strcmp(t->parameters[i].name, name)) return gradient ? t->parameters[i].gradient : t->parameters[i].value;
    strcat(part, ".weight");
    return strncmp(rest, of_weight, strlen(of_weight)) ? NULL : fake_state(t, part, rest + strlen(of_weight));
}

/* Torch's own run differs by the noise floor when other float kernels make it; learned scales feed it back, so that a
   share of the largest number stands beside it. Zero points of symmetric levels are numbers in torch, which takes 0. */
static double tolerance_of(const training *t, const char *name, double largest)
{
    const json_t *const noise = json_object_get(t->flow.c->manifest, "noise_floor");
    const double floor = json_number_value(json_object_get(json_object_get(noise, "max_abs_weight"), name));
    if (strstr(name, ".zero_point")) return 8 * floor + 1e-2;
    return 8 * floor + largest * (!t->learns ? 2e-6 : strstr(name, ".scale") ? 0.1 : 0.01) + 1e-8;
}

static bool check_entry(const training *t, const char *row, const char *name, const json_t *entry, bool gradient)
{
    golden_array want;
    golden_case *const c = t->flow.c;
    float *const got = find_state(t, name, gradient);
    if (!golden_array_read(&want, c, entry)) return false;
    if (!got) return golden_fail(c, "nothing is called %s", name);
    float *const real = golden_memory(c, want.count, sizeof *real);
    double *const tolerance = golden_memory(c, want.count, sizeof *tolerance);
    double largest = 0;
    for (size_t i = 0; i < want.count; i++) {
        real[i] = want.real ? want.real[i] : (float)want.level[i];
        largest = fmax(largest, fabs((double)real[i]));
    }
    for (size_t i = 0; i < want.count; i++) tolerance[i] = tolerance_of(t, name, largest);
    golden_note_near(c, row, got, real, tolerance, want.count);
    if (!gradient) memcpy(got, real, want.count * sizeof *got);
    return true;
}

/* And goes on from the recorded state. */
static bool check_state(const training *t, const char *member, bool gradient)
{
    const char *name;
    json_t *entry;
    char row[96];
    snprintf(row, sizeof row, "QAT training%s: %s", t->learns ? ", LSQ" : "", member);
    json_object_foreach((json_t *)json_object_get(t->flow.c->manifest, member), name, entry)
        if (!check_entry(t, row, name, entry, gradient)) return false;
    return true;
}

static void check_loss(const training *t, size_t step, float loss)
{
    golden_case *const c = t->flow.c;
    const json_t *const floor = json_object_get(json_object_get(c->manifest, "noise_floor"), "max_abs_loss");
    const double tolerance = 8 * json_number_value(floor) + 1e-6;
    const float want = golden_f32(c, json_array_get(json_object_get(c->manifest, "losses"), step));
    golden_note_near(c, t->learns ? "QAT training, LSQ: losses" : "QAT training: losses", &loss, &want, &tolerance, 1);
}

/* ---- training ---- */

/* What the schedule does before a step. */
static void follow_schedule(training *t, size_t step)
{
    char number[24];
    size_t index;
    json_t *action;
    snprintf(number, sizeof number, "%zu", step);
    json_array_foreach(json_object_get(json_object_get(t->flow.c->manifest, "schedule"), number), index, action) {
        const char *const what = json_string_value(action);
        if (!strcmp(what, "freeze_bn")) octet_tape_freeze_batch_norm(t->tape, true);
        else
            for (const octet_value *v = t->flow.graph->values; v; v = v->next) {
                octet_trained *const trained = v->fake_quantize ? v->fake_quantize->trained : NULL;
                if (!trained) continue;
                if (!strcmp(what, "learn_qparams")) octet_trained_learn(trained);
                else trained->observing = false;
            }
    }
}

/* Parameters of a FakeQuantize rest until they learn. */
static void rest(training *t)
{
    for (size_t i = 0; i < t->count; i++) {
        const octet_trained *const owner = t->learned[i];
        if (!owner) continue;
        t->parameters[i].gradient = !owner->learning                            ? NULL
                                    : owner->scale == t->parameters[i].value ? owner->scale_gradient
                                                                               : owner->zero_point_gradient;
    }
}

static octet_status run_step(training *t, size_t step, float *loss, octet_error *err)
{
    int64_t labels[64];
    const size_t batch = (size_t)t->x.dims[1], half = step % (size_t)t->x.dims[0], sample = t->x.count / batch / 2;
    octet_tensor input = { .dtype = OCTET_F32, .rank = t->x.rank - 1, .data = t->x.real + half * batch * sample };
    memcpy(input.dims, t->x.dims + 1, sizeof(int64_t) * (size_t)input.rank);
    for (size_t i = 0; i < batch; i++) labels[i] = t->labels.level[half * batch + i];
    OCTET_TRY(octet_tape_forward(t->tape, &input, true, err));
    const octet_value *const y = t->flow.graph->outputs[0];
    const octet_tensor logits = octet_tape_value(t->tape, y);
    octet_loss_result result;
    const octet_loss_call call = { .loss = OCTET_LOSS_CROSS_ENTROPY, .logits = &logits, .labels = labels,
                                   .gradient = &t->gradient };
    OCTET_TRY(octet_loss_compute(&result, &call, err));
    *loss = (float)result.loss;
    OCTET_TRY(octet_tape_backward(t->tape, y, t->gradient.data, err));
    rest(t);
    return OCTET_OK;
}

static void update(training *t)
{
    octet_mover_step(t->mover, t->options.learning_rate);
    for (size_t i = 0; i < t->count; i++)
        if (t->learned[i]) octet_trained_settle((octet_trained *)(uintptr_t)t->learned[i]);
}

static bool train(training *t)
{
    golden_case *const c = t->flow.c;
    const size_t steps = (size_t)golden_int(c->manifest, "steps", 0);
    for (size_t i = 0; i < steps; i++) {
        float loss = 0;
        octet_error err = { 0 };
        follow_schedule(t, i);
        if (!golden_ok(c, run_step(t, i, &loss, &err), &err)) return false;
        check_loss(t, i, loss);
        if (i == 0 && !check_state(t, "grads_step1", true)) return false;
        update(t);
        if (i == 0 && !check_state(t, "state_after_step1", false)) return false;
    }
    return check_state(t, "state_after_step20", false);
}

/* The trained network, simulated and converted, on the evaluation data. */
static void check_outputs(training *t)
{
    const char *engine;
    json_t *recorded;
    octet_error err = { 0 };
    golden_array output;
    golden_case *const c = t->flow.c;
    if (!golden_ok(c, octet_tape_store(t->tape, t->flow.graph, &err), &err)) return;
    const golden_flow_record fake = { .row = "QAT training: fake output (within a level)", .levels = 1,
                                      .output = json_object_get(c->manifest, "fake_output") };
    octet_tape *const tape = golden_flow_run_fake(&output, &t->flow, &fake);
    if (!tape) return;
    octet_tape_free(tape);
    octet_graph *const quantized = golden_flow_convert(&t->flow);
    json_object_foreach((json_t *)json_object_get(c->manifest, "converted"), engine, recorded) {
        char profile[64];
        const golden_flow_record converted = { .row = "QAT training: converted",
                                               .calls = json_object_get(recorded, "calls"),
                                               .output = json_object_get(recorded, "output") };
        snprintf(profile, sizeof profile, "torch-%s", engine);
        if (!quantized || !golden_flow_run_true(&output, &t->flow, quantized, profile, &converted)) break;
    }
    octet_graph_free(quantized);
}

void golden_qat_train(golden_case *c)
{
    training t = { .flow.c = c };
    if (open_training(&t) && train(&t)) check_outputs(&t);
    octet_tape_free(t.tape);
    golden_flow_close(&t.flow);
}
