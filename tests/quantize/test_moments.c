/* SPDX-License-Identifier: Apache-2.0 */
/* Second moments of layers' inputs against the definition: every window looked up by its coordinates. */
#include "../support.h"

#include "base/arena.h"
#include "graph/graph.h"
#include "quantize/moments.h"

enum { SPACE = 2, MOST = 1 << 15 };

/* Two spatial dimensions; a Conv of one is written with a first one of 1. */
typedef struct sliding {
    const char *what;
    int64_t     channels, out, group, in[SPACE], kernel[SPACE], stride[SPACE], dilation[SPACE], pads[2 * SPACE];
} sliding;

static const sliding convolutions[] = {
    { "1x1", 5, 4, 1, { 6, 7 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 } },
    { "3x3, padded", 3, 4, 1, { 8, 9 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
    { "strided, padded on one side", 3, 4, 1, { 9, 11 }, { 3, 2 }, { 2, 3 }, { 1, 1 }, { 0, 1, 2, 0 } },
    { "dilated", 2, 4, 1, { 11, 9 }, { 3, 3 }, { 1, 2 }, { 3, 2 }, { 2, 3, 1, 3 } },
    { "grouped", 6, 4, 2, { 7, 8 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 1, 1, 1 } },
    { "depthwise, strided", 5, 5, 5, { 13, 70 }, { 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1, 0, 1 } },
    { "depthwise, two each, wide", 3, 6, 3, { 4, 150 }, { 1, 5 }, { 1, 1 }, { 1, 1 }, { 0, 2, 0, 2 } },
    { "one output", 4, 3, 1, { 5, 5 }, { 5, 5 }, { 4, 4 }, { 1, 1 }, { 0, 0, 0, 0 } },
};

static const octet_node *conv_node(octet_graph *graph, const sliding *s)
{
    random_state          r            = { 3 };
    const octet_attribute attributes[] = { { .name = "group", .i = s->group },
                                           { .name = "strides", .ints = s->stride, .count = SPACE },
                                           { .name = "dilations", .ints = s->dilation, .count = SPACE },
                                           { .name = "pads", .ints = s->pads, .count = 2 * SPACE },
                                           { 0 } };
    const int64_t x[] = { 1, s->channels, s->in[0], s->in[1] };
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, x, 4, &err));
    add_random(graph, &r, "w", (const int64_t[]){ s->out, s->channels / s->group, s->kernel[0], s->kernel[1] }, 4,
               between(-1, 1));
    add_node(graph, "Conv", "y", attributes, INPUTS("x", "w"));
    MUST(octet_graph_set_output(graph, "y", &err));
    return graph->first;
}

/* Level `term` of the window at output position (y, x) of a group: 0 where it lies outside. */
static int64_t term_at(const sliding *s, const int16_t *levels, int64_t group, int64_t term, const int64_t at[SPACE])
{
    const int64_t taps = s->kernel[0] * s->kernel[1], tap[SPACE] = { term % taps / s->kernel[1], term % s->kernel[1] };
    int64_t       index = group * (s->channels / s->group) + term / taps;
    for (int i = 0; i < SPACE; i++) {
        const int64_t u = at[i] * s->stride[i] + tap[i] * s->dilation[i] - s->pads[i];
        if (u < 0 || u >= s->in[i]) return 0;
        index = index * s->in[i] + u;
    }
    return levels[index];
}

/* Adds one sample's windows of a group to products [terms][terms], sums and count. */
static void add_by_definition(const sliding *s, const int16_t *levels, int64_t group, double *products, double *sums,
                              double *count)
{
    const int64_t terms = s->channels / s->group * s->kernel[0] * s->kernel[1];
    int64_t       out[SPACE], at[SPACE];
    for (int i = 0; i < SPACE; i++) {
        const int64_t span = s->dilation[i] * (s->kernel[i] - 1) + 1;
        out[i]             = (s->in[i] + s->pads[i] + s->pads[SPACE + i] - span) / s->stride[i] + 1;
    }
    for (at[0] = 0; at[0] < out[0]; at[0]++)
        for (at[1] = 0; at[1] < out[1]; at[1]++, *count += 1)
            for (int64_t i = 0; i < terms; i++) {
                const int64_t a = term_at(s, levels, group, i, at);
                sums[i] += (double)a;
                for (int64_t j = 0; j < terms; j++)
                    products[i * terms + j] += (double)(a * term_at(s, levels, group, j, at));
            }
}

