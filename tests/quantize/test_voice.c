/* SPDX-License-Identifier: Apache-2.0 */
/* A recurrent voice detector, trained here: octet's default makes the recurrence dynamic, says so, and keeps its
   accuracy; the same weights frame by frame in plain static int8 lose it. */
#include "voice.h"

enum { CLIPS = 32, STEPS = 100 };

static float   features[CLIPS * VOICE_SIZE];
static int64_t voiced[CLIPS * VOICE_FRAMES];

static void quantize(octet_graph *graph, const octet_qconfig *qconfig, const char *data_path)
{
    octet_dataset *data;
    MUST(octet_fuse(graph, &err));
    MUST(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = graph }, &err));
    MUST(octet_prepare(graph, qconfig, &err));
    MUST(octet_calibrate(graph, data, NULL, &err));
    MUST(octet_convert(graph, &err));
    octet_dataset_free(data);
}

static void keeps_its_accuracy(void **state)
{
    (void)state;
    voice_weights      v;
    char               folder[256], path[300];
    random_state       r = { 17 }, fresh = { 99 };
    octet_qconfig      plain = *octet_qconfig_find("octet");
    const octet_tensor x = { .dtype = OCTET_F32, .rank = 3, .dims = { 8, VOICE_FRAMES, VOICE_BANDS },
                             .data = features };
    make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/x.npy", folder);
    voice_start(&v, &r);
    voice_train(&v, &r, STEPS);
    voice_draw(&r, features, voiced, 8);
    write_npy(path, &x);
    voice_draw(&fresh, features, voiced, CLIPS);
    octet_graph *const gru = voice_gru(&v), *const flat = voice_unrolled(&v);
    const double       real = voice_accuracy(gru, features, voiced, CLIPS);
    const double       real_flat = voice_accuracy(flat, features, voiced, CLIPS);
    plain.activation.dtype = OCTET_U8;
    plain.activation.method = OCTET_METHOD_MINMAX;
    quantize(flat, &plain, path);
    quantize(gru, NULL, path);
    const double still = voice_accuracy(flat, features, voiced, CLIPS);
    const double kept = voice_accuracy(gru, features, voiced, CLIPS);
    print_message("float %.1f %% (frame by frame %.1f), plain static int8 %.1f, octet's default %.1f\n", real,
                  real_flat, still, kept);
    bool told = false;
    for (size_t i = 0; i < gru->decision_count; i++) told |= !strcmp(gru->decisions[i].what, "dynamic");
    assert_true(told);
    assert_true(real > 85 && fabs(real - real_flat) < 0.5);
    assert_true(still < real - 10);
    assert_true(kept > real - 2);
    octet_graph_free(gru);
    octet_graph_free(flat);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(keeps_its_accuracy) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
