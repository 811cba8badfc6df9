/* SPDX-License-Identifier: Apache-2.0 */
/* Help texts and docs/cli.md, both made from the rows of commands and options. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

enum { COLUMN = 28, WIDTH = 100 };

/* "-o, --output FILE", "    --json[=FILE]" */
void cli_option_heading(char *text, size_t size, const cli_option *row)
{
    char letter[8] = "    ";
    if (row->letter) snprintf(letter, sizeof letter, "-%c, ", row->letter);
    if (!row->argument) snprintf(text, size, "%s--%s", letter, row->name);
    else if (row->kind == CLI_OPTIONAL) snprintf(text, size, "%s--%s[=%s]", letter, row->name, row->argument);
    else snprintf(text, size, "%s--%s %s", letter, row->name, row->argument);
}

void cli_option_sentence(char *text, size_t size, const cli_option *row)
{
    size_t n = (size_t)snprintf(text, size, "%s", row->help);
    char   one[48];
    if (row->word) {
        const char *word;
        for (size_t i = 0; n < size && (word = cli_option_word(row, i, one, sizeof one)); i++)
            n += (size_t)snprintf(text + n, size - n, "%s%s", i ? ", " : ": ", word);
    }
    if (row->standard && n < size) n += (size_t)snprintf(text + n, size - n, " (default: %s)", row->standard);
    if (row->required && n < size) snprintf(text + n, size - n, " (required)");
}

/* Prints text, lines after the first starting at COLUMN, broken at blanks. */
static void wrap(const char *text)
{
    int column = COLUMN;
    for (bool first = true; *text; first = false) {
        const int length = (int)strcspn(text, " ");
        if (!first && column + 1 + length > WIDTH) {
            printf("\n%*s", COLUMN, "");
            column = COLUMN;
        } else if (!first) {
            putchar(' ');
            column++;
        }
        printf("%.*s", length, text);
        column += length;
        text += length;
        text += *text == ' ';
    }
    putchar('\n');
}

static void print_option(const cli_option *row)
{
    char heading[CLI_HEADING], sentence[CLI_SENTENCE];
    cli_option_heading(heading, sizeof heading, row);
    cli_option_sentence(sentence, sizeof sentence, row);
    const int used = printf("  %s", heading);
    if (used >= COLUMN) printf("\n%*s", COLUMN, "");
    else printf("%*s", COLUMN - used, "");
    wrap(sentence);
}

static void print_command(const cli_command *command)
{
    const cli_syntax *const syntax = command->syntax;
    printf("octet %s: %s\n\nexamples:\n", command->name, command->sentence);
    for (const cli_example *e = syntax->examples; e->line; e++) printf("  octet %s\n      %s\n", e->line, e->what);
    printf("\nusage: octet %s [options] %s\n", command->name, syntax->operands);
    for (const cli_group *group = syntax->groups; group->title; group++) {
        printf("\n%s:\n", group->title);
        for (const cli_option *row = group->rows; row->name; row++) print_option(row);
    }
    puts("\nexit: 0 ok, 1 operation failed, 2 usage, 3 bad input, 4 gate not met, 5 limit exceeded, 6 unsupported");
}

static void print_all(void)
{
    puts("octet makes int8 networks from float ONNX networks, and shows what they lost.\n\nexamples:\n"
         "  octet quantize resnet.onnx --data photos/ --preprocess imagenet -o resnet.int8.onnx\n"
         "  octet eval resnet.int8.onnx --data validation/ --baseline resnet.onnx --max-drop 1%\n"
         "  octet run resnet.int8.onnx cat.jpg --labels classes.txt --top 3\n\ncommands:");
    for (const cli_command *c = cli_commands; c->name; c++) printf("  %-10s %s\n", c->name, c->sentence);
    puts("\n'octet COMMAND --help' tells more; 'octet --version' prints the version.");
}

void cli_help_print(const cli_command *command)
{
    if (command) print_command(command);
    else print_all();
}

/* A cell of a Markdown table: '|' parts cells. */
static void markdown_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '|' || *text == '*') putchar('\\');
        putchar(*text);
    }
}

static void markdown_group(const cli_group *group)
{
    char heading[CLI_HEADING], sentence[CLI_SENTENCE];
    printf("\n| %s | |\n|---|---|\n", group->title);
    for (const cli_option *row = group->rows; row->name; row++) {
        cli_option_heading(heading, sizeof heading, row);
        cli_option_sentence(sentence, sizeof sentence, row);
        printf("| `");
        for (const char *c = heading + strspn(heading, " "); *c; c++) printf(*c == '|' ? "\\|" : "%c", *c);
        printf("` | ");
        markdown_text(sentence);
        printf(" |\n");
    }
}

/* Groups that several commands share are printed once, at the end. */
static bool is_shared(const cli_group *group)
{
    return group->rows == cli_common_options || group->rows == cli_limit_options ||
           group->rows == cli_preprocess_options || group->rows == cli_subset_options ||
           group->rows == cli_engine_options || group->rows == cli_qconfig_options;
}

static void markdown_command(const cli_command *command)
{
    const cli_syntax *const syntax = command->syntax;
    printf("\n## octet %s\n\n%s.\n\n```\noctet %s [options] %s\n```\n\n", command->name, command->sentence,
           command->name, syntax->operands);
    for (const cli_example *e = syntax->examples; e->line; e++) printf("* `octet %s`: %s\n", e->line, e->what);
    for (const cli_group *group = syntax->groups; group->title; group++)
        if (!is_shared(group)) markdown_group(group);
}

void cli_help_markdown(void)
{
    static const cli_group shared[] = {
        { "quantization", cli_qconfig_options },
        { "preparing samples", cli_preprocess_options },
        { "which samples", cli_subset_options },
        { "engines", cli_engine_options },
        { "common options", cli_common_options },
        { "limits", cli_limit_options },
    };
    puts("# The command line\n\n<!-- made by: octet help --markdown > docs/cli.md -->\n\n"
         "Results go to stdout, messages to stderr. An error is one line, `octet: error: FILE: node 'N': field: why`.\n"
         "`--` ends the options.\n\n| exit | means |\n|---|---|\n| 0 | ok |\n"
         "| 1 | the operation failed (writing, memory, engine) |\n| 2 | the command line is wrong |\n"
         "| 3 | an input is bad |\n| 4 | a gate was not met |\n| 5 | a limit was exceeded |\n"
         "| 6 | the input is valid but not supported |\n| 130, 143 | ended by a signal |\n\n"
         "| command | does |\n|---|---|");
    for (const cli_command *c = cli_commands; c->name; c++) printf("| `octet %s` | %s |\n", c->name, c->sentence);
    for (const cli_command *c = cli_commands; c->name; c++) markdown_command(c);
    puts("\n## Options that commands share");
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) markdown_group(&shared[i]);
}
