/* SPDX-License-Identifier: Apache-2.0 */
/* Reading whole files within limits. Small ones are copied (nobody can change them underneath us), large ones are
   mapped. */
#include "base/file.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const size_t COPY_UP_TO = 64u << 20;

static octet_status refuse(octet_error *err, const char *path, const char *what)
{
    octet_fail(err, OCTET_ERR_FILE, "%s: %s", what, strerror(errno));
    octet_error_file(err, path);
    return OCTET_ERR_FILE;
}

/* Reads until size bytes are there; a file that shrank meanwhile is an error. */
static octet_status read_all(uint8_t *to, int descriptor, size_t size, octet_error *err)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = read(descriptor, to + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return octet_fail(err, OCTET_ERR_FILE, "cannot read: %s", strerror(errno));
        if (n == 0) return octet_fail(err, OCTET_ERR_FORMAT, "file shrank while it was read");
        done += (size_t)n;
    }
    return OCTET_OK;
}

static octet_status load(octet_file *file, int descriptor, size_t limit, octet_error *err)
{
    struct stat info;
    if (fstat(descriptor, &info) != 0)
        return octet_fail(err, OCTET_ERR_FILE, "cannot inspect: %s", strerror(errno));
    if (S_ISDIR(info.st_mode)) return octet_fail(err, OCTET_ERR_FILE, "is a folder, need a file");
    if (!S_ISREG(info.st_mode)) return octet_fail(err, OCTET_ERR_FILE, "not a regular file");
    const size_t size = (size_t)info.st_size;
    if (limit && size > limit)
        return octet_fail(err, OCTET_ERR_LIMIT, "file too large (got %zu bytes, limit %zu)", size, limit);
    if (size > COPY_UP_TO) {
        void *const map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (map == MAP_FAILED) return octet_fail(err, OCTET_ERR_FILE, "cannot map: %s", strerror(errno));
        *file = (octet_file){ .data = map, .size = size, .mapped = true };
        return OCTET_OK;
    }
    uint8_t *const copy = calloc(1, size + 64);
    if (!copy) return octet_fail(err, OCTET_ERR_MEMORY, "out of memory");
    const octet_status status = read_all(copy, descriptor, size, err);
    if (status != OCTET_OK) {
        free(copy);
        return status;
    }
    *file = (octet_file){ .data = copy, .size = size };
    return OCTET_OK;
}

octet_status octet_file_read(octet_file *file, const char *path, size_t limit, octet_error *err)
{
    *file                = (octet_file){ 0 };
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0) return refuse(err, path, "cannot open");
    const octet_status status = load(file, descriptor, limit, err);
    close(descriptor);
    if (status != OCTET_OK) octet_error_file(err, path);
    return status;
}

void octet_file_close(octet_file *file)
{
    if (file->mapped) munmap((void *)(uintptr_t)file->data, file->size);
    else free((void *)(uintptr_t)file->data);
    *file = (octet_file){ 0 };
}

/* Without openat2: components one by one, none of them "..", "." or a symbolic link. */
static int open_by_components(int folder, const char *name)
{
    char rest[4096];
    if (strlen(name) >= sizeof rest) return -1;
    strcpy(rest, name);
    int   at    = dup(folder);
    char *state = NULL;
    for (char *part = strtok_r(rest, "/", &state), *next; part && at >= 0; part = next) {
        next = strtok_r(NULL, "/", &state);
        if (!strcmp(part, "..") || !strcmp(part, ".")) {
            close(at);
            errno = EXDEV;
            return -1;
        }
        const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (next ? O_DIRECTORY : 0);
        const int step  = openat(at, part, flags);
        close(at);
        at = step;
    }
    return at;
}

octet_status octet_file_read_beneath(octet_file *file, const char *folder, const char *name, octet_error *err)
{
    *file = (octet_file){ 0 };
    if (!*name || *name == '/' || strchr(name, '\\'))
        return octet_fail(err, OCTET_ERR_FORMAT, "location '%s' is not a relative path beneath the model's folder",
                          name);
    const int base = open(*folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (base < 0) return refuse(err, folder, "cannot open folder");
    struct open_how how = { .flags   = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
    int descriptor = (int)syscall(SYS_openat2, base, name, &how, sizeof how);
    if (descriptor < 0 && errno == ENOSYS) descriptor = open_by_components(base, name);
    const int reason = errno;
    close(base);
    if (descriptor < 0)
        return octet_fail(err, OCTET_ERR_FILE, "external data '%s' beneath the model's folder: %s", name,
                          strerror(reason));
    struct stat        info;
    octet_status       status = OCTET_OK;
    if (fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink > 1)
        status = octet_fail(err, OCTET_ERR_FORMAT, "external data '%s' is a hard link", name);
    if (status == OCTET_OK) status = load(file, descriptor, 0, err);
    close(descriptor);
    return status;
}

bool octet_file_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}
