/* SPDX-License-Identifier: Apache-2.0 */
/* One batch into every statistic of an observer. */
#include "observe/observer.h"

void octet_observer_observe(octet_observer *observer, const float *x, size_t count)
{
    octet_range batch = { 0 };
    observer->rejected += octet_range_observe(&batch, x, count);
    observer->count += count;
    observer->range = octet_range_union(observer->range, batch);
    octet_range_move(&observer->moving, batch, observer->averaging > 0 ? observer->averaging : 0.01f);
    if (observer->histogram) octet_histogram_observe(observer->histogram, x, count);
    if (observer->torch) octet_torch_histogram_observe(observer->torch, x, count);
}

void octet_observer_merge(octet_observer *into, const octet_observer *from)
{
    into->range = octet_range_union(into->range, from->range);
    into->count += from->count;
    into->rejected += from->rejected;
    if (into->histogram && from->histogram) octet_histogram_merge(into->histogram, from->histogram);
}
