"""Plugins that do not fit together or with ccproxy, and their settings: what `plugins list`, `config check` and `serve`
say, each time with the plugin's name and the remedy."""
import json
import os
import shutil
import signal
import time

import check
import plugin_kit
import plugin_files
import server

place = plugin_files.Place()


def fresh():
    shutil.rmtree(place.path, ignore_errors=True)
    os.mkdir(place.path, 0o755)


def make(name, members="", before="", version="1.0.0", **more):
    path = plugin_kit.make(place.path, name, plugin_kit.manifest(name, members, before, version),
                           flags=("-Wno-override-init",))
    plugin_kit.describe(path, **{"version": version, **more})
    return path


def needs(*texts):
    return "static const char *const needs[] = {%s, NULL};" % ", ".join('"%s"' % t for t in texts)


def provider(prefix):
    return """static const struct ccp_provider provider = {.label = "It", .prefix = "%s", .keyless = true,
        .formats = CCP_SPEAKS(OPENAI_CHAT), .base_url = "http://127.0.0.1:9"};""" % prefix


def route(prefix):
    return """static enum ccp_verdict serve(void *self, struct ccp_exchange *x) { return CCP_NEXT; }
        static const struct ccp_route routes[] = {{"GET", "", "%s", CCP_ACCESS_KEY, .serve = serve}, {.methods = NULL}};
        """ % prefix


def command(name):
    return """static int go(const struct ccp_cli *cli) { return 0; }
        static const struct ccp_command commands[] = {{"%s", "", "it", .run = go}, {.name = NULL}};""" % name


NEEDS, ROUTES, COMMANDS = ".needs = needs,", ".routes = routes,", ".commands = commands,"
PROVIDER = ".provider = &provider, .kind = CCP_PLUGIN_PROVIDER,"

# name -> the plugins [(name, members, before, version)], who is refused, what is said of it
CONFLICTS = {
    "cycle": ([("pa", NEEDS, needs("pb")), ("pb", NEEDS, needs("pa"))], "pa", ("it needs itself: pa -> pb -> pa",)),
    "missing need": ([("pa", NEEDS, needs("nobody"))], "pa", ("nobody",)),
    "version need": ([("pa", NEEDS, needs("pb >= 2.1")), ("pb", "", "", "2.0.9")], "pa", ("pb >= 2.1", "2.0.9")),
    "core too old": ([("pa", '.core = ">= 99.1",', "")], "pa", ("needs ccproxy >= 99.1",)),
    "two with one prefix": ([("pa", ROUTES, route("/px")), ("pb", ROUTES, route("/px"))], "pb",
                            ("/px", "plugin pa", "disable one")),
    "prefix of a provider": ([("pa", ROUTES, route("/claude"))], "pa", ("/claude", "claude_api")),
    "reserved prefix": ([("pa", ROUTES, route("/health"))], "pa", ("/health", "reserved")),
    "prefix of two segments": ([("pa", ROUTES, route("/a/b"))], "pa", ("/a/b", "one segment")),
    "two providers, one prefix": ([("pa", PROVIDER, provider("px")), ("pb", PROVIDER, provider("px"))], "pb",
                                  ("/px", "pa")),
    "provider at a built-in prefix": ([("pa", PROVIDER, provider("openai"))], "pa", ("/openai", "openai")),
    "provider at a reserved prefix": ([("pa", PROVIDER, provider("v1"))], "pa", ("/v1", "reserved")),
    "command of the core": ([("pa", COMMANDS, command("serve"))], "pa", ("serve", "ccproxy's own")),
    "two with one command": ([("pa", COMMANDS, command("cx")), ("pb", COMMANDS, command("cx"))], "pb", ("cx", "plugin pa")),
}


def test_plugins_that_do_not_fit():
    for case, (plugins, culprit, words) in CONFLICTS.items():
        fresh()
        for name, members, before, *version in plugins:
            make(name, members, before, *version)
        problem = plugin_files.refused(place, culprit, *words)
        innocent = [p[0] for p in plugins if p[0] != culprit] if case != "cycle" else []
        states, said = place.plugins()
        for name in innocent:
            if states.get(name) != "active":
                problem = problem or "%s is %s too: %s" % (name, states.get(name), said)
        done = place.run("config", "check")
        if done.returncode != 0:
            problem = problem or "config check ends with %d although nothing is required" % done.returncode
        yield case, problem
        required = place.config("[plugins.%s]\nrequired = true\n" % culprit)
        done = place.run("config", "check", config=required)
        wrong = done.returncode != 78 or any(w not in done.stdout + done.stderr for w in words)
        yield case + ", required", "exit %d: %s" % (done.returncode, done.stdout + done.stderr) if wrong else None


