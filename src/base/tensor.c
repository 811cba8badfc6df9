/* SPDX-License-Identifier: Apache-2.0 */
/* Types and sizes of tensors. */
#include <octet/tensor.h>

#include "base/checked.h"

#include <stdio.h>

static const struct {
    const char *name;
    size_t      size;
} types[OCTET_DTYPE_COUNT] = {
    [OCTET_F32] = { "f32", 4 }, [OCTET_F64] = { "f64", 8 }, [OCTET_F16] = { "f16", 2 }, [OCTET_BF16] = { "bf16", 2 },
    [OCTET_I8] = { "s8", 1 },   [OCTET_U8] = { "u8", 1 },   [OCTET_I16] = { "s16", 2 }, [OCTET_U16] = { "u16", 2 },
    [OCTET_I32] = { "s32", 4 }, [OCTET_U32] = { "u32", 4 }, [OCTET_I64] = { "s64", 8 }, [OCTET_U64] = { "u64", 8 },
    [OCTET_BOOL] = { "bool", 1 },
};

size_t octet_dtype_size(octet_dtype dtype) { return (unsigned)dtype < OCTET_DTYPE_COUNT ? types[dtype].size : 0; }

const char *octet_dtype_name(octet_dtype dtype)
{
    return (unsigned)dtype < OCTET_DTYPE_COUNT && types[dtype].name ? types[dtype].name : "?";
}

int64_t octet_tensor_count(const octet_tensor *tensor)
{
    int64_t count = 1;
    bool    empty = false;
    for (int i = 0; i < tensor->rank; i++) {
        if (tensor->dims[i] < 0) return -1;
        if (tensor->dims[i] == 0) empty = true;
        else if (!octet_mul64(&count, count, tensor->dims[i])) return -1;
    }
    return empty ? 0 : count;
}

int64_t octet_tensor_bytes(const octet_tensor *tensor)
{
    const int64_t count = octet_tensor_count(tensor);
    int64_t       bytes;
    if (count < 0 || !octet_mul64(&bytes, count, (int64_t)octet_dtype_size(tensor->dtype))) return -1;
    return bytes;
}

const char *octet_shape_text(char *text, size_t size, const int64_t *dims, int rank)
{
    size_t used = 0;
    for (int i = 0; i <= rank && used < size; i++) {
        const char *const before = i == 0 ? "[" : i < rank ? ", " : "";
        int               n;
        if (i == rank) n = snprintf(text + used, size - used, "%s]", before);
        else if (dims[i] < 0) n = snprintf(text + used, size - used, "%sN", before);
        else n = snprintf(text + used, size - used, "%s%lld", before, (long long)dims[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return text;
}
