"""Configurations that are wrong in every way: each key, each kind of file, each variable. Refused with the place, the
name and an exit code.

The cases come from `config show`, so that a new setting is in them without a line here. One process judges many:
`config check` reports every fault at once, each at its own line."""
import collections
import json
import os
import re
import socket
import tempfile
import time

import check
from server import SLOW, Server, free_port, run

Case = collections.namedtuple("Case", "table key line wanted")


def shown():
    """{table: {key: value}} of a server that nobody configured."""
    tables = json.loads(run("config", "show", "--json").stdout)
    return {t: {k: v["value"] for k, v in keys.items()} for t, keys in tables.items()}


def faults(text, env=None, arguments=()):
    """(exit code, [fault]) of a file; a fault of a file begins with its line's number."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "c.toml")
        with open(path, "wb") as out:
            out.write(text if isinstance(text, bytes) else text.encode())
        result = run("config", "check", "--json", *arguments, path, env=env)
    said = json.loads(result.stdout)
    return result.returncode, [f["text"].replace(path + ":", "") for f in said["faults"] if not f["warning"]]


def judge(file, cases):
    """One file with a fault on the line of each case."""
    code, said = faults("\n".join(file) + "\n")
    for case in cases:
        name = "%s.%s" % (case.table, case.key) if case.table else case.key
        start = "%d: %s" % (case.line, name)
        hit = [f for f in said if f.startswith(start) and case.wanted in f]
        yield name, None if code == 78 and hit else "exit %d, nothing like %r … %r in %r" % (
            code, start, case.wanted, [f for f in said if f.startswith("%d:" % case.line)])


class Writer:
    """Lines of a file, and what each of them must lead to."""

    def __init__(self):
        self.file, self.cases = [], []

    def table(self, name):
        if name:
            self.file.append("[%s]" % name)

    def line(self, table, key, text, wanted):
        self.file.append(text)
        self.cases.append(Case(table, key, len(self.file), wanted))


def wrong_everywhere(value_of, wanted="", rename=lambda key: key):
    w = Writer()
    for table, keys in shown().items():
        w.table(table)
        for key, now in keys.items():
            value = value_of(now)
            if value is not None:
                w.line(table, rename(key), "%s = %s" % (rename(key), value), wanted.replace("KEY", key))
    return w


def is_number(value):
    return isinstance(value, int) and not isinstance(value, bool) or isinstance(value, float)


def is_measure(value):
    return isinstance(
    value,
    str) and re.fullmatch(
        r"\d+(\.\d+)?(ms|s|m|h|d|B|[KMGT]iB)?",
         value) is not None and value != "0600"


def of_no_type(now):
    return "1979-05-27"


def of_another_type(now):
    return "[[1]]" if not isinstance(now, (list, dict)) and now is not None else "5"


def negative(now):
    return "-1" if is_number(now) else '"-1"' if is_measure(now) else None


def enormous(now):
    return "9223372036854775807" if is_number(now) else '"99999999999999h"' if is_measure(now) else None


MISSING = """[[security.keys]]
token = "t-1"
[[security.keys]]
name = "n"
[providers.p1]
format = "anthropic"
[[routing.model_mappings]]
target = "t"
[[routing.model_mappings]]
match = "m"
[[plugins.openai.model_mappings]]
target = "t"
[[plugins.gemini.model_mappings]]
match = "m"
[[plugins.mock.models]]
display_name = "d"
[[plugins.claude_api.models]]
max_tokens = 5
"""
REQUIRED = (("security.keys[0].name", 1), ("security.keys[1].token", 3), ("providers.p1.base_url", 5),
            ("routing.model_mappings[0].match", 7), ("routing.model_mappings[1].target", 9),
            ("plugins.openai.model_mappings[0].match", 11), ("plugins.gemini.model_mappings[0].target", 13),
            ("plugins.mock.models[0].id", 15), ("plugins.claude_api.models[0].id", 17))


def test_each_key_is_wrong_once():
    """CFG-01: type, range, name and absence, for every key there is."""
    counts, failed = collections.Counter(), 0
    sets = (("type", wrong_everywhere(of_no_type)), ("other type", wrong_everywhere(of_another_type)),
            ("negative", wrong_everywhere(negative)), ("enormous", wrong_everywhere(enormous)),
            ("unknown", wrong_everywhere(lambda now: "1", 'unknown key (did you mean "KEY"?)',
                                         lambda key: key + key[-1])))
    for kind, written in sets:
        problems = []
        for name, problem in judge(written.file, written.cases):
            counts[kind] += 1
            problems += [problem] if problem else []
        failed += len(problems)
        yield kind, "\n".join(problems) or None
    code, said = faults(MISSING)
    absent = ["%s at line %d, not in %r" % (name, line, said) for name, line in REQUIRED
              if not any(f.startswith("%d: %s: " % (line, name)) for f in said)]
    yield "missing", "\n".join(absent) or None
    tables = [t for t in shown() if t]
    typos = ["%s%s" % (t, t[-1]) for t in tables]
    code, said = faults("".join("[%s]\nx = 1\n" % t for t in typos))
    lost = [
    t for i, t in enumerate(typos) if not any(
        f.startswith(
            "%d: %s: unknown table" %
             (2 * i + 1, t)) for f in said)]
    yield "tables", "no fault for %s in %r" % (lost, said) if lost or code != 78 else None
    total = sum(counts.values()) + len(REQUIRED) + len(typos)
    check.figure("CFG-01", "%d of %d wrong keys refused with line and name, exit 78, nothing started"
                 % (total - failed - len(absent) - len(lost), total))
    yield "at least 300", None if total >= 300 else str(total)


def test_nothing_starts_by_half():
    """A bad key of each table, given to `serve`: exit 78 before a socket or a log file is there."""
    for table, keys in shown().items():
        port = free_port()
        with tempfile.TemporaryDirectory() as folder:
            path, log, sock = (os.path.join(folder, n) for n in ("c.toml", "log", "sock"))
            head = '[server]\nport = %d\nhost = "127.0.0.1"\nunix_socket = "%s"\n[logging]\nfile = "%s"\n' % (
                port, sock, log)
            bad = "%s = 1979-05-27\n" % next(reversed(keys))
            parts = head.replace("[%s]\n" % table, "[%s]\n%s" % (table, bad)) if table in ("server", "logging") else (
                bad + head if not table else head + "[%s]\n%s" % (table, bad))
            with open(path, "w") as out:
                out.write(parts)
            result = run("serve", "-c", path)
            left = [n for n in ("log", "sock") if os.path.exists(os.path.join(folder, n))]
        listens = socket.socket().connect_ex(("127.0.0.1", port)) == 0
        fine = result.returncode == 78 and path in result.stderr and not left and not listens
        yield table or "top level", None if fine else "exit %d, %r, left %s" % (result.returncode, result.stderr, left)


def files(folder):
    """name -> (path, accepted?, words that must be said)"""
    good = b'[server]\nport = 1234\n'
    rows = {"0 bytes": (b"", True, ""), "64 MiB": (None, False, "too large"), "binary": (bytes(range(256)) * 40, False,
        "zero byte"),
            "not UTF-8": (b"# \xff\xfe\n", False, "UTF-8"), "UTF-16": ("a = 1".encode("utf-16"), False, ""),
            "BOM": (b"\xef\xbb\xbf" + good, True, ""), "two BOMs": (b"\xef\xbb\xbf" * 2 + good, False, ""),
            "CRLF": (good.replace(b"\n", b"\r\n"), True, ""), "CR alone": (good.replace(b"\n", b"\r"), False, ""),
            "no line end": (good.rstrip(), True, ""), "5 MiB of comments": (b"# c\n" * 1310720, False, "too large")}
    for name, (content, accepted, words) in rows.items():
        path = os.path.join(folder, name.replace(" ", "-") + ".toml")
        with open(path, "wb") as out:
            out.write(content or b"")
        if content is None:
            os.truncate(path, 64 << 20)
        yield name, path, accepted, words
    os.mkfifo(os.path.join(folder, "fifo"))
    yield "FIFO", os.path.join(folder, "fifo"), False, "FIFO"
    yield "directory", folder, False, "directory"
    yield "device", "/dev/zero", False, "regular file"
    yield "absent", os.path.join(folder, "absent"), False, "No such file"
    os.symlink("loop", os.path.join(folder, "loop"))
    yield "loop of links", os.path.join(folder, "loop"), False, "symbolic links"
    locked = os.path.join(folder, "locked.toml")
    with open(locked, "w") as out:
        out.write("")
    os.chmod(locked, 0)
    if os.geteuid() != 0:
        yield "unreadable", locked, False, "Permission denied"
    else:
        yield "unreadable", "/proc/self/mem", False, ""  # root reads every file, but not this one


def test_kinds_of_files():
    """CFG-04: taken or refused within a second, with words."""
    slowest, rows = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for name, path, accepted, words in files(folder):
            started = time.monotonic()
            result = run("config", "check", path)
            seconds = time.monotonic() - started
            slowest, rows = max(slowest, seconds), rows + 1
            fine = result.returncode == (0 if accepted else 78) and words in result.stderr and seconds < 1 * SLOW
            yield name, None if fine else "%.2f s, %r" % (seconds, result)
    check.figure("CFG-04", "%d kinds of files taken or refused as written, slowest %d ms%s" % (
        rows, slowest * 1000, " (ASan)" if SLOW > 1 else ""))


def starts(server, **more):
    """(exit code or None while it serves, what it said); ends it."""
    own = Server("", server=server, host="0.0.0.0", wait=False, **more)
    try:
        end = time.monotonic() + 20
        while own.process.poll() is None and "listening" not in own.output() and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.2)  # the warnings stand below the addresses
        return own.process.poll(), own.output()
    finally:
        own.stop()


def test_beyond_loopback():
    """CFG-06: without a key a server for others does not start; what weakens it is said at every start."""
    open_to_all = "[security]\nallow_unauthenticated = true"
    key = '[security]\nauth_token = "a-token-of-this-test"'
    code, said = starts("")
    refusal = code
    yield "no key", None if code == 78 and "no key is asked for" in said else (code, said)
    warned = 0
    for turn in (1, 2):
        code, said = starts(open_to_all)
        fine = code is None and "without a key" in said and "plain http beyond this machine" in said
        warned += fine
        yield "allow_unauthenticated, start %d" % turn, None if fine else "%s: %s" % (code, said)
    code, said = starts(key)
    fine = code is None and "without a key" not in said and "plain http beyond this machine" in said
    yield "a key, no TLS", None if fine else "%s: %s" % (code, said)
    with Server(key) as own:
        said = own.output()
        yield "loopback", None if "warning: plain" not in said and "without a key" not in said else said
    check.figure(
    "CFG-06", "no key beyond loopback: exit %s; allowed without: warns at %d of 2 starts; plain http warns" %
     ( refusal, warned))


LONG = "x" * 100000
VARIABLES = (
    ("SERVER__PORT", "", True), ("SERVER__PORT", "80x", True), ("SERVER__PORT", "70000", True), ("SERVER__PORT",
        "1\n2", True),
    ("SERVER__PORT", " 8080 ", False), ("SERVER__PORT", "9" * 1000, True), ("SERVER__HTTP2", "maybe", True),
    ("SERVER__HTTP2", "OFF", False), ("SERVER__HTTP2", "", True), ("SERVER__IDLE_TIMEOUT", "", True),
    ("SERVER__IDLE_TIMEOUT", "5 parsecs", True), ("SERVER__MAX_BODY_BYTES", LONG, True), ("SERVER__UNIX_SOCKET",
        "a\nb", True),
    ("SERVER__UNIX_SOCKET", "", False), ("SERVER__UNIX_SOCKET", "\x1b[31m", True), ("SERVER__ALLOWED_HOSTS", "a\nb,c",
        True),
    ("SERVER__ALLOWED_HOSTS", '["a"', True), ("SERVER__ALLOWED_HOSTS", "[1]", True), ("SERVER__ALLOWED_HOSTS", "",
        False),
    ("SERVER__PROT", "1", True), ("SERVER__PORT__DEEPER", "1", True), ("LOGGING__LEVEL", "lod", True),
    ("LOGGING__FORMAT", "", True),
    ("SECURITY__AUTH_TOKEN", "t\ninjected", True), ("SECURITY__AUTH_TOKEN", LONG, True), ("SECURITY__AUTH_TOKEN", "",
        False),
    ("SECURITY__KEYS", "[{}]", True), ("SECURITY__KEYS", "nonsense", True), ("PLUGINS__OPENAI__API_KEY", "k\r\nx: y",
        True),
    ("PLUGINS__OPENAI__API_KYE", "k", True), ("PLUGINS__OPENAI__BASE_URL", "http://h/\n", True), ("PLUGINS__NOBODY__X",
        "1", True),
    ("PLUGINS__OPENAI__HEADERS__X_A", "a\r\nb: c", True), ("PLUGINS__OPENAI__HEADERS", "{", True), ("ENABLED_PLUGINS",
        "mokc", True),
    ("PROVIDERS__P__FORMAT", "soap", True), ("CORS__MAX_AGE", "-1", True), ("UPSTREAM__PROXY", "gopher://x", True),
    ("__A", "1", False), ("A__", "1", False), ("SERVER", "x", False), ("SERVERS__PORT", "1", False), ("PATH__X", LONG,
        False),
    ("OPENAI_API_KEY", "sk\nx", True), ("OPENAI_API_KEY", LONG, True))


def test_variables():
    """CFG-07: as in the file: refused by the variable's name, without its text; what is not ours is left alone."""
    rows = [(n, v, bad) for n, v, bad in VARIABLES]
    for table, keys in shown().items():
        rows += [("__".join(table.upper().split(".") + [key.upper()]), "line\x1bone\nline two", True)
                 for key, now in keys.items() if table and (is_number(now) or is_measure(now) or isinstance(now, bool))]
    refused = 0
    for name, value, bad in rows:
        code, said = faults("", {name: value})
        text = " ".join(said)
        named = any(f.startswith("env %s: " % name) or name in f for f in said) or name.startswith("PROVIDERS")
        leaks = len(value) > 6 and value in text or "injected" in text or "\n" in text or "\x1b" in text
        fine = (code == 78 and named and not leaks and len(text) < 1000) if bad else code == 0
        refused += bad and fine
        if (name, value, bad) in VARIABLES or not fine:
            yield "%s=%s" % (name, repr(value)[:24]), None if fine else "exit %d: %r" % (code, text[:600])
    check.figure(
    "CFG-07", "%d of %d bad variables refused by name, text never shown; %d that are not ours or fine are taken" %
    ( refused, sum(
        bad for _, _, bad in rows), sum(
            not bad for _, _, bad in rows)))


if __name__ == "__main__":
    check.main(globals(), "blackbox/config_abuse")
