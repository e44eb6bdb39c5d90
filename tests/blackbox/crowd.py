"""Many clients at once without a thread each, an upstream in a process of its own, and what /proc says of a server.

The upstream (Vendor) reads its instructions from the beginning of the request's body: "plan":"…" one of
    now           a small JSON answer that tells how many body bytes came
    hold          the same, when release() is called
    wait:S        the same, after S seconds
    flow:N        a JSON body of N bytes, as fast as it is taken (flow_digest(N) is its SHA-256)
    raw:NAME      the bytes that Vendor was made with under that name, as they are, then the connection is closed
"""
import asyncio
import hashlib
import json
import multiprocessing
import os
import re
import resource
import selectors
import socket
import time

TICK = os.sysconf("SC_CLK_TCK")
BLOCK = bytes(range(32, 127)) * 689 + b"-----"  # 65,460 bytes, printable
PLAN = re.compile(rb'"plan":"([^"]*)"')


def many_descriptors():
    """This process opens thousands of sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


# ---- what the system says of a process ---------------------------------------------------------------------

def status(pid, field):
    with open("/proc/%d/status" % pid) as f:
        return next(int(l.split()[1]) * 1024 for l in f if l.startswith(field + ":"))


def rss(pid):
    return status(pid, "VmRSS")


def peak(pid):
    return status(pid, "VmHWM")


def reset_peak(pid):
    with open("/proc/%d/clear_refs" % pid, "w") as f:
        f.write("5")


def cpu(pid):
    """Seconds of CPU so far."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def files_of(pid):
    """Paths that the process has open or mapped."""
    out = set()
    for name in os.listdir("/proc/%d/fd" % pid):
        try:
            out.add(os.readlink("/proc/%d/fd/%s" % (pid, name)))
        except OSError:
            pass
    with open("/proc/%d/maps" % pid) as f:
        out.update(l.split(None, 5)[5].strip() for l in f if len(l.split(None, 5)) == 6)
    return out


def p99(values):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


# ---- the upstream ------------------------------------------------------------------------------------------

def flow_digest(size):
    digest = hashlib.sha256()
    while size > 0:
        digest.update(BLOCK[:size])
        size -= len(BLOCK)
    return digest.hexdigest()


class Vendor:
    def __init__(self, raw=None):
        many_descriptors()
        self.raw = raw or {}
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(target=self._main, args=(theirs,), daemon=True)
        self.process.start()
        self.port = self.pipe.recv()
        self.url = "http://127.0.0.1:%d" % self.port

    def held(self):
        """How many requests are on hold."""
        self.pipe.send("held")
        return self.pipe.recv()

    def wait_held(self, wanted, seconds=30):
        end = time.monotonic() + seconds
        while self.held() < wanted:
            assert time.monotonic() < end, "%d of %d requests reached the upstream" % (self.held(), wanted)
            time.sleep(0.02)

    def release(self):
        self.pipe.send("release")
        return self.pipe.recv()

    def close(self):
        self.process.kill()
        self.process.join()

    def _main(self, pipe):
        asyncio.run(self._serve(pipe))

    async def _serve(self, pipe):
        self._event, self._held = asyncio.Event(), 0
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=1 << 20, backlog=4096)
        pipe.send(server.sockets[0].getsockname()[1])
        asyncio.get_running_loop().add_reader(pipe.fileno(), self._command, pipe)
        await asyncio.Event().wait()

    def _command(self, pipe):
        if pipe.recv() == "release":
            self._event.set()
            self._event = asyncio.Event()
        pipe.send(self._held)

    async def _connection(self, reader, writer):
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _one(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: *(\d+)", head + b"content-length: 0").group(1))
        first, left = b"", length
        while left > 0:
            data = await reader.read(min(left, 1 << 20))
            if not data:
                return False
            first, left = first or data, left - len(data)
        found = PLAN.search(first[:4096])
        return await self._answer(found.group(1).decode() if found else "now", length, writer)

    async def _answer(self, plan, length, writer):
        what, _, value = plan.partition(":")
        if what == "raw":
            writer.write(self.raw[value])
            await writer.drain()
            return False
        if what == "flow":
            await self._flow(int(value), writer)
            return True
        if what == "hold":
            self._held += 1
            try:
                await self._event.wait()
            finally:
                self._held -= 1
        if what == "wait":
            await asyncio.sleep(float(value))
        body = b'{"received":%d}' % length
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
            len(body), body))
        await writer.drain()
        return True

    async def _flow(self, size, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % size)
        while size > 0:
            writer.write(BLOCK[:size])
            size -= len(BLOCK)
            await writer.drain()


