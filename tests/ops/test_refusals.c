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
static void pad_mode(op_case *c) { image(c); INTS(c, 0, 0, 0, 0, 0, 0, 0, 0); case_set_string(c, "mode", "wrap"); }
static void pad_value(op_case *c) { image(c); INTS(c, 0, 0, 0, 0, 0, 0, 0, 0); case_input(c, OCTET_F32, DIMS(2)); }
static void gather_far(op_case *c) { image(c); INTS(c, 1000000); case_set_int(c, "axis", 1); }
static void gather_far_back(op_case *c) { image(c); INTS(c, -5); case_set_int(c, "axis", 1); }
static void gather_axis(op_case *c) { image(c); INTS(c, 0); case_set_int(c, "axis", 4); }
static void gather_floats(op_case *c) { image(c); floats(c, 1, (float[]){ 0.0f }); }
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
    { "Gather", gather_floats, "indices", 1 },          { "DepthToSpace", depth_channels, "blocksize", 1 },
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
