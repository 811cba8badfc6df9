/* SPDX-License-Identifier: Apache-2.0 */
/* What comparing two networks is made of: three of them (the float one, the quantized one, and the quantized one's
   numbers as a float network, which tells what a sum was before it was rounded), layers, and workers that take a sample
   each. Sums are kept per sample and added in the order of samples. */
#ifndef OCTET_MEASURE_COMPARE_H
#define OCTET_MEASURE_COMPARE_H

#include <octet/report.h>

#include "engine/put.h"
#include "graph/op.h"
#include "measure/inputs.h"
#include "measure/sqnr.h"

enum { OCTET_COMPARED_OUTPUTS = 64 };

typedef struct octet_pairing octet_pairing;

/* One node of the quantized network and its twins. */
typedef struct octet_layer {
    const octet_node  *node;
    const octet_value *value;      /* node's output */
    const octet_value *reference;  /* the float network's value of that name */
    const octet_node  *unrounded;  /* the node in the unrounded network */
    const octet_node  *add;        /* the Add in whose accumulator node is summed, or NULL: it then has no value */
    bool               rounds;     /* something of it is quantized: its effects are worth measuring */
} octet_layer;

/* Sums of one layer. only, without: squared errors of every output, with only this layer quantized, and with only this
   layer in float; count: samples that they were measured on. */
typedef struct octet_layer_sums {
    octet_sqnr local, accumulated;
    double    *only, *without; /* one per output */
    double    *estimate;       /* of only, by whoever finishes samples */
    size_t     only_count, without_count;
} octet_layer_sums;

/* What of a layer's own error comes from where, as sums of squares at its output, and what its float values are like;
   from the samples that effects are measured on. An Add's sums count as its own. */
typedef struct octet_origins {
    double   weights;         /* with rounded weights and biases alone */
    double   inputs, cut;     /* with rounded inputs alone; with inputs cut to their ranges and not rounded */
    double   rounded, clipped; /* of the output itself: within its range, beyond it */
    double   total;           /* everything together */
    uint64_t beyond, count;   /* elements of the output beyond its range; all */
    size_t   channels;
    float   *lo, *hi;         /* per channel of the output: least and most */
    double  *shift, *squares; /* per channel: sums of the layer's own error, and of its squares */
    bool     seen;
} octet_origins;

/* What one sample adds, or all of them. */
typedef struct octet_compared {
    octet_layer_sums *layers;
    octet_origins    *origins; /* per layer, and then per input of the network */
    octet_sqnr        output; /* of the first, of all samples */
    double           *signal, *noise; /* squares per output, of the samples that effects are measured on */
    size_t            layer_count, origin_count, output_count;
    size_t            samples; /* whose layers were compared */
} octet_compared;

octet_status octet_compared_make(octet_compared *c, const octet_pairing *pairing, octet_arena *arena,
                                 octet_error *err);
/* Adds a sample's sums and clears them. */
void octet_compared_take(octet_compared *into, octet_compared *from);

/* What both networks are, for all workers. */
struct octet_pairing {
    octet_graph  *real, *quantized, *unrounded;
    octet_graph  *folded; /* the float network, its batch norms folded */
    octet_plan   *real_plan, *quantized_plan, *unrounded_plan;
    octet_inputs  source;  /* data, set by whoever makes the pairing, may be NULL: nothing is run then */
    octet_tensor *shapes;  /* of one sample's inputs, without data; NULL: as the networks say */
    octet_layer  *layers; /* in execution order */
    size_t        layer_count;
    octet_layer **by_value; /* of the quantized network's values; NULL: none */
    size_t        output_count, most; /* most: elements of the largest value */
    bool          has_integers; /* values that are computed and are no real numbers, which layers may read */
    const octet_value *first[2]; /* outputs of the float and of the quantized network; NULL: not comparable */
    const octet_value *outputs[OCTET_COMPARED_OUTPUTS][2]; /* where all outputs are judged (octet_judged_value) */
};

/* What is measured on a sample beyond the errors of layers: the output with one layer quantized, or in float; where
   the errors come from; what somebody else estimates. */
enum { OCTET_WANT_ONLY = 1, OCTET_WANT_WITHOUT = 2, OCTET_WANT_ORIGINS = 4, OCTET_WANT_ESTIMATE = 8 };

/* One sample at a time. */
typedef struct octet_comparing {
    const octet_pairing *pairing;
    octet_workspace     *real, *quantized; /* the networks as they are */
    octet_workspace     *fed;              /* quantized, every layer fed the float network's values */
    octet_workspace     *real_again, *quantized_again, *unrounded; /* of parts */
    octet_tensor        *inputs; /* of the sample in hand */
    float               *rooms[4];                        /* of the largest value each */
    const float         *outputs[OCTET_COMPARED_OUTPUTS];  /* of the float network's run; NULL: not comparable */
    float               *output_rooms[OCTET_COMPARED_OUTPUTS];
    octet_compared       sums; /* of this sample */
    unsigned             wanted; /* of this sample: OCTET_WANT bits */
    bool                 layers; /* whether this sample's layers are compared */
    /* Called with every layer's own result where the layer is fed the float network's values; NULL: nobody looks. */
    octet_status (*look)(void *context, const octet_layer *layer, const float *reference, const float *own,
                         octet_error *err);
    /* Called when all else of a sample is done; NULL: nobody. */
    octet_status (*finish)(void *context, struct octet_comparing *c, size_t sample, octet_error *err);
    void                *context; /* of both */
    octet_status         status;
    octet_error          error;
} octet_comparing;

