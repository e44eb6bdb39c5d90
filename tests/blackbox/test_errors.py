"""Refusals of ccproxy itself: right status, the client's own error shape, a text that says what to do."""
import json

import check
import formats
from formats import ALL, ANTHROPIC, CHAT, GEMINI, RESPONSES, expect_error, small_body
from rawhttp import Connection
from server import Server
from upstream import Answer, Upstream

up = server = None


def before():
    global up, server
    up = Upstream()
    server = Server(formats.config(up.url), server="max_body_bytes = 65536\nheader_timeout = \"2s\"")


def after():
    with server:
        pass
    up.close()


def untouched():
    assert not up.requests, "a refused request reached the upstream"


def test_unknown_model_without_prefix_404():
    up.reset()
    for fmt, path in ((ANTHROPIC, "/v1/messages"), (CHAT, "/v1/chat/completions"), (RESPONSES, "/v1/responses"),
                      (GEMINI, "/v1beta/models/nobody-knows-this:generateContent")):
        body = small_body(fmt).replace(b"m-1", b"nobody-knows-this")
        error = expect_error(fmt, server.request("POST", path, body), 404, "nobody-knows-this")
        assert fmt is not ANTHROPIC or error["type"] == "not_found_error", error
        assert fmt is not CHAT or error["code"] == "model_not_found", error
        assert fmt is not GEMINI or error["status"] == "NOT_FOUND", error
    untouched()


def test_model_chooses_the_provider():
    for path, body, target in (
            ("/v1/messages", b'{"model":"claude-x","max_tokens":1,"messages":[]}', "/v1/messages"),
            ("/v1/chat/completions", b'{"model":"gpt-9","messages":[]}', "/v1/chat/completions"),
            ("/v1/responses", b'{"model":"o7-mini","input":"x"}', "/v1/responses"),
            ("/v1/embeddings", b'{"model":"text-embedding-3","input":"x"}', "/v1/embeddings"),
            ("/v1beta/models/gemini-9:generateContent", b'{"contents":[]}', "/v1beta/models/gemini-9:generateContent"),
            ("/v1/models/gemini-9:generateContent", b'{"contents":[]}', "/v1/models/gemini-9:generateContent")):
        up.reset(Answer(b'{"fine":1}'))
        response = server.request("POST", path, body)
        assert response.status == 200 and up.last().target == target, (path, response.status, response.body[:200])
        assert up.last().body == body


def test_provider_slash_model():
    up.reset(Answer(b"{}"))
    response = server.request("POST", "/v1/chat/completions", b'{"a":1.0,"model":"openai/gpt-9", "messages":[]}')
    assert response.status == 200, response.body
    assert up.last().body == b'{"a":1.0,"model":"gpt-9", "messages":[]}', up.last().body


def test_bad_json_400_with_position():
    up.reset()
    rows = {"cut": b'{"model":"m-1","messages":[', "empty": b"", "comma": b'{"model":"m-1",}', "text": b"hello",
            "array": b"[1,2]", "utf8": b'{"model":"m-1","messages":["\xff"]}', "twice": b'{"model":"a","model":"b"}',
            "after": b'{"model":"m-1"} x', "nul": b'{"model":"m\x001"}', "deep": b'{"model":' + b"[" * 30000}
    for fmt, path in ((ANTHROPIC, "/v1/messages"), (CHAT, "/v1/chat/completions"), (RESPONSES, "/v1/responses")):
        for name, body in rows.items():
            response = server.request("POST", path, body)
            problem = formats.error_problem(fmt, response, 400)
            if not problem and name not in ("empty", "array"):
                message = json.loads(response.body)["error"]["message"]
                problem = None if any(c.isdigit() for c in message) else "no position in %r" % message
            yield "%s-%s" % (fmt.name, name), problem
    untouched()


