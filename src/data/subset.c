/* SPDX-License-Identifier: Apache-2.0 */
/* Which samples, in which order. The split (every, skip_every) goes by place in the file, so that the two are
   complements whatever else is asked; then shuffling, then skip, then limit. */
#include "data/data.h"

/* splitmix64: one line, full period, the same everywhere. */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Fisher-Yates; draws that would favour low numbers are thrown away. */
static void shuffle(size_t *order, size_t count, uint64_t seed)
{
    for (size_t i = count; i > 1; i--) {
        const uint64_t limit = UINT64_MAX - UINT64_MAX % i;
        uint64_t       r = draw(&seed);
        while (r >= limit) r = draw(&seed);
        const size_t j = (size_t)(r % i), kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}

octet_status octet_subset_apply(octet_dataset *data, octet_error *err)
{
    const octet_dataset_options *const o = &data->options;
    size_t                             n = 0;
    OCTET_TRY(octet_arena_get(&data->order, data->arena, data->raw_count, sizeof *data->order, err));
    for (size_t i = 0; i < data->raw_count; i++) {
        if (o->every && i % o->every != 0) continue;
        if (o->skip_every && i % o->skip_every == 0) continue;
        data->order[n++] = i;
    }
    if (o->shuffle) shuffle(data->order, n, o->seed);
    const size_t skipped = o->skip < n ? o->skip : n;
    data->order += skipped;
    n -= skipped;
    data->count = o->limit && o->limit < n ? o->limit : n;
    if (data->count) return OCTET_OK;
    octet_fail(err, OCTET_ERR_ARGUMENT, "no sample is left of %zu (skip %zu, every %zu, skip-every %zu)",
               data->raw_count, o->skip, o->every, o->skip_every);
    octet_error_file(err, data->path);
    return OCTET_ERR_ARGUMENT;
}
