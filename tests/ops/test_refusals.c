/* SPDX-License-Identifier: Apache-2.0 */
/* Infer functions as the last line against hostile files: every row makes one call that cannot be right and names the
   attribute or input that must be blamed. */
#include "case.h"

typedef struct refusal {
    const char *op;
    void (*make)(op_case *c);
    const char *field; /* "" where the shapes themselves are to blame */
    int         outputs;
} refusal;

static void image(op_case *c) { case_input(c, OCTET_F32, DIMS(2, 4, 8, 8)); }

static void unknown(op_case *c, const int64_t *dims)
{
    case_input(c, OCTET_I64, dims)->data = NULL;
}

static void floats(op_case *c, int count, const float *values)
{
    memcpy(case_input(c, OCTET_F32, DIMS(count))->data, values, (size_t)count * sizeof *values);
}

static void reshape_two_open(op_case *c) { image(c); INTS(c, -1, 2, -1); }
static void reshape_negative(op_case *c) { image(c); INTS(c, -2, 512); }
static void reshape_zero_beyond(op_case *c) { image(c); INTS(c, 2, 4, 8, 8, 0); }
static void reshape_overflow(op_case *c) { image(c); INTS(c, INT64_MAX, INT64_MAX, -1); }
static void reshape_count(op_case *c) { image(c); INTS(c, 2, 5); }
static void reshape_open_of_nothing(op_case *c) { image(c); INTS(c, -1, 3); }
static void reshape_unknown(op_case *c) { image(c); unknown(c, DIMS(2)); }
static void reshape_floats(op_case *c) { image(c); floats(c, 1, (float[]){ 512.0f }); }
static void flatten_axis(op_case *c) { image(c); case_set_int(c, "axis", 5); }
static void squeeze_of_eight(op_case *c) { image(c); INTS(c, 2); }
static void squeeze_outside(op_case *c) { image(c); INTS(c, -5); }
static void unsqueeze_twice(op_case *c) { image(c); INTS(c, 0, -6); }
static void unsqueeze_nine(op_case *c) { image(c); INTS(c, 0, 1, 2, 3, 4); }
static void transpose_twice(op_case *c) { image(c); case_set_ints(c, "perm", 4, (int64_t[]){ 0, 0, 1, 2 }); }
static void transpose_short(op_case *c) { image(c); case_set_ints(c, "perm", 3, (int64_t[]){ 0, 1, 2 }); }
static void transpose_outside(op_case *c) { image(c); case_set_ints(c, "perm", 4, (int64_t[]){ 0, 1, 2, 4 }); }
static void concat_axis(op_case *c) { image(c); image(c); case_set_int(c, "axis", 7); }
static void concat_shapes(op_case *c)
{
    image(c);
    case_input(c, OCTET_F32, DIMS(2, 4, 4, 8));
    case_set_int(c, "axis", 1);
}
static void concat_types(op_case *c)
{
    image(c);
    case_input(c, OCTET_I32, DIMS(2, 4, 8, 8));
    case_set_int(c, "axis", 1);
}
static void split_negative(op_case *c) { image(c); INTS(c, -1, 5); case_set_int(c, "axis", 1); }
static void split_sum(op_case *c) { image(c); INTS(c, 1, 2); case_set_int(c, "axis", 1); }
static void split_overflow(op_case *c) { image(c); INTS(c, INT64_MAX, INT64_MAX); case_set_int(c, "axis", 1); }
static void split_count(op_case *c) { image(c); INTS(c, 1, 1, 2); case_set_int(c, "axis", 1); }
static void split_uneven(op_case *c) { image(c); case_set_int(c, "axis", 1); }
static void slice_step_0(op_case *c) { image(c); INTS(c, 0); INTS(c, 4); INTS(c, 1); INTS(c, 0); }
static void slice_axis_twice(op_case *c) { image(c); INTS(c, 0, 0); INTS(c, 4, 4); INTS(c, 1, -3); }
static void slice_lengths(op_case *c) { image(c); INTS(c, 0, 0); INTS(c, 4); }
static void slice_unknown(op_case *c) { image(c); unknown(c, DIMS(1)); INTS(c, 4); }
static void pad_short(op_case *c) { image(c); INTS(c, 0, 0, 0); }
static void pad_overflow(op_case *c) { image(c); INTS(c, INT64_MAX, 0, 0, 0, INT64_MAX, 0, 0, 0); }
static void pad_lowest(op_case *c) { image(c); INTS(c, INT64_MIN, 0, 0, 0, 0, 0, 0, 0); }
static void pad_all_away(op_case *c) { image(c); INTS(c, 0, 0, -9, 0, 0, 0, 0, 0); }
static void pad_huge(op_case *c) { image(c); INTS(c, 0, 0, INT64_MAX / 16, 0, 0, 0, 0, 0); }
static void pad_mode(op_case *c) { image(c); INTS(c, 0, 0, 0, 0, 0, 0, 0, 0); case_set_string(c, "mode", "wrapped"); }
static void pad_value(op_case *c) { image(c); INTS(c, 0, 0, 0, 0, 0, 0, 0, 0); case_input(c, OCTET_F32, DIMS(2)); }
static void gather_far(op_case *c) { image(c); INTS(c, 1000000); case_set_int(c, "axis", 1); }
static void gather_far_back(op_case *c) { image(c); INTS(c, -5); case_set_int(c, "axis", 1); }
static void gather_axis(op_case *c) { image(c); INTS(c, 0); case_set_int(c, "axis", 4); }
static void gather_floats(op_case *c) { image(c); floats(c, 1, (float[]){ 0.0f }); }
static void pad_axes(op_case *c) { image(c); INTS(c, 0, 1, 0, 1); case_absent(c); INTS(c, 3, -1); }
static void pad_axes_count(op_case *c) { image(c); INTS(c, 0, 1, 0, 1); case_absent(c); INTS(c, 3); }
static void elements_shape(op_case *c) { image(c); INTS(c, 0, 1); }
static void elements_far(op_case *c) { floats(c, 3, (float[]){ 1, 2, 3 }); INTS(c, 0, 3); }
static void elements_long(op_case *c)
{
    image(c);
    case_input(c, OCTET_I64, DIMS(2, 5, 8, 1));
    case_set_int(c, "axis", 3);
}
static void tuple_long(op_case *c) { image(c); INTS(c, 0, 1, 2, 3, 4); }
static void tuple_far(op_case *c) { image(c); INTS(c, 0, -5); }
static void tuple_batch(op_case *c) { image(c); INTS(c, 0); case_set_int(c, "batch_dims", 1); }
static void tuple_scalar(op_case *c) { image(c); case_input(c, OCTET_I64, DIMS(-1)); }
static void scatter_updates(op_case *c) { elements_far(c); floats(c, 2, (float[]){ 7, 8 }); }
static void scatter_short(op_case *c)
{
    floats(c, 3, (float[]){ 1, 2, 3 });
    INTS(c, 0);
    floats(c, 2, (float[]){ 7, 8 });
}
static void scatter_types(op_case *c) { floats(c, 3, (float[]){ 1, 2, 3 }); INTS(c, 0); INTS(c, 1); }
static void scatter_reduction(op_case *c)
{
    floats(c, 3, (float[]){ 1, 2, 3 });
    INTS(c, 0);
    floats(c, 1, (float[]){ 7 });
    case_set_string(c, "reduction", "mean");
}
static void expand_shapes(op_case *c) { image(c); INTS(c, 3, 1, 1); }
static void expand_negative(op_case *c) { image(c); INTS(c, -1, 1, 1); }
static void expand_nine(op_case *c) { image(c); INTS(c, 1, 1, 1, 1, 1, 1, 1, 1, 1); }
static void expand_huge(op_case *c) { case_input(c, OCTET_F32, DIMS(1)); INTS(c, INT64_MAX / 2, 4); }
static void expand_unknown(op_case *c) { image(c); unknown(c, DIMS(4)); }
static void tile_short(op_case *c) { image(c); INTS(c, 2, 2); }
static void tile_negative(op_case *c) { image(c); INTS(c, 1, 1, -1, 1); }
static void tile_overflow(op_case *c) { image(c); INTS(c, 1, 1, INT64_MAX, 1); }
static void space_size(op_case *c) { image(c); case_set_int(c, "blocksize", 3); }
static void space_rank(op_case *c) { case_input(c, OCTET_F32, DIMS(4, 8, 8)); case_set_int(c, "blocksize", 2); }
static void arg_axis(op_case *c) { image(c); case_set_int(c, "axis", -5); }
static void arg_nothing(op_case *c) { case_input(c, OCTET_F32, DIMS(2, 0)); case_set_int(c, "axis", 1); }
static void top_many(op_case *c) { image(c); INTS(c, 9); }
static void top_negative(op_case *c) { image(c); INTS(c, -1); }
static void top_two(op_case *c) { image(c); INTS(c, 1, 1); }
static void sum_axis_far(op_case *c) { image(c); INTS(c, 4); }
static void reverse_length(op_case *c) { image(c); INTS(c, 1, 1, 3, 1); }
static void reverse_count(op_case *c) { image(c); INTS(c, 1, 1); }
static void reverse_axes(op_case *c) { image(c); INTS(c, 1, 1); case_set_int(c, "batch_axis", 0); }
static void eye_rank(op_case *c) { image(c); }
static void eye_type(op_case *c) { case_input(c, OCTET_F32, DIMS(2, 2)); case_set_int(c, "dtype", 40); }
static void hot_depth(op_case *c) { INTS(c, 1); INTS(c, -1); floats(c, 2, (float[]){ 0, 1 }); }
static void hot_values(op_case *c) { INTS(c, 1); INTS(c, 3); floats(c, 1, (float[]){ 0 }); }
static void hot_huge(op_case *c) { INTS(c, 1, 2); INTS(c, INT64_MAX / 2); floats(c, 2, (float[]){ 0, 1 }); }
static void hot_axis(op_case *c) { hot_depth(c); *(int64_t *)c->in[1].data = 3; case_set_int(c, "axis", 2); }
static void range_step_0(op_case *c) { INTS(c, 0); INTS(c, 5); INTS(c, 0); }
static void range_nan(op_case *c) { for (int i = 0; i < 3; i++) floats(c, 1, (float[]){ NAN }); }
static void range_endless(op_case *c)
{
    for (int i = 0; i < 3; i++) floats(c, 1, (float[]){ i == 1 ? 1e38f : 1e-38f });
}
static void range_types(op_case *c) { INTS(c, 0); INTS(c, 5); floats(c, 1, (float[]){ 1 }); }
static void range_huge(op_case *c) { INTS(c, INT64_MIN); INTS(c, INT64_MAX); INTS(c, 1); }
static void triangle_rank(op_case *c) { floats(c, 3, (float[]){ 1, 2, 3 }); }
static void compress_long(op_case *c) { image(c); case_input(c, OCTET_BOOL, DIMS(5)); case_set_int(c, "axis", 1); }
static void compress_type(op_case *c) { image(c); INTS(c, 1); }
static void unique_unknown(op_case *c) { unknown(c, DIMS(3)); }
static void boxes_shape(op_case *c) { image(c); case_input(c, OCTET_F32, DIMS(1, 1, 3)); }
static void boxes_types(op_case *c) { image(c); case_input(c, OCTET_F32, DIMS(1, 1, 3)); floats(c, 1, (float[]){ 3 }); }
static void boxes_many(op_case *c)
{
    case_input(c, OCTET_F32, DIMS(1, 1 << 16, 4));
    case_input(c, OCTET_F32, DIMS(1, 1, 1 << 16));
    INTS(c, INT64_MAX);
}
static void where_shapes(op_case *c)
{
    case_input(c, OCTET_BOOL, DIMS(3));
    image(c);
    image(c);
}
static void where_types(op_case *c) { case_input(c, OCTET_BOOL, DIMS(1)); image(c); INTS(c, 1); }
static void depth_channels(op_case *c) { image(c); case_set_int(c, "blocksize", 3); }
static void depth_mode(op_case *c) { image(c); case_set_int(c, "blocksize", 2); case_set_string(c, "mode", "RCD"); }
static void cast_99(op_case *c) { image(c); case_set_int(c, "to", 99); }
static void cast_string(op_case *c) { image(c); case_set_int(c, "to", 8); }
static void constant_none(op_case *c) { (void)c; }
static void constant_two(op_case *c)
{
    case_set_int(c, "value_int", 1);
    case_set_ints(c, "value_ints", 1, (int64_t[]){ 1 });
}
static void fill_negative(op_case *c) { INTS(c, 2, -3); }
static void fill_overflow(op_case *c) { INTS(c, INT64_MAX, 16); }
static void clip_vector(op_case *c) { image(c); case_input(c, OCTET_F32, DIMS(2)); }
static void clip_type(op_case *c) { image(c); case_absent(c); INTS(c, 6); }
static void add_shapes(op_case *c) { image(c); case_input(c, OCTET_F32, DIMS(3, 1, 1)); }
static void add_types(op_case *c) { image(c); case_input(c, OCTET_F64, DIMS(1)); }
static void leaky_nan(op_case *c) { image(c); *(float *)case_attr(c, "alpha") = NAN; }
static void resize_zero(op_case *c) { image(c); case_absent(c); floats(c, 4, (float[]){ 1, 1, 0, 2 }); }
static void resize_negative(op_case *c) { image(c); case_absent(c); floats(c, 4, (float[]){ 1, 1, -1, 2 }); }
static void resize_nan(op_case *c) { image(c); case_absent(c); floats(c, 4, (float[]){ 1, 1, NAN, 2 }); }
static void resize_huge(op_case *c) { image(c); case_absent(c); floats(c, 4, (float[]){ 1, 1, 1e30f, 2 }); }
static void resize_short(op_case *c) { image(c); case_absent(c); floats(c, 2, (float[]){ 2, 2 }); }
static void resize_none(op_case *c) { image(c); case_absent(c); floats(c, 0, (float[]){ 0 }); }
static void resize_both(op_case *c) { resize_short(c); INTS(c, 2, 4, 16, 16); }
static void resize_sizes(op_case *c) { image(c); case_absent(c); case_absent(c); INTS(c, 2, 4, -16, 16); }
static void resize_mode(op_case *c) { resize_short(c); case_set_string(c, "mode", "area"); }
static void resize_roi(op_case *c)
{
    image(c);
    case_absent(c);
    floats(c, 4, (float[]){ 1, 1, 2, 2 });
    case_set_string(c, "coordinate_transformation_mode", "tf_crop_and_resize");
}
static void quantize_scales(op_case *c) { image(c); floats(c, 3, (float[]){ 1, 1, 1 }); }
static void quantize_axis(op_case *c) { image(c); floats(c, 4, (float[]){ 1, 1, 1, 1 }); case_set_int(c, "axis", 9); }
static void dequantize_types(op_case *c)
{
    case_input(c, OCTET_U8, DIMS(4));
    floats(c, 1, (float[]){ 1 });
    case_input(c, OCTET_I8, DIMS(1));
}
static void dropout_training(op_case *c)
{
    image(c);
    case_absent(c);
    *(uint8_t *)case_input(c, OCTET_BOOL, DIMS(-1))->data = 1;
}

