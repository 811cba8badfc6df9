/* SPDX-License-Identifier: Apache-2.0 */
/* Rows and validation of LSTM, GRU and RNN. */
#include "ops/recurrent.h"

#include "ops/check.h"
#include "ops/rows.h"
#include "ops/window.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- activations ---- */

/* alpha and beta are consumed in the order of the functions that take one; where the list ends, defaults hold. */
static octet_status read_gates(octet_recurrent *run, octet_error *err)
{
    const octet_recurrent_attrs *const a = run->attrs;
    const int                          functions = run->cell->functions;
    size_t                             alphas = 0, betas = 0;
    if (a->activations.count && a->activations.count != (size_t)(functions * run->directions))
        return octet_fail_field(err, OCTET_ERR_FORMAT, "activations", "%zu functions, need %d", a->activations.count,
                                functions * run->directions);
    for (int d = 0; d < run->directions; d++)
        for (int i = 0; i < functions; i++) {
            const char *const name =
                a->activations.count ? a->activations.at[d * functions + i] : run->cell->defaults[i];
            const octet_gate_function *const f = octet_gate_function_find(name);
            if (!f)
                return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "activations", "no function is called '%.40s'",
                                        name);
            octet_gate *const gate = &run->gate[d][i];
            *gate = (octet_gate){ f, (double)f->alpha, (double)f->beta };
            if (f->takes_alpha && alphas < a->activation_alpha.count)
                gate->alpha = (double)a->activation_alpha.at[alphas++];
            if (f->takes_beta && betas < a->activation_beta.count)
                gate->beta = (double)a->activation_beta.at[betas++];
        }
    return OCTET_OK;
}

/* ---- shapes ---- */

/* Input slot, where there is one, has the shape dims. */
static octet_status check_shape(const octet_call *call, int slot, const char *name, const int64_t *dims, int rank,
                                octet_error *err)
{
    char text[2][160];
    if (!octet_has_input(call, slot)) return OCTET_OK;
    const octet_tensor *const t = call->in[slot];
    if (slot != OCTET_RECURRENT_LENGTHS && !t->qparams) OCTET_TRY(octet_check_same_type(call, slot, name, err));
    if (t->rank == rank && !memcmp(t->dims, dims, (size_t)rank * sizeof *dims)) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_SHAPE, name, "shape %s, need %s",
                            octet_shape_text(text[0], sizeof text[0], t->dims, t->rank),
                            octet_shape_text(text[1], sizeof text[1], dims, rank));
}

static octet_status read_direction(octet_recurrent *run, octet_error *err)
{
    const char *const name = run->attrs->direction;
    run->directions = !strcmp(name, "bidirectional") ? 2 : 1;
    run->first_reversed = !strcmp(name, "reverse");
    if (run->directions == 2 || run->first_reversed || !strcmp(name, "forward")) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_FORMAT, "direction",
                            "got '%.40s', need forward, reverse or bidirectional", name);
}

static octet_status read_sizes(octet_recurrent *run, octet_error *err)
{
    const octet_tensor *const x = run->call->in[OCTET_RECURRENT_X], *const r = run->call->in[OCTET_RECURRENT_R];
    const bool                batch_first = run->attrs->layout != 0;
    if (x->rank != 3) return octet_fail_field(err, OCTET_ERR_SHAPE, "X", "has rank %d, need 3", x->rank);
    if (r->rank != 3) return octet_fail_field(err, OCTET_ERR_SHAPE, "R", "has rank %d, need 3", r->rank);
    run->steps = x->dims[batch_first];
    run->batch = x->dims[!batch_first];
    run->width = x->dims[2];
    run->hidden = r->dims[2];
    if (run->width < 1 || run->hidden < 1)
        return octet_fail(err, OCTET_ERR_SHAPE, "input of width %" PRId64 " and state of width %" PRId64, run->width,
                          run->hidden);
    if (run->attrs->hidden_size && run->attrs->hidden_size != run->hidden)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "hidden_size", "%" PRId64 ", but R has %" PRId64 " columns",
                                run->attrs->hidden_size, run->hidden);
    if (run->hidden > INT64_MAX / 64 / run->directions)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "R", "is too large");
    return OCTET_OK;
}

