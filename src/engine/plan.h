/* SPDX-License-Identifier: Apache-2.0 */
/* A plan: which engine runs which step, in which form every value exists, and where it lies in a workspace.

   A form is one way a value is kept: as real numbers or as levels, densely, in channel blocks or in pixels. Steps read
   and write forms; the planner adds a conversion step wherever a reader wants a form that does not exist yet. */
#ifndef OCTET_ENGINE_PLAN_H
#define OCTET_ENGINE_PLAN_H

#include <octet/engine.h>

#include "base/place.h"
#include "engine/area.h"
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
    OCTET_LAYOUT_PIXELS,    /* levels, channels last (area.h) */
    OCTET_LAYOUT_ROWS,      /* levels, row-major, as pixels whose channels are the last dimension */
    OCTET_LAYOUTS
} octet_layout;

enum { OCTET_MAX_BLOCK = 16 };

typedef struct octet_form {
    const octet_value *value;
    octet_form_kind    kind;
    octet_layout       layout;
    octet_tensor       logical; /* shape as the graph means it */
    octet_tensor       stored;  /* shape as it lies in memory; data only where it is a constant of the plan */
    octet_area         area;    /* of pixels */
    int                buffer;  /* -1: a constant */
    bool               shown;   /* the one form of its value that hooks see */
} octet_form;

typedef struct octet_reason {
    char text[128];
} octet_reason;

typedef struct octet_step   octet_step;
typedef struct octet_engine octet_engine;

struct octet_step {
    const char         *name, *op;
    const octet_node   *node;  /* NULL: a conversion */
    const octet_node   *add;   /* the Add that node is summed in, where the step does both; NULL: none. Its other input
                                  is the step's last */
    const octet_engine *engine;
    const char         *declined, *algorithm;
    int                 parts;  /* that threads take one after the other; 1: the first thread's alone */
    int                 phases; /* of run_part, each of which needs all parts of the one before */
    int64_t             macs;
    octet_node_mode     mode;
    int                *in, *out; /* forms; -1: none */
    int                 in_count, out_count;
    octet_layout       *in_layout; /* what accepts asks for, one per input */
    octet_layout        out_layout;
    bool                view;      /* nothing to run: the output is the input's memory */
    float               real_unit; /* octet_call.real_unit */
    size_t              scratch_bytes, overread; /* bytes read past an input's last */
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
    bool tight;         /* wants pixels without room between or around */
    bool by_name;       /* takes part only where the options name it */
    bool (*accepts)(const octet_plan *plan, octet_step *step, octet_reason *why);
    octet_status (*prepare)(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err);
    octet_status (*bind)(void **bound, const octet_step *step, octet_error *err);
    octet_status (*run)(const octet_step *step, const octet_call *call, void *bound, octet_error *err);
    void (*unbind)(void *bound);
    /* One thread's share of a step with phases > 0, in place of run. Cannot fail. */
    void (*run_part)(const octet_step *step, const octet_call *call, int phase, int part);
    void (*release)(octet_step *step);
};

extern const octet_engine octet_engine_native, octet_engine_reference, octet_engine_convert;
#ifdef OCTET_HAVE_ONEDNN
extern const octet_engine octet_engine_onednn;
#endif
#ifdef OCTET_HAVE_XNNPACK
extern const octet_engine octet_engine_xnnpack;
#endif

/* Engines of this build, best first, then NULL. */
extern const octet_engine *const octet_engines[];

