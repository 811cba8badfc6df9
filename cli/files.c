/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the command line: outputs that must be safe before work begins, arrays as .npy and .npz, class names. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- outputs ---- */

static octet_status check_not_input(const char *output, const char *input, octet_error *err)
{
    if (!input || !octet_file_same(output, input)) return OCTET_OK;
    octet_fail(err, OCTET_ERR_ARGUMENT, "output is the same file as an input (got '%.100s', need another)", input);
    octet_error_file(err, output);
    return OCTET_ERR_ARGUMENT;
}

static octet_status check_output(const cli_args *args, const char *output, octet_error *err)
{
    const char *const inputs[] = { args->data_path,       args->data.labels, args->data.reference,
                                   args->baseline,        args->config,      args->names,        args->statistics,
                                   args->validation.path, args->test.path,   args->validation.labels,
                                   args->test.labels,     args->validation.reference, args->test.reference };
    for (int i = 0; i < args->operand_count; i++) OCTET_TRY(check_not_input(output, args->operands[i], err));
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) OCTET_TRY(check_not_input(output, inputs[i], err));
    return octet_output_check(output, args->force, err);
}

static octet_status check_distinct(const char *a, const char *b, const char *names, octet_error *err)
{
    if (!a || !b || (strcmp(a, b) != 0 && !octet_file_same(a, b))) return OCTET_OK;
    octet_error_file(err, b);
    return octet_fail(err, OCTET_ERR_ARGUMENT, "%s name the same file", names);
}

/* What is there stays. */
static octet_status check_growing(const cli_args *args, const char *path, const char *names, octet_error *err)
{
    cli_args growing = *args;
    growing.force    = true;
    if (!path) return OCTET_OK;
    OCTET_TRY(check_output(&growing, path, err));
    OCTET_TRY(check_distinct(args->output, path, names, err));
    OCTET_TRY(check_distinct(args->json, path, names, err));
    return check_distinct(args->frontier, path, names, err);
}

octet_status cli_check_outputs(cli_call *call, octet_error *err)
{
    const cli_args *const args = &call->args;
    call->writing              = true; /* what fails here is an output's fault */
    if (args->output && !strcmp(args->output, "-")) {
        octet_error_field(err, "--output");
        return octet_fail(err, OCTET_ERR_ARGUMENT, "results go into files only (got '-', need a file name)");
    }
    if (args->output) OCTET_TRY(check_output(args, args->output, err));
    if (args->json && strcmp(args->json, "-") != 0) {
        OCTET_TRY(check_output(args, args->json, err));
        OCTET_TRY(check_distinct(args->output, args->json, "--output and --json", err));
    }
    if (args->frontier) {
        OCTET_TRY(check_output(args, args->frontier, err));
        OCTET_TRY(check_distinct(args->output, args->frontier, "--output and --frontier", err));
        OCTET_TRY(check_distinct(args->json, args->frontier, "--json and --frontier", err));
    }
    OCTET_TRY(check_growing(args, args->log, "--output, --json or --frontier and --log", err));
    OCTET_TRY(check_growing(args, args->journal, "--output, --json or --frontier and --journal", err));
    call->writing = false;
    return OCTET_OK;
}

/* ---- arrays ---- */

typedef struct bytes {
    uint8_t *data;
    size_t   size, capacity;
} bytes;

static void append(bytes *to, const void *from, size_t size)
{
    if (to->size + size > to->capacity) {
        to->capacity = (to->size + size) * 2;
        to->data     = cli_grow(to->data, to->capacity, 1);
    }
    if (size) memcpy(to->data + to->size, from, size);
    to->size += size;
}

static void append_number(bytes *to, uint64_t value, int size)
{
    uint8_t little[8];
    for (int i = 0; i < size; i++) little[i] = (uint8_t)(value >> (8 * i));
    append(to, little, (size_t)size);
}

