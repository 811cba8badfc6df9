/* SPDX-License-Identifier: Apache-2.0 */
#include "base/builder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void octet_build(octet_builder *builder, const char *format, ...)
{
    va_list args;
    for (;;) {
        va_start(args, format);
        const int n = vsnprintf(builder->text ? builder->text + builder->used : NULL, builder->size - builder->used,
                                format, args);
        va_end(args);
        if (n < 0 || builder->failed) return;
        if (builder->used + (size_t)n < builder->size) {
            builder->used += (size_t)n;
            return;
        }
        const size_t size = (builder->size + (size_t)n + 256) * 2;
        char *const  more = octet_arena_alloc(builder->arena, size, 1);
        if (!more) {
            builder->failed = true;
            return;
        }
        if (builder->text) memcpy(more, builder->text, builder->used + 1);
        builder->text = more;
        builder->size = size;
    }
}