static void elu_infinite(op_case *c) { image(c); *(float *)case_attr(c, "alpha") = INFINITY; }
static void celu_zero(op_case *c) { image(c); *(float *)case_attr(c, "alpha") = 0; }
static void selu_nan(op_case *c) { image(c); *(float *)case_attr(c, "gamma") = NAN; }
static void gelu_form(op_case *c) { image(c); case_set_string(c, "approximate", "sigmoid"); }
static void shrink_bias(op_case *c) { image(c); *(float *)case_attr(c, "bias") = NAN; }
static void sum_types(op_case *c) { image(c); image(c); case_input(c, OCTET_F64, DIMS(8)); }
static void sum_absent(op_case *c) { image(c); case_absent(c); }
static void max_shapes(op_case *c) { image(c); case_input(c, OCTET_F32, DIMS(3)); }
static void less_types(op_case *c) { image(c); case_input(c, OCTET_I32, DIMS(8)); }
static void shift_nowhere(op_case *c)
{
    case_input(c, OCTET_U8, DIMS(3));
    case_input(c, OCTET_U8, DIMS(3));
    case_set_string(c, "direction", "UP");
}
static void pow_bool(op_case *c) { image(c); case_input(c, OCTET_BOOL, DIMS(8)); }
static void reduce_twice(op_case *c) { image(c); INTS(c, 1, -3); }
static void reduce_outside(op_case *c) { image(c); INTS(c, 4); }
static void reduce_unknown(op_case *c) { image(c); unknown(c, DIMS(2)); }
static void reduce_nothing(op_case *c) { case_input(c, OCTET_F32, DIMS(2, 0)); INTS(c, 1); }
static void loss_labels(op_case *c) { image(c); case_input(c, OCTET_I64, DIMS(2, 8)); }
static void loss_label_type(op_case *c) { image(c); case_input(c, OCTET_F32, DIMS(2, 8, 8)); }
static void loss_no_class(op_case *c) { case_input(c, OCTET_F32, DIMS(2, 0)); case_input(c, OCTET_I64, DIMS(2)); }
static void loss_reduction(op_case *c)
{
    image(c);
    case_input(c, OCTET_I64, DIMS(2, 8, 8));
    case_set_string(c, "reduction", "max");
}
static void loss_weights(op_case *c)
{
    image(c);
    case_input(c, OCTET_I64, DIMS(2, 8, 8));
    case_input(c, OCTET_F32, DIMS(8));
}
static void det_oblong(op_case *c) { case_input(c, OCTET_F32, DIMS(2, 3)); }
static void window_negative(op_case *c) { INTS(c, -1); }
static void window_huge(op_case *c) { INTS(c, (int64_t)1 << 40); }
static void window_type(op_case *c) { INTS(c, 5); case_set_int(c, "output_datatype", 7); }
static void dft_parts(op_case *c) { image(c); }
static void dft_last_axis(op_case *c) { case_input(c, OCTET_F32, DIMS(2, 4, 2)); case_absent(c); INTS(c, -1); }
static void dft_empty(op_case *c) { case_input(c, OCTET_F32, DIMS(2, 4, 2)); INTS(c, 0); }
static void mel_rate(op_case *c)
{
    INTS(c, 4);
    INTS(c, 16);
    INTS(c, 0);
    floats(c, 1, (float[]){ 0 });
    floats(c, 1, (float[]){ 8000 });
}

