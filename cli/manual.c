/* SPDX-License-Identifier: Apache-2.0 */
/* Manual pages for scdoc, from the rows of commands and options. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

/* Text as text: what scdoc would read as markup is escaped, and what would begin a list. */
static void put(const char *text)
{
    for (const char *begin = text; *text; text++) {
        if (strchr("\\*_#`<>[]~", *text) || (text == begin && strchr("-.", *text))) putchar('\\');
        putchar(*text);
    }
}

static void title(const char *name)
{
    printf("%s(1) \"octet %s\"\n\n# NAME\n\n", name, octet_version());
    put(name);
}

static void option(const cli_option *row)
{
    char heading[CLI_HEADING], sentence[CLI_SENTENCE];
    cli_option_heading(heading, sizeof heading, row);
    cli_option_sentence(sentence, sizeof sentence, row);
    putchar('*');
    put(heading + strspn(heading, " "));
    printf("*\n\t");
    put(sentence);
    printf("\n\n");
}

static void codes(void)
{
    printf("# EXIT STATUS\n\n0 ok, 1 the operation failed, 2 the command line is wrong, 3 an input is bad, 4 a gate "
           "was not met, 5 a limit was exceeded, 6 the input is valid but not supported, 130 and 143 ended by a "
           "signal.\n");
}

static void page(const cli_command *command)
{
    const cli_syntax *const syntax = command->syntax;
    char                    name[48];
    snprintf(name, sizeof name, "octet-%s", command->name);
    title(name);
    printf(" - ");
    put(command->sentence);
    printf("\n\n# SYNOPSIS\n\n*octet %s* [options] ", command->name);
    put(syntax->operands);
    printf("\n\n# OPTIONS\n\n");
    for (const cli_group *group = syntax->groups; group->title; group++) {
        printf("## ");
        put(group->title);
        printf("\n\n");
        for (const cli_option *row = group->rows; row->name; row++) option(row);
    }
    printf("# EXAMPLES\n\n");
    for (const cli_example *e = syntax->examples; e->line; e++) {
        printf("octet ");
        put(e->line);
        printf("\n\t");
        put(e->what);
        printf("\n\n");
    }
    codes();
    printf("\n# SEE ALSO\n\n*octet*(1)\n");
}

static void overview(void)
{
    title("octet");
    printf(" - makes int8 networks from float ONNX networks, and shows what they lost\n\n# SYNOPSIS\n\n"
           "*octet* _COMMAND_ [options] ...\n\n# COMMANDS\n\n");
    for (const cli_command *c = cli_commands; c->name; c++) {
        printf("*octet-%s*(1)\n\t", c->name);
        put(c->sentence);
        printf("\n\n");
    }
    printf("Results go to standard output, messages to standard error. An error is one line. *--* ends the "
           "options.\n\n# ENVIRONMENT\n\n*OCTET\\_CPU*\n\tcaps the instruction set: scalar, avx2, avxvnni, "
           "avx512vnni, amx, neon\n\n"
           "*OCTET\\_THREADS*\n\tthreads, where *--threads* is not given\n\n");
    codes();
}

void cli_manual_print(const cli_command *command)
{
    if (command) page(command);
    else overview();
}
