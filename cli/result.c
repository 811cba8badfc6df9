/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs that make a network say in it and of it. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <xxhash.h>

/* The options in force, as --config reads them. The caller frees it. */
static char *config_text(const cli_call *call, size_t flags)
{
    json_t *const document = cli_config_document(&call->args, call->command->syntax);
    char *const   text     = json_dumps(document, flags | JSON_REAL_PRECISION(15));
    json_decref(document);
    if (!text) cli_out_of_memory();
    return text;
}

octet_status cli_load_float(octet_graph **graph, const cli_call *call, octet_error *err)
{
    const char *const path = call->args.operands[0];
    OCTET_TRY(cli_load(graph, call, path, err));
    OCTET_TRY(octet_fuse(*graph, err));
    if (octet_graph_stage(*graph) < OCTET_STAGE_QUANTIZED) return OCTET_OK;
    octet_error_file(err, path);
    return octet_fail(err, OCTET_ERR_UNSUPPORTED, "network is quantized already (need a float one)");
}

octet_status cli_describe(octet_graph *graph, const octet_dataset *data, const char *recipe, const cli_call *call,
                          octet_error *err)
{
    char               text[1024];
    const octet_recipe own = data ? octet_dataset_recipe(data) : (octet_recipe){ 0 };
    if (own.given) OCTET_TRY(octet_recipe_print(text, sizeof text, &own, err));
    if (own.given) recipe = text;
    if (recipe) OCTET_TRY(octet_graph_set_metadata(graph, "octet.preprocess", recipe, err));
    OCTET_TRY(octet_graph_set_metadata(graph, "octet.version", octet_version(), err));
    char *const        options = config_text(call, JSON_COMPACT);
    const octet_status status = octet_graph_set_metadata(graph, "octet.options", options, err);
    free(options);
    return status;
}

/* "" where nobody said so. */
static const char *why_float(const octet_graph *graph, const octet_node_info *node)
{
    const char *why = node->shape.dtype == OCTET_F32 ? "" : "its results are no real numbers";
    for (size_t i = 0; i < octet_graph_decision_count(graph); i++) {
        const octet_decision decision = octet_graph_decision(graph, i);
        if (!strcmp(decision.what, "float") && !strcmp(decision.node, node->name)) why = decision.why;
    }
    return why;
}

/* Of a network that is only prepared: whether it will. */
static bool stays_real(const octet_graph *graph, const octet_node_info *node)
{
    if (octet_graph_stage(graph) != OCTET_STAGE_PREPARED) return node->mode == OCTET_MODE_REAL;
    return node->shape.dtype != OCTET_F32 || *why_float(graph, node);
}

static void report_modes(cli_call *call, const octet_graph *graph)
{
    size_t        integer = 0, real = 0;
    double        macs = 0;
    json_t *const rows = cli_json_array(), *const nodes = cli_json_object();
    for (size_t i = 0; i < octet_graph_node_count(graph); i++) {
        const octet_node_info node = octet_graph_node(graph, i);
        if (!stays_real(graph, &node)) {
            integer++;
            if (node.macs > 0) macs += (double)node.macs;
            continue;
        }
        json_t *const row = cli_json_object();
        real++;
        cli_json_set(row, "name", cli_json_text(node.name));
        cli_json_set(row, "op", cli_json_text(node.op));
        cli_json_set(row, "why", cli_json_text(why_float(graph, &node)));
        cli_json_add(rows, row);
    }
    const double all = octet_graph_macs(graph), share = all > 0 ? macs / all : 1;
    cli_say(call, "%-14s%zu int8, %zu float; %.1f %% of the multiply-accumulates are int8\n", "nodes", integer, real,
            100 * share);
    cli_json_set(nodes, "int8", cli_json_count(integer));
    cli_json_set(nodes, "float", cli_json_count(real));
    cli_json_set(call->document, "nodes", nodes);
    cli_json_set(call->document, "float_nodes", rows);
    cli_json_set(call->document, "macs_int8", cli_json_number(share));
}

/* Layers whose inputs become levels when they run, by themselves: nothing said so on the command line. */
static void print_dynamic(cli_call *call, const octet_graph *graph)
{
    char clean[2][96];
    for (size_t i = 0; i < octet_graph_decision_count(graph); i++) {
        const octet_decision d = octet_graph_decision(graph, i);
        if (!strcmp(d.what, "dynamic") || !strcmp(d.what, "float16"))
            cli_say(call, "  %s: %s %s\n", d.what, cli_clean(clean[0], d.node), cli_clean(clean[1], d.why));
    }
}

static void print_float(cli_call *call, const octet_graph *graph)
{
    char clean[2][96];
    for (size_t i = 0; i < octet_graph_node_count(graph); i++) {
        const octet_node_info node = octet_graph_node(graph, i);
        if (!stays_real(graph, &node)) continue;
        cli_say(call, "  float: %s (%s) %s\n", cli_clean(clean[0], node.name), node.op,
                cli_clean(clean[1], why_float(graph, &node)));
    }
}

void cli_print_decisions(cli_call *call, const octet_graph *graph)
{
    char clean[3][96];
    if (!call->args.verbose) return;
    for (size_t i = 0; i < octet_graph_decision_count(graph); i++) {
        const octet_decision d = octet_graph_decision(graph, i);
        cli_say(call, "  %s: %s: %s\n", cli_clean(clean[0], d.node), cli_clean(clean[1], d.what),
                cli_clean(clean[2], d.why));
    }
}

void cli_report_nodes(cli_call *call, const octet_graph *graph)
{
    report_modes(call, graph);
    print_dynamic(call, graph);
    print_float(call, graph);
    cli_print_decisions(call, graph);
}

void cli_report_cost(cli_call *call, double began)
{
    struct rusage usage;
    char          memory[32];
    getrusage(RUSAGE_SELF, &usage);
    const double seconds = cli_now() - began, peak = 1024.0 * (double)usage.ru_maxrss;
    cli_say(call, "%-14s%.2f s, peak memory %s\n", "took", seconds, cli_bytes(memory, peak));
    cli_json_set(call->document, "seconds", cli_json_number(seconds));
    cli_json_set(call->document, "peak_rss_bytes", cli_json_number(peak));
}

octet_status cli_save(octet_graph *graph, cli_call *call, octet_error *err)
{
    const octet_save_options options = { .replace = call->args.force };
    call->writing                    = true;
    return octet_graph_save_as(graph, call->args.output, &options, err);
}

octet_status cli_report_file(cli_call *call, octet_error *err)
{
    char        hash[33], text[32];
    octet_file  file;
    OCTET_TRY(octet_file_read(&file, call->args.output, 0, err));
    const XXH128_hash_t value = XXH3_128bits(file.data, file.size);
    snprintf(hash, sizeof hash, "%016llx%016llx", (unsigned long long)value.high64, (unsigned long long)value.low64);
    char clean[96];
    cli_say(call, "%-14s%s, %s, xxh3 %s\n", "written", cli_clean(clean, call->args.output),
            cli_bytes(text, (double)file.size), hash);
    cli_json_set(call->document, "output", cli_json_text(call->args.output));
    cli_json_set(call->document, "file_bytes", cli_json_count(file.size));
    cli_json_set(call->document, "xxh3_128", cli_json_text(hash));
    octet_file_close(&file);
    return OCTET_OK;
}

octet_status cli_print_config(cli_call *call)
{
    char *const text = config_text(call, JSON_INDENT(1));
    puts(text);
    free(text);
    call->args.json = NULL;
    return OCTET_OK;
}
