"""No secret is ever written down: canaries in everything that may hold one, then a search of every place.

With the request tracer on, bodies are written down: they are what it is for. What stands in one (a user's prompt, an
upstream's text) is then in the traces and nowhere else; ccproxy's own secrets, and what clients show in headers and
queries, are not even there, also where the upstream echoes them.
"""
import base64
import json
import os
import signal
import time

import check
import rawhttp
import traces
from canaries import canary, found
from formats import ALL, ANTHROPIC, CHAT, small_body
from server import Server
from upstream import Answer, Upstream, sse

up = None


def before():
    global up
    up = Upstream()


def after():
    up.close()


OURS = ("token", "key1", "key2", "anthropic", "header", "gemini", "custom", "header-2", "env-openai", "env-inserted",
        "file")
PLAIN_HEADERS = ("x-api-key", "x-goog-api-key", "api-key", "x-private", "x-auth-token", "x-amz-security-token",
                 "x-csrf-token", "referer")
CLIENTS = PLAIN_HEADERS + ("authorization", "proxy-authorization", "cookie", "trailer", "body", "body-base64",
                           "body-escaped", "broken",
                           "query", "query-encoded", "wrong", "split", "split-2", "no-http", "big-head", "bad-name")
UPSTREAMS = ("up-error", "up-head", "up-status", "up-cookie", "up-cut", "up-chunk")


def canary_config(secret, path):
    return """
[security]
auth_token = "%s"
[[security.keys]]
name = "one"
token = "%s"
[[security.keys]]
name = "two"
token = "%s"
admin = true
[plugins.claude_api]
base_url = "%s"
api_key = "%s"
headers = { "x-team-secret" = "%s" }
[plugins.openai]
base_url = "%s/v1"
api_key = "${CANARY_KEY}"
[plugins.gemini]
base_url = "http://127.0.0.1:1"
api_key = "%s"
[plugins.mock]
enabled = true
[providers.filed]
format = "anthropic"
base_url = "http://127.0.0.1:1"
api_key = "file:%s"
[providers.custom]
format = "openai-chat"
base_url = "http://127.0.0.1:1/v1"
api_key = "%s"
headers = { "x-second-secret" = "%s" }
""" % (secret["token"], secret["key1"], secret["key2"], up.url, secret["anthropic"], secret["header"], up.url,
       secret["gemini"],
       path, secret["custom"], secret["header-2"])


def client_headers(secret):
    basic = base64.b64encode(b"user:" + secret["proxy-authorization"].encode()).decode()
    return [(name, secret[name]) for name in PLAIN_HEADERS] + [
        ("Authorization", "Bearer " + secret["authorization"]), ("Cookie", "s=" + secret["cookie"]),
        ("Proxy-Authorization", "Basic " + basic)]


def with_prompt(fmt, secret, stream=False):
    """A body whose prompt holds secrets as they are, in base64, and with JSON escapes."""
    escaped = "".join("\\u%04x" % ord(c) for c in secret["body-escaped"])
    encoded = base64.b64encode(secret["body-base64"].encode()).decode()
    return small_body(fmt, stream).replace(b'"hi"', ('"%s %s %s"' % (secret["body"], encoded, escaped)).encode())


