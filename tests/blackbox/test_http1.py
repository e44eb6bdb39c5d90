"""HTTP/1.1 heads by the book: whatever two servers could read in two ways is refused, and the connection is closed."""
import random

import check
import formats
from http1 import CHUNKED, EMPTY_CHUNKS, HOST, LENGTH, START, count, get, head, refusal_problem, release_binary
from rawhttp import Connection
from server import Server
from upstream import Answer, Upstream

up = server = None


def before():
    global up, server
    up = Upstream()
    server = Server(formats.config(up.url))


def after():
    with server:
        pass
    up.close()


OLD = get(b"/claude/v1/messages", b"HTTP/1.0", b"POST")
LENGTHS = {
    "two": (LENGTH, b"Content-Length: 3"), "two-equal": (LENGTH, LENGTH), "zero-then-two": (b"Content-Length: 0",
        LENGTH),
    "list": (b"Content-Length: 2, 2",), "list-differs": (b"Content-Length: 2, 3",),
    "list-empty": (b"Content-Length: 2,",),
    "plus": (b"Content-Length: +2",), "minus": (b"Content-Length: -2",), "hex": (b"Content-Length: 0x2",),
    "words": (b"Content-Length: 2 2",), "dot": (b"Content-Length: 2.0",), "exponent": (b"Content-Length: 2e0",),
    "underscore": (b"Content-Length: 0_2",), "quoted": (b'Content-Length: "2"',), "empty": (b"Content-Length:",),
    "letters": (b"Content-Length: two",), "semicolon": (b"Content-Length: 2;a=b",), "vt": (b"Content-Length: \x0b2",),
    "ff": (b"Content-Length: 2\x0c",), "nbsp": (b"Content-Length: \xa02",),
    "full-width": ("Content-Length: ２".encode(),),
    "huge": (b"Content-Length: 99999999999999999999999",), "2-to-64": (b"Content-Length: 18446744073709551618",),
    "space-colon": (b"Content-Length : 2",), "tab-colon": (b"Content-Length\t: 2",), "fold": (b"Content-Length:\r\n 2",
        ),
    "nul-in-name": (b"Content\0-Length: 2",), "two-cases": (b"content-length: 2", b"CONTENT-LENGTH: 3"),
}
CODINGS = {
    "twice": (CHUNKED, CHUNKED), "list-twice": (b"Transfer-Encoding: chunked, chunked",),
    "identity": (b"Transfer-Encoding: identity",), "identity-chunked": (b"Transfer-Encoding: identity", CHUNKED),
    "identity-list": (b"Transfer-Encoding: identity, chunked",), "gzip": (b"Transfer-Encoding: gzip, chunked",),
    "not-last": (b"Transfer-Encoding: chunked, gzip",), "empty": (b"Transfer-Encoding:",),
    "empty-item": (b"Transfer-Encoding: ,chunked",), "empty-last": (b"Transfer-Encoding: chunked,",),
    "vt": (b"Transfer-Encoding: \x0bchunked",), "ff": (b"Transfer-Encoding: chunked\x0c",),
    "nbsp": (b"Transfer-Encoding: \xa0chunked",), "nul": (b"Transfer-Encoding: chunked\0",),
    "space-colon": (b"Transfer-Encoding : chunked",), "tab-colon": (b"Transfer-Encoding\t: chunked",),
    "quoted": (b'Transfer-Encoding: "chunked"',), "single-quoted": (b"Transfer-Encoding: 'chunked'",),
    "parameter": (b"Transfer-Encoding: chunked;q=1",), "prefix": (b"Transfer-Encoding: xchunked",),
    "suffix": (b"Transfer-Encoding: chunkedx",), "long-s": ("Transfer-Encoding: chunKed".replace("K",
        "\u212a").encode(),),
    "fold": (b"Transfer-Encoding:\r\n chunked",), "fold-in-name": (b"X: y\r\n Transfer-Encoding: chunked", LENGTH),
    "bare-cr": (b"X: y\rTransfer-Encoding: chunked", LENGTH), "bare-lf": (b"X: y\nTransfer-Encoding: chunked", LENGTH),
}
BOTH = {
    "cl-te": (LENGTH, CHUNKED), "te-cl": (CHUNKED, LENGTH), "cl0-te": (b"Content-Length: 0", CHUNKED),
    "te-cl0": (CHUNKED, b"Content-Length: 0"), "cl-other-te": (LENGTH, b"X-A: b", CHUNKED),
    "cl-te-identity": (LENGTH, b"Transfer-Encoding: identity"), "cl-te-cl": (LENGTH, CHUNKED, LENGTH),
    "te-cl-te": (CHUNKED, LENGTH, CHUNKED),
}


def framing_rows():
    for name, lines in LENGTHS.items():
        yield "length-" + name, head(*lines) + b"{}"
    for name, lines in CODINGS.items():
        yield "te-" + name, head(*lines) + EMPTY_CHUNKS
    for name, lines in BOTH.items():
        yield name, head(*lines) + EMPTY_CHUNKS
    yield "te-on-1.0", head(CHUNKED, start=OLD) + EMPTY_CHUNKS
    yield "te-cl-on-1.0", head(CHUNKED, LENGTH, start=OLD) + EMPTY_CHUNKS


