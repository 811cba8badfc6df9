/* SPDX-License-Identifier: Apache-2.0 */
/* What training makes small. */
#ifndef OCTET_TRAIN_LOSS_H
#define OCTET_TRAIN_LOSS_H

#include <octet/train.h>

/* The axis of the classes: the first after the batch that has more than one entry; where there is none, the last. */
int octet_loss_axis(const octet_tensor *logits);

/* Over logits [batch, classes, ...]: every place of a sample is judged on its own, and the mean is over all. */
typedef struct octet_loss_call {
    octet_loss          loss;
    double              label_smoothing; /* cross entropy: this share of the target lies evenly on all classes */
    double              temperature;     /* distillation; > 0 */
    bool                probabilities;   /* distillation: target holds the teacher's softmax, not its logits */
    const octet_tensor *logits;          /* float32 or float64 */
    const int64_t      *labels;          /* cross entropy: one per place; else may be NULL */
    const octet_tensor *target;          /* the others: real numbers in the shape of logits */
    octet_tensor       *gradient;        /* of the loss, in type and shape of logits */
} octet_loss_call;

typedef struct octet_loss_result {
    double loss; /* mean */
    double top1; /* share of places whose largest logit is the label's; NAN without labels */
} octet_loss_result;

/* Cross entropy as torch.nn.CrossEntropyLoss, mean square error as torch.nn.MSELoss, distillation as
   temperature^2 * KL(teacher || network), both softened by the temperature. All sums are in double, in order. A label
   that is no class is an error naming the sample; a loss that is not finite is not. */
octet_status octet_loss_compute(octet_loss_result *result, const octet_loss_call *call, octet_error *err);

#endif
