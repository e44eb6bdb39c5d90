/*
 * Secrets: keys and tokens.
 *
 * A struct ccp_secret has no print function and its bytes live in pages that are locked, kept out of core
 * dumps and wiped before they are returned. Few places may look inside: key comparison, the transport that writes the
 * credential header, the credential store, a login's own requests (its client secret, and what a renewal compares), and
 * the program's command line and environment. Immutable and counted; any thread.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <ccproxy/span.h>

struct ccp_secret;

/* Copies the bytes; NULL when memory ends or n > 64 KiB. */
struct ccp_secret *secret_new(struct ccp_span bytes);
struct ccp_secret *secret_ref(struct ccp_secret *s);
void secret_unref(struct ccp_secret *s); /* NULL is fine */
/* The bytes; name the reason in a comment at every call. Valid while a reference is held. */
struct ccp_span secret_reveal(const struct ccp_secret *s);
/* Constant time for equal lengths; leaks only whether the lengths differ. */
bool secret_equals(const struct ccp_secret *s, struct ccp_span candidate);
/* Overwrites memory that held a secret, in a way the compiler keeps. */
void secret_wipe(void *p, size_t n);

#endif
