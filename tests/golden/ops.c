/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of the torch profiles on their own: recorded inputs in, recorded levels out, for all engines recorded. */
#include "golden.h"

#include <stdio.h>
#include <string.h>

typedef struct engine {
    const char *name, *profile, *planes; /* planes: for pools of what lies plane by plane; NULL: the same */
} engine;

static const engine engines[] = { { "qnnpack", "torch-qnnpack", NULL },
                                  { "onednn", "torch-onednn", NULL },
                                  { "fbgemm", "torch-fbgemm", "torch-planes" },
                                  { "x86", "torch-x86", "torch-planes" } };
enum { ENGINES = sizeof engines / sizeof *engines };

const json_t *golden_input(const golden_case *c, const char *name)
{
    return json_object_get(json_object_get(c->manifest, "inputs"), name);
}

const json_t *golden_attribute(const golden_case *c, const char *name)
{
    return json_object_get(json_object_get(c->manifest, "attrs"), name);
}

/* The recorded output of an engine; NULL where it refused the case. */
static const json_t *output(const golden_case *c, const engine *e)
{
    const json_t *const entry = json_object_get(json_object_get(c->manifest, "outputs"), e->name);
    const json_t *const wrong = json_object_get(json_object_get(c->manifest, "known_upstream_bug"), e->name);
    return wrong || json_object_get(entry, "error") ? NULL : entry;
}

static const json_t *any_output(const golden_case *c)
{
    const json_t *found = NULL;
    for (int i = ENGINES - 1; i >= 0 && !found; i--) found = output(c, &engines[i]);
    return found;
}

bool golden_ends_with_relu(const golden_case *c)
{
    const char *const part = strstr(c->name, "_relu");
    return part && (part[5] == 0 || part[5] == '_');
}

/* "ops/conv2d_1x1" gives "conv2d". */
static const char *family(char text[32], const golden_case *c)
{
    snprintf(text, 32, "%s", c->name + strlen("ops/"));
    text[strcspn(text, "_")] = 0;
    return text;
}

/* Concat absorbs no Relu: that runs as a node of its own. */
static bool run(octet_tensor *out, golden_case *c, golden_node node)
{
    octet_tensor joined;
    if (strcmp(node.op, "Concat") != 0 || !node.relu) return golden_node_run(out, c, &node);
    node.relu = false;
    if (!golden_node_run(&joined, c, &node)) return false;
    const golden_node relu = { .op = "Relu", .inputs = { &joined }, .input_count = 1, .profile = node.profile };
    return golden_node_run(out, c, &relu);
}

/* Add leaves what lies at the end of memory to scalar code. */
static bool run_last(octet_tensor *got, golden_array *want, golden_case *c, const golden_node *node)
{
    octet_tensor a = golden_channels_last(c, node->inputs[0]), b = golden_channels_last(c, node->inputs[1]);
    golden_node  last = *node;
    uint8_t *const bytes = golden_memory(c, want->count, 1);
    octet_tensor   levels = *node->inputs[0];
    for (size_t i = 0; i < want->count; i++) bytes[i] = (uint8_t)want->level[i];
    levels.data = bytes;
    const octet_tensor moved = golden_channels_last(c, &levels);
    for (size_t i = 0; i < want->count; i++) want->level[i] = ((const uint8_t *)moved.data)[i];
    last.inputs[0] = &a, last.inputs[1] = &b;
    return run(got, c, last);
}

/* FBGEMM's depthwise kernel, whose sums saturate (trap 1 of the vectors' README). */
static bool saturates(const golden_case *c, const engine *e, const octet_tensor *x, const octet_tensor *w)
{
    const int64_t groups = golden_int(json_object_get(c->manifest, "attrs"), "groups", 1);
    const bool    fbgemm = !strcmp(e->name, "fbgemm") || (!strcmp(e->name, "x86") && groups > 100);
    const bool    depthwise = x->rank == 4 && groups == x->dims[1] && groups % 8 == 0 && w->dims[0] % groups == 0;
    uint8_t       most = 0;
    for (int64_t i = 0; i < octet_tensor_count(x); i++)
        if (((const uint8_t *)x->data)[i] > most) most = ((const uint8_t *)x->data)[i];
    return fbgemm && depthwise && w->dims[2] >= 3 && most > 127;
}

