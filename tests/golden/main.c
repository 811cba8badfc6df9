/* SPDX-License-Identifier: Apache-2.0 */
/* build/tests/golden [DIR]: every case of the index goes to the first group whose pattern fits its name, or is skipped
   by name. DIR: OCTET_GOLDEN, else golden/ in OCTET_SHARED or ../shared. Exit 0 only if something passed and nothing
   failed. */
#include "golden.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct group {
    const char *pattern;
    void (*check)(golden_case *c); /* NULL: what is named does not exist yet */
    const char *missing;
} group;

/* In order: the first match decides. */
static const group groups[] = {
    { "observers/minmax/*", golden_observers, NULL },
    { "observers/moving_avg*", golden_observers, NULL },
    { "observers/per_channel_*", golden_observers, NULL },
    { "observers/streams", NULL, "input data of other cases" },
    { "observers/histogram*", golden_histogram, NULL },
    { "observers/fixed_qparams", golden_fixed, NULL },
    { "observers/fused_moving_avg_fake_quant", golden_fused, NULL },
    { "quantize/double_scale", golden_double_scale, NULL },
    { "quantize/*", golden_quantize, NULL },
    { "fake_quant/*", golden_fake_quant, NULL },
    { "fuse/*", golden_fuse, NULL },
    { "equalize/*", golden_equalize, NULL },
    { "qat/module_*", golden_qat_module, NULL },
    { "qat/train_*", golden_qat_train, NULL },
    { "ops/conv_transpose*", golden_conv_transpose, NULL },
    { "ops/interpolate*", golden_interpolate, NULL },
    { "ops/batch_norm2d*", golden_batch_norm, NULL },
    { "ops/layer_norm*", golden_layer_norm, NULL },
    { "ops/group_norm", golden_group_norm, NULL },
    { "ops/instance_norm", golden_instance_norm, NULL },
    { "ops/pad_*", golden_pad, NULL },
    { "ops/channel_shuffle", golden_shuffle, NULL },
    { "ops/conv1d_*", golden_mac, NULL },
    { "ops/conv2d_*", golden_mac, NULL },
    { "ops/linear_dynamic*", golden_linear_dynamic, NULL },
    { "ops/linear_*", golden_mac, NULL },
    { "ops/matmul*", golden_matmul, NULL },
    { "ops/add_scalar*", golden_scalar, NULL },
    { "ops/add*", golden_add, NULL },
    { "ops/mul_scalar*", golden_scalar, NULL },
    { "ops/mul*", golden_mul, NULL },
    { "ops/sigmoid*", golden_function, NULL },
    { "ops/tanh*", golden_function, NULL },
    { "ops/hardsigmoid*", golden_function, NULL },
    { "ops/hardswish*", golden_function, NULL },
    { "ops/leaky_relu*", golden_function, NULL },
    { "ops/elu*", golden_function, NULL },
    { "ops/celu*", golden_function, NULL },
    { "ops/gelu*", golden_function, NULL },
    { "ops/prelu*", golden_prelu, NULL },
    { "ops/softmax*", golden_softmax, NULL },
    { "ops/threshold*", golden_threshold, NULL },
    { "ops/relu6*", golden_clip, NULL },
    { "ops/hardtanh*", golden_clip, NULL },
    { "ops/clamp*", golden_clip, NULL },
    { "ops/cat*", golden_cat, NULL },
    { "ops/relu_*", golden_relu, NULL },
    { "ops/max_pool*", golden_max_pool, NULL },
    { "ops/avg_pool*", golden_average_pool, NULL },
    { "ops/adaptive_avg_pool*", golden_adaptive, NULL },
    { "ops/mean_*", golden_mean, NULL },
    { "ops/*", NULL, NULL },
    { "seed/distribution", NULL, "seed: numbers of models that are not recorded" },
    { "seed/*/fake_vs_true", golden_seed_fake, NULL },
    { "seed/*/weight_or_activation_only", golden_seed_one_sided, NULL },
    { "seed/*", golden_seed_flow, NULL },
    { "zoo/*", golden_zoo, NULL },
    { "bias_correction/*", golden_bias_correction, NULL },
    { "numeric_suite/*", golden_numeric_suite, NULL },
    { "dynamic/*", golden_dynamic, NULL },
    { "*", NULL, NULL },
};

/* ---- skipped cases, by reason ---- */

enum { REASONS = 256 };
typedef struct reason {
    char   text[96];
    size_t cases;
} reason;

typedef struct totals {
    size_t passed, failed, skipped, reason_count;
    reason reasons[REASONS];
} totals;

