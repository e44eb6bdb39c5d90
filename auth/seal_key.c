/*
 * Where keys come from: the operator's file, or scrypt over a passphrase.
 *
 * scrypt takes 32 MiB and about a tenth of a second by design, so a key that was made is kept, by its salt, as long as
 * the process runs, and new records are written with a salt that is known already. Keys and passphrase live in struct
 * ccp_secret: locked, out of dumps, wiped.
 */
#include <auth/seal_impl.h>
#include <auth/store_impl.h>
#include <base/fault.h>
#include <base/secret.h>
#include <wire/base64.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/random.h>
#include <unistd.h>

enum { MADE_MAX = 64, FILE_LIMIT = 4096 };

struct made {
    unsigned char salt[SEAL_SALT];
    struct seal_cost cost;
    struct ccp_secret *key;
};

struct seal {
    struct ccp_secret *key, *passphrase; /* one of them */
    pthread_mutex_t lock;                /* over what follows; held while scrypt runs, so that it runs once */
    struct made made[MADE_MAX];
    size_t count;
};

bool seal_random(void *out, size_t n)
{
    return !CCP_FAULT("seal.random") && getrandom(out, n, 0) == (ssize_t)n;
}

/* ---- files ---- */

static bool in_credentials(const char *path)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    size_t n = folder != NULL ? strlen(folder) : 0;
    return n != 0 && strncmp(path, folder, n) == 0 && path[n] == '/' && strstr(path + n, "/../") == NULL;
}

/* A key that others can read is no key. systemd gives its credentials to root or to the unit's user, and shows an
 * access list for that user as the group's permission to read. */
