/*
 * What the parts of the store share: finding a place safely (store_place.c, store_directory.c), single files
 * (store_file.c), texts of errors (store_error.c).
 *
 * Every path is walked with open descriptors, and what is judged is the descriptor, never a name that could change
 * before it is used.
 */
#ifndef AUTH_STORE_IMPL_H
#define AUTH_STORE_IMPL_H

#include <auth/seal_impl.h>
#include <auth/store.h>

#include <sys/stat.h>

enum {
    STORE_FILE_MAX = RECORD_MAX + RECORD_MAX / 3 + 4096, /* a sealed record */
    STORE_NOTE_MAX = 64 * 1024,
    STORE_PATH = 1024,
};

struct store {
    char *directory;
    struct seal *seal, *old_seals[2]; /* NULL = none; seal: new records are sealed with it */
};

/* Where an account's files are. Descriptors are -1 when there are none. */
struct store_spot {
    int home;      /* the store's directory */
    int directory; /* the record's, links resolved */
    char name[256], side[256];
    char shown[STORE_PATH];
};

/* ---- texts ---- */

enum store_status store_fine(struct store_error *e);
/* Fills e (text made printable, errno's words behind it unless code is 0) and returns the status. */
enum store_status store_fail(struct store_error *e, enum store_status status, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void store_wipe(struct ccp_buf *b); /* overwrites and releases */

/* ---- places ---- */

/* The store's directory, checked: ours, and for us alone to write (else it is tightened). `create` makes it and its
 * parents. STORE_MISSING: there is none. */
enum store_status store_home(const struct store *s, bool create, int *fd, struct store_error *e);
/* May a file that we replace stand in this directory, which is not the store's? Ours, and not everybody's. */
enum store_status store_directory_ok(int fd, const char *shown, struct store_error *e);
/* Opens what `at` names. The record need not be there; with `create` the store's directory is made. */
enum store_status store_spot_open(const struct store *s, const struct store_place *at, bool create,
                                  struct store_spot *spot, struct store_error *e);
void store_spot_close(struct store_spot *spot);
/* Stem of lock, intent and state. False: the names of `at` cannot be. */
bool store_side(const struct store_place *at, char out[256]);

/* ---- files ---- */

/* The whole of what must be a plain file of ours with one name, into `out`, which is initialised here and which the
 * caller wipes in any case. More than max bytes are STORE_BROKEN. STORE_OK: *fd is the open file, for tightening; else
 * it is -1. */
enum store_status store_file_read(int dir, const char *name, const char *shown, size_t max, struct ccp_buf *out,
                                  int *fd, struct store_error *e);
/* A mode that lets others in becomes 0600, with a warning. Only for what was read and is known to be ours: a link or
 * a setting may lead to a file that is meant for everybody. */
enum store_status store_file_tighten(int fd, const char *shown, struct store_error *e);
/* Old or new content, never neither; durable when STORE_OK. */
enum store_status store_file_replace(int dir, const char *name, const char *shown, struct ccp_span content,
                                     struct store_error *e);
/* Durable; a file that is not there is fine. */
enum store_status store_file_remove(int dir, const char *name, const char *shown, struct store_error *e);
/* Removes temporary files of `name` that a crash left, if they are at least age_s seconds old; the caller holds the
 * lock under which `name` is written. */
void store_file_sweep(int dir, const char *name, unsigned age_s);

/* The record of a place that is open. *by (may be NULL): the seal that opened it, NULL = it was plain. */
enum store_status store_load(struct store *s, const struct store_spot *spot, const struct store_place *at,
                             struct record *out, struct seal **by, struct store_error *e);

#endif
