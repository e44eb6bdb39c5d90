/*
 * The notes beside a record: intent and state. No secrets, never sealed, as durable as the record.
 */
#include <auth/store_impl.h>
#include <base/assert.h>

#include <unistd.h>

static void note_name(const char *side, enum store_note kind, char out[256])
{
    snprintf(out, 256, "%.240s.%s", side, kind == STORE_INTENT ? "intent" : "state");
}

static void note_path(const struct store *s, const char *name, char out[STORE_PATH + 256])
{
    snprintf(out, STORE_PATH + 256, "%s/%s", s->directory, name);
}

enum store_status store_note_write(struct store *s, const struct store_lock *lock, enum store_note kind,
                                   struct ccp_span text, struct store_error *e)
{
    char name[256], shown[STORE_PATH + 256];
    CCP_ASSERT(lock->fd >= 0 && text.n <= STORE_NOTE_MAX);
    note_name(lock->side, kind, name);
    note_path(s, name, shown);
    store_fine(e);
    return store_file_replace(lock->home, name, shown, text, e);
}

enum store_status store_note_clear(struct store *s, const struct store_lock *lock, enum store_note kind,
                                   struct store_error *e)
{
    char name[256], shown[STORE_PATH + 256];
    CCP_ASSERT(lock->fd >= 0);
    note_name(lock->side, kind, name);
    note_path(s, name, shown);
    store_fine(e);
    return store_file_remove(lock->home, name, shown, e);
}

enum store_status store_note_read(struct store *s, const struct store_place *at, enum store_note kind,
                                  struct ccp_buf *out, struct store_error *e)
{
    char side[256], name[256], shown[STORE_PATH + 256];
    struct ccp_buf text;
    int home, fd;
    store_fine(e);
    if (!store_side(at, side))
        return store_fail(e, STORE_UNSAFE, 0, "\"%.*s\" cannot be the name of an account", CCP_FMT(at->account));
    note_name(side, kind, name);
    note_path(s, name, shown);
    enum store_status status = store_home(s, false, &home, e);
    if (status != STORE_OK)
        return status;
    status = store_file_read(home, name, shown, STORE_NOTE_MAX, &text, &fd, e);
    if (status == STORE_OK)
        status = store_file_tighten(fd, shown, e);
    if (status == STORE_OK && !buf_add(out, buf_span(&text)))
        status = store_fail(e, STORE_IO, 0, "%s is larger than its reader expects", shown);
    buf_release(&text);
    if (fd >= 0)
        close(fd);
    close(home);
    return status;
}
