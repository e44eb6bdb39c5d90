"""A loop that does not come round: reported with its stack, ended when it lasts; and what must not be taken for one.

The program under test has fault points: `chain.block` holds a worker up inside a request. Limits are shortened by
CCP_FAULT_WATCHDOG where the test says so; --long runs the real ones (1 s and 10 s).
"""
import os
import re
import signal
import socket
import subprocess
import threading
import time

import check
from server import BINARY, SLOW, Server

MOCK = '[plugins.mock]\nenabled = true\n'
BODY = b'{"model":"mock-small","messages":[{"role":"user","content":"hi"}]}'
SCALE = 1 if check.LONG else 0.25
REPORT, END = int(1000 * SCALE), int(10000 * SCALE)


def blocking(ms, short=not check.LONG, **more):
    env = {"CCPROXY_FAULT": "chain.block:2", "CCP_FAULT_BLOCK": str(ms), **more}
    if short:
        env["CCP_FAULT_WATCHDOG"] = "%d,%d" % (REPORT, END)
    return Server(MOCK, env=env)


def in_background(server):
    """Sends the request that blocks; returns (thread, list that gets the status)."""
    got = []

    def run():
        try:
            got.append(server.post("/mock/v1/chat/completions", BODY, timeout=60).status)
        except (OSError, AttributeError):
            got.append(None)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, got


def line_at(server, pattern, seconds):
    """Waits for a log line; returns (seconds it took, match)."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        match = re.search(pattern, server.log_text())
        if match:
            return time.monotonic() - started, match
        time.sleep(0.005)
    raise AssertionError("%r never came into the log:\n%s" % (pattern, server.log_text()[-2000:]))


def functions(stack):
    """Names for the frames that lie in the executable."""
    offsets = re.findall(r"ccproxy\+(0x[0-9a-f]+)", stack)
    assert offsets, stack
    out = subprocess.run(["addr2line", "-f", "-e", BINARY, *offsets], capture_output=True, text=True, check=True)
    return out.stdout.splitlines()[::2]


REPORTED = r"worker-(\d) has been in one turn for (\d+) ms; its stack, for addr2line -f -e FILE: ([^\"\n]+)"


def test_reported_and_spared():
    """A block of half the limit: one line with a stack in time, the request is answered, the process lives."""
    with blocking(END // 2) as server:
        thread, got = in_background(server)
        late, match = line_at(server, REPORTED, 6)
        thread.join()
        assert got == [200], got
        names = functions(match[3])
        assert "fault_block" in names and "run_start" in names and "http_worker_run" in names, names
        server.wait_log("worker-%s goes on" % match[1])
        assert server.log_text().count("has been in one turn") == 1
        assert server.post("/mock/v1/chat/completions", BODY).status == 200
        ms = int(match[2])
        assert REPORT <= ms <= REPORT + 400 * SLOW, ms
    check.figure("FLT-24", "block of %d ms: stack of %d frames logged after %d ms, no abort" % (
        END // 2, match[3].count("+0x"), ms))


def test_ended():
    """A block that lasts ends the process at the limit, not before, by SIGABRT, and leaves no core file."""
    server = blocking(END * 6)
    started = time.monotonic()
    thread, got = in_background(server)
    try:
        code = server.process.wait(END / 1000 * 2 + 10)
        took = time.monotonic() - started
    finally:
        server.process.kill()
        thread.join()
        text = server.log_text()
        files = os.listdir(server.folder)
        server.stop()
    assert code == -signal.SIGABRT, code
    last = re.search(r"for (\d+) ms, the process ends \(without a core file", text)
    assert last and text.count("has been in one turn") == 2, text[-2000:]
    assert int(last[1]) >= END and took >= END / 1000, (last[1], took)
    assert took < END / 1000 + 1.5 * SLOW, took
    assert not [f for f in files if "core" in f], files
    check.figure("FLT-24", "endless block: SIGABRT after %.2f s (limit %.1f s)" % (took, END / 1000))


def test_stopped_process_is_forgiven():
    """SIGSTOP for longer than the limit, with a loop in mid-turn: it goes on."""
    with blocking(END * 17 // 10) as server:
        thread, got = in_background(server)
        time.sleep(REPORT / 2000)
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(END / 1000 * 1.3)
        os.kill(server.process.pid, signal.SIGCONT)
        thread.join()
        assert got == [200] and server.process.poll() is None, got
        assert "the process ends" not in server.log_text()
    check.figure("FLT-24", "stopped for %.1f s in mid-turn: forgiven" % (END / 1000 * 1.3))


def test_idle_is_not_stuck():
    """Loops that sleep, with and without a connection, are not reported; nothing wakes more than once a second."""
    def switches(pid):
        out = {}
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/status" % (pid, task)) as f:
                lines = dict(l.split(":", 1) for l in f)
            out[lines["Name"].strip()] = int(lines["voluntary_ctxt_switches"])
        return out

    with blocking(0, short=False) as server:
        with server.connect() as kept:
            assert kept.request("GET", "/health/live").status == 200
            time.sleep(0.3)
            before = switches(server.process.pid)
            time.sleep(4)
            after = switches(server.process.pid)
        rates = {n: (after[n] - before[n]) / 4 for n in before}
        assert "in one turn" not in server.log_text(), server.log_text()
        assert max(rates.values()) <= 1.5, rates
        total = sum(rates.values())
    check.figure("FLT-24", "idle 4 s: nothing reported, %.2f wake-ups/s in all threads" % total)


def test_service_manager():
    """READY, keep-alives while all is well, none while a loop is stuck, STOPPING."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0ccp-notify-%d" % os.getpid())
        manager.settimeout(5)
        with blocking(END // 2, NOTIFY_SOCKET="@ccp-notify-%d" % os.getpid(), WATCHDOG_USEC="200000") as server:
            said = [manager.recv(100)]
            said += [manager.recv(100) for _ in range(5)]
            assert said.count(b"READY=1") == 1 and said.count(b"WATCHDOG=1") == 5, said
            thread, _ = in_background(server)
            line_at(server, REPORTED, 6)
            manager.setblocking(False)
            try:
                while True:
                    manager.recv(100)
            except BlockingIOError:
                pass
            manager.settimeout(END / 4000)
            try:
                raise AssertionError("%r while a loop is stuck" % manager.recv(100))
            except TimeoutError:
                pass
            thread.join()
            manager.settimeout(5)
            assert manager.recv(100) == b"WATCHDOG=1"
            server.process.send_signal(signal.SIGTERM)
            end = time.monotonic() + 5
            while manager.recv(100) != b"STOPPING=1":
                assert time.monotonic() < end, "no STOPPING=1"


if __name__ == "__main__":
    check.main(globals(), "blackbox/watchdog")
