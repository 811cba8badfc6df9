/* SPDX-License-Identifier: Apache-2.0 */
/* Attention and RotaryEmbedding: what the reader puts in their place gives what loops written out here give, in double,
   from ONNX's text. */
#include "proto.h"

#include "graph/graph.h"
#include "graph/op.h"

#include <octet/engine.h>

enum { B = 2, H = 4, MOST = 4096 };

typedef struct setup {
    int64_t shared, queries, keys, past, size, value_size; /* shared: heads of K and V */
    int     mask_rank; /* 0: none */
    int64_t mask_keys; /* 0: all */
    int64_t left, right; /* as the attribute says, plus one; 0: not given */
    bool    rows, bools, causal, valid, open; /* rows: three dimensions; open: those are left free in the file */
    float   scale, cap;
    int     mode;
} setup;

static const setup setups[] = {
    { .shared = 4, .queries = 3, .keys = 5, .size = 4, .value_size = 4 },
    { .shared = 4, .queries = 3, .keys = 5, .size = 4, .value_size = 6, .rows = true, .mode = 3 },
    { .shared = 2, .queries = 3, .keys = 3, .size = 2, .value_size = 5, .rows = true, .causal = true, .mode = 2 },
    { .shared = 1, .queries = 2, .keys = 2, .past = 3, .size = 4, .value_size = 3, .causal = true, .scale = 0.3f },
    { .shared = 2, .queries = 4, .keys = 5, .size = 3, .value_size = 3, .mask_rank = 4, .cap = 0.7f, .mode = 2 },
    { .shared = 2, .queries = 4, .keys = 5, .size = 3, .value_size = 3, .mask_rank = 2, .cap = 0.7f, .mode = 1 },
    { .shared = 4, .queries = 4, .keys = 6, .size = 3, .value_size = 3, .mask_rank = 3, .mask_keys = 4, .mode = 2 },
    { .shared = 4, .queries = 4, .keys = 6, .size = 3, .value_size = 3, .mask_rank = 2, .bools = true, .mode = 3 },
    { .shared = 4, .queries = 4, .keys = 6, .size = 3, .value_size = 3, .mask_rank = 4, .bools = true, .mask_keys = 3,
      .causal = true, .mode = 3 },
    { .shared = 4, .queries = 3, .keys = 6, .size = 3, .value_size = 3, .valid = true, .mode = 3 },
    { .shared = 2, .queries = 3, .keys = 6, .size = 3, .value_size = 3, .valid = true, .causal = true, .mode = 3 },
    { .shared = 4, .queries = 6, .keys = 3, .size = 3, .value_size = 3, .left = 2, .right = 2, .mode = 3 },
    { .shared = 4, .queries = 3, .keys = 4, .past = 2, .size = 3, .value_size = 3, .left = 3, .causal = true,
      .mask_rank = 2, .mode = 3 },
    { .shared = 2, .queries = 3, .keys = 3, .size = 2, .value_size = 5, .rows = true, .causal = true, .open = true },
};

typedef struct data {
    float   q[MOST], k[MOST], v[MOST], past_k[MOST], past_v[MOST], mask[MOST]; /* [batch, heads, length, size] */
    uint8_t allowed[MOST];
    int64_t valid[B];
} data;

/* ---- the definition ---- */

static int64_t total(const setup *s) { return s->keys + s->past; }

static bool place_allowed(const setup *s, const data *d, int64_t b, int64_t i, int64_t j)
{
    const int64_t first = s->past ? s->past : s->valid ? d->valid[b] - s->queries : 0, p = first + i;
    return !(s->causal && j > p) && !(s->left && j < p - (s->left - 1)) && !(s->right && j > p + (s->right - 1)) &&
           !(s->valid && j >= d->valid[b]);
}

