/*
 * What the files of the loopback listener share: the reading of a request head, and the pages.
 *
 * Nothing here does I/O: callback.c owns the sockets.
 */
#ifndef AUTH_CALLBACK_IMPL_H
#define AUTH_CALLBACK_IMPL_H

#include <ccproxy/span.h>

enum {
    CALLBACK_HEAD_MAX = 8 * 1024, /* request line and fields */
    CALLBACK_PAGE_MAX = 8 * 1024, /* a whole answer */
    CALLBACK_NOTE_MAX = 512,      /* a server's own words on a page, before HTML */
};

/* The two listeners on one port. */
struct callback_sockets {
    int fds[2];
    size_t n;
    uint16_t port;
};

/* callback_bind.c: see callback_open. */
bool callback_bind(struct callback_sockets *s, const uint16_t *ports, char why[256]);

/* Judges what has come so far of a request to the listener on `port`: 0 = not whole yet, 200 = a GET for us with *path
 * and *query filled (spans into `text`), else the status of the refusal. `text` holds at most CALLBACK_HEAD_MAX bytes;
 * when it holds as many and no end of the head, that is a refusal. */
int callback_head(struct ccp_span text, uint16_t port, struct ccp_span *path, struct ccp_span *query);

/* Whole answers into out; all return the length. */
size_t callback_refusal(char out[CALLBACK_PAGE_MAX], int status, bool head_only);
size_t callback_redirect(char out[CALLBACK_PAGE_MAX], const char *to);
/* `note`: a server's text, escaped here; may be empty. */
size_t callback_outcome(char out[CALLBACK_PAGE_MAX], bool good, const char *note);

#endif
