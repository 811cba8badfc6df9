/* SPDX-License-Identifier: Apache-2.0 */
/* What a tape is made of. A step is one node: its bare result z (linear or not), then the epilogue

     z -> per-channel affine (bias, batch norm) -> clamp (an absorbed activation) -> FakeQuantize -> value

   of which most steps have a part only. Backward goes the same way back: a value's gradient becomes z's in place. */
#ifndef OCTET_TRAIN_STEPS_H
#define OCTET_TRAIN_STEPS_H

#include "graph/op.h"
#include "train/tape.h"

enum { OCTET_TAPE_SLICES = 8, OCTET_TAPE_INPUTS = 8 };

/* A constant table from which steps pick rows, and which is trained. */
typedef struct octet_tape_table {
    struct octet_tape_slot *slot; /* whose real numbers are what the steps read: the parameter, quantized */
    octet_parameter        *parameter;
    octet_trained          *trained;
    octet_channel_shape     shape; /* channels are rows */
} octet_tape_table;

typedef struct octet_tape_slot {
    const octet_value *value;
    octet_tensor       real;     /* as readers see it; data of constants, or the tape's */
    octet_tensor       levels;   /* data NULL: none; while integers are used */
    octet_tensor       gradient; /* data NULL: none wanted */
    const octet_tensor *sums;    /* while integers are used: what a fused Add reads instead, in its own unit; or NULL */
    octet_parameter   *parameter; /* a constant that is trained itself; data and gradient are its own; NULL: none */
    octet_trained     *trained;  /* FakeQuantize that is applied here; NULL: none, or where the levels came from */
    bool               known;    /* a constant, or computed from shapes alone */
    bool               touched;  /* backward has added to the gradient */
    bool               pixels;   /* all three lie channels last (train/pixels.h), though dims are the graph's */
    void              *shown[3]; /* copies in the graph's order for whoever asks; NULL: not yet */
} octet_tape_slot;

/* An input that a step reads in the other order of pixels and planes than it lies in: copies of it, in memory that all
   steps share. */
typedef struct octet_tape_turn {
    bool         on;
    octet_tensor real, gradient; /* gradient.data NULL: none wanted */
    octet_tensor other;          /* what else is read in place of real */
} octet_tape_turn;

typedef struct octet_tape_fast octet_tape_fast; /* fast.c's */
typedef struct octet_tape_rows octet_tape_rows; /* rows.c's */

/* A Conv, Gemm or MatMul with constant weights. Per-channel numbers are doubles whatever the tape's type. */
typedef struct octet_tape_linear {
    int                 weight_axis;
    octet_channel_shape weight_shape; /* channels along the axis */
    size_t              weight_groups; /* of rows of that shape: output channels are those of each in turn */
    octet_parameter    *weight, *bias, *gamma, *beta; /* bias and the batch norm's: NULL where there is none */
    octet_parameter    *mean, *variance;              /* running */
    float               epsilon, momentum;
    octet_trained      *trained; /* of the weights */
    void               *scaled;  /* weights times k, before FakeQuantize; the tape's type */
    void               *used;    /* after it */
    void               *gradient; /* of used, one per slice */
    double             *k;       /* gamma / deviation of the running statistics; 1 without batch norm */
    double             *batch_mean, *batch_rstd; /* of z (approximate path), of the plain product (slow path) */
    double             *factors; /* of z's gradient: 3 per channel */
    void               *plain;   /* slow path: the product with the weights as they are */
    bool                live, slow; /* how the last forward pass went */
} octet_tape_linear;

