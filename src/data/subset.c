/* SPDX-License-Identifier: Apache-2.0 */
/* Which samples, in which order. The split (every, skip_every) goes by place in the file, so that the two are
   complements whatever else is asked; then shuffling, then skip, then limit. */
#include "base/random.h"
#include "data/data.h"

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
    uint64_t state = o->seed;
    if (o->shuffle) octet_random_shuffle(data->order, n, &state);
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
