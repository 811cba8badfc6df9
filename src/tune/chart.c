/* SPDX-License-Identifier: Apache-2.0 */
/* The trials as a picture: time to the right, accuracy upwards. What the frontier consists of is numbered as in the
   table and told below; everything else is a small point. Colours follow the reader's light or dark setting. */
#include "base/builder.h"
#include "tune/tune.h"

#include <octet/text.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 760, LEFT = 84, RIGHT = 730, TOP = 64, BOTTOM = 392, LINE = 20, MOST_TICKS = 12 };

/* One direction: which numbers lie where on the page. */
typedef struct axis {
    double low, high; /* at first, last */
    double first, last;
    double step;      /* between ticks */
} axis;

typedef struct chart {
    octet_builder       out;
    const octet_tuning *tuning;
    axis                x, y;
    bool                float_drawn; /* the float network is one of the points */
} chart;

/* ---- numbers and places ---- */

/* A round number of which about six fill the span. */
static double step_for(double span)
{
    const double rough = span / 6, power = pow(10, floor(log10(rough)));
    const double digit = rough / power;
    return (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10) * power;
}

/* Room for all between low and high, and a margin. least: no span is narrower. */
static axis axis_of(double low, double high, double least, double first, double last)
{
    const double middle = (low + high) / 2, span = fmax(high - low, least);
    axis         a      = { middle - span * 0.56, middle + span * 0.56, first, last, 0 };
    a.step              = step_for(a.high - a.low);
    return a;
}

static double place(const axis *a, double value)
{
    return a->first + (value - a->low) / (a->high - a->low) * (a->last - a->first);
}

/* What goes upwards: SQNR itself, otherwise what is lost, downwards. */
static bool by_sqnr(const chart *c) { return c->tuning->metric == OCTET_METRIC_SQNR; }

static double height(const chart *c, const octet_tune_trial *t) { return by_sqnr(c) ? t->sqnr_db : -t->drop; }

static double budget(const chart *c)
{
    const octet_tuning *const t = c->tuning;
    if (!by_sqnr(c)) return -t->max_drop;
    return t->closest ? t->closest->drop + t->closest->sqnr_db : NAN;
}

static bool is_drawn(const chart *c, const octet_tune_trial *t)
{
    return !t->failed && isfinite(t->latency) && isfinite(height(c, t));
}

/* The float network is drawn where that squeezes nothing: where trials do not differ in time themselves. */
static void scale(chart *c)
{
    const octet_tuning *const t = c->tuning;
    double                    low = 1, high = 1, bottom = budget(c), top = budget(c);
    for (size_t i = 0; i < t->trial_count; i++) {
        const octet_tune_trial *const trial = &t->trials[i];
        if (!is_drawn(c, trial)) continue;
        low    = fmin(low, trial->latency);
        high   = fmax(high, trial->latency);
        bottom = fmin(bottom, height(c, trial));
        top    = fmax(top, height(c, trial));
    }
    c->float_drawn = !by_sqnr(c) && isfinite(t->float_latency) &&
                     (high - low < 0.02 || t->float_latency - 1 < 3 * (high - low));
    if (c->float_drawn) {
        low  = fmin(low, t->float_latency);
        high = fmax(high, t->float_latency);
    }
    if (!by_sqnr(c)) top = fmax(top, 0);
    c->x = axis_of(low, high, 0.05, LEFT, RIGHT);
    c->y = axis_of(isfinite(bottom) ? bottom : 0, isfinite(top) ? top : 0, by_sqnr(c) ? 1 : 1e-6, BOTTOM, TOP);
}

/* ---- text ---- */

static void put_text(octet_builder *out, const char *text)
{
    char clean[400];
    octet_text_clean(clean, sizeof clean, text);
    for (const char *at = clean; *at; at++) {
        if (*at == '&') octet_build(out, "&amp;");
        else if (*at == '<') octet_build(out, "&lt;");
        else if (*at == '>') octet_build(out, "&gt;");
        else if (*at == '"') octet_build(out, "&quot;");
        else if (*at == '\'') octet_build(out, "&#39;");
        else octet_build(out, "%c", *at);
    }
}

