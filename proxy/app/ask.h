/*
 * Asking a running server something over its own HTTP: for commands that look at it. Blocking.
 */
#ifndef APP_ASK_H
#define APP_ASK_H

#include <app/address.h>
#include <base/buf.h>

struct trust;

enum { ASK_ANSWER_MAX = 1 << 20 };

struct question {
    struct address address;
    const struct ccp_secret *key; /* or NULL */
    struct trust *trust;          /* or NULL: the system's. The asker's reference */
};

/* The key of this configuration that is allowed most: auth_token, else an admin's, else any; NULL = there is none. */
const struct ccp_secret *ask_key(const struct security_settings *s);
/* A server with a certificate of its own making is believed when it is the one of the configuration. Sets q->trust,
 * to be released with trust_unref. */
void ask_trust(struct question *q, const struct server_settings *s);
/* The key for changes: an admin's, or NULL. */
const struct ccp_secret *ask_admin_key(const struct security_settings *s);
/* POST without a body; as `ask`. */
int ask_post(const struct question *q, const char *path, struct ccp_buf *out, const char **why);
/* GET of one path; returns the HTTP status, or 0 with a static text in *why. */
int ask(const struct question *q, const char *path, struct ccp_buf *out, const char **why);

#endif