static void space_mode(op_case *c)
{
    image(c);
    case_set_int(c, "blocksize", 2);
    case_set_string(c, "mode", "RCD");
}
static void scatter(op_case *c)
{
    image(c);
    case_input(c, OCTET_F32, DIMS(2, 4, 3, 8));
}
static void scatter_mode(op_case *c) { scatter(c); case_set_string(c, "mode", "round"); }
static void scatter_axis(op_case *c) { scatter(c); case_set_int(c, "axis", 0); }
static void scatter_long(op_case *c) { scatter(c); c->in[1].dims[2] = 9; }
static void scatter_indices(op_case *c) { scatter(c); INTS(c, 1, 2, 3); }
static void signal_of(op_case *c, int64_t step)
{
    case_input(c, OCTET_F32, DIMS(2, 20, 1));
    case_ints(c, 0, &step);
}
static void stft_step(op_case *c) { signal_of(c, 0); }
static void stft_complex(op_case *c) { signal_of(c, 1); c->in[0].dims[2] = 2; c->in[0].dims[1] = 10; }
static void stft_long(op_case *c) { signal_of(c, 1); case_absent(c); case_ints(c, 0, (int64_t[]){ 21 }); }
static void stft_window(op_case *c)
{
    signal_of(c, 1);
    case_input(c, OCTET_F32, DIMS(4));
    case_ints(c, 0, (int64_t[]){ 5 });
}
static void glu_shapes(op_case *c) { image(c); case_input(c, OCTET_F32, DIMS(8, 8)); }
static void attention(op_case *c)
{
    case_input(c, OCTET_F32, DIMS(2, 4, 3, 6));
    case_input(c, OCTET_F32, DIMS(2, 2, 5, 6));
    case_input(c, OCTET_F32, DIMS(2, 2, 5, 7));
}
static void attention_rows(op_case *c)
{
    for (int i = 0; i < 3; i++) case_input(c, OCTET_F32, DIMS(2, 3, 12));
}
static void attention_heads(op_case *c) { attention(c); case_set_int(c, "q_num_heads", 4); }
static void attention_no_heads(op_case *c) { attention_rows(c); case_set_int(c, "q_num_heads", 4); }
static void attention_uneven(op_case *c)
{
    attention_rows(c);
    case_set_int(c, "q_num_heads", 5);
    case_set_int(c, "kv_num_heads", 4);
}
static void attention_shared(op_case *c)
{
    attention_rows(c);
    case_set_int(c, "q_num_heads", 3);
    case_set_int(c, "kv_num_heads", 2);
}
static void attention_sizes(op_case *c) { attention(c); c->in[1].dims[3] = 5; }
static void attention_nobody(op_case *c) { attention(c); c->in[0].dims[1] = 0; }
static void attention_types(op_case *c) { attention(c); c->in[2].dtype = OCTET_F64; }
static void attention_mask(op_case *c) { attention(c); case_input(c, OCTET_BOOL, DIMS(3, 6)); }
static void attention_mask_type(op_case *c) { attention(c); case_input(c, OCTET_I32, DIMS(3, 5)); }
static void attention_past(op_case *c)
{
    attention(c);
    case_absent(c);
    case_input(c, OCTET_F32, DIMS(2, 2, 4, 6));
}
static void attention_past_shape(op_case *c) { attention_past(c); case_input(c, OCTET_F32, DIMS(2, 2, 3, 7)); }
static void attention_valid(op_case *c)
{
    attention_past(c);
    case_input(c, OCTET_F32, DIMS(2, 2, 4, 7));
    INTS(c, 1, 2);
}
static void attention_valid_type(op_case *c)
{
    attention(c);
    for (int i = 0; i < 3; i++) case_absent(c);
    case_input(c, OCTET_I32, DIMS(2));
}
static void attention_scale(op_case *c) { attention(c); *(float *)case_attr(c, "scale") = -1; }
static void attention_cap(op_case *c) { attention(c); *(float *)case_attr(c, "softcap") = -1; }
static void attention_precision(op_case *c) { attention(c); case_set_int(c, "softmax_precision", 7); }
static void rotary(op_case *c)
{
    image(c);
    for (int i = 0; i < 2; i++) case_input(c, OCTET_F32, DIMS(2, 8, 4));
}
static void rotary_odd(op_case *c) { rotary(c); case_set_int(c, "rotary_embedding_dim", 3); }
static void rotary_beyond(op_case *c) { rotary(c); case_set_int(c, "rotary_embedding_dim", 10); }
static void rotary_cosines(op_case *c) { rotary(c); c->in[1].dims[2] = 3; }
static void rotary_sines(op_case *c) { rotary(c); c->in[2].dims[1] = 7; }
static void rotary_places(op_case *c)
{
    image(c);
    for (int i = 0; i < 2; i++) case_input(c, OCTET_F32, DIMS(10, 4));
    INTS(c, 1, 2);
}
static void rotary_heads(op_case *c)
{
    case_input(c, OCTET_F32, DIMS(2, 8, 12));
    for (int i = 0; i < 2; i++) case_input(c, OCTET_F32, DIMS(2, 8, 3));
}

