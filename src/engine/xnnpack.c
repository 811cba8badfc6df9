/* SPDX-License-Identifier: Apache-2.0 */
/* The engine xnnpack: Conv, Gemm and MatMul over levels as XNNPACK's convolution of s8 pixels with weights of one scale
   per channel (qc8). Pixels lie here as u8, so they are shifted on the way in and out. An operator, in which XNNPACK
   keeps packed weights and pointers together, belongs to a workspace; the threads belong to the plan.

   XNNPACK has no sums of a convolution and a residual. Such sums go through levels of s8 that reach exactly as far as
   the result can tell them apart, in steps below two of the result's: so it is at most one level away. Where one byte
   does not reach so far, the convolution is computed twice: once for what it adds, once for what it takes away. */
#include "engine/foreign.h"

#include "ops/levels.h"

#include <pthreadpool.h>
#include <xnnpack.h>

#include <math.h>
#include <string.h>

enum { FLIP = 0x80, MOST_PARTS = 2 };

/* Levels that a convolution is computed in. */
typedef struct conv_levels {
    float  *multiplier;   /* of sums, per channel */
    int32_t zero, lo, hi; /* as s8 */
    float   unit;         /* in steps of the result; where summed */
} conv_levels;

/* What a step keeps in the plan. */
typedef struct conv_step {
    octet_foreign_conv          conv;
    const int8_t               *weights;    /* [out][height][width][in / groups] */
    const int32_t              *bias;
    conv_levels                 parts[MOST_PARTS];
    int                         part_count;
    const octet_element_kernel *kernel;
    bool                        sums;    /* with a residual */
    octet_add_levels            rule;    /* then */
    size_t                      part_at; /* in the scratch memory, behind the shifted input: results to be summed */
    pthreadpool_t               pool;   /* NULL: one thread */
    bool                        owns_pool;
} conv_step;

/* What it keeps in a workspace. */
typedef struct bound_step {
    xnn_operator_t operators[MOST_PARTS];
    octet_arena   *arena;
} bound_step;

/* ---- levels of a convolution that is summed ---- */

/* Levels for numbers between from and end, which has 0 in it; zero is a level. */
static conv_levels levels_between(float from, float end)
{
    enum { STEPS = 254 }; /* one is spare, for rounding the zero point */
    const float unit = (end - from) / STEPS;
    return (conv_levels){ .zero = unit > 0 ? -128 - (int32_t)lrintf(from / unit) : 0, .lo = -128, .hi = 127,
                          .unit = unit };
}

/* Chooses levels for what the convolution adds to the residual. */
static bool choose_levels(conv_step *s, const octet_plan *plan, const octet_step *step, const octet_native_sums *sums,
                          octet_reason *why)
{
    const float                COARSE = 1.25f, WIDEST = 1.98f;
    const octet_value *const   other  = step->add->inputs[step->add->inputs[0] == step->node->outputs[0]];
    const octet_qparams *const r      = octet_value_levels(plan->graph, other);
    const octet_to_levels     *to     = &sums->to;
    const float                mr     = sums->residual_multiplier;
    const float from = (float)(to->lo - to->zero_point) - (float)(r->qmax - r->zero_point[0]) * mr;
    const float end  = (float)(to->hi - to->zero_point) - (float)(r->qmin - r->zero_point[0]) * mr;
    if (!(from <= 0 && end >= 0 && end > from)) return octet_native_decline(why, "its sum is never near the residual");
    s->sums     = true;
    s->rule     = (octet_add_levels){ .b_multiplier = mr, .to = *to, .b_zero = octet_plan_area(plan, other).zero };
    s->parts[0] = levels_between(from, end);
    if (s->parts[0].unit >= COARSE) {
        s->parts[s->part_count++] = levels_between(0, end);
        s->parts[0]               = levels_between(from, 0);
        s->parts[0].hi            = s->parts[0].zero;
    }
    s->rule.a_zero       = s->parts[0].zero + FLIP;
    s->rule.a_multiplier = s->parts[0].unit;
    const float widest   = fmaxf(s->parts[0].unit, s->parts[1].unit);
    return widest < WIDEST || octet_native_decline(why, "its sum is %.1f levels to a step of 9 bits", (double)widest);
}

