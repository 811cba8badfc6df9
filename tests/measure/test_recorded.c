/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded arrays made by hand: what differs is seen, what does not fit is said. */
#include "residual.h"

#include "engine/run.h"

#include <zip.h>

/* ---- files ---- */

typedef struct named {
    const char  *name;
    octet_tensor tensor; /* float32, or bytes */
} named;

static const char *write_npz(char path[300], const named *arrays, size_t count)
{
    char file[16][400], member[64];
    snprintf(path, 300, "%s/r.npz", folder);
    zip_t *const zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    assert_non_null(zip);
    for (size_t i = 0; i < count; i++) {
        snprintf(file[i], sizeof file[i], "%s/%zu.npy", folder, i);
        snprintf(member, sizeof member, "%s.npy", arrays[i].name);
        write_npy(file[i], &arrays[i].tensor);
        assert_true(zip_file_add(zip, member, zip_source_file(zip, file[i], 0, -1), 0) >= 0);
    }
    assert_int_equal(zip_close(zip), 0);
    for (size_t i = 0; i < count; i++) unlink(file[i]);
    return path;
}

/* ---- a network worked out by hand: m = x * (1, 2, -1), y = m + 1 ---- */

static float numbers[12] = { 1, 2, 3, 3, 3, 1, 0, -1, -2, 1, 1, 5 };

static octet_graph *by_hand(octet_dataset **data)
{
    char         path[300];
    octet_graph *graph;
    float        w[] = { 1, 2, -1 }, one[] = { 1 };
    octet_tensor x = { .dtype = OCTET_F32, .rank = 2, .dims = { 4, 3 }, .data = numbers };
    const octet_tensor tw = { .dtype = OCTET_F32, .rank = 1, .dims = { 3 }, .data = w };
    const octet_tensor to = { .dtype = OCTET_F32, .rank = 1, .dims = { 1 }, .data = one };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, 3 }, 2, &err));
    MUST(octet_graph_add_constant(graph, "w", &tw, &err));
    MUST(octet_graph_add_constant(graph, "one", &to, &err));
    add_node(graph, "Mul", "m", NULL, INPUTS("x", "w"));
    add_node(graph, "Add", "y", NULL, INPUTS("m", "one"));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_graph_verify(graph, &err));
    snprintf(path, sizeof path, "%s/x.npy", folder);
    write_npy(path, &x);
    MUST(octet_dataset_open(data, path, &(octet_dataset_options){ .graph = graph }, &err));
    unlink(path);
    return graph;
}

static octet_tensor array(float *data, int64_t rows, int64_t columns)
{
    return (octet_tensor){ .dtype = OCTET_F32, .rank = 2, .dims = { rows, columns }, .data = data };
}

static const octet_value_diff *value_of(const octet_diff *d, const char *name)
{
    for (size_t i = 0; i < d->value_count; i++)
        if (!strcmp(d->values[i].name, name)) return &d->values[i];
    fail_msg("'%s' was not compared", name);
    return NULL;
}

static void one_changed_number_is_seen(void **state)
{
    float m[] = { 1, 4, -3, 3, 6, -1, 0, -2, 2, 1, 2, -5 }, y[] = { 2, 5, -2, 4, 7, 0, 1, -1, 3, 2, 3, -4 };
    char  path[300];
    (void)state;
    octet_dataset     *data;
    octet_graph *const graph = by_hand(&data);
    octet_diff        *d;
    m[7] = -2.5f; /* -2 in truth: sample 2 */
    const named arrays[] = { { "m", array(m, 4, 3) }, { "y", array(y, 4, 3) }, { "z", array(y, 4, 3) },
                             { "w", array(y, 4, 3) } };
    const octet_diff_side    side    = { graph, NULL };
    const octet_diff_options options = { .data = data };
    MUST(octet_diff_recorded(&d, &side, write_npz(path, arrays, 4), &options, &err));
    const octet_tensor_diff *const a = &value_of(d, "m")->accumulated, *const b = &value_of(d, "y")->accumulated;
    assert_int_equal(d->samples, 4);
    assert_int_equal(d->value_count, 2);
    assert_int_equal(a->count, 12);
    assert_int_equal(a->differing, 1);
    assert_true(a->max_abs == 0.5);
    assert_int_equal(b->differing, 0);
    assert_true(b->count == 12 && isinf(b->sqnr_db) && value_of(d, "y")->is_output);
    assert_int_equal(d->unmatched_count, 2); /* z does not exist, w is a constant */
    assert_string_equal(d->unmatched[0].name, "z");
    assert_non_null(strstr(d->unmatched[0].why, "called so"));
    octet_diff_free(d);
    unlink(path);
    octet_dataset_free(data);
    octet_graph_free(graph);
}

