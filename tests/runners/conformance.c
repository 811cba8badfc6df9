/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX's own test cases: folders with model.onnx and test_data_set_N/{input,output}_N.pb. Each is loaded, planned, run
   and compared; one line per failure with the first difference, then the counts. A case that needs an operator, type
   or opset octet does not have is skipped, and every reason is counted.

   conformance [DIR] [NAME]    all cases below DIR; with NAME only those whose path contains it
   conformance --markdown [DIR]  the end of docs/operators.md: every case that is not passed, and why */
#include <octet/octet.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/text.h"
#include "onnx/tensor_proto.h"
#include "ops/wide.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_PORTS = 64, MOST_REASONS = 1024, MOST_CASES = 8192, PATH_SIZE = 1024 };

/* ONNX's own runner allows 1e-3 of each number; most of our results differ in the last bits only. */
static const double RELATIVE = 1e-5, OF_LARGEST = 1e-6, RELATIVE_HALF = 1e-3;

/* Of cases that ONNX computed in bfloat16 throughout, where octet rounds once, at the end: two of its last bits,
   and of the largest number half of one. */
static const double RELATIVE_BFLOAT = 1.0 / 64, LARGEST_BFLOAT = 1.0 / 256;

typedef struct reason {
    char   text[320];
    size_t count;
} reason;

typedef struct tally {
    size_t passed, failed, skipped, reason_count;
    bool   lists; /* every skipped case, as a row of a table */
    reason reasons[MOST_REASONS];
} tally;

typedef struct data_set {
    octet_tensor inputs[MOST_PORTS], outputs[MOST_PORTS];
    size_t       input_count, output_count;
    bool         rounded; /* the outputs were recorded with four decimals or so */
    bool         in_bfloat; /* every step was rounded to bfloat16 */
} data_set;

/* ---- reading ---- */

static octet_status read_tensors(octet_tensor *tensors, size_t *count, const char *folder, const char *what,
                                 octet_arena *arena, octet_error *err)
{
    char path[PATH_SIZE + 64];
    for (*count = 0; *count < MOST_PORTS; (*count)++) {
        octet_file file = {0};
        snprintf(path, sizeof path, "%s/%s_%zu.pb", folder, what, *count);
        if (access(path, F_OK) != 0) return OCTET_OK;
        OCTET_TRY(octet_file_read(&file, path, 0, err));
        const octet_status status = octet_tensor_proto_read(&tensors[*count], NULL, file.data, file.size, arena, err);
        octet_file_close(&file);
        if (status != OCTET_OK) octet_error_file(err, path);
        OCTET_TRY(status);
    }
    return OCTET_OK;
}

/* Cases whose recorded numbers are off by up to 1e-4: typed in with four decimals, inputs too; computed with 3.1415 for
   pi. */
static bool is_rounded(const char *folder)
{
    static const char *const cases[] = {"*/test_gridsample_bicubic/*", "*/test_roialign_aligned_*/*",
                                        "*/test_blackmanwindow*", "*/test_hammingwindow*", "*/test_hannwindow*",
                                        "*/test_averagepool_2d_ceil_last_window_starts_on_pad/*"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (octet_glob_match(cases[i], folder)) return true;
    return false;
}

static octet_status read_data_set(data_set *set, const char *folder, octet_arena *arena, octet_error *err)
{
    set->rounded = is_rounded(folder);
    set->in_bfloat = octet_glob_match("*/test_attention_*_bf16*", folder);
    OCTET_TRY(read_tensors(set->inputs, &set->input_count, folder, "input", arena, err));
    return read_tensors(set->outputs, &set->output_count, folder, "output", arena, err);
}

/* ---- comparing ---- */

static double element(const octet_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case OCTET_F32:
        return (double)((const float *)t->data)[i];
    case OCTET_F64:
        return ((const double *)t->data)[i];
    case OCTET_F16:
        return octet_half_to_double(((const uint16_t *)t->data)[i]);
    case OCTET_BF16:
        return octet_bfloat_to_double(((const uint16_t *)t->data)[i]);
    default:
        return 0.0;
    }
}

static double largest(const octet_tensor *t)
{
    const int64_t count = octet_tensor_count(t);
    double        most = 0.0;
    for (int64_t i = 0; i < count; i++) {
        const double size = fabs(element(t, i));
        if (isfinite(size) && size > most) most = size;
    }
    return most;
}

