/* SPDX-License-Identifier: Apache-2.0 */
/* octet inspect: a network at a glance. Nothing is run; memory is what a plan says. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the operators of this build ---- */

static const char *answer(const octet_operator_info *info, bool can)
{
    if (info->parts) return "parts";
    return can ? "yes" : "-";
}

static octet_status print_operators(cli_call *call)
{
    octet_operator_info info;
    json_t *const       list = cli_json_array();
    if (call->args.markdown)
        cli_say(call, "# Operators\n\n<!-- made by: tools/make_docs -->\n\n"
                      "parts: the operators that it is made of take its place when a file is read.\n\n"
                      "| operator | opset it states | float | int8 | gradient |\n|---|---|---|---|---|\n");
    else cli_say(call, "%-24s %-8s %-6s %-6s %s\n", "operator", "opset", "float", "int8", "gradient");
    for (size_t i = 0; octet_operator(&info, i); i++) {
        json_t *const row = cli_json_object();
        cli_json_set(row, "name", cli_json_text(info.name));
        cli_json_set(row, "since", json_integer(info.since));
        cli_json_set(row, "int8", json_boolean(info.integer));
        cli_json_set(row, "gradient", json_boolean(info.gradient));
        cli_json_set(row, "parts", json_boolean(info.parts));
        cli_json_add(list, row);
        cli_say(call, call->args.markdown ? "| %s | %d | %s | %s | %s |\n" : "%-24s %-8d %-6s %-6s %s\n", info.name,
                info.since, answer(&info, true), answer(&info, info.integer), answer(&info, info.gradient));
    }
    cli_json_set(call->document, "operators", list);
    return OCTET_OK;
}

/* ---- one network ---- */

typedef struct tally {
    const char *op;
    size_t      count;
} tally;

static int by_count(const void *a, const void *b)
{
    const tally *const x = a, *const y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return strcmp(x->op, y->op);
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* How often each operator occurs, most frequent first. The caller frees the result. */
static tally *count_operators(const octet_graph *graph, size_t *count)
{
    const size_t       nodes = octet_graph_node_count(graph);
    const char **const names = cli_alloc(nodes, sizeof *names);
    tally *const       rows  = cli_alloc(nodes, sizeof *rows);
    for (size_t i = 0; i < nodes; i++) names[i] = octet_graph_node(graph, i).op;
    qsort(names, nodes, sizeof *names, by_name);
    *count = 0;
    for (size_t i = 0; i < nodes; i++) {
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0) rows[(*count)++].op = names[i];
        rows[*count - 1].count++;
    }
    free(names);
    qsort(rows, *count, sizeof *rows, by_count);
    return rows;
}

static void print_tally(cli_call *call, const octet_graph *graph, const char *title, const char *key)
{
    size_t        count;
    tally *const  rows   = count_operators(graph, &count);
    json_t *const object = cli_json_object();
    char          clean[96];
    cli_say(call, "%-12s", title);
    for (size_t i = 0; i < count; i++) {
        cli_say(call, "%s%s %zu", i ? ", " : "", cli_clean(clean, rows[i].op), rows[i].count);
        cli_json_set(object, cli_clean(clean, rows[i].op), cli_json_count(rows[i].count));
    }
    cli_say(call, "\n");
    cli_json_set(call->document, key, object);
    free(rows);
}

static void print_ports(cli_call *call, const octet_graph *graph, bool inputs)
{
    const size_t  count = inputs ? octet_graph_input_count(graph) : octet_graph_output_count(graph);
    json_t *const list  = cli_json_array();
    for (size_t i = 0; i < count; i++) {
        const octet_port port = inputs ? octet_graph_input(graph, i) : octet_graph_output(graph, i);
        char             clean[96], shape[128];
        cli_say(call, "%-12s%s %s %s", i ? "" : inputs ? "inputs" : "outputs", cli_clean(clean, port.name),
                octet_dtype_name(port.dtype), octet_shape_text(shape, sizeof shape, port.dims, port.rank));
        if (port.levels.count)
            cli_say(call, ": levels, real = (level - %d) * %.9g", port.levels.zero_point[0],
                    (double)port.levels.scale[0]);
        cli_say(call, "\n");
        cli_json_add(list, cli_json_port(port));
    }
    cli_json_set(call->document, inputs ? "inputs" : "outputs", list);
}

