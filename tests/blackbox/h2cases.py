"""The rules of RFC 9113 (and of RFC 7541 below it), one case each: bytes behind a valid opening, and what must follow.

Expectations: conn(codes) = GOAWAY and close; stream(codes) = RST_STREAM, or GOAWAY with the same code, which section
5.4.1 allows; MALFORMED = PROTOCOL_ERROR, or an answer 4xx, which section 8.1.1 allows; ok(status); ALIVE = ignored.
"""
import h2raw as h
from h2raw import ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PRIORITIZED
from h2raw import PRIORITY, PUSH, RST, SETTINGS, UPDATE, block, frame, headers, indexed, literal, request, string

CASES = []  # (name, expectation, bytes, options)
HANG = "/claude/v1/messages"  # the upstream of this path keeps silent
POST = "/openai/v1/chat/completions"
BODY = b'{"model":"m-1","messages":[{"role":"user","content":"hi"}]}'
FIELDS = (("content-type", "application/json"),)


def conn(*codes):
    return ("conn", codes)


def stream(*codes, on=1):
    return ("stream", codes, on)


def ok(status=200, on=1):
    return ("ok", status, on)


ALIVE, MALFORMED, CLOSED = ("alive",), ("malformed",), ("closed",)


def case(name, expectation, *parts, **options):
    assert name not in [c[0] for c in CASES], name
    CASES.append((name, expectation, b"".join(parts), options))


def get(on=1, *more, **named):
    return headers(on, request("/health/live", "GET", *more, **named))


def post(on=1, *more, flags=END_HEADERS, path=POST):
    return headers(on, request(path, "POST", *FIELDS, *more), flags)


def hang(on=1):
    """A request that is complete and waits for its answer: half-closed (remote)."""
    return post(on, path=HANG) + frame(DATA, END_STREAM, on, BODY)


def bad(name, *fields):
    """A request with these fields is malformed."""
    case(name, MALFORMED, headers(1, block(*fields)))


PSEUDO = ((":method", "GET"), (":scheme", "http"), (":path", "/health/live"), (":authority", "127.0.0.1"))

# 3.4 the preface
case("3.4 first frame is not SETTINGS", conn(h.PROTOCOL), h.PREFACE, frame(PING, 0, 0, b"12345678"), hello=False)
case("3.4 preface with another end", CLOSED, b"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n", hello=False)
case("3.4 preface byte by byte", ok(), h.PREFACE, h.settings(), get(), hello=False, pieces=1)
case("3.4 request in the first packet", ok(), get())

# 4.1 frame format
for kind, data in ((DATA, BODY), (PING, b"12345678"), (SETTINGS, b""),
                   (UPDATE, b"\0\0\0\1"), (PRIORITY, b"\0\0\0\0\x10")):
    where = 1 if kind in (DATA, PRIORITY) else 0
    if kind == DATA:
        case("4.1 undefined flags on DATA", ok(), post(), frame(kind, 0xf0 | 0x06 | END_STREAM, where, data))
    else:
        case("4.1 undefined flags on type %d" % kind, ok(), frame(kind, 0xd6, where, data), get(3), answer=3)
case("4.1 undefined flags on HEADERS", ok(), headers(1, request(), END_STREAM | END_HEADERS | 0xd2 & ~PRIORITIZED))
case("4.1 reserved bit of the stream id", ok(), headers(1 | 1 << 31, request()))
for kind in (0x0a, 0x10, 0x42, 0xff):
    case("4.1 unknown type 0x%02x" % kind, ok(), frame(kind, 0xff, 0, b"grease"), frame(kind, 0, 77, b""), get())

# 4.2 frame size
BIG = b"x" * 16385
case("4.2 DATA of 16384", ok(), post(1, ("content-length", "16384")),
     frame(DATA, END_STREAM, 1, b'{"model":"m-1","messages":"' +
     b"x" * (16384 - 29) + b'"}'))
for kind, name, where in ((DATA, "DATA", 1), (HEADERS, "HEADERS", 3), (SETTINGS, "SETTINGS", 0), (0x42, "unknown", 0),
                          (PING, "PING", 0), (GOAWAY, "GOAWAY", 0)):
    case("4.2 %s of 16385" % name, stream(h.SIZE), post(), frame(kind, 0, where, BIG))
