/* SPDX-License-Identifier: Apache-2.0 */
/* Results as JSON documents: {"octet": version, "verb": ..., "schema": 1, ...}. JSON knows no NaN; null stands for
   it. */
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *cli_json_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

json_t *cli_json_count(uint64_t value) { return json_integer((json_int_t)value); }

json_t *cli_json_text(const char *text)
{
    if (!text) return json_null();
    json_t *const exact = json_string(text);
    if (exact) return exact;
    char clean[1024]; /* not UTF-8 */
    octet_text_clean(clean, sizeof clean, text);
    return json_string(clean);
}

json_t *cli_json_port(octet_port port)
{
    json_t *const object = cli_json_object(), *const dims = cli_json_array();
    for (int i = 0; i < port.rank; i++)
        cli_json_add(dims, port.dims[i] == OCTET_DIM_FREE ? json_null() : json_integer((json_int_t)port.dims[i]));
    cli_json_set(object, "name", cli_json_text(port.name));
    cli_json_set(object, "type", cli_json_text(octet_dtype_name(port.dtype)));
    cli_json_set(object, "dims", dims);
    if (!port.levels.count) return object;
    cli_json_set(object, "scale", cli_json_number((double)port.levels.scale[0]));
    cli_json_set(object, "zero_point", json_integer(port.levels.zero_point[0]));
    return object;
}

void cli_json_set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0) cli_out_of_memory();
}

void cli_json_add(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0) cli_out_of_memory();
}

json_t *cli_json_array(void)
{
    json_t *const array = json_array();
    if (!array) cli_out_of_memory();
    return array;
}

json_t *cli_json_object(void)
{
    json_t *const object = json_object();
    if (!object) cli_out_of_memory();
    return object;
}

json_t *cli_json_begin(const char *verb)
{
    json_t *const root = cli_json_object();
    cli_json_set(root, "octet", cli_json_text(octet_version()));
    cli_json_set(root, "verb", cli_json_text(verb));
    cli_json_set(root, "schema", cli_json_count(1));
    return root;
}

void cli_json_scores(json_t *object, const octet_scores *s)
{
    cli_json_set(object, "top1", cli_json_number(s->top1));
    cli_json_set(object, "top5", cli_json_number(s->top5));
    cli_json_set(object, "agreement", cli_json_number(s->agreement));
    cli_json_set(object, "mse", cli_json_number(s->mse));
    cli_json_set(object, "psnr_db", cli_json_number(s->psnr_db));
    cli_json_set(object, "sqnr_db", cli_json_number(s->sqnr_db));
    cli_json_set(object, "count", cli_json_count(s->count));
    cli_json_set(object, "seconds", cli_json_number(s->seconds));
}

octet_status cli_json_write(cli_call *call, octet_error *err)
{
    const char *const to = call->args.json;
    if (!to) return OCTET_OK;
    char *const text = json_dumps(call->document, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    if (!text) cli_out_of_memory();
    octet_status status = OCTET_OK;
    const size_t length = strlen(text);
    text[length] = '\n'; /* in place of the terminator, which nobody needs any more */
    if (strcmp(to, "-") != 0) status = octet_file_write(to, text, length + 1, call->args.force, err);
    else fwrite(text, 1, length + 1, stdout);
    free(text);
    return status;
}
