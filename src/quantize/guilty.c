/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of values rounded alone add up where they are small, so their sum foretells the output's SQNR. Below
   OCTET_GUILTY_DB networks lose whole points of accuracy. */
#include "quantize/guilty.h"

#include <math.h>
#include <stdlib.h>

octet_status octet_widen_group(octet_graph *graph, octet_group *group, octet_error *err)
{
    const octet_quantizer   wide = { .dtype = OCTET_U16 };
    const octet_levels_range levels = octet_quantizer_levels(&wide, false);
    const octet_estimate     want = { levels.qmin, levels.qmax, false, 0 };
    octet_range              range;
    OCTET_TRY(octet_estimator_find("minmax")->read(&range, &group->observer, &want, err));
    group->wide                  = true;
    group->fake_quantize->method = "minmax";
    return octet_set_qparams(graph, group->fake_quantize, &wide, &range, 1, err);
}

static int by_loss(const void *a, const void *b)
{
    const octet_group *const x = *(octet_group *const *)a, *const y = *(octet_group *const *)b;
    if (x->loss != y->loss) return x->loss > y->loss ? -1 : 1;
    return x < y ? -1 : x > y; /* the order of values */
}

static double decibels(double signal, double noise) { return noise > 0 ? 10 * log10(signal / noise) : INFINITY; }

static octet_status spare(octet_graph *graph, octet_group *group, double signal, octet_error *err)
{
    const octet_value *const value = group->representative;
    OCTET_TRY(octet_widen_group(graph, group, err));
    return octet_decide(graph, value->producer ? value->producer->name : value->name, "16 bits", err,
                        "rounded to 8 bits its result alone would leave the output %.1f dB: a few outliers stretch its "
                        "range",
                        decibels(signal, group->loss));
}

/* What the user, a target or another library's profile has fixed is not for this step to change. */
static bool may_widen(const octet_calibration *c)
{
    const octet_quantizer *const a = &c->qconfig.activation;
    return a->dtype == OCTET_NONE && !a->qmin && !a->qmax && !c->target->bytes_only;
}

octet_status octet_spare_guilty(octet_graph *graph, double signal, octet_error *err)
{
    octet_calibration *const c = graph->calibration;
    octet_group            **order;
    double                   noise = 0;
    for (size_t g = 0; g < c->group_count; g++) noise += c->groups[g].loss;
    if (!may_widen(c) || !(signal > 0) || decibels(signal, noise) >= OCTET_GUILTY_DB) return OCTET_OK;
    OCTET_TRY(octet_arena_get(&order, graph->arena, c->group_count, sizeof *order, err));
    for (size_t g = 0; g < c->group_count; g++) order[g] = &c->groups[g];
    qsort(order, c->group_count, sizeof *order, by_loss);
    for (size_t g = 0; g < c->group_count && decibels(signal, noise) < OCTET_SPARED_DB; g++) {
        noise = 0; /* of those behind, summed afresh: a difference of huge numbers would be nothing but rounding */
        for (size_t k = g + 1; k < c->group_count; k++) noise += order[k]->loss;
        if (!order[g]->rule && !order[g]->tensor) OCTET_TRY(spare(graph, order[g], signal, err));
    }
    return OCTET_OK;
}
