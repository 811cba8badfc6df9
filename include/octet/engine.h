/* SPDX-License-Identifier: Apache-2.0 */
/* Running a network. A plan is immutable and may be shared by threads; a workspace belongs to one of them. */
#ifndef OCTET_ENGINE_H
#define OCTET_ENGINE_H

#include <octet/graph.h>

typedef struct octet_plan      octet_plan;
typedef struct octet_workspace octet_workspace;

typedef struct octet_plan_options {
    const char *engines; /* "onednn,reference": asked in this order, reference last; NULL: the best of this build */
    int         threads; /* 0: all that this process may use */
    int64_t     batch;   /* what free leading dimensions become; 0: 1 */
    /* Shapes for every input in order, or NULL to use the graph's with batch; a tensor with data is a value known
       now (an integer input that shapes depend on). */
    const octet_tensor *inputs;
    const char *profile;     /* rounding: "octet" (NULL); others, as "torch-qnnpack", run on reference only */
    bool        keep_values; /* every intermediate value stays until the next run */
    bool        reals; /* inputs and outputs of levels (octet_port.levels) are given and taken as real numbers, float32,
                          rounded and multiplied out here; otherwise as their levels */
    octet_limits limits;
} octet_plan_options;

/* The graph must outlive the plan and not change while it lives. options may be NULL. */
OCTET_API octet_status octet_plan_create(octet_plan **plan, const octet_graph *graph, const octet_plan_options *options,
                                         octet_error *err);
OCTET_API void         octet_plan_free(octet_plan *plan);

/* Bytes of one workspace, known exactly beforehand. */
OCTET_API size_t octet_plan_memory(const octet_plan *plan);

OCTET_API octet_status octet_workspace_create(octet_workspace **workspace, const octet_plan *plan, octet_error *err);
OCTET_API void         octet_workspace_free(octet_workspace *workspace);

/* Runs once. inputs: one tensor per graph input, in order, of the planned shape. outputs[i] (one per graph output)
   becomes a view into the workspace, valid until its next run. Allocates nothing. */
OCTET_API octet_status octet_run(octet_workspace *workspace, const octet_tensor *inputs, octet_tensor *outputs,
                                 octet_error *err);

/* Plans of one graph for inputs of any shapes it takes, made when these come; the last eight are kept. One thread's.
   options.inputs and options.batch are not used. */
typedef struct octet_binding octet_binding;

OCTET_API octet_status octet_binding_create(octet_binding **binding, const octet_graph *graph,
                                            const octet_plan_options *options, octet_error *err);
OCTET_API void         octet_binding_free(octet_binding *binding);

/* The workspace for inputs of these shapes; it belongs to the binding and lives until the next call. inputs' data is
   not looked at. */
OCTET_API octet_status octet_binding_take(octet_workspace **workspace, octet_binding *binding,
                                          const octet_tensor *inputs, octet_error *err);

/* "This value was just produced": name, and its tensor (with qparams where it holds levels). The tensor lies densely
   in its logical order. Return OCTET_OK to go on. Values that a plan without keep_values never forms are not seen. */
typedef octet_status (*octet_value_hook)(void *context, const char *name, const octet_tensor *tensor, octet_error *err);
OCTET_API void octet_workspace_set_hook(octet_workspace *workspace, octet_value_hook hook, void *context);

/* From now on every run adds the seconds that step i took to seconds[i] (octet_plan_step_count() entries, the
   caller's); NULL: stops that. Looking at the clock costs some 50 ns a step. */
OCTET_API void octet_workspace_set_times(octet_workspace *workspace, double *seconds);

/* One step of the plan: what runs, where, and why not elsewhere. Strings belong to the plan. */
typedef struct octet_step_info {
    const char     *node, *op, *engine;
    const char     *declined; /* reasons of engines that were asked first, or "" */
    octet_node_mode mode;
    const char     *algorithm; /* how the engine goes about it ("direct 6x64, rows outer"), or "" */
    int             threads;   /* that share this step */
    int64_t         macs;      /* multiply-accumulates */
} octet_step_info;

OCTET_API size_t          octet_plan_step_count(const octet_plan *plan);
OCTET_API octet_step_info octet_plan_step(const octet_plan *plan, size_t index);

/* Engines of this build in order of preference; NULL past the end. version may be NULL. */
OCTET_API const char *octet_engine_name(size_t index, const char **version);

/* ---- the machine ---- */

/* Instruction sets in use as text, "avx2 avx512vnni", after OCTET_CPU's cap. */
OCTET_API const char *octet_cpu_features(void);

/* Threads used where options say 0: OCTET_THREADS, else the affinity mask and the cgroup's quota. */
OCTET_API int octet_default_threads(void);

OCTET_API const char *octet_version(void);

#endif
