/*
 * Texts of the store's errors: what, where, why in errno's words, and for the usual causes what to do. Paths come from
 * the configuration or the environment and are shown with control bytes escaped.
 */
#include <auth/store_impl.h>
#include <base/log.h>
#include <base/secret.h>

#include <errno.h>

enum store_status store_fine(struct store_error *e)
{
    *e = (struct store_error){.status = STORE_OK};
    return STORE_OK;
}

static const char *advice(int code)
{
    switch (code) {
    case ENOSPC:
    case EDQUOT:
        return ": make room on that disk";
    case EROFS:
        return ": set auth.directory to a place that can be written";
    case EACCES:
    case EPERM:
        return ": it must belong to the user that ccproxy runs as";
    case EBUSY:
    case EXDEV:
        return ": mount the folder instead of the single file";
    case ENOENT:
    case ESTALE:
        return ": the folder was removed or unmounted";
    default:
        return "";
    }
}

enum store_status store_fail(struct store_error *e, enum store_status status, int code, const char *fmt, ...)
{
    char text[sizeof(e->text)], words[128] = "";
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    *e = (struct store_error){.status = status, .code = code};
    struct ccp_span said = ccp_span_of(text, n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
    size_t at = log_escape(e->text, sizeof(e->text) - 1, said, false);
    if (code != 0) /* what was too long keeps its beginning */
        snprintf(e->text + at, sizeof(e->text) - at, ": %s%s", strerror_r(code, words, sizeof(words)), advice(code));
    else
        e->text[at] = '\0';
    return status;
}

void store_wipe(struct ccp_buf *b)
{
    secret_wipe(b->p, b->p != NULL ? b->cap : 0);
    buf_release(b);
}