def refused(rows, figure, text, statuses=(400,)):
    up.reset(Answer(b"{}"))
    yield from count(((n, refusal_problem(server, up, d, statuses)) for n, d in rows), figure, text)
    assert server.request("GET", "/health/live").status == 200


def test_framing():
    """H1-01: where does this message end? When two readers could differ, nobody reads on."""
    rows = list(framing_rows())
    assert len(rows) >= 64, len(rows)
    yield from refused(rows, "H1-01", "%d of %d ambiguous messages answered 400 and closed, no second answer")


HOSTS = {
    "none": b"", "two": HOST + HOST, "two-differ": HOST + b"Host: other\r\n", "empty": b"Host: \r\n",
    "userinfo": b"Host: a@localhost\r\n", "password": b"Host: a:b@localhost\r\n", "slash": b"Host: localhost/x\r\n",
    "backslash": b"Host: localhost\\x\r\n", "space": b"Host: local host\r\n", "list": b"Host: localhost, other\r\n",
    "port-0": b"Host: localhost:0\r\n", "port-65536": b"Host: localhost:65536\r\n",
    "port-empty": b"Host: localhost:\r\n",
    "port-word": b"Host: localhost:http\r\n", "port-plus": b"Host: localhost:+80\r\n",
    "two-ports": b"Host: localhost:1:2\r\n",
    "scheme": b"Host: http://localhost\r\n", "query": b"Host: localhost?x\r\n", "fragment": b"Host: localhost#x\r\n",
    "percent": b"Host: %6cocalhost\r\n", "nul": b"Host: localhost\0\r\n", "utf-8": "Host: löcalhost\r\n".encode(),
    "bracket-open": b"Host: [::1\r\n", "bracket-empty": b"Host: []\r\n", "bracket-name": b"Host: [localhost]\r\n",
    "bracket-tail": b"Host: [::1]x\r\n", "space-colon": b"Host : localhost\r\n",
    "long": b"Host: " + b"a" * 300 + b"\r\n",
}


def test_host_field():
    """H1-02: exactly one, well formed: else 400 and close. Well formed, but not ours: 421, and the answer says why."""
    def rows():
        for name, host in HOSTS.items():
            yield name, refusal_problem(server, up, head(LENGTH, host=host) + b"{}")
        for name in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example"):
            response = server.request("POST", "/claude/v1/messages", formats.small_body(formats.ANTHROPIC), host=name)
            yield name, formats.error_problem(formats.ANTHROPIC, response, 421)
    up.reset(Answer(b"{}"))
    yield from count(rows(), "H1-02", "%d of %d: 400 for malformed Host fields, 421 for names that are not ours")
    assert not up.requests


FIELDS = {
    "obs-fold": head(b"X-A: b\r\n c", LENGTH) + b"{}", "obs-fold-tab": head(b"X-A: b\r\n\tc", LENGTH) + b"{}",
    "fold-first": START + b" X: y\r\n" + HOST + b"\r\n", "fold-empty": head(b"X-A:\r\n \r\n", LENGTH) + b"{}",
    "nul-in-value": head(b"X-A: b\0c", LENGTH) + b"{}", "nul-in-name": head(b"X\0A: b", LENGTH) + b"{}",
    "cr-in-value": head(b"X-A: b\rc", LENGTH) + b"{}", "cr-at-end": head(b"X-A: b\r", LENGTH) + b"{}",
    "bell-in-value": head(b"X-A: \x07", LENGTH) + b"{}", "del-in-value": head(b"X-A: b\x7fc", LENGTH) + b"{}",
    "del-in-name": head(b"X\x7fA: b", LENGTH) + b"{}", "empty-name": head(b": b", LENGTH) + b"{}",
    "no-colon": head(b"nothing", LENGTH) + b"{}", "space-in-name": head(b"X A: b", LENGTH) + b"{}",
    "space-colon": head(b"X-A : b", LENGTH) + b"{}", "paren-in-name": head(b"X(A): b", LENGTH) + b"{}",
    "utf-8-name": head("Ä: b".encode(), LENGTH) + b"{}", "name-300": head(b"x" * 300 + b": b", LENGTH) + b"{}",
    "name-257": head(b"x" * 257 + b": b", LENGTH) + b"{}",
    "101-fields": head(*[b"X-%d: 1" % n for n in range(100)], LENGTH) + b"{}",
    "block-33-KB": head(*[b"X-%d: %s" % (n, b"a" * 1000) for n in range(33)], LENGTH) + b"{}",
}


def test_fields():
    """H1-03: names and values that no sender of a well-formed message makes."""
    yield from refused(FIELDS.items(), "H1-03", "%d of %d malformed fields answered 400 and closed")


