/* SPDX-License-Identifier: Apache-2.0 */
/* Folders, lists, labels, subsets and references; written here, and the shared real data where it is present. */
#include "data_case.h"

static float values[3 * 672 * 672];

static void must_read(const octet_dataset *data, size_t index, int64_t *label)
{
    octet_error err = {0};
    if (octet_dataset_read(data, index, values, label, &err) != OCTET_OK) fail_msg("%s: %s", err.file, err.text);
}

/* Copies a golden image (rgb.png: 37 x 29) to a name in the scratch folder, making one level of folders. */
static void put_image(const char *golden, const char *name)
{
    char        path[512], folder[256];
    octet_file  file;
    octet_error err = {0};
    snprintf(path, sizeof path, "%s/tests/golden/resize/%s", OCTET_SOURCE_DIR, golden);
    assert_int_equal(octet_file_read(&file, path, 0, &err), OCTET_OK);
    snprintf(folder, sizeof folder, "%s", in_scratch(name));
    for (char *slash = strchr(folder + strlen(scratch) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(folder, 0700);
        *slash = '/';
    }
    write_bytes(name, file.data, file.size);
    octet_file_close(&file);
}

static void expect_names(const char *path, const octet_dataset_options *options, const char *const *names,
                         const int64_t *labels)
{
    octet_dataset *const data = must_open(path, options);
    assert_int_equal(octet_dataset_has_labels(data), labels != NULL);
    for (size_t i = 0; i < octet_dataset_count(data); i++) {
        int64_t label = -2;
        assert_string_equal(octet_dataset_name(data, i), names[i]);
        must_read(data, i, &label);
        assert_int_equal(label, labels ? labels[i] : -1);
    }
    assert_null(names[octet_dataset_count(data)]);
    octet_dataset_free(data);
}

/* ---- folders ---- */

static void test_flat(void **state)
{
    (void)state;
    put_image("rgb.png", "flat/b.PNG");
    put_image("rgb420.jpg", "flat/a.JPeg");
    put_image("rgb420.jpg", "flat/B.jpg");
    put_image("rgb.png", "flat/.hidden.png");
    write_text("flat/readme.txt", "no image");
    expect_names(in_scratch("flat"), NULL, (const char *const[]){"B.jpg", "a.JPeg", "b.PNG", NULL}, NULL);
    octet_graph *const   graph = border3(3, 8, 9);
    octet_dataset *const data = must_open(in_scratch("flat"), &(octet_dataset_options){.graph = graph});
    assert_non_null(strstr(octet_dataset_warnings(data), "no recipe"));
    assert_non_null(strstr(octet_dataset_warnings(data), "resized"));
    octet_dataset_free(data);
    octet_graph_free(graph);
}

static void test_classes(void **state)
{
    (void)state;
    put_image("rgb.png", "tree/dog/1.png");
    put_image("rgb.png", "tree/cat/2.png");
    put_image("rgb.png", "tree/cat/1.png");
    put_image("rgb.png", "tree/.git/1.png");
    expect_names(in_scratch("tree"), NULL, (const char *const[]){"cat/1.png", "cat/2.png", "dog/1.png", NULL},
                 (const int64_t[]){0, 0, 1});
    write_text("tree/classes.txt", "dog\ncat\n");
    expect_names(in_scratch("tree"), NULL, (const char *const[]){"dog/1.png", "cat/1.png", "cat/2.png", NULL},
                 (const int64_t[]){0, 1, 1});
    write_text("tree/classes.txt", "dog\ncow\n");
    octet_error    err = {0};
    octet_dataset *data = NULL;
    assert_int_equal(octet_dataset_open(&data, in_scratch("tree"), NULL, &err), OCTET_ERR_FORMAT);
    assert_non_null(strstr(err.text, "line 2: no sub-folder 'cow'"));
    assert_non_null(strstr(err.file, "classes.txt"));
}

static void test_tables(void **state)
{
    (void)state;
    put_image("rgb.png", "tab/x, y.png");
    put_image("rgb.png", "tab/z.png");
    put_image("rgb.png", "tab/deep/q.png");
    write_text("tab/labels.tsv", "z.png\t4\r\ndeep/q.png\t0\r\n");
    expect_names(in_scratch("tab"), NULL, (const char *const[]){"z.png", "deep/q.png", NULL}, (const int64_t[]){4, 0});
    const char *const csv = write_text("over.csv", "\"x, y.png\",2\nz.png,\"1\"\n");
    expect_names(in_scratch("tab"), &(octet_dataset_options){.labels = csv},
                 (const char *const[]){"x, y.png", "z.png", NULL}, (const int64_t[]){2, 1});
    expect_names(write_text("tab/list.txt", "deep/q.png\nz.png"), NULL,
                 (const char *const[]){"deep/q.png", "z.png", NULL}, NULL);
    expect_names(write_text("tab/list.tsv", "z.png\t9\n"), NULL, (const char *const[]){"z.png", NULL},
                 (const int64_t[]){9});
    char text[512];
    assert_int_not_equal(try_all(text, sizeof text, write_text("tab/bad.txt", "z.png\nno.png\n"), NULL), OCTET_OK);
    assert_non_null(strstr(text, "tab/no.png"));
}

static void test_bad_tables(void **state)
{
    static const struct {
        const char *name, *text, *word;
    } cases[] = {
        {"t.csv", "a.png,1\n\"b\"x,2\n", "line 2: text after"},
        {"t.csv", "a.png,1,2\n", "line 1: more than two"},
        {"t.tsv", "a.png 1\n", "line 1: no class column"},
        {"t.tsv", "/a.png\t1\n", "line 1: path '/a.png'"},
        {"t.tsv", "a/../../b.png\t1\n", "line 1: path"},
        {"t.tsv", "a/..\t1\n", "line 1: path"},
        {"t.tsv", "a\\b.png\t1\n", "line 1: path"},
        {"t.tsv", "\t1\n", "line 1: path"},
        {"t.tsv", "a.png\t\n", "line 1: '' is no class"},
        {"t.tsv", "a.png\t+1\n", "line 1: '+1' is no class"},
        {"t.tsv", "a.png\t99999999999999999999\n", "line 1: '999"},
        {"t.tsv", "c.png\t1\na.png\t1\nc.png\t1\n", "line 3: 'c.png' stands in line 1"},
    };
    (void)state;
    put_image("rgb.png", "tab/z.png");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const octet_dataset_options options = {.labels = write_text(cases[i].name, cases[i].text)};
        expect_refusal(in_scratch("tab"), &options, cases[i].word);
        expect_refusal(in_scratch("tab"), &options, cases[i].name);
    }
    char *const wide = malloc(6000);
    memset(wide, 'a', 5999);
    wide[5999] = '\0';
    expect_refusal(in_scratch("tab"), &(octet_dataset_options){.labels = write_text("w.tsv", wide)}, "line 1: longer");
    free(wide);
}

