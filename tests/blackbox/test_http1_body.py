"""HTTP/1.1 bodies: chunk sizes, chunk ends, trailers, and clients that ask before they send."""
import threading
import time

import check
import formats
from http1 import CHUNKED, CLOSE, EMPTY_CHUNKS, LENGTH, TAIL, count, first_answer, get, head, refusal_problem
from server import SLOW, Server
from upstream import Answer, Upstream

up = server = None
waiting = []  # clients that announced a body and never send it, from the start of this file on
SLOT_SECONDS = 10


def before():
    global up, server
    up = Upstream()
    server = Server(formats.config(up.url))
    for lines in ((b"Expect: 100-continue", b"Content-Length: 100"), (b"Expect: 100-continue", CHUNKED),
                  (b"Content-Length: 100",), (CHUNKED,)):
        connection = server.connect(timeout=30)
        connection.send(head(*lines))
        record = {"name": lines[0].decode(), "since": time.monotonic(), "ended": None}
        threading.Thread(target=wait_for_end, args=(connection, record), daemon=True).start()
        waiting.append(record)


def wait_for_end(connection, record):
    if connection.closed(30):
        record["ended"] = time.monotonic() - record["since"]
    connection.close()


def after():
    with server:
        pass
    up.close()


def chunked(text):
    return head(CHUNKED) + text


CHUNKS = {
    "hex-prefix": b"0x2\r\n{}\r\n0\r\n\r\n", "plus": b"+2\r\n{}\r\n0\r\n\r\n", "minus": b"-2\r\n{}\r\n0\r\n\r\n",
    "word": b"2 xyz\r\n{}\r\n0\r\n\r\n", "space-after": b"2 \r\n{}\r\n0\r\n\r\n",
    "space-before": b" 2\r\n{}\r\n0\r\n\r\n",
    "tab": b"2\t;a\r\n{}\r\n0\r\n\r\n", "17-digits": b"00000000000000002\r\n{}\r\n0\r\n\r\n",
    "max": b"FFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n", "half-max": b"8000000000000000\r\n{}\r\n0\r\n\r\n",
    "2-to-48": b"1000000000002\r\n{}\r\n0\r\n\r\n", "underscore": b"1_0\r\n{}\r\n0\r\n\r\n",
    "letters": b"g\r\n{}\r\n0\r\n\r\n",
    "dot": b"2.0\r\n{}\r\n0\r\n\r\n", "empty-size": b"\r\n{}\r\n0\r\n\r\n",
    "only-extension": b";a=b\r\n{}\r\n0\r\n\r\n",
    "comma": b"2,2\r\n{}\r\n0\r\n\r\n", "full-width": "２\r\n{}\r\n0\r\n\r\n".encode(), "nul": b"2\0\r\n{}\r\n0\r\n\r\n",
    "bare-lf": b"2\n{}\r\n0\r\n\r\n", "bare-lf-last": b"2\r\n{}\r\n0\n\r\n",
    "bare-lf-in-extension": b"2;a\nb\r\n{}\r\n0\r\n\r\n",
    "cr-without-lf": b"2\rx{}\r\n0\r\n\r\n", "cr-cr-lf": b"2\r\r\n{}\r\n0\r\n\r\n",
    "data-without-crlf": b"2\r\n{}xx0\r\n\r\n",
    "data-lf": b"2\r\n{}\n0\r\n\r\n", "data-too-long": b"2\r\n{}}\r\n0\r\n\r\n", "data-cr-x": b"2\r\n{}\rx0\r\n\r\n",
    "extension-100-KB": b"2;" + b"a" * 100000 + b"\r\n{}\r\n0\r\n\r\n", "extension-nul": b"2;a=\0\r\n{}\r\n0\r\n\r\n",
    "extension-del": b"2;a=\x7f\r\n{}\r\n0\r\n\r\n", "end-without-lf": b"2\r\n{}\r\n0\r\n\rx",
    "extensions-100-KB": b"".join(b"1;%s\r\n \r\n" % (b"e" * 1000) for _ in range(100)) + b"2\r\n{}\r\n0\r\n\r\n",
}


