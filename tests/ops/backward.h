/* SPDX-License-Identifier: Apache-2.0 */
/* A backward call from a row of backward_cases.h, and comparing what it gives. */
#ifndef OCTET_TESTS_OPS_BACKWARD_H
#define OCTET_TESTS_OPS_BACKWARD_H

#include "ops/case.h"

#include "ops/backward_cases.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- a call from its row ---- */

/* Values from a random permutation: no two are near each other, none is near 0. All are exact in float32. */
static inline void fill(op_case *c, const octet_tensor *t, double lo, double hi)
{
    const int64_t count = octet_tensor_count(t);
    int64_t      *order = octet_arena_alloc(c->arena, (size_t)count + 1, sizeof *order);
    for (int64_t i = 0; i < count; i++) {
        const int64_t j = case_between(c, 0, (int)i);
        order[i] = order[j];
        order[j] = i;
    }
    for (int64_t i = 0; i < count; i++) {
        const float value = (float)(lo + (hi - lo) * ((double)order[i] + 0.37) / (double)count);
        if (t->dtype == OCTET_F64)
            ((double *)t->data)[i] = (double)value;
        else
            ((float *)t->data)[i] = value;
    }
}

static inline double value_at(const octet_tensor *t, int64_t i)
{
    return t->dtype == OCTET_F64 ? ((const double *)t->data)[i] : (double)((const float *)t->data)[i];
}

static inline void set_value(const octet_tensor *t, int64_t i, double value)
{
    if (t->dtype == OCTET_F64)
        ((double *)t->data)[i] = value;
    else
        ((float *)t->data)[i] = (float)value;
}

/* "1,-2.5,3" -> list; returns how many. */
static inline int read_list(double *list, const char *text)
{
    int count = 0;
    for (char *end = NULL; *text && *text != ']'; text = *end == ',' ? end + 1 : end)
        list[count++] = strtod(text, &end);
    return count;
}

static inline void add_floats(op_case *c, octet_dtype dtype, const char *text, bool scalar)
{
    double        list[16];
    const int     count = read_list(list, text);
    octet_tensor *t = case_input(c, dtype, scalar ? DIMS(-1) : DIMS(count));
    for (int i = 0; i < count; i++) set_value(t, i, list[i]);
}

static inline void add_int32s(op_case *c, const char *text)
{
    double        list[16];
    const int     count = read_list(list, text);
    octet_tensor *t = case_input(c, OCTET_I32, DIMS(count));
    for (int i = 0; i < count; i++) ((int32_t *)t->data)[i] = (int32_t)list[i];
}

static inline void add_ints(op_case *c, const char *text, bool scalar)
{
    double        list[16];
    const int     count = read_list(list, text);
    octet_tensor *t = case_input(c, OCTET_I64, scalar ? DIMS(-1) : DIMS(count));
    for (int i = 0; i < count; i++) ((int64_t *)t->data)[i] = (int64_t)list[i];
}

/* Numbers between lo and hi; text is the shape. */
static inline void add_random(op_case *c, octet_dtype dtype, const char *text, double lo, double hi)
{
    int64_t dims[OCTET_MAX_RANK + 1];
    int     rank = 0;
    for (char *end = NULL; *text && *text != 's'; text = *end == 'x' ? end + 1 : end)
        dims[rank++] = strtoll(text, &end, 10);
    dims[rank] = -1;
    const octet_tensor *t = case_input(c, dtype, dims);
    fill(c, t, lo, hi);
}

/* Bools, none of them alone. */
static inline void add_bools(op_case *c, const char *text)
{
    add_random(c, OCTET_F32, text, -4.0, 4.0);
    octet_tensor *t = &c->in[c->call.in_count - 1];
    for (int64_t i = 0; i < octet_tensor_count(t); i++) {
        float value;
        memcpy(&value, (char *)t->data + i * 4, sizeof value);
        ((uint8_t *)t->data)[i] = value > 0;
    }
    t->dtype = OCTET_BOOL;
}

