/*
 * Crossing formats: the request is translated before it leaves (format/translate.h). The answer's way back is in
 * crossing_answer.c.
 *
 * The parsed prompt lives in an arena of its own that is gone when the upstream body is written; what the answer needs
 * of it (names of tools, losses) is in the exchange's.
 */
#include <base/fault.h>
#include <base/log.h>
#include <chain/crossing_impl.h>
#include <wire/headers.h>
#include <wire/json.h>

bool crossing_needed(const struct exchange *x)
{
    bool op = x->route.op == CCP_OP_GENERATE || x->route.op == CCP_OP_COUNT;
    bool collects = x->route.op == CCP_OP_GENERATE && x->route.provider->s.stream_only && !x->wants_stream;
    bool differs = x->spoken != x->route.format || x->body_format != x->route.format;
    return op && (differs || collects || (x->route.op == CCP_OP_COUNT && !crossing_counts(x)));
}

bool crossing_counts(const struct exchange *x)
{
    return format_of(x->spoken)->counts && !(x->route.provider->def->lacks & CCP_LACKS(COUNT));
}

static void release(void *arg)
{
    struct crossing *c = arg;
    translation_release(&c->t);
    buf_release(&c->body);
    buf_release(&c->reason);
    arena_end(&c->scratch);
}

static struct crossing *begin(struct exchange *x)
{
    struct crossing *c = CCP_FAULT("crossing.begin") ? NULL : arena_zalloc(&x->arena, sizeof(*c));
    if (c == NULL)
        return NULL;
    size_t most = x->rt->settings.upstream.max_event_bytes;
    arena_init(&c->scratch, &x->w->cache, most * 4);
    buf_init(&c->body, x->rt->settings.server.max_body_bytes * 4);
    buf_init(&c->reason, CROSSING_ERROR_MAX);
    c->to = format_of(x->spoken);
    c->count = x->route.op == CCP_OP_COUNT;
    c->names = names_new(&x->arena);
    if (c->names == NULL || CCP_FAULT("crossing.defer") || !arena_defer(&x->arena, release, c)) {
        release(c);
        return NULL;
    }
    return x->crossing = c;
}

/* -- the request -- */

static int64_t card_limit(const struct exchange *x)
{
    const struct provider *p = x->route.provider;
    const struct model_card *cards = p->s.models.v;
    for (size_t i = 0; i < p->s.models.n; i++)
        if (ccp_span_eq(cards[i].id, x->upstream_model))
            return cards[i].max_tokens;
    return 0;
}

static struct prompt_target target_of(const struct exchange *x)
{
    const struct provider *p = x->route.provider;
    return (struct prompt_target){.format = x->spoken,
                                  .provider = p->id,
                                  .model = x->upstream_model,
                                  .max_output = card_limit(x),
                                  .compatible = p->compatible,
                                  .stream = x->wants_stream || p->s.stream_only,
                                  .count = x->route.op == CCP_OP_COUNT};
}

/* Names of members come from the client: only what cannot be mistaken for anything else is said in a header. */
static struct ccp_span dropped_list(struct exchange *x, const struct prompt *p)
{
    size_t room = 0;
    for (const struct loss *l = p->dropped; l != NULL; l = l->next)
        room += l->name.n + 2;
    char *out = CCP_FAULT("crossing.dropped") ? NULL : arena_alloc(&x->arena, room + 1);
    size_t n = 0;
    for (const struct loss *l = p->dropped; out != NULL && l != NULL && n + l->name.n < 1024; l = l->next) {
        if (n != 0)
            out[n++] = ',';
        for (size_t i = 0; i < l->name.n; i++) {
            char c = l->name.p[i];
            bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c == '.' ||
                         c == '-' || c == '[' || c == ']' || c == ':' || c == '/';
            out[n++] = plain ? c : '?';
        }
    }
    return ccp_span_of(out, n);
}

static bool strict(const struct exchange *x)
{
    return ccp_span_is(headers_get(x->headers, x->header_count, CCP_SPAN("x-ccproxy-strict")), "1");
}

