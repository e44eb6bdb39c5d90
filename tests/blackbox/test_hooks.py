"""Hooks of an exchange as a shared object hears and uses them: what it may change upstream, and what it may not."""
import json
import os
import tempfile

import check
import formats
import plugin_kit
from formats import CHAT, small_body
from server import Server
from upstream import Answer, Upstream, sse

up = objects = None
MUTATOR = plugin_kit.manifest("mutator", ".hooks = hooks, .open = open_it, .routes = routes,", """
static char said[64 * 1024];
static size_t said_n;
static const struct ccp_plugin_env *env;
static void *open_it(const struct ccp_plugin_env *e, struct ccp_span *why) { env = e; return &said; }
static void note(const char *text, bool yes) {
    said_n += (size_t)snprintf(said + said_n, sizeof(said) - said_n, "%s=%d ", text, yes);
}
static bool set(struct ccp_exchange *x, struct ccp_upstream_request *r, const char *name, const char *value) {
    return x->api->set_upstream_header(x, r, ccp_span_z(name), value != NULL ? ccp_span_z(value) : (struct ccp_span){0});
}
static bool hear(void *self, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m) {
    struct ccp_upstream_request *r = m->request;
    struct ccp_span how = x->api->header(x, CCP_SPAN("x-how"));
    if (ccp_span_is(how, "headers")) {
        note("set", set(x, r, "x-new", "from a hook"));
        note("replace", set(x, r, "x-client", "replaced"));
        note("remove", set(x, r, "x-gone", NULL));
        note("crlf", set(x, r, "x-bad", "a\\r\\nx-injected: 1"));
        note("nul", x->api->set_upstream_header(x, r, CCP_SPAN("x-bad"), ccp_span_of("a\\0b", 3)));
        note("name", set(x, r, "x bad", "a"));
        note("upper", set(x, r, "X-Bad", "a"));
        note("empty", set(x, r, "", "a"));
        note("hop", set(x, r, "connection", "close") || set(x, r, "te", "trailers") || set(x, r, "upgrade", "x"));
        note("frame", set(x, r, "content-length", "1") || set(x, r, "transfer-encoding", "chunked"));
        note("host", set(x, r, "host", "evil.example"));
        note("cred", set(x, r, "authorization", "Bearer mine") || set(x, r, "x-api-key", "k") || set(x, r, "cookie", "a=b"));
        note("drop", set(x, r, "authorization", NULL));
        note("other", set(x, NULL, "x-other", "a"));
    } else if (ccp_span_is(how, "body")) {
        r->body[0] = x->api->print(x, "{\\"model\\":\\"%s\\"", "changed");
        r->body[1] = CCP_SPAN(",\\"messages\\":[]");
        r->body[2] = CCP_SPAN("}");
        r->body_pieces = 3;
    } else if (ccp_span_is(how, "elsewhere")) {
        r->url = CCP_SPAN("http://127.0.0.1:1/");
        r->credential = NULL;
        r->method = CCP_SPAN("DELETE");
    } else if (ccp_span_is(how, "smuggle")) {
        static const struct ccp_header mine[] = {{CCP_LIT("x-a"), CCP_LIT("b\\r\\nx-injected: 1")}};
        r->headers = mine;
        r->header_count = 1;
    } else if (ccp_span_is(how, "own-credential")) {
        static const struct ccp_header mine[] = {{CCP_LIT("authorization"), CCP_LIT("Bearer mine")}};
        r->headers = mine;
        r->header_count = 1;
    } else if (ccp_span_is(how, "pieces")) {
        r->body_pieces = 4;
    }
    return true;
}
static enum ccp_verdict show(void *self, struct ccp_exchange *x) {
    return x->api->respond(x, 200, CCP_SPAN("text/plain"), ccp_span_of(said, said_n));
}
static const struct ccp_hook hooks[] = {
    {.name = "mutator", .events = CCP_HEARS(PROVIDER_REQUEST_PREPARED), .on_event = hear}, {.name = NULL}};
static const struct ccp_route routes[] = {{"GET", "/said", NULL, CCP_ACCESS_KEY, NULL, NULL, show}, {.methods = NULL}};
""")
LISTENER = plugin_kit.manifest("listener", ".hooks = hooks, .routes = routes,", """
static char said[256 * 1024];
static size_t said_n;
static const char *const names[] = {
#define X(name, dotted) dotted,
#include <ccproxy/event.def>
#undef X
};
static bool hear(void *self, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m) {
    struct ccp_span id = x != NULL ? x->api->request_id(x) : CCP_SPAN("-");
    if (x != NULL && said_n + 400 < sizeof(said) && x->api->path(x).n > 8 && x->api->path(x).p[1] == 'o')
        said_n += (size_t)snprintf(said + said_n, sizeof(said) - said_n, "%.*s %s %d %zu %.*s\\n", CCP_FMT(id), names[event],
            m->status, m->bytes.n, CCP_FMT(m->text));
    return true;
}
static enum ccp_verdict show(void *self, struct ccp_exchange *x) {
    return x->api->respond(x, 200, CCP_SPAN("text/plain"), ccp_span_of(said, said_n));
}
static const struct ccp_hook hooks[] = {
    {.name = "listener", .events = (1ull << CCP_EVENT_COUNT) - 1, .on_event = hear}, {.name = NULL}};
static const struct ccp_route routes[] = {{"GET", "/said", NULL, CCP_ACCESS_KEY, NULL, NULL, show}, {.methods = NULL}};
""")


