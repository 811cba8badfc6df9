/* SPDX-License-Identifier: Apache-2.0 */
/* A network that ends before its file does: where the caller names the values at which it shall, what stands behind
   them alone (a detector's selection of boxes, say) is not read, whatever it is. */
#include "graph/names.h"
#include "onnx/onnx.pb-c.h"
#include "onnx/read.h"

#include <string.h>

typedef struct cutter {
    octet_reader *reader;
    octet_names  *producers; /* name of a value -> the place in needed of its node */
    bool         *needed;    /* by node of the file */
    size_t       *waiting, waiting_count;
} cutter;

static void need(cutter *c, const char *name)
{
    const bool *const place = name && *name ? octet_names_find(c->producers, name) : NULL;
    if (!place || *place) return;
    c->needed[place - c->needed]   = true;
    c->waiting[c->waiting_count++] = (size_t)(place - c->needed);
}

/* What a node reads, in branches of its own, too: a name that a branch makes itself needs at most too much. */
static void need_inputs(cutter *c, const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < node->n_input; i++) need(c, node->input[i]);
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__GraphProto *const inside = node->attribute[i]->g;
        for (size_t k = 0; inside && k < inside->n_node; k++) need_inputs(c, inside->node[k]);
        for (size_t k = 0; inside && k < inside->n_output; k++) need(c, inside->output[k]->name);
    }
}

static octet_status list_producers(cutter *c, octet_error *err)
{
    for (size_t i = 0; i < c->reader->node_count; i++) {
        const Onnx__NodeProto *const node = c->reader->nodes[i].proto;
        for (size_t k = 0; k < node->n_output; k++) {
            const char *const name = node->output[k];
            if (!name || !*name || octet_names_find(c->producers, name)) continue;
            if (!octet_names_add(c->producers, name, &c->needed[i])) return octet_fail_memory(err);
        }
    }
    return OCTET_OK;
}

octet_status octet_read_cut(octet_reader *reader, octet_error *err)
{
    cutter c = { .reader = reader, .producers = octet_names_new(reader->arena) };
    if (!reader->end_count) return OCTET_OK;
    if (!c.producers) return octet_fail_memory(err);
    OCTET_TRY(octet_arena_get(&c.needed, reader->arena, reader->node_count, sizeof *c.needed, err));
    OCTET_TRY(octet_arena_get(&c.waiting, reader->arena, reader->node_count, sizeof *c.waiting, err));
    OCTET_TRY(list_producers(&c, err));
    for (size_t i = 0; i < reader->end_count; i++) {
        if (!octet_names_find(c.producers, reader->ends[i]))
            return octet_fail(err, OCTET_ERR_ARGUMENT, "no node makes a value named '%.80s' to end at",
                              reader->ends[i]);
        need(&c, reader->ends[i]);
    }
    while (c.waiting_count) need_inputs(&c, reader->nodes[c.waiting[--c.waiting_count]].proto);
    size_t kept = 0;
    for (size_t i = 0; i < reader->node_count; i++)
        if (c.needed[i]) reader->nodes[kept++] = reader->nodes[i];
    reader->node_count = kept;
    return OCTET_OK;
}

const Onnx__ValueInfoProto *octet_read_declared(const octet_reader *reader, const char *output)
{
    const Onnx__GraphProto *const graph = reader->proto;
    for (size_t i = 0; i < graph->n_output; i++)
        if (graph->output[i]->name && !strcmp(graph->output[i]->name, output)) return graph->output[i];
    return NULL;
}
