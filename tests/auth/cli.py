"""A user with a home folder and a configuration who runs `ccproxy auth …`, without a terminal."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.parse

from browser import Browser
from server import BINARY, SLOW, environment

URL = re.compile(r"https?://[^\s\x1b]+")


class Running:
    """A command that is still running; what it says is read as it comes."""

    def __init__(self, command, cwd, env, stdin):
        self.process = subprocess.Popen(command, cwd=cwd, env=env, stdin=stdin, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.pieces = {"stdout": b"", "stderr": b""}
        self.threads = [threading.Thread(target=self._read, args=(name,), daemon=True) for name in self.pieces]
        for thread in self.threads:
            thread.start()

    def _read(self, name):
        stream = getattr(self.process, name)
        while True:
            data = os.read(stream.fileno(), 65536)
            if not data:
                return
            self.pieces[name] += data

    @property
    def text(self):
        return (self.pieces["stdout"] + self.pieces["stderr"]).decode("utf-8", "replace")

    def until(self, pattern, seconds=5):
        """The first match of `pattern` in all that was said."""
        end = time.monotonic() + seconds * SLOW
        while True:
            found = re.search(pattern, self.text)
            if found:
                return found
            assert self.process.poll() is None and time.monotonic() < end, "%r never came; exit %s; said:\n%s" % (
                pattern, self.process.poll(), self.text)
            time.sleep(0.01)

    def url(self, part="", seconds=5):
        """The URL that the user is told to open: the first one that holds `part`, once its line is complete."""
        found = self.until(r"https?://[^\s\x1b]*%s[^\s\x1b]*\s" % re.escape(part), seconds)
        return found[0].strip()

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def end(self, seconds=10):
        """Waits for the end: (exit status, all that was said)."""
        try:
            code = self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the command did not end; said:\n" + self.text) from None
        for thread in self.threads:
            thread.join(5)
        return code, self.text

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


class User:
    """with User('[oauth.acme]\\n…') as user: user.run("status", "acme")"""

    def __init__(self, config="", env=None):
        self.folder = tempfile.mkdtemp(prefix="ccp-user-")
        self.store = os.path.join(self.folder, "logins")
        self.file = os.path.join(self.folder, "config.toml")
        self.env = environment(self.folder, env)
        self.running = []
        self.write(config)

    def write(self, config):
        """`config` may have an [auth] table of its own in its first line."""
        head, _, rest = config.partition("\n")
        more = head + "\n" + rest if not head.startswith("refresh_before") else rest
        auth = head if head.startswith("refresh_before") else ""
        self.config = '[auth]\ndirectory = "%s"\n%s\n%s' % (self.store, auth, more)
        with open(self.file, "w") as out:
            out.write(self.config)

    def start(self, *arguments, stdin=subprocess.DEVNULL, env=None):
        command = [os.path.abspath(BINARY), "auth", *arguments, "-c", self.file]
        self.running.append(Running(command, self.folder, {**self.env, **(env or {})}, stdin))
        return self.running[-1]

    def run(self, *arguments, env=None, seconds=10):
        """(exit status, all that was said)"""
        return self.start(*arguments, env=env).end(seconds)

    def json(self, *arguments):
        """(exit status, what --json prints)"""
        running = self.start(*arguments, "--json")
        code, text = running.end()
        try:
            return code, json.loads(running.pieces["stdout"])
        except ValueError:
            raise AssertionError("no JSON (exit %d): %s" % (code, text)) from None

    def good(self, *arguments, **more):
        code, text = self.run(*arguments, **more)
        assert code == 0, "auth %s: exit %d: %s" % (" ".join(arguments), code, text)
        return text

    def login(self, name, *arguments, browser=None):
        """A login through the browser to its end: (exit status, all that was said, last page)."""
        running = self.start("login", name, "--no-browser", *arguments)
        page = (browser or Browser()).go(running.url("response_type=code"))
        code, text = running.end()
        return code, text, page

    def logged_in(self, name, *arguments, browser=None):
        code, text, page = self.login(name, *arguments, browser=browser)
        assert code == 0 and page.status == 200, "exit %d, page %d: %s" % (code, page.status, text)
        return text

    def path(self, name, account="default", kind="json"):
        return os.path.join(self.store, "%s.%s.%s" % (name, account, kind))

    def record(self, name, account="default"):
        """What is stored, or None."""
        try:
            with open(self.path(name, account), encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for running in self.running:
            running.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def query(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query, keep_blank_values=True))
