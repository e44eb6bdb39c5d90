/*
 * Starting the child process of discovery, hearing it out, and ending it: see probe_impl.h.
 *
 * It is this same program, in a process group of its own, so that what it forks ends with it. Nothing it writes is
 * believed to be more than text.
 */
#include <plugin/describe_impl.h>
#include <plugin/object_impl.h>
#include <plugin/probe_impl.h>

#include <base/clock.h>
#include <base/fault.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
    pid_t pid;
    int out[2], err[2]; /* pipes: ours, the child's */
    int pidfd;          /* readable when it ended; -1 = the kernel has none */
    struct ccp_buf answer, words;
    siginfo_t end;
    bool late, flooded;
};

/* -- starting -- */

static bool pipe_for(int fd[2])
{
    if (CCP_FAULT("plugin.probe") ? (errno = EMFILE, true) : pipe2(fd, O_CLOEXEC) != 0) {
        fd[0] = fd[1] = -1;
        return false;
    }
    fcntl(fd[0], F_SETFL, O_NONBLOCK);
    return true;
}

static int set_actions(posix_spawn_file_actions_t *actions, const struct child *c, int object, int empty)
{
    /* All of them are moved up, beyond every source and target, then down: none is overwritten before it was moved. */
    const int from[] = {c->out[1], c->err[1], object, empty},
              to[] = {STDOUT_FILENO, STDERR_FILENO, PROBE_FD, PROBE_EMPTY_FD};
    int rc = 0, above = PROBE_EMPTY_FD + 1;
    for (int i = 0; i < 4; i++)
        above = from[i] >= above ? from[i] + 1 : above;
    for (int i = 0; rc == 0 && i < 4; i++)
        rc = posix_spawn_file_actions_adddup2(actions, from[i], above + i);
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    for (int i = 0; rc == 0 && i < 4; i++)
        rc = posix_spawn_file_actions_adddup2(actions, above + i, to[i]);
    return rc != 0 ? rc : posix_spawn_file_actions_addclosefrom_np(actions, PROBE_EMPTY_FD + 1);
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setsigdefault(attributes, &all);
    return posix_spawnattr_setsigmask(attributes, &none);
}

/* Of the environment of a sanitized build only what steers the sanitizer. */
static char *const *environment(char **out)
{
#if defined(CCP_FAULTS)
    static const char *const kept[] = {"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=", "TSAN_OPTIONS="};
    size_t n = 0;
    for (char **e = environ; *e != NULL; e++)
        for (size_t k = 0; k < 4; k++)
            if (strncmp(*e, kept[k], strlen(kept[k])) == 0 && n < 4)
                out[n++] = *e;
    out[n] = NULL;
#else
    out[0] = NULL;
#endif
    return out;
}

