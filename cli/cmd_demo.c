/* SPDX-License-Identifier: Apache-2.0 */
/* octet demo: the whole story without any file of the user's. Draws pictures, quantizes the network that was trained on
   such pictures, and measures what that cost. */
#include "cli.h"
#include "demo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CALIBRATION = 256, COMPARED = 64, BATCH = 50, TRAIN_SEED = 1, TEST_SEED = 2, PATH_SIZE = 4096 };

/* What the demo writes, in this order. */
typedef enum demo_file {
    TRAIN_IMAGES,
    TRAIN_LABELS,
    TEST_IMAGES,
    TEST_LABELS,
    CLASSES,
    MODEL,
    QUANTIZED,
    FILES
} demo_file;

static const char *const file_names[FILES] = { "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                               "test-images-idx3-ubyte",  "test-labels-idx1-ubyte",
                                               "classes.txt",             "glyphs.onnx",
                                               "glyphs.int8.onnx" };

typedef struct story {
    char              paths[FILES][PATH_SIZE];
    octet_graph      *real, *quantized;
    octet_dataset    *train, *test, *few;
    octet_scores      scores[2];
    octet_comparison *comparison;
    double            began;
} story;

static void story_free(story *s)
{
    octet_comparison_free(s->comparison);
    octet_dataset_free(s->few);
    octet_dataset_free(s->test);
    octet_dataset_free(s->train);
    octet_graph_free(s->quantized);
    octet_graph_free(s->real);
}

/* ---- the folder ---- */

static octet_status open_folder(story *s, cli_call *call, octet_error *err)
{
    const char *const folder = call->args.output ? call->args.output : "octet-demo";
    const char *const json   = call->args.json;
    call->writing            = true; /* what fails here is an output's fault */
    if (strlen(folder) > PATH_SIZE - 32) return octet_fail(err, OCTET_ERR_ARGUMENT, "name of the folder is too long");
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        octet_error_file(err, folder);
        return octet_fail(err, OCTET_ERR_FILE, "cannot make the folder: %s", strerror(errno));
    }
    for (int i = 0; i < FILES; i++) {
        snprintf(s->paths[i], PATH_SIZE, "%s/%s", folder, file_names[i]);
        OCTET_TRY(octet_output_check(s->paths[i], call->args.force, err));
    }
    if (json && strcmp(json, "-") != 0) OCTET_TRY(octet_output_check(json, call->args.force, err));
    return OCTET_OK;
}

/* ---- pictures ---- */

/* The head of an idx file: type unsigned byte, rank, dimensions, big-endian. Returns its size. */
static size_t put_head(uint8_t *out, const uint32_t *dims, int rank)
{
    const uint8_t magic[4] = { 0, 0, 8, (uint8_t)rank };
    memcpy(out, magic, 4);
    for (int i = 0; i < rank; i++)
        for (int b = 0; b < 4; b++) out[4 + 4 * i + b] = (uint8_t)(dims[i] >> (24 - 8 * b));
    return 4 + 4 * (size_t)rank;
}

static octet_status write_series(const cli_call *call, const char *images, const char *labels, uint64_t seed,
                                 uint32_t count, octet_error *err)
{
    const uint32_t dims[3]    = { count, DEMO_SIDE, DEMO_SIDE };
    uint8_t *const pixels     = cli_alloc(16 + (size_t)count * DEMO_PIXELS, 1);
    uint8_t *const classes    = cli_alloc(8 + count, 1);
    const size_t   pixel_head = put_head(pixels, dims, 3), class_head = put_head(classes, dims, 1);
    for (uint32_t i = 0; i < count; i++)
        classes[class_head + i] = (uint8_t)demo_draw(pixels + pixel_head + (size_t)i * DEMO_PIXELS, seed, i);
    octet_status status =
        octet_file_write(images, pixels, pixel_head + (size_t)count * DEMO_PIXELS, call->args.force, err);
    if (status == OCTET_OK) status = octet_file_write(labels, classes, class_head + count, call->args.force, err);
    free(classes);
    free(pixels);
    return status;
}

