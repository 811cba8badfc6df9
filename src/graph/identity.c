/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/identity.h"

#include "graph/attrs.h"

#include <string.h>

void octet_hash_add_text(octet_hash *hash, const char *text)
{
    octet_hash_add(hash, text ? text : "", text ? strlen(text) + 1 : 1);
}

#define ADD(hash, object) octet_hash_add(hash, &(object), sizeof(object))

static void add_shape(octet_hash *hash, octet_dtype dtype, const int64_t *dims, int rank)
{
    ADD(hash, dtype);
    ADD(hash, rank);
    octet_hash_add(hash, dims, (size_t)rank * sizeof *dims);
}

static void add_qparams(octet_hash *hash, const octet_qparams *q)
{
    if (!q) return;
    octet_hash_add(hash, q->scale, (size_t)q->count * sizeof *q->scale);
    octet_hash_add(hash, q->zero_point, (size_t)q->count * sizeof *q->zero_point);
    ADD(hash, q->dtype);
    ADD(hash, q->qmin);
    ADD(hash, q->qmax);
    if (q->block) ADD(hash, q->block);
    if (q->real_zero_point)
        octet_hash_add(hash, q->real_zero_point, (size_t)q->count * sizeof *q->real_zero_point);
}

static void add_tensor(octet_hash *hash, const octet_tensor *tensor)
{
    if (!tensor) return;
    add_shape(hash, tensor->dtype, tensor->dims, tensor->rank);
    octet_hash_add(hash, tensor->data, (size_t)octet_tensor_bytes(tensor));
    add_qparams(hash, tensor->qparams);
}

static void add_attribute(octet_hash *hash, const void *attrs, const octet_attr *a)
{
    const void *const at = octet_attr_get(attrs, a);
    switch (a->kind) {
    case OCTET_ATTR_INT:
        octet_hash_add(hash, at, sizeof(int64_t));
        break;
    case OCTET_ATTR_FLOAT:
        octet_hash_add(hash, at, sizeof(float));
        break;
    case OCTET_ATTR_INTS:
        octet_hash_add(hash, ((const octet_ints *)at)->at, (size_t)((const octet_ints *)at)->count * sizeof(int64_t));
        break;
    case OCTET_ATTR_FLOATS:
        octet_hash_add(hash, ((const octet_floats *)at)->at, ((const octet_floats *)at)->count * sizeof(float));
        break;
    case OCTET_ATTR_STRING:
        octet_hash_add_text(hash, *(const char *const *)at);
        break;
    case OCTET_ATTR_STRINGS:
        for (size_t i = 0; i < ((const octet_strings *)at)->count; i++)
            octet_hash_add_text(hash, ((const octet_strings *)at)->at[i]);
        break;
    case OCTET_ATTR_TENSOR:
        add_tensor(hash, *(const octet_tensor *const *)at);
        break;
    case OCTET_ATTR_END:
        break;
    }
}

static void add_node(octet_hash *hash, const octet_node *node)
{
    octet_hash_add_text(hash, node->op->name);
    octet_hash_add_text(hash, node->name);
    for (int i = 0; i < node->input_count; i++)
        octet_hash_add_text(hash, node->inputs[i] ? node->inputs[i]->name : NULL);
    for (int i = 0; i < node->output_count; i++)
        octet_hash_add_text(hash, node->outputs[i] ? node->outputs[i]->name : NULL);
    for (const octet_attr *a = node->op->attrs; a && a->kind != OCTET_ATTR_END; a++)
        add_attribute(hash, node->attrs, a);
    ADD(hash, node->activation.on);
    ADD(hash, node->activation.lo);
    ADD(hash, node->activation.hi);
}

static void add_batch_norm(octet_hash *hash, const octet_batch_norm *norm)
{
    if (!norm) return;
    const float *const rows[] = { norm->gamma, norm->beta, norm->mean, norm->variance };
    for (size_t i = 0; i < 4; i++) octet_hash_add(hash, rows[i], (size_t)norm->channels * sizeof(float));
    ADD(hash, norm->epsilon);
    ADD(hash, norm->momentum);
}

void octet_graph_identify(octet_hash *structure, octet_hash *weights, const octet_graph *graph)
{
    octet_hash_begin(structure);
    octet_hash_begin(weights);
    for (const octet_node *n = graph->first; n; n = n->next) {
        add_node(structure, n);
        add_batch_norm(weights, n->batch_norm);
    }
    for (const octet_value *v = graph->values; v; v = v->next) {
        octet_hash_add_text(structure, v->name);
        if (v->has_shape) add_shape(structure, v->dtype, v->dims, v->rank);
        add_tensor(weights, v->constant);
    }
}
