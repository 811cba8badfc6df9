/* SPDX-License-Identifier: Apache-2.0 */
/* What lives on a graph from prepare to convert: who shares parameters, who is watched, and what was seen. */
#ifndef OCTET_QUANTIZE_CALIBRATION_H
#define OCTET_QUANTIZE_CALIBRATION_H

#include <octet/quantize.h>

#include "base/parallel.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "observe/estimate.h"
#include "observe/observer.h"
#include "observe/qparams.h"

/* What a target wants. Zero = native. */
typedef struct octet_target {
    const char *name;
    bool        quantize_every_value; /* also between a Conv and the Add that could sum in its accumulator */
    bool        quantize_outputs;     /* graph outputs become levels and are dequantized */
    bool        quantize_sums;        /* also a sum that only nodes on real numbers read */
    bool        pools_share;          /* average pooling keeps its input's parameters */
    bool        concat_joins; /* a Concat shares parameters only with pieces of one value (adaptive pooling, window by
                                 window); what modules made stays apart */
    bool        observe_before_activation; /* except behind Conv and Gemm */
    bool        share_by_weight;      /* nodes of one weight share their output's parameters */
    bool        convs_give_levels;    /* also where nobody reads levels */
    bool        symmetric;            /* s8 with zero point 0 everywhere, weights within +-127 */
    bool        files_real_bias;      /* biases are levels, but files hold them as real numbers */
    bool        truncating_histogram; /* the method "histogram" is that of PyTorch 1.13 */
    bool        bytes_only;           /* no levels of 16 bits */
    bool        real_bias;            /* biases stay float32; no correction of weight rounding */
    const char *profile;              /* rounding of constants; NULL: octet */
} octet_target;

/* Makes qconfig one that target can read, or says what cannot be. */
octet_status octet_target_apply(octet_qconfig *qconfig, const octet_target *target, octet_error *err);

const octet_target *octet_target_find(const char *name); /* NULL name: native; NULL where there is none */

/* One tensor that a recording observer has kept. */
typedef struct octet_recorded {
    octet_tensor           tensor;
    struct octet_recorded *next; /* NULL: the last */
} octet_recorded;

/* Values that share one FakeQuantize. */
typedef struct octet_group {
    octet_fake_quantize *fake_quantize;
    octet_value         *representative; /* the value whose rounding stands for the group's in a search */
    const octet_layer_rule *rule;        /* how its range is found; NULL: as qconfig says */
    const octet_tensor_rule *tensor;     /* what was wanted of one of its values by name; NULL: nothing */
    octet_range          chosen;         /* by the search over the output, in force or not */
    const char          *chosen_method;  /* NULL: there was none */
    bool                 wide; /* levels of 16 bits (guilty.c) */
    double               loss; /* of the output, in force, as the search over the output measured it */
    octet_observer       observer;
    octet_recorded      *recorded, *last_recorded; /* in order, where the qconfig records */
    octet_lock          *lock; /* of the observer, which several values of the group may feed at once */
} octet_group;

/* Sum of a value over all samples, as exact integers: of every element the nearest whole number and what is left in
   units of OCTET_MEAN_FINE. Neither depends on what other samples hold, so sums do not depend on their order; 2^23
   samples cannot overflow them. */
typedef struct octet_mean {
    const octet_value *value;
    int64_t           *sum, *fine; /* NULL until the first sample; the value's shape with batch 1 */
    size_t             count;
} octet_mean;

#define OCTET_MEAN_FINE 0x1p-40

/* Largest magnitude of an element that is summed as it is. */
#define OCTET_MEAN_MOST 0x1p39

static inline double octet_mean_at(const octet_mean *mean, size_t element, uint64_t total)
{
    return ((double)mean->sum[element] + (double)mean->fine[element] * OCTET_MEAN_FINE) / (double)total;
}

/* One watched value, by value->index. */
typedef struct octet_watch {
    octet_group *group; /* NULL: not observed */
    octet_mean  *mean;  /* NULL: not averaged */
    octet_lock  *lock;  /* the group's, where there is one */
} octet_watch;

/* The float network's constants of a weighted node, whatever later steps make of them. */
typedef struct octet_original {
    const octet_tensor *weight, *bias; /* bias NULL: none */
} octet_original;

typedef struct octet_calibration {
    octet_qconfig       qconfig;
    const octet_target *target;
    octet_group        *groups;
    size_t              group_count;
    octet_mean         *means;
    size_t              mean_count;
    octet_watch        *watches; /* value_count entries */
    octet_node        **weighted; /* nodes whose constant weights become levels */
    octet_original     *originals; /* one per weighted node */
    size_t              weighted_count;
    octet_node        **recurrent; /* whose weights become levels at conversion */
    size_t              recurrent_count;
    octet_value       **operands; /* constants that Add, Mul, ... read as levels */
    size_t              operand_count;
    uint64_t            samples;
    bool                choice_pays;    /* the search's ranges are in force */
} octet_calibration;

/* Metadata that says for how many bits weights were made ("s4"): their levels alone do not. */
#define OCTET_WEIGHT_BITS "octet.weights"

/* A calibration of graph, with a copy of qconfig (NULL: "octet") and its target; nothing is watched yet. */
octet_status octet_calibration_new(octet_calibration **calibration, octet_graph *graph, const octet_qconfig *qconfig,
                                   octet_error *err);

/* A calibration of graph, which is fused, and a FakeQuantize without parameters on every value that becomes levels:
   groups, watches (of groups), weighted and operands say where. Constants get none yet. */
octet_status octet_place_fake_quantize(octet_graph *graph, const octet_qconfig *qconfig, octet_error *err);

