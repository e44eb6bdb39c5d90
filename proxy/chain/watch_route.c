/*
 * The routes of event streams: who may watch, and what. /events, /plugins/<name>/events, and in two steps for clients
 * that cannot send a header: POST .../streams makes an id, GET .../streams/<id> uses it.
 *
 * The id is a secret: watch_hide takes it out of the path before anybody sees that.
 */
#include <base/assert.h>
#include <base/secret.h>
#include <chain/local_impl.h>
#include <chain/watch_impl.h>
#include <wire/coding.h>
#include <wire/headers.h>
#include <wire/json.h>

#define STREAMS CCP_SPAN("/streams")

/* What follows /events or /plugins/<name>; p = NULL: it is neither. */
static struct ccp_span below(struct ccp_span path, struct ccp_span *plugin)
{
    *plugin = CCP_SPAN("");
    if (ccp_span_starts(path, CCP_SPAN("/v1/plugins/")))
        path = ccp_span_skip(path, 3);
    if (ccp_span_starts(path, CCP_SPAN("/events")))
        return ccp_span_skip(path, 7);
    if (!ccp_span_starts(path, CCP_SPAN("/plugins/")))
        return (struct ccp_span){NULL, 0};
    path = ccp_span_skip(path, 9);
    *plugin = ccp_span_of(path.p, ccp_span_find(path, '/'));
    path = ccp_span_skip(path, plugin->n);
    return plugin->n != 0 ? path : (struct ccp_span){NULL, 0};
}

void watch_hide(struct exchange *x)
{
    struct ccp_span plugin;
    struct ccp_span rest = x->path.p != NULL ? below(x->path, &plugin) : x->path;
    if (rest.p == NULL || !ccp_span_starts(rest, CCP_SPAN("/streams/")))
        return;
    x->ticket = ccp_span_skip(rest, 9);
    x->path.n -= x->ticket.n;
}

bool watch_match(struct exchange *x, struct ccp_span path)
{
    struct route *r = &x->route;
    struct ccp_span plugin;
    struct ccp_span rest = below(path, &plugin);
    if (rest.p == NULL)
        return false;
    if (ccp_span_eq(rest, STREAMS))
        r->watch = WATCH_MAKE;
    else if (ccp_span_is(rest, "/streams/"))
        r->watch = WATCH_TAKE;
    else if (plugin.n != 0 ? ccp_span_is(rest, "/events") : rest.n == 0)
        r->watch = WATCH_EVENTS;
    r->watched = plugin;
    return r->watch != WATCH_NONE;
}

/* -- what is asked for -- */

static enum ccp_verdict bad(struct exchange *x, const char *name, const char *wrong)
{
    exchange_fail(x, CCP_BAD_REQUEST, "\"%s\" %s", name, wrong);
    return CCP_FAILED;
}

static const char *add_types(struct watch_filter *f, struct ccp_span list)
{
    struct filter_types so_far = {0};
    const char *wrong = NULL;
    while (list.n != 0 && wrong == NULL) {
        struct ccp_span one = ccp_span_of(list.p, ccp_span_find(list, ','));
        wrong = filter_type(f, &so_far, ccp_span_trim(one));
        list = ccp_span_skip(list, one.n + 1);
    }
    return wrong;
}

static const char *set_bodies(struct watch_filter *f, struct ccp_span value)
{
    f->bodies = ccp_span_is(value, "1") || ccp_span_is(value, "true");
    bool sound = f->bodies || ccp_span_is(value, "0") || ccp_span_is(value, "false");
    return sound ? NULL : "is 0 or 1";
}

/* NEXT or FAILED. */
static enum ccp_verdict read_query(struct exchange *x, struct watch_filter *f)
{
    static const struct {
        const char *name;
        const char *(*set)(struct watch_filter *f, struct ccp_span value);
    } all[] = {{"type", add_types}, {"plugin", filter_plugin}, {"level", filter_level}, {"bodies", set_bodies}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct ccp_span value = x->pub.api->query_get(&x->pub, ccp_span_z(all[i].name));
        bool given = url_query_get(x->query, ccp_span_z(all[i].name)).p != NULL;
        const char *wrong = value.p != NULL ? all[i].set(f, value) : given ? "cannot be read" : NULL;
        if (wrong != NULL)
            return bad(x, all[i].name, wrong);
    }
    return CCP_NEXT;
}

