"""/metrics as Prometheus reads it: every family with what was really sent, in both text forms, over reloads, for other
plugins, and the dashboard's queries."""
import json
import os
import re
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import check  # noqa: E402
import formats  # noqa: E402
import plugin_kit  # noqa: E402
from logins import Logins  # noqa: E402
from prometheus import Prometheus, families, promtool, samples, total  # noqa: E402
from server import Server  # noqa: E402
from upstream import Upstream, reply, sse  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KEY = "key-for-everything-FIXTURE-1"
SECURITY = '[security]\nauth_token = "%s"\n' % KEY
AUTH = [("x-ccproxy-token", KEY)]

CACHED = {"input_tokens": 11, "cache_read_input_tokens": 22, "cache_creation_input_tokens": 33, "output_tokens": 44}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-up", "stop_reason": "end_turn",
           "stop_sequence": None, "content": [{"type": "text", "text": "hello"}], "usage": CACHED}


def message_stream():
    start = {"type": "message_start", "message": dict(MESSAGE, content=[], stop_reason=None,
                                                      usage=dict(CACHED, output_tokens=1))}
    events = [start,
              {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
              {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
              {"type": "content_block_stop", "index": 0},
              {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
               "usage": {"output_tokens": 44}},
              {"type": "message_stop"}]
    return b"".join(b"event: %s\ndata: %s\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)


def page(server, accept=None, headers=AUTH):
    answer = server.request("GET", "/metrics", headers=[*headers, *([("accept", accept)] if accept else [])])
    assert answer.status == 200 and answer.complete, answer.body[:300]
    return answer.body.decode()


def settled(server, condition, seconds=5):
    """The samples once the condition holds: an exchange is counted when its worker has ended it."""
    end = time.monotonic() + seconds
    while True:
        found = samples(page(server))
        if condition(found):
            return found
        assert time.monotonic() < end, "the counters never came to it: %s" % sorted(
            (n, sorted(l), v) for (n, l), v in found.items() if n.endswith("_total"))
        time.sleep(0.02)


def usage_in(fmt, body, stream):
    """(input, output) as the client reads them in an answer of the mock provider, which caches nothing."""
    texts = [data for _, data in formats.events(body)] if stream else [body.decode()]
    seen = {}
    for text in texts:
        value = formats.parsed(text)
        if not isinstance(value, dict):
            continue
        for holder in (value, value.get("message") or {}, value.get("response") or {}):
            if isinstance(holder, dict):
                seen.update({k: v for k, v in (holder.get("usage") or holder.get("usageMetadata") or {}).items() if v})
    of = {"anthropic": ("input_tokens", "output_tokens"), "chat": ("prompt_tokens", "completion_tokens"),
          "responses": ("input_tokens", "output_tokens"), "gemini": ("promptTokenCount", "candidatesTokenCount")}
    return tuple(seen[name] for name in of[fmt.name])


class Sent:
    """What went through: the sums that Prometheus has to have."""

    def __init__(self, server, up):
        self.server, self.up = server, up
        self.requests, self.input, self.output, self.streams, self.errors = 0, 0, 0, 0, 0

    def mock(self, fmt, stream, text=b"count these few words, please"):
        body = formats.small_body(fmt, stream).replace(b"hi", text)
        if fmt is formats.CHAT and stream:
            body = body[:-1] + b',"stream_options":{"include_usage":true}}'
        path = fmt.url(stream, "mock").replace("gemini-test-1", "m-1")
        answer = self.server.post(path, body, AUTH)
        assert answer.status == 200, answer.body
        usage = usage_in(fmt, answer.body, stream)
        self.requests, self.input, self.output = self.requests + 1, self.input + usage[0], self.output + usage[1]
        self.streams += stream

    def fail(self, path, body, status, headers=AUTH):
        answer = self.server.post(path, body, headers)
        assert answer.status == status, (status, answer.status, answer.body)
        self.errors += 1


def chat(model, stream=False, more=b""):
    return b'{"model":"%s","messages":[{"role":"user","content":"hi"}]%s%s}' % (
        model.encode(), b',"stream":true' if stream else b"", more)


def send_everything(sent):
    for fmt in formats.ALL:
        for stream in (False, True):
            for _ in range(3):
                sent.mock(fmt, stream)
    sent.fail("/mock/v1/chat/completions", chat("mock-error-500"), 500)
    sent.fail("/mock/v1/chat/completions", chat("mock-error-500"), 500)
    sent.fail("/mock/v1/messages", formats.small_body(formats.ANTHROPIC).replace(b"m-1", b"mock-error-429"), 429)
    sent.fail("/nowhere/at/all", b"{}", 404)
    sent.fail("/mock/v1/chat/completions", chat("m-1"), 401, headers=[])
    cut = sent.server.post("/mock/v1/chat/completions", chat("mock-cut", True), AUTH)
    assert b"[DONE]" not in cut.body
    for _ in range(2):
        assert sent.server.post("/mock/v1/embeddings", b'{"model":"e-1","input":"four words of text"}',
                                AUTH).status == 200
    anthropic = formats.small_body(formats.ANTHROPIC)
    for path, body, answer in (
            ("/claude/v1/messages", anthropic, reply(MESSAGE)),
            ("/claude/v1/messages", formats.small_body(formats.ANTHROPIC, True), sse(message_stream(), cuts=[300, 700])),
            ("/claude/v1/chat/completions", chat("m-1", more=b',"logit_bias":{"1":2},"seed":7'), reply(MESSAGE)),
            ("/claude/v1/chat/completions", chat("m-1", True), sse(message_stream()))):
        sent.up.reset(answer)
        response = sent.server.post(path, body, AUTH)
        assert response.status == 200, response.body
        sent.dropped = max(getattr(sent, "dropped", 0), len((response.get("x-ccproxy-dropped") or "").split(",")))


TOKENS = 'sum(gen_ai_client_token_usage_sum{gen_ai_provider_name="%s",gen_ai_token_type="%s"%s})'
CHAT_ONLY = ',gen_ai_operation_name="chat"'


def expectations(sent):
    """(expression, value or a range)"""
    yield TOKENS % ("mock", "input", CHAT_ONLY + ',gen_ai_request_model="m-1"'), sent.input
    yield TOKENS % ("mock", "output", CHAT_ONLY + ',gen_ai_request_model="m-1"'), sent.output
    yield 'sum(gen_ai_client_token_usage_count{gen_ai_request_model="m-1",gen_ai_provider_name="mock",' \
          'gen_ai_token_type="input"})', sent.requests
    for kind, tokens in (("input", 11), ("cache_read", 22), ("cache_write", 33), ("output", 44)):
        yield TOKENS % ("claude_api", kind, ',gen_ai_system="anthropic"'), 4 * tokens
    yield 'sum(gen_ai_client_token_usage_count{gen_ai_operation_name="embeddings",gen_ai_token_type="input"})', 2
    yield 'sum(gen_ai_server_request_duration_count{error_type="",gen_ai_provider_name="mock",' \
          'gen_ai_operation_name="chat"})', sent.requests
    yield 'sum(gen_ai_server_request_duration_count{error_type="500"})', 2
    yield 'sum(gen_ai_server_request_duration_count{error_type="429"})', 1
    yield 'sum(gen_ai_server_request_duration_count{error_type="upstream",gen_ai_request_model="mock-cut"})', 1
    yield 'sum(gen_ai_server_request_duration_sum)', (0.0001, 60)
    yield 'sum(gen_ai_server_time_to_first_token_count)', sent.streams + 2
    yield 'sum(gen_ai_server_time_to_first_token_sum)', (0.0001, 60)
    yield 'sum(gen_ai_server_time_per_output_token_count)', (1, sent.streams + 2)
    yield 'sum(ccproxy_requests_total{outcome="ok",provider="mock",op="generate"})', sent.requests
    yield 'sum(ccproxy_requests_total{outcome="ok",provider="mock",op="embed",status="200"})', 2
    yield 'sum(ccproxy_requests_total{format="gemini",outcome="ok"})', 6
    yield 'sum(ccproxy_requests_total{outcome="provider_error",status="500"})', 2
    yield 'sum(ccproxy_requests_total{outcome="not_found",status="404"})', 1
    yield 'sum(ccproxy_requests_total{outcome="unauthorized",status="401"})', 1
    yield 'sum(ccproxy_requests_total{outcome="ok",provider="claude_api",format="openai-chat"})', 2
    yield 'sum(ccproxy_upstream_attempts_total{provider="claude_api"})', 4
    yield 'ccproxy_dropped_fields_total{provider="claude_api"}', sent.dropped
    yield 'sum(ccproxy_overhead_seconds_count{provider="mock"})', (sent.requests, sent.requests + 6)
    yield 'ccproxy_overhead_seconds_count{provider="claude_api"}', 4
    yield 'ccproxy_overhead_seconds_sum{provider="claude_api"}', (0.00001, 10)
    yield 'ccproxy_bytes_total{direction="in"}', (1000, 100000)
    yield 'ccproxy_bytes_total{direction="out"}', (5000, 1000000)
    yield 'ccproxy_requests_in_flight', 2  # the open stream, and the scrape itself
    yield 'ccproxy_open_streams', 1
    yield 'ccproxy_series_overflow_total', 0
    yield 'ccproxy_memory_bytes', (0, 1 << 30)
    yield 'ccproxy_log_lines_dropped_total', 0
    yield 'ccproxy_events_dropped_total', 0
    yield 'ccproxy_plugin_failures_total', 0
    yield 'ccproxy_plugins_failed', 0
    yield 'ccproxy_build_info', 1
    yield 'process_cpu_seconds_total', (0.001, 600)
    yield 'process_resident_memory_bytes', (1 << 20, 1 << 33)
    yield 'process_virtual_memory_bytes', (1 << 20, 1 << 47)
    yield 'process_open_fds', (5, 1000)
    yield 'process_max_fds', (100, 1 << 40)
    yield 'time() - process_start_time_seconds', (0, 120)


def dashboard_queries():
    with open(os.path.join(TOP, "system-plugins", "metrics", "grafana.json")) as f:
        board = json.load(f)
    assert board["schemaVersion"] >= 36 and board["title"] and board["uid"]
    ids = [p["id"] for p in board["panels"]]
    assert len(ids) == len(set(ids))
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], re.sub(r"\$(__rate_interval|provider|model)",
                                         lambda m: {"__rate_interval": "1m"}.get(m[1], ".*"), target["expr"])


def judged(value, want):
    if isinstance(want, tuple):
        return None if value is not None and want[0] <= value <= want[1] else "%s is not within %s" % (value, want)
    return None if value == want else "%s instead of %s" % (value, want)


def test_prometheus_reads_everything():
    up = Upstream()
    try:
        config = SECURITY + formats.config(up.url)
        with Server(config) as server, Prometheus(server.port, KEY) as prometheus:
            sent = Sent(server, up)
            prometheus.wait(lambda: prometheus.value("up") == 1, "the first good scrape")
            send_everything(sent)
            # One stream that stays open while Prometheus looks.
            up.reset(sse([(message_stream()[:900], 0), (b"", 60)]))
            with server.connect() as open_stream:
                open_stream.send(b"POST /claude/v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\nx-ccproxy-token: %s\r\n"
                                 b"content-length: %d\r\n\r\n%s" % (
                                     KEY.encode(), len(formats.small_body(formats.ANTHROPIC, True)),
                                     formats.small_body(formats.ANTHROPIC, True)))
                open_stream.head()
                settled(server, lambda f: total(f, "ccproxy_open_streams") == 1)
                prometheus.wait_scrapes(2)
                text = page(server)
                asked = set()
                for expression, want in expectations(sent):
                    asked.update(re.findall(r"(?:gen_ai|ccproxy|process)_[a-z_]+", expression))
                    yield expression, judged(prometheus.value(expression), want)
                queries = list(dashboard_queries())
                for title, expression in queries:
                    asked.update(re.findall(r"(?:gen_ai|ccproxy|process)_[a-z_]+", expression))
                    rows = prometheus.query(expression)
                    without = "refresh" in expression  # nobody is logged in here
                    yield "dashboard: %s: %s" % (title, expression), None if rows or without else "no data"
            for name in families(text):
                used = any(a in (name, name + "_sum", name + "_count", name + "_bucket") for a in asked)
                yield "asked: " + name, None if used else "no query asks for it"
            complaint = promtool(text)
            yield "promtool", complaint or None
            yield "the stream has ended", None if settled(
                server, lambda f: total(f, "ccproxy_open_streams") == 0) else "it has not"
            check.figure("MET-04", "Prometheus: %d families, %d dashboard queries answered; promtool clean" % (
                len(families(text)), len(queries)))
    finally:
        up.close()


def test_page_forms():
    """Who asks for OpenMetrics gets it; the numbers are the same; nobody else is served."""
    with Server(SECURITY) as server:
        assert server.post("/mock/v1/chat/completions", chat("m-1"), AUTH).status == 200
        settled(server, lambda f: total(f, "ccproxy_requests_total") == 1)
        plain = server.request("GET", "/metrics", headers=AUTH)
        assert plain.get("content-type") == "text/plain; version=0.0.4; charset=utf-8", plain.headers
        assert plain.get("cache-control") == "no-store"
        accept = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75," \
                 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        opened = server.request("GET", "/metrics", headers=[*AUTH, ("accept", accept)])
        assert opened.get("content-type") == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        text = opened.body.decode()
        assert text.endswith("\n# EOF\n") and text.count("# EOF") == 1
        assert "# TYPE ccproxy_requests counter" in text and "# TYPE ccproxy_requests_total" not in text
        moving = ("process_", "ccproxy_memory", "ccproxy_bytes", "ccproxy_requests_in_flight")
        stable = [{k: v for k, v in samples(t).items() if not k[0].startswith(moving)}
                  for t in (plain.body.decode(), text)]
        assert stable[0] == stable[1], set(stable[0].items()) ^ set(stable[1].items())
        assert server.request("GET", "/metrics").status == 401
        head = server.request("HEAD", "/metrics", headers=AUTH)
        assert head.status == 200 and head.body == b""
        assert server.request("POST", "/metrics", b"{}", headers=AUTH).status == 405
        # What is excluded is not counted, unless it fails.
        assert server.request("GET", "/health/live").status == 200
        found = settled(server, lambda f: total(f, "ccproxy_requests_total", status="401") == 1 and
                        total(f, "ccproxy_requests_in_flight") == 1)  # the scrape itself; the one before is forgotten
        assert total(found, "ccproxy_requests_total", status="200") == 1


def test_documented():
    """docs/metrics.md tells of every family that the page shows, and of no other."""
    with Server("") as server:
        shown = families(page(server, headers=[]))
    with open(os.path.join(TOP, "docs", "metrics.md")) as f:
        rows = re.findall(r"^\| (`(?:gen_ai|ccproxy|process)_[^|]+) \|", f.read(), re.M)
    told = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    assert told == set(shown), sorted(told ^ set(shown))


def test_hostile_labels():
    """Models are what clients write: the page stays readable and bounded."""
    names = ['quo"te', "back\\slash", "new\nline", "b\x7fell", "ünï", "x" * 4000, "{a=\"b\"}", "", "a b", "# TYPE x counter"]
    with Server(SECURITY + "[plugins.metrics]\nmax_series = 12\n") as server:
        for name in names + ["model-%d" % i for i in range(200)]:
            answer = server.post("/mock/v1/chat/completions",
                                 {"model": name, "messages": [{"role": "user", "content": "hi"}]}, AUTH)
            assert answer.status in (200, 400), answer.body
        found = settled(server, lambda f: total(f, "gen_ai_server_request_duration_count") > 200)
        models = {dict(l).get("gen_ai_request_model") for n, l in found if n == "gen_ai_server_request_duration_count"}
        assert "other" in models and len(models) <= 13, models
        assert not promtool(page(server))
        assert total(found, "ccproxy_series_overflow_total") > 100


def test_settings():
    """Keys and models in labels as configured; switched off it is not there at all."""
    keys = '[[security.keys]]\nname = "team-a"\ntoken = "token-a-FIXTURE-000001"\n'
    ask = [("x-ccproxy-token", "token-a-FIXTURE-000001")]
    with Server(keys + "[plugins.metrics]\nlabel_keys = true\nlabel_models = false\n") as server:
        assert server.post("/mock/v1/chat/completions", chat("m-1"), ask).status == 200
        end = time.monotonic() + 5
        while 'key="team-a"' not in page(server, headers=ask) and time.monotonic() < end:
            time.sleep(0.02)
        text = page(server, headers=ask)
        assert re.search(r'ccproxy_requests_total\{[^}]*key="team-a"\} 1\n', text), text
        assert re.search(r'gen_ai_client_token_usage_count\{[^}]*key="team-a"[^}]*\} 1\n', text)
        assert "m-1" not in text
    with Server("", arguments=["--disable-plugin", "metrics"]) as server:
        assert server.request("GET", "/metrics").status == 404


def test_reload_keeps_counting():
    """A reload that does not concern the plugin keeps its numbers; one that changes its settings begins anew."""
    with Server(SECURITY) as server:
        for _ in range(3):
            assert server.post("/mock/v1/chat/completions", chat("m-1"), AUTH).status == 200
        before_it = settled(server, lambda f: total(f, "ccproxy_requests_total") == 3)
        server.write(SECURITY + "[plugins.mock]\nerror_rate = 100\n")
        server.process.send_signal(signal.SIGHUP)
        server.wait_log("reload")
        settled(server, lambda _: server.post("/mock/v1/chat/completions", chat("m-1"), AUTH).status == 500)
        found = settled(server, lambda f: total(f, "ccproxy_requests_total", status="500") >= 1)
        assert total(found, "ccproxy_requests_total", status="200") >= 3
        counters = [k for k in before_it if k[0].endswith(("_total", "_count", "_sum", "_bucket"))]
        fallen = [(k, before_it[k], found.get(k)) for k in counters if not found.get(k, -1) >= before_it[k]]
        assert len(counters) > 50 and not fallen, fallen
        server.write(SECURITY + "[plugins.metrics]\nmax_series = 77\n")
        server.process.send_signal(signal.SIGHUP)
        settled(server, lambda f: total(f, "ccproxy_requests_total", status="200") == 0)


def test_renewals_are_counted():
    with Logins() as lab:
        lab.store(expires_in=2)
        with Server(lab.config()) as server:
            end = time.monotonic() + 20
            while True:
                lab.ask(server)
                found = samples(page(server, headers=[]))
                if total(found, "ccproxy_token_refreshes_total", result="ok") >= 1:
                    break
                assert time.monotonic() < end, "no renewal was counted"
                time.sleep(0.2)
            login = {dict(l).get("login") for n, l in found if n == "ccproxy_token_refreshes_total"}
            assert login == {"acme"}, login
            assert lab.posts() >= 1


SERVICE_USER = r"""
#include <ccproxy/metrics.h>
static const struct ccp_metrics *metrics;
static struct ccp_metric *hits, *size, *times;
static const char *const labels[] = {"path", NULL};
static const uint64_t bounds[] = {10, 100};
static void *open_it(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    static int instance;
    void *self;
    metrics = env->api->service(env, CCP_METRICS, &self);
    if (metrics == NULL) {
        *why = CCP_SPAN("no metrics");
        return NULL;
    }
    struct ccp_metric_family f = {sizeof(f), CCP_METRIC_COUNTER, "test_hits", "Hits.", labels};
    hits = metrics->family(self, &f, why);
    f = (struct ccp_metric_family){sizeof(f), CCP_METRIC_GAUGE, "test_size_bytes", "Size.", NULL};
    size = metrics->family(self, &f, why);
    f = (struct ccp_metric_family){sizeof(f), CCP_METRIC_HISTOGRAM, "test_path_length", "Lengths.", NULL, bounds, 2};
    times = metrics->family(self, &f, why);
    return hits != NULL && size != NULL && times != NULL ? &instance : NULL;
}
static enum ccp_verdict on_request(void *self, struct ccp_exchange *x)
{
    struct ccp_span path = x->api->path(x);
    metrics->add(hits, &path, 1);
    metrics->set(size, NULL, (int64_t)path.n);
    metrics->observe(times, NULL, path.n);
    return CCP_NEXT;
}
static const struct ccp_middleware middleware[] = {{.name = "count", .layer = CCP_LAYER_OBSERVABILITY,
    .order = 50, .on_request = on_request}, {.name = NULL}};
static const char *const requires[] = {CCP_METRICS, NULL};
"""


def test_other_plugins_count():
    """A shared object brings families of its own by the service metrics/1, and keeps them over a restart of itself."""
    with tempfile.TemporaryDirectory(prefix="ccp-plugins-") as folder:
        plugin_kit.make(folder, "counting", plugin_kit.manifest(
            "counting", ".open = open_it, .middleware = middleware, .requires = requires,", SERVICE_USER))
        config = SECURITY + '[plugin_discovery]\ndirectories = ["%s"]\n' % folder
        with Server(config) as server:
            for _ in range(4):
                assert server.post("/mock/v1/chat/completions", chat("m-1"), AUTH).status == 200
            found = settled(server, lambda f: total(f, "test_hits_total", path="/mock/v1/chat/completions") == 4)
            assert total(found, "test_path_length_bucket", le="+Inf") >= 4
            text = page(server)
            assert "# TYPE test_size_bytes gauge\n" in text and not promtool(text)
            server.write(config + "[plugins.counting]\nenabled = false\n")
            server.process.send_signal(signal.SIGHUP)
            settled(server, lambda _: True)
        with Server(config, arguments=["--disable-plugin", "metrics"], wait=True) as server:
            server.wait_log("metrics/1")  # it is left out, with the reason


if __name__ == "__main__":
    check.main(globals(), "metrics")
