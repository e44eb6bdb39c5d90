/*
 * The credential service on a stage: the real store in a folder of its own, the real service thread and its renewals, a
 * server that is a table, a clock that the test moves, and workers whose messages run when the test says so.
 *
 * oauth_refresh, oauth_session and oauth_discover are defined here, in front of the product's.
 */
#ifndef TEST_AUTH_SERVICE_STAGE_H
#define TEST_AUTH_SERVICE_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <auth/service_impl.h>
#include <base/clock.h>
#include <base/fault.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 2, LIFE = 3600 };

/* ---- the clock: the system's, and what the test adds ---- */

static atomic_uint_least64_t mono_ahead, wall_ahead; /* microseconds */

static uint64_t system_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t mono_us(void)
{
    return system_us(CLOCK_MONOTONIC) + atomic_load(&mono_ahead);
}

static uint64_t wall_us(void)
{
    return system_us(CLOCK_REALTIME) + atomic_load(&wall_ahead);
}

static int64_t now_s(void)
{
    return (int64_t)(wall_us() / 1000000);
}

static void nap_ms(unsigned ms)
{
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

/* ---- the server ---- */

static struct {
    pthread_mutex_t lock;
    enum oauth_result result; /* of every request */
    unsigned wait_ms;
    int64_t life;
    uint64_t retry_after_ms; /* of what is not OAUTH_OK */
    unsigned requests;
    int64_t at[4096]; /* monotonic seconds of the stage's clock */
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void server_set(enum oauth_result result, unsigned wait_ms)
{
    pthread_mutex_lock(&server.lock);
    server.result = result;
    server.wait_ms = wait_ms;
    pthread_mutex_unlock(&server.lock);
}

static unsigned requests(void)
{
    pthread_mutex_lock(&server.lock);
    unsigned n = server.requests;
    pthread_mutex_unlock(&server.lock);
    return n;
}

enum oauth_result oauth_refresh(const struct oauth_provider *p, struct ccp_span refresh_token,
                                const struct oauth_watch *watch, struct oauth_token *out, struct oauth_answer *answer)
{
    char access[32], refresh[32];
    pthread_mutex_lock(&server.lock);
    unsigned n = server.requests++, wait = server.wait_ms;
    server.at[n % 4096] = (int64_t)(mono_us() / 1000000);
    enum oauth_result result = server.result;
    int64_t life = server.life;
    uint64_t retry_after_ms = server.retry_after_ms;
    pthread_mutex_unlock(&server.lock);
    assert_true(ccp_span_starts(refresh_token, CCP_SPAN("rt-")));
    nap_ms(wait);
    *answer = (struct oauth_answer){
        .result = result, .status = result == OAUTH_OK ? 200 : 503, .retry_after_ms = retry_after_ms};
    snprintf(answer->text, sizeof(answer->text), "the server said %d", (int)result);
    if (result != OAUTH_OK)
        return result;
    snprintf(access, sizeof(access), "at-%u", n + 1);
    snprintf(refresh, sizeof(refresh), "rt-%u", n + 1);
    out->token = (struct record_token){.access_token = arena_dup(&out->arena, ccp_span_z(access)),
                                       .refresh_token = arena_dup(&out->arena, ccp_span_z(refresh)),
                                       .obtained_at = now_s(),
                                       .expires_in = life};
    if (out->token.access_token.p != NULL && out->token.refresh_token.p != NULL)
        return OAUTH_OK;
    return answer->result = OAUTH_LOST;
}

enum oauth_result oauth_session(const struct oauth_provider *p, struct ccp_span access_token,
                                const struct oauth_watch *watch, struct oauth_token *t, struct ccp_oauth_session *out,
                                struct oauth_answer *answer)
{
    fail_msg("no login here has sessions");
    return OAUTH_RETRY;
}

enum oauth_result oauth_discover(const struct oauth_provider *p, struct arena *a, struct oauth_metadata *out,
                                 struct oauth_answer *answer)
{
    fail_msg("no endpoint is missing here");
    return OAUTH_RETRY;
}

/* ---- workers ---- */

struct posted {
    struct posted *next;
    void (*fn)(void *arg);
    void *arg;
};

static struct worker {
    pthread_mutex_t lock;
    struct posted *first, **last;
    bool ended;
    struct loop loop;
    struct auth_view *view;
} workers[WORKERS];

static bool post(void *self, size_t number, void (*fn)(void *arg), void *arg)
{
    struct worker *w = &workers[number];
    pthread_mutex_lock(&w->lock);
    bool open = !w->ended;
    if (open) {
        struct posted *p = malloc(sizeof(*p));
        *p = (struct posted){.fn = fn, .arg = arg};
        *w->last = p;
        w->last = &p->next;
    }
    pthread_mutex_unlock(&w->lock);
    return open;
}

/* Runs what was posted to one worker; how many messages that were. */
static inline unsigned pump(size_t number)
{
    struct worker *w = &workers[number];
    unsigned n = 0;
    pthread_mutex_lock(&w->lock);
    struct posted *p = w->first;
    w->first = NULL;
    w->last = &w->first;
    pthread_mutex_unlock(&w->lock);
    while (p != NULL) {
        struct posted *next = p->next;
        p->fn(p->arg);
        free(p);
        p = next;
        n++;
    }
    return n;
}

static inline void pump_all(void)
{
    for (size_t i = 0; i < WORKERS; i++)
        pump(i);
}

static void no_wake(struct loop *loop)
{
}

/* ---- the service ---- */

static const struct ccp_oauth_provider def = {.name = "test", .flags = CCP_OAUTH_REFRESH};
static struct oauth_provider provider;
static struct auth_use use_default, use_work;
static struct auth *service;
static struct config *config;
static char folder[64];
static atomic_uint barriers, changes;
static atomic_size_t renewals;

/* On the service thread, which alone may look at its own counters. */
static void announce(void *self, enum ccp_event event, const struct auth_event *what)
{
    atomic_store(&renewals, service->renewals);
    atomic_fetch_add(event == CCP_EVENT_OAUTH_ERROR ? &barriers : &changes, 1);
}

/* Until the service has handled everything that was sent before, and fired what was due. */
static void barrier(void)
{
    unsigned before = atomic_load(&barriers);
    for (unsigned i = 0; i < 20000 && atomic_load(&barriers) == before; i++) {
        if (i % 1000 == 0) /* an event may be lost for want of memory */
            service_event(service, CCP_EVENT_OAUTH_ERROR, &provider, CCP_SPAN(""), "barrier", NULL, 0);
        nanosleep(&(struct timespec){0, 20000}, NULL);
    }
    assert_int_not_equal(atomic_load(&barriers), before);
}

/* Until nothing is under way, either. */
static void settle(void)
{
    for (int quiet = 0; quiet < 2;) {
        barrier();
        quiet = atomic_load(&renewals) == 0 ? quiet + 1 : 0;
    }
    pump_all();
}

static inline void advance(uint64_t seconds)
{
    atomic_fetch_add(&mono_ahead, seconds * 1000000);
    atomic_fetch_add(&wall_ahead, seconds * 1000000);
    settle();
}

static inline void put_record(const char *account, unsigned number, int64_t expires_in, const char *refresh_token)
{
    char text[640], path[160], temporary[176];
    snprintf(path, sizeof(path), "%s/test.%s.json", folder, account);
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    int n = snprintf(text, sizeof(text),
                     "{\"version\":1,\"provider\":\"test\",\"account\":\"%s\",\"generation\":%u,\"access_token\":\"at-"
                     "%s-%u\",%s\"obtained_at\":%lld,\"expires_at\":%lld,\"token_url\":\"https://idp.test/token\","
                     "\"client_id\":\"me\",\"origins\":[\"https://api.test\"],\"facts\":{\"email\":\"me@test\"}}\n",
                     account, number, account, number, refresh_token, (long long)(now_s() + expires_in - LIFE),
                     (long long)(now_s() + expires_in));
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, text, (size_t)n) == n);
    close(fd);
    assert_int_equal(rename(temporary, path), 0);
}