static bool is_mac(const char *op) { return !strcmp(op, "Conv"); }
static bool is_pool(const char *op) { return !strcmp(op, "AveragePool") || !strcmp(op, "ReduceMean"); }

void golden_check_engines(golden_case *c, golden_node *node, const golden_check *check)
{
    if (!any_output(c)) golden_skip(c, "what upstream refuses");
    for (int i = 0; i < ENGINES; i++) {
        golden_array want;
        octet_tensor got;
        char row[96];
        const json_t *const entry = output(c, &engines[i]), *const other = json_object_get(entry, "nhwc");
        if (!entry || (is_mac(node->op) && saturates(c, &engines[i], node->inputs[0], node->inputs[1]))) continue;
        const char *const planes = is_pool(node->op) ? engines[i].planes : NULL;
        node->profile = octet_profile_find(planes ? planes : engines[i].profile);
        if (!golden_array_read(&want, c, entry) || !run(&got, c, *node)) return;
        snprintf(row, sizeof row, check->row, engines[i].name);
        golden_note_tensor(c, row, &got, &want, check->tolerance);
        if ((!json_is_object(other) && !planes) || check->planes) continue; /* channels-last gave something else */
        if (!strcmp(node->op, "Clip")) continue; /* it is scrambled there (the vectors' README, trap 3) */
        node->profile = octet_profile_find(engines[i].profile);
        octet_profile scalar = *node->profile; /* other orders of memory in and out: torch's scalar code throughout */
        scalar.table_block = SIZE_MAX;
        const bool table = octet_op_find(node->op, NULL)->quant == OCTET_QUANT_TABLE;
        if (table) node->profile = &scalar;
        if ((planes || table) && !run(&got, c, *node)) return;
        if (json_is_object(other) && !golden_array_read(&want, c, other)) return;
        if (!strcmp(node->op, "Add") && !run_last(&got, &want, c, node)) return;
        golden_note_tensor(c, row, &got, &want, check->tolerance);
    }
}

static void check_engines(golden_case *c, golden_node *node, const char *row_format, int32_t tolerance)
{
    golden_check_engines(c, node, &(golden_check){ .row = row_format, .tolerance = tolerance });
}

/* ---- sums: Conv and Linear ---- */

/* Linear's rows: all dimensions but the last. */
static void flatten(octet_tensor *x)
{
    const int64_t last = x->dims[x->rank - 1], rows = octet_tensor_count(x) / last;
    x->rank = 2;
    x->dims[0] = rows;
    x->dims[1] = last;
}

void golden_mac(golden_case *c)
{
    char name[32], row[64];
    octet_tensor x, w, bias = { .dtype = OCTET_F32, .rank = 1 };
    golden_array b;
    if (!golden_tensor_read(&x, c, golden_input(c, "x")) || !golden_tensor_read(&w, c, golden_input(c, "w"))) return;
    const bool linear = !strcmp(family(name, c), "linear"), has_bias = !json_is_null(golden_input(c, "b"));
    const size_t spatial = linear ? 0 : (size_t)w.rank - 2;
    int64_t strides[3], pads[6], dilations[3], groups;
    golden_ints(&groups, 1, golden_attribute(c, "groups"), 1);
    golden_ints(strides, spatial, golden_attribute(c, "stride"), 1);
    golden_ints(pads, spatial, golden_attribute(c, "padding"), 0);
    golden_ints(dilations, spatial, golden_attribute(c, "dilation"), 1);
    memcpy(pads + spatial, pads, spatial * sizeof *pads);
    const octet_attribute conv[] = { { .name = "strides", .ints = strides, .count = spatial },
                                     { .name = "pads", .ints = pads, .count = 2 * spatial },
                                     { .name = "dilations", .ints = dilations, .count = spatial },
                                     { .name = "group", .i = groups },
                                     { 0 } };
    const octet_attribute gemm[] = { { .name = "transB", .i = 1 }, { 0 } };
    if (linear) flatten(&x);
    if (has_bias) {
        if (!golden_array_read(&b, c, golden_input(c, "b"))) return;
        bias.dims[0] = (int64_t)b.count;
        bias.data = b.real;
    }
    golden_node node = { .op = linear ? "Gemm" : "Conv", .attributes = linear ? gemm : conv,
                         .inputs = { &x, &w, has_bias ? &bias : NULL }, .input_count = has_bias ? 3 : 2,
                         .relu = golden_ends_with_relu(c), .scale = golden_f32(c, golden_attribute(c, "out_scale")),
                         .zero_point = (int32_t)json_integer_value(golden_attribute(c, "out_zero_point")) };
    snprintf(row, sizeof row, "%%s %s", name);
    golden_check_engines(c, &node, &(golden_check){ .row = row });
    if (!c->compared && !c->failed) golden_skip(c, "saturating sums of FBGEMM's depthwise kernel, not copied");
}

