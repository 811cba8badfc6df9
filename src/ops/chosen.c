/* SPDX-License-Identifier: Apache-2.0 */
/* Results whose size hangs on values: Compress, NonZero, Unique. Shapes are found where the values are known when
   planning; a run whose values give another shape is refused. */
#include "ops/check.h"
#include "ops/order.h"
#include "ops/rescale.h"
#include "ops/rows.h"
#include "ops/scratch.h"

#include <string.h>

enum { WHOLE = INT32_MIN }; /* an axis that is not given: the input as one line */

typedef struct chosen_attrs {
    int64_t axis, sorted;
} chosen_attrs;

#define AXIS                                                                                                           \
    {.name = "axis", .kind = OCTET_ATTR_INT, .offset = offsetof(chosen_attrs, axis), .default_i = WHOLE}

/* The input as entries along an axis (outer x entries x inner elements); without an axis as one dimension. */
typedef struct entries {
    int     axis; /* -1: not given */
    int64_t outer, count, inner;
} entries;

static octet_status entries_of(entries *e, const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    const int64_t             axis = ((const chosen_attrs *)call->attrs)->axis;
    *e = (entries){.axis = -1, .outer = 1, .count = octet_tensor_count(x), .inner = 1};
    if (axis == WHOLE) return OCTET_OK;
    OCTET_TRY(octet_check_axis(&e->axis, axis, x->rank, "axis", err));
    e->count = x->dims[e->axis];
    for (int i = 0; i < e->axis; i++) e->outer *= x->dims[i];
    for (int i = e->axis + 1; i < x->rank; i++) e->inner *= x->dims[i];
    return OCTET_OK;
}

static octet_status set_entries(octet_tensor *out, const octet_call *call, const entries *e, int64_t count,
                                octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    if (e->axis < 0) return octet_set_output(out, x->dtype, &count, 1, err);
    int64_t dims[OCTET_MAX_RANK];
    for (int i = 0; i < x->rank; i++) dims[i] = i == e->axis ? count : x->dims[i];
    return octet_set_output(out, x->dtype, dims, x->rank, err);
}

/* Entry `to` of out becomes entry `from` of x. */
static void copy_entry(const octet_tensor *out, int64_t out_count, int64_t to, const octet_tensor *x, const entries *e,
                       int64_t from)
{
    const size_t bytes = (size_t)e->inner * octet_dtype_size(x->dtype);
    for (int64_t o = 0; bytes > 0 && o < e->outer; o++)
        memcpy((char *)out->data + (size_t)(o * out_count + to) * bytes,
               (const char *)x->data + (size_t)(o * e->count + from) * bytes, bytes);
}

/* ---- Compress: x, condition ---- */

static const octet_attr compress_rows[] = {AXIS, {.kind = OCTET_ATTR_END}};

static octet_status compress_shape(octet_tensor *out, entries *e, const octet_call *call, octet_error *err)
{
    const octet_tensor *const condition = call->in[1];
    int64_t                   count = 0;
    OCTET_TRY(entries_of(e, call, err));
    if (condition->dtype != OCTET_BOOL || condition->rank != 1)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "condition", "must be bool, of one dimension");
    OCTET_TRY(octet_check_known(call, 1, "condition", err));
    if (condition->dims[0] > e->count)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "condition", "%lld entries, the data has %lld",
                                (long long)condition->dims[0], (long long)e->count);
    for (int64_t i = 0; i < condition->dims[0]; i++) count += ((const uint8_t *)condition->data)[i] != 0;
    return set_entries(out, call, e, count, err);
}

static octet_status compress_infer(const octet_call *call, octet_error *err)
{
    entries e;
    return compress_shape(call->out[0], &e, call, err);
}

static octet_status compress_forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const condition = call->in[1], *const out = call->out[0];
    octet_tensor              result = {0};
    entries                   e;
    OCTET_TRY(compress_shape(&result, &e, call, err));
    OCTET_TRY(octet_check_planned(out, result.dims, result.rank, err));
    const int64_t count = e.axis < 0 ? result.dims[0] : result.dims[e.axis];
    for (int64_t i = 0, to = 0; i < condition->dims[0]; i++)
        if (((const uint8_t *)condition->data)[i]) copy_entry(out, count, to++, call->in[0], &e, i);
    return OCTET_OK;
}

