"""HTTP/2 as a weapon: floods, resets, bombs and clients that never read, with what they cost the server.

Every attack runs against the sanitizer build (it must hold) and, where a figure is asked for, against the release
build, whose memory, processor time and delay count. The attacker sits in this process or, where the delay of a
neighbour is measured, in one of its own.
"""
import glob
import os
import subprocess
import sys
import threading
import time

import check
import formats
import h2cases
import h2raw as h
import server as servers
from h2cases import get, hang, post
from server import Server
from upstream import Answer, Upstream

RELEASE = os.environ.get("CCPROXY_RELEASE_BIN")
CANCEL = b"\0\0\0\x08"
HEADER_TIMEOUT, WRITE_TIMEOUT = (10, 60) if check.LONG else (1, 2)
MIB = 1 << 20
up = asan = release = None


def options():
    return 'header_timeout = "%ds"\nwrite_timeout = "%ds"' % (HEADER_TIMEOUT, WRITE_TIMEOUT)


def before():
    global up, asan, release
    sys.setswitchinterval(0.0005)  # the neighbour's delay is the server's, not that of this process
    up = Upstream()
    asan = Server(formats.config(up.url), options())
    release = Server(formats.config(up.url), options(), binary=RELEASE) if RELEASE and os.path.exists(RELEASE) else asan


def after():
    try:
        with asan:
            if release is not asan:
                with release:
                    pass
    finally:
        up.close()


def both():
    return [asan] + ([release] if release is not asan else [])


def measured():
    if servers.sanitized() and release is asan:
        raise check.Skip("no release build: CCPROXY_RELEASE_BIN")
    return release


def cpu(server):
    """Seconds of processor time of all threads, to the nanosecond."""
    total = 0
    for path in glob.glob("/proc/%d/task/*/schedstat" % server.process.pid):
        with open(path) as f:
            total += int(f.read().split()[0])
    return total / 1e9


def silent():
    """An upstream that answers nothing for half a minute."""
    up.reset(Answer(b"{}", head_delay=30))


def refused_with_calm(c, seconds=10):
    assert c.until_closed(seconds * servers.SLOW), "the connection is still open"
    assert c.goaway() is not None and c.goaway().code() == h.CALM, [(f.kind, f.stream) for f in c.frames[-5:]]
    return c.goaway().text()


def alive(server):
    with h.Connection(server.port) as c:
        assert c.get() == 200


class Watch:
    """Peak of a server's memory while something happens, and the slowest answer to a PING of a neighbour."""

    def __init__(self, server, ping=False):
        self.server, self.ping, self.stop = server, ping, False
        self.base, self.delays = server.rss(), []
        self.peak = self.base
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        neighbour = h.Connection(self.server.port)
        while not self.stop:
            self.peak = max(self.peak, self.server.rss())
            if self.ping and len(self.delays) < 900:
                self.delays.append(neighbour.ping() or 99)
            time.sleep(0.001)
        neighbour.close()

    def __enter__(self):
        self.thread.start()
        while self.ping and not self.delays:
            time.sleep(0.001)
        return self

    def __exit__(self, *_):
        self.stop = True
        self.thread.join(10)
        self.peak = max(self.peak, self.server.rss())

    def grown(self):
        return self.peak - self.base


def settle(server):
    """The first connections of a server make it allocate what it keeps; that is not the attack's."""
    for _ in range(3):
        with h.Connection(server.port) as c:
            c.flood(get(1) + b"".join(post(i, path=h2cases.HANG) for i in range(3, 190, 2)))
            c.get(stream=201)


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p))]


# H2-03

