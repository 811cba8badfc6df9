/* SPDX-License-Identifier: Apache-2.0 */
/* A plan: which engine runs which step, in which form every value exists, and where it lies in a workspace.

   A form is one way a value is kept: as real numbers or as levels, densely or in channel blocks. Steps read and write
   forms; the planner adds a conversion step wherever a reader wants a form that does not exist yet. */
#ifndef OCTET_ENGINE_PLAN_H
#define OCTET_ENGINE_PLAN_H

#include <octet/engine.h>

#include "graph/op.h"

typedef enum octet_form_kind {
    OCTET_FORM_REAL = 0, /* what the value means; dequantized where it is kept as levels */
    OCTET_FORM_LEVELS,   /* integers */
    OCTET_FORM_RAW,      /* real numbers on their way to become levels */
    OCTET_FORM_KINDS
} octet_form_kind;

typedef enum octet_layout {
    OCTET_LAYOUT_DENSE = 0, /* row-major, as everywhere else */
    OCTET_LAYOUT_BLOCKED,   /* [N, C / block, spatial ..., block] of float32; channels past the last hold finite rubbish
                             */
    OCTET_LAYOUTS
} octet_layout;

enum { OCTET_MAX_BLOCK = 16 };

typedef struct octet_form {
    const octet_value *value;
    octet_form_kind    kind;
    octet_layout       layout;
    octet_tensor       logical; /* shape as the graph means it */
    octet_tensor       stored;  /* shape as it lies in memory; data only where it is a constant of the plan */
    int                buffer;  /* -1: a constant */
    bool               shown;   /* the one form of its value that hooks see */
} octet_form;

/* A piece of a workspace, in use from step first to step last. */
typedef struct octet_buffer {
    size_t bytes, offset;
    int    first, last;
} octet_buffer;

typedef struct octet_reason {
    char text[128];
} octet_reason;

typedef struct octet_step   octet_step;
typedef struct octet_engine octet_engine;

struct octet_step {
    const char         *name, *op;
    const octet_node   *node; /* NULL: a conversion */
    const octet_engine *engine;
    const char         *declined, *algorithm;
    int                 parts; /* threads that share it */
    int64_t             macs;
    octet_node_mode     mode;
    int                *in, *out; /* forms; -1: none */
    int                 in_count, out_count;
    octet_layout       *in_layout; /* what accepts asks for, one per input */
    octet_layout        out_layout;
    bool                view;      /* nothing to run: the output is the input's memory */
    float               real_unit; /* octet_call.real_unit */
    size_t              scratch_bytes;
    int                 scratch; /* buffer; -1: none */
    int                 conversion, filling; /* of convert.c, of reference.c */
    void               *state; /* the engine's */
};

/* One executor of nodes. accepts decides from types and shapes (of plan->shapes) and asks for layouts; prepare runs
   once the forms exist and may set scratch_bytes and state; bind makes what one workspace needs beside memory (NULL:
   nothing). A step that needs other tensors than it was bound to finds them in the call. */
struct octet_engine {
    const char *name;
    const char *(*version)(void);
    int (*block)(void); /* channels of one block on this CPU; NULL: knows no blocks */
    bool (*accepts)(const octet_plan *plan, octet_step *step, octet_reason *why);
    octet_status (*prepare)(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err);
    octet_status (*bind)(void **bound, const octet_step *step, octet_error *err);
    octet_status (*run)(const octet_step *step, const octet_call *call, void *bound, octet_error *err);
    void (*unbind)(void *bound);
    void (*release)(octet_step *step);
};

extern const octet_engine octet_engine_reference, octet_engine_convert;
#ifdef OCTET_HAVE_ONEDNN
extern const octet_engine octet_engine_onednn;
#endif

/* Engines of this build, best first, then NULL. */
extern const octet_engine *const octet_engines[];

struct octet_plan {
    octet_arena              *arena;
    const octet_graph        *graph;
    const octet_engine *const *engines; /* asked in this order, then NULL */
    int                       threads, block;
    bool                      keep_values;
    const octet_profile      *profile;
    size_t                    max_memory;
    octet_tensor             *shapes; /* by value->index: octet_infer_shapes */
    int                     (*form_of)[OCTET_FORM_KINDS][OCTET_LAYOUTS]; /* by value->index; form + 1, 0: none */
    octet_form               *forms;
    octet_step               *steps;
    octet_buffer             *buffers;
    size_t                    form_count, form_capacity, step_count, step_capacity, buffer_count, buffer_capacity;
    int                      *input_forms, *output_forms; /* one per port of the graph; -1: input known when planned */
    size_t                    buffer_bytes, workspace_bytes;
};

/* ---- form.c ---- */

static inline bool octet_plan_known(const octet_plan *plan, const octet_value *value)
{
    return plan->shapes[value->index].data != NULL;
}

/* -1: does not exist. */
static inline int octet_plan_form(const octet_plan *plan, const octet_value *value, octet_form_kind kind,
                                  octet_layout layout)
{
    return plan->form_of[value->index][kind][layout] - 1;
}

/* The kind that a value is kept in: levels where the graph says so. */
octet_form_kind octet_plan_kind(const octet_plan *plan, const octet_value *value);

/* A new form of like.value, in a buffer of its own where like.buffer is -1. Shapes are filled in. */
octet_status octet_plan_add_form(int *form, octet_plan *plan, octet_form like, octet_error *err);

/* The form that a reader wants (value, kind and layout count), made by conversion steps (or, for constants, now)
   where it does not exist yet. */
octet_status octet_plan_want_form(int *form, octet_plan *plan, octet_form want, octet_error *err);

/* Whether a value can be kept in blocks: float32 of 3 to 7 dimensions. */
bool octet_plan_can_block(const octet_plan *plan, const octet_value *value);

/* A step with room for its forms (all -1), not yet part of the plan. */
octet_status octet_plan_new_step(octet_step *step, const octet_plan *plan, int in_count, int out_count,
                                 octet_error *err);

/* Appends a step. *place moves when the next one is added. */
octet_status octet_plan_add_step(octet_step **place, octet_plan *plan, const octet_step *step, octet_error *err);

/* ---- convert.c ---- */

/* Which conversion leads from one form to another (they differ in one respect), as octet_step.conversion. */
int         octet_conversion(const octet_form *from, const octet_form *to);
const char *octet_conversion_name(int index);
void octet_conversion_run(int index, const octet_tensor *to, const octet_tensor *from, const octet_profile *profile,
                          int threads);

/* Blocked float32 to dense, on the calling thread. */
void octet_convert_to_dense(float *dense, const octet_form *form, const float *blocked);

/* The same for numbers that lie as form's elements do. */
void octet_convert_sums_to_dense(int64_t *dense, const octet_form *form, const int64_t *blocked);

/* ---- memory.c ---- */

/* Sets lifetimes and offsets of all buffers, and plan->buffer_bytes. */
octet_status octet_plan_place(octet_plan *plan, octet_error *err);

#endif
