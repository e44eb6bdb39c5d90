/*
 * Import: the login that a vendor's own program keeps in a file, copied into a record of ours.
 *
 * The file is read, never written. Two copies of a refresh token that rotates cannot both live: the first one that is
 * used ends the other, which is said every time.
 */
#include <auth/login_impl.h>

#include <base/clock.h>

static const char *variable(char *const *environ, const char *name)
{
    size_t n = strlen(name);
    for (; environ != NULL && *environ != NULL; environ++)
        if (strncmp(*environ, name, n) == 0 && (*environ)[n] == '=')
            return *environ + n + 1;
    return NULL;
}

bool foreign_path(const struct ccp_oauth_file *layout, const char *home, char *const *environ, char *out, size_t max)
{
    if (layout == NULL)
        return false;
    const char *folder = layout->folder_env != NULL ? variable(environ, layout->folder_env) : NULL;
    int n = -1;
    if (folder != NULL && folder[0] != '\0')
        n = snprintf(out, max, "%s/%s", folder, layout->name);
    else if (home != NULL && home[0] == '/')
        n = snprintf(out, max, "%s/%s/%s", home, layout->folder, layout->name);
    return n > 0 && (size_t)n < max;
}

/* A token that has expired is taken too: the refresh token beside it may be good. */
static void copy_times(struct record_token *to, const struct record *from)
{
    int64_t now = (int64_t)(clock_unix_us() / 1000000);
    to->obtained_at = now;
    if (from->expires_at == 0)
        return;
    to->expires_in = from->expires_at > now ? from->expires_at - now : 1;
    to->obtained_at = from->expires_at - to->expires_in;
}

/* The spans of `from` into the token's own arena. */
static bool copy_token(struct oauth_token *to, const struct record *from)
{
    struct record_token *t = &to->token;
    t->access_token = arena_dup(&to->arena, from->access_token);
    t->refresh_token = arena_dup(&to->arena, from->refresh_token);
    t->id_token = arena_dup(&to->arena, from->id_token);
    t->token_type = arena_dup(&to->arena, from->token_type);
    t->scope = arena_dup(&to->arena, from->scope);
    bool fine = t->access_token.p != NULL && t->refresh_token.p != NULL && t->id_token.p != NULL &&
                t->token_type.p != NULL && t->scope.p != NULL;
    for (size_t i = 0; fine && i < from->fact_count; i++) {
        struct record_fact f = {arena_dup(&to->arena, from->facts[i].name),
                                arena_dup(&to->arena, from->facts[i].value)};
        fine = f.name.p != NULL && f.value.p != NULL;
        t->facts[t->fact_count++] = f;
    }
    copy_times(t, from);
    return fine;
}

static bool read_file(struct login_try *t, const char *path, struct record *r)
{
    const struct login_request *q = t->request;
    const struct ccp_oauth_file *layout = q->provider->def->file;
    struct store_place at = {.provider = q->provider->name, .file = path, .layout = layout};
    struct store_error e = {.status = STORE_OK};
    enum store_status status = store_read(q->store, &at, r, &e);
    if (status == STORE_MISSING)
        return login_fail(t, LOGIN_REFUSED,
                          "there is no %s: %s has not logged in on this machine, or keeps its login "
                          "in a keyring; use a login of its own, without --import",
                          path, layout->owner);
    return status == STORE_OK || login_fail_store(t, &e);
}

static void warn(struct login_try *t)
{
    const struct oauth_provider *p = t->request->provider;
    const char *owner = p->def->file->owner;
    if ((p->flags & CCP_OAUTH_REFRESH) == 0 || t->token.token.refresh_token.n == 0)
        snprintf(t->out->text, sizeof(t->out->text), "copied from %s, whose own login stays as it is", owner);
    else
        snprintf(t->out->text, sizeof(t->out->text),
                 "%s still has the same login. Whichever of the two renews it first ends the other's: log in again "
                 "without --import if both are to work side by side",
                 owner);
}

bool login_import(struct login_try *t)
{
    const struct login_request *q = t->request;
    struct record r;
    char path[4096];
    if (q->import_file != NULL && (size_t)snprintf(path, sizeof(path), "%s", q->import_file) >= sizeof(path))
        return login_fail(t, LOGIN_FAILED, "the path is too long");
    if (q->import_file == NULL && !foreign_path(q->provider->def->file, q->home, q->environ, path, sizeof(path)))
        return login_fail(t, LOGIN_FAILED, "there is no home folder to look for the file in; name it with --file");
    record_init(&r);
    bool good = read_file(t, path, &r);
    if (good && !copy_token(&t->token, &r))
        good = login_fail(t, LOGIN_STORAGE, "out of memory; nothing was stored");
    record_release(&r);
    if (good)
        warn(t);
    return good;
}
