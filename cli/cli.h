/* SPDX-License-Identifier: Apache-2.0 */
/* The command line's own nouns. Everything a user can type is a row: commands in main.c, options in options.c and
   beside their verb. Parser, help, docs/cli.md and configuration files all walk the same rows. */
#ifndef OCTET_CLI_CLI_H
#define OCTET_CLI_CLI_H

#include <jansson.h>
#include <octet/octet.h>

/* What the process tells its caller. 130 and 143 are left to signals. */
enum {
    CLI_OK          = 0,
    CLI_FAILED      = 1,
    CLI_USAGE       = 2,
    CLI_BAD_INPUT   = 3,
    CLI_GATE        = 4,
    CLI_LIMIT       = 5,
    CLI_UNSUPPORTED = 6,
};

/* ---- options (options.c, args.c, help.c, config.c) ---- */

/* How an option's text becomes a value, and the type of the value's member in cli_args. */
typedef enum cli_kind {
    CLI_FLAG,     /* bool; takes no text */
    CLI_TEXT,     /* const char * */
    CLI_OPTIONAL, /* const char *: --name or --name=TEXT; where the text is left out the first of cli_option.word's,
                     else "-" */
    CLI_WORD,     /* const char *: one of cli_option.word's, or of those in argument, parted by '|' */
    CLI_COUNT,    /* size_t within low..high */
    CLI_INTEGER,  /* int within low..high */
    CLI_NUMBER,   /* double within low..high */
    CLI_BYTES,    /* size_t with k, M, G */
    CLI_LAYER,    /* GLOB=float, GLOB=mse, ...; may be repeated */
    CLI_SHAPE,    /* NAME=D,D,...: cli_args.shapes, may be repeated; without '=' const char * */
} cli_kind;

typedef struct cli_option {
    const char *name; /* without dashes; NULL ends a group */
    char        letter;
    cli_kind    kind;
    const char *argument; /* as help shows it; NULL for flags */
    size_t      offset;   /* into cli_args */
    const char *standard; /* what holds without it, as text; NULL: nothing */
    const char *help;
    const char *section; /* of a configuration file ("quantize"), NULL: not there */
    double      low, high;
    const char *(*word)(size_t index); /* NULL past the end */
    const char *opposite;              /* the row that contradicts this one */
    bool        required;
} cli_option;

typedef struct cli_group {
    const char       *title;
    const cli_option *rows;
} cli_group;

/* One example line of help: what to type after "octet ", and what it does. */
typedef struct cli_example {
    const char *line, *what;
} cli_example;

struct cli_args;

typedef struct cli_syntax {
    const char        *operands;  /* "MODEL INPUT..." */
    int                low, high; /* how many; high 0: any number */
    const cli_group   *groups;    /* ends at title == NULL */
    const cli_example *examples;  /* ends at line == NULL */
} cli_syntax;

typedef struct cli_kept cli_kept;

/* All values of all options; a verb uses those of its groups. Zero is the default of every member. */
typedef struct cli_args {
    const char *const *operands;
    int                operand_count;

    const char  *output, *json, *progress;
    bool         force, quiet, verbose, dry_run, help;
    int          threads;
    double       timeout;
    const char  *end_at;
    octet_limits limits;

    const char           *data_path;
    octet_dataset_options data;

    const char       *input_type, *output_type;
    const char       *qconfig, *method, *activations, *weights, *target, *config, *overrides;
    const char       *weight_only, *embeddings;
    size_t            group;
    double            percentile;
    const char       *bias_correct, *rounding;
    bool              per_channel, per_tensor, dynamic, symmetric, equalize, print_config;
    size_t            held_back;
    const char       *statistics;
    bool              merge;
    octet_layer_rule *layers;
    size_t            layer_count, layer_capacity;
    octet_port       *shapes; /* of inputs, by name */
    size_t            shape_count;

    const char *baseline, *metric, *max_drop, *output_name;
    int         border;
    size_t      top;
    const char *names, *completion, *dump;
    bool        operators, markdown, manual, show_limits, data_only;

    /* qat */
    octet_train_options train;
    const char *optimizer, *schedule, *loss, *freeze_observers, *freeze_batch_norm, *log;
    size_t      init_calibrate, patience, checkpoint_steps, log_steps;
    bool        lsq, distill, restart;
    struct cli_other_data {
        const char *path, *labels, *reference;
        size_t      limit, skip, every, skip_every;
    } validation, test;

    /* tune */
    const char *journal, *frontier;
    size_t      trials;
    double      seconds_at_most, min_sqnr;
    bool        explore, ranges_only;

    const char *engine, *against, *recorded;
    size_t      batch, runs, max_levels, max_local;
    double      seconds;
    bool        layer_times, all_values;

    size_t layer_samples, effects;
    bool   no_effects;
    const char *title;
    bool        untimed;

    size_t    given[128]; /* offsets of what the command line has set */
    size_t    given_count;
    json_t   *settings; /* the configuration file: owns texts that members point to */
    cli_kept *kept;     /* the other texts */
} cli_args;

