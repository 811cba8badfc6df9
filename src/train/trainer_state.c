/* SPDX-License-Identifier: Apache-2.0 */
/* What a trainer's next steps depend on. State has two parts: parameters, and what a forward pass moves (statistics,
   FakeQuantize); together they are what would ship. A checkpoint has both, the optimizer's memory, a few numbers. */
#include "train/options.h"
#include "train/trainer.h"

#include <string.h>

/* ---- flat ---- */

static size_t bytes_of(const octet_parameter *parameters, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += parameters[i].count * octet_dtype_size(parameters[i].dtype);
    return bytes;
}

/* Both return where they ended. */
static char *get_all(char *to, const octet_parameter *parameters, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const size_t bytes = bytes_of(&parameters[i], 1);
        memcpy(to, parameters[i].value, bytes);
        to += bytes;
    }
    return to;
}

static const char *put_all(const octet_parameter *parameters, size_t count, const char *from)
{
    for (size_t i = 0; i < count; i++) {
        const size_t bytes = bytes_of(&parameters[i], 1);
        memcpy(parameters[i].value, from, bytes);
        from += bytes;
    }
    return from;
}

/* Every FakeQuantize, one after the other, as numbers. */
static size_t packed_size(const octet_trainer *t)
{
    size_t numbers = 0;
    for (size_t i = 0; i < t->trained_count; i++) numbers += octet_trained_size(t->trained[i]);
    return numbers;
}

static void pack_all(float *to, const octet_trainer *t)
{
    for (size_t i = 0; i < t->trained_count; to += octet_trained_size(t->trained[i++]))
        octet_trained_pack(to, t->trained[i]);
}

static void unpack_all(octet_trainer *t, const float *from)
{
    for (size_t i = 0; i < t->trained_count; from += octet_trained_size(t->trained[i++]))
        octet_trained_unpack(t->trained[i], from);
}

size_t octet_trainer_moving_size(const octet_trainer *trainer)
{
    return bytes_of(trainer->layout.statistics, trainer->layout.statistic_count) + packed_size(trainer) * sizeof(float);
}

void octet_trainer_moving_get(void *to, const octet_trainer *trainer)
{
    const octet_trainer_layout *const l = &trainer->layout;
    pack_all((float *)(void *)get_all(to, l->statistics, l->statistic_count), trainer);
}

void octet_trainer_moving_set(octet_trainer *trainer, const void *from)
{
    const octet_trainer_layout *const l = &trainer->layout;
    unpack_all(trainer, (const float *)(const void *)put_all(l->statistics, l->statistic_count, from));
}

size_t octet_trainer_state_size(const octet_trainer *trainer)
{
    return bytes_of(trainer->layout.parameters, trainer->layout.parameter_count) + octet_trainer_moving_size(trainer);
}

void octet_trainer_state_get(void *to, const octet_trainer *trainer)
{
    octet_trainer_moving_get(get_all(to, trainer->layout.parameters, trainer->layout.parameter_count), trainer);
}

void octet_trainer_state_set(octet_trainer *trainer, const void *from)
{
    octet_trainer_moving_set(trainer, put_all(trainer->layout.parameters, trainer->layout.parameter_count, from));
    trainer->stale = true;
}

/* ---- checkpoints ---- */

/* Sections that point at the trainer's own arrays, and at copies of what is no plain array. */
typedef struct sections {
    octet_arena   *arena;
    octet_section *list;
    size_t         count;
    float         *packed; /* FakeQuantize, one after the other */
    size_t         packed_count;
    uint64_t      *updates; /* of every parameter */
} sections;

static octet_status add(sections *s, const char *of, const char *name, octet_section section)
{
    section.name = of ? octet_arena_format(s->arena, "%s of %s", of, name) : name;
    if (!section.name) return OCTET_ERR_MEMORY;
    s->list[s->count++] = section;
    return OCTET_OK;
}

static octet_status add_parameter(sections *s, const octet_parameter *p, const octet_moments *m)
{
    OCTET_TRY(add(s, NULL, p->name, (octet_section){ NULL, p->dtype, p->value, p->count }));
    if (m && m->first)
        OCTET_TRY(add(s, "first moment", p->name, (octet_section){ NULL, p->dtype, m->first, p->count }));
    if (m && m->second)
        OCTET_TRY(add(s, "second moment", p->name, (octet_section){ NULL, p->dtype, m->second, p->count }));
    return OCTET_OK;
}

/* own: the caller's bytes, or nothing. */
static octet_status add_all(sections *s, octet_trainer *t, const octet_section *own)
{
    const octet_trainer_layout *const l = &t->layout;
    octet_trainer_scalars *const      scalars = &t->scalars;
    OCTET_TRY(add(s, NULL, "step", (octet_section){ NULL, OCTET_U64, &scalars->step, 1 }));
    OCTET_TRY(add(s, NULL, "learning rate", (octet_section){ NULL, OCTET_F64, &scalars->learning_rate, 1 }));
    OCTET_TRY(add(s, NULL, "batch norm", (octet_section){ NULL, OCTET_U64, &scalars->batch_norm_frozen, 1 }));
    for (size_t i = 0; i < l->parameter_count; i++)
        OCTET_TRY(add_parameter(s, &l->parameters[i], &l->mover->moments[i]));
    for (size_t i = 0; i < l->statistic_count; i++) OCTET_TRY(add_parameter(s, &l->statistics[i], NULL));
    OCTET_TRY(add(s, NULL, "updates", (octet_section){ NULL, OCTET_U64, s->updates, l->parameter_count }));
    OCTET_TRY(add(s, NULL, "FakeQuantize", (octet_section){ NULL, OCTET_F32, s->packed, s->packed_count }));
    return add(s, NULL, "own", *own);
}

