/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and offsets of the planes that conv.h describes. */
#include "base/checked.h"
#include "ops/conv.h"

/* Extents that the windows really touch, cut into phases. */
static bool make_planes(octet_conv_plan *plan)
{
    const octet_window *const window = &plan->window;
    plan->phase_size = 1;
    size_t phases = 1;
    for (int i = 0; i < window->rank; i++) {
        plan->stride[i] = window->out[i] > 1 ? window->stride[i] : 1;
        const int64_t needed =
            (window->out[i] - 1) * plan->stride[i] + (window->kernel[i] - 1) * window->dilation[i] + 1;
        plan->plane[i] = (needed + plan->stride[i] - 1) / plan->stride[i];
        if (!octet_mul(&plan->phase_size, plan->phase_size, (size_t)plan->plane[i])) return false;
        if (!octet_mul(&phases, phases, (size_t)plan->stride[i])) return false;
    }
    const size_t channels = (size_t)(plan->group * plan->in_channels);
    return octet_mul(&plan->channel_size, plan->phase_size, phases) &&
           octet_mul(&plan->image_size, plan->channel_size, channels);
}

/* Output rows: as many trailing dimensions as lie densely in the plane. */
static void make_rows(octet_conv_plan *plan)
{
    const octet_window *const window = &plan->window;
    int                       i = window->rank - 1;
    plan->row = window->out[i];
    while (i > 0 && plan->plane[i] == window->out[i]) plan->row *= window->out[--i];
    plan->rows = plan->out_size / plan->row;
    size_t last = 0, step = 1;
    for (i = window->rank - 1; i >= 0; step *= (size_t)plan->plane[i--]) last += (size_t)(window->out[i] - 1) * step;
    plan->length = last + 1;
}

bool octet_conv_plan_make(octet_conv_plan *plan, const octet_call *call, size_t element)
{
    octet_window window;
    return octet_window_make(&window, call, call->in[1]->dims + 2, NULL) == OCTET_OK &&
           octet_conv_plan_lay(plan, &window, call, element);
}

bool octet_conv_plan_lay(octet_conv_plan *plan, const octet_window *window, const octet_call *call, size_t element)
{
    const octet_tensor *const x = call->in[0], *const w = call->in[1];
    *plan = (octet_conv_plan){ .window = *window, .batch = x->dims[0], .in_channels = w->dims[1] };
    plan->group = x->dims[1] / plan->in_channels;
    plan->out_channels = w->dims[0] / plan->group;
    plan->taps = octet_product(plan->window.kernel, plan->window.rank);
    plan->sums = plan->in_channels * plan->taps;
    plan->out_size = octet_product(plan->window.out, plan->window.rank);
    if (!make_planes(plan)) return false;
    make_rows(plan);
    const size_t room = ((size_t)8 << 20) / element, most = plan->batch > 0 ? (size_t)plan->batch : 1;
    plan->images = plan->image_size >= room ? 1 : room / plan->image_size;
    if (plan->images > most) plan->images = most;
    return true;
}

/* Where window position tap reads, relative to the plane of its channel. */
static size_t tap_offset(const octet_conv_plan *plan, int64_t tap)
{
    size_t position = 0, phase = 0, position_step = 1, phase_step = 1;
    for (int i = plan->window.rank - 1; i >= 0; i--) {
        const int64_t u = tap % plan->window.kernel[i] * plan->window.dilation[i];
        tap /= plan->window.kernel[i];
        position += (size_t)(u / plan->stride[i]) * position_step;
        phase += (size_t)(u % plan->stride[i]) * phase_step;
        position_step *= (size_t)plan->plane[i];
        phase_step *= (size_t)plan->stride[i];
    }
    return phase * plan->phase_size + position;
}

void octet_conv_offsets(size_t *offset, const octet_conv_plan *plan)
{
    for (int64_t tap = 0; tap < plan->taps; tap++) offset[tap] = tap_offset(plan, tap);
    for (int64_t k = plan->taps; k < plan->sums; k++) offset[k] = offset[k - plan->taps] + plan->channel_size;
}

void octet_conv_row_starts(size_t *start, const octet_conv_plan *plan)
{
    const octet_window *const window = &plan->window;
    for (int64_t r = 0; r < plan->rows; r++) {
        int64_t at = r * plan->row;
        size_t  step = 1;
        start[r] = 0;
        for (int i = window->rank - 1; i >= 0; i--) {
            start[r] += (size_t)(at % window->out[i]) * step;
            at /= window->out[i];
            step *= (size_t)plan->plane[i];
        }
    }
}

bool octet_conv_row_target(size_t *to, const octet_conv_plan *plan, size_t r)
{
    const octet_window *const window = &plan->window;
    const int                 last = window->rank - 1;
    size_t position = 0, phase = 0, position_step = (size_t)plan->plane[last], phase_step = (size_t)plan->stride[last];
    for (int i = last - 1; i >= 0; i--) {
        const int64_t u = (int64_t)(r % (size_t)window->in[i]) + window->pad[i];
        r /= (size_t)window->in[i];
        if (u / plan->stride[i] >= plan->plane[i]) return false;
        position += (size_t)(u / plan->stride[i]) * position_step;
        phase += (size_t)(u % plan->stride[i]) * phase_step;
        position_step *= (size_t)plan->plane[i];
        phase_step *= (size_t)plan->stride[i];
    }
    *to = phase * plan->phase_size + position;
    return true;
}

octet_conv_piece octet_conv_row_piece(const octet_conv_plan *plan, int64_t u, size_t n, size_t phase)
{
    const int     last = plan->window.rank - 1;
    const int64_t stride = plan->stride[last], behind = ((int64_t)phase - u % stride + stride) % stride;
    const int64_t position = (u + behind) / stride, room = plan->plane[last] - position;
    const int64_t count = behind < (int64_t)n ? ((int64_t)n - 1 - behind) / stride + 1 : 0;
    return (octet_conv_piece){ .first = (size_t)behind,
                               .at = phase * plan->phase_size + (size_t)position,
                               .count = (size_t)(count < room ? count : room > 0 ? room : 0) };
}