#define RENEWABLE "\"refresh_token\":\"rt-0\","

static inline bool stored_is(const char *account, const char *access)
{
    char path[160], text[4096], wanted[96];
    snprintf(path, sizeof(path), "%s/test.%s.json", folder, account);
    snprintf(wanted, sizeof(wanted), "\"access_token\":\"%s\"", access);
    FILE *f = fopen(path, "r");
    size_t n = f != NULL ? fread(text, 1, sizeof(text) - 1, f) : 0;
    text[n] = '\0';
    if (f != NULL)
        fclose(f);
    return strstr(text, wanted) != NULL;
}

static struct config *empty_config(void)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/c.toml", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    fclose(f);
    struct config *c = config_load(&(struct config_source){.file = path});
    assert_non_null(c);
    return c;
}

static inline bool use(struct auth_use *one, struct auth_use *other)
{
    struct auth_use *uses[] = {one, other};
    return auth_set_uses(service, config, uses, (one != NULL) + (other != NULL), 300000);
}

static int set_up(void **state)
{
    struct store_error e;
    struct auth_port port = {.post = post, .announce = announce, .workers = WORKERS};
    atomic_store(&mono_ahead, 3600ull * 1000000); /* never near 0 */
    atomic_store(&wall_ahead, 0);
    clock_replace(mono_us, wall_us);
    server.requests = 0;
    server.life = LIFE;
    server.retry_after_ms = 0;
    server_set(OAUTH_OK, 0);
    snprintf(folder, sizeof(folder), "/tmp/ccp-service-XXXXXX");
    assert_non_null(mkdtemp(folder));
    config = empty_config();
    provider = (struct oauth_provider){.name = CCP_SPAN("test"),
                                       .def = &def,
                                       .flags = CCP_OAUTH_REFRESH,
                                       .token_url = CCP_SPAN("https://idp.test/token"),
                                       .client_id = CCP_SPAN("me")};
    use_default = (struct auth_use){.login = &provider,
                                    .account = CCP_SPAN("default"),
                                    .file = CCP_SPAN(""),
                                    .origin = CCP_SPAN("https://api.test")};
    use_work = use_default;
    use_work.account = CCP_SPAN("work");
    struct store *store = store_open(&(struct store_options){.directory = folder}, &e);
    assert_non_null(store);
    service = auth_new(store, &port);
    assert_non_null(service);
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.last = &workers[i].first};
        pthread_mutex_init(&workers[i].lock, NULL);
        loop_init(&workers[i].loop, no_wake, NULL);
        workers[i].view = auth_view_new(service, i);
        assert_non_null(workers[i].view);
    }
    return 0;
}

