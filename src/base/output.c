/* SPDX-License-Identifier: Apache-2.0 */
/* Rule W: every output is a named temporary in the destination's folder, synced, and renamed over it. A temporary is
   locked while its writer lives, so that those of killed writers can be told apart and removed by the next one. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Temporary files that exist or are about to, for octet_temporary_remove_all: the one piece of state that a signal
   handler can reach. A slot is claimed before its file is made and released after it is gone. */
enum { LIVE = 8 };
static struct {
    atomic_int state; /* 0 free, 1 being filled in, 2 path is valid */
    char       path[4096];
} live[LIVE];
static atomic_bool ending;

static bool claim(const char *path)
{
    for (int i = 0; i < LIVE; i++) {
        int nobody = 0;
        if (!atomic_compare_exchange_strong(&live[i].state, &nobody, 1)) continue;
        snprintf(live[i].path, sizeof live[i].path, "%s", path);
        atomic_store(&live[i].state, 2);
        return true;
    }
    return false;
}

static void release(const char *path)
{
    for (int i = 0; i < LIVE; i++)
        if (atomic_load(&live[i].state) == 2 && !strcmp(live[i].path, path)) atomic_store(&live[i].state, 0);
}

void octet_temporary_remove_all(void)
{
    atomic_store(&ending, true);
    for (int i = 0; i < LIVE; i++)
        if (atomic_load(&live[i].state) == 2) unlink(live[i].path);
}

static octet_status fail_at(octet_error *err, const char *path, const char *what)
{
    octet_fail(err, OCTET_ERR_FILE, "%s: %s", what, strerror(errno));
    octet_error_file(err, path);
    return OCTET_ERR_FILE;
}

/* The folder part of path, "." where it has none. */
static void folder_of(char *folder, size_t size, const char *path)
{
    const char *const slash = strrchr(path, '/');
    if (!slash) snprintf(folder, size, ".");
    else if (slash == path) snprintf(folder, size, "/");
    else snprintf(folder, size, "%.*s", (int)(slash - path), path);
}

octet_status octet_output_check(const char *path, bool replace, octet_error *err)
{
    char        folder[4096];
    struct stat info;
    if (!*path || strlen(path) + 16 >= sizeof folder) {
        octet_fail(err, OCTET_ERR_ARGUMENT, "output path is empty or too long");
        octet_error_file(err, path);
        return OCTET_ERR_ARGUMENT;
    }
    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode)) errno = EISDIR;
        else if (!replace && S_ISREG(info.st_mode)) errno = EEXIST;
        else errno = 0;
        if (errno == EEXIST) {
            octet_fail(err, OCTET_ERR_FILE, "output exists already (-f replaces it)");
            octet_error_file(err, path);
            return OCTET_ERR_FILE;
        }
        if (errno) return fail_at(err, path, "cannot write output");
        if (!S_ISREG(info.st_mode))
            return access(path, W_OK) == 0 ? OCTET_OK : fail_at(err, path, "cannot write output");
    }
    folder_of(folder, sizeof folder, path);
    if (stat(folder, &info) != 0 || access(folder, W_OK | X_OK) != 0)
        return fail_at(err, path, "cannot write in the output's folder");
    return OCTET_OK;
}

/* Whether descriptor, just made, is still the file of that name and ours alone. Where locks are not known, nobody
   removes what is not theirs either. */
static bool hold(int descriptor)
{
    struct stat info;
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK;
    return fstat(descriptor, &info) == 0 && info.st_nlink > 0;
}

/* Removes temporaries of the same output whose writers are gone. */
static void remove_abandoned(const char *path)
{
    char              folder[4096], prefix[210];
    const char *const slash  = strrchr(path, '/');
    const int         length = snprintf(prefix, sizeof prefix, ".%.200s.", slash ? slash + 1 : path);
    folder_of(folder, sizeof folder, path);
    DIR *const directory = opendir(folder);
    for (const struct dirent *entry; directory && (entry = readdir(directory));) {
        const char *const name = entry->d_name;
        if (strncmp(name, prefix, (size_t)length) != 0 || strspn(name + length, "0123456789abcdef") != 6 ||
            name[length + 6])
            continue;
        const int descriptor = openat(dirfd(directory), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (descriptor < 0) continue;
        if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) unlinkat(dirfd(directory), name, 0);
        close(descriptor);
    }
    if (directory) closedir(directory);
}

