/* SPDX-License-Identifier: Apache-2.0 */
/* What a data set is inside. A format opens a path and leaves behind one of two things: an array (npy, npz, idx, CIFAR)
   or a list of image files. Everything after that (subsets, labels, recipe) is the same for all formats. */
#ifndef OCTET_DATA_DATA_H
#define OCTET_DATA_DATA_H

#include <octet/dataset.h>

#include "base/arena.h"
#include "base/file.h"
#include "data/bytes.h"
#include "data/recipe.h"

/* Numbers as they lie in a file: sample i, element (a, b, ...) at bytes[base + i * pitch + a * strides[0] + ...]. */
typedef struct octet_array {
    octet_dtype    dtype;
    bool           swapped;                                       /* big-endian */
    size_t         count;                                         /* samples */
    int            rank;                                          /* of one sample */
    int64_t        dims[OCTET_MAX_RANK], strides[OCTET_MAX_RANK]; /* strides and pitch in bytes */
    int64_t        pitch;
    const uint8_t *bytes;
} octet_array;

/* How an array sample becomes values: as channels x height x width with strides on both sides, or as an image. */
typedef struct octet_array_route {
    bool    as_image; /* bytes that the recipe resizes or recolours */
    int64_t channels, height, width;
    int64_t from[3], to[3]; /* strides of channel, row, column: bytes in the file, elements in values */
} octet_array_route;

/* The shape that samples must get; from the network, or unknown. */
typedef struct octet_target {
    bool        known;
    const char *name;                 /* of the network's input */
    int         rank;                 /* of one sample */
    int64_t     dims[OCTET_MAX_RANK]; /* OCTET_DIM_FREE matches anything */
    bool        channels_last;
    int64_t     classes; /* the network's, 0: not known */
} octet_target;

typedef struct octet_format octet_format;

/* A piece of the data set's file. */
typedef struct octet_blob {
    const uint8_t *data;
    size_t         size;
} octet_blob;

struct octet_dataset {
    octet_arena          *arena;
    const octet_dataset  *whole; /* what this is a part of, whose file and lists it reads; NULL: it has its own */
    const octet_format   *format;
    const char           *path;
    octet_dataset_options options; /* strings are valid while opening only */
    octet_limits          limits;
    octet_source          source;
    octet_target          target;
    octet_recipe          recipe;
    bool                  own_recipe; /* from options, not from the network */
    octet_port            port;
    octet_dtype           dtype;  /* of the network's input: what values become in the end */
    octet_qparams         levels; /* of such an input, count 1; count 0: it is none */
    float                 level_scale;
    int32_t               level_zero;
    bool                  straight; /* samples are these levels already */
    bool                  varies;   /* samples may differ in shape; port is the first one's */
    size_t                input;  /* of the network, that this feeds */
    octet_dataset       **others; /* of the network's further inputs, in order */
    size_t                other_count;
    octet_array           array;
    octet_array_route     route;
    const char           *folder;     /* of files; NULL: names are paths */
    const char          **files;      /* images in file order; NULL: array */
    const octet_blob     *blobs;      /* their bytes, where they are no files of their own; NULL: they are */
    int64_t              *labels;     /* in file order; NULL: none */
    const char           *label_unit; /* "line" or "label" */
    size_t                raw_count;
    size_t               *order; /* count indices in file order */
    size_t                count;
    char                 *names; /* arrays: names of name_size bytes, in order */
    size_t                name_size;
    float                *references; /* in order */
    octet_tensor          reference;
    const char           *warnings; /* NULL: none */
    char                  input_name[128];
};

/* Names of samples for messages, where files have none; in order. */
octet_status octet_dataset_name_all(octet_dataset *data, octet_error *err);

/* One kind of data. accepts sees the first (unpacked) bytes; the first row that accepts is taken. */
struct octet_format {
    const char *name;
    bool (*accepts)(const octet_source *source, const char *path);
    octet_status (*open)(octet_dataset *data, const char *path, octet_error *err);
    /* Refuses a sample of another shape than data's port. */
    octet_status (*read)(const octet_dataset *data, size_t raw_index, float *values, octet_error *err);
    /* The shape of one sample of a data set that varies. */
    octet_status (*shape)(octet_port *port, const octet_dataset *data, size_t raw_index, octet_error *err);
};

extern const octet_format octet_format_files, octet_format_folder, octet_format_image, octet_format_npy,
    octet_format_npz, octet_format_idx, octet_format_cifar, octet_format_list, octet_format_tar, octet_format_raw;

/* Finds the row for path; source is loaded. */
octet_status octet_format_find(const octet_format **format, const octet_source *source, const char *path,
                               octet_error *err);

/* ---- pieces that formats share ---- */

