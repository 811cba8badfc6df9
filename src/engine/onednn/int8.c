/* SPDX-License-Identifier: Apache-2.0 */
/* Levels through oneDNN: every product is a convolution of u8 pixels with s8 weights. Zero points, multipliers, the
   residual and the bounds are attributes; oneDNN multiplies and rounds in an order of its own, so results may be one
   level away from the definition. */
#include "engine/foreign.h"
#include "engine/onednn/problem.h"
#include "engine/onednn/step.h"

#include <string.h>

/* A convolution in oneDNN's terms. */
typedef struct levels_problem {
    octet_foreign_conv      conv;
    dnnl_convolution_desc_t operation;
    dnnl_memory_desc_t      plain_weights; /* [groups,] [out, in, height, width] */
    int32_t                 x_zero, y_zero, residual_zero;
    bool                    sums, clips, has_bias;
} levels_problem;

/* ---- description ---- */

/* Without VNNI its u8 * s8 products saturate in int16: sums of two products leave it. */
static bool has_exact_products(void)
{
    const unsigned isa = dnnl_get_effective_cpu_isa();
    return (isa & dnnl_cpu_isa_avx512_core_vnni) == dnnl_cpu_isa_avx512_core_vnni ||
           (isa & dnnl_cpu_isa_avx2_vnni) == dnnl_cpu_isa_avx2_vnni;
}

static dnnl_status_t pixels_desc(dnnl_memory_desc_t *desc, const octet_area *area, dnnl_data_type_t type)
{
    const dnnl_dims_t dims = { (dnnl_dim_t)area->images, (dnnl_dim_t)area->channels, (dnnl_dim_t)area->height,
                               (dnnl_dim_t)area->width };
    return dnnl_memory_desc_init_by_tag(desc, 4, dims, type, dnnl_nhwc);
}

/* In oneDNN's choice of order (any) or in the graph's. */
static dnnl_status_t weights_desc(dnnl_memory_desc_t *desc, const octet_foreign_conv *c, bool any)
{
    const dnnl_dim_t groups = (dnnl_dim_t)c->groups, out = (dnnl_dim_t)c->out.channels, in = (dnnl_dim_t)c->in.channels;
    const dnnl_dims_t grouped = { groups, out / groups, in / groups, c->window.y.kernel, c->window.x.kernel };
    const dnnl_dims_t single  = { out, in, c->window.y.kernel, c->window.x.kernel };
    if (groups > 1)
        return dnnl_memory_desc_init_by_tag(desc, 5, grouped, dnnl_s8, any ? dnnl_format_tag_any : dnnl_goihw);
    return dnnl_memory_desc_init_by_tag(desc, 4, single, dnnl_s8, any ? dnnl_format_tag_any : dnnl_oihw);
}

static dnnl_status_t describe_operation(levels_problem *p)
{
    const octet_axis_window *const y = &p->conv.window.y, *const x = &p->conv.window.x;
    const dnnl_dims_t  strides = { y->stride, x->stride }, dilations = { y->dilation - 1, x->dilation - 1 };
    const dnnl_dims_t  begin = { y->pad, x->pad }, end = { octet_axis_overhang(y), octet_axis_overhang(x) };
    const dnnl_dims_t  channels = { (dnnl_dim_t)p->conv.out.channels };
    dnnl_memory_desc_t input, output, weights, bias;
    dnnl_status_t      status = pixels_desc(&input, &p->conv.in, dnnl_u8);
    if (status == dnnl_success) status = pixels_desc(&output, &p->conv.out, p->conv.real ? dnnl_f32 : dnnl_u8);
    if (status == dnnl_success) status = weights_desc(&weights, &p->conv, true);
    if (status == dnnl_success) status = weights_desc(&p->plain_weights, &p->conv, false);
    if (status == dnnl_success) status = dnnl_memory_desc_init_by_tag(&bias, 1, channels, dnnl_s32, dnnl_a);
    if (status != dnnl_success) return status;
    return dnnl_dilated_convolution_forward_desc_init(&p->operation, dnnl_forward_inference, dnnl_convolution_direct,
                                                      &input, &weights, p->has_bias ? &bias : NULL, &output, strides,
                                                      dilations, begin, end);
}

/* sums: the numbers that the attributes hold. */
static dnnl_status_t add_post_ops(dnnl_primitive_attr_t attributes, const levels_problem *p,
                                  const octet_native_sums *sums)
{
    dnnl_post_ops_t post   = NULL;
    dnnl_status_t   status = dnnl_post_ops_create(&post);
    const float     lo     = p->conv.real ? sums->real_lo : (float)(sums->to.lo - p->y_zero);
    const float     hi     = p->conv.real ? sums->real_hi : (float)(sums->to.hi - p->y_zero);
    if (status == dnnl_success && p->sums)
        status = dnnl_post_ops_append_sum_v3(post, sums->residual_multiplier, p->residual_zero, dnnl_u8);
    if (status == dnnl_success && p->clips)
        status = dnnl_post_ops_append_eltwise(post, 1.0f, dnnl_eltwise_clip, lo, hi);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(attributes, post);
    dnnl_post_ops_destroy(post);
    return status;
}

