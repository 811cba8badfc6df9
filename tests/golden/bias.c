/* SPDX-License-Identifier: Apache-2.0 */
/* torch's bias_correction of a static flow: the network before it, the network with the biases that it recorded (the
   qnnpack engine itself goes on with the old ones: after_output equals before_output there, and says nothing), and
   octet's own correction beside it. */
#include "flow.h"

#include "base/file.h"
#include "graph/copy.h"
#include "graph/graph.h"
#include "passes/pass.h"

#include <octet/improve.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- samples: batches of the recorded array, one after the other ---- */

/* "(3, 16, 3, 8, 8)" becomes "(48, 3, 8, 8)": same bytes, the two leading dimensions as one. */
static bool join_batches(uint8_t *bytes, size_t size)
{
    char  shape[64];
    long  batches, each;
    char *const at = memmem(bytes, size < 128 ? size : 128, "(", 1);
    if (!at || sscanf(at, "(%ld, %ld", &batches, &each) != 2) return false;
    char *const rest = strchr(strchr(at, ',') + 1, ',');
    const int   room = (int)(rest - at), used = snprintf(shape, sizeof shape, "(%ld", batches * each);
    if (used > room) return false;
    memset(at, ' ', (size_t)room);
    memcpy(at + room - used, shape, (size_t)used);
    return true;
}

static bool write_samples(char *path, size_t room, golden_case *c)
{
    char              source[4096];
    octet_file        file   = { 0 };
    octet_error       err    = { 0 };
    const char *const folder = getenv("TMPDIR");
    const char *const name   = json_string_value(json_object_get(json_object_get(c->manifest, "data"), "file"));
    snprintf(source, sizeof source, "%s/%s/%s", c->run->root, c->name, name ? name : "");
    snprintf(path, room, "%s/octet-golden-XXXXXX", folder ? folder : "/tmp");
    if (!golden_ok(c, octet_file_read(&file, source, 0, &err), &err)) return false;
    uint8_t *const bytes = golden_memory(c, file.size, 1);
    const size_t   size  = file.size;
    memcpy(bytes, file.data, size);
    octet_file_close(&file);
    const int  to = join_batches(bytes, size) ? mkstemp(path) : -1;
    const bool ok = to >= 0 && write(to, bytes, size) == (ssize_t)size;
    if (to >= 0) close(to);
    return ok || golden_fail(c, "samples cannot be written");
}

/* ---- the network ---- */

/* As torch's modules stand: Relu apart from the Conv before it. */
static octet_status prepare(octet_graph *graph, octet_dataset *data, octet_error *err)
{
    octet_qconfig qconfig = *octet_qconfig_find("default");
    qconfig.target        = "torch-1.13";
    for (octet_node *n = graph->first; n; n = n->next)
        if (n->activation.on) OCTET_TRY(octet_split_activation(graph, n, err));
    OCTET_TRY(octet_prepare(graph, &qconfig, err));
    return octet_calibrate(graph, data, NULL, err);
}

/* "module.conv1" is the node that reads "conv1.weight". */
static octet_node *module_node(const octet_graph *graph, const char *module)
{
    char name[128];
    snprintf(name, sizeof name, "%s.weight", module + strlen("module."));
    const octet_value *const weight = octet_graph_find_value(graph, name);
    return weight && weight->use_count ? weight->uses[0].node : NULL;
}

static octet_status take_recorded_biases(octet_graph *graph, golden_case *c, octet_error *err)
{
    const char *module;
    json_t     *entry;
    json_object_foreach((json_t *)json_object_get(c->manifest, "corrected"), module, entry) {
        golden_array      bias;
        octet_node *const node = module_node(graph, module);
        if (!golden_array_read(&bias, c, json_object_get(entry, "bias")) || !node)
            return octet_fail(err, OCTET_ERR_FORMAT, "%s is not in the network", module);
        const octet_tensor tensor = { .dtype = OCTET_F32, .rank = 1, .dims = { (int64_t)bias.count },
                                      .data = bias.real };
        OCTET_TRY(octet_replace_constant(graph, node, 2, &tensor, err));
    }
    return OCTET_OK;
}

/* ---- comparing ---- */

