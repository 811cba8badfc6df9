/* SPDX-License-Identifier: Apache-2.0 */
/* What ends the process from outside. Handlers do what is allowed there and nothing else: remove temporaries, write one
   line that was made beforehand, _exit. */
#include "cli.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static char vanished[300] = "octet: error: an input changed while it was read (got fewer bytes than before)\n";
static char late[200];

static void end(const char *line, int code)
{
    octet_temporary_remove_all();
    if (write(STDERR_FILENO, line, strlen(line)) < 0) _exit(code);
    _exit(code);
}

static void on_signal(int number)
{
    switch (number) {
    case SIGINT:
        end("octet: error: interrupted\n", 130);
        break;
    case SIGTERM:
        end("octet: error: terminated\n", 143);
        break;
    case SIGALRM:
        end(late, CLI_LIMIT);
        break;
    default:
        end(vanished, CLI_BAD_INPUT);
    }
}

void cli_signals_install(void)
{
    static const int handled[] = { SIGINT, SIGTERM, SIGALRM, SIGBUS };
    struct sigaction action    = { .sa_handler = on_signal };
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof handled / sizeof *handled; i++) {
        struct sigaction before;
        const bool       background = handled[i] == SIGINT && sigaction(SIGINT, NULL, &before) == 0 &&
                                before.sa_handler == SIG_IGN; /* nohup and "&" ignore it: so do we */
        if (!background) sigaction(handled[i], &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN); /* a closed stdout is found by the last flush */
    signal(SIGXFSZ, SIG_IGN); /* a file-size limit becomes a write error */
}

void cli_signals_input(const char *path)
{
    char name[160];
    octet_text_clean(name, sizeof name, path);
    snprintf(vanished, sizeof vanished,
             "octet: error: %s: file changed while it was read (got fewer bytes than before)\n", name);
}

void cli_signals_timeout(double seconds)
{
    snprintf(late, sizeof late, "octet: error: --timeout: work not done in time (got %g s, need more)\n", seconds);
    const double           whole = floor(seconds);
    const struct itimerval timer = { .it_value = { .tv_sec  = (time_t)whole,
                                                   .tv_usec = (suseconds_t)((seconds - whole) * 1e6) } };
    setitimer(ITIMER_REAL, &timer, NULL);
}
