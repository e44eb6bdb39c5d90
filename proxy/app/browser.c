/*
 * Starting the user's browser: execvp of an argument list, never a shell, since the URL comes from a server's metadata.
 *
 * The program is the first entry of $BROWSER (a list separated by ':', each with words of its own), else xdg-open. It
 * gets /dev/null for its standard streams, none of our descriptors, ten names of our environment, and init for a
 * parent. The same applies to what it starts.
 */
#include <app/browser.h>

#include <auth/provider.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 16

static const char *const passed_on[] = {"PATH",
                                        "HOME",
                                        "LANG",
                                        "DISPLAY",
                                        "WAYLAND_DISPLAY",
                                        "XAUTHORITY",
                                        "BROWSER",
                                        "XDG_RUNTIME_DIR",
                                        "XDG_CURRENT_DESKTOP",
                                        "DBUS_SESSION_BUS_ADDRESS"};
#define PASSED_ON (sizeof(passed_on) / sizeof(passed_on[0]))

/* All that the child needs, made before it exists: after fork in a process with threads little may be called. */
struct start {
    char *argv[WORDS_MAX + 2];
    char *envp[PASSED_ON + 1];
    char words[1024];
};

static char *entry(char *const *environ, const char *name)
{
    size_t n = strlen(name);
    for (; environ != NULL && *environ != NULL; environ++)
        if (strncmp(*environ, name, n) == 0 && (*environ)[n] == '=')
            return *environ;
    return NULL;
}

/* NULL: not set, or empty. */
static const char *value(char *const *environ, const char *name)
{
    const char *text = entry(environ, name);
    text = text != NULL ? strchr(text, '=') + 1 : NULL;
    return text != NULL && text[0] != '\0' ? text : NULL;
}

bool browser_there(char *const *environ)
{
    if (value(environ, "BROWSER") != NULL)
        return true;
    return (value(environ, "DISPLAY") != NULL || value(environ, "WAYLAND_DISPLAY") != NULL) &&
           value(environ, "SSH_CONNECTION") == NULL;
}

/* A leading '-' is no scheme, so it is refused with the rest. */
static bool url_is_safe(const char *url)
{
    for (const char *p = url; *p != '\0'; p++)
        if (*p <= 0x20 || *p >= 0x7f)
            return false;
    return oauth_url_refusal(ccp_span_z(url)) == NULL;
}

static bool split(struct start *s, const char *program, const char *url)
{
    size_t n = strcspn(program, ":"), words = 0;
    char *rest = s->words, *word;
    if ((size_t)snprintf(s->words, sizeof(s->words), "%.*s", (int)n, program) >= sizeof(s->words))
        return false;
    while ((word = strsep(&rest, " \t")) != NULL && words < WORDS_MAX)
        if (word[0] != '\0')
            s->argv[words++] = word;
    if (words == 0 || word != NULL)
        return false;
    s->argv[words] = (char *)(uintptr_t)url; /* execvp does not write to it */
    return true;
}

static bool prepare(struct start *s, const char *url, char *const *environ)
{
    const char *program = value(environ, "BROWSER");
    size_t n = 0;
    for (size_t i = 0; i < PASSED_ON; i++) {
        char *text = entry(environ, passed_on[i]);
        if (text != NULL)
            s->envp[n++] = text;
    }
    return split(s, program != NULL ? program : "xdg-open", url);
}

/* Every descriptor but the standard ones is closed by the exec; `report` among them, which tells that it worked. */
static void close_inherited(void)
{
    if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int fd = 3; fd < 1024; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void run_child(const struct start *s, int report)
{
    int null = open("/dev/null", O_RDWR);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int sig = 1; sig < 32; sig++)
        signal(sig, SIG_DFL);
    for (int fd = 0; null >= 0 && fd < 3; fd++)
        dup2(null, fd);
    close_inherited();
    if (null >= 0)
        execvpe(s->argv[0], s->argv, s->envp);
    int error = errno;
    while (write(report, &error, sizeof(error)) < 0 && errno == EINTR)
        continue;
    _exit(127);
}

/* Twice forked, so that init reaps what runs on. */
static bool start(const struct start *s)
{
    int report[2], error = 0, status = 0;
    if (pipe2(report, O_CLOEXEC) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        close(report[0]);
        setsid();
        pid_t child = fork();
        if (child == 0)
            run_child(s, report[1]);
        _exit(child < 0);
    }
    close(report[1]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    ssize_t n;
    while ((n = read(report[0], &error, sizeof(error))) < 0 && errno == EINTR)
        continue;
    close(report[0]);
    return pid > 0 && status == 0 && n == 0; /* the exec closed it without a word */
}

bool browser_open(const char *url, char *const *environ)
{
    struct start s = {.words = ""};
    return browser_there(environ) && url_is_safe(url) && prepare(&s, url, environ) && start(&s);
}
