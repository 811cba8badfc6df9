/* SPDX-License-Identifier: Apache-2.0 */
/* Attention and RotaryEmbedding in the operators that they are made of, as ONNX's function bodies say, but for three
   things that change no result:
   - the scale stands at Q alone, where it can be folded;
   - several heads of Q that share one of K and V stand below each other in one matrix, so nothing is repeated;
   - what a mask of bools, causality, a window and padding forbid is chosen away by one Where before Softmax, and by
     one behind it where a row could be forbidden as a whole (which gives zeros). */
#include "onnx/expand.h"

#include "ops/attrs.h"

#include <math.h>

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, VALID };
enum { BEFORE_CAP, BEHIND_CAP, BEHIND_MASK, BEHIND_SOFTMAX }; /* what the fourth result is */

static octet_value *input(const octet_expansion *e, int slot)
{
    return slot < e->node->input_count ? e->node->inputs[slot] : NULL;
}

static octet_value *number(octet_expansion *e, octet_dtype dtype, double number)
{
    return octet_expand_number(e, dtype, number);
}

/* ---- Attention ---- */

typedef struct attention {
    octet_expansion             *e;
    const octet_attention_attrs *attrs;
    octet_dtype                  dtype;
    bool                         rows;          /* inputs of three dimensions */
    int64_t                      heads, groups; /* of Q; how many of them share one of K and V */
    octet_value                 *valid;         /* nonpad_kv_seqlen as [batch, 1, 1, 1]; NULL: all are */
    octet_value                 *queries, *keys; /* their numbers, as scalars */
    octet_value                 *allowed;       /* of bool; NULL: everything */
    bool                         empty;         /* allowed may forbid a whole row */
} attention;

/* [batch, heads, length, size] */
static octet_value *as_heads(const attention *a, int slot, int64_t heads)
{
    octet_value *const x = input(a->e, slot);
    if (!a->rows) return x;
    octet_value *const split = octet_expand_reshape(a->e, x, 4, (int64_t[]){0, 0, heads, -1});
    return octet_expand_transpose(a->e, split, 4, (int64_t[]){0, 2, 1, 3});
}

/* K or V behind those of the past; a result, too. */
static octet_value *with_past(const attention *a, int slot, octet_value *now)
{
    octet_value *const past = input(a->e, slot == K ? PAST_KEY : PAST_VALUE);
    if (!past) return now;
    octet_value *const all = OCTET_EXPAND(a->e, "Concat", past, now);
    octet_expand_int(a->e, "axis", 2);
    return all;
}

/* The groups of one head of K and V below each other, and back. */
static octet_value *stack(const attention *a, octet_value *x)
{
    return a->groups == 1 ? x : octet_expand_reshape(a->e, x, 4, (int64_t[]){0, a->heads / a->groups, -1, 0});
}

static octet_value *unstack(const attention *a, octet_value *x)
{
    return a->groups == 1 ? x : octet_expand_reshape(a->e, x, 4, (int64_t[]){0, a->heads, -1, 0});
}

static double scale_of(const attention *a)
{
    const octet_value *const q = input(a->e, Q);
    const int64_t            last = q->dims[q->rank - 1];
    if (a->attrs->scale > 0.0f) return (double)a->attrs->scale;
    if (last < 1) octet_expand_fail(a->e, "the size of a head must be known");
    return last < 1 ? 1.0 : 1.0 / sqrt((double)(a->rows ? last / a->heads : last));
}

/* Dimension axis of x as a scalar. */
static octet_value *size_of(octet_expansion *e, octet_value *x, int64_t axis)
{
    octet_value *const shape = OCTET_EXPAND(e, "Shape", x);
    octet_value *const index = number(e, OCTET_I64, (double)axis);
    return OCTET_EXPAND(e, "Gather", shape, index);
}

/* 0, 1, ... up to count. */
static octet_value *numbers(octet_expansion *e, octet_value *count)
{
    octet_value *const zero = number(e, OCTET_I64, 0), *const one = number(e, OCTET_I64, 1);
    return OCTET_EXPAND(e, "Range", zero, count, one);
}

static void allow(attention *a, octet_value *which)
{
    a->allowed = a->allowed ? OCTET_EXPAND(a->e, "And", a->allowed, which) : which;
}

