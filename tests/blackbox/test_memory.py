"""Memory at strangers' mercy: large bodies, slow readers, bombs, endless lines. Figures come from the release build."""
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import zlib

import check
import crowd
import formats
import rawhttp
from crowd import Client, Vendor, cpu, dechunk, once, peak, plan_body, post, received, reset_peak, rss, run
from server import Server

RELEASE = os.environ.get("CCPROXY_RELEASE_BIN", "build/ccproxy")
CHAT = "/openai/v1/chat/completions"
MIB = 1 << 20
vendor = None


# ---- what a vendor may send ------------------------------------------------------------------------------------

def answer(body, headers=(), status="200 OK", kind="application/json"):
    lines = ["HTTP/1.1 " + status, "Content-Type: " + kind, "Connection: close"] + ["%s: %s" % h for h in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def gzip_layers(n, size=64 * MIB):
    """Zeros, a thousand to one, packed n times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()
    for _ in range(n - 1):
        body = gzip.compress(body, 9)
    return body


def zstd_bomb(size=1024 * MIB):
    """One frame (RFC 8878) of blocks that repeat one byte: 4 bytes for each 128 KiB."""
    blocks = size // 131072
    block = lambda last: (last | 1 << 1 | 131072 << 3).to_bytes(3, "little") + b" "
    return b"\x28\xb5\x2f\xfd" + b"\x00\x38" + block(0) * (blocks - 1) + block(1)


def brotli_bomb(size=64 * MIB):
    node = shutil.which("node")
    if node is None:
        return None
    script = "process.stdout.write(require('zlib').brotliCompressSync(Buffer.alloc(%d)))" % size
    return subprocess.run([node, "-e", script], capture_output=True, check=True).stdout


def bombs():
    named = {"gzip": (gzip_layers(1), "gzip"), "zstd": (zstd_bomb(), "zstd"),
             "gzip5": (gzip_layers(5), ", ".join(["gzip"] * 5)), "gzip6": (gzip_layers(6), ", ".join(["gzip"] * 6))}
    brotli = brotli_bomb()
    if brotli:
        named["br"] = (brotli, "br")
    return named


EVENT = b"data: x\n\n"
EVENTS = 1000000
LINE = b'data: {"x":"' + b"y" * (16 * MIB) + b'"}\n\n'
DONE = b"data: [DONE]\n\n"
NO_NEWLINE = b"z" * (64 * MIB)
BOMBS = None


def before():
    global vendor, BOMBS
    crowd.many_descriptors()
    BOMBS = bombs()
    stream = "text/event-stream"
    raw = {"line": answer(LINE + DONE, kind=stream), "events": answer(EVENT * EVENTS + DONE, kind=stream),
           "endless": answer(NO_NEWLINE, kind=stream)}
    for name, (body, coding) in BOMBS.items():
        raw[name + "-ok"] = answer(body, [("Content-Encoding", coding)])
        raw[name + "-bad"] = answer(body, [("Content-Encoding", coding)], "400 Bad Request")
        raw[name + "-down"] = answer(body, [("Content-Encoding", coding)], "503 Service Unavailable")
    vendor = Vendor(raw)


def after():
    vendor.close()


def start(server="", binary=RELEASE, url=None, **more):
    return Server(formats.config(url or vendor.url, auth="none"), server=server, binary=binary, **more)


def warm(server, times=20):
    """What the first requests of a process's life bring in is not what a test looks for."""
    for _ in range(times):
        assert once(server.port, "now", size=100000).status == 200
    clients = [Client(server.port) for _ in range(200)]
    for c in clients:
        c.send(*post(server.port, CHAT, plan_body("now")))
    run(clients)
    for c in clients:
        c.close()
    reset_peak(server.process.pid)
    return rss(server.process.pid)


def grown(server, base):
    return (peak(server.process.pid) - base) / MIB


# ---- bodies ----------------------------------------------------------------------------------------------------

def test_idle_process_is_small():
    """Two workers, as it stands after the start."""
    with start() as server:
        time.sleep(1)
        now = rss(server.process.pid) / MIB
        yield "two workers, %.1f MiB" % now, None if now <= 12 else "more than 12 MiB"


def test_parallel_bodies_cost_little_more_than_their_size():
    n = 200
    with start() as server:
        base = warm(server)
        clients = [Client(server.port) for _ in range(n)]
        request = post(server.port, CHAT, plan_body("hold", MIB))
        for c in clients:
            c.send(*request)
        run(clients, 30, until=lambda: not any(c.out for c in clients))
        vendor.wait_held(n)
        most = grown(server, base)
        vendor.release()
        run(clients)
        assert all(c.status == 200 and received(c) == MIB for c in clients)
        for c in clients:
            c.close()
        yield "%d x 1 MiB at once, +%.0f MiB" % (n, most), None if most <= 2 * n else "more than twice their bytes"


def test_announced_bodies_hold_nothing():
    n = 1000
    with start() as server:
        base = warm(server)
        clients = [Client(server.port) for _ in range(n)]
        head = post(server.port, CHAT, b"")[0].replace(b"Content-Length: 0", b"Content-Length: 33554432")
        for c in clients:
            c.send(head + b"{")
        run(clients, 5, until=lambda: not any(c.out for c in clients))
        time.sleep(0.3)
        each = grown(server, base) * 1024 / n
        assert once(server.port, "now", size=MIB).status == 200, "others are refused"
        assert each <= 16, "%.1f KiB for each" % each
        check.figure("OVL-08", "%d clients announce 32 MiB, send 1 byte: %.1f KiB each, others served" % (n, each))
        for c in clients:
            c.close()


def settle(server, base, seconds=30):
    """Seconds until the process is back under 120 % of `base`."""
    began = time.monotonic()
    while rss(server.process.pid) > base * 1.2:
        assert time.monotonic() - began < seconds, "%.1f MiB resident, %.1f before" % (
            rss(server.process.pid) / MIB, base / MIB)
        time.sleep(0.1)
    return time.monotonic() - began


def test_the_ceiling_holds():
    n, size, limit = 200, 16, 512
    with start('memory_limit = "%dMiB"' % limit) as server:
        base = warm(server)
        clients = [Client(server.port) for _ in range(n)]
        request = post(server.port, CHAT, plan_body("hold", size * MIB))
        for c in clients:
            c.send(*request)
        run(clients, 60, until=lambda: not any(c.out for c in clients) and sum(not c.done for c in clients) ==
            vendor.held())
        most = peak(server.process.pid) / MIB
        probe = once(server.port, "now", MESSAGES)
        vendor.release()
        run(clients)
        served = sum(c.status == 200 and received(c) == size * MIB for c in clients)
        refused = sum(c.status == 503 and int(c.header("retry-after")) > 0 for c in clients)
        closed = sum(c.status is None for c in clients)
        assert served + refused + closed == n, [c.status for c in clients]
        assert served >= limit * 0.6 / size and refused >= n / 4, (served, refused, closed)
        assert most <= limit, "%.0f MiB" % most
        assert probe.status == 529 and probe.header("retry-after"), "at the limit a new request got %s" % probe.status
        for c in clients:
            c.close()
        back = settle(server, base)
        assert once(server.port, "now", size=size * MIB).status == 200
        check.figure("OVL-08", "%d x %d MiB, limit %d: %d served, %d 503, %d closed; peak %.0f MiB; back in %.1f s" % (
            n, size, limit, served, refused, closed, most, back))


MESSAGES = "/claude/v1/messages"


def test_the_ceiling_holds_under_an_address_space_limit():
    """With RLIMIT_AS the limit is automatic, and h2o would abort when malloc fails."""
    with tempfile.TemporaryDirectory() as folder:
        wrapper = os.path.join(folder, "ccproxy")
        with open(wrapper, "w") as f:
            f.write("#!/bin/sh\nulimit -v 524288\nexec %s \"$@\"\n" % os.path.abspath(RELEASE))
        os.chmod(wrapper, 0o755)
        with start(binary=wrapper) as server:
            warm(server)
            clients = [Client(server.port) for _ in range(60)]
            for c in clients:
                c.send(*post(server.port, CHAT, plan_body("hold", 16 * MIB)))
            run(clients, 60, until=lambda: not any(c.out for c in clients) and sum(not c.done for c in clients) ==
                vendor.held())
            mapped = crowd.status(server.process.pid, "VmPeak") / MIB
            vendor.release()
            run(clients)
            served, refused = (sum(c.status == s for c in clients) for s in (200, 503))
            closed = sum(c.status is None for c in clients)
            assert served >= 5 and refused + closed >= 20 and served + refused + closed == 60, (served, refused, closed)
            assert once(server.port, "now").status == 200, "does not serve any more"
            check.figure("OVL-08", "RLIMIT_AS 512 MiB, 60 x 16 MiB: %d served, %d 503, %d closed; %.0f MiB mapped" % (
                served, refused, closed, mapped))
            for c in clients:
                c.close()


def test_the_ceiling_holds_on_http2():
    if shutil.which("h2load") is None:
        raise check.Skip("h2load is not installed")
    with tempfile.TemporaryDirectory() as folder, start('memory_limit = "96MiB"') as server:
        def load(size):
            path = os.path.join(folder, "body")
            with open(path, "wb") as f:
                f.write(plan_body("wait:0.5", size))
            return subprocess.run(["h2load", "-n", "64", "-c", "8", "-m", "8", "-d", path, "-H",
                                   "content-type: application/json", "http://127.0.0.1:%d%s" % (server.port, CHAT)],
                                  capture_output=True, text=True, timeout=100)

        load(20000)
        base = warm(server)
        done = load(4 * MIB)
        codes = [int(w) for w in done.stdout.split("status codes: ")[1].split("\n")[0].split() if w.isdigit()]
        most = peak(server.process.pid) / MIB
        assert codes[0] >= 5 and codes[3] >= 16 and codes[0] + codes[3] == 64, done.stdout
        assert most <= 96, "%.0f MiB" % most
        back = settle(server, base)
        assert once(server.port, "now", size=4 * MIB).status == 200
        check.figure("OVL-08", "h2, 64 x 4 MiB, limit 96: %d served, %d 503, 0 reset; peak %.0f MiB; back in %.1f s" % (
            codes[0], codes[3], most, back))


def chunked(body, size=65000):
    return b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + size]), body[i:i + size])
                    for i in range(0, len(body), size)) + b"0\r\n\r\n"


