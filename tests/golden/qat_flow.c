/* SPDX-License-Identifier: Apache-2.0 */
/* Whole networks through quantization-aware training without training, as upstream's seed tests do it: batch norm
   frozen, FakeQuantize only observing over the calibration data, then FakeQuantize on and observers off; then
   converted. Tensors are compared from the recorded parameters on, so that a rounding of one range does not move all
   that follows; where only numbers were recorded, decibels from the float model. */
#include "flow.h"

#include "graph/graph.h"
#include "train/steps.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct flow_case {
    golden_case   *c;
    const char    *group, *model; /* "seed"; file */
    octet_qconfig  qconfig;
    const json_t  *tensors;      /* the flow's member of the manifest; NULL: numbers only */
    const json_t  *numbers;      /* where float_vs_fake_db stands */
    const json_t  *float_output;
} flow_case;

/* ---- observing ---- */

static octet_status observe_batch(octet_tape *tape, const golden_array *calib, size_t batch, octet_error *err)
{
    const int first = calib->rank - (int)octet_tape_value(tape, tape->graph->inputs[0]).rank;
    octet_tensor input = { .dtype = OCTET_F32, .rank = calib->rank - first };
    memcpy(input.dims, calib->dims + first, sizeof(int64_t) * (size_t)input.rank);
    input.data = calib->real + batch * (size_t)octet_tensor_count(&input);
    return octet_tape_forward(tape, &input, true, err);
}

/* [batches, samples, ...] or one batch of samples. */
static bool observe(const flow_case *q, const golden_flow *f)
{
    golden_array calib;
    octet_tape *tape;
    octet_error err = { 0 };
    if (!golden_array_read(&calib, q->c, json_object_get(q->c->manifest, "calib"))) return false;
    const int first = calib.rank - f->graph->inputs[0]->rank;
    const octet_tape_options options = { .batch = calib.dims[first], .threads = 1,
                                         .profile = &octet_profile_torch_qnnpack };
    if (!golden_ok(q->c, octet_tape_create(&tape, f->graph, &options, &err), &err)) return false;
    golden_flow_switch(f, false, true);
    octet_tape_freeze_batch_norm(tape, true);
    octet_status status = OCTET_OK;
    for (size_t i = 0; status == OCTET_OK && i < (first ? (size_t)calib.dims[0] : 1); i++)
        status = observe_batch(tape, &calib, i, &err);
    octet_tape_free(tape);
    golden_flow_switch(f, true, false);
    return golden_ok(q->c, status, &err);
}

/* ---- comparing tensors ---- */

/* One number of all channels of an observer, then the recorded one in its place. */
static bool settle_numbers(const flow_case *q, float *got, int64_t channels, const json_t *entry, const char *what)
{
    char row[96];
    golden_array want = { .count = 1 };
    if (json_object_get(entry, "dtype") && !golden_array_read(&want, q->c, entry)) return false;
    if ((int64_t)want.count != channels) return golden_fail(q->c, "unexpected %s", what);
    snprintf(row, sizeof row, "%s, fake: %s (1e-5)", q->group, what);
    for (size_t i = 0; i < want.count; i++) {
        const float value = want.real ? want.real[i] : want.level ? (float)want.level[i]
                            : json_is_integer(entry)              ? (float)json_integer_value(entry)
                                                                  : golden_f32(q->c, entry);
        const double tolerance = 1e-5 * fabs((double)value);
        golden_note_near(q->c, row, &got[i], &value, &tolerance, 1);
        got[i] = value;
    }
    return true;
}

/* Of a module that was made, but never called. */
static bool is_unseen(const json_t *observer)
{
    const json_t *const least = json_object_get(json_object_get(observer, "min_val"), "f32");
    return json_is_string(least) && !strcmp(json_string_value(least), "0x7f800000");
}

static bool settle_observers(const flow_case *q, const golden_flow *f)
{
    const char *name;
    json_t *entry;
    json_object_foreach((json_t *)json_object_get(q->tensors, "observers"), name, entry) {
        octet_trained *const t = golden_flow_trained(f, name);
        if (is_unseen(entry)) continue;
        if (!t) return golden_fail(q->c, "nothing is quantized at %s", name);
        if (!settle_numbers(q, t->scale, t->channels, json_object_get(entry, "scale"), "scales")) return false;
        if (!settle_numbers(q, t->zero_point, t->channels, json_object_get(entry, "zero_point"), "zero points"))
            return false;
    }
    return true;
}

