/*
 * A renewal on a stage: the real store in a folder of its own, a server that is a table, a job to change and to run.
 * For the programs that test refresh*.c; the three functions of the protocol that renewals call are defined here, in
 * front of the product's.
 */
#ifndef TEST_AUTH_REFRESH_STAGE_H
#define TEST_AUTH_REFRESH_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <auth/refresh.h>
#include <base/clock.h>
#include <base/fault.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- the server ---- */

static struct {
    enum oauth_result answers[4]; /* of the next requests in order; then OAUTH_OK */
    int status;                   /* HTTP status of those that are not OK */
    unsigned requests, discoveries;
    unsigned refusals; /* sessions that are refused first */
    char last_token[64];
    const char *more; /* of its text */
    void (*meanwhile)(void);
} server;

static void calm(void)
{
    memset(&server, 0, sizeof(server));
    server.more = "";
}

enum oauth_result oauth_refresh(const struct oauth_provider *p, struct ccp_span refresh_token,
                                const struct oauth_watch *watch, struct oauth_token *out, struct oauth_answer *answer)
{
    enum oauth_result result = server.requests < 4 ? server.answers[server.requests] : OAUTH_OK;
    char access[32], refresh[32];
    assert_true(p->token_url.n != 0);
    server.requests++;
    snprintf(server.last_token, sizeof(server.last_token), "%.*s", CCP_FMT(refresh_token));
    if (server.meanwhile != NULL)
        server.meanwhile();
    *answer = (struct oauth_answer){.result = result, .status = server.status, .retry_after_ms = 7000};
    snprintf(answer->text, sizeof(answer->text), "the server said %d %s", (int)result, server.more);
    snprintf(answer->code, sizeof(answer->code), "code_%d", (int)result);
    if (result != OAUTH_OK)
        return result;
    snprintf(access, sizeof(access), "at-%u", server.requests);
    snprintf(refresh, sizeof(refresh), "rt-%u", server.requests);
    out->token = (struct record_token){.access_token = arena_dup(&out->arena, ccp_span_z(access)),
                                       .refresh_token = arena_dup(&out->arena, ccp_span_z(refresh)),
                                       .obtained_at = time(NULL),
                                       .expires_in = 3600};
    if (out->token.access_token.p != NULL && out->token.refresh_token.p != NULL)
        return OAUTH_OK;
    return answer->result = OAUTH_LOST; /* as the real one says when memory ends over an answer */
}

enum oauth_result oauth_session(const struct oauth_provider *p, struct ccp_span access_token,
                                const struct oauth_watch *watch, struct oauth_token *t, struct ccp_oauth_session *out,
                                struct oauth_answer *answer)
{
    server.requests++;
    *answer = (struct oauth_answer){.result = server.answers[0]};
    if (server.refusals != 0) {
        server.refusals--;
        return answer->result = OAUTH_GRANT;
    }
    *out = (struct ccp_oauth_session){.token = CCP_SPAN("session-1"), .expires_at = time(NULL) + 600};
    return answer->result;
}

enum oauth_result oauth_discover(const struct oauth_provider *p, struct arena *a, struct oauth_metadata *out,
                                 struct oauth_answer *answer)
{
    server.discoveries++;
    *answer = (struct oauth_answer){.result = OAUTH_OK};
    *out = (struct oauth_metadata){.provider = *p, .discovered = true};
    out->provider.token_url = CCP_SPAN("https://idp.test/token");
    return OAUTH_OK;
}

/* ---- the store and a job ---- */

static const struct ccp_oauth_file vendor = {
    .owner = "Vendor CLI", .access_token = "o.access", .refresh_token = "o.refresh", .expires_ms = "o.expires"};
static const struct ccp_oauth_provider def = {.name = "test", .flags = CCP_OAUTH_REFRESH};
static struct oauth_provider provider;
static struct store *store;
static struct refresh_job job;
static struct refresh_outcome out;
static char folder[64], vendor_path[96];

static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    fclose(f);
}

static inline const char *path_of(const char *kind)
{
    static char path[160];
    snprintf(path, sizeof(path), "%s/test.default.%s", folder, kind);
    return path;
}

static inline void put_record(unsigned generation, const char *access, const char *refresh, long expires_in)
{
    char text[512];
    snprintf(text, sizeof(text),
             "{\"version\":1,\"provider\":\"test\",\"account\":\"default\",\"generation\":%u,\"access_token\":\"%s\","
             "\"refresh_token\":\"%s\",\"obtained_at\":1,\"expires_at\":%lld,\"token_url\":\"https://idp.test/token\","
             "\"client_id\":\"me\",\"more\":[1, 2]}\n",
             generation, access, refresh, (long long)time(NULL) + expires_in);
    put_file(path_of("json"), text);
}

static inline void put_vendor(const char *access, const char *refresh, long expires_in)
{
    char text[256];
    snprintf(text, sizeof(text), "{\"o\":{\"access\":\"%s\",\"refresh\":\"%s\",\"expires\":%lld},\"more\":1}", access,
             refresh, ((long long)time(NULL) + expires_in) * 1000);
    put_file(vendor_path, text);
}

static inline char *content(const char *path)
{
    static char text[4][4096];
    static unsigned turn;
    char *to = text[turn++ % 4];
    FILE *f = fopen(path, "r");
    size_t n = f != NULL ? fread(to, 1, sizeof(text[0]) - 1, f) : 0;
    to[n] = '\0';
    if (f != NULL)
        fclose(f);
    return to;
}

static inline bool exists(const char *kind)
{
    return access(path_of(kind), F_OK) == 0;
}

static int set_up(void **state)
{
    struct store_error e;
    snprintf(folder, sizeof(folder), "/tmp/ccp-refresh-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(vendor_path, sizeof(vendor_path), "%s/vendor", folder);
    store = store_open(&(struct store_options){.directory = folder}, &e);
    assert_non_null(store);
    provider = (struct oauth_provider){.name = CCP_SPAN("test"),
                                       .def = &def,
                                       .flags = CCP_OAUTH_REFRESH,
                                       .token_url = CCP_SPAN("https://idp.test/token"),
                                       .client_id = CCP_SPAN("me")};
    calm();
    job = (struct refresh_job){.store = store,
                               .provider = &provider,
                               .place = {.provider = CCP_SPAN("test"), .account = CCP_SPAN("default")},
                               .generation = 1,
                               .seen = CCP_SPAN("old")};
    record_init(&out.record);
    return 0;
}

static int tear_down(void **state)
{
    DIR *d = opendir(folder);
    struct dirent *entry;
    char path[512];
    record_release(&out.record);
    store_free(store);
    while (d != NULL && (entry = readdir(d)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    if (d != NULL)
        closedir(d);
    rmdir(folder);
    return 0;
}

static enum refresh_result run(void)
{
    record_release(&out.record);
    refresh_run(&job, &out);
    return out.result;
}

static inline void assert_access(const char *wanted)
{
    assert_true(ccp_span_is(out.record.access_token, wanted));
}

/* ---- stopping ---- */

static unsigned asked, stop_from;

static bool stop(void *arg)
{
    return ++asked >= stop_from;
}

static inline void stop_now(void)
{
    stop_from = 0;
}

static inline void stop_never(void)
{
    asked = 0;
    stop_from = UINT32_MAX;
    job.stop = stop;
}

#define ON_STAGE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
