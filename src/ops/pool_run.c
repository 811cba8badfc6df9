/* SPDX-License-Identifier: Apache-2.0 */
/* What pool_run.h promises. */
#include "ops/pool_run.h"

#include "base/parallel.h"
#include "ops/check.h"
#include "ops/levels.h"

octet_status octet_pool_window(octet_window *window, const octet_call *call, octet_error *err)
{
    static const octet_window_attrs plain = { .auto_pad = "NOTSET" };
    const octet_window_attrs *const attrs = call->node->op->attrs ? call->attrs : NULL;
    if (attrs && attrs->auto_pad) return octet_window_make(window, call, NULL, err);
    octet_call global = *call;
    global.attrs = &plain;
    return octet_window_make(window, &global, call->in[0]->dims + 2, err);
}

void octet_pool_make(octet_pool_run *run, const octet_call *call, bool integer)
{
    *run = (octet_pool_run){ .call = call, .real = !integer };
    octet_pool_window(&run->window, call, NULL);
    run->in_size = (size_t)octet_product(run->window.in, run->window.rank);
    run->out_size = (size_t)octet_product(run->window.out, run->window.rank);
}

size_t octet_pool_count(const octet_call *call) { return (size_t)(call->in[0]->dims[0] * call->in[0]->dims[1]); }

void octet_pool_planes(const octet_call *call, bool integer, void (*body)(void *context, size_t plane))
{
    octet_pool_run            pool, *const run = &pool;
    const octet_tensor *const x = call->in[0], *const y = call->out[0];
    octet_pool_make(run, call, integer);
    if (integer && y->qparams) {
        run->to = octet_level_rule_of(y->qparams, 0, &call->node->activation);
        run->average = (octet_average_rule){ .scale = x->qparams->scale[0], .to = run->to };
    }
    octet_parallel(octet_pool_count(call), call->threads, body, run);
}

bool octet_pool_next_part(octet_pool_part *part, const octet_pool_run *run)
{
    const size_t width = (size_t)run->window.out[run->window.rank - 1];
    part->first += part->count;
    if (part->first == width) {
        part->first = 0;
        part->row++;
    }
    const size_t left = width - part->first;
    part->count = left < OCTET_POOL_PART ? left : OCTET_POOL_PART;
    return part->row * width < run->out_size;
}

int64_t octet_pool_position(const octet_pool_run *run, const octet_pool_part *part)
{
    return (int64_t)part->row * run->window.out[run->window.rank - 1] + (int64_t)part->first;
}

/* ---- validation ---- */

/* Windows made of padding only have no value. */
static octet_status check_pads(const octet_window *window, octet_error *err)
{
    for (int i = 0; i < window->rank; i++) {
        const int64_t extent = (window->kernel[i] - 1) * window->dilation[i] + 1;
        if (window->pad[i] >= extent || window->pad_end[i] >= extent)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "pads",
                                    "padding of dimension %d is as large as the window: some would hold nothing else",
                                    i + 2);
    }
    return OCTET_OK;
}

octet_status octet_pool_infer(const octet_call *call, octet_error *err)
{
    octet_window window;
    if (call->in[0]->rank < 3)
        return octet_fail(err, OCTET_ERR_SHAPE, "the input has rank %d; at least 3 is needed (batch, channels, space)",
                          call->in[0]->rank);
    OCTET_TRY(octet_pool_window(&window, call, err));
    OCTET_TRY(check_pads(&window, err));
    if (octet_product(window.kernel, window.rank) > INT32_MAX)
        return octet_fail_field(err, OCTET_ERR_LIMIT, "kernel_shape", "the window has more than 2^31 elements");
    OCTET_TRY(octet_window_output(call, 0, call->in[0]->dtype, call->in[0]->dims[1], &window, err));
    return octet_window_output(call, 1, OCTET_I64, call->in[0]->dims[1], &window, err);
}
