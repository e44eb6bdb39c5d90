"""A shared object that reads answers (on_delta) and stops those with a forbidden word, over sockets, for all formats."""
import json
import os
import re
import shutil
import tempfile
import time

import check
import formats
import plugin_kit
import rawhttp
from formats import ALL, ANTHROPIC, CHAT, GEMINI, RESPONSES, small_body
from server import SLOW, Server
from upstream import Answer, Upstream, sse

FILTER = plugin_kit.manifest("filter", ".middleware = middlewares, .open = open_it, .routes = routes,", before=r"""
/* Looks for the word that the client's x-forbidden names, also where it is cut into fragments. */
static const struct ccp_plugin_env *the_env;
static void *open_it(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    the_env = env;
    return &the_env;
}
static unsigned starts, ends;
struct tail { size_t n; char text[200]; };
static struct ccp_span word(struct ccp_exchange *x) { return x->api->header(x, CCP_SPAN("x-forbidden")); }
static bool wants(void *self, struct ccp_exchange *x) { return word(x).n != 0; }
static bool on_delta(void *self, struct ccp_exchange *x, const struct ccp_delta *d)
{
    void **slot = x->api->slot(x, the_env);
    struct tail *t = slot != NULL ? *slot : NULL;
    struct ccp_span bad = word(x);
    if (d->type == CCP_DELTA_START && slot != NULL && (t = *slot = x->api->alloc(x, sizeof(*t))) != NULL)
        t->n = 0;
    if (t == NULL)
        return false;
    __atomic_fetch_add(&starts, d->type == CCP_DELTA_START, __ATOMIC_RELAXED);
    __atomic_fetch_add(&ends, d->type == CCP_DELTA_STOP || d->type == CCP_DELTA_ERROR, __ATOMIC_RELAXED);
    for (size_t i = 0; d->type == CCP_DELTA_TEXT && i < d->text.n; i++) {
        if (t->n == sizeof(t->text))
            memmove(t->text, t->text + 1, --t->n);
        t->text[t->n++] = d->text.p[i];
        if (t->n >= bad.n && memcmp(t->text + t->n - bad.n, bad.p, bad.n) == 0) {
            (x->api->fail)(x, CCP_FORBIDDEN, "a word of this answer is not for everybody");
            return false;
        }
    }
    return true;
}
static const struct ccp_middleware middlewares[] = {
    {.name = "filter", .layer = CCP_LAYER_APPLICATION, .order = 10, .on_delta = on_delta, .wants_deltas = wants}, {NULL}};
static enum ccp_verdict tell(void *self, struct ccp_exchange *x)
{
    return x->api->respond(x, 200, CCP_SPAN("text/plain"), x->api->print(x, "%u %u", starts, ends));
}
static const struct ccp_route routes[] = {{"GET", "/counts", NULL, CCP_ACCESS_PUBLIC, NULL, NULL, tell}, {NULL}};
""")

REFUSED = b"a word of this answer is not for everybody"
ENDS = (b"data: [DONE]", b"event: message_stop", b"event: response.completed")
up = server = folder = None


def config(directory):
    blocks = "".join('[providers.up_%s]\nbase_url = "%s%s"\nformat = "%s"\nauth = "none"\n' % (
        f.name, up.url, f.suffix, f.config_name) for f in ALL)
    return blocks + '[plugin_discovery]\ndirectories = ["%s"]\nprobe_timeout = "30s"\n' % directory


def before():
    global up, server, folder
    folder = tempfile.mkdtemp(prefix="ccp-deltas-")
    os.chmod(folder, 0o755)
    plugin_kit.make(folder, "filter", FILTER)
    up = Upstream()
    server = Server(config(folder), server='keepalive_interval = "1s"')


def after():
    assert server.stop() == 0, server.output()
    up.close()
    shutil.rmtree(folder, ignore_errors=True)


def fixture(name, upstream_format, stream):
    return next(s if stream else r for n, f, _, r, s in formats.scenarios() if n == name and f is upstream_format)


def answer(name, upstream_format, stream, **more):
    body = fixture(name, upstream_format, stream)
    return sse(body, **more) if stream else Answer(body, **more)


