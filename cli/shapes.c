/* SPDX-License-Identifier: Apache-2.0 */
/* --shape NAME=D,D,...: sizes for dimensions that the network leaves free. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static octet_status refuse(const char *text, octet_error *err)
{
    return octet_fail(err, OCTET_ERR_ARGUMENT, "not the shape of an input (got '%.60s', need for example "
                                               "x=1,3,224,224; N: stays free)", text);
}

octet_status cli_add_shape(cli_args *args, const char *text, octet_error *err)
{
    const char *const equals = strrchr(text, '=');
    octet_port        port   = { 0 };
    char              name[256];
    if (equals == text || (size_t)(equals - text) >= sizeof name) return refuse(text, err);
    for (const char *at = equals + 1;; at++) {
        char         part[24];
        const size_t length = strcspn(at, ",");
        if (length >= sizeof part || port.rank == OCTET_MAX_RANK) return refuse(text, err);
        snprintf(part, sizeof part, "%.*s", (int)length, at);
        int64_t *const dim = &port.dims[port.rank++];
        if (!strcmp(part, "N")) *dim = OCTET_DIM_FREE;
        else if (!octet_parse_int(dim, part) || *dim < 1) return refuse(text, err);
        at += length;
        if (!*at) break;
    }
    snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    port.name                       = cli_args_keep(args, name);
    args->shapes                    = cli_grow(args->shapes, args->shape_count + 1, sizeof *args->shapes);
    args->shapes[args->shape_count++] = port;
    return OCTET_OK;
}

octet_status cli_bind_shapes(octet_graph *graph, const cli_args *args, octet_error *err)
{
    for (size_t i = 0; i < args->shape_count; i++) {
        const octet_status status = octet_graph_bind(graph, &args->shapes[i], err);
        if (status == OCTET_ERR_ARGUMENT) octet_error_field(err, "--shape");
        OCTET_TRY(status);
    }
    return OCTET_OK;
}
