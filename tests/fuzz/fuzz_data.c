/* SPDX-License-Identifier: Apache-2.0 */
/* Samples: npy, npz, idx, images, archives, lists. What the bytes are is seen by what they begin with, so the corpus
   decides which reader is meant. */
#include "fuzz.h"

enum { MOST = 1 << 22 };

static void read_some(const octet_dataset *data)
{
    const octet_tensor form  = octet_dataset_tensor(data);
    const int64_t      count = octet_tensor_count(&form);
    octet_error        err   = { 0 };
    if (count < 0 || count > MOST) return;
    float *const values = malloc((size_t)count * sizeof *values + 1);
    for (size_t i = 0; i < octet_dataset_count(data) && i < 3; i++) {
        const octet_status status = octet_dataset_read(data, i, values, NULL, &err);
        fuzz_check(status, &err);
        if (status != OCTET_OK) break;
    }
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char                        path[64];
    octet_dataset              *data       = NULL;
    octet_error                 err        = { 0 };
    const octet_dataset_options options    = { .limits = { .max_memory = 64 << 20, .max_pixels = 1 << 20 } };
    const int                   descriptor = fuzz_file(path, bytes, size);
    const octet_status          status     = octet_dataset_open(&data, path, &options, &err);
    fuzz_check(status, &err);
    if (status == OCTET_OK) read_some(data);
    octet_dataset_free(data);
    close(descriptor);
    return 0;
}