static octet_status check_inputs(const octet_recurrent *run, octet_error *err)
{
    const octet_call *const call = run->call;
    const int64_t           d = run->directions, n = run->hidden, all = run->cell->gates * n, batch = run->batch;
    const int64_t           forward[3] = { d, batch, n }, first[3] = { batch, d, n };
    const int64_t *const    state = run->attrs->layout ? first : forward;
    OCTET_TRY(check_shape(call, OCTET_RECURRENT_W, "W", (const int64_t[]){ d, all, run->width }, 3, err));
    OCTET_TRY(check_shape(call, OCTET_RECURRENT_R, "R", (const int64_t[]){ d, all, n }, 3, err));
    OCTET_TRY(check_shape(call, OCTET_RECURRENT_B, "B", (const int64_t[]){ d, 2 * all }, 2, err));
    OCTET_TRY(check_shape(call, OCTET_RECURRENT_LENGTHS, "sequence_lens", &batch, 1, err));
    OCTET_TRY(check_shape(call, OCTET_RECURRENT_H, "initial_h", state, 3, err));
    OCTET_TRY(check_shape(call, OCTET_RECURRENT_C, "initial_c", state, 3, err));
    OCTET_TRY(check_shape(call, OCTET_RECURRENT_P, "P", (const int64_t[]){ d, 3 * n }, 2, err));
    if (!octet_has_input(call, OCTET_RECURRENT_LENGTHS)) return OCTET_OK;
    if (call->in[OCTET_RECURRENT_LENGTHS]->dtype != OCTET_I32)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "sequence_lens", "has type %s, need s32",
                                octet_dtype_name(call->in[OCTET_RECURRENT_LENGTHS]->dtype));
    return octet_recurrent_check_lengths(call, run->steps, err);
}

static void set_steps(octet_recurrent *run)
{
    const bool    batch_first = run->attrs->layout != 0;
    const int64_t n = run->hidden, d = run->directions;
    run->x_step = batch_first ? run->width : run->batch * run->width;
    run->x_sample = batch_first ? run->steps * run->width : run->width;
    run->y_step = batch_first ? d * n : d * run->batch * n;
    run->y_direction = batch_first ? n : run->batch * n;
    run->y_sample = batch_first ? run->steps * d * n : n;
    run->state_sample = batch_first ? d * n : n;
    run->state_direction = batch_first ? n : run->batch * n;
}

octet_status octet_recurrent_make(octet_recurrent *run, const octet_call *call, octet_error *err)
{
    *run = (octet_recurrent){ .call = call, .attrs = call->attrs };
    for (int i = 0; i < OCTET_RECURRENT_CELLS; i++)
        if (octet_recurrent_cells[i].op == call->node->op) run->cell = &octet_recurrent_cells[i];
    if (!(run->attrs->clip >= 0) || !isfinite(run->attrs->clip))
        return octet_fail_field(err, OCTET_ERR_FORMAT, "clip", "got %g, need 0 or more", (double)run->attrs->clip);
    run->second_product = run->cell->second_product && !run->attrs->linear_before_reset;
    OCTET_TRY(read_direction(run, err));
    OCTET_TRY(read_gates(run, err));
    OCTET_TRY(read_sizes(run, err));
    OCTET_TRY(check_inputs(run, err));
    set_steps(run);
    return OCTET_OK;
}