static octet_status make_sections(sections *s, octet_trainer *t, const octet_section *own, octet_error *err)
{
    const octet_trainer_layout *const l = &t->layout;
    s->packed_count = packed_size(t);
    const size_t most = 6 + 3 * l->parameter_count + l->statistic_count;
    OCTET_TRY(octet_arena_get(&s->list, s->arena, most, sizeof *s->list, err));
    OCTET_TRY(octet_arena_get(&s->packed, s->arena, s->packed_count, sizeof *s->packed, err));
    OCTET_TRY(octet_arena_get(&s->updates, s->arena, l->parameter_count, sizeof *s->updates, err));
    for (size_t i = 0; i < l->parameter_count; i++) s->updates[i] = l->mover->moments[i].steps;
    pack_all(s->packed, t);
    return add_all(s, t, own) == OCTET_OK ? OCTET_OK : octet_fail_memory(err);
}

static octet_status describe(octet_checkpoint *c, const octet_trainer *t, const sections *s, octet_error *err)
{
    const char *const options = octet_train_describe(s->arena, &t->options);
    c->identity = options ? octet_arena_format(s->arena, "%s%s", t->identity, options) : NULL;
    c->sections               = s->list;
    c->count                  = s->count;
    return c->identity ? OCTET_OK : octet_fail_memory(err);
}

static octet_status save(octet_trainer *t, const char *path, sections *s, octet_error *err)
{
    octet_checkpoint checkpoint;
    OCTET_TRY(describe(&checkpoint, t, s, err));
    return octet_checkpoint_write(path, &checkpoint, err);
}

/* What is read, though its hash is right, must be a state that the arithmetic can go on from. */
static octet_status check_state(const octet_trainer *t, const float *packed, octet_error *err)
{
    for (size_t i = 0; i < t->trained_count; packed += octet_trained_size(t->trained[i++]))
        if (!octet_trained_could_be(packed, t->trained[i]))
            return octet_fail(err, OCTET_ERR_FORMAT, "FakeQuantize %zu has a scale, zero point or range that cannot be",
                              i);
    return OCTET_OK;
}

static void take_over(octet_trainer *t, const sections *s)
{
    unpack_all(t, s->packed);
    for (size_t i = 0; i < t->layout.parameter_count; i++) t->layout.mover->moments[i].steps = s->updates[i];
    octet_trainer_freeze_batch_norm(t, t->scalars.batch_norm_frozen != 0);
    t->stale = true;
}

/* Reads into memory of its own first: a file that is refused changes nothing. */
static octet_status load(octet_trainer *t, const char *path, sections *s, octet_error *err)
{
    octet_checkpoint checkpoint;
    octet_section   *fresh;
    const float     *packed = NULL;
    OCTET_TRY(describe(&checkpoint, t, s, err));
    OCTET_TRY(octet_arena_get(&fresh, s->arena, s->count, sizeof *fresh, err));
    for (size_t i = 0; i < s->count; i++) {
        fresh[i] = s->list[i];
        OCTET_TRY(octet_arena_get(&fresh[i].data, s->arena, fresh[i].count, octet_dtype_size(fresh[i].dtype), err));
        if (s->list[i].data == s->packed) packed = fresh[i].data;
    }
    checkpoint.sections = fresh;
    OCTET_TRY(octet_checkpoint_read(path, &checkpoint, err));
    const octet_status status = check_state(t, packed, err);
    if (status != OCTET_OK) octet_error_file(err, path);
    OCTET_TRY(status);
    for (size_t i = 0; i < s->count; i++)
        if (fresh[i].count) memcpy(s->list[i].data, fresh[i].data, fresh[i].count * octet_dtype_size(fresh[i].dtype));
    take_over(t, s);
    return OCTET_OK;
}

typedef octet_status (*file_work)(octet_trainer *t, const char *path, sections *s, octet_error *err);

static octet_status with_sections(file_work work, octet_trainer *t, const char *path, const octet_section *own,
                                  octet_error *err)
{
    sections s = { .arena = octet_arena_new() };
    if (!s.arena) return octet_fail_memory(err);
    octet_status status = make_sections(&s, t, own, err);
    if (status == OCTET_OK) status = work(t, path, &s, err);
    octet_arena_free(s.arena);
    return status;
}

octet_status octet_trainer_save_with(const octet_trainer *trainer, const char *path, const void *own, size_t size,
                                     octet_error *err)
{
    const octet_section section = { .dtype = OCTET_U8, .data = (void *)(uintptr_t)own, .count = size };
    return with_sections(save, (octet_trainer *)(uintptr_t)trainer, path, &section, err); /* both are read only */
}

octet_status octet_trainer_load_with(octet_trainer *trainer, const char *path, void *own, size_t size,
                                     octet_error *err)
{
    const octet_section section = { .dtype = OCTET_U8, .data = own, .count = size };
    return with_sections(load, trainer, path, &section, err);
}

octet_status octet_trainer_save(const octet_trainer *trainer, const char *path, octet_error *err)
{
    return octet_trainer_save_with(trainer, path, NULL, 0, err);
}

octet_status octet_trainer_load(octet_trainer *trainer, const char *path, octet_error *err)
{
    return octet_trainer_load_with(trainer, path, NULL, 0, err);
}
