/* SPDX-License-Identifier: Apache-2.0 */
/* From a float network to an int8 one: fuse, prepare, calibrate, convert. */
#ifndef OCTET_QUANTIZE_H
#define OCTET_QUANTIZE_H

#include <octet/dataset.h>
#include <octet/graph.h>

/* How a range is found from what an observer has seen. */
typedef enum octet_method {
    OCTET_METHOD_OUTPUT = 0, /* per tensor, the range that hurts the model's output least */
    OCTET_METHOD_MINMAX,
    OCTET_METHOD_MOVING_AVERAGE,
    OCTET_METHOD_PERCENTILE,
    OCTET_METHOD_MSE,
    OCTET_METHOD_ENTROPY,        /* the range whose levels tell least apart from the values (Kullback-Leibler) */
    OCTET_METHOD_HISTOGRAM,      /* PyTorch's HistogramObserver since 2.0; it and the next depend on batches */
    OCTET_METHOD_HISTOGRAM_1_13, /* the same up to 1.13, which drops values beyond whole numbers */
    OCTET_METHOD_COUNT
} octet_method;

/* Which arithmetic turns a range into scale and zero point. */
typedef enum octet_formula {
    OCTET_FORMULA_OCTET = 0, /* numerics section 1: one division, in double */
    OCTET_FORMULA_TORCH,     /* PyTorch's _calculate_qparams: float32, eps, symmetric over 127.5 */
    OCTET_FORMULA_TORCH_FLOAT, /* the same of per_channel_affine_float_qparams: the zero point is a real number */
} octet_formula;

/* How a value is quantized while a network trains (PyTorch's classes in brackets). */
typedef enum octet_fake {
    OCTET_FAKE_OBSERVED = 0, /* a moving observer's range becomes the parameters [FakeQuantize] */
    OCTET_FAKE_FUSED,        /* the same, parameters by ChooseQuantizationParams [FusedMovingAvgObsFakeQuantize] */
    OCTET_FAKE_LEARNED,      /* scale and zero point are trained: LSQ [_LearnableFakeQuantize] */
    OCTET_FAKE_FIXED,        /* scale and zero point are given [FixedQParamsFakeQuantize] */
} octet_fake;

/* What watches a value until its parameters are known (PyTorch's classes in brackets). */
typedef enum octet_observing {
    OCTET_OBSERVE_RANGE = 0, /* what method reads [MinMaxObserver, MovingAverage..., Histogram..., PerChannel...] */
    OCTET_OBSERVE_NOTHING,   /* nothing: there is a type, at most [PlaceholderObserver, NoopObserver] */
    OCTET_OBSERVE_RECORD,    /* every tensor is kept, and no parameters are found [RecordingObserver] */
    OCTET_OBSERVE_INPUT,     /* nothing: parameters are those of the input [ReuseInputObserver] */
} octet_observing;

/* One side of a qconfig. Zero is a valid default for every member. */
typedef struct octet_quantizer {
    octet_method  method;
    double        percentile;  /* in (50, 100]; 0: 99.99 */
    octet_dtype   dtype;       /* OCTET_NONE: u8 for activations, s8 for weights; OCTET_F16: rounded, not levels */
    int32_t       qmin, qmax;  /* both 0: the dtype's range (weights: symmetric, without the lowest level) */
    bool          symmetric;   /* zero point fixed */
    bool          per_channel; /* weights only */
    float         averaging;   /* of the moving average; 0: 0.01 */
    octet_formula formula;
    octet_dynamic dynamic;      /* activations only: parameters are made of every input while the network runs */
    bool          off;          /* this side stays real: weight-only and activation-only quantization */
    bool          reduce_range; /* PyTorch's: qmin and qmax are floor-divided by 2 */
    float         eps;          /* the least scale; 0: 2^-23 in PyTorch's formulas, any normal one in octet's */
    octet_fake    fake;
    float         fixed_scale;      /* of OCTET_FAKE_FIXED: normal and positive */
    int32_t       fixed_zero_point; /* of OCTET_FAKE_FIXED: one of the levels */
    octet_observing observing;
    int64_t       group; /* weights only: a scale for each so many input channels of an output channel; 0: none. Needs
                            the activations of the layers to be real */
} octet_quantizer;

