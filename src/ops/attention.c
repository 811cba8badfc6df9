/* SPDX-License-Identifier: Apache-2.0 */
/* Attention, RotaryEmbedding and SwiGLU as files have them. Nothing runs them: the reader puts what they are made of in
   their place (onnx/expand.c), and may believe every shape that has been checked here. */
#include "ops/attrs.h"
#include "ops/check.h"

#include <string.h>

/* ---- Attention: Q, K, V, attn_mask, past_key, past_value, nonpad_kv_seqlen. Results: Y, present_key, present_value,
   what the mode says of the scores ---- */

enum { MASK = 3, PAST_KEY = 4, PAST_VALUE = 5, VALID = 6 };

static const octet_attr attention_rows[] = {
    {.name = "is_causal", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_attention_attrs, is_causal), .max = 1},
    {.name = "kv_num_heads", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_attention_attrs, kv_num_heads),
     .max = INT32_MAX},
    {.name = "left_window_size", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_attention_attrs, left_window_size),
     .default_i = -1, .min = -1, .max = INT32_MAX, .since = 25},
    {.name = "q_num_heads", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_attention_attrs, q_num_heads),
     .max = INT32_MAX},
    {.name = "qk_matmul_output_mode", .kind = OCTET_ATTR_INT,
     .offset = offsetof(octet_attention_attrs, qk_matmul_output_mode), .max = 3},
    {.name = "right_window_size", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_attention_attrs, right_window_size),
     .default_i = -1, .min = -1, .max = INT32_MAX, .since = 25},
    {.name = "scale", .kind = OCTET_ATTR_FLOAT, .offset = offsetof(octet_attention_attrs, scale)},
    {.name = "softcap", .kind = OCTET_ATTR_FLOAT, .offset = offsetof(octet_attention_attrs, softcap)},
    {.name = "softmax_precision", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_attention_attrs, softmax_precision),
     .max = 16},
    {.kind = OCTET_ATTR_END},
};

/* Sizes of one call: everything has four dimensions here. */
typedef struct attention {
    int64_t batch, q_heads, heads, queries, keys, total, size, value_size;
} attention;

/* Batch, heads, length and size of a head of Q, K or V. heads: of the attribute, where there are three dimensions. */
static octet_status read_heads(int64_t dims[4], const octet_call *call, int slot, int64_t heads, const char *field,
                               octet_error *err)
{
    const octet_tensor *const t = call->in[slot];
    if (t->rank != call->in[0]->rank || t->rank < 3 || t->rank > 4)
        return octet_fail(err, OCTET_ERR_SHAPE, "input %d has %d dimensions, need 3 or 4, as Q has", slot, t->rank);
    OCTET_TRY(octet_check_same_type(call, slot, slot == 1 ? "K" : "V", err));
    if (t->rank == 4) {
        if (heads) return octet_fail_field(err, OCTET_ERR_SHAPE, field, "given for an input of four dimensions");
        memcpy(dims, t->dims, 4 * sizeof *dims);
        return OCTET_OK;
    }
    if (heads < 1 || t->dims[2] % heads != 0)
        return octet_fail_field(err, OCTET_ERR_SHAPE, field, "%lld heads of %lld numbers", (long long)heads,
                                (long long)t->dims[2]);
    dims[0] = t->dims[0], dims[1] = heads, dims[2] = t->dims[1], dims[3] = t->dims[2] / heads;
    return OCTET_OK;
}

static octet_status read_past(attention *a, const octet_call *call, octet_error *err)
{
    const bool key = octet_has_input(call, PAST_KEY), value = octet_has_input(call, PAST_VALUE);
    a->total = a->keys;
    if (key != value) return octet_fail(err, OCTET_ERR_SHAPE, "past_key and past_value come together");
    if (!key) return OCTET_OK;
    for (int slot = PAST_KEY; slot <= PAST_VALUE; slot++) {
        const octet_tensor *const t = call->in[slot];
        const int64_t             size = slot == PAST_KEY ? a->size : a->value_size;
        OCTET_TRY(octet_check_same_type(call, slot, slot == PAST_KEY ? "past_key" : "past_value", err));
        if (t->rank != 4 || t->dims[0] != a->batch || t->dims[1] != a->heads || t->dims[3] != size ||
            t->dims[2] != call->in[PAST_KEY]->dims[2])
            return octet_fail_field(err, OCTET_ERR_SHAPE, slot == PAST_KEY ? "past_key" : "past_value",
                                    "does not have the shape of what it precedes");
    }
    a->total += call->in[PAST_KEY]->dims[2];
    return OCTET_OK;
}

