"""Our own TLS listener under scan and attack: versions and ciphers, renegotiation, slow and broken handshakes, ALPN."""
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time

import check
import formats
import h2raw as h
import rawhttp
from server import SLOW, Server
from test_streams import certificate
from upstream import Answer, Upstream

HEADER_TIMEOUT = 10 if check.LONG else 1
RELEASE = os.environ.get("CCPROXY_RELEASE_BIN")
up = server = release = folder = None


def before():
    global up, server, release, folder
    folder = tempfile.TemporaryDirectory(prefix="ccp-tls-")
    up = Upstream()
    up.reset(Answer(b"{}"))
    settings = certificate(folder.name) + '\nheader_timeout = "%ds"' % HEADER_TIMEOUT
    server = Server(formats.config(up.url), settings, scheme_tls=True)
    release = server
    if RELEASE and os.path.exists(RELEASE):
        release = Server(formats.config(up.url), settings, scheme_tls=True, binary=RELEASE)


def after():
    try:
        with server:
            if release is not server:
                with release:
                    pass
    finally:
        up.close()
        folder.cleanup()


def s_client(*options, data=b"", timeout=20):
    return subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % server.port, *options], input=data,
                          capture_output=True, timeout=timeout)


def refused(*options):
    out = s_client(*options).stdout
    return b"Cipher is (NONE)" in out or b"Cipher is" not in out


# TLS-01

def test_scan():
    """With Debian's sslscan: every protocol and cipher the listener takes."""
    tool = shutil.which("sslscan")
    if not tool:
        raise check.Skip("no sslscan")
    out = subprocess.run([tool, "--no-colour", "--show-certificate", "127.0.0.1:%d" % server.port], capture_output=True,
                         text=True, timeout=100).stdout
    protocols = dict(re.findall(r"^(SSLv[23]|TLSv1\.[0-3])\s+(enabled|disabled)", out, re.M))
    assert {p for p, s in protocols.items() if s == "enabled"} == {"TLSv1.2", "TLSv1.3"}, out
    ciphers = re.findall(r"^(?:Preferred|Accepted)\s+(TLSv1\.[0-3])\s+(\d+) bits\s+(\S+)", out, re.M)
    assert ciphers, out
    bad = [c for c in ciphers if c[0] not in ("TLSv1.2", "TLSv1.3") or int(c[1]) < 128 or not good_cipher(c[2])]
    assert not bad, bad
    assert "Session renegotiation not supported" in out or "Secure session renegotiation" in out, out
    assert "Compression enabled" not in out and "not vulnerable to heartbleed" in out, out
    groups = set(re.findall(r"^TLSv1\.[23]\s+(\d+) bits\s+(\S+)", out, re.M))
    assert groups and all(int(bits) >= 128 and not name.startswith("ffdhe") for bits, name in groups), groups
    check.figure("TLS-01", "sslscan: TLS 1.2 and 1.3 only, %d ciphers, %d groups, 0 weak" % (len(ciphers), len(groups)))


def good_cipher(name):
    return name.startswith("TLS_") or name.startswith("ECDHE-") and ("GCM" in name or "CHACHA20" in name)


def test_matrix():
    """The same without a tool: what must not shake hands, one by one."""
    for version in ("-tls1", "-tls1_1"):
        yield version, None if refused(version, "-cipher", "ALL:@SECLEVEL=0") else "taken"
    for cipher in ("aNULL", "eNULL", "kRSA", "AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "PSK",
                   "DHE",
                   "CAMELLIA", "ARIA", "ECDHE-ECDSA-AES128-CCM8", "SRP"):
        yield cipher, None if refused("-tls1_2", "-cipher", cipher + ":@SECLEVEL=0") else "taken"
    for cipher in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"):
        yield cipher, "refused" if refused("-tls1_2", "-cipher", cipher) else None
    yield "tls1.3", "refused" if refused("-tls1_3") else None
    for group in ("ffdhe2048", "ffdhe8192"):
        yield group, None if refused("-tls1_3", "-groups", group) else "taken"


def test_testssl():
    """testssl.sh counts findings; it takes minutes."""
    tool = shutil.which("testssl")
    if not check.LONG or not tool:
        raise check.Skip("only with --long, and testssl.sh")
    file = os.path.join(folder.name, "testssl.csv")
    subprocess.run([tool, "--quiet", "--color", "0", "--warnings", "off", "--protocols", "--std", "--fs",
                    "--vulnerable",
                    "--csvfile", file, "127.0.0.1:%d" % server.port], capture_output=True, timeout=110)
    with open(file) as f:
        bad = [l for l in f if re.search(r'"(MEDIUM|HIGH|CRITICAL)"', l)]
    assert not bad, bad
    check.figure("TLS-01", "testssl.sh: 0 findings of MEDIUM and above")


