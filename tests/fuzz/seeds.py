#!/usr/bin/env python3
"""Writes the first inputs of every fuzz target into a folder: `seeds.py FOLDER` makes FOLDER/<target>/…, and
`seeds.py --dictionary` prints format.dict.

All of it is made here. What stands in corpus/ grew from these by running the targets and was reduced with -merge=1
(see README.md); run this again only for a new target or a new kind of input.

The wire formats' targets begin with the fixtures of tests/fixtures/wire, made small: without white space, without what
no reader looks at.
"""
import glob
import gzip
import json as js
import os
import sys

CRLF = "\r\n"


def sse():
    head = "0000"  # split, limit, cuts
    yield from (head + t for t in (
        "data: a\n\n", "event: x\ndata: 1\ndata: 2\nid: 7\n\n", ": c\n\ndata\n\n", "data:a\r\rdata:b\r\n\r\n",
        "\ufeffdata: x\n\n", "event: a\rb\ndata: é\n\n", "retry: 5\nfoo: bar\ndata:  two\n\ndata: cut"))


def json():
    yield from ('{"model":"m","stream":true,"n":1.0e-5}', "[1,-0,1e999,12345678901234567890]", '"\\ud800 \\u0000\\n"',
                "[" * 600,
                '{"a":{"b":[{}]},"a":1}', '{"mod\\u0065l":1}', "nul", "[1,]", '{"a":1,}', "01", "\ufeff{}", '"\x01"',
                "[" * 511 + "1" + "]" * 511, ' { "k" : [ true , false , null ] } ', '"\\x"', "-", "1.", '{"":""}')


def record():
    own = js.dumps({"version": 1, "provider": "claude-api", "account": "default", "generation": 7, "access_token": "at",
                    "refresh_token": "rt", "id_token": "it", "token_type": "Bearer", "scope": "a b", "obtained_at": 10,
                    "expires_in": 20, "expires_at": 30, "token_url": "https://t.example/x", "client_id": "c",
                    "origins": ["https://a.example"], "facts": {"email": "e", "n": 5}, "xlater": {"a": 1.5},
                    "session": {"token": "st", "obtained_at": 1, "expires_at": 2, "refresh_at": 3, "more": [1]}})
    claude = {"accessToken": "a", "refreshToken": "r", "expiresAt": 5000, "scopes": ["x"], "subscriptionType": "pro"}
    codex = {"access_token": "a", "refresh_token": "r", "id_token": "i", "account_id": "c"}
    gemini = {"access_token": "a", "refresh_token": "r", "scope": "x y", "expiry_date": 5000, "id_token": "i"}
    sealed = '{"ccproxy_sealed":1,"cipher":"aes-256-gcm","kdf":"none","nonce":"%s","data":"%s"}'
    sealed %= "A" * 16, "A" * 28
    # The first byte is the layout: three vendors', ours, sealed.
    yield from ("\0" + js.dumps({"claudeAiOauth": claude, "mcpOAuth": {"o": 1}}, indent=2),
                '\0{"claudeAiOauth":{"accessToken":"a"}}', "\1" + js.dumps({"tokens": codex, "last_refresh": "x"}),
                "\2" + js.dumps(gemini), '\2{ "access_token" : "a" , "scope":null}', "\3" + own, "\3" + own[:-1] + "}",
                "\4" + sealed, "\4" + sealed.replace('"none"', '"scrypt","n":32768,"r":8,"p":1,"salt":"AA=="'))


def headers():
    yield from ("content-type: text/plain\nx-a:  b \t\n", "Connection: close, X-Gone\nx-gone: 1\nauthorization: k\n",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n", "a: b\r\n c\r\n\td\r\n", "x : y\n",
                ": z\n",
                "a:\x00b\n", "a: b\rX: y\n", "HTTP/1.1 101 x\r\n\r\n", "x-ccproxy-y: 1\naccess-control-a: 2\nvia: 3\n",
                "A" * 300 + ": 1\n", "HTTP/2 204\n\n", "set-cookie: a\nset-cookie: b\nx-forwarded-for: 1\ncf-x: y\n",
                "proxy-authorization: x\nproxy-authenticate: y\nproxy-connection: z\nhttp2-settings: w\n")


