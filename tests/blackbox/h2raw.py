"""HTTP/2 by raw frames: builds exactly the bytes that are asked for, valid or not, and tells what came back.

HPACK is written by hand (RFC 7541): `literal`, `indexed`, `integer`, `size_update`; nothing is compressed unless a test
says so. Answers are decoded just enough to see statuses and codes: the decoder knows what h2o sends.
"""
import select
import socket
import ssl
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 1, 1, 4, 8, 32
NO_ERROR, PROTOCOL, INTERNAL, FLOW, TIMEOUT, STREAM_CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION, CONNECT, CALM = range(
    12)
STATUS_INDEX = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    size = len(payload) if length is None else length
    return struct.pack(">BHBBI", size >> 16, size & 0xffff, kind, flags, stream) + payload


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", k, v) for k, v in pairs))


def integer(value, bits, first=0):
    top = (1 << bits) - 1
    if value < top:
        return bytes([first | value])
    out, value = [first | top], value - top
    while value >= 128:
        out.append(0x80 | value & 0x7f)
        value >>= 7
    return bytes(out + [value])


def string(text):
    text = text if isinstance(text, bytes) else text.encode("latin-1")
    return integer(len(text), 7) + text


def indexed(n):
    return integer(n, 7, 0x80)


def literal(name, value, first=0x00):
    """first: 0x00 not indexed, 0x10 never, 0x40 with incremental indexing. An integer as name is an index."""
    bits = 6 if first == 0x40 else 4
    if isinstance(name, int):
        return integer(name, bits, first) + string(value)
    return bytes([first]) + string(name) + string(value)


def size_update(n):
    return integer(n, 5, 0x20)


def block(*fields):
    return b"".join(f if isinstance(f, bytes) else literal(*f) for f in fields)


def request(path="/health/live", method="GET", *more, authority="127.0.0.1", scheme="http"):
    """A complete, valid header block; `more` are (name, value) or ready bytes behind the pseudo-headers."""
    return block((":method", method), (":scheme", scheme), (":path", path), (":authority", authority), *more)


def headers(stream, payload, flags=END_STREAM | END_HEADERS):
    return frame(HEADERS, flags, stream, payload)


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload

    def code(self):
        """Of RST_STREAM and GOAWAY."""
        return struct.unpack(">I", self.payload[4:8] if self.kind == GOAWAY else self.payload[:4])[0]

    def status(self):
        """Of HEADERS from h2o: the status is the first field, indexed or a literal with index 8."""
        first = self.payload[0]
        if first & 0x80:
            return STATUS_INDEX.get(first & 0x7f)
        return int(self.payload[2:2 + (self.payload[1] & 0x7f)])

    def text(self):
        return self.payload[8:].decode("latin-1")


class Connection:
    def __init__(self, port, tls=False, timeout=10, first_settings=(), receive_buffer=None, hello=True, alpn=("h2",)):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(list(alpn))
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.rest, self.closed, self.frames = b"", False, []
        if hello:
            self.send(PREFACE + settings(*first_settings))

    def send(self, *parts):
        """All of it, unless the server closes first; True = all was taken."""
        try:
            self.sock.sendall(b"".join(parts))
            return True
        except (ConnectionError, ssl.SSLError):
            return False

    def flood(self, data, times=1, seconds=20):
        """Writes `data` again and again and reads at the same time; ends when the server closes. Returns bytes sent."""
        self.sock.setblocking(False)
        whole, at, end = memoryview(data * times if times > 1 else data), 0, time.monotonic() + seconds
        while at < len(whole) and not self.closed and time.monotonic() < end:
            readable, writable, _ = select.select([self.sock], [self.sock], [], 1)
            if readable:
                self._more()
            if writable and not self.closed:
                try:
                    at += self.sock.send(whole[at:at + 262144])
                except BlockingIOError:
                    pass
                except OSError:
                    self._drain()
        self.sock.settimeout(10)
        return at

    def _drain(self):
        """What the server said before it closed."""
        while not self.closed:
            self._more()

    def _more(self):
        try:
            data = self.sock.recv(262144)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except socket.timeout:
            return False
        except OSError:
            data = b""
        self.closed = not data
        self.rest += data
        while len(self.rest) >= 9:
            size = self.rest[0] << 16 | self.rest[1] << 8 | self.rest[2]
            if len(self.rest) < 9 + size:
                break
            stream = struct.unpack(">I", self.rest[5:9])[0] & 0x7fffffff
            self.frames.append(Frame(self.rest[3], self.rest[4], stream, self.rest[9:9 + size]))
            self.rest = self.rest[9 + size:]
        return True

    def wait(self, wanted, seconds=5):
        """Reads until `wanted(frame)` is true of a frame; returns it, or None when the time is up or all was said."""
        end, seen = time.monotonic() + seconds, 0
        while True:
            for got in self.frames[seen:]:
                seen += 1
                if wanted(got):
                    return got
            left = end - time.monotonic()
            if self.closed or left <= 0:
                return None
            self.sock.settimeout(left)
            self._more()

    def until_closed(self, seconds=5):
        self.wait(lambda _: False, seconds)
        return self.closed

    def goaway(self):
        return next((f for f in self.frames if f.kind == GOAWAY), None)

    def resets(self, stream=None):
        return [f for f in self.frames if f.kind == RST and stream in (None, f.stream)]

    def get(self, path="/health/live", stream=1, seconds=5):
        """Status of one request."""
        self.send(headers(stream, request(path)))
        answer = self.wait(lambda f: f.stream == stream and f.kind in (HEADERS, RST), seconds)
        return answer.status() if answer is not None and answer.kind == HEADERS else None

    def ping(self, seconds=5):
        """Round trip in seconds; None = no answer."""
        mark, start = b"ping%04d" % (len(self.frames) % 10000), time.monotonic()
        self.send(frame(PING, 0, 0, mark))
        answer = self.wait(lambda f: f.kind == PING and f.flags & ACK and f.payload == mark, seconds)
        return time.monotonic() - start if answer is not None else None

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
