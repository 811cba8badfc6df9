/* SPDX-License-Identifier: Apache-2.0 */
/* Attribute structs as their rows describe them: nobody parses attributes of one operator. */
#ifndef OCTET_GRAPH_ATTRS_H
#define OCTET_GRAPH_ATTRS_H

#include "graph/op.h"

/* Fills a zeroed struct with the rows' defaults. */
void octet_attrs_init(void *attrs, const octet_op *op);

/* The row of that name, NULL where the operator has none. */
const octet_attr *octet_attr_find(const octet_op *op, const char *name);

/* Whether attr's value in attrs lies within the row's min..max. err's field is set to the attribute. */
octet_status octet_attr_check(const void *attrs, const octet_attr *attr, octet_error *err);

/* Whether attr's value in attrs is what leaving it out of a file means. */
bool octet_attr_is_default(const void *attrs, const octet_attr *attr);

/* Address of attr's member. */
static inline void *octet_attr_at(void *attrs, const octet_attr *attr) { return (char *)attrs + attr->offset; }
static inline const void *octet_attr_get(const void *attrs, const octet_attr *attr)
{
    return (const char *)attrs + attr->offset;
}

#endif
