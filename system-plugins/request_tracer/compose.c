/*
 * The text of a trace: a summary in lines, then every message with its lengths in front, so that each byte of it can be
 * taken out again. docs/tracing.md describes it.
 */
#include "request_tracer_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const status_names[] = {
#define X(name, text, http, retry, message) text,
#include <ccproxy/status.def>
#undef X
};

static const char *const format_names[] = {
#define X(name, id, versioned) id,
#include <ccproxy/format.def>
#undef X
};

/* A value that stays on its line, whatever its sender wrote. */
static void put_line(struct sink *s, const char *name, struct ccp_span value)
{
    if (value.n == 0)
        return;
    sink_z(s, name);
    sink_z(s, ": ");
    size_t at = s->n;
    sink_add(s, brief(value, TEXT_SHOWN));
    sink_z(s, value.n > TEXT_SHOWN ? "..." : "");
    for (; s->p != NULL && at < s->n; at++)
        if ((unsigned char)s->p[at] < 0x20 || s->p[at] == 0x7f)
            s->p[at] = '?';
    sink_z(s, "\n");
}

static void put_number(struct sink *s, const char *name, uint64_t n)
{
    char digits[20];
    put_line(s, name, ccp_span_of(digits, ccp_digits(digits, n, 1)));
}

static void put_time(struct sink *s, uint64_t unix_us)
{
    char text[40];
    time_t seconds = (time_t)(unix_us / 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.", &tm);
    n += ccp_digits(text + n, unix_us % 1000000, 6);
    text[n++] = 'Z';
    put_line(s, "time", ccp_span_of(text, n));
}

/* -- what others wrote: one piece, in which secrets are looked for. Not in the whole summary: who chooses a credential
 * that reads like one of its lines must not have that line overwritten. -- */

enum word { ID, CLIENT, KEY, METHOD, PATH, MODEL, UPSTREAM_MODEL, ERROR, WORDS };

struct words {
    char *text;
    struct ccp_span v[WORDS];
};

static void put_words(struct sink *s, const struct tracer *t, struct ccp_exchange *x, struct ccp_span error,
                      struct ccp_span *v)
{
    const struct ccp_api *api = t->api;
    const struct ccp_span plain[WORDS] = {[ID] = api->request_id(x), [CLIENT] = api->peer(x),
                                          [KEY] = api->key_name(x),  [METHOD] = api->method(x),
                                          [PATH] = api->path(x),     [MODEL] = api->client_model(x),
                                          [ERROR] = error,           [UPSTREAM_MODEL] = api->upstream_model(x)};
    for (size_t i = 0; i < WORDS; i++) {
        size_t at = s->n;
        struct ccp_span word = brief(plain[i], TEXT_SEEN);
        if (i == PATH)
            hide_path(s, word);
        else
            sink_add(s, i == ERROR && hide_looks_secret(word) ? CCP_SPAN("[redacted]") : word);
        v[i] = ccp_span_of(s->p != NULL ? s->p + at : "", s->p != NULL ? s->n - at : 0);
        sink_z(s, "\n"); /* in no secret: none is found across two words, and none is cut off at the end */
    }
}

/* Each part on its own: where a body was cut, the beginning of a secret counts as one. */
static bool redact(const struct tracer *t, struct ccp_exchange *x, char *p, size_t n)
{
    return n == 0 || t->api->redact(x, p, n) != SIZE_MAX;
}

static bool gather_words(struct words *w, const struct tracer *t, struct ccp_exchange *x, struct ccp_span error)
{
    struct sink counted = {NULL, 0}, out = {NULL, 0};
    put_words(&counted, t, x, error, w->v);
    w->text = out.p = malloc(counted.n);
    if (out.p == NULL)
        return false;
    put_words(&out, t, x, error, w->v);
    return redact(t, x, out.p, out.n);
}

static void put_summary(struct sink *s, const struct tracer *t, struct ccp_exchange *x, const struct trace *trace,
                        const struct ccp_summary *sum, const struct words *w)
{
    enum ccp_format format = t->api->client_format(x);
    sink_z(s, "ccproxy-trace 1\n");
    put_line(s, "id", w->v[ID]);
    put_time(s, trace->unix_us);
    put_line(s, "client", w->v[CLIENT]);
    put_line(s, "key", w->v[KEY]);
    put_line(s, "method", w->v[METHOD]);
    put_line(s, "path", w->v[PATH]);
    put_line(s, "format", format < CCP_FORMAT_COUNT ? ccp_span_z(format_names[format]) : CCP_SPAN(""));
    put_line(s, "provider", t->api->provider(x));
    put_line(s, "model", w->v[MODEL]);
    put_line(s, "upstream-model", w->v[UPSTREAM_MODEL]);
    put_number(s, "status", (uint64_t)(sum->http_status > 0 ? sum->http_status : 0));
    put_line(s, "outcome", ccp_span_z(status_names[sum->status < CCP_STATUS_COUNT ? sum->status : CCP_INTERNAL]));
    put_line(s, "error", w->v[ERROR]);
    put_number(s, "attempts", (uint64_t)(sum->attempts > 0 ? sum->attempts : 0));
    put_number(s, "duration-us", sum->us_total);
    if (trace->refused)
        put_line(s, "incomplete", CCP_SPAN("memory for a part of this trace was refused"));
    sink_z(s, "\n");
}

/* -- the messages -- */

static void put_section(struct sink *s, const struct section *c)
{
    sink_z(s, "== ");
    sink_z(s, c->name);
    if (c->attempt != 0) {
        sink_z(s, " attempt=");
        sink_number(s, c->attempt);
    }
    sink_z(s, " at_us=");
    sink_number(s, c->at_us);
    sink_z(s, " head=");
    sink_number(s, c->head.n);
    sink_z(s, " body=");
    sink_number(s, c->body_n);
    sink_z(s, " left_out=");
    sink_number(s, c->body_total - c->body_n);
    sink_z(s, "\n");
    sink_add(s, c->head);
    for (const struct piece *p = c->first; p != NULL; p = p->next)
        sink_add(s, ccp_span_of(p->bytes, p->n));
    sink_z(s, "\n");
}

static bool put_redacted(struct sink *s, const struct tracer *t, struct ccp_exchange *x, const struct section *c)
{
    put_section(s, c);
    if (s->p == NULL)
        return true;
    char *body = s->p + s->n - 1 - c->body_n, *head = body - c->head.n;
    return redact(t, x, head, c->head.n) && redact(t, x, body, c->body_n);
}

static bool put_all(struct sink *s, const struct tracer *t, struct ccp_exchange *x, const struct trace *trace,
                    const struct ccp_summary *sum, const struct words *w)
{
    bool fine = true;
    put_summary(s, t, x, trace, sum, w);
    for (const struct section *c = trace->first; fine && c != NULL; c = c->next)
        fine = put_redacted(s, t, x, c);
    sink_z(s, "== end\n");
    return fine;
}

struct ccp_span compose(const struct tracer *t, struct ccp_exchange *x, const struct trace *trace,
                        const struct ccp_summary *sum)
{
    struct sink counted = {NULL, 0}, out = {NULL, 0};
    struct words w;
    bool fine = gather_words(&w, t, x, sum->error);
    if (fine) {
        put_all(&counted, t, x, trace, sum, &w);
        out.p = malloc(counted.n);
        fine = out.p != NULL && put_all(&out, t, x, trace, sum, &w);
    }
    free(w.text);
    if (fine)
        return ccp_span_of(out.p, out.n);
    free(out.p);
    return (struct ccp_span){NULL, 0};
}
