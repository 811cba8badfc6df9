/* SPDX-License-Identifier: Apache-2.0 */
/* Three switches, then five numbers per channel: seen, min, max, scale, zero point. */
#include "train/trained_state.h"

#include <float.h>
#include <math.h>

enum { SWITCHES = 3, PER_CHANNEL = 5 };

size_t octet_trained_size(const octet_trained *trained) { return SWITCHES + PER_CHANNEL * (size_t)trained->channels; }

void octet_trained_follow(octet_trained *to, const octet_trained *from)
{
    to->enabled   = from->enabled;
    to->observing = from->observing;
    to->learning  = from->learning;
    for (int64_t i = 0; i < from->channels; i++) {
        to->range[i]      = from->range[i];
        to->scale[i]      = from->scale[i];
        to->zero_point[i] = from->zero_point[i];
    }
}

octet_status octet_trained_copy(octet_trained **copy, octet_arena *arena, const octet_trained *trained,
                                octet_error *err)
{
    OCTET_TRY(octet_trained_new(copy, arena, trained, err));
    octet_trained_follow(*copy, trained);
    return OCTET_OK;
}

void octet_trained_pack(float *to, const octet_trained *trained)
{
    *to++ = trained->enabled;
    *to++ = trained->observing;
    *to++ = trained->learning;
    for (int64_t i = 0; i < trained->channels; i++) {
        *to++ = trained->range[i].seen;
        *to++ = trained->range[i].min;
        *to++ = trained->range[i].max;
        *to++ = trained->scale[i];
        *to++ = trained->zero_point[i];
    }
}

void octet_trained_unpack(octet_trained *trained, const float *from)
{
    trained->enabled   = *from++ != 0;
    trained->observing = *from++ != 0;
    trained->learning  = *from++ != 0;
    for (int64_t i = 0; i < trained->channels; i++, from += PER_CHANNEL) {
        trained->range[i]      = (octet_range){ .seen = from[0] != 0, .min = from[1], .max = from[2] };
        trained->scale[i]      = from[3];
        trained->zero_point[i] = from[4];
    }
}

bool octet_trained_could_be(const float *from, const octet_trained *trained)
{
    from += SWITCHES;
    for (int64_t i = 0; i < trained->channels; i++, from += PER_CHANNEL) {
        const bool range = from[0] == 0 || (isfinite(from[1]) && isfinite(from[2]) && from[1] <= from[2]);
        const bool scale = from[3] >= FLT_MIN && from[3] <= FLT_MAX;
        const bool zero  = from[4] >= (float)trained->qmin && from[4] <= (float)trained->qmax;
        if (!range || !scale || !zero) return false;
    }
    return true;
}

octet_status octet_trained_list(octet_trained ***list, size_t *count, octet_arena *arena, const octet_graph *graph,
                                octet_error *err)
{
    *count = 0;
    OCTET_TRY(octet_arena_get(list, arena, (size_t)graph->value_count, sizeof **list, err));
    for (const octet_value *v = graph->values; v; v = v->next) {
        octet_trained *const trained = v->fake_quantize ? v->fake_quantize->trained : NULL;
        size_t               i       = 0;
        while (i < *count && (*list)[i] != trained) i++;
        if (trained && i == *count) (*list)[(*count)++] = trained;
    }
    return OCTET_OK;
}

octet_status octet_trained_separate(octet_graph *graph, octet_error *err)
{
    octet_trained **old, **fresh;
    size_t          count;
    OCTET_TRY(octet_trained_list(&old, &count, graph->arena, graph, err));
    OCTET_TRY(octet_arena_get(&fresh, graph->arena, count, sizeof *fresh, err));
    for (size_t i = 0; i < count; i++) OCTET_TRY(octet_trained_copy(&fresh[i], graph->arena, old[i], err));
    for (const octet_value *v = graph->values; v; v = v->next)
        for (size_t i = 0; i < count && v->fake_quantize; i++)
            if (v->fake_quantize->trained == old[i]) {
                v->fake_quantize->trained = fresh[i];
                break;
            }
    return OCTET_OK;
}
