/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and sorting (order.h). */
#include "ops/order.h"

octet_lines octet_lines_along(const octet_tensor *tensor, int axis)
{
    octet_lines lines = {.length = tensor->dims[axis], .step = 1, .count = 1};
    for (int i = axis + 1; i < tensor->rank; i++) lines.step *= tensor->dims[i];
    for (int i = 0; i < tensor->rank; i++)
        if (i != axis) lines.count *= tensor->dims[i];
    return lines;
}

/* A heap: nobody comes before those below him. */
static void sift(int64_t *index, int64_t root, int64_t n, octet_before before, const void *context)
{
    for (int64_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && before(context, index[child], index[child + 1])) child++;
        if (!before(context, index[root], index[child])) return;
        const int64_t swapped = index[root];
        index[root] = index[child];
        index[child] = swapped;
    }
}

void octet_order(int64_t *index, int64_t n, octet_before before, const void *context)
{
    for (int64_t i = n / 2; i-- > 0;) sift(index, i, n, before, context);
    for (int64_t last = n - 1; last > 0; last--) {
        const int64_t swapped = index[0];
        index[0] = index[last];
        index[last] = swapped;
        sift(index, 0, last, before, context);
    }
}