def status_of(server, head, body, half_close=False):
    with server.connect(timeout=20) as c:
        c.send(("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s\r\n\r\n" % (
            CHAT, head)).encode())
        try:
            c.send(body)
            if half_close:
                c.sock.shutdown(1)
        except ConnectionError:
            pass
        response = c.response()
        return response.status if response else None


def test_the_limit_of_a_body_is_exact():
    limit = 2 * MIB
    with start('max_body_bytes = "2MiB"', binary=None) as server:
        exact, over = plan_body("now", limit), plan_body("now", limit + 1)
        te = "Transfer-Encoding: chunked"
        rows = [("exactly the limit", 200, "Content-Length: %d" % limit, exact),
                ("one more", 413, "Content-Length: %d" % (limit + 1), over),
                ("exactly, chunked", 200, te, chunked(exact)),
                ("one more, chunked", 413, te, chunked(over)),
                ("far more", 413, "Content-Length: %d" % (3 * limit), b"{"),
                ("far more, chunked", 413, te, chunked(over * 3)),
                ("more than any", 413, "Content-Length: 99999999999", b"{"),
                ("less than announced", None, "Content-Length: %d" % limit, exact[:-1]),
                ("more than announced", 200, "Content-Length: %d" % (limit - 1), plan_body("now", limit - 1) + b"}")]
        right = 0
        for name, wanted, head, body in rows:
            got = status_of(server, head, body, half_close=wanted is None)
            problem = None if got == wanted else "%s instead of %s" % (got, wanted)
            right += problem is None
            yield name, problem
        check.figure("OVL-09", "%d of %d: 200 at the limit, 413 above, also chunked; a lying length is never served" % (
            right, len(rows)))


