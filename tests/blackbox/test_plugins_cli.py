"""Commands and flags of plugins: found, explained, run and refused, on the binary, with shared objects of the tests."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import check
import plugin_kit
import server

RATINGS = plugin_kit.manifest("ratings", """
    .config = rows, .config_size = sizeof(struct settings), .commands = commands, .auth_commands = auth_commands,
    .flags = flags, .open = open_it, .close = close_it, .aliases = aliases, .middleware = middlewares, .hooks = hooks,
    .tasks = tasks, .actions = actions, .provides = services, .after = after, .uses = uses,""", before=r"""
struct settings { int64_t least; bool quiet; struct ccp_span word; const struct ccp_secret *token; };
static const struct ccp_config_row rows[] = {
    {"least", CCP_INT, offsetof(struct settings, least), "3", 0, 100, .doc = "smallest rating"},
    {"quiet", CCP_BOOL, offsetof(struct settings, quiet), "false"},
    {"word", CCP_STRING, offsetof(struct settings, word), "\"none\""},
    {"token", CCP_SECRET, offsetof(struct settings, token), "\"\""},
    {NULL},
};
__attribute__((constructor)) static void loaded(void) { if (getenv("TELL_LOAD")) fprintf(stderr, "code of ratings\n"); }
static const struct ccp_plugin_env *the_env;
static void *open_it(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    if (((const struct settings *)env->config)->least == 99) {
        *why = CCP_SPAN("99 is too much");
        return NULL;
    }
    the_env = env;
    env->api->log(env, CCP_LOG_INFO, "opened with least=%d", (int)((const struct settings *)env->config)->least);
    return &the_env;
}
static void close_it(void *self) { fprintf(stderr, "closed\n"); }
static int list(const struct ccp_cli *c)
{
    const struct settings *s = c->env->config;
    if (c->json) {
        c->print(c, "{\"least\": %d}\n", (int)s->least);
        return 0;
    }
    c->print(c, "self=%d least=%d word=%.*s all=%s by=%s\n", c->self != NULL, (int)s->least, CCP_FMT(s->word),
             c->option(c, "all") ? "yes" : "no", c->option(c, "by") ? c->option(c, "by") : "-");
    for (size_t i = 0; i < c->operand_count; i++)
        c->print(c, "operand %s\n", c->operands[i]);
    return 0;
}
static int code(const struct ccp_cli *c) { return atoi(c->operands[0]); }
static int complains(const struct ccp_cli *c)
{
    c->print(c, "first\n");
    return c->complain(c, 77, "%s is not for you", "this");
}
static int crashes(const struct ccp_cli *c) { *(volatile int *)16 = 1; return 0; }
static int leaves(const struct ccp_cli *c) { c->print(c, "bye\n"); exit(9); }
static void off_loop(void *arg) { __atomic_fetch_add((int *)arg, 1, __ATOMIC_RELEASE); }
static void off_loop_done(void *arg, struct ccp_exchange *x) { off_loop(arg); }
static int works(const struct ccp_cli *c)
{
    struct ccp_arena *a = c->env->api->arena_new(1 << 20);
    struct ccp_span why = {NULL, 0}, back = {NULL, 0};
    struct ccp_fetched got = {0};
    static int count;
    bool queued = c->env->api->work(c->env, NULL, off_loop, off_loop_done, &count);
    for (int i = 0; i < 500 && __atomic_load_n(&count, __ATOMIC_ACQUIRE) != 2; i++)
        usleep(10000);
    bool wrote = c->env->api->state_write(c->env, "note", CCP_SPAN("kept"), &why);
    bool read = c->env->api->state_read(c->env, "note", 100, a, &back, &why);
    struct ccp_fetch f = {.size = sizeof(f), .url = ccp_span_z(c->operands[0]), .allow_private = true};
    bool fetched = c->env->api->fetch(c->env, a, &f, &got, sizeof(got));
    c->print(c, "queued=%d ran=%d wrote=%d read=%d:%.*s fetched=%d:%d:%.*s\n", queued, count, wrote, read,
             CCP_FMT(back), fetched, got.status, CCP_FMT(got.body));
    c->env->api->arena_free(a);
    return 0;
}
static int bare(const struct ccp_cli *c) { return list(c); }
static int grant(const struct ccp_cli *c) { c->print(c, "granted %s\n", c->operand_count ? c->operands[0] : "all"); return 0; }
static const struct ccp_option list_options[] = {{"all", NULL, "everything"}, {"by", "NAME", "order by NAME"}, {NULL}};
static const struct ccp_command commands[] = {
    {"ratings list", "[NAME]...", "the ratings", "More about it.", list_options, 0, 2, true, true, list},
    {"ratings bare", "", "without an instance", NULL, NULL, 0, 0, false, false, bare},
    {"ratings code", "N", "exits with N", NULL, NULL, 1, 1, false, false, code},
    {"ratings complain", "", "refuses", NULL, NULL, 0, 0, false, false, complains},
    {"ratings crash", "", "crashes", NULL, NULL, 0, 0, false, true, crashes},
    {"ratings leave", "", "calls exit", NULL, NULL, 0, 0, false, true, leaves},
    {"ratings work", "URL", "uses services", NULL, NULL, 1, 1, false, true, works},
    {"rate", "", "one word", NULL, NULL, 0, 0, false, true, list},
    {NULL},
};
static const struct ccp_command auth_commands[] = {
    {"grant", "[NAME]", "grants access", NULL, NULL, 0, 1, false, true, grant}, {NULL}};
