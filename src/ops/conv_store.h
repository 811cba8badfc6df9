/* SPDX-License-Identifier: Apache-2.0 */
/* Where the templates of convolutions put their sums, by type: n of output channel c, to output 0 from element `at` on,
   with bias (input 2), batch norm and activation, or by rules[c] to levels. */
#ifndef OCTET_OPS_CONV_STORE_H
#define OCTET_OPS_CONV_STORE_H

#include "ops/mac.h"

void octet_conv_store_f32(const octet_call *call, const octet_mac_rule *rules, size_t c, const float *sum, size_t at,
                          size_t n);
void octet_conv_store_f64(const octet_call *call, const octet_mac_rule *rules, size_t c, const double *sum, size_t at,
                          size_t n);
void octet_conv_store_narrow(const octet_call *call, const octet_mac_rule *rules, size_t c, const int32_t *sum,
                             size_t at, size_t n);
void octet_conv_store_wide(const octet_call *call, const octet_mac_rule *rules, size_t c, const int64_t *sum, size_t at,
                           size_t n);

#endif