/* Indices: every third number. */
static inline void add_indices(op_case *c, const char *text)
{
    add_random(c, OCTET_F64, text, -4.0, 4.0);
    octet_tensor *const t = &c->in[c->call.in_count - 1];
    t->dtype = OCTET_I64;
    for (int64_t i = 0; i < octet_tensor_count(t); i++) ((int64_t *)t->data)[i] = 3 * i;
}

static inline void add_input(op_case *c, octet_dtype dtype, const char *word)
{
    switch (*word) {
    case '-': case_absent(c); break;
    case '=': add_floats(c, dtype, word + 1, true); break;
    case '[': add_ints(c, word + 1, false); break;
    case '#': add_ints(c, word + 1, true); break;
    case 'i': add_int32s(c, word + 2); break;
    case '%': add_indices(c, word + 1); break;
    case 'f': add_floats(c, OCTET_F32, word + 2, false); break;
    case '?': add_bools(c, word + 1); break;
    case '+': add_random(c, dtype, word + 1, 0.5, 2.0); break;
    case '~': add_random(c, dtype, word + 1, -0.9, 0.9); break;
    case '^': add_random(c, dtype, word + 1, 1.2, 3.0); break;
    default: add_random(c, dtype, word, -4.0, 4.0);
    }
}

static inline void set_attribute(op_case *c, const char *name, const char *text)
{
    double            list[16];
    int64_t           ints[16];
    const octet_attr *row = c->node.op->attrs;
    while (strcmp(row->name, name) != 0) row++;
    if (row->kind == OCTET_ATTR_STRING) {
        case_set_string(c, name, octet_arena_copy(c->arena, text));
        return;
    }
    if (row->kind == OCTET_ATTR_STRINGS) {
        case_set_strings(c, name, text);
        return;
    }
    const int count = read_list(list, text);
    for (int i = 0; i < count; i++) ints[i] = (int64_t)list[i];
    if (row->kind == OCTET_ATTR_INTS) case_set_ints(c, name, count, ints);
    if (row->kind == OCTET_ATTR_INT) case_set_int(c, name, ints[0]);
    if (row->kind == OCTET_ATTR_FLOAT) *(float *)case_attr(c, name) = (float)list[0];
}

/* Inputs and attributes, not yet inferred. */
static inline void build(op_case *c, const backward_case *row, octet_dtype dtype)
{
    char  text[256], *rest = NULL;
    case_begin(c, row->op, 7);
    snprintf(text, sizeof text, "%s", row->inputs);
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) add_input(c, dtype, word);
    snprintf(text, sizeof text, "%s", row->attrs);
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *const equals = strchr(word, '=');
        *equals = 0;
        set_attribute(c, word, equals + 1);
    }
}

static inline void begin(op_case *c, const backward_case *row, octet_dtype dtype)
{
    build(c, row, dtype);
    case_prepare(c, row->outputs ? row->outputs : 1, NULL, false);
}

/* ---- one backward call ---- */

typedef struct gradients {
    octet_tensor dout[CASE_MAX], din[CASE_MAX];
} gradients;

static inline bool is_real(const octet_tensor *t) { return t && (t->dtype == OCTET_F32 || t->dtype == OCTET_F64); }

static inline bool is_fixed(const op_case *c, int i) { return c->node.op->fixed_inputs >> i & 1; }

static inline bool has_gradient(const op_case *c, int i) { return c->inputs[i] && !is_fixed(c, i); }

static inline void new_gradients(op_case *c, gradients *g)
{
    for (int i = 0; i < c->call.out_count; i++) {
        g->dout[i] = c->out[i];
        if (!is_real(&c->out[i])) continue;
        const int64_t count = octet_tensor_count(&g->dout[i]);
        g->dout[i].data = octet_arena_alloc(c->arena, (size_t)count + 1, octet_dtype_size(g->dout[i].dtype));
        for (int64_t k = 0; k < count; k++) set_value(&g->dout[i], k, (double)case_real(c));
    }
    for (int i = 0; i < c->call.in_count; i++) {
        if (!c->inputs[i]) continue;
        g->din[i] = c->in[i];
        if (!is_real(&g->din[i])) g->din[i].dtype = c->out[0].dtype;
        const size_t count = (size_t)octet_tensor_count(&g->din[i]);
        g->din[i].data = octet_arena_alloc(c->arena, count + 1, octet_dtype_size(g->din[i].dtype));
    }
}

