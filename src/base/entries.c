/* SPDX-License-Identifier: Apache-2.0 */
/* Elements and the scales that they have. */
#include "base/entries.h"

octet_entries octet_entries_along(const octet_tensor *tensor, int axis, int64_t block)
{
    octet_entries e = { 1, (size_t)tensor->dims[axis], 1, (size_t)block };
    for (int i = 0; i < axis; i++) e.outer *= (size_t)tensor->dims[i];
    for (int i = axis + 1; i < tensor->rank; i++) e.inner *= (size_t)tensor->dims[i];
    return e;
}

octet_entries octet_entries_of(const octet_tensor *tensor, const octet_qparams *qparams)
{
    if (qparams->count == 1 && !qparams->block)
        return (octet_entries){ 1, 1, (size_t)octet_tensor_count(tensor), 0 };
    return octet_entries_along(tensor, qparams->axis, qparams->block);
}

static size_t blocks_of(const octet_entries *e) { return (e->count + e->block - 1) / e->block; }

size_t octet_entries_total(const octet_entries *e)
{
    return e->block ? e->outer * blocks_of(e) * e->inner : e->count;
}

octet_stretch octet_entries_stretch(const octet_entries *e, size_t at)
{
    const size_t row = at / e->inner, done = at % e->inner, c = row % e->count;
    if (!e->block) return (octet_stretch){ e->inner - done, (int64_t)c, 0 };
    const size_t entry = (row / e->count * blocks_of(e) + c / e->block) * e->inner + done;
    if (e->inner > 1) return (octet_stretch){ e->inner - done, (int64_t)entry, 1 };
    const size_t in_block = e->block - c % e->block, left = e->count - c;
    return (octet_stretch){ in_block < left ? in_block : left, (int64_t)entry, 0 };
}

octet_entry_pieces octet_entries_pieces(const octet_entries *e, size_t entry)
{
    if (!e->block) return (octet_entry_pieces){ entry * e->inner, e->outer, e->inner, e->count * e->inner };
    const size_t i = entry % e->inner, b = entry / e->inner % blocks_of(e), o = entry / e->inner / blocks_of(e);
    const size_t first = b * e->block, left = e->count - first;
    return (octet_entry_pieces){ (o * e->count + first) * e->inner + i, left < e->block ? left : e->block, 1,
                                 e->inner };
}