bool crossing_note_losses(struct exchange *x, const struct prompt *p)
{
    if (p->dropped == NULL)
        return true;
    x->lost = dropped_list(x, p);
    if (x->lost.p == NULL) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return false;
    }
    x->dropped = (unsigned)p->dropped_count;
    if (strict(x)) {
        exchange_fail(x, CCP_BAD_REQUEST, "x-ccproxy-strict: provider %.*s would not get: %.*s",
                      CCP_FMT(x->route.provider->id), CCP_FMT(x->lost));
        return false;
    }
    log_write(CCP_LOG_DEBUG, "chain", "%.*s: not carried over from %s to %s: %.*s", CCP_FMT(x->request_id),
              format_id(x->body_format), format_id(x->spoken), CCP_FMT(x->lost));
    return true;
}

/* Same format on both sides, but the upstream only streams: the body keeps its bytes, what must differ is set. */
static bool edit(struct exchange *x, struct prompt *p, struct ccp_buf *out)
{
    struct arena *a = &x->work;
    bool ok = x->spoken == CCP_FORMAT_GEMINI || (json_set(a, x->tree, "stream", json_raw(a, CCP_SPAN("true"))) &&
                                                 json_set(a, x->tree, "model", json_new_string(a, x->upstream_model)));
    if (ok && x->spoken == CCP_FORMAT_OPENAI_CHAT) /* or the answer would tell no usage */
        ok = json_set(a, x->tree, "stream_options", json_raw(a, CCP_SPAN("{\"include_usage\":true}")));
    if (ok && !fit_tree(fit_rules(x), p, x->tree))
        return false;
    return (ok && json_write(x->tree, out)) || prompt_no_memory(p);
}

/* Nobody is asked for a count: the request is only read. */
static bool read_only(struct exchange *x, struct prompt *p)
{
    bool ok = format_of(x->body_format)->prompt_read(p, x->tree) && prompt_settle(p, false);
    return ok || p->status != CCP_OK || prompt_no_memory(p);
}

/* The body as it goes upstream. False: p says why. */
static bool write_body(struct exchange *x, struct prompt *p, struct ccp_buf *out)
{
    if (p->to.count && !crossing_counts(x))
        return read_only(x, p) && p->status == CCP_OK;
    if (x->spoken == x->body_format)
        return edit(x, p, out);
    return translate_request(p, x->tree, out) && fit_written(x, p, out);
}

static bool translate(struct exchange *x, struct ccp_span *path)
{
    struct crossing *c = x->crossing;
    struct prompt_target to = target_of(x);
    struct prompt p;
    prompt_init(&p, &x->work, x->body_format, &to, c->names);
    /* A grown buffer would be copied: most bodies change little. */
    if (!CCP_FAULT("crossing.reserve"))
        buf_reserve(&c->body, x->body.n + x->body.n / 8 + 1024);
    if (!write_body(x, &p, &c->body)) {
        x->error_code = p.code;
        exchange_fail(x, p.status, "%.*s", CCP_FMT(p.error));
        return false;
    }
    struct ccp_span at = c->to->path(&p);
    *path = at.p != NULL ? arena_dup(&x->arena, at) : at;
    c->include_usage = p.include_usage;
    c->estimate = to.count ? prompt_estimate(&p) : 0;
    if (path->p == NULL) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return false;
    }
    return crossing_note_losses(x, &p);
}

bool crossing_request(struct exchange *x, struct ccp_span *path)
{
    if (begin(x) == NULL) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return false;
    }
    bool ok = translate(x, path);
    x->tree = NULL; /* the prompt's memory ends here; what it leaves behind is the exchange's */
    arena_end(&x->work);
    if (!ok)
        return false;
    x->up.body[0] = buf_span(&x->crossing->body);
    x->up.body_pieces = 1;
    verbose_body(x, "upstream request", 0, x->up.body[0]);
    return true;
}
