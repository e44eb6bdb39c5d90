"""HTTP/1.1 connections: one path for all who judge it, pipelining, cuts at every byte, upgrades, hop-by-hop fields."""
import threading
import time

import check
import formats
from formats import ANTHROPIC
from http1 import CHUNKED, HOST, LENGTH, START, count, get, head, refusal_problem
from rawhttp import Connection
from server import Server
from upstream import Answer, Upstream

TOKEN, ADMIN = "token-FIXTURE-0001", "token-FIXTURE-admin-0002"
KEYS = '[security]\nauth_token = "%s"\n[[security.keys]]\nname = "boss"\ntoken = "%s"\nadmin = true\n' % (TOKEN, ADMIN)
up = server = locked = None


def before():
    global up, server, locked
    up = Upstream()
    server = Server(formats.config(up.url))
    locked = Server(formats.config(up.url) + KEYS)


def after():
    with server, locked:
        pass
    up.close()


def spellings(path):
    """Ways to write `path` that some program in the world takes for it."""
    first, _, rest = path[1:].partition("/")
    half = len(path) // 2
    yield from ("/" + path, "/." + path, "/x/.." + path, "//evil.example" + path, "/%2e" + path, "/x/%2e%2e" + path,
                "/x/.%2e" + path, "/x/%2E." + path, "/..;" + path, path + "/", path + "//", path + "/.", path + ";a=b",
                path + "%00", path + "%20", path + "%0d%0aX:%20y", path + "%3f", path + "%23",
                "/%25" + "%02x" % ord(first[0]) +
                path[2:], "/%%%02x%s" % (ord(first[0]), path[2:]),
                path[:half] + "%%%02x" % ord(path[half]) + path[half + 1:],
                "/" + first + "%2f" + rest, "/" + first + "%5c" + rest, "/" + first + "\\" + rest,
                "/" + first + "//" + rest,
                "/" + first + "/./" + rest, "/" + first + "/x/../" + rest, "/health/live/../.." + path,
                "/health/live/..%2f.." + path, "/health/live;/../.." + path, "/health/live?/../.." + path, path.upper(),
                "/" + first + "/%2e%2e/" + first + "/" + rest, "/%c0%ae%c0%ae" + path, "/" + first + "%c0%af" + rest)


# (method, path, what opens it, what shows that it was opened)
PLACES = (("POST", "/claude/v1/messages", TOKEN), ("GET", "/plugins", TOKEN), ("POST", "/plugins/mock/nothing", ADMIN))


def test_one_path_for_all_who_judge_it():
    """H1-06: however a target is spelled, the key check and the router see the same path: without a key nothing opens,
    and with it each spelling is either the plain path or an error."""
    def rows():
        for method, path, key in PLACES:
            plain = locked.request(method, path, b"{}", [("x-ccproxy-token", key)]).status
            assert plain != 401
            for target in spellings(path):
                up.reset(Answer(b"{}"))
                without = locked.request(method, target, b"{}").status
                public = without == 200 and target.startswith("/health/live?")
                problem = None
                if without not in (400, 401, 404, 405) and not public:
                    problem = "%d without a key" % without
                elif up.requests:
                    problem = "it went up without a key"
                limited = locked.request(method, target, b"{}", [("x-ccproxy-token", TOKEN)])
                if key is ADMIN and limited.status not in (400, 403, 404, 405) and not public:
                    problem = problem or "%d for a key that is no admin's" % limited.status
                if up.requests and up.requests[-1].target != "/v1/messages":
                    problem = problem or "upstream saw %s" % up.requests[-1].target
                if problem is None and without == 400 and limited.status != 400:
                    problem = "400 without a key, %d with one" % limited.status
                yield target, problem
    yield from count(rows(), "H1-06", "%d of %d spellings of paths: 0 opened a route that wants a key, or another path")


def test_targets_that_are_no_path():
    """H1-06: absolute-form, authority-form, asterisk, raw bytes, fragments, traversal above the root."""
    targets = {"absolute": b"http://evil.example/health/live", "absolute-own": b"http://localhost/health/live",
               "absolute-userinfo": b"http://a@localhost/", "authority": b"localhost:80", "star": b"*",
               "empty-path": b"health/live",
               "raw-ff": b"/\xff", "raw-utf-8": "/é".encode(), "fragment": b"/health/live#x", "del": b"/\x7f",
               "nul": b"/\0",
               "tab": b"/health\tlive", "bad-percent": b"/%zz", "short-percent": b"/health/live%2",
               "above-root": b"/../../etc/passwd", "above-root-encoded": b"/%2e%2e/%2e%2e/etc/passwd",
               "dots-in-middle": b"/claude/../../../v1", "nul-encoded": b"/health/live%00"}
    up.reset(Answer(b"{}"))

    def rows():
        for name, target in targets.items():
            with server.connect(timeout=5) as connection:
                connection.send(head(start=get(target)))
                response = connection.response()
            yield name, None if response is not None and response.status == 400 else str(response and response.status)
    yield from count(rows(), "H1-06", "%d of %d targets that are no path answered 400")


