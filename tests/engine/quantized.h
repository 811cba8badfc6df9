/* SPDX-License-Identifier: Apache-2.0 */
/* Small quantized networks from one line of text, with parameters of many kinds:

     "in 8 14 14; y = Conv in w16,8,3,3 b16 pads=1,1,1,1; z = Relu y; real z"

   A word of inputs is a value, w<dims> weights of levels, b<n> a bias, i<numbers> a list of integers, s<number> one
   integer, f<numbers> a list of floats, a<number> one float, - an input left out. The first statement is the input
   (after the batch). Then `real y` keeps a value in real numbers, `same a b` gives values the parameters of the first,
   `own y` undoes what is so by itself (an operator that moves levels keeps its input's), `out y` adds an output (the
   last value is one without saying so). */
#ifndef OCTET_TESTS_ENGINE_QUANTIZED_H
#define OCTET_TESTS_ENGINE_QUANTIZED_H

#include "network.h"

#include "graph/graph.h"
#include "graph/op.h"

/* What kind of levels a network gets. */
typedef struct level_style {
    const char *name;
    octet_dtype dtype;
    int32_t     qmin, qmax;
    bool        symmetric, one_weight_scale, unsigned_weights;
    float       scale; /* of every computed value, in units of what its range asks for; 0: near 1 */
} level_style;

static const level_style level_styles[] = {
    { "u8", OCTET_U8, 0, 255, false, false, false, 0 },
    { "s8 symmetric", OCTET_I8, -127, 127, true, false, false, 0 },
    { "s8", OCTET_I8, -128, 127, false, true, false, 0 },
    { "u8, narrow, unsigned weights", OCTET_U8, 10, 200, false, false, true, 0 },
    { "s8, narrow", OCTET_I8, -100, 90, false, false, false, 0 },
    { "u8, sums far outside", OCTET_U8, 0, 255, false, false, false, 1e-3f },
};

enum { STYLES = sizeof level_styles / sizeof *level_styles, MOST_VALUES = 96, MOST_WORDS = 24 };

typedef struct seen_range {
    char  name[32];
    float lo, hi;
} seen_range;

typedef struct small_net {
    octet_graph        *graph;
    const level_style  *style;
    random_state        random;
    int                 constants;
    int64_t             dims[8]; /* of the input, batch first */
    int                 rank;
    char                real[16][32], own[8][32], same[8][8][32];
    int                 real_count, own_count, same_count;
    seen_range          seen[MOST_VALUES];
    int                 seen_count;
    float               scale[MOST_VALUES];
    int32_t             zero[MOST_VALUES];
    octet_fake_quantize levels[MOST_VALUES];
    int                 level_count;
} small_net;

/* ---- words ---- */

static int split_words(char *words[MOST_WORDS], char *text, const char *between)
{
    int count = 0;
    for (char *at = strtok_r(text, between, &text); at; at = strtok_r(NULL, between, &text)) {
        assert_true(count < MOST_WORDS);
        words[count++] = at;
    }
    return count;
}

static int parse_ints(int64_t *to, const char *text)
{
    int count = 0;
    for (const char *at = text; *at; at += *at == ',') {
        char *end;
        to[count++] = strtoll(at, &end, 10);
        assert_true(end > at && count <= 8);
        at = end;
    }
    return count;
}

static int parse_floats(float *to, const char *text)
{
    int count = 0;
    for (const char *at = text; *at; at += *at == ',') {
        char *end;
        to[count++] = strtof(at, &end);
        assert_true(end > at && count <= 8);
        at = end;
    }
    return count;
}

/* ---- constants ---- */

/* Levels with one scale, or one per channel of dimension 0 (1 of matrices that MatMul reads, of ConvTranspose and of
   recurrent operators). */
static void add_level_weights(small_net *net, const char *name, const int64_t *dims, int rank, int axis)
{
    static uint8_t data[MOST_WEIGHTS];
    static float   scale[1024];
    static int32_t zero[1024];
    octet_qparams  q = { .scale = scale, .zero_point = zero, .axis = axis, .dtype = OCTET_I8, .qmin = -127,
                         .qmax = 127 };
    octet_tensor   tensor = { .rank = rank, .data = data, .qparams = &q };
    for (int i = 0; i < rank; i++) tensor.dims[i] = dims[i];
    tensor.dtype        = OCTET_I8;
    const int64_t count = octet_tensor_count(&tensor), wild = random_int(&net->random, 0, 3);
    assert_in_range(count, 1, MOST_WEIGHTS);
    q.count = net->style->one_weight_scale ? 1 : dims[axis];
    assert_in_range(q.count, 1, 1024);
    if (net->style->unsigned_weights) tensor.dtype = q.dtype = OCTET_U8, q.qmin = 0, q.qmax = 255;
    for (int64_t c = 0; c < q.count; c++) {
        scale[c] = random_float(&net->random, 0.002f, 0.02f);
        zero[c]  = net->style->unsigned_weights ? 128 : 0;
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t level = random_int(&net->random, -127, 127);
        data[i]             = (uint8_t)((wild == 0 ? level < 0 ? -127 : 127 : level) + zero[0]);
    }
    MUST(octet_graph_add_constant(net->graph, name, &tensor, &err));
}