/* Sizes that differ from image to image are refused where nothing says what to do about it. */
static void test_mixed_sizes(void **state)
{
    (void)state;
    put_image("rgb.png", "mix/a.png");
    put_image("rgb444.jpg", "mix/b.jpg"); /* 19 x 31 */
    expect_refusal(in_scratch("mix"), NULL, "got 19x31, need 37x29");
    octet_graph *const graph = border3(3, 16, 16);
    char               text[512];
    assert_int_equal(try_all(text, sizeof text, in_scratch("mix"), &(octet_dataset_options){.graph = graph}), OCTET_OK);
    expect_refusal(in_scratch("mix"), &(octet_dataset_options){.graph = graph, .preprocess = "unit"}, "need 16x16");
    octet_graph_free(graph);
}

static void test_skip_bad(void **state)
{
    (void)state;
    put_image("rgb.png", "rot/a.png");
    put_image("rgb.png", "rot/c.png");
    write_text("rot/b.png", "not an image");
    expect_refusal(in_scratch("rot"), NULL, "unknown image format");
    octet_dataset *const data = must_open(in_scratch("rot"), &(octet_dataset_options){.skip_bad = 1});
    assert_int_equal(octet_dataset_count(data), 2);
    assert_string_equal(octet_dataset_name(data, 1), "c.png");
    assert_non_null(strstr(octet_dataset_warnings(data), "left out b.png"));
    octet_dataset_free(data);
    const uint8_t        bytes[] = {0, 51, 255};
    octet_dataset *const with = must_open(
        in_scratch("rot"), &(octet_dataset_options){.skip_bad = 1,
                                                    .reference = write_npy("rot.npy", "|u1", "(3, 1)", bytes, 3)});
    const octet_tensor ref = octet_dataset_reference(with, 1); /* c.png's, not that of what is left out */
    assert_true(((const float *)ref.data)[0] == 1.0f);
    octet_dataset_free(with);
    write_text("rot/d.png", "");
    expect_refusal(in_scratch("rot"), &(octet_dataset_options){.skip_bad = 1}, "d.png");
}