def numbered(n):
    body = b'{"n":%d}' % n
    return START + HOST + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def test_pipelining():
    """H1-10: 1,000 requests at once, a bad one in the middle: the answers before it in order, then 400 and the end."""
    bad = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
    data = b"".join(numbered(n) for n in range(500)) + bad + b"".join(numbered(n) for n in range(500, 1000))
    up.reset(lambda request: Answer(request.body))
    with server.connect(timeout=60) as connection:
        sender = threading.Thread(target=quietly, args=(connection, data), daemon=True)
        sender.start()
        for n in range(500):
            response = connection.response()
            assert response is not None and response.body == b'{"n":%d}' % n, (n, response and response.raw)
        assert connection.response().status == 400
        assert connection.closed()
        assert b"HTTP/1." not in connection.rest
        sender.join()
    assert len(up.requests) == 500, len(up.requests)
    check.figure("H1-10", "500 answers in order, then 400 and close; 0 of the 500 behind the bad one ran")


def quietly(connection, data):
    try:
        connection.send(data)
    except OSError:
        pass  # closed under us: what was to be tested


BODY = formats.small_body(ANTHROPIC)
VALID = {
    "length": START + HOST + b"X-Api-Key: abc\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY),
    "chunked": head(CHUNKED) + b"%x;a=b\r\n%s\r\n%x\r\n%s\r\n0;c\r\nX-T: 1\r\n\r\n" % (10, BODY[:10], len(BODY) - 10,
        BODY[10:]),
    "crlf-first": b"\r\n" + head(LENGTH) + b"{}", "get": head(start=get()), "head": head(start=get(method=b"HEAD")),
    "1.0-keep-alive": head(b"Connection: keep-alive", LENGTH, start=get(b"/claude/v1/messages", b"HTTP/1.0",
        b"POST")) + b"{}",
    "expect": head(LENGTH, b"Expect: 100-continue") + b"{}",
}


def result(connection, pieces, pause, bodyless):
    """(status, answer, what went up) of one request sent in pieces."""
    seen = len(up.requests)
    for piece in pieces:
        connection.send(piece)
        if pause:
            time.sleep(pause)
    response = connection.response(bodyless)
    return response and (response.status, response.body, [r.body for r in up.requests[seen:]])


def test_every_split():
    """H1-11: all cuts in two, then one byte at a time: always the same request."""
    up.reset(lambda request: Answer(b'{"n":1}'))
    tried = 0
    for name, data in VALID.items():
        bodyless = name == "head"
        with server.connect() as connection:
            whole = result(connection, [data], 0, bodyless)
            assert whole and whole[0] == 200, (name, whole)
            wrong = []
            for at in range(1, len(data)):
                got = result(connection, [data[:at], data[at:]], 0.0008, bodyless)
                tried += 1
                if got != whole:
                    wrong.append((at, got))
                    break
            single = result(connection, [data[i:i + 1] for i in range(len(data))], 0.0003,
                            bodyless) if not wrong else whole
            tried += 1
        yield name, ("cut at %d: %r" % wrong[0] if wrong else None) or (None if single == whole else repr(single))
    check.figure("H1-11", "%d ways to cut %d valid requests: the same result each time" % (tried, len(VALID)))