def before():
    global up, objects
    up = Upstream()
    objects = tempfile.TemporaryDirectory(prefix="ccp-objects-")
    os.chmod(objects.name, 0o755)


def after():
    up.close()
    objects.cleanup()


def configuration():
    return '[plugin_discovery]\ndirectories = ["%s"]\n' % objects.name + formats.config(up.url)


def ask(own, how, *more):
    return own.request("POST", CHAT.url(), small_body(CHAT), [("X-How", how), *more])


def test_what_a_hook_may_change():
    """provider.request.prepared: headers and body pieces, not where it goes, nor with which credential."""
    plugin_kit.make(objects.name, "mutator", MUTATOR)
    with Server(configuration(), arguments=("--workers", "1")) as own:
        up.reset(Answer(b'{"ok":1}'))
        assert ask(own, "headers", ("X-Client", "old"), ("X-Gone", "bye")).status == 200
        seen = up.last()
        got = dict(w.split("=") for w in own.request("GET", "/plugins/mutator/said").body.decode().split())
        want = dict.fromkeys("crlf nul name upper empty hop frame host cred drop other".split(), "0")
        want.update(dict.fromkeys(("set", "replace", "remove"), "1"))
        for name in want:
            yield "header-" + name, None if got.get(name) == want[name] else "%s where %s should be" % (
                got.get(name), want[name])
        fine = (seen.get("x-new"), seen.get("x-client"), seen.get("x-gone"), seen.get("x-injected"), seen.get(
            "authorization")) == ("from a hook", "replaced", None, None, "Bearer " + formats.KEY)
        yield "headers-sent", None if fine else seen.headers
        ask(own, "body")
        yield "body", None if json.loads(up.last().body) == {"model": "changed", "messages": []} else up.last().body
        up.reset(Answer(b'{"ok":1}'))
        ask(own, "elsewhere")
        seen = up.last()
        yield "elsewhere", None if (seen.method == "POST" and seen.get("authorization") == "Bearer " +
                                    formats.KEY) else seen.headers
        for how in ("smuggle", "own-credential", "pieces"):
            up.reset(Answer(b"{}"))
            answer = ask(own, how)
            yield how, None if answer.status == 500 and b"plugin" in answer.body and not up.requests else "%d %r" % (
                answer.status, answer.body)


def test_events_in_order():
    """What a shared object hears of a good answer, a stream, a failing upstream, a refused request, a failing one."""
    plugin_kit.make(objects.name, "listener", LISTENER)
    stream = b'data: {"choices":[{"index":0,"delta":{"content":"hey"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    start, tail = ["request.started", "http.request"], ["request.completed"]
    sent = start + ["request.routed", "provider.request.prepared", "provider.request.sent"]
    rows = {
        "whole": (Answer(b"{}"), sent + ["provider.response.received", "http.response", "provider.response.body",
                                         "http.response.body"] + tail),
        "stream": (sse(stream), sent + ["provider.response.received", "provider.stream.start", "http.response",
                                        "provider.response.body", "provider.stream.chunk", "http.response.body",
                                        "provider.stream.end"] + tail),
        "error": (Answer(b"{}", status=500), sent + ["provider.response.received", "provider.error", "http.response",
                                                     "provider.response.body", "http.response.body"] + tail),
        "dead": (Answer(raw=b"", end="rst"), sent + ["provider.error", "http.error", "http.response",
                                                     "http.response.body", "request.failed"]),
        "refused-key": (Answer(b"{}", status=401), sent + ["provider.response.received", "provider.error"]),
    }
    with Server(configuration(), arguments=("--workers", "1")) as own:
        for name, (answer, want) in rows.items():
            up.reset(answer)
            own.request("POST", CHAT.url(), small_body(CHAT, name == "stream"), [("X-Request-Id", name)])
            said = own.request("GET", "/plugins/listener/said").body.decode().splitlines()
            got = [l.split()[1] for l in said if l.startswith(name + " ")]
            got = [e for n, e in enumerate(got) if n == 0 or got[n - 1] != e]
            if name == "refused-key":
                want = want + [e for e in got[len(want):] if e == "provider.response.body"][:1] + [
                    "http.error", "http.response", "http.response.body", "request.failed"]
            yield name, None if got == want else "heard %s\n  wanted %s" % (got, want)
        up.reset(Answer(b"{}"))
        own.request("POST", CHAT.url(), b"{", [("X-Request-Id", "bad")])
        said = own.request("GET", "/plugins/listener/said").body.decode().splitlines()
        got = [l.split()[1] for l in said if l.startswith("bad ")]
        want = start + ["http.error", "http.response", "http.response.body", "request.failed"]
        yield "bad-body", None if got == want else got


if __name__ == "__main__":
    check.main(globals(), "blackbox/hooks", before, after)