class Driver:
    def __init__(self, own, secret):
        self.own, self.secret, self.heard = own, secret, []

    def ask(self, method, path, body=None, headers=(), host=None):
        with self.own.connect(timeout=10) as connection:
            connection.request(method, path, body, list(headers), host)
            self.heard.append(connection.raw)

    def drive(self, answers):
        """Requests of every shape: good, refused, broken; with right keys, wrong ones and none."""
        secret, right = self.secret, ("x-ccproxy-token", self.secret["token"])
        for fmt in ALL:
            for answer in answers:
                up.reset(answer)
                for headers in ([right], [right, *client_headers(secret)], client_headers(secret), [("x-api-key",
                    secret["wrong"])]):
                    self.ask("POST", fmt.url(), with_prompt(fmt, secret), headers)
                self.ask("POST", fmt.url(True), with_prompt(fmt, secret, True), [right])
            mark = "&" if "?" in fmt.url() else "?"
            self.ask("POST", fmt.url() + mark + "key=" + secret["query"], with_prompt(fmt, secret))
            self.ask("POST", fmt.url() + mark + "k%65y=" + "".join("%%%02X" % b
                                                                   for b in secret["query-encoded"].encode()), b"{}",
                                                                   [right])
            self.ask("POST", fmt.url(), small_body(fmt)[:-1] + b',"x":"' + secret["broken"].encode() + b"\xff", [right])
        for path in ("/health", "/plugins", "/plugins/status", "/plugins/mock/health", "/v1/models",
                     "/claude/v1/models", "/health/ready"):
            for headers in ([], [right], [("x-ccproxy-token", secret["key2"])]):
                self.ask("GET", path, None, headers)
        for prefix in ("custom", "filed"):
            self.ask("POST", "/%s%s" % (prefix, (CHAT if prefix == "custom" else ANTHROPIC).path), small_body(CHAT),
                     [right])
        self.ask("POST", ANTHROPIC.url(), b"{}", [right], host="evil.example")
        self.broken_requests()

    def raw(self, *pieces):
        with self.own.connect(timeout=5) as connection:
            try:
                for piece in pieces:
                    connection.send(piece)
                    time.sleep(0.005)
                connection.sock.shutdown(1)
                while connection.more():
                    pass
            except OSError:
                pass
            self.heard.append(connection.raw)

    def broken_requests(self):
        """Secrets cut in two by the network, in heads that never end, in bytes that are no HTTP, in trailers."""
        for name, place in (("x-ccproxy-token", "split"), ("authorization", "split-2")):
            data = rawhttp.encode("POST", ANTHROPIC.url(), small_body(ANTHROPIC), [(name, self.secret[place])])
            at = data.index(self.secret[place].encode()) + 9
            self.raw(data[:at], data[at:])
            self.raw(data[:at])
            self.raw(data[:at], b"\0" + data[at:])
        self.raw(b"\x16\x03\x01" + self.secret["no-http"].encode() + b"\r\n\r\n")
        self.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.secret["no-http"].encode() * 20)
        self.raw(rawhttp.encode("GET", "/plugins", None, [("x-api-key", self.secret["big-head"] * 2000)]))
        self.raw(rawhttp.encode("GET", "/plugins", None, [(self.secret["bad-name"] + " ", "x")]))
        self.raw(rawhttp.encode("POST", ANTHROPIC.url(), None, [("Transfer-Encoding",
                                                                 "chunked")]) + b"2\r\n{}\r\n0\r\nX-T: " +
                 self.secret["trailer"].encode() + b"\r\n\r\n")


ECHOED = ("token", "key1", "anthropic", "header", "env-inserted", "gemini", "authorization")
IN_BODIES = ("body", "body-base64", "body-escaped", "broken") + UPSTREAMS


def echoes(secret):
    """An upstream that repeats ccproxy's secrets, in every spelling, whole and cut in two by the network."""
    for name in ECHOED:
        plain = secret[name]
        forms = (plain, base64.b64encode(plain.encode()).decode(), base64.b64encode(b"user:" + plain.encode()).decode(),
                 base64.urlsafe_b64encode(b"ab" + plain.encode()).decode(), "".join("%%%02X" % b for b in plain.encode()),
                 "".join("\\u%04x" % ord(c) for c in plain))
        text = ('{"error":{"message":"%s","type":"x"}}' % " , ".join(forms)).encode()
        whole = Answer(text, status=400)
        at = whole.wire().index(plain.encode()) + 9
        yield whole
        yield Answer(text, status=400, cuts=(at, at + len(plain) * 2))
        yield sse(b"data: " + text + b"\n\n", cuts=(at,))
        yield Answer(text, status=400, headers=[("X-Echo", plain), ("Location", "/a?x=" + plain)])