UPGRADES = ([("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")],
            [("Connection", "upgrade"), ("Upgrade", "H2C")], [("Connection", "Upgrade"), ("Upgrade", "websocket, h2c")],
            [("Connection", "Upgrade"), ("Upgrade", "h2c-14")], [("Connection", "Upgrade"), ("Upgrade", " h2c ,x")],
            [("Upgrade", "h2c"), ("HTTP2-Settings", "")], [("Connection", "Upgrade"), ("Upgrade", "websocket"),
             ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13")],
            [("Connection", "Upgrade"), ("Upgrade", "TLS/1.0")], [("Connection", "Upgrade"), ("Upgrade",
                "connect-udp")])
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"


def test_no_upgrade():
    """H1-12: never 101, whatever is asked for; HTTP/1.1 goes on."""
    up.reset(Answer(b"{}"))

    def rows():
        for number, headers in enumerate(UPGRADES):
            for method, path, body in (("GET", "/health/live", None), ("POST", "/claude/v1/messages", b"{}")):
                with server.connect(timeout=5) as connection:
                    response = connection.request(method, path, body, headers)
                    problem = None if response.status == 200 and b" 101 " not in connection.raw else repr(
                        connection.raw[:80])
                    again = connection.request("GET", "/health/live")
                yield "%d-%s" % (number, method), problem or (None if again and again.status == 200
                                                              else "then no more answers")
    yield from count(rows(), "H1-12", "%d of %d requests for an upgrade answered 200, no 101")


def test_preface_only_where_configured():
    """H1-12: prior knowledge of HTTP/2 on a plain connection is a setting."""
    for setting, spoken in (("", True), ("h2c = true", True), ("h2c = false", False)):
        with Server(formats.config(up.url), server=setting) as own, Connection(own.port, timeout=5) as connection:
            connection.send(PREFACE)
            first = connection.more()
            if spoken:
                assert len(first) >= 9 and first[3] == 4, "%r: no SETTINGS: %r" % (setting, first[:80])
            else:
                assert first.startswith(b"HTTP/1.1 400 "), "%r: %r" % (setting, first[:80])
                assert connection.closed()
                for variant in (PREFACE[:16] + b"\r\n", b"PRI * HTTP/2.0\r\nHost: localhost\r\n\r\n", b"\r\n" + PREFACE,
                                b"PRI / HTTP/2.0\r\n\r\n"):
                    problem = refusal_problem(own, up, variant, (400,))
                    assert problem is None, (variant, problem)
    check.figure("H1-12", "preface: SETTINGS with h2c loopback and true, 400 and close with false, 5 of 5")


def hop_by_hop_rows():
    places = [("x-api-key", "%s"), ("authorization", "Bearer %s"), ("x-ccproxy-token", "%s"), ("x-goog-api-key", "%s")]
    lists = ["authorization, x-api-key", "close, x-api-key, x-ccproxy-token, x-goog-api-key, authorization",
             "X-API-KEY,Authorization,X-CCProxy-Token,X-Goog-Api-Key",
             "keep-alive, host, content-length, content-type, origin",
             ", ,x-api-key,\tauthorization ,x-ccproxy-token,x-goog-api-key"]
    for name, form in places:
        for number, names in enumerate(lists):
            yield "%s-%d" % (name, number), (name, form), names


def test_hop_by_hop_names_hide_nothing():
    """H1-13: Connection names what we judge by: the judgement is the same as without it."""
    def ask(form, key, more):
        up.reset(Answer(b"{}"))
        return locked.request("POST", "/claude/v1/messages", b"{}", [(form[0], form[1] % key), *more])

    def rows():
        for name, form, names in hop_by_hop_rows():
            problem = None
            for key in (TOKEN, "wrong"):
                plain, named = ask(form, key, []).status, ask(form, key, [("Connection", names)]).status
                if plain != named or plain != (200 if key is TOKEN else 401):
                    problem = "%d without and %d with Connection" % (plain, named)
                if up.requests and (up.last().get("x-api-key") != formats.KEY or TOKEN.encode() in up.last().head):
                    problem = "upstream got %r" % up.last().headers
            yield name, problem
        response = locked.request("POST", "/claude/v1/messages", b"{}", [
            ("x-api-key", TOKEN), ("Connection", "origin"), ("Origin", "https://evil.example")])
        yield "origin", None if response.status == 403 else "%d for a foreign Origin" % response.status
    yield from count(rows(), "H1-13", "%d of %d lists in Connection left the judgement as it was")


def test_peer_behind_a_trusted_proxy():
    """Only a trusted proxy is believed, and only in what it added itself: the last address."""
    seen = [("X-Forwarded-For", "198.51.100.7, 203.0.113.9")]
    for trusted, expected, other in (('["127.0.0.0/8"]', "203.0.113.9", "198.51.100.7"), ("[]", "127.0.0.1:",
        "203.0.113.9")):
        with Server(formats.config(up.url), server="trusted_proxies = %s" % trusted) as own:
            assert own.request("GET", "/health/live", headers=seen).status == 200
            assert own.request("GET", "/no-such-path", headers=seen).status == 404
            own.wait_log("/no-such-path", 5)
            line = [l for l in own.log_text().splitlines() if "/no-such-path" in l][0]
            assert expected in line and other not in line, line


if __name__ == "__main__":
    check.main(globals(), "blackbox/http1_flow", before, after)
