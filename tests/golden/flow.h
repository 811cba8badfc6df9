/* SPDX-License-Identifier: Apache-2.0 */
/* A recorded network in a flow of quantization-aware training: the case's model.onnx, prepared as PyTorch's eager mode
   would, its parts found by the names of PyTorch's modules ("quant", "module.b1.conv1", "module.b1.conv1.weight"). */
#ifndef OCTET_TESTS_GOLDEN_FLOW_H
#define OCTET_TESTS_GOLDEN_FLOW_H

#include "golden.h"

#include "train/tape.h"

typedef struct golden_flow {
    golden_case *c;
    octet_graph *graph;
} golden_flow;

/* qconfig's target is taken to be torch's. False: the case has failed. */
bool golden_flow_open(golden_flow *f, golden_case *c, const char *model, const octet_qconfig *qconfig);
void golden_flow_close(golden_flow *f);

/* The same for static quantization: prepared, nothing observed yet. */
bool golden_flow_open_static(golden_flow *f, golden_case *c, const char *model, const octet_qconfig *qconfig);

/* The value that a module makes when it is called for the time-th time, from 0 on; NULL: there is none. */
octet_value *golden_flow_value(const golden_flow *f, const char *module, size_t time);

/* FakeQuantize of what a module makes, or of its weight; NULL: there is none. */
octet_trained *golden_flow_trained(const golden_flow *f, const char *name);

/* Every FakeQuantize; observing anew forgets what was seen before. */
void golden_flow_switch(const golden_flow *f, bool enabled, bool observing);

/* What ships; the caller frees it. NULL: the case has failed. Comes last: what only training has is taken out. */
octet_graph *golden_flow_convert(golden_flow *f);

/* What was recorded of one run over the case's "eval". */
typedef struct golden_flow_record {
    const char   *row;
    const json_t *calls, *output; /* NULL: nothing to compare */
    int32_t       levels;         /* by which a result may be off */
    bool         *tied; /* set where a mean over space is a level off, as ties fall otherwise in torch, where layout and
                           engine decide; nothing behind it is then compared. NULL: that may not be */
} golden_flow_record;

/* Runs fake quantization, batch norm frozen, and compares every call and the output (whatever record names). *output is
   what came out. The caller frees the tape; NULL: the case has failed. */
octet_tape *golden_flow_run_fake(golden_array *output, const golden_flow *f, const golden_flow_record *record);

/* The same of the converted network, run in a profile. */
bool golden_flow_run_true(golden_array *output, const golden_flow *f, const octet_graph *quantized,
                          const char *profile, const golden_flow_record *record);

/* A recorded tensor as real numbers, whether it was recorded as levels or not. */
bool golden_flow_real(golden_array *array, golden_case *c, const json_t *entry);

/* Fails the case with what the library says; true where status is good. */
bool golden_ok(golden_case *c, octet_status status, const octet_error *err);

#endif
