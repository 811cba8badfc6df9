/* SPDX-License-Identifier: Apache-2.0 */
/* The begin of a statistics file. All integers are little-endian:

     head, header (JSON: format, version, hashes of model, observed values and identities, names of values and means)
     identities of samples u64, ascending
     per value: count, rejected, seen, min f32, max f32, bins, and per bin: distance from the one before, count
     per mean: elements, and per element: whole, fine (octet_mean)
     XXH3 (64 bits) of everything before u64

   What has no type is a number of variable length: 7 bits a byte, lowest first, bit 7 where more follow; of wholes and
   fines bit 0 is the sign. */
#ifndef OCTET_QUANTIZE_STATISTICS_FILE_H
#define OCTET_QUANTIZE_STATISTICS_FILE_H

#include "quantize/statistics.h"

#define OCTET_STATISTICS_MAGIC  { 'o', 'c', 't', 'e', 't', 'c', 'a', 'l' }
#define OCTET_STATISTICS_FORMAT "octet-calibration"
enum { OCTET_STATISTICS_VERSION = 1 };

typedef struct octet_statistics_head {
    uint8_t  magic[8];
    uint32_t version, header; /* bytes of the header */
} octet_statistics_head;

/* The same from bytes in memory. */
octet_status octet_statistics_parse(octet_statistics **statistics, const uint8_t *bytes, size_t size, octet_error *err);

#endif
