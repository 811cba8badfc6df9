/* SPDX-License-Identifier: Apache-2.0 */
/* Windows are cut out of a sample, BLOCK at a time and term by term, and multiplied in 32 bits:
   255 * 255 * BLOCK < 2^31. */
#include "quantize/moments.h"

#include "ops/levels.h"
#include "passes/pass.h"

#include <string.h>

enum { BLOCK = 512, TILE = 4 };

/* Windows beyond this many tell little more. */
static size_t enough_windows(size_t terms) { return 4096 + 32 * terms; }

/* Pieces that count, spread over the samples; but no sample is spread out for fewer than a few. */
static void choose_pieces(octet_moments *m, size_t samples)
{
    enum { FEW = 4 };
    const octet_windows *const w     = &m->windows;
    const size_t               every = w->row * w->rows * samples / enough_windows(w->terms);
    m->every         = every > 1 ? every : 1;
    m->samples_every = 1;
    while (m->every * FEW > w->pieces && m->every > 1) {
        m->every = (m->every + 1) / 2;
        m->samples_every *= 2;
    }
}

bool octet_moments_want(const octet_moments *m, size_t sample) { return sample % m->samples_every == 0; }

octet_status octet_moments_plan(octet_moments *m, const octet_tensor *x, size_t samples, octet_arena *arena,
                                octet_error *err)
{
    OCTET_TRY(octet_windows_make(&m->windows, m->node, x, arena, err));
    const octet_windows *const w      = &m->windows;
    const size_t               cuts   = (w->terms + OCTET_MOMENT_TERMS - 1) / OCTET_MOMENT_TERMS;
    const size_t               length = (w->terms + cuts - 1) / cuts;
    const size_t               channels = octet_layer_weights_of(m->node).channels / w->groups;
    choose_pieces(m, samples);
    m->part_count = w->groups * cuts;
    OCTET_TRY(octet_arena_get(&m->parts, arena, m->part_count, sizeof *m->parts, err));
    OCTET_TRY(octet_arena_get(&m->lock, arena, 1, octet_lock_size(), err));
    octet_lock_init(m->lock);
    for (size_t i = 0; i < m->part_count; i++) {
        octet_moment *const part = &m->parts[i];
        part->group         = i / cuts;
        part->first_channel = part->group * channels;
        part->channels      = channels;
        part->first_term    = i % cuts * length;
        part->terms         = w->terms - part->first_term < length ? w->terms - part->first_term : length;
        m->bytes += (part->terms + 1) * part->terms * sizeof(double);
    }
    return OCTET_OK;
}

octet_status octet_moments_begin(octet_moments *m, octet_arena *arena, octet_error *err)
{
    for (size_t i = 0; i < m->part_count; i++) {
        octet_moment *const part = &m->parts[i];
        OCTET_TRY(octet_arena_get(&part->products, arena, part->terms * part->terms, sizeof(double), err));
        OCTET_TRY(octet_arena_get(&part->sums, arena, part->terms, sizeof(double), err));
    }
    return OCTET_OK;
}

octet_status octet_moment_room_make(octet_moment_room *room, const octet_moments *moments, size_t count,
                                    octet_arena *arena, octet_error *err)
{
    size_t levels = 0, spread = 0, terms = 0;
    for (size_t i = 0; i < count; i++) {
        const octet_windows *const w     = &moments[i].windows;
        const size_t               input = (size_t)octet_product(w->plan.window.in, w->plan.window.rank);
        const size_t here = w->slides ? input * w->groups * (size_t)w->plan.in_channels : w->room;
        if (here > levels) levels = here;
        if (w->room > spread) spread = w->room;
        if (w->terms > terms) terms = w->terms;
    }
    if (terms > OCTET_MOMENT_TERMS) terms = OCTET_MOMENT_TERMS;
    OCTET_TRY(octet_arena_get(&room->levels, arena, levels, sizeof *room->levels, err));
    OCTET_TRY(octet_arena_get(&room->spread, arena, spread, sizeof *room->spread, err));
    OCTET_TRY(octet_arena_get(&room->cut, arena, (terms + TILE) * BLOCK, sizeof *room->cut, err));
    return octet_arena_get(&room->sums, arena, (terms + TILE) * TILE, sizeof *room->sums, err);
}

