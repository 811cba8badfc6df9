/* SPDX-License-Identifier: Apache-2.0 */
/* What PyTorch's modules do and ONNX does not say: Hardswish is one of them, ReLU6 has a FakeQuantize of its own behind
   that of the convolution before it, and FloatFunctional.add_relu has one behind its Relu where a Relu module after an
   add has it before. */
#include "flow.h"

#include "base/file.h"
#include "engine/run.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "ops/levels.h"
#include "passes/pass.h"
#include "quantize/calibration.h"
#include "train/quantized.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool golden_ok(golden_case *c, octet_status status, const octet_error *err)
{
    char line[512];
    if (status == OCTET_OK) return true;
    octet_error_line(line, sizeof line, err);
    return golden_fail(c, "%s", line);
}

/* ---- making the network PyTorch's ---- */

/* x * HardSigmoid(x) */
static bool is_hard_swish(const octet_node *mul)
{
    if (!octet_node_is(mul, "Mul") || !mul->inputs[1]->producer) return false;
    const octet_node *const gate = mul->inputs[1]->producer;
    return octet_node_is(gate, "HardSigmoid") && gate->inputs[0] == mul->inputs[0];
}

static octet_status join_hard_swish(octet_graph *graph, octet_node *mul, octet_error *err)
{
    char name[256];
    octet_node *joined;
    octet_value *const x = mul->inputs[0], *const out = mul->outputs[0];
    snprintf(name, sizeof name, "%.*sHardSwish", (int)(strlen(mul->name) - 3), mul->name);
    const octet_new_node as = { .op = octet_op_find("HardSwish", NULL), .name = name, .inputs = 1, .outputs = 1,
                                .before = mul };
    OCTET_TRY(octet_node_new(&joined, graph, &as, err));
    OCTET_TRY(octet_node_set_input(graph, joined, 0, x, err));
    octet_node *const gate = mul->inputs[1]->producer;
    octet_node_remove(graph, mul);
    octet_node_remove(graph, gate);
    octet_node_set_output(joined, 0, out);
    return OCTET_OK;
}

static octet_status join_hard_swishes(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first, *next; n; n = next) {
        next = n->next;
        if (is_hard_swish(n)) OCTET_TRY(join_hard_swish(graph, n, err));
    }
    octet_graph_sweep(graph);
    return OCTET_OK;
}

static octet_status split_clips(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first; n; n = n->next)
        if (n->activation.on && !strcmp(n->activation.op, "Clip")) OCTET_TRY(octet_split_activation(graph, n, err));
    return OCTET_OK;
}

/* A Clip's result is quantized anew, not passed on. */
static octet_status quantize_clips(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first; n; n = n->next) {
        octet_fake_quantize *fake;
        const octet_fake_quantize *const before = n->inputs[0]->fake_quantize;
        if (!octet_node_is(n, "Clip") || !before) continue;
        OCTET_TRY(octet_arena_get(&fake, graph->arena, 1, sizeof *fake, err));
        OCTET_TRY(octet_trained_new(&fake->trained, graph->arena, before->trained, err));
        n->outputs[0]->fake_quantize = fake;
    }
    return OCTET_OK;
}

/* "/b1/Relu" is inside of a function, "/b1/relu/Relu" a module: a Relu right beside its Add is add_relu. */
static bool is_function_of(const char *relu, const char *add)
{
    const size_t folder = (size_t)(strrchr(add, '/') - add);
    return !strncmp(relu, add, folder + 1) && !strncmp(relu + folder + 1, "Relu", 4);
}

static octet_status join_add_relus(octet_graph *graph, octet_error *err)
{
    bool any = false;
    for (octet_node *n = graph->first; n; n = n->next) {
        const octet_node *const add = octet_node_is(n, "Relu") ? n->inputs[0]->producer : NULL;
        if (!add || !octet_node_is(add, "Add") || !is_function_of(n->name, add->name)) continue;
        n->inputs[0]->fake_quantize = NULL;
        any = true;
    }
    return any ? octet_pass_absorb_activation(graph, err) : OCTET_OK;
}

static octet_status make_modules(octet_graph *graph, octet_error *err)
{
    OCTET_TRY(join_hard_swishes(graph, err));
    OCTET_TRY(octet_fuse(graph, err));
    return split_clips(graph, err);
}

