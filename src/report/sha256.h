/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4) as a Content-Security-Policy wants it: how a page says which script is its own. */
#ifndef OCTET_REPORT_SHA256_H
#define OCTET_REPORT_SHA256_H

#include <stddef.h>

/* "sha256-", base64 of the digest, terminator. */
enum { OCTET_SHA256_SIZE = 7 + 44 + 1 };

void octet_sha256_text(char text[OCTET_SHA256_SIZE], const void *bytes, size_t size);

#endif