/* What is added to a score; -INFINITY: forbidden. */
static double bias_at(const setup *s, const data *d, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const int64_t width = s->mask_keys ? s->mask_keys : total(s);
    const int64_t row = s->mask_rank == 2 ? i : s->mask_rank == 3 ? h * s->queries + i : (b * H + h) * s->queries + i;
    if (!place_allowed(s, d, b, i, j)) return -INFINITY;
    if (!s->mask_rank) return 0;
    if (j >= width) return -INFINITY;
    if (s->bools) return d->allowed[row * width + j] ? 0 : -INFINITY;
    return (double)d->mask[row * width + j];
}

/* Entry c of head h at place j of K or V. */
static double key_at(const setup *s, const float *past, const float *now, int64_t size, const int64_t at[3], int64_t c)
{
    const int64_t head = at[0] * s->shared + at[1] / (H / s->shared), j = at[2];
    if (j < s->past) return (double)past[(head * s->past + j) * size + c];
    return (double)now[(head * s->keys + j - s->past) * size + c];
}

/* One row of y and of what the mode shows. */
static void define_row(double *y, double *shown, const setup *s, const data *d, const int64_t at[3])
{
    const double  scale = s->scale > 0 ? (double)s->scale : 1 / sqrt((double)s->size);
    double        x[16], most = -INFINITY, sum = 0;
    const int64_t b = at[0], h = at[1], i = at[2];
    for (int64_t j = 0; j < total(s); j++) {
        x[j] = 0;
        for (int64_t c = 0; c < s->size; c++)
            x[j] += (double)d->q[((b * H + h) * s->queries + i) * s->size + c] *
                    key_at(s, d->past_k, d->k, s->size, (int64_t[]){ b, h, j }, c) * scale;
        if (s->mode == 0) shown[j] = x[j];
        if (s->cap > 0) x[j] = (double)s->cap * tanh(x[j] / (double)s->cap);
        if (s->mode == 1) shown[j] = x[j];
        x[j] += bias_at(s, d, b, h, i, j);
        if (s->mode == 2) shown[j] = x[j];
        most = fmax(most, x[j]);
    }
    for (int64_t j = 0; j < total(s); j++) sum += x[j] = most == -INFINITY ? 0 : exp(x[j] - most);
    for (int64_t c = 0; c < s->value_size; c++) y[c] = 0;
    for (int64_t j = 0; j < total(s); j++) {
        x[j] = sum > 0 ? x[j] / sum : 0;
        if (s->mode == 3) shown[j] = x[j];
        for (int64_t c = 0; c < s->value_size; c++)
            y[c] += x[j] * key_at(s, d->past_v, d->v, s->value_size, (int64_t[]){ b, h, j }, c);
    }
}

/* ---- the file ---- */

/* [batch, heads, length, size] as [batch, length, heads * size] */
static void as_rows(float *to, const float *from, int64_t heads, int64_t length, int64_t size)
{
    for (int64_t b = 0; b < B; b++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t i = 0; i < length; i++)
                memcpy(to + (((b * length + i) * heads + h) * size), from + ((b * heads + h) * length + i) * size,
                       (size_t)size * sizeof *to);
}

static void add_heads(proto_model *p, octet_tensor *tensor, const setup *s, const char *name, const float *x,
                      const int64_t dims[3])
{
    static float  rows[3][MOST];
    static int    next;
    float *const  turned = rows[next++ % 3];
    const int64_t flat[] = { B, dims[1], dims[0] * dims[2] }, heads[] = { B, dims[0], dims[1], dims[2] };
    const int64_t open[] = { -1, -1, dims[0] * dims[2] };
    as_rows(turned, x, dims[0], dims[1], dims[2]);
    *tensor = (octet_tensor){ .dtype = OCTET_F32, .rank = s->rows ? 3 : 4 };
    tensor->data = s->rows ? turned : (void *)(uintptr_t)x;
    memcpy(tensor->dims, s->rows ? flat : heads, sizeof(int64_t) * (size_t)tensor->rank);
    proto_input(p, name, 1, s->open ? open : tensor->dims, (size_t)tensor->rank);
}

