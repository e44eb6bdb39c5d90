/*
 * A request on its way to Gemini, for the tests of that format: made from a client's body or part by part, compared as
 * text.
 */
#ifndef UNIT_FORMAT_GEMINI_REQUEST_H
#define UNIT_FORMAT_GEMINI_REQUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <format/gemini.h>
#include <format/translate.h>
#include <stdlib.h>
#include <wire/json.h>

struct request {
    struct arena a;
    struct prompt p;
    struct ccp_buf out;
};

static inline void request_begin(struct request *r, enum ccp_format from, const char *model)
{
    arena_init(&r->a, NULL, 0);
    buf_init(&r->out, SIZE_MAX / 2);
    struct prompt_target to = {
        .format = CCP_FORMAT_GEMINI, .provider = CCP_SPAN("google"), .model = ccp_span_z(model), .stream = true};
    prompt_init(&r->p, &r->a, from, &to, names_new(&r->a));
}

static inline void request_end(struct request *r)
{
    buf_release(&r->out);
    arena_end(&r->a);
}

static inline struct ccp_json *parsed(struct arena *a, struct ccp_span text)
{
    struct ccp_json *root = NULL;
    struct ccp_json_error error = {0};
    if (json_parse(a, text, &root, &error) != CCP_OK)
        fail_msg("%s at %zu in %.*s", error.what, error.offset, CCP_FMT(text));
    return root;
}

/* Compares as text; the written must be JSON whatever it says. */
static inline void expect_text(struct arena *a, struct ccp_span got, const char *want)
{
    parsed(a, got);
    if (!ccp_span_is(got, want))
        fail_msg("got\n%.*s\nwanted\n%s", CCP_FMT(got), want);
}

static inline void translated(const char *model, const char *body, const char *want)
{
    struct request r;
    request_begin(&r, CCP_FORMAT_GEMINI, model);
    if (!translate_request(&r.p, parsed(&r.a, ccp_span_z(body)), &r.out))
        fail_msg("refused: %.*s", CCP_FMT(r.p.error));
    expect_text(&r.a, buf_span(&r.out), want);
    request_end(&r);
}

static inline void refused(const char *body, const char *path)
{
    struct request r;
    request_begin(&r, CCP_FORMAT_GEMINI, "gemini-2.5-flash");
    assert_false(translate_request(&r.p, parsed(&r.a, ccp_span_z(body)), &r.out));
    assert_int_equal(r.p.status, CCP_BAD_REQUEST);
    char *text = strndup(r.p.error.p, r.p.error.n);
    if (strstr(text, path) == NULL)
        fail_msg("\"%s\" does not name %s", text, path);
    free(text);
    request_end(&r);
}

#define USER       "{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}"
#define WITH(more) "{\"contents\":[" USER "]," more "}"

#endif
