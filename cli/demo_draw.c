/* SPDX-License-Identifier: Apache-2.0 */
/* Draws glyphs of ten classes: strokes that are bent, rotated, sheared, jittered, partly covered, on an uneven and
   noisy ground. Everything is integers (fixed point, 1/256 pixel): the pictures are equal on every machine. */
#include "demo.h"

#include <string.h>

/* ---- random numbers ---- */

/* splitmix64: every picture starts its own stream, so pictures can be drawn in any order. */
static uint64_t draw_bits(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z          = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Evenly within low..high; the bias of the modulo is below 2^-40 for the spans used here. */
static int draw_within(uint64_t *state, int low, int high)
{
    return low + (int)(draw_bits(state) % (uint64_t)(high - low + 1));
}

/* ---- shapes: points within -100..100, y downwards; END_STROKE lifts the pen, END_SHAPE is the end ---- */

enum { END_STROKE = 126, END_SHAPE = 127 };

#define UP    { END_STROKE, 0 }
#define FINIS { END_SHAPE, 0 }

static const int8_t shapes[DEMO_CLASSES][24][2] = {
    { { 90, 0 }, { 78, 45 }, { 45, 78 }, { 0, 90 }, { -45, 78 }, { -78, 45 }, { -90, 0 }, { -78, -45 }, { -45, -78 },
      { 0, -90 }, { 45, -78 }, { 78, -45 }, { 90, 0 }, FINIS },
    { { -75, -75 }, { 75, -75 }, { 75, 75 }, { -75, 75 }, { -75, -75 }, FINIS },
    { { 0, -88 }, { 85, 70 }, { -85, 70 }, { 0, -88 }, FINIS },
    { { 0, -95 }, { 56, 77 }, { -90, -29 }, { 90, -29 }, { -56, 77 }, { 0, -95 }, FINIS },
    { { -75, -80 }, { 75, 80 }, UP, { 75, -80 }, { -75, 80 }, FINIS },
    { { -80, -80 }, { 80, -80 }, { -80, 80 }, { 80, 80 }, FINIS },
    { { 5, 5 }, { 20, -15 }, { -10, -30 }, { -38, -5 }, { -30, 38 }, { 12, 52 }, { 55, 30 }, { 65, -20 }, { 40, -65 },
      { -15, -85 }, { -68, -62 }, { -92, -10 }, { -78, 50 }, FINIS },
    { { -85, 0 }, { 85, 0 }, UP, { 30, -60 }, { 85, 0 }, { 30, 60 }, FINIS },
    { { -55, -90 }, { -55, 90 }, UP, { 55, -90 }, { 55, 90 }, UP, { -55, -35 }, { 55, -35 }, UP, { -55, 35 },
      { 55, 35 }, FINIS },
    { { 70, -65 }, { 25, -90 }, { -35, -80 }, { -60, -45 }, { -40, -12 }, { 40, 12 }, { 60, 45 }, { 35, 80 },
      { -25, 90 }, { -70, 65 }, FINIS },
};

const char *const demo_class_names[] = { "ring",   "square", "triangle", "star",   "cross",
                                         "zigzag", "spiral", "arrow",    "ladder", "snake" };

/* ---- from shape to picture ---- */

typedef struct point {
    int x, y; /* 1/256 pixel */
} point;

/* How one picture distorts its shape. The matrix is in 1/4096 of a pixel's 1/256 per unit of the shape. */
typedef struct pose {
    int   xx, xy, yx, yy;
    int   bend_x, bend_y;
    point centre;
} pose;

/* The distance of every pixel's centre to the nearest stroke, squared, in 1/65536 pixel^2. */
typedef struct ink {
    int32_t distance[DEMO_PIXELS];
} ink;

static int clamp(int x, int low, int high) { return x < low ? low : x > high ? high : x; }

/* Rotation without sine and cosine: with t = tan(angle / 2), cos = (1-t^2)/(1+t^2) and sin = 2t/(1+t^2). */
static pose draw_pose(uint64_t *random)
{
    const int t     = draw_within(random, -300, 300); /* of 1024: up to 33 degrees */
    const int whole = (1 << 20) + t * t;
    const int cos   = (int)((int64_t)((1 << 20) - t * t) * 4096 / whole);
    const int sin   = (int)((int64_t)t * (1 << 23) / whole);
    const int wide  = draw_within(random, 14, 27); /* of 1/256 pixel: 100 units become 5.5 to 10.5 pixels */
    const int high  = draw_within(random, 14, 27);
    const int shear = draw_within(random, -1000, 1000);
    pose      p;
    p.bend_x   = draw_within(random, -24, 24);
    p.bend_y   = draw_within(random, -24, 24);
    p.xx       = cos * wide;
    p.xy       = (cos * shear / 4096 - sin) * high;
    p.yx       = sin * wide;
    p.yy       = (sin * shear / 4096 + cos) * high;
    p.centre.x = DEMO_SIDE * 128 + draw_within(random, -700, 700);
    p.centre.y = DEMO_SIDE * 128 + draw_within(random, -700, 700);
    return p;
}

static point place(const pose *p, int x, int y)
{
    const int bent_x = x + p->bend_x * y * y / 10000, bent_y = y + p->bend_y * x * x / 10000;
    return (point){ p->centre.x + (p->xx * bent_x + p->xy * bent_y) / 4096,
                    p->centre.y + (p->yx * bent_x + p->yy * bent_y) / 4096 };
}

static void put_line(ink *out, point a, point b)
{
    enum { REACH = 3 * 256 }; /* farther away no stroke is visible */
    const int     left  = clamp((a.x < b.x ? a.x : b.x) - REACH, 0, DEMO_SIDE * 256) / 256;
    const int     right = clamp((a.x > b.x ? a.x : b.x) + REACH, 0, DEMO_SIDE * 256 - 1) / 256;
    const int     top   = clamp((a.y < b.y ? a.y : b.y) - REACH, 0, DEMO_SIDE * 256) / 256;
    const int     low   = clamp((a.y > b.y ? a.y : b.y) + REACH, 0, DEMO_SIDE * 256 - 1) / 256;
    const int64_t dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
    for (int row = top; row <= low; row++)
        for (int column = left; column <= right; column++) {
            const int64_t x = column * 256 + 128 - a.x, y = row * 256 + 128 - a.y;
            int64_t       along = length ? (x * dx + y * dy) * 1024 / length : 0; /* 0..1024 from a to b */
            along               = along < 0 ? 0 : along > 1024 ? 1024 : along;
            const int64_t off_x = x - along * dx / 1024, off_y = y - along * dy / 1024;
            const int64_t square  = off_x * off_x + off_y * off_y;
            int32_t      *nearest = &out->distance[row * DEMO_SIDE + column];
            if (square < *nearest) *nearest = (int32_t)square;
        }
}

/* Each edge in four pieces, so that bending shows. */
static void put_edge(ink *out, const pose *p, const int from[2], const int to[2])
{
    point last = place(p, from[0], from[1]);
    for (int i = 1; i <= 4; i++) {
        const point next = place(p, from[0] + (to[0] - from[0]) * i / 4, from[1] + (to[1] - from[1]) * i / 4);
        put_line(out, last, next);
        last = next;
    }
}

static void put_shape(ink *out, uint64_t *random, int class)
{
    const pose p         = draw_pose(random);
    int        last[2]   = { 0, 0 };
    int        connected = 0;
    for (const int8_t(*at)[2] = shapes[class]; (*at)[0] != END_SHAPE; at++) {
        if ((*at)[0] == END_STROKE) {
            connected = 0;
            continue;
        }
        int next[2];
        for (int i = 0; i < 2; i++) next[i] = (*at)[i] + draw_within(random, -10, 10);
        if (connected) put_edge(out, &p, last, next);
        memcpy(last, next, sizeof last);
        connected = 1;
    }
}

static void put_scratch(ink *out, uint64_t *random)
{
    point from, to;
    from.x = draw_within(random, 0, DEMO_SIDE * 256);
    from.y = draw_within(random, 0, DEMO_SIDE * 256);
    to.x   = from.x + draw_within(random, -2600, 2600);
    to.y   = from.y + draw_within(random, -2600, 2600);
    put_line(out, from, to);
}

/* floor of the root. */
static int root_of(int32_t square)
{
    int root = 0;
    for (int bit = 1 << 15; bit; bit >>= 1)
        if ((int64_t)(root + bit) * (root + bit) <= square) root += bit;
    return root;
}

/* About normal, of standard deviation 295: four even draws. */
static int draw_noise(uint64_t *random)
{
    const uint64_t bits = draw_bits(random);
    return (int)(bits & 511) + (int)(bits >> 16 & 511) + (int)(bits >> 32 & 511) + (int)(bits >> 48 & 511) - 1022;
}

/* Levels of grey of one picture. */
typedef struct light {
    int ground, stroke, slope_x, slope_y, noise, width;
} light;

static light draw_light(uint64_t *random)
{
    light l;
    l.slope_x          = draw_within(random, -3, 3);
    l.slope_y          = draw_within(random, -3, 3);
    const int contrast = draw_within(random, 60, 150);
    const int dark     = draw_within(random, 15, 90);
    const int inverted = draw_within(random, 0, 3) == 0;
    l.ground           = inverted ? dark + contrast : dark;
    l.stroke           = inverted ? -contrast : contrast;
    l.noise            = draw_within(random, 5, 26);
    l.width            = draw_within(random, 150, 330); /* half a stroke */
    return l;
}

static void develop(uint8_t pixels[DEMO_PIXELS], const ink *from, const light *l, uint64_t *random)
{
    for (int i = 0; i < DEMO_PIXELS; i++) {
        const int column = i % DEMO_SIDE - DEMO_SIDE / 2, row = i / DEMO_SIDE - DEMO_SIDE / 2;
        const int covered = clamp(l->width + 128 - root_of(from->distance[i]), 0, 256);
        const int level   = l->ground + l->slope_x * column + l->slope_y * row + l->stroke * covered / 256;
        pixels[i]         = (uint8_t)clamp(level + draw_noise(random) * l->noise / 256, 0, 255);
    }
}

/* A patch of one grey over a part of the picture. */
static void cover(uint8_t pixels[DEMO_PIXELS], uint64_t *random)
{
    const int wide = draw_within(random, 3, 8), high = draw_within(random, 3, 8);
    const int left = draw_within(random, 0, DEMO_SIDE - wide), top = draw_within(random, 0, DEMO_SIDE - high);
    const int grey = draw_within(random, 0, 255);
    for (int row = top; row < top + high; row++) memset(pixels + row * DEMO_SIDE + left, grey, (size_t)wide);
}

int demo_draw(uint8_t pixels[DEMO_PIXELS], uint64_t seed, uint64_t index)
{
    uint64_t random = seed ^ (index + 1) * 0xd1342543de82ef95u;
    ink      strokes;
    for (int i = 0; i < DEMO_PIXELS; i++) strokes.distance[i] = 1 << 30;
    const int class = draw_within(&random, 0, DEMO_CLASSES - 1);
    put_shape(&strokes, &random, class);
    for (int n = draw_within(&random, 0, 2); n > 0; n--) put_scratch(&strokes, &random);
    const light l = draw_light(&random);
    develop(pixels, &strokes, &l, &random);
    for (int n = draw_within(&random, 0, 2); n > 0; n--) cover(pixels, &random);
    return class;
}
