/* SPDX-License-Identifier: Apache-2.0 */
/* The engine onednn: float32 through oneDNN's C API, and levels (int8.c). A primitive and its packed weights belong to
   the plan; memory objects, which oneDNN changes when they point elsewhere, belong to one workspace. */
#include "engine/onednn/problem.h"
#include "engine/onednn/step.h"

#include "base/cpu.h"
#include "ops/levels.h"

#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* What it keeps in a workspace. */
enum { ARG_X, ARG_Y, ARG_SCRATCH, ARG_WEIGHTS, ARG_BIAS, ARG_COUNT };
typedef struct bound_step {
    dnnl_stream_t   stream;
    dnnl_memory_t   memory[ARG_WEIGHTS]; /* of this workspace */
    void           *at[ARG_WEIGHTS];     /* where they point */
    dnnl_exec_arg_t args[ARG_COUNT];
    int             arg_count;
    octet_arena    *arena;
} bound_step;

octet_status octet_dnnl_fail(octet_error *err, dnnl_status_t status, const char *what)
{
    if (status == dnnl_out_of_memory) return octet_fail_memory(err);
    return octet_fail(err, OCTET_ERR_BACKEND, "oneDNN answers %d to %s", (int)status, what);
}

int octet_dnnl_threads(int threads)
{
#ifdef _OPENMP
    const int before = omp_get_max_threads();
    if (before != threads) omp_set_num_threads(threads);
    return before;
#else
    return threads;
#endif
}

/* It listens until it has first looked at the CPU; the answer to a later word, which says the same, is of no
   interest. */
void octet_dnnl_cap(void)
{
    const unsigned sets = octet_cpu_sets();
    if (!octet_cpu_capped()) return;
    dnnl_set_max_cpu_isa(sets & OCTET_CPU_AMX          ? dnnl_cpu_isa_avx512_core_amx
                         : sets & OCTET_CPU_AVX512VNNI ? dnnl_cpu_isa_avx512_core_vnni
                         : sets & OCTET_CPU_AVXVNNI    ? dnnl_cpu_isa_avx2_vnni
                         : sets & OCTET_CPU_AVX2       ? dnnl_cpu_isa_avx2
                                                       : dnnl_cpu_isa_sse41);
}

/* ---- choosing ---- */

static bool is_real_tensor(const octet_tensor *tensor)
{
    return tensor->dtype == OCTET_F32 && octet_tensor_count(tensor) > 0;
}

/* A constant's logical tensor; NULL where there is none or it is not known as real numbers. */
static const octet_tensor *known_input(const octet_plan *plan, const octet_node *node, int slot)
{
    const octet_value *const value = slot < node->input_count ? node->inputs[slot] : NULL;
    if (!value || !octet_plan_known(plan, value) || octet_value_levels(plan->graph, value)) return NULL;
    return is_real_tensor(&plan->shapes[value->index]) ? &plan->shapes[value->index] : NULL;
}

static octet_dnnl_problem problem_of(const octet_plan *plan, const octet_node *node, octet_dnnl_layouts layouts)
{
    return (octet_dnnl_problem){.plan = plan,
                                .node = node,
                                .layouts = layouts,
                                .x = &plan->shapes[node->inputs[0]->index],
                                .y = &plan->shapes[node->outputs[0]->index],
                                .weights = known_input(plan, node, 1),
                                .bias = known_input(plan, node, 2)};
}

static dnnl_status_t make_attributes(dnnl_primitive_attr_t *attributes, const octet_activation *activation)
{
    dnnl_post_ops_t post = NULL;
    dnnl_status_t   status = dnnl_primitive_attr_create(attributes);
    if (status != dnnl_success) return status;
    status = dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && activation->on) {
        status = dnnl_post_ops_create(&post);
        if (status == dnnl_success)
            status = dnnl_post_ops_append_eltwise(post, 1.0f, dnnl_eltwise_clip, activation->lo, activation->hi);
        if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*attributes, post);
        dnnl_post_ops_destroy(post);
    }
    return status;
}

