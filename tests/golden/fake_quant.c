/* SPDX-License-Identifier: Apache-2.0 */
/* Fake quantization: forward, gradients and parameters of every form, in torch's profiles. */
#include "golden.h"

#include "train/fake_quantize.h"

#include <math.h>
#include <string.h>

static const octet_profile *const profiles[] = { &octet_profile_torch_qnnpack, &octet_profile_torch_onednn };
enum { PROFILES = sizeof profiles / sizeof *profiles };

static octet_trained *make(golden_case *c, const octet_quantizer *quantizer, size_t channels, int axis)
{
    octet_trained *trained;
    octet_error err = { 0 };
    const octet_trained settings = { .quantizer = *quantizer, .channels = (int64_t)channels, .axis = axis,
                                     .profile = profiles[0] };
    if (octet_trained_new(&trained, c->arena, &settings, &err) == OCTET_OK) return trained;
    golden_fail(c, "%s", err.text);
    return NULL;
}

/* channels: 1 or those of axis. */
static octet_channel_shape shape_of(const golden_array *x, const octet_trained *t)
{
    octet_channel_shape shape = { 1, (size_t)t->channels, 1 };
    for (int i = 0; i < x->rank; i++)
        if (t->channels == 1 || i > t->axis) shape.inner *= (size_t)x->dims[i];
        else if (i < t->axis) shape.outer *= (size_t)x->dims[i];
    return shape;
}

/* ---- fake_quant/ ---- */

typedef struct record {
    golden_array        x, y, dy, dx;
    octet_trained      *trained;
    octet_channel_shape shape;
    bool                learnable;
} record;

/* Scale and zero point: numbers, or arrays (of floats, or the zero points of levels) where learned or per channel. */
static bool read_parameters(record *r, golden_case *c)
{
    const json_t *const scales = json_object_get(c->manifest, "scale");
    const json_t *const zeros = json_object_get(c->manifest, "zero_point");
    const octet_quantizer quantizer = {
        .qmin = (int32_t)golden_int(c->manifest, "quant_min", 0),
        .qmax = (int32_t)golden_int(c->manifest, "quant_max", 0),
        .dtype = golden_int(c->manifest, "quant_min", 0) < 0 ? OCTET_I8 : OCTET_U8,
        .formula = OCTET_FORMULA_TORCH,
        .fake = r->learnable ? OCTET_FAKE_LEARNED : OCTET_FAKE_OBSERVED,
    };
    golden_array scale = { .count = 1 }, zero = { 0 };
    const bool arrays = json_object_get(scales, "dtype");
    if (arrays && !(golden_array_read(&scale, c, scales) && golden_array_read(&zero, c, zeros))) return false;
    r->trained = make(c, &quantizer, scale.count, (int)golden_int(c->manifest, "axis", 0));
    if (!r->trained) return false;
    for (size_t i = 0; i < scale.count; i++) {
        r->trained->scale[i] = arrays ? scale.real[i] : golden_f32(c, scales);
        r->trained->zero_point[i] = !arrays ? (float)json_integer_value(zeros)
                                    : zero.real ? zero.real[i] : (float)zero.level[i];
    }
    r->trained->learning = r->learnable;
    return true;
}

static void check_forward(golden_case *c, const record *r)
{
    float *const y = golden_memory(c, r->x.count, sizeof *y);
    octet_trained_forward(y, NULL, r->x.real, r->trained, &r->shape);
    golden_note_floats(c, "fake quant: forward", y, r->y.real, r->x.count);
}

static octet_trained_sums new_sums(golden_case *c, const record *r)
{
    return (octet_trained_sums){ golden_memory(c, r->shape.channels, sizeof(double)),
                                 golden_memory(c, r->shape.channels, sizeof(double)) };
}

/* Sums of the absolute terms: one term at a time, by a gradient that is 0 elsewhere. */
static octet_trained_sums magnitudes(golden_case *c, const record *r)
{
    const octet_trained_sums all = new_sums(c, r), one = new_sums(c, r);
    float *const dx = golden_memory(c, r->x.count, sizeof *dx), *const dy = golden_memory(c, r->x.count, sizeof *dy);
    for (size_t i = 0; i < r->x.count; i++) {
        const size_t channel = i / r->shape.inner % r->shape.channels;
        dy[i] = r->dy.real[i];
        one.scale[channel] = one.zero_point[channel] = 0;
        octet_trained_backward(dx, &one, dy, r->x.real, r->trained, &r->shape);
        all.scale[channel] += fabs(one.scale[channel]);
        all.zero_point[channel] += fabs(one.zero_point[channel]);
        dy[i] = 0;
    }
    return all;
}

