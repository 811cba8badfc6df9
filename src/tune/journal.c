/* SPDX-License-Identifier: Apache-2.0 */
#include "tune/journal.h"

#include "tune/lines.h"
#include "tune/tune.h"

#include <stdio.h>
#include <string.h>

enum { LARGEST = 256 << 20 };

/* ---- the file ---- */

static octet_status take_line(octet_journal *journal, const octet_tune_identity *identity, const char *line,
                              size_t size, octet_error *err)
{
    return identity ? octet_line_check_identity(line, size, identity, err) : octet_line_take(journal, line, size, err);
}

/* The first line is the identity, every other a piece of work. */
static octet_status read_lines(octet_journal *journal, const char *text, size_t size,
                               const octet_tune_identity *identity, octet_error *err)
{
    size_t number = 0;
    for (const char *line = text, *const end = text + size; line < end;) {
        const char *const  stop   = memchr(line, '\n', (size_t)(end - line)); /* there is one: the appender saw to it */
        const octet_status status = take_line(journal, number++ ? NULL : identity, line, (size_t)(stop - line), err);
        if (status != OCTET_OK) {
            char where[48];
            snprintf(where, sizeof where, "line %zu", number);
            if (number > 1) octet_error_field(err, where);
            return status;
        }
        line = stop + 1;
    }
    return OCTET_OK;
}

/* Where not one line is whole, what is there must be the begin of the first one. */
static octet_status check_owner(const octet_journal *journal, const octet_file *file,
                                const octet_tune_identity *identity, octet_error *err)
{
    const char *const line = octet_line_of_identity(journal->arena, identity);
    if (!line) return octet_fail_memory(err);
    if (journal->file.size || (file->size < strlen(line) && !memcmp(line, file->data, file->size))) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_FORMAT, "not a journal of octet tune");
}

static octet_status read_bytes(octet_journal *journal, const octet_file *file, const octet_tune_identity *identity,
                               bool restart, octet_error *err)
{
    const octet_tune_identity none[] = { { 0 } };
    const char *const         text   = (const char *)file->data;
    const size_t              size   = journal->file.size;
    OCTET_TRY(check_owner(journal, file, identity, err));
    if (!restart) return read_lines(journal, text, size, identity, err);
    return size ? octet_line_check_identity(text, (size_t)((const char *)memchr(text, '\n', size) - text), none, err)
                : OCTET_OK;
}

/* Only a file that is known to be a journal is changed. */
static octet_status read_file(octet_journal *journal, const octet_tune_identity *identity, bool restart,
                              octet_error *err)
{
    octet_file file;
    OCTET_TRY(octet_file_read(&file, journal->file.path, LARGEST, err));
    const octet_status status = read_bytes(journal, &file, identity, restart, err);
    octet_file_close(&file);
    if (status != OCTET_OK) return status;
    return octet_appender_cut(&journal->file, restart, err);
}

static octet_status put(octet_journal *journal, const char *line, octet_error *err)
{
    if (!line) return octet_fail_memory(err);
    return journal->file.file ? octet_appender_add(&journal->file, line, err) : OCTET_OK;
}

octet_status octet_journal_open(octet_journal *journal, const char *path, const octet_tune_identity *identity,
                                bool restart, octet_error *err)
{
    *journal = (octet_journal){ .arena = octet_arena_new() };
    if (!journal->arena) return octet_fail_memory(err);
    if (!path) return OCTET_OK;
    OCTET_TRY(octet_appender_open(&journal->file, path, err));
    octet_status status = read_file(journal, identity, restart, err);
    if (status == OCTET_OK && !journal->file.size)
        status = put(journal, octet_line_of_identity(journal->arena, identity), err);
    if (status != OCTET_OK) octet_error_file(err, path);
    return status;
}

void octet_journal_close(octet_journal *journal)
{
    octet_appender_close(&journal->file);
    octet_arena_free(journal->arena);
    *journal = (octet_journal){ 0 };
}

/* ---- what is known ---- */

const octet_tune_trial *octet_journal_find(const octet_journal *journal, const octet_tune_config *config)
{
    for (size_t i = 0; i < journal->trial_count; i++)
        if (octet_tune_config_same(&journal->trials[i].config, config)) return &journal->trials[i];
    return NULL;
}

const octet_tune_gains *octet_journal_find_gains(const octet_journal *journal, const octet_tune_config *base)
{
    for (size_t i = 0; i < journal->gains_count; i++)
        if (octet_tune_config_same(&journal->gains[i].base, base)) return &journal->gains[i];
    return NULL;
}

static octet_status copy_floats(octet_tune_config *config, octet_arena *arena, octet_error *err)
{
    config->floats = octet_arena_copy_bytes(arena, config->floats, config->float_count * sizeof *config->floats);
    return config->floats ? OCTET_OK : octet_fail_memory(err);
}

octet_status octet_journal_remember(octet_journal *journal, const octet_tune_trial *trial, octet_error *err)
{
    octet_tune_trial copy = *trial;
    OCTET_TRY(copy_floats(&copy.config, journal->arena, err));
    if (!octet_arena_grow(journal->arena, &journal->trials, journal->trial_count, &journal->trial_capacity,
                          sizeof *journal->trials))
        return octet_fail_memory(err);
    journal->trials[journal->trial_count++] = copy;
    return OCTET_OK;
}

octet_status octet_journal_remember_gains(octet_journal *journal, const octet_tune_gains *gains, octet_error *err)
{
    octet_tune_gains copy = *gains;
    OCTET_TRY(copy_floats(&copy.base, journal->arena, err));
    copy.layers = octet_arena_copy_bytes(journal->arena, copy.layers, copy.layer_count * sizeof *copy.layers);
    if (!copy.layers || !octet_arena_grow(journal->arena, &journal->gains, journal->gains_count,
                                          &journal->gains_capacity, sizeof *journal->gains))
        return octet_fail_memory(err);
    journal->gains[journal->gains_count++] = copy;
    return OCTET_OK;
}

octet_status octet_journal_add(octet_journal *journal, const octet_tune_trial *trial, octet_error *err)
{
    OCTET_TRY(put(journal, octet_line_of_trial(journal->arena, trial), err));
    return octet_journal_remember(journal, trial, err);
}

octet_status octet_journal_add_gains(octet_journal *journal, const octet_tune_gains *gains, octet_error *err)
{
    OCTET_TRY(put(journal, octet_line_of_gains(journal->arena, gains), err));
    return octet_journal_remember_gains(journal, gains, err);
}

octet_status octet_journal_set_times(octet_journal *journal, const octet_tune_times *times, octet_error *err)
{
    OCTET_TRY(put(journal, octet_line_of_times(journal->arena, times), err));
    journal->times = *times;
    return OCTET_OK;
}
