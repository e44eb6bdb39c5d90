/*
 * Encryption of records at rest: AES-256-GCM with a key of the operator's, or one that scrypt (RFC 7914) makes of a
 * passphrase. A nonce is 96 random bits, new for each save; the record's file name is authenticated with it, so that
 * files cannot be swapped.
 *
 * On the disk it is one line of JSON that says all a reader needs but the key:
 *   {"ccproxy_sealed":1,"cipher":"aes-256-gcm","kdf":"scrypt","n":32768,"r":8,"p":1,"salt":"..","nonce":"..","data":".."}
 * with "kdf":"none" and without the four members behind it for a key file. Any thread.
 */
#ifndef AUTH_SEAL_IMPL_H
#define AUTH_SEAL_IMPL_H

#include <auth/store.h>
#include <base/arena.h>
#include <base/buf.h>

enum { SEAL_KEY = 32, SEAL_SALT = 16, SEAL_NONCE = 12, SEAL_TAG = 16 };

/* What scrypt is asked for; a file that asks for more than the bounds is refused before any work. */
struct seal_cost {
    uint32_t n, r, p;
};
#define SEAL_COST ((struct seal_cost){1u << 15, 8, 1})

/* One key, or one passphrase with the keys that were made of it. */
struct seal;

/* Reads the file now. NULL: error filled. */
struct seal *seal_open_key(const char *path, struct store_error *e);
struct seal *seal_open_passphrase(const char *path, struct store_error *e);
void seal_free(struct seal *s); /* wipes; NULL is fine */

/* What the file is, without a key. Anything that is not JSON is not sealed. */
bool seal_is_sealed(struct ccp_span text);
/* Appends the sealed text. False = no memory, no randomness, or more than `out` holds. */
bool seal_close(struct seal *s, struct ccp_span name, struct ccp_span plain, struct ccp_buf *out);

enum seal_result {
    SEAL_OPENED,
    SEAL_BROKEN,  /* not what seal_close writes, or costs that are out of bounds */
    SEAL_NEWER,   /* of a version that is not known here */
    SEAL_REFUSED, /* another key, another file's, or changed: which of them cannot be told */
    SEAL_MEMORY,
};
/* Appends the plain text, which the caller wipes. */
enum seal_result seal_open(struct seal *s, struct ccp_span name, struct ccp_span text, struct ccp_buf *out);

/* ---- keys: seal_key.c ---- */

/* The key for a salt (empty: the key file's own, or what a passphrase cannot do: false). Each salt costs scrypt once
 * in a process. */
bool seal_key(struct seal *s, struct ccp_span salt, const struct seal_cost *cost, unsigned char key[SEAL_KEY]);
bool seal_has_passphrase(const struct seal *s);
/* The salt to write with: one that was used before, so that readers make few keys, else a new one. */
bool seal_salt(struct seal *s, unsigned char salt[SEAL_SALT], struct seal_cost *cost);
bool seal_random(void *out, size_t n);

#endif
