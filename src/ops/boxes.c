/* SPDX-License-Identifier: Apache-2.0 */
/* NonMaxSuppression: boxes [B, N, 4], scores [B, C, N], how many at most, overlap, least score -> [K, 3] (batch, class,
   box). Of each class the best box first, then the next best that does not overlap too much with one taken. */
#include "ops/check.h"
#include "ops/order.h"
#include "ops/rows.h"
#include "ops/scratch.h"

typedef struct box_attrs {
    int64_t center_point_box;
} box_attrs;

static const octet_attr rows[] = {
    {.name = "center_point_box", .kind = OCTET_ATTR_INT, .offset = offsetof(box_attrs, center_point_box), .max = 1},
    {.kind = OCTET_ATTR_END},
};

/* The corners of a box, low ones first. */
typedef struct box {
    double y[2], x[2];
} box;

typedef struct suppression {
    const float *boxes, *scores; /* of one batch, of one class */
    int64_t      box_count, most;
    double       overlap, least;
    bool         centered, has_least;
    int64_t     *order, *taken;
} suppression;

static double single(const octet_call *call, int slot, double otherwise)
{
    return octet_has_input(call, slot) ? (double)*(const float *)call->in[slot]->data : otherwise;
}

static octet_status check_inputs(const octet_call *call, octet_error *err)
{
    static const char *const  names[5] = {"boxes", "scores", "max_output_boxes_per_class", "iou_threshold",
                                          "score_threshold"};
    const octet_tensor *const boxes = call->in[0], *const scores = call->in[1];
    for (int i = 0; i < 5; i++) {
        if (!octet_has_input(call, i)) continue;
        OCTET_TRY(octet_check_known(call, i, names[i], err));
        const octet_dtype want = i == 2 ? OCTET_I64 : OCTET_F32;
        const bool        one = i < 2 || (call->in[i]->rank <= 1 && octet_tensor_count(call->in[i]) == 1);
        if (call->in[i]->dtype != want || !one)
            return octet_fail_field(err, OCTET_ERR_SHAPE, names[i], "must be %s of type %s",
                                    i < 2 ? "a tensor" : "one number", octet_dtype_name(want));
    }
    const bool fit = boxes->rank == 3 && scores->rank == 3 && boxes->dims[2] == 4 &&
                     boxes->dims[0] == scores->dims[0] && boxes->dims[1] == scores->dims[2];
    return fit ? OCTET_OK
               : octet_fail_field(err, OCTET_ERR_SHAPE, "boxes", "need [B, N, 4] and scores of [B, C, N]");
}

static box box_at(const suppression *s, int64_t i)
{
    const float *const at = s->boxes + 4 * i;
    const double       a = (double)at[0], b = (double)at[1], c = (double)at[2], d = (double)at[3];
    if (s->centered) /* x, y, width, height */
        return (box){{b - d / 2, b + d / 2}, {a - c / 2, a + c / 2}};
    return (box){{fmin(a, c), fmax(a, c)}, {fmin(b, d), fmax(b, d)}}; /* y, x, y, x */
}

static double area(const box *b) { return fmax(b->y[1] - b->y[0], 0.0) * fmax(b->x[1] - b->x[0], 0.0); }

/* Intersection over union. */
static double overlap(const box *a, const box *b)
{
    const box    both = {{fmax(a->y[0], b->y[0]), fmin(a->y[1], b->y[1])},
                         {fmax(a->x[0], b->x[0]), fmin(a->x[1], b->x[1])}};
    const double common = area(&both), joined = area(a) + area(b) - common;
    return joined > 0.0 ? common / joined : 0.0;
}

static bool better(const void *context, int64_t a, int64_t b)
{
    const float *const scores = ((const suppression *)context)->scores;
    return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
}

/* How many boxes of one class are taken; which ones comes into s->taken. */
static int64_t take(const suppression *s)
{
    int64_t count = 0, taken = 0;
    for (int64_t i = 0; i < s->box_count; i++)
        if (!isnan(s->scores[i]) && (!s->has_least || (double)s->scores[i] > s->least)) s->order[count++] = i;
    octet_order(s->order, count, better, s);
    for (int64_t i = 0; i < count && taken < s->most; i++) {
        const box candidate = box_at(s, s->order[i]);
        bool      free = true;
        for (int64_t k = 0; free && k < taken; k++) {
            const box other = box_at(s, s->taken[k]);
            free = overlap(&candidate, &other) <= s->overlap;
        }
        if (free) s->taken[taken++] = s->order[i];
    }
    return taken;
}

static size_t memory_of(suppression *s, char *data, int64_t boxes)
{
    octet_scratch scratch = {.data = data};
    s->order = octet_scratch_take(&scratch, (size_t)boxes, sizeof *s->order);
    s->taken = octet_scratch_take(&scratch, (size_t)boxes, sizeof *s->taken);
    return scratch.too_large ? SIZE_MAX : scratch.bytes;
}

/* Returns how many triples there are; the first room of them are written to triples. */
static int64_t suppress(const octet_call *call, char *memory, int64_t *triples, int64_t room)
{
    const octet_tensor *const boxes = call->in[0], *const scores = call->in[1];
    const int64_t             classes = scores->dims[1], n = boxes->dims[1];
    suppression s = {.box_count = n, .overlap = single(call, 3, 0.0), .least = single(call, 4, 0.0),
                     .has_least = octet_has_input(call, 4),
                     .most = octet_has_input(call, 2) ? *(const int64_t *)call->in[2]->data : 0,
                     .centered = ((const box_attrs *)call->attrs)->center_point_box != 0};
    int64_t     found = 0;
    memory_of(&s, memory, n);
    for (int64_t i = 0; n > 0 && i < boxes->dims[0] * classes; i++) {
        s.boxes = (const float *)boxes->data + i / classes * n * 4;
        s.scores = (const float *)scores->data + i * n;
        const int64_t count = take(&s);
        for (int64_t k = 0; k < count; k++, found++) {
            if (found >= room) continue;
            triples[3 * found] = i / classes;
            triples[3 * found + 1] = i % classes;
            triples[3 * found + 2] = s.taken[k];
        }
    }
    return found;
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    suppression s;
    char       *memory;
    OCTET_TRY(check_inputs(call, err));
    OCTET_TRY(octet_arena_get(&memory, call->arena, memory_of(&s, NULL, call->in[0]->dims[1]), 1, err));
    const int64_t dims[2] = {suppress(call, memory, NULL, 0), 3};
    return octet_set_output(call->out[0], OCTET_I64, dims, 2, err);
}

static size_t scratch_size(const octet_call *call, bool integer)
{
    suppression s;
    return integer ? 0 : memory_of(&s, NULL, call->in[0]->dims[1]);
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    OCTET_TRY(check_inputs(call, err));
    const int64_t dims[2] = {suppress(call, call->scratch, call->out[0]->data, call->out[0]->dims[0]), 3};
    return octet_check_planned(call->out[0], dims, 2, err);
}

const octet_op octet_op_non_max_suppression = {
    .name = "NonMaxSuppression",
    .since = 10,
    .min_inputs = 2,
    .max_inputs = 5,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPE(OCTET_F32),
    .attrs = rows,
    .attrs_size = sizeof(box_attrs),
    .infer = infer,
    .forward = forward,
    .scratch_size = scratch_size,
};