def test_name_of_a_built_in():
    fresh()
    make("mock")
    states, said = place.plugins()
    assert states["mock"] == "active" and "already a plugin mock" in said and "mock/mock.so" in said, said


def test_first_directory_wins():
    fresh()
    other = os.path.join(place.root, "second")
    os.makedirs(other, mode=0o755, exist_ok=True)
    make("it", version="1.0.0")
    plugin_kit.make(other, "it", plugin_kit.manifest("it", "", version="9.0.0"), version="9.0.0")
    done = place.run("plugins", "list", "--json", config=place.config(directories=[place.path, other]))
    [it] = [p for p in json.loads(done.stdout)["plugins"] if p["name"] == "it"]
    assert it["version"] == "1.0.0", it


def test_serving_without_those_that_fail():
    fresh()
    make("pa", NEEDS, needs("nobody"))
    make("bad", ".open = begin,", "static void *begin(const struct ccp_plugin_env *env, struct ccp_span *why) "
         "{ *why = CCP_SPAN(\"no disk today\"); return NULL; }")
    make("dep", NEEDS, needs("bad"))
    make("good", ".routes = routes,", plugin_files.ANSWERS % "fine")
    with place.server() as ccproxy:
        assert ccproxy.request("GET", "/plugins/good/it").body == b"fine"
        log = ccproxy.log_text() + ccproxy.output()
        for words in ("bad could not be opened: no disk today", "it needs bad, which could not be opened", "nobody"):
            assert words in log, (words, log[-3000:])
    for name, words in (("pa", "nobody"), ("bad", "no disk today")):
        config = place.config("[plugins.%s]\nrequired = true\n" % name)
        ccproxy = server.Server(config, env=place.env, wait=False)
        code = ccproxy.process.wait(30)
        said = ccproxy.output() + ccproxy.log_text()
        ccproxy.stop()
        assert code == 78 and words in said and name in said, "%s: exit %s: %s" % (name, code, said[-2000:])


# -- plugin.json --

def test_plugin_json():
    whole = {"name": "it", "version": "1.0.0", "abi": "2.0"}
    cases = [("unknown member", {"homepage": "x", "deep": {"a": [1]}}, None)]
    cases += [("no " + k, {k: None}, ('"%s" is missing' % k, "CMake")) for k in ("name", "version", "abi", "sha256")]
    cases += [("number as " + k, {k: 7}, ('"%s" is missing or not a text' % k,)) for k in whole]
    cases += [("another name", {"name": "other"}, ('about "other"', "rename")),
              ("another version", {"version": "1.0.1"}, ("says version 1.0.1", "version 1.0.0", "one build")),
              ("another interface", {"abi": "2.7"}, ("2.7", "2.0")), ("another sum", {"sha256": "0" * 64}, ("SHA-256",)),
              ("long version", {"version": "1" * 1000}, ("version",))]
    for name, change, words in cases:
        fresh()
        plugin_kit.describe(make("it"), **change)
        if words is None:
            states, said = place.plugins()
            yield name, None if states["it"] == "active" else said
        else:
            yield name, plugin_files.refused(place, "it", *words)
    for name, text, words in (("not JSON", "{\n\"name\": it}", ("plugin.json:2",)), ("an array", "[]", ("not a JSON object",)),
                              ("empty", "", ("plugin.json:1",)), ("twice", '{"name":"it","name":"it"}', ("plugin.json",)),
                              ("huge", '{"a":"%s"}' % ("x" * 70000), ("64 KiB",)), ("deep", "[" * 60000, ("plugin.json",))):
        fresh()
        make("it")
        with open(os.path.join(place.path, "it", "plugin.json"), "w") as out:
            out.write(text)
        yield name, plugin_files.refused(place, "it", *words)


# -- what a record may not say --

