"""Translation over real sockets: every client format at every upstream format, clients that leave or read slowly, answers
and requests that are too large, memory of open streams."""
import json
import time

import check
import formats
from formats import ALL, ANTHROPIC, CHAT, GEMINI, RESPONSES
from http1 import release_binary
from server import SLOW, Server
from upstream import Answer, Upstream, sse

up = server = small = None
# Where each upstream format is spoken: a prefix for each.
PREFIX = {ANTHROPIC: "claude", CHAT: "chat", RESPONSES: "resp", GEMINI: "gemini"}


def config(more=""):
    blocks = "".join('[providers.%s]\nbase_url = "%s/v1"\nformat = "%s"\napi_key = "%s"\n' % (name, up.url, fmt, formats.KEY)
                     for name, fmt in (("chat", "openai-chat"), ("resp", "openai-responses")))
    return formats.config(up.url) + blocks + more


def before():
    global up, server, small
    up = Upstream()
    server = Server(config())
    small = Server(config('[upstream]\nmax_event_bytes = "64KiB"\n'))


def after():
    try:
        with server:
            with small:
                pass
    finally:
        up.close()


PAIRS = [(client, spoken) for client in ALL for spoken in ALL if client is not spoken]


def named(client, spoken):
    return "%s-to-%s" % (client.name, spoken.name)


def fixture(fmt, index, scenario="text"):
    return next(row[index] for row in formats.scenarios() if row[0] == scenario and row[1] is fmt)


def ask(to, client, spoken, stream=False, body=None, **more):
    return to.request("POST", client.url(stream, PREFIX[spoken]), body or formats.small_body(client, stream),
                      [("content-type", "application/json")], **more)


def test_streams_of_every_pair():
    for client, spoken in PAIRS:
        up.reset(sse(fixture(spoken, 4), cuts=(7, 100, 333)))
        answer = ask(server, client, spoken, True)
        events = formats.events(answer.body)
        good = answer.status == 200 and events and formats.is_success_end(client, events[-1]) and not any(
            formats.is_error_event(client, e) for e in events)
        yield named(client, spoken), None if good else "%d: %r" % (answer.status, answer.body[-600:])


def test_whole_answers_of_every_pair():
    for client, spoken in PAIRS:
        up.reset(Answer(fixture(spoken, 3)))
        answer = ask(server, client, spoken)
        good = answer.status == 200 and "error" not in json.loads(answer.body) or client is RESPONSES
        yield named(client, spoken), None if good else "%d: %r" % (answer.status, answer.body[:600])


def test_cut_streams_of_every_pair():
    """Wherever the upstream breaks off: an error in the client's grammar, never a success, never silence."""
    for client, spoken in PAIRS:
        stream, problem = fixture(spoken, 4), None
        for part in (3, 10, 18):
            up.reset(sse(stream[:len(stream) * part // 20], end="fin"))
            events = formats.events(ask(server, client, spoken, True).body)
            if not events or not formats.is_error_event(client, events[-1]):
                problem = "no error at the end: %r" % events[-2:]
            if any(formats.is_success_end(client, e) for e in events):
                problem = "a cut stream ends as success: %r" % events[-2:]
        yield named(client, spoken), problem


def test_errors_of_every_pair():
    for client, spoken in PAIRS:
        body = {ANTHROPIC: {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down please"}},
                GEMINI: {"error": {"code": 429, "message": "Slow down please", "status": "RESOURCE_EXHAUSTED"}}}.get(
            spoken, {"error": {"message": "Slow down please", "type": "requests", "param": None,
                               "code": "rate_limit_exceeded"}})
        up.reset(Answer(json.dumps(body).encode(), status=429, headers=[("Retry-After", "7")]))
        for stream in (False, True):
            answer = ask(server, client, spoken, stream)
            formats.expect_error(client, answer, 429, "Slow down please")
            assert answer.get("retry-after") == "7", answer.headers
        yield named(client, spoken), None


CHUNK = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"tick"}}]}\n\n'


def test_a_client_that_leaves_ends_the_upstream():
    for client in (ANTHROPIC, RESPONSES, GEMINI):
        up.reset(Answer([(CHUNK, 0)] + [(CHUNK, 0.05)] * 2000, content_type="text/event-stream"))
        body = formats.small_body(client, True)
        connection = server.connect()
        connection.send(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d"
                        b"\r\n\r\n%s" % (client.url(True, "chat").encode(), len(body), body))
        connection.read_some(b"tick")
        left = time.monotonic()
        connection.close()
        gone = up.wait_gone(3)
        assert gone is not None and gone - left < 0.5, "the upstream was left after %r" % (gone and gone - left)
        yield client.name, None


def test_a_broken_answer_ends_at_once():
    """The upstream says it failed, and goes on talking: the client has its error and is free, and so is the upstream."""
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    ping = b'event: ping\ndata: {"type":"ping"}\n\n'
    for stream in (True, False):
        up.reset(Answer([(error, 0)] + [(ping, 0.1)] * 100, content_type="text/event-stream"))
        began = time.monotonic()
        answer = ask(server, CHAT, ANTHROPIC, stream)
        took = time.monotonic() - began
        assert b"Overloaded" in answer.body and b"[DONE]" not in answer.body, answer.body
        assert answer.status == (200 if stream else 503) and took < 2 * SLOW, (answer.status, took)
        assert up.wait_gone(3) is not None, "the upstream was not let go"
        yield "stream" if stream else "whole", None


