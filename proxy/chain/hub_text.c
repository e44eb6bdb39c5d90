/*
 * Events as text: what happened, as one JSON object in one server-sent event.
 *
 * Bodies are told by their length unless somebody asked for them and may see them; then there is a second text that
 * has them, up to HUB_BODY_MAX. Headers that may hold a credential are missing from what observers get, and are left
 * out here again. Whatever bytes came in, what goes out is JSON in UTF-8.
 */
#include <base/budget.h>
#include <base/fault.h>
#include <base/status.h>
#include <chain/hub_impl.h>
#include <wire/headers.h>
#include <wire/json.h>
#include <wire/sse.h>

static void add_text(struct ccp_buf *out, const char *name, struct ccp_span text)
{
    if (text.n == 0)
        return;
    buf_printf(out, ",\"%s\":", name);
    json_quote_to(out, text);
}

static void add_number(struct ccp_buf *out, const char *name, uint64_t n)
{
    if (n != 0)
        buf_printf(out, ",\"%s\":%llu", name, (unsigned long long)n);
}

static void add_time(struct ccp_buf *out, uint64_t unix_us)
{
    char text[40];
    time_t seconds = (time_t)(unix_us / 1000000u);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL)
        return;
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(out, ",\"at\":\"%s.%06uZ\"", text, (unsigned)(unix_us % 1000000u));
}

static const char *format_name(enum ccp_format f)
{
    static const char *const names[] = {
#define X(name, id, versioned) id,
#include <ccproxy/format.def>
#undef X
    };
    return (size_t)f < sizeof(names) / sizeof(names[0]) ? names[f] : "";
}

static const char *op_name(enum ccp_op op)
{
    static const char *const names[] = {"", "generate", "count", "embed", "models", "model", "family", "raw"};
    return (size_t)op < sizeof(names) / sizeof(names[0]) ? names[op] : "";
}

static void add_request(struct ccp_buf *out, const struct ccp_event_info *info)
{
    buf_addz(out, ",\"request\":{\"id\":");
    json_quote_to(out, info->request_id);
    add_text(out, "method", info->method);
    add_text(out, "path", info->path);
    add_text(out, "peer", info->peer);
    add_text(out, "key", info->key_name);
    add_text(out, "provider", info->provider);
    add_text(out, "model", info->client_model);
    add_text(out, "upstream_model", info->upstream_model);
    add_text(out, "format", ccp_span_z(format_name(info->client_format)));
    add_text(out, "op", ccp_span_z(op_name(info->op)));
    buf_addz(out, "}");
}

static void add_usage(struct ccp_buf *out, const struct ccp_usage *u)
{
    buf_printf(out,
               ",\"usage\":{\"input\":%llu,\"cache_read\":%llu,\"cache_write\":%llu,\"cache_write_1h\":%llu,"
               "\"output\":%llu,\"reasoning\":%llu}",
               (unsigned long long)u->input, (unsigned long long)u->cache_read, (unsigned long long)u->cache_write,
               (unsigned long long)u->cache_write_1h, (unsigned long long)u->output, (unsigned long long)u->reasoning);
}

static void add_summary(struct ccp_buf *out, const struct ccp_summary *s)
{
    buf_printf(out, ",\"summary\":{\"status\":\"%s\",\"http_status\":%d,\"attempts\":%d,\"streamed\":%s",
               status_text(s->status), s->http_status, s->attempts, s->streamed ? "true" : "false");
    add_text(out, "error", s->error);
    add_number(out, "upstream_status", (uint64_t)s->upstream_status);
    add_number(out, "bytes_in", s->bytes_in);
    add_number(out, "bytes_out", s->bytes_out);
    add_number(out, "us_total", s->us_total);
    add_number(out, "us_first_byte", s->us_first_byte);
    add_number(out, "us_upstream_sent", s->us_upstream_sent);
    add_number(out, "us_upstream_head", s->us_upstream_head);
    add_number(out, "us_upstream_end", s->us_upstream_end);
    add_number(out, "dropped", s->dropped);
    if (s->usage.known)
        add_usage(out, &s->usage);
    buf_addz(out, "}");
}

static void add_headers(struct ccp_buf *out, const struct ccp_moment *m)
{
    if (m->header_count == 0)
        return;
    const char *between = "";
    buf_addz(out, ",\"headers\":[");
    for (size_t i = 0; i < m->header_count; i++) {
        if (headers_secret(m->headers[i].name))
            continue;
        buf_printf(out, "%s[", between);
        json_quote_to(out, m->headers[i].name);
        buf_addz(out, ",");
        json_quote_to(out, m->headers[i].value);
        buf_addz(out, "]");
        between = ",";
    }
    buf_addz(out, "]");
}

/* A plugin's payload stands as it is when it is JSON, else as a string. */
static void add_payload(struct ccp_buf *out, struct ccp_span json)
{
    buf_addz(out, ",\"payload\":");
    if (json.n != 0 && json_scan(json, NULL, NULL, 0, NULL) == CCP_OK)
        buf_add(out, json);
    else
        json_quote_to(out, json);
}

static void add_bytes(struct ccp_buf *out, const struct ccp_event_info *info, bool bodies)
{
    struct ccp_span bytes = info->moment->bytes;
    if (info->event == CCP_EVENT_CUSTOM) {
        add_payload(out, bytes);
        return;
    }
    add_number(out, "bytes", bytes.n);
    if (bodies && bytes.n != 0)
        add_text(out, "body", ccp_span_of(bytes.p, bytes.n < HUB_BODY_MAX ? bytes.n : HUB_BODY_MAX));
}

