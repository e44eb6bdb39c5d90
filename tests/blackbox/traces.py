"""The files of the request tracer: where they are, and what is in one (docs/tracing.md describes the format)."""
import os
import re
import stat
import time

ON = '[plugins.request_tracer]\nenabled = true\n'
MARK = re.compile(rb"== (\S+)((?: [a-z_]+=\d+)*)\n")


class Section:
    def __init__(self, name, facts, head, body):
        self.name, self.head, self.body = name, head, body
        self.attempt, self.left_out, self.at_us = facts.get("attempt", 0), facts["left_out"], facts["at_us"]

    def first(self):
        return self.head.split(b"\n", 1)[0].decode("latin-1")

    def header(self, name):
        """Values of all headers of that name."""
        lines = self.head.decode("latin-1").split("\n")[1:]
        return [l.split(": ", 1)[1] for l in lines if l.lower().startswith(name.lower() + ": ")]


class Trace:
    """Takes a file apart by its lengths; anything that is not exactly in its place is an error."""

    def __init__(self, data):
        head, rest = data.split(b"\n\n", 1)
        lines = head.decode(errors="replace").split("\n")
        assert lines[0] == "ccproxy-trace 1", lines[0]
        self.facts = dict(l.split(": ", 1) for l in lines[1:])
        self.sections = []
        while not rest.startswith(b"== end\n"):
            mark = MARK.match(rest)
            assert mark, "no section begins at %r" % rest[:80]
            facts = {k: int(v) for k, v in (f.split("=") for f in mark.group(2).decode().split())}
            at = mark.end()
            first, second = at + facts["head"], at + facts["head"] + facts["body"]
            assert rest[second:second + 1] == b"\n" and len(rest) > second, "a length is wrong: %r" % mark.group(0)
            self.sections.append(Section(mark.group(1).decode(), facts, rest[at:first], rest[first:second]))
            rest = rest[second + 1:]
        assert rest == b"== end\n", rest[:80]

    def of(self, name):
        return [s for s in self.sections if s.name == name]

    def one(self, name):
        found = self.of(name)
        assert len(found) == 1, "%d sections %s in %s" % (len(found), name, [s.name for s in self.sections])
        return found[0]


def folder(server):
    return os.path.join(server.folder, ".local", "state", "ccproxy", "plugins", "request_tracer")


def files(server):
    """Paths of all traces, oldest first."""
    found = []
    for where, _, names in os.walk(folder(server)):
        found += [os.path.join(where, n) for n in names]
    return sorted(found)


def wait_files(server, count, seconds=8):
    end = time.monotonic() + seconds
    while True:
        found = [f for f in files(server) if whole(f)]
        if len(found) >= count:
            return found
        assert time.monotonic() < end, "%d traces where %d should be:\n%s" % (len(found), count,
                                                                             server.log_text()[-2000:])
        time.sleep(0.01)


def whole(path):
    """Is it written to its end? A file of ours ends with a line that says so."""
    try:
        with open(path, "rb") as f:
            return f.read().endswith(b"== end\n")
    except OSError:
        return False


def read(path):
    with open(path, "rb") as f:
        return Trace(f.read())


def modes(server):
    """(modes of folders, modes of files) below the plugin's folder, itself included."""
    folders, plain = set(), set()
    for where, _, names in os.walk(folder(server)):
        folders.add(stat.S_IMODE(os.stat(where).st_mode))
        plain |= {stat.S_IMODE(os.stat(os.path.join(where, n)).st_mode) for n in names}
    return folders, plain