static void add_mask(proto_model *p, octet_tensor *tensor, const setup *s, const data *d)
{
    const int64_t full[] = { B, H, s->queries, s->mask_keys ? s->mask_keys : total(s) };
    *tensor = (octet_tensor){ .dtype = s->bools ? OCTET_BOOL : OCTET_F32, .rank = s->mask_rank };
    tensor->data = s->bools ? (void *)(uintptr_t)d->allowed : (void *)(uintptr_t)d->mask;
    memcpy(tensor->dims, full + 4 - s->mask_rank, sizeof(int64_t) * (size_t)s->mask_rank);
    proto_input(p, "mask", s->bools ? 9 : 1, tensor->dims, (size_t)s->mask_rank);
}

static void add_attributes(proto_model *p, Onnx__NodeProto *n, const setup *s)
{
    if (s->rows) proto_int(p, n, "q_num_heads", H);
    if (s->rows) proto_int(p, n, "kv_num_heads", s->shared);
    if (s->causal) proto_int(p, n, "is_causal", 1);
    if (s->left) proto_int(p, n, "left_window_size", s->left - 1);
    if (s->right) proto_int(p, n, "right_window_size", s->right - 1);
    if (s->scale > 0) proto_float(p, n, "scale", s->scale);
    if (s->cap > 0) proto_float(p, n, "softcap", s->cap);
    if (s->mode) proto_int(p, n, "qk_matmul_output_mode", s->mode);
}

/* The model, and the tensors to run it with. */
static proto_model *make(octet_tensor *inputs, const setup *s, data *d)
{
    proto_model *p = proto_new(25);
    int          count = 3;
    add_heads(p, &inputs[0], s, "q", d->q, (int64_t[]){ H, s->queries, s->size });
    add_heads(p, &inputs[1], s, "k", d->k, (int64_t[]){ s->shared, s->keys, s->size });
    add_heads(p, &inputs[2], s, "v", d->v, (int64_t[]){ s->shared, s->keys, s->value_size });
    if (s->mask_rank) add_mask(p, &inputs[count++], s, d);
    for (int i = 0; i < 2 && s->past; i++) {
        octet_tensor *const t = &inputs[count++];
        *t = (octet_tensor){ .dtype = OCTET_F32, .rank = 4, .data = i ? d->past_v : d->past_k,
                             .dims = { B, s->shared, s->past, i ? s->value_size : s->size } };
        proto_input(p, i ? "past_v" : "past_k", 1, t->dims, 4);
    }
    if (s->valid) {
        inputs[count] = (octet_tensor){ .dtype = OCTET_I64, .rank = 1, .dims = { B }, .data = d->valid };
        proto_input(p, "valid", 7, inputs[count].dims, 1);
    }
    char names[128];
    snprintf(names, sizeof names, "q k v %s %s %s %s", s->mask_rank ? "mask" : "", s->past ? "past_k" : "",
             s->past ? "past_v" : "", s->valid ? "valid" : "");
    add_attributes(p, proto_node(p, "Attention", names, s->past ? "y all_k all_v shown" : "y   shown"), s);
    proto_output(p, "y");
    proto_output(p, "shown");
    if (s->past) proto_output(p, "all_k");
    if (s->past) proto_output(p, "all_v");
    return p;
}

static void fill(data *d, uint64_t seed)
{
    random_state r = { seed };
    float *const parts[] = { d->q, d->k, d->v, d->past_k, d->past_v, d->mask };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) random_fill(&r, parts[i], MOST, -2, 2);
    for (int i = 0; i < MOST; i++) d->allowed[i] = i >= 12 && random_int(&r, 0, 2) > 0; /* two rows of nothing */
    for (int i = 6; i < 12; i++) d->mask[i] = -INFINITY;
    for (int b = 0; b < B; b++) d->valid[b] = 2 + 3 * b;
}

static void check(const octet_tensor *t, int64_t at, double want, size_t row)
{
    const double got = (double)((const float *)t->data)[at];
    if (got == want || fabs(got - want) <= 1e-5) return;
    fail_msg("setup %zu: element %lld is %g, not %g", row, (long long)at, got, want);
}