def url():
    yield from ("0" + t for t in (
        "https://api.example/v1", "http://[::1]:8080/a?b=c", "http://u@h/", "https://h:0/", "https://h#f",
        "/claude/v1/messages", "/a/./b/../c", "/%2e%2e/x", "/a%2fb", "/%41%7e%3A%00", "/x//y/", "/..;/a", "/.%2E/",
        "key=1&a=b&key=2", "a&b=&&key", "k%65y=1&key=%zz", "/a%25%32%66", "https://127.0.0.1.example/"))


def config():
    base = '[server]\nport = 9000\nhost = ["127.0.0.1"]\nidle_timeout = "5m"\nmax_body_bytes = "1 MiB"\n'
    secret = '[security]\nauth_token = "s3cr3t-a"\n[[security.keys]]\nname = "a"\ntoken = "s3cr3t-b"\nadmin = true\n'
    block = ('[providers.x]\nbase_url = "http://127.0.0.1:1"\nformat = "gemini"\napi_key = "s3cr3t-c"\n'
             'headers = { h = "s3cr3t" }\n')
    routing = ('[routing]\ndefault_provider = "claude"\n'
               '[[routing.model_mappings]]\nmatch = "^a"\ntarget = "b"\nkind = "regex"\n')
    yield from (base, secret, block, routing, base + secret + block + routing, "a = 1\n", "[server]\nprot = 1\n",
                '[server]\nunix_socket = "a\\"b\\\\c é"\n', "enabled_plugins = [\"mock\"]\n", "x = [[[[{a=1}]]]]\n",
                base + "\fSERVER__PORT=1\fENABLED_PLUGINS=a,b\f--set server.workers=2",
                "\fANTHROPIC_API_KEY=s3cr3t\fPLUGINS__OPENAI__API_KEY=s3cr3t\fCORS__ORIGINS=[\"https://a\"]",
                '[plugins.openai]\napi_key = "${K:-d}"\nbase_url = "https://${H}/v1"\n\fK=\fH=h\nx',
                '[plugins.openai]\nmodels = ["a", {id = "b", max_tokens = 5}]\n'
                '\f--set plugins.openai.headers={"a"="s3cr3t"}',
                '[logging]\nlevel = "WARNING"\nformat = "jsno"\n',
                '[upstream]\nproxy = "socks5h://h:1"\ntotal_timeout = 1.5\n',
                "[a.b.c]\n[[a.b.d]]\n'q' = '''x'''\n\"r\" = 1979-05-27\n",
                "\f__A=1\fA__=2\fSERVER__=3\fSERVER__HTTP2=maybe")


def http1():
    post = "POST /echo HTTP/1.1%sHost: a%sContent-Length: 5%s%shello" % ((CRLF,) * 4)
    chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    get = "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"
    rows = [post, chunked, post + chunked + get % ("/", "Connection: close\r\n")]
    rows += [get % (p, "") for p in ("/", "/stream/9", "/big/70000", "/abort", "/early",
                    "/short", "/hang", "/status/204", "/refused", "http://b/x", "*")]
    rows += [get % ("/",
    f + "\r\n") for f in ( "Transfer-Encoding: chunked\r\nContent-Length: 3",
    "Content-Length: 1\r\nContent-Length: 2",
    "X : y",
    " fold",
    "A: \x00",
    "Upgrade: h2c\r\nHTTP2-Settings: AA",
    "Expect: 100-continue",
    "Host: b",
     "Connection: Upgrade\r\nUpgrade: websocket")]
    rows += ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "get / HTTP/1.1\r\n\r\n",
             "GET / HTTP/9.9\r\n\r\n", CRLF + post,
             "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\0" * 9, chunked.replace("5\r\n", "5;x=y\r\n").replace("0\r\n\r\n",
                 "0\r\nT: 1\r\n\r\n"),
             chunked.replace("5\r\n", "+5\r\n"), chunked.replace("5\r\n", "FFFFFFFFFFFFFFFF\r\n"), (get % ("/",
                 "")) * 20]
    for i, row in enumerate(rows):
        yield ("0" if i % 2 else "a") + ("0" if i % 3 else "1") + row


