/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a data set: what the network wants, the recipe, the format, labels, subset, references, in this order; and
   reading one sample, which writes nothing but the caller's memory. */
#include "data/data.h"
#include "data/pixels.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

octet_status octet_dataset_warn(octet_dataset *data, octet_error *err, const char *format, ...)
{
    char    line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    const char *const before = data->warnings;
    data->warnings = octet_arena_format(data->arena, "%s%s%s", before ? before : "", before ? "\n" : "", line);
    return data->warnings ? OCTET_OK : octet_fail_memory(err);
}

octet_status octet_refuse_shape(const octet_dataset *data, const int64_t *dims, int rank, const char *hint,
                                octet_error *err)
{
    char                      got[160] = "[1, C, H, W]", need[160];
    const octet_target *const t = &data->target;
    int64_t                   whole[OCTET_MAX_RANK + 1] = {1};
    if (dims) {
        memcpy(whole + 1, dims, sizeof *dims * (size_t)rank);
        octet_shape_text(got, sizeof got, whole, rank + 1);
    }
    if (!t->known)
        return octet_fail(err, OCTET_ERR_SHAPE, "samples of shape %s are no images (need channels, rows, columns)",
                          got);
    memcpy(whole + 1, t->dims, sizeof *t->dims * (size_t)t->rank);
    return octet_fail(err, OCTET_ERR_SHAPE, "wrong shape of samples (got %s, need %s for input '%s')%s", got,
                      octet_shape_text(need, sizeof need, whole, t->rank + 1), t->name, hint);
}

/* ---- the network ---- */

int64_t octet_class_count_of(const octet_graph *graph)
{
    if (octet_graph_output_count(graph) == 0) return 0;
    const octet_port port = octet_graph_output(graph, 0);
    if (port.rank < 2 || port.dims[port.rank - 1] < 2) return 0;
    for (int i = 1; i < port.rank - 1; i++)
        if (port.dims[i] != 1) return 0;
    return port.dims[port.rank - 1];
}

static octet_status read_target(octet_dataset *data, octet_error *err)
{
    const octet_graph *const graph = data->options.graph;
    octet_target *const      t = &data->target;
    data->port = (octet_port){.name = data->input_name, .dtype = OCTET_F32, .rank = 1, .dims = {1}};
    if (!graph) return OCTET_OK;
    if (octet_graph_input_count(graph) != 1 && !data->options.any_inputs)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the network has %zu inputs (need 1: a data set feeds one)",
                          octet_graph_input_count(graph));
    if (!octet_graph_input_count(graph)) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the network has no input");
    const octet_port port = octet_graph_input(graph, data->input);
    snprintf(data->input_name, sizeof data->input_name, "%s", port.name);
    data->dtype = port.dtype;
    octet_levels_take(data, &port.levels);
    const bool integers = data->options.any_inputs && octet_inputs_can_feed(port.dtype);
    if (port.dtype != OCTET_F32 && !port.levels.count && !integers)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED,
                          "the network's input '%s' is %s (need f32: a data set feeds that)", port.name,
                          octet_dtype_name(port.dtype));
    if (port.rank < 1)
        return octet_fail(err, OCTET_ERR_SHAPE, "the network's input '%s' has no batch dimension", port.name);
    t->known = true;
    t->name = data->input_name;
    t->rank = port.rank - 1;
    memcpy(t->dims, port.dims + 1, sizeof *t->dims * (size_t)t->rank);
    t->channels_last = t->rank == 3 && (t->dims[2] == 1 || t->dims[2] == 3) && t->dims[0] != 1 && t->dims[0] != 3;
    t->classes = octet_class_count_of(graph);
    return OCTET_OK;
}

static int side_of(int64_t dimension) { return dimension > 0 && dimension <= OCTET_SIDE_MAX ? (int)dimension : 0; }