def test_no_body_reaches_a_disk():
    with start(binary=None) as server:
        clients = [Client(server.port) for _ in range(3)]
        for c in clients:
            c.send(*post(server.port, CHAT, plan_body("hold", 32 * MIB)))
        run(clients, 60, until=lambda: not any(c.out for c in clients))
        vendor.wait_held(3, 60)
        ours = ("/tmp/", "/var/tmp/", "/dev/shm/", "/memfd:")
        own = (server.folder, os.path.abspath(os.environ.get("CCPROXY_BIN", "build-asan/ccproxy")))
        strange = [f for f in crowd.files_of(server.process.pid) if f.startswith(ours) and not f.startswith(own)]
        vendor.release()
        run(clients)
        assert all(c.status == 200 and received(c) == 32 * MIB for c in clients), [c.status for c in clients]
        assert strange == [], strange
        check.figure("OVL-09", "3 bodies of exactly 32 MiB in flight: 200, no file open or mapped below /tmp")
        for c in clients:
            c.close()


# ---- answers ---------------------------------------------------------------------------------------------------

class Reader(threading.Thread):
    """Reads one answer at a given rate for a while and then as fast as it comes; its digest and length."""

    def __init__(self, port, plan, rate, seconds):
        super().__init__(daemon=True)
        self.port, self.plan, self.rate, self.seconds = port, plan, rate, seconds
        self.digest, self.count, self.status = hashlib.sha256(), 0, None

    def run(self):
        with rawhttp.Connection(self.port, timeout=60, receive_buffer=65536) as c:
            c.send(b"".join(post(self.port, CHAT, plan_body(self.plan))))
            self.status, headers = c.head()
            left = int(dict((n.lower(), v) for n, v in headers)["content-length"])
            self.take(c.rest)
            began = time.monotonic()
            while self.count < left:
                late = began + self.count / self.rate - time.monotonic()
                if time.monotonic() < began + self.seconds and late > 0:
                    time.sleep(min(late, 0.1))
                    continue
                data = c.sock.recv(65536)
                if not data:
                    return
                self.take(data)

    def take(self, data):
        self.digest.update(data)
        self.count += len(data)