/* "3 output, 2 float: top1 lost 0.27, SQNR 22.2 dB, time 1.04" */
static void put_trial(chart *c, const octet_tune_trial *t)
{
    char text[200];
    octet_tune_config_print(text, sizeof text, &t->config);
    octet_build(&c->out, "%zu  ", (size_t)(t - c->tuning->trials) + 1);
    put_text(&c->out, text);
    octet_build(&c->out, ": ");
    if (!by_sqnr(c)) octet_build(&c->out, "%s lost %.4g, ", octet_metric_name(c->tuning->metric), t->drop);
    octet_build(&c->out, "SQNR %.1f dB, time %.2f", t->sqnr_db, t->latency);
    if (t == c->tuning->best) octet_build(&c->out, " (the result)");
}

/* ---- parts ---- */

static void put_head(chart *c, const char *title, int bottom)
{
    octet_build(&c->out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
                "role=\"img\">\n"
                "<style>\n"
                "svg { background: #fff; font: 13px system-ui, sans-serif; }\n"
                "text { fill: #222; } .quiet { fill: #666; } .title { font-size: 16px; font-weight: 600; }\n"
                ".grid { stroke: #e3e3e3; } .axis { stroke: #888; } "
                ".budget { stroke: #c2410c; stroke-dasharray: 6 4; }\n"
                ".budgettext { fill: #c2410c; } .other { fill: #9aa0a6; } .front { fill: #1d5fb4; }\n"
                ".line { stroke: #1d5fb4; fill: none; stroke-width: 1.5; } .best { stroke: #15803d; fill: none; "
                "stroke-width: 2.5; }\n"
                ".float { fill: none; stroke: #666; stroke-width: 1.5; }\n"
                "@media (prefers-color-scheme: dark) { svg { background: #16181c; } text { fill: #e6e6e6; } "
                ".quiet { fill: #a0a4aa; } .grid { stroke: #2c3036; } .budgettext { fill: #fb923c; } "
                ".budget { stroke: #fb923c; } .front { fill: #6ea8fe; } .line { stroke: #6ea8fe; } "
                ".best { stroke: #4ade80; } .other { fill: #6b7280; } .float { stroke: #a0a4aa; } }\n"
                "</style>\n<title>",
                WIDTH, bottom, WIDTH, bottom);
    put_text(&c->out, title);
    octet_build(&c->out, "</title>\n<text class=\"title\" x=\"%d\" y=\"26\">", LEFT);
    put_text(&c->out, title);
    octet_build(&c->out,
                "</text>\n<text class=\"quiet\" x=\"%d\" y=\"46\">%zu trials, %zu layers could stay in float", LEFT,
                c->tuning->trial_count, c->tuning->layer_count);
    if (isfinite(c->tuning->float_latency))
        octet_build(&c->out, "; the float network takes %.2f times as long", c->tuning->float_latency);
    octet_build(&c->out, "</text>\n");
}

/* As many digits as neighbours need to differ. */
static int digits_of(double step) { return (int)fmax(0, -floor(log10(step) + 1e-9)); }