/* An observer of add_relu sees what comes out of the Relu, to whose parameters the Add's result then belongs. */
static void observe_add_relus(octet_graph *graph)
{
    octet_watch *const watches = graph->calibration->watches;
    for (octet_node *n = graph->first; n; n = n->next) {
        const octet_node *const add = octet_node_is(n, "Relu") ? n->inputs[0]->producer : NULL;
        if (!add || !octet_node_is(add, "Add") || !is_function_of(n->name, add->name)) continue;
        watches[n->outputs[0]->index] = watches[n->inputs[0]->index];
        watches[n->inputs[0]->index]  = (octet_watch){ 0 };
    }
}

static octet_status prepare_static(octet_graph *graph, const octet_qconfig *qconfig, octet_error *err)
{
    octet_qconfig torch = *qconfig;
    torch.target = "torch-1.13";
    OCTET_TRY(make_modules(graph, err));
    OCTET_TRY(octet_prepare(graph, &torch, err));
    observe_add_relus(graph);
    return OCTET_OK;
}

static octet_status prepare(octet_graph *graph, const octet_qconfig *qconfig, octet_error *err)
{
    octet_qconfig torch = *qconfig;
    torch.target = "torch-1.13";
    OCTET_TRY(make_modules(graph, err));
    OCTET_TRY(octet_prepare_qat(graph, &torch, NULL, NULL, err));
    OCTET_TRY(quantize_clips(graph, err));
    OCTET_TRY(join_add_relus(graph, err));
    octet_graph_sweep(graph);
    return OCTET_OK;
}

/* Torch's own operator of adaptive pooling, which from 3 x 3 to 2 x 2 is AveragePool of 2 x 2: its name and domain make
   room for that of the other and its attribute, and its second input becomes a comment. */
static bool replace_adaptive_pool(uint8_t *bytes, size_t size)
{
    static const char torch[] = "\"\x13" "adaptive_avg_pool2d:\x10org.pytorch.aten";
    static const char onnx[] = "\"\x0b" "AveragePool*\x15\x0a\x0ckernel_shape@\x02@\x02\xa0\x01\x07" "2\x01 ";
    static const char input[] = "\x0a\x1c" "aten::adaptive_avg_pool2d_30\x12";
    uint8_t *const node = memmem(bytes, size, torch, sizeof torch - 1);
    uint8_t *const second = memmem(bytes, size, input, sizeof input - 1);
    _Static_assert(sizeof torch == sizeof onnx, "of one length");
    if (!node || !second) return false;
    memcpy(node, onnx, sizeof onnx - 1);
    *second = '2'; /* the tag of doc_string */
    return true;
}

/* A file without torch's own operator. */
static octet_status load(octet_graph **graph, const char *path, octet_error *err)
{
    octet_file file = { 0 };
    char without[4096];
    const char *const folder = getenv("TMPDIR");
    snprintf(without, sizeof without, "%s/octet-golden-XXXXXX", folder ? folder : "/tmp");
    OCTET_TRY(octet_file_read(&file, path, 0, err));
    uint8_t *const bytes = malloc(file.size);
    if (bytes) memcpy(bytes, file.data, file.size);
    const size_t size = file.size;
    octet_file_close(&file);
    const bool replaced = bytes && replace_adaptive_pool(bytes, size);
    const int to = replaced ? mkstemp(without) : -1;
    const bool written = to >= 0 && write(to, bytes, size) == (ssize_t)size;
    const octet_status status = octet_graph_load(graph, written ? without : path, err);
    if (to >= 0) close(to), unlink(without);
    free(bytes);
    return status;
}

typedef octet_status (*preparing)(octet_graph *graph, const octet_qconfig *qconfig, octet_error *err);

static bool open_prepared(golden_flow *f, golden_case *c, const char *model, const octet_qconfig *qconfig,
                          preparing how)
{
    char path[4096];
    octet_error err = { 0 };
    *f = (golden_flow){ .c = c };
    snprintf(path, sizeof path, "%s/%s/%s", c->run->root, c->name, model);
    octet_status status = load(&f->graph, path, &err);
    if (status == OCTET_OK) status = how(f->graph, qconfig, &err);
    return golden_ok(c, status, &err);
}