static dnnl_status_t make_descriptor(dnnl_primitive_desc_t *descriptor, const octet_dnnl_problem *problem,
                                     dnnl_engine_t engine)
{
    dnnl_primitive_attr_t attributes = NULL;
    const octet_activation none = { .on = false };
    const bool    after  = octet_dnnl_row_find(problem->node->op->name)->clamps_after;
    dnnl_status_t status = make_attributes(&attributes, after ? &none : &problem->node->activation);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(descriptor, &problem->operation, attributes, engine, NULL);
    dnnl_primitive_attr_destroy(attributes);
    return status;
}

/* Whether oneDNN has more than its reference loops for the problem. */
static bool is_fast(const octet_dnnl_problem *problem, octet_reason *why)
{
    dnnl_engine_t         engine     = NULL;
    dnnl_primitive_desc_t descriptor = NULL;
    const char           *name       = "";
    dnnl_status_t         status     = dnnl_engine_create(&engine, dnnl_cpu, 0);
    if (status == dnnl_success) status = make_descriptor(&descriptor, problem, engine);
    if (status == dnnl_success) status = dnnl_primitive_desc_query(descriptor, dnnl_query_impl_info_str, 0, &name);
    bool fast = status == dnnl_success && strstr(name, "ref") == NULL;
    if (problem->layouts.in != problem->layouts.out && strncmp(name, "gemm", 4) == 0) fast = false;
    dnnl_primitive_desc_destroy(descriptor);
    dnnl_engine_destroy(engine);
    return fast || octet_dnnl_decline(why, "oneDNN has no fast form of it");
}

/* Pooling is worth it only where its input lies in blocks already. */
static bool suits(const octet_plan *plan, const octet_node *node, const octet_dnnl_row *row, octet_dnnl_layouts layouts,
                  octet_reason *why)
{
    const bool blocked = layouts.in == OCTET_LAYOUT_BLOCKED;
    if ((blocked && !octet_plan_can_block(plan, node->inputs[0])) ||
        (layouts.out == OCTET_LAYOUT_BLOCKED && !octet_plan_can_block(plan, node->outputs[0])))
        return octet_dnnl_decline(why, "no values to keep in blocks of channels");
    const bool lies_blocked = octet_plan_form(plan, node->inputs[0], OCTET_FORM_REAL, OCTET_LAYOUT_BLOCKED) >= 0;
    if (blocked && !row->pack_weights && !lies_blocked)
        return octet_dnnl_decline(why, "input does not lie in blocks of channels");
    if (layouts.in != layouts.out && lies_blocked) return octet_dnnl_decline(why, "not a first layer");
    return true;
}

static bool is_real_node(const octet_plan *plan, const octet_step *step, octet_reason *why)
{
    const octet_node *const node = step->node;
    if (!node->inputs[0] || !node->outputs[0] || !is_real_tensor(&plan->shapes[node->inputs[0]->index]) ||
        !is_real_tensor(&plan->shapes[node->outputs[0]->index]))
        return octet_dnnl_decline(why, "not float32");
    return true;
}

static bool choose_layouts(const octet_plan *plan, octet_step *step, const octet_dnnl_row *row, octet_reason *why)
{
    for (size_t i = 0; i < row->layout_count; i++) {
        octet_dnnl_problem problem = problem_of(plan, step->node, row->layouts[i]);
        if (!suits(plan, step->node, row, problem.layouts, why) || !row->describe(&problem, why) ||
            !is_fast(&problem, why))
            continue;
        step->in_layout[0] = problem.layouts.in;
        step->out_layout   = problem.layouts.out;
        return true;
    }
    return false;
}

static bool accepts(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    const octet_dnnl_row *const row = octet_dnnl_row_find(step->node->op->name);
    octet_dnnl_cap();
    if (step->mode == OCTET_MODE_DYNAMIC) return octet_dnnl_decline(why, "its input becomes levels when it runs");
    if (step->mode != OCTET_MODE_REAL) return octet_dnnl_accepts_levels(plan, step, why);
    if (!row) return octet_dnnl_decline(why, "not an operator of this engine");
    if (!is_real_node(plan, step, why)) return false;
    const int  before   = octet_dnnl_threads(plan->threads);
    const bool accepted = choose_layouts(plan, step, row, why);
    octet_dnnl_threads(before);
    return accepted;
}

