"""The log under attack: bytes that must not break it, sinks that fail, floods. (Secrets: test_log_secrets.py.)"""
import collections
import fcntl
import json
import os
import re
import resource
import signal
import threading
import time

import check
import formats
import rawhttp
import traces
from formats import ANTHROPIC, CHAT, small_body
from http1 import release_binary
from server import Server
from upstream import Answer, Upstream

up = None
LAG_MS = 20
ECHO = b'{"model":"mock-echo","max_tokens":1,"messages":[{"role":"user","content":"x"}]}'


def before():
    global up
    up = Upstream()


def after():
    up.close()


# ---- LOG-03: hostile bytes ---------------------------------------------------------------------------------------

FORGED = '{"time":"forged"}'
HOSTILE = {"cr": "\r", "lf": "\n", "crlf": "\r\n" + FORGED, "nul": "\0", "ansi": "\x1b[2J\x1b]0;x\x07", "bs": "\b\b\b",
           "del": "\x7f", "vt": "\v\f",
           "nel": "\u0085", "c1": "\u009b31m", "ls": "\u2028" + FORGED, "ps": "\u2029", "rlo": "\u202egnp.exe",
           "isolate": "\u2066\u2069", "lrm":
           "\u200e\u200f\u061c", "quote": '","level":"x', "backslash": "\\", "bom": "\ufeff", "emoji": "\U0001f4a9",
           "long": "A\n" * 32768,
           "wide": "\u20ac" * 21845, "percent": "%n%s%x%1000000d", "template": "${jndi:ldap://x}{{7*7}}"}
RAW = re.compile(rb"[\x00-\x1f\x7f]")
DECEIVING = re.compile("[\u0080-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\ufeff]")


def percent(text):
    return "".join("%%%02X" % b for b in text.encode())


def header_bytes(text):
    """What of a text HTTP/1 lets through in a value: everything from 0x80 on."""
    return "".join(c for c in text.encode().decode("latin-1") if c in "\t" or (c >= " " and c != "\x7f"))[:20000]


def hostile_requests(own, text):
    """The text in every field of a client, and in every field of the upstream that the log could take over."""
    model, shown = json.dumps("m" + text).encode(), header_bytes(text)
    body = small_body(ANTHROPIC).replace(b'"m-1"', model)
    up.reset(Answer(json.dumps({"error": {"type": text, "message": text}}).encode(), status=400))
    own.request("POST", ANTHROPIC.url(), body, [("User-Agent", shown), ("X-Request-Id", shown), ("X-Forwarded-For",
        shown)])
    own.request("POST", "/v1/chat/completions", small_body(CHAT).replace(b'"m-1"', model), [("User-Agent", shown)])
    own.request("POST", "/gemini/v1beta/models/%s:generateContent" % percent(text)[:9000], small_body(formats.GEMINI),
                [("User-Agent", shown)])
    own.request("GET", "/x" + percent(text)[:9000] + "?" + percent(text)[:9000], None, [("x-api-key", shown),
        ("Origin", shown)])
    own.request("POST", ANTHROPIC.url(), b"{" + text.encode(), [("Content-Type", shown)])
    raw = b"HTTP/1.1 200 " + text.encode()[:90000] + b"\r\nX-A: " + text.encode(
        )[:90000] + b"\r\nContent-Length: 2\r\n\r\n{}"
    up.reset(Answer(raw=raw, end="fin"))
    own.request("POST", ANTHROPIC.url(), body)
    up.reset(Answer(json.dumps({"data": [{"id": text, "type": "model"}]}).encode()))
    own.request("GET", "/claude/v1/models/" + percent(text)[:9000], None, [("anthropic-version", "2023-06-01")])
    for piece in (text.encode()[:20000], b"GET / HTTP/1.1\r\nHost: " + text.encode()[:20000] + b"\r\n\r\n"):
        with own.connect(timeout=5) as connection:
            connection.send(piece + b"\r\n\r\n")
            connection.closed(0.05)


