"""What of a request reaches the upstream: the model that was judged and no other, none of the credentials."""
import json
import random

import check
import formats
from formats import ALL, ANTHROPIC, CHAT, GEMINI, small_body
from http1 import count
from server import Server
from upstream import Answer, Upstream

up = server = None
MAIN, NARROW = "ccp-main-FIXTURE-11111111", "ccp-narrow-FIXTURE-2222222"
KEYS = """
[security]
auth_token = "%s"
[[security.keys]]
name = "narrow"
token = "%s"
models = ["claude-small", "claude-mid*"]
""" % (MAIN, NARROW)


def before():
    global up, server
    up = Upstream()
    server = Server(formats.config(up.url) + KEYS)


def after():
    with server:
        pass
    up.close()


def readings(body):
    """The models that different JSON readers take the body to name: the first of two, the last, any in any case."""
    seen = []

    def note(pairs):
        seen.append([v for k, v in pairs if k == "model"])
        return dict(pairs)
    json.loads(body.decode("utf-8"), object_pairs_hook=note)
    return seen[-1]


def judged_problem(connection, body):
    """None when the body was refused, or when everybody who reads it finds a model that the key may use."""
    up.reset(Answer(b"{}"))
    response = connection.request("POST", "/claude/v1/messages", body, [("x-api-key", NARROW)])
    if response.status in (400, 403):
        return "it was refused with %d and went up" % response.status if up.requests else None
    if response.status != 200:
        return "answered %d" % response.status
    sent = up.last().body
    try:
        models = readings(sent)
    except ValueError as wrong:
        return "upstream got no JSON (%s): %r" % (wrong, sent[:200])
    if len(models) != 1 or not isinstance(models[0], str):
        return "upstream can read %r" % models
    if models[0] != "claude-small" and not models[0].startswith("claude-mid"):
        return "upstream reads %r" % models[0]
    return None if sent == body else "the body was changed"


REST = b'"max_tokens":9,"messages":[]'
TWICE = {
    "twice": b'{"model":"claude-small","model":"claude-big",%s}',
    "twice-same": b'{"model":"claude-small","model":"claude-small",%s}',
    "twice-apart": b'{"model":"claude-small",%s,"model":"claude-big"}',
    "big-first": b'{"model":"claude-big",%s,"model":"claude-small"}',
    "escaped-second": b'{"model":"claude-small","\\u006dodel":"claude-big",%s}',
    "escaped-first": b'{"\\u006dodel":"claude-big","model":"claude-small",%s}',
    "escaped-both": b'{"mod\\u0065l":"claude-small","m\\u006Fdel":"claude-big",%s}',
    "escaped-name": b'{"\\u006d\\u006f\\u0064\\u0065\\u006c":"claude-small",%s}',
    "escaped-upper": b'{"model":"claude-small","\\u006DODEL":"x","mode\\u006C":"claude-big",%s}',
    "stream-twice": b'{"model":"claude-small","stream":false,"stream":true,%s}',
    "stream-escaped": b'{"model":"claude-small","stream":false,"str\\u0065am":true,%s}',
    "junk": b'{"model":"claude-small",%s}junk', "second-object": b'{"model":"claude-small",%s}{"model":"claude-big"}',
    "junk-brace": b'{"model":"claude-small",%s}}', "junk-comma": b'{"model":"claude-small",%s},',
    "junk-nul": b'{"model":"claude-small",%s}\0',
    "comma-end": b'{"model":"claude-small",%s,}', "comment": b'{"model":"claude-small",/*"model":"claude-big",*/%s}',
    "line-comment": b'{"model":"claude-small",//\n%s}',
    "single-quotes": b"{'model':'claude-big',\"model\":\"claude-small\",%s}",
    "bare-name": b'{model:"claude-big","model":"claude-small",%s}', "bom": b'\xef\xbb\xbf{"model":"claude-small",%s}',
    "bad-utf-8": b'{"model":"claude-small\xff",%s}',
    "overlong": b'{"model":"claude-small","mod\xc1\xa5l":"claude-big",%s}',
    "lone-surrogate": b'{"model":"claude-small\\ud800",%s}', "raw-control": b'{"model":"claude-small\n",%s}',
    "bad-escape": b'{"model":"claude-small","mo\\x64el":"claude-big",%s}', "array": b'[{"model":"claude-small",%s}]',
    "model-array": b'{"model":["claude-small"],%s}', "model-object": b'{"model":{"a":"claude-small"},%s}',
    "model-null": b'{"model":null,%s}',
    "model-number": b'{"model":1,%s}', "empty": b"", "utf-16": '{"model":"claude-small"}'.encode("utf-16"),
    "nothing": b"   ",
}
PLAIN = {
    "case": b'{"model":"claude-small","Model":"claude-big","MODEL":"claude-big",%s}',
    "nested": b'{"model":"claude-mid-1","metadata":{"model":"claude-big","model":"x"},%s}',
    "escaped-value": b'{"model":"claude\\u002dsmall",%s}',
    "spaces": b' \r\n\t{ "model" \n:\t"claude-small" ,%s } \n',
    "in-a-string": b'{"x":"\\"model\\":\\"claude-big\\"","model":"claude-small",%s}',
    "nul-in-name": b'{"model\\u0000":"claude-big","model":"claude-small",%s}',
    "long-name": b'{"modelmodel":"claude-big","model":"claude-mid-2",%s}',
}