static void add_numbers(small_net *net, const char *name, const char *word)
{
    int64_t      ints[8];
    float        floats[8];
    octet_tensor tensor = { .dtype = *word == 'i' || *word == 's' ? OCTET_I64 : OCTET_F32 };
    const bool   integer = tensor.dtype == OCTET_I64;
    tensor.rank    = *word == 'i' || *word == 'f';
    tensor.data    = integer ? (void *)ints : (void *)floats;
    tensor.dims[0] = integer ? parse_ints(ints, word + 1) : parse_floats(floats, word + 1);
    MUST(octet_graph_add_constant(net->graph, name, &tensor, &err));
}

/* The value that a word of an operator's inputs means. */
static const char *input_of(small_net *net, char name[32], const char *word, const char *op, bool rows_are_outputs)
{
    int64_t    dims[8];
    const bool number = word[1] == '-' || (word[1] >= '0' && word[1] <= '9');
    if (strcmp(word, "-") == 0) return "";
    if (!number || !strchr("wbisfa", *word)) return word;
    snprintf(name, 32, "constant%d", net->constants++);
    if (*word == 'w') {
        const int rank = parse_ints(dims, word + 1);
        const bool first = strcmp(op, "Conv") == 0 || rows_are_outputs;
        const bool second = strcmp(op, "ConvTranspose") == 0 || rank == 3;
        add_level_weights(net, name, dims, rank, first ? 0 : second ? 1 : rank - 1);
    } else if (*word == 'b') {
        dims[0] = atoll(word + 1);
        add_random(net->graph, &net->random, name, dims, 1, between(-0.5f, 0.5f));
    } else add_numbers(net, name, word);
    return name;
}

/* ---- nodes ---- */

/* All members at once: the operator reads the one that it documents. */
static void read_attribute(octet_attribute *attribute, char *word, int64_t ints[8], float floats[8])
{
    char *const value = strchr(word, '=') + 1;
    const bool  text  = strspn(value, "-0123456789.,e") != strlen(value);
    value[-1]         = '\0';
    *attribute = (octet_attribute){ .name = word, .s = value, .ints = ints, .floats = floats, .f = strtof(value, NULL),
                                    .i = atoll(value) };
    if (text) return;
    attribute->count = (size_t)parse_floats(floats, value);
    for (size_t i = 0; i < attribute->count; i++) ints[i] = (int64_t)floats[i];
}

static bool has_word(char *const *words, int count, const char *word)
{
    for (int i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0) return true;
    return false;
}

/* words: outputs (joined by commas), "=", op, then inputs and attributes. */
static void add_statement(small_net *net, char **words, int count)
{
    octet_attribute attributes[MOST_WORDS] = { 0 };
    int64_t         ints[MOST_WORDS][8];
    float           floats[MOST_WORDS][8];
    char            names[MOST_WORDS][32];
    const char     *inputs[MOST_WORDS];
    char           *outputs[MOST_WORDS];
    int             input_count = 0, attribute_count = 0;
    const bool      rows = has_word(words, count, "transB=1");
    for (int i = 3; i < count; i++)
        if (strchr(words[i], '=')) {
            read_attribute(&attributes[attribute_count], words[i], ints[attribute_count], floats[attribute_count]);
            attribute_count++;
        } else {
            inputs[input_count] = input_of(net, names[input_count], words[i], words[2], rows);
            input_count++;
        }
    const int             output_count = split_words(outputs, words[0], ",");
    const octet_node_spec spec = { .op = words[2], .name = outputs[0], .inputs = inputs, .input_count = input_count,
                                   .outputs = (const char *const *)outputs, .output_count = output_count,
                                   .attributes = attributes };
    MUST(octet_graph_add(net->graph, &spec, &err));
}

static void add_input(small_net *net, char **words, int count)
{
    net->rank    = count;
    net->dims[0] = OCTET_DIM_FREE;
    for (int i = 1; i < count; i++) net->dims[i] = atoll(words[i]);
    MUST(octet_graph_add_input(net->graph, words[0], OCTET_F32, net->dims, count, &err));
}

static void remember(char (*list)[32], int *count, char **words, int word_count)
{
    for (int i = 1; i < word_count; i++) snprintf(list[(*count)++], 32, "%s", words[i]);
}

static void read_text(small_net *net, const char *text)
{
    char  copy[4096], last[32] = "", *statements[64], *words[MOST_WORDS];
    int   count = 0;
    assert_true(strlen(text) < sizeof copy);
    strcpy(copy, text);
    for (char *rest, *at = strtok_r(copy, ";", &rest); at; at = strtok_r(NULL, ";", &rest)) {
        assert_true(count < 64);
        statements[count++] = at;
    }
    for (int i = 0; i < count; i++) {
        const int n = split_words(words, statements[i], " ");
        if (i == 0) add_input(net, words, n);
        else if (strcmp(words[0], "real") == 0) remember(net->real, &net->real_count, words, n);
        else if (strcmp(words[0], "own") == 0) remember(net->own, &net->own_count, words, n);
        else if (strcmp(words[0], "out") == 0) MUST(octet_graph_set_output(net->graph, words[1], &err));
        else if (strcmp(words[0], "same") == 0) {
            int sames = 0;
            remember(net->same[net->same_count++], &sames, words, n);
        } else {
            add_statement(net, words, n);
            snprintf(last, sizeof last, "%s", words[0]);
        }
    }
    if (!octet_graph_find_value(net->graph, last)->is_output) MUST(octet_graph_set_output(net->graph, last, &err));
}