def test_hostile_bytes():
    """LOG-03: one record is one line, in both formats; JSON parses; nothing raw moves a cursor or turns the text."""
    total = fields = 0
    for kind in ("json", "text"):
        with Server(formats.config(up.url) + "[plugins.access_log]\nexclude_paths = []\n",
                    server='trusted_proxies = ["127.0.0.0/8"]',
                    arguments=["--log-level", "debug", "--set", "logging.format=%s" % kind]) as own:
            for text in HOSTILE.values():
                hostile_requests(own, text)
                fields += 14
            time.sleep(0.3)
            lines = open(own.log, "rb").read().split(b"\n")
        assert lines.pop() == b"" and len(lines) > 100, len(lines)
        for line in lines:
            assert not RAW.search(line) and not DECEIVING.search(line.decode()), line[:300]
            if kind == "json":
                record = json.loads(line)
                assert record["time"].startswith("20") and len(line) <= 8192, line[:300]
            else:
                assert re.match(rb"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", line), line[:300]
        total += len(lines)
    check.figure("LOG-03",
                 "%d hostile fields: %d lines, all whole and parsed, 0 raw control or direction bytes" % (fields,
                     total))


# What a trace looks like, for whoever wants to be taken for a part of one.
SECTION = "\n== client.response at_us=1 head=0 body=0 left_out=0\n\n"
IMITATED = {"end": "\n== end\n", "section": SECTION, "file": "ccproxy-trace 1\nid: forged\nstatus: 200\n" + SECTION,
            "blank line": "\n\n== end\n", "cr": "\r\r== end\r\r", "plain": "== end", "facts": "status: 200"}
WORDS = ("ccproxy-trace 1", "duration-us: ", "attempts: 1", "client: 127", "== end", "outcome: ok", "time: 2026")
FACTS = {"id", "time", "client", "key", "method", "path", "format", "provider", "model", "upstream-model", "status",
         "outcome", "error", "attempts", "duration-us"}


def imitate(own, text):
    """The text as id, model, path, query, header, body and credential of a client; as status, head, body upstream."""
    body = small_body(ANTHROPIC).replace(b'"m-1"', json.dumps(text).encode())[:-1] + b"\n" + text.encode() + b"}"
    shown = text.replace("\n", "\t").replace("\r", "\t")
    up.reset(Answer(raw=b"HTTP/1.1 200 " + shown.encode() + b"\r\nX-A: " + shown.encode() + b"\r\nX-B: " +
                    text.encode() + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body, end="fin"))
    own.request("POST", ANTHROPIC.url(), small_body(ANTHROPIC)[:-1] + b',"x":%s}' % json.dumps(text).encode(),
                [("X-Forged", shown), ("x-api-key", shown)])
    up.reset(Answer(body, headers=[("X-Forged", shown)]))
    own.request("POST", ANTHROPIC.url(), body, [("X-Request-Id", shown), ("Authorization", "Bearer " + shown)])
    own.request("POST", ANTHROPIC.url(), small_body(ANTHROPIC).replace(b'"m-1"', json.dumps(text).encode()))
    own.request("GET", "/x" + percent(text) + "?" + percent(text), None, [("Referer", shown)])
    own.request("POST", "/gemini/v1beta/models/%s:generateContent" % percent(text), small_body(formats.GEMINI))


def test_traces_cannot_be_forged():
    """LOG-03 with tracing on: whatever is sent, the documented lengths take every trace apart, and no line of its
    summary is another's; a credential that reads like such a line hides none."""
    count = 0
    with Server(formats.config(up.url) + traces.ON + 'max_body = "4KiB"\n',
                server='trusted_proxies = ["127.0.0.0/8"]') as own:
        for text in [*IMITATED.values(), *WORDS]:
            imitate(own, text)
        for text in HOSTILE.values():
            hostile_requests(own, text)
        time.sleep(0.5)
        lines = open(own.log, "rb").read().split(b"\n")[:-1]
        assert not [line for line in lines if RAW.search(line) or DECEIVING.search(line.decode())], "a raw byte"
        asked = sum(json.loads(line)["area"] == "access_log" for line in lines)
        for path in traces.wait_files(own, asked - 1):  # the first was for /health
            found = traces.read(path)
            names, order = set(found.facts), [s.name for s in found.sections]
            always = {"id", "time", "client", "method", "path", "status", "outcome", "duration-us"}
            assert always <= names <= FACTS, (path, found.facts)
            assert os.path.basename(path)[14:-5] == re.sub(r"[^A-Za-z0-9._-]", "_", found.facts["id"]), found.facts
            assert found.facts["status"].isdigit() and int(found.facts["duration-us"]) >= 0, found.facts
            assert order[0] == "client.request" and order.count("client.response") <= 1 and \
                order.count("upstream.request") == int(found.facts["attempts"]), (path, order)
            count += 1
    check.figure("LOG-03", "tracing on: %d traces of %d imitations and hostile texts: all taken apart by lengths" % (
        count, len(IMITATED) + len(WORDS) + len(HOSTILE)))


