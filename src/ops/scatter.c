/* SPDX-License-Identifier: Apache-2.0 */
/* ScatterElements, ScatterND: data, indices, updates. The data with pieces of it written over, or joined with what is
   there, in the order of the indices. */
#include "ops/check.h"
#include "ops/places.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <string.h>

typedef struct scatter_attrs {
    int64_t     axis;
    const char *reduction;
} scatter_attrs;

typedef enum reduction { NONE, ADD, MUL, MAX, MIN, REDUCTIONS } reduction;

static const char *const reduction_names[REDUCTIONS] = {"none", "add", "mul", "max", "min"};

static reduction reduction_of(const octet_call *call)
{
    int at = 0;
    while (at < REDUCTIONS && strcmp(((const scatter_attrs *)call->attrs)->reduction, reduction_names[at]) != 0) at++;
    return (reduction)at;
}

static octet_status infer(const octet_call *call, octet_place_kind kind, octet_error *err)
{
    octet_places              places;
    const octet_tensor *const data = call->in[0], *const updates = call->in[2];
    octet_tensor              pieces = {0};
    if (reduction_of(call) == REDUCTIONS)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "reduction", "'%s' is none of none, add, mul, max, min",
                                ((const scatter_attrs *)call->attrs)->reduction);
    OCTET_TRY(octet_check_same_type(call, 2, "updates", err));
    OCTET_TRY(octet_places_make(&places, kind, call, ((const scatter_attrs *)call->attrs)->axis, err));
    OCTET_TRY(octet_places_dims(pieces.dims, &pieces.rank, &places, err));
    if (!octet_same_dims(&pieces, updates)) {
        char have[128], want[128];
        return octet_fail_field(err, OCTET_ERR_SHAPE, "updates", "shape is %s, the indices need %s",
                                octet_shape_text(have, sizeof have, updates->dims, updates->rank),
                                octet_shape_text(want, sizeof want, pieces.dims, pieces.rank));
    }
    return octet_set_output(call->out[0], data->dtype, data->dims, data->rank, err);
}

static double join_floats(double a, double b, reduction how)
{
    if (how == ADD) return a + b;
    if (how == MUL) return a * b;
    if (a != a || b != b) return a + b;
    return how == MAX ? (a > b ? a : b) : a < b ? a : b;
}

/* Sums and products wrap like the type's own. */
static int64_t join_integers(int64_t a, int64_t b, reduction how, octet_dtype dtype)
{
    const uint64_t x = (uint64_t)a, y = (uint64_t)b;
    if (how == ADD) return (int64_t)(x + y);
    if (how == MUL) return (int64_t)(x * y);
    const bool less = dtype == OCTET_U64 ? x < y : a < b;
    return less == (how == MIN) ? a : b;
}

/* n elements of out from at on are joined with those of updates from from on. */
static void join(const octet_tensor *out, int64_t at, const octet_tensor *updates, int64_t from, int64_t n,
                 reduction how)
{
    octet_wide old[OCTET_WIDE_ROW], new[OCTET_WIDE_ROW];
    for (int64_t done = 0; done < n; done += OCTET_WIDE_ROW) {
        const size_t count = n - done < OCTET_WIDE_ROW ? (size_t)(n - done) : OCTET_WIDE_ROW;
        octet_wide_load(old, out->data, out->dtype, at + done, count, 1);
        octet_wide_load(new, updates->data, updates->dtype, from + done, count, 1);
        for (size_t i = 0; i < count; i++)
            if (octet_dtype_is_float(out->dtype))
                old[i].f = join_floats(old[i].f, new[i].f, how);
            else
                old[i].i = join_integers(old[i].i, new[i].i, how, out->dtype);
        octet_wide_store(out->data, out->dtype, at + done, old, count);
    }
}

static octet_status forward(const octet_call *call, octet_place_kind kind, octet_error *err)
{
    const octet_tensor *const data = call->in[0], *const updates = call->in[2], *const out = call->out[0];
    const int64_t             bytes = octet_tensor_bytes(data), size = (int64_t)octet_dtype_size(data->dtype);
    const reduction           how = reduction_of(call);
    octet_places              places;
    OCTET_TRY(octet_places_make(&places, kind, call, ((const scatter_attrs *)call->attrs)->axis, err));
    if (bytes > 0 && out->data != data->data) memcpy(out->data, data->data, (size_t)bytes);
    if (octet_tensor_count(updates) == 0) return OCTET_OK;
    for (int64_t i = 0; i < places.pieces; i++) {
        const int64_t at = octet_place_at(&places, i), from = i * places.inner;
        if (how == NONE)
            memcpy((char *)out->data + at * size, (const char *)updates->data + from * size,
                   (size_t)(places.inner * size));
        else
            join(out, at, updates, from, places.inner, how);
    }
    return OCTET_OK;
}

#define SCATTER(name, kind)                                                                                            \
    static octet_status name##_infer(const octet_call *call, octet_error *err) { return infer(call, kind, err); }      \
    static octet_status name##_forward(const octet_call *call, octet_error *err) { return forward(call, kind, err); }

SCATTER(elements, OCTET_PLACE_ELEMENTS)
SCATTER(tuples, OCTET_PLACE_TUPLES)

/* since 18: max and min; add and mul came with 16. */
#define REDUCTION                                                                                                      \
    {                                                                                                                  \
        .name = "reduction", .kind = OCTET_ATTR_STRING, .offset = offsetof(scatter_attrs, reduction),                  \
        .default_s = "none", .since = 18                                                                               \
    }

static const octet_attr element_rows[] = {
    {.name = "axis", .kind = OCTET_ATTR_INT, .offset = offsetof(scatter_attrs, axis)},
    REDUCTION,
    {.kind = OCTET_ATTR_END},
};
static const octet_attr tuple_rows[] = {REDUCTION, {.kind = OCTET_ATTR_END}};

#define SCATTERING(kind)                                                                                               \
    .min_inputs = 3, .max_inputs = 3, .min_outputs = 1, .max_outputs = 1, .types = OCTET_TYPES_ALL,                    \
    .attrs_size = sizeof(scatter_attrs), .infer = kind##_infer, .forward = kind##_forward

const octet_op octet_op_scatter_elements = {
    .name = "ScatterElements", .since = 11, SCATTERING(elements), .attrs = element_rows};
const octet_op octet_op_scatter_nd = {.name = "ScatterND", .since = 11, SCATTERING(tuples), .attrs = tuple_rows};
