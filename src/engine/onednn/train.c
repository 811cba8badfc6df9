/* SPDX-License-Identifier: Apache-2.0 */
/* Bare products through oneDNN (train.h). Every primitive is made and run with one thread, for one size of slice.
   Memory objects, which oneDNN changes when they point elsewhere, belong to a lane; those of packed weights
   never move. */
#include "engine/onednn/train.h"

#include "engine/onednn/step.h"

#include <string.h>

/* Which of x, z and the weights a way reads or writes, as what. */
enum { PART_X, PART_Z, PART_WEIGHTS, PART_SCRATCH, PARTS };
static const struct {
    dnnl_query_t query[PART_SCRATCH];
    int          arg[PART_SCRATCH];
} ways[OCTET_DNNL_WAYS] = {
    { { dnnl_query_src_md, dnnl_query_dst_md, dnnl_query_weights_md },
      { DNNL_ARG_SRC, DNNL_ARG_DST, DNNL_ARG_WEIGHTS } },
    { { dnnl_query_diff_src_md, dnnl_query_diff_dst_md, dnnl_query_weights_md },
      { DNNL_ARG_DIFF_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS } },
    { { dnnl_query_src_md, dnnl_query_diff_dst_md, dnnl_query_diff_weights_md },
      { DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS } },
};

/* From one order of weights to another. */
typedef struct reorder {
    dnnl_primitive_t primitive;
    dnnl_memory_t    plain, packed, scratch;
    bool             unpacks;
} reorder;

typedef struct way_state {
    dnnl_primitive_t   primitive; /* NULL: oneDNN has no fast form of it */
    dnnl_memory_desc_t part[PARTS];
    reorder            weights;
} way_state;

typedef struct lane_state {
    dnnl_memory_t memory[OCTET_DNNL_WAYS][PARTS];
    void         *at[OCTET_DNNL_WAYS][PARTS]; /* where they point */
} lane_state;

struct octet_dnnl_product {
    octet_arena       *arena;
    dnnl_engine_t      engine;
    dnnl_stream_t     *stream; /* one per lane, and one for weights */
    octet_bare         bare;
    dnnl_memory_desc_t plain; /* the graph's order of weights */
    way_state          way[OCTET_DNNL_WAYS];
    lane_state        *lane;
    int                lanes;
};

/* ---- description ---- */

/* The images as oneDNN shall see them: pixels of a matrix product are one long image. */
static octet_bare seen_as(const octet_bare *bare)
{
    octet_bare seen = *bare;
    if (!octet_bare_is_matrix(bare)) return seen;
    seen.images = 1;
    seen.y.in = seen.y.out = 1;
    seen.x.in = seen.x.out = (int64_t)bare->images * bare->y.in * bare->x.in;
    return seen;
}

static dnnl_status_t pixels_desc(dnnl_memory_desc_t *desc, const octet_bare *bare, bool out)
{
    const dnnl_dims_t dims = { (dnnl_dim_t)bare->images, (dnnl_dim_t)(out ? bare->out_channels : bare->in_channels),
                               out ? bare->y.out : bare->y.in, out ? bare->x.out : bare->x.in };
    return dnnl_memory_desc_init_by_tag(desc, 4, dims, dnnl_f32, dnnl_nhwc);
}

/* In oneDNN's choice of order (any) or in the graph's. */
static dnnl_status_t weights_desc(dnnl_memory_desc_t *desc, const octet_bare *bare, bool any)
{
    const dnnl_dim_t groups = (dnnl_dim_t)bare->groups, out = (dnnl_dim_t)bare->out_channels / groups,
                     in = (dnnl_dim_t)bare->in_channels / groups;
    const dnnl_dims_t grouped = { groups, out, in, bare->y.kernel, bare->x.kernel };
    const bool        single  = groups == 1;
    const dnnl_format_tag_t plain = !single ? dnnl_goihw : bare->turned ? dnnl_iohw : dnnl_oihw;
    return dnnl_memory_desc_init_by_tag(desc, single ? 4 : 5, single ? grouped + 1 : grouped, dnnl_f32,
                                        any ? dnnl_format_tag_any : plain);
}

typedef struct description {
    dnnl_convolution_desc_t operation[OCTET_DNNL_WAYS];
} description;

