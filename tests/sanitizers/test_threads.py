"""Data races: the programs that use threads, and a server under load with reloads, built with ThreadSanitizer."""
import concurrent.futures
import glob
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import check  # noqa: E402
import driver  # noqa: E402
import formats  # noqa: E402
from formats import ANTHROPIC, CHAT, small_body  # noqa: E402
from logins import Logins  # noqa: E402
from server import Server  # noqa: E402
from upstream import Answer, Upstream  # noqa: E402

BUILT = os.path.join(driver.TOP, "build-tsan")
UNIT = os.path.join(driver.TOP, "tests", "unit")
CONCURRENT = ("http/test_server", "http/test_http2", "http/test_peer", "http/test_tls", "base/test_log",
              "upstream/test_flow", "upstream/test_transfer", "upstream/test_resolve*", "chain/test_chain",
              "auth/test_service*", "plugin/test_executor*")
LOGINS = ("acme", "zenith")
OPTIONS = {"TSAN_OPTIONS": "exitcode=66:halt_on_error=0:second_deadlock_stack=1"}
SECONDS = 60 if check.LONG else 4
check.LIMIT = max(check.LIMIT, 600)
seen = {"programs": 0, "reports": 0, "requests": 0}


def sources():
    found = [p for name in CONCURRENT for p in glob.glob(os.path.join(UNIT, name + ".c"))]
    return sorted(os.path.relpath(p, UNIT)[:-2] for p in found)


def reports(text):
    return len(re.findall("WARNING: ThreadSanitizer", text))


def built():
    targets = ["ccproxy"] + ["unit_" + s.replace("/", "_") for s in sources()]
    assert driver.build("tsan", BUILT, targets), "the tsan preset does not build"


RACE = """#include <pthread.h>
static int n;
static void *add(void *arg) { for (int i = 0; i < 10000; i++) n++; return arg; }
int main(void) { pthread_t t; pthread_create(&t, 0, add, 0); add(0); return pthread_join(t, 0); }
"""


def test_the_tool_sees_a_race():
    """Else the zeros below would mean nothing."""
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "race")
        subprocess.run(["cc", "-g", "-fsanitize=thread", "-pthread", "-x", "c", "-", "-o", program], input=RACE,
                       text=True, check=True)
        done = subprocess.run([program], capture_output=True, text=True, env=dict(os.environ, **OPTIONS))
    assert done.returncode == 66 and reports(done.stderr) == 1, done


def examined(source):
    program = os.path.join(BUILT, "tests", "unit_" + source.replace("/", "_"))
    done = subprocess.run([program], capture_output=True, text=True, errors="replace", timeout=300,
                          env=dict(os.environ, **OPTIONS))
    said = done.stdout + done.stderr
    with open(os.path.join(driver.LOGS, "tsan_%s.log" % source.replace("/", "_")), "w") as log:
        log.write(said)
    seen["programs"] += 1
    seen["reports"] += reports(said)
    return "exit %d\n%s" % (done.returncode, said[-3000:]) if done.returncode or reports(said) else None


def test_programs_with_threads():
    """Each unit program whose subject has threads of its own."""
    built()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield from zip(sources(), pool.map(examined, sources()))


def load(server, stop, lost):
    """Small requests and streams, on connections that are kept and ones that are left in the middle; through logins,
    too, whose tokens end all the time."""
    while not stop.is_set():
        try:
            with server.connect(timeout=30) as connection:
                for fmt, streams in ((ANTHROPIC, False), (CHAT, True), (CHAT, False)):
                    response = connection.request("POST", fmt.url(), small_body(fmt, streams))
                    seen["requests"] += 1
                    if response is None or response.status != 200:
                        lost.append(response and response.status)
                for name in LOGINS:
                    response = connection.request("POST", ANTHROPIC.url(prefix=name), small_body(ANTHROPIC))
                    seen["requests"] += 1
                    if response is None or response.status != 200:
                        lost.append(response and (response.status, response.body[:200]))
                connection.send(b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: a")
        except OSError as problem:
            if not stop.is_set():
                lost.append(str(problem))


def test_server_under_load():
    """Three workers, six clients, SIGHUP and SIGUSR1 all the time, then SIGTERM while they are still asking. Two logins
    have tokens of 2 s, which are renewed and refused by the API meanwhile."""
    built()
    up, stop, lost, lab = Upstream(), threading.Event(), [], Logins(lifetime=2)
    up.reset(Answer(b'{"a":1}'))
    for name in LOGINS:
        lab.store(name=name, expires_in=1)
    config = lab.config(refresh_before="0s", names=LOGINS, more=formats.config(up.url))
    server = Server(config, server="drain_timeout = \"2s\"",
                    arguments=["--workers", "3"], env=OPTIONS, binary=os.path.join(BUILT, "ccproxy"))
    clients = [threading.Thread(target=load, args=(server, stop, lost)) for _ in range(6)]
    try:
        for client in clients:
            client.start()
        end, turns = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            if turns % 150 == 25:
                lab.idp.grants.expire()
            server.process.send_signal(signal.SIGHUP if turns % 2 else signal.SIGUSR1)
            turns += 1
            time.sleep(0.1)
        served, early = seen["requests"], list(lost)
        server.process.send_signal(signal.SIGTERM)
    finally:
        stop.set()
        code = server.stop(60)
        for client in clients:
            client.join(60)
        up.close()
        renewed, reused = lab.posts(), lab.idp.grants.reuses
        lab.__exit__()
    said = server.output()
    seen["reports"] += reports(said)
    with open(os.path.join(driver.LOGS, "tsan_server.log"), "w") as log:
        log.write(said + server.log_text()[-20000:])
    assert code == 0 and not reports(said), "exit %s\n%s" % (code, said)
    assert not early and served > 100, "%d requests, lost %r" % (served, early[:5])
    assert renewed >= 4 and not reused, "%d renewals, %d reuses" % (renewed, reused)
    check.figure("SAN-02", "%d TSan reports: %d unit programs, a server (%d requests, %d signals, %d renewals)" % (
        seen["reports"], seen["programs"], served, turns, renewed))


if __name__ == "__main__":
    check.main(globals(), "sanitizers/threads")
