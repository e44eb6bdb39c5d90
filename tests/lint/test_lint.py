"""What a compiler does not check: who includes whom, whether headers stand alone, open marks, the example file."""
import os
import re
import subprocess

import check
from server import run

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# rank of each folder; a folder may include itself and folders of a lower rank
RANKS = {"proxy/sdk/ccproxy": 0, "proxy/base": 1, "proxy/wire": 2, "config": 2, "proxy/format": 3, "proxy/upstream": 3,
         "auth": 4, "proxy/plugin": 5, "proxy/chain": 6, "proxy/http": 7, "proxy/testing": 7,
         "proxy/app": 8}
GUESTS = ("providers", "system-plugins", "proxy/sdk/examples")
OWNERS = {"h2o": "proxy/http", "curl": "proxy/upstream", "toml++": "config"}  # a library and the one folder that names it
LONGEST = 500


def sources(*ends):
    listing = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=TOP,
                             capture_output=True, text=True, check=True).stdout.split("\n")
    return sorted(p for p in set(listing) if p.endswith(ends) and os.path.isfile(os.path.join(TOP, p)))


def text_of(path):
    return open(os.path.join(TOP, path), errors="replace").read()


def includes(path):
    return re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', text_of(path), re.M)


def folder_of(path):
    best = [f for f in RANKS if path.startswith(f + "/")]
    return max(best, key=len) if best else None


def target_folder(name):
    """The folder that an include like <base/arena.h> means, or None for the system's."""
    for folder in RANKS:
        if name.split("/")[0] == os.path.basename(folder) and os.path.exists(os.path.join(TOP, folder, name.split("/", 1)[-1])):
            return folder
    return None


def test_ranks():
    wrong, edges = [], {}
    product = [p for p in sources(".c", ".h", ".cc", ".def") if not p.startswith("tests/")]
    for path in product:
        guest = path.startswith(tuple(g + "/" for g in GUESTS))
        own = os.path.dirname(path) if guest else folder_of(path)
        if own is None:
            wrong.append("%s lies in no known folder" % path)
            continue
        for _, name in includes(path):
            to = target_folder(name)
            if to is None or to == own:
                continue
            edges.setdefault(own.split("/")[0] + "/*" if guest else own, set()).add(to)
            if guest and to != "proxy/sdk/ccproxy":
                wrong.append("%s includes <%s>: a guest sees the SDK only" % (path, name))
            elif not guest and RANKS[to] >= RANKS[own]:
                wrong.append("%s (rank %d) includes <%s> (rank %d)" % (path, RANKS[own], name, RANKS[to]))
            elif to != own and name.endswith("_impl.h"):
                wrong.append("%s includes <%s>, which belongs to another folder" % (path, name))
    graph = ["%-18s %s" % (f, " ".join(sorted(os.path.basename(t) for t in edges[f])))
             for f in sorted(edges, key=lambda f: RANKS.get(f, 9))]
    print("\n".join("    " + l for l in ["who includes whom:"] + graph))
    assert product and not wrong, "\n".join(wrong)


def test_one_folder_per_library():
    wrong = []
    for path in sources(".c", ".h", ".cc"):
        for _, name in includes(path):
            owner = OWNERS.get(name.split("/")[0].split(".")[0])
            if owner and not path.startswith((owner + "/", "tests/")):
                wrong.append("%s includes <%s>; only %s may" % (path, name, owner))
    assert not wrong, "\n".join(wrong)


def test_no_header_cycles():
    graph = {}
    for path in sources(".h"):
        if not path.startswith("tests/"):
            links = [(target_folder(n), n.split("/", 1)[-1]) for _, n in includes(path)]
            graph[path] = [os.path.join(f, n) for f, n in links if f]
    state, cycles = {}, []

    def visit(path, trail):
        state[path] = "open"
        for to in graph.get(path, ()):
            if state.get(to) == "open":
                cycles.append(" -> ".join(trail[trail.index(to):] + [to]) if to in trail else to)
            elif to not in state:
                visit(to, trail + [to])
        state[path] = "done"

    for path in graph:
        if path not in state:
            visit(path, [path])
    assert graph and not cycles, "\n".join(cycles)


def compile_flags():
    """Include folders and definitions that some library of the build uses, for folders above the SDK."""
    flags = subprocess.run(["pkg-config", "--cflags", "libh2o-evloop", "libcurl", "jansson", "libzstd"],
                           capture_output=True, text=True).stdout.split()
    return flags + ["-DH2O_USE_LIBUV=0", "-D_GNU_SOURCE", '-DCCP_VERSION="0"', "-I" + os.path.join(TOP, "proxy"), "-I" + TOP,
                    "-I" + os.path.join(TOP, "proxy/sdk")]


