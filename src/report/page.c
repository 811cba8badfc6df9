/* SPDX-License-Identifier: Apache-2.0 */
/* The page's text with its parts in their places. Everything that comes from files is in the JSON document; the script
   shows it as text nodes, so json.c's escapes are all that stands between a name and the markup. */
#include <octet/report.h>

#include "base/file.h"
#include "report/document.h"
#include "report/sha256.h"

#include <string.h>

#define FILE_OF(name)                                \
    extern const unsigned char octet_report_##name[]; \
    extern const size_t        octet_report_##name##_size;
FILE_OF(page_html)
FILE_OF(page_css)
FILE_OF(page_js)
FILE_OF(summary_js)
FILE_OF(charts_js)
FILE_OF(distribution_js)
FILE_OF(table_js)
FILE_OF(terms_js)

typedef struct part {
    const char *mark; /* in page.html, "@mark@" */
    const void *bytes;
    size_t      size;
} part;

static const part *find_part(const part *parts, const char *at, size_t left)
{
    for (const part *p = parts; p->mark; p++)
        if (strlen(p->mark) <= left && !memcmp(at, p->mark, strlen(p->mark))) return p;
    return NULL;
}

/* page.html with every mark of the list replaced. */
static void fill_in(octet_json *page, const part *parts)
{
    const char *const text = (const char *)octet_report_page_html;
    size_t            done = 0;
    for (size_t i = 0; i < octet_report_page_html_size; i++) {
        const part *const p = text[i] == '@' ? find_part(parts, text + i, octet_report_page_html_size - i) : NULL;
        if (!p) continue;
        octet_json_raw(page, text + done, i - done);
        octet_json_raw(page, p->bytes, p->size);
        done = i + strlen(p->mark);
        i    = done - 1;
    }
    octet_json_raw(page, text + done, octet_report_page_html_size - done);
}

static void put_script(octet_json *code)
{
    octet_json_raw(code, octet_report_page_js, octet_report_page_js_size);
    octet_json_raw(code, octet_report_summary_js, octet_report_summary_js_size);
    octet_json_raw(code, octet_report_charts_js, octet_report_charts_js_size);
    octet_json_raw(code, octet_report_distribution_js, octet_report_distribution_js_size);
    octet_json_raw(code, octet_report_table_js, octet_report_table_js_size);
    octet_json_raw(code, octet_report_terms_js, octet_report_terms_js_size);
}

static octet_status write_page(const char *path, const octet_json *document, bool replace, octet_error *err)
{
    char script[OCTET_SHA256_SIZE], style[OCTET_SHA256_SIZE];
    octet_json code = { .arena = document->arena };
    put_script(&code);
    octet_sha256_text(script, code.text, code.length);
    octet_sha256_text(style, octet_report_page_css, octet_report_page_css_size);
    const part parts[] = {
        { "@script-hash@", script, strlen(script) },
        { "@style-hash@", style, strlen(style) },
        { "@script@", code.text, code.length },
        { "@style@", octet_report_page_css, octet_report_page_css_size },
        { "@data@", document->text, document->length },
        { NULL, NULL, 0 },
    };
    octet_json page = { .arena = document->arena };
    fill_in(&page, parts);
    if (page.failed || code.failed) return octet_fail_memory(err);
    return octet_file_write(path, page.text, page.length, replace, err);
}

octet_status octet_report_write(const char *path, const octet_report_source *source,
                                const octet_report_options *options, octet_error *err)
{
    const octet_report_options defaults = { 0 };
    octet_json                 document = { .arena = octet_arena_new() };
    if (!document.arena) return octet_fail_memory(err);
    if (!options) options = &defaults;
    octet_status status = octet_report_document(&document, source, options, err);
    if (status == OCTET_OK) status = write_page(path, &document, options->replace, err);
    octet_arena_free(document.arena);
    return status;
}
