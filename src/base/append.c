/* SPDX-License-Identifier: Apache-2.0 */
#include "base/append.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static octet_status refuse(const octet_appender *a, const char *what, octet_error *err)
{
    octet_fail(err, OCTET_ERR_FILE, "%s: %s", what, strerror(errno));
    octet_error_file(err, a->path);
    return OCTET_ERR_FILE;
}

/* Where the last whole line ends. */
static octet_status find_end(size_t *end, const octet_appender *a, octet_error *err)
{
    char        piece[4096];
    struct stat info;
    if (fstat(a->file - 1, &info) != 0) return refuse(a, "cannot inspect", err);
    for (off_t at = info.st_size; at > 0;) {
        const off_t   from = at > (off_t)sizeof piece ? at - (off_t)sizeof piece : 0;
        const ssize_t got  = pread(a->file - 1, piece, (size_t)(at - from), from);
        if (got != at - from) return refuse(a, "cannot read", err);
        const char *const newline = memrchr(piece, '\n', (size_t)got);
        if (newline) {
            *end = (size_t)(from + (newline - piece) + 1);
            return OCTET_OK;
        }
        at = from;
    }
    *end = 0;
    return OCTET_OK;
}

static octet_status prepare(octet_appender *a, octet_error *err)
{
    struct stat info;
    if (fstat(a->file - 1, &info) == 0 && !S_ISREG(info.st_mode)) {
        errno = EINVAL;
        return refuse(a, "not a regular file", err);
    }
    if (flock(a->file - 1, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return refuse(a, "in use by another process", err);
    return find_end(&a->size, a, err);
}

octet_status octet_appender_open(octet_appender *appender, const char *path, octet_error *err)
{
    *appender        = (octet_appender){ .path = path };
    const int handle = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_APPEND, 0666);
    if (handle < 0) return refuse(appender, "cannot open", err);
    appender->file            = handle + 1;
    const octet_status status = prepare(appender, err);
    if (status != OCTET_OK) octet_appender_close(appender);
    return status;
}

octet_status octet_appender_cut(octet_appender *appender, bool everything, octet_error *err)
{
    if (everything) appender->size = 0;
    return ftruncate(appender->file - 1, (off_t)appender->size) == 0 ? OCTET_OK : refuse(appender, "cannot write", err);
}

octet_status octet_appender_add(octet_appender *appender, const char *line, octet_error *err)
{
    const size_t size = strlen(line);
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(appender->file - 1, line + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) { /* what fitted goes again: a reader sees whole lines */
            refuse(appender, "cannot write", err);
            (void)!ftruncate(appender->file - 1, (off_t)appender->size);
            return OCTET_ERR_FILE;
        }
        done += (size_t)n;
    }
    if (fsync(appender->file - 1) != 0) return refuse(appender, "cannot write", err);
    appender->size += size;
    return OCTET_OK;
}

void octet_appender_close(octet_appender *appender)
{
    if (appender->file) close(appender->file - 1);
    *appender = (octet_appender){ 0 };
}
