"""The upstream is dead, slow, or breaks its answer: the client gets an error of its own grammar, never a success."""
import select
import shutil
import socket
import struct
import tempfile
import threading
import time

import certs
import check
import formats
from formats import ALL, ANTHROPIC, CHAT, GEMINI, RESPONSES
from server import SLOW, Server, free_port
from tls_upstream import TlsUpstream
from upstream import Answer, Upstream, sse

up = server = None
SHORT = {
    ANTHROPIC: b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message","role":'
               b'"assistant","model":"x","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}\n\n'
               b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    CHAT: b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":'
          b'{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    RESPONSES: b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"r"}}\n\n'
               b'event: response.completed\ndata: {"type":"response.completed","sequence_number":1,"response":'
               b'{"id":"r","status":"completed"}}\n\n',
    GEMINI: b'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\r\n\r\n'
            b'data: {"candidates":[{"content":{"parts":[{"text":""}]},"finishReason":"STOP"}]}\r\n\r\n',
}


def before():
    global up, server
    up = Upstream()
    server = Server(formats.config(up.url, more='timeout = "1s"'))


def after():
    with server:
        pass
    up.close()


def judge(fmt, response, stream):
    """Why this answer to a broken stream is not acceptable, or None."""
    if response is None:
        return "closed without a word"
    if response.status >= 400:
        return formats.error_problem(fmt, response)
    sent = formats.events(stream)
    got = formats.events(response.body)
    whole = response.body.startswith(stream.rstrip(b"\r\n"))  # everything that matters had come
    if any(formats.is_success_end(fmt, e) for e in got):
        return None if whole else "a broken stream ends as a success: %r" % response.body[-300:]
    if whole and got and got[:len(sent)] == sent:
        return None
    if not got or not formats.is_error_event(fmt, got[-1]):
        return "no error event at the end (complete=%s): %r" % (response.complete, response.body[-300:])
    for event in got[:-1]:
        if event not in sent and formats.parsed(event[1]) is not None:
            return "an event that nobody sent: %r" % (event,)
    return None


def broken_at_each_byte(end):
    """Every byte of head and body (one in three of the body without --long), each format."""
    for fmt in ALL:
        stream, problems = SHORT[fmt], []
        answer = sse(stream)
        head = len(answer.head(None))
        length = len(answer.wire())
        body = formats.small_body(fmt, stream=True)
        for at in range(0, length, 1 if check.LONG else 3):
            up.reset(sse(stream, stop_at=at, end=end))
            with server.connect(timeout=5) as connection:
                response = connection.request("POST", fmt.url(True), body)
            problem = judge(fmt, response, stream)
            if at < head and not problem and response.status < 400:
                problem = "status %d for a broken head" % response.status
            if problem:
                problems.append("cut at %d: %s" % (at, problem))
        yield fmt.name, "\n".join(problems[:4]) or None


def four_kib():
    """An Anthropic stream whose whole answer, head included, is 4 KiB."""
    event = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",' \
            b'"text":"%s"}}\n\n'
    start, end = SHORT[ANTHROPIC].split(b"event: message_stop")
    for size in range(1, 4096):
        stream = start + event % (b"word " * 30) * 12 + event % (b"x" * size) + b"event: message_stop" + end
        if len(sse(stream).wire()) >= 4096:
            return stream


def broken_at(stream, places, end):
    """Cuts the answer at these places; (runs, hangs over a second, problems)."""
    hangs, problems, body = 0, [], formats.small_body(ANTHROPIC, stream=True)
    head = len(sse(stream).head(None))
    for at in places:
        up.reset(sse(stream, stop_at=at, end=end))
        began = time.monotonic()
        with server.connect(timeout=10) as connection:
            response = connection.request("POST", ANTHROPIC.url(True), body)
        hangs += time.monotonic() - began > SLOW
        problem = judge(ANTHROPIC, response, stream)
        if at < head and not problem and response.status not in (502, 504):
            problem = "status %d for a broken head" % response.status
        if not problem and len(up.requests) > 2:
            problem = "%d tries" % len(up.requests)
        if problem:
            problems.append("%s at %d: %s" % (end, at, problem))
    return len(places), hangs, problems


def test_reset_at_each_byte_of_a_stream():
    """FLT-01: all places with --long, else one in twenty."""
    stream, runs, hangs, problems = four_kib(), 0, 0, []
    length = len(sse(stream).wire())
    for first, end in ((0, "fin"), (10, "rst")):
        ran, hung, wrong = broken_at(stream, range(0 if check.LONG else first, length, 1 if check.LONG else 20), end)
        runs, hangs, problems = runs + ran, hangs + hung, problems + wrong
    check.figure("FLT-01", "%d cuts of a %d byte answer, FIN and RST: %d taken for whole, %d hangs" % (
        runs, length, len(problems), hangs))
    assert not problems and not hangs, "%d hangs\n%s" % (hangs, "\n".join(problems[:5]))


