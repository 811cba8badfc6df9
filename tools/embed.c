/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a file into a C array: embed INPUT OUTPUT NAME defines NAME[] and NAME_size. Run by the build. */
#include <stdio.h>

static int copy(FILE *in, FILE *out, const char *name)
{
    int  c;
    long size = 0;
    fprintf(out, "#include <stddef.h>\nextern const unsigned char %s[];\nextern const size_t %s_size;\n", name, name);
    fprintf(out, "const unsigned char %s[] = {", name);
    for (; (c = getc(in)) != EOF; size++) fprintf(out, "%s%d,", size % 24 ? "" : "\n", c);
    fprintf(out, "\n};\nconst size_t %s_size = %ld;\n", name, size);
    return ferror(in) || ferror(out);
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    FILE *const in = fopen(argv[1], "rb"), *const out = fopen(argv[2], "w");
    if (!in || !out || copy(in, out, argv[3]) || fclose(out)) {
        perror("embed");
        return 1;
    }
    return fclose(in) != 0;
}
