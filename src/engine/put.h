/* SPDX-License-Identifier: Apache-2.0 */
/* Replacing a value that a workspace has computed, while it runs: what reads it afterwards reads the other numbers. */
#ifndef OCTET_ENGINE_PUT_H
#define OCTET_ENGINE_PUT_H

#include "engine/run.h"

/* Puts numbers (of the value's shape and type, dense in logical order) where the workspace of a plan with keep_values
   keeps value; to be called from a hook that has just been shown it. False: it lies in a layout that this cannot fill,
   or nowhere; nothing has changed. */
bool octet_workspace_put(octet_workspace *workspace, const octet_plan *plan, const octet_value *value,
                         const octet_tensor *numbers);

#endif
