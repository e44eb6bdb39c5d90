"""Plugins off the loop: observers, tasks, work, events of their own; and plugins that block, sleep or fail there."""
import json
import os
import signal
import threading
import time
import urllib.parse

import check
import work_kit
from server import SLOW, Server
from upstream import Answer, Upstream
from work_kit import ask, until

LIMITS = '[plugin_limits]\nstuck_call = "500ms"\nfailures = 5\n'
CHAT = {"model": "mock-echo", "messages": [{"role": "user", "content": "hi"}]}
folder = None


def before():
    global folder
    folder = work_kit.Folder("watcher", "blocker", "refuser", "sleeper", "tasker", "caller", "spawner")


def after():
    folder.cleanup()


class Running(Server):
    def __init__(self, *names, more="", limits=LIMITS, env=None):
        super().__init__(folder.config + limits + more, env=env,
                         arguments=["--set", "enabled_plugins=" + json.dumps(["mock", *names])])

    def call(self, count=1):
        for _ in range(count):
            answer = self.post("/mock/v1/chat/completions", CHAT)
            assert answer.status == 200, answer.body

    def seen(self):
        return ask(self, "/plugins/watcher/seen")[1]

    def why(self, name):
        return ask(self, "/plugins/" + name)[1]

    def work(self, verb, a, **more):
        return ask(self, "/plugins/caller/%s?a=%s" % (verb, urllib.parse.quote(a, safe="")), **more)


def test_observers_hear_in_order_and_never_a_secret():
    with Running("watcher") as s:
        for _ in range(20):
            secret = [("x-api-key", "sesame"), ("authorization", "Bearer sesame"), ("cookie", "a=sesame")]
            answer = s.post("/mock/v1/chat/completions", CHAT, headers=secret)
            assert answer.status == 200, answer.body
        got = until(lambda: (lambda g: g["completed"] >= 20 and g)(s.seen()))
        assert got["requests"] >= 20 and got["disorder"] == 0 and got["secrets"] == 0, got
        assert "plugin.loaded|watcher||1.0.0|" in got["lines"], got["lines"]


def test_an_observer_that_blocks_for_ever():
    with Running("watcher", "blocker", limits='[plugin_limits]\nstuck_call = "500ms"\n') as s:
        began = time.monotonic()
        s.call()
        failed = until(lambda: s.why("blocker")["status"] == "failed" and s.why("blocker"), 20)
        took = time.monotonic() - began
        assert "hook bad did not return for 500 ms" in json.dumps(failed), failed
        s.call(10)
        got = until(lambda: (lambda g: g["completed"] >= 11 and g)(s.seen()), 10)
        assert "plugin.error|blocker||hook bad did not return" in got["lines"], got
        assert s.why("watcher")["status"] == "active"
        assert ask(s, "/plugins/watcher/figure/work.stuck") == (200, 1)
        assert ask(s, "/plugins/watcher/figure/plugins.failed") == (200, 1)
        ended = time.monotonic()
        assert s.stop() == 0
        stopped = time.monotonic() - ended
        assert stopped < 6 * SLOW, "the stop took %.1f s" % stopped
    check.figure("WRK-01", "observer that blocks: disabled after %.2f s, the other heard all %d events" % (
        took, got["completed"]))


def test_a_hook_that_sleeps_in_line():
    limits = '[plugin_limits]\nslow_call = "100ms"\nfailures = 5\nwindow = "1m"\n'
    with Running("sleeper", limits=limits) as s:
        s.call(5)
        failed = until(lambda: s.why("sleeper")["status"] == "failed" and s.why("sleeper"), 5)
        assert "5 failures within 60 s" in json.dumps(failed) and "bad: took 1" in json.dumps(failed), failed
        began = time.monotonic()
        s.call(5)
        assert time.monotonic() - began < 5 * 0.15 * SLOW, "it is still called"
        assert failed["slow_calls"] >= 5
    check.figure("WRK-02", "a hook of 150 ms in line: disabled after %d slow calls, requests went on" % (
        failed["slow_calls"]))


