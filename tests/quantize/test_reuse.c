/* SPDX-License-Identifier: Apache-2.0 */
/* A calibration that another preparation takes over is what calibrating that one would have found. */
#include "../residual.h"

#include "quantize/calibration.h"

static octet_graph *prepared(const char *kept_float)
{
    const octet_layer_rule rule    = { .match = kept_float, .keep_float = true };
    octet_qconfig          qconfig = *octet_qconfig_find("octet");
    octet_graph           *graph   = residual_network(1, true);
    qconfig.activation.method      = OCTET_METHOD_MINMAX;
    qconfig.layers                 = &rule;
    qconfig.layer_count            = kept_float != NULL;
    MUST(octet_fuse(graph, &err));
    MUST(octet_prepare(graph, &qconfig, &err));
    return graph;
}

static size_t outputs_of(octet_graph *graph, float *out)
{
    const octet_tensor x = all_samples();
    MUST(octet_convert(graph, &err));
    return run_graph(graph, &x, out, ROOM, NULL);
}

static void taken_over_is_as_good_as_found(void **state)
{
    static const char *const layers[] = { "conv1", "conv2", "sum", "conv3", "fc" };
    static float             found[ROOM], taken[ROOM];
    octet_graph *const       all = prepared(NULL);
    octet_dataset           *data;
    int                      without_samples = 0;
    (void)state;
    MUST(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = all }, &err));
    MUST(octet_calibrate(all, data, NULL, &err));
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        octet_graph *const direct = prepared(layers[i]);
        octet_graph       *like   = prepared(layers[i]);
        octet_error        why    = { 0 };
        MUST(octet_calibrate(direct, data, NULL, &err));
        if (octet_calibrate_like(like, all, NULL, NULL, &why) == OCTET_OK) without_samples++;
        else { /* a value that was summed in an accumulator is levels now: nobody had seen it */
            octet_graph_free(like);
            like = prepared(layers[i]);
            MUST(octet_calibrate_like(like, all, data, NULL, &err));
        }
        const size_t count = outputs_of(direct, found);
        assert_int_equal(outputs_of(like, taken), count);
        if (memcmp(found, taken, count * sizeof *found) != 0) fail_msg("%s: other outputs", layers[i]);
        octet_graph_free(like);
        octet_graph_free(direct);
    }
    assert_in_range(without_samples, 3, 4);
    octet_dataset_free(data);
    octet_graph_free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(taken_over_is_as_good_as_found) };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
