/*
 * The services plugins get: the table of <ccproxy/api.h>, each entry a thin bridge into the core.
 */
#include <base/clock.h>
#include <base/log.h>
#include <chain/api_impl.h>
#include <wire/headers.h>
#include <wire/json.h>

static struct ccp_span get_method(struct ccp_exchange *x)
{
    return exchange_of(x)->req.method;
}

static struct ccp_span get_path(struct ccp_exchange *x)
{
    return exchange_of(x)->path;
}

static struct ccp_span get_query(struct ccp_exchange *x)
{
    return exchange_of(x)->query;
}

static struct ccp_span get_header(struct ccp_exchange *x, struct ccp_span name)
{
    return headers_get(exchange_of(x)->headers, exchange_of(x)->header_count, name);
}

static const struct ccp_header *get_headers(struct ccp_exchange *x, size_t *n)
{
    *n = exchange_of(x)->header_count;
    return exchange_of(x)->headers;
}

static struct ccp_span get_body(struct ccp_exchange *x)
{
    return exchange_of(x)->body;
}

static struct ccp_span get_peer(struct ccp_exchange *x)
{
    return exchange_of(x)->req.peer;
}

static struct ccp_span get_request_id(struct ccp_exchange *x)
{
    return exchange_of(x)->request_id;
}

static struct ccp_span get_key_name(struct ccp_exchange *x)
{
    return exchange_of(x)->key != NULL ? exchange_of(x)->key->name : CCP_SPAN("");
}

static int get_http_version(struct ccp_exchange *x)
{
    return exchange_of(x)->req.version;
}

static enum ccp_format get_client_format(struct ccp_exchange *x)
{
    return exchange_of(x)->route.format;
}

static enum ccp_op get_op(struct ccp_exchange *x)
{
    return exchange_of(x)->route.op;
}

static struct ccp_span get_provider(struct ccp_exchange *x)
{
    return exchange_of(x)->route.provider != NULL ? exchange_of(x)->route.provider->id : CCP_SPAN("");
}

static struct ccp_span get_client_model(struct ccp_exchange *x)
{
    return exchange_of(x)->client_model;
}

static struct ccp_span get_upstream_model(struct ccp_exchange *x)
{
    return exchange_of(x)->upstream_model;
}

static void get_summary(struct ccp_exchange *pub, struct ccp_summary *out, size_t size)
{
    struct exchange *x = exchange_of(pub);
    const struct ccp_summary sum = {
        .http_status = x->head_sent ? x->head.status : 0,
        .status = x->status,
        .error = x->error,
        .bytes_in = x->req.body.n,
        .bytes_out = x->bytes_out,
        .us_total = clock_us() - x->started_us,
        .us_first_byte = x->first_byte_us,
        .us_upstream_head = x->upstream_head_us,
        .attempts = x->attempts,
        .streamed = x->sse || x->stream != NULL,
        .dropped = x->dropped,
        .us_upstream_sent = x->upstream_sent_us,
        .us_upstream_end = x->upstream_end_us,
        .usage = usage_of(x),
        .upstream_status = x->upstream_status,
    };
    size_t known = size < sizeof(sum) ? size : sizeof(sum);
    memcpy(out, &sum, known);
    memset((char *)out + known, 0, size - known);
}

static void *alloc(struct ccp_exchange *x, size_t n)
{
    return arena_alloc(&exchange_of(x)->arena, n);
}

static struct ccp_span print(struct ccp_exchange *x, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct ccp_span s = arena_vprintf(&exchange_of(x)->arena, fmt, ap);
    va_end(ap);
    return s;
}

static enum ccp_verdict fail(struct ccp_exchange *x, enum ccp_status status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    exchange_vfail(exchange_of(x), status, fmt, ap);
    va_end(ap);
    return CCP_FAILED;
}

static enum ccp_verdict respond(struct ccp_exchange *x, int status, struct ccp_span type, struct ccp_span body)
{
    struct exchange *of = exchange_of(x);
    if (of->hooked || of->head_sent || (of->state != X_ENTERING && of->state != X_PARKED)) {
        exchange_fail(of, CCP_INTERNAL, "respond: only a middleware or a route may answer, and once");
        return CCP_FAILED;
    }
    answer_whole(of, status, type, body);
    return CCP_DONE;
}

static bool add_response_header(struct ccp_exchange *x, struct ccp_span name, struct ccp_span value)
{
    return headers_name_ok(name) && headers_value_ok(value) && answer_header(exchange_of(x), name, value);
}

static void park(struct ccp_exchange *x, void (*cancel)(void *arg), void *arg)
{
    if (exchange_of(x)->hooked)
        return;
    exchange_of(x)->park_cancel = cancel;
    exchange_of(x)->park_arg = arg;
}

static void resume(struct ccp_exchange *pub, enum ccp_verdict verdict)
{
    struct exchange *x = exchange_of(pub);
    x->park_cancel = NULL;
    x->resumed_early = x->state == X_ENTERING;               /* from inside on_request, before it returned CCP_WAIT */
    x->resumed = verdict == CCP_WAIT ? CCP_FAILED : verdict; /* waiting again takes a new park */
    loop_soon(x->w->loop, &x->task);
}