/* ---- preparing ---- */

octet_status octet_dnnl_reorder(dnnl_memory_t to, dnnl_memory_t from, dnnl_engine_t engine, octet_error *err)
{
    const dnnl_memory_desc_t *from_desc, *to_desc;
    dnnl_primitive_desc_t     descriptor = NULL;
    dnnl_primitive_t          primitive  = NULL;
    dnnl_stream_t             stream     = NULL;
    const int                 before     = octet_dnnl_threads(1); /* weights are small, threads wait for each other */
    dnnl_memory_get_memory_desc(from, &from_desc);
    dnnl_memory_get_memory_desc(to, &to_desc);
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&descriptor, from_desc, engine, to_desc, engine, NULL);
    if (status == dnnl_success) status = dnnl_primitive_create(&primitive, descriptor);
    if (status == dnnl_success) status = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, to } };
    if (status == dnnl_success) status = dnnl_primitive_execute(primitive, stream, 2, args);
    if (status == dnnl_success) status = dnnl_stream_wait(stream);
    octet_dnnl_threads(before);
    dnnl_stream_destroy(stream);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(descriptor);
    return status == dnnl_success ? OCTET_OK : octet_dnnl_fail(err, status, "packing weights");
}

octet_status octet_dnnl_memory(dnnl_memory_t *memory, const dnnl_memory_desc_t *desc, dnnl_engine_t engine,
                               octet_arena *arena, octet_error *err)
{
    void *bytes;
    OCTET_TRY(octet_arena_get(&bytes, arena, dnnl_memory_desc_get_size(desc), 1, err));
    const dnnl_status_t status = dnnl_memory_create(memory, desc, engine, bytes);
    return status == dnnl_success ? OCTET_OK : octet_dnnl_fail(err, status, "a memory object");
}

static octet_status pack_weights(octet_dnnl_step *p, const dnnl_memory_desc_t *wanted,
                                 const octet_dnnl_problem *problem, const octet_dnnl_row *row,
                                 octet_arena *arena, octet_error *err)
{
    octet_arena  *temporary = octet_arena_new();
    dnnl_memory_t plain     = NULL;
    if (!temporary) return octet_fail_memory(err);
    octet_status status = octet_dnnl_memory(&plain, &problem->plain_weights, p->engine, temporary, err);
    if (status == OCTET_OK) {
        void *at;
        dnnl_memory_get_data_handle(plain, &at);
        row->pack_weights(at, problem);
        status = octet_dnnl_memory(&p->weights, wanted, p->engine, arena, err);
    }
    if (status == OCTET_OK) status = octet_dnnl_reorder(p->weights, plain, p->engine, err);
    dnnl_memory_destroy(plain);
    octet_arena_free(temporary);
    return status;
}

static octet_status pack_bias(octet_dnnl_step *p, const dnnl_memory_desc_t *wanted,
                              const octet_dnnl_problem *problem, const octet_dnnl_row *row,
                              octet_arena *arena, octet_error *err)
{
    void *at;
    OCTET_TRY(octet_dnnl_memory(&p->bias, wanted, p->engine, arena, err));
    dnnl_memory_get_data_handle(p->bias, &at);
    row->pack_bias(at, problem);
    return OCTET_OK;
}

static octet_status fill(octet_dnnl_step *p, dnnl_primitive_desc_t descriptor, const octet_dnnl_problem *problem,
                         octet_arena *arena, octet_error *err)
{
    const octet_dnnl_row *const row = octet_dnnl_row_find(problem->node->op->name);
    const dnnl_status_t status = dnnl_primitive_create(&p->primitive, descriptor);
    if (status != dnnl_success) return octet_dnnl_fail(err, status, "compiling a primitive");
    p->x       = *dnnl_primitive_desc_query_md(descriptor, dnnl_query_src_md, 0);
    p->y       = *dnnl_primitive_desc_query_md(descriptor, dnnl_query_dst_md, 0);
    p->scratch = *dnnl_primitive_desc_query_md(descriptor, dnnl_query_scratchpad_md, 0);
    if (!row->pack_weights) return OCTET_OK;
    OCTET_TRY(
        pack_weights(p, dnnl_primitive_desc_query_md(descriptor, dnnl_query_weights_md, 0), problem, row, arena, err));
    if (!octet_dnnl_has_bias(problem)) return OCTET_OK;
    return pack_bias(p, dnnl_primitive_desc_query_md(descriptor, dnnl_query_weights_md, 1), problem, row, arena, err);
}