/* ---- subsets ---- */

static const char *ten(void)
{
    float numbers[10];
    for (int i = 0; i < 10; i++) numbers[i] = (float)i;
    return write_npy("ten.npy", "<f4", "(10, 1)", numbers, sizeof numbers);
}

static void test_subsets(void **state)
{
    static const struct {
        octet_dataset_options options;
        int                   want[11]; /* ends with -1 */
    } cases[] = {
        {{.limit = 3}, {0, 1, 2, -1}},
        {{.skip = 7}, {7, 8, 9, -1}},
        {{.skip = 2, .limit = 3}, {2, 3, 4, -1}},
        {{.every = 4}, {0, 4, 8, -1}},
        {{.skip_every = 4}, {1, 2, 3, 5, 6, 7, 9, -1}},
        {{.every = 3, .skip = 1, .limit = 2}, {3, 6, -1}},
        {{.every = 1}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1}},
        {{.limit = 100}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1}},
        {{.every = 2, .skip_every = 4}, {2, 6, -1}},
    };
    const char *const path = ten();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        octet_dataset *const data = must_open(path, &cases[i].options);
        for (size_t k = 0; k < octet_dataset_count(data); k++) {
            must_read(data, k, NULL);
            assert_int_equal((int)values[0], cases[i].want[k]);
        }
        assert_int_equal(cases[i].want[octet_dataset_count(data)], -1);
        octet_dataset_free(data);
    }
    expect_refusal(path, &(octet_dataset_options){.skip = 10}, "no sample is left of 10");
    expect_refusal(path, &(octet_dataset_options){.skip_every = 1}, "no sample is left of 10");
}

static void test_shuffle(void **state)
{
    int first[10], changed = 0, seen = 0;
    (void)state;
    const char *const path = ten();
    for (uint64_t seed = 0; seed < 3; seed++) {
        for (int again = 0; again < 2; again++) {
            octet_dataset *const data = must_open(path, &(octet_dataset_options){.shuffle = true, .seed = seed});
            int                  set = 0;
            for (size_t k = 0; k < 10; k++) {
                char name[8];
                must_read(data, k, NULL);
                set |= 1 << (int)values[0];
                snprintf(name, sizeof name, "#%d", (int)values[0]);
                assert_string_equal(octet_dataset_name(data, k), name);
                if (again)
                    assert_int_equal(first[k], (int)values[0]);
                else
                    changed += first[k] != (int)values[0] && seed;
                first[k] = (int)values[0];
            }
            assert_int_equal(set, 1023);
            seen++;
            octet_dataset_free(data);
        }
    }
    assert_int_equal(seen, 6);
    assert_true(changed > 5);
}

static void check_part(const octet_dataset *whole, size_t every, bool others)
{
    octet_dataset *part;
    octet_error    err = {0};
    assert_int_equal(octet_dataset_part(&part, whole, every, others, &err), OCTET_OK);
    size_t at = 0;
    for (size_t i = 0; i < octet_dataset_count(whole); i++) {
        int64_t labels[2];
        float   first;
        if ((i % every == 0) == others) continue;
        must_read(whole, i, &labels[0]);
        first = values[0];
        must_read(part, at, &labels[1]);
        assert_true(values[0] == first);
        assert_int_equal(labels[0], labels[1]);
        assert_string_equal(octet_dataset_name(part, at), octet_dataset_name(whole, i));
        const octet_tensor a = octet_dataset_reference(whole, i), b = octet_dataset_reference(part, at++);
        assert_true(((const float *)a.data)[0] == ((const float *)b.data)[0]);
    }
    assert_int_equal(octet_dataset_count(part), at);
    octet_dataset_free(part);
}