octet_status octet_recurrent_check_lengths(const octet_call *call, int64_t steps, octet_error *err)
{
    if (!octet_has_input(call, OCTET_RECURRENT_LENGTHS)) return OCTET_OK;
    const octet_tensor *const lengths = call->in[OCTET_RECURRENT_LENGTHS];
    for (int64_t i = 0; lengths->data && i < octet_tensor_count(lengths); i++) {
        const int32_t length = ((const int32_t *)lengths->data)[i];
        if (length < 0 || length > steps)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "sequence_lens",
                                    "entry %" PRId64 " is %d, need 0 to %" PRId64, i, length, steps);
    }
    return OCTET_OK;
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    octet_recurrent run;
    OCTET_TRY(octet_recurrent_make(&run, call, err));
    const bool        batch_first = run.attrs->layout != 0;
    const octet_dtype dtype = call->in[0]->dtype;
    const int64_t     d = run.directions, n = run.hidden;
    const int64_t     late[4] = { run.steps, d, run.batch, n }, early[4] = { run.batch, run.steps, d, n };
    const int64_t     state[3] = { d, run.batch, n }, state_first[3] = { run.batch, d, n };
    if (octet_has_output(call, 0))
        OCTET_TRY(octet_set_output(call->out[0], dtype, batch_first ? early : late, 4, err));
    for (int i = 1; i < 3; i++)
        if (octet_has_output(call, i))
            OCTET_TRY(octet_set_output(call->out[i], dtype, batch_first ? state_first : state, 3, err));
    return OCTET_OK;
}

static int64_t macs(const octet_call *call)
{
    octet_recurrent run;
    if (octet_recurrent_make(&run, call, NULL) != OCTET_OK) return 0;
    return octet_product((const int64_t[]){ run.directions, run.steps, run.batch, run.cell->gates, run.hidden,
                                            run.width + run.hidden }, 6);
}

/* ---- rows ---- */

#define AT(field) offsetof(octet_recurrent_attrs, field)

#define COMMON_ATTRS                                                                                        \
    { "activation_alpha", OCTET_ATTR_FLOATS, AT(activation_alpha) },                                        \
    { "activation_beta", OCTET_ATTR_FLOATS, AT(activation_beta) },                                          \
    { "activations", OCTET_ATTR_STRINGS, AT(activations) },                                                 \
    { "clip", OCTET_ATTR_FLOAT, AT(clip) },                                                                 \
    { "direction", OCTET_ATTR_STRING, AT(direction), .default_s = "forward" },                              \
    { "hidden_size", OCTET_ATTR_INT, AT(hidden_size), .min = 0, .max = INT32_MAX },                         \
    { "layout", OCTET_ATTR_INT, AT(layout), .min = 0, .max = 1 }

static const octet_attr rnn_attrs[] = { COMMON_ATTRS, { 0 } };
static const octet_attr lstm_attrs[] = {
    COMMON_ATTRS,
    { "input_forget", OCTET_ATTR_INT, AT(input_forget), .min = 0, .max = 1 },
    { 0 },
};
static const octet_attr gru_attrs[] = {
    COMMON_ATTRS,
    { "linear_before_reset", OCTET_ATTR_INT, AT(linear_before_reset), .min = 0, .max = 1 },
    { 0 },
};

#define RECURRENT(rows)                                                                                     \
    .since = 14, .min_inputs = 3, .min_outputs = 1, .types = OCTET_TYPES_FLOAT, .attrs = rows,              \
    .attrs_size = sizeof(octet_recurrent_attrs), .infer = infer, .forward = octet_recurrent_forward,        \
    .scratch_size = octet_recurrent_scratch, .backward = octet_recurrent_backward,                          \
    .backward_scratch = octet_recurrent_backward_scratch, .forward_dynamic = octet_recurrent_dynamic,       \
    .dynamic_scratch = octet_recurrent_dynamic_scratch,                                                     \
    .dynamic_weights = 1u << OCTET_RECURRENT_W | 1u << OCTET_RECURRENT_R,                                   \
    .fixed_inputs = 1u << OCTET_RECURRENT_LENGTHS,                                                          \
    .parameters = 1u << OCTET_RECURRENT_W | 1u << OCTET_RECURRENT_R | 1u << OCTET_RECURRENT_B |             \
                  1u << OCTET_RECURRENT_P,                                                                  \
    .macs = macs

const octet_op octet_op_gru = { .name = "GRU", .max_inputs = 6, .max_outputs = 2, RECURRENT(gru_attrs) };
const octet_op octet_op_lstm = { .name = "LSTM", .max_inputs = 8, .max_outputs = 3, RECURRENT(lstm_attrs) };
const octet_op octet_op_rnn = { .name = "RNN", .max_inputs = 6, .max_outputs = 2, RECURRENT(rnn_attrs) };
