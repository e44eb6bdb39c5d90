"""Every fallible call on a request's way fails once: what the client gets, and that nothing stays behind.

Each recipe is one kind of request. A round without faults tells which points it passes and how often; then each of
them fails, with an upstream that answers, one that breaks off, and a client that leaves. After every single request
the gauges are read: the one slot in flight is free again (max_in_flight is 1, so that a lost one refuses the next
request), and the process holds exactly the descriptors it held before. Sanitizers judge the end of the process. All
the while the request tracer writes, metrics counts, and a shared object observes every event.
"""
import concurrent.futures
import gzip
import os
import signal
import subprocess
import tempfile
import time

import check
import formats
import plugin_kit
import rawhttp
import traces
from formats import CHAT, GEMINI
from panel import Panel, named_points
from server import BINARY, SLOW, Server, environment
from upstream import Answer, Upstream

CLOSE = [("Connection", "close")]
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"tick"}}]}\n\n'
STREAM = EVENT * 20 + b"data: [DONE]\n\n"
DONE = (b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"r","status":'
        b'"in_progress","output":[]}}\n\nevent: response.completed\ndata: {"type":"response.completed",'
        b'"sequence_number":1,"response":{"id":"r","status":"completed","output":[]}}\n\n')
WHOLE = b'{"id":"x","object":"chat.completion","choices":[]}'
SMALL = formats.small_body(CHAT)
HUNG = object()
PATIENCE = 4
up = panel = server = objects = None
GENERAL = ("alloc", "arena.any", "arena.alloc", "buf.reserve")  # pass at many places: test_memory_* goes through them


class Recipe:
    def __init__(self, name, method, path, body=None, headers=(), answer=WHOLE, stream=False, local=False, judge=None):
        self.name, self.method, self.path, self.body, self.headers = name, method, path, body, list(headers)
        self.answer, self.stream, self.local, self.judge = answer, stream, local, judge


CHAT_PATH = "/openai/v1/chat/completions"
MERGED = b'{"object":"list","data":[{"id":"gpt-x","object":"model"}]}'
RECIPES = [
    Recipe("whole", "POST", CHAT_PATH, SMALL),
    Recipe("stream", "POST", CHAT_PATH, formats.small_body(CHAT, True), answer=STREAM, stream=True),
    Recipe("gzip-mapped", "POST", CHAT_PATH, gzip.compress(b'{"model":"short","messages":[]}', mtime=0),
           [("Content-Encoding", "gzip")]),
    Recipe("gemini", "POST", "/gemini/v1beta/models/short:generateContent?alt=json&key=theirs&x=%41",
           formats.small_body(GEMINI)),
    Recipe("by-model", "POST", "/v1/chat/completions", b'{"model":"gpt-4","messages":[]}'),
    Recipe("models", "GET", "/v1/models", headers=[("User-Agent", "x")], answer=MERGED, judge=lambda b: b"data" in b),
    Recipe("preflight", "OPTIONS", CHAT_PATH, headers=[("Origin", "https://app.example"), (
        "Access-Control-Request-Method", "POST")], local=True, judge=lambda b: b == b""),
    Recipe("health", "GET", "/health", local=True, judge=lambda b: b'"status"' in b),
    Recipe("plugins", "GET", "/plugins", local=True, judge=lambda b: b'"total"' in b),
    Recipe("nowhere", "GET", "/nowhere", local=True, judge=lambda b: False),
    Recipe("fitted", "POST", "/codex/v1/responses", b'{"model":"short","stream":true,"input":"hi","top_p":1}',
           answer=DONE, stream=True),
    Recipe("collected", "POST", "/codex/v1/messages",
           b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}', answer=DONE, stream=True,
           judge=lambda b: b'"end_turn"' in b),
]
MAPPED = '[[plugins.%s.model_mappings]]\nmatch = "short"\ntarget = "long/er name"\nkind = "exact"\n'
KEYS = '[cors]\norigins = ["https://app.example"]\n[security]\nauth_token = "client-key-FIXTURE"\n'
ZSTD = subprocess.run(["zstd", "-q", "-c"], input=b'{"model":"short","messages":[]}', capture_output=True, check=True)
RECIPES.append(Recipe("zstd-mapped", "POST", CHAT_PATH, ZSTD.stdout, [("Content-Encoding", "zstd")]))
KEY = ("x-ccproxy-token", "client-key-FIXTURE")


