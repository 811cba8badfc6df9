/* SPDX-License-Identifier: Apache-2.0 */
/* The commands, and how one of them is found, run and answered for. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const cli_command cli_commands[] = {
    { "inspect", cli_inspect, "shows what a network consists of, what fuses and what can be int8",
      &cli_inspect_syntax },
    { "quantize", cli_quantize, "makes an int8 network from a float one and sample data", &cli_quantize_syntax,
      true },
    { "calibrate", cli_calibrate, "gathers statistics of samples in a file that merges, resumes and serves quantize",
      &cli_calibrate_syntax, true },
    { "qat", cli_qat, "trains a network with quantization in the loop, and resumes where it was interrupted",
      &cli_qat_syntax },
    { "tune", cli_tune, "searches for the fastest int8 network within an accuracy budget, and resumes",
      &cli_tune_syntax },
    { "eval", cli_eval, "measures accuracy of a network, beside its float baseline, with a gate as exit code",
      &cli_eval_syntax, true },
    { "compare", cli_compare, "ranks the layers of an int8 network by the error they make and carry",
      &cli_compare_syntax, true },
    { "diff", cli_diff, "counts where two models or two engines give other levels", &cli_diff_syntax, true },
    { "bench", cli_bench, "times every engine beside the float network, layer by layer if asked", &cli_bench_syntax,
      true },
    { "report", cli_report_page, "makes a page of every layer's errors, ranges and times, with causes and remedies",
      &cli_report_syntax, true },
    { "run", cli_run, "runs a network on inputs: top classes, or outputs as .npy or .npz", &cli_run_syntax, true },
    { "doctor", cli_doctor, "shows instruction sets, engines, memory and limits, and tests itself",
      &cli_doctor_syntax },
    { "demo", cli_demo, "draws pictures, quantizes a network for them and prints what that cost", &cli_demo_syntax },
    { "help", cli_help, "explains a command", &cli_help_syntax },
    { NULL },
};

static const cli_command *find_command(const char *name)
{
    for (const cli_command *c = cli_commands; c->name; c++)
        if (!strcmp(c->name, name)) return c;
    return NULL;
}

static const char *command_name(const void *context, size_t index)
{
    (void)context;
    return index < sizeof cli_commands / sizeof *cli_commands ? cli_commands[index].name : NULL;
}

static octet_status refuse_command(const char *name, octet_error *err)
{
    const char *const near = cli_suggest(name, command_name, NULL);
    if (near) return octet_fail(err, OCTET_ERR_ARGUMENT, "unknown command '%.60s' (did you mean '%s'?)", name, near);
    return octet_fail(err, OCTET_ERR_ARGUMENT, "unknown command '%.60s' ('octet --help' lists them)", name);
}

static int exit_code_of(octet_status status, bool writing)
{
    switch (status) {
    case OCTET_OK:
        return CLI_OK;
    case OCTET_ERR_FILE:
        return writing ? CLI_FAILED : CLI_BAD_INPUT;
    case OCTET_ERR_FORMAT:
    case OCTET_ERR_SHAPE:
        return CLI_BAD_INPUT;
    case OCTET_ERR_UNSUPPORTED:
        return CLI_UNSUPPORTED;
    case OCTET_ERR_ARGUMENT:
        return CLI_USAGE;
    case OCTET_ERR_LIMIT:
        return CLI_LIMIT;
    case OCTET_ERR_MEMORY:
    case OCTET_ERR_BACKEND:
        return CLI_FAILED;
    }
    return CLI_FAILED;
}

/* The results must have arrived: a full disk under stdout is a failure, a reader that has gone is not worth a word. */
static octet_status flush_stdout(octet_error *err)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return OCTET_OK;
    if (errno == EPIPE) return OCTET_ERR_FILE;
    octet_error_file(err, "standard output");
    return octet_fail(err, OCTET_ERR_FILE, "cannot write: %s", errno ? strerror(errno) : "earlier write failed");
}

