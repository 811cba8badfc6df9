/* SPDX-License-Identifier: Apache-2.0 */
#include "tune/tune.h"

bool octet_tune_scores_better(const octet_tune_trial *a, const octet_tune_trial *b)
{
    return a->drop != b->drop ? a->drop < b->drop : a->sqnr_db > b->sqnr_db;
}

/* Whether a is as good as b in both, and better in one or made before. Of equals the first stands for all. */
static bool dominates(const octet_tune_trial *a, const octet_tune_trial *b)
{
    if (a->failed || a->latency > b->latency || octet_tune_scores_better(b, a)) return false;
    return a->latency < b->latency || octet_tune_scores_better(a, b) || a < b;
}

void octet_tune_mark_frontier(octet_tune_trial *trials, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        trials[i].frontier = !trials[i].failed;
        for (size_t k = 0; k < count; k++)
            if (k != i && dominates(&trials[k], &trials[i])) trials[i].frontier = false;
    }
}
