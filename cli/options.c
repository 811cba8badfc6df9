/* SPDX-License-Identifier: Apache-2.0 */
/* The options that several verbs share, one row each. */
#include "cli.h"

#include <math.h>

#define AT(member) offsetof(cli_args, member)

const cli_option cli_common_options[] = {
    { "quiet", 'q', CLI_FLAG, NULL, AT(quiet), NULL, "print errors only" },
    { "verbose", 'v', CLI_FLAG, NULL, AT(verbose), NULL, "print what was decided and why, node by node" },
    { "force", 'f', CLI_FLAG, NULL, AT(force), NULL, "replace an existing output (atomically)" },
    { "threads", 'j', CLI_INTEGER, "N", AT(threads), "all that the process may use",
      "threads; results do not depend on it", NULL, 1, 4096 },
    { "json", 0, CLI_OPTIONAL, "FILE", AT(json), NULL, "print the result as one JSON document, to stdout or FILE" },
    { "progress", 0, CLI_WORD, "auto|none|json", AT(progress), "auto",
      "progress on stderr: a line on a terminal, nothing, or JSON lines" },
    { "help", 'h', CLI_FLAG, NULL, AT(help), NULL, "print this help" },
    { NULL },
};

const cli_option cli_shape_options[] = {
    { "shape", 0, CLI_SHAPE, "NAME=D,D,...", AT(shapes), NULL,
      "of the network's input NAME, all dimensions, N for one that stays free; may be repeated" },
    { NULL },
};

const cli_option cli_limit_options[] = {
    { "max-memory", 0, CLI_BYTES, "SIZE", AT(limits.max_memory), "75 % of the available memory",
      "memory that running a network may need (k, M, G)", NULL, 1, 1e18 },
    { "max-pixels", 0, CLI_COUNT, "N", AT(limits.max_pixels), "64000000", "pixels of one image", NULL, 1, 1e15 },
    { "max-nodes", 0, CLI_COUNT, "N", AT(limits.max_nodes), "1000000", "nodes of a network", NULL, 1, 1e15 },
    { "max-messages", 0, CLI_COUNT, "N", AT(limits.max_messages), "200000", "protobuf messages in a model file", NULL,
      1, 1e15 },
    { "end-at", 0, CLI_TEXT, "NAME,...", AT(end_at), "the file's outputs",
      "the network ends at these values; what stands behind them (a detector's choice of boxes) is not read" },
    { "timeout", 0, CLI_NUMBER, "SECONDS", AT(timeout), "none", "give up after that time", NULL, 0.001, 1e9 },
    { NULL },
};

const cli_option cli_output_options[] = {
    { "output", 'o', CLI_TEXT, "FILE", AT(output), NULL, "where the result goes" },
    { NULL },
};

const cli_option cli_engine_options[] = {
    { "engine", 0, CLI_TEXT, "LIST", AT(engine), "the best of this build",
      "engines, parted by commas, in the order in which they are asked for each node ('octet doctor' lists them)" },
    { NULL },
};

#define DATA_ROW(...)                                                                                              \
    { "data", 0, CLI_TEXT, "PATH", AT(data_path), NULL,                                                             \
      "samples: a folder of images, an image, a list, .npy, .npz, idx, CIFAR (also .gz), .tar (WebDataset)",         \
      __VA_ARGS__ }
#define LABELS_ROW                                                                                                 \
    { "labels", 0, CLI_TEXT, "FILE", AT(data.labels), "those beside the data",                                      \
      "true classes: .npy, idx, one a line, or tsv/csv of file and class", .section = "data" }

const cli_option cli_data_options[]          = { DATA_ROW(.required = true), LABELS_ROW, { NULL } };
const cli_option cli_optional_data_options[] = { DATA_ROW(.required = false), LABELS_ROW, { NULL } };

const cli_option cli_preprocess_options[] = {
    { "preprocess", 0, CLI_TEXT, "NAME", AT(data.preprocess), "the model's own recipe",
      "preset: none, unit, imagenet, tf, caffe, mnist", .section = "data" },
    { "size", 0, CLI_TEXT, "N|WxH", AT(data.size), NULL, "resize: short side N, or exactly WxH", .section = "data" },
    { "crop", 0, CLI_TEXT, "N|WxH", AT(data.crop), NULL, "cut from the centre", .section = "data" },
    { "scale", 0, CLI_TEXT, "X", AT(data.scale), NULL, "value = (byte * scale - mean) / std; 1/255 is allowed",
      .section = "data" },
    { "mean", 0, CLI_TEXT, "A,B,C", AT(data.mean), NULL, "mean per channel", .section = "data" },
    { "std", 0, CLI_TEXT, "A,B,C", AT(data.std), NULL, "standard deviation per channel", .section = "data" },
    { "color", 0, CLI_WORD, "rgb|bgr|gray", AT(data.color), "rgb", "order of the channels", .section = "data" },
    { "resize", 0, CLI_WORD, "bilinear|bicubic|nearest", AT(data.filter), "bilinear", "filter of resizing",
      .section = "data" },
    { "shape", 0, CLI_SHAPE, "NAME=D,D,...|[TYPE:]D,D,...", AT(data.shape), NULL,
      "with '=': of the network's input NAME, all dimensions, N for one that stays free (may be repeated); without: of "
      "one sample in a file of plain little-endian numbers (f32, f16, f64, u8, i8)", .section = "data" },
    { "layout", 0, CLI_WORD, "nchw|nhwc", AT(data.layout), "nchw", "how array samples lie in their file",
      .section = "data" },
    { NULL },
};

const cli_option cli_subset_options[] = {
    { "limit", 0, CLI_COUNT, "N", AT(data.limit), "all", "use at most N samples", "calibration", 1, 1e15 },
    { "skip", 0, CLI_COUNT, "N", AT(data.skip), "0", "leave out the first N samples", "calibration", 0, 1e15 },
    { "every", 0, CLI_COUNT, "N", AT(data.every), "1", "use samples 0, N, 2N, ...", "calibration", 1, 1e15,
      .opposite = "skip-every" },
    { "skip-every", 0, CLI_COUNT, "N", AT(data.skip_every), NULL, "use all samples but 0, N, 2N, ...", "calibration", 2,
      1e15, .opposite = "every" },
    { "shuffle", 0, CLI_FLAG, NULL, AT(data.shuffle), NULL, "take samples in an order that --seed decides",
      "calibration" },
    { "seed", 0, CLI_COUNT, "N", AT(data.seed), "0", "seed of --shuffle, and of training",
      "calibration", 0, 9e15 },
    { "skip-bad", 0, CLI_COUNT, "N", AT(data.skip_bad), "0", "tolerate N unreadable samples", "calibration", 0, 1e15 },
    { NULL },
};

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "--seed is read as a count");