octet_status cli_help(cli_call *call, octet_error *err)
{
    if (call->args.markdown) {
        cli_help_markdown();
        return OCTET_OK;
    }
    const cli_command *command = NULL;
    if (call->args.operand_count > 0) {
        command = find_command(call->args.operands[0]);
        if (!command) return refuse_command(call->args.operands[0], err);
    }
    if (call->args.completion) cli_completion_print(call->args.completion);
    else if (call->args.manual) cli_manual_print(command);
    else cli_help_print(command);
    return OCTET_OK;
}

static octet_status perform(cli_call *call, int argc, char **argv, octet_error *err)
{
    OCTET_TRY(cli_args_parse(&call->args, call->command->syntax, argc, argv, err));
    if (call->args.help) {
        cli_help_print(call->command);
        return OCTET_OK;
    }
    if (call->args.timeout > 0) cli_signals_timeout(call->args.timeout);
    cli_progress_begin(call);
    const octet_status status = call->command->run(call, err);
    cli_progress_end(call);
    if (status != OCTET_OK) return status;
    call->writing = true;
    return cli_json_write(call, err);
}

static int run_command(const cli_command *command, int argc, char **argv)
{
    cli_call     call   = { .command = command, .document = cli_json_begin(command->name) };
    octet_error  err    = { 0 };
    octet_status status = perform(&call, argc, argv, &err);
    if (status == OCTET_OK) {
        status = flush_stdout(&err);
        call.writing = true;
    }
    if (status != OCTET_OK && cli_signals_pending()) cli_signals_obey(call.hint);
    if (status != OCTET_OK && err.text[0]) cli_report(&err);
    if (status != OCTET_OK && call.hint[0]) fprintf(stderr, "hint: %s\n", call.hint);
    else if (status == OCTET_ERR_UNSUPPORTED && err.file[0] && err.node[0] && !call.args.end_at)
        fprintf(stderr, "hint: --end-at NAME,... ends the network at values before that node\n");
    else if (status == OCTET_ERR_ARGUMENT && !err.file[0] && call.exit_code == CLI_OK)
        fprintf(stderr, "hint: 'octet %s --help' shows usage and examples\n", command->name);
    const bool given = status == OCTET_OK || call.exit_code != CLI_OK;
    const int  code  = given ? call.exit_code : exit_code_of(status, call.writing);
    json_decref(call.document);
    cli_args_free(&call.args);
    return code;
}

int main(int argc, char **argv)
{
    octet_error err = { 0 };
    cli_signals_install();
    if (argc < 2) {
        cli_help_print(NULL);
        return CLI_USAGE;
    }
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
        printf("octet %s\n", octet_version());
        return CLI_OK;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        cli_help_print(NULL);
        return CLI_OK;
    }
    const cli_command *const command = find_command(argv[1]);
    if (command) return run_command(command, argc - 1, argv + 1);
    refuse_command(argv[1], &err);
    cli_report(&err);
    return CLI_USAGE;
}

static const cli_option help_options[] = {
    { "markdown", 0, CLI_FLAG, NULL, offsetof(cli_args, markdown), NULL, "print docs/cli.md" },
    { "man", 0, CLI_FLAG, NULL, offsetof(cli_args, manual), NULL, "print the manual page, as scdoc reads it" },
    { "completion", 0, CLI_WORD, "bash|zsh|fish", offsetof(cli_args, completion), NULL,
      "print what that shell needs to complete octet's words" },
    { "help", 'h', CLI_FLAG, NULL, offsetof(cli_args, help), NULL, "print this help" },
    { NULL },
};
static const cli_group   help_groups[]   = { { "options", help_options }, { NULL } };
static const cli_example help_examples[] = {
    { "help quantize", "examples and options of 'octet quantize'" },
    { NULL },
};
const cli_syntax cli_help_syntax = { "[COMMAND]", 0, 1, help_groups, help_examples };
