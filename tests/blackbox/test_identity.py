"""Same format on both sides: every byte of a body crosses ccproxy unchanged, in both directions, however it is cut."""
import random

import check
import formats
from formats import ALL, ANTHROPIC, CHAT, GEMINI, RESPONSES
from server import Server
from upstream import Answer, Upstream, sse

up = server = None


def before():
    global up, server
    up = Upstream()
    server = Server(formats.config(up.url))


def after():
    with server:
        pass
    up.close()


def exchange(connection, fmt, request, answer, stream=False):
    up.reset(answer)
    response = connection.request("POST", fmt.url(stream), request)
    assert response is not None, "the connection was closed without an answer"
    seen = up.last()
    assert seen.body == request, "upstream got other bytes:\n%r\n%r" % (seen.body[:400], request[:400])
    return response, seen


def same(response, body, status=200):
    assert response.status == status, "status %d: %r" % (response.status, response.body[:300])
    assert response.complete, "the answer was cut"
    assert response.body == body, "client got other bytes:\n%r\n%r" % (response.body[-400:], body[-400:])


def test_scenarios_plain():
    with server.connect() as connection:
        for name, fmt, request, answer, _ in formats.scenarios():
            response, seen = exchange(connection, fmt, request, Answer(answer))
            same(response, answer)
            assert seen.target == fmt.path, seen.target
            assert response.get("content-type") == "application/json"
            yield "%s-%s" % (name, fmt.name), None


def test_scenarios_streamed():
    with server.connect() as connection:
        for name, fmt, request, _, stream in formats.scenarios():
            response, seen = exchange(connection, fmt, formats.as_stream(fmt, request), sse(stream), stream=True)
            same(response, stream)
            assert seen.target == fmt.stream_path, seen.target
            assert response.get("content-type") == "text/event-stream"
            yield "%s-%s" % (name, fmt.name), None


def test_credentials_put_in():
    with server.connect() as connection:
        for fmt in ALL:
            _, seen = exchange(connection, fmt, formats.small_body(fmt), Answer())
            name, value = fmt.key(formats.KEY)
            assert seen.get(name) == value, "%s: %r" % (fmt.name, seen.headers)


def test_every_cut_of_a_stream():
    """Each two-part split of the whole answer, head included, on kept connections."""
    shortest = {}
    for _, fmt, _, _, stream in formats.scenarios():
        if len(stream) < len(shortest.get(fmt, b"x" * 99999)):
            shortest[fmt] = stream
    with server.connect() as connection:
        for fmt, stream in shortest.items():
            body = formats.small_body(fmt, stream=True)
            length = len(sse(stream).wire())
            step = 1 if check.LONG or length < 700 else 7
            for cut in range(1, length, step):
                response, _ = exchange(connection, fmt, body, sse(stream, cuts=[cut]), stream=True)
                same(response, stream)


def test_one_byte_at_a_time():
    with server.connect() as connection:
        for fmt in ALL:
            stream = next(s for n, f, _, _, s in formats.scenarios() if f is fmt and n == "refusal")
            cuts = range(1, 4000)
            response, _ = exchange(connection, fmt, formats.small_body(fmt, True), sse(stream, cuts=cuts, cut_delay=0),
                                   stream=True)
            same(response, stream)


def test_random_cuts():
    chance = random.Random(7)
    with server.connect() as connection:
        for name, fmt, request, answer, stream in formats.scenarios():
            for whole, streamed in ((sse(stream), True), (Answer(answer), False), (Answer(answer, chunked=True), False)):
                whole.cuts = sorted(chance.sample(range(1, len(whole.wire())), 6))
                response, _ = exchange(connection, fmt, formats.as_stream(fmt, request) if streamed else request, whole,
                                       stream=streamed)
                same(response, stream if streamed else answer)


def test_quirks_and_broken_grammar_pass():
    """Bytes that deviate from the rules are not ours to mend while the upstream ends its answer properly."""
    import glob
    import os
    with server.connect() as connection:
        for path in sorted(glob.glob(os.path.join(formats.FIXTURES, "quirks", "*.sse"))):
            name = os.path.basename(path)[:-4]
            if "truncated" in name or "no-done" in name or "codeassist" in name:
                continue
            fmt = next(f for f in ALL if name.startswith(f.name))
            stream = open(path, "rb").read()
            response, _ = exchange(connection, fmt, formats.small_body(fmt, True), sse(stream), stream=True)
            assert response.body.startswith(stream), "%s: %r" % (name, response.body[-300:])
            yield name, None


