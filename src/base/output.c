/* SPDX-License-Identifier: Apache-2.0 */
/* Rule W: every output is a named temporary in the destination's folder, synced, and renamed over it. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
        return octet_error_file(err, path), OCTET_ERR_ARGUMENT;
    }
    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode)) errno = EISDIR;
        else if (!replace) errno = EEXIST;
        else errno = 0;
        if (errno == EEXIST) {
            octet_fail(err, OCTET_ERR_FILE, "output exists already (-f replaces it)");
            return octet_error_file(err, path), OCTET_ERR_FILE;
        }
        if (errno) return fail_at(err, path, "cannot write output");
        if (!S_ISREG(info.st_mode)) return access(path, W_OK) == 0 ? OCTET_OK : fail_at(err, path, "cannot write output");
    }
    folder_of(folder, sizeof folder, path);
    if (stat(folder, &info) != 0 || access(folder, W_OK | X_OK) != 0)
        return fail_at(err, path, "cannot write in the output's folder");
    return OCTET_OK;
}

octet_status octet_output_begin(octet_output *output, const char *path, bool replace, octet_error *err)
{
    *output = (octet_output){ .descriptor = -1 };
    OCTET_TRY(octet_output_check(path, replace, err));
    struct stat info;
    snprintf(output->path, sizeof output->path, "%s", path);
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) { /* a device or pipe: no temporary */
        output->descriptor = open(path, O_WRONLY | O_CLOEXEC);
        return output->descriptor >= 0 ? OCTET_OK : fail_at(err, path, "cannot open output");
    }
    const char *const slash = strrchr(path, '/');
    const int         split = slash ? (int)(slash - path) + 1 : 0;
    snprintf(output->temporary, sizeof output->temporary, "%.*s.%.200s.XXXXXX", split, path, path + split);
    output->descriptor = mkstemp(output->temporary);
    if (output->descriptor < 0) {
        output->temporary[0] = '\0';
        return fail_at(err, path, "cannot create output");
    }
    const mode_t mask = umask(0);
    umask(mask);
    if (fchmod(output->descriptor, 0666 & ~mask) != 0) errno = 0; /* a file system without modes */
    return OCTET_OK;
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
    output->temporary[0] = '\0';
    return OCTET_OK;
}

void octet_output_discard(octet_output *output)
{
    if (output->descriptor >= 0) close(output->descriptor);
    output->descriptor = -1;
    if (output->temporary[0]) unlink(output->temporary);
    output->temporary[0] = '\0';
}
