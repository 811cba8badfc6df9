/* SPDX-License-Identifier: Apache-2.0 */
/* TensorScatter: past_cache, update, write_indices. The cache with the update written over it along axis, for each
   sample from its index on; around the end where it is circular. */
#include "ops/check.h"

#include <string.h>

typedef struct scatter_attrs {
    int64_t     axis;
    const char *mode;
} scatter_attrs;

static const octet_attr rows[] = {
    {.name = "axis", .kind = OCTET_ATTR_INT, .offset = offsetof(scatter_attrs, axis), .default_i = -2},
    {.name = "mode", .kind = OCTET_ATTR_STRING, .offset = offsetof(scatter_attrs, mode), .default_s = "linear"},
    {.kind = OCTET_ATTR_END},
};

static bool is_circular(const octet_call *call)
{
    return strcmp(((const scatter_attrs *)call->attrs)->mode, "circular") == 0;
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    const scatter_attrs *const attrs = call->attrs;
    const octet_tensor *const  past = call->in[0], *const update = call->in[1];
    int                        axis;
    if (strcmp(attrs->mode, "linear") != 0 && !is_circular(call))
        return octet_fail_field(err, OCTET_ERR_FORMAT, "mode", "'%s' is neither linear nor circular", attrs->mode);
    OCTET_TRY(octet_check_same_type(call, 1, "update", err));
    OCTET_TRY(octet_check_axis(&axis, attrs->axis, past->rank, "axis", err));
    if (axis == 0) return octet_fail_field(err, OCTET_ERR_SHAPE, "axis", "it must not be the one of samples");
    bool fits = update->rank == past->rank;
    for (int i = 0; fits && i < past->rank; i++)
        fits = i == axis ? update->dims[i] <= past->dims[i] : update->dims[i] == past->dims[i];
    if (!fits) return octet_fail_field(err, OCTET_ERR_SHAPE, "update", "does not fit into the cache");
    if (octet_has_input(call, 2)) {
        const octet_tensor *const t = call->in[2];
        if (t->dtype != OCTET_I64 || t->rank != 1 || t->dims[0] != past->dims[0])
            return octet_fail_field(err, OCTET_ERR_SHAPE, "write_indices", "one int64 for each sample is needed");
    }
    return octet_infer_same(call, err);
}

/* Where the update of sample begins. */
static octet_status begin_of(int64_t *begin, const octet_call *call, int64_t sample, int axis, octet_error *err)
{
    const int64_t have = call->in[1]->dims[axis], room = call->in[0]->dims[axis];
    *begin = octet_has_input(call, 2) ? ((const int64_t *)call->in[2]->data)[sample] : 0;
    if (*begin >= 0 && (is_circular(call) || *begin <= room - have)) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_ARGUMENT, "write_indices", "sample %lld: %lld entries from %lld on, of %lld",
                            (long long)sample, (long long)have, (long long)*begin, (long long)room);
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const past = call->in[0], *const update = call->in[1];
    const int64_t             bytes = octet_tensor_bytes(past);
    char *const               out = call->out[0]->data;
    int                       axis;
    OCTET_TRY(octet_check_axis(&axis, ((const scatter_attrs *)call->attrs)->axis, past->rank, "axis", err));
    if (bytes > 0 && out != past->data) memcpy(out, past->data, (size_t)bytes);
    if (octet_tensor_count(update) == 0) return OCTET_OK;
    const int64_t room = past->dims[axis], have = update->dims[axis];
    int64_t       middle = 1, inner = (int64_t)octet_dtype_size(past->dtype), begin = 0;
    for (int i = 1; i < axis; i++) middle *= past->dims[i];
    for (int i = axis + 1; i < past->rank; i++) inner *= past->dims[i];
    for (int64_t line = 0; line < past->dims[0] * middle; line++) {
        OCTET_TRY(begin_of(&begin, call, line / middle, axis, err));
        for (int64_t i = 0; i < have; i++)
            memcpy(out + (line * room + (begin % room + i) % room) * inner,
                   (const char *)update->data + (line * have + i) * inner, (size_t)inner);
    }
    return OCTET_OK;
}

const octet_op octet_op_tensor_scatter = {
    .name = "TensorScatter",
    .since = 24,
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_ALL,
    .attrs = rows,
    .attrs_size = sizeof(scatter_attrs),
    .infer = infer,
    .forward = forward,
};