/* Adds one line to the warnings. */
octet_status octet_dataset_warn(octet_dataset *data, octet_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The unpacked bytes of an array file, total of them (data->source). */
octet_status octet_array_load(octet_dataset *data, size_t total, size_t offset, octet_error *err);

/* Strides of a dense array of rank + 1 dimensions, the first being the samples. False: the size overflows. */
bool octet_array_strides(octet_array *array, bool fortran, size_t *bytes);

/* Decides the route from file to values and the port; refuses shapes that do not fit. */
octet_status octet_array_plan(octet_dataset *data, octet_error *err);
octet_status octet_array_read(const octet_dataset *data, size_t raw_index, float *values, octet_error *err);

/* count elements, step bytes apart, as float. */
void octet_array_convert(float *out, const octet_array *array, const uint8_t *from, int64_t step, int64_t count);

/* All elements of one sample, in logical order. */
void octet_array_copy(float *values, const octet_array *array, const uint8_t *sample);

/* The same for images: the port needs the first one where the network is not known. */
octet_status octet_images_plan(octet_dataset *data, octet_error *err);
octet_status octet_images_read(const octet_dataset *data, size_t raw_index, float *values, octet_error *err);

octet_status octet_images_shape(octet_port *port, const octet_dataset *data, size_t raw_index, octet_error *err);

/* Lists and folders of npy files, a sample each (files.c): whether files[0] is one, and the plan of all. */
bool         octet_files_are_arrays(const octet_dataset *data);
octet_status octet_files_plan(octet_dataset *data, octet_error *err);

/* Parses the header of an npy file into array (all but bytes), the size of the file and where its data starts. */
octet_status octet_npy_parse(octet_array *array, const uint8_t *head, size_t size, size_t *total, size_t *offset,
                             octet_error *err);
/* The same for idx. */
octet_status octet_idx_parse(octet_array *array, const uint8_t *head, size_t size, size_t *total, size_t *offset,
                             octet_error *err);

/* ---- labels ---- */

/* A table of files and classes: csv (RFC 4180), tsv, or a plain list (label -1). Lives in arena. */
typedef struct octet_table {
    const char **files;
    int64_t     *labels;
    size_t       count, capacity, label_capacity;
    bool         has_labels;
} octet_table;

bool         octet_table_names(const char *path); /* whether a label file names its samples (csv, tsv) */
octet_status octet_table_read(octet_table *table, octet_arena *arena, const char *path, octet_error *err);

/* Gives data the files and labels of a table; folder is where they lie. */
octet_status octet_table_use(octet_dataset *data, const octet_table *table, const char *folder, octet_error *err);

/* Labels by position, from npy, idx or text: count of them. */
octet_status octet_labels_read(int64_t **labels, octet_dataset *data, const char *path, octet_error *err);

/* Settles data->labels once the samples are known: options.labels, and the range of classes. */
octet_status octet_labels_settle(octet_dataset *data, octet_error *err);

/* The class of sample index, -1 where there is none. */
static inline int64_t octet_dataset_label(const octet_dataset *data, size_t index)
{
    return data->labels ? data->labels[data->order[index]] : -1;
}

/* ---- several inputs ---- */

/* octet_dataset_open for one input of options->graph. */
octet_status octet_dataset_open_input(octet_dataset **data, const char *path, const octet_dataset_options *options,
                                      size_t input, octet_error *err);

/* Sample raw_index in file order, and whether it is finite. */
octet_status octet_dataset_read_raw(const octet_dataset *data, size_t raw_index, float *values, octet_error *err);

/* The same of the shape dims, port's rank, which is the sample's own where samples vary. */
octet_status octet_dataset_read_as(const octet_dataset *data, size_t raw_index, const int64_t *dims, float *values,
                                   octet_error *err);

/* The shape of sample raw_index. */
octet_status octet_dataset_shape(octet_port *port, const octet_dataset *data, size_t raw_index, octet_error *err);

/* ---- inputs of levels (levels.c) ---- */

/* Takes over what the network's input says of its levels. */
void octet_levels_take(octet_dataset *data, const octet_qparams *levels);

/* Once format and recipe are known: whether samples are levels as they come. */
void octet_levels_settle(octet_dataset *data);

/* Samples that are levels as real numbers, in place. */
octet_status octet_levels_to_reals(const octet_dataset *data, float *values, size_t count, octet_error *err);

/* Real numbers as levels of the input's type. */
void octet_levels_of_reals(const octet_dataset *data, void *levels, const float *values, size_t count);

bool         octet_inputs_can_feed(octet_dtype dtype);
octet_status octet_inputs_path(const char **path, octet_dataset *data, const char *whole, octet_error *err);
octet_status octet_inputs_open_others(octet_dataset *data, const char *whole, octet_error *err);

/* ---- the rest ---- */

/* Classes of the first output: its last dimension, where all before it are the batch or 1; else 0. */
int64_t octet_class_count_of(const octet_graph *graph);

octet_status octet_subset_apply(octet_dataset *data, octet_error *err);
octet_status octet_references_open(octet_dataset *data, octet_error *err);

/* "(got [1, 5, 8, 8], need [1, 3, 8, 8])" for a sample of these dims. */
octet_status octet_refuse_shape(const octet_dataset *data, const int64_t *dims, int rank, const char *hint,
                                octet_error *err);

#endif