/* gradient: the order of the weights' gradient, NULL: any. */
static dnnl_status_t describe(description *d, const octet_bare *bare, const dnnl_memory_desc_t *gradient)
{
    const octet_axis_window *const y = &bare->y, *const x = &bare->x;
    const dnnl_dims_t strides = { y->stride, x->stride }, dilations = { y->dilation - 1, x->dilation - 1 },
                      begin   = { y->pad, x->pad }, end = { octet_axis_overhang(y), octet_axis_overhang(x) };
    const dnnl_alg_kind_t direct = dnnl_convolution_direct;
    dnnl_memory_desc_t    in, out, weights;
    dnnl_status_t         status = pixels_desc(&in, bare, false);
    if (status == dnnl_success) status = pixels_desc(&out, bare, true);
    if (status == dnnl_success) status = weights_desc(&weights, bare, true);
    if (status == dnnl_success)
        status = dnnl_dilated_convolution_forward_desc_init(&d->operation[OCTET_DNNL_FORWARD], dnnl_forward_training,
                                                            direct, &in, &weights, NULL, &out, strides, dilations,
                                                            begin, end);
    if (status == dnnl_success)
        status = dnnl_dilated_convolution_backward_data_desc_init(&d->operation[OCTET_DNNL_BACKWARD_DATA], direct, &in,
                                                                  &weights, &out, strides, dilations, begin, end);
    if (status == dnnl_success)
        status = dnnl_dilated_convolution_backward_weights_desc_init(&d->operation[OCTET_DNNL_BACKWARD_WEIGHTS], direct,
                                                                     &in, gradient ? gradient : &weights, NULL, &out,
                                                                     strides, dilations, begin, end);
    return status;
}

/* ---- making ---- */

static dnnl_status_t user_scratch(dnnl_primitive_attr_t *attributes)
{
    const dnnl_status_t status = dnnl_primitive_attr_create(attributes);
    return status == dnnl_success
               ? dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user)
               : status;
}

/* Leaves the way without a primitive where there are only reference loops. */
static dnnl_status_t make_primitive(way_state *w, octet_dnnl_way way, dnnl_primitive_desc_t descriptor)
{
    const char   *name   = "";
    dnnl_status_t status = dnnl_primitive_desc_query(descriptor, dnnl_query_impl_info_str, 0, &name);
    if (status != dnnl_success || strncmp(name, "ref", 3) == 0) return status;
    for (int i = 0; i < PART_SCRATCH; i++)
        w->part[i] = *dnnl_primitive_desc_query_md(descriptor, ways[way].query[i], 0);
    w->part[PART_SCRATCH] = *dnnl_primitive_desc_query_md(descriptor, dnnl_query_scratchpad_md, 0);
    return dnnl_primitive_create(&w->primitive, descriptor);
}

static dnnl_status_t make_way(octet_dnnl_product *p, octet_dnnl_way way, const description *d,
                              dnnl_primitive_desc_t forward)
{
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t descriptor = NULL;
    dnnl_status_t         status     = user_scratch(&attributes);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&descriptor, &d->operation[way], attributes, p->engine, forward);
    if (status == dnnl_success) status = make_primitive(&p->way[way], way, descriptor);
    if (status == dnnl_unimplemented) status = dnnl_success;
    dnnl_primitive_desc_destroy(descriptor);
    dnnl_primitive_attr_destroy(attributes);
    return status;
}

/* The forward descriptor is a hint that the others ask for. */
static dnnl_status_t make_ways(octet_dnnl_product *p, const octet_dnnl_product *like)
{
    const way_state *const last = like ? &like->way[OCTET_DNNL_BACKWARD_WEIGHTS] : NULL;
    const octet_bare      seen       = seen_as(&p->bare);
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t forward    = NULL;
    description           d;
    dnnl_status_t         status = describe(&d, &seen, last && last->primitive ? &last->part[PART_WEIGHTS] : NULL);
    if (status == dnnl_success) status = weights_desc(&p->plain, &seen, false);
    if (status == dnnl_success) status = user_scratch(&attributes);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&forward, &d.operation[OCTET_DNNL_FORWARD], attributes, p->engine, NULL);
    for (int i = 0; status == dnnl_success && i < OCTET_DNNL_WAYS; i++)
        status = make_way(p, (octet_dnnl_way)i, &d, forward);
    dnnl_primitive_desc_destroy(forward);
    dnnl_primitive_attr_destroy(attributes);
    return status;
}

/* A memory object; with room of its own, or pointing nowhere. */
static octet_status make_memory(dnnl_memory_t *memory, octet_dnnl_product *p, const dnnl_memory_desc_t *desc,
                                bool room, octet_error *err)
{
    if (room) return octet_dnnl_memory(memory, desc, p->engine, p->arena, err);
    const dnnl_status_t status = dnnl_memory_create(memory, desc, p->engine, DNNL_MEMORY_NONE);
    return status == dnnl_success ? OCTET_OK : octet_dnnl_fail(err, status, "a memory object");
}