/* A rule for layers whose name matches a glob (* and ?); the last match wins. */
typedef struct octet_layer_rule {
    const char  *match;
    bool         keep_float;
    bool         ranges; /* of their results are found by method and percentile, whatever the others do */
    octet_method method; /* minmax, percentile or mse */
    double       percentile;
    octet_dtype  dtype; /* of their results' levels: OCTET_I16 or OCTET_U16; OCTET_NONE: as the qconfig says */
    char         weights[4]; /* type of their weights, as octet_qconfig_bits has it; "": as the qconfig says */
} octet_layer_rule;

/* What is wanted of one tensor, a value that becomes levels or weights that do, by its name: what ONNX Runtime calls
   TensorQuantOverrides. Members that are zero ask for nothing. */
typedef struct octet_tensor_rule {
    const char    *name;
    octet_dtype    dtype;      /* u8, s8, u16 or s16; of weights s8 */
    bool           symmetric, asymmetric; /* at most one */
    bool           reduce_range;
    size_t         count;      /* entries of each list below: 1, or one for each channel along axis (weights only) */
    bool           per_channel; /* weights only: one scale for each channel along axis, also where count is below 2 */
    int            axis;       /* below 0: from the end */
    const float   *scale;      /* with zero_point; NULL: from the range */
    const int32_t *zero_point;
    const float   *low, *high; /* the range, both or none; NULL: that of the samples, or of the weights */
} octet_tensor_rule;

typedef struct octet_qconfig {
    const char             *name;
    octet_quantizer         activation, weight;
    const char             *target; /* "native" (NULL), "portable" */
    const octet_layer_rule *layers;
    size_t                  layer_count;
    const octet_tensor_rule *tensors;
    size_t                  tensor_count;
    bool                    no_bias_correction; /* leave the mean effect of weight rounding in */
    bool                    embeddings; /* the constant tables of Gather become levels, as embedding says. Else they
                                           do as weight says where weights alone are quantized, or not at all */
    octet_quantizer         embedding;
    octet_dtype             input, output; /* OCTET_U8 or OCTET_I8: the network's real inputs (outputs) become levels of
                                              that type, all of them; octet_expose_levels then lets these cross the
                                              border. OCTET_NONE: real numbers do */
} octet_qconfig;

/* A named row, NULL where there is none; octet_qconfig_name lists them (NULL past the end). Copy a row to change it.
   "octet" is octet's own, "octet_qat" and "octet_lsq" are its own for training; all others are PyTorch's, by their
   names there without "_qconfig" (which, like a leading "default_", may be written, too: "default_per_channel_qconfig"
   is "per_channel") and, "fbgemm", "x86", "qnnpack" and "onednn", those of get_default_qconfig. */
OCTET_API const octet_qconfig *octet_qconfig_find(const char *name);
OCTET_API const char          *octet_qconfig_name(size_t index);

/* PyTorch's get_default_qconfig: backend "fbgemm" (NULL), "x86", "qnnpack", "onednn" or any other ("default"), version
   0. NULL for another version. */
OCTET_API const octet_qconfig *octet_default_qconfig_find(const char *backend, int version);

/* PyTorch's get_default_qat_qconfig: backend "fbgemm" (NULL), "x86", "qnnpack", "onednn" or any other, version 0 or 1
   (the fused form, PyTorch's default). NULL for another version. */
OCTET_API const octet_qconfig *octet_qat_qconfig_find(const char *backend, int version);
OCTET_API const char          *octet_target_name(size_t index);
OCTET_API const char          *octet_method_name(octet_method method);

