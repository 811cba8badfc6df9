/* SPDX-License-Identifier: Apache-2.0 */
/* How far a quantized network's output is from the float one's on a few samples, kept sample by sample so that two
   quantized networks can be compared in pairs. Judged where octet_judged_value says. */
#ifndef OCTET_QUANTIZE_JUDGE_H
#define OCTET_QUANTIZE_JUDGE_H

#include <octet/quantize.h>

#include "graph/graph.h"

typedef struct octet_judge {
    octet_arena                   *arena;
    const octet_graph             *real;
    octet_dataset                 *data;
    const octet_calibrate_options *options;
    size_t                         samples, outputs;
    /* [sample * 2 * outputs + i]: what is judged of the float network for i below outputs, and then its outputs
       themselves where these are others */
    struct octet_judged_output *values;
} octet_judge;

/* Runs real on data and keeps its outputs; both must outlive the judge, which may be freed whatever comes back. */
octet_status octet_judge_open(octet_judge *judge, const octet_graph *real, octet_dataset *data,
                              const octet_calibrate_options *options, octet_error *err);
void         octet_judge_free(octet_judge *judge);

/* noise and signal, one per sample: squares of errors and of the float network's own values where they are judged; of
   several outputs each relative to its own signal. */
typedef struct octet_judgement {
    double *noise, *signal;
    size_t  samples;
    double  squashed; /* noise behind squashing functions, all samples together; 0 where there are none */
} octet_judgement;

/* Memory is the judge's. */
octet_status octet_judge_measure(octet_judgement *judgement, octet_judge *judge, const octet_graph *quantized,
                                 octet_error *err);

/* SQNR of all samples as one vector; +INFINITY where nothing differs. */
double octet_judgement_db(const octet_judgement *judgement);

/* How much better `after` is, in dB: the mean of two views, all samples as one vector, in which the worst weigh most,
   and the mean over samples, in which none does; but a loss of more than OCTET_LOSS_DB behind a squashing function
   counts instead. 0 where neither differs from float. */
#define OCTET_LOSS_DB 0.2
double octet_judgement_gain(const octet_judgement *before, const octet_judgement *after);

#endif
