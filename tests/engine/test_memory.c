/* SPDX-License-Identifier: Apache-2.0 */
/* The memory plan against the plain meaning of "alive": a value is, from the step that writes it to the last that
   reads it. */
#include "network.h"

#include "engine/plan.h"

/* First and last step of a buffer's life, found here by walking all steps. */
typedef struct life {
    int first, last;
} life;

static void see(life *of, int step)
{
    if (of->first < 0 || step < of->first) of->first = step;
    if (step > of->last) of->last = step;
}

static void see_form(life *lives, const octet_plan *plan, int form, int step)
{
    if (form >= 0 && plan->forms[form].buffer >= 0) see(&lives[plan->forms[form].buffer], step);
}

static void find_lives(life *lives, const octet_plan *plan)
{
    const int end = (int)plan->step_count;
    for (size_t i = 0; i < plan->buffer_count; i++) lives[i] = (life){ -1, -1 };
    for (int i = 0; i < end; i++) {
        for (int k = 0; k < plan->steps[i].in_count; k++) see_form(lives, plan, plan->steps[i].in[k], i);
        for (int k = 0; k < plan->steps[i].out_count; k++) see_form(lives, plan, plan->steps[i].out[k], i);
        if (plan->steps[i].scratch >= 0) see(&lives[plan->steps[i].scratch], i);
    }
    for (size_t i = 0; i < plan->graph->input_count; i++) see_form(lives, plan, plan->input_forms[i], 0);
    for (size_t i = 0; i < plan->graph->output_count; i++) see_form(lives, plan, plan->output_forms[i], end);
}

static bool bytes_overlap(const octet_buffer *a, const octet_buffer *b)
{
    return a->bytes && b->bytes && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static void check_places(const octet_plan *plan, bool kept)
{
    life *const lives = calloc(plan->buffer_count, sizeof *lives);
    size_t      end   = 0;
    find_lives(lives, plan);
    for (size_t a = 0; a < plan->buffer_count; a++) {
        const octet_buffer *const buffer = &plan->buffers[a];
        assert_int_equal(buffer->offset % 64, 0);
        if (lives[a].first >= 0 && buffer->offset + buffer->bytes > end) end = buffer->offset + buffer->bytes;
        for (size_t b = 0; b < a; b++) {
            const bool together = lives[a].first <= lives[b].last && lives[b].first <= lives[a].last;
            if (together) assert_false(bytes_overlap(buffer, &plan->buffers[b]));
        }
    }
    for (size_t a = 0; kept && a < plan->form_count; a++)
        for (size_t b = 0; b < a; b++) {
            const int x = plan->forms[a].buffer, y = plan->forms[b].buffer;
            if (x >= 0 && y >= 0 && x != y) assert_false(bytes_overlap(&plan->buffers[x], &plan->buffers[y]));
        }
    assert_int_equal(plan->buffer_bytes, end);
    free(lives);
}

static void check_forms_fit(const octet_plan *plan)
{
    for (size_t i = 0; i < plan->form_count; i++)
        if (plan->forms[i].buffer >= 0)
            assert_true(plan->buffers[plan->forms[i].buffer].bytes >=
                        (size_t)octet_tensor_bytes(&plan->forms[i].stored));
}

static size_t check_classifier(const char *engines, bool keep)
{
    octet_graph *const graph = new_classifier(4);
    octet_plan        *plan;
    MUST(octet_plan_create(&plan, graph, &(octet_plan_options){.engines = engines, .keep_values = keep, .batch = 3},
                           &err));
    check_places(plan, keep);
    check_forms_fit(plan);
    const size_t bytes = octet_plan_memory(plan);
    octet_plan_free(plan);
    octet_graph_free(graph);
    return bytes;
}

static void test_no_living_values_overlap(void **state)
{
    (void)state;
    const size_t small = check_classifier(NULL, false), all = check_classifier(NULL, true);
    assert_true(small < all);
    check_classifier("reference", false);
    check_classifier("reference", true);
}

/* A chain of equal sizes needs two buffers at a time, however long: also past the number that is searched. */
static void chain(int length)
{
    enum { SIZE = 1024 };
    const int64_t dims[] = { SIZE };
    octet_graph  *graph;
    octet_plan   *plan;
    char          from[16] = "x", to[16];
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, from, OCTET_F32, dims, 1, &err));
    for (int i = 0; i < length; i++) {
        snprintf(to, sizeof to, "y%d", i);
        add_node(graph, "Tanh", to, NULL, INPUTS(from));
        memcpy(from, to, sizeof from);
    }
    MUST(octet_graph_set_output(graph, from, &err));
    MUST(octet_graph_verify(graph, &err));
    MUST(octet_plan_create(&plan, graph, NULL, &err));
    check_places(plan, false);
    assert_int_equal(plan->buffer_bytes, 2 * SIZE * sizeof(float));
    octet_plan_free(plan);
    octet_graph_free(graph);
}

static void test_a_chain_takes_two_buffers(void **state)
{
    (void)state;
    chain(10);
    chain(5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_living_values_overlap),
        cmocka_unit_test(test_a_chain_takes_two_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