static void fill_levels(random_state *r, int16_t *levels, int64_t count)
{
    for (int64_t i = 0; i < count; i++) levels[i] = (int16_t)random_int(r, -255, 255);
}

/* Gathers samples, each in count levels from samples on. */
static void gather(octet_moments *m, octet_arena *arena, const octet_tensor *x, int16_t *samples, size_t sample_count)
{
    octet_moment_room room;
    octet_tensor      levels = *x;
    MUST(octet_moments_plan(m, x, sample_count, arena, &err));
    MUST(octet_moments_begin(m, arena, &err));
    MUST(octet_moment_room_make(&room, m, 1, arena, &err));
    for (size_t i = 0; i < sample_count; i++) {
        assert_true(octet_moments_want(m, i));
        levels.data = samples + i * (size_t)octet_tensor_count(x);
        octet_moments_add(m, &room, &levels, i);
    }
    octet_moments_end(m);
}

static void convolutions_equal_the_definition(void **state)
{
    enum { SAMPLES = 3 };
    static int16_t samples[MOST];
    static double  products[MOST], sums[MOST];
    (void)state;
    for (size_t c = 0; c < sizeof convolutions / sizeof *convolutions; c++) {
        const sliding *const s = &convolutions[c];
        octet_graph         *graph;
        octet_arena *const   arena = octet_arena_new();
        random_state         r     = { 7 + c };
        MUST(octet_graph_new(&graph, &err));
        octet_moments      m = { .node = conv_node(graph, s) };
        const octet_tensor x = { .dtype = OCTET_I16, .rank = 4, .dims = { 1, s->channels, s->in[0], s->in[1] } };
        const int64_t      count = octet_tensor_count(&x), terms = s->channels / s->group * s->kernel[0] * s->kernel[1];
        fill_levels(&r, samples, count * SAMPLES);
        gather(&m, arena, &x, samples, SAMPLES);
        assert_int_equal(m.part_count, s->group);
        for (int64_t g = 0; g < s->group; g++) {
            const octet_moment *const part    = &m.parts[g];
            double                    windows = 0;
            memset(products, 0, sizeof products);
            memset(sums, 0, sizeof sums);
            for (int i = 0; i < SAMPLES; i++) add_by_definition(s, samples + i * count, g, products, sums, &windows);
            assert_int_equal(part->terms, terms);
            assert_int_equal(part->channels, s->out / s->group);
            assert_int_equal(part->first_channel, g * s->out / s->group);
            assert_true(part->count == windows);
            assert_memory_equal(part->sums, sums, (size_t)terms * sizeof *sums);
            assert_memory_equal(part->products, products, (size_t)(terms * terms) * sizeof *products);
        }
        octet_arena_free(arena);
        octet_graph_free(graph);
    }
}

/* Rows of a matrix are windows; long ones are cut into parts. */
static void matrices_equal_the_definition(void **state)
{
    static const struct {
        const char *op;
        int64_t     rows, terms;
        size_t      parts;
    } cases[] = { { "Gemm", 5, 37, 1 }, { "MatMul", 130, 21, 1 }, { "Gemm", 2, 5001, 3 } };
    static int16_t levels[MOST];
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const int64_t      rows = cases[c].rows, terms = cases[c].terms;
        octet_graph       *graph;
        octet_arena *const arena = octet_arena_new();
        random_state       r     = { 5 + c };
        MUST(octet_graph_new(&graph, &err));
        MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ rows, terms }, 2, &err));
        add_random(graph, &r, "w", (const int64_t[]){ terms, 3 }, 2, between(-1, 1));
        add_node(graph, cases[c].op, "y", NULL, INPUTS("x", "w"));
        MUST(octet_graph_set_output(graph, "y", &err));
        octet_moments      m = { .node = graph->first };
        const octet_tensor x = { .dtype = OCTET_I16, .rank = 2, .dims = { rows, terms } };
        fill_levels(&r, levels, rows * terms);
        gather(&m, arena, &x, levels, 1);
        assert_int_equal(m.part_count, cases[c].parts);
        size_t reached = 0;
        for (size_t p = 0; p < m.part_count; p++) {
            const octet_moment *const part = &m.parts[p];
            assert_int_equal(part->first_term, reached);
            assert_int_equal(part->channels, 3);
            assert_true(part->count == (double)rows);
            reached += part->terms;
            for (size_t i = 0; i < part->terms; i += 1 + part->terms / 40)
                for (size_t j = 0; j < part->terms; j++) {
                    double sum = 0;
                    for (int64_t n = 0; n < rows; n++) {
                        const int16_t *const row = levels + n * terms + part->first_term;
                        sum += row[i] * row[j];
                    }
                    assert_true(part->products[i * part->terms + j] == sum);
                }
        }
        assert_int_equal(reached, terms);
        octet_arena_free(arena);
        octet_graph_free(graph);
    }
}

