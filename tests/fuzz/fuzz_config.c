/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files of the command line. */
#include "fuzz.h"

#include "cli.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char         path[64];
    cli_args     args       = { 0 };
    octet_error  err        = { 0 };
    const int    descriptor = fuzz_file(path, bytes, size);
    octet_status status     = cli_config_read(&args, &cli_quantize_syntax, path, &err);
    fuzz_check(status, &err);
    cli_args_free(&args);
    close(descriptor);
    return 0;
}
