"""The end and the start of a process under load: SIGTERM with streams, SIGKILL and start again."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import check
import formats
import rawhttp
from formats import CHAT
from server import BINARY, SLOW, Server, environment, free_port
from test_slow_clients import HEAD
from upstream import Answer, Upstream

RELEASE = os.environ.get("CCPROXY_RELEASE_BIN") or BINARY
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"tick"}}]}\n\n'
BODY = formats.small_body(CHAT, True)
up = None


def before():
    global up
    up = Upstream()


def after():
    up.close()


def open_stream(server):
    c = server.connect(timeout=20)
    c.send(HEAD % len(BODY) + BODY)
    c.read_some(b"tick")
    return c


def accepts_end(server, since, seconds=3):
    """Milliseconds after `since` from which a new connection is refused."""
    while time.monotonic() - since < seconds:
        with socket.socket() as s:
            asked = time.monotonic()
            if s.connect_ex(("127.0.0.1", server.port)) != 0:
                return (asked - since) * 1000
        time.sleep(0.001)
    return seconds * 1000


def goaway_after(c, since):
    """Milliseconds until a GOAWAY frame arrives on an HTTP/2 connection."""
    data = b""
    while True:
        while len(data) < 9 or len(data) < 9 + int.from_bytes(data[:3], "big"):
            got = c.sock.recv(4096)
            assert got, "closed without GOAWAY"
            data += got
        size = 9 + int.from_bytes(data[:3], "big")
        if data[3] == 7:
            return (time.monotonic() - since) * 1000
        data = data[size:]


def drained(drain, streams):
    """SIGTERM with running streams: (ms to GOAWAY, ms to the end of accepts, seconds to exit, streams' bytes)."""
    with Server(formats.config(up.url), server='drain_timeout = "%ds"' % drain, binary=RELEASE) as server:
        running = [open_stream(server) for _ in range(streams)]
        with server.connect(timeout=10) as idle, server.connect(timeout=10) as two:
            assert idle.request("GET", "/health/live").status == 200
            two.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
            two.sock.recv(4096)
            since, refused = time.monotonic(), []
            server.process.send_signal(signal.SIGTERM)
            watch = threading.Thread(target=lambda: refused.append(accepts_end(server, since)))
            watch.start()
            goaway = goaway_after(two, since)
            watch.join()
            assert idle.closed(1), "an idle connection was kept"
        tails = []
        for c in running:
            while c.more():
                pass
            tails.append(c.raw)
            c.close()
        code = server.process.wait(drain + 10)
        took = time.monotonic() - since
        assert code == 0, code
    return goaway, refused[0], took, tails


def test_term_with_streams_that_end():
    up.reset(Answer([(EVENT, 0)] + [(EVENT, 0.1)] * 10 + [(b"data: [DONE]\n\n", 0)], content_type="text/event-stream"))
    goaway, refused, took, tails = drained(20, 20)
    whole = sum(b"[DONE]" in t and t.endswith(b"0\r\n\r\n") for t in tails)
    assert whole == 20, "%d of 20 streams were whole" % whole
    assert refused <= 50 * SLOW and goaway <= 100 * SLOW, (refused, goaway)
    assert took <= 4, took
    check.figure("RST-03", "20 streams whole; accepts ended after %.0f ms, GOAWAY %.0f ms, exit after %.1f s" % (
        refused, goaway, took))


def test_term_at_the_drain_timeout():
    drain = 30 if check.LONG else 2
    up.reset(Answer([(EVENT, 0)] + [(EVENT, 0.1)] * 1000, content_type="text/event-stream"))
    _, _, took, tails = drained(drain, 20)
    told = sum(b'"error"' in t and t.endswith(b"0\r\n\r\n") for t in tails)
    assert told == 20, "%d of 20 got an error event: %r" % (told, tails[0][-200:])
    assert drain <= took <= drain + 2 * SLOW, took
    check.figure("RST-03", "drain %d s: 20 unfinished streams got an error event, exit after %.1f s" % (drain, took))


def test_close_is_said_while_draining():
    """A request that is being answered says Connection: close; the connection ends with it."""
    up.reset(Answer(b'{"id":"x"}', head_delay=0.5))
    with Server(formats.config(up.url), binary=RELEASE) as server, server.connect(timeout=10) as c:
        c.send(HEAD % len(BODY) + BODY)
        up.last()
        server.process.send_signal(signal.SIGTERM)
        response = c.response()
        assert response.status == 200 and (response.get("connection") or "").lower() == "close", response.headers
        assert c.closed(1)
    check.figure("RST-03", "an answer given while draining says Connection: close")


def test_kill_and_start():
    """SIGKILL under load, start at once: the same port, the same unix socket file, nobody cleans up by hand."""
    rounds = 200 if check.LONG else 20
    up.reset(Answer(b'{"id":"x"}'))
    folder, port, stop, times = tempfile.mkdtemp(prefix="ccp-kill-"), free_port(), threading.Event(), []
    path, unix = os.path.join(folder, "c.toml"), os.path.join(folder, "s")
    with open(path, "w") as out:
        out.write('[server]\nport = %d\nworkers = 2\nunix_socket = "%s"\n[logging]\nfile = "%s/log"\n%s' % (
            port, unix, folder, formats.config(up.url)))
    served = [0]

    def load():
        while not stop.is_set():
            try:
                if rawhttp.once(port, "POST", "/openai/v1/chat/completions", BODY, timeout=5).status == 200:
                    served[0] += 1
            except (OSError, AttributeError, ValueError, IndexError):
                time.sleep(0.001)

    def start():
        began = time.monotonic()
        process = subprocess.Popen([os.path.abspath(RELEASE), "serve", "-c", path], cwd=folder, env=environment(folder),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while True:
            try:
                if rawhttp.once(port, "GET", "/health/live", timeout=5).status == 200:
                    return process, (time.monotonic() - began) * 1000
            except (OSError, AttributeError, ValueError, IndexError):
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() - began < 10, "not ready"
                time.sleep(0.002)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    process = None
    try:
        for _ in range(rounds):
            process, ms = start()
            times.append(ms)
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(unix)
            time.sleep(0.05)
            process.kill()
            process.wait()
            process.stderr.close()
            assert os.path.exists(unix)
    finally:
        stop.set()
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        for t in threads:
            t.join()
        shutil.rmtree(folder, ignore_errors=True)
    times.sort()
    assert times[-1] <= 300, "ready after up to %.0f ms" % times[-1]
    check.figure("RST-04", "%d kills under load (%d answers): ready after %.0f ms at most, median %.0f ms" % (
        rounds, served[0], times[-1], times[len(times) // 2]))


if __name__ == "__main__":
    check.main(globals(), "blackbox/restart", before, after)
