"""The callback of a login under attack: strangers who bring states, requests and texts of their own, taken ports, wrong
pastes, other issuers. Each time the token endpoint is not asked, and the user can still finish."""
import base64
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import check  # noqa: E402
import idp  # noqa: E402
import rawhttp  # noqa: E402
from browser import Browser  # noqa: E402
from cli import User, query  # noqa: E402
from server import free_port  # noqa: E402
from waiting import Login, answered, block, get  # noqa: E402


def test_states():
    """Missing, wrong, of another login that waits, of one that is over: refused; the right one still works."""
    with idp.Idp() as server, User(block(server) + block(server, "other")) as user:
        user.logged_in("acme")
        old = query(server.authorizations and user_url(server))["state"]
        before = len(server.posts("code"))
        login, other = Login(user, "acme", "--force"), Login(user, "other")
        states = ["", "x", login.state[:-1], login.state + "A", login.state.swapcase(), old, other.state]
        for state in states:
            answer = get(login.port, login.target(code="c", state=state))
            assert answer.status == 400, (state, answer.status)
        assert get(login.port, login.target(code="c")).status == 400
        assert len(server.posts("code")) == before, "a code of a stranger was exchanged"
        login.finish()
        other.finish()
        assert len(server.posts("code")) == before + 2
        assert user.record("acme")["generation"] == 2
    check.figure("OAU-02", "%d wrong states (missing, cut, of an older and of another login): 0 exchanges, then a login"
                 % (len(states) + 1))


def user_url(server):
    """The authorization request that was made last, as a URL again."""
    return "http://x/?" + urllib.parse.urlencode(server.authorizations[-1])


def stolen(server, url):
    """A code that somebody got for himself: the same request, with a verifier that the victim does not know."""
    foreign = base64.urlsafe_b64encode(hashlib.sha256(b"x" * 43).digest()).rstrip(b"=").decode()
    target = "/authorize?" + urllib.parse.urlencode({**query(url), "code_challenge": foreign, "state": "his-own"})
    return query(get(urllib.parse.urlsplit(server.url).port, target).get("location"))["code"]


def brought(login, code):
    """How a login ends to which somebody brings this code."""
    assert get(login.port, login.target(code=code, state=login.state)).status == 302
    return login.running.end()[0]


def test_codes_of_others():
    """The right state with a code of another session, or with one that was used: PKCE and the server refuse, nothing is
    stored, and the code goes out once. A server that says it knows no S256 is not asked at all."""
    with idp.Idp() as server, User(block(server)) as user:
        login = Login(user)
        code = stolen(server, login.url)
        assert brought(login, code) == 77, "a stolen code made a login"
        login = Login(user)
        login.finish()
        used, record = server.posts("code")[-1].parameters["code"], user.record("acme")
        login = Login(user, "acme", "--force")
        assert brought(login, used) == 77, "a code that was used made a login"
        assert user.record("acme") == record
        sent = [p.parameters["code"] for p in server.posts("code")]
        assert sent == [code, used, used], sent
        server.metadata = lambda found: {**found, "code_challenge_methods_supported": ["plain"]}
        asked = len(server.authorizations)
        with User(block(server, endpoints=("client_id", "issuer"))) as other:
            code, text = other.run("login", "acme", "--no-browser")
            assert code == 77 and "S256" in text and len(server.authorizations) == asked, (code, text)
    check.figure("OAU-12", "code of another session, used code: refused by the verifier, nothing stored; server without "
                 "S256: not asked")


def listeners(pid):
    """[(address in hex, port)] of the process's listening sockets."""
    inodes, found = set(), []
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            link = os.readlink("/proc/%d/fd/%s" % (pid, fd))
        except OSError:
            continue
        if link.startswith("socket:["):
            inodes.add(link[8:-1])
    for table in ("tcp", "tcp6"):
        with open("/proc/%d/net/%s" % (pid, table), encoding="ascii") as file:
            for line in file.readlines()[1:]:
                field = line.split()
                if field[3] == "0A" and field[9] in inodes:
                    address, port = field[1].split(":")
                    found.append((address, int(port, 16)))
    return found


LOOPBACK = ("0100007F", "00000000000000000000000001000000")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
        return True
    except OSError:
        return False


