"""What the release binary was built with, by readelf, and what static analysis says of the tree."""
import json
import os
import re
import shlex
import shutil
import subprocess
import time

import check

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("CCPROXY_RELEASE_BIN", os.path.join(TOP, "build", "ccproxy"))
BUDGET = 30  # seconds of a default run; what was not reached is said


def readelf(*options):
    return subprocess.run(["readelf", "-W", *options, BINARY], capture_output=True, text=True, check=True).stdout


def test_binary():
    header, segments, dynamic = readelf("-h"), readelf("-l"), readelf("-d")
    symbols = set(re.findall(r"\b(__\w+?)(?:@|\s)", readelf("--dyn-syms")))
    loads = re.findall(r"^\s+LOAD\s+(?:0x\w+\s+){5}([R W E]{3})", segments, re.M)
    stack = re.search(r"GNU_STACK\s+(?:0x\w+\s+){5}([R W E]{3})", segments)
    fortified = sorted(s for s in symbols if s.endswith("_chk") and s != "__stack_chk_fail")
    with open(os.path.join(os.path.dirname(BINARY), "compile_commands.json")) as f:
        commands = [l for l in f if '"command"' in l]
    flags = ("-fstack-clash-protection", "-fcf-protection", "-D_FORTIFY_SOURCE=3", "-fstack-protector-strong")
    rows = {
        "pie": re.search(r"Type:\s+DYN", header) and "INTERP" in segments and re.search(r"FLAGS_1\).*PIE", dynamic),
        "relro": "GNU_RELRO" in segments,
        "bind-now": re.search(r"\(FLAGS\).*BIND_NOW|FLAGS_1\).*NOW", dynamic),
        "nx": stack and "E" not in stack[1],
        "no-writable-code": loads and not [l for l in loads if "W" in l and "E" in l],
        "canary": "__stack_chk_fail" in symbols,
        "fortify": len(fortified) >= 5,
        "no-rpath": "RPATH" not in dynamic and "RUNPATH" not in dynamic,
        "flags": commands and all(f in c for f in flags for c in commands),
    }
    for name, good in rows.items():
        yield name, None if good else "readelf does not show it"
    check.figure("SAN-04", "release binary: %d of %d on (%s)" % (
        sum(map(bool, rows.values())), len(rows), " ".join(n for n, g in rows.items() if g)))


# (tool's check, file, part of the text): seen on a date, and why it is wrong. Nothing else may be reported.
FALSE = [
    ("Wanalyzer-malloc-leak", "proxy/http/ports.c", "leak of", "2026-11: the message is linked into the worker's list"),
    ("Wanalyzer-malloc-leak", "proxy/chain/models_fetch.c", "leak of", "2026-11: the snapshot owns the lists"),
    ("Wanalyzer-use-of-uninitialized-value", "proxy/chain/route.c", "'p'", "2026-11: a span returned by an inline"),
    ("Wanalyzer-use-of-uninitialized-value", "proxy/wire/schema.c", "text.n", "2026-11: a span returned by value"),
    ("Wanalyzer-use-of-uninitialized-value", "proxy/testing/kit.c", "'text'", "2026-11: a span in an array"),
    ("Wanalyzer-use-of-uninitialized-value", "proxy/chain/usage.c", "known", "2026-11: a struct returned by value"),
    ("Wanalyzer-malloc-leak", "proxy/chain/hub_ticket.c", "leak of", "2026-11: linked into the hub's list"),
    ("ctuuninitvar", "proxy/chain/usage_tree.c", "nodes", "2026-11: its count is set first, nodes when they are taken"),
    ("objectIndex", "system-plugins/metrics/page.c", "'value'", "2026-11: only a histogram has more than one cell"),
    ("Wanalyzer-null-dereference", "proxy/http/conn.c", "NULL 'c'", "2026-11: our sockets always carry a conn"),
    ("Wanalyzer-null-argument", "proxy/app/vault.c", "NULL 'value'", "2026-11: only entries with a value were copied"),
    ("Wanalyzer-null-dereference", "providers/mock/embed.c", "NULL", "2026-11: checked before the seed is made"),
    ("Wanalyzer-malloc-leak", "auth/view.c", "leak of", "2026-11: the slot is linked into the view's table"),
    ("Wanalyzer-malloc-leak", "auth/service.c", "leak of", "2026-11: messages and slot keys are linked into their lists"),
    ("Wanalyzer-malloc-leak", "proxy/http/guard_memory.c", "leak of", "2026-11: the buffer inside the block is h2o's now"),
]


def known(line):
    line = line.replace("\u2018", "'").replace("\u2019", "'")
    return any(c in line and f in line and t in line for c, f, t, _ in FALSE)


def sources():
    listing = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "proxy", "config",
                              "providers", "system-plugins"], cwd=TOP, capture_output=True, text=True, check=True)
    return sorted(p for p in listing.stdout.split() if p.endswith(".c") and os.path.exists(os.path.join(TOP, p)))


def test_cppcheck():
    if not shutil.which("cppcheck"):
        raise check.Skip("cppcheck is not installed")
    files = sources()
    command = ["cppcheck", "-q", "-j2", "--std=c11", "--enable=warning,performance,portability", "--inline-suppr",
               "--suppress=missingIncludeSystem", "--suppress=missingInclude", "-D_GNU_SOURCE", '-DCCP_VERSION="0"',
               "-Iproxy", "-I.", "-Iproxy/sdk", "--template={file}:{line}: {id}: {message}", *files]
    result = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    lines = [l for l in (result.stdout + result.stderr).splitlines() if re.match(r"\S+:\d+: ", l)]
    found = [l for l in lines if not known(l)]
    assert result.returncode == 0 and not found, "\n".join(found) or result.stderr
    check.figure("SAN-04", "cppcheck: %d files, 0 findings beside %d known false ones" % (len(files), len(FALSE)))


def analysis(entry):
    """The build's own command for a file, with the analyzer and without an object."""
    words = shlex.split(entry["command"])
    drop = {words.index("-o"), words.index("-o") + 1, words.index("-c")}
    kept = [w for i, w in enumerate(words) if i not in drop and w != "-Werror" and not w.startswith("-O")
            and not w.startswith("-D_FORTIFY_SOURCE")]
    return kept + ["-O1", "-fanalyzer", "-S", "-o", "/dev/null"]


def test_analyzer():
    """gcc -fanalyzer over all C files of the release build, newest first while time lasts."""
    with open(os.path.join(os.path.dirname(BINARY), "compile_commands.json")) as f:
        entries = [e for e in json.load(f) if e["file"].endswith(".c") and os.path.exists(e["file"])]
    entries.sort(key=lambda e: -os.stat(e["file"]).st_mtime)
    end, done, found, running = time.monotonic() + BUDGET, 0, [], []
    for entry in entries:
        if time.monotonic() > end and not check.LONG:
            break
        running.append(subprocess.Popen(analysis(entry), cwd=entry["directory"], stderr=subprocess.PIPE, text=True))
        if len(running) == 2:
            found += findings(running.pop(0))
        done += 1
    for process in running:
        found += findings(process)
    assert done and not found, "\n".join(found)
    check.figure("SAN-04", "gcc -fanalyzer: %d of %d files, 0 findings" % (done, len(entries)))


def findings(process):
    text = process.communicate()[1]
    assert process.returncode == 0, text[-2000:]
    return [l for l in text.splitlines() if "[-Wanalyzer" in l and not known(l)]


if __name__ == "__main__":
    check.main(globals(), "lint/hardening")
