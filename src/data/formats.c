/* SPDX-License-Identifier: Apache-2.0 */
/* The table of formats: the first row that accepts a path opens it. */
#include "data/data.h"

static const octet_format *const formats[] = {
    &octet_format_folder, &octet_format_image, &octet_format_npy, &octet_format_npz,
    &octet_format_tar,    &octet_format_cifar,  &octet_format_list,  &octet_format_idx,
};

octet_status octet_format_find(const octet_format **format, const octet_source *source, const char *path,
                               octet_error *err)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i]->accepts(source, path)) {
            *format = formats[i];
            return OCTET_OK;
        }
    return octet_fail(
        err, OCTET_ERR_FORMAT,
        "unknown format of data (need a folder, PNG, JPEG, npy, npz, idx, CIFAR .bin, tar or a list of files; "
        "--shape for plain numbers)");
}
