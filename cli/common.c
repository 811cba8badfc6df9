/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that several verbs take in the same way. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

const char *cli_metric_word(size_t index)
{
    return index < OCTET_METRIC_COUNT ? octet_metric_name((octet_metric)index) : NULL;
}

int cli_word_index(const char *text, const char *(*word)(size_t index))
{
    for (int i = 0; text && word((size_t)i); i++)
        if (!strcmp(text, word((size_t)i))) return i;
    return 0;
}

octet_status cli_parse_loss(double *loss, bool *share, const char *text, octet_metric metric, octet_error *err)
{
    char         number[64];
    const bool   points  = octet_metric_is_share(metric);
    const size_t length  = strlen(text);
    const bool   percent = length > 0 && text[length - 1] == '%';
    snprintf(number, sizeof number, "%.*s", (int)(length - percent), text);
    *share = percent && !points;
    if (length < sizeof number && octet_parse_double(loss, number) && *loss >= 0) return OCTET_OK;
    octet_error_field(err, "--max-drop");
    return octet_fail(err, OCTET_ERR_ARGUMENT, "not a loss (got '%.40s', need for example 1%% or 0.5)", text);
}

enum { MOST_ENDS = 64 };

/* Parts text, which is overwritten, at its commas. */
static octet_status split_ends(const char *ends[MOST_ENDS], size_t *count, char *text, octet_error *err)
{
    char *rest = text;
    for (char *name; (name = strsep(&rest, ","));) {
        if (!*name) return octet_fail(err, OCTET_ERR_ARGUMENT, "--end-at: an empty name");
        if (*count == MOST_ENDS) return octet_fail(err, OCTET_ERR_ARGUMENT, "--end-at: more than %d names", MOST_ENDS);
        ends[(*count)++] = name;
    }
    return OCTET_OK;
}

octet_status cli_load(octet_graph **graph, const cli_call *call, const char *path, octet_error *err)
{
    const char        *ends[MOST_ENDS];
    char               names[4096];
    octet_load_options options = { .limits = call->args.limits, .ends = ends };
    options.limits.widen = true;
    if (call->args.end_at) {
        if ((size_t)snprintf(names, sizeof names, "%s", call->args.end_at) >= sizeof names)
            return octet_fail(err, OCTET_ERR_ARGUMENT, "--end-at: more than %zu bytes", sizeof names);
        OCTET_TRY(split_ends(ends, &options.end_count, names, err));
    }
    cli_signals_input(path);
    OCTET_TRY(octet_graph_load_with(graph, path, &options, err));
    const octet_status status = cli_bind_shapes(*graph, &call->args, err);
    if (status == OCTET_OK) return OCTET_OK;
    octet_graph_free(*graph);
    *graph = NULL;
    octet_error_file(err, path);
    return status;
}

octet_status cli_open(octet_dataset **data, const char *path, octet_dataset_options options, octet_error *err)
{
    if (options.layout && !strcmp(options.layout, "nchw")) options.layout = NULL;
    return octet_dataset_open(data, path, &options, err);
}

octet_status cli_open_data(octet_dataset **data, const cli_call *call, const octet_graph *graph, size_t limit,
                           octet_error *err)
{
    octet_dataset_options options = call->args.data;
    options.graph                 = graph;
    options.limits                = call->args.limits;
    options.any_inputs            = call->command->any_inputs;
    if (limit && (!options.limit || options.limit > limit)) options.limit = limit;
    return cli_open(data, call->args.data_path, options, err);
}

octet_status cli_take_alike(octet_dataset **part, const cli_call *call, const octet_dataset *data, octet_error *err)
{
    char text[200], shape[96];
    *part = NULL;
    if (!octet_dataset_varies(data)) return OCTET_OK;
    OCTET_TRY(octet_dataset_alike(part, data, err));
    const octet_tensor first = octet_dataset_input(*part, 0);
    snprintf(text, sizeof text, "samples vary in shape: %zu of %zu are looked at, those of %s",
             octet_dataset_count(*part), octet_dataset_count(data),
             octet_shape_text(shape, sizeof shape, first.dims, first.rank));
    cli_warn(call, text);
    return OCTET_OK;
}

octet_status cli_open_other(octet_dataset **data, cli_call *call, const octet_graph *graph,
                            const struct cli_other_data *other, octet_error *err)
{
    octet_dataset_options options = call->args.data;
    if (!other->path) return OCTET_OK;
    options.graph       = graph;
    options.limits      = call->args.limits;
    options.keep_labels = options.shuffle = false;
    options.labels      = other->labels;
    options.reference   = other->reference;
    options.limit       = other->limit;
    options.skip        = other->skip;
    options.every       = other->every;
    options.skip_every  = other->skip_every;
    OCTET_TRY(cli_open(data, other->path, options, err));
    cli_warn(call, octet_dataset_warnings(*data));
    return OCTET_OK;
}

octet_status cli_pair_load(cli_pair *pair, cli_call *call, octet_error *err)
{
    enum { FEW_SAMPLES = 32 };
    OCTET_TRY(cli_load(&pair->real, call, call->args.operands[0], err));
    OCTET_TRY(cli_load(&pair->quantized, call, call->args.operands[1], err));
    OCTET_TRY(octet_fuse(pair->quantized, err));
    if (octet_graph_stage(pair->quantized) != OCTET_STAGE_QUANTIZED) {
        octet_error_file(err, call->args.operands[1]);
        return octet_fail(err, OCTET_ERR_ARGUMENT, "second network is not quantized (need FLOAT QUANTIZED)");
    }
    OCTET_TRY(cli_open_data(&pair->all, call, pair->quantized, call->args.data.limit ? 0 : FEW_SAMPLES, err));
    cli_warn(call, octet_dataset_warnings(pair->all));
    OCTET_TRY(cli_take_alike(&pair->alike, call, pair->all, err));
    pair->data = pair->alike ? pair->alike : pair->all;
    return OCTET_OK;
}

void cli_pair_free(cli_pair *pair)
{
    octet_dataset_free(pair->alike);
    octet_dataset_free(pair->all);
    octet_graph_free(pair->quantized);
    octet_graph_free(pair->real);
}

void cli_pair_describe(cli_call *call, const octet_comparison *c, const char *key)
{
    json_t *const d = call->document, *const output = cli_json_object();
    cli_json_set(output, "sqnr_db", cli_json_number(c->output_sqnr_db));
    cli_json_set(output, "cosine", cli_json_number(c->output_cosine));
    cli_json_set(output, "max_abs", cli_json_number(c->output_max_abs));
    cli_json_set(d, "float", cli_json_text(call->args.operands[0]));
    cli_json_set(d, "quantized", cli_json_text(call->args.operands[1]));
    cli_json_set(d, "samples", cli_json_count(c->samples));
    cli_json_set(d, key, output);
}

octet_evaluate_options cli_evaluate_options(cli_call *call)
{
    const octet_plan_options plan  = { .threads = call->args.threads, .limits = call->args.limits };
    octet_plan_options       model = plan;
    model.engines                  = call->args.engine;
    return (octet_evaluate_options){ .plan             = model,
                                     .baseline_plan    = plan,
                                     .border           = call->args.border,
                                     .progress         = cli_progress_step,
                                     .progress_context = call };
}

double cli_parameters(const octet_graph *graph)
{
    double parameters = 0;
    for (size_t i = 0; i < octet_graph_node_count(graph); i++)
        parameters += (double)octet_graph_node(graph, i).parameters;
    return parameters;
}