typedef struct sum_record {
    const char   *row, *member;
    const double *sum, *magnitude;
} sum_record;

static void check_sums(golden_case *c, const record *r, const sum_record *s)
{
    const size_t channels = r->shape.channels;
    const double factor = json_number_value(json_object_get(json_object_get(c->manifest, "grad_factor_f64"), "f64"));
    const bool lsq = factor != 1;
    golden_array want;
    float *const got = golden_memory(c, channels, sizeof *got);
    double *const tolerance = golden_memory(c, channels, sizeof *tolerance);
    if (!golden_array_read(&want, c, json_object_get(c->manifest, s->member))) return;
    if (want.count != channels || (lsq && factor != octet_trained_factor(r->trained, r->x.count))) {
        golden_fail(c, "unexpected %s", want.count != channels ? s->member : "factor");
        return;
    }
    for (size_t i = 0; i < channels; i++) {
        got[i] = (float)(s->sum[i] * factor);
        tolerance[i] = 1e-6 * s->magnitude[i] * factor;
    }
    golden_note_near(c, s->row, got, want.real, tolerance, channels);
}

static void check_learnable(golden_case *c, const record *r)
{
    const octet_trained_sums sums = new_sums(c, r), sizes = magnitudes(c, r);
    float *const dx = golden_memory(c, r->x.count, sizeof *dx);
    octet_trained_backward(dx, &sums, r->dy.real, r->x.real, r->trained, &r->shape);
    golden_note_floats(c, "learnable fake quant: gradient of x", dx, r->dx.real, r->x.count);
    check_sums(c, r, &(sum_record){ "learnable fake quant: gradient of scale (1e-6 of sum of terms)", "grad_scale",
                                    sums.scale, sizes.scale });
    check_sums(c, r, &(sum_record){ "learnable fake quant: gradient of zero_point (1e-6 of sum of terms)",
                                    "grad_zero_point", sums.zero_point, sizes.zero_point });
}

static void check_straight(golden_case *c, const record *r)
{
    float *const dx = golden_memory(c, r->x.count, sizeof *dx);
    octet_trained_backward(dx, NULL, r->dy.real, r->x.real, r->trained, &r->shape);
    golden_note_floats(c, "fake quant: gradient of x", dx, r->dx.real, r->x.count);
}

void golden_fake_quant(golden_case *c)
{
    record r = { .learnable = strstr(c->name, "/learnable") != NULL };
    if (!golden_array_read(&r.x, c, json_object_get(c->manifest, "x"))) return;
    if (!golden_array_read(&r.y, c, json_object_get(c->manifest, "y"))) return;
    if (!golden_array_read(&r.dy, c, json_object_get(c->manifest, "grad_y"))) return;
    if (!golden_array_read(&r.dx, c, json_object_get(c->manifest, "grad_x"))) return;
    if (!read_parameters(&r, c)) return;
    const size_t count = r.x.count;
    r.shape = shape_of(&r.x, r.trained);
    if (!r.x.real || r.y.count != count || r.dy.count != count || r.dx.count != count) {
        golden_fail(c, "arrays do not fit together");
        return;
    }
    for (size_t i = 0; i < PROFILES; i++) {
        r.trained->profile = profiles[i];
        check_forward(c, &r);
        if (r.learnable) check_learnable(c, &r);
        else check_straight(c, &r);
    }
}

/* ---- observers/fused_moving_avg_fake_quant ---- */

/* "act_quint8", "act_quint8_rr", "wt_qint8_sym", "wt_qint8_pc_sym" */
static octet_quantizer fused_quantizer(const json_t *row)
{
    const char *const config = json_string_value(json_object_get(row, "config"));
    const bool weight = config && !strncmp(config, "wt_qint8", 8), reduces = config && strstr(config, "_rr");
    return (octet_quantizer){
        .fake = OCTET_FAKE_FUSED,
        .formula = OCTET_FORMULA_TORCH,
        .dtype = weight ? OCTET_I8 : OCTET_U8,
        .qmin = weight ? -128 : 0,
        .qmax = weight ? 127 : 255,
        .symmetric = config && strstr(config, "_sym"),
        .per_channel = config && strstr(config, "_pc"),
        .reduce_range = reduces,
        .averaging = (float)json_number_value(json_object_get(row, "averaging_constant")),
    };
}

