/* SPDX-License-Identifier: Apache-2.0 */
/* Between planes (channels first) and pixels (channels last), with real numbers and levels on either side. */
#include "kernels/kernels.h"

#include <string.h>

#include OCTET_SIMD

static uint8_t quantize_one(float x, const octet_real_levels *rule)
{
    const float lo = (float)(rule->to.lo - rule->to.zero_point), hi = (float)(rule->to.hi - rule->to.zero_point);
    const float quotient = x / rule->scale, number = quotient == quotient ? quotient : 0.0f;
    const float raised = number > lo ? number : lo;
    const float sum = (raised < hi ? raised : hi) + 12582912.0f;
    int32_t     bits;
    memcpy(&bits, &sum, sizeof bits);
    return (uint8_t)(bits - 0x4b400000 + rule->to.zero_point);
}

static void quantize(uint8_t *levels, const float *planes, const octet_planes *size, const octet_real_levels *rule)
{
    for (size_t c = 0; c < size->channels; c++)
        for (size_t p = 0; p < size->pixels; p++)
            levels[p * size->pixel + c] = quantize_one(planes[c * size->plane + p], rule);
}

static void dequantize(float *planes, const uint8_t *levels, const octet_planes *size, const octet_real_levels *rule)
{
    for (size_t c = 0; c < size->channels; c++)
        for (size_t p = 0; p < size->pixels; p++)
            planes[c * size->plane + p] = (float)(levels[p * size->pixel + c] - rule->to.zero_point) * rule->scale;
}

static void to_pixels(uint8_t *levels, const uint8_t *planes, const octet_planes *size, uint8_t flip)
{
    for (size_t c = 0; c < size->channels; c++)
        for (size_t p = 0; p < size->pixels; p++) levels[p * size->pixel + c] = planes[c * size->plane + p] ^ flip;
}

static void to_planes(uint8_t *planes, const uint8_t *levels, const octet_planes *size, uint8_t flip)
{
    for (size_t c = 0; c < size->channels; c++)
        for (size_t p = 0; p < size->pixels; p++) planes[c * size->plane + p] = levels[p * size->pixel + c] ^ flip;
}

static void real_to_planes(float *planes, const float *pixels, const octet_planes *size)
{
    for (size_t c = 0; c < size->channels; c++)
        for (size_t p = 0; p < size->pixels; p++) planes[c * size->plane + p] = pixels[p * size->pixel + c];
}

extern const octet_planes_kernel V_NAME(octet_planes);
const octet_planes_kernel        V_NAME(octet_planes) = {
    .quantize = quantize,
    .dequantize = dequantize,
    .to_pixels = to_pixels,
    .to_planes = to_planes,
    .real_to_planes = real_to_planes,
};