def test_names_of_400000_bytes():
    """H1-03: the name h2o would copy to its stack: refused, the worker lives and keeps nothing."""
    data = head(b"x" * 400000 + b": b", LENGTH) + b"{}"
    with Server(formats.config(up.url), binary=release_binary()) as own:
        for _ in range(20):
            assert own.request("GET", "/health/live").status == 200
        first = own.rss()
        for _ in range(25):
            problem = refusal_problem(own, up, data, (400, 0))
            assert problem is None, problem
        grown = (own.rss() - first) / 1048576
        assert own.request("GET", "/health/live").status == 200
    check.figure("H1-03", "25 names of 400,000 bytes refused; resident memory +%.1f MiB" % grown)
    assert grown <= 2, "resident memory grew by %.1f MiB" % grown


LINES = {
    "bare-lf": (START + HOST + LENGTH + b"\r\n\r\n{}").replace(b"\r\n", b"\n"),
    "bare-lf-start": START[:-2] + b"\n" + HOST + LENGTH + b"\r\n\r\n{}",
    "bare-lf-once": START + HOST + b"X-A: 1\n" + LENGTH + b"\r\n\r\n{}",
    "bare-lf-end": START + HOST + LENGTH + b"\r\n\n{}",
    "cr-end": START + HOST + LENGTH + b"\r\r\n\r\n{}", "only-lf-first": b"\n" + head(LENGTH) + b"{}",
    "version-1.2": head(start=get(version=b"HTTP/1.2")), "version-2.0": head(start=get(version=b"HTTP/2.0")),
    "version-0.9": head(start=get(version=b"HTTP/0.9")), "version-9.9": head(start=get(version=b"HTTP/9.9")),
    "version-1.10": head(start=get(version=b"HTTP/1.10")), "version-1": head(start=get(version=b"HTTP/1")),
    "version-low": head(start=get(version=b"http/1.1")), "version-other": head(start=get(version=b"ICY/1.1")),
    "version-none": head(start=b"GET /health/live\r\n"), "version-tail": head(start=get(version=b"HTTP/1.1 x")),
    "two-spaces": head(start=b"GET  /health/live HTTP/1.1\r\n"), "space-first": b" " + head(start=get()),
    "tab": head(start=b"GET\t/health/live\tHTTP/1.1\r\n"), "space-end": head(start=get(version=b"HTTP/1.1 ")),
    "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 60 + b"\r\n\r\n",
}


def test_lines_and_versions():
    """H1-04: CRLF ends a line and nothing else does; only HTTP/1.0 and 1.1."""
    def rows():
        for name, data in LINES.items():
            yield name, refusal_problem(server, up, data, (400, 505))
        for name, data in (("leading-crlf", b"\r\n" + head(start=get())), ("1.0",
            head(start=get(version=b"HTTP/1.0")))):
            with server.connect(timeout=5) as connection:
                connection.send(data)
                response = connection.response()
            yield name, None if response and response.status == 200 else repr(response and response.raw)
    up.reset(Answer(b"{}"))
    yield from count(rows(), "H1-04", "%d of %d: line ends and versions refused, one leading CRLF accepted")


def test_methods():
    """H1-05: no handler sees a method that is not a plain upper-case word, or one that asks for a tunnel or an echo."""
    odd = [b"get", b"Post", b"G(ET", b"GET,POST", b"G\x80T", b"A" * 100, b"CONNECT", b"TRACE", b"GET\0", b"", b"G ET"]
    unknown = [b"BREW", b"PROPFIND", b"M-SEARCH", b"PATCH", b"PUT", b"DELETE"]

    def rows():
        for method in odd:
            data = head(LENGTH, start=get(b"/claude/v1/messages", method=method)) + b"{}"
            yield repr(method)[:20], refusal_problem(server, up, data, (400, 405, 501))
        for method in unknown:
            status = server.request(method.decode(), "/claude/v1/messages", b"{}").status
            yield method.decode(), None if status in (405, 501) else "answered %d" % status
    up.reset(Answer(b"{}"))
    yield from count(rows(), "H1-05", "%d of %d odd methods answered 400, 405 or 501; 0 reached a handler")
    assert not up.requests


def test_accepted():
    rows = {"leading-crlf": b"\r\n" + head(LENGTH) + b"{}", "case": head(b"cOnTeNt-LeNgTh: 2") + b"{}",
            "tabs": head(LENGTH, b"X-A:\tb\t") + b"{}", "empty-value": head(LENGTH, b"X-A:") + b"{}",
            "length-zeros": head(b"Content-Length: 002") + b"{}", "name-256": head(LENGTH, b"x" * 256 + b": b") + b"{}",
            "utf-8-value": head(LENGTH, "X-A: é".encode()) + b"{}",
            "upper-chunked": head(b"Transfer-Encoding: CHUNKED") + b"2\r\n{}\r\n0\r\n\r\n"}
    for name, data in rows.items():
        up.reset(Answer(b'{"fine":1}'))
        with server.connect(timeout=5) as connection:
            connection.send(data)
            response = connection.response()
        good = response is not None and response.status == 200 and up.last().body == b"{}"
        yield name, None if good else repr(response and response.raw)


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


if __name__ == "__main__":
    check.main(globals(), "blackbox/http1", before, after)
