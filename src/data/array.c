/* SPDX-License-Identifier: Apache-2.0 */
/* Samples of arrays: which axis is which, and numbers of any type to float. Nothing is converted on opening; a sample
   is walked with strides, so Fortran order, big-endian numbers and channel orders cost no memory. */
#include "data/data.h"

#include "base/checked.h"
#include "data/image.h"
#include "data/pixels.h"

#include <math.h>
#include <string.h>

bool octet_array_strides(octet_array *array, bool fortran, size_t *bytes)
{
    int64_t       step = (int64_t)octet_dtype_size(array->dtype);
    const int64_t count = (int64_t)array->count;
    if (count < 0) return false;
    if (fortran) {
        array->pitch = step;
        if (!octet_mul64(&step, step, count)) return false;
    }
    for (int i = 0; i < array->rank; i++) {
        const int at = fortran ? i : array->rank - 1 - i;
        array->strides[at] = step;
        if (!octet_mul64(&step, step, array->dims[at])) return false;
    }
    if (!fortran) {
        array->pitch = step;
        if (!octet_mul64(&step, step, count)) return false;
    }
    *bytes = (size_t)step;
    return step < (int64_t)1 << 62;
}

octet_status octet_array_load(octet_dataset *data, size_t total, size_t offset, octet_error *err)
{
    const uint8_t *bytes;
    OCTET_TRY(octet_source_all(&bytes, &data->source, data->arena, total, data->limits.max_memory, err));
    data->array.bytes = bytes + offset;
    return OCTET_OK;
}

/* ---- numbers ---- */

static float from_half(uint16_t bits)
{
    const int   exponent = bits >> 10 & 31;
    const float mantissa = (float)(bits & 1023);
    const float sign = bits & 0x8000 ? -1.0f : 1.0f;
    if (exponent == 31) return bits & 1023 ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexpf(1024 + mantissa, exponent - 25) : ldexpf(mantissa, -24));
}

static float number_at(const uint8_t *at, octet_dtype dtype, bool swapped)
{
    uint8_t      bytes[8];
    const size_t size = octet_dtype_size(dtype);
    for (size_t i = 0; i < size; i++) bytes[i] = at[swapped ? size - 1 - i : i];
    union {
        float    f32;
        double   f64;
        uint16_t u16;
        int16_t  i16;
        uint32_t u32;
        int32_t  i32;
        uint64_t u64;
        int64_t  i64;
    } n;
    memcpy(&n, bytes, sizeof n);
    switch (dtype) {
    case OCTET_F16:
        return from_half(n.u16);
    case OCTET_F32:
        return n.f32;
    case OCTET_F64:
        return (float)n.f64;
    case OCTET_I8:
        return (float)(int8_t)bytes[0];
    case OCTET_I16:
        return (float)n.i16;
    case OCTET_U16:
        return (float)n.u16;
    case OCTET_I32:
        return (float)n.i32;
    case OCTET_U32:
        return (float)n.u32;
    case OCTET_I64:
        return (float)n.i64;
    case OCTET_U64:
        return (float)n.u64;
    default:
        return (float)bytes[0];
    }
}

void octet_array_convert(float *out, const octet_array *array, const uint8_t *from, int64_t step, int64_t count)
{
    if (array->dtype == OCTET_F32 && !array->swapped && step == 4)
        memcpy(out, from, (size_t)count * 4);
    else if (array->dtype == OCTET_U8)
        for (int64_t i = 0; i < count; i++) out[i] = (float)from[i * step];
    else
        for (int64_t i = 0; i < count; i++) out[i] = number_at(from + i * step, array->dtype, array->swapped);
}

/* ---- shapes ---- */

static bool dims_match(const int64_t *need, const int64_t *got, int rank)
{
    for (int i = 0; i < rank; i++)
        if (need[i] != OCTET_DIM_FREE && need[i] != got[i]) return false;
    return true;
}

/* A sample of any rank as one plane: identity. Three dimensions keep their channels, for recipes. */
static void route_as_is(octet_dataset *data)
{
    octet_array_route *const r = &data->route;
    const octet_array *const array = &data->array;
    data->port.rank = array->rank + 1;
    memcpy(data->port.dims + 1, array->dims, sizeof *array->dims * (size_t)array->rank);
    if (array->rank != 3) return;
    const bool last = data->target.channels_last;
    const int  c = last ? 2 : 0, y = last ? 0 : 1, x = last ? 1 : 2;
    *r = (octet_array_route){.channels = array->dims[c],
                             .height = array->dims[y],
                             .width = array->dims[x],
                             .from = {array->strides[c], array->strides[y], array->strides[x]}};
}

