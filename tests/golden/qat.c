/* SPDX-License-Identifier: Apache-2.0 */
/* One QAT module each: passes of a tape of one node in torch's profile. Every pass begins from the recorded statistics,
   so that the weights that reach FakeQuantize are asked for bit for bit; the rest is to 1e-5 (of a tensor's largest
   number where that is over 1). */
#include "golden.h"

#include "graph/graph.h"
#include "train/steps.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct module {
    golden_case       *c;
    octet_graph       *graph;
    octet_tape        *tape;
    const octet_value *y;
    bool               linear, relu, slow, norm, bias;
    int                rank; /* of the input */
} module;

/* ---- building ---- */

static octet_status add_constants(module *m, octet_error *err)
{
    static const char *const names[] = { "weight",  "bias",            "bn.weight",
                                         "bn.bias", "bn.running_mean", "bn.running_var" };
    const json_t *const init = json_object_get(m->c->manifest, "init");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        golden_array array;
        const json_t *const entry = json_object_get(init, names[i]);
        if (!entry) continue;
        if (!golden_array_read(&array, m->c, entry)) return OCTET_ERR_FORMAT;
        if (i == 1) m->bias = true;
        if (i == 2) m->norm = true;
        OCTET_TRY(golden_constant(m->graph, names[i], &array, err));
    }
    return OCTET_OK;
}

static octet_status add_product(const module *m, octet_error *err)
{
    int64_t strides[2], pads[4], dilations[2];
    const size_t spatial = (size_t)m->rank - 2;
    const json_t *const manifest = m->c->manifest;
    golden_ints(strides, spatial, json_object_get(manifest, "stride"), 1);
    golden_ints(pads, spatial, json_object_get(manifest, "padding"), 0);
    golden_ints(pads + spatial, spatial, json_object_get(manifest, "padding"), 0);
    golden_ints(dilations, spatial, json_object_get(manifest, "dilation"), 1);
    const octet_attribute conv[] = { { .name = "strides", .ints = strides, .count = spatial },
                                     { .name = "pads", .ints = pads, .count = 2 * spatial },
                                     { .name = "dilations", .ints = dilations, .count = spatial },
                                     { .name = "group", .i = golden_int(manifest, "groups", 1) }, { 0 } };
    const octet_attribute gemm[] = { { .name = "transB", .i = 1 }, { 0 } };
    const char *const inputs[] = { "x", "weight", "bias" }, *const output = "product";
    const octet_node_spec spec = { .op = m->linear ? "Gemm" : "Conv", .attributes = m->linear ? gemm : conv,
                                   .inputs = inputs, .input_count = m->bias ? 3 : 2,
                                   .outputs = &output, .output_count = 1 };
    return octet_graph_add(m->graph, &spec, err);
}

