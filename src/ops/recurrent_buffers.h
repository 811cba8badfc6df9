/* SPDX-License-Identifier: Apache-2.0 */
/* What one sequence of a recurrent operator needs beside its tensors. */
#ifndef OCTET_OPS_RECURRENT_BUFFERS_H
#define OCTET_OPS_RECURRENT_BUFFERS_H

#include "ops/recurrent.h"
#include "ops/scratch.h"

/* Sizes in bytes: state = of one h, gates = of one step's gates. h and c have `states` states each, gates and extra
   one less. */
typedef struct octet_recurrent_buffers {
    char  *h, *c, *gates, *extra, *from_state;
    size_t state, gates_size;
} octet_recurrent_buffers;

/* Cuts memory (NULL: only counts); returns the bytes needed, 0 where they are too many. */
static inline size_t octet_recurrent_cut(octet_recurrent_buffers *b, const octet_recurrent *run, void *memory,
                                         int64_t states)
{
    octet_scratch scratch = { .data = memory };
    const size_t  n = (size_t)run->hidden, element = octet_dtype_size(run->call->in[0]->dtype);
    b->state = n * element;
    b->gates_size = (size_t)run->cell->gates * b->state;
    b->h = octet_scratch_take(&scratch, (size_t)states, b->state);
    b->c = octet_scratch_take(&scratch, (size_t)states, b->state);
    b->gates = octet_scratch_take(&scratch, (size_t)(states - 1), b->gates_size);
    b->extra = octet_scratch_take(&scratch, (size_t)(states - 1), b->state);
    b->from_state = octet_scratch_take(&scratch, 1, b->gates_size);
    return scratch.too_large ? 0 : scratch.bytes;
}

/* The step that leads from state `from` to state `to`; its gates are number `at`. */
static inline octet_recurrent_step octet_recurrent_step_at(const octet_recurrent_buffers *b,
                                                           const octet_recurrent *run, int direction, int64_t at,
                                                           int64_t from, int64_t to)
{
    return (octet_recurrent_step){
        .run = run,
        .direction = direction,
        .gates = b->gates + (size_t)at * b->gates_size,
        .from_state = b->from_state,
        .extra = b->extra + (size_t)at * b->state,
        .peephole = octet_recurrent_at(run, OCTET_RECURRENT_P, 3 * direction * run->hidden),
        .h = b->h + (size_t)from * b->state,
        .c = b->c + (size_t)from * b->state,
        .h_next = b->h + (size_t)to * b->state,
        .c_next = b->c + (size_t)to * b->state,
    };
}

typedef struct octet_recurrent_product {
    int         slot, direction; /* OCTET_RECURRENT_W or R */
    int64_t     first, count;    /* rows of the matrix */
    const void *x;
} octet_recurrent_product;

void octet_recurrent_multiply(void *to, const octet_recurrent *run, const octet_recurrent_product *product);
void octet_recurrent_advance(const octet_recurrent_step *step, const void *x, void *from_state);

#endif
