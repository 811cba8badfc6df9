/* SPDX-License-Identifier: Apache-2.0 */
/* Linear steps of float32, channels last, through oneDNN. A slice of the batch is computed piece by piece on one
   thread, pieces so small that what one part of the work leaves is still near when the next one comes. */
#include "train/fast.h"

#include "base/parallel.h"

#include <string.h>

enum { PIECE_BYTES = 1 << 20 /* of input and output of a piece */ };

/* ---- making ---- */

/* Images of piece number i of n in a slice. */
static size_t piece_begin(size_t images, size_t i, size_t n) { return images * i / n; }

static size_t pieces_of(const octet_tape_fast *f, size_t images)
{
    const size_t bytes = (octet_bare_in(&f->bare) + octet_bare_out(&f->bare)) / f->bare.images * sizeof(float);
    const size_t fit   = bytes < PIECE_BYTES ? PIECE_BYTES / bytes : 1;
    return (images + fit - 1) / fit;
}

static octet_status add_size(octet_tape *tape, octet_tape_fast *f, size_t images, octet_error *err)
{
    octet_bare piece = f->bare;
    for (size_t i = 0; i < f->sizes; i++)
        if (f->images[i] == images) return OCTET_OK;
    piece.images = images;
    OCTET_TRY(octet_dnnl_product_create(&f->product[f->sizes], &piece, tape->options.threads, f->product[0], err));
    f->images[f->sizes++] = images;
    if (images > f->most) f->most = images;
    return OCTET_OK;
}

/* A product for every size of piece that there is. */
static octet_status add_sizes(octet_tape *tape, octet_tape_fast *f, octet_error *err)
{
    for (size_t s = 0; s < OCTET_TAPE_SLICES; s++) {
        const size_t images = octet_slice_begin(f->bare.images, s + 1) - octet_slice_begin(f->bare.images, s);
        const size_t pieces = pieces_of(f, images);
        for (size_t i = 0; i < pieces; i++)
            OCTET_TRY(add_size(tape, f, piece_begin(images, i + 1, pieces) - piece_begin(images, i, pieces), err));
    }
    return OCTET_OK;
}

static void free_fast(octet_tape_fast *f)
{
    for (size_t i = 0; f && i < OCTET_FAST_SIZES; i++) octet_dnnl_product_free(f->product[i]);
}

static bool is_whole(const octet_tape_fast *f)
{
    for (size_t i = 0; i < f->sizes; i++)
        for (int way = 0; way < OCTET_DNNL_WAYS; way++)
            if (!f->product[i] || !octet_dnnl_product_has(f->product[i], (octet_dnnl_way)way)) return false;
    return true;
}

octet_status octet_fast_new(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    octet_tape_fast *f;
    octet_bare       bare;
    if (!step->linear || tape->dtype != OCTET_F32 || tape->options.reference) return OCTET_OK;
    if (!octet_bare_make(&bare, &step->bare, &step->in[0]->real, step->in_tensors[1])) return OCTET_OK;
    OCTET_TRY(octet_arena_get(&f, tape->arena, 1, sizeof *f, err));
    f->bare                   = bare;
    const octet_status status = add_sizes(tape, f, err);
    if (status == OCTET_OK && is_whole(f)) {
        f->gradient = octet_dnnl_product_gradient(f->product[0]);
        step->fast  = f;
        return octet_fast_sums_new(tape, f, err);
    }
    free_fast(f);
    return status;
}

void octet_fast_free(octet_tape *tape)
{
    for (size_t i = 0; i < tape->step_count; i++) free_fast(tape->steps[i].fast);
}

/* ---- memory ---- */

static octet_fast_room room_of(const octet_tape_fast *f)
{
    size_t scratch = f->sums ? octet_sums_scratch(f->sums) : 0;
    for (size_t i = 0; i < f->sizes; i++) {
        const size_t bytes = octet_dnnl_product_scratch(f->product[i]);
        if (bytes > scratch) scratch = bytes;
    }
    octet_fast_room room = { .gradient = octet_aligned(scratch) };
    room.dx              = room.gradient + octet_aligned(f->gradient * sizeof(float));
    room.bytes           = room.dx + octet_aligned(octet_bare_in(&f->bare) / f->bare.images * f->most * sizeof(float));
    return room;
}

octet_status octet_fast_place(octet_tape *tape, octet_error *err)
{
    size_t most = 0;
    for (size_t i = 0; i < tape->step_count; i++) {
        octet_tape_fast *const f = tape->steps[i].fast;
        if (!f) continue;
        f->room = room_of(f);
        if (f->room.bytes > tape->lane_bytes) tape->lane_bytes = f->room.bytes;
        if (f->gradient > most) most = f->gradient;
    }
    const size_t threads = tape->options.threads > 1 ? (size_t)tape->options.threads : 1;
    OCTET_TRY(octet_arena_get(&tape->lanes, tape->arena, threads, tape->lane_bytes, err));
    return octet_arena_get(&tape->partial, tape->arena, OCTET_TAPE_SLICES * most, sizeof(float), err);
}

/* ---- running ---- */