extern const cli_option cli_shape_options[], cli_common_options[], cli_limit_options[], cli_output_options[],
    cli_preprocess_options[],
    cli_subset_options[], cli_data_options[], cli_optional_data_options[],
    cli_engine_options[], cli_type_options[], cli_weight_options[], cli_qconfig_options[];

/* The rows of a data set beside --data, in cli_args.member: --NAME PATH, --NAME-labels and so on. */
#define CLI_OTHER_DATA(name, member, what)                                                                          \
    { name, 0, CLI_TEXT, "PATH", offsetof(cli_args, member.path), NULL, what },                                     \
        { name "-labels", 0, CLI_TEXT, "FILE", offsetof(cli_args, member.labels), "those beside it", "as --labels" }, \
        { name "-reference", 0, CLI_TEXT, "FILE.npy", offsetof(cli_args, member.reference), NULL,                   \
          "true outputs, for mse and psnr" },                                                                       \
        { name "-limit", 0, CLI_COUNT, "N", offsetof(cli_args, member.limit), "all", "as --limit", NULL, 1, 1e15 }, \
        { name "-skip", 0, CLI_COUNT, "N", offsetof(cli_args, member.skip), "0", "as --skip", NULL, 0, 1e15 },      \
        { name "-every", 0, CLI_COUNT, "N", offsetof(cli_args, member.every), "1", "as --every", NULL, 1, 1e15,     \
          .opposite = name "-skip-every" },                                                                         \
    {                                                                                                               \
        name "-skip-every", 0, CLI_COUNT, "N", offsetof(cli_args, member.skip_every), NULL, "as --skip-every", NULL, \
            2, 1e15, .opposite = name "-every"                                                                      \
    }

/* Reads argv (argv[0] is the verb). operands points into argv afterwards. */
octet_status cli_args_parse(cli_args *args, const cli_syntax *syntax, int argc, char **argv, octet_error *err);
void         cli_args_free(cli_args *args);

/* Adds what "NAME=D,D,..." says to args->shapes (shapes.c). */
octet_status cli_add_shape(cli_args *args, const char *text, octet_error *err);
/* Binds graph's free dimensions as --shape asks. */
octet_status cli_bind_shapes(octet_graph *graph, const cli_args *args, octet_error *err);

/* Sets one option from text; label is what messages call it ("--percentile", "calibration.percentile"). */
octet_status cli_option_set(cli_args *args, const cli_option *option, const char *label, const char *text,
                            octet_error *err);
/* The row of that name among a verb's groups, or NULL. */
const cli_option *cli_option_find(const cli_syntax *syntax, const char *name);
/* The index-th row of all of a verb's groups, NULL past the end. */
const cli_option *cli_option_at(const cli_syntax *syntax, size_t index);
bool              cli_option_given(const cli_args *args, const cli_option *option);
/* The i-th word that the option takes, NULL past the end. Writes into text where the words are parts of argument. */
const char *cli_option_word(const cli_option *option, size_t index, char *text, size_t size);
/* A copy of text that lives as long as args. */
const char *cli_args_keep(cli_args *args, const char *text);

