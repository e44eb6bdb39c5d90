/*
 * See state.h. The lock is the folder's own: it needs no file, and is gone with the process.
 */
#include <app/state.h>

#include <base/fault.h>
#include <base/secret.h>

#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STATE_FILE "plugins.toml"

enum { STATE_MAX = 4 << 20, LOCK_TRIES = 50 }; /* of 20 ms */

void state_place(struct state *s)
{
    char home[PATH_MAX];
    *s = (struct state){.folder = -1};
    buf_init(&s->text, STATE_MAX);
    if (state_home(home, s->why))
        snprintf(s->path, sizeof(s->path), "%s/" STATE_FILE, home);
}

static bool not_usable(struct state *s, const char *why)
{
    snprintf(s->why, sizeof(s->why),
             "%s; ccproxy writes this file (settings changed while it ran): repair or delete it", why);
    return false;
}

static bool read_held(struct state *s)
{
    char why[STATE_WHY];
    bool missing = false;
    buf_release(&s->text);
    bool fine = state_read(s->folder, STATE_FILE, STATE_MAX, &s->text, &missing, why);
    s->there = fine && !missing;
    return fine || not_usable(s, why);
}

bool state_load_text(struct state *s)
{
    char why[STATE_WHY];
    struct stat st;
    state_place(s);
    /* looking must not make the folder; one that this user may not enter holds nothing for it */
    if (s->path[0] == '\0' || lstat(s->path, &st) != 0)
        return true;
    s->folder = state_open("", why);
    return s->folder >= 0 ? read_held(s) : not_usable(s, why);
}

static bool lock(int folder)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(folder, LOCK_EX | LOCK_NB) == 0)
            return true;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return false;
}

bool state_hold(struct state *s, bool *busy)
{
    *busy = false;
    state_place(s);
    if (s->path[0] == '\0')
        return false; /* state_place said why */
    s->folder = state_open("", s->why);
    if (s->folder < 0)
        return false;
    if (!lock(s->folder)) {
        *busy = true;
        snprintf(s->why, sizeof(s->why), "another process changes settings just now: try again");
        return false;
    }
    return read_held(s);
}

bool state_keep(struct state *s, struct ccp_span text)
{
    if (CCP_FAULT("state.keep")) {
        snprintf(s->why, sizeof(s->why), "%.*s: not written", STATE_WHY, s->path);
        return false;
    }
    return state_write(s->folder, STATE_FILE, text, s->why);
}

bool state_undo(struct state *s)
{
    return s->there ? state_write(s->folder, STATE_FILE, buf_span(&s->text), s->why)
                    : state_remove(s->folder, STATE_FILE, s->why);
}

void state_release(struct state *s)
{
    if (s->text.n != 0)
        secret_wipe(s->text.p, s->text.n);
    buf_release(&s->text);
    if (s->folder >= 0)
        close(s->folder);
    s->folder = -1;
}
