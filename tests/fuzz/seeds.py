#!/usr/bin/env python3
"""Writes the first inputs of every fuzz target into a folder: `seeds.py FOLDER` makes FOLDER/<target>/….

All of it is made here. What stands in corpus/ grew from these by running the targets and was reduced with -merge=1
(see README.md); run this again only for a new target or a new kind of input.
"""
import gzip
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


def main():
    for target in (sse, json, headers, url, config, http1, http2, answer, coding):
        folder = os.path.join(sys.argv[1], target.__name__)
        os.makedirs(folder, exist_ok=True)
        for i, text in enumerate(target()):
            with open(os.path.join(folder, "seed-%02d" % i), "wb") as out:
                out.write(text if isinstance(text, bytes) else text.encode("utf-8"))


if __name__ == "__main__":
    main()