struct ccp_timer {
    struct loop_timer t;
    struct loop *loop;
    void (*fire)(void *arg);
    void *arg;
};

static void timer_fire(struct loop_timer *t)
{
    struct ccp_timer *timer = (struct ccp_timer *)t;
    timer->fire(timer->arg);
}

static void timer_end(void *arg)
{
    struct ccp_timer *timer = arg;
    loop_timer_stop(timer->loop, &timer->t);
}

static struct ccp_timer *timer_new(struct ccp_exchange *pub, void (*fire)(void *arg), void *arg)
{
    struct exchange *x = exchange_of(pub);
    struct ccp_timer *timer = arena_zalloc(&x->arena, sizeof(*timer));
    if (timer == NULL)
        return NULL;
    timer->t.fire = timer_fire;
    timer->loop = x->w->loop;
    timer->fire = fire;
    timer->arg = arg;
    return arena_defer(&x->arena, timer_end, timer) ? timer : NULL;
}

static void timer_set(struct ccp_timer *timer, uint64_t ms)
{
    loop_timer_set(timer->loop, &timer->t, ms);
}

static void timer_stop(struct ccp_timer *timer)
{
    loop_timer_stop(timer->loop, &timer->t);
}

static enum ccp_status parse(struct ccp_exchange *x, struct ccp_span text, struct ccp_json **root,
                             struct ccp_json_error *error)
{
    return json_parse(&exchange_of(x)->arena, text, root, error);
}

static struct ccp_span text_of(struct ccp_exchange *x, const struct ccp_json *string)
{
    return json_text(&exchange_of(x)->arena, string->raw);
}

static void plugin_log(const struct ccp_plugin_env *env, enum ccp_log_level level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_vwrite(level, env->name.p, fmt, ap);
    va_end(ap);
}

static void plugin_record(const struct ccp_plugin_env *env, struct ccp_span line)
{
    log_line(env->name.p, line);
}

static bool plugin_room(const struct ccp_plugin_env *env, struct ccp_span kind)
{
    return log_room(env->name.p, kind);
}

static bool log_is_json(void)
{
    return log_current_format() == LOG_JSON;
}

static bool uses_login(struct ccp_exchange *x)
{
    return exchange_of(x)->described != NULL;
}

static struct ccp_span credential_fact(struct ccp_exchange *x, const char *name)
{
    return auth_credential_fact(exchange_of(x)->described, name);
}

const struct ccp_api chain_api = {
    .size = sizeof(struct ccp_api),
    .major = CCP_ABI_MAJOR,
    .minor = CCP_ABI_MINOR,
    .method = get_method,
    .path = get_path,
    .query = get_query,
    .header = get_header,
    .headers = get_headers,
    .body = get_body,
    .peer = get_peer,
    .request_id = get_request_id,
    .key_name = get_key_name,
    .http_version = get_http_version,
    .client_format = get_client_format,
    .op = get_op,
    .provider = get_provider,
    .client_model = get_client_model,
    .upstream_model = get_upstream_model,
    .summary = get_summary,
    .alloc = alloc,
    .print = print,
    .fail = fail,
    .respond = respond,
    .add_response_header = add_response_header,
    .park = park,
    .resume = resume,
    .timer = timer_new,
    .timer_set = timer_set,
    .timer_stop = timer_stop,
    .now_ms = clock_ms,
    .now_unix_us = clock_unix_us,
    .json_parse = parse,
    .json_text = text_of,
    .log = plugin_log,
    .log_record = plugin_record,
    .log_json = log_is_json,
    .log_room = plugin_room,
    .uses_login = uses_login,
    .credential_fact = credential_fact,
    .slot = api_slot,
    .route_rest = api_route_rest,
    .is_admin = api_is_admin,
    .query_get = api_query_get,
    .service = api_service,
    .work = api_work,
    .emit = api_emit,
    .heard = api_heard,
    .arena_new = api_arena_new,
    .arena_free = api_arena_free,
    .arena_alloc = api_arena_alloc,
    .arena_print = api_arena_print,
    .arena_json_parse = api_arena_json_parse,
    .arena_json_text = api_arena_json_text,
    .json_quote = api_json_quote,
    .fetch = api_fetch,
    .run = api_run,
    .state_read = api_state_read,
    .state_write = api_state_write,
    .state_folder = api_state_folder,
    .figure = api_figure,
    .set_upstream_header = api_set_upstream_header,
    .header_is_secret = api_header_is_secret,
    .redact = api_redact,
    .authority = api_authority,
    .stream_open = api_stream_open,
    .stream_write = api_stream_write,
    .stream_event = api_stream_event,
    .stream_end = api_stream_end,
    .sse_reader = api_sse_reader,
    .sse_feed = api_sse_feed,
};

static const struct ccp_middleware *const core_middlewares[] = {&core_request_id, &core_host, &core_cors, &core_auth,
                                                                NULL};

const struct runtime_core *chain_core(void)
{
    static const struct runtime_core core = {core_middlewares, &chain_api};
    return &core;
}
