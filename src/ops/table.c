/* SPDX-License-Identifier: Apache-2.0 */
/* Collects the rows of ops/list.h into one sorted table: all there is to registering an operator. */
#include "ops/rows.h"

#include <stdlib.h>
#include <string.h>

static const octet_op *const table[] = {
#define OCTET_OP(x) &octet_op_##x,
#include "ops/list.h"
#undef OCTET_OP
    NULL,
};

enum { TABLE_COUNT = sizeof table / sizeof *table - 1 };

static int compare_name(const void *name, const void *row)
{
    return strcmp(name, (*(const octet_op *const *)row)->name);
}

static bool same_domain(const char *a, const char *b)
{
    const char *const x = a && strcmp(a, "ai.onnx") != 0 ? a : "", *const y = b ? b : "";
    return strcmp(x, y) == 0;
}

const octet_op *octet_op_find(const char *name, const char *domain)
{
    const octet_op *const *row = bsearch(name, table, TABLE_COUNT, sizeof *table, compare_name);
    return row && same_domain(domain, (*row)->domain) ? *row : NULL;
}

const octet_op *octet_op_at(size_t index) { return index <= TABLE_COUNT ? table[index] : NULL; }
