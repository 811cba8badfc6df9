/* SPDX-License-Identifier: Apache-2.0 */
#include "tune/lines.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

static const char *const FIRST = "octet-tune"; /* the kind of the first line */

/* ---- writing ---- */

static json_t *number(double value)
{
    if (isnan(value)) return json_null();
    return isinf(value) ? json_string(value > 0 ? "inf" : "-inf") : json_real(value);
}

static json_t *config_object(const octet_tune_config *c)
{
    json_t *const object = json_object(), *const floats = json_array();
    for (size_t i = 0; i < c->float_count; i++) json_array_append_new(floats, json_string(c->floats[i]));
    json_object_set_new(object, "method", json_string(octet_method_name(c->method)));
    if (c->method == OCTET_METHOD_PERCENTILE) json_object_set_new(object, "percentile", number(c->percentile));
    json_object_set_new(object, "equalize", json_integer(c->equalize));
    json_object_set_new(object, "rounding", json_integer(c->rounding));
    json_object_set_new(object, "bias_correction", json_integer(c->bias_correction));
    json_object_set_new(object, "float", floats);
    return object;
}

/* Ends object. */
static const char *line_of(octet_arena *arena, json_t *object)
{
    const char  *line = NULL;
    const size_t size = json_dumpb(object, NULL, 0, JSON_COMPACT | JSON_REAL_PRECISION(17));
    char *const  text = size ? octet_arena_alloc(arena, size + 2, 1) : NULL;
    if (text && json_dumpb(object, text, size, JSON_COMPACT | JSON_REAL_PRECISION(17)) == size) {
        text[size] = '\n';
        line       = text;
    }
    json_decref(object);
    return line;
}

static json_t *begin(const char *kind)
{
    json_t *const object = json_object();
    json_object_set_new(object, "kind", json_string(kind));
    return object;
}

const char *octet_line_of_identity(octet_arena *arena, const octet_tune_identity *identity)
{
    json_t *const object = begin(FIRST);
    for (; identity->key; identity++) json_object_set_new(object, identity->key, json_string(identity->value));
    return line_of(arena, object);
}

/* The numbers of a trial, for both ways. */
static const struct trial_number {
    const char *key;
    size_t      at;
} trial_numbers[] = {
    { "score", offsetof(octet_tune_trial, score) },         { "float_score", offsetof(octet_tune_trial, float_score) },
    { "drop", offsetof(octet_tune_trial, drop) },           { "sqnr_db", offsetof(octet_tune_trial, sqnr_db) },
    { "agreement", offsetof(octet_tune_trial, agreement) }, { "latency", offsetof(octet_tune_trial, latency) },
    { "predicted", offsetof(octet_tune_trial, predicted) }, { "seconds", offsetof(octet_tune_trial, seconds) },
};
enum { TRIAL_NUMBERS = sizeof trial_numbers / sizeof *trial_numbers };

const char *octet_line_of_trial(octet_arena *arena, const octet_tune_trial *trial)
{
    json_t *const object = begin("trial");
    json_object_set_new(object, "config", config_object(&trial->config));
    for (size_t i = 0; i < TRIAL_NUMBERS; i++) {
        double value;
        memcpy(&value, (const char *)trial + trial_numbers[i].at, sizeof value);
        json_object_set_new(object, trial_numbers[i].key, number(value));
    }
    if (trial->failed) json_object_set_new(object, "failed", json_string(trial->failed));
    return line_of(arena, object);
}

const char *octet_line_of_gains(octet_arena *arena, const octet_tune_gains *gains)
{
    json_t *const object = begin("gains"), *const layers = json_array();
    for (size_t i = 0; i < gains->layer_count; i++)
        json_array_append_new(layers, json_pack("[s, o]", gains->layers[i].layer, number(gains->layers[i].db)));
    json_object_set_new(object, "config", config_object(&gains->base));
    json_object_set_new(object, "layers", layers);
    return line_of(arena, object);
}

const char *octet_line_of_times(octet_arena *arena, const octet_tune_times *times)
{
    json_t *const object = begin("times"), *const layers = json_array();
    for (size_t i = 0; i < times->layer_count; i++) {
        const octet_tune_layer *const layer = &times->layers[i];
        json_array_append_new(layers, json_pack("[s, o, o]", layer->name, number(layer->seconds),
                                                number(layer->float_seconds)));
    }
    json_object_set_new(object, "seconds", number(times->seconds));
    json_object_set_new(object, "float_seconds", number(times->float_seconds));
    json_object_set_new(object, "conversion", number(times->conversion));
    json_object_set_new(object, "layers", layers);
    return line_of(arena, object);
}

