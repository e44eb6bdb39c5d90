/*
 * ccproxy serve: the order of a start.
 *
 * Read the configuration, prove the guard, bind, stop being root, open log and plugins, start the workers, say so.
 * Whatever fails before the last step leaves nothing behind but a text and an exit code.
 */
#include <app/notify.h>
#include <app/server.h>

#include <base/log.h>
#include <base/memory.h>

static const struct arg_option *const options[] = {config_options, serve_options, help_options, NULL};

static int start(struct server *s)
{
    char why[HTTP_ERRBUF];
    if (!http_guard_check(why))
        return complain(EXIT_CONFIG, "the guard around h2o does not hold, so nothing is served: %s", why);
    int code = server_bind(s);
    if (code == EXIT_OK)
        code = server_open(s);
    if (code == EXIT_OK)
        code = server_start(s);
    if (code != EXIT_OK)
        return code;
    banner_print(s);
    memory_drop_code();
    log_info("main", "ccproxy " CCP_VERSION " serves with %zu workers", s->worker_n);
    notify("READY=1");
    return server_run(s);
}

static int run(struct cli *cli)
{
    struct server s = {.cli = cli, .ended_fd = -1, .signal_fd = -1, .rt_lock = PTHREAD_MUTEX_INITIALIZER};
    int code = EXIT_FAILED;
    if (!signals_block()) /* first of all: a signal that comes early waits for server_run */
        return complain(code, "cannot block signals");
    s.rt = load_or_complain(cli);
    if (s.rt == NULL)
        return EXIT_CONFIG;
    privilege_harden();
    http_process_init();
    if (!upstream_global_init())
        complain(code, "cannot set up the process");
    else
        code = start(&s);
    server_close(&s);
    upstream_global_release();
    return code;
}

const struct command command_serve = {
    .name = "serve",
    .operands = "",
    .summary = "start the server; also without a command",
    .details = "SIGTERM and SIGINT let running requests finish (a second one does not), SIGHUP reloads configuration,\n"
               "certificates and logs, SIGUSR1 reopens the log file.",
    .options = options,
    .cwd = true,
    .run = run,
};