typedef struct octet_tape_step {
    const octet_node    *node;
    octet_node           bare; /* the node without batch norm and activation */
    octet_tape_slot    **in, **out;
    const octet_tensor **in_tensors;
    octet_tensor       **out_tensors; /* out_tensors[0] is &z */
    const octet_tensor **dout;        /* room for backward */
    octet_tensor       **din;
    octet_call           call;
    octet_tensor         z; /* of output 0; its data is the value's where there is no epilogue */
    octet_tape_linear   *linear; /* NULL: none */
    octet_tape_fast     *fast;   /* a linear step that is multiplied channels last; NULL: by definition */
    octet_tape_turn     *turn;   /* one per input */
    octet_channel_shape  shape;  /* of z, by channels of the affine */
    double              *scale, *shift; /* of the affine, one per channel; NULL: none */
    bool                 has_epilogue;
    bool                 rows;       /* it goes by the kernels of rows.c */
    bool                 elements;   /* slices cut all of its tensors along dimension 0 */
    bool                 samples;    /* slices cut its first input */
    bool                 wanted;     /* backward has something to do */
    const octet_node    *quantized;  /* the node of the quantized graph, while integers are used */
    octet_node           integer;    /* that without activation */
    octet_node_mode      mode;
    const octet_tensor **integer_in; /* room for the integer rule */
    octet_tensor       **integer_out;
    float                unit;       /* of z, while integers are used: 0 or the scale it is in */
} octet_tape_step;

struct octet_tape {
    octet_arena         *arena;
    const octet_graph   *graph, *quantized;
    octet_tape_options   options;
    octet_dtype          dtype;
    size_t               element; /* bytes of a real number */
    octet_tape_slot     *values;  /* by value->index */
    octet_tape_step     *steps;
    size_t               step_count;
    octet_parameter     *parameters, *statistics;
    size_t               parameter_count, statistic_count;
    octet_tape_table    *tables;
    size_t               table_count;
    bool                 batch_norm_frozen, training;
    void                *scratch; /* of operators */
    size_t               scratch_bytes; /* for each slice */
    void                *integer_scratch;
    size_t               integer_scratch_bytes;
    void                *before;  /* of FakeQuantize in backward: as large as the largest value that has one */
    float               *narrow[2]; /* a tape of doubles: room for FakeQuantize's floats */
    double              *row_sums; /* OCTET_TAPE_SLICES times 2 times the channels of rows.c */
    octet_tape_rows     *rows;
    double              *sums;    /* OCTET_TAPE_SLICES times 4 times channels */
    char                *turned;  /* room for the inputs that a step reads turned, and their gradients */
    char                *lanes;   /* of fast steps: room of each thread */
    size_t               lane_bytes;
    float               *partial; /* of fast steps: a gradient of weights per slice */
};

/* ---- numbers_template.h, once per type: elements are the tape's type, ranges are of `outer` ---- */

typedef struct octet_tape_numbers {
    /* y[o][c][i] = x[o][c][i] * k[c] */
    void (*scale)(void *y, const void *x, const double *k, const octet_channel_shape *shape);
    /* k = gamma / sqrt(variance + epsilon), rounded after each operation; by_reciprocal: gamma * (1 / sqrt(...)) */
    void (*norm_scale)(double *k, const octet_tape_linear *linear, bool by_reciprocal);
    /* y = clamp(z * scale + shift), outer from first to last */
    void (*affine)(void *y, const octet_tape_step *step, size_t first, size_t last);
    /* d = 0 where z * scale + shift was outside the clamp */
    void (*clamp_gradient)(void *d, const octet_tape_step *step, size_t first, size_t last);
    /* sum[c] += x, or += (x - mean[c])^2 where mean is given */
    void (*moments)(double *sum, const void *x, const double *mean, const octet_channel_shape *shape, size_t first,
                    size_t last);
    /* sum[c] += d, sum[channels + c] += d * z */
    void (*gradient_moments)(double *sum, const void *d, const void *z, const octet_channel_shape *shape,
                             size_t first, size_t last);
    /* d = d * a[c] + z * b[c] + e[c] */
    void (*combine)(void *d, const void *z, const double *const factors[3], const octet_channel_shape *shape,
                    size_t first, size_t last);
    /* sum[c] += sum over the channel of a * b */
    void (*dot)(double *sum, const void *a, const void *b, const octet_channel_shape *shape);
    /* into[i] += from[i] * k[c] */
    void (*add_scaled)(void *into, const void *from, const double *k, const octet_channel_shape *shape);
} octet_tape_numbers;

extern const octet_tape_numbers octet_tape_floats, octet_tape_doubles;

static inline const octet_tape_numbers *octet_tape_numbers_of(const octet_tape *tape)
{
    return tape->dtype == OCTET_F64 ? &octet_tape_doubles : &octet_tape_floats;
}

