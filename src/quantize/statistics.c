/* SPDX-License-Identifier: Apache-2.0 */
/* From a graph's observers to statistics and back, and two of them as one. */
#include "quantize/statistics.h"

#include "graph/identity.h"

#include <stdlib.h>
#include <string.h>

void octet_statistics_free(octet_statistics *s)
{
    if (s) octet_arena_free(s->arena);
}

size_t      octet_statistics_count(const octet_statistics *s) { return s->sample_count; }
const char *octet_statistics_recipe(const octet_statistics *s) { return s->recipe; }

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void octet_sort_identities(uint64_t *identities, size_t count)
{
    if (count) qsort(identities, count, sizeof *identities, by_value);
}

/* ---- what a graph would fill ---- */

static const char *hex(octet_arena *arena, const octet_hash *hash)
{
    return octet_arena_format(arena, "%016llx", (unsigned long long)octet_hash_value(hash));
}

static octet_status name_all(octet_statistics *s, const octet_calibration *c, octet_hash *observed, octet_error *err)
{
    OCTET_TRY(octet_arena_get(&s->values, s->arena, c->group_count, sizeof *s->values, err));
    OCTET_TRY(octet_arena_get(&s->sums, s->arena, c->mean_count, sizeof *s->sums, err));
    for (size_t i = 0; i < c->group_count; i++) {
        octet_seen_values *const v = &s->values[s->value_count++];
        v->name                    = octet_arena_copy(s->arena, c->groups[i].representative->name);
        octet_hash_add_text(observed, v->name);
        if (!v->name) return octet_fail_memory(err);
    }
    octet_hash_add_text(observed, NULL);
    for (size_t i = 0; i < c->mean_count; i++) {
        octet_seen_sums *const m = &s->sums[s->sum_count++];
        m->name                  = octet_arena_copy(s->arena, c->means[i].value->name);
        octet_hash_add_text(observed, m->name);
        if (!m->name) return octet_fail_memory(err);
    }
    return OCTET_OK;
}

static octet_status describe(octet_statistics *s, const octet_graph *graph, const octet_recipe *recipe,
                             octet_error *err)
{
    const octet_calibration *const c = graph->calibration;
    octet_hash                     structure, weights, observed;
    char                           text[1024];
    octet_graph_identify(&structure, &weights, graph);
    octet_hash_begin(&observed);
    OCTET_TRY(name_all(s, c, &observed, err));
    s->structure = hex(s->arena, &structure);
    s->weights   = hex(s->arena, &weights);
    s->observed  = hex(s->arena, &observed);
    s->qconfig   = octet_arena_copy(s->arena, c->qconfig.name ? c->qconfig.name : "");
    s->target    = octet_arena_copy(s->arena, c->target->name);
    if (recipe && recipe->given) {
        OCTET_TRY(octet_recipe_print(text, sizeof text, recipe, err));
        s->recipe = octet_arena_copy(s->arena, text);
        if (!s->recipe) return octet_fail_memory(err);
    }
    return s->structure && s->weights && s->observed && s->qconfig && s->target ? OCTET_OK : octet_fail_memory(err);
}

octet_status octet_statistics_new(octet_statistics **statistics, const octet_graph *graph, const octet_recipe *recipe,
                                  octet_error *err)
{
    octet_statistics  *s;
    octet_arena *const arena = octet_arena_new();
    *statistics              = NULL;
    if (!arena) return octet_fail_memory(err);
    octet_status status = octet_arena_get(&s, arena, 1, sizeof *s, err);
    if (status == OCTET_OK) {
        s->arena = arena;
        status   = describe(s, graph, recipe, err);
    }
    if (status == OCTET_OK) *statistics = s;
    else octet_arena_free(arena);
    return status;
}

octet_status octet_statistics_check(const octet_statistics *s, const octet_statistics *other, octet_error *err)
{
    const struct {
        const char *what, *a, *b;
    } rows[] = {
        { "network", s->structure, other->structure },
        { "network (its weights differ)", s->weights, other->weights },
        { "qconfig, target or choice of layers", s->observed, other->observed },
        { "recipe", s->recipe ? s->recipe : "none", other->recipe ? other->recipe : "none" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].a, rows[i].b) != 0)
            return octet_fail(err, OCTET_ERR_ARGUMENT, "statistics of another %s (got %.60s, need %.60s)", rows[i].what,
                              rows[i].b, rows[i].a);
    return OCTET_OK;
}

