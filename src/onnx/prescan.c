/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the wire format against protobuf-c's own descriptors with an explicit stack. Everything that could make the
   unpacker recurse without bound, allocate far more than the file holds, or merge two messages into one is refused
   here. */
#include "onnx/prescan.h"

#include "onnx/onnx.pb-c.h"

#include <stdbool.h>
#include <string.h>

enum { MAX_DEPTH = 100, MAX_GRAPHS = 32, MAX_FIELD = (1 << 29) - 1 };
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* One open message: where it ends and which singular sub-messages it has had. */
typedef struct frame {
    const ProtobufCMessageDescriptor *type;
    size_t                            end;
    uint64_t                          seen;
} frame;

typedef struct scan {
    const uint8_t *data;
    size_t         at, messages, scalars, max_messages, max_scalars;
    int            depth, graphs;
    frame          stack[MAX_DEPTH];
    octet_error   *err;
} scan;

static octet_status malformed(scan *s, const char *why)
{
    return octet_fail(s->err, OCTET_ERR_FORMAT, "not a valid ONNX file: byte %zu, in %s: %s", s->at,
                      s->stack[s->depth].type->short_name, why);
}

/* A number of up to ten bytes that ends before end. */
static bool read_varint(scan *s, size_t end, uint64_t *value)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 70 && s->at < end; shift += 7) {
        const uint8_t byte = s->data[s->at++];
        if (shift == 63 && byte > 1) return false;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = bits;
            return true;
        }
    }
    return false;
}

static octet_status count(scan *s, size_t *counter, size_t more, size_t limit)
{
    const bool messages = counter == &s->messages;
    *counter += more;
    if (*counter <= limit) return OCTET_OK;
    return octet_fail(s->err, OCTET_ERR_LIMIT, "holds more than %zu %s (limit %s)", limit,
                      messages ? "sub-messages" : "numbers and strings", messages ? "--max-messages" : "max_scalars");
}

static int wire_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return WIRE_32;
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return WIRE_64;
    default:
        return WIRE_VARINT;
    }
}

static octet_status enter(scan *s, const ProtobufCFieldDescriptor *field, size_t end)
{
    frame         *top = &s->stack[s->depth];
    const unsigned slot = (unsigned)(field - top->type->fields);
    const uint64_t bit = slot < 64 ? (uint64_t)1 << slot : 0;
    if (field->label != PROTOBUF_C_LABEL_REPEATED && (top->seen & bit))
        return octet_fail(s->err, OCTET_ERR_FORMAT, "not a valid ONNX file: byte %zu: duplicate field '%s' in %s",
                          s->at, field->name, top->type->short_name);
    top->seen |= bit;
    const ProtobufCMessageDescriptor *type = field->descriptor;
    const bool                        graph = type == &onnx__graph_proto__descriptor;
    if (s->depth + 1 == MAX_DEPTH || (graph && s->graphs == MAX_GRAPHS))
        return octet_fail(s->err, OCTET_ERR_LIMIT, "nested too deep (limit: %d messages, %d graphs)", MAX_DEPTH,
                          MAX_GRAPHS);
    s->graphs += graph;
    s->stack[++s->depth] = (frame){.type = type, .end = end};
    return count(s, &s->messages, 1, s->max_messages);
}

/* Many numbers in one length-delimited field. Fixed-size ones cost no more memory than bytes: they are not counted. */
static octet_status packed(scan *s, int wire, size_t end)
{
    if (wire != WIRE_VARINT) {
        if ((end - s->at) % (wire == WIRE_64 ? 8 : 4)) return malformed(s, "packed numbers with a part left over");
        s->at = end;
        return OCTET_OK;
    }
    size_t   n = 0;
    uint64_t ignored;
    for (; s->at < end; n++)
        if (!read_varint(s, end, &ignored)) return malformed(s, "bad number in a packed list");
    return count(s, &s->scalars, n, s->max_scalars);
}

