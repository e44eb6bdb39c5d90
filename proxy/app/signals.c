/*
 * The main thread of a running server: waits for signals, for changes that requests ask for, and for the end of the
 * workers.
 *
 * Signals are blocked in every thread and read here from a descriptor, so nothing ever runs inside a signal handler.
 */
#include <app/notify.h>
#include <app/server.h>

#include <base/log.h>

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void ours(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1);
}

bool signals_block(void)
{
    sigset_t set;
    ours(&set);
    return pthread_sigmask(SIG_BLOCK, &set, NULL) == 0;
}

int signals_open(void)
{
    sigset_t set;
    ours(&set);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static void stop(struct server *s)
{
    bool again = s->draining;
    if (!again) {
        chain_announce(s->rt, s->executor, CCP_EVENT_APP_SHUTDOWN, NULL);
        notify("STOPPING=1");
        http_listeners_close(s->listeners);
    }
    log_info("main", again ? "stopping at once" : "draining: no new requests, running ones may finish");
    s->draining = true;
    for (size_t i = 0; i < s->worker_n; i++)
        if (again)
            http_worker_stop(s->workers[i].http);
        else
            http_worker_drain(s->workers[i].http);
}

static void reopen_log(void)
{
    const char *wrong = log_reopen();
    if (wrong != NULL)
        log_error("main", "the log file could not be reopened: %s", wrong);
}

static void on_signal(struct server *s, int number)
{
    if (number == SIGTERM || number == SIGINT)
        stop(s);
    else if (number == SIGUSR1)
        reopen_log();
    else if (number == SIGHUP && !s->draining)
        server_reload(s);
}

/* Counts the workers that have ended; one that ends unasked takes the server down in good order. */
static size_t on_ended(struct server *s)
{
    uint64_t n = 0;
    if (read(s->ended_fd, &n, sizeof(n)) != sizeof(n))
        return 0;
    if (!s->draining) {
        log_error("main", "a worker ended by itself");
        stop(s);
    }
    return (size_t)n;
}

int server_run(struct server *s)
{
    size_t ended = 0;
    bool asked = true;
    int fd = s->signal_fd;
    while (ended < s->worker_n) {
        struct pollfd ready[] = {{.fd = fd, .events = POLLIN},
                                 {.fd = s->ended_fd, .events = POLLIN},
                                 {.fd = admin_fd(s->admin), .events = POLLIN}};
        struct signalfd_siginfo info;
        if (poll(ready, 3, -1) < 0)
            continue; /* EINTR: stopped and continued */
        if (ready[0].revents != 0 && read(fd, &info, sizeof(info)) == sizeof(info))
            on_signal(s, (int)info.ssi_signo);
        if (ready[1].revents != 0) {
            asked = asked && s->draining;
            ended += on_ended(s);
        }
        if (ready[2].revents != 0)
            admin_turn(s->admin);
    }
    return asked ? EXIT_OK : EXIT_FAILED;
}
