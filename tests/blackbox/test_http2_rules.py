"""HTTP/2 by the book: every rule of h2cases.py with its code, h2spec, and a server without its guard.

What h2o 2.2.5 does otherwise without harm stands in h2_deviations.txt, one line each: `case | since | what | why`. A
line there whose case behaves by now fails as well: the list must not outlive its reasons.
"""
import os
import re
import shutil
import subprocess
import time

import check
import formats
import h2cases
import h2raw as h
import server as servers
from server import Server
from upstream import Answer, Upstream

HERE = os.path.dirname(os.path.abspath(__file__))
H2SPEC = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"
up = server = None


def before():
    global up, server
    up = Upstream()
    up.reset(lambda r: Answer(b'{"ok":true}', head_delay=30 if "messages" in r.target else 0))
    server = Server(formats.config(up.url))


def after():
    try:
        with server:
            pass
    finally:
        up.close()


def deviations():
    """{case: (since, what, why)}"""
    with open(os.path.join(HERE, "h2_deviations.txt")) as f:
        lines = [l.rstrip("\n").split(" | ") for l in f if l.strip() and not l.startswith("#")]
    assert all(len(l) == 4 and re.fullmatch(r"20\d\d-\d\d-\d\d", l[1]) for l in lines), lines
    return {l[0]: tuple(l[1:]) for l in lines}


def talk(data, options):
    """Sends the case and reads until a PING behind it is answered, the awaited answer came, or the end."""
    c = h.Connection(server.port, hello=options.get("hello", True), timeout=5)
    step = options.get("pieces", len(data))
    for at in range(0, len(data), step):
        c.send(data[at:at + step])
    if "then" in options:
        c.wait(lambda f: f.stream == options["after"] and f.flags & h.END_STREAM, 3)
        time.sleep(0.02)
        c.send(options["then"])
    mark = b"the mark"
    c.send(h.frame(h.PING, 0, 0, mark))
    c.marked = c.wait(lambda f: f.kind == h.PING and f.payload == mark, 3) is not None
    return c


def seen(c):
    said = ["status %s" % f.status() for f in c.frames if f.kind == h.HEADERS]
    said += ["RST_STREAM(%d) on %d" % (f.code(), f.stream) for f in c.resets()]
    said += ["GOAWAY(%d) %s" % (f.code(), f.text()) for f in c.frames if f.kind == h.GOAWAY]
    return ", ".join(said + (["closed"] if c.closed else []) or ["nothing"])


def goaway_with(c, codes):
    last = c.goaway()
    return last is not None and last.code() in codes and c.until_closed(3)


def status(c, on):
    """The whole answer must come: its last frame has END_STREAM."""
    end = c.wait(
    lambda f: f.stream == on and (
        f.kind == h.RST or f.flags & h.END_STREAM and f.kind in (
            h.HEADERS, h.DATA)), 5)
    head = next((f for f in c.frames if f.kind == h.HEADERS and f.stream == on), None)
    return head.status() if end is not None and end.kind != h.RST and head is not None else None


def met(c, expectation, options):
    kind = expectation[0]
    if kind == "conn":
        return goaway_with(c, expectation[1])
    if kind == "stream":
        return any(f.code() in expectation[1] for f in c.resets(expectation[2])) or goaway_with(c, expectation[1])
    if kind == "malformed":
        if any(f.code() == h.PROTOCOL for f in c.resets(1)) or c.goaway() is not None:
            return c.goaway() is None or goaway_with(c, (h.PROTOCOL,))
        return 400 <= (status(c, 1) or 0) < 500
    if kind == "ok":
        on = options.get("answer", expectation[2])
        return status(c, on) == expectation[1] and c.goaway() is None
    if kind == "alive":
        return c.marked and not c.resets() and c.goaway() is None
    if kind == "closed":
        return c.until_closed(3)
    if kind == "acks":
        return sum(f.kind == h.SETTINGS and f.flags & h.ACK for f in c.frames) == expectation[1]
    if kind == "windows":
        c.wait(lambda f: False, 0.15)
        sent = sum(len(f.payload) for f in c.frames if f.kind == h.DATA)
        return status_seen(c) and sent <= expectation[1]
    assert kind == "nobody"
    end = c.wait(lambda f: f.stream == 1 and f.flags & h.END_STREAM, 3)
    return end is not None and not any(f.payload for f in c.frames if f.kind == h.DATA)


def status_seen(c):
    return any(f.kind == h.HEADERS for f in c.frames)


