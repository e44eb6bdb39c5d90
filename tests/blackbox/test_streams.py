"""Streams over time: clients that leave, read slowly or come by the hundred; keep-alives; timing of the first bytes."""
import asyncio
import os
import subprocess
import tempfile
import time

import check
import formats
from formats import ALL, ANTHROPIC, CHAT, GEMINI
from server import SLOW, Server
from upstream import Answer, Upstream, sse

up = server = secure = folder = None


def certificate(where):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", where + "/key.pem", "-out", where + "/cert.pem", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    return 'tls_cert = "%s/cert.pem"\ntls_key = "%s/key.pem"' % (where, where)


def before():
    global up, server, secure, folder
    folder = tempfile.TemporaryDirectory(prefix="ccp-tls-")
    up = Upstream()
    server = Server(formats.config(up.url))
    secure = Server(formats.config(up.url), server=certificate(folder.name), scheme_tls=True)


def after():
    try:
        with server:
            with secure:
                pass
    finally:
        up.close()
        folder.cleanup()


EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"tick"}}]}\n\n'
BODY = formats.small_body(CHAT, True)


def ticking(first=b""):
    return Answer([(first + EVENT, 0)] + [(EVENT, 0.05)] * 2000, content_type="text/event-stream")


def left_within(limit, since):
    gone = up.wait_gone(limit + 2)
    assert gone is not None, "the upstream connection is still open"
    assert gone - since < limit, "the upstream was left after %.0f ms" % ((gone - since) * 1000)


def leave(to, how, answer, saw=b"tick"):
    up.reset(answer)
    connection = to.connect()
    connection.send(b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY))
    if saw:
        connection.read_some(saw)
    else:
        up.last()
        time.sleep(0.1)
    left = time.monotonic()
    getattr(connection, how)()
    left_within(0.5, left)


def test_leave_mid_stream():
    for to, name in ((server, "plain"), (secure, "tls")):
        for how in ("close", "reset"):
            for _ in range(5):
                leave(to, how, ticking())
            yield "%s-%s" % (name, how), None


def test_leave_before_the_head():
    for to, name in ((server, "plain"), (secure, "tls")):
        for how in ("close", "reset"):
            leave(to, how, Answer(b"{}", head_delay=60), saw=None)
            yield "%s-%s" % (name, how), None


def test_leave_a_silent_stream():
    for how in ("close", "reset"):
        leave(server, how, sse(EVENT, stop_at=len(sse(EVENT).wire()) - 5, end="stall"))
        yield how, None


def test_leave_over_http2():
    rows = {"h2c": ["--http2-prior-knowledge", "http://127.0.0.1:%d" % server.port],
            "tls": ["-k", "--http2", "https://127.0.0.1:%d" % secure.port]}
    for name, (*options, base) in rows.items():
        up.reset(ticking())
        process = subprocess.Popen(["curl", "-sN", *options, "-H", "content-type: application/json", "-d", BODY,
                                    base + "/openai/v1/chat/completions"], stdout=subprocess.PIPE)
        try:
            assert b"tick" in process.stdout.readline(), "no stream over HTTP/2"
        finally:
            left = time.monotonic()
            process.kill()
            process.wait()
        left_within(0.5, left)
        yield name, None