static octet_status make_reorder(octet_dnnl_product *p, octet_dnnl_way way, octet_error *err)
{
    way_state *const                w       = &p->way[way];
    reorder *const                  r       = &w->weights;
    const dnnl_memory_desc_t *const packed  = &w->part[PART_WEIGHTS];
    dnnl_primitive_attr_t           attributes = NULL;
    dnnl_primitive_desc_t           descriptor = NULL;
    dnnl_memory_desc_t              scratch;
    r->unpacks = way == OCTET_DNNL_BACKWARD_WEIGHTS;
    dnnl_status_t status = user_scratch(&attributes);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&descriptor, r->unpacks ? packed : &p->plain, p->engine,
                                                    r->unpacks ? &p->plain : packed, p->engine, attributes);
    if (status == dnnl_success) status = dnnl_primitive_create(&r->primitive, descriptor);
    if (status == dnnl_success) scratch = *dnnl_primitive_desc_query_md(descriptor, dnnl_query_scratchpad_md, 0);
    dnnl_primitive_desc_destroy(descriptor);
    dnnl_primitive_attr_destroy(attributes);
    if (status != dnnl_success) return octet_dnnl_fail(err, status, "an order of weights");
    OCTET_TRY(make_memory(&r->plain, p, &p->plain, false, err));
    OCTET_TRY(make_memory(&r->packed, p, packed, !r->unpacks, err));
    return make_memory(&r->scratch, p, &scratch, true, err);
}

static octet_status make_lane(octet_dnnl_product *p, int lane, octet_error *err)
{
    const dnnl_status_t status = dnnl_stream_create(&p->stream[lane], p->engine, dnnl_stream_default_flags);
    if (status != dnnl_success) return octet_dnnl_fail(err, status, "a stream");
    for (int way = 0; lane < p->lanes && way < OCTET_DNNL_WAYS; way++)
        for (int i = 0; p->way[way].primitive && i < PARTS; i++)
            if (i != PART_WEIGHTS || way == OCTET_DNNL_BACKWARD_WEIGHTS)
                OCTET_TRY(make_memory(&p->lane[lane].memory[way][i], p, &p->way[way].part[i], false, err));
    return OCTET_OK;
}

static octet_status make(octet_dnnl_product *p, const octet_dnnl_product *like, octet_error *err)
{
    dnnl_status_t status = dnnl_engine_create(&p->engine, dnnl_cpu, 0);
    if (status == dnnl_success) status = make_ways(p, like);
    if (status != dnnl_success && status != dnnl_unimplemented)
        return octet_dnnl_fail(err, status, "describing a product");
    for (int way = 0; way < OCTET_DNNL_WAYS; way++)
        if (p->way[way].primitive) OCTET_TRY(make_reorder(p, (octet_dnnl_way)way, err));
    OCTET_TRY(octet_arena_get(&p->stream, p->arena, (size_t)p->lanes + 1, sizeof *p->stream, err));
    OCTET_TRY(octet_arena_get(&p->lane, p->arena, (size_t)p->lanes, sizeof *p->lane, err));
    for (int lane = 0; lane <= p->lanes; lane++) OCTET_TRY(make_lane(p, lane, err));
    return OCTET_OK;
}

octet_status octet_dnnl_product_create(octet_dnnl_product **product, const octet_bare *bare, int lanes,
                                       const octet_dnnl_product *like, octet_error *err)
{
    octet_arena *const        arena = octet_arena_new();
    octet_dnnl_product *const p     = arena ? octet_arena_alloc(arena, 1, sizeof *p) : NULL;
    if (!p) {
        octet_arena_free(arena);
        return octet_fail_memory(err);
    }
    octet_dnnl_cap();
    p->arena         = arena;
    p->bare          = *bare;
    p->lanes         = lanes;
    const int before = octet_dnnl_threads(1);
    octet_status status = make(p, like, err);
    octet_dnnl_threads(before);
    if (status == OCTET_OK) *product = p;
    else octet_dnnl_product_free(p);
    return status;
}

static void free_way(way_state *w)
{
    dnnl_primitive_destroy(w->primitive);
    dnnl_primitive_destroy(w->weights.primitive);
    dnnl_memory_destroy(w->weights.plain);
    dnnl_memory_destroy(w->weights.packed);
    dnnl_memory_destroy(w->weights.scratch);
}