def http2():
    def short(kind, flags, stream, payload=b""):
        return bytes([kind, flags, stream, len(payload)]) + payload
    head = b"\x82\x86\x41\x01a\x04\x02/a"
    post = b"\x83\x86\x41\x01a\x04\x05/echo"
    opening = short(4, 0, 0)
    get = short(1, 5, 1, head)
    rows = [opening + get, opening + short(1, 4, 1, post) + short(0, 1, 1, b"hello"), opening + get + short(3, 0, 1,
        b"\0\0\0\x08"),
            b"".join([opening] + [short(1, 5, s, head) + short(3, 0, s, b"\0\0\0\x08") for s in range(1, 61, 2)]),
            opening + short(1, 1, 1, head) + short(9, 0, 1) * 5 + short(9, 4, 1), opening + short(8, 0, 1, b"\0\0\0\0"),
            opening + get + short(8, 0, 1, b"\x7f\xff\xff\xff") + short(8, 0, 0, b"\0\0\0\1"), opening + short(6, 0, 0,
                b"12345678"),
            opening + short(7, 0, 0, b"\0" * 8), opening + short(2, 0, 1, b"\0\0\0\1\5"), opening + short(0xbb, 0, 0,
                b"x") * 3,
            short(4, 0, 0, b"\0\1\0\0\0\0\0\4\0\0\0\1") + get, short(4, 1, 0), opening + short(5, 4, 1,
                b"\0\0\0\2" + head),
            opening + short(1, 0x2d, 1, b"\2\0\0\0\0\x10" + head + b"\0\0"), opening + short(1, 5, 1,
                b"\x3f\xe1\x1f" + head),
            opening + short(1, 5, 1, b"\x82\x86\x41\x01a\x04\x07/big/99" + b"\x90" * 40), opening + short(1, 5, 2,
                head), get,
            opening + short(1, 4, 1, post + b"\x0f\x0d\x011") + short(0, 9, 1, b"\1xyz\0") + short(1, 5, 1,
                b"\x40\1a\1b"),
            opening + short(1, 5, 1, b"\x82\x86\x41\x01a\x04\x09/stream/9") + short(8, 0, 0, b"\0\0\0\5"),
            opening + short(1, 5, 1, b"\x82\x86\x41\x01a\x04\x05/hang") + short(4, 0, 0, b"\0\4\0\0\0\0") * 3]
    for i, row in enumerate(rows):
        yield (b"0" if i % 2 else b"a") + (b"0" if i % 3 else b"2") + row
    frame = b"\0\0\0\4\0\0\0\0\0" + bytes([0, 0, len(head), 1, 5, 0, 0, 0, 1]) + head
    yield b"01" + frame


def answer():
    ok = "HTTP/1.1 200 OK\r\n"
    for i, t in enumerate((
            ok + "Content-Length: 5\r\n\r\nhelloHTTP/1.1",
            ok + "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: x\r\n\r\n",
            ok + "\r\nuntil the end", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
            "HTTP/1.0 200 OK\r\nA:  b \r\n\r\n",
            ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
            ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            ok + "A: b\r\n c\r\n\r\n", ok + "a : b\r\n\r\n", ok.replace("\r", "") + "\n", "HTTP/1.1 101 x\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            ok + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
            ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX", "HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n",
            ok + "Connection: close\r\nContent-Length: 0\r\n\r\n", "junk\r\n\r\n")):
        yield ("0" if i % 2 else "a") + "0123"[i % 4] + t