static void add_moment(struct ccp_buf *out, const struct ccp_event_info *info, bool bodies)
{
    const struct ccp_moment *m = info->moment;
    add_number(out, "status", m->status > 0 ? (uint64_t)m->status : 0);
    add_headers(out, m);
    add_bytes(out, info, bodies);
    if (info->event != CCP_EVENT_CUSTOM)
        add_text(out, "name", m->name);
    add_text(out, "text", m->text);
    add_text(out, "account", m->account);
    add_text(out, "kind", m->request_kind != NULL ? ccp_span_z(m->request_kind) : CCP_SPAN(""));
    add_number(out, "generation", m->generation);
}

static void write_event(struct ccp_buf *json, const struct ccp_event_info *info, bool bodies)
{
    buf_addz(json, "{\"event\":");
    json_quote_to(json, info->dotted);
    add_time(json, info->unix_us);
    add_text(json, "source", info->source);
    if (info->of_exchange)
        add_request(json, info);
    add_text(json, "upstream_url", info->upstream_url);
    if (info->moment != NULL)
        add_moment(json, info, bodies);
    if (info->of_exchange && info->summary != NULL)
        add_summary(json, info->summary);
    buf_addz(json, "}");
}

/* id 0 = none. Appends one server-sent event. */
static bool frame(struct ccp_buf *out, uint64_t id, struct ccp_span name, const struct ccp_buf *json)
{
    if (CCP_FAULT("hub.text") || json->failed || (id != 0 && !buf_printf(out, "id: %llu\n", (unsigned long long)id)))
        return false;
    return sse_write(out, name, buf_span(json));
}

static struct ccp_span copy_in(char **at, struct ccp_span s)
{
    struct ccp_span copy = {*at, s.n};
    if (s.n != 0)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

/* `full` may be empty. */
static struct hub_record *record_new(struct ccp_span dotted, struct ccp_span source, struct ccp_span plain,
                                     struct ccp_span full)
{
    size_t size = sizeof(struct hub_record) + dotted.n + source.n + plain.n + full.n;
    struct hub_record *r = CCP_FAULT("hub.record") ? NULL : malloc(size);
    if (r == NULL)
        return NULL;
    char *at = r->bytes;
    *r = (struct hub_record){.refs = 1, .size = size};
    r->dotted = copy_in(&at, dotted);
    r->source = copy_in(&at, source);
    r->plain = copy_in(&at, plain);
    r->full = full.n != 0 ? copy_in(&at, full) : (struct ccp_span){NULL, 0};
    budget_take(size);
    return r;
}

struct hub_record *record_of_event(const struct ccp_event_info *info, uint64_t id, bool bodies)
{
    struct ccp_buf json, plain, full;
    struct hub_record *r = NULL;
    bool two = bodies && info->event != CCP_EVENT_CUSTOM && info->moment != NULL && info->moment->bytes.n != 0;
    buf_init(&json, HUB_RECORD_MAX);
    buf_init(&plain, HUB_RECORD_MAX);
    buf_init(&full, HUB_RECORD_MAX);
    write_event(&json, info, false);
    bool fine = frame(&plain, id, info->dotted, &json);
    json.n = 0;
    if (fine && two) {
        write_event(&json, info, true);
        fine = frame(&full, id, info->dotted, &json);
    }
    if (fine)
        r = record_new(info->dotted, info->source, buf_span(&plain), buf_span(&full));
    if (r != NULL)
        r->kind = info->event;
    buf_release(&json);
    buf_release(&plain);
    buf_release(&full);
    return r;
}

/* In JSON's log format the text is escaped for JSON already. */
static void write_line(struct ccp_buf *json, const struct log_tapped *line)
{
    static const char *const levels[] = {"debug", "info", "warn", "error", "off"};
    buf_addz(json, "{\"event\":\"log\"");
    add_time(json, line->unix_us);
    add_text(json, "source", line->who);
    buf_printf(json, ",\"level\":\"%s\",\"message\":", levels[line->level]);
    if (line->json)
        buf_printf(json, "\"%.*s\"", CCP_FMT(line->text));
    else
        json_quote_to(json, line->text);
    buf_addz(json, "}");
}

struct hub_record *record_of_line(const struct log_tapped *line, uint64_t id)
{
    struct ccp_buf json, text;
    buf_init(&json, HUB_RECORD_MAX);
    buf_init(&text, HUB_RECORD_MAX);
    write_line(&json, line);
    bool fine = frame(&text, id, CCP_SPAN("log"), &json);
    struct hub_record *r = fine ? record_new(CCP_SPAN("log"), line->who, buf_span(&text), CCP_SPAN("")) : NULL;
    if (r != NULL) {
        r->kind = HUB_LOG;
        r->level = line->level;
        r->bulk = line->bulk;
    }
    buf_release(&json);
    buf_release(&text);
    return r;
}

struct hub_record *record_of_note(const char *json)
{
    struct ccp_buf text;
    buf_init(&text, 1024);
    struct hub_record *r = sse_write(&text, CCP_SPAN("note"), ccp_span_z(json))
                               ? record_new(CCP_SPAN("note"), CCP_SPAN(""), buf_span(&text), CCP_SPAN(""))
                               : NULL;
    buf_release(&text);
    return r;
}