static const char *npy_type(octet_dtype dtype)
{
    static const char *const types[OCTET_DTYPE_COUNT] = {
        [OCTET_F32] = "<f4", [OCTET_F64] = "<f8", [OCTET_F16] = "<f2", [OCTET_I8] = "|i1",
        [OCTET_U8] = "|u1",  [OCTET_I16] = "<i2", [OCTET_U16] = "<u2", [OCTET_I32] = "<i4",
        [OCTET_U32] = "<u4", [OCTET_I64] = "<i8", [OCTET_U64] = "<u8", [OCTET_BOOL] = "|b1",
    };
    return types[dtype];
}

static octet_status append_npy(bytes *to, const octet_tensor *tensor, octet_error *err)
{
    char          header[512];
    const int64_t size = octet_tensor_bytes(tensor);
    if (!npy_type(tensor->dtype) || size < 0)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "output of type %s cannot be written as .npy",
                          octet_dtype_name(tensor->dtype));
    size_t n = (size_t)snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                                npy_type(tensor->dtype));
    for (int i = 0; i < tensor->rank; i++)
        n += (size_t)snprintf(header + n, sizeof header - n, "%lld,%s", (long long)tensor->dims[i],
                              i + 1 < tensor->rank ? " " : "");
    n += (size_t)snprintf(header + n, sizeof header - n, "), }");
    while ((10 + n + 1) % 64) header[n++] = ' '; /* the data begins at a multiple of 64 */
    header[n++] = '\n';
    append(to, "\x93NUMPY\1\0", 8);
    append_number(to, n, 2);
    append(to, header, n);
    append(to, tensor->data, (size_t)size);
    return OCTET_OK;
}

octet_status cli_npy_write(const char *path, const octet_tensor *tensor, bool replace, octet_error *err)
{
    bytes        file   = { 0 };
    octet_status status = append_npy(&file, tensor, err);
    if (status == OCTET_OK) status = octet_file_write(path, file.data, file.size, replace, err);
    free(file.data);
    return status;
}

static uint32_t crc32_of(const uint8_t *data, size_t size)
{
    uint32_t table[256], crc = 0xffffffffu;
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++) table[i] = (table[i] >> 1) ^ (table[i] & 1 ? 0xedb88320u : 0);
    }
    for (size_t i = 0; i < size; i++) crc = table[(crc ^ data[i]) & 0xff] ^ (crc >> 8);
    return ~crc;
}

/* The fields that a member's local header and its line in the directory share: version to time, sizes, name length. */
static void append_member(bytes *to, uint32_t crc, size_t size, size_t name_length)
{
    append_number(to, 20, 2);         /* version needed */
    append_number(to, 0, 4);          /* no flags, stored */
    append_number(to, 0x00210000, 4); /* 1980-01-01: same results, same bytes */
    append_number(to, crc, 4);
    append_number(to, size, 4);
    append_number(to, size, 4);
    append_number(to, name_length, 2);
    append_number(to, 0, 2);
}

static octet_status append_array(bytes *zip, bytes *directory, const octet_tensor *tensor, const char *name,
                                 octet_error *err)
{
    bytes        member = { 0 };
    char         full[512];
    const size_t at     = zip->size;
    octet_status status = append_npy(&member, tensor, err);
    snprintf(full, sizeof full, "%.500s.npy", name);
    for (char *c = full; *c; c++)
        if (*c == '/' || *c == '\\') *c = '_'; /* members are no paths */
    if (status == OCTET_OK && at + member.size > 0xf0000000u)
        status = octet_fail(err, OCTET_ERR_LIMIT, "outputs too large for .npz (need less than 4 GB)");
    if (status == OCTET_OK) {
        const uint32_t crc = crc32_of(member.data, member.size);
        append_number(zip, 0x04034b50, 4);
        append_member(zip, crc, member.size, strlen(full));
        append(zip, full, strlen(full));
        append(zip, member.data, member.size);
        append_number(directory, 0x02014b50, 4);
        append_number(directory, 20, 2); /* version made by */
        append_member(directory, crc, member.size, strlen(full));
        append_number(directory, 0, 2 + 2 + 2); /* comment, disk, internal attributes */
        append_number(directory, 0, 4);         /* external attributes */
        append_number(directory, at, 4);
        append(directory, full, strlen(full));
    }
    free(member.data);
    return status;
}