static enum store_status judge(int fd, const char *path, struct store_error *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return store_fail(e, STORE_IO, errno, "%s cannot be looked at", path);
    if (!S_ISREG(st.st_mode))
        return store_fail(e, STORE_UNSAFE, 0, "%s is not a plain file", path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return store_fail(e, STORE_UNSAFE, 0, "%s belongs to another user: it must be yours, mode 0600", path);
    unsigned loose = st.st_mode & 07777 & ~(in_credentials(path) ? 0740u : 0700u);
    if (loose != 0)
        return store_fail(e, STORE_UNSAFE, 0, "others may use %s (mode %04o): chmod 0600 it", path,
                          (unsigned)(st.st_mode & 07777));
    return STORE_OK;
}

static enum store_status read_file(const char *path, struct ccp_buf *out, struct store_error *e)
{
    int fd = CCP_FAULT("seal.open") ? (errno = EIO, -1) : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    buf_init(out, FILE_LIMIT);
    if (fd < 0)
        return store_fail(e, STORE_SEALED, errno, "the key file %s cannot be read", path);
    enum store_status status = judge(fd, path, e);
    if (status == STORE_OK && !buf_reserve(out, FILE_LIMIT))
        status = store_fail(e, STORE_IO, ENOMEM, "the key file %s cannot be read", path);
    while (status == STORE_OK && out->n < FILE_LIMIT) {
        ssize_t n = read(fd, out->p + out->n, FILE_LIMIT - out->n);
        if (n < 0 && errno != EINTR)
            status = store_fail(e, STORE_IO, errno, "the key file %s cannot be read", path);
        if (n == 0)
            break;
        out->n += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    return status;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(struct ccp_span text, unsigned char key[SEAL_KEY])
{
    for (size_t i = 0; i < SEAL_KEY; i++) {
        int high = hex_digit(text.p[2 * i]), low = hex_digit(text.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        key[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static bool from_base64(struct ccp_span text, unsigned char key[SEAL_KEY])
{
    struct arena a;
    struct ccp_span bytes;
    arena_init_secret(&a, 0);
    bool ok = base64_decode(&a, text, &bytes) == CCP_OK && bytes.n == SEAL_KEY;
    if (ok)
        memcpy(key, bytes.p, SEAL_KEY);
    arena_end(&a);
    return ok;
}

static bool key_of(struct ccp_span text, unsigned char key[SEAL_KEY])
{
    if (text.n == SEAL_KEY) {
        memcpy(key, text.p, SEAL_KEY);
        return true;
    }
    while (text.n != 0 && strchr(" \t\r\n", text.p[text.n - 1]) != NULL && text.p[text.n - 1] != '\0')
        text.n--;
    if (text.n == 64 && from_hex(text, key))
        return true;
    return (text.n == 43 || text.n == 44) && from_base64(text, key);
}

/* What an empty disk or a slip of the hand gives. */
static bool one_byte(const unsigned char key[SEAL_KEY])
{
    return memcmp(key, key + 1, SEAL_KEY - 1) == 0;
}

static struct seal *blank(struct store_error *e)
{
    struct seal *s = CCP_FAULT("seal.new") ? NULL : calloc(1, sizeof(*s));
    if (s == NULL || pthread_mutex_init(&s->lock, NULL) != 0) {
        free(s);
        store_fail(e, STORE_IO, ENOMEM, "the key cannot be kept");
        return NULL;
    }
    return s;
}

static struct seal *finish(struct seal *s, bool good, struct store_error *e)
{
    if (good)
        return s;
    if (e->status == STORE_OK)
        store_fail(e, STORE_IO, ENOMEM, "the key cannot be kept");
    seal_free(s);
    return NULL;
}

struct seal *seal_open_key(const char *path, struct store_error *e)
{
    struct ccp_buf text;
    unsigned char key[SEAL_KEY];
    store_fine(e);
    struct seal *s = blank(e);
    if (s == NULL)
        return NULL;
    bool good = read_file(path, &text, e) == STORE_OK;
    if (good && !key_of(buf_span(&text), key)) {
        store_fail(e, STORE_SEALED, 0, "%s is no key: 32 bytes, or 64 hex digits, or 44 characters of base64", path);
        good = false;
    }
    if (good && one_byte(key)) {
        store_fail(e, STORE_SEALED, 0, "%s is 32 times the same byte: make one with: openssl rand -hex 32", path);
        good = false;
    }
    if (good)
        s->key = secret_new(ccp_span_of((const char *)key, sizeof(key)));
    secret_wipe(key, sizeof(key));
    store_wipe(&text);
    return finish(s, good && s->key != NULL, e);
}

struct seal *seal_open_passphrase(const char *path, struct store_error *e)
{
    struct ccp_buf text;
    store_fine(e);
    struct seal *s = blank(e);
    if (s == NULL)
        return NULL;
    bool good = read_file(path, &text, e) == STORE_OK;
    if (good) {
        struct ccp_span line = ccp_span_of(text.p, ccp_span_find(buf_span(&text), '\n'));
        while (line.n != 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n == 0 || line.n > 1024) {
            store_fail(e, STORE_SEALED, 0, "the first line of %s is no passphrase (1 to 1024 bytes)", path);
            good = false;
        } else {
            s->passphrase = secret_new(line);
        }
    }
    store_wipe(&text);
    return finish(s, good && s->passphrase != NULL, e);
}

void seal_free(struct seal *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++)
        secret_unref(s->made[i].key);
    secret_unref(s->key);
    secret_unref(s->passphrase);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- keys ---- */

bool seal_has_passphrase(const struct seal *s)
{
    return s->passphrase != NULL;
}

static void copy_key(const struct ccp_secret *from, unsigned char key[SEAL_KEY])
{
    memcpy(key, secret_reveal(from).p, SEAL_KEY); /* revealed: the store is one of the three that may; wiped by it */
}

static bool derive(struct seal *s, struct ccp_span salt, const struct seal_cost *c, unsigned char key[SEAL_KEY])
{
    struct ccp_span phrase = secret_reveal(s->passphrase); /* revealed: to make a key of it */
    uint64_t memory = 128ull * c->r * ((uint64_t)c->n + c->p) + (1u << 20);
    return !CCP_FAULT("seal.scrypt") && EVP_PBE_scrypt(phrase.p, phrase.n, (const unsigned char *)salt.p, salt.n, c->n,
                                                       c->r, c->p, memory, key, SEAL_KEY) == 1;
}

static struct made *find(struct seal *s, struct ccp_span salt, const struct seal_cost *c)
{
    for (size_t i = 0; i < s->count; i++)
        if (memcmp(s->made[i].salt, salt.p, SEAL_SALT) == 0 && memcmp(&s->made[i].cost, c, sizeof(*c)) == 0)
            return &s->made[i];
    return NULL;
}

static void remember(struct seal *s, struct ccp_span salt, const struct seal_cost *c, const unsigned char *key)
{
    struct ccp_secret *kept = s->count < MADE_MAX ? secret_new(ccp_span_of((const char *)key, SEAL_KEY)) : NULL;
    if (kept == NULL)
        return; /* it is made again next time */
    struct made *m = &s->made[s->count++];
    memcpy(m->salt, salt.p, SEAL_SALT);
    m->cost = *c;
    m->key = kept;
}

bool seal_key(struct seal *s, struct ccp_span salt, const struct seal_cost *cost, unsigned char key[SEAL_KEY])
{
    if (s->key != NULL) {
        copy_key(s->key, key);
        return salt.n == 0;
    }
    if (salt.n != SEAL_SALT)
        return false;
    pthread_mutex_lock(&s->lock);
    struct made *m = find(s, salt, cost);
    bool ok = m != NULL;
    if (ok)
        copy_key(m->key, key);
    else if ((ok = derive(s, salt, cost, key)))
        remember(s, salt, cost, key);
    pthread_mutex_unlock(&s->lock);
    return ok;
}

bool seal_salt(struct seal *s, unsigned char salt[SEAL_SALT], struct seal_cost *cost)
{
    bool found = false;
    *cost = SEAL_COST;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->count && !found; i++)
        if (memcmp(&s->made[i].cost, cost, sizeof(*cost)) == 0) {
            memcpy(salt, s->made[i].salt, SEAL_SALT);
            found = true;
        }
    pthread_mutex_unlock(&s->lock);
    return found || seal_random(salt, SEAL_SALT);
}
