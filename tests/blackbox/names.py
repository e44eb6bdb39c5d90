"""Name lookups of the server under test as a test wants them: getaddrinfo is replaced by names_shim.c."""
import os
import re
import shutil
import subprocess
import tempfile

import server

HERE = os.path.dirname(os.path.abspath(__file__))


def preload(binary, library):
    """LD_PRELOAD for it: a sanitizer's library must stay the first one of the process."""
    listing = subprocess.run(["ldd", binary], capture_output=True, text=True)
    return " ".join(re.findall(r"=> (\S*/lib(?:asan|tsan)\.so\S*)", listing.stdout) + [library])


class Names:
    """names = Names({"a.test": "127.0.0.1"}); Server(config, env=names.env()); names.set("a.test", "nxdomain")"""

    def __init__(self, rows=None):
        self.folder = tempfile.mkdtemp(prefix="ccp-names-")
        self.file, self.log = os.path.join(self.folder, "rows"), os.path.join(self.folder, "calls")
        self.library = os.path.join(self.folder, "names.so")
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-Wall", "-o", self.library,
                        os.path.join(HERE, "names_shim.c"), "-ldl"], check=True)
        self.rows = dict(rows or {})
        self._write()

    def set(self, name, words):
        self.rows[name] = words
        self._write()

    def _write(self):
        with open(self.file + ".new", "w") as out:
            out.writelines("%s %s\n" % row for row in self.rows.items())
        os.rename(self.file + ".new", self.file)

    def calls(self, name=None):
        """(thread, name) of each lookup so far."""
        try:
            with open(self.log) as f:
                calls = [tuple(line.split(" ", 1)) for line in f.read().splitlines()]
        except FileNotFoundError:
            return []
        return [c for c in calls if name in (None, c[1])]

    def env(self, binary=None):
        """What Server(env=...) needs."""
        return {"LD_PRELOAD": preload(os.path.abspath(binary or server.BINARY), self.library), "NAMES_FILE": self.file,
                "NAMES_LOG": self.log}

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
