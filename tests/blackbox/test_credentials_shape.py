"""Stored logins as people and other servers see them: which way requests to the identity provider take, what health,
plugins and the banner show, and that no token is ever among it."""
import json
import os
import shutil
import socket
import ssl
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import check  # noqa: E402
import formats  # noqa: E402
from certs import Authority  # noqa: E402
from idp import Fault  # noqa: E402
from logins import Logins, health, state, wait_for  # noqa: E402
from server import Server  # noqa: E402


def pipe(a, b):
    """Bytes both ways until one side ends."""
    def copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
    other = threading.Thread(target=copy, args=(b, a), daemon=True)
    other.start()
    copy(a, b)
    other.join()


class Listener:
    """A connection is a thread that runs serve(sock)."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._main, daemon=True).start()

    def _main(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock):
        try:
            with sock:
                self.serve(sock)
        except OSError:
            pass

    def close(self):
        self.listener.close()


class Tls(Listener):
    """TLS in front of a plain port."""

    def __init__(self, certificate, key, port):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.to, self.connections = port, 0
        super().__init__()

    def serve(self, sock):
        self.connections += 1
        with self.context.wrap_socket(sock, server_side=True) as tls, socket.create_connection(
                ("127.0.0.1", self.to)) as plain:
            pipe(tls, plain)


class Proxy(Listener):
    """CONNECT to any name leads to one port; who asked for what is kept."""

    def __init__(self, port):
        self.to, self.asked = port, []
        super().__init__()

    def serve(self, sock):
        head = b""
        while b"\r\n\r\n" not in head:
            data = sock.recv(65536)
            if not data:
                return
            head += data
        self.asked.append(head.split(b"\r\n")[0].decode())
        sock.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self.to)) as out:
            pipe(sock, out)


def test_own_proxy_and_authority():
    """RFR-13: a name that only the login's proxy knows, a certificate that only its ca_file trusts."""
    folder, rounds = tempfile.mkdtemp(prefix="ccp-ca-"), 4
    try:
        authority = Authority(folder, "idp")
        certificate, key = authority.leaf(names=("DNS:idp.test",))
        with Logins(lifetime=2) as lab:
            tls = Tls(certificate, key, int(lab.idp.url.rsplit(":", 1)[1]))
            proxy = Proxy(tls.port)
            url = "https://idp.test:4433/token"
            way = 'proxy = "http://127.0.0.1:%d"\n' % proxy.port
            lab.store(expires_in=1, token_url=url)
            with Server(lab.config(refresh_before="0s", token_url=url, login=way)) as server:  # the default authorities
                wait_for(lambda: state(server) == "later", 15, "the failure")
                found = health(server)[1]["output"]
                assert "certificate" in found and lab.posts() == 0, found
            before = len(proxy.asked)
            with Server(lab.config(refresh_before="0s", token_url=url,
                                   login=way + 'ca_file = "%s"\n' % authority.file)) as server:
                wait_for(lambda: lab.posts() >= rounds, 20, "%d renewals" % rounds)
                wait_for(lambda: lab.ask(server).status == 200, 5, "the answer")
            posts = lab.posts()
            assert len(proxy.asked) - before == posts, (len(proxy.asked), posts)
            assert set(proxy.asked) == {"CONNECT idp.test:4433 HTTP/1.1"}, set(proxy.asked)
            assert lab.idp.grants.reuses == 0 and tls.connections == len(proxy.asked)
            assert {c.status for c in lab.calls} == {200}, "the provider's own requests did not go directly"
            proxy.close()
            tls.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    check.figure("RFR-13", "%d of %d POSTs through the login's proxy and TLS with its own CA; 0 without that CA" % (
        posts, posts))


