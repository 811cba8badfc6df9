/* SPDX-License-Identifier: Apache-2.0 */
/* Labels by position: npy, idx, or text with one class a line; and the check against the network's classes. */
#include "data/data.h"
#include "data/lines.h"

#include <stdio.h>
#include <string.h>

static octet_status read_text(int64_t **labels, size_t *count, octet_arena *arena, const octet_file *file,
                              octet_error *err)
{
    octet_lines *lines;
    size_t       capacity = 0;
    bool         more;
    int64_t      label;
    OCTET_TRY(octet_arena_get(&lines, arena, 1, sizeof *lines, err));
    octet_lines_start(lines, file);
    for (*count = 0;; (*labels)[(*count)++] = label) {
        OCTET_TRY(octet_lines_next(&more, lines, err));
        if (!more) return OCTET_OK;
        OCTET_TRY(octet_parse_class(&label, lines->line, lines->number, err));
        if (!octet_arena_grow(arena, labels, *count, &capacity, sizeof **labels)) return octet_fail_memory(err);
    }
}

static octet_status read_array(int64_t **labels, size_t *count, octet_arena *arena, const octet_source *source,
                               octet_error *err)
{
    octet_array    array;
    size_t         total, offset;
    const uint8_t *bytes;
    const bool     npy = source->head_size && source->head[0] == 0x93;
    OCTET_TRY((npy ? octet_npy_parse : octet_idx_parse)(&array, source->head, source->head_size, &total, &offset, err));
    if (array.rank != 0)
        return octet_fail(err, OCTET_ERR_FORMAT, "%d dimensions (need 1: one label a sample)", array.rank + 1);
    if (array.dtype == OCTET_F16 || array.dtype == OCTET_F32 || array.dtype == OCTET_F64)
        return octet_fail(err, OCTET_ERR_FORMAT, "labels of type %s (need whole numbers)",
                          octet_dtype_name(array.dtype));
    OCTET_TRY(octet_source_all(&bytes, source, arena, total, 0, err));
    OCTET_TRY(octet_arena_get(labels, arena, array.count, sizeof **labels, err));
    for (size_t i = 0; i < array.count; i++) {
        float label;
        octet_array_convert(&label, &array, bytes + offset + (int64_t)i * array.pitch, 0, 1);
        if (label < 0 || label > 1 << 24) /* exact as float up to there */
            return octet_fail(err, OCTET_ERR_FORMAT, "label %zu: %.0f is no class (need a whole number from 0)", i,
                              label);
        (*labels)[i] = (int64_t)label;
    }
    *count = array.count;
    return OCTET_OK;
}

static octet_status read_any(int64_t **labels, size_t *count, octet_dataset *data, const octet_source *source,
                             const char *path, octet_error *err)
{
    const bool array = (source->head_size >= 6 && memcmp(source->head, "\x93NUMPY", 6) == 0) ||
                       octet_ends_in(path, ".npy") || strstr(path, "idx1") != NULL;
    if (!array && source->packed)
        return octet_fail(err, OCTET_ERR_FORMAT, "unknown format of packed labels (need npy or idx)");
    data->label_unit = array ? "label" : "line";
    return array ? read_array(labels, count, data->arena, source, err)
                 : read_text(labels, count, data->arena, &source->file, err);
}

octet_status octet_labels_read(int64_t **labels, octet_dataset *data, const char *path, octet_error *err)
{
    octet_source source;
    size_t       count = 0;
    octet_status status = octet_source_open(&source, data->arena, path, err);
    if (status == OCTET_OK && source.folder) status = octet_fail(err, OCTET_ERR_FILE, "is a folder, need a label file");
    if (status == OCTET_OK) status = read_any(labels, &count, data, &source, path, err);
    if (status == OCTET_OK && count != data->raw_count)
        status = octet_fail(err, OCTET_ERR_FORMAT, "%zu labels for %zu samples", count, data->raw_count);
    octet_source_close(&source);
    if (status != OCTET_OK) octet_error_file(err, path);
    return status;
}

/* Labels that were asked for must fit the network; others are dropped with a warning. */
static octet_status check_range(octet_dataset *data, bool asked, octet_error *err)
{
    const int64_t classes = data->target.classes;
    if (data->options.keep_labels && !asked) return OCTET_OK;
    for (size_t i = 0; classes && i < data->raw_count; i++) {
        if (data->labels[i] < classes) continue;
        if (asked) {
            octet_fail(err, OCTET_ERR_FORMAT, "%s %zu: class %lld is out of range: the network has %lld classes",
                       data->label_unit, i + !strcmp(data->label_unit, "line"), (long long)data->labels[i],
                       (long long)classes);
            octet_error_file(err, data->options.labels);
            return OCTET_ERR_FORMAT;
        }
        const long long label = (long long)data->labels[i];
        data->labels = NULL;
        return octet_dataset_warn(data, err, "labels are not used: class %lld, but the network has %lld classes", label,
                                  (long long)classes);
    }
    return OCTET_OK;
}

octet_status octet_labels_settle(octet_dataset *data, octet_error *err)
{
    const char *const path = data->options.labels;
    if (path && !octet_table_names(path)) OCTET_TRY(octet_labels_read(&data->labels, data, path, err));
    if (path && octet_table_names(path) && data->format != &octet_format_folder) {
        octet_fail(err, OCTET_ERR_ARGUMENT, "labels by file name need a folder of images, the data is %s",
                   data->format->name);
        octet_error_file(err, path);
        return OCTET_ERR_ARGUMENT;
    }
    return data->labels ? check_range(data, path != NULL, err) : OCTET_OK;
}
