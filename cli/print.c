/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people: results on stdout, messages on stderr, names from files made harmless. */
#include "cli.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool cli_talks(const cli_call *call)
{
    return !call->args.quiet && !(call->args.json && !strcmp(call->args.json, "-"));
}

void cli_say(cli_call *call, const char *format, ...)
{
    if (!cli_talks(call)) return;
    cli_progress_end(call);
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
}

void cli_warn(const cli_call *call, const char *text)
{
    if (call->args.quiet) return;
    while (*text) {
        char         line[260], raw[260];
        const size_t length = strcspn(text, "\n");
        snprintf(raw, sizeof raw, "%.*s", (int)(length < 255 ? length : 255), text);
        octet_text_clean(line, sizeof line, raw);
        if (*line) fprintf(stderr, "octet: warning: %s\n", line);
        text += length + (text[length] == '\n');
    }
}

void cli_report(const octet_error *err)
{
    char line[286]; /* with the prefix and the newline at most 300 */
    octet_error_line(line, sizeof line, err);
    char clean[286];
    octet_text_clean(clean, sizeof clean, line);
    fprintf(stderr, "octet: error: %s\n", clean);
}

const char *cli_clean(char clean[96], const char *text)
{
    octet_text_clean(clean, 96, text ? text : "");
    return clean;
}

const char *cli_bytes(char text[32], double bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    size_t                   unit    = 0;
    while (bytes >= 1024 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, 32, unit ? "%.2f %s" : "%.0f %s", bytes, units[unit]);
    return text;
}

const char *cli_decibel(char text[32], double value)
{
    if (isnan(value)) snprintf(text, 32, "-");
    else if (isinf(value)) snprintf(text, 32, "equal");
    else snprintf(text, 32, "%.2f dB", value);
    return text;
}

void cli_out_of_memory(void)
{
    static const char line[] = "octet: error: out of memory\n";
    octet_temporary_remove_all();
    if (write(STDERR_FILENO, line, sizeof line - 1) < 0) _exit(CLI_FAILED);
    _exit(CLI_FAILED);
}

void *cli_alloc(size_t count, size_t size)
{
    void *const memory = calloc(count ? count : 1, size);
    if (!memory) cli_out_of_memory();
    return memory;
}

void *cli_grow(void *items, size_t count, size_t size)
{
    void *const memory = reallocarray(items, count, size);
    if (!memory) cli_out_of_memory();
    return memory;
}
