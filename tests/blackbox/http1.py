"""Pieces of HTTP/1.1 requests as raw bytes, and the one judgement that all refusals share."""
import os
import time

import check
from rawhttp import Connection

START = b"POST /claude/v1/messages HTTP/1.1\r\n"
HOST = b"Host: localhost\r\n"
TAIL = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED, LENGTH = b"Transfer-Encoding: chunked", b"Content-Length: 2"
EMPTY_CHUNKS = b"0\r\n\r\n"
CLOSE = "closed without an answer"


def head(*lines, start=START, host=HOST):
    return start + host + b"".join(l + b"\r\n" for l in lines) + b"\r\n"


def get(path=b"/health/live", version=b"HTTP/1.1", method=b"GET"):
    return b"%s %s %s\r\n" % (method, path, version)


def release_binary():
    """Figures of memory and time need a build without sanitizers."""
    path = os.environ.get("CCPROXY_RELEASE_BIN")
    if not path:
        raise check.Skip("CCPROXY_RELEASE_BIN names no release build")
    return path


def first_answer(connection):
    """The first answer, CLOSE when there was none before the end, or None when nothing came in time."""
    try:
        return connection.response() or CLOSE
    except (TimeoutError, OSError):
        return None


def refusal_problem(server, up, data, statuses=(400,), seconds=3.0, tail=TAIL):
    """None when `data` is answered with one of the statuses and the connection then ends: what follows is not read as
    a request, and nothing of it reaches the upstream. Else what is wrong."""
    before = len(up.requests)
    with Connection(server.port, timeout=seconds + 5) as connection:
        started = time.monotonic()
        try:
            connection.send(data + tail)
        except ConnectionError:
            pass  # refused before it was all sent: what it said may still be there
        first = first_answer(connection)
        took = time.monotonic() - started
        if first is None:
            return "no answer within %.0f s" % (seconds + 5)
        if first is CLOSE:
            return None if 0 in statuses else CLOSE
        if first.status not in statuses:
            return "answered %d" % first.status
        if took > seconds:
            return "took %.1f s" % took
        if not connection.closed(2):
            return "the connection stays open"
        if b"HTTP/1." in connection.rest:
            return "a second answer: %r" % connection.rest[:200]
    return "it reached the upstream" if len(up.requests) != before else None


def count(rows, figure, text):
    """Passes rows of (name, problem) through and tells how many were right."""
    good = total = 0
    for name, problem in rows:
        total += 1
        good += problem is None
        yield name, problem
    check.figure(figure, text % (good, total))