/* place + distance, and what relates the keys' places to it may be read. */
static void allow_within(attention *a, octet_value *keys, octet_value *places, int64_t distance, const char *relation)
{
    octet_value *bound = places;
    if (distance) {
        octet_value *const by = number(a->e, OCTET_I64, (double)distance);
        bound = OCTET_EXPAND(a->e, "Add", places, by);
    }
    allow(a, OCTET_EXPAND(a->e, relation, keys, bound));
}

/* The places of the queries among the keys, as a column: those of the past or the cache come first. */
static octet_value *places_of(const attention *a)
{
    octet_expansion *const e = a->e;
    octet_value           *at = numbers(e, a->queries), *const last = octet_expand_list(e, 1, (int64_t[]){1});
    at = OCTET_EXPAND(e, "Unsqueeze", at, last);
    octet_value *first = NULL;
    if (input(e, PAST_KEY)) first = size_of(e, input(e, PAST_KEY), 2);
    else if (a->valid) first = OCTET_EXPAND(e, "Sub", a->valid, a->queries);
    return first ? OCTET_EXPAND(e, "Add", at, first) : at;
}

static void allow_places(attention *a)
{
    const octet_attention_attrs *const attrs = a->attrs;
    const bool                         left = attrs->left_window_size >= 0, right = attrs->right_window_size >= 0;
    if (!attrs->is_causal && !left && !right && !a->valid) return;
    octet_value *const keys = numbers(a->e, a->keys);
    if (attrs->is_causal || left || right) {
        octet_value *const places = places_of(a);
        if (attrs->is_causal) allow_within(a, keys, places, 0, "LessOrEqual");
        if (left) allow_within(a, keys, places, -attrs->left_window_size, "GreaterOrEqual");
        if (right) allow_within(a, keys, places, attrs->right_window_size, "LessOrEqual");
    }
    if (a->valid) allow_within(a, keys, a->valid, 0, "Less");
    a->empty = a->empty || left || right || a->valid;
}

/* The mask as wide as there are keys; what it lacks is forbidden. */
static octet_value *whole_mask(const attention *a, octet_value *mask)
{
    octet_expansion *const e = a->e;
    const bool             bools = mask->dtype == OCTET_BOOL;
    const octet_value *const k = input(e, K), *const past = input(e, PAST_KEY);
    const int64_t          have = mask->dims[mask->rank - 1], own = k->dims[a->rows ? 1 : 2];
    const int64_t          earlier = past ? past->dims[2] : 0;
    if (have >= 0 && own >= 0 && earlier >= 0 && have == own + earlier) return mask;
    if ((have < 0) == (own < 0 || earlier < 0) && have < 0) return mask; /* free, as the keys are */
    octet_value *const there = size_of(e, mask, mask->rank - 1), *const axis = octet_expand_list(e, 1, (int64_t[]){-1});
    octet_value *const lacks = OCTET_EXPAND(e, "Sub", a->keys, there), *const zero = number(e, OCTET_I64, 0);
    octet_value *const begin = octet_expand_reshape(e, zero, 1, (int64_t[]){1});
    octet_value *const end = octet_expand_reshape(e, lacks, 1, (int64_t[]){1});
    octet_value *const pads = OCTET_EXPAND(e, "Concat", begin, end);
    octet_expand_int(e, "axis", 0);
    octet_value *const fill = number(e, mask->dtype, bools ? 0 : -INFINITY);
    return OCTET_EXPAND(e, "Pad", mask, pads, fill, axis);
}

static octet_value *forbid(const attention *a, octet_value *x, double instead)
{
    octet_value *const other = number(a->e, a->dtype, instead);
    return OCTET_EXPAND(a->e, "Where", a->allowed, x, other);
}

/* Whether a mask of real numbers is known to leave something in every row. */
static bool leaves_something(const octet_value *mask)
{
    const octet_tensor *const t = mask->constant;
    const int64_t             row = t && t->rank ? t->dims[t->rank - 1] : 0, count = t ? octet_tensor_count(t) : 0;
    if (!t || t->dtype != OCTET_F32 || row == 0) return false;
    for (int64_t i = 0; i < count; i += row) {
        bool any = false;
        for (int64_t k = 0; k < row; k++) any = any || ((const float *)t->data)[i + k] != -INFINITY;
        if (!any) return false;
    }
    return true;
}

