/* SPDX-License-Identifier: Apache-2.0 */
/* Scores of one sample and how they are summed, in double, in the order of samples. */
#ifndef OCTET_MEASURE_SCORE_H
#define OCTET_MEASURE_SCORE_H

#include <octet/tensor.h>

/* The first of the largest values. count > 0. */
size_t octet_argmax(const float *values, size_t count);

/* How many classes stand before label: larger values, and equal ones with a lower index. 0 = top-1 is right. */
size_t octet_label_rank(const float *values, size_t count, size_t label);

/* The number of classes that a tensor of one sample holds: its elements, where all dimensions but one are 1; else 0. */
size_t octet_class_count(const octet_tensor *output);

/* Mean squared differences of one sample. */
typedef struct octet_squares {
    double mean;
    double clamped; /* with the output clamped to 0..1, as pixels are */
    bool   unit;    /* the reference lies in 0..1: clamped means something */
} octet_squares;

/* border places on each side of the last two dimensions are left out. Shapes are output's; reference has as many
   elements. False: nothing is left inside the border. */
bool octet_squares_of(octet_squares *squares, const octet_tensor *output, const float *reference, int border);

/* 10 log10(1 / mean square): signals of peak 1. */
double octet_psnr_db(double mean_square);

#endif
