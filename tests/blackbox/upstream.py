"""A scriptable HTTP/1.1 server that plays the vendor: it records what arrives and answers exactly what it is told.

It is not polite: answers are raw bytes with chosen cuts, delays, resets and stalls. It runs on its own thread; tests
set `answer` (an Answer or a function of the Request) and read `requests`.
"""
import asyncio
import json
import socket
import struct
import threading
import time


class Request:
    def __init__(self, head, body, connection):
        lines = head.split(b"\r\n")
        self.head, self.body, self.connection = head, body, connection
        self.method, self.target, _ = lines[0].decode("latin-1").split(" ", 2)
        self.headers = [tuple(p.strip() for p in l.decode("latin-1").split(":", 1)) for l in lines[1:] if l]
        self.at = time.monotonic()
        self.gone_at = None  # when the peer closed while the answer was still being played

    def get(self, name):
        values = [v for n, v in self.headers if n.lower() == name.lower()]
        return values[0] if values else None


class Answer:
    """What to send. body: bytes, or a list of (bytes, seconds to wait before). end: keep, fin, rst, stall."""

    def __init__(self, body=b"{}", status=200, headers=(), content_type="application/json", chunked=False, raw=None,
                 cuts=(), cut_delay=0.0015, head_delay=0, stop_at=None, end="keep", endless=None):
        self.body, self.status, self.headers, self.chunked, self.raw = body, status, list(headers), chunked, raw
        self.content_type, self.cuts, self.cut_delay, self.head_delay = content_type, cuts, cut_delay, head_delay
        self.stop_at, self.end, self.endless = stop_at, end, endless

    def head(self, length):
        lines = ["HTTP/1.1 %d Whatever" % self.status]
        if self.content_type:
            lines.append("Content-Type: " + self.content_type)
        lines += ["%s: %s" % h for h in self.headers]
        lines.append("Transfer-Encoding: chunked" if length is None else "Content-Length: %d" % length)
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    def wire(self):
        """The whole answer as one byte string (only when the body is bytes)."""
        if self.raw is not None:
            return self.raw
        if self.chunked:
            return self.head(None) + chunk(self.body) + b"0\r\n\r\n"
        return self.head(len(self.body)) + self.body


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


def sse(body, **more):
    return Answer(body, content_type="text/event-stream", chunked=True, **more)


def reply(value, **more):
    return Answer(json.dumps(value).encode(), **more)


class Upstream:
    def __init__(self):
        self.answer = Answer()
        self.requests, self.connections, self.open_connections = [], 0, 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()
        self._ready.wait()
        self.url = "http://127.0.0.1:%d" % self.port

    def reset(self, answer=None):
        self.requests.clear()
        self.answer = answer or Answer()

    def last(self, wait=2.0):
        end = time.monotonic() + wait
        while not self.requests and time.monotonic() < end:
            time.sleep(0.002)
        assert self.requests, "nothing reached the upstream"
        return self.requests[-1]

    def wait_gone(self, seconds):
        """Seconds after `now` at which the peer of the last request left, or None."""
        request, start = self.last(), time.monotonic()
        while request.gone_at is None and time.monotonic() - start < seconds:
            time.sleep(0.005)
        return request.gone_at

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _main(self):
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(lambda *_: None)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=2048, limit=1 << 26))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader, writer):
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        self.open_connections += 1
        number = self.connections
        try:
            while True:
                request = await self._read(reader, number)
                self.requests.append(request)
                answer = self.answer(request) if callable(self.answer) else self.answer
                if not await self._play(answer, request, reader, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, OSError):
            pass
        finally:
            self.open_connections -= 1
            writer.close()

    async def _read(self, reader, number):
        head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
        request = Request(head, b"", number)
        if (request.get("transfer-encoding") or "").lower() == "chunked":
            while True:
                size = int(await reader.readline(), 16)
                data = await reader.readexactly(size + 2)
                if not size:
                    break
                request.body += data[:-2]
        else:
            request.body = await reader.readexactly(int(request.get("content-length") or 0))
        return request

    async def _play(self, answer, request, reader, writer):
        watch = asyncio.ensure_future(self._watch(reader, request))
        playing = asyncio.ensure_future(self._write(answer, writer))
        try:
            await asyncio.wait({watch, playing}, return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                return False  # the peer left
            playing.result()
            if answer.end == "stall":
                await watch
                return False
        except OSError:  # writing noticed it first
            request.gone_at = request.gone_at or time.monotonic()
            raise
        finally:
            playing.cancel()
            watch.cancel()
            await asyncio.gather(watch, playing, return_exceptions=True)
        if answer.end == "rst":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        return answer.end == "keep"

    async def _watch(self, reader, request):
        """Ends when the peer closes or resets. A pipelined request is not expected and would wait."""
        while not reader.at_eof() and reader.exception() is None:
            await asyncio.sleep(0.004)
        request.gone_at = time.monotonic()

    async def _write(self, answer, writer):
        if answer.head_delay:
            await asyncio.sleep(answer.head_delay)
        if isinstance(answer.body, list):
            await self._write_timed(answer, writer)
        elif answer.endless:
            await self._write_endless(answer, writer)
        else:
            await self._write_cut(answer, writer)

    async def _write_timed(self, answer, writer):
        writer.write(answer.head(None))
        for data, wait in answer.body:
            if wait:
                await writer.drain()
                await asyncio.sleep(wait)
            writer.write(chunk(data))
        if answer.end == "keep":
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _write_endless(self, answer, writer):
        """`endless` bytes of the body repeated, as fast as they are taken."""
        writer.write(answer.head(None))
        block, left = chunk(answer.body), answer.endless
        while left > 0:
            writer.write(block)
            await writer.drain()
            left -= len(answer.body)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _write_cut(self, answer, writer):
        data, at = answer.wire()[:answer.stop_at], 0
        for cut in sorted(c for c in answer.cuts if 0 < c < len(data)):
            writer.write(data[at:cut])
            at = cut
            await writer.drain()
            await asyncio.sleep(answer.cut_delay)
        writer.write(data[at:])
        await writer.drain()
