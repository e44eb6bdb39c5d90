/*
 * Writing and removing records, under the account's lock.
 */
#include <auth/record_impl.h>
#include <auth/store_impl.h>
#include <base/assert.h>
#include <base/fault.h>
#include <base/log.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* For texts: the directory is not known by name here, but the file is. */
static void shown_name(const struct store *s, const struct store_lock *lock, char out[STORE_PATH])
{
    if (lock->layout == NULL)
        snprintf(out, STORE_PATH, "%s/%s.json", s->directory, lock->side);
    else
        snprintf(out, STORE_PATH, "%s of %s", lock->name, lock->layout->owner);
}

/* What stands there now must be something that may be replaced; it is judged, and a loose mode is no matter, for the
 * new file has its own. */
static enum store_status replaceable(const struct store_lock *lock, const char *shown, struct store_error *e)
{
    struct stat st;
    if (fstatat(lock->directory, lock->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? STORE_OK : store_fail(e, STORE_IO, errno, "%s cannot be looked at", shown);
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink > 1)
        return store_fail(e, STORE_UNSAFE, 0, "%s is not a plain file of ours with one name: remove it", shown);
    return STORE_OK;
}

/* A vendor's program may have written other members of its file while our request was under way. */
static bool foreign_text(const struct store_lock *lock, const struct record *r, const char *shown, struct ccp_buf *out)
{
    struct ccp_buf text;
    struct record now;
    struct store_error e;
    bool known = false, ok;
    int fd;
    store_fine(&e);
    record_init(&now);
    if (store_file_read(lock->directory, lock->name, shown, STORE_FILE_MAX, &text, &fd, &e) == STORE_OK) {
        known = record_parse(&now, r->layout, buf_span(&text)) == NULL;
        close(fd);
    }
    if (!known)
        log_warn("auth", "%s cannot be read anew; it is written as it was when it was read", shown);
    ok = record_foreign_write(r, known ? &now : r, out);
    record_release(&now);
    store_wipe(&text);
    return ok;
}

static bool text_of(struct store *s, const struct store_lock *lock, const struct record *r, const char *shown,
                    struct ccp_buf *out)
{
    struct ccp_buf plain;
    if (r->layout != NULL)
        return foreign_text(lock, r, shown, out);
    if (s->seal == NULL)
        return record_write(r, out);
    buf_init(&plain, RECORD_MAX);
    bool ok = record_write(r, &plain) && buf_reserve(out, plain.n / 3 * 4 + 512) &&
              seal_close(s->seal, ccp_span_z(lock->side), buf_span(&plain), out);
    store_wipe(&plain);
    return ok;
}

enum store_status store_write(struct store *s, const struct store_lock *lock, const struct record *r,
                              struct store_error *e)
{
    struct ccp_buf out;
    char shown[STORE_PATH];
    CCP_ASSERT(lock->fd >= 0 && lock->layout == r->layout);
    shown_name(s, lock, shown);
    store_fine(e);
    enum store_status status = replaceable(lock, shown, e);
    if (status != STORE_OK)
        return status;
    buf_init(&out, s->seal != NULL && r->layout == NULL ? STORE_FILE_MAX : RECORD_MAX);
    if (text_of(s, lock, r, shown, &out))
        status = store_file_replace(lock->directory, lock->name, shown, buf_span(&out), e);
    else
        status = store_fail(e, STORE_IO, 0,
                            "%s cannot be written: there is no memory for it, or it is larger than %d "
                            "bytes",
                            shown, RECORD_MAX);
    store_wipe(&out);
    return status;
}

enum store_status store_remove(struct store *s, const struct store_lock *lock, struct store_error *e)
{
    char shown[STORE_PATH], entry[256];
    CCP_ASSERT(lock->fd >= 0 && lock->layout == NULL);
    shown_name(s, lock, shown);
    store_fine(e);
    snprintf(entry, sizeof(entry), "%.240s.json", lock->side);
    enum store_status status = store_file_remove(lock->directory, lock->name, shown, e);
    if (status == STORE_OK) /* a link that led there */
        status = store_file_remove(lock->home, entry, shown, e);
    if (status == STORE_OK)
        status = store_note_clear(s, lock, STORE_INTENT, e);
    if (status == STORE_OK)
        status = store_note_clear(s, lock, STORE_STATE, e);
    return status;
}
