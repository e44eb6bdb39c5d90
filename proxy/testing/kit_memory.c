/*
 * The kit's memory: what is handed to the test's author lives until the test is closed. A test without memory has no
 * result, so a refusal ends the program.
 */
#include <testing/kit_impl.h>

#include <stdio.h>
#include <stdlib.h>

void *kit_alloc(size_t n)
{
    void *p = calloc(1, n);
    if (p == NULL) {
        fputs("ccproxy-testing: out of memory\n", stderr);
        abort();
    }
    return p;
}

struct ccp_span kit_keep2(struct ccp_test *t, struct ccp_span a, struct ccp_span b)
{
    struct kit_kept *k = kit_alloc(sizeof(*k) + a.n + b.n + 1);
    if (a.n != 0)
        memcpy(k->bytes, a.p, a.n);
    if (b.n != 0)
        memcpy(k->bytes + a.n, b.p, b.n);
    pthread_mutex_lock(&t->lock);
    k->next = t->kept;
    t->kept = k;
    pthread_mutex_unlock(&t->lock);
    return (struct ccp_span){k->bytes, a.n + b.n};
}

struct ccp_span kit_keep(struct ccp_test *t, struct ccp_span s)
{
    return kit_keep2(t, s, (struct ccp_span){"", 0});
}

size_t kit_headers(struct ccp_test *t, const char *lines, struct ccp_header *out, size_t max)
{
    struct ccp_span rest = kit_keep(t, ccp_span_z(lines != NULL ? lines : ""));
    size_t n = 0;
    while (rest.n != 0 && n < max) {
        size_t end = ccp_span_find(rest, '\n');
        struct ccp_span line = ccp_span_trim(ccp_span_of(rest.p, end));
        size_t colon =
            line.n != 0 ? 1 + ccp_span_find(ccp_span_skip(line, 1), ':') : 0; /* ":unix: 1" begins with one */
        if (line.n != 0 && colon >= line.n)
            ccp_test_fail("headers", (int)n + 1, "not a header: \"%.*s\"", CCP_FMT(line));
        else if (line.n != 0)
            out[n++] = (struct ccp_header){ccp_span_of(line.p, colon), ccp_span_trim(ccp_span_skip(line, colon + 1))};
        rest = ccp_span_skip(rest, end + 1);
    }
    return n;
}

struct ccp_span kit_header(const struct ccp_header *headers, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (ccp_span_is(headers[i].name, name))
            return headers[i].value;
    return (struct ccp_span){NULL, 0};
}

struct kit_script *kit_script(struct ccp_test *t, const struct ccp_test_answer *answer)
{
    struct kit_script *s = kit_alloc(sizeof(*s));
    size_t n = answer->body == NULL ? 0 : answer->length != 0 ? answer->length : strlen(answer->body);
    s->a = *answer;
    s->a.body = kit_keep(t, ccp_span_of(answer->body, n)).p;
    s->a.length = n;
    s->a.status = answer->status != 0 ? answer->status : 200;
    s->header_count = kit_headers(t, answer->headers, s->headers, KIT_HEADERS);
    return s;
}