RECORDS = {
    "name": ('.name = "other",', "", ("rename",)),
    "version": ('.version = "one",', "", ("version: must be numbers",)),
    "no_summary": (".summary = NULL,", "", ("summary",)),
    "two_lines": ('.summary = "a\\nb",', "", ("summary: must be one line",)),
    "kind": (".kind = 7,", "", ("kind: 7",)),
    "need": (NEEDS, needs("Bad Name"), ('needs[0]: "Bad Name"',)),
    "layer": (".middleware = m,", "static void end(void *s, struct ccp_exchange *x) {} static const struct ccp_middleware "
              'm[] = {{"a", CCP_LAYER_ROUTING, 1, .on_end = end}, {"b", CCP_LAYER_CORE, 1, .on_end = end}, {.name = NULL}};',
              ("middleware[1]", "layer: 0")),
    "order": (".middleware = m,", "static void end(void *s, struct ccp_exchange *x) {} static const struct ccp_middleware "
              'm[] = {{"a", CCP_LAYER_ROUTING, 100, .on_end = end}, {.name = NULL}};', ("middleware[0]", "order: 100")),
    "idle_hook": (".hooks = h,", 'static const struct ccp_hook h[] = {{"a", CCP_HEARS(APP_READY)}, {.name = NULL}};',
                  ("hooks[0]", "neither on_event nor observe")),
    "deaf_hook": (".hooks = h,", "static bool see(void *s, const struct ccp_event_info *i) { return true; } static const "
                  'struct ccp_hook h[] = {{"a", 1ull << 60, .observe = see}, {.name = NULL}};', ("hooks[0]", "events")),
    "no_serve": (".routes = r,", 'static const struct ccp_route r[] = {{"GET", "/a"}, {.methods = NULL}};',
                 ("routes[0]", "serve: is missing")),
    "methods": (".routes = r,", 'static const struct ccp_route r[] = {{"get", "/a"}, {.methods = NULL}};',
                ("routes[0]", "methods")),
    "schema": (".actions = a,", "static enum ccp_verdict run(void *s, struct ccp_exchange *x, const struct ccp_json *i) "
               '{ return CCP_NEXT; } static const struct ccp_action a[] = {{"go", "", "{oops", run}, {.name = NULL}};',
               ("actions[0]", "not a JSON object")),
    "task": (".tasks = t,", "static bool run(void *s, struct ccp_span *w) { return true; } static const struct ccp_task "
             't[] = {{"go", .run = run}, {.name = NULL}};', ("tasks[0]", "interval_ms: is 0")),
    "jitter": (".tasks = t,", "static bool run(void *s, struct ccp_span *w) { return true; } static const struct ccp_task "
               't[] = {{"go", .interval_ms = 1, .jitter_ms = ~0ull, .run = run}, {.name = NULL}};',
               ("tasks[0]", "a time is more than 8784 hours")),
    "service": (".provides = p,", 'static const struct ccp_service p[] = {{"ratings", "x"}, {.name = NULL}};',
                ("provides[0]", "ratings/1")),
    "offset": (".config = c, .config_size = 8,", "static const struct ccp_config_row c[] = {{\"a\", CCP_INT, 0}, "
               '{"b", CCP_INT, 8}, {.key = NULL}};', ("config[1]", '"b"', "outside")),
    "aligned": (".config = c, .config_size = 16,", "static const struct ccp_config_row c[] = {{\"a\", CCP_INT, 4}, "
                "{.key = NULL}};", ("config[0]", "aligned")),
    "twice": (".config = c, .config_size = 16,", "static const struct ccp_config_row c[] = {{\"a\", CCP_INT, 0}, "
              '{"a", CCP_INT, 8}, {.key = NULL}};', ("config[1]", "there twice")),
    "shared": (".config = c, .config_size = 16,", "static const struct ccp_config_row c[] = {{\"required\", CCP_BOOL, 0}, "
               "{.key = NULL}};", ("config[0]", '"required"')),
    "type": (".config = c, .config_size = 16,", "static const struct ccp_config_row c[] = {{\"a\", 77, 0}, "
             "{.key = NULL}};", ("config[0]", "type: is not known")),
    "default": (".config = c, .config_size = 16,", "static const struct ccp_config_row c[] = {{\"a\", CCP_INT, 0, "
                "\"\\\"x\\\"\"}, {.key = NULL}};", ("config:", "a")),
    "range": (".config = c, .config_size = 16,", "static const struct ccp_config_row c[] = {{\"a\", CCP_INT, 0, \"9\", "
              "1, 5}, {.key = NULL}};", ("config:", "a")),
    "choices": (".config = c, .config_size = 16,", "static const struct ccp_config_row c[] = {{\"a\", CCP_ENUM, 0}, "
                "{.key = NULL}};", ("config[0]", "choices")),
    "endless": (".routes = r,", "static enum ccp_verdict serve(void *self, struct ccp_exchange *x) { return CCP_NEXT; } "
                "static const struct ccp_route r[2000] = {[0 ... 1999] = {\"GET\", \"/a\", .serve = serve}};",
                ("routes: the list has no end",)),
    "wild": (".routes = (const struct ccp_route *)16,", "", ("loading it ended",)),
    "flag": (".flags = f,", 'static const struct ccp_flag f[] = {{"go", NULL, "nokey", "h"}, {.name = NULL}};',
             ("flags[0]", "no setting")),
}


