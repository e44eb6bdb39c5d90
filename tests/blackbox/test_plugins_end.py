"""Where a process with plugins runs and how it ends: as process 1, as a user it became, with a close that hangs."""
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time

import check
import plugin_files
import plugin_kit
import server

place = plugin_files.Place()
ADMIN = "admin-key-FIXTURE"

KEEPER = """
static const struct ccp_plugin_env *me;
static void *open_it(const struct ccp_plugin_env *env, struct ccp_span *why) { return (void *)(me = env); }
static void keep(void *arg)
{
    struct ccp_span why;
    me->api->state_write(me, "kept", CCP_SPAN("words"), &why);
}
static void kept(void *arg, struct ccp_exchange *x)
{
    if (x == NULL)
        return;
    x->api->respond(x, 200, CCP_SPAN("text/plain"), CCP_SPAN("kept"));
    x->api->resume(x, CCP_DONE);
}
static void cancel(void *arg) { }
static enum ccp_verdict serve(void *self, struct ccp_exchange *x)
{
    x->api->park(x, cancel, NULL);
    return x->api->work(me, x, keep, kept, NULL) ? CCP_WAIT : x->api->fail(x, CCP_INTERNAL, "refused");
}
static const struct ccp_route routes[] = {{"GET", "/it", NULL, CCP_ACCESS_PUBLIC, .serve = serve}, {.methods = NULL}};
"""

# A child that leaves one of its own behind.
LEAVES = """
static const struct ccp_plugin_env *me;
static void *open_it(const struct ccp_plugin_env *env, struct ccp_span *why) { return (void *)(me = env); }
static bool leave(void *self, struct ccp_span *why)
{
    const char *argv[] = {"sh", "-c", "sleep 60 & exit 0", NULL};
    struct ccp_run what = {.size = sizeof(what), .argv = argv, .timeout_ms = 5000};
    struct ccp_ran got;
    struct ccp_arena *a = me->api->arena_new(65536);
    bool ok = me->api->run(me, a, &what, &got, sizeof(got));
    me->api->arena_free(a);
    me->api->log(me, CCP_LOG_INFO, "one child ran");
    return ok;
}
static const struct ccp_task tasks[] = {{.name = "leave", .interval_ms = 30, .first_ms = 1, .run = leave},
    {.name = NULL}};
"""

FORKS = """
#include <unistd.h>
__attribute__((constructor)) static void fork_one(void) { if (fork() == 0) for (;;) pause(); }
"""

# A child that would outlive the server.
LASTS = LEAVES.replace("sleep 60 & exit 0", "sleep 61.0625").replace("5000", "60000").replace(
    "me->api->run(", "(me->api->log(me, CCP_LOG_INFO, \"one child begins\"), true) && me->api->run(")

HANGS = """
#include <unistd.h>
static void *open_it(const struct ccp_plugin_env *env, struct ccp_span *why) { return malloc(1); }
static void close_it(void *self) { for (;;) pause(); }
"""


def need_root():
    if os.geteuid() != 0:
        raise check.Skip("needs root")


def fresh():
    shutil.rmtree(place.path)
    os.mkdir(place.path, 0o755)


def children(pid):
    out = []
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/children" % (pid, task)) as f:
            out += [int(c) for c in f.read().split()]
    return out


def state_of(pid):
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rsplit(")", 1)[1].split()[0]


def test_whatever_descriptors_are_taken():
    """The process that describes an object gets its own descriptors, whichever numbers they have in ours."""
    fresh()
    plugin_kit.make(place.path, "it", plugin_kit.manifest("it", "", ""))
    taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(60)]
    file = os.path.join(place.root, "c.toml")
    with open(file, "w") as out:
        out.write(place.config())
    bad = []
    for last in range(30, 50):
        shutil.rmtree(place.cache, ignore_errors=True)
        done = subprocess.run([os.path.abspath(server.BINARY), "plugins", "list", "--json", "-c", file],
                              env=server.environment(place.root, place.env), capture_output=True, text=True, timeout=60,
                              pass_fds=[fd for fd in taken if fd <= last])
        states = {p["name"]: p["status"] for p in json.loads(done.stdout)["plugins"]}
        if states.get("it") != "active":
            bad.append((last, done.stderr[-300:]))
    for fd in taken:
        os.close(fd)
    assert not bad, bad


def test_as_process_1():
    """A container without an init: whatever a plugin's children leave behind falls to ccproxy, and none stays dead."""
    need_root()
    if subprocess.run(["unshare", "-pf", "true"], capture_output=True).returncode:
        raise check.Skip("no PID namespaces here")
    fresh()
    plugin_kit.make(place.path, "leaves", plugin_kit.manifest("leaves", ".open = open_it, .tasks = tasks,", LEAVES))
    plugin_kit.make(place.path, "forks", plugin_kit.manifest("forks", "", FORKS))
    wrapper = os.path.join(place.root, "as-1")
    with open(wrapper, "w") as out:
        out.write("#!/bin/sh\nexec unshare -pf --kill-child --mount-proc '%s' \"$@\"\n" %
                  os.path.abspath(server.BINARY))
    os.chmod(wrapper, 0o755)
    config = place.config('[plugins.forks]\nenabled = false\n')  # described by a child, never opened
    outer = place.server(config, binary=wrapper)
    try:
        outer.wait_log("one child ran", seconds=20, times=5)
        one = children(outer.process.pid)[0]
        assert os.readlink("/proc/%d/ns/pid" % one) != os.readlink("/proc/self/ns/pid")
        left = [c for c in children(one) if state_of(c) == "Z"]
        assert len(left) <= 1, "%d dead children were not waited for" % len(left)  # one may have died just now
        os.kill(one, signal.SIGTERM)
        assert outer.process.wait(20) == 0
    finally:
        if outer.process.poll() is None:
            outer.process.kill()
        outer.stop(5)
        shutil.rmtree(outer.folder, ignore_errors=True)


