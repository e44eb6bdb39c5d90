/*
 * Collecting: what each event brings is kept in the exchange's memory until the exchange is over.
 *
 * Bytes of requests and answers are kept as they came, each body up to `max_body`. When memory is refused the trace
 * says so; the exchange never notices. The text is made and handed to a thread that writes it when the last event
 * comes.
 */
#include "request_tracer_impl.h"

#include <stdlib.h>

#define PIECE ((size_t)2000) /* bytes of the smallest one: streams come in small ones */

bool trace_sampled(struct ccp_span id, double sample)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, then mixed: ids often differ in their last bytes only */
    for (size_t i = 0; i < id.n; i++)
        h = (h ^ (unsigned char)id.p[i]) * 0x100000001b3u;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
    h ^= h >> 33;
    return (double)(h >> 11) * 0x1p-53 < sample;
}

bool trace_path_matches(struct ccp_span pattern, struct ccp_span path)
{
    if (pattern.n != 0 && pattern.p[pattern.n - 1] == '*')
        return ccp_span_starts(path, ccp_span_of(pattern.p, pattern.n - 1));
    return ccp_span_eq(pattern, path);
}

static bool path_listed(const struct ccp_list *l, struct ccp_span path)
{
    for (size_t i = 0; i < l->n; i++)
        if (trace_path_matches(l->v[i], path))
            return true;
    return false;
}

static bool wanted(const struct tracer *t, struct ccp_exchange *x)
{
    const struct tracer_config *c = t->config;
    if (!(c->sample > 0) || !trace_sampled(t->api->request_id(x), c->sample))
        return false;
    struct ccp_span path = t->api->path(x);
    return (c->paths.n == 0 || path_listed(&c->paths, path)) && !path_listed(&c->exclude_paths, path);
}

static bool provider_wanted(const struct tracer *t, struct ccp_exchange *x)
{
    const struct ccp_list *l = &t->config->providers;
    for (size_t i = 0; i < l->n; i++)
        if (ccp_span_eq(l->v[i], t->api->provider(x)))
            return true;
    return l->n == 0;
}

/* -- parts -- */

static struct section *add_section(const struct tracer *t, struct ccp_exchange *x, struct trace *trace,
                                   const char *name)
{
    struct section *s = t->api->alloc(x, sizeof(*s));
    if (s == NULL) {
        trace->refused = true;
        return NULL;
    }
    uint64_t now = t->api->now_unix_us();
    *s = (struct section){.name = name, .at_us = now > trace->unix_us ? now - trace->unix_us : 0, .head = {"", 0}};
    if (trace->last != NULL)
        trace->last->next = s;
    else
        trace->first = s;
    trace->last = s;
    return s;
}

static void add_body(const struct tracer *t, struct ccp_exchange *x, struct trace *trace, struct section *s,
                     struct ccp_span bytes)
{
    if (s == NULL)
        return;
    s->body_total += bytes.n;
    size_t left = t->config->max_body - s->body_n;
    bytes.n = bytes.n < left ? bytes.n : left;
    while (bytes.n != 0) {
        struct piece *p = s->last;
        if (p == NULL || p->n == p->room) {
            size_t room = bytes.n > PIECE ? bytes.n : PIECE;
            p = t->api->alloc(x, sizeof(*p) + room);
            if (p == NULL) {
                trace->refused = true;
                return;
            }
            *p = (struct piece){.room = room};
            if (s->last != NULL)
                s->last->next = p;
            else
                s->first = p;
            s->last = p;
        }
        size_t n = bytes.n < p->room - p->n ? bytes.n : p->room - p->n;
        memcpy(p->bytes + p->n, bytes.p, n);
        p->n += n;
        s->body_n += n;
        bytes = ccp_span_skip(bytes, n);
    }
}

/* What a head is made from; every kind has the members that it needs. */
struct parts {
    const struct ccp_api *api;
    struct ccp_exchange *x;
    const struct ccp_upstream_request *request;
    int status;
    const struct ccp_header *headers;
    size_t header_count;
};

static void put_headers(struct sink *s, const struct parts *p)
{
    for (size_t i = 0; i < p->header_count; i++)
        hide_header(p->api, s, &p->headers[i]);
    sink_z(s, "\n");
}

