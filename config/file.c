/*
 * Finding and reading files: the configuration itself and "file:" secrets.
 *
 * Only regular files of bounded size are read, opened so that a FIFO cannot make us wait. Bytes that were read are
 * wiped by whoever asked for them.
 */
#include <config/config_impl.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const char *read_all(int fd, size_t max, char **bytes, size_t *n, int *error)
{
    char *p = malloc(max + 1);
    size_t have = 0;
    ssize_t got = 0;
    if (p == NULL)
        return "not enough memory";
    while (have <= max && ((got = read(fd, p + have, max + 1 - have)) > 0 || (got < 0 && errno == EINTR)))
        have += got > 0 ? (size_t)got : 0;
    if (have > max || got < 0) {
        *error = have > max ? 0 : errno;
        secret_wipe(p, have < max ? have : max);
        free(p);
        return have > max ? "too large" : "cannot read";
    }
    *bytes = p;
    *n = have;
    return NULL;
}

static const char *odd_kind(mode_t mode)
{
    return S_ISDIR(mode)    ? "is a directory"
           : S_ISFIFO(mode) ? "is a FIFO, not a regular file"
           : S_ISREG(mode)  ? NULL
                            : "is not a regular file";
}

const char *file_read(const char *path, size_t max, char **bytes, size_t *n, mode_t *mode, int *error)
{
    struct stat st;
    const char *what;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    *error = 0;
    if (fd < 0 || fstat(fd, &st) != 0) {
        *error = errno;
        if (fd >= 0)
            close(fd);
        return "cannot read";
    }
    what = odd_kind(st.st_mode);
    if (what == NULL && st.st_size > (off_t)max)
        what = "too large";
    if (what == NULL)
        what = read_all(fd, (size_t)st.st_size < max ? (size_t)st.st_size + 1 : max, bytes, n, error);
    *mode = st.st_mode;
    close(fd);
    return what;
}

/* Where to look, with the environment as a function so that a test or a reload may bring its own. */
struct search {
    struct arena *arena;
    struct ccp_span *paths;
    bool *cwd; /* parallel, may be NULL */
    size_t n, max;
};

static void offer(struct search *s, struct ccp_span path, bool cwd)
{
    if (path.p == NULL || s->n == s->max)
        return;
    if (s->cwd != NULL)
        s->cwd[s->n] = cwd;
    s->paths[s->n++] = path;
}

static void fill(struct search *s, struct ccp_span config_file, struct ccp_span xdg, struct ccp_span home,
                 bool cwd_allowed)
{
    if (config_file.n != 0)
        offer(s, arena_dup(s->arena, config_file), false);
    if (cwd_allowed) {
        offer(s, CCP_SPAN(".ccproxy.toml"), true);
        offer(s, CCP_SPAN("ccproxy.toml"), true);
    }
    if (xdg.n != 0 && xdg.p[0] == '/')
        offer(s, arena_printf(s->arena, "%.*s/ccproxy/config.toml", CCP_FMT(xdg)), false);
    else if (home.n != 0 && home.p[0] == '/')
        offer(s, arena_printf(s->arena, "%.*s/.config/ccproxy/config.toml", CCP_FMT(home)), false);
    offer(s, CCP_SPAN("/etc/ccproxy/config.toml"), false);
}

size_t config_search(struct ccp_span *paths, size_t max, struct arena *a, bool cwd_allowed)
{
    struct search s = {.arena = a, .paths = paths, .max = max};
    fill(&s, ccp_span_z(getenv("CONFIG_FILE")), ccp_span_z(getenv("XDG_CONFIG_HOME")), ccp_span_z(getenv("HOME")),
         cwd_allowed);
    return s.n;
}

static void take(struct config *c, char *bytes, size_t n)
{
    struct toml_error e = {.what = ""};
    /* a byte order mark is skipped by the parser, a second one refused */
    if (tree_parse(c, ccp_span_of(bytes, n), c->layers[LAYER_FILE], &e) == TOML_SYNTAX)
        fault_plain(c, false, "%.*s:%u:%u: %s", CCP_FMT(c->file), e.line, e.column, e.what);
    if ((c->file_mode & S_IWOTH) != 0)
        fault_plain(c, true, "%.*s: anyone may write this file (chmod o-w)", CCP_FMT(c->file));
    secret_wipe(bytes, n);
    free(bytes);
}

/* True when the search is over, with the file read or a fault. */
static bool try_path(struct config *c, struct ccp_span path, bool must_exist)
{
    char *bytes = NULL;
    size_t n = 0;
    int error = 0;
    const char *what = file_read(path.p, CONFIG_FILE_MAX, &bytes, &n, &c->file_mode, &error);
    if (what != NULL && !must_exist && (error == ENOENT || error == ENOTDIR))
        return false;
    c->file = path;
    if (what == NULL)
        take(c, bytes, n);
    else if (error != 0)
        fault_plain(c, false, "%.*s: %s: %s", CCP_FMT(fault_clean(c, path)), what, strerrordesc_np(error));
    else
        fault_plain(c, false, "%.*s: %s%s", CCP_FMT(fault_clean(c, path)), what,
                    strcmp(what, "too large") == 0 ? " (4 MiB at most)" : "");
    return true;
}

void file_load(struct config *c, const struct config_source *source)
{
    struct ccp_span paths[8], named = environ_get(c, CCP_SPAN("CONFIG_FILE"));
    bool cwd[8];
    struct search s = {.arena = &c->arena, .paths = paths, .cwd = cwd, .max = 8};
    if (source->file != NULL) {
        struct ccp_span path = arena_dup(&c->arena, ccp_span_z(source->file));
        if (path.p == NULL)
            c->no_memory = true;
        else
            try_path(c, path, true);
        return;
    }
    fill(&s, named, environ_get(c, CCP_SPAN("XDG_CONFIG_HOME")), environ_get(c, CCP_SPAN("HOME")), source->cwd_allowed);
    for (size_t i = 0; i < s.n; i++)
        if (try_path(c, paths[i], i == 0 && named.n != 0)) {
            c->untrusted = cwd[i];
            return;
        }
}