static void shapes_that_do_not_fit(void **state)
{
    float y[] = { 2, 5, -2, 4, 7, 0, 1, -1, 3, 2, 3, -4 };
    char  path[300];
    (void)state;
    octet_dataset           *data;
    octet_graph *const       graph   = by_hand(&data);
    const octet_diff_side    side    = { graph, NULL };
    const octet_diff_options options = { .data = data };
    octet_diff              *d;
    octet_error              error = { 0 };
    const named wrong[] = { { "m", array(y, 3, 4) }, { "y", array(y, 2, 3) } };
    assert_int_equal(octet_diff_recorded(&d, &side, write_npz(path, wrong, 2), &options, &error), OCTET_ERR_ARGUMENT);
    assert_non_null(strstr(error.text, "nothing can be compared"));
    assert_non_null(strstr(error.text, "[3, 4]"));
    const named single[] = { { "y", array(y, 1, 3) } }; /* the first sample alone */
    MUST(octet_diff_recorded(&d, &side, write_npz(path, single, 1), &options, &err));
    assert_true(d->values[0].accumulated.count == 3 && d->values[0].accumulated.differing == 0);
    octet_diff_free(d);
    unlink(path);
    octet_dataset_free(data);
    octet_graph_free(graph);
}

static void an_npy_is_the_first_output(void **state)
{
    float y[] = { 2, 5, -2, 4, 7, 0, 1, -1, 3, 2, 3, -4.25f };
    char  path[300];
    (void)state;
    octet_dataset           *data;
    octet_graph *const       graph   = by_hand(&data);
    const octet_diff_side    side    = { graph, NULL };
    const octet_diff_options options = { .data = data };
    const octet_tensor       tensor  = array(y, 4, 3);
    octet_diff              *d;
    snprintf(path, sizeof path, "%s/y.npy", folder);
    write_npy(path, &tensor);
    MUST(octet_diff_recorded(&d, &side, path, &options, &err));
    assert_string_equal(d->values[0].name, "y");
    assert_true(d->values[0].accumulated.differing == 1 && d->values[0].accumulated.max_abs == 0.25);
    octet_diff_free(d);
    unlink(path);
    octet_dataset_free(data);
    octet_graph_free(graph);
}

/* Bytes of a value that is kept as bytes are levels: one, three levels away, is three levels away. */
static void levels_as_levels(void **state)
{
    static uint8_t levels[8 * SIZE * SIZE];
    char           path[300];
    (void)state;
    octet_graph *const graph = network(0.2f);
    octet_dataset     *data;
    octet_plan        *plan;
    octet_workspace   *ws;
    octet_diff        *d;
    octet_tensor       input = all_samples(), outputs[1];
    MUST(quantize(graph, NULL, 1, &err));
    MUST(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = graph, .limit = 2 }, &err));
    MUST(octet_plan_create(&plan, graph, &(octet_plan_options){ .keep_values = true }, &err));
    MUST(octet_workspace_create(&ws, plan, &err));
    input.dims[0] = 1;
    MUST(octet_run(ws, &input, outputs, &err));
    octet_tensor value = octet_workspace_value(ws, octet_graph_find_value(graph, "relu1"));
    assert_int_equal(value.dtype, OCTET_U8);
    memcpy(levels, value.data, sizeof levels);
    levels[100] = (uint8_t)(levels[100] > 100 ? levels[100] - 3 : levels[100] + 3);
    value.data  = levels;
    const named arrays[] = { { "relu1", value } };
    const octet_diff_side    side    = { graph, NULL };
    const octet_diff_options options = { .data = data };
    MUST(octet_diff_recorded(&d, &side, write_npz(path, arrays, 1), &options, &err));
    assert_true(d->values[0].accumulated.levels);
    assert_int_equal(d->values[0].accumulated.level.classes[3], 1);
    assert_int_equal(d->values[0].accumulated.differing, 1);
    assert_int_equal(d->accumulated.max, 3);
    octet_diff_free(d);
    unlink(path);
    octet_workspace_free(ws);
    octet_plan_free(plan);
    octet_dataset_free(data);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_changed_number_is_seen),
        cmocka_unit_test(shapes_that_do_not_fit),
        cmocka_unit_test(an_npy_is_the_first_output),
        cmocka_unit_test(levels_as_levels),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
