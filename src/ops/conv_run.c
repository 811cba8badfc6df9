/* SPDX-License-Identifier: Apache-2.0 */
/* Runs convolutions, in real numbers and on levels: scratch, types and stores around the loops of conv_template.h. */
#include "base/parallel.h"
#include "ops/conv_load.h"
#include "ops/conv_run.h"
#include "ops/levels.h"
#include "ops/scratch.h"

#include <math.h>
#include <string.h>

enum { TILE = OCTET_CONV_TILE, CHANNEL_BLOCK = 8, RUN = OCTET_CONV_RUN };

typedef struct conv_run {
    const octet_call *call;
    octet_conv_plan   plan;
    size_t           *offset, *row_start;
    octet_mac_rule   *rules;  /* levels only */
    const void       *weights; /* of the prepared type */
    void             *planes;
    size_t            blocks, first_image;
    octet_scratch     scratch;
} conv_run;

/* ---- shared by all types ---- */

/* The pieces of output rows inside positions [position, position + n). */
typedef struct tile_rows {
    size_t position, n;
    bool   started;
    size_t row;
    size_t begin, count, out; /* this piece: within the tile, elements, within the output plane */
} tile_rows;

/* The last row that starts at or before position. */
static size_t find_row(const conv_run *run, size_t position)
{
    size_t low = 0, high = (size_t)run->plan.rows;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (run->row_start[middle] <= position)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static bool next_row(tile_rows *rows, const conv_run *run)
{
    rows->row = rows->started ? rows->row + 1 : find_row(run, rows->position);
    rows->started = true;
    for (; rows->row < (size_t)run->plan.rows; rows->row++) {
        const size_t start = run->row_start[rows->row], end = start + (size_t)run->plan.row;
        const size_t tile_end = rows->position + rows->n;
        if (start >= tile_end) return false;
        const size_t from = start > rows->position ? start : rows->position, to = end < tile_end ? end : tile_end;
        if (from >= to) continue;
        rows->begin = from - rows->position;
        rows->count = to - from;
        rows->out = rows->row * (size_t)run->plan.row + (from - start);
        return true;
    }
    return false;
}

/* ---- real numbers ---- */

/* y = ((x + bias - mean) / sqrt(variance + epsilon)) * gamma + beta of channel c, then the activation. */
static void finish_float(const conv_run *run, size_t c, float *y, size_t n)
{
    const octet_tensor *const bias = run->call->in_count > 2 ? run->call->in[2] : NULL;
    const octet_node *const   node = run->call->node;
    const float               b = bias ? ((const float *)bias->data)[c] : 0.0f;
    for (size_t i = 0; i < n; i++) y[i] += b;
    if (node->batch_norm) {
        const octet_batch_norm *const norm = node->batch_norm;
        const float                   r = 1.0f / sqrtf(norm->variance[c] + norm->epsilon);
        for (size_t i = 0; i < n; i++) y[i] = (y[i] - norm->mean[c]) * r * norm->gamma[c] + norm->beta[c];
    }
    octet_activation_apply(y, n, &node->activation);
}

static void store_f32(const conv_run *run, size_t c, const float *sum, size_t at, size_t n)
{
    float *const y = (float *)run->call->out[0]->data + at;
    memcpy(y, sum, n * sizeof *y);
    finish_float(run, c, y, n);
}

static void store_f64(const conv_run *run, size_t c, const double *sum, size_t at, size_t n)
{
    const octet_tensor *const     bias = run->call->in_count > 2 ? run->call->in[2] : NULL;
    const octet_activation *const clamp = &run->call->node->activation;
    double *const                 y = (double *)run->call->out[0]->data + at;
    const double                  b = bias ? ((const double *)bias->data)[c] : 0.0;
    const octet_batch_norm *const norm = run->call->node->batch_norm;
    for (size_t i = 0; i < n; i++) {
        y[i] = sum[i] + b;
        if (norm)
            y[i] = (y[i] - (double)norm->mean[c]) / sqrt((double)norm->variance[c] + (double)norm->epsilon) *
                       (double)norm->gamma[c] +
                   (double)norm->beta[c];
        if (clamp->on && y[i] < (double)clamp->lo) y[i] = (double)clamp->lo;
        if (clamp->on && y[i] > (double)clamp->hi) y[i] = (double)clamp->hi;
    }
}

#define X float
#define SUM float
#define NAME(x) x##_f32
#include "ops/conv_template.h"
#undef X
#undef SUM
#undef NAME

#define X double
#define SUM double
#define NAME(x) x##_f64
#include "ops/conv_template.h"
#undef X
#undef SUM
#undef NAME

/* ---- levels: prepared elements have their zero point taken off ---- */

static void load_wide(int32_t *to, const octet_tensor *x, size_t first, size_t n)
{
    octet_levels_load(to, x->data, x->dtype, first, n, octet_zero_point(x, 0));
}

static void load_narrow(int16_t *to, const octet_tensor *x, size_t first, size_t n)
{
    int32_t level[256];
    for (size_t done = 0; done < n; done += 256) {
        const size_t count = n - done < 256 ? n - done : 256;
        load_wide(level, x, first + done, count);
        for (size_t i = 0; i < count; i++) to[done + i] = (int16_t)level[i];
    }
}

static void store_narrow(const conv_run *run, size_t c, const int32_t *sum, size_t at, size_t n)
{
    octet_mac_store(run->call, &run->rules[c], sum, at, 1, n);
}

static void store_wide(const conv_run *run, size_t c, const int64_t *sum, size_t at, size_t n)
{
    octet_mac_store_wide(run->call, &run->rules[c], sum, at, 1, n);
}

#define X int16_t
#define SUM int32_t
#define NAME(x) x##_narrow
#include "ops/conv_template.h"
#undef X
#undef SUM
#undef NAME

#define X int32_t
#define SUM int64_t
#define NAME(x) x##_wide
#include "ops/conv_template.h"
#undef X
#undef SUM
#undef NAME

/* The weights of output channel c as prepared elements. */
static void prepare_weights(void *context, size_t c)
{
    const conv_run *const     run = context;
    const octet_tensor *const w = run->call->in[1];
    const size_t              n = (size_t)run->plan.sums, first = c * n;
    const int32_t             zero_point = octet_zero_point(w, (int64_t)c);
    const bool                wide = octet_mac_is_wide(run->call);
    int32_t                   level[256];
    for (size_t done = 0; done < n; done += 256) {
        const size_t count = n - done < 256 ? n - done : 256;
        octet_levels_load(level, w->data, w->dtype, first + done, count, zero_point);
        for (size_t i = 0; wide && i < count; i++) ((int32_t *)run->weights)[first + done + i] = level[i];
        for (size_t i = 0; !wide && i < count; i++) ((int16_t *)run->weights)[first + done + i] = (int16_t)level[i];
    }
}

/* ---- scratch ---- */

/* Plans a call and lays out its scratch memory. False: too large. */
static bool make_run(conv_run *run, const octet_call *call, bool integer)
{
    const size_t wide = integer && octet_mac_is_wide(call) ? 4 : 2;
    const size_t element = integer ? wide : octet_dtype_size(call->in[0]->dtype);
    octet_scratch *const scratch = &run->scratch;
    *run = (conv_run){ .call = call, .scratch = { .data = call->scratch } };
    if (!octet_conv_plan_make(&run->plan, call, element)) return false;
    const octet_conv_plan *const plan = &run->plan;
    const size_t                 channels = (size_t)(plan->group * plan->out_channels);
    run->blocks = (channels + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK;
    run->offset = octet_scratch_take(scratch, (size_t)plan->sums, sizeof *run->offset);
    run->row_start = octet_scratch_take(scratch, (size_t)plan->rows, sizeof *run->row_start);
    run->rules = integer ? octet_scratch_take(scratch, channels, sizeof *run->rules) : NULL;
    run->weights = integer ? octet_scratch_take(scratch, channels * (size_t)plan->sums, element) : call->in[1]->data;
    size_t elements = 0;
    if (!octet_mul(&elements, plan->images, plan->image_size)) return false;
    run->planes = octet_scratch_take(scratch, elements, element);
    return !scratch->too_large;
}

size_t octet_conv_scratch(const octet_call *call, bool integer)
{
    conv_run run;
    return make_run(&run, call, integer) ? run.scratch.bytes : SIZE_MAX;
}

static octet_status begin(conv_run *run, const octet_call *call, bool integer, octet_error *err)
{
    if (!make_run(run, call, integer))
        return octet_fail(err, OCTET_ERR_LIMIT, "the padded input is too large");
    octet_conv_offsets(run->offset, &run->plan);
    octet_conv_row_starts(run->row_start, &run->plan);
    return OCTET_OK;
}

octet_status octet_conv_forward(const octet_call *call, octet_error *err)
{
    conv_run run;
    OCTET_TRY(begin(&run, call, false, err));
    if (call->in[0]->dtype == OCTET_F64)
        run_f64(&run);
    else
        run_f32(&run);
    return OCTET_OK;
}

octet_status octet_conv_forward_integer(const octet_call *call, octet_error *err)
{
    conv_run run;
    OCTET_TRY(begin(&run, call, true, err));
    const int64_t         channels = call->in[1]->dims[0];
    const octet_mac_terms terms = { .factor = 1.0f, .bias_factor = 1.0f, .convolution_groups = run.plan.group,
                                    .bias = call->in_count > 2 ? call->in[2] : NULL };
    OCTET_TRY(octet_mac_rules(run.rules, channels, call, &terms, err));
    octet_parallel((size_t)channels, call->threads, prepare_weights, &run);
    if (octet_mac_is_wide(call))
        run_wide(&run);
    else
        run_narrow(&run);
    return OCTET_OK;
}
