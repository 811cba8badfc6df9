/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files: JSON whose keys are the options' own names ("skip-every" is "skip_every"), in the sections that
   the options' rows name. Values pass the same checks as on the command line, which wins where both speak. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 16 << 20, DEEPEST = 64 };

static const char *const sections[] = { "quantize", "calibration", "data", "train" };
enum { SECTIONS = sizeof sections / sizeof *sections };

typedef struct config_reader {
    cli_args         *args;
    const cli_syntax *syntax;
    const char       *section; /* "" at the top */
    octet_error      *err;
} config_reader;

static octet_status refuse(const config_reader *reader, const char *key, const char *got, const char *need)
{
    char field[48];
    snprintf(field, sizeof field, "%s%s%.30s", reader->section, *reader->section ? "." : "", key);
    octet_error_field(reader->err, field);
    return octet_fail(reader->err, OCTET_ERR_FORMAT, "wrong value (got %.60s, need %s)", got, need);
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = { "an object", "an array", "a string", "an integer",
                                         "a number",  "true",     "false",    "null" };
    return names[json_typeof(value)];
}

/* "skip_every" and "skip-every" are the same name; key keeps the first form. */
static void key_of(char key[48], const cli_option *row)
{
    snprintf(key, 48, "%s", row->name);
    for (char *c = key; *c; c++)
        if (*c == '-') *c = '_';
}

static const cli_option *row_of(const config_reader *reader, const char *name)
{
    char              key[48];
    const cli_option *row;
    for (size_t i = 0; (row = cli_option_at(reader->syntax, i)); i++) {
        if (!row->section || strcmp(row->section, reader->section) != 0) continue;
        key_of(key, row);
        if (!strcmp(key, name)) return row;
    }
    return NULL;
}

static const char *top_key(const void *context, size_t index)
{
    static const char *const keys[] = { "format", "version", "quantize", "calibration", "data", "train", "layers" };
    (void)context;
    return index < sizeof keys / sizeof *keys ? keys[index] : NULL;
}

static const char *section_key(const void *context, size_t index)
{
    const config_reader *const reader = context;
    const cli_option          *row;
    for (size_t i = 0; (row = cli_option_at(reader->syntax, i)); i++)
        if (row->section && !strcmp(row->section, reader->section) && index-- == 0) return row->name;
    return NULL;
}

static octet_status refuse_key(const config_reader *reader, const char *key, cli_candidates next)
{
    char        spelled[48] = "";
    char        field[48];
    const char *near = strlen(key) < sizeof spelled ? cli_suggest(key, next, reader) : NULL;
    if (near) snprintf(spelled, sizeof spelled, "%s", near);
    for (char *c = spelled; *c; c++)
        if (*c == '-') *c = '_';
    snprintf(field, sizeof field, "%s%s%.30s", reader->section, *reader->section ? "." : "", key);
    octet_error_field(reader->err, field);
    if (near) return octet_fail(reader->err, OCTET_ERR_FORMAT, "unknown key (did you mean '%s'?)", spelled);
    return octet_fail(reader->err, OCTET_ERR_FORMAT, "unknown key");
}

/* "0.485,0.456,0.406" of an array of numbers; NULL where it is none. */
static const char *numbers_text(cli_args *args, const json_t *array)
{
    char   text[256] = "";
    size_t n         = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *const item = json_array_get(array, i);
        if (!json_is_number(item) || n >= sizeof text - 32) return NULL;
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.17g", i ? "," : "", json_number_value(item));
    }
    return n ? cli_args_keep(args, text) : NULL;
}

static const char *value_text(cli_args *args, const cli_option *row, const json_t *value)
{
    char text[64];
    if (json_is_string(value)) return json_string_value(value);
    if (json_is_array(value) && row->kind == CLI_TEXT) return numbers_text(args, value);
    if (json_is_integer(value)) snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value)) snprintf(text, sizeof text, "%.17g", json_real_value(value));
    else return NULL;
    return cli_args_keep(args, text);
}

static octet_status read_value(const config_reader *reader, const char *name, const json_t *value)
{
    const cli_option *row = row_of(reader, name);
    if (!row) return refuse_key(reader, name, section_key);
    const cli_option *const opposite = row->opposite ? cli_option_find(reader->syntax, row->opposite) : NULL;
    if (cli_option_given(reader->args, row) || (opposite && cli_option_given(reader->args, opposite))) return OCTET_OK;
    if (row->kind == CLI_FLAG) {
        if (!json_is_boolean(value)) return refuse(reader, name, type_name(value), "true or false");
        if (!json_is_true(value)) row = opposite;
        return row ? cli_option_set(reader->args, row, row->name, "", reader->err) : OCTET_OK;
    }
    const char *const text = value_text(reader->args, row, value);
    if (!text) return refuse(reader, name, type_name(value), row->argument);
    char label[48];
    snprintf(label, sizeof label, "%s.%.30s", reader->section, name);
    if (cli_option_set(reader->args, row, label, text, reader->err) == OCTET_OK) return OCTET_OK;
    reader->err->status = OCTET_ERR_FORMAT; /* the file is wrong, not the command line */
    return OCTET_ERR_FORMAT;
}

