"""A login stored in a folder, the mock identity provider that gave it, and the tool that renews it (refresher.c)."""
import hashlib
import json
import mmap
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time

import idp
import server

TOOL = os.path.join(os.path.dirname(os.path.abspath(server.BINARY)), "refresher")


def needed():
    assert os.path.exists(TOOL), "%s is not built" % TOOL


class Line:
    """`result RESULT us generation token retry_after unsaved | text`, or another word with its time."""

    def __init__(self, text):
        head, _, self.text = text.rstrip("\n").partition(" | ")
        self.words = head.split(" ")
        self.word, self.raw = self.words[0], text
        if self.word == "result":
            _, self.result, us, generation, self.token, retry, unsaved = self.words
            self.generation, self.retry_after_ms, self.unsaved = int(generation), int(retry), unsaved == "1"
            self.at = int(us) / 1e6
        elif self.word in ("request", "answered", "ready", "blocked", "written"):
            self.at = int(self.words[1]) / 1e6


class Tool:
    """A running refresher. Lines are read on demand."""

    def __init__(self, lab, mode, *options, env=None, account="default"):
        command = [TOOL, mode, "--dir", lab.folder, "--url", lab.idp.url, "--account", account, *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=server.environment(lab.folder, env), text=True)
        self.lines = []
        self.started = time.monotonic()

    def next(self, word=None):
        """The next line, or the next one with this word; None at the end."""
        while True:
            text = self.process.stdout.readline()
            if not text:
                return None
            self.lines.append(Line(text))
            if word in (None, self.lines[-1].word):
                return self.lines[-1]

    def results(self):
        """Waits for its end; all results."""
        rest = self.process.communicate()[0]
        self.lines += [Line(l) for l in rest.splitlines()]
        assert self.process.returncode in range(10, 20), "refresher ended with %s:\n%s" % (
            self.process.returncode, "".join(l.raw + "\n" for l in self.lines[-30:]))
        return [l for l in self.lines if l.word == "result"]

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        """Of watch and spin: end of input, and the rest of the lines."""
        self.lines += [Line(l) for l in self.process.communicate()[0].splitlines()]
        assert self.process.returncode == 0, "refresher ended with %s: %s" % (
            self.process.returncode, [l.raw for l in self.lines[-10:]])
        return self.lines

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        self.process.stdin.close()
        self.process.stdout.close()


class Lab:
    def __init__(self, grace=0.0, lifetime=3600, accounts=("default",), where=None):
        needed()
        self.folder = tempfile.mkdtemp(prefix="ccp-renew-", dir=where)
        os.chmod(self.folder, 0o700)
        self.idp = idp.Idp()
        self.idp.grants.grace, self.idp.grants.access_lifetime = grace, lifetime
        self.page_file = os.path.join(self.folder, "page")
        with open(self.page_file, "wb") as out:
            out.write(bytes(4096))
        with open(self.page_file, "r+b") as page:
            self.page = mmap.mmap(page.fileno(), 4096)
        for account in accounts:
            self.login(account)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.idp.close()
        self.page.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- what is stored --

    def path(self, account="default", kind="json"):
        return os.path.join(self.folder, "test.%s.%s" % (account, kind))

    def login(self, account="default", generation=1, expires_in=3600, **more):
        """A new login as `auth login` would store it."""
        token, now = self.idp.grants.begin(client_id="test-client"), int(time.time())
        record = {"version": 1, "provider": "test", "account": account, "generation": generation,
                  "access_token": token["access_token"], "refresh_token": token["refresh_token"],
                  "token_type": "Bearer", "obtained_at": now, "expires_at": now + expires_in,
                  "token_url": self.idp.url + "/token", "client_id": "test-client", "origins": [],
                  "x_of_a_newer_version": {"keep": [1, 2.50, "\u00e9"]}, **more}
        self.store(self.path(account), {k: v for k, v in record.items() if v is not None})
        return record

    @staticmethod
    def store(path, value):
        temporary = path + ".new"
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(value, out)
        os.rename(temporary, path)

    def raw(self, account="default"):
        with open(self.path(account), "rb") as f:
            return f.read()

    def record(self, account="default"):
        return json.loads(self.raw(account))

    def note(self, kind, account="default"):
        try:
            with open(self.path(account, kind)) as f:
                return json.load(f)
        except FileNotFoundError:
            return None

    def identity(self, account="default"):
        """Changes with every write, also of the same bytes."""
        st = os.stat(self.path(account))
        return st.st_ino, st.st_mtime_ns, hashlib.sha256(self.raw(account)).digest()

    def leftovers(self):
        kinds = (".json", ".lock", ".intent", ".state")
        return [n for n in os.listdir(self.folder) if n != "page" and not n.endswith(kinds)]

    def alive(self, account="default"):
        """Would the stored refresh token be taken by the server?"""
        return self.idp.grants.usable(self.record(account)["refresh_token"])

    # -- who renews it --

    def tool(self, mode, *options, **more):
        return Tool(self, mode, *options, **more)

    def once(self, *options, **more):
        """One call to its end: its last result."""
        return self.several(*options, **more)[-1]

    def several(self, *options, **more):
        with self.tool("once", *options, **more) as tool:
            results = tool.results()
            for line in results:
                assert "at-" not in line.text and "rt-" not in line.text, "a token in a text: " + line.text
            return results

    def posts(self):
        return len(self.idp.posts("refresh"))

    def ahead(self):
        return struct.unpack_from("q", self.page)[0]

    def advance(self, seconds):
        """The wall clock of all tools with --page goes on."""
        struct.pack_into("q", self.page, 0, self.ahead() + seconds)


def syscalls(folder):
    """The environment that preloads syscalls.c into a tool."""
    library, here = os.path.join(folder, "syscalls.so"), os.path.dirname(os.path.abspath(__file__))
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, os.path.join(here, "syscalls.c"), "-ldl"],
                   check=True, capture_output=True)
    return {"LD_PRELOAD": library,
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


def vendor_file(lab, **more):
    folder = os.path.join(lab.folder, "vendor")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path, token = os.path.join(folder, "credentials.json"), lab.idp.grants.begin(client_id="test-client")
    lab.store(path, {"mcp": {"other": [1, 2.50]}, "vendorOauth": {
        "accessToken": token["access_token"], "refreshToken": token["refresh_token"],
        "expiresAt": int(time.time() + 3600) * 1000, "scopes": ["a"], "tier": "keep", **more}})
    return path


def rotate_by_hand(lab, path, layout):
    """What a vendor's program does: uses the refresh token of the file and writes the file, without our lock."""
    with open(path) as f:
        value = json.load(f)
    holder = value["vendorOauth"] if layout == "foreign" else value
    names = (("refreshToken", "accessToken", "expiresAt") if layout == "foreign"
             else ("refresh_token", "access_token", "expires_at"))
    newer = lab.idp.grants.renew(holder[names[0]], "test-client")
    end = int(time.time()) + lab.ahead() + 7000
    holder.update({names[0]: newer["refresh_token"], names[1]: newer["access_token"],
                   names[2]: end * 1000 if layout == "foreign" else end})
    if layout == "own":
        value["generation"] += 1
    lab.store(path, value)
    return newer["access_token"]
