/* SPDX-License-Identifier: Apache-2.0 */
/* Models made of messages, for tests of the reader: a few lines each, written to a file of their own. */
#ifndef OCTET_TESTS_ONNX_PROTO_H
#define OCTET_TESTS_ONNX_PROTO_H

#include "support.h"

#include "base/arena.h"
#include "onnx/onnx.pb-c.h"

enum { PROTO_MOST = 16 };

/* Memory of all models of a test program; proto_teardown, as the group's teardown, frees it. */
static octet_arena *proto_memory;

static inline void *proto_alloc(size_t size)
{
    if (!proto_memory) proto_memory = octet_arena_new();
    void *memory = proto_memory ? octet_arena_alloc(proto_memory, size, 1) : NULL;
    if (!memory) abort();
    return memory;
}

static inline char *proto_text(const char *text) { return strcpy(proto_alloc(strlen(text) + 1), text); }

UNUSED static int proto_teardown(void **state)
{
    (void)state;
    octet_arena_free(proto_memory);
    proto_memory = NULL;
    return 0;
}

/* A model under construction. It points into itself. */
typedef struct proto_model {
    Onnx__ModelProto                   model;
    Onnx__GraphProto                   graph;
    Onnx__OperatorSetIdProto           opsets[2], *opset_list[2];
    Onnx__NodeProto                    nodes[PROTO_MOST], *node_list[PROTO_MOST];
    char                              *inputs[PROTO_MOST][PROTO_MOST], *outputs[PROTO_MOST][PROTO_MOST];
    Onnx__AttributeProto               attributes[2 * PROTO_MOST], *attribute_list[PROTO_MOST][PROTO_MOST];
    size_t                             attribute_count;
    Onnx__TensorProto                  tensors[PROTO_MOST], *tensor_list[PROTO_MOST];
    int64_t                            dims[PROTO_MOST][8];
    Onnx__ValueInfoProto               infos[PROTO_MOST], *input_list[PROTO_MOST], *output_list[PROTO_MOST];
    Onnx__TypeProto                    types[PROTO_MOST];
    Onnx__TypeProto__Tensor            tensor_types[PROTO_MOST];
    Onnx__TensorShapeProto             shapes[PROTO_MOST];
    Onnx__TensorShapeProto__Dimension  shape_dims[PROTO_MOST][8], *shape_dim_list[PROTO_MOST][8];
    size_t                             info_count;
    Onnx__StringStringEntryProto       entries[2], *entry_list[2];
} proto_model;

static inline proto_model *proto_new(int opset)
{
    proto_model *p = proto_alloc(sizeof *p);
    onnx__model_proto__init(&p->model);
    onnx__graph_proto__init(&p->graph);
    p->model.graph = &p->graph;
    p->model.has_ir_version = 1;
    p->model.ir_version = 7;
    p->graph.name = (char *)"g";
    p->graph.node = p->node_list;
    p->graph.initializer = p->tensor_list;
    p->graph.input = p->input_list;
    p->graph.output = p->output_list;
    onnx__operator_set_id_proto__init(&p->opsets[0]);
    p->opsets[0].has_version = 1;
    p->opsets[0].version = opset;
    p->opset_list[0] = &p->opsets[0];
    p->model.opset_import = p->opset_list;
    p->model.n_opset_import = 1;
    return p;
}

static inline void proto_metadata(proto_model *p, const char *key, const char *value)
{
    onnx__string_string_entry_proto__init(&p->entries[0]);
    p->entries[0].key = (char *)key;
    p->entries[0].value = (char *)value;
    p->entry_list[0] = &p->entries[0];
    p->model.metadata_props = p->entry_list;
    p->model.n_metadata_props = 1;
}

/* names: "a b  c", each separated by one blank; nothing between two blanks: left out. */
static inline size_t proto_names(char **list, const char *names)
{
    size_t count = 0;
    char  *copy = proto_text(names);
    for (char *at = copy; at && *names; count++) {
        char *blank = strchr(at, ' ');
        if (blank) *blank = '\0';
        list[count] = at;
        at = blank ? blank + 1 : NULL;
    }
    return count;
}

