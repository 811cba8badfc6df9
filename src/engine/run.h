/* SPDX-License-Identifier: Apache-2.0 */
/* What the library's own users of workspaces may do beyond octet/engine.h: look at any kept value, and run only what
   depends on one changed value. */
#ifndef OCTET_ENGINE_RUN_H
#define OCTET_ENGINE_RUN_H

#include <octet/engine.h>

#include "graph/graph.h"

const octet_plan *octet_workspace_plan(const octet_workspace *workspace);

/* The value's shape as planned (logical order); data only where it is known already. */
octet_tensor octet_plan_shape(const octet_plan *plan, const octet_value *value);

/* Steps that this workspace has run so far: nodes, not conversions or views. */
uint64_t octet_workspace_nodes_run(const octet_workspace *workspace);

/* Bytes of one workspace of the plan. */
size_t octet_workspace_bytes(const octet_plan *plan);

/* As octet_workspace_set_hook, but a real value may come in the order in which it lies in memory (its dims are the
   logical ones, every element comes once): cheaper for those who only count. */
void octet_workspace_set_raw_hook(octet_workspace *workspace, octet_value_hook hook, void *context);

/* Puts one sum per element of value, in the order in which a raw hook got the elements, into logical order. room is
   for as many sums. */
void octet_workspace_order_sums(const octet_workspace *workspace, const octet_value *value, int64_t *sums,
                                int64_t *room);

/* The rest is for plans with keep_values, after a run. */

/* A value in its logical order; data NULL where the plan does not form it. Valid until the next call with this
   workspace, or until its next run. */
octet_tensor octet_workspace_value(octet_workspace *workspace, const octet_value *value);

/* The same value as it lies in memory: possibly in blocks of channels, with finite filling. data NULL: not formed. What
   works on each element alone can work on this. */
octet_tensor octet_workspace_raw(const octet_workspace *workspace, const octet_value *value);

/* Puts raw (in the order and size of octet_workspace_raw; NULL: already put at octet_workspace_place) in place of
   changed, and runs into `to` everything that depends on it. All other values of `to` are those of `from`, which must
   live unchanged until `to` is used for something else. Both are of one plan. No allocation. */
octet_status octet_workspace_rerun(octet_workspace *to, const octet_workspace *from, const octet_value *changed,
                                   const void *raw, octet_error *err);

/* Where `to` keeps its own copy of a value, NULL where the plan does not form it. */
void *octet_workspace_place(octet_workspace *to, const octet_value *value);

/* Lets a workspace that was rerun look at its own copies again, whatever they hold. */
void octet_workspace_own(octet_workspace *workspace);

/* Runs the one step that makes node's outputs, on its inputs as the workspace itself holds them (engine/put.h puts
   others there). Needs no run before. */
octet_status octet_workspace_run_node(octet_workspace *workspace, const octet_node *node, octet_error *err);

#endif