/* Zeros in the rows whose mask is -infinity all along. */
static octet_value *clear_empty(attention *a, octet_value *x, octet_value *mask)
{
    octet_expansion *const e = a->e;
    octet_value *const     bias = a->allowed ? forbid(a, mask, -INFINITY) : mask;
    octet_value *const     axis = octet_expand_list(e, 1, (int64_t[]){-1});
    octet_value *const     most = OCTET_EXPAND(e, "ReduceMax", bias, axis);
    octet_value *const     none = OCTET_EXPAND(e, "IsInf", most);
    octet_expand_int(e, "detect_positive", 0);
    octet_value *const zero = number(e, a->dtype, 0);
    return OCTET_EXPAND(e, "Where", none, zero, x);
}

static octet_value *softmax(attention *a, octet_value *x)
{
    const int64_t     to = a->attrs->softmax_precision;
    const octet_dtype dtype = to == 0 ? a->dtype : to == octet_dtype_to_onnx(OCTET_F64) ? OCTET_F64 : OCTET_F32;
    if (dtype != a->dtype) x = octet_expand_cast(a->e, x, dtype);
    x = OCTET_EXPAND(a->e, "Softmax", x);
    octet_expand_int(a->e, "axis", -1);
    return dtype != a->dtype ? octet_expand_cast(a->e, x, a->dtype) : x;
}

/* Softmax of the scores with everything that is done to them before. */
static octet_value *weights_of(attention *a, octet_value *scores)
{
    octet_expansion *const e = a->e;
    octet_value           *steps[4] = {scores}, *x = scores, *mask = input(e, MASK);
    const bool             real = mask && mask->dtype != OCTET_BOOL;
    if (a->attrs->softcap > 0.0f) {
        octet_value *const cap = number(e, a->dtype, (double)a->attrs->softcap);
        x = OCTET_EXPAND(e, "Div", x, cap);
        x = OCTET_EXPAND(e, "Tanh", x);
        x = OCTET_EXPAND(e, "Mul", x, cap);
    }
    steps[BEHIND_CAP] = x;
    if (mask) mask = whole_mask(a, mask);
    allow_places(a);
    if (mask && !real) {
        allow(a, mask);
        a->empty = true;
    }
    if (real) x = OCTET_EXPAND(e, "Add", x, mask);
    if (a->allowed) x = forbid(a, x, -INFINITY);
    steps[BEHIND_MASK] = x;
    x = softmax(a, x);
    if (real && !(leaves_something(input(e, MASK)) && !a->empty)) x = clear_empty(a, x, mask);
    else if (a->allowed && a->empty) x = forbid(a, x, 0);
    steps[BEHIND_SOFTMAX] = x;
    octet_value *const shown = steps[a->attrs->qk_matmul_output_mode];
    if (e->node->output_count > 3 && e->node->outputs[3] && shown) {
        octet_value *const copy = OCTET_EXPAND(e, "Identity", shown);
        octet_expand_result(e, 3, copy);
    }
    return x;
}

static void count_places(attention *a, octet_value *q, octet_value *k)
{
    octet_value *const valid = input(a->e, VALID);
    a->queries = size_of(a->e, q, 2);
    a->keys = size_of(a->e, k, 2);
    if (valid) a->valid = octet_expand_reshape(a->e, valid, 4, (int64_t[]){-1, 1, 1, 1});
}

void octet_expand_attention(octet_expansion *e)
{
    const octet_attention_attrs *const attrs = e->node->attrs;
    attention a = {.e = e, .attrs = attrs, .dtype = input(e, Q)->dtype, .rows = input(e, Q)->rank == 3};
    a.heads = a.rows ? attrs->q_num_heads : input(e, Q)->dims[1];
    const int64_t shared = a.rows ? attrs->kv_num_heads : input(e, K)->dims[1];
    if (a.heads < 1 || shared < 1) {
        octet_expand_fail(e, "the number of heads must be known");
        return;
    }
    a.groups = a.heads / shared;
    octet_value *const q = as_heads(&a, Q, a.heads);
    octet_value *const k = with_past(&a, K, as_heads(&a, K, shared));
    octet_value *const v = with_past(&a, V, as_heads(&a, V, shared));
    count_places(&a, q, k);
    octet_value *const factor = number(e, a.dtype, scale_of(&a));
    octet_value *const scaled = OCTET_EXPAND(e, "Mul", stack(&a, q), factor);
    octet_value *const turned = octet_expand_transpose(e, k, 4, (int64_t[]){0, 1, 3, 2});
    octet_value *const scores = OCTET_EXPAND(e, "MatMul", scaled, turned);
    octet_value *const weights = weights_of(&a, unstack(&a, scores));
    octet_value       *y = OCTET_EXPAND(e, "MatMul", stack(&a, weights), v);
    y = unstack(&a, y);
    if (a.rows) {
        y = octet_expand_transpose(e, y, 4, (int64_t[]){0, 2, 1, 3});
        y = octet_expand_reshape(e, y, 3, (int64_t[]){0, 0, -1});
    }
    octet_expand_result(e, 0, y);
    octet_expand_result(e, 1, k);
    octet_expand_result(e, 2, v);
}