static dnnl_status_t make_attributes(dnnl_primitive_attr_t *attributes, const levels_problem *p,
                                     const octet_native_sums *sums)
{
    enum { BY_CHANNEL = 1 << 1 };
    const dnnl_dim_t channels = (dnnl_dim_t)p->conv.out.channels;
    dnnl_status_t    status   = dnnl_primitive_attr_create(attributes);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_output_scales(*attributes, channels, BY_CHANNEL, sums->multiplier);
    if (status == dnnl_success && p->x_zero)
        status = dnnl_primitive_attr_set_zero_points(*attributes, DNNL_ARG_SRC, 1, 0, &p->x_zero);
    if (status == dnnl_success && p->y_zero)
        status = dnnl_primitive_attr_set_zero_points(*attributes, DNNL_ARG_DST, 1, 0, &p->y_zero);
    if (status == dnnl_success && (p->sums || p->clips)) status = add_post_ops(*attributes, p, sums);
    return status;
}

/* Convolutions on tiles are passed over: in 2.6.3 a zero point padded by more than half a window makes them wrong by
   some 60 levels, and those of 1x1 write past the output. */
static bool is_broken(const char *name) { return strstr(name, "amx") != NULL; }

/* The best implementation that works. name lives as long as oneDNN. */
static dnnl_status_t make_descriptor(dnnl_primitive_desc_t *descriptor, const char **name, const levels_problem *p,
                                     const octet_native_sums *sums, dnnl_engine_t engine)
{
    dnnl_primitive_attr_t          attributes = NULL;
    dnnl_primitive_desc_iterator_t choices    = NULL;
    bool                           broken     = true;
    dnnl_status_t                  status     = make_attributes(&attributes, p, sums);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_iterator_create(&choices, &p->operation, attributes, engine, NULL);
    while (status == dnnl_success && broken) {
        *descriptor = dnnl_primitive_desc_iterator_fetch(choices);
        status = *descriptor ? dnnl_primitive_desc_query(*descriptor, dnnl_query_impl_info_str, 0, name)
                             : dnnl_out_of_memory;
        broken = status == dnnl_success && is_broken(*name);
        if (!broken) break;
        dnnl_primitive_desc_destroy(*descriptor);
        *descriptor = NULL;
        status      = dnnl_primitive_desc_iterator_next(choices);
    }
    dnnl_primitive_desc_iterator_destroy(choices);
    dnnl_primitive_attr_destroy(attributes);
    return status;
}

/* All but the numbers. */
static dnnl_status_t describe(levels_problem *p, const octet_plan *plan, const octet_step *step)
{
    const octet_node *const    node = step->node, *const last = step->add ? step->add : node;
    const octet_qparams *const y    = octet_value_levels(plan->graph, last->outputs[0]);
    octet_foreign_describe(&p->conv, plan, step);
    p->sums     = step->add != NULL;
    p->x_zero   = p->conv.in.zero;
    p->y_zero   = p->conv.real ? 0 : p->conv.out.zero;
    p->clips    = p->conv.real && last->activation.on;
    p->has_bias = node->input_count > 2 && node->inputs[2];
    if (y) {
        const octet_to_levels to = octet_native_to(y, &last->activation);
        p->clips                 = to.lo > 0 || to.hi < 255;
    }
    if (step->add) {
        const octet_value *const other = step->add->inputs[step->add->inputs[0] == node->outputs[0]];
        p->residual_zero               = octet_plan_area(plan, other).zero;
    }
    return describe_operation(p);
}

/* ---- choosing ---- */

/* Whether oneDNN has more than its reference loops. The numbers do not matter. */
static bool is_fast(const levels_problem *p, octet_reason *why)
{
    const size_t          channels = p->conv.out.channels;
    octet_native_sums     sums     = { .to = { .hi = 255 }, .residual_multiplier = 0.5f, .real_hi = 1 };
    octet_arena *const    arena    = octet_arena_new();
    dnnl_engine_t         engine   = NULL;
    dnnl_primitive_desc_t descriptor = NULL;
    const char           *name       = "ref";
    dnnl_status_t         status     = dnnl_out_of_memory;
    if (arena && octet_arena_get(&sums.multiplier, arena, channels, sizeof(float), NULL) == OCTET_OK) {
        for (size_t c = 0; c < channels; c++) sums.multiplier[c] = 0.5f;
        status = dnnl_engine_create(&engine, dnnl_cpu, 0);
    }
    if (status == dnnl_success) status = make_descriptor(&descriptor, &name, p, &sums, engine);
    const bool fast = status == dnnl_success && strncmp(name, "ref", 3) != 0;
    dnnl_primitive_desc_destroy(descriptor);
    dnnl_engine_destroy(engine);
    octet_arena_free(arena);
    return fast || octet_dnnl_decline(why, "oneDNN has no fast form of it on levels");
}

