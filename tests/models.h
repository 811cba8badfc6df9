/* SPDX-License-Identifier: Apache-2.0 */
/* The convolutional networks of the shared pack, and quantizing them on their recorded samples. */
#ifndef OCTET_TESTS_MODELS_H
#define OCTET_TESTS_MODELS_H

#include "support.h"

typedef struct shared_model {
    const char *name, *vectors; /* samples: vectors/<vectors>.npy or .npy.gz */
} shared_model;

static const shared_model shared_models[] = {
    { "ad01_autoencoder", "ad01_autoencoder.in.input" },
    { "fastestdet_coco", "fastestdet_coco.in.input.1" },
    { "kws_dscnn", "kws_dscnn.in.input" },
    { "lenet_mnist", "lenet_mnist.in.input" },
    { "mobilenetv1_0.75_224", "mobilenetv1_0.75_224.in.input" },
    { "mobilenetv2_1.0_224", "mobilenetv2_1.0_224.in.input" },
    { "resnet20_cifar10", "resnet20_cifar10.in.input" },
    { "resnet20_cifar10_natural", "resnet20_cifar10.in.input" },
    { "resnet8_cifar10", "resnet8_cifar10.in.input" },
    { "resnet8_cifar10_nhwc", "resnet8_cifar10_nhwc.in.input" },
    { "super_resolution_x3", "super_resolution_x3.in.input" },
    { "sww_dscnn1d", "sww_dscnn1d.in.input" },
    { "vww_mobilenetv1", "vww_mobilenetv1.in.input" },
};

enum { SHARED_MODELS = sizeof shared_models / sizeof *shared_models };

/* NULL, said loudly, without the pack. The caller frees both. */
UNUSED static octet_graph *quantize_shared_as(const shared_model *model, octet_dataset **data,
                                              const octet_qconfig *qconfig)
{
    char         name[200], path[1024], recorded[1300];
    octet_graph *graph;
    snprintf(name, sizeof name, "models/%s.onnx", model->name);
    if (!shared_path(path, sizeof path, name)) return NULL;
    snprintf(recorded, sizeof recorded, "%.*s/vectors/%s.npy", (int)(strrchr(path, '/') - path), path, model->vectors);
    if (access(recorded, R_OK) != 0) strcat(recorded, ".gz");
    MUST(octet_graph_load(&graph, path, &err));
    MUST(octet_fuse(graph, &err));
    MUST(octet_dataset_open(data, recorded, &(octet_dataset_options){ .graph = graph, .limit = 3 }, &err));
    MUST(octet_prepare(graph, qconfig, &err));
    MUST(octet_calibrate(graph, *data, NULL, &err));
    MUST(octet_convert(graph, &err));
    return graph;
}

UNUSED static octet_graph *quantize_shared(const shared_model *model, octet_dataset **data, const char *target,
                                           octet_method method)
{
    octet_qconfig qconfig = *octet_qconfig_find("octet");
    qconfig.target            = target;
    qconfig.activation.method = method;
    return quantize_shared_as(model, data, &qconfig);
}

/* Sample 0; the caller frees its data. */
UNUSED static octet_tensor first_sample(const octet_dataset *data)
{
    const octet_port port  = octet_dataset_port(data);
    octet_tensor     input = { .dtype = OCTET_F32, .rank = port.rank };
    memcpy(input.dims, port.dims, sizeof input.dims);
    input.data = malloc((size_t)octet_tensor_bytes(&input));
    MUST(octet_dataset_read(data, 0, input.data, NULL, &err));
    return input;
}

#endif
