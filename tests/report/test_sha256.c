/* SPDX-License-Identifier: Apache-2.0 */
/* FIPS 180-2's examples (appendix B) in base64, and the digest of nothing. */
#include "../support.h"

#include "report/sha256.h"

static void digests_are_the_standards(void **unused)
{
    (void)unused;
    static char million[1000000];
    memset(million, 'a', sizeof million);
    const char *const two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    const struct {
        const char *bytes;
        size_t      size;
        const char *text;
    } cases[] = {
        { "", 0, "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" },
        { "abc", 3, "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=" },
        { two, 56, "sha256-JI1qYdIGOLjlwCaTDD5gOaM85Flk/yFn9uzt1BnbBsE=" },
        { million, sizeof million, "sha256-zcduXJkU+5KBocfihNc+Z/GAmkiklyAOBG05zMcRLNA=" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[OCTET_SHA256_SIZE];
        octet_sha256_text(text, cases[i].bytes, cases[i].size);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(digests_are_the_standards) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