WATCHER = plugin_kit.manifest("watcher", ".hooks = hooks,", """
static bool observe(void *self, const struct ccp_event_info *info) { return info->dotted.n != 0; }
static const struct ccp_hook hooks[] = {
    {.name = "watcher", .events = (1ull << CCP_EVENT_COUNT) - 1, .observe = observe}, {.name = NULL}};
""")


def configuration():
    codex = '[plugins.codex]\nbase_url = "%s"\napi_key = "k"\n' % up.url
    plugins = traces.ON + 'max_files = 200\n[plugin_discovery]\ndirectories = ["%s"]\n' % objects.name
    return plugins + (formats.config(up.url, more='headers = { "X-Team" = "a" }\n') + MAPPED % "openai" + MAPPED % "gemini" +
            codex + KEYS)


def before():
    global up, panel, server, objects
    up = Upstream()
    objects = tempfile.TemporaryDirectory(prefix="ccp-objects-")
    os.chmod(objects.name, 0o755)
    plugin_kit.make(objects.name, "watcher", WATCHER)
    panel = Panel()
    server = Server(configuration(), server="max_in_flight = 1",
                    arguments=("--workers", "1"), env=panel.env)


def after():
    try:
        with server:
            pass
        print("    the process ended with 0: no sanitizer report, no leak")
    finally:
        up.close()
        panel.close()
        objects.cleanup()


def descriptors():
    return len(os.listdir("/proc/%d/fd" % server.process.pid))


