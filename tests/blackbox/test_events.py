"""/events on the running program: what is told, to whom, and that watching harms nobody."""
import json
import os
import re
import signal
import socket
import time

import check
import crowd
import h2raw
import plugin_kit
from canaries import canary, found
from clock import Clock
from server import SLOW, Server, sanitized
from watchers import CHAT, KEYS, ROOT, USER, Crowd, Watcher, auth, chat

RELEASE = os.environ.get("CCPROXY_RELEASE_BIN")
server = None


def before():
    global server
    server = Server(KEYS)


def after():
    code = server.stop()
    assert code == 0, "ccproxy ended with %s:\n%s" % (code, server.output())


def post(path, value, key=ROOT, of=None):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return (of or server).request("POST", path, body, auth(key))


# ---- what comes -------------------------------------------------------------------------------------------------

def test_hook_events_of_a_request_in_order():
    with Watcher(server, "/events?type=request.*,http.*,provider.*") as w:
        assert dict(w.headers)["content-type"] == "text/event-stream"
        assert dict(w.headers)["cache-control"] == "no-store"
        answer = chat(server, stream=True)
        name = answer.get("x-ccproxy-request-id")
        done = w.wait(lambda e: e["type"] == "request.completed" and e["request"]["id"] == name)[0]
        mine = [e for e in w.events if e.get("request", {}).get("id") == name]
    order = [e["type"] for e in mine]
    expected = ["request.started", "http.request", "request.routed", "provider.request.prepared", "http.response",
                "request.completed"]
    assert [t for t in order if t in expected] == expected, order
    assert done["request"]["path"] == CHAT and done["request"]["key"] == "user", done
    assert done["request"]["provider"] == "mock" and done["request"]["op"] == "generate", done
    assert done["summary"]["http_status"] == 200 and done["summary"]["streamed"] is True, done
    head = next(e for e in mine if e["type"] == "http.response")
    assert ["content-type", "text/event-stream"] in [[n, v.split(";")[0]] for n, v in head["headers"]], head
    check.figure("EVT-01", "%d events of one streamed request, in order, each one JSON" % len(mine))


def test_lines_of_the_log():
    with Watcher(server, "/events?type=log") as w:
        chat(server, key="wrong")
        line = w.wait(lambda e: e["source"] == "access_log" and "unauthorized" in e["message"])[0]
        assert line["type"] == "log" and line["level"] == "info" and CHAT in line["message"], line
        assert line["at"].startswith(time.strftime("%Y-", time.gmtime())), line
        server.process.send_signal(signal.SIGUSR1)  # harmless; a reload says one line of its own
        server.process.send_signal(signal.SIGHUP)
        line = w.wait(lambda e: e["source"] == "config" and "reloaded" in e["message"])[0]
        assert line["level"] == "info", line
        assert {e["type"] for e in w.events} == {"log"}
    with Watcher(server, "/events?type=log&level=error") as w, Watcher(server, "/events?type=log") as all_lines:
        chat(server)
        all_lines.wait(lambda e: e["source"] == "access_log")
        assert w.drain() == []


def test_filters():
    with Watcher(server, "/events?type=request.completed") as one, Watcher(server, "/events?type=request.c*") as star, \
            Watcher(server, "/events?type=plugin.*,custom.*") as nothing, \
            Watcher(server, "/plugins/access_log/events") as plugin:
        for _ in range(5):
            chat(server)
        one.wait("request.completed", times=5)
        star.wait("request.completed", times=5)
        assert {e["type"] for e in one.events + star.events} == {"request.completed"}
        plugin.wait(lambda e: e["type"] == "log", times=5)
        assert {e["source"] for e in plugin.events} == {"access_log"}, plugin.events
        assert nothing.drain(0.2) == []
    with Watcher(server, "/v1/plugins/access_log/events?type=log") as w:
        chat(server)
        w.wait("log")