/* Of two activations. */
void golden_matmul(golden_case *c)
{
    octet_tensor x, b;
    if (!golden_tensor_read(&x, c, golden_input(c, "x")) || !golden_tensor_read(&b, c, golden_input(c, "b"))) return;
    golden_node node = { .op = "MatMul", .inputs = { &x, &b }, .input_count = 2,
                         .scale = golden_f32(c, golden_attribute(c, "out_scale")),
                         .zero_point = (int32_t)json_integer_value(golden_attribute(c, "out_zero_point")) };
    check_engines(c, &node, "%s matmul", 0);
}

/* ---- Add, Concat ---- */

void golden_add(golden_case *c)
{
    octet_tensor a, b;
    if (!golden_tensor_read(&a, c, golden_input(c, "a")) || !golden_tensor_read(&b, c, golden_input(c, "b"))) return;
    golden_node node = { .op = "Add", .inputs = { &a, &b }, .input_count = 2, .relu = golden_ends_with_relu(c),
                         .scale = golden_f32(c, golden_attribute(c, "out_scale")),
                         .zero_point = (int32_t)json_integer_value(golden_attribute(c, "out_zero_point")) };
    check_engines(c, &node, "%s add", 0);
}

void golden_mul(golden_case *c)
{
    octet_tensor a, b;
    if (!golden_tensor_read(&a, c, golden_input(c, "a")) || !golden_tensor_read(&b, c, golden_input(c, "b"))) return;
    golden_node node = { .op = "Mul", .inputs = { &a, &b }, .input_count = 2, .relu = golden_ends_with_relu(c),
                         .scale = golden_f32(c, golden_attribute(c, "out_scale")),
                         .zero_point = (int32_t)json_integer_value(golden_attribute(c, "out_zero_point")) };
    check_engines(c, &node, "%s mul", 0);
}

/* "see" names the case whose attributes these are. The caller drops the reference. */
static json_t *attributes_of(golden_case *c)
{
    char path[4096];
    json_error_t error;
    const json_t *const attrs = json_object_get(c->manifest, "attrs"), *const see = json_object_get(attrs, "see");
    if (!see) return json_incref((json_t *)attrs);
    snprintf(path, sizeof path, "%s/ops/%s/manifest.json", c->run->root, json_string_value(see));
    json_t *const other = json_load_file(path, 0, &error);
    json_t *const found = json_incref(json_object_get(other, "attrs"));
    json_decref(other);
    return found;
}

typedef struct torch_function {
    const char *torch, *onnx;
    float       alpha; /* 0: none, or an attribute */
    const char *approximate; /* NULL: no such attribute */
} torch_function;

static const torch_function functions[] = {
    { "sigmoid", "Sigmoid", 0, NULL },       { "sigmoid_q", "Sigmoid", 0, NULL },
    { "tanh", "Tanh", 0, NULL },             { "hardswish", "HardSwish", 0, NULL },
    { "leaky_relu", "LeakyRelu", 0, NULL },  { "leaky_relu_keep", "LeakyRelu", 0, NULL },
    { "elu", "Elu", 0, NULL },               { "celu", "Celu", 0, NULL },
    { "gelu", "Gelu", 0, NULL },             { "gelu_tanh", "Gelu", 0, "tanh" },
    { "hardsigmoid", "HardSigmoid", 1.0f / 6, NULL },
};

static void check_function(golden_case *c, const torch_function *f, const json_t *attrs)
{
    octet_tensor x;
    char row[64];
    const json_t *const slope = json_object_get(attrs, "negative_slope"), *const to = any_output(c);
    const json_t *const of = slope ? slope : json_object_get(attrs, "alpha");
    const float given = of ? (float)json_number_value(of) : f->alpha;
    const octet_attribute alpha[] = { { .name = "alpha", .f = given }, { 0 } };
    const octet_attribute form[] = { { .name = "approximate", .s = f->approximate }, { 0 } };
    if (!golden_tensor_read(&x, c, golden_input(c, "x"))) return;
    golden_node node = { .op = f->onnx, .inputs = { &x }, .input_count = 1,
                         .attributes = f->approximate ? form : given > 0 ? alpha : NULL,
                         .scale = golden_f32(c, json_object_get(to, "scale")),
                         .zero_point = (int32_t)golden_int(to, "zero_point", 0) };
    snprintf(row, sizeof row, "%%s %s", f->torch);
    golden_check_engines(c, &node, &(golden_check){ .row = row });
}

