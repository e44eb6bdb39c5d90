"""Keys of ccproxy's own clients: how they are shown, what they open, and that they never travel further."""
import json
import time

import check
import formats
from formats import ALL, ANTHROPIC, CHAT, GEMINI, RESPONSES, small_body
from server import Server
from upstream import Answer, Upstream

up = server = None
MAIN, CLAUDE_ONLY, ADMIN = "ccp-main-FIXTURE-11111111", "ccp-claude-FIXTURE-2222222", "ccp-admin-FIXTURE-3333333"
KEYS = """
[security]
auth_token = "%s"
[[security.keys]]
name = "narrow"
token = "%s"
providers = ["claude_api"]
models = ["claude-small", "claude-mid*"]
[[security.keys]]
name = "boss"
token = "%s"
admin = true
""" % (MAIN, CLAUDE_ONLY, ADMIN)


def before():
    global up, server
    up = Upstream()
    server = Server(formats.config(up.url) + KEYS)


def after():
    with server:
        pass
    up.close()


def nothing_went_up(*secrets):
    for request in up.requests:
        for secret in secrets:
            assert secret.encode() not in request.head + request.body, "the client's key went upstream"
            assert secret not in request.target


def test_every_header_form():
    forms = [("x-ccproxy-token", MAIN), ("Authorization", "Bearer " + MAIN), ("authorization", "bearer  " + MAIN),
             ("x-api-key", MAIN), ("x-goog-api-key", MAIN)]
    for fmt in ALL:
        for header in forms:
            up.reset(Answer(b"{}"))
            response = server.request("POST", fmt.url(), small_body(fmt), [header])
            problem = None if response.status == 200 else "%d %r" % (response.status, response.body[:200])
            if not problem:
                nothing_went_up(MAIN)
                name, value = fmt.key(formats.KEY)
                problem = None if up.last().get(name) == value else "upstream got %r" % up.last().headers
            yield "%s-%s" % (fmt.name, header[0]), problem


def test_query_key_on_gemini_paths_only():
    up.reset(Answer(b"{}"))
    path = formats.GENERATE + "streamGenerateContent?alt=sse&key=%s&x=1"
    response = server.request("POST", "/gemini" + path % MAIN, small_body(GEMINI))
    assert response.status == 200, response.body
    assert up.last().target == formats.GENERATE + "streamGenerateContent?alt=sse&x=1", up.last().target
    nothing_went_up(MAIN)
    response = server.request("POST", "/claude/v1/messages?key=" + MAIN, small_body(ANTHROPIC))
    formats.expect_error(ANTHROPIC, response, 401)


def test_refusals():
    up.reset(Answer(b"{}"))
    wrong = [[], [("x-api-key", "wrong")], [("Authorization", "Bearer " + MAIN[:-1])], [("x-api-key", MAIN + "x")],
             [("Authorization", "Basic " + MAIN)], [("x-api-key", "")], [("x-ccproxy-token", MAIN.upper())]]
    for fmt in ALL:
        for headers in wrong:
            error = formats.expect_error(fmt, server.request("POST", fmt.url(), small_body(fmt), headers), 401)
            if fmt is ANTHROPIC:
                assert error["type"] == "authentication_error", error
            elif fmt is GEMINI:
                assert error["status"] == "UNAUTHENTICATED", error
            else:
                assert error["code"] == "invalid_api_key", error
    assert not up.requests
    for path in ("/v1/models", "/plugins", "/health/ready", "/v1/messages"):
        response = server.request("GET", path)
        assert response.status in (200, 401, 405), (path, response.status)
        assert path not in ("/v1/models", "/plugins") or response.status == 401, path


MISSING = ([], [("x-api-key", "")], [("Authorization", "")], [("x-api-key", " ")])
MALFORMED = ([("Authorization", "Bearer")], [("Authorization", "Bearer ")], [("Authorization", "Basic " + MAIN)],
             [("Authorization", MAIN)],
             [("Authorization", "Bearer,Bearer " + MAIN)], [("x-api-key", "\xff\xfe\x80")], [("x-api-key",
                 "k" * 8000)], [("x-api-key", '"%s"' % MAIN)],
             [("x-goog-api-key", "%63" + MAIN[1:])], [("Cookie", "x-api-key=" + MAIN)], [("api-key", MAIN)])
UNKNOWN = ([("x-api-key", "wrong")], [("x-api-key", MAIN[:-1])], [("x-api-key", MAIN + "x")], [("x-api-key",
    MAIN.upper())],
           [("x-api-key", "x" + MAIN[1:])], [("Authorization", "Bearer " + ADMIN[:-1] + "4")], [("x-ccproxy-token",
               CLAUDE_ONLY[:8])],
           [("x-api-key", "' OR 1=1 --")], [("x-api-key", "wrong"), ("Authorization", "Bearer wrong"),
                                            ("x-goog-api-key", "wrong")])


