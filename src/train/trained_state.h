/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a FakeQuantize as numbers: for copies, for going back, for checkpoints. */
#ifndef OCTET_TRAIN_TRAINED_STATE_H
#define OCTET_TRAIN_TRAINED_STATE_H

#include "graph/graph.h"
#include "train/fake_quantize.h"

/* Settings and state in memory of their own. */
octet_status octet_trained_copy(octet_trained **copy, octet_arena *arena, const octet_trained *trained,
                                octet_error *err);

/* The state of one that has the same settings. */
void octet_trained_follow(octet_trained *to, const octet_trained *from);

/* Numbers that pack writes and unpack reads. */
size_t octet_trained_size(const octet_trained *trained);
void   octet_trained_pack(float *to, const octet_trained *trained);
void   octet_trained_unpack(octet_trained *trained, const float *from);

/* Whether numbers that came from a file could be a state of trained. */
bool octet_trained_could_be(const float *from, const octet_trained *trained);

/* Every one of a graph, each once, in the order of their first values; NULL entries never. */
octet_status octet_trained_list(octet_trained ***list, size_t *count, octet_arena *arena, const octet_graph *graph,
                                octet_error *err);

/* Gives every FakeQuantize of a graph a state of its own, beginning where the present one stands. */
octet_status octet_trained_separate(octet_graph *graph, octet_error *err);

#endif
