/* SPDX-License-Identifier: Apache-2.0 */
/* Einsum of any number of operands: every label of the equation is an axis of one big loop; each operand and the result
   have a step along every axis (0: they do not go along; the sum of steps where a label repeats: the diagonal). Labels
   of the result come first, those that are summed last. An ellipsis stands for axes of its own, which broadcast. */
#include "ops/check.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <ctype.h>
#include <string.h>

enum { OPERANDS = 8, AXES = 2 * OCTET_MAX_RANK, DOTS = 128 }; /* labels from DOTS on: the ellipsis, from its end */

typedef struct einsum_attrs {
    const char *equation;
} einsum_attrs;

typedef struct axis {
    int     label;
    int64_t size, step[OPERANDS];
} axis;

typedef struct plan {
    axis axes[AXES];
    int  count, kept; /* axes; those of the result */
    int  dots;        /* dimensions of the ellipsis */
} plan;

static octet_status malformed(octet_error *err, const char *why)
{
    return octet_fail_field(err, OCTET_ERR_FORMAT, "equation", "%s", why);
}

static axis *find(plan *p, int label)
{
    for (int i = 0; i < p->count; i++)
        if (p->axes[i].label == label) return &p->axes[i];
    return NULL;
}

/* One term, up to ',' or "->" or the end, as labels; *at moves behind it. rank: what the operand has, -1: the result,
   whose ellipsis is p->dots long. */
static octet_status read_term(int labels[AXES], int *count, const char **at, int rank, int dots, octet_error *err)
{
    int  letters = 0;
    bool ellipsis = false;
    *count = 0;
    for (const char *c = *at; *c && *c != ',' && *c != '-'; c++) letters += isalpha((unsigned char)*c) != 0;
    for (; **at && **at != ',' && **at != '-'; (*at)++) {
        const char c = **at;
        if (c == ' ') continue;
        if (isalpha((unsigned char)c)) {
            if (*count >= AXES) return malformed(err, "has too many labels");
            labels[(*count)++] = c;
            continue;
        }
        if (strncmp(*at, "...", 3) != 0 || ellipsis)
            return malformed(err, "only letters and one '...' a term are known");
        ellipsis = true;
        *at += 2;
        const int n = rank < 0 ? dots : rank - letters;
        if (n < 0 || n + *count > AXES) return malformed(err, "has more labels than the operand has dimensions");
        for (int i = n; i-- > 0;) labels[(*count)++] = DOTS + i;
    }
    return OCTET_OK;
}

static octet_status take_operand(plan *p, const octet_tensor *x, int operand, const int *labels, int count,
                                 octet_error *err)
{
    int64_t step = 1;
    if (count != x->rank)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "equation", "term %d has %d labels, the operand %d dimensions",
                                operand, count, x->rank);
    for (int i = count - 1; i >= 0; step *= x->dims[i--]) {
        axis *a = find(p, labels[i]);
        if (!a) {
            if (p->count >= AXES) return malformed(err, "has too many labels");
            a = &p->axes[p->count++];
            *a = (axis){ .label = labels[i], .size = x->dims[i] };
        }
        if (labels[i] >= DOTS && labels[i] - DOTS + 1 > p->dots) p->dots = labels[i] - DOTS + 1;
        const bool stretched = labels[i] >= DOTS && x->dims[i] == 1;
        if (labels[i] >= DOTS && a->size == 1) a->size = x->dims[i];
        if (a->size != x->dims[i] && !stretched)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "equation", "dimensions of one label differ: %lld and %lld",
                                    (long long)a->size, (long long)x->dims[i]);
        if (!stretched) a->step[operand] += step;
    }
    return OCTET_OK;
}

/* Without "->": the ellipsis, then labels that occur once, in the alphabet's order. */
static void implicit_result(int labels[AXES], int *count, const plan *p, const char *equation)
{
    *count = 0;
    for (int i = p->dots; i-- > 0;) labels[(*count)++] = DOTS + i;
    for (int c = 'A'; c <= 'z'; c++) {
        const char *const first = isalpha(c) ? strchr(equation, c) : NULL;
        if (first && !strchr(first + 1, c)) labels[(*count)++] = c;
    }
}

/* Axes of the result to the front, in its order. */
static octet_status order(plan *p, const int *labels, int count, octet_error *err)
{
    for (int i = 0; i < count; i++) {
        axis *const a = find(p, labels[i]);
        if (!a) return malformed(err, "the result has a label that no operand has");
        if (a - p->axes < i) return malformed(err, "the result has a label twice");
        const axis moved = *a;
        *a = p->axes[i];
        p->axes[i] = moved;
    }
    p->kept = count;
    return OCTET_OK;
}