static enum ccp_verdict bad_at(struct exchange *x, struct ccp_span at, const char *name, const char *wrong)
{
    struct ccp_json_error e;
    json_locate(x->body, (size_t)(at.p - x->body.p), &e);
    exchange_fail(x, CCP_BAD_REQUEST, "line %zu, column %zu: \"%s\" %s", e.line, e.column, name, wrong);
    return CCP_FAILED;
}

/* A string of the body, unescaped; p = NULL: it is none. */
static struct ccp_span string_of(struct exchange *x, const struct ccp_json *v)
{
    return v->type == CCP_JSON_STRING ? json_text(&x->arena, v->raw) : (struct ccp_span){NULL, 0};
}

static enum ccp_verdict read_types(struct exchange *x, struct watch_filter *f, const struct ccp_json *v)
{
    struct filter_types so_far = {0};
    const struct ccp_json *one = v->type == CCP_JSON_ARRAY ? v->child : v;
    for (; one != NULL; one = v->type == CCP_JSON_ARRAY ? one->next : NULL) {
        struct ccp_span type = string_of(x, one);
        const char *wrong = type.p != NULL ? filter_type(f, &so_far, type) : "is a list of names";
        if (wrong != NULL)
            return bad_at(x, one->raw, "type", wrong);
    }
    return CCP_NEXT;
}

static enum ccp_verdict read_member(struct exchange *x, struct watch_filter *f, const struct ccp_json *v)
{
    const char *wrong;
    struct ccp_span text = string_of(x, v);
    if (ccp_span_is(v->key, "type"))
        return read_types(x, f, v);
    if (ccp_span_is(v->key, "bodies")) {
        f->bodies = v->type == CCP_JSON_TRUE;
        wrong = v->type == CCP_JSON_TRUE || v->type == CCP_JSON_FALSE ? NULL : "is true or false";
        return wrong != NULL ? bad_at(x, v->raw, "bodies", wrong) : CCP_NEXT;
    }
    if (ccp_span_is(v->key, "plugin")) {
        wrong = text.p != NULL ? filter_plugin(f, text) : "is the name of a plugin";
        return wrong != NULL ? bad_at(x, v->raw, "plugin", wrong) : CCP_NEXT;
    }
    if (ccp_span_is(v->key, "level")) {
        wrong = text.p != NULL ? filter_level(f, text) : "is the name of a level";
        return wrong != NULL ? bad_at(x, v->raw, "level", wrong) : CCP_NEXT;
    }
    struct ccp_json_error e;
    json_locate(x->body, (size_t)(v->key.p - x->body.p), &e);
    exchange_fail(x, CCP_BAD_REQUEST,
                  "line %zu, column %zu: unknown member \"%.*s\"; type, plugin, level and bodies "
                  "are known",
                  e.line, e.column, (int)(v->key.n < 40 ? v->key.n : 40), v->key.p);
    return CCP_FAILED;
}

static enum ccp_verdict read_body(struct exchange *x, struct watch_filter *f)
{
    struct ccp_json *root;
    struct ccp_json_error e = {0};
    struct ccp_span coded = headers_get(x->headers, x->header_count, CCP_SPAN("content-encoding"));
    if (coding_of(coded) != CODING_IDENTITY) {
        exchange_fail(x, CCP_BAD_ENCODING, "the body must come without content-encoding");
        return CCP_FAILED;
    }
    if (x->body.n == 0)
        return CCP_NEXT;
    enum ccp_status status = json_parse(&x->arena, x->body, &root, &e);
    if (status == CCP_BAD_JSON)
        exchange_fail(x, status, "line %zu, column %zu: %s", e.line, e.column, e.what);
    else if (status != CCP_OK)
        exchange_fail(x, status, "out of memory");
    if (status != CCP_OK)
        return CCP_FAILED;
    if (root->type != CCP_JSON_OBJECT)
        return bad_at(x, root->raw, "the body", "must be an object");
    for (const struct ccp_json *m = root->child; m != NULL; m = m->next)
        if (read_member(x, f, m) != CCP_NEXT)
            return CCP_FAILED;
    return CCP_NEXT;
}

