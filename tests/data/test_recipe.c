/* SPDX-License-Identifier: Apache-2.0 */
/* Presets, overrides, sizes and JSON, against values worked out by hand or by torchvision's definitions. */
#include "data_case.h"

#include "data/recipe.h"

static void test_presets(void **state)
{
    /* value of byte 200 in each channel */
    static const struct {
        const char *name;
        double      want[3];
    } cases[] = {
        {"none", {200, 200, 200}},
        {"unit", {0.784313725490196, 0.784313725490196, 0.784313725490196}},
        {"imagenet", {1.3070468362017296, 1.4656862745098038, 1.6813943355119823}},
        {"tf", {0.5686274509803921, 0.5686274509803921, 0.5686274509803921}},
        {"caffe", {96, 83, 77}},
    };
    octet_graph *const graph = border3(3, 1, 1);
    const char *const  path = write_npy("p.npy", "|u1", "(1, 3, 1, 1)", (const uint8_t[]){200, 200, 200}, 3);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float          values[3];
        octet_dataset *data = must_open(path, &(octet_dataset_options){.graph = graph, .preprocess = cases[i].name});
        assert_int_equal(octet_dataset_read(data, 0, values, NULL, NULL), OCTET_OK);
        for (int c = 0; c < 3; c++) assert_true(values[c] == (float)cases[i].want[c]);
        assert_string_equal(octet_dataset_recipe(data).name, cases[i].name);
        octet_dataset_free(data);
    }
    octet_graph_free(graph);
    float              value;
    octet_graph *const gray = border3(1, 1, 1);
    octet_dataset     *data = must_open(write_npy("m.npy", "|u1", "(1, 1, 1)", (const uint8_t[]){200}, 1),
                                        &(octet_dataset_options){.graph = gray, .preprocess = "mnist"});
    assert_int_equal(octet_dataset_read(data, 0, &value, NULL, NULL), OCTET_OK);
    assert_true(value == (float)2.121433708179799); /* (200 / 255 - 0.1307) / 0.3081 */
    octet_dataset_free(data);
    octet_graph_free(gray);
}

static octet_recipe parse_options(const octet_dataset_options *options)
{
    octet_recipe recipe;
    octet_error  err = {0};
    if (octet_recipe_from_options(&recipe, options, &err) != OCTET_OK) fail_msg("%s", err.text);
    return recipe;
}

static void test_overrides(void **state)
{
    (void)state;
    assert_false(parse_options(&(octet_dataset_options){0}).given);
    octet_recipe r =
        parse_options(&(octet_dataset_options){.preprocess = "imagenet", .mean = "0", .filter = "bicubic"});
    assert_string_equal(r.name, "custom");
    assert_string_equal(r.filter, "bicubic");
    assert_int_equal(r.channels, 3);
    for (int c = 0; c < 3; c++) assert_true(r.mean[c] == 0);
    assert_true(r.std[1] == 0.224);
    assert_int_equal(r.resize_width, 256);
    r = parse_options(&(octet_dataset_options){.size = "320x240"});
    assert_true(r.given && r.resize && !r.crop);
    assert_int_equal(r.resize_width, 320);
    assert_int_equal(r.resize_height, 240);
    assert_true(r.scale == 1);
    r = parse_options(&(octet_dataset_options){.preprocess = "imagenet", .size = "96x96"});
    assert_false(r.crop);
    r = parse_options(&(octet_dataset_options){.scale = "1/255", .mean = "1/2,0.25,-1e-1", .crop = "10x20"});
    assert_true(r.scale == 1.0 / 255);
    assert_true(r.mean[0] == 0.5 && r.mean[1] == 0.25 && r.mean[2] == -0.1);
    assert_true(r.std[0] == 1 && r.std[2] == 1);
    assert_int_equal(r.crop_width, 10);
    assert_int_equal(r.crop_height, 20);
}

