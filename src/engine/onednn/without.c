/* SPDX-License-Identifier: Apache-2.0 */
/* train.h in a build without oneDNN: there is no product, and training runs the operators' own definitions. */
#include "engine/onednn/train.h"

octet_status octet_dnnl_product_create(octet_dnnl_product **product, const octet_bare *bare, int lanes,
                                       const octet_dnnl_product *like, octet_error *err)
{
    (void)bare, (void)lanes, (void)like, (void)err;
    *product = NULL;
    return OCTET_OK;
}

void octet_dnnl_product_free(octet_dnnl_product *product) { (void)product; }

bool octet_dnnl_product_has(const octet_dnnl_product *product, octet_dnnl_way way)
{
    (void)product, (void)way;
    return false;
}

size_t octet_dnnl_product_memory(const octet_dnnl_product *product) { return product != NULL; }
size_t octet_dnnl_product_scratch(const octet_dnnl_product *product) { return product != NULL; }
size_t octet_dnnl_product_gradient(const octet_dnnl_product *product) { return product != NULL; }

static octet_status nothing(octet_error *err) { return octet_fail(err, OCTET_ERR_BACKEND, "this build has no oneDNN"); }

octet_status octet_dnnl_product_weights(octet_dnnl_product *product, octet_dnnl_way way, const float *weights,
                                        octet_error *err)
{
    (void)product, (void)way, (void)weights;
    return nothing(err);
}

octet_status octet_dnnl_product_run(const octet_dnnl_product *product, octet_dnnl_way way,
                                    const octet_dnnl_slice *slice, octet_error *err)
{
    (void)product, (void)way, (void)slice;
    return nothing(err);
}

octet_status octet_dnnl_product_unpack(octet_dnnl_product *product, float *weights, const float *gradient,
                                       octet_error *err)
{
    (void)product, (void)weights, (void)gradient;
    return nothing(err);
}