bool golden_flow_open(golden_flow *f, golden_case *c, const char *model, const octet_qconfig *qconfig)
{
    return open_prepared(f, c, model, qconfig, prepare);
}

bool golden_flow_open_static(golden_flow *f, golden_case *c, const char *model, const octet_qconfig *qconfig)
{
    return open_prepared(f, c, model, qconfig, prepare_static);
}

void golden_flow_close(golden_flow *f)
{
    octet_graph_free(f->graph);
    f->graph = NULL;
}

/* ---- finding modules ---- */

static const struct { const char *last, *op; } functions[] = {
    { "skip_add", "Add" }, { "add", "Add" },          { "skip", "Add" },     { "cat", "Concat" }, { "mul", "Mul" },
    { "hs", "HardSwish" }, { "gate", "Sigmoid" },     { "act", "Clip" },     { "act1", "Clip" },  { "act2", "Clip" },
    { "relu2", "Relu" },   { "maxpool", "MaxPool" }, { "pool", "AveragePool" }, { "pool", "GlobalAveragePool" },
    { "mean", "ReduceMean" }, { "squeeze", "GlobalAveragePool" }, { "out", "GlobalAveragePool" },
};

/* A module "b1.act1" is the node "/b1/act1/Clip", a function called in b1 is "/b1/Add". */
static const octet_node *function_node(const golden_flow *f, const char *module)
{
    char path[256], name[300];
    snprintf(path, sizeof path, "%s", module);
    for (char *at = path; *at; at++)
        if (*at == '.') *at = '/';
    const char *const slash = strrchr(path, '/'), *const last = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcmp(functions[i].last, last) != 0) continue;
        snprintf(name, sizeof name, "/%s/%s", path, functions[i].op);
        const octet_node *const node = octet_graph_find_node(f->graph, name);
        if (node) return node;
        snprintf(name, sizeof name, "/%.*s%s", (int)(last - path), path, functions[i].op);
        const octet_node *const inside = octet_graph_find_node(f->graph, name);
        if (inside) return inside;
    }
    static const char *const weighted[] = { "Conv", "Gemm" }; /* whose weights a folded batch norm has renamed */
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "/%s/%s", path, weighted[i]);
        const octet_node *const node = octet_graph_find_node(f->graph, name);
        if (node) return node;
    }
    return NULL;
}

static const char *without_prefix(const char *name) { return strncmp(name, "module.", 7) ? name : name + 7; }

octet_value *golden_flow_value(const golden_flow *f, const char *module, size_t time)
{
    char name[256];
    if (!strcmp(module, "quant")) return f->graph->inputs[0];
    snprintf(name, sizeof name, "%s.weight", without_prefix(module));
    const octet_value *const weight = octet_graph_find_value(f->graph, name);
    const octet_node *const node = weight && time < weight->use_count ? weight->uses[time].node
                                                                      : function_node(f, without_prefix(module));
    return node ? node->outputs[0] : NULL;
}

octet_trained *golden_flow_trained(const golden_flow *f, const char *name)
{
    const size_t length = strlen(name);
    const bool weight = length > 7 && !strcmp(name + length - 7, ".weight");
    const octet_value *const value = weight ? octet_graph_find_value(f->graph, without_prefix(name))
                                            : golden_flow_value(f, name, 0);
    return value && value->fake_quantize ? value->fake_quantize->trained : NULL;
}

void golden_flow_switch(const golden_flow *f, bool enabled, bool observing)
{
    for (const octet_value *v = f->graph->values; v; v = v->next) {
        octet_trained *const t = v->fake_quantize ? v->fake_quantize->trained : NULL;
        if (!t) continue;
        t->enabled = enabled;
        t->observing = observing && t->quantizer.fake != OCTET_FAKE_FIXED;
        if (observing) t->learning = false;
        for (int64_t i = 0; observing && i < t->channels; i++) t->range[i] = (octet_range){ 0 };
    }
}

/* ---- running ---- */

static bool read_input(golden_array *x, octet_tensor *input, golden_case *c)
{
    if (!golden_array_read(x, c, json_object_get(c->manifest, "eval"))) return false;
    *input = (octet_tensor){ .dtype = OCTET_F32, .rank = x->rank, .data = x->real };
    memcpy(input->dims, x->dims, sizeof x->dims);
    return true;
}

