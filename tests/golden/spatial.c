/* SPDX-License-Identifier: Apache-2.0 */
/* Operators over space in the torch profiles: ConvTranspose, interpolation, padding, shuffled channels; batch norm
   and Relu on levels. */
#include "golden.h"

#include <string.h>

/* Upstream has no scales per channel here (tests/quantize/test_transposed.c does). */
static bool all_refuse(const golden_case *c)
{
    const char *name;
    json_t     *entry;
    bool        any = false;
    json_object_foreach(json_object_get(c->manifest, "outputs"), name, entry)
        any = any || !json_object_get(entry, "error");
    return !any;
}

void golden_conv_transpose(golden_case *c)
{
    octet_tensor x, w, bias = { .dtype = OCTET_F32, .rank = 1 };
    golden_array b;
    int64_t strides[2], pads[4], padding[2], groups;
    if (all_refuse(c)) {
        golden_skip(c, "ConvTranspose that PyTorch refuses");
        return;
    }
    if (!golden_tensor_read(&x, c, golden_input(c, "x")) || !golden_tensor_read(&w, c, golden_input(c, "w"))) return;
    if (!golden_array_read(&b, c, golden_input(c, "b"))) return;
    bias.dims[0] = (int64_t)b.count;
    bias.data = b.real;
    golden_ints(&groups, 1, golden_attribute(c, "groups"), 1);
    golden_ints(strides, 2, golden_attribute(c, "stride"), 1);
    golden_ints(pads, 2, golden_attribute(c, "padding"), 0);
    golden_ints(padding, 2, golden_attribute(c, "output_padding"), 0);
    memcpy(pads + 2, pads, 2 * sizeof *pads);
    const octet_attribute attributes[] = { { .name = "strides", .ints = strides, .count = 2 },
                                           { .name = "pads", .ints = pads, .count = 4 },
                                           { .name = "output_padding", .ints = padding, .count = 2 },
                                           { .name = "group", .i = groups },
                                           { 0 } };
    golden_node node = { .op = "ConvTranspose", .attributes = attributes, .inputs = { &x, &w, &bias },
                         .input_count = 3, .scale = golden_f32(c, golden_attribute(c, "out_scale")),
                         .zero_point = (int32_t)json_integer_value(golden_attribute(c, "out_zero_point")) };
    golden_check_engines(c, &node, &(golden_check){ .row = "%s conv_transpose2d" });
}

/* torch's modes in ONNX's words. */
typedef struct torch_mode {
    const char *torch, *mode, *coordinates, *rounding;
    bool        aligned; /* align_corners */
} torch_mode;

static const torch_mode modes[] = {
    { "nearest", "nearest", "asymmetric", "floor", false },
    { "nearest-exact", "nearest", "tf_half_pixel_for_nn", "floor", false },
    { "bilinear", "linear", "pytorch_half_pixel", "floor", false },
    { "bilinear", "linear", "align_corners", "floor", true },
};

void golden_interpolate(golden_case *c)
{
    octet_tensor x;
    int64_t size[4];
    const char *const name = json_string_value(golden_attribute(c, "mode"));
    const bool aligned = json_is_true(golden_attribute(c, "align_corners"));
    if (!golden_tensor_read(&x, c, golden_input(c, "x"))) return;
    memcpy(size, x.dims, 2 * sizeof *size);
    golden_ints(size + 2, 2, golden_attribute(c, "size"), 0);
    const octet_tensor sizes = { .dtype = OCTET_I64, .rank = 1, .dims = { 4 }, .data = size };
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (!name || strcmp(modes[i].torch, name) != 0 || modes[i].aligned != aligned) continue;
        const octet_attribute attributes[] = { { .name = "mode", .s = modes[i].mode },
                                               { .name = "coordinate_transformation_mode", .s = modes[i].coordinates },
                                               { .name = "nearest_mode", .s = modes[i].rounding },
                                               { 0 } };
        golden_node node = { .op = "Resize", .attributes = attributes, .inputs = { &x, NULL, NULL, &sizes },
                             .input_count = 4 };
        golden_check_engines(c, &node, &(golden_check){ .row = "%s interpolate", .planes = true });
        return;
    }
    golden_fail(c, "unknown mode");
}

