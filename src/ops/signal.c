/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of signals: HannWindow, HammingWindow, BlackmanWindow, DFT and MelWeightMatrix, by their definitions, in
   double; STFT, which the reader makes a Conv of (onnx/read_stft.c). */
#include "base/math.h"
#include "ops/check.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <math.h>

typedef struct signal_attrs {
    int64_t output_datatype; /* TensorProto.DataType */
    int64_t periodic;        /* windows */
    int64_t inverse, onesided; /* DFT */
} signal_attrs;

static const double PI = 3.14159265358979323846;

/* ---- windows and the matrix: results of a float type that an attribute names ---- */

static octet_status float_type(octet_dtype *dtype, const octet_call *call, octet_error *err)
{
    const int64_t to = ((const signal_attrs *)call->attrs)->output_datatype;
    *dtype = to == 1 ? OCTET_F32 : to == 10 ? OCTET_F16 : OCTET_F64;
    if (to == 1 || to == 10 || to == 11) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "output_datatype", "only float types are supported");
}

/* The single integer of an input, in 0..most. */
static octet_status known_int(int64_t *value, const octet_call *call, int slot, const char *name, octet_error *err)
{
    octet_ints list;
    OCTET_TRY(octet_known_ints(&list, call, slot, name, err));
    if (list.count != 1 || list.at[0] < 0 || list.at[0] > INT32_MAX)
        return octet_fail_field(err, OCTET_ERR_SHAPE, name, "one number from 0 to %d is needed", INT32_MAX);
    *value = list.at[0];
    return OCTET_OK;
}

static octet_status infer_window(const octet_call *call, octet_error *err)
{
    octet_dtype dtype = OCTET_NONE;
    int64_t     size = 0;
    OCTET_TRY(float_type(&dtype, call, err));
    OCTET_TRY(known_int(&size, call, 0, "size", err));
    return octet_set_output(call->out[0], dtype, &size, 1, err);
}

/* a - b cos(2 pi i / n) + c cos(4 pi i / n), n being the period. */
static void fill_window(const octet_call *call, double a, double b, double c)
{
    const octet_tensor *const y = call->out[0];
    const int64_t             count = y->dims[0];
    const int64_t             period = ((const signal_attrs *)call->attrs)->periodic ? count : count - 1;
    for (int64_t i = 0; i < count; i++) {
        const double     t = period > 0 ? 2.0 * PI * (double)i / (double)period : 0;
        const octet_wide value = {.f = a - b * octet_cos(t) + c * octet_cos(2.0 * t)};
        octet_wide_store(y->data, y->dtype, i, &value, 1);
    }
}

#define WINDOW(name, a, b, c)                                                                                          \
    static octet_status name##_forward(const octet_call *call, octet_error *err)                                       \
    {                                                                                                                  \
        (void)err;                                                                                                     \
        fill_window(call, a, b, c);                                                                                    \
        return OCTET_OK;                                                                                               \
    }

WINDOW(hann, 0.5, 0.5, 0)
WINDOW(hamming, 25.0 / 46.0, 21.0 / 46.0, 0)
WINDOW(blackman, 0.42, 0.5, 0.08)

/* ---- MelWeightMatrix: triangles between bins that lie evenly on the mel scale ---- */

static octet_status infer_mel(const octet_call *call, octet_error *err)
{
    octet_dtype dtype = OCTET_NONE;
    int64_t     bins = 0, length = 0, rate = 0;
    OCTET_TRY(float_type(&dtype, call, err));
    OCTET_TRY(known_int(&bins, call, 0, "num_mel_bins", err));
    OCTET_TRY(known_int(&length, call, 1, "dft_length", err));
    OCTET_TRY(known_int(&rate, call, 2, "sample_rate", err));
    if (rate == 0) return octet_fail_field(err, OCTET_ERR_SHAPE, "sample_rate", "0 samples in a second");
    for (int slot = 3; slot < 5; slot++)
        if (octet_tensor_count(call->in[slot]) != 1 || !octet_dtype_is_float(call->in[slot]->dtype))
            return octet_fail(err, OCTET_ERR_SHAPE, "the edges in hertz are single floats");
    const int64_t dims[2] = {length / 2 + 1, bins};
    return octet_set_output(call->out[0], dtype, dims, 2, err);
}

static double edge(const octet_call *call, int slot)
{
    octet_wide value;
    octet_wide_load(&value, call->in[slot]->data, call->in[slot]->dtype, 0, 1, 0);
    return 2595.0 * octet_log(1.0 + value.f / 700.0) / octet_log(10.0);
}

