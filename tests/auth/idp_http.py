"""The sockets of idp.py: an HTTP/1.1 server, one thread per connection, whose answers can be spoiled by a Fault.

It is not polite on purpose: an answer can come late, never, cut after any byte, or be replaced by something else.
"""
import json
import socket
import struct
import threading
import time
import urllib.parse


class Fault:
    """What goes wrong with one answer.

    delay    seconds before the request is carried out
    status, body, headers, content_type
             this is answered instead; body: text, bytes or a value (as JSON)
    commit   whether the request is carried out although something else is answered (default: only for `cut` and `late`)
    reset    the connection is reset before the request is carried out
    cut      carried out, and reset after this many bytes of the answer (0: after none, head and body count)
    late     carried out, then that many seconds pass before the answer
    hang     nothing is ever answered (carried out only with commit=True)
    edit     a function of the answer's dict: gives what is answered instead (`drop` for a member that is missing)
    """

    def __init__(self, delay=0.0, status=None, body=None, headers=(), content_type=None, commit=None, reset=False,
                 cut=None, late=0.0, hang=False, edit=None):
        self.delay, self.status, self.body, self.headers, self.content_type = delay, status, body, headers, content_type
        self.reset, self.cut, self.late, self.hang, self.edit = reset, cut, late, hang, edit
        replaced = status is not None or body is not None or reset or hang
        self.commit = not replaced if commit is None else commit


def drop(*names):
    """edit= for answers without these members."""
    return lambda answer: {k: v for k, v in answer.items() if k not in names}


HTML = Fault(status=502, body="<html><title>502 Bad Gateway</title></html>", content_type="text/html")


class Request:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ", 2)
        self.headers = {n.strip().lower(): v.strip() for n, v in (l.split(":", 1) for l in lines[1:] if l)}
        self.body, self.at = body, time.monotonic()
        split = urllib.parse.urlsplit(self.target)
        self.path, self.query = split.path, dict(urllib.parse.parse_qsl(split.query, keep_blank_values=True))
        self.kind, self.parameters = self._parameters()

    def _parameters(self):
        if "json" in self.headers.get("content-type", ""):
            try:
                return "json", dict(json.loads(self.body))
            except (ValueError, TypeError):
                return "json", {}
        return "form", dict(urllib.parse.parse_qsl(self.body.decode("latin-1"), keep_blank_values=True))

    def bearer(self):
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() in ("bearer", "token") else ""


class Reply:
    """An answer. body: text, bytes, or a value (as JSON); a list of bytes is streamed with `pause` between."""

    def __init__(self, body=b"", status=200, headers=(), content_type=None, pause=0.0):
        self.value = body if isinstance(body, dict) else None
        self.stream = body if isinstance(body, list) else None
        if isinstance(body, (dict, list)) and self.stream is None:
            body = json.dumps(body)
            content_type = content_type or "application/json"
        self.body = body.encode() if isinstance(body, str) else body
        self.status, self.headers, self.pause = status, list(headers), pause
        self.content_type = content_type or "text/plain"

    def head(self):
        lines = ["HTTP/1.1 %d Status" % self.status, "Content-Type: " + self.content_type, "Cache-Control: no-store"]
        lines += ["%s: %s" % h for h in self.headers]
        if self.stream is None:
            lines.append("Content-Length: %d" % len(self.body))
        return ("\r\n".join(lines) + "\r\nConnection: close\r\n\r\n").encode("latin-1")


class Listener:
    """Calls handle(request) -> Reply on a thread per connection; fault(request) -> Fault or None comes before."""

    def __init__(self, handle, fault, port=0):
        self._handle, self._fault = handle, fault
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.port = self._listener.getsockname()[1]
        self.open, self._stopped = set(), threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._stopped.set()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        for sock in list(self.open):
            _abort(sock)

    def _accept(self):
        while not self._stopped.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            sock.settimeout(60)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request = _read(sock)
            if request is not None:
                self._answer(sock, request)
        except OSError:
            pass
        finally:
            self.open.discard(sock)
            sock.close()

    def _answer(self, sock, request):
        fault = self._fault(request) or Fault()
        self._stopped.wait(fault.delay)
        if fault.reset and not fault.commit:
            return _abort(sock)
        reply = self._handle(request) if fault.commit else None
        if fault.hang:
            self._stopped.wait(60)
            return None
        if fault.reset:
            return _abort(sock)
        self._stopped.wait(fault.late)
        reply = _spoiled(reply, fault)
        if fault.cut is None:
            return _send(sock, reply)
        sock.sendall((reply.head() + reply.body)[:fault.cut])
        time.sleep(0.002)  # the bytes arrive before the reset
        return _abort(sock)


def _spoiled(reply, fault):
    if fault.edit is not None and reply is not None and reply.value is not None:
        reply = Reply(fault.edit(dict(reply.value)), reply.status, reply.headers)
    if fault.status is None and fault.body is None:
        return reply
    body = fault.body if fault.body is not None else {"error": "server_error"}
    return Reply(body, fault.status or 200, fault.headers, fault.content_type)


def _read(sock):
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more or len(data) > 1 << 20:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    request = Request(head, b"")
    if request.headers.get("expect", "").lower() == "100-continue":
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if request.headers.get("transfer-encoding", "").lower() == "chunked":
        return Request(head, _chunks(sock, body))
    while len(body) < int(request.headers.get("content-length", 0)):
        more = sock.recv(65536)
        if not more:
            return None
        body += more
    return Request(head, body)


def _chunks(sock, data):
    out = b""
    while True:
        while b"\r\n" not in data:
            data += sock.recv(65536)
        size, _, data = data.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        while len(data) < length + 2:
            data += sock.recv(65536)
        out, data = out + data[:length], data[length + 2:]
        if not length:
            return out


def _send(sock, reply):
    sock.sendall(reply.head() + (reply.body if reply.stream is None else b""))
    for piece in reply.stream or ():
        sock.sendall(piece)
        time.sleep(reply.pause)


def _abort(sock):
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    except OSError:
        pass
