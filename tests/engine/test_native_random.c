/* SPDX-License-Identifier: Apache-2.0 */
/* Random networks, by seed, on the native engine against the definition. A failure prints the network's text, which can
   become a row of test_native.c. */
#include "native.h"

enum { NETWORKS = 200, NODES = 9, MOST_VALUES_HERE = 40, TEXT = 4096 };

typedef struct value {
    int  channels, height, width;
    bool inherits; /* its parameters are its input's */
} value;

typedef struct writer {
    random_state r;
    char         text[TEXT], after[TEXT / 4]; /* statements that stand behind all nodes */
    value        at[MOST_VALUES_HERE];
    int          count;
} writer;

static int pick(writer *w, int lo, int hi) { return (int)random_int(&w->r, lo, hi); }
static int pick_value(writer *w) { return pick(w, 0, 2) ? w->count - 1 : pick(w, 0, w->count - 1); }

static int pick_channels(writer *w)
{
    static const int channels[] = { 1, 2, 3, 4, 5, 8, 8, 10, 16, 16, 17, 24, 32, 40, 48, 64, 70 };
    return channels[pick(w, 0, (int)(sizeof channels / sizeof *channels) - 1)];
}

__attribute__((format(printf, 3, 4))) static void write_text(writer *w, bool after, const char *format, ...)
{
    char *const  to   = after ? w->after : w->text;
    const size_t size = after ? sizeof w->after : sizeof w->text, used = strlen(to);
    va_list      arguments;
    va_start(arguments, format);
    assert_true((size_t)vsnprintf(to + used, size - used, format, arguments) < size - used);
    va_end(arguments);
}

/* The name of value number i: v0 is the input. */
static int add_value(writer *w, int channels, int height, int width, bool inherits)
{
    assert_true(w->count < MOST_VALUES_HERE);
    w->at[w->count] = (value){ channels, height, width, inherits };
    return w->count++;
}

static int extent(int in, int kernel, int stride, int dilation, int pads)
{
    return (in + pads - dilation * (kernel - 1) - 1) / stride + 1;
}

typedef struct window_text {
    char text[160];
    int  height, width, kernel[2];
} window_text;

/* Any window that fits x; pools have no dilation here, and pads below the kernel. */
static window_text pick_window(writer *w, const value *x, bool pool)
{
    window_text t = { .height = 0 };
    do {
        const int k = pick(w, pool ? 2 : 1, 5), l = pick(w, 0, 3) ? k : pick(w, 1, 5);
        const int s = pick(w, 1, 3), u = pick(w, 1, 3);
        const int d = pool ? 1 : 1 + !pick(w, 0, 4), e = pool ? 1 : d;
        int       pads[4];
        for (int i = 0; i < 4; i++)
            pads[i] = pick(w, 0, 2) ? (i % 2 ? l : k) / 2 : pick(w, 0, pool ? (i % 2 ? l : k) - 1 : 3);
        t.height = x->height + pads[0] + pads[2] <= d * (k - 1) ? 0 : extent(x->height, k, s, d, pads[0] + pads[2]);
        t.width  = x->width + pads[1] + pads[3] <= e * (l - 1) ? 0 : extent(x->width, l, u, e, pads[1] + pads[3]);
        t.kernel[0] = k, t.kernel[1] = l;
        const int used = snprintf(t.text, sizeof t.text, "pads=%d,%d,%d,%d strides=%d,%d", pads[0], pads[1], pads[2],
                                  pads[3], s, u);
        if (!pool) snprintf(t.text + used, sizeof t.text - (size_t)used, " dilations=%d,%d", d, e);
    } while (t.height < 1 || t.width < 1 || t.height * t.width > 2500);
    return t;
}

/* ---- operators ---- */

static void write_conv(writer *w)
{
    const int         x = pick_value(w), in = w->at[x].channels, kind = pick(w, 0, 5);
    const window_text t = pick_window(w, &w->at[x], false);
    const int         group = kind == 0 ? in : kind == 1 && in % 2 == 0 ? 2 : 1;
    const int         most = MOST_WEIGHTS / (in / group * t.kernel[0] * t.kernel[1]);
    const int         some = group == 1 ? pick_channels(w) : group == 2 ? 2 * pick(w, 1, 20) : in;
    const int         out = some < most ? some : 4;
    const int         y = add_value(w, out, t.height, t.width, false);
    write_text(w, false, "; v%d = Conv v%d w%d,%d,%d,%d", y, x, out, in / group, t.kernel[0], t.kernel[1]);
    if (pick(w, 0, 2)) write_text(w, false, " b%d", out);
    write_text(w, false, " group=%d %s", group, t.text);
}