/* ---- levels ---- */

octet_tensor octet_moment_levels(const octet_moment_room *room, const octet_tensor *x, const octet_qparams *q)
{
    enum { CHUNK = 1024 };
    const octet_level_rule to    = { q->scale[0], q->zero_point[0], q->qmin, q->qmax };
    const size_t           count = (size_t)octet_tensor_count(x);
    octet_tensor           levels = *x;
    for (size_t at = 0; at < count; at += CHUNK) {
        int32_t      level[CHUNK];
        const size_t n     = count - at < CHUNK ? count - at : CHUNK;
        const bool   real  = x->dtype == OCTET_F32;
        if (real) octet_profile_octet.quantize(level, (const float *)x->data + at, n, &to);
        else octet_levels_load(level, x->data, x->dtype, at, n, 0);
        for (size_t i = 0; i < n; i++) room->levels[at + i] = (int16_t)(level[i] - to.zero_point);
    }
    levels.dtype   = OCTET_I16;
    levels.data    = room->levels;
    levels.qparams = NULL;
    return levels;
}

/* ---- products ---- */

/* sum[i][j] = a[i] . b[j] over n windows, TILE rows of each. */
static void tile(int32_t *sum, size_t step, const int16_t *a, const int16_t *b, size_t n)
{
    for (size_t i = 0; i < TILE; i++, a += BLOCK) {
        int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        for (size_t w = 0; w < n; w++) {
            s0 += a[w] * b[w];
            s1 += a[w] * b[BLOCK + w];
            s2 += a[w] * b[2 * BLOCK + w];
            s3 += a[w] * b[3 * BLOCK + w];
        }
        sum[i * step]     = s0;
        sum[i * step + 1] = s1;
        sum[i * step + 2] = s2;
        sum[i * step + 3] = s3;
    }
}

static void add_sums(octet_moment *part, const int16_t *cut, size_t n)
{
    for (size_t k = 0; k < part->terms; k++) {
        int32_t sum = 0;
        for (size_t w = 0; w < n; w++) sum += cut[k * BLOCK + w];
        part->sums[k] += sum;
    }
    part->count += (double)n;
}

/* Adds n windows to the lower half of part's products, TILE rows at a time. */
static void add_products(octet_moments *m, octet_moment *part, const octet_moment_room *room, size_t n)
{
    const size_t terms = part->terms, step = terms + TILE;
    for (size_t i = 0; i < terms; i += TILE) {
        for (size_t j = 0; j <= i; j += TILE)
            tile(room->sums + j, step, room->cut + i * BLOCK, room->cut + j * BLOCK, n);
        octet_lock_hold(m->lock);
        for (size_t r = i; r < i + TILE && r < terms; r++)
            for (size_t j = 0; j <= r; j++) part->products[r * terms + j] += room->sums[(r - i) * step + j];
        octet_lock_release(m->lock);
    }
    octet_lock_hold(m->lock);
    add_sums(part, room->cut, n);
    octet_lock_release(m->lock);
}

void octet_moments_add(octet_moments *m, const octet_moment_room *room, const octet_tensor *levels, size_t sample)
{
    const size_t prime = 7919, pieces = m->windows.pieces; /* so that samples differ in the pieces that count */
    const size_t first = sample / m->samples_every * prime % m->every;
    octet_windows_fill(room->spread, &m->windows, levels);
    for (size_t i = 0; i < m->part_count; i++) {
        octet_moment *const part = &m->parts[i];
        octet_window_cut    cut  = { part->group, part->first_term, part->terms, first };
        size_t              n    = 0;
        for (; cut.piece < pieces; cut.piece += m->every) {
            n += octet_windows_cut(room->cut + n, BLOCK, &m->windows, room->spread, &cut);
            if (n + OCTET_WINDOW_PIECE <= BLOCK) continue;
            add_products(m, part, room, n);
            n = 0;
        }
        if (n) add_products(m, part, room, n);
    }
}

void octet_moments_end(octet_moments *m)
{
    for (size_t i = 0; i < m->part_count; i++) {
        const octet_moment *const part = &m->parts[i];
        for (size_t r = 0; r < part->terms; r++)
            for (size_t j = 0; j < r; j++) part->products[j * part->terms + r] = part->products[r * part->terms + j];
    }
}
