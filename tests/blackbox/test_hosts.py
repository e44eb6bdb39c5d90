"""Web pages against the API: names that resolve to us (DNS rebinding), and requests of pages of other sites."""
import check
import formats
from formats import ANTHROPIC, small_body
from http1 import count
from server import Server
from upstream import Answer, Upstream

EVIL = "https://evil.example"
LIST = 'allowed_hosts = ["proxy.example", ".inside.example", "only.example:8443", "UPPER.example"]'
up = server = None


def before():
    global up, server
    up = Upstream()
    server = Server(formats.config(up.url), server=LIST)


def after():
    with server:
        pass
    up.close()


# Well-formed names; with PORT the port of the listener is put in.
SERVED = ("localhost", "localhost:PORT", "LOCALHOST", "LocalHost:1", "localhost.", "a.localhost", "a.b.localhost:PORT",
          "127.0.0.1",
          "127.0.0.1:PORT", "127.0.0.1.", "127.0.0.2", "[::1]", "[::1]:PORT", "[::ffff:127.0.0.1]", "192.0.2.7",
          "[2001:db8::1]:PORT", "proxy.example",
          "PROXY.example:1", "proxy.example.", "a.inside.example", "a.b.inside.example:9", "only.example:8443",
          "upper.EXAMPLE")
STRANGERS = ("evil.example", "evil.example:PORT", "rebind.evil.example", "localhost.evil.example",
             "127.0.0.1.evil.example",
             "localhost-evil.example", "evillocalhost", "xlocalhost", "localhost.localdomain", "localhost..",
             "localhos", "localhost1",
             "127.0.0.1.nip.io", "127-0-0-1.nip.io", "127.0.0.1..", "127.1", "127.0.1", "2130706433", "0x7f.0.0.1",
             "0x7f000001", "0177.0.0.1",
             "127.0.0.01", "0", "1.2.3.4.5", "256.0.0.1", "proxy.example.evil.example", "xproxy.example",
             "proxy-example", "proxy.examplex",
             "example", "inside.example", "xinside.example", "a.inside.example.evil.example", "ainside.example",
             "only.example",
             "only.example:8444", "only.example:844", "xn--lcalhost-n4a", "local_host", "ccproxy",
             "kubernetes.default", "metadata.google.internal")


def test_names():
    """ADM-01: literals, localhost and what the configuration lists; any other name is 421 on every route."""
    routes = (("POST", "/claude/v1/messages", small_body(ANTHROPIC)), ("GET", "/health/live", None), ("GET",
        "/plugins", None))

    def rows():
        for name in SERVED + STRANGERS:
            problem = None
            up.reset(Answer(b"{}"))
            for method, path, body in routes:
                host = name.replace("PORT", str(server.port))
                response = server.request(method, path, body, host=host)
                wanted = 200 if name in SERVED else 421
                if response.status != wanted:
                    problem = "%s answered %d, not %d" % (path, response.status, wanted)
            if name in STRANGERS and up.requests:
                problem = "it went up"
            yield name, problem
    assert len(SERVED + STRANGERS) >= 60
    yield from count(rows(), "ADM-01", "%%d of %%d names: %d served, %d answered 421" % (len(SERVED), len(STRANGERS)))


def test_refusal_of_a_name():
    """ADM-01: the refusal names the setting, and opens nothing to a page."""
    response = server.request("POST", "/claude/v1/messages", small_body(ANTHROPIC), host="evil.example")
    formats.expect_error(ANTHROPIC, response, 421, "evil.example", "server.allowed_hosts")
    assert response.get("access-control-allow-origin") is None


def test_star_serves_every_name():
    with Server(formats.config(up.url), server='allowed_hosts = ["*"]') as own:
        for name in STRANGERS[:12]:
            assert own.request("GET", "/health/live", host=name.replace("PORT", "1")).status == 200, name


FORM, TEXT, MULTI = "application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"
BODY = small_body(ANTHROPIC)
CHAT_URL = "/claude/v1/messages"


def page(method, path, body=None, origin=EVIL, host=None, **headers):
    """One request as a browser sends it for a page of `origin`."""
    fields = [("Origin", origin)] if origin else []
    fields += [("Sec-Fetch-Site", "cross-site"), ("User-Agent", "Mozilla/5.0"), ("Referer", EVIL + "/x")]
    fields += [(n.replace("_", "-"), v) for n, v in headers.items()]
    return method, path, body, fields, host


