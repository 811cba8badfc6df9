/* SPDX-License-Identifier: Apache-2.0 */
/* The static flows of the seed tests' model: parameters from recorded ranges, weights from recorded float weights, then
   the integer network twice: every layer fed the recorded levels, and end to end from the real input. */
#include "golden.h"

#include "observe/qparams.h"
#include "observe/range.h"
#include "ops/levels.h"

#include <stdio.h>
#include <string.h>

/* ---- parameters ---- */

static void check_affine(golden_case *c, const json_t *entry, octet_affine got)
{
    const float scale = golden_f32(c, json_object_get(entry, "scale"));
    const int32_t zero = (int32_t)golden_int(entry, "zero_point", INT32_MIN);
    golden_note_floats(c, "seed: activation scale", &got.scale, &scale, 1);
    golden_note_levels(c, "seed: activation zero point", &got.zero_point, &zero, 1, 0);
}

static void check_activations(golden_case *c, const json_t *flow)
{
    const char *module;
    json_t *entry;
    json_object_foreach((json_t *)json_object_get(flow, "observers"), module, entry) {
        const octet_range range = { .seen = true, .min = golden_f32(c, json_object_get(entry, "min_val")),
                                    .max = golden_f32(c, json_object_get(entry, "max_val")) };
        const octet_torch_quantizer quantizer = { .custom = true,
                                                  .qmin = (int32_t)golden_int(entry, "quant_min", 0),
                                                  .qmax = (int32_t)golden_int(entry, "quant_max", 0),
                                                  .eps = golden_f32(c, json_object_get(entry, "eps")) };
        const octet_affine got = octet_qparams_torch(NULL, &quantizer, range);
        check_affine(c, entry, got);
        check_affine(c, json_object_get(json_object_get(flow, "quantized"), module), got);
    }
}

/* Scales and levels of one module's weights from its fused float weights. */
static bool check_weight(golden_case *c, const golden_array *real, const json_t *entry)
{
    static const octet_torch_quantizer symmetric = { .scheme = OCTET_TORCH_SYMMETRIC, .is_signed = true };
    octet_tensor recorded;
    golden_array levels;
    if (!golden_tensor_read(&recorded, c, entry) || !golden_array_read(&levels, c, entry)) return false;
    const size_t channels = (size_t)recorded.qparams->count, inner = real->count / channels;
    float *const scales = golden_memory(c, channels, sizeof *scales);
    int32_t *const got = golden_memory(c, real->count, sizeof *got);
    octet_range *const ranges = golden_memory(c, channels, sizeof *ranges);
    if (!real->real || levels.count != real->count) return golden_fail(c, "weights do not fit their levels");
    octet_range_observe_channels(ranges, real->real, 1, channels, inner);
    for (size_t i = 0; i < channels; i++) {
        const octet_affine affine = octet_qparams_torch(NULL, &symmetric, ranges[i]);
        const octet_level_rule to = { affine.scale, affine.zero_point, -128, 127 };
        scales[i] = affine.scale;
        octet_profile_torch_qnnpack.quantize(got + i * inner, real->real + i * inner, inner, &to);
    }
    golden_note_floats(c, channels > 1 ? "seed: per-channel weight scale" : "seed: per-tensor weight scale", scales,
                       recorded.qparams->scale, channels);
    golden_note_levels(c, "seed: int8 weights", got, levels.level, levels.count, 0);
    return true;
}

static void check_weights(golden_case *c, const json_t *flow)
{
    const char *module;
    json_t *entry;
    json_object_foreach((json_t *)json_object_get(flow, "fused_float"), module, entry) {
        golden_array real;
        const json_t *const quantized = json_object_get(json_object_get(flow, "quantized"), module);
        if (!golden_array_read(&real, c, json_object_get(entry, "weight"))) return;
        if (!check_weight(c, &real, json_object_get(quantized, "weight"))) return;
    }
}

/* ---- the integer network ---- */

typedef struct walk {
    golden_case         *c;
    const char          *engine;
    const octet_profile *profile;
    const json_t        *quantized, *calls;
    bool                 feed_recorded;
} walk;

static const json_t *module_of(const walk *w, const char *module) { return json_object_get(w->quantized, module); }

