/* SPDX-License-Identifier: Apache-2.0 */
/* What a tape trains: copies of the graph's constants, and learned scales where they are. */
#include "train/steps.h"

#include <string.h>

typedef struct new_parameter {
    const char          *name, *suffix;
    octet_parameter_kind kind;
    const float         *value;
    size_t               count;
} new_parameter;

static octet_status add_parameter(octet_parameter **made, octet_tape *tape, const new_parameter *new, octet_error *err)
{
    octet_parameter *const p = &tape->parameters[tape->parameter_count++];
    *p = (octet_parameter){ .kind = new->kind, .dtype = tape->dtype, .count = new->count };
    p->name = octet_arena_format(tape->arena, "%s%s", new->name, new->suffix);
    if (!p->name) return octet_fail_memory(err);
    OCTET_TRY(octet_arena_get(&p->value, tape->arena, p->count, tape->element, err));
    OCTET_TRY(octet_arena_get(&p->gradient, tape->arena, p->count, tape->element, err));
    for (size_t i = 0; i < p->count; i++) octet_parameter_set(p, i, (double)new->value[i]);
    *made = p;
    return OCTET_OK;
}

octet_status octet_constant_parameter(octet_parameter **made, octet_tape *tape, const octet_value *value,
                                       octet_parameter_kind kind, octet_error *err)
{
    for (size_t i = 0; i < tape->parameter_count; i++)
        if (tape->parameters[i].kind == kind && !strcmp(tape->parameters[i].name, value->name)) {
            *made = &tape->parameters[i];
            return OCTET_OK;
        }
    const new_parameter new = { value->name, "", kind, value->constant->data,
                                (size_t)octet_tensor_count(value->constant) };
    return add_parameter(made, tape, &new, err);
}

static octet_status add_statistic(octet_parameter **made, octet_tape *tape, const char *name, const float *value,
                                  size_t count, octet_error *err)
{
    octet_parameter *const p = &tape->statistics[tape->statistic_count++];
    *p = (octet_parameter){ .name = name, .dtype = tape->dtype, .count = count };
    OCTET_TRY(octet_arena_get(&p->value, tape->arena, count, tape->element, err));
    for (size_t i = 0; i < count; i++) octet_parameter_set(p, i, (double)value[i]);
    *made = p;
    return OCTET_OK;
}

octet_status octet_learned_parameters(octet_tape *tape, const char *name, octet_trained *trained, octet_error *err)
{
    const size_t channels = (size_t)trained->channels;
    if (trained->quantizer.fake != OCTET_FAKE_LEARNED) return OCTET_OK;
    for (size_t i = 0; i < tape->parameter_count; i++)
        if (tape->parameters[i].value == trained->scale) return OCTET_OK;
    const char *const scale = octet_arena_format(tape->arena, "%s.scale", name);
    const char *const zero  = octet_arena_format(tape->arena, "%s.zero_point", name);
    if (!scale || !zero) return octet_fail_memory(err);
    tape->parameters[tape->parameter_count++] =
        (octet_parameter){ scale, OCTET_PARAMETER_SCALE, OCTET_F32, trained->scale, trained->scale_gradient, channels };
    if (!trained->quantizer.symmetric)
        tape->parameters[tape->parameter_count++] = (octet_parameter){
            zero, OCTET_PARAMETER_ZERO_POINT, OCTET_F32, trained->zero_point, trained->zero_point_gradient, channels
        };
    return OCTET_OK;
}

octet_status octet_batch_norm_parameters(octet_tape *tape, octet_tape_linear *linear, const octet_batch_norm *norm,
                                    octet_error *err)
{
    const size_t        count = (size_t)norm->channels;
    const new_parameter gamma = { norm->name, ".gamma", OCTET_PARAMETER_GAMMA, norm->gamma, count };
    const new_parameter beta  = { norm->name, ".beta", OCTET_PARAMETER_BETA, norm->beta, count };
    OCTET_TRY(add_parameter(&linear->gamma, tape, &gamma, err));
    OCTET_TRY(add_parameter(&linear->beta, tape, &beta, err));
    OCTET_TRY(add_statistic(&linear->mean, tape, norm->name, norm->mean, count, err));
    OCTET_TRY(add_statistic(&linear->variance, tape, norm->name, norm->variance, count, err));
    linear->epsilon  = norm->epsilon;
    linear->momentum = norm->momentum;
    return OCTET_OK;
}
