/* SPDX-License-Identifier: Apache-2.0 */
/* From argv to cli_args, by rows. getopt_long cuts the words; everything else is the rows'. */
#include "cli.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OPTIONS = 96, FIRST_LONG = 256 };

struct cli_kept {
    cli_kept *next;
    char      text[];
};

void *cli_args_room(cli_args *args, size_t size)
{
    cli_kept *const kept = cli_alloc(1, sizeof *kept + size);
    kept->next           = args->kept;
    args->kept           = kept;
    return kept->text;
}

const char *cli_args_keep(cli_args *args, const char *text)
{
    const size_t length = strlen(text) + 1;
    return memcpy(cli_args_room(args, length), text, length);
}

void cli_args_free(cli_args *args)
{
    for (cli_kept *kept = args->kept, *next; kept; kept = next) {
        next = kept->next;
        free(kept);
    }
    free(args->layers);
    free(args->shapes);
    json_decref(args->settings);
    *args = (cli_args){ 0 };
}

/* ---- one option ---- */

const char *cli_option_word(const cli_option *option, size_t index, char *text, size_t size)
{
    if (option->word) return option->word(index);
    const char *from = option->argument;
    for (; index > 0 && from; index--) {
        from = strchr(from, '|');
        if (from) from++;
    }
    if (!from) return NULL;
    snprintf(text, size, "%.*s", (int)strcspn(from, "|"), from);
    return text;
}

static octet_status refuse_word(const cli_option *option, const char *text, octet_error *err)
{
    char   list[160] = "", one[48];
    size_t n         = 0;
    for (size_t i = 0; n < sizeof list - 1; i++) {
        const char *word = cli_option_word(option, i, one, sizeof one);
        if (!word) break;
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", word);
    }
    return octet_fail(err, OCTET_ERR_ARGUMENT, "unknown word (got '%.40s', need %s)", text, list);
}

static octet_status set_word(const char **value, const cli_option *option, const char *text, octet_error *err)
{
    char        one[48];
    const char *word;
    for (size_t i = 0; (word = cli_option_word(option, i, one, sizeof one)); i++)
        if (!strcmp(word, text)) {
            *value = text;
            return OCTET_OK;
        }
    return refuse_word(option, text, err);
}

static octet_status set_integer(int64_t *value, const cli_option *option, const char *text, octet_error *err)
{
    if (octet_parse_int(value, text) && (double)*value >= option->low && (double)*value <= option->high)
        return OCTET_OK;
    return octet_fail(err, OCTET_ERR_ARGUMENT, "not a whole number in range (got '%.40s', need %.0f to %.0f)", text,
                      option->low, option->high);
}

static octet_status set_number(double *value, const cli_option *option, const char *text, octet_error *err)
{
    if (octet_parse_double(value, text) && *value >= option->low && *value <= option->high) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_ARGUMENT, "not a number in range (got '%.40s', need %g to %g)", text, option->low,
                      option->high);
}

static octet_status set_bytes(size_t *value, const char *text, octet_error *err)
{
    char         digits[32];
    const size_t length = strspn(text, "0123456789.");
    const char  *unit   = text + length;
    double       number;
    static const struct {
        const char *name;
        double      factor;
    } units[] = { { "", 1 },        { "k", 1024 },          { "K", 1024 },         { "M", 1048576 },
                  { "G", 1 << 30 }, { "kB", 1024 },         { "MB", 1048576 },     { "GB", 1 << 30 },
                  { "KiB", 1024 },  { "MiB", 1048576 },     { "GiB", 1 << 30 } };
    snprintf(digits, sizeof digits, "%.*s", (int)length, text);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (!strcmp(unit, units[i].name) && octet_parse_double(&number, digits) && number * units[i].factor >= 1 &&
            number * units[i].factor < 1e18) {
            *value = (size_t)(number * units[i].factor);
            return OCTET_OK;
        }
    return octet_fail(err, OCTET_ERR_ARGUMENT, "not a size (got '%.40s', need for example 512M or 2G)", text);
}