/* A node named as its outputs. */
static inline Onnx__NodeProto *proto_node(proto_model *p, const char *op, const char *inputs, const char *outputs)
{
    const size_t     i = p->graph.n_node++;
    Onnx__NodeProto *n = &p->nodes[i];
    onnx__node_proto__init(n);
    n->op_type = (char *)op;
    n->name = proto_text(outputs);
    n->input = p->inputs[i];
    n->output = p->outputs[i];
    n->n_input = proto_names(n->input, inputs);
    n->n_output = proto_names(n->output, outputs);
    n->attribute = p->attribute_list[i];
    p->node_list[i] = n;
    return n;
}

/* Lets the model use operators of ONNX Runtime's own domain, as proto_fused makes them. */
UNUSED static void proto_microsoft(proto_model *p)
{
    onnx__operator_set_id_proto__init(&p->opsets[1]);
    p->opsets[1].domain = (char *)"com.microsoft";
    p->opsets[1].has_version = 1;
    p->opsets[1].version = 1;
    p->opset_list[1] = &p->opsets[1];
    p->model.n_opset_import = 2;
}

UNUSED static Onnx__NodeProto *proto_fused(proto_model *p, const char *op, const char *inputs, const char *outputs)
{
    Onnx__NodeProto *n = proto_node(p, op, inputs, outputs);
    n->domain = (char *)"com.microsoft";
    return n;
}

static inline Onnx__AttributeProto *proto_attribute(proto_model *p, Onnx__NodeProto *n, const char *name, int type)
{
    Onnx__AttributeProto *a = &p->attributes[p->attribute_count++];
    onnx__attribute_proto__init(a);
    a->name = (char *)name;
    a->has_type = 1;
    a->type = (Onnx__AttributeProto__AttributeType)type;
    n->attribute[n->n_attribute++] = a;
    return a;
}

static inline void proto_int(proto_model *p, Onnx__NodeProto *n, const char *name, int64_t value)
{
    Onnx__AttributeProto *a = proto_attribute(p, n, name, 2);
    a->has_i = 1;
    a->i = value;
}

static inline void proto_float(proto_model *p, Onnx__NodeProto *n, const char *name, float value)
{
    Onnx__AttributeProto *a = proto_attribute(p, n, name, 1);
    a->has_f = 1;
    a->f = value;
}

static inline void proto_ints(proto_model *p, Onnx__NodeProto *n, const char *name, int64_t *values, size_t count)
{
    Onnx__AttributeProto *a = proto_attribute(p, n, name, 7);
    a->ints = values;
    a->n_ints = count;
}

static inline void proto_string(proto_model *p, Onnx__NodeProto *n, const char *name, const char *value)
{
    Onnx__AttributeProto *a = proto_attribute(p, n, name, 3);
    a->has_s = 1;
    a->s.data = (uint8_t *)proto_text(value);
    a->s.len = strlen(value);
}

/* An initializer with its data in raw_data. type: ONNX's number of float, uint8, int8, int32 or int64. */
static inline Onnx__TensorProto *proto_tensor(proto_model *p, const char *name, int type, const void *data,
                                              const int64_t *dims, size_t rank)
{
    static const size_t width[] = { [1] = 4, [2] = 1, [3] = 1, [6] = 4, [7] = 8 };
    const size_t        i = p->graph.n_initializer++;
    size_t              size = width[type];
    Onnx__TensorProto  *t = &p->tensors[i];
    for (size_t d = 0; d < rank; d++) size *= (size_t)dims[d];
    onnx__tensor_proto__init(t);
    t->name = (char *)name;
    t->has_data_type = 1;
    t->data_type = type;
    if (rank) memcpy(p->dims[i], dims, rank * sizeof *dims);
    t->dims = p->dims[i];
    t->n_dims = rank;
    t->has_raw_data = 1;
    t->raw_data.len = size;
    t->raw_data.data = proto_alloc(size);
    memcpy(t->raw_data.data, data, size);
    p->tensor_list[i] = t;
    return t;
}

