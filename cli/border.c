/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs and outputs that are levels: what was asked for, what they mean, and that the file says it. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static octet_dtype dtype_of(const char *word)
{
    if (!word || !strcmp(word, "f32") || !strcmp(word, "float32")) return OCTET_NONE;
    return strstr(word, "u") ? OCTET_U8 : OCTET_I8;
}

void cli_border_ask(octet_qconfig *config, const cli_args *args)
{
    config->input  = dtype_of(args->input_type);
    config->output = dtype_of(args->output_type);
}

static const octet_tensor_rule *rule_of(const octet_qconfig *config, const char *name)
{
    for (size_t i = 0; i < config->tensor_count; i++)
        if (!strcmp(config->tensors[i].name, name)) return &config->tensors[i];
    return NULL;
}

/* Scale and zero point by which the bytes of data's samples are levels of that type, where there are such. */
static bool bytes_are_levels(float *scale, int32_t *zero_point, octet_dtype dtype, const octet_dataset *data)
{
    const octet_recipe recipe = data ? octet_dataset_recipe(data) : (octet_recipe){ 0 };
    if (!dtype || !octet_recipe_levels(scale, zero_point, &recipe)) return false;
    if (dtype == OCTET_I8) *zero_point += INT8_MIN;
    return true;
}

void cli_border_fold(octet_qconfig *config, cli_args *args, const octet_graph *graph, const octet_dataset *data)
{
    const size_t inputs = octet_graph_input_count(graph), count = config->tensor_count;
    float       *scale      = cli_args_room(args, sizeof *scale);
    int32_t     *zero_point = cli_args_room(args, sizeof *zero_point);
    if (!bytes_are_levels(scale, zero_point, config->input, data)) return;
    octet_tensor_rule *const rules = cli_args_room(args, (count + inputs) * sizeof *rules);
    if (count) memcpy(rules, config->tensors, count * sizeof *rules);
    size_t all = count;
    for (size_t i = 0; i < inputs; i++) {
        const octet_port port = octet_graph_input(graph, i);
        if (port.dtype != OCTET_F32 || rule_of(config, port.name)) continue;
        rules[all++] = (octet_tensor_rule){ .name = cli_args_keep(args, port.name), .dtype = config->input, .count = 1,
                                            .scale = scale, .zero_point = zero_point };
    }
    config->tensors      = rules;
    config->tensor_count = all;
}

/* "octet.input.NAME": what a program needs that makes levels, or reads them. */
static octet_status describe(octet_graph *graph, octet_port port, const char *what, octet_error *err)
{
    char key[256], text[160];
    snprintf(key, sizeof key, "octet.%s.%.200s", what, port.name);
    snprintf(text, sizeof text, "{\"type\":\"%s\",\"scale\":%.9g,\"zero_point\":%d}", octet_dtype_name(port.dtype),
             (double)port.levels.scale[0], port.levels.zero_point[0]);
    return octet_graph_set_metadata(graph, key, text, err);
}

static void say(cli_call *call, octet_port port, const char *what, const octet_dataset *data)
{
    char               clean[96];
    float              scale;
    int32_t            zero_point;
    const octet_recipe recipe = data ? octet_dataset_recipe(data) : (octet_recipe){ 0 };
    const bool input = !strcmp(what, "input"), bytes = input && bytes_are_levels(&scale, &zero_point, port.dtype, data);
    const bool same  = bytes && scale == port.levels.scale[0] && zero_point == port.levels.zero_point[0];
    cli_say(call, "%-14s%s: %s, real = (level - %d) * %.9g%s\n", what, cli_clean(clean, port.name),
            octet_dtype_name(port.dtype), port.levels.zero_point[0], (double)port.levels.scale[0],
            !input             ? ""
            : same             ? port.dtype == OCTET_U8 ? ": bytes of samples are the levels"
                                                       : ": bytes of samples less 128 are the levels"
            : recipe.given && !bytes ? ": samples are prepared, then rounded to it (no scale and zero point make their "
                                       "bytes levels)"
                                     : "");
}

static octet_status describe_all(octet_graph *graph, bool inputs, const octet_dataset *data, cli_call *call,
                                 octet_error *err)
{
    const size_t count = inputs ? octet_graph_input_count(graph) : octet_graph_output_count(graph);
    for (size_t i = 0; i < count; i++) {
        const octet_port  port = inputs ? octet_graph_input(graph, i) : octet_graph_output(graph, i);
        const char *const what = inputs ? "input" : "output";
        if (!port.levels.count) continue;
        OCTET_TRY(describe(graph, port, what, err));
        say(call, port, what, data);
        cli_json_add(json_object_get(call->document, inputs ? "inputs" : "outputs"), cli_json_port(port));
    }
    return OCTET_OK;
}

octet_status cli_border_expose(octet_graph *graph, const octet_qconfig *config, const octet_dataset *data,
                               cli_call *call, octet_error *err)
{
    if (!config->input && !config->output) return OCTET_OK;
    OCTET_TRY(octet_expose_levels(graph, config->input != OCTET_NONE, config->output != OCTET_NONE, err));
    cli_json_set(call->document, "inputs", cli_json_array());
    cli_json_set(call->document, "outputs", cli_json_array());
    OCTET_TRY(describe_all(graph, true, data, call, err));
    return describe_all(graph, false, data, call, err);
}

#define AT(member)  offsetof(cli_args, member)
#define BORDER_WORDS "f32|u8|s8|float32|uint8|int8"

const cli_option cli_border_options[] = {
    { "input-type", 0, CLI_WORD, BORDER_WORDS, AT(input_type), "f32",
      "u8, s8: the network takes levels, of a scale and zero point that its file states, and rounds nothing itself",
      .section = "quantize" },
    { "output-type", 0, CLI_WORD, BORDER_WORDS, AT(output_type), "f32", "u8, s8: the same of what it gives",
      .section = "quantize" },
    { NULL },
};