def _end():
    raise ConnectionError("the peer has ended")


class Cutter:
    """Stands before a server and ends each connection after so many bytes of what the server says."""

    def __init__(self, port):
        self.to, self.at, self.end, self.connections, self.open = port, 1 << 30, "fin", 0, set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._main, daemon=True).start()

    def _main(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.at, self.end), daemon=True).start()

    def _serve(self, client, left, end):
        server = socket.create_connection(("127.0.0.1", self.to))
        self.open.add(client)
        try:
            while left:
                ready, _, _ = select.select([client, server], [], [])
                if client in ready:
                    server.sendall(client.recv(65536) or _end())
                if server in ready:
                    data = server.recv(min(left, 65536)) or _end()
                    client.sendall(data)
                    left -= len(data)
            if end == "rst":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.open.discard(client)
        client.close()
        server.close()

    def drop(self):
        for client in list(self.open):
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has left by itself
        time.sleep(0.02)

    def close(self):
        self.listener.close()


def handshake_bytes(cutter, post):
    """How much the server says before the answer: the place from which on a cut no longer fails the handshake."""
    low, high = 1, 16384
    while low < high:
        cutter.at = (low + high) // 2
        cutter.drop()  # no kept connection from the turn before
        low, high = (low, cutter.at) if "TLS handshake" not in post().body.decode() else (cutter.at + 1, high)
    return low


def test_reset_at_each_byte_of_head_and_handshake():
    """FLT-02: all places with --long, else one in ten."""
    step, stream, runs, problems = 1 if check.LONG else 10, SHORT[ANTHROPIC], 0, []
    for first, end in ((0, "fin"), (5, "rst")):
        places = range(0 if check.LONG else first, len(sse(stream).head(None)), step)
        ran, hung, wrong = broken_at(stream, places, end)
        runs, problems = runs + ran, problems + wrong + ["hang"] * hung
    heads, folder = runs, tempfile.mkdtemp(prefix="ccp-certs-")
    authority = certs.Authority(folder, "good")
    vendor = TlsUpstream(*authority.leaf())
    vendor.context.num_tickets = 0  # every handshake a full one
    cutter = Cutter(vendor.port)
    trust = 'ca_file = "%s"' % authority.file
    with Server(formats.config("https://127.0.0.1:%d" % cutter.port, more=trust)) as secure:
        post = lambda: secure.post(ANTHROPIC.url(), formats.small_body(ANTHROPIC), timeout=10)
        size = handshake_bytes(cutter, post)
        cutter.drop()
        for first, end in ((0, "fin"), (5, "rst")):
            for at in range(0 if check.LONG else first, size, step):
                cutter.at, cutter.end, before_it = at, end, cutter.connections
                problem = formats.error_problem(ANTHROPIC, post(), 502)
                if not problem and cutter.connections - before_it > 2:
                    problem = "%d connections" % (cutter.connections - before_it)
                problems += ["handshake, %s at %d: %s" % (end, at, problem)] if problem else []
                runs += 1
        cutter.at = 1 << 30
        assert post().status == 200
    cutter.close()
    vendor.close()
    shutil.rmtree(folder)
    check.figure("FLT-02", "%d cuts in the head, %d in a %d byte handshake: %d not a 502, 0 crashes" % (
        heads, runs - heads, size, len(problems)))
    assert not problems and size > 500, "%d\n%s" % (size, "\n".join(problems[:5]))


def test_kept_connection_closed_as_we_write():
    """FLT-03: the vendor takes the second request of every connection and closes without a word."""
    served, total, errors = set(), 2000 if check.LONG else 200, 0
    tries = [0, 0]

    def once(request):
        tries[0] += 1
        if request.connection in served:
            tries[1] += 1
            return Answer(raw=b"", end="rst" if tries[1] % 2 else "fin")
        served.add(request.connection)
        return Answer(b'{"n":1}')

    up.reset(once)
    with Server(formats.config(up.url)) as one, one.connect() as connection:
        for _ in range(total):
            response = connection.request("POST", "/claude/v1/messages", formats.small_body(ANTHROPIC))
            errors += response.status != 200 or response.body != b'{"n":1}'
    up.reset()
    check.figure("FLT-03", "%d client errors in %d; %d met a closing connection, each sent once more" % (
        errors, total, tries[1]))
    assert errors == 0 and tries[1] >= total // 2 and tries[0] == total + tries[1], (errors, tries)


def test_stream_broken_by_fin_at_each_byte():
    yield from broken_at_each_byte("fin")


def test_stream_broken_by_reset_at_each_byte():
    yield from broken_at_each_byte("rst")


