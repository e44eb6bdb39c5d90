/*
 * Checks: what does not hold is printed with its place and counted; a test goes on, so that one run tells all.
 */
#include <testing/kit_impl.h>

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

/* Of the process: observers and off-loop work of a plugin's test may check too. */
static atomic_uint held, failed;

#define SHOWN 600 /* bytes of a text */

void ccp_test_fail(const char *file, int line, const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    atomic_fetch_add(&failed, 1);
    if (line != 0)
        fprintf(stderr, "%s:%d: %s\n", file, line, text);
    else
        fprintf(stderr, "%s: %s\n", file, text);
}

static bool hold(bool fine)
{
    if (fine)
        atomic_fetch_add(&held, 1);
    return fine;
}

bool ccp_test_expect(const char *file, int line, bool holds, const char *what)
{
    if (!hold(holds))
        ccp_test_fail(file, line, "does not hold: %s", what);
    return holds;
}

bool ccp_test_expect_int(const char *file, int line, long long have, long long want, const char *what)
{
    if (!hold(have == want))
        ccp_test_fail(file, line, "%s is %lld, not %lld", what, have, want);
    return have == want;
}

static int shown(struct ccp_span s)
{
    return (int)(s.n < SHOWN ? s.n : SHOWN);
}

bool ccp_test_expect_text(const char *file, int line, struct ccp_span have, const char *want, const char *what)
{
    bool fine = have.p != NULL && ccp_span_is(have, want);
    if (!hold(fine))
        ccp_test_fail(file, line, "%s\n    is:  %.*s\n    not: %s", what, have.p != NULL ? shown(have) : 8,
                      have.p != NULL ? have.p : "(absent)", want);
    return fine;
}

bool ccp_test_expect_has(const char *file, int line, struct ccp_span have, const char *part, bool has, const char *what)
{
    bool found = have.n != 0 && memmem(have.p, have.n, part, strlen(part)) != NULL;
    if (!hold(found == has))
        ccp_test_fail(file, line, "%s %s \"%s\"\n    is:  %.*s", what, has ? "lacks" : "must not have", part,
                      shown(have), have.p != NULL ? have.p : "");
    return found == has;
}

int ccp_test_result(void)
{
    unsigned good = atomic_load(&held), bad = atomic_load(&failed);
    printf("%u checks held, %u failed\n", good, bad);
    return bad != 0 || good == 0;
}