static inline double octet_parameter_at(const octet_parameter *p, size_t i)
{
    return p->dtype == OCTET_F64 ? ((const double *)p->value)[i] : (double)((const float *)p->value)[i];
}

static inline void octet_parameter_set(const octet_parameter *p, size_t i, double x)
{
    if (p->dtype == OCTET_F64) ((double *)p->value)[i] = x;
    else ((float *)p->value)[i] = (float)x;
}

static inline void octet_parameter_add_gradient(const octet_parameter *p, size_t i, double x)
{
    if (!p) return;
    if (p->dtype == OCTET_F64) ((double *)p->gradient)[i] += x;
    else ((float *)p->gradient)[i] += (float)x;
}

static inline size_t octet_slice_begin(size_t n, size_t slice) { return n * slice / OCTET_TAPE_SLICES; }

/* ---- parameters.c ---- */

/* The parameter of a constant (which two nodes may read), of a batch norm, of learned scales. */
octet_status octet_constant_parameter(octet_parameter **made, octet_tape *tape, const octet_value *value,
                                      octet_parameter_kind kind, octet_error *err);
octet_status octet_batch_norm_parameters(octet_tape *tape, octet_tape_linear *linear, const octet_batch_norm *norm,
                                         octet_error *err);
octet_status octet_learned_parameters(octet_tape *tape, const char *name, octet_trained *trained, octet_error *err);

/* ---- tables.c ---- */

/* Lists the table that a step picks from, if it is to be trained. Once for each. */
octet_status octet_table_make(octet_tape *tape, const octet_tape_step *step, octet_error *err);

/* What steps read: the parameters, quantized. Not while integers are used. */
void octet_tables_forward(octet_tape *tape);

/* From the gradients of what steps read to those of the parameters. */
void octet_tables_backward(octet_tape *tape);

/* ---- memory.c ---- */

/* Gradients where they are wanted, in memory that they share; then everything else. */
octet_status octet_tape_place(octet_tape *tape, octet_error *err);

/* ---- linear.c ---- */

/* Weights as the forward pass multiplies with them, and scale and shift where they are known before it. */
octet_status octet_linear_begin(octet_tape *tape, octet_tape_step *step, octet_error *err);

/* The weights before FakeQuantize: scaled by k where batch norm is folded as its running statistics have it. */
void octet_linear_fold(octet_tape *tape, octet_tape_step *step);

/* Statistics of the batch, once z is there. */
void octet_linear_normalize(octet_tape *tape, octet_tape_step *step);

/* From the gradient of the affine's result to those of z (in place), weights, bias and batch norm. */
octet_status octet_linear_backward(octet_tape *tape, octet_tape_step *step, octet_error *err);

/* ---- epilogue.c ---- */

/* What FakeQuantize gets. */
void octet_epilogue_affine(octet_tape *tape, octet_tape_step *step, void *to);
void octet_epilogue_forward(octet_tape *tape, octet_tape_step *step);
void octet_epilogue_backward(octet_tape *tape, octet_tape_step *step);

/* FakeQuantize of a whole tensor, whatever the tape's type. */
void octet_fake_quantize_tensor(octet_tape *tape, octet_trained *trained, void *x, const octet_channel_shape *shape);
void octet_fake_quantize_gradient(octet_tape *tape, octet_trained *trained, void *d, const void *before,
                                  const octet_channel_shape *shape);

/* ---- rows.c: the same for steps with rows ---- */

/* Which steps they are, and memory. Once it is decided how values lie. */
octet_status octet_rows_plan(octet_tape *tape, octet_error *err);

/* Mean and biased variance of x's channels. mean: holds numbers near the means, so that nothing is lost. */
void octet_rows_moments(const octet_tape *tape, const octet_tape_step *step, const void *x, double *mean,
                        double *variance);

void octet_rows_forward(const octet_tape *tape, octet_tape_step *step);
void octet_rows_affine(const octet_tape *tape, const octet_tape_step *step, void *y);

/* z, sums in units of the output's scale, to levels and reals. False: these levels are not for the kernels. */
bool octet_rows_round(const octet_tape *tape, octet_tape_step *step);

/* Leaves, for a linear step, the sums of d and of d * z in tape->sums. */
void octet_rows_backward(const octet_tape *tape, octet_tape_step *step);