/* ---- reading ---- */

static octet_status refuse(const char *key, octet_error *err)
{
    return octet_fail(err, OCTET_ERR_FORMAT, "'%s' is missing or of another type", key);
}

static octet_status take_number(double *value, const json_t *member, const char *key, octet_error *err)
{
    const char *const text = json_string_value(member);
    if (json_is_number(member)) *value = json_number_value(member);
    else if (json_is_null(member)) *value = NAN;
    else if (text && (!strcmp(text, "inf") || !strcmp(text, "-inf"))) *value = *text == '-' ? -INFINITY : INFINITY;
    else return refuse(key, err);
    return OCTET_OK;
}

static octet_status read_number(double *value, const json_t *object, const char *key, octet_error *err)
{
    return take_number(value, json_object_get(object, key), key, err);
}

static octet_status read_text(const char **text, octet_arena *arena, const json_t *member, const char *key,
                              octet_error *err)
{
    if (!json_is_string(member)) return refuse(key, err);
    *text = octet_arena_copy(arena, json_string_value(member));
    return *text ? OCTET_OK : octet_fail_memory(err);
}

static octet_status read_method(octet_method *method, const json_t *config, octet_error *err)
{
    const char *const text = json_string_value(json_object_get(config, "method"));
    for (int i = 0; text && i < OCTET_METHOD_COUNT; i++) {
        *method = (octet_method)i;
        if (!strcmp(text, octet_method_name(*method))) return OCTET_OK;
    }
    return refuse("method", err);
}

static octet_status read_floats(octet_tune_config *config, octet_arena *arena, const json_t *list, octet_error *err)
{
    const char **names;
    if (!json_is_array(list)) return refuse("float", err);
    config->float_count = json_array_size(list);
    OCTET_TRY(octet_arena_get(&names, arena, config->float_count, sizeof *names, err));
    for (size_t i = 0; i < config->float_count; i++)
        OCTET_TRY(read_text(&names[i], arena, json_array_get(list, i), "float", err));
    config->floats = names;
    return OCTET_OK;
}

static octet_status read_config(octet_tune_config *config, octet_arena *arena, const json_t *line, octet_error *err)
{
    const json_t *const object   = json_object_get(line, "config");
    const json_t *const equalize = json_object_get(object, "equalize");
    const json_t *const rounding = json_object_get(object, "rounding");
    const json_t *const bias     = json_object_get(object, "bias_correction");
    *config = (octet_tune_config){ 0 };
    OCTET_TRY(read_method(&config->method, object, err));
    if (config->method == OCTET_METHOD_PERCENTILE)
        OCTET_TRY(read_number(&config->percentile, object, "percentile", err));
    if (!json_is_integer(equalize) || !json_is_integer(rounding) || !json_is_integer(bias))
        return refuse("equalize, rounding, bias_correction", err);
    config->equalize        = (int)json_integer_value(equalize);
    config->rounding        = (octet_rounding)json_integer_value(rounding);
    config->bias_correction = (octet_bias_correction)json_integer_value(bias);
    if (config->equalize < 0 || config->equalize > OCTET_EQUALIZATIONS)
        return octet_fail(err, OCTET_ERR_FORMAT, "equalization %d is unknown", config->equalize);
    return read_floats(config, arena, json_object_get(object, "float"), err);
}

static octet_status take_trial(octet_journal *journal, const json_t *line, octet_error *err)
{
    octet_tune_trial trial = { .resumed = true };
    OCTET_TRY(read_config(&trial.config, journal->arena, line, err));
    for (size_t i = 0; i < TRIAL_NUMBERS; i++) {
        double value = NAN;
        OCTET_TRY(read_number(&value, line, trial_numbers[i].key, err));
        memcpy((char *)&trial + trial_numbers[i].at, &value, sizeof value);
    }
    const json_t *const failed = json_object_get(line, "failed");
    if (failed) OCTET_TRY(read_text(&trial.failed, journal->arena, failed, "failed", err));
    journal->resumed++;
    return octet_journal_remember(journal, &trial, err);
}