static const refusal refusals[] = {
    { "Reshape", reshape_two_open, "shape", 1 },        { "Reshape", reshape_negative, "shape", 1 },
    { "Reshape", reshape_zero_beyond, "shape", 1 },     { "Reshape", reshape_overflow, "shape", 1 },
    { "Reshape", reshape_count, "shape", 1 },           { "Reshape", reshape_open_of_nothing, "shape", 1 },
    { "Reshape", reshape_unknown, "shape", 1 },         { "Reshape", reshape_floats, "shape", 1 },
    { "Flatten", flatten_axis, "axis", 1 },             { "Squeeze", squeeze_of_eight, "axes", 1 },
    { "Squeeze", squeeze_outside, "axes", 1 },          { "Unsqueeze", unsqueeze_twice, "axes", 1 },
    { "Unsqueeze", unsqueeze_nine, "axes", 1 },         { "Transpose", transpose_twice, "perm", 1 },
    { "Transpose", transpose_short, "perm", 1 },        { "Transpose", transpose_outside, "perm", 1 },
    { "Concat", concat_axis, "axis", 1 },               { "Concat", concat_shapes, "", 1 },
    { "Concat", concat_types, "", 1 },                  { "Split", split_negative, "split", 2 },
    { "Split", split_sum, "split", 2 },                 { "Split", split_overflow, "split", 2 },
    { "Split", split_count, "split", 2 },               { "Split", split_uneven, "split", 3 },
    { "Slice", slice_step_0, "steps", 1 },              { "Slice", slice_axis_twice, "axes", 1 },
    { "Slice", slice_lengths, "starts", 1 },            { "Slice", slice_unknown, "starts", 1 },
    { "Pad", pad_short, "pads", 1 },                    { "Pad", pad_overflow, "pads", 1 },
    { "Pad", pad_lowest, "pads", 1 },                   { "Pad", pad_all_away, "pads", 1 },
    { "Pad", pad_huge, "", 1 },                         { "Pad", pad_mode, "mode", 1 },
    { "Pad", pad_value, "constant_value", 1 },          { "Gather", gather_far, "indices", 1 },
    { "Gather", gather_far_back, "indices", 1 },        { "Gather", gather_axis, "axis", 1 },
    { "Gather", gather_floats, "indices", 1 },          { "Pad", pad_axes, "axes", 1 },
    { "Pad", pad_axes_count, "pads", 1 },               { "GatherElements", elements_shape, "indices", 1 },
    { "GatherElements", elements_far, "indices", 1 },   { "GatherElements", elements_long, "indices", 1 },
    { "GatherND", tuple_long, "indices", 1 },           { "GatherND", tuple_far, "indices", 1 },
    { "GatherND", tuple_batch, "batch_dims", 1 },       { "GatherND", tuple_scalar, "indices", 1 },
    { "ScatterElements", scatter_updates, "indices", 1 }, { "ScatterElements", scatter_short, "updates", 1 },
    { "ScatterElements", scatter_types, "updates", 1 }, { "ScatterND", scatter_reduction, "reduction", 1 },
    { "Expand", expand_shapes, "shape", 1 },            { "Expand", expand_negative, "shape", 1 },
    { "Expand", expand_nine, "shape", 1 },              { "Expand", expand_huge, "", 1 },
    { "Expand", expand_unknown, "shape", 1 },           { "Tile", tile_short, "repeats", 1 },
    { "Tile", tile_negative, "repeats", 1 },            { "Tile", tile_overflow, "repeats", 1 },
    { "SpaceToDepth", space_size, "blocksize", 1 },     { "SpaceToDepth", space_rank, "", 1 },
    { "ArgMax", arg_axis, "axis", 1 },                  { "ArgMin", arg_nothing, "axis", 1 },
    { "TopK", top_many, "K", 2 },                       { "TopK", top_negative, "K", 2 },
    { "TopK", top_two, "K", 1 },                        { "CumSum", sum_axis_far, "axis", 1 },
    { "ReverseSequence", reverse_length, "sequence_lens", 1 },
    { "ReverseSequence", reverse_count, "sequence_lens", 1 },
    { "ReverseSequence", reverse_axes, "time_axis", 1 }, { "EyeLike", eye_rank, "", 1 },
    { "EyeLike", eye_type, "dtype", 1 },                { "OneHot", hot_depth, "depth", 1 },
    { "OneHot", hot_values, "values", 1 },              { "OneHot", hot_huge, "", 1 },
    { "OneHot", hot_axis, "axis", 1 },                  { "Range", range_step_0, "delta", 1 },
    { "Range", range_nan, "delta", 1 },                 { "Range", range_endless, "delta", 1 },
    { "Range", range_types, "delta", 1 },               { "Range", range_huge, "delta", 1 },
    { "Trilu", triangle_rank, "", 1 },                  { "Compress", compress_long, "condition", 1 },
    { "Compress", compress_type, "condition", 1 },      { "Unique", unique_unknown, "X", 1 },
    { "NonMaxSuppression", boxes_shape, "boxes", 1 },   { "NonMaxSuppression", boxes_many, "boxes", 1 },
    { "NonMaxSuppression", boxes_types, "max_output_boxes_per_class", 1 },
    { "Where", where_shapes, "", 1 },                   { "Where", where_types, "Y", 1 },
    { "DepthToSpace", depth_channels, "blocksize", 1 },
    { "DepthToSpace", depth_mode, "mode", 1 },          { "Cast", cast_99, "to", 1 },
    { "Cast", cast_string, "to", 1 },                   { "Constant", constant_none, "value", 1 },
    { "Constant", constant_two, "value", 1 },           { "ConstantOfShape", fill_negative, "input", 1 },
    { "ConstantOfShape", fill_overflow, "", 1 },        { "Clip", clip_vector, "min", 1 },
    { "Clip", clip_type, "max", 1 },                    { "Add", add_shapes, "", 1 },
    { "Mul", add_types, "", 1 },                        { "LeakyRelu", leaky_nan, "alpha", 1 },
    { "Resize", resize_zero, "scales", 1 },             { "Resize", resize_negative, "scales", 1 },
    { "Resize", resize_nan, "scales", 1 },              { "Resize", resize_huge, "scales", 1 },
    { "Resize", resize_short, "scales", 1 },            { "Resize", resize_none, "scales", 1 },
    { "Resize", resize_both, "scales", 1 },             { "Resize", resize_sizes, "sizes", 1 },
    { "Resize", resize_mode, "mode", 1 },               { "Resize", resize_roi, "roi", 1 },
    { "QuantizeLinear", quantize_scales, "scale", 1 },  { "QuantizeLinear", quantize_axis, "axis", 1 },
    { "DequantizeLinear", dequantize_types, "zero_point", 1 }, { "Dropout", dropout_training, "training_mode", 1 },
    { "Elu", elu_infinite, "alpha", 1 },                { "Celu", celu_zero, "alpha", 1 },
    { "Selu", selu_nan, "gamma", 1 },                   { "Gelu", gelu_form, "approximate", 1 },
    { "Shrink", shrink_bias, "bias", 1 },               { "Sum", sum_types, "", 1 },
    { "Mean", sum_absent, "", 1 },                      { "Max", max_shapes, "", 1 },
    { "Less", less_types, "", 1 },                      { "SpaceToDepth", space_mode, "mode", 1 },
    { "BitShift", shift_nowhere, "direction", 1 },      { "Pow", pow_bool, "", 1 },
    { "ReduceMax", reduce_twice, "axes", 1 },           { "ReduceSum", reduce_outside, "axes", 1 },
    { "ReduceL2", reduce_unknown, "axes", 1 },          { "ReduceMean", reduce_nothing, "axes", 1 },
    { "NegativeLogLikelihoodLoss", loss_labels, "", 1 }, { "NegativeLogLikelihoodLoss", loss_label_type, "", 1 },
    { "SoftmaxCrossEntropyLoss", loss_no_class, "", 2 }, { "SoftmaxCrossEntropyLoss", loss_weights, "", 2 },
    { "SoftmaxCrossEntropyLoss", loss_reduction, "reduction", 1 }, { "Det", det_oblong, "", 1 },
    { "HannWindow", window_negative, "size", 1 },       { "HammingWindow", window_huge, "size", 1 },
    { "BlackmanWindow", window_type, "output_datatype", 1 }, { "DFT", dft_parts, "", 1 },
    { "DFT", dft_last_axis, "axis", 1 },                { "DFT", dft_empty, "", 1 },
    { "MelWeightMatrix", mel_rate, "sample_rate", 1 },
    { "TensorScatter", scatter_mode, "mode", 1 },       { "TensorScatter", scatter_axis, "axis", 1 },
    { "TensorScatter", scatter_long, "update", 1 },     { "TensorScatter", scatter_indices, "write_indices", 1 },
    { "STFT", stft_step, "frame_step", 1 },             { "STFT", stft_complex, "onesided", 1 },
    { "STFT", stft_long, "frame_length", 1 },           { "STFT", stft_window, "window", 1 },
    { "SwiGLU", glu_shapes, "B", 1 },
    { "Attention", attention_heads, "q_num_heads", 1 }, { "Attention", attention_no_heads, "kv_num_heads", 1 },
    { "Attention", attention_uneven, "q_num_heads", 1 }, { "Attention", attention_shared, "", 1 },
    { "Attention", attention_sizes, "", 1 },            { "Attention", attention_types, "V", 1 },
    { "Attention", attention_nobody, "", 1 },           { "Attention", attention_mask, "attn_mask", 1 },
    { "Attention", attention_past, "", 1 },             { "Attention", attention_past_shape, "past_value", 1 },
    { "Attention", attention_mask_type, "attn_mask", 1 }, { "Attention", attention_valid, "nonpad_kv_seqlen", 1 },
    { "Attention", attention_valid_type, "nonpad_kv_seqlen", 1 },
    { "Attention", attention_scale, "scale", 1 },       { "Attention", attention_cap, "softcap", 1 },
    { "Attention", attention_precision, "softmax_precision", 1 },
    { "RotaryEmbedding", rotary_odd, "rotary_embedding_dim", 1 },
    { "RotaryEmbedding", rotary_beyond, "rotary_embedding_dim", 1 },
    { "RotaryEmbedding", rotary_cosines, "cos_cache", 1 },
    { "RotaryEmbedding", rotary_sines, "sin_cache", 1 },
    { "RotaryEmbedding", rotary_places, "position_ids", 1 },
    { "RotaryEmbedding", rotary_heads, "num_heads", 1 },
};

