/* SPDX-License-Identifier: Apache-2.0 */
/* What libFuzzer's targets share: bytes as a file that octet opens by its path. */
#ifndef OCTET_TESTS_FUZZ_H
#define OCTET_TESTS_FUZZ_H

#include <octet/octet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* An unnamed file of these bytes and its path. */
static inline int fuzz_file(char path[64], const uint8_t *bytes, size_t size)
{
    const int descriptor = memfd_create("input", 0);
    if (descriptor < 0 || write(descriptor, bytes, size) != (ssize_t)size) abort();
    snprintf(path, 64, "/proc/self/fd/%d", descriptor);
    return descriptor;
}

/* A failure says why, in one line. */
static inline void fuzz_check(octet_status status, const octet_error *err)
{
    if (status != OCTET_OK && (!err->text[0] || strchr(err->text, '\n'))) abort();
}

#endif