static octet_status delimited(scan *s, const ProtobufCFieldDescriptor *field)
{
    const size_t start = s->at, outer = s->stack[s->depth].end;
    uint64_t     length;
    if (!read_varint(s, outer, &length) || s->at - start > 5) return malformed(s, "bad length");
    if (length > outer - s->at)
        return octet_fail(s->err, OCTET_ERR_FORMAT,
                          "not a valid ONNX file: byte %zu, in %s: length %llu, but %zu bytes are left (cut short?)",
                          start, s->stack[s->depth].type->short_name, (unsigned long long)length, outer - s->at);
    const size_t end = s->at + (size_t)length;
    if (field && field->type == PROTOBUF_C_TYPE_MESSAGE) return enter(s, field, end);
    const int wire = field ? wire_of(field->type) : WIRE_BYTES;
    if (wire != WIRE_BYTES) {
        if (field->label != PROTOBUF_C_LABEL_REPEATED) return malformed(s, "bytes where one number belongs");
        return packed(s, wire, end);
    }
    if (field && field->type == PROTOBUF_C_TYPE_STRING && memchr(s->data + s->at, 0, (size_t)length))
        return malformed(s, "a text holds a NUL byte");
    s->at = end;
    return count(s, &s->scalars, 1, s->max_scalars);
}

static octet_status one_field(scan *s)
{
    const frame *top = &s->stack[s->depth];
    uint64_t     tag, ignored;
    if (!read_varint(s, top->end, &tag)) return malformed(s, "bad tag");
    const int wire = (int)(tag & 7);
    if (tag >> 3 == 0 || tag >> 3 > MAX_FIELD) return malformed(s, "field number out of range");
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(top->type, (unsigned)(tag >> 3));
    if (wire == WIRE_BYTES) return delimited(s, field);
    if (wire != WIRE_VARINT && wire != WIRE_64 && wire != WIRE_32) return malformed(s, "bad wire type");
    if (field && wire_of(field->type) != wire) return malformed(s, "wire type does not suit the field");
    if (wire == WIRE_VARINT) {
        if (!read_varint(s, top->end, &ignored)) return malformed(s, "bad number");
    } else {
        const size_t width = wire == WIRE_64 ? 8 : 4;
        if (top->end - s->at < width) return malformed(s, "number cut short");
        s->at += width;
    }
    return count(s, &s->scalars, 1, s->max_scalars);
}

/* Files that are commonly mistaken for a model. */
static const char *mistaken(const uint8_t *bytes, size_t size)
{
    static const struct {
        const char *start, *what;
    } kinds[] = {
        {"\x1f\x8b", "a gzip archive"},
        {"PK\x03\x04", "a zip archive"},
        {"version https://git-lfs", "a git-LFS pointer: fetch the real file"},
        {"ir_version:", "protobuf text: only binary is read"},
        {"\x93NUMPY", "a NumPy array"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t length = strlen(kinds[i].start);
        if (size >= length && memcmp(bytes, kinds[i].start, length) == 0) return kinds[i].what;
    }
    return NULL;
}

octet_status octet_prescan(const void *bytes, size_t size, const ProtobufCMessageDescriptor *type,
                           const octet_limits *limits, octet_error *err)
{
    if (size == 0) return octet_fail(err, OCTET_ERR_FORMAT, "not a valid ONNX file: it is empty");
    const char *mistake = mistaken(bytes, size);
    if (mistake) return octet_fail(err, OCTET_ERR_FORMAT, "not a valid ONNX file: it looks like %s", mistake);
    scan s = {.data = bytes, .err = err, .max_messages = 200000, .max_scalars = 4000000};
    if (limits && limits->max_messages) s.max_messages = limits->max_messages;
    if (limits && limits->max_scalars) s.max_scalars = limits->max_scalars;
    s.stack[0] = (frame){.type = type, .end = size};
    while (s.depth > 0 || s.at < size) {
        const frame *top = &s.stack[s.depth];
        if (s.at < top->end) {
            OCTET_TRY(one_field(&s));
        } else {
            s.graphs -= top->type == &onnx__graph_proto__descriptor;
            s.depth--;
        }
    }
    return OCTET_OK;
}
