/* SPDX-License-Identifier: Apache-2.0 */
/* quantize_per_tensor / per_channel and dequantize, in both torch profiles. */
#include "golden.h"

#include "ops/levels.h"

#include <string.h>

static const char *const profiles[] = { "torch-qnnpack", "torch-onednn" };

/* x in runs that share a channel. */
typedef struct layout {
    size_t channels, inner;
} layout;

static layout layout_of(const golden_array *x, const octet_qparams *q)
{
    layout l = { .channels = (size_t)q->count, .inner = 1 };
    if (q->count == 1) l.inner = x->count;
    else
        for (int i = q->axis + 1; i < x->rank; i++) l.inner *= (size_t)x->dims[i];
    return l;
}

/* Quantizes x by a profile and dequantizes the levels with octet_levels_real. */
static void round_trip(int32_t *level, float *real, const golden_array *x, const octet_qparams *q,
                       const octet_profile *profile)
{
    const layout l = layout_of(x, q);
    octet_tensor stored = { .dtype = OCTET_I32, .rank = 1, .dims = { (int64_t)x->count }, .data = level, .qparams = q };
    for (size_t at = 0; at < x->count; at += l.inner) {
        const size_t channel = at / l.inner % l.channels;
        const octet_level_rule to = octet_level_rule_of(q, (int64_t)channel, NULL);
        profile->quantize(level + at, x->real + at, l.inner, &to);
        octet_levels_real(real + at, &stored, at, l.inner, (int64_t)channel);
    }
}

/* One recorded tensor. */
typedef struct record {
    const golden_array  *x, *levels, *reals;
    const octet_qparams *q;
    const char          *quantized, *dequantized; /* rows of the report */
} record;

static void check(golden_case *c, const record *r)
{
    const size_t count = r->x->count, inner = layout_of(r->x, r->q).inner;
    int32_t *const level = golden_memory(c, count, sizeof *level);
    float *const real = golden_memory(c, count, sizeof *real);
    const bool fits = inner && count % inner == 0 && r->reals->count == count;
    if (!r->x->real || !fits || r->levels->count != count) {
        golden_fail(c, "arrays do not fit together");
        return;
    }
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++) {
        round_trip(level, real, r->x, r->q, octet_profile_find(profiles[i]));
        if (i) { /* both profiles quantize alike: counted once, like the vectors' own table */
            if (memcmp(level, r->levels->level, count * sizeof *level))
                golden_fail(c, "%s differs", profiles[i]);
            continue;
        }
        golden_note_levels(c, r->quantized, level, r->levels->level, count, 0);
        golden_note_floats(c, r->dequantized, real, r->reals->real, count);
    }
}

void golden_quantize(golden_case *c)
{
    golden_array x, levels, reals;
    octet_tensor q;
    if (!golden_array_read(&x, c, json_object_get(c->manifest, "x"))) return;
    if (!golden_array_read(&levels, c, json_object_get(c->manifest, "q"))) return;
    if (!golden_tensor_read(&q, c, json_object_get(c->manifest, "q"))) return;
    if (golden_array_read(&reals, c, json_object_get(c->manifest, "dequantized")))
        check(c, &(record){ &x, &levels, &reals, q.qparams, "quantize", "dequantize" });
}

void golden_double_scale(golden_case *c)
{
    const json_t *const rows = json_object_get(c->manifest, "rows");
    golden_array x, levels, reals;
    if (!golden_array_read(&x, c, json_object_get(c->manifest, "x"))) return;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *const row = json_array_get(rows, i), *const entry = json_object_get(row, "q");
        if (!golden_array_read(&levels, c, entry)) return;
        if (!golden_array_read(&reals, c, json_object_get(row, "dequantized"))) return;
        const float scale = (float)json_number_value(json_object_get(row, "scale_f64"));
        const octet_tensor q = golden_tensor_make(c, golden_dtype(json_object_get(entry, "qdtype")), levels.dims,
                                                  levels.rank, scale, (int32_t)golden_int(row, "zero_point", 0));
        check(c, &(record){ &x, &levels, &reals, q.qparams, "quantize, double scale rounded to float32",
                            "dequantize, double scale rounded to float32" });
    }
}