/* Multipliers to the units of every part. */
static octet_status find_multipliers(conv_step *s, const octet_native_sums *sums, octet_arena *arena, octet_error *err)
{
    const size_t channels = s->conv.out.channels;
    for (int i = 0; i < s->part_count; i++) {
        OCTET_TRY(octet_arena_get(&s->parts[i].multiplier, arena, channels, sizeof(float), err));
        for (size_t c = 0; c < channels; c++) s->parts[i].multiplier[c] = sums->multiplier[c] / s->parts[i].unit;
    }
    return OCTET_OK;
}

/* Everything about the step but the order of its weights; arena keeps it. why is "" where XNNPACK can be asked. */
static octet_status describe(conv_step *s, octet_reason *why, const octet_plan *plan, const octet_step *step,
                             octet_arena *arena, octet_error *err)
{
    octet_native_sums sums;
    *s = (conv_step){ .kernel = plan->kernels->element, .part_count = 1 };
    OCTET_TRY(octet_native_sums_make(&sums, plan, step, arena, err));
    octet_foreign_describe(&s->conv, plan, step);
    s->weights  = sums.weights;
    s->bias     = sums.bias;
    s->parts[0] = (conv_levels){ .zero = sums.to.zero_point - FLIP, .lo = sums.to.lo - FLIP, .hi = sums.to.hi - FLIP,
                                 .unit = 1 };
    *why        = (octet_reason){ "" };
    if (step->add && !choose_levels(s, plan, step, &sums, why)) return OCTET_OK;
    return find_multipliers(s, &sums, arena, err);
}

/* ---- the operator ---- */

static enum xnn_status create(xnn_operator_t *operator, const conv_step *s, const conv_levels *levels)
{
    const octet_foreign_conv *const c = &s->conv;
    const octet_axis_window *const  y = &c->window.y, *const x = &c->window.x;
    const octet_border *const       pad = &c->window.reach;
    return xnn_create_convolution2d_nhwc_qc8(
        (uint32_t)pad->top, (uint32_t)pad->right, (uint32_t)pad->bottom, (uint32_t)pad->left, (uint32_t)y->kernel,
        (uint32_t)x->kernel, (uint32_t)y->stride, (uint32_t)x->stride, (uint32_t)y->dilation, (uint32_t)x->dilation,
        (uint32_t)c->groups, c->in.channels / c->groups, c->out.channels / c->groups, c->in.channels, c->out.channels,
        (int8_t)(c->in.zero - FLIP), 1.0f, levels->multiplier, s->weights, s->bias, (int8_t)levels->zero, 1.0f,
        (int8_t)levels->lo, (int8_t)levels->hi, 0, operator);
}

static enum xnn_status set_up(xnn_operator_t operator, const conv_step *s, const void *input, void *output)
{
    const octet_area *const in = &s->conv.in;
    return xnn_setup_convolution2d_nhwc_qc8(operator, in->images, in->height, in->width, input, output, s->pool);
}

static octet_status fail(octet_error *err, enum xnn_status status, const char *what)
{
    if (status == xnn_status_out_of_memory) return octet_fail_memory(err);
    return octet_fail(err, OCTET_ERR_BACKEND, "XNNPACK answers %d to %s", (int)status, what);
}

/* ---- choosing ---- */