case("4.2 CONTINUATION of 16385", conn(h.SIZE), headers(1, request(), 0), frame(CONTINUATION, 0, 1, BIG))
case("4.2 length of 16 MiB announced", conn(h.SIZE), frame(DATA, 0, 1, b"", length=0xffffff))

# 4.3 field section compression
HPACK = {
    "index 0": b"\x80",
    "index 62 of an empty table": indexed(62),
    "index 4000": indexed(4000),
    "literal with name index 62": literal(62, "x"),
    "indexed literal with name index 200": literal(200, "x", 0x40),
    "integer of 5 octets": b"\xff\xff\xff\xff\xff\xff\x0f",
    "integer that overflows 32 bits": b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    "integer without an end": b"\xff\x80\x80",
    "length of a string without an end": b"\x00\x7f\x80",
    "name longer than the block": b"\x00\x7e" + b"a" * 10,
    "value longer than the block": b"\x00\x01a\x7e" + b"b" * 10,
    "value of 256 MiB": b"\x00\x01a\x7f\x80\xff\xff\x7f" + b"b" * 10,
    "name of 256 MiB, huffman": b"\x00\xff\x80\xff\xff\x7f" + b"b" * 10,
    "literal cut after its name": b"\x00\x01a",
    "literal cut before its name": b"\x40",
    "huffman with the EOS symbol": b"\x00\x01a\x84\xff\xff\xff\xff",
    "huffman with padding of 8 bits": b"\x00\x01a\x82\x1f\xff",
    "huffman with padding of 16 bits": b"\x00\x01a\x83\x1f\xff\xff",
    "huffman padded with zeros": b"\x00\x01a\x81\x18",
    "huffman name padded with zeros": b"\x00\x81\x18\x01a",
    "table size above the limit": h.size_update(4097),
    "table size of 2^28": h.size_update(1 << 27),
    "table size update behind a field": literal("a", "b") + h.size_update(100),
    "three table size updates": None,
    "table size update at the end": h.size_update(100),
}
for name, data in HPACK.items():
    whole = h.size_update(1) + h.size_update(2) + h.size_update(3) + request() if data is None else request() + data
    case("4.3 " + name, conn(h.COMPRESSION), headers(1, whole))
case("4.3 entry that was evicted", conn(h.COMPRESSION), headers(1, request("/health/live", "GET", ("x-a", "b", 0x40))),
     headers(3, h.size_update(0) + request() + indexed(62)))
case("4.3 reference to an earlier entry", ok(on=3), headers(1, request("/health/live", "GET", ("x-a", "b", 0x40))),
     headers(3, request() + indexed(62)))
case("4.3 two table size updates", ok(), headers(1, h.size_update(0) + h.size_update(4096) + request()))
case("4.3 entry larger than the table", ok(on=3), headers(1, request("/health/live", "GET", ("x-a", "b" * 5000, 0x40))),
     headers(3, request()))
case("4.3 never indexed literal", ok(), headers(1, request("/health/live", "GET", ("x-a", "b", 0x10))))
case("4.3 huffman with padding of 3 bits", ok(), headers(1, request() + b"\x00\x03x-a\x81\x1f"))
case("4.3 static table for all", ok(), headers(1, b"\x82\x86\x84" + literal(1, "127.0.0.1")))

# 5.1 states
IDLE = {"DATA": frame(DATA, 0, 1, b"x"), "RST_STREAM": frame(RST, 0, 1, b"\0\0\0\x08"),
        "WINDOW_UPDATE": frame(UPDATE, 0, 1, b"\0\0\0\1"),
        "CONTINUATION": frame(CONTINUATION, END_HEADERS, 1, request())}
for name, data in IDLE.items():
    case("5.1 idle: " + name, conn(h.PROTOCOL), data)
