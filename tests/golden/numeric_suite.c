/* SPDX-License-Identifier: Apache-2.0 */
/* torch.ao.ns._numeric_suite: recorded pairs through octet's logger give the recorded SQNR, and comparing the weights
   of two networks that hold the recorded ones finds them. */
#include "golden.h"

#include "graph/graph.h"

#include <octet/suite.h>

#include <math.h>
#include <string.h>

/* PyTorch sums in float32: a thousandth of a dB. */
static const double SAME_DB = 1e-3;

static void note_db(golden_case *c, const char *row, double got, const json_t *want)
{
    const float a = (float)got, b = (float)json_number_value(want);
    golden_note_near(c, row, &a, &b, &SAME_DB, 1);
}

static bool ok(golden_case *c, octet_status status, const octet_error *err)
{
    char line[512];
    if (status == OCTET_OK) return true;
    octet_error_line(line, sizeof line, err);
    return golden_fail(c, "%s", line);
}

/* ---- values ---- */

static void check_pair(golden_case *c, const char *row, const char *name, const json_t *entry)
{
    golden_array  real;
    octet_matched pair = { .name = name, .node = name, .op = "", .merged = "" };
    octet_suite  *suite;
    octet_error   err = { 0 };
    const json_t *const quantized = json_object_get(entry, "quantized");
    if (!golden_array_read(&real, c, json_object_get(entry, "float"))) return;
    if (!golden_tensor_read(&pair.quantized, c, quantized)) return;
    pair.real = (octet_tensor){ .dtype = OCTET_F32, .rank = real.rank, .data = real.real };
    memcpy(pair.real.dims, real.dims, sizeof real.dims);
    if (octet_tensor_count(&pair.real) != octet_tensor_count(&pair.quantized)) return; /* its batch was cut */
    if (!ok(c, octet_suite_create(&suite, &err), &err)) return;
    if (ok(c, octet_suite_log(suite, 0, &pair, &err), &err))
        note_db(c, row, octet_suite_at(suite, 0).sqnr_db, json_object_get(entry, "sqnr_db"));
    octet_suite_free(suite);
}

static void check_stats(golden_case *c, const char *row, const char *group)
{
    const char *name;
    json_t     *calls, *entry;
    size_t      i;
    json_object_foreach((json_t *)json_object_get(c->manifest, group), name, calls)
        json_array_foreach(calls, i, entry)
            if (json_object_get(json_object_get(entry, "quantized"), "qdtype")) check_pair(c, row, name, entry);
}

/* ---- weights ---- */

typedef struct found {
    golden_case  *c;
    const json_t *entry;
    size_t        pairs;
} found;

static octet_status look(void *context, size_t sample, const octet_matched *pair, octet_error *err)
{
    found *const f = context;
    golden_array real, levels;
    octet_suite *suite;
    (void)sample;
    f->pairs++;
    if (!golden_array_read(&real, f->c, json_object_get(f->entry, "float"))) return OCTET_OK;
    if (!golden_array_read(&levels, f->c, json_object_get(f->entry, "quantized"))) return OCTET_OK;
    golden_note_floats(f->c, "numeric suite: float weights", pair->real.data, real.real, real.count);
    golden_note_tensor(f->c, "numeric suite: int8 weights", &pair->quantized, &levels, 0);
    OCTET_TRY(octet_suite_create(&suite, err));
    const octet_status status = octet_suite_log(suite, 0, pair, err);
    if (status == OCTET_OK)
        note_db(f->c, "numeric suite: SQNR of weights (1e-3 dB)", octet_suite_at(suite, 0).sqnr_db,
                json_object_get(f->entry, "sqnr_db"));
    octet_suite_free(suite);
    return status;
}

/* One Conv or Gemm with these weights. */
static octet_status layer(octet_graph **graph, const octet_tensor *weight, octet_error *err)
{
    const bool              gemm    = weight->rank == 2;
    const octet_attribute   trans[] = { { .name = "transB", .i = 1 }, { 0 } };
    const char *const       inputs[] = { "x", "w" }, *const output = "y";
    const octet_node_spec   spec = { .op = gemm ? "Gemm" : "Conv", .name = "layer", .inputs = inputs, .input_count = 2,
                                     .outputs = &output, .output_count = 1, .attributes = gemm ? trans : NULL };
    const int64_t           dims[] = { OCTET_DIM_FREE, weight->dims[1], 4, 4 };
    OCTET_TRY(octet_graph_new(graph, err));
    OCTET_TRY(octet_graph_add_input(*graph, "x", OCTET_F32, dims, weight->rank, err));
    OCTET_TRY(octet_graph_add_constant(*graph, "w", weight, err));
    OCTET_TRY(octet_graph_add(*graph, &spec, err));
    OCTET_TRY(octet_graph_set_output(*graph, "y", err));
    return octet_graph_verify(*graph, err);
}

static void check_weights(golden_case *c, const json_t *entry)
{
    golden_array real;
    octet_tensor levels;
    octet_graph *graphs[2] = { NULL, NULL };
    octet_error  err = { 0 };
    found        f = { c, entry, 0 };
    if (!golden_array_read(&real, c, json_object_get(entry, "float"))) return;
    if (!golden_tensor_read(&levels, c, json_object_get(entry, "quantized"))) return;
    octet_tensor weight = { .dtype = OCTET_F32, .rank = real.rank, .data = real.real };
    memcpy(weight.dims, real.dims, sizeof real.dims);
    octet_status status = layer(&graphs[0], &weight, &err);
    if (status == OCTET_OK) status = layer(&graphs[1], &levels, &err);
    if (status == OCTET_OK) graphs[1]->stage = OCTET_STAGE_QUANTIZED;
    if (status == OCTET_OK) status = octet_compare_weights(graphs[0], graphs[1], look, &f, &err);
    if (ok(c, status, &err) && f.pairs != 1) golden_fail(c, "%zu pairs of weights, not 1", f.pairs);
    for (int i = 0; i < 2; i++) octet_graph_free(graphs[i]);
}

void golden_numeric_suite(golden_case *c)
{
    const char *name;
    json_t     *entry;
    json_object_foreach((json_t *)json_object_get(c->manifest, "compare_weights"), name, entry) check_weights(c, entry);
    check_stats(c, "numeric suite: SQNR of outputs (1e-3 dB)", "compare_model_outputs");
    check_stats(c, "numeric suite: SQNR of shadows (1e-3 dB)", "compare_model_stub");
}