def test_recorded_streams():
    """Streams that were recorded from the vendors themselves, where somebody has them."""
    import glob
    import os
    folder = os.environ.get("CCPROXY_EXTRA_FIXTURES")
    if not folder:
        raise check.Skip("CCPROXY_EXTRA_FIXTURES is not set")
    owners = {"anthropic": ANTHROPIC, "openai-chat": CHAT, "openai-compatible": CHAT, "openai-responses": RESPONSES,
              "google": GEMINI}
    with server.connect() as connection:
        for name, fmt in owners.items():
            for path in sorted(glob.glob(os.path.join(folder, "vercel-ai", name, "*.chunks.txt"))):
                stream = b""
                for line in open(path, "rb").read().splitlines():
                    kind = (formats.parsed(line) or {}).get("type")
                    stream += b"event: %s\n" % kind.encode() if fmt is ANTHROPIC and kind else b""
                    stream += b"data: " + line + b"\n\n"
                stream += b"data: [DONE]\n\n" if fmt is CHAT and b"[DONE]" not in stream else b""
                response, _ = exchange(connection, fmt, formats.small_body(fmt, True), sse(stream), stream=True)
                whole = response.body == stream
                if not whole and response.body.startswith(stream):  # the recording itself was cut off
                    whole = not any(formats.is_success_end(fmt, e) for e in formats.events(stream))
                yield "%s-%s" % (name, os.path.basename(path)[:-11]), None if whole else repr(response.body[-300:])


def test_unknown_members_numbers_order_escapes():
    bodies = [
        b'{"zeta":1.0,"model":"m-1","max_tokens":1e5,"alpha":12345678901234567890,"messages":[],"f":-0.0,"e":1E-7}',
        b'{ "messages" : [ ] ,\t"model":"m-1",\r\n"x":"\\u00e9\\ud83d\\ude00\\/\\b","y":"\xc3\xa9\xf0\x9f\x98\x80","max_tokens":1 }\n\n',
        b'{"model":"m-1","messages":[{"role":"user","content":"\\u0000 \\u2028"}],"nested":{"a":{"a":{"a":[[[]]]}}},"n":null}',
        b'{"model":"m\\u002d1","messages":[],"input":"x","contents":[],"stream":false}',
        b'{"big":"' + b"x" * 300000 + b'","model":"m-1","messages":[],"input":""}',
    ]
    answers = [b'{"id":"x","n":1.0,"big":12345678901234567890,"s":"\\u00e9\xc3\xa9","q":1e400}  ', b"[]", b"\xef\xbb\xbf{}", b"",
               b"not json at all"]
    with server.connect() as connection:
        for fmt in ALL:
            for request, answer in zip(bodies, answers):
                response, _ = exchange(connection, fmt, request, Answer(answer))
                same(response, answer)


def test_statuses_and_error_bodies_pass():
    import json
    import os
    rows = json.load(open(os.path.join(formats.FIXTURES, "errors", "upstream-errors.json")))
    owners = {"anthropic": ANTHROPIC, "openai": CHAT, "codex": RESPONSES, "gemini": GEMINI, "openrouter": CHAT,
              "azure": CHAT, "any": CHAT, "ollama": CHAT}
    with server.connect() as connection:
        for number, row in enumerate(rows):
            fmt = owners.get(row["provider"])
            if fmt is None or row["expect"].get("kind") == "auth":
                continue  # a refused credential of ours is answered by ccproxy itself, see test_errors
            text = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"], indent=1)
            kind = "application/json" if not isinstance(row["body"], str) else "text/html"
            headers = list(row.get("headers", {}).items())
            answer = Answer(text.encode(), status=row["status"], content_type=kind,
                            headers=[h for h in headers if h[0] != "content-type"])
            response, _ = exchange(connection, fmt, formats.small_body(fmt), answer)
            same(response, text.encode(), row["status"])
            for name, value in headers:
                assert response.get(name) == value, "%s: %s is %r" % (row["provider"], name, response.get(name))
            yield "%d-%s-%d" % (number, row["provider"], row["status"]), None


def test_headers_both_ways():
    answer = Answer(b"{}", headers=[
        ("request-id", "req_1"), ("x-request-id", "up-1"), ("anthropic-ratelimit-requests-remaining", "7"),
        ("x-ratelimit-reset-tokens", "1s"), ("Set-Cookie", "a=b"), ("Connection", "x-hop"), ("X-Hop", "1"),
        ("Keep-Alive", "timeout=5"), ("Retry-After", "3")])
    with server.connect() as connection:
        up.reset(answer)
        response = connection.request("POST", "/claude/v1/messages?beta=true", formats.small_body(ANTHROPIC), [
            ("anthropic-version", "2023-06-01"), ("anthropic-beta", "a-1,b-2"), ("X-Stainless-Lang", "js"),
            ("User-Agent", "my-agent/1 (x)"), ("Connection", "keep-alive, x-private"), ("X-Private", "1"),
            ("Accept-Encoding", "gzip, br"), ("Cookie", "c=d"), ("Proxy-Authorization", "Basic x"), ("TE", "trailers"),
            ("x-api-key", "not-the-real-one")])
        seen = up.last()
    assert seen.target == "/v1/messages?beta=true", seen.target
    for name, value in (("anthropic-version", "2023-06-01"), ("anthropic-beta", "a-1,b-2"), ("x-stainless-lang", "js"),
                        ("user-agent", "my-agent/1 (x)"), ("accept-encoding", "identity"), ("x-api-key", formats.KEY)):
        assert seen.get(name) == value, "%s went up as %r" % (name, seen.get(name))
    assert len([1 for n, _ in seen.headers if n.lower() == "x-api-key"]) == 1
    for name in ("x-private", "proxy-authorization", "te", "proxy-connection", "expect"):
        assert seen.get(name) is None, "%s went up" % name
    for name, value in (("request-id", "req_1"), ("x-request-id", "up-1"), ("retry-after", "3"),
                        ("anthropic-ratelimit-requests-remaining", "7"), ("x-ratelimit-reset-tokens", "1s")):
        assert response.get(name) == value, "%s came back as %r" % (name, response.get(name))
    for name in ("set-cookie", "x-hop", "keep-alive"):
        assert response.get(name) is None, "%s came back" % name
    assert response.get("x-ccproxy-request-id") and response.get("x-ccproxy-provider")
    assert "upstream;dur=" in (response.get("server-timing") or ""), response.headers


