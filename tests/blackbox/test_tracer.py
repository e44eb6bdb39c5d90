"""The request tracer: every byte of both legs in one file, bounded, for admins only, and never in a request's way."""
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import check  # noqa: E402
import disks  # noqa: E402
import formats  # noqa: E402
import rawhttp  # noqa: E402
import traces  # noqa: E402
from formats import ALL, ANTHROPIC, CHAT, GEMINI, KEY, RESPONSES, small_body  # noqa: E402
from http1 import release_binary  # noqa: E402
from logins import Logins, wait_for  # noqa: E402
from server import Server, run  # noqa: E402
from upstream import Answer, Upstream, reply, sse  # noqa: E402
from watchers import Watcher  # noqa: E402

up = None
CLIENT, ADMIN = "client-key-FIXTURE-0001", "admin-key-FIXTURE-0002"
KEYS = '[security]\n[[security.keys]]\nname = "c"\ntoken = "%s"\n[[security.keys]]\nname = "a"\ntoken = "%s"\n' \
       'admin = true\n' % (CLIENT, ADMIN)
MINE, BOSS = ("x-ccproxy-token", CLIENT), ("x-ccproxy-token", ADMIN)
STREAM = {CHAT: b'data: {"choices":[{"index":0,"delta":{"content":"hey"}}]}\n\ndata: {"choices":[{"index":0,"delta":{},'
                b'"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'}
LAG_MS = 20
ROUTES = "/plugins/request_tracer/requests"


def before():
    global up
    up = Upstream()


def after():
    up.close()


def configuration(more="", rest=""):
    return formats.config(up.url) + traces.ON + more + "\n" + rest


def only(own, count=1):
    return [traces.read(p) for p in traces.wait_files(own, count)]


def test_every_byte_of_both_legs():
    """In all formats, whole: what the client and the upstream sent and got is in the trace, byte for byte."""
    body_total = 0
    with Server(configuration(rest=KEYS)) as own:
        for n, fmt in enumerate(ALL):
            sent = small_body(fmt)[:-1] + ',\t"x": "\u00fc\\u2028\x7f"}'.encode()
            answer = Answer(('{"ok": %d, "t": "\u20ac"}' % n).encode() * 50, headers=[("X-Up", "one"), ("X-Up", "two")],
                            cuts=(100, 300, 301))
            up.reset(answer)
            got = own.request("POST", fmt.url() + ("&" if "?" in fmt.url() else "?") + "beta=true&a=%41", sent,
                              [MINE, ("X-Request-Id", "whole-%d" % n), ("X-Client", "some value")])
            seen = up.last()
            trace = only(own, n + 1)[-1]
            client, asked = trace.one("client.request"), trace.one("upstream.request")
            said, given = trace.one("upstream.response"), trace.one("client.response")
            rows = {
                "id": trace.facts["id"] == "whole-%d" % n and trace.facts["key"] == "c",
                "client body": client.body == sent,
                "client head": client.first().startswith("POST " + fmt.url().split("?")[0]) and
                client.header("x-client") == ["some value"] and "beta=true&a=%41" in client.first(),
                "upstream body": asked.body == seen.body and len(seen.body) > 0,
                "upstream line": asked.first() == "POST " + up.url + seen.target,
                "credential": asked.header(fmt.key_header)[0].endswith("[redacted]"),
                "upstream answer": said.body == answer.body and said.first() == "HTTP 200" and
                said.header("x-up") == ["one", "two"],
                "client answer": given.body == got.body and given.first() == "HTTP 200" and
                given.header("x-ccproxy-request-id") == ["whole-%d" % n],
                "facts": trace.facts["status"] == "200" and trace.facts["outcome"] == "ok" and
                trace.facts["attempts"] == "1",
            }
            body_total += len(client.body) + len(asked.body) + len(said.body) + len(given.body)
            for row, fine in rows.items():
                yield "%s-%s" % (fmt.name, row), None if fine else "%r" % [vars(s) for s in trace.sections]
        folders, plain = traces.modes(own)
        yield "modes", None if folders == {0o700} and plain == {0o600} else "%s %s" % (folders, plain)
        text = b"".join(open(p, "rb").read() for p in traces.files(own))
        hidden = all(s.encode() not in text for s in (CLIENT, ADMIN, KEY))
        yield "keys", None if hidden else "a key is in a trace"
        print("    %d bytes of bodies in 4 traces, each the same as on its wire" % body_total)