def test_a_hook_that_returns_false():
    with Running("watcher", "refuser") as s:
        s.call(8)
        failed = until(lambda: s.why("refuser")["status"] == "failed" and s.why("refuser"), 5)
        assert "5 failures within 60 s; the last one: bad" in json.dumps(failed) and failed["failures"] == 5, failed
        assert until(lambda: s.seen()["completed"] >= 8)


def test_a_task_that_fails_backs_off_and_is_shown():
    more = '[plugins.tasker]\ntasks = { resting = "60ms" }\n'
    with Running("tasker", more=more, limits="[plugin_limits]\nfailures = 1000\n") as s:
        time.sleep(1.2)
        tasks = {t["name"]: t for t in s.why("tasker")["tasks"]}
        assert tasks["fine"]["runs"] >= 5 and tasks["fine"]["failures"] == 0, tasks["fine"]
        assert tasks["resting"]["on"] and tasks["resting"]["interval_ms"] == 60 and tasks["resting"]["runs"] >= 4
        fails = tasks["fails"]
        assert 2 <= fails["runs"] <= 6 and fails["failures"] == fails["runs"], fails  # at 0, 100, 300, 700, 1100 ms
        assert fails["error"] == "the moon is in the way" and s.why("tasker")["failures"] >= fails["runs"]
        check.figure("WRK-03", "task every 50 ms: %d runs in 1.2 s; one that fails: %d, interval doubled to 400 ms" % (
            tasks["fine"]["runs"], fails["runs"]))


def test_wrong_settings_of_tasks():
    for text, said in (('tasks = { fain = "5m" }', 'tasker has no task "fain" (did you mean "fine"?)'),
                       ('tasks = { fine = "soon" }', 'fine: expected "on", "off" or an interval'),
                       ('tasks = { fine = "1ms" }', "fine: an interval is at least 10ms")):
        made = Server(folder.config + "[plugins.tasker]\n%s\n" % text, wait=False)
        try:
            code, out = made.process.wait(20), made.output()
        finally:
            made.stop()
        yield text, None if code == 78 and said in out and "config.toml:" in out else "exit %s: %s" % (code, out)


def test_custom_events_between_plugins():
    with Running("watcher", "caller") as s:
        assert s.work("say", '{"hit":1}') == (200, True)
        assert s.work("tell", '{"told":[2]}') == (200, True)
        for bad in ("", "{", '{"a":1}x', "'a'"):
            assert s.work("say", bad) == (200, False), bad
        got = until(lambda: (lambda g: "caller.told" in g["lines"] and "caller.said" in g["lines"] and g)(s.seen()))
        lines = {line.split("|")[0]: line.split("|") for line in got["lines"].splitlines()}
        assert lines["custom.caller.said"][1:3] == ["caller", '{"hit":1}'] and lines["custom.caller.said"][4] == ""
        assert lines["custom.caller.told"][1:3] == ["caller", '{"told":[2]}'], lines
        assert lines["custom.caller.told"][4], "the event of an exchange names its request"


def test_fetch():
    up = Upstream()
    try:
        with Running("caller") as s:
            up.reset(Answer(b'{"a":1}', status=201, content_type="application/json; charset=utf-8"))
            got = s.work("fetch", up.url + "/p?key=sesame")
            want = {"ok": True, "status": 201, "body": '{"a":1}', "why": "", "type": "application/json"}
            assert got == (200, want), got
            assert up.last().get("x-test") == "yes" and up.last().get("user-agent").startswith("ccproxy/")
            up.reset(Answer(b"", status=302, headers=[("location", up.url + "/other")]))
            got = s.work("fetch", up.url)[1]
            assert got["ok"] and got["status"] == 302, got
            up.reset(Answer(b"x" * 1001))
            got = s.work("fetch", up.url)[1]
            assert not got["ok"] and got["why"] == "the answer is too large", got
            for url, said in (("http://example.com/", "http:// is for loopback"), ("ftp://h/", ""), ("nothing", ""),
                              ("http://127.0.0.1:1/", ""), ("http://169.254.169.254/", "")):
                got = s.work("fetch", url)[1]
                assert not got["ok"] and got["why"] and said in got["why"] and got["status"] == 0, (url, got)
            assert "sesame" not in s.log_text(), "the query is in the log"
    finally:
        up.close()