/* ---- RotaryEmbedding ---- */

/* Every step-th number of the last dimension of x, from begin to end. */
static octet_value *part(octet_expansion *e, octet_value *x, int64_t begin, int64_t end, int64_t step)
{
    octet_value *const starts = octet_expand_list(e, 1, &begin), *const ends = octet_expand_list(e, 1, &end);
    octet_value *const axes = octet_expand_list(e, 1, (int64_t[]){3}), *const steps = octet_expand_list(e, 1, &step);
    return OCTET_EXPAND(e, "Slice", x, starts, ends, axes, steps);
}

/* The cache of the places of x, with a dimension of one for the heads. */
static octet_value *cache_of(octet_expansion *e, int slot, bool rows)
{
    octet_value *cache = input(e, slot), *const places = input(e, 3);
    if (places) cache = OCTET_EXPAND(e, "Gather", cache, places);
    octet_value *const axis = octet_expand_list(e, 1, (int64_t[]){rows ? 2 : 1});
    return OCTET_EXPAND(e, "Unsqueeze", cache, axis);
}

/* a * b + c * d, or less */
static octet_value *of_products(octet_expansion *e, const char *op, octet_value *const x[2], octet_value *const by[2])
{
    octet_value *const one = OCTET_EXPAND(e, "Mul", x[0], by[0]), *const other = OCTET_EXPAND(e, "Mul", x[1], by[1]);
    return OCTET_EXPAND(e, op, one, other);
}

/* Real and imaginary parts beside each other again. */
static octet_value *pair_up(octet_expansion *e, octet_value *real, octet_value *imaginary)
{
    octet_value *const last = octet_expand_list(e, 1, (int64_t[]){-1});
    octet_value *const a = OCTET_EXPAND(e, "Unsqueeze", real, last);
    octet_value *const b = OCTET_EXPAND(e, "Unsqueeze", imaginary, last);
    octet_value *const pairs = OCTET_EXPAND(e, "Concat", a, b);
    octet_expand_int(e, "axis", -1);
    return octet_expand_reshape(e, pairs, 4, (int64_t[]){0, 0, 0, -1});
}

void octet_expand_rotary(octet_expansion *e)
{
    const octet_rotary_attrs *const attrs = e->node->attrs;
    octet_value                    *x = input(e, 0);
    const bool                      rows = x->rank == 3;
    const int64_t                   last = x->dims[x->rank - 1], size = rows ? last / attrs->num_heads : last;
    const int64_t                   turned = attrs->rotary_embedding_dim ? attrs->rotary_embedding_dim : size;
    if (last < 1) octet_expand_fail(e, "the size of a head must be known");
    if (rows) x = octet_expand_reshape(e, x, 4, (int64_t[]){0, 0, attrs->num_heads, -1});
    octet_value *const cosines = cache_of(e, 1, rows), *const sines = cache_of(e, 2, rows);
    const int64_t      half = turned / 2, step = attrs->interleaved ? 2 : 1;
    octet_value *const a = part(e, x, 0, attrs->interleaved ? turned : half, step);
    octet_value *const b = part(e, x, attrs->interleaved ? 1 : half, turned, step);
    octet_value *const both[] = {a, b};
    octet_value *const real = of_products(e, "Sub", both, (octet_value *const[]){cosines, sines});
    octet_value *const imaginary = of_products(e, "Add", both, (octet_value *const[]){sines, cosines});
    octet_value *const rest = turned < size ? part(e, x, turned, size, 1) : NULL;
    octet_value       *y;
    if (attrs->interleaved) y = pair_up(e, real, imaginary);
    else y = rest ? OCTET_EXPAND(e, "Concat", real, imaginary, rest) : OCTET_EXPAND(e, "Concat", real, imaginary);
    if (!attrs->interleaved) octet_expand_int(e, "axis", 3);
    else if (rest) {
        y = OCTET_EXPAND(e, "Concat", y, rest);
        octet_expand_int(e, "axis", 3);
    }
    if (rows) y = octet_expand_reshape(e, y, 3, (int64_t[]){0, 0, -1});
    octet_expand_result(e, 0, y);
}