def test_streams_cut_and_crossed():
    """A stream in pieces, one that breaks off, one whose client leaves, one that crosses formats, a refused one."""
    with Server(configuration(rest=KEYS)) as own:
        up.reset(sse(STREAM[CHAT], cuts=(150, 170, 171, 200)))
        got = own.request("POST", CHAT.url(), small_body(CHAT, True), [MINE, ("X-Request-Id", "r1")])
        up.reset(sse(STREAM[CHAT], cuts=(150, 180), stop_at=180, end="rst"))
        cut = own.request("POST", CHAT.url(), small_body(CHAT, True), [MINE, ("X-Request-Id", "r2")])
        up.reset(sse(STREAM[CHAT]))
        crossed = own.request("POST", "/openai/v1/messages", small_body(ANTHROPIC), [MINE, ("X-Request-Id", "r3")])
        refused = own.request("POST", CHAT.url(), small_body(CHAT), [("X-Api-Key", "wrong"), ("X-Request-Id", "r4")])
        up.reset(Answer([(b"data: 1\n\n", 0), (b"data: 2\n\n", 9)], content_type="text/event-stream"))
        with own.connect() as c:
            c.send(rawhttp.encode("POST", CHAT.url(), small_body(CHAT, True), [MINE, ("X-Request-Id", "r5")]))
            c.read_some(b"data: 1")
            c.reset()
        found = {t.facts["id"]: t for t in only(own, 5)}
        r = [found["r%d" % n] for n in range(1, 6)]
        yield "whole", None if (r[0].one("upstream.response").body == STREAM[CHAT] == r[0].one("client.response").body ==
                                got.body) else "the stream's bytes differ"
        said = r[1].one("upstream.response").body
        yield "cut", None if (STREAM[CHAT].startswith(said) and said and r[1].one("client.response").body == cut.body and
                              r[1].facts["outcome"] != "ok" and len(r[1].of("note")) == 2) else "%r %r" % (
                                  r[1].facts, [vars(s) for s in r[1].sections])
        asked = r[2].one("upstream.request")
        yield "crossed", None if (asked.body == up_body(r[2]) and b'"messages"' in asked.body and
                                  r[2].one("client.response").body == crossed.body and
                                  r[2].one("upstream.response").body == STREAM[CHAT]) else "%r" % vars(r[2])
        yield "refused", None if (refused.status == 401 and r[3].facts["status"] == "401" and
                                  r[3].one("client.response").body == refused.body and
                                  r[3].one("client.request").header("x-api-key") == ["[redacted]"] and
                                  not r[3].of("upstream.request")) else "%r" % vars(r[3])
        yield "left", None if (r[4].facts["outcome"] == "client_gone" and
                               r[4].one("upstream.response").body == b"data: 1\n\n") else "%r" % vars(r[4])


def up_body(trace):
    """The upstream leg's body, which must be JSON."""
    body = trace.one("upstream.request").body
    json.loads(body)
    return body


def test_bounded():
    """A body of 3 MB leaves max_body bytes and the number of those left out; many files make room for new ones."""
    big = b'{"model":"m-1","messages":[{"role":"user","content":"' + b"x" * 3000000 + b'"}]}'
    with Server(configuration('max_body = "2KiB"\nmax_files = 20\n')) as own:
        up.reset(Answer(b"y" * 100000))
        assert own.request("POST", CHAT.url(), big).status == 200
        trace = only(own)[0]
        sizes = [(s.name, len(s.body), s.left_out) for s in trace.sections]
        assert sizes == [("client.request", 2048, len(big) - 2048), ("upstream.request", 2048, len(big) - 2048),
                         ("upstream.response", 2048, 100000 - 2048), ("client.response", 2048, 100000 - 2048)], sizes
        assert trace.one("client.request").body == big[:2048]
        name = json.dumps("\u20ac" * 1000000).encode()
        own.request("POST", CHAT.url(), small_body(CHAT).replace(b'"m-1"', name), [("X-Request-Id", "long")])
        path = next(p for p in traces.wait_files(own, 2) if "-long" in p)
        assert os.path.getsize(path) < 30000 and len(traces.read(path).facts["model"]) == 103, os.path.getsize(path)
        for n in range(60):
            own.request("POST", CHAT.url(), small_body(CHAT), [("X-Request-Id", "n%d" % n)])
        end = time.monotonic() + 8
        while not any("n59" in f for f in traces.files(own)) and time.monotonic() < end:
            time.sleep(0.02)
        left = traces.files(own)
        assert len(left) <= 20 and "-n59.http" in left[-1], left
    check.figure("LOG-02", "a body of %d bytes: 2048 kept, %d counted; 62 traces at max_files 20: %d kept" % (
        len(big), len(big) - 2048, len(left)))