static void put_client_request(struct sink *s, const struct parts *p)
{
    int version = p->api->http_version(p->x);
    struct ccp_span query = p->api->query(p->x);
    sink_add(s, p->api->method(p->x));
    sink_z(s, " ");
    hide_path(s, p->api->path(p->x));
    if (query.n != 0)
        sink_z(s, "?");
    hide_query(p->api, s, query);
    sink_z(s, version == 20 ? " HTTP/2\n" : version == 10 ? " HTTP/1.0\n" : " HTTP/1.1\n");
    hide_header(p->api, s, &(struct ccp_header){CCP_SPAN("host"), p->api->authority(p->x)});
    put_headers(s, p);
}

static void put_upstream_request(struct sink *s, const struct parts *p)
{
    const struct ccp_upstream_request *r = p->request;
    sink_add(s, r->method);
    sink_z(s, " ");
    hide_url(p->api, s, r->url);
    sink_z(s, "\n");
    if (r->credential != NULL) {
        sink_add(s, r->credential_header);
        sink_z(s, ": ");
        sink_add(s, r->credential_prefix);
        sink_z(s, "[redacted]\n");
    }
    put_headers(s, &(struct parts){.api = p->api, .headers = r->headers, .header_count = r->header_count});
}

static void put_response(struct sink *s, const struct parts *p)
{
    sink_z(s, "HTTP ");
    sink_number(s, (uint64_t)(p->status > 0 ? p->status : 0));
    sink_z(s, "\n");
    put_headers(s, p);
}

static void make_head(struct trace *trace, struct section *s, void (*put)(struct sink *s, const struct parts *p),
                      const struct parts *p)
{
    struct sink counted = {NULL, 0}, out = {NULL, 0};
    if (s == NULL)
        return;
    put(&counted, p);
    out.p = p->api->alloc(p->x, counted.n);
    if (out.p == NULL) {
        trace->refused = true;
        return;
    }
    put(&out, p);
    s->head = ccp_span_of(out.p, out.n);
}

static void note(const struct tracer *t, struct ccp_exchange *x, struct trace *trace, const char *what,
                 struct ccp_span text)
{
    struct section *s = add_section(t, x, trace, "note");
    if (s == NULL)
        return;
    s->attempt = trace->attempts;
    text = brief(text, TEXT_SEEN);
    text = hide_looks_secret(text) ? CCP_SPAN("[redacted]") : text;
    s->head = t->api->print(x, "%s: %.*s\n", what, CCP_FMT(text));
    if (s->head.p == NULL)
        s->head.n = 0;
}

/* -- the events -- */

static void begin(const struct tracer *t, struct ccp_exchange *x, const struct ccp_moment *m)
{
    void **slot = wanted(t, x) ? t->api->slot(x, t->env) : NULL;
    struct trace *trace = slot != NULL ? t->api->alloc(x, sizeof(*trace)) : NULL;
    if (trace == NULL)
        return;
    *trace = (struct trace){.unix_us = t->api->now_unix_us()};
    *slot = trace;
    struct section *s = add_section(t, x, trace, "client.request");
    make_head(trace, s, put_client_request,
              &(struct parts){.api = t->api, .x = x, .headers = m->headers, .header_count = m->header_count});
    add_body(t, x, trace, s, m->bytes);
}

static void sent(const struct tracer *t, struct ccp_exchange *x, struct trace *trace, const struct ccp_moment *m)
{
    trace->attempts++;
    trace->upstream = NULL;
    struct section *s = add_section(t, x, trace, "upstream.request");
    make_head(trace, s, put_upstream_request, &(struct parts){.api = t->api, .x = x, .request = m->request});
    for (size_t i = 0; s != NULL && i < m->request->body_pieces; i++)
        add_body(t, x, trace, s, m->request->body[i]);
    if (s != NULL)
        s->attempt = trace->attempts;
}

