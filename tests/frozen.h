/* SPDX-License-Identifier: Apache-2.0 */
/* A tape's frozen forward pass beside the network that ships: byte for byte, on the levels of every value. */
#ifndef OCTET_TESTS_FROZEN_H
#define OCTET_TESTS_FROZEN_H

#include "support.h"

#include "engine/run.h"
#include "graph/graph.h"
#include "train/tape.h"

typedef struct frozen_pass {
    const octet_graph  *graph, *quantized; /* the training graph, and what it ships as */
    const octet_tape   *tape;              /* after a forward pass in integers */
    const octet_tensor *input;
    const char         *engines;
    int                 threads;
} frozen_pass;

typedef struct frozen_count {
    size_t      values, differing; /* compared; not equal in every byte. Outputs count as values */
    const char *first;             /* that differs; NULL: none */
} frozen_count;

static inline void frozen_note(frozen_count *count, const char *name, const octet_tensor *a, const octet_tensor *b)
{
    const bool same = a->dtype == b->dtype && octet_tensor_bytes(a) == octet_tensor_bytes(b) &&
                      !memcmp(a->data, b->data, (size_t)octet_tensor_bytes(a));
    count->values++;
    if (same) return;
    count->differing++;
    if (!count->first) count->first = name;
}

UNUSED static frozen_count frozen_compare(const frozen_pass *p)
{
    octet_plan *plan;
    octet_workspace *ws;
    octet_tensor outputs[16];
    frozen_count count = { 0 };
    const octet_plan_options options = { .engines = p->engines, .threads = p->threads, .keep_values = true,
                                         .batch = p->input->dims[0] };
    MUST(octet_plan_create(&plan, p->quantized, &options, &err));
    MUST(octet_workspace_create(&ws, plan, &err));
    MUST(octet_run(ws, p->input, outputs, &err));
    for (const octet_value *v = p->graph->values; v; v = v->next) {
        const octet_value *const q = octet_graph_find_value(p->quantized, v->name);
        const octet_tensor got = octet_tape_levels(p->tape, v);
        if (v->constant || !q || !got.data) continue;
        const octet_tensor want = octet_workspace_value(ws, q);
        if (want.data) frozen_note(&count, v->name, &got, &want);
    }
    for (size_t i = 0; i < p->graph->output_count; i++) {
        const octet_tensor got = octet_tape_value(p->tape, p->graph->outputs[i]);
        frozen_note(&count, p->graph->outputs[i]->name, &got, &outputs[i]);
    }
    octet_workspace_free(ws);
    octet_plan_free(plan);
    return count;
}

#endif
