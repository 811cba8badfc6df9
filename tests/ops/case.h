/* SPDX-License-Identifier: Apache-2.0 */
/* One operator call made by hand, without a graph: a fake node, tensors, attributes at their defaults. A case infers,
   allocates its outputs and scratch, and runs. */
#ifndef OCTET_TESTS_OPS_CASE_H
#define OCTET_TESTS_OPS_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "ops/profile.h"

#include <math.h>
#include <string.h>

enum { CASE_MAX = 8 };

typedef struct op_case {
    octet_arena        *arena;
    octet_node          node;
    octet_tensor        in[CASE_MAX], out[CASE_MAX];
    const octet_tensor *inputs[CASE_MAX];
    octet_tensor       *outputs[CASE_MAX];
    octet_call          call;
    octet_error         err;
    uint64_t            random;
} op_case;

static inline void case_defaults(void *attrs, const octet_attr *row)
{
    for (; row && row->kind != OCTET_ATTR_END; row++) {
        char *const at = (char *)attrs + row->offset;
        if (row->kind == OCTET_ATTR_INT) memcpy(at, &row->default_i, sizeof row->default_i);
        if (row->kind == OCTET_ATTR_FLOAT) memcpy(at, &row->default_f, sizeof row->default_f);
        if (row->kind == OCTET_ATTR_STRING) memcpy(at, &row->default_s, sizeof row->default_s);
    }
}

static inline void case_begin(op_case *c, const char *op, uint64_t seed)
{
    *c = (op_case){ .arena = octet_arena_new(), .random = seed * 2654435761u + 12345 };
    c->node.name = "case";
    c->node.op = octet_op_find(op, NULL);
    assert_non_null(c->node.op);
    c->node.attrs = octet_arena_alloc(c->arena, 1, c->node.op->attrs_size + 1);
    case_defaults(c->node.attrs, c->node.op->attrs);
    c->call = (octet_call){ .node = &c->node, .attrs = c->node.attrs, .in = c->inputs, .out = c->outputs,
                            .arena = c->arena, .threads = 1, .profile = &octet_profile_octet };
}

static inline void case_end(op_case *c) { octet_arena_free(c->arena); }

static inline uint32_t case_random(op_case *c)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return (uint32_t)(c->random >> 32);
}

/* Uniform in lo..hi. */
static inline int case_between(op_case *c, int lo, int hi)
{
    return lo + (int)(case_random(c) % (uint32_t)(hi - lo + 1));
}

static inline float case_real(op_case *c) { return (float)case_between(c, -100000, 100000) / 65536.0f; }

/* Adds an input of dtype and dims (ended by -1), zeroed; returns it. */
static inline octet_tensor *case_input(op_case *c, octet_dtype dtype, const int64_t *dims)
{
    const int     index = c->call.in_count++;
    octet_tensor *t = &c->in[index];
    *t = (octet_tensor){ .dtype = dtype };
    while (dims[t->rank] >= 0) {
        t->dims[t->rank] = dims[t->rank];
        t->rank++;
    }
    t->data = octet_arena_alloc(c->arena, (size_t)octet_tensor_count(t) + 1, octet_dtype_size(dtype));
    c->inputs[index] = t;
    return t;
}

#define DIMS(...) ((const int64_t[]){ __VA_ARGS__, -1 })

static inline octet_tensor *case_random_f32(op_case *c, const int64_t *dims)
{
    octet_tensor *t = case_input(c, OCTET_F32, dims);
    for (int64_t i = 0; i < octet_tensor_count(t); i++) ((float *)t->data)[i] = case_real(c);
    return t;
}

