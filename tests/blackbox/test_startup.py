"""Addresses that cannot be had, and the rights of the process: exit codes, texts, and what is left behind (nothing)."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import check
from server import BINARY, SLOW, Server, environment, free_port

NOBODY = 65534
MOCK = "[plugins.mock]\nenabled = true\n"


def attempt(host, port, user=None, more=""):
    """A start that is expected to end by itself: (exit code, text, seconds)."""
    folder = tempfile.mkdtemp(prefix="ccp-start-")
    try:
        path, binary = os.path.join(folder, "c.toml"), os.path.abspath(BINARY)
        with open(path, "w") as out:
            out.write("[server]\nhost = %s\nport = %d\n%s\n%s" % (host, port, more, MOCK))
        if user is not None:  # the build may lie where that user cannot go
            binary = shutil.copy(binary, folder)
            os.chmod(folder, 0o755)
            os.chmod(path, 0o644)
        started = time.monotonic()
        process = subprocess.Popen([binary, "serve", "-c", path], cwd=folder, env=environment(folder), text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   **({"user": user, "group": user, "extra_groups": []} if user is not None else {}))
        try:
            text = process.communicate(timeout=10 * SLOW)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            text = process.communicate()[0]
            raise AssertionError("it serves:\n" + text)
        return process.returncode, text, time.monotonic() - started
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def answers(port, host="127.0.0.1"):
    with socket.socket() as s:
        return s.connect_ex((host, port)) == 0


def low_port():
    first = int(open("/proc/sys/net/ipv4/ip_unprivileged_port_start").read())
    for port in range(min(first, 1024) - 1, 0, -1):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise check.Skip("every port is free for everyone here")


def root_only():
    if os.geteuid() != 0:
        raise check.Skip("needs root")


def test_addresses():
    """In use, not there, not allowed; also as the second of two hosts, when the first was bound already."""
    ends = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port, other = taken.getsockname()[1], free_port()
        rows = {
            "in-use": ('"127.0.0.1"', port, None, 69, "already in use", None),
            "second-in-use": ('["127.0.0.2", "127.0.0.1"]', port, None, 69, "already in use", ("127.0.0.2", port)),
            "not-there": ('"192.0.2.1"', other, None, 69, "192.0.2.1:%d: Cannot assign" % other, None),
            "second-not-there": ('["127.0.0.1", "192.0.2.1"]', other, None, 69, "Cannot assign", ("127.0.0.1", other)),
        }
        if os.geteuid() == 0:
            low = low_port()
            rows["low-port"] = ('"127.0.0.1"', low, NOBODY, 77, "127.0.0.1:%d: no right to listen here" % low,
                                ("127.0.0.1", low))
        for name, (host, number, user, wanted, words, left) in rows.items():
            code, text, seconds = attempt(host, number, user)
            problem = None
            if code != wanted or words not in text or "cannot listen" not in text:
                problem = "exit %s, not %d:\n%s" % (code, wanted, text)
            elif "listening on" in text or left and answers(left[1], left[0]):
                problem = "a part of the addresses was served"
            elif text.strip().count("\n") > 0:
                problem = "more than one line:\n" + text
            ends.append((name, code))
            yield name, problem
    check.figure("CFG-09", "%s; one line each, nothing left listening" % ", ".join("%s %s" % e for e in ends))


def status_of(pid):
    with open("/proc/%d/status" % pid) as f:
        return {l.split(":")[0]: l.split(":")[1].split() for l in f}


def test_root_without_user():
    root_only()
    with Server(MOCK) as server:
        assert server.request("GET", "/health").status == 200
        server.wait_log("running as root; set server.user")  # the last line of the banner
    check.figure("CFG-10", "root without user: warned, served")


def test_root_with_user():
    """Binds a low port as root, then every thread is nobody for good: no id, no group, no capability to come back."""
    root_only()
    folder = tempfile.mkdtemp(prefix="ccp-user-")
    os.chmod(folder, 0o777)
    port = low_port()
    path = os.path.join(folder, "c.toml")
    with open(path, "w") as out:
        out.write('[server]\nhost = "127.0.0.1"\nport = %d\nworkers = 2\nuser = "nobody"\nunix_socket = "%s/s"\n%s' % (
            port, folder, MOCK))
    os.chmod(path, 0o644)
    process = subprocess.Popen([os.path.abspath(BINARY), "serve", "-c", path], cwd=folder, env=environment(folder),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = ""
        while "listening on" not in said:  # said when all threads run
            line = process.stdout.readline()
            assert line, said
            said += line
        assert answers(port)
        tasks = os.listdir("/proc/%d/task" % process.pid)
        for task in tasks:
            status = status_of(int(task))
            assert set(status["Uid"]) == {str(NOBODY)} and set(status["Gid"]) == {str(NOBODY)}, status
            assert "0" not in status["Groups"], status["Groups"]
            for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
                assert int(status[kind][0], 16) == 0, (kind, status[kind])
        owner = os.stat(folder + "/s").st_uid
        assert owner == NOBODY, owner
    finally:
        process.send_signal(signal.SIGTERM)
        text = said + process.communicate(timeout=20)[0]
        shutil.rmtree(folder, ignore_errors=True)
    assert process.returncode == 0, text
    assert "running as root" not in text, text
    code, text, _ = attempt('"127.0.0.1"', free_port(), more='user = "no-such-user-here"')
    assert code == 78 and "no-such-user-here" in text, (code, text)
    check.figure("CFG-10", "user: bound port %d as root, then %d threads with uid %d, no capability" % (
        port, len(tasks), NOBODY))


if __name__ == "__main__":
    check.main(globals(), "blackbox/startup")