/* Compares value with what module recorded, if anything, and goes on with the recorded one where asked to. */
static bool settle(const walk *w, const char *module, const char *kind, octet_tensor *value)
{
    size_t index;
    json_t *call;
    json_array_foreach((json_t *)w->calls, index, call) {
        char row[64];
        golden_array want;
        octet_tensor recorded;
        const json_t *const output = json_object_get(call, "output");
        const char *const name = json_string_value(json_object_get(call, "module"));
        if (!name || strcmp(name, module) != 0) continue;
        if (!golden_array_read(&want, w->c, output) || !golden_tensor_read(&recorded, w->c, output)) return false;
        snprintf(row, sizeof row, "seed%s: %s %s", w->feed_recorded ? "" : " end to end", w->engine, kind);
        golden_note_tensor(w->c, row, value, &want, 0);
        if (w->feed_recorded) *value = recorded;
    }
    return true;
}

static bool mac(const walk *w, const char *module, const char *op, const octet_tensor *x, octet_tensor *out)
{
    const json_t *const entry = module_of(w, module);
    const char *const type = json_string_value(json_object_get(entry, "type"));
    int64_t strides[2], pads[4], dilations[2];
    octet_tensor weight, bias = { .dtype = OCTET_F32, .rank = 1 };
    golden_array b;
    if (!golden_tensor_read(&weight, w->c, json_object_get(entry, "weight"))) return false;
    const bool has_bias = !json_is_null(json_object_get(entry, "bias"));
    if (has_bias && !golden_array_read(&b, w->c, json_object_get(entry, "bias"))) return false;
    golden_ints(strides, 2, json_object_get(entry, "stride"), 1);
    golden_ints(pads, 2, json_object_get(entry, "padding"), 0);
    golden_ints(dilations, 2, json_object_get(entry, "dilation"), 1);
    memcpy(pads + 2, pads, 2 * sizeof *pads);
    bias.dims[0] = has_bias ? (int64_t)b.count : 0;
    bias.data = has_bias ? b.real : NULL;
    const octet_attribute conv[] = { { .name = "strides", .ints = strides, .count = 2 },
                                     { .name = "pads", .ints = pads, .count = 4 },
                                     { .name = "dilations", .ints = dilations, .count = 2 },
                                     { .name = "group", .i = golden_int(entry, "groups", 1) }, { 0 } };
    const octet_attribute gemm[] = { { .name = "transB", .i = 1 }, { 0 } };
    const golden_node node = { .op = op, .attributes = strcmp(op, "Gemm") ? conv : gemm,
                               .inputs = { x, &weight, &bias }, .input_count = has_bias ? 3 : 2, .profile = w->profile,
                               .relu = type && strstr(type, "ReLU"),
                               .scale = golden_f32(w->c, json_object_get(entry, "scale")),
                               .zero_point = (int32_t)golden_int(entry, "zero_point", 0) };
    return golden_node_run(out, w->c, &node) && settle(w, module, strcmp(op, "Gemm") ? "conv" : "linear", out);
}

static bool quantize(const walk *w, octet_tensor *out)
{
    golden_array x;
    const json_t *const entry = module_of(w, "quant");
    if (!golden_array_read(&x, w->c, json_object_get(w->c->manifest, "eval"))) return false;
    *out = golden_tensor_make(w->c, OCTET_U8, x.dims, x.rank, golden_f32(w->c, json_object_get(entry, "scale")),
                              (int32_t)golden_int(entry, "zero_point", 0));
    int32_t *const level = golden_memory(w->c, x.count, sizeof *level);
    const octet_level_rule to = octet_level_rule_of(out->qparams, 0, NULL);
    w->profile->quantize(level, x.real, x.count, &to);
    octet_levels_store(out->data, OCTET_U8, 0, level, x.count);
    return settle(w, "quant", "quantize", out);
}