/* Makes ".name.XXXXXX" beside the destination, known to octet_temporary_remove_all before it exists. Returns its
   descriptor, or -1 with errno. */
static int create_temporary(octet_output *output)
{
    const char *const slash = strrchr(output->path, '/');
    const int         split = slash ? (int)(slash - output->path) + 1 : 0;
    for (int attempt = 0; attempt < 100; attempt++) {
        uint32_t chance;
        if (getrandom(&chance, sizeof chance, 0) != (ssize_t)sizeof chance) chance = (uint32_t)getpid();
        snprintf(output->temporary, sizeof output->temporary, "%.*s.%.200s.%06x", split, output->path,
                 output->path + split, (chance + (uint32_t)attempt) & 0xffffff);
        if (!claim(output->temporary)) errno = EMFILE;
        else {
            const int descriptor = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
            const bool held = descriptor >= 0 && hold(descriptor);
            if (held && !atomic_load(&ending)) return descriptor;
            if (descriptor >= 0) {
                unlink(output->temporary);
                close(descriptor);
                errno = held ? EINTR : EEXIST; /* not held: taken for abandoned in between, the next name will do */
            }
            release(output->temporary);
        }
        if (errno != EEXIST) break;
    }
    output->temporary[0] = '\0';
    return -1;
}

octet_status octet_output_begin(octet_output *output, const char *path, bool replace, octet_error *err)
{
    *output = (octet_output){ .descriptor = -1 };
    OCTET_TRY(octet_output_check(path, replace, err));
    struct stat info;
    /* A link stays a link: what it points to is replaced. */
    if (lstat(path, &info) != 0 || !S_ISLNK(info.st_mode) || !realpath(path, output->path))
        snprintf(output->path, sizeof output->path, "%s", path);
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) { /* a device or pipe: no temporary */
        output->descriptor = open(path, O_WRONLY | O_CLOEXEC);
        return output->descriptor >= 0 ? OCTET_OK : fail_at(err, path, "cannot open output");
    }
    remove_abandoned(output->path);
    output->descriptor = create_temporary(output);
    return output->descriptor >= 0 ? OCTET_OK : fail_at(err, path, "cannot create output");
}

octet_status octet_output_write(octet_output *output, const void *bytes, size_t size, octet_error *err)
{
    const uint8_t *at = bytes;
    while (size > 0) {
        const ssize_t n = write(output->descriptor, at, size < (1u << 30) ? size : (1u << 30));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail_at(err, output->path, "cannot write");
        at += n;
        size -= (size_t)n;
    }
    return OCTET_OK;
}

static void sync_folder(const char *path)
{
    char folder[4096];
    folder_of(folder, sizeof folder, path);
    const int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    (void)!fsync(descriptor); /* some file systems refuse; the rename itself has happened */
    close(descriptor);
}

octet_status octet_output_commit(octet_output *output, octet_error *err)
{
    octet_status status = OCTET_OK;
    if (output->temporary[0] && fsync(output->descriptor) != 0) status = fail_at(err, output->path, "cannot write");
    const int closed   = close(output->descriptor);
    output->descriptor = -1;
    if (status == OCTET_OK && closed != 0) status = fail_at(err, output->path, "cannot write");
    if (status == OCTET_OK && output->temporary[0] && rename(output->temporary, output->path) != 0)
        status = fail_at(err, output->path, "cannot rename the finished file");
    if (status != OCTET_OK) {
        octet_output_discard(output);
        return status;
    }
    if (output->temporary[0]) sync_folder(output->path);
    release(output->temporary);
    output->temporary[0] = '\0';
    return OCTET_OK;
}

void octet_output_discard(octet_output *output)
{
    if (output->descriptor >= 0) close(output->descriptor);
    output->descriptor = -1;
    if (output->temporary[0]) unlink(output->temporary);
    release(output->temporary);
    output->temporary[0] = '\0';
}

octet_status octet_file_write(const char *path, const void *bytes, size_t size, bool replace, octet_error *err)
{
    octet_output output;
    OCTET_TRY(octet_output_begin(&output, path, replace, err));
    const octet_status status = octet_output_write(&output, bytes, size, err);
    if (status == OCTET_OK) return octet_output_commit(&output, err);
    octet_output_discard(&output);
    return status;
}
