/* SPDX-License-Identifier: Apache-2.0 */
/* Runs convolutions, in real numbers and on levels: scratch and types around the loops of conv_template.h. */
#include "base/parallel.h"
#include "ops/conv_load.h"
#include "ops/conv_run.h"
#include "ops/conv_store.h"
#include "ops/scratch.h"

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

#define OCTET_TEMPLATE "ops/conv_template.h"
#include "ops/reals_template.h"

/* ---- levels ---- */

#include "ops/levels_template.h"

/* The weights of output channel c as prepared elements. */
static void prepare_weights(void *context, size_t c)
{
    const conv_run *const     run = context;
    const octet_tensor *const w = run->call->in[1];
    const size_t              n = (size_t)run->plan.sums, first = c * n;
    if (octet_mac_is_wide(run->call))
        load_channel_wide((int32_t *)run->weights + first, w, first, n, (int64_t)c);
    else
        load_channel_narrow((int16_t *)run->weights + first, w, first, n, (int64_t)c);
}

/* ---- scratch ---- */

/* Plans a call and lays out its scratch memory. False: too large. */
static bool make_run(conv_run *run, const octet_call *call, const octet_window *window, bool integer)
{
    const size_t wide = integer && octet_mac_is_wide(call) ? 4 : 2;
    const size_t element = integer ? wide : octet_dtype_size(call->in[0]->dtype);
    octet_scratch *const scratch = &run->scratch;
    *run = (conv_run){ .call = call, .scratch = { .data = call->scratch } };
    if (!octet_conv_plan_lay(&run->plan, window, call, element)) return false;
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

size_t octet_conv_scratch_in(const octet_call *call, const octet_window *window, bool integer)
{
    conv_run run;
    return make_run(&run, call, window, integer) ? run.scratch.bytes : SIZE_MAX;
}

size_t octet_conv_scratch(const octet_call *call, bool integer)
{
    octet_window window;
    return octet_conv_window(&window, call) ? octet_conv_scratch_in(call, &window, integer) : SIZE_MAX;
}

static octet_status begin(conv_run *run, const octet_call *call, const octet_window *window, bool integer,
                          octet_error *err)
{
    if (!make_run(run, call, window, integer))
        return octet_fail(err, OCTET_ERR_LIMIT, "the padded input is too large");
    octet_conv_offsets(run->offset, &run->plan);
    octet_conv_row_starts(run->row_start, &run->plan);
    return OCTET_OK;
}

octet_status octet_conv_forward_in(const octet_call *call, const octet_window *window, octet_error *err)
{
    conv_run run;
    OCTET_TRY(begin(&run, call, window, false, err));
    if (call->in[0]->dtype == OCTET_F64)
        run_f64(&run);
    else
        run_f32(&run);
    return OCTET_OK;
}

octet_status octet_conv_forward(const octet_call *call, octet_error *err)
{
    octet_window window;
    OCTET_TRY(octet_window_make(&window, call, call->in[1]->dims + 2, err));
    return octet_conv_forward_in(call, &window, err);
}

octet_status octet_conv_forward_integer(const octet_call *call, octet_error *err)
{
    octet_window window;
    conv_run     run;
    OCTET_TRY(octet_window_make(&window, call, call->in[1]->dims + 2, err));
    OCTET_TRY(begin(&run, call, &window, true, err));
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
