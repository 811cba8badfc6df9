/* SPDX-License-Identifier: Apache-2.0 */
/* A teacher is an ordinary plan: it says what the network should have said. */
#include "graph/op.h"
#include "ops/attrs.h"
#include "train/loss.h"
#include "train/trainer.h"

#include <octet/engine.h>

#include <string.h>

const octet_value *octet_loss_value(const octet_graph *graph, size_t batch, bool through_softmax)
{
    const octet_value *const output = graph->outputs[0];
    const octet_node *const  node   = output->producer;
    if (!through_softmax || !node || strcmp(node->op->name, "Softmax") != 0 || output->fake_quantize) return output;
    const octet_tensor shape = octet_value_tensor(output, (int64_t)batch);
    const int64_t      axis  = ((const octet_softmax_attrs *)node->attrs)->axis;
    return (axis < 0 ? axis + shape.rank : axis) == octet_loss_axis(&shape) ? node->inputs[0] : output;
}

static octet_status check_port(octet_port teacher, octet_port student, const char *what, octet_error *err)
{
    char got[128], need[128];
    bool same = teacher.rank == student.rank && teacher.dtype == student.dtype;
    for (int i = 1; same && i < teacher.rank; i++) same = teacher.dims[i] == student.dims[i];
    if (same) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_SHAPE, "teacher's %s is %s %s (need %s %s)", what, octet_dtype_name(teacher.dtype),
                      octet_shape_text(got, sizeof got, teacher.dims, teacher.rank), octet_dtype_name(student.dtype),
                      octet_shape_text(need, sizeof need, student.dims, student.rank));
}

static octet_status check_teacher(const octet_graph *teacher, const octet_graph *student, octet_error *err)
{
    if (teacher->input_count != student->input_count || teacher->output_count != student->output_count)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "teacher has %zu inputs and %zu outputs (need %zu and %zu)",
                          teacher->input_count, teacher->output_count, student->input_count, student->output_count);
    for (size_t i = 0; i < teacher->input_count; i++)
        OCTET_TRY(check_port(octet_graph_input(teacher, i), octet_graph_input(student, i), "input", err));
    return check_port(octet_graph_output(teacher, 0), octet_graph_output(student, 0), "output", err);
}

octet_status octet_teacher_open(octet_teacher *teacher, const octet_trainer *trainer, size_t batch, octet_error *err)
{
    const octet_graph *const graph   = trainer->options.teacher;
    const octet_plan_options options = { .threads = trainer->options.threads, .batch = (int64_t)batch, .reals = true,
                                         .limits = trainer->options.limits };
    OCTET_TRY(check_teacher(graph, trainer->graph, err));
    teacher->probabilities = octet_loss_value(graph, batch, true) != graph->outputs[0];
    OCTET_TRY(octet_arena_get(&teacher->outputs, trainer->layout.arena, graph->output_count, sizeof *teacher->outputs,
                              err));
    OCTET_TRY(octet_plan_create(&teacher->plan, graph, &options, err));
    return octet_workspace_create(&teacher->workspace, teacher->plan, err);
}

void octet_teacher_close(octet_teacher *teacher)
{
    octet_workspace_free(teacher->workspace);
    octet_plan_free(teacher->plan);
    *teacher = (octet_teacher){ 0 };
}

octet_status octet_teacher_run(octet_tensor *output, const octet_teacher *teacher, const octet_tensor *inputs,
                               octet_error *err)
{
    OCTET_TRY(octet_run(teacher->workspace, inputs, teacher->outputs, err));
    *output = teacher->outputs[0];
    return OCTET_OK;
}