# What a page of another site can make a browser send.
VECTORS = {
    "simple POST, text": page("POST", CHAT_URL, BODY, Content_Type=TEXT),
    "form POST": page("POST", CHAT_URL, b"model=x&stream=true", Content_Type=FORM),
    "multipart POST": page("POST", CHAT_URL, b"--x\r\n\r\n{}\r\n--x--", Content_Type=MULTI),
    "fetch no-cors": page("POST", CHAT_URL, BODY, Content_Type=TEXT, Sec_Fetch_Mode="no-cors"),
    "fetch cors, JSON": page("POST", CHAT_URL, BODY, Content_Type="application/json", Sec_Fetch_Mode="cors"),
    "preflight": page("OPTIONS", CHAT_URL, Access_Control_Request_Method="POST",
                      Access_Control_Request_Headers="x-api-key"),
    "beacon": page("POST", "/v1/messages", BODY, Content_Type=TEXT, Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="empty"),
    "Origin: null": page("POST", CHAT_URL, BODY, origin="null", Content_Type=TEXT),
    "DELETE": page("DELETE", "/openai/v1/responses/resp_1"),
    "PUT on a plugin": page("PUT", "/plugins/mock/settings", b"{}", Content_Type="application/json"),
    "POST on a plugin": page("POST", "/plugins/mock/settings", b"{}", Content_Type=TEXT),
    "WebSocket": page("GET", "/v1/responses", Connection="Upgrade", Upgrade="websocket",
                      Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
                      Sec_WebSocket_Version="13"),
    "image GET": page("GET", "/plugins", origin=None, Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image"),
    "fetch cors, GET": page("GET", "/plugins/status", Sec_Fetch_Mode="cors"),
    "rebound name": page("POST", CHAT_URL, BODY, origin="http://evil.example:8000", host="evil.example:8000",
                         Content_Type="application/json"),
    "rebound GET": page("GET", "/plugins", origin=None, host="evil.example:8000"),
    "two origins": page("POST", CHAT_URL, BODY, origin=None, Content_Type=TEXT, Origin=EVIL + " http://localhost"),
    "origin like a host": page("POST", CHAT_URL, BODY, origin="http://localhost.evil.example", Content_Type=TEXT),
    "empty origin": page("POST", CHAT_URL, BODY, origin=None, Content_Type=TEXT, Origin=""),
}


def vector_problem(own, vector, allowed=()):
    method, path, body, fields, host = vector
    up.reset(Answer(b'{"secret":"answer"}'))
    response = own.request(method, path, body, fields, host)
    if response is None:
        return "no answer"
    readable, origin = response.get("access-control-allow-origin"), dict(fields).get("Origin")
    if readable is not None and readable not in allowed:
        return "readable: %s" % readable
    if readable == "*" and response.get("access-control-allow-credentials") is not None:
        return "* with credentials"
    if response.status == 101:
        return "101"
    if method not in ("GET", "OPTIONS") and (response.status < 400 or up.requests) and readable is None:
        return "%d, %d went up, for %s" % (response.status, len(up.requests), origin)
    return None if not up.requests or readable else "it went up"


def test_cross_site_vectors():
    """ADM-02: without any key on loopback, which is where a page would try. Raw requests, not a browser."""
    def rows():
        with Server(formats.config(up.url)) as own:
            for name, vector in VECTORS.items():
                yield name, vector_problem(own, vector)
    yield from count(rows(), "ADM-02",
                     "%d of %d cross-site requests (raw, no browser): 0 went upstream, 0 answers readable")


def test_star_and_credentials():
    """ADM-02: origins "*" beside credentials = true does not start; "*" alone answers everybody without credentials."""
    cors = formats.config(up.url) + '[cors]\norigins = ["%s"]\n%s'
    own = Server(cors % ("*", "credentials = true\n"), wait=False)
    assert own.process.wait(20) == 78 and "cors.credentials" in own.output(), own.output()
    own.stop()
    asked = 0
    for listed, credentials in (("*", None), ("https://app.example", "true")):
        with Server(cors % (listed, "credentials = true\n" if credentials else "")) as own:
            for origin in (EVIL, "null", "https://app.example"):
                for vector in (page("POST", CHAT_URL, BODY, origin=origin, Content_Type=TEXT),
                               page("OPTIONS", CHAT_URL, origin=origin, Access_Control_Request_Method="POST"),
                               page("GET", "/plugins", origin=origin)):
                    up.reset(Answer(b"{}"))
                    response = own.request(*vector)
                    allowed = listed in ("*", origin)
                    assert (response.get("access-control-allow-origin") is not None) == allowed, (origin,
                        response.headers)
                    assert response.get("access-control-allow-credentials") == (credentials if allowed
                        else None), response.headers
                    asked += 1
    check.figure("ADM-02",
                 '"*" with credentials refused at start (78); 0 of %d answers gave a stranger credentials' % asked)


def test_upstream_cannot_open_the_door():
    """CORS headers of an upstream never reach a page."""
    up.reset(Answer(b"{}", headers=[("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "true"),
                                    ("Access-Control-Expose-Headers", "*"), ("Timing-Allow-Origin", "*")]))
    response = server.request("POST", CHAT_URL, BODY)
    assert response.status == 200 and not [n for n, _ in response.headers
                                           if n.lower().startswith("access-control")], response.headers


if __name__ == "__main__":
    check.main(globals(), "blackbox/hosts", before, after)
