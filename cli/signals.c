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

static volatile sig_atomic_t deferring, pending;

static const char *line_of(int number)
{
    return number == SIGINT    ? "octet: error: interrupted\n"
           : number == SIGTERM ? "octet: error: terminated\n"
           : number == SIGALRM ? late
                               : vanished;
}

static _Noreturn void end(int number)
{
    const char *const line = line_of(number);
    const int         code = number == SIGALRM ? CLI_LIMIT : number == SIGBUS ? CLI_BAD_INPUT : 128 + number;
    octet_temporary_remove_all();
    if (write(STDERR_FILENO, line, strlen(line)) < 0) _exit(code);
    _exit(code);
}

static void on_signal(int number)
{
    if (!deferring || pending || number == SIGBUS) end(number);
    pending = number;
}

void cli_signals_install(void)
{
    static const int handled[] = { SIGINT, SIGTERM, SIGALRM, SIGBUS };
    struct sigaction action    = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
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

void cli_signals_defer(bool on)
{
    deferring = on;
    if (!on && pending) end(pending);
}

bool cli_signals_pending(void) { return pending; }

void cli_signals_obey(const char *hint)
{
    const int number = pending;
    if (*hint) {
        fprintf(stderr, "%shint: %s\n", line_of(number), hint);
        _exit(number == SIGALRM ? CLI_LIMIT : 128 + number);
    }
    end(number);
}
