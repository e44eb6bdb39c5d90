/*
 * A process that keeps one login fresh: refresh_run as a server or the CLI calls it, without either. Tests start it by
 * the dozen, stop it, kill it, and read what it prints.
 *
 *     refresher MODE --dir D --url http://127.0.0.1:1 [options]
 *
 * once    one call; `--times N` makes N
 * watch   renews whenever the token has expired by the clock, until its standard input ends
 * spin    renews without a pause, expired or not, until its standard input ends
 * edit    takes the lock and changes a fact and an unknown member of the record, `--times N`
 * state   prints what refresh_state_read tells
 *
 * One line per thing that happens: a word, CLOCK_MONOTONIC in microseconds, details. `request` and `answered` come from
 * the watch, `written` from behind the fsync of the folder. Tokens are printed (they are the mock server's): `result
 * RESULT us generation access_token | text`.
 * --page FILE is mapped: its first 8 bytes are seconds that the wall clock is ahead, so that one store of the test
 * makes the tokens of all processes expire at once.
 */
#include <auth/refresh.h>
#include <base/arena.h>
#include <base/clock.h>
#include <upstream/upstream.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct options {
    const char *mode, *directory, *url, *account, *client, *page, *file, *tag, *session, *key_file;
    long times, threads, lock_wait_ms, total_ms;
    bool force, insist, wait_for_disk, hurry, blind;
};

static struct options opt = {
    .account = "default", .client = "test-client", .times = 1, .threads = 1, .lock_wait_ms = 15000, .total_ms = 5000};
/* Globals: this is a program of one purpose, and the clock's function has no argument. */
static _Atomic int64_t *ahead_s;
static atomic_bool ended;
static struct store *store;
static struct oauth_provider provider;

static const char *const results[] = {"done", "adopted", "needs_login", "missing", "retry",
                                      "busy", "storage", "config",      "stopped"};

static long long now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static uint64_t mono_us(void)
{
    return (uint64_t)now_us();
}

static uint64_t wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)(t.tv_sec + atomic_load(ahead_s)) * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static const struct ccp_oauth_file layout = {.owner = "Vendor CLI",
                                             .folder = ".vendor",
                                             .name = "credentials.json",
                                             .access_token = "vendorOauth.accessToken",
                                             .refresh_token = "vendorOauth.refreshToken",
                                             .expires_ms = "vendorOauth.expiresAt",
                                             .scopes = "vendorOauth.scopes"};

static bool read_session(const struct ccp_oauth_call *call, const struct ccp_json *answer,
                         struct ccp_oauth_session *out)
{
    out->token = call->text(call, ccp_json_get(answer, "token"));
    const struct ccp_json *endpoints = ccp_json_get(answer, "endpoints");
    call->fact(call, "endpoint", call->text(call, ccp_json_get(endpoints, "api")));
    return out->token.n != 0 && call->number(ccp_json_get(answer, "expires_at"), &out->expires_at) &&
           call->number(ccp_json_get(answer, "refresh_in"), &out->refresh_in);
}

static const struct ccp_oauth_provider plain = {.name = "test", .label = "Test", .flags = CCP_OAUTH_REFRESH};
static const struct ccp_oauth_provider with_session = {
    .name = "test", .label = "Test", .session_scheme = "token ", .read_session = read_session};

/* One thread's view of the credential. */
struct holder {
    struct refresh_job job;
    struct record have;
    bool answered;
};

static void on_watch(void *arg, const struct oauth_provider *p, const char *what, const struct oauth_answer *answer)
{
    struct holder *h = arg;
    h->answered = answer != NULL;
    printf("%s %lld %s %d\n", answer != NULL ? "answered" : "request", now_us(), what,
           answer != NULL ? (int)answer->result : -1);
    fflush(stdout);
}

/* Linked in front of the store's (--wrap): says when a record is on disk. */
enum store_status __real_store_write(struct store *s, const struct store_lock *lock, const struct record *r,
                                     struct store_error *e);
enum store_status __wrap_store_write(struct store *s, const struct store_lock *lock, const struct record *r,
                                     struct store_error *e);
enum store_status __wrap_store_write(struct store *s, const struct store_lock *lock, const struct record *r,
                                     struct store_error *e)
{
    enum store_status status = __real_store_write(s, lock, r, e);
    printf("written %lld %d\n", now_us(), (int)status);
    fflush(stdout);
    return status;
}

static void on_blocked(void *arg, const char *text)
{
    printf("blocked %lld | %s\n", now_us(), text);
    fflush(stdout);
}

static bool stop(void *arg)
{
    struct holder *h = arg;
    return atomic_load(&ended) || (opt.hurry && h->answered);
}

