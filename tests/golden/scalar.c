/* SPDX-License-Identifier: Apache-2.0 */
/* add_scalar, mul_scalar: the parameters change; levels stay, are mirrored or become 0. */
#include "golden.h"

#include "observe/qparams.h"

#include <stdio.h>
#include <string.h>

static void check_engine(golden_case *c, const char *row, const json_t *entry, const octet_affine *to,
                         const int32_t *level)
{
    golden_array  want;
    const float   scale = golden_f32(c, json_object_get(entry, "scale"));
    const int32_t zero = (int32_t)golden_int(entry, "zero_point", -1);
    if (!golden_array_read(&want, c, entry)) return;
    golden_note_levels(c, row, level, want.level, want.count, 0);
    golden_note_floats(c, row, &to->scale, &scale, 1);
    golden_note_levels(c, row, &to->zero_point, &zero, 1, 0);
}

void golden_scalar(golden_case *c)
{
    octet_tensor        x;
    octet_affine        to = { 0 };
    const char         *engine;
    json_t             *entry;
    const json_t *const inputs = json_object_get(c->manifest, "inputs");
    const json_t *const attrs = json_object_get(c->manifest, "attrs");
    const double        scalar = json_number_value(json_object_get(attrs, "scalar_f64"));
    const bool          adds = !strncmp(c->name, "ops/add", 7);
    if (!golden_tensor_read(&x, c, json_object_get(inputs, "x"))) return;
    const octet_affine from = { x.qparams->scale[0], x.qparams->zero_point[0] };
    const size_t       count = (size_t)octet_tensor_count(&x);
    if (!adds)
        to = octet_qparams_mul_scalar(from, scalar, 0, 255);
    else if (!octet_qparams_add_scalar(&to, from, scalar, 0, 255))
        golden_fail(c, "no parameters");
    int32_t *const level = golden_memory(c, count, sizeof *level);
    for (size_t k = 0; k < count; k++) {
        const int32_t given = ((const uint8_t *)x.data)[k];
        level[k] = adds || scalar > 0 ? given : scalar < 0 ? 255 - given : 0;
    }
    json_object_foreach(json_object_get(c->manifest, "outputs"), engine, entry)
    {
        char row[64];
        snprintf(row, sizeof row, "%s %s", engine, adds ? "add_scalar" : "mul_scalar");
        check_engine(c, row, entry, &to, level);
    }
}