const octet_op octet_op_compress = {
    .name = "Compress",
    .since = 11,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_ALL,
    .attrs = compress_rows,
    .attrs_size = sizeof(chosen_attrs),
    .quant = OCTET_QUANT_SAME,
    .infer = compress_infer,
    .forward = compress_forward,
    .forward_integer = octet_move_levels,
    .scratch_size = octet_levels_scratch,
};

/* ---- NonZero: the indices of what is not zero, one row for each dimension ---- */

static bool is_zero(const octet_tensor *x, int64_t at)
{
    octet_wide value;
    octet_wide_load(&value, x->data, x->dtype, at, 1, 1);
    return octet_dtype_is_float(x->dtype) ? value.f == 0.0 : value.i == 0;
}

static octet_status nonzero_shape(octet_tensor *out, const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    OCTET_TRY(octet_check_known(call, 0, "X", err));
    int64_t dims[2] = {x->rank, 0};
    for (int64_t i = 0, n = octet_tensor_count(x); i < n; i++) dims[1] += !is_zero(x, i);
    return octet_set_output(out, OCTET_I64, dims, 2, err);
}

static octet_status nonzero_infer(const octet_call *call, octet_error *err)
{
    return nonzero_shape(call->out[0], call, err);
}

static octet_status nonzero_forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    octet_tensor              result = {0};
    OCTET_TRY(nonzero_shape(&result, call, err));
    OCTET_TRY(octet_check_planned(call->out[0], result.dims, 2, err));
    for (int64_t i = 0, to = 0, n = octet_tensor_count(x); i < n; i++) {
        if (is_zero(x, i)) continue;
        for (int64_t d = x->rank - 1, rest = i; d >= 0; rest /= x->dims[d--])
            ((int64_t *)call->out[0]->data)[d * result.dims[1] + to] = rest % x->dims[d];
        to++;
    }
    return OCTET_OK;
}

const octet_op octet_op_non_zero = {
    .name = "NonZero",
    .since = 9,
    OCTET_ONE_TO_ONE,
    .types = OCTET_TYPES_ALL,
    .infer = nonzero_infer,
    .forward = nonzero_forward,
};

/* ---- Unique: x -> values, where each comes first, the value of each entry, how often ---- */

static const octet_attr unique_rows[] = {
    AXIS,
    {.name = "sorted", .kind = OCTET_ATTR_INT, .offset = offsetof(chosen_attrs, sorted), .default_i = 1, .max = 1},
    {.kind = OCTET_ATTR_END},
};

/* Different entries are numbered in the order of the result. */
typedef struct unique {
    const octet_tensor *x;
    entries             e;
    int64_t             count;  /* different ones */
    int64_t            *order;  /* all entries, equal ones side by side */
    int64_t            *group;  /* of every entry */
    int64_t            *first;  /* of every group: its first entry */
    int64_t            *place;  /* of every group: where it comes in the result */
} unique;

/* -1, 0, 1 as entry a comes before, with or after b: the first elements that differ decide. */
static int compare_entries(const unique *u, int64_t a, int64_t b)
{
    for (int64_t o = 0; o < u->e.outer; o++)
        for (int64_t i = 0; i < u->e.inner; i++) {
            octet_wide x, y;
            octet_wide_load(&x, u->x->data, u->x->dtype, (o * u->e.count + a) * u->e.inner + i, 1, 1);
            octet_wide_load(&y, u->x->data, u->x->dtype, (o * u->e.count + b) * u->e.inner + i, 1, 1);
            if (octet_wide_less(x, y, u->x->dtype)) return -1;
            if (octet_wide_less(y, x, u->x->dtype)) return 1;
        }
    return 0;
}

static bool entry_before(const void *context, int64_t a, int64_t b)
{
    const int order = compare_entries(context, a, b);
    return order < 0 || (order == 0 && a < b);
}

static bool group_before(const void *context, int64_t a, int64_t b)
{
    const unique *const u = context;
    return u->first[a] < u->first[b];
}