/* -- the routes -- */

static struct watch_right right_of(const struct exchange *x)
{
    return (struct watch_right){x->key != NULL ? secret_ref(x->key->token) : NULL};
}

static enum ccp_verdict serve_events(struct exchange *x, struct watch_filter *f, const struct plugin_instance *p)
{
    if (read_query(x, f) != CCP_NEXT)
        return CCP_FAILED;
    if (p != NULL)
        filter_plugin(f, ccp_span_z(p->manifest->name));
    return watch_open(x, f, right_of(x));
}

static void write_time(struct ccp_buf *out, uint64_t unix_us)
{
    char text[40] = "";
    time_t at = (time_t)(unix_us / 1000000u);
    struct tm tm;
    if (gmtime_r(&at, &tm) != NULL)
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    buf_addz(out, text);
}

static enum ccp_verdict serve_make(struct exchange *x, struct watch_filter *f, const struct plugin_instance *p)
{
    char id[HUB_TICKET_CHARS + 1];
    uint64_t expires;
    struct watch_right right;
    struct ccp_buf out;
    if (read_body(x, f) != CCP_NEXT)
        return CCP_FAILED;
    if (p != NULL)
        filter_plugin(f, ccp_span_z(p->manifest->name));
    right = right_of(x);
    enum ccp_status status = ticket_make(x->w->desk->hub, f, right, id, &expires);
    if (status != CCP_OK) {
        right_release(&right);
        exchange_fail(x, status,
                      status == CCP_RATE_LIMITED ? "too many streams were asked for and are not open yet"
                                                 : "out of memory");
        return CCP_FAILED;
    }
    struct ccp_span url = p != NULL ? arena_printf(&x->arena, "/plugins/%s/streams/%s", p->manifest->name, id)
                                    : arena_printf(&x->arena, "/events/streams/%s", id);
    buf_init(&out, 4096);
    buf_printf(&out, "{\"id\":\"%s\",\"url\":\"%.*s\",\"expires_at\":\"", id, CCP_FMT(url));
    write_time(&out, expires);
    buf_printf(&out, "\",\"_links\":{\"self\":{\"href\":\"%.*s\"},\"events\":{\"href\":\"/events\"}}}", CCP_FMT(url));
    answer_header(x, CCP_SPAN("location"), url);
    return local_send(x, 201, LOCAL_JSON, &out);
}

static enum ccp_verdict serve_take(struct exchange *x, struct watch_filter *f)
{
    struct watch_right right = {NULL};
    const struct security_key *key = NULL;
    bool use = !ccp_span_is(x->req.method, "HEAD");
    bool is_one = ticket_take(x->w->desk->hub, x->ticket, x->route.watched, use, f, &right);
    if (is_one && right_holds(&right, &x->rt->settings.security, &key))
        return watch_open(x, f, right);
    right_release(&right);
    exchange_fail(x, CCP_NOT_FOUND, "there is no such stream: an id is good for one request within five minutes");
    return CCP_FAILED;
}

static bool may_watch(struct exchange *x)
{
    if (!x->admin)
        exchange_fail(x, CCP_FORBIDDEN, "events tell of everybody's requests: they need an admin key");
    return x->admin;
}

enum ccp_verdict watch_serve(struct exchange *x)
{
    const struct route *r = &x->route;
    struct watch_filter filter;
    bool make = r->watch == WATCH_MAKE, post = ccp_span_is(x->req.method, "POST");
    filter_init(&filter);
    if (make ? !post : !local_is_get(x))
        return local_only(x, make ? "POST" : "GET, HEAD");
    if (r->watch != WATCH_TAKE && !may_watch(x))
        return CCP_FAILED;
    if (x->w->desk == NULL || x->w->draining) {
        exchange_fail(x, CCP_SHUTTING_DOWN, "no events can be watched now");
        return CCP_FAILED;
    }
    if (r->watch == WATCH_TAKE)
        return serve_take(x, &filter);
    const struct plugin_instance *p = r->watched.n != 0 ? runtime_plugin(x->rt, r->watched) : NULL;
    if (r->watched.n != 0 && p == NULL)
        return local_not_found(x, r->watched);
    return make ? serve_make(x, &filter, p) : serve_events(x, &filter, p);
}
