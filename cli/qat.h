/* SPDX-License-Identifier: Apache-2.0 */
/* octet qat in three files: options, log, and the work itself. */
#ifndef OCTET_CLI_QAT_H
#define OCTET_CLI_QAT_H

#include "cli.h"

#include <stdio.h>

extern const cli_option qat_data_options[], qat_learn_options[], qat_train_options[], qat_run_options[];

/* The library's options from the texts given. */
octet_status qat_options(octet_train_options *train, const cli_args *args, octet_error *err);

/* Where a run tells how it goes: a line on a terminal, an epoch's line on stdout, JSON lines in --log. */
typedef struct qat_log {
    cli_call *call;
    FILE     *file;       /* NULL: no log */
    int       file_error; /* errno of the first write that failed, 0: none */
    octet_metric       metric; /* that epochs are shown by */
    octet_fit_progress last;
} qat_log;

/* Opens --log to append to it; refuses a file that is no log. */
octet_status qat_log_open(qat_log *log, cli_call *call, octet_error *err);
/* One line. Takes record. */
void         qat_log_write(qat_log *log, json_t *record);
json_t      *qat_log_record(const char *event);
/* Closes the file; an error if a line could not be written. */
octet_status qat_log_close(qat_log *log, octet_error *err);
int          qat_log_progress(void *log, const octet_fit_progress *progress); /* an octet_fit_function */

#endif