static octet_status write_pictures(story *s, cli_call *call, octet_error *err)
{
    char         names[256] = "";
    const double began      = cli_now();
    OCTET_TRY(write_series(call, s->paths[TRAIN_IMAGES], s->paths[TRAIN_LABELS], TRAIN_SEED, DEMO_TRAIN, err));
    OCTET_TRY(write_series(call, s->paths[TEST_IMAGES], s->paths[TEST_LABELS], TEST_SEED, DEMO_TEST, err));
    for (int i = 0; i < DEMO_CLASSES; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s\n", demo_class_names[i]);
    OCTET_TRY(octet_file_write(s->paths[CLASSES], names, strlen(names), call->args.force, err));
    cli_say(call, "pictures   drew %d of %d x %d pixels in %d classes: %d to learn from, %d to test (%.1f s)\n",
            DEMO_TRAIN + DEMO_TEST, DEMO_SIDE, DEMO_SIDE, DEMO_CLASSES, DEMO_TRAIN, DEMO_TEST, cli_now() - began);
    cli_json_set(call->document, "train_images", cli_json_count(DEMO_TRAIN));
    cli_json_set(call->document, "test_images", cli_json_count(DEMO_TEST));
    return OCTET_OK;
}

/* ---- from float to int8 ---- */

static octet_status open_pictures(octet_dataset **data, const story *s, demo_file images, size_t limit,
                                  octet_error *err)
{
    const octet_dataset_options options = { .preprocess = "mnist",
                                            .labels     = s->paths[images + 1],
                                            .limit      = limit,
                                            .graph      = s->real };
    return octet_dataset_open(data, s->paths[images], &options, err);
}

static octet_status open_network(story *s, cli_call *call, octet_error *err)
{
    OCTET_TRY(octet_file_write(s->paths[MODEL], demo_model, demo_model_size, call->args.force, err));
    OCTET_TRY(cli_load(&s->real, call, s->paths[MODEL], err));
    OCTET_TRY(cli_load(&s->quantized, call, s->paths[MODEL], err));
    int64_t parameters = 0;
    for (size_t i = 0; i < octet_graph_node_count(s->real); i++)
        parameters += octet_graph_node(s->real, i).parameters;
    cli_say(call, "network    %zu nodes, %.1f thousand parameters, %.2f million multiply-accumulates a picture\n",
            octet_graph_node_count(s->real), (double)parameters / 1e3, octet_graph_macs(s->real) / 1e6);
    return OCTET_OK;
}

static octet_status keep_recipe(story *s, octet_error *err)
{
    char               text[1024];
    const octet_recipe recipe = octet_dataset_recipe(s->train);
    OCTET_TRY(octet_recipe_print(text, sizeof text, &recipe, err));
    return octet_graph_set_metadata(s->quantized, "octet.preprocess", text, err);
}

static void tell_nodes(story *s, cli_call *call, double seconds)
{
    size_t integer = 0;
    double macs    = 0;
    for (size_t i = 0; i < octet_graph_node_count(s->quantized); i++) {
        const octet_node_info node = octet_graph_node(s->quantized, i);
        if (node.mode == OCTET_MODE_REAL) continue;
        integer++;
        if (node.macs > 0) macs += (double)node.macs;
    }
    const double share = macs / octet_graph_macs(s->quantized);
    cli_say(call, "quantize   ranges from %d training pictures in %.1f s: %zu of %zu nodes int8, %.0f %% of the work\n",
            CALIBRATION, seconds, integer, octet_graph_node_count(s->quantized), 100 * share);
    cli_json_set(call->document, "quantize_seconds", cli_json_number(seconds));
    cli_json_set(call->document, "macs_int8", cli_json_number(share));
}

static octet_status quantize(story *s, cli_call *call, octet_error *err)
{
    const double                  began   = cli_now();
    const octet_calibrate_options options = { .threads          = call->args.threads,
                                              .progress         = cli_progress_step,
                                              .progress_context = call };
    OCTET_TRY(open_pictures(&s->train, s, TRAIN_IMAGES, CALIBRATION, err));
    OCTET_TRY(octet_fuse(s->quantized, err));
    OCTET_TRY(octet_prepare(s->quantized, NULL, err));
    OCTET_TRY(octet_calibrate(s->quantized, s->train, &options, err));
    OCTET_TRY(octet_convert(s->quantized, err));
    OCTET_TRY(keep_recipe(s, err));
    OCTET_TRY(octet_graph_save(s->quantized, s->paths[QUANTIZED], err));
    cli_progress_end(call);
    tell_nodes(s, call, cli_now() - began);
    return OCTET_OK;
}

/* ---- what it cost ---- */

static octet_status measure(story *s, cli_call *call, octet_error *err)
{
    octet_evaluate_options options = cli_evaluate_options(call);
    options.plan.batch             = BATCH; /* pictures this small leave threads idle one by one */
    options.baseline_plan.batch    = BATCH;
    OCTET_TRY(open_pictures(&s->test, s, TEST_IMAGES, 0, err));
    OCTET_TRY(octet_evaluate(s->scores, s->quantized, s->real, s->test, &options, err));
    options.plan.batch = options.baseline_plan.batch = 1;
    options.no_effects                               = true;
    OCTET_TRY(open_pictures(&s->few, s, TEST_IMAGES, COMPARED, err));
    OCTET_TRY(octet_compare(&s->comparison, s->real, s->quantized, s->few, &options, err));
    cli_progress_end(call);
    return OCTET_OK;
}

static void tell_scores(const story *s, cli_call *call)
{
    char                      text[32];
    const octet_scores *const now = &s->scores[0], *const before = &s->scores[1];
    cli_say(call, "accuracy   float %.2f %%, int8 %.2f %% of %zu test pictures; same class for %.2f %% of them\n",
            100 * before->top1, 100 * now->top1, now->count, 100 * now->agreement);
    cli_say(call, "output     SQNR %s over the whole test set\n", cli_decibel(text, now->sqnr_db));
    cli_json_set(call->document, "float_top1", cli_json_number(before->top1));
    cli_json_set(call->document, "int8_top1", cli_json_number(now->top1));
    cli_json_set(call->document, "agreement", cli_json_number(now->agreement));
    cli_json_set(call->document, "sqnr_db", cli_json_number(now->sqnr_db));
}

/* Layers in the order of the network: what each adds to the error, and what has gathered up to it. */
static void tell_layers(const story *s, cli_call *call)
{
    char                          text[2][32];
    const octet_comparison *const c    = s->comparison;
    json_t *const                 list = cli_json_array();
    cli_say(call, "\n%-22s%-20s%12s%14s\n", "SQNR of each layer", "operator", "on its own", "accumulated");
    for (size_t n = 0; n < octet_graph_node_count(s->real); n++)
        for (size_t i = 0; i < c->layer_count; i++) {
            const octet_layer_error *const row = &c->layers[i];
            if (strcmp(row->name, octet_graph_node(s->real, n).name) != 0) continue;
            json_t *const object = cli_json_object();
            cli_json_set(object, "name", cli_json_text(row->name));
            cli_json_set(object, "op", cli_json_text(row->op));
            cli_json_set(object, "local_db", cli_json_number(row->local_db));
            cli_json_set(object, "accumulated_db", cli_json_number(row->accumulated_db));
            cli_json_add(list, object);
            cli_say(call, "  %-20s%-20s%12s%14s\n", row->name, row->op, cli_decibel(text[0], row->local_db),
                    cli_decibel(text[1], row->accumulated_db));
        }
    cli_json_set(call->document, "layers", list);
}

static octet_status tell_files(const story *s, cli_call *call, octet_error *err)
{
    json_t *const files = cli_json_object();
    cli_json_set(call->document, "files", files);
    cli_say(call, "\nfiles\n");
    for (int i = 0; i < FILES; i++) {
        octet_file file;
        char       text[32], clean[96];
        OCTET_TRY(octet_file_read(&file, s->paths[i], 0, err));
        cli_say(call, "%12s  %s\n", cli_bytes(text, (double)file.size), cli_clean(clean, s->paths[i]));
        cli_json_set(files, s->paths[i], cli_json_count(file.size));
        octet_file_close(&file);
    }
    cli_say(call, "\ndone in %.1f s; now try: octet compare %s %s --data %s\n", cli_now() - s->began, s->paths[MODEL],
            s->paths[QUANTIZED], s->paths[TEST_IMAGES]);
    cli_json_set(call->document, "seconds", cli_json_number(cli_now() - s->began));
    return OCTET_OK;
}

static octet_status tell(story *s, cli_call *call, octet_error *err)
{
    OCTET_TRY(open_folder(s, call, err));
    OCTET_TRY(write_pictures(s, call, err));
    if (call->args.data_only) return OCTET_OK;
    OCTET_TRY(open_network(s, call, err));
    OCTET_TRY(quantize(s, call, err));
    OCTET_TRY(measure(s, call, err));
    tell_scores(s, call);
    tell_layers(s, call);
    return tell_files(s, call, err);
}

octet_status cli_demo(cli_call *call, octet_error *err)
{
    story *const s = cli_alloc(1, sizeof *s);
    s->began       = cli_now();
    const octet_status status = tell(s, call, err);
    story_free(s);
    free(s);
    return status;
}

static const cli_option demo_options[] = {
    { "output", 'o', CLI_TEXT, "DIR", offsetof(cli_args, output), "octet-demo", "folder for pictures and networks" },
    { "data-only", 0, CLI_FLAG, NULL, offsetof(cli_args, data_only), NULL, "draw the pictures, do nothing else" },
    { NULL },
};
static const cli_group demo_groups[] = {
    { "demo", demo_options },
    { "common options", cli_common_options },
    { NULL },
};
static const cli_example demo_examples[] = {
    { "demo", "draws 12,000 pictures, quantizes a network for them, prints what it cost" },
    { "demo -f -o glyphs --json", "the same into glyphs/, replacing what is there; results as JSON" },
    { "demo --data-only -o glyphs", "only the pictures, as idx files" },
    { NULL },
};
const cli_syntax cli_demo_syntax = { "", 0, 0, demo_groups, demo_examples };