octet_status cli_npz_write(const char *path, const octet_tensor *tensors, const char *const *names, size_t count,
                           bool replace, octet_error *err)
{
    bytes        zip = { 0 }, directory = { 0 };
    octet_status status = OCTET_OK;
    for (size_t i = 0; i < count && status == OCTET_OK; i++)
        status = append_array(&zip, &directory, &tensors[i], names[i], err);
    if (status == OCTET_OK) {
        const size_t at = zip.size;
        append(&zip, directory.data, directory.size);
        append_number(&zip, 0x06054b50, 4);
        append_number(&zip, 0, 4);
        append_number(&zip, count, 2);
        append_number(&zip, count, 2);
        append_number(&zip, directory.size, 4);
        append_number(&zip, at, 4);
        append_number(&zip, 0, 2);
        status = octet_file_write(path, zip.data, zip.size, replace, err);
    }
    free(zip.data);
    free(directory.data);
    return status;
}

/* ---- class names ---- */

enum { MOST_NAMES = 1000000, LONGEST_LINE = 4096 };

static octet_status refuse_line(size_t line, const char *what, octet_error *err)
{
    char field[48];
    snprintf(field, sizeof field, "line %zu", line);
    octet_error_field(err, field);
    return octet_fail(err, OCTET_ERR_FORMAT, "%s", what);
}

static octet_status put_name(cli_names *names, size_t index, char *name)
{
    if (index >= names->count) {
        names->names = cli_grow(names->names, index + 1, sizeof *names->names);
        memset(names->names + names->count, 0, (index + 1 - names->count) * sizeof *names->names);
        names->count = index + 1;
    }
    names->names[index] = name;
    return OCTET_OK;
}

/* One line, already terminated. */
static octet_status read_name(cli_names *names, char *line, size_t number, octet_error *err)
{
    char *const last = strrchr(line, '\t');
    if (!last) return put_name(names, number - 1, line);
    int64_t index;
    *strchr(line, '\t') = '\0';
    if (!octet_parse_int(&index, line) || index < 0 || index >= MOST_NAMES)
        return refuse_line(number, "first column is no class index (need index TAB ... TAB name)", err);
    return put_name(names, (size_t)index, last + 1);
}

static octet_status read_lines(cli_names *names, size_t size, octet_error *err)
{
    size_t number = 0;
    for (char *line = names->text, *const end = names->text + size; line < end;) {
        const size_t left   = (size_t)(end - line);
        char *const  stop   = memchr(line, '\n', left);
        const size_t length = stop ? (size_t)(stop - line) : left;
        number++;
        if (length > LONGEST_LINE) return refuse_line(number, "line too long (need at most 4096 bytes)", err);
        if (memchr(line, '\0', length)) return refuse_line(number, "contains a NUL byte", err);
        line[length] = '\0';
        if (length && line[length - 1] == '\r') line[length - 1] = '\0';
        if (number > MOST_NAMES) return refuse_line(number, "too many names", err);
        OCTET_TRY(read_name(names, line, number, err));
        line += length + 1;
    }
    return number ? OCTET_OK : octet_fail(err, OCTET_ERR_FORMAT, "contains no class names");
}

octet_status cli_names_read(cli_names *names, const char *path, octet_error *err)
{
    octet_file file;
    *names = (cli_names){ 0 };
    OCTET_TRY(octet_file_read(&file, path, 64 << 20, err));
    names->text = cli_alloc(1, file.size + 1);
    memcpy(names->text, file.data, file.size);
    const size_t size = file.size;
    octet_file_close(&file);
    const octet_status status = read_lines(names, size, err);
    if (status == OCTET_OK) return OCTET_OK;
    octet_error_file(err, path);
    cli_names_free(names);
    return status;
}

void cli_names_free(cli_names *names)
{
    free(names->names);
    free(names->text);
    *names = (cli_names){ 0 };
}