static struct section *response(const struct tracer *t, struct ccp_exchange *x, struct trace *trace, const char *name,
                                const struct ccp_moment *m)
{
    struct section *s = add_section(t, x, trace, name);
    make_head(trace, s, put_response,
              &(struct parts){
                  .api = t->api, .x = x, .status = m->status, .headers = m->headers, .header_count = m->header_count});
    return s;
}

static void gather(const struct tracer *t, enum ccp_event event, struct ccp_exchange *x, struct trace *trace,
                   const struct ccp_moment *m)
{
    switch (event) {
    case CCP_EVENT_PROVIDER_REQUEST_SENT:
        sent(t, x, trace, m);
        break;
    case CCP_EVENT_PROVIDER_RESPONSE_RECEIVED:
        trace->upstream = response(t, x, trace, "upstream.response", m);
        if (trace->upstream != NULL)
            trace->upstream->attempt = trace->attempts;
        break;
    case CCP_EVENT_PROVIDER_RESPONSE_BODY:
        add_body(t, x, trace, trace->upstream, m->bytes);
        break;
    case CCP_EVENT_PROVIDER_ERROR:
        note(t, x, trace, "the provider failed", m->text);
        break;
    case CCP_EVENT_HTTP_RESPONSE:
        trace->answer = response(t, x, trace, "client.response", m);
        break;
    case CCP_EVENT_HTTP_RESPONSE_BODY:
        add_body(t, x, trace, trace->answer, m->bytes);
        break;
    case CCP_EVENT_HTTP_ERROR:
        note(t, x, trace, "the client is told", m->text);
        break;
    default:
        break;
    }
}

/* -- the end -- */

struct job {
    struct tracer *tracer;
    struct ccp_span text;
    char name[FILES_NAME_MAX + 1];
};

static void complain(struct tracer *t, const char *why)
{
    unsigned long long now = t->api->now_unix_us() / 1000000, last = atomic_exchange(&t->complained_s, now);
    if (last != now)
        t->api->log(t->env, CCP_LOG_WARN, "a trace is lost: %s (so far %llu not written, %llu left out)", why,
                    (unsigned long long)atomic_load(&t->failed), (unsigned long long)atomic_load(&t->dropped));
}

static void write_job(void *arg)
{
    struct job *job = arg;
    const char *why = files_write(job->tracer, job->name, job->text);
    atomic_store(&job->tracer->broken, why != NULL);
    atomic_fetch_add(why != NULL ? &job->tracer->failed : &job->tracer->written, 1);
    if (why != NULL)
        complain(job->tracer, why);
}

static void free_job(void *arg, struct ccp_exchange *x)
{
    struct job *job = arg;
    free((char *)job->text.p);
    free(job);
}

static void finish(struct tracer *t, struct ccp_exchange *x, struct trace *trace)
{
    struct ccp_summary sum;
    t->api->summary(x, &sum, sizeof(sum));
    bool good = sum.status == CCP_OK && sum.http_status < 400 && sum.upstream_status < 400;
    if ((t->config->only_errors && good) || !provider_wanted(t, x))
        return;
    struct job *job = calloc(1, sizeof(*job));
    if (job != NULL) {
        job->tracer = t;
        job->text = compose(t, x, trace, &sum);
        files_name(job->name, trace->unix_us, t->api->request_id(x));
    }
    if (job != NULL && job->text.p != NULL && t->api->work(t->env, NULL, write_job, free_job, job))
        return;
    atomic_fetch_add(&t->dropped, 1);
    complain(t, job == NULL || job->text.p == NULL ? "out of memory" : "too many wait to be written");
    if (job != NULL)
        free_job(job, NULL);
}

bool trace_event(void *self, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m)
{
    struct tracer *t = self;
    if (event == CCP_EVENT_HTTP_REQUEST) {
        begin(t, x, m);
        return true;
    }
    void **slot = t->config->sample > 0 ? t->api->slot(x, t->env) : NULL;
    if (slot == NULL || *slot == NULL)
        return true;
    struct trace *trace = *slot;
    if (event == CCP_EVENT_REQUEST_COMPLETED || event == CCP_EVENT_REQUEST_FAILED) {
        *slot = NULL;
        finish(t, x, trace);
    } else {
        gather(t, event, x, trace, m);
    }
    return true;
}
