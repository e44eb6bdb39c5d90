"""A client that sends exactly the bytes it is given and tells exactly what came back (HTTP/1.1 over plain or TLS)."""
import socket
import ssl
import struct


class Response:
    def __init__(self, status, headers, body, complete, raw):
        self.status, self.headers, self.body = status, headers, body
        self.complete = complete  # the framing said where the body ends, and it ended there
        self.raw = raw

    def get(self, name):
        values = self.all(name)
        return values[0] if values else None

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]


class Connection:
    def __init__(self, port, tls=False, timeout=10, receive_buffer=None):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.port, self.rest, self.raw = port, b"", b""

    def send(self, data):
        self.sock.sendall(data)

    def more(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        self.rest += data
        self.raw += data
        return data

    def request(self, method, path, body=None, headers=(), host=None):
        self.send(encode(method, path, body, headers, host or "127.0.0.1:%d" % self.port))
        return self.response(method == "HEAD")

    def head(self):
        while b"\r\n\r\n" not in self.rest:
            if not self.more():
                return None
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = [tuple(p.strip() for p in l.split(":", 1)) for l in lines[1:]]
        return int(lines[0].split(" ")[1]), headers

    def response(self, bodyless=False):
        self.raw = self.rest
        head = self.head()
        while head and 100 <= head[0] < 200:
            head = self.head()
        if not head:
            return None
        status, headers = head
        low = {n.lower(): v for n, v in headers}
        if bodyless or status in (204, 304):
            body, complete = b"", True
        elif low.get("transfer-encoding", "").lower() == "chunked":
            body, complete = self._chunked()
        elif "content-length" in low:
            body, complete = self._exactly(int(low["content-length"]))
        else:
            while self.more():
                pass
            body, complete, self.rest = self.rest, True, b""
        return Response(status, headers, body, complete, self.raw)

    def _exactly(self, length):
        while len(self.rest) < length:
            if not self.more():
                body, self.rest = self.rest, b""
                return body, False
        body, self.rest = self.rest[:length], self.rest[length:]
        return body, True

    def _chunked(self):
        body = b""
        while True:
            while b"\r\n" not in self.rest:
                if not self.more():
                    return body, False
            line, self.rest = self.rest.split(b"\r\n", 1)
            size = int(line.split(b";")[0], 16)
            data, whole = self._exactly(size + 2)
            body += data[:size]
            if not whole:
                return body, False
            if size == 0:
                return body, data == b"\r\n"

    def read_some(self, wanted):
        """Reads raw bytes until `wanted` was seen among them."""
        while wanted not in self.rest:
            assert self.more(), "closed before %r came; got %r" % (wanted, self.rest[-300:])

    def closed(self, wait=2.0):
        """Is the connection closed by the peer within `wait` seconds?"""
        self.sock.settimeout(wait)
        try:
            while True:
                if not self.sock.recv(65536):
                    return True
        except ConnectionError:
            return True
        except (TimeoutError, socket.timeout):
            return False

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def encode(method, path, body=None, headers=(), host="127.0.0.1"):
    lines = ["%s %s HTTP/1.1" % (method, path), "Host: " + host]
    lines += ["%s: %s" % h for h in headers]
    names = {n.lower() for n, _ in headers}
    if body is not None:
        if "content-type" not in names:
            lines.append("Content-Type: application/json")
        if "content-length" not in names:
            lines.append("Content-Length: %d" % len(body))
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


def once(port, method, path, body=None, headers=(), host=None, **more):
    with Connection(port, **more) as connection:
        return connection.request(method, path, body, headers, host)