/* Zeroed bytes that live as long. */
void *cli_args_room(cli_args *args, size_t size);

/* A JSON file, bounded in size and depth; the error names it. The caller owns *root. */
octet_status cli_json_read(json_t **root, const char *path, octet_error *err);

/* Applies a configuration file; what the command line has set already stays. */
octet_status cli_config_read(cli_args *args, const cli_syntax *syntax, const char *path, octet_error *err);
/* The same document for the options in force. The caller owns it. */
json_t *cli_config_document(const cli_args *args, const cli_syntax *syntax);

/* Of the candidates that next lists (NULL past the end), the one that name is a misspelling of, or NULL. */
typedef const char *(*cli_candidates)(const void *context, size_t index);
const char *cli_suggest(const char *name, cli_candidates next, const void *context);

/* ---- commands (main.c) ---- */

typedef struct cli_call cli_call;

typedef struct cli_command {
    const char       *name;
    octet_status    (*run)(cli_call *call, octet_error *err);
    const char       *sentence;
    const cli_syntax *syntax;
    bool              any_inputs; /* feeds networks of several inputs, or of integers */
} cli_command;

extern const cli_command cli_commands[]; /* ends at name == NULL */

/* One use of a command. */
struct cli_call {
    const cli_command *command;
    cli_args           args;
    json_t            *document; /* what --json prints; begun for every call */
    bool               writing;  /* inputs are done with: a file error is ours (exit 1), not the input's (exit 3) */
    char               hint[200]; /* second line of an error; "": none */
    int                exit_code; /* other than 0: the answer is no, or a failure with a code of its own */
    struct cli_progress {
        int    mode; /* 0 none, 1 a line on a terminal, 2 JSON lines */
        double began, shown;
        char   phase[32];
        bool   visible;
    } progress;
};

octet_status cli_inspect(cli_call *call, octet_error *err);
octet_status cli_quantize(cli_call *call, octet_error *err);
octet_status cli_calibrate(cli_call *call, octet_error *err);
octet_status cli_qat(cli_call *call, octet_error *err);
octet_status cli_tune(cli_call *call, octet_error *err);
octet_status cli_eval(cli_call *call, octet_error *err);
octet_status cli_compare(cli_call *call, octet_error *err);
octet_status cli_diff(cli_call *call, octet_error *err);
octet_status cli_bench(cli_call *call, octet_error *err);
octet_status cli_report_page(cli_call *call, octet_error *err);
octet_status cli_run(cli_call *call, octet_error *err);
octet_status cli_doctor(cli_call *call, octet_error *err);
octet_status cli_demo(cli_call *call, octet_error *err);
octet_status cli_help(cli_call *call, octet_error *err);

extern const cli_syntax cli_inspect_syntax, cli_quantize_syntax, cli_calibrate_syntax,
    cli_qat_syntax, cli_tune_syntax, cli_eval_syntax,
    cli_compare_syntax, cli_diff_syntax, cli_bench_syntax, cli_report_syntax, cli_run_syntax, cli_doctor_syntax,
    cli_demo_syntax, cli_help_syntax;

/* ---- help.c ---- */

void cli_help_print(const cli_command *command); /* NULL: all commands */
void cli_help_markdown(void);
/* "-o, --output FILE" and what it means, as one sentence. */
enum { CLI_HEADING = 160, CLI_SENTENCE = 1024 }; /* bytes that the longest ones need */
void cli_option_heading(char *text, size_t size, const cli_option *row);
void cli_option_sentence(char *text, size_t size, const cli_option *row);

/* ---- manual.c, completion.c ---- */

/* The manual page of a command (NULL: of all of them), as scdoc reads it. */
void cli_manual_print(const cli_command *command);
/* What a shell runs to complete octet's words. shell: "bash", "zsh" or "fish". */
void cli_completion_print(const char *shell);

/* ---- output (print.c, json.c, progress.c) ---- */

