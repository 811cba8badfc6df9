/* SPDX-License-Identifier: Apache-2.0 */
/* Two to eight bits: levels stay in their range on every engine, and the file that is written is the same network. */
#include "../models.h"
#include "../residual.h"

#include "engine/run.h"
#include "graph/graph.h"
#include "graph/op.h"

typedef struct bits {
    const char *weights, *activations;
} bits;

static const bits choices[] = { { "s4", "u4" }, { "s4", "u8" }, { "s4", "s4" }, { "s3", "s5" }, { "s2", "u2" },
                                { "s8", "u6" }, { "s8", "s8" }, { NULL, "s3" }, { "s5", NULL } };

enum { CHOICES = sizeof choices / sizeof *choices, MOST_OUTPUT = 1 << 14 };

static octet_qconfig qconfig_of(const bits *choice)
{
    octet_qconfig qconfig = *octet_qconfig_find("octet");
    MUST(octet_qconfig_bits(&qconfig, choice->weights, choice->activations, &err));
    qconfig.activation.method = OCTET_METHOD_MSE;
    return qconfig;
}

/* ---- what texts mean ---- */

static void texts_are_read(void **state)
{
    (void)state;
    octet_qconfig q = *octet_qconfig_find("octet");
    MUST(octet_qconfig_bits(&q, "s4", "u4", &err));
    assert_int_equal(q.weight.dtype, OCTET_I8);
    assert_int_equal(q.weight.qmin, -7);
    assert_int_equal(q.weight.qmax, 7);
    assert_int_equal(q.activation.dtype, OCTET_U8);
    assert_int_equal(q.activation.qmin, 0);
    assert_int_equal(q.activation.qmax, 15);
    MUST(octet_qconfig_bits(&q, "s2", "s3", &err));
    assert_int_equal(q.weight.qmin, -1);
    assert_int_equal(q.weight.qmax, 1);
    assert_int_equal(q.activation.dtype, OCTET_I8);
    assert_int_equal(q.activation.qmin, -4);
    assert_int_equal(q.activation.qmax, 3);
    MUST(octet_qconfig_bits(&q, NULL, "f32", &err));
    assert_true(q.activation.off && !q.weight.off);
    MUST(octet_qconfig_bits(&q, "u4", NULL, &err)); /* beside real activations */
    assert_true(q.weight.dtype == OCTET_U8 && !q.weight.qmin && q.weight.qmax == 15 && !q.weight.symmetric);
    MUST(octet_qconfig_bits(&q, "s4", NULL, &err));
    assert_true(q.weight.dtype == OCTET_I8 && q.weight.qmin == -8 && q.weight.qmax == 7 && q.weight.symmetric);
    q = *octet_qconfig_find("octet");
    static const char *const bad[] = { "u4", "s9", "s1", "s", "", "s44", "4", "S4", "off" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(octet_qconfig_bits(&q, bad[i], NULL, NULL), OCTET_ERR_ARGUMENT);
}

/* ---- levels ---- */

static int64_t level_of(const octet_tensor *t, int64_t i)
{
    if (t->dtype == OCTET_U8) return ((const uint8_t *)t->data)[i];
    return t->dtype == OCTET_I8 ? ((const int8_t *)t->data)[i] : ((const int32_t *)t->data)[i];
}

static void assert_within(const octet_tensor *t, const octet_quantizer *q, const char *name)
{
    for (int64_t i = 0; i < octet_tensor_count(t); i++) {
        const int64_t level = level_of(t, i);
        if (level >= q->qmin && level <= q->qmax) continue;
        print_error("'%s': level %lld outside of %d..%d\n", name, (long long)level, q->qmin, q->qmax);
        fail();
    }
}

static void assert_levels_in_range(const octet_graph *graph, octet_workspace *ws, const octet_qconfig *qconfig)
{
    int seen = 0;
    for (octet_value *v = graph->values; v; v = v->next) {
        const octet_qparams *const levels = octet_value_levels(graph, v);
        if (!levels || levels->dtype == OCTET_I32) continue;
        const octet_tensor t = v->constant ? *v->constant : octet_workspace_value(ws, v);
        if (!t.data) continue;
        const octet_quantizer *const side = v->constant ? &qconfig->weight : &qconfig->activation;
        if (side->qmin || side->qmax) assert_within(&t, side, v->name); /* others have all of their type */
        seen++;
    }
    assert_true(seen > 5);
}

/* ---- engines ---- */

static size_t run_on(const char *engines, const octet_graph *graph, const octet_tensor *x, float *out)
{
    return run_graph(graph, x, out, MOST_OUTPUT, &(octet_plan_options){ .engines = engines, .threads = 2 });
}

/* Every operator of an engine makes of the reference's levels the reference's, or their neighbours. */
static void assert_one_level_at_most(octet_graph *graph, const char *engine)
{
    octet_diff                   *diff;
    const octet_diff_side         sides[2] = { { graph, engine }, { graph, "reference" } };
    const octet_diff_options      options  = { .samples = 1, .plan = { .threads = 2 } };
    MUST(octet_diff_run(&diff, sides, &options, &err));
    if (diff->local.max > 1)
        print_error("%s: '%s' is %lld levels off\n", engine, diff->values[diff->worst_local].name,
                    (long long)diff->local.max);
    assert_true(diff->local.max <= 1);
    octet_diff_free(diff);
}

/* Reference and native agree in bytes, and levels keep to their range. */
static void check_engines(octet_graph *graph, const octet_qconfig *qconfig, octet_tensor *x)
{
    static float             expected[MOST_OUTPUT], got[MOST_OUTPUT];
    octet_plan              *plan;
    octet_workspace         *ws;
    octet_tensor             outputs[8];
    const octet_plan_options keep = { .engines = "reference", .keep_values = true, .batch = x->dims[0] };
    MUST(octet_plan_create(&plan, graph, &keep, &err));
    MUST(octet_workspace_create(&ws, plan, &err));
    MUST(octet_run(ws, x, outputs, &err));
    assert_levels_in_range(graph, ws, qconfig);
    octet_workspace_free(ws);
    octet_plan_free(plan);
    const size_t n = run_on("reference", graph, x, expected);
    assert_int_equal(run_on("native", graph, x, got), n);
    assert_memory_equal(expected, got, n * sizeof *got);
}

static void check_other_engines(octet_graph *graph)
{
    for (size_t i = 0; octet_engine_name(i, NULL); i++) assert_one_level_at_most(graph, octet_engine_name(i, NULL));
}

/* ---- files ---- */

static void assert_same_graph(const octet_graph *a, const octet_graph *b)
{
    assert_int_equal(a->node_count, b->node_count);
    for (const octet_value *v = a->values; v; v = v->next) {
        const octet_value *const   w = octet_graph_find_value(b, v->name);
        const octet_qparams *const p = octet_value_levels(a, v), *const q = w ? octet_value_levels(b, w) : NULL;
        if (!p) continue;
        if (!q) print_error("'%s' has no levels in the file\n", v->name);
        assert_non_null(q);
        assert_int_equal(p->count, q->count);
        assert_memory_equal(p->scale, q->scale, (size_t)p->count * sizeof *p->scale);
        if (v->constant) {
            assert_memory_equal(v->constant->data, w->constant->data, (size_t)octet_tensor_bytes(v->constant));
            continue;
        }
        assert_int_equal(p->qmin, q->qmin);
        assert_int_equal(p->qmax, q->qmax);
    }
}

static void check_file(const octet_graph *graph, const octet_tensor *x)
{
    static float expected[MOST_OUTPUT], got[MOST_OUTPUT];
    octet_graph *const again = saved_and_loaded(graph);
    assert_int_equal(octet_graph_stage(again), OCTET_STAGE_QUANTIZED);
    assert_same_graph(graph, again);
    const size_t n = run_on("reference", graph, x, expected);
    assert_int_equal(run_on("reference", again, x, got), n);
    assert_memory_equal(expected, got, n * sizeof *got);
    assert_int_equal(run_on("native", again, x, got), n);
    assert_memory_equal(expected, got, n * sizeof *got);
    octet_graph_free(again);
}

static void small_networks_keep_their_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHOICES; i++) {
        octet_graph        *graph   = residual_network(1, true);
        const octet_qconfig qconfig = qconfig_of(&choices[i]);
        octet_tensor        x       = all_samples();
        MUST(quantize(graph, &qconfig, 2, &err));
        check_engines(graph, &qconfig, &x);
        check_other_engines(graph);
        check_file(graph, &x);
        octet_graph_free(graph);
    }
}

static void real_networks_keep_their_bits(void **state)
{
    (void)state;
    static const shared_model models[] = { { "resnet8_cifar10", "resnet8_cifar10.in.input" },
                                           { "resnet20_cifar10", "resnet20_cifar10.in.input" },
                                           { "mobilenetv2_1.0_224", "mobilenetv2_1.0_224.in.input" } };
    for (size_t m = 0; m < sizeof models / sizeof *models; m++)
        for (size_t i = 0; i < (m < 2 ? 5 : 1); i++) {
            octet_dataset      *data;
            const octet_qconfig qconfig = qconfig_of(&choices[i]);
            octet_graph *const  graph   = quantize_shared_as(&models[m], &data, &qconfig);
            if (!graph) return;
            octet_tensor x = first_sample(data);
            check_engines(graph, &qconfig, &x);
            if (m == 0 && i == 0) check_other_engines(graph);
            check_file(graph, &x);
            free(x.data);
            octet_dataset_free(data);
            octet_graph_free(graph);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read),
        cmocka_unit_test(small_networks_keep_their_bits),
        cmocka_unit_test(real_networks_keep_their_bits),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