static inline const octet_qparams *case_qparams(op_case *c, octet_dtype dtype, int qmin, int qmax, int64_t count,
                                                int axis)
{
    octet_qparams *q = octet_arena_alloc(c->arena, 1, sizeof *q);
    float         *scale = octet_arena_alloc(c->arena, (size_t)count, sizeof *scale);
    int32_t       *zero = octet_arena_alloc(c->arena, (size_t)count, sizeof *zero);
    for (int64_t i = 0; i < count; i++) {
        scale[i] = 0.001f + (float)case_between(c, 0, 1000) / 20000.0f;
        zero[i] = case_between(c, qmin, qmax);
    }
    *q = (octet_qparams){ .scale = scale, .zero_point = zero, .count = count, .axis = axis, .dtype = dtype,
                          .qmin = qmin, .qmax = qmax };
    return q;
}

static inline int32_t case_level(const octet_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case OCTET_U8: return ((const uint8_t *)t->data)[i];
    case OCTET_I8: return ((const int8_t *)t->data)[i];
    case OCTET_U16: return ((const uint16_t *)t->data)[i];
    case OCTET_I16: return ((const int16_t *)t->data)[i];
    default: return ((const int32_t *)t->data)[i];
    }
}

static inline void case_set_level(octet_tensor *t, int64_t i, int32_t level)
{
    switch (t->dtype) {
    case OCTET_U8: ((uint8_t *)t->data)[i] = (uint8_t)level; break;
    case OCTET_I8: ((int8_t *)t->data)[i] = (int8_t)level; break;
    case OCTET_U16: ((uint16_t *)t->data)[i] = (uint16_t)level; break;
    case OCTET_I16: ((int16_t *)t->data)[i] = (int16_t)level; break;
    default: ((int32_t *)t->data)[i] = level;
    }
}

/* Adds an input of random levels with random parameters; count scales along axis. */
static inline octet_tensor *case_random_levels(op_case *c, octet_dtype dtype, const int64_t *dims, int64_t count,
                                               int axis)
{
    static const int lows[OCTET_DTYPE_COUNT] = { [OCTET_I8] = -128, [OCTET_I16] = -32768 };
    static const int highs[OCTET_DTYPE_COUNT] = { [OCTET_I8] = 127, [OCTET_U8] = 255, [OCTET_I16] = 32767,
                                                  [OCTET_U16] = 65535 };
    octet_tensor *t = case_input(c, dtype, dims);
    t->qparams = case_qparams(c, dtype, lows[dtype], highs[dtype], count, axis);
    for (int64_t i = 0; i < octet_tensor_count(t); i++)
        case_set_level(t, i, case_between(c, lows[dtype], highs[dtype]));
    return t;
}

/* Adds an int64 input of one dimension, or a scalar where count is 0. */
static inline octet_tensor *case_ints(op_case *c, int count, const int64_t *values)
{
    octet_tensor *t = case_input(c, OCTET_I64, count ? DIMS(count) : DIMS(-1));
    memcpy(t->data, values, (size_t)(count ? count : 1) * sizeof *values);
    return t;
}