def test_records_that_are_wrong():
    fresh()
    for name, (members, before, _) in RECORDS.items():
        text = plugin_kit.manifest(name, members, before)
        plugin_kit.make(place.path, name, text, flags=("-Wno-override-init", "-Wno-unused-function"))
    states, said = place.plugins(timeout=110)
    for name, (_, _, words) in RECORDS.items():
        line = plugin_files.about(said, name)
        ok = states.get(name) == "failed" and all(w in line for w in words)
        yield name, None if ok else "%s: %s" % (states.get(name), line or said)


# -- settings --

SETTINGS = """
struct item { struct ccp_span name; int64_t weight; };
struct settings { int64_t level; struct ccp_span text; struct ccp_secret *key; struct ccp_list list; struct ccp_tables items;
                  uint64_t pause; int mode; bool on; };
static const struct ccp_config_row item_rows[] = {
    {"name", CCP_STRING, offsetof(struct item, name), .flags = CCP_ROW_REQUIRED},
    {"weight", CCP_INT, offsetof(struct item, weight), "1", 0, 9}, {.key = NULL}};
#define S(m) offsetof(struct settings, m)
static const struct ccp_config_row rows[] = {
    {"level", CCP_INT, S(level), "3", 0, 10, .doc = "how much"}, {"text", CCP_STRING, S(text), "\\"hi\\""},
    {"key", CCP_SECRET, S(key), "\\"\\""}, {"list", CCP_LIST, S(list), "[]"},
    {"items", CCP_TABLES, S(items), .rows = item_rows, .row_size = sizeof(struct item)},
    {"pause", CCP_DURATION, S(pause), "\\"5s\\""}, {"mode", CCP_ENUM, S(mode), "\\"slow\\"", .choices = "slow|fast"},
    {"on", CCP_BOOL, S(on), "true"}, {.key = NULL}};
static void *begin(const struct ccp_plugin_env *env, struct ccp_span *why) { return (void *)env; }
static enum ccp_verdict serve(void *self, struct ccp_exchange *x)
{
    const struct ccp_plugin_env *env = self;
    const struct settings *s = env->config;
    const struct item *items = s->items.v;
    char out[400];
    int n = snprintf(out, sizeof(out), "%d %.*s %zu %d %d %d", (int)s->level, CCP_FMT(s->text), s->list.n, (int)s->pause,
                     s->mode, s->on);
    for (size_t i = 0; i < s->items.n; i++)
        n += snprintf(out + n, sizeof(out) - (size_t)n, " %.*s=%d", CCP_FMT(items[i].name), (int)items[i].weight);
    return x->api->respond(x, 200, CCP_SPAN("text/plain"), ccp_span_of(out, (size_t)n));
}
static const struct ccp_route routes[] = {{"GET", "/it", NULL, CCP_ACCESS_PUBLIC, .serve = serve}, {.methods = NULL}};
"""


def settled():
    fresh()
    make("it", ".config = rows, .config_size = sizeof(struct settings), .routes = routes, .open = begin,", SETTINGS)


def test_settings_of_a_shared_object():
    settled()
    config = place.config('[plugins.it]\nlevel = 7\nkey = "s3cr3t"\n[[plugins.it.items]]\nname = "a"\n'
                          '[[plugins.it.items]]\nname = "b"\nweight = 4\n')
    with place.server(config, env={"PLUGINS__IT__TEXT": "from env", "PLUGINS__IT__LIST": "x,y"}) as ccproxy:
        body = ccproxy.request("GET", "/plugins/it/it").body.decode()
        assert body == "7 from env 2 5000 0 1 a=1 b=4", body
        ccproxy.write(config.replace("level = 7", "level = 8"))
        os.kill(ccproxy.process.pid, signal.SIGHUP)
        end = time.monotonic() + 20
        while not ccproxy.request("GET", "/plugins/it/it").body.startswith(b"8 "):
            assert time.monotonic() < end, "the new value never came"
        ccproxy.write(config.replace("level = 7", "level = 99"))
        os.kill(ccproxy.process.pid, signal.SIGHUP)
        ccproxy.wait_log("plugins.it.level", seconds=20)
        assert ccproxy.request("GET", "/plugins/it/it").body.startswith(b"8 "), "a bad file changed something"
    done = place.run("plugins", "settings", "it", config=config, env={"PLUGINS__IT__TEXT": "from env"})
    for words in ("level = 7  # ", "c.toml:5", 'text = "from env"  # env PLUGINS__IT__TEXT', 'mode = "slow"  # default'):
        assert words in done.stdout, done.stdout + done.stderr
    shown = place.run("config", "show", config=config).stdout
    assert "[plugins.it]" in shown and "level = 7" in shown and "s3cr3t" not in shown + done.stdout
    told = json.loads(place.run("plugins", "show", "it", "--json", config=config).stdout)
    assert told["name"] == "it" and told["status"] == "active", told


