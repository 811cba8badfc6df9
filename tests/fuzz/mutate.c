/* SPDX-License-Identifier: Apache-2.0 */
/* One model, changed again and again: bytes flipped, attributes, shapes and names replaced by what a hostile file
   would hold. What still loads is fused, planned and run, on the default engines or on the reference. Whatever comes of
   it is fine but a crash, a sanitizer's word, or a change that takes more than SECONDS.

   mutate MODEL FIRST COUNT [KEEP]: changes FIRST to FIRST + COUNT - 1, each by its own number alone. KEEP: a file that
   holds the present change, for whoever finds this process dead. */
#include <octet/octet.h>

#include "onnx/onnx.pb-c.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SECONDS = 20, MOST_PORTS = 64, MOST_INPUT = 1 << 20 };

static uint64_t state;

/* splitmix64 */
static uint64_t bits(void)
{
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z          = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t below(size_t count) { return count ? (size_t)(bits() % count) : 0; }

/* ---- hostile values ---- */

static int64_t hostile_int(int64_t old)
{
    static const int64_t values[] = { 0, -1, 1, 2, -2, 3, 7, 64, 255, 65536, INT32_MAX, INT32_MIN, (int64_t)1 << 32,
                                      (int64_t)1 << 62, INT64_MAX, INT64_MIN, 1000000007, -128 };
    const size_t         at       = below(sizeof values / sizeof *values + 3);
    return at < sizeof values / sizeof *values ? values[at] : (int64_t)((uint64_t)old + below(5) - 2);
}

static float hostile_float(float old)
{
    static const float values[] = { 0, -1, 1e30f, -1e30f, 1e-40f, __builtin_inff(), -__builtin_inff(),
                                    __builtin_nanf(""), 0.5f };
    const size_t       at       = below(sizeof values / sizeof *values + 1);
    return at < sizeof values / sizeof *values ? values[at] : -old;
}

static void change_ints(int64_t *at, size_t *count)
{
    if (*count == 0) return;
    if (below(4) == 0) --*count; /* a list that is too short */
    else at[below(*count)] = hostile_int(at[below(*count)]);
}

static void change_tensor(Onnx__TensorProto *t)
{
    switch (below(4)) {
    case 0: change_ints(t->dims, &t->n_dims); break;
    case 1: change_ints(t->int64_data, &t->n_int64_data); break;
    case 2: t->data_type = (int32_t)below(24); break;
    default:
        if (t->raw_data.len) t->raw_data.data[below(t->raw_data.len)] ^= (uint8_t)(1u << below(8));
        else if (t->n_float_data) t->float_data[below(t->n_float_data)] = hostile_float(1);
    }
}

static void change_attribute(Onnx__AttributeProto *a)
{
    if (a->n_ints) change_ints(a->ints, &a->n_ints);
    else if (a->n_floats) a->floats[below(a->n_floats)] = hostile_float(a->floats[0]);
    else if (a->t) change_tensor(a->t);
    else if (a->s.len) a->s.data[below(a->s.len)] ^= (uint8_t)(1u << below(7));
    else if (a->has_f && a->f != 0) a->f = hostile_float(a->f);
    else if (a->has_i) a->i = hostile_int(a->i);
    else a->f = hostile_float(a->f);
    if (below(12) == 0) a->type = (Onnx__AttributeProto__AttributeType)below(15);
}

static void change_node(Onnx__NodeProto *n)
{
    const size_t what = below(8);
    if (what < 5 && n->n_attribute) change_attribute(n->attribute[below(n->n_attribute)]);
    else if (what == 5 && n->n_input) --n->n_input;
    else if (what == 6 && n->n_input) n->input[below(n->n_input)] = n->input[below(n->n_input)];
    else if (n->n_output) --n->n_output;
}

static void change_port(Onnx__ValueInfoProto *v)
{
    Onnx__TypeProto__Tensor *const t = v->type && v->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE
                                           ? v->type->tensor_type : NULL;
    if (!t) return;
    if (!t->shape || !t->shape->n_dim || below(4) == 0) t->elem_type = (int32_t)below(24);
    else if (below(4) == 0) t->shape->n_dim--;
    else {
        Onnx__TensorShapeProto__Dimension *const d = t->shape->dim[below(t->shape->n_dim)];
        d->value_case                              = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        d->dim_value                               = below(2) ? (int64_t)below(6) : hostile_int(d->dim_value);
    }
}

static void change_model(Onnx__ModelProto *m)
{
    Onnx__GraphProto *const g = m->graph;
    if (!g) return;
    for (size_t times = 1 + below(2); times; times--) {
        const size_t what = below(10);
        if (what < 6 && g->n_node) change_node(g->node[below(g->n_node)]);
        else if (what < 8 && g->n_initializer) change_tensor(g->initializer[below(g->n_initializer)]);
        else if (what < 9 && g->n_input) change_port(g->input[below(g->n_input)]);
        else if (m->n_opset_import) m->opset_import[0]->version = 1 + (int64_t)below(26);
    }
}

/* ---- one change ---- */

typedef struct bytes {
    uint8_t *at;
    size_t   size;
} bytes;

/* Every fourth change knows nothing of the format. */
static bytes changed(const bytes *model, size_t number)
{
    bytes             b = { malloc(model->size + 1), model->size };
    Onnx__ModelProto *m = number % 4 ? onnx__model_proto__unpack(NULL, model->size, model->at) : NULL;
    memcpy(b.at, model->at, model->size);
    if (m) {
        change_model(m);
        b.size = onnx__model_proto__get_packed_size(m);
        b.at   = realloc(b.at, b.size + 1);
        onnx__model_proto__pack(m, b.at);
        /* what was cut from lists is not freed: the process is short */
    } else {
        for (size_t flips = 1 + below(4); flips && b.size; flips--)
            b.at[below(b.size)] ^= (uint8_t)(1u << below(8));
        if (below(8) == 0) b.size = below(b.size + 1);
    }
    return b;
}

static size_t fill(octet_tensor *inputs, const octet_graph *graph)
{
    const size_t count = octet_graph_input_count(graph);
    if (count > MOST_PORTS) return MOST_PORTS + 1;
    for (size_t i = 0; i < count; i++) {
        const octet_port port = octet_graph_input(graph, i);
        inputs[i]             = (octet_tensor){ .dtype = port.dtype, .rank = port.rank };
        for (int d = 0; d < port.rank; d++) inputs[i].dims[d] = port.dims[d] < 0 ? 2 : port.dims[d];
        const int64_t size = octet_tensor_bytes(&inputs[i]);
        if (size < 0 || size > MOST_INPUT) return MOST_PORTS + 1;
        uint8_t *const data = malloc((size_t)size + 1);
        memset(data, 0, (size_t)size);
        for (int64_t k = 0; k < size && port.dtype != OCTET_BOOL; k += (int64_t)octet_dtype_size(port.dtype))
            data[k] = (uint8_t)below(5); /* small numbers of integer types */
        for (int64_t k = 0; port.dtype == OCTET_F32 && k < size / 4; k++)
            ((float *)(void *)data)[k] = (float)below(9) / 4 - 1;
        inputs[i].data = data;
    }
    return count;
}

static void run(const octet_graph *graph, const char *engines, const octet_tensor *inputs)
{
    octet_plan      *plan      = NULL;
    octet_workspace *workspace = NULL;
    octet_tensor     outputs[MOST_PORTS];
    const octet_plan_options options = { .engines = engines, .threads = 1, .inputs = inputs,
                                         .limits = { .max_memory = 256 << 20 } };
    if (octet_plan_create(&plan, graph, &options, NULL) == OCTET_OK &&
        octet_workspace_create(&workspace, plan, NULL) == OCTET_OK)
        octet_run(workspace, inputs, outputs, NULL);
    octet_workspace_free(workspace);
    octet_plan_free(plan);
}

static void use(const char *path, size_t number)
{
    octet_graph       *graph = NULL;
    octet_error        err   = { 0 };
    const octet_limits limits = { .max_memory = 256 << 20 };
    octet_tensor       inputs[MOST_PORTS] = { 0 };
    const octet_status status = octet_graph_load_limited(&graph, path, &limits, &err);
    if (status != OCTET_OK && (!err.text[0] || strchr(err.text, '\n'))) {
        fprintf(stderr, "a refusal without one line of reason\n");
        abort();
    }
    if (status != OCTET_OK || octet_fuse(graph, NULL) != OCTET_OK) {
        octet_graph_free(graph);
        return;
    }
    const size_t count = fill(inputs, graph);
    if (count <= MOST_PORTS && octet_graph_output_count(graph) <= MOST_PORTS)
        run(graph, number % 2 ? "reference" : NULL, inputs);
    for (size_t i = 0; i < MOST_PORTS && i < count; i++) free(inputs[i].data);
    octet_graph_free(graph);
}

static bytes read_all(const char *path)
{
    octet_file file;
    bytes      b = { NULL, 0 };
    if (octet_file_read(&file, path, 0, NULL) != OCTET_OK) exit(2);
    b.at   = malloc(file.size + 1);
    b.size = file.size;
    memcpy(b.at, file.data, file.size);
    octet_file_close(&file);
    return b;
}

int main(int argc, char **argv)
{
    char path[300];
    if (argc < 4) return 2;
    const bytes  model = read_all(argv[1]);
    const size_t first = strtoul(argv[2], NULL, 10), count = strtoul(argv[3], NULL, 10);
    for (size_t number = first; number < first + count; number++) {
        state         = 0x5eed + number * 7919 + model.size * 104729;
        const bytes b = changed(&model, number);
        const int   descriptor = argc > 4 ? open(argv[4], O_CREAT | O_TRUNC | O_RDWR, 0600)
                                          : memfd_create("model", 0);
        if (argc > 4) snprintf(path, sizeof path, "%s", argv[4]);
        else snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
        if (descriptor < 0 || write(descriptor, b.at, b.size) != (ssize_t)b.size) return 2;
        alarm(SECONDS);
        use(path, number);
        alarm(0);
        close(descriptor);
        free(b.at);
    }
    free(model.at);
    return 0;
}