/* "hardswish on a 4-D tensor" is one of hardswish. */
void golden_function(golden_case *c)
{
    const char *const what = json_string_value(json_object_get(c->manifest, "what"));
    const size_t length = what ? strcspn(what, " ") : 0;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strlen(functions[i].torch) != length || strncmp(functions[i].torch, what, length)) continue;
        json_t *const attrs = attributes_of(c);
        check_function(c, &functions[i], attrs);
        json_decref(attrs);
        return;
    }
    golden_fail(c, "unknown function");
}

/* relu6, hardtanh, clamp. */
void golden_clip(golden_case *c)
{
    octet_tensor x;
    json_t *const attrs = attributes_of(c);
    const json_t *const min = json_object_get(attrs, "min"), *const max = json_object_get(attrs, "max");
    float least = min ? (float)json_number_value(min) : 0, most = max ? (float)json_number_value(max) : 6;
    json_decref(attrs);
    if (!golden_tensor_read(&x, c, golden_input(c, "x"))) return;
    const octet_tensor lo = { .dtype = OCTET_F32, .data = &least }, hi = { .dtype = OCTET_F32, .data = &most };
    golden_node node = { .op = "Clip", .inputs = { &x, &lo, &hi }, .input_count = 3 };
    check_engines(c, &node, "%s relu6, hardtanh, clamp", 0);
}

/* One input x, and perhaps a slope; the axis is named dim. */
static void check_one(golden_case *c, const char *op, const octet_tensor *second, const char *row)
{
    octet_tensor x;
    const json_t *const dim = golden_attribute(c, "dim");
    const octet_attribute along[] = { { .name = "axis", .i = json_integer_value(dim) }, { 0 } };
    if (!golden_tensor_read(&x, c, golden_input(c, "x"))) return;
    golden_node node = { .op = op, .inputs = { &x, second }, .input_count = second ? 2 : 1,
                         .attributes = dim ? along : NULL, .scale = golden_f32(c, golden_attribute(c, "out_scale")),
                         .zero_point = (int32_t)json_integer_value(golden_attribute(c, "out_zero_point")) };
    golden_check_engines(c, &node, &(golden_check){ .row = row });
}

void golden_softmax(golden_case *c) { check_one(c, "Softmax", NULL, "%s softmax"); }

/* torch's slope runs along the channels; ONNX's is stretched from the right. */
void golden_prelu(golden_case *c)
{
    octet_tensor slope;
    if (!golden_tensor_read(&slope, c, golden_input(c, "slope"))) return;
    slope.rank = 3;
    slope.dims[1] = slope.dims[2] = 1;
    check_one(c, "PRelu", &slope, "%s prelu");
}

/* torch's threshold puts a value of its own where ThresholdedRelu has 0. */
void golden_threshold(golden_case *c)
{
    octet_tensor x, got;
    if (!golden_tensor_read(&x, c, golden_input(c, "x"))) return;
    const float least = (float)json_number_value(golden_attribute(c, "threshold"));
    const float value = (float)json_number_value(golden_attribute(c, "value"));
    const octet_attribute alpha[] = { { .name = "alpha", .f = least }, { 0 } };
    for (int i = 0; i < ENGINES; i++) {
        golden_array want;
        int32_t below;
        char row[64];
        golden_node node = { .op = "ThresholdedRelu", .inputs = { &x }, .input_count = 1, .attributes = alpha,
                             .profile = octet_profile_find(engines[i].profile) };
        const json_t *const entry = output(c, &engines[i]);
        if (!entry) continue;
        if (!golden_array_read(&want, c, entry) || !golden_node_run(&got, c, &node)) return;
        const float scale = x.qparams->scale[0];
        const int32_t zero = x.qparams->zero_point[0];
        node.profile->quantize(&below, &value, 1, &(octet_level_rule){ scale, zero, 0, 255 });
        for (size_t k = 0; k < want.count; k++) {
            const int32_t away = ((const uint8_t *)x.data)[k] - zero;
            if (!((float)away * scale > least)) ((uint8_t *)got.data)[k] = (uint8_t)below;
        }
        snprintf(row, sizeof row, "%s threshold", engines[i].name);
        golden_note_tensor(c, row, &got, &want, 0);
    }
}