static const struct ccp_flag flags[] = {
    {"least-rating", "N", "least", "smallest rating that counts"}, {"ratings-quiet", NULL, "quiet", "says nothing"},
    {"ratings-token", "TOKEN", "token", "for the other side"}, {NULL}};
static const char *const aliases[] = {"stars", NULL};
static bool task(void *self, struct ccp_span *why) { fprintf(stderr, "a task ran\n"); return true; }
static const struct ccp_task tasks[] = {{"sweep", "sweeps", 20, 1, 0, 0, false, task}, {NULL}};
static enum ccp_verdict on_request(void *self, struct ccp_exchange *x) { return CCP_NEXT; }
static const struct ccp_middleware middlewares[] = {{"rating", CCP_LAYER_TRANSFORMATION, 7, on_request}, {NULL}};
static bool heard(void *self, enum ccp_event e, struct ccp_exchange *x, const struct ccp_moment *m) { return true; }
static const char *const custom[] = {"custom.rated", NULL};
static const struct ccp_hook hooks[] = {{"ear", CCP_HEARS(CUSTOM), 0, heard, NULL, custom}, {NULL}};
static enum ccp_verdict flush(void *self, struct ccp_exchange *x, const struct ccp_json *in) { return CCP_FAILED; }
static const struct ccp_action actions[] = {{"flush", "forgets", "{\"type\":\"object\"}", flush}, {NULL}};
static const struct ccp_service services[] = {{"ratings/1", &flags}, {NULL}};
static const char *const after[] = {"access_log", NULL}, *const uses[] = {"weights/1", NULL};
""").replace("#include <stdlib.h>", "#include <stdlib.h>\n#include <unistd.h>")

NEEDY = plugin_kit.manifest("needy", ".needs = needs, .commands = commands, .open = open_it, .requires = services,",
                            before=r"""