static void test_bad_options(void **state)
{
    static const struct {
        octet_dataset_options options;
        const char           *field, *word;
    } cases[] = {
        {{.preprocess = "imagnet"}, "preprocess", "nearest: 'imagenet'"},
        {{.size = "0"}, "size", "'0'"},
        {{.size = "10x"}, "size", "'10x'"},
        {{.size = "x10"}, "size", "'x10'"},
        {{.size = "10x10x10"}, "size", "need N or WxH"},
        {{.size = "-4"}, "size", "'-4'"},
        {{.size = "70000"}, "size", "'70000'"},
        {{.size = "99999999999999999999"}, "size", "need"},
        {{.crop = "ten"}, "crop", "'ten'"},
        {{.scale = "1/0"}, "scale", "'1/0'"},
        {{.scale = "0"}, "scale", "'0'"},
        {{.scale = "0x10"}, "scale", "'0x10'"},
        {{.scale = "nan"}, "scale", "'nan'"},
        {{.scale = ""}, "scale", "''"},
        {{.mean = "1,2"}, "mean", "1 or 3"},
        {{.mean = "1,2,3,4"}, "mean", "1 or 3"},
        {{.mean = "1,,3"}, "mean", "1 or 3"},
        {{.std = "0"}, "std", "above 0"},
        {{.std = "-1"}, "std", "above 0"},
        {{.color = "RGB"}, "color", "bgr"},
        {{.filter = "lanczos"}, "resize", "bicubic"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        octet_recipe recipe;
        octet_error  err = {0};
        assert_int_equal(octet_recipe_from_options(&recipe, &cases[i].options, &err), OCTET_ERR_ARGUMENT);
        assert_string_equal(err.field, cases[i].field);
        if (!strstr(err.text, cases[i].word)) fail_msg("case %zu: '%s'", i, err.text);
    }
}

/* torchvision: the long side is int(size * long / short), the crop starts at int(round((side - crop) / 2)). */
static void test_geometry(void **state)
{
    static const struct {
        int in[2], resize[2], crop[2], need[2];
        int size[2], at[2], out[2];
    } cases[] = {
        {{500, 375}, {256, 0}, {224, 224}, {224, 224}, {341, 256}, {58, 16}, {224, 224}},
        {{375, 500}, {256, 0}, {224, 224}, {224, 224}, {256, 341}, {16, 58}, {224, 224}},
        {{256, 300}, {256, 0}, {224, 224}, {224, 224}, {256, 300}, {16, 38}, {224, 224}},
        {{32, 32}, {256, 0}, {224, 224}, {32, 32}, {32, 32}, {0, 0}, {32, 32}},
        {{100, 100}, {0, 0}, {97, 99}, {0, 0}, {100, 100}, {2, 0}, {97, 99}}, /* 1.5 to 2, 0.5 to 0 */
        {{100, 100}, {0, 0}, {95, 93}, {0, 0}, {100, 100}, {2, 4}, {95, 93}}, /* 2.5 to 2, 3.5 to 4 */
        {{640, 480}, {352, 352}, {0, 0}, {352, 352}, {352, 352}, {0, 0}, {352, 352}},
        {{1, 1}, {7, 0}, {0, 0}, {0, 0}, {7, 7}, {0, 0}, {7, 7}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        octet_geometry     g;
        octet_error        err = {0};
        const octet_recipe recipe = {.given = true,
                                     .resize = cases[i].resize[0] > 0,
                                     .resize_width = cases[i].resize[0],
                                     .resize_height = cases[i].resize[1],
                                     .crop = cases[i].crop[0] > 0,
                                     .crop_width = cases[i].crop[0],
                                     .crop_height = cases[i].crop[1]};
        if (octet_recipe_geometry(&g, &recipe, cases[i].in, cases[i].need, &err) != OCTET_OK)
            fail_msg("%zu: %s", i, err.text);
        const int got[6] = {g.width, g.height, g.crop_x, g.crop_y, g.crop_width, g.crop_height};
        const int want[6] = {cases[i].size[0], cases[i].size[1], cases[i].at[0],
                             cases[i].at[1],   cases[i].out[0],  cases[i].out[1]};
        for (int k = 0; k < 6; k++)
            if (got[k] != want[k]) fail_msg("case %zu, number %d: %d instead of %d", i, k, got[k], want[k]);
    }
    octet_geometry g;
    octet_error    err = {0};
    octet_recipe   recipe = {.given = true, .resize = true, .resize_width = 60000};
    assert_int_equal(octet_recipe_geometry(&g, &recipe, (int[]){1, 60000}, (int[]){0, 0}, &err), OCTET_ERR_LIMIT);
}

/* Presets for 224 keep their proportion at other sizes. */
static void test_fit(void **state)
{
    const octet_dataset_options options = {.preprocess = "imagenet"};
    octet_recipe                recipe = parse_options(&options);
    octet_error                 err = {0};
    (void)state;
    assert_int_equal(octet_recipe_fit(&recipe, 3, 224, 224, &options, &err), OCTET_OK);
    assert_int_equal(recipe.resize_width, 256);
    assert_int_equal(recipe.crop_width, 224);
    assert_int_equal(octet_recipe_fit(&recipe, 3, 112, 112, &options, &err), OCTET_OK);
    assert_int_equal(recipe.resize_width, 128);
    assert_int_equal(recipe.crop_height, 112);
    assert_int_equal(octet_recipe_fit(&recipe, 1, 112, 112, &options, &err), OCTET_ERR_ARGUMENT);
}

static void test_json(void **state)
{
    char         text[512];
    octet_recipe back, recipe = parse_options(&(octet_dataset_options){.preprocess = "imagenet", .scale = "1/255"});
    octet_error  err = {0};
    (void)state;
    assert_int_equal(octet_recipe_print(text, sizeof text, &recipe, &err), OCTET_OK);
    assert_null(strchr(text, '\n'));
    assert_non_null(strstr(text, "\"resize\":[256,0]"));
    assert_int_equal(octet_recipe_parse(&back, text, &err), OCTET_OK);
    assert_true(back.scale == recipe.scale && back.given && back.crop_width == 224 && back.channels == 3);
    assert_memory_equal(back.mean, recipe.mean, 3 * sizeof *back.mean);
    assert_memory_equal(back.std, recipe.std, 3 * sizeof *back.std);
    assert_string_equal(back.name, "custom");
    assert_int_equal(octet_recipe_print(text, 20, &recipe, &err), OCTET_ERR_ARGUMENT);
}

static void test_bad_json(void **state)
{
#define REST ",\"filter\":\"bilinear\",\"color\":\"rgb\",\"scale\":1,\"mean\":[0],\"std\":[1]}"
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"", "1:0"},
        {"[]", "object"},
        {"{\"version\":1,\"version\":1,\"name\":\"a\"" REST, "duplicate"},
        {"{\"version\":2,\"name\":\"a\"" REST, "version"},
        {"{\"version\":1,\"name\":\"a\",\"sigma\":1" REST, "sigma"},
        {"{\"version\":1,\"name\":\"a name that is much longer than the field\"" REST, "name"},
        {"{\"version\":1,\"name\":\"a\",\"resize\":[1]" REST, "resize"},
        {"{\"version\":1,\"name\":\"a\",\"resize\":[1,-1]" REST, "resize"},
        {"{\"version\":1,\"name\":\"a\",\"crop\":[1,1e3]" REST, "crop"},
        {"{\"version\":1,\"name\":\"a\",\"filter\":\"box\",\"color\":\"rgb\",\"scale\":1,\"mean\":[0],\"std\":[1]}",
         "filter"},
        {"{\"version\":1,\"name\":\"a\",\"filter\":\"nearest\",\"color\":\"hsv\",\"scale\":1,\"mean\":[0],\"std\":[1]}",
         "color"},
        {"{\"version\":1,\"name\":\"a\",\"filter\":\"nearest\",\"color\":\"rgb\",\"scale\":0,\"mean\":[0],\"std\":[1]}",
         "scale"},
        {"{\"version\":1,\"name\":\"a\",\"filter\":\"nearest\",\"color\":\"rgb\",\"scale\":1,\"mean\":[0,1],\"std\":[1]"
         "}",
         "mean"},
        {"{\"version\":1,\"name\":\"a\",\"filter\":\"nearest\",\"color\":\"rgb\",\"scale\":1,\"mean\":[0],\"std\":[1,1,"
         "1]}",
         "std"},
        {"{\"version\":1,\"name\":\"a\",\"filter\":\"nearest\",\"color\":\"rgb\",\"scale\":1,\"mean\":[0],\"std\":[0]}",
         "std"},
    };
#undef REST
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        octet_recipe recipe;
        octet_error  err = {0};
        assert_int_equal(octet_recipe_parse(&recipe, cases[i].text, &err), OCTET_ERR_FORMAT);
        assert_false(recipe.given);
        if (!strstr(err.text, cases[i].word)) fail_msg("case %zu: '%s'", i, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets),  cmocka_unit_test(test_overrides), cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_geometry), cmocka_unit_test(test_fit),       cmocka_unit_test(test_json),
        cmocka_unit_test(test_bad_json),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
