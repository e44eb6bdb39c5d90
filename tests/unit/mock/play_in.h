/*
 * The mock provider without a server: a fake core with an arena, a clock that is moved by hand and timers that
 * fire in order, and a recorder for what the transport gives.
 */
#ifndef TEST_MOCK_PLAY_IN_H
#define TEST_MOCK_PLAY_IN_H

#include <base/arena.h>
#include <ccproxy/ccproxy.h>
#include <stdio.h>
#include <stdlib.h>
#include <wire/json.h>

extern const struct ccp_plugin ccp_plugin_mock;

/* The layout of [plugins.mock]'s struct, found through its rows. */
struct settings {
    char bytes[256];
};

struct ccp_timer {
    void (*fire)(void *arg);
    void *arg;
    uint64_t due;
    bool armed;
};

struct core {
    struct ccp_exchange x;
    struct ccp_api api;
    struct arena arena;
    struct ccp_timer timers[4];
    size_t timer_count;
    enum ccp_format format;
    /* what came back */
    int heads, dones, status;
    char content_type[64], retry_after[32];
    char *body;
    size_t body_n, body_calls;
    enum ccp_status end;
    uint64_t head_at, first_body_at, done_at;
    /* what the consumer says */
    size_t pause_every; /* 0 = never */
    size_t gone_after;  /* body calls; 0 = never */
    bool started_back;  /* a callback came from inside start */
    bool in_start, paused;
    struct ccp_transfer *transfer;
};

static uint64_t fake_now;

static inline struct core *core_of(struct ccp_exchange *x)
{
    return (struct core *)x;
}

static uint64_t fake_now_ms(void)
{
    return fake_now;
}

static enum ccp_format fake_format(struct ccp_exchange *x)
{
    return core_of(x)->format;
}

static void *fake_alloc(struct ccp_exchange *x, size_t n)
{
    return arena_alloc(&core_of(x)->arena, n);
}

static struct ccp_timer *fake_timer(struct ccp_exchange *x, void (*fire)(void *arg), void *arg)
{
    struct core *core = core_of(x);
    struct ccp_timer *timer = &core->timers[core->timer_count++];
    if (core->timer_count == 4)
        abort();
    *timer = (struct ccp_timer){.fire = fire, .arg = arg};
    return timer;
}

static void fake_timer_set(struct ccp_timer *timer, uint64_t ms)
{
    timer->due = fake_now + ms;
    timer->armed = true;
}

static void fake_timer_stop(struct ccp_timer *timer)
{
    timer->armed = false;
}

static enum ccp_status fake_json_parse(struct ccp_exchange *x, struct ccp_span text, struct ccp_json **root,
                                       struct ccp_json_error *error)
{
    return json_parse(&core_of(x)->arena, text, root, error);
}

static struct ccp_span fake_json_text(struct ccp_exchange *x, const struct ccp_json *string)
{
    return json_text(&core_of(x)->arena, string->raw);
}

static void on_head(void *arg, int status, const struct ccp_header *headers, size_t n)
{
    struct core *core = arg;
    core->heads++;
    core->started_back |= core->in_start;
    core->status = status;
    core->head_at = fake_now;
    for (size_t i = 0; i < n; i++) {
        if (ccp_span_is(headers[i].name, "content-type"))
            snprintf(core->content_type, sizeof(core->content_type), "%.*s", CCP_FMT(headers[i].value));
        if (ccp_span_is(headers[i].name, "retry-after"))
            snprintf(core->retry_after, sizeof(core->retry_after), "%.*s", CCP_FMT(headers[i].value));
    }
}

static enum ccp_push on_body(void *arg, struct ccp_span bytes)
{
    struct core *core = arg;
    if (core->body_calls++ == 0)
        core->first_body_at = fake_now;
    if (core->paused)
        abort(); /* bytes after a pause */
    core->body = realloc(core->body, core->body_n + bytes.n + 1);
    memcpy(core->body + core->body_n, bytes.p, bytes.n);
    core->body_n += bytes.n;
    core->body[core->body_n] = '\0';
    if (core->gone_after != 0 && core->body_calls == core->gone_after)
        return CCP_PUSH_GONE;
    core->paused = core->pause_every != 0 && core->body_calls % core->pause_every == 0;
    return core->paused ? CCP_PUSH_PAUSE : CCP_PUSH_MORE;
}

