/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics files. A fuzzer cannot find a hash: it is made to fit, so that what lies behind it is reached. */
#include "fuzz.h"

#include "base/hash.h"
#include "quantize/statistics_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    octet_statistics *statistics = NULL;
    octet_error       err        = { 0 };
    uint8_t *const    copy       = malloc(size + 1);
    octet_hash        hash;
    if (size) memcpy(copy, bytes, size);
    if (size >= 8) {
        octet_hash_begin(&hash);
        octet_hash_add(&hash, copy, size - 8);
        const uint64_t value = octet_hash_value(&hash);
        memcpy(copy + size - 8, &value, 8);
    }
    const octet_status status = octet_statistics_parse(&statistics, copy, size, &err);
    fuzz_check(status, &err);
    if (status == OCTET_OK) fuzz_check(octet_statistics_merge(statistics, NULL, statistics, &err), &err);
    octet_statistics_free(statistics);
    free(copy);
    return 0;
}