void octet_dnnl_product_free(octet_dnnl_product *p)
{
    if (!p) return;
    for (int lane = 0; p->lane && lane < p->lanes; lane++)
        for (int i = 0; i < OCTET_DNNL_WAYS * PARTS; i++)
            dnnl_memory_destroy(p->lane[lane].memory[i / PARTS][i % PARTS]);
    for (int lane = 0; p->stream && lane <= p->lanes; lane++) dnnl_stream_destroy(p->stream[lane]);
    for (int way = 0; way < OCTET_DNNL_WAYS; way++) free_way(&p->way[way]);
    dnnl_engine_destroy(p->engine);
    octet_arena_free(p->arena);
}

/* ---- asking ---- */

bool octet_dnnl_product_has(const octet_dnnl_product *product, octet_dnnl_way way)
{
    return product->way[way].primitive != NULL;
}

size_t octet_dnnl_product_memory(const octet_dnnl_product *product) { return octet_arena_bytes(product->arena); }

size_t octet_dnnl_product_scratch(const octet_dnnl_product *product)
{
    size_t most = 0;
    for (int way = 0; way < OCTET_DNNL_WAYS; way++) {
        const size_t bytes = dnnl_memory_desc_get_size(&product->way[way].part[PART_SCRATCH]);
        if (bytes > most) most = bytes;
    }
    return most;
}

size_t octet_dnnl_product_gradient(const octet_dnnl_product *product)
{
    return dnnl_memory_desc_get_size(&product->way[OCTET_DNNL_BACKWARD_WEIGHTS].part[PART_WEIGHTS]) / sizeof(float);
}

/* ---- running ---- */

static dnnl_status_t point(dnnl_memory_t memory, void **at, void *want)
{
    if (*at == want) return dnnl_success;
    *at = want;
    return dnnl_memory_set_data_handle(memory, want);
}

static dnnl_status_t execute(dnnl_primitive_t primitive, dnnl_stream_t stream, const dnnl_exec_arg_t *args, int count)
{
    const int     before = octet_dnnl_threads(1);
    dnnl_status_t status = dnnl_primitive_execute(primitive, stream, count, args);
    if (status == dnnl_success) status = dnnl_stream_wait(stream);
    octet_dnnl_threads(before);
    return status;
}

octet_status octet_dnnl_product_run(const octet_dnnl_product *p, octet_dnnl_way way, const octet_dnnl_slice *slice,
                                    octet_error *err)
{
    const way_state *const  w = &p->way[way];
    lane_state *const       l = &p->lane[slice->lane];
    void *const             want[PARTS] = { slice->x, slice->z, slice->gradient, slice->scratch };
    dnnl_exec_arg_t         args[PARTS];
    dnnl_status_t           status = dnnl_success;
    for (int i = 0; i < PARTS; i++) {
        const dnnl_memory_t memory = l->memory[way][i];
        if (status == dnnl_success && memory) status = point(memory, &l->at[way][i], want[i]);
        args[i] = (dnnl_exec_arg_t){ i == PART_SCRATCH ? DNNL_ARG_SCRATCHPAD : ways[way].arg[i],
                                     memory ? memory : w->weights.packed };
    }
    if (status == dnnl_success) status = execute(w->primitive, p->stream[slice->lane], args, PARTS);
    return status == dnnl_success ? OCTET_OK : octet_dnnl_fail(err, status, "running a product");
}

static octet_status run_reorder(octet_dnnl_product *p, const reorder *r, octet_error *err)
{
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, r->unpacks ? r->packed : r->plain },
                                     { DNNL_ARG_TO, r->unpacks ? r->plain : r->packed },
                                     { DNNL_ARG_SCRATCHPAD, r->scratch } };
    const dnnl_status_t   status = execute(r->primitive, p->stream[p->lanes], args, 3);
    return status == dnnl_success ? OCTET_OK : octet_dnnl_fail(err, status, "ordering weights");
}

static octet_status place(dnnl_memory_t memory, const float *at, octet_error *err)
{
    const dnnl_status_t status = dnnl_memory_set_data_handle(memory, (void *)(uintptr_t)at);
    return status == dnnl_success ? OCTET_OK : octet_dnnl_fail(err, status, "a memory object");
}

octet_status octet_dnnl_product_weights(octet_dnnl_product *p, octet_dnnl_way way, const float *weights,
                                        octet_error *err)
{
    const reorder *const r = &p->way[way].weights;
    OCTET_TRY(place(r->plain, weights, err));
    return run_reorder(p, r, err);
}

octet_status octet_dnnl_product_unpack(octet_dnnl_product *p, float *weights, const float *gradient, octet_error *err)
{
    const reorder *const r = &p->way[OCTET_DNNL_BACKWARD_WEIGHTS].weights;
    OCTET_TRY(place(r->plain, weights, err));
    OCTET_TRY(place(r->packed, gradient, err));
    return run_reorder(p, r, err);
}