def test_no_secret_in_traces():
    """LOG-01, LOG-02 with tracing on: bodies in files of mode 0600 and a bounded size, credentials nowhere."""
    secret = {name: canary(name) for name in OURS + CLIENTS + UPSTREAMS}
    environment = {"CANARY_KEY": secret["env-inserted"], "OPENAI_API_KEY": secret["env-openai"]}
    began = time.time()
    with open("/tmp/ccp-canary-%d" % os.getpid(), "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write(secret["file"])
    try:
        more = traces.ON + 'exclude_paths = []\nmax_body = "4KiB"\n'
        with Server(canary_config(secret, file.name) + more, env=environment,
                    arguments=["--log-level", "debug"]) as own:
            driver = Driver(own, secret)
            driver.drive(upstream_answers(secret))
            right = ("x-ccproxy-token", secret["token"])
            for answer in echoes(secret):
                up.reset(answer)
                for fmt in ALL:
                    driver.ask("POST", fmt.url(), small_body(fmt), [right, ("Authorization",
                        "Bearer " + secret["authorization"])])
            admin = ("x-ccproxy-token", secret["key2"])
            heard = {"list": own.request("GET", "/plugins/request_tracer/requests?limit=200", None, [admin]).raw}
            time.sleep(0.5)
            paths = traces.files(own)
            heard["one"] = own.request("GET", "/plugins/request_tracer/requests/" + os.path.basename(
                paths[-1])[14:-5], None, [admin]).raw
            texts = written(own, began)
            texts.pop(file.name, None)
            traced = {p: open(p, "rb").read() for p in paths}
            folders, modes = traces.modes(own)
    finally:
        os.unlink(file.name)
    never = {n: s for n, s in secret.items() if n not in IN_BODIES}
    hits = found(secret, texts) + found(never, traced) + found(never, heard)
    prompts = sum(secret["body"].encode() in t for t in traced.values())
    largest = max(len(t) for t in traced.values())
    assert len(traced) > 200 and prompts > 20 and b"up-error" in b"".join(traced.values()), (len(traced), prompts)
    check.figure("LOG-01", "tracing on: %d secrets, %d traces (%d KB): %d hits in log, output, /tmp, traces, admin API" % (
        len(secret), len(traced), sum(map(len, traced.values())) // 1024, len(hits)))
    check.figure("LOG-02", "tracing on: prompts in %d traces, 0 elsewhere; modes %s %s; largest file %d bytes" % (
        prompts, "/".join("%o" % m for m in folders), "/".join("%o" % m for m in modes), largest))
    assert not hits, sorted(set(hits))[:20]
    assert folders == {0o700} and modes == {0o600} and largest < 150000


def upstream_answers(secret):
    hostile = json.dumps({"error": {"message": "bad key " + secret["up-error"], "type": "x"}}).encode()
    return (Answer(b"{}"), sse(b'data: {"a":1}\n\n'), Answer(hostile, status=401), Answer(hostile, status=500),
            Answer(hostile, status=429),
            Answer(raw=b"HTTP/1.1 200 OK\r\nX: \0" + secret["up-head"].encode() + b"\r\n\r\n", end="fin"),
            Answer(raw=b"HTTP/1.1 " + secret["up-status"].encode() + b"\r\n\r\n", end="fin"),
            Answer(b"x" * 50, headers=[("Set-Cookie", secret["up-cookie"])], stop_at=90, end="rst"),
            Answer(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secret["up-chunk"].encode() +
                   b"\r\n", end="fin"),
            sse(b"data: " + secret["up-cut"].encode(), stop_at=180, end="rst"))


def written(own, since):
    """Everything that was written down: log, output, process list, files in /tmp but for the configuration."""
    texts = {"stdout": open(own.stdout.name, "rb").read()}
    for name in ("cmdline", "environ"):
        texts["/proc/" + name] = open("/proc/%d/%s" % (own.process.pid, name), "rb").read()
    paths = [os.path.join(folder, n) for folder in ("/tmp", own.folder) for n in os.listdir(folder)]
    for path in paths:
        try:
            if os.path.basename(path) not in ("config.toml",
                                              "secret") and os.path.isfile(path) and os.stat(
                                                  path).st_mtime >= since - 1:
                texts[path] = open(path, "rb").read(1 << 24)
        except OSError:
            pass
    return texts


def test_no_secret_anywhere():
    """LOG-01: 40 canaries, searched as they are, in base64, percent-encoded, in hex and backwards."""
    secret = {name: canary(name) for name in OURS + CLIENTS + UPSTREAMS}
    assert len(secret) >= 40, len(secret)
    environment = {"CANARY_KEY": secret["env-inserted"], "OPENAI_API_KEY": secret["env-openai"]}
    began = time.time()
    with open("/tmp/ccp-canary-%d" % os.getpid(), "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write(secret["file"])
    try:
        with Server(canary_config(secret, file.name), env=environment, arguments=["--log-level", "debug"]) as own:
            driver = Driver(own, secret)
            driver.drive(upstream_answers(secret))
            own.process.send_signal(signal.SIGHUP)
            own.wait_log("reloaded", 10)
            driver.drive(upstream_answers(secret)[:2])
            time.sleep(0.3)
            texts = written(own, began)
            texts.pop(file.name, None)
            log = texts[own.log]
    finally:
        os.unlink(file.name)
    heard = {"answer %d" % n: raw for n, raw in enumerate(driver.heard)}
    hits = found(secret, texts) + found({n: s for n, s in secret.items() if n not in UPSTREAMS}, heard)
    assert len(log) > 20000 and log.count(b"\n") > 200, "the log holds only %d bytes" % len(log)
    assert b"up-error" in b"".join(heard.values()), "the search cannot find what is there"
    check.figure("LOG-01", "%d secrets, %d requests, %d KB of log: %d hits in log, output, /tmp, /proc, answers" % (
        len(secret), len(heard), len(log) // 1024, len(hits)))
    assert not hits, sorted(set(hits))[:20]


if __name__ == "__main__":
    check.main(globals(), "blackbox/log_secrets", before, after)
