/*
 * The test kit: a plugin in the real chain, without a server.
 *
 *     #include <ccproxy/testing.h>
 *     extern const struct ccp_plugin ccp_plugin_ratings;
 *
 *     int main(void)
 *     {
 *         struct ccp_span why;
 *         struct ccp_test *t = ccp_test_open(&ccp_plugin_ratings, "[plugins.ratings]\nmax = 3\n", &why);
 *         CCP_CHECK(t != NULL);
 *         ccp_test_answer(t, &(struct ccp_test_answer){.status = 200, .body = "{\"ok\":true}"});
 *         struct ccp_test_response *r = ccp_test_request(t, "POST", "/claude/v1/messages", NULL, "{\"model\":\"m\"}");
 *         CCP_CHECK_INT(r->status, 200);
 *         ccp_test_close(t);
 *         return ccp_test_result();
 *     }
 *
 * Configuration, routing, middlewares, translation, hooks and the executor are ccproxy's own; what is played is the
 * client, the upstreams and the clock. The plugin under test stands beside the built-in ones and takes the place of one
 * of its name. A test is a program that links its plugin's objects and libccproxy-testing (target ccproxy::testing,
 * ccproxy-testing.pc); it is built for the kit it runs with, so the structs below may change in any release.
 *
 * One test is open at a time. All functions belong to the thread that opened it. Nothing of the user's is touched:
 * HOME and the XDG folders point to a folder of the test while it is open. What is handed out lives until
 * ccp_test_close. A call that is wrong by itself (no memory, no such task) is a failed check, not a crash.
 *
 * Time: the clock goes on by itself and jumps when the test says so (ccp_test_advance). When an exchange can only go on
 * with time (a timer), ccp_test_request moves it there at once. The wall clock begins at 2026-01-01T00:00:00Z.
 */
#ifndef CCPROXY_TESTING_H
#define CCPROXY_TESTING_H

#include "ccproxy.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ccp_test; /* one open plugin; the kit's */

/* -- life -- */

/* Opens the plugin with settings as TOML text (a whole configuration file; NULL = none). Its tasks run only by
 * ccp_test_run_task. NULL: the settings are wrong, or the plugin's `open` failed; *why tells it in the words a user
 * would read, valid until the next call. app.startup and app.ready were said when it returns. */
struct ccp_test *ccp_test_open(const struct ccp_plugin *plugin, const char *toml, struct ccp_span *why);
/* Another configuration, as by SIGHUP: exchanges that run keep theirs. False: it was refused, the old one stays. */
bool ccp_test_reload(struct ccp_test *t, const char *toml, struct ccp_span *why);
/* Says app.shutdown and closes the plugin. Exchanges that still run are a failed check, and so are upstream answers
 * that nobody asked for. NULL is fine. */
void ccp_test_close(struct ccp_test *t);
/* The instance that `open` made; changes when a reload opened the plugin anew. */
void *ccp_test_self(struct ccp_test *t);
/* What the plugin's `check` says; CCP_HEALTH_PASS without one. `why` may be NULL. */
enum ccp_health ccp_test_check(struct ccp_test *t, struct ccp_span *why);
/* The test's folder (HOME), NUL-terminated; removed by ccp_test_close. */
const char *ccp_test_folder(struct ccp_test *t);

/* -- the upstream, for providers without a transport of their own -- */

/* One answer. Zero members mean nothing special: {.status = 200, .body = "x"} is a whole good answer. */
struct ccp_test_answer {
    int status;           /* of HTTP; 0 = 200 */
    const char *headers;  /* lines "name: value", names in lower case, or NULL */
    const char *body;     /* or NULL */
    size_t length;        /* of body; 0 = strlen */
    size_t piece;         /* it comes in pieces of so many bytes, one in each turn of the loop; 0 = at once */
    bool cut;             /* behind the body the connection breaks */
    enum ccp_status fail; /* CCP_OK, or how it fails before a head: CCP_UPSTREAM, CCP_UPSTREAM_TIMEOUT */
    bool hold;            /* nothing comes until ccp_test_release */
};
/* The next upstream request gets this; everything is copied. A request without an answer is a failed check. */
void ccp_test_answer(struct ccp_test *t, const struct ccp_test_answer *answer);
/* Lets go of what is held. */
void ccp_test_release(struct ccp_test *t);

/* A request that went upstream, or out by ccp_api.fetch. The credential counts as a header. */
struct ccp_test_sent {
    struct ccp_span method, url;
    const struct ccp_header *headers; /* header_count of them, names in lower case */
    size_t header_count;
    struct ccp_span body; /* whole, whatever pieces it was sent in */
};
/* How many there were so far. */
size_t ccp_test_sent_count(struct ccp_test *t);
/* From 0 in the order in which they went out; NULL (and a failed check) if there were not so many. */
const struct ccp_test_sent *ccp_test_sent(struct ccp_test *t, size_t i);
/* A header of it by its name in lower case; p = NULL if it is not there. */
struct ccp_span ccp_test_sent_header(const struct ccp_test_sent *s, const char *name);