static void check_rows(const octet_tensor *outputs, const setup *s, const data *d, size_t row)
{
    for (int64_t at = 0; at < B * H * s->queries; at++) {
        const int64_t b = at / s->queries / H, h = at / s->queries % H, i = at % s->queries;
        double        y[8], shown[16];
        define_row(y, shown, s, d, (int64_t[]){ b, h, i });
        const int64_t to = s->rows ? (b * s->queries + i) * H + h : at;
        for (int64_t c = 0; c < s->value_size; c++) check(&outputs[0], to * s->value_size + c, y[c], row);
        for (int64_t j = 0; j < total(s); j++) check(&outputs[1], at * total(s) + j, shown[j], row);
    }
    for (int64_t at = 0; s->past && at < B * H * total(s); at++) {
        const int64_t b = at / total(s) / H, h = at / total(s) % H, j = at % total(s);
        const int64_t to = ((b * s->shared + h / (H / s->shared)) * total(s) + j) * s->size;
        for (int64_t c = 0; c < s->size; c++)
            check(&outputs[2], to + c, key_at(s, d->past_k, d->k, s->size, (int64_t[]){ b, h, j }, c), row);
    }
}

/* Runs the file as it was read, and once more fused. */
static void run_both(const proto_model *p, const octet_tensor *inputs,
                     void (*look)(const octet_tensor *outputs, void *with), void *with)
{
    octet_graph *graph = proto_load_good(p);
    for (int fused = 0; fused < 2; fused++) {
        octet_plan      *plan = NULL;
        octet_workspace *workspace = NULL;
        octet_tensor     outputs[4];
        if (fused) MUST(octet_fuse(graph, &err));
        for (const octet_node *n = graph->first; n; n = n->next) assert_non_null(n->op->forward);
        MUST(octet_plan_create(&plan, graph, &(octet_plan_options){ .inputs = inputs }, &err));
        MUST(octet_workspace_create(&workspace, plan, &err));
        MUST(octet_run(workspace, inputs, outputs, &err));
        look(outputs, with);
        octet_workspace_free(workspace);
        octet_plan_free(plan);
    }
    octet_graph_free(graph);
}

typedef struct looked {
    const setup *s;
    const data  *d;
    size_t       row;
} looked;

static void look_at_attention(const octet_tensor *outputs, void *with)
{
    const looked *const l = with;
    check_rows(outputs, l->s, l->d, l->row);
}

static void test_attention(void **state)
{
    (void)state;
    static data d;
    for (size_t i = 0; i < sizeof setups / sizeof *setups; i++) {
        octet_tensor inputs[8];
        fill(&d, i + 1);
        const proto_model *const p = make(inputs, &setups[i], &d);
        run_both(p, inputs, look_at_attention, &(looked){ &setups[i], &d, i });
    }
}

/* A constant mask that leaves something in every row needs no clearing: the operators left are the plain ones. */
static void test_plain(void **state)
{
    (void)state;
    static data        d;
    static const char *const want[] = { "Mul", "Transpose", "MatMul", "Add", "Softmax", "MatMul" };
    const setup        s = { .shared = 4, .queries = 2, .keys = 2, .size = 3, .value_size = 3 };
    octet_tensor       inputs[8];
    fill(&d, 9);
    proto_model *const p = make(inputs, &s, &d);
    const float        mask[] = { 0, -1, -2, 0.5f };
    proto_tensor(p, "mask", 1, mask, (const int64_t[]){ 2, 2 }, 2);
    p->nodes[0].n_input = proto_names(p->nodes[0].input, "q k v mask");
    p->nodes[0].n_output = 1;
    p->graph.n_output = 1;
    octet_graph      *graph = proto_load_good(p);
    MUST(octet_fuse(graph, &err));
    const octet_node *n = graph->first;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++, n = n->next) {
        assert_non_null(n);
        if (strcmp(n->op->name, want[i]) != 0) fail_msg("node %zu is %s, not %s", i, n->op->name, want[i]);
    }
    assert_null(n);
    octet_graph_free(graph);
}

/* ---- RotaryEmbedding ---- */