def children(pid):
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open("/proc/%s/stat" % entry) as f:
                after_name = f.read().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if int(after_name[1]) == pid:
            found.append((int(entry), after_name[0]))
    return found


def test_run():
    with Running("caller", env={"SESAME": "secret", "TZ": "UTC"}) as s:
        got = s.work("run", "cat; echo err >&2; exit 3")[1]
        assert got == {"ok": True, "status": 3, "signal": 0, "timed_out": False, "truncated": False, "out": "hello",
                       "err": "err\n", "why": ""}, got
        names = set(s.work("run", "env | cut -d= -f1")[1]["out"].split())
        assert names - {"PWD"} == {"PATH", "HOME", "LANG", "TZ", "EXTRA"}, names
        assert s.work("run", "ls /proc/$$/fd | tr '\\n' ' '")[1]["out"].split()[:3] == ["0", "1", "2"]
        descriptors = len(s.work("run", "echo /proc/$$/fd/*")[1]["out"].split())
        assert descriptors <= 4, "%d descriptors leak into it" % descriptors  # the shell's own for the listing
        got = s.work("run", "yes | head -c 300000")[1]
        assert got["ok"] and got["truncated"] and len(got["out"]) == 100, got
        began = time.monotonic()
        got = s.work("run", "sleep 60 & sleep 61")[1]
        assert not got["ok"] and got["timed_out"] and got["status"] == -1, got
        assert time.monotonic() - began < 2 * SLOW
        got = s.work("run", "sleep 60 & echo out")[1]
        assert got["ok"] and got["out"] == "out\n", got
        got = s.work("run", "kill -9 $$")[1]
        assert not got["ok"] and got["signal"] == 9 and "signal 9" in got["why"], got
        got = s.work("exec", "no-such-program")[1]
        assert not got["ok"] and got["why"] == "no-such-program cannot be run: No such file or directory", got
        got = s.work("exec", "/etc/passwd")[1]
        assert not got["ok"] and "Permission denied" in got["why"], got
        fine = sum(s.work("exec", "true")[1]["ok"] for _ in range(100))
        left = children(s.process.pid)
        assert fine == 100 and not left, "zombies, or processes left: %s" % left
    check.figure("WRK-04", "%d children one after the other, %d left or zombies; %d descriptors in each" % (
        fine, len(left), descriptors))


def test_restarts_while_tasks_run():
    """Each reload changes the task's interval, so the plugin is opened anew while children of its task run."""
    count = 300 if check.LONG else 100 if SLOW == 1 else 40  # each takes a while under sanitizers
    with Running("watcher", "spawner") as s:
        until(lambda: s.why("spawner")["tasks"][0]["runs"] >= 2)
        with open(s.file) as f:
            text = f.read()
        for i in range(count):
            with open(s.file + ".new", "w") as f:
                f.write(text + '[plugins.spawner]\ntasks = { children = "%dms" }\n' % (10 + i % 2))
            os.replace(s.file + ".new", s.file)
            s.process.send_signal(signal.SIGHUP)
            until(lambda: s.seen()["loaded"] >= 4 + i, 20 * SLOW, "reload %d opened nothing" % i)
        got = until(lambda: (lambda g: g["unloaded"] == count and g)(s.seen()), 20, "not all old ones were closed")
        assert got["loaded"] == count + 3, got  # mock, too
        assert s.why("spawner")["failures"] == 0 and s.why("spawner")["status"] == "active", s.why("spawner")
        states = [state for _, state in children(s.process.pid)]
        assert len(states) <= 1, "children of closed plugins: %s" % states
        assert s.stop() == 0, s.output()
    check.figure("WRK-05", "%d restarts of a plugin whose task runs children: each closed once, 0 zombies" % count)