/* Runs the recorded evaluation on a calibrated graph, converted. NULL: the case has failed. */
static float *outputs_of(const octet_graph *calibrated, golden_case *c)
{
    golden_array       x;
    octet_graph       *graph;
    octet_plan        *plan = NULL;
    octet_workspace   *ws   = NULL;
    octet_tensor       out;
    octet_error        err     = { 0 };
    float             *copy    = NULL;
    const bool         onednn  = strstr(c->name, "onednn") != NULL;
    octet_plan_options options = { .threads = 1, .profile = onednn ? "torch-onednn" : "torch-qnnpack" };
    if (!golden_array_read(&x, c, json_object_get(c->manifest, "eval"))) return NULL;
    options.batch      = x.dims[0];
    octet_tensor input = { .dtype = OCTET_F32, .rank = x.rank, .data = x.real };
    memcpy(input.dims, x.dims, sizeof x.dims);
    octet_status status = octet_graph_copy(&graph, calibrated, &err);
    if (status == OCTET_OK) status = octet_convert(graph, &err);
    if (status == OCTET_OK) status = octet_plan_create(&plan, graph, &options, &err);
    if (status == OCTET_OK) status = octet_workspace_create(&ws, plan, &err);
    if (status == OCTET_OK) status = octet_run(ws, &input, &out, &err);
    if (golden_ok(c, status, &err)) {
        copy = golden_memory(c, (size_t)octet_tensor_count(&out), sizeof *copy);
        memcpy(copy, out.data, (size_t)octet_tensor_bytes(&out));
    }
    octet_workspace_free(ws);
    octet_plan_free(plan);
    octet_graph_free(graph);
    return copy;
}

static void check_outputs(const octet_graph *calibrated, golden_case *c, const char *row, const char *recorded)
{
    golden_array want;
    if (!golden_array_read(&want, c, json_object_get(c->manifest, recorded))) return;
    const float *const got = outputs_of(calibrated, c);
    if (got) golden_note_floats(c, row, got, want.real, want.count);
}

/* Upstream takes back each layer's error on the quantized network's own inputs, octet the error that has gathered: they
   agree to a fifth of the largest correction, 0.0024. */
static void check_biases(const octet_graph *graph, golden_case *c)
{
    const char *module;
    json_t     *entry;
    json_object_foreach((json_t *)json_object_get(c->manifest, "corrected"), module, entry) {
        golden_array            want;
        const octet_node *const node = module_node(graph, module);
        if (!golden_array_read(&want, c, json_object_get(entry, "bias"))) return;
        if (!node || (size_t)octet_tensor_count(node->inputs[2]->constant) != want.count) {
            golden_fail(c, "%s has no bias of %zu", module, want.count);
            return;
        }
        double *const within = golden_memory(c, want.count, sizeof *within);
        for (size_t i = 0; i < want.count; i++) within[i] = 5e-4;
        golden_note_near(c, "bias correction: octet's own, biases within 5e-4", node->inputs[2]->constant->data,
                         want.real, within, want.count);
    }
}

static void check_case(golden_case *c, octet_graph *graph, octet_dataset *data)
{
    octet_error  err = { 0 };
    octet_graph *recorded;
    check_outputs(graph, c, "bias correction: output before", "before_output");
    if (!golden_ok(c, octet_graph_copy(&recorded, graph, &err), &err)) return;
    if (golden_ok(c, take_recorded_biases(recorded, c, &err), &err))
        check_outputs(recorded, c, "bias correction: output with the recorded biases", "after_repacked_output");
    octet_graph_free(recorded);
    if (golden_ok(c, octet_correct_biases(graph, OCTET_BIAS_SEQUENTIAL, data, NULL, &err), &err))
        check_biases(graph, c);
}

void golden_bias_correction(golden_case *c)
{
    char           model[4096], samples[4096];
    octet_error    err   = { 0 };
    octet_graph   *graph = NULL;
    octet_dataset *data  = NULL;
    snprintf(model, sizeof model, "%s/%s/model.onnx", c->run->root, c->name);
    if (!write_samples(samples, sizeof samples, c)) return;
    octet_status status = octet_graph_load(&graph, model, &err);
    if (status == OCTET_OK) status = octet_fuse(graph, &err);
    if (status == OCTET_OK)
        status = octet_dataset_open(&data, samples, &(octet_dataset_options){ .graph = graph }, &err);
    if (status == OCTET_OK) status = prepare(graph, data, &err);
    if (golden_ok(c, status, &err)) check_case(c, graph, data);
    octet_dataset_free(data);
    octet_graph_free(graph);
    unlink(samples);
}
