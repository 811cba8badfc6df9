/* SPDX-License-Identifier: Apache-2.0 */
/* OCTET_CPU caps oneDNN, which listens only until its first use: so this is a program of its own. Without VNNI its
   products of levels saturate, and it must leave them to the next engine. */
#include "network.h"

#include "graph/graph.h"

static void test_declines_levels_without_vnni(void **state)
{
    (void)state;
    const char *name;
    bool        found = false;
    for (size_t i = 0; (name = octet_engine_name(i, NULL)); i++) found |= strcmp(name, "onednn") == 0;
    if (!found) skip();
    const float         scale   = 0.02f;
    const int32_t       zero    = 0;
    const octet_qparams weights = { .scale = &scale, .zero_point = &zero, .count = 1, .dtype = OCTET_I8, .qmin = -127,
                                    .qmax = 127 };
    int8_t              w[16]   = { 127, 127, -127, 3 };
    const octet_tensor  tensor  = { .dtype = OCTET_I8, .rank = 4, .dims = { 4, 4, 1, 1 }, .data = w,
                                    .qparams = &weights };
    octet_fake_quantize fq      = { .qparams = { .scale = &scale, .zero_point = &zero, .count = 1, .dtype = OCTET_U8,
                                                 .qmax = 255 } };
    octet_graph        *graph;
    octet_plan         *plan;
    bool                declined = false;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ 1, 4, 5, 5 }, 4, &err));
    MUST(octet_graph_add_constant(graph, "w", &tensor, &err));
    add_node(graph, "Conv", "y", NULL, INPUTS("x", "w"));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_graph_verify(graph, &err));
    octet_graph_find_value(graph, "x")->fake_quantize = &fq;
    octet_graph_find_value(graph, "y")->fake_quantize = &fq;
    graph->stage                                      = OCTET_STAGE_QUANTIZED;
    MUST(octet_plan_create(&plan, graph, &(octet_plan_options){ .engines = "onednn" }, &err));
    for (size_t i = 0; i < octet_plan_step_count(plan); i++) {
        const octet_step_info info = octet_plan_step(plan, i);
        assert_string_not_equal(info.engine, "onednn");
        declined |= strcmp(info.op, "Conv") == 0 && strstr(info.declined, "onednn: without VNNI") != NULL;
    }
    assert_true(declined);
    octet_plan_free(plan);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_declines_levels_without_vnni) };
    setenv("OCTET_CPU", "avx2", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