static octet_status add_norm(const module *m, octet_error *err)
{
    const json_t *const manifest = m->c->manifest;
    const octet_attribute attributes[] = {
        { .name = "epsilon", .f = (float)json_number_value(json_object_get(manifest, "bn_eps_f64")) },
        { .name = "momentum", .f = (float)(1 - json_number_value(json_object_get(manifest, "bn_momentum"))) }, { 0 }
    };
    const char *const inputs[] = { "product", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var" };
    const char *const output = "normal";
    const octet_node_spec spec = { .op = "BatchNormalization", .name = "bn", .inputs = inputs, .input_count = 5,
                                   .outputs = &output, .output_count = 1, .attributes = attributes };
    return octet_graph_add(m->graph, &spec, err);
}

static octet_status add_relu(const module *m, octet_error *err)
{
    const char *const input = m->norm ? "normal" : "product", *const output = "positive";
    const octet_node_spec spec = { .op = "Relu", .inputs = &input, .input_count = 1, .outputs = &output,
                                   .output_count = 1 };
    return octet_graph_add(m->graph, &spec, err);
}

/* The row of the library whose weights are quantized as the manifest says. */
static octet_status fake_weight(const module *m, octet_error *err)
{
    const json_t *const first = json_array_get(json_object_get(m->c->manifest, "passes"), 0);
    const json_t *const observer = json_object_get(first, "weight_observer");
    const char *const scheme = json_string_value(json_object_get(observer, "qscheme"));
    const bool per_channel = scheme && !strcmp(scheme, "per_channel_symmetric");
    const octet_qconfig *const row = octet_qat_qconfig_find(per_channel ? "onednn" : "qnnpack", 0);
    octet_value *const weight = m->graph->first->inputs[1];
    octet_fake_quantize *fake;
    OCTET_TRY(octet_arena_get(&fake, m->graph->arena, 1, sizeof *fake, err));
    weight->fake_quantize = fake;
    const octet_trained settings = { .quantizer = row->weight, .weight = true, .profile = &octet_profile_torch_qnnpack,
                                     .channels = per_channel ? weight->constant->dims[0] : 1 };
    return octet_trained_new(&fake->trained, m->graph->arena, &settings, err);
}

static octet_status build(module *m, const golden_array *x, octet_error *err)
{
    const octet_tape_options options = { .batch = x->dims[0], .threads = 1, .slow_batch_norm = m->slow,
                                         .keep_gradients = true, .profile = &octet_profile_torch_qnnpack };
    OCTET_TRY(octet_graph_new(&m->graph, err));
    OCTET_TRY(octet_graph_add_input(m->graph, "x", OCTET_F32, x->dims, x->rank, err));
    OCTET_TRY(add_constants(m, err));
    OCTET_TRY(add_product(m, err));
    if (m->norm) OCTET_TRY(add_norm(m, err));
    if (m->relu) OCTET_TRY(add_relu(m, err));
    OCTET_TRY(octet_graph_set_output(m->graph, m->relu ? "positive" : m->norm ? "normal" : "product", err));
    OCTET_TRY(octet_fuse(m->graph, err));
    if (m->graph->first != m->graph->last)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the module did not become one node");
    m->y = m->graph->first->outputs[0];
    OCTET_TRY(fake_weight(m, err));
    return octet_tape_create(&m->tape, m->graph, &options, err);
}

/* ---- comparing ---- */

static bool check_near(golden_case *c, const char *row, const float *got, const json_t *entry)
{
    golden_array want;
    if (!golden_array_read(&want, c, entry)) return false;
    golden_note_close(c, row, got, &want, 1e-5);
    return true;
}

/* The slow path's scale has this pass's running variance in it, which both sides sum in their own order: one ulp of
   it, and the product's own rounding. */
static bool check_scaled(const module *m, const float *got, const json_t *entry)
{
    golden_array want;
    if (!golden_array_read(&want, m->c, entry)) return false;
    double *const ulps = golden_memory(m->c, want.count, sizeof *ulps);
    for (size_t i = 0; m->slow && i < want.count; i++) ulps[i] = fabs((double)want.real[i]) * 0x1p-22;
    golden_note_near(m->c, m->slow ? "QAT module: weight into fake quant, slow path (2 ulps)"
                                   : "QAT module: weight into fake quant", got, want.real, ulps, want.count);
    return true;
}

static bool check_exact(golden_case *c, const char *row, const float *got, const json_t *entry)
{
    golden_array want;
    if (!golden_array_read(&want, c, entry)) return false;
    golden_note_floats(c, row, got, want.real, want.count);
    return true;
}

/* Observer and parameters, of one channel or of many. */
static bool check_observer(golden_case *c, const octet_trained *t, const json_t *observer)
{
    static const char *const members[] = { "min_val", "max_val", "scale" };
    for (size_t m = 0; m < 3; m++) {
        const json_t *const entry = json_object_get(observer, members[m]);
        golden_array want = { .count = 1 };
        if (json_object_get(entry, "dtype") && !golden_array_read(&want, c, entry)) return false;
        if ((int64_t)want.count != t->channels) return golden_fail(c, "unexpected %s", members[m]);
        for (size_t i = 0; i < want.count; i++) {
            const float got[] = { t->range[i].min, t->range[i].max, t->scale[i] };
            const float value = want.real ? want.real[i] : golden_f32(c, entry);
            golden_note_floats(c, "QAT module: observer of the weight", &got[m], &value, 1);
        }
    }
    return true;
}

static bool check_parameters(const module *m, const json_t *pass)
{
    static const struct { const char *got, *recorded; } names[] = {
        { "weight", "weight" }, { "bias", "bias" }, { "bn.gamma", "bn.weight" }, { "bn.beta", "bn.bias" }
    };
    size_t count, compared = 0;
    const json_t *const grads = json_object_get(pass, "grads");
    const octet_parameter *const p = octet_tape_parameters(m->tape, &count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            if (strcmp(p[i].name, names[k].got) != 0 || !json_object_get(grads, names[k].recorded)) continue;
            char row[64];
            snprintf(row, sizeof row, "QAT module: gradient of %s", names[k].recorded);
            if (!check_near(m->c, row, p[i].gradient, json_object_get(grads, names[k].recorded))) return false;
            compared++;
        }
    return compared == json_object_size(grads) || golden_fail(m->c, "%zu gradients of %zu", compared,
                                                              json_object_size(grads));
}

/* Compares the running statistics, and goes on from the recorded ones. */
static bool settle_statistics(const module *m, const json_t *pass)
{
    static const char *const names[] = { "running_mean", "running_var" };
    size_t count;
    octet_parameter *const s = octet_tape_statistics(m->tape, &count);
    for (size_t i = 0; i < count; i++) {
        golden_array want;
        if (!golden_array_read(&want, m->c, json_object_get(pass, names[i]))) return false;
        golden_note_close(m->c, "QAT module: running statistics", s[i].value, &want, 1e-5);
        memcpy(s[i].value, want.real, want.count * sizeof *want.real);
    }
    return true;
}

static bool check_pass(const module *m, const json_t *pass)
{
    golden_case *const c = m->c;
    const octet_tape_linear *const linear = m->tape->steps[0].linear;
    const octet_tensor y = octet_tape_value(m->tape, m->y);
    const octet_tensor dx = octet_tape_gradient(m->tape, m->graph->inputs[0]);
    if (!linear || !linear->trained || !dx.data) return golden_fail(c, "no weights that are quantized");
    return check_scaled(m, linear->scaled, json_object_get(pass, "weight_into_fake_quant")) &&
           check_exact(c, "QAT module: fake-quantized weight", linear->used,
                       json_object_get(pass, "fake_quant_weight")) &&
           check_observer(c, linear->trained, json_object_get(pass, "weight_observer")) &&
           check_near(c, "QAT module: output", y.data, json_object_get(pass, "y")) &&
           check_near(c, "QAT module: gradient of the input", dx.data, json_object_get(pass, "grad_x")) &&
           check_parameters(m, pass);
}

static octet_status run_pass(module *m, const json_t *pass, octet_error *err)
{
    golden_array x, dy;
    if (!golden_array_read(&x, m->c, json_object_get(pass, "x"))) return OCTET_OK;
    if (!golden_array_read(&dy, m->c, json_object_get(pass, "grad_y"))) return OCTET_OK;
    if (!m->tape) OCTET_TRY(build(m, &x, err));
    octet_tensor input = { .dtype = OCTET_F32, .rank = x.rank, .data = x.real };
    memcpy(input.dims, x.dims, sizeof x.dims);
    octet_tape_freeze_batch_norm(m->tape, json_is_true(json_object_get(pass, "bn_frozen")));
    OCTET_TRY(octet_tape_forward(m->tape, &input, true, err));
    OCTET_TRY(octet_tape_backward(m->tape, m->y, dy.real, err));
    if (check_pass(m, pass) && m->norm) settle_statistics(m, pass);
    return OCTET_OK;
}

void golden_qat_module(golden_case *c)
{
    octet_error err = { 0 };
    size_t index;
    json_t *pass;
    const char *const type = json_string_value(json_object_get(c->manifest, "type"));
    const json_t *const passes = json_object_get(c->manifest, "passes");
    const json_t *const shape = json_object_get(json_object_get(json_array_get(passes, 0), "x"), "shape");
    module m = { .c = c, .rank = (int)json_array_size(shape),
                 .slow = json_is_true(json_object_get(c->manifest, "slow_path")),
                 .linear = type && !strncmp(type, "Linear", 6), .relu = type && strstr(type, "ReLU") };
    json_array_foreach((json_t *)passes, index, pass) {
        char line[512];
        const octet_status status = run_pass(&m, pass, &err);
        if (status != OCTET_OK) {
            octet_error_line(line, sizeof line, &err);
            golden_fail(c, "%s", line);
        }
        if (c->failed && !m.tape) break;
    }
    octet_tape_free(m.tape);
    octet_graph_free(m.graph);
}
