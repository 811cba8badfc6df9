/* SPDX-License-Identifier: Apache-2.0 */
/* Static quantization of whole networks from the float model on: ranges from the recorded calibration batches, then,
   where tensors were recorded, every layer's levels from the recorded parameters on (the last bits of a range depend on
   the float convolution), else decibels. */
#include "flow.h"

#include "graph/copy.h"
#include "quantize/calibration.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct static_flow {
    golden_case   *c;
    golden_flow    f;
    octet_qconfig  qconfig;
    const json_t  *tensors; /* the flow's member of the manifest; NULL: numbers only */
    const json_t  *numbers; /* float_vs_quant_db by engine */
    bool           histogram;
} static_flow;

/* ---- calibrating ---- */

/* [batches, samples, ...] as a file of samples. */
static bool write_samples(char *path, golden_array *calib, golden_case *c)
{
    char      shape[128] = "", header[192];
    size_t    n;
    if (!golden_array_read(calib, c, json_object_get(c->manifest, "calib"))) return false;
    n = (size_t)snprintf(shape, sizeof shape, "%lld, ", (long long)(calib->dims[0] * calib->dims[1]));
    for (int i = 2; i < calib->rank; i++)
        n += (size_t)snprintf(shape + n, sizeof shape - n, "%lld, ", (long long)calib->dims[i]);
    snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", shape);
    const int  to   = mkstemps(path, 4);
    FILE *const file = to >= 0 ? fdopen(to, "wb") : NULL;
    if (!file) return golden_fail(c, "no room for a file of samples");
    const int  pad   = 63 - (10 + (int)strlen(header)) % 64, length = (int)strlen(header) + pad + 1;
    const char lead[] = { '\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)(length & 255), (char)(length >> 8) };
    fwrite(lead, 1, sizeof lead, file);
    fprintf(file, "%s%*s\n", header, pad, "");
    fwrite(calib->real, sizeof(float), calib->count, file);
    return fclose(file) == 0 || golden_fail(c, "a file of samples could not be written");
}

static bool calibrate(const static_flow *q)
{
    golden_array   calib;
    octet_dataset *data = NULL;
    octet_error    err  = { 0 };
    const char *const folder = getenv("TMPDIR");
    char           path[4096];
    snprintf(path, sizeof path, "%s/octet-zoo-XXXXXX.npy", folder ? folder : "/tmp");
    if (!write_samples(path, &calib, q->c)) return false;
    const octet_calibrate_options options = { .threads = 1, .batch = (size_t)calib.dims[1] };
    octet_status status = octet_dataset_open(&data, path, &(octet_dataset_options){ .graph = q->f.graph }, &err);
    if (status == OCTET_OK) status = octet_calibrate(q->f.graph, data, &options, &err);
    octet_dataset_free(data);
    unlink(path);
    return golden_ok(q->c, status, &err);
}

/* ---- parameters ---- */

/* What was found against what was recorded, and the recorded from here on. */
static bool settle(const static_flow *q, const char *module, const json_t *entry)
{
    octet_value *const value = golden_flow_value(&q->f, module, 0);
    if (!value || !value->fake_quantize) return golden_fail(q->c, "nothing is quantized at %s", module);
    octet_qparams *const qparams = &value->fake_quantize->qparams;
    float *const   scale = golden_memory(q->c, 1, sizeof *scale);
    int32_t *const zero  = golden_memory(q->c, 1, sizeof *zero);
    *scale = golden_f32(q->c, json_object_get(entry, "scale"));
    *zero  = (int32_t)golden_int(entry, "zero_point", INT32_MIN);
    const double within = 1e-5 * (double)*scale;
    golden_note_near(q->c, q->histogram ? "zoo, static: histogram scales (1e-5)" : "zoo, static: scales (1e-5)",
                     qparams->scale, scale, &within, 1);
    golden_note_levels(q->c, "zoo, static: zero points", qparams->zero_point, zero, 1, 0);
    qparams->scale      = scale;
    qparams->zero_point = zero;
    return true;
}

/* A module that is made, but never called, saw nothing. */
static bool is_called(const static_flow *q, const char *module)
{
    const json_t *const observer = json_object_get(json_object_get(q->tensors, "observers"), module);
    const char *const   least    = json_string_value(json_object_get(json_object_get(observer, "min_val"), "f32"));
    return !least || strcmp(least, "0x7f800000") != 0;
}

static bool settle_all(const static_flow *q)
{
    const char *module;
    json_t     *entry;
    json_object_foreach((json_t *)json_object_get(q->tensors, "quantized"), module, entry)
        if (json_object_get(entry, "scale") && is_called(q, module) && !settle(q, module, entry)) return false;
    return true;
}

static bool check_weights(const static_flow *q, const octet_graph *quantized)
{
    const char *module;
    json_t     *entry;
    json_object_foreach((json_t *)json_object_get(q->tensors, "quantized"), module, entry) {
        golden_array levels;
        const json_t *const weight = json_object_get(entry, "weight");
        if (!weight) continue;
        const octet_value *const value = golden_flow_value(&q->f, module, 0);
        const octet_node *const  node  = value ? octet_graph_find_node(quantized, value->producer->name) : NULL;
        if (!node) return golden_fail(q->c, "no node of %s", module);
        if (!golden_array_read(&levels, q->c, weight)) return false;
        golden_note_tensor(q->c, "zoo, static: int8 weights", node->inputs[1]->constant, &levels, 0);
    }
    return true;
}

/* ---- running ---- */

/* Of the histogram flows only the end is recorded, and three of kws1d's 32 numbers there are a level off. */
static bool check_output(const static_flow *q, const golden_array *got, const json_t *entry)
{
    golden_array want;
    if (!golden_array_read(&want, q->c, entry)) return false;
    if (want.count != got->count) return golden_fail(q->c, "the output has another shape");
    const octet_qparams *const last = &q->f.graph->outputs[0]->fake_quantize->qparams;
    double *const within = golden_memory(q->c, want.count, sizeof *within);
    for (size_t i = 0; i < want.count; i++) within[i] = 1.001 * (double)last->scale[0];
    golden_note_near(q->c, "zoo, static: histogram outputs (a level)", got->real, want.real, within, want.count);
    return true;
}

static bool check_engine(const static_flow *q, const octet_graph *quantized, const char *engine, const json_t *db)
{
    char         profile[64], row[96];
    golden_array output, real;
    const json_t *const recorded = json_object_get(json_object_get(q->tensors, "engines"), engine);
    snprintf(profile, sizeof profile, "torch-%.*s", (int)strcspn(engine, "+"), engine);
    snprintf(row, sizeof row, "zoo, static: %s", engine);
    const json_t *const calls = json_object_get(recorded, "calls"), *const y = json_object_get(recorded, "output");
    bool tied = false;
    const golden_flow_record record = { .row = row, .calls = calls, .output = calls ? y : NULL, .tied = &tied };
    if (!golden_flow_run_true(&output, &q->f, quantized, profile, &record)) return false;
    if (y && !calls && !check_output(q, &output, y)) return false;
    if (!golden_array_read(&real, q->c, json_object_get(q->c->manifest, "float_output"))) return false;
    const float  got = (float)golden_decibels(real.real, output.real, output.count);
    const float  want = (float)json_number_value(db);
    const bool   exact  = q->tensors && !q->histogram && !tied;
    const double within = exact ? 0.01 : q->tensors ? 1 : 3; /* few numbers come out: a level of one is worth that */
    snprintf(row, sizeof row, "zoo, static: %sSQNR (%g dB)", q->histogram ? "histogram " : "", within);
    golden_note_near(q->c, row, &got, &want, &within, 1);
    return true;
}

static bool is_broken(const static_flow *q, const char *engine)
{
    return json_object_get(q->c->manifest, "known_upstream_bug") && !strcmp(engine, "qnnpack");
}

static bool check_flow(const static_flow *q)
{
    octet_graph *quantized = NULL;
    octet_error  err = { 0 };
    const char  *engine;
    json_t      *db;
    if (!calibrate(q) || (q->tensors && !settle_all(q))) return false;
    bool done = golden_ok(q->c, octet_graph_changed_copy(&quantized, q->f.graph, octet_convert, &err), &err);
    done      = done && check_weights(q, quantized);
    json_object_foreach((json_t *)json_object_get(q->numbers, "float_vs_quant_db"), engine, db)
        if (done && !is_broken(q, engine)) done = check_engine(q, quantized, engine, db);
    octet_graph_free(quantized);
    return done;
}

void golden_zoo_static(golden_case *c)
{
    static const struct { const char *flow, *qconfig; } flows[] = {
        { "ptq_per_tensor", "default_qconfig" },
        { "ptq_per_channel", "default_per_channel_qconfig" },
        { "ptq_hist_qnnpack", "qnnpack" },
        { "ptq_hist_onednn", "onednn" },
    };
    for (size_t i = 0; i < sizeof flows / sizeof *flows; i++) {
        static_flow q = { .c = c, .qconfig = *octet_qconfig_find(flows[i].qconfig), .histogram = i >= 2,
                          .tensors = json_object_get(c->manifest, flows[i].flow),
                          .numbers = json_object_get(json_object_get(c->manifest, "numbers"), flows[i].flow) };
        const bool done = golden_flow_open_static(&q.f, c, "model.onnx", &q.qconfig) && check_flow(&q);
        golden_flow_close(&q.f);
        if (!done) return;
    }
}
