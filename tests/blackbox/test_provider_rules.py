"""What codex and copilot ask beyond their formats, on the wire: bodies that comply keep their bytes, whatever their
size and coding; a list that chooses the format is asked for once and not for each request."""
import gzip
import json
import random
import threading

import check
from server import Server
from upstream import Upstream, reply, sse

STREAM = (b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1",'
          b'"object":"response","created_at":1,"status":"in_progress","model":"m","output":[]}}\n\n'
          b'event: response.completed\ndata: {"type":"response.completed","sequence_number":1,"response":{"id":'
          b'"resp_1","object":"response","created_at":1,"status":"completed","model":"m","output":[],"usage":'
          b'{"input_tokens":1,"output_tokens":1,"total_tokens":2}}}\n\n')
CODEX = '[plugins.codex]\nbase_url = "http://127.0.0.1:%d/backend-api/codex"\napi_key = "k"\n'
COPILOT = '[plugins.copilot]\nbase_url = "http://127.0.0.1:%d"\napi_key = "k"\n'


def turn(size):
    """As Codex writes it, with odd white space and numbers that a rewriting would not keep."""
    text = json.dumps("a \\\"system\\\" text é ☃ " + random.Random(1).randbytes(size // 2).hex(), ensure_ascii=False)
    return ('{"model" : "gpt-5.1-codex", "instructions":"You are", "temperature_of_tea":1.0e+01,"input":[{"type":'
            '"message","role":"developer","content":[{"type":"input_text","text":%s}]}], "tools":[],"store":false,'
            '"stream":true }' % text).encode()


def test_codex_turns_keep_their_bytes():
    upstream = Upstream()
    upstream.answer = lambda request: sse(STREAM)
    try:
        with Server(CODEX % upstream.port) as server:
            for size in (0, 1, 100_000, 4_000_000):
                for coding in ("identity", "gzip"):
                    body = turn(size)
                    coded, headers = (gzip.compress(body), [("Content-Encoding", "gzip")]) if coding == "gzip" else (
                        body, [])
                    answer = server.request("POST", "/codex/v1/responses", coded,
                                            [("Content-Type", "application/json"), ("Session-Id", "s-1")] + headers)
                    sent = upstream.last()
                    problem = None
                    if answer.status != 200 or answer.body != STREAM:
                        problem = "%d: %r" % (answer.status, answer.body[:200])
                    elif sent.body != body:
                        problem = "the body changed: %r" % sent.body[:200]
                    elif sent.get("content-encoding") or sent.get("session-id") != "s-1":
                        problem = "headers %s" % sent.headers
                    yield "%d-%s" % (size, coding), problem
    finally:
        upstream.close()


def test_only_what_must_differ_does():
    """One member in the middle of a large body: all in front and behind keeps its bytes."""
    upstream = Upstream()
    upstream.answer = lambda request: sse(STREAM)
    try:
        with Server(CODEX % upstream.port) as server:
            body = turn(1_000_000).replace(b'"tools":[]', b'"max_output_tokens":5, "tools":[ ]')
            answer = server.request("POST", "/codex/v1/responses", body, [("Content-Type", "application/json")])
            assert answer.status == 200 and answer.get("x-ccproxy-dropped") == "max_output_tokens", answer.headers
            sent = upstream.last().body
            assert b"max_output_tokens" not in sent and b"1.0e+01" in sent and b'"tools":[ ]' in sent, sent[-200:]
            before, after = json.loads(body), json.loads(sent)
            del before["max_output_tokens"]
            assert before == after and list(before) == list(after)
            inner = body[body.index(b'[{"type":"message"'):body.index(b', "max_output')]
            assert inner in sent, "the conversation's bytes changed"
    finally:
        upstream.close()


def test_the_list_is_asked_for_once():
    """Each worker remembers it; requests that come at once may each ask, none of those after them."""
    upstream = Upstream()
    models = {"data": [{"id": "r", "supported_endpoints": ["/responses"]}, {"id": "c"}]}

    def answer(request):
        if request.target == "/models":
            return reply(models, head_delay=0.05)
        return sse(STREAM) if request.target == "/responses" else reply({"error": {"message": "not here"}}, status=404)

    upstream.answer = answer
    try:
        with Server(COPILOT % upstream.port) as server:
            seen = []

            def ask():
                seen.append(server.post("/copilot/v1/chat/completions", {
                    "model": "r", "stream": True, "messages": [{"role": "user", "content": "hi"}]}).status)

            for _ in range(3):
                threads = [threading.Thread(target=ask) for _ in range(12)]
                [t.start() for t in threads]
                [t.join() for t in threads]
            lists = sum(r.target == "/models" for r in upstream.requests)
            assert seen == [200] * 36, seen
            assert 1 <= lists <= 24, "%d lists for 36 requests" % lists  # 12 at once at most, on each of two workers
            for _ in range(30):
                ask()
            later = sum(r.target == "/models" for r in upstream.requests)
            assert seen == [200] * 66 and later - lists <= 1, "%d more lists" % (later - lists)
    finally:
        upstream.close()


if __name__ == "__main__":
    check.main(globals(), "blackbox/provider_rules")
