/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a model into a file, all or nothing. Packing streams through a small buffer: tensor data is never copied as
   a whole. */
#include "base/file.h"
#include "onnx/onnx.pb-c.h"
#include "onnx/write.h"

#include <string.h>

typedef struct stream {
    ProtobufCBuffer base; /* first: what protobuf-c is given */
    octet_output    output;
    octet_status    status; /* of the first write that failed */
    octet_error    *err;
    size_t          used;
    uint8_t         bytes[1 << 16];
} stream;

static void flush(stream *s)
{
    if (s->status == OCTET_OK) s->status = octet_output_write(&s->output, s->bytes, s->used, s->err);
    s->used = 0;
}

static void append(ProtobufCBuffer *buffer, size_t size, const uint8_t *data)
{
    stream *s = (stream *)buffer;
    if (size > sizeof s->bytes - s->used) flush(s);
    if (size > sizeof s->bytes) {
        if (s->status == OCTET_OK) s->status = octet_output_write(&s->output, data, size, s->err);
        return;
    }
    if (size) memcpy(s->bytes + s->used, data, size);
    s->used += size;
}

static octet_status write_file(const Onnx__ModelProto *model, const char *path, bool replace, octet_arena *arena,
                               octet_error *err)
{
    const size_t size = onnx__model_proto__get_packed_size(model);
    stream      *s;
    if (size > INT32_MAX)
        return octet_fail(err, OCTET_ERR_LIMIT,
                          "the model would have %zu bytes; files above 2 GiB need external data, which is not written",
                          size);
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    s->base.append = append;
    s->err = err;
    OCTET_TRY(octet_output_begin(&s->output, path, replace, err));
    onnx__model_proto__pack_to_buffer(model, &s->base);
    flush(s);
    if (s->status == OCTET_OK) return octet_output_commit(&s->output, err);
    octet_output_discard(&s->output);
    return s->status;
}

octet_status octet_graph_save_as(const octet_graph *graph, const char *path, const octet_save_options *options,
                                 octet_error *err)
{
    const bool        replace = options && options->replace;
    octet_arena      *arena = octet_arena_new();
    octet_writer      writer = {.graph = graph, .arena = arena, .err = err};
    Onnx__ModelProto *model;
    octet_status      status = arena ? octet_output_check(path, replace, err) : octet_fail_memory(err);
    if (status == OCTET_OK) status = octet_write_graph(&model, &writer);
    if (status == OCTET_OK) status = write_file(model, path, replace, arena, err);
    octet_arena_free(arena);
    if (status != OCTET_OK) octet_error_file(err, path);
    return status;
}

octet_status octet_graph_save(const octet_graph *graph, const char *path, octet_error *err)
{
    return octet_graph_save_as(graph, path, &(octet_save_options){.replace = true}, err);
}