static bool has_integer_rule(const char *op)
{
    octet_operator_info info;
    for (size_t i = 0; octet_operator(&info, i); i++)
        if (!strcmp(info.name, op)) return info.integer;
    return false;
}

/* What is int8, or could be. */
static void print_int8(cli_call *call, const octet_graph *graph)
{
    const bool   quantized = octet_graph_stage(graph) == OCTET_STAGE_QUANTIZED;
    const size_t count     = octet_graph_node_count(graph);
    size_t       integer   = 0;
    double       macs      = 0;
    const double all       = octet_graph_macs(graph);
    for (size_t i = 0; i < count; i++) {
        const octet_node_info node = octet_graph_node(graph, i);
        if (quantized ? node.mode == OCTET_MODE_REAL : !has_integer_rule(node.op)) continue;
        integer++;
        if (node.macs > 0) macs += (double)node.macs;
    }
    const double share = all > 0 ? macs / all : 0;
    cli_say(call, "%-12s%zu of %zu nodes%s, %.1f %% of the multiply-accumulates\n", "int8", integer, count,
            quantized ? "" : " can be", 100 * share);
    json_t *const object = cli_json_object();
    cli_json_set(object, "nodes", cli_json_count(integer));
    cli_json_set(object, "of", cli_json_count(count));
    cli_json_set(object, "macs", cli_json_number(share));
    cli_json_set(call->document, "int8", object);
}

static void print_sizes(cli_call *call, const octet_graph *graph, const char *path)
{
    char    text[2][32];
    const double parameters = cli_parameters(graph);
    cli_say(call, "%-12s%.0f (%s as float32, %s as int8)\n", "parameters", parameters,
            cli_bytes(text[0], 4.0 * parameters), cli_bytes(text[1], parameters));
    cli_say(call, "%-12s%.2f million multiply-accumulates per sample\n", "work", octet_graph_macs(graph) / 1e6);
    cli_json_set(call->document, "parameters", cli_json_count((uint64_t)parameters));
    cli_json_set(call->document, "macs", cli_json_number(octet_graph_macs(graph)));
    struct stat info;
    if (stat(path, &info) != 0) return;
    cli_say(call, "%-12s%s\n", "file", cli_bytes(text[0], (double)info.st_size));
    cli_json_set(call->document, "file_bytes", cli_json_count((uint64_t)info.st_size));
}

/* Which nodes became one. */
static void print_merged(cli_call *call, const octet_graph *graph)
{
    size_t        merged = 0;
    json_t *const list   = cli_json_array();
    for (size_t i = 0; i < octet_graph_node_count(graph); i++) {
        const octet_node_info node = octet_graph_node(graph, i);
        if (!node.merged || !*node.merged) continue;
        json_t *const row = cli_json_object();
        merged++;
        cli_json_set(row, "node", cli_json_text(node.name));
        cli_json_set(row, "op", cli_json_text(node.op));
        cli_json_set(row, "stands_for", cli_json_text(node.merged));
        cli_json_add(list, row);
    }
    cli_json_set(call->document, "merged", list);
    cli_json_set(call->document, "fused_nodes", cli_json_count(octet_graph_node_count(graph)));
    cli_say(call, "%-12s%zu nodes remain, %zu of them stand for several\n", "fused", octet_graph_node_count(graph),
            merged);
}

static void print_nodes(cli_call *call, const octet_graph *graph)
{
    char clean[2][96], shape[128];
    cli_say(call, "\n%-32s %-18s %-22s %12s %14s  %s\n", "node", "operator", "output", "parameters", "macs",
            "stands for");
    for (size_t i = 0; i < octet_graph_node_count(graph); i++) {
        const octet_node_info node = octet_graph_node(graph, i);
        cli_say(call, "%-32.32s %-18s %-22s %12lld %14lld  %s\n", cli_clean(clean[0], node.name), node.op,
                octet_shape_text(shape, sizeof shape, node.shape.dims, node.shape.rank), (long long)node.parameters,
                (long long)(node.macs > 0 ? node.macs : 0), cli_clean(clean[1], node.merged));
    }
}