def test_chunks():
    """H1-07: sizes are plain hexadecimal, lines end in CRLF; anything else is answered at once, not at a timeout."""
    slowest = [0.0]

    def rows():
        for name, data in CHUNKS.items():
            started = time.monotonic()
            problem = refusal_problem(server, up, chunked(data), (400,), 1.0)
            slowest[0] = max(slowest[0], time.monotonic() - started)
            yield name, problem
    up.reset(Answer(b"{}"))
    yield from count(rows(), "H1-07", "%d of %d broken chunkings answered 400 within 1 s and closed")
    assert slowest[0] < 1.0 * SLOW, "the slowest took %.2f s" % slowest[0]


def test_chunks_one_byte_at_a_time():
    """The same when the decoder sees one byte after the other."""
    up.reset(Answer(b"{}"))
    for name, data in CHUNKS.items():
        if len(data) > 100:
            continue
        with server.connect(timeout=5) as connection:
            connection.send(head(CHUNKED))
            try:
                for byte in data:
                    connection.send(bytes([byte]))
                    time.sleep(0.0003)
            except ConnectionError:
                pass
            first = first_answer(connection)
        yield name, None if first not in (None, CLOSE) and first.status == 400 else repr(first and first is not CLOSE)
    assert not up.requests


def trailers(*lines):
    return chunked(b"2\r\n{}\r\n0\r\n" + b"".join(l + b"\r\n" for l in lines) + b"\r\n")


GOOD_TRAILERS = {
    "one": [b"X-T: 1"], "100": [b"X-%d: 1" % n for n in range(100)], "empty-value": [b"X-T:"],
    "content-length": [b"Content-Length: 5"], "transfer-encoding": [b"Transfer-Encoding: chunked"],
    "host": [b"Host: other"],
    "authorization": [b"Authorization: Bearer no"], "x-api-key": [b"x-api-key: no"],
    "connection": [b"Connection: close"],
    "x-ccproxy-token": [b"x-ccproxy-token: no"], "x-forwarded-for": [b"X-Forwarded-For: 203.0.113.1"],
}
BAD_TRAILERS = {
    "101": [b"X-%d: 1" % n for n in range(101)], "10,000": [b"X-%d: 1" % n for n in range(10000)],
    "64-KB": [b"X-T: " + b"a" * 65536], "no-colon": [b"nothing"], "request-line": [b"GET /smuggled HTTP/1.1"],
    "space-colon": [b"X-T : 1"], "folded": [b"X-T: 1", b" 2"], "fold-first": [b" X-T: 1"], "empty-name": [b": 1"],
    "nul": [b"X-T: \0"], "bare-cr": [b"X-T: 1\rX"], "bare-lf": [b"X-T: 1\nX-U: 2"], "del": [b"X-T: \x7f"],
}


def test_trailers():
    """H1-08: up to 100 well-formed ones are read and dropped; none becomes a header, none frames a message."""
    def rows():
        for name, lines in GOOD_TRAILERS.items():
            up.reset(Answer(b'{"fine":1}'))
            with server.connect(timeout=5) as connection:
                connection.send(trailers(*lines) + get() + b"Host: localhost\r\n\r\n")
                first, second = connection.response(), connection.response()
            names = [n.lower() for n, _ in up.last().headers] if up.requests else []
            sent = lines[0].split(b":")[0].decode().lower()
            problem = None
            if first is None or first.status != 200 or up.last().body != b"{}":
                problem = repr(first and first.raw)
            elif second is None or second.status != 200:
                problem = "the next request was not answered"
            elif sent.startswith("x-") and sent in names and sent != "x-api-key":
                problem = "%s went up" % sent
            elif any(v in ("no", "Bearer no", "203.0.113.1", "other") for _, v in up.last().headers):
                problem = "its value went up"
            yield name, problem
        for name, lines in BAD_TRAILERS.items():
            yield name, refusal_problem(server, up, trailers(*lines), (400,))
    yield from count(rows(), "H1-08", "%d of %d: up to 100 trailers dropped, others 400; none went upstream")


