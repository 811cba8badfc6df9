/* SPDX-License-Identifier: Apache-2.0 */
/* HistogramObserver of PyTorch 1.13: bins, range, what the search finds and the qparams of it, after every batch. */
#include "golden.h"

#include "observe/torch_histogram.h"

static float number(golden_case *c, const json_t *list, size_t batch)
{
    return golden_f32(c, json_array_get(list, batch));
}

static void check_qparams(golden_case *c, const json_t *config, size_t batch, octet_range found)
{
    const octet_torch_quantizer quantizer = golden_torch_quantizer(c, config);
    const octet_affine          got       = octet_qparams_torch(NULL, &quantizer, found);
    const json_t *const         want      = json_array_get(json_object_get(config, "qparams"), batch);
    const float                 scale     = golden_f32(c, json_object_get(want, "scale"));
    const int32_t               zero      = (int32_t)golden_int(want, "zero_point", INT32_MIN);
    golden_note_floats(c, "histogram: scale", &got.scale, &scale, 1);
    golden_note_levels(c, "histogram: zero point", &got.zero_point, &zero, 1, 0);
}

static void check_state(golden_case *c, const octet_torch_histogram *h, const float *counts, size_t batch)
{
    const json_t *const m = c->manifest, *const pick = json_array_get(json_object_get(m, "search_min_max"), batch);
    const octet_range   found   = octet_torch_histogram_search(h);
    const float         got[]   = { h->range.min, h->range.max, found.min, found.max };
    const float         want[]  = { number(c, json_object_get(m, "min_val"), batch),
                                    number(c, json_object_get(m, "max_val"), batch), number(c, pick, 0),
                                    number(c, pick, 1) };
    const json_t *config;
    size_t        index;
    golden_note_floats(c, "histogram: counts after each batch", h->counts, counts, (size_t)h->bins);
    golden_note_floats(c, "histogram: range after each batch", got, want, 2);
    golden_note_floats(c, "histogram: range picked by the search", got + 2, want + 2, 2);
    json_array_foreach((json_t *)json_object_get(m, "configs"), index, config) check_qparams(c, config, batch, found);
}

void golden_histogram(golden_case *c)
{
    golden_array           batches, counts;
    octet_torch_histogram *const h = golden_memory(c, 1, sizeof *h);
    if (!golden_npy_read(&batches, c, json_string_value(json_object_get(c->manifest, "batches")))) return;
    if (!golden_array_read(&counts, c, json_object_get(c->manifest, "histogram"))) return;
    h->bins      = (int32_t)golden_int(c->manifest, "bins", 0);
    h->truncates = true;
    if (h->bins < 1 || h->bins > OCTET_TORCH_BINS || counts.rank != 2 || counts.dims[1] != h->bins ||
        batches.rank < 2 || batches.dims[0] < counts.dims[0]) {
        golden_fail(c, "unexpected batches");
        return;
    }
    const size_t size = batches.count / (size_t)batches.dims[0];
    for (size_t i = 0; i < (size_t)counts.dims[0]; i++) {
        octet_torch_histogram_observe(h, batches.real + i * size, size);
        check_state(c, h, counts.real + i * (size_t)h->bins, i);
    }
}