static void every_wrong_call_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *r = &refusals[i];
        op_case        c;
        case_begin(&c, r->op, i);
        r->make(&c);
        const octet_status status = case_infer(&c, r->outputs);
        if (status == OCTET_OK || !c.err.text[0] || strcmp(c.err.field, r->field) != 0)
            fail_msg("row %zu, %s: status %d, field '%s', text '%s'", i, r->op, (int)status, c.err.field, c.err.text);
        assert_null(strchr(c.err.text, '\n'));
        assert_int_equal(c.node.op->infer(&c.call, NULL), status); /* the same without a place for the reason */
        case_end(&c);
    }
}

/* A value that is missing is told apart from one that is wrong. */
static void a_missing_value_is_reported_as_such(void **state)
{
    (void)state;
    op_case c;
    bool    needs_value = false;
    case_begin(&c, "Reshape", 1);
    reshape_unknown(&c);
    c.call.needs_value = &needs_value;
    assert_int_equal(case_infer(&c, 1), OCTET_ERR_UNSUPPORTED);
    assert_true(needs_value);
    case_end(&c);
    needs_value = false;
    case_begin(&c, "Reshape", 1);
    reshape_two_open(&c);
    c.call.needs_value = &needs_value;
    assert_int_equal(case_infer(&c, 1), OCTET_ERR_SHAPE);
    assert_false(needs_value);
    case_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wrong_call_is_refused),
        cmocka_unit_test(a_missing_value_is_reported_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
