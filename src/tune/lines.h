/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a journal, each a JSON object with a "kind". Numbers have 17 digits, so that reading gives the same
   bits; null stands for what is no number, "inf" for infinity. */
#ifndef OCTET_TUNE_LINES_H
#define OCTET_TUNE_LINES_H

#include "tune/journal.h"

/* Made lines live in the arena, with their newline. NULL: memory is out. */
const char *octet_line_of_identity(octet_arena *arena, const octet_tune_identity *identity);
const char *octet_line_of_trial(octet_arena *arena, const octet_tune_trial *trial);
const char *octet_line_of_gains(octet_arena *arena, const octet_tune_gains *gains);
const char *octet_line_of_times(octet_arena *arena, const octet_tune_times *times);

/* One line of the file, taken into the journal's memory; OCTET_ERR_FORMAT says what is wrong with it. */
octet_status octet_line_take(octet_journal *journal, const char *line, size_t size, octet_error *err);

/* The first line: OCTET_ERR_FORMAT where it is of another search, and says what differs. */
octet_status octet_line_check_identity(const char *line, size_t size, const octet_tune_identity *identity,
                                       octet_error *err);

#endif
