/*
 * What people read when a renewal did not work: which login, what happened, what to run.
 *
 * The command stands at the end and is never cut off: what happened gives way. No secret can come in: texts of servers
 * arrive escaped from the protocol, names are of the configuration.
 */
#include <auth/refresh_impl.h>

#include <stdarg.h>
#include <stdio.h>

/* "login claude-api, account work" */
static size_t put_name(const struct refresh_try *r, char *out, size_t max)
{
    const struct store_place *at = &r->job->place;
    int n;
    if (at->file != NULL && at->layout != NULL && at->layout->owner != NULL)
        n = snprintf(out, max, "login %.*s of %s", CCP_FMT(at->provider), at->layout->owner);
    else
        n = snprintf(out, max, "login %.*s, account %.*s", CCP_FMT(at->provider), CCP_FMT(at->account));
    return n < 0 ? 0 : (size_t)n < max ? (size_t)n : max - 1;
}

/* "; run: ccproxy auth login claude-api --account work" */
static void put_command(const struct refresh_try *r, char *out, size_t max)
{
    const struct store_place *at = &r->job->place;
    if (at->file != NULL && at->layout != NULL && at->layout->owner != NULL)
        snprintf(out, max, "; log in with %s again", at->layout->owner);
    else if (at->account.n == 0 || ccp_span_is(at->account, "default"))
        snprintf(out, max, "; run: ccproxy auth login %.*s", CCP_FMT(at->provider));
    else
        snprintf(out, max, "; run: ccproxy auth login %.*s --account %.*s", CCP_FMT(at->provider),
                 CCP_FMT(at->account));
}

static void compose(struct refresh_try *r, size_t max, const char *tail, const char *fmt, va_list ap)
{
    char what[600];
    size_t n = put_name(r, r->out->text, max), tail_n = strlen(tail);
    vsnprintf(what, sizeof(what), fmt, ap);
    size_t room = max > n + 2 + tail_n + 1 ? max - n - 2 - tail_n - 1 : 0;
    snprintf(r->out->text + n, max - n, ": %.*s%s", (int)room, what, tail);
}

bool refresh_failed(struct refresh_try *r, enum refresh_result result, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    compose(r, sizeof(r->out->text), "", fmt, ap);
    va_end(ap);
    r->out->result = result;
    return false;
}

bool refresh_needs_login(struct refresh_try *r, const char *fmt, ...)
{
    char command[256];
    va_list ap;
    put_command(r, command, sizeof(command));
    va_start(ap, fmt);
    compose(r, sizeof(((struct refresh_state *)0)->reason), command, fmt, ap);
    va_end(ap);
    r->out->result = REFRESH_NEEDS_LOGIN;
    return false;
}

bool refresh_store_failed(struct refresh_try *r, const struct store_error *e)
{
    switch (e->status) {
    case STORE_MISSING:
        refresh_needs_login(r, "it is not stored");
        r->out->result = REFRESH_MISSING;
        return false;
    case STORE_STOPPED:
        r->out->result = REFRESH_STOPPED;
        return false;
    case STORE_BUSY:
        return refresh_failed(r, REFRESH_BUSY, "another process is busy with it: %s", e->text);
    default:
        return refresh_failed(r, REFRESH_STORAGE, "%s", e->text);
    }
}
