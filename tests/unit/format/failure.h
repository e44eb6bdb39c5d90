/*
 * What the tests of upstreams' errors share: reading one, and the fixtures in tests/fixtures/wire/errors.
 */
#ifndef UNIT_FORMAT_FAILURE_H
#define UNIT_FORMAT_FAILURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <format/translate.h>
#include <stdio.h>
#include <wire/json.h>

static inline struct failure read_body(struct arena *a, int http, struct ccp_span body)
{
    struct failure f;
    failure_read(&f, a, http, NULL, 0, body);
    assert_true(f.message.n != 0);
    return f;
}

static inline struct failure read_text(struct arena *a, int http, const char *body)
{
    return read_body(a, http, ccp_span_z(body));
}

static inline void message_is(const struct failure *f, const char *want)
{
    if (!ccp_span_is(f->message, want))
        fail_msg("got %.*s\nwant %s", CCP_FMT(f->message), want);
}

static inline bool contains(struct ccp_span text, const char *what)
{
    return text.n != 0 && memmem(text.p, text.n, what, strlen(what)) != NULL;
}

static inline struct ccp_span load(struct arena *a, const char *name)
{
    struct ccp_span path = arena_printf(a, "%s/wire/errors/%s", FIXTURES, name);
    FILE *file = fopen(path.p, "rb");
    assert_non_null(file);
    char *text = arena_alloc(a, 1 << 16);
    size_t n = fread(text, 1, 1 << 16, file);
    assert_true(n != 0 && n < 1 << 16);
    assert_int_equal(fclose(file), 0);
    return ccp_span_of(text, n);
}

static const struct {
    const char *name;
    enum failure_kind kind;
} kinds[] = {
    {"rate_limit", FAILURE_RATE},
    {"overloaded", FAILURE_OVERLOADED},
    {"context_length", FAILURE_CONTEXT},
    {"too_large", FAILURE_TOO_LARGE},
    {"auth", FAILURE_AUTH},
    {"quota", FAILURE_QUOTA},
    {"invalid_request", FAILURE_INVALID},
    {"upstream", FAILURE_UPSTREAM},
    {"content_filter", FAILURE_FILTER},
    {"not_found", FAILURE_NOT_FOUND},
};

static inline enum failure_kind kind_named(struct ccp_span name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (ccp_span_is(name, kinds[i].name))
            return kinds[i].kind;
    fail_msg("no kind is called %.*s", CCP_FMT(name));
    return FAILURE_UPSTREAM;
}

#endif