static octet_status choose_recipe(octet_dataset *data, octet_error *err)
{
    const octet_target *const t = &data->target;
    const char *const         layout = data->options.layout;
    if (layout && strcmp(layout, "nhwc") != 0 && strcmp(layout, "nchw") != 0) {
        octet_fail(err, OCTET_ERR_ARGUMENT, "got '%s', need nhwc or nchw", layout);
        octet_error_field(err, "layout");
        return OCTET_ERR_ARGUMENT;
    }
    OCTET_TRY(octet_recipe_from_options(&data->recipe, &data->options, err));
    data->own_recipe = data->recipe.given;
    const char *const stored =
        data->options.graph ? octet_graph_metadata(data->options.graph, "octet.preprocess") : NULL;
    if (!data->recipe.given && stored) OCTET_TRY(octet_recipe_parse(&data->recipe, stored, err));
    if (!t->known || t->rank != 3) return OCTET_OK;
    const bool last = t->channels_last;
    return octet_recipe_fit(&data->recipe, side_of(t->dims[last ? 2 : 0]), side_of(t->dims[last ? 1 : 2]),
                            side_of(t->dims[last ? 0 : 1]), &data->options, err);
}

/* ---- opening ---- */

octet_status octet_dataset_name_all(octet_dataset *data, octet_error *err)
{
    if (data->files) return OCTET_OK;
    char longest[32];
    data->name_size = (size_t)snprintf(longest, sizeof longest, "#%zu", data->raw_count) + 1;
    OCTET_TRY(octet_arena_get(&data->names, data->arena, data->count, data->name_size, err));
    for (size_t i = 0; i < data->count; i++)
        snprintf(data->names + i * data->name_size, data->name_size, "#%zu", data->order[i]);
    return OCTET_OK;
}

static octet_status try_sample(const octet_dataset *data, size_t index, octet_arena *arena, octet_error *why)
{
    octet_port   port;
    float       *values;
    octet_status status = octet_dataset_shape(&port, data, data->order[index], why);
    if (status == OCTET_OK)
        status = octet_arena_get(&values, arena, (size_t)octet_port_count(&port), sizeof *values, why);
    if (status == OCTET_OK) status = octet_dataset_read_as(data, data->order[index], port.dims, values, why);
    if (status != OCTET_OK) octet_error_file(why, data->path);
    return status;
}

/* Tolerated bad samples are found by reading everything once, and leave the data set for good. */
static octet_status drop_bad(octet_dataset *data, octet_error *err)
{
    size_t kept = 0, dropped = 0;
    if (data->options.skip_bad == 0) return OCTET_OK;
    for (size_t i = 0; i < data->count; i++) {
        octet_error        why = {0};
        octet_arena *const arena = octet_arena_new();
        if (!arena) return octet_fail_memory(err);
        const octet_status status = try_sample(data, i, arena, &why);
        octet_arena_free(arena);
        if (status == OCTET_OK) {
            data->order[kept++] = data->order[i];
        } else if (status == OCTET_ERR_MEMORY || dropped == data->options.skip_bad) {
            if (err && err->status == OCTET_OK) *err = why;
            return status;
        } else {
            dropped++;
            OCTET_TRY(octet_dataset_warn(data, err, "left out %s: %s", octet_dataset_name(data, i), why.text));
        }
    }
    data->count = kept;
    if (kept == 0) return octet_fail(err, OCTET_ERR_FORMAT, "no sample is readable");
    return octet_dataset_name_all(data, err);
}

static octet_status open_all(octet_dataset *data, octet_error *err)
{
    const char *const whole = data->path;
    data->dtype             = OCTET_F32;
    OCTET_TRY(read_target(data, err));
    if (data->options.graph && octet_graph_input_count(data->options.graph) > 1)
        OCTET_TRY(octet_inputs_path(&data->path, data, whole, err));
    OCTET_TRY(choose_recipe(data, err));
    OCTET_TRY(octet_source_open(&data->source, data->arena, data->path, err));
    data->format = &octet_format_raw;
    if (!data->options.shape) OCTET_TRY(octet_format_find(&data->format, &data->source, data->path, err));
    OCTET_TRY(data->format->open(data, data->path, err));
    octet_levels_settle(data);
    OCTET_TRY(octet_labels_settle(data, err));
    OCTET_TRY(octet_subset_apply(data, err));
    OCTET_TRY(octet_dataset_name_all(data, err));
    OCTET_TRY(drop_bad(data, err));
    OCTET_TRY(octet_references_open(data, err)); /* of those that are left */
    if (!data->input) OCTET_TRY(octet_inputs_open_others(data, whole, err));
    const int64_t bytes = octet_port_count(&data->port) * (int64_t)sizeof(float);
    return octet_check_memory((size_t)bytes, data->limits.max_memory, err);
}

