/* SPDX-License-Identifier: Apache-2.0 */
/* What a calibration has seen, as a thing that is kept, merged and used later. All counts and sums are integers:
   whichever way samples are ordered, split over files or threads, the statistics of all are the same, to the byte. */
#ifndef OCTET_STATISTICS_H
#define OCTET_STATISTICS_H

#include <octet/quantize.h>

/* Of one network, prepared by one qconfig: a histogram and a range per value, sums of what weighted nodes read, and the
   identity of every sample. (Moving averages depend on order: they are not there.) */
typedef struct octet_statistics octet_statistics;

/* One sample whose share is safe: its name, and the identity of what the network was fed. */
typedef void (*octet_sample_function)(void *context, const char *name, uint64_t identity);

typedef struct octet_gather_options {
    octet_calibrate_options calibrate;
    const char             *partial; /* a file that keeps what was gathered so far, written so often that it costs a
                                        twentieth of the time, from which the next run goes on; the caller removes it.
                                        NULL: none */
    bool                    restart; /* what lies there is replaced */
    octet_sample_function   sample;  /* called for each sample once it is safe; NULL: nobody asks */
    void                   *sample_context;
} octet_gather_options;

/* Runs the samples through graph (OCTET_STAGE_PREPARED, which it stays, and whose observers then hold something:
   prepare another for other uses). A sample that partial holds already is not run again; *resumed (may be NULL) says
   how many. A partial of another network or qconfig is OCTET_ERR_ARGUMENT, a damaged one OCTET_ERR_FORMAT. The caller
   frees *statistics. options may be NULL. */
OCTET_API octet_status octet_statistics_gather(octet_statistics **statistics, size_t *resumed, octet_graph *graph,
                                               octet_dataset *data, const octet_gather_options *options,
                                               octet_error *err);
OCTET_API void         octet_statistics_free(octet_statistics *statistics);

/* A file of one format, little-endian: "octetcal", version u32, bytes of the header u64, a header in JSON (hashes of
   model, of what is observed and of the samples, names), identities, histograms and sums as variable-length integers,
   XXH3 of all of it. */
OCTET_API octet_status octet_statistics_read(octet_statistics **statistics, const char *path, octet_error *err);
OCTET_API octet_status octet_statistics_write(const octet_statistics *statistics, const char *path, bool replace,
                                              octet_error *err);

/* Adds what other holds. Statistics of other networks, qconfigs or recipes are OCTET_ERR_ARGUMENT. *shared (may be
   NULL): samples that both hold, and that count twice from now on. */
OCTET_API octet_status octet_statistics_merge(octet_statistics *into, size_t *shared, const octet_statistics *other,
                                              octet_error *err);

OCTET_API size_t octet_statistics_count(const octet_statistics *statistics); /* samples */

/* The recipe that made the samples, as octet_recipe_print writes it, or NULL. */
OCTET_API const char *octet_statistics_recipe(const octet_statistics *statistics);

#endif
