/* SPDX-License-Identifier: Apache-2.0 */
/* Text from files and users, treated as data. */
#include "base/text.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the UTF-8 character at s, 0 where it is none (control bytes, C1 controls and overlong forms included). */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80) return s[0] >= 0x20 && s[0] != 0x7f;
    const size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (s[0] == 0xc2 && s[1] < 0xa0) return 0; /* C1 controls */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90)) return 0;
    return length;
}

void octet_text_clean(char *out, size_t size, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t               n = 0;
    while (*s && n + 1 < size) {
        const size_t length = utf8_length(s);
        if (!length) {
            out[n++] = '?';
            s++;
            continue;
        }
        if (n + length + 1 > size) break;
        memcpy(out + n, s, length);
        n += length;
        s += length;
    }
    if (size) out[n] = '\0';
}

bool octet_parse_double(double *out, const char *text)
{
    /* strtod reads the locale's decimal point and hexadecimal: allow only what a plain number is made of. */
    const size_t length = strspn(text, "0123456789+-.eE");
    if (!length || text[length] || length > 60) return false;
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c) return false;
    char *end;
    *out = strtod_l(text, &end, c);
    freelocale(c);
    return !*end && isfinite(*out);
}

bool octet_parse_int(int64_t *out, const char *text)
{
    const char *digits = text + (*text == '-' || *text == '+');
    if (!*digits || digits[strspn(digits, "0123456789")]) return false;
    errno = 0;
    *out  = strtoll(text, NULL, 10);
    return errno == 0;
}

bool octet_glob_match(const char *pattern, const char *name)
{
    const char *star = NULL, *retry = NULL;
    while (*name) {
        if (*pattern == '*') {
            star  = pattern++;
            retry = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star + 1;
            name    = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

size_t octet_edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 63 };
    const size_t n = strlen(a), m = strlen(b);
    if (n > LONGEST || m > LONGEST) return LONGEST;
    size_t row[LONGEST + 1];
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0]          = i;
        for (size_t j = 1; j <= m; j++) {
            const size_t swap = diagonal + (a[i - 1] != b[j - 1]);
            const size_t best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            diagonal          = row[j];
            row[j]            = swap < best ? swap : best;
        }
    }
    return row[m];
}
