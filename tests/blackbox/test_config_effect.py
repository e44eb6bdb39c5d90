"""What settings do to requests: mappings, blocks, codings, CORS, limits, the verbose log."""
import os
import re
import subprocess
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


def test_verbose_api():
    with Server(formats.config(up.url), arguments=["--set", "logging.verbose_api=true"]) as own:
        up.reset(Answer(b'{"the":"answer"}' + b" " * 100000))
        own.post("/claude/v1/messages", small_body(ANTHROPIC))
        own.wait_log('"bytes_out":100016')
        text = own.log_text()
        last = max(int(n) for n in re.findall(r"response from byte (\d+)", text))  # pieces of a kilobyte at most
        assert 'response from byte 0: {\\"the' in text and "request from byte 0: {" in text, text[:2000]
        assert 64512 <= last < 65536 and formats.KEY not in text, last
        assert os.stat(own.log).st_mode & 0o077 == 0


def test_model_mappings_change_only_the_model():
    config = formats.config(up.url, more="model_mappings = [ { match = \"alias\", target = \"the-real-one\" } ]") + (
        '[[routing.model_mappings]]\nmatch = "fast"\ntarget = "gpt-9-mini"\nprovider = "openai"\n')
    bodies = (
    b'{"z":1.0,"model":"alias","n":1e5,"messages":[ ],"s":"\\u00e9"}',
    b'{"messages":[],\n "model" :  "alias" }',
    b'{"model":"not-alias","messages":[{"model":"alias"}]}',
     b'{"model":"ali\\u0061s","messages":[]}')
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
            yield fmt.name, None if good and up.last().target == fmt.path else "%d %r" % (response.status,
                response.body)


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
        time.sleep(0.1 * SLOW)  # the request that found the server ready is counted until its end is cleaned up
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
    check.main(globals(), "blackbox/config_effect", before, after)
