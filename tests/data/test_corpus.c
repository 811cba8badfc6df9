/* SPDX-License-Identifier: Apache-2.0 */
/* The shared corpus of hostile data files: every row is accepted or refused as its manifest says, with one clean line
   that names the file and mentions what is wrong. */
#include "data_case.h"

#include <regex.h>

typedef struct row {
    char *id, *role, *file, *expect, *mention;
} row;

static bool split(row *r, char *line)
{
    char **const fields[] = {&r->id, &r->role, &r->file, &r->expect, &r->mention};
    for (size_t i = 0; i < 5; i++) {
        *fields[i] = strsep(&line, "\t");
        if (!*fields[i]) return false;
    }
    return true;
}

static bool mine(const row *r)
{
    static const char *const kinds[] = {"npy-", "npz-", "idx-", "img-", "label-", "set-"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strncmp(r->id, kinds[i], strlen(kinds[i]))) return true;
    return false;
}

static bool mentions(const char *text, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB), 0);
    const bool found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

/* "" or what is wrong with the answer to this row. */
static const char *judge(const row *r, octet_status status, const char *text)
{
    const char *const slash = strrchr(r->file, '/'), *const name = slash ? slash + 1 : r->file;
    if (status == OCTET_OK) return strcmp(r->expect, "reject") ? "" : "accepted";
    if (!strcmp(r->expect, "accept")) return "refused";
    if (!strstr(text, name)) return "file not named";
    if (!strcmp(r->expect, "reject") && *r->mention && !mentions(text, r->mention)) return "no mention";
    if (strlen(text) > 300) return "longer than 300 characters";
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20) return "control byte";
    return "";
}

/* Calls for one row as the command line does; see the roles of the corpus. */
static octet_status call(char *text, size_t size, const row *r, const char *root)
{
    char                  path[768], data[768];
    const char *const     role = r->role;
    const bool            idx = strstr(role, "idx") != NULL;
    octet_graph *const    graph = border("x", idx ? (int64_t[]){1, 28, 28} : (int64_t[]){3, 8, 8}, 3, 10);
    octet_dataset_options options = {.graph = graph};
    snprintf(path, sizeof path, "%s/%s", root, r->file);
    snprintf(data, sizeof data, "%s/good/%s", root, idx ? "images.idx3-ubyte" : "images");
    if (!strncmp(role, "eval", 4)) options.labels = path;
    const octet_status status = try_all(text, size, options.labels ? data : path, &options);
    octet_graph_free(graph);
    return status;
}

static void test_corpus(void **state)
{
    const char *const root = shared("badmodels/corpus");
    char              path[768], line[2048], text[512];
    int               rows = 0, bad = 0;
    (void)state;
    if (!root) skip();
    snprintf(path, sizeof path, "%s/manifest.tsv", root);
    FILE *const manifest = fopen(path, "r");
    assert_non_null(manifest);
    while (fgets(line, sizeof line, manifest)) {
        row         r;
        struct stat info;
        if (!split(&r, line) || !mine(&r)) continue;
        snprintf(path, sizeof path, "%s/%s", root, r.file);
        if (stat(path, &info) != 0) continue; /* an empty folder that git does not keep */
        const octet_status status = call(text, sizeof text, &r, root);
        const char *const  wrong = judge(&r, status, text);
        if (getenv("OCTET_VERBOSE")) printf("%-18s %s\n", r.id, text);
        rows++;
        if (!*wrong) continue;
        fprintf(stderr, "%s: %s (%s): %s\n", r.id, wrong, r.expect, text);
        bad++;
    }
    fclose(manifest);
    printf("%d rows, %d wrong\n", rows, bad);
    assert_true(rows > 90);
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
