/* SPDX-License-Identifier: Apache-2.0 */
/* Masks in front of a Softmax: numbers so low that what they are added to, or stand for, gets no weight. Levels that
   reach down to them would have nothing left for the rest, and levels that do not would give what is forbidden weight
   again. */
#ifndef OCTET_OPS_MASK_H
#define OCTET_OPS_MASK_H

#include "graph/op.h"

/* Why a Softmax cannot read levels: its input is masked. NULL: it is not. */
const char *octet_refuses_masked(const octet_node *softmax);

/* Why an Add whose result only a Softmax reads cannot add levels: one of them is a mask. NULL: none is. */
const char *octet_refuses_mask(const octet_node *add);

#endif