/* Reads what a rule asks for: "float", "minmax", "mse", "percentile", "percentile:99.9", "s16" or "u16" (results of 16
   bits, whose range is that of the samples), "s2" to "s8" or "u2" to "u8" (weights of so many bits; unsigned ones where
   weights alone are quantized). rule->match stays. */
OCTET_API octet_status octet_layer_rule_parse(octet_layer_rule *rule, const char *text, octet_error *err);

/* The same back: writes such a text. */
OCTET_API void octet_layer_rule_print(char *text, size_t size, const octet_layer_rule *rule);

/* Sets how many bits each side has: weights "s2" to "s8", activations "u2" to "u8", "s2" to "s8", "u16" or "s16",
   either "f32" (that side stays real) or NULL (as it is). Where activations are real, weights may be "u2" to "u8", too,
   and signed ones use the lowest level. */
OCTET_API octet_status octet_qconfig_bits(octet_qconfig *qconfig, const char *weights, const char *activations,
                                          octet_error *err);

/* How tables of embeddings become levels: a type as of weights, in groups of so many numbers of a row or one scale a
   row; "float_qparams" or "float_qparams_4bit" (PyTorch's, with a real zero point); "float": they stay. */
OCTET_API octet_status octet_qconfig_embeddings(octet_qconfig *qconfig, const char *how, octet_error *err);

/* Folds constants, drops dead and identity nodes, attaches batch norm, absorbs activations. Outputs stay equal up
   to float rounding. */
OCTET_API octet_status octet_fuse(octet_graph *graph, octet_error *err);

/* Folds batch norm and puts observers where qconfig (NULL: "octet") and its target ask for them. A layer rule that
   matches nothing is OCTET_ERR_ARGUMENT, and so is a tensor rule whose tensor is not there or does not become levels.
   qconfig is copied. */
OCTET_API octet_status octet_prepare(octet_graph *graph, const octet_qconfig *qconfig, octet_error *err);

typedef struct octet_progress {
    const char *phase; /* "calibrate", "choose ranges", "second moments", "round weights", "evaluate" */
    size_t      done, total;
} octet_progress;

/* Called now and then from the calling thread; a return value other than 0 ends the work with OCTET_ERR_ARGUMENT
   and the text "interrupted". */
typedef int (*octet_progress_function)(void *context, const octet_progress *progress);

typedef struct octet_calibrate_options {
    int                     threads; /* 0: all */
    size_t                  batch;   /* samples that order-dependent methods observe at once; 0: 1 */
    size_t                  choose_samples; /* of OCTET_METHOD_OUTPUT; 0: 16 to 64 by the network's size */
    octet_limits            limits;
    octet_progress_function progress;
    void                   *progress_context;
    const struct octet_statistics *statistics; /* what the samples showed earlier (octet/statistics.h): nothing is
                                                  observed, and data serves OCTET_METHOD_OUTPUT alone */
} octet_calibrate_options;

/* What the decision is about that calibration makes where samples cannot be what the network was trained on. */
#define OCTET_INPUT_UNUSUAL "unusual input"

/* Runs the samples through the float network, lets every observer see its value, and chooses all ranges. data may be
   NULL where nothing observes (activations stay real); options may be NULL. */
OCTET_API octet_status octet_calibrate(octet_graph *graph, octet_dataset *data, const octet_calibrate_options *options,
                                       octet_error *err);

/* Makes weights and biases integers, corrects biases for the mean effect of weight rounding, proves that no sum can
   overflow. */
OCTET_API octet_status octet_convert(octet_graph *graph, octet_error *err);

/* Of a quantized graph whose qconfig asked for it: from now on real inputs (outputs) are given (taken) as their levels,
   and so they are in its file: octet_port.levels. One that is not kept as levels of all of a type's range is
   OCTET_ERR_UNSUPPORTED. */
OCTET_API octet_status octet_expose_levels(octet_graph *graph, bool inputs, bool outputs, octet_error *err);

#endif
