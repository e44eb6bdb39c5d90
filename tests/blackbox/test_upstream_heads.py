"""Upstream heads against every rule: the client sees valid HTTP or a 502 in its own format, and never a line that the
upstream could not have sent as a field of its own."""
import re

import check
import formats
from formats import ALL, ANTHROPIC, CHAT, small_body
from http1 import count
from server import Server, run
from upstream import Answer, Upstream, chunk, sse

up = None
servers = {}  # transport -> Server
OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"Content-Type: application/json\r\n"
PLANT = b"Set-Cookie: injected=1"  # as a field of its own it would not pass; as a part of another it must not either
STATUS = re.compile(rb"HTTP/1\.1 [1-5][0-9][0-9] [\x20-\x7e]*\Z")
FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]*[\t\x20-\x7e\x80-\xff]*\Z")


def transports():
    """Both ways to an upstream, once there are two."""
    return ("default", "curl") if "transport =" in run("config", "example").stdout else ("default",)


def before():
    global up
    up = Upstream()
    for name in transports():
        more = '[upstream]\ntransport = "curl"\n' if name == "curl" else ""
        servers[name] = Server(formats.config(up.url) + more)


def after():
    for server in servers.values():
        with server:
            pass
    up.close()


def plain(fields=b"", body=b"{}", status=OK):
    return status + fields + JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body


BREAKERS = {
    "cr": b"\r", "lf": b"\n", "crlf": b"\r\n", "nul": b"\0", "vt": b"\x0b", "ff": b"\x0c", "fs": b"\x1c", "bs": b"\x08",
    "esc": b"\x1b[2J", "del": b"\x7f", "nel": b"\xc2\x85", "c1": b"\x85", "u2028": b"\xe2\x80\xa8",
    "cr-cr-lf": b"\r\r\n",
    "lf-cr": b"\n\r", "fold": b"\r\n ", "fold-tab": b"\r\n\t", "lf-fold": b"\n ", "percent": b"%0d%0a",
    "utf-8-overlong":
    b"\xc0\x8d\xc0\x8a", "utf-16": "\u560d\u560a".encode(), "two-crlf": b"\r\n\r\n", "lf-lf": b"\n\n"}


def broken_heads():
    for name, cut in BREAKERS.items():
        planted = b"a" + cut + PLANT
        yield "value-" + name, plain(b"X-A: " + planted + b"\r\n")
        yield "end-of-value-" + name, plain(b"X-A: a" + cut + b"\r\n")
        yield "name-" + name, plain(b"X" + cut + b"A: " + PLANT + b"\r\n")
        yield "reason-" + name, plain(status=b"HTTP/1.1 200 " + planted + b"\r\n")
        yield "request-id-" + name, plain(b"x-request-id: " + planted + b"\r\n")
        yield "retry-after-" + name, plain(b"Retry-After: " + planted + b"\r\n", status=b"HTTP/1.1 429 Slow\r\n")
        yield "type-" + name, OK + b"Content-Type: text/html" + cut + PLANT + b"\r\nContent-Length: 2\r\n\r\n{}"
        yield "connection-" + name, plain(b"Connection: x-a" + cut + PLANT + b"\r\n")


STATUS_LINES = (
    b"HTTP/2.0 200 OK", b"HTTP/1.2 200 OK", b"HTTP/9.9 200 OK", b"HTTP/0.9 200 OK", b"HTTP/1.1 99 Low",
    b"HTTP/1.1 1000 High",
    b"HTTP/1.1 -20 Minus", b"HTTP/1.1 20 Short", b"HTTP/1.1 600 Six", b"HTTP/1.1 999 Nine", b"HTTP/1.1 000 Nil",
    b"HTTP/1.1 0x0 Hex", b"HTTP/1.1 200OK", b"HTTP/1.1 2 0 0", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 200",
    b"HTTP/1.1 200 ",
    b"HTTP/1.1  200 OK", b"HTTP/1.1\t200\tOK", b"http/1.1 200 ok", b"ICY 200 OK", b"200 OK", b" HTTP/1.1 200 OK", b"",
    b"\0",
    b"HTTP/1.1 101 Switching Protocols", b"HTTP/1.1 200 " + b"r" * 70000, b"GET / HTTP/1.1", b"SSH-2.0-x", b"<html>")


