/* SPDX-License-Identifier: Apache-2.0 */
/* Walks attribute rows. */
#include "graph/attrs.h"

#include <math.h>
#include <string.h>

void octet_attrs_init(void *attrs, const octet_op *op)
{
    for (const octet_attr *a = op->attrs; a && a->kind != OCTET_ATTR_END; a++) {
        void *const at = octet_attr_at(attrs, a);
        if (a->kind == OCTET_ATTR_INT) memcpy(at, &a->default_i, sizeof a->default_i);
        else if (a->kind == OCTET_ATTR_FLOAT) memcpy(at, &a->default_f, sizeof a->default_f);
        else if (a->kind == OCTET_ATTR_STRING) memcpy(at, &a->default_s, sizeof a->default_s);
    }
}

const octet_attr *octet_attr_find(const octet_op *op, const char *name)
{
    for (const octet_attr *a = op->attrs; a && a->kind != OCTET_ATTR_END; a++)
        if (!strcmp(a->name, name)) return a;
    return NULL;
}

bool octet_attr_is_default(const void *attrs, const octet_attr *attr)
{
    const void *const at = octet_attr_get(attrs, attr);
    switch (attr->kind) {
    case OCTET_ATTR_INT: return *(const int64_t *)at == attr->default_i;
    case OCTET_ATTR_FLOAT: {
        const float value = *(const float *)at;
        return value == attr->default_f || (isnan(value) && isnan(attr->default_f));
    }
    case OCTET_ATTR_STRING: {
        const char *const text = *(const char *const *)at;
        return !text || (attr->default_s && !strcmp(text, attr->default_s));
    }
    case OCTET_ATTR_INTS: return ((const octet_ints *)at)->count == 0;
    case OCTET_ATTR_FLOATS: return ((const octet_floats *)at)->count == 0;
    case OCTET_ATTR_STRINGS: return ((const octet_strings *)at)->count == 0;
    case OCTET_ATTR_TENSOR: return !*(const octet_tensor *const *)at;
    case OCTET_ATTR_END: break;
    }
    return true;
}

static octet_status in_range(int64_t value, const octet_attr *attr, octet_error *err)
{
    if ((attr->min == 0 && attr->max == 0) || (value >= attr->min && value <= attr->max)) return OCTET_OK;
    octet_fail(err, OCTET_ERR_FORMAT, "got %lld, need %lld to %lld", (long long)value, (long long)attr->min,
               (long long)attr->max);
    octet_error_field(err, attr->name);
    return OCTET_ERR_FORMAT;
}

octet_status octet_attr_check(const void *attrs, const octet_attr *attr, octet_error *err)
{
    const void *const at = octet_attr_get(attrs, attr);
    if (attr->kind == OCTET_ATTR_INT) return in_range(*(const int64_t *)at, attr, err);
    if (attr->kind != OCTET_ATTR_INTS) return OCTET_OK;
    const octet_ints *const ints = at;
    for (int i = 0; i < ints->count; i++) OCTET_TRY(in_range(ints->at[i], attr, err));
    return OCTET_OK;
}
