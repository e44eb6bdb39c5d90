/*
 * What admins see of the traces: a list, one trace, and its removal. Each looks at the disk on a thread that may block
 * while the request is parked.
 */
#include "request_tracer_impl.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    PAGE = 50,
    MOST = 200,         /* of one page */
    READABLE = 64 << 20 /* of one trace; settings keep it far below */
};

struct query {
    struct tracer *tracer;
    void (*look)(struct query *q);
    char what[FILES_NAME_MAX + 1], before[FILES_NAME_MAX + 1];
    size_t limit;
    /* what was found */
    int status; /* 0 = what was asked for is not there */
    struct ccp_span type, body;
    struct ccp_arena *arena; /* of a list's texts */
};

static void free_query(struct query *q)
{
    if (q->arena != NULL)
        q->tracer->api->arena_free(q->arena);
    free((char *)q->body.p);
    free(q);
}

static void look(void *arg)
{
    struct query *q = arg;
    q->look(q);
}

static void answer(void *arg, struct ccp_exchange *x)
{
    struct query *q = arg;
    const struct ccp_api *api = q->tracer->api;
    if (x != NULL && q->status == 0) {
        api->fail(x, CCP_NOT_FOUND, "there is no trace \"%s\"", q->what);
        api->resume(x, CCP_FAILED);
    } else if (x != NULL && q->body.p == NULL && q->status != 204) {
        api->fail(x, CCP_OVERLOADED, "out of memory");
        api->resume(x, CCP_FAILED);
    } else if (x != NULL) {
        api->add_response_header(x, CCP_SPAN("cache-control"), CCP_SPAN("no-store"));
        api->add_response_header(x, CCP_SPAN("x-content-type-options"), CCP_SPAN("nosniff"));
        api->resume(x, api->respond(x, q->status, q->type, q->body));
    }
    free_query(q);
}

/* The query is its own until `answer`, whether or not somebody still waits for it. */
static void nobody_waits(void *arg)
{
}

static enum ccp_verdict start(struct tracer *t, struct ccp_exchange *x, struct query *q, void (*how)(struct query *q))
{
    if (q == NULL)
        return t->api->fail(x, CCP_OVERLOADED, "out of memory");
    q->tracer = t;
    q->look = how;
    if (!t->api->work(t->env, x, look, answer, q)) {
        free_query(q);
        return t->api->fail(x, CCP_OVERLOADED, "too much is waiting for the threads of plugins");
    }
    t->api->park(x, nobody_waits, q);
    return CCP_WAIT;
}

static void keep(char out[FILES_NAME_MAX + 1], struct ccp_span s)
{
    /* Longer than any name is no name: '/' is in none either. */
    snprintf(out, FILES_NAME_MAX + 1, "%.*s", s.n <= FILES_NAME_MAX ? (int)s.n : 1, s.n <= FILES_NAME_MAX ? s.p : "/");
}

/* -- a list -- */

static struct ccp_span line_of(struct ccp_span text, const char *name)
{
    size_t n = strlen(name);
    while (text.n != 0 && text.p[0] != '\n') {
        struct ccp_span line = ccp_span_of(text.p, ccp_span_find(text, '\n'));
        if (line.n > n + 1 && memcmp(line.p, name, n) == 0 && line.p[n] == ':')
            return ccp_span_trim(ccp_span_skip(line, n + 1));
        text = ccp_span_skip(text, line.n + 1);
    }
    return (struct ccp_span){"", 0};
}

static bool is_number(struct ccp_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n != 0 && s.n <= 18 && (s.n == 1 || s.p[0] != '0');
}

static void put_member(FILE *out, struct query *q, const char *name, struct ccp_span value)
{
    if (is_number(value) && strcmp(name, "status") == 0) {
        fprintf(out, ",\"%s\":%.*s", name, CCP_FMT(value));
        return;
    }
    struct ccp_span quoted = q->tracer->api->json_quote(NULL, q->arena, value);
    if (quoted.p != NULL)
        fprintf(out, ",\"%s\":%.*s", name, CCP_FMT(quoted));
}

static void put_entry(FILE *out, struct query *q, const struct files_found *f, bool first)
{
    static const char *const members[] = {"id",       "time",  "method", "path",    "format",
                                          "provider", "model", "status", "outcome", "key"};
    struct ccp_span text = files_read(q->tracer, f->name, SUMMARY);
    fprintf(out, "%s{\"name\":\"%s\",\"size\":%llu", first ? "" : ",", f->name, (unsigned long long)f->size);
    for (size_t i = 0; text.p != NULL && i < sizeof(members) / sizeof(members[0]); i++) {
        struct ccp_span value = line_of(text, members[i]);
        if (value.n != 0)
            put_member(out, q, members[i], value);
    }
    fprintf(out, "}");
    free((char *)text.p);
}