def coding():
    yield b"\0\0\x28\xb5\x2f\xfd\x04\x00\x31\x00\x00abcdef\x9f\x17\x4c\x39"
    yield b"\1\0" + gzip.compress(b"abc" * 20, mtime=0)
    yield b"\1\3" + gzip.compress(b"a" * 5000, mtime=0)[:-4]
    yield b"\xc1\5gzip"


FORMATS = ("anthropic", "chat", "responses", "gemini")
WIRE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "wire")
ECHO = {"id", "object", "created_at", "status", "model", "output", "usage", "error", "incomplete_details"}


def failure():
    """Upstreams' errors: a byte for the status, retry-after, the body."""
    statuses = [0, 200, 302, 400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 499, 500, 502, 503, 504, 529]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "wire", "errors")
    for case in js.load(open(os.path.join(path, "upstream-errors.json"))):
        body = case["body"] if isinstance(case["body"], str) else js.dumps(case["body"], separators=(",", ":"))
        yield "%c%s\n%s" % (statuses.index(case["status"]), case.get("headers", {}).get("retry-after", ""), body)
    yield "%c1.5\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"x\",\"message\":\"m\"}}}" % 0
    yield "%cTue, 14 Nov 2028 22:13:30 GMT\nplain sk-fixture0123456789abcdef text" % 14
    yield "%c6m0.5s\n{\"error\":\"invalid_grant\",\"error_description\":\"\\ud83d\\u0000\"}" % 3
    yield "%c\n{\"error\":{\"message\":\"maximum context length is 4,096 tokens, you sent 5000\",\"resets_at\":2000000000}}" % 3


def small(text):
    """A JSON text without white space, a response object without what it only repeats of its request."""
    value = js.loads(text)
    for holder in (value, value.get("response")) if isinstance(value, dict) else ():
        if isinstance(holder, dict) and holder.get("object") == "response":
            for key in set(holder) - ECHO:
                del holder[key]
    return js.dumps(value, separators=(",", ":"))


def small_stream(text):
    def line(one):
        return "data: " + small(one[6:]) if one.startswith("data: {") else one
    return "\n".join(line(one) for one in text.replace("\r\n", "\n").split("\n"))


def wire(kind, name):
    """(scenario, request, whole answer, stream) of the fixtures; quirks have a stream only."""
    def read(path):
        with open(path, encoding="utf-8", newline="") as f:
            return f.read()
    for folder in sorted(glob.glob(os.path.join(WIRE, "scenarios", "*"))):
        at = os.path.join(folder, name)
        yield (small(read(at + ".request.json")), small(read(at + ".response.json")),
               small_stream(read(at + ".stream.sse")))
    for path in sorted(glob.glob(os.path.join(WIRE, "quirks", name + "-*.sse"))) if kind != "request" else ():
        yield "", "", small_stream(read(path))


def switches(streams, upstream_streams, i, refused=0):
    return bytes([48 * (i % 2) | 4 | (2 if upstream_streams else 0) | (1 if streams else 0), i, refused, i % 4])


def request(name):
    for i, (asked, _, _) in enumerate(wire("request", name)):
        yield switches(i % 2, i % 3, i, (0, 0, 130)[i % 3]) + asked.encode()
    yield from (switches(1, 1, i) + text.encode() for i, text in enumerate(LOOPS[name]))


def answer_of(name):
    for i, (_, whole, stream) in enumerate(wire("answer", name)):
        if whole:
            yield switches(True, False, i) + whole.encode()
        yield switches(True, True, i) + stream.encode()


def pair(client, upstream):
    asked = [a for a, _, _ in wire("request", client)]
    for i, (_, whole, stream) in enumerate(wire("answer", upstream)):
        body = asked[i % len(asked)].encode() + b"\0"
        yield switches(i % 2, True, i) + body + stream.encode()
        if whole:
            yield switches(i % 3, False, i) + body + whole.encode()
    yield from (switches(1, 1, i) + text.encode() for i, text in enumerate(LOOPS[client]))