static const octet_dnnl_product *product_for(const octet_tape_fast *f, size_t images)
{
    size_t i = 0;
    while (f->images[i] != images) i++;
    return f->product[i];
}

static octet_status run_slice(const octet_fast_work *w, int lane, size_t slice, octet_error *err)
{
    const octet_tape_fast *const f = w->fast;
    const size_t in = octet_bare_in(&f->bare) / f->bare.images, out = octet_bare_out(&f->bare) / f->bare.images;
    const size_t first = octet_slice_begin(f->bare.images, slice);
    const size_t images = octet_slice_begin(f->bare.images, slice + 1) - first, pieces = pieces_of(f, images);
    char *const     lanes = w->tape->lanes + (size_t)lane * w->tape->lane_bytes;
    for (size_t i = 0; i < pieces; i++) {
        const size_t     begin = first + piece_begin(images, i, pieces);
        const size_t     count = first + piece_begin(images, i + 1, pieces) - begin;
        const octet_fast_piece piece = { .product = product_for(f, count),
                                   .at      = { .lane = lane, .x = w->x ? w->x + begin * in : NULL,
                                                .z = w->z + begin * out,
                                                .scratch  = lanes,
                                                .gradient = (float *)(void *)(lanes + f->room.gradient) },
                                   .slice = slice, .first = begin, .images = count,
                                   .dx = (float *)(void *)(lanes + f->room.dx) };
        OCTET_TRY(w->piece(w, &piece, err));
    }
    return OCTET_OK;
}

static void take_slices(void *context, octet_member *member)
{
    octet_fast_work *const w = context;
    int              slice;
    while (octet_member_take(&slice, member, OCTET_TAPE_SLICES))
        w->slices.status[slice] = run_slice(w, member->index, (size_t)slice, &w->slices.errors[slice]);
}

octet_status octet_fast_run(octet_fast_work *w, octet_error *err)
{
    octet_team_run(w->tape->options.threads, take_slices, w);
    return octet_slices_verdict(&w->slices, err);
}

static octet_status pack(const octet_tape_step *step, octet_dnnl_way way, octet_error *err)
{
    const octet_tape_fast *const f = step->fast;
    for (size_t i = 0; i < f->sizes; i++)
        OCTET_TRY(octet_dnnl_product_weights(f->product[i], way, step->in_tensors[1]->data, err));
    return OCTET_OK;
}

static octet_status forward_piece(const octet_fast_work *w, const octet_fast_piece *piece, octet_error *err)
{
    (void)w;
    return octet_dnnl_product_run(piece->product, OCTET_DNNL_FORWARD, &piece->at, err);
}

octet_status octet_fast_apply(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    octet_fast_work w = { .tape = tape, .fast = step->fast, .x = step->in_tensors[0]->data,
                          .z = step->out_tensors[0]->data, .piece = forward_piece };
    OCTET_TRY(pack(step, OCTET_DNNL_FORWARD, err));
    return octet_fast_run(&w, err);
}

static void add(float *restrict to, const float *restrict from, size_t count)
{
    for (size_t i = 0; i < count; i++) to[i] += from[i];
}

/* piece->at.z is the gradient of z. */
static octet_status backward_piece(const octet_fast_work *w, const octet_fast_piece *piece, octet_error *err)
{
    const octet_tape_fast *const f  = w->fast;
    octet_dnnl_slice             at = piece->at;
    OCTET_TRY(octet_dnnl_product_run(piece->product, OCTET_DNNL_BACKWARD_WEIGHTS, &at, err));
    add(w->tape->partial + piece->slice * f->gradient, at.gradient, f->gradient);
    if (!w->dx) return OCTET_OK;
    float *const dx = w->dx + (piece->at.x - w->x);
    at.x            = w->adds ? piece->dx : dx;
    OCTET_TRY(octet_dnnl_product_run(piece->product, OCTET_DNNL_BACKWARD_DATA, &at, err));
    if (w->adds) add(dx, piece->dx, octet_bare_in(&f->bare) / f->bare.images * piece->images);
    return OCTET_OK;
}

octet_status octet_fast_apply_backward(octet_tape *tape, octet_tape_step *step, const octet_tensor *dz,
                                       octet_error *err)
{
    octet_tape_slot *const     in = step->in[0];
    const octet_tape_fast *const f  = step->fast;
    octet_fast_work w = { .tape = tape, .fast = f, .x = step->in_tensors[0]->data, .z = dz->data,
                    .dx = octet_tape_input_gradient(step, 0)->data, .adds = in->touched, .piece = backward_piece };
    if (step->turn[0].on) w.adds = false;
    in->touched = in->gradient.data != NULL;
    memset(tape->partial, 0, OCTET_TAPE_SLICES * f->gradient * sizeof *tape->partial);
    if (w.dx) OCTET_TRY(pack(step, OCTET_DNNL_BACKWARD_DATA, err));
    OCTET_TRY(octet_fast_run(&w, err));
    for (size_t s = 1; s < OCTET_TAPE_SLICES; s++) add(tape->partial, tape->partial + s * f->gradient, f->gradient);
    return octet_dnnl_product_unpack(f->product[0], step->linear->gradient, tape->partial, err);
}
