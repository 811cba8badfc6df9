/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: what was written is read; anything else is refused by one line, and nothing is filled in then. */
#include "support.h"

#include "base/hash.h"
#include "train/checkpoint.h"

#include <signal.h>
#include <sys/resource.h>

static char folder[400], path[440];

static int setup(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/state.ckpt", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails if a temporary file was left */
}

typedef struct content {
    float    weights[3];
    double   loss;
    uint8_t  flags[2];
    uint64_t step;
} content;

static const content      written = { { 1, -2, 3.5f }, 0.25, { 1, 0 }, 77 };
static const char *const  identity = "network 'a' 5 nodes\nlearning_rate 0.1\nseed 3\n";

enum { SECTIONS = 5 };
static octet_checkpoint bind(octet_section *sections, content *c)
{
    sections[0] = (octet_section){ "conv.weight", OCTET_F32, c->weights, 3 };
    sections[1] = (octet_section){ "nothing", OCTET_F32, NULL, 0 };
    sections[2] = (octet_section){ "loss", OCTET_F64, &c->loss, 1 };
    sections[3] = (octet_section){ "flags", OCTET_U8, c->flags, 2 };
    sections[4] = (octet_section){ "step", OCTET_U64, &c->step, 1 };
    return (octet_checkpoint){ identity, sections, SECTIONS };
}

static void write_it(void)
{
    octet_section          sections[SECTIONS];
    content                c = written;
    const octet_checkpoint checkpoint = bind(sections, &c);
    MUST(octet_checkpoint_write(path, &checkpoint, &err));
}

static size_t load_bytes(uint8_t *bytes, size_t room)
{
    FILE *const  file = fopen(path, "rb");
    const size_t size = fread(bytes, 1, room, file);
    assert_true(size > 0 && size < room);
    fclose(file);
    return size;
}

static void store_bytes(const uint8_t *bytes, size_t size)
{
    FILE *const file = fopen(path, "wb");
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* The hash made right again: for files that somebody wrote on purpose. */
static void store_hashed(uint8_t *bytes, size_t size)
{
    octet_hash     hash;
    octet_hash_begin(&hash);
    octet_hash_add(&hash, bytes, size - 8);
    const uint64_t value = octet_hash_value(&hash);
    memcpy(bytes + size - 8, &value, 8);
    store_bytes(bytes, size);
}

static octet_status read_as(const char *as, content *c, octet_error *err)
{
    octet_section    sections[SECTIONS];
    octet_checkpoint checkpoint = bind(sections, c);
    checkpoint.identity         = as;
    return octet_checkpoint_read(path, &checkpoint, err);
}

static void refused(octet_status status, const char *as, const char *part)
{
    octet_error err = { 0 };
    content     c = { .step = 1 }, untouched = c;
    assert_int_equal(read_as(as, &c, &err), status);
    assert_memory_equal(&c, &untouched, sizeof c);
    if (!strstr(err.text, part)) fail_msg("'%s' lacks '%s'", err.text, part);
    assert_string_equal(err.file, path);
}

static void test_round_trip(void **state)
{
    (void)state;
    content c = { .step = 1 };
    write_it();
    MUST(read_as(identity, &c, &err));
    assert_memory_equal(c.weights, written.weights, sizeof c.weights);
    assert_true(c.loss == written.loss && c.step == 77 && c.flags[0] == 1 && c.flags[1] == 0);
}

static void test_damage(void **state)
{
    (void)state;
    uint8_t      bytes[1024];
    write_it();
    const size_t size = load_bytes(bytes, sizeof bytes);
    for (size_t cut = 0; cut < size; cut++) {
        store_bytes(bytes, cut);
        refused(OCTET_ERR_FORMAT, identity, "");
    }
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        store_bytes(bytes, size);
        refused(OCTET_ERR_FORMAT, identity, bit < 64 ? "not a checkpoint" : "hash differs");
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    store_bytes(bytes, size + 1);
    refused(OCTET_ERR_FORMAT, identity, "hash differs");
}

/* Bytes that are wrong although the hash is right: every one, and every field of sizes at its extremes. */
static void test_hostile(void **state)
{
    (void)state;
    uint8_t      bytes[1024], kept[1024];
    write_it();
    const size_t size = load_bytes(kept, sizeof kept), data = 24 + strlen(identity);
    for (size_t i = 0; i + 8 < size; i++)
        for (int value = 0; value < 256; value += 51) {
            content     c = { 0 };
            octet_error err = { 0 };
            memcpy(bytes, kept, size);
            memset(bytes + i, value, i + 16 <= size ? 8 : 1);
            store_hashed(bytes, size);
            if (read_as(identity, &c, &err) != OCTET_OK) assert_true(err.text[0]);
        }
    for (size_t cut = 0; cut + 33 < size; cut++) {
        memcpy(bytes, kept, size);
        store_hashed(bytes, size - 1 - cut);
        refused(OCTET_ERR_FORMAT, identity, "");
    }
    memcpy(bytes, kept, size);
    memset(bytes + 16, 0xff, 8);
    store_hashed(bytes, size);
    refused(OCTET_ERR_FORMAT, identity, "cut off in its identity");
    memcpy(bytes, kept, size);
    memset(bytes + data + 8, 0xff, 8);
    store_hashed(bytes, size);
    refused(OCTET_ERR_FORMAT, identity, "'conv.weight' has 18446744073709551615 entries (need 3)");
    memcpy(bytes, kept, size);
    bytes[data + 16]++;
    store_hashed(bytes, size);
    refused(OCTET_ERR_FORMAT, identity, "another section where 'conv.weight' belongs");
    memcpy(bytes, kept, size);
    store_hashed(bytes, size + 4);
    refused(OCTET_ERR_FORMAT, identity, "bytes after its last section");
}

static void test_others(void **state)
{
    (void)state;
    uint8_t      bytes[1024];
    write_it();
    refused(OCTET_ERR_ARGUMENT, "network 'b' 5 nodes\nlearning_rate 0.1\nseed 3\n",
            "'network 'a' 5 nodes' (here 'network 'b' 5 nodes')");
    refused(OCTET_ERR_ARGUMENT, "network 'a' 5 nodes\nlearning_rate 0.12\nseed 3\n",
            "made with 'learning_rate 0.1' (here 'learning_rate 0.12')");
    refused(OCTET_ERR_ARGUMENT, "network 'a' 5 nodes\nlearning_rate 0.1\nseed 3\nmore 1\n", "(here 'more 1')");
    refused(OCTET_ERR_ARGUMENT, "", "made with 'network 'a' 5 nodes' (here '')");
    const size_t size = load_bytes(bytes, sizeof bytes);
    bytes[8]++;
    store_hashed(bytes, size);
    refused(OCTET_ERR_UNSUPPORTED, identity, "version 2 (need 1)");
    unlink(path);
    refused(OCTET_ERR_FILE, identity, "");
}

/* A limit on the size of files stands for a full disk. */
static void test_full_disk(void **state)
{
    (void)state;
    struct rlimit    limit, kept;
    content          c = { .step = 1 };
    octet_error      full = { 0 };
    octet_section    sections[SECTIONS];
    octet_checkpoint checkpoint = bind(sections, &c);
    write_it();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &kept), 0);
    limit = (struct rlimit){ 64, kept.rlim_max };
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const octet_status status = octet_checkpoint_write(path, &checkpoint, &full);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &kept), 0);
    assert_int_equal(status, OCTET_ERR_FILE);
    MUST(read_as(identity, &c, &err));
    assert_int_equal(c.step, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
