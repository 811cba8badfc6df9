/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges and means that one calibration has found serve another preparation of the same network. */
#include "quantize/calibration.h"

/* The FakeQuantize with parameters that from has for a value of that name, or NULL. */
static const octet_fake_quantize *twin_of(const octet_graph *from, const octet_value *value)
{
    const octet_value *const twin = octet_graph_find_value(from, value->name);
    return twin && twin->fake_quantize && twin->fake_quantize->qparams.count ? twin->fake_quantize : NULL;
}

static const octet_mean *mean_of(const octet_graph *from, const octet_value *value)
{
    const octet_value *const twin = octet_graph_find_value(from, value->name);
    const octet_mean *const  mean = twin ? from->calibration->watches[twin->index].mean : NULL;
    return mean && mean->sum ? mean : NULL;
}

static bool knows_all(const octet_graph *from, const octet_calibration *c)
{
    for (size_t i = 0; i < c->group_count; i++)
        if (!twin_of(from, c->groups[i].representative)) return false;
    for (size_t i = 0; i < c->mean_count; i++)
        if (!mean_of(from, c->means[i].value)) return false;
    return true;
}

/* The means lie in from's arena and are only read. */
static void take_means(octet_calibration *c, const octet_graph *from)
{
    for (size_t i = 0; i < c->mean_count; i++) {
        const octet_mean *const mean = mean_of(from, c->means[i].value);
        c->means[i].sum              = mean->sum;
        c->means[i].count            = mean->count;
        c->means[i].fine             = mean->fine;
    }
    c->samples = from->calibration->samples;
}

static octet_status take_range(octet_graph *graph, octet_group *group, const octet_fake_quantize *twin,
                               octet_error *err)
{
    octet_qparams *const q     = &group->fake_quantize->qparams;
    const size_t         count = (size_t)twin->qparams.count;
    *q                         = twin->qparams;
    q->scale                   = octet_arena_copy_bytes(graph->arena, q->scale, count * sizeof *q->scale);
    q->zero_point              = octet_arena_copy_bytes(graph->arena, q->zero_point, count * sizeof *q->zero_point);
    group->fake_quantize->method = twin->method ? octet_arena_copy(graph->arena, twin->method) : NULL;
    return q->scale && q->zero_point && (!twin->method || group->fake_quantize->method) ? OCTET_OK
                                                                                        : octet_fail_memory(err);
}

octet_status octet_calibrate_like(octet_graph *graph, const octet_graph *from, octet_dataset *data,
                                  const octet_calibrate_options *options, octet_error *err)
{
    octet_calibration *const c = graph->calibration;
    if (knows_all(from, c)) take_means(c, from);
    else { /* what is new gets the range of least squared error: a search over the output is for all ranges at once */
        if (c->qconfig.activation.method == OCTET_METHOD_OUTPUT) c->qconfig.activation.method = OCTET_METHOD_MSE;
        OCTET_TRY(octet_calibrate(graph, data, options, err));
    }
    for (size_t i = 0; i < c->group_count; i++) {
        const octet_fake_quantize *const twin = twin_of(from, c->groups[i].representative);
        if (twin) OCTET_TRY(take_range(graph, &c->groups[i], twin, err));
    }
    graph->stage = OCTET_STAGE_CALIBRATED;
    return octet_graph_check(graph, err);
}