#define INTS(c, ...) \
    case_ints(c, (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (int64_t[]){ __VA_ARGS__ })

/* Leaves an optional input out. */
static inline void case_absent(op_case *c) { c->inputs[c->call.in_count++] = NULL; }

/* Where an attribute lies. */
static inline void *case_attr(op_case *c, const char *name)
{
    const octet_attr *row = c->node.op->attrs;
    while (strcmp(row->name, name) != 0) row++;
    return (char *)c->node.attrs + row->offset;
}

static inline void case_set_int(op_case *c, const char *name, int64_t value)
{
    *(int64_t *)case_attr(c, name) = value;
}

static inline void case_set_string(op_case *c, const char *name, const char *value)
{
    *(const char **)case_attr(c, name) = value;
}

/* Of a comma separated list. */
static inline void case_set_strings(op_case *c, const char *name, const char *text)
{
    octet_strings *list = case_attr(c, name);
    const char   **at = octet_arena_alloc(c->arena, strlen(text) + 1, sizeof *at);
    char          *copy = octet_arena_copy_bytes(c->arena, text, strlen(text) + 1), *rest = NULL;
    list->count = 0;
    list->at = at;
    for (char *word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) at[list->count++] = word;
}

static inline void case_set_ints(op_case *c, const char *name, int count, const int64_t *values)
{
    octet_ints *list = case_attr(c, name);
    list->count = count;
    memcpy(list->at, values, (size_t)count * sizeof *values);
}

/* clamp(rne(t) + zero_point) */
static inline int32_t case_round(float t, const octet_qparams *to)
{
    const double level = nearbyint((double)t) + to->zero_point[0];
    return (int32_t)(level < to->qmin ? to->qmin : level > to->qmax ? to->qmax : level);
}

/* Adds the bias of inputs 0 and 1, as levels of the product of their scales; w's scales may run along channels. */
static inline octet_tensor *case_bias(op_case *c, int64_t channels, int most)
{
    octet_tensor        *t = case_input(c, OCTET_I32, DIMS(channels));
    const octet_qparams *x = c->in[0].qparams, *w = c->in[1].qparams;
    octet_qparams       *q = octet_arena_alloc(c->arena, 1, sizeof *q);
    float               *scale = octet_arena_alloc(c->arena, (size_t)w->count, sizeof *scale);
    for (int64_t i = 0; i < w->count; i++) scale[i] = (float)((double)x->scale[0] * (double)w->scale[i]);
    *q = (octet_qparams){ .scale = scale, .count = w->count, .dtype = OCTET_I32, .qmin = INT32_MIN, .qmax = INT32_MAX,
                          .zero_point = octet_arena_alloc(c->arena, (size_t)w->count, sizeof(int32_t)) };
    for (int64_t i = 0; i < channels; i++) ((int32_t *)t->data)[i] = case_between(c, -most, most);
    t->qparams = q;
    return t;
}

/* Infers with outputs outputs. */
static inline octet_status case_infer(op_case *c, int outputs)
{
    c->call.out_count = outputs;
    for (int i = 0; i < outputs; i++) c->outputs[i] = &c->out[i];
    return c->node.op->infer(&c->call, &c->err);
}

/* Infers and allocates. integer outputs get dtype and qparams (NULL: they stay real). */
static inline void case_prepare(op_case *c, int outputs, const octet_qparams *qparams, bool integer)
{
    const octet_dtype types[CASE_MAX] = { c->in[0].dtype, c->in[1].dtype, c->in[2].dtype };
    for (int i = 0; integer && i < c->call.in_count; i++) /* infer sees real types */
        if (c->in[i].qparams) c->in[i].dtype = OCTET_F32;
    if (case_infer(c, outputs) != OCTET_OK) fail_msg("%s: %s", c->err.field, c->err.text);
    for (int i = 0; integer && i < c->call.in_count && i < 3; i++) c->in[i].dtype = types[i];
    for (int i = 0; i < outputs; i++) {
        if (qparams && i == 0) {
            c->out[i].dtype = qparams->dtype;
            c->out[i].qparams = qparams;
        }
        c->out[i].data =
            octet_arena_alloc(c->arena, (size_t)octet_tensor_count(&c->out[i]) + 1, octet_dtype_size(c->out[i].dtype));
    }
    const size_t scratch = c->node.op->scratch_size ? c->node.op->scratch_size(&c->call, integer) : 0;
    c->call.scratch = octet_arena_alloc(c->arena, scratch + 1, 1);
}

static inline void case_run(op_case *c, bool integer)
{
    const octet_forward forward = integer ? c->node.op->forward_integer : c->node.op->forward;
    if (forward(&c->call, &c->err) != OCTET_OK) fail_msg("%s", c->err.text);
}

static inline double case_rne(double x) { return nearbyint(x); }

/* clamp(rne(f32(f32(acc) * m)) + zp), section 2. */
static inline int32_t case_requantize(int64_t acc, double in_scale, double weight_scale, const octet_qparams *to)
{
    const float m = (float)(in_scale * weight_scale / to->scale[0]), t = (float)acc * m;
    double      level = case_rne(t) + to->zero_point[0];
    if (level < to->qmin) level = to->qmin;
    if (level > to->qmax) level = to->qmax;
    return (int32_t)level;
}

#endif