def test_headers_stand_alone():
    """Each header compiles on its own, and twice."""
    wrong = []
    for path in sources(".h"):
        if path.startswith("tests/") or path.endswith("banned.h"):
            continue
        unit = '#include "%s"\n#include "%s"\n' % (os.path.join(TOP, path), os.path.join(TOP, path))
        flags = ["-I" + os.path.join(TOP, "proxy/sdk")] if path.startswith("proxy/sdk/") else compile_flags()
        result = subprocess.run(["gcc", "-std=gnu11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
                                 "-Wno-unused-function", "-x", "c", *flags, "-"], input=unit, capture_output=True, text=True)
        if result.returncode:
            wrong.append(path + ":\n" + result.stderr[:600])
    assert not wrong, "\n".join(wrong)


def test_no_open_marks():
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
    found = []
    for path in sources(".c", ".h", ".cc", ".def", ".py", ".mjs", ".sh", "CMakeLists.txt", "run", "test"):
        for number, line in enumerate(text_of(path).split("\n"), 1):
            if marks.search(line):
                found.append("%s:%d: %s" % (path, number, line.strip()))
    assert not found, "\n".join(found)


def test_file_heads_and_lengths():
    """A file says at its top what it is; no file is past the length that one idea takes."""
    wrong = []
    for path in sources(".c", ".h", ".cc"):
        text = text_of(path)
        if not re.match(r"\s*/[*/]", text):
            wrong.append("%s does not begin with a comment" % path)
        if text.count("\n") > LONGEST and not path.startswith("tests/"):
            wrong.append("%s has %d lines" % (path, text.count("\n")))
    assert not wrong, "\n".join(wrong)


def test_no_paths_of_one_machine():
    """Nothing in the product points outside the clone, but the one line of .ci/run."""
    outside = re.compile(r"(?<![\w.])\.\./" + "shared|/" + "work/|/ro" + "ot/|/home/[a-z]")
    found = [p for p in sources("") if p != ".ci/run" and not p.startswith("tests/fixtures/")
             and "\0" not in text_of(p)[:1000] and outside.search(text_of(p))]
    assert not found, "\n".join(found)


def test_no_real_secrets():
    """Key-shaped text in the tree is invented and says so."""
    shape = re.compile(r"\b(sk-(?:ant-|proj-)?[A-Za-z0-9_-]{24,}|AIza[A-Za-z0-9_-]{30,}|gh[opsu]_[A-Za-z0-9]{30,})")
    invented = re.compile("fixture|example|test|dummy|canary", re.I)
    found = ["%s: %s" % (p, m) for p in sources("") for m in shape.findall(text_of(p)) if not invented.search(m)]
    assert not found, "\n".join(found)


def test_layout():
    """clang-format has nothing to say (where it is installed)."""
    if subprocess.run(["sh", "-c", "command -v clang-format"], capture_output=True).returncode:
        raise check.Skip("clang-format is not installed")
    files = [os.path.join(TOP, p) for p in sources(".c", ".h")]
    result = subprocess.run(["clang-format", "--dry-run", "--Werror", *files], capture_output=True, text=True, cwd=TOP)
    bad = sorted(set(re.findall(r"^%s/(\S+?):\d+" % re.escape(TOP), result.stderr, re.M)))
    assert result.returncode == 0, "not formatted: " + " ".join(bad)


def test_example_file_has_not_drifted():
    path = os.path.join(TOP, "ccproxy.toml.example")
    printed = run("config", "example")
    assert printed.returncode == 0, printed.stderr
    assert os.path.exists(path), "ccproxy.toml.example is missing: ccproxy config example > ccproxy.toml.example"
    assert printed.stdout == open(path).read(), "ccproxy.toml.example differs from `ccproxy config example`"


def test_reliability_page_has_not_drifted():
    result = subprocess.run([os.path.join(TOP, "tests/reliability/render"), "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_translation_page_has_not_drifted():
    result = subprocess.run([os.path.join(TOP, "tests/translation/render"), "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_dynamic_symbols():
    """The executable exports the guard's names and nothing else of its own."""
    path = os.path.join(TOP, "proxy/http/guard.map")
    if not os.path.exists(path):
        raise check.Skip("no guard.map yet")
    wanted = set(re.findall(r"^\s*(\w+);", text_of("proxy/http/guard.map"), re.M))
    binary = os.environ.get("CCPROXY_RELEASE_BIN", os.path.join(TOP, "build", "ccproxy"))
    out = subprocess.run(["nm", "-D", "--defined-only", binary], capture_output=True, text=True, check=True).stdout
    ours = {l.split()[-1] for l in out.splitlines() if l.split()[-2] == "T"} - {"_init", "_fini", "_start", "main"}
    assert wanted <= ours, "not exported: %s" % sorted(wanted - ours)
    extra = sorted(n for n in ours - wanted if not n.startswith(("_Z", "_ITM", "__")))
    assert not extra, "exported as well: %s" % extra


if __name__ == "__main__":
    check.main(globals(), "lint/lint")