static void release(octet_step *step)
{
    octet_dnnl_step *const p = step->state;
    if (!p) return;
    dnnl_memory_destroy(p->weights);
    dnnl_memory_destroy(p->bias);
    dnnl_primitive_destroy(p->primitive);
    dnnl_engine_destroy(p->engine);
    step->state = NULL;
}

/* Waking other threads costs more than some 20 microseconds of work. */
static bool is_small(const octet_dnnl_problem *problem)
{
    const octet_tensor *in[]  = { problem->x, problem->weights, problem->bias };
    octet_tensor        y     = *problem->y;
    octet_tensor       *out[] = { &y };
    const octet_node *const node  = problem->node;
    const octet_call        call  = { .node = node, .attrs = node->attrs, .in = in, .out = out,
                                      .in_count = problem->bias ? 3 : problem->weights ? 2 : 1, .out_count = 1 };
    const double            moves = (double)octet_tensor_count(problem->x) + (double)octet_tensor_count(&y);
    const double            macs  = node->op->macs ? (double)node->op->macs(&call) : 0;
    return macs + 8 * moves < 1e6; /* a value moved takes as long as some 8 products */
}

/* Matrix products may share out one sum among threads, which changes its bits: they get one. Convolutions and pools
   share out their outputs only. */
static dnnl_status_t describe(dnnl_primitive_desc_t *descriptor, octet_dnnl_step *p, const octet_dnnl_problem *problem)
{
    const char   *name   = "";
    dnnl_status_t status = dnnl_engine_create(&p->engine, dnnl_cpu, 0);
    if (status == dnnl_success) status = make_descriptor(descriptor, problem, p->engine);
    if (status == dnnl_success) status = dnnl_primitive_desc_query(*descriptor, dnnl_query_impl_info_str, 0, &name);
    p->alone = strstr(name, "gemm") != NULL || is_small(problem);
    if (status != dnnl_success || !p->alone) return status;
    dnnl_primitive_desc_destroy(*descriptor);
    *descriptor = NULL;
    octet_dnnl_threads(1);
    return make_descriptor(descriptor, problem, p->engine);
}

static octet_status prepare(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    const octet_dnnl_layouts layouts = { step->in_layout[0], step->out_layout };
    octet_reason             why     = { "" };
    octet_dnnl_step         *p;
    dnnl_primitive_desc_t    descriptor = NULL;
    if (step->mode != OCTET_MODE_REAL) return octet_dnnl_prepare_levels(plan, step, arena, err);
    octet_dnnl_problem problem = problem_of(plan, step->node, layouts);
    OCTET_TRY(octet_arena_get(&p, arena, 1, sizeof *p, err));
    if (!octet_dnnl_row_find(step->node->op->name)->describe(&problem, &why))
        return octet_fail(err, OCTET_ERR_BACKEND, "%s", why.text);
    p->clamps_after            = octet_dnnl_row_find(step->node->op->name)->clamps_after;
    step->state                = p; /* release sees to the rest */
    const int           before = octet_dnnl_threads(plan->threads);
    const dnnl_status_t status = describe(&descriptor, p, &problem);
    const octet_status  filled = status == dnnl_success ? fill(p, descriptor, &problem, arena, err) : OCTET_OK;
    octet_dnnl_threads(before);
    dnnl_primitive_desc_destroy(descriptor);
    if (status != dnnl_success) return octet_dnnl_fail(err, status, "describing a primitive");
    step->scratch_bytes = dnnl_memory_desc_get_size(&p->scratch);
    return filled;
}

/* ---- running ---- */

static void unbind(void *bound)
{
    bound_step *const b = bound;
    for (int i = 0; i < ARG_WEIGHTS; i++) dnnl_memory_destroy(b->memory[i]);
    dnnl_stream_destroy(b->stream);
    octet_arena_free(b->arena);
}