def test_wrong_settings_of_a_shared_object():
    settled()
    for name, lines, words in (
            ("type", "level = \"x\"", ("c.toml:5: plugins.it.level",)), ("range", "level = 11", ("plugins.it.level", "10")),
            ("unknown", "levle = 1", ("plugins.it.levle", "did you mean \"level\"")),
            ("choice", "mode = \"medium\"", ("plugins.it.mode",)), ("unit", "pause = \"5 parsecs\"", ("plugins.it.pause",)),
            ("in a table", "[[plugins.it.items]]\nweight = 1", ("items", "name")),
            ("in a table, range", "[[plugins.it.items]]\nname = \"a\"\nweight = 77", ("items", "weight"))):
        config = place.config("[plugins.it]\n" + lines + "\n")
        done = place.run("config", "check", config=config)
        said = done.stdout + done.stderr
        ok = done.returncode == 78 and all(w in said for w in words)
        yield name, None if ok else "exit %d: %s" % (done.returncode, said)
    done = place.run("config", "check", env={"PLUGINS__IT__LEVEL": "many"})
    yield "environment", None if done.returncode == 78 and "PLUGINS__IT__LEVEL" in done.stdout + done.stderr else \
        "exit %d: %s" % (done.returncode, done.stdout + done.stderr)


# -- plugins check --

def test_plugins_check():
    settled()
    path = os.path.join(place.path, "it", "it.so")
    digest = plugin_kit.hashlib.sha256(open(path, "rb").read()).hexdigest()
    done = server.run("plugins", "check", path)
    for words in ("it", "1.0.0", "2.0", digest, "GET /it", "level", "ok"):
        assert words in done.stdout, (words, done.stdout)
    assert done.returncode == 0, done.stderr
    told = json.loads(server.run("plugins", "check", path, "--json").stdout)
    assert told["ok"] is True and told["sha256"] == digest and told["abi"] == "2.0" and told["refused"] is None
    assert told["manifest"]["config"][0]["key"] == "level" and told["manifest"]["routes"][0]["path"] == "/it"
    os.unlink(os.path.join(place.path, "it", "plugin.json"))
    assert server.run("plugins", "check", path).returncode == 0, "an object without plugin.json can be checked"
    plugin_kit.describe(path, version="3.3.3", sha256="0" * 64)
    done = server.run("plugins", "check", path)
    assert done.returncode == 1 and "SHA-256" in done.stderr and "3.3.3" in done.stderr and "\nok" not in done.stdout
    told = json.loads(server.run("plugins", "check", path, "--json").stdout)
    assert told["ok"] is False and "3.3.3" in told["refused"]
    for name, words in (("/nowhere/it.so", "No such file"), ("/etc/passwd", "passwd"), (place.path + "/No.so", "No.so")):
        done = server.run("plugins", "check", name)
        assert done.returncode == 1 and words in done.stderr, (name, done.returncode, done.stderr)
    assert server.run("plugins", "check").returncode == 2


# -- life --

