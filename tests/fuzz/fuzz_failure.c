/*
 * Errors of upstreams: whatever the answer is, there is a message, short and without markup or key-shaped text; it is
 * written as valid JSON for every client, with a status of failure, and the time to wait is one that people live to
 * see.
 *
 * First byte: the status. Up to the first line feed: the value of retry-after. The rest: the body.
 */
#include "fuzz.h"

#include <format/translate.h>
#include <wire/json.h>

static int status_of(uint8_t byte)
{
    static const int statuses[] = {0,   200, 302, 400, 401, 402, 403, 404, 408, 409,
                                   413, 422, 429, 499, 500, 502, 503, 504, 529};
    return statuses[byte % (sizeof(statuses) / sizeof(statuses[0]))];
}

/* No key of the usual forms that is long enough to be one. */
static bool leaks(struct ccp_span text)
{
    for (size_t i = 0; i + 24 <= text.n; i++) {
        bool begins = memcmp(text.p + i, "sk-", 3) == 0 && (i == 0 || text.p[i - 1] == ' ');
        size_t n = 3;
        while (begins && i + n < text.n && n < 24 && text.p[i + n] >= 'a' && text.p[i + n] <= 'z')
            n++;
        if (begins && n == 24)
            return true;
    }
    return false;
}

static void read_well(struct arena *a, const struct failure *f)
{
    MUST(f->kind <= FAILURE_GARBLED);
    MUST(f->http == 0 || f->http >= 400);
    MUST(f->message.n != 0 && f->message.p[0] != '<');
    struct ccp_span quoted = arena_printf(a, "\"%.*s\"", CCP_FMT(f->message));
    struct ccp_span plain = json_text(a, quoted);
    MUST(plain.p != NULL && plain.n <= FAILURE_TEXT_MAX + 100);
    MUST(!leaks(plain));
    MUST(f->code.n <= 64);
    MUST(f->retry_after_ms <= (uint64_t)366 * 24 * 3600 * 1000);
}

static void written_well(struct arena *a, const struct failure *f)
{
    struct ccp_buf out;
    struct ccp_json *root;
    buf_init(&out, 1 << 20);
    for (int to = 0; to <= CCP_FORMAT_COUNT; to++) { /* the last is CCP_FORMAT_NONE */
        int http = failure_http(to, f);
        MUST(http >= 400 && http < 600 && (http != 529 || to == CCP_FORMAT_ANTHROPIC));
        out.n = 0;
        MUST(failure_body(to, f, CCP_SPAN("req_\"1\""), &out));
        MUST(json_parse(a, buf_span(&out), &root, NULL) == CCP_OK);
        struct ccp_json *error = ccp_json_get(root, "error");
        MUST(ccp_json_inner(ccp_json_get(error, "message")).n != 0);
        struct failure again; /* a client that is a proxy, too, reads the same */
        failure_of_json(&again, a, http, root);
        MUST(f->kind != FAILURE_CONTEXT || again.kind == FAILURE_CONTEXT || to == CCP_FORMAT_GEMINI);
    }
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct ccp_span rest = {(const char *)data + 1, size - 1};
    size_t line = ccp_span_find(rest, '\n');
    struct ccp_header h = {CCP_SPAN("retry-after"), {rest.p, line}};
    struct arena a;
    struct failure f;
    struct ccp_json *root;
    arena_init(&a, NULL, 0);
    failure_read(&f, &a, status_of(data[0]), &h, 1, ccp_span_skip(rest, line + 1));
    read_well(&a, &f);
    written_well(&a, &f);
    if (json_parse(&a, ccp_span_skip(rest, line + 1), &root, NULL) == CCP_OK)
        failure_in_body(root);
    arena_end(&a);
    return 0;
}
