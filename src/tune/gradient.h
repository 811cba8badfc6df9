/* SPDX-License-Identifier: Apache-2.0 */
/* What every layer's own error does to the output, to first order, from one backward pass for all layers: for a random
   vector v of +1 and -1 the mean of (v^T J_l d_l)^2 is |J_l d_l|^2, where d_l is the error of layer l and J_l the
   derivative of the output by the layer's result. */
#ifndef OCTET_TUNE_GRADIENT_H
#define OCTET_TUNE_GRADIENT_H

#include "measure/compare.h"
#include "train/tape.h"

/* Of one worker. */
typedef struct octet_gradient {
    const octet_pairing *pairing;
    octet_tape          *tape;
    float               *direction;
    float              **errors; /* by layer: of this sample */
    bool                *seen;
    size_t               probes;
    uint64_t             seed;
    uint64_t             nodes_run;
} octet_gradient;

/* Memory is the arena's; the tape is released. */
octet_status octet_gradient_make(octet_gradient *g, const octet_pairing *pairing, octet_arena *arena, octet_error *err);
void         octet_gradient_release(octet_gradient *g);

/* octet_comparing.look and finish: keep the errors of a sample's layers; add to octet_layer_sums.estimate. */
octet_status octet_gradient_look(void *gradient, const octet_layer *layer, const float *reference, const float *own,
                                 octet_error *err);
octet_status octet_gradient_finish(void *gradient, octet_comparing *c, size_t sample, octet_error *err);

#endif