def test_expect():
    """H1-09: 100 for whoever asks, 417 for what we do not know."""
    def asked(lines, body, wanted_first):
        with server.connect(timeout=5) as connection:
            connection.send(head(*lines))
            connection.read_some(b"\r\n\r\n")
            first = int(connection.rest.split(b" ", 2)[1])
            if first != wanted_first:
                return "%d instead of %d" % (first, wanted_first)
            if first == 417:
                return None if connection.closed(2) or connection.rest.count(b"HTTP/1.") == 1 else "goes on"
            connection.send(body)
            response = connection.response()
        return None if response and response.status == 200 and up.last().body == b"{}" else repr(response
            and response.raw)

    def rows():
        up.reset(Answer(b'{"n":1}'))
        yield "with-length", asked((b"Expect: 100-continue", LENGTH), b"{}", 100)
        yield "any-case", asked((b"expect: 100-Continue", LENGTH), b"{}", 100)
        yield "chunked", asked((b"Expect: 100-continue", CHUNKED), b"2\r\n{}\r\n0\r\n\r\n", 100)
        for name, value in (("junk", b"junk"), ("200", b"200-ok"), ("list", b"100-continue, junk"), ("empty", b"")):
            yield name, asked((b"Expect: " + value, LENGTH), b"{}", 417)
        for name, lines, data in (("no-body", (b"Expect: 100-continue", b"Content-Length: 0"), b""),
                                  ("body-at-once", (b"Expect: 100-continue", LENGTH), b"{}")):
            with server.connect(timeout=5) as connection:
                connection.send(head(*lines) + data)
                response = connection.response()
                again = connection.request("GET", "/health/live")
            good = response and response.status in (200, 400) and again and again.status == 200
            yield name, None if good else repr(response and response.raw)
        with server.connect(timeout=5) as connection:
            connection.send(head(b"Expect: 100-continue", start=get(version=b"HTTP/1.0", method=b"POST"),
                                 host=b"Host: localhost\r\n"
                                 b"Content-Length: 2\r\n") + b"{}")
            response = first_answer(connection)
            early = connection.raw.startswith(b"HTTP/1.1 100") or connection.raw.startswith(b"HTTP/1.0 100")
            yield "on-1.0", "100 to a client of HTTP/1.0" if early else None
    yield from count(rows(), "H1-09", "%d of %d expectations answered 100 or 417 as they should")


def test_slots_of_bodies_that_never_come():
    """H1-09: who announces a body and never sends it loses the connection. These began when this file did."""
    end = max(r["since"] for r in waiting) + SLOT_SECONDS + 5
    while any(r["ended"] is None for r in waiting) and time.monotonic() < end:
        time.sleep(0.05)
    held = [r["ended"] for r in waiting]
    assert all(h is not None for h in held), [r["name"] for r in waiting if r["ended"] is None]
    check.figure("H1-09", "%d bodies that never came: slot freed after %.1f s at most" % (len(held), max(held)))
    assert max(held) <= SLOT_SECONDS + 0.5 * SLOW, held


def test_tail_after_a_good_body():
    """What follows a complete chunked message is the next request, byte for byte."""
    up.reset(Answer(b'{"n":1}'))
    with server.connect(timeout=5) as connection:
        connection.send(chunked(b"2\r\n{}\r\n0\r\n\r\n") + TAIL + head(CHUNKED) + EMPTY_CHUNKS)
        assert [connection.response().status for _ in range(2)] == [200, 404]
        assert connection.response().status in (200, 400)


if __name__ == "__main__":
    check.main(globals(), "blackbox/http1_body", before, after)