def test_off_unless_switched_on():
    """Built in, but nothing of it is there by default; switched on it says so at every start, under either name."""
    with Server(formats.config(up.url)) as own:
        up.reset(Answer(b"{}"))
        own.request("POST", CHAT.url(), small_body(CHAT))
        time.sleep(0.2)
        yield "no-folder", None if not os.path.exists(traces.folder(own)) else traces.folder(own)
        yield "silent", None if "prompts" not in own.log_text() + own.output() else own.output()
        yield "no-route", None if own.request("GET", ROUTES).status == 404 else "its routes answer"
    with Server(configuration()) as own:
        own.wait_log("prompts included", 5)
        yield "warns", None if traces.folder(own) in own.log_text() + own.output() else own.log_text()[-500:]
    with Server(formats.config(up.url) + "[plugins.raw_http_logger]\nenabled = true\n") as own:
        own.request("POST", CHAT.url(), small_body(CHAT))
        yield "alias", None if len(traces.wait_files(own, 1)) == 1 else "nothing was written"
    for bad in ("sample = 1.5", "max_body = \"2MiB\"", "max_files = 0", "colour = 1"):
        with open("/tmp/ccp-tracer-%d.toml" % os.getpid(), "w") as out:
            out.write(traces.ON + bad + "\n")
        done = run("config", "check", out.name)
        os.unlink(out.name)
        key = bad.split()[0]
        yield key, None if done.returncode == 78 and key in done.stderr + done.stdout and ":3" in done.stderr + \
            done.stdout else "%s %s" % (done.returncode, done.stderr)


def test_which_requests():
    """Samples, errors only, providers, paths."""
    def ids(own, count):
        time.sleep(0.4)
        return sorted(t.facts["id"] for t in only(own, count))

    up.reset(lambda r: Answer(b'{"error":{}}', status=500 if b"bad" in r.body else 200))
    ask = [("good", CHAT, small_body(CHAT)), ("bad", CHAT, small_body(CHAT).replace(b"hi", b"bad")),
           ("claude", ANTHROPIC, small_body(ANTHROPIC))]
    for name, more, want in (("errors", "only_errors = true", ["bad", "nowhere"]),
                             ("providers", 'providers = ["claude_api"]', ["claude"]),
                             ("paths", 'paths = ["/openai/*"]', ["bad", "good"]),
                             ("exclude", 'exclude_paths = ["/openai/*", "/nowhere"]', ["claude", "health"]),
                             ("none", "sample = 0", [])):
        with Server(configuration(more)) as own:
            for request, fmt, body in ask:
                own.request("POST", fmt.url(), body, [("X-Request-Id", request)])
            own.request("GET", "/nowhere", None, [("X-Request-Id", "nowhere")])
            own.request("GET", "/health", None, [("X-Request-Id", "health")])
            got = [i for i in ids(own, len(want)) if not i.startswith("req_")]
            yield name, None if got == want else "%s where %s should be" % (got, want)
    taken = []
    for _ in range(2):
        with Server(configuration("sample = 0.3")) as own:
            up.reset(Answer(b"{}"))
            with own.connect() as c:
                for n in range(200):
                    c.request("POST", CHAT.url(), small_body(CHAT), [("X-Request-Id", "sampled-%d" % n)])
            taken.append(ids(own, 30))
    fine = taken[0] == taken[1] and 35 <= len(taken[0]) <= 85
    yield "sample", None if fine else "%d and %d" % (len(taken[0]), len(taken[1]))
    print("    sample = 0.3 took %d of 200, the same ones twice" % len(taken[0]))