static const char *const needs[] = {"ratings >= 1.0", NULL}, *const services[] = {"ratings/1", NULL};
static void *open_it(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    void *self;
    return (void *)env->api->service(env, "ratings/1", &self);
}
static int run(const struct ccp_cli *c) { c->print(c, "served=%d\n", c->self != NULL); return 0; }
static const struct ccp_command commands[] = {{"needy", "", "needs another one", NULL, NULL, 0, 0, false, true, run}, {NULL}};
""")


def conflicting(name, members, before):
    return plugin_kit.manifest(name, members, before="__attribute__((unused)) static int run(const struct ccp_cli *c) { return 0; }\n" + before)


class Place:
    """A folder with plugins and a configuration that names it."""

    def __init__(self, sources, config=""):
        self.home = tempfile.mkdtemp(prefix="ccp-cli-")
        self.plugins = os.path.join(self.home, "plugins")
        os.mkdir(self.plugins, 0o755)
        for name, source in sources.items():
            plugin_kit.make(self.plugins, name, source)
        self.file = os.path.join(self.home, "ccproxy.toml")
        self.write(config)

    def write(self, config):
        with open(self.file, "w") as out:
            out.write('[plugin_discovery]\ndirectories = ["%s"]\nprobe_timeout = "30s"\n%s' % (self.plugins, config))

    def run(self, *words, env=None, config=True, timeout=60):
        """`@` stands for --config and its file, which are put at the end without it."""
        at = words.index("@") if "@" in words else len(words)
        words = [*words[:at], *(["--config", self.file] if config else []), *words[at + 1:]]
        return subprocess.run([os.path.abspath(server.BINARY), *words], cwd=self.home, capture_output=True, text=True,
                              env=server.environment(self.home, env), timeout=timeout, stdin=subprocess.DEVNULL)

    def close(self):
        shutil.rmtree(self.home, ignore_errors=True)


place = None


def before():
    global place
    place = Place({"ratings": RATINGS, "needy": NEEDY})


def after():
    place.close()


def problem_of(done, code, out=None, err=None):
    if done.returncode != code:
        return "exit %s instead of %s: %s%s" % (done.returncode, code, done.stdout[-300:], done.stderr[-500:])
    if out is not None and out not in done.stdout:
        return "standard output lacks %r: %r" % (out, done.stdout[-600:])
    if err is not None and err not in done.stderr:
        return "standard error lacks %r: %r" % (err, done.stderr[-600:])
    return None


def rows(*cases):
    for words, code, out, err in cases:
        yield " ".join(words), problem_of(place.run(*words), code, out, err)


def test_commands_run():
    yield from rows(
        (["ratings", "list"], 0, "self=1 least=3 word=none all=no by=-\n", "closed"),
        (["ratings", "list", "--all", "--by", "age", "a", "b"], 0, "all=yes by=age\noperand a\noperand b\n", None),
        (["ratings", "list", "@", "--by=x", "--", "--all"], 0, "all=no by=x\noperand --all\n", None),
        (["ratings", "list", "--json"], 0, '{"least": 3}\n', None),
        (["ratings", "list", "--set", "plugins.ratings.least=8"], 0, "least=8", None),
        (["ratings", "bare"], 0, "self=0 least=3", None),
        (["rate"], 0, "self=1", None),
        (["stars", "list"], 0, "self=1", None),
        (["auth", "grant"], 0, "granted all\n", None),
        (["auth", "grant", "bob"], 0, "granted bob\n", None),
        (["needy"], 0, "served=1\n", "closed"),
        (["ratings", "code", "0"], 0, None, None),
        (["ratings", "code", "255"], 255, None, None),
        (["ratings", "code", "256"], 1, None, None),
        (["ratings", "code", "-1"], 2, None, "unknown option"),
        (["ratings", "complain"], 77, "first\n", "ccproxy: this is not for you\n"),
    )


def test_commands_refuse_mistakes():
    yield from rows(
        (["ratings", "code"], 2, None, "usage: ccproxy ratings code N"),
        (["ratings", "list", "a", "b", "c"], 2, None, 'ratings list takes no "c"'),
        (["ratings", "list", "--al"], 2, None, "did you mean --all?"),
        (["ratings", "list", "@", "--by"], 2, None, "--by needs a value: --by NAME"),
        (["ratings", "list", "--all=1"], 2, None, "--all takes no value"),
        (["ratings", "bare", "--json"], 2, None, "unknown option --json"),
        (["ratings", "lst"], 2, None, 'there is no command "ratings lst" (did you mean "ratings list"?)'),
        (["ratngs", "list"], 2, None, 'did you mean "ratings list"?'),
        (["ratings"], 2, None, "ratings needs a command"),
        (["auth", "grnt"], 2, None, 'did you mean "auth grant"?'),
        (["nothing-of-the-kind"], 2, None, "ccproxy help lists them"),
        (["sttus"], 2, None, 'did you mean "status"?'),
        (["ratings", "list", "--set", "plugins.ratings.least=99"], 1, None,
         "plugin ratings could not be opened: 99 is too much"),
        (["ratings", "list", "--set", "plugins.ratings.least=x"], 78, None, "plugins.ratings.least"),
        (["ratings", "list", "--set", "plugins.ratings.enabled=false"], 78, None, "ccproxy plugins enable ratings"),
        (["needy", "--set", "plugins.ratings.enabled=false"], 78, None, "needy, which cannot be used: it needs"),
    )


def test_crashes_and_exits_are_its_own():
    done = place.run("ratings", "crash")
    assert done.returncode in (-signal.SIGSEGV, 1, 99), done.returncode  # 1, 99: the sanitizer's
    done = place.run("ratings", "leave")
    assert (done.returncode, done.stdout) == (9, "bye\n"), done


def test_services_work_in_a_command():
    import upstream
    up = upstream.Upstream()
    try:
        up.reset(upstream.reply({"here": 1}))
        done = place.run("ratings", "work", up.url + "/x", env={"XDG_STATE_HOME": place.home})
        assert done.returncode == 0, done
        assert 'queued=1 ran=2 wrote=1 read=1:kept fetched=1:200:{"here": 1}' in done.stdout, done
        assert "a task ran" not in done.stderr, "tasks run in a command"
    finally:
        up.close()


def test_help_shows_them():
    tell = {"TELL_LOAD": "1"}
    place.run("help")  # what is new was looked at once, by a child
    for words, wanted in (
            (["help"], ["Commands of plugins:\n", "  ratings list [NAME]...       the ratings (ratings)\n",
                        "  auth grant [NAME]            grants access (ratings)\n"]),
            (["--help"], ["Commands of plugins:\n"]),
            (["help", "ratings", "list"], ["usage: ccproxy ratings list [NAME]... [OPTIONS]", "More about it.", "--by NAME",
                                           "--json", "A command of plugin ratings."]),
            (["ratings", "list", "--help"], ["order by NAME", "--config FILE"]),
            (["ratings", "--help"], ["  ratings list", "  ratings code N"]),
            (["help", "ratings"], ["  ratings list"]),
            (["auth", "--help"], ["  auth login NAME", "  auth grant [NAME]"]),
            (["auth", "grant", "--help"], ["usage: ccproxy auth grant [NAME]"]),
            (["serve", "--help"], ["Options of plugin ratings:\n", "--least-rating N", "smallest rating that counts",
                                   "--ratings-quiet"])):
        done = place.run(*words, env=tell)
        missing = [w for w in wanted if w not in done.stdout]
        told = "code of ratings" in done.stderr
        yield " ".join(words), (None if done.returncode == 0 and not missing and not told and not done.stderr else
                                "exit %d, lacks %s, code ran: %s: %s%s" % (done.returncode, missing, told, done.stdout,
                                                                           done.stderr))
    yield "config --help", problem_of(place.run("config", "--help", config=False), 0, "config show")


def test_help_survives_a_broken_configuration():
    broken = Place({}, config='[server]\nport = "many"\n')
    try:
        os.mkdir(os.path.join(broken.plugins, "junk"))
        with open(os.path.join(broken.plugins, "junk", "junk.so"), "w") as out:
            out.write("no object")
        done = broken.run("help")
        assert done.returncode == 0 and "serve" in done.stdout, done
        assert done.stderr.count("\n") == 1 and "server.port" in done.stderr, done.stderr
        done = broken.run("zzzz")
        assert done.returncode == 2 and "server.port" in done.stderr, done
        done = broken.run("serv")
        assert done.returncode == 2 and 'did you mean "serve"?' in done.stderr, done
        broken.write("")
        done = broken.run("help")
        assert done.returncode == 0 and not done.stderr, done
    finally:
        broken.close()


def test_flags_set_settings():
    show = ["config", "show"]
    for words, wanted in ((["--least-rating", "12"], ["least = 12", "flag --least-rating"]),
                          (["--least-rating=13", "--port", "0"], ["least = 13"]),
                          (["--ratings-quiet"], ["quiet = true", "flag --ratings-quiet"])):
        done = place.run(*show, *words)
        missing = [w for w in wanted if w not in done.stdout]
        yield " ".join(words), None if done.returncode == 0 and not missing else "lacks %s: %s %s" % (
            missing, [l for l in done.stdout.splitlines() if "ratings" in l or "least" in l], done.stderr)
    done = place.run(*show, "--ratings-token", "sk-very-secret")
    yield "a secret is not shown", "it is shown" if "sk-very-secret" in done.stdout + done.stderr else None
    yield "out of range", problem_of(place.run(*show, "--least-rating", "1000"), 78, None, "flag --least-rating")
    yield "no value", problem_of(place.run("serve", "@", "--least-rating"), 2, None, "--least-rating needs a value")
    yield "nearly", problem_of(place.run("serve", "--least-ratin", "3"), 2, None, "did you mean --least-rating?")
    yield "of nobody", problem_of(place.run("serve", "--zzzz"), 2, None, "unknown option --zzzz")


def test_a_flag_reaches_the_server_and_its_reload():
    with server.Server('[plugin_discovery]\ndirectories = ["%s"]\nprobe_timeout = "30s"' % place.plugins,
                       arguments=["--ratings-token", "sk-hidden-token", "--least-rating", "42"]) as s:
        with open("/proc/%d/cmdline" % s.process.pid, "rb") as f:
            assert b"sk-hidden-token" not in f.read(), "the secret stays in the list of processes"
        s.process.send_signal(signal.SIGHUP)
        s.wait_log("reloaded", seconds=20)
        said = s.log_text()
        # other settings would have opened it anew
        assert said.count("opened with least=42") == 1 and said.count("opened with") == 1, said


def test_conflicts_are_refused():
    option = """static const struct ccp_option o[] = {{"%s", NULL, "x"}, {NULL}};