static octet_status take_gains(octet_journal *journal, const json_t *line, octet_error *err)
{
    octet_tune_gains    gains;
    const json_t *const layers = json_object_get(line, "layers");
    if (!json_is_array(layers)) return refuse("layers", err);
    OCTET_TRY(read_config(&gains.base, journal->arena, line, err));
    gains.layer_count = json_array_size(layers);
    OCTET_TRY(octet_arena_get(&gains.layers, journal->arena, gains.layer_count, sizeof *gains.layers, err));
    for (size_t i = 0; i < gains.layer_count; i++) {
        const json_t *const row = json_array_get(layers, i);
        OCTET_TRY(read_text(&gains.layers[i].layer, journal->arena, json_array_get(row, 0), "layers", err));
        OCTET_TRY(take_number(&gains.layers[i].db, json_array_get(row, 1), "layers", err));
    }
    return octet_journal_remember_gains(journal, &gains, err);
}

static octet_status take_times(octet_journal *journal, const json_t *line, octet_error *err)
{
    octet_tune_times *const times  = &journal->times;
    const json_t *const     layers = json_object_get(line, "layers");
    if (!json_is_array(layers)) return refuse("layers", err);
    OCTET_TRY(read_number(&times->seconds, line, "seconds", err));
    OCTET_TRY(read_number(&times->float_seconds, line, "float_seconds", err));
    OCTET_TRY(read_number(&times->conversion, line, "conversion", err));
    times->layer_count = json_array_size(layers);
    OCTET_TRY(octet_arena_get(&times->layers, journal->arena, times->layer_count, sizeof *times->layers, err));
    for (size_t i = 0; i < times->layer_count; i++) {
        octet_tune_layer *const layer = &times->layers[i];
        const json_t *const     row   = json_array_get(layers, i);
        OCTET_TRY(read_text(&layer->name, journal->arena, json_array_get(row, 0), "layers", err));
        OCTET_TRY(take_number(&layer->seconds, json_array_get(row, 1), "layers", err));
        OCTET_TRY(take_number(&layer->float_seconds, json_array_get(row, 2), "layers", err));
    }
    return OCTET_OK;
}

static octet_status parse(json_t **object, const char *line, size_t size, octet_error *err)
{
    json_error_t why;
    *object = json_loadb(line, size, JSON_REJECT_DUPLICATES, &why);
    if (json_is_object(*object)) return OCTET_OK;
    json_decref(*object);
    return octet_fail(err, OCTET_ERR_FORMAT, "not a line of a journal");
}

octet_status octet_line_take(octet_journal *journal, const char *line, size_t size, octet_error *err)
{
    static const struct {
        const char *kind;
        octet_status (*take)(octet_journal *journal, const json_t *line, octet_error *err);
    } rows[] = { { "trial", take_trial }, { "gains", take_gains }, { "times", take_times } };
    json_t *object;
    OCTET_TRY(parse(&object, line, size, err));
    const char *const kind   = json_string_value(json_object_get(object, "kind"));
    octet_status      status = OCTET_OK;
    bool              known  = false;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!kind || strcmp(kind, rows[i].kind) != 0) continue;
        known  = true;
        status = rows[i].take(journal, object, err);
    }
    if (!known) status = octet_fail(err, OCTET_ERR_FORMAT, "a line of unknown kind '%.40s'", kind ? kind : "");
    json_decref(object);
    return status;
}

static octet_status compare(const json_t *object, const octet_tune_identity *identity, octet_error *err)
{
    const char *const kind = json_string_value(json_object_get(object, "kind"));
    if (!kind || strcmp(kind, FIRST) != 0) return octet_fail(err, OCTET_ERR_FORMAT, "not a journal of octet tune");
    for (; identity->key; identity++) {
        const char *const theirs = json_string_value(json_object_get(object, identity->key));
        if (theirs && !strcmp(theirs, identity->value)) continue;
        return octet_fail(err, OCTET_ERR_FORMAT, "journal of another %s (it has '%.80s', here it is '%.80s')",
                          identity->key, theirs ? theirs : "", identity->value);
    }
    return OCTET_OK;
}

octet_status octet_line_check_identity(const char *line, size_t size, const octet_tune_identity *identity,
                                       octet_error *err)
{
    json_t *object;
    OCTET_TRY(parse(&object, line, size, err));
    const octet_status status = compare(object, identity, err);
    json_decref(object);
    return status;
}
