"""Nobody makes the server connect where its configuration does not lead: not a client's fields, not a name's answer."""
import json
import os
import tempfile

import check
import formats
from formats import ALL, ANTHROPIC
from names import Names
from rawhttp import encode
from server import Server, run
from tls_upstream import Trap
from upstream import Answer, Upstream

BODY = formats.small_body(ANTHROPIC)
CONNECT = 0.7

# Hosts as a configuration may hold them; all reach this machine or a private network, none is a plain literal.
NUMBERS = ["2130706433", "0x7f000001", "0x7F000001", "017700000001", "127.1", "127.0.1", "0177.0.0.1", "0x7f.0.0.1",
           "0x7f.1", "127.0.0.0x1", "0177.0.1", "00000177.0.0.1", "127.000.000.001", "127.0.0.01", "0", "0x0", "00",
           "0.0", "127.65535", "3232235777", "0xc0a80101", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376"]
DOTS = ["127.0.0.1.", "127.1.", "0x7f.1.", "loop.test.", "private.test."]
MALFORMED = ["127.0.0.1%00", "127.0.0.%31", "user@127.0.0.1", "user:pass@127.0.0.1", "api.test@127.0.0.1",
             "127.0.0.1\\\\@api.test", "127.0.0.1#@api.test", "[::1", "[::1%25lo]", "[v1.x]", "[127.0.0.1]",
             "１２７.0.0.1", "127。0。0。1", "127.0.0.1 api.test", "", "localhost%2e"]
# Names and what a name server says they are.
ANSWERS = {"loop": "127.0.0.1", "loop6": "::1", "all": "0.0.0.0", "all6": "::", "mapped": "::ffff:127.0.0.1",
           "compatible": "::7f00:1", "nat64": "64:ff9b::7f00:1", "six2four": "2002:7f00:1::", "ten": "10.0.0.1",
           "private": "192.168.0.1", "private172": "172.16.0.1", "shared": "100.64.0.1", "metadata": "169.254.169.254",
           "metadata6": "fd00:ec2::254", "local6": "fe80::1", "unique": "fc00::1", "benchmark": "198.18.0.1",
           "multicast": "224.0.0.1", "broadcast": "255.255.255.255", "mapped-ten": "::ffff:10.0.0.1"}
# Literals that nobody writes who means them, and those that are allowed as written.
LITERALS = ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[::]", "[0::0]",
            "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]", "[::127.0.0.1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]", "[::ffff:10.0.0.1]", "[::ffff:0.0.0.0]"]
AS_WRITTEN = ["127.0.0.1", "[::1]", "[0:0:0:0:0:0:0:1]", "localhost", "0.0.0.0", "LOCALHOST", "x.localhost"]


def provider(name, host, port, scheme="https", more=""):
    return '[providers.%s]\nformat = "anthropic"\nbase_url = "%s://%s:%d"\nauth = "none"\n%s' % (
        name, scheme, host, port, more)


def post(server, name):
    return server.post("/%s/v1/messages" % name, BODY, timeout=20)


def config_refuses(text):
    with tempfile.NamedTemporaryFile("w", suffix=".toml", delete=False) as out:
        out.write(text)
    try:
        done = run("config", "check", out.name)
        return done.returncode == 78 and "base_url" in done.stdout + done.stderr
    finally:
        os.unlink(out.name)


def spellings():
    """name -> host, for all that must be refused when the server connects."""
    hosts = {"n%d" % i: host for i, host in enumerate(NUMBERS + DOTS + LITERALS)}
    hosts.update({"a-" + name: name + ".test" for name in ANSWERS})
    return hosts


def answers():
    rows = {name + ".test": words for name, words in ANSWERS.items()}
    rows.update({"loop.test.": "127.0.0.1", "private.test.": "10.0.0.1", "127.0.0.1.": "127.0.0.1",
                 "127.1.": "127.0.0.1", "0x7f.1.": "127.0.0.1"})  # what a careless resolver might say
    return rows


def test_spellings_of_a_configured_host():
    """KEY-13: whatever a host looks like, the address of the connection decides."""
    trap, names, hosts = Trap(), Names(answers()), spellings()
    refused = 0
    text = '[upstream]\nconnect_timeout = "%dms"\n' % (CONNECT * 1000)
    text += "".join(provider(name, host, trap.port) for name, host in hosts.items())
    with Server(text, env=names.env()) as server:
        for name, host in hosts.items():
            response = post(server, name)
            problem = formats.error_problem(ANTHROPIC, response)
            if not problem and response.status not in (502, 504):
                problem = "status %d: %r" % (response.status, response.body)
            if not problem and trap.connections:
                problem = "a connection was made"
            refused += problem is None
            if problem:
                yield host, problem
        yield "at-the-connection", None if refused == len(hosts) else "%d of %d" % (refused, len(hosts))
    wrong = [host for host in MALFORMED if not config_refuses(provider("x", host, trap.port))]
    yield "in-the-configuration", "accepted: %s" % wrong if wrong else None
    check.figure("KEY-13", "%d spellings refused at the connection, %d in the configuration; %d connections" % (
        refused, len(MALFORMED) - len(wrong), trap.connections))
    names.close()
    trap.close()


