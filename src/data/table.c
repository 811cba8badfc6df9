/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of files and classes. Names in them are data: relative, without "..", each once. */
#include "data/data.h"
#include "data/lines.h"

#include <stdlib.h>
#include <string.h>

bool octet_table_names(const char *path) { return octet_ends_in(path, ".csv") || octet_ends_in(path, ".tsv"); }

static octet_status check_name(const char *name, size_t line, octet_error *err)
{
    bool climbs = *name == '/' || strchr(name, '\\') != NULL;
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (!strncmp(part, "..", 2) && (part[2] == '/' || !part[2])) climbs = true;
    }
    if (*name && !climbs) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_FORMAT, "line %zu: path '%s' (need one beneath the data folder)", line, name);
}

/* Cuts the first field off line and returns what follows its separator, NULL where it was the last. Quotes are
   RFC 4180's and taken off in place. */
static octet_status cut_field(char **rest, char *line, char separator, size_t number, octet_error *err)
{
    char *to = line, *at = line;
    *rest = NULL;
    if (separator == ',' && *at == '"') {
        for (at++; *at && (*at != '"' || at[1] == '"'); at++) {
            at += *at == '"';
            *to++ = *at;
        }
        if (!*at) return octet_fail(err, OCTET_ERR_FORMAT, "line %zu: quote is not closed", number);
        at++;
        if (*at && *at != separator)
            return octet_fail(err, OCTET_ERR_FORMAT, "line %zu: text after a closing quote", number);
    } else {
        to = at = line + strcspn(line, (char[2]){separator, '\0'});
    }
    if (*at) *rest = at + 1;
    *to = '\0';
    return OCTET_OK;
}

static octet_status add_row(octet_table *table, octet_arena *arena, octet_lines *lines, char separator,
                            octet_error *err)
{
    char   *rest = NULL, *more = NULL;
    int64_t label = -1;
    if (separator) {
        OCTET_TRY(cut_field(&rest, lines->line, separator, lines->number, err));
        if (!rest)
            return octet_fail(err, OCTET_ERR_FORMAT, "line %zu: no class column (need file, class)", lines->number);
        OCTET_TRY(cut_field(&more, rest, separator, lines->number, err));
        if (more) return octet_fail(err, OCTET_ERR_FORMAT, "line %zu: more than two columns", lines->number);
        OCTET_TRY(octet_parse_class(&label, rest, lines->number, err));
    }
    OCTET_TRY(check_name(lines->line, lines->number, err));
    if (!octet_arena_grow(arena, &table->files, table->count, &table->capacity, sizeof *table->files) ||
        !octet_arena_grow(arena, &table->labels, table->count, &table->label_capacity, sizeof *table->labels))
        return octet_fail_memory(err);
    const char *const name = octet_arena_copy(arena, lines->line);
    if (!name) return octet_fail_memory(err);
    table->labels[table->count] = label;
    table->files[table->count++] = name;
    return OCTET_OK;
}

typedef struct entry {
    const char *name;
    size_t      line;
} entry;

static int compare_entries(const void *a, const void *b)
{
    const entry *const x = a, *const y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

static octet_status check_unique(const octet_table *table, octet_arena *arena, octet_error *err)
{
    entry *sorted;
    OCTET_TRY(octet_arena_get(&sorted, arena, table->count, sizeof *sorted, err));
    for (size_t i = 0; i < table->count; i++) sorted[i] = (entry){table->files[i], i + 1};
    qsort(sorted, table->count, sizeof *sorted, compare_entries);
    for (size_t i = 1; i < table->count; i++)
        if (!strcmp(sorted[i - 1].name, sorted[i].name))
            return octet_fail(err, OCTET_ERR_FORMAT, "line %zu: '%s' stands in line %zu already", sorted[i].line,
                              sorted[i].name, sorted[i - 1].line);
    return OCTET_OK;
}

static octet_status read_rows(octet_table *table, octet_arena *arena, octet_lines *lines, char separator,
                              octet_error *err)
{
    bool more;
    for (;;) {
        OCTET_TRY(octet_lines_next(&more, lines, err));
        if (!more) break;
        OCTET_TRY(add_row(table, arena, lines, separator, err));
    }
    if (table->count == 0) return octet_fail(err, OCTET_ERR_FORMAT, "file names no sample");
    return check_unique(table, arena, err);
}

octet_status octet_table_read(octet_table *table, octet_arena *arena, const char *path, octet_error *err)
{
    octet_file   file;
    octet_lines *lines;
    const char   separator = octet_ends_in(path, ".csv") ? ',' : octet_ends_in(path, ".tsv") ? '\t' : '\0';
    *table = (octet_table){.has_labels = separator != '\0'};
    OCTET_TRY(octet_arena_get(&lines, arena, 1, sizeof *lines, err));
    OCTET_TRY(octet_file_read(&file, path, 0, err));
    octet_lines_start(lines, &file);
    const octet_status status = read_rows(table, arena, lines, separator, err);
    if (status != OCTET_OK) octet_error_file(err, path);
    octet_file_close(&file);
    return status;
}

octet_status octet_table_use(octet_dataset *data, const octet_table *table, const char *folder, octet_error *err)
{
    data->files = table->files;
    data->raw_count = table->count;
    data->labels = table->has_labels ? table->labels : NULL;
    data->folder = octet_arena_copy(data->arena, folder);
    return folder && !data->folder ? octet_fail_memory(err) : OCTET_OK;
}
