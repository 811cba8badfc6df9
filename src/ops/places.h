/* SPDX-License-Identifier: Apache-2.0 */
/* Where indices point: what Gather, GatherElements, GatherND, ScatterElements and ScatterND share. An index is never
   trusted, not even at run time. */
#ifndef OCTET_OPS_PLACES_H
#define OCTET_OPS_PLACES_H

#include "graph/op.h"

typedef enum octet_place_kind {
    OCTET_PLACE_ENTRIES,  /* Gather: an index is an entry of one axis */
    OCTET_PLACE_ELEMENTS, /* GatherElements: an index is one coordinate, the others are the index's own */
    OCTET_PLACE_TUPLES,   /* GatherND: the last dimension of the indices is a tuple of coordinates */
} octet_place_kind;

/* Pieces of `inner` elements that lie densely in data, one for each index, in the order of the indices (of Gather: of
   the result). */
typedef struct octet_places {
    octet_place_kind    kind;
    const octet_tensor *data, *indices;
    int                 axis; /* ENTRIES, ELEMENTS; of TUPLES: how many dimensions are a batch */
    int64_t             pieces, inner, count; /* count: of the indices */
    int64_t             data_step[OCTET_MAX_RANK], index_step[OCTET_MAX_RANK];
} octet_places;

/* Checks types and shapes, and the indices where they are known. axis as the attribute gives it (batch_dims of
   TUPLES). */
octet_status octet_places_make(octet_places *places, octet_place_kind kind, const octet_call *call, int64_t axis,
                               octet_error *err);

/* The indices, once they must be known. */
octet_status octet_places_check(const octet_places *places, octet_error *err);

/* Where piece begins in data, in elements. */
int64_t octet_place_at(const octet_places *places, int64_t piece);

/* Dimensions of the pieces together: the result of the gathering operators, the updates of the scattering ones. */
octet_status octet_places_dims(int64_t dims[OCTET_MAX_RANK], int *rank, const octet_places *places, octet_error *err);

#endif
