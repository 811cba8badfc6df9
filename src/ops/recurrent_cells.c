/* SPDX-License-Identifier: Apache-2.0 */
/* The three cells, for float and double. */
#include "ops/recurrent.h"
#include "ops/rows.h"

#include <math.h>

/* Whether clip lets x through: it bounds what gates are fed, nothing else. */
static bool within_clip(const octet_recurrent *run, double x)
{
    const double clip = (double)run->attrs->clip;
    return clip == 0 || (x >= -clip && x <= clip);
}

static double clipped(const octet_recurrent *run, double x)
{
    const double clip = (double)run->attrs->clip;
    return clip == 0 ? x : fmin(fmax(x, -clip), clip);
}

static double value_of(const octet_recurrent_step *s, int function, double x)
{
    const octet_gate *const gate = &s->run->gate[s->direction][function];
    return gate->function->value(x, gate->alpha, gate->beta);
}

static double slope_of(const octet_recurrent_step *s, int function, double x)
{
    const octet_gate *const gate = &s->run->gate[s->direction][function];
    return gate->function->slope(x, gate->alpha, gate->beta);
}

/* Of a gate fed x, through the clip. */
static double gate_value(const octet_recurrent_step *s, int function, double x)
{
    return value_of(s, function, clipped(s->run, x));
}

static double gate_slope(const octet_recurrent_step *s, int function, double x)
{
    return within_clip(s->run, x) ? slope_of(s, function, x) : 0;
}

#define OCTET_TEMPLATE "ops/recurrent_template.h"
#include "ops/reals_template.h"

#define BOTH(x) { x##_f32, x##_f64 }

const octet_recurrent_cell octet_recurrent_cells[OCTET_RECURRENT_CELLS] = {
    { .op = &octet_op_lstm, .gates = 4, .functions = 3, .defaults = { "Sigmoid", "Tanh", "Tanh" },
      .first = BOTH(lstm), .backward = BOTH(lstm_backward) },
    { .op = &octet_op_gru, .gates = 3, .functions = 2, .defaults = { "Sigmoid", "Tanh" }, .second_product = true,
      .first = BOTH(gru), .second = BOTH(gru_second), .backward = BOTH(gru_backward),
      .backward_second = BOTH(gru_backward_second) },
    { .op = &octet_op_rnn, .gates = 1, .functions = 1, .defaults = { "Tanh" }, .first = BOTH(rnn),
      .backward = BOTH(rnn_backward) },
};