/* Where the sample's channels, rows and columns lie in the file. A missing channel axis is added. */
static bool find_axes(octet_array_route *r, const octet_array *array, bool channels_last)
{
    const int64_t *const d = array->dims, *const s = array->strides;
    if (array->rank == 2)
        *r = (octet_array_route){.channels = 1, .height = d[0], .width = d[1], .from = {0, s[0], s[1]}};
    else if (array->rank == 3 && channels_last)
        *r = (octet_array_route){.channels = d[2], .height = d[0], .width = d[1], .from = {s[2], s[0], s[1]}};
    else if (array->rank == 3)
        *r = (octet_array_route){.channels = d[0], .height = d[1], .width = d[2], .from = {s[0], s[1], s[2]}};
    return array->rank == 2 || array->rank == 3;
}

/* The port in the network's order for a sample of channels x height x width. */
static void port_of(octet_port *port, const octet_dataset *data, int64_t channels, int64_t height, int64_t width)
{
    const bool    last = data->target.channels_last;
    const int64_t dims[4] = {1, last ? height : channels, last ? width : height, last ? channels : width};
    port->rank = 4;
    memcpy(port->dims, dims, sizeof dims);
}

static void set_output_strides(octet_dataset *data)
{
    octet_array_route *const r = &data->route;
    const bool               last = data->target.channels_last;
    const int64_t            to[3] = {last ? 1 : r->height * r->width, last ? r->width * r->channels : r->width,
                           last ? r->channels : 1};
    memcpy(r->to, to, sizeof to);
}

/* The file's order is the network's, or nothing is known of one. */
static bool plan_identity(octet_dataset *data)
{
    const octet_target *const t = &data->target;
    const octet_array *const  array = &data->array;
    if (t->known ? t->rank != array->rank || !dims_match(t->dims, array->dims, t->rank)
                 : data->recipe.resize || data->recipe.crop)
        return false;
    route_as_is(data);
    return true;
}

static void set_port(octet_dataset *data, const octet_array_route *route, const octet_port *port)
{
    data->route = *route;
    data->port.rank = port->rank;
    memcpy(data->port.dims, port->dims, sizeof port->dims);
}

/* Channels, rows and columns find their places. */
static bool plan_planes(octet_dataset *data, const octet_array_route *route)
{
    const octet_target *const t = &data->target;
    octet_port                port = {0};
    port_of(&port, data, route->channels, route->height, route->width);
    if (t->known ? t->rank != 3 || !dims_match(t->dims, port.dims + 1, 3) : data->recipe.resize || data->recipe.crop)
        return false;
    set_port(data, route, &port);
    return true;
}

/* Byte samples under a recipe may be resized and change colour: then they are images. */
static octet_status plan_image(bool *fits, octet_dataset *data, const octet_array_route *route, octet_error *err)
{
    const octet_target *const t = &data->target;
    *fits = false;
    if (data->array.dtype != OCTET_U8 || !data->recipe.given || (route->channels != 1 && route->channels != 3) ||
        route->height > OCTET_IMAGE_MAX_SIDE || route->width > OCTET_IMAGE_MAX_SIDE)
        return OCTET_OK;
    octet_image shape = {.width = (int)route->width, .height = (int)route->height, .channels = (int)route->channels};
    OCTET_TRY(octet_pixels_shape(&shape, data, err));
    octet_port port = {0};
    port_of(&port, data, shape.channels, shape.height, shape.width);
    *fits = !t->known || (t->rank == 3 && dims_match(t->dims, port.dims + 1, 3));
    if (!*fits) return OCTET_OK;
    set_port(data, route, &port);
    data->route.as_image = true;
    return OCTET_OK;
}

