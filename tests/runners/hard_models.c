/* SPDX-License-Identifier: Apache-2.0 */
/* Networks that 8 bits ruin, trained from nothing by octet's trainer and quantized: the recurrent voice detector
   (quantize/voice.h) and the decoder with outliers (quantize/decoder.h).

   hard_models FOLDER   writes voice.onnx, voice_frames.onnx (the same, frame by frame), decoder.onnx and samples to
                        calibrate both with (voice.npy, decoder.npy), and prints what quantization makes of them as the
                        rows of docs/calibration.md. The same bytes and figures every time. */
#include "quantize/decoder.h"
#include "quantize/voice.h"

#include "graph/copy.h"

enum { VOICE_STEPS = 300, CLIPS = 64, SEEN_CLIPS = 8, JUDGED = 4096, SEEN = 64 };

typedef struct hard_model {
    const char  *name, *measure, *data;
    octet_graph *real, *narrow; /* narrow: what is quantized to plain 8 bits; may be real */
    double (*accuracy)(const octet_graph *graph);
} hard_model;

/* ---- both tasks: percent that are right, of data that nobody has seen ---- */

static float   clips[CLIPS * VOICE_SIZE], sentences[JUDGED * LENGTH];
static int64_t voiced[CLIPS * VOICE_FRAMES], following[JUDGED];

static double frames_right(const octet_graph *graph) { return voice_accuracy(graph, clips, voiced, CLIPS); }

static double tokens_right(const octet_graph *graph)
{
    static float       logits[JUDGED * TOKENS];
    int                right = 0;
    const octet_tensor x = { .dtype = OCTET_F32, .rank = 2, .dims = { JUDGED, LENGTH }, .data = sentences };
    run_graph(graph, &x, logits, JUDGED * TOKENS, NULL);
    for (int i = 0; i < JUDGED; i++) {
        int best = 0;
        for (int t = 1; t < TOKENS; t++)
            if (logits[i * TOKENS + t] > logits[i * TOKENS + best]) best = t;
        right += best == following[i];
    }
    return 100.0 * right / JUDGED;
}

/* ---- quantization ---- */

static octet_graph *quantized(const octet_graph *graph, const octet_qconfig *qconfig, const char *data_path)
{
    octet_graph   *copy;
    octet_dataset *data;
    MUST(octet_graph_copy(&copy, graph, &err));
    MUST(octet_fuse(copy, &err));
    MUST(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = copy }, &err));
    MUST(octet_prepare(copy, qconfig, &err));
    MUST(octet_calibrate(copy, data, NULL, &err));
    MUST(octet_convert(copy, &err));
    octet_dataset_free(data);
    return copy;
}

/* "16 bits" and "dynamic" are what the default does about it. */
static void print_choices(const octet_graph *graph)
{
    const char *separator = "";
    for (size_t i = 0; i < octet_graph_decision_count(graph); i++) {
        const octet_decision d = octet_graph_decision(graph, i);
        if (strcmp(d.what, "16 bits") != 0 && strcmp(d.what, "dynamic") != 0) continue;
        printf("%s%s: %s", separator, d.node, d.what);
        separator = ", ";
    }
}

static void report(const hard_model *m)
{
    octet_qconfig plain = *octet_qconfig_find("octet");
    plain.activation.dtype = OCTET_U8; /* asked for, so nothing gets 16 bits */
    plain.activation.method = OCTET_METHOD_MINMAX;
    octet_graph *const own = quantized(m->real, NULL, m->data), *const narrow = quantized(m->narrow, &plain, m->data);
    printf("| %s | %s | %.1f %% | %.1f %% | %.1f %% | ", m->name, m->measure, m->accuracy(m->real),
           m->accuracy(narrow), m->accuracy(own));
    print_choices(own);
    printf(" |\n");
    octet_graph_free(own);
    octet_graph_free(narrow);
}

/* ---- making them ---- */

static void save(const octet_graph *graph, const char *folder, const char *name)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    MUST(octet_graph_save(graph, path, &err));
}

static void write_samples(char path[600], const char *folder, const char *name, octet_tensor samples)
{
    snprintf(path, 600, "%s/%s", folder, name);
    write_npy(path, &samples);
}

static void make_voice(const char *folder)
{
    voice_weights v;
    char          path[600];
    random_state  r = { 17 }, fresh = { 99 };
    voice_start(&v, &r);
    voice_train(&v, &r, VOICE_STEPS);
    voice_draw(&r, clips, voiced, SEEN_CLIPS);
    write_samples(path, folder, "voice.npy", (octet_tensor){ .dtype = OCTET_F32, .rank = 3, .data = clips,
                                             .dims = { SEEN_CLIPS, VOICE_FRAMES, VOICE_BANDS } });
    voice_draw(&fresh, clips, voiced, CLIPS);
    const hard_model m = { .name = "voice detector (GRU)", .measure = "frames", .data = path,
                           .real = voice_gru(&v), .narrow = voice_unrolled(&v), .accuracy = frames_right };
    save(m.real, folder, "voice.onnx");
    save(m.narrow, folder, "voice_frames.onnx");
    report(&m);
    octet_graph_free(m.real);
    octet_graph_free(m.narrow);
}

static void make_decoder(const char *folder)
{
    char               path[600];
    random_state       r = { 2024 }, held = { 7 }, seen = { 8 };
    octet_graph       *loaded, *const trained = decoder_network(&r);
    train(trained, &r);
    save(trained, folder, "decoder.onnx");
    octet_graph_free(trained);
    for (int i = 0; i < SEEN; i++) draw(&seen, sentences + i * LENGTH);
    write_samples(path, folder, "decoder.npy",
                  (octet_tensor){ .dtype = OCTET_F32, .rank = 2, .dims = { SEEN, LENGTH }, .data = sentences });
    for (int i = 0; i < JUDGED; i++) following[i] = draw(&held, sentences + i * LENGTH);
    char file[600];
    snprintf(file, sizeof file, "%s/decoder.onnx", folder);
    MUST(octet_graph_load(&loaded, file, &err));
    const hard_model m = { .name = "decoder", .measure = "next tokens", .data = path, .real = loaded,
                           .narrow = loaded, .accuracy = tokens_right };
    report(&m);
    octet_graph_free(loaded);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: hard_models FOLDER\n");
        return 2;
    }
    printf("| network | right | float | 8 bits everywhere | octet's default | what it did |\n");
    printf("|---|---|---|---|---|---|\n");
    make_voice(argv[1]);
    make_decoder(argv[1]);
    return 0;
}
