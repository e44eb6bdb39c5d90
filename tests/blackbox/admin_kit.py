"""A plugin that can be told how to behave, and a server whose settings are changed while it runs."""
import json
import os
import subprocess
import tempfile

import plugin_kit
import server as server_module

ADMIN, USER = "admin-key-FIXTURE", "user-key-FIXTURE"

KEYS = """
[security]
keys = [{ name = "boss", token = "%s", admin = true }, { name = "user", token = "%s" }]
""" % (ADMIN, USER)

BEFORE = r"""
#include <stddef.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

struct settings {
    struct ccp_span greeting, journal;
    int64_t level;
    double ratio;
    uint64_t room, pause;
    bool broken;
    struct ccp_secret *token;
    struct ccp_list words;
    struct ccp_map tags;
    int mode;
};

#define ROW(k, t, d, ...) \
    {.key = #k, .type = t, .offset = offsetof(struct settings, k), .def = d, .doc = "a setting", __VA_ARGS__}
static const struct ccp_config_row rows[] = {
    ROW(greeting, CCP_STRING, "\"hello\""), ROW(journal, CCP_STRING, NULL),
    ROW(level, CCP_INT, "3", .min = 0, .max = 10), ROW(ratio, CCP_DOUBLE, "0.5"), ROW(room, CCP_SIZE, "\"1KiB\""),
    ROW(pause, CCP_DURATION, "0"), ROW(broken, CCP_BOOL, "false"), ROW(token, CCP_SECRET, "\"\""),
    ROW(words, CCP_LIST, "[]"), ROW(tags, CCP_MAP, NULL), ROW(mode, CCP_ENUM, "\"calm\"", .choices = "calm|wild"),
    {.key = NULL},
};

struct self {
    const struct ccp_plugin_env *env;
    const struct settings *s;
    char text[200];
};

static void note(const struct settings *s, const char *word)
{
    char path[500], line[100];
    if (s->journal.n == 0)
        return;
    snprintf(path, sizeof(path), "%.*s", (int)s->journal.n, s->journal.p);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600), n = snprintf(line, sizeof(line), "%s %s\n", NAME, word);
    if (fd >= 0 && write(fd, line, (size_t)n) != n)
        abort();
    if (fd >= 0)
        close(fd);
}

static void *open_it(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    const struct settings *s = env->config;
    if (s->broken) {
        *why = CCP_SPAN("it was told to be broken");
        return NULL;
    }
    struct self *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return NULL;
    self->env = env;
    self->s = s;
    note(s, "opened");
    return self;
}

static void close_it(void *self)
{
    note(((struct self *)self)->s, "closed");
    free(self);
}

static enum ccp_health check_it(void *arg, struct ccp_span *why)
{
    struct self *self = arg;
    uint64_t ms = self->s->pause;
    nanosleep(&(struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
    *why = self->s->greeting;
    return self->s->mode == 1 ? CCP_HEALTH_FAIL : CCP_HEALTH_PASS;
}

static enum ccp_verdict value(void *arg, struct ccp_exchange *x)
{
    struct self *self = arg;
    return x->api->respond(x, 200, CCP_SPAN("text/plain"), self->s->greeting);
}

static enum ccp_verdict silent(void *arg, struct ccp_exchange *x)
{
    return CCP_DONE;
}

static enum ccp_verdict echo(void *arg, struct ccp_exchange *x, const struct ccp_json *input)
{
    return x->api->respond(x, 200, CCP_SPAN("application/json"), input->raw);
}

static const struct ccp_route routes[] = {
    {.methods = "GET", .path = "/value", .tag = "tests", .summary = "says \"hello\"", .serve = value},
    {.methods = "GET", .path = "/silent", .serve = silent},
    {.methods = NULL}};
static const struct ccp_action actions[] = {
    {.name = "echo", .summary = "gives its input back", .run = echo,
     .input = "{\"type\":\"object\",\"required\":[\"text\"],\"additionalProperties\":false,\"properties\":{"
              "\"text\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":5},"
              "\"count\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9},"
              "\"list\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":2,"
              "\"items\":{\"enum\":[\"a\",\"b\",1.0]}}}}"},
    {.name = "plain", .run = echo},
    {.name = NULL}};
"""

MEMBERS = """.config = rows, .config_size = sizeof(struct settings), .open = open_it, .close = close_it,
    .check = check_it, .routes = routes, .actions = actions,"""


def build(directory, name="counter", more="", version="1.0.0"):
    """<directory>/<name>: all of the above, under that name."""
    os.chmod(directory, 0o755)
    return plugin_kit.make(directory, name, plugin_kit.manifest(
        name, MEMBERS + more, before='#define NAME "%s"\n' % name + BEFORE, version=version), version=version)


class Folder(tempfile.TemporaryDirectory):
    """With plugins in it; `config` is what a server needs to find them."""

    def __init__(self, *names):
        super().__init__(prefix="ccp-plugins-")
        for name in names or ("counter",):
            build(self.name, name)
        self.journal = os.path.join(self.name, "journal")
        self.config = KEYS + '[plugin_discovery]\ndirectories = ["%s"]\n' % self.name

    def tables(self, *names):
        return "".join('[plugins.%s]\njournal = "%s"\n' % (n, self.journal) for n in names or ("counter",))

    def lines(self):
        try:
            with open(self.journal) as f:
                return f.read().split("\n")[:-1]
        except FileNotFoundError:
            return []

    def count(self, line):
        return self.lines().count(line)


def state_file(own):
    """Where this server keeps what was changed (server.environment: nothing but HOME)."""
    return os.path.join(own.folder, ".local", "state", "ccproxy", "plugins.toml")


def kept(own):
    try:
        with open(state_file(own)) as f:
            return f.read()
    except FileNotFoundError:
        return None


def ask(own, path, key=ADMIN, method="GET", value=None):
    """(status, JSON); a value makes it a POST."""
    body = None if value is None and method == "GET" else b"" if value is None else \
        value if isinstance(value, bytes) else json.dumps(value).encode()
    answer = own.request("POST" if value is not None else method, path, body,
                         [("x-ccproxy-token", key)] if key else [], timeout=90)
    return answer.status, json.loads(answer.body) if answer.body else None


def post(own, path, value=None, key=ADMIN):
    return ask(own, path, key, "POST", value)


def say(own, plugin="counter"):
    """What the plugin's route says: its greeting."""
    answer = own.request("GET", "/plugins/%s/value" % plugin, headers=[("x-ccproxy-token", USER)])
    return answer.body.decode() if answer.status == 200 else answer.status


def run(own, *arguments):
    """A command with the server's configuration and home."""
    return subprocess.run([os.path.abspath(server_module.BINARY), *arguments, "-c", own.file], cwd=own.folder,
                          env=server_module.environment(own.folder), capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)
