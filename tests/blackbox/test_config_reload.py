"""SIGHUP: a new configuration is taken whole or not at all, and running requests do not notice."""
import json
import os
import signal
import time

import check
import formats
from formats import ANTHROPIC, CHAT, small_body
from server import SLOW, Server
from upstream import Answer, Upstream

up = None


def before():
    global up
    up = Upstream()


def after():
    up.close()


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


def test_reload_under_traffic():
    with Server(formats.config(up.url)) as own:
        up.reset(Answer(b'{"a":1}'))
        with own.connect() as connection:
            for turn in range(120):
                if turn % 10 == 0:
                    own.process.send_signal(signal.SIGHUP)
                response = connection.request("POST", "/claude/v1/messages", small_body(ANTHROPIC))
                assert response and response.status == 200, turn


BAD_RELOADS = {
    "typo": "[server]\nprot = 1\n",
    "syntax": "[server\n",
    "empty value": "[server]\nport =\n",
    "binary": "\0\1\2",
    "many": "".join(
        "[t%d]\nx = 1\n" %
        i for i in range(300)),
        "address": None,
        "directory": None,
         "gone": None}


def clear(path):
    if os.path.isdir(path):
        os.rmdir(path)
    elif os.path.exists(path):
        os.unlink(path)


def spoil(server, name, text):
    clear(server.file)
    if name == "directory":
        os.mkdir(server.file)
    elif name == "gone":
        pass
    elif name == "address":
        server.write(formats.config(up.url) + "[plugins.openai]\nbase_url = \"ftp://x\"\n")
    else:
        with open(server.file, "w") as out:
            out.write(text)


def test_reload_with_a_bad_file():
    """CFG-02: eight streams run through eight bad files; the old configuration goes on and health says so."""
    event = b'data: {"choices":[{"index":0,"delta":{"content":"tick"}}]}\n\n'
    up.reset(Answer([(event, 0)] + [(event, 0.1)] * 30 + [(b"data: [DONE]\n\n", 0)], content_type="text/event-stream"))
    body, touched, held = small_body(CHAT, True), 0, 0
    with Server(formats.config(up.url)) as own:
        def health():
            return json.loads(own.request("GET", "/health").body)

        def errors():
            return [l for l in own.log_text().splitlines() if '"error"' in l and "config" in l]
        assert "config:reload" not in health()["checks"]
        streams = [own.connect(timeout=20 * SLOW) for _ in range(8)]
        for stream in streams:
            stream.send(
    b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" %
     (len(body), body))
            stream.read_some(b"tick")
        for turn, (name, text) in enumerate(BAD_RELOADS.items()):
            spoil(own, name, text)
            own.process.send_signal(signal.SIGHUP)
            own.wait_log("not reloaded, the old configuration goes on: ", 5 * SLOW, times=turn + 1)
            said = errors()
            problem = None if len(said) == turn + 1 and own.file in said[-1] else "errors: %r" % said[-3:]
            now = health()
            if now["status"] == "pass" or now["checks"]["config:reload"][0]["status"] != "warn":
                problem = "health says %r" % now
            held += problem is None
            yield name, problem
        for stream in streams:
            response = stream.response()
            touched += response.body != event * 31 + b"data: [DONE]\n\n" or not response.complete
            stream.close()
        yield "streams", "%d of 8 were touched" % touched if touched else None
        clear(own.file)
        own.write(formats.config(up.url))
        own.process.send_signal(signal.SIGHUP)
        own.wait_log('"reloaded from', 5 * SLOW)
        yield "a good file ends it", None if "config:reload" not in health()["checks"] else "health still warns"
    check.figure(
    "CFG-02", "%d of %d bad reloads: old file stays, 1 error line, health warns; %d of 8 streams touched" %
     ( held, len(BAD_RELOADS), touched))


if __name__ == "__main__":
    check.main(globals(), "blackbox/config_reload", before, after)
