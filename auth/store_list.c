/*
 * Walking all records: which accounts there are, and sealing all of them anew.
 */
#include <auth/record_impl.h>
#include <auth/store_impl.h>
#include <base/fault.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOCK_WAIT_MS = 15000 };

/* "provider.label.json" into its two parts. */
static bool record_name(const char *entry, struct ccp_span *provider, struct ccp_span *label)
{
    struct ccp_span name = ccp_span_z(entry), end = CCP_SPAN(".json");
    if (!ccp_span_ends(name, end))
        return false;
    name.n -= end.n;
    *provider = ccp_span_of(name.p, ccp_span_find(name, '.'));
    *label = ccp_span_skip(name, provider->n + 1);
    return store_provider_ok(*provider) && store_label_ok(*label);
}

static DIR *list(const struct store *s, struct store_error *e)
{
    int home;
    if (store_home(s, false, &home, e) != STORE_OK)
        return NULL;
    DIR *dir = CCP_FAULT("store.list") ? (errno = EMFILE, NULL) : fdopendir(home);
    if (dir == NULL) {
        store_fail(e, STORE_IO, errno, "%s cannot be listed", s->directory);
        close(home);
    }
    return dir;
}

static bool before(const char *a, const char *b)
{
    bool first = strcmp(a, "default") == 0, second = strcmp(b, "default") == 0;
    return first != second ? first : strcmp(a, b) < 0;
}

/* Keeps the first `max` in order. */
static void insert(char (*labels)[STORE_LABEL_MAX + 1], size_t *n, size_t max, struct ccp_span label)
{
    char text[STORE_LABEL_MAX + 1];
    size_t i;
    memcpy(text, label.p, label.n);
    text[label.n] = '\0';
    if (*n == max && (max == 0 || !before(text, labels[max - 1])))
        return;
    for (i = *n < max ? (*n)++ : max - 1; i > 0 && before(text, labels[i - 1]); i--)
        memcpy(labels[i], labels[i - 1], sizeof(labels[i]));
    memcpy(labels[i], text, sizeof(text));
}

size_t store_accounts(struct store *s, struct ccp_span provider, char (*labels)[STORE_LABEL_MAX + 1], size_t max,
                      struct store_error *e)
{
    size_t n = 0;
    struct ccp_span name, label;
    store_fine(e);
    DIR *dir = list(s, e);
    if (dir == NULL) {
        if (e->status == STORE_MISSING)
            store_fine(e);
        return 0;
    }
    errno = 0;
    for (struct dirent *d = readdir(dir); d != NULL; errno = 0, d = readdir(dir))
        if (record_name(d->d_name, &name, &label) && ccp_span_eq(name, provider))
            insert(labels, &n, max, label);
    if (errno != 0)
        store_fail(e, STORE_IO, errno, "%s cannot be listed", s->directory);
    closedir(dir);
    return n;
}

/* ---- rekey ---- */

struct names {
    char (*v)[256];
    size_t n, room;
};

static bool keep(struct names *names, const char *entry)
{
    if (names->n == names->room) {
        size_t room = names->room != 0 ? names->room * 2 : 32;
        char(*more)[256] = CCP_FAULT("store.names") ? NULL : realloc(names->v, room * sizeof(*more));
        if (more == NULL)
            return false;
        names->v = more;
        names->room = room;
    }
    snprintf(names->v[names->n++], sizeof(*names->v), "%s", entry);
    return true;
}

/* All records first: files that are replaced while a directory is read may be met twice. */
static enum store_status all_records(struct store *s, struct names *names, struct store_error *e)
{
    struct ccp_span provider, label;
    DIR *dir = list(s, e);
    if (dir == NULL)
        return e->status == STORE_MISSING ? store_fine(e) : e->status;
    for (struct dirent *d = readdir(dir); d != NULL && e->status == STORE_OK; d = readdir(dir))
        if (record_name(d->d_name, &provider, &label) && !keep(names, d->d_name))
            store_fail(e, STORE_IO, ENOMEM, "%s cannot be listed", s->directory);
    closedir(dir);
    return e->status;
}

static enum store_status rekey_one(struct store *s, const char *entry, bool *changed, struct store_error *e)
{
    struct store_place at = {.file = NULL};
    struct store_lock lock;
    struct store_spot spot;
    struct record r;
    struct seal *by = NULL;
    record_name(entry, &at.provider, &at.account);
    enum store_status status = store_lock(s, &at, LOCK_WAIT_MS, NULL, NULL, &lock, e);
    if (status != STORE_OK)
        return status;
    record_init(&r);
    status = store_spot_open(s, &at, false, &spot, e);
    if (status == STORE_OK) {
        status = store_load(s, &spot, &at, &r, &by, e);
        store_spot_close(&spot);
    }
    *changed = status == STORE_OK && by != s->seal;
    if (*changed)
        status = store_write(s, &lock, &r, e);
    record_release(&r);
    store_unlock(&lock);
    if (status == STORE_MISSING) { /* logged out in the meantime */
        *changed = false;
        return store_fine(e);
    }
    return status;
}

enum store_status store_rekey(struct store *s, size_t *done, size_t *unchanged, struct store_error *e)
{
    struct names names = {.v = NULL};
    bool changed;
    *done = *unchanged = 0;
    store_fine(e);
    enum store_status status = all_records(s, &names, e);
    for (size_t i = 0; i < names.n && status == STORE_OK; i++) {
        status = rekey_one(s, names.v[i], &changed, e);
        if (status == STORE_OK)
            ++*(changed ? done : unchanged);
    }
    free(names.v);
    return status;
}