/* conv1, its sum with the input, relu, adaptive pooling to 4 x 4. */
static bool first_half(const walk *w, octet_tensor *out)
{
    octet_tensor x, y, sum, positive;
    const int64_t size[2] = { 4, 4 };
    const json_t *const add = module_of(w, "module.skip_add");
    if (!quantize(w, &x) || !mac(w, "module.conv1", "Conv", &x, &y)) return false;
    const golden_node node = { .op = "Add", .inputs = { &y, &x }, .input_count = 2, .profile = w->profile,
                               .scale = golden_f32(w->c, json_object_get(add, "scale")),
                               .zero_point = (int32_t)golden_int(add, "zero_point", 0) };
    if (!golden_node_run(&sum, w->c, &node) || !settle(w, "module.skip_add", "add", &sum)) return false;
    const golden_node relu = { .op = "Relu", .inputs = { &sum }, .input_count = 1, .profile = w->profile };
    if (!golden_node_run(&positive, w->c, &relu) || !settle(w, "module.relu2", "relu", &positive)) return false;
    if (!golden_adaptive_pool(out, w->c, &positive, size, w->profile)) return false;
    return settle(w, "module.avgpool", "adaptive_avg_pool", out);
}

/* conv2, max_pool2d 2 x 2 (which torch does not record), the result twice on axis 0, rows of 12. */
static bool second_half(const walk *w, const octet_tensor *x, octet_tensor *out)
{
    static const int64_t two[2] = { 2, 2 };
    const octet_attribute pool[] = { { .name = "kernel_shape", .ints = two, .count = 2 },
                                     { .name = "strides", .ints = two, .count = 2 }, { 0 } };
    const octet_attribute axis[] = { { .name = "axis", .i = 0 }, { 0 } };
    const json_t *const entry = module_of(w, "module.cat");
    octet_tensor y, pooled, both;
    if (!mac(w, "module.conv2", "Conv", x, &y)) return false;
    const golden_node most = { .op = "MaxPool", .attributes = pool, .inputs = { &y }, .input_count = 1,
                               .profile = w->profile };
    if (!golden_node_run(&pooled, w->c, &most)) return false;
    const golden_node cat = { .op = "Concat", .attributes = axis, .inputs = { &pooled, &pooled }, .input_count = 2,
                              .profile = w->profile, .scale = golden_f32(w->c, json_object_get(entry, "scale")),
                              .zero_point = (int32_t)golden_int(entry, "zero_point", 0) };
    if (!golden_node_run(&both, w->c, &cat) || !settle(w, "module.cat", "cat", &both)) return false;
    both.dims[0] = octet_tensor_count(&both) / 12;
    both.dims[1] = 12;
    both.rank = 2;
    return mac(w, "module.fc", "Gemm", &both, out);
}

static bool run(const walk *w, const json_t *recorded)
{
    octet_tensor middle, last;
    golden_array want;
    char row[64];
    if (!first_half(w, &middle) || !second_half(w, &middle, &last)) return false;
    if (!golden_array_read(&want, w->c, json_object_get(recorded, "output"))) return false;
    if ((size_t)octet_tensor_count(&last) != want.count) return golden_fail(w->c, "the output has another shape");
    float *const real = golden_memory(w->c, want.count, sizeof *real);
    octet_levels_real(real, &last, 0, want.count, 0);
    snprintf(row, sizeof row, "seed%s: %s output", w->feed_recorded ? "" : " end to end", w->engine);
    golden_note_floats(w->c, row, real, want.real, want.count);
    return true;
}

void golden_seed_flow(golden_case *c)
{
    const char *engine;
    json_t *recorded;
    const json_t *const flow = json_object_get(c->manifest, "ptq");
    if (!flow) {
        golden_skip(c, "seed: flows with fake quantization in the forward pass, numbers only");
        return;
    }
    check_activations(c, flow);
    check_weights(c, flow);
    json_object_foreach((json_t *)json_object_get(flow, "engines"), engine, recorded) {
        char name[64];
        snprintf(name, sizeof name, "torch-%s", engine);
        walk w = { .c = c, .engine = engine, .profile = octet_profile_find(name), .feed_recorded = true,
                   .quantized = json_object_get(flow, "quantized"), .calls = json_object_get(recorded, "calls") };
        if (!w.profile) continue;
        if (w.calls && !run(&w, recorded)) return;
        w.feed_recorded = false;
        if (!run(&w, recorded)) return;
    }
}