def test_a_slow_reader_stops_the_vendor():
    n, size, slow = (20, 256, 20) if check.LONG else (20, 24, 3)
    plan = "flow:%d" % (size * MIB)
    with start() as server:
        base = warm(server)
        readers = [Reader(server.port, plan, MIB, slow) for _ in range(n)]
        for r in readers:
            r.start()
        time.sleep(slow)
        most = grown(server, base)
        for r in readers:
            r.join()
        wanted = crowd.flow_digest(size * MIB)
        wrong = sum(r.digest.hexdigest() != wanted or r.status != 200 for r in readers)
        assert wrong == 0, "%d of %d answers were damaged" % (wrong, n)
        check.figure("OVL-10", "%d x %d MiB at full speed, read at 1 MiB/s for %d s: RSS +%.1f MiB, 0 damaged" % (
            n, size, slow, most))
        assert most <= 20, "+%.1f MiB" % most


def test_bombs_stay_packed():
    with start() as server:
        base = warm(server)
        for name, (body, coding) in BOMBS.items():
            good, bad, down = (once(server.port, "raw:%s-%s" % (name, how)) for how in ("ok", "bad", "down"))
            problem = None
            if good.status != 200 or dechunk(good) != body or good.header("content-encoding") != coding:
                problem = "the answer did not pass as it was: %s" % good.status
            elif not 400 <= bad.status < 600 or not 400 <= down.status < 600:
                problem = "errors became %s and %s" % (bad.status, down.status)
            yield name, problem
        most = grown(server, base)
        yield "memory", None if most <= 16 else "+%.1f MiB" % most
        check.figure("OVL-11", "%s, up to 1,000:1 and 6 layers: passed packed, errors too; RSS +%.1f MiB" % (
            ", ".join(BOMBS), most))


def stream(server, name):
    """Takes a whole stream: (its bytes, CPU seconds of the server)."""
    spent = cpu(server.process.pid)
    got = dechunk(once(server.port, "raw:" + name))
    return got, cpu(server.process.pid) - spent


def test_streams_without_measure():
    with start() as server:
        base = warm(server)
        got, _ = stream(server, "line")
        yield "a line of 16 MiB", None if got == LINE + DONE else "changed: %d bytes" % len(got)
        line = grown(server, base)
        got, seconds = stream(server, "events")
        yield "events of one byte", None if got == EVENT * EVENTS + DONE else "changed: %d bytes" % len(got)
        yield "their CPU", None if seconds <= 20 else "%.1f s" % seconds
        got, _ = stream(server, "endless")
        yield "no newline at all", None if got.startswith(NO_NEWLINE) else "%d bytes came" % len(got)
        most = grown(server, base)
        yield "memory", None if most <= 16 else "+%.1f MiB" % most
        check.figure("OVL-12", "16 MiB line +%.1f MiB; 1 M events %.2f s CPU; 64 MiB without newline, RSS +%.1f MiB" % (
            line, seconds, most))


if __name__ == "__main__":
    check.main(globals(), "blackbox/memory", before, after)
