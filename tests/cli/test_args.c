/* SPDX-License-Identifier: Apache-2.0 */
/* What can be typed: options of every kind, refusals with their texts, configuration files and who wins. */
#include "cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 32 };

/* Parses words (ended by NULL) after the verb "quantize" or another syntax. */
static octet_status parse(cli_args *args, const cli_syntax *syntax, const char *const *words, octet_error *err)
{
    static char  storage[MOST][128];
    static char *argv[MOST + 1];
    int          argc = 0;
    snprintf(storage[argc], sizeof storage[0], "verb");
    argv[argc] = storage[argc];
    for (argc = 1; *words && argc < MOST; argc++, words++) {
        snprintf(storage[argc], sizeof storage[0], "%s", *words);
        argv[argc] = storage[argc];
    }
    argv[argc] = NULL;
    *args      = (cli_args){ 0 };
    *err       = (octet_error){ 0 };
    return cli_args_parse(args, syntax, argc, argv, err);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void reads_every_kind(void **state)
{
    cli_args    args;
    octet_error err;
    (void)state;
    assert_int_equal(OCTET_OK, parse(&args, &cli_quantize_syntax,
                                     WORDS("net.onnx", "--data", "d", "-qo", "out.onnx", "-j4", "--limit=128",
                                           "--per-tensor", "--percentile", "99.5", "--max-memory=1.5G",
                                           "--json", "--method=mse", "--layer", "a*=float", "--layer", "b=c=float"),
                                     &err));
    assert_int_equal(1, args.operand_count);
    assert_string_equal("net.onnx", args.operands[0]);
    assert_string_equal("d", args.data_path);
    assert_string_equal("out.onnx", args.output);
    assert_true(args.quiet);
    assert_int_equal(4, args.threads);
    assert_int_equal(128, args.data.limit);
    assert_true(args.per_tensor);
    assert_false(args.per_channel);
    assert_true(args.percentile > 99.4999 && args.percentile < 99.5001);
    assert_int_equal(1610612736, args.limits.max_memory);
    assert_string_equal("-", args.json);
    assert_string_equal("mse", args.method);
    assert_int_equal(2, args.layer_count);
    assert_string_equal("a*", args.layers[0].match);
    assert_string_equal("b=c", args.layers[1].match);
    cli_args_free(&args);
}

static void two_dashes_end_options(void **state)
{
    cli_args    args;
    octet_error err;
    (void)state;
    assert_int_equal(OCTET_OK, parse(&args, &cli_quantize_syntax, WORDS("--data", "d", "--", "-net.onnx"), &err));
    assert_string_equal("-net.onnx", args.operands[0]);
    cli_args_free(&args);
}

static void refuses_with_a_reason(void **state)
{
    static const struct {
        const char *words[6], *text;
    } cases[] = {
        { { "--methd", "mse" }, "unknown option '--methd' (did you mean '--method'?)" },
        { { "--zzzzzzzz" }, "unknown option '--zzzzzzzz'" },
        { { "-Z" }, "unknown option '-Z'" },
        { { "--data" }, "option '--data' needs PATH" },
        { { "--quiet=1" }, "option '--quiet' takes no argument" },
        { { "--method", "magic" }, "unknown word (got 'magic'" },
        { { "--limit", "0" }, "not a whole number in range (got '0'" },
        { { "--limit", "0x10" }, "not a whole number in range (got '0x10'" },
        { { "--limit", "99999999999999999999" }, "not a whole number in range" },
        { { "--percentile", "101" }, "not a number in range (got '101', need 50 to 100)" },
        { { "--percentile", "nan" }, "not a number in range (got 'nan'" },
        { { "--max-memory", "12Q" }, "not a size (got '12Q'" },
        { { "--max-memory", "-1" }, "not a size (got '-1'" },
        { { "--layer", "a*=int4" }, "got 'int4', need float" },
        { { "--layer", "=float" }, "not a layer rule (got '=float'" },
        { { "--layer", "a=percentile:20" }, "got 'percentile:20'" },
        { { "--per-channel", "--per-tensor" }, "contradict each other" },
        { { "--every", "4", "--skip-every", "4" }, "contradict each other" },
        { { "--data", "" }, "empty (need PATH)" },
        { { "--data", "d" }, "too few operands (got 0, need MODEL)" },
        { { "--data", "d", "a.onnx", "b.onnx" }, "unexpected operand 'b.onnx'" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cli_args    args;
        octet_error err;
        assert_int_equal(OCTET_ERR_ARGUMENT, parse(&args, &cli_quantize_syntax, cases[i].words, &err));
        if (!strstr(err.text, cases[i].text)) fail_msg("case %zu: got \"%s\", need \"%s\"", i, err.text, cases[i].text);
        cli_args_free(&args);
    }
}

/* ---- configuration files ---- */

static void write_config(char path[64], const char *text)
{
    strcpy(path, "octet-test-config-XXXXXX");
    const int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal((ssize_t)strlen(text), write(descriptor, text, strlen(text)));
    close(descriptor);
}

static octet_status configure(cli_args *args, const char *text, const char *option, octet_error *err)
{
    char path[64];
    write_config(path, text);
    const octet_status status =
        parse(args, &cli_quantize_syntax, WORDS("net.onnx", "--data", "d", "--config", path, option), err);
    unlink(path);
    return status;
}

#define HEAD "{\"format\": \"octet-config\", \"version\": 1, "

static void command_line_wins_over_config(void **state)
{
    static const char text[] = HEAD "\"quantize\": {\"per_channel\": false, \"activations\": \"s8\"}, \"calibration\": "
                                    "{\"method\": \"minmax\", \"limit\": 32, \"skip_every\": 4}, \"data\": {\"mean\": "
                                    "[0.5, 0.25, 1], \"scale\": \"1/255\"}, \"layers\": [{\"match\": \"fc\", "
                                    "\"keep_float\": true}]}";
    cli_args    args;
    octet_error err;
    (void)state;
    assert_int_equal(OCTET_OK, configure(&args, text, "--limit=7", &err));
    assert_int_equal(7, args.data.limit);
    assert_int_equal(4, args.data.skip_every);
    assert_string_equal("minmax", args.method);
    assert_string_equal("s8", args.activations);
    assert_string_equal("0.5,0.25,1", args.data.mean);
    assert_string_equal("1/255", args.data.scale);
    assert_true(args.per_tensor);
    assert_false(args.per_channel);
    assert_int_equal(1, args.layer_count);
    cli_args_free(&args);
    assert_int_equal(OCTET_OK, configure(&args, text, "--per-channel", &err));
    assert_true(args.per_channel);
    assert_false(args.per_tensor);
    cli_args_free(&args);
    assert_int_equal(OCTET_OK, configure(&args, text, "--layer=a=float", &err));
    assert_int_equal(2, args.layer_count);
    assert_string_equal("fc", args.layers[0].match);
    assert_string_equal("a", args.layers[1].match); /* later rules win */
    cli_args_free(&args);
    static const char method[] = HEAD "\"layers\": [{\"match\": \"c\", \"method\": \"percentile:99.5\"}]}";
    assert_int_equal(OCTET_OK, configure(&args, method, "--layer=a=mse", &err));
    assert_true(args.layers[0].ranges && args.layers[1].ranges && !args.layers[0].keep_float);
    assert_int_equal(OCTET_METHOD_PERCENTILE, args.layers[0].method);
    assert_true(args.layers[0].percentile == 99.5);
    assert_int_equal(OCTET_METHOD_MSE, args.layers[1].method);
    cli_args_free(&args);
}

static void refuses_bad_configs(void **state)
{
    static const struct {
        const char *text, *field, *why;
    } cases[] = {
        { "[1]", "top level", "need an object" },
        { "{\"format\": \"x\", \"version\": 1}", "format", "octet-config" },
        { "{\"format\": \"octet-config\", \"version\": 2}", "version", "need 1" },
        { "{\"format\": \"octet-config\"}", "version", "need 1" },
        { HEAD "\"quantise\": {}}", "quantise", "did you mean 'quantize'" },
        { HEAD "\"quantize\": {\"per_chanel\": true}}", "quantize.per_chanel", "did you mean 'per_channel'" },
        { HEAD "\"quantize\": {\"per_channel\": 1}}", "quantize.per_channel", "need true or false" },
        { HEAD "\"quantize\": {\"method\": \"mse\"}}", "quantize.method", "unknown key" },
        { HEAD "\"calibration\": {\"limit\": 0}}", "calibration.limit", "got '0'" },
        { HEAD "\"calibration\": {\"limit\": {}}}", "calibration.limit", "got an object" },
        { HEAD "\"layers\": [{\"keep_float\": true}]}", "layers.match", "got nothing" },
        { HEAD "\"layers\": [{\"match\": \"a\", \"bits\": 4}]}", "layers", "unknown key 'bits'" },
        { HEAD "\"layers\": [{\"match\": \"a\", \"method\": \"mse:3\"}]}", "layers.method", "got 'mse:3'" },
        { HEAD "\"layers\": {}}", "layers", "need an array" },
        { "{\"format\": 1,\n \"format\": 2}", "2:", "duplicate" },
        { HEAD "\"quantize\": {}}}", "1:", "end of file" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cli_args    args;
        octet_error err;
        assert_int_equal(OCTET_ERR_FORMAT, configure(&args, cases[i].text, "-q", &err));
        if (strncmp(err.field, cases[i].field, strlen(cases[i].field)) != 0 || !strstr(err.text, cases[i].why))
            fail_msg("case %zu: got \"%s: %s\", need \"%s: %s\"", i, err.field, err.text, cases[i].field, cases[i].why);
        assert_non_null(strstr(err.file, "octet-test-config-"));
        cli_args_free(&args);
    }
}

static void printed_config_reads_back(void **state)
{
    cli_args    args, again;
    octet_error err;
    (void)state;
    assert_int_equal(OCTET_OK, parse(&args, &cli_quantize_syntax,
                                     WORDS("net.onnx", "--data", "d", "--per-tensor", "--method=percentile",
                                           "--percentile=99.9", "--mean=1,2,3", "--shuffle", "--layer=a*=float"),
                                     &err));
    json_t *const document = cli_config_document(&args, &cli_quantize_syntax);
    char *const   text     = json_dumps(document, 0);
    assert_int_equal(OCTET_OK, configure(&again, text, "-q", &err));
    assert_true(again.per_tensor);
    assert_true(again.data.shuffle);
    assert_string_equal("percentile", again.method);
    assert_string_equal("1,2,3", again.data.mean);
    assert_int_equal(1, again.layer_count);
    assert_string_equal("a*", again.layers[0].match);
    free(text);
    json_decref(document);
    cli_args_free(&args);
    cli_args_free(&again);
}

/* Rows of one verb that share a name or a letter would hide each other. */
static void rows_do_not_collide(void **state)
{
    static const cli_syntax *const all[] = { &cli_inspect_syntax, &cli_quantize_syntax, &cli_eval_syntax,
                                             &cli_compare_syntax, &cli_run_syntax,      &cli_doctor_syntax };
    (void)state;
    for (size_t s = 0; s < sizeof all / sizeof *all; s++) {
        const cli_option *a, *b;
        for (size_t i = 0; (a = cli_option_at(all[s], i)); i++) {
            assert_true(a->kind == CLI_FLAG || a->argument);
            for (size_t j = i + 1; (b = cli_option_at(all[s], j)); j++) {
                assert_string_not_equal(a->name, b->name);
                if (a->letter) assert_int_not_equal(a->letter, b->letter);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind),       cmocka_unit_test(two_dashes_end_options),
        cmocka_unit_test(refuses_with_a_reason),  cmocka_unit_test(command_line_wins_over_config),
        cmocka_unit_test(refuses_bad_configs),    cmocka_unit_test(printed_config_reads_back),
        cmocka_unit_test(rows_do_not_collide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