static int start(struct child *c, int object, int empty, const char *name)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char *env[5], *const argv[] = {"ccproxy", PROBE_WORD, (char *)name, NULL};
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0)
        return rc;
    if ((rc = posix_spawnattr_init(&attributes)) == 0) {
        if ((rc = set_actions(&actions, c, object, empty)) == 0 && (rc = set_attributes(&attributes)) == 0)
            rc = CCP_FAULT("plugin.spawn")
                     ? EAGAIN
                     : posix_spawn(&c->pid, "/proc/self/exe", &actions, &attributes, argv, environment(env));
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/* -- hearing -- */

/* False: the other end is closed. What does not fit is read and dropped. */
static bool take(int fd, struct ccp_buf *b, bool *full)
{
    char bytes[16384];
    for (;;) {
        ssize_t n = read(fd, bytes, sizeof(bytes));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        size_t room = b->max - b->n;
        buf_add(b, ccp_span_of(bytes, (size_t)n < room ? (size_t)n : room));
        if ((size_t)n > room && full != NULL)
            *full = true;
        if (full != NULL && *full)
            return true; /* it will be ended; do not follow a flood */
    }
}

static bool ended(struct child *c)
{
    c->end.si_pid = 0;
    return waitid(P_PID, (id_t)c->pid, &c->end, WEXITED | WNOHANG | WNOWAIT) != 0 || c->end.si_pid != 0;
}

static void hear(struct child *c, uint64_t ms)
{
    uint64_t until = clock_us() + ms * 1000, now;
    struct pollfd fds[] = {{c->out[0], POLLIN, 0}, {c->err[0], POLLIN, 0}, {c->pidfd, POLLIN, 0}};
    while (!ended(c) && !c->flooded) {
        if ((now = clock_us()) >= until) {
            c->late = true;
            break;
        }
        int left = (int)((until - now + 999) / 1000);
        poll(fds, 3, c->pidfd >= 0 || left < 20 ? left : 20);
        if (fds[0].fd >= 0 && !take(c->out[0], &c->answer, &c->flooded))
            fds[0].fd = -1; /* closed by all who had it; its end is awaited */
        if (fds[1].fd >= 0 && !take(c->err[0], &c->words, NULL))
            fds[1].fd = -1;
    }
    take(c->out[0], &c->answer, &c->flooded); /* what it said last */
    take(c->err[0], &c->words, NULL);
}

/* The whole group first: the child's own number cannot be somebody else's before it was waited for. All of it that is
 * ours is waited for: where we are process 1, that is also what it had started. */
static void finish(struct child *c)
{
    kill(-c->pid, SIGKILL);
    kill(c->pid, SIGKILL);
    pid_t got;
    bool reaped = false; /* an object may have put it into another group */
    while ((got = waitpid(-c->pid, NULL, 0)) > 0 || errno == EINTR)
        reaped = reaped || got == c->pid;
    while (!reaped && waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* -- judging -- */

/* The last lines of its standard error as one line of printable text. */
static const char *words_of(struct child *c, char *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < c->words.n && n + 1 < max; i++) {
        unsigned char ch = (unsigned char)c->words.p[i];
        if (ch < 0x80 && isprint(ch))
            out[n++] = (char)ch;
        else if (ch == '\n' && n != 0 && out[n - 1] != '|')
            out[n++] = '|';
    }
    while (n != 0 && (out[n - 1] == '|' || out[n - 1] == ' '))
        n--;
    out[n] = '\0';
    return out;
}

static enum probe_result say(struct child *c, char *why, size_t max, const char *what, const char *remedy)
{
    char words[PROBE_WORDS_MAX];
    words_of(c, words, sizeof(words));
    snprintf(why, max, "%s: %s%s%s", what, remedy, words[0] != '\0' ? "; it said: " : "", words);
    return PROBE_FAILED;
}

static enum probe_result judge(struct child *c, uint64_t ms, json_t **answer, char *why, size_t max)
{
    char what[120];
    json_error_t error;
    if (c->late) {
        snprintf(what, sizeof(what), "loading it did not end within %llu ms", (unsigned long long)ms);
        return say(c, why, max, what,
                   "its constructors must not wait; raise plugin_discovery.probe_timeout if the machine is slow");
    }
    if (c->flooded)
        return say(c, why, max, "what it declares is larger than 4 MiB", "declare less");
    if (c->end.si_code == CLD_KILLED || c->end.si_code == CLD_DUMPED) {
        snprintf(what, sizeof(what), "loading it ended with signal %d (%s)", c->end.si_status,
                 strsignal(c->end.si_status));
        return say(c, why, max, what, "its constructors or its record are broken, see ccproxy plugins check");
    }
    *answer = c->answer.n != 0 && !c->answer.failed
                  ? json_loadb(c->answer.p, c->answer.n, JSON_REJECT_DUPLICATES, &error)
                  : NULL;
    if (c->end.si_status == 0 && json_is_object(*answer))
        return PROBE_TOLD;
    json_decref(*answer);
    *answer = NULL;
    snprintf(what, sizeof(what), "loading it ended the process with status %d before it was described",
             c->end.si_status);
    return say(c, why, max, what, "its constructors must not call exit");
}

/* -- all of it -- */

static void close_pair(int fd[2])
{
    for (int i = 0; i < 2; i++)
        if (fd[i] >= 0)
            close(fd[i]);
}

static enum probe_result with_child(struct child *c, int object, int empty, const char *name, uint64_t ms,
                                    json_t **answer, char *why, size_t max)
{
    int rc = pipe_for(c->out) && pipe_for(c->err) ? start(c, object, empty, name) : errno;
    if (rc != 0) {
        snprintf(why, max, "the process that describes it cannot be started: %s", strerror(rc));
        return PROBE_FAILED;
    }
    close(c->out[1]);
    close(c->err[1]);
    c->out[1] = c->err[1] = -1;
    c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    hear(c, ms);
    finish(c);
    if (c->pidfd >= 0)
        close(c->pidfd);
    return judge(c, ms, answer, why, max);
}

enum probe_result probe_run(int fd, const char *name, uint64_t ms, json_t **answer, char *why, size_t max)
{
    struct child c = {.out = {-1, -1}, .err = {-1, -1}, .pidfd = -1};
    int empty = memfd_create("empty", MFD_CLOEXEC);
    enum probe_result r = PROBE_FAILED;
    *answer = NULL;
    buf_init(&c.answer, DESCRIBE_JSON_MAX);
    buf_init(&c.words, 8192);
    if (empty >= 0)
        r = with_child(&c, fd, empty, name, ms != 0 ? ms : 5000, answer, why, max);
    else
        snprintf(why, max, "the process that describes it cannot be started: %s", strerror(errno));
    close_pair(c.out);
    close_pair(c.err);
    if (empty >= 0)
        close(empty);
    buf_release(&c.answer);
    buf_release(&c.words);
    return r;
}
