/* SPDX-License-Identifier: Apache-2.0 */
/* octet run: every sample of every input goes through the network, one at a time; outputs are stacked in that order. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* One output of the network over all samples so far. */
typedef struct stack {
    octet_tensor shape; /* of one sample; data is not used */
    uint8_t     *data;
    size_t       bytes; /* of one sample */
    size_t       count, capacity;
} stack;

/* Where the values of one sample go. */
typedef struct dumping {
    char folder[3072];
    bool force;
} dumping;

typedef struct runner {
    octet_graph     *graph;
    octet_dataset   *data;
    octet_binding   *binding;
    octet_workspace *workspace; /* for the sample in hand */
    octet_tensor    *inputs;
    size_t           input_count;
    octet_tensor    *outputs;
    stack           *stacks;
    size_t           output_count;
    cli_names        names;
    json_t          *results;
    dumping          dump;
    size_t           dumped; /* samples */
} runner;

static void close_input(runner *r)
{
    octet_binding_free(r->binding);
    octet_dataset_free(r->data);
    for (size_t i = 0; i < r->input_count; i++) free(r->inputs[i].data);
    free(r->inputs);
    r->workspace = NULL;
    r->binding   = NULL;
    r->data      = NULL;
    r->inputs    = NULL;
    r->input_count = 0;
}

static void runner_free(runner *r)
{
    close_input(r);
    for (size_t i = 0; r->stacks && i < r->output_count; i++) free(r->stacks[i].data);
    free(r->stacks);
    free(r->outputs);
    cli_names_free(&r->names);
    json_decref(r->results);
    octet_graph_free(r->graph);
}

/* ---- keeping outputs ---- */

static octet_status keep(stack *s, const octet_tensor *output, const char *name, octet_error *err)
{
    if (s->count == 0) {
        s->shape         = *output;
        s->shape.data    = NULL;
        s->shape.qparams = NULL;
        s->bytes         = (size_t)octet_tensor_bytes(output);
    }
    if ((size_t)octet_tensor_bytes(output) != s->bytes) {
        octet_error_node(err, name);
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "output changes its shape from sample to sample: no one array "
                                                      "holds it (--dump writes all)");
    }
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 1;
        s->data     = cli_grow(s->data, s->capacity, s->bytes ? s->bytes : 1);
    }
    if (s->bytes) memcpy(s->data + s->count * s->bytes, output->data, s->bytes);
    s->count++;
    return OCTET_OK;
}

