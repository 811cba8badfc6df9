/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of conversion steps: from one form of a value to another. Each conversion is a row; its work is cut into
   units that write disjoint places. */
#include "engine/plan.h"

#include "base/parallel.h"
#include "ops/levels.h"

#include <string.h>

enum { CHUNK = 8192, FEW = 1 << 16 };

typedef struct job {
    const octet_tensor  *from, *to;
    const octet_profile *profile;
    size_t               count; /* levels: elements, cut into chunks */
} job;

typedef struct conversion {
    const char *op;
    size_t (*units)(job *work);
    void (*run)(void *work, size_t unit);
} conversion;

/* ---- levels ---- */

static size_t level_units_of(job *work, const octet_tensor *tensor)
{
    work->count = (size_t)octet_tensor_count(tensor);
    return (work->count + CHUNK - 1) / CHUNK;
}

static size_t quantize_units(job *work) { return level_units_of(work, work->to); }
static size_t dequantize_units(job *work) { return level_units_of(work, work->from); }

static size_t chunk_of(const job *work, size_t first)
{
    return work->count - first < CHUNK ? work->count - first : CHUNK;
}

static void quantize_unit(void *context, size_t unit)
{
    const job *const work  = context;
    const size_t     first = unit * CHUNK;
    octet_tensor     to    = *work->to;
    octet_levels_from_real(&to, (const float *)work->from->data + first, first, chunk_of(work, first), work->profile);
}

static void dequantize_unit(void *context, size_t unit)
{
    const job *const work  = context;
    const size_t     first = unit * CHUNK;
    octet_levels_real_any((float *)work->to->data + first, work->from, first, chunk_of(work, first));
}

/* ---- layouts: one unit is one block of channels of one sample ---- */

static size_t spatial_of(const octet_tensor *dense)
{
    size_t size = 1;
    for (int i = 2; i < dense->rank; i++) size *= (size_t)dense->dims[i];
    return size;
}

static size_t block_units_of(const octet_tensor *blocked) { return (size_t)(blocked->dims[0] * blocked->dims[1]); }
static size_t block_units(job *work) { return block_units_of(work->to); }
static size_t unblock_units(job *work) { return block_units_of(work->from); }

/* Which elements a unit concerns. */
typedef struct tile {
    size_t dense, blocked; /* first elements */
    size_t spatial, block, channels;
} tile;

static tile tile_of(const octet_tensor *dense, const octet_tensor *blocked, size_t unit)
{
    const size_t blocks = (size_t)blocked->dims[1], channels = (size_t)dense->dims[1];
    tile         t = { .spatial = spatial_of(dense), .block = (size_t)blocked->dims[blocked->rank - 1] };
    const size_t first = unit % blocks * t.block;
    t.channels         = channels - first < t.block ? channels - first : t.block;
    t.dense            = (unit / blocks * channels + first) * t.spatial;
    t.blocked          = unit * t.block * t.spatial;
    return t;
}

static void block_unit(void *context, size_t unit)
{
    const job *const work = context;
    const tile       t    = tile_of(work->from, work->to, unit);
    const float     *from = (const float *)work->from->data + t.dense;
    float           *to   = (float *)work->to->data + t.blocked;
    for (size_t s = 0; s < t.spatial; s++, to += t.block) {
        for (size_t c = 0; c < t.channels; c++) to[c] = from[c * t.spatial + s];
        for (size_t c = t.channels; c < t.block; c++) to[c] = 0;
    }
}

static void unblock(float *to, const float *from, const tile *t)
{
    for (size_t c = 0; c < t->channels; c++)
        for (size_t s = 0; s < t->spatial; s++) to[c * t->spatial + s] = from[s * t->block + c];
}

static void unblock_unit(void *context, size_t unit)
{
    const job *const work = context;
    const tile       t    = tile_of(work->to, work->from, unit);
    unblock((float *)work->to->data + t.dense, (const float *)work->from->data + t.blocked, &t);
}

void octet_convert_to_dense(float *dense, const octet_form *form, const float *blocked)
{
    const size_t units = block_units_of(&form->stored);
    for (size_t unit = 0; unit < units; unit++) {
        const tile t = tile_of(&form->logical, &form->stored, unit);
        unblock(dense + t.dense, blocked + t.blocked, &t);
    }
}

void octet_convert_sums_to_dense(int64_t *dense, const octet_form *form, const int64_t *blocked)
{
    const size_t units = block_units_of(&form->stored);
    for (size_t unit = 0; unit < units; unit++) {
        const tile t = tile_of(&form->logical, &form->stored, unit);
        for (size_t c = 0; c < t.channels; c++)
            for (size_t s = 0; s < t.spatial; s++)
                dense[t.dense + c * t.spatial + s] = blocked[t.blocked + s * t.block + c];
    }
}

/* ---- the same bytes ---- */

static size_t copy_units(job *work)
{
    (void)work;
    return 1;
}

static void copy_unit(void *context, size_t unit)
{
    (void)unit;
    const job *const work  = context;
    const size_t     bytes = (size_t)octet_tensor_bytes(work->to);
    if (bytes) memcpy(work->to->data, work->from->data, bytes);
}

enum { QUANTIZE, DEQUANTIZE, BLOCK, UNBLOCK, COPY };
static const conversion conversions[] = {
    [QUANTIZE]   = { "Quantize", quantize_units, quantize_unit },
    [DEQUANTIZE] = { "Dequantize", dequantize_units, dequantize_unit },
    [BLOCK]      = { "Block", block_units, block_unit },
    [UNBLOCK]    = { "Unblock", unblock_units, unblock_unit },
    [COPY]       = { "Copy", copy_units, copy_unit },
};

/* Forms differ in one respect at a time: the planner goes from one to the next. */
int octet_conversion(const octet_form *from, const octet_form *to)
{
    if (to->kind == OCTET_FORM_LEVELS && from->kind != OCTET_FORM_LEVELS) return QUANTIZE;
    if (from->kind == OCTET_FORM_LEVELS && to->kind != OCTET_FORM_LEVELS) return DEQUANTIZE;
    if (from->layout == to->layout) return COPY;
    return to->layout == OCTET_LAYOUT_BLOCKED ? BLOCK : UNBLOCK;
}

const char *octet_conversion_name(int index) { return conversions[index].op; }

void octet_conversion_run(int index, const octet_tensor *to, const octet_tensor *from, const octet_profile *profile,
                   int threads)
{
    const conversion *const row  = &conversions[index];
    job                     work = { .from = from, .to = to, .profile = profile };
    const bool              small = octet_tensor_count(to) < FEW; /* not worth waking a thread for */
    octet_parallel(row->units(&work), small ? 1 : threads, row->run, &work);
}

static bool accepts(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    (void)plan, (void)why;
    return step->node == NULL;
}

static octet_status run(const octet_step *step, const octet_call *call, void *bound, octet_error *err)
{
    (void)bound, (void)err;
    octet_conversion_run(step->conversion, call->out[0], call->in[0], call->profile, call->threads);
    return OCTET_OK;
}

const octet_engine octet_engine_convert = { .name = "octet", .accepts = accepts, .run = run };