/* Bits of the outputs and inputs that take part; what every gradient is before the call. */
typedef struct request {
    unsigned outputs, inputs;
    double   start;
} request;

static const request all = { ~0u, ~0u, 0.0 };

static inline octet_status call_backward(op_case *c, gradients *g, const request *r)
{
    enum { GUARD = 64 };
    const octet_op     *op = c->node.op;
    const size_t        bytes = op->backward_scratch ? op->backward_scratch(&c->call) : 0;
    octet_backward_call call = { .forward = &c->call, .scratch = octet_arena_alloc(c->arena, bytes + GUARD, 1) };
    const octet_tensor *dout[CASE_MAX] = { 0 };
    octet_tensor       *din[CASE_MAX] = { 0 };
    void               *data[CASE_MAX];
    unsigned char      *guard = (unsigned char *)call.scratch + bytes;
    memset(call.scratch, 0xa5, bytes + GUARD);
    for (int i = 0; i < c->call.out_count; i++) {
        if (r->outputs >> i & 1 && is_real(&c->out[i])) dout[i] = &g->dout[i];
        data[i] = c->out[i].data;
        c->out[i].data = NULL; /* backward does not read it */
    }
    for (int i = 0; i < c->call.in_count; i++) {
        if (!c->inputs[i]) continue;
        for (int64_t k = 0; k < octet_tensor_count(&g->din[i]); k++) set_value(&g->din[i], k, r->start);
        if (r->inputs >> i & 1 || is_fixed(c, i)) din[i] = &g->din[i];
    }
    call.dout = dout;
    call.din = din;
    const octet_status status = op->backward(&call, &c->err);
    for (int i = 0; i < GUARD; i++) assert_int_equal(guard[i], 0xa5);
    for (int i = 0; i < c->call.out_count; i++) c->out[i].data = data[i];
    return status;
}

static inline void run_backward(op_case *c, gradients *g, const request *r)
{
    if (call_backward(c, g, r) != OCTET_OK) fail_msg("%s: %s %s", c->node.op->name, c->err.field, c->err.text);
}

/* ---- comparing ---- */

static inline double largest(const octet_tensor *t)
{
    double most = 0;
    for (int64_t k = 0; k < octet_tensor_count(t); k++) most = fmax(most, fabs(value_at(t, k)));
    return most;
}

/* a[i] + shift = b[i] within tolerance of the tensor's magnitude. */
static inline void expect_near(const backward_case *row, const octet_tensor *a, double shift, const octet_tensor *b,
                        double tolerance)
{
    const double limit = tolerance * (1.0 + largest(b));
    assert_int_equal(octet_tensor_count(a), octet_tensor_count(b));
    for (int64_t k = 0; k < octet_tensor_count(b); k++)
        if (!(fabs(value_at(a, k) + shift - value_at(b, k)) <= limit))
            fail_msg("%s (%s; %s)[%ld]: %.9g, not %.9g", row->op, row->inputs, row->attrs, (long)k,
                     value_at(a, k) + shift, value_at(b, k));
}

static inline void expect_all(const backward_case *row, const octet_tensor *t, double value)
{
    for (int64_t k = 0; k < octet_tensor_count(t); k++)
        if (value_at(t, k) != value) fail_msg("%s (%s; %s) wrote a gradient", row->op, row->inputs, row->attrs);
}

static inline void expect_same(const backward_case *row, const octet_tensor *a, const octet_tensor *b)
{
    const int64_t bytes = octet_tensor_bytes(a);
    if (bytes != octet_tensor_bytes(b) || (bytes > 0 && memcmp(a->data, b->data, (size_t)bytes) != 0))
        fail_msg("%s (%s; %s): other bytes", row->op, row->inputs, row->attrs);
}

#endif