def test_routes():
    """List, pages, one trace, its removal, all of them: for admins; no name leads out of the folder."""
    with Server(configuration('paths = ["/openai/*"]', KEYS)) as own:
        up.reset(Answer(b'{"a":1}'))
        for n in range(7):
            own.request("POST", CHAT.url(), small_body(CHAT), [MINE, ("X-Request-Id", "id-%d" % n)])
        for n in range(2):
            own.request("POST", CHAT.url(), small_body(CHAT), [MINE, ("X-Request-Id", "twice")])
        traces.wait_files(own, 9)
        got = own.request("GET", ROUTES, None, [BOSS])
        listed = got.json() if hasattr(got, "json") else json.loads(got.body)
        ids = [r["id"] for r in listed["requests"]]
        yield "list", None if (ids == ["twice", "twice"] + ["id-%d" % n for n in range(6, -1, -1)] and
                               listed["files"] == 9 and listed["next"] is None and listed["failed"] == 0) else listed
        one = listed["requests"][2]
        yield "entry", None if (one["method"] == "POST" and one["path"] == CHAT.url() and one["status"] == 200 and
                                one["provider"] == "openai" and one["size"] > 100 and one["key"] == "c" and
                                one["time"].startswith("20")) else one
        pages, after_name = [], ""
        while True:
            page = json.loads(own.request("GET", ROUTES + "?limit=4&before=" + after_name, None, [BOSS]).body)
            pages.append([r["id"] for r in page["requests"]])
            if page["next"] is None:
                break
            after_name = page["next"]
        yield "pages", None if sum(pages, []) == ids and [len(p) for p in pages] == [4, 4, 1] else pages
        same = json.loads(own.request("GET", ROUTES + "?id=twice", None, [BOSS]).body)["requests"]
        yield "by-id", None if len(same) == 2 and same[0]["name"] > same[1]["name"] else same
        got = own.request("GET", ROUTES + "/id-3", None, [BOSS])
        trace = traces.Trace(got.body)
        head = {n.lower(): v for n, v in got.headers}
        yield "one", None if (trace.facts["id"] == "id-3" and trace.one("client.response").body == b'{"a":1}' and
                              head["content-type"].startswith("text/plain") and head["cache-control"] == "no-store"
                              ) else vars(trace)
        older = own.request("GET", ROUTES + "/" + same[1]["name"], None, [BOSS])
        yield "by-name", None if traces.Trace(older.body).facts["id"] == "twice" else older.body[:200]
        for who, status in ((MINE, 403), (("x-api-key", "wrong"), 401)):
            answers = [own.request(m, p, b"{}" if m == "POST" else None, [who]).status
                       for m, p in (("GET", ROUTES), ("GET", ROUTES + "/id-3"), ("DELETE", ROUTES + "/id-3"),
                                    ("POST", "/plugins/request_tracer/clear"))]
            yield "rights-%d" % status, None if answers == [status] * 4 else answers
        for bad in ("..", "../../etc/passwd", "%2e%2e%2fx", "..%2f..%2f..%2fetc%2fpasswd", "a%00b", "nothing", "a" * 300,
                    "2026-01-01-000000.000000-..%2fx", ""):
            answer = own.request("GET", ROUTES + "/" + bad, None, [BOSS])
            fine = answer.status in (400, 404) and b"root:" not in answer.body
            yield "no-%s" % bad[:20], None if fine else "%d %r" % (answer.status, answer.body[:100])
        before_it = len(traces.files(own))
        gone = own.request("DELETE", ROUTES + "/id-3", None, [BOSS])
        again = own.request("DELETE", ROUTES + "/id-3", None, [BOSS])
        yield "delete", None if (gone.status, again.status) == (204, 404) and len(traces.files(own)) == before_it - 1 else "%d %d" % (
            gone.status, again.status)
        cleared = own.request("POST", "/plugins/request_tracer/clear", b"", [BOSS])
        yield "clear", None if (cleared.status == 200 and json.loads(cleared.body)["removed"] == before_it - 1 and
                                not traces.files(own)) else "%d %r" % (cleared.status, cleared.body)


def test_every_attempt():
    """A request that is sent again has each attempt in its trace, with what came back each time."""
    with Server('[plugins.claude_api]\nbase_url = "%s"\napi_key = "%s"\n' % (up.url, KEY) + traces.ON) as own:
        up.reset(Answer(b'{"error":{"message":"no"}}', status=401))
        answer = own.request("POST", ANTHROPIC.url(), small_body(ANTHROPIC), [("X-Request-Id", "one")])
        trace = only(own)[0]
        assert answer.status == 503 and trace.facts["attempts"] == "1", (answer.status, trace.facts)
        assert trace.one("upstream.response").first() == "HTTP 401"
        assert trace.one("upstream.response").body == b'{"error":{"message":"no"}}'
        notes = b"".join(s.head for s in trace.of("note"))
        assert b"the provider failed" in notes and b"the client is told" in notes, notes
        own.request("GET", "/nowhere/sk-proj-0123456789abcdef", None, [("X-Request-Id", "two")])
        trace = only(own, 2)[-1]
        assert [s.head for s in trace.of("note")] == [b"the client is told: [redacted]\n"], vars(trace)
        assert trace.facts["error"] == "[redacted]" and trace.facts["path"] == "/nowhere/[redacted]", trace.facts