static void test_parts(void **state)
{
    uint8_t bytes[10];
    (void)state;
    for (int i = 0; i < 10; i++) bytes[i] = (uint8_t)(i * 20);
    octet_dataset *const data = must_open(
        ten(), &(octet_dataset_options){.labels = write_text("part.txt", "9\n8\n7\n6\n5\n4\n3\n2\n1\n0\n"),
                                        .shuffle = true, .seed = 3, .limit = 7,
                                        .reference = write_npy("part.npy", "|u1", "(10, 1)", bytes, 10)});
    for (size_t every = 2; every < 8; every++) {
        check_part(data, every, false);
        check_part(data, every, true);
    }
    octet_dataset *part;
    octet_error    err = {0};
    assert_int_equal(octet_dataset_part(&part, data, 1, true, &err), OCTET_ERR_ARGUMENT);
    assert_null(part);
    octet_dataset_free(data);
}

/* The subset is chosen before anything else is looked at, and labels and references follow it. */
static void test_labels_follow(void **state)
{
    uint8_t bytes[10], idx[18] = {0, 0, 8, 1, 0, 0, 0, 10};
    int64_t wide[10];
    (void)state;
    for (int i = 0; i < 10; i++) {
        bytes[i] = (uint8_t)(i * 20);
        wide[i] = 9 - i;
        idx[8 + i] = (uint8_t)(9 - i);
    }
    const char *const path = ten();
    const char *const labels[] = {write_text("ten.txt", "9\n8\n7\n6\n5\n4\n3\n2\n1\n0\n"),
                                  write_npy("ten_y.npy", "<i8", "(10,)", wide, sizeof wide),
                                  write_bytes("ten.idx1-ubyte", idx, sizeof idx),
                                  write_packed("ten.idx1-ubyte.gz", idx, sizeof idx)};
    for (size_t i = 0; i < 4; i++) {
        octet_dataset *const data = must_open(
            path, &(octet_dataset_options){.labels = labels[i],
                                           .every = 3,
                                           .shuffle = true,
                                           .seed = 5,
                                           .reference = write_npy("ref.npy", "|u1", "(10, 1, 1)", bytes, 10)});
        for (size_t k = 0; k < 4; k++) {
            int64_t label = -2;
            must_read(data, k, &label);
            const int          raw = (int)values[0];
            const octet_tensor ref = octet_dataset_reference(data, k);
            assert_int_equal(raw % 3, 0);
            assert_int_equal(label, 9 - raw);
            assert_int_equal(ref.rank, 3);
            assert_int_equal(ref.dims[0], 1);
            assert_true(((const float *)ref.data)[0] == (float)(raw * 20 / 255.0));
        }
        octet_dataset_free(data);
    }
    octet_dataset *const none = must_open(path, NULL);
    assert_null(octet_dataset_reference(none, 0).data);
    octet_dataset_free(none);
    expect_refusal(path, &(octet_dataset_options){.reference = write_npy("r9.npy", "|u1", "(9, 1)", bytes, 9)},
                   "9 references for 10 samples");
    expect_refusal(path, &(octet_dataset_options){.labels = write_npy("fl.npy", "<f4", "(2,)", wide, 8)},
                   "whole numbers");
    expect_refusal(path, &(octet_dataset_options){.labels = write_text("l.csv", "a.png,1\n")},
                   "need a folder of images");
}

/* Labels that were asked for must fit the network; labels that lie beside the data are dropped with a warning. */
static void test_label_range(void **state)
{
    octet_graph *const graph = border("x", (const int64_t[]){1}, 1, 9);
    char               text[512];
    (void)state;
    const char *const labels = write_text("ten.txt", "8\n8\n7\n6\n5\n4\n3\n2\n1\n9\n");
    expect_refusal(ten(), &(octet_dataset_options){.labels = labels, .graph = graph}, "line 10: class 9");
    octet_graph_free(graph);
    octet_graph *const small = border("x", (const int64_t[]){3, 29, 37}, 3, 3);
    put_image("rgb.png", "far/a.png");
    write_text("far/labels.tsv", "a.png\t3\n");
    assert_int_equal(try_all(text, sizeof text, in_scratch("far"), &(octet_dataset_options){.graph = small}), OCTET_OK);
    octet_dataset *const data = must_open(in_scratch("far"), &(octet_dataset_options){.graph = small});
    assert_false(octet_dataset_has_labels(data));
    assert_non_null(strstr(octet_dataset_warnings(data), "labels are not used"));
    octet_dataset_free(data);
    octet_graph_free(small);
}

