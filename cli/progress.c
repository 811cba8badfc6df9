/* SPDX-License-Identifier: Apache-2.0 */
/* How far the work is, on stderr: one line that rewrites itself on a terminal, or JSON lines for programs. At most ten
   times a second. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double cli_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void cli_progress_begin(cli_call *call)
{
    const char *const wanted = call->args.progress ? call->args.progress : "auto";
    const char *const term   = getenv("TERM");
    const bool        plain  = !term || !strcmp(term, "dumb") || getenv("CI") || !isatty(STDERR_FILENO);
    call->progress.mode      = 0;
    if (!strcmp(wanted, "json")) call->progress.mode = 2;
    else if (!strcmp(wanted, "auto") && !plain && !call->args.quiet) call->progress.mode = 1;
}

const char *cli_time(char text[32], double seconds)
{
    if (!(seconds >= 0)) *text = '\0';
    else if (seconds < 60) snprintf(text, 32, "%.0f s", seconds);
    else if (seconds < 3600) snprintf(text, 32, "%d:%02d", (int)seconds / 60, (int)seconds % 60);
    else snprintf(text, 32, "%.1f h", seconds / 3600);
    return text;
}

bool cli_progress_due(cli_call *call, const char *phase, bool last)
{
    const double now = cli_now();
    if (!call->progress.mode) return false;
    if (strcmp(call->progress.phase, phase) != 0) {
        snprintf(call->progress.phase, sizeof call->progress.phase, "%s", phase);
        call->progress.began = now;
        call->progress.shown = 0;
    }
    if (now - call->progress.shown < 0.1 && !last) return false;
    call->progress.shown = now;
    return true;
}

void cli_progress_line(cli_call *call, const char *text)
{
    fprintf(stderr, "\r%s\033[K", text);
    fflush(stderr);
    call->progress.visible = true;
}

static void show(cli_call *call, const octet_progress *progress, double left)
{
    char text[160], eta[32];
    if (call->progress.mode == 2) {
        fprintf(stderr, "{\"phase\": \"%s\", \"done\": %zu, \"total\": %zu, \"eta_seconds\": ", progress->phase,
                progress->done, progress->total);
        if (left >= 0) fprintf(stderr, "%.1f}\n", left);
        else fprintf(stderr, "null}\n");
        return;
    }
    cli_time(eta, left);
    snprintf(text, sizeof text, "%.80s %zu/%zu%s%s", progress->phase, progress->done, progress->total,
             *eta ? ", ready in " : "", eta);
    cli_progress_line(call, text);
}

int cli_progress_step(void *context, const octet_progress *progress)
{
    cli_call *const call = context;
    if (!cli_progress_due(call, progress->phase, progress->done >= progress->total)) return 0;
    const double passed = call->progress.shown - call->progress.began;
    const bool   known  = progress->done > 0 && progress->total >= progress->done && passed > 0.2;
    show(call, progress, known ? passed / (double)progress->done * (double)(progress->total - progress->done) : -1);
    return 0;
}

void cli_progress_end(cli_call *call)
{
    if (call->progress.visible) fputs("\r\033[K", stderr);
    call->progress.visible = false;
}
