/*
 * The credential store: one file per account, written so that a crash, a full disk or another process never leaves
 * anything but the old or the new content.
 *
 * Files of account `label` of login `name` in the directory (0700): name.label.json (the record, 0600), and beside it
 * name.label.lock (never deleted; a kernel lock on it is held over re-read, request, write), name.label.intent (a
 * refresh whose answer is not stored yet) and name.label.state (why a login is needed, for the generation that it
 * names). A vendor's file that is used in place has those three under "foreign." and 16 hex digits of its path's hash.
 *
 * Blocking; any thread. Encryption covers records, not the other files, which hold no secrets.
 */
#ifndef AUTH_STORE_H
#define AUTH_STORE_H

#include <auth/record.h>

enum { STORE_LABEL_MAX = 64, STORE_ACCOUNTS = 64 };

enum store_encryption { STORE_PLAIN, STORE_KEY_FILE, STORE_PASSPHRASE_FILE };

struct store_options {
    const char *directory; /* made when missing, 0700 */
    enum store_encryption encryption;
    const char *key_file; /* 32 bytes, or 64 hex digits, or 44 characters of base64; 0600 or a systemd credential */
    const char *passphrase_file; /* first line; scrypt */
    /* `auth rekey`: records that the options above cannot open are tried with these. */
    const char *old_key_file, *old_passphrase_file;
};

enum store_status {
    STORE_OK,
    STORE_MISSING, /* no such record, or no directory */
    STORE_UNSAFE,  /* owner, mode, link: nothing was read */
    STORE_BROKEN,  /* not a record */
    STORE_SEALED,  /* encrypted, and the key is missing or wrong */
    STORE_BUSY,    /* another process held the lock all the time */
    STORE_STOPPED, /* `stop` said so */
    STORE_IO,      /* the disk refused: full, read-only, errors; memory */
};

struct store_error {
    enum store_status status;
    int code;       /* errno, or 0 */
    char text[512]; /* for people; names the path and what to do, no secret */
};

struct store;

/* Which account; spans live as long as the calls. `file` set = a vendor's file in place. */
struct store_place {
    struct ccp_span provider, account;
    const char *file;
    const struct ccp_oauth_file *layout; /* of `file` */
};

/* Cheap identity of a file's content, to see that it changed. */
struct store_stamp {
    uint64_t device, inode, size;
    int64_t mtime_ns, ctime_ns;
};

struct store_lock {
    int fd;        /* -1 = not held */
    int home;      /* the store's directory, open */
    int directory; /* of the record, open */
    const struct ccp_oauth_file *layout;
    char name[256]; /* the record's in that directory, links resolved */
    char side[256]; /* stem of the lock's, intent's and state's name in the store's directory */
};

/* Nothing is touched before the first call that needs the directory; keys are read here. NULL: error filled. */
struct store *store_open(const struct store_options *options, struct store_error *e);
void store_free(struct store *s);
const char *store_directory(const struct store *s);

bool store_label_ok(struct ccp_span label);   /* [A-Za-z0-9._@+-], 1 to 64, no dot in front */
bool store_provider_ok(struct ccp_span name); /* [a-z0-9_-], 1 to 64 */

/* Labels with a record, sorted, "default" first. Returns how many (at most max); e->status tells what went wrong; that
 * there is no directory is no error. */
size_t store_accounts(struct store *s, struct ccp_span provider, char (*labels)[STORE_LABEL_MAX + 1], size_t max,
                      struct store_error *e);
/* Reads without the lock: writers replace whole files. *out is filled anew, and empty unless STORE_OK. Loose modes of
 * our own files are tightened once, with a warning to the log; what another user owns is refused. */
enum store_status store_read(struct store *s, const struct store_place *at, struct record *out, struct store_error *e);
/* False: no such file, or it may not be looked at. */
bool store_stat(struct store *s, const struct store_place *at, struct store_stamp *out);
/* The file's path, for people: into out. */
void store_path(const struct store *s, const struct store_place *at, char *out, size_t max);

/* Takes the account's lock, waiting up to wait_ms (asking `stop`, may be NULL, at least every 50 ms), makes the
 * directory if it is missing and removes temporary files that a crash left. A thread's lock excludes other threads too.
 */
enum store_status store_lock(struct store *s, const struct store_place *at, uint64_t wait_ms, bool (*stop)(void *arg),
                             void *arg, struct store_lock *out, struct store_error *e);
void store_unlock(struct store_lock *lock); /* harmless when not held */
/* Temporary file in the record's own directory (O_EXCL, 0600), write, fsync, rename, fsync of the directory. Of a
 * vendor's file everything but the login is written as the file holds it now. A failure leaves the old content, but for
 * a failed fsync of the directory: then the new content is there and a power cut may take it back. */
enum store_status store_write(struct store *s, const struct store_lock *lock, const struct record *r,
                              struct store_error *e);
/* Removes record, intent and state (our own layout only; never a vendor's file). */
enum store_status store_remove(struct store *s, const struct store_lock *lock, struct store_error *e);

/* The small files beside a record: JSON text without secrets. Writing is as durable as store_write. */
enum store_note { STORE_INTENT, STORE_STATE };
enum store_status store_note_write(struct store *s, const struct store_lock *lock, enum store_note kind,
                                   struct ccp_span text, struct store_error *e);
enum store_status store_note_clear(struct store *s, const struct store_lock *lock, enum store_note kind,
                                   struct store_error *e);
/* Without the lock too. STORE_MISSING = there is none. */
enum store_status store_note_read(struct store *s, const struct store_place *at, enum store_note kind,
                                  struct ccp_buf *out, struct store_error *e);

/* Rewrites every record with the options' encryption. Counts; the first failure stops, what was done stays done and
 * a repetition goes on. */
enum store_status store_rekey(struct store *s, size_t *done, size_t *unchanged, struct store_error *e);

#endif