static const octet_tape_linear *linear_of(const octet_tape *tape, const octet_value *weight)
{
    for (size_t i = 0; weight && weight->use_count && i < tape->step_count; i++)
        if (tape->steps[i].node == weight->uses[0].node) return tape->steps[i].linear;
    return NULL;
}

/* Weights into and out of FakeQuantize, bit for bit. */
static bool check_weights(const flow_case *q, const golden_flow *f, const octet_tape *tape)
{
    const char *module;
    json_t *entry;
    char name[256], row[96];
    json_object_foreach((json_t *)json_object_get(q->tensors, "fake_weights"), module, entry) {
        golden_array scaled, levels;
        snprintf(name, sizeof name, "%s.weight", strncmp(module, "module.", 7) ? module : module + 7);
        const octet_tape_linear *const linear = linear_of(tape, octet_graph_find_value(f->graph, name));
        if (!linear) return golden_fail(q->c, "no weights of %s", module);
        if (!golden_array_read(&scaled, q->c, json_object_get(entry, "scaled_weight"))) return false;
        snprintf(row, sizeof row, "%s, fake: weight into fake quant", q->group);
        double *const within = golden_memory(q->c, scaled.count, sizeof *within); /* 2.8 takes a root elsewhere */
        const bool exact = json_object_get(json_object_get(q->tensors, "engines"), "qnnpack") ||
                           !json_object_get(q->tensors, "engines");
        for (size_t i = 0; !exact && i < scaled.count; i++) within[i] = 2e-7 * fabs((double)scaled.real[i]);
        golden_note_near(q->c, row, linear->scaled, scaled.real, within, scaled.count);
        if (!golden_flow_real(&levels, q->c, json_object_get(entry, "fake_quant_weight"))) return false;
        snprintf(row, sizeof row, "%s, fake: fake-quantized weight", q->group);
        golden_note_floats(q->c, row, linear->used, levels.real, levels.count);
    }
    return true;
}

/* ---- decibels ---- */

/* Few numbers come out of these nets: one level more or less in one of them may be worth 2 dB where fake and true are
   close. Over 150 dB torch's own guard against division by 0 is all that is left: equal. */
enum { EQUAL_DB = 150 };

static void note_db(const flow_case *q, const char *what, double got, const json_t *entry, double tolerance)
{
    char row[96];
    const double want = json_number_value(entry);
    const float a = got > EQUAL_DB ? EQUAL_DB : (float)got, b = want > EQUAL_DB ? EQUAL_DB : (float)want;
    snprintf(row, sizeof row, "%s: %s (%g dB)", q->group, what, tolerance);
    golden_note_near(q->c, row, &a, &b, &tolerance, 1);
}

/* ---- one flow ---- */

static bool is_broken(const flow_case *q, const char *engine)
{
    return json_object_get(q->c->manifest, "known_upstream_bug") && !strcmp(engine, "qnnpack");
}

static bool check_engines(const flow_case *q, golden_flow *f, const golden_array *fake)
{
    const char *engine;
    json_t *number;
    const json_t *const recorded = json_object_get(q->tensors, "engines");
    octet_graph *const quantized = golden_flow_convert(f);
    bool done = quantized != NULL;
    json_object_foreach((json_t *)json_object_get(q->numbers, "fake_vs_true_db"), engine, number) {
        char profile[64], row[96];
        golden_array output;
        if (!done || is_broken(q, engine)) continue;
        const json_t *const entry = json_object_get(recorded, engine);
        snprintf(profile, sizeof profile, "torch-%.*s", (int)strcspn(engine, "+"), engine);
        snprintf(row, sizeof row, "%s, converted: %s", q->group, engine);
        bool tied = false;
        const golden_flow_record record = { .row = row, .calls = json_object_get(entry, "calls"),
                                            .output = json_object_get(entry, "output"), .tied = &tied };
        done = golden_flow_run_true(&output, f, quantized, profile, &record);
        if (done) note_db(q, "fake against true", golden_decibels(fake->real, output.real, output.count), number, 2);
    }
    octet_graph_free(quantized);
    return done;
}

static bool check_fake(const flow_case *q, const golden_flow *f, golden_array *fake)
{
    char row[96];
    golden_array real;
    snprintf(row, sizeof row, "%s, fake: calls and output (a level)", q->group);
    const golden_flow_record record = { .row = row, .levels = 1, .calls = json_object_get(q->tensors, "fake_calls"),
                                        .output = json_object_get(q->tensors, "fake_output") };
    if (!golden_array_read(&real, q->c, q->float_output)) return false;
    octet_tape *const tape = golden_flow_run_fake(fake, f, &record);
    const bool done = tape && check_weights(q, f, tape);
    octet_tape_free(tape);
    if (done) note_db(q, "float against fake", golden_decibels(real.real, fake->real, fake->count),
                      json_object_get(q->numbers, "float_vs_fake_db"), 0.5);
    return done;
}

