/* SPDX-License-Identifier: Apache-2.0 */
#include "train/identity.h"

#include "graph/identity.h"
#include "train/fake_quantize.h"

#define ADD(hash, object) octet_hash_add(hash, &(object), sizeof(object))

/* Settings only: the state is what a checkpoint brings. */
static void add_trained(octet_hash *hash, const octet_trained *t)
{
    if (!t) return;
    ADD(hash, t->quantizer.fake);
    ADD(hash, t->quantizer.formula);
    ADD(hash, t->quantizer.symmetric);
    ADD(hash, t->quantizer.reduce_range);
    ADD(hash, t->quantizer.averaging);
    ADD(hash, t->quantizer.eps);
    ADD(hash, t->quantizer.fixed_scale);
    ADD(hash, t->quantizer.fixed_zero_point);
    octet_hash_add_text(hash, t->profile ? t->profile->name : NULL);
    ADD(hash, t->weight);
    ADD(hash, t->dtype);
    ADD(hash, t->qmin);
    ADD(hash, t->qmax);
    ADD(hash, t->channels);
    ADD(hash, t->axis);
}

const char *octet_train_identify(octet_arena *arena, const char *role, const octet_graph *graph)
{
    octet_hash structure, weights, quantization;
    octet_graph_identify(&structure, &weights, graph);
    octet_hash_begin(&quantization);
    for (const octet_value *v = graph->values; v; v = v->next) {
        if (v->fake_quantize) octet_hash_add_text(&quantization, v->name);
        if (v->fake_quantize) add_trained(&quantization, v->fake_quantize->trained);
    }
    return octet_arena_format(
        arena, "%s '%s', %d nodes\n%s structure %016llx\n%s weights %016llx\n%s quantization %016llx\n", role,
        graph->name ? graph->name : "", graph->node_count, role, (unsigned long long)octet_hash_value(&structure), role,
        (unsigned long long)octet_hash_value(&weights), role, (unsigned long long)octet_hash_value(&quantization));
}