static inline Onnx__ValueInfoProto *proto_info(proto_model *p, const char *name, int type, const int64_t *dims,
                                               size_t rank)
{
    const size_t          i = p->info_count++;
    Onnx__ValueInfoProto *v = &p->infos[i];
    onnx__value_info_proto__init(v);
    onnx__type_proto__init(&p->types[i]);
    onnx__type_proto__tensor__init(&p->tensor_types[i]);
    onnx__tensor_shape_proto__init(&p->shapes[i]);
    v->name = (char *)name;
    v->type = &p->types[i];
    p->types[i].value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    p->types[i].tensor_type = &p->tensor_types[i];
    p->tensor_types[i].has_elem_type = 1;
    p->tensor_types[i].elem_type = type;
    p->tensor_types[i].shape = &p->shapes[i];
    p->shapes[i].dim = p->shape_dim_list[i];
    for (size_t d = 0; d < rank; d++) {
        Onnx__TensorShapeProto__Dimension *dim = &p->shape_dims[i][d];
        onnx__tensor_shape_proto__dimension__init(dim);
        if (dims[d] >= 0) {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dim->dim_value = dims[d];
        }
        p->shape_dim_list[i][d] = dim;
        p->shapes[i].n_dim++;
    }
    return v;
}

/* dims below 0 are left open. */
static inline void proto_input(proto_model *p, const char *name, int type, const int64_t *dims, size_t rank)
{
    p->input_list[p->graph.n_input++] = proto_info(p, name, type, dims, rank);
}

/* An output whose type the file does not state. */
static inline void proto_output(proto_model *p, const char *name)
{
    Onnx__ValueInfoProto *v = &p->infos[p->info_count++];
    onnx__value_info_proto__init(v);
    v->name = (char *)name;
    p->output_list[p->graph.n_output++] = v;
}

/* ---- looking at a file ---- */

UNUSED static Onnx__ModelProto *unpack_file(const char *path)
{
    static uint8_t bytes[1 << 16];
    FILE          *f = fopen(path, "rb");
    assert_non_null(f);
    const size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);
    assert_non_null(model);
    return model;
}

UNUSED static const Onnx__NodeProto *producer(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t j = 0; j < g->node[i]->n_output; j++)
            if (strcmp(g->node[i]->output[j], name) == 0) return g->node[i];
    return NULL;
}

UNUSED static const Onnx__TensorProto *initializer(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_initializer; i++)
        if (strcmp(g->initializer[i]->name, name) == 0) return g->initializer[i];
    return NULL;
}

/* A file in a folder of its own; both are gone after proto_remove. */
static inline char *proto_write_bytes(const void *bytes, size_t size)
{
    char *path = proto_alloc(1024);
    make_folder(path, 1000);
    strcat(path, "/model.onnx");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
    return path;
}

static inline void proto_remove(char *path)
{
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

static inline char *proto_write(const proto_model *p)
{
    const size_t size = onnx__model_proto__get_packed_size(&p->model);
    uint8_t     *bytes = proto_alloc(size);
    onnx__model_proto__pack(&p->model, bytes);
    return proto_write_bytes(bytes, size);
}

/* Loads the model; on failure *err says why and NULL is returned. */
static inline octet_graph *proto_load(const proto_model *p, octet_error *err)
{
    octet_graph *graph;
    char        *path = proto_write(p);
    *err = (octet_error){ 0 };
    const octet_status status = octet_graph_load(&graph, path, err);
    assert_int_equal(status == OCTET_OK, graph != NULL);
    assert_int_equal(status, err->status);
    if (!graph) assert_non_null(strstr(err->file, "model.onnx"));
    proto_remove(path);
    return graph;
}

/* Loads a model that must be good. */
static inline octet_graph *proto_load_good(const proto_model *p)
{
    octet_error  err;
    octet_graph *graph = proto_load(p, &err);
    if (!graph) print_error("%s: %s: %s\n", err.node, err.field, err.text);
    assert_non_null(graph);
    return graph;
}

#endif
