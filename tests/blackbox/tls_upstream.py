"""A vendor behind TLS that counts what reaches it: connections, finished handshakes, bytes of requests."""
import socket
import ssl
import threading


class TlsUpstream:
    """One blocking thread per connection; answers 200 with `answer` to each request."""

    def __init__(self, certificate, key, newest=None, answer=b'{"ok":1}'):
        self.answer, self.connections, self.handshakes, self.received, self.alerts = answer, 0, 0, b"", []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_ciphers("DEFAULT:@SECLEVEL=0")  # it is the client's task to be strict
        self.context.minimum_version = ssl.TLSVersion.TLSv1
        if newest:
            self.context.maximum_version = newest
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._main, daemon=True).start()

    def use(self, certificate, key):
        self.context.load_cert_chain(certificate, key)

    def close(self):
        self.listener.close()

    def _main(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(20)
        try:
            with self.context.wrap_socket(sock, server_side=True) as tls:
                self.handshakes += 1
                while self._exchange(tls):
                    pass
        except OSError as problem:  # ssl.SSLError is one
            self.alerts.append(str(problem))
        finally:
            sock.close()

    def _exchange(self, tls):
        text = b""
        while b"\r\n\r\n" not in text:
            data = tls.recv(65536)
            if not data:
                return False
            text += data
            self.received += data
        head, body = text.split(b"\r\n\r\n", 1)
        length = [l.split(b":")[1] for l in head.lower().split(b"\r\n") if l.startswith(b"content-length:")]
        while len(body) < int(length[0]) if length else False:
            data = tls.recv(65536)
            body += data
            self.received += data
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    % (len(self.answer), self.answer))
        return True


class Trap:
    """A plain listener that counts who comes, and what it says first."""

    def __init__(self, host="127.0.0.1"):
        self.connections, self.received = 0, b""
        self.listener = socket.create_server((host, 0), backlog=64,
                                             family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._main, daemon=True).start()

    def _main(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock:
            sock.settimeout(2)
            try:
                self.received += sock.recv(65536)
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            except OSError:
                pass

    def close(self):
        self.listener.close()
