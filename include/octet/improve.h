/* SPDX-License-Identifier: Apache-2.0 */
/* Steps beyond choosing ranges that make int8 lose less, each alone, and the whole way with each step kept only where
   it measures better. Sources: Nagel et al. 2019 (equalization, bias correction), Frantar et al. 2023 (GPTQ's objective
   for rounding). */
#ifndef OCTET_IMPROVE_H
#define OCTET_IMPROVE_H

#include <octet/quantize.h>

typedef enum octet_rounding {
    OCTET_ROUND_NEAREST = 0,
    OCTET_ROUND_FEEDBACK, /* error feedback, then coordinate descent, on the second moments of a layer's inputs */
} octet_rounding;

typedef enum octet_bias_correction {
    OCTET_BIAS_MEAN = 0,   /* of the weight rounding alone: part of every conversion */
    OCTET_BIAS_SEQUENTIAL, /* measured in the quantized network, layer after layer */
    OCTET_BIAS_ANALYTIC,   /* from batch norm statistics, without data */
} octet_bias_correction;

/* Balances weights across layers of a fused float network (OCTET_STAGE_FUSED): outputs stay equal up to float rounding.
   data (may be NULL: weights alone) gives the ranges of channels. options may be NULL. */
OCTET_API octet_status octet_equalize(octet_graph *graph, octet_dataset *data, const octet_calibrate_options *options,
                                      octet_error *err);

/* Of a calibrated network: weights move onto their grids so that the layer's output error on data is least, and biases
   take the mean of what is left; octet_convert then changes neither. options may be NULL. */
OCTET_API octet_status octet_round_weights(octet_graph *graph, octet_dataset *data,
                                           const octet_calibrate_options *options, octet_error *err);

/* Of a calibrated network, its weights rounded or not: biases take back the error of every layer's output in the
   quantized network, measured against the float network that was prepared; octet_convert then corrects no more. A
   layer without bias gets one. OCTET_BIAS_ANALYTIC needs no data (NULL): means come from batch norms (Nagel et al.
   2019), else from the calibration; biases that an earlier step has corrected stay. What was done is among the
   decisions. After an error some biases may be corrected and others not. Needs up to 300 MB, for as many samples as
   fit. options may be NULL. */
OCTET_API octet_status octet_correct_biases(octet_graph *graph, octet_bias_correction how, octet_dataset *data,
                                            const octet_calibrate_options *options, octet_error *err);

/* ---- the whole way ---- */

typedef struct octet_quantize_options {
    octet_calibrate_options calibrate;
    bool                    equalize;
    octet_bias_correction   bias_correction;
    octet_rounding          rounding;
    size_t                  held_back; /* every so manieth sample judges the steps and is unknown to them; 0: 4 */
} octet_quantize_options;

/* What one step did, measured on the samples that were held back. */
typedef struct octet_step_gain {
    const char *step;               /* "equalize", "round", "bias-correct" */
    double      before_db, after_db; /* output SQNR without and with it, all earlier steps that were kept included */
    bool        kept;
} octet_step_gain;

enum { OCTET_STEPS = 3 };

/* From a float network to a quantized one of its own, which the caller frees: prepare, calibrate, the steps that are
   asked for, convert. gains (OCTET_STEPS entries, may be NULL) and gain_count: what was tried. graph is fused if it is
   not, and otherwise stays as it is. options may be NULL. */
OCTET_API octet_status octet_quantize(octet_graph **quantized, octet_graph *graph, const octet_qconfig *qconfig,
                                      octet_dataset *data, const octet_quantize_options *options,
                                      octet_step_gain *gains, size_t *gain_count, octet_error *err);

#endif
