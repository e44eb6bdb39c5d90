"""HTTP/2 with other people's clients (curl, nghttp, h2load), over TLS and with prior knowledge."""
import os
import re
import shutil
import subprocess
import tempfile

import check
import formats
from formats import ALL, ANTHROPIC, CHAT, small_body
from server import Server
from test_streams import certificate
from upstream import Answer, Upstream, sse

up = plain = secure = folder = None


def before():
    global up, plain, secure, folder
    folder = tempfile.TemporaryDirectory(prefix="ccp-tls-")
    up = Upstream()
    plain = Server(formats.config(up.url))
    secure = Server(formats.config(up.url), server=certificate(folder.name), scheme_tls=True)


def after():
    try:
        with plain:
            with secure:
                pass
    finally:
        up.close()
        folder.cleanup()


def bases():
    return {"h2c": (["--http2-prior-knowledge"], "http://127.0.0.1:%d" % plain.port, "2"),
            "h2-tls": (["--http2", "--cacert", folder.name + "/cert.pem"], "https://localhost:%d" % secure.port, "2"),
            "h1-tls": (["--http1.1", "--cacert", folder.name + "/cert.pem"], "https://localhost:%d" % secure.port, "1.1")}


def curl(options, url, body, *more):
    result = subprocess.run(["curl", "-sS", "-N", *options, "-w", "\n%{http_version} %{http_code}", "-H",
                             "content-type: application/json", "--data-binary", body, *more, url],
                            capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    answer, last = result.stdout.rsplit(b"\n", 1)
    version, status = last.decode().split()
    return version, int(status), answer


def test_bodies_and_streams():
    for way, (options, base, version) in bases().items():
        for fmt in ALL:
            request, answer, stream = next(s[2:] for s in formats.scenarios() if s[0] == "tool-call" and s[1] is fmt)
            up.reset(Answer(answer))
            assert curl(options, base + fmt.url(), request) == (version, 200, answer), fmt.name
            assert up.last().body == request
            up.reset(sse(stream))
            assert curl(options, base + fmt.url(True), formats.as_stream(fmt, request)
                        ) == (version, 200, stream), fmt.name
            yield "%s-%s" % (way, fmt.name), None


def test_refusals():
    for way, (options, base, version) in bases().items():
        up.reset(Answer(b"{}"))
        seen = curl(options, base + "/claude/v1/messages", b"{}", "-H", "host: evil.example")
        assert seen[1] == 421, (way, seen)
        seen = curl(options, base + "/v1/chat/completions", b'{"model":')
        assert seen[0] == version and seen[1] == 400, (way, seen)
        seen = curl(options, base + "/nowhere", b"{}")
        assert seen[1] == 404
        assert not up.requests, way


def test_broken_stream_is_an_error():
    stream = next(s[4] for s in formats.scenarios() if s[0] == "text" and s[1] is ANTHROPIC)
    for way, (options, base, _) in bases().items():
        up.reset(sse(stream, stop_at=900, end="rst"))
        result = subprocess.run(["curl", "-sN", *options, "-d", small_body(ANTHROPIC, True), "-H",
                                 "content-type: application/json", base + "/claude/v1/messages"], capture_output=True)
        events = formats.events(result.stdout)
        assert events and formats.is_error_event(ANTHROPIC, events[-1]), (way, result.stdout[-300:])


def load(*arguments):
    result = subprocess.run(["h2load", *arguments], capture_output=True, text=True, timeout=110)
    found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", result.stdout)
    assert found, result.stdout + result.stderr
    return [int(g) for g in found.groups()], result.stdout


def test_h2load():
    count = 20000 if check.LONG else 2000
    body = tempfile.NamedTemporaryFile(dir=folder.name, delete=False)
    body.write(small_body(CHAT))
    body.close()
    up.reset(Answer(b'{"ok":true}'))
    for way, url in (("h2c", "http://127.0.0.1:%d" % plain.port), ("tls", "https://localhost:%d" % secure.port)):
        counts, text = load("-n", str(count), "-c", "10", "-m", "100", url + "/health/live")
        yield way + "-health", None if counts == [count, 0, 0] else text
        counts, text = load("-n", str(count // 4), "-c", "5", "-m", "40", "-d", body.name, "-H",
                            "content-type: application/json", url + "/openai/v1/chat/completions")
        yield way + "-post", None if counts == [count // 4, 0, 0] else text
        up.requests.clear()


def test_all_are_served():
    """The release build under everything that speaks HTTP/2 here."""
    binary = os.environ.get("CCPROXY_RELEASE_BIN")
    if not binary or not os.path.exists(binary):
        raise check.Skip("no release build: CCPROXY_RELEASE_BIN")
    up.reset(Answer(b'{"ok":true}'))
    said = []
    with Server(formats.config(up.url), binary=binary) as server:
        url = "http://127.0.0.1:%d/health/live" % server.port
        counts, text = load("-n", "20000", "-c", "10", "-m", "100", url)
        assert counts == [20000, 0, 0], text
        said.append("h2load 20,000")
        out = subprocess.run(["nghttp", "-v", "-m", "90", url], capture_output=True, text=True, timeout=30).stdout
        assert out.count(":status: 200") == 90, out[-1000:]
        said.append("nghttp 90")
        if shutil.which("node"):
            out = subprocess.run(["node", "-e", NODE, url], capture_output=True, text=True, timeout=60)
            assert out.stdout.strip() == "1000 200", out.stdout + out.stderr
            said.append("node 1,000")
    with tempfile.TemporaryDirectory(prefix="ccp-tls-") as own:  # curl 7.88 cannot use a connection twice without TLS
        with Server(formats.config(up.url), server=certificate(own), scheme_tls=True, binary=binary) as server:
            out = subprocess.run(["curl", "-s", "--http2", "--parallel", "--cacert", own + "/cert.pem", "-w",
                                  "%{http_version} %{http_code}\n", "-o", "/dev/null",
                                  "https://localhost:%d/health/live?[1-100]" % server.port],
                                 capture_output=True, text=True, timeout=60).stdout
            assert out.splitlines().count("2 200") == 100, out[-300:]
            said.append("curl 100")
    check.figure("H2-02", "%s: 0 failed" % ", ".join(said))


NODE = """
const u = new URL(process.argv[1]), c = require('http2').connect(u.origin), seen = {};
let left = 1000, open = 0, ended = 0;
c.on('error', e => { console.log(e); process.exit(1); });
function more() {
  while (left > 0 && open < 90) {
    left--; open++;
    const r = c.request({':path': u.pathname});
    r.on('response', h => seen[h[':status']] = (seen[h[':status']] || 0) + 1);
    r.on('error', e => { console.log(e); process.exit(1); });
    r.on('close', () => { open--; if (++ended == 1000) { c.close(); console.log(seen[200], 200); } else more(); });
    r.resume(); r.end();
  }
}
more();
"""


def test_nghttp():
    result = subprocess.run(["nghttp", "-v", "-m", "20", "http://127.0.0.1:%d/health/live" % plain.port],
                            capture_output=True, text=True, timeout=30)
    assert result.stdout.count(":status: 200") == 20, result.stdout[-2000:]


def test_large_bodies_over_http2():
    body = b'{"model":"m-1","messages":["' + b"a" * (4 << 20) + b'"]}'
    for way, (options, base, _) in bases().items():
        up.reset(Answer(b'{"t":"' + b"b" * (4 << 20) + b'"}'))
        with tempfile.NamedTemporaryFile(dir=folder.name) as file:
            file.write(body)
            file.flush()
            answer = curl(options, base + "/claude/v1/messages", "@" + file.name)
        assert answer[1] == 200 and answer[2] == up.answer.body and up.last().body == body, way


def test_tls_versions():
    def handshake(*options):
        return subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % secure.port, *options],
                              input=b"", capture_output=True, timeout=20)
    assert b"ALPN protocol: h2" in handshake("-alpn", "h2,http/1.1").stdout
    assert b"ALPN protocol: http/1.1" in handshake("-alpn", "http/1.1").stdout
    assert handshake("-tls1_2").returncode == 0
    assert b"Cipher is (NONE)" in handshake("-tls1_1", "-cipher", "ALL:@SECLEVEL=0").stdout


if __name__ == "__main__":
    check.main(globals(), "blackbox/http2", before, after)
