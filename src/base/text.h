/* SPDX-License-Identifier: Apache-2.0 */
/* What <octet/text.h> has, and matching. */
#ifndef OCTET_BASE_TEXT_H
#define OCTET_BASE_TEXT_H

#include <octet/text.h>

/* Whether name matches a pattern of literal characters, '*' and '?', in time linear in their product. */
bool octet_glob_match(const char *pattern, const char *name);

#endif