/* ---- parameters ---- */

static octet_status see(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    small_net *const net = context;
    (void)err;
    if (tensor->dtype != OCTET_F32) return OCTET_OK;
    assert_true(net->seen_count < MOST_VALUES);
    seen_range *const seen = &net->seen[net->seen_count++];
    snprintf(seen->name, sizeof seen->name, "%s", name);
    for (int64_t i = 0; i < octet_tensor_count(tensor); i++) {
        seen->lo = fminf(seen->lo, ((const float *)tensor->data)[i]);
        seen->hi = fmaxf(seen->hi, ((const float *)tensor->data)[i]);
    }
    return OCTET_OK;
}

/* Runs the float network to see ranges. */
static void see_ranges(small_net *net)
{
    octet_tensor input = { .dtype = OCTET_F32, .rank = net->rank };
    session      s;
    memcpy(input.dims, net->dims, sizeof net->dims);
    input.dims[0]      = 1;
    const size_t count = (size_t)octet_tensor_count(&input);
    float *const data  = malloc(count * sizeof *data);
    random_fill(&net->random, data, count, -1, 1);
    input.data = data;
    session_begin(&s, net->graph, &(octet_plan_options){ .engines = "reference", .threads = 1 });
    octet_workspace_set_hook(s.workspace, see, net);
    session_run(&s, &input);
    session_end(&s);
    free(data);
}

static bool is_listed(char (*list)[32], int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(list[i], name) == 0) return true;
    return false;
}

static octet_fake_quantize *new_levels(small_net *net, const seen_range *seen)
{
    const level_style *const style = net->style;
    const int                i     = net->level_count++;
    const float              room  = style->scale != 0 && strcmp(seen->name, net->graph->inputs[0]->name) != 0
                                         ? style->scale : random_float(&net->random, 0.6f, 1.2f);
    const int32_t            levels = style->qmax - style->qmin;
    const float              seen_width = style->symmetric ? 2 * fmaxf(-seen->lo, seen->hi) : seen->hi - seen->lo;
    const float              width      = fmaxf(seen_width, 0.1f);
    net->scale[i] = width * room / (float)levels;
    net->zero[i]  = style->symmetric ? (style->qmin + style->qmax) / 2
                                     : style->qmin + (int32_t)rintf(-seen->lo / width * (float)levels);
    net->levels[i].qparams = (octet_qparams){ .scale = &net->scale[i], .zero_point = &net->zero[i], .count = 1,
                                              .dtype = style->dtype, .qmin = style->qmin, .qmax = style->qmax };
    return &net->levels[i];
}

/* An operator that moves or compares levels keeps its input's parameters. */
static octet_fake_quantize *inherited(small_net *net, const octet_value *value)
{
    const octet_node *const node = value->producer;
    if (!node || is_listed(net->own, net->own_count, value->name)) return NULL;
    const bool nearest = strcmp(node->op->name, "Resize") == 0;
    return node->op->quant == OCTET_QUANT_SAME || nearest ? node->inputs[0]->fake_quantize : NULL;
}

static octet_fake_quantize *levels_of(small_net *net, const octet_value *value, const seen_range *seen)
{
    for (int i = 0; i < net->same_count; i++) {
        if (!is_listed(net->same[i], 8, value->name)) continue;
        const octet_value *const first = octet_graph_find_value(net->graph, net->same[i][0]);
        return first && first->fake_quantize ? first->fake_quantize : new_levels(net, seen);
    }
    octet_fake_quantize *const from = inherited(net, value);
    return from ? from : new_levels(net, seen);
}

static void set_all_levels(small_net *net)
{
    for (int i = 0; i < net->seen_count; i++) {
        octet_value *const value = octet_graph_find_value(net->graph, net->seen[i].name);
        if (!value || value->constant || is_listed(net->real, net->real_count, value->name)) continue;
        value->fake_quantize = levels_of(net, value, &net->seen[i]);
    }
    net->graph->stage = OCTET_STAGE_QUANTIZED;
}

/* The caller frees net->graph. */
UNUSED static void make_net(small_net *net, const char *text, const level_style *style, uint64_t seed)
{
    *net = (small_net){ .style = style, .random = { seed } };
    MUST(octet_graph_new(&net->graph, &err));
    read_text(net, text);
    MUST(octet_graph_verify(net->graph, &err));
    MUST(octet_fuse(net->graph, &err));
    see_ranges(net);
    set_all_levels(net);
}

#endif