static octet_status compare_floats(const octet_tensor *got, const octet_tensor *want, size_t output, octet_error *err)
{
    const double  floor = OF_LARGEST * largest(want), relative = want->dtype == OCTET_F16 ? RELATIVE_HALF : RELATIVE;
    const int64_t count = octet_tensor_count(want);
    for (int64_t i = 0; i < count; i++) {
        const double a = element(got, i), b = element(want, i);
        const bool   both_nan = isnan(a) && isnan(b);
        if (both_nan || a == b || fabs(a - b) <= relative * fabs(b) + floor) continue;
        return octet_fail(err, OCTET_ERR_ARGUMENT, "output %zu: element %lld of %lld is %.9g, not %.9g", output,
                          (long long)i, (long long)count, a, b);
    }
    return OCTET_OK;
}

static octet_status compare_bytes(const octet_tensor *got, const octet_tensor *want, size_t output, octet_error *err)
{
    const size_t         size = octet_dtype_size(want->dtype);
    const int64_t        count = octet_tensor_count(want);
    const unsigned char *a = got->data, *b = want->data;
    for (int64_t i = 0; i < count; i++, a += size, b += size) {
        uint64_t x = 0, y = 0;
        memcpy(&x, a, size);
        memcpy(&y, b, size);
        if (x != y)
            return octet_fail(err, OCTET_ERR_ARGUMENT, "output %zu: element %lld of %lld is 0x%llx, not 0x%llx", output,
                              (long long)i, (long long)count, (unsigned long long)x, (unsigned long long)y);
    }
    return OCTET_OK;
}

static octet_status compare(const octet_tensor *got, const octet_tensor *want, size_t output, octet_error *err)
{
    char a[128], b[128];
    bool same = got->rank == want->rank && got->dtype == want->dtype;
    for (int i = 0; same && i < want->rank; i++) same = got->dims[i] == want->dims[i];
    if (!same)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "output %zu: %s %s, not %s %s", output, octet_dtype_name(got->dtype),
                          octet_shape_text(a, sizeof a, got->dims, got->rank), octet_dtype_name(want->dtype),
                          octet_shape_text(b, sizeof b, want->dims, want->rank));
    return octet_dtype_is_float(want->dtype) ? compare_floats(got, want, output, err)
                                             : compare_bytes(got, want, output, err);
}

/* ---- running ---- */

/* Shapes may depend on values: first nothing is known when planning, then all inputs but the first, then all. */
static octet_status make_plan(octet_plan **plan, const octet_graph *graph, const data_set *set, octet_error *err)
{
    octet_status status = OCTET_ERR_UNSUPPORTED;
    for (size_t known = 0; known < 3 && status == OCTET_ERR_UNSUPPORTED; known++) {
        octet_tensor inputs[MOST_PORTS];
        memcpy(inputs, set->inputs, sizeof inputs);
        for (size_t i = 0; i < set->input_count; i++)
            if (known == 0 || (known == 1 && i == 0)) inputs[i].data = NULL;
        *err = (octet_error){0};
        status = octet_plan_create(plan, graph, &(octet_plan_options){.inputs = inputs}, err);
    }
    return status;
}

static void take_bfloats(const octet_tensor *t, const octet_tensor *recorded)
{
    const bool    fits = t->dtype == OCTET_BF16 && octet_tensor_count(t) == octet_tensor_count(recorded);
    const int64_t count = fits ? octet_tensor_count(t) : 0;
    const double  floor = LARGEST_BFLOAT * largest(recorded);
    for (int64_t i = 0; i < count; i++) {
        const double a = element(t, i), b = element(recorded, i);
        if (fabs(a - b) <= RELATIVE_BFLOAT * fabs(b) + floor)
            ((uint16_t *)t->data)[i] = ((const uint16_t *)recorded->data)[i];
    }
}

/* A number is the recorded one within what is_rounded says. */
static void take_decimals(const octet_tensor *t, const octet_tensor *recorded)
{
    float *const       x = t->data;
    const float *const want = recorded->data;
    const bool         floats = t->dtype == OCTET_F32 && recorded->dtype == OCTET_F32;
    const bool         fits = floats && octet_tensor_count(t) == octet_tensor_count(recorded);
    const int64_t      count = fits ? octet_tensor_count(t) : 0;
    for (int64_t i = 0; i < count; i++)
        if (fabs((double)x[i] - (double)want[i]) <= 1e-4) x[i] = want[i];
}