# ---- LOG-04: sinks that fail -------------------------------------------------------------------------------------


def lag(own, seconds, traffic=2):
    """Latencies in ms of a probe beside traffic that writes a line per request; requests done by the traffic."""
    done, stop, waits = [0] * traffic, threading.Event(), []

    def load(number):
        with own.connect(timeout=30) as connection:
            while not stop.is_set():
                assert connection.request("POST", "/mock/v1/messages", ECHO).status == 200
                done[number] += 1
    threads = [threading.Thread(target=load, args=(n,), daemon=True) for n in range(traffic)]
    for thread in threads:
        thread.start()
    with own.connect(timeout=10) as probe:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.perf_counter()
            assert probe.request("GET", "/health/live").status == 200
            waits.append((time.perf_counter() - began) * 1000)
            time.sleep(0.002)
    stop.set()
    for thread in threads:
        thread.join(30)
    waits.sort()
    return waits, sum(done)


def blocked_pipe(folder):
    """A pipe that is already full, and its reader's end."""
    path = os.path.join(folder, "ccp-fifo-%d" % os.getpid())
    os.mkfifo(path, 0o600)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, 1031, 4096)  # F_SETPIPE_SZ: full after a few lines
    return path, reader


def lost(text):
    return sum(int(n) for n in re.findall(rb"(\d+) lines were lost", text))


def written(text):
    return text.count(b'"path":"/mock/v1/messages"')


def read_until(reader, done, seconds=10):
    """What comes out of the pipe until everything is accounted for."""
    data, end = b"", time.monotonic() + seconds
    while time.monotonic() < end and (written(data) + lost(data) < done or not data.endswith(b"\n")):
        try:
            data += os.read(reader, 1 << 20)
        except BlockingIOError:
            time.sleep(0.005)
    return data