/* The service with what the test has stored. */
static inline void start(void)
{
    assert_true(use(&use_default, &use_work));
    assert_true(auth_start(service));
    auth_settle(service, 5000);
    settle();
}

static void end_workers(void)
{
    for (size_t i = 0; i < WORKERS; i++) {
        pthread_mutex_lock(&workers[i].lock);
        workers[i].ended = true;
        pthread_mutex_unlock(&workers[i].lock);
    }
}

static int tear_down(void **state)
{
    DIR *d = opendir(folder);
    struct dirent *entry;
    char path[512];
    auth_stop(service);
    end_workers();
    for (size_t i = 0; i < WORKERS; i++) {
        pump(i);
        auth_view_free(workers[i].view);
        loop_release(&workers[i].loop);
        pthread_mutex_destroy(&workers[i].lock);
    }
    auth_free(service);
    service = NULL;
    config_unref(config);
    while (d != NULL && (entry = readdir(d)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    if (d != NULL)
        closedir(d);
    rmdir(folder);
    clock_replace(NULL, NULL);
    return 0;
}

/* ---- asking ---- */

/* A request that needs a credential. */
struct asker {
    struct auth_wait wait; /* first */
    size_t worker;
    const struct auth_use *use;
    uint64_t refused;
    bool asked;
    enum auth_answer answer;
    struct auth_credential *credential;
    enum auth_state state; /* when denied */
    char text[700];
    unsigned resumed;
};

static inline void ask(struct asker *a);

static void resume(struct auth_wait *w)
{
    struct asker *a = (struct asker *)w;
    a->resumed++;
    ask(a);
}

/* As an exchange does it: once more after each wait. */
static inline void ask(struct asker *a)
{
    struct auth_report why;
    a->wait.resume = resume;
    a->answer = auth_acquire(workers[a->worker].view, a->use, a->refused, a->asked, &a->wait, &a->credential, &why);
    a->asked = a->asked || a->answer == AUTH_WAITS;
    a->state = why.state;
    snprintf(a->text, sizeof(a->text), "%.*s", a->answer == AUTH_DENIED ? (int)why.text.n : 0,
             a->answer == AUTH_DENIED ? why.text.p : "");
}

static inline bool sends(const struct asker *a, const char *token)
{
    return a->answer == AUTH_GRANTED && a->credential != NULL &&
           secret_equals(a->credential->secret, ccp_span_z(token));
}

static inline void done(struct asker *a)
{
    auth_wait_cancel(&a->wait);
    auth_credential_unref(a->credential);
    *a = (struct asker){.worker = a->worker, .use = a->use};
}

static inline struct asker one(size_t worker, const struct auth_use *use)
{
    return (struct asker){.worker = worker, .use = use};
}

/* Asks and waits until there is an answer. */
static inline void get(struct asker *a)
{
    ask(a);
    for (unsigned i = 0; i < 500 && a->answer == AUTH_WAITS; i++)
        settle();
}

#define ON_STAGE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