static octet_status run_and_compare(const octet_plan *plan, const data_set *set, octet_error *err)
{
    octet_workspace *workspace = NULL;
    octet_tensor     outputs[MOST_PORTS];
    octet_status     status = octet_workspace_create(&workspace, plan, err);
    if (status == OCTET_OK) status = octet_run(workspace, set->inputs, outputs, err);
    for (size_t i = 0; status == OCTET_OK && i < set->output_count; i++) {
        if (set->rounded) take_decimals(&outputs[i], &set->outputs[i]);
        if (set->in_bfloat) take_bfloats(&outputs[i], &set->outputs[i]);
        status = compare(&outputs[i], &set->outputs[i], i, err);
    }
    octet_workspace_free(workspace);
    return status;
}

/* ONNX's data hold bfloat16 as uint16. */
static void name_bfloats(octet_tensor *tensors, size_t count, const octet_graph *graph,
                         octet_port (*port)(const octet_graph *graph, size_t index))
{
    for (size_t i = 0; i < count; i++)
        if (tensors[i].dtype == OCTET_U16 && port(graph, i).dtype == OCTET_BF16) tensors[i].dtype = OCTET_BF16;
}

/* supported becomes true once the case has been planned: from then on nothing may go wrong. */
static octet_status run_data_set(bool *supported, const octet_graph *graph, data_set *set, octet_error *err)
{
    octet_plan *plan = NULL;
    if (set->input_count != octet_graph_input_count(graph) || set->output_count > octet_graph_output_count(graph))
        return octet_fail(err, OCTET_ERR_FORMAT, "the case has %zu inputs and %zu outputs, the model %zu and %zu",
                          set->input_count, set->output_count, octet_graph_input_count(graph),
                          octet_graph_output_count(graph));
    name_bfloats(set->inputs, set->input_count, graph, octet_graph_input);
    name_bfloats(set->outputs, set->output_count, graph, octet_graph_output);
    OCTET_TRY(make_plan(&plan, graph, set, err));
    *supported = true;
    const octet_status status = run_and_compare(plan, set, err);
    octet_plan_free(plan);
    return status;
}

static octet_status run_case(bool *supported, const char *folder, octet_error *err)
{
    octet_graph *graph = NULL;
    char         path[PATH_SIZE + 32];
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    octet_status status = octet_graph_load(&graph, path, err);
    for (int i = 0; status == OCTET_OK; i++) {
        octet_arena *const arena = octet_arena_new();
        data_set           set = {.input_count = 0};
        snprintf(path, sizeof path, "%s/test_data_set_%d", folder, i);
        if (access(path, F_OK) != 0) {
            octet_arena_free(arena);
            if (i == 0) status = octet_fail(err, OCTET_ERR_FILE, "the case has no test_data_set_0");
            break;
        }
        status = read_data_set(&set, path, arena, err);
        if (status == OCTET_OK) status = run_data_set(supported, graph, &set, err);
        octet_arena_free(arena);
    }
    octet_graph_free(graph);
    return status;
}

/* Cases that contradict the standard, or themselves; each is counted as skipped for this reason. */
static const struct {
    const char *name, *why;
} wrong_cases[] = {
    {"test_cast_FLOAT_to_BFLOAT16", "the case is wrong: its numbers are cut off, Cast rounds"},
    {"test_castlike_BFLOAT16_to_FLOAT", "the case is wrong: 'like' has another shape than the model states"},
    {"test_castlike_BFLOAT16_to_FLOAT_expanded", "the case is wrong: 'like' has another shape than the model states"},
    {"test_castlike_FLOAT_to_BFLOAT16", "the case is wrong: 'like' has another shape than the model states"},
    {"test_castlike_FLOAT_to_BFLOAT16_expanded", "the case is wrong: 'like' has another shape than the model states"},
};

/* Why the case in folder cannot be passed; NULL: it can. */
static const char *wrong(const char *folder)
{
    const char *const slash = strrchr(folder, '/'), *const name = slash ? slash + 1 : folder;
    for (size_t i = 0; i < sizeof wrong_cases / sizeof *wrong_cases; i++)
        if (octet_glob_match(wrong_cases[i].name, name)) return wrong_cases[i].why;
    return NULL;
}