static size_t unique_memory(unique *u, char *data, int64_t count)
{
    octet_scratch   scratch = {.data = data};
    int64_t **const lists[] = {&u->order, &u->group, &u->first, &u->place};
    for (int i = 0; i < 4; i++) *lists[i] = octet_scratch_take(&scratch, (size_t)count, sizeof(int64_t));
    return scratch.too_large ? SIZE_MAX : scratch.bytes;
}

static void find_groups(unique *u, bool sorted)
{
    const int64_t n = u->e.count;
    u->count = 0;
    for (int64_t i = 0; i < n; i++) u->order[i] = i;
    octet_order(u->order, n, entry_before, u);
    for (int64_t i = 0; i < n; i++) {
        if (i == 0 || compare_entries(u, u->order[i - 1], u->order[i]) != 0) u->first[u->count++] = u->order[i];
        u->group[u->order[i]] = u->count - 1;
    }
    for (int64_t i = 0; i < u->count; i++) u->order[i] = i; /* of groups now */
    if (!sorted) octet_order(u->order, u->count, group_before, u);
    for (int64_t i = 0; i < u->count; i++) u->place[u->order[i]] = i;
}

static octet_status unique_infer(const octet_call *call, octet_error *err)
{
    unique u = {.x = call->in[0]};
    char  *memory;
    OCTET_TRY(entries_of(&u.e, call, err));
    OCTET_TRY(octet_check_known(call, 0, "X", err));
    if (u.e.count > 0 && u.e.outer * u.e.inner == 0)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "axis", "entries without elements are not supported");
    OCTET_TRY(octet_arena_get(&memory, call->arena, unique_memory(&u, NULL, u.e.count), 1, err));
    unique_memory(&u, memory, u.e.count);
    find_groups(&u, true);
    for (int i = 1; i < 4; i++)
        if (octet_has_output(call, i))
            OCTET_TRY(octet_set_output(call->out[i], OCTET_I64, i == 2 ? &u.e.count : &u.count, 1, err));
    return call->out[0] ? set_entries(call->out[0], call, &u.e, u.count, err) : OCTET_OK;
}

static size_t unique_scratch_size(const octet_call *call, bool integer)
{
    unique  u;
    entries e;
    if (integer || entries_of(&e, call, NULL) != OCTET_OK) return 0;
    return unique_memory(&u, NULL, e.count);
}

static octet_status unique_forward(const octet_call *call, octet_error *err)
{
    unique u = {.x = call->in[0]};
    OCTET_TRY(entries_of(&u.e, call, err));
    unique_memory(&u, call->scratch, u.e.count);
    find_groups(&u, ((const chosen_attrs *)call->attrs)->sorted != 0);
    octet_tensor values = {0};
    OCTET_TRY(set_entries(&values, call, &u.e, u.count, err));
    if (call->out[0]) OCTET_TRY(octet_check_planned(call->out[0], values.dims, values.rank, err));
    int64_t *lists[4] = {NULL};
    for (int i = 1; i < 4; i++)
        if (octet_has_output(call, i)) {
            OCTET_TRY(octet_check_planned(call->out[i], i == 2 ? &u.e.count : &u.count, 1, err));
            lists[i] = call->out[i]->data;
        }
    for (int64_t g = 0; g < u.count; g++) {
        if (call->out[0]) copy_entry(call->out[0], u.count, u.place[g], u.x, &u.e, u.first[g]);
        if (lists[1]) lists[1][u.place[g]] = u.first[g];
        if (lists[3]) lists[3][u.place[g]] = 0;
    }
    for (int64_t i = 0; i < u.e.count; i++) {
        if (lists[2]) lists[2][i] = u.place[u.group[i]];
        if (lists[3]) lists[3][u.place[u.group[i]]]++;
    }
    return OCTET_OK;
}

const octet_op octet_op_unique = {
    .name = "Unique",
    .since = 11,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 4,
    .types = OCTET_TYPES_FLOAT | OCTET_TYPES_INT | 1u << OCTET_BOOL,
    .attrs = unique_rows,
    .attrs_size = sizeof(chosen_attrs),
    .infer = unique_infer,
    .forward = unique_forward,
    .scratch_size = unique_scratch_size,
};