def test_stream_chunks_come_only_when_asked_for():
    with Watcher(server) as plain, Watcher(server, "/events?type=provider.stream.chunk,http.response.body") as asked:
        chat(server, "one two three", stream=True)
        plain.wait("request.completed")
        pieces = asked.wait("http.response.body")
        assert not [e for e in plain.events if e["type"] in ("provider.stream.chunk", "http.response.body")]
        assert all("body" not in e and e["bytes"] > 0 for e in pieces), pieces
        size = len(asked.drain())
    assert size < 100, "a watcher hears of its own stream: %d events" % size


def test_refusals():
    cases = [
        ("no key", "GET", "/events", None, None, 401), ("no admin", "GET", "/events", None, USER, 403),
        ("no admin, plugin", "GET", "/plugins/mock/events", None, USER, 403),
        ("no admin, streams", "POST", "/events/streams", b"{}", USER, 403),
        ("method", "POST", "/events", b"{}", ROOT, 405), ("method", "GET", "/events/streams", None, ROOT, 405),
        ("unknown plugin", "GET", "/plugins/nobody/events", None, ROOT, 404),
        ("type", "GET", "/events?type=reqest.started", None, ROOT, 400),
        ("star", "GET", "/events?type=*.started", None, ROOT, 400),
        ("level", "GET", "/events?level=loud", None, ROOT, 400),
        ("plugin", "GET", "/events?plugin=a/b", None, ROOT, 400),
        ("bodies", "GET", "/events?bodies=maybe", None, ROOT, 400),
        ("encoding", "GET", "/events?type=%ff%zz", None, ROOT, 400),
        ("below", "GET", "/events/other", None, ROOT, 404),
        ("json", "POST", "/events/streams", b'{"type": [', ROOT, 400),
        ("array", "POST", "/events/streams", b"[]", ROOT, 400),
        ("member", "POST", "/events/streams", b'{"typ": "log"}', ROOT, 400),
        ("kind", "POST", "/events/streams", b'{"type": 7}', ROOT, 400),
        ("kind", "POST", "/events/streams", b'{"bodies": "yes"}', ROOT, 400),
        ("twice", "POST", "/events/streams", b'{"level": "info", "level": "info"}', ROOT, 400),
    ]
    for name, method, path, body, key, status in cases:
        answer = server.request(method, path, body, auth(key))
        yield "%s %s" % (name, path), None if answer.status == status else "%d %r" % (answer.status, answer.body)
    text = post("/events/streams", b'{\n  "plugin": "A"\n}').body
    yield "position", None if b"line 2, column 13" in text else repr(text)
    head = server.request("HEAD", "/events", None, auth(ROOT))
    yield "HEAD", None if head.status == 200 and head.get("content-type") == "text/event-stream" else str(head.headers)


def test_a_server_without_keys_tells_only_its_socket():
    folder = "/tmp/ccp-events-%d.sock" % os.getpid()
    with Server("", 'unix_socket = "%s"' % folder) as own:
        assert own.request("GET", "/events").status == 403
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5)
        sock.connect(folder)
        sock.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        got = b""
        while b": watching" not in got:
            data = sock.recv(4096)
            assert data, got
            got += data
        assert got.startswith(b"HTTP/1.1 200 "), got
        sock.close()


def test_http2():
    with h2raw.Connection(server.port) as c:
        c.send(h2raw.headers(1, h2raw.request("/events?type=request.completed", "GET",
                                              ("x-ccproxy-token", ROOT))))
        assert c.wait(lambda f: f.kind == h2raw.HEADERS).status() == 200
        c.wait(lambda f: f.kind == h2raw.DATA and b": watching" in f.payload)
        chat(server)
        data = c.wait(lambda f: f.kind == h2raw.DATA and b"event: request.completed" in f.payload)
        assert data is not None, c.frames
        c.send(h2raw.frame(h2raw.RST, 0, 1, b"\0\0\0\x08"))
        assert c.ping() is not None


def test_keepalive():
    with Server(KEYS, 'keepalive_interval = "1s"') as own, Watcher(own, "/events?type=custom.*") as w:
        end = time.monotonic() + 8
        while w.comments < 4 and time.monotonic() < end:
            w.read(2)
        assert w.comments >= 4 and not w.events, (w.comments, w.events)


# ---- secrets ----------------------------------------------------------------------------------------------------