def test_slow_reader_holds_the_source():
    """200 MB at full speed against a client that reads little: memory stays flat, no byte is lost at the end."""
    size = (200 if check.LONG else 60) << 20
    block = b"data: " + b"x" * 65000 + b"\n\n"
    up.reset(Answer(block, content_type="text/event-stream", endless=size))
    start = server.rss()
    with server.connect(timeout=60, receive_buffer=65536) as connection:
        connection.send(b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n"
                        b"Content-Type: application/json\r\n\r\n%s" % (len(BODY), BODY))
        peak = 0
        for _ in range(25):
            connection.sock.recv(65536)
            time.sleep(0.1)
            peak = max(peak, server.rss() - start)
        limit = (8 << 20) * (3 if SLOW > 1 else 1)
        assert peak < limit, "memory grew by %d KB" % (peak // 1024)
        total = 0
        while True:
            data = connection.sock.recv(1 << 20)
            total += len(data)
            if not data or data.endswith(b"0\r\n\r\n"):
                break
        assert data.endswith(b"0\r\n\r\n"), "the stream was cut"
        assert total > size - (30 << 20), total
    assert server.rss() - start < limit


def test_first_bytes_are_not_held():
    """An event reaches the client while the upstream is still silent about the next one."""
    for fmt in ALL:
        stream = next(s for n, f, _, _, s in formats.scenarios() if f is fmt and n == "text")
        end = stream.index(b"\n\n" if b"\r\n" not in stream else b"\r\n\r\n") + 4
        up.reset(Answer([(stream[:end], 0), (stream[end:], 1.0)], content_type="text/event-stream"))
        started = time.monotonic()
        with server.connect() as connection:
            connection.send(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
                            b"%d\r\n\r\n%s" % (fmt.url(True).encode(), len(formats.small_body(fmt, True)),
                                             formats.small_body(fmt, True)))
            connection.read_some(stream[:end - 4])
            first = time.monotonic() - started
            response = connection.response()
        assert first < 0.5, "the first event took %.2f s" % first
        assert response.body == stream, fmt.name


def test_keepalives():
    """Only after the head, only at an event boundary, in a form that the format's clients bear; none for arrays."""
    with Server(formats.config(up.url), server='keepalive_interval = "1s"') as quick:
        for fmt in ALL:
            stream = next(s for n, f, _, _, s in formats.scenarios() if f is fmt and n == "text")
            gap = b"\r\n\r\n" if b"\r\n\r\n" in stream else b"\n\n"
            first = stream.index(gap) + len(gap)
            middle = first + 9  # inside the second event: nothing may be put there
            for at, wanted in ((first, True), (middle, False)):
                up.reset(Answer([(stream[:at], 0), (stream[at:], 2.6)], content_type="text/event-stream"))
                response = quick.post(fmt.url(True), formats.small_body(fmt, True))
                extra = response.body[at:len(response.body) - len(stream) + at]
                assert response.body == stream[:at] + extra + stream[at:], response.body
                problem = None
                if not wanted and extra:
                    problem = "put %r inside an event" % extra
                elif wanted and not extra:
                    problem = "no keep-alive came"
                elif wanted and fmt is ANTHROPIC and (b"event: ping\n" not in extra or not extra.endswith(b"\n\n")):
                    problem = "not a ping event: %r" % extra
                elif wanted and fmt is not ANTHROPIC and not (extra.startswith(b":") and extra.endswith(b"\n\n")):
                    problem = "not a comment and an empty line: %r" % extra
                yield "%s-%s" % (fmt.name, "boundary" if wanted else "inside"), problem
        up.reset(Answer([(b"[{}", 0), (b",{}]", 2.6)]))
        response = quick.post("/gemini/v1beta/models/g:streamGenerateContent", formats.small_body(GEMINI))
        yield "gemini-array", None if response.body == b"[{},{}]" else repr(response.body)


def test_many_streams_at_once():
    """Each stream carries its own marker; none is lost, none is mixed."""
    count, seconds = (1000, 60) if check.LONG else (300, 10)
    ticks = seconds * 2

    def answer(request):
        marker = request.body[request.body.index(b"<") + 1:request.body.index(b">")]
        line = b'data: {"choices":[{"index":0,"delta":{"content":"' + marker + b'"}}]}\n\n'
        return Answer([(line, seconds / ticks)] * ticks + [(b"data: [DONE]\n\n", 0)], content_type="text/event-stream")

    async def client(number):
        marker = b"m%06d" % number
        body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"<%s>"}]}' % marker
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            writer.write(b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                         b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            data = await reader.read(-1)
        finally:
            writer.close()
        wrong = data.count(b'"content":"') - data.count(b'"content":"' + marker + b'"')
        return (data.count(b'"content":"' + marker + b'"') == ticks, wrong == 0, b"data: [DONE]" in data)

    async def all_of_them():
        return await asyncio.wait_for(asyncio.gather(*(client(n) for n in range(count))), seconds + 60)

    up.reset(answer)
    results = asyncio.run(all_of_them())
    whole = sum(r == (True, True, True) for r in results)
    assert whole == count, "%d of %d streams were whole; %d mixed" % (whole, count, sum(not r[1] for r in results))


def test_nothing_is_left_behind():
    """After hundreds of ends of every kind the process holds no more descriptors than before."""
    def descriptors():
        return len(os.listdir("/proc/%d/fd" % server.process.pid))

    def round_of_ends():
        leave(server, "close", ticking())
        leave(server, "reset", ticking())
        up.reset(sse(EVENT, stop_at=150, end="rst"))
        server.post("/openai/v1/chat/completions", BODY)
        up.reset(sse(EVENT + b"data: [DONE]\n\n"))
        server.post("/openai/v1/chat/completions", BODY)

    for _ in range(5):
        round_of_ends()
    start = descriptors()
    for _ in range(25):
        round_of_ends()
    time.sleep(0.5)
    assert descriptors() <= start + 4, "%d descriptors before, %d after" % (start, descriptors())



def test_text_about_errors_is_no_end():
    """A cut stream whose last event merely talks about an error does not count as complete."""
    last = b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"error"}}\n\n'
    up.reset(sse(last))
    response = server.request("POST", "/claude/v1/messages", formats.small_body(ANTHROPIC, True))
    assert b"event: error" in response.body, response.body


if __name__ == "__main__":
    check.main(globals(), "blackbox/streams", before, after)