/* ---- real data ---- */

static void expect_shared(const char *name, const octet_dataset_options *options, size_t count, int64_t first_label)
{
    const char *const path = shared(name);
    int64_t           label = -2;
    if (!path) return;
    octet_dataset *const data = must_open(path, options);
    assert_int_equal(octet_dataset_count(data), count);
    must_read(data, 0, &label);
    must_read(data, count - 1, NULL);
    assert_int_equal(label, first_label);
    octet_dataset_free(data);
}

static void test_shared(void **state)
{
    (void)state;
    octet_graph *const cifar = border3(3, 32, 32), *const nhwc = border3(32, 32, 3), *const mnist = border3(1, 28, 28);
    octet_graph *const big = border3(3, 224, 224), *const vww = border3(3, 96, 96), *const kws = border3(1, 49, 10);
    octet_graph *const sww = border3(40, 30, 1), *const ad = border("x", (const int64_t[]){640}, 1, 640);
    octet_graph *const sr = border3(1, 224, 224);
    expect_shared("data/cifar10/test5k.bin.gz", &(octet_dataset_options){.graph = cifar, .preprocess = "imagenet"},
                  5000, 1);
    expect_shared("data/cifar10/data_batch_1.bin.gz", &(octet_dataset_options){.graph = nhwc, .limit = 128}, 128, 6);
    expect_shared("data/mnist/t10k-images-idx3-ubyte.gz", &(octet_dataset_options){.graph = mnist, .scale = "1/256"},
                  10000, 7);
    expect_shared("data/imagenet500", &(octet_dataset_options){.graph = big, .preprocess = "imagenet", .every = 4}, 125,
                  0);
    expect_shared("data/imagenet500", &(octet_dataset_options){.graph = big, .preprocess = "imagenet", .skip_every = 4},
                  375, 2);
    expect_shared("data/ad/ad_normal_id_01_x.npy", &(octet_dataset_options){.graph = ad, .every = 4}, 49, -1);
    if (shared("data/vww/vww_y.npy"))
        expect_shared("data/vww/vww_x_uint8_nhwc.npy",
                      &(octet_dataset_options){
                          .graph = vww, .preprocess = "unit", .layout = "nhwc", .labels = shared("data/vww/vww_y.npy")},
                      94, 0);
    if (shared("data/kws/kws_y.npy"))
        expect_shared("data/kws/kws_x.npy",
                      &(octet_dataset_options){.graph = kws, .labels = shared("data/kws/kws_y.npy")}, 1000, 7);
    if (shared("data/sww/sww_y.npy"))
        expect_shared("data/sww/sww_x.npy",
                      &(octet_dataset_options){.graph = sww, .labels = shared("data/sww/sww_y.npy")}, 45, 2);
    if (shared("data/sr/sr_hi_y_uint8.npy"))
        expect_shared(
            "data/sr/sr_lo_y_uint8.npy",
            &(octet_dataset_options){
                .graph = sr, .preprocess = "unit", .skip_every = 3, .reference = shared("data/sr/sr_hi_y_uint8.npy")},
            6, -1);
    octet_graph *const all[] = {cifar, nhwc, mnist, big, vww, kws, sww, ad, sr};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) octet_graph_free(all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flat),        cmocka_unit_test(test_classes),     cmocka_unit_test(test_tables),
        cmocka_unit_test(test_bad_tables),  cmocka_unit_test(test_mixed_sizes), cmocka_unit_test(test_skip_bad),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_subsets),     cmocka_unit_test(test_shuffle),     cmocka_unit_test(test_labels_follow),
        cmocka_unit_test(test_label_range), cmocka_unit_test(test_shared),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