/* A normalization with its first `count` of gamma, beta, mean, var. */
static void check_norm(golden_case *c, const char *op, const char *row, int count)
{
    static const char *const names[] = { "gamma", "beta", "mean", "var" };
    octet_tensor x, parts[4];
    golden_array array;
    if (!golden_tensor_read(&x, c, golden_input(c, "x"))) return;
    const float epsilon = (float)json_number_value(golden_attribute(c, "eps_f64"));
    const int64_t groups = json_integer_value(golden_attribute(c, "groups"));
    const octet_attribute attributes[] = { { .name = "epsilon", .f = epsilon },
                                           { .name = groups ? "num_groups" : NULL, .i = groups }, { 0 } };
    golden_node node = { .op = op, .attributes = attributes, .inputs = { &x }, .input_count = 1 + count,
                         .relu = golden_ends_with_relu(c), .scale = golden_f32(c, golden_attribute(c, "out_scale")),
                         .zero_point = (int32_t)json_integer_value(golden_attribute(c, "out_zero_point")) };
    for (int i = 0; i < count; i++) {
        if (!golden_array_read(&array, c, golden_input(c, names[i]))) return;
        parts[i] = (octet_tensor){ .dtype = OCTET_F32, .rank = 1, .dims = { (int64_t)array.count },
                                   .data = array.real };
        node.inputs[1 + i] = &parts[i];
    }
    golden_check_engines(c, &node, &(golden_check){ .row = row });
}

void golden_batch_norm(golden_case *c) { check_norm(c, "BatchNormalization", "%s batch_norm2d", 4); }
void golden_layer_norm(golden_case *c) { check_norm(c, "LayerNormalization", "%s layer_norm", 2); }
void golden_group_norm(golden_case *c) { check_norm(c, "GroupNormalization", "%s group_norm", 2); }
void golden_instance_norm(golden_case *c) { check_norm(c, "InstanceNormalization", "%s instance_norm", 2); }

/* torch's pad has the last dimension first: left, right, top, bottom. */
void golden_pad(golden_case *c)
{
    octet_tensor x;
    int64_t given[4], pads[8] = { 0 };
    if (!golden_tensor_read(&x, c, golden_input(c, "x"))) return;
    golden_ints(given, 4, golden_attribute(c, "pad"), 0);
    for (int i = 0; i < 2; i++) {
        pads[3 - i] = given[2 * i];
        pads[7 - i] = given[2 * i + 1];
    }
    const octet_tensor list = { .dtype = OCTET_I64, .rank = 1, .dims = { 8 }, .data = pads };
    const octet_attribute attributes[] = { { .name = "mode", .s = strstr(c->name, "reflect") ? "reflect" : "constant" },
                                           { 0 } };
    golden_node node = { .op = "Pad", .attributes = attributes, .inputs = { &x, &list }, .input_count = 2 };
    golden_check_engines(c, &node, &(golden_check){ .row = "%s pad" });
}

/* Channels as [groups, n] are read as [n, groups]. */
void golden_shuffle(golden_case *c)
{
    octet_tensor x;
    const int64_t groups = json_integer_value(golden_attribute(c, "groups")), perm[] = { 0, 2, 1, 3 };
    const octet_attribute attributes[] = { { .name = "perm", .ints = perm, .count = 4 }, { 0 } };
    if (!golden_tensor_read(&x, c, golden_input(c, "x"))) return;
    const int64_t dims[] = { x.dims[0], groups, x.dims[1] / groups, x.dims[2] * x.dims[3] };
    memcpy(x.dims, dims, sizeof dims);
    golden_node node = { .op = "Transpose", .attributes = attributes, .inputs = { &x }, .input_count = 1 };
    golden_check_engines(c, &node, &(golden_check){ .row = "%s channel_shuffle" });
}

void golden_relu(golden_case *c)
{
    octet_tensor x;
    if (!golden_tensor_read(&x, c, golden_input(c, "x"))) return;
    golden_node node = { .op = "Relu", .inputs = { &x }, .input_count = 1 };
    golden_check_engines(c, &node, &(golden_check){ .row = "%s relu" });
}
