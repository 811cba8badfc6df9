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

static void time_text(char *text, size_t size, double seconds)
{
    if (seconds < 60) snprintf(text, size, "%.0f s", seconds);
    else if (seconds < 3600) snprintf(text, size, "%d:%02d", (int)seconds / 60, (int)seconds % 60);
    else snprintf(text, size, "%.1f h", seconds / 3600);
}

static void show(cli_call *call, const octet_progress *progress, double left)
{
    char eta[32];
    if (call->progress.mode == 2) {
        fprintf(stderr, "{\"phase\": \"%s\", \"done\": %zu, \"total\": %zu, \"eta_seconds\": ", progress->phase,
                progress->done, progress->total);
        if (left >= 0) fprintf(stderr, "%.1f}\n", left);
        else fprintf(stderr, "null}\n");
        return;
    }
    time_text(eta, sizeof eta, left);
    fprintf(stderr, "\r%s %zu/%zu%s%s\033[K", progress->phase, progress->done, progress->total,
            left >= 0 ? ", ready in " : "", left >= 0 ? eta : "");
    fflush(stderr);
    call->progress.visible = true;
}

int cli_progress_step(void *context, const octet_progress *progress)
{
    cli_call *const call = context;
    if (!call->progress.mode) return 0;
    const double now = cli_now();
    if (strcmp(call->progress.phase, progress->phase) != 0) {
        snprintf(call->progress.phase, sizeof call->progress.phase, "%s", progress->phase);
        call->progress.began = now;
        call->progress.shown = 0;
    }
    if (now - call->progress.shown < 0.1 && progress->done < progress->total) return 0;
    const double passed = now - call->progress.began;
    const bool   known  = progress->done > 0 && progress->total >= progress->done && passed > 0.2;
    show(call, progress, known ? passed / (double)progress->done * (double)(progress->total - progress->done) : -1);
    call->progress.shown = now;
    return 0;
}

void cli_progress_end(cli_call *call)
{
    if (call->progress.visible) fputs("\r\033[K", stderr);
    call->progress.visible = false;
}
