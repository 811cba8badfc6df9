/* SPDX-License-Identifier: Apache-2.0 */
/* LSTM, GRU and RNN: one walk over time, in which a cell turns the sums of products of a step into the next state.

   For each direction and step, with x the step's input and h the state before it:
     from_input = W x + Wb, from_state = R h + Rb     all gates at once, gates * hidden numbers each
   and the cell does the rest. Sums run in a fixed order; functions are base/math.h's, rounded to the tensors' type. */
#ifndef OCTET_OPS_RECURRENT_H
#define OCTET_OPS_RECURRENT_H

#include "ops/attrs.h"

enum { OCTET_RECURRENT_GATES = 4, OCTET_RECURRENT_FUNCTIONS = 3 };

enum { /* input numbers, the same for all three */
    OCTET_RECURRENT_X,
    OCTET_RECURRENT_W,
    OCTET_RECURRENT_R,
    OCTET_RECURRENT_B,
    OCTET_RECURRENT_LENGTHS,
    OCTET_RECURRENT_H,
    OCTET_RECURRENT_C,
    OCTET_RECURRENT_P,
    OCTET_RECURRENT_INPUTS
};

/* One of ONNX's activations: value and slope at x. Both get the list's alpha and beta. */
typedef struct octet_gate_function {
    const char *name;
    double (*value)(double x, double alpha, double beta);
    double (*slope)(double x, double alpha, double beta);
    float alpha, beta; /* where the node's list has none for it */
    bool  takes_alpha, takes_beta;
} octet_gate_function;

/* NULL: no such activation. Case does not matter. */
const octet_gate_function *octet_gate_function_find(const char *name);

typedef struct octet_gate {
    const octet_gate_function *function;
    double                     alpha, beta;
} octet_gate;

typedef struct octet_recurrent octet_recurrent;

/* What one step of one sequence reads and writes, in T = the tensors' type. */
typedef struct octet_recurrent_step {
    const octet_recurrent *run;
    int                    direction;
    void       *gates;      /* [gates][hidden]; in: from_input; out: what gates' functions are fed, before clipping */
    const void *from_state; /* [gates][hidden] */
    void       *extra;      /* [hidden], GRU: see the cell */
    const void *peephole;   /* [3][hidden], NULL: none */
    const void *h, *c;      /* the state before */
    void       *h_next, *c_next;
} octet_recurrent_step;

/* The gradient of one step: dh and dc hold those of h_next and c_next; they become those of h and c as far as these do
   not go through R. dgates: of the input's sums; dstate: of the state's sums, where they differ (GRU). */
typedef struct octet_recurrent_gradient {
    const octet_recurrent_step *step; /* as forward left it; from_state is not set */
    void *dh, *dc, *dgates, *dstate, *dpeephole, *dextra;
} octet_recurrent_gradient;

typedef struct octet_recurrent_cell {
    const octet_op *op;
    int             gates, functions;
    const char     *defaults[OCTET_RECURRENT_FUNCTIONS];
    bool            second_product; /* GRU unless linear_before_reset: the last gate's R is applied to extra */
    /* [0]: float, [1]: double. second: after the second product, whose result is in from_state's last gate. */
    void (*first[2])(const octet_recurrent_step *step);
    void (*second[2])(const octet_recurrent_step *step);
    void (*backward[2])(const octet_recurrent_gradient *gradient);
    void (*backward_second[2])(const octet_recurrent_gradient *gradient); /* comes before backward */
} octet_recurrent_cell;

extern const octet_recurrent_cell octet_recurrent_cells[];
enum { OCTET_RECURRENT_CELLS = 3 };

/* A node's tensors and attributes as numbers. */
struct octet_recurrent {
    const octet_call            *call;
    const octet_recurrent_cell  *cell;
    const octet_recurrent_attrs *attrs;
    int                          directions;
    bool                         first_reversed;
    bool                         second_product;
    int64_t                      steps, batch, width, hidden; /* width: of x */
    int64_t                      x_step, x_sample;            /* elements from one to the next */
    int64_t                      y_step, y_sample, y_direction;
    int64_t                      state_sample, state_direction;
    octet_gate                   gate[2][OCTET_RECURRENT_FUNCTIONS];
};

/* Checks everything (infer's work) and fills run. */
octet_status octet_recurrent_make(octet_recurrent *run, const octet_call *call, octet_error *err);

/* Steps of one sequence; those of sequence_lens have been checked by octet_recurrent_check_lengths. */
int64_t      octet_recurrent_length(const octet_recurrent *run, int64_t sample);
octet_status octet_recurrent_check_lengths(const octet_call *call, int64_t steps, octet_error *err);

/* The position in time of step s of `length`. */
static inline int64_t octet_recurrent_time(const octet_recurrent *run, int direction, int64_t length, int64_t s)
{
    const bool reversed = direction == 1 || run->first_reversed;
    return reversed ? length - 1 - s : s;
}

static inline bool octet_recurrent_double(const octet_recurrent *run) { return run->call->in[0]->dtype == OCTET_F64; }

/* Element `at` of input slot, NULL where it is left out. */
const void *octet_recurrent_at(const octet_recurrent *run, int slot, int64_t at);

size_t       octet_recurrent_scratch(const octet_call *call, bool integer);
octet_status octet_recurrent_forward(const octet_call *call, octet_error *err);
size_t       octet_recurrent_dynamic_scratch(const octet_call *call);
octet_status octet_recurrent_dynamic(const octet_call *call, octet_error *err);
/* Another way to the sums of dynamic products: sums[i] = sum over k of (levels[k] - zero_point) * m[first + i][k]; m is
   the matrix of input slot and direction, and `count` rows are wanted: all of a matrix, all gates but the last, or the
   last. May run on several threads at once. */
typedef struct octet_recurrent_part {
    int     slot, direction;
    int64_t first, count;
} octet_recurrent_part;

typedef struct octet_recurrent_products octet_recurrent_products;
struct octet_recurrent_products {
    void (*sums)(const octet_recurrent_products *products, int32_t *sums, const octet_recurrent_part *part,
                 const uint8_t *levels, int32_t zero_point);
};

/* octet_recurrent_dynamic with these products; NULL: its own. */
octet_status octet_recurrent_dynamic_by(const octet_call *call, const octet_recurrent_products *products,
                                        octet_error *err);
size_t       octet_recurrent_backward_scratch(const octet_call *call);
octet_status octet_recurrent_backward(const octet_backward_call *call, octet_error *err);

#endif
