/* SPDX-License-Identifier: Apache-2.0 */
/* Networks with several inputs, or one that is no float32: a data set per input beneath the first one's, all of them
   with as many samples. Numbers are read as float32 and become what the input wants, where that is exact. */
#include "data/data.h"
#include "data/pixels.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

size_t octet_dataset_input_count(const octet_dataset *data) { return data->other_count + 1; }

octet_tensor octet_dataset_input(const octet_dataset *data, size_t index)
{
    const octet_dataset *const from   = index ? data->others[index - 1] : data;
    octet_tensor               tensor = octet_dataset_tensor(from);
    tensor.dtype                      = from->dtype;
    return tensor;
}

octet_status octet_dataset_input_at(octet_tensor *tensor, const octet_dataset *data, size_t input, size_t index,
                                    octet_error *err)
{
    const octet_dataset *const from = input ? data->others[input - 1] : data;
    octet_port                 port;
    if (index >= data->count)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "sample %zu of a data set of %zu", index, data->count);
    *tensor                   = octet_dataset_input(data, input);
    const octet_status status = octet_dataset_shape(&port, from, data->order[index], err);
    if (status != OCTET_OK) octet_error_file(err, from->path);
    else memcpy(tensor->dims, port.dims, sizeof tensor->dims);
    return status;
}

/* ---- opening ---- */

/* Where the samples of one of several inputs lie: in an archive by name, in a folder as NAME or NAME.npy. */
octet_status octet_inputs_path(const char **path, octet_dataset *data, const char *whole, octet_error *err)
{
    static const char *const endings[] = { "", ".npy", ".npy.gz" };
    octet_source             source;
    OCTET_TRY(octet_source_open(&source, data->arena, whole, err));
    const bool folder = source.folder, archive = octet_format_npz.accepts(&source, whole);
    octet_source_close(&source);
    *path = whole;
    if (archive) return OCTET_OK;
    if (!folder || strchr(data->input_name, '/'))
        return octet_fail(err, OCTET_ERR_UNSUPPORTED,
                          "the network has %zu inputs (need an .npz with one array for each, or a folder with NAME.npy "
                          "or a sub-folder for each)", octet_graph_input_count(data->options.graph));
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        *path = octet_arena_format(data->arena, "%s/%s%s", whole, data->input_name, endings[i]);
        if (!*path) return octet_fail_memory(err);
        if (access(*path, F_OK) == 0) return OCTET_OK;
    }
    return octet_fail(err, OCTET_ERR_FORMAT, "folder holds nothing for input '%s' (need %s.npy or a sub-folder)",
                      data->input_name, data->input_name);
}

octet_status octet_inputs_open_others(octet_dataset *data, const char *whole, octet_error *err)
{
    octet_dataset_options options = data->options;
    const size_t          count   = options.graph ? octet_graph_input_count(options.graph) : 1;
    options.labels = options.reference = NULL;
    options.limit = options.skip = options.every = options.skip_every = options.skip_bad = 0;
    options.shuffle                                                                      = false;
    if (count < 2) return OCTET_OK;
    OCTET_TRY(octet_arena_get(&data->others, data->arena, count - 1, sizeof *data->others, err));
    for (size_t i = 1; i < count; i++) {
        octet_dataset **const other = &data->others[data->other_count];
        OCTET_TRY(octet_dataset_open_input(other, whole, &options, i, err));
        data->other_count++;
        if ((*other)->raw_count != data->raw_count)
            return octet_fail(err, OCTET_ERR_SHAPE, "%zu samples of input '%s', %zu of input '%s'", (*other)->raw_count,
                              (*other)->input_name, data->raw_count, data->input_name);
    }
    return OCTET_OK;
}

/* ---- reading ---- */

typedef struct integer_kind {
    double low, high;
    size_t size;
} integer_kind;

static const integer_kind kinds[OCTET_DTYPE_COUNT] = {
    [OCTET_I8] = { -128, 127, 1 },          [OCTET_U8] = { 0, 255, 1 },      [OCTET_I16] = { -32768, 32767, 2 },
    [OCTET_U16] = { 0, 65535, 2 },          [OCTET_BOOL] = { 0, 1, 1 },      [OCTET_I32] = { -0x1p24, 0x1p24, 4 },
    [OCTET_I64] = { -0x1p24, 0x1p24, 8 },   [OCTET_U32] = { 0, 0x1p24, 4 },  [OCTET_U64] = { 0, 0x1p24, 8 },
};

bool octet_inputs_can_feed(octet_dtype dtype)
{
    return dtype == OCTET_F32 || dtype == OCTET_F64 || kinds[dtype].size;
}

static octet_status convert(void *out, octet_dtype dtype, const float *values, size_t count, octet_error *err)
{
    const integer_kind *const kind = &kinds[dtype];
    for (size_t i = 0; i < count; i++) {
        const double x = values[i];
        if (dtype == OCTET_F64) {
            ((double *)out)[i] = x;
            continue;
        }
        if (x < kind->low || x > kind->high || x != rint(x))
            return octet_fail(err, OCTET_ERR_FORMAT, "element %zu is %.9g (need a whole number within %.0f..%.0f)", i,
                              x, kind->low, kind->high);
        const int64_t number = (int64_t)x;
        memcpy((uint8_t *)out + i * kind->size, &number, kind->size); /* little-endian */
    }
    return OCTET_OK;
}

static octet_status read_one(const octet_dataset *data, size_t raw, const octet_tensor *input, octet_error *err)
{
    if (data->dtype == OCTET_F32 || (data->levels.count && input->dtype == OCTET_F32))
        return octet_dataset_read_as(data, raw, input->dims, input->data, err);
    float             *values;
    const size_t       count = (size_t)octet_tensor_count(input);
    octet_arena *const arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    octet_status status = octet_arena_get(&values, arena, count, sizeof *values, err);
    if (status == OCTET_OK) status = octet_dataset_read_as(data, raw, input->dims, values, err);
    if (status == OCTET_OK && data->levels.count) octet_levels_of_reals(data, input->data, values, count);
    else if (status == OCTET_OK) status = convert(input->data, data->dtype, values, count, err);
    if (status != OCTET_OK) octet_error_node(err, data->input_name);
    octet_arena_free(arena);
    return status;
}

octet_status octet_dataset_read_inputs(const octet_dataset *data, size_t index, const octet_tensor *inputs,
                                       int64_t *label, octet_error *err)
{
    if (index >= data->count)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "sample %zu of a data set of %zu", index, data->count);
    if (label) *label = octet_dataset_label(data, index);
    octet_status status = OCTET_OK;
    for (size_t i = 0; i <= data->other_count && status == OCTET_OK; i++)
        status = read_one(i ? data->others[i - 1] : data, data->order[index], &inputs[i], err);
    if (status != OCTET_OK) octet_error_file(err, data->path);
    return status;
}