def test_twice_named_models():
    """KEY-15: whatever could be read in two ways is 400; case variants and nested names are other fields and pass."""
    def rows(connection):
        for name, form in TWICE.items():
            body = form.replace(b"%s", REST)
            up.reset(Answer(b"{}"))
            response = connection.request("POST", "/claude/v1/messages", body, [("x-api-key", NARROW)])
            problem = formats.error_problem(ANTHROPIC, response)
            yield name, problem or (None if response.status in (400, 403) and not up.requests
                                    else "%d" % response.status)
        for name, form in PLAIN.items():
            body = form.replace(b"%s", REST)
            problem = judged_problem(connection, body)
            yield name, problem or (None if up.requests else "it was refused")
    with server.connect() as connection:
        yield from count(rows(connection), "KEY-15",
                         "%d of %d doubtful bodies: 400, or one reading for limiter and upstream")


PIECES = (b'"model":"claude-big"', b'"\\u006dodel":"claude-big"', b'"model":"claude-small"', b'"Model":"claude-big"',
          b",", b"}", b"{",
          b'"', b"\\", b"\0", b"\xff", b"\\u0000", b"\\ud83d", b"[", b"]", b":", b"/*", b"*/", b"\n", b"null",
          b'{"model":"claude-big"}')


def mutate(chance, body):
    data = bytearray(body)
    for _ in range(chance.randint(1, 3)):
        at, kind = chance.randrange(len(data) + 1), chance.randrange(5)
        if kind == 0:
            data[at:at] = chance.choice(PIECES)
        elif kind == 1:
            data[at:at] = b"," + chance.choice(PIECES[:4]) + b","
        elif kind == 2 and at < len(data):
            data[at] = chance.randrange(256)
        elif kind == 3:
            del data[at:at + chance.randint(1, 8)]
        else:
            data[at:at] = data[at:at + chance.randint(1, 30)]
    return bytes(data)


def test_mutations():
    """KEY-15: 10,000 mutations: the model that was allowed is the model that went up."""
    chance, went_up, total = random.Random(15), 0, 10000
    bases = [form.replace(b"%s", REST) for form in PLAIN.values()] + [TWICE["twice"].replace(b"%s", REST)]
    with server.connect() as connection:
        for _ in range(total):
            body = mutate(chance, chance.choice(bases))
            problem = judged_problem(connection, body)
            assert problem is None, "%s: %r" % (problem, body)
            went_up += bool(up.requests)
    check.figure("KEY-15", "%d mutations: %d went up with the model that was judged, the rest 400 or 403" % (total,
        went_up))
    assert total / 50 < went_up < total, went_up


