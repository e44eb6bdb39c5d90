/*
 * A plugin's child process: started, fed, read and always reaped, within its time.
 *
 * It leads a session and a process group of its own, and the group is killed when the time is over and when the leader
 * has ended: nothing of it stays behind. The leader is looked at without being reaped first (WNOWAIT), so its number
 * cannot belong to somebody else when the group is killed. No SIGCHLD handler: other threads have children, too. When
 * the server ends, so does the child.
 */
#include <chain/api_impl.h>

#include <base/clock.h>
#include <base/fault.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TIMEOUT_MS = 30000, OUTPUT_MAX = 1024 * 1024, LOOK_MS = 20, LINGER_MS = 500, GRACE_MS = 5000, ENV_MAX = 64 };
enum { IN, OUT, ERR, STREAMS };

struct child {
    struct ccp_run what;
    struct executor *executor; /* or NULL */
    pid_t pid;
    int ours[STREAMS], theirs[STREAMS]; /* -1 = closed */
    struct ccp_span input;              /* what is still to be written */
    struct ccp_buf output[STREAMS];     /* OUT and ERR */
    bool truncated, timed_out, ended;
    siginfo_t end;
    uint64_t until_ms;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_all(struct child *c)
{
    for (int i = 0; i < STREAMS; i++) {
        close_fd(&c->ours[i]);
        close_fd(&c->theirs[i]);
    }
}

/* Beyond the three that the child's ends become. */
static bool raise_fd(int *fd)
{
    int high = *fd > 2 ? *fd : fcntl(*fd, F_DUPFD_CLOEXEC, 3);
    if (high != *fd)
        close(*fd);
    *fd = high;
    return high >= 0;
}

static bool make_pipes(struct child *c)
{
    for (int i = 0; i < STREAMS; i++) {
        int ends[2];
        if (CCP_FAULT("api.run_pipe") || pipe2(ends, O_CLOEXEC) != 0)
            return false;
        c->ours[i] = ends[i == IN];
        c->theirs[i] = ends[i != IN];
        if (!raise_fd(&c->ours[i]) || !raise_fd(&c->theirs[i]) || fcntl(c->ours[i], F_SETFL, O_NONBLOCK) != 0)
            return false;
    }
    return true;
}

/* -- starting it -- */

static size_t environment(const struct child *c, struct arena *a, const char **out)
{
    static const char *const kept[] = {"PATH", "HOME", "LANG", "TZ"};
    size_t n = 0;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        const char *value = getenv(kept[i]);
        if (value != NULL && (out[n] = arena_printf(a, "%s=%s", kept[i], value).p) != NULL)
            n++;
    }
    for (size_t i = 0; c->what.env != NULL && c->what.env[i] != NULL && n < ENV_MAX; i++) {
        size_t name = strcspn(c->what.env[i], "=") + 1;
        for (size_t k = 0; k < n; k++)
            if (strncmp(out[k], c->what.env[i], name) == 0)
                out[k--] = out[--n]; /* given ones replace ours */
        out[n++] = c->what.env[i];
    }
    out[n] = NULL;
    return n;
}

static int start_with(struct child *c, posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes,
                      const char *const *env)
{
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setsigmask(attributes, &none);
    int code = 0;
    for (int i = 0; i < STREAMS && code == 0; i++)
        code = posix_spawn_file_actions_adddup2(files, c->theirs[i], i);
    if (code == 0)
        code = posix_spawn_file_actions_addclosefrom_np(files, 3);
    if (code == 0)
        code = CCP_FAULT("api.run_spawn") ? ENOMEM
                                          : posix_spawnp(&c->pid, c->what.argv[0], files, attributes,
                                                         (char *const *)c->what.argv, (char *const *)env);
    return code;
}

static int start(struct child *c, struct arena *a)
{
    const char *env[ENV_MAX + 1];
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    environment(c, a, env);
    if (posix_spawn_file_actions_init(&files) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return ENOMEM;
    }
    int code = start_with(c, &files, &attributes, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    for (int i = 0; i < STREAMS; i++)
        close_fd(&c->theirs[i]);
    return code;
}

/* -- while it runs -- */

static void feed(struct child *c)
{
    ssize_t n = c->input.n != 0 ? write(c->ours[IN], c->input.p, c->input.n) : 0;
    if (n > 0)
        c->input = ccp_span_skip(c->input, (size_t)n);
    if (c->input.n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&c->ours[IN]); /* all of it, or nobody reads (SIGPIPE is ignored) */
}

static void drain(struct child *c, int stream)
{
    char bytes[16384];
    ssize_t n = read(c->ours[stream], bytes, sizeof(bytes));
    struct ccp_buf *to = &c->output[stream];
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        close_fd(&c->ours[stream]);
        return;
    }
    size_t room = to->max - to->n, fits = (size_t)n < room ? (size_t)n : room;
    c->truncated = !buf_add(to, ccp_span_of(bytes, fits)) || fits < (size_t)n || c->truncated;
}