/* Asks XNNPACK by making the operators: it refuses some multipliers. */
static bool is_taken(const octet_plan *plan, const octet_step *step, octet_arena *arena, octet_reason *why)
{
    conv_step s;
    if (!arena || describe(&s, why, plan, step, arena, NULL) != OCTET_OK)
        return octet_native_decline(why, "its numbers do not fit");
    bool fits = !*why->text;
    for (int i = 0; fits && i < s.part_count; i++) {
        xnn_operator_t        operator = NULL;
        const enum xnn_status status   = create(&operator, &s, &s.parts[i]);
        float                 lo = INFINITY, hi = -INFINITY;
        xnn_delete_operator(operator);
        for (size_t c = 0; c < s.conv.out.channels; c++) {
            lo = fminf(lo, s.parts[i].multiplier[c]);
            hi = fmaxf(hi, s.parts[i].multiplier[c]);
        }
        if (status != xnn_status_success)
            fits = octet_native_decline(why, "XNNPACK refuses it (status %d; multipliers %g to %g)", (int)status,
                                        (double)lo, (double)hi);
    }
    return fits;
}

static bool accepts(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    octet_foreign_conv conv;
    if (step->mode == OCTET_MODE_REAL || step->mode == OCTET_MODE_DYNAMIC)
        return octet_native_decline(why, "real numbers");
    if (!octet_foreign_take(&conv, plan, step, why)) return false;
    bool taken = false;
    if (conv.real) octet_native_decline(why, "output is real");
    else if (xnn_initialize(NULL) != xnn_status_success) octet_native_decline(why, "XNNPACK does not know this CPU");
    else {
        octet_arena *const arena = octet_arena_new();
        taken                    = is_taken(plan, step, arena, why);
        octet_arena_free(arena);
    }
    return taken || octet_foreign_leave(step);
}

/* ---- preparing ---- */

/* Weights from [out][in][height][width] to [out][height][width][in]. */
static octet_status turn_weights(conv_step *s, octet_arena *arena, octet_error *err)
{
    const octet_foreign_conv *const c    = &s->conv;
    const size_t taps = (size_t)(c->window.y.kernel * c->window.x.kernel), depth = c->in.channels / c->groups;
    const int8_t *from = s->weights;
    int8_t       *turned;
    if (taps == 1) return OCTET_OK;
    OCTET_TRY(octet_arena_get(&turned, arena, c->out.channels * taps * depth, 1, err));
    for (size_t o = 0; o < c->out.channels; o++)
        for (size_t d = 0; d < depth; d++)
            for (size_t t = 0; t < taps; t++) turned[(o * taps + t) * depth + d] = *from++;
    s->weights = turned;
    return OCTET_OK;
}

/* Waking other threads costs more than some 20 microseconds of work. */
static bool is_small(const octet_step *step) { return step->macs < 2000000; }

/* One pool for all steps of the plan. It serves one workspace at a time, the others wait. */
static octet_status share_pool(conv_step *s, const octet_plan *plan, const octet_step *step, octet_error *err)
{
    if (plan->threads == 1 || is_small(step)) return OCTET_OK;
    for (size_t i = 0; i < plan->step_count; i++) {
        const octet_step *const before = &plan->steps[i];
        if (before->engine != &octet_engine_xnnpack || !before->state || before == step) continue;
        s->pool = ((const conv_step *)before->state)->pool;
        if (s->pool) return OCTET_OK;
    }
    s->pool      = pthreadpool_create((size_t)plan->threads);
    s->owns_pool = true;
    return s->pool ? OCTET_OK : octet_fail(err, OCTET_ERR_BACKEND, "%d threads do not start", plan->threads);
}

static octet_status prepare(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    conv_step   *s;
    octet_reason why;
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    OCTET_TRY(describe(s, &why, plan, step, arena, err));
    if (*why.text) return octet_fail(err, OCTET_ERR_BACKEND, "%s", why.text);
    step->state = s; /* release sees to the rest */
    OCTET_TRY(turn_weights(s, arena, err));
    OCTET_TRY(share_pool(s, plan, step, err));
    s->part_at          = octet_aligned(s->conv.in.bytes + XNN_EXTRA_BYTES);
    step->scratch_bytes = s->part_at + (s->sums ? octet_aligned(s->conv.out.bytes) * (size_t)s->part_count : 0);
    step->algorithm     = !s->sums ? "qc8" : s->part_count == 1 ? "qc8, summed" : "qc8 twice, summed";
    return OCTET_OK;
}

