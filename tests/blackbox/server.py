"""Starts and stops the ccproxy under test, each with its own folder, configuration, port and log."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import rawhttp

BINARY = os.environ.get("CCPROXY_BIN", "build-asan/ccproxy")


def sanitized():
    try:
        with open(BINARY, "rb") as f:
            return b"__asan_init" in f.read()
    except OSError:
        return False


SLOW = 8 if sanitized() else 1  # time limits of the product are for a release build


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def environment(home, extra=None):
    """Nothing of the caller's environment but what sanitizers need: no keys, no proxies."""
    env = {k: v for k, v in os.environ.items() if k in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")}
    env.update({"HOME": home, "LANG": "C.UTF-8", **(extra or {})})
    return env


def run(*arguments, cwd=None, env=None, timeout=30):
    """Runs one command of the binary to its end."""
    home = tempfile.mkdtemp(prefix="ccp-home-")
    try:
        return subprocess.run([os.path.abspath(BINARY), *arguments], cwd=cwd or home, env=environment(home, env),
                              capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    finally:
        shutil.rmtree(home, ignore_errors=True)


class Server:
    """with Server('[plugins.openai]\\nbase_url = "…"') as s: s.request(...)"""

    def __init__(self, config="", server="", arguments=(), env=None, binary=None, wait=True, scheme_tls=False,
                 host="127.0.0.1"):
        self.port, self.tls, self.host = free_port(), scheme_tls, host
        self.folder = tempfile.mkdtemp(prefix="ccp-test-")
        self.log = os.path.join(self.folder, "log")
        self.file = os.path.join(self.folder, "config.toml")
        self.write(config, server)
        self.stdout = open(os.path.join(self.folder, "stdout"), "wb")
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [os.path.abspath(binary or BINARY), "serve", "-c", self.file, *arguments], cwd=self.folder,
            env=environment(self.folder, env), stdin=subprocess.DEVNULL, stdout=self.stdout, stderr=subprocess.STDOUT)
        if wait:
            self.wait_ready()

    def write(self, config, server=""):
        """Top-level tables of `config` follow ours; `server` holds more lines for [server]."""
        with open(self.file, "w") as out:
            out.write('[server]\nhost = "%s"\nport = %d\nworkers = 2\n%s\n' % (self.host, self.port, server))
            out.write('[logging]\nlevel = "info"\nformat = "json"\nfile = "%s"\n%s\n' % (self.log, config))

    def wait_ready(self, seconds=20):
        end = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, "ccproxy ended with %s at its start:\n%s" % (
                self.process.returncode, self.output())
            try:
                with rawhttp.Connection(self.port, tls=self.tls, timeout=5) as c:
                    if c.request("GET", "/health/live").status == 200:
                        self.ready = time.monotonic()
                        return
            except OSError:
                pass
            assert time.monotonic() < end, "ccproxy was not ready in time:\n" + self.output()
            time.sleep(0.003)

    def connect(self, **more):
        return rawhttp.Connection(self.port, tls=self.tls, **more)

    def request(self, method, path, body=None, headers=(), host=None, **more):
        with self.connect(**more) as connection:
            return connection.request(method, path, body, headers, host)

    def post(self, path, value, headers=(), **more):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.request("POST", path, body, headers, **more)

    def output(self):
        with open(self.stdout.name, errors="replace") as f:
            return f.read()[-6000:]

    def log_text(self):
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, text, seconds=3, times=1):
        end = time.monotonic() + seconds
        while (self.log_text() + self.output()).count(text) < times:
            assert time.monotonic() < end, "%r never came into the log:\n%s" % (text, self.log_text()[-3000:])
            time.sleep(0.01)

    def rss(self):
        with open("/proc/%d/status" % self.process.pid) as f:
            return next(int(l.split()[1]) * 1024 for l in f if l.startswith("VmRSS"))

    def stop(self, seconds=40):
        """Ends the server and fails when it did not end well: a sanitizer report is an exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "no end within %d s" % seconds
        self.stdout.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        code = self.stop()
        with open(self.stdout.name, errors="replace") as f:
            tail = f.read()[-6000:]
        if kind is not None:
            print("    server said: " + "\n    ".join((tail + self.log_text()[-3000:]).splitlines()[-40:]))
        shutil.rmtree(self.folder, ignore_errors=True)
        if kind is None:
            assert code == 0, "ccproxy ended with %s:\n%s" % (code, tail)
