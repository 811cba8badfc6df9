/* SPDX-License-Identifier: Apache-2.0 */
/* Gather, GatherElements, GatherND: pieces of a tensor picked by index. */
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/levels.h"
#include "ops/places.h"
#include "ops/rescale.h"
#include "ops/rows.h"

#include <string.h>

static octet_status infer(const octet_call *call, octet_place_kind kind, octet_error *err)
{
    octet_places places;
    int64_t      dims[OCTET_MAX_RANK];
    int          rank;
    OCTET_TRY(octet_places_make(&places, kind, call, ((const octet_axis_attrs *)call->attrs)->axis, err));
    OCTET_TRY(octet_places_dims(dims, &rank, &places, err));
    return octet_set_output(call->out[0], call->in[0]->dtype, dims, rank, err);
}

static octet_status begin(octet_places *places, const octet_call *call, octet_place_kind kind, octet_error *err)
{
    OCTET_TRY(octet_places_make(places, kind, call, ((const octet_axis_attrs *)call->attrs)->axis, err));
    if (octet_tensor_count(call->out[0]) == 0) places->pieces = 0;
    return OCTET_OK;
}

static octet_status forward(const octet_call *call, octet_place_kind kind, octet_error *err)
{
    octet_places places;
    OCTET_TRY(begin(&places, call, kind, err));
    const size_t element = octet_dtype_size(call->in[0]->dtype), size = (size_t)places.inner * element;
    char        *to = call->out[0]->data;
    for (int64_t i = 0; i < places.pieces; i++, to += size)
        memcpy(to, (const char *)call->in[0]->data + (size_t)octet_place_at(&places, i) * element, size);
    return OCTET_OK;
}

/* ---- levels ---- */

/* n numbers of the table from element `from` on, rounded to levels of the result's parameters. */
static void pick_levels(const octet_call *call, size_t from, size_t to, size_t n)
{
    enum { CHUNK = 256 };
    float row[CHUNK];
    for (size_t done = 0, count; done < n; done += count) {
        count = n - done < CHUNK ? n - done : CHUNK;
        octet_levels_real_any(row, call->in[0], from + done, count);
        octet_levels_from_real(call->out[0], row, to + done, count, call->profile);
    }
}

/* Picked from a table whose rows may have scales of their own, levels become real numbers, and those the result's
   levels where it has any. Levels of one scale move. */
static octet_status entries_levels(const octet_call *call, octet_error *err)
{
    const octet_qparams *const table = call->in[0]->qparams;
    const bool                 real  = !call->out[0]->qparams;
    octet_places               places;
    if (!real && table->count == 1 && octet_qparams_plain(table)) return octet_move_levels(call, err);
    OCTET_TRY(begin(&places, call, OCTET_PLACE_ENTRIES, err));
    const size_t inner = (size_t)places.inner;
    for (size_t i = 0; i < (size_t)places.pieces; i++) {
        const size_t from = (size_t)octet_place_at(&places, (int64_t)i);
        if (real) octet_levels_real_any((float *)call->out[0]->data + i * inner, call->in[0], from, inner);
        else pick_levels(call, from, i * inner, inner);
    }
    return OCTET_OK;
}

static size_t entries_scratch(const octet_call *call, bool integer)
{
    return call->out[0]->qparams ? octet_levels_scratch(call, integer) : 0;
}

/* ---- gradients ---- */

static octet_status backward(const octet_backward_call *call, octet_place_kind kind, octet_error *err)
{
    octet_places places;
    if (!octet_gradient_wanted(call, 0)) return OCTET_OK;
    OCTET_TRY(begin(&places, call->forward, kind, err));
    for (int64_t i = 0; i < places.pieces; i++)
        octet_gradient_add(call->din[0], octet_place_at(&places, i), call->dout[0], i * places.inner,
                           (size_t)places.inner);
    return OCTET_OK;
}

#define GATHER(name, kind)                                                                                             \
    static octet_status name##_infer(const octet_call *call, octet_error *err) { return infer(call, kind, err); }      \
    static octet_status name##_forward(const octet_call *call, octet_error *err) { return forward(call, kind, err); }  \
    static octet_status name##_backward(const octet_backward_call *call, octet_error *err)                             \
    {                                                                                                                  \
        return backward(call, kind, err);                                                                              \
    }

GATHER(entries, OCTET_PLACE_ENTRIES)
GATHER(elements, OCTET_PLACE_ELEMENTS)
GATHER(tuples, OCTET_PLACE_TUPLES)

static const octet_attr axis_rows[] = {
    {.name = "axis", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_axis_attrs, axis)},
    {.kind = OCTET_ATTR_END},
};

static const octet_attr batch_rows[] = {
    {.name = "batch_dims", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_axis_attrs, axis)},
    {.kind = OCTET_ATTR_END},
};

#define GATHERING(kind)                                                                                                \
    .min_inputs = 2, .max_inputs = 2, .min_outputs = 1, .max_outputs = 1, .types = OCTET_TYPES_ALL,                    \
    .attrs_size = sizeof(octet_axis_attrs), .quant = OCTET_QUANT_SAME, .fixed_inputs = 1 << 1,                         \
    .infer = kind##_infer, .forward = kind##_forward, .backward = kind##_backward

#define MOVING .forward_integer = octet_move_levels, .scratch_size = octet_levels_scratch

const octet_op octet_op_gather = {.name = "Gather", .since = 1, GATHERING(entries), .attrs = axis_rows,
                                  .flags = OCTET_OP_PICKS, .forward_integer = entries_levels,
                                  .scratch_size = entries_scratch, .parameters = 1u};
const octet_op octet_op_gather_elements = {
    .name = "GatherElements", .since = 11, GATHERING(elements), .attrs = axis_rows, MOVING};
const octet_op octet_op_gather_nd = {.name = "GatherND", .since = 12, GATHERING(tuples), .attrs = batch_rows, MOVING};