def test_a_renewed_login():
    """Refused, renewed, sent again: both attempts are in one trace, and neither token, though upstream repeats them."""
    seen = []

    def echo(request):
        token = (request.get("authorization") or "").partition(" ")[2]
        seen.append(token)
        good = len(seen) > 1
        value = {"type": "message" if good else "error", "you sent": token, "in a URL": token.replace("-", "%2D")}
        return reply(value, status=200 if good else 401, headers=[("X-Echo", "<%s>" % token)])
    with Logins() as lab:
        lab.store()
        lab.up.answer = echo
        with Server(lab.config(more=traces.ON)) as own:
            answer = lab.ask(own)
            path = traces.wait_files(own, 1)[0]
            trace = traces.read(path)
            with open(path, "rb") as f:
                text = f.read()
    assert answer.status == 200 and len(seen) == 2 and seen[0] != seen[1] and trace.facts["attempts"] == "2", seen
    assert [s.first() for s in trace.of("upstream.response")] == ["HTTP 401", "HTTP 200"]
    assert [s.attempt for s in trace.of("upstream.request")] == [1, 2]
    assert [s.header("authorization") for s in trace.of("upstream.request")] == [["Bearer [redacted]"]] * 2
    hits = [t for t in seen + lab.tokens for form in (t, t.replace("-", "%2D")) if form.encode() in text]
    stars = [s.body.count(b"*" * len(seen[n])) for n, s in enumerate(trace.of("upstream.response"))]
    assert not hits and all(n >= 2 for n in stars), (hits, stars, text)
    check.figure("LOG-01", "a login renewed in mid-request: 2 attempts in one trace, 2 tokens echoed, 0 hits")


def test_administration_is_not_written():
    """Bodies of routes for administrators hold settings and ids of streams: no trace and no watcher has them, whatever
    exclude_paths says, also where the request is refused."""
    value, found = "plain-setting-4711", []
    config = '[plugins.request_tracer]\nenabled = true\nexclude_paths = []\n' + KEYS
    with Server("verbose_api = true\n" + config) as own, \
            Watcher(own, "/events?type=*&bodies=1", key=ADMIN) as watcher:
        rows = [("POST", "/plugins/access_log/config", {"exclude_paths": [value]}, BOSS, 200),
                ("POST", "/v1/plugins/access_log/config", {"exclude_paths": [value]}, BOSS, 200),
                ("POST", "/v1/plugins/access_log/config", {"nothing": value}, BOSS, 400),
                ("POST", "/plugins/access_log/config", {"exclude_paths": [value]}, MINE, 403),
                ("POST", "/plugins/access_log/config", {"exclude_paths": [value]}, ("x-api-key", "wrong"), 401),
                ("POST", "/plugins/request_tracer/clear", {"why": value}, BOSS, 400),
                ("PUT", "/plugins/nobody", {"why": value}, BOSS, 405)]
        for n, (method, path, body, key, status) in enumerate(rows):
            got = own.request(method, path, json.dumps(body).encode(), [key, ("X-Request-Id", "row-%d" % n)])
            yield "%s %s %d" % (method, path, status), None if got.status == status or status == 405 and \
                got.status == 404 else "%d %r" % (got.status, got.body)
        for front in ("/events", "/plugins/access_log", "/v1/plugins/access_log"):
            made = own.request("POST", front + "/streams", b"{}", [BOSS])
            found.append(json.loads(made.body)["id"])
            with Watcher(own, json.loads(made.body)["url"], key=None):
                pass
            again = own.request("GET", json.loads(made.body)["url"])
            yield "%s once" % front, None if (made.status, again.status) == (201, 404) else str(made.status)
        one = own.request("POST", CHAT.url(), small_body(CHAT), [MINE, ("X-Request-Id", "prompted")])
        yield "prompt", None if one.status == 503 else str(one.status)
        wait_for(lambda: any("-prompted" in p and traces.whole(p) for p in traces.files(own)), what="its trace")
        texts = {"traces": b"".join(open(p, "rb").read() for p in traces.files(own))}
        listed = own.request("GET", ROUTES + "/prompted", None, [BOSS]).body
        watcher.wait(lambda e: e["type"] == "request.completed" and e["request"]["path"].startswith(ROUTES))
        texts["events"] = json.dumps(watcher.drain() + watcher.events).encode()
        texts["metrics"] = own.request("GET", "/metrics", None, [BOSS]).body
        texts["log"] = (own.log_text() + own.output()).encode()
        there = small_body(CHAT) in texts["traces"] and small_body(CHAT) in listed
        yield "others are", None if there else repr(listed[:300])
        hidden = [(where, word) for where, text in texts.items() for word in found + [value] if word.encode() in text]
        yield "no-body", None if not hidden else str(hidden)
        told = json.dumps(watcher.events)
        yield "no-download", None if told.count('ccproxy-trace 1') == 0 else "a downloaded trace is told"
        yield "seen", None if b"/streams/" in texts["traces"] and b"/config" in texts["events"] else "nothing was seen"
    check.figure("LOG-01", "%d settings and stream ids in admin requests: %d hits in traces, events, metrics, log" % (
        len(rows) + len(found), len(hidden)))


