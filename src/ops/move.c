/* SPDX-License-Identifier: Apache-2.0 */
/* Strided walks and copies (move.h). A box is first simplified, so that the innermost loop is as long as it can be. */
#include "ops/move.h"

#include <string.h>

void octet_dense_steps(int64_t *steps, const int64_t *dims, int rank)
{
    int64_t step = 1;
    for (int i = rank - 1; i >= 0; i--) {
        steps[i] = step;
        step *= dims[i];
    }
}

void octet_stretched_steps(int64_t *steps, const octet_tensor *in, int rank)
{
    int64_t dense[OCTET_MAX_RANK];
    octet_dense_steps(dense, in->dims, in->rank);
    for (int i = 0; i < rank; i++) {
        const int at = i - (rank - in->rank);
        steps[i] = at < 0 || in->dims[at] == 1 ? 0 : dense[at];
    }
}

static bool mergeable(const octet_walk *walk, int outer, int inner)
{
    bool merge = true;
    for (int k = 0; k < OCTET_WALKERS; k++)
        merge = merge && walk->step[k][outer] == walk->step[k][inner] * walk->dims[inner];
    return merge;
}

void octet_walk_simplify(octet_walk *walk)
{
    int kept = 0;
    for (int i = 0; i < walk->rank; i++) {
        if (walk->dims[i] == 1) continue;
        const bool merge = kept > 0 && mergeable(walk, kept - 1, i);
        const int  at = merge ? kept - 1 : kept++;
        walk->dims[at] = merge ? walk->dims[at] * walk->dims[i] : walk->dims[i];
        for (int k = 0; k < OCTET_WALKERS; k++) walk->step[k][at] = walk->step[k][i];
    }
    if (kept == 0) {
        walk->dims[0] = 1;
        for (int k = 0; k < OCTET_WALKERS; k++) walk->step[k][0] = 1;
        kept = 1;
    }
    walk->rank = kept;
}

int64_t octet_walk_rows(const octet_walk *walk)
{
    int64_t rows = walk->dims[walk->rank - 1] > 0;
    for (int i = 0; i < walk->rank - 1; i++) rows *= walk->dims[i];
    return rows;
}

bool octet_walk_next(octet_walk *walk)
{
    for (int i = walk->rank - 2; i >= 0; i--) {
        for (int k = 0; k < OCTET_WALKERS; k++) walk->offset[k] += walk->step[k][i];
        if (++walk->index[i] < walk->dims[i]) return true;
        for (int k = 0; k < OCTET_WALKERS; k++) walk->offset[k] -= walk->step[k][i] * walk->dims[i];
        walk->index[i] = 0;
    }
    return false;
}

static inline __attribute__((always_inline)) void row_of(char *to, const char *from, int64_t n, int64_t to_step,
                                                         int64_t from_step, size_t size)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(to + i * to_step * (int64_t)size, from + i * from_step * (int64_t)size, size);
}

static void move_row(char *to, const char *from, int64_t n, int64_t to_step, int64_t from_step, size_t size)
{
    if (to_step == 1 && from_step == 1)
        memcpy(to, from, (size_t)n * size);
    else if (size == 1)
        row_of(to, from, n, to_step, from_step, 1);
    else if (size == 2)
        row_of(to, from, n, to_step, from_step, 2);
    else if (size == 4)
        row_of(to, from, n, to_step, from_step, 4);
    else
        row_of(to, from, n, to_step, from_step, 8);
}

/* Operand 0 is to, 1 is from. */
static octet_walk rows_of(const octet_move *move)
{
    octet_walk walk = {.rank = move->rank};
    for (int i = 0; i < move->rank; i++) {
        walk.dims[i] = move->dims[i];
        walk.step[0][i] = move->to_step[i];
        walk.step[1][i] = move->from_step[i];
        walk.step[2][i] = move->from_step[i];
    }
    octet_walk_simplify(&walk);
    return walk;
}

void octet_move_run(void *to, const void *from, const octet_move *move, size_t size)
{
    octet_walk walk = rows_of(move);
    const int  inner = walk.rank - 1;
    if (octet_walk_rows(&walk) == 0) return;
    do
        move_row((char *)to + walk.offset[0] * (int64_t)size, (const char *)from + walk.offset[1] * (int64_t)size,
                 walk.dims[inner], walk.step[0][inner], walk.step[1][inner], size);
    while (octet_walk_next(&walk));
}

#define BACK(name, type)                                                                               \
    static void name(type *from, const type *to, int64_t n, int64_t from_step, int64_t to_step)        \
    {                                                                                                  \
        if (from_step == 1 && to_step == 1)                                                            \
            for (int64_t i = 0; i < n; i++) from[i] += to[i];                                          \
        else                                                                                           \
            for (int64_t i = 0; i < n; i++) from[i * from_step] += to[i * to_step];                    \
    }
BACK(back_f32, float)
BACK(back_f64, double)

void octet_move_back(void *from, const void *to, const octet_move *move, octet_dtype dtype)
{
    octet_walk    walk = rows_of(move);
    const int     inner = walk.rank - 1;
    const int64_t n = walk.dims[inner], to_step = walk.step[0][inner], from_step = walk.step[1][inner];
    if (octet_walk_rows(&walk) == 0) return;
    do
        if (dtype == OCTET_F32)
            back_f32((float *)from + walk.offset[1], (const float *)to + walk.offset[0], n, from_step, to_step);
        else
            back_f64((double *)from + walk.offset[1], (const double *)to + walk.offset[0], n, from_step, to_step);
    while (octet_walk_next(&walk));
}