static void count_skipped(totals *t, const char *text)
{
    size_t i = 0;
    while (i < t->reason_count && strcmp(t->reasons[i].text, text) != 0) i++;
    if (i == REASONS) i--;
    if (i == t->reason_count) snprintf(t->reasons[t->reason_count++].text, sizeof t->reasons[0].text, "%s", text);
    t->reasons[i].cases++;
    t->skipped++;
}

/* "ops/hardtanh_4d": operator hardtanh; "zoo/mlp/s0": group zoo. What follows "_" and a digit is a variant. */
static void name_missing(char *text, size_t size, const char *name)
{
    const bool operator = !strncmp(name, "ops/", 4);
    char part[80];
    snprintf(part, sizeof part, "%s", operator ? name + 4 : name);
    if (!operator) part[strcspn(part, "/")] = 0;
    for (char *at = operator ? strchr(part, '_') : NULL; at; at = strchr(at + 1, '_'))
        if (at[1] == '-' || (at[1] >= '0' && at[1] <= '9')) *at = 0;
    snprintf(text, size, "%s %s", operator ? "operator" : "group", part);
}

/* ---- cases ---- */

static void run_case(totals *t, golden_run *run, const group *g, const char *name)
{
    char path[4096];
    json_error_t error;
    golden_case c = { .run = run, .name = name, .arena = octet_arena_new() };
    snprintf(path, sizeof path, "%s/%s/manifest.json", run->root, name);
    json_t *const manifest = json_load_file(path, 0, &error);
    c.manifest = manifest;
    if (!manifest || !c.arena) golden_fail(&c, "manifest: %s", error.text);
    else g->check(&c);
    if (c.failed) t->failed++;
    else if (c.skipped[0]) count_skipped(t, c.skipped);
    else if (c.compared) t->passed++;
    else {
        golden_fail(&c, "nothing was compared");
        t->failed++;
    }
    json_decref(manifest);
    octet_arena_free(c.arena);
}

static void run_named(totals *t, golden_run *run, const char *name)
{
    const group *g = groups;
    while (!octet_glob_match(g->pattern, name)) g++;
    if (g->check) {
        run_case(t, run, g, name);
        return;
    }
    char text[96];
    name_missing(text, sizeof text, name);
    count_skipped(t, g->missing ? g->missing : text);
}

static void report(const golden_run *run, const totals *t)
{
    printf("\n| what | elements | differing | first in |\n|---|---|---|---|\n");
    for (size_t i = 0; i < run->row_count; i++)
        printf("| %s | %zu | %zu | %s |\n", run->rows[i].what, run->rows[i].elements, run->rows[i].differing,
               run->rows[i].first);
    printf("\n");
    for (size_t i = 0; i < t->reason_count; i++)
        printf("skipped %zu: %s\n", t->reasons[i].cases, t->reasons[i].text);
    printf("%zu passed, %zu failed, %zu skipped\n", t->passed, t->failed, t->skipped);
}

static void find_root(char *root, size_t size, int argc, char **argv)
{
    const char *const golden = getenv("OCTET_GOLDEN"), *const shared = getenv("OCTET_SHARED");
    if (argc > 1) snprintf(root, size, "%s", argv[1]);
    else if (golden && *golden) snprintf(root, size, "%s", golden);
    else snprintf(root, size, "%s/golden", shared && *shared ? shared : "../shared");
}

enum { NO_VECTORS = 77 }; /* what meson takes as a skipped test: none given, none where they usually are */

/* All cases of one folder's index; false: there is none. */
static bool run_folder(totals *t, golden_run *run, const char *root)
{
    char path[4096];
    json_error_t error;
    size_t index;
    json_t *item;
    run->root = root;
    snprintf(path, sizeof path, "%s/index.json", root);
    json_t *const file = json_load_file(path, 0, &error);
    const json_t *const cases = json_is_array(file) ? file : json_object_get(file, "cases");
    if (!json_is_array(cases)) {
        fprintf(stderr, "%s: %s\n", path, file ? "no list of cases" : error.text);
        t->failed += file != NULL;
        return file != NULL;
    }
    json_array_foreach((json_t *)cases, index, item) {
        const char *const name = json_string_value(json_object_get(item, "case"));
        if (name) run_named(t, run, name);
        else t->failed++;
    }
    json_decref(file);
    return true;
}

/* Without DIR, also the set of other engines that lies in a folder of its own. */
int main(int argc, char **argv)
{
    static golden_run run;
    static totals t;
    char root[3000], others[3100];
    find_root(root, sizeof root, argc, argv);
    if (!run_folder(&t, &run, root)) return argc > 1 ? 1 : NO_VECTORS;
    snprintf(others, sizeof others, "%s/x86", root);
    if (argc < 2) run_folder(&t, &run, others);
    report(&run, &t);
    return t.failed || !t.passed;
}
