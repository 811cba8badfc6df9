/* SPDX-License-Identifier: Apache-2.0 */
/* Maximum and mean over windows. Windows that reach outside the image are cut: a pool never reads a border. */
#include "engine/native/native.h"

#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/rescale.h"

#include <string.h>

typedef struct pool_step {
    octet_native_run            run;
    const octet_element_kernel *kernel;
    octet_area                  in, out;
    octet_window2               window;
    bool                        maximum, counts_padding;
    double                      from, unit; /* scales */
    octet_to_levels             to;
    bool                        clamps; /* maximum: levels are narrowed */
} pool_step;

/* The window's taps inside the image: from, and how many. */
typedef struct cut {
    int64_t first, count, divisor;
} cut;

static cut cut_window(const octet_axis_window *w, int64_t index, bool counts_padding)
{
    const int64_t start = index * w->stride - w->pad;
    int64_t       first = 0, last = w->kernel;
    while (first < last && start + first * w->dilation < 0) first++;
    while (last > first && start + (last - 1) * w->dilation >= w->in) last--;
    const int64_t limit = w->in + w->pad_end, padded = start < limit ? (limit - 1 - start) / w->dilation + 1 : 0;
    const int64_t taps = counts_padding ? (padded < w->kernel ? padded : w->kernel) : last - first;
    return (cut){ .first = start + first * w->dilation, .count = last - first, .divisor = taps ? taps : 1 };
}

static void pool_pixel(const pool_step *s, uint8_t *y, const uint8_t *image, const cut *cy, const cut *cx)
{
    const octet_steps *const steps  = &s->in.steps;
    const octet_window_view  window = {.first =
                                           image + (size_t)cy->first * steps->row + (size_t)cx->first * steps->pixel,
                                       .rows = (size_t)cy->count,
                                       .columns = (size_t)cx->count,
                                       .row = (size_t)s->window.y.dilation * steps->row,
                                       .column = (size_t)s->window.x.dilation * steps->pixel};
    if (s->maximum) {
        s->kernel->max(y, &window, s->out.channels);
        if (s->clamps) s->kernel->clamp(y, y, s->out.channels, (uint8_t)s->to.lo, (uint8_t)s->to.hi);
        return;
    }
    const octet_rescale_levels rule = {.zero = octet_native_zero(&s->in),
                                       .multiplier = (float)(s->from / ((double)(cy->divisor * cx->divisor) * s->unit)),
                                       .to = s->to};
    s->kernel->mean(y, &window, s->out.channels, &rule);
}

static void run(const octet_step *step, const octet_call *call, int phase, int part)
{
    (void)phase;
    const pool_step *const s      = step->state;
    uint8_t *const         output = call->out[0]->data;
    const octet_share      share  = octet_native_share(s->out.images * s->out.height, part, step->parts);
    if (part == 0) octet_area_fill_border(&s->out, output);
    for (size_t r = share.first; r < share.last; r++) {
        const uint8_t *const image =
            (uint8_t *)call->in[0]->data + s->in.offset + r / s->out.height * s->in.steps.image;
        const cut            cy = cut_window(&s->window.y, (int64_t)(r % s->out.height), s->counts_padding);
        uint8_t             *y  = output + octet_native_row_at(&s->out, r);
        for (size_t x = 0; x < s->out.width; x++, y += s->out.steps.pixel) {
            const cut cx = cut_window(&s->window.x, (int64_t)x, s->counts_padding);
            pool_pixel(s, y, image, &cy, &cx);
        }
    }
}

/* ReduceMean over space is GlobalAveragePool (with or without the dimensions of one pixel). */
static bool reduces_space(const octet_plan *plan, const octet_node *node)
{
    octet_ints axes;
    const int  rank = plan->shapes[node->inputs[0]->index].rank;
    if (node->input_count < 2 || !node->inputs[1] || !octet_value_is_constant(node->inputs[1])) return false;
    if (rank < 3 || rank > 4 || !octet_list_of(&axes, node->inputs[1]->constant)) return false;
    if (axes.count != rank - 2) return false;
    for (int i = 0; i < axes.count; i++) {
        const int64_t axis = axes.at[i] < 0 ? axes.at[i] + rank : axes.at[i];
        if (axis < 2 || axis >= rank || (i > 0 && axes.at[i] == axes.at[i - 1])) return false;
    }
    return true;
}

static bool is_maximum(const octet_node *node) { return strstr(node->op->name, "Max") != NULL; }

bool octet_native_accepts_pool(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    const octet_node *const    node = step->node;
    const octet_qparams *const x = octet_value_levels(plan->graph, node->inputs[0]),
                        *const y = octet_value_levels(plan->graph, node->outputs[0]);
    octet_window2 window;
    if (!octet_native_take(plan, step, 1, why)) return false;
    if (!y) return octet_native_decline(why, "output is real");
    if (node->output_count > 1 && node->outputs[1]) return octet_native_decline(why, "indices are wanted");
    if (strcmp(node->op->name, "ReduceMean") == 0 && !reduces_space(plan, node))
        return octet_native_decline(why, "not a mean over space");
    if (is_maximum(node) && !octet_qparams_equal(x, y))
        return octet_native_decline(why, "input and output have different scales");
    if (!octet_window2_of(&window, plan, node)) return octet_native_decline(why, "more than two dimensions of space");
    const int64_t elements = window.y.kernel * window.x.kernel;
    return elements <= INT32_MAX / 256 || octet_native_decline(why, "the sum of so many levels leaves int32");
}

octet_status octet_native_prepare_pool(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    const octet_node *const    node = step->node;
    const octet_qparams *const y    = octet_value_levels(plan->graph, node->outputs[0]);
    pool_step                 *s;
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    s->run    = run;
    s->kernel = plan->kernels->element;
    s->in     = *octet_native_in(plan, step, 0);
    s->out    = *octet_native_out(plan, step);
    octet_window2_of(&s->window, plan, node);
    s->maximum        = is_maximum(node);
    s->counts_padding = strcmp(node->op->name, "AveragePool") == 0 &&
                        ((const octet_window_attrs *)node->attrs)->count_include_pad != 0;
    s->from   = octet_value_levels(plan->graph, node->inputs[0])->scale[0];
    s->unit   = y->scale[0];
    s->to     = octet_native_to(y, &node->activation);
    s->clamps = s->to.lo > 0 || s->to.hi < 255;
    step->state     = s;
    step->phases    = 1;
    step->algorithm = s->maximum ? "maximum of channels" : "sum of channels";
    step->parts =
        octet_native_parts(plan, (double)(s->window.y.kernel * s->window.x.kernel) * (double)s->out.bytes / 20000);
    return OCTET_OK;
}
