/* SPDX-License-Identifier: Apache-2.0 */
/* Which elements of a tensor share a scale: all of them, those of one coordinate along an axis (a channel), or those of
   a block of coordinates, for each coordinate of the other axes (ONNX's block_size). For all who read levels or make
   them. */
#ifndef OCTET_BASE_ENTRIES_H
#define OCTET_BASE_ENTRIES_H

#include <octet/tensor.h>

#include <stddef.h>

/* Element [o][c][i] has entry c, or (o * ceil(count / block) + c / block) * inner + i where block is not 0. */
typedef struct octet_entries {
    size_t outer, count, inner, block;
} octet_entries;

/* Those of parameters for a tensor of that shape (whose own type and parameters do not matter). */
octet_entries octet_entries_of(const octet_tensor *tensor, const octet_qparams *qparams);

/* Those along axis, in blocks of so many (0: one entry for each coordinate). */
octet_entries octet_entries_along(const octet_tensor *tensor, int axis, int64_t block);

/* How many entries there are. */
size_t octet_entries_total(const octet_entries *entries);

/* The n elements from number at on whose entries are entry, entry + step, ...; step is 0 or 1. As many as there are. */
typedef struct octet_stretch {
    size_t  n;
    int64_t entry;
    size_t  step;
} octet_stretch;

octet_stretch octet_entries_stretch(const octet_entries *entries, size_t at);

/* Elements of entry number e: pieces of length elements, distance apart, the first at begin. */
typedef struct octet_entry_pieces {
    size_t begin, pieces, length, distance;
} octet_entry_pieces;

octet_entry_pieces octet_entries_pieces(const octet_entries *entries, size_t e);

#endif