struct octet_plan {
    octet_arena              *arena;
    const octet_graph        *graph;
    const octet_engine *const *engines; /* asked in this order, then NULL */
    int                       threads, block;
    bool                      keep_values, reals;
    bool                      tight;   /* pixels without room between or around: another library's engine reads them */
    const octet_kernels      *kernels; /* of this CPU */
    const octet_node        **waiting; /* by node->index of an Add: the node that is computed with it, then; or NULL */
    struct octet_moved       *moved;   /* of moves.c, by value->index */
    octet_arena              *temporary; /* while planning */
    octet_arena              *weights;   /* packed for kernels, in the order of the steps */
    bool                      uses_native;
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

/* Whether a form's levels are the bytes that kernels read, as its area says. */
static inline bool octet_layout_has_area(octet_layout layout)
{
    return layout == OCTET_LAYOUT_PIXELS || layout == OCTET_LAYOUT_ROWS;
}

/* -1: does not exist. */
static inline int octet_plan_form(const octet_plan *plan, const octet_value *value, octet_form_kind kind,
                                  octet_layout layout)
{
    return plan->form_of[value->index][kind][layout] - 1;
}

/* The kind that a value is kept in: levels where the graph says so. */
octet_form_kind octet_plan_kind(const octet_plan *plan, const octet_value *value);

/* The form that stands for the value where hooks and callers look; -1: none, as for constants. */
int octet_plan_shown_form(const octet_plan *plan, const octet_value *value);

/* A new form of like.value, in a buffer of its own where like.buffer is -1. Shapes are filled in. */
octet_status octet_plan_add_form(int *form, octet_plan *plan, octet_form like, octet_error *err);

/* The form that a reader wants (value, kind and layout count), made by conversion steps (or, for constants, now)
   where it does not exist yet. */
octet_status octet_plan_want_form(int *form, octet_plan *plan, octet_form want, octet_error *err);

/* Whether a value can be kept in blocks: float32 of 3 to 7 dimensions. */
bool octet_plan_can_block(const octet_plan *plan, const octet_value *value);

/* What a step's operator is asked before it runs: forms without data. Its lists are the arena's. */
octet_status octet_plan_call(octet_call *call, const octet_plan *plan, const octet_step *step, octet_arena *arena,
                             octet_error *err);

/* A step with room for its forms (all -1), not yet part of the plan. */
octet_status octet_plan_new_step(octet_step *step, const octet_plan *plan, int in_count, int out_count,
                                 octet_error *err);

/* Appends a step. *place moves when the next one is added. */
octet_status octet_plan_add_step(octet_step **place, octet_plan *plan, const octet_step *step, octet_error *err);

/* ---- moves.c ---- */

octet_status octet_plan_begin_moves(octet_plan *plan, octet_error *err);

/* Whether node only moves levels whose places are known; its outputs are then made where they are wanted. */
octet_status octet_plan_follow_move(bool *followed, octet_plan *plan, const octet_node *node, octet_error *err);

/* The step that makes a moved value, if it is one and has not been made: in rows if asked for, else in pixels. */
octet_status octet_plan_settle_move(octet_plan *plan, const octet_value *value, octet_layout layout, octet_error *err);

/* Whether what moves a value leaves the elements of its last dimension together. False: it is not moved. */
bool octet_plan_moves_rows(const octet_plan *plan, const octet_value *value);

/* ---- pixels.c ---- */

/* How a value lies in pixels of its own, and in rows. */
octet_area octet_plan_area(const octet_plan *plan, const octet_value *value);
octet_area octet_plan_rows(const octet_plan *plan, const octet_value *value);

/* The new form of a value in pixels: with the border that its readers' windows reach, or as a part of the Concat's
   result that it becomes part of; or in rows. */
octet_status octet_plan_add_bytes(int *form, octet_plan *plan, const octet_value *value, octet_layout layout,
                                  octet_error *err);

/* A step that makes the form like of a value from the form from; one of the two lies in pixels or rows. */
octet_status octet_plan_convert_pixels(int *form, octet_plan *plan, int from, octet_form like, octet_error *err);

/* The value's levels without the border, in logical order, and back, on the calling thread. */
void octet_pixels_to_dense(const octet_plan *plan, void *dense, const octet_form *form, void *pixels);
void octet_pixels_from_dense(const octet_plan *plan, void *pixels, const octet_form *form, void *dense);

/* The same for real numbers, which are rounded to levels on the way. */
void octet_pixels_to_reals(const octet_plan *plan, float *reals, const octet_form *form, void *pixels);
void octet_pixels_from_reals(const octet_plan *plan, void *pixels, const octet_form *form, float *reals);

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
