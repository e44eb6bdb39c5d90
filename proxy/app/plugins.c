/*
 * Plugins of a running server: their threads, and what a configuration's plugins are opened with.
 */
#include <app/server.h>

static bool post(void *self, size_t number, void (*fn)(void *arg), void *arg)
{
    struct server *s = self;
    return http_worker_post(s->workers[number].http, fn, arg);
}

int plugins_open_executor(struct server *s)
{
    struct executor_port port = {post, s, s->rt->settings.limits.stuck_call};
    s->executor = executor_new(&port);
    return s->executor != NULL ? EXIT_OK : complain(EXIT_FAILED, "cannot set up plugins: out of memory or descriptors");
}

struct runtime_host plugins_host(struct server *s, struct ccp_span restart)
{
    return (struct runtime_host){.core = chain_core(),
                                 .executor = s->executor,
                                 .previous = s->rt->open_order != NULL ? s->rt : NULL,
                                 .restart = restart};
}
