/* SPDX-License-Identifier: Apache-2.0 */
/* What a network's constants weigh in a file, and what their rounding costs: float and levels side by side, batch norms
   folded on both. */
#include <octet/report.h>

#include "graph/copy.h"
#include "measure/sqnr.h"
#include "ops/mode.h"
#include "passes/pass.h"

/* Bits of one level in a file: four where all readers take real numbers. */
static size_t bits_of(const octet_graph *graph, const octet_value *value)
{
    return octet_value_is_packed(graph, value) ? 4 : 8 * octet_dtype_size(value->constant->dtype);
}

static size_t bytes_of(const octet_graph *graph, const octet_value *value)
{
    const octet_tensor *const  t    = value->constant;
    const octet_qparams *const q    = t->qparams;
    const size_t               bits = bits_of(graph, value), count = (size_t)octet_tensor_count(t);
    bool                       zero = q->real_zero_point || !q->block;
    for (int64_t i = 0; i < q->count; i++) zero = zero || q->zero_point[i];
    const size_t zero_bits = q->real_zero_point ? 32 : zero ? bits : 0;
    return (count * bits + 7) / 8 + (size_t)q->count * sizeof(float) + ((size_t)q->count * zero_bits + 7) / 8;
}

static void weigh_levels(octet_weight_sizes *sizes, octet_sqnr *sqnr, const octet_graph *folded,
                         const octet_graph *quantized, const octet_value *value)
{
    const octet_value *const  twin  = octet_graph_find_value(folded, value->name);
    const float *const        real  = octet_constant_floats(twin);
    const octet_tensor *const t     = value->constant;
    const size_t              count = (size_t)octet_tensor_count(t);
    sizes->count += count;
    sizes->before += count * sizeof(float);
    sizes->after += bytes_of(quantized, value);
    if (real && octet_tensor_count(twin->constant) == octet_tensor_count(t)) octet_sqnr_add_tensor(sqnr, real, t);
}

octet_status octet_weigh(octet_weight_sizes *sizes, const octet_graph *reference, const octet_graph *quantized,
                         octet_error *err)
{
    octet_graph *folded;
    octet_sqnr   sqnr = { 0 };
    *sizes            = (octet_weight_sizes){ 0 };
    OCTET_TRY(octet_graph_changed_copy(&folded, reference, octet_pass_fold_batch_norm, err));
    for (const octet_value *v = quantized->values; v; v = v->next) {
        if (!v->constant) continue;
        if (v->constant->qparams) weigh_levels(sizes, &sqnr, folded, quantized, v);
        else sizes->kept += (size_t)octet_tensor_bytes(v->constant);
    }
    octet_graph_free(folded);
    sizes->bits    = sizes->count ? 8.0 * (double)sizes->after / (double)sizes->count : 0;
    sizes->sqnr_db = octet_sqnr_db(&sqnr);
    return OCTET_OK;
}
