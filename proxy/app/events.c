/*
 * Events of a running server, for those who watch them: connects the hub with its two sources, the plugins' executor
 * and the log, and with the workers it feeds.
 */
#include <app/server.h>

#include <base/log.h>

static bool post(void *self, size_t number, void (*fn)(void *arg), void *arg)
{
    struct server *s = self;
    return http_worker_post(s->workers[number].http, fn, arg);
}

int events_open(struct server *s)
{
    struct hub_port port = {post, s, s->worker_n, executor_watched(s->executor)};
    s->hub = hub_new(&port);
    if (s->hub == NULL)
        return complain(EXIT_FAILED, "cannot set up event streams: out of memory");
    executor_set_tap(s->executor, hub_event, s->hub);
    log_set_tap(hub_log, s->hub);
    return EXIT_OK;
}

void events_close(struct server *s)
{
    log_set_tap(NULL, NULL);
    hub_close(s->hub);
}