def as_nobody(env):
    keys = '[[security.keys]]\nname = "a"\ntoken = "%s"\nadmin = true\n' % ADMIN
    ccproxy = place.server(place.config(keys), env=env, server='user = "nobody"', wait=False)
    os.chmod(ccproxy.folder, 0o755)
    for name in ("config.toml", "log"):
        path = os.path.join(ccproxy.folder, name)
        open(path, "a").close()
        subprocess.run(["chown", "nobody", path], check=True)
    ccproxy.wait_ready()
    return ccproxy


def test_as_the_user_it_became():
    """Started as root with server.user: state, descriptions and a reload with the rights that are left."""
    need_root()
    fresh()
    home = tempfile.mkdtemp(prefix="ccp-nobody-", dir=place.root)
    subprocess.run(["chown", "nobody", home], check=True)
    plugin_kit.make(place.path, "keeper", plugin_kit.manifest("keeper", ".open = open_it, .routes = routes,", KEEPER))
    env = {"XDG_STATE_HOME": home + "/state", "XDG_CACHE_HOME": home + "/cache"}
    with as_nobody(env) as ccproxy:
        assert ccproxy.request("GET", "/plugins/keeper/it").body == b"kept"
        kept = os.stat(home + "/state/ccproxy/plugins/keeper/kept")
        assert kept.st_uid == os.stat(home).st_uid and stat.S_IMODE(kept.st_mode) == 0o600
        # another content: described and loaded by the unprivileged process
        plugin_kit.make(place.path, "keeper", plugin_kit.manifest(
            "keeper", ".open = open_it, .routes = routes,", KEEPER.replace('CCP_SPAN("kept")', 'CCP_SPAN("anew")')))
        os.kill(ccproxy.process.pid, signal.SIGHUP)
        ccproxy.wait_log("reloaded", seconds=20)
        assert ccproxy.request("GET", "/plugins/keeper/it").body == b"anew", ccproxy.log_text()
        changed = ccproxy.request("POST", "/plugins/mock/config", b'{"tokens_per_second": 7}',
                                  [("x-ccproxy-token", ADMIN), ("content-type", "application/json")])
        assert changed.status == 200, changed.body
    with as_nobody(env) as ccproxy:  # root reads what that user wrote
        said = ccproxy.request("GET", "/plugins/mock/config", headers=[("x-ccproxy-token", ADMIN)]).body
        assert re.search(rb'"tokens_per_second":\{"value":7.0,"origin":"[^"]*plugins.toml', said), said
    described = home + "/cache/ccproxy/plugins"
    assert os.stat(described).st_uid == os.stat(home).st_uid and any(f.endswith(".json") for f in os.listdir(described))


def sleepers():
    found = []
    for pid in os.listdir("/proc"):
        try:
            if pid.isdigit() and b"61.0625" in open("/proc/%s/cmdline" % pid, "rb").read():
                found.append(pid)
        except OSError:
            pass
    return found


def test_a_child_ends_with_the_server():
    fresh()
    plugin_kit.make(place.path, "leaves", plugin_kit.manifest("leaves", ".open = open_it, .tasks = tasks,", LASTS))
    with place.server() as ccproxy:
        ccproxy.wait_log("one child begins", seconds=20)
        end = time.monotonic() + 10
        while not sleepers():
            assert time.monotonic() < end, "the child never began"
            time.sleep(0.01)
        began = time.monotonic()
        code = ccproxy.stop()
        assert code == 0 and time.monotonic() - began < 10, (code, time.monotonic() - began)
        left = sleepers()
        for pid in left:
            os.kill(int(pid), signal.SIGKILL)
        assert not left, "left: %s" % left


def test_a_close_that_hangs():
    """It is given up after 10 s, named, and the process ends as if it were well; the next plugin is still closed."""
    fresh()
    plugin_kit.make(place.path, "hangs", plugin_kit.manifest(
        "hangs", ".open = open_it, .close = close_it,", HANGS))
    ccproxy = place.server()
    try:
        began = time.monotonic()
        code = ccproxy.stop(60)
        took = time.monotonic() - began
        said = ccproxy.log_text() + open(ccproxy.stdout.name, errors="replace").read()
        assert code == 0, "%s\n%s" % (code, said[-3000:])
        assert "hangs: close did not return for 10000 ms" in said, said[-3000:]
        assert 9 < took < 25, took
    finally:
        shutil.rmtree(ccproxy.folder, ignore_errors=True)


if __name__ == "__main__":
    check.main(globals(), "blackbox/plugins_end", after=lambda: place.__exit__())