def test_clean_end_without_terminator():
    """Chunked framing ends well, but the format's own terminator never came: that is a truncated stream too."""
    for fmt, keep in ((ANTHROPIC, b"event: message_stop"), (CHAT, b"data: [DONE]"),
                      (RESPONSES, b"event: response.completed")):
        stream = SHORT[fmt][:SHORT[fmt].index(keep)]
        if fmt is CHAT:
            stream = stream.replace(b'"stop"', b"null")
        up.reset(sse(stream))
        response = server.post(fmt.url(True), formats.small_body(fmt, True))
        got = formats.events(response.body)
        good = response.body.startswith(stream) and got and formats.is_error_event(fmt, got[-1])
        yield fmt.name, None if good else "%r" % response.body[-300:]


def test_plain_answer_cut_short():
    for fmt in ALL:
        for answer in (Answer(b'{"a":"' + b"x" * 400 + b'"}', stop_at=300, end="fin"),
                       Answer(b'{"a":"' + b"x" * 400 + b'"}', chunked=True, stop_at=300, end="rst")):
            up.reset(answer)
            response = server.post(fmt.url(), formats.small_body(fmt))
            if response is not None and response.status == 200:
                assert not response.complete, "%s: a cut answer looks complete: %r" % (fmt.name, response.raw)
            else:
                formats.expect_error(fmt, response, 502)


def test_unreachable_502():
    with Server(formats.config("http://127.0.0.1:%d" % free_port())) as dead:
        for fmt in ALL:
            response = dead.post(fmt.url(), formats.small_body(fmt))
            yield fmt.name, formats.error_problem(fmt, response, 502)


def test_slow_head_504():
    for fmt in ALL:
        up.reset(Answer(b"{}", head_delay=30))
        response = server.post(fmt.url(), formats.small_body(fmt))
        yield fmt.name, formats.error_problem(fmt, response, 504)


def test_garbage_answers_502():
    rows = [b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", b"\x00\x01\x02\x03" * 20, b"HTTP/1.1 9999 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 400000 + b"\r\nContent-Length: 0\r\n\r\n"]
    for number, raw in enumerate(rows):
        up.reset(Answer(raw=raw, end="fin"))
        response = server.post("/claude/v1/messages", formats.small_body(ANTHROPIC))
        begun = response is not None and response.status == 200 and not response.complete  # the head was fine
        yield str(number), None if begun else formats.error_problem(ANTHROPIC, response, 502)


def test_header_injection():
    """No byte of an upstream header line becomes a line of ours."""
    for raw in (b"HTTP/1.1 200 OK\r\nX-A: a\r\n Injected: 1\r\nContent-Length: 2\r\n\r\n{}",
                b"HTTP/1.1 200 OK\r\nX-A: a\rInjected: 1\r\nContent-Length: 2\r\n\r\n{}",
                b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 2\r\n\r\n{}"):
        up.reset(Answer(raw=raw, end="fin"))
        response = server.post("/claude/v1/messages", formats.small_body(ANTHROPIC))
        assert response.status in (200, 502), response.raw
        head = response.raw.split(b"\r\n\r\n")[0]
        lines = head.split(b"\r\n")
        assert response.get("injected") is None and not any(l.startswith((b" ", b"\t")) for l in lines), head
        assert b"\0" not in head and head.count(b"\r") == len(lines) - 1, head


def test_interim_answers_are_skipped():
    up.reset(Answer(raw=b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}"))
    response = server.post("/claude/v1/messages", formats.small_body(ANTHROPIC))
    assert (response.status, response.body) == (200, b'{"a":1}') and response.get("link") is None


def test_redirects_are_not_followed():
    for status in (301, 302, 307, 308):
        up.reset(Answer(b"moved", status=status, headers=[("Location", up.url + "/elsewhere")]))
        response = server.post("/claude/v1/messages", formats.small_body(ANTHROPIC))
        assert len(up.requests) == 1, "followed: %s" % [r.target for r in up.requests]
        assert response.status in (status, 502)


def test_kept_connection_that_died():
    """The upstream closes a kept connection just as the next request goes out: the client does not notice."""
    with server.connect() as connection:
        for turn in range(50):
            up.reset(Answer(b'{"turn":%d}' % turn, end="fin"))
            response = connection.request("POST", "/claude/v1/messages", formats.small_body(ANTHROPIC))
            assert response.status == 200 and response.body == b'{"turn":%d}' % turn, (turn, response.body)


def test_own_credential_refused_503():
    """Upstream refuses the configured key: the client must not be asked to log in, nor retry."""
    for fmt in ALL:
        for status in (401, 403):
            up.reset(Answer(b'{"error":{"message":"bad key","type":"x","status":"UNAUTHENTICATED"}}', status=status))
            response = server.post(fmt.url(), formats.small_body(fmt))
            if status == 403 and response.status == 403:
                continue  # a 403 may be about the model, not about the key
            problem = formats.error_problem(fmt, response, 503)
            problem = problem or (response.get("x-should-retry") != "false" and "x-should-retry is not false")
            problem = problem or (response.get("retry-after") and "Retry-After was sent")
            yield "%s-%d" % (fmt.name, status), problem or None


if __name__ == "__main__":
    check.main(globals(), "blackbox/upstream_faults", before, after)
