/*
 * One exchange as one line, as JSON or as text for people.
 *
 * Fields without a value are left out. A text field has a limit of its own, and the limits together stay below
 * ACCESS_LINE_MAX, so that one long field never costs another one.
 */
#include "access_log_impl.h"

struct line {
    char *p;
    size_t n;
    bool json;
};

/* Limits of the text fields, after escaping. */
enum { PEER = 80, METHOD = 32, PATH = 1024, ID = 160, NAME = 96, MODEL = 192, ERROR = 640, AGENT = 320 };
_Static_assert(PEER + METHOD + PATH + ID + 3 * NAME + 2 * MODEL + ERROR + AGENT + 900 < ACCESS_LINE_MAX,
               "a full line fits, 900 bytes of keys and numbers included");

static void put_bytes(struct line *l, const char *p, size_t n)
{
    if (n > ACCESS_LINE_MAX - 1 - l->n)
        n = ACCESS_LINE_MAX - 1 - l->n;
    memcpy(l->p + l->n, p, n);
    l->n += n;
}

/* At least `width` digits. */
static void put_number(struct line *l, uint64_t value, size_t width)
{
    char digits[20];
    put_bytes(l, digits, ccp_digits(digits, value, width));
}

/* How a field begins in either form; both are known when this is compiled. */
struct key {
    struct ccp_span json, text;
};
#define KEY(name)                                                                                                      \
    (struct key)                                                                                                       \
    {                                                                                                                  \
        CCP_LIT(",\"" name "\":"), CCP_LIT(" " name "=")                                                               \
    }

#define TIME(name)                                                                                                     \
    (struct key)                                                                                                       \
    {                                                                                                                  \
        CCP_LIT(",\"" name "_ms\":"), CCP_LIT(" " name "=")                                                            \
    }

static void put_key(struct line *l, struct key key)
{
    struct ccp_span s = l->json ? key.json : key.text;
    put_bytes(l, s.p, s.n);
}

/* Text mode quotes only what needs it; a quote at the start always means an escaped text. */
static void put_text(struct line *l, struct key key, struct ccp_span value, size_t limit)
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

static void put_count(struct line *l, struct key key, uint64_t value)
{
    put_key(l, key);
    put_number(l, value, 1);
}

/* Milliseconds with three decimals in JSON; people get a unit. */
static void put_time(struct line *l, struct key key, uint64_t us)
{
    if (us == 0)
        return;
    put_key(l, key);
    put_number(l, us / 1000, 1);
    put_bytes(l, ".", 1);
    put_number(l, l->json ? us % 1000 : us % 1000 / 100, l->json ? 3 : 1);
    if (!l->json)
        put_bytes(l, "ms", 2);
}

/* "2026-11-21T10:00:00." of this second; made once for all lines of it that a thread writes. */
static struct ccp_span second_text(uint64_t unix_s)
{
    static _Thread_local char text[24];
    static _Thread_local uint64_t of = UINT64_MAX;
    time_t seconds = (time_t)unix_s;
    struct tm tm = {.tm_mday = 1};
    if (of != unix_s) {
        gmtime_r(&seconds, &tm);
        if (strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.", &tm) != 20)
            return CCP_SPAN("0000-00-00T00:00:00."); /* a clock behind the year 9999 */
        of = unix_s;
    }
    return ccp_span_of(text, 20);
}

/* RFC 3339, in UTC. */
static void put_stamp(struct line *l, uint64_t unix_us)
{
    struct ccp_span second = second_text(unix_us / 1000000);
    put_bytes(l, second.p, second.n);
    put_number(l, unix_us / 1000 % 1000, 3);
    put_bytes(l, "Z", 1);
}

static void put_start(struct line *l, uint64_t unix_us)
{
    static const struct ccp_span begin = CCP_LIT("{\"time\":\""), text = CCP_LIT(" access"),
                                 json = CCP_LIT("\",\"level\":\"info\",\"area\":\"access_log\"");
    if (l->json)
        put_bytes(l, begin.p, begin.n);
    put_stamp(l, unix_us);
    put_bytes(l, l->json ? json.p : text.p, l->json ? json.n : text.n);
}

static const char *http_name(int version)
{
    return version == 20 ? "HTTP/2" : version == 11 ? "HTTP/1.1" : version == 10 ? "HTTP/1.0" : "";
}

size_t access_line(char *out, const struct access_record *r, bool json)
{
    const struct ccp_summary *s = &r->sum;
    struct line l = {.p = out, .json = json};
    put_start(&l, r->unix_us);
    put_text(&l, KEY("peer"), r->peer, PEER);
    put_text(&l, KEY("method"), r->method, METHOD);
    put_text(&l, KEY("path"), r->path, PATH);
    put_count(&l, KEY("status"), (uint64_t)(s->http_status > 0 ? s->http_status : 0));
    put_time(&l, TIME("total"), s->us_total);
    put_time(&l, TIME("first_byte"), s->us_first_byte);
    put_time(&l, TIME("upstream_head"), s->us_upstream_head);
    put_count(&l, KEY("bytes_in"), s->bytes_in);
    put_count(&l, KEY("bytes_out"), s->bytes_out);
    put_text(&l, KEY("protocol"), ccp_span_z(http_name(r->http_version)), NAME);
    put_text(&l, KEY("provider"), r->provider, NAME);
    put_text(&l, KEY("format"), r->format, NAME);
    put_text(&l, KEY("model"), r->model, MODEL);
    if (!ccp_span_eq(r->model, r->upstream_model))
        put_text(&l, KEY("upstream_model"), r->upstream_model, MODEL);
    if (s->attempts > 1)
        put_count(&l, KEY("attempts"), (uint64_t)s->attempts);
    if (s->streamed)
        put_bytes(&l, json ? ",\"stream\":true" : " stream=true", json ? 14 : 12);
    if (s->dropped != 0)
        put_count(&l, KEY("dropped"), s->dropped);
    put_text(&l, KEY("key"), r->key, NAME);
    put_text(&l, KEY("request_id"), r->id, ID);
    if (s->status != CCP_OK) {
        put_text(&l, KEY("failure"), ccp_span_z(r->status_name), NAME);
        put_text(&l, KEY("error"), s->error, ERROR);
    }
    put_text(&l, KEY("user_agent"), r->agent, AGENT);
    if (json)
        put_bytes(&l, "}", 1);
    return l.n;
}