def test_a_client_is_kept_while_the_upstream_pings():
    """An upstream may say much that makes nothing for the client; silence is what the client hears."""
    start, rest = fixture(ANTHROPIC, 4).split(b"\n\n", 1)
    ping = b'event: ping\ndata: {"type":"ping"}\n\n'
    with Server(config(), server='keepalive_interval = "1s"') as lively:
        for client, sign in ((CHAT, b": keep-alive"), (RESPONSES, b": keep-alive"), (GEMINI, b": keep-alive")):
            up.reset(Answer([(start + b"\n\n", 0)] + [(ping, 0.2)] * 14 + [(rest, 0)], content_type="text/event-stream"))
            answer = ask(lively, client, ANTHROPIC, True)
            events = formats.events(answer.body)
            good = answer.body.count(sign) >= 2 and formats.is_success_end(client, events[-1])
            yield client.name, None if good else repr(answer.body[:300])


def test_a_slow_reader_holds_the_source():
    size = (200 if check.LONG else 40) << 20
    block = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"' + b"x" * 65000 + b'"}}]}\n\n'
    up.reset(Answer(block, content_type="text/event-stream", endless=size))
    body, start, peak = formats.small_body(ANTHROPIC, True), server.rss(), 0
    with server.connect(timeout=60, receive_buffer=65536) as connection:
        connection.send(b"POST /chat/v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n"
                        b"Content-Type: application/json\r\n\r\n%s" % (len(body), body))
        for _ in range(25):
            connection.sock.recv(65536)
            time.sleep(0.1)
            peak = max(peak, server.rss() - start)
        limit = (10 << 20) * (3 if SLOW > 1 else 1)
        assert peak < limit, "memory grew by %d KB" % (peak // 1024)
        total = 0
        while True:
            data = connection.sock.recv(1 << 20)
            total += len(data)
            if not data or data.endswith(b"0\r\n\r\n"):
                break
        assert b"event: error" in data, data[-300:]  # an endless text never said why it stopped
        assert total > size - (30 << 20), total


def test_an_event_or_answer_that_is_too_large():
    large = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"' + b"x" * 100000 + b'"}}]}\n\n'
    up.reset(sse(CHUNK + large))
    events = formats.events(ask(small, ANTHROPIC, CHAT, True).body)
    assert formats.is_error_event(ANTHROPIC, events[-1]) and "max_event_bytes" in events[-1][1], events[-1]
    yield "event", None
    up.reset(Answer(fixture(CHAT, 3) + b" " * 100000))
    formats.expect_error(ANTHROPIC, ask(small, ANTHROPIC, CHAT), 502, "max_event_bytes")
    yield "whole", None
    up.reset(sse(CHUNK * 17000))
    formats.expect_error(ANTHROPIC, ask(small, ANTHROPIC, CHAT), 502, "max_event_bytes")
    yield "collected", None
    up.reset(sse(CHUNK * 3000))
    answer = ask(small, RESPONSES, CHAT, True)  # what must be repeated at the end is held
    assert answer.complete and not any(formats.is_success_end(RESPONSES, e) for e in formats.events(answer.body))
    yield "held", None


def test_requests_made_to_hurt():
    """Small texts that become large trees: refused or carried, within bounds, and the server goes on."""
    start = server.rss()
    flat = b'{"model":"m","messages":[' + b"[]," * 3000000 + b"[]]}"
    deep = b'{"model":"m","messages":' + b"[" * 100000
    keys = b'{"model":"m","messages":[{"role":"user","content":"x"}],' + b",".join(
        b'"k%d":1' % i for i in range(200000)) + b"}"
    calls = b'{"model":"m","messages":[' + b",".join(
        b'{"role":"assistant","tool_calls":[{"id":"%d","type":"function","function":{"name":"n%d","arguments":"{"}}]}'
        % (i, i) for i in range(30000)) + b"]}"
    for name, body, wanted in (("flat", flat, (400, 503)), ("deep", deep, (400,)), ("members", keys, (200,)),
                               ("calls", calls, (200, 400))):
        up.reset(Answer(fixture(ANTHROPIC, 3)))
        began = time.monotonic()
        answer = ask(server, CHAT, ANTHROPIC, body=body, timeout=60)
        took = time.monotonic() - began
        assert answer.status in wanted, "%s: %d %r" % (name, answer.status, answer.body[:300])
        assert took < 4 * SLOW, "%s took %.1f s" % (name, took)
        yield name, None
    assert server.request("GET", "/health/live").status == 200
    time.sleep(1.5)
    grown = server.rss() - start
    assert grown < (400 << 20), "%d MB stay" % (grown >> 20)
    yield "memory", None


def test_memory_of_an_open_stream():
    count, body = 300, formats.small_body(ANTHROPIC, True)
    with Server(config(), binary=release_binary(), server="max_connections = 1000") as lean:
        up.reset(sse(fixture(CHAT, 4)))
        ask(lean, ANTHROPIC, CHAT, True)  # what is set up once
        up.reset(Answer([(CHUNK, 0), (CHUNK, 60)], content_type="text/event-stream"))
        connections, start = [], lean.rss()
        try:
            for _ in range(count):
                connection = lean.connect()
                connection.send(b"POST /chat/v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n"
                                b"Content-Type: application/json\r\n\r\n%s" % (len(body), body))
                connections.append(connection)
            for connection in connections:
                connection.read_some(b"tick")
            each = (lean.rss() - start) / count / 1024
        finally:
            for connection in connections:
                connection.close()
        assert each < 48, "%.1f KB per stream" % each
        print("    %.1f KB per open translated stream" % each)


if __name__ == "__main__":
    check.main(globals(), "translation", before, after)