/* ---- pairing.c ---- */

/* The float network that computes with quantized's numbers and rounds nothing: same names. The caller frees it. */
octet_status octet_unrounded(octet_graph **unrounded, const octet_graph *quantized, octet_error *err);

/* Both graphs are fused, source.data is set. Where they do not match: OCTET_ERR_SHAPE, naming the first node that
   differs. */
octet_status octet_pairing_make(octet_pairing *pairing, octet_graph *real, octet_graph *quantized,
                                const octet_evaluate_options *options, octet_arena *arena, octet_error *err);
void         octet_pairing_release(octet_pairing *pairing);

/* ---- sample.c ---- */

octet_status octet_comparing_make(octet_comparing *c, const octet_pairing *pairing, octet_arena *arena,
                                  octet_error *err);
void         octet_comparing_release(octet_comparing *c);

/* Adds the errors of a layer that has just run in `fed`, and puts the float network's value there. False: the plans do
   not keep it in blocks and in pixels (blocks.c). */
bool octet_compare_blocks(octet_comparing *c, const octet_layer *layer);

/* Adds what the sample in c->inputs shows to c->sums. */
octet_status octet_compare_sample(octet_comparing *c, octet_error *err);

/* ---- comparers.c ---- */

enum { OCTET_MOST_COMPARERS = 4 };

/* Workers that take samples beside each other. */
typedef struct octet_comparers {
    octet_pairing   pairing;
    octet_dataset  *data;
    size_t          total, first; /* samples, evenly spaced over data; the first worker's */
    size_t          layers;       /* of them, evenly spaced: those whose layers are compared */
    size_t          effects;      /* of them, evenly spaced: those of which `wanted` is measured, and layers, too */
    unsigned        wanted;
    octet_comparing workers[OCTET_MOST_COMPARERS];
    size_t          count;
    octet_compared  sums;
} octet_comparers;

/* data, total, effects and wanted are set; both graphs are fused. Released in any case. */
octet_status octet_comparers_make(octet_comparers *c, octet_graph *graphs[2], const octet_evaluate_options *options,
                                  octet_arena *arena, octet_error *err);
void         octet_comparers_release(octet_comparers *c);

/* Runs every sample; phase is what progress is called. */
octet_status octet_comparers_run(octet_comparers *c, const octet_evaluate_options *options, const char *phase,
                                 octet_error *err);

/* Where in data the sample of that number is, and whether it is one of `count`, evenly spaced. */
size_t octet_comparers_index(const octet_comparers *c, size_t sample);
bool   octet_comparers_choose(const octet_comparers *c, size_t sample, size_t count);

/* SQNR of several vectors, each relative to its own signal; those without signal do not count. NAN: none has. */
double octet_relative_db(const double *signal, const double *noise, size_t count);

/* SQNR of the outputs in dB: each one's noise relative to its own energy, the mean of all. */
double octet_outputs_db(const octet_compared *c, const double *noise);

/* ---- effect.c ---- */

/* Measures the output with these numbers in place of what the float network's layer computed. Uses rooms[2]. */
octet_status octet_effect_only(octet_comparing *c, const octet_layer *layer, const float *numbers, octet_error *err);

/* Measures the output of the quantized network with every layer in turn in float. After both runs. */
octet_status octet_effects_without(octet_comparing *c, octet_error *err);

/* ---- origin.c ---- */

octet_status octet_origins_make(octet_origins *o, const octet_pairing *pairing, size_t layer, octet_arena *arena,
                                octet_error *err);
void         octet_origins_take(octet_origins *into, octet_origins *from);

/* Adds what this sample shows of a layer, whose own result is given (rooms[0] and rooms[1] hold both). Uses rooms[2]
   and rooms[3]. */
octet_status octet_origins_gather(octet_comparing *c, const octet_layer *layer, const float *reference,
                                  const float *own, octet_error *err);
/* The same of the network's inputs. */
void octet_origins_gather_inputs(octet_comparing *c);

/* ---- cause.c ---- */

/* Sets cause and why of a layer (index in the pairing) from the sums of all samples. */
octet_status octet_find_cause(octet_layer_error *error, const octet_pairing *pairing, const octet_compared *sums,
                              size_t layer, octet_arena *arena, octet_error *err);

/* What find_cause holds for the origin of most of the error, for those who look for a remedy. */
typedef struct octet_finding {
    octet_cause        cause;
    bool               weights;  /* the origin is weights, not values */
    const octet_value *value;    /* whose range or levels they are (of the quantized network), or NULL */
    size_t             origin;   /* of value, in octet_compared.origins */
    double             share;    /* of the layer's own error */
    double             figure;   /* what the cause is judged by */
} octet_finding;

octet_finding octet_finding_of(const octet_pairing *pairing, const octet_compared *sums, size_t layer);

/* What a level of a tensor with one scale stands for. */
static inline float octet_level_real(const octet_qparams *q, int32_t level)
{
    return (float)(level - q->zero_point[0]) * q->scale[0];
}

/* Which input of graph value is. */
static inline size_t octet_compared_input(const octet_graph *graph, const octet_value *value)
{
    size_t i = 0;
    while (i + 1 < graph->input_count && graph->inputs[i] != value) i++;
    return i;
}

/* The value that origins[index] are of. */
const octet_value *octet_origin_value(const octet_pairing *pairing, size_t index);

/* Elements of a value. */
size_t octet_compared_count(const octet_plan *plan, const octet_value *value);

#endif