/* ---- from a graph ---- */

static octet_status take_bins(octet_seen_values *v, octet_arena *arena, const octet_histogram *histogram,
                              octet_error *err)
{
    for (size_t i = 0; i < OCTET_HISTOGRAM_BINS; i++) v->bin_count += histogram->counts[i] != 0;
    OCTET_TRY(octet_arena_get(&v->bins, arena, v->bin_count, sizeof *v->bins, err));
    v->bin_count = 0;
    for (size_t i = 0; i < OCTET_HISTOGRAM_BINS; i++)
        if (histogram->counts[i]) v->bins[v->bin_count++] = (octet_count){ (uint32_t)i, histogram->counts[i] };
    return OCTET_OK;
}

static octet_status take_sums(octet_seen_sums *m, octet_arena *arena, const octet_mean *mean,
                              const octet_samples *samples, octet_error *err)
{
    int64_t *room;
    if (!mean->sum) return OCTET_OK;
    m->count = mean->count;
    m->sum   = octet_arena_copy_bytes(arena, mean->sum, mean->count * sizeof *mean->sum);
    m->fine  = octet_arena_copy_bytes(arena, mean->fine, mean->count * sizeof *mean->fine);
    OCTET_TRY(octet_arena_get(&room, arena, mean->count, sizeof *room, err));
    if (!m->sum || !m->fine) return octet_fail_memory(err);
    octet_samples_order_sums(samples, mean->value, m->sum, room);
    octet_samples_order_sums(samples, mean->value, m->fine, room);
    return OCTET_OK;
}

octet_status octet_statistics_take(octet_statistics *s, const octet_graph *graph, const octet_samples *samples,
                                   octet_error *err)
{
    const octet_calibration *const c = graph->calibration;
    for (size_t i = 0; i < s->value_count; i++) {
        const octet_observer *const o = &c->groups[i].observer;
        octet_seen_values *const    v = &s->values[i];
        v->range                      = o->range;
        v->count                      = o->count;
        v->rejected                   = o->rejected;
        OCTET_TRY(take_bins(v, s->arena, o->histogram, err));
    }
    for (size_t i = 0; i < s->sum_count; i++) OCTET_TRY(take_sums(&s->sums[i], s->arena, &c->means[i], samples, err));
    return OCTET_OK;
}

/* ---- to a graph ---- */

static octet_status apply_sums(octet_mean *mean, const octet_seen_sums *m, octet_arena *arena, octet_error *err)
{
    const octet_tensor form = octet_value_tensor(mean->value, 1);
    if (!m->count) return OCTET_OK;
    if ((int64_t)m->count != octet_tensor_count(&form)) {
        octet_error_node(err, m->name);
        return octet_fail(err, OCTET_ERR_FORMAT, "statistics hold %zu sums (need %lld)", m->count,
                          (long long)octet_tensor_count(&form));
    }
    mean->count = m->count;
    mean->sum   = octet_arena_copy_bytes(arena, m->sum, m->count * sizeof *m->sum);
    mean->fine  = octet_arena_copy_bytes(arena, m->fine, m->count * sizeof *m->fine);
    return mean->sum && mean->fine ? OCTET_OK : octet_fail_memory(err);
}

static octet_status apply_all(const octet_statistics *s, octet_graph *graph, const octet_statistics *own,
                              octet_error *err)
{
    octet_calibration *const c    = graph->calibration;
    octet_statistics         like = *own;
    like.recipe                   = s->recipe; /* samples may be there without being run */
    OCTET_TRY(octet_statistics_check(&like, s, err));
    for (size_t i = 0; i < s->value_count; i++) {
        octet_observer *const          o = &c->groups[i].observer;
        const octet_seen_values *const v = &s->values[i];
        o->range                         = v->range;
        o->count                         = v->count;
        o->rejected                      = v->rejected;
        for (size_t b = 0; b < v->bin_count; b++) o->histogram->counts[v->bins[b].bin] += v->bins[b].count;
    }
    for (size_t i = 0; i < s->sum_count; i++) OCTET_TRY(apply_sums(&c->means[i], &s->sums[i], graph->arena, err));
    c->samples = s->sample_count;
    return OCTET_OK;
}

