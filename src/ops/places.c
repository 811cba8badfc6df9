/* SPDX-License-Identifier: Apache-2.0 */
/* Indices as places in a tensor (places.h). */
#include "ops/places.h"

#include "ops/check.h"
#include "ops/move.h"

static int tuple_length(const octet_places *p)
{
    return p->kind == OCTET_PLACE_TUPLES ? (int)p->indices->dims[p->indices->rank - 1] : 1;
}

static octet_status check_tuples(octet_places *p, int64_t batch_dims, octet_error *err)
{
    const octet_tensor *const data = p->data, *const indices = p->indices;
    if (indices->rank < 1 || data->rank < 1)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "indices", "data of %d and indices of %d dimensions, 1 is needed",
                                data->rank, indices->rank);
    const int64_t most = (data->rank < indices->rank ? data->rank : indices->rank) - 1;
    if (batch_dims < 0 || batch_dims > most)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "batch_dims", "%lld, need 0 to %lld", (long long)batch_dims,
                                (long long)most);
    p->axis = (int)batch_dims;
    for (int i = 0; i < p->axis; i++)
        if (data->dims[i] != indices->dims[i])
            return octet_fail_field(err, OCTET_ERR_SHAPE, "indices", "dimension %d is %lld, that of the data %lld", i,
                                    (long long)indices->dims[i], (long long)data->dims[i]);
    const int64_t length = indices->dims[indices->rank - 1];
    if (length < 1 || length > data->rank - p->axis)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "indices", "tuples of %lld coordinates, need 1 to %d",
                                (long long)length, data->rank - p->axis);
    return OCTET_OK;
}

static octet_status check_elements(const octet_places *p, octet_error *err)
{
    const octet_tensor *const data = p->data, *const indices = p->indices;
    bool                      fits = data->rank == indices->rank;
    for (int i = 0; fits && i < data->rank; i++) fits = i == p->axis || indices->dims[i] <= data->dims[i];
    if (fits) return OCTET_OK;
    char a[128], b[128];
    return octet_fail_field(err, OCTET_ERR_SHAPE, "indices", "indices of shape %s do not fit data of shape %s",
                            octet_shape_text(a, sizeof a, indices->dims, indices->rank),
                            octet_shape_text(b, sizeof b, data->dims, data->rank));
}

static void count_pieces(octet_places *p)
{
    const int     length = tuple_length(p), first_inner = p->kind == OCTET_PLACE_ELEMENTS ? p->data->rank
                                                                                           : p->axis + length;
    p->count = octet_tensor_count(p->indices);
    p->inner = 1;
    for (int i = first_inner; i < p->data->rank; i++) p->inner *= p->data->dims[i];
    p->pieces = p->count / length;
    for (int i = 0; p->kind == OCTET_PLACE_ENTRIES && i < p->axis; i++) p->pieces *= p->data->dims[i];
    octet_dense_steps(p->data_step, p->data->dims, p->data->rank);
    octet_dense_steps(p->index_step, p->indices->dims, p->indices->rank);
}

octet_status octet_places_make(octet_places *places, octet_place_kind kind, const octet_call *call, int64_t axis,
                               octet_error *err)
{
    *places = (octet_places){.kind = kind, .data = call->in[0], .indices = call->in[1]};
    const octet_dtype type = places->indices->dtype;
    if (type != OCTET_I64 && (type != OCTET_I32 || kind == OCTET_PLACE_TUPLES))
        return octet_fail_field(err, OCTET_ERR_SHAPE, "indices", "type is %s, int32 or int64 is needed",
                                octet_dtype_name(type));
    if (kind == OCTET_PLACE_TUPLES)
        OCTET_TRY(check_tuples(places, axis, err));
    else
        OCTET_TRY(octet_check_axis(&places->axis, axis, places->data->rank, "axis", err));
    if (kind == OCTET_PLACE_ELEMENTS) OCTET_TRY(check_elements(places, err));
    count_pieces(places);
    return places->indices->data ? octet_places_check(places, err) : OCTET_OK;
}

octet_status octet_places_check(const octet_places *places, octet_error *err)
{
    const int64_t count = octet_tensor_count(places->indices);
    const int     length = tuple_length(places);
    for (int64_t i = 0; i < count; i++) {
        const int64_t index = octet_int_at(places->indices, i), n = places->data->dims[places->axis + i % length];
        if (index < -n || index >= n)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "indices", "index %lld is outside an axis of %lld entries",
                                    (long long)index, (long long)n);
    }
    return OCTET_OK;
}

/* Index i as a coordinate of an axis of n entries. */
static int64_t coordinate(const octet_places *p, int64_t i, int64_t n)
{
    const int64_t index = octet_int_at(p->indices, i);
    return index < 0 ? index + n : index;
}

int64_t octet_place_at(const octet_places *p, int64_t piece)
{
    const int64_t *const dims = p->data->dims;
    if (p->kind == OCTET_PLACE_ENTRIES) {
        const int64_t index = coordinate(p, piece % p->count, dims[p->axis]);
        return (piece / p->count * dims[p->axis] + index) * p->inner;
    }
    const int length = tuple_length(p), outer = p->kind == OCTET_PLACE_TUPLES ? p->axis : p->indices->rank;
    int64_t   at = 0, rest = piece * length;
    for (int i = 0; i < outer; i++) {
        if (p->kind == OCTET_PLACE_TUPLES || i != p->axis) at += rest / p->index_step[i] * p->data_step[i];
        rest %= p->index_step[i];
    }
    for (int k = 0; k < length; k++)
        at += coordinate(p, piece * length + k, dims[p->axis + k]) * p->data_step[p->axis + k];
    return at;
}

octet_status octet_places_dims(int64_t dims[OCTET_MAX_RANK], int *rank, const octet_places *p, octet_error *err)
{
    int64_t all[3 * OCTET_MAX_RANK];
    int     count = 0;
    const bool tuples = p->kind == OCTET_PLACE_TUPLES;
    for (int i = 0; p->kind == OCTET_PLACE_ENTRIES && i < p->axis; i++) all[count++] = p->data->dims[i];
    for (int i = 0; i < p->indices->rank - tuples; i++) all[count++] = p->indices->dims[i];
    const int from = p->kind == OCTET_PLACE_ELEMENTS ? p->data->rank : p->axis + tuple_length(p);
    for (int i = from; i < p->data->rank; i++) all[count++] = p->data->dims[i];
    if (count > OCTET_MAX_RANK)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the result has %d dimensions, at most %d are supported", count,
                          OCTET_MAX_RANK);
    for (int i = 0; i < count; i++) dims[i] = all[i];
    *rank = count;
    return OCTET_OK;
}
