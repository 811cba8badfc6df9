/* SPDX-License-Identifier: Apache-2.0 */
/* Every epoch is drawn from the seed anew, so that work taken up again in its middle needs nothing from before. */
#include "train/order.h"

#include "base/random.h"

void octet_train_order(size_t *order, size_t count, uint64_t seed, size_t epoch)
{
    uint64_t state = octet_random_stream(seed, epoch);
    for (size_t i = 0; i < count; i++) order[i] = i;
    octet_random_shuffle(order, count, &state);
}
