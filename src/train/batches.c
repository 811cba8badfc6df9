/* SPDX-License-Identifier: Apache-2.0 */
/* Samples are read by all threads at once, each straight to its place in the batch, and augmented there. */
#include "train/batches.h"

#include "base/hash.h"
#include "base/parallel.h"
#include "data/data.h"
#include "train/augment.h"
#include "train/order.h"

#include <string.h>

struct octet_batches {
    const octet_dataset       *data;
    const octet_train_options *options;
    size_t                     count, batch, per_epoch;
    size_t                     sample, target; /* elements of one */
    size_t                     epoch;          /* that order belongs to */
    size_t                    *order;
    bool                       ordered;
    size_t                     first; /* of the batch being read, in order */
    octet_tensor               inputs, targets;
    float                     *raw;    /* samples before augmentation; NULL: there is none */
    octet_image_shape          image;
    int64_t                   *labels;
    octet_error               *errors;
    int                        threads;
};

/* ---- what can be learned from ---- */

static octet_status check_labels(const octet_batches *b, const octet_graph *graph, octet_error *err)
{
    const int64_t classes = octet_class_count_of(graph);
    if (!octet_dataset_has_labels(b->data))
        return octet_fail(err, OCTET_ERR_FORMAT, "no labels (cross entropy needs one for every sample)");
    for (size_t i = 0; i < b->count; i++) {
        const int64_t label = octet_dataset_label(b->data, i);
        if (label >= 0 && (!classes || label < classes)) continue;
        if (label < 0)
            return octet_fail(err, OCTET_ERR_FORMAT, "sample %.80s has no label (cross entropy needs one)",
                              octet_dataset_name(b->data, i));
        return octet_fail(err, OCTET_ERR_FORMAT,
                          "sample %.80s: label out of range (got %lld, need 0 to %lld: the network's classes)",
                          octet_dataset_name(b->data, i), (long long)label, (long long)classes - 1);
    }
    return OCTET_OK;
}

/* The truth of sample 0: its reference, or itself where the network's output has the shape of its input. */
static octet_status check_targets(octet_batches *b, const octet_graph *graph, octet_error *err)
{
    const octet_tensor reference = octet_dataset_reference(b->data, 0);
    const octet_port   port      = octet_graph_output(graph, 0);
    octet_tensor      *t         = &b->targets;
    if (octet_graph_output_count(graph) != 1)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "%zu outputs (a data set has targets for one)",
                          octet_graph_output_count(graph));
    *t = (octet_tensor){ .dtype = OCTET_F32, .rank = port.rank };
    memcpy(t->dims, port.dims, sizeof t->dims);
    if (t->rank > 0) t->dims[0] = 1;
    b->target              = (size_t)octet_tensor_count(t);
    const size_t available = reference.data ? (size_t)octet_tensor_count(&reference) : b->sample;
    if (t->rank > 0 && available == b->target) {
        t->dims[0] = (int64_t)b->batch;
        return OCTET_OK;
    }
    return octet_fail(err, OCTET_ERR_SHAPE, "%s of %zu elements (the network's output '%.60s' has %zu)",
                      reference.data ? "references" : "no references, and samples", available, port.name, b->target);
}

static octet_status check_images(octet_batches *b, octet_error *err)
{
    const int64_t *const d    = b->inputs.dims;
    const bool           last = (d[3] == 1 || d[3] == 3) && d[1] != 1 && d[1] != 3;
    if (b->inputs.rank != 4)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "flip and crop need images (got samples of %d dimensions)",
                          b->inputs.rank - 1);
    b->image = (octet_image_shape){ .planes = last ? 1 : (size_t)d[1],
                                    .height = (size_t)d[last ? 1 : 2],
                                    .width  = (size_t)d[last ? 2 : 3],
                                    .pixel  = last ? (size_t)d[3] : 1 };
    return OCTET_OK;
}

/* What the loss and the augmentation ask of the data. */
static octet_status check(octet_batches *b, const octet_graph *graph, octet_error *err)
{
    if (b->options->loss == OCTET_LOSS_CROSS_ENTROPY) OCTET_TRY(check_labels(b, graph, err));
    if (b->options->loss == OCTET_LOSS_MSE) OCTET_TRY(check_targets(b, graph, err));
    return b->options->flip || b->options->crop ? check_images(b, err) : OCTET_OK;
}

/* ---- making ---- */

