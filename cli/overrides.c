/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX Runtime's TensorQuantOverrides: an object whose keys are tensors, each a list of one object, or of one for each
   channel of a weight. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct reading {
    const char        *tensor;
    octet_tensor_rule *rule;
    float             *scale, *low, *high; /* room for the tensor's entries */
    int32_t           *zero_point;
    octet_error       *err;
} reading;

static octet_status refuse(const reading *r, const char *key, const char *need)
{
    octet_error_field(r->err, r->tensor);
    return octet_fail(r->err, OCTET_ERR_FORMAT, "%.40s: need %s", key, need);
}

static const struct {
    const char *name;
    octet_dtype dtype;
} types[] = { { "QInt8", OCTET_I8 }, { "QUInt8", OCTET_U8 }, { "QInt16", OCTET_I16 }, { "QUInt16", OCTET_U16 } };

static octet_status read_type(reading *r, const json_t *value)
{
    const char *const text = json_string_value(value);
    for (size_t i = 0; text && i < sizeof types / sizeof *types; i++) {
        if (strcmp(text, types[i].name) != 0) continue;
        if (r->rule->dtype && r->rule->dtype != types[i].dtype) return refuse(r, "quant_type", "one for all channels");
        r->rule->dtype = types[i].dtype;
        return OCTET_OK;
    }
    return refuse(r, "quant_type", "QInt8, QUInt8, QInt16 or QUInt16");
}

static octet_status read_flag(reading *r, const char *key, const json_t *value)
{
    if (!json_is_boolean(value)) return refuse(r, key, "true or false");
    const bool on = json_is_true(value);
    if (!strcmp(key, "reduce_range")) r->rule->reduce_range = on;
    else if (on) r->rule->symmetric = true;
    else r->rule->asymmetric = true;
    return OCTET_OK;
}

static octet_status read_axis(reading *r, const json_t *value)
{
    const json_int_t axis = json_integer_value(value);
    if (!json_is_integer(value) || axis < -8 || axis > 7) return refuse(r, "axis", "a dimension");
    r->rule->axis        = (int)axis;
    r->rule->per_channel = true;
    return OCTET_OK;
}

static octet_status read_zero_point(reading *r, size_t at, const json_t *value)
{
    const json_int_t level = json_integer_value(value);
    if (!json_is_integer(value) || level < -32768 || level > 65535) return refuse(r, "zero_point", "a level");
    r->zero_point[at]   = (int32_t)level;
    r->rule->zero_point = r->zero_point;
    return OCTET_OK;
}

static octet_status read_number(reading *r, const char *key, size_t at, const json_t *value)
{
    float *const list = !strcmp(key, "scale") ? r->scale : !strcmp(key, "rmin") ? r->low : r->high;
    if (!json_is_number(value)) return refuse(r, key, "a number");
    list[at] = (float)json_number_value(value);
    if (list == r->scale) r->rule->scale = list;
    else if (list == r->low) r->rule->low = list;
    else r->rule->high = list;
    return OCTET_OK;
}

static octet_status read_entry(reading *r, size_t at, json_t *entry)
{
    const char *key;
    json_t     *value;
    if (!json_is_object(entry)) return refuse(r, "its list", "objects");
    json_object_foreach(entry, key, value)
    {
        if (!strcmp(key, "quant_type")) OCTET_TRY(read_type(r, value));
        else if (!strcmp(key, "symmetric") || !strcmp(key, "reduce_range")) OCTET_TRY(read_flag(r, key, value));
        else if (!strcmp(key, "axis")) OCTET_TRY(read_axis(r, value));
        else if (!strcmp(key, "zero_point")) OCTET_TRY(read_zero_point(r, at, value));
        else if (!strcmp(key, "scale") || !strcmp(key, "rmin") || !strcmp(key, "rmax"))
            OCTET_TRY(read_number(r, key, at, value));
        else
            return refuse(r, key, "one of quant_type, axis, scale, zero_point, symmetric, reduce_range, rmin, rmax");
    }
    return OCTET_OK;
}

/* What the first entry gives every entry must. */
static octet_status check_entries(reading *r, const json_t *list)
{
    static const char *const keys[] = { "scale", "zero_point", "rmin", "rmax" };
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        for (size_t i = 1; i < json_array_size(list); i++) {
            const json_t *const first = json_array_get(list, 0), *const next = json_array_get(list, i);
            if (!json_object_get(first, keys[k]) != !json_object_get(next, keys[k]))
                return refuse(r, keys[k], "one for each channel");
        }
    return OCTET_OK;
}

static octet_status read_tensor(cli_overrides *overrides, const char *name, json_t *list, octet_error *err)
{
    octet_tensor_rule *const rule = &overrides->rules[overrides->count++];
    const size_t             n    = json_array_size(list);
    reading                  r    = { .tensor = name, .rule = rule, .err = err };
    *rule                         = (octet_tensor_rule){ .name = name };
    if (!n) return refuse(&r, "the value", "a list of objects");
    r.scale      = cli_args_room(overrides->args, n * sizeof(float));
    r.low        = cli_args_room(overrides->args, n * sizeof(float));
    r.high       = cli_args_room(overrides->args, n * sizeof(float));
    r.zero_point = cli_args_room(overrides->args, n * sizeof(int32_t));
    for (size_t i = 0; i < n; i++) OCTET_TRY(read_entry(&r, i, json_array_get(list, i)));
    OCTET_TRY(check_entries(&r, list));
    if (rule->scale || rule->low) rule->count = n;
    else if (n > 1) return refuse(&r, "its list", "scale or rmin and rmax where it has an entry for each channel");
    return OCTET_OK;
}

octet_status cli_overrides_read(cli_overrides *overrides, cli_args *args, octet_error *err)
{
    const char *name;
    json_t     *list;
    if (!args->overrides) return OCTET_OK;
    overrides->args = args;
    OCTET_TRY(cli_json_read(&overrides->root, args->overrides, err));
    octet_status status = OCTET_OK;
    if (!json_is_object(overrides->root)) status = octet_fail(err, OCTET_ERR_FORMAT, "need an object of tensors");
    overrides->rules = cli_alloc(json_object_size(overrides->root), sizeof *overrides->rules);
    json_object_foreach(overrides->root, name, list)
        if (status == OCTET_OK) status = read_tensor(overrides, name, list, err);
    if (status != OCTET_OK) octet_error_file(err, args->overrides);
    return status;
}

void cli_overrides_free(cli_overrides *overrides)
{
    free(overrides->rules);
    json_decref(overrides->root);
}

const cli_option cli_override_options[] = {
    { "overrides", 0, CLI_TEXT, "FILE.json", offsetof(cli_args, overrides), NULL,
      "types, scales and ranges of single tensors, as ONNX Runtime's TensorQuantOverrides", .section = "quantize" },
    { NULL },
};