def ask(client, upstream_format, stream, word=None):
    headers = [("Content-Type", "application/json")] + ([("X-Forbidden", word)] if word else [])
    return server.post(client.url(stream, prefix="up_" + upstream_format.name), small_body(client, stream), headers)


def error_of(client, body, stream):
    """The error's message and type as that client's software finds them; None = there is none."""
    if stream:
        last = [e for e in re.split(rb"\r?\n\r?\n", body) if e.strip()][-1]
        if client is ANTHROPIC and not last.startswith(b"event: error\n"):
            return None
        body = last[last.index(b"data: ") + 6:]
    data = json.loads(body)
    if client is RESPONSES and stream:
        told = {"error": data, "response.failed": (data.get("response") or {}).get("error")}.get(data["type"])
        return told["message"] if told else None
    return data["error"]["message"] if data.get("error") else None


def test_a_forbidden_word_ends_the_answer():
    """Every pair of formats, streamed and whole: an error in the client's grammar, and nothing of the word."""
    count = 0
    for upstream_format in ALL:
        for client in ALL:
            for stream in (True, False):
                row = "%s to %s %s" % (upstream_format.name, client.name, "stream" if stream else "whole")
                up.reset(answer("text", upstream_format, stream))
                plain = ask(client, upstream_format, stream)
                fine = ask(client, upstream_format, stream, "nowhere")
                got = ask(client, upstream_format, stream, "there")
                problem = None
                if plain.status != 200 or fine.status != 200 or b"Hello" not in fine.body:
                    problem = "not answered at all: %s %s" % (fine.status, fine.body[-300:])
                elif upstream_format is client and fine.body != plain.body:
                    problem = "reading changes the bytes"
                elif b"there" in got.body or REFUSED.decode() not in (error_of(client, got.body, stream) or ""):
                    problem = "%s %s" % (got.status, got.body[-500:])
                elif any(end in got.body for end in ENDS) or not got.complete:
                    problem = "it ends like a good one, or breaks: %s" % got.body[-300:]
                elif not stream and got.status != 403:
                    problem = "status %s" % got.status
                elif stream and upstream_format is not GEMINI and (got.status != 200 or b"Hello" not in got.body):
                    problem = "what came before the word is missing: %s %s" % (got.status, got.body)
                count += problem is None
                yield row, problem
    check.figure("DLT-01", "%d of 32 ways between formats: the word never reaches the client" % count)


def test_the_first_delta_is_refused_plainly():
    """Nothing was sent yet: a plain error answer, although the upstream streams."""
    for fmt in ALL:
        body = fixture("text", fmt, True).replace(b"Hello", b"Gotcha")
        up.reset(sse(body, cuts=[5, 40]))
        for client in ALL:
            got = ask(client, fmt, True, "Gotcha")
            yield "%s to %s" % (fmt.name, client.name), (
                None if b"Gotcha" not in got.body and REFUSED in got.body and got.status in (200, 403) else
                "%s %s" % (got.status, got.body))


def test_cut_anywhere():
    """The same bytes and the same verdict wherever the upstream's packets end."""
    for fmt in ALL:
        body = fixture("text", fmt, True)
        step = 1 if check.LONG else 37
        problem, plays = None, 0
        for cut in range(1, len(body), step):
            up.reset(sse([(body[:cut], 0), (body[cut:], 0.002)]))
            fine, bad = ask(fmt, fmt, True, "nowhere"), ask(fmt, fmt, True, "there")
            plays += 2
            if fine.body != body or b"there" in bad.body or REFUSED not in bad.body:
                problem = "cut at %d: %s %s" % (cut, fine.body[-200:], bad.body[-300:])
                break
        yield "%s, %d exchanges" % (fmt.name, plays), problem


def test_the_upstream_is_let_go():
    """It is still sending when the word comes; its connection is closed."""
    for fmt, client in ((CHAT, CHAT), (ANTHROPIC, ANTHROPIC), (RESPONSES, RESPONSES), (CHAT, ANTHROPIC)):
        body = fixture("text", fmt, True)
        whole = body.index(b"\n\n", body.index(b" there")) + 2
        up.reset(sse([(body[:whole], 0)], end="stall"))
        began = time.monotonic()
        got = ask(client, fmt, True, "there")
        took = time.monotonic() - began
        gone = up.wait_gone(5)
        yield "%s to %s" % (fmt.name, client.name), (
            None if REFUSED in got.body and gone is not None and took < 3 * SLOW else
            "gone %s, took %.1f s, %s" % (gone, took, got.body[-200:]))