void golden_cat(golden_case *c)
{
    const json_t *const list = golden_input(c, "xs");
    const octet_attribute attributes[] = { { .name = "axis", .i = json_integer_value(golden_attribute(c, "dim")) },
                                           { 0 } };
    octet_tensor parts[4];
    golden_node node = { .op = "Concat", .attributes = attributes, .relu = golden_ends_with_relu(c),
                         .input_count = (int)json_array_size(list),
                         .scale = golden_f32(c, golden_attribute(c, "out_scale")),
                         .zero_point = (int32_t)json_integer_value(golden_attribute(c, "out_zero_point")) };
    if (node.input_count < 1 || node.input_count > 4) {
        golden_skip(c, "more than 4 inputs");
        return;
    }
    for (int i = 0; i < node.input_count; i++) {
        if (!golden_tensor_read(&parts[i], c, json_array_get(list, (size_t)i))) return;
        node.inputs[i] = &parts[i];
    }
    check_engines(c, &node, "%s cat", 0);
}

/* ---- pooling ---- */

/* kernel, stride, padding (both ends), dilation, as ONNX has them. */
typedef struct pool {
    int64_t         kernel[2], strides[2], pads[4], dilations[2];
    octet_attribute attributes[7];
} pool;

static void pool_of(pool *p, const golden_case *c, size_t spatial)
{
    const json_t *const stride = golden_attribute(c, "stride");
    *p = (pool){ 0 };
    golden_ints(p->kernel, spatial, golden_attribute(c, "kernel"), 1);
    golden_ints(p->strides, spatial, json_is_null(stride) ? golden_attribute(c, "kernel") : stride, 1);
    golden_ints(p->pads, spatial, golden_attribute(c, "padding"), 0);
    golden_ints(p->dilations, spatial, golden_attribute(c, "dilation"), 1);
    memcpy(p->pads + spatial, p->pads, spatial * sizeof *p->pads);
    p->attributes[0] = (octet_attribute){ .name = "kernel_shape", .ints = p->kernel, .count = spatial };
    p->attributes[1] = (octet_attribute){ .name = "strides", .ints = p->strides, .count = spatial };
    p->attributes[2] = (octet_attribute){ .name = "pads", .ints = p->pads, .count = 2 * spatial };
    p->attributes[3] = (octet_attribute){ .name = "ceil_mode", .i = json_is_true(golden_attribute(c, "ceil_mode")) };
}

void golden_max_pool(golden_case *c)
{
    pool p;
    octet_tensor x;
    if (!golden_tensor_read(&x, c, golden_input(c, "x"))) return;
    pool_of(&p, c, (size_t)x.rank - 2);
    p.attributes[4] = (octet_attribute){ .name = "dilations", .ints = p.dilations, .count = (size_t)x.rank - 2 };
    golden_node node = { .op = "MaxPool", .attributes = p.attributes, .inputs = { &x }, .input_count = 1 };
    check_engines(c, &node, "%s max_pool", 0);
}

/* torch's divisor_override, which ONNX's AveragePool has not: window sums made here, the profile's rule on them. */
static void check_divisor(golden_case *c, const octet_tensor *x, const pool *p, const engine *e)
{
    golden_array want;
    if (!golden_array_read(&want, c, output(c, e))) return;
    const octet_profile *const profile = octet_profile_find(e->profile);
    const int64_t height = x->dims[2], width = x->dims[3], area = want.dims[2] * want.dims[3];
    int32_t *const sum = golden_memory(c, want.count, sizeof *sum);
    int32_t *const level = golden_memory(c, want.count, sizeof *level);
    int32_t *const divisor = golden_memory(c, want.count, sizeof *divisor);
    for (size_t i = 0; i < want.count; i++) {
        const int64_t y = (int64_t)i % area / want.dims[3] * p->strides[0] - p->pads[0];
        const int64_t z = (int64_t)i % want.dims[3] * p->strides[1] - p->pads[1];
        const uint8_t *const plane = (const uint8_t *)x->data + (int64_t)i / area * height * width;
        for (int64_t k = 0; k < p->kernel[0] * p->kernel[1]; k++) {
            const int64_t at = y + k / p->kernel[1], across = z + k % p->kernel[1];
            if (at < 0 || across < 0 || at >= height || across >= width) continue;
            sum[i] += plane[at * width + across] - x->qparams->zero_point[0];
        }
        divisor[i] = (int32_t)json_integer_value(golden_attribute(c, "divisor_override"));
    }
    const float scale = x->qparams->scale[0];
    const octet_average_rule rule = { .scale = scale, .to = { scale, x->qparams->zero_point[0], 0, 255 } };
    profile->average(level, sum, divisor, want.count, &rule);
    golden_note_levels(c, "onednn avg_pool", level, want.level, want.count, 0);
}