/* A mask is stretched to batch, heads, queries and keys; of the last it may have fewer, but not one for many. */
static octet_status check_mask(const attention *a, const octet_call *call, octet_error *err)
{
    const octet_tensor *const mask = octet_has_input(call, MASK) ? call->in[MASK] : NULL;
    const int64_t             full[4] = {a->batch, a->q_heads, a->queries, a->total};
    if (!mask) return OCTET_OK;
    if (mask->dtype != OCTET_BOOL) OCTET_TRY(octet_check_same_type(call, MASK, "attn_mask", err));
    bool fits = mask->rank >= 1 && mask->rank <= 4;
    for (int i = 0; fits && i < mask->rank; i++) {
        const int64_t have = mask->dims[i], need = full[4 - mask->rank + i];
        fits = i == mask->rank - 1 ? have <= need : have == need || have == 1;
    }
    return fits ? OCTET_OK : octet_fail_field(err, OCTET_ERR_SHAPE, "attn_mask", "cannot be stretched to the scores");
}

static octet_status check_valid(const attention *a, const octet_call *call, octet_error *err)
{
    if (!octet_has_input(call, VALID)) return OCTET_OK;
    const octet_tensor *const valid = call->in[VALID];
    if (octet_has_input(call, PAST_KEY))
        return octet_fail_field(err, OCTET_ERR_SHAPE, "nonpad_kv_seqlen", "does not go with past_key");
    if (valid->dtype != OCTET_I64 || valid->rank != 1 || valid->dims[0] != a->batch)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "nonpad_kv_seqlen", "one int64 for each sample is needed");
    return OCTET_OK;
}

static octet_status read_sizes(attention *a, const octet_call *call, octet_error *err)
{
    const octet_attention_attrs *const attrs = call->attrs;
    int64_t                            q[4], k[4], v[4];
    OCTET_TRY(read_heads(q, call, 0, attrs->q_num_heads, "q_num_heads", err));
    OCTET_TRY(read_heads(k, call, 1, attrs->kv_num_heads, "kv_num_heads", err));
    OCTET_TRY(read_heads(v, call, 2, attrs->kv_num_heads, "kv_num_heads", err));
    *a = (attention){q[0], q[1], k[1], q[2], k[2], 0, q[3], v[3]};
    if (k[0] != q[0] || v[0] != q[0] || v[1] != k[1] || v[2] != k[2] || k[3] != q[3])
        return octet_fail(err, OCTET_ERR_SHAPE, "the shapes of Q, K and V do not fit together");
    if (a->heads < 1 || a->q_heads < 1 || a->q_heads % a->heads != 0 || a->size < 1)
        return octet_fail(err, OCTET_ERR_SHAPE, "%lld heads of Q and %lld of K and V", (long long)a->q_heads,
                          (long long)a->heads);
    OCTET_TRY(read_past(a, call, err));
    OCTET_TRY(check_mask(a, call, err));
    return check_valid(a, call, err);
}

static octet_status check_numbers(const octet_attention_attrs *attrs, octet_error *err)
{
    const int64_t to = attrs->softmax_precision;
    if (attrs->scale < 0.0f) return octet_fail_field(err, OCTET_ERR_FORMAT, "scale", "is below zero");
    if (attrs->softcap < 0.0f) return octet_fail_field(err, OCTET_ERR_FORMAT, "softcap", "is below zero");
    if (to == 0 || to == 1 || to == 10 || to == 11 || to == 16) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_FORMAT, "softmax_precision", "%lld is no floating type", (long long)to);
}

static octet_status attention_infer(const octet_call *call, octet_error *err)
{
    const octet_dtype         dtype = call->in[0]->dtype;
    const octet_tensor *const q = call->in[0];
    attention                 a;
    OCTET_TRY(check_numbers(call->attrs, err));
    OCTET_TRY(read_sizes(&a, call, err));
    const int64_t rows[] = {a.batch, a.queries, a.q_heads * a.value_size};
    const int64_t heads[] = {a.batch, a.q_heads, a.queries, a.value_size};
    const int64_t key[] = {a.batch, a.heads, a.total, a.size}, value[] = {a.batch, a.heads, a.total, a.value_size};
    const int64_t scores[] = {a.batch, a.q_heads, a.queries, a.total};
    OCTET_TRY(octet_set_output(call->out[0], dtype, q->rank == 3 ? rows : heads, q->rank, err));
    if (octet_has_output(call, 1)) OCTET_TRY(octet_set_output(call->out[1], dtype, key, 4, err));
    if (octet_has_output(call, 2)) OCTET_TRY(octet_set_output(call->out[2], dtype, value, 4, err));
    return octet_has_output(call, 3) ? octet_set_output(call->out[3], dtype, scores, 4, err) : OCTET_OK;
}

const octet_op octet_op_attention = {
    .name = "Attention",
    .since = 24,
    .min_inputs = 3,
    .max_inputs = 7,
    .min_outputs = 1,
    .max_outputs = 4,
    .types = OCTET_TYPES_FLOAT,
    .attrs = attention_rows,
    .attrs_size = sizeof(octet_attention_attrs),
    .infer = attention_infer,
};