# What the scenarios lack: long loops, orphans, thinking and its proofs, every parameter, free-text tools.
LOOPS = {
    "anthropic": (
        '{"model":"m","max_tokens":3000,"thinking":{"type":"enabled","budget_tokens":2000},"system":"s","messages":['
        '{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":'
        '"ccp1.up.c2ln"},{"type":"redacted_thinking","data":"ZA=="},{"type":"tool_use","id":"c1","name":"f","input":'
        '{"a":[1,{}]}},{"type":"tool_use","id":"c2","name":"g","input":{}}]},{"role":"user","content":[{"type":'
        '"tool_result","tool_use_id":"c2","is_error":true,"content":[{"type":"text","text":"no"},{"type":"image",'
        '"source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]},{"type":"text","text":"b"}]}],"tools":['
        '{"name":"f","input_schema":{"type":"object","properties":{"a":{"type":"array"}}}},{"name":"g","input_schema":'
        '{"type":"object"},"cache_control":{"type":"ephemeral"}},{"type":"web_search_20250305","name":"web_search"}]}',
        '{"model":"m","max_tokens":9,"temperature":0.5,"top_p":1,"top_k":4,"stop_sequences":["x","y","z","w","v"],'
        '"metadata":{"user_id":"u"},"service_tier":"auto","output_config":{"effort":"max","format":{"type":'
        '"json_schema","schema":{"type":"object"}}},"stream":true,"tool_choice":{"type":"auto",'
        '"disable_parallel_tool_use":true},"tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":['
        '{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"},'
        '"title":"t"}]},{"role":"system","content":"late"},{"role":"assistant","content":"pre "}]}'),
    "chat": (
        '{"model":"m","max_tokens":5,"temperature":2,"stop":["a","b"],"seed":1,"logit_bias":{"1":2},"n":1,"user":"u",'
        '"reasoning_effort":"high","parallel_tool_calls":false,"response_format":{"type":"json_schema","json_schema":'
        '{"name":"n","strict":true,"schema":{"type":"object"}}},"stream":true,"stream_options":{"include_usage":true},'
        '"tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","custom":{"name":"p"}}],"tool_choice":'
        '{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}},'
        '"messages":[{"role":"developer","content":"d"},{"role":"user","content":"a","name":"bob"},{"role":"assistant",'
        '"content":null,"reasoning_content":"r","tool_calls":[{"id":"call.1","type":"function","function":{"name":"f",'
        '"arguments":"{\\"a\\":1"}},{"id":"c2","type":"custom","custom":{"name":"p","input":"free\\ntext"}}]},{"role":'
        '"tool","tool_call_id":"c2","content":"r2"},{"role":"tool","tool_call_id":"c9","content":"orphan"},{"role":'
        '"system","content":"late"}]}',
        '{"messages":[{"role":"assistant","content":"first"},{"role":"user","content":[{"type":"text","text":""}]},'
        '{"role":"assistant","refusal":"no","content":null},{"role":"user","content":[{"type":"input_audio",'
        '"input_audio":{"data":"AAAA","format":"wav"}},{"type":"image_url","image_url":{"url":'
        '"data:image/png;base64,AAAA","detail":"low"}}]}],"functions":[{"name":"f"}],"max_completion_tokens":1}'),
    "responses": (
        '{"model":"m","instructions":"i","input":[{"role":"user","content":"a"},{"type":"reasoning","id":"rs_1",'
        '"summary":[{"type":"summary_text","text":"t"}],"encrypted_content":"ccp1.up.c2ln"},{"type":"message","role":'
        '"assistant","content":[{"type":"output_text","text":"b","annotations":[]},{"type":"refusal","refusal":"c"}]},'
        '{"type":"function_call","call_id":"c1","name":"f","namespace":"ns","arguments":"{}"},{"type":'
        '"custom_tool_call","call_id":"c2","name":"p","input":"free"},{"type":"custom_tool_call_output","call_id":"c2",'
        '"output":"r"},{"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"x"},'
        '{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]},{"role":"developer","content":"late"}],'
        '"tools":[{"type":"namespace","name":"ns","description":"d","tools":[{"type":"function","name":"f",'
        '"parameters":{"type":"object"},"strict":false}]},{"type":"custom","name":"p"},{"type":"web_search"}],'
        '"tool_choice":"auto","parallel_tool_calls":true,"reasoning":{"effort":"high","summary":"auto"},"store":false,'
        '"include":["reasoning.encrypted_content"],"text":{"verbosity":"low","format":{"type":"json_schema","name":"n",'
        '"schema":{"type":"object"},"strict":true}},"max_output_tokens":3,"temperature":1.5,"stream":true}',
        '{"model":"m","input":"a","tool_choice":{"type":"function","name":"f"},"tools":[{"type":"function","name":"f",'
        '"parameters":null,"strict":null}],"top_p":0.5,"metadata":{"a":"b"},"service_tier":"flex","user":"u"}'),
    "gemini": (
        '{"contents":[{"role":"user","parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"t","thought":true,'
        '"thoughtSignature":"c2ln"},{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"Y2NwMS51cC5jMmxu"},'
        '{"functionCall":{"name":"f","args":{}}}]},{"role":"function","parts":[{"functionResponse":{"name":"f",'
        '"response":{"output":"x"}}},{"functionResponse":{"name":"f","response":{"error":"e"}}},{"inlineData":'
        '{"mimeType":"image/png","data":"AAAA"}}]}],"system_instruction":{"parts":[{"text":"s"}]},"tools":[{'
        '"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING",'
        '"nullable":true,"enum":["x"]}}}},{"name":"g.h","parametersJsonSchema":{"type":"object"}}]},{"googleSearch":{}'
        '}],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}},"generationConfig":{'
        '"temperature":0.5,"topP":1,"topK":3,"maxOutputTokens":5,"stopSequences":["x"],"seed":1,"presencePenalty":1,'
        '"responseMimeType":"application/json","responseSchema":{"type":"OBJECT"},"thinkingConfig":{"thinkingBudget":'
        '1024,"includeThoughts":true}},"safetySettings":[{"category":"c","threshold":"OFF"}]}',
        '{"contents":[{"parts":[{"fileData":{"fileUri":"https://x/y.png","mimeType":"image/png"}},{"functionResponse":'
        '{"name":"f","response":{"a":1}}}]},{"role":"model","parts":[{"executableCode":{"language":"PYTHON","code":"1"'
        '}}]}],"generation_config":{"max_output_tokens":5,"thinking_config":{"thinking_level":"LOW"}}}'),
}


