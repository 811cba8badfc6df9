/* SPDX-License-Identifier: Apache-2.0 */
/* Samples in: image folders, label lists, npy, npz, idx, CIFAR. A dataset reads one sample at a time, so its memory
   does not depend on how many there are. */
#ifndef OCTET_DATASET_H
#define OCTET_DATASET_H

#include <octet/graph.h>

typedef struct octet_dataset octet_dataset;

/* value = (byte * scale - mean) / std per channel, after resize and crop. */
typedef struct octet_recipe {
    bool   given; /* false: no recipe; the other members mean nothing */
    char   name[24];             /* preset it came from, or "custom" */
    int    resize_width, resize_height; /* height 0: width is the short side, aspect kept; both 0: the model's size */
    bool   resize;
    int    crop_width, crop_height; /* both 0: to the model's size */
    bool   crop;
    char   filter[12];           /* "bilinear", "bicubic", "nearest" */
    char   color[8];             /* "rgb", "bgr", "gray" */
    double scale;
    int    channels;             /* entries of mean and std in use: 1 or 3 */
    double mean[4], std[4];
} octet_recipe;

/* Writes or reads a recipe as one line of JSON: what quantized models carry in metadata "octet.preprocess". */
OCTET_API octet_status octet_recipe_print(char *text, size_t size, const octet_recipe *recipe, octet_error *err);
OCTET_API octet_status octet_recipe_parse(octet_recipe *recipe, const char *json, octet_error *err);

/* Whether bytes so prepared are levels of such parameters, each byte its own: quantizing (byte * scale - mean) / std by
   them, one pair for all channels, gives the byte back, all 256 of them. */
OCTET_API bool octet_recipe_levels(float *scale, int32_t *zero_point, const octet_recipe *recipe);

typedef struct octet_dataset_options {
    const char *preprocess; /* preset name, or NULL */
    /* Each overrides the preset's field; NULL: as the preset has it. Texts as on the command line: "256",
       "224x224", "1/255", "0.485,0.456,0.406", "bgr", "bicubic". */
    const char *size, *crop, *scale, *mean, *std, *color, *filter;
    const char *labels;     /* label file, or NULL */
    const char *reference;  /* .npy of true outputs, or NULL (u8 is byte/255) */
    const char *layout;     /* "nhwc": how array samples lie in their file; NULL: nchw */
    const char *shape;      /* of a sample in a file of plain numbers: "3,32,32", "u8:3,32,32"; NULL: formats say it */
    size_t      limit, skip, every, skip_every; /* 0: all; every N: samples 0, N, 2N, ...; skip_every N: the others */
    bool        shuffle;
    uint64_t    seed;
    size_t      skip_bad;   /* unreadable samples tolerated */
    bool        keep_labels; /* classes that the network does not have stay, for training to refuse by name; else
                                labels beside the data are then left out, with a warning */
    bool        any_inputs; /* the caller reads with octet_dataset_read_inputs: networks of several inputs, or of
                               integers, are not refused */
    octet_limits limits;
    const octet_graph *graph; /* the network to feed: input shape, stored recipe. NULL: samples as they are */
} octet_dataset_options;

/* Opens path by what it is. The recipe is: the options' own, else the graph's stored one, else none. Nothing is read
   beyond headers and lists. The caller frees *data. */
OCTET_API octet_status octet_dataset_open(octet_dataset **data, const char *path, const octet_dataset_options *options,
                                          octet_error *err);
OCTET_API void octet_dataset_free(octet_dataset *data);

OCTET_API size_t octet_dataset_count(const octet_dataset *data);
OCTET_API bool   octet_dataset_has_labels(const octet_dataset *data);

/* The recipe in force (given == false: none), the warnings made on opening ("" where none), one a line. */
OCTET_API octet_recipe octet_dataset_recipe(const octet_dataset *data);
OCTET_API const char  *octet_dataset_warnings(const octet_dataset *data);

/* The shape of one sample with a leading 1, as the network's input wants it. */
OCTET_API octet_port octet_dataset_port(const octet_dataset *data);

/* The same as a float32 tensor without data. */
OCTET_API octet_tensor octet_dataset_tensor(const octet_dataset *data);

/* Reads sample index (after subsets and shuffling) as real numbers into values, float32, octet_dataset_port's shape.
   Samples may be read in any order; several threads may read at once. label (may be NULL) becomes -1 where there is
   none. A non-finite or unreadable sample is an error naming it. */
OCTET_API octet_status octet_dataset_read(const octet_dataset *data, size_t index, float *values, int64_t *label,
                                          octet_error *err);

/* The inputs that a data set feeds, in the network's order, and the form of each: its type and a leading 1. path is an
   .npz with one array per input by name, or a folder with NAME.npy or a sub-folder per input. */
OCTET_API size_t       octet_dataset_input_count(const octet_dataset *data);
OCTET_API octet_tensor octet_dataset_input(const octet_dataset *data, size_t index);

/* Whether samples may differ in shape: images of a network of any size that no recipe brings to one, lists and folders
   of .npy files. octet_dataset_port and octet_dataset_input then give the first sample's. */
OCTET_API bool octet_dataset_varies(const octet_dataset *data);

/* The form of one sample's input; input's type is octet_dataset_input's. */
OCTET_API octet_status octet_dataset_input_at(octet_tensor *tensor, const octet_dataset *data, size_t input,
                                              size_t index, octet_error *err);

/* octet_dataset_read for all of them: inputs[i].data is memory of octet_dataset_input(data, i)'s form, or
   of octet_dataset_input_at(data, i, index)'s. Integers must be
   whole numbers of at most 2^24. An input of levels (octet_port.levels) may be read as real numbers, too: where
   inputs[i].dtype is OCTET_F32. Its samples are prepared as for real numbers and rounded by the input's scale and zero
   point; those of the levels' own type that no recipe (or one that leaves bytes as they are, "none") prepares, bytes
   for u8, are levels already. */
OCTET_API octet_status octet_dataset_read_inputs(const octet_dataset *data, size_t index, const octet_tensor *inputs,
                                                 int64_t *label, octet_error *err);

/* The sample's true output where options.reference was given: a view into the dataset (data NULL otherwise). */
OCTET_API octet_tensor octet_dataset_reference(const octet_dataset *data, size_t index);

/* The samples at 0, every, 2 every, ... of whole, or all others; whole must outlive it. The caller frees *part. A part
   without samples is OCTET_ERR_ARGUMENT. */
OCTET_API octet_status octet_dataset_part(octet_dataset **part, const octet_dataset *whole, size_t every, bool others,
                                          octet_error *err);

/* Of samples that vary in shape, those that have the commonest one (of 512 that are looked at, evenly spaced); the part
   does not vary. As above otherwise. */
OCTET_API octet_status octet_dataset_alike(octet_dataset **part, const octet_dataset *whole, octet_error *err);

/* A name for messages: "n01440764/x.JPEG", "#17". Belongs to the dataset. */
OCTET_API const char *octet_dataset_name(const octet_dataset *data, size_t index);

#endif
