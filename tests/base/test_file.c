/* SPDX-License-Identifier: Apache-2.0 */
/* Reading within limits and writing all or nothing: on a full disk (a limit on file size stands for it) the old file is
   whole and nothing else lies in the folder. */
#include "support.h"

#include "base/file.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char folder[400], target[440], aside[440];

static int setup(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    snprintf(target, sizeof target, "%s/target", folder);
    snprintf(aside, sizeof aside, "%s/aside", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(target);
    unlink(aside);
    return rmdir(folder); /* fails if a temporary file was left */
}

static int entries(void)
{
    DIR *const directory = opendir(folder);
    int        count     = -2; /* "." and ".." */
    assert_non_null(directory);
    while (readdir(directory)) count++;
    closedir(directory);
    return count;
}

static void holds(const char *path, const char *wanted)
{
    octet_file file;
    MUST(octet_file_read(&file, path, 0, &err));
    assert_int_equal(file.size, strlen(wanted));
    assert_memory_equal(file.data, wanted, file.size);
    octet_file_close(&file);
}

static void test_write(void **state)
{
    (void)state;
    octet_error refusal = { 0 };
    struct stat info;
    MUST(octet_file_write(target, "old", 3, false, &err));
    holds(target, "old");
    assert_int_equal(octet_file_write(target, "new", 3, false, &refusal), OCTET_ERR_FILE);
    assert_string_equal(refusal.file, target);
    holds(target, "old");
    assert_int_equal(symlink(target, aside), 0);
    MUST(octet_file_write(aside, "new", 3, true, &err));
    holds(target, "new"); /* the link stays a link */
    assert_int_equal(lstat(aside, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_true(octet_file_same(aside, target));
    assert_false(octet_file_same(aside, folder));
    assert_int_equal(entries(), 2);
}

/* Until commit the destination is as it was; discard leaves nothing. */
static void test_pieces(void **state)
{
    (void)state;
    octet_output output;
    MUST(octet_file_write(target, "old", 3, true, &err));
    MUST(octet_output_begin(&output, target, true, &err));
    MUST(octet_output_write(&output, "half", 4, &err));
    holds(target, "old");
    octet_output_discard(&output);
    assert_int_equal(entries(), 1);
    MUST(octet_output_begin(&output, target, true, &err));
    MUST(octet_output_write(&output, "ha", 2, &err));
    MUST(octet_output_write(&output, "lf", 2, &err));
    MUST(octet_output_commit(&output, &err));
    holds(target, "half");
    assert_int_equal(entries(), 1);
}

static void put(const char *name)
{
    char path[440];
    snprintf(path, sizeof path, "%.400s/%s", folder, name);
    FILE *const file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
}

/* What a killed writer left goes with the next write of the same output; a living writer's stays, and other names. */
static void test_abandoned(void **state)
{
    (void)state;
    static const char *const names[] = { ".target.0a1b2c", ".target.0a1b2", ".target.0a1b2g", ".target.0a1b2cd",
                                         ".other.0a1b2c" };
    octet_output             living;
    MUST(octet_output_begin(&living, target, true, &err));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) put(names[i]);
    MUST(octet_file_write(target, "new", 3, true, &err));
    assert_int_equal(entries(), 1 + 1 + 4);
    MUST(octet_output_write(&living, "late", 4, &err));
    MUST(octet_output_commit(&living, &err));
    holds(target, "late");
    for (size_t i = 1; i < sizeof names / sizeof *names; i++) {
        char path[440];
        snprintf(path, sizeof path, "%.400s/%s", folder, names[i]);
        assert_int_equal(unlink(path), 0);
    }
}

static void test_full_disk(void **state)
{
    (void)state;
    static char   large[1 << 16];
    struct rlimit before, small;
    octet_error   refusal = { 0 };
    MUST(octet_file_write(target, "old", 3, true, &err));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small          = before;
    small.rlim_cur = sizeof large / 2;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const octet_status status = octet_file_write(target, large, sizeof large, true, &refusal);
    const octet_status absent = octet_file_write(aside, large, sizeof large, true, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, OCTET_ERR_FILE);
    assert_int_equal(absent, OCTET_ERR_FILE);
    assert_string_equal(refusal.file, target);
    assert_string_equal(refusal.text, "cannot write: File too large");
    holds(target, "old");
    assert_int_equal(entries(), 1);
}

static void test_refused_destinations(void **state)
{
    (void)state;
    char path[500];
    assert_int_equal(octet_output_check(folder, true, NULL), OCTET_ERR_FILE);
    snprintf(path, sizeof path, "%s/absent/file", folder);
    assert_int_equal(octet_output_check(path, true, NULL), OCTET_ERR_FILE);
    if (geteuid() != 0) { /* root may write anywhere */
        assert_int_equal(chmod(folder, 0500), 0);
        assert_int_equal(octet_output_check(target, true, NULL), OCTET_ERR_FILE);
        assert_int_equal(chmod(folder, 0700), 0);
    }
    MUST(octet_file_write("/dev/null", "x", 1, false, &err)); /* a device is written as it is */
    struct stat info;
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
}

static void test_reading(void **state)
{
    (void)state;
    octet_file file;
    MUST(octet_file_write(target, "12345", 5, true, &err));
    MUST(octet_file_read(&file, target, 5, &err));
    for (int i = 5; i < 5 + 64; i++) assert_int_equal(file.data[i], 0); /* readers may look a little further */
    octet_file_close(&file);
    assert_int_equal(octet_file_read(&file, target, 4, NULL), OCTET_ERR_LIMIT);
    assert_int_equal(octet_file_read(&file, folder, 0, NULL), OCTET_ERR_FILE);
    assert_int_equal(octet_file_read(&file, "/dev/zero", 0, NULL), OCTET_ERR_FILE);
    assert_int_equal(mkfifo(aside, 0600), 0);
    assert_int_equal(octet_file_read(&file, aside, 0, NULL), OCTET_ERR_FILE); /* and it does not wait for a writer */
    assert_null(file.data);
}

/* What a file may name beside it (the rest of the rules: onnx/test_external.c). */
static void test_beneath(void **state)
{
    (void)state;
    static const char *const refused[] = { "", "/etc/hostname", "..", "../target", "a\\b", "link", ".", "absent" };
    octet_file               file;
    MUST(octet_file_write(target, "12345", 5, true, &err));
    snprintf(aside, sizeof aside, "%s/link", folder);
    assert_int_equal(symlink("target", aside), 0);
    MUST(octet_file_read_beneath(&file, folder, "target", &err));
    assert_int_equal(file.size, 5);
    octet_file_close(&file);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        octet_error err = { 0 };
        if (octet_file_read_beneath(&file, folder, refused[i], &err) == OCTET_OK) fail_msg("'%s' was read", refused[i]);
        assert_true(err.text[0]);
        assert_null(file.data);
    }
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = { WITH_FOLDER(test_write),     WITH_FOLDER(test_pieces),
                                        WITH_FOLDER(test_abandoned), WITH_FOLDER(test_full_disk),
                                        WITH_FOLDER(test_refused_destinations),
                                        WITH_FOLDER(test_reading),   WITH_FOLDER(test_beneath) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
