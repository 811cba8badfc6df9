/* SPDX-License-Identifier: Apache-2.0 */
/* What a page knows, as one JSON document. */
#ifndef OCTET_REPORT_DOCUMENT_H
#define OCTET_REPORT_DOCUMENT_H

#include <octet/report.h>

#include "report/json.h"

/* Keys that octet compare --json has mean here what they mean there. json->arena is used for everything. */
octet_status octet_report_document(octet_json *json, const octet_report_source *source,
                                   const octet_report_options *options, octet_error *err);

#endif