ECHO = b'{"model":"mock-echo","max_tokens":1,"messages":[{"role":"user","content":"x"}]}'


def probe(own, seconds):
    """Latencies of /health/live beside two clients that send traced requests; how many those were."""
    stop, waits, done = threading.Event(), [], [0, 0]

    def load(number):
        with own.connect(timeout=30) as c:
            while not stop.is_set():
                assert c.request("POST", "/mock/v1/messages", ECHO, [BOSS]).status == 200
                done[number] += 1
    threads = [threading.Thread(target=load, args=(n,), daemon=True) for n in range(2)]
    for thread in threads:
        thread.start()
    with own.connect(timeout=10) as c:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.perf_counter()
            assert c.request("GET", "/health/live").status == 200
            waits.append((time.perf_counter() - began) * 1000)
            time.sleep(0.002)
    stop.set()
    for thread in threads:
        thread.join(30)
    waits.sort()
    return waits, sum(done)


def state(own):
    return json.loads(own.request("GET", ROUTES + "?limit=1", None, [BOSS]).body)


def settle(own, done, seconds=15):
    """Until every traced request is written, failed or dropped."""
    end = time.monotonic() + seconds
    while True:
        s = state(own)
        if s["written"] + s["failed"] + s["dropped"] >= done or time.monotonic() > end:
            return s
        time.sleep(0.05)


def test_sinks_that_fail():
    """LOG-04: a disk that is full, a folder that may not be written or is gone: requests go on, losses are counted."""
    keys = '[security]\n[[security.keys]]\nname = "a"\ntoken = "%s"\nadmin = true\n' % ADMIN
    for kind in ("full disk", "folder is a file", "folder deleted"):
        with Server(traces.ON + keys, binary=release_binary()) as own:
            folder = traces.folder(own)
            mounted = kind == "full disk" and disks.small_disk(folder)
            try:
                if mounted:
                    ballast = disks.fill(folder)
                elif kind == "full disk":
                    resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
                else:
                    shutil.rmtree(folder)
                if kind == "folder is a file":
                    open(folder, "w").close()
                waits, done = probe(own, 1.5)
                if mounted:
                    os.unlink(ballast)
                elif kind == "full disk":
                    resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
                judge_sink(own, kind, waits, done)
            finally:
                if mounted:
                    subprocess.run(["umount", folder], check=True)


def judge_sink(own, kind, waits, done):
    s = settle(own, done)
    lines = [l for l in own.log_text().splitlines() if "a trace is lost" in l]
    assert s["written"] + s["failed"] + s["dropped"] == done, (s, done)
    lost = s["failed"] + s["dropped"]
    assert s["failed"] > 0 if kind != "folder deleted" else s["failed"] == 0 and s["written"] > 0, s
    p99 = waits[len(waits) * 99 // 100]
    check.figure("LOG-04", "traces, %s: %d requests all answered, probe p99 %.1f ms; %d lost and counted in %d lines" % (
        kind, done, p99, lost, len(lines)))
    assert p99 <= LAG_MS and len(lines) <= 4, (p99, lines)
    assert not [f for f in traces.files(own) if f.endswith(".http") and not traces.whole(f)], "half a trace is there"
    if kind == "full disk":  # there is room again
        before_it = state(own)["written"]
        assert own.request("POST", "/mock/v1/messages", ECHO, [BOSS]).status == 200
        assert settle(own, done + 1)["written"] == before_it + 1


if __name__ == "__main__":
    check.main(globals(), "blackbox/tracer", before, after)