def test_allow_private_is_what_opens_them():
    """The control: the same spellings do reach this machine when that provider, and only that one, allows it."""
    trap, names = Trap(), Names(answers())
    reach = ["2130706433", "0x7f000001", "017700000001", "127.1", "0177.0.0.1", "0x7f.1", "loop.test", "mapped.test",
             "all.test", "loop.test."]
    text = '[upstream]\nconnect_timeout = "%dms"\n' % (CONNECT * 1000)
    for number, host in enumerate(reach):
        text += provider("open%d" % number, host, trap.port, "http", "allow_private = true\n")
        text += provider("shut%d" % number, host, trap.port)
    opened = 0
    with Server(text, env=names.env()) as server:
        for number, host in enumerate(reach):
            before = trap.connections
            response = post(server, "open%d" % number)
            now = trap.connections
            problem = None if response.status == 200 and now == before + 1 else "%d connections, %r" % (
                now - before, response.body)
            response = post(server, "shut%d" % number)
            if not problem and (response.status not in (502, 504) or trap.connections != now):
                problem = "the connection of another provider was used: %r" % response.body
            opened += problem is None
            yield host, problem
        strangers = [c for c in names.calls() if c[0] != "resolver" and c[1] != "127.0.0.1"]  # that one: our listener
        yield "off-the-loop", "%s" % strangers if strangers else None
    names.close()
    trap.close()
    check.figure("KEY-13", "%d of %d reach it with allow_private, no other provider does" % (opened, len(reach)))


def test_literals_as_written():
    """The product's rule: a literal or localhost that the operator wrote is meant; its neighbours are not."""
    trap = Trap()
    text = "".join(provider("w%d" % i, host, trap.port, "https") for i, host in enumerate(AS_WRITTEN))
    text += provider("plain", "127.0.0.1", trap.port, "http")
    with Server('[upstream]\nconnect_timeout = "%dms"\n' % (CONNECT * 1000) + text) as server:
        response = post(server, "plain")
        assert response.status == 200 and trap.connections == 1, response.raw
        for number, host in enumerate(AS_WRITTEN):
            response = post(server, "w%d" % number)
            refused = b"private" in response.body
            yield host, "refused: %r" % response.body if refused else None
    trap.close()


def test_proxy_is_judged_like_a_host():
    """What is connected to with a proxy is the proxy; a host that no_proxy lists is judged for itself."""
    trap, names = Trap(), Names(answers())
    rows = {"by-name": ("http://loop.test", "", False), "by-number": ("http://2130706433", "", False),
            "socks": ("socks5://loop.test", "", False), "socks-host": ("socks5h://loop.test", "", False),
            "literal": ("http://127.0.0.1", "", True), "socks-literal": ("socks5h://127.0.0.1", "", True),
            "allowed": ("http://loop.test", "allow_private = true\n", True)}
    text = '[upstream]\nconnect_timeout = "%dms"\n' % (CONNECT * 1000)
    for name, (proxy, more, _) in rows.items():
        text += provider(name, name + ".api.test", trap.port, "https",
                         'proxy = "%s:%d"\n%s' % (proxy, trap.port, more))
    text += provider("bypass", "loop.test", trap.port, "https",
                     'proxy = "http://127.0.0.1:%d"\nno_proxy = ".test"\n' % trap.port)
    with Server(text, env=names.env()) as server:
        for name, (_, _, reaches) in rows.items():
            seen = trap.connections
            response = post(server, name)
            came = trap.connections - seen
            problem = formats.error_problem(ANTHROPIC, response)  # the trap opens no tunnel
            yield name, problem or (None if bool(came) == reaches else "%d connections: %r" % (came, response.body))
        seen = trap.connections
        response = post(server, "bypass")
        yield "bypass", None if b"private" in response.body and trap.connections == seen else "%r" % response.body
        strangers = [c for c in names.calls() if c[0] != "resolver" and c[1].endswith(".test")]
        yield "off-the-loop", "%s" % strangers if strangers else None
        here = [name for name in rows if name != "socks" and names.calls(name + ".api.test")]
        yield "behind-a-proxy", "looked up here: %s" % here if here else None  # socks5:// alone wants an address
    names.close()
    trap.close()