def tokens():
    page = server.request("GET", "/metrics").body.decode()
    return sum(float(line.split()[-1]) for line in page.splitlines()
               if line.startswith("gen_ai_client_token_usage_sum") and "up_" in line)


def test_token_counts_are_those_of_an_answer_that_nobody_reads():
    """Also of answers in one piece, and of Gemini's array."""
    for fmt in ALL:
        for stream in (True, False):
            body = fixture("text", fmt, stream)
            up.reset(sse(body) if stream else Answer(body))
            seen = []
            for word in (None, "nowhere"):
                before_it = tokens()
                assert ask(fmt, fmt, stream, word).status == 200
                end = time.monotonic() + 5 * SLOW
                while tokens() == before_it and time.monotonic() < end:
                    time.sleep(0.02)
                seen.append(tokens() - before_it)
            yield "%s %s" % (fmt.name, "stream" if stream else "whole"), (
                None if seen[0] == seen[1] > 0 else "unread %s, read %s" % tuple(seen))


def counts():
    return [int(n) for n in server.request("GET", "/plugins/filter/counts").body.split()]


def test_every_beginning_has_an_end():
    """Good answers, answers that break off, and clients that leave."""
    started = counts()[0]
    for fmt in ALL:
        body = fixture("text", fmt, True)
        up.reset(sse(body))
        ask(fmt, fmt, True, "nowhere")
        up.reset(sse([(body[:-40], 0)], end="rst"))
        ask(fmt, fmt, True, "nowhere")
        up.reset(sse([(body[:len(body) // 2], 0)], end="stall"))
        with server.connect() as connection:
            connection.send(rawhttp.encode("POST", fmt.url(True, prefix="up_" + fmt.name), small_body(fmt, True),
                                           [("X-Forbidden", "nowhere")]))
            connection.more()
    end = time.monotonic() + 5
    while counts()[0] != counts()[1] and time.monotonic() < end:
        time.sleep(0.02)
    starts, ends = counts()
    check.figure("DLT-02", "%d answers began before the middleware, %d ended" % (starts, ends))
    assert starts == ends and starts >= started + 12, (started, starts, ends)


def test_keepalives_while_it_reads():
    """Half an event is held back, and so is the head: a silent upstream still gets keep-alives through to the client."""
    body = fixture("text", CHAT, True)
    first = body.index(b"\n\n") + 2
    for name, at in (("before the first event", 10), ("within a later one", first + 20)):
        up.reset(sse([(body[:at], 0), (body[at:], 3.5)]))
        with server.connect(timeout=20) as connection:
            began = time.monotonic()
            got = connection.request("POST", CHAT.url(True, prefix="up_chat"), small_body(CHAT, True),
                                     [("Content-Type", "application/json"), ("X-Forbidden", "nowhere")])
        alive = got.body.count(b": keep-alive\n\n")
        yield name, (None if alive >= 1 and got.body.replace(b": keep-alive\n\n", b"") == body else
                     "%d keep-alives in %.1f s: %s" % (alive, time.monotonic() - began, got.body[:200]))


def test_gemini_arrays():
    chunks = [l[6:] for l in fixture("text", GEMINI, True).split(b"\n") if l.startswith(b"data: ")]
    body = b"[" + b",\r\n".join(c.strip() for c in chunks) + b"\n]\n"
    url = GEMINI.url(True, prefix="up_gemini").replace("?alt=sse", "")
    for word in ("nowhere", "there"):
        up.reset(Answer(body, chunked=True, cuts=[30, 100], content_type="application/json; charset=UTF-8"))
        got = server.post(url, small_body(GEMINI, True), [("X-Forbidden", word)])
        if word == "nowhere":
            yield "untouched", None if got.body == body else "%s" % got.body
            continue
        data = json.loads(got.body)
        last = data[-1] if isinstance(data, list) else data
        yield "refused", None if REFUSED.decode() in last["error"]["message"] and b"there" not in got.body else "%s" % data


if __name__ == "__main__":
    check.main(globals(), "blackbox/plugins_deltas", before, after)
