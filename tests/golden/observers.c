/* SPDX-License-Identifier: Apache-2.0 */
/* Observers of the min-max family: state and qparams after every batch. */
#include "golden.h"

#include "observe/observer.h"
#include "observe/qparams.h"

#include <string.h>

typedef struct stream {
    golden_array batches; /* [batch, ...] */
    int          axis;    /* of a batch's channels; -1: per tensor */
    size_t       channels, outer, inner;
    float        averaging; /* 0: min-max over everything */
} stream;

static bool open_stream(stream *s, golden_case *c)
{
    const json_t *const args = json_object_get(c->manifest, "args");
    if (!golden_npy_read(&s->batches, c, json_string_value(json_object_get(c->manifest, "batches")))) return false;
    s->axis = (int)golden_int(args, "ch_axis", -1);
    s->averaging = (float)json_number_value(json_object_get(args, "averaging_constant"));
    if (!s->batches.real || s->batches.rank < 2 || s->axis >= s->batches.rank - 1)
        return golden_fail(c, "unexpected batches");
    s->channels = s->axis < 0 ? 1 : (size_t)s->batches.dims[s->axis + 1];
    s->outer = s->inner = 1;
    for (int i = 1; i < s->batches.rank; i++)
        if (i - 1 < s->axis) s->outer *= (size_t)s->batches.dims[i];
        else if (i - 1 > s->axis) s->inner *= (size_t)s->batches.dims[i];
    return true;
}

/* Ranges after each batch, [batch, channel]. Per tensor through octet_observer, as calibration does it. */
static octet_range *observe(const stream *s, golden_case *c)
{
    const size_t batches = (size_t)s->batches.dims[0], size = s->batches.count / batches;
    octet_range *const states = golden_memory(c, batches * s->channels, sizeof *states);
    octet_range *const current = golden_memory(c, s->channels, sizeof *current);
    octet_range *const seen = golden_memory(c, s->channels, sizeof *seen);
    octet_observer observer = { .averaging = s->averaging };
    for (size_t b = 0; b < batches; b++) {
        const float *const x = s->batches.real + b * size;
        memset(current, 0, s->channels * sizeof *current);
        octet_range_observe_channels(current, x, s->outer, s->channels, s->inner);
        octet_observer_observe(&observer, x, size);
        for (size_t i = 0; i < s->channels; i++) {
            if (s->averaging > 0) octet_range_move(&seen[i], current[i], s->averaging);
            else seen[i] = octet_range_union(seen[i], current[i]);
            if (s->axis < 0) seen[i] = s->averaging > 0 ? observer.moving : observer.range;
        }
        memcpy(states + b * s->channels, seen, s->channels * sizeof *seen);
    }
    return states;
}

static bool check_ranges(golden_case *c, const octet_range *states, size_t count)
{
    golden_array low, high;
    if (!golden_array_read(&low, c, json_object_get(c->manifest, "min"))) return false;
    if (!golden_array_read(&high, c, json_object_get(c->manifest, "max"))) return false;
    if (low.count != count || high.count != count) return golden_fail(c, "unexpected number of ranges");
    float *const got = golden_memory(c, 2 * count, sizeof *got);
    for (size_t i = 0; i < count; i++) {
        got[i] = states[i].min;
        got[count + i] = states[i].max;
    }
    golden_note_floats(c, "observers: running min/max", got, low.real, count);
    golden_note_floats(c, "observers: running min/max", got + count, high.real, count);
    return true;
}

octet_torch_quantizer golden_torch_quantizer(golden_case *c, const json_t *config)
{
    const char *const scheme = json_string_value(json_object_get(config, "qscheme"));
    const bool symmetric = scheme && strstr(scheme, "symmetric"), floating = scheme && strstr(scheme, "float_qparams");
    return (octet_torch_quantizer){
        .scheme = floating ? OCTET_TORCH_FLOAT_QPARAMS : symmetric ? OCTET_TORCH_SYMMETRIC : OCTET_TORCH_AFFINE,
        .is_signed = golden_dtype(json_object_get(config, "dtype")) == OCTET_I8,
        .custom = json_is_integer(json_object_get(config, "quant_min_arg")),
        .qmin = (int32_t)golden_int(config, "quant_min_arg", 0),
        .qmax = (int32_t)golden_int(config, "quant_max_arg", 0),
        .reduce_range = json_is_true(json_object_get(config, "reduce_range")),
        .eps = golden_f32(c, json_object_get(config, "eps")),
    };
}

/* What one config recorded for every state. */
typedef struct record {
    const float   *scales;
    const int32_t *zeros;
    const float   *real_zeros; /* instead of zeros, where not NULL */
} record;

static void check_config(golden_case *c, const octet_torch_quantizer *quantizer, const octet_range *states,
                         size_t count, record want)
{
    float *const scale = golden_memory(c, count, sizeof *scale), *const real = golden_memory(c, count, sizeof *real);
    int32_t *const zero = golden_memory(c, count, sizeof *zero);
    for (size_t i = 0; i < count; i++) {
        const octet_affine affine = octet_qparams_torch(&real[i], quantizer, states[i]);
        scale[i] = affine.scale;
        zero[i] = affine.zero_point;
    }
    golden_note_floats(c, "observers: scale", scale, want.scales, count);
    if (want.real_zeros) golden_note_floats(c, "observers: float zero point", real, want.real_zeros, count);
    else golden_note_levels(c, "observers: zero point", zero, want.zeros, count, 0);
}

static void check_levels(golden_case *c, const octet_torch_quantizer *quantizer, const json_t *config)
{
    int32_t got[2];
    const int32_t want[2] = { (int32_t)golden_int(config, "effective_quant_min", INT32_MIN),
                              (int32_t)golden_int(config, "effective_quant_max", INT32_MIN) };
    octet_torch_levels(&got[0], &got[1], quantizer);
    golden_note_levels(c, "observers: quant_min, quant_max", got, want, 2, 0);
}

void golden_observers(golden_case *c)
{
    stream s;
    golden_array scale, zero, real_zero = { 0 };
    const json_t *const configs = json_object_get(c->manifest, "configs"), *config;
    const json_t *const real = json_object_get(c->manifest, "zero_point_float_qparams");
    if (!open_stream(&s, c)) return;
    const size_t count = (size_t)s.batches.dims[0] * s.channels, config_count = json_array_size(configs);
    const octet_range *const states = observe(&s, c);
    if (!check_ranges(c, states, count)) return;
    if (!golden_array_read(&scale, c, json_object_get(c->manifest, "scale"))) return;
    if (!golden_array_read(&zero, c, json_object_get(c->manifest, "zero_point"))) return;
    if (real && !golden_array_read(&real_zero, c, real)) return;
    if (scale.count != config_count * count) {
        golden_fail(c, "unexpected number of scales");
        return;
    }
    size_t index, integers = 0;
    json_array_foreach((json_t *)configs, index, config) {
        const octet_torch_quantizer quantizer = golden_torch_quantizer(c, config);
        const bool floating = quantizer.scheme == OCTET_TORCH_FLOAT_QPARAMS;
        if (floating ? real_zero.count != count : (integers + 1) * count > zero.count) {
            golden_fail(c, "unexpected number of zero points");
            return;
        }
        check_levels(c, &quantizer, config);
        check_config(c, &quantizer, states, count,
                     (record){ .scales = scale.real + index * count,
                               .zeros = floating ? NULL : zero.level + integers * count,
                               .real_zeros = floating ? real_zero.real : NULL });
        integers += !floating;
    }
}
