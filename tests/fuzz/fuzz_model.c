/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of models, and the passes that need no data. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char               path[64];
    octet_graph       *graph      = NULL;
    octet_error        err        = { 0 };
    const octet_limits limits     = { .max_memory = 64 << 20, .max_folded = 1 << 20 };
    const int          descriptor = fuzz_file(path, bytes, size);
    octet_status       status     = octet_graph_load_limited(&graph, path, &limits, &err);
    fuzz_check(status, &err);
    if (status == OCTET_OK) fuzz_check(octet_fuse(graph, &err), &err);
    octet_graph_free(graph);
    close(descriptor);
    return 0;
}
