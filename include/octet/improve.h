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

/* How channels are scaled against each other. */
typedef enum octet_equalization {
    OCTET_EQUALIZE_SCALE = 0, /* activations: every channel up towards its tensor's range, half the way */
    OCTET_EQUALIZE_BALANCE,   /* activations against the weights that read them: for weights with a scale per channel */
    OCTET_EQUALIZE_BALANCE_TENSOR, /* also the weights that make them: for weights with one scale per tensor */
    OCTET_EQUALIZATIONS
} octet_equalization;

/* Scales channels of a fused float network (OCTET_STAGE_FUSED) so that int8 keeps more of it: k times larger where a
   channel is made, 1/k in the weights of everything that reads it, whatever homogeneous operators, residual sums and
   concatenations lie between. Outputs stay equal up to float rounding, for all inputs; channels that reach a network's
   border or an operator that does not scale keep their scale. A clamp from above whose channels get different factors
   becomes one without, and a Min with a bound per channel; octet_prepare makes one bound of them again, which clips
   nothing that data showed. Batch norms are folded. data gives the ranges of channels; NULL: the weights that make them
   stand for these (an OCTET_ERR_ARGUMENT for OCTET_EQUALIZE_SCALE). options may be NULL. Results do not depend on the
   number of threads. */
OCTET_API octet_status octet_equalize(octet_graph *graph, octet_equalization how, octet_dataset *data,
                                      const octet_calibrate_options *options, octet_error *err);

/* Two Conv or Gemm nodes, by name: the second reads what the first makes. */
typedef struct octet_pair {
    const char *first, *second;
} octet_pair;

/* PyTorch's torch.ao.quantization._equalize.equalize, on a fused float network: pair after pair, output channel c of
   the first and input channel c of the second come to reach equally far, s = sqrt(r1 / (r2 + 1e-9)), W1 /= s, b1 /= s,
   W2 *= s, with r = max - min of a channel's weights in float32; again, until the Frobenius norms of what the last step
   on each layer changed add up to less than threshold (PyTorch: 1e-4), 1000 rounds at most. The first round always
   runs. Batch norms are folded. Unlike PyTorch's: a channel with r1 or r2 = 0 stays as it is, a bias may be missing,
   layers may have groups, and a pair is refused (OCTET_ERR_ARGUMENT, the graph is not changed but for batch norms)
   where other factors than 1 would change the network: something that is not positively homogeneous lies between, or
   the values between have other writers or readers. *steps (may be NULL): pairs equalized, all rounds together. */
OCTET_API octet_status octet_equalize_pairs(octet_graph *graph, const octet_pair *pairs, size_t count, double threshold,
                                            size_t *steps, octet_error *err);

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
    const octet_qconfig    *qconfig; /* NULL: "octet" */
    octet_calibrate_options calibrate;
    bool                    equalize;
    octet_bias_correction   bias_correction;
    octet_rounding          rounding;
    size_t                  held_back; /* every so manieth sample judges the steps and is unknown to them; 0: 4 */
} octet_quantize_options;

/* What one step did, measured on the samples that were held back, at the output or at what a last Softmax or Sigmoid is
   fed; all earlier steps that were kept included. */
typedef struct octet_step_gain {
    const char *step;                /* "equalize", "round", "bias-correct" */
    double      before_db, after_db; /* SQNR of all samples as one vector */
    double      gain_db; /* mean of two views: all samples as one vector, and the mean over samples; what decides */
    bool        kept;
} octet_step_gain;

enum { OCTET_STEPS = 3 };

typedef struct octet_step_gains {
    size_t          count;
    octet_step_gain at[OCTET_STEPS]; /* in the order of trying */
} octet_step_gains;

/* From a float network to a quantized one of its own, which the caller frees: prepare, calibrate, the steps that are
   asked for, convert. gains (may be NULL): what was tried; the quantized network's decisions say the same. graph is
   fused if it is not, and otherwise stays as it is. Errors are those of octet_prepare, octet_calibrate, octet_convert;
   fewer than two samples for steps are OCTET_ERR_ARGUMENT. data may be NULL where options->calibrate has statistics and
   no step is asked for. options may be NULL. */
OCTET_API octet_status octet_quantize(octet_graph **quantized, octet_graph *graph, octet_dataset *data,
                                      const octet_quantize_options *options, octet_step_gains *gains, octet_error *err);

#endif