/* The next ccp_api.fetch gets this (`piece` and `hold` mean nothing; `cut` and `fail` = no answer). Nothing really goes
 * out. A call without an answer fails with "no answer was prepared". */
void ccp_test_fetch_answer(struct ccp_test *t, const struct ccp_test_answer *answer);

/* -- the client -- */

/* What the client got so far. */
struct ccp_test_response {
    int status;                       /* 0 = no head yet */
    const struct ccp_header *headers; /* header_count of them, names in lower case */
    size_t header_count;
    struct ccp_span body; /* so far */
    bool whole;           /* the answer ended as it should */
    bool broken;          /* it was broken off */
    bool over;            /* the exchange is over */
    /* Events of this exchange, dotted names in order, each with a space behind it; without those that tell bytes. */
    struct ccp_span events;
};
/* Sends a request and waits for its end: ten seconds of real time, then it is a failed check and the client leaves.
 * `path` is the target with its query. `headers` as in ccp_test_answer, or NULL; "host" is the authority (default
 * 127.0.0.1:8000), ":unix: 1" = it came by the unix socket, which makes it an admin's while no admin key is configured.
 * `body` NULL = none. Never NULL. */
struct ccp_test_response *ccp_test_request(struct ccp_test *t, const char *method, const char *path,
                                           const char *headers, const char *body);
/* The same in steps: begins, and goes as far as it can without time passing. */
struct ccp_test_response *ccp_test_begin(struct ccp_test *t, const char *method, const char *path, const char *headers,
                                         const char *body);
void ccp_test_finish(struct ccp_test *t, struct ccp_test_response *r); /* waits for its end, as above */
void ccp_test_leave(struct ccp_test *t, struct ccp_test_response *r);  /* the client hangs up */
/* While on, the client takes nothing: the chain is told PAUSE. Off: it goes on. */
void ccp_test_slow(struct ccp_test *t, struct ccp_test_response *r, bool on);
/* A header by its name in lower case; p = NULL if it is not there. */
struct ccp_span ccp_test_header(const struct ccp_test_response *r, const char *name);
/* Was this event seen ("request.completed")? */
bool ccp_test_saw(const struct ccp_test_response *r, const char *dotted);

/* -- time, tasks, events, log -- */

/* Moves the clock; timers fire in their order on the way. */
void ccp_test_advance(struct ccp_test *t, uint64_t ms);
/* Runs a task of the manifest once, here. False: it failed, with *why (may be NULL). */
bool ccp_test_run_task(struct ccp_test *t, const char *name, struct ccp_span *why);
/* Waits until observers have got every event that was said. */
void ccp_test_flush_events(struct ccp_test *t);
/* Says an event of no exchange to hooks; `moment` NULL = nothing to add. */
void ccp_test_say(struct ccp_test *t, enum ccp_event event, const struct ccp_moment *moment);
/* Events of no exchange and custom events that were seen so far, as in ccp_test_response.events. Custom ones are told
 * by their own name and are there after ccp_test_flush_events. */
struct ccp_span ccp_test_events(struct ccp_test *t);
/* All that was logged so far, at every level, one line each. */
struct ccp_span ccp_test_log(struct ccp_test *t);

/* -- cases -- */

/* Plays every .case file of a folder (docs/plugins.md has the format), each with its own configuration and the plugin
 * under test, in all rhythms: whole, byte by byte, cut at random, with a slow client, with one that leaves. Each that
 * does not end as it says is a failed check. Observers and tasks do not run. @file paths begin at the folder. Returns
 * how many were played; none is a failed check. */
size_t ccp_test_cases(struct ccp_test *t, const char *folder);

/* -- checks: what fails is printed with file and line, and the test goes on -- */

/* Counts a failure and prints it. */
void ccp_test_fail(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Behind the macros below; true = it held. */
bool ccp_test_expect(const char *file, int line, bool holds, const char *what);
bool ccp_test_expect_int(const char *file, int line, long long have, long long want, const char *what);
bool ccp_test_expect_text(const char *file, int line, struct ccp_span have, const char *want, const char *what);
/* See CCP_CHECK_HAS and CCP_CHECK_LACKS. */
bool ccp_test_expect_has(const char *file, int line, struct ccp_span have, const char *part, bool has,
                         const char *what);
/* 0 if every check held and there was one, else 1; prints a last line. For `return` in main. */
int ccp_test_result(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

/* All are expressions: true if it holds. */
#define CCP_CHECK(condition) ccp_test_expect(__FILE__, __LINE__, (condition), #condition)
/* Integers. */
#define CCP_CHECK_INT(have, want) ccp_test_expect_int(__FILE__, __LINE__, (have), (want), #have)
/* A span is exactly this text; has it as a part; does not have it. */
#define CCP_CHECK_TEXT(span, text)  ccp_test_expect_text(__FILE__, __LINE__, (span), (text), #span)
#define CCP_CHECK_HAS(span, part)   ccp_test_expect_has(__FILE__, __LINE__, (span), (part), true, #span)
#define CCP_CHECK_LACKS(span, part) ccp_test_expect_has(__FILE__, __LINE__, (span), (part), false, #span)

#endif
