/*
 * A plugin's own files and folder below the state folder (base/state_file.h): plugins/<name>/.
 */
#include <chain/api_impl.h>

#include <base/state_file.h>

#include <unistd.h>

static struct ccp_span keep(struct arena *a, const char *text)
{
    struct ccp_span kept = arena_dup(a, ccp_span_z(text));
    return kept.p != NULL ? kept : CCP_SPAN("out of memory");
}

/* Texts outlive the call without an arena of the caller's: each thread has the last one. */
static struct ccp_span say(const char *text)
{
    static _Thread_local char last[STATE_WHY];
    snprintf(last, sizeof(last), "%s", text);
    return ccp_span_z(last);
}

static int open_folder(const struct ccp_plugin_env *env, char why[STATE_WHY])
{
    char below[256];
    snprintf(below, sizeof(below), "plugins/%.*s", CCP_FMT(env->name));
    return state_open(below, why);
}

bool api_state_read(const struct ccp_plugin_env *env, const char *file, size_t max, struct ccp_arena *a,
                    struct ccp_span *out, struct ccp_span *why)
{
    char text[STATE_WHY];
    struct ccp_buf content;
    bool missing = false;
    *out = (struct ccp_span){NULL, 0};
    *why = (struct ccp_span){"", 0};
    int fd = open_folder(env, text);
    if (fd < 0) {
        *why = keep(&a->arena, text);
        return false;
    }
    bool ok = state_read(fd, file, max, &content, &missing, text);
    close(fd);
    if (ok && !missing)
        *out = arena_dup(&a->arena, buf_span(&content));
    if (!ok)
        *why = keep(&a->arena, text);
    else if (!missing && out->p == NULL)
        *why = CCP_SPAN("the file does not fit into the arena");
    buf_release(&content);
    return why->n == 0;
}

bool api_state_write(const struct ccp_plugin_env *env, const char *file, struct ccp_span bytes, struct ccp_span *why)
{
    char text[STATE_WHY];
    *why = (struct ccp_span){"", 0};
    int fd = open_folder(env, text);
    bool ok = fd >= 0 && state_write(fd, file, bytes, text);
    if (fd >= 0)
        close(fd);
    if (!ok)
        *why = say(text);
    return ok;
}

struct ccp_span api_state_folder(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    static _Thread_local char path[PATH_MAX];
    char text[STATE_WHY];
    size_t n;
    *why = (struct ccp_span){"", 0};
    int fd = open_folder(env, text);
    if (fd >= 0)
        close(fd);
    if (fd < 0 || !state_home(path, text)) {
        *why = say(text);
        return (struct ccp_span){"", 0};
    }
    n = strlen(path);
    snprintf(path + n, sizeof(path) - n, "/plugins/%.*s", CCP_FMT(env->name));
    return ccp_span_z(path);
}
