/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of input tensors. The numbers of a random set depend on seed and index alone. */
#include "measure/inputs.h"

#include "base/random.h"
#include "graph/op.h"

#include <string.h>

size_t octet_inputs_count(const octet_inputs *inputs)
{
    if (!inputs->data) return SIZE_MAX;
    const size_t batch = (size_t)inputs->batch;
    return (octet_dataset_count(inputs->data) + batch - 1) / batch;
}

static octet_status check_data(const octet_inputs *inputs, octet_error *err)
{
    if (!inputs->data) return OCTET_OK;
    if (octet_dataset_count(inputs->data) == 0) return octet_fail(err, OCTET_ERR_ARGUMENT, "there are no samples");
    if (inputs->port_count == octet_dataset_input_count(inputs->data)) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_UNSUPPORTED, "network has %zu inputs, the data feeds %zu", inputs->port_count,
                      octet_dataset_input_count(inputs->data));
}

static octet_status shape_of(octet_tensor *tensor, const octet_inputs *inputs, size_t port, octet_error *err)
{
    const octet_value *const   value  = inputs->graph->inputs[port];
    const octet_qparams *const levels = inputs->levels ? octet_border_levels(value) : NULL;
    *tensor = (octet_tensor){ .dtype = levels ? levels->dtype : value->dtype, .rank = value->rank };
    memcpy(tensor->dims, value->dims, sizeof tensor->dims);
    if (tensor->rank > 0 && tensor->dims[0] == OCTET_DIM_FREE) tensor->dims[0] = inputs->batch;
    if (inputs->data) {
        const octet_tensor sample = octet_dataset_input(inputs->data, port);
        tensor->rank            = sample.rank;
        memcpy(tensor->dims, sample.dims, sizeof tensor->dims);
        tensor->dims[0] *= inputs->batch; /* from 1 */
    }
    if (value->rank > 0 && value->dims[0] != OCTET_DIM_FREE && value->dims[0] != inputs->batch && inputs->batch > 1)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "input '%s' has a fixed first dimension of %lld, no batch of %lld",
                          value->name, (long long)value->dims[0], (long long)inputs->batch);
    return OCTET_OK;
}

static octet_status make_room(octet_tensor *tensor, const octet_inputs *inputs, size_t port, octet_arena *arena,
                              octet_error *err)
{
    const int64_t bytes = octet_tensor_bytes(tensor);
    if (bytes < 0)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "input '%s' leaves a dimension open (--shape, or data, says it)",
                          inputs->graph->inputs[port]->name);
    return octet_arena_get(&tensor->data, arena, (size_t)bytes, 1, err);
}

octet_status octet_inputs_shapes(octet_tensor **shapes, const octet_inputs *inputs, octet_arena *arena,
                                 octet_error *err)
{
    OCTET_TRY(check_data(inputs, err));
    OCTET_TRY(octet_arena_get(shapes, arena, inputs->port_count, sizeof **shapes, err));
    for (size_t i = 0; i < inputs->port_count; i++) OCTET_TRY(shape_of(&(*shapes)[i], inputs, i, err));
    return OCTET_OK;
}

octet_status octet_inputs_make(octet_tensor **set, const octet_inputs *inputs, octet_arena *arena, octet_error *err)
{
    OCTET_TRY(octet_inputs_shapes(set, inputs, arena, err));
    for (size_t i = 0; i < inputs->port_count; i++) OCTET_TRY(make_room(&(*set)[i], inputs, i, arena, err));
    return OCTET_OK;
}

octet_status octet_inputs_make_at(octet_tensor **set, const octet_inputs *inputs, size_t index, octet_arena *arena,
                                  octet_error *err)
{
    OCTET_TRY(octet_inputs_shapes(set, inputs, arena, err));
    for (size_t i = 0; i < inputs->port_count; i++) {
        octet_tensor *const tensor = &(*set)[i];
        const octet_dtype   dtype  = tensor->dtype;
        OCTET_TRY(octet_dataset_input_at(tensor, inputs->data, i, index, err));
        tensor->dtype = dtype;
        OCTET_TRY(make_room(tensor, inputs, i, arena, err));
    }
    return OCTET_OK;
}

/* ---- numbers ---- */

static void fill_real(float *x, size_t count, const octet_value *value, uint64_t *state)
{
    double                      lo = -1, hi = 1;
    const octet_qparams *const q = value->fake_quantize ? &value->fake_quantize->qparams : NULL;
    if (q && q->count == 1) {
        lo = ((double)q->qmin - q->zero_point[0]) * (double)q->scale[0];
        hi = ((double)q->qmax - q->zero_point[0]) * (double)q->scale[0];
    }
    for (size_t i = 0; i < count; i++) x[i] = (float)(lo + (hi - lo) * octet_random_unit(state));
}

/* most: one less than a power of two. */
static void fill_integers(octet_tensor *tensor, uint8_t most, uint64_t *state)
{
    const size_t size = octet_dtype_size(tensor->dtype), count = (size_t)octet_tensor_count(tensor);
    for (size_t i = 0; i < count; i++) /* little-endian */
        ((uint8_t *)tensor->data)[i * size] = (uint8_t)octet_random_bits(state) & most;
}

static octet_status fill_random(octet_tensor *set, const octet_inputs *inputs, size_t index, octet_error *err)
{
    uint64_t state = inputs->seed * 0x9e3779b97f4a7c15u ^ (uint64_t)index * 0xd1b54a32d192ed03u;
    for (size_t i = 0; i < inputs->port_count; i++) {
        const octet_value *const value = inputs->graph->inputs[i];
        if (set[i].dtype == OCTET_F32)
            fill_real(set[i].data, (size_t)octet_tensor_count(&set[i]), value, &state);
        else if (set[i].dtype != OCTET_F64 && set[i].dtype != OCTET_F16)
            fill_integers(&set[i], octet_border_levels(value) ? UINT8_MAX : 1, &state);
        else
            return octet_fail(err, OCTET_ERR_UNSUPPORTED, "input '%s' is %s: give data", value->name,
                              octet_dtype_name(set[i].dtype));
    }
    return OCTET_OK;
}

octet_status octet_inputs_fill(octet_tensor *set, const octet_inputs *inputs, size_t index, octet_error *err)
{
    if (!inputs->data) return fill_random(set, inputs, index, err);
    const size_t batch = (size_t)inputs->batch, total = octet_dataset_count(inputs->data);
    for (size_t i = 0; i < batch; i++)
        OCTET_TRY(octet_inputs_read(set, inputs, i, (index * batch + i) % total, err));
    return OCTET_OK;
}

octet_status octet_inputs_read(const octet_tensor *set, const octet_inputs *inputs, size_t at, size_t sample,
                               octet_error *err)
{
    octet_tensor one[OCTET_INPUTS_MOST];
    if (inputs->port_count > OCTET_INPUTS_MOST)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "network has %zu inputs (at most %d)", inputs->port_count,
                          (int)OCTET_INPUTS_MOST);
    for (size_t i = 0; i < inputs->port_count; i++) {
        one[i] = octet_dataset_varies(inputs->data) ? set[i] : octet_dataset_input(inputs->data, i);
        one[i].dtype = set[i].dtype;
        one[i].data  = (uint8_t *)set[i].data + at * (size_t)octet_tensor_bytes(&one[i]);
    }
    return octet_dataset_read_inputs(inputs->data, sample, one, NULL, err);
}
