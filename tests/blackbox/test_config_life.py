"""The life of the process: addresses and sockets at its start, the log while it runs, drain and end, start-up time."""
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

import check
import formats
from formats import ANTHROPIC, CHAT, small_body
from server import BINARY, SLOW, Server, environment, free_port, run
from upstream import Answer, Upstream

up = None


def before():
    global up
    up = Upstream()


def after():
    up.close()


def test_flags_win():
    port = free_port()
    with Server(wait=False, arguments=["--port", str(port), "--set", "server.drain_timeout=\"1s\""]) as own:
        own.port = port
        own.wait_ready()


def test_port_zero_is_printed():
    with Server(wait=False, arguments=["--port", "0"]) as own:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", own.output())
            if found and found.group(1) != "0":
                own.port = int(found.group(1))
                break
            time.sleep(0.02)
        own.wait_ready()


def test_address_in_use_69():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        own = Server(wait=False, arguments=["--port", str(taken.getsockname()[1])])
        assert own.process.wait(20) == 69, own.process.returncode
        own.stop()
        assert str(taken.getsockname()[1]) in own.output(), own.output()


def test_second_server_on_the_same_port_69():
    with Server() as first:
        second = Server(wait=False, arguments=["--port", str(first.port)])
        assert second.process.wait(20) == 69
        second.stop()


def test_one_address_under_two_names():
    with Server(formats.config(up.url), arguments=["--host", "127.0.0.1,localhost,127.0.0.1"]) as own:
        with own.connect() as connection:
            assert connection.request("GET", "/health/live").status == 200
        own.wait_log("Claude Code")  # it answers before its banner is out
        assert own.output().count("listening on http://127.0.0.1:") == 1, own.output()


def test_unix_socket():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "s")
        with Server(formats.config(up.url), server='unix_socket = "%s"' % path):
            assert os.stat(path).st_mode & 0o777 == 0o600
            up.reset(Answer(b'{"u":1}'))
            result = subprocess.run(["curl", "-s", "--unix-socket", path, "-d", small_body(ANTHROPIC), "-H",
                                     "content-type: application/json", "http://any.host/claude/v1/messages"],
                                    capture_output=True)
            assert result.stdout == b'{"u":1}', result
        assert not os.path.exists(path)


def test_no_account_no_config_serves_the_mock():
    """The first start of a stranger: banner, one curl line, and that line works as it stands."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        out = open(os.path.join(home, "out"), "w+")
        process = subprocess.Popen([os.path.abspath(BINARY), "serve", "--port", str(port)], cwd=home,
                                   env=environment(home), stdout=out, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 20
            line = None
            while line is None:
                assert time.monotonic() < end and process.poll() is None, open(out.name).read()
                line = curl_command(open(out.name).read())
                time.sleep(0.05)
            for _ in range(50):
                result = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=environment(home))
                if result.returncode == 0:
                    break
                time.sleep(0.1)
            assert result.returncode == 0 and '"' in result.stdout and "error" not in result.stdout[:30], (line, result)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            out.close()


def curl_command(text):
    """The banner's curl line (complete once a line end follows it)."""
    found = re.search(r"\bcurl .*\n", text)
    return found.group(0) if found else None


def test_log_file_is_reopened():
    with Server(formats.config(up.url)) as own:
        up.reset(Answer(b"{}"))
        own.post("/claude/v1/messages", small_body(ANTHROPIC))
        os.rename(own.log, own.log + ".1")
        own.process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + 5
        while not os.path.exists(own.log):
            assert time.monotonic() < end, "the log was not opened again"
            own.post("/claude/v1/messages", small_body(ANTHROPIC))
            time.sleep(0.02)
        assert os.stat(own.log).st_mode & 0o077 == 0, oct(os.stat(own.log).st_mode)


def test_term_drains_a_stream():
    """A running stream ends whole; new connections are refused; health says no; exit 0."""
    event = b'data: {"choices":[{"index":0,"delta":{"content":"tick"}}]}\n\n'
    up.reset(Answer([(event, 0)] + [(event, 0.1)] * 15 + [(b"data: [DONE]\n\n", 0)], content_type="text/event-stream"))
    own = Server(formats.config(up.url))
    body = small_body(CHAT, True)
    with own.connect(timeout=20) as connection:
        connection.send(
    b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" %
     (len(body), body))
        connection.read_some(b"tick")
        own.process.send_signal(signal.SIGTERM)
        time.sleep(0.4)
        try:
            with own.connect(timeout=2) as late:
                answer = late.request("GET", "/health/ready")
                assert answer is None or answer.status == 503, answer.status
        except OSError:
            pass
        response = connection.response()
    assert response.complete and response.body == event * 16 + b"data: [DONE]\n\n", response.body[-200:]
    assert own.process.wait(10) == 0
    own.stop()


def test_term_ends_what_does_not_end():
    """After drain_timeout an endless stream gets an error event, and the process ends."""
    event = b'data: {"choices":[{"index":0,"delta":{"content":"tick"}}]}\n\n'
    up.reset(Answer([(event, 0.05)] * 2000, content_type="text/event-stream"))
    own = Server(formats.config(up.url), server='drain_timeout = "1s"')
    body = small_body(CHAT, True)
    with own.connect(timeout=20) as connection:
        connection.send(
    b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" %
     (len(body), body))
        connection.read_some(b"tick")
        own.process.send_signal(signal.SIGTERM)
        response = connection.response()
    got = formats.events(response.body)
    assert got and formats.is_error_event(CHAT, got[-1]) and b"[DONE]" not in response.body, response.body[-300:]
    assert own.process.wait(10) == 0
    own.stop()


def test_idle_connection_does_not_hold_the_end():
    own = Server(formats.config(up.url))
    with own.connect() as idle:
        assert idle.request("GET", "/health/live").status == 200
        started = time.monotonic()
        own.process.send_signal(signal.SIGTERM)
        assert own.process.wait(20) == 0
        assert time.monotonic() - started < 3 * SLOW
    own.stop()


def test_start_up_time():
    best = min(timed("version") for _ in range(5))
    assert best < 0.02 * SLOW, "version took %.0f ms" % (best * 1000)
    times = []
    for _ in range(3):
        with Server(formats.config(up.url)) as own:
            times.append(own.ready - own.started)
    assert min(times) < 0.1 * SLOW, "ready after %.0f ms" % (min(times) * 1000)


def timed(*arguments):
    started = time.monotonic()
    assert run(*arguments).returncode == 0
    return time.monotonic() - started


if __name__ == "__main__":
    check.main(globals(), "blackbox/config_life", before, after)