/* Planned for the reference engine: others generate code while planning, which takes longer than all the rest. */
static octet_status print_memory(cli_call *call, const octet_graph *graph, octet_error *err)
{
    const octet_plan_options options = { .engines = "reference", .threads = call->args.threads,
                                         .limits = call->args.limits };
    octet_plan              *plan    = NULL;
    char                     text[32];
    for (size_t i = 0; i < octet_graph_input_count(graph); i++) {
        const octet_port port = octet_graph_input(graph, i);
        for (int d = 1; d < port.rank; d++)
            if (port.dims[d] == OCTET_DIM_FREE) {
                cli_say(call, "%-12snot known: input %s has free dimensions (--shape binds them)\n", "memory",
                        cli_clean((char[96]){ 0 }, port.name));
                cli_json_set(call->document, "memory_bytes", json_null());
                return OCTET_OK;
            }
    }
    OCTET_TRY(octet_plan_create(&plan, graph, &options, err));
    const size_t bytes = octet_plan_memory(plan);
    octet_plan_free(plan);
    cli_say(call, "%-12s%s of activations at their peak, batch 1\n", "memory", cli_bytes(text, (double)bytes));
    cli_json_set(call->document, "memory_bytes", cli_json_count(bytes));
    return OCTET_OK;
}

static octet_status inspect_graph(cli_call *call, octet_graph *graph, const char *path, octet_error *err)
{
    char clean[96];
    cli_json_set(call->document, "file", cli_json_text(path));
    cli_say(call, "%-12s%s\n", "network", cli_clean(clean, path));
    print_ports(call, graph, true);
    print_ports(call, graph, false);
    print_tally(call, graph, "operators", "operators");
    print_sizes(call, graph, path);
    if (octet_graph_stage(graph) < OCTET_STAGE_FUSED) OCTET_TRY(octet_fuse(graph, err));
    const char *const stage = octet_graph_stage(graph) == OCTET_STAGE_QUANTIZED ? "quantized" : "float";
    cli_json_set(call->document, "stage", cli_json_text(stage));
    cli_say(call, "%-12s%s\n", "stage", stage);
    print_merged(call, graph);
    print_tally(call, graph, "", "fused_operators");
    print_int8(call, graph);
    OCTET_TRY(print_memory(call, graph, err));
    const char *const recipe = octet_graph_metadata(graph, "octet.preprocess");
    if (recipe) cli_say(call, "%-12s%s\n", "recipe", recipe);
    if (recipe) cli_json_set(call->document, "preprocess", cli_json_text(recipe));
    if (call->args.verbose) print_nodes(call, graph);
    return OCTET_OK;
}

octet_status cli_inspect(cli_call *call, octet_error *err)
{
    octet_graph *graph = NULL;
    OCTET_TRY(cli_check_outputs(call, err));
    if (call->args.operators) return print_operators(call);
    const char *const path = call->args.operands[0];
    OCTET_TRY(cli_load(&graph, call, path, err));
    const octet_status status = inspect_graph(call, graph, path, err);
    octet_graph_free(graph);
    if (status != OCTET_OK) octet_error_file(err, path);
    return status;
}

static const cli_option inspect_options[] = {
    { "operators", 0, CLI_FLAG, NULL, offsetof(cli_args, operators), NULL, "list the operators of this build instead" },
    { "markdown", 0, CLI_FLAG, NULL, offsetof(cli_args, markdown), NULL, "the list as docs/operators.md" },
    { NULL },
};
static const cli_group inspect_groups[] = {
    { "what to show", inspect_options },
    { "free dimensions", cli_shape_options },
    { "common options", cli_common_options },
    { "limits", cli_limit_options },
    { NULL },
};
static const cli_example inspect_examples[] = {
    { "inspect resnet20.onnx", "inputs, operators, sizes, what fuses, what can be int8" },
    { "inspect -v resnet20.onnx", "the same, node by node" },
    { "inspect --operators", "what this build supports" },
    { NULL },
};
const cli_syntax cli_inspect_syntax = { "MODEL", 1, 1, inspect_groups, inspect_examples };