/* d = d * factors[0] + z * factors[1] + factors[2], per channel. */
void octet_rows_combine(const octet_tape *tape, const octet_tape_step *step, void *d, const void *z,
                        const double *const factors[3]);

/* ---- product.c ---- */

/* z of the bare operator from the tensors its call names. */
octet_status octet_tape_apply(octet_tape *tape, octet_tape_step *step, octet_error *err);

/* Adds to the gradients of the inputs that have one. Of a linear step also sets linear->gradient to that of the weights
   the call names. */
octet_status octet_tape_apply_backward(octet_tape *tape, octet_tape_step *step, const octet_tensor *dz,
                                       octet_error *err);

bool octet_tape_is_conv(const octet_tape_step *step);

/* The gradient of input i, as backward adds to it. data NULL: none wanted. */
octet_tensor *octet_tape_input_gradient(octet_tape_step *step, int i);

/* ---- layout.c ---- */

/* Decides which steps are fast, which values lie in pixels, and who reads them turned. Before memory is placed. */
octet_status octet_layout_plan(octet_tape *tape, octet_error *err);

/* Memory for that, once gradients are placed. */
octet_status octet_layout_place(octet_tape *tape, octet_error *err);

/* Copies of the inputs that are read turned; what stands for input i as the step reads it (NULL: no memory); gradients
   of turned inputs cleared, and added where they belong. */
void                octet_turn_inputs(octet_tape *tape, octet_tape_step *step);
const octet_tensor *octet_turn_input(octet_tape *tape, octet_tape_step *step, int i, const octet_tensor *tensor);
void octet_turn_gradients_begin(octet_tape_step *step);
void octet_turn_gradients_end(octet_tape *tape, octet_tape_step *step);

/* ---- fast.c ---- */

/* step->fast where it can be. */
octet_status octet_fast_new(octet_tape *tape, octet_tape_step *step, octet_error *err);
void         octet_fast_free(octet_tape *tape);
octet_status octet_fast_place(octet_tape *tape, octet_error *err);

/* While integers are used: takes the weights of step->quantized. */
octet_status octet_fast_use(octet_tape *tape, octet_tape_step *step, octet_error *err);

/* Whether they suit the kernels; then z of the integer rule, from the levels x as step reads them. Else, around the
   operator's own rule: step->integer_in and integer_out become planes, and z pixels again. */
bool         octet_fast_takes(const octet_tape_step *step);
octet_status octet_fast_rule(octet_tape *tape, octet_tape_step *step, const octet_tensor *x, octet_error *err);
octet_status octet_fast_planes(octet_tape *tape, octet_tape_step *step, octet_error *err);
void         octet_fast_pixels(octet_tape *tape, octet_tape_step *step);

/* octet_tape_apply and octet_tape_apply_backward of fast steps. */
octet_status octet_fast_apply(octet_tape *tape, octet_tape_step *step, octet_error *err);
octet_status octet_fast_apply_backward(octet_tape *tape, octet_tape_step *step, const octet_tensor *dz,
                                       octet_error *err);

/* ---- slices.c ---- */

/* How the slices of a batch went. */
typedef struct octet_slices {
    octet_status status[OCTET_TAPE_SLICES];
    octet_error  errors[OCTET_TAPE_SLICES];
} octet_slices;

/* That of the first one that failed. */
octet_status octet_slices_verdict(const octet_slices *slices, octet_error *err);

/* Whether all inputs and the output are real numbers of one shape, and each element depends on its like alone. */
bool octet_tape_is_elements(const octet_tape *tape, const octet_tape_step *step);

/* call by forward, in slices; and the gradients of what a step with elements or samples reads. Those of its inputs need
   not be cleared before. */
octet_status octet_elements_forward(const octet_tape *tape, const octet_call *call, octet_forward forward,
                                    octet_error *err);
octet_status octet_slices_backward(octet_tape *tape, octet_tape_step *step, const octet_tensor *dz, octet_error *err);

/* ---- integers.c ---- */

void         octet_integer_input(octet_tape *tape, octet_tape_slot *value);
octet_status octet_integer_forward(octet_tape *tape, octet_tape_step *step, octet_error *err);

#endif