/* The bin of the spectrum where mel bin i begins; where the edges are no numbers, 0. */
static int64_t place_of(const octet_call *call, int64_t i)
{
    const double low = edge(call, 3), step = (edge(call, 4) - low) / (double)(octet_int_at(call->in[0], 0) + 2);
    const double hertz = 700.0 * (octet_pow(10.0, ((double)i * step + low) / 2595.0) - 1.0);
    const double length = (double)octet_int_at(call->in[1], 0), rate = (double)octet_int_at(call->in[2], 0);
    const double place = floor((length + 1.0) * hertz / rate);
    return place >= 0 ? (place < (double)INT32_MAX ? (int64_t)place : INT32_MAX) : 0;
}

static octet_status mel_forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const y = call->out[0];
    (void)err;
    for (int64_t i = 0; i < y->dims[1]; i++) {
        const int64_t low = place_of(call, i), middle = place_of(call, i + 1), high = place_of(call, i + 2);
        for (int64_t j = 0; j < y->dims[0]; j++) {
            octet_wide value = {.f = 0};
            if (j >= low && j <= middle) value.f = low == middle ? 1 : (double)(j - low) / (double)(middle - low);
            if (j >= middle && j < high) value.f = (double)(high - j) / (double)(high - middle);
            octet_wide_store(y->data, y->dtype, j * y->dims[1] + i, &value, 1);
        }
    }
    return OCTET_OK;
}

/* ---- DFT: signal, dft_length, axis ---- */

typedef struct dft_run {
    int64_t given, length, kept; /* entries along the axis: of the input, of the transform, of the output */
    int64_t step, lines;         /* between entries, in complex numbers; lines along the axis */
    int     axis;
} dft_run;

static octet_status make_dft(dft_run *run, const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    const signal_attrs *const attrs = call->attrs;
    octet_ints                axis = {.count = 1, .at = {-2}};
    if (octet_has_input(call, 2)) OCTET_TRY(octet_known_ints(&axis, call, 2, "axis", err));
    if (x->rank < 2 || (x->dims[x->rank - 1] != 1 && x->dims[x->rank - 1] != 2))
        return octet_fail(err, OCTET_ERR_SHAPE, "the last dimension of the input holds 1 or 2 parts of a number");
    if (axis.count != 1) return octet_fail_field(err, OCTET_ERR_SHAPE, "axis", "one number is needed");
    OCTET_TRY(octet_check_axis(&run->axis, axis.at[0], x->rank, "axis", err));
    if (run->axis == x->rank - 1)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "axis", "it must not be the one of real and imaginary parts");
    if (attrs->inverse && attrs->onesided)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "onesided", "an inverse transform of one side");
    run->given = run->length = x->dims[run->axis];
    if (octet_has_input(call, 1)) OCTET_TRY(known_int(&run->length, call, 1, "dft_length", err));
    if (run->length < 1 || run->length > INT32_MAX)
        return octet_fail(err, OCTET_ERR_SHAPE, "a transform of %lld entries", (long long)run->length);
    run->kept = attrs->onesided ? run->length / 2 + 1 : run->length;
    run->step = run->lines = 1;
    for (int i = run->axis + 1; i < x->rank - 1; i++) run->step *= x->dims[i];
    for (int i = 0; i < x->rank - 1; i++) run->lines *= i == run->axis ? 1 : x->dims[i];
    return OCTET_OK;
}

static octet_status infer_dft(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    dft_run                   run;
    int64_t                   dims[OCTET_MAX_RANK];
    OCTET_TRY(make_dft(&run, call, err));
    for (int i = 0; i < x->rank; i++) dims[i] = i == run.axis ? run.kept : i == x->rank - 1 ? 2 : x->dims[i];
    return octet_set_output(call->out[0], x->dtype, dims, x->rank, err);
}

static octet_status dft_forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0], *const y = call->out[0];
    const int64_t             parts = x->dims[x->rank - 1];
    const bool                inverse = ((const signal_attrs *)call->attrs)->inverse != 0;
    dft_run                   run;
    OCTET_TRY(make_dft(&run, call, err));
    const int64_t taps = run.given < run.length ? run.given : run.length;
    for (int64_t i = 0; i < run.lines * run.kept; i++) {
        const int64_t line = i / run.kept, k = i % run.kept;
        const int64_t outer = line / run.step, inner = line % run.step;
        octet_wide    sum[2] = {{.f = 0}, {.f = 0}}, in[2] = {{.f = 0}, {.f = 0}};
        for (int64_t j = 0; j < taps; j++) {
            const double turn = 2.0 * PI * (double)(j * k % run.length) / (double)run.length;
            const double c = octet_cos(turn), s = inverse ? octet_sin(turn) : -octet_sin(turn);
            octet_wide_load(in, x->data, x->dtype, ((outer * run.given + j) * run.step + inner) * parts, (size_t)parts,
                            1);
            sum[0].f += in[0].f * c - in[1].f * s;
            sum[1].f += in[0].f * s + in[1].f * c;
        }
        for (int part = 0; part < 2 && inverse; part++) sum[part].f /= (double)run.length;
        octet_wide_store(y->data, y->dtype, ((outer * run.kept + k) * run.step + inner) * 2, sum, 2);
    }
    return OCTET_OK;
}

