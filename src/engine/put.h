/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at values of a workspace as real numbers, and replacing them: what reads a value afterwards reads the other
   numbers. For plans with keep_values. */
#ifndef OCTET_ENGINE_PUT_H
#define OCTET_ENGINE_PUT_H

#include "engine/run.h"

/* Puts numbers (of the value's shape and type, dense in logical order) where the workspace of a plan with keep_values
   keeps value; to be called from a hook that has just been shown it. False: it lies in a layout that this cannot fill,
   or nowhere; nothing has changed. */
bool octet_workspace_put(octet_workspace *workspace, const octet_plan *plan, const octet_value *value,
                         const octet_tensor *numbers);

/* A value that the workspace holds, as real numbers in logical order: in room (for all its elements), or where they
   lie, valid until the next run. NULL: it holds no such, or they are neither float32 nor levels. */
const float *octet_workspace_reals(const octet_workspace *workspace, const octet_value *value, float *room);

/* Puts real numbers in the workspace's own place for the value, rounded where it keeps levels. False: it has no place
   for it that could be filled. */
bool octet_workspace_put_reals(octet_workspace *workspace, const octet_value *value, const float *reals);

/* octet_workspace_rerun with such numbers in place of changed. OCTET_ERR_ARGUMENT: they cannot be put. */
octet_status octet_workspace_rerun_reals(octet_workspace *to, const octet_workspace *from, const octet_value *changed,
                                         const float *reals, octet_error *err);

#endif
