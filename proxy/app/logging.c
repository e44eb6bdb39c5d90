/*
 * [logging] as options of the log.
 */
#include <app/server.h>

#include <base/log.h>

#include <unistd.h>

enum { FORMAT_AUTO, FORMAT_TEXT, FORMAT_JSON };
enum { LEVEL_WARNING = CCP_LOG_OFF + 1 }; /* an alias at the end of the row's choices */

const char *logging_apply(const struct logging_settings *l)
{
    bool text = l->format == FORMAT_TEXT || (l->format == FORMAT_AUTO && l->file.n == 0 && isatty(STDERR_FILENO));
    struct log_options options = {
        .level = l->level == LEVEL_WARNING ? CCP_LOG_WARN : (enum ccp_log_level)l->level,
        .format = text ? LOG_TEXT : LOG_JSON,
        .file = l->file.n != 0 ? l->file.p : NULL,
    };
    return log_configure(&options);
}