static octet_status read_section(config_reader *reader, const char *name, json_t *object)
{
    reader->section = "";
    if (!object) return OCTET_OK;
    if (!json_is_object(object)) return refuse(reader, name, type_name(object), "an object");
    reader->section = name;
    const char *key;
    json_t     *value;
    json_object_foreach(object, key, value) OCTET_TRY(read_value(reader, key, value));
    reader->section = "";
    return OCTET_OK;
}

static octet_status read_layer(config_reader *reader, const json_t *layer)
{
    if (!json_is_object(layer)) return refuse(reader, "layers", type_name(layer), "objects");
    const char      *key;
    octet_layer_rule rule = { 0 };
    json_t          *value;
    reader->section = "layers";
    json_object_foreach((json_t *)(uintptr_t)layer, key, value)
    {
        if (!strcmp(key, "match")) {
            rule.match = json_string_value(value);
            if (!rule.match || !*rule.match) return refuse(reader, key, type_name(value), "a pattern");
        } else if (!strcmp(key, "keep_float")) {
            if (!json_is_boolean(value)) return refuse(reader, key, type_name(value), "true or false");
            rule.keep_float = json_is_true(value);
        } else if (!strcmp(key, "method")) {
            if (!json_is_string(value)) return refuse(reader, key, type_name(value), "a name");
            octet_error why = { 0 };
            if (octet_layer_rule_parse(&rule, json_string_value(value), &why) == OCTET_OK) continue;
            octet_error_field(reader->err, "layers.method");
            return octet_fail(reader->err, OCTET_ERR_FORMAT, "%.200s", why.text);
        } else {
            octet_error_field(reader->err, "layers");
            return octet_fail(reader->err, OCTET_ERR_FORMAT,
                              "unknown key '%.60s' (need match, keep_float, method)", key);
        }
    }
    if (!rule.match) return refuse(reader, "match", "nothing", "a pattern");
    cli_args *const args = reader->args;
    args->layers         = cli_grow(args->layers, args->layer_count + 1, sizeof *args->layers);
    args->layers[args->layer_count++] = rule;
    args->layer_capacity              = args->layer_count;
    reader->section = "";
    return OCTET_OK;
}

/* The file's rules come first, so that those of the command line win. */
static octet_status read_layers(config_reader *reader, json_t *layers)
{
    if (!layers) return OCTET_OK;
    if (!json_is_array(layers)) return refuse(reader, "layers", type_name(layers), "an array");
    cli_args *const         args  = reader->args;
    octet_layer_rule *const later = args->layers;
    const size_t            count = args->layer_count;
    octet_status            status = OCTET_OK;
    args->layers      = NULL;
    args->layer_count = args->layer_capacity = 0;
    for (size_t i = 0; i < json_array_size(layers) && status == OCTET_OK; i++)
        status = read_layer(reader, json_array_get(layers, i));
    args->layers = cli_grow(args->layers, args->layer_count + count + 1, sizeof *args->layers);
    for (size_t i = 0; i < count; i++) args->layers[args->layer_count++] = later[i];
    args->layer_capacity = args->layer_count + 1;
    free(later);
    return status;
}

static octet_status read_top(config_reader *reader, json_t *root)
{
    const char *key;
    json_t     *value;
    if (!json_is_object(root)) return refuse(reader, "top level", type_name(root), "an object");
    json_object_foreach(root, key, value)
    {
        bool known = false;
        for (size_t i = 0; top_key(NULL, i); i++) known = known || !strcmp(top_key(NULL, i), key);
        if (!known) return refuse_key(reader, key, top_key);
    }
    const json_t *const format = json_object_get(root, "format"), *const version = json_object_get(root, "version");
    if (!json_is_string(format) || strcmp(json_string_value(format), "octet-config") != 0)
        return refuse(reader, "format", json_is_string(format) ? json_string_value(format) : "nothing",
                      "\"octet-config\"");
    if (!json_is_integer(version) || json_integer_value(version) != 1)
        return refuse(reader, "version", version ? "another" : "nothing", "1");
    for (int i = 0; i < SECTIONS; i++) OCTET_TRY(read_section(reader, sections[i], json_object_get(root, sections[i])));
    return read_layers(reader, json_object_get(root, "layers"));
}