def test_health_and_plugins_show_logins():
    with Logins() as lab:
        config = '[plugins.mock]\nenabled = false\n[auth]\ndirectory = "%s"\n[oauth.claude-api]\nclient_id = ' \
                 '"test-client"\ntoken_url = "%s/token"\n[plugins.claude_api]\nbase_url = "%s"\nauth = "oauth"\n' % (
                     lab.directory, lab.idp.url, lab.up.url)
        record = lab.store(name="claude-api", facts={"email": "me@example.com"})
        with Server(config) as server:
            lab.good(server, "/claude/v1/messages")
            code, found = health(server, "claude_api")
            assert code == 200 and found["status"] == "pass", found
            login = found["login"]
            assert (login["name"], login["state"], login["account"]) == ("claude-api", "ready", "default"), login
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record["expires_at"]))
            assert login["expires_at"] == when and "next_attempt_at" in login, (login, when)
            plugin = json.loads(server.request("GET", "/plugins/claude_api/health").body)
            assert plugin["status"] == "healthy" and plugin["details"]["has_credentials"] is True, plugin
            assert plugin["details"]["login"]["state"] == "ready", plugin
            assert "ready, login claude-api/default" in server.output(), server.output()
            os.unlink(lab.path(name="claude-api"))
            wait_for(lambda: state(server, "claude_api") == "absent", 3, "the logout")
            plugin = json.loads(server.request("GET", "/plugins/claude_api/health").body)
            assert plugin["status"] == "unhealthy" and plugin["details"]["has_credentials"] is False, plugin
            assert "ccproxy auth login claude-api" in plugin["details"]["message"], plugin
            assert server.request("GET", "/health/ready").status == 503
            assert server.request("GET", "/health").status in (200, 503)


def test_strangers_see_no_logins():
    """With keys set, health without one tells no names, accounts or times."""
    with Logins() as lab:
        lab.store()
        with Server(lab.config(more='[security]\nauth_token = "key-of-the-test"\n')) as server:
            body = server.request("GET", "/health/ready").body
            assert b"acme" not in body and b"login" not in body, body
            known = server.request("GET", "/health/ready", None, [("Authorization", "Bearer key-of-the-test")])
            assert b'"state":"ready"' in known.body, known.body
            assert lab.ask(server).status == 401 and not lab.calls


def test_errors_in_every_grammar():
    """A login that is over and one that cannot be renewed: 503 as each client's SDK understands it, streams too."""
    with Logins() as lab:
        lab.store(refresh_token=None, expires_in=-5)
        lab.store(account="later", expires_in=-5)
        lab.idp.always["refresh"] = Fault(status=500, body="oops")
        with Server(lab.config(account="default", more=lab.provider("later", account="later"))) as server:
            for provider, needle in (("acme", "ccproxy auth login acme"), ("later", "could not be renewed")):
                for fmt in formats.ALL:
                    for stream in (False, True):
                        response = server.post(fmt.url(stream, provider), formats.small_body(fmt, stream), timeout=20)
                        value = json.loads(response.body)
                        assert response.status == 503 and needle in value["error"]["message"], response.body
                        assert response.complete and response.get("content-type").startswith("application/json")
                        if fmt is formats.ANTHROPIC:
                            assert value["type"] == "error" and value["error"]["type"], value
                        elif fmt is formats.GEMINI:
                            assert value["error"]["code"] == 503 and value["error"]["status"], value
                        else:
                            assert {"message", "type", "code"} <= set(value["error"]), value
            assert not lab.up.requests


def test_no_token_anywhere():
    """Renewals that work, fail and are refused: no token in logs, output, health, plugins, errors or environment."""
    with Logins(lifetime=2) as lab:
        lab.store(expires_in=1)
        with Server(lab.config(refresh_before="0s", more='[plugins.access_log]\nenabled = true\n'),
                    arguments=["--log-level", "debug"]) as server:
            shown = b""
            wait_for(lambda: lab.posts() >= 2, 10, "the renewals")
            for turn in range(6):
                if turn == 2:
                    lab.idp.faults["refresh"] = [Fault(cut=200), Fault(status=400, body={
                        "error": "server_error", "error_description": "token %s" % lab.record()["refresh_token"]})]
                if turn == 4:
                    lab.idp.grants.families[0].revoked = True
                lab.idp.grants.expire()
                for response in (lab.ask(server, timeout=40), server.request("GET", "/health/ready"),
                                 server.request("GET", "/plugins"), server.request("GET", "/plugins/claude_api/health"),
                                 server.request("GET", "/acme/v1/models", timeout=40)):
                    shown += response.raw
                lab.tokens += [lab.record()["access_token"], lab.record()["refresh_token"]]
            everything = (server.output() + server.log_text()).encode() + shown
            with open("/proc/%d/environ" % server.process.pid, "rb") as f:
                everything += f.read()
            assert b"acme" in everything
            seen = [t for t in set(lab.tokens) | set(lab.idp.grants.access) | set(lab.idp.grants.refresh)
                    if t.encode() in everything]
            assert not seen, "%d tokens can be read" % len(seen)


if __name__ == "__main__":
    check.main(globals(), "blackbox/credentials_shape")
