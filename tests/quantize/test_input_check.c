/* SPDX-License-Identifier: Apache-2.0 */
/* Samples that were not prepared as in training are noticed by what the first batch norm remembers. */
#include "../residual.h"

#include "quantize/calibration.h"

static const char *said(float scale)
{
    static char        why[512];
    const octet_tensor tensor = all_samples();
    octet_graph *const graph  = residual_network(1, true);
    octet_dataset     *data;
    why[0] = '\0';
    for (size_t i = 0; i < SAMPLES * PIXELS; i++) samples[i] *= scale;
    write_npy(data_path, &tensor);
    for (size_t i = 0; i < SAMPLES * PIXELS; i++) samples[i] /= scale;
    MUST(octet_fuse(graph, &err));
    MUST(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = graph }, &err));
    MUST(octet_prepare(graph, NULL, &err));
    MUST(octet_calibrate(graph, data, NULL, &err));
    for (size_t i = 0; i < octet_graph_decision_count(graph); i++) {
        const octet_decision d = octet_graph_decision(graph, i);
        if (!strcmp(d.what, OCTET_INPUT_UNUSUAL)) snprintf(why, sizeof why, "%s: %s", d.node, d.why);
    }
    octet_dataset_free(data);
    octet_graph_free(graph);
    return why;
}

static void samples_of_another_scale_are_noticed(void **state)
{
    (void)state;
    assert_string_equal(said(1), "");
    const char *const why = said(255);
    if (strncmp(why, "x: samples lie within -25", 25) != 0 || !strstr(why, "conv1") ||
        !strstr(why, "standard deviations"))
        fail_msg("'%s'", why);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(samples_of_another_scale_are_noticed) };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
