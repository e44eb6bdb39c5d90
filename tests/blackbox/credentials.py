"""The credential store in processes of its own: tests/auth/credentials.c run, traced, stopped and made to fail."""
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile

import names
import server

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.path.join(os.path.dirname(os.path.abspath(server.BINARY)), "credentials")
OK, MISSING, UNSAFE, BROKEN, SEALED, BUSY, STOPPED, IO = range(8)  # enum store_status
NOBODY = 65534


class Folder:
    """with Folder() as f: f.run("save", "p", "a", "1", "w"); its store is f.store, below a folder of its own."""

    def __init__(self, base=None):
        self.top = tempfile.mkdtemp(prefix="ccp-store-", dir=base)
        self.store = os.path.join(self.top, "auth")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.top, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.store, name)

    def outside(self, name, content=None, mode=0o600):
        path = os.path.join(self.top, name)
        if content is not None:
            write(path, content, mode)
        return path

    def command(self, *arguments, options=()):
        return [TOOL, self.store, *options, *arguments]

    def run(self, *arguments, options=(), env=None, wrap=(), umask=-1):
        return subprocess.run([*wrap, *self.command(*arguments, options=options)], capture_output=True, text=True,
                              timeout=100, env=environment(env), umask=umask, cwd=self.top)

    def good(self, *arguments, **more):
        done = self.run(*arguments, **more)
        assert done.returncode == 0, "%s: %d %s%s" % (arguments, done.returncode, done.stdout, done.stderr)
        return done

    def fails(self, status, *arguments, **more):
        done = self.run(*arguments, **more)
        said = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
        assert done.returncode == 10 + status and said.startswith("error %d " % status) and len(said) > 20, (
            "%s: wanted status %d, got %d %s%s" % (arguments, status, done.returncode, done.stdout, done.stderr))
        return said

    def record(self, provider="p", label="a", **more):
        """(generation, access token, refresh token)"""
        words = self.good("read", provider, label, **more).stdout.split()
        return int(words[1]), words[2], words[3]

    def leftovers(self):
        return glob.glob(os.path.join(self.top, "**", "*.ccproxy-*"), recursive=True)


def environment(extra=None):
    env = {k: v for k, v in os.environ.items() if k in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")}
    return {**env, **(extra or {})}


def traced(extra=None):
    """Leaks cannot be sought in a process that is traced or killed."""
    env = environment(extra)
    env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    return env


def write(path, content, mode=0o600):
    with open(path, "wb") as out:
        out.write(content)
    os.chmod(path, mode)


def content(path):
    with open(path, "rb") as f:
        return f.read()


def mode(path):
    return os.lstat(path).st_mode & 0o7777


class Shim:
    """tests/auth/syscalls.c, compiled; env(SYSCALLS_FAIL=3) preloads it behind a sanitizer's library."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="ccp-shim-")
        self.library = os.path.join(self.folder, "syscalls.so")
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-Wall", "-o", self.library,
                        os.path.join(HERE, "..", "auth", "syscalls.c"), "-ldl"], check=True)
        self.preload = names.preload(TOOL, self.library)

    def env(self, **settings):
        return traced({"LD_PRELOAD": self.preload, **{k: str(v) for k, v in settings.items()}})

    def calls(self, folder, *arguments, options=()):
        """The names of the counted calls of one command, in order."""
        log = os.path.join(self.folder, "log")
        if os.path.exists(log):
            os.unlink(log)
        done = subprocess.run(folder.command(*arguments, options=options), env=self.env(SYSCALLS_LOG=log),
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return [line.split()[1] for line in open(log)]

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def at_each_stop(command, env, look, umask=-1):
    """Runs the command with SYSCALLS_STOP; look(n) between each two of its calls. (stops, exit status, output)"""
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, umask=umask)
    stops = 0
    try:
        while True:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                process.returncode = os.waitstatus_to_exitcode(status)
                return stops, process.returncode, process.stdout.read().decode()
            stops += 1
            look(stops)
            os.kill(process.pid, signal.SIGCONT)
    finally:
        if process.returncode is None:
            process.kill()
        process.stdout.close()


def trace(folder, *arguments, options=()):
    """[(call, arguments as text, result)] of a command, as strace saw them."""
    out = os.path.join(folder.top, "trace")
    done = subprocess.run(["strace", "-f", "-o", out, "-s", "100000", "-xx", "-e",
                           "trace=openat,open,write,fsync,fdatasync,renameat,renameat2,rename,unlinkat,unlink,close,"
                           "ftruncate,fchmod,link,linkat", *folder.command(*arguments, options=options)],
                          env=traced(), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    calls = []
    for line in open(out):
        match = re.match(r"\d+\s+(\w+)\((.*)\)\s+= (-?\d+)", line)
        if match:
            calls.append((match.group(1), plain(match.group(2)), int(match.group(3))))
    os.unlink(out)
    return calls


def plain(text):
    """strace's -xx strings as text."""
    return re.sub(r'"((?:\\x[0-9a-f]{2})*)"', lambda m: '"%s"' % bytes.fromhex(m.group(1).replace("\\x", "")).decode(
        "latin-1"), text)