static void put_state(FILE *out, struct tracer *t)
{
    pthread_mutex_lock(&t->lock);
    unsigned long long files = t->files, bytes = t->bytes;
    pthread_mutex_unlock(&t->lock);
    fprintf(out, "\"files\":%llu,\"bytes\":%llu,\"written\":%llu,\"failed\":%llu,\"dropped\":%llu}\n", files, bytes,
            (unsigned long long)atomic_load(&t->written), (unsigned long long)atomic_load(&t->failed),
            (unsigned long long)atomic_load(&t->dropped));
}

static void put_list(FILE *out, struct query *q, const struct files_found *found, size_t n)
{
    size_t shown = n < q->limit ? n : q->limit;
    fprintf(out, "{\"requests\":[");
    for (size_t i = 0; i < shown; i++)
        put_entry(out, q, &found[i], i == 0);
    fprintf(out, "],\"next\":");
    if (n > shown && shown != 0)
        fprintf(out, "\"%s\",", found[shown - 1].name);
    else
        fprintf(out, "null,");
    put_state(out, q->tracer);
}

static void look_list(struct query *q)
{
    char *text = NULL;
    size_t n = 0;
    struct files_found *found = calloc(q->limit + 1, sizeof(*found));
    q->arena = q->tracer->api->arena_new(4 << 20);
    FILE *out = found != NULL && q->arena != NULL ? open_memstream(&text, &n) : NULL;
    q->status = 200;
    q->type = CCP_SPAN("application/json");
    if (out != NULL) {
        put_list(out, q, found, files_list(q->tracer, ccp_span_z(q->before), ccp_span_z(q->what), found, q->limit + 1));
        bool fine = ferror(out) == 0;
        fine = fclose(out) == 0 && fine;
        q->body = fine ? ccp_span_of(text, n) : (struct ccp_span){NULL, 0};
        if (!fine)
            free(text);
    }
    free(found);
}

static size_t limit_of(struct ccp_span s)
{
    size_t value = 0;
    if (!is_number(s) || s.n > 6)
        return PAGE;
    for (size_t i = 0; i < s.n; i++)
        value = value * 10 + (size_t)(s.p[i] - '0');
    return value < 1 ? 1 : value > MOST ? MOST : value;
}

enum ccp_verdict routes_list(void *self, struct ccp_exchange *x)
{
    struct tracer *t = self;
    struct query *q = calloc(1, sizeof(*q));
    if (q != NULL) {
        keep(q->what, t->api->query_get(x, CCP_SPAN("id")));
        keep(q->before, t->api->query_get(x, CCP_SPAN("before")));
        q->limit = limit_of(t->api->query_get(x, CCP_SPAN("limit")));
    }
    return start(t, x, q, look_list);
}

/* -- one -- */

static void look_get(struct query *q)
{
    struct files_found found;
    if (!files_find(q->tracer, ccp_span_z(q->what), &found))
        return;
    q->status = 200;
    q->type = CCP_SPAN("text/plain; charset=utf-8");
    q->body = files_read(q->tracer, found.name, READABLE);
}

static void look_delete(struct query *q)
{
    struct files_found found;
    if (files_find(q->tracer, ccp_span_z(q->what), &found) && files_remove(q->tracer, found.name))
        q->status = 204;
}

static enum ccp_verdict one(struct tracer *t, struct ccp_exchange *x, void (*how)(struct query *q))
{
    struct query *q = calloc(1, sizeof(*q));
    if (q != NULL)
        keep(q->what, t->api->route_rest(x));
    return start(t, x, q, how);
}

enum ccp_verdict routes_get(void *self, struct ccp_exchange *x)
{
    return one(self, x, look_get);
}

enum ccp_verdict routes_delete(void *self, struct ccp_exchange *x)
{
    return one(self, x, look_delete);
}

/* -- all -- */

static void look_clear(struct query *q)
{
    char *text = NULL;
    q->status = 200;
    q->type = CCP_SPAN("application/json");
    int n = asprintf(&text, "{\"removed\":%zu}\n", files_clear(q->tracer));
    if (n > 0)
        q->body = ccp_span_of(text, (size_t)n);
}

enum ccp_verdict routes_clear(void *self, struct ccp_exchange *x, const struct ccp_json *input)
{
    return start(self, x, calloc(1, sizeof(struct query)), look_clear);
}
