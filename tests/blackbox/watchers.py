"""Clients of /events: one that reads on demand, and a crowd of them in a process of its own.

A Watcher checks what it reads: each event has a name, its data is one JSON object, ids grow.
"""
import hashlib
import json
import multiprocessing
import re
import selectors
import socket
import time

import rawhttp

ROOT, USER = "root-key-of-this-test-0123456789", "user-key-of-this-test-0123456789"
KEYS = """
[[security.keys]]
name = "root"
token = "%s"
admin = true
[[security.keys]]
name = "user"
token = "%s"
""" % (ROOT, USER)
CHAT = "/mock/v1/chat/completions"


def auth(key):
    return [("x-ccproxy-token", key)] if key else []


def chat(server, text="hello", key=USER, model="mock-echo", stream=False, connection=None):
    body = json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}).encode()
    if connection:
        return connection.request("POST", CHAT, body, auth(key))
    return server.request("POST", CHAT, body, auth(key))


def split_events(text):
    """(name, id, data) for each whole event; comments are left out."""
    out = []
    for block in text.split(b"\n\n")[:-1]:
        fields = {}
        for line in block.split(b"\n"):
            name, _, value = line.partition(b": ")
            if name in (b"event", b"id", b"data"):
                fields[name] = fields[name] + b"\n" + value if name in fields else value
        if b"data" in fields:
            out.append((fields[b"event"].decode(), int(fields.get(b"id", b"0")), fields[b"data"]))
    return out


class Watcher:
    def __init__(self, server, path="/events", key=ROOT, **more):
        self.connection = server.connect(**more)
        self.connection.send(rawhttp.encode("GET", path, None, auth(key), "127.0.0.1:%d" % server.port))
        head = self.connection.head()
        self.status, self.headers = head if head else (None, [])
        self.text, self.events, self.over, self.whole, self.comments = b"", [], False, False, 0
        while self.status == 200 and not self.comments:
            assert self.read(), "no first line"

    def read(self, seconds=5.0):
        """One read of the socket; False = the end, or nothing came."""
        c = self.connection
        if b"\r\n" not in c.rest or not self._chunk():
            c.sock.settimeout(max(0.001, seconds))
            try:
                if not c.more():
                    self.over = True
                    return False
            except (TimeoutError, socket.timeout):
                return False
        while self._chunk():
            pass
        return True

    def _chunk(self):
        c = self.connection
        line, found, rest = c.rest.partition(b"\r\n")
        if not found or self.over:
            return False
        size = int(line, 16)
        if len(rest) < size + 2:
            return False
        self.text += rest[:size]
        c.rest = rest[size + 2:]
        self.over = self.whole = size == 0
        self._events()
        return True

    def _events(self):
        end = self.text.rfind(b"\n\n")
        if end < 0:
            return
        done, self.text = self.text[:end + 2], self.text[end + 2:]
        self.comments += sum(block.startswith(b":") for block in done.split(b"\n\n"))
        for name, number, data in split_events(done):
            value = json.loads(data)
            last = next((e for e in reversed(self.events) if e["id"]), None)
            assert name == "note" or number > (last["id"] if last else 0), "ids do not grow: %r" % done
            assert name == "note" or value["event"] == name, value
            self.events.append({"type": name, "id": number, **value})

    def wait(self, wanted, seconds=8, times=1):
        """Reads until so many events satisfy `wanted` (a type, or a function); returns them."""
        fits = wanted if callable(wanted) else lambda e: e["type"] == wanted
        end = time.monotonic() + seconds
        while True:
            found = [e for e in self.events if fits(e)]
            if len(found) >= times:
                return found
            assert not self.over, "the stream ended; it had %s" % [e["type"] for e in self.events][-20:]
            assert time.monotonic() < end, "only %d of %d came; there were %s" % (
                len(found), times, [e["type"] for e in self.events][-20:])
            self.read(end - time.monotonic())

    def drain(self, quiet=0.3):
        """Reads until nothing came for a while."""
        while not self.over and self.read(quiet):
            pass
        return self.events

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Crowd:
    """`n` watchers in another process: reads all, tells of each how many events came and a digest of their ids."""

    def __init__(self, port, n, path="/events", key=ROOT):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(
            target=self._main, args=(theirs, port, n, path, key), daemon=True)
        self.process.start()
        told = self.pipe.recv()
        assert told == "ready", told

    def counts(self):
        """[(events, digest of the ids, events dropped)] of each."""
        self.pipe.send("counts")
        return self.pipe.recv()

    def wait(self, events, seconds=30):
        end = time.monotonic() + seconds
        while True:
            counts = self.counts()
            if all(c[0] + c[2] >= events for c in counts):
                return counts
            assert time.monotonic() < end, "%d of %d have less than %d events; the least is %d" % (
                sum(c[0] < events for c in counts), len(counts), events, min(c[0] for c in counts))
            time.sleep(0.1)

    def close(self):
        self.process.kill()
        self.process.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _main(self, pipe, port, n, path, key):
        selector, members = selectors.DefaultSelector(), []
        for _ in range(n):
            sock = socket.create_connection(("127.0.0.1", port))
            sock.sendall(rawhttp.encode("GET", path, None, auth(key), "127.0.0.1:%d" % port))
            sock.setblocking(False)
            member = {"sock": sock, "rest": b"", "n": 0, "ids": hashlib.sha256(), "dropped": 0, "up": False}
            members.append(member)
            selector.register(sock, selectors.EVENT_READ, member)
        selector.register(pipe.fileno(), selectors.EVENT_READ, None)
        told = False
        while True:
            for key_, _ in selector.select(0.5):
                if key_.data is None:
                    pipe.recv()
                    pipe.send([(m["n"], m["ids"].hexdigest(), m["dropped"]) for m in members])
                else:
                    self._read(selector, key_.data)
            if not told and all(m["up"] for m in members):
                pipe.send("ready")
                told = True

    @staticmethod
    def _read(selector, m):
        try:
            data = m["sock"].recv(262144)
        except BlockingIOError:
            return
        if not data:
            selector.unregister(m["sock"])
            return
        # Chunk heads stand between the server's writes, never inside a line that begins with "id:" of a whole write.
        text = m["rest"] + data
        if not m["up"]:
            m["up"] = b": watching\n\n" in text
        cut = text.rfind(b"\n\n") + 2
        if cut < 2:
            m["rest"] = text
            return
        m["rest"] = text[cut:]
        for found in re.finditer(rb"id: (\d+)\nevent: ", text[:cut]):
            m["n"] += 1
            m["ids"].update(found.group(1) + b",")
        for found in re.finditer(rb'data: \{"dropped":(\d+)\}', text[:cut]):
            m["dropped"] += int(found.group(1))