CLIENTS = [("Cookie", "session=SECRETCANARY"), ("Cookie2", "$Version=SECRETCANARY"), ("X-Forwarded-For",
    "SECRETCANARY"),
           ("X-Forwarded-Host", "SECRETCANARY"), ("X-Forwarded-Proto", "SECRETCANARY"), ("X-Forwarded-Anything",
               "SECRETCANARY"),
           ("Forwarded", "for=SECRETCANARY"), ("Via", "1.1 SECRETCANARY"), ("X-Real-IP", "SECRETCANARY"),
           ("True-Client-IP", "SECRETCANARY"),
           ("X-Client-IP", "SECRETCANARY"), ("X-Cluster-Client-IP", "SECRETCANARY"), ("CF-Connecting-IP",
               "SECRETCANARY"),
           ("Proxy-Authorization", "Basic SECRETCANARY"), ("X-CCProxy-Token", MAIN), ("X-CCProxy-Anything",
               "SECRETCANARY"),
           ("TE", "SECRETCANARY"), ("Keep-Alive", "SECRETCANARY"), ("Proxy-Connection", "SECRETCANARY"), ("Trailer",
               "SECRETCANARY")]
CREDENTIALS = [("Authorization", "Bearer SECRETCANARY"), ("x-api-key", "SECRETCANARY"), ("x-goog-api-key",
    "SECRETCANARY"),
               ("api-key", "SECRETCANARY")]


def test_credentials_stay():
    """KEY-16: neither credentials nor traces of the client go up; under passthrough exactly the one that is its own."""
    def rows():
        for auth in ("api_key", "none", "passthrough"):
            with Server(formats.config(up.url, auth=auth) + KEYS) as own:
                for fmt in ALL:
                    mine = fmt.key("sk-of-the-client-0001")
                    others = [h for h in CREDENTIALS
                              if h[0].lower() != mine[0].lower()] if auth == "passthrough" else CREDENTIALS
                    up.reset(Answer(b"{}"))
                    sent = CLIENTS + ([mine] if auth == "passthrough" else others)
                    response = own.request("POST", fmt.url(), small_body(fmt), sent)
                    head = up.last().head if up.requests else b""
                    problem = None if response.status == 200 else "%d %r" % (response.status, response.body[:200])
                    if not problem and (b"SECRETCANARY" in head or MAIN.encode() in head):
                        problem = "went up: %r" % [h for h in up.last().headers if "SECRETCANARY" in h[1]
                                                   or MAIN in h[1]]
                    if not problem and auth == "passthrough" and up.last().get(mine[0]) != mine[1]:
                        problem = "its own credential did not go up"
                    if not problem and auth == "none" and any(up.last().get(n) for n, _ in CREDENTIALS):
                        problem = "a credential went up"
                    yield "%s-%s" % (auth, fmt.name), problem
    yield from count(rows(), "KEY-16",
                     "%%d of %%d: %d credentials and traces of the client, 0 went upstream" % (len(CLIENTS) + len(
                         CREDENTIALS)))


def test_key_parameter_stays():
    """KEY-16: ?key= and its relatives."""
    for fmt in (GEMINI, CHAT):
        for name in ("key", "%6bey", "api_key", "KEY", "access_token"):
            up.reset(Answer(b"{}"))
            response = server.request("POST", "%s?%s=%s" % (fmt.url(), name, MAIN), small_body(fmt),
                                      [("x-ccproxy-token", MAIN)])
            shown = MAIN in up.last().target if up.requests else False
            yield "%s-%s" % (fmt.name, name), None if response.status == 200 and not shown else "%d %s" % (
                response.status, up.requests and up.last().target)


if __name__ == "__main__":
    check.main(globals(), "blackbox/requests_up", before, after)
