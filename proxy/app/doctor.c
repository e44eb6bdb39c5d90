/*
 * ccproxy doctor: looks at everything that keeps a server from working and says what to do.
 *
 * A table of parts; each reports findings, none changes anything. Without --offline the providers and the servers of
 * logins are asked for an answer of any kind, without a credential.
 */
#include <app/doctor.h>

#include <app/print.h>
#include <app/server.h>

#include <signal.h>

static const struct arg_option doctor_options[] = {
    {"offline", 0, ARG_FLAG, NULL, "ask no server but one of this machine", NULL},
    {.name = NULL},
};

static const struct arg_option *const options[] = {doctor_options, config_options, json_options, help_options, NULL};

static const char *const marks[DOCTOR_MARKS] = {"ok", "warn", "fail"};

struct part {
    const char *name;
    void (*look)(struct doctor *d);
    bool configured; /* needs a configuration without faults */
    bool network;
};

static const struct part parts[] = {
    {"configuration", doctor_config, false, false},
    {"system", doctor_system, false, false},
    {"ports", doctor_ports, true, false},
    {"callbacks", doctor_callbacks, true, false},
    {"files", doctor_files, true, false},
    {"logins", doctor_logins, true, false},
    {"imports", doctor_imports, true, false},
    {"trust", doctor_trust, false, false},
    {"environment", doctor_environment, true, false},
    {"network", doctor_reach, true, true},
    {"clock", doctor_clock, false, false},
};

static struct ccp_span safe(struct doctor *d, struct ccp_span text)
{
    char *copy = text.p != NULL ? arena_alloc(&d->arena, text.n + 1) : NULL;
    if (copy == NULL) {
        d->no_memory = true;
        return CCP_SPAN("out of memory");
    }
    for (size_t i = 0; i < text.n; i++)
        copy[i] = (unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f ? '?' : text.p[i];
    copy[text.n] = '\0';
    return ccp_span_of(copy, text.n);
}

static void add_json(struct doctor *d, enum doctor_mark mark, struct ccp_span text, struct ccp_span remedy)
{
    json_t *one = json_pack("{s:s, s:s, s:o, s:o}", "check", d->part, "status", marks[mark], "text", json_span(text),
                            "remedy", remedy.n != 0 ? json_span(remedy) : json_null());
    d->no_memory = json_array_append_new(d->checks, one) != 0 || d->no_memory;
}

static void found(struct doctor *d, enum doctor_mark mark, const char *remedy, const char *fmt, va_list ap)
{
    struct ccp_span text = safe(d, arena_vprintf(&d->arena, fmt, ap));
    struct ccp_span todo = remedy != NULL ? safe(d, ccp_span_z(remedy)) : CCP_SPAN("");
    d->counts[mark]++;
    if (d->checks != NULL) {
        add_json(d, mark, text, todo);
        return;
    }
    printf("%-4s  %-13s  %.*s\n", marks[mark], d->part, CCP_FMT(text));
    if (todo.n != 0)
        printf("      to do: %.*s\n", CCP_FMT(todo));
    fflush(stdout); /* the network may take its time */
}

void doctor_ok(struct doctor *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    found(d, DOCTOR_OK, NULL, fmt, ap);
    va_end(ap);
}

void doctor_warn(struct doctor *d, const char *remedy, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    found(d, DOCTOR_WARN, remedy, fmt, ap);
    va_end(ap);
}

static int weight(int code)
{
    return code == EXIT_CONFIG ? 3 : code == EXIT_FAILED ? 2 : code == EXIT_UNAVAILABLE ? 1 : 0;
}

void doctor_fail(struct doctor *d, int code, const char *remedy, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    found(d, DOCTOR_FAIL, remedy, fmt, ap);
    va_end(ap);
    if (weight(code) > weight(d->code))
        d->code = code;
}

const char *doctor_text(struct doctor *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct ccp_span text = arena_vprintf(&d->arena, fmt, ap);
    va_end(ap);
    d->no_memory = d->no_memory || text.p == NULL;
    return text.p != NULL ? text.p : "out of memory";
}

static void look(struct doctor *d)
{
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if ((!parts[i].configured || d->rt != NULL) && (!parts[i].network || !d->offline)) {
            d->part = parts[i].name;
            parts[i].look(d);
        }
}

static int summary(struct doctor *d)
{
    size_t ok = d->counts[DOCTOR_OK], warn = d->counts[DOCTOR_WARN], fail = d->counts[DOCTOR_FAIL];
    if (d->no_memory)
        return complain(EXIT_FAILED, "out of memory: not everything was looked at");
    if (d->checks == NULL) {
        printf("%zu ok, %zu to look at, %zu failed%s\n", ok, warn, fail,
               d->rt == NULL ? "; what needs a configuration was left out" : "");
        return d->code;
    }
    int code = print_json(json_pack("{s:s, s:b, s:O, s:{s:I, s:I, s:I}, s:i}", "version", CCP_VERSION, "ok", fail == 0,
                                    "checks", d->checks, "counts", "ok", (json_int_t)ok, "warn", (json_int_t)warn,
                                    "fail", (json_int_t)fail, "exit", d->code));
    return code != EXIT_OK ? code : d->code;
}

static void release(struct doctor *d)
{
    store_free(d->store);
    trust_unref(d->trust);
    runtime_unref(d->rt);
    json_decref(d->checks);
    arena_end(&d->arena);
    upstream_global_release();
}

static int run(struct cli *cli)
{
    struct doctor d = {.cli = cli, .offline = args_has(&cli->args, "offline")};
    signal(SIGPIPE, SIG_IGN);
    privilege_harden(); /* keys and logins are read on the way */
    arena_init(&d.arena, NULL, 0);
    if (args_has(&cli->args, "json") && (d.checks = json_array()) == NULL)
        return complain(EXIT_FAILED, "out of memory");
    if (!upstream_global_init()) {
        release(&d);
        return complain(EXIT_FAILED, "cannot set up the process");
    }
    look(&d);
    int code = summary(&d);
    release(&d);
    return code;
}

const struct command command_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "look at everything and say what to do",
    .details =
        "Changes nothing. Providers and login servers are asked for any answer, without a credential; --offline\n"
        "leaves that out. Exits with 0 when nothing failed, 78 when the configuration has faults, 69 when only\n"
        "addresses and servers failed (a port in use, a provider that cannot be reached), 1 for everything else.",
    .options = options,
    .run = run,
};