/* ---- counting ---- */

static void count_reason(tally *all, const char *folder, const octet_error *err)
{
    char   text[320];
    size_t i = 0;
    snprintf(text, sizeof text, "%s%s%s", err->field, *err->field ? ": " : "", err->text);
    if (all->lists) printf("| %s | %s |\n", strrchr(folder, '/') + 1, text);
    while (i < all->reason_count && strcmp(all->reasons[i].text, text) != 0) i++;
    if (i == MOST_REASONS) return;
    if (i == all->reason_count) memcpy(all->reasons[all->reason_count++].text, text, sizeof text);
    all->reasons[i].count++;
}

static void count_case(tally *all, const char *folder)
{
    octet_error        err = {0};
    bool               supported = false;
    const octet_status status = run_case(&supported, folder, &err);
    if (status == OCTET_OK) {
        all->passed++;
    } else if (wrong(folder)) {
        all->skipped++;
        err = (octet_error){0};
        octet_fail(&err, OCTET_ERR_UNSUPPORTED, "%s", wrong(folder));
        count_reason(all, folder, &err);
    } else if (status == OCTET_ERR_UNSUPPORTED && !supported) {
        all->skipped++;
        count_reason(all, folder, &err);
    } else {
        char line[700];
        octet_error_line(line, sizeof line, &err);
        all->failed++;
        printf("FAILED %s: %s\n", folder, line);
    }
}

static int by_count(const void *a, const void *b)
{
    const reason *const x = a, *const y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->text, y->text);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Appends every folder below path that holds a model.onnx, down to a depth of 4. */
static void find_cases(char **cases, size_t *count, const char *path, int depth)
{
    char model[PATH_SIZE + 32];
    snprintf(model, sizeof model, "%s/model.onnx", path);
    if (access(model, F_OK) == 0) {
        if (*count < MOST_CASES) cases[(*count)++] = strdup(path);
        return;
    }
    DIR *const folder = depth < 4 ? opendir(path) : NULL;
    if (!folder) return;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char below[PATH_SIZE];
        if (entry->d_name[0] == '.' || entry->d_type == DT_REG) continue;
        if (snprintf(below, sizeof below, "%s/%s", path, entry->d_name) < PATH_SIZE)
            find_cases(cases, count, below, depth + 1);
    }
    closedir(folder);
}

static void count_cases(tally *all, char **cases, size_t count, const char *part)
{
    for (size_t i = 0; i < count; i++) {
        if (!part || strstr(cases[i], part)) count_case(all, cases[i]);
        free(cases[i]);
    }
}

static void print_markdown(tally *all, char **cases, size_t count)
{
    all->lists = true;
    printf("\n## ONNX's node tests that are not passed\n\n<!-- made by: tools/make_docs -->\n\n"
           "| case | why |\n|---|---|\n");
    count_cases(all, cases, count, NULL);
    printf("\n%zu of the %zu node tests of this release of ONNX pass.\n", all->passed, count);
}

static void print_counts(tally *all, char **cases, size_t count, const char *part)
{
    count_cases(all, cases, count, part);
    qsort(all->reasons, all->reason_count, sizeof *all->reasons, by_count);
    for (size_t i = 0; i < all->reason_count; i++)
        printf("skipped %3zu: %s\n", all->reasons[i].count, all->reasons[i].text);
    printf("%zu passed, %zu failed, %zu skipped\n", all->passed, all->failed, all->skipped);
}

int main(int argc, char **argv)
{
    static tally      all;
    static char      *cases[MOST_CASES];
    const bool        markdown = argc > 1 && !strcmp(argv[1], "--markdown");
    const char *const folder = argc > 1 + markdown ? argv[1 + markdown] : OCTET_CONFORMANCE_DIR;
    size_t            count = 0;
    find_cases(cases, &count, folder, 0);
    if (count == 0 && argc < 2 + markdown) {
        printf("%s has no cases: install libonnx-testdata, or name a folder\n", folder);
        return 77;
    }
    qsort(cases, count, sizeof *cases, by_name);
    if (markdown) print_markdown(&all, cases, count);
    else print_counts(&all, cases, count, argc > 2 ? argv[2] : NULL);
    return all.failed || !all.passed;
}
