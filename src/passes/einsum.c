/* SPDX-License-Identifier: Apache-2.0 */
/* An Einsum that is a product of matrices, "bid,bjd->bij" or "...km,...kn->...mn", becomes MatMul, behind a Transpose
   where an operand lies turned. Precondition: two operands of known rank, the same dimensions in front of the last two
   of each term, and nothing summed but what both have. */
#include "passes/pass.h"

#include "graph/attrs.h"
#include "ops/attrs.h"

#include <ctype.h>
#include <string.h>

enum { LONGEST = 32 };

/* The product of operand first and the other; turned: by operand. */
typedef struct product {
    int  first;
    bool turned[2];
} product;

/* Cuts "a,b->c" into its three terms, blanks left out. */
static bool cut(char terms[3][LONGEST], const char *equation)
{
    static const char *const ends[] = { ",", "->", "" };
    for (int i = 0; i < 3; i++) {
        size_t length = 0;
        for (; *equation && *equation != ',' && *equation != '-'; equation++) {
            if (*equation == ' ') continue;
            if (length + 1 >= LONGEST) return false;
            terms[i][length++] = *equation;
        }
        terms[i][length] = '\0';
        const size_t end = strlen(ends[i]);
        if (length < 2 || strncmp(equation, ends[i], end) != 0 || (i == 2 && *equation)) return false;
        equation += end;
    }
    return true;
}

/* Whether text repeats no letter, and is letters behind perhaps an ellipsis. */
static bool is_plain(const char *text)
{
    if (strncmp(text, "...", 3) == 0) text += 3;
    for (const char *at = text; *at; at++)
        if (!isalpha((unsigned char)*at) || strchr(at + 1, *at)) return false;
    return true;
}

static bool find(product *p, const char *equation)
{
    char terms[3][LONGEST];
    if (!cut(terms, equation)) return false;
    const size_t      front = strlen(terms[2]) - 2;
    const char *const out = terms[2] + front;
    for (int i = 0; i < 3; i++)
        if (!is_plain(terms[i]) || strlen(terms[i]) != front + 2 || strncmp(terms[i], terms[2], front) != 0)
            return false;
    p->first = strchr(terms[0] + front, out[0]) ? 0 : 1;
    const char *const a = terms[p->first] + front, *const b = terms[!p->first] + front;
    const char *const row = strchr(a, out[0]), *const column = strchr(b, out[1]);
    if (!row || !column || strchr(a, out[1]) || strchr(b, out[0])) return false;
    p->turned[p->first]  = row != a;
    p->turned[!p->first] = column == b;
    return a[row == a] == b[column == b];
}

static octet_status operand(octet_value **value, octet_graph *graph, octet_node *einsum, int slot, bool turned,
                            octet_error *err)
{
    octet_node        *transpose;
    octet_value *const in = *value = einsum->inputs[slot];
    if (!turned) return OCTET_OK;
    const octet_new_node as = { .op = octet_op_find("Transpose", NULL), .inputs = 1, .outputs = 1, .before = einsum };
    OCTET_TRY(octet_node_new(&transpose, graph, &as, err));
    OCTET_TRY(octet_node_set_input(graph, transpose, 0, in, err));
    octet_ints *const perm = &((octet_transpose_attrs *)transpose->attrs)->perm;
    for (perm->count = 0; perm->count < in->rank; perm->count++) perm->at[perm->count] = perm->count;
    perm->at[in->rank - 2] = in->rank - 1;
    perm->at[in->rank - 1] = in->rank - 2;
    OCTET_TRY(octet_value_new_near(value, graph, in->name, err));
    octet_node_set_output(transpose, 0, *value);
    return OCTET_OK;
}

static octet_status rewrite(octet_graph *graph, octet_node *einsum, const product *p, octet_error *err)
{
    octet_value       *sides[2], *const out = einsum->outputs[0];
    octet_node        *matmul;
    octet_node *const  before = einsum->next;
    const char *const  name = einsum->name;
    for (int i = 0; i < 2; i++) {
        const int slot = i ? !p->first : p->first;
        OCTET_TRY(operand(&sides[i], graph, einsum, slot, p->turned[slot], err));
    }
    octet_node_remove(graph, einsum);
    const octet_new_node as = { .op = octet_op_find("MatMul", NULL), .name = name, .inputs = 2, .outputs = 1,
                                .before = before };
    OCTET_TRY(octet_node_new(&matmul, graph, &as, err));
    for (int i = 0; i < 2; i++) OCTET_TRY(octet_node_set_input(graph, matmul, i, sides[i], err));
    octet_node_set_output(matmul, 0, out);
    return OCTET_OK;
}

octet_status octet_pass_einsum(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first, *next; n; n = next) {
        const char *equation;
        product     p;
        next = n->next;
        if (!octet_node_is(n, "Einsum") || n->input_count != 2) continue;
        memcpy(&equation, octet_attr_get(n->attrs, octet_attr_find(n->op, "equation")), sizeof equation);
        if (!n->inputs[0]->has_shape || !n->inputs[1]->has_shape || !find(&p, equation)) continue;
        if (n->inputs[0]->rank >= 2 && n->inputs[1]->rank >= 2) OCTET_TRY(rewrite(graph, n, &p, err));
    }
    return OCTET_OK;
}