/* ---- RotaryEmbedding: X, cos_cache, sin_cache, position_ids ---- */

static const octet_attr rotary_rows[] = {
    {.name = "interleaved", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_rotary_attrs, interleaved), .max = 1},
    {.name = "num_heads", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_rotary_attrs, num_heads), .max = INT32_MAX},
    {.name = "rotary_embedding_dim", .kind = OCTET_ATTR_INT,
     .offset = offsetof(octet_rotary_attrs, rotary_embedding_dim), .max = INT32_MAX},
    {.kind = OCTET_ATTR_END},
};

/* A cache has a row for each position of each sample, or, where these are given, for each that is possible. */
static octet_status check_cache(const octet_call *call, int slot, int64_t length, int64_t pairs, octet_error *err)
{
    const octet_tensor *const t = call->in[slot];
    const char *const         name = slot == 1 ? "cos_cache" : "sin_cache";
    const bool                chosen = octet_has_input(call, 3);
    OCTET_TRY(octet_check_same_type(call, slot, name, err));
    const bool fits = t->rank == (chosen ? 2 : 3) && t->dims[t->rank - 1] == pairs;
    if (!fits || (!chosen && (t->dims[0] != call->in[0]->dims[0] || t->dims[1] != length)))
        return octet_fail_field(err, OCTET_ERR_SHAPE, name, "does not have the shape that input 0 asks for");
    return OCTET_OK;
}

static octet_status check_positions(const octet_call *call, int64_t length, octet_error *err)
{
    const octet_tensor *const ids = octet_has_input(call, 3) ? call->in[3] : NULL;
    if (!ids) return OCTET_OK;
    if (ids->dtype != OCTET_I64 || ids->rank != 2 || ids->dims[0] != call->in[0]->dims[0] || ids->dims[1] != length)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "position_ids", "one int64 for each position is needed");
    return OCTET_OK;
}

static octet_status rotary_infer(const octet_call *call, octet_error *err)
{
    const octet_rotary_attrs *const attrs = call->attrs;
    const octet_tensor *const       x = call->in[0];
    if (x->rank < 3 || x->rank > 4)
        return octet_fail(err, OCTET_ERR_SHAPE, "input 0 has %d dimensions, need 3 or 4", x->rank);
    const int64_t heads = x->rank == 4 ? x->dims[1] : attrs->num_heads, last = x->dims[x->rank - 1];
    if (x->rank == 3 && (heads < 1 || last % heads != 0))
        return octet_fail_field(err, OCTET_ERR_SHAPE, "num_heads", "%lld heads of %lld numbers", (long long)heads,
                                (long long)last);
    const int64_t size = x->rank == 4 ? last : last / heads, length = x->dims[x->rank - 2];
    const int64_t turned = attrs->rotary_embedding_dim ? attrs->rotary_embedding_dim : size;
    if (turned > size || turned % 2 != 0)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "rotary_embedding_dim", "%lld of %lld, need an even number",
                                (long long)turned, (long long)size);
    OCTET_TRY(check_cache(call, 1, length, turned / 2, err));
    OCTET_TRY(check_cache(call, 2, length, turned / 2, err));
    OCTET_TRY(check_positions(call, length, err));
    return octet_infer_same(call, err);
}

const octet_op octet_op_rotary_embedding = {
    .name = "RotaryEmbedding",
    .since = 23,
    .min_inputs = 3,
    .max_inputs = 4,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_FLOAT,
    .attrs = rotary_rows,
    .attrs_size = sizeof(octet_rotary_attrs),
    .infer = rotary_infer,
};

/* ---- SwiGLU: gate, value ---- */

typedef struct swi_glu_attrs {
    float alpha;
} swi_glu_attrs;

static const octet_attr swi_glu_rows[] = {
    {.name = "alpha", .kind = OCTET_ATTR_FLOAT, .offset = offsetof(swi_glu_attrs, alpha), .default_f = 1.0f},
    {.kind = OCTET_ATTR_END},
};

static octet_status swi_glu_infer(const octet_call *call, octet_error *err)
{
    OCTET_TRY(octet_check_same_type(call, 1, "B", err));
    if (!octet_same_dims(call->in[0], call->in[1]))
        return octet_fail_field(err, OCTET_ERR_SHAPE, "B", "the shapes of both inputs differ");
    return octet_infer_same(call, err);
}

const octet_op octet_op_swi_glu = {
    .name = "SwiGLU",
    .since = 28,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_FLOAT,
    .attrs = swi_glu_rows,
    .attrs_size = sizeof(swi_glu_attrs),
    .infer = swi_glu_infer,
};
