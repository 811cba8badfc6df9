/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of data sets share: a scratch folder, files written byte by byte, networks that are only a border. */
#ifndef OCTET_TESTS_DATA_CASE_H
#define OCTET_TESTS_DATA_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <octet/octet.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* ---- files ---- */

static char scratch[200];

static inline int make_scratch(void **state)
{
    const char *const base = getenv("TMPDIR");
    (void)state;
    snprintf(scratch, sizeof scratch, "%s/octet-data-XXXXXX", base ? base : P_tmpdir);
    return mkdtemp(scratch) ? 0 : -1;
}

static inline int drop_scratch(void **state)
{
    char command[256];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", scratch);
    return system(command);
}

/* A path in the scratch folder; 32 may be in use at once. */
static inline const char *in_scratch(const char *name)
{
    static char ring[32][256];
    static int  next;
    char *const path = ring[next++ % 32];
    snprintf(path, sizeof ring[0], "%s/%s", scratch, name);
    return path;
}

static inline const char *write_bytes(const char *name, const void *bytes, size_t size)
{
    const char *const path = in_scratch(name);
    FILE *const       file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

static inline const char *write_text(const char *name, const char *text)
{
    return write_bytes(name, text, strlen(text));
}

static inline const char *write_packed(const char *name, const void *bytes, size_t size)
{
    const char *const path = in_scratch(name);
    gzFile            file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)size), size);
    assert_int_equal(gzclose(file), Z_OK);
    return path;
}

/* An npy file version 1.0; returns its size. */
static inline size_t npy_bytes(uint8_t *out, const char *descr, const char *shape, bool fortran, const void *values,
                               size_t size)
{
    char      header[118];
    const int n = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr,
                           fortran ? "True" : "False", shape);
    memset(header + n, ' ', sizeof header - (size_t)n);
    header[sizeof header - 1] = '\n';
    memcpy(out, "\x93NUMPY\x01\x00\x76\x00", 10);
    memcpy(out + 10, header, sizeof header);
    memcpy(out + 128, values, size);
    return 128 + size;
}

static inline const char *write_npy(const char *name, const char *descr, const char *shape, const void *values,
                                    size_t size)
{
    static uint8_t bytes[1 << 16];
    return write_bytes(name, bytes, npy_bytes(bytes, descr, shape, false, values, size));
}

/* ---- networks ---- */

/* One input of these dims (the first is free), one output [1, classes] that is a constant: all a data set looks at. */
static inline octet_graph *border(const char *name, const int64_t *dims, int rank, int64_t classes)
{
    octet_graph *graph = NULL;
    octet_error  err = {0};
    int64_t      whole[OCTET_MAX_RANK] = {OCTET_DIM_FREE};
    static float zeros[2048];
    memcpy(whole + 1, dims, sizeof *dims * (size_t)rank);
    assert_int_equal(octet_graph_new(&graph, &err), OCTET_OK);
    assert_int_equal(octet_graph_add_input(graph, name, OCTET_F32, whole, rank + 1, &err), OCTET_OK);
    if (!classes) return graph;
    const octet_tensor constant = {.dtype = OCTET_F32, .rank = 2, .dims = {1, classes}, .data = zeros};
    assert_int_equal(octet_graph_add_constant(graph, "y", &constant, &err), OCTET_OK);
    assert_int_equal(octet_graph_set_output(graph, "y", &err), OCTET_OK);
    return graph;
}

static inline octet_graph *border3(int64_t a, int64_t b, int64_t c)
{
    return border("x", (const int64_t[]){a, b, c}, 3, 0);
}

/* ---- data sets ---- */

static inline octet_dataset *must_open(const char *path, const octet_dataset_options *options)
{
    octet_dataset *data = NULL;
    octet_error    err = {0};
    if (octet_dataset_open(&data, path, options, &err) != OCTET_OK) {
        char line[512];
        octet_error_line(line, sizeof line, &err);
        fail_msg("%s", line);
    }
    return data;
}

/* Opens and reads everything; the error's line in text where it fails. */
static inline octet_status try_all(char *text, size_t size, const char *path, const octet_dataset_options *options)
{
    octet_dataset *data = NULL;
    octet_error    err = {0};
    octet_status   status = octet_dataset_open(&data, path, options, &err);
    text[0] = '\0';
    if (status == OCTET_OK) {
        const octet_port port = octet_dataset_port(data);
        octet_tensor     tensor = {.rank = port.rank};
        memcpy(tensor.dims, port.dims, sizeof port.dims);
        float *const values = malloc((size_t)octet_tensor_count(&tensor) * sizeof *values);
        assert_non_null(values);
        for (size_t i = 0; status == OCTET_OK && i < octet_dataset_count(data); i++)
            status = octet_dataset_read(data, i, values, NULL, &err);
        free(values);
    }
    if (status != OCTET_OK) octet_error_line(text, size, &err);
    octet_dataset_free(data);
    return status;
}

static inline void expect_refusal(const char *path, const octet_dataset_options *options, const char *word)
{
    char text[512];
    assert_int_not_equal(try_all(text, sizeof text, path, options), OCTET_OK);
    if (!strstr(text, word)) fail_msg("'%s' does not mention '%s'", text, word);
    const char *const slash = strrchr(path, '/');
    if (!options || (!options->labels && !options->reference)) assert_non_null(strstr(text, slash ? slash + 1 : path));
}

/* A folder of the shared material, NULL (said loudly) where it is absent. */
static inline const char *shared(const char *name)
{
    static char       paths[8][512];
    static int        next;
    const char *const root = getenv("OCTET_SHARED");
    char *const       path = paths[next++ % 8];
    struct stat       info;
    snprintf(path, sizeof paths[0], "%s/%s", root ? root : OCTET_SOURCE_DIR "/../shared", name);
    if (stat(path, &info) == 0) return path;
    fprintf(stderr, "SKIPPED: no %s\n", path);
    return NULL;
}

#endif
