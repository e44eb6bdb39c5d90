/*
 * The store as a whole: opening it, reading and writing records. See store.h for the files, store_place.c for how they
 * are found, store_file.c for how they are written.
 */
#include <auth/record_impl.h>
#include <auth/store_impl.h>
#include <base/assert.h>
#include <base/fault.h>
#include <base/log.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* ---- opening ---- */

static bool given(const char *path)
{
    return path != NULL && path[0] != '\0';
}

static bool open_current(struct store *s, const struct store_options *o, struct store_error *e)
{
    bool key = o->encryption == STORE_KEY_FILE;
    const char *path = key ? o->key_file : o->passphrase_file;
    if (o->encryption == STORE_PLAIN)
        return true;
    if (!given(path)) {
        store_fail(e, STORE_SEALED, 0, "auth.encryption asks for %s, which is not set",
                   key ? "auth.key_file" : "auth.passphrase_file");
        return false;
    }
    s->seal = key ? seal_open_key(path, e) : seal_open_passphrase(path, e);
    return s->seal != NULL;
}

static bool open_old(struct store *s, const struct store_options *o, struct store_error *e)
{
    if (given(o->old_key_file) && (s->old_seals[0] = seal_open_key(o->old_key_file, e)) == NULL)
        return false;
    if (given(o->old_passphrase_file) && (s->old_seals[1] = seal_open_passphrase(o->old_passphrase_file, e)) == NULL)
        return false;
    return true;
}

struct store *store_open(const struct store_options *o, struct store_error *e)
{
    store_fine(e);
    if (!given(o->directory) || strlen(o->directory) > STORE_PATH - 256) {
        store_fail(e, STORE_IO, 0, "auth.directory is %s", given(o->directory) ? "too long" : "not set");
        return NULL;
    }
    struct store *s = CCP_FAULT("store.new") ? NULL : calloc(1, sizeof(*s));
    if (s == NULL || (s->directory = strdup(o->directory)) == NULL) {
        store_fail(e, STORE_IO, ENOMEM, "the store of logins cannot be opened");
        store_free(s);
        return NULL;
    }
    if (open_current(s, o, e) && open_old(s, o, e))
        return s;
    store_free(s);
    return NULL;
}

void store_free(struct store *s)
{
    if (s == NULL)
        return;
    seal_free(s->seal);
    seal_free(s->old_seals[0]);
    seal_free(s->old_seals[1]);
    free(s->directory);
    free(s);
}

const char *store_directory(const struct store *s)
{
    return s->directory;
}

/* ---- reading ---- */

static enum store_status unsealed(struct store *s, const struct store_spot *spot, struct ccp_span text,
                                  struct ccp_buf *plain, struct seal **by, struct store_error *e)
{
    struct seal *all[] = {s->seal, s->old_seals[0], s->old_seals[1]};
    enum seal_result worst = SEAL_REFUSED;
    bool any = false;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i] == NULL)
            continue;
        enum seal_result result = seal_open(all[i], ccp_span_z(spot->side), text, plain);
        *by = all[i];
        any = true;
        if (result == SEAL_OPENED)
            return STORE_OK;
        worst = result != SEAL_REFUSED ? result : worst;
    }
    if (!any)
        return store_fail(e, STORE_SEALED, 0, "%s is encrypted and there is no key: set auth.encryption and its file",
                          spot->shown);
    if (worst == SEAL_MEMORY)
        return store_fail(e, STORE_IO, ENOMEM, "%s cannot be decrypted", spot->shown);
    if (worst == SEAL_NEWER)
        return store_fail(e, STORE_BROKEN, 0, "%s was encrypted by a newer version of ccproxy", spot->shown);
    if (worst == SEAL_BROKEN)
        return store_fail(e, STORE_BROKEN, 0, "%s is encrypted in a way that is not known, or damaged", spot->shown);
    return store_fail(e, STORE_SEALED, 0,
                      "%s cannot be decrypted: the key is another one (auth rekey takes the old one), or the file was "
                      "changed or renamed",
                      spot->shown);
}

/* A record that was copied to another account's name would have two owners for one refresh token. */
static enum store_status belongs(const struct store_place *at, struct record *r, const char *shown,
                                 struct store_error *e)
{
    if (at->file != NULL) {
        r->provider = arena_dup(&r->arena, at->provider);
        r->account = arena_dup(&r->arena, at->account);
        return r->provider.p != NULL && r->account.p != NULL ? STORE_OK : store_fail(e, STORE_IO, ENOMEM, "%s", shown);
    }
    if (ccp_span_eq(r->provider, at->provider) && ccp_span_eq(r->account, at->account))
        return STORE_OK;
    return store_fail(e, STORE_BROKEN, 0, "%s is the login of another account: it was copied or renamed; log in anew",
                      shown);
}

static enum store_status parsed(const struct store_place *at, struct ccp_span text, const char *shown,
                                struct record *out, struct store_error *e)
{
    const char *why = record_parse(out, at->file != NULL ? at->layout : NULL, text);
    if (why != NULL)
        return store_fail(e, strcmp(why, RECORD_NO_MEMORY) == 0 ? STORE_IO : STORE_BROKEN, 0, "%s is not a login: %s",
                          shown, why);
    enum store_status status = belongs(at, out, shown, e);
    if (status != STORE_OK)
        record_release(out);
    return status;
}

enum store_status store_load(struct store *s, const struct store_spot *spot, const struct store_place *at,
                             struct record *out, struct seal **by, struct store_error *e)
{
    struct ccp_buf text, plain;
    struct seal *opened = NULL;
    int fd;
    CCP_ASSERT(at->file == NULL || at->layout != NULL);
    buf_init(&plain, RECORD_MAX + 1);
    enum store_status status = store_file_read(spot->directory, spot->name, spot->shown, STORE_FILE_MAX, &text, &fd, e);
    bool sealed = status == STORE_OK && at->file == NULL && seal_is_sealed(buf_span(&text));
    if (sealed)
        status = unsealed(s, spot, buf_span(&text), &plain, &opened, e);
    if (status == STORE_OK)
        status = parsed(at, buf_span(sealed ? &plain : &text), spot->shown, out, e);
    if (status == STORE_OK && (status = store_file_tighten(fd, spot->shown, e)) != STORE_OK)
        record_release(out);
    if (fd >= 0)
        close(fd);
    if (by != NULL)
        *by = opened;
    store_wipe(&text);
    store_wipe(&plain);
    return status;
}

enum store_status store_read(struct store *s, const struct store_place *at, struct record *out, struct store_error *e)
{
    struct store_spot spot;
    record_init(out);
    store_fine(e);
    enum store_status status = store_spot_open(s, at, false, &spot, e);
    if (status != STORE_OK)
        return status;
    status = store_load(s, &spot, at, out, NULL, e);
    store_spot_close(&spot);
    return status;
}

bool store_stat(struct store *s, const struct store_place *at, struct store_stamp *out)
{
    struct store_spot spot;
    struct store_error e;
    struct stat st;
    if (store_spot_open(s, at, false, &spot, &e) != STORE_OK)
        return false;
    bool ok = fstatat(spot.directory, spot.name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    store_spot_close(&spot);
    if (ok)
        *out = (struct store_stamp){
            .device = st.st_dev,
            .inode = st.st_ino,
            .size = (uint64_t)st.st_size,
            .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
            .ctime_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec,
        };
    return ok;
}
