/* SPDX-License-Identifier: Apache-2.0 */
/* Shell completions, from the rows of commands and options. What follows an option is a list of words or a file. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static bool has_words(const cli_option *row)
{
    return row->kind == CLI_WORD || (row->kind == CLI_OPTIONAL && row->word);
}

static void words(const cli_option *row)
{
    char        text[48];
    const char *word;
    for (size_t i = 0; (word = cli_option_word(row, i, text, sizeof text)); i++) printf("%s%s", i ? " " : "", word);
}

/* ---- bash ---- */

static void bash_verb(const cli_command *command)
{
    const cli_option *row;
    printf("    %s)\n        case $before in\n", command->name);
    for (size_t i = 0; (row = cli_option_at(command->syntax, i)); i++) {
        if (!row->argument || row->kind == CLI_OPTIONAL) continue;
        printf("        --%s", row->name);
        if (row->letter) printf("|-%c", row->letter);
        printf(") words='");
        if (has_words(row)) words(row);
        printf("' takes=1 ;;\n");
    }
    printf("        esac\n        options='");
    for (size_t i = 0; (row = cli_option_at(command->syntax, i)); i++) printf("%s--%s", i ? " " : "", row->name);
    printf("' ;;\n");
}

static void bash(void)
{
    printf("# bash completion of octet\n_octet()\n{\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words= options= takes=\n"
           "    COMPREPLY=()\n    if [ \"$COMP_CWORD\" = 1 ]; then\n        COMPREPLY=($(compgen -W '");
    for (const cli_command *c = cli_commands; c->name; c++) printf("%s ", c->name);
    printf("--help --version' -- \"$word\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n");
    for (const cli_command *c = cli_commands; c->name; c++) bash_verb(c);
    printf("    esac\n    if [ -n \"$words\" ]; then COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
           "    elif [ -z \"$takes\" ] && [[ $word == -* ]]; then COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
           "    else COMPREPLY=($(compgen -f -- \"$word\")); fi\n}\ncomplete -o filenames -F _octet octet\n");
}

/* ---- zsh and fish ---- */

/* Between single quotes; extra: bytes that a backslash must precede. */
static void quoted(const char *text, const char *extra)
{
    for (; *text; text++) {
        if (*text == '\'') printf("'\\'");
        else if (strchr(extra, *text)) putchar('\\');
        putchar(*text);
    }
}

static void zsh_option(const cli_option *row)
{
    printf("            '--%s%s[", row->name, !row->argument ? "" : row->kind == CLI_OPTIONAL ? "=-" : "=");
    quoted(row->help, "[]:\\");
    printf("]");
    if (row->argument) printf(":%s%s:", row->kind == CLI_OPTIONAL ? ":" : "", row->name);
    if (row->argument && has_words(row)) {
        putchar('(');
        words(row);
        putchar(')');
    } else if (row->argument) printf("_files");
    printf("' \\\n");
}

static void zsh(void)
{
    const cli_option *row;
    printf("#compdef octet\nlocal -a verbs\nverbs=(\n");
    for (const cli_command *c = cli_commands; c->name; c++) {
        printf("    '%s:", c->name);
        quoted(c->sentence, ":");
        printf("'\n");
    }
    printf(")\nif (( CURRENT == 2 )); then\n    _describe command verbs\nelse\n    local verb=$words[2]\n"
           "    shift words\n    (( CURRENT-- ))\n    case $verb in\n");
    for (const cli_command *c = cli_commands; c->name; c++) {
        printf("    %s)\n        _arguments \\\n", c->name);
        for (size_t i = 0; (row = cli_option_at(c->syntax, i)); i++) zsh_option(row);
        printf("            '*:file:_files' ;;\n");
    }
    printf("    esac\nfi\n");
}

static void fish_text(const char *text)
{
    printf(" -d '");
    for (; *text; text++) printf(*text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
    printf("'\n");
}

static void fish_option(const cli_command *c, const cli_option *row)
{
    printf("complete -c octet -n '__fish_seen_subcommand_from %s' -l %s", c->name, row->name);
    if (row->letter) printf(" -s %c", row->letter);
    if (row->argument && row->kind != CLI_OPTIONAL) printf(" -r");
    if (row->argument && has_words(row)) {
        printf(" -f -a '");
        words(row);
        putchar('\'');
    }
    fish_text(row->help);
}

static void fish(void)
{
    const cli_option *row;
    for (const cli_command *c = cli_commands; c->name; c++) {
        printf("complete -c octet -f -n __fish_use_subcommand -a %s", c->name);
        fish_text(c->sentence);
        for (size_t i = 0; (row = cli_option_at(c->syntax, i)); i++) fish_option(c, row);
    }
}

void cli_completion_print(const char *shell)
{
    if (!strcmp(shell, "bash")) bash();
    else if (!strcmp(shell, "zsh")) zsh();
    else fish();
}