static void on_done(void *arg, enum ccp_status status, struct ccp_span why)
{
    struct core *core = arg;
    core->dones++;
    core->end = status;
    core->done_at = fake_now;
    if (status != CCP_OK && why.n == 0)
        abort(); /* a failure without a reason */
}

static inline void core_init(struct core *core, size_t budget)
{
    memset(core, 0, sizeof(*core));
    core->api = (struct ccp_api){
        .size = sizeof(struct ccp_api),
        .client_format = fake_format,
        .alloc = fake_alloc,
        .timer = fake_timer,
        .timer_set = fake_timer_set,
        .timer_stop = fake_timer_stop,
        .now_ms = fake_now_ms,
        .json_parse = fake_json_parse,
        .json_text = fake_json_text,
    };
    core->x.api = &core->api;
    arena_init(&core->arena, NULL, budget);
}

static inline void core_end(struct core *core)
{
    arena_end(&core->arena);
    free(core->body);
}

/* Fires the timer that is due first. False when none is armed. */
static inline bool core_turn(struct core *core)
{
    struct ccp_timer *next = NULL;
    for (size_t i = 0; i < core->timer_count; i++)
        if (core->timers[i].armed && (next == NULL || core->timers[i].due < next->due))
            next = &core->timers[i];
    if (next == NULL)
        return false;
    if (next->due > fake_now)
        fake_now = next->due;
    next->armed = false;
    next->fire(next->arg);
    return true;
}

static inline void config_defaults(struct settings *settings)
{
    memset(settings, 0, sizeof(*settings));
    for (const struct ccp_config_row *row = ccp_plugin_mock.config; row->key != NULL; row++)
        if (strcmp(row->key, "rate_limit_retry_after") == 0)
            memcpy(settings->bytes + row->offset, &(uint64_t){1000}, 8);
}

static inline void config_set(struct settings *settings, const char *key, double value)
{
    for (const struct ccp_config_row *row = ccp_plugin_mock.config; row->key != NULL; row++) {
        if (strcmp(row->key, key) != 0)
            continue;
        if (row->type == CCP_DOUBLE)
            memcpy(settings->bytes + row->offset, &value, 8);
        else
            memcpy(settings->bytes + row->offset, &(uint64_t){(uint64_t)value}, 8);
        return;
    }
    abort();
}

static inline void *mock_open(struct settings *settings)
{
    static struct settings defaults;
    struct ccp_span why;
    struct ccp_plugin_env env = {.config = settings != NULL ? settings->bytes : defaults.bytes};
    if (settings == NULL)
        config_defaults(&defaults);
    return ccp_plugin_mock.open(&env, &why);
}

static inline void core_start(struct core *core, void *mock, const char *url, const char *body)
{
    static const struct ccp_transfer_events events = {on_head, on_body, on_done};
    size_t n = strlen(body), a = n / 3, b = n / 2;
    struct ccp_upstream_request request = {
        .method = CCP_SPAN("POST"),
        .url = ccp_span_z(url),
        .body = {ccp_span_of(body, a), ccp_span_of(body + a, b - a), ccp_span_of(body + b, n - b)},
        .body_pieces = 3,
    };
    core->in_start = true;
    core->transfer = ccp_plugin_mock.provider->transport->start(mock, &core->x, &request, &events, core);
    core->in_start = false;
}

/* Starts and plays to the end; resumes whatever the consumer paused. */
static inline void core_play(struct core *core, void *mock, const char *url, const char *body)
{
    core_start(core, mock, url, body);
    while (core->transfer != NULL && core->dones == 0) {
        if (core->paused) {
            if (core_turn(core))
                abort(); /* a paused transfer does nothing */
            core->paused = false;
            ccp_plugin_mock.provider->transport->resume(mock, core->transfer);
        }
        if (!core_turn(core))
            break;
    }
}

#endif