static octet_status make_room(octet_batches *b, octet_arena *arena, octet_error *err)
{
    const size_t values = b->batch * b->sample;
    OCTET_TRY(octet_arena_get(&b->inputs.data, arena, values, sizeof(float), err));
    if (b->image.planes) OCTET_TRY(octet_arena_get(&b->raw, arena, values, sizeof(float), err));
    if (b->target) OCTET_TRY(octet_arena_get(&b->targets.data, arena, b->batch * b->target, sizeof(float), err));
    OCTET_TRY(octet_arena_get(&b->order, arena, b->count, sizeof *b->order, err));
    OCTET_TRY(octet_arena_get(&b->labels, arena, b->batch, sizeof *b->labels, err));
    return octet_arena_get(&b->errors, arena, b->batch, sizeof *b->errors, err);
}

octet_status octet_batches_new(octet_batches **batches, octet_arena *arena, const octet_dataset *data,
                               const octet_train_options *options, const octet_graph *graph, octet_error *err)
{
    octet_batches *b;
    OCTET_TRY(octet_arena_get(&b, arena, 1, sizeof *b, err));
    *b           = (octet_batches){ .data = data, .options = options, .batch = options->batch };
    b->count     = octet_dataset_count(data);
    b->per_epoch = b->count / b->batch;
    b->threads   = options->threads > 0 ? options->threads : octet_threads_available();
    b->inputs    = octet_dataset_tensor(data);
    b->sample                 = (size_t)octet_tensor_count(&b->inputs); /* the port's leading dimension is 1 */
    b->inputs.dims[0]         = (int64_t)b->batch;
    const octet_status status = check(b, graph, err);
    if (status != OCTET_OK) octet_error_file(err, data->path);
    *batches = b;
    return status == OCTET_OK ? make_room(b, arena, err) : status;
}

size_t octet_batches_per_epoch(const octet_batches *batches) { return batches->per_epoch; }

uint64_t octet_batches_hash(const octet_batches *b)
{
    octet_hash hash;
    octet_hash_begin(&hash);
    octet_hash_add(&hash, b->inputs.dims, sizeof b->inputs.dims);
    for (size_t i = 0; i < b->count; i++) {
        const char *const name  = octet_dataset_name(b->data, i);
        const int64_t     label = octet_dataset_label(b->data, i);
        octet_hash_add(&hash, name, strlen(name) + 1);
        octet_hash_add(&hash, &label, sizeof label);
    }
    return octet_hash_value(&hash);
}

/* ---- reading ---- */

static void read_target(octet_batches *b, size_t place, size_t index)
{
    const octet_tensor reference = octet_dataset_reference(b->data, index);
    const float *const from = reference.data ? reference.data : (const float *)b->inputs.data + place * b->sample;
    memcpy((float *)b->targets.data + place * b->target, from, b->target * sizeof(float));
}

static void read_one(void *context, size_t place)
{
    octet_batches *const b     = context;
    const size_t         index = b->order[b->first + place];
    float *const         to    = (float *)b->inputs.data + place * b->sample;
    float *const         raw   = b->raw ? b->raw + place * b->sample : to;
    if (octet_dataset_read(b->data, index, raw, &b->labels[place], &b->errors[place]) != OCTET_OK) return;
    const octet_augment how = { .flip = b->options->flip, .crop = b->options->crop, .seed = b->options->seed };
    if (raw != to) octet_augment_sample(to, raw, &b->image, &how, b->epoch, index);
    if (b->target) read_target(b, place, index);
}

octet_status octet_batches_read(octet_train_batch *batch, octet_batches *b, size_t step, octet_error *err)
{
    const size_t epoch = step / b->per_epoch;
    if (!b->ordered || epoch != b->epoch) octet_train_order(b->order, b->count, b->options->seed, epoch);
    b->ordered = true;
    b->epoch   = epoch;
    b->first   = step % b->per_epoch * b->batch;
    memset(b->errors, 0, b->batch * sizeof *b->errors);
    octet_parallel(b->batch, b->threads, read_one, b);
    for (size_t i = 0; i < b->batch; i++) {
        if (b->errors[i].status == OCTET_OK) continue;
        if (err && err->status == OCTET_OK) *err = b->errors[i];
        return b->errors[i].status;
    }
    *batch = (octet_train_batch){ .inputs  = &b->inputs,
                                  .labels  = octet_dataset_has_labels(b->data) ? b->labels : NULL,
                                  .targets = b->target ? &b->targets : NULL };
    return OCTET_OK;
}
