/* SPDX-License-Identifier: Apache-2.0 */
/* Biases that take back the error a layer shows in the quantized network. */
#ifndef OCTET_QUANTIZE_CORRECT_BIASES_H
#define OCTET_QUANTIZE_CORRECT_BIASES_H

#include <octet/improve.h>

/* What a sequential correction did. */
typedef struct octet_bias_work {
    size_t layers;          /* whose biases could be corrected */
    size_t depth, samples;  /* levels of depth; samples that were walked with */
    size_t node_runs;       /* nodes executed on one sample each, in both networks */
} octet_bias_work;

/* octet_correct_biases(OCTET_BIAS_SEQUENTIAL), and what it did. */
octet_status octet_correct_biases_sequentially(octet_bias_work *work, octet_graph *graph, octet_dataset *data,
                                               const octet_calibrate_options *options, octet_error *err);

/* octet_correct_biases(OCTET_BIAS_ANALYTIC). */
octet_status octet_correct_biases_analytically(octet_graph *graph, octet_error *err);

#endif