def gone(server_up, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(r.gone_at is None for r in server_up.requests):
        time.sleep(0.005)
    return sum(r.gone_at is None for r in server_up.requests)


RAPID = "".join("import sys,h2raw as h,h2cases\n"
                "sent,conns,port=0,0,int(sys.argv[1])\n"
                "data=b''.join(h2cases.hang(i)+h.frame(h.RST,0,i,b'\\0\\0\\0\\x08') for i in range(1,402,2))\n"
                "while sent<int(sys.argv[2]):\n"
                "  c=h.Connection(port); c.flood(data); sent+=101; conns+=1\n"
                "  ok=c.until_closed(5); g=c.goaway(); c.close()\n"
                "  assert ok and g and g.code()==11\n"
                "print(conns)\n")


def test_rapid_reset():
    silent()
    for server in both():
        up.requests.clear()
        with h.Connection(server.port) as c:  # all at once
            c.flood(b"".join(hang(i) + h.frame(h.RST, 0, i, CANCEL) for i in range(1, 40001, 2)))
            refused_with_calm(c)
        burst = len(up.requests)
        with h.Connection(server.port) as c:  # so slowly that each one starts
            for i in range(1, 1001, 2):
                c.send(hang(i))
                time.sleep(0.0015)
                if not c.send(h.frame(h.RST, 0, i, CANCEL)):
                    break
            refused_with_calm(c)
        assert burst <= 250 and len(up.requests) - burst <= 250, (burst, len(up.requests))
        left = gone(up, 1 * servers.SLOW)
        assert left == 0, "%d upstream requests were not cancelled" % left
        paced = len(up.requests) - burst
    server = measured()
    with h.Connection(server.port) as c:
        quiet = [c.ping() for _ in range(500)]
        attacker = subprocess.Popen([sys.executable, "-c", RAPID, str(server.port), "20000"], stdout=subprocess.PIPE)
        loud = []
        while attacker.poll() is None:
            loud.append(c.ping() or 99)
            time.sleep(0.002)
        conns = int(attacker.communicate()[0])
    assert attacker.returncode == 0
    before_it, during = percentile(quiet, 0.99) * 1e3, percentile(loud, 0.99) * 1e3
    # Two times of nearly nothing is nothing: below 10 ms no one notices, and the attacker takes a core itself.
    assert during <= max(2 * before_it, 10), (before_it, during)
    check.figure("H2-03", "20,000 at once: %d upstream requests, GOAWAY 11; paced: %d" % (burst, paced))
    check.figure(
    "H2-03", "20,000 over %d connections: p99 of another %.1f ms, quiet %.1f ms" %
     (conns, during, before_it))


# H2-04

WAYS = {
    "update-0": lambda i: h.frame(h.UPDATE, 0, i, b"\0\0\0\0"),
    "overflow": lambda i: h.frame(h.UPDATE, 0, i, b"\x7f\xff\xff\xff"),
    "late-data": lambda i: h.frame(h.DATA, 0, i, b"x"),
    "self-priority": lambda i: h.frame(h.PRIORITY, 0, i, b"\0" + bytes((i >> 16, i >> 8 & 255, i & 255)) + b"\x10"),
    "half-closed": lambda i: h.headers(i, h.request()),
}


def test_made_you_reset():
    silent()
    for name, provoke in WAYS.items():
        worst = 0
        for server in both():
            for paced in (False, True):
                up.requests.clear()
                with h.Connection(server.port) as c:
                    if paced:
                        for i in range(1, 601, 2):
                            c.send(hang(i))
                            time.sleep(0.0015)
                            if not c.send(provoke(i)):
                                break
                    else:
                        c.flood(b"".join(hang(i) + provoke(i) for i in range(1, 10001, 2)))
                    assert c.until_closed(10), name
                    assert c.goaway() is not None, name
                    made = len(c.resets())
                left = gone(up, 1 * servers.SLOW)
                assert left == 0, "%s: %d upstream requests were not cancelled" % (name, left)
                worst = max(worst, len(up.requests), made)
        yield name, None if worst <= 120 else "%d were started" % worst
        check.figure("H2-04", "%s: %d" % (name, worst))


# H2-05, H2-06

def test_continuation_flood():
    for what, filling in (("empty", b""), ("1 byte", b"\x90")):
        for server in both():
            start = cpu(server)
            with h.Connection(server.port) as c:
                sent = c.flood(h.headers(1, h.request(), 0) + h.frame(h.CONTINUATION, 0, 1, filling) * 50000)
                text = refused_with_calm(c)
                assert "CONTINUATION" in text, text
            took = cpu(server) - start
            with h.Connection(server.port) as c:  # one after the other: which one is the last?
                c.send(h.headers(1, h.request(), 0))
                for n in range(1, 50):
                    c.send(h.frame(h.CONTINUATION, 0, 1, filling))
                    if c.wait(lambda f: f.kind == h.GOAWAY, 0.03) or c.closed:
                        break
            assert n <= 9, "%d frames were taken" % n
        assert servers.sanitized() and release is asan or took <= 0.05, took
        check.figure(
    "H2-05", "%s: GOAWAY at frame %d behind HEADERS, %.1f ms CPU for %d KB" %
     (what, n, took * 1e3, sent >> 10))


def test_endless_header_block():
    for server in both():
        with h.Connection(server.port) as c:
            c.send(h.headers(1, h.request() + b"\x10", 0))
            taken = 0
            for _ in range(26):
                c.send(h.frame(h.CONTINUATION, 0, 1, b"\x90" * 16000))
                if c.wait(lambda f: f.kind == h.GOAWAY, 0.05):
                    break
                taken += 16000
            refused_with_calm(c)
        assert taken <= 32768, taken
    check.figure("H2-06", "%d bytes taken, the next 16,000 refused" % taken)


# H2-07

def test_header_bomb():
    entry = h.literal("x", "v" * 3900, 0x40)
    worst = 0
    for server in both():
        settle(server)
        with Watch(server) as watch:
            for references in (1, 8, 95, 1000, 4000, 16000, 32000):
                for flags in (h.END_HEADERS, h.END_HEADERS | h.END_STREAM):
                    with h.Connection(server.port) as c:
                        c.send(h.headers(1, h.request("/nowhere", "GET", entry)))
                        data = b"".join(in_frames(i, h.request("/nowhere") + b"\xbe" * references, flags)
                                        for i in range(3, 203, 2))
                        c.flood(data)
                        if references * 3900 < 32768:  # as much as a request may carry
                            assert c.ping() is not None and c.goaway() is None
                            continue
                        text = refused_with_calm(c)
                        assert "field" in text or "CONTINUATION" in text or "block" in text, text
        alive(server)
        worst = watch.grown()
    measured()
    assert worst <= 8 * MIB, worst
    check.figure("H2-07", "1 to 32,000 references on 100 streams: closed, RSS +%.1f MiB at most" % (worst / MIB))


def in_frames(stream, block, flags):
    parts = [block[i:i + 16384] for i in range(0, len(block), 16384)]
    out = h.headers(stream, parts[0], flags & ~h.END_HEADERS if len(parts) > 1 else flags)
    for n, part in enumerate(parts[1:], 2):
        out += h.frame(h.CONTINUATION, h.END_HEADERS if n == len(parts) else 0, stream, part)
    return out


# H2-08

def test_table_size_updates():
    for server in both():
        with h.Connection(server.port) as c:
            c.send(in_frames(1, (h.size_update(0) + h.size_update(4096))
                   * 5000 + h.request(), h.END_STREAM | h.END_HEADERS))
            assert c.until_closed(5) and c.goaway().code() == h.COMPRESSION
        with h.Connection(server.port) as c:
            c.send(h.headers(1, h.size_update(0) + h.size_update(4096) + h.request()))
            assert c.wait(lambda f: f.kind == h.HEADERS and f.stream == 1).status() == 200
    check.figure("H2-08", "10,000 table size updates in one block: COMPRESSION_ERROR")


# H2-09

CONTROL = {
    "SETTINGS": (20000, lambda i: h.settings((4, 65535 if i & 1 else 1)), True),
    "PING": (100000, lambda i: h.frame(h.PING, 0, 0, b"%08d" % i), False),
    "PRIORITY": (100000, lambda i: h.frame(h.PRIORITY, 0, 1, b"\0\0\0\0\x10"), False),
    "GOAWAY": (100000, lambda i: h.frame(h.GOAWAY, 0, 0, b"\0" * 8), False),
}


def test_control_floods():
    silent()
    for name, (count, make, streams) in CONTROL.items():
        for server in both():
            up.requests.clear()
            c, data = h.Connection(server.port), b"".join(make(i) for i in range(count))
            if streams:
                c.send(b"".join(hang(i) for i in range(1, 201, 2)))
                wait_for(lambda: len(up.requests) == 100)
            with Watch(server, ping=True) as watch:
                for turn in range(20):  # again and again, so that both workers and the neighbour meet it
                    c = c if turn == 0 else h.Connection(server.port)
                    c.sock.settimeout(2)
                    base = cpu(server)
                    c.send(data)  # nothing is read meanwhile
                    said = refused_with_calm(c)
                    spent = cpu(server) - base
                    c.close()
                    if turn == 0:
                        acks = sum(f.kind in (h.PING, h.SETTINGS) and bool(f.flags & h.ACK) for f in c.frames)
            assert acks <= 1002, acks
            lag = max(watch.delays) * 1e3
            grown = watch.grown()
        yield name, None if "control" in said else said
        if server is release and RELEASE:
            assert grown <= 2 * MIB, (name, grown)
            assert lag <= 20, (name, lag)
        check.figure("H2-09", "%s: %d answered, RSS +%.1f MiB, PING of a neighbour <= %.1f ms, %.0f ms CPU" % (
            name, acks, grown / MIB, lag, spent * 1e3))


# H2-10

def test_unknown_frames_and_settings():
    for server in both():
        said = len(server.log_text()) + len(server.output())
        lines = server.log_text().count("\n") + server.output().count("\n")
        start = cpu(server)
        with h.Connection(server.port) as c:
            data = b"".join(h.frame(0x0a + 0x1f * (i % 7), i & 0xff, i & 0xffff, b"grease") for i in range(1000))
            c.flood(data * 100)
            for i in range(300):
                c.send(h.settings((0x0a0a + 0x1010 * (i % 8), i)))
            assert c.get() == 200
            assert c.goaway() is None
        took = cpu(server) - start
        new = server.log_text().count("\n") + server.output().count("\n") - lines
        assert new <= 10, (new, said)
    check.figure(
    "H2-10", "100,000 unknown frames, 300 unknown settings: ignored, %d log lines, %.0f ms CPU" %
     (new, took * 1e3))


# H2-11

def test_tiny_data():
    up.reset(Answer(b"{}"))
    count = 1000000 if check.LONG else 100000
    for server in both():
        start = cpu(server)
        with h.Connection(server.port) as c:
            c.send(post(1))
            c.flood(h.frame(h.DATA, 0, 1, b"") * 100000)
            empty = refused_with_calm(c)
        empty_cpu = cpu(server) - start
        with h.Connection(server.port) as c:
            c.send(post(1))
            c.flood(h.frame(h.DATA, h.PADDED, 1, b"\x02\0\0") * 20000)
            assert "empty" in refused_with_calm(c)
        start = cpu(server)
        with h.Connection(server.port) as c:
            c.send(post(1) + h.frame(h.DATA, 0, 1, b'{"model":"m-1","messages":["'))
            sent = c.flood(h.frame(h.DATA, 0, 1, b"a") * count, seconds=60)
            assert sent == 10 * count, "closed after %d bytes" % sent
            c.send(h.frame(h.DATA, h.END_STREAM, 1, b'"]}'))
            answer = c.wait(lambda f: f.stream == 1 and f.kind in (h.HEADERS, h.RST), 20)
            assert answer is not None and answer.kind == h.HEADERS and answer.status() == 200
        single_cpu = cpu(server) - start
    assert "empty" in empty
    measured()
    assert empty_cpu <= 1 and single_cpu <= 1, (empty_cpu, single_cpu)
    check.figure("H2-11", "100,000 empty: GOAWAY, %.0f ms CPU; %d of 1 byte: served, %.0f ms CPU" % (
        empty_cpu * 1e3, count, single_cpu * 1e3))


# H2-12

def test_dribbled_header():
    """One byte at a time; each is in time, all together are not."""
    block = h.headers(1, h.request("/health/live", "GET", ("x-long", "y" * 500)))
    shapes = {"frame": block, "continuations": h.headers(1, h.request(), 0) + b"".join(
        h.frame(h.CONTINUATION, 0, 1, b"") for _ in range(8)), "behind a request": get(1) + block[:3] + block[3:]}
    for name, data in shapes.items():
        for server in both():
            with h.Connection(server.port) as c:
                at, start = (len(get(1)) if name == "behind a request" else 1), time.monotonic()
                c.send(data[:at])
                while at < len(data) and time.monotonic() - start < HEADER_TIMEOUT + 3:
                    if c.until_closed(HEADER_TIMEOUT / 20):
                        break
                    c.send(data[at:at + 1])
                    at += 1
                took = time.monotonic() - start
                assert c.closed, "%s: still open after %.1f s" % (name, took)
            assert took <= HEADER_TIMEOUT + 1, (name, took)
    check.figure("H2-12", "closed after %.1f s with a header_timeout of %d s" % (took, HEADER_TIMEOUT))


# H2-13

def test_clients_that_never_read():
    up.reset(Answer(b"x" * 65536, content_type="text/plain", chunked=True, endless=10 * MIB))
    server, streams = measured(), 100 if check.LONG else 40
    for window in (0, 0x7fffffff):
        settle(server)
        up.requests.clear()
        base, idle, clients = server.rss(), up.open_connections, []
        for _ in range(5):
            c = h.Connection(server.port, first_settings=((4, window),), receive_buffer=4096)
            c.send(h.frame(h.UPDATE, 0, 0, b"\x7f\xff\0\0"))
            c.send(b"".join(post(i) + h.frame(h.DATA, h.END_STREAM, i, h2cases.BODY) for i in range(1, 2 * streams, 2)))
            clients.append(c)
        wait_for(lambda: len(up.requests) == 5 * streams)
        begun, held = time.monotonic(), 0
        while up.open_connections > idle and time.monotonic() - begun < WRITE_TIMEOUT + 8:
            held = max(held, server.rss() - base)
            time.sleep(0.02)
        freed = time.monotonic() - begun
        for c in clients:
            c.close()
        each = held / 5 / streams / 1024
        # 64 KiB wait for the client; a transfer has buffers of its own, and so has an exchange.
        yield "window %d" % window, None if each <= 160 and freed <= WRITE_TIMEOUT + 1.5 else \
            "%.0f KiB each, freed after %.1f s" % (each, freed)
        check.figure("H2-13", "window %d: %d streams, RSS %.0f KiB each with transfer, freed after %.1f of %d s" % (
            window, 5 * streams, each, freed, WRITE_TIMEOUT))
    alive(release)


def test_a_stalled_stream_ends_alone():
    """Its neighbours on the connection live on: it is reset with CANCEL after write_timeout."""
    up.reset(Answer(b"x" * 65536, content_type="text/plain", chunked=True, endless=10 * MIB))
    for server in both():
        idle = up.open_connections
        with h.Connection(server.port) as c:
            c.send(post(1) + h.frame(h.DATA, h.END_STREAM, 1, h2cases.BODY))
            end = c.wait(lambda f: f.kind == h.RST and f.stream == 1, WRITE_TIMEOUT + 5)
            assert end is not None and end.code() == h.CANCEL, (c.closed, c.frames[-3:])
            c.send(h.frame(h.UPDATE, 0, 0, b"\0\x10\0\0"))
            assert c.get(stream=3) == 200 and c.goaway() is None
            wait_for(lambda: up.open_connections <= idle, 3)


if __name__ == "__main__":
    check.main(globals(), "blackbox/http2_attacks", before, after)
