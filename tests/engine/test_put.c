/* SPDX-License-Identifier: Apache-2.0 */
/* A value replaced by that of another run, in every layout: what depends on it alone becomes the other run's. */
#include "network.h"

#include "engine/put.h"

enum { CHANNELS = 5, SIDE = 7, COUNT = CHANNELS * SIDE * SIDE };

typedef struct replacing {
    const octet_graph *graph;
    const char        *name;
    session           *to, *from;
    int                times;
} replacing;

static octet_status replace(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    replacing *const         r     = context;
    const octet_value *const value = octet_graph_find_value(r->graph, name);
    (void)tensor, (void)err;
    if (strcmp(name, r->name) != 0) return OCTET_OK;
    const octet_tensor numbers = octet_workspace_value(r->from->workspace, value);
    assert_true(octet_workspace_put(r->to->workspace, r->to->plan, value, &numbers));
    r->times++;
    return OCTET_OK;
}

/* Runs inputs[0] with the value of inputs[1] in place of its own. */
static void expect_other_outputs(const octet_graph *graph, const char *name, const char *engines,
                                 const octet_tensor *inputs[2])
{
    session   to, plain, from;
    replacing r = { graph, name, &to, &from, 0 };
    session_begin(&to, graph, &(octet_plan_options){ .keep_values = true, .engines = engines, .threads = 1 });
    session_begin(&plain, graph, &(octet_plan_options){ .keep_values = true, .engines = engines, .threads = 1 });
    session_begin(&from, graph, &(octet_plan_options){ .keep_values = true, .engines = engines, .threads = 1 });
    session_run(&from, inputs[1]);
    session_run(&plain, inputs[0]);
    octet_workspace_set_hook(to.workspace, replace, &r);
    session_run(&to, inputs[0]);
    assert_int_equal(r.times, 1);
    for (size_t i = 0; i < octet_graph_output_count(graph); i++) {
        assert_same_bytes(&to.outputs[i], &from.outputs[i]);
        assert_memory_not_equal(to.outputs[i].data, plain.outputs[i].data,
                                (size_t)octet_tensor_bytes(&plain.outputs[i]));
    }
    session_end(&to);
    session_end(&plain);
    session_end(&from);
}

/* x -> MaxPool -> y: in pixels on the native engine, with a border around x. */
static void levels_of(octet_dtype dtype, const char *engines)
{
    const int64_t         dims[] = { 1, CHANNELS, SIDE, SIDE }, three[] = { 3, 3 }, pads[] = { 1, 1, 1, 1 };
    const octet_attribute window[] = { { .name = "kernel_shape", .ints = three, .count = 2 },
                                       { .name = "pads", .ints = pads, .count = 4 },
                                       { 0 } };
    const bool          is_signed = dtype == OCTET_I8;
    const float         scale     = 0.02f;
    const int32_t       zero      = is_signed ? -8 : 120;
    octet_fake_quantize fq        = { .qparams = { &scale, &zero, 1, 0, dtype, is_signed ? -128 : 0,
                                                   is_signed ? 127 : 255 } };
    float        data[2][COUNT];
    octet_tensor inputs[2];
    random_state r = { 11 };
    octet_graph *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 4, &err));
    add_node(graph, "MaxPool", "m", window, INPUTS("x"));
    add_node(graph, "MaxPool", "y", window, INPUTS("m"));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_graph_verify(graph, &err));
    for (int i = 0; i < 3; i++)
        octet_graph_find_value(graph, (const char *const[]){ "x", "m", "y" }[i])->fake_quantize = &fq;
    graph->stage = OCTET_STAGE_QUANTIZED;
    for (int i = 0; i < 2; i++) {
        random_fill(&r, data[i], COUNT, -2, 2);
        inputs[i] = (octet_tensor){ .dtype = OCTET_F32, .rank = 4, .data = data[i] };
        memcpy(inputs[i].dims, dims, sizeof dims);
    }
    expect_other_outputs(graph, "x", engines, (const octet_tensor *[]){ &inputs[0], &inputs[1] });
    expect_other_outputs(graph, "m", engines, (const octet_tensor *[]){ &inputs[0], &inputs[1] });
    octet_graph_free(graph);
}

static void levels_in_every_engine(void **state)
{
    (void)state;
    const char *name;
    for (size_t i = 0; (name = octet_engine_name(i, NULL)); i++) {
        levels_of(OCTET_U8, name);
        levels_of(OCTET_I8, name);
    }
}

static void real_numbers_in_every_engine(void **state)
{
    (void)state;
    const char        *name;
    octet_graph *const graph = new_classifier(21);
    image_batch        images[2];
    for (int i = 0; i < 2; i++) fill_images(&images[i], 1, (uint64_t)i + 5);
    for (size_t i = 0; (name = octet_engine_name(i, NULL)); i++) {
        expect_other_outputs(graph, "image", name, (const octet_tensor *[]){ &images[0].tensor, &images[1].tensor });
        expect_other_outputs(graph, "sum", name, (const octet_tensor *[]){ &images[0].tensor, &images[1].tensor });
    }
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_in_every_engine),
        cmocka_unit_test(real_numbers_in_every_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