static dnnl_status_t make_objects(bound_step *b, const octet_dnnl_step *p)
{
    static const int                number[ARG_WEIGHTS] = { DNNL_ARG_SRC, DNNL_ARG_DST, DNNL_ARG_SCRATCHPAD };
    const dnnl_memory_desc_t *const descs[ARG_WEIGHTS]  = { &p->x, &p->y, &p->scratch };
    dnnl_status_t                   status = dnnl_stream_create(&b->stream, p->engine, dnnl_stream_default_flags);
    for (int i = 0; status == dnnl_success && i < ARG_WEIGHTS; i++) {
        if (i == ARG_SCRATCH && dnnl_memory_desc_get_size(descs[i]) == 0) continue;
        status                   = dnnl_memory_create(&b->memory[i], descs[i], p->engine, DNNL_MEMORY_NONE);
        b->args[b->arg_count++] = (dnnl_exec_arg_t){ number[i], b->memory[i] };
    }
    if (p->weights) b->args[b->arg_count++] = (dnnl_exec_arg_t){ DNNL_ARG_WEIGHTS, p->weights };
    if (p->bias) b->args[b->arg_count++] = (dnnl_exec_arg_t){ DNNL_ARG_BIAS, p->bias };
    return status;
}

static octet_status bind(void **bound, const octet_step *step, octet_error *err)
{
    octet_arena *const arena = octet_arena_new();
    bound_step *const  b     = arena ? octet_arena_alloc(arena, 1, sizeof *b) : NULL;
    if (!b) {
        octet_arena_free(arena);
        return octet_fail_memory(err);
    }
    b->arena                   = arena;
    *bound                     = b;
    const dnnl_status_t status = make_objects(b, step->state);
    return status == dnnl_success ? OCTET_OK : octet_dnnl_fail(err, status, "memory objects");
}

/* Pixels of real numbers to the order of the graph. */
static void put_planes(const octet_dnnl_step *p, float *planes, const float *pixels)
{
    const size_t image = p->size.channels * p->size.pixels;
    for (size_t n = 0; n < p->images; n++) p->planes->real_to_planes(planes + n * image, pixels + n * image, &p->size);
}

static octet_status run(const octet_step *step, const octet_call *call, void *bound, octet_error *err)
{
    bound_step *const            b      = bound;
    const octet_dnnl_step *const p      = step->state;
    void *const                  y      = p->planes ? (uint8_t *)call->scratch + p->pixels_at : call->out[0]->data;
    void *const                  want[] = { call->in[0]->data, y, call->scratch };
    const int                    before = octet_dnnl_threads(p->alone ? 1 : call->threads);
    dnnl_status_t                status = dnnl_success;
    if (p->residual) memcpy(y, call->in[call->in_count - 1]->data, p->residual);
    for (int i = 0; status == dnnl_success && i < ARG_WEIGHTS; i++) {
        if (!b->memory[i] || b->at[i] == want[i]) continue;
        status   = dnnl_memory_set_data_handle(b->memory[i], want[i]);
        b->at[i] = want[i];
    }
    if (status == dnnl_success) status = dnnl_primitive_execute(p->primitive, b->stream, b->arg_count, b->args);
    if (status == dnnl_success) status = dnnl_stream_wait(b->stream);
    octet_dnnl_threads(before);
    if (p->clamps_after)
        octet_activation_apply(y, dnnl_memory_desc_get_size(&p->y) / sizeof(float), &step->node->activation);
    if (p->planes) put_planes(p, call->out[0]->data, y);
    return status == dnnl_success ? OCTET_OK : octet_dnnl_fail(err, status, "running a primitive");
}

/* ---- the row ---- */

static int block(void)
{
    octet_dnnl_cap();
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    return (isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core ? 16 : 8;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

static const char *version(void)
{
    return TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR) "." TEXT(DNNL_VERSION_PATCH);
}

const octet_engine octet_engine_onednn = { .name = "onednn", .version = version, .block = block, .tight = true,
                                           .accepts = accepts, .prepare = prepare, .bind = bind, .run = run,
                                           .unbind = unbind, .release = release };