static void turn(struct child *c, int wait_ms)
{
    struct pollfd fds[STREAMS];
    for (int i = 0; i < STREAMS; i++)
        fds[i] = (struct pollfd){c->ours[i], i == IN ? POLLOUT : POLLIN, 0};
    if (poll(fds, STREAMS, wait_ms) <= 0)
        return;
    if (fds[IN].revents != 0)
        feed(c);
    for (int i = OUT; i < STREAMS; i++)
        if (fds[i].revents != 0)
            drain(c, i);
}

static bool has_ended(struct child *c)
{
    c->end.si_pid = 0;
    c->ended = waitid(P_PID, (id_t)c->pid, &c->end, WEXITED | WNOHANG | WNOWAIT) == 0 && c->end.si_pid == c->pid;
    return c->ended;
}

/* The group first, then the leader is reaped: until then its number is its own. Where we are process 1, the rest of the
 * group has become ours, too. */
static void finish(struct child *c)
{
    kill(-c->pid, SIGKILL);
    if (!c->ended)
        waitid(P_PID, (id_t)c->pid, &c->end, WEXITED | WNOWAIT);
    while (waitpid(-c->pid, NULL, 0) > 0 || errno == EINTR)
        ;
}

/* Sleeps as long as the child is silent, at first shortly: most are quick. */
static void follow(struct child *c)
{
    int wait = 1;
    while (!has_ended(c)) {
        uint64_t now = clock_ms(), ends = c->executor != NULL ? executor_ends_ms(c->executor) : UINT64_MAX;
        c->until_ms = ends < c->until_ms ? ends : c->until_ms;
        if (now >= c->until_ms) {
            c->timed_out = true;
            break;
        }
        uint64_t left = c->until_ms - now;
        turn(c, left < (uint64_t)wait ? (int)left : wait);
        wait = wait < LOOK_MS ? wait * 2 : LOOK_MS;
    }
    finish(c);
    uint64_t until = clock_ms() + LINGER_MS; /* what is still in the pipes */
    close_fd(&c->ours[IN]);
    while ((c->ours[OUT] >= 0 || c->ours[ERR] >= 0) && clock_ms() < until)
        turn(c, LOOK_MS);
}

/* -- what came of it -- */

static struct ccp_span not_started(struct child *c, struct arena *a, int code)
{
    char text[128];
    struct ccp_span why =
        arena_printf(a, "%s cannot be run: %s", c->what.argv[0], strerror_r(code, text, sizeof(text)));
    return why.p != NULL ? why : CCP_SPAN("out of memory");
}

static void tell(struct child *c, struct arena *a, struct ccp_ran *out)
{
    bool exited = c->end.si_code == CLD_EXITED && !c->timed_out;
    out->timed_out = c->timed_out;
    out->truncated = c->truncated;
    out->status = exited ? c->end.si_status : -1;
    out->signal = c->end.si_code != CLD_EXITED ? c->end.si_status : 0;
    out->out = arena_dup(a, buf_span(&c->output[OUT]));
    out->err = arena_dup(a, buf_span(&c->output[ERR]));
    if (c->timed_out)
        out->why = CCP_SPAN("it did not end in time and was killed");
    else if (!exited) {
        out->why = arena_printf(a, "it was ended by signal %d", out->signal);
        if (out->why.p == NULL)
            out->why = CCP_SPAN("it was ended by a signal");
    } else if (out->out.p == NULL || out->err.p == NULL)
        out->why = CCP_SPAN("its output does not fit into the arena");
}

static void perform(struct child *c, struct arena *a, struct ccp_ran *out)
{
    uint64_t ms = c->what.timeout_ms != 0 ? c->what.timeout_ms : TIMEOUT_MS;
    ms = ms < TASK_MOST_MS ? ms : TASK_MOST_MS;
    size_t max = c->what.max_output != 0 ? c->what.max_output : OUTPUT_MAX;
    buf_init(&c->output[OUT], max);
    buf_init(&c->output[ERR], max);
    c->input = c->what.input;
    int code = make_pipes(c) ? start(c, a) : errno;
    if (code == 0) {
        c->until_ms = clock_ms() + ms;
        executor_lend(ms + GRACE_MS);
        follow(c);
        executor_lend(0);
        tell(c, a, out);
    } else
        out->why = not_started(c, a, code);
    close_all(c);
    buf_release(&c->output[OUT]);
    buf_release(&c->output[ERR]);
}

bool api_run(const struct ccp_plugin_env *env, struct ccp_arena *a, const struct ccp_run *what, struct ccp_ran *out,
             size_t out_size)
{
    struct ccp_ran result = {.status = -1};
    struct child c = {.ours = {-1, -1, -1}, .theirs = {-1, -1, -1}, .executor = unit_of(env)->executor};
    memcpy(&c.what, what, what->size < sizeof(c.what) ? what->size : sizeof(c.what));
    if (c.what.argv == NULL || c.what.argv[0] == NULL)
        result.why = CCP_SPAN("no program was named");
    else
        perform(&c, &a->arena, &result);
    memset(out, 0, out_size);
    memcpy(out, &result, out_size < sizeof(result) ? out_size : sizeof(result));
    return result.why.n == 0;
}
