"""HTTP/1.1 by the book: whatever two servers could read in two ways is refused, and the connection is closed."""
import random
import time

import check
import formats
from formats import ANTHROPIC
from rawhttp import Connection
from server import Server
from upstream import Answer, Upstream

up = server = None
START = b"POST /claude/v1/messages HTTP/1.1\r\n"
HOST = b"Host: localhost\r\n"
TAIL = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


def before():
    global up, server
    up = Upstream()
    server = Server(formats.config(up.url))


def after():
    with server:
        pass
    up.close()


def head(*lines, start=START, host=HOST):
    return start + host + b"".join(l + b"\r\n" for l in lines) + b"\r\n"


CHUNKED, LENGTH = b"Transfer-Encoding: chunked", b"Content-Length: 2"
REFUSED = {
    "cl-te": head(LENGTH, CHUNKED) + b"0\r\n\r\n",
    "te-cl": head(CHUNKED, LENGTH) + b"0\r\n\r\n",
    "two-lengths": head(LENGTH, b"Content-Length: 3") + b"{} ",
    "two-equal-lengths": head(LENGTH, LENGTH) + b"{}",
    "length-list": head(b"Content-Length: 2, 2") + b"{}",
    "length-plus": head(b"Content-Length: +2") + b"{}",
    "length-minus": head(b"Content-Length: -2") + b"{}",
    "length-hex": head(b"Content-Length: 0x2") + b"{}",
    "length-words": head(b"Content-Length: 2 2") + b"{}",
    "length-huge": head(b"Content-Length: 99999999999999999999999") + b"{}",
    "te-twice": head(CHUNKED, CHUNKED) + b"0\r\n\r\n",
    "te-identity-chunked": head(b"Transfer-Encoding: identity", CHUNKED) + b"0\r\n\r\n",
    "te-gzip": head(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "te-not-last": head(b"Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n",
    "te-vt": head(b"Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n",
    "te-space-colon": head(b"Transfer-Encoding : chunked") + b"0\r\n\r\n",
    "te-quoted": head(b'Transfer-Encoding: "chunked"') + b"0\r\n\r\n",
    "te-on-1.0": head(CHUNKED, start=b"POST /claude/v1/messages HTTP/1.0\r\n") + b"0\r\n\r\n",
    "no-host": head(LENGTH, host=b"") + b"{}",
    "two-hosts": head(HOST[:-2], LENGTH) + b"{}",
    "empty-host": head(LENGTH, host=b"Host: \r\n") + b"{}",
    "host-userinfo": head(LENGTH, host=b"Host: a@localhost\r\n") + b"{}",
    "host-slash": head(LENGTH, host=b"Host: localhost/x\r\n") + b"{}",
    "host-space": head(LENGTH, host=b"Host: local host\r\n") + b"{}",
    "host-port": head(LENGTH, host=b"Host: localhost:99999\r\n") + b"{}",
    "obs-fold": head(b"X-A: b\r\n c", LENGTH) + b"{}",
    "fold-first": START + b" X: y\r\n" + HOST + b"\r\n",
    "nul-in-value": head(b"X-A: b\0c", LENGTH) + b"{}",
    "cr-in-value": head(b"X-A: b\rc", LENGTH) + b"{}",
    "del-in-name": head(b"X\x7fA: b", LENGTH) + b"{}",
    "empty-name": head(b": b", LENGTH) + b"{}",
    "no-colon": head(b"nothing", LENGTH) + b"{}",
    "name-300": head(b"x" * 300 + b": b", LENGTH) + b"{}",
    "bare-lf": (START + HOST + LENGTH + b"\r\n\r\n{}").replace(b"\r\n", b"\n"),
    "bare-lf-once": START + HOST + b"X-A: 1\n" + LENGTH + b"\r\n\r\n{}",
    "version-1.2": head(start=b"GET /health/live HTTP/1.2\r\n"),
    "version-2.0": head(start=b"GET /health/live HTTP/2.0\r\n"),
    "version-9.9": head(start=b"GET /health/live HTTP/9.9\r\n"),
    "version-http": head(start=b"GET /health/live http/1.1\r\n"),
    "method-paren": head(start=b"G(ET /health/live HTTP/1.1\r\n"),
    "connect": head(start=b"CONNECT localhost:80 HTTP/1.1\r\n"),
    "absolute-form": head(start=b"GET http://evil.example/health/live HTTP/1.1\r\n"),
    "target-star": head(start=b"GET * HTTP/1.1\r\n"),
    "target-raw-ff": head(start=b"GET /\xff HTTP/1.1\r\n"),
    "two-spaces": head(start=b"GET  /health/live HTTP/1.1\r\n"),
    "chunk-hex": head(CHUNKED) + b"0x2\r\n{}\r\n0\r\n\r\n",
    "chunk-plus": head(CHUNKED) + b"+2\r\n{}\r\n0\r\n\r\n",
    "chunk-word": head(CHUNKED) + b"2 xyz\r\n{}\r\n0\r\n\r\n",
    "chunk-17": head(CHUNKED) + b"00000000000000002\r\n{}\r\n0\r\n\r\n",
    "chunk-max": head(CHUNKED) + b"FFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n",
    "chunk-underscore": head(CHUNKED) + b"1_0\r\n{}\r\n0\r\n\r\n",
    "chunk-lf": head(CHUNKED) + b"2\n{}\r\n0\r\n\r\n",
    "chunk-no-crlf": head(CHUNKED) + b"2\r\n{}xx0\r\n\r\n",
    "chunk-empty-size": head(CHUNKED) + b"\r\n{}\r\n0\r\n\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 60 + b"\r\n\r\n",
}


def test_refused_and_closed():
    """400 (or a plain close where no answer is possible), then the end: nothing after it is read as a request."""
    for name, data in REFUSED.items():
        up.reset(Answer(b"{}"))
        with server.connect(timeout=5) as connection:
            connection.send(data + TAIL)
            started = time.monotonic()
            try:
                first = connection.response()
            except (TimeoutError, OSError):
                first = "late"
            problem = None
            if first == "late":
                problem = "no answer within 5 s"
            elif first is not None and not (400 <= first.status < 600):
                problem = "answered %d" % first.status
            elif first is not None and first.status not in (400, 405, 413, 421, 501, 505):
                problem = "answered %d" % first.status
            elif not connection.closed(2):
                problem = "the connection stays open"
            elif b"HTTP/1." in connection.rest:
                problem = "a second answer: %r" % connection.rest[:200]
            elif up.requests:
                problem = "it reached the upstream"
            elif time.monotonic() - started > 3:
                problem = "took %.1f s" % (time.monotonic() - started)
        yield name, problem
    assert server.request("GET", "/health/live").status == 200


def test_accepted():
    rows = {"leading-crlf": b"\r\n" + head(LENGTH) + b"{}", "case": head(b"cOnTeNt-LeNgTh: 2") + b"{}",
            "tabs": head(LENGTH, b"X-A:\tb\t") + b"{}", "chunked": head(CHUNKED) + b"2\r\n{}\r\n0\r\n\r\n",
            "chunk-extension": head(CHUNKED) + b"2;a=b\r\n{}\r\n0\r\n\r\n",
            "trailer": head(CHUNKED) + b"2\r\n{}\r\n0\r\nX-T: 1\r\nAuthorization: no\r\n\r\n",
            "expect": head(LENGTH, b"Expect: 100-continue") + b"{}",
            "upper-chunked": head(b"Transfer-Encoding: CHUNKED") + b"2\r\n{}\r\n0\r\n\r\n"}
    for name, data in rows.items():
        up.reset(Answer(b'{"fine":1}'))
        with server.connect(timeout=5) as connection:
            connection.send(data)
            response = connection.response()
        good = response is not None and response.status == 200 and up.last().body == b"{}"
        yield name, None if good else repr(response and response.raw)


def test_every_split_of_a_request():
    body = formats.small_body(ANTHROPIC)
    data = START + HOST + b"X-Api-Key: abc\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    up.reset(Answer(b'{"n":1}'))
    with server.connect() as connection:
        for at in range(1, len(data), 1 if check.LONG else 2):
            connection.send(data[:at])
            time.sleep(0.001)
            connection.send(data[at:])
            assert connection.response().body == b'{"n":1}', at
    assert all(r.body == body for r in up.requests)


def test_pipelining_in_order():
    up.reset(lambda request: Answer(request.body))
    with server.connect() as connection:
        data = b""
        for n in range(60):
            body = b'{"n":%d}' % n
            data += START + HOST + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        connection.send(data)
        for n in range(60):
            assert connection.response().body == b'{"n":%d}' % n
        connection.send(data + b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + data)
        for n in range(60):
            assert connection.response().body == b'{"n":%d}' % n
        assert connection.response().status == 400 and connection.closed()


def test_no_upgrade_to_h2c():
    with server.connect() as connection:
        response = connection.request("GET", "/health/live", headers=[
            ("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")])
    assert response.status == 200, response.status


def test_hop_by_hop_names_cannot_hide_a_key():
    """Connection: x-api-key does not take away what the key check reads."""
    with Server(formats.config(up.url) + '[security]\nauth_token = "token-FIXTURE-0001"\n') as own:
        up.reset(Answer(b"{}"))
        for key, status in (("token-FIXTURE-0001", 200), ("wrong", 401)):
            response = own.request("POST", "/claude/v1/messages", b"{}", [
                ("Connection", "x-api-key, authorization"), ("x-api-key", key)])
            assert response.status == status, (key, response.status)


def test_one_path_for_key_check_and_router():
    """However a path is written, a route that wants a key never opens without it."""
    with Server(formats.config(up.url) + '[security]\nauth_token = "token-FIXTURE-0001"\n') as own:
        up.reset(Answer(b"{}"))
        for path in ("//claude/v1/messages", "/x/../claude/v1/messages", "/./claude/v1/messages", "/claude//v1/messages",
                     "/%63laude/v1/messages", "/claude/v1/messages/", "/claude/v1/messages;a=b", "/claude%2fv1/messages",
                     "/health/live/../../claude/v1/messages", "/health/live/..%2f..%2fclaude/v1/messages",
                     "/%2e%2e/claude/v1/messages", "/claude/v1/messages%00", "/health/live?/../claude/v1/messages", "/plugins/../claude/v1/messages"):
            response = own.request("POST", path, b"{}")
            good = response.status in (400, 401, 404, 405) and not up.requests
            yield path, None if good else "%d" % response.status


def test_mutated_heads_never_kill_it():
    chance = random.Random(11)
    base = bytearray(head(b"Content-Length: 2", b"X-Api-Key: k", b"Accept: */*") + b"{}")
    up.reset(Answer(b"{}"))
    for _ in range(3000 if check.LONG else 400):
        data = bytearray(base)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with server.connect(timeout=2) as connection:
            connection.send(bytes(data))
            connection.sock.shutdown(1)
            try:
                while connection.sock.recv(65536):
                    pass
            except OSError:
                pass
    assert server.request("GET", "/health/live").status == 200


def test_long_heads():
    for size, good in ((30000, True), (400000, False)):
        with Connection(server.port, timeout=5) as connection:
            try:
                connection.send(head(b"X-Long: " + b"a" * size, start=b"GET /health/live HTTP/1.1\r\n"))
                response = connection.response()
            except OSError:
                response = None
            assert (response is not None and response.status == 200) == good, size
    assert server.request("GET", "/health/live").status == 200


def test_peer_behind_a_trusted_proxy():
    """Only a trusted proxy is believed, and only in what it added itself: the last address."""
    seen = [("X-Forwarded-For", "198.51.100.7, 203.0.113.9")]
    for trusted, expected, other in (('["127.0.0.0/8"]', "203.0.113.9", "198.51.100.7"), ("[]", "127.0.0.1:", "203.0.113.9")):
        with Server(formats.config(up.url), server="trusted_proxies = %s" % trusted) as own:
            assert own.request("GET", "/health/live", headers=seen).status == 200
            assert own.request("GET", "/no-such-path", headers=seen).status == 404
            deadline = time.time() + 5
            while "/no-such-path" not in own.log_text() and time.time() < deadline:
                time.sleep(0.02)
            line = [l for l in own.log_text().splitlines() if "/no-such-path" in l][0]
            assert expected in line and other not in line, line


if __name__ == "__main__":
    check.main(globals(), "blackbox/http1", before, after)