def test_canaries_never_come_out():
    names = ("token", "prompt", "answer", "header", "query", "wrong", "upstream-key")
    secrets = {n: canary(n) for n in names}
    config = """%s
[[security.keys]]
name = "two"
token = "%s"
[plugins.openai]
base_url = "http://127.0.0.1:1/v1"
api_key = "%s"
""" % (KEYS, secrets["token"], secrets["upstream-key"])
    with Server(config) as own, Watcher(own, "/events?type=*") as w, Watcher(own, "/events?type=*&bodies=1") as curious:
        for path in (CHAT, "/openai/v1/chat/completions"):
            body = json.dumps({"model": "mock-echo", "stream": True, "user": secrets["answer"], "messages": [
                {"role": "user", "content": secrets["prompt"]}]}).encode()
            for key in (secrets["token"], secrets["wrong"]):
                own.request("POST", path + "?key=" + secrets["query"], body,
                            [("x-ccproxy-token", key), ("x-api-key", secrets["header"]),
                             ("cookie", "s=" + secrets["header"])])
        w.wait(lambda e: e["type"] in ("request.completed", "request.failed"), times=4)
        curious.wait(lambda e: e["type"] in ("request.completed", "request.failed"), times=4)
        texts = {"plain": json.dumps(w.drain()).encode(), "bodies=1": json.dumps(curious.drain()).encode()}
        assert found(secrets, texts) == [], found(secrets, texts)
        assert len(w.events) > 20
    verbose = config.replace("[[security", "verbose_api = true\n[[security", 1)
    with Server(verbose) as own, Watcher(own, "/events?type=*") as w, \
            Watcher(own, "/events?type=*&bodies=1") as curious:
        chat(own, secrets["prompt"])
        w.wait("request.completed")
        curious.wait("request.completed")
        own_words = json.dumps(w.drain()).encode()
        assert found({"prompt": secrets["prompt"]}, {"plain": own_words}) == []
        assert secrets["prompt"] in json.dumps(curious.drain())
    check.figure("EVT-02", "%d canaries, 2 watchers of everything: none in %d bytes of events" % (
        len(secrets), sum(map(len, texts.values()))))


# ---- a plugin's own ---------------------------------------------------------------------------------------------

PLUGIN = plugin_kit.manifest("talker", """.open = open_it, .routes = routes""", r"""
static const struct ccp_plugin_env *env;
static void *open_it(const struct ccp_plugin_env *e, struct ccp_span *why) { env = e; return &env; }
static enum ccp_verdict say(void *self, struct ccp_exchange *x)
{
    env->api->emit(env, x, "talker.word", CCP_SPAN("{\"n\": 1,\n \"text\": \"\xc3\xa4\"}"));
    env->api->log(env, CCP_LOG_WARN, "said it");
    return x->api->respond(x, 200, CCP_SPAN("text/plain"), CCP_SPAN("said\n"));
}
struct counting { struct ccp_exchange *x; struct ccp_timer *timer; int n; };
static void tick(void *arg)
{
    struct counting *c = arg;
    char text[32];
    if (c->n++ == 3) {
        c->x->api->stream_end(c->x);
        c->x->api->stream_end(c->x);
        return;
    }
    snprintf(text, sizeof(text), "line %d\nmore", c->n);
    c->x->api->stream_event(c->x, CCP_SPAN("count"), CCP_SPAN("7"), ccp_span_z(text));
    c->x->api->timer_set(c->timer, 20);
}
static void ended(void *arg) { env->api->log(env, CCP_LOG_WARN, "a stream ended at %d", ((struct counting *)arg)->n); }
static const struct ccp_stream_events events = {NULL, ended};
static enum ccp_verdict count(void *self, struct ccp_exchange *x)
{
    struct counting *c = x->api->alloc(x, sizeof(*c));
    *c = (struct counting){x, x->api->timer(x, tick, c), 0};
    x->api->timer_set(c->timer, 1);
    return x->api->stream_open(x, 200, CCP_SPAN("text/event-stream"), &events, c);
}
static const struct ccp_route routes[] = {
    {"POST", "/say", NULL, CCP_ACCESS_KEY, NULL, NULL, say},
    {"GET", "/count", NULL, CCP_ACCESS_KEY, NULL, NULL, count},
    {NULL},
};
""")