def closed(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return False
    except OSError:
        return True


def test_listener():
    """Both loopback addresses and no other; closed within a second of the end, whatever the end was."""
    with idp.Idp() as server, User(block(server)) as user:
        login = Login(user)
        found = listeners(login.running.process.pid)
        assert {a for a, _ in found} == set(LOOPBACK[:2 if has_ipv6() else 1]), found
        assert {p for _, p in found} == {login.port}
        with open("/proc/%d/limits" % login.running.process.pid, encoding="ascii") as file:
            core = next(l for l in file if l.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"], core
        assert Browser().go(login.url).status == 200
        end = time.monotonic()
        while not closed(login.port):
            assert time.monotonic() - end < 1, "still open a second after the page"
        took = time.monotonic() - end
        assert login.running.end()[0] == 0
        login = Login(user, "acme", "--force")
        login.running.process.send_signal(signal.SIGINT)
        code, text = login.running.end()
        assert code == 1 and "interrupted" in text, (code, text)
        assert closed(login.port) and user.record("acme")["generation"] == 1
    check.figure("OAU-04", "%d listeners, all loopback; closed %d ms after success; SIGINT: closed, nothing stored"
                 % (len(found), took * 1000))


def test_taken_port():
    with idp.Idp() as server, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        with User(block(server, callback_port=port)) as user:
            code, text = user.run("login", "acme", "--no-browser")
            assert code == 69 and str(port) in text and "--manual" in text, (code, text)
            assert "response_type=code" not in text and not server.posts(), "the user was sent away all the same"
    check.figure("OAU-05", "registered port taken: exit 69 naming it, no URL printed, 0 requests")


def hits(login, count, problems):
    for i in range(count):
        try:
            answer = get(login.port, login.target(code="stolen", state="s%d" % i), timeout=30)
            if answer is None or answer.status != 400:
                problems.append(answer and answer.status)
        except OSError as problem:
            problems.append(problem)


def test_hostile_requests():
    """Other methods, hosts, origins, lengths, bytes; then a flood, in whose midst the browser comes back."""
    count = 10000 if check.LONG else 1600
    with idp.Idp() as server, User(block(server)) as user:
        login = Login(user)
        good = login.target(code="c", state=login.state)
        rows = [("POST", {}, 405), ("HEAD", {}, 405), ("PUT", {}, 405), ("GET", {"host": "evil.example"}, 421),
                ("GET", {"host": "127.0.0.1"}, 421), ("GET", {"headers": [("Origin", "https://evil.example")]}, 400),
                ("GET", {"headers": [("Origin", "null")]}, 400)]
        for method, more, status in rows:
            answer = rawhttp.once(login.port, method, good, **more)
            assert answer.status == status, (method, more, answer.status)
        for target, status in (("/callback?" + "a" * (1 << 20), 414), ("/", 404), ("/favicon.ico", 404)):
            assert get(login.port, target).status == status, target[:20]
        with rawhttp.Connection(login.port) as c:
            c.send(b"\x16\x03\x01\x02\x00\x01\x00" + os.urandom(300) + b"\r\n\r\n")
            assert c.response().status == 400
        problems = []
        threads = [threading.Thread(target=hits, args=(login, count // 16, problems)) for _ in range(16)]
        for thread in threads:
            thread.start()
        login.finish_early = Browser().go(login.url)
        for thread in threads:
            thread.join()
        code, text = login.running.end()
        assert code == 0 and login.finish_early.status == 200, (code, text)
        assert len(server.posts("code")) == 1, "%d exchanges" % len(server.posts("code"))
    check.figure("OAU-06", "POST, HEAD 405, Host 421, Origin 400, 1 MiB 414; login amid %d hits: 1 exchange" % count)


def test_server_errors():
    """What a server says instead of a code: shown as text, on the page and on the terminal."""
    nasty = ("<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[2J\x1b]0;owned\x07\r\nccproxy: all is well " +
             "A" * 5000)
    with idp.Idp() as server, User(block(server)) as user:
        server.refuse = "access_denied"
        server.callback = lambda back: {**back, "error_description": nasty}
        code, text, page = user.login("acme")
        assert code == 77 and "access_denied" in text, (code, text)
        assert page.status == 200 and "<script" not in page.text and "<img" not in page.text, page.text
        assert "&lt;script&gt;" in page.text
        line = next(l for l in text.splitlines() if "access_denied" in l)
        assert len(line) <= 1024 and not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text), repr(text)
        assert not any(l.startswith("ccproxy: all is well") for l in text.splitlines())
        server.refuse = server.callback = None
        login = Login(user)
        long = login.target(error="access_denied", error_description="A" * 65536, state=login.state)
        assert get(login.port, long).status == 414
        login.finish()
    check.figure("OAU-07", "HTML and ANSI shown as text on page and terminal, line of %d bytes; 64 KiB: 414 and goes on"
                 % len(line))


def test_clean_page():
    with idp.Idp() as server, User(block(server)) as user:
        browser = Browser()
        _, text, page = user.login("acme", browser=browser)
        code = next(p.parameters["code"] for p in server.posts("code"))
        state = server.authorizations[-1]["state"]
        assert urllib.parse.urlsplit(page.url).query == "" and page.url.endswith("/done")
        for secret in (code, state, user.record("acme")["access_token"]):
            assert secret not in page.text and secret not in str(page.headers)
        assert code not in text
        assert page.headers["Cache-Control"] == "no-store" and page.headers["Referrer-Policy"] == "no-referrer"
        style = re.search("<style>(.*?)</style>", page.text, re.S)[1].encode()
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-%s'" %
                                 base64.b64encode(hashlib.sha256(style).digest()).decode()), policy
        assert not re.search(r"(?i)<script|<img|<link|src=|href=|\son\w+=", page.text)
    check.figure("OAU-08", "no-store, no-referrer, default-src 'none'; code, state and token not in page or output")


def test_redirect_uri():
    """The same bytes in both legs, and what is registered where something is."""
    port = free_port()
    wanted = {"any": ({}, None), "port": ({"callback_port": port}, "http://127.0.0.1:%d/callback" % port)}
    for uri in ("http://localhost:%d/auth/callback", "http://127.0.0.1:%d/x?", "http://127.0.0.1:%d/a/b%%2Fc") + (
            ("http://[::1]:%d/six",) if has_ipv6() else ()):
        if not uri.endswith("?"):
            wanted[uri] = ({"redirect_uri": uri % port}, uri % port)
    with idp.Idp() as server:
        for name, (more, expected) in wanted.items():
            with User(block(server, **more)) as user:
                user.logged_in("acme")
            asked, sent = server.authorizations[-1]["redirect_uri"], server.posts("code")[-1].parameters["redirect_uri"]
            assert asked == sent and expected in (None, asked), (name, asked, sent)
        with User(block(server, redirect_uri="https://app.example/callback")) as user:
            code, text = user.run("login", "acme", "--no-browser", "--manual")
            assert code == 1 and "redirect_uri=https%3A%2F%2Fapp.example%2Fcallback" in text, (code, text)
    check.figure("OAU-09", "%d redirect URIs: sent = registered = exchanged, byte for byte" % len(wanted))


def test_issuer():
    """The answer of another server (mix-up), or without the name that was promised: its code goes nowhere."""
    with idp.Idp() as server, User(block(server) + block(server, "found", endpoints=("client_id", "issuer"))) as user:
        wrong = [("acme", "https://evil.example"), ("acme", server.issuer + "/"), ("found", "https://evil.example"),
                 ("found", None)]
        for name, iss in wrong:
            server.callback = lambda back, iss=iss: {k: v for k, v in {**back, "iss": iss}.items() if v is not None}
            code, text, _ = user.login(name)
            assert code == 77 and user.record(name) is None, (name, iss, code, text)
        assert not server.posts(), "a code went out"
        server.callback = None
        user.logged_in("found")
    check.figure("OAU-03", "%d answers with a wrong or a missing iss: refused, 0 codes sent" % len(wrong))


def paste(user, lines, expected):
    """A login by hand with these lines; each may be a function of the state. Gives what was said."""
    running = user.start("login", "acme", "--manual", "--force", stdin=subprocess.PIPE)
    url = running.url("response_type=code")
    for line in lines:
        running.type(line(url) if callable(line) else line)
    running.process.stdin.close()
    code, text = running.end()
    assert code == expected, (code, text)
    return text


def test_paste():
    with idp.Idp() as server, User(block(server)) as user:
        other = Login(user)
        wrong = ["", "   ", "code-without-state", "code#" + other.state, "code#", "#x", "A" * 10240, "code#a#b",
                 "http://127.0.0.1/callback?code=x", "http://127.0.0.1/callback?code=x&state=" + other.state,
                 "code=x&code=y&state=z", "\x00\x1b[2J", "code=%zz&state=a"]
        for i in range(0, len(wrong), 3):
            lines = wrong[i:i + 3]
            text = paste(user, lines, 1)
            assert text.count("cannot be used") == len(lines) and user.record("acme") is None, (lines, text)
        assert not server.posts(), "a code went out"
        paste(user, [], 1)
        paste(user, ["nonsense", "code#wrong", lambda url: "  \t" + answered(url) + " \r"], 0)
        assert user.record("acme")["generation"] == 1 and len(server.posts("code")) == 1
        paste(user, [lambda url: answered(url).split("?")[1]], 0)
        paste(user, [lambda url: "#".join(query(answered(url))[k] for k in ("code", "state"))], 0)
        assert len(server.posts("code")) == 3
        other.running.kill()
    check.figure("OAU-20", "%d kinds of wrong pastes: 0 exchanges; code#state, URL and query taken" % len(wrong))


if __name__ == "__main__":
    check.main(globals(), "blackbox/callback")