def test_request_id_of_the_client():
    with server.connect() as connection:
        for given, kept in (("abc-DEF_1.2", True), ("a" * 128, True), ("a" * 129, False), ("a b", False), ("a\"b", False)):
            up.reset(Answer())
            response = connection.request("POST", "/claude/v1/messages", formats.small_body(ANTHROPIC),
                                          [("x-request-id", given)])
            assert (response.get("x-ccproxy-request-id") == given) == kept, (given, response.headers)


def test_raw_paths_of_the_family_pass():
    rows = [("GET", "/openai/v1/responses/resp_1", "/v1/responses/resp_1"),
            ("DELETE", "/openai/v1/responses/resp_1", "/v1/responses/resp_1"),
            ("POST", "/openai/v1/responses/resp_1/cancel", "/v1/responses/resp_1/cancel"),
            ("POST", "/openai/v1/responses/compact", "/v1/responses/compact"),
            ("POST", "/openai/v1/responses/input_tokens", "/v1/responses/input_tokens"),
            ("POST", "/openai/v1/completions", "/v1/completions"),
            ("POST", "/openai/v1/embeddings", "/v1/embeddings"),
            ("POST", "/claude/v1/messages/count_tokens", "/v1/messages/count_tokens"),
            ("POST", "/claude/v1/messages/batches", "/v1/messages/batches"),
            ("GET", "/claude/v1/messages/batches/b1/results", "/v1/messages/batches/b1/results"),
            ("POST", "/gemini/v1/models/g-1:countTokens", "/v1/models/g-1:countTokens"),
            ("POST", "/gemini/v1alpha/models/g-1:embedContent", "/v1alpha/models/g-1:embedContent"),
            ("POST", "/gemini/v1beta/models/g-1:batchEmbedContents", "/v1beta/models/g-1:batchEmbedContents")]
    with server.connect() as connection:
        for method, path, expected in rows:
            up.reset(Answer(b'{"it":1}'))
            body = b'{"model":"m-1","input":"x"}' if method == "POST" else None
            response = connection.request(method, path, body)
            good = response.status == 200 and response.body == b'{"it":1}' and up.last().target == expected
            yield method + path, None if good else "%d %r" % (response.status, response.body[:200])


def test_elsewhere_404():
    rows = [("/claude/v1/completions", ANTHROPIC), ("/gemini/v1/messages/batches", GEMINI),
            ("/claude/v1/responses/compact", ANTHROPIC)]
    with server.connect() as connection:
        for path, _ in rows:
            up.reset(Answer())
            response = connection.request("POST", path, b'{"model":"m-1"}')
            assert response.status in (400, 404), (path, response.status)
            assert not up.requests, path


def test_coded_bodies_pass():
    import gzip
    for fmt in ALL:
        body = gzip.compress(formats.small_body(fmt))
        up.reset(Answer(gzip.compress(b'{"a":1}'), headers=[("Content-Encoding", "gzip")]))
        response = server.request("POST", fmt.url(), body, [("Content-Encoding", "gzip")])
        assert up.last().body == body and up.last().get("content-encoding") == "gzip", fmt.name
        assert response.get("content-encoding") == "gzip" and gzip.decompress(response.body) == b'{"a":1}', fmt.name


def test_chunked_request():
    body = formats.small_body(CHAT)
    with server.connect() as connection:
        up.reset(Answer(b'{"ok":1}'))
        connection.send(b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"1\r\n%c\r\n" % b for b in body) + b"0\r\n\r\n")
        response = connection.response()
    assert up.last().body == body and response.body == b'{"ok":1}'


def test_large_bodies():
    body = b'{"model":"m-1","messages":[{"role":"user","content":"' + b"a" * (8 << 20) + b'"}]}'
    answer = b'{"text":"' + b"b" * (8 << 20) + b'"}'
    with server.connect(timeout=60) as connection:
        response, _ = exchange(connection, CHAT, body, Answer(answer))
        same(response, answer)


if __name__ == "__main__":
    check.main(globals(), "blackbox/identity", before, after)