static octet_status add_layer(cli_args *args, const char *text, octet_error *err)
{
    const char *const equals = strrchr(text, '=');
    octet_layer_rule  rule   = { 0 };
    if (!equals || equals == text)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "not a layer rule (got '%.60s', need GLOB=float or GLOB=METHOD)",
                          text);
    OCTET_TRY(octet_layer_rule_parse(&rule, equals + 1, err));
    if (args->layer_count == args->layer_capacity) {
        args->layer_capacity = args->layer_capacity ? 2 * args->layer_capacity : 8;
        args->layers         = cli_grow(args->layers, args->layer_capacity, sizeof *args->layers);
    }
    char *const match = strdup(text);
    if (!match) cli_out_of_memory();
    match[equals - text]              = '\0';
    rule.match                        = cli_args_keep(args, match);
    args->layers[args->layer_count++] = rule;
    free(match);
    return OCTET_OK;
}

static octet_status set_value(cli_args *args, const cli_option *option, const char *text, octet_error *err)
{
    void *const member = (char *)args + option->offset;
    int64_t     whole  = 0;
    switch (option->kind) {
    case CLI_FLAG:
        *(bool *)member = true;
        return OCTET_OK;
    case CLI_TEXT:
        if (!*text) return octet_fail(err, OCTET_ERR_ARGUMENT, "empty (need %s)", option->argument);
        *(const char **)member = text;
        return OCTET_OK;
    case CLI_OPTIONAL:
        if (text && *text && option->word) return set_word(member, option, text, err);
        *(const char **)member = text && *text ? text : option->word ? option->word(0) : "-";
        return OCTET_OK;
    case CLI_WORD:
        return set_word(member, option, text, err);
    case CLI_COUNT:
        OCTET_TRY(set_integer(&whole, option, text, err));
        *(size_t *)member = (size_t)whole;
        return OCTET_OK;
    case CLI_INTEGER:
        OCTET_TRY(set_integer(&whole, option, text, err));
        *(int *)member = (int)whole;
        return OCTET_OK;
    case CLI_NUMBER:
        return set_number(member, option, text, err);
    case CLI_BYTES:
        return set_bytes(member, text, err);
    case CLI_LAYER:
        return add_layer(args, text, err);
    case CLI_SHAPE:
        if (strchr(text, '=')) return cli_add_shape(args, text, err);
        if (!strchr(option->argument, '|'))
            return octet_fail(err, OCTET_ERR_ARGUMENT, "got '%.60s', need %s", text, option->argument);
        *(const char **)member = text;
        return OCTET_OK;
    }
    return OCTET_OK;
}

octet_status cli_option_set(cli_args *args, const cli_option *option, const char *label, const char *text,
                            octet_error *err)
{
    const octet_status status = set_value(args, option, text, err);
    if (status != OCTET_OK) octet_error_field(err, label);
    return status;
}

bool cli_option_given(const cli_args *args, const cli_option *option)
{
    for (size_t i = 0; i < args->given_count; i++)
        if (args->given[i] == option->offset) return true;
    return false;
}

/* ---- finding rows ---- */

const cli_option *cli_option_at(const cli_syntax *syntax, size_t index)
{
    for (const cli_group *group = syntax->groups; group->title; group++)
        for (const cli_option *row = group->rows; row->name; row++)
            if (index-- == 0) return row;
    return NULL;
}

const cli_option *cli_option_find(const cli_syntax *syntax, const char *name)
{
    const cli_option *row;
    for (size_t i = 0; (row = cli_option_at(syntax, i)); i++)
        if (!strcmp(row->name, name)) return row;
    return NULL;
}

const char *cli_suggest(const char *name, cli_candidates next, const void *context)
{
    const char  *best = NULL, *candidate;
    const size_t most = 1 + strlen(name) / 4;
    size_t       least = most + 1;
    for (size_t i = 0; (candidate = next(context, i)); i++) {
        const size_t edits = octet_edit_distance(name, candidate);
        if (edits < least) {
            least = edits;
            best  = candidate;
        }
    }
    return best;
}

static const char *option_name(const void *context, size_t index)
{
    const cli_option *const row = cli_option_at(context, index);
    return row ? row->name : NULL;
}

/* ---- all of argv ---- */

typedef struct getopt_tables {
    struct option long_options[MOST_OPTIONS + 1];
    char          letters[2 * MOST_OPTIONS + 4];
} getopt_tables;

