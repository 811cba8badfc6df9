/* SPDX-License-Identifier: Apache-2.0 */
/* Products whose input becomes bytes when they run, on every kernel set against the definition: dynamic quantization,
   and levels of 16 bits. */
#include "native.h"

static const char *const networks[] = {
    "in 33; y = Gemm in w10,33 b10 transB=1; real y",
    "in 64; y = Gemm in w64,70 b70; z = Relu y; real y z",
    "in 5; y = Gemm in w1,5 transB=1",
    "in 7 12; y = MatMul in w12,20; z = MatMul y w20,33; real z",
    "in 3 5 17; y = MatMul in w17,40 b40; z = Relu y; real z",
    "in 90 64; y = MatMul in w64,130; z = MatMul y w130,16; real z",
    "in 200 256; y = MatMul in w256,96; real y",
};

/* Steps of products that the native engine has taken, of all plans. */
static int64_t products, taken;

static void count_products(const octet_graph *graph, int64_t batch)
{
    session s;
    session_begin(&s, graph, &(octet_plan_options){ .batch = batch, .threads = 1 });
    for (size_t i = 0; i < octet_plan_step_count(s.plan); i++) {
        const octet_step_info info = octet_plan_step(s.plan, i);
        if (info.macs == 0) continue;
        products++;
        if (strcmp(info.engine, "native") == 0) taken++;
        else print_error("%s (%s): %s\n", info.node, info.op, info.declined);
    }
    session_end(&s);
}

static void check(small_net *net, const char *text, int64_t batch, trial_count *counts)
{
    count_products(net->graph, batch);
    check_net(net, text, batch, true, counts);
    octet_graph_free(net->graph);
}

static void test_dynamic(void **state)
{
    (void)state;
    static const octet_dynamic kinds[] = { OCTET_DYNAMIC_TENSOR, OCTET_DYNAMIC_ROW, OCTET_DYNAMIC_REDUCED };
    trial_count                counts = { 0 };
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            for (size_t style = 2; style < 4; style++) { /* one scale; unsigned weights */
                small_net net;
                make_net(&net, networks[i], &level_styles[style], 100 * i + 10 * k + style);
                for (octet_value *v = net.graph->values; v; v = v->next) v->fake_quantize = NULL;
                for (octet_node *node = net.graph->first; node; node = node->next)
                    if (node->op->forward_dynamic) node->dynamic = kinds[k];
                check(&net, networks[i], style % 2 ? 3 : 1, &counts);
            }
    print_message("%lld runs, %lld values, %lld steps shared by threads\n", (long long)counts.runs,
                  (long long)counts.values, (long long)counts.shared_steps);
    assert_int_equal(counts.failures, 0);
    assert_int_equal(taken, products);
}

static const char *const recurrents[] = {
    "in 3 12; y = LSTM in w1,80,12 w1,80,20 hidden_size=20",
    "in 2 33; y,h,c = LSTM in w2,64,33 w2,64,16 hidden_size=16 direction=bidirectional; z = Tanh h; out z; out y",
    "in 3 7; y = GRU in w1,27,7 w1,27,9 hidden_size=9",
    "in 5 70; y = GRU in w1,72,70 w1,72,24 hidden_size=24 linear_before_reset=1 direction=reverse",
    "in 1 5; y = RNN in w2,35,5 w2,35,35 hidden_size=35 direction=bidirectional",
    "in 4 130; y = RNN in w1,64,130 w1,64,64 hidden_size=64",
};

static void test_recurrent(void **state)
{
    (void)state;
    static const octet_dynamic kinds[] = { OCTET_DYNAMIC_TENSOR, OCTET_DYNAMIC_ROW };
    trial_count                counts = { 0 };
    products = taken = 0;
    for (size_t i = 0; i < sizeof recurrents / sizeof *recurrents; i++)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            for (size_t style = 0; style < 4; style += 2) { /* a scale for each row; one */
                small_net net;
                make_net(&net, recurrents[i], &level_styles[style], 3000 + 100 * i + 10 * k + style);
                for (octet_value *v = net.graph->values; v; v = v->next) v->fake_quantize = NULL;
                for (octet_node *node = net.graph->first; node; node = node->next)
                    if (node->op->forward_dynamic) node->dynamic = kinds[k];
                check(&net, recurrents[i], style ? 9 : 4, &counts);
            }
    print_message("%lld runs, %lld values\n", (long long)counts.runs, (long long)counts.values);
    assert_int_equal(counts.failures, 0);
    assert_int_equal(taken, products);
    assert_true(products > 20);
}

static const level_style wide_styles[] = {
    { "u16", OCTET_U16, 0, 65535, false, false, false, 0 },
    { "s16 symmetric", OCTET_I16, -32767, 32767, true, false, false, 0 },
    { "s16, unsigned weights", OCTET_I16, -32768, 32767, false, true, true, 0 },
    { "u16, narrow", OCTET_U16, 1000, 60000, false, false, false, 0 },
};

static void test_two_bytes(void **state)
{
    (void)state;
    trial_count counts = { 0 };
    products = taken = 0;
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        for (size_t style = 0; style < sizeof wide_styles / sizeof *wide_styles; style++) {
            small_net net;
            make_net(&net, networks[i], &wide_styles[style], 1000 + 10 * i + style);
            check(&net, networks[i], style % 2 ? 3 : 1, &counts);
        }
    print_message("%lld runs, %lld values\n", (long long)counts.runs, (long long)counts.values);
    assert_int_equal(counts.failures, 0);
    assert_int_equal(taken, products);
    assert_true(products > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_dynamic), cmocka_unit_test(test_recurrent),
                                        cmocka_unit_test(test_two_bytes) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