static bool check_flow(const flow_case *q)
{
    golden_flow f;
    golden_array fake;
    bool done = golden_flow_open(&f, q->c, q->model, &q->qconfig) && observe(q, &f);
    done = done && (!q->tensors || settle_observers(q, &f)) && check_fake(q, &f, &fake);
    done = done && check_engines(q, &f, &fake);
    golden_flow_close(&f);
    return done;
}

/* ---- groups ---- */

/* By PyTorch's name of a qconfig. */
static bool read_qconfig(octet_qconfig *qconfig, golden_case *c, const json_t *entry)
{
    static const struct { const char *torch, *octet; bool per_channel; } names[] = {
        { "default_qat_qconfig", "default_qat", false },
        { "default_fake_quant + default_per_channel_weight_fake_quant", "default_qat", true },
        { "get_default_qat_qconfig('qnnpack', version=0)", "qnnpack_qat", false },
        { "get_default_qat_qconfig('onednn', version=0)", "onednn_qat", true },
        { "default_weight_only_qconfig", "default_weight_only", false },
        { "default_activation_only_qconfig", "default_activation_only", false },
    };
    const char *const name = json_string_value(entry);
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i].torch, name) != 0) continue;
        *qconfig = *octet_qconfig_find(names[i].octet);
        qconfig->weight.per_channel = names[i].per_channel;
        return true;
    }
    return golden_fail(c, "unknown qconfig %s", name ? name : "");
}

void golden_seed_fake(golden_case *c)
{
    const json_t *const flow = json_object_get(c->manifest, "qat");
    flow_case q = { .c = c, .group = "seed", .model = "model.onnx", .tensors = flow,
                    .float_output = json_object_get(c->manifest, "float_output") };
    json_t *const engines = json_object_get(flow, "engines"), *const numbers = json_object();
    json_t *const db = json_object();
    const char *engine;
    json_t *entry;
    json_object_foreach(engines, engine, entry) json_object_set(db, engine, json_object_get(entry, "fake_vs_true_db"));
    json_object_set(numbers, "float_vs_fake_db", json_object_get(flow, "float_vs_fake_db"));
    json_object_set_new(numbers, "fake_vs_true_db", db);
    q.numbers = numbers;
    if (read_qconfig(&q.qconfig, c, json_object_get(c->manifest, "qconfig"))) check_flow(&q);
    json_decref(numbers);
}

/* Weight-only and activation-only: two models of one generator stream, each both ways; fake quantization is all. */
void golden_seed_one_sided(golden_case *c)
{
    static const char *const qconfigs[] = { "default_weight_only_qconfig", "default_activation_only_qconfig" };
    for (int i = 0; i < 4; i++) {
        char key[64], model[32], output[32];
        snprintf(key, sizeof key, "m%d_%s", i / 2, qconfigs[i % 2]);
        snprintf(model, sizeof model, "model_%d.onnx", i / 2);
        snprintf(output, sizeof output, "float_output_%d", i / 2);
        json_t *const name = json_string(qconfigs[i % 2]);
        const json_t *const flow = json_object_get(c->manifest, key);
        flow_case q = { .c = c, .group = "seed, one side", .model = model, .tensors = flow, .numbers = flow,
                        .float_output = json_object_get(c->manifest, output) };
        const bool done = read_qconfig(&q.qconfig, c, name) && check_flow(&q);
        json_decref(name);
        if (!done) return;
    }
}

void golden_zoo(golden_case *c)
{
    golden_zoo_static(c);
    const char *flow;
    json_t *numbers;
    json_object_foreach((json_t *)json_object_get(c->manifest, "numbers"), flow, numbers) {
        flow_case q = { .c = c, .group = "zoo", .model = "model.onnx", .numbers = numbers,
                        .tensors = json_object_get(c->manifest, flow),
                        .float_output = json_object_get(c->manifest, "float_output") };
        if (strncmp(flow, "qat_", 4) != 0) continue;
        if (!read_qconfig(&q.qconfig, c, json_object_get(numbers, "qconfig")) || !check_flow(&q)) return;
    }
}