def run_cases():
    """[(name, expectation, met, what was seen)]"""
    results = []
    for name, expectation, data, options in h2cases.CASES:
        c = talk(data, options)
        good = met(c, expectation, options)
        results.append((name, expectation, good, seen(c)))
        c.close()
    return results


def test_rules():
    known, results = deviations(), run_cases()
    for name, expectation, good, saw in results:
        if good and name in known:
            yield name, "behaves now: take it off h2_deviations.txt"
        else:
            yield name, None if good or name in known else "wanted %r, saw %s" % (expectation, saw)
    unknown = set(known) - {r[0] for r in results} - {k for k in known if k.startswith("h2spec ")}
    yield "deviations name cases", "no such case: %s" % unknown if unknown else None
    odd = [r for r in results if r[1] == h2cases.MALFORMED]
    check.figure("H2-01", "%d own cases, %d by the book, %d listed deviations" % (
        len(results), sum(r[2] for r in results), sum(not r[2] and r[0] in known for r in results)))
    check.figure("H2-15", "%d of %d malformed messages refused" % (sum(r[2] for r in odd), len(odd)))
    broken = [r for r in results if r[0].startswith("4.3") and r[1] == h2cases.conn(h.COMPRESSION)]
    check.figure("H2-08", "%d of %d broken blocks: COMPRESSION_ERROR%s" % (
        sum(r[2] for r in broken), len(broken), ", ASan clean" if servers.sanitized() else ""))


def h2spec():
    """The tool, built once into the cache of test clients; None = there is no Go here, or no module."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = os.path.join(home, "ccproxy-test", "h2spec-2.2.1")
    tool = os.path.join(folder, "h2spec")
    if os.path.exists(tool):
        return tool
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if not os.path.exists(go):
        raise check.Skip("h2spec is built with Go, which is not here")
    os.makedirs(folder, exist_ok=True)
    built = subprocess.run([go, "install", H2SPEC], env=dict(os.environ, GOBIN=folder, GOFLAGS="-mod=mod"), cwd=folder,
                           capture_output=True, text=True, timeout=110)
    if built.returncode:
        raise check.Skip("h2spec cannot be built: " + built.stderr[-300:])
    return tool


def test_h2spec():
    """Its sections 3 to 8 and HPACK; a failing one must be a deviation `h2spec SECTION`, and the other way round."""
    tool, known = h2spec(), {k for k in deviations() if k.startswith("h2spec ")}
    out = subprocess.run([tool, "-h", "127.0.0.1", "-p", str(server.port), "-P", "/health/live", "-o", "1"],
                         capture_output=True, text=True, timeout=100).stdout
    total = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", out)
    assert total, out[-2000:]
    tests, passed, _, failed = map(int, total.groups())
    listing = out.split("Failures:", 1)[1] if failed else ""
    bad, section = set(), ""
    for line in listing.splitlines():
        heading = re.match(r"\s+((?:http2|hpack|generic)/|)([\d.]+)\.? ", line)
        section = heading.group(2).rstrip(".") if heading else section
        case = re.match(r"\s+(?:×|✖|✘|x) ?(\d+):", line)
        if case:
            bad.add("h2spec %s/%s" % (section, case.group(1)))
    assert bad == known, "failed %s\nlisted %s\n%s" % (sorted(bad), sorted(known), listing)
    assert len(bad) == failed, listing
    check.figure("H2-01", "h2spec: %d of %d passed, %d listed" % (passed, tests, failed))


def test_a_server_without_its_guard_does_not_start():
    unguarded = os.path.join(os.path.dirname(os.path.abspath(servers.BINARY)), "ccproxy-unguarded")
    if not os.path.exists(unguarded):
        raise check.Skip("no ccproxy-unguarded beside the server under test")
    with open(os.path.join(server.folder, "unguarded.toml"), "w") as f:
        f.write('[server]\nhost = "127.0.0.1"\nport = %d\n' % servers.free_port())
    start = time.monotonic()
    ended = subprocess.run([unguarded, "serve", "-c", f.name], env=servers.environment(server.folder), timeout=20,
                           capture_output=True, text=True, stdin=subprocess.DEVNULL)
    took = time.monotonic() - start
    assert ended.returncode == 78, (ended.returncode, ended.stderr[-2000:])
    assert "guard" in ended.stderr and "is not replaced" in ended.stderr, ended.stderr
    assert took < 1 * servers.SLOW, took
    check.figure("H2-16", "refused to start, status 78 after %.0f ms%s" % (
        took * 1000, " (sanitizer build)" if servers.sanitized() else ""))


if __name__ == "__main__":
    check.main(globals(), "blackbox/http2_rules", before, after)
