/*
 * doctor: the machine. The guard around h2o, limits of the process, core dumps, and the clock.
 */
#include <app/doctor.h>

#include <base/clock.h>
#include <http/http.h>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define SKEW_MAX 300 /* seconds; what the checks of tokens allow */
/* 2025-01-01 and 2100-01-01: a machine without a battery for its clock begins in 1970 */
#define NOT_BEFORE 1735689600ll
#define NOT_AFTER  4102444800ll

static void look_at_guard(struct doctor *d)
{
    char why[HTTP_ERRBUF], version[HTTP_ERRBUF];
    if (!http_guard_check(why))
        doctor_fail(d, EXIT_CONFIG, "install the libh2o-evloop of Debian 12 and build ccproxy against it",
                    "the guard around h2o does not hold: %s", why);
    else if (!http_guard_version(version))
        doctor_warn(d, "install the version of Debian 12, or run the tests against this one", "%s", version);
    else
        doctor_ok(d, "%s; the guard around it holds", version);
}

/* As settings_limit_connections counts: each connection may need a second descriptor for its upstream. */
static void look_at_descriptors(struct doctor *d)
{
    struct rlimit files;
    if (d->rt == NULL || getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    unsigned long long wanted = 2ull * (unsigned long long)d->rt->settings.server.max_connections + 64;
    unsigned long long most = (unsigned long long)files.rlim_max;
    if (files.rlim_max == RLIM_INFINITY || most >= wanted)
        doctor_ok(d, "%llu open files are allowed, %llu are wanted at most",
                  files.rlim_max == RLIM_INFINITY ? wanted : most, wanted);
    else
        doctor_warn(d, "raise the limit (ulimit -Hn, LimitNOFILE=), or lower server.max_connections",
                    "%llu open files are allowed, server.max_connections would want %llu", most, wanted);
}

/* privilege_harden ran at the start of this command, as it does in serve. */
static void look_at_core(struct doctor *d)
{
    struct rlimit core;
    if (prctl(PR_GET_DUMPABLE) == 0 && getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0)
        doctor_ok(d, "core dumps are off, other programs of this user cannot look into the process");
    else
        doctor_warn(d, "allow prctl and setrlimit to the process (seccomp, container)",
                    "core dumps could not be switched off: a crash may write keys to the disk");
}

/* A secret has pages of its own; those beyond the limit are used unlocked (base/secret.c). */
static void look_at_memory(struct doctor *d)
{
    struct rlimit locked;
    if (getrlimit(RLIMIT_MEMLOCK, &locked) == 0 && locked.rlim_cur != RLIM_INFINITY && locked.rlim_cur < 256 * 1024)
        doctor_warn(d, "raise the limit of locked memory (ulimit -l, LimitMEMLOCK=) to 256 KiB or more",
                    "only %llu KiB of memory may be locked: secrets may be swapped out",
                    (unsigned long long)locked.rlim_cur / 1024);
}

void doctor_system(struct doctor *d)
{
    look_at_guard(d);
    look_at_descriptors(d);
    look_at_core(d);
    look_at_memory(d);
    if (geteuid() == 0 && d->rt != NULL && d->rt->settings.server.user.n == 0)
        doctor_warn(d, "set server.user, or start ccproxy as another user", "a server would run as root");
}

void doctor_clock(struct doctor *d)
{
    int64_t now = (int64_t)(clock_unix_us() / 1000000);
    const char *remedy = "set the clock (timedatectl set-ntp true): expiry of logins and certificates depends on it";
    if (now < NOT_BEFORE || now > NOT_AFTER)
        doctor_fail(d, EXIT_FAILED, remedy, "the clock is wrong: %lld seconds since 1970", (long long)now);
    else if (d->date == 0)
        doctor_ok(d, "plausible%s", d->offline ? "; not compared with a server (--offline)" : "");
    else if (d->date - d->dated > SKEW_MAX || d->dated - d->date > SKEW_MAX)
        doctor_fail(d, EXIT_FAILED, remedy, "%lld seconds %s the clock of a server that answered",
                    (long long)(d->date > d->dated ? d->date - d->dated : d->dated - d->date),
                    d->date > d->dated ? "behind" : "ahead of");
    else
        doctor_ok(d, "agrees with a server that answered (%+lld s)", (long long)(d->dated - d->date));
}