# ---- the clients -------------------------------------------------------------------------------------------

def plan_body(plan, size=0):
    """A chat request that names the plan, filled up to `size` bytes."""
    body = b'{"model":"m-1","plan":"%s","messages":[{"role":"user","content":"' % plan.encode()
    return body + b"x" * max(0, size - len(body) - 4) + b'"}]}'


def post(port, path, body, headers=()):
    lines = ["POST %s HTTP/1.1" % path, "Host: 127.0.0.1:%d" % port, "Content-Type: application/json",
             "Content-Length: %d" % len(body)] + ["%s: %s" % h for h in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n", body


class Client:
    """One connection. send() queues a request; run() moves bytes; `done` when the answer is whole or the end came."""

    def __init__(self, port):
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.connect_ex(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.out, self.got, self.done, self.closed, self.status, self.seconds = [], bytearray(), True, False, None, 0
        self.head = None

    def send(self, head, body=b""):
        self.out = [memoryview(head), memoryview(body)] if body else [memoryview(head)]
        self.got, self.done, self.status, self.began, self.head = bytearray(), False, None, time.monotonic(), None

    def header(self, name):
        found = re.search(rb"(?im)^%s: *([^\r]*)" % name.encode(), self.head or b"")
        return found.group(1).decode() if found else None

    def body(self):
        return bytes(self.got[len(self.head) + 4:]) if self.head else b""

    def on_writable(self):
        try:
            while self.out:
                n = self.sock.send(self.out[0])
                self.out[0] = self.out[0][n:]
                if len(self.out[0]) == 0:
                    self.out.pop(0)
        except BlockingIOError:
            pass
        except OSError:
            self.out = []  # an answer may have come before

    def on_readable(self):
        try:
            data = self.sock.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.got += data
        self.closed = not data
        self.done = not data or self._whole()
        if self.done:
            self.seconds = time.monotonic() - self.began
            if self.got.startswith(b"HTTP/1.1 "):
                self.status = int(self.got[9:12])

    def _whole(self):
        if self.head is None:
            at = self.got.find(b"\r\n\r\n")
            if at < 0:
                return False
            self.head = bytes(self.got[:at])
            length = self.header("content-length")
            self.total = at + 4 + int(length) if length is not None else None
        if self.total is None:
            return self.header("transfer-encoding") is not None and self.got.endswith(b"0\r\n\r\n")
        return len(self.got) >= self.total

    def close(self):
        self.sock.close()


def run(clients, seconds=60, until=None):
    """Moves bytes until every client is done, `until()` holds, or the time is over (an error without `until`)."""
    end, selector, masks = time.monotonic() + seconds, selectors.DefaultSelector(), {}
    try:
        while True:
            for c in clients:
                mask = 0 if c.done else selectors.EVENT_READ | (selectors.EVENT_WRITE if c.out else 0)
                if mask != masks.get(c, 0):
                    if masks.get(c, 0) == 0:
                        selector.register(c.sock, mask, c)
                    elif mask == 0:
                        selector.unregister(c.sock)
                    else:
                        selector.modify(c.sock, mask, c)
                    masks[c] = mask
            if all(c.done for c in clients) or (until and until()):
                return
            if time.monotonic() > end:
                assert until, "%d of %d clients were not done" % (sum(not c.done for c in clients), len(clients))
                return
            for _ in range(8 if len(clients) > 500 else 1):
                for key, events in selector.select(0.02):
                    if events & selectors.EVENT_WRITE:
                        key.data.on_writable()
                    if events & selectors.EVENT_READ and not key.data.done:
                        key.data.on_readable()
    finally:
        selector.close()


def once(port, plan, path="/openai/v1/chat/completions", size=0, headers=(), seconds=60):
    """One request on a connection of its own; the finished client."""
    c = Client(port)
    try:
        c.send(*post(port, path, plan_body(plan, size), headers))
        run([c], seconds)
        return c
    finally:
        c.close()


def dechunk(client):
    """The body of an answer without its chunks, as far as it came."""
    body, out, at = client.body(), [], 0
    if client.header("content-length"):
        return body
    while (end := body.find(b"\r\n", at)) > at:
        n = int(body[at:end], 16)
        out.append(body[end + 2:end + 2 + n])
        at = end + 2 + n + 2
        if n == 0:
            break
    return b"".join(out)


def received(client):
    return json.loads(client.body())["received"]
