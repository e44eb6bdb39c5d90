"""A login that waits for its browser, what it may start instead of one, and a terminal to run it at."""
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
import urllib.parse

import rawhttp
from browser import Browser
from cli import query
from server import BINARY, SLOW

ENDPOINTS = ("client_id", "authorize_url", "token_url", "revoke_url", "device_url")


def block(server, name="acme", endpoints=ENDPOINTS + ("issuer",), **more):
    values = {k: v for k, v in server.endpoints().items() if k in endpoints}
    values.update({"scopes": ["openid", "a"], **more})
    lines = ["%s = %s" % (k, json.dumps(v)) for k, v in values.items()]
    return "\n[oauth.%s]\n%s\n" % (name, "\n".join(lines))


def callback_of(url):
    return urllib.parse.urlsplit(query(url)["redirect_uri"])


def get(port, target, **more):
    return rawhttp.once(port, "GET", target, **more)


class Login:
    """A login that waits for its browser: `port`, `path`, `state`."""

    def __init__(self, user, name="acme", *arguments, **more):
        self.running = user.start("login", name, "--no-browser", *arguments, **more)
        self.url = self.running.url("response_type=code")
        where = callback_of(self.url)
        self.port, self.path, self.state = where.port, where.path, query(self.url)["state"]

    def target(self, **parameters):
        return self.path + "?" + urllib.parse.urlencode(parameters)

    def finish(self):
        page = Browser().go(self.url)
        code, text = self.running.end()
        assert code == 0 and page.status == 200, "exit %d, page %d: %s" % (code, page.status, text)
        return text


WITNESS = """#!/usr/bin/env python3
import json, os, sys
fds = {}
for name in os.listdir("/proc/self/fd"):
    try:
        fds[name] = os.readlink("/proc/self/fd/" + name)
    except OSError:
        pass
out = "%s/" + str(os.getpid())
with open(out + ".new", "w") as file:
    json.dump({"argv": sys.argv[1:], "env": dict(os.environ), "fds": fds, "parent": os.getppid(),
               "session": os.getsid(0)}, file)
os.rename(out + ".new", out)
"""


class Witness:
    """A browser that writes down how it was started: one file for each start."""

    def __init__(self, user):
        self.folder = os.path.join(user.folder, "witness")
        os.mkdir(self.folder)
        self.program = os.path.join(user.folder, "browser")
        with open(self.program, "w", encoding="ascii") as out:
            out.write(WITNESS % self.folder)
        os.chmod(self.program, 0o755)

    def starts(self, wait=0.0):
        end = time.monotonic() + wait * SLOW
        while True:
            names = [n for n in os.listdir(self.folder) if not n.endswith(".new")]
            if names or time.monotonic() > end:
                found = []
                for name in names:
                    with open(os.path.join(self.folder, name), encoding="utf-8") as file:
                        found.append(json.load(file))
                return found
            time.sleep(0.02)


def answered(url):
    """What the browser shows after the login, where nobody listens at the redirect."""
    return Browser().go(url, stop_before=lambda u: "/callback?" in u).url


class Terminal:
    """A command at a terminal of 200 columns and 100 rows."""

    def __init__(self, user, *arguments, env=None):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 100, 200, 0, 0))
        self.process = subprocess.Popen([os.path.abspath(BINARY), "auth", *arguments, "-c", user.file], stdin=slave,
                                        stdout=slave, stderr=slave, start_new_session=True,
                                        env={**user.env, "TERM": "xterm", **(env or {})})
        os.close(slave)
        self.fd, self.seen = master, ""

    def ready(self, milliseconds):
        waits = select.poll()
        waits.register(self.fd, select.POLLIN)
        return bool(waits.poll(milliseconds))

    def until(self, pattern, seconds=10):
        end = time.monotonic() + seconds * SLOW
        while not re.search(pattern, self.seen):
            assert time.monotonic() < end, "%r never came: %r" % (pattern, self.seen)
            if self.ready(100):
                try:
                    self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
                except OSError:
                    break
        return re.search(pattern, self.seen)

    def type(self, text):
        os.write(self.fd, text.encode() + b"\n")

    def end(self):
        try:
            while True:
                if not self.ready(20000):
                    break
                data = os.read(self.fd, 65536)
                if not data:
                    break
                self.seen += data.decode("utf-8", "replace")
        except OSError:
            pass
        os.close(self.fd)
        return self.process.wait(10 * SLOW)
