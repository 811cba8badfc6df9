/* SPDX-License-Identifier: Apache-2.0 */
/* What `octet demo` works with: pictures that are drawn, not downloaded, and the network trained on them. */
#ifndef OCTET_CLI_DEMO_H
#define OCTET_CLI_DEMO_H

#include <stddef.h>
#include <stdint.h>

enum {
    DEMO_SIDE    = 28,
    DEMO_PIXELS  = DEMO_SIDE * DEMO_SIDE,
    DEMO_CLASSES = 10,
    DEMO_TRAIN   = 10000,
    DEMO_TEST    = 2000,
};

/* "ring", "square", ...: DEMO_CLASSES of them. */
extern const char *const demo_class_names[];

/* Draws picture index of the series that seed begins; its class (returned) is 0..DEMO_CLASSES-1. Integer arithmetic
   only: the same bytes on every machine, in any order. */
int demo_draw(uint8_t pixels[DEMO_PIXELS], uint64_t seed, uint64_t index);

/* The float network as an ONNX file: demo/glyphs.onnx, put into the program by the build (tools/embed.c). */
extern const unsigned char demo_model[];
extern const size_t        demo_model_size;

#endif