static bool check_state(golden_case *c, const octet_trained *t, const json_t *state)
{
    static const char *const members[] = { "min", "max", "scale", "zero_point" };
    for (size_t m = 0; m < 4; m++) {
        const json_t *const list = json_object_get(state, members[m]);
        if ((int64_t)json_array_size(list) != t->channels) return golden_fail(c, "unexpected %s", members[m]);
        for (size_t i = 0; i < (size_t)t->channels; i++) {
            const json_t *const item = json_array_get(list, i);
            const float values[] = { t->range[i].min, t->range[i].max, t->scale[i] };
            const int32_t zero = octet_trained_zero_point(t, (int64_t)i), want = (int32_t)json_integer_value(item);
            if (m == 3) {
                golden_note_levels(c, "fused fake quant: zero point", &zero, &want, 1, 0);
                continue;
            }
            const float real = golden_f32(c, item);
            golden_note_floats(c, m == 2 ? "fused fake quant: scale (ChooseQuantizationParams)"
                                         : "fused fake quant: running min/max", &values[m], &real, 1);
        }
    }
    return true;
}

static bool check_fused(golden_case *c, const json_t *row)
{
    golden_array batches, last;
    const json_t *const states = json_object_get(row, "after_batch");
    const octet_quantizer quantizer = fused_quantizer(row);
    if (!golden_npy_read(&batches, c, json_string_value(json_object_get(row, "stream")))) return false;
    if (!golden_array_read(&last, c, json_object_get(row, "last_output"))) return false;
    const size_t count = (size_t)batches.dims[0];
    if (!count || json_array_size(states) != count || last.count != batches.count / count)
        return golden_fail(c, "unexpected batches");
    octet_trained *const t = make(c, &quantizer, quantizer.per_channel ? (size_t)last.dims[0] : 1, 0);
    if (!t) return false;
    if (t->qmin != golden_int(row, "quant_min", -1) || t->qmax != golden_int(row, "quant_max", -1))
        return golden_fail(c, "levels are %d..%d", t->qmin, t->qmax);
    const octet_channel_shape shape = shape_of(&last, t);
    float *const y = golden_memory(c, last.count, sizeof *y);
    for (size_t i = 0; i < count; i++) {
        const float *const x = batches.real + i * last.count;
        octet_trained_observe(t, x, &shape);
        octet_trained_forward(y, NULL, x, t, &shape);
        if (!check_state(c, t, json_array_get(states, i))) return false;
    }
    golden_note_floats(c, "fused fake quant: last output", y, last.real, last.count);
    return true;
}

void golden_fused(golden_case *c)
{
    const json_t *const rows = json_object_get(c->manifest, "rows");
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (!check_fused(c, json_array_get(rows, i))) return;
}

/* ---- observers/fixed_qparams ---- */

void golden_fixed(golden_case *c)
{
    const json_t *const rows = json_object_get(c->manifest, "rows");
    const float x[] = { -1e3f, 1e3f };
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *const row = json_array_get(rows, i);
        const octet_quantizer quantizer = {
            .fake = OCTET_FAKE_FIXED,
            .formula = OCTET_FORMULA_TORCH,
            .dtype = golden_dtype(json_object_get(row, "dtype")),
            .fixed_scale = (float)json_number_value(json_object_get(row, "scale_arg")),
            .fixed_zero_point = (int32_t)golden_int(row, "zero_point_arg", 0),
        };
        octet_trained *const t = make(c, &quantizer, 1, 0);
        if (!t) return;
        octet_trained_observe(t, x, &(octet_channel_shape){ 1, 1, 2 });
        const float scale = golden_f32(c, json_object_get(row, "scale"));
        const int32_t zero = octet_trained_zero_point(t, 0), want = (int32_t)golden_int(row, "zero_point", -1);
        golden_note_floats(c, "fixed qparams: scale", t->scale, &scale, 1);
        golden_note_levels(c, "fixed qparams: zero point", &zero, &want, 1, 0);
    }
}