static octet_tape *evaluate(const golden_flow *f, const octet_tensor *input)
{
    octet_tape *tape;
    octet_error err = { 0 };
    const octet_tape_options options = { .batch = input->dims[0], .threads = 1,
                                         .profile = &octet_profile_torch_qnnpack };
    if (!golden_ok(f->c, octet_tape_create(&tape, f->graph, &options, &err), &err)) return NULL;
    octet_tape_freeze_batch_norm(tape, true);
    if (golden_ok(f->c, octet_tape_forward(tape, input, false, &err), &err)) return tape;
    octet_tape_free(tape);
    return NULL;
}

/* How often the module of call i was called before. */
static size_t calls_before(const json_t *calls, size_t i)
{
    size_t count = 0;
    const json_t *const module = json_object_get(json_array_get(calls, i), "module");
    for (size_t k = 0; k < i; k++)
        count += (size_t)json_equal(json_object_get(json_array_get(calls, k), "module"), module);
    return count;
}

static const octet_value *value_of_call(const golden_flow *f, const json_t *calls, size_t i)
{
    const char *const module = json_string_value(json_object_get(json_array_get(calls, i), "module"));
    return module ? golden_flow_value(f, module, calls_before(calls, i)) : NULL;
}

/* Real numbers against what was recorded, to so many steps of value's scale, which rounds the same number. */
static bool note_steps(const golden_flow *f, const golden_flow_record *record, const octet_value *value,
                       const octet_tensor *got, const golden_array *want)
{
    const char *const row = record->row;
    const octet_trained *const trained = value->fake_quantize ? value->fake_quantize->trained : NULL;
    if ((size_t)octet_tensor_count(got) != want->count || !want->real)
        return golden_fail(f->c, "%s: '%s' has %lld elements", row, value->name, (long long)octet_tensor_count(got));
    double *const step = golden_memory(f->c, want->count, sizeof *step);
    const double within = trained ? (record->levels + 1e-3) * (double)trained->scale[0] : 1e-5;
    for (size_t i = 0; i < want->count; i++) step[i] = within;
    golden_note_near(f->c, row, got->data, want->real, step, want->count);
    return true;
}

bool golden_flow_real(golden_array *want, golden_case *c, const json_t *entry)
{
    if (!golden_array_read(want, c, entry)) return false;
    if (want->real) return true;
    const float scale = golden_f32(c, json_object_get(entry, "scale"));
    const int32_t zero_point = (int32_t)golden_int(entry, "zero_point", 0);
    want->real = golden_memory(c, want->count, sizeof *want->real);
    for (size_t i = 0; i < want->count; i++) want->real[i] = (float)(want->level[i] - zero_point) * scale;
    return true;
}

static bool check_fake_calls(const golden_flow *f, const octet_tape *tape, const golden_flow_record *record)
{
    for (size_t i = 0; i < json_array_size(record->calls); i++) {
        golden_array want;
        const octet_value *const value = value_of_call(f, record->calls, i);
        if (!value) continue; /* pooling, the end */
        const octet_tensor got = octet_tape_value(tape, value);
        if (!golden_flow_real(&want, f->c, json_object_get(json_array_get(record->calls, i), "output"))) return false;
        if (!note_steps(f, record, value, &got, &want)) return false;
    }
    return true;
}

/* Copies what came out, and compares it. */
static bool check_output(golden_array *output, const golden_flow *f, const octet_tensor *got,
                         const golden_flow_record *record)
{
    golden_array want;
    *output = (golden_array){ .count = (size_t)octet_tensor_count(got) };
    output->real = golden_memory(f->c, output->count, sizeof *output->real);
    memcpy(output->real, got->data, output->count * sizeof *output->real);
    if (!record->output) return true;
    return golden_array_read(&want, f->c, record->output) && note_steps(f, record, f->graph->outputs[0], got, &want);
}