# TLS-02

def test_renegotiation():
    """`R` asks s_client for one; the server must not take any, and what it keeps must not grow."""
    tries, refusals = 1000 if check.LONG else 100, 0
    asking = os.path.join(folder.name, "renegotiate")
    with open(asking, "w") as f:
        f.write("R\n")
    base = 0
    for batch in range(tries // 10):
        running = []
        for _ in range(10):
            with open(asking, "rb") as stdin:
                running.append(subprocess.Popen(
                    ["openssl", "s_client", "-tls1_2", "-connect", "127.0.0.1:%d" % release.port], stdin=stdin,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        for p in running:
            out = p.communicate(timeout=20)[0]
            assert b"RENEGOTIATING" in out, out[-600:]
            refusals += b"no renegotiation" in out or b"handshake failure" in out or p.returncode != 0
        if batch == tries // 20:
            base = release.rss()
    assert refusals == tries, "%d of %d" % (refusals, tries)
    grown = release.rss() - base
    assert grown <= 1 << 20 or release is server, grown
    check.figure("TLS-02", "renegotiation refused %d of %d times, RSS %+d KiB over the second half" % (
        refusals, tries, grown >> 10))


class Handshake:
    """A client in memory, so that its flights can be cut and dribbled."""

    def __init__(self, port, version=ssl.TLSVersion.TLSv1_3, alpn=("h2", "http/1.1")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        if alpn:
            context.set_alpn_protocols(list(alpn))
        self.inward, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.inward, self.out, server_hostname="localhost")
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def step(self, send):
        """One round: what we have to say goes through send(bytes); True = the handshake is complete."""
        done = True
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            done = False
        data = self.out.read()
        if data:
            send(data)
        if not done:
            more = self.sock.recv(65536)
            assert more, "closed in the handshake"
            self.inward.write(more)
        return done

    def byte_by_byte(self, data):
        for i in range(len(data)):
            self.sock.sendall(data[i:i + 1])

    def request(self):
        self.tls.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        self.byte_by_byte(self.out.read())
        answer = b""
        while True:
            more = self.sock.recv(65536)
            if not more:
                return answer
            self.inward.write(more)
            try:
                answer += self.tls.read(65536)
            except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                pass

    def closed_within(self, seconds):
        return rawhttp.Connection.closed(self, seconds)


def one_byte_records(data, size=1):
    """The handshake record cut into records of one byte each (RFC 8446 section 5.1 allows it)."""
    out, at = b"", 0
    while at + 5 <= len(data):
        length = data[at + 3] << 8 | data[at + 4]
        body = data[at + 5:at + 5 + length]
        if data[at] == 22 and at == 0:
            for i in range(0, len(body), size):
                piece = body[i:i + size]
                out += data[at:at + 3] + bytes((len(piece) >> 8, len(piece) & 255)) + piece
        else:
            out += data[at:at + 5 + length]
        at += 5 + length
    return out


def test_small_records():
    for name, version in (("1.2", ssl.TLSVersion.TLSv1_2), ("1.3", ssl.TLSVersion.TLSv1_3)):
        c = Handshake(server.port, version, ("http/1.1",))
        while not c.step(c.byte_by_byte):
            pass
        assert b" 200 " in c.request(), name
        c = Handshake(server.port, version)
        hello = b""
        try:
            c.tls.do_handshake()
        except ssl.SSLWantReadError:
            hello = c.out.read()
        c.sock.sendall(one_byte_records(hello))
        answer = c.sock.recv(65536)  # a ServerHello, or an alert: never silence
        assert answer and answer[0] in (21, 22), answer[:10]
    rawhttp.once(server.port, "GET", "/health/live", tls=True)


def test_handshakes_that_stop():
    """At each flight and inside of each; dropped at header_timeout, and nothing is left of them."""
    rounds, turns = (20, 10) if check.LONG else (4, 6)
    stops = [("nothing", 0, 0), ("one byte", 0, 1), ("half a hello", 0, 120), ("after the hello", 0, 1 << 20),
             ("half of the second flight", 1, 20)]
    late, base = [], 0
    for turn in range(turns):
        waiting = []
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for name, flights, size in stops * rounds:
                c = Handshake(release.port, version)
                for _ in range(flights):
                    c.step(c.sock.sendall)
                try:
                    c.tls.do_handshake()
                except ssl.SSLWantReadError:
                    pass
                c.sock.sendall(c.out.read()[:size])
                waiting.append((name, time.monotonic(), c))
        for name, since, c in waiting:
            dropped = c.closed_within(HEADER_TIMEOUT + 2)
            took = time.monotonic() - since
            late += [(name, took)] if not dropped or took > HEADER_TIMEOUT + 1 else []
            c.sock.close()
        time.sleep(0.2)
        if turn == turns // 2 - 1:
            base = release.rss()
    grown = release.rss() - base
    assert not late, late[:5]
    assert grown <= 1 << 20 or release is server, grown
    check.figure("TLS-02", "%d handshakes stopped at 5 points: all dropped within %d + 1 s, RSS %+d KiB" % (
        len(waiting) * turns, HEADER_TIMEOUT, grown >> 10))


def test_garbage():
    """Bytes that are no handshake: an alert or a close, and the next client is served."""
    pieces = [b"\0" * 1000, b"\xff" * 1000, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", h.PREFACE + h.settings(),
              b"\x16\x03\x01\xff\xff" + b"a" * 20000, b"\x16\x03\x01\x00\x00" * 5000,
              b"\x17\x03\x03\x00\x10" + b"a" * 16,
              b"\x15\x03\x01\x00\x02\x02\x28", b"\x80\x2e\x01\x00\x02" + b"a" * 44, b"\x18\x03\x02\x00\x03\x01\x40\x00"]
    for data in pieces:
        with rawhttp.Connection(server.port) as c:
            try:
                c.send(data)
            except ConnectionError:
                pass
            assert c.closed((HEADER_TIMEOUT + 1) * SLOW), data[:10]
    assert rawhttp.once(server.port, "GET", "/health/live", tls=True).status == 200


# TLS-03

def test_alpn():
    """The protocol is the one that was agreed, and bytes of another one end the connection."""
    def offer(*names):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if names:
            context.set_alpn_protocols(list(names))
        sock = context.wrap_socket(socket.create_connection(
            ("127.0.0.1", server.port), 10), server_hostname="localhost")
        return sock, sock.selected_alpn_protocol()

    def said(sock, data):
        """What comes back, and whether the connection ended."""
        sock.settimeout(HEADER_TIMEOUT + 2)
        got = b""
        try:
            sock.sendall(data)
            while b"\r\n\r\n" not in got and len(got) < (100 if got[3:4] == b"\x04" else 400):
                more = sock.recv(65536)
                if not more:
                    return got, True
                got += more
            sock.settimeout(0.2)
            return got, not sock.recv(65536)
        except (TimeoutError, socket.timeout):
            return got, False
        except (OSError, ssl.SSLError):
            return got, True

    http1 = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    http2 = h.PREFACE + h.settings() + h.headers(1, h.request(scheme="https"))
    count = 0
    mixes = ((), ("h2",), ("http/1.1",), ("h2", "http/1.1"), ("http/1.1", "h2"), ("spdy/3", "h2"), ("h3", "http/1.1"),
             ("x" * 255, "h2"),
             ("http/1.0",), ("h3",), ("h2c",), ("H2",), ("h2", "h2"))
    for names in mixes:
        want = "h2" if "h2" in names else "http/1.1" if "http/1.1" in names else None
        for data, speaks in ((http1, "http/1.1"), (http2, "h2")):
            count += 1
            row = "%s %s" % ("+".join(names)[:20] or "none", speaks)
            try:
                sock, chosen = offer(*names)
            except ssl.SSLError:
                yield row, None if want is None and names else "no handshake"
                continue
            got, ended = said(sock, data)
            sock.close()
            good = chosen == want
            if speaks == (chosen or "http/1.1"):
                good = good and (b" 200 " in got if speaks == "http/1.1" else got[3:4] == b"\x04" and not ended)
            else:
                good = good and ended and b" 200 " not in got
            yield row, None if good else "chose %s, %r, ended %s" % (chosen, got[:60], ended)
    assert server.process.poll() is None
    check.figure("TLS-03", "%d mixes of ALPN and bytes: the agreed protocol or a close, 0 crashes" % count)


if __name__ == "__main__":
    check.main(globals(), "blackbox/tls_server", before, after)
