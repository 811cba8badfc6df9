/* SPDX-License-Identifier: Apache-2.0 */
/* Counting elements and differences, per row of the report. */
#include "golden.h"

#include "ops/levels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static golden_row *row_of(golden_run *run, const char *what)
{
    for (size_t i = 0; i < run->row_count; i++)
        if (!strcmp(run->rows[i].what, what)) return &run->rows[i];
    if (run->row_count == GOLDEN_ROWS) return &run->rows[GOLDEN_ROWS - 1];
    golden_row *row = &run->rows[run->row_count++];
    snprintf(row->what, sizeof row->what, "%s", what);
    return row;
}

static void note(golden_case *c, const char *what, size_t count, size_t differing, size_t first, const char *values)
{
    golden_row *row = row_of(c->run, what);
    row->elements += count;
    row->differing += differing;
    c->compared += count;
    if (!differing) return;
    c->failed = true;
    printf("%s: %s: %zu of %zu differ, first at %zu: %s\n", c->name, what, differing, count, first, values);
    if (!row->first[0]) snprintf(row->first, sizeof row->first, "%s", c->name);
}

static bool same_float(float a, float b)
{
    uint32_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return x == y || (a == 0 && b == 0) || (a != a && b != b);
}

/* tolerance: one per element; NULL: none. */
void golden_note_near(golden_case *c, const char *row, const float *got, const float *want, const double *tolerance,
                      size_t count)
{
    size_t differing = 0, first = 0;
    char values[96] = "";
    for (size_t i = 0; i < count; i++) {
        if (same_float(got[i], want[i])) continue;
        if (tolerance && fabs((double)got[i] - want[i]) <= tolerance[i]) continue;
        if (!differing++) {
            first = i;
            snprintf(values, sizeof values, "got %.9g, recorded %.9g", (double)got[i], (double)want[i]);
        }
    }
    note(c, row, count, differing, first, values);
}

void golden_note_floats(golden_case *c, const char *row, const float *got, const float *want, size_t count)
{
    golden_note_near(c, row, got, want, NULL, count);
}

void golden_note_close(golden_case *c, const char *row, const float *got, const golden_array *want, double tolerance)
{
    double largest = 1;
    double *const within = golden_memory(c, want->count, sizeof *within);
    for (size_t i = 0; i < want->count; i++) largest = fmax(largest, fabs((double)want->real[i]));
    for (size_t i = 0; i < want->count; i++) within[i] = tolerance * largest;
    golden_note_near(c, row, got, want->real, within, want->count);
}

void golden_note_levels(golden_case *c, const char *row, const int32_t *got, const int32_t *want, size_t count,
                        int32_t tolerance)
{
    size_t differing = 0, first = 0;
    char values[96] = "";
    for (size_t i = 0; i < count; i++) {
        if (llabs((long long)got[i] - want[i]) <= tolerance) continue;
        if (!differing++) {
            first = i;
            snprintf(values, sizeof values, "got %d, recorded %d", got[i], want[i]);
        }
    }
    note(c, row, count, differing, first, values);
}

void golden_note_tensor(golden_case *c, const char *row, const octet_tensor *got, const golden_array *want,
                        int32_t tolerance)
{
    if ((size_t)octet_tensor_count(got) != want->count || !want->level) {
        golden_fail(c, "%s: %lld elements, recorded are %zu", row, (long long)octet_tensor_count(got), want->count);
        return;
    }
    int32_t *level = golden_memory(c, want->count, sizeof *level);
    octet_levels_load(level, got->data, got->dtype, 0, want->count, 0);
    golden_note_levels(c, row, level, want->level, want->count, tolerance);
}

double golden_decibels(const float *reference, const float *x, size_t count)
{
    double signal = 0, noise = 0;
    for (size_t i = 0; i < count; i++) {
        const double apart = (double)reference[i] - (double)x[i];
        signal += (double)reference[i] * (double)reference[i];
        noise += apart * apart;
    }
    return noise > 0 ? 10 * log10(signal / noise) : INFINITY;
}

void golden_skip(golden_case *c, const char *why) { snprintf(c->skipped, sizeof c->skipped, "%s", why); }