/* The samples as one tensor: along a leading dimension of 1, else along a new one. */
static octet_tensor stacked(const stack *s)
{
    octet_tensor all = s->shape;
    all.data         = s->data;
    if (s->count == 1) return all;
    if ((all.rank == 0 || all.dims[0] != 1) && all.rank < OCTET_MAX_RANK) {
        memmove(all.dims + 1, all.dims, (size_t)all.rank * sizeof *all.dims);
        all.rank++;
        all.dims[0] = 1;
    }
    all.dims[0] *= (int64_t)s->count;
    return all;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static octet_status write_outputs(runner *r, cli_call *call, octet_error *err)
{
    const char *const   path    = call->args.output;
    octet_tensor *const tensors = cli_alloc(r->output_count, sizeof *tensors);
    const char **const  names   = cli_alloc(r->output_count, sizeof *names);
    octet_status        status;
    for (size_t i = 0; i < r->output_count; i++) {
        tensors[i] = stacked(&r->stacks[i]);
        names[i]   = octet_graph_output(r->graph, i).name;
    }
    call->writing = true;
    if (ends_with(path, ".npz")) {
        status = cli_npz_write(path, tensors, names, r->output_count, call->args.force, err);
    } else {
        status = cli_npy_write(path, &tensors[0], call->args.force, err);
        for (size_t i = 1; i < r->output_count; i++) {
            char clean[96];
            if (!call->args.quiet)
                fprintf(stderr, "octet: note: output '%s' is not in %s (an .npz file holds all)\n",
                        cli_clean(clean, names[i]), path);
        }
    }
    free(names);
    free(tensors);
    return status;
}

/* ---- showing outputs ---- */

typedef struct ranked {
    size_t index;
    float  score;
} ranked;

static int by_score(const void *a, const void *b)
{
    const ranked *const x = a, *const y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static const char *class_name(const runner *r, size_t index, char text[96])
{
    if (index < r->names.count && r->names.names[index]) return cli_clean(text, r->names.names[index]);
    snprintf(text, 96, "class %zu", index);
    return text;
}

/* The number itself, or what a level stands for. */
static float score_at(const octet_tensor *output, size_t i)
{
    if (output->dtype == OCTET_F32) return ((const float *)output->data)[i];
    const int level =
        output->dtype == OCTET_U8 ? ((const uint8_t *)output->data)[i] : ((const int8_t *)output->data)[i];
    return (float)(level - output->qparams->zero_point[0]) * output->qparams->scale[0];
}

static bool has_scores(const octet_tensor *output)
{
    const bool bytes = output->dtype == OCTET_U8 || output->dtype == OCTET_I8;
    return output->dtype == OCTET_F32 || (bytes && output->qparams && output->qparams->count == 1);
}

static void show_classes(runner *r, cli_call *call, const octet_tensor *output, const char *name, size_t top)
{
    const size_t  count = (size_t)octet_tensor_count(output);
    ranked *const rows  = cli_alloc(count, sizeof *rows);
    json_t *const      list = cli_json_array(), *const entry = cli_json_object();
    char               text[96];
    for (size_t i = 0; i < count; i++) rows[i] = (ranked){ i, score_at(output, i) };
    qsort(rows, count, sizeof *rows, by_score);
    cli_say(call, "%s\n", cli_clean(text, name));
    for (size_t i = 0; i < count && i < top; i++) {
        json_t *const row = cli_json_object();
        cli_say(call, "  %10.4f  %s\n", (double)rows[i].score, class_name(r, rows[i].index, text));
        cli_json_set(row, "class", cli_json_count(rows[i].index));
        cli_json_set(row, "name", cli_json_text(class_name(r, rows[i].index, text)));
        cli_json_set(row, "score", cli_json_number((double)rows[i].score));
        cli_json_add(list, row);
    }
    cli_json_set(entry, "input", cli_json_text(name));
    cli_json_set(entry, "top", list);
    cli_json_add(r->results, entry);
    free(rows);
}

static void show_summary(runner *r, cli_call *call, const octet_tensor *output, const char *input, size_t index)
{
    const octet_port port = octet_graph_output(r->graph, index);
    char             clean[2][96], shape[128];
    json_t *const    entry = cli_json_object();
    octet_shape_text(shape, sizeof shape, output->dims, output->rank);
    cli_say(call, "%s: %s %s %s", cli_clean(clean[0], input), cli_clean(clean[1], port.name),
            octet_dtype_name(output->dtype), shape);
    cli_json_set(entry, "input", cli_json_text(input));
    cli_json_set(entry, "output", cli_json_text(port.name));
    cli_json_set(entry, "shape", cli_json_text(shape));
    const int64_t count = octet_tensor_count(output);
    if (has_scores(output) && count > 0) {
        double low = INFINITY, high = -INFINITY, sum = 0;
        for (int64_t i = 0; i < count; i++) {
            const double x = (double)score_at(output, (size_t)i);
            low  = fmin(low, x);
            high = fmax(high, x);
            sum += x;
        }
        cli_say(call, " from %.6g to %.6g, mean %.6g", low, high, sum / (double)count);
        cli_json_set(entry, "min", cli_json_number(low));
        cli_json_set(entry, "max", cli_json_number(high));
        cli_json_set(entry, "mean", cli_json_number(sum / (double)count));
    }
    cli_say(call, "\n");
    cli_json_add(r->results, entry);
}

/* One row of scores: [C] or [1, C, 1, ...]. */
static bool is_classes(const octet_tensor *output)
{
    int wide = 0;
    for (int i = 0; i < output->rank; i++) wide += output->dims[i] > 1;
    return has_scores(output) && wide == 1 && octet_tensor_count(output) <= 100000;
}

static octet_status show(runner *r, cli_call *call, const char *name, octet_error *err)
{
    const bool asked = call->args.top > 0 || call->args.names;
    if (is_classes(&r->outputs[0]) && (asked || !call->args.output)) {
        show_classes(r, call, &r->outputs[0], name, call->args.top ? call->args.top : 5);
        return OCTET_OK;
    }
    if (call->args.top) {
        octet_error_field(err, "--top");
        return octet_fail(err, OCTET_ERR_ARGUMENT, "first output is no row of class scores");
    }
    for (size_t i = 0; i < r->output_count && !call->args.output; i++)
        show_summary(r, call, &r->outputs[i], name, i);
    return OCTET_OK;
}

/* ---- running ---- */

static octet_status open_input(runner *r, cli_call *call, const char *path, octet_error *err)
{
    call->args.data_path = path;
    OCTET_TRY(cli_open_data(&r->data, call, r->graph, 0, err));
    cli_warn(call, octet_dataset_warnings(r->data));
    r->input_count = octet_dataset_input_count(r->data);
    r->inputs      = cli_alloc(r->input_count, sizeof *r->inputs);
    const octet_plan_options options = { .engines = call->args.engine, .threads = call->args.threads,
                                         .limits = call->args.limits, .keep_values = call->args.dump != NULL };
    return octet_binding_create(&r->binding, r->graph, &options, err);
}

/* Memory and a plan for the sample's own shapes. */
static octet_status bind_sample(runner *r, size_t index, octet_error *err)
{
    for (size_t i = 0; i < r->input_count; i++) {
        void *const before = r->inputs[i].data;
        OCTET_TRY(octet_dataset_input_at(&r->inputs[i], r->data, i, index, err));
        const int64_t bytes = octet_tensor_bytes(&r->inputs[i]);
        r->inputs[i].data   = cli_grow(before, bytes > 0 ? (size_t)bytes : 1, 1);
    }
    const octet_status status = octet_binding_take(&r->workspace, r->binding, r->inputs, err);
    if (status != OCTET_OK && octet_dataset_varies(r->data)) octet_error_file(err, octet_dataset_name(r->data, index));
    return status;
}

/* Every value of every sample: DIR/SAMPLE/NAME.npy, levels as they are. */
static octet_status dump_value(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    const dumping *const d = context;
    char                 path[4096];
    size_t               n = (size_t)snprintf(path, sizeof path, "%s/", d->folder);
    if (!tensor->data) return OCTET_OK;
    for (; *name && n + 5 < sizeof path && n < strlen(d->folder) + 200; name++)
        path[n++] = (char)(strchr("/\\:*?\"<>|", *name) || (unsigned char)*name < 33 ? '_' : *name);
    snprintf(path + n, sizeof path - n, ".npy");
    return cli_npy_write(path, tensor, d->force, err);
}

static octet_status begin_dump(runner *r, cli_call *call, octet_error *err)
{
    dumping *const d = &r->dump;
    snprintf(d->folder, sizeof d->folder, "%s/%zu", call->args.dump, r->dumped++);
    d->force = call->args.force;
    if ((mkdir(call->args.dump, 0777) != 0 && errno != EEXIST) || (mkdir(d->folder, 0777) != 0 && errno != EEXIST)) {
        call->writing = true;
        octet_error_file(err, d->folder);
        return octet_fail(err, OCTET_ERR_FILE, "cannot make folder: %s", strerror(errno));
    }
    octet_workspace_set_hook(r->workspace, dump_value, d);
    return OCTET_OK;
}

static octet_status run_sample(runner *r, cli_call *call, size_t index, octet_error *err)
{
    OCTET_TRY(bind_sample(r, index, err));
    OCTET_TRY(octet_dataset_read_inputs(r->data, index, r->inputs, NULL, err));
    if (call->args.dump) OCTET_TRY(begin_dump(r, call, err));
    OCTET_TRY(octet_run(r->workspace, r->inputs, r->outputs, err));
    for (size_t i = 0; i < r->output_count && call->args.output; i++)
        OCTET_TRY(keep(&r->stacks[i], &r->outputs[i], octet_graph_output(r->graph, i).name, err));
    return show(r, call, octet_dataset_name(r->data, index), err);
}

static octet_status run_input(runner *r, cli_call *call, const char *path, octet_error *err)
{
    OCTET_TRY(open_input(r, call, path, err));
    const size_t count = octet_dataset_count(r->data);
    for (size_t i = 0; i < count; i++) {
        const octet_progress progress = { "run", i, count };
        if (call->args.output) cli_progress_step(call, &progress);
        OCTET_TRY(run_sample(r, call, i, err));
    }
    close_input(r);
    return OCTET_OK;
}

static octet_status work(runner *r, cli_call *call, octet_error *err)
{
    OCTET_TRY(cli_load(&r->graph, call, call->args.operands[0], err));
    if (call->args.names) OCTET_TRY(cli_names_read(&r->names, call->args.names, err));
    if (octet_graph_stage(r->graph) < OCTET_STAGE_FUSED) OCTET_TRY(octet_fuse(r->graph, err));
    r->output_count = octet_graph_output_count(r->graph);
    r->outputs      = cli_alloc(r->output_count, sizeof *r->outputs);
    r->stacks       = cli_alloc(r->output_count, sizeof *r->stacks);
    for (int i = 1; i < call->args.operand_count; i++) OCTET_TRY(run_input(r, call, call->args.operands[i], err));
    if (call->args.output) OCTET_TRY(write_outputs(r, call, err));
    cli_json_set(call->document, "model", cli_json_text(call->args.operands[0]));
    cli_json_set(call->document, "results", json_incref(r->results));
    return OCTET_OK;
}

octet_status cli_run(cli_call *call, octet_error *err)
{
    runner r = { .results = cli_json_array() };
    octet_status status = cli_check_outputs(call, err);
    if (status == OCTET_OK && call->args.output && !ends_with(call->args.output, ".npy") &&
        !ends_with(call->args.output, ".npz"))
        status = octet_fail(err, OCTET_ERR_ARGUMENT, "--output: unknown kind of file (need a name in .npy or .npz)");
    if (status == OCTET_OK) {
        status = work(&r, call, err);
        if (status != OCTET_OK && status != OCTET_ERR_ARGUMENT) octet_error_file(err, call->args.operands[0]);
    }
    runner_free(&r);
    return status;
}

static const cli_option dump_options[] = {
    { "dump", 0, CLI_TEXT, "DIR", offsetof(cli_args, dump), NULL,
      "write every value of sample N as DIR/N/NAME.npy; those of integer type are levels" },
    { NULL },
};
static const cli_option run_options[] = {
    { "top", 0, CLI_COUNT, "K", offsetof(cli_args, top), "5", "classes to print", NULL, 1, 1e9 },
    { "labels", 0, CLI_TEXT, "FILE", offsetof(cli_args, names), NULL,
      "class names: one a line, or index TAB ... TAB name" },
    { NULL },
};
static const cli_group run_groups[] = {
    { "result (.npy: the first output; .npz: all)", cli_output_options },
    { "values", dump_options },
    { "classes", run_options },
    { "preparing samples", cli_preprocess_options },
    { "which samples", cli_subset_options },
    { "engines", cli_engine_options },
    { "common options", cli_common_options },
    { "limits", cli_limit_options },
    { NULL },
};
static const cli_example run_examples[] = {
    { "run net.int8.onnx cat.jpg --labels classes.txt --top 3", "the three likeliest classes" },
    { "run net.onnx inputs.npy -o outputs.npy", "the first output of every sample" },
    { "run net.onnx photos/ -o outputs.npz", "all outputs, by name" },
    { NULL },
};
const cli_syntax cli_run_syntax = { "MODEL INPUT...", 2, 0, run_groups, run_examples };