/* jansson recurses; nesting is bounded before it starts. */
static octet_status check_depth(const octet_file *file, octet_error *err)
{
    int    depth = 0;
    size_t line = 1, column = 0;
    bool   inside = false;
    for (size_t i = 0; i < file->size; i++) {
        const uint8_t c = file->data[i];
        column++;
        if (c == '\n') {
            line++;
            column = 0;
        }
        if (inside && c == '\\') {
            i++;
            column++;
        } else if (c == '"') inside = !inside;
        else if (!inside && (c == '[' || c == '{')) depth++;
        else if (!inside && (c == ']' || c == '}')) depth--;
        if (depth > DEEPEST) {
            char field[48];
            snprintf(field, sizeof field, "%zu:%zu", line, column);
            octet_error_field(err, field);
            return octet_fail(err, OCTET_ERR_FORMAT, "nested too deeply (need at most %d levels)", (int)DEEPEST);
        }
    }
    return OCTET_OK;
}

static octet_status parse(json_t **root, const octet_file *file, octet_error *err)
{
    *root = NULL;
    OCTET_TRY(check_depth(file, err));
    json_error_t where;
    *root = json_loadb((const char *)file->data, file->size, JSON_REJECT_DUPLICATES, &where);
    if (*root) return OCTET_OK;
    char field[48];
    snprintf(field, sizeof field, "%d:%d", where.line, where.column);
    octet_error_field(err, field);
    return octet_fail(err, OCTET_ERR_FORMAT, "%.150s", where.text);
}

octet_status cli_json_read(json_t **root, const char *path, octet_error *err)
{
    octet_file file;
    *root = NULL;
    OCTET_TRY(octet_file_read(&file, path, MOST_BYTES, err));
    const octet_status status = parse(root, &file, err);
    octet_file_close(&file);
    if (status != OCTET_OK) octet_error_file(err, path);
    return status;
}

octet_status cli_config_read(cli_args *args, const cli_syntax *syntax, const char *path, octet_error *err)
{
    OCTET_TRY(cli_json_read(&args->settings, path, err));
    config_reader      reader = { .args = args, .syntax = syntax, .section = "", .err = err };
    const octet_status status = read_top(&reader, args->settings);
    if (status != OCTET_OK) octet_error_file(err, path);
    return status;
}

/* ---- printing ---- */

static json_t *value_json(const cli_args *args, const cli_option *row)
{
    const void *const member = (const char *)args + row->offset;
    switch (row->kind) {
    case CLI_FLAG:
        return *(const bool *)member ? json_true() : NULL;
    case CLI_COUNT:
        return *(const size_t *)member ? cli_json_count(*(const size_t *)member) : NULL;
    case CLI_INTEGER:
        return *(const int *)member ? json_integer(*(const int *)member) : NULL;
    case CLI_NUMBER:
        return *(const double *)member != 0 ? cli_json_number(*(const double *)member) : NULL;
    case CLI_TEXT:
    case CLI_SHAPE:
    case CLI_WORD:
    case CLI_OPTIONAL:
        return *(const char *const *)member ? cli_json_text(*(const char *const *)member) : NULL;
    default:
        return NULL;
    }
}

json_t *cli_config_document(const cli_args *args, const cli_syntax *syntax)
{
    json_t *const root = cli_json_object();
    cli_json_set(root, "format", cli_json_text("octet-config"));
    cli_json_set(root, "version", cli_json_count(1));
    for (int s = 0; s < SECTIONS; s++) {
        json_t *const     section = cli_json_object();
        const cli_option *row;
        for (size_t i = 0; (row = cli_option_at(syntax, i)); i++) {
            char          key[48];
            json_t *const value = row->section && !strcmp(row->section, sections[s]) ? value_json(args, row) : NULL;
            if (!value) continue;
            key_of(key, row);
            cli_json_set(section, key, value);
        }
        if (args->per_tensor && s == 0) cli_json_set(section, "per_channel", json_false());
        cli_json_set(root, sections[s], section);
    }
    json_t *const layers = cli_json_array();
    for (size_t i = 0; i < args->layer_count; i++) {
        json_t *const layer = cli_json_object();
        cli_json_set(layer, "match", cli_json_text(args->layers[i].match));
        char text[48];
        octet_layer_rule_print(text, sizeof text, &args->layers[i]);
        if (args->layers[i].ranges) cli_json_set(layer, "method", cli_json_text(text));
        else cli_json_set(layer, "keep_float", json_boolean(args->layers[i].keep_float));
        cli_json_add(layers, layer);
    }
    cli_json_set(root, "layers", layers);
    return root;
}