octet_tape *golden_flow_run_fake(golden_array *output, const golden_flow *f, const golden_flow_record *record)
{
    golden_array x;
    octet_tensor input;
    octet_tape *const tape = read_input(&x, &input, f->c) ? evaluate(f, &input) : NULL;
    if (!tape) return NULL;
    const octet_tensor got = octet_tape_value(tape, f->graph->outputs[0]);
    if (check_fake_calls(f, tape, record) && check_output(output, f, &got, record)) return tape;
    octet_tape_free(tape);
    return NULL;
}

/* A mean over space that is not what was recorded. */
static bool is_off(golden_case *c, const octet_node *producer, const octet_tensor *got, const golden_array *want)
{
    static const char *const means[] = { "AveragePool", "GlobalAveragePool", "ReduceMean" };
    bool mean = false;
    for (size_t i = 0; producer && i < 3; i++) mean = mean || octet_node_is(producer, means[i]);
    if (!mean || (size_t)octet_tensor_count(got) != want->count) return false;
    int32_t *const level = golden_memory(c, want->count, sizeof *level);
    octet_levels_load(level, got->data, got->dtype, 0, want->count, 0);
    return memcmp(level, want->level, want->count * sizeof *level) != 0;
}

static bool check_true_calls(const golden_flow *f, const octet_graph *quantized, octet_workspace *ws,
                             const golden_flow_record *record)
{
    for (size_t i = 0; i < json_array_size(record->calls); i++) {
        golden_array want;
        const json_t *const entry = json_object_get(json_array_get(record->calls, i), "output");
        const octet_value *const value = value_of_call(f, record->calls, i);
        const octet_value *const twin = value ? octet_graph_find_value(quantized, value->name) : NULL;
        if (!twin || !json_object_get(entry, "qdtype")) continue;
        const octet_tensor got = octet_workspace_value(ws, twin);
        if (!golden_array_read(&want, f->c, entry)) return false;
        if (!got.data) return golden_fail(f->c, "'%s' was not formed", twin->name);
        if (record->tied && is_off(f->c, twin->producer, &got, &want)) {
            golden_note_tensor(f->c, "networks: means over space whose ties fall otherwise (+-1)", &got, &want, 1);
            *record->tied = true;
            break;
        }
        golden_note_tensor(f->c, record->row, &got, &want, record->levels);
    }
    return true;
}

static bool run_true(golden_array *output, const golden_flow *f, const octet_graph *quantized, octet_workspace *ws,
                     const golden_flow_record *record)
{
    golden_array x;
    octet_tensor input, outputs[1];
    octet_error err = { 0 };
    if (!read_input(&x, &input, f->c)) return false;
    if (!golden_ok(f->c, octet_run(ws, &input, outputs, &err), &err)) return false;
    if (!check_true_calls(f, quantized, ws, record)) return false;
    golden_flow_record last = *record;
    if (record->tied && *record->tied) last.output = NULL;
    return check_output(output, f, &outputs[0], &last);
}

bool golden_flow_run_true(golden_array *output, const golden_flow *f, const octet_graph *quantized,
                          const char *profile, const golden_flow_record *record)
{
    octet_plan *plan = NULL;
    octet_workspace *ws = NULL;
    octet_error err = { 0 };
    const json_t *const shape = json_object_get(json_object_get(f->c->manifest, "eval"), "shape");
    const octet_plan_options options = { .profile = profile, .keep_values = true, .threads = 1,
                                         .batch = json_integer_value(json_array_get(shape, 0)) };
    octet_status status = octet_plan_create(&plan, quantized, &options, &err);
    if (status == OCTET_OK) status = octet_workspace_create(&ws, plan, &err);
    const bool done = golden_ok(f->c, status, &err) && run_true(output, f, quantized, ws, record);
    octet_workspace_free(ws);
    octet_plan_free(plan);
    return done;
}

/* ---- converting ---- */

octet_graph *golden_flow_convert(golden_flow *f)
{
    octet_graph *quantized = NULL;
    octet_error err = { 0 };
    for (octet_node *n = f->graph->first; n; n = n->next) /* a converted ReLU6 keeps its input's parameters */
        if (octet_node_is(n, "Clip")) n->outputs[0]->fake_quantize = n->inputs[0]->fake_quantize;
    return golden_ok(f->c, octet_train_quantized(&quantized, f->graph, &err), &err) ? quantized : NULL;
}