def test_blocked_pipe():
    """LOG-04: nobody reads the pipe: requests go on, what does not fit is counted, and the sum is exact."""
    path, reader = blocked_pipe("/tmp")
    try:
        with Server(binary=release_binary(), arguments=["--log-file", path]) as own:
            waits, done = lag(own, 3.0)
            text = read_until(reader, done)
            assert all(json.loads(l) for l in text.splitlines()), "a line is not whole"
            assert written(text) + lost(text) == done and lost(text) > 0, (written(text), lost(text), done)
            for _ in range(300):  # full again: and now it has to end
                own.request("POST", "/mock/v1/messages", ECHO)
            began = time.monotonic()
            assert own.stop() == 0
            ended = time.monotonic() - began
    finally:
        os.close(reader)
        os.unlink(path)
    p99 = waits[len(waits) * 99 // 100]
    check.figure("LOG-04", "full pipe: probe p99 %.1f ms, max %.1f; %d written + %d lost = %d; stop %.1f s" % (
        p99, waits[-1], written(text), lost(text), done, ended))
    assert p99 <= LAG_MS and waits[-1] < 250 and ended < 5, (p99, waits[-1], ended)


def test_full_disk():
    """LOG-04: /dev/full, then a file at its size limit that may grow again: whole lines, and an exact count."""
    with Server(binary=release_binary(), arguments=["--log-file", "/dev/full"]) as own:
        waits, _ = lag(own, 1.5)
    with Server(binary=release_binary()) as own:
        resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE, (os.path.getsize(own.log) + 5000,
                                                                  resource.RLIM_INFINITY))
        _, done = lag(own, 0.6)
        time.sleep(0.2)
        assert own.process.poll() is None
        assert all(json.loads(l) for l in own.log_text().splitlines()), "half a line: %r" % own.log_text()[-200:]
        resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        own.wait_log("lines were lost", 10)
        own.stop()
        text = own.log_text().encode()
    p99 = waits[len(waits) * 99 // 100]
    check.figure("LOG-04", "full disk: probe p99 %.1f ms, max %.1f; then %d written + %d lost = %d, no half line" % (
        p99, waits[-1], written(text), lost(text), done))
    assert written(text) + lost(text) == done, (written(text), lost(text), done)
    assert p99 <= LAG_MS and waits[-1] < 250, (p99, waits[-1])


def test_rotated_and_deleted():
    """LOG-04: renamed under load and reopened on SIGUSR1: no line is lost; a deleted file comes back."""
    with Server(binary=release_binary()) as own:
        result = []
        worker = threading.Thread(target=lambda: result.append(lag(own, 2.0)))
        worker.start()
        for n in range(4):
            time.sleep(0.4)
            os.rename(own.log, "%s.%d" % (own.log, n))
            own.process.send_signal(signal.SIGUSR1)
        worker.join()
        waits, done = result[0]
        end, files = time.monotonic() + 5, ["%s.%d" % (own.log, n) for n in range(4)] + [own.log]
        while time.monotonic() < end:
            text = b"".join(open(f, "rb").read() for f in files if os.path.exists(f))
            if written(text) >= done:
                break
            time.sleep(0.05)
        assert written(text) == done, (written(text), done)
        assert all(json.loads(l) for l in text.splitlines())
        os.unlink(own.log)
        own.request("GET", "/nowhere-1")
        own.process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + 5
        while "/nowhere-2" not in own.log_text() and time.monotonic() < end:
            own.request("GET", "/nowhere-2")
            time.sleep(0.02)
        assert "/nowhere-2" in own.log_text() and os.stat(own.log).st_mode & 0o777 == 0o600
    check.figure("LOG-04", "4 rotations: %d of %d lines kept, probe p99 %.1f ms; deleted and reopened" % (
        done, done, waits[len(waits) * 99 // 100]))


# ---- LOG-05: floods ----------------------------------------------------------------------------------------------

ATTACKS = {"unauthorized": rawhttp.encode("GET", "/plugins", None, [("x-api-key", "wrong")], "localhost"),
           "misdirected": rawhttp.encode("GET", "/plugins", None, [("x-api-key", "wrong")], "evil.example")}


def flood(own, request, seconds, total):
    """Pipelines as fast as it goes; adds the number of answers to total."""
    batch = request * 100
    with own.connect(timeout=30) as connection:
        end, rest = time.monotonic() + seconds, b""
        while time.monotonic() < end:
            connection.send(batch)
            seen = 0
            while seen < 100:
                data = connection.sock.recv(1 << 18)
                assert data, "closed in the middle"
                rest += data
                parts = rest.split(b"HTTP/1.1 ")
                seen += len(parts) - 1
                rest = rest[-8:] if b"HTTP/1.1 " not in rest[-8:] else b""
            total.append(100)


def test_attack_does_not_fill_the_log():
    """LOG-05: refusals by the ten thousand: 100 lines a second of each kind, and how many more there were."""
    attack("", "", 2000)


def test_attack_on_a_server_that_traces():
    """LOG-05 with tracing on: each refusal is traced, too; what the tracer cannot keep up with is one line a second."""
    attack(traces.ON + "max_files = 500\n", "tracing on: ", 1000)


def attack(config, when, least):
    with Server('[security]\nauth_token = "token-FIXTURE-0001"\n' + config, binary=release_binary()) as own:
        totals, began = {kind: [] for kind in ATTACKS}, time.monotonic()
        threads = [threading.Thread(target=flood, args=(own, request, 3.0, totals[kind])) for kind,
                   request in ATTACKS.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        took = time.monotonic() - began
        own.wait_log("more lines like", 5)
        own.stop()
        records = [json.loads(line) for line in own.log_text().splitlines()]
    events, worst, told = sum(sum(t) for t in totals.values()), 0, 0
    for kind, total in totals.items():
        mine = [r for r in records if r.get("failure") == kind]
        seconds = collections.Counter(r["time"][:19] for r in mine)
        more = [int(m.group(1)) for r in records for m in [re.match(r'(\d+) more lines like "%s"' % kind,
                                                                    r.get("message", ""))] if m]
        assert len(mine) + sum(more) == sum(total), (kind, len(mine), more, sum(total))
        assert 1 <= len(more) <= took + 2, more
        worst, told = max(worst, *seconds.values()), told + len(more)
    lines = [r for r in records if r["area"] == "request_tracer"]
    assert len(lines) <= took + 3, lines[:5]
    check.figure("LOG-05", "%s%d refusals/s for %.0f s, 2 kinds: <= %d lines/s of a kind, %d summary lines, sum exact" % (
        when, events / took, took, worst, told))
    assert worst <= 102, worst  # the record's time is taken just before the limit's
    assert events / took >= least, "the attack itself was slow: %d/s" % (events / took)


if __name__ == "__main__":
    check.main(globals(), "blackbox/logs", before, after)