def test_one_answer_for_all_wrong_keys():
    """KEY-02: missing, malformed and unknown: the same status, headers and body, but for the id and the clock."""
    ours = [("x-request-id", "same-id")]
    asked = 0
    for fmt in ALL:
        answers = {}
        for kind, rows in (("missing", MISSING), ("malformed", MALFORMED), ("unknown", UNKNOWN)):
            for headers in rows:
                response = server.request("POST", fmt.url(), small_body(fmt), headers + ours)
                named = tuple(h for h in response.headers if h[0].lower() not in ("date", "server-timing"))
                answers.setdefault((response.status, named, response.body), (kind, headers))
                asked += 1
        assert len(answers) == 1, "%s: %r" % (fmt.name, list(answers.values()))
        assert next(iter(answers))[0] == 401
    check.figure("KEY-02", "%d requests, %d wrong keys in 4 formats: 1 answer each" % (asked, asked // 4))


def test_right_key_beside_a_wrong_one():
    """One match is enough; what did not match is some other credential and is not ours to judge."""
    up.reset(Answer(b"{}"))
    response = server.request("POST", "/claude/v1/messages", small_body(ANTHROPIC),
                              [("x-api-key", "something-else"), ("x-ccproxy-token", MAIN)])
    assert response.status == 200 and up.last().get("x-api-key") == formats.KEY
    nothing_went_up(MAIN, "something-else")


def test_key_with_fewer_rights():
    rows = [("/claude/v1/messages", b'{"model":"claude-small","max_tokens":1,"messages":[]}', ANTHROPIC, 200),
            ("/claude/v1/messages", b'{"model":"claude-big","max_tokens":1,"messages":[]}', ANTHROPIC, 403),
            ("/v1/messages", b'{"model":"claude-small","max_tokens":1,"messages":[]}', ANTHROPIC, 200),
            ("/openai/v1/chat/completions", b'{"model":"claude-small","messages":[]}', CHAT, 403),
            ("/v1/responses", b'{"model":"gpt-9","input":"x"}', RESPONSES, 403),
            ("/gemini" + GEMINI.path, b'{"contents":[]}', GEMINI, 403)]
    for path, body, fmt, status in rows:
        up.reset(Answer(b"{}"))
        response = server.request("POST", path, body, [("x-api-key", CLAUDE_ONLY)])
        problem = None if response.status == status else "%d %r" % (response.status, response.body[:200])
        if not problem and status != 200:
            problem = formats.error_problem(fmt, response, status) or (up.requests and "it went up")
        yield "%s-%d" % (path, status), problem or None


def test_key_in_odd_places_never_travels():
    """Where a key proves nothing, or stands twice, it still must not reach the upstream."""
    url, odd = "/claude/v1/messages", [("x-ccproxy-token", MAIN)]
    rows = [("bare-authorization", url, ANTHROPIC, ("authorization", MAIN)),
            ("basic-authorization", url, ANTHROPIC, ("authorization", "Basic " + MAIN)),
            ("api-key", "/openai/v1/chat/completions", CHAT, ("api-key", MAIN)),
            ("query", url + "?a=1&key=%s&b" % MAIN, ANTHROPIC, ("x-trace", "1")),
            ("query-twice", "/gemini" + GEMINI.path + "?key=own-key&key=" + MAIN, GEMINI, ("x-trace", "1")),
            ("query-name", "/gemini" + GEMINI.path + "?%6Bey=" + MAIN, GEMINI, ("x-trace", "1"))]
    with Server(formats.config(up.url, auth="passthrough") + KEYS) as own:
        for name, path, fmt, header in rows:
            up.reset(Answer(b"{}"))
            response = own.request("POST", path, small_body(fmt), odd + [header, fmt.key("sk-of-the-client-0001")])
            problem = None if response.status == 200 else "%d %r" % (response.status, response.body[:200])
            if not problem:
                nothing_went_up(MAIN)
            if not problem and name == "query":
                problem = None if up.last().target.endswith("?a=1&b") else up.last().target
            if not problem and name == "query-twice":
                problem = None if up.last().target.endswith("?key=own-key") else up.last().target
            yield name, problem


def test_admin_routes_want_an_admin():
    for key, allowed in ((MAIN, False), (CLAUDE_ONLY, False), (ADMIN, True)):
        response = server.request("POST", "/plugins/mock/nothing", b"{}", [("x-ccproxy-token", key)])
        assert (response.status == 403) != allowed, (key, response.status)
    for path in ("/plugins", "/plugins/status", "/plugins/mock", "/plugins/mock/health"):
        response = server.request("POST", path, b"{}", [("x-ccproxy-token", ADMIN)])
        assert response.status == 405 and response.get("allow") == "GET, HEAD", (path, response.status)


def test_health_without_key_says_little():
    for path in ("/health", "/health/ready", "/health/live", "/"):
        body = server.request("GET", path).body
        assert b"claude" not in body and b"openai" not in body, (path, body)
    full = json.loads(server.request("GET", "/health", headers=[("x-ccproxy-token", MAIN)]).body)
    assert "claude_api" in json.dumps(full), full


def test_passthrough_beside_a_key():
    """The ccproxy key is taken away, the client's own credential travels; without one: 401 that names the header."""
    with Server(formats.config(up.url, auth="passthrough") + KEYS) as own:
        for fmt in ALL:
            up.reset(Answer(b"{}"))
            credential = fmt.key("sk-of-the-client-0001")
            response = own.request("POST", fmt.url(), small_body(fmt), [("x-ccproxy-token", MAIN), credential])
            problem = None if response.status == 200 else "%d %r" % (response.status, response.body[:200])
            if not problem:
                nothing_went_up(MAIN)
                problem = None if up.last().get(credential[0]) == credential[1] else repr(up.last().headers)
            yield fmt.name + "-both", problem
            up.reset(Answer(b"{}"))
            response = own.request("POST", fmt.url(), small_body(fmt), [fmt.key(MAIN)])
            problem = formats.error_problem(fmt, response, 401)
            if not problem and b"x-ccproxy-token" not in response.body:
                problem = "x-ccproxy-token is not named: %r" % response.body
            yield fmt.name + "-none", problem or (up.requests and "it went up") or None
        for status in (401, 403):
            up.reset(Answer(b'{"type":"error","error":{"type":"authentication_error","message":"no"}}', status=status))
            response = own.request("POST", ANTHROPIC.url(), small_body(ANTHROPIC),
                                   [("x-ccproxy-token", MAIN), ("x-api-key", "sk-bad")])
            yield "upstream-%d-passes" % status, None if response.status == status else str(response.status)


def test_passthrough_without_ccproxy_keys():
    with Server(formats.config(up.url, auth="passthrough")) as own:
        for fmt in ALL:
            up.reset(Answer(b"{}"))
            credential = fmt.key("sk-of-the-client-0001")
            assert own.request("POST", fmt.url(), small_body(fmt), [credential]).status == 200
            assert up.last().get(credential[0]) == credential[1]


def test_auth_none_sends_no_credential():
    with Server(formats.config(up.url, auth="none")) as own:
        up.reset(Answer(b"{}"))
        assert own.request("POST", CHAT.url(), small_body(CHAT), [("Authorization", "Bearer dummy")]).status == 200
        assert up.last().get("authorization") is None, up.last().headers


def test_access_log_lines():
    """One line for each request, refused ones too; no key and no prompt in it."""
    up.reset(Answer(b'{"answer":"CANARY-ANSWER"}'))
    body = small_body(ANTHROPIC).replace(b"hi", b"CANARY-PROMPT")
    server.request("POST", "/claude/v1/messages", body, [("x-api-key", MAIN), ("x-request-id", "log-line-ok")])
    server.request("POST", "/claude/v1/messages", body, [("x-api-key", "CANARY-KEY"), ("x-request-id", "log-line-no")])
    server.wait_log("log-line-ok")
    server.wait_log("log-line-no")
    time.sleep(0.1)
    lines = [l for l in (server.log_text() + server.output()).splitlines() if "log-line-" in l]
    for wanted, status in (("log-line-ok", "200"), ("log-line-no", "401")):
        mine = [l for l in lines if wanted in l and status in l and "/claude/v1/messages" in l]
        assert len(mine) == 1, "%s: %r" % (wanted, lines)
        json.loads(mine[0])
    text = server.log_text() + server.output()
    for secret in (MAIN, CLAUDE_ONLY, ADMIN, formats.KEY, "CANARY"):
        assert secret not in text, "%s is in the log" % secret


def test_log_injection():
    up.reset(Answer(b"{}"))
    before = len(server.log_text().splitlines())
    agent = "x\x1b[31m\x7f\u2028".encode().decode("latin-1") + "y" * 3000
    server.request("POST", "/claude/v1/messages%0a%0d{}", small_body(ANTHROPIC), [("User-Agent", agent)])
    time.sleep(0.3)
    for line in server.log_text().splitlines()[before:]:
        json.loads(line)
        assert not any(ord(c) < 32 or ord(c) == 127 for c in line), repr(line)


def test_secrets_leave_the_process_list():
    with Server(arguments=["--auth-token", MAIN], env={"OPENAI_API_KEY": "sk-env-FIXTURE"}) as own:
        for name in ("cmdline", "environ"):
            data = open("/proc/%d/%s" % (own.process.pid, name), "rb").read()
            assert MAIN.encode() not in data and b"sk-env-FIXTURE" not in data, "%s still shows a secret" % name
        assert own.request("GET", "/v1/models").status == 401


def test_beyond_loopback_wants_a_key():
    """A listener for everyone does not start without a key, unless the operator says so."""
    for more, starts in (("", False), ("[security]\nallow_unauthenticated = true", True),
                         ('[security]\nauth_token = "%s"' % MAIN, True)):
        own = Server(more, host="0.0.0.0", wait=False)
        try:
            if starts:
                own.wait_ready()
            else:
                assert own.process.wait(20) == 78, own.process.returncode
        finally:
            own.stop()
        assert starts or "auth_token" in own.output(), own.output()


if __name__ == "__main__":
    check.main(globals(), "blackbox/keys", before, after)