case("5.1 idle: PRIORITY", ALIVE, frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"))
case("5.1 half-closed: DATA", stream(h.STREAM_CLOSED), hang(), frame(DATA, 0, 1, b"x"))
case("5.1 half-closed: empty DATA", stream(h.STREAM_CLOSED), hang(), frame(DATA, END_STREAM, 1, b""))
case("5.1 half-closed: HEADERS", stream(h.STREAM_CLOSED), hang(), headers(1, request()))
case(
    "5.1 half-closed: CONTINUATION",
    conn(
        h.PROTOCOL,
        h.STREAM_CLOSED),
        hang(),
        frame(
            CONTINUATION,
            END_HEADERS,
            1,
             request()))
case("5.1 half-closed: PRIORITY", ALIVE, hang(), frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"))
case("5.1 half-closed: WINDOW_UPDATE", ALIVE, hang(), frame(UPDATE, 0, 1, b"\0\0\0\1"))
RESET = frame(RST, 0, 1, b"\0\0\0\x08")
case("5.1 closed by reset: DATA", stream(h.STREAM_CLOSED), hang(), RESET, frame(DATA, 0, 1, b"x"))
case("5.1 closed by reset: HEADERS", stream(h.STREAM_CLOSED), hang(), RESET, headers(1, request()))
case("5.1 closed by reset: CONTINUATION", conn(h.PROTOCOL, h.STREAM_CLOSED), hang(), RESET,
     frame(CONTINUATION, END_HEADERS, 1, request()))
for name, data in (("WINDOW_UPDATE", frame(UPDATE, 0, 1, b"\0\0\0\1")), ("RST_STREAM", RESET),
                   ("PRIORITY", frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"))):
    case("5.1 closed by reset: " + name, ALIVE, hang(), RESET, data)
    case("5.1 closed by its end: " + name, ALIVE, get(), after=1, then=data)
case("5.1 closed by its end: DATA", stream(h.STREAM_CLOSED), get(), after=1, then=frame(DATA, 0, 1, b"x"))
case("5.1 closed by its end: HEADERS", stream(h.STREAM_CLOSED), get(), after=1, then=headers(1, request()))

# 5.1.1 stream identifiers, 5.1.2 concurrency
case("5.1.1 even stream", conn(h.PROTOCOL), headers(2, request()))
case("5.1.1 lower than an earlier one", conn(h.PROTOCOL), headers(5, request()), headers(3, request()))
case("5.1.1 the highest one", ok(on=0x7fffffff), headers(0x7fffffff, request()))
case("5.1.1 stream 0", conn(h.PROTOCOL), headers(0, request()))
case("5.1.2 one more than announced", stream(h.REFUSED, h.PROTOCOL, on=201),
     *[post(i, path=HANG) for i in range(1, 202, 2)])
case("5.3 HEADERS that depend on themselves", stream(h.PROTOCOL),
     headers(1, b"\0\0\0\1\x10" + request(), END_STREAM | END_HEADERS | PRIORITIZED))
case("5.3 PRIORITY that depends on itself", stream(h.PROTOCOL), frame(PRIORITY, 0, 1, b"\0\0\0\1\x10"))
case("5.3 priority of a later stream", ok(), headers(1, b"\0\0\0\x09\x10" + request(), 0x25))
case("5.3 exclusive dependency on an open stream", ok(on=3), hang(), headers(3, b"\x80\0\0\1\xff" + request(), 0x25))
case("5.3 a circle of dependencies", ok(on=5), hang(1), hang(3), frame(PRIORITY, 0, 1, b"\0\0\0\3\1"),
     frame(PRIORITY, 0, 3, b"\x80\0\0\1\1"), get(5))

# 5.5 extensions
case("5.5 unknown frame inside a header block", conn(h.PROTOCOL), headers(1, request()[:9], 0), frame(0x42, 0, 0, b""),
     frame(CONTINUATION, END_HEADERS, 1, request()[9:]))
case("5.5 unknown settings", ok(), h.settings((0x0a0a, 1), (0xffff, 0xffffffff), (9, 0)), get())

# 6.1 DATA
case("6.1 stream 0", conn(h.PROTOCOL), post(), frame(DATA, END_STREAM, 0, b"x"))
case("6.1 padded", ok(), post(1, ("content-length", str(len(BODY)))),
     frame(DATA, PADDED | END_STREAM, 1, b"\x05" + BODY + b"\0" * 5))
case("6.1 padding as long as the frame", conn(h.PROTOCOL), post(), frame(DATA, PADDED, 1, b"\x05abcd"))
case("6.1 padding longer than the frame", conn(h.PROTOCOL), post(), frame(DATA, PADDED, 1, b"\xffabcd"))
case("6.1 PADDED without a length", conn(h.PROTOCOL, h.SIZE), post(), frame(DATA, PADDED, 1, b""))
case("6.1 only padding", ok(), post(), frame(DATA, PADDED, 1, b"\x03\0\0\0"), frame(DATA, END_STREAM, 1, BODY))
case("6.1 padding that is not zero", ok(), post(), frame(DATA, PADDED | END_STREAM, 1, b"\x02" + BODY + b"xy"))

# 6.2 HEADERS
case("6.2 padded", ok(), headers(1, b"\x04" + request() + b"\0\0\0\0", END_STREAM | END_HEADERS | PADDED))
case("6.2 padded with priority", ok(), headers(1, b"\x02\0\0\0\0\x10" + request() + b"\0\0", 0x2d))
case("6.2 padding longer than the frame", conn(h.PROTOCOL), headers(1, b"\xff" + request(), 0x0d))
case("6.2 padding that eats the priority", conn(h.PROTOCOL, h.SIZE), headers(1, b"\x04\0\0\0\0", 0x2d))
case("6.2 PADDED without a length", conn(h.PROTOCOL, h.SIZE), headers(1, b"", 0x0d))
case("6.2 PRIORITY cut short", conn(h.PROTOCOL, h.SIZE), headers(1, b"\0\0\0", 0x25))
for name, data in (("HEADERS of another stream", headers(3, request())), ("DATA", frame(DATA, 0, 1, b"x")),
                   ("PING", frame(PING, 0, 0, b"12345678")), ("SETTINGS", h.settings()), ("RST_STREAM", RESET),
                   ("PRIORITY", frame(PRIORITY, 0, 3, b"\0\0\0\0\1")),
                   ("WINDOW_UPDATE", frame(UPDATE, 0, 0, b"\0\0\0\1")),
                   ("GOAWAY", frame(GOAWAY, 0, 0, b"\0" * 8)), ("HEADERS of the same stream", headers(1, request())),
                   ("CONTINUATION of another stream", frame(CONTINUATION, END_HEADERS, 3, b""))):
    case("6.2 header block interrupted by " + name, conn(h.PROTOCOL), headers(1, request()[:20], 0), data)

# 6.3 PRIORITY, 6.4 RST_STREAM
case("6.3 stream 0", conn(h.PROTOCOL), frame(PRIORITY, 0, 0, b"\0\0\0\0\x10"))
for n in (0, 4, 6):
    case("6.3 length %d" % n, stream(h.SIZE), frame(PRIORITY, 0, 1, b"\0" * n))
case("6.4 stream 0", conn(h.PROTOCOL), frame(RST, 0, 0, b"\0\0\0\x08"))
for n in (0, 3, 5):
    case("6.4 length %d" % n, conn(h.SIZE), hang(), frame(RST, 0, 1, b"\0" * n))
case("6.4 unknown code", ALIVE, hang(), frame(RST, 0, 1, b"\xff\xff\xff\xff"))

# 6.5 SETTINGS
case("6.5 on a stream", conn(h.PROTOCOL), frame(SETTINGS, 0, 1, b""))
case("6.5 ACK with a payload", conn(h.SIZE), frame(SETTINGS, ACK, 0, b"\0" * 6))
case("6.5 ACK on a stream", conn(h.PROTOCOL), frame(SETTINGS, ACK, 1, b""))
for n in (1, 5, 7, 11):
    case("6.5 length %d" % n, conn(h.SIZE), frame(SETTINGS, 0, 0, b"\0\3\0\0\0\1\0\3\0\0\0\1"[:n]))
case("6.5.2 ENABLE_PUSH 2", conn(h.PROTOCOL), h.settings((2, 2)))
for value in (1 << 31, 0xffffffff):
    case("6.5.2 INITIAL_WINDOW_SIZE %#x" % value, conn(h.FLOW), h.settings((4, value)))
for value in (0, 16383, 1 << 24, 0xffffffff):
    case("6.5.2 MAX_FRAME_SIZE %d" % value, conn(h.PROTOCOL), h.settings((5, value)))
for key, value in ((1, 4096), (1, 65536), (1, 0xffffffff), (2, 0), (2, 1), (3, 0), (3, 0xffffffff), (4, 0x7fffffff),
                   (5, 16384), (5, 0xffffff), (6, 0xffffffff), (8, 0)):
    case("6.5.2 setting %d = %d" % (key, value), ok(), h.settings((key, value)), get())
case("6.5.2 HEADER_TABLE_SIZE 0", ok(), h.settings((1, 0)), get())
case("6.5.3 in order", ok(), h.settings((4, 0), (4, 65535)), get())
case("6.5.3 acknowledged", ("acks", 3), h.settings(), h.settings((3, 5)))

# 6.6 PUSH_PROMISE, 6.7 PING, 6.8 GOAWAY
case("6.6 from a client", conn(h.PROTOCOL), hang(), frame(PUSH, END_HEADERS, 1, b"\0\0\0\2" + request()))
case("6.6 from a client on stream 0", conn(h.PROTOCOL), frame(PUSH, END_HEADERS, 0, b"\0\0\0\2" + request()))
case("6.7 on a stream", conn(h.PROTOCOL), frame(PING, 0, 1, b"12345678"))
for n in (0, 7, 9):
    case("6.7 length %d" % n, conn(h.SIZE), frame(PING, 0, 0, b"\0" * n))
case("6.7 ACK that nobody asked for", ALIVE, frame(PING, ACK, 0, b"12345678"))
case("6.8 on a stream", conn(h.PROTOCOL), frame(GOAWAY, 0, 1, b"\0" * 8))
for n in (0, 7):
    case("6.8 length %d" % n, conn(h.SIZE), frame(GOAWAY, 0, 0, b"\0" * n))
case("6.8 open streams are served", ok(), get(), frame(GOAWAY, 0, 0, b"\0" * 8 + b"bye"))

# 6.9 WINDOW_UPDATE
case("6.9 0 on the connection", conn(h.PROTOCOL), frame(UPDATE, 0, 0, b"\0\0\0\0"))
case("6.9 0 on a stream", stream(h.PROTOCOL), hang(), frame(UPDATE, 0, 1, b"\0\0\0\0"))
case("6.9 0 with the reserved bit", conn(h.PROTOCOL), frame(UPDATE, 0, 0, b"\x80\0\0\0"))
for n in (0, 3, 5):
    case("6.9 length %d" % n, conn(h.SIZE), frame(UPDATE, 0, 0, b"\1" * n))
    case("6.9 length %d on a stream" % n, conn(h.SIZE), hang(), frame(UPDATE, 0, 1, b"\1" * n))
case("6.9.1 overflow of the connection", conn(h.FLOW), frame(UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2)
case("6.9.1 overflow of a stream", stream(h.FLOW), hang(), frame(UPDATE, 0, 1, b"\x7f\xff\xff\xff"))
case("6.9 more than the window, which a receiver may take", ALIVE, post(), frame(DATA, 0, 1, b"x" * 16384) * 6)
case("6.9.2 settings that overflow a stream", conn(h.FLOW), hang(), frame(UPDATE, 0, 1, b"\x7f\xff\0\0"),
     h.settings((4, 0x7fffffff)))
case("6.9.2 shut window", ("windows", 0), h.settings((4, 0)), get())
case("6.9.2 window of 1", ("windows", 1), h.settings((4, 1)), get())
case("6.9.2 window that became negative", ("windows", 0), h.settings((4, 1)), get(), h.settings((4, 0)))

# 6.10 CONTINUATION
WHOLE = request()
case("6.10 in two", ok(), headers(1, WHOLE[:7], END_STREAM), frame(CONTINUATION, END_HEADERS, 1, WHOLE[7:]))
case("6.10 in nine", ok(), headers(1, WHOLE[:1], END_STREAM),
     *[frame(CONTINUATION, 0, 1, WHOLE[i:i + 1]) for i in range(1, 8)],
     frame(CONTINUATION, END_HEADERS, 1, WHOLE[8:]))
case("6.10 an empty one at the end", ok(), headers(1, WHOLE, END_STREAM), frame(CONTINUATION, END_HEADERS, 1, b""))
case("6.10 empty HEADERS", ok(), headers(1, b"", END_STREAM), frame(CONTINUATION, END_HEADERS, 1, WHOLE))
case("6.10 stream 0", conn(h.PROTOCOL), headers(1, WHOLE[:7], 0), frame(CONTINUATION, END_HEADERS, 0, WHOLE[7:]))
case(
    "6.10 behind a complete block", conn(
        h.PROTOCOL, h.STREAM_CLOSED), hang(), frame(
            CONTINUATION, END_HEADERS, 1, b""))
case("6.10 first of all", conn(h.PROTOCOL), frame(CONTINUATION, END_HEADERS, 1, WHOLE))

# 8.1 message framing
TRAILER = block(("x-check", "1"))
case("8.1 trailers", ok(), post(), frame(DATA, 0, 1, BODY), headers(1, TRAILER))
case("8.1 trailers in two frames", ok(), post(), frame(DATA, 0, 1, BODY), headers(1, TRAILER[:3], END_STREAM),
     frame(CONTINUATION, END_HEADERS, 1, TRAILER[3:]))
case(
    "8.1 trailers without END_STREAM", stream(
        h.PROTOCOL), post(), frame(
            DATA, 0, 1, BODY), headers(
                1, TRAILER, END_HEADERS))
case("8.1 trailers with a pseudo-header", stream(h.PROTOCOL), post(),
     frame(DATA, 0, 1, BODY), headers(1, block((":path", "/"))))
for field in (("connection", "close"), ("transfer-encoding", "chunked"),
              ("X-Upper", "1"), ("a b", "1"), ("", "1"), ("a", " b")):
    case(
    "8.1 trailers with %r" %
    (field,), stream(
        h.PROTOCOL), post(), frame(
            DATA, 0, 1, BODY), headers(
                1, block(field)))
case("8.1 empty body", ok(400), post(), frame(DATA, END_STREAM, 1, b""))
case("8.1 body in pieces", ok(), post(), *[frame(DATA, END_STREAM if i == len(BODY) - 1 else 0, 1, BODY[i:i + 1])
                                           for i in range(len(BODY))])
case("8.1 HEAD has no body", ("nobody",), headers(1, request("/health/live", "HEAD")))

# 8.1.1 malformed messages
for n, sent in ((5, b""), (0, b"x"), (2, b"x"), (1, b"xy"), (1 << 40, b"x")):
    case("8.1.1 content-length %d, body of %d" % (n, len(sent)), MALFORMED, post(1, ("content-length", str(n))),
         frame(DATA, END_STREAM, 1, sent))
case("8.1.1 content-length without a body", MALFORMED,
     headers(1, request("/health/live", "POST", ("content-length", "5"))))
case("8.1.1 content-length 0 without a body", ok(), get(1, ("content-length", "0")))
for value in ("", "x", "-1", "+1", "0x1", "1,1", "99999999999999999999999", "1 "):
    case(
    "8.1.1 content-length %r" %
    value,
    MALFORMED,
    post(
        1,
        ("content-length",
        value)),
        frame(
            DATA,
            END_STREAM,
            1,
             b"x"))
case("8.1.1 two lengths that differ", MALFORMED, post(1, ("content-length", "7"), ("content-length", "1")),
     frame(DATA, END_STREAM, 1, b"x"))
case("8.1.1 trailers and a wrong length", MALFORMED, post(
    1, ("content-length", "70")), frame(DATA, 0, 1, b"x"), headers(1, TRAILER))

# 8.2 fields
for name in ("X-Upper", "aB", "a b", "a\0b", "a\rb", "a\nb", "a:b",
             "a\x7f", "a\x80", "a\xff", "", " a", "a\t", "a(", "a,b", 'a"'):
    bad("8.2.1 name %r" % name, *PSEUDO, (name, "1"))
for value in ("a\0b", "a\rb", "a\nb", "a\r\nx: y", "\x01", "\x7f", " a", "a ", "\ta", "a\t"):
    bad("8.2.1 value %r" % value, *PSEUDO, ("x-a", value))
bad("8.2.1 name with upper case, huffman", *PSEUDO, b"\x00\x81\x87\x01a")
for name, value in (("connection", "close"), ("connection", "keep-alive"), ("keep-alive", "1"),
                    ("proxy-connection", "close"),
                    ("transfer-encoding", "chunked"), ("upgrade", "h2c"), ("upgrade", "websocket"), ("te", "gzip"),
                    ("te", "trailers, gzip"), ("te", ""), ("http2-settings", "AAA"), ("connection", "")):
    bad("8.2.2 %s: %s" % (name, value), *PSEUDO, (name, value))
bad("8.2.2 connection, indexed", *PSEUDO, ("connection", "close", 0x40))
case("8.2.2 te: trailers", ok(), get(1, ("te", "trailers")))
case("8.2.1 printable and 8-bit values", ok(), get(1, ("x-a", "a\tb c\x80\xff!"), ("x-b", "")))
case("8.2.3 cookie in crumbs", ok(), get(1, ("cookie", "a=1"), ("cookie", "b=2")))

# 8.3 pseudo-headers
for i, (name, value) in enumerate(PSEUDO):
    if name != ":authority":
        bad("8.3.1 without " + name, *PSEUDO[:i], *PSEUDO[i + 1:])
    bad("8.3.1 %s twice" % name, *PSEUDO[:i], PSEUDO[i], *PSEUDO[i:])
    bad("8.3.1 %s behind a field" % name, *PSEUDO[:i], ("x-a", "1"), *PSEUDO[i:])
    bad("8.3.1 %s twice, the second behind a field" % name, *PSEUDO, ("x-a", "1"), PSEUDO[i])
bad("8.3.1 no field at all")
bad("8.3.1 only a field", ("x-a", "1"))
for name in (":foo", ":", ":protocol", ":Path", ":path "):
    bad("8.3 unknown %r" % name, *PSEUDO, (name, "1"))
bad("8.3 :status in a request", *PSEUDO, (":status", "200"))
bad("8.3 :status, indexed", *PSEUDO, indexed(8))


def instead(name, value):
    return tuple((n, value if n == name else v) for n, v in PSEUDO)


for value in ("", "x", "health/live", "/health /live", " /health/live", "/a\tb", "*", "http://127.0.0.1/health/live",
              "?a", "#",
              "/health/live#a", "/a\0", "/a\r\nb: c", "/\x7f"):
    bad("8.3.1 :path %r" % value, *instead(":path", value))
for value in ("", "get it", "GE\tT", "G(T", "GET\0", "get"):
    bad("8.3.1 :method %r" % value, *instead(":method", value))
for value in ("", "user@127.0.0.1", "127.0.0.1/x", "127.0.0.1 ", "a,b", "127.0.0.1:0", "127.0.0.1:99999", "\0"):
    bad("8.3.1 :authority %r" % value, *instead(":authority", value))
for value in ("", "h tp"):
    bad("8.3.1 :scheme %r" % value, *instead(":scheme", value))
case("8.3.1 :scheme of another kind", ok(), headers(1, block(*instead(":scheme", "ftp"))))
bad("8.3.1 neither :authority nor host", *PSEUDO[:3])
bad("8.3.1 host that contradicts :authority", *PSEUDO, ("host", "evil.example"))
bad("8.3.1 host twice", *PSEUDO[:3], ("host", "127.0.0.1"), ("host", "127.0.0.1"))
bad("8.3.1 empty host", *PSEUDO[:3], ("host", ""))
bad("8.3.1 OPTIONS * with a query", (":method", "OPTIONS"), (":scheme", "http"), (":path", "*?a"), PSEUDO[3])
case("8.3.1 host instead of :authority", ok(), headers(1, block(*PSEUDO[:3], ("host", "127.0.0.1"))))
case("8.3.1 host like :authority", ok(), get(1, ("host", "127.0.0.1")))
case("8.3.1 any order", ok(), headers(1, block(*reversed(PSEUDO))))

# 8.5 CONNECT, 8.6 upgrade
bad("8.5 CONNECT", (":method", "CONNECT"), (":authority", "127.0.0.1:1"))
bad("8.5 CONNECT with a path", *instead(":method", "CONNECT"))
bad("8.5 extended CONNECT", *instead(":method", "CONNECT"), (":protocol", "websocket"))

# 10.5 what costs much
case("10.5 101 fields", conn(h.CALM), headers(1, request() + b"\x90" * 101))
case("10.5 90 fields", ok(), headers(1, request() + b"\x90" * 90))
case("10.5 name of 257 bytes", conn(h.CALM), get(1, ("x" * 257, "1")))
case("10.5 value of 16000 bytes", ok(), get(1, ("x-a", "1" * 16000)))
case("10.5 header block of 33 KB", conn(h.CALM),
     headers(1, request("/health/live", "GET", ("x-a", "1" * 16000)), END_STREAM),
     frame(CONTINUATION, 0, 1, literal("x-b", "1" * 16000)),
     frame(CONTINUATION, END_HEADERS, 1, literal("x-c", "1" * 5000)))
case("10.5 33 KB decoded from huffman", conn(h.CALM), headers(1, request(), END_STREAM), *[
     frame(CONTINUATION, END_HEADERS if i == 1 else 0, 1, b"\x00\x01a" + h.integer(15900, 7, 0x80) + b"\x00" * 15900)
     for i in range(2)])