def test_reloads_leave_nothing():
    """The object is loaded anew with every reload; descriptors, mappings and threads stay as many as they were."""
    fresh()
    rounds = 1000 if check.LONG else 60
    make("it", ".config = rows, .config_size = sizeof(struct settings), .routes = routes, .open = begin,", SETTINGS)

    def state(pid):
        with open("/proc/%d/maps" % pid) as maps:
            return len(os.listdir("/proc/%d/fd" % pid)), sum("memfd:it" in l for l in maps)

    def reload(ccproxy, level):
        ccproxy.write(place.config("[plugins.it]\nlevel = %d\n" % level))
        os.kill(ccproxy.process.pid, signal.SIGHUP)
        end = time.monotonic() + 20
        while not ccproxy.request("GET", "/plugins/it/it").body.startswith(b"%d " % level):
            assert time.monotonic() < end, "reload %d never came" % level
            time.sleep(0.002)

    def settle(pid, wanted):
        end = time.monotonic() + 5
        while state(pid) != wanted and time.monotonic() < end:
            time.sleep(0.05)
        return state(pid)

    with place.server(place.config("[plugins.it]\nlevel = 1\n")) as ccproxy:
        for i in range(6):
            reload(ccproxy, i % 2 + 2)
        time.sleep(0.5)
        before = state(ccproxy.process.pid)
        for i in range(rounds):
            if i == rounds // 2:
                rss = ccproxy.rss()  # the allocator has found its level by then
            reload(ccproxy, i % 2 + 4)
        after = settle(ccproxy.process.pid, before)
        grown = ccproxy.rss() - rss
    assert after == before, "descriptors and mappings of the object: %s, then %s" % (before, after)
    assert server.sanitized() or grown < 1 << 20, "memory grew by %d KiB" % (grown >> 10)


def test_loading_after_root_was_given_up():
    """The process is not dumpable and not root any more: a child can still be started and an object loaded."""
    if os.geteuid() != 0:
        raise check.Skip("only root can become somebody else")
    fresh()
    make("one", ".routes = routes,", plugin_files.ANSWERS % "one")
    with place.server(server='user = "nobody"', arguments=("--set", "logging.file="), wait=False) as ccproxy:
        os.chmod(ccproxy.folder, 0o755)  # a reload reads the file as that user
        ccproxy.wait_ready()
        assert ccproxy.request("GET", "/plugins/one/it").body == b"one"
        assert os.stat("/proc/%d/fd" % ccproxy.process.pid).st_uid == 0, "dumpable"
        with open("/proc/%d/status" % ccproxy.process.pid) as status:
            assert "Uid:\t0" not in status.read(), "still root"
        make("two", ".routes = routes,", plugin_files.ANSWERS % "two")
        os.kill(ccproxy.process.pid, signal.SIGHUP)
        end = time.monotonic() + 20
        while ccproxy.request("GET", "/plugins/two/it").status != 200:
            assert time.monotonic() < end, ccproxy.output() + ccproxy.log_text()[-2000:]
            time.sleep(0.02)


POINTS = ("plugin.open", "plugin.path", "plugin.list", "plugin.memfd", "plugin.read", "plugin.copy", "plugin.sum",
          "plugin.about", "plugin.describe", "plugin.probe", "plugin.spawn", "plugin.cache", "plugin.cache.write")


def test_each_step_fails_once():
    """Looking for plugins with one failing call: said, never a crash; loading likewise."""
    settled()
    make("two", ".routes = routes,", plugin_files.ANSWERS % "two")
    shutil.rmtree(place.cache, ignore_errors=True)
    quiet = {"plugin.cache", "plugin.cache.write"}
    for point in POINTS:
        shutil.rmtree(place.cache, ignore_errors=True)
        done = place.run("plugins", "list", "--json", env={"CCPROXY_FAULT": point + ":1"})
        said = done.returncode == 0 and (point in quiet) == ("warning" not in done.stderr)
        yield point, None if said else "exit %d: %s" % (done.returncode, done.stderr)
    for point in ("plugin.object", "plugin.memfd", "plugin.dlopen", "plugin.adopt", "unit.open"):
        place.plugins()  # described from here on, so that loading is what fails
        nth = ":5" if point == "plugin.memfd" else ":1"
        with place.server(env={"CCPROXY_FAULT": point + nth}) as ccproxy:
            states = [ccproxy.request("GET", "/plugins/%s/it" % n).status for n in ("it", "two")]
            log = ccproxy.log_text() + ccproxy.output()
        told = "could not be opened" in log or point == "plugin.memfd"
        yield "loading, " + point, None if told and 200 in states else "%s: %s" % (states, log[-1500:])
    for n in list(range(1, 40)) if check.LONG else (3, 40, 400, 1500, 3000, 3300, 3600):
        shutil.rmtree(place.cache, ignore_errors=True)
        done = place.run("plugins", "list", env={"CCPROXY_FAULT": "alloc:%d" % n})
        yield "allocation %d" % n, None if done.returncode in (0, 1, 78) else "exit %d: %s" % (
            done.returncode, done.stderr)


if __name__ == "__main__":
    check.main(globals(), "blackbox/plugins_load_bad", after=lambda: place.__exit__())
