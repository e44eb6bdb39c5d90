/*
 * Inside of the child process: loads the object, judges its record and prints it.
 *
 * It has an empty environment and no descriptors but its streams, the object and an empty file; it never reads
 * configuration or credentials. It ends without running anybody's exit handlers.
 */
#include <plugin/adopt_impl.h>
#include <plugin/describe_impl.h>
#include <plugin/discover.h>
#include <plugin/object_impl.h>
#include <plugin/probe_impl.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHADOWED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SHADOWED 1
#endif
#endif

bool discover_is_probe(int argc, char **argv)
{
    return argc == 3 && strcmp(argv[1], PROBE_WORD) == 0;
}

static void limit(int what, rlim_t value)
{
    setrlimit(what, &(struct rlimit){value, value}); /* lower ones stay: raising them fails */
}

/* Limits against accidents, not against malice: the object is trusted to be loaded by the server next. */
static void confine(void)
{
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NOFILE, 64);
    limit(RLIMIT_CPU, 60); /* for the case that nobody is left to kill it */
#ifndef SHADOWED           /* a sanitizer reserves terabytes for its shadow */
    limit(RLIMIT_AS, (rlim_t)2 << 30);
#endif
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a parent that died before this is no reason to look: ours may be process 1 */
}

/* The descriptor that answers are written to is taken away from the object, which may print what it likes: that goes
 * where its complaints go. */
static int keep_answers(void)
{
    int fd = dup(STDOUT_FILENO);
    return fd >= 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0 ? fd : -1;
}

static json_t *tell(const char *name, char *why, size_t max)
{
    struct arena a; /* ends with the process */
    const struct ccp_plugin *m;
    void *handle;
    char empty[40];
    snprintf(empty, sizeof(empty), "/proc/self/fd/%d", PROBE_EMPTY_FD);
    arena_init(&a, NULL, 0);
    const struct ccp_plugin *record = object_open(PROBE_FD, name, &handle, why, max);
    if (record == NULL || !adopt_record(record, &a, &m, why, max) || !adopt_check(m, name, true, why, max) ||
        !adopt_check_settings(m, empty, why, max))
        return NULL;
    json_t *manifest = describe_write(m, why, max);
    if (manifest == NULL)
        return NULL;
    return json_pack("{s:o, s:{s:i, s:i}}", "manifest", manifest, "abi", "major", (int)record->abi.major, "minor",
                     (int)record->abi.minor);
}

int discover_probe_main(int argc, char **argv)
{
    char why[600] = "";
    confine();
    int out = keep_answers();
    json_t *answer = out >= 0 ? tell(argv[2], why, sizeof(why)) : NULL;
    if (answer == NULL)
        answer = json_pack("{s:s}", "refused", why[0] != '\0' ? why : "out of memory");
    if (answer == NULL || json_dumpfd(answer, out, JSON_COMPACT) != 0)
        _exit(1);
    _exit(0);
}