def framings():
    yield "length-short", OK + JSON + b"Content-Length: 2\r\n\r\n{}" + plain(PLANT + b"\r\n", b'{"second":1}')
    yield "length-long", OK + JSON + b"Content-Length: 20\r\n\r\n{}"
    for value in (b"-2", b"+2", b"2, 2", b"2, 3", b"0x2", b"2 2", b"two", b"", b"99999999999999999999999",
                  b"2\r\nContent-Length: 3"):
        yield "length %r" % value[:20], OK + JSON + b"Content-Length: " + value + b"\r\n\r\n{}"
    whole = chunk(b"{}") + b"0\r\n\r\n"
    for name, fields in (("cl-te", b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"), ("te-cl",
        b"Transfer-Encoding: chunked\r\n"
                         b"Content-Length: 2\r\n"), ("te-twice",
                                                     b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
                         ("te-list", b"Transfer-Encoding: chunked, chunked\r\n"), ("te-gzip",
                             b"Transfer-Encoding: gzip\r\n"),
                         ("te-gzip-chunked", b"Transfer-Encoding: gzip, chunked\r\n"), ("te-junk",
                             b"Transfer-Encoding: x\r\n"),
                         ("te-identity", b"Transfer-Encoding: identity\r\n"), ("te-space-colon",
                             b"Transfer-Encoding : chunked\r\n"),
                         ("te-vt", b"Transfer-Encoding: \x0bchunked\r\n"), ("te-empty", b"Transfer-Encoding:\r\n")):
        yield name, OK + JSON + fields + b"\r\n" + whole
    for name, length in (("longer", b"2"), ("shorter", b"40"), ("zero", b"0")):
        for order in (1, -1):
            fields = (b"Content-Length: " + length + b"\r\n", b"Transfer-Encoding: chunked\r\n")[::order]
            yield "cl-te-%s-%d" % (name,
                                   order), OK + JSON + b"".join(fields) + b"\r\n" + chunk(
                                       b'{"twenty":"bytes..."}') + b"0\r\n\r\n"
    for name, text in (("size-hex", b"0x2\r\n{}\r\n0\r\n\r\n"), ("size-minus", b"-2\r\n{}\r\n0\r\n\r\n"), ("size-word",
        b"zz\r\n{}\r\n0\r\n\r\n"),
                       ("size-huge", b"FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n"), ("size-max",
                           b"FFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n"),
                       ("no-crlf", b"2\r\n{}xx0\r\n\r\n"), ("no-end", b"2\r\n{}\r\n"), ("extension-100-KB",
                           b"2;" + b"e" * 100000 +
                       b"\r\n{}\r\n0\r\n\r\n"), ("no-size", b"\r\n{}\r\n0\r\n\r\n")):
        yield "chunk-" + name, OK + JSON + b"Transfer-Encoding: chunked\r\n\r\n" + text
    for name, lines in (("one", PLANT + b"\r\n"), ("status", b"HTTP/1.1 200 OK\r\n"), ("folded",
        b"X: a\r\n " + PLANT + b"\r\n"),
                        ("1,000", b"X-T: 1\r\n" * 1000), ("100-KB", b"X-T: " + b"t" * 100000 + b"\r\n"), ("nul",
                            b"X: \0\r\n")):
        yield "trailer-" + name, OK + JSON + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(
            b"{}") + b"0\r\n" + lines + b"\r\n"
    storm = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n" + PLANT + b"\r\n\r\n"
    yield "1xx-storm", storm * 1000 + plain()
    yield "100-storm", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + plain()
    yield "1xx-only", storm
    yield "1xx-broken", b"HTTP/1.1 100 a\rb\r\nX: \0\r\n\r\n" + plain()
    yield "102-with-length", b"HTTP/1.1 102 Wait\r\nContent-Length: 5\r\n\r\n" + plain()
    yield "204-with-body", b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n{}"
    yield "304-with-body", b"HTTP/1.1 304 Same\r\nContent-Length: 2\r\n\r\n{}"
    yield "301-KB-one", plain(b"X-Big: " + b"b" * 301000 + b"\r\n")
    yield "301-KB-many", plain(b"".join(b"X-%d: %s\r\n" % (n, b"b" * 1000) for n in range(301)))
    yield "90-KB-name", plain(b"x" * 90000 + b": b\r\n")
    yield "10,000-fields", plain(b"X: y\r\n" * 10000)
    yield "fold-first", OK + b" X: y\r\n" + JSON + b"Content-Length: 2\r\n\r\n{}"
    yield "folds-1,000", plain(b"X: y\r\n" + b" z\r\n" * 1000)
    yield "no-colon", plain(b"nothing\r\n")
    yield "empty-name", plain(b": b\r\n")
    yield "space-colon", plain(b"X-A : b\r\n")
    yield "bare-lf", plain(b"X-A: b\r\n").replace(b"\r\n", b"\n")
    yield "no-head-end", OK + JSON
    yield "no-framing", OK + JSON + b"\r\n{}"
    yield "half-status", b"HTTP/1."
    yield "nothing", b""


def cases():
    yield from broken_heads()
    for line in STATUS_LINES:
        yield "status %r" % line[:24], plain(status=line + b"\r\n")
    yield from framings()


def head_problem(raw):
    """Strict reading of what the client got (RFC 9112): one head, every line a field, nothing that was planted."""
    head, end, rest = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    if not end or not STATUS.match(lines[0]):
        return "no head: %r" % raw[:120]
    for line in lines[1:]:
        if not FIELD.match(line):
            return "not a field: %r" % line[:120]
        if line.lower().startswith((b"set-cookie", b"link:")):
            return "an injected line: %r" % line[:120]
    names = [line.split(b":")[0].lower() for line in lines[1:]]
    framing = names.count(b"content-length") + names.count(b"transfer-encoding")
    if framing > 1:
        return "framed twice: %r" % head[-200:]
    return "a second answer" if b"HTTP/1." in rest and b"second" in rest else None


def problem_of(server, fmt, raw):
    up.reset(Answer(raw=raw, end="fin"))
    with server.connect(timeout=15) as connection:
        response = connection.request("POST", fmt.url(), small_body(fmt))
        problem = head_problem(connection.raw) if response else "no answer"
        if problem is None and response.status >= 500:
            problem = formats.error_problem(fmt, response, 502) or (None if response.complete else "the error is cut")
        elif problem is None and response.complete and response.body not in raw:
            problem = "body %r" % response.body[:80]
        elif problem is None and not response.complete and not connection.closed(3):
            problem = "cut, but the connection stays"
        return problem or next_problem(connection, response)


def next_problem(connection, response):
    """What comes after a whole answer is the answer to the next request, and nothing of this one."""
    if not response.complete or (response.get("connection") or "").lower() == "close":
        return None
    try:
        again = connection.request("GET", "/health/live")
    except OSError as wrong:
        return "the next request: %s" % wrong
    if again is None or again.status != 200 or b"second" in again.raw or b"injected" in again.raw:
        return "the next answer on the connection is %r" % (again and again.raw[:200])
    return None


def judged(name, server):
    rows = list(cases())
    for number, (case, raw) in enumerate(rows):
        yield "%s-%s" % (name, case), problem_of(server, ALL[number % len(ALL)], raw)
    assert len(rows) >= 200, len(rows)
    assert server.request("GET", "/health/live").status == 200


def test_heads_and_framings():
    """H1-15"""
    for name, server in servers.items():
        yield from count(judged(name, server), "H1-15",
                         "%%d of %%d upstream heads, transport %s: valid HTTP or 502; 0 injected lines" % name)


def test_stream_heads():
    """The same where the client asked for a stream: an error is an error of its format, before or inside the stream."""
    stream = b'data: {"type":"x"}\n\n'
    for name, server in servers.items():
        for fmt in ALL:
            for case, raw in (("good", sse(stream).wire()), ("nul",
                                                             OK + b"Content-Type: text/event-stream\r\nX: \0\r\n\r\n" +
                                                             stream),
                              ("fold",
                               OK + b"Content-Type: text/event-stream\r\nX: a\r\n " + PLANT + b"\r\n\r\n" + stream),
                              ("trailer",
                               OK + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(
                                   stream) +
                               b"0\r\n" + PLANT + b"\r\n\r\n"),
                              ("chunk",
                               OK + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(
                                   stream) +
                               b"zz\r\n")):
                up.reset(Answer(raw=raw, end="fin"))
                with server.connect(timeout=15) as connection:
                    response = connection.request("POST", fmt.url(True), small_body(fmt, True))
                    problem = head_problem(connection.raw) if response else "no answer"
                if problem is None and response.status >= 500:
                    problem = formats.error_problem(fmt, response, 502)
                elif problem is None and b"injected" in response.body:
                    problem = "the trailer is in the body"
                elif problem is None and case == "chunk" and response.complete:
                    last = formats.events(response.body)[-1]
                    problem = None if formats.is_error_event(fmt, last) else "no error event: %r" % response.body[-200:]
                yield "%s-%s-%s" % (name, fmt.name, case), problem


def test_cookies_stay():
    """KEY-16: an upstream's Set-Cookie, and what else speaks for its origin, never reaches the client."""
    fields = [("Set-Cookie", "a=b"), ("set-cookie2", "c=d"), ("SET-COOKIE", "e=f; HttpOnly"), ("Clear-Site-Data",
        '"*"'),
              ("Alt-Svc", "h3=:443"), ("Strict-Transport-Security", "max-age=1"), ("Access-Control-Allow-Origin", "*"),
              ("X-CCProxy-Request-Id", "forged"), ("Proxy-Authenticate", "Basic")]
    shown = 0
    for name, server in servers.items():
        for fmt in (ANTHROPIC, CHAT):
            for status in (200, 400, 401, 429, 500):
                up.reset(Answer(b'{"error":{"message":"x"}}', status=status, headers=fields))
                response = server.request("POST", fmt.url(), small_body(fmt))
                names = {n.lower() for n, _ in response.headers}
                shown += len(names & {n.lower() for n, _ in fields} - {"x-ccproxy-request-id"})
                assert response.get("x-ccproxy-request-id") != "forged"
    assert shown == 0, "%d fields passed" % shown
    check.figure("KEY-16",
                 "upstream's Set-Cookie and 8 more fields of its origin: 0 reached a client in %d answers" % (10 * len(
                     servers)))


if __name__ == "__main__":
    check.main(globals(), "blackbox/upstream_heads", before, after)
