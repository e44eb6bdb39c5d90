/*
 * One exchange as one line, as JSON or as text for people.
 *
 * Fields without a value are left out. A text field has a limit of its own, and the limits together stay below
 * ACCESS_LINE_MAX, so that one long field never costs another one.
 */
#include "access_log_impl.h"

#include <stdarg.h>

struct line {
    char *p;
    size_t n;
    bool json;
};

/* Limits of the text fields, after escaping. */
enum { PEER = 80, METHOD = 32, PATH = 1024, ID = 160, NAME = 96, MODEL = 192, ERROR = 640, AGENT = 320 };
_Static_assert(PEER + METHOD + PATH + ID + 3 * NAME + 2 * MODEL + ERROR + AGENT + 900 < ACCESS_LINE_MAX,
               "a full line fits, 900 bytes of keys and numbers included");

static void put(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct line *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(l->p + l->n, ACCESS_LINE_MAX - l->n, fmt, ap);
    va_end(ap);
    if (n > 0)
        l->n += (size_t)n < ACCESS_LINE_MAX - l->n ? (size_t)n : ACCESS_LINE_MAX - l->n - 1;
}

static void put_bytes(struct line *l, const char *p, size_t n)
{
    if (n > ACCESS_LINE_MAX - 1 - l->n)
        n = ACCESS_LINE_MAX - 1 - l->n;
    memcpy(l->p + l->n, p, n);
    l->n += n;
}

static void put_key(struct line *l, const char *key)
{
    put_bytes(l, l->json ? ",\"" : " ", l->json ? 2 : 1);
    put_bytes(l, key, strlen(key));
    put_bytes(l, l->json ? "\":" : "=", l->json ? 2 : 1);
}

/* Text mode quotes only what needs it; a quote at the start always means an escaped text. */
static void put_text(struct line *l, const char *key, struct ccp_span value, size_t limit)
{
    if (value.n == 0)
        return;
    put_key(l, key);
    char *at = l->p + l->n;
    size_t n = access_escape(at + 1, limit, value);
    bool bare = !l->json;
    for (size_t i = 0; bare && i < n; i++)
        bare = at[1 + i] != ' ' && at[1 + i] != '"' && at[1 + i] != '\\' && at[1 + i] != '=';
    if (bare) {
        memmove(at, at + 1, n);
        l->n += n;
        return;
    }
    at[0] = at[n + 1] = '"';
    l->n += n + 2;
}

static void put_count(struct line *l, const char *key, uint64_t value)
{
    put_key(l, key);
    put(l, "%llu", (unsigned long long)value);
}

/* Milliseconds with three decimals in JSON; people get a unit. */
static void put_time(struct line *l, const char *key, uint64_t us)
{
    if (us == 0)
        return;
    if (l->json)
        put(l, ",\"%s_ms\":%llu.%03u", key, (unsigned long long)(us / 1000), (unsigned)(us % 1000));
    else
        put(l, " %s=%llu.%ums", key, (unsigned long long)(us / 1000), (unsigned)(us % 1000 / 100));
}

static void put_stamp(struct line *l, uint64_t unix_us)
{
    char text[32];
    struct tm tm;
    time_t seconds = (time_t)(unix_us / 1000000);
    if (gmtime_r(&seconds, &tm) == NULL || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        snprintf(text, sizeof(text), "-");
    put(l, l->json ? "{\"time\":\"%s.%03uZ\",\"level\":\"info\",\"area\":\"access_log\"" : "%s.%03uZ access", text,
        (unsigned)(unix_us / 1000 % 1000));
}

static const char *http_name(int version)
{
    return version == 20 ? "HTTP/2" : version == 11 ? "HTTP/1.1" : version == 10 ? "HTTP/1.0" : "";
}

size_t access_line(char *out, const struct access_record *r, bool json)
{
    const struct ccp_summary *s = &r->sum;
    struct line l = {.p = out, .json = json};
    put_stamp(&l, r->unix_us);
    put_text(&l, "peer", r->peer, PEER);
    put_text(&l, "method", r->method, METHOD);
    put_text(&l, "path", r->path, PATH);
    put_count(&l, "status", (uint64_t)(s->http_status > 0 ? s->http_status : 0));
    put_time(&l, "total", s->us_total);
    put_time(&l, "first_byte", s->us_first_byte);
    put_time(&l, "upstream_head", s->us_upstream_head);
    put_count(&l, "bytes_in", s->bytes_in);
    put_count(&l, "bytes_out", s->bytes_out);
    put_text(&l, "protocol", ccp_span_z(http_name(r->http_version)), NAME);
    put_text(&l, "provider", r->provider, NAME);
    put_text(&l, "format", r->format, NAME);
    put_text(&l, "model", r->model, MODEL);
    if (!ccp_span_eq(r->model, r->upstream_model))
        put_text(&l, "upstream_model", r->upstream_model, MODEL);
    if (s->attempts > 1)
        put_count(&l, "attempts", (uint64_t)s->attempts);
    if (s->streamed)
        put(&l, json ? ",\"stream\":true" : " stream=true");
    put_text(&l, "key", r->key, NAME);
    put_text(&l, "request_id", r->id, ID);
    if (s->status != CCP_OK) {
        put_text(&l, "failure", ccp_span_z(r->status_name), NAME);
        put_text(&l, "error", s->error, ERROR);
    }
    put_text(&l, "user_agent", r->agent, AGENT);
    if (json)
        put(&l, "}");
    return l.n;
}
