/* SPDX-License-Identifier: Apache-2.0 */
/* True outputs, one tensor a sample, from an npy file; bytes are read as byte / 255. */
#include "data/data.h"

#include "base/checked.h"

#include <math.h>
#include <string.h>

/* One sample in its logical order. */
static void convert(float *to, const octet_array *array, const uint8_t *from)
{
    int64_t at[OCTET_MAX_RANK] = {0};
    for (int axis = 0; axis >= 0;) {
        octet_array_convert(to++, array, from, 0, 1);
        for (axis = array->rank - 1; axis >= 0; axis--) {
            from += array->strides[axis];
            if (++at[axis] < array->dims[axis]) break;
            from -= array->strides[axis] * array->dims[axis];
            at[axis] = 0;
        }
    }
}

static octet_status convert_all(octet_dataset *data, const octet_array *array, size_t each, octet_error *err)
{
    size_t total;
    if (!octet_mul(&total, each, data->count) || !octet_mul(&total, total, sizeof(float)))
        return octet_fail(err, OCTET_ERR_LIMIT, "size of the references overflows");
    OCTET_TRY(octet_check_memory(total, data->limits.max_memory, err));
    OCTET_TRY(octet_arena_get(&data->references, data->arena, total, 1, err));
    for (size_t i = 0; i < data->count; i++) {
        float *const to = data->references + i * each;
        convert(to, array, array->bytes + (int64_t)data->order[i] * array->pitch);
        for (size_t k = 0; k < each; k++) {
            if (array->dtype == OCTET_U8) to[k] = (float)(to[k] / 255.0);
            if (!isfinite(to[k]))
                return octet_fail(err, OCTET_ERR_FORMAT, "reference #%zu: element %zu is %f (need finite numbers)",
                                  data->order[i], k, (double)to[k]);
        }
    }
    return OCTET_OK;
}

static octet_status read_references(octet_dataset *data, const octet_source *source, octet_error *err)
{
    octet_array array;
    size_t      total, offset, each = 1;
    OCTET_TRY(octet_npy_parse(&array, source->head, source->head_size, &total, &offset, err));
    if (array.count != data->raw_count)
        return octet_fail(err, OCTET_ERR_FORMAT, "%zu references for %zu samples", array.count, data->raw_count);
    if (array.rank >= OCTET_MAX_RANK) return octet_fail(err, OCTET_ERR_FORMAT, "references of rank %d", array.rank + 1);
    OCTET_TRY(octet_source_all(&array.bytes, source, data->arena, total, data->limits.max_memory, err));
    array.bytes += offset;
    data->reference = (octet_tensor){.dtype = OCTET_F32, .rank = array.rank + 1, .dims = {1}};
    for (int i = 0; i < array.rank; i++) {
        data->reference.dims[i + 1] = array.dims[i];
        each *= (size_t)array.dims[i];
    }
    return convert_all(data, &array, each, err);
}

octet_status octet_references_open(octet_dataset *data, octet_error *err)
{
    const char *const path = data->options.reference;
    if (!path) return OCTET_OK;
    octet_source source;
    octet_status status = octet_source_open(&source, data->arena, path, err);
    if (status == OCTET_OK && source.folder) status = octet_fail(err, OCTET_ERR_FILE, "is a folder, need an npy file");
    if (status == OCTET_OK) status = read_references(data, &source, err);
    octet_source_close(&source);
    if (status != OCTET_OK) octet_error_file(err, path);
    return status;
}

octet_tensor octet_dataset_reference(const octet_dataset *data, size_t index)
{
    octet_tensor tensor = data->reference;
    if (data->references && index < data->count)
        tensor.data = data->references + index * (size_t)octet_tensor_count(&tensor);
    return tensor;
}