/* A convolution summed in the Add behind it. */
static void write_sum(writer *w)
{
    const int   x = pick_value(w), k = 1 + 2 * pick(w, 0, 1), p = k / 2;
    const value v = w->at[x];
    const int   n = v.channels;
    const bool  each = pick(w, 0, 2) == 0 || n * n * k * k > MOST_WEIGHTS;
    const int   y = add_value(w, n, v.height, v.width, false), other = pick(w, 0, 1);
    write_text(w, false, "; c%d = Conv v%d w%d,%d,%d,%d b%d pads=%d,%d,%d,%d group=%d", y, x, n, each ? 1 : n, k, k, n,
               p, p, p, p, each ? n : 1);
    if (other) write_text(w, false, "; r%d = Tanh v%d", y, x);
    if (pick(w, 0, 1)) write_text(w, false, "; v%d = Add c%d %c%d", y, y, other ? 'r' : 'v', other ? y : x);
    else write_text(w, false, "; v%d = Add %c%d c%d", y, other ? 'r' : 'v', other ? y : x, y);
    write_text(w, true, "; real c%d", y);
}

static void write_function(writer *w)
{
    static const char *const names[] = { "Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "LeakyRelu", "Relu" };
    const int   x = pick_value(w), which = pick(w, 0, 5);
    const value v = w->at[x];
    const int   y = add_value(w, v.channels, v.height, v.width, which == 5);
    write_text(w, false, "; v%d = %s v%d", y, names[which], x);
}

static void write_pair(writer *w)
{
    static const char *const names[] = { "Add", "Sub", "Mul" };
    const int   a = pick_value(w), b = pick(w, 0, w->count - 1);
    const value x = w->at[a];
    if (w->at[b].channels != x.channels || w->at[b].height != x.height || w->at[b].width != x.width) {
        write_text(w, false, "; g%d = GlobalAveragePool v%d; h%d = Sigmoid g%d", w->count, a, w->count, w->count);
        write_text(w, false, "; v%d = %s v%d h%d", w->count, names[pick(w, 0, 2)], a, w->count);
    } else write_text(w, false, "; v%d = %s v%d v%d", w->count, names[pick(w, 0, 2)], a, b);
    add_value(w, x.channels, x.height, x.width, false);
}

static void write_pool(writer *w)
{
    const int         x = pick_value(w), largest = pick(w, 0, 1);
    const window_text t = pick_window(w, &w->at[x], true);
    const int         y = add_value(w, w->at[x].channels, t.height, t.width, largest);
    write_text(w, false, "; v%d = %s v%d kernel_shape=%d,%d %s", y, largest ? "MaxPool" : "AveragePool", x, t.kernel[0],
               t.kernel[1], t.text);
    if (!largest && pick(w, 0, 1)) write_text(w, false, " count_include_pad=1");
}

/* Two or three values of one space; some with the parameters of the first. */
static void write_concat(writer *w)
{
    const int  a = pick_value(w);
    const bool one = pick(w, 0, 2) > 0;
    char       names[64] = "", sames[64] = "";
    int        channels = 0, parts = 0, lowest = -1;
    for (int tries = 0; tries < 8 && parts < 3; tries++) {
        const int    b    = tries == 0 ? a : tries == 7 && parts == 1 ? a : pick(w, 0, w->count - 1);
        const value *v    = &w->at[b];
        const size_t used = strlen(names);
        if (v->height != w->at[a].height || v->width != w->at[a].width || channels + v->channels > 120) continue;
        snprintf(names + used, sizeof names - used, " v%d", b);
        channels += v->channels;
        parts++;
        if (!v->inherits && (lowest < 0 || b < lowest)) lowest = b;
        if (!v->inherits) snprintf(sames + strlen(sames), sizeof sames - strlen(sames), " v%d", b);
    }
    const int y = add_value(w, channels, w->at[a].height, w->at[a].width, false);
    write_text(w, false, "; v%d = Concat%s axis=1", y, names);
    if (one && lowest >= 0) write_text(w, true, "; same v%d%s v%d", lowest, sames, y);
}

/* ---- what only moves ---- */

static void write_shuffle(writer *w)
{
    const int   x = pick_value(w);
    const value v = w->at[x];
    const int   y = add_value(w, v.channels, v.height, v.width, true);
    if (v.channels % 2) write_text(w, false, "; v%d = Slice v%d i0 i%d i1", y, x, v.channels);
    else
        write_text(w, false, "; p%d = Reshape v%d i0,2,%d,%d,%d; q%d = Transpose p%d perm=0,2,1,3,4; v%d = Reshape q%d"
                   " i0,%d,%d,%d", y, x, v.channels / 2, v.height, v.width, y, y, y, y, v.channels, v.height, v.width);
}

static void write_slice(writer *w)
{
    const int   x = pick_value(w), axis = pick(w, 1, 3);
    const value v = w->at[x];
    const int   size[] = { v.channels, v.height, v.width }, from = pick(w, 0, size[axis - 1] - 1);
    const int   to     = pick(w, from + 1, size[axis - 1]);
    value       out    = v;
    if (axis == 1) out.channels = to - from;
    if (axis == 2) out.height = to - from;
    if (axis == 3) out.width = to - from;
    const int y = add_value(w, out.channels, out.height, out.width, true);
    write_text(w, false, "; v%d = Slice v%d i%d i%d i%d", y, x, from, to, axis);
}

static void write_pad(writer *w)
{
    const int   x = pick_value(w), c = pick(w, 0, 3) ? 0 : pick(w, 1, 9), t = pick(w, 0, 2), l = pick(w, 0, 2);
    const value v = w->at[x];
    const int   y = add_value(w, v.channels + c, v.height + 2 * t, v.width + t + l, true);
    write_text(w, false, "; v%d = Pad v%d i0,%d,%d,%d,0,0,%d,%d", y, x, c, t, l, t, t);
}

static void write_move(writer *w)
{
    const int   x = pick_value(w), which = pick(w, 0, 3), y = w->count;
    const value v = w->at[x];
    const bool  small = v.height * v.width < 200;
    if (which == 0 && small && v.channels % 4 == 0) {
        write_text(w, false, "; v%d = DepthToSpace v%d blocksize=2 mode=%s", y, x, pick(w, 0, 1) ? "DCR" : "CRD");
        add_value(w, v.channels / 4, 2 * v.height, 2 * v.width, true);
    } else if (which <= 1 && small) {
        write_text(w, false, "; v%d = Resize v%d - f1,1,2,2 mode=nearest", y, x);
        add_value(w, v.channels, 2 * v.height, 2 * v.width, true);
    } else if (which <= 2) {
        write_text(w, false, "; v%d = Transpose v%d perm=0,1,3,2", y, x);
        add_value(w, v.channels, v.width, v.height, true);
    } else {
        write_text(w, false, "; v%d = Gather v%d i%d,%d,0 axis=1", y, x, pick(w, 0, v.channels - 1),
                   pick(w, 0, v.channels - 1));
        add_value(w, 3, v.height, v.width, true);
    }
}

/* ---- networks ---- */

static void write_end(writer *w)
{
    const int   x = w->count - 1;
    const value v = w->at[x];
    const int   flat = v.channels * v.height * v.width;
    for (int i = 1, outputs = 1; i < x && outputs < MOST_OUTPUTS; i++)
        if (pick(w, 0, 9) == 0) {
            write_text(w, true, "; out v%d", i);
            outputs++;
        }
    if (flat <= 4000 && pick(w, 0, 1)) {
        write_text(w, false, "; flat = Flatten v%d; end = Gemm flat w9,%d b9 transB=1", x, flat);
        if (pick(w, 0, 1)) write_text(w, true, "; real end");
    } else if (pick(w, 0, 1)) write_text(w, false, "; end = GlobalAveragePool v%d", x);
    else {
        write_text(w, false, "; end = Conv v%d w%d,%d,1,1", x, pick_channels(w), v.channels);
        if (pick(w, 0, 1)) write_text(w, true, "; real end");
    }
    write_text(w, false, "%s", w->after);
}

static void write_network(writer *w, uint64_t seed)
{
    static void (*const operators[])(writer *) = { write_conv, write_conv, write_conv, write_sum, write_function,
                                                   write_pair, write_pool, write_concat, write_concat, write_shuffle,
                                                   write_slice, write_pad, write_move };
    *w = (writer){ .r = { seed } };
    const int c = pick_channels(w), h = pick(w, 0, 9) ? pick(w, 3, 20) : pick(w, 20, 50);
    const int l = pick(w, 0, 9) ? pick(w, 3, 20) : pick(w, 28, 70);
    add_value(w, c, h, l, false);
    write_text(w, false, "v0 %d %d %d", c, h, l);
    for (int i = 0; i < NODES; i++) operators[pick(w, 0, (int)(sizeof operators / sizeof *operators) - 1)](w);
    write_end(w);
}

static void test_random_networks(void **state)
{
    (void)state;
    const char *const from  = getenv("OCTET_TEST_SEED");
    const uint64_t    first = from ? strtoull(from, NULL, 10) : 1, count = is_quick() ? 12 : NETWORKS;
    static writer     w;
    trial_count       total = { 0 };
    for (uint64_t seed = first; seed < first + count; seed++) {
        small_net  net;
        char       text[TEXT];
        write_network(&w, seed);
        snprintf(text, sizeof text, "%s", w.text);
        if (from) print_message("%llu: %s\n", (unsigned long long)seed, text);
        make_net(&net, text, &level_styles[seed % STYLES], seed);
        check_net(&net, text, (int64_t)(seed % 7 == 0 ? 3 : 1), false, &total);
        octet_graph_free(net.graph);
    }
    print_message("%lld runs and %lld values compared, %lld steps were shared by threads\n", (long long)total.runs,
                  (long long)total.values, (long long)total.shared_steps);
    assert_int_equal(total.failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_random_networks) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