bool octet_dnnl_accepts_levels(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    levels_problem p = { .sums = false };
    if (!octet_foreign_take(&p.conv, plan, step, why)) return false;
    if (!has_exact_products()) {
        octet_dnnl_decline(why, "without VNNI its products of levels saturate");
        return octet_foreign_leave(step);
    }
    const int  before = octet_dnnl_threads(plan->threads);
    const bool taken = describe(&p, plan, step) == dnnl_success ? is_fast(&p, why)
                                                                : octet_dnnl_decline(why, "oneDNN refuses the shape");
    octet_dnnl_threads(before);
    return taken || octet_foreign_leave(step);
}

/* ---- preparing ---- */

static octet_status pack_weights(octet_dnnl_step *s, const dnnl_memory_desc_t *wanted, const levels_problem *p,
                                 const octet_native_sums *sums, octet_arena *arena, octet_error *err)
{
    dnnl_memory_t       plain  = NULL;
    void *const         at     = (void *)(uintptr_t)sums->weights; /* read only */
    const dnnl_status_t status = dnnl_memory_create(&plain, &p->plain_weights, s->engine, at);
    if (status != dnnl_success) return octet_dnnl_fail(err, status, "a memory object");
    octet_status packed = octet_dnnl_memory(&s->weights, wanted, s->engine, arena, err);
    if (packed == OCTET_OK) packed = octet_dnnl_reorder(s->weights, plain, s->engine, err);
    dnnl_memory_destroy(plain);
    return packed;
}

static octet_status fill(octet_dnnl_step *s, dnnl_primitive_desc_t descriptor, const levels_problem *p,
                         const octet_native_sums *sums, octet_arena *arena, octet_error *err)
{
    const dnnl_memory_desc_t *const bias   = dnnl_primitive_desc_query_md(descriptor, dnnl_query_weights_md, 1);
    dnnl_status_t                   status = dnnl_primitive_create(&s->primitive, descriptor);
    if (status != dnnl_success) return octet_dnnl_fail(err, status, "compiling a primitive");
    s->x       = *dnnl_primitive_desc_query_md(descriptor, dnnl_query_src_md, 0);
    s->y       = *dnnl_primitive_desc_query_md(descriptor, dnnl_query_dst_md, 0);
    s->scratch = *dnnl_primitive_desc_query_md(descriptor, dnnl_query_scratchpad_md, 0);
    OCTET_TRY(pack_weights(s, dnnl_primitive_desc_query_md(descriptor, dnnl_query_weights_md, 0), p, sums, arena, err));
    if (!p->has_bias) return OCTET_OK;
    status = dnnl_memory_create(&s->bias, bias, s->engine, sums->bias);
    return status == dnnl_success ? OCTET_OK : octet_dnnl_fail(err, status, "a memory object");
}

/* Real numbers of more than one pixel go through scratch memory. */
static void place_output(octet_dnnl_step *s, octet_step *step, const octet_plan *plan, const levels_problem *p)
{
    enum { ALIGNMENT = 64 };
    const octet_area *const out    = &p->conv.out;
    const size_t            pixels = out->height * out->width, bytes = dnnl_memory_desc_get_size(&s->scratch);
    const bool              is_matrix = plan->shapes[step->node->outputs[0]->index].rank == 2;
    step->scratch_bytes               = bytes;
    if (step->add) s->residual = out->bytes;
    if (!p->conv.real || pixels == 1 || is_matrix) return;
    s->planes           = plan->kernels->planes;
    s->size             = (octet_planes){ .pixels = pixels, .channels = out->channels, .plane = pixels,
                                          .pixel = out->channels };
    s->images           = out->images;
    s->pixels_at        = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    step->scratch_bytes = s->pixels_at + out->images * pixels * out->channels * sizeof(float);
}

/* Waking other threads costs more than some 20 microseconds of work. */
static bool is_small(const octet_step *step, const levels_problem *p)
{
    return (double)step->macs + 16 * (double)(p->conv.in.bytes + p->conv.out.bytes) < 4e6;
}

octet_status octet_dnnl_prepare_levels(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    levels_problem        p = { .sums = false };
    octet_native_sums     sums;
    octet_dnnl_step      *s;
    dnnl_primitive_desc_t descriptor = NULL;
    const char           *name       = "";
    OCTET_TRY(octet_native_sums_make(&sums, plan, step, arena, err));
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    dnnl_status_t status = describe(&p, plan, step);
    step->state          = s; /* release sees to the rest */
    s->alone             = is_small(step, &p);
    const int before     = octet_dnnl_threads(s->alone ? 1 : plan->threads);
    if (status == dnnl_success) status = dnnl_engine_create(&s->engine, dnnl_cpu, 0);
    if (status == dnnl_success) status = make_descriptor(&descriptor, &name, &p, &sums, s->engine);
    const octet_status filled = status == dnnl_success ? fill(s, descriptor, &p, &sums, arena, err)
                                                       : octet_dnnl_fail(err, status, "describing a primitive");
    step->algorithm = octet_arena_format(arena, "%s", name);
    octet_dnnl_threads(before);
    dnnl_primitive_desc_destroy(descriptor);
    if (filled == OCTET_OK) place_output(s, step, plan, &p);
    return filled == OCTET_OK && !step->algorithm ? octet_fail_memory(err) : filled;
}
