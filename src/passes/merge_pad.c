/* SPDX-License-Identifier: Apache-2.0 */
/* Pad with constant zeros over spatial axes only, read only by a Conv, or by an AveragePool that counts its padding or
   has none, moves into it. Precondition: constants folded. (MaxPool pads with minus infinity: not the same.) */
#include "passes/pass.h"

#include "ops/attrs.h"

#include <string.h>

static bool pads_with_zero(const octet_node *pad)
{
    const octet_value *const value = pad->input_count > 2 ? pad->inputs[2] : NULL;
    if (!value) return true;
    const float *const number = octet_constant_floats(value);
    return number && *number == 0.0f;
}

/* Spatial pads as begin..., end...; false where the Pad does more than that. */
static bool spatial_pads(octet_ints *pads, const octet_node *pad)
{
    static const char *const mode_row = "mode";
    for (const octet_attr *a = pad->op->attrs; a && a->kind != OCTET_ATTR_END; a++)
        if (!strcmp(a->name, mode_row)) {
            const char *mode;
            memcpy(&mode, (const char *)pad->attrs + a->offset, sizeof mode);
            if (mode && strcmp(mode, "constant") != 0) return false;
        }
    const octet_value *const v = pad->inputs[1];
    if (pad->input_count > 3 && pad->inputs[3]) return false;
    if (!v->constant || v->constant->dtype != OCTET_I64 || v->rank != 1) return false;
    const int64_t *const at   = v->constant->data;
    const int            rank = (int)(v->dims[0] / 2);
    if (rank < 3 || at[0] || at[1] || at[rank] || at[rank + 1]) return false;
    pads->count = 2 * (rank - 2);
    for (int i = 0; i < rank - 2; i++) {
        pads->at[i]            = at[2 + i];
        pads->at[rank - 2 + i] = at[rank + 2 + i];
        if (at[2 + i] < 0 || at[rank + 2 + i] < 0) return false;
    }
    return true;
}

static bool takes_pads(const octet_node *node)
{
    const bool pool = octet_node_is(node, "AveragePool");
    if (!pool && !octet_node_is(node, "Conv")) return false;
    const octet_window_attrs *const a = node->attrs;
    if (strcmp(a->auto_pad, "NOTSET") != 0) return false;
    bool none = true;
    for (int i = 0; i < a->pads.count; i++) none = none && a->pads.at[i] == 0;
    return !pool || ((none || a->count_include_pad) && !a->ceil_mode);
}

/* Adds what node pads itself. False: a pool's window would hold nothing but padding, which pools refuse. */
static bool add_own_pads(octet_ints *pads, const octet_node *node)
{
    const octet_window_attrs *const a = node->attrs;
    bool                            fits = true;
    for (int i = 0; i < pads->count; i++) {
        pads->at[i] += a->pads.count ? a->pads.at[i] : 0;
        if (octet_node_is(node, "AveragePool")) fits = fits && pads->at[i] < a->kernel_shape.at[i % (pads->count / 2)];
    }
    return fits;
}

octet_status octet_pass_merge_pad(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first, *next; n; n = next) {
        next            = n->next;
        octet_ints pads = { 0 };
        if (!octet_node_is(n, "Pad") || n->outputs[0]->fake_quantize) continue;
        octet_node *const reader = octet_value_only_reader(n->outputs[0]);
        if (!reader || reader->inputs[0] != n->outputs[0] || !takes_pads(reader)) continue;
        if (!pads_with_zero(n) || !spatial_pads(&pads, n) || !add_own_pads(&pads, reader)) continue;
        octet_window_attrs *const a = reader->attrs;
        a->pads              = pads;
        a->count_include_pad = 1;
        OCTET_TRY(octet_node_merge_name(graph, reader, n->name, err));
        OCTET_TRY(octet_node_set_input(graph, reader, 0, n->inputs[0], err));
        octet_node_remove(graph, n);
    }
    return OCTET_OK;
}