/* Level range of one side of a qconfig, its defaults filled in. */
typedef struct octet_levels_range {
    octet_dtype dtype;
    int32_t     qmin, qmax;
} octet_levels_range;

octet_levels_range octet_quantizer_levels(const octet_quantizer *quantizer, bool weight);

/* ---- tensor_rules.c ---- */

/* The qconfig's rules for tensors, copied into the graph. */
octet_status octet_tensor_rules_copy(octet_qconfig *qconfig, octet_arena *arena, octet_error *err);

/* Gives every group its rule. A rule whose tensor does not become levels, or not as it says, is refused by name. */
octet_status octet_tensor_rules_place(octet_graph *graph, octet_error *err);

/* The rule for a tensor of that name; NULL: none. */
const octet_tensor_rule *octet_tensor_rule_find(const octet_calibration *calibration, const char *name);

/* What rule says of levels; scale and zero point become fixed ones. */
void octet_tensor_rule_quantizer(octet_quantizer *quantizer, const octet_tensor_rule *rule);

/* Replaces range number i, where rule gives one. */
void octet_tensor_rule_range(octet_range *range, const octet_tensor_rule *rule, size_t i);

/* Scale and zero point of a range, by quantizer's formula; those it gives where they are fixed. Of
   OCTET_FORMULA_TORCH_FLOAT the scale alone: octet_qparams_torch has its real zero point. */
octet_affine octet_quantizer_affine(const octet_quantizer *quantizer, bool weight, octet_range range);

/* The quantizer of what group holds: the qconfig's, with what its rules change, or in torch's targets the fixed one of
   a squashing function. */
octet_quantizer octet_group_quantizer(const octet_calibration *calibration, const octet_group *group);

/* The levels that a converted tensor may take, where those of its range were seen: torch forgets these of activations,
   and what lies beyond takes the rest of the type. */
octet_levels_range octet_stored_levels(const octet_calibration *calibration, octet_levels_range seen, bool weight);

/* Sets fq's parameters, one channel per range, by the formula of quantizer (graph's qconfig's weight, or one of
   activations). A range too small for a normal scale gets scale 1. */
octet_status octet_set_qparams(octet_graph *graph, octet_fake_quantize *fq, const octet_quantizer *quantizer,
                               const octet_range *ranges, int64_t count, octet_error *err);

/* The range that group's method finds in what its observer saw, and that method's name. */
octet_status octet_group_range(octet_range *range, const char **method, const octet_graph *graph,
                               const octet_group *group, octet_error *err);

/* Chooses every group's range by the model's output (choose.c). */
octet_status octet_choose_by_output(octet_graph *graph, octet_dataset *data, const octet_calibrate_options *options,
                                    octet_error *err);

/* octet_calibrate for a graph that was prepared from the network of from, which is calibrated and must live until graph
   is converted, but with other layers kept float: what from knows is taken over, and samples are run only where it does
   not know all. */
octet_status octet_calibrate_like(octet_graph *graph, const octet_graph *from, octet_dataset *data,
                                  const octet_calibrate_options *options, octet_error *err);

/* A FakeQuantize with the parameters of node's constant weights. */
octet_status octet_prepare_weight(octet_graph *graph, octet_node *node, octet_error *err);

/* The same of the constant input slot, whose output channels lie along axis. */
octet_status octet_prepare_constant(octet_graph *graph, octet_node *node, int slot, int axis, octet_error *err);

/* ---- dynamic.c ---- */

/* LSTM, GRU or RNN. */
bool octet_is_recurrent(const octet_node *node);

/* Sets node->dynamic and records that. */
octet_status octet_make_dynamic(octet_graph *graph, octet_node *node, octet_dynamic dynamic, octet_error *err);

/* Decides how a recurrent node is quantized: dynamically unless the qconfig wants it otherwise. */
octet_status octet_place_recurrent(octet_graph *graph, octet_node *node, bool keep_float, octet_error *err);

/* The weights of recurrent nodes get FakeQuantize. */
octet_status octet_convert_dynamic(octet_graph *graph, octet_error *err);

/* float16: constant weights are rounded to IEEE halves, and stay real. */
octet_status octet_halve_weights(octet_graph *graph, octet_error *err);

/* The smallest float32 scale of node's weights with which channel's bias stays within +-2^30; 0 where any does. */
float octet_least_weight_scale(const octet_node *node, int64_t channel);

/* Raises weight scales whose bias would not fit (numerics section 2). */
octet_status octet_raise_weight_scales(octet_graph *graph, octet_node *node, octet_error *err);

/* bias += mean over positions of (W - Wq) applied to the mean input, where that can be done. before: W where a step has
   moved the weights since; NULL: they are W. mean: the input's, one sample; NULL: as calibration saw it. */
octet_status octet_correct_bias(octet_graph *graph, octet_node *node, const float *before, const octet_tensor *mean,
                                octet_error *err);

/* node, a Conv, Gemm or MatMul, applied to x with other weights and no bias; out lives in arena. */
octet_status octet_weighted_apply(octet_tensor *out, const octet_node *node, const octet_tensor *x,
                                  const octet_tensor *weight, octet_arena *arena, octet_error *err);

/* The mean of node's input over all samples, which calibration must have seen. */
octet_status octet_mean_image(octet_tensor *x, const octet_calibration *c, const octet_node *node, octet_arena *arena,
                              octet_error *err);

/* Decides OCTET_INPUT_UNUSUAL where the samples cannot be what the network was trained on (input_check.c). */
octet_status octet_check_input(octet_graph *graph, octet_error *err);

/* Raises weight scales where they must be, and, unless biases have been corrected or shall not be, for every node that
   sums integers: bias += mean over positions of (W - Wq) applied to the mean input. */
octet_status octet_correct_means(octet_graph *graph, octet_error *err);

#endif