octet_status octet_statistics_apply(const octet_statistics *s, octet_graph *graph, octet_error *err)
{
    octet_statistics *own;
    OCTET_TRY(octet_statistics_new(&own, graph, NULL, err));
    octet_status status = apply_all(s, graph, own, err);
    octet_statistics_free(own);
    return status;
}

/* ---- two as one ---- */

static octet_status merge_bins(octet_seen_values *v, const octet_seen_values *from, octet_arena *arena,
                               octet_error *err)
{
    octet_count *all;
    size_t       n = 0, a = 0, b = 0;
    OCTET_TRY(octet_arena_get(&all, arena, v->bin_count + from->bin_count, sizeof *all, err));
    while (a < v->bin_count || b < from->bin_count) {
        const bool first  = b == from->bin_count || (a < v->bin_count && v->bins[a].bin <= from->bins[b].bin);
        const bool second = a == v->bin_count || (b < from->bin_count && from->bins[b].bin <= v->bins[a].bin);
        all[n].bin        = first ? v->bins[a].bin : from->bins[b].bin;
        if (first) all[n].count += v->bins[a++].count;
        if (second) all[n].count += from->bins[b++].count;
        n++;
    }
    v->bins      = all;
    v->bin_count = n;
    return OCTET_OK;
}

static octet_status merge_sums(octet_seen_sums *m, const octet_seen_sums *from, octet_arena *arena, octet_error *err)
{
    if (from->count && !m->count) {
        m->count = from->count;
        OCTET_TRY(octet_arena_get(&m->sum, arena, m->count, sizeof *m->sum, err));
        OCTET_TRY(octet_arena_get(&m->fine, arena, m->count, sizeof *m->fine, err));
    }
    if (from->count && from->count != m->count) {
        octet_error_node(err, m->name);
        return octet_fail(err, OCTET_ERR_FORMAT, "statistics hold %zu sums (need %zu)", from->count, m->count);
    }
    for (size_t i = 0; i < from->count; i++)
        if (__builtin_add_overflow(m->sum[i], from->sum[i], &m->sum[i]) ||
            __builtin_add_overflow(m->fine[i], from->fine[i], &m->fine[i])) {
            octet_error_node(err, m->name);
            return octet_fail(err, OCTET_ERR_FORMAT, "a sum of statistics overflows");
        }
    return OCTET_OK;
}

static octet_status merge_samples(octet_statistics *into, size_t *shared, const octet_statistics *other,
                                  octet_error *err)
{
    uint64_t *all;
    size_t    a = 0, b = 0, n = 0, same = 0;
    OCTET_TRY(octet_arena_get(&all, into->arena, into->sample_count + other->sample_count, sizeof *all, err));
    while (a < into->sample_count || b < other->sample_count) {
        const bool first = b == other->sample_count ||
                           (a < into->sample_count && into->samples[a] <= other->samples[b]);
        same += first && b < other->sample_count && into->samples[a] == other->samples[b];
        all[n++] = first ? into->samples[a++] : other->samples[b++];
    }
    into->samples      = all;
    into->sample_count = n;
    if (shared) *shared = same;
    return OCTET_OK;
}

octet_status octet_statistics_merge(octet_statistics *into, size_t *shared, const octet_statistics *other,
                                    octet_error *err)
{
    OCTET_TRY(octet_statistics_check(into, other, err));
    for (size_t i = 0; i < into->value_count; i++) {
        octet_seen_values *const       v    = &into->values[i];
        const octet_seen_values *const from = &other->values[i];
        OCTET_TRY(merge_bins(v, from, into->arena, err));
        v->range = octet_range_union(v->range, from->range);
        v->count += from->count;
        v->rejected += from->rejected;
    }
    for (size_t i = 0; i < into->sum_count; i++)
        OCTET_TRY(merge_sums(&into->sums[i], &other->sums[i], into->arena, err));
    return merge_samples(into, shared, other, err);
}