typedef struct turn {
    bool    rows, interleaved, places;
    int64_t turned; /* 0: all of 6 */
    float   x[B * H * 3 * 6], cosines[60], sines[60];
    int64_t ids[B * 3];
} turn;

enum { LENGTH = 3, SIZE = 6 };

static void look_at_turn(const octet_tensor *outputs, void *with)
{
    const turn *const t = with;
    const int64_t     turned = t->turned ? t->turned : SIZE, half = turned / 2;
    for (int64_t at = 0; at < B * H * LENGTH; at++) {
        const int64_t b = at / LENGTH / H, h = at / LENGTH % H, i = at % LENGTH;
        const int64_t from = (t->rows ? (b * LENGTH + i) * H + h : at) * SIZE;
        const int64_t place = t->places ? t->ids[b * LENGTH + i] : b * LENGTH + i;
        for (int64_t c = 0; c < SIZE; c++) {
            const int64_t pair = t->interleaved ? c / 2 : c % half, second = t->interleaved ? c % 2 : c / half;
            const int64_t a = t->interleaved ? 2 * pair : pair, other = t->interleaved ? a + 1 : a + half;
            double        want = (double)t->x[from + c];
            if (c < turned) {
                const double re = (double)t->x[from + a], im = (double)t->x[from + other];
                const double co = (double)t->cosines[place * half + pair], si = (double)t->sines[place * half + pair];
                want = second ? si * re + co * im : co * re - si * im;
            }
            check(&outputs[0], from + c, want, 0);
        }
    }
}

static void test_rotary(void **state)
{
    (void)state;
    static const turn turns[] = { { 0 },
                                  { .rows = true },
                                  { .interleaved = true },
                                  { .rows = true, .interleaved = true, .places = true, .turned = 4 },
                                  { .places = true, .turned = 2 } };
    for (size_t k = 0; k < sizeof turns / sizeof *turns; k++) {
        turn          t = turns[k];
        random_state  r = { k + 1 };
        proto_model  *p = proto_new(23);
        const int64_t half = (t.turned ? t.turned : SIZE) / 2;
        random_fill(&r, t.x, B * H * LENGTH * SIZE, -1, 1);
        random_fill(&r, t.cosines, 60, -1, 1);
        random_fill(&r, t.sines, 60, -1, 1);
        for (int i = 0; i < B * LENGTH; i++) t.ids[i] = random_int(&r, 0, 9);
        octet_tensor in[4] = { { .dtype = OCTET_F32, .rank = 4, .dims = { B, H, LENGTH, SIZE }, .data = t.x },
                               { .dtype = OCTET_F32, .rank = 3, .dims = { B, LENGTH, half }, .data = t.cosines } };
        if (t.rows) in[0].rank = 3;
        if (t.rows) memcpy(in[0].dims, (const int64_t[]){ B, LENGTH, H * SIZE }, 3 * sizeof(int64_t));
        if (t.places) in[1] = (octet_tensor){ .dtype = OCTET_F32, .rank = 2, .dims = { 10, half }, .data = t.cosines };
        in[2] = in[1], in[2].data = t.sines;
        in[3] = (octet_tensor){ .dtype = OCTET_I64, .rank = 2, .dims = { B, LENGTH }, .data = t.ids };
        static const char *const names[] = { "x", "cos", "sin", "ids" };
        for (int i = 0; i < 3 + t.places; i++) proto_input(p, names[i], i == 3 ? 7 : 1, in[i].dims, (size_t)in[i].rank);
        Onnx__NodeProto *const n = proto_node(p, "RotaryEmbedding", t.places ? "x cos sin ids" : "x cos sin", "y");
        if (t.rows) proto_int(p, n, "num_heads", H);
        if (t.interleaved) proto_int(p, n, "interleaved", 1);
        if (t.turned) proto_int(p, n, "rotary_embedding_dim", t.turned);
        proto_output(p, "y");
        run_both(p, in, look_at_turn, &t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_rotary),
    };
    return cmocka_run_group_tests(tests, NULL, proto_teardown);
}