def play(recipe, outcome):
    """What the upstream does for this outcome."""
    kind = "text/event-stream" if recipe.stream else "application/json"
    if outcome == "error":
        whole = Answer(recipe.answer, content_type=kind, chunked=recipe.stream, headers=CLOSE).wire()
        up.reset(Answer(recipe.answer, content_type=kind, chunked=recipe.stream, headers=CLOSE,
                        stop_at=len(whole) * 2 // 3, end="rst"))
    elif outcome == "cancel" and recipe.stream:
        up.reset(Answer([(EVENT, 0), (EVENT, 30)], content_type=kind, headers=CLOSE))
    else:
        up.reset(Answer(recipe.answer, content_type=kind, chunked=recipe.stream, headers=CLOSE, end="fin",
                        cuts=(300,) if recipe.stream else (),  # within an event, which is held then
                        head_delay=30 if outcome == "cancel" else 0))


def send(recipe, outcome, n):
    """The response, or None when the connection ended without one; a client that leaves gets None, too."""
    headers = recipe.headers + ([] if recipe.method == "OPTIONS" else [KEY])
    if n % 2:
        headers = headers + CLOSE
    try:
        with server.connect(timeout=PATIENCE) as c:
            if outcome != "cancel":
                return c.request(recipe.method, recipe.path, recipe.body, headers)
            c.send(rawhttp.encode(recipe.method, recipe.path, recipe.body, headers, "127.0.0.1"))
            c.sock.settimeout(0.02 * SLOW)
            try:
                c.sock.recv(200 if n % 2 else 1)
            except (TimeoutError, OSError):
                pass
            c.reset() if n % 3 else None
    except TimeoutError:
        return HUNG
    except OSError:
        pass
    return None


def problem_of(recipe, outcome, response):
    """An answer is right, or says that it is not: never a wrong one that looks right."""
    if response is HUNG:
        return "neither an answer nor an end within %d s" % PATIENCE
    if response is None or not response.complete or response.status >= 400 or outcome == "cancel":
        return None
    if outcome == "error" and not recipe.local and recipe.name != "models":
        cut_well = recipe.stream and b'"error"' in response.body
        return None if cut_well else "a broken upstream became %d with %r" % (response.status, response.body[-80:])
    good = recipe.judge(response.body) if recipe.judge else response.body == recipe.answer
    said = recipe.stream and b'"error"' in response.body
    return None if good or said else "%d with a wrong body: %r" % (response.status, response.body[:200])


def settled(fds, seconds=3):
    """Is the slot free and are the descriptors what they were?"""
    panel.arm("")
    end = time.monotonic() + seconds * SLOW
    play(RECIPES[0], "success")
    while True:
        try:
            with server.connect(timeout=10) as c:
                answer = c.request("POST", CHAT_PATH, SMALL, [KEY, ("Connection", "close")])
        except OSError:
            answer = None
        if answer is not None and answer.status == 200 and descriptors() == fds:
            return None
        assert server.process.poll() is None, "the process ended: %s" % server.output()[-3000:]
        if time.monotonic() > end:
            return "status %s, %d descriptors where %d were" % (answer and answer.status, descriptors(), fds)
        time.sleep(0.002)


def learn(recipe):
    """{point: how often one such request passes it}."""
    play(recipe, "success")
    send(recipe, "success", 1)
    if recipe.name == "models":
        reload()
        time.sleep(0.05)
    before = panel.passed()
    play(recipe, "success")
    response = send(recipe, "success", 1)
    assert response is not None, recipe.name
    problem = problem_of(recipe, "success", response)
    assert not problem, (recipe.name, problem)
    time.sleep(0.02)
    return {p: n - before.get(p, 0) for p, n in panel.passed().items() if n > before.get(p, 0)}


def reload(spec=""):
    """Arms `spec` and reloads; returns what is wrong."""
    with open(server.log) as log:
        log.seek(0, os.SEEK_END)
        panel.arm(spec)
        server.process.send_signal(signal.SIGHUP)
        end, said = time.monotonic() + 5 * SLOW, ""
        while "reloaded" not in said:
            assert server.process.poll() is None, server.output()[-3000:]
            if time.monotonic() > end:
                return "no word about the reload"
            time.sleep(0.002)
            said += log.read()
    return None


def once(recipe, spec, outcome, n, fds):
    if recipe.name == "models":
        reload()  # a new configuration has no lists yet
    play(recipe, outcome)
    panel.arm(spec)
    response = send(recipe, outcome, n)
    fired = panel.fired
    return fired, problem_of(recipe, outcome, response) or settled(fds)


def steady():
    """Warm: pools, kept connections and lazy tables exist, so that descriptors can be compared exactly."""
    for recipe in RECIPES:
        for outcome in ("success", "error", "cancel", "success"):
            play(recipe, outcome)
            send(recipe, outcome, 1)
    time.sleep(0.3)
    panel.arm("")
    play(RECIPES[0], "success")
    send(RECIPES[0], "success", 1)
    time.sleep(0.1)
    return descriptors()


def test_every_point_of_a_request():
    points = named_points()
    assert len(points) >= 40, "%d named points: %s" % (len(points), sorted(points))
    fds = steady()
    runs, fired_at, exits = 0, set(), set()
    for recipe in RECIPES:
        for point, times in sorted(learn(recipe).items()):
            if point not in points or point in GENERAL:
                continue
            for outcome in ("success", "cancel") if recipe.local else ("success", "error", "cancel"):
                for nth in range(1, min(times, 6 if check.LONG else 1) + 1):
                    fired, problem = once(recipe, "%s:%d" % (point, nth), outcome, runs, fds)
                    runs += 1
                    if fired:
                        fired_at.add(point)
                        exits.add((recipe.name, point, outcome, nth))
                    if problem:
                        yield "%s-%s-%s-%d" % (recipe.name, point, outcome, nth), problem
    missing = sorted(points - fired_at)
    print("    %d points in the source; not on a request's way (start, reload, rare): %s" % (
        len(points), " ".join(missing)))
    check.figure("FLT-07", "%d points failed in %d ways (%d named); slot free, fds +-0 after each of %d" % (
        len(fired_at), len(exits), len(points), runs))
    yield "all", None if len(exits) >= 400 and len(fired_at) >= 36 else "only %d" % len(fired_at)


def test_memory_of_a_request():
    """The n-th allocation fails, for every n: ours, the arena's, the buffers'."""
    fds = steady()
    runs = hits = 0
    for at, recipe in enumerate(RECIPES if check.LONG else RECIPES[:6]):
        passes = learn(recipe)
        for point in GENERAL:
            last = passes.get(point, 0) + 3
            for nth in range(1, last + 1) if check.LONG else range(1 + at % 2, last + 1, 2):
                fired, problem = once(recipe, "%s:%d" % (point, nth), "success", nth, fds)
                runs, hits = runs + 1, hits + (fired != 0)
                if problem:
                    yield "%s-%s-%d" % (recipe.name, point, nth), problem
    check.figure("FLT-22", "requests: %d of %d points failed; right answer or clear error, fds +-0" % (hits, runs))
    yield "all", None if hits > 100 else "only %d" % hits


def test_memory_of_a_reload():
    """The n-th allocation of a reload fails: the old configuration or the new one serves."""
    fds = steady()
    before = panel.passed().get("alloc", 0)

    assert reload("") is None
    time.sleep(0.1)
    total = panel.passed()["alloc"] - before
    step = 1 if check.LONG else max(1, total // 150)
    done = 0
    for nth in range(1, total + 1, step):
        problem = reload("alloc:%d" % nth) or settled(fds)
        done += 1
        if problem:
            yield "alloc-%d" % nth, problem
    check.figure("FLT-22", "reload: %d of its %d allocations failed, 0 crashes, fds +-0" % (done, total))
    yield "all", None if total > 100 else "only %d allocations" % total


def start_with(n, folder, command):
    """One start whose n-th allocation fails: (how it ended, what is wrong)."""
    env = environment(folder, {"CCPROXY_FAULT": "alloc:%d" % n})
    process = subprocess.Popen([os.path.abspath(BINARY), *command], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text = ""
    try:
        for line in process.stdout:
            text += line
            if "listening on" in line:
                process.send_signal(signal.SIGTERM)
        code = process.wait(20 * SLOW)
    finally:
        process.kill()
        process.wait()
    if code == 0:
        return "served", None
    refused = code in (1, 69, 78) and text.strip() and "Sanitizer" not in text and "runtime error" not in text
    return "refused", None if refused else "exit %s: %s" % (code, text[-1500:])


def test_memory_of_a_start():
    """The n-th allocation fails while the configuration is read and while the server starts."""
    with tempfile.TemporaryDirectory(prefix="ccp-start-") as folder:
        path = os.path.join(folder, "c.toml")
        with open(path, "w") as out:
            out.write('[server]\nport = 0\nworkers = 1\n' + configuration())
        commands = {"config check": ["config", "check", path], "serve": ["serve", "-c", path]}
        for name, command in commands.items():
            counter = Panel()
            env = environment(folder, counter.env)
            process = subprocess.Popen([os.path.abspath(BINARY), *command], env=env, stdout=subprocess.PIPE, text=True,
                                       stderr=subprocess.STDOUT, cwd=folder)
            for line in process.stdout:
                if "listening on" in line:
                    process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            total = counter.passed()["alloc"]
            counter.close()
            wanted = total if check.LONG else {"config check": 60, "serve": 40}[name]
            points = sorted({1 + i * total // wanted for i in range(wanted)})
            ends = {"served": 0, "refused": 0}
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                for n, (end, problem) in zip(points, pool.map(lambda n: start_with(n, folder, command), points)):
                    ends[end] += 1
                    if problem:
                        yield "%s-%d" % (name, n), problem
            check.figure("FLT-22", "%s: %d of %d allocations failed: %d refused with a text, %d went on, 0 crashes" % (
                name, len(points), total, ends["refused"], ends["served"]))
            yield name, None if total > 100 and ends["refused"] else "only %d allocations" % total


if __name__ == "__main__":
    check.main(globals(), "blackbox/fault_points", before, after)
