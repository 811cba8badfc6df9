/* SPDX-License-Identifier: Apache-2.0 */
/* make_models FOLDER: writes resnet18.onnx and resnet50.onnx (v1.5: the 3x3 has the stride; 224 x 224 in, 1000 classes
   out, any batch) with seeded random weights. Batch norm holds the moments that its input has for a normal image, so
   that activations keep their size through the network and differ from image to image, as in a trained one. */
#include <octet/octet.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CHANNELS = 2048, MAX_NAME = 64, CLASSES = 1000, SIDE = 224 };

/* A value of the network and what is known of each of its channels. */
typedef struct map {
    char   name[MAX_NAME];
    int    channels;
    double mean[MAX_CHANNELS], variance[MAX_CHANNELS];
} map;

typedef struct network {
    octet_graph *graph;
    octet_error *err;
    uint64_t     random;
} network;

typedef struct shape {
    int filters, kernel, stride;
} shape;

typedef struct recipe {
    const char *file;
    bool        bottleneck;
    int         blocks[4];
} recipe;

static const recipe recipes[] = {
    { "resnet18.onnx", false, { 2, 2, 2, 2 } },
    { "resnet50.onnx", true, { 3, 4, 6, 3 } },
};

/* ---- numbers ---- */

/* splitmix64: the same weights everywhere. In (0, 1). */
static double uniform(network *net)
{
    uint64_t z = net->random += 0x9e3779b97f4a7c15u;
    z          = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

static double normal(network *net)
{
    const double radius = sqrt(-2.0 * log(uniform(net)));
    return radius * cos(2.0 * M_PI * uniform(net));
}

/* Moments of max(x, 0) where x is normal. */
static void rectify(map *m)
{
    for (int c = 0; c < m->channels; c++) {
        const double mean = m->mean[c], deviation = sqrt(m->variance[c]), at = mean / deviation;
        const double below = 0.5 * erfc(-at / sqrt(2.0)), density = exp(-0.5 * at * at) / sqrt(2.0 * M_PI);
        m->mean[c]     = mean * below + deviation * density;
        m->variance[c] = (mean * mean + deviation * deviation) * below + mean * deviation * density -
                         m->mean[c] * m->mean[c];
    }
}

/* ---- nodes ---- */

static octet_status add_constant(network *net, const char *name, const int64_t *dims, int rank, float *values)
{
    octet_tensor tensor = { .dtype = OCTET_F32, .rank = rank, .data = values };
    memcpy(tensor.dims, dims, (size_t)rank * sizeof *dims);
    return octet_graph_add_constant(net->graph, name, &tensor, net->err);
}

/* A node with one output, which has the node's name. */
static octet_status add_node(network *net, const char *op, const char *name, const char *const *inputs, int count,
                             const octet_attribute *attributes)
{
    const octet_node_spec spec = { op, name, inputs, count, &name, 1, attributes };
    return octet_graph_add(net->graph, &spec, net->err);
}

static void add_name(char text[MAX_NAME], const char *name, const char *part)
{
    snprintf(text, MAX_NAME, "%.40s.%s", name, part);
}

/* He's weights, and what they make of the moments of in. */
static octet_status add_weight(network *net, const char *name, const map *in, map *out, shape s)
{
    const int64_t dims[] = { s.filters, in->channels, s.kernel, s.kernel };
    const int     taps   = s.kernel * s.kernel;
    const double  size   = sqrt(2.0 / (in->channels * taps));
    float *const  values = malloc(sizeof *values * (size_t)s.filters * (size_t)in->channels * (size_t)taps);
    if (!values) return octet_fail(net->err, OCTET_ERR_MEMORY, "no memory for weights");
    float *at     = values;
    out->channels = s.filters;
    for (int f = 0; f < s.filters; f++) {
        out->mean[f] = out->variance[f] = 0.0;
        for (int c = 0; c < in->channels; c++)
            for (int t = 0; t < taps; t++) {
                const double w = size * normal(net);
                out->mean[f] += w * in->mean[c];
                out->variance[f] += w * w * in->variance[c];
                *at++ = (float)w;
            }
    }
    const octet_status status = add_constant(net, name, dims, 4, values);
    free(values);
    return status;
}

static octet_status add_batch_norm(network *net, const char *name, const char *input, map *m, double size)
{
    static const char *const parts[] = { "scale", "shift", "mean", "variance" };
    const int64_t            dims[]  = { m->channels };
    float                    values[4][MAX_CHANNELS];
    char                     names[4][MAX_NAME];
    for (int c = 0; c < m->channels; c++) {
        values[0][c]   = (float)(size * (0.5 + uniform(net)));
        values[1][c]   = (float)(size * 0.2 * normal(net));
        values[2][c]   = (float)m->mean[c];
        values[3][c]   = (float)m->variance[c];
        m->mean[c]     = (double)values[1][c];
        m->variance[c] = (double)values[0][c] * (double)values[0][c];
    }
    for (int i = 0; i < 4; i++) {
        add_name(names[i], name, parts[i]);
        OCTET_TRY(add_constant(net, names[i], dims, 1, values[i]));
    }
    return add_node(net, "BatchNormalization", name,
                    (const char *const[]){ input, names[0], names[1], names[2], names[3] }, 5, NULL);
}

static octet_status add_relu(network *net, const char *name, map *m)
{
    OCTET_TRY(add_node(net, "Relu", name, (const char *const[]){ m->name }, 1, NULL));
    snprintf(m->name, MAX_NAME, "%s", name);
    rectify(m);
    return OCTET_OK;
}

/* Conv and batch norm; size: how large its output is, as a standard deviation. */
static octet_status add_conv(network *net, const char *name, const map *in, map *out, shape s, double size)
{
    const int64_t         kernel[] = { s.kernel, s.kernel }, strides[] = { s.stride, s.stride }, pad = s.kernel / 2;
    const int64_t         pads[]       = { pad, pad, pad, pad };
    const octet_attribute attributes[] = { { "kernel_shape", .ints = kernel, .count = 2 },
                                           { "strides", .ints = strides, .count = 2 },
                                           { "pads", .ints = pads, .count = 4 },
                                           { NULL } };
    char                  weight[MAX_NAME], norm[MAX_NAME];
    add_name(weight, name, "weight");
    add_name(norm, name, "norm");
    OCTET_TRY(add_weight(net, weight, in, out, s));
    OCTET_TRY(add_node(net, "Conv", name, (const char *const[]){ in->name, weight }, 2, attributes));
    OCTET_TRY(add_batch_norm(net, norm, name, out, size));
    snprintf(out->name, MAX_NAME, "%s", norm);
    return OCTET_OK;
}

static octet_status add_conv_relu(network *net, const char *name, const map *in, map *out, shape s)
{
    char relu[MAX_NAME];
    OCTET_TRY(add_conv(net, name, in, out, s, 1.0));
    add_name(relu, name, "relu");
    return add_relu(net, relu, out);
}

/* ---- networks ---- */

/* x becomes relu(convolutions of x + x); s: how many filters the widest has, and the block's stride. */
static octet_status add_block(network *net, const recipe *r, const char *name, map *x, shape s)
{
    static const char *const parts[] = { "conv1", "conv2", "conv3", "short" };
    static map               branch, next; /* 32 KiB each */
    const double small = 0.5;  /* so that a sum grows slowly from block to block */
    const int    inner = r->bottleneck ? s.filters / 4 : s.filters;
    char         part[4][MAX_NAME];
    for (int i = 0; i < 4; i++) add_name(part[i], name, parts[i]);
    if (r->bottleneck) {
        OCTET_TRY(add_conv_relu(net, part[0], x, &branch, (shape){ inner, 1, 1 }));
        OCTET_TRY(add_conv_relu(net, part[1], &branch, &next, (shape){ inner, 3, s.stride }));
        OCTET_TRY(add_conv(net, part[2], &next, &branch, (shape){ s.filters, 1, 1 }, small));
    } else {
        OCTET_TRY(add_conv_relu(net, part[0], x, &next, (shape){ inner, 3, s.stride }));
        OCTET_TRY(add_conv(net, part[1], &next, &branch, (shape){ s.filters, 3, 1 }, small));
    }
    if (s.stride > 1 || x->channels != s.filters) {
        OCTET_TRY(add_conv(net, part[3], x, &next, (shape){ s.filters, 1, s.stride }, 1.0));
        *x = next;
    }
    char sum[MAX_NAME], relu[MAX_NAME];
    add_name(sum, name, "sum");
    add_name(relu, name, "relu");
    OCTET_TRY(add_node(net, "Add", sum, (const char *const[]){ branch.name, x->name }, 2, NULL));
    snprintf(x->name, MAX_NAME, "%s", sum);
    for (int c = 0; c < x->channels; c++) {
        x->mean[c] += branch.mean[c];
        x->variance[c] += branch.variance[c];
    }
    return add_relu(net, relu, x);
}

static octet_status add_stem(network *net, map *x)
{
    static const int64_t  kernel[] = { 3, 3 }, strides[] = { 2, 2 }, pads[] = { 1, 1, 1, 1 };
    const octet_attribute pool[] = { { "kernel_shape", .ints = kernel, .count = 2 },
                                     { "strides", .ints = strides, .count = 2 },
                                     { "pads", .ints = pads, .count = 4 },
                                     { NULL } };
    static map            image  = { "input", 3, { 0.0, 0.0, 0.0 }, { 1.0, 1.0, 1.0 } };
    OCTET_TRY(octet_graph_add_input(net->graph, image.name, OCTET_F32,
                                    (const int64_t[]){ OCTET_DIM_FREE, image.channels, SIDE, SIDE }, 4, net->err));
    OCTET_TRY(add_conv_relu(net, "stem", &image, x, (shape){ 64, 7, 2 }));
    OCTET_TRY(add_node(net, "MaxPool", "stem.pool", (const char *const[]){ x->name }, 1, pool));
    snprintf(x->name, MAX_NAME, "stem.pool");
    for (int c = 0; c < x->channels; c++) x->mean[c] += 0.8 * sqrt(x->variance[c]); /* the largest of 9 neighbours */
    return OCTET_OK;
}

static octet_status add_classifier(network *net, const map *x)
{
    const int64_t         dims[] = { CLASSES, x->channels };
    const octet_attribute gemm[] = { { "transB", .i = 1 }, { NULL } };
    float *const          values = malloc(sizeof *values * CLASSES * (size_t)x->channels);
    float                 zeros[CLASSES] = { 0.0f };
    if (!values) return octet_fail(net->err, OCTET_ERR_MEMORY, "no memory for weights");
    for (int i = 0; i < CLASSES * x->channels; i++) values[i] = (float)(normal(net) / sqrt(x->channels));
    const octet_status status = add_constant(net, "classes.weight", dims, 2, values);
    free(values);
    OCTET_TRY(status);
    OCTET_TRY(add_constant(net, "classes.bias", dims, 1, zeros));
    OCTET_TRY(add_node(net, "GlobalAveragePool", "pool", (const char *const[]){ x->name }, 1, NULL));
    OCTET_TRY(add_node(net, "Flatten", "flat", (const char *const[]){ "pool" }, 1, NULL));
    OCTET_TRY(add_node(net, "Gemm", "output", (const char *const[]){ "flat", "classes.weight", "classes.bias" }, 3,
                       gemm));
    return octet_graph_set_output(net->graph, "output", net->err);
}

static octet_status build(network *net, const recipe *r)
{
    static map x;
    OCTET_TRY(add_stem(net, &x));
    for (int stage = 0; stage < 4; stage++)
        for (int block = 0; block < r->blocks[stage]; block++) {
            const shape s = { (r->bottleneck ? 256 : 64) << stage, 3, stage > 0 && block == 0 ? 2 : 1 };
            char        name[MAX_NAME];
            snprintf(name, sizeof name, "stage%d.%d", stage + 1, block + 1);
            OCTET_TRY(add_block(net, r, name, &x, s));
        }
    OCTET_TRY(add_classifier(net, &x));
    return octet_graph_verify(net->graph, net->err);
}

static octet_status make(const char *folder, const recipe *r, octet_error *err)
{
    network net = { NULL, err, 2026 };
    char    path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, r->file);
    OCTET_TRY(octet_graph_new(&net.graph, err));
    octet_status status = build(&net, r);
    if (status == OCTET_OK) status = octet_graph_save(net.graph, path, err);
    octet_graph_free(net.graph);
    return status;
}

int main(int argc, char **argv)
{
    octet_error err = { 0 };
    char        line[512];
    if (argc != 2) {
        fprintf(stderr, "usage: make_models FOLDER\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
        if (make(argv[1], &recipes[i], &err) != OCTET_OK) {
            octet_error_line(line, sizeof line, &err);
            fprintf(stderr, "make_models: %s\n", line);
            return 1;
        }
    return 0;
}