def test_too_large_413():
    up.reset()
    body = b'{"model":"m-1","x":"' + b"a" * 70000 + b'"}'
    for fmt in ALL:
        expect_error(fmt, server.request("POST", fmt.url(), body), 413)
    with server.connect() as connection:  # chunked: the length is not announced
        connection.send(b"POST /claude/v1/messages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                        + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        expect_error(ANTHROPIC, connection.response(), 413)
    untouched()


def test_body_of_exactly_the_limit():
    up.reset(Answer(b"{}"))
    frame = b'{"model":"m-1","x":"%s"}'
    for extra, status in ((0, 200), (1, 413)):
        body = frame % (b"a" * (65536 + extra - len(frame) + 2))
        assert server.request("POST", "/claude/v1/messages", body).status == status


def test_unsupported_content_encoding_415():
    up.reset()
    for coding in ("br", "x-unknown", "gzip, br"):
        response = server.request("POST", "/v1/messages", small_body(ANTHROPIC), [("Content-Encoding", coding)])
        expect_error(ANTHROPIC, response, 415)
    untouched()


def test_host_and_origin():
    up.reset(Answer(b"{}"))
    port = server.port
    for host in ("localhost", "localhost:%d" % port, "127.0.0.1", "127.0.0.1:1", "[::1]:%d" % port, "a.localhost",
                 "LOCALHOST", "10.1.2.3"):
        response = server.request("POST", "/claude/v1/messages", small_body(ANTHROPIC), host=host)
        yield "host-" + host, None if response.status == 200 else "%d" % response.status
    up.reset(Answer(b"{}"))
    for host in ("evil.example", "localhost.evil.com", "127.0.0.1.evil", "evil.com:%d" % port, "xlocalhost"):
        for fmt in ALL:
            problem = formats.error_problem(fmt, server.request("POST", fmt.url(), small_body(fmt), host=host), 421)
            yield "host-%s-%s" % (host, fmt.name), problem
    for origin in ("http://evil.example", "null", "https://localhost.evil.com"):
        for fmt in ALL:
            response = server.request("POST", fmt.url(), small_body(fmt), [("Origin", origin)])
            yield "origin-%s-%s" % (origin, fmt.name), formats.error_problem(fmt, response, 403)
    untouched()
    assert server.request("GET", "/health/live", headers=[("Origin", "http://evil.example")]).status == 200
    yield "origin-get", None


def test_login_required_503():
    """No key, no login: 503 that no SDK retries, with the line that mends it."""
    config = "".join('[plugins.%s]\nbase_url = "%s"\nauth = "%s"\n' % (p, up.url + s, a) for p, s, a in (
        ("claude_api", "", "oauth"), ("openai", "/v1", "auto"), ("gemini", "", "api_key")))
    up.reset()
    with Server(config) as bare:
        for fmt in ALL:
            response = bare.request("POST", fmt.url(), small_body(fmt), [fmt.key("sk-of-the-client")])
            problem = formats.error_problem(fmt, response, 503)
            if not problem:
                error = json.loads(response.body)["error"]
                text = error["message"]
                if response.get("x-should-retry") != "false" or response.get("retry-after"):
                    problem = "retry headers: %r" % response.headers
                elif "auth login" not in text and "api_key" not in text:
                    problem = "no help in %r" % text
                elif fmt in (CHAT, RESPONSES) and error["code"] != "login_required":
                    problem = "code %r" % error["code"]
                elif fmt is ANTHROPIC and error["type"] != "api_error":
                    problem = "type %r" % error["type"]
                elif fmt is GEMINI and error["status"] != "UNAVAILABLE":
                    problem = "status %r" % error["status"]
            yield fmt.name, problem
    untouched()


def test_wrong_base_url_hint():
    up.reset()
    for path, fmt, right in (("/claude/messages", ANTHROPIC, "/claude"), ("/claude/v1/v1/messages", ANTHROPIC, "/claude"),
                             ("/openai/chat/completions", CHAT, "/openai/v1"),
                             ("/openai/v1/v1/chat/completions", CHAT, "/openai/v1"),
                             ("/openai/responses", RESPONSES, "/openai/v1"), ("/v1/v1/messages", ANTHROPIC, "base URL"),
                             ("/chat/completions", CHAT, "/v1"),
                             ("/gemini/v1beta/v1beta/models/g:generateContent", GEMINI, "/gemini")):
        response = server.request("POST", path, small_body(fmt))
        problem = formats.error_problem(fmt, response, 404)
        if not problem and right not in json.loads(response.body)["error"]["message"]:
            problem = "no hint in %r" % response.body
        yield path, problem
    untouched()


def test_unknown_paths_and_methods():
    up.reset()
    for method, path, status in (("GET", "/nowhere", 404), ("POST", "/nowhere/v1/messages", 404), ("GET", "/claude/v2/x", 404),
                                 ("POST", "/", 405), ("POST", "/health", 405), ("DELETE", "/v1/messages", 405),
                                 ("GET", "/v1/chat/completions", 405), ("POST", "/claude/raw/v1/files", 404)):
        response = server.request(method, path, b"{}" if method == "POST" else None)
        good = response.status in (status, 404) and "json" in (response.get("content-type") or "")
        yield "%s-%s" % (method, path), None if good else "%d %r" % (response.status, response.body[:200])
    untouched()


def test_websocket_426():
    for path in ("/v1/responses", "/openai/v1/responses"):
        response = server.request("GET", path, headers=[
            ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")])
        expect_error(RESPONSES, response, 426)


def test_what_no_format_can_carry_is_400():
    """What cannot be said to a provider of another format: 400, because SDKs retry a 5xx; nothing is sent."""
    up.reset()
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    for path, fmt, body, place in (
            ("/claude/v1/chat/completions", CHAT,
             {"model": "m", "messages": [{"role": "user", "content": [audio]}]}, "messages[0].content[0]"),
            ("/claude/v1/responses", RESPONSES, {"model": "m", "input": "x", "previous_response_id": "resp_1"},
             "previous_response_id"),
            ("/openai/v1/messages", ANTHROPIC, {"model": "m", "max_tokens": 9, "messages": "x"}, "messages"),
            ("/gemini/v1/messages", ANTHROPIC, {"model": "m", "max_tokens": 9, "messages": [{"role": "wizard"}]},
             "messages[0].role"),
            ("/claude" + formats.GENERATE + "generateContent", GEMINI,
             {"contents": [{"parts": [{"text": "x"}]}], "cachedContent": "cachedContents/1"}, "cachedContent")):
        response = server.request("POST", path, json.dumps(body).encode())
        problem = formats.error_problem(fmt, response, 400)
        if problem is None and place not in json.loads(response.body)["error"]["message"]:
            problem = "%s is not named: %r" % (place, response.body)
        yield path, problem
    untouched()


def test_health_and_root():
    for path in ("/health/live", "/", "/claude", "/openai", "/gemini"):
        response = server.request("GET", path)
        assert response.status == 200 and b"ccproxy" in response.body, (path, response.status, response.body)
        assert formats.KEY.encode() not in response.raw
        head = server.request("HEAD", path)
        assert head.status == 200 and head.body == b"", path
    for path in ("/health", "/health/ready"):
        response = server.request("GET", path)
        assert response.status == 200, (path, response.status)
        assert response.get("content-type").startswith("application/health+json"), response.headers
        assert json.loads(response.body)["status"] in ("pass", "warn"), response.body


def test_plugins_routes():
    listing = json.loads(server.request("GET", "/plugins").body)
    names = {p["name"]: p for p in listing["plugins"]}
    assert listing["total"] == len(listing["plugins"])
    for name in ("claude_api", "openai", "gemini", "mock", "access_log"):
        assert names[name]["status"] == "active" and names[name]["version"] and "_links" in names[name], name
        one = server.request("GET", "/plugins/" + name)
        assert one.status == 200 and json.loads(one.body)["name"] == name
        health = json.loads(server.request("GET", "/plugins/%s/health" % name).body)
        assert health["plugin"] == name and health["status"] in ("healthy", "unhealthy", "unknown"), health
        assert "initialized" in health["details"], health
    assert names["claude_api"]["type"] == "provider" and names["access_log"]["type"] == "system"
    assert server.request("GET", "/v1/plugins").status == 200
    assert server.request("GET", "/plugins/status").status == 200
    assert server.request("GET", "/plugins/nobody").status == 404


def test_model_lists():
    """The mock's models when nobody else is usable, in the shape the caller speaks."""
    with Server('[plugins.claude_api]\nenabled = false\n[plugins.openai]\nenabled = false\n'
                '[plugins.gemini]\nenabled = false') as only_mock:
        openai = json.loads(only_mock.request("GET", "/v1/models").body)
        assert openai["object"] == "list" and "mock-echo" in [m["id"] for m in openai["data"]], openai
        claude = json.loads(only_mock.request("GET", "/v1/models", headers=[("anthropic-version", "2023-06-01")]).body)
        assert "has_more" in claude and claude["data"][0]["type"] == "model", claude
        for path, headers in (("/v1beta/models", []), ("/v1/models", [("x-goog-api-key", "k")])):
            gemini = json.loads(only_mock.request("GET", path, headers=headers).body)
            assert gemini["models"][0]["name"].startswith("models/"), gemini
        one = json.loads(only_mock.request("GET", "/mock/v1/models/mock-echo").body)
        assert one["id"] == "mock-echo", one


def test_methods():
    """405 names every method that the path has; only a WebSocket upgrade makes a GET of a POST route special."""
    up.reset()
    rows = [("PUT", "/claude/v1/messages", "POST"), ("PUT", "/claude/v1/messages/batches", "GET, POST"),
            ("PUT", "/openai/v1/responses/resp_1", "GET, POST, DELETE"), ("PUT", "/openai/v1/chat/completions", "POST"),
            ("PUT", "/openai/v1/models", "GET, HEAD")]
    for method, path, allow in rows:
        response = server.request(method, path, b"{}")
        assert response.status == 405 and response.get("allow") == allow, (path, response.status, response.headers)
    upgrade = [("connection", "upgrade"), ("upgrade", "something")]
    assert server.request("GET", "/openai/v1/responses", headers=upgrade).status in (400, 405)
    untouched()


def test_slow_head_is_cut():
    """A client that never finishes its head is not kept."""
    with Connection(server.port) as connection:
        connection.send(b"POST /claude/v1/messages HTTP/1.1\r\nHost: loc")
        assert connection.closed(8), "still open"


if __name__ == "__main__":
    check.main(globals(), "blackbox/errors", before, after)