static void put_axes(chart *c)
{
    const axis *const x = &c->x, *const y = &c->y;
    octet_builder    *out = &c->out;
    int               n   = 0;
    for (double v = ceil(x->low / x->step) * x->step; v <= x->high && n < MOST_TICKS; v += x->step, n++) {
        octet_build(out, "<path class=\"grid\" d=\"M%.1f %dV%d\"/>", place(x, v), TOP, BOTTOM);
        octet_build(out, "<text class=\"quiet\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">%.*f</text>\n",
                    place(x, v), BOTTOM + 20, digits_of(x->step), v);
    }
    n = 0;
    for (double v = ceil(y->low / y->step) * y->step; v <= y->high && n < MOST_TICKS; v += y->step, n++) {
        const double shown = by_sqnr(c) ? v : -v;
        octet_build(out, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>", LEFT, place(y, v), RIGHT);
        octet_build(out, "<text class=\"quiet\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">%.*f</text>\n", LEFT - 8,
                    place(y, v) + 4, digits_of(y->step), fabs(shown) < y->step / 2 ? 0.0 : shown);
    }
    octet_build(out, "<path class=\"axis\" fill=\"none\" d=\"M%d %dV%dH%d\"/>\n", LEFT, TOP, BOTTOM, RIGHT);
    octet_build(out, "<text text-anchor=\"middle\" x=\"%d\" y=\"%d\">time of a run, without float layers = 1</text>\n",
                (LEFT + RIGHT) / 2, BOTTOM + 42);
    octet_build(out, "<text text-anchor=\"middle\" transform=\"translate(24 %d) rotate(-90)\">%s%s%s</text>\n",
                (TOP + BOTTOM) / 2, by_sqnr(c) ? "SQNR of the output, dB" : octet_metric_name(c->tuning->metric),
                by_sqnr(c) ? "" : " lost against float",
                octet_metric_is_share(c->tuning->metric) ? ", points" : "");
}

static void put_budget(chart *c)
{
    const double at = place(&c->y, budget(c));
    if (!isfinite(at)) return;
    octet_build(&c->out, "<path class=\"budget\" d=\"M%d %.1fH%d\"/>", LEFT, at, RIGHT);
    octet_build(&c->out, "<text class=\"budgettext\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">budget</text>\n",
                RIGHT - 4, at - 6);
}

/* A step from point to point of the frontier, fastest first: in between nothing better is known. */
static void put_line(chart *c)
{
    const octet_tuning *const t = c->tuning;
    double                    after = -INFINITY;
    bool                      first = true;
    octet_build(&c->out, "<path class=\"line\" d=\"");
    for (;;) {
        const octet_tune_trial *next = NULL;
        for (size_t i = 0; i < t->trial_count; i++) {
            const octet_tune_trial *const trial = &t->trials[i];
            if (!trial->frontier || !is_drawn(c, trial) || trial->latency <= after) continue;
            if (!next || trial->latency < next->latency) next = trial;
        }
        if (!next) break;
        const double x = place(&c->x, next->latency), y = place(&c->y, height(c, next));
        if (first) octet_build(&c->out, "M%.1f %.1f", x, y);
        else octet_build(&c->out, "H%.1fV%.1f", x, y);
        after = next->latency;
        first = false;
    }
    octet_build(&c->out, "\"/>\n");
}

static void put_points(chart *c)
{
    const octet_tuning *const t = c->tuning;
    for (int front = 0; front < 2; front++)
        for (size_t i = 0; i < t->trial_count; i++) {
            const octet_tune_trial *const trial = &t->trials[i];
            if (!is_drawn(c, trial) || trial->frontier != (front == 1)) continue;
            const double x = place(&c->x, trial->latency), y = place(&c->y, height(c, trial));
            octet_build(&c->out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%d\"><title>",
                        front ? "front" : "other", x, y, front ? 5 : 3);
            put_trial(c, trial);
            octet_build(&c->out, "</title></circle>\n");
            if (trial == t->best)
                octet_build(&c->out, "<circle class=\"best\" cx=\"%.1f\" cy=\"%.1f\" r=\"9\"/>\n", x, y);
            if (front || trial == t->best)
                octet_build(&c->out, "<text x=\"%.1f\" y=\"%.1f\">%zu</text>\n", x + 11, y - 7, i + 1);
        }
    if (!c->float_drawn) return;
    const double x = place(&c->x, t->float_latency), y = place(&c->y, 0);
    octet_build(&c->out, "<circle class=\"float\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/>", x, y);
    octet_build(&c->out, "<text text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">float</text>\n", x - 10, y - 7);
}

static bool is_told(const chart *c, const octet_tune_trial *t)
{
    return is_drawn(c, t) && (t->frontier || t == c->tuning->best);
}

static void put_list(chart *c)
{
    int line = 0;
    for (size_t i = 0; i < c->tuning->trial_count; i++) {
        if (!is_told(c, &c->tuning->trials[i])) continue;
        octet_build(&c->out, "<text x=\"%d\" y=\"%d\">", LEFT, BOTTOM + 74 + LINE * line++);
        put_trial(c, &c->tuning->trials[i]);
        octet_build(&c->out, "</text>\n");
    }
}

octet_status octet_tuning_svg(const char **svg, octet_tuning *tuning, const char *title, octet_error *err)
{
    chart c    = { .out.arena = octet_tuning_arena(tuning), .tuning = tuning };
    int   told = 0;
    for (size_t i = 0; i < tuning->trial_count; i++) told += is_told(&c, &tuning->trials[i]);
    scale(&c);
    put_head(&c, title, BOTTOM + 74 + LINE * told);
    put_axes(&c);
    put_budget(&c);
    put_line(&c);
    put_points(&c);
    put_list(&c);
    octet_build(&c.out, "</svg>\n");
    *svg = c.out.text;
    return c.out.failed ? octet_fail_memory(err) : OCTET_OK;
}