static octet_status make_plan(plan *p, const octet_call *call, octet_error *err)
{
    const char *const equation = ((const einsum_attrs *)call->attrs)->equation;
    const char       *at = equation;
    int               labels[AXES], count;
    *p = (plan){ .count = 0 };
    if (call->in_count > OPERANDS)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "%d operands, at most %d are supported", call->in_count,
                          OPERANDS);
    for (int i = 0; i < call->in_count; i++) {
        if (i > 0 && *at++ != ',') return malformed(err, "has fewer terms than the node has operands");
        OCTET_TRY(read_term(labels, &count, &at, call->in[i]->rank, 0, err));
        OCTET_TRY(take_operand(p, call->in[i], i, labels, count, err));
    }
    if (!*at) implicit_result(labels, &count, p, equation);
    else {
        if (at[0] != '-' || at[1] != '>') return malformed(err, "has more terms than the node has operands");
        at += 2;
        OCTET_TRY(read_term(labels, &count, &at, -1, p->dots, err));
        if (*at) return malformed(err, "goes on behind the result");
    }
    return order(p, labels, count, err);
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    plan    p;
    int64_t dims[AXES];
    for (int i = 1; i < call->in_count; i++) OCTET_TRY(octet_check_same_type(call, i, "Inputs", err));
    OCTET_TRY(make_plan(&p, call, err));
    for (int i = 0; i < p.kept; i++) dims[i] = p.axes[i].size;
    return octet_set_output(call->out[0], call->in[0]->dtype, dims, p.kept, err);
}

/* The next point of axes first to last; false: that was the last one. */
static bool advance(int64_t *point, int64_t at[OPERANDS], const plan *p, int first, int last)
{
    for (int i = last - 1; i >= first; i--) {
        for (int k = 0; k < OPERANDS; k++) at[k] += p->axes[i].step[k];
        if (++point[i] < p->axes[i].size) return true;
        for (int k = 0; k < OPERANDS; k++) at[k] -= p->axes[i].size * p->axes[i].step[k];
        point[i] = 0;
    }
    return false;
}

static void multiply(octet_wide *product, const octet_call *call, const int64_t at[OPERANDS])
{
    const octet_dtype dtype = call->in[0]->dtype;
    octet_wide_load(product, call->in[0]->data, dtype, at[0], 1, 1);
    for (int k = 1; k < call->in_count; k++) {
        octet_wide factor;
        octet_wide_load(&factor, call->in[k]->data, dtype, at[k], 1, 1);
        if (octet_dtype_is_float(dtype)) product->f *= factor.f;
        else product->i = (int64_t)((uint64_t)product->i * (uint64_t)factor.i);
    }
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    plan      p;
    int64_t   point[AXES] = { 0 }, at[OPERANDS] = { 0 }, to = 0;
    const bool real = octet_dtype_is_float(call->in[0]->dtype);
    OCTET_TRY(make_plan(&p, call, err));
    if (octet_tensor_count(call->out[0]) == 0) return OCTET_OK;
    bool none = false; /* nothing to sum */
    for (int i = p.kept; i < p.count; i++) none = none || p.axes[i].size == 0;
    do {
        octet_wide sum = { .i = 0 }, product;
        if (real) sum.f = 0;
        do {
            if (none) break;
            multiply(&product, call, at);
            if (real) sum.f += product.f;
            else sum.i = (int64_t)((uint64_t)sum.i + (uint64_t)product.i);
        } while (advance(point, at, &p, p.kept, p.count));
        octet_wide_store(call->out[0]->data, call->out[0]->dtype, to++, &sum, 1);
    } while (advance(point, at, &p, 0, p.kept));
    return OCTET_OK;
}

static const octet_attr attrs[] = {
    { "equation", OCTET_ATTR_STRING, offsetof(einsum_attrs, equation), .required = true },
    { 0 },
};

const octet_op octet_op_einsum = {
    .name = "Einsum", .since = 12, .min_inputs = 1, .max_inputs = OCTET_ANY, .min_outputs = 1, .max_outputs = 1,
    .types = OCTET_TYPES_FLOAT | OCTET_TYPES_INT, .attrs = attrs, .attrs_size = sizeof(einsum_attrs), .infer = infer,
    .forward = forward,
};