def with_plugin(more=""):
    folder = "/tmp/ccp-events-plugins-%d" % os.getpid()
    plugin_kit.make(folder, "talker", PLUGIN)
    return Server(KEYS + more + '[plugin_discovery]\ndirectories = ["%s"]\n' % folder)


def test_events_of_a_plugin():
    with with_plugin() as own:
        with Watcher(own, "/plugins/talker/events") as w, \
                Watcher(own, "/plugins/access_log/events?type=custom.*") as no, \
                Watcher(own, "/events?type=custom.talker.w*") as word:
            assert own.request("POST", "/plugins/talker/say", b"", auth(ROOT)).body == b"said\n"
            event = w.wait("custom.talker.word")[0]
            assert event["payload"] == {"n": 1, "text": "\u00e4"} and event["source"] == "talker", event
            assert event["request"]["path"] == "/plugins/talker/say", event
            assert w.wait("log")[0]["message"] == "said it"
            word.wait("custom.talker.word")
            assert {e["type"] for e in word.events} == {"custom.talker.word"} and no.drain(0.2) == []
        with Watcher(own, "/events?type=log&plugin=talker") as w:
            answer = own.request("GET", "/plugins/talker/count", None, auth(USER))
            assert answer.complete and answer.get("content-type") == "text/event-stream", answer.headers
            assert answer.body == b"".join(b"id: 7\nevent: count\ndata: line %d\ndata: more\n\n" % n
                                           for n in (1, 2, 3)), answer.body
            w.wait(lambda e: e["message"] == "a stream ended at 4")
            with own.connect() as c:  # leaves in the middle
                c.send(b"GET /plugins/talker/count HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                       b"x-ccproxy-token: %s\r\n\r\n" % USER.encode())
                c.read_some(b"line 1")
                c.reset()
            w.wait(lambda e: e["message"].startswith("a stream ended at"), times=2)
            assert own.request("HEAD", "/plugins/talker/count", None, auth(USER)).status == 200
            w.wait(lambda e: e["message"] == "a stream ended at 0")


# ---- two steps --------------------------------------------------------------------------------------------------

def test_two_steps():
    made = post("/events/streams", {"type": ["request.*", "log"], "level": "warn"})
    value = json.loads(made.body)
    assert made.status == 201 and made.get("location") == value["url"], made.headers
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", value["id"]) and value["url"] == "/events/streams/" + value["id"]
    assert value["_links"]["self"]["href"] == value["url"]
    assert server.request("HEAD", value["url"]).status == 200  # does not use it up
    with Watcher(server, value["url"], key=None) as w:
        chat(server)
        w.wait("request.completed")
        again = server.request("GET", value["url"])
        assert again.status == 404 and b"not_found" in again.body, again.body
        assert not [e for e in w.events if not e["type"].startswith("request.")], w.events
        w.wait(lambda e: e["type"] == "request.failed" and e["request"]["path"] == "/events/streams/")
        assert value["id"] not in json.dumps(w.events)
    for path in ("/events/streams/", "/events/streams/" + "A" * 32, "/events/streams/" + value["id"][:-1],
                 value["url"] + "/x", "/plugins/mock/streams/" + "B" * 32):
        assert server.request("GET", path).status == 404, path
    value = json.loads(post("/plugins/access_log/streams", b"").body)
    assert value["url"].startswith("/plugins/access_log/streams/"), value
    assert server.request("GET", value["url"].replace("access_log", "mock")).status == 404
    with Watcher(server, "/v1" + value["url"], key=None) as w:
        chat(server)
        w.wait("log")
        assert {e["source"] for e in w.events} == {"access_log"}
    text = server.log_text() + server.output()
    assert value["id"] not in text and "/streams/" in text, "an id is in the log"


def test_an_id_is_told_to_its_maker_only():
    """Not even to who watches everything: Location holds it, too."""
    with Watcher(server, "/events?bodies=1") as w:
        made = post("/events/streams", {})
        w.wait(lambda e: e["type"] == "request.completed" and e["request"]["path"] == "/events/streams")
        told = [e for e in w.events if e["type"] == "http.response"]
        assert told and json.loads(made.body)["id"] in made.get("location"), (told, made.headers)
        assert json.loads(made.body)["id"] not in json.dumps(w.events), told


def test_two_steps_from_a_foreign_page():
    value = json.loads(post("/events/streams", {}).body)
    assert server.request("GET", value["url"], host="evil.example").status == 421
    refused = server.request("POST", "/events/streams", b"{}", auth(ROOT) + [("origin", "http://evil.example")])
    assert refused.status == 403
    with Watcher(server, value["url"], key=None) as w:
        assert w.status == 200


def test_ids_expire_and_are_not_without_number():
    with Clock() as clock:
        own = Server(KEYS, env=clock.env())
        with own:
            first = json.loads(post("/events/streams", {}, of=own).body)
            clock.jump(299)
            second = json.loads(post("/events/streams", {}, of=own).body)
            with Watcher(own, first["url"], key=None) as w:
                assert w.status == 200
            clock.jump(299)
            third = json.loads(post("/events/streams", {}, of=own).body)
            clock.jump(2)
            assert own.request("GET", second["url"]).status == 404
            assert own.request("HEAD", third["url"]).status == 200
            with own.connect() as c:
                statuses = [c.request("POST", "/events/streams", b"{}", auth(ROOT)).status for _ in range(1001)]
                assert statuses[:999] == [201] * 999 and set(statuses[999:]) == {429}, statuses[-5:]
                clock.jump(301)
                assert c.request("POST", "/events/streams", b"{}", auth(ROOT)).status == 201
    check.figure("EVT-03", "an id worked once, at 299 s, not at 301 s; the 1,001st waiting one got 429")


# ---- many, slow and hasty ones ----------------------------------------------------------------------------------

def latencies(own, n):
    out = []
    with own.connect() as c:
        for _ in range(n):
            start = time.monotonic()
            assert chat(own, connection=c).status == 200
            out.append((time.monotonic() - start) * 1000)
    return out


def test_two_hundred_watchers():
    events = 1000
    with Server(KEYS, binary=RELEASE) as own:
        alone = crowd.p99(latencies(own, 300))
        start = own.rss()
        with Crowd(own.port, 200, "/events?type=request.completed") as watchers:
            took = latencies(own, events)
            counts = watchers.wait(events, 60)
            grown = own.rss() - start
            assert own.request("GET", "/health/live").status == 200
        assert {c[0] for c in counts} == {events}, sorted({c[0] for c in counts})
        assert len({c[1] for c in counts}) == 1, "they did not get the same events"
        assert not any(c[2] for c in counts)
        assert grown < (64 << 20), "RSS grew by %d" % grown
        with_them = crowd.p99(took)
        assert with_them < max(60 * SLOW, 8 * alone), "p99 %.1f ms, alone %.1f ms" % (with_them, alone)
    check.figure("EVT-04", "200 got the same %d events; RSS %+.1f MiB; p99 of requests %.1f ms, alone %.1f ms" % (
        events, grown / 1048576, with_them, alone))


def test_one_that_does_not_read():
    with Server(KEYS, binary=RELEASE) as own:
        latencies(own, 50)
        time.sleep(0.3)  # the end of the last of them is told now: nobody hears it
        with Watcher(own, "/events?type=request.*,http.*", receive_buffer=4096) as slow, \
                Watcher(own, "/events?type=request.completed") as quick:
            start, rounds = own.rss(), 4000
            for i in range(0, rounds, 200):
                latencies(own, 200)
                quick.wait("request.completed", times=i + 200, seconds=20)
            grown = own.rss() - start
            assert grown < ((16 if RELEASE or not sanitized() else 48) << 20), "RSS grew by %d" % grown  # quarantine
            assert not [e for e in quick.events if e["type"] == "note"]
            note = slow.wait("note", seconds=20)[0]
            seen = sum(e["type"] != "note" for e in slow.drain(0.5))
            dropped = sum(e.get("dropped", 0) for e in slow.events if e["type"] == "note")
            assert note["dropped"] > 0
            chat(own)
            slow.wait(lambda e: e["type"] == "request.completed" and e["id"] > note["id"])
    # six of each request, and three of the other watcher's own
    assert seen + dropped == 6 * rounds + 3, "events are missing without a word: %d + %d" % (seen, dropped)
    check.figure("EVT-05", "of %d events one that did not read got %d, and a note of %d; RSS %+.1f MiB" % (
        seen + dropped, seen, dropped, grown / 1048576))


def test_a_thousand_come_and_go():
    with Server(KEYS, binary=RELEASE) as own:
        def storm(n):
            socks = []
            for _ in range(n):
                s = socket.create_connection(("127.0.0.1", own.port))
                s.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nx-ccproxy-token: %s\r\n\r\n" % ROOT.encode())
                socks.append(s)
            for i, s in enumerate(socks):
                if i % 2:
                    s.settimeout(5)
                    assert s.recv(100).startswith(b"HTTP/1.1 200 ")
                s.close()
        crowd.many_descriptors()
        storm(50)
        time.sleep(0.3)
        files, start = crowd.descriptors(own.process.pid), own.rss()
        for _ in range(10):
            storm(100)
        end = time.monotonic() + 10
        while crowd.descriptors(own.process.pid) > files and time.monotonic() < end:
            time.sleep(0.05)
        now = crowd.descriptors(own.process.pid)
        assert now <= files, "%d descriptors, before %d" % (now, files)
        grown = own.rss() - start
        with Watcher(own, "/events?type=request.completed") as w:
            chat(own)
            w.wait("request.completed")
    check.figure("EVT-06", "1,000 came and went: descriptors %+d, RSS %+.1f MiB" % (now - files, grown / 1048576))


def test_a_limit_of_their_own():
    """They do not count as requests in flight, and the 1,001st is refused."""
    crowd.many_descriptors()
    with Server(KEYS, "max_in_flight = 20", binary=RELEASE) as own:
        with Crowd(own.port, 1000, "/events?type=custom.*") as watchers:
            more = own.request("GET", "/events", None, auth(ROOT))
            assert more.status == 503 and b"as many streams" in more.body, more.body
            assert chat(own).status == 200
            watchers.counts()
        end = time.monotonic() + 10
        while (status := own.request("HEAD", "/events", None, auth(ROOT)).status) != 200 and time.monotonic() < end:
            time.sleep(0.1)
        with Watcher(own) as w:
            assert w.status == 200


# ---- configuration and the end ----------------------------------------------------------------------------------

def test_a_reload_keeps_watchers_unless_their_key_is_gone():
    with Server(KEYS) as own, Watcher(own, "/events?type=app.*,request.completed") as w:
        for i in range(5):
            own.process.send_signal(signal.SIGHUP)
            w.wait("app.reloaded", times=i + 1)
        chat(own)
        w.wait("request.completed")
        made = json.loads(post("/events/streams", {}, of=own).body)
        own.write(KEYS.replace(ROOT, "another-key-of-this-test-9876543210"))
        own.process.send_signal(signal.SIGHUP)
        assert "closed" in w.wait("note")[0]
        w.drain()
        assert w.over and w.whole
        assert own.request("GET", made["url"]).status == 404


def test_a_stop_does_not_wait_for_watchers():
    own = Server(KEYS, 'drain_timeout = "20s"')
    with Watcher(own) as w, Watcher(own, "/events?type=custom.*") as other:
        start = time.monotonic()
        own.process.send_signal(signal.SIGTERM)
        for each in (w, other):
            assert each.wait("note")[0]["closed"] == "ccproxy is shutting down"
            each.drain(3)
            assert each.whole, "the stream was cut"
        code = own.process.wait(15)
        took = time.monotonic() - start
    own.stop()
    assert code == 0 and took < 3 * SLOW, "ended with %s after %.1f s" % (code, took)
    check.figure("EVT-07", "2 watchers got a note and a whole end; the server ended %.2f s after SIGTERM" % took)


if __name__ == "__main__":
    check.main(globals(), "blackbox/events", before, after)
