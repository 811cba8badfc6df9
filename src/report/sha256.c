/* SPDX-License-Identifier: Apache-2.0 */
/* The names are the standard's: H(i), K(t), W(t), a to h as v[0] to v[7]. */
#include "report/sha256.h"

#include <stdint.h>
#include <string.h>

enum { BLOCK = 64 };

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

static uint32_t load(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void add_block(uint32_t H[8], const uint8_t block[BLOCK])
{
    uint32_t W[64], v[8];
    for (int t = 0; t < 16; t++) W[t] = load(block + 4 * t);
    for (int t = 16; t < 64; t++) {
        const uint32_t x = W[t - 15], y = W[t - 2];
        W[t] = (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10) + W[t - 7] + (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) +
               W[t - 16];
    }
    memcpy(v, H, sizeof v);
    for (int t = 0; t < 64; t++) {
        const uint32_t a = v[0], e = v[4];
        const uint32_t one = v[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & v[5]) ^ (~e & v[6])) + K[t] +
                             W[t];
        const uint32_t two = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
                             ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += one;
        v[0] = one + two;
    }
    for (int i = 0; i < 8; i++) H[i] += v[i];
}

static void digest_of(uint8_t digest[32], const uint8_t *bytes, size_t size)
{
    uint32_t     H[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                          0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    uint8_t      last[2 * BLOCK] = { 0 };
    const size_t whole = size / BLOCK * BLOCK, rest = size - whole, padded = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;
    for (size_t i = 0; i < whole; i += BLOCK) add_block(H, bytes + i);
    if (rest) memcpy(last, bytes + whole, rest);
    last[rest] = 0x80;
    for (size_t i = 0; i < 8; i++) last[padded - 1 - i] = (uint8_t)((uint64_t)size * 8 >> (8 * i));
    for (size_t i = 0; i < padded; i += BLOCK) add_block(H, last + i);
    for (size_t i = 0; i < 32; i++) digest[i] = (uint8_t)(H[i / 4] >> (24 - 8 * (i % 4)));
}

void octet_sha256_text(char text[OCTET_SHA256_SIZE], const void *bytes, size_t size)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t           digest[33] = { 0 };
    digest_of(digest, bytes, size);
    memcpy(text, "sha256-", 7);
    for (size_t i = 0; i < 11; i++) {
        const uint32_t three = load(digest + 3 * i - (i ? 1 : 0)) >> (i ? 0 : 8) & 0xffffff;
        for (size_t k = 0; k < 4; k++) text[7 + 4 * i + k] = letters[three >> (18 - 6 * k) & 63];
    }
    text[7 + 43] = '='; /* 32 bytes are ten times three and two */
    text[7 + 44] = '\0';
}