octet_status octet_dataset_open(octet_dataset **data, const char *path, const octet_dataset_options *options,
                                octet_error *err)
{
    return octet_dataset_open_input(data, path, options, 0, err);
}

octet_status octet_dataset_open_input(octet_dataset **data, const char *path, const octet_dataset_options *options,
                                      size_t input, octet_error *err)
{
    *data = NULL;
    octet_arena *const arena = octet_arena_new();
    octet_dataset     *d = arena ? octet_arena_alloc(arena, 1, sizeof *d) : NULL;
    if (!d) {
        octet_arena_free(arena);
        return octet_fail_memory(err);
    }
    d->arena = arena;
    d->label_unit = "line";
    d->input = input;
    d->path = octet_arena_copy(arena, path);
    if (options) d->options = *options;
    d->limits = d->options.limits;
    const octet_status status = d->path ? open_all(d, err) : octet_fail_memory(err);
    if (status != OCTET_OK) {
        octet_error_file(err, path);
        octet_dataset_free(d);
        return status;
    }
    d->options = (octet_dataset_options){0}; /* its strings are the caller's */
    *data = d;
    return OCTET_OK;
}

void octet_dataset_free(octet_dataset *data)
{
    if (!data) return;
    if (!data->whole) octet_source_close(&data->source);
    for (size_t i = 0; i < data->other_count && !data->whole; i++) octet_dataset_free(data->others[i]);
    octet_arena_free(data->arena);
}

/* ---- asking ---- */

size_t       octet_dataset_count(const octet_dataset *data) { return data->count; }
bool         octet_dataset_has_labels(const octet_dataset *data) { return data->labels != NULL; }
octet_recipe octet_dataset_recipe(const octet_dataset *data) { return data->recipe; }
octet_port   octet_dataset_port(const octet_dataset *data) { return data->port; }
const char  *octet_dataset_warnings(const octet_dataset *data) { return data->warnings ? data->warnings : ""; }

octet_tensor octet_dataset_tensor(const octet_dataset *data)
{
    octet_tensor tensor = {.dtype = OCTET_F32, .rank = data->port.rank};
    memcpy(tensor.dims, data->port.dims, sizeof tensor.dims);
    return tensor;
}

const char *octet_dataset_name(const octet_dataset *data, size_t index)
{
    if (index >= data->count) return "?";
    return data->files ? data->files[data->order[index]] : data->names + index * data->name_size;
}

octet_status octet_dataset_shape(octet_port *port, const octet_dataset *data, size_t raw, octet_error *err)
{
    *port = data->port;
    return data->varies ? data->format->shape(port, data, raw, err) : OCTET_OK;
}

bool octet_dataset_varies(const octet_dataset *data)
{
    bool varies = data->varies;
    for (size_t i = 0; i < data->other_count; i++) varies = varies || data->others[i]->varies;
    return varies;
}

octet_status octet_dataset_read_as(const octet_dataset *data, size_t raw, const int64_t *dims, float *values,
                                   octet_error *err)
{
    if (!data->varies) return octet_dataset_read_raw(data, raw, values, err);
    octet_dataset one = *data;
    memcpy(one.port.dims, dims, sizeof *dims * (size_t)one.port.rank);
    return octet_dataset_read_raw(&one, raw, values, err);
}

octet_status octet_dataset_read_raw(const octet_dataset *data, size_t raw, float *values, octet_error *err)
{
    const int64_t count = octet_port_count(&data->port);
    char          number[32];
    OCTET_TRY(data->format->read(data, raw, values, err));
    snprintf(number, sizeof number, "#%zu", raw);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return octet_fail(err, OCTET_ERR_FORMAT, "sample %s: element %lld is %s (need finite numbers)",
                              data->files ? data->files[raw] : number, (long long)i, isnan(values[i]) ? "nan" : "inf");
    return octet_levels_to_reals(data, values, (size_t)count, err);
}

octet_status octet_dataset_read(const octet_dataset *data, size_t index, float *values, int64_t *label,
                                octet_error *err)
{
    if (index >= data->count)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "sample %zu of a data set of %zu", index, data->count);
    const octet_status status = octet_dataset_read_raw(data, data->order[index], values, err);
    if (status != OCTET_OK) octet_error_file(err, data->path);
    if (label) *label = octet_dataset_label(data, index);
    return status;
}