void golden_average_pool(golden_case *c)
{
    pool p;
    octet_tensor x;
    if (!golden_tensor_read(&x, c, golden_input(c, "x"))) return;
    pool_of(&p, c, (size_t)x.rank - 2);
    const bool counts_pads = !json_is_false(golden_attribute(c, "count_include_pad"));
    p.attributes[4] = (octet_attribute){ .name = "count_include_pad", .i = counts_pads };
    golden_node node = { .op = "AveragePool", .attributes = p.attributes, .inputs = { &x }, .input_count = 1 };
    if (!json_is_integer(golden_attribute(c, "divisor_override"))) {
        check_engines(c, &node, "%s avg_pool", 0);
        return;
    }
    golden_array want; /* qnnpack ignores the override */
    octet_tensor got;
    node.profile = octet_profile_find(engines[0].profile);
    if (!golden_array_read(&want, c, output(c, &engines[0])) || !golden_node_run(&got, c, &node)) return;
    golden_note_tensor(c, "qnnpack avg_pool", &got, &want, 0);
    check_divisor(c, &x, &p, &engines[1]);
}

/* torch's mean rounds ties as its layout happens to make them fall. */
void golden_mean(golden_case *c)
{
    octet_tensor x;
    int64_t axes[OCTET_MAX_RANK];
    const json_t *const dims = golden_attribute(c, "dims");
    const size_t count = json_array_size(dims);
    if (!golden_tensor_read(&x, c, golden_input(c, "x")) || count > OCTET_MAX_RANK) return;
    golden_ints(axes, count, dims, 0);
    const octet_attribute attributes[] = { { .name = "keepdims", .i = json_is_true(golden_attribute(c, "keepdim")) },
                                           { 0 } };
    const octet_tensor list = { .dtype = OCTET_I64, .rank = 1, .dims = { (int64_t)count }, .data = axes };
    golden_node node = { .op = "ReduceMean", .attributes = attributes, .inputs = { &x, &list }, .input_count = 2 };
    check_engines(c, &node, "%s mean (+-1)", 1);
}

void golden_adaptive(golden_case *c)
{
    octet_tensor x, got;
    int64_t size[2] = { 1, 1 };
    if (!golden_tensor_read(&x, c, golden_input(c, "x"))) return;
    const size_t spatial = (size_t)x.rank - 2;
    golden_ints(size + 2 - spatial, spatial, golden_attribute(c, "output_size"), 1);
    if (spatial == 1) { /* [N, C, W] is [N, C, 1, W] */
        x.rank = 4;
        x.dims[3] = x.dims[2];
        x.dims[2] = 1;
    }
    for (int i = 0; i < ENGINES; i++) {
        golden_array want;
        char row[64];
        const json_t *const entry = output(c, &engines[i]);
        if (!entry || !golden_array_read(&want, c, entry)) continue;
        const json_t *const other = json_object_get(entry, "nhwc");
        const char *const   planes = engines[i].planes ? engines[i].planes : engines[i].profile;
        if (!golden_adaptive_pool(&got, c, &x, size, octet_profile_find(planes))) return;
        snprintf(row, sizeof row, "%s adaptive_avg_pool", engines[i].name);
        golden_note_tensor(c, row, &got, &want, 0);
        if (!engines[i].planes || (json_is_object(other) && !golden_array_read(&want, c, other))) continue;
        if (!golden_adaptive_pool(&got, c, &x, size, octet_profile_find(engines[i].profile))) return;
        golden_note_tensor(c, row, &got, &want, 0);
    }
}