octet_status octet_array_plan(octet_dataset *data, octet_error *err)
{
    const octet_array *const array = &data->array;
    const bool               last = data->options.layout && !strcmp(data->options.layout, "nhwc");
    octet_array_route        route = {0};
    bool                     fits = false;
    data->raw_count = array->count;
    if (array->dtype != OCTET_U8 && !data->own_recipe && data->recipe.given) {
        data->recipe = (octet_recipe){0};
        OCTET_TRY(octet_dataset_warn(data, err,
                                     "%s samples are used as they are: the network's stored recipe is for bytes",
                                     octet_dtype_name(array->dtype)));
    }
    if (!last) fits = plan_identity(data);
    if (!fits && find_axes(&route, array, last)) {
        fits = plan_planes(data, &route);
        if (!fits) OCTET_TRY(plan_image(&fits, data, &route, err));
    }
    if (!fits) {
        const int64_t *const d = array->dims;
        const bool           nhwc = !last && array->rank == 3 && data->target.rank == 3 &&
                          dims_match(data->target.dims, (const int64_t[]){d[2], d[0], d[1]}, 3);
        return octet_refuse_shape(data, d, array->rank, nhwc ? ": --layout nhwc would fit" : "", err);
    }
    set_output_strides(data);
    if (array->dtype == OCTET_U8 && !data->recipe.given && !data->levels.count)
        return octet_dataset_warn(data, err, "no recipe: bytes 0..255 are used as they are");
    return OCTET_OK;
}

/* ---- samples ---- */

/* An identity route of any rank: the innermost dimension is converted at once, the others counted. */
void octet_array_copy(float *values, const octet_array *array, const uint8_t *sample)
{
    int64_t       at[OCTET_MAX_RANK] = {0};
    const int     inner = array->rank - 1;
    const int64_t run = array->rank ? array->dims[inner] : 1, step = array->rank ? array->strides[inner] : 0;
    for (int axis = inner - 1;;) {
        octet_array_convert(values, array, sample, step, run);
        values += run;
        for (axis = inner - 1; axis >= 0; axis--) {
            sample += array->strides[axis];
            if (++at[axis] < array->dims[axis]) break;
            sample -= array->strides[axis] * array->dims[axis];
            at[axis] = 0;
        }
        if (axis < 0) return;
    }
}

/* Rows of planes, each with its channel's recipe, to their places. */
static void read_planes(float *values, const octet_dataset *data, const uint8_t *sample, float *row)
{
    const octet_array_route *const r = &data->route;
    const bool                     swap = r->channels == 3 && data->recipe.given && !strcmp(data->recipe.color, "bgr");
    for (int64_t c = 0; c < r->channels; c++)
        for (int64_t y = 0; y < r->height; y++) {
            const int64_t source = swap ? 2 - c : c;
            octet_array_convert(row, &data->array, sample + source * r->from[0] + y * r->from[1], r->from[2], r->width);
            octet_recipe_apply(&data->recipe, row, r->width, c);
            float *const to = values + c * r->to[0] + y * r->to[1];
            for (int64_t x = 0; x < r->width; x++) to[x * r->to[2]] = row[x];
        }
}

static octet_status read_image(float *values, const octet_dataset *data, const uint8_t *sample, octet_arena *arena,
                               octet_error *err)
{
    const octet_array_route *const r = &data->route;
    octet_image                    image;
    OCTET_TRY(octet_image_new(&image, arena, (int)r->width, (int)r->height, (int)r->channels, err));
    uint8_t *to = image.pixels;
    for (int64_t y = 0; y < r->height; y++)
        for (int64_t x = 0; x < r->width; x++)
            for (int64_t c = 0; c < r->channels; c++) *to++ = sample[c * r->from[0] + y * r->from[1] + x * r->from[2]];
    return octet_pixels_to_values(values, &image, data, arena, err);
}

static octet_status read_sample(const octet_dataset *data, const uint8_t *sample, float *values, octet_arena *arena,
                                octet_error *err)
{
    const octet_array_route *const r = &data->route;
    if (r->as_image) return read_image(values, data, sample, arena, err);
    if (r->channels) {
        float *row;
        OCTET_TRY(octet_arena_get(&row, arena, (size_t)r->width, sizeof *row, err));
        read_planes(values, data, sample, row);
        return OCTET_OK;
    }
    octet_array_copy(values, &data->array, sample);
    octet_recipe_apply(&data->recipe, values, octet_port_count(&data->port), 0);
    return OCTET_OK;
}

octet_status octet_array_read(const octet_dataset *data, size_t raw_index, float *values, octet_error *err)
{
    octet_arena *const arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    const uint8_t *const sample = data->array.bytes + (int64_t)raw_index * data->array.pitch;
    const octet_status   status = read_sample(data, sample, values, arena, err);
    octet_arena_free(arena);
    return status;
}