static void make_tables(getopt_tables *tables, const cli_syntax *syntax)
{
    const cli_option *row;
    size_t            n = 0;
    tables->letters[n++] = ':'; /* a missing argument is reported as ':' */
    for (size_t i = 0; (row = cli_option_at(syntax, i)) && i < MOST_OPTIONS; i++) {
        const int takes = row->kind == CLI_FLAG       ? no_argument
                          : row->kind == CLI_OPTIONAL ? optional_argument
                                                      : required_argument;
        tables->long_options[i] = (struct option){ .name = row->name, .has_arg = takes, .val = FIRST_LONG + (int)i };
        if (!row->letter) continue;
        tables->letters[n++] = row->letter;
        if (takes == required_argument) tables->letters[n++] = ':';
    }
}

static const cli_option *option_of(const cli_syntax *syntax, int code)
{
    if (code >= FIRST_LONG) return cli_option_at(syntax, (size_t)(code - FIRST_LONG));
    const cli_option *row;
    for (size_t i = 0; (row = cli_option_at(syntax, i)); i++)
        if (row->letter == code) return row;
    return NULL;
}

static octet_status refuse_option(const cli_syntax *syntax, char **argv, octet_error *err)
{
    if (optopt && optopt < FIRST_LONG) return octet_fail(err, OCTET_ERR_ARGUMENT, "unknown option '-%c'", optopt);
    if (optopt) { /* known, but given a text */
        const cli_option *const row = option_of(syntax, optopt);
        return octet_fail(err, OCTET_ERR_ARGUMENT, "option '--%s' takes no argument", row ? row->name : "?");
    }
    char name[64];
    const char *const word = argv[optind - 1] + 2;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    const char *const near = cli_suggest(name, option_name, syntax);
    if (near)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "unknown option '--%s' (did you mean '--%s'?)", name, near);
    return octet_fail(err, OCTET_ERR_ARGUMENT, "unknown option '--%s'", name);
}

static octet_status note(cli_args *args, const cli_option *option, const cli_syntax *syntax, octet_error *err)
{
    if (option->opposite) {
        const cli_option *const opposite = cli_option_find(syntax, option->opposite);
        if (opposite && cli_option_given(args, opposite))
            return octet_fail(err, OCTET_ERR_ARGUMENT, "'--%s' and '--%s' contradict each other", option->opposite,
                              option->name);
    }
    if (!cli_option_given(args, option) && args->given_count < sizeof args->given / sizeof *args->given)
        args->given[args->given_count++] = option->offset;
    return OCTET_OK;
}

static octet_status read_options(cli_args *args, const cli_syntax *syntax, int argc, char **argv, octet_error *err)
{
    getopt_tables tables = { 0 };
    make_tables(&tables, syntax);
    opterr = 0;
    optind = 0; /* glibc: start anew */
    for (int code; (code = getopt_long(argc, argv, tables.letters, tables.long_options, NULL)) != -1;) {
        if (code == '?') return refuse_option(syntax, argv, err);
        const cli_option *const option = option_of(syntax, code == ':' ? optopt : code);
        if (code == ':')
            return octet_fail(err, OCTET_ERR_ARGUMENT, "option '--%s' needs %s", option->name, option->argument);
        char label[48];
        snprintf(label, sizeof label, "--%s", option->name);
        OCTET_TRY(cli_option_set(args, option, label, optarg, err));
        OCTET_TRY(note(args, option, syntax, err));
    }
    args->operands      = (const char *const *)(argv + optind);
    args->operand_count = argc - optind;
    return OCTET_OK;
}

static octet_status check_complete(const cli_args *args, const cli_syntax *syntax, octet_error *err)
{
    if (args->operand_count < syntax->low)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "too few operands (got %d, need %s)", args->operand_count,
                          syntax->operands);
    if ((syntax->high || !*syntax->operands) && args->operand_count > syntax->high)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "unexpected operand '%s' (need %s)", args->operands[syntax->high],
                          *syntax->operands ? syntax->operands : "options only");
    const cli_option *row;
    for (size_t i = 0; (row = cli_option_at(syntax, i)) != NULL; i++)
        if (row->required && !cli_option_given(args, row))
            return octet_fail(err, OCTET_ERR_ARGUMENT, "option '--%s %s' is missing", row->name, row->argument);
    return OCTET_OK;
}

octet_status cli_args_parse(cli_args *args, const cli_syntax *syntax, int argc, char **argv, octet_error *err)
{
    OCTET_TRY(read_options(args, syntax, argc, argv, err));
    if (args->help) return OCTET_OK;
    if (args->config) OCTET_TRY(cli_config_read(args, syntax, args->config, err));
    if (args->print_config || args->operators) return OCTET_OK;
    return check_complete(args, syntax, err);
}