/* Levels of real numbers are those of the reference rounding, less the zero point. */
static void inputs_are_rounded_as_they_will_be(void **state)
{
    const float         x[]   = { -1, -0.26f, -0.25f, -0.24f, 0, 0.24f, 0.75f, 1.25f, 400 };
    const int16_t       want[] = { -2, -1, 0, 0, 0, 0, 2, 2, 253 };
    const float         scale = 0.5f;
    const int32_t       zero  = 2;
    const octet_qparams q     = { &scale, &zero, 1, 0, OCTET_U8, 0, 255 };
    const octet_tensor  tensor = { .dtype = OCTET_F32, .rank = 1, .dims = { 9 }, .data = (void *)(uintptr_t)x };
    int16_t             levels[9];
    (void)state;
    const octet_moment_room room = { .levels = levels };
    const octet_tensor      got  = octet_moment_levels(&room, &tensor, &q);
    assert_int_equal(got.dtype, OCTET_I16);
    assert_memory_equal(levels, want, sizeof want);
    const uint8_t      stored[9] = { 0, 1, 2, 2, 2, 2, 4, 4, 255 };
    const octet_tensor again     = { .dtype = OCTET_U8, .rank = 1, .dims = { 9 }, .data = (void *)(uintptr_t)stored };
    octet_moment_levels(&room, &again, &q);
    assert_memory_equal(levels, want, sizeof want);
}

/* More windows than are enough: some count, of every sample or of every so manieth, and no more than asked for. */
static void plenty_of_windows_is_thinned(void **state)
{
    const sliding one = { "", 2, 2, 1, { 64, 64 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 } };
    static int16_t levels[2 * 64 * 64];
    octet_graph   *graph;
    random_state   r = { 1 };
    (void)state;
    for (size_t samples = 1; samples <= 64; samples *= 4) {
        octet_arena *const arena = octet_arena_new();
        MUST(octet_graph_new(&graph, &err));
        octet_moments      m    = { .node = conv_node(graph, &one) };
        octet_tensor       x    = { .dtype = OCTET_I16, .rank = 4, .dims = { 1, 2, 64, 64 }, .data = levels };
        octet_moment_room  room;
        size_t             wanted = 0;
        fill_levels(&r, levels, 2 * 64 * 64);
        MUST(octet_moments_plan(&m, &x, samples, arena, &err));
        MUST(octet_moments_begin(&m, arena, &err));
        MUST(octet_moment_room_make(&room, &m, 1, arena, &err));
        for (size_t i = 0; i < samples; i++) {
            if (!octet_moments_want(&m, i)) continue;
            octet_moments_add(&m, &room, &x, i);
            wanted++;
        }
        const double all = 4096.0 * (double)samples, enough = 4096 + 32 * 2;
        assert_true(m.parts[0].count >= fmin(all, enough) / 2 && m.parts[0].count <= fmin(all, 2.2 * enough));
        assert_true(wanted > 0);
        octet_arena_free(arena);
        octet_graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_equal_the_definition),
        cmocka_unit_test(matrices_equal_the_definition),
        cmocka_unit_test(inputs_are_rounded_as_they_will_be),
        cmocka_unit_test(plenty_of_windows_is_thinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