/* Whether results go to stdout as text: not with --json to stdout, not with -q. */
bool cli_talks(const cli_call *call);
/* printf to stdout if cli_talks, with the line of progress out of the way. */
void cli_say(cli_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "octet: warning: ..." on stderr, unless -q; every line of text. */
void cli_warn(const cli_call *call, const char *text);
/* The one line of an error. */
void cli_report(const octet_error *err);
/* text without control bytes, cut to what fits: a view into clean. */
const char *cli_clean(char clean[96], const char *text);
/* "1.05 MiB" */
const char *cli_bytes(char text[32], double bytes);
/* "31.42 dB", "equal", "-" */
const char *cli_decibel(char text[32], double value);
/* Memory for the command line's own use; ends the process with exit 1 where there is none. */
void *cli_alloc(size_t count, size_t size);
void *cli_grow(void *items, size_t count, size_t size);
/* "octet: error: out of memory", temporaries removed, exit 1. */
_Noreturn void cli_out_of_memory(void);

/* Values of JSON documents. Not-a-number and infinity become null. */
json_t *cli_json_number(double value);
json_t *cli_json_count(uint64_t value);
json_t *cli_json_text(const char *text);
json_t *cli_json_port(octet_port port);
/* Gives value (which it owns from now on) to an object or to an array. */
void cli_json_set(json_t *object, const char *key, json_t *value);
void cli_json_add(json_t *array, json_t *value);
void    cli_json_scores(json_t *object, const octet_scores *scores);
json_t *cli_json_object(void);
json_t *cli_json_array(void);
json_t *cli_json_begin(const char *verb);
/* Writes call->document where --json says. */
octet_status cli_json_write(cli_call *call, octet_error *err);

void cli_progress_begin(cli_call *call);
int  cli_progress_step(void *call, const octet_progress *progress); /* an octet_progress_function */
/* Whether it is time for a line of that phase; last: the phase is over. */
bool cli_progress_due(cli_call *call, const char *phase, bool last);
/* Puts text in the place of the line on the terminal. */
void cli_progress_line(cli_call *call, const char *text);
/* "12 s", "3:20", "1.5 h"; "" where it is not known. */
const char *cli_time(char text[32], double seconds);
void cli_progress_end(cli_call *call);
double cli_now(void); /* seconds of a clock that never jumps */

/* ---- signals.c ---- */

void cli_signals_install(void);
/* What messages name when a mapped file vanishes, and temporaries of our own. */
void cli_signals_input(const char *path);
void cli_signals_timeout(double seconds);
/* While on, the first signal that asks for the end is kept for cli_signals_pending, and the second ends the process.
   Switching off obeys what was kept. */
void cli_signals_defer(bool on);
bool cli_signals_pending(void);
/* Ends the process as the kept signal would have. hint: a further line, or "". */
_Noreturn void cli_signals_obey(const char *hint);

/* ---- files.c ---- */

/* Before any work: every output can be written and is none of the inputs. */
octet_status cli_check_outputs(cli_call *call, octet_error *err);
/* Writes an array as .npy, or several as .npz (stored). */
octet_status cli_npy_write(const char *path, const octet_tensor *tensor, bool replace, octet_error *err);
octet_status cli_npz_write(const char *path, const octet_tensor *tensors, const char *const *names, size_t count,
                           bool replace, octet_error *err);
/* Class names: one a line, or "index TAB ... TAB name". names[i] may be NULL. Freed with cli_names_free. */
typedef struct cli_names {
    char       **names;
    size_t       count;
    char        *text;
} cli_names;
octet_status cli_names_read(cli_names *names, const char *path, octet_error *err);
void         cli_names_free(cli_names *names);

/* ---- pieces that several verbs share (common.c) ---- */

octet_status cli_load(octet_graph **graph, const cli_call *call, const char *path, octet_error *err);
/* Words of --metric and --method. */
const char *cli_metric_word(size_t index);
const char *cli_method_word(size_t index);
/* The index of text among words, all of which the option table allows; 0 where text is NULL. */
int cli_word_index(const char *text, const char *(*word)(size_t index));
/* octet_dataset_open with the options' own words. */
octet_status cli_open(octet_dataset **data, const char *path, octet_dataset_options options, octet_error *err);
/* --data for a graph, at most limit samples (0: as --limit says); warnings are printed if warn. */
octet_status cli_open_data(octet_dataset **data, const cli_call *call, const octet_graph *graph, size_t limit,
                           octet_error *err);
/* Samples of one shape, where those of data vary, with a warning that says so; else NULL. The caller frees *part, and
   data lives as long. */
octet_status cli_take_alike(octet_dataset **part, const cli_call *call, const octet_dataset *data, octet_error *err);
/* cli_open_data for another data set of the options; nothing where no path is given. Warnings are printed. */
octet_status cli_open_other(octet_dataset **data, cli_call *call, const octet_graph *graph,
                            const struct cli_other_data *other, octet_error *err);
/* --max-drop: "1%" or "0.5" are points for shares; otherwise the metric's unit, or with % (then share is set) a share
   of the baseline's score. */
octet_status cli_parse_loss(double *loss, bool *share, const char *text, octet_metric metric, octet_error *err);
octet_evaluate_options cli_evaluate_options(cli_call *call);
/* FLOAT QUANTIZED of the command line, the second one quantized indeed, and --data for both. To be freed whatever comes
   back. */
typedef struct cli_pair {
    octet_graph   *real, *quantized;
    octet_dataset *data, *all, *alike; /* data: one of the others */
} cli_pair;
octet_status cli_pair_load(cli_pair *pair, cli_call *call, octet_error *err);
void         cli_pair_free(cli_pair *pair);
/* What was compared, and how far apart the outputs are under that key, in the call's document. */
void cli_pair_describe(cli_call *call, const octet_comparison *comparison, const char *key);
double                 cli_parameters(const octet_graph *graph);

/* ---- verbs that make a network (qconfig.c, result.c) ---- */

/* ---- overrides.c: ONNX Runtime's TensorQuantOverrides ---- */

typedef struct cli_overrides {
    octet_tensor_rule *rules; /* names and numbers are of root and args */
    size_t             count;
    json_t            *root;
    cli_args          *args;
} cli_overrides;

extern const cli_option cli_override_options[];

/* Reads the file of --overrides, if there is one. */
octet_status cli_overrides_read(cli_overrides *overrides, cli_args *args, octet_error *err);
void         cli_overrides_free(cli_overrides *overrides);

octet_status cli_qconfig(octet_qconfig *config, const cli_args *args, octet_error *err);

/* ---- border.c: inputs and outputs that are levels ---- */

extern const cli_option cli_border_options[];
void cli_border_ask(octet_qconfig *config, const cli_args *args);
/* Where the bytes of data's samples can be levels exactly, they become these: rules for the inputs, beside config's. */
void cli_border_fold(octet_qconfig *config, cli_args *args, const octet_graph *graph, const octet_dataset *data);
/* Once the network is quantized: levels cross the border, metadata and the result say what they mean. */
octet_status cli_border_expose(octet_graph *graph, const octet_qconfig *config, const octet_dataset *data,
                               cli_call *call, octet_error *err);
/* Passes on what preparing by that qconfig answered; a layer rule that matches nothing is the configuration file's. */
octet_status cli_prepared(octet_status prepared, const cli_args *args, octet_error *err);
/* Loads the network to quantize, a float one, and fuses it. */
octet_status cli_load_float(octet_graph **graph, const cli_call *call, octet_error *err);
/* Recipe (of data, or where that is NULL as text, which may be NULL), version and options in the network's metadata. */
octet_status cli_describe(octet_graph *graph, const octet_dataset *data, const char *recipe,
                          const cli_call *call, octet_error *err);
octet_status cli_save(octet_graph *graph, cli_call *call, octet_error *err);
void         cli_print_decisions(cli_call *call, const octet_graph *graph);
void         cli_report_nodes(cli_call *call, const octet_graph *graph);
void         cli_report_cost(cli_call *call, double began);
octet_status cli_report_file(cli_call *call, octet_error *err); /* --output, as it lies there now */
octet_status cli_print_config(cli_call *call);

#endif