def test_state_files():
    with Running("caller") as s:
        assert s.work("keep", "first")[1]["before"] is None
        got = s.work("keep", "second")[1]
        assert got["ok"] and got["before"] == "first", got
        place = os.path.join(s.folder, ".local", "state", "ccproxy", "plugins", "caller")
        assert got["folder"] == place and os.listdir(place) == ["note.txt"]
        assert os.stat(place).st_mode & 0o777 == 0o700
        assert os.stat(os.path.join(place, "note.txt")).st_mode & 0o777 == 0o600
        got = s.work("keep", "/etc/x")[1]
        assert not got["ok"] and "plain file name" in got["why"], got
        os.chmod(place, 0o770)
        got = s.work("keep", "third")[1]
        assert not got["ok"] and "can be written by others" in got["why"], got
        os.chmod(place, 0o700)
        os.rename(place, place + ".moved")
        os.symlink(place + ".moved", place)
        got = s.work("keep", "third")[1]
        assert not got["ok"] and "cannot be opened" in got["why"], got
    own = os.path.join(folder.path, "..", "state")
    with Running("caller", env={"STATE_DIRECTORY": own + ":/nowhere"}) as s:
        assert s.work("keep", "x")[1]["ok"] and os.listdir(os.path.join(own, "plugins", "caller")) == ["note.txt"]


def test_clients_that_leave_while_work_runs():
    with Running("watcher", "caller") as s:
        for _ in range(20):
            with s.connect(timeout=5) as c:
                c.send(b"GET /plugins/caller/sleep?a=100 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                time.sleep(0.01)
        assert s.work("sleep", "1")[0] == 200
        until(lambda: ask(s, "/plugins/watcher/figure/work.done")[1] >= 21, 15)
        until(lambda: ask(s, "/plugins/watcher/figure/requests.in_flight") == (200, 1), 5, "exchanges stay behind")
        assert s.stop() == 0, s.output()


def test_work_that_never_comes_back():
    """Its plugin is disabled; the requests that waited for it are answered, also one whose work never began."""
    with Running("caller") as s:
        results = []
        clients = [threading.Thread(target=lambda: results.append(s.work("sleep", "4000"))) for _ in range(6)]
        began = time.monotonic()
        for c in clients:
            c.start()
        for c in clients:
            c.join()
        took = time.monotonic() - began
        assert [r[0] for r in results] == [500] * 6 and took < 3.5, "%r after %.1f s" % (results, took)
        assert "plugin caller is disabled: work did not return for 500 ms" in json.dumps(results[0][1]), results[0]
        s.call()
        until(lambda: ask(s, "/health/live")[0] == 200)
        time.sleep(max(0.0, began + 4.6 - time.monotonic()))  # they come back, and nobody is there any more
        s.call()
        assert s.stop() == 0, s.output()


def test_a_stop_while_work_runs():
    with Running("caller", limits="") as s:
        results = []
        clients = [threading.Thread(target=lambda: results.append(s.work("sleep", "800"))) for _ in range(6)]
        for c in clients:
            c.start()
        time.sleep(0.3)
        began = time.monotonic()
        s.process.send_signal(signal.SIGTERM)
        code = s.process.wait(20)
        took = time.monotonic() - began
        for c in clients:
            c.join()
        assert code == 0 and took < 6 * SLOW, "exit %s after %.1f s: %s" % (code, took, s.output())
        assert [r[0] for r in results] == [200] * 6, results


def test_figures():
    names = ("memory.used", "memory.limit", "requests.in_flight", "log.dropped", "events.published", "events.dropped",
             "events.waiting", "work.done", "work.refused", "work.stuck", "plugins.failed", "uptime.seconds")
    with Running("watcher") as s:
        for name in names:
            status, value = ask(s, "/plugins/watcher/figure/" + name)
            yield name, None if status == 200 and value >= 0 else "%s %s" % (status, value)
        yield "unknown", None if ask(s, "/plugins/watcher/figure/nonsense")[0] == 404 else "it is known"


if __name__ == "__main__":
    check.main(globals(), "blackbox/plugins_work", before, after)
