/*
 * Revoking the tokens of a login that was just deleted here (RFC 7009).
 *
 * The requests are made by a process of their own, since they may have to be repeated after the command has ended: it
 * has the tokens in its memory only, nothing of ours open, no terminal, and ends within a minute. It is made before any
 * thread exists. The tokens go nowhere but to the servers that gave them: those of another token_url are left alone.
 */
#include <app/auth_cmd.h>

#include <base/clock.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_MS  1500 /* the command itself ends within 2 s */
#define REPORT_MS 1600
#define LATER_MS  10000
#define LIFE_S    60

/* What the first attempt came to; fits into one write of a pipe. */
struct report {
    enum { REVOKED, LATER, NEVER } what;
    char text[600];
};

static enum oauth_result attempt(const struct oauth_provider *p, const struct record *r, uint64_t ms,
                                 struct report *report)
{
    struct oauth_provider quick = *p;
    struct oauth_metadata meta;
    struct oauth_answer answer = {.status = 0};
    struct arena a;
    quick.connect_ms = quick.connect_ms < ms ? quick.connect_ms : ms;
    quick.total_ms = ms;
    arena_init(&a, NULL, 1u << 20);
    enum oauth_result result = oauth_discover(&quick, &a, &meta, &answer);
    if (result == OAUTH_OK && meta.provider.revoke_url.n == 0) {
        result = OAUTH_CLIENT;
        snprintf(answer.text, sizeof(answer.text), "its server has no revocation endpoint");
    } else if (result == OAUTH_OK && r->token_url.n != 0 && !ccp_span_eq(r->token_url, meta.provider.token_url)) {
        result = OAUTH_CLIENT;
        snprintf(answer.text, sizeof(answer.text), "they are of another server than the configuration's");
    } else if (result == OAUTH_OK) {
        result = oauth_revoke(&meta.provider, r, NULL, &answer);
    }
    snprintf(report->text, sizeof(report->text), "%s", answer.text);
    arena_end(&a);
    return result;
}

static bool is_final(enum oauth_result result)
{
    return result == OAUTH_OK || result == OAUTH_GRANT || result == OAUTH_CLIENT;
}

static void tell(int fd, const struct report *report)
{
    while (write(fd, report, sizeof(*report)) < 0 && errno == EINTR)
        continue;
    close(fd);
}

/* What the command was started with is not held open while this goes on: a pipe that somebody reads to its end, a file
 * that somebody has locked. Only the report's descriptor stays; false = it could not be kept apart. */
static bool let_go(int *report)
{
    enum { STANDARD = 3 };
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), high = fcntl(*report, F_DUPFD_CLOEXEC, STANDARD);
    if (null < 0 || high < 0)
        return false;
    for (int i = 0; i < STANDARD; i++)
        dup2(null, i);
    if (high != STANDARD && dup3(high, STANDARD, O_CLOEXEC) < 0)
        return false;
    close_range(STANDARD + 1, ~0u, 0);
    *report = STANDARD;
    return true;
}

/* The process of its own. */
static void work(struct auth_run *r, const struct oauth_provider *p, const struct record *gone, int fd)
{
    static const unsigned pauses[] = {2, 6, 15};
    struct report report = {.what = NEVER};
    struct oauth_provider online;
    if (!let_go(&fd))
        return;
    signal(SIGALRM, SIG_DFL); /* may be ignored since before us */
    alarm(LIFE_S);
    if (auth_online(r, p, &online) != EXIT_OK) {
        snprintf(report.text, sizeof(report.text), "the system refused what a request needs");
        tell(fd, &report);
        return;
    }
    enum oauth_result result = attempt(&online, gone, FIRST_MS, &report);
    report.what = result == OAUTH_OK ? REVOKED : is_final(result) ? NEVER : LATER;
    tell(fd, &report);
    for (size_t i = 0; i < 3 && !is_final(result); i++) {
        sleep(pauses[i]);
        result = attempt(&online, gone, LATER_MS, &report);
    }
}

/* Twice forked: init is the parent of what goes on. */
static bool start(struct auth_run *r, const struct oauth_provider *p, struct record *gone, int fds[2])
{
    int status;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return false;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        if (fork() == 0) {
            close(fds[0]);
            signal(SIGPIPE, SIG_IGN);
            work(r, p, gone, fds[1]);
            record_release(gone);
        }
        _exit(0);
    }
    close(fds[1]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (pid < 0)
        close(fds[0]);
    return pid > 0;
}

static void say(const struct report *report)
{
    if (report->what == REVOKED)
        puts("Its tokens are revoked.");
    else if (report->what == LATER)
        printf("Its tokens are not revoked yet (%s); that is tried three times more in the background.\n",
               report->text);
    else
        printf("Its tokens could not be revoked (%s); they end by themselves, or at the provider's settings page.\n",
               report->text);
}

void auth_revoke(struct auth_run *r, const struct oauth_provider *p, struct record *gone)
{
    struct report report = {.what = LATER};
    struct pollfd wait = {.events = POLLIN};
    int fds[2];
    if (!start(r, p, gone, fds)) {
        printf("Its tokens could not be revoked: %s.\n", strerror(errno));
        return;
    }
    wait.fd = fds[0];
    uint64_t now = clock_ms(), end = now + REPORT_MS;
    int ready = 0;
    while (now < end && (ready = poll(&wait, 1, (int)(end - now))) < 0 && errno == EINTR)
        now = clock_ms();
    if (ready <= 0)
        snprintf(report.text, sizeof(report.text), "no answer within 2 s");
    else if (read(fds[0], &report, sizeof(report)) != sizeof(report)) /* it ended without a word */
        report = (struct report){NEVER, "the system refused a process for it"};
    close(fds[0]);
    say(&report);
}