static void release(octet_step *step)
{
    conv_step *const s = step->state;
    if (s && s->owns_pool) pthreadpool_destroy(s->pool);
    step->state = NULL;
}

/* ---- running ---- */

static void unbind(void *bound)
{
    bound_step *const b = bound;
    for (int i = 0; i < MOST_PARTS; i++) xnn_delete_operator(b->operators[i]);
    octet_arena_free(b->arena);
}

/* Set up once here: what XNNPACK allocates for the shape stays, and later pointers cost nothing. */
static octet_status bind(void **bound, const octet_step *step, octet_error *err)
{
    static int8_t          somewhere[64];
    const conv_step *const s      = step->state;
    octet_arena *const     arena  = octet_arena_new();
    bound_step *const      b      = arena ? octet_arena_alloc(arena, 1, sizeof *b) : NULL;
    enum xnn_status        status = xnn_status_success;
    if (!b) {
        octet_arena_free(arena);
        return octet_fail_memory(err);
    }
    b->arena = arena;
    *bound   = b;
    for (int i = 0; status == xnn_status_success && i < s->part_count; i++) {
        status = create(&b->operators[i], s, &s->parts[i]);
        if (status == xnn_status_success) status = set_up(b->operators[i], s, somewhere, somewhere);
    }
    return status == xnn_status_success ? OCTET_OK : fail(err, status, "an operator");
}

/* Levels of one sign to levels of the other. */
static void flip(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = from[i] ^ FLIP;
}

/* Both parts, as s8, and the residual; one of the parts is 0. */
static void sum_parts(uint8_t *y, const conv_step *s, const int8_t *below, const int8_t *above, const uint8_t *residual)
{
    const octet_to_levels *const to   = &s->rule.to;
    const octet_level_rule       rule = { .zero_point = to->zero_point, .qmin = to->lo, .qmax = to->hi };
    const conv_levels *const     a = &s->parts[0], *const b = &s->parts[1];
    for (size_t i = 0; i < s->conv.out.bytes; i++) {
        const float added = (float)(below[i] - a->zero) * a->unit + (float)(above[i] - b->zero) * b->unit;
        const float t     = added + (float)(residual[i] - s->rule.b_zero) * s->rule.b_multiplier;
        y[i]              = (uint8_t)octet_level_round(t, &rule);
    }
}

static octet_status run(const octet_step *step, const octet_call *call, void *bound, octet_error *err)
{
    const conv_step *const  s     = step->state;
    const bound_step *const b     = bound;
    uint8_t *const          input = call->scratch, *const output = call->out[0]->data;
    uint8_t *const          y     = s->sums ? input + s->part_at : output;
    const size_t            bytes = s->conv.out.bytes, next = octet_aligned(bytes);
    const uint8_t *const    residual = s->sums ? call->in[call->in_count - 1]->data : NULL;
    flip(input, call->in[0]->data, s->conv.in.bytes);
    for (int i = 0; i < s->part_count; i++) {
        enum xnn_status status = set_up(b->operators[i], s, input, y + (size_t)i * next);
        if (status == xnn_status_success) status = xnn_run_operator(b->operators[i], s->pool);
        if (status != xnn_status_success) return fail(err, status, "running an operator");
    }
    if (s->part_count > 1) sum_parts(output, s, (const int8_t *)y, (const int8_t *)y + next, residual);
    else flip(y, y, bytes);
    if (s->sums && s->part_count == 1) s->kernel->add(output, y, residual, bytes, &s->rule);
    return OCTET_OK;
}

/* ---- the row ---- */

static const char *version(void) { return "of 2022"; } /* it has no versions; this is the API's year */

const octet_engine octet_engine_xnnpack = { .name = "xnnpack", .version = version, .tight = true, .by_name = true,
                                            .accepts = accepts, .prepare = prepare, .bind = bind, .run = run,
                                            .unbind = unbind, .release = release };