def test_redirect_to_this_machine():
    up, trap = Upstream(), Trap()
    with Server(formats.config(up.url)) as server:
        for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "169.254.169.254"]:
            where = "http://%s:%d/latest/meta-data" % (host, trap.port)
            up.reset(Answer(b"{}", status=307, headers=[("Location", where)]))
            response = post(server, "claude")
            bad = response.status not in (307, 502) or trap.connections
            yield host, "%r" % response.raw if bad else None
    trap.close()
    up.close()


def hostile_fields(url):
    return {"base_url": url, "api_base": url, "api_key": "sk-client", "proxy": url, "endpoint": url, "url": url,
            "extra_headers": {"authorization": "Bearer sk-client", "host": "evil.test"},
            "extra_query": {"base_url": url}, "extra_body": {"base_url": url},
            "headers": {"x-api-key": "sk-client"}, "custom_llm_provider": url,
            "webhook_url": url, "litellm_params": {"api_base": url}, "model_list": [{"api_base": url}]}


def hostile_headers(url, host):
    return [("X-Base-Url", url), ("Base-Url", url), ("Api-Base", url), ("X-Api-Base", url), ("X-OpenAI-Base-Url", url),
            ("Proxy", url), ("X-Proxy", url), ("X-Forwarded-Host", host), ("X-Forwarded-Server", host),
            ("X-Original-Url", url), ("X-Rewrite-Url", url), ("Forwarded", "host=" + host), ("X-Target", url),
            ("Proxy-Authorization", "Basic c2stY2xpZW50"), ("X-Upstream", url), ("Destination", url),
            ("X-Http-Method-Override", "CONNECT")]


def judge_client(up, trap, response):
    """None when the request went where the configuration says, with its key, or was refused with a 4xx."""
    if trap.connections:
        return "a connection to the client's host: %r" % trap.received[:200]
    if response is None:
        return None  # closed
    if 400 <= response.status < 500:
        return None if not up.requests else "refused, but sent"
    if response.status != 200 or not up.requests:
        return "%r" % response.raw[:300]
    seen = up.last()
    sent_key = " ".join(v for n, v in seen.headers if n.lower() in ("authorization", "x-api-key", "x-goog-api-key"))
    if formats.KEY not in sent_key or "sk-client" in sent_key:
        return "its credential is %r" % sent_key
    if seen.get("host") != "127.0.0.1:%d" % up.port:
        return "host %r" % seen.get("host")
    if seen.get("proxy-authorization"):
        return "the client's proxy-authorization went upstream"
    return None


def test_fields_of_a_client_lead_nowhere():
    """KEY-12: in the body, the query and the headers, in every format: ignored or 4xx, never another host."""
    up, trap = Upstream(), Trap()
    url, host = "http://127.0.0.1:%d" % trap.port, "127.0.0.1:%d" % trap.port
    count = 0
    with Server(formats.config(up.url)) as server:
        for fmt in ALL:
            problems = []

            def send(path=fmt.url(), body=formats.small_body(fmt), headers=(), raw=None):
                nonlocal count
                count += 1
                up.reset(Answer(b'{"a":1}'))
                if raw:
                    with server.connect(timeout=10) as connection:
                        connection.send(raw)
                        response = connection.response()
                else:
                    response = server.request("POST", path, body, headers, timeout=10)
                problem = judge_client(up, trap, response)
                if problem:
                    problems.append("%s %s: %s" % (path, dict(headers), problem))

            plain = json.loads(formats.small_body(fmt))
            for name, value in hostile_fields(url).items():
                send(body=json.dumps({**plain, name: value}).encode())
                if isinstance(value, str):
                    send(path=fmt.url() + "?%s=%s" % (name, value))
            for header in hostile_headers(url, host):
                send(headers=[header])
            send(body=json.dumps({**plain, **hostile_fields(url)}).encode(), headers=hostile_headers(url, host))
            body = formats.small_body(fmt)
            absolute = encode("POST", url + fmt.url(), body, host="127.0.0.1:%d" % server.port)
            send(raw=absolute)
            send(raw=encode("POST", fmt.url(), body, host=host))
            send(raw=encode("CONNECT", host, host=host))
            send(raw=encode("POST", "//" + host + fmt.url(), body, host="127.0.0.1:%d" % server.port))
            send(raw=encode("POST", "/" + fmt.prefix + "/@" + host + fmt.path, body, host="127.0.0.1:%d" % server.port))
            yield fmt.name, "; ".join(problems[:4]) or None
    check.figure("KEY-12", "%d requests in 4 formats: ignored or 4xx, %d connections to another host" % (
        count, trap.connections))
    trap.close()
    up.close()


if __name__ == "__main__":
    check.main(globals(), "blackbox/ssrf")