static struct store_place place(void)
{
    return (struct store_place){.provider = CCP_SPAN("test"),
                                .account = ccp_span_z(opt.account),
                                .file = opt.file,
                                .layout = opt.file != NULL ? &layout : NULL};
}

static void holder_init(struct holder *h)
{
    struct store_place at = place();
    struct store_error e;
    record_init(&h->have);
    if (!opt.blind)
        store_read(store, &at, &h->have, &e);
}

/* A preloaded syscalls.c counts, fails or kills inside of the renewal only. */
static void arm(int on)
{
    void (*hook)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "syscalls_arm");
    if (hook != NULL)
        hook(on);
}

static enum refresh_result renew(struct holder *h, bool force)
{
    struct oauth_watch watch = {on_watch, h};
    struct refresh_outcome out;
    int64_t end;
    h->answered = false;
    h->job = (struct refresh_job){.store = store,
                                  .provider = &provider,
                                  .place = place(),
                                  .generation = h->have.generation,
                                  .seen = record_bearer(&h->have, opt.session != NULL, &end),
                                  .force = force,
                                  .insist = opt.insist,
                                  .lock_wait_ms = (uint64_t)opt.lock_wait_ms,
                                  .stop = stop,
                                  .stop_arg = h,
                                  .watch = &watch,
                                  .wait_for_disk = opt.wait_for_disk,
                                  .blocked = on_blocked};
    arm(1);
    refresh_run(&h->job, &out);
    arm(0);
    if (out.result == REFRESH_DONE || out.result == REFRESH_ADOPTED) {
        record_release(&h->have);
        h->have = out.record;
        record_init(&out.record);
    }
    struct ccp_span bearer = record_bearer(&h->have, opt.session != NULL, &end);
    printf("result %s %lld %llu %.*s %llu %d | %s\n", results[out.result], now_us(),
           (unsigned long long)h->have.generation, CCP_FMT(bearer), (unsigned long long)out.retry_after_ms, out.unsaved,
           out.text);
    fflush(stdout);
    record_release(&out.record);
    return out.result;
}

static void *keep(void *arg)
{
    struct holder h;
    int64_t end;
    bool spin = strcmp(opt.mode, "spin") == 0;
    holder_init(&h);
    while (!atomic_load(&ended)) {
        record_bearer(&h.have, opt.session != NULL, &end);
        if (spin || (end != 0 && end <= (int64_t)(clock_unix_us() / 1000000)))
            renew(&h, spin);
        else
            usleep(500);
    }
    record_release(&h.have);
    return NULL;
}