def words(value):
    """Member names and short words of a JSON value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from words(inner)
    elif isinstance(value, str) and 1 < len(value) < 30 and value.replace("_", "").replace(".", "").isalpha():
        yield value


def dictionary():
    """Of all four formats: what the mutations put in (format.dict)."""
    found = set()
    for name in FORMATS:
        texts = [text for text in LOOPS[name]]
        for asked, whole, stream in wire("answer", name):
            texts += [asked, whole] + [line[6:] for line in stream.split("\n") if line.startswith("data: {")]
        for text in texts:
            found.update(words(js.loads(text)) if text else ())
    return ["# Written by seeds.py."] + ['"\\"%s\\""' % word for word in sorted(found)]


def wire_targets():
    """(target, inputs) of tests/fuzz/format_*.c."""
    for name in FORMATS:
        yield "request_" + name, request(name)
        yield "answer_" + name, answer_of(name)
        for other in FORMATS:
            if other != name:
                yield "pair_%s_%s" % (name, other), pair(name, other)


def jwt():
    """id_tokens: in the clear (an odd first byte), or a token and a key set; the last one verifies."""
    claims = '{"iss":"https://i.example","aud":"client-1","nonce":"n-1","exp":1760003600}'
    for alg in ("RS256", "PS256", "ES256", "EdDSA", "none", "HS256"):
        yield '1{"alg":"%s","kid":"k1"}\n%s\n%s' % (alg, claims, "s" * 64)
    yield '1{"alg":"RS256","kid":"../../x","crit":["x"]}\n{"aud":["a","b"],"azp":"a","nbf":1,"iat":1.5}\n' + "s" * 256
    yield '1{}\n{"x":%s}\n' % ("[" * 40 + "]" * 40)
    yield "0eyJhbGciOiJub25lIn0.eyJleHAiOjF9.\n{}"
    yield ("0%s\n"
           '{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k9","use":"sig","x":"%s"}]}' % (
               "eyJhbGciOiJFZERTQSIsImtpZCI6Ims5In0."
               "eyJpc3MiOiJodHRwczovL2kuZXhhbXBsZSIsImF1ZCI6ImNsaWVudC0xIiwibm9uY2UiOiJuLTEiLCJleHAiOjE3NjAwMDM2MDB9."
               "YMriVBAd0RFzXH-CLRgZj6zwDf_oyYBWFMG0-DeyyqJVqDx6MIT4o6Hr-I1_OfnI16ex07F-dN5iWUL_t7LOAg",
               "a9iTF68ABrdubNgVJTLuuRW3WNqmSo4y8XR9DTQNETY"))


def oauth_answer():
    """Request, status, connection, then bodies with form feeds between them: see the target's head."""
    token = '{"access_token":"at","token_type":"Bearer","expires_in":%s,"refresh_token":"rt","scope":"a b"}'
    yield from ("\0\0\0" + token % v for v in ("3600", '"60"', "1e300", "-1", "0.5", "null"))
    yield "\1\0\0" + '{"access_token":"at","id_token":"e30.eyJleHAiOjk5OTk5OTk5OTksImVtYWlsIjoiYUBiIn0.s"}\f{"keys":[]}'
    yield "\0\1\0" + '{"error":"invalid_grant","error_description":"SECRET-0123456789-abcdef \\u001b[31m \\u202e"}'
    yield "\0\2\x10" + '{"error":{"code":"refresh_token_reused","message":"m","type":"invalid_request_error"}}'
    yield "\0\0\2" + '{"access_token":"at"'
    yield "\0\0\1" + "{}"
    yield "\0\0\0" + "<html>" + "x" * 70000
    begun = ('{"device_code":"d","user_code":"U-1","verification_uri":"https://v.example/","interval":5,'
             '"expires_in":900}')
    yield "\3\0\0" + "\f".join([begun, '{"error":"slow_down","interval":10}', '{"error":"authorization_pending"}',
                                token % 1])
    yield "\3\0\0" + "\f".join([begun, '{"error":"access_denied"}'])
    yield ("\4\0\0" + '{"issuer":"https://i.example","authorization_endpoint":"https://i.example/a","token_endpoint":'
           '"https://i.example/t","jwks_uri":"http://127.0.0.1/k","code_challenge_methods_supported":["S256"]}')
    yield ("\4\0\0" + '{"issuer":"https://evil.example"}\f{"issuer":"https://i.example","authorization_endpoint":'
           '"javascript:alert(1)"}')
    yield "\5\0\0" + '{"token":"tid=1;exp=2","expires_at":1760001800,"refresh_in":1500}'
    yield "\5\3\0" + '{"error_details":{"message":"no subscription","url":"u","title":"t"}}'
    yield "\6\1\0" + '{"error":"unsupported_token_type"}'


def main():
    targets = [(f.__name__, f()) for f in (sse, json, record, headers, url, config, http1, http2, answer, coding,
                                               failure, jwt, oauth_answer)]
    for name, inputs in targets + list(wire_targets()):
        folder = os.path.join(sys.argv[1], name)
        os.makedirs(folder, exist_ok=True)
        for i, text in enumerate(inputs):
            with open(os.path.join(folder, "seed-%02d" % i), "wb") as out:
                out.write(text if isinstance(text, bytes) else text.encode("utf-8"))


if __name__ == "__main__":
    if sys.argv[1] == "--dictionary":
        print("\n".join(dictionary()))
    else:
        main()