static const struct ccp_command commands[] = {{"zap", "", "x", NULL, o, 0, 0, false, false, run}, {NULL}};"""
    command = 'static const struct ccp_command commands[] = {{"%s", "", "x", NULL, NULL, 0, 0, false, false, run}, {NULL}};'
    flag = """struct s { int64_t key; };
static const struct ccp_config_row rows[] = {{"key", CCP_INT, 0, "1", 0, 9}, {NULL}};
static const struct ccp_flag flags[] = {{"%s", "N", "%s", "x"}, {NULL}};"""
    has_flags = ".config = rows, .config_size = sizeof(struct s), .flags = flags,"
    wrong = {
        "oconfig": (".commands = commands,", option % "config", "option --config"),
        "obad": (".commands = commands,", option % "Not a word", 'option "Not a word"'),
        "cserve": (".commands = commands,", command % "serve", "ccproxy's own"),
        "ctaken": (".commands = commands,", command % "ratings list", "belongs to plugin ratings"),
        "fport": (has_flags, flag % ("port", "key"), "flag --port is ccproxy's own"),
        "ftaken": (has_flags, flag % ("least-rating", "key"), "belongs to plugin ratings"),
        "fnone": (has_flags, flag % ("nokey", "other"), 'no setting "other"'),
    }
    for line in place.run("help", config=False).stdout.splitlines():
        words = line.split()[:2] if line.startswith("  ") else []
        if words[:1] == ["auth"]:
            wrong["a" + words[1]] = (".auth_commands = commands,", command % words[1], "ccproxy's own")
        elif words:
            wrong["c" + words[0]] = (".commands = commands,", command % words[0], "ccproxy's own")
    assert len(wrong) >= 20, sorted(wrong)
    crowd = Place({"z" + n: conflicting("z" + n, members, before) for n, (members, before, _) in wrong.items()})
    try:
        shutil.copytree(os.path.join(place.plugins, "ratings"), os.path.join(crowd.plugins, "ratings"))
        done = crowd.run("config", "check")
        text = done.stdout + done.stderr
        for name, (_, _, why) in wrong.items():
            lines = [l for l in text.splitlines() if "plugin z" + name + " " in l]
            yield name, None if lines and why in lines[0] else "not refused for that: %s" % (lines or text)
        yield "the first one keeps its own", problem_of(crowd.run("ratings", "list"), 0, "self=1")
    finally:
        crowd.close()


def test_show_tells_all_that_is_declared():
    about = json.loads(place.run("plugins", "show", "ratings", "--json").stdout)
    assert about["commands"][0] == {"name": "ratings list", "operands": "[NAME]...", "summary": "the ratings"}, about
    assert about["commands"][-1]["name"] == "auth grant"
    assert about["flags"][0] == {"name": "--least-rating", "sets": "least", "help": "smallest rating that counts"}
    assert about["tasks"][0]["name"] == "sweep" and about["tasks"][0]["interval_ms"] == 20
    assert about["actions"][0] == {"name": "flush", "summary": "forgets", "input": {"type": "object"}}
    assert about["hooks"][0] == {"name": "ear", "events": ["custom"], "custom": ["custom.rated"]}, about["hooks"]
    assert (about["provides"], about["after"], about["uses"], about["aliases"]) == (
        ["ratings/1"], ["access_log"], ["weights/1"], ["stars"])
    text = place.run("plugins", "show", "ratings").stdout
    assert "--least-rating least" in text and "custom.rated" in text, text
    order = place.run("plugins", "order", env={"TELL_LOAD": "1"})
    assert " 307  rating " in order.stdout and "code of ratings" not in order.stderr, order
    text = place.run("plugins", "dependencies").stdout
    assert "ratings after access_log uses weights/1 provides ratings/1\n" in text, text
    assert "needy needs ratings >= 1.0 requires ratings/1\n" in text, text


def cpu_ms(*words):
    """The least processor time that a whole process of these took."""
    best = 1e9
    for _ in range(7):
        child = subprocess.Popen([os.path.abspath(server.BINARY), *words], env=server.environment(place.home),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = status
        best = min(best, (usage.ru_utime + usage.ru_stime) * 1000)
    return best


def test_own_commands_start_as_fast_as_ever():
    """`version` looks at no plugin; `help` reads cached descriptions."""
    version, help_ms = cpu_ms("version"), cpu_ms("help", "--config", place.file)
    check.figure("PLG-21", "version %.1f ms of processor time, help with 2 shared objects %.1f ms" % (version, help_ms))
    assert version < 40 * server.SLOW and help_ms < 80 * server.SLOW, (version, help_ms)


if __name__ == "__main__":
    check.main(globals(), "blackbox/plugins_cli", before, after)