static int run_until_eof(void)
{
    pthread_t threads[64];
    char byte;
    for (long i = 0; i < opt.threads; i++)
        if (pthread_create(&threads[i], NULL, keep, NULL) != 0)
            return 2;
    printf("ready %lld\n", now_us());
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    atomic_store(&ended, true);
    for (long i = 0; i < opt.threads; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

static int once(void)
{
    struct holder h;
    enum refresh_result last = REFRESH_DONE;
    holder_init(&h);
    for (long i = 0; i < opt.times; i++)
        last = renew(&h, opt.force);
    record_release(&h.have);
    return 10 + (int)last;
}

/* "note_TAG_I" as an unknown member and as a fact: each edit adds to what the others left. */
static enum store_status edit_one(long i, struct store_error *e)
{
    struct store_place at = place();
    struct store_lock lock;
    struct record r;
    char name[64];
    record_init(&r);
    e->status = store_lock(store, &at, 15000, NULL, NULL, &lock, e);
    if (e->status != STORE_OK)
        return e->status;
    e->status = store_read(store, &at, &r, e);
    snprintf(name, sizeof(name), "note_%s_%ld", opt.tag, i);
    if (e->status == STORE_OK && json_set(&r.arena, r.root, name, json_new_string(&r.arena, CCP_SPAN("kept"))))
        e->status = store_write(store, &lock, &r, e);
    store_unlock(&lock);
    record_release(&r);
    return e->status;
}

static int edit(void)
{
    struct store_error e = {0};
    for (long i = 0; i < opt.times; i++)
        if (edit_one(i, &e) != STORE_OK) {
            printf("failed %lld | %s\n", now_us(), e.text);
            return 1;
        }
    printf("edited %lld %ld\n", now_us(), opt.times);
    return 0;
}

static int state(void)
{
    struct store_place at = place();
    struct refresh_state s;
    struct holder h;
    holder_init(&h);
    bool known = refresh_state_read(store, &at, h.have.generation, &s);
    printf("state %s %d | %s\n", known ? "known" : "unknown", s.needs_login, s.reason);
    record_release(&h.have);
    return 0;
}

static struct ccp_span join(const char *path)
{
    static char texts[4][300]; /* the provider's, for the whole run */
    static size_t used;
    char *out = texts[used++];
    snprintf(out, sizeof(texts[0]), "%s%s", opt.url, path);
    return ccp_span_z(out);
}

static bool set_up(void)
{
    struct store_options where = {.directory = opt.directory};
    struct store_error e;
    if (opt.key_file != NULL) {
        where.encryption = STORE_KEY_FILE;
        where.key_file = opt.key_file;
    }
    if (opt.page != NULL) {
        int fd = open(opt.page, O_RDONLY | O_CLOEXEC);
        void *p = fd >= 0 ? mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
        if (p == MAP_FAILED)
            return false;
        ahead_s = p;
        clock_replace(mono_us, wall_us);
    }
    provider = (struct oauth_provider){.name = CCP_SPAN("test"),
                                       .label = CCP_SPAN("Test"),
                                       .def = opt.session != NULL ? &with_session : &plain,
                                       .flags = CCP_OAUTH_REFRESH,
                                       .token_url = join("/token"),
                                       .client_id = ccp_span_z(opt.client),
                                       .allow_private = true,
                                       .connect_ms = 2000,
                                       .total_ms = (uint64_t)opt.total_ms};
    if (opt.session != NULL)
        provider.session_url = join("/session");
    store = store_open(&where, &e);
    if (store == NULL)
        fprintf(stderr, "%s\n", e.text);
    return store != NULL;
}

static bool flag(int c)
{
    opt.force |= c == 'f';
    opt.insist |= c == 'i';
    opt.wait_for_disk |= c == 'w';
    opt.hurry |= c == 'h';
    opt.blind |= c == 'b';
    return strchr("fiwhb", c) != NULL;
}

static bool value(int c, const char *text)
{
    const char **texts[] = {
        ['d'] = &opt.directory, ['u'] = &opt.url, ['a'] = &opt.account, ['c'] = &opt.client,  ['p'] = &opt.page,
        ['F'] = &opt.file,      ['g'] = &opt.tag, ['s'] = &opt.session, ['k'] = &opt.key_file};
    long *numbers[] = {['n'] = &opt.times, ['t'] = &opt.threads, ['l'] = &opt.lock_wait_ms, ['T'] = &opt.total_ms};
    if (c > 0 && (size_t)c < sizeof(texts) / sizeof(texts[0]) && texts[c] != NULL)
        *texts[c] = text;
    else if (c > 0 && (size_t)c < sizeof(numbers) / sizeof(numbers[0]) && numbers[c] != NULL)
        *numbers[c] = strtol(text, NULL, 10);
    else
        return false;
    return true;
}

static bool read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"dir", 1, NULL, 'd'},      {"url", 1, NULL, 'u'},   {"account", 1, NULL, 'a'}, {"client", 1, NULL, 'c'},
        {"page", 1, NULL, 'p'},     {"file", 1, NULL, 'F'},  {"tag", 1, NULL, 'g'},     {"session", 1, NULL, 's'},
        {"key-file", 1, NULL, 'k'}, {"times", 1, NULL, 'n'}, {"threads", 1, NULL, 't'}, {"lock-wait", 1, NULL, 'l'},
        {"total", 1, NULL, 'T'},    {"force", 0, NULL, 'f'}, {"insist", 0, NULL, 'i'},  {"wait-for-disk", 0, NULL, 'w'},
        {"hurry", 0, NULL, 'h'},    {"blind", 0, NULL, 'b'}, {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
        if (!flag(c) && !value(c, optarg))
            return false;
    opt.mode = optind < argc ? argv[optind] : "";
    return opt.directory != NULL && opt.url != NULL && opt.threads >= 1 && opt.threads <= 64;
}

int main(int argc, char **argv)
{
    int status = 2;
    signal(SIGPIPE, SIG_IGN);
    if (!read_options(argc, argv) || !upstream_global_init() || !set_up()) {
        fprintf(stderr, "refresher: wrong options, or no set-up\n");
        return 2;
    }
    if (strcmp(opt.mode, "once") == 0)
        status = once();
    else if (strcmp(opt.mode, "watch") == 0 || strcmp(opt.mode, "spin") == 0)
        status = run_until_eof();
    else if (strcmp(opt.mode, "edit") == 0)
        status = edit();
    else if (strcmp(opt.mode, "state") == 0)
        status = state();
    store_free(store);
    upstream_global_release();
    return status;
}