/* ---- STFT: signal [batch, length, 1 or 2], frame_step, window, frame_length ---- */

static octet_status frame_of(int64_t *frame, const octet_call *call, octet_error *err)
{
    const octet_tensor *const window = octet_has_input(call, 2) ? call->in[2] : NULL;
    *frame = window && window->rank == 1 ? window->dims[0] : call->in[0]->dims[1];
    if (octet_has_input(call, 3)) OCTET_TRY(known_int(frame, call, 3, "frame_length", err));
    if (window) OCTET_TRY(octet_check_same_type(call, 2, "window", err));
    if (window && (window->rank != 1 || window->dims[0] != *frame))
        return octet_fail_field(err, OCTET_ERR_SHAPE, "window", "one number for each entry of a frame is needed");
    if (*frame < 1 || *frame > call->in[0]->dims[1])
        return octet_fail_field(err, OCTET_ERR_SHAPE, "frame_length", "frames of %lld in a signal of %lld",
                                (long long)*frame, (long long)call->in[0]->dims[1]);
    return OCTET_OK;
}

static octet_status infer_stft(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    const bool                onesided = ((const signal_attrs *)call->attrs)->onesided != 0;
    int64_t                   step = 0, frame = 0;
    if (x->rank != 3 || x->dims[2] < 1 || x->dims[2] > 2)
        return octet_fail(err, OCTET_ERR_SHAPE, "the signal is [batch, length, 1 or 2]");
    if (onesided && x->dims[2] == 2)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "onesided", "one side of a complex signal");
    OCTET_TRY(known_int(&step, call, 1, "frame_step", err));
    if (step < 1) return octet_fail_field(err, OCTET_ERR_SHAPE, "frame_step", "a step of 0");
    OCTET_TRY(frame_of(&frame, call, err));
    const int64_t dims[] = {x->dims[0], (x->dims[1] - frame) / step + 1, onesided ? frame / 2 + 1 : frame, 2};
    return octet_set_output(call->out[0], x->dtype, dims, 4, err);
}

/* ---- rows ---- */

#define INT_ROW(as, number, most)                                                                                      \
    {.name = #as, .kind = OCTET_ATTR_INT, .offset = offsetof(signal_attrs, as), .default_i = number, .max = most}
#define END {.kind = OCTET_ATTR_END}

static const octet_attr stft_rows[] = {INT_ROW(onesided, 1, 1), END};
static const octet_attr window_rows[] = {INT_ROW(output_datatype, 1, 0), INT_ROW(periodic, 1, 1), END};
static const octet_attr mel_rows[] = {INT_ROW(output_datatype, 1, 0), END};
static const octet_attr dft_rows[] = {INT_ROW(inverse, 0, 1), INT_ROW(onesided, 0, 1), END};

#define SIGNAL(onnx, opset, rows, least, most)                                                                         \
    .name = onnx, .since = opset, .min_inputs = least, .max_inputs = most, .min_outputs = 1, .max_outputs = 1,         \
    .attrs = rows, .attrs_size = sizeof(signal_attrs)
#define SIZES .types = OCTET_TYPE(OCTET_I32) | OCTET_TYPE(OCTET_I64)

const octet_op octet_op_blackman_window = {
    SIGNAL("BlackmanWindow", 17, window_rows, 1, 1), SIZES, .infer = infer_window, .forward = blackman_forward,
};
const octet_op octet_op_dft = {
    SIGNAL("DFT", 20, dft_rows, 1, 3), .types = OCTET_TYPES_FLOAT, .infer = infer_dft, .forward = dft_forward,
};
const octet_op octet_op_hamming_window = {
    SIGNAL("HammingWindow", 17, window_rows, 1, 1), SIZES, .infer = infer_window, .forward = hamming_forward,
};
const octet_op octet_op_hann_window = {
    SIGNAL("HannWindow", 17, window_rows, 1, 1), SIZES, .infer = infer_window, .forward = hann_forward,
};
const octet_op octet_op_mel_weight_matrix = {
    SIGNAL("MelWeightMatrix", 17, mel_rows, 5, 5), SIZES, .infer = infer_mel, .forward = mel_forward,
};

const octet_op octet_op_stft = {
    .name = "STFT",
    .since = 17,
    .min_inputs = 2,
    .max_inputs = 4,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_FLOAT,
    .attrs = stft_rows,
    .attrs_size = sizeof(signal_attrs),
    .infer = infer_stft,
};
