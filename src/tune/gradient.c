/* SPDX-License-Identifier: Apache-2.0 */
/* A sample's layers have been looked at when it is finished: then the tape runs forward once, and back once for every
   output and direction. Directions are streams of (seed, sample): threads do not show. */
#include "tune/gradient.h"

#include "base/random.h"

octet_status octet_gradient_make(octet_gradient *g, const octet_pairing *pairing, octet_arena *arena, octet_error *err)
{
    const octet_tape_options options = { .batch = 1, .threads = 1, .keep_gradients = true };
    size_t                   most    = 1;
    g->pairing                       = pairing;
    for (size_t o = 0; o < pairing->output_count; o++) {
        const size_t count = octet_compared_count(pairing->real_plan, pairing->outputs[o][0]);
        if (count > most) most = count;
    }
    OCTET_TRY(octet_arena_get(&g->direction, arena, most, sizeof *g->direction, err));
    OCTET_TRY(octet_arena_get(&g->errors, arena, pairing->layer_count, sizeof *g->errors, err));
    OCTET_TRY(octet_arena_get(&g->seen, arena, pairing->layer_count, sizeof *g->seen, err));
    for (size_t i = 0; i < pairing->layer_count; i++) {
        if (!pairing->layers[i].rounds) continue;
        const size_t count = octet_compared_count(pairing->quantized_plan, pairing->layers[i].value);
        OCTET_TRY(octet_arena_get(&g->errors[i], arena, count, sizeof(float), err));
    }
    OCTET_TRY(octet_tape_create(&g->tape, pairing->real, &options, err));
    octet_tape_freeze_batch_norm(g->tape, true);
    return OCTET_OK;
}

void octet_gradient_release(octet_gradient *g) { octet_tape_free(g->tape); }

octet_status octet_gradient_look(void *gradient, const octet_layer *layer, const float *reference, const float *own,
                                 octet_error *err)
{
    octet_gradient *const g     = gradient;
    const size_t          index = (size_t)(layer - g->pairing->layers);
    const size_t          count = octet_compared_count(g->pairing->quantized_plan, layer->value);
    (void)err;
    for (size_t i = 0; i < count; i++) g->errors[index][i] = own[i] - reference[i];
    g->seen[index] = true;
    return OCTET_OK;
}

/* ---- one direction ---- */

static void draw(octet_gradient *g, size_t count, uint64_t *random)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++) {
        if (i % 64 == 0) bits = octet_random_bits(random);
        g->direction[i] = bits >> i % 64 & 1 ? 1.0f : -1.0f;
    }
}

static double product(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static void add_squares(const octet_gradient *g, octet_comparing *c, size_t output)
{
    const octet_pairing *const p = g->pairing;
    for (size_t i = 0; i < p->layer_count; i++) {
        if (!g->seen[i]) continue;
        const octet_tensor slope = octet_tape_gradient(g->tape, p->layers[i].reference);
        if (!slope.data) continue; /* nothing of it reaches this output */
        const double along = product(slope.data, g->errors[i], (size_t)octet_tensor_count(&slope));
        c->sums.layers[i].estimate[output] += along * along / (double)g->probes;
    }
}

octet_status octet_gradient_finish(void *gradient, octet_comparing *c, size_t sample, octet_error *err)
{
    octet_gradient *const      g      = gradient;
    const octet_pairing *const p      = g->pairing;
    uint64_t                   random = octet_random_stream(g->seed, sample);
    OCTET_TRY(octet_tape_forward(g->tape, c->inputs, false, err));
    g->nodes_run += (uint64_t)p->real->node_count;
    for (size_t o = 0; o < p->output_count; o++)
        for (size_t k = 0; k < g->probes; k++) {
            draw(g, octet_compared_count(p->real_plan, p->outputs[o][0]), &random);
            OCTET_TRY(octet_tape_backward(g->tape, p->outputs[o][0], g->direction, err));
            g->nodes_run += (uint64_t)p->real->node_count;
            add_squares(g, c, o);
        }
    return OCTET_OK;
}
